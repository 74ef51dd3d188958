import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DisableKeyCommand, KMSClient, ScheduleKeyDeletionCommand } from '@aws-sdk/client-kms';
import {
  AddTagsToResourceCommand,
  CopyDBSnapshotCommand,
  CreateDBInstanceCommand,
  CreateDBParameterGroupCommand,
  CreateDBSnapshotCommand,
  DeleteDBInstanceCommand,
  DeleteDBSnapshotCommand,
  DescribeAccountAttributesCommand,
  DescribeDBInstancesCommand,
  DescribeDBSnapshotAttributesCommand,
  DescribeDBSnapshotsCommand,
  ListTagsForResourceCommand,
  ModifyDBInstanceCommand,
  ModifyDBSnapshotAttributeCommand,
  RemoveTagsFromResourceCommand,
  RestoreDBInstanceFromDBSnapshotCommand,
  StopDBInstanceCommand,
} from '@aws-sdk/client-rds';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RdsState } from '../../../../infra/local/rds/records.ts';
import { callAws } from '../../../../infra/local/rehearsal/call-aws.ts';
import { writtenLines } from '../../../runbooks/written-pages.ts';
import { ACCOUNT, makeLocalRds, type TestRds } from './local-rds.ts';

const arn = (kind: string, id: string) => `arn:aws:rds:eu-west-2:${ACCOUNT}:${kind}:${id}`;
const fault = (name: string, httpStatusCode = 400) =>
  expect.objectContaining({ name, $metadata: expect.objectContaining({ httpStatusCode }) });

let local: TestRds;
let keyArn: string;

const status = {
  instance: (id: string) => async () => (await local.describeInstance(id)).DBInstanceStatus,
  snapshot: (id: string) => async () => (await local.describeSnapshot(id)).Status,
};

