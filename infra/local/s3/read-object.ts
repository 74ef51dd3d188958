import { Readable } from 'node:stream';
import type { AwsResponse } from '../service.ts';
import { authorize, existingTagContext, isAllowed } from './authorization.ts';
import { type Bucket, findVersion, newestVersion, type ObjectVersion } from './bucket.ts';
import { checkReadConditions } from './conditions.ts';
import { checkCustomerKey, dataKeyForRead, encryptionHeaders } from './encryption.ts';
import { invalidArgument, noSuchKey, noSuchVersion, notImplemented, S3Error } from './errors.ts';
import { bucketOf, type Exchange, header, httpDate, isoDate, query, readVersionId } from './exchange.ts';
import { retainUntil } from './object-lock.ts';
import { checksumHeaders, versionHeader } from './put-object.ts';
import { readSegments } from './sealed-content.ts';

/** Content up to this size is read at once, so that a failure is an answer and not a broken stream. */
const READ_AT_ONCE_BYTES = 1024 * 1024;

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html */
export async function getObject(exchange: Exchange): Promise<AwsResponse> {
  const bucket = bucketOf(exchange);
  const version = findReadable(exchange, bucket);
  checkReadConditions(exchange, version);
  refuseArchived(version);
  const dataKey = dataKeyForRead(exchange, { bucket: bucket.name, key: version.key }, version.encryption);
  const range = readRange(exchange, version);
  const content = readSegments(exchange.core.store.contents, version.segments, dataKey, range.from, range.to);
  return {
    status: range.isPartial ? 206 : 200,
    headers: { ...objectHeaders(exchange, bucket, version, range), ...responseOverrides(exchange) },
    body: range.to - range.from <= READ_AT_ONCE_BYTES ? await collect(content) : Readable.from(content),
  };
}

/**
 * Without content no key is asked of KMS, but for the checksum: "If you enable checksum mode and the object is uploaded
 * with a checksum and encrypted with an AWS KMS key, you must have permission to use the kms:Decrypt action."
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
 */
export async function headObject(exchange: Exchange): Promise<AwsResponse> {
  const bucket = bucketOf(exchange);
  const version = findReadable(exchange, bucket);
  checkReadConditions(exchange, version);
  checkCustomerKey(exchange, version.encryption);
  if (wantsChecksum(exchange)) dataKeyForRead(exchange, { bucket: bucket.name, key: version.key }, version.encryption);
  const range = readRange(exchange, version);
  return {
    status: range.isPartial ? 206 : 200,
    headers: { ...objectHeaders(exchange, bucket, version, range), ...responseOverrides(exchange) },
  };
}

const wantsChecksum = (exchange: Exchange): boolean =>
  header(exchange, 'x-amz-checksum-mode')?.toUpperCase() === 'ENABLED';

/** An archived object has to be restored before it can be read or copied. */
export function refuseArchived(version: ObjectVersion): void {
  if (version.storageClass === 'GLACIER' || version.storageClass === 'DEEP_ARCHIVE') {
    throw new S3Error(403, 'InvalidObjectState', "The operation is not valid for the object's storage class", {
      details: { StorageClass: version.storageClass },
    });
  }
}

/** The version that a request reads, after asking IAM for it. @throws S3Error where there is none, or a delete marker. */
export function findReadable(exchange: Exchange, bucket: Bucket): ObjectVersion {
  const { key } = exchange;
  const versionId = readVersionId(query(exchange, 'versionId'));
  const version = versionId === undefined ? newestVersion(bucket, key) : findVersion(bucket, key, versionId);
  const action = versionId === undefined ? 's3:GetObject' : 's3:GetObjectVersion';
  authorize(exchange, action, { bucket, key }, existingTagContext(version));
  if (version?.kind === 'object') return version;
  authorize(exchange, 's3:ListBucket', { bucket });
  if (version === undefined) throw versionId === undefined ? noSuchKey(key) : noSuchVersion(key, versionId);
  const markerHeaders = { 'x-amz-delete-marker': 'true', 'x-amz-version-id': version.versionId };
  if (versionId === undefined) throw noSuchKey(key, markerHeaders);
  throw new S3Error(405, 'MethodNotAllowed', 'The specified method is not allowed against this resource.', {
    details: { ResourceType: 'DeleteMarker' },
    headers: { ...markerHeaders, allow: 'DELETE', 'last-modified': httpDate(version.lastModifiedMs) },
  });
}

interface ByteRange {
  readonly from: number;
  /** Exclusive. */
  readonly to: number;
  readonly isPartial: boolean;
  readonly partCount?: number;
}

