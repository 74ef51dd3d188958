import { open } from 'node:fs/promises';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { DatabaseFingerprint } from '../../functions/contracts/fingerprint.ts';
import { SignedRecoveryPoint } from '../../functions/contracts/recovery-point.ts';
import type { RestoreTestRecord } from '../../functions/contracts/restore-test-record.ts';
import { fingerprintKey, manifestKey, objectPrefix, rootManifestKey } from '../../functions/contracts/vault-layout.ts';
import { decode } from '../../functions/platform/fingerprint/fingerprint-file.ts';
import { lose, swap, tamper } from '../../infra/local/s3/damage.ts';
import { DATABASE, TestEnvironment } from './environment.ts';
import { ROWS, TENANTS, type Tenant } from './supplier.ts';

const MINUTES = 60_000;
const TABLE_COUNT = 9;
const ROW_COUNT = TENANTS.length * 2 + 5 + ROWS.pupil + ROWS.check_in + ROWS.note + ROWS.event + ROWS.setting;

let environment: TestEnvironment;
/** A recovery point of quiet sources. */
let quiet: Awaited<ReturnType<TestEnvironment['backUpWell']>>;

beforeAll(async () => {
  environment = await TestEnvironment.create();
  quiet = await environment.backUpWell();
}, 3 * MINUTES);
afterEach(() => environment.cloud.lambda.intercept(undefined));
afterAll(() => environment?.remove());

/** Tests the quiet recovery point; `damage` happens to the restored copy once it is there, before anything reads it. */
async function testDamaged(damage: (restoreTestId: string) => Promise<unknown>) {
  let done = false;
  environment.cloud.lambda.intercept(async ({ functionName, event }, next) => {
    if (functionName === 'daybreak-restore-test-hydrate' && !done) {
      done = true;
      await damage((event as { restoreTestId: string }).restoreTestId);
    }
    return next();
  });
  const test = await environment.testRestore(quiet.recoveryPointId);
  expect(done).toBe(true);
  return test;
}

/** The same, where `statements` are what happens to it. */
const testAfter = (statements: string) =>
  testDamaged(restoreTestId =>
    environment.executeInCopy(restoreTestId, `SET session_replication_role = replica; ${statements}`),
  );

/** `public.<table> bucket <n>/<of>`: where the fingerprints of the quiet recovery point have a row, by its key. */
async function bucketOf(table: string, key: string): Promise<string> {
  const stored = await environment.content('vault', fingerprintKey(quiet.recoveryPointId, DATABASE, 'before'));
  const { seeds, tables } = decode(stored, DatabaseFingerprint, 'fingerprint');
  const bucketCount = tables.find(measured => measured.table === table)?.bucketCount ?? 0;
  const separator = `\u001f${BigInt.asUintN(64, BigInt(seeds[0])).toString(36)}`;
  const [row] = await environment.execute<{ bucket: string }>(
    `SELECT (hashtextextended(concat_ws($1::text, '', $2::text) COLLATE "C", 0) & 9223372036854775807) % $3::bigint + 1 AS bucket`,
    [separator, key, bucketCount],
  );
  return `public.${table} bucket ${row?.bucket}/${bucketCount}`;
}

/** The first id from `from` on whose bucket is none of these. */
async function bucketApart(table: string, from: number, others: readonly string[]): Promise<[number, string]> {
  for (let id = from; ; id++) {
    const place = await bucketOf(table, String(id));
    if (!others.includes(place)) return [id, place];
  }
}

function expectFailed({ execution, record }: Awaited<ReturnType<TestEnvironment['testRestore']>>): RestoreTestRecord {
  expect(execution).toMatchObject({ status: 'FAILED', error: 'RestoreTestFailed' });
  expect(record).toMatchObject({ verdict: 'failed', recoveryPointId: quiet.recoveryPointId });
  expect(record.reasons[0]).toBe(`${record.findings[0]?.kind}: ${record.findings[0]?.place}`);
  return record;
}

