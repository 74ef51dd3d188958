import type { Configuration } from '../contracts/configuration.ts';
import { type Decision, readLossName } from '../contracts/decisions.ts';
import type { LedgerDraft } from '../contracts/ledger.ts';
import type { FoundWrong } from '../contracts/pulse.ts';
import { COOLED_KINDS, kindOfEntry } from '../contracts/register.ts';
import { canonicalJson, sha256Hex } from '../platform/canonical-json.ts';
import { PermanentError } from '../platform/errors.ts';

/** Pulse does not find that loss: there is nothing to accept. */
export class LossNotFoundError extends PermanentError {}

/** Pulse runs every 15 minutes: what it has not found again for an hour may have been put right. */
const LONGEST_SINCE_FOUND_MS = 60 * 60 * 1000;

/**
 * What is lost now, as far as pulse knows.
 * @throws LossNotFoundError when pulse has not looked for an hour: who accepts what was put right since silences the next
 * loss of the same name.
 */
export function lostNow({ lost, lostAt }: Pick<FoundWrong, 'lost' | 'lostAt'>, now: Date): readonly string[] {
  if (lost.length > 0 && (lostAt === null || now.getTime() - Date.parse(lostAt) > LONGEST_SINCE_FOUND_MS)) {
    throw new LossNotFoundError(
      `pulse found that lost ${lostAt ?? 'at an unknown time'}, and not since: let it run (runbooks/pulse-silent.md), and accept what it finds then`,
    );
  }
  return lost;
}

/**
 * What is recorded of a person's decision, as an event that is known by all that was said: so that who is told of an entry
 * finds his own words in it, and no word that was sent before stands in the place of another's. An upgrade is told as it was
 * announced: nothing here sees whether it was carried out, or who announced it. So is a change of the register, of which
 * nothing here sees the words; how long it waits is the configuration's, and not its sender's.
 * @param found the losses that pulse found last. One that has not happened is not accepted: its sound would be taken
 * away before it comes.
 * @throws LossNotFoundError
 */
export function describeDecision(
  decision: Decision,
  found: readonly string[],
  { coolingOffDays }: Configuration['register'],
): LedgerDraft {
  const digest = sha256Hex(canonicalJson(decision));
  switch (decision.kind) {
    case 'loss.accepted': {
      const { kind, by, loss, reason, reference } = decision;
      if (!found.includes(loss)) {
        throw new LossNotFoundError(
          `${loss}: pulse does not find that lost; npm run daybreak -- loss list names what it finds, a quarter of an hour after it`,
        );
      }
      const body = { loss, reason, reference };
      return { eventId: `loss-accepted/${digest}`, kind, actor: `person/${by}`, subject: readLossName(loss).id, body };
    }
    case 'register.changed':
    case 'register.confirmed':
    case 'register.removed': {
      const { kind, entry, by, ...said } = decision;
      const waits = COOLED_KINDS.includes(kindOfEntry(entry)) ? coolingOffDays : 0;
      const body = kind === 'register.changed' ? { ...said, coolingOffDays: waits } : said;
      return { eventId: `register/${digest}`, kind, actor: `person/${by}`, subject: entry, body };
    }
    default: {
      const { kind, ...body } = decision;
      const eventId = `policies/${body.run}/${digest}`;
      return { eventId, kind, actor: 'workflow/record-decision', subject: 'policies', body };
    }
  }
}
