import { createHash, randomBytes } from 'node:crypto';
import { zstdDecompressSync } from 'node:zlib';
import { ListMultipartUploadsCommand, ListObjectVersionsCommand } from '@aws-sdk/client-s3';
import { beforeEach, describe, expect, it } from 'vitest';
import { backUpTenant } from '../../../functions/backup/back-up-tenant.ts';
import { BackUpTenantInput, BackUpTenantOutput, type TenantCursor } from '../../../functions/contracts/daily-backup.ts';
import { ObjectManifestLine } from '../../../functions/contracts/object-manifest.ts';
import { manifestKey, tenantKeyAlias } from '../../../functions/contracts/vault-layout.ts';
import { verifyObjects } from '../../../functions/restore-test/verify-objects.ts';
import { stepRuntime, type TestRuntime } from '../../fixtures/step-runtime.ts';

const KIB = 1024;
const limits = { wholeUpToBytes: 64 * KIB, partSizeBytes: 32 * KIB };
const content = randomBytes(150 * KIB + 7);
const partDigests = [0, 1, 2, 3, 4].map(part =>
  createHash('sha256')
    .update(content.subarray(part * 32 * KIB, (part + 1) * 32 * KIB))
    .digest('hex'),
);

let cloud: TestRuntime;
let keyArn: string;
beforeEach(async () => {
  cloud = stepRuntime({ limits: { minimumPartBytes: 32 * KIB } });
  keyArn = cloud.kms.createKeyFromTemplate({}).keyArn;
  cloud.kms.createAliasFromTemplate(tenantKeyAlias('oakfield'), keyArn);
  await cloud.put('school-uploads', 'schools/oakfield/film.mp4', content, {
    ContentType: 'video/mp4',
    Metadata: { uploader: 'u-1' },
    Tagging: 'kind=film',
  });
  await cloud.put('school-uploads', 'schools/oakfield/small', 'small');
});

const tenantItem = {
  recoveryPointId: '20261122t023000z',
  bucketId: 'uploads',
  tenant: 'oakfield',
  previousManifestSha256: null,
  partialManifestSha256: null,
  asOf: null,
  tenantFoldersSha256: null,
};

async function step(cursor: TenantCursorType | null = null, timeIsShort = () => false) {
  const input = BackUpTenantInput.parse({ item: tenantItem, keyArn, cursor });
  const output = await cloud.run(() =>
    backUpTenant(input, { ...cloud.context, timeIsShort }, { ...limits, linesPerSegment: 10 }),
  );
  return BackUpTenantOutput.parse(JSON.parse(JSON.stringify(output)));
}
type TenantCursorType = ReturnType<typeof TenantCursor.parse>;

async function readLine(sha256: string): Promise<ObjectManifestLine> {
  const [line = ''] = zstdDecompressSync(await cloud.get('vault', manifestKey('oakfield', sha256)))
    .toString()
    .split('\n');
  return ObjectManifestLine.parse(JSON.parse(line));
}

async function uploadsLeft(bucket: string): Promise<number> {
  return (await cloud.client.send(new ListMultipartUploadsCommand({ Bucket: bucket }))).Uploads?.length ?? 0;
}

async function versionCount(): Promise<number> {
  const prefix = { Bucket: 'vault', Prefix: 'tenants/oakfield/objects/' };
  return (await cloud.client.send(new ListObjectVersionsCommand(prefix))).Versions?.length ?? 0;
}

