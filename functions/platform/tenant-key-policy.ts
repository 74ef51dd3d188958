import type { Deployment } from '../contracts/configuration.ts';
import {
  KEY_DESTROYING_ROLE,
  policyId,
  type ResourcePolicy,
  ROLES_BEHIND_A_PATH,
  ROLES_WITH_TENANT_DATA,
} from '../contracts/policies.ts';
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

/** What erasing a tenant does to its key. */
const DESTRUCTION = ['kms:DisableKey', 'kms:ScheduleKeyDeletion'];
/** What no role of Daybreak does to a key. */
const CHANGES = [
  'kms:DeleteImportedKeyMaterial',
  'kms:PutKeyPolicy',
  'kms:ReplicateKey',
  'kms:RetireGrant',
  'kms:RevokeGrant',
  'kms:UpdatePrimaryRegion',
];

/**
 * The policy of a tenant's key. It names the account with conditions on role names: a role's own ARN would turn into a dead
 * id with the role, and a list of steps would age. The key works through S3 alone, so that no function can decrypt anything
 * by itself, and only on objects of this tenant in the vault and on those in the work bucket; the root user can always read
 * what lies under it. Who reads or writes is named by capability, and who destroys exactly.
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
): ResourcePolicy {
  const account = { AWS: `arn:aws:iam::${accountId}:root` };
  const role = (name: string) => `arn:aws:iam::${accountId}:role/${name}`;
  const anyOfOurs = { 'aws:PrincipalArn': role('daybreak-*') };
  return {
    Version: '2012-10-17',
    Id: policyId('tenant-key'),
    Statement: [
      { Sid: 'Administration', Effect: 'Allow', Principal: account, Action: ADMINISTRATION, Resource: '*' },
      {
        Sid: 'DataThroughS3',
        Effect: 'Allow',
        Principal: account,
        Action: ['kms:Decrypt', 'kms:GenerateDataKey*'],
        Resource: '*',
        Condition: {
          ArnLike: { 'aws:PrincipalArn': [...ROLES_WITH_TENANT_DATA.map(role), account.AWS] },
          ArnNotLike: { 'aws:PrincipalArn': role(ROLES_BEHIND_A_PATH) },
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
        Action: DESTRUCTION,
        Resource: '*',
        Condition: {
          ArnLike: anyOfOurs,
          ArnNotEquals: { 'aws:PrincipalArn': role(KEY_DESTROYING_ROLE) },
        },
      },
      {
        Sid: 'FunctionsNeverChangeKeys',
        Effect: 'Deny',
        Principal: account,
        Action: CHANGES,
        Resource: '*',
        Condition: { ArnLike: anyOfOurs },
      },
    ],
  };
}
