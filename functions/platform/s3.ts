import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  type GetObjectCommandOutput,
  GetObjectRetentionCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  type HeadObjectCommandOutput,
  PutObjectCommand,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import { describeError, PermanentError, RetryableError } from './errors.ts';
import {
  callS3,
  ObjectAccessDeniedError,
  ObjectNotFoundError,
  ObjectStorageError,
  ObjectUnderCustomerKeyError,
  PreconditionFailedError,
  statusOf,
} from './s3-call.ts';

export * from './s3-call.ts';
export * from './s3-listing.ts';

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

/** What `readBytes` returns, or undefined where there is no such object. */
export async function readBytesIfThere(bucket: string, key: string): Promise<Buffer | undefined> {
  try {
    return await readBytes(bucket, key);
  } catch (error) {
    if (error instanceof ObjectNotFoundError) return undefined;
    throw error;
  }
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
 * Deletes an object; where versions are kept, hides it under a delete marker.
 * @throws PreconditionFailedError when its current version has another ETag, or there is none.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-deletes.html
 */
export async function deleteObject(bucket: string, key: string, { ifMatch }: { ifMatch: string }): Promise<void> {
  await callS3(`s3://${bucket}/${key}`, client =>
    client.send(new DeleteObjectCommand({ Bucket: bucket, Key: key, IfMatch: ifMatch })),
  );
}

/**
 * An object's headers, with its checksums; undefined where there is no such object.
 * @throws ObjectUnderCustomerKeyError, ObjectKeyUnusableError, ObjectAccessDeniedError: to HEAD S3 answers the first two
 * with a bare 400 and the third with a bare 403, so that a GET of one byte has to tell what it is.
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
    const isBare = error instanceof ObjectStorageError && statusOf(error.cause) === 400;
    if (!isBare && !(error instanceof ObjectAccessDeniedError)) throw error;
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

/** `CopySource` for an object, percent-encoded as S3 wants it. */
export function copySource(bucket: string, key: string, versionId?: string): string {
  const path = `${bucket}/${key.split('/').map(encodeURIComponent).join('/')}`;
  return versionId === undefined ? path : `${path}?versionId=${encodeURIComponent(versionId)}`;
}
