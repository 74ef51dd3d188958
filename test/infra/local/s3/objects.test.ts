import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import {
  CopyObjectCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { describe, expect, it } from 'vitest';
import { failure, keyArn, START, startS3 } from './local-s3.ts';

const md5 = (text: string) => `"${createHash('md5').update(text).digest('hex')}"`;
const sha256 = (text: string | Uint8Array) => createHash('sha256').update(text).digest('base64');

describe('PutObject and GetObject', () => {
  it('give back what was written, with its headers and metadata', async () => {
    const { client } = startS3();
    const put = await client.send(
      new PutObjectCommand({
        Bucket: 'versioned',
        Key: 'schools/oak/Café +%2F & co.txt',
        Body: 'hello',
        ContentType: 'text/plain',
        ContentLanguage: 'en-GB',
        CacheControl: 'no-store',
        ContentDisposition: 'attachment',
        Metadata: { owner: 'opaque-1' },
        Tagging: 'kind=note&year=2026',
      }),
    );
    expect(put.ETag).toBe(md5('hello'));
    expect(put.VersionId).toMatch(/^[A-Za-z0-9._]{32}$/);
    expect(put.ServerSideEncryption).toBe('AES256');
    const got = await client.send(new GetObjectCommand({ Bucket: 'versioned', Key: 'schools/oak/Café +%2F & co.txt' }));
    expect(await got.Body?.transformToString()).toBe('hello');
    expect(got).toMatchObject({
      ContentType: 'text/plain',
      ContentLanguage: 'en-GB',
      CacheControl: 'no-store',
      ContentDisposition: 'attachment',
      ContentLength: 5,
      ETag: md5('hello'),
      LastModified: START,
      Metadata: { owner: 'opaque-1' },
      TagCount: 2,
      VersionId: put.VersionId,
    });
  });

  it('take streams in aws-chunked framing', async () => {
    const { client } = startS3();
    const content = Buffer.alloc(300_000, 'abcdefg');
    await client.send(
      new PutObjectCommand({
        Bucket: 'plain',
        Key: 'stream',
        Body: Readable.from([content.subarray(0, 70_000), content.subarray(70_000)]),
        ContentLength: content.length,
        ChecksumAlgorithm: 'SHA256',
      }),
    );
    const got = await client.send(new GetObjectCommand({ Bucket: 'plain', Key: 'stream', ChecksumMode: 'ENABLED' }));
    expect(Buffer.from((await got.Body?.transformToByteArray()) ?? [])).toEqual(content);
    expect(got.ChecksumSHA256).toBe(sha256(content));
    expect(got.ChecksumType).toBe('FULL_OBJECT');
    expect(got.ContentEncoding).toBeUndefined();
  });

  it.each(['/leading', 'a//b', './x', '../x', 'a/../b', ' ', '+', '%41', 'ключ/学校', '\u{1f3eb}', 'tab\there'])(
    'keep the key %j literally',
    async Key => {
      const { client } = startS3();
      await client.send(new PutObjectCommand({ Bucket: 'plain', Key, Body: Key }));
      const got = await client.send(new GetObjectCommand({ Bucket: 'plain', Key }));
      expect(await got.Body?.transformToString()).toBe(Key);
      const list = await client.send(new ListObjectsV2Command({ Bucket: 'plain' }));
      expect(list.Contents?.map(object => object.Key)).toEqual([Key]);
    },
  );

  it('read ranges, and refuse those beyond the end', async () => {
    const { client } = startS3();
    await client.send(new PutObjectCommand({ Bucket: 'plain', Key: 'k', Body: '0123456789' }));
    const read = async (Range: string) => {
      const got = await client.send(new GetObjectCommand({ Bucket: 'plain', Key: 'k', Range }));
      return [await got.Body?.transformToString(), got.ContentRange, got.$metadata.httpStatusCode];
    };
    expect(await read('bytes=2-4')).toEqual(['234', 'bytes 2-4/10', 206]);
    expect(await read('bytes=7-')).toEqual(['789', 'bytes 7-9/10', 206]);
    expect(await read('bytes=-3')).toEqual(['789', 'bytes 7-9/10', 206]);
    expect(await read('bytes=8-99')).toEqual(['89', 'bytes 8-9/10', 206]);
    expect(await read('bytes=4-2')).toEqual(['0123456789', undefined, 200]);
    expect(await failure(read('bytes=10-'))).toBe('InvalidRange 416');
    expect(await failure(read('bytes=0-1,3-4'))).toBe('NotImplemented 501');
  });

  it('judge the conditions of a read', async () => {
    const { client } = startS3();
    const { ETag } = await client.send(new PutObjectCommand({ Bucket: 'plain', Key: 'k', Body: 'x' }));
    const get = (condition: object) =>
      failure(client.send(new GetObjectCommand({ Bucket: 'plain', Key: 'k', ...condition })));
    const before = new Date(START.getTime() - 1000);
    expect(await get({ IfMatch: ETag })).toBe('no failure');
    expect(await get({ IfMatch: '"other"' })).toBe('PreconditionFailed 412');
    expect(await get({ IfNoneMatch: ETag })).toMatch(/ 304$/);
    expect(await get({ IfNoneMatch: '"other"' })).toBe('no failure');
    expect(await get({ IfModifiedSince: START })).toMatch(/ 304$/);
    expect(await get({ IfModifiedSince: before })).toBe('no failure');
    expect(await get({ IfUnmodifiedSince: before })).toBe('PreconditionFailed 412');
    expect(await get({ IfMatch: ETag, IfUnmodifiedSince: before })).toBe('no failure');
    expect(await get({ IfNoneMatch: '"other"', IfModifiedSince: START })).toBe('no failure');
  });

  it('say what is missing', async () => {
    const { client } = startS3();
    expect(await failure(client.send(new GetObjectCommand({ Bucket: 'absent', Key: 'k' })))).toBe('NoSuchBucket 404');
    expect(await failure(client.send(new GetObjectCommand({ Bucket: 'plain', Key: 'k' })))).toBe('NoSuchKey 404');
    expect(await failure(client.send(new HeadObjectCommand({ Bucket: 'plain', Key: 'k' })))).toBe('NotFound 404');
    const VersionId = 'a'.repeat(32);
    expect(await failure(client.send(new GetObjectCommand({ Bucket: 'versioned', Key: 'k', VersionId })))).toBe(
      'NoSuchVersion 404',
    );
  });
});

describe('conditional writes', () => {
  it('let exactly one of 100 writers create a key', async () => {
    const { client } = startS3();
    const outcomes = await Promise.all(
      Array.from({ length: 100 }, (_, index) =>
        failure(
          client.send(new PutObjectCommand({ Bucket: 'versioned', Key: 'head', Body: `${index}`, IfNoneMatch: '*' })),
        ),
      ),
    );
    expect(outcomes.filter(outcome => outcome === 'no failure')).toHaveLength(1);
    expect(outcomes.filter(outcome => outcome === 'PreconditionFailed 412')).toHaveLength(99);
  });

  it('let a key be created again on top of a delete marker', async () => {
    const { client } = startS3();
    const put = () =>
      failure(client.send(new PutObjectCommand({ Bucket: 'versioned', Key: 'k', Body: 'x', IfNoneMatch: '*' })));
    expect(await put()).toBe('no failure');
    await client.send(new DeleteObjectCommand({ Bucket: 'versioned', Key: 'k' }));
    expect(await put()).toBe('no failure');
  });

  it('conflict with a deletion that happens meanwhile', async () => {
    const { client } = startS3();
    let release: (() => void) | undefined;
    const gate = new Promise<void>(resolve => {
      release = resolve;
    });
    async function* slowly() {
      yield Buffer.from('ab');
      await gate;
      yield Buffer.from('cd');
    }
    const writing = failure(
      client.send(
        new PutObjectCommand({
          Bucket: 'versioned',
          Key: 'k',
          Body: Readable.from(slowly()),
          ContentLength: 4,
          IfNoneMatch: '*',
        }),
      ),
    );
    await new Promise(resolve => setTimeout(resolve, 20));
    await client.send(new DeleteObjectCommand({ Bucket: 'versioned', Key: 'k' }));
    release?.();
    expect(await writing).toBe('ConditionalRequestConflict 409');
  });

  it('compare the ETag of what they replace', async () => {
    const { client } = startS3();
    const put = (IfMatch: string) =>
      failure(client.send(new PutObjectCommand({ Bucket: 'plain', Key: 'k', Body: 'y', IfMatch })));
    expect(await put('"x"')).toBe('NoSuchKey 404');
    await client.send(new PutObjectCommand({ Bucket: 'plain', Key: 'k', Body: 'x' }));
    expect(await put(md5('other'))).toBe('PreconditionFailed 412');
    expect(await put(md5('x'))).toBe('no failure');
  });
});

describe('SSE-KMS', () => {
  it('asks KMS for each write and read, bound to the object, and stores ciphertext only', async () => {
    const { client, keys, s3 } = startS3();
    const secret = 'a child wrote this';
    const put = await client.send(
      new PutObjectCommand({
        Bucket: 'versioned',
        Key: 'k',
        Body: secret,
        ServerSideEncryption: 'aws:kms',
        SSEKMSKeyId: keyArn('one'),
        BucketKeyEnabled: false,
      }),
    );
    expect(put.SSEKMSKeyId).toBe(keyArn('one'));
    expect(put.ETag).not.toBe(md5(secret));
    const got = await client.send(new GetObjectCommand({ Bucket: 'versioned', Key: 'k' }));
    expect(await got.Body?.transformToString()).toBe(secret);
    const context = { 'aws:s3:arn': 'arn:aws:s3:::versioned/k' };
    const viaService = 's3.eu-west-2.amazonaws.com';
    expect(keys.calls).toEqual([
      { operation: 'GenerateDataKey', context, viaService, keyArn: keyArn('one') },
      { operation: 'Decrypt', context, viaService, keyArn: keyArn('one') },
    ]);
    const bucket = s3.core.store.buckets.get('versioned');
    const stored = [...(bucket?.keys.values() ?? [])].flatMap(({ versions }) => versions);
    expect(JSON.stringify(stored)).not.toContain(JSON.stringify(Buffer.from(secret)).slice(20, 60));
  });

  it('reads ranges of large objects across frames', async () => {
    const { client } = startS3();
    const content = Buffer.from(Array.from({ length: 200_000 }, (_, index) => index % 251));
    const Bucket = 'plain';
    await client.send(
      new PutObjectCommand({ Bucket, Key: 'k', Body: content, ServerSideEncryption: 'aws:kms', SSEKMSKeyId: 'one' }),
    );
    for (const [from, to] of [
      [0, 0],
      [65_535, 65_536],
      [65_536, 131_071],
      [131_000, 199_999],
      [1, 199_998],
    ] as const) {
      const got = await client.send(new GetObjectCommand({ Bucket, Key: 'k', Range: `bytes=${from}-${to}` }));
      expect(Buffer.from((await got.Body?.transformToByteArray()) ?? [])).toEqual(content.subarray(from, to + 1));
    }
  });

  it("fails with KMS's error once the key is unusable, while HeadObject goes on", async () => {
    const { client, keys } = startS3();
    const place = { Bucket: 'versioned', Key: 'k' };
    await client.send(
      new PutObjectCommand({ ...place, Body: 'x', ServerSideEncryption: 'aws:kms', SSEKMSKeyId: 'one' }),
    );
    const get = () => failure(client.send(new GetObjectCommand(place)));
    const copy = () =>
      failure(client.send(new CopyObjectCommand({ Bucket: 'plain', Key: 'c', CopySource: 'versioned/k' })));
    keys.refusals.set(keyArn('one'), 'DisabledException');
    expect(await get()).toBe('KMS.DisabledException 400');
    expect(await copy()).toBe('KMS.DisabledException 400');
    keys.refusals.set(keyArn('one'), 'KMSInvalidStateException');
    expect(await get()).toBe('KMS.KMSInvalidStateException 400');
    keys.refusals.set(keyArn('one'), 'AccessDeniedException');
    expect(await get()).toBe('AccessDenied 403');
    const head = await client.send(new HeadObjectCommand(place));
    expect(head.SSEKMSKeyId).toBe(keyArn('one'));
  });

  it("follows the bucket's default where the request says nothing", async () => {
    const { client, s3 } = startS3();
    s3.createBucket({ name: 'vault', encryption: { algorithm: 'aws:kms', keyId: 'alias/vault' } });
    const put = await client.send(new PutObjectCommand({ Bucket: 'vault', Key: 'k', Body: 'x' }));
    expect(put.SSEKMSKeyId).toBe(keyArn('vault'));
    const plain = await client.send(
      new PutObjectCommand({ Bucket: 'vault', Key: 'k', Body: 'x', ServerSideEncryption: 'AES256' }),
    );
    expect(plain.ServerSideEncryption).toBe('AES256');
    expect(plain.SSEKMSKeyId).toBeUndefined();
  });
});

describe('CopyObject', () => {
  it('copies content under another key, with a SHA-256, and with the metadata that the directives say', async () => {
    const { client, keys } = startS3();
    await client.send(
      new PutObjectCommand({
        Bucket: 'versioned',
        Key: 'src/a b+c%.txt',
        Body: 'content',
        ContentType: 'text/plain',
        Metadata: { name: 'original' },
        Tagging: 'a=1',
      }),
    );
    const copied = await client.send(
      new CopyObjectCommand({
        Bucket: 'locked',
        Key: 'dst',
        CopySource: `versioned/src/${encodeURIComponent('a b+c%.txt')}`,
        CopySourceIfMatch: md5('content'),
        IfNoneMatch: '*',
        MetadataDirective: 'REPLACE',
        TaggingDirective: 'REPLACE',
        AnnotationDirective: 'EXCLUDE',
        ChecksumAlgorithm: 'SHA256',
        ServerSideEncryption: 'aws:kms',
        SSEKMSKeyId: keyArn('tenant'),
        BucketKeyEnabled: false,
      }),
    );
    expect(copied.CopyObjectResult?.ChecksumSHA256).toBe(sha256('content'));
    expect(copied.CopyObjectResult?.ETag).not.toBe(md5('content'));
    expect(keys.calls.map(({ operation }) => operation)).toEqual(['GenerateDataKey']);
    const head = await client.send(new HeadObjectCommand({ Bucket: 'locked', Key: 'dst', ChecksumMode: 'ENABLED' }));
    expect(head).toMatchObject({
      Metadata: {},
      ContentType: 'binary/octet-stream',
      ChecksumSHA256: sha256('content'),
      VersionId: copied.VersionId,
    });
    expect(head.TagCount).toBeUndefined();
    const plainCopy = new CopyObjectCommand({ Bucket: 'plain', Key: 'c', CopySource: 'locked/dst' });
    await client.send(plainCopy);
    const read = await client.send(new GetObjectCommand({ Bucket: 'plain', Key: 'c' }));
    expect(await read.Body?.transformToString()).toBe('content');
    expect(read.ETag).toBe(md5('content'));
  });

  it('copies metadata and tags where nothing else is said', async () => {
    const { client } = startS3();
    await client.send(
      new PutObjectCommand({
        Bucket: 'plain',
        Key: 'a',
        Body: 'x',
        ContentType: 'text/plain',
        Metadata: { m: '1' },
        Tagging: 't=1',
        WebsiteRedirectLocation: '/elsewhere',
      }),
    );
    await client.send(new CopyObjectCommand({ Bucket: 'plain', Key: 'b', CopySource: 'plain/a' }));
    const head = await client.send(new HeadObjectCommand({ Bucket: 'plain', Key: 'b' }));
    expect(head).toMatchObject({ ContentType: 'text/plain', Metadata: { m: '1' }, TagCount: 1 });
    expect(head.WebsiteRedirectLocation).toBeUndefined();
  });

  it('refuses what S3 refuses', async () => {
    const { client } = startS3({ limits: { maximumCopyBytes: 10 } });
    const put = (Key: string, Body: string, more: object = {}) =>
      client.send(new PutObjectCommand({ Bucket: 'versioned', Key, Body, ...more }));
    const copy = (CopySource: string, more: object = {}) =>
      failure(client.send(new CopyObjectCommand({ Bucket: 'versioned', Key: 'a', CopySource, ...more })));
    const { VersionId, ETag } = await put('a', 'x');
    expect(await copy('versioned/a')).toBe('InvalidRequest 400');
    expect(await copy('versioned/a', { MetadataDirective: 'REPLACE' })).toBe('no failure');
    expect(await copy(`versioned/a?versionId=${VersionId}`)).toBe('no failure');
    expect(await copy('versioned/absent')).toBe('NoSuchKey 404');
    expect(await copy('absent/a')).toBe('NoSuchBucket 404');
    expect(await copy('versioned/b', { IfNoneMatch: '*' })).toBe('NoSuchKey 404');
    await put('b', 'y');
    expect(await copy('versioned/b', { IfNoneMatch: '*' })).toBe('PreconditionFailed 412');
    expect(await copy('versioned/b', { CopySourceIfMatch: ETag })).toBe('PreconditionFailed 412');
    expect(await copy('versioned/b', { CopySourceIfNoneMatch: md5('y') })).toBe('PreconditionFailed 412');
    await put('cold', 'x', { StorageClass: 'DEEP_ARCHIVE' });
    expect(await copy('versioned/cold')).toBe('InvalidObjectState 403');
    expect(await failure(client.send(new GetObjectCommand({ Bucket: 'versioned', Key: 'cold' })))).toBe(
      'InvalidObjectState 403',
    );
  });

  it('refuses a source above the limit, which multipart copies are for', async () => {
    const roomy = startS3();
    await roomy.client.send(new PutObjectCommand({ Bucket: 'plain', Key: 'big', Body: '12345678901' }));
    Object.assign(roomy.s3.core.limits, { maximumCopyBytes: 10 });
    const copy = new CopyObjectCommand({ Bucket: 'plain', Key: 'c', CopySource: 'plain/big' });
    expect(await failure(roomy.client.send(copy))).toBe('InvalidRequest 400');
  });
});
