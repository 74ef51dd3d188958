import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateKeyCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  EnableKeyCommand,
  GetKeyPolicyCommand,
  KMSClient,
  PutKeyPolicyCommand,
  UpdateAliasCommand,
} from '@aws-sdk/client-kms';
import {
  DeleteDBSnapshotCommand,
  ModifyDBParameterGroupCommand,
  ModifyDBSnapshotAttributeCommand,
  RDSClient,
} from '@aws-sdk/client-rds';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  PutObjectRetentionCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { Deployment } from '../../../functions/contracts/configuration.ts';
import type { Decision } from '../../../functions/contracts/decisions.ts';
import type { LedgerDraft } from '../../../functions/contracts/ledger.ts';
import { KEY_ALIASES } from '../../../functions/contracts/policies.ts';
import { FoundWrong, type PULSE_METRICS } from '../../../functions/contracts/pulse.ts';
import type { RecoveryPoint } from '../../../functions/contracts/recovery-point.ts';
import type { RegisterContent } from '../../../functions/contracts/register.ts';
import {
  FOUND_WRONG_KEY,
  ledgerEntryKey,
  manifestKey,
  objectKey,
  registerEntryKey,
  restoreTestRecordKey,
  rootManifestKey,
  tenantKeyAlias,
  vaultSnapshotId,
} from '../../../functions/contracts/vault-layout.ts';
import { canonicalJson, sha256Hex } from '../../../functions/platform/canonical-json.ts';
import { systemClock } from '../../../functions/platform/clock.ts';
import { judgeLook } from '../../../functions/platform/found-wrong.ts';
import { signDocument } from '../../../functions/platform/kms.ts';
import { type Runtime, withRuntime } from '../../../functions/platform/runtime.ts';
import { NOTHING_WRONG } from '../../../functions/pulse/found-wrong.ts';
import { addEntry, changeEntry, removeEntry } from '../../../functions/register/keep-entry.ts';
import { roleArn, type Step, stepName } from '../../../infra/access/role-names.ts';
import { createApp } from '../../../infra/app.ts';
import { EXIT } from '../../../infra/command-line/failure.ts';
import { readConfiguration } from '../../../infra/config/configuration.ts';
import { exampleConfiguration } from '../../../infra/config/example.ts';
import { LocalClock } from '../../../infra/local/clock.ts';
import { LocalCloud } from '../../../infra/local/cloud.ts';
import { deployAssembly } from '../../../infra/local/cloudformation/deploy.ts';
import { localConfiguration } from '../../../infra/local/cloudformation/local-configuration.ts';
import type { InstanceRecord } from '../../../infra/local/rds/records.ts';
import { lose } from '../../../infra/local/s3/damage.ts';
import { alarmsOf } from '../../../infra/monitoring/alarms.ts';
import { answerLosses } from '../../../runbooks/cli/loss.ts';
import { recordDecision } from '../../../runbooks/cli/record-decision.ts';
import { snapshotRecord } from '../../fixtures/snapshot-record.ts';

const account = '111122223333';
const directory = mkdtempSync(join(tmpdir(), 'daybreak-pulse-'));
const assembly = join(directory, 'assembly');
const MINUTE_MS = 60_000;
const HEARTBEAT_URL = 'https://heartbeat.example/a1b2c3d4';
const EMPTY_SHA256 = sha256Hex('');

beforeAll(() => {
  const database = {
    id: 'app',
    instanceId: 'app-source',
    resourceId: 'db-APP',
    databaseName: 'app',
    rootTable: 'school',
    rootColumn: 'id',
  };
  const bucket = { id: 'uploads', name: 'school-uploads', tenantPrefix: '{tenant}/' };
  const configuration = localConfiguration({ account, databases: [database], buckets: [bucket] });
  const outdir = { outdir: assembly, bundle: false, check: false };
  createApp({ ...configuration, heartbeatUrl: HEARTBEAT_URL }, outdir).synth();
});
afterAll(() => rmSync(directory, { recursive: true }));
beforeEach(() => vi.spyOn(globalThis, 'fetch').mockImplementation(async () => new Response('OK')));
afterEach(() => vi.restoreAllMocks());

