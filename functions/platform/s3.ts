import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import {
  DeleteObjectsCommand,
  GetObjectCommand,
  type GetObjectCommandOutput,
  GetObjectRetentionCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  type HeadObjectCommandOutput,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import { describeError, PermanentError, RetryableError } from './errors.ts';
import { awsClient } from './runtime.ts';

/** There is no such object (or bucket, or version). */
export class ObjectNotFoundError extends PermanentError {}
/** A condition of the request (`If-Match`, `If-None-Match`) did not hold, or another write to the same key won. */
export class PreconditionFailedError extends PermanentError {}
/** S3 or KMS refused the request. */
export class ObjectAccessDeniedError extends PermanentError {}
/** The object lies in an archive tier and cannot be read without being restored first. */
export class ObjectArchivedError extends PermanentError {}
/** The KMS key that the object is, or is to be, encrypted under is disabled, going to be deleted, or gone. */
export class ObjectKeyUnusableError extends PermanentError {}
/** The object is encrypted under a key that its owner sends with each request (SSE-C), which nobody else can read. */
export class ObjectUnderCustomerKeyError extends PermanentError {}
/** S3 refused the request for another lasting reason. */
export class ObjectStorageError extends PermanentError {}

/** Runs one S3 call on this runtime's client and translates its errors. `what` names the object in messages; never a source key. */
export async function callS3<T>(what: string, call: (client: S3Client) => Promise<T>): Promise<T> {
  try {
    return await call(awsClient(S3Client));
  } catch (error) {
    throw translate(what, error);
  }
}

/**
 * Codes of S3, and of KMS as S3 passes them on, that ask to be tried again whatever their status is.
 * https://docs.aws.amazon.com/kms/latest/developerguide/throttling.html
 */
const PASSING =
  /^(SlowDown|RequestTimeout|InternalError|ServiceUnavailable|OperationAborted|(KMS\.)?(ThrottlingException|KMSInternalException|DependencyTimeoutException|KeyUnavailableException))$/;

function translate(what: string, cause: unknown): unknown {
  if (!(cause instanceof Error)) return cause;
  const status = statusOf(cause);
  const name = cause.name;
  if (status === 404 || ['NoSuchKey', 'NotFound', 'NoSuchBucket', 'NoSuchVersion'].includes(name)) {
    return new ObjectNotFoundError(`${what}: not found (${name})`, { cause });
  }
  if (status === 412 || name === 'PreconditionFailed' || name === 'ConditionalRequestConflict') {
    return new PreconditionFailedError(`${what}: the condition of the request did not hold (${name})`, { cause });
  }
  if (status === undefined || (status >= 500 && status !== 501) || status === 429 || PASSING.test(name)) {
    return new RetryableError(`${what}: S3 did not answer well (${name}: ${cause.message})`, { cause });
  }
  if (name.startsWith('KMS.'))
    return new ObjectKeyUnusableError(`${what}: its key cannot be used (${name})`, { cause });
  if (name === 'InvalidObjectState') return new ObjectArchivedError(`${what}: archived`, { cause });
  if (status === 403 || name === 'AccessDenied') {
    return new ObjectAccessDeniedError(
      `${what}: refused (${name}); check the role's, the bucket's and the key's policies`,
      {
        cause,
      },
    );
  }
  return new ObjectStorageError(`${what}: S3 refused (${name}: ${cause.message})`, { cause });
}

/** Whether the object that was not found is hidden by a delete marker: S3 then answers `x-amz-delete-marker: true`. */
export function isDeleteMarker(error: ObjectNotFoundError): boolean {
  const { cause } = error;
  return cause instanceof S3ServiceException && cause.$response?.headers['x-amz-delete-marker'] === 'true';
}

interface ReadOptions {
  versionId?: string;
  ifMatch?: string;
  /** What messages call the object instead of its key: a key of a source bucket is personal. */
  calledInMessages?: string;
}

/** An object's content as it arrives. The SDK's checksum validation stays on. */
export async function readObject(
  bucket: string,
  key: string,
  options: ReadOptions & { range?: string } = {},
): Promise<
  GetObjectCommandOutput & { body: Readable; sizeBytes: number; eTag: string; versionId: string | undefined }
> {
  const response = await callS3(options.calledInMessages ?? `s3://${bucket}/${key}`, client =>
    client.send(
      new GetObjectCommand({
        Bucket: bucket,
        Key: key,
        VersionId: options.versionId,
        IfMatch: options.ifMatch,
        Range: options.range,
      }),
    ),
  );
  return {
    ...response,
    body: response.Body as Readable,
    sizeBytes: response.ContentLength ?? 0,
    eTag: response.ETag ?? '',
    versionId: response.VersionId,
  };
}

/**
 * The content of an object that was answered for, piece by piece.
 * @throws RetryableError when it breaks off, or is not what its checksum says: the answer's status was given before.
 */
export async function* readChunks(what: string, body: Readable): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of body) yield chunk as Uint8Array;
  } catch (cause) {
    throw new RetryableError(`${what}: it broke off while it was read (${describeError(cause)})`, { cause });
  }
}

