import type { Deployment } from '../contracts/configuration.ts';
import { type PlannedRemoval, RemoveUnprovedInput, RemoveUnprovedOutput } from '../contracts/daily-backup.ts';
import { PURPOSE_TAG, RECOVERY_POINT_TAG, rootManifestKey, SNAPSHOT_PURPOSES } from '../contracts/vault-layout.ts';
import { describeError, RetryableError } from '../platform/errors.ts';
import { handler as step } from '../platform/handler.ts';
import { log } from '../platform/log.ts';
import { publishMetrics } from '../platform/metrics.ts';
import { deleteSnapshot, listManualSnapshots, tagOf, takenAt } from '../platform/rds.ts';
import { summarizeFailures } from '../platform/removal-failure.ts';
import { readRootManifest } from '../platform/root-manifest.ts';
import {
  findCandidate,
  judgeCandidate,
  type ManifestFacts,
  type SnapshotFacts,
  type Snapshots,
} from './judge-unproved.ts';

/** A workflow hands the plan on; what is beyond it is in the next hour's. */
const PLANNED_AT_MOST = 100;

/** What could not be removed, or keeps something from being judged, with why. */
type Failure = { readonly left: string; readonly error: unknown };

/**
 * The janitor of snapshots: removes intermediate snapshots and copies for the vault that runs left behind, which hold every
 * school's data and nobody keeps track of. First it plans; then, called with the plan, it lists and judges anew, reads each
 * root manifest right before it deletes, and lists again. It removes nothing beyond the plan, and calls removed what is not
 * listed any more. One that cannot be removed keeps none of the others, and is named in the end.
 */
export const handler = step({
  input: RemoveUnprovedInput,
  output: RemoveUnprovedOutput,
  run: async (input, { now, configuration, deployment, timeIsShort }) => {
    const snapshots = await listSnapshots();
    const failures: Failure[] = [];
    const databaseIds = configuration.databases.map(({ id }) => id);
    const plannedBefore = input.moment === 'plan' ? [] : input.planned;
    const planned = new Map(plannedBefore.map(removal => [identityOf(removal), removal]));
    const judged = judgeAll({ snapshots, databaseIds, now }, { deployment, failures, planned, timeIsShort });
    if (input.moment === 'plan') {
      const found: PlannedRemoval[] = [];
      for await (const removal of judged) {
        found.push(removal);
        if (found.length === PLANNED_AT_MOST) break;
      }
      // What could not be judged is told by the call that removes.
      return { planned: found, drafts: [], failure: null };
    }

    const accepted = new Set<string>();
    for await (const removal of judged) {
      const identity = identityOf(removal);
      if (!planned.has(identity)) continue;
      const { snapshotId, reason } = removal;
      try {
        if (timeIsShort()) throw new RetryableError(`snapshot ${snapshotId}: there was no time to remove it`);
        log('info', 'removing a snapshot', { snapshotId, reason });
        await deleteSnapshot(snapshotId);
        accepted.add(identity);
      } catch (error) {
        log('error', 'a snapshot was not removed', { snapshotId, error: describeError(error) });
        failures.push({ left: snapshotId, error });
      }
    }
    const listed = new Map([...(await listSnapshots()).values()].map(snapshot => [identityOf(snapshot), snapshot]));
    const removed: PlannedRemoval[] = [];
    for (const [identity, removal] of planned) {
      const { snapshotId, reason } = removal;
      const found = listed.get(identity);
      if (found === undefined) {
        log('info', 'a snapshot is gone', { snapshotId, reason });
        removed.push(removal);
      } else if (accepted.has(identity) || found.status === 'deleting') {
        const error = new RetryableError(`snapshot ${snapshotId} is still listed after its deletion was accepted`);
        failures.push({ left: snapshotId, error });
      }
    }
    publishMetrics(
      { Workflow: 'daily-backup' },
      {
        UnprovedSnapshotsRemoved: { unit: 'Count', value: removed.length },
        UnprovedSnapshotsLeft: { unit: 'Count', value: failures.length },
      },
    );
    return { planned: [], drafts: removed.map(draftRemoval), failure: summarizeFailures(failures) };
  },
});

