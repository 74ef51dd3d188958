import { describe, expect, it } from 'vitest';
import { STEP_DEFINITIONS } from '../../../infra/steps/definitions.ts';
import { dailyBackup } from '../../../infra/workflows/daily-backup.ts';
import { restoreTest } from '../../../infra/workflows/restore-test.ts';
import { runWorkflow } from './workflow-run.ts';

const recoveryPointId = '20261122t023000z';
const scheduledAt = '2026-11-22T02:30:00.000Z';
const itemsKey = `work/${recoveryPointId}/backup-items.jsonl`;
const HOUR_MS = 60 * 60 * 1000;
const CALL_MS = HOUR_MS / 4;

/** Runs a daily backup of as many instances with a database each, where snapshots, copies and measurements take so long. */
async function run(instances: number, hours: { snapshot: number; copy: number; measuring: number }) {
  const since = new Map<string, number>();
  const failures: unknown[] = [];
  let elapsedMs = () => 0;
  const isOver = (what: string, lasts: number) => {
    const from = since.get(what) ?? elapsedMs();
    since.set(what, from);
    return elapsedMs() - from >= lasts * HOUR_MS;
  };
  const ids = Array.from({ length: instances }, (_, index) => `i${index}`);
  const { execution } = await runWorkflow(
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
      onStart: clock => {
        elapsedMs = clock;
      },
    },
  );
  return { status: execution.status, events: execution.history.events.length, failures };
}

describe('the history of a daily backup', () => {
  const most = STEP_DEFINITIONS['backup/plan'].builtFor.items;

  it('of as many instances as it is built for stays below 25,000 events while RDS takes half a day', async () => {
    const { status, events, failures } = await run(most, { snapshot: 4, copy: 6, measuring: 2 });
    expect([status, failures]).toEqual(['SUCCEEDED', Array.from({ length: most }, () => null)]);
    expect(events).toBeLessThan(24_000);
  });

  it('of one instance asks every half a minute at first', async () => {
    const quick = await run(1, { snapshot: 0.1, copy: 0.1, measuring: 0 });
    expect(quick.failures).toEqual([null]);
    // Six minutes each, asked for twelve times more, at nine events.
    const none = await run(1, { snapshot: 0, copy: 0, measuring: 0 });
    expect(quick.events - none.events).toBe(2 * 12 * 9);
  });
});

describe('the history of a restore test', () => {
  it('of as many snapshots as there are instances stays below 25,000 events while restores take all their time', async () => {
    const [restoreTestId, testedId] = ['20261205t043000z', '20261205t023000z'];
    const ids = Array.from({ length: STEP_DEFINITIONS['backup/plan'].builtFor.items }, (_, index) => `i${index}`);
    const since = new Map<string, number>();
    let elapsedMs = () => 0;
    const { execution } = await runWorkflow(
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
          // Ten at each of four places, within twelve hours.
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
        onStart: clock => {
          elapsedMs = clock;
        },
      },
    );
    expect([execution.status, since.size]).toEqual(['SUCCEEDED', ids.length]);
    expect(execution.history.events.length).toBeLessThan(24_000);
  });
});
