import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BucketDigests } from '../../../../functions/platform/fingerprint/bucket-digests.ts';
import { listRelations } from '../../../../functions/platform/fingerprint/catalog.ts';
import {
  type MeasurementPlan,
  measureTable,
  planAfresh,
  type TableDetails,
} from '../../../../functions/platform/fingerprint/measure-table.ts';
import type { Database, Query } from '../../../../functions/platform/postgres.ts';
import { TestDatabase } from '../../../fixtures/database.ts';
import { measureWhole } from '../../../fixtures/fingerprint.ts';

const seeds: [string, string] = ['-9223372036854775808', '9223372036854775807'];
const manyColumns = Array.from({ length: 205 }, (_, i) => `c${i}`);
let source: TestDatabase;
let reader: Database;
beforeAll(async () => {
  source = await TestDatabase.create();
  reader = source.asReader();
}, 120_000);
afterAll(() => source.remove());

async function measure(
  name: string,
  plan: Partial<MeasurementPlan> = {},
  kind: 'table' | 'materialized-view' = 'table',
) {
  const dot = name.indexOf('.');
  const [schema, table] = dot < 0 ? ['public', name] : [name.slice(0, dot), name.slice(dot + 1)];
  return measureWhole(reader, { schema, table, kind }, details => ({ ...planAfresh(details, seeds), ...plan }));
}

/** A bucket as `rows sum sum`. */
const digestIn = (bucket: number, digests: BucketDigests) =>
  [digests.rowsIn(bucket), digests.sumIn(0, bucket), digests.sumIn(1, bucket)].join(' ');
const filled = (digests: BucketDigests) =>
  Array.from({ length: digests.bucketCount }, (_, bucket) => digests.rowsIn(bucket)).filter(rows => rows > 0);

/** The digest of a table with one bucket and no recent rows. */
async function digestOf(name: string) {
  const { rows } = await measure(name, { bucketCount: 1 });
  expect(rows.recent.rowCount).toBe(0);
  return { rows: rows.settled.rowCount, digest: digestIn(0, rows.settled) };
}

