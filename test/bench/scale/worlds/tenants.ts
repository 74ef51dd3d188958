import type { z } from 'zod';
import { handler as listTenants } from '../../../../functions/backup/list-tenants.ts';
import type { CompleteInput, SettleTenantsInput } from '../../../../functions/contracts/daily-backup.ts';
import { idOfInstant } from '../../../../functions/contracts/identifiers.ts';
import type { TenantBackupResult } from '../../../../functions/contracts/object-manifest.ts';
import type { RecoveryPoint } from '../../../../functions/contracts/recovery-point.ts';
import { itemsKey, rootManifestKey, tenantResultsKey } from '../../../../functions/contracts/vault-layout.ts';
import { canonicalJson } from '../../../../functions/platform/canonical-json.ts';
import { systemClock } from '../../../../functions/platform/clock.ts';
import { keepWithin } from '../../../../functions/restore-test/keep-within.ts';
import { STEP_DEFINITIONS } from '../../../../infra/steps/definitions.ts';
import { stepRuntime, type TestRuntime } from '../../../fixtures/step-runtime.ts';
import type { Prepared } from '../loads.ts';
import { openWorld } from '../world.ts';

// Steps are measured under the machine's clock, and a recovery point is closed within some days.
const scheduledAt = `${systemClock.now().toISOString().slice(0, 13)}:00:00.000Z`;
const recoveryPointId = idOfInstant(scheduledAt);
const earlierId = '20261121t023000z';
const restoreTestId = '20261201t060000z';
const sha256 = 'a'.repeat(64);
const bucketId = 'uploads';
const names = (count: number) =>
  Array.from({ length: count }, (_, index) => `school-${String(index).padStart(6, '0')}`);

const result = (tenant: string): TenantBackupResult => ({
  bucketId,
  tenant,
  manifestSha256: sha256,
  previousManifestSha256: sha256,
  listedFrom: scheduledAt,
  listedTo: scheduledAt,
  objectCount: 10_000,
  byteCount: 3_000_000_000,
  copiedObjectCount: 100,
  copiedByteCount: 30_000_000,
  recopiedObjectCount: 0,
  notCovered: {},
  failure: null,
});

async function prepared(cloud: TestRuntime, event: Record<string, unknown>): Promise<Prepared> {
  const environment = {
    DAYBREAK_CONFIGURATION: JSON.stringify(cloud.configuration),
    DAYBREAK_DEPLOYMENT: JSON.stringify(cloud.deployment),
  };
  return { event, environment, world: await openWorld(cloud) };
}

async function putRootManifest(cloud: TestRuntime, id: string, items: number): Promise<void> {
  const document: RecoveryPoint = {
    version: 1,
    recoveryPointId: id,
    scheduledAt,
    completedAt: scheduledAt,
    status: 'good',
    databases: [],
    tenants: names(items).map(result),
    reasons: [],
  };
  await cloud.put('vault', rootManifestKey(id), canonicalJson(await cloud.sign(document)));
}

/** @returns the key of the result writer's manifest. */
async function putResults(cloud: TestRuntime, id: string, results: readonly unknown[]): Promise<string> {
  const prefix = `work/${id}/results/run/`;
  await cloud.put('work', `${prefix}SUCCEEDED_0.jsonl`, jsonLines(results));
  const ResultFiles = { SUCCEEDED: [{ Key: `${prefix}SUCCEEDED_0.jsonl` }], FAILED: [], PENDING: [] };
  await cloud.put('work', `${prefix}manifest.json`, JSON.stringify({ DestinationBucket: 'work', ResultFiles }));
  return `${prefix}manifest.json`;
}

const jsonLines = (values: readonly unknown[]) => values.map(value => `${JSON.stringify(value)}\n`).join('');

/** Tenants that have files, and that the recovery point of the day before knows. */
export async function prepareList(items: number): Promise<Prepared> {
  return prepared(await withFiles(items), { recoveryPointId });
}

/** The same, which have been listed. */
export async function prepareListAgain(items: number): Promise<Prepared> {
  const cloud = await withFiles(items);
  const { listing } = await cloud.invoke(listTenants, { recoveryPointId });
  return prepared(cloud, { recoveryPointId, listing });
}

async function withFiles(items: number): Promise<TestRuntime> {
  const cloud = stepRuntime();
  const keys = names(items).map(name => `schools/${name}/report.pdf`);
  await cloud.put('school-uploads', keys[0] ?? '', 'x');
  cloud.clone('school-uploads', keys[0] ?? '', keys.slice(1));
  await putRootManifest(cloud, earlierId, items);
  return cloud;
}

