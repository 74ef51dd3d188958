import { createHash } from 'node:crypto';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  GetObjectAttributesCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import { RetryableError } from './errors.ts';
import { callS3, copySource, describeObject, ObjectNotFoundError, ObjectStorageError } from './s3.ts';

const MIB = 1024 ** 2;
const MAX_PARTS = 10_000;

/** From which size on objects are copied in parts, and how large these are. */
export interface CopyLimits {
  /** `CopyObject` takes at most 5 GiB: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html */
  readonly wholeUpToBytes: number;
  /** At least 5 MiB. Larger where the object would have more than 10,000 parts. */
  readonly partSizeBytes: number;
}

export const COPY_LIMITS: CopyLimits = { wholeUpToBytes: 5 * 1024 * MIB, partSizeBytes: 1024 * MIB };

const PARTS_AT_A_TIME = 8;

/** The digest of an object's content: of the whole, or, where it was copied in parts, of each part. */
export interface ContentDigest {
  readonly sha256?: string;
  readonly parts?: { partSizeBytes: number; sha256: string[] };
}

type KnownDigest = { readonly [Field in keyof ContentDigest]: ContentDigest[Field] | undefined };

/** The same content, as far as digests tell: of the whole, or of each part. None is like no other. */
export function isSameDigest(a: KnownDigest, b: KnownDigest): boolean {
  const digests = ({ sha256, parts }: KnownDigest) => (sha256 === undefined ? parts?.sha256 : [sha256])?.join();
  return digests(a) !== undefined && digests(a) === digests(b);
}

export interface CopyRequest {
  readonly source: {
    readonly bucket: string;
    readonly key: string;
    readonly versionId?: string;
    /** The copy is made only while the source has this ETag. */
    readonly eTag: string;
    readonly sizeBytes: number;
    readonly calledInMessages?: string;
  };
  readonly target: { readonly bucket: string; readonly key: string; readonly keyArn: string };
  readonly limits: CopyLimits;
  /** Asked between parts: true means stop, and go on with the same upload in a later call. */
  timeIsShort(): boolean;
}

/** How large the parts of an object of `sizeBytes` are. */
export function partSizeFor(sizeBytes: number, { partSizeBytes }: CopyLimits): number {
  return sizeBytes <= partSizeBytes * MAX_PARTS ? partSizeBytes : Math.ceil(sizeBytes / MAX_PARTS / MIB) * MIB;
}

/**
 * Copies an object's content inside S3, with SHA-256, under the target's KMS key, to a key that has no current version
 * yet. The copy has nothing of the source's metadata, headers and tags, which S3 does not encrypt.
 * @returns the version written and its digests; undefined when it stopped for time.
 * @throws PreconditionFailedError when the target is there already, or the source has changed; ask with `describeCopy`.
 */
export async function copyObject(request: CopyRequest): Promise<({ versionId: string } & ContentDigest) | undefined> {
  return request.source.sizeBytes > request.limits.wholeUpToBytes ? copyInParts(request) : copyWhole(request);
}

async function copyWhole({ source, target }: CopyRequest) {
  const { bucket, key, keyArn } = target;
  const response = await callS3(nameCopy(source, target), client =>
    client.send(
      new CopyObjectCommand({
        Bucket: bucket,
        Key: key,
        CopySource: copySource(source.bucket, source.key, source.versionId),
        CopySourceIfMatch: source.eTag,
        IfNoneMatch: '*',
        ...encryption(keyArn),
        ChecksumAlgorithm: 'SHA256',
        MetadataDirective: 'REPLACE',
        TaggingDirective: 'REPLACE',
        AnnotationDirective: 'EXCLUDE',
      }),
    ),
  );
  const checksum = response.CopyObjectResult?.ChecksumSHA256;
  const versionId = response.VersionId ?? '';
  if (checksum !== undefined) return { versionId, sha256: toHex(checksum, key) };
  const copied = await describeCopy(target, source.sizeBytes, COPY_LIMITS);
  if (copied?.versionId !== versionId) throw new RetryableError(`${bucket}/${key}: the copy does not read back yet`);
  return copied;
}

