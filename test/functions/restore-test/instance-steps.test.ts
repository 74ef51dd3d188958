import { Readable } from 'node:stream';
import { KMSClient, VerifyCommand } from '@aws-sdk/client-kms';
import {
  DBInstanceNotFoundFault,
  DeleteDBInstanceCommand,
  DescribeDBInstancesCommand,
  DescribeDBParametersCommand,
  DescribeDBSnapshotsCommand,
  InvalidDBInstanceStateFault,
  RDSClient,
  RestoreDBInstanceFromDBSnapshotCommand,
} from '@aws-sdk/client-rds';
import { DeleteObjectsCommand, GetObjectCommand, ListObjectVersionsCommand, S3Client } from '@aws-sdk/client-s3';
import { beforeEach, describe, expect, it } from 'vitest';
import type { RecoveryPoint } from '../../../functions/contracts/recovery-point.ts';
import { handler as describeInstance } from '../../../functions/restore-test/describe-instance.ts';
import { handler as removeAbandoned } from '../../../functions/restore-test/remove-abandoned.ts';
import { handler as restoreDatabase } from '../../../functions/restore-test/restore-database.ts';
import { handler as tearDown } from '../../../functions/restore-test/tear-down.ts';
import { callStep, deployment } from '../../fixtures/deployment.ts';
import { mockClientHere } from '../../fixtures/mock-client.ts';

const rds = mockClientHere(RDSClient);
const s3 = mockClientHere(S3Client);
const kms = mockClientHere(KMSClient);
const ref = { restoreTestId: '20261201t030000z', recoveryPointId: '20261122t023000z', databaseId: 'app' };
const instanceId = 'daybreak-test-app-20261201030000';
const snapshotId = 'daybreak-app-20261122t023000z';
const takenAt = '2026-11-22T02:31:00.000Z';
const metadata = { $metadata: { httpStatusCode: 400 }, message: 'as RDS says it' };
const tags = [
  { Key: 'daybreak:purpose', Value: 'restore-test' },
  { Key: 'daybreak:restore-test', Value: ref.restoreTestId },
  { Key: 'daybreak:recovery-point', Value: ref.recoveryPointId },
];
const recoveryPoint: RecoveryPoint = {
  version: 1,
  recoveryPointId: ref.recoveryPointId,
  scheduledAt: '2026-11-22T02:30:00.000Z',
  completedAt: '2026-11-22T02:40:00.000Z',
  status: 'good',
  databases: [
    {
      databaseId: 'app',
      snapshot: {
        id: snapshotId,
        arn: `arn:aws:rds:eu-west-2:111122223333:snapshot:${snapshotId}`,
        takenAt,
        kmsKeyArn: deployment.vaultKeyArn,
        engineVersion: '17.10',
        allocatedStorageBytes: 0,
      },
      fingerprints: null,
      rowCount: 0,
      failure: null,
    },
  ],
  tenants: [],
  reasons: [],
};

function withRootManifest(signatureValid: boolean): void {
  const signature = { keyArn: deployment.signingKeyArn, algorithm: 'ECDSA_SHA_256', value: 'AAAA' };
  s3.on(GetObjectCommand).callsFake(() => ({
    Body: Readable.from([Buffer.from(JSON.stringify({ document: recoveryPoint, signature }))]),
  }));
  kms.on(VerifyCommand).resolves({ SignatureValid: signatureValid });
}

const noInstances = () => rds.on(DescribeDBInstancesCommand).rejects(new DBInstanceNotFoundFault(metadata));

beforeEach(() => {
  rds.reset();
  s3.reset();
  kms.reset();
});

