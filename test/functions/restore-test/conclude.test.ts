import { Readable } from 'node:stream';
import { beforeEach, describe, expect, it } from 'vitest';
import type { DatabaseVerification } from '../../../functions/contracts/restore-test-record.ts';
import { itemsKey, restoreTestRecordKey } from '../../../functions/contracts/vault-layout.ts';
import { handler } from '../../../functions/restore-test/conclude.ts';
import { stepRuntime, type TestRuntime } from '../../fixtures/step-runtime.ts';

const restoreTestId = '20261201t030000z';
const recoveryPointId = '20261122t023000z';
const objectResultsKey = `work/${restoreTestId}/results/run/manifest.json`;
const startedAt = '2026-12-01T03:00:00.000Z';
const verification: DatabaseVerification = {
  databaseId: 'app',
  tableCount: 1,
  rowCount: 10,
  rowsExpected: 10,
  rowsComparedExactly: 10,
  driftRowCount: 0,
  foreignKeysChecked: 0,
  indexesChecked: 1,
  heapRelationsChecked: 1,
  gaps: [],
  gapTotals: [],
  findings: [],
  findingCount: 0,
};
const passing = {
  restoreTestId,
  startedAt,
  chosen: {
    restoreTestId,
    recoveryPointId,
    recoveryPointStatus: 'good',
    reason: null,
    findings: [],
    snapshots: [],
    allObjects: true,
  },
  databases: [{ databaseId: 'app', verification, failure: null, restored: true, phases: [] }],
  objectResultsKey,
  failure: null,
  phases: [{ phase: 'databases', startedAt, durationMs: 5 }],
};

let cloud: TestRuntime;
beforeEach(async () => {
  cloud = stepRuntime();
  const file = `work/${restoreTestId}/results/run/SUCCEEDED_0.jsonl`;
  const names = { bucketId: 'uploads', tenant: 'oak' };
  const item = { restoreTestId, recoveryPointId, ...names, manifestSha256: 'a'.repeat(64), sampleSize: null };
  await cloud.put('work', itemsKey('restore-test', restoreTestId), `${JSON.stringify(item)}\n`);
  await cloud.put(
    'work',
    file,
    `${JSON.stringify({ ...names, objectCount: 2, objectsRestored: 2, bytesRestored: 9, findings: [], findingCount: 0 })}\n`,
  );
  const files = { SUCCEEDED: [{ Key: file }], FAILED: [], PENDING: [] };
  await cloud.put('work', objectResultsKey, JSON.stringify({ DestinationBucket: 'work', ResultFiles: files }));
});

const record = async () =>
  JSON.parse((await cloud.get('evidence', restoreTestRecordKey(restoreTestId))).toString('utf8'));