async function execute(instanceId: string, sql: string): Promise<unknown[]> {
  const client = await local.rds.connect(instanceId, 'school');
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

async function takeSnapshot(id: string, instanceId = 'prod'): Promise<void> {
  await local.client.send(new CreateDBSnapshotCommand({ DBInstanceIdentifier: instanceId, DBSnapshotIdentifier: id }));
  await local.statusesUntil('available', status.snapshot(id));
}

beforeAll(async () => {
  local = await makeLocalRds();
  keyArn = local.kms.createKeyFromTemplate({}).keyArn;
  await local.createInstance('Prod', { Tags: [{ Key: 'app', Value: 'school & home' }] });
  await execute('prod', `CREATE TABLE note AS SELECT id, md5(id::text) AS body FROM generate_series(1, 5000) AS id`);
});

afterAll(async () => {
  await local.rds.close();
  expect(local.failures).toEqual([]);
  await rm(local.directory, { recursive: true });
});

describe('a database from snapshot to restored copy', () => {
  it('is snapshotted, copied under another key, restored, and deleted', async () => {
    const { client } = local;
    const created = await client.send(
      new CreateDBSnapshotCommand({
        DBInstanceIdentifier: 'prod',
        DBSnapshotIdentifier: 'point-1',
        Tags: [{ Key: 'daybreak:purpose', Value: 'backup' }],
      }),
    );
    expect(created.DBSnapshot).toMatchObject({ Status: 'creating', PercentProgress: 0, SnapshotType: 'manual' });
    expect(created.DBSnapshot?.SnapshotCreateTime).toBeUndefined();
    expect((await local.describeInstance('prod')).DBInstanceStatus).toBe('backing-up');
    expect(await local.statusesUntil('available', status.snapshot('point-1'))).toEqual(['creating', 'available']);
    await execute('prod', 'DELETE FROM note WHERE id > 10');
    const snapshot = await local.describeSnapshot('point-1');
    expect(snapshot).toMatchObject({
      DBInstanceIdentifier: 'prod',
      Engine: 'postgres',
      EngineVersion: '17.10',
      PercentProgress: 100,
      Encrypted: false,
      StorageEncryptionType: 'sse-rds',
      MasterUsername: 'postgres',
      TagList: [{ Key: 'daybreak:purpose', Value: 'backup' }],
    });
    expect(snapshot.OriginalSnapshotCreateTime).toEqual(snapshot.SnapshotCreateTime);

    await client.send(
      new CopyDBSnapshotCommand({
        SourceDBSnapshotIdentifier: arn('snapshot', 'point-1'),
        TargetDBSnapshotIdentifier: 'point-1-vault',
        KmsKeyId: keyArn,
        CopyTags: true,
        Tags: [{ Key: 'more', Value: '1' }],
      }),
    );
    await expect(client.send(new DeleteDBSnapshotCommand({ DBSnapshotIdentifier: 'point-1-vault' }))).rejects.toEqual(
      fault('InvalidDBSnapshotStateFault'),
    );
    expect(await local.statusesUntil('available', status.snapshot('point-1-vault'))).toEqual(['copying', 'available']);
    const copy = await local.describeSnapshot('point-1-vault');
    expect(copy).toMatchObject({
      Encrypted: true,
      StorageEncryptionType: 'sse-kms',
      KmsKeyId: keyArn,
      SourceDBSnapshotIdentifier: arn('snapshot', 'point-1'),
      OriginalSnapshotCreateTime: snapshot.SnapshotCreateTime,
      TagList: [
        { Key: 'daybreak:purpose', Value: 'backup' },
        { Key: 'more', Value: '1' },
      ],
    });
    expect(copy.SnapshotCreateTime?.getTime()).toBeGreaterThan(snapshot.SnapshotCreateTime?.getTime() ?? 0);

    const deleted = await client.send(new DeleteDBSnapshotCommand({ DBSnapshotIdentifier: 'point-1' }));
    expect(deleted.DBSnapshot?.Status).toBe('deleted');
    await expect(local.describeSnapshot('point-1')).rejects.toEqual(fault('DBSnapshotNotFoundFault', 404));
    expect(await readdir(join(local.directory, 'rds', 'snapshots'))).toHaveLength(1);

    await client.send(
      new CreateDBParameterGroupCommand({
        DBParameterGroupName: 'strict',
        DBParameterGroupFamily: 'postgres17',
        Description: 'TLS alone',
      }),
    );
    await client.send(
      new RestoreDBInstanceFromDBSnapshotCommand({
        DBInstanceIdentifier: 'restored',
        DBSnapshotIdentifier: 'point-1-vault',
        DBInstanceClass: 'db.t4g.medium',
        DBSubnetGroupName: 'Isolated',
        VpcSecurityGroupIds: ['sg-1'],
        DBParameterGroupName: 'strict',
        PubliclyAccessible: false,
        MultiAZ: false,
        BackupRetentionPeriod: 0,
        DeletionProtection: false,
        EnableIAMDatabaseAuthentication: true,
        AutoMinorVersionUpgrade: false,
        CopyTagsToSnapshot: false,
        Tags: [{ Key: 'daybreak:purpose', Value: 'restore-test' }],
      }),
    );
    expect((await local.describeInstance('restored')).Endpoint).toBeUndefined();
    expect(await local.statusesUntil('available', status.instance('restored'))).toEqual(['creating', 'available']);
    expect(await local.describeInstance('restored')).toMatchObject({
      DBInstanceClass: 'db.t4g.medium',
      DBSubnetGroup: { DBSubnetGroupName: 'isolated' },
      VpcSecurityGroups: [{ VpcSecurityGroupId: 'sg-1', Status: 'active' }],
      DBParameterGroups: [{ DBParameterGroupName: 'strict' }],
      Endpoint: { Address: 'localhost', Port: expect.any(Number) },
      BackupRetentionPeriod: 0,
      StorageEncrypted: true,
      StorageEncryptionType: 'sse-kms',
      KmsKeyId: keyArn,
      MasterUsername: 'postgres',
      IAMDatabaseAuthenticationEnabled: true,
      AutoMinorVersionUpgrade: false,
      TagList: [{ Key: 'daybreak:purpose', Value: 'restore-test' }],
    });
    const whole = [{ count: 5000, sum: '12502500' }];
    expect(await execute('restored', 'SELECT count(*)::int, sum(id) FROM note')).toEqual(whole);
    expect(await execute('prod', 'SELECT count(*)::int, sum(id) FROM note')).toEqual([{ count: 10, sum: '55' }]);

    await client.send(new DeleteDBInstanceCommand({ DBInstanceIdentifier: 'restored', SkipFinalSnapshot: true }));
    expect((await local.describeInstance('restored')).DBInstanceStatus).toBe('deleting');
    await expect(
      client.send(new DeleteDBInstanceCommand({ DBInstanceIdentifier: 'restored', SkipFinalSnapshot: true })),
    ).rejects.toEqual(fault('InvalidDBInstanceStateFault'));
    await local.clock.sleep(150_000);
    await expect(local.describeInstance('restored')).rejects.toEqual(fault('DBInstanceNotFoundFault', 404));
    expect(
      (await readdir(join(local.directory, 'rds', 'instances'))).filter(name => !name.endsWith('.log')),
    ).toHaveLength(1);
  });

  it('cannot be copied or restored once the key is disabled, or about to be deleted', async () => {
    const { client, kms } = local;
    const doomed = kms.createKeyFromTemplate({}).keyArn;
    await takeSnapshot('sealed-source');
    await client.send(
      new CopyDBSnapshotCommand({
        SourceDBSnapshotIdentifier: 'sealed-source',
        TargetDBSnapshotIdentifier: 'sealed',
        KmsKeyId: doomed,
      }),
    );
    await local.statusesUntil('available', status.snapshot('sealed'));
    const keys = new KMSClient(local.configuration);
    await keys.send(new DisableKeyCommand({ KeyId: doomed }));
    const restore = new RestoreDBInstanceFromDBSnapshotCommand({
      DBInstanceIdentifier: 'never',
      DBSnapshotIdentifier: 'sealed',
    });
    const copy = (KmsKeyId: string, SourceDBSnapshotIdentifier = 'sealed') =>
      new CopyDBSnapshotCommand({ SourceDBSnapshotIdentifier, TargetDBSnapshotIdentifier: 'never', KmsKeyId });
    await expect(client.send(restore)).rejects.toEqual(fault('KMSKeyNotAccessibleFault'));
    await keys.send(new ScheduleKeyDeletionCommand({ KeyId: doomed, PendingWindowInDays: 7 }));
    await expect(client.send(restore)).rejects.toEqual(fault('KMSKeyNotAccessibleFault'));
    await expect(client.send(copy(keyArn))).rejects.toEqual(fault('KMSKeyNotAccessibleFault'));
    await expect(client.send(copy(doomed, 'sealed-source'))).rejects.toEqual(fault('KMSKeyNotAccessibleFault'));
    await expect(client.send(copy('alias/none', 'sealed-source'))).rejects.toEqual(fault('KMSKeyNotAccessibleFault'));
    await expect(local.describeInstance('never')).rejects.toEqual(fault('DBInstanceNotFoundFault', 404));
    await expect(local.describeSnapshot('never')).rejects.toEqual(fault('DBSnapshotNotFoundFault', 404));
  });
});

describe('faults', () => {
  beforeAll(() => takeSnapshot('there'));

  it.each([
    [
      'an instance twice',
      () =>
        new CreateDBInstanceCommand({
          DBInstanceIdentifier: 'PROD',
          DBInstanceClass: 'db.t4g.small',
          Engine: 'postgres',
          MasterUsername: 'a',
          MasterUserPassword: 'long-enough',
        }),
      'DBInstanceAlreadyExistsFault',
      400,
    ],
    [
      'a snapshot twice',
      () => new CreateDBSnapshotCommand({ DBInstanceIdentifier: 'prod', DBSnapshotIdentifier: 'There' }),
      'DBSnapshotAlreadyExistsFault',
      400,
    ],
    [
      'a snapshot of nothing',
      () => new CreateDBSnapshotCommand({ DBInstanceIdentifier: 'none', DBSnapshotIdentifier: 'x' }),
      'DBInstanceNotFoundFault',
      404,
    ],
    [
      'a snapshot named like an automated one',
      () => new CreateDBSnapshotCommand({ DBInstanceIdentifier: 'prod', DBSnapshotIdentifier: 'rds:x' }),
      'InvalidParameterValue',
      400,
    ],
    [
      'a name with two hyphens',
      () => new CreateDBSnapshotCommand({ DBInstanceIdentifier: 'prod', DBSnapshotIdentifier: 'a--b' }),
      'InvalidParameterValue',
      400,
    ],
    [
      'a copy of nothing',
      () => new CopyDBSnapshotCommand({ SourceDBSnapshotIdentifier: 'none', TargetDBSnapshotIdentifier: 'x' }),
      'DBSnapshotNotFoundFault',
      404,
    ],
    [
      'a copy onto another',
      () => new CopyDBSnapshotCommand({ SourceDBSnapshotIdentifier: 'there', TargetDBSnapshotIdentifier: 'there' }),
      'DBSnapshotAlreadyExistsFault',
      400,
    ],
    [
      'a restore onto another',
      () => new RestoreDBInstanceFromDBSnapshotCommand({ DBInstanceIdentifier: 'prod', DBSnapshotIdentifier: 'there' }),
      'DBInstanceAlreadyExistsFault',
      400,
    ],
    [
      'a restore of nothing',
      () => new RestoreDBInstanceFromDBSnapshotCommand({ DBInstanceIdentifier: 'x', DBSnapshotIdentifier: 'none' }),
      'DBSnapshotNotFoundFault',
      404,
    ],
    [
      'the deletion of no instance',
      () => new DeleteDBInstanceCommand({ DBInstanceIdentifier: 'none', SkipFinalSnapshot: true }),
      'DBInstanceNotFoundFault',
      404,
    ],
    [
      'a deletion without a word on the final snapshot',
      () => new DeleteDBInstanceCommand({ DBInstanceIdentifier: 'prod' }),
      'InvalidParameterCombination',
      400,
    ],
    [
      'the deletion of no snapshot',
      () => new DeleteDBSnapshotCommand({ DBSnapshotIdentifier: 'none' }),
      'DBSnapshotNotFoundFault',
      404,
    ],
    [
      'another engine',
      () =>
        new CreateDBInstanceCommand({
          DBInstanceIdentifier: 'x',
          DBInstanceClass: 'db.t4g.small',
          Engine: 'mysql',
          MasterUsername: 'a',
          MasterUserPassword: 'long-enough',
        }),
      'InvalidParameterValue',
      400,
    ],
    [
      'a short password',
      () =>
        new CreateDBInstanceCommand({
          DBInstanceIdentifier: 'x',
          DBInstanceClass: 'db.t4g.small',
          Engine: 'postgres',
          MasterUsername: 'a',
          MasterUserPassword: 'short',
        }),
      'InvalidParameterValue',
      400,
    ],
    [
      'another version',
      () =>
        new CreateDBInstanceCommand({
          DBInstanceIdentifier: 'x',
          DBInstanceClass: 'db.t4g.small',
          Engine: 'postgres',
          EngineVersion: '15',
          MasterUsername: 'a',
          MasterUserPassword: 'long-enough',
        }),
      'InvalidParameterCombination',
      400,
    ],
    [
      'an unknown filter',
      () => new DescribeDBInstancesCommand({ Filters: [{ Name: 'domain', Values: ['x'] }] }),
      'InvalidParameterValue',
      400,
    ],
    [
      'a parameter that is not implemented',
      () =>
        new RestoreDBInstanceFromDBSnapshotCommand({
          DBInstanceIdentifier: 'x',
          DBSnapshotIdentifier: 'there',
          Iops: 3000,
        }),
      'NotImplementedLocally',
      400,
    ],
    [
      'an operation that is not implemented',
      () => new StopDBInstanceCommand({ DBInstanceIdentifier: 'prod' }),
      'NotImplementedLocally',
      400,
    ],
  ])('answer %s', async (_what, command, name, code) => {
    await expect(local.client.send(command() as never)).rejects.toEqual(fault(name, code));
  });

  it('name the parameter or operation that is missing here', async () => {
    const restore = new RestoreDBInstanceFromDBSnapshotCommand({
      DBInstanceIdentifier: 'x',
      DBSnapshotIdentifier: 'there',
      Iops: 3000,
    });
    await expect(local.client.send(restore)).rejects.toThrow(
      'the local cloud does not implement rds:RestoreDBInstanceFromDBSnapshot with the parameter Iops',
    );
    await expect(local.client.send(new StopDBInstanceCommand({ DBInstanceIdentifier: 'prod' }))).rejects.toThrow(
      'the local cloud does not implement rds:StopDBInstance',
    );
  });

  it('refuse a second snapshot while the first is being taken', async () => {
    await local.client.send(
      new CreateDBSnapshotCommand({ DBInstanceIdentifier: 'prod', DBSnapshotIdentifier: 'first' }),
    );
    await expect(
      local.client.send(new CreateDBSnapshotCommand({ DBInstanceIdentifier: 'prod', DBSnapshotIdentifier: 'second' })),
    ).rejects.toEqual(fault('InvalidDBInstanceStateFault'));
    await expect(
      local.client.send(
        new RestoreDBInstanceFromDBSnapshotCommand({ DBInstanceIdentifier: 'x', DBSnapshotIdentifier: 'first' }),
      ),
    ).rejects.toEqual(fault('InvalidDBSnapshotStateFault'));
    await local.statusesUntil('available', status.snapshot('first'));
  });
});

describe('permissions', () => {
  it('are asked on everything that an operation touches, with its tags', async () => {
    local.asked.length = 0;
    await local.client.send(
      new CreateDBSnapshotCommand({
        DBInstanceIdentifier: 'prod',
        DBSnapshotIdentifier: 'asked',
        Tags: [{ Key: 'purpose', Value: 'test' }],
      }),
    );
    expect(local.asked.map(({ action, resource }) => `${action} ${resource}`)).toEqual([
      `rds:CreateDBSnapshot ${arn('db', 'prod')}`,
      `rds:CreateDBSnapshot ${arn('snapshot', 'asked')}`,
      `rds:AddTagsToResource ${arn('snapshot', 'asked')}`,
    ]);
    expect(local.asked[0]?.context).toMatchObject({
      'aws:ResourceTag/app': 'school & home',
      'rds:db-tag/app': 'school & home',
      'aws:RequestTag/purpose': 'test',
      'rds:req-tag/purpose': 'test',
      'aws:TagKeys': ['purpose'],
      'rds:DatabaseClass': 'db.t4g.small',
      'rds:DatabaseEngine': 'postgres',
    });
    await local.statusesUntil('available', status.snapshot('asked'));
  });

  it.each([
    [
      new DeleteDBSnapshotCommand({ DBSnapshotIdentifier: 'asked' }),
      `rds:DeleteDBSnapshot ${arn('snapshot', 'asked')}`,
    ],
    [
      new CopyDBSnapshotCommand({ SourceDBSnapshotIdentifier: 'asked', TargetDBSnapshotIdentifier: 'y' }),
      `rds:CopyDBSnapshot ${arn('snapshot', 'y')}`,
    ],
    [
      new RestoreDBInstanceFromDBSnapshotCommand({
        DBInstanceIdentifier: 'y',
        DBSnapshotIdentifier: 'asked',
        DBSubnetGroupName: 's',
      }),
      `rds:RestoreDBInstanceFromDBSnapshot ${arn('subgrp', 's')}`,
    ],
    [
      new DeleteDBInstanceCommand({ DBInstanceIdentifier: 'prod', SkipFinalSnapshot: true }),
      `rds:DeleteDBInstance ${arn('db', 'prod')}`,
    ],
    [new DescribeDBSnapshotsCommand({}), `rds:DescribeDBSnapshots ${arn('snapshot', '*')}`],
    [
      new DescribeDBInstancesCommand({ DBInstanceIdentifier: 'secret' }),
      `rds:DescribeDBInstances ${arn('db', 'secret')}`,
    ],
  ])('%# change nothing when they lack', async (command, what) => {
    const before = (await local.client.send(new DescribeDBSnapshotsCommand({}))).DBSnapshots?.length;
    local.denied.add(what);
    await expect(local.client.send(command as never)).rejects.toEqual(fault('AccessDenied', 403));
    local.denied.clear();
    expect((await local.client.send(new DescribeDBSnapshotsCommand({}))).DBSnapshots).toHaveLength(before ?? 0);
    expect((await local.describeInstance('prod')).DBInstanceStatus).toBe('available');
  });
});

describe('tags, attributes, changes', () => {
  it('adds, lists and removes tags', async () => {
    const { client } = local;
    const ResourceName = arn('db', 'prod');
    await client.send(
      new AddTagsToResourceCommand({
        ResourceName,
        Tags: [
          { Key: 'new', Value: 'x' },
          { Key: 'app', Value: 'y' },
        ],
      }),
    );
    expect((await client.send(new ListTagsForResourceCommand({ ResourceName }))).TagList).toEqual([
      { Key: 'app', Value: 'y' },
      { Key: 'new', Value: 'x' },
    ]);
    await client.send(new RemoveTagsFromResourceCommand({ ResourceName, TagKeys: ['new', 'absent'] }));
    expect((await local.describeInstance('prod')).TagList).toEqual([{ Key: 'app', Value: 'y' }]);
  });

  it('shares snapshots, but not to everyone when they are encrypted', async () => {
    const { client } = local;
    await takeSnapshot('shared');
    const share = (id: string, ...ValuesToAdd: string[]) =>
      client.send(
        new ModifyDBSnapshotAttributeCommand({ DBSnapshotIdentifier: id, AttributeName: 'restore', ValuesToAdd }),
      );
    await share('shared', '999999999999', 'all');
    await client.send(
      new ModifyDBSnapshotAttributeCommand({
        DBSnapshotIdentifier: 'shared',
        AttributeName: 'restore',
        ValuesToRemove: ['all'],
      }),
    );
    const { DBSnapshotAttributesResult } = await client.send(
      new DescribeDBSnapshotAttributesCommand({ DBSnapshotIdentifier: 'shared' }),
    );
    expect(DBSnapshotAttributesResult?.DBSnapshotAttributes).toEqual([
      { AttributeName: 'restore', AttributeValues: ['999999999999'] },
    ]);
    await expect(share('point-1-vault', 'all')).rejects.toEqual(fault('InvalidParameterValue'));
    await expect(share('shared', 'someone')).rejects.toEqual(fault('InvalidParameterValue'));
  });

  it('changes the master password and deletion protection', async () => {
    const { client } = local;
    await client.send(
      new ModifyDBInstanceCommand({
        DBInstanceIdentifier: 'prod',
        MasterUserPassword: 'another-password',
        DeletionProtection: true,
        ApplyImmediately: true,
      }),
    );
    expect(await local.statusesUntil('available', status.instance('prod'))).toEqual([
      'resetting-master-credentials',
      'available',
    ]);
    await expect(
      client.send(new DeleteDBInstanceCommand({ DBInstanceIdentifier: 'prod', SkipFinalSnapshot: true })),
    ).rejects.toEqual(fault('InvalidParameterCombination'));
    const written = writtenLines().find(({ text }) => text.includes('--no-deletion-protection'));
    const words = written?.text.replace(/\bID\b/, 'prod').split(' ') ?? [];
    await callAws(words.slice(1), local.configuration, new Map());
    expect((await local.describeInstance('prod')).DeletionProtection).toBe(false);
    await local.statusesUntil('available', status.instance('prod'));
  });

  it('pages, filters and counts', async () => {
    const { client } = local;
    for (let number = 0; number < 22; number++) {
      await client.send(
        new CopyDBSnapshotCommand({
          SourceDBSnapshotIdentifier: 'shared',
          TargetDBSnapshotIdentifier: `page-${10 + number}`,
        }),
      );
      await local.rds.settle();
    }
    const all = await client.send(new DescribeDBSnapshotsCommand({ DBInstanceIdentifier: 'prod' }));
    const first = await client.send(new DescribeDBSnapshotsCommand({ DBInstanceIdentifier: 'prod', MaxRecords: 20 }));
    const second = await client.send(
      new DescribeDBSnapshotsCommand({
        DBInstanceIdentifier: 'prod',
        MaxRecords: 20,
        ...(first.Marker ? { Marker: first.Marker } : {}),
      }),
    );
    expect(first.DBSnapshots).toHaveLength(20);
    expect(second.Marker).toBeUndefined();
    expect([...(first.DBSnapshots ?? []), ...(second.DBSnapshots ?? [])]).toEqual(all.DBSnapshots);
    const filtered = await client.send(
      new DescribeDBSnapshotsCommand({ Filters: [{ Name: 'db-snapshot-id', Values: ['page-10', 'page-31', 'none'] }] }),
    );
    expect(filtered.DBSnapshots?.map(({ DBSnapshotIdentifier }) => DBSnapshotIdentifier)).toEqual([
      'page-10',
      'page-31',
    ]);
    const { AccountQuotas } = await client.send(new DescribeAccountAttributesCommand({}));
    expect(AccountQuotas).toContainEqual({
      AccountQuotaName: 'ManualSnapshots',
      Used: all.DBSnapshots?.length,
      Max: 100,
    });
    await local.clock.sleep(200_000);
    await Promise.all(
      Array.from({ length: 22 }, (_, number) =>
        client.send(new DeleteDBSnapshotCommand({ DBSnapshotIdentifier: `page-${10 + number}` })),
      ),
    );
  });
});

describe('a new process', () => {
  it('opens what an earlier one left', async () => {
    await local.rds.close();
    const again = await makeLocalRds({ directory: local.directory });
    try {
      const before = await local.describeSnapshot('point-1-vault');
      expect(await again.describeSnapshot('point-1-vault')).toEqual({ ...before });
      expect((await again.describeInstance('prod')).DBInstanceStatus).toBe('available');
      const client = await again.rds.connect('prod', 'school');
      expect((await client.query('SELECT count(*)::int FROM note')).rows).toEqual([{ count: 10 }]);
      await client.end();
    } finally {
      await again.rds.close();
    }
  });
});

describe('a process that was killed', () => {
  it('leaves what it was making as failed, to be deleted', async () => {
    const stateFile = join(local.directory, 'rds', 'state.json');
    const state = JSON.parse(await readFile(stateFile, 'utf8')) as RdsState;
    for (const { id, ...snapshot } of state.snapshots) {
      if (id === 'point-1-vault')
        state.snapshots.push({ ...snapshot, id: 'half', file: 'half.snapshot', work: 'running' });
    }
    const [prod] = state.instances;
    if (prod) state.instances.push({ ...prod, id: 'half', resourceId: 'db-HALF', work: 'running' });
    await writeFile(stateFile, JSON.stringify(state));
    await writeFile(join(local.directory, 'rds', 'snapshots', 'half.snapshot.draft'), 'x');
    const again = await makeLocalRds({ directory: local.directory });
    try {
      expect((await again.describeSnapshot('half')).Status).toBe('failed');
      expect((await again.describeInstance('half')).DBInstanceStatus).toBe('failed');
      expect(await readdir(join(local.directory, 'rds', 'snapshots'))).not.toContain('half.snapshot.draft');
      await again.client.send(new DeleteDBSnapshotCommand({ DBSnapshotIdentifier: 'half' }));
      await again.client.send(new DeleteDBInstanceCommand({ DBInstanceIdentifier: 'half', SkipFinalSnapshot: true }));
      await again.clock.sleep(150_000);
      await expect(again.describeInstance('half')).rejects.toEqual(fault('DBInstanceNotFoundFault', 404));
      await expect(again.describeSnapshot('half')).rejects.toEqual(fault('DBSnapshotNotFoundFault', 404));
    } finally {
      await again.rds.close();
    }
  });
});

describe('automated backups', () => {
  it('are taken after creation and daily, and expire', async () => {
    const automated = await makeLocalRds();
    const names = async () =>
      (await automated.client.send(new DescribeDBSnapshotsCommand({ SnapshotType: 'automated' }))).DBSnapshots?.map(
        ({ DBSnapshotIdentifier }) => DBSnapshotIdentifier,
      );
    try {
      await automated.createInstance('kept', { BackupRetentionPeriod: 2, PreferredBackupWindow: '04:00-04:30' });
      const seen: (string[] | undefined)[] = [];
      for (let day = 0; day < 4; day++) {
        await automated.clock.advance(24 * 60 * 60 * 1000);
        await automated.rds.settle();
        seen.push((await names()) as string[]);
      }
      expect(seen).toEqual([
        ['rds:kept-2026-11-22-02-35', 'rds:kept-2026-11-22-04-00'],
        ['rds:kept-2026-11-22-02-35', 'rds:kept-2026-11-22-04-00', 'rds:kept-2026-11-23-04-00'],
        ['rds:kept-2026-11-23-04-00', 'rds:kept-2026-11-24-04-00'],
        ['rds:kept-2026-11-24-04-00', 'rds:kept-2026-11-25-04-00'],
      ]);
      await expect(
        automated.client.send(new DeleteDBSnapshotCommand({ DBSnapshotIdentifier: 'rds:kept-2026-11-25-04-00' })),
      ).rejects.toEqual(fault('InvalidDBSnapshotStateFault'));
      await automated.client.send(
        new DeleteDBInstanceCommand({
          DBInstanceIdentifier: 'kept',
          FinalDBSnapshotIdentifier: 'final',
          DeleteAutomatedBackups: true,
        }),
      );
      await automated.rds.settle();
      expect(await names()).toEqual([]);
      expect((await automated.describeSnapshot('final')).SnapshotType).toBe('manual');
    } finally {
      await automated.rds.close();
      expect(automated.failures).toEqual([]);
      await rm(automated.directory, { recursive: true });
    }
  });
});
