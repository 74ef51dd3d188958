import { Effect, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { REGION } from '../config/configuration.ts';
import { KEY_CHANGES } from './key-policies.ts';
import { roleArn, stepName } from './role-names.ts';

/** Changes of a bucket's own settings, none of which any role of Daybreak needs; the buckets deny them too. */
export const BUCKET_CHANGES = [
  's3:DeleteBucket*',
  // Policy, ACL, versioning, Object Lock, ownership, public access, logging, notifications, website.
  's3:PutBucket*',
  // Encryption, lifecycle, replication, inventory.
  's3:Put*Configuration',
];
/** What would change one object's lock, key or readers. */
export const OBJECT_CHANGES = [
  's3:BypassGovernanceRetention',
  's3:PutObjectAcl',
  's3:PutObjectVersionAcl',
  's3:UpdateObjectEncryption',
];
/** A second way to a bucket, past its own policy. */
const BUCKET_DETOURS = ['s3:CreateAccessPoint*', 's3:PutAccessPoint*', 's3:PutAccountPublicAccessBlock'];
/** Snapshots, and restored instances, given to others or taken elsewhere. */
const SNAPSHOT_DETOURS = [
  'rds:ModifyDBSnapshot*',
  'rds:StartExportTask',
  'rds:StartDBInstanceAutomatedBackupsReplication',
];
/** Becoming somebody else. */
const IDENTITIES = ['iam:*', 'organizations:*', 'sts:AssumeRole*', 'sts:GetFederationToken'];
/** What runs, and when. */
const CODE_CHANGES = [
  'lambda:Add*',
  'lambda:Create*',
  'lambda:Delete*',
  'lambda:Publish*',
  'lambda:Put*',
  'lambda:Remove*',
  'lambda:Update*',
  'states:Create*',
  'states:Update*',
  'states:DeleteStateMachine*',
  'scheduler:Create*',
  'scheduler:Update*',
  'scheduler:Delete*',
  'cloudformation:*',
];
/** What watches. */
const WATCH_CHANGES = [
  'cloudtrail:Create*',
  'cloudtrail:Delete*',
  'cloudtrail:Put*',
  'cloudtrail:Stop*',
  'cloudtrail:Update*',
  'events:Delete*',
  'events:Disable*',
  'events:PutRule',
  'events:PutTargets',
  'events:Remove*',
  'cloudwatch:Delete*',
  'cloudwatch:Disable*',
  'cloudwatch:PutMetricAlarm',
  'cloudwatch:SetAlarmState',
  // Step Functions sets up its own delivery of logs.
  'logs:DeleteLogGroup',
  'logs:DeleteLogStream',
  'logs:DisassociateKmsKey',
  'logs:PutRetentionPolicy',
  'logs:PutSubscriptionFilter',
  'sns:Delete*',
  'sns:RemovePermission',
  'sns:Set*',
  'sns:Unsubscribe',
];
/** The walls around the functions that read databases. */
const NETWORK_CHANGES = [
  'ec2:AuthorizeSecurityGroup*',
  'ec2:CreateRoute*',
  'ec2:ModifyNetworkInterfaceAttribute',
  'ec2:ModifySecurityGroup*',
  'ec2:ModifyVpcEndpoint*',
];

/** What no role of Daybreak may do, whatever else its policies come to say. */
export function guardrailStatements(account: string): PolicyStatement[] {
  const deny = (actions: readonly string[], conditions?: Record<string, Record<string, string>>) =>
    new PolicyStatement({
      effect: Effect.DENY,
      actions: [...actions],
      resources: ['*'],
      ...(conditions && { conditions }),
    });
  return [
    deny([
      ...KEY_CHANGES,
      ...BUCKET_CHANGES,
      ...OBJECT_CHANGES,
      ...BUCKET_DETOURS,
      ...SNAPSHOT_DETOURS,
      ...IDENTITIES,
      ...CODE_CHANGES,
      ...WATCH_CHANGES,
      ...NETWORK_CHANGES,
    ]),
    deny(['kms:CreateGrant'], { StringNotEquals: { 'kms:ViaService': `rds.${REGION}.amazonaws.com` } }),
    deny(['kms:CreateGrant'], { Bool: { 'kms:GrantIsForAWSResource': 'false' } }),
    deny(['kms:CreateKey'], {
      ArnNotEquals: { 'aws:PrincipalArn': roleArn(account, stepName('tenants/ensure-key')) },
    }),
    // Backups of UK schools stay in the United Kingdom.
    deny(['s3:*', 'rds:*', 'kms:*'], { StringNotEquals: { 'aws:RequestedRegion': REGION } }),
  ];
}
