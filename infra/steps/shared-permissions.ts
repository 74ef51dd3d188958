import { LEDGER_PROJECTION_PREFIX, PURPOSE_TAG } from '../../functions/contracts/vault-layout.ts';
import { arnOf, type Permission, type Resource, type Wildcard } from '../access/permission.ts';
import { REGION, type SupplierConfiguration } from '../config/configuration.ts';

/** What there is in a deployment that steps may be allowed to reach. */
export interface Reach {
  readonly configuration: SupplierConfiguration;
  readonly vaultBucket: string;
  readonly evidenceBucket: string;
  readonly workBucket: string;
  readonly registerBucket: string;
  readonly vaultKeyArn: string;
  readonly signingKeyArn: string;
  readonly tenantIdKeyArn: string;
  readonly ledgerKeyArn: string;
  readonly entryKeyArn: string;
  readonly registerKeyArn: string;
  readonly subnetGroupName: string;
  /** Of the workflows that schedules start. */
  readonly stateMachineArns: readonly string[];
}

export type SharedPermissions = ReturnType<typeof sharedPermissions>;

/** `20261122t023000z`, whichever it is: a snapshot is named after its recovery point. */
const ANY_RECOVERY_POINT = '????????t??????z';
export const S3 = `s3.${REGION}.amazonaws.com`;
const RDS = `rds.${REGION}.amazonaws.com`;

/** All objects of one of Daybreak's buckets below a prefix. */
export function objectsBelow(bucket: string, prefix: string): Wildcard {
  return {
    pattern: `arn:aws:s3:::${bucket}/${prefix}*`,
    reason: 'Objects are named at run time; the role reaches one kind of them, by its prefix.',
  };
}

/** The same for several prefixes. */
export function objects(bucket: string, ...prefixes: string[]): Wildcard[] {
  return prefixes.map(prefix => objectsBelow(bucket, prefix));
}

/** The executions of a state machine, or of a distributed map of it (`<state machine>/<map>`). */
export function executions(stateMachineArn: string): Wildcard {
  return {
    pattern: `${stateMachineArn.replace(':stateMachine:', ':execution:')}:*`,
    reason: 'Executions, and the children of a distributed map, are named at run time.',
  };
}

/** Holds for what S3 asks of KMS for its caller, for these objects. */
function throughS3(objectArns: readonly Resource[]) {
  return {
    StringEquals: { 'kms:ViaService': S3 },
    StringLike: { 'kms:EncryptionContext:aws:s3:arn': objectArns.map(arnOf) },
  };
}

