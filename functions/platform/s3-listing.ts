import {
  type DeleteMarkerEntry,
  DeleteObjectsCommand,
  GetBucketVersioningCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  type ObjectVersion,
} from '@aws-sdk/client-s3';
import { describeRefusal, RetryableError } from './errors.ts';
import { compareKeys } from './key-order.ts';
import { callS3, ObjectStorageError, PASSING } from './s3-call.ts';

export interface ListedObject {
  key: string;
  eTag: string;
  sizeBytes: number;
  lastModified: string;
  storageClass: string;
  /** Where versions are listed: which one this is; `null` for one that was written while the bucket kept no versions. */
  versionId?: string;
}

/** A version or delete marker. A marker has no content: its ETag is empty and its size 0. */
export interface ListedVersion extends ListedObject {
  versionId: string;
  isLatest: boolean;
  isDeleteMarker: boolean;
}

interface ListOptions {
  /** Keys up to and with this one are left out. */
  startAfter?: string;
  delimiter?: string;
  pageSize?: number;
}

/**
 * The current objects below a prefix, page by page (1,000 for each call), in the order of their keys' UTF-8 bytes.
 * With a delimiter, `commonPrefixes` holds what was rolled up.
 */
export async function* listObjects(
  bucket: string,
  prefix: string,
  options: ListOptions = {},
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

/**
 * Every version and delete marker below a prefix, in the order of their keys' UTF-8 bytes, the newest of a key first.
 * https://docs.aws.amazon.com/AWSJavaSDK/latest/javadoc/com/amazonaws/services/s3/model/ListVersionsRequest.html
 */
export async function* listVersions(bucket: string, prefix: string): AsyncGenerator<ListedVersion> {
  for await (const { versions } of listVersionPages(bucket, prefix)) yield* versions;
}

/**
 * The same page by page (1,000 versions and markers for each call). With a delimiter, `commonPrefixes` holds what was
 * rolled up: also prefixes of which only old versions and delete markers are left.
 */
export async function* listVersionPages(
  bucket: string,
  prefix: string,
  options: ListOptions = {},
): AsyncGenerator<{ versions: ListedVersion[]; commonPrefixes: string[]; isLast: boolean }> {
  let keyMarker = options.startAfter;
  let versionMarker: string | undefined;
  for (;;) {
    const page = await callS3(`s3://${bucket}`, client =>
      client.send(
        new ListObjectVersionsCommand({
          Bucket: bucket,
          Prefix: prefix,
          Delimiter: options.delimiter,
          MaxKeys: options.pageSize,
          KeyMarker: keyMarker,
          VersionIdMarker: versionMarker,
          EncodingType: 'url',
        }),
      ),
    );
    yield {
      versions: mergeVersions((page.Versions ?? []).map(describe), (page.DeleteMarkers ?? []).map(describe)),
      commonPrefixes: (page.CommonPrefixes ?? []).map(({ Prefix }) => decodeListed(Prefix ?? '')),
      isLast: !page.IsTruncated,
    };
    if (!page.IsTruncated) return;
    if (page.NextKeyMarker === undefined) throw endless(bucket);
    keyMarker = decodeListed(page.NextKeyMarker);
    versionMarker = page.NextVersionIdMarker;
  }
}

function describe(listed: ObjectVersion | DeleteMarkerEntry): ListedVersion {
  const content = 'ETag' in listed ? listed : undefined;
  return {
    key: decodeListed(listed.Key ?? ''),
    eTag: content?.ETag ?? '',
    sizeBytes: content?.Size ?? 0,
    lastModified: listed.LastModified?.toISOString() ?? '',
    storageClass: content?.StorageClass ?? 'STANDARD',
    versionId: listed.VersionId ?? '',
    isLatest: listed.IsLatest ?? false,
    isDeleteMarker: content === undefined,
  };
}

/**
 * S3 mixes versions and markers by key and age; the SDK hands them out apart, each in their order. Where one of each was
 * made in the same second of the same key, the version is taken for the newer one, unless S3 says that the marker is the
 * latest: it is never hidden by a guess.
 */
function mergeVersions(versions: ListedVersion[], markers: ListedVersion[]): ListedVersion[] {
  const merged: ListedVersion[] = [];
  let next = 0;
  for (const version of versions) {
    for (let marker = markers[next]; marker !== undefined && comesBefore(marker, version); marker = markers[++next]) {
      merged.push(marker);
    }
    merged.push(version);
  }
  return [...merged, ...markers.slice(next)];
}

function comesBefore(marker: ListedVersion, version: ListedVersion): boolean {
  if (marker.key !== version.key) return compareKeys(marker.key, version.key) < 0;
  return marker.isLatest || marker.lastModified > version.lastModified;
}

/**
 * Whether a bucket keeps every version of its objects. One in which that was suspended does not: what is written then
 * replaces what was written so before.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/VersioningWorkflows.html
 */
export async function keepsVersions(bucket: string): Promise<boolean> {
  const { Status } = await callS3(`s3://${bucket}`, client =>
    client.send(new GetBucketVersioningCommand({ Bucket: bucket })),
  );
  return Status === 'Enabled';
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
      const { Code, Message } = lasting ?? Errors[0] ?? {};
      const reason = describeRefusal(Object.assign(new Error(Message), { name: Code }));
      const text = `s3://${bucket}: ${Errors.length} of ${batch.length} versions were not deleted (${reason})`;
      throw lasting === undefined ? new RetryableError(text) : new ObjectStorageError(text);
    }
  }
}