/** A small object's content as a whole, and its ETag. @throws ObjectNotFoundError */
export async function readWhole(
  bucket: string,
  key: string,
  options: { versionId?: string } = {},
): Promise<{ bytes: Buffer; eTag: string }> {
  const { body, eTag } = await readObject(bucket, key, options);
  return { bytes: Buffer.concat(await Array.fromAsync(readChunks(`s3://${bucket}/${key}`, body))), eTag };
}

/** A small object's content as a whole. @throws ObjectNotFoundError */
export async function readBytes(bucket: string, key: string, options: { versionId?: string } = {}): Promise<Buffer> {
  return (await readWhole(bucket, key, options)).bytes;
}

/** What `readWhole` returns, or undefined where there is no such object. */
export async function readWholeIfThere(
  bucket: string,
  key: string,
): Promise<{ bytes: Buffer; eTag: string } | undefined> {
  try {
    return await readWhole(bucket, key);
  } catch (error) {
    if (error instanceof ObjectNotFoundError) return undefined;
    throw error;
  }
}

/** What `readBytes` returns, or undefined where there is no such object. */
export async function readBytesIfThere(bucket: string, key: string): Promise<Buffer | undefined> {
  return (await readWholeIfThere(bucket, key))?.bytes;
}

/**
 * Writes a small object with its SHA-256 (S3 refuses content that arrives altered).
 * @param options.onlyIfAbsent fails with PreconditionFailedError when the key already has a current version.
 * @param options.ifMatch fails with PreconditionFailedError when the current version has another ETag.
 * @param options.keyArn the KMS key; without it the bucket's default encryption applies.
 */
export async function writeBytes(
  bucket: string,
  key: string,
  body: Uint8Array,
  options: { contentType?: string; keyArn?: string; onlyIfAbsent?: boolean; ifMatch?: string } = {},
): Promise<{ versionId: string | undefined }> {
  const response = await callS3(`s3://${bucket}/${key}`, client =>
    client.send(
      new PutObjectCommand({
        Bucket: bucket,
        Key: key,
        Body: body,
        ContentLength: body.byteLength,
        ContentType: options.contentType,
        ChecksumSHA256: createHash('sha256').update(body).digest('base64'),
        ...(options.onlyIfAbsent ? { IfNoneMatch: '*' } : {}),
        IfMatch: options.ifMatch,
        ...(options.keyArn
          ? { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: options.keyArn, BucketKeyEnabled: false }
          : {}),
      }),
    ),
  );
  return { versionId: response.VersionId };
}

/** Writes what another run of the same step may have written already: the first one stands. Returns false when it stood. */
export async function writeBytesOnce(
  bucket: string,
  key: string,
  body: Uint8Array,
  options: { contentType?: string; keyArn?: string } = {},
): Promise<boolean> {
  for (let attempt = 1; ; attempt++) {
    try {
      await writeBytes(bucket, key, body, { ...options, onlyIfAbsent: true });
      return true;
    } catch (error) {
      if (!(error instanceof PreconditionFailedError)) throw error;
      // A conflict (409) with another request under way does not say that the other one wrote: S3 wants it tried again.
      if (!(error.cause instanceof Error && error.cause.name === 'ConditionalRequestConflict')) return false;
      if (attempt === 5)
        throw new RetryableError(`s3://${bucket}/${key}: another write is under way`, { cause: error });
    }
  }
}