describe('what is as it was', () => {
  it(
    'passes, compared completely',
    async () => {
      const { execution, record } = await environment.testRestore(quiet.recoveryPointId);
      expect(execution.status).toBe('SUCCEEDED');
      expect(record).toMatchObject({
        verdict: 'passed',
        reasons: [],
        rowCoveragePercent: 100,
        findings: [],
        objects: { tenantCount: 4, objectCount: 50, objectsRestored: 50 },
      });
      expect(record.databases).toEqual([
        {
          databaseId: DATABASE,
          tableCount: TABLE_COUNT,
          rowCount: ROW_COUNT,
          rowsExpected: ROW_COUNT,
          rowsComparedExactly: ROW_COUNT,
          driftRowCount: 0,
          foreignKeysChecked: 5,
          indexesChecked: expect.any(Number),
          heapRelationsChecked: TABLE_COUNT,
          gaps: ['postgres', 'template0', 'template1'].map(name => ({
            name: `${DATABASE}/system-database:${name}`,
            gap: { kind: 'system-database', databaseId: DATABASE, name },
            accepted: null,
          })),
          gapTotals: [{ kind: 'system-database', gapCount: 3, rowCount: null }],
          findings: [],
          findingCount: 0,
        },
      ]);
    },
    3 * MINUTES,
  );

  it(
    'passes with writes before, during and after the snapshot, which are counted as drift',
    async () => {
      let step = 0;
      /** New versions of rows: of 20 pupils, a note, an event and a school. */
      const VERSIONS_WRITTEN = 23;
      const write = () => {
        step++;
        return environment.execute(`
        INSERT INTO pupil (school_id, display_name, attributes) SELECT '${TENANTS[0]}', 'New ${step}/' || g, '{}' FROM generate_series(1, 20) g;
        UPDATE note SET severity = ${step} WHERE id = md5('note${step}')::uuid;
        DELETE FROM check_in WHERE id = ${step * 100};
        INSERT INTO event VALUES ('2026-02-01', ${step}, '{"late": true}');
        UPDATE school SET name = name || '.' WHERE id = '${TENANTS[1]}'`);
      };
      environment.cloud.lambda.intercept(async ({ functionName, event }, next) => {
        const { moment } = event as { moment?: string };
        if (functionName === 'daybreak-backup-create-snapshot') {
          await write();
          // The copying goes on behind the answer.
          const answer = await next();
          await write();
          return answer;
        }
        if (functionName === 'daybreak-backup-fingerprint' && moment === 'after') await write();
        return next();
      });
      const { recoveryPointId } = await environment.backUpWell();
      environment.cloud.lambda.intercept(undefined);
      expect(step).toBe(3);

      const { execution, record } = await environment.testRestore(recoveryPointId);
      expect(record).toMatchObject({ verdict: 'passed', reasons: [], findings: [] });
      expect(execution.status).toBe('SUCCEEDED');
      const { rowCount, rowsExpected, rowsComparedExactly, driftRowCount } = only(record.databases);
      expect(driftRowCount).toBeGreaterThan(0);
      // Of what the source may have had, also what it no longer had, or had not yet, when the snapshot was taken.
      expect(rowsComparedExactly + driftRowCount).toBe(rowsExpected);
      expect(rowsExpected).toBeGreaterThanOrEqual(rowCount);
      expect(rowsExpected).toBeLessThanOrEqual(ROW_COUNT + step * VERSIONS_WRITTEN);
    },
    3 * MINUTES,
  );

  it(
    'is inconclusive, not passed, where a large table was rewritten before the snapshot and again after it',
    async () => {
      const [checkIns] = await environment.execute<{ count: number }>('SELECT count(*)::int AS count FROM check_in');
      const rewrite = () => environment.execute(`UPDATE check_in SET energy = coalesce(energy, 0) + 1`);
      environment.cloud.lambda.intercept(async ({ functionName, event }, next) => {
        const { moment } = event as { moment?: string };
        if (functionName === 'daybreak-backup-create-snapshot' || moment === 'after') await rewrite();
        return next();
      });
      const { recoveryPointId } = await environment.backUpWell();
      environment.cloud.lambda.intercept(undefined);

      const { execution, record } = await environment.testRestore(recoveryPointId);
      expect(execution).toMatchObject({ status: 'FAILED', error: 'RestoreTestInconclusive' });
      expect(record).toMatchObject({ verdict: 'inconclusive', findings: [] });
      expect(record.rowCoveragePercent).toBeGreaterThan(50);
      expect(record.rowCoveragePercent).toBeLessThan(65);
      const name = `${DATABASE}/table-not-bounded:rewritten:public.check_in`;
      expect(record.reasons).toEqual([expect.stringMatching(new RegExp(`^database ${DATABASE}: .*\\(${name}\\)$`))]);
      expect(only(record.databases).gaps).toContainEqual({
        name,
        gap: {
          kind: 'table-not-bounded',
          databaseId: DATABASE,
          table: { schema: 'public', name: 'check_in' },
          why: 'rewritten',
          rowCount: checkIns?.count,
        },
        accepted: null,
      });
    },
    3 * MINUTES,
  );
});

