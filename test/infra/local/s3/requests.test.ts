import {
  CreateBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  DeleteObjectTaggingCommand,
  GetBucketEncryptionCommand,
  GetBucketLocationCommand,
  GetBucketPolicyCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  PutObjectCommand,
  PutObjectTaggingCommand,
} from '@aws-sdk/client-s3';
import { describe, expect, it } from 'vitest';
import { checksumOf } from '../../../../infra/local/s3/checksums.ts';
import { errorOf, failure, startS3 } from './local-s3.ts';

describe('what is not implemented', () => {
  it.each([
    [{ path: '/plain', query: { acl: '' } }, 'ListObjects with the query parameter acl'],
    [{ path: '/plain/k', query: { torrent: '' } }, 'GetObject with the query parameter torrent'],
    [{ method: 'POST', path: '/plain/k', query: { restore: '' } }, 'POST on a resource of the kind object'],
    [{ method: 'DELETE', path: '/plain', query: { lifecycle: '' } }, 'DeleteBucket with the query parameter lifecycle'],
    [{ method: 'PATCH', path: '/plain' }, 'PATCH on a resource of the kind bucket'],
    [{ method: 'PATCH', path: '/plain/k' }, 'PATCH on a resource of the kind object'],
    [{ path: '/plain/k', headers: { 'x-amz-request-payer': 'requester' } }, 'the header x-amz-request-payer'],
    [{ path: '/plain/k', headers: { 'x-amz-future': '1' } }, 'GetObject with the header x-amz-future'],
    [{ method: 'PUT', path: '/plain/k', headers: { 'x-amz-grant-read': 'id=1' } }, 'the header x-amz-grant-read'],
    [{ method: 'DELETE', path: '/plain/k', headers: { 'if-none-match': '*' } }, 'the header if-none-match'],
    [{ method: 'PUT', path: '/plain/k', headers: { 'if-none-match': '"e"' } }, 'If-None-Match of a write other than *'],
    [{ method: 'PUT', path: '/plain/k', headers: { 'if-match': '*' } }, 'If-Match: * of a write'],
    [{ method: 'DELETE', path: '/plain/k', headers: { 'if-match': '*' } }, 'If-Match: * of a delete'],
    [
      { method: 'PUT', path: '/plain/k', headers: { 'if-match': '"a"', 'if-none-match': '*' } },
      'If-Match beside If-None-Match',
    ],
    [
      { method: 'PUT', path: '/plain/k', headers: { 'x-amz-server-side-encryption': 'aws:kms' } },
      "aws:kms without a key's id, which means alias/aws/s3",
    ],
    [
      { method: 'PUT', path: '/plain/k', headers: { 'x-amz-server-side-encryption': 'aws:kms:dsse' } },
      'x-amz-server-side-encryption: aws:kms:dsse',
    ],
    [
      { method: 'PUT', path: '/plain/k', headers: { 'x-amz-server-side-encryption-bucket-key-enabled': 'true' } },
      'bucket-key-enabled: true',
    ],
  ])('%j is refused by name', async (request, name) => {
    const { send } = startS3();
    const error = errorOf(await send(request));
    expect([error.status, error.code]).toEqual([501, 'NotImplemented']);
    expect(error.message).toContain(name);
  });
});