async function copyInParts(request: CopyRequest): Promise<({ versionId: string } & ContentDigest) | undefined> {
  const { source, target, limits } = request;
  const { bucket, key } = target;
  const what = nameCopy(source, target);
  const partSizeBytes = partSizeFor(source.sizeBytes, limits);
  const partCount = Math.ceil(source.sizeBytes / partSizeBytes);
  const upload = (await findUpload(request, partSizeBytes)) ?? (await createUpload(request));
  try {
    const missing = Array.from({ length: partCount }, (_, index) => index + 1).filter(n => !upload.parts.has(n));
    const workers = await Promise.allSettled(
      Array.from({ length: PARTS_AT_A_TIME }, async () => {
        for (let part = missing.shift(); part !== undefined; part = missing.shift()) {
          if (request.timeIsShort()) return;
          upload.parts.set(part, await copyPart(request, upload.uploadId, part, partSizeBytes));
        }
      }),
    );
    for (const worker of workers) if (worker.status === 'rejected') throw worker.reason;
    if (upload.parts.size < partCount) return undefined;
    const parts = [...upload.parts].sort(([a], [b]) => a - b);
    const { VersionId } = await callS3(what, client =>
      client.send(
        new CompleteMultipartUploadCommand({
          Bucket: bucket,
          Key: key,
          UploadId: upload.uploadId,
          IfNoneMatch: '*',
          MultipartUpload: {
            Parts: parts.map(([PartNumber, { eTag, checksum }]) => ({
              PartNumber,
              ETag: eTag,
              ChecksumSHA256: checksum,
            })),
          },
        }),
      ),
    );
    return {
      versionId: VersionId ?? '',
      parts: { partSizeBytes, sha256: parts.map(([, { checksum }]) => toHex(checksum, key)) },
    };
  } catch (error) {
    // A passing failure leaves the upload, so that a rerun goes on with it.
    if (!(error instanceof RetryableError)) await abortUpload(target, upload.uploadId);
    throw error;
  }
}

interface CopiedPart {
  eTag: string;
  checksum: string;
}

interface Upload {
  uploadId: string;
  parts: Map<number, CopiedPart>;
}

async function createUpload({ source, target }: CopyRequest): Promise<Upload> {
  const { UploadId = '' } = await callS3(nameCopy(source, target), client =>
    client.send(
      new CreateMultipartUploadCommand({
        Bucket: target.bucket,
        Key: target.key,
        ...encryption(target.keyArn),
        ChecksumAlgorithm: 'SHA256',
      }),
    ),
  );
  return { uploadId: UploadId, parts: new Map() };
}

async function copyPart(
  { source, target }: CopyRequest,
  uploadId: string,
  part: number,
  partSizeBytes: number,
): Promise<CopiedPart> {
  const from = (part - 1) * partSizeBytes;
  const to = Math.min(from + partSizeBytes, source.sizeBytes) - 1;
  const { CopyPartResult } = await callS3(nameCopy(source, target), client =>
    client.send(
      new UploadPartCopyCommand({
        Bucket: target.bucket,
        Key: target.key,
        UploadId: uploadId,
        PartNumber: part,
        CopySource: copySource(source.bucket, source.key, source.versionId),
        CopySourceIfMatch: source.eTag,
        CopySourceRange: `bytes=${from}-${to}`,
      }),
    ),
  );
  const { ETag, ChecksumSHA256 } = CopyPartResult ?? {};
  if (ETag === undefined || ChecksumSHA256 === undefined) {
    throw new ObjectStorageError(`${target.bucket}/${target.key}: S3 gave no SHA-256 for part ${part}`);
  }
  return { eTag: ETag, checksum: ChecksumSHA256 };
}

/** The upload that an earlier, stopped or killed call left for the same target, with its parts; others are aborted. */
async function findUpload({ source, target }: CopyRequest, partSizeBytes: number): Promise<Upload | undefined> {
  const { Uploads } = await callS3(`s3://${target.bucket}/${target.key}`, client =>
    client.send(new ListMultipartUploadsCommand({ Bucket: target.bucket, Prefix: target.key })),
  );
  let found: Upload | undefined;
  for (const { Key, UploadId = '' } of Uploads ?? []) {
    if (Key !== target.key) continue;
    const parts = found === undefined ? await listParts(target, UploadId, source.sizeBytes, partSizeBytes) : undefined;
    if (parts === undefined) await abortUpload(target, UploadId);
    else found = { uploadId: UploadId, parts };
  }
  return found;
}