/** What the permissions of several capabilities are made of. */
export function sharedPermissions(reach: Reach) {
  const { configuration, vaultBucket, evidenceBucket, workBucket, vaultKeyArn } = reach;
  const { account, databases } = configuration;

  const on = (actions: readonly string[], bucket: string, ...prefixes: string[]): Permission => ({
    actions,
    resources: objects(bucket, ...prefixes),
  });
  const useVaultKey = (actions: readonly string[], bucket: string, ...prefixes: string[]): Permission => ({
    actions,
    resources: [vaultKeyArn],
    conditions: throughS3(objects(bucket, ...prefixes)),
  });
  const read = (bucket: string, ...prefixes: string[]): Permission[] => [
    on(['s3:GetObject'], bucket, ...prefixes),
    useVaultKey(['kms:Decrypt'], bucket, ...prefixes),
  ];
  const write = (bucket: string, ...prefixes: string[]): Permission[] => [
    on(['s3:PutObject'], bucket, ...prefixes),
    useVaultKey(['kms:GenerateDataKey'], bucket, ...prefixes),
  ];
  // For steps that list, and for those to which an object that is not there is an answer: without s3:ListBucket S3 gives
  // 403 for it, and "not there" would look like "refused".
  // https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
  const list = (bucket: string): Permission => ({ actions: ['s3:ListBucket'], resources: [`arn:aws:s3:::${bucket}`] });
  const uploadInParts = (bucket: string, ...prefixes: string[]): Permission[] => [
    { actions: ['s3:ListBucketMultipartUploads'], resources: [`arn:aws:s3:::${bucket}`] },
    {
      actions: ['s3:AbortMultipartUpload', 's3:ListMultipartUploadParts'],
      resources: objects(bucket, ...prefixes),
    },
  ];

  const tenantKeys: Wildcard = {
    pattern: `arn:aws:kms:${REGION}:${account}:key/*`,
    reason: "Tenants' keys are made at run time; each one's own policy names the roles that may use it.",
  };
  const useTenantKeys = (actions: readonly string[], ...objectArns: Resource[]): Permission => ({
    actions,
    resources: [tenantKeys],
    conditions: throughS3(objectArns),
  });

  const sign = (...keyArns: string[]): Permission => ({ actions: ['kms:Sign'], resources: keyArns });
  const readRootManifest: Permission[] = [
    list(vaultBucket),
    ...read(vaultBucket, 'recovery-points/'),
    { actions: ['kms:Verify'], resources: [reach.signingKeyArn] },
  ];
  const readLedger: Permission[] = [
    list(evidenceBucket),
    list(workBucket),
    ...read(evidenceBucket, 'ledger/'),
    ...read(evidenceBucket, 'heads/'),
    ...read(workBucket, LEDGER_PROJECTION_PREFIX),
    { actions: ['kms:GetPublicKey'], resources: [reach.ledgerKeyArn, reach.entryKeyArn] },
  ];

  const rds = (kind: string, name: string) => `arn:aws:rds:${REGION}:${account}:${kind}:${name}`;
  // A snapshot is named after one of its instance's databases, which another becomes when that one leaves the configuration.
  const snapshots = (prefix: string): Wildcard[] =>
    databases.map(({ id }) => ({
      pattern: rds('snapshot', `${prefix}${id}-${ANY_RECOVERY_POINT}`),
      reason: 'A snapshot is named after its recovery point, at run time.',
    }));
  const vaultCopies = snapshots('daybreak-');
  const describeCopies: Permission = { actions: ['rds:DescribeDBSnapshots'], resources: vaultCopies };
  const listSnapshots: Permission = {
    actions: ['rds:DescribeDBSnapshots'],
    resources: [
      {
        pattern: rds('snapshot', '*'),
        reason: 'Which snapshots are there, and how many the quota leaves, is found by listing, which changes none.',
      },
    ],
  };
  const listInstances: Permission = {
    actions: ['rds:DescribeDBInstances'],
    resources: [
      {
        pattern: rds('db', '*'),
        reason:
          'What a dead restore test left is found by listing; the role can delete only what is named and tagged as one.',
      },
    ],
  };
  // A resource gets its purpose as it is made, and nobody gives it another one, so that what the purpose allows stays so.
  // https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/security_iam_id-based-policy-examples-grant-permissions-tags-on-create.html
  const tagAtCreation = (resources: readonly Resource[], purpose: string, ...others: string[]): Permission => ({
    actions: ['rds:AddTagsToResource'],
    resources,
    conditions: {
      StringEquals: { [`aws:RequestTag/${PURPOSE_TAG}`]: purpose },
      Null: { [`aws:ResourceTag/${PURPOSE_TAG}`]: 'true' },
      'ForAllValues:StringEquals': { 'aws:TagKeys': [PURPOSE_TAG, ...others] },
    },
  });
  // RDS works with a key under a grant that it makes in the caller's name; the caller needs these two. A copy under another
  // key needs them for both, as the policy with which AWS Backup copies RDS snapshots shows.
  // https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Overview.Encryption.Keys.html
  // https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSBackupServiceRolePolicyForBackup.html
  const letRdsUse = (...keyArns: string[]): Permission[] => [
    {
      actions: ['kms:DescribeKey'],
      resources: keyArns,
      conditions: { StringEquals: { 'kms:ViaService': RDS } },
    },
    {
      actions: ['kms:CreateGrant'],
      resources: keyArns,
      conditions: { StringEquals: { 'kms:ViaService': RDS }, Bool: { 'kms:GrantIsForAWSResource': 'true' } },
    },
  ];
  const databaseUser = (resourceId: string, user: string) =>
    `arn:aws:rds-db:${REGION}:${account}:dbuser:${resourceId}/${user}`;

  return {
    on,
    useVaultKey,
    read,
    write,
    list,
    uploadInParts,
    tenantKeys,
    useTenantKeys,
    tenantObjects: objects(vaultBucket, 'tenants/'),
    sign,
    readRootManifest,
    readLedger,
    rds,
    snapshots,
    vaultCopies,
    describeCopies,
    listSnapshots,
    listInstances,
    tagAtCreation,
    letRdsUse,
    databaseUser,
  };
}
