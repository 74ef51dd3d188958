import { type Bucket, findVersion, newestVersion, type ObjectVersion, type Version } from './bucket.ts';
import { noSuchKey, noSuchVersion, S3Error } from './errors.ts';
import { bucketOf, type Exchange, query, readVersionId } from './exchange.ts';

/**
 * The object version whose tags or lock a request is about, once `check` (its authorization) has passed.
 * @throws S3Error 404 where there is none, 405 for a delete marker
 */
export function findNamedObject(
  exchange: Exchange,
  check: (bucket: Bucket, version: Version | undefined) => void,
): { bucket: Bucket; version: ObjectVersion } {
  const { key } = exchange;
  const bucket = bucketOf(exchange);
  const versionId = readVersionId(query(exchange, 'versionId'));
  const version = versionId === undefined ? newestVersion(bucket, key) : findVersion(bucket, key, versionId);
  check(bucket, version);
  if (version === undefined) throw versionId === undefined ? noSuchKey(key) : noSuchVersion(key, versionId);
  if (version.kind === 'delete-marker') {
    throw new S3Error(405, 'MethodNotAllowed', 'The specified method is not allowed against this resource.', {
      details: { ResourceType: 'DeleteMarker' },
      headers: { 'x-amz-delete-marker': 'true', 'x-amz-version-id': version.versionId, allow: 'DELETE' },
    });
  }
  return { bucket, version };
}
