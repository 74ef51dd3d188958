import { AccessDenied } from '../service.ts';
import { type Bucket, bucketArn, objectArn, type Version } from './bucket.ts';
import { accessDenied } from './errors.ts';
import { type Exchange, header, query } from './exchange.ts';
import { periodDays, type RetentionRequest, remainingDays } from './object-lock.ts';

type Context = Record<string, string | readonly string[]>;

/** Headers that are condition keys under their own name. */
const HEADER_KEYS = [
  'x-amz-acl',
  'x-amz-content-sha256',
  'x-amz-metadata-directive',
  'x-amz-server-side-encryption',
  'x-amz-server-side-encryption-aws-kms-key-id',
  'x-amz-server-side-encryption-customer-algorithm',
  'x-amz-storage-class',
  'x-amz-website-redirect-location',
  'if-match',
  'if-none-match',
] as const;

/**
 * The condition keys that a request brings
 * (https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html). What a bucket's defaults add is
 * not among them.
 */
function requestContext(exchange: Exchange): Context {
  const { request, core, now } = exchange;
  const context: Context = {
    'aws:SecureTransport': String(request.secure),
    'aws:ResourceAccount': core.accountId,
    's3:ResourceAccount': core.accountId,
    's3:authType': 'REST-HEADER',
    's3:signatureversion': 'AWS4-HMAC-SHA256',
  };
  const put = (key: string, value: string | undefined) => {
    if (value !== undefined) context[key] = value;
  };
  if (request.secure) put('s3:TlsVersion', '1.3');
  for (const name of HEADER_KEYS) put(`s3:${name}`, header(exchange, name));
  for (const name of ['prefix', 'delimiter', 'max-keys']) put(`s3:${name}`, query(exchange, name));
  put('s3:VersionId', query(exchange, 'versionId'));
  put('s3:x-amz-copy-source', header(exchange, 'x-amz-copy-source')?.replace(/^\//, ''));
  put('s3:object-lock-mode', header(exchange, 'x-amz-object-lock-mode'));
  put('s3:object-lock-legal-hold', header(exchange, 'x-amz-object-lock-legal-hold'));
  const retention = {
    retainUntil: header(exchange, 'x-amz-object-lock-retain-until-date'),
    eventHold: header(exchange, 'x-amz-object-lock-event-hold'),
    days: header(exchange, 'x-amz-object-lock-event-hold-duration-days'),
    years: header(exchange, 'x-amz-object-lock-event-hold-duration-years'),
  };
  return { ...context, ...retentionContext(retention, now) };
}

/** The condition keys of a wish for retention, from headers or from a document. */
export function retentionContext(request: RetentionRequest, now: Date): Context {
  const context: Context = {};
  const untilMs = Date.parse(request.retainUntil ?? '');
  if (request.mode !== undefined) context['s3:object-lock-mode'] = request.mode;
  if (!Number.isNaN(untilMs)) {
    context['s3:object-lock-retain-until-date'] = request.retainUntil ?? '';
    context['s3:object-lock-remaining-retention-days'] = String(remainingDays(untilMs, now));
  }
  if (request.eventHold !== undefined) context['s3:object-lock-event-hold'] = request.eventHold;
  const days =
    request.days ?? (request.years === undefined ? undefined : String(periodDays({ years: Number(request.years) })));
  if (days !== undefined) context['s3:object-lock-event-hold-duration-days'] = days;
  return context;
}

/** The condition keys of tags that a request brings. */
export function requestTagContext(tags: Readonly<Record<string, string>>): Context {
  const names = Object.keys(tags);
  if (names.length === 0) return {};
  const context: Context = { 's3:RequestObjectTagKeys': names };
  for (const name of names) context[`s3:RequestObjectTag/${name}`] = tags[name] ?? '';
  return context;
}

/** The condition keys of the tags that an object already has. */
export function existingTagContext(version: Version | undefined): Context {
  if (version?.kind !== 'object') return {};
  return Object.fromEntries(
    Object.entries(version.tags).map(([name, value]) => [`s3:ExistingObjectTag/${name}`, value]),
  );
}

/**
 * Asks IAM whether the request's principal may do `action` on a bucket, or with `key` on an object.
 * @throws S3Error `AccessDenied`
 */
export function authorize(
  exchange: Exchange,
  action: `s3:${string}`,
  on: { bucket: Bucket; key?: string } | { arn: string },
  extra: Context = {},
): void {
  try {
    exchange.core.authorizer.authorize({
      principal: exchange.request.principal,
      action,
      resource: resourceOf(on),
      ...('bucket' in on && on.bucket.policy !== undefined ? { resourcePolicy: on.bucket.policy } : {}),
      context: { ...requestContext(exchange), ...extra },
    });
  } catch (error) {
    if (error instanceof AccessDenied) throw accessDenied(error);
    throw error;
  }
}

/** The same as a question. */
export function isAllowed(
  exchange: Exchange,
  action: `s3:${string}`,
  on: { bucket: Bucket; key?: string },
  extra: Context = {},
): boolean {
  try {
    authorize(exchange, action, on, extra);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'AccessDenied') return false;
    throw error;
  }
}

function resourceOf(on: { bucket: Bucket; key?: string } | { arn: string }): string {
  if ('arn' in on) return on.arn;
  return on.key === undefined ? bucketArn(on.bucket.name) : objectArn(on.bucket.name, on.key);
}
