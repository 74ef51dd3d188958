import { z } from 'zod';
import { InstantText, Sha256 } from './identifiers.ts';
import { signed } from './recovery-point.ts';

/** What happened. A kind is never renamed: the ledger cannot be rewritten. */
export const LedgerKind = z.enum([
  'backup.completed',
  'backup.failed',
  'restore-test.completed',
  'restore-test.failed',
  'tenant-key.created',
  'restored-instance.removed',
  'tampering.seen',
  'tampering.refused',
  'upgrade.seen',
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

/** So many entries make one segment: segment 1 holds entries 1 to 1,000. */
export const SEGMENT_LENGTH = 1000;

/** `heads/<sequence>.json`, without its signature: the ledger as far as this entry, fixed by a signature. */
export const LedgerHead = z.strictObject({
  version: z.literal(1),
  sequence: z.int().min(1),
  /** SHA-256 of the entry's stored bytes; through the hash chain it stands for all before it. */
  entrySha256: Sha256,
  /**
   * The Merkle tree (RFC 6962) over the stored bytes of this segment's entries up to this one, as the roots of its
   * complete subtrees, largest first. It can be extended without reading those entries again.
   */
  segmentTree: z.array(Sha256).min(1),
  signedAt: InstantText,
});
export type LedgerHead = z.infer<typeof LedgerHead>;
export const SignedLedgerHead = signed(LedgerHead);

/** `segments/<segment>.json`, without its signature: a full segment, closed. */
export const LedgerSegment = z.strictObject({
  version: z.literal(1),
  segment: z.int().min(1),
  firstSequence: z.int().min(1),
  lastSequence: z.int().min(1),
  lastEntrySha256: Sha256,
  /** The Merkle tree hash (RFC 6962, 2.1) over the stored bytes of its entries. */
  rootSha256: Sha256,
  closedAt: InstantText,
});
export type LedgerSegment = z.infer<typeof LedgerSegment>;
export const SignedLedgerSegment = signed(LedgerSegment);
