import { Readable } from 'node:stream';
import { KMSClient, VerifyCommand } from '@aws-sdk/client-kms';
import {
  CopyDBSnapshotCommand,
  CreateDBSnapshotCommand,
  DBInstanceNotFoundFault,
  DBSnapshotAlreadyExistsFault,
  DBSnapshotNotFoundFault,
  DeleteDBSnapshotCommand,
  DescribeDBInstancesCommand,
  DescribeDBSnapshotsCommand,
  InvalidDBInstanceStateFault,
  RDSClient,
  SnapshotQuotaExceededFault,
} from '@aws-sdk/client-rds';
import { GetObjectCommand, NoSuchKey, S3Client } from '@aws-sdk/client-s3';
import { beforeEach, describe, expect, it } from 'vitest';
import { handler as copySnapshot } from '../../../functions/backup/copy-snapshot.ts';
import { handler as createSnapshot } from '../../../functions/backup/create-snapshot.ts';
import { handler as deleteIntermediate } from '../../../functions/backup/delete-intermediate.ts';
import { handler as describeSnapshot } from '../../../functions/backup/describe-snapshot.ts';
import { handler as plan } from '../../../functions/backup/plan.ts';
import { callStep, deployment } from '../../fixtures/deployment.ts';
import { mockClientHere } from '../../fixtures/mock-client.ts';

const rds = mockClientHere(RDSClient);
const s3 = mockClientHere(S3Client);
const kms = mockClientHere(KMSClient);
const recoveryPointId = '20261122t023000z';
const instanceRef = { recoveryPointId, instanceId: 'school-app' };
const ref = { ...instanceRef, measuredAt: '2026-11-22T02:35:00.000Z' };
const intermediate = 'daybreak-intermediate-app-20261122t023000z';
const copy = 'daybreak-app-20261122t023000z';
const metadata = { $metadata: { httpStatusCode: 400 }, message: 'as RDS says it' };
const notFound = () => new DBSnapshotNotFoundFault(metadata);
const arn = (id: string) => `arn:aws:rds:eu-west-2:111122223333:snapshot:${id}`;
const proven = { Status: 'available', StorageEncryptionType: 'sse-kms', KmsKeyId: deployment.vaultKeyArn } as const;

/** Lets RDS know these snapshots and no others. */
function withSnapshots(snapshots: Record<string, object>): void {
  rds.on(DescribeDBSnapshotsCommand).callsFake(({ DBSnapshotIdentifier: id }: { DBSnapshotIdentifier: string }) => {
    const known = snapshots[id];
    if (known === undefined) throw notFound();
    return { DBSnapshots: [{ DBSnapshotIdentifier: id, DBSnapshotArn: arn(id), ...known }] };
  });
}

beforeEach(() => {
  for (const client of [rds, s3, kms]) client.reset();
  s3.on(GetObjectCommand).rejects(new NoSuchKey({ $metadata: { httpStatusCode: 404 }, message: 'as S3 says it' }));
});