describe('restore-database', () => {
  const snapshot = { OriginalSnapshotCreateTime: new Date(takenAt), KmsKeyId: deployment.vaultKeyArn };

  it('restores in isolation, without backups, protection or a public address', async () => {
    withRootManifest(true);
    noInstances();
    rds.on(DescribeDBSnapshotsCommand).resolves({ DBSnapshots: [snapshot] });
    rds.on(RestoreDBInstanceFromDBSnapshotCommand).resolves({});
    expect((await callStep(restoreDatabase, ref)).output).toEqual({ instanceId });
    expect(rds.commandCalls(RestoreDBInstanceFromDBSnapshotCommand).map(({ args }) => args[0].input)).toEqual([
      {
        DBInstanceIdentifier: instanceId,
        DBSnapshotIdentifier: snapshotId,
        DBInstanceClass: 'db.t4g.medium',
        DBSubnetGroupName: 'isolated',
        VpcSecurityGroupIds: ['sg-1'],
        PubliclyAccessible: false,
        MultiAZ: false,
        BackupRetentionPeriod: 0,
        DeletionProtection: false,
        EnableIAMDatabaseAuthentication: true,
        AutoMinorVersionUpgrade: false,
        CopyTagsToSnapshot: false,
        Tags: tags,
      },
    ]);
  });

  it('finds what an earlier run of the same test started', async () => {
    rds.on(DescribeDBInstancesCommand).resolves({ DBInstances: [{ TagList: tags }] });
    expect((await callStep(restoreDatabase, ref)).output).toEqual({ instanceId });
  });

  it('waits for the end of what an earlier run is tearing down', async () => {
    rds.on(DescribeDBInstancesCommand).resolves({ DBInstances: [{ TagList: tags, DBInstanceStatus: 'deleting' }] });
    await expect(callStep(restoreDatabase, ref)).rejects.toMatchObject({ name: 'RetryableError' });
  });

  it('refuses an instance of its name that another test or person made', async () => {
    rds.on(DescribeDBInstancesCommand).resolves({ DBInstances: [{ TagList: tags.slice(0, 2) }] });
    await expect(callStep(restoreDatabase, ref)).rejects.toThrow(
      expect.objectContaining({ name: 'RestoreConflictError' }),
    );
  });

  it.each([
    ['gone', []],
    ['taken at another time', [{ ...snapshot, OriginalSnapshotCreateTime: new Date('2026-11-21T02:31:00Z') }]],
    ['under another key', [{ ...snapshot, KmsKeyId: 'another' }]],
  ])('calls a snapshot that is %s altered', async (_name, DBSnapshots) => {
    withRootManifest(true);
    noInstances();
    rds.on(DescribeDBSnapshotsCommand).resolves({ DBSnapshots });
    await expect(callStep(restoreDatabase, ref)).rejects.toThrow(
      expect.objectContaining({ name: 'SnapshotAlteredError' }),
    );
    expect(rds.commandCalls(RestoreDBInstanceFromDBSnapshotCommand)).toEqual([]);
  });

  it('restores nothing that an unsigned root manifest names', async () => {
    withRootManifest(false);
    noInstances();
    await expect(callStep(restoreDatabase, ref)).rejects.toThrow(
      expect.objectContaining({ name: 'RootManifestInvalidError' }),
    );
  });
});

describe('describe-instance', () => {
  const Endpoint = { Address: 'restored.example', Port: 5432 };
  const isolated = {
    DBInstanceStatus: 'available',
    Endpoint,
    DbiResourceId: 'db-COPY',
    PubliclyAccessible: false,
    DBSubnetGroup: { DBSubnetGroupName: 'isolated' },
    VpcSecurityGroups: [{ VpcSecurityGroupId: 'sg-1', Status: 'active' }],
    IAMDatabaseAuthenticationEnabled: true,
    BackupRetentionPeriod: 0,
    EngineVersion: '17.10',
    DBParameterGroups: [{ DBParameterGroupName: 'strict', ParameterApplyStatus: 'in-sync' }],
  };
  beforeEach(() => {
    rds
      .on(DescribeDBParametersCommand)
      .resolves({ Parameters: [{ ParameterName: 'rds.force_ssl', ParameterValue: '1' }] });
  });

  it.each([
    ['creating', { available: false, endpoint: null }],
    ['modifying', { available: false, endpoint: null }],
    ['available', { available: true, endpoint: { host: 'restored.example', port: 5432, resourceId: 'db-COPY' } }],
  ])('answers for one that is %s', async (DBInstanceStatus, answer) => {
    rds.on(DescribeDBInstancesCommand).resolves({ DBInstances: [{ ...isolated, DBInstanceStatus }] });
    expect((await callStep(describeInstance, { instanceId })).output).toEqual(answer);
  });

  it.each([
    ['by its parameter group', '17.10', 'rds.force_ssl', '0', 'rds.force_ssl is 0; it must be 1'],
    ['by default', '14.19', 'work_mem', '4096', 'rds.force_ssl is 0; it must be 1'],
    [
      'of a version that is safe',
      '17.10',
      'ssl_min_protocol_version',
      'TLSv1.1',
      'ssl_min_protocol_version is TLSv1.1; it must be TLSv1.2 or TLSv1.3',
    ],
  ])('refuses one that does not force TLS, %s', async (_what, EngineVersion, ParameterName, ParameterValue, gap) => {
    rds.on(DescribeDBInstancesCommand).resolves({ DBInstances: [{ ...isolated, EngineVersion }] });
    // On the second of two pages.
    rds
      .on(DescribeDBParametersCommand)
      .resolves({ Parameters: [], Marker: 'more' })
      .on(DescribeDBParametersCommand, { DBParameterGroupName: 'strict', Marker: 'more' })
      .resolves({ Parameters: [{ ParameterName, ParameterValue }] });
    await expect(callStep(describeInstance, { instanceId })).rejects.toThrow(
      `instance ${instanceId} is not as it was asked for: in the parameter group strict (restoreTest.parameterGroupName names another) ${gap}; it is torn down without being read`,
    );
  });

  it('waits for what is still to be changed', async () => {
    const PendingModifiedValues = { IAMDatabaseAuthenticationEnabled: true };
    const DBInstances = [{ ...isolated, IAMDatabaseAuthenticationEnabled: false, PendingModifiedValues }];
    rds.on(DescribeDBInstancesCommand).resolves({ DBInstances });
    expect((await callStep(describeInstance, { instanceId })).output).toEqual({ available: false, endpoint: null });
  });

  it.each([
    ['that failed', { DBInstanceStatus: 'incompatible-restore' }, `instance ${instanceId} is incompatible-restore`],
    ['without an endpoint', { DBInstanceStatus: 'available' }, `instance ${instanceId} is available`],
    ['that is public', { ...isolated, PubliclyAccessible: true }, 'not as it was asked for: publicly accessible;'],
    [
      'elsewhere',
      { ...isolated, DBSubnetGroup: { DBSubnetGroupName: 'default' } },
      'not as it was asked for: in another subnet group;',
    ],
    [
      'that others reach',
      { ...isolated, VpcSecurityGroups: [{ VpcSecurityGroupId: 'sg-1' }, { VpcSecurityGroupId: 'sg-2' }] },
      'not as it was asked for: in other security groups;',
    ],
    [
      'without IAM authentication',
      { ...isolated, IAMDatabaseAuthenticationEnabled: false },
      'not as it was asked for: without IAM authentication;',
    ],
    [
      'that is backed up by itself',
      { ...isolated, BackupRetentionPeriod: 7 },
      'not as it was asked for: with automated backups;',
    ],
    [
      'of which nothing is known',
      { DBInstanceStatus: 'available', Endpoint, DbiResourceId: 'db-COPY' },
      'publicly accessible, in another subnet group, in other security groups, without IAM authentication, with automated backups;',
    ],
  ])('throws for one %s', async (_name, instance, message) => {
    rds.on(DescribeDBInstancesCommand).resolves({ DBInstances: [instance] });
    await expect(callStep(describeInstance, { instanceId })).rejects.toThrow(
      expect.objectContaining({ name: 'RestoreFailedError', message: expect.stringContaining(message) }),
    );
  });
});

