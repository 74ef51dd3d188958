import { createHash } from 'node:crypto';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { DisableKeyCommand } from '@aws-sdk/client-kms';
import { HeadObjectCommand, ListObjectVersionsCommand } from '@aws-sdk/client-s3';
import { beforeEach, describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { backUpTenant, handler, TENANT_BACKUP_LIMITS } from '../../../functions/backup/back-up-tenant.ts';
import { BackUpTenantInput, BackUpTenantOutput, type TenantCursor } from '../../../functions/contracts/daily-backup.ts';
import { ObjectManifestLine, type TenantBackupResult } from '../../../functions/contracts/object-manifest.ts';
import {
  manifestKey,
  namingSecretKey,
  notCoveredKey,
  objectKey,
  tenantFoldersKey,
} from '../../../functions/contracts/vault-layout.ts';
import { inPagesOf, stepRuntime, type TestRuntime } from '../../fixtures/step-runtime.ts';

const EMPTY_SHA256 = createHash('sha256').digest('hex');
const sha256 = (content: string) => createHash('sha256').update(content).digest('hex');

let cloud: TestRuntime;
let keyArn: string;
beforeEach(() => {
  cloud = stepRuntime();
  keyArn = cloud.kms.createKeyFromTemplate({ description: 'tenant oakfield' }).keyArn;
});

const item = (previousManifestSha256: string | null = null, tenant: string | null = 'oakfield') => ({
  recoveryPointId: '20261122t023000z',
  bucketId: 'uploads',
  tenant,
  previousManifestSha256,
  partialManifestSha256: null,
  asOf: null,
  tenantFoldersSha256: null,
});

async function backUp(previous: string | null = null, tenant: string | null = 'oakfield'): Promise<TenantBackupResult> {
  const key = tenant === null ? cloud.deployment.vaultKeyArn : keyArn;
  const { result } = await cloud.invoke(handler, { item: item(previous, tenant), keyArn: key, cursor: null });
  return result as TenantBackupResult;
}

async function readManifest(result: TenantBackupResult): Promise<ObjectManifestLine[]> {
  const stored = await cloud.get('vault', manifestKey(result.tenant, result.manifestSha256 ?? ''));
  const text = zstdDecompressSync(stored).toString('utf8');
  expect(sha256(text)).toBe(result.manifestSha256);
  return text
    .split('\n')
    .slice(0, -1)
    .map(line => ObjectManifestLine.parse(JSON.parse(line)));
}

const upload = (key: string, body: string, input = {}) => cloud.put('school-uploads', key, body, input);

describe('back-up-tenant', () => {
  it('copies every object of the tenant and describes it', async () => {
    await upload('schools/oakfield/a.txt', 'alpha', {
      ContentType: 'text/plain; charset=utf-8',
      ContentDisposition: 'attachment; filename="a.txt"',
      CacheControl: 'private',
      Metadata: { uploader: 'u-17', form: '7b' },
      Tagging: 'kind=work&year=7',
    });
    await upload('schools/oakfield/b/c.txt', 'beta');
    await upload('schools/riverside/other.txt', 'not ours');

    const result = await backUp();

    expect(result).toMatchObject({
      bucketId: 'uploads',
      tenant: 'oakfield',
      objectCount: 2,
      byteCount: 9,
      copiedObjectCount: 2,
      copiedByteCount: 9,
      recopiedObjectCount: 0,
      notCovered: {},
      failure: null,
    });
    const [first, second, ...rest] = await readManifest(result);
    expect(rest).toEqual([]);
    expect(first).toMatchObject({
      key: 'schools/oakfield/a.txt',
      sizeBytes: 5,
      contentType: 'text/plain; charset=utf-8',
      contentDisposition: 'attachment; filename="a.txt"',
      cacheControl: 'private',
      metadata: { form: '7b', uploader: 'u-17' },
      tags: { kind: 'work', year: '7' },
      sha256: sha256('alpha'),
    });
    expect(second).toMatchObject({ key: 'schools/oakfield/b/c.txt', sha256: sha256('beta') });
    expect(second?.metadata).toBeUndefined();
    const copy = await cloud.get('vault', objectKey('oakfield', first?.vaultName ?? ''));
    expect(copy.toString()).toBe('alpha');
  });

  it('writes nothing and asks little where nothing changed', async () => {
    for (const name of ['a', 'b', 'c']) await upload(`schools/oakfield/${name}`, name);
    const first = await backUp();
    cloud.requests.length = 0;

    const second = await backUp(first.manifestSha256);

    expect(second).toEqual({ ...first, copiedObjectCount: 0, copiedByteCount: 0 });
    expect(cloud.requests).toEqual([
      `s3 GET /vault/${manifestKey('oakfield', first.manifestSha256 ?? '')}`,
      's3 GET /school-uploads/?list-type&encoding-type&prefix',
    ]);
  });

  it('takes over additions, changes and deletions, and keeps the lines of the rest', async () => {
    for (const name of ['a', 'b', 'c', 'd']) await upload(`schools/oakfield/${name}`, name);
    const before = await backUp();
    const linesBefore = await readManifest(before);
    await cloud.clock.advance(60_000);
    await upload('schools/oakfield/b', 'changed');
    await upload('schools/oakfield/c', 'c', { Metadata: { reviewed: 'yes' } });
    await upload('schools/oakfield/e', 'e');
    await cloud.remove('school-uploads', 'schools/oakfield/a');

    const after = await backUp(before.manifestSha256);
    const lines = await readManifest(after);

    expect(after).toMatchObject({ objectCount: 4, copiedObjectCount: 2, copiedByteCount: 8 });
    expect(lines.map(({ key, sha256 }) => [key.at(-1), sha256])).toEqual([
      ['b', sha256('changed')],
      ['c', sha256('c')],
      ['d', sha256('d')],
      ['e', sha256('e')],
    ]);
    expect(lines[1]).toMatchObject({ metadata: { reviewed: 'yes' }, vaultVersionId: linesBefore[2]?.vaultVersionId });
    expect(lines[2]).toEqual(linesBefore[3]);
    expect((await cloud.list('vault', 'tenants/oakfield/objects/')).length).toBe(6);
  });

  it('has an empty manifest for a tenant without objects, once', async () => {
    const first = await backUp();
    expect(first).toMatchObject({ manifestSha256: EMPTY_SHA256, objectCount: 0 });
    expect(await readManifest(first)).toEqual([]);
    expect(await backUp()).toEqual(first);
    expect(await backUp(EMPTY_SHA256)).toEqual(first);
    expect(await cloud.list('vault')).toEqual([manifestKey('oakfield', EMPTY_SHA256)]);
  });

  it('leaves nothing readable in the vault beside ciphertext', async () => {
    await upload('schools/oakfield/Zoë Smith – risk assessment.pdf', 'x', {
      ContentType: 'application/pdf',
      Metadata: { pupil: 'zoe-smith' },
      Tagging: 'pupil=zoe',
    });
    const result = await backUp();
    const [line] = await readManifest(result);
    const keys = await cloud.list('vault');
    expect(keys).toEqual([
      manifestKey('oakfield', result.manifestSha256 ?? ''),
      namingSecretKey('oakfield'),
      objectKey('oakfield', line?.vaultName ?? ''),
    ]);
    for (const Key of keys) {
      const head = await cloud.client.send(new HeadObjectCommand({ Bucket: 'vault', Key }));
      expect({ Key, key: head.SSEKMSKeyId, bucketKey: head.BucketKeyEnabled ?? false }).toEqual({
        Key,
        key: keyArn,
        bucketKey: false,
      });
      expect([head.Metadata, head.TagCount]).toEqual([{}, undefined]);
      expect(head.ContentType).not.toBe('application/pdf');
      expect(head.ObjectLockEventHold).toBe('ON');
    }
  });

  it('survives keys of every kind, in the order of their bytes', async () => {
    const names = [
      '+',
      '%41',
      ' ',
      '&=?#',
      'a//b',
      'a/',
      '/',
      'ü',
      'u\u0308',
      '\u{10000}',
      '\uFFFD',
      '\'<>"',
      '~',
      '\\',
      'A',
    ];
    for (const name of names) await upload(`schools/oakfield/${name}`, name);
    const lines = await readManifest(await backUp());
    const expected = names.map(name => `schools/oakfield/${name}`);
    expected.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    expect(lines.map(({ key }) => key)).toEqual(expected);
    for (const { key, sha256: digest } of lines) expect(digest).toBe(sha256(key.slice('schools/oakfield/'.length)));
  });

  it('takes everything under no tenant for no tenant, under the vault key', async () => {
    const outside = ['a.txt', 'schools', 'schools/', 'schools/St Mary/x', 'schools/readme', 'schoolsx/y', 'z/z/z'];
    for (const key of [...outside, 'schools/oakfield/1', 'schools/riverside/2']) await upload(key, key);
    const result = await backUp(null, null);
    expect((await readManifest(result)).map(({ key }) => key)).toEqual(outside);
    expect((await cloud.list('vault')).every(key => key.startsWith('shared/'))).toBe(true);
  });
});

describe('back-up-tenant, where folders are not called as their tenants', () => {
  const name = `_${'a'.repeat(26)}`;
  const FOLDERS = { tenants: [{ name, folders: ['A b', 'St Mary', ''] }], postponed: ['new one'] };
  const keys = ['schools//f', 'schools/A b/1', 'schools/A b/2', 'schools/St Mary/x'];
  const outside = ['schools/A bc/1', 'schools/other one/1'];

  async function backUpFrom(tenant: string | null, folders: object, stored = JSON.stringify(folders)) {
    const tenantFoldersSha256 = sha256(JSON.stringify(folders));
    await cloud.put('work', tenantFoldersKey('20261122t023000z', tenantFoldersSha256), stored);
    const input = { item: { ...item(null, tenant), tenantFoldersSha256 }, cursor: null };
    const key = tenant === null ? cloud.deployment.vaultKeyArn : keyArn;
    const { result } = await cloud.invoke(handler, { ...input, keyArn: key });
    return (await readManifest(result as TenantBackupResult)).map(({ key }) => key);
  }

  beforeEach(async () => {
    for (const key of [...keys, ...outside, 'schools/new one/1', 'schools/oakfield/1']) await upload(key, key);
  });

  it('takes each of a tenant’s folders, into the vault under its name', async () => {
    expect(await backUpFrom(name, { salt: '', ...FOLDERS })).toEqual(keys);
    expect((await cloud.list('vault')).every(key => key.startsWith(`tenants/${name}/`))).toBe(true);
    expect(await backUpFrom('oakfield', { salt: '', ...FOLDERS })).toEqual(['schools/oakfield/1']);
  });

  it('takes nothing of a tenant that has no folder any more', async () => {
    expect(
      await backUpFrom('oakfield', { salt: '', tenants: [{ name: 'oakfield', folders: [] }], postponed: [] }),
    ).toEqual([]);
  });

  it('takes for no tenant what is no tenant’s, nor that of one who waits', async () => {
    expect(await backUpFrom(null, { salt: '', ...FOLDERS })).toEqual(outside);
  });

  it('refuses what is not the list that was written for the run', async () => {
    const other = { salt: '', tenants: [{ name, folders: ['oakfield'] }], postponed: [] };
    await expect(backUpFrom(name, { salt: '', ...FOLDERS }, JSON.stringify(other))).rejects.toMatchObject({
      name: 'TenantFoldersAlteredError',
    });
  });
});

describe('back-up-tenant, when objects cannot be copied', () => {
  it('names those under a customer key or archived, and goes on with the others', async () => {
    const customerKey = Buffer.alloc(32, 7);
    await upload('schools/oakfield/1-sse-c', 'secret', {
      SSECustomerAlgorithm: 'AES256',
      SSECustomerKey: customerKey.toString('base64'),
      SSECustomerKeyMD5: createHash('md5').update(customerKey).digest('base64'),
    });
    await upload('schools/oakfield/2-archived', 'cold', { StorageClass: 'DEEP_ARCHIVE' });
    await upload('schools/oakfield/3-good', 'good');

    const result = await backUp();

    expect(result).toMatchObject({
      objectCount: 1,
      notCovered: { 'encrypted-with-customer-key': 1, archived: 1 },
    });
    expect((await readManifest(result)).map(({ key }) => key)).toEqual(['schools/oakfield/3-good']);
    const stored = await cloud.get('vault', notCoveredKey('oakfield', result.notCoveredSha256 ?? ''));
    expect(zstdDecompressSync(stored).toString()).toBe(
      '{"key":"schools/oakfield/1-sse-c","reason":"encrypted-with-customer-key"}\n' +
        '{"key":"schools/oakfield/2-archived","reason":"archived"}\n',
    );
    expect(JSON.stringify(cloud.lines)).not.toContain('sse-c');
    expect(await backUp(result.manifestSha256)).toEqual({ ...result, copiedObjectCount: 0, copiedByteCount: 0 });
  });

  it('names one that it may not read', async () => {
    await upload('schools/oakfield/denied', 'x');
    await upload('schools/oakfield/good', 'y');
    cloud.intercept(async ({ method, path }, next) =>
      method === 'HEAD' && path.endsWith('/denied') ? { status: 403, headers: {} } : next(),
    );
    const result = await backUp();
    expect(result).toMatchObject({ objectCount: 1, notCovered: { 'access-denied': 1 } });
  });

  it('names one whose tags are refused, also where S3 hides that it has some, until they can be read', async () => {
    for (const name of ['hidden', 'open']) await upload(`schools/oakfield/${name}`, name, { Tagging: 'pupil=u-17' });
    cloud.intercept(async ({ method, path, query }, next) => {
      const answer = await next();
      if (!path.endsWith('/hidden')) return answer;
      if ('tagging' in query) return { status: 403, headers: {} };
      const { 'x-amz-tagging-count': _, ...headers } = answer.headers;
      return method === 'HEAD' ? { ...answer, headers } : answer;
    });
    const first = await backUp();
    expect(first).toMatchObject({ objectCount: 2, copiedObjectCount: 2, notCovered: { 'tags-refused': 1 } });
    const [hidden, open] = await readManifest(first);
    expect(hidden).toMatchObject({ sha256: sha256('hidden'), tagsUnread: true });
    expect([hidden?.tags, open?.tags, open?.tagsUnread]).toEqual([undefined, { pupil: 'u-17' }, undefined]);
    const listed = zstdDecompressSync(
      await cloud.get('vault', notCoveredKey('oakfield', first.notCoveredSha256 ?? '')),
    );
    expect(listed.toString()).toBe('{"key":"schools/oakfield/hidden","reason":"tags-refused"}\n');

    const second = await backUp(first.manifestSha256);
    expect(second).toEqual({ ...first, copiedObjectCount: 0, copiedByteCount: 0 });

    cloud.intercept(undefined);
    const third = await backUp(first.manifestSha256);
    expect(third).toMatchObject({ objectCount: 2, copiedObjectCount: 0, notCovered: {} });
    expect((await readManifest(third))[0]).toMatchObject({ tags: { pupil: 'u-17' }, vaultName: hidden?.vaultName });
  });

  it('copies one that changes meanwhile again, and describes what it copied', async () => {
    await upload('schools/oakfield/busy', 'one');
    let changes = 0;
    cloud.intercept(async ({ headers }, next) => {
      if (headers['x-amz-copy-source'] !== undefined && changes < 2)
        await upload('schools/oakfield/busy', `v${++changes}`);
      return next();
    });
    const result = await backUp();
    expect(result).toMatchObject({ objectCount: 1, copiedObjectCount: 1, recopiedObjectCount: 2, notCovered: {} });
    expect((await readManifest(result))[0]).toMatchObject({ sha256: sha256('v2'), sizeBytes: 2 });
  });

  it('gives up on one that changes at every try', async () => {
    await upload('schools/oakfield/busy', 'one');
    let changes = 0;
    cloud.intercept(async ({ headers }, next) => {
      if (headers['x-amz-copy-source'] !== undefined) await upload('schools/oakfield/busy', `v${++changes}`);
      return next();
    });
    const result = await backUp();
    expect(result).toMatchObject({ objectCount: 0, recopiedObjectCount: 5, notCovered: { 'kept-changing': 1 } });
    expect(changes).toBe(5);
  });

  it.each(['HEAD', 'PUT'])('names one that is deleted before its %s', async when => {
    await upload('schools/oakfield/going', 'x');
    await upload('schools/oakfield/staying', 'y');
    cloud.intercept(async ({ method, path, headers }, next) => {
      const concerned = `${path}${headers['x-amz-copy-source'] ?? ''}`.includes('/going');
      if (method === when && concerned) await cloud.remove('school-uploads', 'schools/oakfield/going');
      return next();
    });
    const result = await backUp();
    expect(result).toMatchObject({ objectCount: 1, notCovered: { vanished: 1 } });
    expect((await readManifest(result)).map(({ key }) => key)).toEqual(['schools/oakfield/staying']);
    const named = zstdDecompressSync(
      await cloud.get('vault', notCoveredKey('oakfield', result.notCoveredSha256 ?? '')),
    );
    const content = { eTag: `"${createHash('md5').update('x').digest('hex')}"`, sizeBytes: 1 };
    expect(JSON.parse(named.toString())).toEqual({ key: 'schools/oakfield/going', reason: 'vanished', content });
  });

  it('does not adopt what is no copy', async () => {
    await upload('schools/oakfield/a', 'alpha');
    const [line] = await readManifest(await backUp());
    const place = objectKey('oakfield', line?.vaultName ?? '');
    await cloud.put('vault', place, 'omega', {
      ServerSideEncryption: 'aws:kms',
      SSEKMSKeyId: cloud.deployment.vaultKeyArn,
    });
    expect(await backUp()).toMatchObject({ objectCount: 0, notCovered: { 'copy-failed': 1 } });
    await cloud.put('vault', place, 'shorter', { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: keyArn });
    expect(await backUp()).toMatchObject({ objectCount: 0, notCovered: { 'copy-failed': 1 } });
  });

  it('fails as a whole when the tenant’s key cannot be used', async () => {
    await upload('schools/oakfield/a', 'alpha');
    const first = await backUp();
    await cloud.keys.send(new DisableKeyCommand({ KeyId: keyArn }));
    await upload('schools/oakfield/b', 'beta');
    await expect(backUp()).rejects.toMatchObject({ name: 'TenantKeyUnusableError' });
    await expect(backUp(first.manifestSha256)).rejects.toMatchObject({ name: 'TenantKeyUnusableError' });
  });
});

describe('back-up-tenant, when something breaks', () => {
  const names = ['a', 'b', 'c'];
  beforeEach(async () => {
    for (const name of names) await upload(`schools/oakfield/${name}`, `content of ${name}`, { Tagging: 'kind=work' });
  });

  async function countRequests(): Promise<number> {
    const other = stepRuntime();
    const key = other.kms.createKeyFromTemplate({}).keyArn;
    for (const name of names)
      await other.put('school-uploads', `schools/oakfield/${name}`, name, { Tagging: 'kind=work' });
    await other.invoke(handler, { item: item(), keyArn: key, cursor: null });
    return other.requests.length;
  }

  it.each(['request', 'response'])(
    'finishes with one result when any one %s was lost and it runs again',
    async lost => {
      const total = await countRequests();
      expect(total).toBeGreaterThan(10);
      for (let killedAt = 1; killedAt <= total; killedAt++) {
        cloud = stepRuntime();
        keyArn = cloud.kms.createKeyFromTemplate({}).keyArn;
        for (const name of names) await upload(`schools/oakfield/${name}`, name, { Tagging: 'kind=work' });
        let count = 0;
        cloud.intercept(async (_request, next) => {
          if (++count < killedAt) return next();
          if (count === killedAt && lost === 'response') await next();
          throw new Error('the process was killed');
        });
        await expect(backUp()).rejects.toMatchObject({ name: 'RetryableError' });
        cloud.intercept(undefined);

        const result = await backUp();

        expect(result).toMatchObject({ objectCount: 3, notCovered: {}, failure: null });
        const again = await backUp();
        expect(again.manifestSha256).toBe(result.manifestSha256);
        const versions = await cloud.client.send(
          new ListObjectVersionsCommand({ Bucket: 'vault', Prefix: 'tenants/oakfield/' }),
        );
        expect(versions.Versions?.map(({ Key }) => Key?.split('/')[2]).sort()).toEqual([
          'manifests',
          'naming-secret',
          'objects',
          'objects',
          'objects',
        ]);
        for (const line of await readManifest(result)) {
          const found = versions.Versions?.find(({ Key }) => Key?.endsWith(line.vaultName));
          expect(found?.VersionId).toBe(line.vaultVersionId);
        }
      }
    },
  );

  it('never writes a manifest when a listing breaks off', async () => {
    let lists = 0;
    cloud.intercept(async (request, next) =>
      'list-type' in request.query && ++lists === 2 ? { status: 503, headers: {} } : inPagesOf(2)(request, next),
    );
    await expect(backUp()).rejects.toMatchObject({ name: 'RetryableError' });
    expect(lists).toBe(2);
    expect(await cloud.list('vault', 'tenants/oakfield/manifests/')).toEqual([]);
  });

  it('never takes a listing for complete that is not', async () => {
    cloud.intercept(async (request, next) => {
      const response = await inPagesOf(2)(request, next);
      if (!('list-type' in request.query)) return response;
      const body = String(response.body).replace(/<NextContinuationToken>.*<\/NextContinuationToken>/, '');
      return { ...response, body };
    });
    await expect(backUp()).rejects.toMatchObject({ name: 'ObjectStorageError' });
    expect(await cloud.list('vault', 'tenants/oakfield/manifests/')).toEqual([]);
  });

  it('goes through all pages of a listing', async () => {
    cloud.intercept(inPagesOf(2));
    expect(await backUp()).toMatchObject({ objectCount: 3 });
  });

  it('compares everything with the vault again when the previous manifest is altered', async () => {
    const first = await backUp();
    const key = manifestKey('oakfield', first.manifestSha256 ?? '');
    const forged = zstdDecompressSync(await cloud.get('vault', key))
      .toString()
      .replace(/"eTag":"[^,]*"/, '"eTag":"\\"forged\\""');
    await cloud.put('vault', key, zstdCompressSync(forged), { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: keyArn });
    await upload('schools/oakfield/d', 'd');

    const second = await backUp(first.manifestSha256);

    expect(second).toMatchObject({ objectCount: 4, copiedObjectCount: 1, notCovered: {} });
    expect((await readManifest(second)).map(line => line.key.at(-1))).toEqual(['a', 'b', 'c', 'd']);
    expect(cloud.lines.filter(({ level }) => level === 'error')).toHaveLength(1);

    await cloud.remove('school-uploads', 'schools/oakfield/d');
    await expect(backUp(first.manifestSha256)).rejects.toMatchObject({ name: 'ManifestAlteredError' });
  });

  it.each([
    ['is no zstd', () => Buffer.from('garbage')],
    ['is cut', (whole: Buffer) => whole.subarray(0, -3)],
    ['is empty', () => Buffer.alloc(0)],
  ])('does the same when it %s', async (_name, damage) => {
    const first = await backUp();
    const key = manifestKey('oakfield', first.manifestSha256 ?? '');
    const body = damage(await cloud.get('vault', key));
    await cloud.put('vault', key, body, { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: keyArn });
    await upload('schools/oakfield/d', 'd');
    expect(await backUp(first.manifestSha256)).toMatchObject({ objectCount: 4, copiedObjectCount: 1 });
  });

  it('stops for time at any point and goes on to the same manifest', async () => {
    for (let index = 0; index < 40; index++) await upload(`schools/oakfield/more/${index}`, `${index}`);
    await upload('schools/oakfield/archived', 'cold', { StorageClass: 'GLACIER' });
    const whole = await backUp();
    const limits = { ...TENANT_BACKUP_LIMITS, linesPerSegment: 7 };
    for (const allowed of [1, 5, 17]) {
      let cursor: z.output<typeof TenantCursor> | null = null;
      let result: TenantBackupResult | null = null;
      let calls = 0;
      while (result === null) {
        let asked = 0;
        const context = { ...cloud.context, timeIsShort: () => ++asked > allowed };
        const output = await cloud.run(() =>
          backUpTenant(BackUpTenantInput.parse({ item: item(), keyArn, cursor }), context, limits),
        );
        const parsed = BackUpTenantOutput.parse(JSON.parse(JSON.stringify(output)));
        expect(JSON.stringify(parsed.cursor)).not.toContain('schools/');
        cursor = parsed.cursor;
        result = parsed.result;
        calls++;
      }
      expect(result).toEqual({ ...whole, copiedObjectCount: 0, copiedByteCount: 0 });
      // The last one writes the manifest.
      expect(calls).toBe(Math.ceil(44 / allowed) + 1);
    }
  });
});
