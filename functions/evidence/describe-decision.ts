import type { Configuration } from '../contracts/configuration.ts';
import type { Decision } from '../contracts/decisions.ts';
import type { LedgerDraft } from '../contracts/ledger.ts';
import { type Loss, readLossName } from '../contracts/losses.ts';
import type { FoundWrong } from '../contracts/pulse.ts';
import { COOLED_KINDS, kindOfEntry } from '../contracts/register.ts';
import { canonicalJson, sha256Hex } from '../platform/canonical-json.ts';
import { PermanentError } from '../platform/errors.ts';
import { judgeLook } from '../platform/found-wrong.ts';

/** Pulse does not find that loss, or no acceptance of it: there is nothing to accept or to withdraw. */
export class LossNotFoundError extends PermanentError {}

type LossDecision = Extract<Decision, { loss: string }>;

/**
 * What is recorded of a person's decision, as an event that is known by all that was said: so that who is told of an entry
 * finds his own words in it, and no word that was sent before stands in the place of another's. What is said of a loss is
 * said of what pulse found by then: the same words, said again after a withdrawal, are another event. An upgrade is told as
 * it was announced: nothing here sees whether it was carried out, or who announced it. So is a change of the register, of
 * which nothing here sees the words; how long it waits is the configuration's, and not its sender's.
 * @param found what pulse left. A loss that has not happened is not accepted: its sound would be taken away before it comes.
 * @throws LossNotFoundError
 */
export function describeDecision(
  decision: Decision,
  found: FoundWrong | undefined,
  now: Date,
  { coolingOffDays }: Configuration['register'],
): LedgerDraft {
  const digest = sha256Hex(canonicalJson(decision));
  switch (decision.kind) {
    case 'register.changed':
    case 'register.confirmed':
    case 'register.put-back':
    case 'register.removed': {
      const { kind, entry, by, ...said } = decision;
      const waits = COOLED_KINDS.includes(kindOfEntry(entry)) ? coolingOffDays : 0;
      const body = kind === 'register.changed' ? { ...said, coolingOffDays: waits } : said;
      return { eventId: `register/${digest}`, kind, actor: `person/${by}`, subject: entry, body };
    }
    case 'policies.upgrade-planned':
    case 'policies.upgraded': {
      const { kind, ...body } = decision;
      const eventId = `policies/${body.run}/${digest}`;
      return { eventId, kind, actor: 'workflow/record-decision', subject: 'policies', body };
    }
    default: {
      const lookedAt = checkLoss(decision, found, now);
      const { kind, by, ...body } = decision;
      return {
        eventId: `${kind.replace('.', '-')}/${sha256Hex(canonicalJson({ decision, lookedAt }))}`,
        kind,
        actor: `person/${by}`,
        subject: subjectOf(readLossName(decision.loss)),
        body,
      };
    }
  }
}

/** The snapshot, object, recovery point or restore test that was lost. */
function subjectOf(loss: Loss): string {
  if ('snapshotId' in loss) return loss.snapshotId;
  if ('key' in loss) return loss.key;
  return 'recoveryPointId' in loss ? loss.recoveryPointId : loss.restoreTestId;
}

/** @returns when pulse looked. */
function checkLoss({ kind, loss }: LossDecision, found: FoundWrong | undefined, now: Date): string {
  const look = judgeLook(found, now);
  if (look.state === 'never') {
    throw new LossNotFoundError(
      'pulse has left nothing that says what is lost: let it run (runbooks/pulse-silent.md), and decide by what it finds then',
    );
  }
  if (look.state === 'old') {
    throw new LossNotFoundError(
      `pulse looked last at ${look.lookedAt}, and what it found may have been put right since: let it run (runbooks/pulse-silent.md), and decide by what it finds then`,
    );
  }
  const { lost, acceptances, notLookedFor } = look.found;
  if (kind === 'loss.acceptance-withdrawn') {
    if (acceptances.includes(loss)) return look.lookedAt;
    throw new LossNotFoundError(
      `${loss}: pulse knows of no acceptance of it; npm run daybreak -- loss list has them, a quarter of an hour after it`,
    );
  }
  if (!lost.includes(loss)) {
    throw new LossNotFoundError(
      `${loss}: pulse does not find that lost; npm run daybreak -- loss list names what it finds, a quarter of an hour after it`,
    );
  }
  if (notLookedFor.includes(readLossName(loss).kind)) {
    throw new LossNotFoundError(
      `${loss}: pulse found that earlier, and could not look for it last time: see its log (runbooks/pulse-silent.md)`,
    );
  }
  return look.lookedAt;
}
