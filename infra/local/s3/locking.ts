import type { AwsResponse } from '../service.ts';
import { authorize, retentionContext } from './authorization.ts';
import { readDocument } from './body.ts';
import type { Bucket, ObjectVersion } from './bucket.ts';
import { periodNodes } from './bucket-operations.ts';
import { invalidRequest, malformedXml, S3Error } from './errors.ts';
import { bucketOf, type Exchange, flag, isoDate } from './exchange.ts';
import { listResponse } from './listing.ts';
import { findNamedObject } from './named-object.ts';
import { changeRetention, type LockState, type RetentionRequest, retainUntil } from './object-lock.ts';
import { onlyChild, readFields, type XmlElement } from './xml.ts';

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectRetention.html */
export async function getObjectRetention(exchange: Exchange): Promise<AwsResponse> {
  const { version } = findLocked(exchange, 's3:GetObjectRetention');
  const { mode, eventHold, eventHoldDuration } = version.lock;
  const until = retainUntil(version.lock, exchange.now);
  if (mode === undefined || until === undefined) throw noLock();
  return listResponse([
    'Retention',
    [
      ['Mode', mode],
      ['RetainUntilDate', isoDate(until)],
      eventHold === undefined ? undefined : ['EventHold', eventHold],
      eventHoldDuration === undefined ? undefined : ['EventHoldDuration', periodNodes(eventHoldDuration)],
    ],
  ]);
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectRetention.html */
export async function putObjectRetention(exchange: Exchange): Promise<AwsResponse> {
  refuseWithoutLock(bucketOf(exchange));
  const request = readRetention(await readDocument(exchange, 'Retention', true));
  const bypass = flag(exchange, 'x-amz-bypass-governance-retention');
  const context = retentionContext(request, exchange.now);
  const { bucket, version } = findLocked(exchange, 's3:PutObjectRetention', context);
  if (bypass) authorize(exchange, 's3:BypassGovernanceRetention', { bucket, key: version.key }, context);
  changeLock(exchange, bucket, version, changeRetention(version.lock, request, exchange.now, bypass));
  return { status: 200, headers: {} };
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectLegalHold.html */
export async function getObjectLegalHold(exchange: Exchange): Promise<AwsResponse> {
  const { version } = findLocked(exchange, 's3:GetObjectLegalHold');
  const { legalHold } = version.lock;
  if (legalHold === undefined) throw noLock();
  return listResponse(['LegalHold', [['Status', legalHold]]]);
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectLegalHold.html */
export async function putObjectLegalHold(exchange: Exchange): Promise<AwsResponse> {
  refuseWithoutLock(bucketOf(exchange));
  const { Status } = readFields(await readDocument(exchange, 'LegalHold', true), ['Status']);
  if (Status !== 'ON' && Status !== 'OFF') throw malformedXml();
  const { bucket, version } = findLocked(exchange, 's3:PutObjectLegalHold', { 's3:object-lock-legal-hold': Status });
  changeLock(exchange, bucket, version, { ...version.lock, legalHold: Status });
  return { status: 200, headers: {} };
}

function findLocked(
  exchange: Exchange,
  action: `s3:${string}`,
  context: Record<string, string | readonly string[]> = {},
): { bucket: Bucket; version: ObjectVersion } {
  return findNamedObject(exchange, bucket => {
    authorize(exchange, action, { bucket, key: exchange.key }, context);
    refuseWithoutLock(bucket);
  });
}

function changeLock(exchange: Exchange, bucket: Bucket, { key, versionId }: ObjectVersion, lock: LockState): void {
  exchange.core.store.commit({ type: 'version-changed', bucket: bucket.name, key, versionId, change: { lock } });
}

function refuseWithoutLock(bucket: Bucket): void {
  if (bucket.definition.objectLock === undefined) {
    throw invalidRequest('Bucket is missing Object Lock Configuration');
  }
}

function noLock(): S3Error {
  return new S3Error(
    404,
    'NoSuchObjectLockConfiguration',
    'The specified object does not have a ObjectLock configuration',
  );
}

function readRetention(document: XmlElement): RetentionRequest {
  const { Mode, RetainUntilDate, EventHold } = readFields(document, [
    'Mode',
    'RetainUntilDate',
    'EventHold',
    'EventHoldDuration',
  ]);
  if (Mode !== undefined && Mode !== 'GOVERNANCE' && Mode !== 'COMPLIANCE') throw malformedXml();
  const duration = onlyChild(document, 'EventHoldDuration');
  const { Days, Years } = duration === undefined ? {} : readFields(duration, ['Days', 'Years']);
  if (duration !== undefined && Days === undefined && Years === undefined) throw malformedXml();
  return { mode: Mode, retainUntil: RetainUntilDate, eventHold: EventHold, days: Days, years: Years };
}
