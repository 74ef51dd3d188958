import { Duration, RemovalPolicy, Stack, Tags } from 'aws-cdk-lib';
import { CfnTrail } from 'aws-cdk-lib/aws-cloudtrail';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { type IKey, Key } from 'aws-cdk-lib/aws-kms';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import {
  BlockPublicAccess,
  Bucket,
  BucketEncryption,
  type BucketPolicy,
  ObjectLockRetention,
} from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import { TRAIL_LOG_GROUP, TRAIL_NAME, trailBucketName } from '../../functions/contracts/tampering.ts';
import { LEDGER_PROJECTION_PREFIX, PULSE_PREFIX } from '../../functions/contracts/vault-layout.ts';
import { acknowledgeInlinePolicy, addPermission } from '../access/allow.ts';
import { TRAIL_DELIVERY_ROLE } from '../access/role-names.ts';
import { bucketNames, REGION, type SupplierConfiguration } from '../config/configuration.ts';
import { acknowledge } from '../constructs/acknowledge.ts';
import { attachPolicy } from '../constructs/attach-policy.ts';
import { DaybreakKey } from '../constructs/daybreak-key.ts';
import { STOPPED_UPLOADS } from '../constructs/kept-bucket.ts';
import { OBJECT_EVENTS, PUT_EVENTS } from '../monitoring/tamper-rules.ts';

const LOCK = Duration.days(365);
/** Log files name people and their addresses: they are kept no longer than the functions' logs. */
const KEPT = Duration.days(400);

/**
 * The trail that tampering is noticed by: of every change in the account, in all Regions, so that IAM's global events are in
 * it, of what touches objects of the vault and the evidence, and of what deletes many objects at once, anywhere. Its log files
 * outlive the stack.
 * https://docs.aws.amazon.com/awscloudtrail/latest/userguide/best-practices-security.html
 */
export class TrailStack extends Stack {
  readonly keyArn: string;

