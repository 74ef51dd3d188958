import { RecoveryPointId } from '../contracts/identifiers.ts';
import { type Loss, readLossName } from '../contracts/losses.ts';
import type { LedgerProjection } from './ledger-projection.ts';

/** The id of the recovery point that a loss belongs to, where it belongs to one: it stands at the end of a snapshot's. */
function pointOf(loss: Loss): string | undefined {
  if ('recoveryPointId' in loss) return loss.recoveryPointId;
  return 'snapshotId' in loss ? loss.snapshotId.slice(-'20261122t023000z'.length) : undefined;
}

/**
 * The recovery points that an accepted loss belongs to: what is lost is not there again because somebody explained it, so
 * none of them is good, whatever its root manifest says. What was put right since is, once the acceptance is withdrawn.
 */
export function recoveryPointsLost({ acceptedLosses }: Pick<LedgerProjection, 'acceptedLosses'>): ReadonlySet<string> {
  return new Set(
    Object.keys(acceptedLosses).flatMap(loss => {
      const { data } = RecoveryPointId.safeParse(pointOf(readLossName(loss)));
      return data === undefined ? [] : [data];
    }),
  );
}