async function listSnapshots(): Promise<Snapshots> {
  const snapshots = (await listManualSnapshots()).map(snapshot => ({
    snapshotId: snapshot.DBSnapshotIdentifier ?? '',
    status: snapshot.Status,
    createdAt: snapshot.SnapshotCreateTime,
    takenAt: takenAt(snapshot),
    storageEncryptionType: snapshot.StorageEncryptionType,
    keyArn: snapshot.KmsKeyId,
    purpose: tagOf(snapshot, PURPOSE_TAG),
    recoveryPointId: tagOf(snapshot, RECOVERY_POINT_TAG),
  }));
  return new Map(snapshots.map(snapshot => [snapshot.snapshotId, snapshot]));
}

/**
 * What is to be removed. One that is planned is judged by its root manifest as it is when the caller asks for the next one;
 * for the others a root manifest is read once, because each names every school, and a run leaves many.
 */
async function* judgeAll(
  seen: Parameters<typeof findCandidate>[1],
  {
    deployment,
    failures,
    planned,
    timeIsShort,
  }: {
    deployment: Deployment;
    failures: Failure[];
    planned: ReadonlyMap<string, unknown>;
    timeIsShort: () => boolean;
  },
): AsyncGenerator<PlannedRemoval> {
  const manifests = new Map<string, ManifestFacts>();
  const unreadable = new Set<string>();
  const read = async (recoveryPointId: string) => {
    const manifest = await readManifest(deployment, recoveryPointId).catch((error: unknown): ManifestFacts => {
      const key = rootManifestKey(recoveryPointId);
      log('error', 'a root manifest cannot be read', { recoveryPointId, error: describeError(error) });
      if (!unreadable.has(key)) failures.push({ left: key, error });
      unreadable.add(key);
      return { kind: 'unreadable' };
    });
    manifests.set(recoveryPointId, manifest);
    return manifest;
  };
  // Those that are planned come first: the time may be too short for all.
  const ordered = [...seen.snapshots.values()].sort(
    (a, b) => Number(planned.has(identityOf(b))) - Number(planned.has(identityOf(a))),
  );
  for (const snapshot of ordered) {
    const { snapshotId } = snapshot;
    const candidate = findCandidate(snapshot, seen);
    const told = (reason: string) => log('info', 'keeping a snapshot', { snapshotId, reason });
    if (candidate.kind === 'keep') {
      if (isTemporary(snapshot)) told(candidate.reason);
      continue;
    }
    const { recoveryPointId } = candidate;
    const isPlanned = planned.has(identityOf(snapshot));
    const known = isPlanned ? undefined : manifests.get(recoveryPointId);
    if (known === undefined && !isPlanned && timeIsShort()) {
      told('there was no time to read its root manifest');
      continue;
    }
    const decision = judgeCandidate(candidate, known ?? (await read(recoveryPointId)), seen.snapshots);
    if (decision.kind === 'keep') told(decision.reason);
    else yield decision.removal;
  }
}

function isTemporary({ purpose }: SnapshotFacts): boolean {
  return purpose === SNAPSHOT_PURPOSES.intermediate || purpose === SNAPSHOT_PURPOSES.unproved;
}

/**
 * Only its own recovery point's: root manifests are signed, and `complete` signs none that names a snapshot of another, for
 * it makes each name from the recovery point's id.
 */
async function readManifest(deployment: Deployment, recoveryPointId: string): Promise<ManifestFacts> {
  const manifest = await readRootManifest(deployment, recoveryPointId);
  return manifest === undefined ? { kind: 'none' } : { kind: 'read', databases: manifest.recoveryPoint.databases };
}

/** A snapshot's name may be given again: with its time it is this one. */
function identityOf({
  snapshotId,
  createdAt,
}: {
  snapshotId: string;
  createdAt?: Date | string | null | undefined;
}): string {
  return `${snapshotId}/${createdAt instanceof Date ? createdAt.toISOString() : (createdAt ?? 'unknown')}`;
}

function draftRemoval(removal: PlannedRemoval) {
  const { recoveryPointId, ...body } = removal;
  return {
    eventId: `unproved-snapshot/${identityOf(removal)}`,
    kind: 'unproved-snapshot.removed' as const,
    actor: 'workflow/remove-abandoned',
    subject: recoveryPointId,
    body,
  };
}
