import { hashState, type LedgerPlace, readKeptState, readOn } from '../platform/ledger.ts';
import { EMPTY_PROJECTION } from '../platform/ledger-projection.ts';
import { log } from '../platform/log.ts';

/** The hour of the day, in UTC, in whose first quarter the ledger is folded afresh. */
const FOLDED_AFRESH_AT_HOUR = 5;
const QUARTER_MINUTES = 15;

/** Whether this pulse is the one of the day that folds the ledger afresh. */
export function isTimeToFoldAfresh(now: Date): boolean {
  return now.getUTCHours() === FOLDED_AFRESH_AT_HOUR && now.getUTCMinutes() < QUARTER_MINUTES;
}

/**
 * Whether what is kept of the ledger's state is another than a head was signed for, or, with `afresh`, than the entries come
 * to: then an appender signed for a state that it should not have.
 * @throws when what is kept cannot be read now: that is no forgery.
 */
export async function isKeptStateForged(place: LedgerPlace, afresh: boolean): Promise<boolean> {
  const kept = await readKeptState(place);
  if ('error' in kept) throw kept.error;
  if ('why' in kept) return kept.why !== 'none';
  if (!afresh) return false;
  const [fromKept, fromEntries] = await Promise.all([readOn(place, kept.state), readOn(place, EMPTY_PROJECTION)]);
  // Of what was appended between the two readings only one knows.
  const last = Math.max(fromKept.lastSequence, fromEntries.lastSequence);
  const [one, other] = await Promise.all(
    [fromKept, fromEntries].map(state => (state.lastSequence === last ? state : readOn(place, state))),
  );
  const differs =
    one !== undefined &&
    other !== undefined &&
    one.lastSequence === other.lastSequence &&
    hashState(one) !== hashState(other);
  if (differs) log('error', 'the kept state of the ledger is not what its entries come to', { lastSequence: last });
  return differs;
}
