import { zstdCompressSync } from 'node:zlib';
import { beforeEach, describe, expect, it } from 'vitest';
import { handler } from '../../../functions/backup/list-tenants.ts';
import { planItems } from '../../../functions/backup/plan-items.ts';
import type { RecoveryPoint } from '../../../functions/contracts/recovery-point.ts';
import { fingerprintKey, rootManifestKey } from '../../../functions/contracts/vault-layout.ts';
import { canonicalJson } from '../../../functions/platform/canonical-json.ts';
import { inPagesOf, stepRuntime, type TestRuntime } from '../../fixtures/step-runtime.ts';

const recoveryPointId = '20261122t023000z';
const database = { id: 'app', instanceId: 'school-app', databaseName: 'app', rootTable: 'school', rootColumn: 'id' };
const hash = (digit: string) => digit.repeat(64);

let cloud: TestRuntime;
const asOf = '2026-11-22T02:40:00.000Z';

beforeEach(() => {
  cloud = stepRuntime({ configuration: { databases: [{ ...database, readerUser: 'daybreak_reader' }] } });
});

async function listItems(): Promise<
  { bucketId: string; tenant: string | null; previousManifestSha256: string | null }[]
> {
  const { itemsKey, itemCount } = await cloud.invoke(handler, { recoveryPointId, asOf });
  const items = (await cloud.get('work', itemsKey))
    .toString()
    .split('\n')
    .slice(0, -1)
    .map(line => JSON.parse(line));
  expect(items).toHaveLength(itemCount);
  return items;
}

const tenants = async () => (await listItems()).map(({ tenant }) => tenant);

function tenantResult(
  tenant: string | null,
  manifestSha256: string | null,
  previousManifestSha256: string | null = null,
) {
  const counts = { objectCount: 1, byteCount: 1, copiedObjectCount: 0, copiedByteCount: 0, recopiedObjectCount: 0 };
  return {
    bucketId: 'uploads',
    tenant,
    manifestSha256,
    previousManifestSha256,
    ...counts,
    notCovered: {},
    failure: null,
  };
}

async function putRootManifest(id: string, results: RecoveryPoint['tenants'], forge?: (text: string) => string) {
  const document: RecoveryPoint = {
    version: 1,
    recoveryPointId: id,
    scheduledAt: '2026-11-21T02:30:00.000Z',
    completedAt: '2026-11-21T03:30:00.000Z',
    status: 'good',
    databases: [],
    tenants: results,
    reasons: [],
  };
  const text = canonicalJson(await cloud.sign(document));
  await cloud.put('vault', rootManifestKey(id), forge?.(text) ?? text);
}

const putFingerprint = (names: string[]) =>
  cloud.put(
    'vault',
    fingerprintKey(recoveryPointId, 'app', 'before'),
    zstdCompressSync(JSON.stringify({ tenants: names })),
  );

