import { execFile } from 'node:child_process';
import { readdir, readFile, readlink, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';
import { PermanentError } from '../../../functions/platform/errors.ts';

/** The name (`$0`) of the shell that supervises a server. */
export const SUPERVISOR_NAME = 'daybreak-postgres';

/** A server of another process that is still at work uses the data directory. */
export class DataDirectoryInUseError extends PermanentError {}

const SUPERVISOR_MS = 12_000;
const STOP_MS = 20_000;

/**
 * Ends what an earlier process left running: the servers whose data directories are children of `directory`, or theirs.
 * @throws DataDirectoryInUseError when such a server's process is alive and well.
 */
export async function reapOrphans(directory: string): Promise<void> {
  for (const child of await readdir(directory, { withFileTypes: true })) {
    if (!child.isDirectory()) continue;
    const path = join(directory, child.name);
    await reapOrphan(path);
    for (const grandchild of await readdir(path, { withFileTypes: true })) {
      if (grandchild.isDirectory()) await reapOrphan(join(path, grandchild.name));
    }
  }
}

/**
 * Ends the server of one data directory, if one runs that nobody supervises. It signals only a process that really is the
 * PostgreSQL of this data directory: a process number in a file may long be another's.
 * @throws DataDirectoryInUseError when the process that started it is still there, or its supervisor does not end it.
 */
export async function reapOrphan(dataDirectory: string): Promise<void> {
  const deadlineMs = performance.now() + SUPERVISOR_MS;
  let pid = await findServer(dataDirectory);
  // A supervisor whose Node has just died is about to end the server.
  for (;;) {
    const supervised: 'no' | 'for-now' | 'yes' = pid === undefined ? 'no' : await isSupervised(pid);
    if (supervised === 'no') break;
    if (supervised === 'yes' || performance.now() > deadlineMs) {
      throw new DataDirectoryInUseError(
        `${dataDirectory} is in use by the PostgreSQL server ${pid} of another process; stop that process first`,
      );
    }
    await wait(100);
    pid = await findServer(dataDirectory);
  }
  for (const signal of ['SIGINT', 'SIGQUIT', 'SIGKILL'] as const) {
    if (pid === undefined) return;
    try {
      process.kill(pid, signal);
    } catch {
      // It ended by itself between the look and the signal.
    }
    const untilMs = performance.now() + STOP_MS;
    while (pid !== undefined && performance.now() < untilMs) {
      await wait(50);
      pid = await findServer(dataDirectory);
    }
  }
}

/** The number of the running server of this data directory. */
async function findServer(dataDirectory: string): Promise<number | undefined> {
  let pid: number;
  try {
    pid = Number((await readFile(join(dataDirectory, 'postmaster.pid'), 'utf8')).split('\n')[0]);
  } catch {
    return undefined;
  }
  if (!Number.isSafeInteger(pid) || pid <= 1) return undefined;
  const words = await commandOf(pid);
  if (words === undefined || !/(?:^|\/)postgres$/.test(words[0] ?? '')) return undefined;
  if (process.platform === 'linux') {
    // PostgreSQL makes its data directory the working directory.
    const place = await readlink(`/proc/${pid}/cwd`).catch(() => undefined);
    return place === (await realpath(dataDirectory)) ? pid : undefined;
  }
  return words[1] === '-D' && words.slice(2).join(' ').startsWith(`${dataDirectory} `) ? pid : undefined;
}

// `for-now`: the supervisor is there, but no longer a child of the process that started it, which is its next word.
async function isSupervised(pid: number): Promise<'no' | 'for-now' | 'yes'> {
  const supervisor = await parentOf(pid);
  const words = supervisor === undefined ? undefined : await commandOf(supervisor);
  const at = words?.indexOf(SUPERVISOR_NAME) ?? -1;
  if (supervisor === undefined || words === undefined || at === -1) return 'no';
  return (await parentOf(supervisor)) === Number(words[at + 1]) ? 'yes' : 'for-now';
}

/** The command line's words (macOS: split at spaces); undefined where there is no such process. */
async function commandOf(pid: number): Promise<string[] | undefined> {
  if (process.platform === 'linux') {
    const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    return line === '' ? undefined : line.split('\0');
  }
  return (await ps(pid, 'command='))?.split(/\s+/);
}

async function parentOf(pid: number): Promise<number | undefined> {
  if (process.platform === 'linux') {
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
    const match = /^PPid:\s+(\d+)$/m.exec(status);
    return match ? Number(match[1]) : undefined;
  }
  const text = await ps(pid, 'ppid=');
  return text === undefined ? undefined : Number(text);
}

async function ps(pid: number, format: string): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)('ps', ['-o', format, '-p', String(pid)]);
    return stdout.trim() || undefined;
  } catch {
    return undefined;
  }
}
