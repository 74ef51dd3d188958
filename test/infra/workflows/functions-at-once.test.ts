import jsonata from 'jsonata';
import { describe, expect, it } from 'vitest';
import type { Workflow } from '../../../infra/access/role-names.ts';
import { dailyBackup } from '../../../infra/workflows/daily-backup.ts';
import { DEFINITIONS } from '../../../infra/workflows/definitions.ts';
import { functionsAtOnce } from '../../../infra/workflows/functions-at-once.ts';
import { restoreTest } from '../../../infra/workflows/restore-test.ts';
import type { Graph, State } from './definition-graph.ts';
import { runWorkflow } from './workflow-run.ts';

const definitionOf = (name: Workflow, atOnce: { tenants: number; databases: number }): Graph =>
  JSON.parse(JSON.stringify(DEFINITIONS[name]({ functionArn: step => step, workBucket: 'work', atOnce })));

/** How many items a map has, by its name, where that is fewer than any number; and what its expressions see. */
interface Sizes {
  readonly items: Readonly<Record<string, number>>;
  readonly variables: Readonly<Record<string, unknown>>;
}

/** One state at a time is entered, but for branches, which add up, and for what maps do at once, which multiplies. */
async function mostAtOnce({ States }: Graph, sizes: Sizes): Promise<number> {
  const each = await Promise.all(Object.entries(States).map(([name, state]) => ofState(name, state, sizes)));
  return Math.max(0, ...each);
}

async function ofState(name: string, state: State, sizes: Sizes): Promise<number> {
  const { Type, Branches = [], ItemProcessor, MaxConcurrency = 0 } = state;
  if (Type === 'Task') return 1;
  const branches = await Promise.all(Branches.map(branch => mostAtOnce(branch, sizes)));
  if (ItemProcessor === undefined) return branches.reduce((sum, functions) => sum + functions, 0);
  const limit =
    typeof MaxConcurrency === 'number'
      ? MaxConcurrency
      : Number(await jsonata(MaxConcurrency.slice(2, -2)).evaluate({}, sizes.variables));
  // Of zero or none Step Functions runs as many as it can.
  const lanes = limit === 0 ? Number.POSITIVE_INFINITY : limit;
  return Math.min(lanes, sizes.items[name] ?? Number.POSITIVE_INFINITY) * (await mostAtOnce(ItemProcessor, sizes));
}

const ofAnySize: Sizes = { items: {}, variables: { snapshotCount: 1 } };
const numbers = [1, 2, 3, 4, 7, 10, 39, 40];

describe('the functions that run at once', () => {
  it.each(numbers.flatMap(databases => [1, 4, 40, 1000].map(tenants => ({ tenants, databases }))))(
    'are as many as is said where %o are configured, and no more',
    async atOnce => {
      for (const [name, most] of Object.entries(functionsAtOnce(atOnce)) as [Workflow, number][]) {
        const definition = definitionOf(name, atOnce);
        if (name !== 'restore-test') {
          expect(await mostAtOnce(definition, ofAnySize), name).toBe(most);
          continue;
        }
        // What its instances leave to each other depends on how many there are.
        const found = await Promise.all(
          Array.from({ length: 45 }, (_, index) => index + 1).map(snapshotCount =>
            mostAtOnce(definition, { items: { TestSnapshots: snapshotCount }, variables: { snapshotCount } }),
          ),
        );
        expect(Math.max(...found), name).toBe(most);
        expect(Math.min(...found), name).toBeGreaterThanOrEqual(
          Math.max(atOnce.tenants, Math.ceil(atOnce.databases / 2)),
        );
      }
    },
  );

  it('would be more where a map of a map had all of it, or a map no limit', async () => {
    const atOnce = { tenants: 4, databases: 3 };
    const shared = /\{% \$floor\(3 \/ \$min\(\[3, \$snapshotCount\]\)\) %\}/;
    const text = JSON.stringify(definitionOf('restore-test', atOnce));
    expect(text).toMatch(shared);
    expect(await mostAtOnce(JSON.parse(text.replace(shared, '{% 3 %}')), ofAnySize)).toBe(9);
    const unlimited = JSON.stringify(definitionOf('daily-backup', atOnce)).replace(
      '"MaxConcurrency":3',
      '"MaxConcurrency":0',
    );
    expect(await mostAtOnce(JSON.parse(unlimited), ofAnySize)).toBe(Number.POSITIVE_INFINITY);
  });
});

/** Steps that take a minute each, and how many of them were under way at once. */
function counting() {
  const underWay = { now: 0, most: 0 };
  const during = async (takeTime: (durationMs: number) => Promise<void>, answer: unknown) => {
    underWay.most = Math.max(underWay.most, ++underWay.now);
    await takeTime(60_000);
    underWay.now--;
    return answer;
  };
  return { underWay, during };
}

