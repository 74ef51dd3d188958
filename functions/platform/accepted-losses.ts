import { RecoveryPointId } from '../contracts/identifiers.ts';
import type { LedgerProjection } from './ledger-projection.ts';

const ID_LENGTH = '20261122t023000z'.length;

/**
 * The recovery points that an accepted loss belongs to: what is lost is not there again because somebody explained it, so
 * none of them is good, whatever its root manifest says. A snapshot is named after its recovery point, and an
 * object after the newest that it was missed in.
 */
export function recoveryPointsLost({ acceptedLosses }: Pick<LedgerProjection, 'acceptedLosses'>): ReadonlySet<string> {
  return new Set(
    Object.keys(acceptedLosses)
      .flatMap(loss => {
        if (/^(?:snapshot|root-manifest)-/.test(loss)) return [loss.slice(-ID_LENGTH)];
        const [kind, recoveryPointId = ''] = loss.split('/');
        return kind === 'object-gone' ? [recoveryPointId] : [];
      })
      .filter(id => RecoveryPointId.safeParse(id).success),
  );
}
