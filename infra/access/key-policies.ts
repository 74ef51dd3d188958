import {
  type KEY_ALIASES,
  type KeyPolicyName,
  policyId,
  type ResourcePolicy,
  type ResourceStatement,
  ROLES_BEHIND_A_PATH,
  ROLES_WITH_DATA,
  ROLES_WITH_WORDS,
} from '../../functions/contracts/policies.ts';
import { TRAIL_LOG_GROUP, TRAIL_NAME } from '../../functions/contracts/tampering.ts';
import { bucketNames, REGION, type SupplierConfiguration } from '../config/configuration.ts';
import { roleArn, type Step, stepName, WORKFLOWS, workflowName } from './role-names.ts';

/** What the account's administrators may do: keep the key, never use it. */
const ADMINISTRATION = [
  'kms:CancelKeyDeletion',
  'kms:DescribeKey',
  'kms:DisableKey',
  'kms:EnableKey',
  'kms:EnableKeyRotation',
  'kms:GetKeyPolicy',
  'kms:GetKeyRotationStatus',
  'kms:ListGrants',
  'kms:ListKeyPolicies',
  'kms:ListResourceTags',
  'kms:ListRetirableGrants',
  'kms:PutKeyPolicy',
  'kms:RevokeGrant',
  'kms:ScheduleKeyDeletion',
  'kms:TagResource',
  'kms:UntagResource',
  'kms:CreateAlias',
  'kms:UpdateAlias',
  'kms:DeleteAlias',
  'kms:UpdateKeyDescription',
];

/** What no role of Daybreak may ever do to a key, whatever its own policies say. */
export const KEY_CHANGES = [
  'kms:DisableKey',
  'kms:PutKeyPolicy',
  'kms:ScheduleKeyDeletion',
  'kms:DeleteImportedKeyMaterial',
  'kms:UpdatePrimaryRegion',
  'kms:ReplicateKey',
  'kms:RetireGrant',
  'kms:RevokeGrant',
];

/** Holds for CloudWatch, when it tells of an alarm of Daybreak in this account. */
export const ofAlarms = (account: string) => ({
  StringEquals: { 'aws:SourceAccount': account },
  ArnLike: { 'aws:SourceArn': `arn:aws:cloudwatch:${REGION}:${account}:alarm:daybreak-*` },
});

/** All that KMS does for a service that encrypts. */
const ENCRYPTION = ['kms:Encrypt', 'kms:Decrypt', 'kms:ReEncrypt*', 'kms:GenerateDataKey*', 'kms:DescribeKey'];

/** Those that find the name of a tenant by its id. */
const NAMERS: readonly Step[] = ['backup/list-tenants'];
const GRANTORS: readonly Step[] = ['backup/copy-snapshot', 'restore-test/restore-database'];
/** Who signs with which key: one key for each purpose, so that who writes the ledger signs no manifest. */
const SIGNERS = {
  'signing-key': ['backup/complete'],
  'ledger-key': ['evidence/append-entry'],
  // What reads events that attackers write adds entries, and signs no head.
  'entry-key': ['evidence/append-entry', 'evidence/record-tampering'],
} as const satisfies Partial<Record<KeyPolicyName, readonly Step[]>>;

type OwnKey = keyof typeof KEY_ALIASES;
type Conditions = NonNullable<ResourceStatement['Condition']>;

/**
 * The policy of each key that there is one of, which outlives its stack. It names the account, with conditions on fixed role names: a role's own
 * ARN in a key policy turns into a dead id with the role, and would not fit the same role created again.
 * Who reads or writes is named by capability, as keys live longer than lists of steps; who signs, grants or names tenants
 * exactly.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html#principal-roles
 */
