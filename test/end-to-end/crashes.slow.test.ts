import { CreateDBInstanceCommand, DescribeDBInstancesCommand } from '@aws-sdk/client-rds';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { idOfInstant } from '../../functions/contracts/identifiers.ts';
import {
  restoreTestInstanceId,
  restoreTestRecordKey,
  rootManifestKey,
  vaultSnapshotId,
} from '../../functions/contracts/vault-layout.ts';
import { stepName } from '../../infra/access/role-names.ts';
import { DATABASE, TestEnvironment } from './environment.ts';
import { listSupplierFiles, TENANTS } from './supplier.ts';

const MINUTES = 60_000;
const SOURCE = `${DATABASE}-source`;

/** What an event holds that tells the calls of one function apart. */
interface Event {
  readonly moment?: string;
  readonly snapshotId?: string;
  readonly draft?: { readonly kind: string };
}
type Which = (functionName: string, event: Event) => boolean;

const called =
  (name: string, and: (event: Event) => boolean = () => true): Which =>
  (functionName, event) =>
    functionName === `daybreak-${name}` && and(event);

let environment: TestEnvironment;
beforeAll(async () => {
  environment = await TestEnvironment.create();
}, 3 * MINUTES);
afterEach(() => environment.cloud.lambda.intercept(undefined));
afterAll(() => environment?.remove());

class KilledError extends Error {
  override readonly name = 'KilledError';
}

/** Lets every call that `which` names die right after it did its work. @returns how often that was. */
function killAfter(which: Which): () => number {
  let count = 0;
  environment.cloud.lambda.intercept(async ({ functionName, event }, next) => {
    const answer = await next();
    if (!which(functionName, event as Event)) return answer;
    count++;
    throw new KilledError('killed');
  });
  return () => count;
}

const SCHEDULED = (['pulse/read-back', 'restore-test/remove-abandoned', 'workflows/start-execution'] as const).map(
  stepName,
);

/** Loses the answer to each step's first call, so that the workflow calls it again. What schedules call meanwhile is heard. */
function loseEachFirstAnswer(): Set<string> {
  const seen = new Set<string>();
  environment.cloud.lambda.intercept(async ({ functionName, event }, next) => {
    const answer = await next();
    if (SCHEDULED.includes(functionName)) return answer;
    const call = `${functionName} ${JSON.stringify(event)}`;
    if (seen.has(call)) return answer;
    seen.add(call);
    throw Object.assign(new Error('the answer was lost'), { name: 'Lambda.ServiceException' });
  });
  return seen;
}

/** What of recovery points there is: each has one snapshot, no intermediate is left, and the ledger's fold knows it once. */
async function expectOneGood(recoveryPointId: string): Promise<void> {
  const { document } = await environment.recoveryPoint(recoveryPointId);
  expect(document).toMatchObject({ status: 'good', reasons: [] });
  expect(document.databases).toMatchObject([{ databaseId: DATABASE, failure: null }]);
  expect(document.tenants.map(({ tenant, failure }) => [tenant, failure])).toEqual([
    [null, null],
    ...TENANTS.map(tenant => [tenant, null]),
  ]);
  const { snapshots } = await environment.databaseResources();
  expect(snapshots.filter(id => id.includes(recoveryPointId))).toEqual([vaultSnapshotId(recoveryPointId, DATABASE)]);
  const entries = (await environment.ledger()).filter(({ subject }) => subject === recoveryPointId);
  expect(entries.map(({ kind, body }) => [kind, body.status]).filter(([, status]) => status === 'good')).toEqual([
    ['backup.completed', 'good'],
  ]);
  const { recoveryPoints } = await environment.ledgerState();
  expect(recoveryPoints[recoveryPointId]).toMatchObject({ status: 'good', sequence: entries.at(-1)?.sequence });
}

