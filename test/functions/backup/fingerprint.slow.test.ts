import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { handler } from '../../../functions/backup/fingerprint.ts';
import type { DatabaseFingerprint } from '../../../functions/contracts/fingerprint.ts';
import { fingerprintKey, fingerprintProgressKey } from '../../../functions/contracts/vault-layout.ts';
import { encodeDigests } from '../../../functions/platform/fingerprint/bucket-digests.ts';
import { openFingerprint, type StoredFingerprint } from '../../../functions/platform/fingerprint/fingerprint-file.ts';
import { currentRuntime, withRuntime } from '../../../functions/platform/runtime.ts';
import { TestDatabase } from '../../fixtures/database.ts';
import { stepRuntime, type TestRuntime } from '../../fixtures/step-runtime.ts';

const recoveryPointId = '20261122t023000z';
const SCHEMA = `
  CREATE TABLE school (id text PRIMARY KEY, name text);
  INSERT INTO school VALUES ('st-marys', 'x'), ('hillside', 'y'), ('Oak_1', 'z');
  ${Array.from({ length: 12 }, (_, i) => `CREATE TABLE t${i} (id int PRIMARY KEY, v text); INSERT INTO t${i} SELECT g, 'v' || g FROM generate_series(1, ${100 * (i + 1)}) g;`).join('\n')}
  CREATE UNLOGGED TABLE scratch (a int);
  CREATE TABLE secret (a int);
  ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
  CREATE TABLE ids (id text PRIMARY KEY);
  INSERT INTO ids VALUES ('fine'), ('not fine'), ('');
  CREATE TABLE nobody (id text PRIMARY KEY);
  CREATE SEQUENCE receipt INCREMENT -2 MAXVALUE 10 MINVALUE -100;
  SELECT nextval('receipt');
  ANALYZE;
`;

let source: TestDatabase;
let endpoint: { host: string; port: number; caFile: string };
let runtime: TestRuntime;

const database = { id: 'school', instanceId: 'school', databaseName: 'school', rootTable: 'school', rootColumn: 'id' };
const runtimeFor = (changes: Partial<typeof database> = {}) =>
  stepRuntime({ configuration: { databases: [{ ...database, readerUser: 'daybreak_reader', ...changes }] } });
const input = (moment: 'before' | 'after', port = endpoint.port) => ({
  recoveryPointId,
  databaseId: 'school',
  endpoint: { host: endpoint.host, port },
  moment,
});

/** One invocation. Each look at its clock takes `tickMs`. */
function invoke(
  event: unknown,
  { tickMs = 0, on = runtime, caFile = endpoint.caFile }: { tickMs?: number; on?: TestRuntime; caFile?: string } = {},
) {
  return on.run(() => {
    const base = currentRuntime();
    let nowMs = base.clock.now().getTime();
    const now = () => {
      nowMs += tickMs;
      return new Date(nowMs);
    };
    const environment = { ...base.environment, ...(caFile ? { DAYBREAK_DATABASE_CA_FILE: caFile } : {}) };
    return withRuntime({ ...base, environment, clock: { ...base.clock, now, sleep: async () => {} } }, () =>
      handler(event, { getRemainingTimeInMillis: () => 900_000 }),
    );
  });
}

/** The fingerprint that was written, with its digests as text, by table. */
async function stored(moment: 'before' | 'after', from = runtime) {
  const bytes = await from.get('vault', fingerprintKey(recoveryPointId, 'school', moment));
  return from.run(async () => {
    const opened = openFingerprint(bytes, 'vault', { recoveryPointId, databaseId: 'school', moment });
    await opened.checkParts();
    return { ...opened.index, digests: await digestsOf(opened) };
  });
}

async function digestsOf({ index, readDigests }: StoredFingerprint): Promise<Record<string, string>> {
  const digests: Record<string, string> = {};
  for (const table of index.tables) {
    const { settled, recent } = await readDigests(table);
    digests[table.table] = encodeDigests([settled, recent]).toString('hex');
  }
  return digests;
}

beforeAll(async () => {
  source = await TestDatabase.create({ schema: SCHEMA });
  await source.execute('ALTER ROLE daybreak_reader NOBYPASSRLS');
  endpoint = await source.openEndpoint('in-process');
}, 120_000);
afterAll(() => source.remove());
beforeEach(() => {
  runtime = runtimeFor();
});