describe('requests that are not valid', () => {
  const put = { method: 'PUT', path: '/plain/k', body: Buffer.from('hello') };
  const sha256 = checksumOf('SHA256', Buffer.from('hello'));
  it.each([
    [{ path: '/plain/%zz' }, 400, 'InvalidURI'],
    [{ path: '/plain/%ff' }, 400, 'InvalidURI'],
    [{ path: `/plain/${'k'.repeat(1025)}` }, 400, 'KeyTooLongError'],
    [{ path: `/plain/${encodeURIComponent('é'.repeat(513))}` }, 400, 'KeyTooLongError'],
    [{ path: '/versioned/k', query: { versionId: 'short' } }, 400, 'InvalidArgument'],
    [{ ...put, headers: { 'content-md5': 'AAAA' } }, 400, 'InvalidDigest'],
    [{ ...put, headers: { 'content-md5': checksumOf('MD5', Buffer.from('x')) } }, 400, 'BadDigest'],
    [{ ...put, headers: { 'x-amz-checksum-sha256': checksumOf('SHA256', Buffer.from('x')) } }, 400, 'BadDigest'],
    [{ ...put, headers: { 'x-amz-checksum-sha256': 'AAAA' } }, 400, 'InvalidRequest'],
    [
      { ...put, headers: { 'x-amz-checksum-sha256': sha256, 'x-amz-checksum-crc32': 'AAAAAA==' } },
      400,
      'InvalidRequest',
    ],
    [
      { ...put, headers: { 'x-amz-checksum-sha256': sha256, 'x-amz-sdk-checksum-algorithm': 'SHA1' } },
      400,
      'InvalidRequest',
    ],
    [{ ...put, headers: { 'x-amz-sdk-checksum-algorithm': 'SHA256' } }, 400, 'InvalidRequest'],
    [{ ...put, headers: { 'x-amz-content-sha256': '0'.repeat(64) } }, 400, 'XAmzContentSHA256Mismatch'],
    [{ ...put, headers: { 'content-length': '4' } }, 400, 'IncompleteBody'],
    [{ ...put, headers: { 'content-length': '6' } }, 400, 'IncompleteBody'],
    [{ ...put, headers: { 'content-length': '6000000000' } }, 400, 'EntityTooLarge'],
    [{ ...put, headers: { 'x-amz-storage-class': 'COLD' } }, 400, 'InvalidStorageClass'],
    [{ ...put, headers: { 'x-amz-acl': 'public-read' } }, 400, 'AccessControlListNotSupported'],
    [{ ...put, headers: { 'x-amz-meta-a': 'x'.repeat(2048) } }, 400, 'MetadataTooLarge'],
    [{ ...put, headers: { 'x-amz-tagging': 'a=1&a=2' } }, 400, 'InvalidTag'],
    [{ ...put, headers: { 'x-amz-tagging': 'aws:a=1' } }, 400, 'InvalidTag'],
    [{ ...put, headers: { 'x-amz-tagging': '%zz=1' } }, 400, 'InvalidArgument'],
    [{ ...put, headers: { 'x-amz-tagging': '=1' } }, 400, 'InvalidArgument'],
    [{ ...put, headers: { 'x-amz-server-side-encryption-aws-kms-key-id': 'k' } }, 400, 'InvalidArgument'],
    [{ ...put, headers: { 'x-amz-server-side-encryption': 'rot13' } }, 400, 'InvalidArgument'],
    [{ ...put, headers: { 'x-amz-website-redirect-location': 'ftp://x' } }, 400, 'InvalidRedirectLocation'],
    [{ ...put, headers: { 'x-amz-expected-bucket-owner': '999999999999' } }, 403, 'AccessDenied'],
    [{ ...put, headers: { 'x-amz-copy-source': 'no-key' } }, 400, 'InvalidArgument'],
    [{ ...put, headers: { 'x-amz-copy-source': 'plain/%zz' } }, 400, 'InvalidArgument'],
    [{ ...put, headers: { 'x-amz-copy-source': 'plain/a?versionId=x&y' } }, 400, 'InvalidArgument'],
    [{ ...put, headers: { 'x-amz-copy-source': 'plain/a?other=x' } }, 400, 'InvalidArgument'],
    [{ method: 'PUT', path: '/Not_Valid' }, 400, 'InvalidBucketName'],
  ])('%j', async (request, status, code) => {
    const { send, s3 } = startS3();
    expect(errorOf(await send(request))).toMatchObject({ status, code });
    expect([...(s3.core.store.buckets.get('plain')?.keys.values() ?? [])]).toEqual([]);
  });

  it.each([
    ['', 'MalformedXML'],
    ['<Delete>', 'MalformedXML'],
    ['<Delete></Delete>', 'MalformedXML'],
    ['<Remove><Object><Key>a</Key></Object></Remove>', 'MalformedXML'],
    ['<Delete><Object><Name>a</Name></Object></Delete>', 'MalformedXML'],
    ['<Delete><Object><Key></Key></Object></Delete>', 'MalformedXML'],
    [`<Delete>${'<Object><Key>a</Key></Object>'.repeat(1001)}</Delete>`, 'MalformedXML'],
    [Buffer.from([0x3c, 0x44, 0xff, 0x3e]), 'MalformedXML'],
    ['<Delete><Object><Key>a</Key><Size>1</Size></Object></Delete>', 'NotImplemented'],
  ])('a list of deletions of %j', async (document, code) => {
    const { send } = startS3();
    const body = Buffer.from(document);
    const headers = { 'content-md5': checksumOf('MD5', body) };
    const response = await send({ method: 'POST', path: '/plain', query: { delete: '' }, body, headers });
    expect(errorOf(response).code).toBe(code);
    const unprotected = await send({ method: 'POST', path: '/plain', query: { delete: '' }, body });
    expect(errorOf(unprotected).code).toBe('InvalidRequest');
  });

  it('names the request and the resource in its errors, and says nothing in answer to HEAD', async () => {
    const { send } = startS3();
    const error = await send({ path: '/plain/a%20b' });
    expect(String(error.body)).toMatch(
      /^<\?xml version="1.0" encoding="UTF-8"\?>\n<Error><Code>NoSuchKey<\/Code>.*<Key>a b<\/Key><Resource>\/plain\/a%20b<\/Resource><RequestId>[0-9A-F]{16}<\/RequestId><\/Error>$/,
    );
    const head = await send({ method: 'HEAD', path: '/plain/a' });
    expect([head.status, head.body]).toEqual([404, undefined]);
  });
});

