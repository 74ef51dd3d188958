import { createHash } from 'node:crypto';
import { zstdDecompressSync } from 'node:zlib';
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  PutBucketVersioningCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  handler as backUpTenant,
  backUpTenant as callWithin,
  TENANT_BACKUP_LIMITS,
} from '../../../functions/backup/back-up-tenant.ts';
import { listAsOf } from '../../../functions/backup/list-as-of.ts';
import { handler as listTenants } from '../../../functions/backup/list-tenants.ts';
import { BackUpTenantInput } from '../../../functions/contracts/daily-backup.ts';
import { ObjectManifestLine, type TenantBackupResult } from '../../../functions/contracts/object-manifest.ts';
import { manifestKey } from '../../../functions/contracts/vault-layout.ts';
import { inPagesOf, stepRuntime, type TestRuntime } from '../../fixtures/step-runtime.ts';

const BUCKET = 'school-uploads';
const recoveryPointId = '20261122t023000z';
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const sha256 = (content: string) => createHash('sha256').update(content).digest('hex');

let cloud: TestRuntime;
let keyArn: string;
const start = () => {
  cloud = stepRuntime({
    buckets: [{ id: 'uploads', name: BUCKET, tenantPrefix: 'schools/{tenant}/', versioning: 'Enabled' }],
  });
  keyArn = cloud.kms.createKeyFromTemplate({}).keyArn;
};
beforeEach(start);

const upload = (key: string, body: string, input = {}) => cloud.put(BUCKET, key, body, input);
const remove = (key: string) => cloud.remove(BUCKET, key);
const now = () => cloud.clock.now().toISOString();
const pass = (ms: number) => cloud.clock.advance(ms);
async function move(from: string, to: string) {
  const CopySource = `${BUCKET}/${encodeURIComponent(from)}`;
  await cloud.client.send(new CopyObjectCommand({ Bucket: BUCKET, Key: to, CopySource }));
  await remove(from);
}

async function backUp(
  asOf: string | null,
  tenant: string | null = 'oakfield',
  previousManifestSha256: string | null = null,
): Promise<TenantBackupResult> {
  const item = { recoveryPointId, bucketId: 'uploads', tenant, previousManifestSha256, asOf };
  const key = tenant === null ? cloud.deployment.vaultKeyArn : keyArn;
  const { result } = await cloud.invoke(backUpTenant, { item, keyArn: key, cursor: null });
  if (result === null) throw new Error('it stopped for time');
  return result;
}

async function readLines({ tenant, manifestSha256 }: TenantBackupResult): Promise<ObjectManifestLine[]> {
  const stored = await cloud.get('vault', manifestKey(tenant, manifestSha256 ?? ''));
  const lines = zstdDecompressSync(stored).toString('utf8').split('\n').slice(0, -1);
  return lines.map(line => ObjectManifestLine.parse(JSON.parse(line)));
}

const contents = async (result: TenantBackupResult, prefix = 'schools/oakfield/') =>
  Object.fromEntries((await readLines(result)).map(({ key, sha256: digest }) => [key.slice(prefix.length), digest]));

