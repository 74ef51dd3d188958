import { SnapshotInput, SnapshotOutput } from '../contracts/daily-backup.ts';
import { instantOfId } from '../contracts/identifiers.ts';
import {
  intermediateSnapshotId,
  PURPOSE_TAG,
  RECOVERY_POINT_TAG,
  SNAPSHOT_PURPOSES,
  vaultSnapshotId,
} from '../contracts/vault-layout.ts';
import { databasesOf, databaseThatNames } from '../platform/find-configured.ts';
import { handler as step } from '../platform/handler.ts';
import { deleteSnapshot, findSnapshot, startSnapshot, takenAt } from '../platform/rds.ts';
import { readRootManifest } from '../platform/root-manifest.ts';
import { refuseOtherDay } from '../platform/scheduled-instant.ts';
import { isTooEarly } from './check-moments.ts';
import { provedSnapshots, SnapshotGoneError } from './proved-snapshots.ts';

/**
 * Starts the snapshot of the live instance. A rerun finds it; when an earlier run has already begun the copy for the
 * vault, it answers with that copy, because the intermediate may be gone by design. A failed snapshot is replaced, and so
 * is one of a run that could not measure the database first: the copy of it stays until its successor is there.
 *
 * What the root manifest names as proved for any of the instance's databases is never taken anew: a snapshot of today
 * would stand where another one was proved.
 * @throws SnapshotGoneError when that one is gone; ScheduledInstantError when today is not the recovery point's day.
 */
export const handler = step({
  input: SnapshotInput,
  output: SnapshotOutput,
  run: async ({ recoveryPointId, instanceId, measuredAt }, { now, configuration, deployment }) => {
    const names = databaseThatNames(configuration, instanceId);
    const copyId = vaultSnapshotId(recoveryPointId, names);
    const copy = await findSnapshot(copyId);
    if (copy !== undefined && copy.Status !== 'failed' && !isTooEarly(takenAt(copy), measuredAt)) {
      return { snapshotId: copyId };
    }

    const snapshotId = intermediateSnapshotId(recoveryPointId, names);
    const intermediate = await findSnapshot(snapshotId);
    const manifest = await readRootManifest(deployment, recoveryPointId);
    const databaseIds = databasesOf(configuration, instanceId).map(({ id }) => id);
    const proved =
      manifest && provedSnapshots(manifest.recoveryPoint).find(({ databaseId }) => databaseIds.includes(databaseId));
    if (proved !== undefined) {
      if (intermediate && takenAt(intermediate)?.toISOString() === proved.takenAt) return { snapshotId };
      throw new SnapshotGoneError(recoveryPointId, [proved.id]);
    }
    refuseOtherDay(instantOfId(recoveryPointId), now);
    if (
      intermediate !== undefined &&
      (intermediate.Status === 'failed' || isTooEarly(takenAt(intermediate), measuredAt))
    ) {
      await deleteSnapshot(snapshotId);
    }
    await startSnapshot(instanceId, snapshotId, {
      [PURPOSE_TAG]: SNAPSHOT_PURPOSES.intermediate,
      [RECOVERY_POINT_TAG]: recoveryPointId,
    });
    return { snapshotId };
  },
});
