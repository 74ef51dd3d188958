import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findPostgres, makeReachableDirectory } from '../../../../infra/local/rds/binaries.ts';
import { DataDirectoryInUseError, reapOrphans } from '../../../../infra/local/rds/reap-orphans.ts';
import {
  initializePostgres,
  PostgresServerError,
  removeCluster,
  startPostgresServer,
} from '../../../../infra/local/rds/server.ts';
import { makeTemporaryDirectory } from './temporary-directory.ts';

let directory: string;
let dataDirectory: string;

beforeAll(async () => {
  directory = await makeTemporaryDirectory();
  dataDirectory = join(directory, 'data');
  await initializePostgres(dataDirectory);
});

afterAll(() => rm(directory, { recursive: true }));

/** The processes, other than dead ones that nobody asks for, whose command line holds `text`. */
async function processesWith(text: string): Promise<number[]> {
  const found: number[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
    const line = await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '');
    if (line.includes(text)) found.push(Number(name));
  }
  return found;
}

async function until(condition: () => Promise<boolean>, timeoutMs: number): Promise<boolean> {
  const endMs = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > endMs) return false;
    await wait(20);
  }
  return true;
}

/** A Node process that runs a server on `dataDirectory`. */
async function startInChild() {
  const script = `
    import { startPostgresServer } from ${JSON.stringify(join(import.meta.dirname, '../../../../infra/local/rds/server.ts'))};
    const { socketDirectory } = await startPostgresServer({ dataDirectory: ${JSON.stringify(dataDirectory)} });
    console.log(socketDirectory);
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [socketDirectory] = (await once(createInterface(child.stdout), 'line')) as [string];
  const pid = Number((await readFile(join(dataDirectory, 'postmaster.pid'), 'utf8')).split('\n')[0]);
  return { child, socketDirectory, pid };
}

const onLinux = process.platform === 'linux';

describe('startPostgresServer', () => {
  it('runs a server that only its socket reaches, and leaves nothing when it is stopped', async () => {
    const server = await startPostgresServer({ dataDirectory, settings: { work_mem: '5MB' } });
    const client = await server.connect();
    const { rows } = await client.query(
      `SELECT current_setting('data_checksums') AS checksums, current_setting('listen_addresses') AS addresses,
         current_setting('work_mem') AS work_mem, datcollate, datlocale, pg_encoding_to_char(encoding) AS encoding
       FROM pg_database WHERE datname = 'postgres'`,
    );
    await client.end();
    await server.stop();
    expect(rows).toEqual([
      { checksums: 'on', addresses: '', work_mem: '5MB', datcollate: 'C', datlocale: 'C.UTF-8', encoding: 'UTF8' },
    ]);
    expect(existsSync(server.socketDirectory)).toBe(false);
    expect(existsSync(join(dataDirectory, 'postmaster.pid'))).toBe(false);
    if (onLinux) expect(await processesWith(dataDirectory)).toEqual([]);
  });

  it('recovers what was committed before it was killed', async () => {
    const first = await startPostgresServer({ dataDirectory });
    const writer = await first.connect();
    writer.on('error', () => {});
    await writer.query('CREATE TABLE kept AS SELECT generate_series(1, 1000) AS id');
    await first.kill();
    const second = await startPostgresServer({ dataDirectory });
    const reader = await second.connect();
    const { rows } = await reader.query('SELECT count(*)::int AS count FROM kept');
    await reader.end();
    await second.stop();
    expect(rows).toEqual([{ count: 1000 }]);
  });

  it('says why a server does not start, and leaves nothing', async () => {
    const starting = startPostgresServer({ dataDirectory, settings: { shared_buffers: 'much' } });
    await expect(starting).rejects.toThrow(PostgresServerError);
    await expect(starting).rejects.toThrow(/shared_buffers/);
    if (onLinux) expect(await processesWith(dataDirectory)).toEqual([]);
  });

  it('refuses to initialize a directory that holds something', async () => {
    await expect(initializePostgres(dataDirectory)).rejects.toThrow(/initdb failed/);
  });

  it('does not log rows', async () => {
    const server = await startPostgresServer({ dataDirectory });
    const client = await server.connect();
    await client.query('CREATE TABLE IF NOT EXISTS once (word text PRIMARY KEY)');
    await client.query(`INSERT INTO once VALUES ('confidential')`);
    await expect(client.query(`INSERT INTO once VALUES ('confidential')`)).rejects.toThrow(/duplicate key/);
    await client.end();
    await server.stop();
    const log = await readFile(`${dataDirectory}.log`, 'utf8');
    expect(log).toContain('duplicate key');
    expect(log).not.toContain('confidential');
  });
});

describe.runIf(onLinux)('a server whose Node process is gone', () => {
  it('ends by itself when Node was killed', async () => {
    const { child, socketDirectory, pid } = await startInChild();
    const before = await processesWith(dataDirectory);
    child.kill('SIGKILL');
    expect(before).toContain(pid);
    expect(await until(async () => (await processesWith(dataDirectory)).length === 0, 15_000)).toBe(true);
    expect(await until(async () => !existsSync(socketDirectory), 5000)).toBe(true);
  });

  it('does not end with Ctrl-C, which reaches every process of the terminal', async () => {
    const { child, pid } = await startInChild();
    const groups = await Promise.all(
      [child.pid, pid].map(async one => (await readFile(`/proc/${one}/stat`, 'utf8')).split(') ')[1]?.split(' ')[2]),
    );
    child.kill('SIGKILL');
    expect(groups[0]).not.toBe(groups[1]);
    expect(await until(async () => (await processesWith(dataDirectory)).length === 0, 15_000)).toBe(true);
  });

  it('is reaped by the next start when its supervisor was killed too', async () => {
    const { child, socketDirectory, pid } = await startInChild();
    const supervisor = Number(/^PPid:\s+(\d+)$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]);
    process.kill(supervisor, 'SIGKILL');
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(await until(async () => (await processesWith(dataDirectory)).length === 1, 5000)).toBe(true);
    expect(await processesWith(dataDirectory)).toEqual([pid]);
    await reapOrphans(directory);
    expect(await processesWith(dataDirectory)).toEqual([]);
    await rm(socketDirectory, { recursive: true, force: true });
    const server = await startPostgresServer({ dataDirectory });
    await server.stop();
  });

  it('is left alone, and named, while its process works', async () => {
    const server = await startPostgresServer({ dataDirectory });
    await expect(reapOrphans(directory)).rejects.toThrow(DataDirectoryInUseError);
    const client = await server.connect();
    await client.end();
    await server.stop();
  });

  it('is not confused with another process that has its number', async () => {
    const other = spawn('sleep', ['60']);
    await writeFile(join(dataDirectory, 'postmaster.pid'), `${other.pid}\n${dataDirectory}\n`);
    await reapOrphans(directory);
    expect(other.exitCode).toBeNull();
    expect(other.signalCode).toBeNull();
    other.kill();
    await rm(join(dataDirectory, 'postmaster.pid'));
  });
});

describe('removeCluster', () => {
  it('removes the data and the log', async () => {
    const doomed = join(directory, 'doomed');
    await initializePostgres(doomed);
    const server = await startPostgresServer({ dataDirectory: doomed });
    await server.stop();
    await removeCluster(doomed);
    expect((await readdir(directory)).sort()).toEqual(['data', 'data.log']);
  });
});

describe.runIf(process.getuid?.() === 0)('makeReachableDirectory', () => {
  it('finds another place where the user of PostgreSQL cannot go, always the same', async () => {
    const closed = await makeTemporaryDirectory();
    await chmod(closed, 0o700);
    const { user } = await findPostgres();
    const place = await makeReachableDirectory(join(closed, 'data'));
    expect(user?.uid).toBeGreaterThan(0);
    expect(place).toMatch(/^\/var\/tmp\/daybreak-[0-9a-f]{16}$/);
    expect(await makeReachableDirectory(join(closed, 'data'))).toBe(place);
    await rm(place, { recursive: true });
    await rm(closed, { recursive: true });
  });

  it('uses a directory that the user can reach', async () => {
    expect(await makeReachableDirectory(join(directory, 'data'))).toBe(join(directory, 'data'));
    expect(directory.startsWith(tmpdir())).toBe(true);
  });
});
