import type { Clock } from '../../../functions/platform/clock.ts';
import type { Authorizer, AwsRequest, KeyOperations } from '../service.ts';
import type { Bucket } from './bucket.ts';
import { invalidArgument, noSuchBucket } from './errors.ts';
import type { ObjectStore } from './object-store.ts';

/** What every operation works with. */
export interface S3Core {
  readonly store: ObjectStore;
  readonly clock: Pick<Clock, 'now'>;
  readonly authorizer: Authorizer;
  readonly keys: KeyOperations;
  readonly accountId: string;
  readonly limits: {
    /** The largest object that one `PutObject`, `UploadPart` or `CopyObject` takes. */
    readonly maximumCopyBytes: number;
    /** The smallest part of a multipart upload, but for its last. */
    readonly minimumPartBytes: number;
  };
}

/** One request with what was read from its address. */
export interface Exchange {
  readonly core: S3Core;
  readonly request: AwsRequest;
  readonly now: Date;
  readonly bucketName: string;
  /** Decoded; empty where the request is for a bucket or for the account. */
  readonly key: string;
}

export function header(exchange: Exchange, name: string): string | undefined {
  return exchange.request.headers[name];
}

/** A query parameter; the empty string where it stands without a value. */
export function query(exchange: Exchange, name: string): string | undefined {
  const value = exchange.request.query[name];
  if (value === undefined) return undefined;
  if (Array.isArray(value)) {
    if (value.length > 1) throw invalidArgument(name, value.join(','), `The parameter ${name} stands more than once`);
    return value[0] ?? '';
  }
  return value ?? '';
}

/** A header that is `true` or `false`; false where it is absent. */
export function flag(exchange: Exchange, name: string): boolean {
  const value = header(exchange, name)?.toLowerCase() ?? 'false';
  if (value !== 'true' && value !== 'false') throw invalidArgument(name, value, `The header ${name} is not a boolean`);
  return value === 'true';
}

/** The bucket that the request names. @throws S3Error `NoSuchBucket` */
export function bucketOf(exchange: Exchange): Bucket {
  const bucket = exchange.core.store.buckets.get(exchange.bucketName);
  if (bucket === undefined) throw noSuchBucket(exchange.bucketName);
  return bucket;
}

/** A version id as a request names it. @throws S3Error `InvalidArgument` where S3 never made such a one. */
export function readVersionId(versionId: string | undefined): string | undefined {
  if (versionId !== undefined && !/^(?:null|[A-Za-z0-9._]{32})$/.test(versionId)) {
    throw invalidArgument('versionId', versionId, 'Invalid version id specified');
  }
  return versionId;
}

/** `Sun, 22 Nov 2026 02:30:00 GMT` */
export function httpDate(ms: number): string {
  return new Date(ms).toUTCString();
}

/** `2026-11-22T02:30:00.000Z` */
export function isoDate(ms: number): string {
  return new Date(ms).toISOString();
}

/** S3 keeps times in whole seconds. */
export function wholeSeconds(date: Date): number {
  return Math.floor(date.getTime() / 1000) * 1000;
}
