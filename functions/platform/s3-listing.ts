import { DeleteObjectsCommand, ListObjectsV2Command, ListObjectVersionsCommand } from '@aws-sdk/client-s3';
import { describeRefusal, RetryableError } from './errors.ts';
import { callS3, ObjectStorageError, PASSING } from './s3-call.ts';

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
      const { Code, Message } = lasting ?? Errors[0] ?? {};
      const reason = describeRefusal(Object.assign(new Error(Message), { name: Code }));
      const text = `s3://${bucket}: ${Errors.length} of ${batch.length} versions were not deleted (${reason})`;
      throw lasting === undefined ? new RetryableError(text) : new ObjectStorageError(text);
    }
  }
}
