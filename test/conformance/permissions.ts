import { PREFIX, TAG } from './names.ts';

const BUCKETS = `arn:aws:s3:::${PREFIX}*`;
const NAMED_PREFIX = (service: string, kind: string) => `arn:aws:${service}:eu-west-2:*:${kind}${PREFIX}*`;

/**
 * What a run needs, as an IAM policy: buckets by their prefix, keys by the tag that they are created with.
 * @param options.roleArn the role of `--role`, which the services are to assume.
 */
export function permissionPolicy(options: { rds: boolean; roleArn: string | undefined }): object {
  const allow = (Action: string[], Resource: string | string[], Condition?: object) => ({
    Effect: 'Allow',
    Action,
    Resource,
    ...(Condition === undefined ? {} : { Condition }),
  });
  const tagged = { Null: { [`aws:ResourceTag/${TAG}`]: 'false' } };
  const tagging = { Null: { [`aws:RequestTag/${TAG}`]: 'false' } };
  return {
    Version: '2012-10-17',
    Statement: [
      allow(['s3:ListAllMyBuckets', 'kms:ListAliases', 'kms:ListKeys'], '*'),
      allow(
        [
          's3:CreateBucket',
          's3:DeleteBucket',
          's3:DeleteBucketPolicy',
          's3:GetBucketObjectLockConfiguration',
          's3:GetBucketTagging',
          's3:ListBucket',
          's3:ListBucketMultipartUploads',
          's3:ListBucketVersions',
          's3:PutBucketObjectLockConfiguration',
          's3:PutBucketPolicy',
          's3:PutBucketVersioning',
          's3:TagResource',
        ],
        BUCKETS,
      ),
      allow(
        [
          's3:AbortMultipartUpload',
          's3:BypassGovernanceRetention',
          's3:DeleteObject',
          's3:DeleteObjectVersion',
          's3:GetObject',
          's3:GetObjectAttributes',
          's3:GetObjectRetention',
          's3:GetObjectTagging',
          's3:GetObjectVersion',
          's3:ListMultipartUploadParts',
          's3:PutObject',
          's3:PutObjectLegalHold',
          's3:PutObjectRetention',
          's3:PutObjectTagging',
          's3:UpdateObjectEncryption',
        ],
        `${BUCKETS}/*`,
      ),
      allow(['kms:CreateKey', 'kms:TagResource'], '*', tagging),
      allow(
        [
          'kms:CancelKeyDeletion',
          'kms:CreateAlias',
          'kms:CreateGrant',
          'kms:Decrypt',
          'kms:DeleteAlias',
          'kms:DescribeKey',
          'kms:DisableKey',
          'kms:EnableKey',
          'kms:Encrypt',
          'kms:GenerateDataKey',
          'kms:GenerateMac',
          'kms:GetPublicKey',
          'kms:ListGrants',
          'kms:ReEncryptFrom',
          'kms:ReEncryptTo',
          'kms:RevokeGrant',
          'kms:ScheduleKeyDeletion',
          'kms:Sign',
          'kms:Verify',
        ],
        '*',
        tagged,
      ),
      allow(['kms:ListResourceTags'], '*'),
      allow(['kms:CreateAlias', 'kms:DeleteAlias'], NAMED_PREFIX('kms', 'alias/')),
      allow(['states:TestState', 'states:ValidateStateMachineDefinition', 'states:ListStateMachines'], '*'),
      allow(
        [
          'cloudwatch:DeleteAlarms',
          'cloudwatch:DescribeAlarmHistory',
          'cloudwatch:PutMetricAlarm',
          'cloudwatch:SetAlarmState',
        ],
        NAMED_PREFIX('cloudwatch', 'alarm:'),
      ),
      allow(['cloudwatch:DescribeAlarms', 'sns:ListTopics'], '*'),
      allow(
        ['sns:CreateTopic', 'sns:DeleteTopic', 'sns:ListTagsForResource', 'sns:SetTopicAttributes', 'sns:TagResource'],
        `arn:aws:sns:eu-west-2:*:${PREFIX}*`,
      ),
      allow(['events:TestEventPattern', 'scheduler:ListSchedules'], '*'),
      ...(options.roleArn === undefined
        ? []
        : [
            allow(
              [
                'states:CreateStateMachine',
                'states:DeleteStateMachine',
                'states:ListExecutions',
                'states:StartExecution',
              ],
              NAMED_PREFIX('states', 'stateMachine:'),
            ),
            allow(['states:DescribeExecution'], NAMED_PREFIX('states', 'execution:')),
            allow(
              ['scheduler:CreateSchedule', 'scheduler:DeleteSchedule'],
              NAMED_PREFIX('scheduler', 'schedule/default/'),
            ),
            allow(['iam:PassRole'], options.roleArn),
          ]),
      ...(options.rds
        ? [
            allow(
              [
                'rds:AddTagsToResource',
                'rds:CopyDBSnapshot',
                'rds:CreateDBInstance',
                'rds:CreateDBSnapshot',
                'rds:DeleteDBInstance',
                'rds:DeleteDBSnapshot',
                'rds:DescribeDBSnapshotAttributes',
                'rds:ListTagsForResource',
                'rds:RestoreDBInstanceFromDBSnapshot',
              ],
              [
                ...['db:', 'snapshot:'].map(kind => NAMED_PREFIX('rds', kind)),
                ...['og:', 'pg:', 'subgrp:'].map(kind => `arn:aws:rds:eu-west-2:*:${kind}*`),
              ],
            ),
            allow(['rds:CreateDBParameterGroup', 'rds:DeleteDBParameterGroup'], NAMED_PREFIX('rds', 'pg:')),
            allow(['rds:DescribeDBInstances', 'rds:DescribeDBParameterGroups', 'rds:DescribeDBSnapshots'], '*'),
          ]
        : []),
    ],
  };
}

/** How the role of `--role` is trusted, and what it may do. */
export const ROLE_POLICIES = {
  trust: {
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Allow',
        Principal: { Service: ['states.amazonaws.com', 'scheduler.amazonaws.com'] },
        Action: 'sts:AssumeRole',
      },
    ],
  },
  permissions: {
    Version: '2012-10-17',
    Statement: [
      { Effect: 'Allow', Action: 'states:StartExecution', Resource: NAMED_PREFIX('states', 'stateMachine:') },
    ],
  },
};
