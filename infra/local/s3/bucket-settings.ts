import { Policy } from '../iam/policy.ts';
import { type AwsResponse, NotImplementedLocally } from '../service.ts';
import { authorize } from './authorization.ts';
import { openBody, readDocument } from './body.ts';
import type { Bucket, BucketDefinition, DefaultRetention } from './bucket.ts';
import { checkDefinition } from './bucket-operations.ts';
import { malformedXml, notImplemented, S3Error } from './errors.ts';
import { bucketOf, type Exchange } from './exchange.ts';
import { listResponse } from './listing.ts';
import type { RetentionPeriod } from './object-lock.ts';
import { writeTagDocument } from './tags.ts';
import { onlyChild, readFields, type XmlElement } from './xml.ts';

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html */
const MAXIMUM_POLICY_BYTES = 20 * 1024;

/*
 * What clients outside change about a bucket. Templates go through `LocalS3.createBucket` and `putBucketPolicy`, which
 * know no caller.
 */

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucket.html: only an empty one, of all its versions too. */
export async function deleteBucket(exchange: Exchange): Promise<AwsResponse> {
  const bucket = bucketOf(exchange);
  authorize(exchange, 's3:DeleteBucket', { bucket });
  if (bucket.keys.values().next().done !== true) {
    const text = 'The bucket you tried to delete is not empty. You must delete all versions in the bucket.';
    throw new S3Error(409, 'BucketNotEmpty', text, { details: { BucketName: bucket.name } });
  }
  exchange.core.store.commit({ type: 'bucket-removed', bucket: bucket.name });
  return { status: 204, headers: {} };
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketPolicy.html */
export async function putBucketPolicy(exchange: Exchange): Promise<AwsResponse> {
  const bucket = bucketOf(exchange);
  authorize(exchange, 's3:PutBucketPolicy', { bucket });
  const policy = await readPolicy(exchange);
  exchange.core.store.commit({ type: 'policy', bucket: bucket.name, policy });
  return { status: 204, headers: {} };
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketPolicy.html */
export async function deleteBucketPolicy(exchange: Exchange): Promise<AwsResponse> {
  const bucket = bucketOf(exchange);
  authorize(exchange, 's3:DeleteBucketPolicy', { bucket });
  exchange.core.store.commit({ type: 'policy', bucket: bucket.name, policy: undefined });
  return { status: 204, headers: {} };
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketVersioning.html */
export async function putBucketVersioning(exchange: Exchange): Promise<AwsResponse> {
  const bucket = bucketOf(exchange);
  authorize(exchange, 's3:PutBucketVersioning', { bucket });
  const { Status } = readFields(await readDocument(exchange, 'VersioningConfiguration', true), ['Status']);
  if (Status !== 'Enabled' && Status !== 'Suspended') throw malformedXml();
  if (Status === 'Suspended' && bucket.definition.objectLock !== undefined) {
    const text = 'An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.';
    throw new S3Error(409, 'InvalidBucketState', text);
  }
  redefine(exchange, bucket, { versioning: Status });
  return { status: 200, headers: {} };
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectLockConfiguration.html */
export async function putObjectLockConfiguration(exchange: Exchange): Promise<AwsResponse> {
  const bucket = bucketOf(exchange);
  authorize(exchange, 's3:PutBucketObjectLockConfiguration', { bucket });
  const document = await readDocument(exchange, 'ObjectLockConfiguration', true);
  if (readFields(document, ['ObjectLockEnabled', 'Rule']).ObjectLockEnabled !== 'Enabled') throw malformedXml();
  if (bucket.versioning !== 'Enabled') {
    const text = 'Versioning must be Enabled on the bucket to apply an Object Lock configuration';
    throw new S3Error(409, 'InvalidBucketState', text);
  }
  const rule = onlyChild(document, 'Rule');
  const objectLock = rule === undefined ? {} : { defaultRetention: readDefaultRetention(rule) };
  checkDefinition({ name: bucket.name, objectLock });
  redefine(exchange, bucket, { objectLock });
  return { status: 200, headers: {} };
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketTagging.html */
export async function getBucketTagging(exchange: Exchange): Promise<AwsResponse> {
  const bucket = bucketOf(exchange);
  authorize(exchange, 's3:GetBucketTagging', { bucket });
  const { tags = {} } = bucket.definition;
  if (Object.keys(tags).length === 0) {
    const details = { BucketName: bucket.name };
    throw new S3Error(404, 'NoSuchTagSet', 'The TagSet does not exist', { details });
  }
  return listResponse(writeTagDocument(tags));
}

/**
 * A copy with a condition to where the bucket's policy demands one is answered 501: whoever enforces conditional writes
 * cannot copy there. https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html
 * @throws S3Error `NotImplemented`, as S3 answers it
 */
export function refuseEnforcedCopy(exchange: Exchange, context: Readonly<Record<string, string>>): void {
  const { request, key } = exchange;
  const { 'if-none-match': noneMatch, 'if-match': match, ...headers } = request.headers;
  if (noneMatch === undefined && match === undefined) return;
  const bucket = bucketOf(exchange);
  try {
    authorize({ ...exchange, request: { ...request, headers } }, 's3:PutObject', { bucket, key }, context);
  } catch (error) {
    if (!(error instanceof S3Error)) throw error;
    throw new S3Error(501, 'NotImplemented', 'A header you provided implies functionality that is not implemented', {
      details: { Header: noneMatch === undefined ? 'If-Match' : 'If-None-Match' },
      cause: error,
    });
  }
}

function redefine({ core }: Exchange, bucket: Bucket, change: Partial<BucketDefinition>): void {
  const definition = { ...bucket.definition, policy: bucket.policy, ...change };
  core.store.commit({ type: 'bucket', definition, createdMs: bucket.createdMs });
}

async function readPolicy(exchange: Exchange): Promise<unknown> {
  const chunks: Uint8Array[] = [];
  const malformed = (message: string, cause?: unknown) => new S3Error(400, 'MalformedPolicy', message, { cause });
  let bytes = 0;
  for await (const chunk of openBody(exchange).chunks) {
    bytes += chunk.length;
    if (bytes > MAXIMUM_POLICY_BYTES) throw malformed('Policy exceeds the maximum allowed document size.');
    chunks.push(chunk);
  }
  let document: unknown;
  try {
    document = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    new Policy(document, 'resource');
  } catch (cause) {
    if (cause instanceof NotImplementedLocally) throw notImplemented(`bucket policies with ${cause.message}`);
    throw malformed(cause instanceof Error ? cause.message : 'Policies must be valid JSON', cause);
  }
  return document;
}

function readDefaultRetention(rule: XmlElement): DefaultRetention {
  readFields(rule, ['DefaultRetention']);
  const retention = onlyChild(rule, 'DefaultRetention');
  if (retention === undefined) throw malformedXml();
  const { Mode } = readFields(retention, ['Mode', 'Days', 'Years', 'DefaultEventHold']);
  if (Mode !== 'GOVERNANCE' && Mode !== 'COMPLIANCE') throw malformedXml();
  const hold = onlyChild(retention, 'DefaultEventHold');
  const period = readPeriod(retention);
  const eventHold = hold === undefined ? undefined : readPeriod(hold);
  if (period === undefined || (hold !== undefined && eventHold === undefined)) throw malformedXml();
  return {
    mode: Mode,
    period,
    ...(eventHold === undefined ? {} : { eventHold }),
  };
}

function readPeriod(element: XmlElement): RetentionPeriod | undefined {
  const days = onlyChild(element, 'Days')?.text;
  const years = onlyChild(element, 'Years')?.text;
  if (days !== undefined && years !== undefined) throw malformedXml();
  if (days === undefined) return years === undefined ? undefined : { years: Number(years) };
  return { days: Number(days) };
}