describe('a bucket that keeps versions', () => {
  it('is backed up as it was at the moment, whatever was changed, deleted, moved or added since', async () => {
    for (const name of ['changed', 'deleted', 'inbox/moved', 'same', 'twice', 'back']) {
      await upload(`schools/oakfield/${name}`, name);
    }
    await upload('schools/oakfield/gone before', 'x');
    await remove('schools/oakfield/gone before');
    await pass(5 * MINUTE);
    const asOf = now();
    await pass(5 * MINUTE);
    await upload('schools/oakfield/changed', 'changed since');
    await remove('schools/oakfield/deleted');
    await move('schools/oakfield/inbox/moved', 'schools/oakfield/archive/moved');
    await move('schools/oakfield/back', 'schools/riverside/back');
    await upload('schools/oakfield/twice', 'two');
    await pass(SECOND);
    await upload('schools/oakfield/twice', 'three');
    await upload('schools/oakfield/added', 'added');
    await move('schools/riverside/back', 'schools/oakfield/back');

    const result = await backUp(asOf);

    const names = ['back', 'changed', 'deleted', 'inbox/moved', 'same', 'twice'];
    expect(await contents(result)).toEqual(Object.fromEntries(names.map(name => [name, sha256(name)])));
    expect(result).toMatchObject({ objectCount: 6, notCovered: {} });
    const copies = await cloud.list('vault', 'tenants/oakfield/objects/');
    expect((await readLines(result)).map(({ vaultName }) => `tenants/oakfield/objects/${vaultName}`).sort()).toEqual(
      copies,
    );
  });

  it('records the version of each object, and takes headers, metadata and tags of this version', async () => {
    const tagged = { ContentType: 'text/plain', Metadata: { by: 'u-1' }, Tagging: 'kind=old' };
    const { VersionId } = await upload('schools/oakfield/a', 'old', tagged);
    const asOf = now();
    await pass(5 * MINUTE);
    await upload('schools/oakfield/a', 'new', { Metadata: { by: 'u-2' }, Tagging: 'kind=new' });
    const [line] = await readLines(await backUp(asOf));
    expect(line).toMatchObject({
      versionId: VersionId,
      contentType: 'text/plain',
      metadata: { by: 'u-1' },
      tags: { kind: 'old' },
      sha256: sha256('old'),
    });
  });

  it('writes nothing and asks little where nothing changed, also for lines that name no version', async () => {
    for (const name of ['a', 'b', 'c']) await upload(`schools/oakfield/${name}`, name);
    // As an earlier release listed it.
    const unnamed = await backUp(null);
    expect((await readLines(unnamed)).map(({ versionId }) => versionId)).toEqual([undefined, undefined, undefined]);
    const first = await backUp(now());
    for (const previous of [unnamed.manifestSha256, first.manifestSha256]) {
      await pass(MINUTE);
      cloud.requests.length = 0;
      expect(await backUp(now(), 'oakfield', previous)).toMatchObject({ manifestSha256: previous, objectCount: 3 });
      expect(cloud.requests).toEqual([
        `s3 GET /vault/${manifestKey('oakfield', previous ?? '')}`,
        's3 GET /school-uploads/?versions&encoding-type&prefix',
      ]);
    }
  });

  it('sees a version that differs in its description alone from one of the same second', async () => {
    await upload('schools/oakfield/a', 'x', { Metadata: { by: 'u-1' } });
    const first = await backUp(now());
    await upload('schools/oakfield/a', 'x', { Metadata: { by: 'u-2' } });
    const second = await backUp(now(), 'oakfield', first.manifestSha256);
    expect(second).toMatchObject({ objectCount: 1, copiedObjectCount: 0 });
    expect((await readLines(second))[0]).toMatchObject({ metadata: { by: 'u-2' } });
  });

  it('takes a file too many rather than one too few within a minute of the moment', async () => {
    await upload('schools/oakfield/just deleted', 'a');
    await upload('schools/oakfield/long deleted', 'b');
    await remove('schools/oakfield/long deleted');
    await pass(5 * MINUTE);
    await remove('schools/oakfield/just deleted');
    await pass(30 * SECOND);
    const asOf = now();
    await pass(30 * SECOND);
    await upload('schools/oakfield/just added', 'c');
    await upload('schools/oakfield/just added', 'c, changed');
    await pass(31 * SECOND);
    await upload('schools/oakfield/long after', 'd');
    expect(await contents(await backUp(asOf))).toEqual({
      'just added': sha256('c'),
      'just deleted': sha256('a'),
    });
  });

  it('takes a file that may have been deleted in the second in which it was made', async () => {
    await upload('schools/oakfield/a', 'x');
    await remove('schools/oakfield/a');
    await upload('schools/oakfield/b', 'y');
    await remove('schools/oakfield/b');
    await pass(5 * MINUTE);
    const asOf = now();
    await pass(5 * MINUTE);
    await upload('schools/oakfield/a', 'z');
    expect(await contents(await backUp(asOf))).toEqual({ a: sha256('x') });
  });

  it('takes what was written over a file while the bucket kept no versions, for nothing else is left', async () => {
    start();
    const versioning = (Status: 'Enabled' | 'Suspended') =>
      cloud.client.send(new PutBucketVersioningCommand({ Bucket: BUCKET, VersioningConfiguration: { Status } }));
    await versioning('Suspended');
    await upload('schools/oakfield/early', 'early');
    await upload('schools/oakfield/late', 'first');
    await pass(5 * MINUTE);
    const asOf = now();
    await pass(5 * MINUTE);
    await upload('schools/oakfield/late', 'second');
    await versioning('Enabled');
    await upload('schools/oakfield/early', 'early, changed');
    await upload('schools/oakfield/late', 'third');
    const result = await backUp(asOf);
    expect(await contents(result)).toEqual({ early: sha256('early'), late: sha256('second') });
    expect((await readLines(result)).map(({ versionId }) => versionId)).toEqual(['null', 'null']);
  });

  it('counts what was uploaded in parts from the beginning of its upload', async () => {
    const target = { Bucket: BUCKET, Key: 'schools/oakfield/film' };
    const { UploadId } = await cloud.client.send(new CreateMultipartUploadCommand(target));
    await pass(5 * MINUTE);
    const asOf = now();
    await pass(5 * MINUTE);
    const { ETag } = await cloud.client.send(
      new UploadPartCommand({ ...target, UploadId, PartNumber: 1, Body: 'film' }),
    );
    await cloud.client.send(
      new CompleteMultipartUploadCommand({
        ...target,
        UploadId,
        MultipartUpload: { Parts: [{ PartNumber: 1, ETag }] },
      }),
    );
    expect(await contents(await backUp(asOf))).toEqual({ film: sha256('film') });
  });

  it('names a version that was deleted for good before it could be copied', async () => {
    const { VersionId } = await upload('schools/oakfield/going', 'x');
    await upload('schools/oakfield/staying', 'y');
    cloud.intercept(async (request, next) => {
      if (request.method === 'HEAD' && request.path.endsWith('/going')) {
        await cloud.client.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: 'schools/oakfield/going', VersionId }));
      }
      return next();
    });
    const result = await backUp(now());
    expect(result).toMatchObject({ objectCount: 1, notCovered: { vanished: 1 } });
  });

  it('steps over tenants outside them, also where only their old versions are left', async () => {
    const outside = ['a.txt', 'board/x', 'schools/readme', 'z'];
    for (const key of [...outside, 'schools/oakfield/1', 'schools/riverside/2']) await upload(key, key);
    const asOf = now();
    await pass(5 * MINUTE);
    for (const key of ['board/x', 'schools/oakfield/1']) await remove(key);
    for (const size of [1, 2, 1000]) {
      cloud.intercept(inPagesOf(size));
      expect((await readLines(await backUp(asOf, null))).map(({ key }) => key)).toEqual(outside);
    }
  });

  it.each(['oakfield', null])('ends however many deleted files lie in a row in the folders of %s', async tenant => {
    const [root, key] = tenant === null ? ['', cloud.deployment.vaultKeyArn] : ['schools/oakfield/', keyArn];
    const names = ['a', ...Array.from({ length: 40 }, (_, at) => `tmp/${at + 10}`), 'tmp/99/z', 'z'];
    for (const name of names) await upload(`${root}${name}`, name);
    const dead = names.slice(1, -2);
    for (const name of dead) await remove(`${root}${name}`);
    await pass(5 * MINUTE);
    const item = { recoveryPointId, bucketId: 'uploads', tenant, previousManifestSha256: null, asOf: now() };
    let input = BackUpTenantInput.parse({ item, keyArn: key, cursor: null });
    for (let calls = 1; ; calls++) {
      // A call has time for six pages, and is killed at the twelfth.
      let pages = 0;
      cloud.intercept((request, next) => {
        if ('versions' in request.query && ++pages > 12) throw new Error('killed');
        return inPagesOf(4)(request, next);
      });
      const context = { ...cloud.context, now: cloud.clock.now(), timeIsShort: () => pages > 6 };
      const { result, cursor } = await cloud.run(() => callWithin(input, context, TENANT_BACKUP_LIMITS));
      if (result !== null) {
        expect(calls).toBeGreaterThan(2);
        const keys = (await readLines(result as TenantBackupResult)).map(line => line.key);
        expect(keys).toEqual(['a', 'tmp/99/z', 'z'].map(name => `${root}${name}`));
        return;
      }
      input = BackUpTenantInput.parse({ ...input, cursor });
    }
  });

  describe('of which one key has a great many versions', () => {
    const listPages = (asOf: string, versionsOfAKey?: number) => {
      cloud.requests.length = 0;
      cloud.intercept(inPagesOf(5));
      return cloud.run(() => Array.fromAsync(listAsOf(asOf, versionsOfAKey)(BUCKET, 'schools/oakfield/')));
    };
    const listed = (pages: Awaited<ReturnType<typeof listPages>>) =>
      pages.flatMap(({ objects }) => objects.map(({ key, eTag }) => [key.slice(-1), eTag]));
    const eTag = (body: string) => `"${createHash('md5').update(body).digest('hex')}"`;

    it('reads of those before the moment none but the one that it takes', async () => {
      for (const name of ['a', 'c']) await upload(`schools/oakfield/${name}`, name);
      for (let count = 1; count <= 60; count++) await upload('schools/oakfield/b', `${count}`);
      await pass(5 * MINUTE);
      const asOf = now();
      await pass(5 * MINUTE);
      for (let count = 61; count <= 68; count++) await upload('schools/oakfield/b', `${count}`);
      expect(listed(await listPages(asOf))).toEqual([
        ['a', eTag('a')],
        ['b', eTag('60')],
        ['c', eTag('c')],
      ]);
      expect(cloud.requests).toHaveLength(3);
    });

    it('says while it reads those after the moment how far it came, and gives up in the end without saying the name', async () => {
      await upload('schools/oakfield/a', 'a');
      await upload('schools/oakfield/b', 'b');
      await pass(5 * MINUTE);
      const asOf = now();
      await pass(5 * MINUTE);
      for (let count = 1; count <= 30; count++) await upload('schools/oakfield/b', `${count}`);
      await upload('schools/oakfield/c', 'c');
      const pages = await listPages(asOf, 40);
      expect(listed(pages)).toEqual([
        ['a', eTag('a')],
        ['b', eTag('b')],
      ]);
      expect(pages.slice(1, 6).map(({ passedTo }) => passedTo?.slice(-1))).toEqual(['a', 'a', 'a', 'a', 'a']);
      const failed = await listPages(asOf, 20).catch((error: Error) => error);
      const digest = sha256('schools/oakfield/b').slice(0, 16);
      expect(failed).toMatchObject({ name: 'TooManyVersionsError', message: expect.stringContaining(digest) });
      expect(String(failed)).not.toContain('oakfield/b');
    });

    it('has it backed up in calls that stop while they read', async () => {
      for (const name of ['a', 'b']) await upload(`schools/oakfield/${name}`, name);
      await pass(5 * MINUTE);
      const asOf = now();
      await pass(5 * MINUTE);
      for (let count = 1; count <= 40; count++) await upload('schools/oakfield/b', `${count}`);
      const item = { recoveryPointId, bucketId: 'uploads', tenant: 'oakfield', previousManifestSha256: null, asOf };
      let input = BackUpTenantInput.parse({ item, keyArn, cursor: null });
      for (let calls = 1; ; calls++) {
        let pages = 0;
        cloud.intercept((request, next) => {
          if ('versions' in request.query) pages++;
          return inPagesOf(5)(request, next);
        });
        // The first call stops in the middle of the key; a later one has the time for all of it.
        const context = { ...cloud.context, timeIsShort: () => calls === 1 && pages > 3 };
        const { result, cursor } = await cloud.run(() => callWithin(input, context, TENANT_BACKUP_LIMITS));
        if (calls === 1) expect(pages).toBe(4);
        if (result !== null) {
          expect(await contents(result as TenantBackupResult)).toEqual({ a: sha256('a'), b: sha256('b') });
          expect(calls).toBe(3);
          return;
        }
        input = BackUpTenantInput.parse({ ...input, cursor });
      }
    });
  });

  it('gives what a replay of everything that happened gives, in pages of any size', async () => {
    const event = fc.record({
      key: fc.constantFrom('a', 'a/b', 'a0', 'c'),
      body: fc.option(fc.string({ minLength: 1, maxLength: 3 }), { nil: undefined }),
      afterSeconds: fc.constantFrom(0, 1, 200),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(event, { maxLength: 12 }),
        fc.array(event, { maxLength: 12 }),
        fc.integer({ min: 1, max: 5 }),
        async (before, after, pageSize) => {
          start();
          const model = new Map<string, string>();
          const happen = async ({
            key,
            body,
            afterSeconds,
          }: typeof event extends fc.Arbitrary<infer T> ? T : never) => {
            // Which came first of a version and a deletion of the same second, a listing may not tell.
            await pass((body === undefined ? Math.max(1, afterSeconds) : afterSeconds) * SECOND);
            if (body === undefined) await remove(`schools/oakfield/${key}`);
            else await upload(`schools/oakfield/${key}`, body);
          };
          for (const one of before) {
            await happen(one);
            if (one.body === undefined) model.delete(one.key);
            else model.set(one.key, sha256(one.body));
          }
          await pass(2 * MINUTE);
          const asOf = now();
          await pass(2 * MINUTE);
          for (const one of after) await happen(one);
          cloud.intercept(inPagesOf(pageSize));
          expect(await contents(await backUp(asOf))).toEqual(Object.fromEntries(model));
        },
      ),
      { numRuns: 20 },
    );
  });
});

