import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import {
  CopyDBSnapshotCommand,
  CreateDBInstanceCommand,
  CreateDBParameterGroupCommand,
  CreateDBSnapshotCommand,
  DeleteDBInstanceCommand,
  DeleteDBParameterGroupCommand,
  DescribeDBInstancesCommand,
  DescribeDBSnapshotAttributesCommand,
  DescribeDBSnapshotsCommand,
  RestoreDBInstanceFromDBSnapshotCommand,
} from '@aws-sdk/client-rds';
import { answer, type ConformanceCase } from '../case.ts';
import { PREFIX, TAG } from '../names.ts';
import type { Scratch } from '../scratch.ts';

const page = (operation: string) => `https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_${operation}.html`;
const rdsGuide = (name: string) => `https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/${name}.html`;
const WAIT = { everyMs: 30_000, forMs: 90 * 60_000 };

const named = (scratch: Scratch, purpose: string) => `${PREFIX}${scratch.run}-${purpose}`;
const tags = (scratch: Scratch) => [{ Key: TAG, Value: scratch.run }];

async function describeInstance(scratch: Scratch, DBInstanceIdentifier: string) {
  const { DBInstances } = await scratch.rds.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier }));
  return DBInstances?.[0];
}

async function describeSnapshot(scratch: Scratch, DBSnapshotIdentifier: string) {
  const { DBSnapshots } = await scratch.rds.send(new DescribeDBSnapshotsCommand({ DBSnapshotIdentifier }));
  return DBSnapshots?.[0];
}

/** Waits for what was started; the second case that asks for it finds it there. */
async function available(
  scratch: Scratch,
  name: string,
  describe: (
    scratch: Scratch,
    name: string,
  ) => Promise<{ DBInstanceStatus?: string | undefined; Status?: string | undefined } | undefined>,
): Promise<string> {
  const ask = async () => {
    const found = await describe(scratch, name);
    return found?.DBInstanceStatus ?? found?.Status ?? 'missing';
  };
  const { answer: status, afterMs } = await scratch.askUntil('available', ask, WAIT);
  if (afterMs > 1000) scratch.note(`available after ${Math.round(afterMs / 60_000)} min`);
  if (status !== 'available') throw new Error(`${name} is ${status} after ${WAIT.forMs / 60_000} minutes`);
  return name;
}

async function unlessThere(start: Promise<unknown>): Promise<void> {
  const text = await answer(start);
  if (text !== 'done' && !text.includes('AlreadyExists')) throw new Error(`it was not started: ${text}`);
}

async function source(scratch: Scratch): Promise<string> {
  const name = named(scratch, 'source');
  await unlessThere(
    scratch.rds.send(
      new CreateDBInstanceCommand({
        DBInstanceIdentifier: name,
        DBInstanceClass: 'db.t4g.micro',
        Engine: 'postgres',
        AllocatedStorage: 20,
        DBName: 'conformance',
        MasterUsername: 'conformance',
        MasterUserPassword: randomBytes(24).toString('hex'),
        PubliclyAccessible: false,
        BackupRetentionPeriod: 0,
        StorageEncrypted: true,
        KmsKeyId: await scratch.key('first'),
        EnableIAMDatabaseAuthentication: true,
        Tags: tags(scratch),
      }),
    ),
  );
  return available(scratch, name, describeInstance);
}

async function snapshot(scratch: Scratch, purpose: 'snapshot' | 'later' = 'snapshot'): Promise<string> {
  const name = named(scratch, purpose);
  const command = new CreateDBSnapshotCommand({
    DBInstanceIdentifier: await source(scratch),
    DBSnapshotIdentifier: name,
    Tags: tags(scratch),
  });
  await unlessThere(scratch.rds.send(command));
  return available(scratch, name, describeSnapshot);
}

async function copy(scratch: Scratch, purpose: 'copy' | 'later-copy' = 'copy'): Promise<string> {
  const name = named(scratch, purpose);
  const command = new CopyDBSnapshotCommand({
    SourceDBSnapshotIdentifier: await snapshot(scratch, purpose === 'copy' ? 'snapshot' : 'later'),
    TargetDBSnapshotIdentifier: name,
    KmsKeyId: await scratch.key('second'),
    CopyTags: false,
    Tags: tags(scratch),
  });
  await unlessThere(scratch.rds.send(command));
  return available(scratch, name, describeSnapshot);
}

