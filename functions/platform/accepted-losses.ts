import { type LossKind, readLossName } from '../contracts/decisions.ts';
import { RecoveryPointId } from '../contracts/identifiers.ts';
import type { LedgerProjection } from './ledger-projection.ts';

const atTheEnd = (id: string) => id.slice(-'20261122t023000z'.length);
/** Where the recovery point stands in what a loss of each kind is called; null where it belongs to none. */
const RECOVERY_POINT_OF: Readonly<Record<LossKind, ((id: string) => string) | null>> = {
  'snapshot-missing': atTheEnd,
  'snapshot-altered': atTheEnd,
  'root-manifest-altered': atTheEnd,
  'test-record-altered': null,
  // After the newest that it was missed in.
  'object-gone': id => id.split('/', 1)[0] ?? '',
};

/**
 * The recovery points that an accepted loss belongs to: what is lost is not there again because somebody explained it, so
 * none of them is good, whatever its root manifest says.
 */
export function recoveryPointsLost({ acceptedLosses }: Pick<LedgerProjection, 'acceptedLosses'>): ReadonlySet<string> {
  return new Set(
    Object.keys(acceptedLosses).flatMap(loss => {
      const { kind, id } = readLossName(loss);
      const { data } = RecoveryPointId.safeParse(RECOVERY_POINT_OF[kind]?.(id));
      return data === undefined ? [] : [data];
    }),
  );
}
