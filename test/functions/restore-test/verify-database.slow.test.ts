import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Acceptance } from '../../../functions/contracts/gap.ts';
import { countRemovedRows } from '../../../functions/platform/fingerprint/measure-table.ts';
import { shorten } from '../../../functions/restore-test/verify-database.ts';
import { TestDatabase } from '../../fixtures/database.ts';
import { type TakenFingerprint, takeFingerprint } from '../../fixtures/fingerprint.ts';
import { verifyCopy } from '../../fixtures/verify-copy.ts';

const SCHEMA = `
  CREATE TABLE school (id text PRIMARY KEY, name text NOT NULL);
  CREATE TABLE pupil (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, school_id text NOT NULL REFERENCES school,
    name text, t text, marks numeric[], seen timestamptz DEFAULT '2026-01-01', notes text);
  CREATE INDEX pupil_by_name ON pupil (name DESC NULLS LAST) WHERE name IS NOT NULL;
  CREATE TABLE entry (day date NOT NULL, pupil_id bigint REFERENCES pupil, body jsonb) PARTITION BY RANGE (day);
  CREATE TABLE entry_2025 PARTITION OF entry FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
  CREATE TABLE entry_2026 PARTITION OF entry FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
  CREATE MATERIALIZED VIEW pupils_by_school AS SELECT school_id, count(*) AS pupils FROM pupil GROUP BY 1;
  INSERT INTO school SELECT 'school-' || g, 'School ' || g FROM generate_series(1, 20) g;
  INSERT INTO pupil (school_id, name, marks, notes)
    SELECT 'school-' || (g % 20 + 1), CASE WHEN g % 7 > 0 THEN 'Pupil ' || g END, ARRAY[g, NULL, g / 3.0], repeat('note ', 5)
      FROM generate_series(1, 20000) g;
  UPDATE pupil SET notes = (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 400) i) WHERE id = 77;
  INSERT INTO entry SELECT '2025-06-01'::date + g % 400, g, jsonb_build_object('mood', g % 5) FROM generate_series(1, 5000) g;
  REFRESH MATERIALIZED VIEW pupils_by_school;
  ANALYZE;
`;

async function nextXid(database: TestDatabase): Promise<bigint> {
  const [row] = await database.execute<{ xid: string }>('SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS xid');
  return BigInt(row?.xid ?? '');
}

const verify = (
  copy: TestDatabase,
  before: TakenFingerprint,
  after: TakenFingerprint,
  firstTouchXid?: bigint,
  options?: Parameters<typeof verifyCopy>[2],
) => verifyCopy(copy, { before, after, firstTouchXid }, options);

let source: TestDatabase;
beforeAll(async () => {
  source = await TestDatabase.create({ schema: SCHEMA });
}, 120_000);
afterAll(() => source.remove());

describe('a quiet database', () => {
  it('is compared exactly, and completely', async () => {
    const before = await takeFingerprint(source);
    const restored = await source.restore();
    const after = await takeFingerprint(source, before);
    const verification = await verify(restored, before, after, await nextXid(restored));
    expect(verification).toEqual({
      databaseId: 'school',
      tableCount: 5,
      rowCount: 25_040,
      rowsExpected: 25_040,
      rowsComparedExactly: 25_040,
      driftRowCount: 0,
      foreignKeysChecked: 2,
      indexesChecked: 8,
      heapRelationsChecked: 5,
      gaps: [],
      gapTotals: [],
      findings: [],
      findingCount: 0,
    });

    // A deadline that comes once the first index was checked: rows were compared, and what was left is counted.
    const isLate = (results: object) => Object.keys(results).some(id => id.startsWith('index'));
    const late = shorten(await verify(restored, before, after, undefined, { isLate }));
    expect(late).toMatchObject({
      rowsComparedExactly: 25_040,
      foreignKeysChecked: 2,
      indexesChecked: 1,
      heapRelationsChecked: 0,
      gapTotals: [{ kind: 'check-not-made', gapCount: 12, rowCount: null }],
    });
    expect(late.gaps[0]?.gap).toMatchObject({ kind: 'check-not-made', why: 'out-of-time' });
    const nothing = shorten(await verify(restored, before, after, undefined, { isLate: () => true }));
    expect(nothing).toMatchObject({ rowsExpected: 25_040, rowsComparedExactly: 0, findings: [] });
    expect(nothing.gapTotals.find(({ kind }) => kind === 'rows-unreadable')?.gapCount).toBe(5);
  }, 120_000);
});

