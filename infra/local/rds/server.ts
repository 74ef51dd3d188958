import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { chown, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import pg from 'pg';
import { PermanentError } from '../../../functions/platform/errors.ts';
import { findPostgres, giveToPostgres, type OperatingSystemUser } from './binaries.ts';
import { reapOrphan, SUPERVISOR_NAME } from './reap-orphans.ts';

/** PostgreSQL, or `initdb`, did not do what it was started for; the message holds the end of its log. */
export class PostgresServerError extends PermanentError {}

/** The superuser of every local server, as on RDS, where no customer can log in as it. */
export const SUPERUSER = 'rdsadmin';

/** A running server. It is reached only through its socket, in a directory that other users cannot enter. */
export interface PostgresServer {
  readonly dataDirectory: string;
  /** `host` for a `pg` client. Members of `rds_iam` and the superuser get in without a password, others by SCRAM. */
  readonly socketDirectory: string;
  /** `port` for a `pg` client: a part of the socket's name, not a TCP port. */
  readonly port: number;
  /** Resolves when the server is gone, whoever ended it. */
  readonly ended: Promise<void>;
  /** A connected client, of the superuser unless `user` is given. The caller ends it. */
  connect(database?: string, login?: { user: string; password?: string }): Promise<pg.Client>;
  /** Fast shutdown: transactions roll back, a checkpoint is written. */
  stop(): Promise<void>;
  /** Immediate shutdown, like a crash: the next start recovers from the WAL. */
  kill(): Promise<void>;
}

/** The server finds its socket by this number; it never listens on TCP. */
const PORT = 5432;
const START_TIMEOUT_MS = 120_000;

// Runs PostgreSQL and holds the read end of a pipe from Node. A line, or the end of the pipe (Node is gone, even by
// SIGKILL), ends the server. The shell leads a session of its own, so Ctrl-C in the terminal does not reach the server.
// A server that has just begun to start does not hear the signal yet, so it is sent every second.
// Node sees by the end of stdout that the server is gone. Until `wait` its number cannot be given to another process.
const SUPERVISOR = `
trap '' PIPE
sockets=$2; shift 2
"$@" </dev/null &
server=$!
echo $server
exec >&-
how=INT
if read -r line && [ "$line" = immediate ]; then how=QUIT; fi
kill -$how $server 2>/dev/null
( seconds=0; while [ $seconds -lt 20 ]; do sleep 1; seconds=$((seconds + 1)); kill -$how $server; done
  kill -QUIT $server; sleep 10; kill -KILL $server ) >/dev/null 2>&1 &
wait $server
status=$?
rmdir "$sockets" 2>/dev/null
trap '' TERM
kill -TERM 0
exit $status`;

// By role, because one socket serves three kinds of login; the directory keeps everyone but this process out. An
// administrator is a member of rds_iam too, as one who may grant it, and still logs in by password.
const HBA = `local all ${SUPERUSER} trust
local all +rds_superuser scram-sha-256
local all +rds_iam trust
local all all scram-sha-256
`;

/**
 * Creates a database cluster with data checksums, UTF-8 and the C.UTF-8 collation that is built into PostgreSQL, so that
 * it sorts the same on every machine.
 * @throws PostgresServerError when the directory holds something, or `initdb` fails.
 */
export async function initializePostgres(dataDirectory: string): Promise<void> {
  const { initdb, user } = await findPostgres();
  await mkdir(dataDirectory, { recursive: true });
  await giveToPostgres(dataDirectory, user);
  const child = spawn(
    initdb,
    [
      `--pgdata=${resolve(dataDirectory)}`,
      `--username=${SUPERUSER}`,
      '--auth=reject',
      '--encoding=UTF8',
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      '--locale=C',
      '--data-checksums',
      '--wal-segsize=4',
      '--no-sync',
      '--no-instructions',
    ],
    { cwd: '/', env: serverEnvironment(), stdio: ['ignore', 'ignore', 'pipe'], ...user },
  );
  const [messages, [status]] = await Promise.all([readAll(child.stderr), once(child, 'exit')]);
  if (status !== 0) throw new PostgresServerError(`initdb failed for ${dataDirectory}: ${messages.trim()}`);
}

/**
 * Starts a server on a cluster and waits until it accepts connections, through crash or backup recovery if need be. No
 * server outlives this process. It logs to `<dataDirectory>.log`, without statements and without details, which would
 * hold rows.
 * @param options.settings more settings of PostgreSQL, by name.
 * @throws PostgresServerError
 */
export async function startPostgresServer(options: {
  dataDirectory: string;
  settings?: Readonly<Record<string, string>>;
}): Promise<PostgresServer> {
  const { postgres, user } = await findPostgres();
  const dataDirectory = resolve(options.dataDirectory);
  await reapOrphan(dataDirectory);
  await writeConfiguration(dataDirectory, user);
  const socketDirectory = await mkdtemp(join(tmpdir(), 'daybreak-pg-'));
  await giveToPostgres(socketDirectory, user);

  const logFile = `${dataDirectory}.log`;
  const settings = { ...DEFAULT_SETTINGS, unix_socket_directories: socketDirectory, ...options.settings };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const log = openSync(logFile, 'w', 0o600);
  const supervisor = spawn(
    '/bin/sh',
    ['-c', SUPERVISOR, SUPERVISOR_NAME, String(process.pid), socketDirectory, postgres, '-D', dataDirectory, ...flags],
    { cwd: '/', env: serverEnvironment(), detached: true, stdio: ['pipe', 'pipe', log], ...user },
  );
  closeSync(log);
  // Pipes to a child are sockets in Node, which can be kept from holding the process.
  const commands = supervisor.stdin as unknown as Socket;
  const output = supervisor.stdout as unknown as Socket;
  let gone = false;
  const ended = once(supervisor, 'exit').then(() => {
    gone = true;
  });
  let pidText = '';
  output.on('data', chunk => {
    pidText += String(chunk);
  });
  output.on('end', () => commands.end());
  commands.on('error', () => {});
  const end = async (line: string) => {
    supervisor.ref();
    if (commands.writable) commands.end(line);
    await ended;
    await rm(socketDirectory, { recursive: true, force: true });
  };

  const deadlineMs = performance.now() + START_TIMEOUT_MS;
  while (!(await isReady(dataDirectory, pidText))) {
    if (gone || performance.now() > deadlineMs) {
      await end('immediate\n');
      throw new PostgresServerError(`PostgreSQL did not start on ${dataDirectory}: ${await endOfFile(logFile)}`);
    }
    await wait(15);
  }
  // From here the server's end must not be waited for by Node: when Node has nothing left to do, the server goes too.
  supervisor.unref();
  commands.unref();
  output.unref();

  return {
    dataDirectory,
    socketDirectory,
    port: PORT,
    ended,
    connect: async (database = 'postgres', login = { user: SUPERUSER }) => {
      const client = new pg.Client({ host: socketDirectory, port: PORT, database, ...login });
      // A query that waits is told of a lost connection; one that nobody uses must not end the process.
      client.on('error', () => undefined);
      await client.connect();
      return client;
    },
    stop: () => end('fast\n'),
    kill: () => end('immediate\n'),
  };
}

const DEFAULT_SETTINGS = {
  listen_addresses: '',
  port: String(PORT),
  max_connections: '40',
  shared_buffers: '24MB',
  wal_level: 'replica',
  wal_keep_size: '32MB',
  min_wal_size: '16MB',
  max_wal_size: '256MB',
  archive_mode: 'off',
  // What must survive here is the end of a process, not of the machine.
  fsync: 'off',
  autovacuum_max_workers: '1',
  max_worker_processes: '4',
  log_min_error_statement: 'panic',
  log_error_verbosity: 'terse',
  'rds.force_ssl': '1',
};

async function writeConfiguration(dataDirectory: string, user: OperatingSystemUser | undefined): Promise<void> {
  const file = join(dataDirectory, 'pg_hba.conf');
  await writeFile(file, HBA, { mode: 0o600 });
  if (user) await chown(file, user.uid, user.gid);
}

function serverEnvironment(): NodeJS.ProcessEnv {
  return { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' };
}

// The server writes its state into the eighth line, as pg_ctl reads it; the number tells an old server's file apart.
async function isReady(dataDirectory: string, pidText: string): Promise<boolean> {
  if (!pidText.endsWith('\n')) return false;
  try {
    const lines = (await readFile(join(dataDirectory, 'postmaster.pid'), 'utf8')).split('\n');
    return lines[0] === pidText.trim() && lines[7]?.trim() === 'ready';
  } catch {
    return false;
  }
}

async function readAll(stream: Readable): Promise<string> {
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  return text;
}

async function endOfFile(file: string): Promise<string> {
  const lines = (await readFile(file, 'utf8')).trimEnd().split('\n');
  return lines.slice(-5).join(' | ');
}

/** Removes a cluster with its log. Its server must have ended. */
export async function removeCluster(dataDirectory: string): Promise<void> {
  await rm(dataDirectory, { recursive: true, force: true });
  await rm(`${dataDirectory}.log`, { force: true });
}