/** Daybreak in a local account, with the snapshots of these recovery points in RDS. Pulse looks every quarter. */
async function deploy(name: string, recoveryPointIds: readonly string[], startsAt = '2026-11-22T08:00:00.000Z') {
  const clock = new LocalClock({ flow: 'manual', startsAt: new Date(startsAt) });
  const state = join(directory, name);
  const cloud = new LocalCloud({ clock, directory: state });
  await deployAssembly(cloud, assembly);
  const deployment = Deployment.parse(
    JSON.parse(cloud.lambda.environmentOf(stepName('backup/plan')).DAYBREAK_DEPLOYMENT ?? ''),
  );
  // Snapshots that are there when RDS opens: taking one would need a PostgreSQL server.
  mkdirSync(join(state, 'rds', 'snapshots'), { recursive: true });
  const snapshots = recoveryPointIds.map(id => snapshotRecord(id, takenAtOf(id), deployment.vaultKeyArn));
  const parameterGroups = [{ name: 'app', description: 'of the app', values: {} }];
  writeFileSync(
    join(state, 'rds', 'state.json'),
    JSON.stringify({ instances: [INSTANCE], snapshots, parameterGroups }),
  );
  const clients = cloud.clientConfiguration(cloud.root);
  const s3 = new S3Client(clients);
  /** Objects are put by the role that writes them. */
  const role = (step: Step) => ({ kind: 'role', arn: roleArn(account, stepName(step)) }) as const;
  const as = (step: Step) => new S3Client(cloud.clientConfiguration(role(step)));
  const keys = new KMSClient(clients);
  const rds = new RDSClient(clients);
  const invoke = async (step: Step, payload: unknown) => {
    const outcome = await cloud.lambda.invoke(stepName(step), payload, cloud.root);
    if ('functionError' in outcome) throw new Error(outcome.functionError.errorMessage);
    return outcome.payload;
  };
  const append = (draft: Partial<LedgerDraft> & Pick<LedgerDraft, 'kind' | 'eventId'>) =>
    invoke('evidence/append-entry', { draft: { actor: 'test', subject: 'test', body: {}, ...draft } });
  let seen = 0;
  const pointsOf = (metric: keyof typeof PULSE_METRICS) =>
    cloud.metrics.listMetrics().find(one => one.name === metric && one.dimensions.Workflow === 'pulse')?.values ?? [];
  const valuesOf = (metric: keyof typeof PULSE_METRICS) => pointsOf(metric).map(({ value }) => value);
  return {
    cloud,
    clock,
    deployment,
    s3,
    as,
    keys,
    rds,
    invoke,
    append,
    /** Moves time on to an instant, and tells which alarms came on (`+`) and went off (`-`) on the way, and when. */
    until: async (instant: string): Promise<string[]> => {
      await clock.advance(Date.parse(instant) - clock.now().getTime());
      const changes = cloud.alarms
        .changes()
        .filter(({ alarm }) => !alarm.endsWith('-notice'))
        .slice(seen);
      seen += changes.length;
      return changes.map(
        ({ at, alarm, to }) =>
          `${at.toISOString().slice(8, 16)} ${to === 'ALARM' ? '+' : '-'}${alarm.replace('daybreak-', '')}`,
      );
    },
    sounding: () =>
      cloud.alarms
        .list()
        .flatMap(({ name: one, state: is }) =>
          is === 'ALARM' && !one.endsWith('-notice') ? [one.replace('daybreak-', '')] : [],
        ),
    /** What was told since an instant, and to whom: `22T09:01 ALARM pulse-silent → pagers`. */
    toldSince: (instant: string) =>
      cloud.alarms
        .notices()
        .filter(({ at }) => at >= new Date(instant))
        .map(
          ({ at, state: is, alarm, notified }) =>
            `${at.toISOString().slice(8, 16)} ${is} ${alarm.replace(/^daybreak-/, '')} → ${notified.map(topic => topic.replace(/.*:daybreak-/, '')).join(', ')}`,
        ),
    lastValue: (metric: keyof typeof PULSE_METRICS) => valuesOf(metric).at(-1),
    valuesOf,
    /** The hour and minute of a metric's last value. */
    lastAt: (metric: keyof typeof PULSE_METRICS) => pointsOf(metric).at(-1)?.timestamp.toISOString().slice(11, 16),
    /** Has pulse's next run begin with nothing in memory. */
    coldStart: () => {
      const pulse = stepName('pulse/read-back');
      cloud.lambda.limitTime(pulse, cloud.lambda.limitTime(pulse, 1));
    },
    /** What the last pulse left for the next. */
    left: async (): Promise<FoundWrong> => {
      const { Body } = await s3.send(new GetObjectCommand({ Bucket: deployment.workBucket, Key: FOUND_WRONG_KEY }));
      return FoundWrong.parse(JSON.parse((await Body?.transformToString()) ?? ''));
    },
    /** Records a decision, as `daybreak loss accept` does it. */
    say: (decision: Decision) =>
      withRuntime(
        {
          environment: {},
          clock: systemClock,
          clientConfiguration: cloud.clientConfiguration(cloud.root),
          writeLine: () => undefined,
          instances: new Map(),
        },
        () => recordDecision({ region: 'eu-west-2', accountId: account }, decision),
      ),
    /** What a daily backup of one school leaves behind: its key, an object, the manifests, the entry. */
    backUp: async (
      recoveryPointId: string,
      objects: 'written' | 'adopted' = 'written',
      manifestSha256: string = EMPTY_SHA256,
      objectLosses?: { ledgerSequence: number; knownAt: string | null; absent: string[] | null },
    ) => {
      const takenAt = takenAtOf(recoveryPointId);
      const { keyArn } = (await invoke('tenants/ensure-key', { tenant: 's-1' })) as { keyArn: string };
      await invoke('tenants/ensure-key', { tenant: 's-1', recordedKeyArn: keyArn });
      const under = { Bucket: deployment.vaultBucket, ServerSideEncryption: 'aws:kms', SSEKMSKeyId: keyArn } as const;
      const keys = [objectKey('s-1', '5'.repeat(64)), manifestKey('s-1', manifestSha256)];
      for (const Key of objects === 'written' ? keys : []) {
        const put = new PutObjectCommand({ ...under, Key, Body: 'sealed', IfNoneMatch: '*' });
        // What a backup before this one has put there is adopted.
        await as('backup/back-up-tenant')
          .send(put)
          .catch((error: Error) => {
            if (error.name !== 'PreconditionFailed') throw error;
          });
      }
      const recoveryPoint = {
        ...rootManifest(recoveryPointId, takenAt, deployment.vaultKeyArn, manifestSha256),
        ...(objectLosses && { objectLosses }),
      };
      const signed = await withRuntime(
        {
          environment: {},
          clock,
          clientConfiguration: cloud.clientConfiguration(role('backup/complete')),
          writeLine: () => undefined,
          instances: new Map(),
        },
        () => signDocument(recoveryPoint, deployment.signingKeyArn),
      );
      const Body = canonicalJson(signed);
      await as('backup/complete').send(
        new PutObjectCommand({ Bucket: deployment.vaultBucket, Key: rootManifestKey(recoveryPointId), Body }),
      );
      return append({
        eventId: `backup/${recoveryPointId}`,
        kind: 'backup.completed',
        body: {
          recoveryPointId,
          status: 'good',
          rootManifestSha256: sha256Hex(Body),
          ...(objectLosses && { objectLosses }),
        },
      });
    },
    /** What a restore test leaves behind: its record, where it has one, and the entry. */
    test: async (
      restoreTestId: string,
      verdict: string,
      record: { verdict: string; findingCount?: number; findings?: object[] } | 'none' = { verdict },
    ) => {
      const said = { restoreTestId, recoveryPointId: null, verdict };
      const Body = canonicalJson({ ...said, ...(record !== 'none' && record) });
      if (record !== 'none') {
        const Key = restoreTestRecordKey(restoreTestId);
        const under = { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: deployment.vaultKeyArn } as const;
        const target = { Bucket: deployment.evidenceBucket, Key, ...under };
        await as('restore-test/conclude').send(new PutObjectCommand({ ...target, Body, IfNoneMatch: '*' }));
      }
      return append({
        eventId: `restore-test/${restoreTestId}/${verdict}`,
        kind: 'restore-test.completed',
        body: { ...said, recordSha256: sha256Hex(Body) },
      });
    },
  };
}

const takenAtOf = (id: string) => `${id.slice(0, 4)}-${id.slice(4, 6)}-${id.slice(6, 8)}T02:31:00.000Z`;

/** The protected instance, as it is described. It failed, so that no PostgreSQL server is started for it. */
const INSTANCE: InstanceRecord = {
  id: 'app-source',
  tags: {},
  encryption: { type: 'sse-rds' },
  passing: [],
  work: 'failed',
  resourceId: 'db-APP',
  instanceClass: 'db.t4g.medium',
  engineVersion: '17.10',
  masterUsername: 'supplier',
  databaseName: 'app',
  allocatedStorageGib: 20,
  storageType: 'gp3',
  createdAt: '2026-01-01T00:00:00.000Z',
  backupRetentionDays: 0,
  backupWindow: '03:00-03:30',
  multiAz: false,
  publiclyAccessible: false,
  autoMinorVersionUpgrade: true,
  deletionProtection: true,
  iamAuthentication: true,
  copyTagsToSnapshot: false,
  subnetGroup: 'default',
  securityGroups: [],
  parameterGroup: 'app',
  deleting: false,
  port: undefined,
};