describe('a restored database that is not as it was', () => {
  it(
    'has a flipped byte in a heap',
    async () => {
      const test = await testDamaged(async restoreTestId => {
        const [row] = await environment.executeInCopy<{ file: string }>(
          restoreTestId,
          `SELECT current_setting('data_directory') || '/' || pg_relation_filepath('pupil') AS file`,
        );
        await flipByte(row?.file ?? '', 3 * 8192 + 5000);
      });
      const { findings } = expectFailed(test);
      expect(findings).toContainEqual({
        kind: 'heap-corrupt',
        place: 'public.pupil',
        detail: 'PostgreSQL cannot read it (SQLSTATE XX001)',
      });
      // The indexes lead into the broken page; everything else is compared.
      expect(new Set(findings.map(({ place }) => place))).toEqual(
        new Set(['public.pupil', 'public.pupil_pkey', 'public.pupil_by_name']),
      );
      expect(test.record.databases[0]?.rowsComparedExactly).toBe(ROW_COUNT - ROWS.pupil);
    },
    3 * MINUTES,
  );

  it(
    'has changed rows, lacks one, and has more, also ones that claim to be as old as the others',
    async () => {
      // Seeds are drawn for each recovery point: in one bucket two alterations would be one finding.
      const changed = await bucketOf('check_in', '4321');
      const [deletedId, deleted] = await bucketApart('check_in', 2345, [changed]);
      const old = await bucketOf('pupil', '1234');
      const [addedId, added] = await bucketApart('pupil', 777777, [old]);
      const [frozenId, frozen] = await bucketApart('pupil', 888888, [old, added]);
      // pg_surgery gives a row version the age of a frozen one, past everything that PostgreSQL would allow.
      const test = await testAfter(`
      UPDATE check_in SET energy = 0.5 WHERE id = 4321;
      DELETE FROM check_in WHERE id = ${deletedId};
      INSERT INTO pupil OVERRIDING SYSTEM VALUE VALUES (${addedId}, '${TENANTS[0]}', 'Nobody', NULL, '{}');
      INSERT INTO setting VALUES ('name 1', 'value');
      CREATE EXTENSION pg_surgery;
      UPDATE pupil SET display_name = 'Someone else' WHERE id = 1234;
      SELECT heap_force_freeze('pupil'::regclass, ARRAY(SELECT ctid FROM pupil WHERE id = 1234));
      INSERT INTO pupil OVERRIDING SYSTEM VALUE VALUES (${frozenId}, '${TENANTS[0]}', 'Nobody', NULL, '{}');
      SELECT heap_force_freeze('pupil'::regclass, ARRAY(SELECT ctid FROM pupil WHERE id = ${frozenId}));
      DROP EXTENSION pg_surgery`);
      const { findings } = expectFailed(test);
      const expected = [
        // The changed row is missing as it was, and one that is younger than the backup is there instead.
        { kind: 'rows-missing', place: changed, detail: /^1 of \d+ rows are missing$/ },
        { kind: 'rows-missing', place: deleted, detail: /^1 of \d+ rows are missing$/ },
        { kind: 'rows-added', place: added, detail: /^1 rows were made after the backup$/ },
        { kind: 'rows-added', place: frozen, detail: /^1 rows more than the \d+ of the source$/ },
        { kind: 'rows-changed', place: old, detail: /^at least one of \d+ rows is not as it was$/ },
        { kind: 'rows-added', place: 'public.setting bucket 1/1', detail: /^1 rows were made after the backup$/ },
      ];
      for (const { kind, place, detail } of expected) {
        expect(findings).toContainEqual({ kind, place, detail: expect.stringMatching(detail) });
      }
      expect(new Set(findings.map(({ place }) => place))).toEqual(new Set(expected.map(({ place }) => place)));
    },
    3 * MINUTES,
  );
});

