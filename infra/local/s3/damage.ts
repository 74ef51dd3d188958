import type { Principal } from '../service.ts';
import { type Bucket, currentObject, type ObjectVersion } from './bucket.ts';
import { checksumOf } from './checksums.ts';
import { unwrapDataKey } from './encryption.ts';
import { noSuchBucket, noSuchKey } from './errors.ts';
import { eTagOf } from './put-object.ts';
import { readSegments, storeSegment } from './sealed-content.ts';
import type { LocalS3 } from './service.ts';

/*
 * Damage for tests, which want to see that a restore test finds it. None of this can happen through S3's API: it changes
 * stored content below it, past locks, versions and permissions.
 */

/** `principal`: whose permission for the data key is used. @default the account's root */
export interface DamageOptions {
  readonly principal?: Principal;
}

interface OpenedVersion {
  readonly bucket: Bucket;
  readonly version: ObjectVersion;
  readonly dataKey: Buffer | undefined;
}

/**
 * Changes the content of a key's current version in place: version id, date and lock stay. SSE-KMS content is decrypted and
 * encrypted again under the same data key, so that reading succeeds and gives the changed content.
 * @param options.keepRecord leaves ETag and checksum as they were, so that they contradict the content; by default they fit
 * it, as if it had been written so. The recorded size is always that of the content.
 */
export async function tamper(
  s3: LocalS3,
  bucketName: string,
  key: string,
  change: (content: Buffer) => Buffer,
  options: DamageOptions & { readonly keepRecord?: boolean } = {},
): Promise<void> {
  const { bucket, version } = findCurrent(s3, bucketName, key);
  const dataKey = dataKeyOf(s3, bucket, version, options);
  const changed = change(await readWhole(s3, version, dataKey));
  const { segments, sizeBytes, ...record } = await replaceContent(s3, version, dataKey, changed);
  commitChange(s3, bucket, version, { segments, sizeBytes, ...(options.keepRecord ? {} : record) });
}

/** Exchanges the content of two keys' current versions, with what S3 records of it; metadata, tags and locks stay. */
export async function swap(
  s3: LocalS3,
  bucketName: string,
  keyA: string,
  keyB: string,
  options: DamageOptions = {},
): Promise<void> {
  const [a, b] = [keyA, keyB].map(key => {
    const found = findCurrent(s3, bucketName, key);
    return { ...found, dataKey: dataKeyOf(s3, found.bucket, found.version, options) };
  }) as [OpenedVersion, OpenedVersion];
  const contentA = await readWhole(s3, a.version, a.dataKey);
  const contentB = await readWhole(s3, b.version, b.dataKey);
  commitChange(s3, a.bucket, a.version, await replaceContent(s3, a.version, a.dataKey, contentB));
  commitChange(s3, b.bucket, b.version, await replaceContent(s3, b.version, b.dataKey, contentA));
}

/** Makes the current version disappear without a trace, lock or not, as if a disk had lost it. */
export function lose(s3: LocalS3, bucketName: string, key: string): void {
  const { bucket, version } = findCurrent(s3, bucketName, key);
  s3.core.store.commit({ type: 'version-removed', bucket: bucket.name, key, versionId: version.versionId });
}

function findCurrent(s3: LocalS3, bucketName: string, key: string): { bucket: Bucket; version: ObjectVersion } {
  const bucket = s3.core.store.buckets.get(bucketName);
  if (bucket === undefined) throw noSuchBucket(bucketName);
  const version = currentObject(bucket, key);
  if (version === undefined) throw noSuchKey(key);
  return { bucket, version };
}

async function readWhole(s3: LocalS3, version: ObjectVersion, dataKey: Buffer | undefined): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of readSegments(s3.core.store.contents, version.segments, dataKey, 0, version.sizeBytes)) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

type ContentRecord = Pick<ObjectVersion, 'segments' | 'sizeBytes' | 'eTag' | 'checksum' | 'multipart'>;

async function replaceContent(
  s3: LocalS3,
  version: ObjectVersion,
  dataKey: Buffer | undefined,
  content: Buffer,
): Promise<ContentRecord> {
  async function* whole(): AsyncGenerator<Buffer> {
    yield content;
  }
  const segment = await storeSegment(s3.core.store.contents, whole(), dataKey);
  const { algorithm } = version.checksum;
  return {
    segments: [segment],
    sizeBytes: content.length,
    eTag: eTagOf(version.encryption.algorithm === 'AES256', checksumOf('MD5', content)),
    checksum: { algorithm, type: 'FULL_OBJECT', value: checksumOf(algorithm, content) },
    multipart: false,
  };
}

function dataKeyOf(
  s3: LocalS3,
  bucket: Bucket,
  { key, encryption }: ObjectVersion,
  { principal = { kind: 'root', arn: `arn:aws:iam::${s3.core.accountId}:root` } }: DamageOptions,
): Buffer | undefined {
  switch (encryption.algorithm) {
    case 'AES256':
      return undefined;
    case 'aws:kms':
      return unwrapDataKey(s3.core, principal, { bucket: bucket.name, key }, encryption);
    case 'customer':
      throw new Error(`${key} is encrypted with a customer's key, which S3 does not have: it cannot be damaged unseen`);
  }
}

function commitChange(s3: LocalS3, bucket: Bucket, version: ObjectVersion, change: Partial<ObjectVersion>): void {
  const { key, versionId } = version;
  s3.core.store.commit({ type: 'version-changed', bucket: bucket.name, key, versionId, change });
}