function rootManifest(
  recoveryPointId: string,
  takenAt: string,
  kmsKeyArn: string,
  manifestSha256: string,
): RecoveryPoint {
  const id = vaultSnapshotId(recoveryPointId, 'app');
  const arn = `arn:aws:rds:eu-west-2:${account}:snapshot:${id}`;
  return {
    version: 1,
    recoveryPointId,
    scheduledAt: takenAt,
    completedAt: takenAt,
    status: 'good',
    databases: [
      {
        databaseId: 'app',
        snapshot: { id, arn, takenAt, kmsKeyArn, engineVersion: '17.10', allocatedStorageBytes: 0 },
        fingerprints: null,
        rowCount: 0,
        failure: null,
      },
    ],
    tenants: [
      {
        bucketId: 'uploads',
        tenant: 's-1',
        manifestSha256,
        previousManifestSha256: null,
        objectCount: 1,
        byteCount: 6,
        copiedObjectCount: 1,
        copiedByteCount: 6,
        recopiedObjectCount: 0,
        notCovered: {},
        failure: null,
      },
    ],
    reasons: [],
  };
}

const keyOf = async (keys: KMSClient, alias: string) =>
  (await keys.send(new DescribeKeyCommand({ KeyId: alias }))).KeyMetadata?.Arn;