describe('vault objects that are not as they were', () => {
  /** Tests the quiet recovery point with this damage done to the vault, and undoes it. */
  async function testWith(change: () => Promise<unknown>, undo: () => Promise<unknown>) {
    await change();
    try {
      return expectFailed(await environment.testRestore(quiet.recoveryPointId));
    } finally {
      await undo();
    }
  }
  const s3 = () => environment.cloud.s3;
  const vault = () => environment.deployment.vaultBucket;

  it(
    "has a truncated object, two of one size swapped, and a tenant's manifest with one line less",
    async () => {
      const truncated = only(objectsOf('t-birch').filter(({ sizeBytes }) => sizeBytes === 70_000)).key;
      const whole = await environment.content('vault', truncated);
      const objects = objectsOf('t-cedar');
      const [a, b] = objects.flatMap(one => {
        const twin = objects.find(other => other.key > one.key && other.sizeBytes === one.sizeBytes);
        return twin === undefined ? [] : [one.key, twin.key];
      }) as [string, string];
      const { manifestSha256 } = quiet.document.tenants.find(({ tenant }) => tenant === 't-doum') ?? {};
      const manifest = manifestKey('t-doum', manifestSha256 ?? '');
      const signed = await environment.content('vault', manifest);
      const edited = zstdCompressSync(zstdDecompressSync(signed).toString().split('\n').slice(1).join('\n'));
      const { findings } = await testWith(
        async () => {
          await tamper(s3(), vault(), truncated, content => content.subarray(0, -1));
          await swap(s3(), vault(), a, b);
          await tamper(s3(), vault(), manifest, () => edited);
        },
        async () => {
          await tamper(s3(), vault(), truncated, () => whole);
          await swap(s3(), vault(), a, b);
          await tamper(s3(), vault(), manifest, () => signed);
        },
      );
      expect(new Set(findings.map(({ kind, place }) => `${kind}: ${place}`))).toEqual(
        new Set([...[truncated, a, b].map(key => `object-altered: ${key}`), `manifest-altered: ${manifest}`]),
      );
      for (const place of [a, b]) {
        expect(findings).toContainEqual({ kind: 'object-altered', place, detail: 'its SHA-256 differs' });
      }
      expect(findings).toContainEqual({
        kind: 'manifest-altered',
        place: manifest,
        detail: expect.stringContaining('its lines have SHA-256'),
      });
    },
    3 * MINUTES,
  );

  it(
    'has a root manifest that was edited after it was signed',
    async () => {
      const key = rootManifestKey(quiet.recoveryPointId);
      const signed = await environment.content('vault', key);
      const { document, signature } = SignedRecoveryPoint.parse(JSON.parse(signed.toString()));
      const tenants = document.tenants.filter(({ tenant }) => tenant !== 't-alder');
      const edited = Buffer.from(JSON.stringify({ document: { ...document, tenants }, signature }));
      const { findings } = await testWith(
        () => tamper(s3(), vault(), key, () => edited),
        () => tamper(s3(), vault(), key, () => signed),
      );
      expect(findings.map(({ kind, place }) => ({ kind, place }))).toEqual([{ kind: 'signature-invalid', place: key }]);
    },
    3 * MINUTES,
  );

  it(
    "has another recovery point's root manifest in the place of its own",
    async () => {
      const { recoveryPointId } = await environment.backUpWell();
      const key = rootManifestKey(quiet.recoveryPointId);
      const [own, other] = [
        await environment.content('vault', key),
        await environment.content('vault', rootManifestKey(recoveryPointId)),
      ];
      const { findings } = await testWith(
        () => tamper(s3(), vault(), key, () => other),
        () => tamper(s3(), vault(), key, () => own),
      );
      expect(findings.map(({ place }) => place)).toEqual([key]);
    },
    3 * MINUTES,
  );

  it(
    "lacks an object, and has another tenant's manifest in the place of one",
    async () => {
      const [{ key } = { key: '' }] = objectsOf('t-alder');
      lose(s3(), vault(), key);
      const [own, other] = ['t-doum', 't-birch'].map(name => {
        const { manifestSha256 } = quiet.document.tenants.find(({ tenant }) => tenant === name) ?? {};
        return manifestKey(name, manifestSha256 ?? '');
      }) as [string, string];
      const [signed, foreign] = [await environment.content('vault', own), await environment.content('vault', other)];
      const { findings } = await testWith(
        () => tamper(s3(), vault(), own, () => foreign),
        () => tamper(s3(), vault(), own, () => signed),
      );
      expect(new Set(findings.map(({ kind, place }) => `${kind}: ${place}`))).toEqual(
        new Set([`object-missing: ${key}`, `manifest-altered: ${own}`]),
      );
    },
    3 * MINUTES,
  );
});

it('leaves nothing of any of these tests behind', async () => {
  const { instances } = await environment.databaseResources();
  expect(instances).toEqual([`${DATABASE}-source`]);
  expect(environment.keysIn('work', 'scratch/')).toEqual([]);
});

function objectsOf(tenant: Tenant): { key: string; sizeBytes: number }[] {
  return environment
    .keysIn('vault', objectPrefix(tenant))
    .map(key => ({ key, sizeBytes: environment.sizeOf('vault', key) }));
}

function only<T>(entries: readonly T[]): T {
  expect(entries).toHaveLength(1);
  return entries[0] as T;
}

async function flipByte(path: string, at: number): Promise<void> {
  const file = await open(path, 'r+');
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, at);
  await file.write(Buffer.from([(buffer[0] ?? 0) ^ 0xff]), 0, 1, at);
  await file.close();
}
