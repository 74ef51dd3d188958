import {
  PURPOSE_TAG,
  RECOVERY_POINT_TAG,
  RESTORE_TEST_INSTANCE_PREFIX,
  RESTORE_TEST_TAG,
} from '../../functions/contracts/vault-layout.ts';
import type { Pattern, Permission, Resource } from '../access/permission.ts';
import { objects, type Reach, type SharedPermissions } from './shared-permissions.ts';
import { defineSteps, GIB, KIB, MIB, MILLION, TIB } from './step.ts';

type Within = Reach & SharedPermissions;

const testInstances = ({ rds }: Within): Pattern => ({
  pattern: rds('db', `${RESTORE_TEST_INSTANCE_PREFIX}*`),
  reason: 'A restored instance is named after its restore test, at run time.',
});
const defaultGroup = (arn: string): Pattern => ({
  pattern: arn,
  reason:
    "A restore without groups of one's own uses RDS's default groups, which are named after the engine's version.",
});
const parameterGroup = ({ configuration, rds }: Within): Resource => {
  const { parameterGroupName } = configuration.restoreTest;
  return parameterGroupName === undefined ? defaultGroup(rds('pg', 'default.*')) : rds('pg', parameterGroupName);
};
const deleteTestInstances = (within: Within): Permission => ({
  actions: ['rds:DeleteDBInstance'],
  resources: [testInstances(within)],
  conditions: { StringEquals: { [`aws:ResourceTag/${PURPOSE_TAG}`]: 'restore-test' } },
});
// Who verifies a copy never logs in to what it is a copy of.
// https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.IAMPolicy.html
const connectToRestored = ({ configuration, databaseUser }: Within): Permission[] => [
  {
    actions: ['rds-db:connect'],
    resources: [...new Set(configuration.databases.map(({ readerUser }) => readerUser))].map(reader => ({
      pattern: databaseUser('*', reader),
      reason:
        'A restored instance has a new resource id, unknown before it exists; the user bounds the role, and the live instances are denied.',
    })),
  },
  {
    effect: 'Deny',
    actions: ['rds-db:connect'],
    resources: [...new Set(configuration.databases.map(({ resourceId }) => databaseUser(resourceId, '*')))],
  },
];

