import { createHash } from 'node:crypto';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { DisableKeyCommand } from '@aws-sdk/client-kms';
import { beforeEach, describe, expect, it } from 'vitest';
import { handler as backUpTenant } from '../../../functions/backup/back-up-tenant.ts';
import type { ObjectManifestLine } from '../../../functions/contracts/object-manifest.ts';
import { VerifyObjectsOutput } from '../../../functions/contracts/restore-test.ts';
import type { ObjectVerification } from '../../../functions/contracts/restore-test-record.ts';
import { manifestKey, objectKey, tenantKeyAlias } from '../../../functions/contracts/vault-layout.ts';
import { COPY_LIMITS } from '../../../functions/platform/object-copy.ts';
import { handler, RESTORE_LIMITS, verifyObjects } from '../../../functions/restore-test/verify-objects.ts';
import { inPagesOf, stepRuntime, type TestRuntime } from '../../fixtures/step-runtime.ts';

const restoreTestId = '20261201t060000z';
const recoveryPointId = '20261122t023000z';

let cloud: TestRuntime;
let keyArn: string;
let manifestSha256: string;

beforeEach(async () => {
  cloud = stepRuntime();
  keyArn = cloud.kms.createKeyFromTemplate({}).keyArn;
  cloud.kms.createAliasFromTemplate(tenantKeyAlias('oakfield'), keyArn);
  await upload('report.pdf', 'a report', {
    ContentType: 'application/pdf',
    ContentDisposition: 'attachment; filename="r.pdf"',
    CacheControl: 'private, max-age=0',
    ContentLanguage: 'en-GB',
    ContentEncoding: 'gzip',
    Expires: new Date('2027-01-01T00:00:00Z'),
    Metadata: { uploader: 'u-17', 'class-of': '2031' },
    Tagging: 'kind=work&note=a%20b%2Bc%3Dd',
  });
  await upload('empty', '');
  for (let index = 0; index < 10; index++) await upload(`n/${index}`, `content ${index}`);
  manifestSha256 = await backUp();
});

const upload = (name: string, body: string, input = {}) =>
  cloud.put('school-uploads', `schools/oakfield/${name}`, Buffer.from(body), input);

async function backUp(): Promise<string> {
  const item = { recoveryPointId, bucketId: 'uploads', tenant: 'oakfield', previousManifestSha256: null };
  const { result } = await cloud.invoke(backUpTenant, { item, keyArn, cursor: null });
  return result?.manifestSha256 ?? '';
}

const item = (sampleSize: number | null = null) => ({
  restoreTestId,
  recoveryPointId,
  bucketId: 'uploads',
  tenant: 'oakfield',
  manifestSha256,
  sampleSize,
});

async function verify(sampleSize: number | null = null): Promise<ObjectVerification> {
  const { result } = await cloud.invoke(handler, { item: item(sampleSize), cursor: null });
  if (result === null) throw new Error('it stopped for time');
  return result;
}

async function lineOf(name: string): Promise<ObjectManifestLine> {
  const lines = zstdDecompressSync(await cloud.get('vault', manifestKey('oakfield', manifestSha256)))
    .toString()
    .split('\n')
    .slice(0, -1)
    .map(line => JSON.parse(line));
  return lines.find(({ key }) => key === `schools/oakfield/${name}`);
}

const placeOf = async (name: string) => objectKey('oakfield', (await lineOf(name)).vaultName);
const underTenantKey = () => ({ ServerSideEncryption: 'aws:kms', SSEKMSKeyId: keyArn }) as const;
const vaultObjects = () => cloud.s3.core.store.buckets.get('vault')?.keys;