describe('backup/fingerprint', () => {
  it('measures before and after, alike, over TLS with IAM authentication', async () => {
    expect(await invoke(input('before'))).toEqual({ done: true, measuredAt: expect.any(String) });
    expect(await invoke(input('after'))).toEqual({ done: true, measuredAt: expect.any(String) });
    const [before, after] = [await stored('before'), await stored('after')];
    expect(after.seeds).toEqual(before.seeds);
    expect(before.seeds[0]).not.toBe(before.seeds[1]);
    expect(before).toMatchObject({
      version: 2,
      databaseId: 'school',
      moment: 'before',
      serverVersion: expect.stringMatching(/^\d+\.\d+/),
      root: {
        comparison: 'exact',
        tenants: ['Oak_1', 'hillside', 'st-marys'].map(id => ({ id, comparedAs: id })),
        rowsWithoutId: 0,
      },
      sequences: [
        { schema: 'public', sequence: 'receipt', increment: '-2', value: { lastValue: '10', isCalled: true } },
      ],
      unreadable: [
        { schema: 'public', relation: 'scratch', reason: 'unlogged', rowCount: 0 },
        { schema: 'public', relation: 'secret', reason: 'row-level-security', rowCount: null },
      ],
    });
    expect(before.tables.map(({ table }) => table)).toEqual(
      ['ids', 'nobody', 'school', ...Array.from({ length: 12 }, (_, i) => `t${i}`)].sort(),
    );
    const t11 = before.tables.find(({ table }) => table === 't11');
    expect(t11).toMatchObject({ bucketColumns: ['id'], bucketCount: 2, isOneSnapshot: true, rowCount: 1200 });
    expect(after.digests).toEqual(before.digests);
    const withoutMoment = ({ tables }: DatabaseFingerprint) =>
      tables.map(({ snapshot: _, firstMeasuredAt: __, lastMeasuredAt: ___, ...rest }) => rest);
    expect(withoutMoment(after)).toEqual(withoutMoment(before));
    expect([before.catalogsSha256, after.catalogsSha256]).toEqual([expect.any(String), expect.any(String)]);
  }, 180_000);

  it('keeps a tenant’s rows and names out of its log', async () => {
    await invoke(input('before'));
    expect(JSON.stringify(runtime.lines)).not.toMatch(/st-marys|hillside|v1/);
  }, 180_000);

  it('answers at once when the fingerprint is there, and writes it once', async () => {
    await invoke(input('before'));
    const first = await runtime.get('vault', fingerprintKey(recoveryPointId, 'school', 'before'));
    expect(await invoke(input('before', 1))).toEqual({ done: true, measuredAt: expect.any(String) });
    expect(await runtime.get('vault', fingerprintKey(recoveryPointId, 'school', 'before'))).toEqual(first);
  }, 180_000);

  it('stops when its time is short, goes on, and comes to one result however often', async () => {
    let calls = 0;
    while (!(await invoke(input('before'), { tickMs: 60_000 })).done) {
      calls += 1;
      expect(calls).toBeLessThan(20);
    }
    expect(calls).toBeGreaterThan(0);
    const pieces = await stored('before');
    expect(await invoke(input('after'))).toEqual({ done: true, measuredAt: expect.any(String) });
    const whole = await stored('after');
    expect(pieces.digests).toEqual(whole.digests);
  }, 180_000);

  it.each(['progress', 'result'] as const)(
    'is killed while it writes its %s, and a rerun finishes the job',
    async what => {
      const key =
        what === 'progress'
          ? fingerprintProgressKey(recoveryPointId, 'school', 'before')
          : fingerprintKey(recoveryPointId, 'school', 'before');
      let writes = 0;
      runtime.intercept(async (request, next) => {
        if (request.method === 'PUT' && request.path.endsWith(key)) {
          writes += 1;
          if (what === 'result' || writes === 3) throw new Error('killed');
        }
        return next();
      });
      await expect(invoke(input('before'), { tickMs: what === 'progress' ? 12_000 : 0 })).rejects.toThrow();
      runtime.intercept(undefined);
      const { done, measuredAt } = await invoke(input('before'), { tickMs: 1 });
      const { tables, describedAt } = await stored('before');
      expect({ done, tableCount: tables.length }).toEqual({ done: true, tableCount: 15 });
      // What is not inside tables is of the run that went on: a snapshot that is older lies before it.
      const last = [...tables.map(({ lastMeasuredAt }) => lastMeasuredAt), describedAt].sort().at(-1);
      expect(measuredAt).toBe(last);
      if (what === 'result') expect(tables.filter(({ lastMeasuredAt }) => lastMeasuredAt === last)).toEqual([]);
      const keys = await runtime.list('vault', 'fingerprints/');
      expect(keys.filter(key => !key.endsWith('.json.zst'))).not.toEqual([]);
      expect(keys.filter(key => key.endsWith('.json.zst'))).toEqual([
        fingerprintKey(recoveryPointId, 'school', 'before'),
      ]);
    },
    60_000,
  );

  it('names what is not measured at its deadline, and closes the fingerprint', async () => {
    // Each look at the clock takes a second: the time is over after some tables.
    const deadlineAt = new Date(Date.parse('2026-11-22T02:30:00.000Z') + 30_000).toISOString();
    expect(await invoke({ ...input('before'), deadlineAt }, { tickMs: 1_000 })).toMatchObject({ done: true });
    const before = await stored('before');
    const late = before.unreadable.filter(({ reason }) => reason === 'out-of-time');
    expect(before.tables.length).toBeGreaterThan(0);
    expect(late.length).toBeGreaterThan(0);
    expect(before.tables.length + late.length).toBe(15);
    expect(before.root.tenants.map(({ id }) => id)).toEqual(['Oak_1', 'hillside', 'st-marys']);
    // What is known from one measurement is measured again, and what is late in both is named in both.
    expect(await invoke({ ...input('after'), deadlineAt })).toMatchObject({ done: true });
  }, 180_000);

  it('counts what no restore brings back', async () => {
    await source.execute('INSERT INTO scratch VALUES (1), (2), (3)');
    await invoke(input('before'));
    await source.execute('TRUNCATE scratch');
    expect((await stored('before')).unreadable).toContainEqual({
      schema: 'public',
      relation: 'scratch',
      reason: 'unlogged',
      rowCount: 3,
    });
  }, 180_000);

  it('takes any text for an id, and keeps it out of its log', async () => {
    const on = runtimeFor({ rootTable: 'ids' });
    expect(await invoke(input('before'), { on })).toEqual({ done: true, measuredAt: expect.any(String) });
    expect((await stored('before', on)).root.tenants.map(({ id }) => id)).toEqual(['', 'fine', 'not fine']);
    expect(JSON.stringify(on.lines)).not.toContain('not fine');
  }, 180_000);

  it('refuses to measure after what was not measured before', async () => {
    await expect(invoke(input('after'))).rejects.toMatchObject({ name: 'BeforeFingerprintMissingError' });
  });

  it.each([
    ['no such table', { rootTable: 'schools' }, 'does not exist'],
    ['no such schema', { rootTable: 'app.school' }, 'does not exist'],
    ['no such column', { rootColumn: 'key' }, 'has no such column'],
    ['no rows', { rootTable: 'nobody' }, 'has no rows'],
    ['row-level security', { rootTable: 'secret', rootColumn: 'a' }, 'cannot be read by the reader'],
  ])(
    'says what is wrong with the root table: %s',
    async (_what, changes, message) => {
      const on = runtimeFor(changes);
      await expect(invoke(input('before'), { on })).rejects.toMatchObject({
        name: 'TenantRootError',
        message: expect.stringContaining(message),
      });
      expect(JSON.stringify(on.lines)).not.toContain('not fine');
    },
    60_000,
  );

  it.each([
    ['nothing listens', () => input('before', 1), {}, 'RetryableError'],
    ['the certificate is of another authority', () => input('before'), { caFile: '' }, 'DatabaseCertificateError'],
  ])(
    'fails clearly where %s',
    async (_what, event, options, name) => {
      await expect(invoke(event(), options)).rejects.toMatchObject({ name });
    },
    60_000,
  );

  it('names a login that IAM refuses', async () => {
    const other = await source.openEndpoint('another secret');
    await expect(invoke(input('before', other.port))).rejects.toMatchObject({
      name: 'DatabaseAccessDeniedError',
      message: expect.stringContaining('rds-db:connect'),
    });
  });
});
