import { createHash } from 'node:crypto';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectAttributesCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import { describe, expect, it } from 'vitest';
import { localClientConfiguration } from '../../../../infra/local/endpoint/request-handler.ts';
import { checksumOf } from '../../../../infra/local/s3/checksums.ts';
import { failure, keyArn, ROOT, START, startS3 } from './local-s3.ts';

const place = { Bucket: 'versioned', Key: 'big/ä' };
const limits = { minimumPartBytes: 10 };
const first = Buffer.alloc(100_000, 'first');
const second = Buffer.alloc(70_001, 'second');
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('base64');

describe('multipart upload', () => {
  it('makes one object of its parts, encrypted, with the composite ETag and checksum', async () => {
    const { client, keys, clock } = startS3({ limits });
    const { UploadId } = await client.send(
      new CreateMultipartUploadCommand({
        ...place,
        ChecksumAlgorithm: 'SHA256',
        ContentType: 'video/mp4',
        Metadata: { a: '1' },
        ServerSideEncryption: 'aws:kms',
        SSEKMSKeyId: keyArn('one'),
      }),
    );
    await clock.advance(60_000);
    const parts = [];
    for (const [index, Body] of [first, second].entries()) {
      const PartNumber = index + 2;
      const part = await client.send(
        new UploadPartCommand({ ...place, UploadId, PartNumber, Body, ChecksumAlgorithm: 'SHA256' }),
      );
      expect(part.ChecksumSHA256).toBe(sha256(Body));
      parts.push({ PartNumber, ETag: part.ETag, ChecksumSHA256: part.ChecksumSHA256 });
    }
    const done = await client.send(
      new CompleteMultipartUploadCommand({ ...place, UploadId, MultipartUpload: { Parts: parts }, IfNoneMatch: '*' }),
    );
    const digests = Buffer.concat([first, second].map(part => createHash('sha256').update(part).digest()));
    expect(done.ChecksumSHA256).toBe(`${sha256(digests)}-2`);
    expect(done.ETag).toMatch(/^"[0-9a-f]{32}-2"$/);
    const whole = Buffer.concat([first, second]);
    const got = await client.send(new GetObjectCommand(place));
    expect(Buffer.from((await got.Body?.transformToByteArray()) ?? [])).toEqual(whole);
    expect(got).toMatchObject({ ContentType: 'video/mp4', Metadata: { a: '1' }, LastModified: START });
    const head = await client.send(new HeadObjectCommand({ ...place, ChecksumMode: 'ENABLED' }));
    expect(head).toMatchObject({ ChecksumType: 'COMPOSITE', ChecksumSHA256: done.ChecksumSHA256 });
    const attributes = await client.send(
      new GetObjectAttributesCommand({ ...place, ObjectAttributes: ['ETag', 'Checksum', 'ObjectParts', 'ObjectSize'] }),
    );
    expect(attributes).toMatchObject({
      ETag: done.ETag?.replaceAll('"', ''),
      ObjectSize: whole.length,
      Checksum: { ChecksumSHA256: done.ChecksumSHA256, ChecksumType: 'COMPOSITE' },
      ObjectParts: {
        TotalPartsCount: 2,
        IsTruncated: false,
        Parts: [
          { PartNumber: 1, Size: first.length, ChecksumSHA256: sha256(first) },
          { PartNumber: 2, Size: second.length, ChecksumSHA256: sha256(second) },
        ],
      },
    });
    // The SDK asks for checksums, and S3 answers with the part's.
    expect(await failure(client.send(new GetObjectCommand({ ...place, PartNumber: 2 })))).toBe('NotImplemented 501');
    const across = await client.send(new GetObjectCommand({ ...place, Range: 'bytes=99990-100009' }));
    expect(Buffer.from((await across.Body?.transformToByteArray()) ?? [])).toEqual(whole.subarray(99_990, 100_010));
    expect(keys.calls.slice(0, 3).map(({ operation }) => operation)).toEqual(['GenerateDataKey', 'Decrypt', 'Decrypt']);
  });

  it('answers a repeated completion as the first one, also after another was written over it', async () => {
    const { client } = startS3({ limits });
    const { UploadId } = await client.send(new CreateMultipartUploadCommand(place));
    const { ETag } = await client.send(new UploadPartCommand({ ...place, UploadId, PartNumber: 1, Body: first }));
    const complete = (PartNumber = 1) =>
      client.send(
        new CompleteMultipartUploadCommand({ ...place, UploadId, MultipartUpload: { Parts: [{ PartNumber, ETag }] } }),
      );
    const { $metadata: _, ...done } = await complete();
    expect(await complete()).toMatchObject(done);
    await client.send(new PutObjectCommand({ ...place, Body: 'newer' }));
    expect(await complete()).toMatchObject(done);
    const got = await client.send(new GetObjectCommand(place));
    expect(await got.Body?.transformToString()).toBe('newer');
    expect(await failure(complete(2))).toBe('NoSuchUpload 404');
  });

  it('without encryption by key has the MD5 of the MD5s, and a full CRC64NVME', async () => {
    const { s3 } = startS3({ limits });
    const configuration = localClientConfiguration({ s3 }, ROOT);
    const client = new S3Client({ ...configuration, requestChecksumCalculation: 'WHEN_REQUIRED' });
    const { UploadId } = await client.send(
      new CreateMultipartUploadCommand({ ...place, ChecksumAlgorithm: 'CRC64NVME' }),
    );
    const Parts = [];
    for (const [index, Body] of [first, second].entries()) {
      const { ETag } = await client.send(
        new UploadPartCommand({
          ...place,
          UploadId,
          PartNumber: index + 1,
          Body,
          ContentMD5: md5(Body).toString('base64'),
        }),
      );
      expect(ETag).toBe(`"${md5(Body).toString('hex')}"`);
      Parts.push({ PartNumber: index + 1, ETag });
    }
    const whole = Buffer.concat([first, second]);
    const done = await client.send(
      new CompleteMultipartUploadCommand({
        ...place,
        UploadId,
        MultipartUpload: { Parts },
        ChecksumCRC64NVME: checksumOf('CRC64NVME', whole),
        MpuObjectSize: whole.length,
      }),
    );
    expect(done.ETag).toBe(`"${md5(Buffer.concat([md5(first), md5(second)])).toString('hex')}-2"`);
    expect(done.ChecksumCRC64NVME).toBe(checksumOf('CRC64NVME', whole));
    expect(done.ChecksumType).toBe('FULL_OBJECT');
  });

  it('copies parts by range, with a checksum of each', async () => {
    const { client } = startS3({ limits });
    const content = Buffer.concat([first, second]);
    const source = await client.send(new PutObjectCommand({ Bucket: 'plain', Key: 's p+', Body: content }));
    const { UploadId } = await client.send(new CreateMultipartUploadCommand({ ...place, ChecksumAlgorithm: 'SHA256' }));
    const copy = (PartNumber: number, CopySourceRange: string, CopySourceIfMatch = source.ETag) =>
      client.send(
        new UploadPartCopyCommand({
          ...place,
          UploadId,
          PartNumber,
          CopySource: 'plain/s%20p%2B',
          CopySourceRange,
          CopySourceIfMatch,
        }),
      );
    const ranges = [
      [0, 80_000],
      [80_000, content.length],
    ] as const;
    const Parts = [];
    for (const [index, [from, to]] of ranges.entries()) {
      const { CopyPartResult } = await copy(index + 1, `bytes=${from}-${to - 1}`);
      expect(CopyPartResult?.ChecksumSHA256).toBe(sha256(content.subarray(from, to)));
      Parts.push({
        PartNumber: index + 1,
        ETag: CopyPartResult?.ETag,
        ChecksumSHA256: CopyPartResult?.ChecksumSHA256,
      });
    }
    expect(await failure(copy(3, 'bytes=0-9', '"other"'))).toBe('PreconditionFailed 412');
    expect(await failure(copy(3, `bytes=0-${content.length}`))).toBe('InvalidArgument 400');
    expect(await failure(copy(3, 'bytes=5-1'))).toBe('InvalidArgument 400');
    expect(await failure(copy(0, 'bytes=0-9'))).toBe('InvalidArgument 400');
    await client.send(new CompleteMultipartUploadCommand({ ...place, UploadId, MultipartUpload: { Parts } }));
    const got = await client.send(new GetObjectCommand(place));
    expect(Buffer.from((await got.Body?.transformToByteArray()) ?? [])).toEqual(content);
  });

  it('refuses a wrong completion, and stays open for a right one', async () => {
    const { client } = startS3({ limits });
    const { UploadId } = await client.send(new CreateMultipartUploadCommand({ ...place, ChecksumAlgorithm: 'SHA256' }));
    const upload = (PartNumber: number, Body: string) =>
      client.send(new UploadPartCommand({ ...place, UploadId, PartNumber, Body, ChecksumAlgorithm: 'SHA256' }));
    const [one, two, three] = [await upload(1, 'a'.repeat(10)), await upload(2, 'short'), await upload(3, 'last')];
    const name = (
      PartNumber: number,
      { ETag, ChecksumSHA256 }: { ETag?: string | undefined; ChecksumSHA256?: string | undefined },
    ) => ({
      PartNumber,
      ETag,
      ChecksumSHA256,
    });
    const complete = (Parts: object[], more: object = {}) =>
      failure(
        client.send(new CompleteMultipartUploadCommand({ ...place, UploadId, MultipartUpload: { Parts }, ...more })),
      );
    expect(await complete([name(2, two), name(1, one)])).toBe('InvalidPartOrder 400');
    expect(await complete([name(1, one), name(1, one)])).toBe('InvalidPartOrder 400');
    expect(await complete([name(1, one), name(4, three)])).toBe('InvalidPart 400');
    expect(await complete([name(1, { ...one, ETag: '"00"' })])).toBe('InvalidPart 400');
    expect(await complete([name(1, { ...one, ChecksumSHA256: two.ChecksumSHA256 ?? '' })])).toBe('InvalidPart 400');
    expect(await complete([{ PartNumber: 1, ETag: one.ETag }])).toBe('InvalidRequest 400');
    expect(await complete([name(1, one), name(2, two), name(3, three)])).toBe('EntityTooSmall 400');
    expect(await complete([])).toBe('MalformedXML 400');
    expect(await complete([name(1, one)], { MpuObjectSize: 11 })).toBe('InvalidRequest 400');
    expect(await complete([name(1, one)], { ChecksumSHA256: sha256(first) })).toBe('BadDigest 400');
    await client.send(new PutObjectCommand({ ...place, Body: 'earlier' }));
    expect(await complete([name(1, one)], { IfNoneMatch: '*' })).toBe('PreconditionFailed 412');
    expect(await complete([name(1, one), name(3, three)])).toBe('no failure');
    expect(await complete([name(1, one)])).toBe('NoSuchUpload 404');
    const got = await client.send(new GetObjectCommand(place));
    expect(await got.Body?.transformToString()).toBe(`${'a'.repeat(10)}last`);
  });

  it('refuses a part with another checksum than the upload began with', async () => {
    const { client } = startS3();
    const { UploadId } = await client.send(new CreateMultipartUploadCommand({ ...place, ChecksumAlgorithm: 'SHA256' }));
    const upload = (more: object) =>
      failure(client.send(new UploadPartCommand({ ...place, UploadId, PartNumber: 1, Body: 'x', ...more })));
    expect(await upload({ ChecksumAlgorithm: 'CRC32' })).toBe('InvalidRequest 400');
    expect(await upload({ ChecksumSHA256: sha256(first) })).toBe('BadDigest 400');
    expect(await upload({ ChecksumAlgorithm: 'SHA256', UploadId: 'unknown' })).toBe('NoSuchUpload 404');
    expect(await upload({ ChecksumAlgorithm: 'SHA256', Key: 'other' })).toBe('NoSuchUpload 404');
    expect(await upload({ ChecksumAlgorithm: 'SHA256', PartNumber: 10_001 })).toBe('InvalidArgument 400');
  });

  it('is listed with its parts until it is aborted', async () => {
    const { client } = startS3();
    const start = async (Key: string) =>
      (await client.send(new CreateMultipartUploadCommand({ Bucket: 'plain', Key }))).UploadId;
    const ids = [await start('a/1'), await start('a/2'), await start('b'), await start('b')];
    const uploads = (more: object) => client.send(new ListMultipartUploadsCommand({ Bucket: 'plain', ...more }));
    expect((await uploads({})).Uploads?.map(({ Key }) => Key)).toEqual(['a/1', 'a/2', 'b', 'b']);
    const rolled = await uploads({ Delimiter: '/' });
    expect([rolled.CommonPrefixes, rolled.Uploads?.length]).toEqual([[{ Prefix: 'a/' }], 2]);
    const page = await uploads({ MaxUploads: 3 });
    expect([page.IsTruncated, page.NextKeyMarker]).toEqual([true, 'b']);
    const rest = await uploads({ KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker });
    expect([...(page.Uploads ?? []), ...(rest.Uploads ?? [])].map(({ UploadId }) => UploadId).sort()).toEqual(
      [...ids].sort(),
    );
    const upload = { Bucket: 'plain', Key: 'a/1', UploadId: ids[0] };
    for (const PartNumber of [3, 1, 2]) {
      await client.send(new UploadPartCommand({ ...upload, PartNumber, Body: `part ${PartNumber}` }));
    }
    const parts = await client.send(new ListPartsCommand({ ...upload, MaxParts: 2 }));
    expect([parts.Parts?.map(({ PartNumber }) => PartNumber), parts.IsTruncated, parts.NextPartNumberMarker]).toEqual([
      [1, 2],
      true,
      '2',
    ]);
    const last = await client.send(new ListPartsCommand({ ...upload, PartNumberMarker: '2' }));
    expect(last.Parts).toMatchObject([{ PartNumber: 3, Size: 6 }]);
    await client.send(new AbortMultipartUploadCommand(upload));
    expect(await failure(client.send(new ListPartsCommand(upload)))).toBe('NoSuchUpload 404');
    expect(await failure(client.send(new HeadObjectCommand({ Bucket: 'plain', Key: 'a/1' })))).toBe('NotFound 404');
  });
});

function md5(bytes: Uint8Array): Buffer {
  return createHash('md5').update(bytes).digest();
}