describe('conclude', () => {
  it('records a passed test, once', async () => {
    const first = await cloud.invoke(handler, passing);
    expect(first).toMatchObject({
      verdict: 'passed',
      draft: {
        eventId: `restore-test/${restoreTestId}`,
        body: { recoveryPointId, objectsRestored: 2, findingCount: 0 },
      },
    });
    cloud.clock.advance(60_000);
    expect(await cloud.invoke(handler, passing)).toEqual(first);
    expect(await record()).toMatchObject({
      version: 2,
      verdict: 'passed',
      verdictLine: 'passed',
      completedAt: '2026-11-22T02:30:00.000Z',
      objects: { tenantCount: 1, objectCount: 2, objectsRestored: 2, bytesRestored: 9 },
    });
  });

  it.each([
    ['another verdict', { databases: [{ ...passing.databases[0], verification: null, failure: 'RetryableError' }] }],
    ['another recovery point', { chosen: { ...passing.chosen, recoveryPointId: '20261123t023000z' } }],
  ])('lets no earlier record speak for a run that comes to %s', async (_name, change) => {
    await cloud.invoke(handler, passing);
    await expect(cloud.invoke(handler, { ...passing, ...change })).rejects.toMatchObject({
      name: 'RestoreTestContradictedError',
    });
    expect(await record()).toMatchObject({ verdict: 'passed', recoveryPointId });
  });

  it('lets a record of the first version stand', async () => {
    await cloud.invoke(handler, passing);
    const { verdictLine: _, ...kept } = await record();
    const { rowsExpected: _1, gaps: _2, gapTotals: _3, findingCount: _4, ...earlier } = verification;
    const first = { ...kept, version: 1, databases: [{ ...earlier, notChecked: ['public.cache: unlogged'] }] };
    cloud = stepRuntime();
    await cloud.put('evidence', restoreTestRecordKey(restoreTestId), JSON.stringify(first));
    await cloud.put('work', itemsKey('restore-test', restoreTestId), '');
    const files = { SUCCEEDED: [], FAILED: [], PENDING: [] };
    await cloud.put('work', objectResultsKey, JSON.stringify({ DestinationBucket: 'work', ResultFiles: files }));
    expect(await cloud.invoke(handler, passing)).toMatchObject({ verdict: 'passed' });
    expect(await record()).toEqual(first);
  });

  it('keeps a hundred findings of thousands of tenants, in bounded memory, and counts all', async () => {
    const finding = { kind: 'object-missing', place: `tenants/oak/objects/${'a'.repeat(64)}`, detail: 'x'.repeat(800) };
    const result = { bucketId: 'uploads', objectCount: 1, objectsRestored: 0, bytesRestored: 0, findingCount: 500 };
    const findings = Array(100).fill(finding);
    const lineOf = (tenant: number) =>
      Buffer.from(`${JSON.stringify({ ...result, tenant: `school-${10_000 + tenant}`, findings })}\n`);
    const file = `work/${restoreTestId}/results/run/SUCCEEDED_0.jsonl`;
    // Two hundred megabytes, which the local S3 need not hold.
    let most = 0;
    const before = process.memoryUsage();
    cloud.intercept(async ({ path }, next) => {
      const answer = await next();
      if (path !== `/work/${file}`) return answer;
      const { 'x-amz-checksum-crc32': _, ...headers } = answer.headers;
      const body = Readable.from(
        (function* () {
          for (let tenant = 0; tenant < 2000; tenant++) {
            const { heapUsed, external } = process.memoryUsage();
            most = Math.max(most, heapUsed + external - before.heapUsed - before.external);
            yield lineOf(tenant);
          }
        })(),
      );
      return {
        ...answer,
        headers: { ...headers, 'content-length': `${2000 * lineOf(0).length}` },
        body,
      };
    });
    const concluded = await cloud.invoke(handler, passing);
    expect(concluded).toMatchObject({ verdict: 'failed', draft: { body: { findingCount: 1_000_000 } } });
    const kept = await record();
    expect([kept.findings.length, kept.findingCount, kept.objects.tenantCount]).toEqual([100, 1_000_000, 2000]);
    expect(kept.reasons.at(-1)).toBe('and 999990 more findings');
    expect(most).toBeLessThan(150e6);
  });

  it('misses a database that was chosen and has no outcome', async () => {
    const databases = ['app', 'notes'].map(databaseId => ({ restoreTestId, recoveryPointId, databaseId }));
    const chosen = { ...passing.chosen, snapshots: [{ snapshotId: 's', databases }] };
    expect(await cloud.invoke(handler, { ...passing, chosen })).toMatchObject({ verdict: 'inconclusive' });
    expect((await record()).reasons).toEqual(['database notes has no result']);
  });

  it('takes no result that is there twice for the one of another tenant', async () => {
    const item = { restoreTestId, recoveryPointId, bucketId: 'uploads', manifestSha256: 'a'.repeat(64), sampleSize: 1 };
    const lines = ['oak', 'elm'].map(tenant => `${JSON.stringify({ ...item, tenant })}\n`);
    await cloud.put('work', itemsKey('restore-test', restoreTestId), lines.join(''));
    const file = `work/${restoreTestId}/results/run/SUCCEEDED_0.jsonl`;
    const result = (await cloud.get('work', file)).toString();
    await cloud.put('work', file, result + result);
    expect(await cloud.invoke(handler, passing)).toMatchObject({ verdict: 'inconclusive' });
    expect((await record()).reasons).toEqual(["1 tenants' objects were not compared"]);
  });

  it('misses a tenant whose child left no result', async () => {
    const item = { restoreTestId, recoveryPointId, bucketId: 'uploads', manifestSha256: 'a'.repeat(64), sampleSize: 1 };
    const lines = ['oak', 'elm'].map(tenant => `${JSON.stringify({ ...item, tenant })}\n`);
    await cloud.put('work', itemsKey('restore-test', restoreTestId), lines.join(''));
    expect(await cloud.invoke(handler, passing)).toMatchObject({ verdict: 'inconclusive' });
    expect((await record()).reasons).toEqual(["1 tenants' objects were not compared"]);
  });
});
