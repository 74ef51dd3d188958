import { authorize } from './authorization.ts';
import { type Bucket, currentObject, newestVersion, type ObjectVersion } from './bucket.ts';
import { conditionalConflict, noSuchKey, notImplemented, preconditionFailed, S3Error } from './errors.ts';
import { type Exchange, header, httpDate } from './exchange.ts';

/**
 * The conditions of a read (RFC 9110, and the combinations that
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html settles).
 * @throws S3Error 412, or 304 where the reader already has it.
 */
export function checkReadConditions(exchange: Exchange, version: ObjectVersion): void {
  const outcome = judge(version, {
    match: header(exchange, 'if-match'),
    noneMatch: header(exchange, 'if-none-match'),
    modifiedSince: header(exchange, 'if-modified-since'),
    unmodifiedSince: header(exchange, 'if-unmodified-since'),
  });
  if (outcome === undefined) return;
  if (outcome === 'If-None-Match' || outcome === 'If-Modified-Since') {
    throw new S3Error(304, 'NotModified', 'Not Modified', {
      headers: { etag: `"${version.eTag}"`, 'last-modified': httpDate(version.lastModifiedMs) },
    });
  }
  throw preconditionFailed(outcome);
}

/** The conditions on the source of a copy; each that does not hold is a 412. */
export function checkCopySourceConditions(exchange: Exchange, source: ObjectVersion): void {
  const prefix = 'x-amz-copy-source-if-';
  const outcome = judge(source, {
    match: header(exchange, `${prefix}match`),
    noneMatch: header(exchange, `${prefix}none-match`),
    modifiedSince: header(exchange, `${prefix}modified-since`),
    unmodifiedSince: header(exchange, `${prefix}unmodified-since`),
  });
  if (outcome !== undefined) throw preconditionFailed(`x-amz-copy-source-${outcome}`);
}

interface ReadConditions {
  readonly match: string | undefined;
  readonly noneMatch: string | undefined;
  readonly modifiedSince: string | undefined;
  readonly unmodifiedSince: string | undefined;
}

/** The condition that does not hold. */
function judge(version: ObjectVersion, conditions: ReadConditions): string | undefined {
  const { match, noneMatch, modifiedSince, unmodifiedSince } = conditions;
  const since = (date: string | undefined) => Date.parse(date ?? '');
  if (match !== undefined) {
    if (!matches(match, version.eTag)) return 'If-Match';
  } else if (version.lastModifiedMs > since(unmodifiedSince)) return 'If-Unmodified-Since';
  if (noneMatch !== undefined) {
    if (matches(noneMatch, version.eTag)) return 'If-None-Match';
  } else if (version.lastModifiedMs <= since(modifiedSince)) return 'If-Modified-Since';
  return undefined;
}

/** Whether a header's list of ETags (quoted or not, or `*`) holds this one. */
export function matches(list: string, eTag: string): boolean {
  return list.split(',').some(item => {
    const candidate = item
      .trim()
      .replace(/^W\//, '')
      .replace(/^"(.*)"$/, '$1');
    return candidate === '*' || candidate === eTag;
  });
}

/**
 * Notes how a key stands as a conditional write begins. The function that it returns decides, at the moment of the write,
 * whether the write may happen (https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html).
 * `If-Match` asks about the object that is there, so it needs `s3:GetObject` as well.
 * @throws S3Error `AccessDenied`; 501 for what Daybreak never sends: `If-Match: *`, or both conditions.
 * @throws S3Error (from the returned function) 412 where the condition does not hold, 409 where the key was deleted or, for
 * `If-Match`, changed meanwhile, 404 where `If-Match` finds nothing.
 */
export function guardWrite(exchange: Exchange, bucket: Bucket): () => void {
  const ifNoneMatch = header(exchange, 'if-none-match');
  const ifMatch = header(exchange, 'if-match');
  if (ifNoneMatch === undefined && ifMatch === undefined) return () => {};
  if (ifNoneMatch !== undefined && ifNoneMatch !== '*') throw notImplemented('If-None-Match of a write other than *');
  if (ifNoneMatch !== undefined && ifMatch !== undefined) throw notImplemented('If-Match beside If-None-Match');
  if (ifMatch?.trim() === '*') throw notImplemented('If-Match: * of a write');
  const { key } = exchange;
  if (ifMatch !== undefined) authorize(exchange, 's3:GetObject', { bucket, key });
  const deletionsBefore = bucket.deletions.get(key) ?? 0;
  const newestBefore = newestVersion(bucket, key);
  return () => {
    if ((bucket.deletions.get(key) ?? 0) !== deletionsBefore) throw conditionalConflict(key);
    const current = currentObject(bucket, key);
    if (ifNoneMatch !== undefined) {
      if (current !== undefined) throw preconditionFailed('If-None-Match');
      return;
    }
    if (current === undefined) throw noSuchKey(key);
    if (matches(ifMatch ?? '', current.eTag)) return;
    throw newestBefore === current ? preconditionFailed('If-Match') : conditionalConflict(key);
  };
}
