import {
  PULSE_PREFIX,
  PURPOSE_TAG,
  RECOVERY_POINT_TAG,
  SNAPSHOT_PURPOSES,
} from '../../functions/contracts/vault-layout.ts';
import type { Permission, Resource, Wildcard } from '../access/permission.ts';
import { objects, type Reach, S3, type SharedPermissions } from './shared-permissions.ts';
import { defineSteps, GIB, KIB, MIB, MILLION, TIB } from './step.ts';

type Within = Reach & SharedPermissions;

const sourceInstances = ({ configuration, rds }: Within): string[] => [
  ...new Set(configuration.databases.map(({ instanceId }) => rds('db', instanceId))),
];
const intermediates = ({ snapshots }: Within): Wildcard[] => snapshots('daybreak-intermediate-');
const describeSnapshots = (within: Within): Permission => ({
  actions: ['rds:DescribeDBSnapshots'],
  resources: [...intermediates(within), ...within.vaultCopies],
});
// The tags are those that it has: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonrds.html
const deleteSnapshots = (resources: readonly Resource[], purpose: string): Permission => ({
  actions: ['rds:DeleteDBSnapshot'],
  resources,
  conditions: { StringEquals: { [`aws:ResourceTag/${PURPOSE_TAG}`]: purpose } },
});

const sourceBuckets = ({ configuration }: Within): string[] =>
  configuration.buckets.map(({ name }) => `arn:aws:s3:::${name}`);
const sourceObjects = (within: Within): Wildcard[] =>
  sourceBuckets(within).map(bucketArn => ({
    pattern: `${bucketArn}/*`,
    reason: 'A backup reads every object of a bucket that the configuration names.',
  }));
const listSources = (within: Within): Permission => ({
  actions: ['s3:ListBucket', 's3:ListBucketVersions'],
  resources: sourceBuckets(within),
});
const ofEveryTenant = (vaultBucket: string, ...names: string[]): Wildcard[] =>
  names.map(name => ({
    pattern: `arn:aws:s3:::${vaultBucket}/tenants/*/${name}*`,
    reason:
      "Tenants are found at run time; of each one's part of the vault the role gets what says what is there, and no content.",
  }));

