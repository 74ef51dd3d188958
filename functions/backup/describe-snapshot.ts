import { DescribeSnapshotInput, DescribeSnapshotOutput } from '../contracts/daily-backup.ts';
import { PermanentError } from '../platform/errors.ts';
import { handler as step } from '../platform/handler.ts';
import { findSnapshot } from '../platform/rds.ts';

/** A snapshot or copy failed, or is gone. */
export class SnapshotFailedError extends PermanentError {}

/** Says whether a snapshot is available yet. The workflow waits between two calls. */
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
    return { available: status === 'available', progressPercent: snapshot?.PercentProgress ?? 0 };
  },
});
