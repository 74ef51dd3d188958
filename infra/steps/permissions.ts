import type { PolicyStatementProps } from 'aws-cdk-lib/aws-iam';
import { SCHEDULES, scheduleName } from '../../functions/contracts/schedules.ts';
import { STOPPABLE_WORKFLOWS, stoppedRunRuleName } from '../../functions/contracts/stopped-runs.ts';
import { TRAIL_NAME, tamperRuleNames, UNDELIVERED_QUEUE } from '../../functions/contracts/tampering.ts';
import {
  LEDGER_PROJECTION_PREFIX,
  PURPOSE_TAG,
  RECOVERY_POINT_TAG,
  RESTORE_TEST_INSTANCE_PREFIX,
  RESTORE_TEST_TAG,
  SNAPSHOT_PURPOSES,
  TENANT_TAG,
} from '../../functions/contracts/vault-layout.ts';
import type { Step } from '../access/role-names.ts';
import { REGION, type SupplierConfiguration } from '../config/configuration.ts';

/** What steps may be allowed to reach. */
export interface Reach {
  readonly configuration: SupplierConfiguration;
  readonly vaultBucket: string;
  readonly evidenceBucket: string;
  readonly workBucket: string;
  readonly vaultKeyArn: string;
  readonly signingKeyArn: string;
  readonly tenantIdKeyArn: string;
  readonly ledgerKeyArn: string;
  readonly entryKeyArn: string;
  readonly subnetGroupName: string;
  readonly stateMachineArns: readonly string[];
}

/** A statement of a role's policy: it allows, unless it says otherwise. */
export interface Permission {
  /** `Deny` takes away what another statement allows with a `*`. @default Allow */
  readonly effect?: 'Allow' | 'Deny';
  readonly actions: readonly string[];
  readonly resources: readonly string[];
  readonly conditions?: PolicyStatementProps['conditions'];
}

/** `20261122t023000z`, whichever it is: a snapshot is named after its recovery point. */
const ANY_RECOVERY_POINT = '????????t??????z';
const S3 = `s3.${REGION}.amazonaws.com`;
const RDS = `rds.${REGION}.amazonaws.com`;
const objects = (bucket: string, ...prefixes: string[]) => prefixes.map(prefix => `arn:aws:s3:::${bucket}/${prefix}*`);
const throughS3 = (...objectArns: string[]) => ({
  StringEquals: { 'kms:ViaService': S3 },
  StringLike: { 'kms:EncryptionContext:aws:s3:arn': objectArns },
});

