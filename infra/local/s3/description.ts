import { requestTagContext } from './authorization.ts';
import type { Bucket, ObjectDescription } from './bucket.ts';
import { invalidArgument, invalidRequest, S3Error } from './errors.ts';
import { type Exchange, header } from './exchange.ts';
import { defaultLock, type LockState, lockOfNewVersion } from './object-lock.ts';
import { readTagHeader } from './tags.ts';

/** The headers that S3 keeps with an object and gives back as they are. */
const KEPT_HEADERS = [
  'content-type',
  'content-encoding',
  'content-language',
  'content-disposition',
  'cache-control',
  'expires',
] as const;

export const WEBSITE_REDIRECT = 'x-amz-website-redirect-location';

const STORAGE_CLASSES = [
  'STANDARD',
  'REDUCED_REDUNDANCY',
  'STANDARD_IA',
  'ONEZONE_IA',
  'INTELLIGENT_TIERING',
  'GLACIER',
  'DEEP_ARCHIVE',
  'GLACIER_IR',
];
const MAXIMUM_METADATA_BYTES = 2048;

/** What a writer's headers say of the new object; the lock is the bucket's default where they name none. */
export function readDescription(exchange: Exchange, bucket: Bucket): ObjectDescription {
  checkAcl(exchange);
  return {
    headers: { ...readContentHeaders(exchange), ...readWebsiteRedirect(exchange) },
    tags: readTagHeader(header(exchange, 'x-amz-tagging') ?? ''),
    storageClass: readStorageClass(exchange),
    lock: readLock(exchange, bucket),
  };
}

/** Content headers and user metadata, as `MetadataDirective: REPLACE` takes them too. */
export function readContentHeaders(exchange: Exchange): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const name of KEPT_HEADERS) {
    const value = header(exchange, name);
    if (value !== undefined) headers[name] = value;
  }
  headers['content-type'] ??= 'binary/octet-stream';
  const encoding = (headers['content-encoding'] ?? '')
    .split(',')
    .map(coding => coding.trim())
    .filter(coding => coding !== '' && coding !== 'aws-chunked')
    .join(',');
  if (encoding === '') delete headers['content-encoding'];
  else headers['content-encoding'] = encoding;
  let metadataBytes = 0;
  for (const [name, value] of Object.entries(exchange.request.headers)) {
    if (!name.startsWith('x-amz-meta-')) continue;
    headers[name] = value;
    metadataBytes += Buffer.byteLength(name) - 'x-amz-meta-'.length + Buffer.byteLength(value);
  }
  if (metadataBytes > MAXIMUM_METADATA_BYTES) {
    throw new S3Error(400, 'MetadataTooLarge', 'Your metadata headers exceed the maximum allowed metadata size', {
      details: { Size: String(metadataBytes), MaxSizeAllowed: String(MAXIMUM_METADATA_BYTES) },
    });
  }
  return headers;
}

function readWebsiteRedirect(exchange: Exchange): Record<string, string> {
  const location = header(exchange, WEBSITE_REDIRECT);
  if (location === undefined) return {};
  if (!/^(\/|https?:\/\/)/.test(location)) {
    throw new S3Error(
      400,
      'InvalidRedirectLocation',
      "The website redirect location must have a prefix of 'http://' or 'https://' or '/'.",
    );
  }
  return { [WEBSITE_REDIRECT]: location };
}

function readStorageClass(exchange: Exchange): string {
  const storageClass = header(exchange, 'x-amz-storage-class') ?? 'STANDARD';
  if (!STORAGE_CLASSES.includes(storageClass)) {
    throw new S3Error(400, 'InvalidStorageClass', 'The storage class you specified is not valid', {
      details: { StorageClassRequested: storageClass },
    });
  }
  return storageClass;
}

/** The lock that the headers name, or the bucket's default. */
function readLock(exchange: Exchange, bucket: Bucket): LockState {
  const wish = {
    mode: header(exchange, 'x-amz-object-lock-mode'),
    retainUntil: header(exchange, 'x-amz-object-lock-retain-until-date'),
    eventHold: header(exchange, 'x-amz-object-lock-event-hold'),
    days: header(exchange, 'x-amz-object-lock-event-hold-duration-days'),
    years: header(exchange, 'x-amz-object-lock-event-hold-duration-years'),
  };
  const legalHold = header(exchange, 'x-amz-object-lock-legal-hold');
  if (legalHold !== undefined && legalHold !== 'ON' && legalHold !== 'OFF') {
    throw invalidArgument('x-amz-object-lock-legal-hold', legalHold, "Legal Hold must be either of 'ON' or 'OFF'");
  }
  const asksForRetention = Object.values(wish).some(value => value !== undefined);
  const { objectLock } = bucket.definition;
  if (objectLock === undefined) {
    if (asksForRetention || legalHold !== undefined) throw invalidRequest('Bucket is missing ObjectLockConfiguration');
    return {};
  }
  const retention = asksForRetention
    ? lockOfNewVersion(wish, exchange.now)
    : defaultLock(objectLock.defaultRetention, exchange.now);
  return { ...retention, ...(legalHold === undefined ? {} : { legalHold }) };
}

/** The actions that writing a described object asks for, with the condition keys of each. */
export function writeActions(
  exchange: Exchange,
): { action: `s3:${string}`; context?: Record<string, string | readonly string[]> }[] {
  const actions: ReturnType<typeof writeActions> = [];
  const tagging = header(exchange, 'x-amz-tagging');
  const tagContext = tagging === undefined ? {} : requestTagContext(readTagHeader(tagging));
  actions.push({ action: 's3:PutObject', context: tagContext });
  if (tagging !== undefined) actions.push({ action: 's3:PutObjectTagging', context: tagContext });
  const names = Object.keys(exchange.request.headers);
  if (names.some(name => /^x-amz-object-lock-(mode|retain-until-date|event-hold)/.test(name))) {
    actions.push({ action: 's3:PutObjectRetention' });
  }
  if (names.includes('x-amz-object-lock-legal-hold')) actions.push({ action: 's3:PutObjectLegalHold' });
  return actions;
}

// Buckets have Object Ownership "bucket owner enforced", the default since 2023, which knows no other list.
function checkAcl(exchange: Exchange): void {
  const acl = header(exchange, 'x-amz-acl');
  if (acl !== undefined && acl !== 'bucket-owner-full-control') {
    throw new S3Error(400, 'AccessControlListNotSupported', 'The bucket does not allow ACLs');
  }
}