describe('buckets', () => {
  it('are described', async () => {
    const { client, s3 } = startS3();
    const policy = { Version: '2012-10-17', Statement: [{ Sid: 'A', Effect: 'Deny', Action: '*' }] };
    s3.createBucket({ name: 'vault', encryption: { algorithm: 'aws:kms', keyId: 'alias/vault' }, policy });
    const listed = await client.send(new ListBucketsCommand({}));
    expect(listed.Buckets?.map(({ Name }) => Name)).toEqual(['locked', 'plain', 'suspended', 'vault', 'versioned']);
    expect((await client.send(new HeadBucketCommand({ Bucket: 'vault' }))).BucketRegion).toBe('eu-west-2');
    expect(await failure(client.send(new HeadBucketCommand({ Bucket: 'absent' })))).toBe('NotFound 404');
    expect((await client.send(new GetBucketLocationCommand({ Bucket: 'vault' }))).LocationConstraint).toBe('eu-west-2');
    expect((await client.send(new GetBucketVersioningCommand({ Bucket: 'vault' }))).Status).toBeUndefined();
    expect((await client.send(new GetBucketVersioningCommand({ Bucket: 'locked' }))).Status).toBe('Enabled');
    const encryption = await client.send(new GetBucketEncryptionCommand({ Bucket: 'vault' }));
    expect(encryption.ServerSideEncryptionConfiguration?.Rules).toEqual([
      {
        ApplyServerSideEncryptionByDefault: { SSEAlgorithm: 'aws:kms', KMSMasterKeyID: 'alias/vault' },
        BucketKeyEnabled: false,
      },
    ]);
    expect(JSON.parse((await client.send(new GetBucketPolicyCommand({ Bucket: 'vault' }))).Policy ?? '')).toEqual(
      policy,
    );
    expect(await failure(client.send(new GetBucketPolicyCommand({ Bucket: 'plain' })))).toBe('NoSuchBucketPolicy 404');
  });

  it('can be created by a client', async () => {
    const { client } = startS3();
    const create = (Bucket: string, LocationConstraint: 'eu-west-2' | 'eu-west-1', more: object = {}) =>
      failure(
        client.send(new CreateBucketCommand({ Bucket, CreateBucketConfiguration: { LocationConstraint }, ...more })),
      );
    expect(await create('made-here', 'eu-west-2', { ObjectLockEnabledForBucket: true })).toBe('no failure');
    expect(await create('made-here', 'eu-west-2')).toBe('BucketAlreadyOwnedByYou 409');
    expect(await create('elsewhere', 'eu-west-1')).toBe('IllegalLocationConstraintException 400');
    expect((await client.send(new GetBucketVersioningCommand({ Bucket: 'made-here' }))).Status).toBe('Enabled');
  });
});

