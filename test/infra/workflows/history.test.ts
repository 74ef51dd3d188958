import { describe, expect, it } from 'vitest';
import type { Step } from '../../../infra/access/role-names.ts';
import { STEP_DEFINITIONS } from '../../../infra/steps/definitions.ts';
import { dailyBackup } from '../../../infra/workflows/daily-backup.ts';
import { DEFINITIONS } from '../../../infra/workflows/definitions.ts';
import { restoreTest } from '../../../infra/workflows/restore-test.ts';
import type { WorkflowDefinition } from '../../../infra/workflows/states-language.ts';
import { runWorkflow } from './workflow-run.ts';
import { worstHistories } from './worst-history.ts';

const recoveryPointId = '20261122t023000z';
const scheduledAt = '2026-11-22T02:30:00.000Z';
const itemsKey = `work/${recoveryPointId}/backup-items.jsonl`;
const IDLE_MS = 30 * 24 * 60 * 60 * 1000;
const HOUR_MS = 60 * 60 * 1000;
const CALL_MS = HOUR_MS / 4;

/** Runs a daily backup of as many instances with a database each, where snapshots, copies and measurements take so long. */
async function run(instances: number, hours: { snapshot: number; copy: number; measuring: number }, idleMs?: number) {
  const since = new Map<string, number>();
  const failures: unknown[] = [];
  let elapsedMs = () => 0;
  const isOver = (what: string, lasts: number) => {
    const from = since.get(what) ?? elapsedMs();
    since.set(what, from);
    return elapsedMs() - from >= lasts * HOUR_MS;
  };
  const ids = Array.from({ length: instances }, (_, index) => `i${index}`);
  const { execution, histories } = await runWorkflow(
    dailyBackup,
    {
      'backup/plan': () => ({
        recoveryPointId,
        scheduledAt,
        instances: ids.map(instanceId => ({
          recoveryPointId,
          instanceId,
          databases: [{ recoveryPointId, databaseId: instanceId, endpoint: { host: 'db.example', port: 5432 } }],
        })),
      }),
      'backup/fingerprint': async ({ databaseId, moment }, _call, takeTime) => {
        // Only the first database is large.
        const done = databaseId !== 'i0' || isOver(`${databaseId} ${moment}`, hours.measuring);
        if (!done) await takeTime(CALL_MS);
        return { done, measuredAt: done ? scheduledAt : null };
      },
      'backup/create-snapshot': ({ instanceId }) => ({ snapshotId: `snapshot-${instanceId}` }),
      'backup/copy-snapshot': ({ instanceId }) => ({ snapshotId: `copy-${instanceId}` }),
      'backup/describe-snapshot': ({ snapshotId }) => ({
        available: isOver(snapshotId, snapshotId.startsWith('copy') ? hours.copy : hours.snapshot),
        progressPercent: 50,
        takenAt: scheduledAt,
      }),
      'backup/delete-intermediate': () => ({}),
      'backup/list-tenants': () => ({
        ...{ itemsKey, itemCount: 0, unlistedBucketIds: [], bucketIdsWithoutVersions: [], postponedTenantCount: 0 },
        listing: 'd'.repeat(64),
        lostObjectsSha256: null,
      }),
      'backup/settle-tenants': ({ moment }) =>
        moment === 'before'
          ? { moment, itemsKey, itemCount: 0 }
          : { moment, tenantsKey: 'tenants.jsonl', cursor: null },
      'backup/complete': ({ databases }) => {
        failures.push(...databases.map(({ failure }: { failure: unknown }) => failure));
        const draft = { eventId: 'e', kind: 'backup.completed', actor: 'a', subject: recoveryPointId, body: {} };
        return { recoveryPointId, status: 'good', databases: [], draft };
      },
      'evidence/append-entry': () => ({ sequence: 1, entrySha256: 'b'.repeat(64) }),
    },
    {
      input: { scheduledAt },
      itemsKey,
      items: [],
      ...(idleMs !== undefined && { idleMs }),
      onStart: clock => {
        elapsedMs = clock;
      },
    },
  );
  return { status: execution.status, histories: histories(), failures };
}

describe('the history of a daily backup', () => {
  it('is one for each measurement and each question about an instance, and short while RDS takes half a day and functions wake', async () => {
    const hours = { snapshot: 4, copy: 6, measuring: 2 };
    const { status, histories, failures } = await run(5, hours, IDLE_MS);
    expect([status, failures]).toEqual(['SUCCEEDED', Array.from({ length: 5 }, () => null)]);
    // Besides the execution's own and two for each measurement, one for each instance in each round.
    expect((histories.length - 1 - 2 * 5) % 5).toBe(0);
    expect(Math.max(...histories)).toBeLessThan(2500);
    expect([...histories].sort((a, b) => b - a)[1]).toBeLessThan(100);
  });

  it('of one instance asks every half a minute at first', async () => {
    const quick = await run(1, { snapshot: 0.1, copy: 0.1, measuring: 0 });
    expect(quick.failures).toEqual([null]);
    // Six minutes each, asked for twelve times more, each time by a child of its own.
    const none = await run(1, { snapshot: 0, copy: 0, measuring: 0 });
    expect(quick.histories.length - none.histories.length).toBe(2 * 12);
  });
});

