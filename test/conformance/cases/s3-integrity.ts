import { createHash, randomBytes } from 'node:crypto';
import {
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  GetObjectAttributesCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  ListPartsCommand,
  PutObjectCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import { answer, type ConformanceCase, refusal } from '../case.ts';
import type { Scratch } from '../scratch.ts';
import { plainBucket } from './buckets.ts';
import { s3Api, s3Guide } from './pages.ts';

const COPY = 'functions/platform/object-copy.ts';
const MIB = 1024 * 1024;

const sha256 = (content: Uint8Array | string) => createHash('sha256').update(content).digest('base64');

/** Copies the last-written source in parts of 5 MiB and 1 MiB, as the backup copies what is larger than 5 GB. */
async function copyInParts(scratch: Scratch, Key: string) {
  const Bucket = await plainBucket(scratch);
  const content = randomBytes(6 * MIB);
  await scratch.s3.send(new PutObjectCommand({ Bucket, Key: 'integrity/source', Body: content }));
  const SSEKMSKeyId = await scratch.key('first');
  const { UploadId } = await scratch.s3.send(
    new CreateMultipartUploadCommand({
      Bucket,
      Key,
      ChecksumAlgorithm: 'SHA256',
      ServerSideEncryption: 'aws:kms',
      SSEKMSKeyId,
    }),
  );
  const slices = [content.subarray(0, 5 * MIB), content.subarray(5 * MIB)];
  const parts: CompletedPart[] = [];
  let from = 0;
  for (const [index, slice] of slices.entries()) {
    const { CopyPartResult } = await scratch.s3.send(
      new UploadPartCopyCommand({
        Bucket,
        Key,
        UploadId,
        PartNumber: index + 1,
        CopySource: `${Bucket}/integrity/source`,
        CopySourceRange: `bytes=${from}-${from + slice.length - 1}`,
      }),
    );
    from += slice.length;
    parts.push({
      PartNumber: index + 1,
      ETag: CopyPartResult?.ETag,
      ChecksumSHA256: CopyPartResult?.ChecksumSHA256,
    });
  }
  const complete = (Parts: CompletedPart[]) =>
    scratch.s3.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } }));
  return { Bucket, UploadId, digests: slices.map(sha256), parts, complete };
}

