import type { z } from 'zod';
import type { Configuration, Deployment } from '../contracts/configuration.ts';
import { CompleteInput, CompleteOutput, type DatabaseOutcome, TenantItem } from '../contracts/daily-backup.ts';
import type { InstanceDatabase } from '../contracts/fingerprint.ts';
import type { SchemaName } from '../contracts/gap.ts';
import { instantOfId } from '../contracts/identifiers.ts';
import { placeOf, TenantBackupResult } from '../contracts/object-manifest.ts';
import type { DatabaseRecoveryPoint, RecoveryPoint, UnprovedDatabase } from '../contracts/recovery-point.ts';
import {
  fingerprintKey,
  itemsKey,
  PURPOSE_TAG,
  rootManifestKey,
  SNAPSHOT_PURPOSES,
  vaultSnapshotId,
} from '../contracts/vault-layout.ts';
import { canonicalJson, sha256Hex } from '../platform/canonical-json.ts';
import { parseInstant } from '../platform/clock.ts';
import { describeError, PermanentError, RetryableError } from '../platform/errors.ts';
import { databasesOf, databaseThatNames, findDatabase } from '../platform/find-configured.ts';
import { openFingerprint } from '../platform/fingerprint/fingerprint-file.ts';
import { unprovedDatabases } from '../platform/fingerprint/instance-databases.ts';
import { handler as step } from '../platform/handler.ts';
import { signDocument } from '../platform/kms.ts';
import { log } from '../platform/log.ts';
import { readItems } from '../platform/map-results.ts';
import { publishMetrics } from '../platform/metrics.ts';
import { findSnapshot, takenAt as snapshotTakenAt, tagSnapshot } from '../platform/rds.ts';
import { readRootManifest } from '../platform/root-manifest.ts';
import { PreconditionFailedError, readBytes, writeBytes } from '../platform/s3.ts';
import { refuseLateClosing } from '../platform/scheduled-instant.ts';
import { sqlName } from '../platform/sql-name.ts';
import { checkMoments } from './check-moments.ts';
import { checkVaultCopy } from './check-vault-copy.ts';
import { findMoments } from './find-moments.ts';
import { judgeRecoveryPoint } from './judge-recovery-point.ts';
import { findNotCompared, readLostObjects, settleLosses } from './lost-objects.ts';
import { provedSnapshots, SnapshotGoneError } from './proved-snapshots.ts';

/** The root manifest that was just written does not read back as written. */
export class RootManifestNotReadBackError extends PermanentError {}

const GIB = 1024 ** 3;

/**
 * Closes a recovery point: reads back each snapshot and fingerprint, gathers the tenants' results, judges, signs and
 * writes the root manifest, and reads it back. A good one that is there already stands; an incomplete one is superseded
 * by a new version, so that a rerun can finish it; what that one has of databases and tenants the new one has too. Of two runs
 * at the same time neither supersedes what it has not read.
 * @throws SnapshotGoneError when what the one that is there names as proved is there no more: a new version would hide it;
 * ScheduledInstantError when it is too late to name a snapshot, which may be being removed.
 */
export const handler = step({
  input: CompleteInput,
  output: CompleteOutput,
  run: async (input, { now, configuration, deployment }) => {
    const { recoveryPointId, scheduledAt } = input;
    const existing = await readRootManifest(deployment, recoveryPointId);
    if (existing !== undefined) await requireProvedSnapshots(existing.recoveryPoint);
    if (existing?.recoveryPoint.status !== 'good') refuseLateClosing(instantOfId(recoveryPointId), now);
    const closed =
      existing?.recoveryPoint.status === 'good'
        ? existing
        : await close(input, existing, { now, configuration, deployment });
    const { recoveryPoint, sha256 } = closed;
    publish(recoveryPoint, now.getTime() - parseInstant(scheduledAt).getTime());
    const total = (pick: (tenant: TenantBackupResult) => number) =>
      recoveryPoint.tenants.reduce((sum, tenant) => sum + pick(tenant), 0);
    return {
      recoveryPointId,
      status: recoveryPoint.status,
      databases: recoveryPoint.databases,
      draft: {
        eventId: `backup/${recoveryPointId}/${sha256}`,
        kind: 'backup.completed' as const,
        actor: 'workflow/daily-backup',
        subject: recoveryPointId,
        body: {
          recoveryPointId,
          status: recoveryPoint.status,
          completedAt: recoveryPoint.completedAt,
          rootManifestSha256: sha256,
          databaseCount: recoveryPoint.databases.length,
          rowCount: recoveryPoint.databases.reduce((sum, { rowCount }) => sum + rowCount, 0),
          tenantCount: new Set(recoveryPoint.tenants.map(({ tenant }) => tenant).filter(tenant => tenant !== null))
            .size,
          objectCount: total(({ objectCount }) => objectCount),
          byteCount: total(({ byteCount }) => byteCount),
          copiedObjectCount: total(({ copiedObjectCount }) => copiedObjectCount),
          reasonCount: recoveryPoint.reasons.length,
          skewMs: recoveryPoint.moments?.skewMs ?? null,
          objectLosses: describeKnown(recoveryPoint),
        },
      },
    };
  },
});