describe('verify-objects', () => {
  it('restores everything, finds nothing wrong, and leaves no scratch object', async () => {
    expect(await verify()).toEqual({
      bucketId: 'uploads',
      tenant: 'oakfield',
      objectCount: 12,
      objectsRestored: 12,
      bytesRestored: 8 + 10 * 9,
      findings: [],
      findingCount: 0,
    });
    expect(await cloud.list('work')).toEqual([]);
  });

  it('restores under the tenant’s key and by names that say nothing', async () => {
    await verify();
    const scratch = cloud.requests.filter(request => request.includes('/work/scratch/'));
    expect(scratch).toHaveLength(24);
    for (const request of scratch)
      expect(request).toMatch(/\/work\/scratch\/20261201t060000z\/20261122t023000z\/[0-9a-f]{64}/);
    expect(JSON.stringify(cloud.lines)).not.toContain('report');
  });

  it('puts no metadata, header or tag on a copy, where S3 would not encrypt it', async () => {
    const copies: string[] = [];
    cloud.intercept(async ({ path, headers }, next) => {
      const answer = await next();
      if (!path.startsWith('/work/scratch/') || headers['x-amz-copy-source'] === undefined) return answer;
      const [version] = cloud.s3.core.store.buckets.get('work')?.keys.get(path.slice('/work/'.length))?.versions ?? [];
      if (version?.kind === 'object') copies.push(JSON.stringify([version.headers, version.tags]));
      return answer;
    });
    expect((await verify()).findings).toEqual([]);
    expect([...new Set(copies)]).toEqual(['[{"content-type":"binary/octet-stream"},{}]']);
    expect(copies).toHaveLength(12);
  });

  it('restores large objects one at a time, so that a call is long enough for the first', async () => {
    for (const [togetherUpToBytes, atOnce] of [
      [0, 1],
      [1e9, 12],
    ] as const) {
      let underWay = 0;
      let most = 0;
      cloud.intercept(async ({ path, method }, next) => {
        if (!path.startsWith('/vault/tenants/oakfield/objects/') || method !== 'HEAD') return next();
        most = Math.max(most, ++underWay);
        await new Promise(resolve => setTimeout(resolve, 5));
        underWay--;
        return next();
      });
      const limits = { ...COPY_LIMITS, readBackUpToBytes: 1e9, togetherUpToBytes, namesAtOnce: 1e6 };
      const { result } = await cloud.run(() => verifyObjects({ item: item(), cursor: null }, cloud.context, limits));
      // The empty object is large at no limit.
      expect({ restored: result?.objectsRestored, most }).toEqual({ restored: 12, most: atOnce === 1 ? 2 : atOnce });
    }
  });

  it('restores a sample: the largest, the newest, and others that the test’s id draws', async () => {
    await cloud.clock.advance(60_000);
    await upload('largest', 'x'.repeat(1000));
    await upload('newest', 'y');
    await cloud.clock.advance(60_000);
    await upload('newest', 'z');
    manifestSha256 = await backUp();
    cloud.requests.length = 0;
    const result = await verify(4);
    expect(result).toMatchObject({ objectCount: 14, objectsRestored: 4, findings: [] });
    const restored = () => [
      ...new Set(cloud.requests.filter(text => text.endsWith('(copy)')).map(text => text.slice(-71, -7))),
    ];
    const first = restored();
    expect(first).toHaveLength(4);
    expect(first).toContain((await lineOf('largest')).vaultName);
    expect(first).toContain((await lineOf('newest')).vaultName);
    cloud.requests.length = 0;
    await verify(4);
    expect(restored()).toEqual(first);
  });

  it('asks for one page of the vault for a thousand objects, beside what it restores', async () => {
    cloud.requests.length = 0;
    await verify(1);
    expect(cloud.requests.filter(text => text.includes('list-type'))).toHaveLength(1);
    expect(cloud.requests.filter(text => text.includes('/manifests/'))).toHaveLength(1);
  });

  it('is content with a manifest of nothing', async () => {
    manifestSha256 = createHash('sha256').digest('hex');
    await cloud.put('vault', manifestKey('oakfield', manifestSha256), zstdCompressSync(''), underTenantKey());
    expect(await verify(20)).toMatchObject({ objectCount: 0, objectsRestored: 0, findings: [] });
  });

  it('goes on where it stopped for time, with the same result', async () => {
    const whole = await verify();
    for (const allowed of [14, 17, 20]) {
      let output: ReturnType<typeof VerifyObjectsOutput.parse> = { result: null, cursor: null };
      let calls = 0;
      while (output.result === null) {
        let asked = 0;
        const context = { ...cloud.context, timeIsShort: () => ++asked > allowed };
        const limits = { ...COPY_LIMITS, readBackUpToBytes: 1e9, togetherUpToBytes: 1e9, namesAtOnce: 3 };
        const { cursor } = output;
        output = VerifyObjectsOutput.parse(
          JSON.parse(JSON.stringify(await cloud.run(() => verifyObjects({ item: item(), cursor }, context, limits)))),
        );
        expect(JSON.stringify(output.cursor)).not.toContain('schools/');
        calls++;
        expect(calls).toBeLessThan(60);
      }
      expect(output.result).toEqual(whole);
      expect(calls).toBeGreaterThan(1);
    }
  });

  it('goes through the inventory page by page, whatever stops it, and finds the same', async () => {
    for (const name of ['n/3', 'n/4', 'n/9']) await cloud.remove('vault', await placeOf(name));
    const whole = await verify(1);
    expect(whole.findingCount).toBe(3);
    for (const [pageSize, namesAtOnce] of [
      [1, 1],
      [2, 5],
      [5, 2],
    ] as const) {
      cloud.intercept(inPagesOf(pageSize));
      const limits = { ...RESTORE_LIMITS, namesAtOnce };
      let output: ReturnType<typeof VerifyObjectsOutput.parse> = { result: null, cursor: null };
      let calls = 0;
      do {
        const { cursor } = output;
        const context = { ...cloud.context, timeIsShort: () => cursor?.phase !== 'restore' };
        output = VerifyObjectsOutput.parse(
          JSON.parse(JSON.stringify(await cloud.run(() => verifyObjects({ item: item(1), cursor }, context, limits)))),
        );
        calls++;
      } while (output.result === null);
      expect(calls).toBeGreaterThan(2);
      expect(output.result).toEqual(whole);
    }
  });

  it('finishes after being killed at any request', async () => {
    const whole = await verify();
    const total = cloud.requests.length;
    for (let killedAt = 1; killedAt < total; killedAt += 13) {
      let count = 0;
      cloud.intercept(async (_request, next) => {
        const response = await next();
        if (++count === killedAt) throw new Error('the process was killed');
        return response;
      });
      await verify().catch(error => expect(error.name).toBe('RetryableError'));
      cloud.intercept(undefined);
      expect(await verify()).toEqual(whole);
    }
  });
});

