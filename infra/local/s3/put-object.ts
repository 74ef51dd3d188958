import { randomBytes } from 'node:crypto';
import type { AwsResponse } from '../service.ts';
import { authorize } from './authorization.ts';
import { openBody } from './body.ts';
import type { Bucket, ObjectVersion } from './bucket.ts';
import { type Checksum, checksumHeader } from './checksums.ts';
import { guardWrite } from './conditions.ts';
import { readDescription, writeActions } from './description.ts';
import { encryptionForWrite, encryptionHeaders } from './encryption.ts';
import { invalidRequest } from './errors.ts';
import { bucketOf, type Exchange, type S3Core, wholeSeconds } from './exchange.ts';
import { storeSegment } from './sealed-content.ts';

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html */
export async function putObject(exchange: Exchange): Promise<AwsResponse> {
  const { core, key } = exchange;
  const bucket = bucketOf(exchange);
  for (const { action, context } of writeActions(exchange)) {
    authorize(exchange, action, { bucket, key }, { ...context, 's3:ObjectCreationOperation': 'true' });
  }
  const description = readDescription(exchange, bucket);
  const checkCondition = guardWrite(exchange, bucket);
  const body = openBody(exchange);
  if (hasLock(description.lock) && !body.isProtected) throw missingProtection();
  const { encryption, dataKey } = encryptionForWrite(exchange, bucket);
  const segment = await storeSegment(core.store.contents, body.chunks, dataKey);
  const { md5, checksum } = body.digests();
  const version: ObjectVersion = {
    kind: 'object',
    key,
    versionId: newVersionId(bucket),
    lastModifiedMs: wholeSeconds(exchange.now),
    sizeBytes: segment.sizeBytes,
    eTag: eTagOf(encryption.algorithm === 'AES256', md5),
    checksum: { algorithm: body.algorithm, type: 'FULL_OBJECT', value: checksum },
    encryption,
    segments: [segment],
    multipart: false,
    ...description,
  };
  commitVersion(core, bucket, version, checkCondition);
  return {
    status: 200,
    headers: {
      etag: `"${version.eTag}"`,
      ...checksumHeaders(version.checksum),
      ...versionHeader(bucket, version.versionId),
      ...encryptionHeaders(encryption),
    },
  };
}

/** Makes a version the newest of its key, if the condition of its write holds at this moment. */
export function commitVersion(
  core: S3Core,
  bucket: Bucket,
  version: ObjectVersion,
  checkCondition: () => void,
  completes?: string,
): void {
  try {
    checkCondition();
  } catch (error) {
    // The parts of an upload stay: it can still be completed or aborted.
    if (completes === undefined) for (const { content } of version.segments) core.store.contents.remove(content);
    throw error;
  }
  core.store.commit({
    type: 'version',
    bucket: bucket.name,
    version,
    ...(completes === undefined ? {} : { completes }),
  });
}

/** A fresh id in a versioned bucket, `null` in others. */
export function newVersionId(bucket: Bucket): string {
  return bucket.versioning === 'Enabled' ? randomBytes(24).toString('base64url').replaceAll('-', '.') : 'null';
}

/**
 * The MD5 of the content (in base64) as an ETag. Under SSE-KMS and SSE-C an ETag is no MD5, and differs from key to key:
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
 */
export function eTagOf(isMd5: boolean, md5: string): string {
  return isMd5 ? Buffer.from(md5, 'base64').toString('hex') : randomBytes(16).toString('hex');
}

export function checksumHeaders({ algorithm, type, value }: Checksum): Record<string, string> {
  return { [checksumHeader(algorithm)]: value, 'x-amz-checksum-type': type };
}

/** `x-amz-version-id`, which an unversioned bucket does not answer. */
export function versionHeader(bucket: Bucket, versionId: string): Record<string, string> {
  return bucket.versioning === 'Unversioned' && versionId === 'null' ? {} : { 'x-amz-version-id': versionId };
}

export function hasLock(lock: ObjectVersion['lock']): boolean {
  return lock.mode !== undefined || lock.legalHold !== undefined;
}

export function missingProtection() {
  return invalidRequest(
    'Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters',
  );
}