export function keyPolicies(configuration: SupplierConfiguration): Readonly<Record<OwnKey, ResourcePolicy>> {
  const { account, operatorRoleArns } = configuration;
  // The root user can always read what lies under a key: it is the last way in, behind its MFA.
  const root = `arn:aws:iam::${account}:root`;
  const every = { Principal: { AWS: root }, Resource: '*' } as const;
  const ours = [...ROLES_WITH_DATA, ...WORKFLOWS.map(workflowName)].map(name => roleArn(account, name));
  const rolesOf = (steps: readonly Step[]) => steps.map(step => roleArn(account, stepName(step)));
  const notBehindAPath = { ArnNotLike: { 'aws:PrincipalArn': roleArn(account, ROLES_BEHIND_A_PATH) } };

  const allow = (
    Sid: string,
    Action: readonly string[],
    arns: readonly string[],
    Condition: Conditions = {},
  ): ResourceStatement => ({
    Sid,
    Effect: 'Allow',
    Action,
    ...every,
    Condition: { ...Condition, ArnLike: { 'aws:PrincipalArn': [...arns, root] } },
  });
  const toService = (Sid: string, Service: string, Action: readonly string[], Condition: Conditions) =>
    ({ Sid, Effect: 'Allow', Principal: { Service }, Action, Resource: '*', Condition }) as const;
  const policy = (name: OwnKey, ...statements: ResourceStatement[]): ResourcePolicy => ({
    Version: '2012-10-17',
    Id: policyId(name),
    Statement: [
      { Sid: 'Administration', Effect: 'Allow', Action: ADMINISTRATION, ...every },
      ...statements,
      {
        Sid: 'FunctionsNeverChangeKeys',
        Effect: 'Deny',
        Action: KEY_CHANGES,
        ...every,
        Condition: { ArnLike: { 'aws:PrincipalArn': roleArn(account, 'daybreak-*') } },
      },
    ],
  });
  const signing = (name: keyof typeof SIGNERS) =>
    policy(
      name,
      allow('Sign', ['kms:Sign'], rolesOf(SIGNERS[name])),
      allow(
        'Verify',
        ['kms:Verify', 'kms:GetPublicKey', 'kms:DescribeKey'],
        [...ours, ...operatorRoleArns],
        notBehindAPath,
      ),
      // Not the root user either: nothing is restored by signing. It may still change this policy, which is recorded.
      {
        Sid: 'OnlyItsSigners',
        Effect: 'Deny',
        Action: ['kms:Sign'],
        ...every,
        Condition: { ArnNotEquals: { 'aws:PrincipalArn': rolesOf(SIGNERS[name]) } },
      },
    );
  const throughS3 = { StringEquals: { 'kms:ViaService': `s3.${REGION}.amazonaws.com` } };
  const { vaultBucket, registerBucket } = bucketNames(configuration);
  const inRegister = { StringLike: { 'kms:EncryptionContext:aws:s3:arn': `arn:aws:s3:::${registerBucket}/*` } };
  const trailArn = `arn:aws:cloudtrail:${REGION}:${account}:trail/${TRAIL_NAME}`;
  return {
    'vault-key': policy(
      'vault-key',
      allow('DataThroughS3AndRds', ENCRYPTION, ours, {
        StringEquals: { 'kms:ViaService': [`s3.${REGION}.amazonaws.com`, `rds.${REGION}.amazonaws.com`] },
        ...notBehindAPath,
      }),
      allow('OperatorsReadThroughS3', ['kms:Decrypt'], operatorRoleArns, throughS3),
      allow('GrantsForRds', ['kms:CreateGrant'], rolesOf(GRANTORS), {
        Bool: { 'kms:GrantIsForAWSResource': 'true' },
        StringEquals: { 'kms:ViaService': `rds.${REGION}.amazonaws.com` },
      }),
      // A tenant's data under the vault key would survive the destruction of the tenant's key. A bucket policy sees the
      // headers of a write and not the bucket's default; the key sees every write, with the object as its context.
      // https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html#encryption-context
      {
        Sid: 'TenantsNotUnderTheVaultKey',
        Effect: 'Deny',
        Action: ['kms:Encrypt', 'kms:GenerateDataKey*', 'kms:ReEncryptTo'],
        ...every,
        Condition: { StringLike: { 'kms:EncryptionContext:aws:s3:arn': `arn:aws:s3:::${vaultBucket}/tenants/*` } },
      },
    ),
    'signing-key': signing('signing-key'),
    'ledger-key': signing('ledger-key'),
    'entry-key': signing('entry-key'),
    'tenant-id-key': policy(
      'tenant-id-key',
      // By a MAC ids can be guessed: who makes one is as exact as who signs.
      allow('Name', ['kms:GenerateMac'], rolesOf(NAMERS)),
      allow('Describe', ['kms:DescribeKey'], [...ours, ...operatorRoleArns], notBehindAPath),
    ),
    // https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
    'log-key': policy(
      'log-key',
      // Log groups are named after their stacks.
      toService('LogsOfDaybreak', `logs.${REGION}.amazonaws.com`, ENCRYPTION, {
        ArnLike: { 'kms:EncryptionContext:aws:logs:arn': `arn:aws:logs:${REGION}:${account}:log-group:Daybreak*` },
      }),
    ),
    // People write it, and functions read what counts.
    'register-key': policy(
      'register-key',
      allow('PeopleKeepIt', ['kms:Decrypt', 'kms:GenerateDataKey'], operatorRoleArns, { ...throughS3, ...inRegister }),
      allow(
        'FunctionsReadIt',
        ['kms:Decrypt'],
        ROLES_WITH_WORDS.map(name => roleArn(account, name)),
        { ...throughS3, ...inRegister, ...notBehindAPath },
      ),
    ),
    // https://docs.aws.amazon.com/awscloudtrail/latest/userguide/create-kms-key-policy-for-cloudtrail.html
    'trail-key': policy(
      'trail-key',
      allow('OperatorsRead', ['kms:Decrypt'], operatorRoleArns),
      toService('TrailEncrypts', 'cloudtrail.amazonaws.com', ['kms:GenerateDataKey*'], {
        StringEquals: { 'aws:SourceArn': trailArn },
        StringLike: { 'kms:EncryptionContext:aws:cloudtrail:arn': `arn:aws:cloudtrail:*:${account}:trail/*` },
      }),
      toService('TrailDescribes', 'cloudtrail.amazonaws.com', ['kms:DescribeKey'], {
        StringEquals: { 'aws:SourceArn': trailArn },
      }),
      toService('LogEncrypts', `logs.${REGION}.amazonaws.com`, ENCRYPTION, {
        ArnEquals: {
          'kms:EncryptionContext:aws:logs:arn': `arn:aws:logs:${REGION}:${account}:log-group:${TRAIL_LOG_GROUP}`,
        },
      }),
    ),
    // The key of AWS itself (alias/aws/sns) would not let CloudWatch in.
    // https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
    'notice-key': policy(
      'notice-key',
      toService(
        'AlarmsEncryptNotices',
        'cloudwatch.amazonaws.com',
        ['kms:Decrypt', 'kms:GenerateDataKey*'],
        ofAlarms(account),
      ),
    ),
  };
}