/** The same in the ledger's words. */
function describeKnown({ objectLosses }: RecoveryPoint) {
  if (objectLosses === undefined) return null;
  const { back = [], gone = [], ...known } = objectLosses;
  return { ...known, back, gone };
}

async function requireProvedSnapshots(recoveryPoint: RecoveryPoint): Promise<void> {
  const gone: string[] = [];
  for (const { id, kmsKeyArn, takenAt } of provedSnapshots(recoveryPoint)) {
    const found = await findSnapshot(id);
    const isThere = found !== undefined && checkVaultCopy(found, kmsKeyArn).length === 0;
    if (!isThere || snapshotTakenAt(found)?.toISOString() !== takenAt) gone.push(id);
  }
  if (gone.length > 0) throw new SnapshotGoneError(recoveryPoint.recoveryPointId, gone);
}

async function close(
  {
    recoveryPointId,
    scheduledAt,
    databases: outcomes,
    asOf,
    tenantsKey,
    unlistedBucketIds,
    postponedTenantCount,
    lostObjectsSha256,
  }: z.output<typeof CompleteInput>,
  superseded: { recoveryPoint: RecoveryPoint; eTag: string } | undefined,
  { now, configuration, deployment }: { now: Date; configuration: Configuration; deployment: Deployment },
): Promise<{ recoveryPoint: RecoveryPoint; sha256: string }> {
  const proved = new Map(
    provedSnapshots(superseded?.recoveryPoint ?? { databases: [] }).map(({ databaseId, id }) => [databaseId, id]),
  );
  const readBacks: ReadBack[] = [];
  for (const outcome of keepProved(outcomes, proved)) {
    const { instanceId } = findDatabase(configuration, outcome.databaseId);
    const snapshotId =
      proved.get(outcome.databaseId) ?? vaultSnapshotId(recoveryPointId, databaseThatNames(configuration, instanceId));
    readBacks.push(await readBackDatabase({ recoveryPointId, instanceId, snapshotId }, outcome, deployment));
  }
  const databases = readBacks.map(
    ({ instanceId: _instance, rowsWithoutTenant: _count, lateTables: _late, others: _others, ...database }) => database,
  );
  // In one order, whichever they were worked on in that night.
  const results = keepStored(
    await readItems(deployment.workBucket, tenantsKey, TenantBackupResult),
    superseded?.recoveryPoint.tenants ?? [],
  ).sort((a, b) => compareText(a.bucketId, b.bucketId) || compareText(a.tenant ?? '', b.tenant ?? ''));
  const lost = await readLostObjects(deployment.workBucket, recoveryPointId, lostObjectsSha256);
  const items = await readItems(deployment.workBucket, itemsKey('backup', recoveryPointId), TenantItem);
  const asOfItem = new Map(items.map(item => [placeOf(item), item.asOf]));
  const recoveryPoint: RecoveryPoint = {
    version: 1,
    recoveryPointId,
    scheduledAt,
    completedAt: now.toISOString(),
    ...judgeRecoveryPoint({
      databases: readBacks,
      tenants: results,
      notCompared: findNotCompared(lost, lostObjectsSha256, results),
      unlistedBucketIds,
      postponedTenantCount,
      accepted: configuration.accepted,
      expected: { databaseIds: configuration.databases.map(({ id }) => id), items },
    }),
    databases,
    moments: findMoments(
      readBacks.flatMap(({ instanceId, snapshot }) =>
        snapshot === null ? [] : [{ instanceId, takenAt: snapshot.takenAt }],
      ),
      asOf,
      results.map(result => ({ ...result, asOf: asOfItem.get(placeOf(result)) ?? null })),
    ),
    unproved: findUnproved(configuration, readBacks),
    tenants: results,
    ...(lost && { objectLosses: settleLosses(lost, lostObjectsSha256, results) }),
  };
  // What the manifest will name can no longer be deleted by who copied it.
  for (const { arn } of provedSnapshots(recoveryPoint)) {
    await tagSnapshot(arn, { [PURPOSE_TAG]: SNAPSHOT_PURPOSES.proved });
  }
  const body = Buffer.from(canonicalJson(await signDocument(recoveryPoint, deployment.signingKeyArn)));
  try {
    await writeBytes(deployment.vaultBucket, rootManifestKey(recoveryPointId), body, {
      contentType: 'application/json',
      keyArn: deployment.vaultKeyArn,
      ...(superseded === undefined ? { onlyIfAbsent: true } : { ifMatch: superseded.eTag }),
    });
  } catch (error) {
    if (!(error instanceof PreconditionFailedError)) throw error;
    throw new RetryableError(`${rootManifestKey(recoveryPointId)}: another run has written it meanwhile`, {
      cause: error,
    });
  }
  const written = await readRootManifest(deployment, recoveryPointId);
  if (written?.sha256 !== sha256Hex(body)) {
    throw new RootManifestNotReadBackError(
      `${rootManifestKey(recoveryPointId)} does not read back as written; another run may be writing it: run the backup again`,
    );
  }
  return written;
}

