import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { UNDELIVERED_QUEUE } from '../../../functions/contracts/tampering.ts';
import { rootManifestKey } from '../../../functions/contracts/vault-layout.ts';
import { canonicalJson, sha256Hex } from '../../../functions/platform/canonical-json.ts';
import { PermanentError } from '../../../functions/platform/errors.ts';
import { signDocument } from '../../../functions/platform/kms.ts';
import { withRuntime } from '../../../functions/platform/runtime.ts';
import { stepName, workflowName } from '../../../infra/access/role-names.ts';
import type { BusEvent } from '../../../infra/local/events/service.ts';
import { dailyBackup } from '../../../infra/workflows/daily-backup.ts';
import { AT_ONCE } from '../../../infra/workflows/hours.ts';
import { restoreTest } from '../../../infra/workflows/restore-test.ts';
import { AttackedAccount, account, step } from '../access/attacks-account.ts';

const RECORDER = stepName('evidence/append-entry');
const MINUTE_MS = 60_000;
const HOUR_MINUTES = 60;
const scheduledAt = '2026-11-22T02:00:00.000Z';

const STARTED_MS = Date.parse(scheduledAt);

class InvalidConfigurationError extends PermanentError {}

let own: AttackedAccount;
afterEach(() => own.cloud.close());

async function started(...schedules: string[]) {
  own = await AttackedAccount.create();
  const kept = schedules.map(name => `daybreak-${name}`);
  for (const name of ['daily-backup', 'restore-test', 'remove-abandoned', 'pulse'].map(one => `daybreak-${one}`)) {
    if (!kept.includes(name)) own.cloud.scheduler.deleteSchedule(name);
  }
  return own.cloud;
}

async function minutes(count: number) {
  for (let minute = 0; minute < count; minute++) {
    await own.cloud.invocations.settle();
    await own.cloud.clock.advance(MINUTE_MS);
  }
  await own.cloud.invocations.settle();
}

/** Starts a run that somebody stops in its first step. */
async function stopped(workflow: 'daily-backup' | 'restore-test' | 'remove-abandoned', name: string) {
  const { states, lambda, invocations } = own.cloud;
  const input = { scheduledAt, pupil: 'Oliver Twist' };
  const execution = states.startExecution({ stateMachine: workflowName(workflow), name, input });
  lambda.intercept(async ({ functionName }, next) => {
    if (functionName !== RECORDER) states.stopExecution(execution.arn, 'Oliver', 'was asked for by Oliver Twist');
    return next();
  });
  expect(await states.waitForExecution(execution.arn)).toMatchObject({ status: 'ABORTED' });
  lambda.intercept(undefined);
  await invocations.settle();
  return execution;
}

/** What a good backup of nothing leaves in the vault. Returns its hash. */
async function putManifest(recoveryPointId: string): Promise<string> {
  const { cloud, deployment } = own;
  const at = cloud.clock.now().toISOString();
  const nothing = { databases: [], tenants: [], reasons: [] };
  const document = { version: 1, recoveryPointId, scheduledAt, completedAt: at, status: 'good', ...nothing };
  const role = step('backup/complete');
  const runtime = { environment: {}, clock: cloud.clock, writeLine: () => undefined, instances: new Map() };
  const signed = await withRuntime({ ...runtime, clientConfiguration: cloud.clientConfiguration(role) }, () =>
    signDocument(document, deployment.signingKeyArn),
  );
  const Body = canonicalJson(signed);
  const under = { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: deployment.vaultKeyArn } as const;
  await own.put(role, 'vault', rootManifestKey(recoveryPointId), { Body, ...under, IfNoneMatch: '*' });
  return sha256Hex(Body);
}

const statusChange = (detail: Record<string, unknown>): BusEvent => ({
  source: 'aws.states',
  'detail-type': 'Step Functions Execution Status Change',
  time: '2026-11-22T02:00:00Z',
  detail: {
    stateMachineArn: `arn:aws:states:eu-west-2:${account}:stateMachine:daybreak-daily-backup`,
    name: 'one',
    status: 'ABORTED',
    startDate: STARTED_MS,
    ...detail,
  },
});