/**
 * An object's headers, with its checksums; undefined where there is no such object.
 * @throws ObjectUnderCustomerKeyError, ObjectKeyUnusableError: S3 answers both with a bare 400 to HEAD, so that a GET of
 * one byte has to tell which it is.
 */
export async function describeObject(
  bucket: string,
  key: string,
  options: ReadOptions = {},
): Promise<HeadObjectCommandOutput | undefined> {
  const what = options.calledInMessages ?? `s3://${bucket}/${key}`;
  try {
    return await callS3(what, client =>
      client.send(
        new HeadObjectCommand({
          Bucket: bucket,
          Key: key,
          VersionId: options.versionId,
          IfMatch: options.ifMatch,
          ChecksumMode: 'ENABLED',
        }),
      ),
    );
  } catch (error) {
    if (error instanceof ObjectNotFoundError) return undefined;
    if (!(error instanceof ObjectStorageError && statusOf(error.cause) === 400)) throw error;
    try {
      (await readObject(bucket, key, { ...options, range: 'bytes=0-0' })).body.destroy();
    } catch (reason) {
      if (!(reason instanceof ObjectStorageError && statusOf(reason.cause) === 400)) throw reason;
      throw new ObjectUnderCustomerKeyError(`${what}: encrypted under a key that only its writer has`, {
        cause: reason.cause,
      });
    }
    throw error;
  }
}

function statusOf(cause: unknown): number | undefined {
  return cause instanceof S3ServiceException ? cause.$metadata.httpStatusCode : undefined;
}

