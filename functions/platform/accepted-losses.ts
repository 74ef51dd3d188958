import { RecoveryPointId } from '../contracts/identifiers.ts';
import { type Loss, readLossName } from '../contracts/losses.ts';
import { RECOVERY_POINT_PREFIX } from '../contracts/vault-layout.ts';
import { type LedgerProjection, wasKnown } from './ledger-projection.ts';

/** The id of the recovery point that a loss belongs to, where it belongs to one: it stands at the end of a snapshot's. */
function pointOf(loss: Exclude<Loss, { kind: 'object-gone' }>): string | undefined {
  if ('recoveryPointId' in loss) return loss.recoveryPointId;
  return 'snapshotId' in loss ? loss.snapshotId.slice(-'20261122t023000z'.length) : undefined;
}

/** What was lost once more was so at a time that the ledger does not know: no test is known to be of after it. */
function hasWhole(
  test: LedgerProjection['restoreTests'][string],
  point: LedgerProjection['recoveryPoints'][string],
  accepted: LedgerProjection['acceptedLosses'][string],
): boolean {
  const { recoveryPointId, verdict, allObjectsFrom, sequence } = test;
  const isOfPoint = recoveryPointId === point.recoveryPointId && sequence > point.sequence;
  const isLater = sequence > accepted.sequence && allObjectsFrom !== null && allObjectsFrom > accepted.recordedAt;
  return verdict === 'passed' && isOfPoint && isLater && accepted.lostAgainAt === null;
}

/**
 * The recovery points that an accepted loss may belong to: what is lost is not there again because somebody explained it, so
 * none of them is good, whatever its root manifest says. What was put right since is, once the acceptance is withdrawn.
 *
 * Which of them name a vault object only their tenants' manifests say. So all may, but those whose own backup knew of the
 * loss: it copied again what its manifests would name, or is not good. Once a backup has the object again, they all are. And
 * one of which a restore test, begun after the acceptance, restored and compared every object lacks none.
 */
export function recoveryPointsLost({
  acceptedLosses,
  recoveryPoints,
  restoreTests,
}: Pick<LedgerProjection, 'acceptedLosses' | 'recoveryPoints' | 'restoreTests'>): ReadonlySet<string> {
  const points = Object.values(recoveryPoints);
  const tests = Object.values(restoreTests);
  return new Set(
    Object.entries(acceptedLosses).flatMap(([name, accepted]) => {
      const loss = readLossName(name);
      if (loss.kind === 'object-gone' && !loss.key.startsWith(RECOVERY_POINT_PREFIX)) {
        const isAffected = (point: (typeof points)[number]) =>
          !wasKnown(point, loss, accepted) && !tests.some(test => hasWhole(test, point, accepted));
        return accepted.isBack ? [] : points.filter(isAffected).map(({ recoveryPointId }) => recoveryPointId);
      }
      const id =
        loss.kind === 'object-gone' ? loss.key.slice(RECOVERY_POINT_PREFIX.length, -'.json'.length) : pointOf(loss);
      const { data } = RecoveryPointId.safeParse(id);
      return data === undefined ? [] : [data];
    }),
  );
}