describe('measureTable', () => {
  it('tells apart rows that would print alike', async () => {
    await source.execute(`CREATE TYPE pair AS (a text, b text); CREATE TABLE alike (a text, b text, c pair, d int[])`);
    const variants = [
      `'x', NULL, NULL, NULL`,
      `NULL, 'x', NULL, NULL`,
      `'x', '', NULL, NULL`,
      `'', 'x', NULL, NULL`,
      `'t', 'x', NULL, NULL`,
      `'NULL', 'x', NULL, NULL`,
      `NULL, NULL, NULL, NULL`,
      `NULL, NULL, ROW(NULL, NULL), NULL`,
      `NULL, NULL, ROW('', NULL), NULL`,
      `NULL, NULL, NULL, '{}'`,
      `NULL, NULL, NULL, '{NULL}'`,
      `'tttt', NULL, NULL, NULL`,
      `E'\\u001f', 'x', NULL, NULL`,
    ];
    const digests = new Set<string>();
    for (const values of variants) {
      await source.execute(`TRUNCATE alike; INSERT INTO alike VALUES (${values})`);
      digests.add((await digestOf('alike')).digest);
    }
    expect(digests.size).toBe(variants.length);
  });

  it('tells apart functions of one name, and operators', async () => {
    await source.execute(`
      CREATE FUNCTION twin(int) RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE FUNCTION twin(text) RETURNS int LANGUAGE sql AS 'SELECT 2';
      CREATE DOMAIN operator AS regoper; CREATE TABLE calls (f regproc, o operator)`);
    const digests = new Set<string>();
    for (const [f, o] of [
      ['twin(int)', '+(int4,int4)'],
      ['twin(text)', '+(int4,int4)'],
      ['twin(int)', '+(int8,int8)'],
    ]) {
      await source.execute(
        `TRUNCATE calls; INSERT INTO calls VALUES ('${f}'::regprocedure::oid, '${o}'::regoperator::oid)`,
      );
      digests.add((await digestOf('calls')).digest);
    }
    expect(digests.size).toBe(3);
  });

  it('believes no NOT NULL that was never validated', async () => {
    // As PostgreSQL 18 leaves ADD CONSTRAINT … NOT NULL … NOT VALID, made by hand on an older one.
    await source.execute(`
      CREATE TABLE unsure (a text, b text);
      ALTER TABLE unsure ADD CONSTRAINT a CHECK (a IS NOT NULL) NOT VALID, ADD CONSTRAINT b CHECK (b IS NOT NULL) NOT VALID;
      UPDATE pg_constraint SET contype = 'n' WHERE conrelid = 'unsure'::regclass;
      UPDATE pg_attribute SET attnotnull = true WHERE attrelid = 'unsure'::regclass AND attnum > 0;
      UPDATE pg_class SET relchecks = 0 WHERE oid = 'unsure'::regclass;
      SET session_replication_role = replica`);
    const digests: string[] = [];
    for (const values of [`'x', NULL`, `NULL, 'x'`]) {
      await source.execute(`
        UPDATE pg_attribute SET attnotnull = false WHERE attrelid = 'unsure'::regclass AND attnum > 0;
        TRUNCATE unsure; INSERT INTO unsure VALUES (${values});
        UPDATE pg_attribute SET attnotnull = true WHERE attrelid = 'unsure'::regclass AND attnum > 0`);
      digests.push((await digestOf('unsure')).digest);
    }
    expect(digests[0]).not.toBe(digests[1]);
  });

  it('reads what the type prints, whatever casts, columns and sessions there are', async () => {
    await source.execute(`
      CREATE TABLE odd (r int, q text, content money, t timestamptz, "a ""b" float8, xmin_ int, PRIMARY KEY (r));
      INSERT INTO odd VALUES (1, E'a\\tb', 12.5, '2026-11-22 03:00+01', 0.1 + 0.2::float8, 4);
      CREATE FUNCTION lie(odd) RETURNS text LANGUAGE sql AS 'SELECT ''lie''';
      CREATE CAST (odd AS text) WITH FUNCTION lie(odd);
      ALTER ROLE daybreak_reader SET DateStyle = 'SQL, DMY'; ALTER ROLE daybreak_reader SET TimeZone = 'Asia/Tokyo';
      ALTER ROLE daybreak_reader SET extra_float_digits = -5;`);
    await reader.close();
    const pinned = await digestOf('odd');
    await source.execute(`ALTER ROLE daybreak_reader RESET ALL`);
    await reader.close();
    expect(await digestOf('odd')).toEqual(pinned);
    await source.execute(`UPDATE odd SET "a ""b" = 0.3`);
    expect(await digestOf('odd')).not.toEqual(pinned);
  });

  it('reads more columns than a function takes arguments, and tables without any', async () => {
    await source.execute(`
      CREATE TABLE wide (${manyColumns.map(name => `${name} int`).join(', ')});
      INSERT INTO wide SELECT ${manyColumns.map((_, i) => i).join(', ')};
      CREATE TABLE empty (); INSERT INTO empty DEFAULT VALUES; INSERT INTO empty DEFAULT VALUES`);
    const wide = await digestOf('wide');
    expect(wide.rows).toBe(1);
    await source.execute('UPDATE wide SET c204 = NULL');
    expect(await digestOf('wide')).not.toEqual(wide);
    expect((await digestOf('empty')).rows).toBe(2);
  });

  it('counts each row once: inheritance, partitions, dropped columns, names with quotes', async () => {
    await source.execute(`
      CREATE SCHEMA "o'dd ""x"; CREATE TABLE "o'dd ""x"."Par ent" (id int, gone text, "Key" int PRIMARY KEY);
      CREATE TABLE child () INHERITS ("o'dd ""x"."Par ent");
      INSERT INTO "o'dd ""x"."Par ent" VALUES (1, 'a', 1), (2, 'b', 2); INSERT INTO child VALUES (3, 'c', 3);
      ALTER TABLE "o'dd ""x"."Par ent" DROP COLUMN gone`);
    const parent = await measure(`o'dd "x.Par ent`);
    expect(parent.rows.settled.rowCount).toBe(2);
    expect(parent.plan.bucketColumns).toEqual(['Key']);
    expect((await digestOf('child')).rows).toBe(1);
  });

  it('buckets by the primary key, else by a unique index, else by the row', async () => {
    await source.execute(`
      CREATE TABLE keyed (a int, b int UNIQUE, c int, PRIMARY KEY (c, a));
      CREATE TABLE uniquely (a int, b int); CREATE UNIQUE INDEX ON uniquely (lower(a::text));
      CREATE UNIQUE INDEX ON uniquely (a) WHERE b > 0; CREATE UNIQUE INDEX uniquely_b ON uniquely (b) INCLUDE (a);
      CREATE TABLE keyless (a int)`);
    expect((await measure('keyed')).plan.bucketColumns).toEqual(['c', 'a']);
    expect((await measure('uniquely')).plan.bucketColumns).toEqual(['b']);
    expect((await measure('keyless')).plan.bucketColumns).toEqual([]);
  });

  it('spreads a big table over buckets of about 500 rows, at most 262,144', async () => {
    await source.execute(
      `CREATE TABLE big (id int PRIMARY KEY); INSERT INTO big SELECT generate_series(1, 100000); ANALYZE big`,
    );
    const { plan, rows } = await measure('big');
    expect(plan.bucketCount).toBe(200);
    const sizes = filled(rows.settled);
    expect(sizes).toHaveLength(200);
    expect(Math.max(...sizes)).toBeLessThan(650);
    expect(
      planAfresh({ estimatedRows: 1e12, keyColumns: [], snapshot: { xmin: 1n, xmax: 1n } }, seeds).bucketCount,
    ).toBe(262_144);
  });

  it('can be read by parallel workers, each row’s text made once', async () => {
    let statement = '';
    const spy = source.asReader();
    const run = spy.transaction.bind(spy);
    spy.transaction = (isolation, work) =>
      run(isolation, query =>
        work((async (sql, values) => {
          if (sql.includes('hashtextextended')) {
            const plan = await query<{ 'QUERY PLAN': string }>(`EXPLAIN (VERBOSE) ${sql}`, values);
            statement = plan.map(row => row['QUERY PLAN']).join('\n');
          }
          return query(sql, values);
        }) as Query),
      );
    await source.execute(
      `CREATE TABLE huge (id int PRIMARY KEY, filler text); INSERT INTO huge SELECT g, repeat('x', 400) FROM generate_series(1, 60000) g; ANALYZE huge`,
    );
    await measureWhole(spy, { schema: 'public', table: 'huge', kind: 'table' }, details => planAfresh(details, seeds));
    // Below the aggregation, the scan itself puts out the text: it is not made again for each hash.
    expect(statement).toMatch(
      /Partial HashAggregate[\s\S]*Parallel Seq Scan on public\.huge r[^\n]*\n *Output: concat_ws\(/,
    );
  });

  it('calls rows of ended transactions settled, and all others recent, subtransactions as well', async () => {
    await source.execute('CREATE TABLE live (id int PRIMARY KEY); INSERT INTO live VALUES (1), (2)');
    const open = await source.session();
    await open.query('BEGIN; INSERT INTO live VALUES (10); SAVEPOINT a; INSERT INTO live VALUES (11); RELEASE a');
    await source.execute('INSERT INTO live VALUES (3)');
    const before = await measure('live', { bucketCount: 1 });
    expect([before.rows.settled.rowCount, before.rows.recent.rowCount]).toEqual([2, 1]);
    await open.query('SAVEPOINT b; INSERT INTO live VALUES (12); COMMIT');
    await open.end();
    const after = await measure('live', { bucketCount: 1, horizon: before.plan.horizon });
    expect(digestIn(0, after.rows.settled)).toBe(digestIn(0, before.rows.settled));
    expect(after.rows.recent.rowCount).toBe(4);
  });

  it('keeps the order after ⊆ before under writers, bucket by bucket', async () => {
    await source.execute(
      `CREATE TABLE churn (id int PRIMARY KEY, v int); INSERT INTO churn SELECT g, 0 FROM generate_series(1, 400) g`,
    );
    const writers = await Promise.all([1, 2, 3].map(() => source.session()));
    let stop = false;
    const writing = writers.map(async (writer, w) => {
      for (let i = 0; !stop; i++) {
        const id = ((i * 7919 + w * 131) % 400) + 1;
        await writer.query(`BEGIN; SAVEPOINT s; UPDATE churn SET v = v + 1 WHERE id = ${id}; RELEASE s;
          DELETE FROM churn WHERE id = ${400 + id + w * 1000}; INSERT INTO churn VALUES (${400 + id + w * 1000}, 0) ON CONFLICT DO NOTHING`);
        await writer.query(i % 3 ? 'COMMIT' : 'ROLLBACK');
      }
    });
    try {
      for (let round = 0; round < 8; round++) {
        const before = await measure('churn', { bucketCount: 7 });
        const { horizon } = before.plan;
        let least = before.rows.settled;
        for (let later = 0; later < 3; later++) {
          const next = (await measure('churn', { bucketCount: 7, horizon })).rows.settled;
          for (let bucket = 0; bucket < 7; bucket++) {
            expect(next.rowsIn(bucket)).toBeLessThanOrEqual(least.rowsIn(bucket));
            if (next.rowsIn(bucket) === least.rowsIn(bucket))
              expect(digestIn(bucket, next)).toBe(digestIn(bucket, least));
          }
          least = next;
        }
      }
    } finally {
      stop = true;
      await Promise.all(writing);
      await Promise.all(writers.map(writer => writer.end()));
    }
  });

  it('waits for a lock only so long, and says so', async () => {
    await source.execute('CREATE TABLE held (a int)');
    const holder = await source.session();
    await holder.query('BEGIN; LOCK TABLE held');
    const database = source.asReader();
    await database.query(`SET lock_timeout = '100ms'`);
    const relation = { schema: 'public', table: 'held', kind: 'table' } as const;
    const run = {
      plan: (details: TableDetails) => planAfresh(details, seeds),
      hasWholeCall: true,
      timeIsShort: () => false,
    };
    await expect(measureTable(database, relation, run)).rejects.toMatchObject({ sqlState: '55P03' });
    await holder.end();
    expect(await measureTable(database, relation, run)).toMatchObject({ kind: 'measured' });
    expect(await measureTable(database, { ...relation, table: 'none' }, run)).toEqual({ kind: 'gone' });
    expect(await measureTable(database, { ...relation, schema: 'none' }, run)).toEqual({ kind: 'gone' });
  });

  it('measures a materialized view', async () => {
    await source.execute(
      'CREATE MATERIALIZED VIEW ten AS SELECT generate_series(1, 10) AS a; CREATE MATERIALIZED VIEW unfilled AS SELECT 1 WITH NO DATA',
    );
    const { rows } = await measure('ten', { bucketCount: 1 }, 'materialized-view');
    expect(rows.settled.rowCount).toBe(10);
    const { relations } = await listRelations(reader.query);
    expect(relations.filter(({ kind }) => kind === 'materialized-view').map(({ table }) => table)).toEqual(['ten']);
  });
});

describe('cancelWhen', () => {
  it('ends a statement when time is short, and the connection still works', async () => {
    const database = source.asReader();
    let asked = 0;
    await expect(
      database.cancelWhen(
        () => ++asked > 1,
        () => database.query('SELECT pg_sleep(30)'),
      ),
    ).rejects.toMatchObject({ sqlState: '57014' });
    expect(await database.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  it('connects again after the server ended the connection, but never inside a transaction', async () => {
    const database = source.asReader();
    await database.query('SELECT 1');
    await source.disconnectReaders();
    await expect(
      database.transaction('READ COMMITTED', async query => {
        await source.disconnectReaders();
        return await query('SELECT 1');
      }),
    ).rejects.toMatchObject({ name: 'DatabaseUnavailableError' });
    expect(await database.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });
});