describe('versions', () => {
  it('are made, hidden and removed as the versioning of the bucket says', async () => {
    const { client } = startS3();
    const put = async (Bucket: string, Body: string) =>
      (await client.send(new PutObjectCommand({ Bucket, Key: 'k', Body }))).VersionId;
    const read = async (Bucket: string, VersionId?: string) => {
      const got = await client.send(new GetObjectCommand({ Bucket, Key: 'k', VersionId }));
      return got.Body?.transformToString();
    };
    const remove = async (Bucket: string, VersionId?: string) => {
      const { DeleteMarker, VersionId: id } = await client.send(
        new DeleteObjectCommand({ Bucket, Key: 'k', VersionId }),
      );
      return { DeleteMarker, id };
    };
    expect([await put('plain', 'a'), await put('plain', 'b'), await read('plain')]).toEqual([
      undefined,
      undefined,
      'b',
    ]);
    expect(await remove('plain')).toEqual({ DeleteMarker: undefined, id: undefined });
    expect(await failure(read('plain'))).toBe('NoSuchKey 404');

    expect([await put('suspended', 'a'), await put('suspended', 'b')]).toEqual(['null', 'null']);
    expect(await read('suspended', 'null')).toBe('b');
    expect(await remove('suspended')).toEqual({ DeleteMarker: true, id: 'null' });
    expect(await failure(read('suspended'))).toBe('NoSuchKey 404');

    const [one, two] = [await put('versioned', 'a'), await put('versioned', 'b')];
    expect([await read('versioned', one), await read('versioned', two), await read('versioned')]).toEqual([
      'a',
      'b',
      'b',
    ]);
    const marker = await remove('versioned');
    expect(marker.DeleteMarker).toBe(true);
    expect(await failure(read('versioned'))).toBe('NoSuchKey 404');
    expect(await failure(read('versioned', marker.id))).toBe('MethodNotAllowed 405');
    expect(await remove('versioned', marker.id)).toEqual({ DeleteMarker: true, id: marker.id });
    expect(await read('versioned')).toBe('b');
    expect(await remove('versioned', two)).toEqual({ DeleteMarker: undefined, id: two });
    expect(await remove('versioned', two)).toEqual({ DeleteMarker: undefined, id: two });
    expect(await read('versioned')).toBe('a');
  });

  it('are deleted a thousand at a time, some failing', async () => {
    const { client, permissions, s3 } = startS3();
    const Objects = Array.from({ length: 1000 }, (_, index) => ({ Key: `k${index} &<>` }));
    for (const { Key } of Objects) await s3.seedObject('plain', Key, '');
    const all = await client.send(new DeleteObjectsCommand({ Bucket: 'plain', Delete: { Objects } }));
    expect(all.Deleted?.length).toBe(1000);
    const quiet = await client.send(new DeleteObjectsCommand({ Bucket: 'plain', Delete: { Objects, Quiet: true } }));
    expect(quiet.Deleted).toBeUndefined();
    permissions.denied.add('s3:DeleteObject');
    const refused = await client.send(
      new DeleteObjectsCommand({
        Bucket: 'versioned',
        Delete: { Objects: [{ Key: 'a' }, { Key: 'b', VersionId: 'bad' }, { Key: 'c', VersionId: 'c'.repeat(32) }] },
      }),
    );
    expect(refused.Errors?.map(({ Key, Code }) => [Key, Code])).toEqual([
      ['a', 'AccessDenied'],
      ['b', 'InvalidArgument'],
    ]);
    expect(refused.Deleted).toEqual([{ Key: 'c', VersionId: 'c'.repeat(32) }]);
  });

  it('are deleted on condition', async () => {
    const { client } = startS3();
    const remove = (IfMatch: string) =>
      failure(client.send(new DeleteObjectCommand({ Bucket: 'plain', Key: 'k', IfMatch })));
    expect(await remove('"none"')).toBe('PreconditionFailed 412');
    const { ETag } = await client.send(new PutObjectCommand({ Bucket: 'plain', Key: 'k', Body: 'x' }));
    expect(await remove('"other"')).toBe('PreconditionFailed 412');
    expect(await remove(ETag ?? '')).toBe('no failure');
  });
});

