import { DescribeDBInstancesCommand, DescribeDBSnapshotsCommand, RDSClient } from '@aws-sdk/client-rds';
import { expect, it } from 'vitest';
import { askRds } from '../../../runbooks/cli/ask-rds.ts';
import { longerAutomatedBackups } from '../../../runbooks/cli/describe-retention.ts';
import { mockClientHere } from '../../fixtures/mock-client.ts';

const rds = mockClientHere(RDSClient);

it('reads every page of snapshots and instances', async () => {
  const page = (name: string, marker?: string) => ({ DBSnapshots: [{ DBSnapshotIdentifier: name }], Marker: marker });
  rds.on(DescribeDBSnapshotsCommand).resolvesOnce(page('one', 'more')).resolvesOnce(page('two'));
  rds.on(DescribeDBInstancesCommand).resolves({ DBInstances: [{ DBInstanceIdentifier: 'app' }] });
  const { look, snapshots, instances } = await askRds();
  expect(look).toBe('From records, compared with the snapshots that RDS lists.');
  expect(snapshots?.map(({ DBSnapshotIdentifier }) => DBSnapshotIdentifier)).toEqual(['one', 'two']);
  expect(instances).toHaveLength(1);
});

it('says where RDS did not answer, and gives out no half of an answer', async () => {
  rds.reset();
  rds.on(DescribeDBSnapshotsCommand).resolves({ DBSnapshots: [] });
  rds.on(DescribeDBInstancesCommand).rejects(new Error('no way there'));
  const { look, snapshots, instances } = await askRds();
  expect(look).toMatch(/^From records; RDS did not answer, so that what is lost may be called kept: .*no way there$/);
  expect([snapshots, instances]).toEqual([null, null]);
});

it("compares the promise with the instances' automated backups", () => {
  const promise = { coolingOffDays: 14, erasureDays: 14, automatedBackupDays: 7, beyondUseDays: 30, goneDays: 120 };
  const databases = ['app', 'app', 'long', 'gone', 'silent'].map(instanceId => ({ instanceId }));
  const instances = [
    { DBInstanceIdentifier: 'app', BackupRetentionPeriod: 7 },
    { DBInstanceIdentifier: 'long', BackupRetentionPeriod: 8 },
    { DBInstanceIdentifier: 'silent' },
    { DBInstanceIdentifier: 'of-others', BackupRetentionPeriod: 35 },
  ];
  const counted = 'and the promise counts with 7 (retention.policy.promise.automatedBackupDays)';
  expect(longerAutomatedBackups({ promise }, databases, instances)).toEqual([
    `RDS keeps automated backups of long for 8 days, ${counted}: say what is so, or shorten them`,
    'RDS has no instance gone: how long its automated backups stay is unknown',
    `RDS keeps automated backups of silent for unknown days, ${counted}: say what is so, or shorten them`,
  ]);
});