/** Every tenant was listed twice, and nothing vanished. */
export async function prepareSettle(items: number): Promise<Prepared> {
  const cloud = stepRuntime();
  const item = (tenant: string) => ({ recoveryPointId, bucketId, tenant, previousManifestSha256: sha256 });
  await cloud.put('work', itemsKey('backup', recoveryPointId), jsonLines(names(items).map(item)));
  const tenantResultsKey = await putResults(cloud, recoveryPointId, names(items).map(result));
  return prepared(cloud, {
    moment: 'after',
    recoveryPointId,
    tenantResultsKey,
    settledResultsKeys: [tenantResultsKey],
    cursor: null,
  } satisfies z.input<typeof SettleTenantsInput>);
}

export async function preparePlan(items: number): Promise<Prepared> {
  const cloud = stepRuntime();
  await putRootManifest(cloud, recoveryPointId, items);
  return prepared(cloud, { restoreTestId, recoveryPointId, allObjects: true });
}

export async function prepareComplete(items: number): Promise<Prepared> {
  const cloud = stepRuntime();
  const item = (tenant: string) => ({ recoveryPointId, bucketId, tenant, previousManifestSha256: sha256 });
  await cloud.put('work', itemsKey('backup', recoveryPointId), jsonLines(names(items).map(item)));
  const tenantsKey = tenantResultsKey(recoveryPointId);
  await cloud.put('work', tenantsKey, jsonLines(names(items).map(result)));
  return prepared(cloud, {
    recoveryPointId,
    scheduledAt,
    databases: [],
    asOf: null,
    tenantsKey,
    unlistedBucketIds: [],
    postponedTenantCount: 0,
  } satisfies z.input<typeof CompleteInput>);
}

/** Every database has as many findings and gaps as are kept, and each tenant one finding. */
export async function prepareConclude(items: number): Promise<Prepared> {
  const cloud = stepRuntime();
  const item = (tenant: string) => ({
    restoreTestId,
    recoveryPointId,
    bucketId,
    tenant,
    manifestSha256: sha256,
    sampleSize: null,
  });
  await cloud.put('work', itemsKey('restore-test', restoreTestId), jsonLines(names(items).map(item)));
  const verified = (tenant: string) => ({
    bucketId,
    tenant,
    objectCount: 10_000,
    objectsRestored: 9999,
    bytesRestored: 3_000_000_000,
    findings: [
      {
        kind: 'object-missing',
        place: `tenants/${tenant}/objects/${sha256}`,
        detail: 'the vault has no current version of it',
      },
    ],
    findingCount: 1,
  });
  const objectResultsKey = await putResults(cloud, restoreTestId, names(items).map(verified));
  const databaseIds = names(STEP_DEFINITIONS['backup/plan'].builtFor.items);
  const chosen = {
    restoreTestId,
    recoveryPointId,
    recoveryPointStatus: 'good',
    reason: null,
    findings: [],
    snapshots: databaseIds.map(databaseId => ({
      snapshotId: `daybreak-${databaseId}-${recoveryPointId}`,
      databases: [{ restoreTestId, recoveryPointId, databaseId }],
    })),
    allObjects: true,
  };
  const databases = databaseIds.map(databaseId => ({ databaseId, ...outcome(databaseId, databaseIds.length) }));
  const event = {
    restoreTestId,
    startedAt: scheduledAt,
    chosen,
    databases,
    objectResultsKey,
    failure: null,
    phases: [],
  };
  return prepared(cloud, event);
}

function outcome(databaseId: string, databaseCount: number) {
  const table = { schema: 'public', name: 'assessment_of_the_whole_term' };
  return {
    verification: keepWithin(
      {
        databaseId,
        tableCount: 5000,
        rowCount: 1_000_000,
        rowsExpected: 1_000_000,
        rowsComparedExactly: 990_000,
        driftRowCount: 10_000,
        foreignKeysChecked: 1000,
        indexesChecked: 5000,
        heapRelationsChecked: 5000,
        gaps: Array.from({ length: 30 }, () => ({
          name: `${databaseId}/public.assessment_of_the_whole_term`,
          gap: {
            kind: 'table-not-bounded' as const,
            databaseId,
            table,
            why: 'permission-denied' as const,
            rowCount: 1000,
          },
          accepted: null,
        })),
        gapTotals: [{ kind: 'table-not-bounded' as const, gapCount: 30, rowCount: 30_000 }],
        findings: Array.from({ length: 30 }, () => ({
          kind: 'rows-changed' as const,
          place: 'public.assessment_of_the_whole_term',
          detail: 'bucket 17 of 2,000 holds other rows than the source had in it',
        })),
        findingCount: 30,
      },
      databaseCount,
    ),
    failure: null,
    restored: true,
    phases: ['restore', 'hydrate', 'verify'].map(phase => ({ phase, startedAt: scheduledAt, durationMs: 3_600_000 })),
  };
}
