import { z } from 'zod';
import { LedgerDraft } from './ledger.ts';

/**
 * What pulse finds, that may stay for ever, and that a person may accept by name: it is lost, and no command brings it back.
 * Nothing else is accepted: a key that is disabled, a snapshot that is shared or that no recovery point names, a lock that
 * was let go, a schedule, a rule or a policy that was changed, and a chain that is broken are put right or go on sounding.
 */
export const LOSS_KINDS = {
  'snapshot-missing': 'a snapshot that a recovery point names is gone',
  'snapshot-altered': 'a snapshot is not available, or another one than was signed for',
  'root-manifest-altered': 'the root manifest of a recovery point is gone, or not what the ledger recorded',
  'test-record-altered': 'the record of a restore test is gone, or not what the ledger says',
  'object-gone': 'an object of the vault is gone',
} as const;
export type LossKind = keyof typeof LOSS_KINDS;

/** Why something was lost, as far as an inquiry found. */
export const LOSS_REASONS = ['mistake', 'attack', 'aws-fault', 'drill', 'cause-not-found'] as const;

/** A loss by its name: `snapshot-missing/daybreak-app-20261122t023000z`. */
export const LossName = z
  .string()
  .max(180)
  .regex(new RegExp(`^(?:${Object.keys(LOSS_KINDS).join('|')})/[A-Za-z0-9][A-Za-z0-9._/-]*$`));
/** The name of what was lost, with its kind. */
export const lossName = (kind: LossKind, id: string): string => `${kind}/${id}`;

/** An opaque id, of a person or a ticket. Nothing personal: the ledger cannot be erased. */
const OpaqueId = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._/-]{0,63}$/, 'must be an id of letters, digits and . _ / -');

export const AcceptedLoss = z.strictObject({
  loss: LossName,
  reason: z.enum(LOSS_REASONS),
  /** The incident or ticket that explains it. */
  reference: OpaqueId,
});

/** What a person has recorded. Each kind of it is one of the ledger's. */
export const Decision = z.discriminatedUnion('kind', [
  AcceptedLoss.extend({ kind: z.literal('loss.accepted'), by: OpaqueId }),
]);
export type Decision = z.infer<typeof Decision>;

/** `evidence/check-decision`. */
export const CheckDecisionInput = z.strictObject({ decision: Decision });
export const CheckDecisionOutput = z.strictObject({ draft: LedgerDraft });
