import type { LedgerProjection } from '../platform/ledger-projection.ts';

export type AcceptedLosses = LedgerProjection['acceptedLosses'];

/** What was found lost, apart by whether somebody accepted it. */
export interface Losses {
  /** Names of what nobody accepted: it counts. */
  readonly standing: readonly string[];
  /** Names of what is accepted in the ledger: it is told, and counts no more. */
  readonly explained: readonly string[];
}

/** Takes accepted losses from what was found, each by its own name, so that the next one sounds again. */
export function subtractAccepted(names: readonly string[], accepted: AcceptedLosses): Losses {
  const all = [...new Set(names)];
  const isAccepted = (name: string) => Object.hasOwn(accepted, name);
  return { standing: all.filter(name => !isAccepted(name)), explained: all.filter(isAccepted) };
}