const exactly = { findings: [], driftRowCount: 0 };

describe('a source that is written to while its snapshot is taken', () => {
  it('has no findings, and its drift is counted', async () => {
    const open = await source.session();
    await open.query(`BEGIN; SAVEPOINT a; INSERT INTO school VALUES ('late-1', 'Late'); RELEASE a;
      UPDATE pupil SET name = 'renamed late' WHERE id = 5`);
    await source.execute(`INSERT INTO school VALUES ('early', 'Early')`);
    const before = await takeFingerprint(source);
    await open.query(`SAVEPOINT b; INSERT INTO school VALUES ('late-2', 'Late'); COMMIT`);
    await open.end();
    await source.execute(`
      INSERT INTO pupil (school_id, name) SELECT 'school-1', 'New ' || g FROM generate_series(1, 300) g;
      UPDATE pupil SET name = name || '!' WHERE id IN (100, 200, 300);
      DELETE FROM entry WHERE pupil_id = 400`);
    const restored = await source.restore();
    const firstTouch = await nextXid(restored);
    await source.execute(`
      INSERT INTO pupil (school_id, name) SELECT 'school-2', 'Newer ' || g FROM generate_series(1, 300) g;
      UPDATE pupil SET notes = 'edited' WHERE id % 1000 = 0;
      DELETE FROM pupil WHERE name = 'New 7'`);
    const after = await takeFingerprint(source, before);
    const database = source.asReader();
    const removed = await countRemovedRows(database.query);
    const pupil = before.index.tables.find(({ table }) => table === 'pupil');
    expect(removed.get('public.pupil')).toEqual({
      removedRowCount: (pupil?.removedRowCount ?? 0) + 25,
      deletedRowCount: (pupil?.deletedRowCount ?? 0) + 1,
    });

    const verification = await verify(restored, before, after, firstTouch);
    expect(verification).toMatchObject({ findings: [], rowCount: 25_343 - 1 });
    expect(verification.gapTotals).toEqual([{ kind: 'drift', gapCount: 1, rowCount: verification.driftRowCount }]);
    const { rowCount, rowsExpected, rowsComparedExactly, driftRowCount } = verification;
    expect(rowsExpected).toBeGreaterThanOrEqual(rowCount);
    expect(rowsComparedExactly + driftRowCount).toBe(rowsExpected);
    // Only buckets with rows on their way in are not compared; settled rows that stayed are.
    expect(driftRowCount).toBeGreaterThan(0);
    expect(driftRowCount).toBeLessThan(1300);
  }, 120_000);

  it('is compared exactly through VACUUM FULL and CLUSTER, which keep what made each row', async () => {
    const before = await takeFingerprint(source);
    await source.execute('VACUUM (FULL) pupil');
    const restored = await source.restore();
    await source.execute('CLUSTER pupil USING pupil_pkey');
    await source.execute('VACUUM (FREEZE) school');
    const after = await takeFingerprint(source, before);
    expect(await verify(restored, before, after)).toMatchObject(exactly);
  }, 120_000);

  it.each([
    ['every row is updated', `UPDATE school SET name = name || '.'`],
    [
      'the table is emptied and loaded again',
      `BEGIN; CREATE TEMP TABLE kept AS TABLE school; SET LOCAL session_replication_role = replica;
      TRUNCATE school CASCADE; INSERT INTO school TABLE kept; COMMIT`,
    ],
  ])(
    'is bounded, not compared, where %s before the snapshot and again after',
    async (_what, rewrite) => {
      const own = await TestDatabase.create({
        schema: `CREATE TABLE school (id text PRIMARY KEY, name text); INSERT INTO school SELECT g, g FROM generate_series(1, 3000) g; ANALYZE`,
      });
      try {
        const before = await takeFingerprint(own);
        await own.execute(rewrite);
        const restored = await own.restore();
        await own.execute(rewrite);
        const after = await takeFingerprint(own, before);
        expect(await verify(restored, before, after)).toMatchObject({
          findings: [],
          rowCount: 3000,
          rowsComparedExactly: rewrite.startsWith('UPDATE') ? 0 : 3000,
          rowsExpected: 3000,
          driftRowCount: 0,
          gaps: rewrite.startsWith('UPDATE') ? [{ name: 'school/table-not-bounded:rewritten:public.school' }] : [],
        });
      } finally {
        await own.remove();
      }
    },
    120_000,
  );

  it('never cuts off what keeps the test from passing', async () => {
    const own = await TestDatabase.create({
      schema: `CREATE TABLE school (id text PRIMARY KEY); INSERT INTO school VALUES ('oak'); SELECT lo_create(0);
        CREATE SCHEMA a;
        ${Array.from({ length: 120 }, (_, number) => `CREATE UNLOGGED TABLE a.cache_${number} ();`).join('\n')}`,
    });
    try {
      const before = await takeFingerprint(own);
      const restored = await own.restore();
      const after = await takeFingerprint(own, before);
      const accepted: Acceptance[] = [{ what: 'school/unlogged-table:a.cache_99', reason: 'can-be-made-again' }];
      const { gaps, gapTotals } = shorten(await verify(restored, before, after, undefined, { accepted }));
      expect(gaps.slice(0, 2).map(({ name }) => name)).toEqual(['school/large-objects', accepted[0]?.what]);
      expect(gaps).toHaveLength(30);
      expect(gapTotals).toEqual([
        { kind: 'large-objects', gapCount: 1, rowCount: 1 },
        { kind: 'unlogged-table', gapCount: 120, rowCount: null },
      ]);
    } finally {
      await own.remove();
    }
  }, 120_000);

  it('takes a table that was altered meanwhile for what it was at either end', async () => {
    const before = await takeFingerprint(source);
    const early = await source.restore();
    await source.execute(
      `ALTER TABLE school ADD COLUMN phase text DEFAULT 'primary'; CREATE VIEW phases AS SELECT phase FROM school`,
    );
    const late = await source.restore();
    const after = await takeFingerprint(source, before);
    await source.execute(`ALTER TABLE school ADD COLUMN closed boolean`);
    const between = await takeFingerprint(source, before);
    expect(await verify(early, before, after)).toMatchObject({ ...exactly, gaps: [] });
    expect(await verify(late, before, after)).toMatchObject({ ...exactly, gaps: [] });
    expect(await verify(late, before, between)).toMatchObject({
      findings: [],
      driftRowCount: 0,
      gaps: [{ name: 'school/table-of-no-end:redefined:public.school' }, { name: 'school/catalog-drift:pg_class' }],
    });
  }, 120_000);

  it('may create and drop tables', async () => {
    await source.execute('CREATE TABLE dropped AS SELECT generate_series(1, 10) AS a');
    const before = await takeFingerprint(source);
    const early = await source.restore();
    await source.execute('DROP TABLE dropped; CREATE TABLE created AS SELECT generate_series(1, 10) AS a');
    const late = await source.restore();
    const after = await takeFingerprint(source, before);
    expect(await verify(early, before, after)).toMatchObject(exactly);
    expect(await verify(late, before, after)).toMatchObject(exactly);

    // Of one that came and went neither measurement knows: that its rows came back is not excluded, and not shown.
    await source.execute('DROP TABLE created');
    const without = await takeFingerprint(source, before);
    const passing = await verify(late, before, without, await nextXid(late));
    expect(passing.findings).toEqual([]);
    expect(passing.gaps.map(({ name }) => name)).toContain('school/table-of-no-end:absent:public.created');
    const firstTouch = await nextXid(late);
    await late.execute('CREATE TABLE planted (a int)');
    const planted = await verify(late, before, without, firstTouch);
    expect(planted.findings.filter(({ kind }) => kind === 'table-added').map(({ place }) => place)).toEqual([
      'public.planted',
    ]);
    await source.execute('CREATE TABLE created AS SELECT generate_series(1, 10) AS a');
  }, 120_000);
});