export const RESTORE_TEST_STEPS = defineSteps({
  'restore-test/choose': {
    limits: { timeoutMinutes: 15, memoryMib: 1024, spoolMib: 512 },
    builtFor: { items: 20_000, of: 'ledger entries', bytes: 32 * MIB, payloadBytes: 16 * KIB },
    placement: 'outside',
    callers: ['workflow'],
    environment: 'nothing more',
    permissions: ({ evidenceBucket, readLedger, readRootManifest, read }) => [
      ...readLedger,
      ...readRootManifest,
      ...read(evidenceBucket, 'restore-tests/'),
    ],
  },
  'restore-test/restore-database': {
    limits: { timeoutMinutes: 3, memoryMib: 512, spoolMib: 512 },
    builtFor: { items: 1, of: 'instances', bytes: 16 * MIB, payloadBytes: KIB },
    placement: 'outside',
    callers: ['workflow'],
    environment: 'nothing more',
    permissions: within => {
      const { subnetGroupName, vaultKeyArn, rds } = within;
      const { readRootManifest, vaultCopies, describeCopies, tagAtCreation, letRdsUse } = within;
      return [
        ...readRootManifest,
        describeCopies,
        {
          actions: ['rds:RestoreDBInstanceFromDBSnapshot'],
          resources: [
            ...vaultCopies,
            rds('subgrp', subnetGroupName),
            parameterGroup(within),
            defaultGroup(rds('og', 'default:*')),
          ],
        },
        // What tells an instance from the supplier's own, and bounds who may delete it, is there from the beginning.
        {
          actions: ['rds:RestoreDBInstanceFromDBSnapshot'],
          resources: [testInstances(within)],
          conditions: {
            StringEquals: { [`aws:RequestTag/${PURPOSE_TAG}`]: 'restore-test' },
            Bool: { 'rds:PubliclyAccessible': 'false' },
          },
        },
        tagAtCreation([testInstances(within)], 'restore-test', RESTORE_TEST_TAG, RECOVERY_POINT_TAG),
        { actions: ['rds:DescribeDBInstances'], resources: [testInstances(within)] },
        ...letRdsUse(vaultKeyArn),
      ];
    },
  },
  'restore-test/describe-instance': {
    limits: { timeoutMinutes: 3, memoryMib: 512, spoolMib: 512 },
    builtFor: { items: 1, of: 'instances', bytes: MIB, payloadBytes: KIB },
    placement: 'outside',
    callers: ['workflow'],
    environment: 'nothing more',
    permissions: within => [
      { actions: ['rds:DescribeDBInstances'], resources: [testInstances(within)] },
      { actions: ['rds:DescribeDBParameters'], resources: [parameterGroup(within)] },
    ],
  },
  'restore-test/hydrate': {
    limits: { timeoutMinutes: 15, memoryMib: 1024, spoolMib: 512 },
    builtFor: { items: 20_000, of: 'relations', bytes: 2 * TIB, payloadBytes: KIB },
    placement: 'verifier',
    callers: ['workflow'],
    environment: 'nothing more',
    permissions: within => [
      ...connectToRestored(within),
      within.list(within.workBucket),
      ...within.read(within.workBucket, 'work/'),
      ...within.write(within.workBucket, 'work/'),
    ],
  },
  'restore-test/verify-database': {
    limits: { timeoutMinutes: 15, memoryMib: 2048, spoolMib: 512 },
    builtFor: { items: 5000, of: 'tables', bytes: 2 * TIB, payloadBytes: 128 * KIB },
    placement: 'verifier',
    callers: ['workflow'],
    environment: 'nothing more',
    permissions: within => {
      const { vaultBucket, workBucket, readRootManifest, list, read, write } = within;
      return [
        ...connectToRestored(within),
        ...readRootManifest,
        ...read(vaultBucket, 'fingerprints/'),
        list(workBucket),
        ...read(workBucket, 'work/'),
        ...write(workBucket, 'work/'),
      ];
    },
  },
  'restore-test/plan-objects': {
    limits: { timeoutMinutes: 15, memoryMib: 1024, spoolMib: 512 },
    builtFor: { items: 10_000, of: 'tenants', bytes: 16 * MIB, payloadBytes: KIB },
    placement: 'outside',
    callers: ['workflow'],
    environment: 'nothing more',
    permissions: ({ workBucket, readRootManifest, write }) => [...readRootManifest, ...write(workBucket, 'work/')],
  },
  'restore-test/verify-objects': {
    limits: { timeoutMinutes: 15, memoryMib: 1024, spoolMib: 4096 },
    builtFor: { items: 20 * MILLION, of: 'objects of one tenant', bytes: 10 * TIB, payloadBytes: 64 * KIB },
    placement: 'outside',
    callers: ['workflow'],
    environment: 'nothing more',
    permissions: within => {
      const { vaultBucket, workBucket, tenantKeys, tenantObjects } = within;
      const { on, list, uploadInParts, useVaultKey, useTenantKeys } = within;
      return [
        list(vaultBucket),
        on(['s3:GetObject', 's3:GetObjectVersion'], vaultBucket, 'tenants/', 'shared/'),
        useVaultKey(['kms:Decrypt'], vaultBucket, 'shared/'),
        list(workBucket),
        on(['s3:GetObject', 's3:PutObject'], workBucket, 'scratch/'),
        ...uploadInParts(workBucket, 'scratch/'),
        // Attributes only of copies above 8 GiB that an earlier call made.
        on(['s3:DeleteObjectVersion', 's3:GetObjectAttributes'], workBucket, 'scratch/'),
        { actions: ['kms:DescribeKey'], resources: [tenantKeys] },
        useTenantKeys(['kms:Decrypt'], ...tenantObjects, ...objects(workBucket, 'scratch/')),
        useTenantKeys(['kms:GenerateDataKey'], ...objects(workBucket, 'scratch/')),
      ];
    },
  },
  'restore-test/tear-down': {
    limits: { timeoutMinutes: 15, memoryMib: 1024, spoolMib: 512 },
    builtFor: { items: 10 * MILLION, of: 'scratch objects', bytes: 0, payloadBytes: KIB },
    placement: 'outside',
    callers: ['workflow'],
    environment: 'nothing more',
    permissions: within => [
      within.listInstances,
      deleteTestInstances(within),
      { actions: ['s3:ListBucketVersions'], resources: [`arn:aws:s3:::${within.workBucket}`] },
      within.on(['s3:DeleteObjectVersion'], within.workBucket, 'scratch/'),
    ],
  },
  'restore-test/conclude': {
    limits: { timeoutMinutes: 15, memoryMib: 2048, spoolMib: 512 },
    builtFor: { items: 10_000, of: 'tenants', bytes: GIB, payloadBytes: 224 * KIB },
    placement: 'outside',
    callers: ['workflow'],
    environment: 'nothing more',
    permissions: ({ evidenceBucket, workBucket, read, write }) => [
      ...read(workBucket, 'work/'),
      ...read(evidenceBucket, 'restore-tests/'),
      ...write(evidenceBucket, 'restore-tests/'),
    ],
  },
  'restore-test/remove-abandoned': {
    limits: { timeoutMinutes: 3, memoryMib: 512, spoolMib: 512 },
    builtFor: { items: 40, of: 'instances', bytes: MIB, payloadBytes: 64 * KIB },
    placement: 'outside',
    callers: ['workflow'],
    environment: 'nothing more',
    permissions: within => [within.listInstances, deleteTestInstances(within)],
  },
});
