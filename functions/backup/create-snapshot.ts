import { SnapshotInput, SnapshotOutput } from '../contracts/daily-backup.ts';
import { intermediateSnapshotId, PURPOSE_TAG, RECOVERY_POINT_TAG, vaultSnapshotId } from '../contracts/vault-layout.ts';
import { findDatabase } from '../platform/find-configured.ts';
import { handler as step } from '../platform/handler.ts';
import { deleteSnapshot, findSnapshot, startSnapshot } from '../platform/rds.ts';

/**
 * Starts the snapshot of the live instance. A rerun finds it; when an earlier run has already begun the copy for the
 * vault, it answers with that copy, because the intermediate may be gone by design. A failed snapshot is replaced.
 */
export const handler = step({
  input: SnapshotInput,
  output: SnapshotOutput,
  run: async ({ recoveryPointId, databaseId }, { configuration }) => {
    const { instanceId } = findDatabase(configuration, databaseId);
    const copyId = vaultSnapshotId(recoveryPointId, databaseId);
    const copy = await findSnapshot(copyId);
    if (copy !== undefined && copy.Status !== 'failed') return { snapshotId: copyId };

    const snapshotId = intermediateSnapshotId(recoveryPointId, databaseId);
    if ((await findSnapshot(snapshotId))?.Status === 'failed') await deleteSnapshot(snapshotId);
    await startSnapshot(instanceId, snapshotId, {
      [PURPOSE_TAG]: 'intermediate',
      [RECOVERY_POINT_TAG]: recoveryPointId,
    });
    return { snapshotId };
  },
});
