import { DescribeSnapshotInput, DescribeSnapshotOutput } from '../contracts/daily-backup.ts';
import { INTERMEDIATE_SNAPSHOT_PREFIX } from '../contracts/vault-layout.ts';
import { PermanentError } from '../platform/errors.ts';
import { handler as step } from '../platform/handler.ts';
import { findSnapshot, heldMoment, takenAt } from '../platform/rds.ts';

/** A snapshot or copy failed, or is gone. */
export class SnapshotFailedError extends PermanentError {}

/** Says whether a snapshot is available yet, and of which moment it is. The workflow waits between two calls. */
export const handler = step({
  input: DescribeSnapshotInput,
  output: DescribeSnapshotOutput,
  run: async ({ snapshotId }) => {
    const snapshot = await findSnapshot(snapshotId);
    const status = snapshot?.Status ?? 'missing';
    if (!['available', 'creating', 'copying'].includes(status)) {
      throw new SnapshotFailedError(
        `snapshot ${snapshotId} is ${status}; look at the instance's events in RDS, then run the backup again`,
      );
    }
    // Where only the copy is left, its source's own time is lost, and objects are taken as of a little earlier.
    const momentOf = snapshotId.startsWith(INTERMEDIATE_SNAPSHOT_PREFIX) ? heldMoment : takenAt;
    return {
      available: status === 'available',
      progressPercent: snapshot?.PercentProgress ?? 0,
      takenAt: (snapshot && momentOf(snapshot)?.toISOString()) ?? null,
    };
  },
});