/**
 * What an earlier run proved is read back as it was named, whatever became of this run: the instance may be gone by now, and
 * what it held is in no other recovery point.
 */
function keepProved(
  outcomes: readonly z.output<typeof DatabaseOutcome>[],
  proved: ReadonlyMap<string, string>,
): z.output<typeof DatabaseOutcome>[] {
  const left = new Map([...proved.keys()].map(databaseId => [databaseId, { databaseId, failure: null }]));
  for (const { databaseId } of outcomes) left.delete(databaseId);
  return [
    ...outcomes.map(outcome => (proved.has(outcome.databaseId) ? { ...outcome, failure: null } : outcome)),
    ...left.values(),
  ];
}

/** What an earlier run stored of places that this one does not know stays, too: a school or bucket may be gone by now. */
function keepStored(
  results: readonly TenantBackupResult[],
  earlier: readonly TenantBackupResult[],
): TenantBackupResult[] {
  const places = new Set(results.map(placeOf));
  const left = earlier.filter(result => result.manifestSha256 !== null && !places.has(placeOf(result)));
  // What that one compared them with is not what is known now.
  return [
    ...results,
    ...left.map(
      ({ absentObjects: _absent, backObjects: _back, goneObjects: _gone, lostObjectsSha256: _known, ...result }) =>
        result,
    ),
  ];
}

interface ReadBack extends DatabaseRecoveryPoint {
  readonly instanceId: string;
  /** Rows of its root table without an id. */
  readonly rowsWithoutTenant: number;
  /** Tables that one of its measurements, or both, had no time for, each once. */
  readonly lateTables: readonly SchemaName[];
  /** The other databases of its instance, by each of its fingerprints. */
  readonly others: readonly (readonly InstanceDatabase[])[];
}

/** What each instance's fingerprints list beside the databases that the configuration names. */
function findUnproved(configuration: Configuration, readBacks: readonly ReadBack[]): UnprovedDatabase[] {
  const instanceIds = [...new Set(readBacks.map(({ instanceId }) => instanceId))].sort(compareText);
  return instanceIds.flatMap(instanceId => {
    const listings = readBacks.filter(found => found.instanceId === instanceId).flatMap(({ others }) => others);
    const proved = new Set(databasesOf(configuration, instanceId).map(({ databaseName }) => databaseName));
    return unprovedDatabases(listings, proved)
      .filter(({ isSystem }) => !isSystem)
      .map(({ name, tableCount }) => ({ instanceId, name, tableCount }))
      .sort((a, b) => compareText(a.name, b.name));
  });
}

