import type { AwsResponse } from '../service.ts';
import type { Checksum, ChecksumAlgorithm, ChecksumType } from './checksums.ts';
import type { SortedKeys } from './key-order.ts';
import type { LockState, RetentionMode, RetentionPeriod } from './object-lock.ts';
import type { Segment } from './sealed-content.ts';

/** A bucket as a template describes it (`AWS::S3::Bucket`, `AWS::S3::BucketPolicy`). */
export interface BucketDefinition {
  readonly name: string;
  /** @default 'Unversioned', or 'Enabled' where Object Lock is on */
  readonly versioning?: 'Enabled' | 'Suspended' | 'Unversioned';
  /** Object Lock is on where this is present, with or without a default rule. */
  readonly objectLock?: { readonly defaultRetention?: DefaultRetention };
  /** @default SSE-S3 (`AES256`), as on AWS since 2023 */
  readonly encryption?: DefaultEncryption;
  /** The bucket policy's document. */
  readonly policy?: unknown;
  readonly tags?: Readonly<Record<string, string>>;
}

/**
 * `Rule.DefaultRetention` of the bucket's Object Lock configuration: a period, and beside it an event hold or none. Where
 * S3's pages disagree, here is what all of them allow: no hold without a period, nor, as for an object's own retention, one
 * that is longer than it.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_DefaultRetention.html
 */
export interface DefaultRetention {
  readonly mode: RetentionMode;
  readonly period: RetentionPeriod;
  readonly eventHold?: RetentionPeriod;
}

type DefaultEncryption = { readonly algorithm: 'AES256' } | { readonly algorithm: 'aws:kms'; readonly keyId: string };

/** How one object is encrypted at rest. */
export type ObjectEncryption =
  | { readonly algorithm: 'AES256' }
  /** `wrappedKey`: the data key as KMS returned it, in base64. */
  | { readonly algorithm: 'aws:kms'; readonly keyArn: string; readonly wrappedKey: string }
  /** SSE-C: the key itself is not kept, only its MD5 in base64. */
  | { readonly algorithm: 'customer'; readonly keyMd5: string };

/** What a writer says about an object, beside its content. */
export interface ObjectDescription {
  /** `content-type`, `cache-control`, …, `x-amz-website-redirect-location`, and `x-amz-meta-*`. */
  readonly headers: Readonly<Record<string, string>>;
  readonly tags: Readonly<Record<string, string>>;
  readonly storageClass: string;
  readonly lock: LockState;
}

/** One version of an object. */
export interface ObjectVersion extends ObjectDescription {
  readonly kind: 'object';
  readonly key: string;
  /** `null` where the bucket was not versioned when it was written. */
  readonly versionId: string;
  /** Whole seconds, as S3 keeps it. */
  readonly lastModifiedMs: number;
  readonly sizeBytes: number;
  /** Without quotes. */
  readonly eTag: string;
  readonly checksum: Checksum;
  readonly encryption: ObjectEncryption;
  readonly segments: readonly Segment[];
  /** True for an object that was uploaded in parts: its segments are the parts. */
  readonly multipart: boolean;
  /** Each part's checksum, in base64, for an object that was uploaded in parts. */
  readonly partChecksums?: readonly string[];
}

interface DeleteMarker {
  readonly kind: 'delete-marker';
  readonly key: string;
  readonly versionId: string;
  readonly lastModifiedMs: number;
}

export type Version = ObjectVersion | DeleteMarker;

/** A key and its versions, the newest first. */
export interface KeyVersions {
  readonly key: string;
  versions: Version[];
}

export interface UploadedPart {
  readonly partNumber: number;
  readonly lastModifiedMs: number;
  readonly eTag: string;
  /** Of the upload's algorithm, in base64. */
  readonly checksum: string;
  readonly segment: Segment;
}

/** A multipart upload that is neither completed nor aborted. */
export interface MultipartUpload extends ObjectDescription {
  readonly uploadId: string;
  readonly key: string;
  readonly initiatedMs: number;
  readonly encryption: ObjectEncryption;
  readonly checksumAlgorithm: ChecksumAlgorithm;
  readonly checksumType: ChecksumType;
  /** False where the request named no algorithm: S3 then keeps CRC64NVME, and parts need not carry theirs. */
  readonly checksumRequested: boolean;
}

export interface Bucket {
  readonly definition: BucketDefinition;
  readonly name: string;
  readonly versioning: 'Enabled' | 'Suspended' | 'Unversioned';
  readonly createdMs: number;
  policy: unknown;
  readonly keys: SortedKeys<KeyVersions>;
  readonly uploads: Map<string, { readonly upload: MultipartUpload; readonly parts: Map<number, UploadedPart> }>;
  /** The answers to uploads that were completed: S3 gives a repeated request the first one's. Only the newest are kept. */
  readonly completed: Map<string, { readonly key: string; readonly request: string; readonly response: AwsResponse }>;
  /** How often each key was deleted from, so that a conditional write can see what happened meanwhile. */
  readonly deletions: Map<string, number>;
}

export const bucketArn = (bucket: string): string => `arn:aws:s3:::${bucket}`;
export const objectArn = (bucket: string, key: string): string => `arn:aws:s3:::${bucket}/${key}`;

/** The newest version, be it a delete marker. */
export function newestVersion(bucket: Bucket, key: string): Version | undefined {
  return bucket.keys.get(key)?.versions[0];
}

/** The version that a request without a version id means; undefined where there is none or a delete marker hides it. */
export function currentObject(bucket: Bucket, key: string): ObjectVersion | undefined {
  const newest = newestVersion(bucket, key);
  return newest?.kind === 'object' ? newest : undefined;
}

export function findVersion(bucket: Bucket, key: string, versionId: string): Version | undefined {
  return bucket.keys.get(key)?.versions.find(version => version.versionId === versionId);
}