// A database that one run has proved stays so: those that keep one from being proved come together.
const backupSteps: [state: string, which: Which][] = [
  ['EnsureKey', called('tenants-ensure-key')],
  ['Plan', called('backup-plan')],
  ['ListTenants', called('backup-list-tenants')],
  ['CreateSnapshot', called('backup-create-snapshot')],
  ['DescribeSnapshot', called('backup-describe-snapshot', ({ snapshotId }) => isIntermediate(snapshotId))],
  ['FingerprintBefore', called('backup-fingerprint', ({ moment }) => moment === 'before')],
  ['FingerprintAfter', called('backup-fingerprint', ({ moment }) => moment === 'after')],
  ['CopySnapshot', called('backup-copy-snapshot')],
  ['DescribeCopy', called('backup-describe-snapshot', ({ snapshotId }) => !isIntermediate(snapshotId))],
  ['DeleteIntermediate', called('backup-delete-intermediate')],
  ['BackUpTenant', called('backup-back-up-tenant')],
  ['PlanSettling', called('backup-settle-tenants', ({ moment }) => moment === 'before')],
  ['CloseTenants', called('backup-settle-tenants', ({ moment }) => moment === 'after')],
  ['Complete', called('backup-complete')],
  ['Record', called('evidence-append-entry', ({ draft }) => draft?.kind === 'backup.completed')],
];

/** One backup, begun for one instant again and again, dies after each of three. */
function inThrees(steps: typeof backupSteps): [states: string, steps: typeof backupSteps][] {
  return Array.from({ length: Math.ceil(steps.length / 3) }, (_, index) => {
    const three = steps.slice(index * 3, index * 3 + 3);
    return [three.map(([state]) => state).join(', '), three];
  });
}
const isIntermediate = (snapshotId = ''): boolean => snapshotId.startsWith('daybreak-intermediate-');

describe('a backup that is killed and run again for the same instant', () => {
  let added = 0;

  it.each(inThrees(backupSteps))(
    'finishes the same recovery point after %s died',
    async (_states, steps) => {
      await environment.put({ Key: `schools/${TENANTS[0]}/added ${++added}`, Body: Buffer.from(`${added}`) });
      const scheduledAt = environment.nextInstant();
      const recoveryPointId = idOfInstant(scheduledAt);
      for (const [state, which] of steps) {
        const killed = killAfter(which);
        const { execution } = await environment.backUp(scheduledAt);
        environment.cloud.lambda.intercept(undefined);
        // Of a bucket that keeps versions there is nothing to settle.
        const isSettled = state === 'PlanSettling';
        expect([state, execution.status]).toEqual([state, isSettled ? 'SUCCEEDED' : 'FAILED']);
        expect(killed()).toBeGreaterThan(0);
        if (environment.keysIn('vault').includes(rootManifestKey(recoveryPointId))) {
          const { document } = await environment.recoveryPoint(recoveryPointId);
          const whole = isSettled || state === 'Complete' || state === 'Record';
          expect(document.status).toBe(whole ? 'good' : 'incomplete');
          expect(document.reasons.join()).toMatch(whole ? /^$/ : /KilledError/);
        }
      }

      expect((await environment.backUp(scheduledAt)).execution.status).toBe('SUCCEEDED');
      await expectOneGood(recoveryPointId);
      // Each content was copied once, however often it was begun.
      const copies = environment.versionsIn('vault').filter(({ key }) => key.includes('/objects/'));
      expect(copies.length).toBe(listSupplierFiles().length + added);
    },
    5 * MINUTES,
  );

  it('leaves no intermediate snapshot and no upload of any of these runs', async () => {
    const { instances, snapshots } = await environment.databaseResources();
    expect(snapshots.filter(isIntermediate)).toEqual([]);
    expect(snapshots).toHaveLength(added);
    expect(instances).toEqual([SOURCE]);
    expect(environment.uploadsIn('vault')).toEqual([]);
  });

  it(
    'is good in one run where the answer to each first call is lost',
    async () => {
      const lost = loseEachFirstAnswer();
      const { execution, recoveryPointId } = await environment.backUp();
      environment.cloud.lambda.intercept(undefined);
      expect(execution.status).toBe('SUCCEEDED');
      expect(new Set([...lost].map(call => call.split(' ')[0]))).toEqual(
        new Set([
          'daybreak-backup-plan',
          'daybreak-backup-fingerprint',
          'daybreak-backup-create-snapshot',
          'daybreak-backup-describe-snapshot',
          'daybreak-backup-copy-snapshot',
          'daybreak-backup-delete-intermediate',
          'daybreak-backup-list-tenants',
          'daybreak-tenants-ensure-key',
          'daybreak-backup-back-up-tenant',
          'daybreak-backup-settle-tenants',
          'daybreak-backup-complete',
          'daybreak-evidence-append-entry',
        ]),
      );
      await expectOneGood(recoveryPointId);
    },
    3 * MINUTES,
  );

  it(
    'is one execution however often and late its schedule delivers it',
    async () => {
      const { scheduler, states } = environment.cloud;
      const scheduledTime = new Date(environment.nextInstant().replace(/\.\d+Z$/, '.000Z'));
      const deliver = () => scheduler.fire('daybreak-daily-backup', scheduledTime);
      const deliveries = await Promise.all([deliver(), deliver()]);
      const started = () => states.listExecutions().filter(({ name }) => name === nameOf(scheduledTime));
      expect(started()).toHaveLength(1);
      const [execution] = started();
      await states.waitForExecution(execution?.arn ?? '');
      deliveries.push(await deliver());
      expect(deliveries.map(({ failure }) => failure)).toEqual([null, null, null]);
      expect(started().map(({ status }) => status)).toEqual(['SUCCEEDED']);
      await expectOneGood(idOfInstant(scheduledTime.toISOString()));
    },
    3 * MINUTES,
  );
});