describe('a run that ends without a word', () => {
  it.each([
    ['daily-backup', 'backup-failed/one', 'backup.failed'],
    ['restore-test', 'restore-test-failed/one', 'restore-test.failed'],
  ] as const)('is recorded where somebody stopped it: %s', async (workflow, eventId, kind) => {
    await started();
    await stopped(workflow, 'one');
    const entries = await own.ledger();
    expect(entries).toEqual([
      {
        version: 2,
        sequence: 1,
        recordedAt: '2026-11-22T02:00:00.000Z',
        previousSha256: '0'.repeat(64),
        eventId: `${eventId}/${STARTED_MS}`,
        kind,
        actor: `workflow/${workflow}`,
        subject: 'one',
        body: { error: 'ABORTED' },
        signature: { keyArn: own.deployment.entryKeyArn, algorithm: 'ECDSA_SHA_256', value: expect.any(String) },
      },
    ]);
    expect(JSON.stringify([entries, own.cloud.lambda.linesOf(RECORDER)])).not.toContain('Oliver');
  });

  // No part of a workflow can last that long (`workflows/deadlines.test.ts`): the event is what AWS would send.
  it('is recorded where it ran out of time', async () => {
    const cloud = await started();
    cloud.events.putEvent(statusChange({ name: 'long', status: 'TIMED_OUT' }));
    await minutes(1);
    expect(await own.ledger()).toMatchObject([
      {
        eventId: `backup-failed/long/${STARTED_MS}`,
        kind: 'backup.failed',
        subject: 'long',
        body: { error: 'TIMED_OUT' },
      },
    ]);
  });

  it('is recorded once where Step Functions itself failed it, and not where the workflow has recorded or ended it', async () => {
    const cloud = await started();
    const recorded = {
      eventId: `backup-failed/late/${STARTED_MS}`,
      kind: 'backup.failed',
      actor: 'workflow/daily-backup',
      subject: 'late',
    };
    const draft = { ...recorded, body: { error: 'States.Timeout' } };
    await cloud.lambda.invoke(RECORDER, { draft }, cloud.root);
    for (const [name, error] of [
      ['late', 'States.Timeout'],
      ['late', 'TypeError'],
      ['broken', 'States.QueryEvaluationError'],
      ['broken', 'States.Runtime'],
      ['unnamed', null],
      ['incomplete', 'RecoveryPointIncompleteError'],
    ]) {
      cloud.events.putEvent(statusChange({ name, status: 'FAILED', error }));
      await minutes(1);
    }
    expect(await own.ledger()).toMatchObject([
      draft,
      ...['broken', 'unnamed'].map(subject => ({
        eventId: `backup-failed/${subject}/${STARTED_MS}`,
        kind: 'backup.failed',
        subject,
        body: { error: 'FAILED' },
      })),
    ]);
  });

  it('is recorded where the workflow could not record its failure itself', async () => {
    const cloud = await started();
    cloud.lambda.intercept(async ({ functionName, event }, next) => {
      // What the rule sends; the workflow's own entry names what a step threw.
      if (functionName === RECORDER && JSON.stringify(event).includes('FAILED')) return next();
      throw new InvalidConfigurationError('no');
    });
    const input = { scheduledAt };
    const execution = cloud.states.startExecution({ stateMachine: workflowName('daily-backup'), name: 'one', input });
    await minutes(1);
    expect([execution.status, execution.error]).toEqual(['FAILED', 'InvalidConfigurationError']);
    expect(await own.ledger()).toMatchObject([
      { eventId: `backup-failed/one/${STARTED_MS}`, kind: 'backup.failed', subject: 'one', body: { error: 'FAILED' } },
    ]);
  });

  it('is recorded again where its name is given again, after Step Functions has forgotten it', async () => {
    const cloud = await started();
    for (const startDate of [STARTED_MS, STARTED_MS, STARTED_MS + 91 * 24 * HOUR_MINUTES * MINUTE_MS]) {
      cloud.events.putEvent(statusChange({ startDate }));
      await minutes(1);
    }
    expect((await own.ledger()).map(({ eventId }) => eventId)).toEqual([
      `backup-failed/one/${STARTED_MS}`,
      `backup-failed/one/${STARTED_MS + 91 * 24 * HOUR_MINUTES * MINUTE_MS}`,
    ]);
  });

  it('is none where a part is never done: the workflow gives that up, and records it itself', async () => {
    const cloud = await started();
    const database = { recoveryPointId: '20261122t020000z', databaseId: 'wellbeing', endpoint: { host: 'a', port: 1 } };
    const answers: Record<string, unknown> = {
      [stepName('backup/plan')]: {
        recoveryPointId: '20261122t020000z',
        scheduledAt,
        instances: [{ recoveryPointId: '20261122t020000z', instanceId: 'wellbeing', databases: [database] }],
      },
      [stepName('backup/fingerprint')]: { done: false, measuredAt: null },
      [stepName('backup/create-snapshot')]: { snapshotId: 'late' },
      [stepName('backup/describe-snapshot')]: { available: false, progressPercent: 1, takenAt: null },
    };
    cloud.lambda.intercept(async ({ functionName }, next) => {
      if (functionName === RECORDER) return next();
      if (functionName === stepName('backup/list-tenants')) throw new TypeError('broken by the test');
      if (functionName === stepName('backup/fingerprint')) await cloud.clock.sleep(10 * MINUTE_MS);
      return answers[functionName];
    });
    const input = { scheduledAt };
    const execution = cloud.states.startExecution({ stateMachine: workflowName('daily-backup'), name: 'late', input });
    while (execution.status === 'RUNNING') await minutes(1);
    const lastedMs = Number(execution.stopDate) - execution.startDate.getTime();
    expect([execution.status, Math.floor(lastedMs / HOUR_MINUTES / MINUTE_MS)]).toEqual(['FAILED', 8]);
    expect(await own.ledger()).toMatchObject([
      {
        eventId: `backup-failed/late/${execution.startDate.getTime()}`,
        kind: 'backup.failed',
        body: { error: 'TypeError' },
      },
    ]);
  });

  it('is recorded once, however often it is delivered', async () => {
    const cloud = await started();
    await stopped('daily-backup', 'one');
    for (let delivery = 0; delivery < 3; delivery++) cloud.events.putEvent(statusChange({}));
    await cloud.invocations.settle();
    expect(await own.ledger()).toHaveLength(1);
  });

  it('alarms at the next pulse, until a good backup is recorded', async () => {
    const cloud = await started('pulse');
    await minutes(17);
    await stopped('daily-backup', 'one');
    expect(cloud.alarms.stateOf('daybreak-backup-failed')).toBe('OK');
    await minutes(14);
    const heard = () =>
      cloud.alarms.changes().flatMap(({ alarm, to, at }) => (alarm === 'daybreak-backup-failed' ? [[to, at]] : []));
    expect(heard().at(-1)).toEqual(['ALARM', new Date('2026-11-22T02:31:00.000Z')]);
    // The execution is redriven, and then good.
    const body = {
      recoveryPointId: '20261122t020000z',
      status: 'good',
      rootManifestSha256: await putManifest('20261122t020000z'),
    };
    const draft = { eventId: 'backup/x', kind: 'backup.completed', actor: 'workflow/daily-backup', subject: 'x', body };
    await cloud.lambda.invoke(RECORDER, { draft }, cloud.root);
    await minutes(15);
    expect(heard().at(-1)).toEqual(['OK', new Date('2026-11-22T02:46:00.000Z')]);
  });

  it('waits in the queue, and alarms, where the ledger takes nothing', async () => {
    const cloud = await started();
    cloud.lambda.intercept(async () => {
      throw new Error('nothing is written today');
    });
    cloud.events.putEvent(statusChange({}));
    await minutes(4);
    const queue = `arn:aws:sqs:eu-west-2:${account}:${UNDELIVERED_QUEUE}`;
    expect(cloud.queues.receiveAll(queue)).toMatchObject([
      { requestPayload: { draft: { eventId: `backup-failed/one/${STARTED_MS}`, body: { error: 'ABORTED' } } } },
    ]);
    await minutes(1);
    expect(cloud.alarms.stateOf('daybreak-tampering-not-recorded')).toBe('ALARM');
  });
});