const OPEN_POLICY = JSON.stringify({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${account}:root` }, Action: 'kms:*', Resource: '*' }],
});
const FIRST = '20261122t023000z';
const OF_PULSE = [...alarmsOf(readConfiguration(exampleConfiguration)).map(({ id }) => id), 'pager'];
const UNSAFE_WITHOUT_A_BACKUP = ['no-good-recovery-point', 'no-passed-restore-test', 'ledger-unsigned', 'pager'];

describe('pulse and its alarms, as time passes', () => {
  it('sound from the first minute until there is a backup and a passed test, and again when they grow old', async () => {
    const { until, sounding, backUp, test, cloud, lastValue } = await deploy(
      'ages',
      [FIRST],
      '2026-11-22T22:00:00.000Z',
    );
    await until('2026-11-22T22:01:00Z');
    expect(sounding()).toEqual(OF_PULSE);
    await until('2026-11-22T22:16:00Z');
    expect(sounding()).toEqual(UNSAFE_WITHOUT_A_BACKUP);

    await backUp(FIRST);
    expect(await until('2026-11-22T22:31:00Z')).toEqual([
      '22T22:31 -no-good-recovery-point',
      '22T22:31 -ledger-unsigned',
      '22T22:31 -pager',
    ]);
    await test('20261122t223500z', 'failed');
    expect(await until('2026-11-22T22:46:00Z')).toEqual(['22T22:46 +restore-test-failed', '22T22:46 +pager']);
    await test('20261122t224600z', 'inconclusive');
    expect(await until('2026-11-22T23:01:00Z')).toEqual(['22T23:01 +restore-test-inconclusive']);
    await test('20261122t230100z', 'passed');
    expect(await until('2026-11-22T23:16:00Z')).toEqual([
      '22T23:16 -no-passed-restore-test',
      '22T23:16 -restore-test-failed',
      '22T23:16 -restore-test-inconclusive',
      '22T23:16 -pager',
    ]);
    expect(lastValue('NewestPassedRestoreTestAge')).toBe(14 * MINUTE_MS);

    // The schedule starts a backup that fails at once: the instance does not run. The entry is signed, the point grows old.
    expect(await until('2026-11-23T05:01:00Z')).toEqual([
      '23T02:46 +backup-failed',
      '23T04:46 +no-good-recovery-point',
      '23T04:46 +pager',
    ]);
    await cloud.close();
  });

  it('believe no passed test without its record, and none whose record says something else', async () => {
    const { until, test, lastValue, sounding, cloud } = await deploy('unproved', []);
    await test('20261122t080000z', 'passed', 'none');
    // Before the first pulse every alarm sounds; these do not end with it.
    await until('2026-11-22T08:16:00Z');
    expect(sounding().sort()).toEqual([
      'ledger-broken',
      'no-good-recovery-point',
      'no-passed-restore-test',
      'pager',
      'restore-test-failed',
    ]);
    expect(lastValue('NewestPassedRestoreTestAge')).toBeUndefined();
    expect(lastValue('FailedRestoreTests')).toBe(1);
    await until('2026-11-22T08:18:00Z');
    await test('20261122t081700z', 'passed');
    await test('20261122t081800z', 'passed', { verdict: 'failed' });
    await until('2026-11-22T08:31:00Z');
    expect(lastValue('NewestPassedRestoreTestAge')).toBe(13 * MINUTE_MS);
    expect(lastValue('LedgerBroken')).toBe(1);
    await cloud.close();
  });

  it('see what was done to snapshots, keys, locks, manifests and schedules, and that it was undone', async () => {
    const { until, backUp, test, cloud, deployment, s3, keys, rds, lastValue } = await deploy('damage', [FIRST]);
    await backUp(FIRST);
    await test('20261122t080000z', 'passed');
    await until('2026-11-22T08:16:00Z');

    // Whoever does all this has first got past the bucket's policy.
    const Statement = [
      { Effect: 'Allow', Principal: '*', Action: 's3:GetObject', Resource: `arn:aws:s3:::${deployment.vaultBucket}/*` },
    ];
    cloud.s3.putBucketPolicy(deployment.vaultBucket, { Version: '2012-10-17', Statement });
    const snapshot = { DBSnapshotIdentifier: vaultSnapshotId(FIRST, 'app') };
    const share = { ...snapshot, AttributeName: 'restore' };
    await rds.send(new ModifyDBSnapshotAttributeCommand({ ...share, ValuesToAdd: ['999988887777'] }));
    await keys.send(new DisableKeyCommand({ KeyId: await keyOf(keys, tenantKeyAlias('s-1')) }));
    const Key = objectKey('s-1', '5'.repeat(64));
    const lock = (Retention: object) =>
      s3.send(
        new PutObjectRetentionCommand({
          Bucket: deployment.vaultBucket,
          Key,
          Retention,
          BypassGovernanceRetention: true,
        }),
      );
    await lock({});
    const schedule = {
      Name: 'daybreak-daily-backup',
      ScheduleExpression: 'cron(30 2 * * ? *)',
      FlexibleTimeWindow: { Mode: 'OFF' },
      Target: {
        Arn: `arn:aws:lambda:eu-west-2:${account}:function:daybreak-workflows-start-execution`,
        RoleArn: roleArn(account, 'daybreak-scheduler'),
      },
    };
    cloud.scheduler.createSchedule({ ...schedule, State: 'DISABLED' });
    const forceTls = (ParameterValue: string) =>
      rds.send(
        new ModifyDBParameterGroupCommand({
          DBParameterGroupName: 'app',
          Parameters: [{ ParameterName: 'rds.force_ssl', ParameterValue, ApplyMethod: 'immediate' }],
        }),
      );
    await forceTls('0');
    // The tamper rules see it within a minute, pulse at its next turn.
    expect(await until('2026-11-22T08:31:00Z')).toEqual([
      '22T08:17 +tamper-snapshot-changed',
      '22T08:17 +tamper-key-changed',
      '22T08:17 +tamper-objects',
      '22T08:17 +pager',
      '22T08:31 +snapshot-shared',
      '22T08:31 +object-not-locked',
      '22T08:31 +key-unusable',
      '22T08:31 +tls-not-forced',
      '22T08:31 +schedule-stopped',
    ]);

    await rds.send(new ModifyDBSnapshotAttributeCommand({ ...share, ValuesToRemove: ['999988887777'] }));
    await keys.send(new EnableKeyCommand({ KeyId: await keyOf(keys, tenantKeyAlias('s-1')) }));
    await lock({ Mode: 'GOVERNANCE', RetainUntilDate: new Date('2027-01-01T00:00:00Z') });
    cloud.scheduler.createSchedule(schedule);
    await forceTls('1');
    // Whoever undoes it without a role for that is noticed as well.
    expect(await until('2026-11-22T08:46:00Z')).toEqual([
      '22T08:34 -tamper-key-changed',
      '22T08:46 -snapshot-shared',
      '22T08:46 -object-not-locked',
      '22T08:46 -key-unusable',
      '22T08:46 -tls-not-forced',
      '22T08:46 -schedule-stopped',
    ]);
    expect(lastValue('PulseChecksFailed')).toBe(0);

    await rds.send(new DeleteDBSnapshotCommand(snapshot));
    expect(await until('2026-11-22T09:01:00Z')).toEqual([
      '22T08:47 +tamper-snapshot-deleted',
      '22T08:49 -tamper-snapshot-changed',
      '22T08:49 -tamper-objects',
      '22T09:01 +snapshot-missing',
    ]);
    await s3.send(new DeleteObjectCommand({ Bucket: deployment.vaultBucket, Key: rootManifestKey(FIRST) }));
    expect(await until('2026-11-22T09:16:00Z')).toEqual([
      '22T09:02 +tamper-objects',
      '22T09:04 -tamper-snapshot-deleted',
      // To its age it is a backup that failed.
      '22T09:16 +backup-failed',
      '22T09:16 +root-manifest-altered',
      // The bucket's policy has been another one for an hour, longer than a deployment takes.
      '22T09:16 +policy-behind',
    ]);

    // It used everything that its role allows.
    const role = roleArn(account, stepName('pulse/read-back'));
    expect(cloud.iam.usedActions(role)).toEqual([
      'cloudtrail:GetTrailStatus',
      'events:DescribeRule',
      'kms:Decrypt',
      'kms:DescribeKey',
      'kms:GenerateDataKey',
      'kms:GetKeyPolicy',
      'kms:GetPublicKey',
      'kms:ListKeys',
      'kms:Verify',
      'rds:DescribeAccountAttributes',
      'rds:DescribeDBInstances',
      'rds:DescribeDBParameters',
      'rds:DescribeDBSnapshotAttributes',
      'rds:DescribeDBSnapshots',
      's3:GetBucketPolicy',
      's3:GetObject',
      's3:GetObjectRetention',
      's3:ListBucket',
      's3:ListBucketVersions',
      's3:PutObject',
      'scheduler:GetSchedule',
    ]);
    await cloud.close();
  });

  it('counts an accepted loss no more, takes nothing for good by it, and sounds for the next one', async () => {
    const [second, third] = ['20261122t033000z', '20261122t073000z'];
    const { until, backUp, test, cloud, deployment, invoke, rds, as, keys, say, left, lastValue } = await deploy(
      'accepted',
      [FIRST, second, third],
    );
    await backUp(FIRST);
    await backUp(second);
    await test('20261122t080000z', 'passed');
    await until('2026-11-22T08:16:00Z');
    const lost = async () => (await left()).lost;
    // As `daybreak loss accept` does it.
    const decide = (loss: string) =>
      say({ kind: 'loss.accepted', loss, reason: 'mistake', reference: 'INC-42', by: 'staff-7' });
    const snapshot = vaultSnapshotId(second, 'app');
    const missing = `snapshot-missing/${snapshot}/20261122t083000z`;
    // What is not lost cannot be accepted before it is.
    expect(await decide(missing)).toEqual({
      error: expect.stringMatching(/^snapshot-missing\/daybreak-app-\S+: pulse does not find that lost; /),
      hasEnded: true,
      errorName: 'LossNotFoundError',
    });
    await rds.send(new DeleteDBSnapshotCommand({ DBSnapshotIdentifier: snapshot }));
    await until('2026-11-22T08:31:00Z');
    expect([lastValue('SnapshotsMissing'), await lost()]).toEqual([1, [missing]]);
    expect(lastValue('NewestGoodRecoveryPointAge')).toBe(5 * 60 * MINUTE_MS);

    expect(await decide(missing)).toEqual({ sequence: 5 });
    expect((await until('2026-11-22T08:46:00Z')).filter(change => /snapshot-missing|pager/.test(change))).toEqual([
      '22T08:46 -snapshot-missing',
      '22T08:46 -pager',
    ]);
    expect([lastValue('SnapshotsMissing'), await lost()]).toEqual([0, []]);
    // The recovery point lacks its database: the newest good one is the one before it.
    expect(lastValue('NewestGoodRecoveryPointAge')).toBe((6 * 60 + 15) * MINUTE_MS);
    expect(lastValue('FailedBackups')).toBe(1);
    const lines = cloud.lambda.linesOf(stepName('pulse/read-back')).map(line => JSON.parse(line));
    expect(lines.filter(({ message }) => message === 'a loss is accepted').at(-1)).toMatchObject({
      level: 'info',
      loss: missing,
      reason: 'mistake',
      reference: 'INC-42',
      actor: 'person/staff-7',
    });
    expect(await invoke('restore-test/choose', { scheduledAt: '2026-11-22T08:46:00.000Z' })).toMatchObject({
      recoveryPointId: FIRST,
    });

    await rds.send(new DeleteDBSnapshotCommand({ DBSnapshotIdentifier: vaultSnapshotId(FIRST, 'app') }));
    expect((await until('2026-11-22T09:01:00Z')).filter(change => /\+snapshot-missing/.test(change))).toEqual([
      '22T09:01 +snapshot-missing',
    ]);
    expect(lastValue('SnapshotsMissing')).toBe(1);

    // The same of an object of the vault, and of the record of a test.
    const manifest = manifestKey('s-1', EMPTY_SHA256);
    lose(cloud.s3, deployment.vaultBucket, manifest);
    lose(cloud.s3, deployment.evidenceBucket, restoreTestRecordKey('20261122t080000z'));
    await until('2026-11-22T09:16:00Z');
    expect([lastValue('ObjectsNotLocked'), lastValue('LedgerBroken')]).toEqual([1, 1]);
    const names = [
      `object-gone/${second}/20261122t091500z/${manifest}`,
      'test-record-gone/20261122t080000z/20261122t091500z',
    ];
    expect(await lost()).toEqual([
      names[0],
      `snapshot-missing/${vaultSnapshotId(FIRST, 'app')}/20261122t090000z`,
      names[1],
    ]);
    for (const name of names) expect(await decide(name)).toEqual({ sequence: expect.any(Number) });
    await until('2026-11-22T09:31:00Z');
    expect([lastValue('ObjectsNotLocked'), lastValue('LedgerBroken'), lastValue('SnapshotsMissing')]).toEqual([
      0, 0, 1,
    ]);
    // A test whose record is lost passed nothing: no age is published since.
    expect(lastValue('NewestPassedRestoreTestAge')).toBe(60 * MINUTE_MS);

    // A later recovery point that names it does not make another loss of it.
    await backUp(third, 'adopted');
    await until('2026-11-22T09:46:00Z');
    expect([lastValue('ObjectsNotLocked'), (await left()).explained[0]]).toEqual([0, names[0]]);

    // A backup writes the same manifest again. That it is lost once more is another loss.
    await as('backup/back-up-tenant').send(
      new PutObjectCommand({
        Bucket: deployment.vaultBucket,
        Key: manifest,
        Body: 'sealed',
        IfNoneMatch: '*',
        ServerSideEncryption: 'aws:kms',
        SSEKMSKeyId: await keyOf(keys, tenantKeyAlias('s-1')),
      }),
    );
    await until('2026-11-22T10:01:00Z');
    expect([lastValue('ObjectsNotLocked'), (await left()).explained.includes(names[0] ?? '')]).toEqual([0, false]);
    lose(cloud.s3, deployment.vaultBucket, manifest);
    await until('2026-11-22T10:16:00Z');
    expect([lastValue('ObjectsNotLocked'), (await lost())[0]]).toEqual([
      1,
      `object-gone/${third}/20261122t101500z/${manifest}`,
    ]);

    // An acceptance that was wrong is withdrawn: what it took away sounds again.
    const { acceptances } = await left();
    expect(acceptances).toEqual([names[0], missing, names[1]]);
    const withdrawn = { kind: 'loss.acceptance-withdrawn', reference: 'INC-43', by: 'staff-8' } as const;
    expect(await say({ ...withdrawn, loss: missing })).toEqual({ sequence: expect.any(Number) });
    await until('2026-11-22T10:31:00Z');
    expect([lastValue('SnapshotsMissing'), (await left()).acceptances]).toEqual([2, [names[0], names[1]]]);
    expect(await say({ ...withdrawn, loss: missing })).toMatchObject({
      error: expect.stringContaining('pulse knows of no acceptance of it'),
      errorName: 'LossNotFoundError',
    });
    await cloud.close();
  });

  it('leaves word of when it looked, and of what it could not look for, and writes anew what is no list of its own', async () => {
    const { until, backUp, cloud, deployment, as, rds, left } = await deploy('looked', [
      FIRST,
      '20261122t073000z',
      '20261122t083000z',
    ]);
    await backUp(FIRST);
    await until('2026-11-22T08:16:00Z');
    expect(await left()).toEqual({ ...NOTHING_WRONG, lookedAt: '2026-11-22T08:15:00.000Z' });
    await rds.send(new DeleteDBSnapshotCommand({ DBSnapshotIdentifier: vaultSnapshotId(FIRST, 'app') }));
    await until('2026-11-22T08:31:00Z');
    const role = roleArn(account, stepName('pulse/read-back'));
    const denied = { Effect: 'Deny', Action: 'rds:DescribeDBSnapshots', Resource: '*' };
    const allowed = { Effect: 'Allow', Action: '*', Resource: '*' };
    const permit = (...Statement: object[]) =>
      cloud.iam.putRole({ arn: role, policies: [{ Version: '2012-10-17', Statement }] });
    permit(allowed, denied);
    await until('2026-11-22T08:46:00Z');
    // What was found earlier is not called right because nobody could look.
    expect(await left()).toMatchObject({
      lost: [`snapshot-missing/${vaultSnapshotId(FIRST, 'app')}/20261122t083000z`],
      lookedAt: '2026-11-22T08:45:00.000Z',
      notLookedFor: ['snapshot-missing', 'snapshot-replaced', 'snapshot-unavailable'],
    });
    permit(allowed);
    for (const Body of ['{', '{"lost":[]}', JSON.stringify({ ...(await left()), later: 1 })]) {
      await as('pulse/read-back').send(
        new PutObjectCommand({ Bucket: deployment.workBucket, Key: FOUND_WRONG_KEY, Body }),
      );
      const next = new Date(cloud.clock.now().getTime() + 15 * MINUTE_MS).toISOString();
      await until(next);
      expect(await left()).toMatchObject({ notLookedFor: [], lost: [expect.stringMatching(/^snapshot-missing/)] });
    }
    const put = (Body: string) =>
      as('pulse/read-back').send(new PutObjectCommand({ Bucket: deployment.workBucket, Key: FOUND_WRONG_KEY, Body }));
    // Whatever number of them was missed is asked for again, and forgotten by none.
    const [absent = '', ...others] = Array.from({ length: 151 }, (_, index) =>
      objectKey('s-1', String(index).padStart(64, '0')),
    );
    const before = await left();
    const lost = others.map(key => `object-gone/${FIRST}/20261122t084500z/${key}`);
    await put(JSON.stringify({ ...before, lost: [...lost, ...before.lost] }));
    await until(new Date(cloud.clock.now().getTime() + 15 * MINUTE_MS).toISOString());
    expect(await left()).toMatchObject({ notLookedFor: [], lost: [...lost, ...before.lost] });
    // Where that is gone, the newest backup knows, as far as it could name them.
    for (const [id, keys] of [
      ['20261122t073000z', [absent]],
      ['20261122t083000z', null],
    ] as const) {
      await backUp(id, 'adopted', EMPTY_SHA256, {
        ledgerSequence: 1,
        knownAt: '2026-11-22T08:45:00.000Z',
        absent: keys && [...keys],
      });
      await put('{');
      await until(new Date(cloud.clock.now().getTime() + 15 * MINUTE_MS).toISOString());
      const { lost: found, notLookedFor } = await left();
      const objects = found.filter(name => name.startsWith('object-gone'));
      expect([objects, notLookedFor]).toEqual(
        keys ? [[expect.stringMatching(`/${absent}$`)], []] : [[], ['object-gone']],
      );
    }
    await cloud.close();
  });

  it('goes on when a check cannot be made, names it, and sounds for it and for what it hides', async () => {
    const { until, backUp, test, cloud, lastValue } = await deploy('unreadable', [FIRST]);
    await backUp(FIRST);
    await test('20261122t080000z', 'passed');
    await until('2026-11-22T08:16:00Z');
    const role = roleArn(account, stepName('pulse/read-back'));
    const denied = {
      Effect: 'Deny',
      Action: ['rds:DescribeDBSnapshotAttributes', 'scheduler:GetSchedule'],
      Resource: '*',
    };
    const allowed = { Effect: 'Allow', Action: '*', Resource: '*' };
    cloud.iam.putRole({ arn: role, policies: [{ Version: '2012-10-17', Statement: [allowed, denied] }] });
    expect(await until('2026-11-22T08:31:00Z')).toEqual([]);
    const lines = cloud.lambda.linesOf(stepName('pulse/read-back')).map(line => JSON.parse(line));
    const named = lines.filter(({ message }) => message === 'a check could not be made').map(({ check }) => check);
    expect(named.sort()).toEqual(['schedules', 'shares']);
    expect([lastValue('PulseChecksFailed'), lastValue('KeysUnusable'), lastValue('PulseCompleted')]).toEqual([2, 0, 1]);
    // Twice in a row; what is hidden sounds once the last good values are out of sight.
    expect(await until('2026-11-22T09:31:00Z')).toEqual([
      '22T08:46 +pulse-checks-failed',
      '22T09:01 +snapshot-shared',
      '22T09:01 +schedule-stopped',
      '22T09:01 +pager',
    ]);
    await cloud.close();
  });

  it('remembers what its samples found wrong until it is right, and what the ledger suffers', async () => {
    const { until, backUp, test, cloud, deployment, as, left, lastValue } = await deploy('remembered', [
      FIRST,
      '20261122t073000z',
    ]);
    await backUp(FIRST);
    const finding = (key: string) => ({ kind: 'object-missing', place: key, detail: 'the vault has none' });
    const named = ['f', 'e', '5'].map(digit => objectKey('s-1', digit.repeat(64)));
    const findings = [...named, '../x', rootManifestKey(FIRST)].map(finding);
    const record = { verdict: 'failed', objects: { objectCount: 9 }, findingCount: 5, findings };
    await test('20261122t080000z', 'failed', record);
    await until('2026-11-22T08:31:00Z');
    // Of what a restore test missed that is lost which is not there now; nobody else would ever ask for it.
    const lost = ['e', 'f'].map(digit => `object-gone/${FIRST}/20261122t081500z/${objectKey('s-1', digit.repeat(64))}`);
    expect([lastValue('ObjectsNotLocked'), (await left()).lost, (await left()).notLookedFor]).toEqual([2, lost, []]);
    await test('20261122t080100z', 'failed', { ...record, findingCount: 101 });
    await as('pulse/read-back').send(
      new PutObjectCommand({
        Bucket: deployment.workBucket,
        Key: FOUND_WRONG_KEY,
        Body: JSON.stringify({ ...(await left()), tenants: ['s-1', 'left-long-ago'] }),
      }),
    );
    const { sequence } = (await backUp('20261122t073000z', 'written', sha256Hex('other'))) as { sequence: number };
    await until('2026-11-22T08:46:00Z');
    expect([lastValue('ObjectsNotLocked'), lastValue('KeysUnusable')]).toEqual([2, 0]);
    expect(await left()).toMatchObject({ lost, notLookedFor: ['object-gone'] });

    // A manifest that only an older recovery point names.
    lose(cloud.s3, deployment.vaultBucket, manifestKey('s-1', EMPTY_SHA256));
    await until('2026-11-22T09:16:00Z');
    expect((await left()).lost).toContainEqual(expect.stringMatching(/^object-gone\/20261122t073000z\/.*jsonl.zst$/));

    // While the newest recovery point cannot be read, no older one tells whose key is nobody's any more.
    lose(cloud.s3, deployment.vaultBucket, rootManifestKey('20261122t073000z'));
    const remembered = { ...(await left()), tenants: ['joined-lately'], policiesBehind: ['joined-lately'] };
    await as('pulse/read-back').send(
      new PutObjectCommand({ Bucket: deployment.workBucket, Key: FOUND_WRONG_KEY, Body: JSON.stringify(remembered) }),
    );
    await until('2026-11-22T09:31:00Z');
    expect([lastValue('KeysUnusable'), (await left()).tenants]).toEqual([1, ['joined-lately']]);
    expect((await left()).notLookedFor).toContain('object-gone');

    const Key = ledgerEntryKey(sequence + 1);
    await as('evidence/append-entry').send(
      new PutObjectCommand({
        Bucket: deployment.evidenceBucket,
        Key,
        Body: '{}',
        IfNoneMatch: '*',
        ServerSideEncryption: 'aws:kms',
        SSEKMSKeyId: deployment.vaultKeyArn,
      }),
    );
    const changes = await until('2026-11-22T09:46:00Z');
    expect(changes).toEqual(['22T09:46 +ledger-broken']);
    expect(lastValue('LedgerBroken')).toBe(1);
    await cloud.close();
  });

  it('sends a heartbeat whatever it found of backups, and counts one that fails as a check, without telling its address', async () => {
    const { until, cloud, lastValue } = await deploy('heartbeat', []);
    const pulse = stepName('pulse/read-back');
    expect(cloud.lambda.environmentOf(pulse).DAYBREAK_HEARTBEAT_URL).toBe(HEARTBEAT_URL);
    expect(cloud.lambda.environmentOf(stepName('backup/plan'))).not.toHaveProperty('DAYBREAK_HEARTBEAT_URL');
    const sent = vi.spyOn(globalThis, 'fetch').mockResolvedValue(new Response('OK'));
    await until('2026-11-22T08:31:00Z');
    expect(sent.mock.calls.map(([address]) => address)).toEqual([HEARTBEAT_URL, HEARTBEAT_URL]);
    expect(lastValue('PulseChecksFailed')).toBe(0);
    sent.mockResolvedValue(new Response('no such check', { status: 404 }));
    await until('2026-11-22T08:46:00Z');
    expect([lastValue('PulseChecksFailed'), lastValue('PulseCompleted')]).toEqual([1, 1]);
    const lines = cloud.lambda.linesOf(pulse);
    expect(lines.filter(line => line.includes('"check":"heartbeat"'))).toHaveLength(1);
    expect(lines.filter(line => line.includes(HEARTBEAT_URL))).toEqual([]);
    await cloud.close();
  });

  it('does not forget, after a cold start, what a root manifest named that is gone, until that is accepted', async () => {
    const second = '20261122t073000z';
    const { until, backUp, cloud, deployment, rds, say, left, coldStart, lastValue, lastAt } = await deploy('unnamed', [
      FIRST,
      second,
    ]);
    await backUp(FIRST);
    await backUp(second);
    await until('2026-11-22T08:16:00Z');
    const snapshot = vaultSnapshotId(FIRST, 'app');
    await rds.send(new DeleteDBSnapshotCommand({ DBSnapshotIdentifier: snapshot }));
    await until('2026-11-22T08:31:00Z');
    expect([lastValue('SnapshotsMissing'), lastAt('OldestUnprovedSnapshotAge')]).toEqual([1, '08:30']);

    for (const id of [FIRST, second]) lose(cloud.s3, deployment.vaultBucket, rootManifestKey(id));
    const share = { DBSnapshotIdentifier: vaultSnapshotId(second, 'app'), AttributeName: 'restore' };
    await rds.send(new ModifyDBSnapshotAttributeCommand({ ...share, ValuesToAdd: ['999988887777'] }));
    coldStart();
    await until('2026-11-22T08:46:00Z');
    const missing = `snapshot-missing/${snapshot}/20261122t083000z`;
    const gone = [FIRST, second].map(id => `root-manifest-gone/${id}/20261122t084500z`);
    const snapshotKinds = ['snapshot-missing', 'snapshot-replaced', 'snapshot-unavailable'];
    expect(await left()).toMatchObject({
      lost: [...gone, missing],
      notLookedFor: [...snapshotKinds, 'object-gone'],
    });
    expect(answerLosses(judgeLook(await left(), cloud.clock.now())).exitCode).toBe(EXIT.unreachable);
    expect([lastValue('SnapshotsMissing'), lastValue('SnapshotsShared'), lastAt('SnapshotsMissing')]).toEqual([
      1,
      1,
      '08:45',
    ]);
    // Of a snapshot whose manifest is gone nobody says that no recovery point names it.
    expect(lastAt('OldestUnprovedSnapshotAge')).toBe('08:30');

    // What is accepted is no question any more; what it named, and was missed before, is accepted by its own name or not.
    const accept = (loss: string) =>
      say({ kind: 'loss.accepted', loss, reason: 'mistake', reference: 'INC-42', by: 'staff-7' });
    expect(await accept(missing)).toMatchObject({ errorName: 'LossNotFoundError' });
    for (const loss of gone) expect(await accept(loss)).toEqual({ sequence: expect.any(Number) });
    await until('2026-11-22T09:01:00Z');
    expect(await left()).toMatchObject({
      lost: [missing],
      explained: gone,
      notLookedFor: ['object-gone'],
    });
    expect([lastValue('SnapshotsMissing'), lastAt('OldestUnprovedSnapshotAge')]).toEqual([1, '09:00']);
    expect(await accept(missing)).toEqual({ sequence: expect.any(Number) });
    await until('2026-11-22T09:16:00Z');
    expect([lastValue('SnapshotsMissing'), (await left()).lost]).toEqual([0, []]);
    await cloud.close();
  });

  it('tells of a lost record in each of its runtimes, once one of them has missed it', async () => {
    const { until, test, cloud, deployment, valuesOf } = await deploy('runtimes', []);
    const ids = ['20261122t080000z', '20261122t080100z', '20261122t080200z'];
    for (const id of ids) await test(id, 'passed');
    const pulse = () => cloud.lambda.invoke(stepName('pulse/read-back'), {}, cloud.root);
    // Two at the same time are two runtimes, and both have seen it.
    await Promise.all([pulse(), pulse()]);
    expect(valuesOf('LedgerBroken').slice(-2)).toEqual([0, 0]);
    lose(cloud.s3, deployment.evidenceBucket, restoreTestRecordKey(ids[0] ?? ''));
    const next = () => until(new Date(cloud.clock.now().getTime() + 15 * MINUTE_MS).toISOString());
    for (let turn = 1; turn <= ids.length && valuesOf('LedgerBroken').at(-1) === 0; turn++) await next();
    // It is the turn of another record.
    await next();
    await Promise.all([pulse(), pulse()]);
    expect(valuesOf('LedgerBroken').slice(-3)).toEqual([1, 1, 1]);
    await cloud.close();
  });

  it('watches the keys of logs, of the trail and of notices, and is silent outside where alarms may reach nobody', async () => {
    const { until, cloud, keys, lastValue, deployment, left, as } = await deploy('own-keys', []);
    const sent = vi.spyOn(globalThis, 'fetch').mockImplementation(async () => new Response('OK'));
    const heartbeats = () => {
      const count = sent.mock.calls.length;
      sent.mockClear();
      return count;
    };
    const said = (message: string) => {
      const lines = cloud.lambda.linesOf(stepName('pulse/read-back')).map(line => JSON.parse(line));
      return lines.filter(line => line.message === message && line.level !== 'info');
    };
    const next = () => until(new Date(cloud.clock.now().getTime() + 15 * MINUTE_MS).toISOString());
    await until('2026-11-22T08:16:00Z');
    expect([lastValue('KeysUnusable'), lastValue('PoliciesBehind'), heartbeats()]).toEqual([0, 0, 1]);
    const arns = new Map<string, string>();
    for (const name of ['log-key', 'trail-key', 'notice-key', 'ledger-key'] as const) {
      arns.set(name, (await keyOf(keys, KEY_ALIASES[name])) ?? '');
    }
    const disable = (name: string) => keys.send(new DisableKeyCommand({ KeyId: arns.get(name) }));
    const enable = (name: string) => keys.send(new EnableKeyCommand({ KeyId: arns.get(name) }));

    await disable('log-key');
    await disable('trail-key');
    await next();
    expect([lastValue('KeysUnusable'), heartbeats()]).toEqual([2, 1]);
    await enable('log-key');
    await enable('trail-key');
    await disable('notice-key');
    await next();
    expect([lastValue('KeysUnusable'), lastValue('PulseChecksFailed'), heartbeats()]).toEqual([1, 0, 0]);
    expect(said('no heartbeat is sent, because alarms may reach nobody')).toHaveLength(1);
    await enable('notice-key');
    await next();
    expect([lastValue('KeysUnusable'), heartbeats()]).toEqual([0, 1]);

    // One that CloudWatch may not use is as good as none, whether pulse may read that or not.
    const { Policy = '' } = await keys.send(new GetKeyPolicyCommand({ KeyId: arns.get('notice-key') }));
    const policy: { Statement: { Sid: string; Action: string | string[] }[] } = JSON.parse(Policy);
    const put = (Statement: object[]) =>
      keys.send(
        new PutKeyPolicyCommand({ KeyId: arns.get('notice-key'), Policy: JSON.stringify({ ...policy, Statement }) }),
      );
    await put(policy.Statement.filter(({ Sid }) => Sid !== 'AlarmsEncryptNotices'));
    await next();
    expect([lastValue('KeysUnusable'), lastValue('PoliciesBehind'), heartbeats()]).toEqual([0, 1, 0]);
    const refused = {
      Effect: 'Deny',
      Principal: { AWS: roleArn(account, stepName('pulse/read-back')) },
      Resource: '*',
    };
    await put([...policy.Statement, { ...refused, Sid: 'Hidden', Action: 'kms:GetKeyPolicy' }]);
    const remembered = { ...(await left()), policiesBehind: ['s-1'] };
    await as('pulse/read-back').send(
      new PutObjectCommand({ Bucket: deployment.workBucket, Key: FOUND_WRONG_KEY, Body: JSON.stringify(remembered) }),
    );
    await next();
    expect([lastValue('PulseChecksFailed'), heartbeats()]).toEqual([1, 0]);
    // What could not all be read forgets nothing.
    expect((await left()).policiesBehind).toEqual(['s-1']);
    await put([...policy.Statement, { ...refused, Sid: 'Hidden', Action: 'kms:DescribeKey' }]);
    await next();
    expect([lastValue('KeysUnusable'), heartbeats()]).toEqual([1, 0]);
    await put(policy.Statement);
    await next();
    expect([lastValue('KeysUnusable'), lastValue('PoliciesBehind'), heartbeats()]).toEqual([0, 0, 1]);

    // Whoever moves an alias to a sound key hides nothing of the one that it stood for.
    const { KeyMetadata: other } = await keys.send(
      new CreateKeyCommand({ KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' }),
    );
    const needed = await keys.send(new GetKeyPolicyCommand({ KeyId: arns.get('ledger-key') }));
    await keys.send(new PutKeyPolicyCommand({ KeyId: other?.KeyId, Policy: needed.Policy }));
    await keys.send(new PutKeyPolicyCommand({ KeyId: arns.get('ledger-key'), Policy: OPEN_POLICY }));
    await keys.send(new UpdateAliasCommand({ AliasName: KEY_ALIASES['ledger-key'], TargetKeyId: other?.KeyId }));
    await next();
    expect([lastValue('KeysUnusable'), lastValue('PoliciesBehind')]).toEqual([1, 1]);
    expect(said('a key is not as it should be').at(-1)).toMatchObject({
      key: KEY_ALIASES['ledger-key'],
      reason: `it is the alias of another key than ${deployment.ledgerKeyArn}`,
    });
    await cloud.close();
  });

  it('tells of words of the register that nobody recorded, or that were hidden, until it is right again', async () => {
    const { until, cloud, clock, deployment, s3, say, lastValue, valuesOf } = await deploy('register', []);
    const ofRegister = async (instant: string) =>
      (await until(instant)).filter(change => /register|contacts/.test(change));
    const hand: Runtime = {
      environment: {},
      clock,
      clientConfiguration: cloud.clientConfiguration(cloud.root),
      writeLine: () => undefined,
      instances: new Map(),
    };
    const record = async (decision: Decision) => {
      expect(await say(decision)).toMatchObject({ sequence: expect.any(Number) });
    };
    const act = <T>(work: (recorder: typeof record) => Promise<T>) => withRuntime(hand, () => work(record));
    const add = (kind: 'controller' | 'contact', content: RegisterContent) =>
      act(recorder => addEntry(deployment, { kind, id: null, content, by: 'staff-7' }, recorder));
    const putBack = (id: string) =>
      act(recorder => changeEntry(deployment, { id, edit: content => content, by: 'staff-7' }, recorder));

    const { id: controller } = await add('controller', { type: 'school', name: 'Oakfield', answers: {}, note: null });
    const head = {
      controller,
      name: 'Head',
      email: 'head@oakfield.example',
      phone: null,
      may: ['receive' as const],
      note: null,
    };
    const { id: contact } = await add('contact', head);
    await until('2026-11-22T08:16:00Z');
    expect([lastValue('RegisterEntriesAltered'), lastValue('ContactsNotConfirmed')]).toEqual([0, 0]);

    // Whoever keeps the register may write there without a word to the ledger. An hour is for those who are about to tell it.
    const Key = registerEntryKey(contact);
    const { ETag: IfMatch } = await s3.send(new HeadObjectCommand({ Bucket: deployment.registerBucket, Key }));
    await s3.send(new PutObjectCommand({ Bucket: deployment.registerBucket, Key, Body: 'thief@example', IfMatch }));
    expect(await ofRegister('2026-11-22T09:46:00Z')).toEqual(['22T09:46 +register-altered']);
    const named = cloud.lambda
      .linesOf(stepName('pulse/read-back'))
      .map(line => JSON.parse(line))
      .filter(({ message }) => message === 'an entry of the register does not lie as it was recorded');
    expect(named.at(-1)).toMatchObject({ entry: contact, problem: 'altered' });
    await putBack(contact);
    expect(await ofRegister('2026-11-22T10:01:00Z')).toEqual(['22T10:01 -register-altered']);

    // What is hidden without a word is no removal.
    const { ETag } = await s3.send(new HeadObjectCommand({ Bucket: deployment.registerBucket, Key }));
    await s3.send(new DeleteObjectCommand({ Bucket: deployment.registerBucket, Key, IfMatch: ETag }));
    expect(await ofRegister('2026-11-22T11:31:00Z')).toEqual(['22T11:31 +register-altered']);
    await act(recorder => removeEntry(deployment, { id: contact, by: 'staff-7' }, recorder));
    expect(await ofRegister('2026-11-22T11:46:00Z')).toEqual(['22T11:46 -register-altered']);
    await add('contact', head);
    await until('2026-11-22T12:16:00Z');
    expect(lastValue('RegisterEntriesAltered')).toBe(0);

    // Where the bucket cannot be listed, nobody says that all is well.
    const { length } = valuesOf('RegisterEntriesAltered');
    const role = roleArn(account, stepName('pulse/read-back'));
    const Statement = [
      { Effect: 'Allow', Action: '*', Resource: '*' },
      { Effect: 'Deny', Action: 's3:ListBucketVersions', Resource: `arn:aws:s3:::${deployment.registerBucket}` },
    ];
    cloud.iam.putRole({ arn: role, policies: [{ Version: '2012-10-17', Statement }] });
    await until('2026-11-22T12:31:00Z');
    expect([valuesOf('RegisterEntriesAltered').length, lastValue('PulseChecksFailed')]).toEqual([length, 1]);
    await cloud.close();
  });

  it('is missed when it stops', async () => {
    const { until, cloud, sounding, toldSince } = await deploy('silent', []);
    await until('2026-11-22T08:16:00Z');
    expect(sounding()).toEqual(UNSAFE_WITHOUT_A_BACKUP);
    await until('2026-11-22T08:20:00Z');
    const schedule = (State: 'ENABLED' | 'DISABLED') => ({
      Name: 'daybreak-pulse',
      ScheduleExpression: 'rate(15 minutes)',
      State,
      FlexibleTimeWindow: { Mode: 'OFF' },
      Target: {
        Arn: `arn:aws:lambda:eu-west-2:${account}:function:daybreak-pulse-read-back`,
        RoleArn: roleArn(account, 'daybreak-scheduler'),
      },
    });
    cloud.scheduler.createSchedule(schedule('DISABLED'));
    const changes = await until('2026-11-22T09:46:00Z');
    expect(changes).toContain('22T09:01 +pulse-silent');
    expect(sounding()).toEqual(OF_PULSE);
    // Of twenty alarms that sound for want of data, one wakes, once.
    expect(toldSince('2026-11-22T08:21:00Z')).toEqual(['22T09:01 ALARM pulse-silent → pagers']);

    cloud.scheduler.createSchedule(schedule('ENABLED'));
    await until('2026-11-22T10:16:00Z');
    expect(sounding()).toEqual(UNSAFE_WITHOUT_A_BACKUP);
    const since = toldSince('2026-11-22T09:46:00Z');
    expect(since).toEqual([expect.stringContaining('OK pulse-silent → pagers')]);
    await cloud.close();
  });
});
