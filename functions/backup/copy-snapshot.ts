import { SnapshotInput, SnapshotOutput } from '../contracts/daily-backup.ts';
import { instantOfId } from '../contracts/identifiers.ts';
import {
  intermediateSnapshotId,
  PURPOSE_TAG,
  RECOVERY_POINT_TAG,
  SNAPSHOT_PURPOSES,
  vaultSnapshotId,
} from '../contracts/vault-layout.ts';
import { databaseThatNames } from '../platform/find-configured.ts';
import { handler as step } from '../platform/handler.ts';
import { deleteSnapshot, findSnapshot, startSnapshotCopy, takenAt } from '../platform/rds.ts';
import { refuseLateClosing } from '../platform/scheduled-instant.ts';
import { isTooEarly } from './check-moments.ts';
import { SnapshotFailedError } from './describe-snapshot.ts';

/**
 * Starts the copy under the vault key, also of an unencrypted snapshot. A rerun finds it; a failed copy is replaced, and
 * so is one of a snapshot that nothing can prove, once another snapshot is there to be copied.
 * @throws ScheduledInstantError when no root manifest will name the copy any more.
 */
export const handler = step({
  input: SnapshotInput,
  output: SnapshotOutput,
  run: async ({ recoveryPointId, instanceId, measuredAt }, { now, configuration, deployment }) => {
    const names = databaseThatNames(configuration, instanceId);
    const snapshotId = vaultSnapshotId(recoveryPointId, names);
    const copy = await findSnapshot(snapshotId);
    if (copy !== undefined && copy.Status !== 'failed' && !isTooEarly(takenAt(copy), measuredAt)) return { snapshotId };

    refuseLateClosing(instantOfId(recoveryPointId), now);
    const sourceId = intermediateSnapshotId(recoveryPointId, names);
    const source = await findSnapshot(sourceId);
    if (source?.DBSnapshotArn === undefined) {
      throw new SnapshotFailedError(`snapshot ${sourceId} is missing, so it cannot be copied; run the backup again`);
    }
    if (copy !== undefined) await deleteSnapshot(snapshotId);
    await startSnapshotCopy(source.DBSnapshotArn, snapshotId, deployment.vaultKeyArn, {
      [PURPOSE_TAG]: SNAPSHOT_PURPOSES.unproved,
      [RECOVERY_POINT_TAG]: recoveryPointId,
    });
    return { snapshotId };
  },
});