describe('plan', () => {
  it('names the recovery point and the endpoint of each database', async () => {
    rds.on(DescribeDBInstancesCommand).resolves({ DBInstances: [{ Endpoint: { Address: 'db.example', Port: 5432 } }] });
    const { output } = await callStep(plan, { scheduledAt: '2026-11-22T02:30:00.000Z' });
    expect(output).toEqual({
      recoveryPointId: '20261122t023000z',
      scheduledAt: '2026-11-22T02:30:00.000Z',
      instances: [
        {
          ...instanceRef,
          databases: [{ recoveryPointId, databaseId: 'app', endpoint: { host: 'db.example', port: 5432 } }],
        },
      ],
    });
  });

  it.each([
    ['has no endpoint', () => rds.on(DescribeDBInstancesCommand).resolves({ DBInstances: [{}] })],
    ['is gone', () => rds.on(DescribeDBInstancesCommand).rejects(new DBInstanceNotFoundFault(metadata))],
  ])('leaves out a database whose instance %s, and says so', async (_name, arrange) => {
    arrange();
    const { output, lines } = await callStep(plan, { scheduledAt: '2026-11-22T02:30:00.000Z' });
    expect(output).toMatchObject({ recoveryPointId: '20261122t023000z', instances: [] });
    expect(lines[0]).toMatchObject({ level: 'error', databaseIds: ['app'], instanceId: 'school-app' });
  });

  it.each([
    ['has not come yet', '2026-11-22T02:35:00.001Z', '2026-11-22T02:35:00.001Z has not come yet'],
    ['is of another day', '2026-11-20T02:29:59.999Z', 'more than 48 hours ago'],
  ])('refuses an instant that %s', async (_name, scheduledAt, message) => {
    await expect(callStep(plan, { scheduledAt })).rejects.toMatchObject({
      name: 'ScheduledInstantError',
      message: expect.stringContaining(message),
    });
  });

  it.each(['2026-11-22T02:35:00.000Z', '2026-11-20T02:30:00.000Z'])('takes one that is just not: %s', async instant => {
    rds.on(DescribeDBInstancesCommand).resolves({ DBInstances: [] });
    expect((await callStep(plan, { scheduledAt: instant })).output).toMatchObject({ scheduledAt: instant });
  });

  it('refuses an instant that is none', async () => {
    await expect(callStep(plan, { scheduledAt: 'tomorrow' })).rejects.toThrow(
      expect.objectContaining({ name: 'InvalidInputError' }),
    );
  });
});