describe('list-tenants', () => {
  it('finds the tenants of a bucket by their prefixes', async () => {
    for (const key of [
      'schools/oakfield/a',
      'schools/oakfield/b/c',
      'schools/riverside/x',
      'schools/St Mary/y',
      'other/z',
    ]) {
      await cloud.put('school-uploads', key, 'x');
    }
    cloud.intercept(inPagesOf(1));
    expect(await listItems()).toEqual(
      [null, 'oakfield', 'riverside'].map(tenant => ({
        recoveryPointId,
        bucketId: 'uploads',
        tenant,
        previousManifestSha256: null,
        partialManifestSha256: null,
        asOf: null,
      })),
    );
  });

  it('adds tenants that only a database knows, and says how many have no valid id', async () => {
    await cloud.put('school-uploads', 'schools/oakfield/a', 'x');
    await putFingerprint(['oakfield', 'new-school', 'St Mary', '../x']);
    expect(await tenants()).toEqual([null, 'new-school', 'oakfield']);
    expect(cloud.lines.find(({ level }) => level === 'warn')).toMatchObject({ invalidTenantCount: 2 });
    expect(JSON.stringify(cloud.lines)).not.toContain('Mary');
  });

  it('goes on with what else is known when a fingerprint is not readable', async () => {
    await cloud.put('school-uploads', 'schools/oakfield/a', 'x');
    await cloud.put('vault', fingerprintKey(recoveryPointId, 'app', 'before'), 'no fingerprint');
    expect(await tenants()).toEqual([null, 'oakfield']);
    expect(cloud.lines.find(({ level }) => level === 'error')).toMatchObject({
      message: 'a fingerprint does not read back',
      databaseId: 'app',
    });
  });

  it('takes each tenant’s previous manifest from the newest earlier recovery point', async () => {
    await cloud.put('school-uploads', 'schools/oakfield/a', 'x');
    await putRootManifest('20261120t023000z', [tenantResult('oakfield', hash('1'))]);
    await putRootManifest('20261121t023000z', [
      tenantResult(null, hash('4')),
      tenantResult('gone', hash('3')),
      tenantResult('oakfield', null, hash('2')),
    ]);
    await putRootManifest(recoveryPointId, [tenantResult('oakfield', hash('9'))]);
    await putRootManifest('20261123t023000z', [tenantResult('oakfield', hash('8'))]);
    expect((await listItems()).map(item => [item.tenant, item.previousManifestSha256])).toEqual([
      [null, hash('4')],
      ['gone', hash('3')],
      ['oakfield', hash('2')],
    ]);
  });

  it.each([
    ['is forged', (text: string) => text.replaceAll(hash('2'), hash('6'))],
    ['is no JSON', () => 'garbage'],
    ['is another’s', (text: string) => text.replaceAll('20261121t023000z', '20261119t023000z')],
  ])('falls back to an older recovery point when the newest %s, and says so', async (_name, forge) => {
    await putRootManifest('20261120t023000z', [tenantResult('oakfield', hash('1'))]);
    await putRootManifest('20261121t023000z', [tenantResult('oakfield', hash('2'))], forge);
    expect((await listItems()).map(item => [item.tenant, item.previousManifestSha256])).toEqual([
      [null, null],
      ['oakfield', hash('1')],
    ]);
    expect(cloud.lines.filter(({ level }) => level === 'error')).toMatchObject([
      { recoveryPointId: '20261121t023000z' },
    ]);
  });

  it('gives a bucket that cannot be listed the items that are known otherwise', async () => {
    await putRootManifest('20261121t023000z', [tenantResult('oakfield', hash('1'))]);
    cloud.intercept(async (request, next) =>
      request.path.startsWith('/school-uploads')
        ? { status: 404, headers: {}, body: '<Error><Code>NoSuchBucket</Code></Error>' }
        : next(),
    );
    expect(await cloud.invoke(handler, { recoveryPointId })).toMatchObject({ unlistedBucketIds: ['uploads'] });
    expect(await tenants()).toEqual([null, 'oakfield']);
    expect(cloud.lines.filter(({ level }) => level === 'error')).toMatchObject([
      { bucketId: 'uploads' },
      { bucketId: 'uploads' },
    ]);
  });

  it('fails when S3 does not answer, so that it is run again', async () => {
    cloud.intercept(async (request, next) =>
      request.path.startsWith('/school-uploads') ? { status: 503, headers: {} } : next(),
    );
    await expect(listItems()).rejects.toMatchObject({ name: 'RetryableError' });
  });
});

describe('the items', () => {
  it('keep buckets apart', () => {
    const { items } = planItems({
      recoveryPointId,
      buckets: [
        { bucketId: 'uploads', listed: ['b', 'a'], asOf: '2026-11-22T02:40:00.000Z' },
        { bucketId: 'exports', listed: [], asOf: null },
      ],
      databaseTenants: ['c', 'a'],
      previous: [tenantResult('a', hash('1')), { ...tenantResult('d', hash('2')), bucketId: 'exports' }],
    });
    expect(items.map(item => [item.bucketId, item.tenant, item.previousManifestSha256?.[0] ?? null])).toEqual([
      ['uploads', null, null],
      ['uploads', 'a', '1'],
      ['uploads', 'b', null],
      ['uploads', 'c', null],
      ['exports', null, null],
      ['exports', 'a', null],
      ['exports', 'c', null],
      ['exports', 'd', '2'],
    ]);
  });
});
