import { z } from 'zod';
import { InstantText, Sha256 } from './identifiers.ts';

/** What happened. A kind is never renamed: the ledger cannot be rewritten. */
export const LedgerKind = z.enum([
  'backup.completed',
  'backup.failed',
  'restore-test.completed',
  'restore-test.failed',
  'janitor.removed',
  'tenant-key.created',
  'ledger.head-signed',
]);
export type LedgerKind = z.infer<typeof LedgerKind>;

/** JSON without floating point surprises: what an entry's body may hold. Nothing personal: the ledger cannot be erased. */
export const LedgerBody = z.record(z.string(), z.json());

/** What a step asks to have recorded. */
export const LedgerDraft = z.strictObject({
  /** The same event has the same id, however often it is reported: it is recorded once. E.g. `backup/20261122t023000z`. */
  eventId: z.string().min(1).max(200),
  kind: LedgerKind,
  /** An opaque id of who or what did it, e.g. `workflow/daily-backup`. */
  actor: z.string(),
  /** A tenant, recovery point or resource id. */
  subject: z.string(),
  body: LedgerBody,
});
export type LedgerDraft = z.infer<typeof LedgerDraft>;

/** One entry, as `ledger/<sequence>.json` holds it: canonical JSON. */
export const LedgerEntry = LedgerDraft.extend({
  version: z.literal(1),
  /** From 1, without a gap. */
  sequence: z.int().min(1),
  recordedAt: InstantText,
  /** SHA-256 of the previous entry's stored bytes; 64 zeros in the first entry. */
  previousSha256: Sha256,
});
export type LedgerEntry = z.infer<typeof LedgerEntry>;

/** An entry as a reader meets it: a later release may have written a kind that this one does not know. */
export const StoredLedgerEntry = LedgerEntry.extend({ kind: z.string().min(1) });
export type StoredLedgerEntry = z.infer<typeof StoredLedgerEntry>;

/** `previousSha256` of the first entry. */
export const NO_ENTRY_SHA256 = '0'.repeat(64);