describe('tear-down', () => {
  const foreign = [
    { DBInstanceIdentifier: 'school-app', DBInstanceStatus: 'available', TagList: tags },
    {
      DBInstanceIdentifier: 'daybreak-test-app-261202030000',
      DBInstanceStatus: 'available',
      TagList: tags.slice(0, 1),
    },
    { DBInstanceIdentifier: 'daybreak-test-mine', DBInstanceStatus: 'available', TagList: [] },
  ];
  const own = { DBInstanceIdentifier: instanceId, DBInstanceStatus: 'available', TagList: tags };

  it('deletes its own instance and scratch objects, nothing else, until nothing is left', async () => {
    let instances = [...foreign, own];
    let versions = [{ Key: `scratch/${ref.restoreTestId}/a`, VersionId: 'null', IsLatest: true }];
    rds.on(DescribeDBInstancesCommand).callsFake(() => ({ DBInstances: instances }));
    rds.on(DeleteDBInstanceCommand).callsFake(() => {
      instances = foreign;
      return {};
    });
    s3.on(ListObjectVersionsCommand, { Prefix: `scratch/${ref.restoreTestId}/` }).callsFake(() => ({
      Versions: versions,
    }));
    s3.on(DeleteObjectsCommand).callsFake(() => {
      versions = [];
      return {};
    });

    expect((await callStep(tearDown, { restoreTestId: ref.restoreTestId })).output).toEqual({ done: false });
    expect((await callStep(tearDown, { restoreTestId: ref.restoreTestId })).output).toEqual({ done: true });
    expect(rds.commandCalls(DeleteDBInstanceCommand).map(({ args }) => args[0].input)).toEqual([
      { DBInstanceIdentifier: instanceId, SkipFinalSnapshot: true, DeleteAutomatedBackups: true },
    ]);
    expect(s3.commandCalls(DeleteObjectsCommand).map(({ args }) => args[0].input.Delete?.Objects)).toEqual([
      [{ Key: `scratch/${ref.restoreTestId}/a`, VersionId: 'null' }],
    ]);
  });

  it('goes on when an instance cannot be deleted yet, and when it is going already', async () => {
    rds.on(DescribeDBInstancesCommand).resolves({ DBInstances: [own] });
    rds.on(DeleteDBInstanceCommand).rejects(new InvalidDBInstanceStateFault(metadata));
    s3.on(ListObjectVersionsCommand).resolves({});
    expect((await callStep(tearDown, { restoreTestId: ref.restoreTestId })).output).toEqual({ done: false });

    rds.on(DescribeDBInstancesCommand).resolves({ DBInstances: [{ ...own, DBInstanceStatus: 'deleting' }] });
    expect((await callStep(tearDown, { restoreTestId: ref.restoreTestId })).output).toEqual({ done: false });
    expect(rds.commandCalls(DeleteDBInstanceCommand)).toHaveLength(1);
  });
});

