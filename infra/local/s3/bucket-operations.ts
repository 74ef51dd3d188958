import type { AwsResponse } from '../service.ts';
import { authorize } from './authorization.ts';
import { readDocument } from './body.ts';
import { type BucketDefinition, bucketArn } from './bucket.ts';
import { invalidArgument, malformedXml, S3Error } from './errors.ts';
import { bucketOf, type Exchange, flag, isoDate, query } from './exchange.ts';
import { listResponse, ownerNode } from './listing.ts';
import { periodDays, type RetentionPeriod } from './object-lock.ts';
import { readTagList, type Tags } from './tags.ts';
import { onlyChild, readFields, writeXml, type XmlNode } from './xml.ts';

const REGION = 'eu-west-2';

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html */
export async function listBuckets(exchange: Exchange): Promise<AwsResponse> {
  authorize(exchange, 's3:ListAllMyBuckets', { arn: '*' });
  const prefix = query(exchange, 'prefix') ?? '';
  const buckets = [...exchange.core.store.buckets.values()]
    .filter(({ name }) => name.startsWith(prefix))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  return listResponse([
    'ListAllMyBucketsResult',
    [
      [
        'Buckets',
        buckets.map(
          ({ name, createdMs }): XmlNode => [
            'Bucket',
            [
              ['Name', name],
              ['CreationDate', isoDate(createdMs)],
              ['BucketRegion', REGION],
            ],
          ],
        ),
      ],
      ownerNode(exchange),
    ],
  ]);
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html */
export async function headBucket(exchange: Exchange): Promise<AwsResponse> {
  const bucket = bucketOf(exchange);
  authorize(exchange, 's3:ListBucket', { bucket });
  return { status: 200, headers: { 'x-amz-bucket-region': REGION } };
}

/**
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html, for clients outside; templates go through
 * `LocalS3.createBucket`.
 */
export async function createBucket(exchange: Exchange): Promise<AwsResponse> {
  const { core, bucketName, now } = exchange;
  const withLock = flag(exchange, 'x-amz-bucket-object-lock-enabled');
  const asked: `s3:${string}`[] = ['s3:CreateBucket'];
  if (withLock) asked.push('s3:PutBucketObjectLockConfiguration', 's3:PutBucketVersioning');
  for (const action of asked) authorize(exchange, action, { arn: bucketArn(bucketName) });
  checkBucketName(bucketName);
  let tags: Tags = {};
  if (exchange.request.body !== undefined && exchange.request.headers['content-length'] !== '0') {
    const document = await readDocument(exchange, 'CreateBucketConfiguration');
    const { LocationConstraint } = readFields(document, ['LocationConstraint', 'Tags']);
    tags = readTagList(onlyChild(document, 'Tags')?.children ?? []);
    const tagContext = { 'aws:TagKeys': Object.keys(tags) };
    if (Object.keys(tags).length > 0) authorize(exchange, 's3:TagResource', { arn: bucketArn(bucketName) }, tagContext);
    if (LocationConstraint !== REGION) {
      throw new S3Error(
        400,
        'IllegalLocationConstraintException',
        `The ${LocationConstraint ?? 'unspecified'} location constraint is incompatible for the region specific endpoint this request was sent to.`,
      );
    }
  }
  if (core.store.buckets.has(bucketName)) {
    throw new S3Error(
      409,
      'BucketAlreadyOwnedByYou',
      'Your previous request to create the named bucket succeeded and you already own it.',
      { details: { BucketName: bucketName } },
    );
  }
  const definition: BucketDefinition = { name: bucketName, tags, ...(withLock ? { objectLock: {} } : {}) };
  core.store.commit({ type: 'bucket', definition, createdMs: now.getTime() });
  return { status: 200, headers: { location: `/${bucketName}` } };
}

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html @throws S3Error `InvalidBucketName` */
function checkBucketName(name: string): void {
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name) || name.includes('..') || /^\d+\.\d+\.\d+\.\d+$/.test(name)) {
    throw new S3Error(400, 'InvalidBucketName', 'The specified bucket is not valid.', {
      details: { BucketName: name },
    });
  }
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html */
export async function getBucketLocation(exchange: Exchange): Promise<AwsResponse> {
  const bucket = bucketOf(exchange);
  authorize(exchange, 's3:GetBucketLocation', { bucket });
  return listResponse(['LocationConstraint', REGION]);
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketVersioning.html */
export async function getBucketVersioning(exchange: Exchange): Promise<AwsResponse> {
  const bucket = bucketOf(exchange);
  authorize(exchange, 's3:GetBucketVersioning', { bucket });
  return listResponse([
    'VersioningConfiguration',
    bucket.versioning === 'Unversioned' ? [] : [['Status', bucket.versioning]],
  ]);
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketEncryption.html */
export async function getBucketEncryption(exchange: Exchange): Promise<AwsResponse> {
  const bucket = bucketOf(exchange);
  authorize(exchange, 's3:GetEncryptionConfiguration', { bucket });
  const encryption = bucket.definition.encryption ?? { algorithm: 'AES256' };
  const standard: XmlNode[] = [
    ['SSEAlgorithm', encryption.algorithm],
    ...(encryption.algorithm === 'aws:kms' ? [['KMSMasterKeyID', encryption.keyId] as const] : []),
  ];
  return listResponse([
    'ServerSideEncryptionConfiguration',
    [
      [
        'Rule',
        [
          ['ApplyServerSideEncryptionByDefault', standard],
          ['BucketKeyEnabled', false],
        ],
      ],
    ],
  ]);
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketPolicy.html */
export async function getBucketPolicy(exchange: Exchange): Promise<AwsResponse> {
  const bucket = bucketOf(exchange);
  authorize(exchange, 's3:GetBucketPolicy', { bucket });
  if (bucket.policy === undefined) {
    throw new S3Error(404, 'NoSuchBucketPolicy', 'The bucket policy does not exist', {
      details: { BucketName: bucket.name },
    });
  }
  return { status: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify(bucket.policy) };
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectLockConfiguration.html */
export async function getObjectLockConfiguration(exchange: Exchange): Promise<AwsResponse> {
  const bucket = bucketOf(exchange);
  authorize(exchange, 's3:GetBucketObjectLockConfiguration', { bucket });
  const { objectLock } = bucket.definition;
  if (objectLock === undefined) {
    throw new S3Error(
      404,
      'ObjectLockConfigurationNotFoundError',
      'Object Lock configuration does not exist for this bucket',
      { details: { BucketName: bucket.name } },
    );
  }
  const { defaultRetention: rule } = objectLock;
  const retention: (XmlNode | undefined)[] = [
    rule === undefined ? undefined : ['Mode', rule.mode],
    ...(rule === undefined ? [] : periodNodes(rule.period)),
    rule?.eventHold === undefined ? undefined : ['DefaultEventHold', periodNodes(rule.eventHold)],
  ];
  return {
    status: 200,
    headers: { 'content-type': 'application/xml' },
    body: writeXml([
      'ObjectLockConfiguration',
      [['ObjectLockEnabled', 'Enabled'], rule === undefined ? undefined : ['Rule', [['DefaultRetention', retention]]]],
    ]),
  };
}

export function periodNodes(period: RetentionPeriod): XmlNode[] {
  return 'days' in period ? [['Days', period.days]] : [['Years', period.years]];
}

/** @throws S3Error where a default retention has a period out of bounds, or an event hold that is longer than its period. */
export function checkDefinition({ name, versioning, objectLock }: BucketDefinition): void {
  checkBucketName(name);
  if (objectLock === undefined) return;
  if (versioning !== undefined && versioning !== 'Enabled') {
    throw new S3Error(409, 'InvalidBucketState', 'Object Lock needs versioning Enabled');
  }
  const rule = objectLock.defaultRetention;
  if (rule === undefined) return;
  for (const period of [rule.period, rule.eventHold ?? rule.period]) {
    const [number, maximum] = 'days' in period ? [period.days, 36_500] : [period.years, 100];
    if (!Number.isInteger(number) || number < 1 || number > maximum) {
      throw invalidArgument('Days', String(number), 'Default retention period must be a positive integer value.');
    }
  }
  if (rule.eventHold !== undefined && periodDays(rule.eventHold) > periodDays(rule.period)) throw malformedXml();
}