export const BACKUP_STEPS = defineSteps({
  'backup/plan': {
    limits: { timeoutMinutes: 3, memoryMib: 512, spoolMib: 512 },
    builtFor: { items: 40, of: 'databases', bytes: MIB, payloadBytes: 16 * KIB },
    placement: 'outside',
    callers: ['workflow'],
    environment: 'nothing more',
    permissions: within => [{ actions: ['rds:DescribeDBInstances'], resources: sourceInstances(within) }],
  },
  'backup/fingerprint': {
    limits: { timeoutMinutes: 15, memoryMib: 1024, spoolMib: 512 },
    builtFor: { items: 5000, of: 'tables', bytes: 2 * TIB, payloadBytes: KIB },
    placement: 'reader',
    callers: ['workflow'],
    environment: 'nothing more',
    permissions: ({ configuration, vaultBucket, workBucket, databaseUser, list, read, write }) => [
      {
        actions: ['rds-db:connect'],
        resources: [
          ...new Set(configuration.databases.map(({ resourceId, readerUser }) => databaseUser(resourceId, readerUser))),
        ],
      },
      list(vaultBucket),
      ...read(vaultBucket, 'fingerprints/'),
      ...write(vaultBucket, 'fingerprints/'),
      ...read(workBucket, 'work/'),
      ...write(workBucket, 'work/'),
    ],
  },
  'backup/create-snapshot': {
    limits: { timeoutMinutes: 3, memoryMib: 512, spoolMib: 512 },
    builtFor: { items: 1, of: 'instances', bytes: MIB, payloadBytes: KIB },
    placement: 'outside',
    callers: ['workflow'],
    environment: 'nothing more',
    permissions: within => [
      describeSnapshots(within),
      ...within.readRootManifest,
      { actions: ['rds:CreateDBSnapshot'], resources: [...sourceInstances(within), ...intermediates(within)] },
      within.tagAtCreation(intermediates(within), SNAPSHOT_PURPOSES.intermediate, RECOVERY_POINT_TAG),
      { actions: ['rds:DeleteDBSnapshot'], resources: intermediates(within) },
    ],
  },
  'backup/describe-snapshot': {
    limits: { timeoutMinutes: 3, memoryMib: 512, spoolMib: 512 },
    builtFor: { items: 1, of: 'snapshots', bytes: MIB, payloadBytes: KIB },
    placement: 'outside',
    callers: ['workflow'],
    environment: 'nothing more',
    permissions: within => [describeSnapshots(within)],
  },
  'backup/copy-snapshot': {
    limits: { timeoutMinutes: 3, memoryMib: 512, spoolMib: 512 },
    builtFor: { items: 1, of: 'snapshots', bytes: MIB, payloadBytes: KIB },
    placement: 'outside',
    callers: ['workflow'],
    environment: 'nothing more',
    permissions: within => {
      const { configuration, vaultCopies, vaultKeyArn, tagAtCreation, letRdsUse } = within;
      const databaseKeyArns = configuration.databases.flatMap(({ kmsKeyArn }) =>
        kmsKeyArn === null ? [] : [kmsKeyArn],
      );
      return [
        describeSnapshots(within),
        { actions: ['rds:CopyDBSnapshot'], resources: [...intermediates(within), ...vaultCopies] },
        tagAtCreation(vaultCopies, SNAPSHOT_PURPOSES.unproved, RECOVERY_POINT_TAG),
        deleteSnapshots(vaultCopies, SNAPSHOT_PURPOSES.unproved),
        ...letRdsUse(vaultKeyArn, ...new Set(databaseKeyArns)),
      ];
    },
  },
  'backup/delete-intermediate': {
    limits: { timeoutMinutes: 3, memoryMib: 512, spoolMib: 512 },
    builtFor: { items: 1, of: 'snapshots', bytes: MIB, payloadBytes: KIB },
    placement: 'outside',
    callers: ['workflow'],
    environment: 'nothing more',
    permissions: within => [
      describeSnapshots(within),
      { actions: ['rds:DeleteDBSnapshot'], resources: intermediates(within) },
    ],
  },
  'backup/list-tenants': {
    limits: { timeoutMinutes: 15, memoryMib: 1024, spoolMib: 512 },
    builtFor: { items: 10_000, of: 'tenants', bytes: 16 * MIB, payloadBytes: 4 * KIB },
    placement: 'outside',
    callers: ['workflow'],
    environment: 'nothing more',
    permissions: within => {
      const { vaultBucket, workBucket, tenantIdKeyArn, read, write, readRootManifest, readLedger } = within;
      return [
        listSources(within),
        // Which losses are accepted, and what pulse misses: those objects are copied again.
        ...readLedger,
        ...read(workBucket, PULSE_PREFIX),
        { actions: ['s3:GetBucketVersioning'], resources: sourceBuckets(within) },
        ...readRootManifest,
        ...read(vaultBucket, 'fingerprints/', 'tenant-names/'),
        ...write(vaultBucket, 'tenant-names/'),
        { actions: ['kms:GenerateMac'], resources: [tenantIdKeyArn] },
        // What it listed before, and the items of that.
        ...read(workBucket, 'work/'),
        ...write(workBucket, 'work/'),
      ];
    },
  },
  'backup/back-up-tenant': {
    // Two manifests at a time are spooled to disk, 20 million objects in three gigabytes each.
    limits: { timeoutMinutes: 15, memoryMib: 1024, spoolMib: 8192 },
    builtFor: { items: 20 * MILLION, of: 'objects of one tenant', bytes: 10 * TIB, payloadBytes: 32 * KIB },
    placement: 'outside',
    callers: ['workflow'],
    environment: 'nothing more',
    permissions: within => {
      const { configuration, vaultBucket, workBucket, tenantObjects } = within;
      const { on, list, uploadInParts, useVaultKey, useTenantKeys } = within;
      return [
        listSources(within),
        // Of a bucket that keeps versions, each object as it was at the snapshot's moment; of another, as it is.
        {
          actions: ['s3:GetObject', 's3:GetObjectTagging', 's3:GetObjectVersion', 's3:GetObjectVersionTagging'],
          resources: sourceObjects(within),
        },
        {
          actions: ['kms:Decrypt'],
          resources: configuration.buckets.flatMap(({ kmsKeyArns }) => kmsKeyArns),
          conditions: { StringEquals: { 'kms:ViaService': S3 } },
        },
        list(vaultBucket),
        on(['s3:GetObject', 's3:PutObject'], vaultBucket, 'tenants/', 'shared/'),
        useVaultKey(['kms:Decrypt', 'kms:GenerateDataKey'], vaultBucket, 'shared/'),
        ...uploadInParts(vaultBucket, 'tenants/', 'shared/'),
        // Only of copies above 5 GB, whose parts have a checksum each. Of a current version that takes no `…Version` action:
        // https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAttributes.html
        on(['s3:GetObjectAttributes'], vaultBucket, 'tenants/', 'shared/'),
        // What is kept of a manifest that is not finished, under the tenant's key, or else the vault's.
        on(['s3:GetObject', 's3:PutObject'], workBucket, 'work/'),
        useTenantKeys(['kms:Decrypt', 'kms:GenerateDataKey'], ...tenantObjects, ...objects(workBucket, 'work/')),
      ];
    },
  },
  'backup/settle-tenants': {
    limits: { timeoutMinutes: 15, memoryMib: 2048, spoolMib: 4096 },
    builtFor: { items: 10_000, of: 'tenants', bytes: 16 * MIB, payloadBytes: 2 * KIB },
    placement: 'outside',
    callers: ['workflow'],
    environment: 'nothing more',
    permissions: ({ vaultBucket, workBucket, tenantKeys, read, write, useVaultKey, useTenantKeys }) => {
      const manifests = [...objects(vaultBucket, 'shared/manifests/'), ...ofEveryTenant(vaultBucket, 'manifests/')];
      const notCovered = [
        ...objects(vaultBucket, 'shared/not-covered/'),
        ...ofEveryTenant(vaultBucket, 'not-covered/'),
      ];
      return [
        ...read(workBucket, 'work/'),
        ...write(workBucket, 'work/'),
        // Of what is in the vault it sees the manifests and lists alone.
        { actions: ['s3:GetObject'], resources: [...manifests, ...notCovered] },
        { actions: ['s3:PutObject'], resources: notCovered },
        useVaultKey(['kms:Decrypt'], vaultBucket, 'shared/manifests/', 'shared/not-covered/'),
        useVaultKey(['kms:GenerateDataKey'], vaultBucket, 'shared/not-covered/'),
        { actions: ['kms:DescribeKey'], resources: [tenantKeys] },
        useTenantKeys(['kms:Decrypt'], ...ofEveryTenant(vaultBucket, 'manifests/', 'not-covered/')),
        useTenantKeys(['kms:GenerateDataKey'], ...ofEveryTenant(vaultBucket, 'not-covered/')),
      ];
    },
  },
  'backup/complete': {
    limits: { timeoutMinutes: 15, memoryMib: 2048, spoolMib: 512 },
    builtFor: { items: 10_000, of: 'tenants', bytes: GIB, payloadBytes: 64 * KIB },
    placement: 'outside',
    callers: ['workflow'],
    environment: 'nothing more',
    permissions: within => {
      const { vaultBucket, workBucket, signingKeyArn, vaultCopies } = within;
      const { describeCopies, readRootManifest, read, write, sign } = within;
      return [
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
      ];
    },
  },
  'backup/remove-unproved': {
    limits: { timeoutMinutes: 3, memoryMib: 512, spoolMib: 512 },
    builtFor: { items: 1000, of: 'manual snapshots', bytes: 16 * MIB, payloadBytes: 64 * KIB },
    placement: 'outside',
    callers: ['workflow'],
    environment: 'nothing more',
    permissions: within => [
      within.listSnapshots,
      ...within.readRootManifest,
      // What a root manifest names as proved has another purpose, and no role takes that back.
      deleteSnapshots(intermediates(within), SNAPSHOT_PURPOSES.intermediate),
      deleteSnapshots(within.vaultCopies, SNAPSHOT_PURPOSES.unproved),
    ],
  },
});
