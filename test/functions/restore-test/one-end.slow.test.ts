import { zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DatabaseFingerprintV1 } from '../../../functions/contracts/fingerprint-v1.ts';
import type { BucketDigests } from '../../../functions/platform/fingerprint/bucket-digests.ts';
import { listRelations } from '../../../functions/platform/fingerprint/catalog.ts';
import {
  FingerprintPartAlteredError,
  openFingerprint,
} from '../../../functions/platform/fingerprint/fingerprint-file.ts';
import type { CheckResult } from '../../../functions/restore-test/check-result.ts';
import { type Source, tableChecks } from '../../../functions/restore-test/check-tables.ts';
import { TestDatabase } from '../../fixtures/database.ts';
import { type TakenFingerprint, takeFingerprint } from '../../fixtures/fingerprint.ts';

const TABLES = ['indexed', 'commented', 'locked', 'locked_first', 'reloaded', 'widened'];
/** Of these a definition between those of both ends comes back. */
const BETWEEN = 'indexed_twice';
const ROWS = 2000;
let source: TestDatabase;
let restored: TestDatabase;
let before: TakenFingerprint;
let after: TakenFingerprint;

/** What happens to each table between the two measurements, which it does not change a row of. */
const MEANWHILE = `
  CREATE INDEX ON indexed (mark); REINDEX TABLE indexed;
  COMMENT ON TABLE commented IS 'x'; GRANT SELECT ON commented TO PUBLIC; ALTER TABLE commented ADD CHECK (mark >= 0);
  BEGIN; CREATE TEMP TABLE kept AS TABLE reloaded; TRUNCATE reloaded; INSERT INTO reloaded TABLE kept; COMMIT;
  ALTER TABLE widened ADD COLUMN note text`;

async function locked<T>(table: string, work: () => Promise<T>): Promise<T> {
  const holder = await source.session();
  await holder.query(`BEGIN; LOCK TABLE ${table}`);
  try {
    return await work();
  } finally {
    await holder.end();
  }
}

beforeAll(async () => {
  source = await TestDatabase.create({
    schema: [...TABLES, BETWEEN]
      .map(
        table => `CREATE TABLE ${table} (id int PRIMARY KEY, mark int);
        INSERT INTO ${table} SELECT g, g % 7 FROM generate_series(1, ${ROWS}) g;`,
      )
      .join('\n'),
  });
  await source.execute('ANALYZE');
  before = await locked('locked_first', () => takeFingerprint(source));
  await source.execute(`CREATE INDEX ON ${BETWEEN} (mark)`);
  restored = await source.restore();
  await source.execute(`CREATE INDEX ON ${BETWEEN} (mark, id)`);
  await source.execute(MEANWHILE);
  after = await locked('locked', () => takeFingerprint(source, before));
}, 120_000);
afterAll(() => source.remove());

/** The check of `table`, after `alteration` of the copy, which is then taken back. */
async function check(table: string, alteration = '', ends: Partial<Source> = {}): Promise<Partial<CheckResult>> {
  const session = await restored.session();
  const database = restored.asReader();
  const known: Source = {
    before: before.index,
    after: after.index,
    digests: { before: before.readDigests, after: after.readDigests },
    firstTouchXid: undefined,
    ...ends,
  };
  try {
    if (alteration) {
      await session.query(`CREATE TABLE intact AS SELECT * FROM ${table}`);
      await session.query(alteration);
    }
    const { relations } = await listRelations(database.query);
    const made = tableChecks(known, relations).find(({ name }) => name === `public.${table}`);
    const result = await made?.run(database, {
      hasWholeCall: true,
      timeIsShort: () => false,
      read: async () => undefined,
      save: async () => {},
    });
    if (result === undefined) throw new Error(`no check of ${table}`);
    return result;
  } finally {
    if (alteration) {
      await session.query(`TRUNCATE ${table}; INSERT INTO ${table} TABLE intact; DROP TABLE intact`);
    }
    await session.end();
  }
}

const exact = { rowsComparedExactly: ROWS, rowsExpected: ROWS, driftRowCount: 0, findings: [], gaps: [] };
const kindsOf = ({ findings = [] }: Partial<CheckResult>) => [...new Set(findings.map(({ kind }) => kind))];
const notBounded = (table: string, why: string) => [
  {
    kind: 'table-not-bounded',
    databaseId: 'school',
    table: { schema: 'public', name: table },
    why,
    rowCount: ROWS,
  },
];

