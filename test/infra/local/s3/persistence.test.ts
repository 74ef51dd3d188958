import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  ListObjectVersionsCommand,
  PutObjectCommand,
  PutObjectLegalHoldCommand,
  PutObjectTaggingCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { localClientConfiguration } from '../../../../infra/local/endpoint/request-handler.ts';
import { LocalS3 } from '../../../../infra/local/s3/service.ts';
import { ACCOUNT, failure, keyArn, ROOT, startS3 } from './local-s3.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'local-s3-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const large = Buffer.from(Array.from({ length: 500_000 }, (_, index) => (index * 7) % 256));
const journal = () => join(directory, 'journal.jsonl');
const contentFiles = () => readdirSync(join(directory, 'content'));

describe('state in a directory', () => {
  it('is there again for another process, as if this one had been killed', async () => {
    const first = startS3({ directory });
    const { client, clock, keys } = first;
    first.s3.createBucket({
      name: 'vault',
      objectLock: { defaultRetention: { mode: 'COMPLIANCE', period: { days: 7 }, eventHold: { days: 7 } } },
    });
    first.s3.putBucketPolicy('vault', { Version: '2012-10-17', Statement: [] });
    const kms = { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: keyArn('one') } as const;
    await client.send(new PutObjectCommand({ Bucket: 'vault', Key: 'small', Body: 'secret one', ...kms }));
    await client.send(
      new PutObjectCommand({ Bucket: 'vault', Key: 'large', Body: large, ...kms, Metadata: { a: 'b' } }),
    );
    await client.send(
      new PutObjectCommand({ Bucket: 'versioned', Key: 'k', Body: 'old', Tagging: 'kind=memory&base64=AA' }),
    );
    await client.send(new DeleteObjectCommand({ Bucket: 'versioned', Key: 'k' }));
    await client.send(new PutObjectCommand({ Bucket: 'versioned', Key: 'gone', Body: large }));
    const { VersionId } = await client.send(new HeadObjectCommand({ Bucket: 'versioned', Key: 'gone' }));
    await client.send(new DeleteObjectCommand({ Bucket: 'versioned', Key: 'gone', VersionId }));
    await client.send(new PutObjectCommand({ Bucket: 'locked', Key: 'held', Body: 'x' }));
    await client.send(new PutObjectLegalHoldCommand({ Bucket: 'locked', Key: 'held', LegalHold: { Status: 'ON' } }));
    await client.send(
      new PutObjectTaggingCommand({ Bucket: 'locked', Key: 'held', Tagging: { TagSet: [{ Key: 't', Value: '1' }] } }),
    );
    const upload = { Bucket: 'plain', Key: 'mp' };
    const { UploadId } = await client.send(new CreateMultipartUploadCommand({ ...upload, ChecksumAlgorithm: 'CRC32' }));
    const part = await client.send(new UploadPartCommand({ ...upload, UploadId, PartNumber: 1, Body: large }));
    await client.send(new UploadPartCommand({ ...upload, UploadId, PartNumber: 2, Body: large }));

    const s3 = new LocalS3({ clock, keys, authorizer: { authorize() {} }, accountId: ACCOUNT, directory });
    const again = new S3Client(localClientConfiguration({ s3 }, ROOT));
    const read = async (Bucket: string, Key: string, more: object = {}) =>
      Buffer.from(
        (await (await again.send(new GetObjectCommand({ Bucket, Key, ...more }))).Body?.transformToByteArray()) ?? [],
      );
    expect((await read('vault', 'small')).toString()).toBe('secret one');
    expect(await read('vault', 'large')).toEqual(large);
    expect((await again.send(new HeadObjectCommand({ Bucket: 'vault', Key: 'large' }))).Metadata).toEqual({ a: 'b' });
    expect(s3.core.store.buckets.get('vault')?.policy).toEqual({ Version: '2012-10-17', Statement: [] });
    const versions = await again.send(new ListObjectVersionsCommand({ Bucket: 'versioned' }));
    expect([versions.Versions?.length, versions.DeleteMarkers?.length]).toEqual([1, 1]);
    const oldVersion = versions.Versions?.[0]?.VersionId;
    expect((await read('versioned', 'k', { VersionId: oldVersion })).toString()).toBe('old');
    const tags = await again.send(
      new GetObjectTaggingCommand({ Bucket: 'versioned', Key: 'k', VersionId: oldVersion }),
    );
    expect(tags.TagSet).toEqual([
      { Key: 'kind', Value: 'memory' },
      { Key: 'base64', Value: 'AA' },
    ]);
    const held = await again.send(new HeadObjectCommand({ Bucket: 'locked', Key: 'held' }));
    expect([held.ObjectLockLegalHoldStatus, held.TagCount]).toEqual(['ON', 1]);
    await again.send(
      new CompleteMultipartUploadCommand({
        ...upload,
        UploadId,
        MultipartUpload: { Parts: [{ PartNumber: 1, ETag: part.ETag, ChecksumCRC32: part.ChecksumCRC32 }] },
      }),
    );
    expect(await read('plain', 'mp')).toEqual(large);
    // The large object, and the part that was used: what was deleted or left out has no file any more.
    expect(contentFiles()).toHaveLength(2);
    s3.close();
    first.s3.close();
  });

  it('holds no plaintext of SSE-KMS objects', async () => {
    const { client, s3 } = startS3({ directory });
    const text = 'a sentence that a child wrote';
    const kms = { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: keyArn('one') } as const;
    await client.send(new PutObjectCommand({ Bucket: 'plain', Key: 'small', Body: text, ...kms }));
    await client.send(new PutObjectCommand({ Bucket: 'plain', Key: 'large', Body: text.repeat(10_000), ...kms }));
    const stored = [readFileSync(journal()), ...contentFiles().map(id => readFileSync(join(directory, 'content', id)))];
    for (const bytes of stored) {
      expect(bytes.includes(text)).toBe(false);
      expect(bytes.includes(Buffer.from(text).toString('base64').slice(4, 30))).toBe(false);
    }
    s3.close();
  });

  it('survives a record that a killed process left unfinished', async () => {
    const { client, clock, keys, s3 } = startS3({ directory });
    await client.send(new PutObjectCommand({ Bucket: 'plain', Key: 'a', Body: 'x' }));
    s3.close();
    appendFileSync(journal(), '{"type":"version","bucket":"pla');
    writeFileSync(join(directory, 'content', 'left-over'), 'bytes of a write that was never recorded');
    const open = () => new LocalS3({ clock, keys, authorizer: { authorize() {} }, accountId: ACCOUNT, directory });
    const second = open();
    expect(contentFiles()).toEqual([]);
    await second.seedObject('plain', 'b', 'y');
    second.close();
    const third = open();
    expect([...(third.core.store.buckets.get('plain')?.keys.values() ?? [])].map(({ key }) => key)).toEqual(['a', 'b']);
    third.close();
  });

  it('is refused where a record in the middle is damaged', async () => {
    const { client, clock, keys, s3 } = startS3({ directory });
    await client.send(new PutObjectCommand({ Bucket: 'plain', Key: 'a', Body: 'x' }));
    s3.close();
    appendFileSync(journal(), 'not a record\n');
    expect(() => new LocalS3({ clock, keys, authorizer: { authorize() {} }, accountId: ACCOUNT, directory })).toThrow(
      /journal\.jsonl: the record at byte \d+ is damaged/,
    );
  });

  it('keeps nothing of a write that fails', async () => {
    const { client, s3 } = startS3({ directory });
    async function* broken() {
      yield large;
      throw new Error('the sender went away');
    }
    const put = new PutObjectCommand({
      Bucket: 'plain',
      Key: 'k',
      Body: Readable.from(broken()),
      ContentLength: 2 * large.length,
    });
    expect(await failure(client.send(put))).not.toBe('no failure');
    await client.send(new PutObjectCommand({ Bucket: 'plain', Key: 'once', Body: large }));
    const again = new PutObjectCommand({ Bucket: 'plain', Key: 'once', Body: large, IfNoneMatch: '*' });
    expect(await failure(client.send(again))).toBe('PreconditionFailed 412');
    expect(contentFiles()).toHaveLength(1);
    s3.close();
  });

  it('gives a reader the whole object that it began to read, even if it is deleted meanwhile', async () => {
    const { client, s3 } = startS3({ directory });
    const content = Buffer.alloc(3_000_000, 'content');
    await client.send(new PutObjectCommand({ Bucket: 'plain', Key: 'k', Body: content }));
    const got = await client.send(new GetObjectCommand({ Bucket: 'plain', Key: 'k' }));
    await client.send(new DeleteObjectCommand({ Bucket: 'plain', Key: 'k' }));
    expect(Buffer.from((await got.Body?.transformToByteArray()) ?? [])).toEqual(content);
    expect(contentFiles()).toEqual([]);
    s3.close();
  });

  it('says so when ciphertext on disk was altered', async () => {
    const { client, s3 } = startS3({ directory });
    const kms = { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: keyArn('one') } as const;
    await client.send(new PutObjectCommand({ Bucket: 'plain', Key: 'k', Body: large, ...kms }));
    const [id = ''] = contentFiles();
    const path = join(directory, 'content', id);
    const bytes = readFileSync(path);
    bytes.writeUInt8(bytes.readUInt8(70_000) ^ 1, 70_000);
    writeFileSync(path, bytes);
    const single = new S3Client({ ...localClientConfiguration({ s3 }, ROOT), maxAttempts: 1 });
    expect(await failure(single.send(new GetObjectCommand({ Bucket: 'plain', Key: 'k' })))).toBe('InternalError 500');
    s3.close();
  });
});
