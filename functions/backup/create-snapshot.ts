import { SnapshotInput, SnapshotOutput } from '../contracts/daily-backup.ts';
import { intermediateSnapshotId, PURPOSE_TAG, RECOVERY_POINT_TAG, vaultSnapshotId } from '../contracts/vault-layout.ts';
import { findDatabase } from '../platform/find-configured.ts';
import { handler as step } from '../platform/handler.ts';
import { deleteSnapshot, findSnapshot, startSnapshot, takenAt } from '../platform/rds.ts';
import { isTooEarly } from './check-moments.ts';

/**
 * Starts the snapshot of the live instance. A rerun finds it; when an earlier run has already begun the copy for the
 * vault, it answers with that copy, because the intermediate may be gone by design. A failed snapshot is replaced, and so
 * is one of a run that could not measure the database first: the copy of it stays until its successor is there.
 */
export const handler = step({
  input: SnapshotInput,
  output: SnapshotOutput,
  run: async ({ recoveryPointId, databaseId, measuredAt }, { configuration }) => {
    const { instanceId } = findDatabase(configuration, databaseId);
    const copyId = vaultSnapshotId(recoveryPointId, databaseId);
    const copy = await findSnapshot(copyId);
    if (copy !== undefined && copy.Status !== 'failed' && !isTooEarly(takenAt(copy), measuredAt)) {
      return { snapshotId: copyId };
    }

    const snapshotId = intermediateSnapshotId(recoveryPointId, databaseId);
    const intermediate = await findSnapshot(snapshotId);
    if (
      intermediate !== undefined &&
      (intermediate.Status === 'failed' || isTooEarly(takenAt(intermediate), measuredAt))
    ) {
      await deleteSnapshot(snapshotId);
    }
    await startSnapshot(instanceId, snapshotId, {
      [PURPOSE_TAG]: 'intermediate',
      [RECOVERY_POINT_TAG]: recoveryPointId,
    });
    return { snapshotId };
  },
});
