import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeDigests } from '../../../../functions/platform/fingerprint/bucket-digests.ts';
import {
  type MeasurementPlan,
  type MeasurementRun,
  measureTable,
  noRows,
  type OpenMeasurement,
  planAfresh,
} from '../../../../functions/platform/fingerprint/measure-table.ts';
import { decodeOpen, encodeOpen } from '../../../../functions/platform/fingerprint/open-measurement.ts';
import { type Database, DatabaseQueryError, type Query } from '../../../../functions/platform/postgres.ts';
import { TestDatabase } from '../../../fixtures/database.ts';
import { measureWhole, seeds } from '../../../fixtures/fingerprint.ts';

const ROWS = 6000;
const BUCKETS = 64;
const relation = (table: string) => ({ schema: 'public', table, kind: 'table' }) as const;
let source: TestDatabase;
beforeAll(async () => {
  source = await TestDatabase.create();
}, 120_000);
afterAll(() => source.remove());

const createTable = (table: string) =>
  source.execute(`CREATE TABLE ${table} (id int PRIMARY KEY, v int, filler text) WITH (fillfactor = 70);
    INSERT INTO ${table} SELECT g, 0, repeat('x', 200) FROM generate_series(1, ${ROWS}) g; ANALYZE ${table}`);

/** A measurement of which nothing was read yet, in ranges of `blocks`. */
async function begin(database: Database, table: string, blocks: number, plan: Partial<MeasurementPlan> = {}) {
  const whole = await measureWhole(database, relation(table), details => ({
    ...planAfresh(details, seeds),
    bucketCount: BUCKETS,
    ...plan,
  }));
  const { lastMeasuredAt: _, ...open } = whole;
  return { whole, open: { ...open, rows: noRows(BUCKETS), rangeCount: 0, rangeBlocks: blocks } as OpenMeasurement };
}

/** Measures on, each range of the same size, and says how many there were. */
async function measureOn(
  database: Database,
  table: string,
  open: OpenMeasurement,
  { onRange, ...run }: Partial<MeasurementRun> = {},
) {
  const blocks = open.rangeBlocks;
  const result = await measureTable(database, relation(table), {
    plan: details => ({ ...planAfresh(details, seeds), bucketCount: BUCKETS }),
    from: open,
    hasWholeCall: true,
    timeIsShort: () => false,
    ...run,
    onRange: async measured => {
      measured.rangeBlocks = blocks;
      await onRange?.(measured);
    },
  });
  return result;
}

const bytesOf = ({ rows }: Pick<OpenMeasurement, 'rows'>) =>
  encodeDigests([rows.settled, rows.recent, rows.later]).toString('hex');

