import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

const PROJECT = resolve(import.meta.dirname, '../..');
/** A plain dump by pg_dump 15 of 3 stores with their customers, rentals and payments: 3,500 rows, and 3 in a view. */
export const STORES = join(PROJECT, 'test/fixtures/dumps/stores.sql');

/** How a program ended, and what it wrote. */
export interface Ending {
  exitCode: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** A program of this project that runs. */
export interface Started {
  pid: number;
  ended: Promise<Ending>;
  /** What it has written, as soon as that holds `text`. @throws when it ends without. */
  until(text: string): Promise<string>;
  kill(signal: NodeJS.Signals): void;
  /** To the whole process group, as a terminal sends Ctrl-C. */
  killGroup(signal: NodeJS.Signals): void;
}

/** Starts `npm start` with these options, without npm, in a process group of its own. */
export function start(...parameters: string[]): Started {
  return startProgram('infra/local/start/start.ts', parameters);
}

/** Runs the `daybreak` command to its end. */
export function daybreak(...parameters: string[]): Promise<Ending> {
  return startProgram('runbooks/cli/daybreak.ts', parameters).ended;
}

const running = new Set<number>();

function startProgram(program: string, parameters: readonly string[]): Started {
  const child: ChildProcess = spawn(process.execPath, [program, ...parameters], {
    cwd: PROJECT,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const pid = child.pid ?? 0;
  running.add(pid);
  const written = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (text: string) => {
      written[name] += text;
    });
  }
  let over = false;
  const ended = new Promise<Ending>((fulfil, reject) => {
    child.on('error', reject);
    child.on('close', (exitCode, signal) => {
      over = true;
      running.delete(pid);
      fulfil({ exitCode, signal, ...written });
    });
  });
  return {
    pid,
    ended,
    until: async text => {
      while (!written.stdout.includes(text)) {
        if (over) throw new Error(`it ended without "${text}": ${written.stdout}${written.stderr}`);
        await wait(5);
      }
      return written.stdout;
    },
    kill: signal => process.kill(pid, signal),
    killGroup: signal => process.kill(-pid, signal),
  };
}

/** The processes whose command line names `directory`: the run, its database servers and their supervisors, the synthesis. */
export function processesIn(directory: string): string[] {
  const listed = execFileSync('ps', ['-A', '-ww', '-o', 'pid=,args='], {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  return listed.split('\n').filter(line => line.includes(directory));
}

/** Waits until no process of `directory` is left. @returns those that are after `limitMs`. */
export async function processesLeftIn(directory: string, limitMs: number): Promise<string[]> {
  const deadlineMs = performance.now() + limitMs;
  while (processesIn(directory).length > 0 && performance.now() < deadlineMs) await wait(50);
  return processesIn(directory);
}

/** A folder that PostgreSQL's user may enter too, where this one is root. */
export async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'daybreak-start-'));
  await chmod(folder, 0o755);
  return folder;
}

/** Removes a folder, and kills what a failed test left running. */
export function removeFolder(folder: string): Promise<void> {
  for (const pid of running) process.kill(-pid, 'SIGKILL');
  return rm(folder, { recursive: true, force: true });
}

const BIG_FILE_BYTES = 5 * 1024 * 1024 + 100_001;

const FILES: Record<string, string | Buffer> = {
  '1/plain.txt': 'a file of the first store',
  '1/empty': '',
  '1/deep/er/and deeper/file': 'far down',
  '1/.hidden': 'hidden',
  '1/no ending.': 'a dot at the end',
  '1/%2e%2e%2fescaped': 'not decoded',
  '2/häß +%&?#=.txt': 'letters that URLs escape',
  '2/new\nline': 'a name of two lines',
  '2/back\\slash': 'one segment',
  '2/"quoted" & <tagged>': 'XML',
  '2/😀': 'beyond the first plane',
  '3/big.bin': Buffer.alloc(BIG_FILE_BYTES, 'so big that it is uploaded in parts; '),
  '9/orphan.txt': 'of a store that the database does not know',
  'loose.txt': 'outside every store',
  'two words': 'outside, too',
};

/** What `writeFiles` writes, counted. */
export const WRITTEN = {
  files: Object.keys(FILES).length,
  bytes: Object.values(FILES).reduce((sum, content) => sum + Buffer.byteLength(content), 0),
  untenantedFiles: 2,
};

/** Writes a supplier's files below `folder`, and a link, which is no file. */
export async function writeFiles(folder: string): Promise<void> {
  for (const [name, content] of Object.entries(FILES)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
  }
  await symlink('plain.txt', join(folder, '1/link'));
}