describe('a run of six instances with three databases each', () => {
  const ids = ['a', 'b', 'c', 'd', 'e', 'f'];
  const names = (id: string) => [1, 2, 3].map(number => `${id}${number}`);
  const at = '2026-11-22T02:30:00.000Z';
  const id = '20261122t023000z';
  const endpoint = { host: 'db.example', port: 5432 };
  const atOnce = { tenants: 3, databases: 4 };
  const tenants = Array.from({ length: 20 }, (_, index) => `school-${index}`);

  it('backs up with as many as that', async () => {
    const { underWay, during } = counting();
    const itemsKey = `work/${id}/backup-items.jsonl`;
    const listed = {
      unlistedBucketIds: [],
      bucketIdsWithoutVersions: [],
      postponedTenantCount: 0,
      lostObjectsSha256: null,
    };
    const draft = { eventId: 'e', kind: 'backup.completed', actor: 'a', subject: id, body: {} };
    const ofTenant = { manifestSha256: 'a'.repeat(64), previousManifestSha256: null, notCovered: {}, failure: null };
    const counts = { objectCount: 1, byteCount: 1, copiedObjectCount: 1, copiedByteCount: 1, recopiedObjectCount: 0 };
    const { execution, inputsOf } = await runWorkflow(
      dailyBackup,
      {
        'backup/plan': () => ({
          recoveryPointId: id,
          scheduledAt: at,
          instances: ids.map(instanceId => ({
            recoveryPointId: id,
            instanceId,
            databases: names(instanceId).map(databaseId => ({ recoveryPointId: id, databaseId, endpoint })),
          })),
        }),
        'backup/fingerprint': (_input, _call, takeTime) => during(takeTime, { done: true, measuredAt: at }),
        'backup/create-snapshot': ({ instanceId }, _call, takeTime) =>
          during(takeTime, { snapshotId: `daybreak-intermediate-${instanceId}` }),
        'backup/copy-snapshot': ({ instanceId }, _call, takeTime) => during(takeTime, { snapshotId: instanceId }),
        'backup/describe-snapshot': (_input, _call, takeTime) =>
          during(takeTime, { available: true, progressPercent: 100, takenAt: at }),
        'backup/delete-intermediate': (_input, _call, takeTime) => during(takeTime, {}),
        'backup/list-tenants': () => ({ itemsKey, itemCount: tenants.length, listing: 'd'.repeat(64), ...listed }),
        'tenants/ensure-key': (_input, _call, takeTime) => during(takeTime, { keyArn: 'key', draft: null }),
        'backup/back-up-tenant': ({ item: { tenant } }, _call, takeTime) =>
          during(takeTime, { result: { bucketId: 'uploads', tenant, ...ofTenant, ...counts }, cursor: null }),
        'backup/settle-tenants': ({ moment }) =>
          moment === 'before' ? { moment, itemsKey, itemCount: 0 } : { moment, tenantsKey: 'tenants', cursor: null },
        'backup/complete': () => ({ recoveryPointId: id, status: 'good', databases: [], draft }),
        'evidence/append-entry': () => ({ sequence: 1, entrySha256: 'b'.repeat(64) }),
      },
      {
        input: { scheduledAt: at },
        itemsKey,
        items: tenants.map(tenant => ({
          ...{ recoveryPointId: id, bucketId: 'uploads', tenant, previousManifestSha256: null, asOf: at },
        })),
        atOnce,
      },
    );
    expect(execution.status).toBe('SUCCEEDED');
    const databases = ids.flatMap(names).map(databaseId => ({ databaseId, failure: null }));
    expect(inputsOf('backup/complete')).toMatchObject([{ databases }]);
    expect(underWay).toEqual({ now: 0, most: functionsAtOnce(atOnce)['daily-backup'] });
  });

  it.each([
    [ids, 4],
    [['a', 'b', 'c'], 3],
    [['a', 'b'], 4],
    [['a'], 3],
  ])('tests %j with as many as that, or fewer', async (restored, most) => {
    const { underWay, during } = counting();
    const restoreTestId = '20261205t043000z';
    const ofDatabase = { restoreTestId, recoveryPointId: id };
    const chosen = { restoreTestId, recoveryPointId: id, reason: null, findings: [], allObjects: false };
    const nothing = { tableCount: 0, rowCount: 0, rowsExpected: 0, rowsComparedExactly: 0, driftRowCount: 0 };
    const unchecked = { foreignKeysChecked: 0, indexesChecked: 0, heapRelationsChecked: null };
    const draft = { eventId: 'e', kind: 'restore-test.completed', actor: 'a', subject: id, body: {} };
    const itemsKey = `work/${restoreTestId}/items.jsonl`;
    const { execution, inputsOf } = await runWorkflow(
      restoreTest,
      {
        'restore-test/choose': () => ({
          ...chosen,
          recoveryPointStatus: 'good',
          snapshots: restored.map(snapshotId => ({
            snapshotId,
            databases: names(snapshotId).map(databaseId => ({ ...ofDatabase, databaseId })),
          })),
        }),
        'restore-test/restore-database': ({ databaseId }, _call, takeTime) =>
          during(takeTime, { instanceId: databaseId }),
        'restore-test/describe-instance': (_input, _call, takeTime) =>
          during(takeTime, { available: true, endpoint: { ...endpoint, resourceId: 'db-COPY' } }),
        'restore-test/hydrate': (_input, _call, takeTime) => during(takeTime, { done: true, bytesRead: 1 }),
        'restore-test/verify-database': ({ databaseId }, _call, takeTime) =>
          during(takeTime, {
            done: true,
            verification: {
              ...{ databaseId, gaps: [], gapTotals: [], findings: [], findingCount: 0 },
              ...nothing,
              ...unchecked,
            },
          }),
        'restore-test/plan-objects': () => ({ itemsKey, itemCount: 0 }),
        'restore-test/tear-down': () => ({ done: true }),
        'restore-test/conclude': () => ({ verdict: 'passed', recordKey: 'record', draft }),
        'evidence/append-entry': () => ({ sequence: 1, entrySha256: 'b'.repeat(64) }),
      },
      { input: { scheduledAt: '2026-12-05T04:30:00.000Z' }, itemsKey, items: [], atOnce },
    );
    expect(execution.status).toBe('SUCCEEDED');
    const [{ databases }] = inputsOf('restore-test/conclude') as [{ databases: { databaseId: string }[] }];
    expect(databases.map(({ databaseId }) => databaseId)).toEqual(restored.flatMap(names));
    expect(underWay).toEqual({ now: 0, most });
  });
});