describe('a copy that is not what was backed up', () => {
  let before: TakenFingerprint;
  let after: TakenFingerprint;
  let restored: TestDatabase;
  let firstTouch: bigint;

  const damaged = async (statements: string) => {
    await restored.execute(`SET session_replication_role = replica; ${statements}`);
    const { findings, rowsComparedExactly, rowCount, driftRowCount } = await verify(
      restored,
      before,
      after,
      firstTouch,
    );
    // The source was quiet: whatever differs is no drift.
    expect(driftRowCount).toBe(0);
    return { findings, unmatched: rowCount - rowsComparedExactly };
  };
  // Each case has a copy of its own, made from the same quiet source.
  const fresh = async (damage?: (dataDirectory: string) => Promise<void>) => {
    before = await takeFingerprint(source);
    restored = await source.restore(damage);
    after = await takeFingerprint(source, before);
    firstTouch = await nextXid(restored);
  };
  const bucketOf = (table: string) => expect.stringMatching(new RegExp(`^public\\.${table} bucket \\d+/\\d+$`));

  it('has lost rows, one to which others refer, has a changed one, and has one more', async () => {
    await fresh();
    const { findings } = await damaged(
      `DELETE FROM entry WHERE ctid = (SELECT min(ctid) FROM ONLY entry_2026) AND tableoid = 'entry_2026'::regclass;
      UPDATE pupil SET marks = ARRAY[1, NULL] WHERE id = 1234;
      DELETE FROM school WHERE id = 'school-3';
      INSERT INTO created VALUES (777)`,
    );
    const missing = expect.stringMatching(/^1 of \d+ rows are missing$/);
    const young = '1 rows were made after the backup';
    const expected = [
      { kind: 'rows-added', place: bucketOf('created'), detail: young },
      { kind: 'rows-missing', place: bucketOf('entry_2026'), detail: missing },
      { kind: 'rows-added', place: bucketOf('pupil'), detail: young },
      { kind: 'rows-missing', place: bucketOf('pupil'), detail: missing },
      { kind: 'rows-missing', place: bucketOf('school'), detail: missing },
      {
        kind: 'foreign-key-violated',
        place: 'public.pupil pupil_school_id_fkey',
        detail: expect.stringMatching(/^\d+ rows refer to none in public\.school$/),
      },
    ];
    expect(findings).toEqual(expect.arrayContaining(expected));
    expect(findings).toHaveLength(expected.length);
  }, 120_000);

  it('lacks a table, and has another', async () => {
    await fresh();
    await restored.execute('ALTER TABLE created RENAME TO invented');
    const { findings } = await verify(restored, before, after, firstTouch);
    expect(findings.map(({ kind, place }) => [kind, place])).toEqual([
      ['table-missing', 'public.created'],
      ['table-added', 'public.invented'],
      ['catalog-changed', 'pg_class: table public.invented'],
      ['catalog-changed', 'pg_type: type public.invented[]'],
      ['catalog-changed', 'pg_type: type public.invented'],
    ]);
  }, 120_000);

  it('has another definition, function, and sequence', async () => {
    await source.execute(`CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'`);
    await fresh();
    await restored.execute(`ALTER TABLE school DROP CONSTRAINT school_pkey CASCADE; SELECT setval('pupil_id_seq', 3);
      CREATE OR REPLACE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 2'`);
    const { findings } = await verify(restored, before, after, firstTouch);
    const found = findings.map(({ kind, place }) => `${kind} ${place}`);
    expect(found).toContain('sequence-behind public.pupil_id_seq');
    expect(found).toContain('catalog-changed pg_proc: function public.one()');
    expect(found.filter(finding => /^catalog-missing pg_(constraint|index)/.test(finding))).toHaveLength(3);
  }, 120_000);

  /** What happens to the copy: one byte of the relation's file is another. */
  const breakPage = async (relation: string, page: number) => {
    const [row] = await source.execute<{ path: string }>(`SELECT pg_relation_filepath('${relation}') AS path`);
    return async (dataDirectory: string) => {
      const file = await open(join(dataDirectory, row?.path ?? ''), 'r+');
      const { buffer } = await file.read(Buffer.alloc(1), 0, 1, page * 8192 + 5000);
      await file.write(Buffer.from([(buffer[0] ?? 0) ^ 0xff]), 0, 1, page * 8192 + 5000);
      await file.close();
    };
  };

  it('has a broken page in a table: the table is named, the others are compared', async () => {
    await fresh(await breakPage('pupil', 3));
    const verification = await verify(restored, before, after, firstTouch);
    expect(verification.findings).toContainEqual({
      kind: 'heap-corrupt',
      place: 'public.pupil',
      detail: 'PostgreSQL cannot read it (SQLSTATE XX001)',
    });
    expect(new Set(verification.findings.map(({ place }) => place.split(' ')[0]))).toEqual(
      new Set(['public.pupil', 'public.pupil_pkey', 'public.pupil_by_name']),
    );
    expect(verification.rowsComparedExactly).toBe(verification.rowCount);
  }, 120_000);

  it('has a broken page in an index', async () => {
    await fresh(await breakPage('pupil_by_name', 2));
    const { findings } = await verify(restored, before, after, firstTouch);
    expect(findings).toEqual([
      {
        kind: 'index-corrupt',
        place: 'public.pupil_by_name',
        detail: 'PostgreSQL cannot read it, or its table (SQLSTATE XX001)',
      },
    ]);
  }, 120_000);
});