describe('create-snapshot', () => {
  it('starts the intermediate snapshot, tagged with its recovery point', async () => {
    withSnapshots({});
    rds.on(CreateDBSnapshotCommand).resolves({});
    expect((await callStep(createSnapshot, ref)).output).toEqual({ snapshotId: intermediate });
    expect(rds.commandCalls(CreateDBSnapshotCommand).map(({ args }) => args[0].input)).toEqual([
      {
        DBInstanceIdentifier: 'school-app',
        DBSnapshotIdentifier: intermediate,
        Tags: [
          { Key: 'daybreak:purpose', Value: 'intermediate' },
          { Key: 'daybreak:recovery-point', Value: ref.recoveryPointId },
        ],
      },
    ]);
  });

  it('takes none for another day than its recovery point’s', async () => {
    withSnapshots({});
    const redriven = callStep(createSnapshot, ref, new Date('2026-11-24T02:30:00.001Z'));
    await expect(redriven).rejects.toMatchObject({ name: 'ScheduledInstantError' });
    expect(rds.commandCalls(CreateDBSnapshotCommand)).toEqual([]);
  });

  it('finds what an earlier run started', async () => {
    withSnapshots({ [intermediate]: { Status: 'creating' } });
    rds.on(CreateDBSnapshotCommand).rejects(new DBSnapshotAlreadyExistsFault(metadata));
    expect((await callStep(createSnapshot, ref)).output).toEqual({ snapshotId: intermediate });
  });

  it('answers with the copy once there is one, and snapshots nothing anew', async () => {
    withSnapshots({ [copy]: { Status: 'copying' } });
    expect((await callStep(createSnapshot, ref)).output).toEqual({ snapshotId: copy });
    expect(rds.commandCalls(CreateDBSnapshotCommand)).toEqual([]);
  });

  it('replaces a failed snapshot', async () => {
    withSnapshots({ [intermediate]: { Status: 'failed' } });
    rds.on(DeleteDBSnapshotCommand).resolves({});
    rds.on(CreateDBSnapshotCommand).resolves({});
    await callStep(createSnapshot, ref);
    expect(rds.commandCalls(DeleteDBSnapshotCommand).map(({ args }) => args[0].input.DBSnapshotIdentifier)).toEqual([
      intermediate,
    ]);
    expect(rds.commandCalls(CreateDBSnapshotCommand)).toHaveLength(1);
  });

  it('keeps the copy of what nothing can prove, and takes another snapshot', async () => {
    const early = { OriginalSnapshotCreateTime: new Date('2026-11-22T02:33:59Z') };
    withSnapshots({ [copy]: { Status: 'available', ...early }, [intermediate]: { Status: 'available', ...early } });
    rds.on(DeleteDBSnapshotCommand).resolves({});
    rds.on(CreateDBSnapshotCommand).resolves({});
    expect((await callStep(createSnapshot, ref)).output).toEqual({ snapshotId: intermediate });
    expect(rds.commandCalls(DeleteDBSnapshotCommand).map(({ args }) => args[0].input.DBSnapshotIdentifier)).toEqual([
      intermediate,
    ]);
    expect(rds.commandCalls(CreateDBSnapshotCommand)).toHaveLength(1);
  });

  describe('where the root manifest names a snapshot', () => {
    const named = { id: copy, arn: arn(copy), takenAt: '2026-11-22T02:40:00.000Z', kmsKeyArn: deployment.vaultKeyArn };
    const withManifest = (failure: string | null) => {
      const snapshot = { ...named, engineVersion: '17.2', allocatedStorageBytes: 1 };
      const document = {
        version: 1,
        recoveryPointId: ref.recoveryPointId,
        scheduledAt: '2026-11-22T02:30:00.000Z',
        completedAt: '2026-11-22T03:00:00.000Z',
        status: failure === null ? 'good' : 'incomplete',
        databases: [{ databaseId: 'app', snapshot, fingerprints: null, rowCount: 0, failure }],
        tenants: [],
        reasons: [],
      };
      const signature = { keyArn: deployment.signingKeyArn, algorithm: 'ECDSA_SHA_256', value: 'AAAA' };
      s3.on(GetObjectCommand).callsFake(() => ({
        Body: Readable.from([Buffer.from(JSON.stringify({ document, signature }))]),
      }));
      kms.on(VerifyCommand).resolves({ SignatureValid: true });
    };

    it.each([
      ['nothing', {}],
      ['another snapshot', { [intermediate]: { OriginalSnapshotCreateTime: new Date('2026-11-22T02:41:00Z') } }],
    ])('takes no other one for it where %s is there', async (_name, snapshots) => {
      withManifest(null);
      withSnapshots(snapshots);
      await expect(callStep(createSnapshot, ref)).rejects.toMatchObject({
        name: 'SnapshotGoneError',
        message: expect.stringContaining(copy),
      });
      expect(rds.commandCalls(CreateDBSnapshotCommand)).toEqual([]);
    });

    it('lets its copy be made again from the very snapshot that it was copied from', async () => {
      withManifest(null);
      withSnapshots({ [intermediate]: { Status: 'available', SnapshotCreateTime: new Date(named.takenAt) } });
      expect((await callStep(createSnapshot, ref)).output).toEqual({ snapshotId: intermediate });
      expect(rds.commandCalls(CreateDBSnapshotCommand)).toEqual([]);
    });

    it('takes another one for what was not proved', async () => {
      withManifest('DatabaseUnavailableError');
      withSnapshots({});
      rds.on(CreateDBSnapshotCommand).resolves({});
      expect((await callStep(createSnapshot, ref)).output).toEqual({ snapshotId: intermediate });
      expect(rds.commandCalls(CreateDBSnapshotCommand)).toHaveLength(1);
    });
  });

  it('keeps a snapshot that was taken after the measurement, and any where nothing was measured', async () => {
    withSnapshots({ [copy]: { Status: 'available', OriginalSnapshotCreateTime: new Date('2026-11-22T02:35:01Z') } });
    expect((await callStep(createSnapshot, ref)).output).toEqual({ snapshotId: copy });
    withSnapshots({ [copy]: { Status: 'available', OriginalSnapshotCreateTime: new Date('2026-11-22T01:00:00Z') } });
    expect((await callStep(createSnapshot, { ...ref, measuredAt: null })).output).toEqual({ snapshotId: copy });
    expect(rds.commandCalls(CreateDBSnapshotCommand)).toEqual([]);
  });

  it.each([
    ['a busy instance', new InvalidDBInstanceStateFault(metadata), 'RetryableError'],
    ['a full quota', new SnapshotQuotaExceededFault(metadata), 'DatabaseQuotaError'],
    ['a lost connection', new Error('socket hang up'), 'RetryableError'],
  ])('tells %s apart', async (_name, cause, name) => {
    withSnapshots({});
    rds.on(CreateDBSnapshotCommand).rejects(cause);
    await expect(callStep(createSnapshot, ref)).rejects.toThrow(expect.objectContaining({ name }));
  });
});