describe('remove-abandoned', () => {
  it('deletes what a dead test left, says why it keeps the rest, and counts', async () => {
    const left = {
      DBInstanceIdentifier: instanceId,
      DbiResourceId: 'db-LEFT',
      DBInstanceStatus: 'available',
      InstanceCreateTime: new Date('2026-12-01T03:00:00Z'),
      TagList: tags,
    };
    const young = {
      ...left,
      DBInstanceIdentifier: 'daybreak-test-b-261201080000',
      InstanceCreateTime: new Date('2026-12-01T08:00:00Z'),
    };
    rds
      .on(DescribeDBInstancesCommand)
      .resolves({ DBInstances: [left, young, { ...left, DBInstanceIdentifier: 'school-app' }] });
    rds.on(DeleteDBInstanceCommand).resolves({});
    const { output, lines } = await callStep(removeAbandoned, {}, new Date('2026-12-02T04:00:00Z'));
    expect(output).toEqual({
      failure: null,
      drafts: [
        {
          eventId: 'restored-instance/db-LEFT',
          kind: 'restored-instance.removed',
          actor: 'workflow/remove-abandoned',
          subject: instanceId,
          body: { resourceId: 'db-LEFT', restoreTestId: ref.restoreTestId, createdAt: '2026-12-01T03:00:00.000Z' },
        },
      ],
    });
    expect(rds.commandCalls(DeleteDBInstanceCommand).map(({ args }) => args[0].input.DBInstanceIdentifier)).toEqual([
      instanceId,
    ]);
    expect(lines.filter(line => 'reason' in line).map(({ instanceId: id, reason }) => [id, reason])).toEqual([
      [instanceId, `restore test ${ref.restoreTestId} left it behind`],
      ['daybreak-test-b-261201080000', 'a test may still be using it'],
    ]);
    expect(lines.find(line => '_aws' in line)).toMatchObject({ Workflow: 'restore-test', AbandonedInstances: 1 });
  });

  it('drafts the same entry for what a killed run began to delete, and deletes nothing twice', async () => {
    const left = { DBInstanceIdentifier: instanceId, DbiResourceId: 'db-LEFT', TagList: tags };
    const dated = { ...left, InstanceCreateTime: new Date('2026-12-01T03:00:00Z') };
    const later = new Date('2026-12-02T04:00:00Z');
    rds.on(DeleteDBInstanceCommand).resolves({});
    rds.on(DescribeDBInstancesCommand).resolves({ DBInstances: [{ ...dated, DBInstanceStatus: 'available' }] });
    const first = await callStep(removeAbandoned, {}, later);
    rds.on(DescribeDBInstancesCommand).resolves({ DBInstances: [{ ...dated, DBInstanceStatus: 'deleting' }] });
    expect((await callStep(removeAbandoned, {}, later)).output).toEqual(first.output);
    expect(rds.commandCalls(DeleteDBInstanceCommand)).toHaveLength(1);
  });

  it('removes the others where one cannot be deleted, and names why', async () => {
    const left = (DBInstanceIdentifier: string) => ({
      DBInstanceIdentifier,
      DbiResourceId: `db-${DBInstanceIdentifier}`,
      DBInstanceStatus: 'available',
      InstanceCreateTime: new Date('2026-12-01T03:00:00Z'),
      TagList: tags,
    });
    rds.on(DescribeDBInstancesCommand).resolves({
      DBInstances: [left('daybreak-test-a-261201030000'), left('daybreak-test-b-261201030000')],
    });
    rds
      .on(DeleteDBInstanceCommand)
      .resolves({})
      .on(DeleteDBInstanceCommand, { DBInstanceIdentifier: 'daybreak-test-a-261201030000' })
      .rejects(new InvalidDBInstanceStateFault(metadata));
    expect((await callStep(removeAbandoned, {}, new Date('2026-12-03T03:00:00Z'))).output).toMatchObject({
      failure: { error: 'DatabaseResourceBusyError', left: ['daybreak-test-a-261201030000'], passing: true },
      drafts: [{ subject: 'daybreak-test-b-261201030000' }],
    });
    expect(rds.commandCalls(DeleteDBInstanceCommand)).toHaveLength(2);
  });
});