describe('measureTable in ranges', () => {
  it('comes to what one range comes to, also when it is kept and goes on after each', async () => {
    await createTable('quiet');
    const database = source.asReader();
    const { whole, open } = await begin(database, 'quiet', 40);
    let state = open;
    for (let calls = 0; ; calls++) {
      const result = await measureOn(database, 'quiet', state, { timeIsShort: () => true });
      if (result.kind === 'measured') {
        expect(bytesOf(result.measurement)).toBe(bytesOf(whole));
        expect(result.measurement.rangeCount).toBe(calls + 1);
        expect(calls).toBeGreaterThan(3);
        break;
      }
      if (result.kind !== 'unfinished' || result.open === undefined) throw new Error(result.kind);
      expect(decodeOpen('another', encodeOpen('quiet', result.open))).toBeUndefined();
      state = decodeOpen('quiet', encodeOpen('quiet', result.open)) as OpenMeasurement;
      expect(state).toEqual(result.open);
    }
  }, 60_000);

  it('adds up to sound bounds, whatever is written, and wherever VACUUM cleans, between the ranges', async () => {
    await createTable('busy');
    const database = source.asReader();
    const writers = await Promise.all([1, 2, 3].map(() => source.session()));
    let stop = false;
    const writing = writers.map(async (writer, w) => {
      // Two of them may wait for each other.
      const attempt = (statements: string) =>
        writer.query(statements).then(
          () => true,
          () => false,
        );
      for (let i = 0; !stop; i++) {
        const id = ((i * 7919 + w * 131) % ROWS) + 1;
        const made = ROWS + 1 + w * 100_000 + i;
        const wrote = await attempt(`BEGIN; SAVEPOINT s; UPDATE busy SET v = v + 1 WHERE id = ${id}; RELEASE s;
          INSERT INTO busy VALUES (${made}, 1, 'y'); SAVEPOINT t; DELETE FROM busy WHERE id IN (${made - 40}, ${(id * 31) % ROWS});
          UPDATE busy SET id = -id WHERE id = ${(id * 17) % ROWS}`);
        await writer.query(!wrote || i % 5 === 0 ? 'ROLLBACK' : i % 5 === 1 ? 'ROLLBACK TO t; COMMIT' : 'COMMIT');
      }
    });
    const vacuum = async () => {
      await source.execute('VACUUM busy');
    };
    try {
      let drifted = 0;
      for (let round = 0; round < 3; round++) {
        const { open } = await begin(database, 'busy', 50);
        const { horizon } = open.plan;
        const before = await measureOn(database, 'busy', open, { onRange: vacuum });
        // What a backup of this instant holds.
        const { rows: backup } = (await begin(database, 'busy', 50, { horizon })).whole;
        const { open: afresh } = await begin(database, 'busy', 50, { horizon });
        const after = await measureOn(database, 'busy', afresh, { onRange: vacuum });
        if (before.kind !== 'measured' || after.kind !== 'measured') throw new Error('not measured');
        expect(before.measurement.rangeCount).toBeGreaterThan(2);
        const [most, least] = [before.measurement.rows.settled, after.measurement.rows.settled];
        for (let bucket = 0; bucket < BUCKETS; bucket++) {
          for (const [more, fewer] of [
            [most, backup.settled],
            [backup.settled, least],
          ] as const) {
            expect(fewer.rowsIn(bucket)).toBeLessThanOrEqual(more.rowsIn(bucket));
            if (fewer.rowsIn(bucket) === more.rowsIn(bucket)) {
              expect([fewer.sumIn(0, bucket), fewer.sumIn(1, bucket)]).toEqual([
                more.sumIn(0, bucket),
                more.sumIn(1, bucket),
              ]);
            } else drifted += 1;
          }
        }
      }
      expect(drifted).toBeGreaterThan(0);
    } finally {
      stop = true;
      await Promise.all(writing);
      await Promise.all(writers.map(writer => writer.end()));
    }
  }, 120_000);

  it.each([
    ['VACUUM (FULL) moved', 'rewritten'],
    ['ALTER TABLE moved ALTER COLUMN v SET NOT NULL; ALTER TABLE moved ALTER COLUMN v DROP NOT NULL', undefined],
    ['ALTER TABLE moved ADD COLUMN more_$ int', 'redefined'],
  ])(
    'begins afresh after %s, and gives up when it comes again and again',
    async (statements, why) => {
      await source.execute('DROP TABLE IF EXISTS moved');
      await createTable('moved');
      const database = source.asReader();
      let times = 0;
      let columns = 0;
      const meanwhile = (limit: number) => async () => {
        if (times++ < limit) await source.execute(statements.replace('$', String(++columns)));
      };
      const once = await measureOn(database, 'moved', (await begin(database, 'moved', 60)).open, {
        onRange: meanwhile(1),
      });
      expect(once).toMatchObject({ kind: 'measured', measurement: { restartCount: why ? 1 : 0 } });
      const { whole } = await begin(database, 'moved', 60);
      if (once.kind === 'measured') expect(bytesOf(once.measurement)).toBe(bytesOf(whole));
      if (why === undefined) return;
      const last = (await begin(database, 'moved', 60)).open;
      times = 0;
      last.restartCount = 3;
      expect(await measureOn(database, 'moved', last, { onRange: meanwhile(1) })).toEqual({
        kind: 'unmeasurable',
        why,
      });
    },
    60_000,
  );

  it('tries a range three times where the table is locked in the middle, and then says so', async () => {
    await createTable('held');
    const database = source.asReader();
    await database.query(`SET lock_timeout = '100ms'`);
    const holder = await source.session();
    const lock = async () => {
      await holder.query('BEGIN; LOCK TABLE held');
    };
    await expect(
      measureOn(database, 'held', (await begin(database, 'held', 60)).open, { onRange: lock }),
    ).rejects.toMatchObject({ sqlState: '55P03' });
    await holder.query('ROLLBACK');
    let locked = false;
    const lockOnce = async () => {
      if (locked) return;
      locked = true;
      await lock();
      setTimeout(() => void holder.query('ROLLBACK'), 150);
    };
    const result = await measureOn(database, 'held', (await begin(database, 'held', 60)).open, { onRange: lockOnce });
    expect(result).toMatchObject({ kind: 'measured', measurement: { rows: { settled: { rowCount: ROWS } } } });
    await holder.end();
  }, 60_000);

  it('halves a range that takes too long, down to a block, and gives up only then', async () => {
    await createTable('slow');
    const database = source.asReader();
    const { whole } = await begin(database, 'slow', 1);
    const run: MeasurementRun = {
      plan: details => ({ ...planAfresh(details, seeds), bucketCount: BUCKETS }),
      hasWholeCall: true,
      timeIsShort: () => false,
    };
    const result = await measureTable(cancelFirst(database, 3), relation('slow'), run);
    expect(result).toMatchObject({ kind: 'measured' });
    if (result.kind === 'measured') {
      expect(result.measurement.rangeCount).toBeGreaterThan(1);
      expect(bytesOf(result.measurement)).toBe(bytesOf(whole));
    }
    expect(await measureTable(cancelFirst(database, 1000), relation('slow'), run)).toEqual({
      kind: 'unmeasurable',
      why: 'out-of-time',
    });
    // What had only the rest of a call gets a whole one.
    const rest = { ...run, hasWholeCall: false, timeIsShort: () => true };
    expect(await measureTable(cancelFirst(database, 1000), relation('slow'), rest)).toEqual({
      kind: 'unfinished',
      open: undefined,
    });
  }, 60_000);
});

/** Cancels the first `count` statements that read rows. */
function cancelFirst(database: Database, count: number): Database {
  let cancelled = 0;
  return intercept(database, async sql => {
    if (sql.includes('hashtextextended') && cancelled++ < count) throw new DatabaseQueryError('cancelled', '57014');
  });
}

function intercept(database: Database, before: (sql: string) => Promise<void>): Database {
  return {
    cancelWhen: <T>(_: () => boolean, work: () => Promise<T>) => work(),
    transaction: <T>(isolation: 'REPEATABLE READ', work: (query: Query) => Promise<T>) =>
      database.transaction(isolation, query =>
        work((async (sql: string, values?: readonly unknown[]) => {
          await before(sql);
          return query(sql, values);
        }) as Query),
      ),
  } as unknown as Database;
}