/** A parameter group of this run, of the source's version. */
async function parameterGroup(scratch: Scratch, EngineVersion: string): Promise<string> {
  const DBParameterGroupName = named(scratch, 'parameters');
  const DBParameterGroupFamily = `postgres${EngineVersion.split('.')[0]}`;
  const command = new CreateDBParameterGroupCommand({
    DBParameterGroupName,
    DBParameterGroupFamily,
    Description: 'of a conformance run',
  });
  await unlessThere(scratch.rds.send(command));
  return DBParameterGroupName;
}

/** Snapshots and restores of a small database. They take about an hour and a half. */
export const rdsCases: readonly ConformanceCase[] = [
  {
    service: 'RDS',
    name: 'a manual snapshot has its tags from the start, is under its instance’s key, and shared with nobody',
    restsOn: 'functions/backup/create-snapshot.ts; functions/platform/as-recorded.ts',
    page: page('CreateDBSnapshot'),
    needs: 'rds',
    expected: { type: 'manual', encryption: 'sse-kms', underItsKey: true, tagged: true, shared: [] },
    observe: async scratch => {
      const name = await snapshot(scratch);
      const found = await describeSnapshot(scratch, name);
      const { DBSnapshotAttributesResult } = await scratch.rds.send(
        new DescribeDBSnapshotAttributesCommand({ DBSnapshotIdentifier: name }),
      );
      const shares = (DBSnapshotAttributesResult?.DBSnapshotAttributes ?? [])
        .filter(({ AttributeName }) => AttributeName === 'restore')
        .flatMap(({ AttributeValues = [] }) => AttributeValues);
      return {
        type: found?.SnapshotType ?? null,
        encryption: found?.StorageEncryptionType ?? null,
        underItsKey: found?.KmsKeyId === (await scratch.key('first')),
        tagged: (found?.TagList ?? []).some(({ Key, Value }) => Key === TAG && Value === scratch.run),
        shared: shares,
      };
    },
  },
  {
    service: 'RDS',
    name: 'a snapshot is copied under another key, and keeps the instant at which it was taken',
    restsOn: 'functions/backup/copy-snapshot.ts; functions/platform/rds.ts',
    page: rdsGuide('USER_CopySnapshot'),
    needs: 'rds',
    expected: { underTheOtherKey: true, encryption: 'sse-kms', sameInstant: true },
    observe: async scratch => {
      const [taken, copied] = [
        await describeSnapshot(scratch, await snapshot(scratch)),
        await describeSnapshot(scratch, await copy(scratch)),
      ];
      const instant = (date: Date | undefined) => Math.floor((date?.getTime() ?? Number.NaN) / 1000);
      return {
        underTheOtherKey: copied?.KmsKeyId === (await scratch.key('second')),
        encryption: copied?.StorageEncryptionType ?? null,
        sameInstant: instant(taken?.SnapshotCreateTime) === instant(copied?.OriginalSnapshotCreateTime),
      };
    },
  },
  {
    // RDS tells the full size of a snapshot alone ("This is not the incremental size of the snapshot"), so that the time is
    // noted, and the bill has to say the rest: docs/first-real-account.md.
    service: 'RDS',
    name: 'a later snapshot is copied under the same key while the first copy is there, and both are whole',
    restsOn:
      'functions/backup/copy-snapshot.ts; infra/cost/estimate.ts: each copy but the first is charged for what changed',
    page: rdsGuide('USER_CopySnapshot'),
    needs: 'rds',
    expected: { underTheSameKey: true, bothThere: true },
    observe: async scratch => {
      const first = await describeSnapshot(scratch, await copy(scratch));
      await snapshot(scratch, 'later');
      const startMs = scratch.now().getTime();
      const later = await describeSnapshot(scratch, await copy(scratch, 'later-copy'));
      scratch.note(`the later copy took ${Math.round((scratch.now().getTime() - startMs) / 1000)} s`);
      for (const { DBSnapshotIdentifier, FullSnapshotSizeInBytes } of [first ?? {}, later ?? {}]) {
        if (FullSnapshotSizeInBytes !== undefined) {
          scratch.note(`${DBSnapshotIdentifier}: ${FullSnapshotSizeInBytes} bytes in full`);
        }
      }
      const again = await describeSnapshot(scratch, named(scratch, 'copy'));
      return {
        underTheSameKey: later?.KmsKeyId === first?.KmsKeyId,
        bothThere: later?.Status === 'available' && again?.Status === 'available',
      };
    },
  },
  {
    service: 'RDS',
    name: 'a second snapshot or copy under the same name is refused, and leaves the first',
    restsOn: 'functions/platform/rds.ts: a rerun finds what is there',
    page: page('CreateDBSnapshot'),
    needs: 'rds',
    expected: { snapshot: '400 DBSnapshotAlreadyExistsFault', copy: '400 DBSnapshotAlreadyExistsFault' },
    observe: async scratch => {
      const DBSnapshotIdentifier = await snapshot(scratch);
      const TargetDBSnapshotIdentifier = await copy(scratch);
      const again = { DBInstanceIdentifier: await source(scratch), DBSnapshotIdentifier };
      const copyAgain = {
        SourceDBSnapshotIdentifier: DBSnapshotIdentifier,
        TargetDBSnapshotIdentifier,
        KmsKeyId: await scratch.key('second'),
      };
      return {
        snapshot: await answer(scratch.rds.send(new CreateDBSnapshotCommand(again))),
        copy: await answer(scratch.rds.send(new CopyDBSnapshotCommand(copyAgain))),
      };
    },
  },
  {
    service: 'RDS',
    name: 'an instance is restored into the groups that are named, without automated backups or protection, with IAM authentication, under the snapshot’s key',
    restsOn: 'functions/restore-test/restore-database.ts',
    page: page('RestoreDBInstanceFromDBSnapshot'),
    needs: 'rds',
    expected: {
      retention: 0,
      protection: false,
      iam: true,
      underTheKey: true,
      tagged: true,
      groupWhileInUse: '400 InvalidDBParameterGroupStateFault',
      groups: { subnets: true, security: true, parameters: true },
      gone: '404 DBInstanceNotFoundFault',
    },
    observe: async scratch => {
      const name = named(scratch, 'restored');
      const from = await describeInstance(scratch, await source(scratch));
      const DBSubnetGroupName = from?.DBSubnetGroup?.DBSubnetGroupName;
      const securityOf = (instance: typeof from) =>
        (instance?.VpcSecurityGroups ?? []).map(({ VpcSecurityGroupId = '' }) => VpcSecurityGroupId).sort();
      const VpcSecurityGroupIds = securityOf(from);
      const DBParameterGroupName = await parameterGroup(scratch, from?.EngineVersion ?? '');
      await unlessThere(
        scratch.rds.send(
          new RestoreDBInstanceFromDBSnapshotCommand({
            DBInstanceIdentifier: name,
            DBSnapshotIdentifier: await copy(scratch),
            DBInstanceClass: 'db.t4g.micro',
            BackupRetentionPeriod: 0,
            DeletionProtection: false,
            EnableIAMDatabaseAuthentication: true,
            PubliclyAccessible: false,
            DBSubnetGroupName,
            VpcSecurityGroupIds,
            DBParameterGroupName,
            Tags: tags(scratch),
          }),
        ),
      );
      const found = await describeInstance(scratch, await available(scratch, name, describeInstance));
      const removeGroup = new DeleteDBParameterGroupCommand({ DBParameterGroupName });
      const whileInUse = await answer(scratch.rds.send(removeGroup));
      const remove = { DBInstanceIdentifier: name, SkipFinalSnapshot: true, DeleteAutomatedBackups: true };
      await scratch.rds.send(new DeleteDBInstanceCommand(remove));
      const gone = await scratch.askUntil(
        '404 DBInstanceNotFoundFault',
        () => answer(describeInstance(scratch, name)),
        WAIT,
      );
      await scratch.rds.send(new DeleteDBParameterGroupCommand({ DBParameterGroupName }));
      return {
        groupWhileInUse: whileInUse,
        retention: found?.BackupRetentionPeriod ?? null,
        protection: found?.DeletionProtection ?? null,
        iam: found?.IAMDatabaseAuthenticationEnabled ?? null,
        underTheKey: found?.KmsKeyId === (await scratch.key('second')),
        tagged: (found?.TagList ?? []).some(({ Key, Value }) => Key === TAG && Value === scratch.run),
        groups: {
          subnets: found?.DBSubnetGroup?.DBSubnetGroupName === DBSubnetGroupName,
          security: isDeepStrictEqual(securityOf(found), VpcSecurityGroupIds),
          parameters: found?.DBParameterGroups?.[0]?.DBParameterGroupName === DBParameterGroupName,
        },
        gone: gone.answer,
      };
    },
  },
];