/** What each step may do, and nothing else: one entry for each function's own role. */
export function permissionsOf(reach: Reach): Record<Step, readonly Permission[]> {
  const { configuration, vaultBucket, evidenceBucket, workBucket, vaultKeyArn } = reach;
  const { signingKeyArn, ledgerKeyArn, entryKeyArn, tenantIdKeyArn } = reach;
  const { account, databases, buckets } = configuration;

  const on = (actions: readonly string[], bucket: string, ...prefixes: string[]): Permission => ({
    actions,
    resources: objects(bucket, ...prefixes),
  });
  const useVaultKey = (actions: readonly string[], bucket: string, ...prefixes: string[]): Permission => ({
    actions,
    resources: [vaultKeyArn],
    conditions: throughS3(...objects(bucket, ...prefixes)),
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
  const tenantKeys = `arn:aws:kms:${REGION}:${account}:key/*`;
  // Tenants' keys are made at run time, so their ARNs are unknown here. Each one's own policy names the roles as well.
  const useKeys = (actions: readonly string[], ...objectArns: string[]): Permission => ({
    actions,
    resources: [tenantKeys],
    conditions: throughS3(...objectArns),
  });
  const tenantObjects = objects(vaultBucket, 'tenants/');
  const sign = (...keyArns: string[]): Permission => ({ actions: ['kms:Sign'], resources: keyArns });
  const verify: Permission = { actions: ['kms:Verify'], resources: [signingKeyArn] };
  const readRootManifest = [list(vaultBucket), ...read(vaultBucket, 'recovery-points/'), verify];
  const readLedger = [
    list(evidenceBucket),
    list(workBucket),
    ...read(evidenceBucket, 'ledger/'),
    ...read(evidenceBucket, 'heads/'),
    ...read(workBucket, LEDGER_PROJECTION_PREFIX),
    { actions: ['kms:GetPublicKey'], resources: [ledgerKeyArn, entryKeyArn] },
  ];

  // Lambda itself sends there what failed three times. https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
  const leaveUndelivered: Permission = {
    actions: ['sqs:SendMessage'],
    resources: [`arn:aws:sqs:${REGION}:${account}:${UNDELIVERED_QUEUE}`],
  };

  const rds = (kind: string, name: string) => `arn:aws:rds:${REGION}:${account}:${kind}:${name}`;
  const sourceInstances = [...new Set(databases.map(({ instanceId }) => rds('db', instanceId)))];
  const testInstances = rds('db', `${RESTORE_TEST_INSTANCE_PREFIX}*`);
  const testParameterGroup = rds('pg', configuration.restoreTest.parameterGroupName ?? 'default.*');
  // A snapshot is named after one of its instance's databases, which another becomes when that one leaves the configuration.
  const intermediates = databases.map(({ id }) => rds('snapshot', `daybreak-intermediate-${id}-${ANY_RECOVERY_POINT}`));
  const vaultCopies = databases.map(({ id }) => rds('snapshot', `daybreak-${id}-${ANY_RECOVERY_POINT}`));
  const describeCopies: Permission = { actions: ['rds:DescribeDBSnapshots'], resources: vaultCopies };
  const describeSnapshots: Permission = { ...describeCopies, resources: [...intermediates, ...vaultCopies] };
  // The tags are those that it has: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonrds.html
  const deleteSnapshots = (resources: readonly string[], purpose: string): Permission => ({
    actions: ['rds:DeleteDBSnapshot'],
    resources,
    conditions: { StringEquals: { [`aws:ResourceTag/${PURPOSE_TAG}`]: purpose } },
  });
  const listTestInstances: Permission = { actions: ['rds:DescribeDBInstances'], resources: [rds('db', '*')] };
  const deleteTestInstances: Permission = {
    actions: ['rds:DeleteDBInstance'],
    resources: [testInstances],
    conditions: { StringEquals: { [`aws:ResourceTag/${PURPOSE_TAG}`]: 'restore-test' } },
  };
  // A resource gets its purpose as it is made, and nobody gives it another one, so that what the purpose allows stays so.
  // https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/security_iam_id-based-policy-examples-grant-permissions-tags-on-create.html
  const tagAtCreation = (resources: readonly string[], purpose: string, ...others: string[]): Permission => ({
    actions: ['rds:AddTagsToResource'],
    resources,
    conditions: {
      StringEquals: { [`aws:RequestTag/${PURPOSE_TAG}`]: purpose },
      Null: { [`aws:ResourceTag/${PURPOSE_TAG}`]: 'true' },
      'ForAllValues:StringEquals': { 'aws:TagKeys': [PURPOSE_TAG, ...others] },
    },
  });
  const databaseKeyArns = [...new Set(databases.flatMap(({ kmsKeyArn }) => (kmsKeyArn === null ? [] : [kmsKeyArn])))];
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
  // A restored instance's resource id exists only once it is restored, so the user bounds this, and the live ones are
  // taken out: who verifies a copy never logs in to what it is a copy of.
  // https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.IAMPolicy.html
  const readers = [...new Set(databases.map(({ readerUser }) => readerUser))];
  const connectToRestored: Permission[] = [
    { actions: ['rds-db:connect'], resources: readers.map(reader => databaseUser('*', reader)) },
    {
      effect: 'Deny',
      actions: ['rds-db:connect'],
      resources: [...new Set(databases.map(({ resourceId }) => databaseUser(resourceId, '*')))],
    },
  ];

  const sourceBuckets = buckets.map(({ name }) => `arn:aws:s3:::${name}`);
  const sourceObjects = buckets.flatMap(({ name }) => objects(name, ''));
  const sourceKeyArns = buckets.flatMap(({ kmsKeyArns }) => kmsKeyArns);
  const listSources: Permission = { actions: ['s3:ListBucket', 's3:ListBucketVersions'], resources: sourceBuckets };
  const manifests = ['shared/manifests/', 'tenants/*/manifests/'];
  const notCovered = ['shared/not-covered/', 'tenants/*/not-covered/'];
  const multipart = (bucket: string, ...prefixes: string[]): Permission[] => [
    { actions: ['s3:ListBucketMultipartUploads'], resources: [`arn:aws:s3:::${bucket}`] },
    {
      actions: ['s3:AbortMultipartUpload', 's3:ListMultipartUploadParts'],
      resources: objects(bucket, ...prefixes),
    },
  ];

  return {
    'backup/plan': [{ actions: ['rds:DescribeDBInstances'], resources: sourceInstances }],
    'backup/fingerprint': [
      {
        actions: ['rds-db:connect'],
        resources: [...new Set(databases.map(({ resourceId, readerUser }) => databaseUser(resourceId, readerUser)))],
      },
      list(vaultBucket),
      ...read(vaultBucket, 'fingerprints/'),
      ...write(vaultBucket, 'fingerprints/'),
      ...read(workBucket, 'work/'),
      ...write(workBucket, 'work/'),
    ],
    'backup/create-snapshot': [
      describeSnapshots,
      ...readRootManifest,
      { actions: ['rds:CreateDBSnapshot'], resources: [...sourceInstances, ...intermediates] },
      tagAtCreation(intermediates, SNAPSHOT_PURPOSES.intermediate, RECOVERY_POINT_TAG),
      { actions: ['rds:DeleteDBSnapshot'], resources: intermediates },
    ],
    'backup/describe-snapshot': [describeSnapshots],
    'backup/copy-snapshot': [
      describeSnapshots,
      { actions: ['rds:CopyDBSnapshot'], resources: [...intermediates, ...vaultCopies] },
      tagAtCreation(vaultCopies, SNAPSHOT_PURPOSES.unproved, RECOVERY_POINT_TAG),
      deleteSnapshots(vaultCopies, SNAPSHOT_PURPOSES.unproved),
      ...letRdsUse(vaultKeyArn, ...databaseKeyArns),
    ],
    'backup/delete-intermediate': [describeSnapshots, { actions: ['rds:DeleteDBSnapshot'], resources: intermediates }],
    'backup/list-tenants': [
      listSources,
      { actions: ['s3:GetBucketVersioning'], resources: sourceBuckets },
      ...readRootManifest,
      ...read(vaultBucket, 'fingerprints/', 'tenant-names/'),
      ...write(vaultBucket, 'tenant-names/'),
      { actions: ['kms:GenerateMac'], resources: [tenantIdKeyArn] },
      // What it listed before, and the items of that.
      ...read(workBucket, 'work/'),
      ...write(workBucket, 'work/'),
    ],
    'backup/back-up-tenant': [
      listSources,
      // Of a bucket that keeps versions, each object as it was at the snapshot's moment; of another, as it is.
      {
        actions: ['s3:GetObject', 's3:GetObjectTagging', 's3:GetObjectVersion', 's3:GetObjectVersionTagging'],
        resources: sourceObjects,
      },
      ...(sourceKeyArns.length === 0
        ? []
        : [
            {
              actions: ['kms:Decrypt'],
              resources: sourceKeyArns,
              conditions: { StringEquals: { 'kms:ViaService': S3 } },
            },
          ]),
      list(vaultBucket),
      on(['s3:GetObject', 's3:PutObject'], vaultBucket, 'tenants/', 'shared/'),
      useVaultKey(['kms:Decrypt', 'kms:GenerateDataKey'], vaultBucket, 'shared/'),
      ...multipart(vaultBucket, 'tenants/', 'shared/'),
      // Only of copies above 5 GB, whose parts have a checksum each. Of a current version that takes no `…Version` action:
      // https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAttributes.html
      { actions: ['s3:GetObjectAttributes'], resources: objects(vaultBucket, 'tenants/', 'shared/') },
      // What is kept of a manifest that is not finished, under the tenant's key, or else the vault's.
      on(['s3:GetObject', 's3:PutObject'], workBucket, 'work/'),
      useKeys(['kms:Decrypt', 'kms:GenerateDataKey'], ...tenantObjects, ...objects(workBucket, 'work/')),
    ],
    'backup/settle-tenants': [
      ...read(workBucket, 'work/'),
      ...write(workBucket, 'work/'),
      // Of what is in the vault it sees the manifests and lists alone.
      on(['s3:GetObject'], vaultBucket, ...manifests, ...notCovered),
      on(['s3:PutObject'], vaultBucket, ...notCovered),
      useVaultKey(['kms:Decrypt'], vaultBucket, 'shared/manifests/', 'shared/not-covered/'),
      useVaultKey(['kms:GenerateDataKey'], vaultBucket, 'shared/not-covered/'),
      { actions: ['kms:DescribeKey'], resources: [tenantKeys] },
      useKeys(['kms:Decrypt'], ...objects(vaultBucket, 'tenants/*/manifests/', 'tenants/*/not-covered/')),
      useKeys(['kms:GenerateDataKey'], ...objects(vaultBucket, 'tenants/*/not-covered/')),
    ],
    'backup/complete': [
      describeCopies,
      {
        actions: ['rds:AddTagsToResource'],
        resources: vaultCopies,
        conditions: {
          StringEquals: { [`aws:RequestTag/${PURPOSE_TAG}`]: SNAPSHOT_PURPOSES.proved },
          'ForAllValues:StringEquals': { 'aws:TagKeys': [PURPOSE_TAG] },
        },
      },
      ...readRootManifest,
      ...read(vaultBucket, 'fingerprints/'),
      ...write(vaultBucket, 'recovery-points/'),
      ...read(workBucket, 'work/'),
      sign(signingKeyArn),
    ],
    'backup/remove-unproved': [
      { actions: ['rds:DescribeDBSnapshots'], resources: [rds('snapshot', '*')] },
      ...readRootManifest,
      // What a root manifest names as proved has another purpose, and no role takes that back.
      deleteSnapshots(intermediates, SNAPSHOT_PURPOSES.intermediate),
      deleteSnapshots(vaultCopies, SNAPSHOT_PURPOSES.unproved),
    ],
    'tenants/ensure-key': [
      { actions: ['kms:ListAliases', 'kms:ListKeys'], resources: ['*'] },
      // A tenant's key is one for encryption, tagged as such, and has no replica in another Region.
      // https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html
      {
        actions: ['kms:CreateKey'],
        resources: ['*'],
        conditions: {
          StringEquals: { 'kms:KeySpec': 'SYMMETRIC_DEFAULT', [`aws:RequestTag/${PURPOSE_TAG}`]: 'tenant' },
          Bool: { 'kms:MultiRegion': 'false' },
        },
      },
      // Tags that a key is created with need it for all keys, as the new one has no ARN yet.
      // https://docs.aws.amazon.com/kms/latest/developerguide/tag-permissions.html
      {
        actions: ['kms:TagResource'],
        resources: [tenantKeys],
        conditions: {
          StringEquals: { [`aws:RequestTag/${PURPOSE_TAG}`]: 'tenant' },
          // Keys that have a purpose, the vault's and the signing key among them, keep it.
          Null: { [`aws:ResourceTag/${PURPOSE_TAG}`]: 'true' },
          'ForAllValues:StringEquals': { 'aws:TagKeys': [PURPOSE_TAG, TENANT_TAG] },
        },
      },
      {
        actions: ['kms:CreateAlias', 'kms:DescribeKey', 'kms:ListResourceTags'],
        resources: [tenantKeys],
      },
      { actions: ['kms:CreateAlias'], resources: [`arn:aws:kms:${REGION}:${account}:alias/daybreak/tenant/*`] },
      list(vaultBucket),
      list(workBucket),
      ...read(workBucket, 'work/tenant-keys/'),
      ...write(workBucket, 'work/tenant-keys/'),
    ],
    'evidence/append-entry': [
      ...readLedger,
      ...read(evidenceBucket, 'segments/'),
      ...write(evidenceBucket, 'ledger/', 'segments/', 'heads/'),
      ...write(workBucket, LEDGER_PROJECTION_PREFIX),
      sign(ledgerKeyArn, entryKeyArn),
      leaveUndelivered,
    ],
    'evidence/record-tampering': [
      ...readLedger,
      ...write(evidenceBucket, 'ledger/'),
      sign(entryKeyArn),
      leaveUndelivered,
    ],
    'restore-test/choose': [...readLedger, ...readRootManifest, ...read(evidenceBucket, 'restore-tests/')],
    'restore-test/restore-database': [
      ...readRootManifest,
      describeCopies,
      {
        actions: ['rds:RestoreDBInstanceFromDBSnapshot'],
        resources: [...vaultCopies, rds('subgrp', reach.subnetGroupName), testParameterGroup, rds('og', 'default:*')],
      },
      // What tells an instance from the supplier's own, and bounds who may delete it, is there from the beginning.
      {
        actions: ['rds:RestoreDBInstanceFromDBSnapshot'],
        resources: [testInstances],
        conditions: {
          StringEquals: { [`aws:RequestTag/${PURPOSE_TAG}`]: 'restore-test' },
          Bool: { 'rds:PubliclyAccessible': 'false' },
        },
      },
      tagAtCreation([testInstances], 'restore-test', RESTORE_TEST_TAG, RECOVERY_POINT_TAG),
      { actions: ['rds:DescribeDBInstances'], resources: [testInstances] },
      ...letRdsUse(vaultKeyArn),
    ],
    'restore-test/describe-instance': [
      { actions: ['rds:DescribeDBInstances'], resources: [testInstances] },
      { actions: ['rds:DescribeDBParameters'], resources: [testParameterGroup] },
    ],
    'restore-test/hydrate': [
      ...connectToRestored,
      list(workBucket),
      ...read(workBucket, 'work/'),
      ...write(workBucket, 'work/'),
    ],
    'restore-test/verify-database': [
      ...connectToRestored,
      ...readRootManifest,
      ...read(vaultBucket, 'fingerprints/'),
      list(workBucket),
      ...read(workBucket, 'work/'),
      ...write(workBucket, 'work/'),
    ],
    'restore-test/plan-objects': [...readRootManifest, ...write(workBucket, 'work/')],
    'restore-test/verify-objects': [
      list(vaultBucket),
      on(['s3:GetObject', 's3:GetObjectVersion'], vaultBucket, 'tenants/', 'shared/'),
      useVaultKey(['kms:Decrypt'], vaultBucket, 'shared/'),
      list(workBucket),
      on(['s3:GetObject', 's3:PutObject'], workBucket, 'scratch/'),
      ...multipart(workBucket, 'scratch/'),
      {
        // Attributes only of copies above 8 GiB that an earlier call made.
        actions: ['s3:DeleteObjectVersion', 's3:GetObjectAttributes'],
        resources: objects(workBucket, 'scratch/'),
      },
      { actions: ['kms:DescribeKey'], resources: [tenantKeys] },
      useKeys(['kms:Decrypt'], ...tenantObjects, ...objects(workBucket, 'scratch/')),
      useKeys(['kms:GenerateDataKey'], ...objects(workBucket, 'scratch/')),
    ],
    'restore-test/tear-down': [
      listTestInstances,
      deleteTestInstances,
      { actions: ['s3:ListBucketVersions'], resources: [`arn:aws:s3:::${workBucket}`] },
      { actions: ['s3:DeleteObjectVersion'], resources: objects(workBucket, 'scratch/') },
    ],
    'restore-test/conclude': [
      ...read(workBucket, 'work/'),
      ...read(evidenceBucket, 'restore-tests/'),
      ...write(evidenceBucket, 'restore-tests/'),
    ],
    'restore-test/remove-abandoned': [listTestInstances, deleteTestInstances],
    'pulse/read-back': [
      ...readLedger,
      ...readRootManifest,
      ...read(evidenceBucket, 'restore-tests/'),
      ...read(workBucket, 'pulse/'),
      ...write(workBucket, 'pulse/'),
      // What holds an object can be read without reading the object.
      {
        actions: ['s3:GetObjectRetention'],
        resources: objects(vaultBucket, 'recovery-points/', 'tenants/', 'shared/'),
      },
      { actions: ['rds:DescribeDBSnapshots'], resources: [rds('snapshot', '*')] },
      { actions: ['rds:DescribeDBSnapshotAttributes'], resources: vaultCopies },
      listTestInstances,
      { actions: ['rds:DescribeDBParameters'], resources: [rds('pg', '*')] },
      { actions: ['rds:DescribeAccountAttributes', 'kms:ListKeys'], resources: ['*'] },
      { actions: ['kms:DescribeKey', 'kms:GetKeyPolicy'], resources: [tenantKeys] },
      {
        actions: ['s3:GetBucketPolicy'],
        resources: [vaultBucket, evidenceBucket, workBucket].map(bucket => `arn:aws:s3:::${bucket}`),
      },
      {
        actions: ['events:DescribeRule'],
        resources: [...tamperRuleNames(), ...STOPPABLE_WORKFLOWS.map(stoppedRunRuleName)].map(
          name => `arn:aws:events:${REGION}:${account}:rule/${name}`,
        ),
      },
      {
        actions: ['cloudtrail:GetTrailStatus'],
        resources: [`arn:aws:cloudtrail:${REGION}:${account}:trail/${TRAIL_NAME}`],
      },
      {
        actions: ['scheduler:GetSchedule'],
        resources: SCHEDULES.map(id => `arn:aws:scheduler:${REGION}:${account}:schedule/default/${scheduleName(id)}`),
      },
    ],
    'workflows/start-execution': [
      { actions: ['states:StartExecution'], resources: reach.stateMachineArns },
      {
        actions: ['states:DescribeExecution'],
        resources: reach.stateMachineArns.map(arn => `${arn.replace(':stateMachine:', ':execution:')}:*`),
      },
    ],
  };
}