describe('describe-snapshot', () => {
  it.each([
    ['creating', { available: false, progressPercent: 40, takenAt: null }],
    ['copying', { available: false, progressPercent: 40, takenAt: null }],
    ['available', { available: true, progressPercent: 40, takenAt: null }],
  ])('answers for one that is %s', async (Status, answer) => {
    withSnapshots({ [copy]: { Status, PercentProgress: 40 } });
    expect((await callStep(describeSnapshot, { snapshotId: copy })).output).toEqual(answer);
  });

  it.each([
    ['when it was taken, of a snapshot', intermediate, '2026-11-22T02:40:07.000Z'],
    ['when its source was asked for, of a copy', copy, '2026-11-22T02:40:00.000Z'],
  ])('tells the moment that it holds: %s', async (_name, snapshotId, takenAt) => {
    const [OriginalSnapshotCreateTime, SnapshotCreateTime] = [0, 7].map(
      second => new Date(`2026-11-22T02:40:0${second}Z`),
    );
    withSnapshots({ [snapshotId]: { Status: 'available', OriginalSnapshotCreateTime, SnapshotCreateTime } });
    expect((await callStep(describeSnapshot, { snapshotId })).output).toMatchObject({ takenAt });
  });

  it.each([
    ['failed', { [copy]: { Status: 'failed' } }, `snapshot ${copy} is failed`],
    ['gone', {}, `snapshot ${copy} is missing`],
  ])('throws for one that is %s', async (_name, snapshots, message) => {
    withSnapshots(snapshots);
    await expect(callStep(describeSnapshot, { snapshotId: copy })).rejects.toThrow(
      expect.objectContaining({ name: 'SnapshotFailedError', message: expect.stringContaining(message) }),
    );
  });
});