describe('verify-objects, when the vault was damaged', () => {
  it('finds an object that is missing behind a delete marker', async () => {
    const place = await placeOf('n/3');
    await cloud.remove('vault', place);
    expect(await verify()).toMatchObject({
      objectCount: 12,
      findings: [{ kind: 'object-missing', place, detail: 'the vault has no current version of it' }],
    });
  });

  it('finds it also where the sample does not hold it', async () => {
    const places: string[] = [];
    for (const name of ['n/0', 'n/1', 'n/2', 'n/3', 'n/4', 'n/5', 'n/6']) places.push(await placeOf(name));
    for (const place of places) await cloud.remove('vault', place);
    const { findings } = await verify(1);
    expect(findings.filter(({ kind }) => kind === 'object-missing').map(({ place }) => place)).toEqual(places.sort());
  });

  it('finds an object whose version is gone', async () => {
    const place = await placeOf('n/3');
    vaultObjects()?.remove(place);
    expect((await verify()).findings).toEqual([
      { kind: 'object-missing', place, detail: 'the vault has no current version of it' },
      { kind: 'object-missing', place, detail: 'the version that was backed up is gone' },
    ]);
  });

  it('finds another version on top, of the same size or not', async () => {
    const place = await placeOf('n/3');
    await cloud.put('vault', place, 'CONTENT 3', underTenantKey());
    expect((await verify()).findings).toEqual([
      { kind: 'object-altered', place, detail: 'its current version is not the one that was backed up' },
    ]);
    await cloud.put('vault', place, 'shorter', underTenantKey());
    expect((await verify()).findings.map(({ detail }) => detail)).toEqual([
      'its current version has another size',
      'its current version is not the one that was backed up',
    ]);
  });

  it('finds altered content in the very version that was backed up', async () => {
    const place = await placeOf('n/3');
    const entry = vaultObjects()?.get(place);
    await cloud.put('vault', place, 'CONTENT 3', underTenantKey());
    const [forged, original] = entry?.versions ?? [];
    if (entry === undefined || forged === undefined || original === undefined) throw new Error('no versions');
    entry.versions = [{ ...forged, versionId: original.versionId }];
    expect((await verify()).findings).toEqual([{ kind: 'object-altered', place, detail: 'its SHA-256 differs' }]);
  });

  it('finds an object under another key, also one that KMS refuses', async () => {
    const place = await placeOf('n/3');
    const otherKey = cloud.kms.createKeyFromTemplate({}).keyArn;
    const entry = vaultObjects()?.get(place);
    await cloud.put('vault', place, 'content 3', { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: otherKey });
    const [forged, original] = entry?.versions ?? [];
    if (entry === undefined || forged === undefined || original === undefined) throw new Error('no versions');
    entry.versions = [{ ...forged, versionId: original.versionId }];
    expect((await verify()).findings).toEqual([{ kind: 'object-altered', place, detail: 'it is under another key' }]);
    await cloud.keys.send(new DisableKeyCommand({ KeyId: otherKey }));
    // S3 does not even tell the checksum of what KMS refuses.
    expect((await verify()).findings).toEqual([{ kind: 'unreadable', place, detail: 'KMS refuses its key' }]);
  });

  it.each([
    ['another line', (text: string) => text.replace('report', 'tropper')],
    ['a line less', (text: string) => text.slice(text.indexOf('\n') + 1)],
    ['nothing', () => ''],
  ])('finds an altered manifest with %s', async (_name, alter) => {
    const place = manifestKey('oakfield', manifestSha256);
    const altered = alter(zstdDecompressSync(await cloud.get('vault', place)).toString());
    await cloud.put('vault', place, zstdCompressSync(altered), underTenantKey());
    const result = await verify();
    expect(result).toMatchObject({
      objectCount: 0,
      objectsRestored: 0,
      findings: [{ kind: 'manifest-altered', place }],
    });
  });

  it('finds a manifest that is gone', async () => {
    const place = manifestKey('oakfield', manifestSha256);
    await cloud.remove('vault', place);
    expect((await verify()).findings).toEqual([{ kind: 'object-missing', place, detail: 'the manifest is gone' }]);
  });

  it('keeps a hundred findings and counts the rest', async () => {
    cloud.clone(
      'school-uploads',
      'schools/oakfield/n/0',
      Array.from({ length: 150 }, (_, index) => `schools/oakfield/many/${index}`),
    );
    manifestSha256 = await backUp();
    for (const key of await cloud.list('vault', 'tenants/oakfield/objects/')) await cloud.remove('vault', key);
    const { findings, findingCount } = await verify(1);
    expect([findings.length, findingCount]).toEqual([100, 162]);
  });

  it('says nothing about the backup when the tenant’s key cannot be used', async () => {
    await cloud.keys.send(new DisableKeyCommand({ KeyId: keyArn }));
    await expect(verify()).rejects.toMatchObject({ name: 'TenantKeyUnusableError' });
  });

  it('says nothing about the backup when it may not read it', async () => {
    cloud.intercept(async (request, next) =>
      request.path.includes('/objects/') ? { status: 403, headers: {} } : next(),
    );
    await expect(verify()).rejects.toMatchObject({ name: 'ObjectAccessDeniedError' });
  });
});