describe('a table of which only some measurements can be used', () => {
  it.each([...TABLES, BETWEEN])(
    'is compared exactly where the copy is true: %s',
    async table => {
      expect(await check(table)).toMatchObject({ ...exact, rowCount: ROWS });
    },
    60_000,
  );

  it.each(['indexed', 'commented'])(
    'has both ends whatever its indexes, privileges and comments become: %s',
    async table => {
      expect(kindsOf(await check(table, `TRUNCATE ${table}`))).toEqual(['rows-missing']);
      // What was taken back is of new transactions, so that it counts as made after the backup in the altered bucket.
      expect(kindsOf(await check(table, `DELETE FROM ${table} WHERE id = 7`))).toContain('rows-missing');
      expect(kindsOf(await check(table, `UPDATE ${table} SET mark = mark + 1 WHERE id = 7`))).toEqual([
        'rows-added',
        'rows-missing',
      ]);
    },
    60_000,
  );

  it('locked in the second measurement: a loss is a gap as large as the table, a change of rows is found', async () => {
    for (const alteration of ['TRUNCATE locked', 'DELETE FROM locked']) {
      expect(await check('locked', alteration)).toMatchObject({
        rowCount: 0,
        rowsComparedExactly: 0,
        rowsExpected: ROWS,
        gaps: notBounded('locked', 'locked'),
      });
    }
    // Every mark is another, in rows of new transactions.
    expect(await check('locked', 'UPDATE locked SET mark = mark + 1')).toMatchObject({
      rowsComparedExactly: 0,
      gaps: [{ kind: 'table-not-bounded', why: 'locked' }],
    });
  }, 60_000);

  it.each(['locked_first', 'widened'])(
    'bounded from below by the second measurement alone: %s',
    async table => {
      const why = table === 'widened' ? 'redefined' : 'locked';
      const lost = await check(table, `DELETE FROM ${table} WHERE id = 7`);
      // The copy was made before the column was added, so that it is the first measurement which fits.
      if (table === 'widened') {
        expect(lost).toMatchObject({ findings: [], gaps: [{ kind: 'table-not-bounded', why }] });
        expect(lost.rowsExpected).toBe(ROWS);
        expect(lost.rowsComparedExactly).toBeLessThan(ROWS);
      } else {
        expect(kindsOf(lost)).toEqual(['rows-missing']);
        expect(kindsOf(await check(table, `TRUNCATE ${table}`))).toEqual(['rows-missing']);
      }
    },
    60_000,
  );

  it('truncated and loaded again meanwhile: an empty copy shows nothing', async () => {
    expect(await check('reloaded', 'TRUNCATE reloaded')).toMatchObject({
      rowsComparedExactly: 0,
      rowsExpected: ROWS,
      driftRowCount: 0,
      findings: [],
      gaps: notBounded('reloaded', 'rewritten'),
    });
  }, 60_000);

  it('measured in neither: no end, and all its rows', async () => {
    const unreadable = [{ schema: 'public', relation: 'locked', reason: 'out-of-time' as const, rowCount: null }];
    const without = ({ index }: TakenFingerprint) => ({
      ...index,
      tables: index.tables.filter(({ table }) => table !== 'locked'),
      unreadable,
    });
    expect(await check('locked', '', { before: without(before), after: without(after) })).toMatchObject({
      rowsComparedExactly: 0,
      rowsExpected: ROWS,
      gaps: [{ kind: 'table-of-no-end', why: 'out-of-time' }],
    });
  }, 60_000);

  it('is not compared with a part that is not the one that was signed', async () => {
    const [table] = before.index.tables;
    const altered = async () => {
      throw new FingerprintPartAlteredError('fingerprints/part', 'it is missing');
    };
    const result = await check(table?.table ?? '', '', { digests: { before: altered, after: after.readDigests } });
    expect(result).toMatchObject({ rowsExpected: ROWS, completed: false });
    expect(result.findings).toMatchObject([{ kind: 'fingerprint-altered', place: 'fingerprints/part' }]);
  }, 60_000);
});

describe('fingerprints of version 1', () => {
  /** As the first release wrote them. */
  async function asV1({ index, readDigests }: TakenFingerprint): Promise<Buffer> {
    const part = (digests: BucketDigests) =>
      Object.fromEntries(
        Array.from({ length: digests.bucketCount }, (_, bucket) => bucket)
          .filter(bucket => digests.rowsIn(bucket) > 0)
          .map(bucket => [
            bucket,
            {
              rows: digests.rowsIn(bucket),
              // Sums of signed numbers, of any size.
              sums: [
                String(digests.sumIn(0, bucket) - 3n * 2n ** 64n),
                String(digests.sumIn(1, bucket) + 5n * 2n ** 64n),
              ] as [string, string],
            },
          ]),
      );
    const tables: DatabaseFingerprintV1['tables'] = [];
    for (const table of index.tables) {
      const { settled, recent } = await readDigests(table);
      const { schema, kind, definitionSha256, bucketColumns, bucketCount, horizon, snapshot, fileNode } = table;
      const kept = {
        schema,
        table: table.table,
        kind,
        definitionSha256,
        bucketColumns,
        bucketCount,
        horizon,
        snapshot,
      };
      const { removedRowCount, lastMeasuredAt: measuredAt } = table;
      tables.push({ ...kept, measuredAt, settled: part(settled), recent: part(recent), removedRowCount, fileNode });
    }
    const { databaseId, moment, serverVersion, seeds } = index;
    const tenants = index.root.tenants.map(({ id }) => id);
    const unreadable = index.unreadable.map(({ schema, relation }) => ({
      schema,
      relation,
      reason: 'locked' as const,
    }));
    const sequences = [{ schema: 'public', sequence: 's', lastValue: null, increment: '1' }];
    const stored: DatabaseFingerprintV1 = {
      version: 1,
      databaseId,
      moment,
      serverVersion,
      seeds,
      schemaSha256: '0'.repeat(64),
      tables,
      sequences,
      unreadable,
      tenants,
    };
    return zstdCompressSync(JSON.stringify(stored));
  }

  it('are read as those of today', async () => {
    const name = { recoveryPointId: '20261122t023000z', databaseId: 'school' };
    const [first, second] = [
      openFingerprint(await asV1(before), 'vault', { ...name, moment: 'before' }),
      openFingerprint(await asV1(after), 'vault', { ...name, moment: 'after' }),
    ];
    await first.checkParts();
    const ends: Partial<Source> = {
      before: first.index,
      after: second.index,
      digests: { before: first.readDigests, after: second.readDigests },
    };
    for (const table of TABLES) expect(await check(table, '', ends)).toMatchObject(exact);
    // Then an index was enough for one end to be of no use; a loss is not excluded, and said so.
    expect(await check('indexed', 'TRUNCATE indexed', ends)).toMatchObject({
      rowsExpected: ROWS,
      rowsComparedExactly: 0,
      gaps: notBounded('indexed', 'redefined'),
    });
  }, 60_000);
});