/** An object's tags, as a record sorted by name. */
export async function readTags(
  bucket: string,
  key: string,
  options: Omit<ReadOptions, 'ifMatch'> = {},
): Promise<Record<string, string>> {
  const { TagSet } = await callS3(options.calledInMessages ?? `s3://${bucket}/${key}`, client =>
    client.send(new GetObjectTaggingCommand({ Bucket: bucket, Key: key, VersionId: options.versionId })),
  );
  const tags = (TagSet ?? []).map(({ Key, Value }) => [Key ?? '', Value ?? ''] as const);
  return Object.fromEntries(tags.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/**
 * What holds an object's current version: undefined where no lock does. It takes no permission to read the object.
 * @throws ObjectNotFoundError
 */
export async function readLock(
  bucket: string,
  key: string,
): Promise<{ retainUntil: Date | undefined; eventHold: boolean } | undefined> {
  try {
    const { Retention } = await callS3(`s3://${bucket}/${key}`, client =>
      client.send(new GetObjectRetentionCommand({ Bucket: bucket, Key: key })),
    );
    return { retainUntil: Retention?.RetainUntilDate, eventHold: Retention?.EventHold === 'ON' };
  } catch (error) {
    const code = error instanceof PermanentError && error.cause instanceof Error ? error.cause.name : undefined;
    if (code === 'NoSuchObjectLockConfiguration') return undefined;
    // What S3 answers where a delete marker is the current version.
    // https://docs.aws.amazon.com/AmazonS3/latest/userguide/DeleteMarker.html
    if (code === 'MethodNotAllowed') {
      throw new ObjectNotFoundError(`s3://${bucket}/${key}: a delete marker hides it`, { cause: error });
    }
    throw error;
  }
}

export interface ListedObject {
  key: string;
  eTag: string;
  sizeBytes: number;
  lastModified: string;
  storageClass: string;
}

/**
 * The current objects below a prefix, page by page (1,000 for each call), in the order of their keys' UTF-8 bytes.
 * With a delimiter, `commonPrefixes` holds what was rolled up.
 */
export async function* listObjects(
  bucket: string,
  prefix: string,
  options: { startAfter?: string; delimiter?: string; pageSize?: number } = {},
): AsyncGenerator<{ objects: ListedObject[]; commonPrefixes: string[] }> {
  let token: string | undefined;
  do {
    const page = await callS3(`s3://${bucket}`, client =>
      client.send(
        new ListObjectsV2Command({
          Bucket: bucket,
          Prefix: prefix,
          Delimiter: options.delimiter,
          MaxKeys: options.pageSize,
          ...(token === undefined ? { StartAfter: options.startAfter } : { ContinuationToken: token }),
          EncodingType: 'url',
        }),
      ),
    );
    yield {
      objects: (page.Contents ?? []).map(object => ({
        key: decodeListed(object.Key ?? ''),
        eTag: object.ETag ?? '',
        sizeBytes: object.Size ?? 0,
        lastModified: object.LastModified?.toISOString() ?? '',
        storageClass: object.StorageClass ?? 'STANDARD',
      })),
      commonPrefixes: (page.CommonPrefixes ?? []).map(({ Prefix }) => decodeListed(Prefix ?? '')),
    };
    token = page.NextContinuationToken;
    if (page.IsTruncated && token === undefined) throw endless(bucket);
  } while (token !== undefined);
}

function endless(bucket: string): ObjectStorageError {
  return new ObjectStorageError(`s3://${bucket}: a listing says that it goes on, and not where; run the step again`);
}

/** With `EncodingType: url` S3 percent-encodes keys and writes a space as `+`; keys that XML cannot hold survive so. */
function decodeListed(encoded: string): string {
  return decodeURIComponent(encoded.replaceAll('+', ' '));
}

/** Every version and delete marker below a prefix, in the order of their keys' UTF-8 bytes. */
export async function* listVersions(
  bucket: string,
  prefix: string,
): AsyncGenerator<{ key: string; versionId: string; isLatest: boolean; isDeleteMarker: boolean; sizeBytes: number }> {
  let keyMarker: string | undefined;
  let versionMarker: string | undefined;
  for (;;) {
    const page = await callS3(`s3://${bucket}`, client =>
      client.send(
        new ListObjectVersionsCommand({
          Bucket: bucket,
          Prefix: prefix,
          KeyMarker: keyMarker,
          VersionIdMarker: versionMarker,
          EncodingType: 'url',
        }),
      ),
    );
    const versions = [
      ...(page.Versions ?? []).map(version => ({ ...version, isDeleteMarker: false, sizeBytes: version.Size ?? 0 })),
      ...(page.DeleteMarkers ?? []).map(marker => ({ ...marker, isDeleteMarker: true, sizeBytes: 0 })),
    ].map(({ Key, VersionId, IsLatest, isDeleteMarker, sizeBytes }) => ({
      key: decodeListed(Key ?? ''),
      versionId: VersionId ?? '',
      isLatest: IsLatest ?? false,
      isDeleteMarker,
      sizeBytes,
    }));
    // The SDK hands out versions and markers apart; within a page S3 mixes them by key.
    yield* versions.sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)));
    if (!page.IsTruncated) return;
    if (page.NextKeyMarker === undefined) throw endless(bucket);
    keyMarker = decodeListed(page.NextKeyMarker);
    versionMarker = page.NextVersionIdMarker;
  }
}

/**
 * Deletes named versions, up to 1,000 a call.
 * @throws ObjectStorageError naming how many S3 refused, and why the first; RetryableError when all of them may pass.
 */
export async function deleteVersions(
  bucket: string,
  versions: readonly { key: string; versionId: string }[],
): Promise<void> {
  for (let from = 0; from < versions.length; from += 1000) {
    const batch = versions.slice(from, from + 1000);
    const { Errors } = await callS3(`s3://${bucket}`, client =>
      client.send(
        new DeleteObjectsCommand({
          Bucket: bucket,
          Delete: { Quiet: true, Objects: batch.map(({ key, versionId }) => ({ Key: key, VersionId: versionId })) },
          ChecksumAlgorithm: 'SHA256',
        }),
      ),
    );
    if (Errors?.length) {
      const lasting = Errors.find(({ Code }) => !PASSING.test(Code ?? ''));
      const text = `s3://${bucket}: ${Errors.length} of ${batch.length} versions were not deleted (${(lasting ?? Errors[0])?.Code})`;
      throw lasting === undefined ? new RetryableError(text) : new ObjectStorageError(text);
    }
  }
}

/** `CopySource` for an object, percent-encoded as S3 wants it. */
export function copySource(bucket: string, key: string, versionId?: string): string {
  const path = `${bucket}/${key.split('/').map(encodeURIComponent).join('/')}`;
  return versionId === undefined ? path : `${path}?versionId=${encodeURIComponent(versionId)}`;
}