/** The parts of an upload by number; undefined when they are not the ones that this code would make. */
async function listParts(
  target: CopyRequest['target'],
  uploadId: string,
  sizeBytes: number,
  partSizeBytes: number,
): Promise<Map<number, CopiedPart> | undefined> {
  const parts = new Map<number, CopiedPart>();
  let marker: string | undefined;
  do {
    const page = await callS3(`s3://${target.bucket}/${target.key}`, client =>
      client.send(
        new ListPartsCommand({ Bucket: target.bucket, Key: target.key, UploadId: uploadId, PartNumberMarker: marker }),
      ),
    );
    for (const { PartNumber = 0, ETag, ChecksumSHA256, Size } of page.Parts ?? []) {
      const expected = Math.min(partSizeBytes, sizeBytes - (PartNumber - 1) * partSizeBytes);
      if (ETag === undefined || ChecksumSHA256 === undefined || Size !== expected) return undefined;
      parts.set(PartNumber, { eTag: ETag, checksum: ChecksumSHA256 });
    }
    marker = page.IsTruncated ? page.NextPartNumberMarker : undefined;
  } while (marker !== undefined);
  return parts;
}

async function abortUpload({ bucket, key }: CopyRequest['target'], uploadId: string): Promise<void> {
  try {
    await callS3(`s3://${bucket}/${key}`, client =>
      client.send(new AbortMultipartUploadCommand({ Bucket: bucket, Key: key, UploadId: uploadId })),
    );
  } catch (error) {
    if (!(error instanceof ObjectNotFoundError)) throw error;
  }
}

/** A target holds something else than a copy of the source: another size, key or checksum. */
export class ForeignCopyError extends ObjectStorageError {}

/**
 * The current version of a target that an earlier run wrote; undefined where there is none.
 * @throws ForeignCopyError when it has another size, another KMS key, or checksums that do not fit each other.
 */
export async function describeCopy(
  { bucket, key, keyArn }: CopyRequest['target'],
  sizeBytes: number,
  limits: CopyLimits,
): Promise<({ versionId: string } & ContentDigest) | undefined> {
  const head = await describeObject(bucket, key);
  if (head === undefined) return undefined;
  const foreign = (what: string) => new ForeignCopyError(`s3://${bucket}/${key} is no copy of ours: ${what}`);
  if (head.ContentLength !== sizeBytes) throw foreign('its size is another');
  if (head.SSEKMSKeyId !== keyArn) throw foreign('it is under another key');
  const versionId = head.VersionId ?? '';
  if (sizeBytes <= limits.wholeUpToBytes) return { versionId, sha256: toHex(head.ChecksumSHA256 ?? '', key) };
  const sha256 = await readPartDigests(bucket, key);
  if (head.ChecksumSHA256 !== compositeChecksum(sha256)) {
    throw foreign("its checksum is not that of its parts'");
  }
  return { versionId, parts: { partSizeBytes: partSizeFor(sizeBytes, limits), sha256 } };
}

/**
 * The checksum that S3 gives an object whose parts have these SHA-256 (hexadecimal).
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html (composite checksums)
 */
export function compositeChecksum(sha256: readonly string[]): string {
  const composite = createHash('sha256');
  for (const part of sha256) composite.update(Buffer.from(part, 'hex'));
  return `${composite.digest('base64')}-${sha256.length}`;
}

async function readPartDigests(bucket: string, key: string): Promise<string[]> {
  const digests: string[] = [];
  let marker: string | undefined;
  do {
    const { ObjectParts } = await callS3(`s3://${bucket}/${key}`, client =>
      client.send(
        new GetObjectAttributesCommand({
          Bucket: bucket,
          Key: key,
          ObjectAttributes: ['ObjectParts'],
          PartNumberMarker: marker,
        }),
      ),
    );
    for (const { ChecksumSHA256 = '' } of ObjectParts?.Parts ?? []) digests.push(toHex(ChecksumSHA256, key));
    marker = ObjectParts?.IsTruncated ? ObjectParts.NextPartNumberMarker : undefined;
  } while (marker !== undefined);
  return digests;
}

/** SSE-KMS without a Bucket Key, which would keep a bucket-level key usable for a while after the tenant's is destroyed. */
function encryption(keyArn: string) {
  return { ServerSideEncryption: 'aws:kms' as const, SSEKMSKeyId: keyArn, BucketKeyEnabled: false };
}

function nameCopy(source: CopyRequest['source'], { bucket, key }: CopyRequest['target']): string {
  return `copy of ${source.calledInMessages ?? `s3://${source.bucket}/${source.key}`} to s3://${bucket}/${key}`;
}

function toHex(base64: string, key: string): string {
  const bytes = Buffer.from(base64, 'base64');
  if (bytes.length !== 32 || base64.includes('-')) throw new ObjectStorageError(`${key}: S3 keeps no SHA-256 of it`);
  return bytes.toString('hex');
}