describe('what is recorded once', () => {
  it('is a failure that the workflow records itself, though the rule hears of it as well', async () => {
    const cloud = await started();
    cloud.lambda.intercept(async ({ functionName }, next) => {
      if (functionName === RECORDER) return next();
      throw new InvalidConfigurationError('no');
    });
    const input = { scheduledAt };
    const execution = cloud.states.startExecution({ stateMachine: workflowName('daily-backup'), name: 'one', input });
    await minutes(HOUR_MINUTES);
    expect(execution.status).toBe('FAILED');
    const failure = {
      eventId: `backup-failed/one/${STARTED_MS}`,
      subject: 'one',
      body: { error: 'InvalidConfigurationError' },
    };
    expect(await own.ledger()).toMatchObject([failure]);
    // Stopped after it had recorded its failure, it fails once.
    cloud.events.putEvent(statusChange({}));
    await cloud.invocations.settle();
    expect(await own.ledger()).toMatchObject([failure]);
  });
});

describe('what no rule hears', () => {
  it('is an end that the workflow has recorded: each, and none that a step could end it by', async () => {
    const { events } = await started();
    const files = (await readdir('functions', { recursive: true })).filter(name => name.endsWith('.ts'));
    const texts = await Promise.all(files.map(name => readFile(join('functions', name), 'utf8')));
    const thrown = texts.flatMap(text => [...text.matchAll(/class (\w+)/g)].map(([, name]) => name));
    expect(thrown).toContain('RootManifestInvalidError');
    const references = { functionArn: (name: string) => name, workBucket: 'work', atOnce: AT_ONCE };
    for (const [workflow, { States }] of Object.entries({
      'daily-backup': dailyBackup(references),
      'restore-test': restoreTest(references),
    })) {
      // `Failed` ends a run by what a step threw.
      const errors = Object.entries(States).flatMap(([name, state]) =>
        state.Type === 'Fail' && name !== 'Failed'
          ? [...state.Error.matchAll(/(?:RecoveryPoint|RestoreTest)\w+/g)].map(([error]) => error)
          : [],
      );
      expect(errors).toHaveLength(workflow === 'daily-backup' ? 1 : 3);
      const stateMachineArn = `arn:aws:states:eu-west-2:${account}:stateMachine:daybreak-${workflow}`;
      const heard = (error: string) => events.rulesFor(statusChange({ stateMachineArn, status: 'FAILED', error }));
      expect(errors.flatMap(heard)).toEqual([]);
      expect(errors.filter(error => thrown.includes(error))).toEqual([]);
      expect(heard('TypeError')).toEqual([`daybreak-stopped-${workflow}`]);
    }
  });

  it('is anything but a backup or restore test that ended without a result', async () => {
    const { events } = await started();
    const daily = `arn:aws:states:eu-west-2:${account}:stateMachine:daybreak-daily-backup`;
    expect(events.rulesFor(statusChange({}))).toEqual(['daybreak-stopped-daily-backup']);
    for (const status of ['RUNNING', 'SUCCEEDED', 'PENDING_REDRIVE']) {
      expect(events.rulesFor(statusChange({ status }))).toEqual([]);
    }
    for (const stateMachineArn of [`${daily}/BackUpTenants`, `${daily}-2`, daily.replace(account, '999988887777')]) {
      expect(events.rulesFor(statusChange({ stateMachineArn }))).toEqual([]);
    }
    expect(events.rulesFor({ ...statusChange({}), source: 'somebody.else' })).toEqual([]);
    await stopped('remove-abandoned', 'one');
    expect(await own.ledger()).toEqual([]);
  });
});
