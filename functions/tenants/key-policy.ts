import type { Deployment } from '../contracts/configuration.ts';
import { tenantRoot } from '../contracts/vault-layout.ts';

/** What the account's administrators may do, where their own policies allow it: keep the key, never use it. */
const ADMINISTRATION = [
  'kms:CancelKeyDeletion',
  'kms:CreateAlias',
  'kms:DeleteAlias',
  'kms:DescribeKey',
  'kms:DisableKey',
  'kms:EnableKey',
  'kms:GetKeyPolicy',
  'kms:ListGrants',
  'kms:ListKeyPolicies',
  'kms:ListResourceTags',
  'kms:PutKeyPolicy',
  'kms:RevokeGrant',
  'kms:ScheduleKeyDeletion',
  'kms:TagResource',
  'kms:UntagResource',
  'kms:UpdateAlias',
  'kms:UpdateKeyDescription',
];

/** What changes or destroys a key. Erasing a tenant is the one thing that needs it. */
const CHANGES = [
  'kms:DeleteImportedKeyMaterial',
  'kms:DisableKey',
  'kms:PutKeyPolicy',
  'kms:ReplicateKey',
  'kms:RetireGrant',
  'kms:RevokeGrant',
  'kms:ScheduleKeyDeletion',
  'kms:UpdatePrimaryRegion',
];

/** The capabilities whose functions read or write a tenant's data. Which of their roles do is said by each role's policy. */
const CAPABILITIES_WITH_DATA = ['backup', 'restore-test', 'archive', 'erasure', 'recovery'];

/**
 * The policy of a tenant's key. It names the account with conditions on fixed role names: a role's own ARN would turn into
 * a dead id with the role. The key works through S3 alone, so that no function can decrypt anything by itself, and only on
 * objects of this tenant in the vault and on those in the work bucket; the root user can always read what lies under it.
 * Keys live longer than the code that creates them, so that capabilities which come later are named too.
 * https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-overview.html
 */
export function tenantKeyPolicy(
  tenant: string,
  {
    accountId,
    region,
    vaultBucket,
    workBucket,
  }: Pick<Deployment, 'accountId' | 'region' | 'vaultBucket' | 'workBucket'>,
): unknown {
  const account = { AWS: `arn:aws:iam::${accountId}:root` };
  const roles = (name: string) => `arn:aws:iam::${accountId}:role/daybreak-${name}`;
  return {
    Version: '2012-10-17',
    Statement: [
      { Sid: 'Administration', Effect: 'Allow', Principal: account, Action: ADMINISTRATION, Resource: '*' },
      {
        Sid: 'DataThroughS3',
        Effect: 'Allow',
        Principal: account,
        Action: ['kms:Decrypt', 'kms:GenerateDataKey*'],
        Resource: '*',
        Condition: {
          ArnLike: { 'aws:PrincipalArn': [...CAPABILITIES_WITH_DATA.map(name => roles(`${name}-*`)), account.AWS] },
          // A role of any name, behind a path that begins like these names.
          ArnNotLike: { 'aws:PrincipalArn': roles('*/*') },
          StringEquals: { 'kms:ViaService': `s3.${region}.amazonaws.com` },
          // S3 names the object as the context; under a Bucket Key it would name the bucket, and be refused.
          // https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html#encryption-context
          StringLike: {
            'kms:EncryptionContext:aws:s3:arn': [
              `arn:aws:s3:::${vaultBucket}/${tenantRoot(tenant)}*`,
              `arn:aws:s3:::${workBucket}/*`,
            ],
          },
        },
      },
      {
        Sid: 'OnlyErasureChangesKeys',
        Effect: 'Deny',
        Principal: account,
        Action: CHANGES,
        Resource: '*',
        Condition: {
          ArnLike: { 'aws:PrincipalArn': roles('*') },
          ArnNotLike: { 'aws:PrincipalArn': roles('erasure-*') },
        },
      },
    ],
  };
}