  constructor(scope: Construct, id: string, configuration: SupplierConfiguration) {
    const { account, region } = configuration;
    super(scope, id, {
      env: { account, region },
      description: 'Daybreak: the trail that tampering is noticed by',
      terminationProtection: true,
    });
    Tags.of(this).add('daybreak:purpose', 'trail');
    // Where the stack was destroyed, its bucket and its key are still there.
    const { existing } = configuration;
    const key = existing
      ? Key.fromKeyArn(this, 'Key', existing.trailKeyArn)
      : new DaybreakKey(this, 'Key', 'trail-key', configuration, {
          description: 'Daybreak: the log files and the log of the trail',
          enableKeyRotation: true,
        });
    this.keyArn = key.keyArn;
    const bucketPolicy = existing ? undefined : this.#createBucket(configuration, key).policy;
    const logGroup = new LogGroup(this, 'Log', {
      logGroupName: TRAIL_LOG_GROUP,
      encryptionKey: key,
      retention: RetentionDays.THIRTEEN_MONTHS,
      // The bucket holds the same, and another stack could not take over a log group of this name.
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const delivery = new Role(this, 'Delivery', {
      roleName: TRAIL_DELIVERY_ROLE,
      description: 'Daybreak: CloudTrail writes events to its log',
      // "The role policy doesn't support the use of aws:SourceArn and aws:SourceAccount": with them CloudTrail is refused.
      assumedBy: new ServicePrincipal('cloudtrail.amazonaws.com'),
    });
    // https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-required-policy-for-cloudwatch-logs.html
    addPermission(delivery, {
      actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
      resources: [
        {
          pattern: `arn:aws:logs:${REGION}:${account}:log-group:${TRAIL_LOG_GROUP}:log-stream:${account}_CloudTrail_${REGION}*`,
          reason: 'CloudTrail names the streams that it writes, and begins them all like this.',
        },
      ],
    });
    acknowledgeInlinePolicy(delivery);
    this.#createTrail(configuration, logGroup, delivery, bucketPolicy);
  }

  #createTrail(
    configuration: SupplierConfiguration,
    logGroup: LogGroup,
    delivery: Role,
    bucketPolicy: BucketPolicy | undefined,
  ): void {
    const { vaultBucket, evidenceBucket, workBucket } = bucketNames(configuration);
    const trail = new CfnTrail(this, 'Trail', {
      trailName: TRAIL_NAME,
      isLogging: true,
      isMultiRegionTrail: true,
      includeGlobalServiceEvents: true,
      enableLogFileValidation: true,
      s3BucketName: trailBucketName(configuration.account),
      kmsKeyId: this.keyArn,
      cloudWatchLogsLogGroupArn: logGroup.logGroupArn,
      cloudWatchLogsRoleArn: delivery.roleArn,
      // https://docs.aws.amazon.com/awscloudtrail/latest/userguide/filtering-data-events.html
      advancedEventSelectors: [
        {
          // Uses of keys (Decrypt, GenerateDataKey) count as reads: a backup makes one for each object.
          name: 'Every change in the account',
          fieldSelectors: [
            { field: 'eventCategory', equalTo: ['Management'] },
            { field: 'readOnly', equalTo: ['false'] },
          ],
        },
        {
          name: 'Tampering with objects of the vault and the evidence',
          fieldSelectors: [
            { field: 'eventCategory', equalTo: ['Data'] },
            { field: 'resources.type', equalTo: ['AWS::S3::Object'] },
            { field: 'resources.ARN', startsWith: [vaultBucket, evidenceBucket].map(name => `arn:aws:s3:::${name}/`) },
            { field: 'eventName', equalTo: OBJECT_EVENTS.filter(name => name !== 'DeleteObjects') },
          ],
        },
        {
          name: 'What is put among the evidence',
          fieldSelectors: [
            { field: 'eventCategory', equalTo: ['Data'] },
            { field: 'resources.type', equalTo: ['AWS::S3::Object'] },
            {
              field: 'resources.ARN',
              startsWith: [
                `${evidenceBucket}/`,
                `${workBucket}/${LEDGER_PROJECTION_PREFIX}`,
                `${workBucket}/${PULSE_PREFIX}`,
              ].map(start => `arn:aws:s3:::${start}`),
            },
            { field: 'eventName', equalTo: [...PUT_EVENTS] },
          ],
        },
        {
          name: 'What is deleted of what pulse remembers',
          fieldSelectors: [
            { field: 'eventCategory', equalTo: ['Data'] },
            { field: 'resources.type', equalTo: ['AWS::S3::Object'] },
            { field: 'resources.ARN', startsWith: [`arn:aws:s3:::${workBucket}/${PULSE_PREFIX}`] },
            { field: 'eventName', equalTo: ['DeleteObject'] },
          ],
        },
        {
          // It names no keys, and no page says by which ARN it would be chosen, or whether by any: so it is by none. A restore
          // test makes a few for each school; those of the app's buckets are chosen, too, one event for a thousand keys.
          // https://docs.aws.amazon.com/AmazonS3/latest/userguide/cloudtrail-logging-s3-info.html
          name: 'What is deleted at once, of any bucket',
          fieldSelectors: [
            { field: 'eventCategory', equalTo: ['Data'] },
            { field: 'resources.type', equalTo: ['AWS::S3::Object'] },
            { field: 'eventName', equalTo: ['DeleteObjects'] },
          ],
        },
      ],
    });
    // CloudTrail tries all three when the trail is made.
    for (const needed of [bucketPolicy, delivery.node.findChild('DefaultPolicy')]) {
      if (needed !== undefined) trail.node.addDependency(needed);
    }
  }

  #createBucket(configuration: SupplierConfiguration, key: IKey): Bucket {
    const { evidence } = configuration;
    const bucket = new Bucket(this, 'Files', {
      bucketName: trailBucketName(configuration.account),
      encryption: BucketEncryption.KMS,
      encryptionKey: key,
      bucketKeyEnabled: false,
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      versioned: true,
      objectLockEnabled: true,
      objectLockDefaultRetention:
        evidence.lockMode === 'compliance'
          ? ObjectLockRetention.compliance(LOCK)
          : ObjectLockRetention.governance(LOCK),
      removalPolicy: RemovalPolicy.RETAIN,
      lifecycleRules: [
        STOPPED_UPLOADS,
        { id: 'kept', expiration: KEPT, noncurrentVersionExpiration: Duration.days(1) },
      ],
    });
    attachPolicy(bucket, 'trail-bucket', configuration, key.keyArn);
    acknowledge(
      bucket,
      ['AwsSolutions-S1', 'NIST.800.53.R5-S3BucketLoggingEnabled'],
      'It is itself a log: an access log of it would be another that needs one.',
    );
    acknowledge(
      bucket,
      ['NIST.800.53.R5-S3BucketReplicationEnabled'],
      'Log files name people; they stay in the United Kingdom, which has one AWS Region, and in one place, which ends on its day.',
    );
    return bucket;
  }
}
