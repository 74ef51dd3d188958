import { existsSync, linkSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeReachableDirectory } from '../rds/binaries.ts';
import { reapOrphans } from '../rds/reap-orphans.ts';
import { requireWritableDirectory, UsageError } from './arguments.ts';

const LOCK = 'lock';
/** What the local cloud itself puts into its state directory. */
const OWN = new Set([LOCK, 'deployment.json', 's3', 'kms', 'rds', 'cdk.out', 'tls']);

/**
 * Takes a state directory for this run, ends the database servers that a killed run left, and empties it. Nothing that the
 * local cloud did not put there is ever deleted: a directory that holds something else is refused.
 * @returns a function that gives the directory back.
 * @throws UsageError when another run holds it, or it is somebody else's.
 */
export async function takeStateDirectory(directory: string): Promise<() => void> {
  requireWritableDirectory('--state', directory);
  const foreign = readdirSync(directory).find(name => !OWN.has(name) && !name.startsWith(`${LOCK}.`));
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
      if (name !== LOCK && !isDraftOfLiving(name)) rmSync(join(directory, name), { recursive: true, force: true });
    }
  } catch (error) {
    rmSync(lock, { force: true });
    throw error;
  }
  return () => rmSync(lock, { force: true });
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
  // Written first and then linked, so that nobody ever reads a lock without its holder in it.
  const draft = `${lock}.${process.pid}`;
  writeFileSync(draft, String(process.pid));
  try {
    for (let attempt = 0; attempt < 3; attempt++) {
      try {
        linkSync(draft, lock);
        return;
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
        const holder = existsSync(lock) ? Number(readFileSync(lock, 'utf8')) : Number.NaN;
        if (isAlive(holder)) {
          throw new UsageError(
            `--state ${directory}: in use by another run (process ${holder}); wait for it, or give another directory`,
          );
        }
        rmSync(lock, { force: true });
      }
    }
    throw new UsageError(`--state ${directory}: another run is taking it; try again, or give another directory`);
  } finally {
    rmSync(draft, { force: true });
  }
}

// Another run that is about to find the lock taken.
function isDraftOfLiving(name: string): boolean {
  return name.startsWith(`${LOCK}.`) && isAlive(Number(name.slice(LOCK.length + 1)));
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
