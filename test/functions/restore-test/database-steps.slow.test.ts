import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { handler as fingerprint } from '../../../functions/backup/fingerprint.ts';
import type { RecoveryPoint } from '../../../functions/contracts/recovery-point.ts';
import { databaseTestKey, fingerprintKey, rootManifestKey } from '../../../functions/contracts/vault-layout.ts';
import { canonicalJson, sha256Hex } from '../../../functions/platform/canonical-json.ts';
import { currentRuntime, withRuntime } from '../../../functions/platform/runtime.ts';
import { handler as hydrate } from '../../../functions/restore-test/hydrate.ts';
import { handler as verifyDatabase } from '../../../functions/restore-test/verify-database.ts';
import { TestDatabase } from '../../fixtures/database.ts';
import { stepRuntime } from '../../fixtures/step-runtime.ts';

const recoveryPointId = '20261122t023000z';
const scheduledAt = '2026-11-22T02:30:00.000Z';
const TABLES = 6;
const SCHEMA = `
  CREATE TABLE school (id text PRIMARY KEY, name text);
  INSERT INTO school SELECT 'school-' || g, 'School ' || g FROM generate_series(1, 50) g;
  ${Array.from(
    { length: TABLES - 1 },
    (_, i) => `CREATE TABLE t${i} (id int PRIMARY KEY, school_id text REFERENCES school, body text);
      INSERT INTO t${i} SELECT g, 'school-' || (g % 50 + 1), (SELECT string_agg(md5((g * n)::text), '') FROM generate_series(1, 100) n) FROM generate_series(1, 1000) g;`,
  ).join('\n')}
  ANALYZE;
`;

const runtime = stepRuntime({
  configuration: {
    databases: [
      {
        id: 'school',
        instanceId: 'school',
        databaseName: 'school',
        rootTable: 'school',
        rootColumn: 'id',
        readerUser: 'daybreak_reader',
      },
    ],
  },
});
let source: TestDatabase;
let restored: TestDatabase;
type Endpoint = Awaited<ReturnType<TestDatabase['openEndpoint']>>;
let copyAt: Endpoint;

/** One invocation. Each look at its clock takes `tickMs`. */
function invoke<T>(
  handler: (event: unknown, context: { getRemainingTimeInMillis(): number }) => Promise<T>,
  endpoint: Endpoint,
  more: object,
  tickMs = 0,
): Promise<T> {
  const { host, port } = endpoint;
  const at = 'moment' in more ? { host, port } : { host, port, resourceId: 'db-COPY' };
  return runtime.run(() => {
    const base = currentRuntime();
    let nowMs = base.clock.now().getTime();
    const now = () => {
      nowMs += tickMs;
      return new Date(nowMs);
    };
    const environment = { ...base.environment, DAYBREAK_DATABASE_CA_FILE: endpoint.caFile };
    return withRuntime({ ...base, environment, clock: { now, sleep: async () => {} } }, () =>
      handler(
        { recoveryPointId, databaseId: 'school', endpoint: at, ...more },
        { getRemainingTimeInMillis: () => 900_000 },
      ),
    );
  });
}

async function writeRootManifest(hashes?: { before: string; after: string }): Promise<void> {
  const hash = async (moment: 'before' | 'after') =>
    sha256Hex(await runtime.get('vault', fingerprintKey(recoveryPointId, 'school', moment)));
  const document: RecoveryPoint = {
    version: 1,
    recoveryPointId,
    scheduledAt,
    completedAt: scheduledAt,
    status: 'good',
    databases: [
      {
        databaseId: 'school',
        snapshot: null,
        fingerprints: hashes ?? { before: await hash('before'), after: await hash('after') },
        rowCount: 0,
        failure: null,
      },
    ],
    tenants: [],
    reasons: [],
  };
  await runtime.put('vault', rootManifestKey(recoveryPointId), canonicalJson(await runtime.sign(document)));
}

beforeAll(async () => {
  source = await TestDatabase.create({ schema: SCHEMA });
  await invoke(fingerprint, await source.openEndpoint('in-process'), { moment: 'before' });
  restored = await source.restore();
  await invoke(fingerprint, await source.openEndpoint('in-process'), { moment: 'after' });
  await writeRootManifest();
  copyAt = await restored.openEndpoint('in-process');
}, 120_000);
afterAll(() => source.remove());