describe('list-tenants of a bucket that keeps versions', () => {
  async function listItems(asOf?: string) {
    const { itemsKey } = await cloud.invoke(listTenants, { recoveryPointId, asOf: asOf ?? null });
    const lines = (await cloud.get('work', itemsKey ?? '')).toString().split('\n').slice(0, -1);
    // They are written in the order of the night.
    const items = lines.map(line => JSON.parse(line)).sort((a, b) => ((a.tenant ?? '') < (b.tenant ?? '') ? -1 : 1));
    return items.map(item => [item.tenant, item.asOf]);
  }

  it('knows a school whose files were all moved away since, and none whose files were long gone', async () => {
    await upload('schools/long-gone/a', 'x');
    await remove('schools/long-gone/a');
    await upload('schools/staying/a', 'x');
    await upload('schools/leaving/a', 'x');
    await pass(5 * MINUTE);
    const asOf = now();
    await pass(5 * MINUTE);
    await move('schools/leaving/a', 'schools/arriving/a');
    for (const size of [1, 1000]) {
      cloud.intercept(inPagesOf(size));
      expect(await listItems(asOf)).toEqual([null, 'arriving', 'leaving', 'staying'].map(tenant => [tenant, asOf]));
    }
    expect(await contents(await backUp(asOf, 'leaving'), 'schools/leaving/')).toEqual({ a: sha256('x') });
    expect(await contents(await backUp(asOf, 'arriving'), 'schools/arriving/')).toEqual({});
  });

  it('takes the moment of the listing where there is no snapshot', async () => {
    await upload('schools/oakfield/a', 'x');
    expect(await listItems()).toEqual([null, 'oakfield'].map(tenant => [tenant, now()]));
  });

  it('lists a bucket as it is while it keeps no versions', async () => {
    const VersioningConfiguration = { Status: 'Suspended' } as const;
    await cloud.client.send(new PutBucketVersioningCommand({ Bucket: BUCKET, VersioningConfiguration }));
    await upload('schools/oakfield/a', 'x');
    expect(await listItems(now())).toEqual([
      [null, null],
      ['oakfield', null],
    ]);
  });
});
