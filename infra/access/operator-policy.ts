import { TRAIL_LOG_GROUP, trailBucketName, UNDELIVERED_QUEUE } from '../../functions/contracts/tampering.ts';
import { REGISTER_PREFIX } from '../../functions/contracts/vault-layout.ts';
import { bucketNames, REGION, type SupplierConfiguration } from '../config/configuration.ts';
import { type ManagedPolicy, managedPolicy } from './policy-document.ts';
import { workflowName } from './role-names.ts';

/**
 * Below these prefixes lies what tells how things stand: no school's data, no file name. Of the register everything: who is
 * called at night, and who may say so, has to be found by who is there.
 */
const RECORDS = {
  vaultBucket: ['recovery-points/*'],
  evidenceBucket: ['ledger/*', 'segments/*', 'heads/*', 'restore-tests/*'],
  workBucket: ['ledger-projection/*', 'pulse/*'],
  registerBucket: [`${REGISTER_PREFIX}*`],
} as const;

/**
 * What the first command of each alarm and page takes, and starting a backup, a restore test, pulse and the janitor by hand.
 * The vault key's policy lets in only the roles that the configuration names (`operatorRoleArns`). What changes the account,
 * as ending a key's deletion does, is an administrator's.
 */
export function operatorPolicy(configuration: SupplierConfiguration): ManagedPolicy {
  const { account } = configuration;
  const names = bucketNames(configuration);
  const arn = (service: string, name: string) => `arn:aws:${service}:${REGION}:${account}:${name}`;
  const buckets = Object.values(names).map(name => `arn:aws:s3:::${name}`);
  const policies = [...buckets, `arn:aws:s3:::${trailBucketName(configuration.account)}`];
  const records = Object.entries(RECORDS).flatMap(([bucket, prefixes]) =>
    prefixes.map(prefix => `arn:aws:s3:::${names[bucket as keyof typeof RECORDS]}/${prefix}`),
  );
  return managedPolicy(
    'daybreak-operator',
    "for who watches Daybreak; name the role in the configuration's operatorRoleArns",
    [
      {
        Sid: 'Look',
        Effect: 'Allow',
        Action: [
          'cloudtrail:LookupEvents',
          'cloudwatch:DescribeAlarms',
          'cloudwatch:GetDashboard',
          'cloudwatch:GetMetricData',
          'cloudwatch:ListMetrics',
          'kms:ListAliases',
          'rds:DescribeAccountAttributes',
          'rds:DescribeDBInstances',
          'rds:DescribeDBSnapshotAttributes',
          'rds:DescribeDBSnapshots',
          'rds:DescribeEvents',
          'tag:GetResources',
          'scheduler:ListSchedules',
          'servicequotas:ListServiceQuotas',
        ],
        Resource: '*',
      },
      {
        Sid: 'Workflows',
        Effect: 'Allow',
        Action: [
          'lambda:GetFunctionConfiguration',
          'logs:FilterLogEvents',
          'scheduler:GetSchedule',
          'sqs:GetQueueUrl',
          'sqs:ReceiveMessage',
          'states:DescribeExecution',
          'states:GetExecutionHistory',
          'states:ListExecutions',
        ],
        Resource: [
          arn('lambda', 'function:daybreak-*'),
          arn('logs', 'log-group:Daybreak*'),
          arn('logs', `log-group:${TRAIL_LOG_GROUP}:*`),
          arn('scheduler', 'schedule/default/daybreak-*'),
          arn('sqs', UNDELIVERED_QUEUE),
          arn('states', 'execution:daybreak-*'),
          arn('states', 'stateMachine:daybreak-*'),
        ],
      },
      {
        // What a person decides is recorded by a responder.
        Sid: 'StartRuns',
        Effect: 'Allow',
        Action: ['states:StartExecution'],
        Resource: (['daily-backup', 'restore-test', 'remove-abandoned'] as const).map(workflow =>
          arn('states', `stateMachine:${workflowName(workflow)}`),
        ),
      },
      {
        Sid: 'ReadBackNowAndTidyUp',
        Effect: 'Allow',
        Action: ['lambda:InvokeFunction'],
        Resource: [
          arn('lambda', 'function:daybreak-pulse-read-back'),
          arn('lambda', 'function:daybreak-restore-test-remove-abandoned'),
        ],
      },
      { Sid: 'List', Effect: 'Allow', Action: ['s3:ListBucket', 's3:ListBucketVersions'], Resource: buckets },
      { Sid: 'ComparePolicies', Effect: 'Allow', Action: ['s3:GetBucketPolicy'], Resource: policies },
      {
        Sid: 'Records',
        Effect: 'Allow',
        Action: ['s3:GetObject', 's3:GetObjectRetention', 's3:GetObjectVersion'],
        Resource: records,
      },
      {
        Sid: 'DecryptRecords',
        Effect: 'Allow',
        Action: ['kms:Decrypt'],
        Resource: [arn('kms', 'key/*')],
        Condition: {
          StringEquals: { 'kms:ViaService': `s3.${REGION}.amazonaws.com` },
          StringLike: { 'kms:EncryptionContext:aws:s3:arn': records },
        },
      },
      {
        Sid: 'CheckSignaturesAndKeys',
        Effect: 'Allow',
        Action: ['kms:DescribeKey', 'kms:GetKeyPolicy', 'kms:GetPublicKey', 'kms:Verify'],
        Resource: [arn('kms', 'key/*')],
      },
    ],
  );
}