/** Checksums that S3 keeps and checks, and what a copy takes along. */
export const s3IntegrityCases: readonly ConformanceCase[] = [
  {
    service: 'S3',
    name: 'PutObject with a SHA-256 that is not the content’s is refused, and nothing is written',
    restsOn: 'functions/platform/s3-upload.ts: what arrives is what was sent',
    page: s3Guide('checking-object-integrity'),
    expected: { put: '400', head: '404 NotFound' },
    observe: async scratch => {
      const named = { Bucket: await plainBucket(scratch), Key: 'integrity/wrong' };
      return {
        put: await refusal(
          scratch.s3.send(new PutObjectCommand({ ...named, Body: 'sent', ChecksumSHA256: sha256('another') })),
        ),
        head: await answer(scratch.s3.send(new HeadObjectCommand(named))),
      };
    },
  },
  {
    service: 'S3',
    name: 'HeadObject in checksum mode gives the SHA-256 of the whole object',
    restsOn: `${COPY}: describeCopy`,
    page: s3Api('HeadObject'),
    expected: { sha256: sha256('content'), type: 'FULL_OBJECT' },
    observe: async scratch => {
      const named = { Bucket: await plainBucket(scratch), Key: 'integrity/head' };
      await scratch.s3.send(new PutObjectCommand({ ...named, Body: 'content', ChecksumAlgorithm: 'SHA256' }));
      const head = await scratch.s3.send(new HeadObjectCommand({ ...named, ChecksumMode: 'ENABLED' }));
      return { sha256: head.ChecksumSHA256 ?? null, type: head.ChecksumType ?? null };
    },
  },
  {
    service: 'S3',
    name: 'CopyObject with ChecksumAlgorithm computes the SHA-256 of what it copied',
    restsOn: `${COPY}: the manifest’s SHA-256 comes from this answer`,
    page: s3Api('CopyObject'),
    expected: { sha256: sha256('content') },
    observe: async scratch => {
      const Bucket = await plainBucket(scratch);
      const source = { Bucket, Key: 'integrity/crc', Body: 'content', ChecksumAlgorithm: 'CRC32' } as const;
      await scratch.s3.send(new PutObjectCommand(source));
      const { CopyObjectResult } = await scratch.s3.send(
        new CopyObjectCommand({
          Bucket,
          Key: 'integrity/sha256',
          CopySource: `${Bucket}/integrity/crc`,
          ChecksumAlgorithm: 'SHA256',
        }),
      );
      return { sha256: CopyObjectResult?.ChecksumSHA256 ?? null };
    },
  },
  {
    service: 'S3',
    name: 'a copy that replaces metadata and tags by none, and excludes annotations, keeps nothing readable beside the content',
    restsOn: `${COPY}: file names, metadata and tags stay out of the vault`,
    page: s3Api('CopyObject'),
    expected: { metadata: {}, tags: [], contentType: 'binary/octet-stream' },
    observe: async scratch => {
      const Bucket = await plainBucket(scratch);
      const described = { ContentType: 'text/plain', Metadata: { pupil: 'a' }, Tagging: 'pupil=a' };
      await scratch.s3.send(
        new PutObjectCommand({ Bucket, Key: 'integrity/described', Body: 'content', ...described }),
      );
      const target = { Bucket, Key: 'integrity/bare' };
      await scratch.s3.send(
        new CopyObjectCommand({
          ...target,
          CopySource: `${Bucket}/integrity/described`,
          MetadataDirective: 'REPLACE',
          TaggingDirective: 'REPLACE',
          AnnotationDirective: 'EXCLUDE',
        }),
      );
      const head = await scratch.s3.send(new HeadObjectCommand(target));
      const { TagSet } = await scratch.s3.send(new GetObjectTaggingCommand(target));
      return {
        metadata: head.Metadata ?? {},
        tags: (TagSet ?? []).map(({ Key = '' }) => Key),
        contentType: head.ContentType ?? null,
      };
    },
  },
  {
    service: 'S3',
    name: 'UploadPartCopy and ListParts give each part’s SHA-256, size and ETag',
    restsOn: `${COPY}: an interrupted copy goes on with the parts that are there`,
    page: s3Api('UploadPartCopy'),
    expected: { copied: true, listed: true, sizes: [5 * MIB, MIB] },
    observe: async scratch => {
      const { Bucket, UploadId, digests, parts } = await copyInParts(scratch, 'integrity/listed');
      const { Parts = [] } = await scratch.s3.send(new ListPartsCommand({ Bucket, Key: 'integrity/listed', UploadId }));
      const digestsOf = (list: readonly { ChecksumSHA256?: string | undefined }[]) =>
        list.map(part => part.ChecksumSHA256).join();
      return {
        copied: digestsOf(parts) === digests.join(),
        listed: digestsOf(Parts) === digests.join() && Parts.every(({ ETag }, n) => ETag === parts[n]?.ETag),
        sizes: Parts.map(({ Size = 0 }) => Size),
      };
    },
  },
  {
    service: 'S3',
    name: 'a multipart copy’s SHA-256 is composite, and GetObjectAttributes gives that of each part',
    restsOn: `${COPY}: describeCopy recognises its own copy by them`,
    page: s3Guide('tutorial-s3-mpu-additional-checksums'),
    expected: { type: 'COMPOSITE', composite: true, parts: true },
    observe: async scratch => {
      const Key = 'integrity/composite';
      const { Bucket, digests, parts, complete } = await copyInParts(scratch, Key);
      await complete(parts);
      const head = await scratch.s3.send(new HeadObjectCommand({ Bucket, Key, ChecksumMode: 'ENABLED' }));
      const { ObjectParts } = await scratch.s3.send(
        new GetObjectAttributesCommand({ Bucket, Key, ObjectAttributes: ['ObjectParts'] }),
      );
      const whole = sha256(Buffer.concat(digests.map(digest => Buffer.from(digest, 'base64'))));
      return {
        type: head.ChecksumType ?? null,
        composite: head.ChecksumSHA256 === `${whole}-2`,
        parts: (ObjectParts?.Parts ?? []).map(part => part.ChecksumSHA256).join() === digests.join(),
      };
    },
  },
  {
    service: 'S3',
    name: 'CompleteMultipartUpload refuses a part under another checksum, or without one',
    restsOn: `${COPY}: the parts that are joined are the ones that were copied`,
    page: s3Api('CompleteMultipartUpload'),
    expected: { other: '400', none: '400', right: 'done' },
    observe: async scratch => {
      const { parts, complete } = await copyInParts(scratch, 'integrity/joined');
      const withChecksum = (ChecksumSHA256: string | undefined) => parts.map(part => ({ ...part, ChecksumSHA256 }));
      return {
        other: await refusal(complete(withChecksum(sha256('another')))),
        none: await refusal(complete(withChecksum(undefined))),
        right: await answer(complete(parts)),
      };
    },
  },
  {
    service: 'S3',
    name: 'metadata of more than 2 KB is refused',
    restsOn: 'functions/restore-test/restore-object.ts: what S3 once took, it takes again',
    page: s3Guide('UsingMetadata'),
    expected: { fits: 'done', over: '400 MetadataTooLarge' },
    observe: async scratch => {
      const Bucket = await plainBucket(scratch);
      const withValue = (length: number) =>
        answer(
          scratch.s3.send(
            new PutObjectCommand({ Bucket, Key: 'integrity/metadata', Body: 'x', Metadata: { a: 'x'.repeat(length) } }),
          ),
        );
      return { fits: await withValue(2000), over: await withValue(2100) };
    },
  },
];