describe('tags', () => {
  it('are read, replaced and removed', async () => {
    const { client } = startS3();
    const place = { Bucket: 'versioned', Key: 'k' };
    await client.send(new PutObjectCommand({ ...place, Body: 'x', Tagging: 'a=1&b+c=%C3%A9' }));
    const tags = async () => (await client.send(new GetObjectTaggingCommand(place))).TagSet;
    expect(await tags()).toEqual([
      { Key: 'a', Value: '1' },
      { Key: 'b c', Value: 'é' },
    ]);
    const set = (TagSet: { Key: string; Value: string }[]) =>
      failure(client.send(new PutObjectTaggingCommand({ ...place, Tagging: { TagSet } })));
    expect(await set([{ Key: 'new', Value: '' }])).toBe('no failure');
    expect(await tags()).toEqual([{ Key: 'new', Value: '' }]);
    expect(await set(Array.from({ length: 11 }, (_, index) => ({ Key: `${index}`, Value: '' })))).toBe(
      'BadRequest 400',
    );
    expect(await set([{ Key: 'k'.repeat(129), Value: '' }])).toBe('InvalidTag 400');
    expect(await set([{ Key: 'k', Value: '<' }])).toBe('InvalidTag 400');
    await client.send(new DeleteObjectTaggingCommand(place));
    expect(await tags()).toEqual([]);
  });
});

describe('SSE-C', () => {
  it("wants the customer's key for every read", async () => {
    const { client, send } = startS3();
    const key = Buffer.alloc(32, 7);
    const customer = {
      SSECustomerAlgorithm: 'AES256',
      SSECustomerKey: key.toString('base64'),
      SSECustomerKeyMD5: checksumOf('MD5', key),
    };
    const place = { Bucket: 'plain', Key: 'k' };
    await client.send(new PutObjectCommand({ ...place, Body: 'x', ...customer }));
    expect(await failure(client.send(new GetObjectCommand(place)))).toBe('InvalidRequest 400');
    expect((await send({ method: 'HEAD', path: '/plain/k' })).status).toBe(400);
    const copy = await send({ method: 'PUT', path: '/plain/c', headers: { 'x-amz-copy-source': 'plain/k' } });
    expect(errorOf(copy)).toMatchObject({ status: 400, code: 'InvalidRequest' });
    const got = await client.send(new GetObjectCommand({ ...place, ...customer }));
    expect(await got.Body?.transformToString()).toBe('x');
    expect((await client.send(new HeadObjectCommand({ ...place, ...customer }))).SSECustomerAlgorithm).toBe('AES256');
    const other = Buffer.alloc(32, 8);
    const wrong = {
      ...customer,
      SSECustomerKey: other.toString('base64'),
      SSECustomerKeyMD5: checksumOf('MD5', other),
    };
    expect(await failure(client.send(new GetObjectCommand({ ...place, ...wrong })))).toBe('AccessDenied 403');
  });
});