const nameOf = (instant: Date): string => `daily-backup-${instant.toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`;

describe('a restore test that is killed', () => {
  const steps: [state: string, which: Which, verdict: string | null][] = [
    ['Choose', called('restore-test-choose'), 'could-not-start'],
    ['RestoreDatabase', called('restore-test-restore-database'), 'could-not-start'],
    ['DescribeInstance', called('restore-test-describe-instance'), 'could-not-start'],
    ['Hydrate', called('restore-test-hydrate'), 'inconclusive'],
    ['VerifyDatabase', called('restore-test-verify-database'), 'inconclusive'],
    ['PlanObjects', called('restore-test-plan-objects'), 'inconclusive'],
    ['VerifyObjects', called('restore-test-verify-objects'), 'inconclusive'],
    ['TearDown', called('restore-test-tear-down'), 'inconclusive'],
    // From here on everything was compared and found to be as it was: what fails is to say so.
    ['Conclude', called('restore-test-conclude'), null],
    ['Record', called('evidence-append-entry', ({ draft }) => draft?.kind === 'restore-test.completed'), null],
  ];
  let recoveryPointId: string;
  beforeAll(async () => {
    ({ recoveryPointId } = await environment.backUpWell());
  });

  it.each(steps)(
    'leaves nothing behind, and has not succeeded, after %s died',
    async (_state, which, verdict) => {
      const killed = killAfter(which);
      const { execution, record, restoreTestId } = await environment.testRestore(recoveryPointId);
      environment.cloud.lambda.intercept(undefined);
      expect(killed()).toBeGreaterThan(0);
      expect(execution.status).toBe('FAILED');
      expect(record.verdict).toBe(verdict ?? 'passed');
      const entries = (await environment.ledger()).filter(({ body, subject }) =>
        [body.restoreTestId, subject].includes(restoreTestId),
      );
      if (verdict !== null) {
        expect(record.reasons.join()).not.toBe('');
        expect(entries.map(({ kind, body }) => [kind, body.verdict])).toEqual([['restore-test.completed', verdict]]);
      } else {
        expect(entries.at(-1)).toMatchObject({ kind: 'restore-test.failed', body: { error: 'KilledError' } });
      }
      // What was told to be deleted takes its minutes.
      await environment.cloud.rds.settle();
      await environment.clock.advance(5 * MINUTES);
      expect((await environment.databaseResources()).instances).toEqual([SOURCE]);
      expect(environment.keysIn('work', 'scratch/')).toEqual([]);
    },
    3 * MINUTES,
  );

  it(
    'passes in one run where the answer to each first call is lost',
    async () => {
      loseEachFirstAnswer();
      const { execution, record } = await environment.testRestore(recoveryPointId);
      environment.cloud.lambda.intercept(undefined);
      expect([execution.status, record.verdict, record.reasons]).toEqual(['SUCCEEDED', 'passed', []]);
      expect((await environment.databaseResources()).instances).toEqual([SOURCE]);
      expect(environment.keysIn('work', 'scratch/')).toEqual([]);
    },
    3 * MINUTES,
  );

  it(
    'is cleaned up by the janitor alone, which takes nothing else',
    async () => {
      const { cloud, clock } = environment;
      const foreign = 'daybreak-test-foreign';
      await environment.databases.send(
        new CreateDBInstanceCommand({
          DBInstanceIdentifier: foreign,
          DBInstanceClass: 'db.t4g.medium',
          Engine: 'postgres',
          AllocatedStorage: 20,
          MasterUsername: 'someone',
          MasterUserPassword: 'nobody-logs-in',
          BackupRetentionPeriod: 0,
        }),
      );
      const scheduledAt = environment.nextInstant();
      const abandoned = restoreTestInstanceId(idOfInstant(scheduledAt), DATABASE);
      let stopped = false;
      cloud.lambda.intercept(async ({ functionName }, next) => {
        const answer = await next();
        if (functionName === 'daybreak-restore-test-hydrate' && !stopped) {
          stopped = true;
          const running = cloud.states.listExecutions().filter(({ status }) => status === 'RUNNING');
          for (const { arn } of running) cloud.states.stopExecution(arn);
        }
        return answer;
      });
      const execution = await environment.local.run('restore-test', 'vanished', { scheduledAt, recoveryPointId });
      cloud.lambda.intercept(undefined);
      expect(execution.status).toBe('ABORTED');
      expect(environment.keysIn('evidence')).not.toContain(restoreTestRecordKey(idOfInstant(scheduledAt)));
      await cloud.rds.settle();
      expect((await environment.databaseResources()).instances).toEqual([abandoned, foreign, SOURCE].sort());

      // A test may take its time: the janitor waits.
      expect(await environment.local.run('remove-abandoned', 'early', {})).toMatchObject({ status: 'SUCCEEDED' });
      expect((await environment.databaseResources()).instances).toContain(abandoned);
      expect(await statusOf(abandoned)).toBe('available');

      // Its schedule comes every hour; the 25th time, the instance is older than a day.
      for (const other of ['daily-backup', 'restore-test', 'pulse'])
        cloud.scheduler.deleteSchedule(`daybreak-${other}`);
      const due = cloud.scheduler.nextInvocations('daybreak-remove-abandoned', 25).at(-1) as Date;
      expect(await environment.local.runScheduled('remove-abandoned', due)).toMatchObject({ status: 'SUCCEEDED' });
      expect(await environment.local.run('remove-abandoned', 'again', {})).toMatchObject({ status: 'SUCCEEDED' });
      const removals = (await environment.ledger()).filter(({ kind }) => kind === 'restored-instance.removed');
      expect(removals.map(({ subject, body }) => [subject, body.restoreTestId])).toEqual([
        [abandoned, idOfInstant(scheduledAt)],
      ]);
      await cloud.rds.settle();
      await clock.advance(5 * MINUTES);
      expect((await environment.databaseResources()).instances).toEqual([foreign, SOURCE].sort());
      expect(await statusOf(foreign)).toBe('available');
    },
    3 * MINUTES,
  );
});

async function statusOf(instanceId: string): Promise<string | undefined> {
  const { DBInstances } = await environment.databases.send(
    new DescribeDBInstancesCommand({ DBInstanceIdentifier: instanceId }),
  );
  return DBInstances?.[0]?.DBInstanceStatus;
}