const clean = {
  databaseId: 'school',
  tableCount: TABLES,
  rowCount: 5050,
  rowsExpected: 5050,
  rowsComparedExactly: 5050,
  driftRowCount: 0,
  foreignKeysChecked: 5,
  // Each table's primary key and the index of its toast.
  indexesChecked: 2 * TABLES,
  heapRelationsChecked: TABLES,
  gaps: ['postgres', 'template0', 'template1'].map(name => ({
    name: `school/system-database:${name}`,
    gap: { kind: 'system-database', databaseId: 'school', name },
    accepted: null,
  })),
  gapTotals: [{ kind: 'system-database', gapCount: 3, rowCount: null }],
  findings: [],
  findingCount: 0,
};

describe('restore-test/hydrate', () => {
  it('reads every block once, and in pieces comes to the same', async () => {
    const ref = { restoreTestId: '20261123t050000z' };
    const whole = await invoke(hydrate, copyAt, ref);
    const [size] = await restored.execute<{ bytes: string }>(`SELECT pg_database_size('school')::text AS bytes`);
    expect(whole.done).toBe(true);
    // All but the free space and visibility maps, and the files of relations that all databases share.
    expect(whole.bytesRead).toBeGreaterThan(Number(size?.bytes) * 0.7);
    expect(whole.bytesRead).toBeLessThan(Number(size?.bytes));

    const inPieces = { restoreTestId: '20261124t050000z' };
    let result = await invoke(hydrate, copyAt, inPieces, 60_000);
    let calls = 1;
    for (; !result.done; calls++) result = await invoke(hydrate, copyAt, inPieces, 60_000);
    expect(calls).toBeGreaterThan(5);
    expect(result.bytesRead).toBe(whole.bytesRead);
    expect(await invoke(hydrate, copyAt, inPieces)).toEqual(result);
  }, 120_000);
});