function readRange(exchange: Exchange, { sizeBytes, segments, multipart }: ObjectVersion): ByteRange {
  const partNumber = query(exchange, 'partNumber');
  const range = header(exchange, 'range');
  if (partNumber !== undefined) {
    if (range !== undefined) {
      throw new S3Error(400, 'InvalidRequest', 'Cannot specify both Range header and partNumber query parameter');
    }
    if (wantsChecksum(exchange)) throw notImplemented('x-amz-checksum-mode with a part number');
    const number = Number(partNumber);
    if (!Number.isInteger(number) || number < 1 || number > 10_000) {
      throw invalidArgument('partNumber', partNumber, 'Part number must be an integer between 1 and 10000, inclusive');
    }
    const segment = segments[number - 1];
    if (segment === undefined)
      throw new S3Error(416, 'InvalidPartNumber', 'The requested partnumber is not satisfiable');
    const from = segments.slice(0, number - 1).reduce((sum, before) => sum + before.sizeBytes, 0);
    const count = multipart ? { partCount: segments.length } : {};
    return { from, to: from + segment.sizeBytes, isPartial: true, ...count };
  }
  const whole = { from: 0, to: sizeBytes, isPartial: false };
  if (range === undefined) return whole;
  if (/^bytes=.*,/.test(range)) throw notImplemented('more than one range in a request');
  const [, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/.exec(range) ?? [];
  if ((first === '' && last === '') || (first !== '' && last !== '' && Number(first) > Number(last))) return whole;
  const from = first === '' ? Math.max(0, sizeBytes - Number(last)) : Number(first);
  const to = first === '' || last === '' ? sizeBytes : Math.min(sizeBytes, Number(last) + 1);
  if (from >= sizeBytes || from >= to) {
    throw new S3Error(416, 'InvalidRange', 'The requested range is not satisfiable', {
      details: { RangeRequested: range, ActualObjectSize: String(sizeBytes) },
      headers: { 'content-range': `bytes */${sizeBytes}` },
    });
  }
  return { from, to, isPartial: true };
}

function objectHeaders(
  exchange: Exchange,
  bucket: Bucket,
  version: ObjectVersion,
  range: ByteRange,
): Record<string, string> {
  const tagCount = Object.keys(version.tags).length;
  const place = { bucket, key: version.key };
  const canSeeTags = () =>
    isAllowed(
      exchange,
      query(exchange, 'versionId') === undefined ? 's3:GetObjectTagging' : 's3:GetObjectVersionTagging',
      place,
      existingTagContext(version),
    );
  return {
    ...version.headers,
    'accept-ranges': 'bytes',
    'content-length': String(range.to - range.from),
    etag: `"${version.eTag}"`,
    'last-modified': httpDate(version.lastModifiedMs),
    ...versionHeader(bucket, version.versionId),
    ...encryptionHeaders(version.encryption),
    ...(range.isPartial ? { 'content-range': `bytes ${range.from}-${range.to - 1}/${version.sizeBytes}` } : {}),
    ...(range.partCount === undefined ? {} : { 'x-amz-mp-parts-count': String(range.partCount) }),
    ...(wantsChecksum(exchange) && !range.isPartial ? checksumHeaders(version.checksum) : {}),
    ...(version.storageClass === 'STANDARD' ? {} : { 'x-amz-storage-class': version.storageClass }),
    ...(tagCount > 0 && canSeeTags() ? { 'x-amz-tagging-count': String(tagCount) } : {}),
    ...lockHeaders(exchange, bucket, version),
  };
}

function lockHeaders(exchange: Exchange, bucket: Bucket, version: ObjectVersion): Record<string, string> {
  const { mode, eventHold, eventHoldDuration, legalHold } = version.lock;
  const headers: Record<string, string> = {};
  const place = { bucket, key: version.key };
  if (mode !== undefined && isAllowed(exchange, 's3:GetObjectRetention', place)) {
    headers['x-amz-object-lock-mode'] = mode;
    const until = retainUntil(version.lock, exchange.now);
    if (until !== undefined) headers['x-amz-object-lock-retain-until-date'] = isoDate(until);
    if (eventHold !== undefined) headers['x-amz-object-lock-event-hold'] = eventHold;
    if (eventHoldDuration !== undefined) {
      const [unit, number] = Object.entries(eventHoldDuration)[0] ?? [];
      headers[`x-amz-object-lock-event-hold-duration-${unit}`] = String(number);
    }
  }
  if (legalHold !== undefined && isAllowed(exchange, 's3:GetObjectLegalHold', place)) {
    headers['x-amz-object-lock-legal-hold'] = legalHold;
  }
  return headers;
}

function responseOverrides(exchange: Exchange): Record<string, string> {
  const overrides: Record<string, string> = {};
  for (const name of RESPONSE_OVERRIDES) {
    const value = query(exchange, name);
    if (value !== undefined) overrides[name.slice('response-'.length)] = value;
  }
  return overrides;
}

export const RESPONSE_OVERRIDES = [
  'response-content-type',
  'response-content-language',
  'response-expires',
  'response-cache-control',
  'response-content-disposition',
  'response-content-encoding',
];

async function collect(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const collected: Buffer[] = [];
  for await (const chunk of chunks) collected.push(chunk);
  return collected.length === 1 && collected[0] !== undefined ? collected[0] : Buffer.concat(collected);
}