describe('the history of a restore test', () => {
  it('is one for each snapshot and each database, and short while restores take their time and functions wake', async () => {
    const [restoreTestId, testedId] = ['20261205t043000z', '20261205t023000z'];
    const ids = Array.from({ length: 8 }, (_, index) => `i${index}`);
    const since = new Map<string, number>();
    let elapsedMs = () => 0;
    const { execution, histories } = await runWorkflow(
      restoreTest,
      {
        'restore-test/choose': () => ({
          ...{ restoreTestId, recoveryPointId: testedId, reason: null, findings: [], allObjects: false },
          recoveryPointStatus: 'good',
          snapshots: ids.map(id => ({
            snapshotId: id,
            databases: [{ restoreTestId, recoveryPointId: testedId, databaseId: id }],
          })),
        }),
        'restore-test/restore-database': ({ databaseId }) => ({ instanceId: databaseId }),
        'restore-test/describe-instance': ({ instanceId }) => {
          const from = since.get(instanceId) ?? elapsedMs();
          since.set(instanceId, from);
          // Two at each of four places.
          const available = elapsedMs() - from >= 1.1 * HOUR_MS;
          const endpoint = { host: 'restored.example', port: 5432, resourceId: 'db-COPY' };
          return available ? { available, endpoint } : { available, endpoint: null };
        },
        'restore-test/hydrate': () => ({ done: true, bytesRead: 1 }),
        'restore-test/verify-database': ({ databaseId }) => ({
          done: true,
          verification: {
            ...{ databaseId, tableCount: 0, rowCount: 0, rowsExpected: 0, rowsComparedExactly: 0, driftRowCount: 0 },
            ...{ foreignKeysChecked: 0, indexesChecked: 0, heapRelationsChecked: null },
            ...{ gaps: [], gapTotals: [], findings: [], findingCount: 0 },
          },
        }),
        'restore-test/plan-objects': () => ({ itemsKey, itemCount: 0 }),
        'restore-test/tear-down': () => ({ done: true }),
        'restore-test/conclude': () => ({
          verdict: 'passed',
          recordKey: 'record',
          draft: { eventId: 'e', kind: 'restore-test.completed', actor: 'a', subject: testedId, body: {} },
        }),
        'evidence/append-entry': () => ({ sequence: 1, entrySha256: 'b'.repeat(64) }),
      },
      {
        input: { scheduledAt },
        itemsKey,
        items: [],
        idleMs: IDLE_MS,
        onStart: clock => {
          elapsedMs = clock;
        },
      },
    );
    expect([execution.status, since.size]).toEqual(['SUCCEEDED', ids.length]);
    expect(histories()).toHaveLength(1 + 2 * ids.length);
    expect(Math.max(...histories())).toBeLessThan(2000);
  });
});

describe('the worst history, as the definitions themselves have it', () => {
  const ARN = 'arn:aws:lambda:eu-west-2:111122223333:function:';
  // As much at once as may be configured.
  const references = {
    functionArn: (step: Step) => `${ARN}${step}`,
    workBucket: 'work',
    atOnce: { tenants: 1000, databases: 40 },
  };
  const stepOf = (name: string) => name.slice(ARN.length) as Step;
  const most = STEP_DEFINITIONS['backup/plan'].builtFor.items;
  // All that is built for: drafts of one run of the janitor.
  const items = { RecordInstances: most, RecordSnapshots: most };
  // A key that was recorded is not new.
  const once = ['TenantKeyRecorded', 'SettledTenantKeyRecorded'];
  const worst = (definition: WorkflowDefinition, sizes: Readonly<Record<string, number>>) =>
    worstHistories(JSON.parse(JSON.stringify(definition)), { items: sizes, once, stepOf });

  it.each(Object.entries(DEFINITIONS))(
    'of each execution of %s stays below 25,000 events, whatever refuses',
    (_name, define) => {
      const histories = worst(define(references), items);
      expect(Object.entries(histories).filter(([, events]) => events >= 25_000)).toEqual([]);
      expect(histories['']).toBeGreaterThan(100);
    },
  );

  it('would not where all databases of an instance had one history, or a refused call had its turn every second', () => {
    const inline = JSON.parse(JSON.stringify(restoreTest(references)), (name, value) =>
      // What its children get beside their items stands in the execution's own variables.
      name === 'TestDatabases'
        ? {
            ...value,
            MaxConcurrency: 40,
            ItemProcessor: { ...value.ItemProcessor, ProcessorConfig: { Mode: 'INLINE' } },
          }
        : value,
    );
    expect(worst(inline, { ...items, TestDatabases: most }).TestSnapshots).toBeGreaterThan(100_000);
    const hasty = JSON.parse(JSON.stringify(dailyBackup(references)), (name, value) =>
      name.endsWith('WaitsForTurn') ? { ...value, Seconds: 1 } : value,
    );
    expect(worst(hasty, items).MeasureAfter).toBeGreaterThan(25_000);
  });
});
