import { randomUUID } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  linkSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { UsageError } from '../../command-line/failure.ts';
import { requireWritableDirectory } from '../../command-line/writable.ts';
import { makeReachableDirectory } from '../rds/binaries.ts';
import { reapOrphans } from '../rds/reap-orphans.ts';

const LOCK = 'lock';
/** What the local cloud itself puts into its state directory. */
const OWN = new Set(['README.txt', 'deployment.json', 's3', 'kms', 'rds', 'cdk.out', 'tls']);
/** By its README.txt the directory is known as the local cloud's, whose names others use, too. */
const README = `The state of Daybreak's local cloud: npm start empties this directory.\n`;

/**
 * Takes a state directory for this run, ends the database servers that a killed run left, and empties it. Nothing that the
 * local cloud did not put there is ever deleted: a directory that holds something else is refused.
 * @returns a function that gives the directory back.
 * @throws UsageError when another run holds it, or it is somebody else's.
 */
export async function takeStateDirectory(directory: string): Promise<() => void> {
  requireWritableDirectory('--state', directory);
  const foreign = findForeign(directory);
  if (foreign !== undefined) {
    throw new UsageError(
      `--state ${directory}: holds ${foreign}, which is not the local cloud's; give another directory`,
    );
  }
  const lock = join(directory, LOCK);
  takeLock(lock, directory);
  try {
    await removeDatabases(directory);
    for (const name of readdirSync(directory)) {
      if (!isLock(name) && name !== 'README.txt') rmSync(join(directory, name), { recursive: true, force: true });
    }
    writeFileSync(join(directory, 'README.txt'), README);
  } catch (error) {
    rmSync(lock, { force: true });
    throw error;
  }
  return () => rmSync(lock, { force: true });
}

function findForeign(directory: string): string | undefined {
  const names = readdirSync(directory).filter(name => !isLock(name));
  const readme = join(directory, 'README.txt');
  const isOurs = existsSync(readme) && readFileSync(readme, 'utf8') === README;
  return names.find(name => !isOurs || !OWN.has(name));
}

/** Removes the database servers' files, which may lie where PostgreSQL's user can reach them, and ends servers that run there. */
export async function removeDatabases(directory: string): Promise<void> {
  const databases = join(directory, 'rds');
  if (!existsSync(databases)) return;
  const instances = await makeReachableDirectory(join(databases, 'instances'));
  await reapOrphans(instances);
  rmSync(instances, { recursive: true, force: true });
  rmSync(databases, { recursive: true, force: true });
}

function takeLock(lock: string, directory: string): void {
  // Written first and then linked, so that nobody ever reads a lock without its holder in it. No two are the same.
  const holder = `${process.pid} ${randomUUID()}`;
  const draft = `${lock}.${randomUUID()}`;
  writeFileSync(draft, holder);
  try {
    take(lock, draft, directory);
  } finally {
    rmSync(draft, { force: true });
  }
}

/**
 * Links `draft` as the lock. A dead holder's lock passes to the one run that takes the lock on replacing that very one:
 * whoever comes later, even having read it before, finds it replaced.
 */
function take(lock: string, draft: string, directory: string): void {
  for (;;) {
    try {
      linkSync(draft, lock);
      return;
    } catch (error) {
      if (!isErrorCode(error, 'EEXIST')) throw error;
    }
    const holder = readHolder(lock);
    if (holder === undefined) continue;
    const [pid = '', id = pid] = holder.split(' ');
    if (isAlive(Number(pid))) {
      throw new UsageError(
        `--state ${directory}: in use by another run (process ${pid}); wait for it, or give another directory`,
      );
    }
    const succession = `${lock}.${id}`;
    take(succession, draft, directory);
    try {
      if (readHolder(lock) !== holder) continue;
      // A link of its own, because renaming one link of a file over another does nothing.
      const own = `${draft}.own`;
      copyFileSync(draft, own);
      renameSync(own, lock);
      return;
    } finally {
      rmSync(succession, { force: true });
    }
  }
}

function readHolder(lock: string): string | undefined {
  try {
    return readFileSync(lock, 'utf8');
  } catch (error) {
    if (isErrorCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

const isErrorCode = (error: unknown, code: string) => error instanceof Error && 'code' in error && error.code === code;

// Also the draft of another run, which is about to find the lock taken, and the lock on replacing one.
function isLock(name: string): boolean {
  return name === LOCK || name.startsWith(`${LOCK}.`);
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return isErrorCode(error, 'EPERM');
  }
}