describe('restore-test/verify-database', () => {
  it('verifies a true copy, whole or in pieces, with one result', async () => {
    const ref = { restoreTestId: '20261123t050000z' };
    expect(await invoke(verifyDatabase, copyAt, ref)).toEqual({ done: true, verification: clean });
    expect(await invoke(verifyDatabase, copyAt, ref)).toEqual({ done: true, verification: clean });

    const inPieces = { restoreTestId: '20261124t050000z' };
    let result = await invoke(verifyDatabase, copyAt, inPieces, 60_000);
    let calls = 1;
    for (; !result.done; calls++) {
      expect(result.verification).toBeNull();
      result = await invoke(verifyDatabase, copyAt, inPieces, 60_000);
    }
    expect(calls).toBeGreaterThan(2);
    expect(result.verification).toEqual(clean);
  }, 120_000);

  it('is killed while it saves, and a rerun finishes', async () => {
    const ref = { restoreTestId: '20261126t050000z' };
    const key = databaseTestKey(ref.restoreTestId, 'school', 'db-COPY', 'verification');
    let writes = 0;
    runtime.intercept(async (request, next) => {
      if (request.method === 'PUT' && request.path.endsWith(key) && ++writes === 2) throw new Error('killed');
      return next();
    });
    await expect(invoke(verifyDatabase, copyAt, ref, 20_000)).rejects.toThrow();
    runtime.intercept(undefined);
    expect(await invoke(verifyDatabase, copyAt, ref)).toEqual({ done: true, verification: clean });
  }, 180_000);

  it('reports what was written to the copy since it was first touched', async () => {
    const ref = { restoreTestId: '20261127t050000z' };
    await invoke(hydrate, copyAt, ref);
    await restored.execute(`INSERT INTO t0 VALUES (5000, 'school-1', 'new')`);
    const { verification } = await invoke(verifyDatabase, copyAt, ref);
    await restored.execute(`DELETE FROM t0 WHERE id = 5000`);
    expect(verification?.findings).toEqual([
      {
        kind: 'rows-added',
        place: expect.stringMatching(/^public\.t0 bucket/),
        detail: '1 rows were made after the backup',
      },
    ]);
  }, 180_000);

  it('adopts nothing of what an earlier run of the same test found in another copy', async () => {
    const ref = { restoreTestId: '20261202t050000z' };
    expect((await invoke(verifyDatabase, copyAt, ref)).verification).toEqual(clean);
    await invoke(hydrate, copyAt, ref);
    const again = { ...ref, endpoint: { host: copyAt.host, port: copyAt.port, resourceId: 'db-LATER' } };
    expect((await invoke(hydrate, copyAt, again)).bytesRead).toBeGreaterThan(5_000_000);
    await restored.execute(`DELETE FROM t0 WHERE id = 8`);
    const { verification } = await invoke(verifyDatabase, copyAt, again);
    await restored.execute(
      `INSERT INTO t0 SELECT 8, 'school-9', (SELECT string_agg(md5((8 * n)::text), '') FROM generate_series(1, 100) n)`,
    );
    expect(verification?.findings.map(({ kind }) => kind)).toContain('rows-missing');
  }, 180_000);

  it('names a table on which the server breaks the connection, and goes on with the others', async () => {
    const ref = { restoreTestId: '20261128t050000z' };
    const killer = await restored.session();
    let stop = false;
    const killing = (async () => {
      while (!stop) {
        await killer.query(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity JOIN pg_locks USING (pid)
            WHERE usename = 'daybreak_reader' AND query LIKE '%hashtextextended%' AND relation = 't3'::regclass`,
        );
      }
    })();
    await restored.execute(
      `SET session_replication_role = replica; CREATE TABLE kept AS TABLE t3; INSERT INTO t3 SELECT g, 'school-1', repeat('x', 100) FROM generate_series(10000, 400000) g`,
    );
    try {
      const { verification } = await invoke(verifyDatabase, copyAt, ref);
      expect(verification?.findings).toContainEqual({
        kind: 'unreadable',
        place: 'public.t3',
        detail: 'the server ended the connection whenever it was read',
      });
      expect(verification?.rowsComparedExactly).toBe(4050);
    } finally {
      stop = true;
      await killing;
      await killer.end();
      await restored.execute(`TRUNCATE t3; INSERT INTO t3 TABLE kept; DROP TABLE kept`);
    }
  }, 180_000);

  it('refuses fingerprints that are not the ones that were signed', async () => {
    const good = await runtime.get('vault', rootManifestKey(recoveryPointId));
    const place = (moment: 'before' | 'after') => fingerprintKey(recoveryPointId, 'school', moment);
    await writeRootManifest({ before: '0'.repeat(64), after: '1'.repeat(64) });
    const { done, verification } = await invoke(verifyDatabase, copyAt, { restoreTestId: '20261129t050000z' });
    expect(done).toBe(true);
    expect(verification).toMatchObject({
      tableCount: 0,
      findings: [
        { kind: 'fingerprint-altered', place: place('before'), detail: 'its SHA-256 is not the one that was signed' },
        { kind: 'fingerprint-altered', place: place('after'), detail: 'its SHA-256 is not the one that was signed' },
      ],
    });
    await runtime.put('vault', rootManifestKey(recoveryPointId), good);
  }, 180_000);
});

describe('a copy whose reader may only read', () => {
  it('walks the indexes, and says that pages were not checked', async () => {
    await restored.execute('DROP EXTENSION amcheck');
    const { verification } = await invoke(verifyDatabase, copyAt, { restoreTestId: '20261130t050000z' });
    expect(verification).toMatchObject({
      indexesChecked: TABLES,
      heapRelationsChecked: null,
    });
    expect(verification?.gaps.map(({ name }) => name)).toContain('school/amcheck-missing');
    expect(verification?.findings.filter(({ kind }) => kind === 'index-corrupt')).toEqual([]);

    // PostgreSQL walks one of two equal indexes for both. The name of each is a part of the table's.
    await restored.execute(
      'CREATE TABLE walked_in_part (id int); CREATE INDEX walked ON walked_in_part (id); CREATE INDEX in_part ON walked_in_part (id)',
    );
    const partly = await invoke(verifyDatabase, copyAt, { restoreTestId: '20261202t050000z' });
    expect(partly.verification?.indexesChecked).toBe(TABLES + 1);
    expect(partly.verification?.gaps.filter(({ name }) => name.includes(':not-walked:'))).toHaveLength(1);
    await restored.execute('DROP TABLE walked_in_part');

    // An index that lost its entries, as a crash of broken hardware leaves it.
    await restored.execute(`ALTER TABLE t1 DISABLE TRIGGER ALL; UPDATE pg_index SET indisready = false WHERE indexrelid = 't1_pkey'::regclass;
      INSERT INTO t1 SELECT g, 'school-1', '' FROM generate_series(2000, 2100) g;
      UPDATE pg_index SET indisready = true WHERE indexrelid = 't1_pkey'::regclass`);
    const damaged = await invoke(verifyDatabase, copyAt, { restoreTestId: '20261201t050000z' });
    expect(damaged.verification?.findings).toContainEqual({
      kind: 'index-corrupt',
      place: 'public.t1_pkey',
      detail: 'it leads to 1000 rows, its table has 1101',
    });
  }, 180_000);

  it('reads tables and toast without pg_prewarm', async () => {
    await restored.execute('DROP EXTENSION pg_prewarm');
    const { bytesRead } = await invoke(hydrate, copyAt, { restoreTestId: '20261125t050000z' });
    expect(bytesRead).toBeGreaterThan(5_000_000);
  }, 180_000);
});