describe('copy-snapshot', () => {
  it('starts a copy under the vault key', async () => {
    withSnapshots({ [intermediate]: { Status: 'available' } });
    rds.on(CopyDBSnapshotCommand).resolves({});
    expect((await callStep(copySnapshot, ref)).output).toEqual({ snapshotId: copy });
    expect(rds.commandCalls(CopyDBSnapshotCommand).map(({ args }) => args[0].input)).toEqual([
      {
        SourceDBSnapshotIdentifier: arn(intermediate),
        TargetDBSnapshotIdentifier: copy,
        KmsKeyId: deployment.vaultKeyArn,
        CopyTags: false,
        Tags: [
          { Key: 'daybreak:purpose', Value: 'unproved-copy' },
          { Key: 'daybreak:recovery-point', Value: ref.recoveryPointId },
        ],
      },
    ]);
  });

  it('finds the copy of an earlier run, and replaces a failed one', async () => {
    withSnapshots({ [copy]: { Status: 'copying' } });
    expect((await callStep(copySnapshot, ref)).output).toEqual({ snapshotId: copy });
    expect(rds.commandCalls(CopyDBSnapshotCommand)).toEqual([]);

    withSnapshots({ [copy]: { Status: 'failed' }, [intermediate]: { Status: 'available' } });
    rds.on(DeleteDBSnapshotCommand).resolves({});
    rds.on(CopyDBSnapshotCommand).resolves({});
    await callStep(copySnapshot, ref);
    expect(rds.commandCalls(DeleteDBSnapshotCommand).map(({ args }) => args[0].input.DBSnapshotIdentifier)).toEqual([
      copy,
    ]);
    expect(rds.commandCalls(CopyDBSnapshotCommand)).toHaveLength(1);
  });

  it('replaces the copy of a snapshot that nothing can prove, but only where another is there', async () => {
    const early = { Status: 'available', OriginalSnapshotCreateTime: new Date('2026-11-22T02:33:59Z') };
    withSnapshots({ [copy]: early });
    await expect(callStep(copySnapshot, ref)).rejects.toThrow(expect.objectContaining({ name: 'SnapshotFailedError' }));
    expect(rds.commandCalls(DeleteDBSnapshotCommand)).toEqual([]);

    withSnapshots({ [copy]: early, [intermediate]: { Status: 'available' } });
    rds.on(DeleteDBSnapshotCommand).resolves({});
    rds.on(CopyDBSnapshotCommand).resolves({});
    expect((await callStep(copySnapshot, ref)).output).toEqual({ snapshotId: copy });
    expect(rds.commandCalls(DeleteDBSnapshotCommand).map(({ args }) => args[0].input.DBSnapshotIdentifier)).toEqual([
      copy,
    ]);
    expect(rds.commandCalls(CopyDBSnapshotCommand)).toHaveLength(1);
  });

  it('copies nothing that no root manifest can name any more', async () => {
    withSnapshots({ [intermediate]: { Status: 'available' } });
    rds.on(CopyDBSnapshotCommand).resolves({});
    await callStep(copySnapshot, ref, new Date('2026-11-25T01:30:00.000Z'));
    expect(rds.commandCalls(CopyDBSnapshotCommand)).toHaveLength(1);
    const redriven = callStep(copySnapshot, ref, new Date('2026-11-25T01:30:00.001Z'));
    await expect(redriven).rejects.toMatchObject({ name: 'ScheduledInstantError' });
    expect(rds.commandCalls(CopyDBSnapshotCommand)).toHaveLength(1);
  });

  it('names a missing source', async () => {
    withSnapshots({});
    await expect(callStep(copySnapshot, ref)).rejects.toThrow(
      expect.objectContaining({ name: 'SnapshotFailedError', message: expect.stringContaining(intermediate) }),
    );
  });
});

describe('delete-intermediate', () => {
  it('deletes once the copy is proven, reads back, and does nothing a second time', async () => {
    const snapshots: Record<string, object> = { [copy]: proven, [intermediate]: { Status: 'available' } };
    withSnapshots(snapshots);
    rds.on(DeleteDBSnapshotCommand).callsFake(({ DBSnapshotIdentifier: id }: { DBSnapshotIdentifier: string }) => {
      if (snapshots[id] === undefined) throw notFound();
      delete snapshots[id];
      return {};
    });
    await callStep(deleteIntermediate, instanceRef);
    expect(Object.keys(snapshots)).toEqual([copy]);
    await callStep(deleteIntermediate, instanceRef);
    expect(Object.keys(snapshots)).toEqual([copy]);
  });

  it.each([
    ['missing', {}],
    ['not finished', { [copy]: { ...proven, Status: 'copying' } }],
    ['under another key', { [copy]: { ...proven, KmsKeyId: 'another' } }],
    ['not under a KMS key', { [copy]: { ...proven, StorageEncryptionType: 'none' } }],
  ])('keeps the intermediate while the copy is %s', async (_name, snapshots) => {
    withSnapshots({ ...snapshots, [intermediate]: { Status: 'available' } });
    await expect(callStep(deleteIntermediate, instanceRef)).rejects.toThrow(
      expect.objectContaining({ name: 'VaultCopyNotProvenError' }),
    );
    expect(rds.commandCalls(DeleteDBSnapshotCommand)).toEqual([]);
  });

  it('asks to be run again while the deletion has not shown', async () => {
    withSnapshots({ [copy]: proven, [intermediate]: { Status: 'deleting' } });
    rds.on(DeleteDBSnapshotCommand).resolves({});
    await expect(callStep(deleteIntermediate, instanceRef)).rejects.toThrow(
      expect.objectContaining({ name: 'RetryableError' }),
    );
  });
});
