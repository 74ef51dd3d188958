import { randomBytes } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { extractArchive, writeArchive } from '../../../../infra/local/rds/archive.ts';
import { findPostgres } from '../../../../infra/local/rds/binaries.ts';
import { hotBackup } from '../../../../infra/local/rds/hot-backup.ts';
import { initializePostgres, type PostgresServer, startPostgresServer } from '../../../../infra/local/rds/server.ts';
import { makeTemporaryDirectory } from './temporary-directory.ts';

const WRITERS = 4;
const ACCOUNTS = 2000;

let directory: string;
let source: PostgresServer;

beforeAll(async () => {
  directory = await makeTemporaryDirectory();
  await initializePostgres(join(directory, 'source'));
  // Small buffers and WAL, so that pages are written, and WAL is recycled, while the files are copied.
  source = await startPostgresServer({
    dataDirectory: join(directory, 'source'),
    settings: { shared_buffers: '2MB', max_wal_size: '16MB', min_wal_size: '8MB', wal_keep_size: '0' },
  });
  const client = await source.connect();
  await client.query(`
    CREATE EXTENSION amcheck;
    CREATE TABLE account (id int PRIMARY KEY, balance int NOT NULL, filler text NOT NULL) WITH (fillfactor = 60);
    INSERT INTO account SELECT id, 1000, repeat('x', 400) FROM generate_series(1, ${ACCOUNTS}) AS id;
    CREATE TABLE written (writer int, number int, filler text NOT NULL, PRIMARY KEY (writer, number));
    CREATE TABLE grown AS SELECT id, md5(id::text) AS digest FROM generate_series(1, 100000) AS id;
    CREATE UNLOGGED TABLE scratch AS SELECT 1 AS id`);
  await client.end();
});

afterAll(async () => {
  await source.stop();
  await rm(directory, { recursive: true });
});

/** Moves amounts between accounts and numbers its transactions. `acknowledged` is the last that was committed. */
function startWriter(writer: number, firstNumber: number) {
  let acknowledged = firstNumber - 1;
  let stopping = false;
  const done = (async () => {
    const client = await source.connect();
    for (let number = firstNumber; !stopping; number++) {
      const [from, to] = [1 + ((number * 7919 + writer) % ACCOUNTS), 1 + ((number * 104729 + writer * 31) % ACCOUNTS)];
      const [low, high] = from < to ? [from, to] : [to, from];
      await client.query(`
        BEGIN;
        SELECT FROM account WHERE id IN (${low}, ${high}) ORDER BY id FOR UPDATE;
        UPDATE account SET balance = balance - 1 WHERE id = ${from};
        UPDATE account SET balance = balance + 1 WHERE id = ${to};
        INSERT INTO written VALUES (${writer}, ${number}, repeat('y', 500));
        COMMIT`);
      acknowledged = number;
    }
    await client.end();
  })();
  done.catch(() => {});
  return {
    acknowledged: () => acknowledged,
    stop: async () => {
      stopping = true;
      await done;
    },
  };
}

describe('hotBackup', () => {
  it('restores to the instant of its end while many write', async () => {
    const key = randomBytes(32);
    const { user } = await findPostgres();
    let next = 1;
    for (let round = 1; round <= 3; round++) {
      const writers = Array.from({ length: WRITERS }, (_, writer) => startWriter(writer, next));
      await expect
        .poll(() => Math.min(...writers.map(writer => writer.acknowledged())), { timeout: 20_000 })
        .toBeGreaterThan(next + 50);

      const before = writers.map(writer => writer.acknowledged());
      let atEnd: number[] = [];
      const archive = join(directory, `archive-${round}`);
      await writeArchive(
        archive,
        hotBackup(source, () => {
          atEnd = writers.map(writer => writer.acknowledged());
        }),
        key,
      );
      await Promise.all(writers.map(writer => writer.stop()));
      next = Math.max(...writers.map(writer => writer.acknowledged())) + 1;

      const target = join(directory, `restored-${round}`);
      await extractArchive(archive, key, target, user);
      expect(await readdir(target)).toContain('backup_label');
      const restored = await startPostgresServer({ dataDirectory: target });
      const client = await restored.connect();
      const { rows: sums } = await client.query(
        'SELECT sum(balance)::int AS total, count(*)::int AS accounts FROM account',
      );
      expect(sums).toEqual([{ total: ACCOUNTS * 1000, accounts: ACCOUNTS }]);
      const { rows: numbers } = await client.query<{ writer: number; last: number; count: number; first: number }>(
        `SELECT writer, max(number) AS last, count(*)::int AS count, min(number) AS first
         FROM written WHERE number >= ${Math.min(...before)} GROUP BY writer ORDER BY writer`,
      );
      expect(numbers).toHaveLength(WRITERS);
      for (const { writer, last, count, first } of numbers) {
        // Every transaction up to one between start and end, without a gap. The last may be committed, not yet answered.
        expect(count).toBe(last - first + 1);
        expect(last).toBeGreaterThanOrEqual(before[writer] ?? Number.NaN);
        expect(last).toBeLessThanOrEqual((atEnd[writer] ?? Number.NaN) + 1);
      }
      const { rows: checks } = await client.query<{ index: string }>(
        `SELECT c.relname AS index, bt_index_check(c.oid, heapallindexed => true) FROM pg_index
         JOIN pg_class c ON c.oid = indexrelid JOIN pg_am a ON a.oid = relam WHERE amname = 'btree' AND relpersistence = 'p'`,
      );
      expect(checks.length).toBeGreaterThan(100);
      const { rows: heap } = await client.query(
        `SELECT * FROM pg_class c, LATERAL verify_heapam(c.oid) WHERE relkind IN ('r', 't', 'm') AND relpersistence = 'p'`,
      );
      expect(heap).toEqual([]);
      // Unlogged tables come back empty, as after a crash.
      expect((await client.query('SELECT FROM scratch')).rowCount).toBe(0);
      await client.query(`INSERT INTO written VALUES (99, ${round}, 'after')`);
      await client.end();
      await restored.stop();
      await rm(target, { recursive: true });
    }
  }, 120_000);

  it('leaves the source without slots, and takes another backup at once', async () => {
    const client = await source.connect();
    const { rowCount } = await client.query('SELECT FROM pg_replication_slots');
    await client.end();
    expect(rowCount).toBe(0);
  });

  it('ends the backup on the server when nobody reads on', async () => {
    const entries = hotBackup(source, () => {});
    await entries.next();
    await entries.return(undefined);
    const names: string[] = [];
    for await (const { path, content } of hotBackup(source, () => {})) {
      names.push(path);
      for await (const _ of content);
    }
    expect(names).not.toContain('postmaster.pid');
    expect(names).not.toContain('postmaster.opts');
    expect(names.filter(name => /^(?:pg_replslot|pg_stat_tmp|pg_notify)\//.test(name))).toEqual([]);
    expect(names.indexOf('backup_label')).toBeGreaterThan(names.indexOf('global/pg_control'));
    expect(names.filter(name => /^pg_wal\/[0-9A-F]{24}$/.test(name)).length).toBeGreaterThan(0);
  });
});
