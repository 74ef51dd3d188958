import { RecoveryPointId } from '../contracts/identifiers.ts';
import type { LedgerProjection } from './ledger-projection.ts';

const ID_LENGTH = '20261122t023000z'.length;

/**
 * The recovery points that an accepted loss belongs to: what is lost is not there again because somebody explained it, so
 * none of them is good, whatever its root manifest says. A snapshot is named after its recovery point.
 */
export function recoveryPointsLost({ acceptedLosses }: Pick<LedgerProjection, 'acceptedLosses'>): ReadonlySet<string> {
  return new Set(
    Object.keys(acceptedLosses)
      .filter(loss => /^(?:snapshot|root-manifest)-/.test(loss))
      .map(loss => loss.slice(-ID_LENGTH))
      .filter(id => RecoveryPointId.safeParse(id).success),
  );
}