describe('an object that is too large for one copy', () => {
  it('is copied in parts, with the SHA-256 of each', async () => {
    const { result } = await step();
    expect(result).toMatchObject({ objectCount: 2, copiedObjectCount: 2, copiedByteCount: content.length + 5 });
    const line = await readLine(result?.manifestSha256 ?? '');
    expect(line.parts).toEqual({ partSizeBytes: 32 * KIB, sha256: partDigests });
    expect(line.sha256).toBeUndefined();
    expect(await uploadsLeft('vault')).toBe(0);
  });

  it('comes back in a restore test, by reading and by its parts', async () => {
    const { result } = await step();
    const item = {
      restoreTestId: '20261201t060000z',
      recoveryPointId: tenantItem.recoveryPointId,
      bucketId: 'uploads',
      tenant: 'oakfield',
      manifestSha256: result?.manifestSha256 ?? '',
      sampleSize: null,
    };
    for (const readBackUpToBytes of [1e9, 1]) {
      const output = await cloud.run(() =>
        verifyObjects({ item, cursor: null }, cloud.context, {
          ...limits,
          togetherUpToBytes: 1,
          namesAtOnce: 9,
          readBackUpToBytes,
        }),
      );
      expect(output.result).toMatchObject({ objectsRestored: 2, bytesRestored: content.length + 5, findings: [] });
    }
    expect(await cloud.list('work')).toEqual([]);
    expect(await uploadsLeft('work')).toBe(0);
  });

  it('is not read as a whole in a restore test that finds it restored by an earlier, killed call', async () => {
    const { result } = await step();
    const { vaultName } = await readLine(result?.manifestSha256 ?? '');
    const item = {
      restoreTestId: '20261201t060000z',
      recoveryPointId: tenantItem.recoveryPointId,
      bucketId: 'uploads',
      tenant: 'oakfield',
      manifestSha256: result?.manifestSha256 ?? '',
      sampleSize: null,
    };
    const scratch = `/work/scratch/20261201t060000z/${tenantItem.recoveryPointId}/${vaultName}`;
    const test = () =>
      cloud.run(() =>
        verifyObjects({ item, cursor: null }, cloud.context, {
          ...limits,
          togetherUpToBytes: 1,
          namesAtOnce: 9,
          readBackUpToBytes: 9,
        }),
      );
    cloud.intercept(async ({ method, path, query }, next) => {
      const response = await next();
      if (method === 'POST' && path === scratch && 'uploadId' in query) throw new Error('the process was killed');
      return response;
    });
    await expect(test()).rejects.toMatchObject({ retryable: true });
    cloud.intercept(undefined);
    cloud.requests.length = 0;

    expect((await test()).result).toMatchObject({
      objectsRestored: 2,
      bytesRestored: content.length + 5,
      findings: [],
    });
    expect(cloud.requests.filter(request => request.includes(scratch))).toContain(`s3 GET ${scratch}?attributes`);
    expect(cloud.requests).not.toContain(`s3 GET ${scratch}`);

    // What stands there and is no copy says nothing about the backup.
    await cloud.put('work', scratch.slice('/work/'.length), content, {
      ServerSideEncryption: 'aws:kms',
      SSEKMSKeyId: keyArn,
    });
    await expect(test()).rejects.toMatchObject({ name: 'ForeignCopyError' });
  });

  it('goes on with its upload after it stopped for time', async () => {
    let copied = 0;
    cloud.intercept(async (request, next) => {
      if ('partNumber' in request.query) copied++;
      return next();
    });
    let asked = 0;
    const first = await step(null, () => ++asked > 3);
    expect(first.result).toBeNull();
    expect(await uploadsLeft('vault')).toBe(1);
    const second = await step(first.cursor);
    expect(copied).toBe(5);
    expect((await readLine(second.result?.manifestSha256 ?? '')).parts?.sha256).toEqual(partDigests);
    expect(await uploadsLeft('vault')).toBe(0);
  });

  it.each(['request', 'response'])('is there once whichever %s was lost', async lost => {
    for (let killedAt = 1; ; killedAt++) {
      cloud = stepRuntime({ limits: { minimumPartBytes: 32 * KIB } });
      keyArn = cloud.kms.createKeyFromTemplate({}).keyArn;
      await cloud.put('school-uploads', 'schools/oakfield/film.mp4', content);
      let count = 0;
      cloud.intercept(async (_request, next) => {
        if (++count < killedAt) return next();
        if (count === killedAt && lost === 'response') await next();
        throw new Error('the process was killed');
      });
      const done = await step().then(
        () => true,
        error => {
          expect(error).toMatchObject({ retryable: true });
          return false;
        },
      );
      if (done) {
        expect(killedAt).toBeGreaterThan(12);
        break;
      }
      cloud.intercept(undefined);
      const { result } = await step();
      expect((await readLine(result?.manifestSha256 ?? '')).parts?.sha256).toEqual(partDigests);
      expect(await versionCount()).toBe(1);
      expect(await uploadsLeft('vault')).toBe(0);
    }
  });

  it('is copied as a whole again when it changes between two parts', async () => {
    const changed = randomBytes(content.length);
    let parts = 0;
    cloud.intercept(async (request, next) => {
      if ('partNumber' in request.query && ++parts === 3) {
        await cloud.put('school-uploads', 'schools/oakfield/film.mp4', changed);
      }
      return next();
    });
    const { result } = await step();
    expect(result).toMatchObject({ objectCount: 2, recopiedObjectCount: 1 });
    const line = await readLine(result?.manifestSha256 ?? '');
    const first = createHash('sha256')
      .update(changed.subarray(0, 32 * KIB))
      .digest('hex');
    expect(line.parts?.sha256[0]).toBe(first);
    expect(await uploadsLeft('vault')).toBe(0);
  });
});
