import type { Decision } from '../contracts/decisions.ts';
import type { LedgerDraft } from '../contracts/ledger.ts';
import { PermanentError } from '../platform/errors.ts';

/** Pulse does not find that loss: there is nothing to accept. */
export class LossNotFoundError extends PermanentError {}

/**
 * What is recorded of a person's decision. Once for each loss: the first word about it stands.
 * @param found the losses that pulse found last. One that has not happened is not accepted: its sound would be taken
 * away before it comes.
 * @throws LossNotFoundError
 */
export function describeDecision(decision: Decision, found: readonly string[]): LedgerDraft {
  const { kind, by, loss, reason, reference } = decision;
  if (!found.includes(loss)) {
    throw new LossNotFoundError(
      `${loss}: pulse does not find that lost; npm run daybreak -- loss list names what it finds, a quarter of an hour after it`,
    );
  }
  return {
    eventId: `loss-accepted/${loss}`,
    kind,
    actor: `person/${by}`,
    subject: loss.slice(loss.indexOf('/') + 1),
    body: { loss, reason, reference },
  };
}