/** What is there of a database. A snapshot that is fine itself is named also where nothing proves it. */
async function readBackDatabase(
  { recoveryPointId, instanceId, snapshotId }: { recoveryPointId: string; instanceId: string; snapshotId: string },
  { databaseId, failure }: z.output<typeof DatabaseOutcome>,
  { vaultBucket, vaultKeyArn }: Deployment,
): Promise<ReadBack> {
  const nothing = {
    databaseId,
    instanceId,
    snapshot: null,
    fingerprints: null,
    rowCount: 0,
    rowsWithoutTenant: 0,
    lateTables: [],
    others: [],
  };
  const found = await findSnapshot(snapshotId);
  const problems = checkVaultCopy(found, vaultKeyArn);
  const takenAt = found && snapshotTakenAt(found);
  if (problems.length > 0 || found?.DBSnapshotArn === undefined || takenAt === undefined) {
    const what = problems.join(', ') || 'it has no ARN or time';
    return { ...nothing, failure: failure ?? `its snapshot does not read back: ${what}` };
  }
  const snapshot = {
    id: snapshotId,
    arn: found.DBSnapshotArn,
    takenAt: takenAt.toISOString(),
    kmsKeyArn: vaultKeyArn,
    engineVersion: found.EngineVersion ?? '',
    allocatedStorageBytes: (found.AllocatedStorage ?? 0) * GIB,
  };
  if (failure !== null) return { ...nothing, snapshot, failure };
  try {
    const before = await readFingerprint(vaultBucket, recoveryPointId, databaseId, 'before');
    const after = await readFingerprint(vaultBucket, recoveryPointId, databaseId, 'after');
    const disorder = checkMoments(before.measuredAt, after.measuredAt, takenAt, instantOfId(recoveryPointId));
    if (disorder.length > 0) return { ...nothing, snapshot, failure: disorder.join(', ') };
    return {
      databaseId,
      instanceId,
      snapshot,
      fingerprints: { before: before.sha256, after: after.sha256 },
      rowCount: before.rowCount,
      failure: null,
      rowsWithoutTenant: before.rowsWithoutTenant,
      lateTables: [
        ...new Map(
          [...before.lateTables, ...after.lateTables].map(table => [sqlName(table.schema, table.name), table]),
        ).values(),
      ],
      others: [before.others, after.others],
    };
  } catch (error) {
    if (!(error instanceof PermanentError)) throw error;
    log('error', 'a fingerprint does not read back', { databaseId, error: describeError(error) });
    return { ...nothing, snapshot, failure: `its fingerprints do not read back: ${error.name}` };
  }
}

/** Reads a fingerprint back, its parts too, and says what is to be known of it here. */
async function readFingerprint(
  vaultBucket: string,
  recoveryPointId: string,
  databaseId: string,
  moment: 'before' | 'after',
) {
  const bytes = await readBytes(vaultBucket, fingerprintKey(recoveryPointId, databaseId, moment));
  const { index, checkParts } = openFingerprint(bytes, vaultBucket, { recoveryPointId, databaseId, moment });
  await checkParts();
  return {
    sha256: sha256Hex(bytes),
    measuredAt:
      moment === 'before'
        ? [
            ...index.tables.map(table => table.lastMeasuredAt),
            ...(index.describedAt === null ? [] : [index.describedAt]),
          ]
        : index.tables.map(table => table.firstMeasuredAt),
    rowCount: index.tables.reduce((sum, { rowCount }) => sum + rowCount, 0),
    rowsWithoutTenant: index.root.rowsWithoutId,
    lateTables: index.unreadable
      .filter(({ reason }) => reason === 'out-of-time')
      .map(({ schema, relation: name }) => ({ schema, name })),
    others: index.instanceDatabases,
  };
}

function publish({ status, databases, tenants }: RecoveryPoint, durationMs: number): void {
  const count = (value: number) => ({ unit: 'Count' as const, value });
  publishMetrics(
    { Workflow: 'daily-backup' },
    {
      RecoveryPointGood: count(status === 'good' ? 1 : 0),
      RowsBackedUp: count(databases.reduce((sum, { rowCount }) => sum + rowCount, 0)),
      ObjectsBackedUp: count(tenants.reduce((sum, { objectCount }) => sum + objectCount, 0)),
      ObjectsCopied: count(tenants.reduce((sum, { copiedObjectCount }) => sum + copiedObjectCount, 0)),
      BytesCopied: { unit: 'Bytes', value: tenants.reduce((sum, { copiedByteCount }) => sum + copiedByteCount, 0) },
      TenantsFailed: count(tenants.filter(({ failure }) => failure !== null).length),
      BackupDuration: { unit: 'Milliseconds', value: durationMs },
    },
  );
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
