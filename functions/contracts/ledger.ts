import { z } from 'zod';
import { InstantText, Sha256 } from './identifiers.ts';
import { Signature, signed } from './recovery-point.ts';

/** What happened. A kind is never renamed: the ledger cannot be rewritten. */
export const LedgerKind = z.enum([
  'backup.completed',
  'backup.failed',
  'restore-test.completed',
  'restore-test.failed',
  'tenant-key.created',
  'restored-instance.removed',
  'unproved-snapshot.removed',
  'tampering.seen',
  'tampering.refused',
  'upgrade.seen',
  'policies.upgrade-planned',
  'policies.upgraded',
  'loss.accepted',
  'loss.acceptance-withdrawn',
  'register.changed',
  'register.confirmed',
  'register.put-back',
  'register.removed',
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

const EntryContent = LedgerDraft.extend({
  /** From 1, without a gap. */
  sequence: z.int().min(1),
  recordedAt: InstantText,
  /** SHA-256 of the previous entry's stored bytes; 64 zeros in the first entry. */
  previousSha256: Sha256,
});

/** One entry, as `ledger/<sequence>.json` holds it: canonical JSON. */
export const LedgerEntry = EntryContent.extend({
  version: z.literal(2),
  /** Over the canonical JSON of the rest, by the key that appenders alone sign with. */
  signature: Signature,
});
export type LedgerEntry = z.infer<typeof LedgerEntry>;

/**
 * An entry as a reader meets it: a later release may have written a kind that this one does not know, and an earlier one
 * wrote version 1, which nobody signed. After an entry that is signed none is unsigned.
 */
export const StoredLedgerEntry = z.discriminatedUnion('version', [
  EntryContent.extend({ version: z.literal(1), kind: z.string().min(1) }),
  LedgerEntry.extend({ kind: z.string().min(1) }),
]);
export type StoredLedgerEntry = z.infer<typeof StoredLedgerEntry>;

/** `previousSha256` of the first entry. */
export const NO_ENTRY_SHA256 = '0'.repeat(64);

/** So many entries make one segment: segment 1 holds entries 1 to 1,000. */
export const SEGMENT_LENGTH = 1000;

const HeadContent = z.strictObject({
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

/** The form of what entries come to (`LedgerProjection`): raised with every change of it. */
export const LEDGER_STATE_FORM = 6;

/** `heads/<sequence>.json`, without its signature: the ledger as far as this entry, fixed by a signature. */
export const LedgerHead = HeadContent.extend({
  version: z.literal(2),
  /** Of the state whose hash this is: a release that knows another form folds the entries, and compares nothing. */
  stateForm: z.int().min(1),
  /** SHA-256 of the canonical JSON of what the entries up to this one come to (`LedgerProjection`). */
  projectionSha256: Sha256,
});
export type LedgerHead = z.infer<typeof LedgerHead>;
/**
 * A head as a reader meets it. Those of version 1 are of earlier releases, signed by the key that then signed root manifests
 * too and signs these alone now; none stands at an entry that is signed, or after one.
 */
export const StoredLedgerHead = z.discriminatedUnion('version', [
  HeadContent.extend({ version: z.literal(1) }),
  LedgerHead,
]);
export type StoredLedgerHead = z.infer<typeof StoredLedgerHead>;
export const SignedLedgerHead = signed(StoredLedgerHead);

/** `segments/<segment>.json`, without its signature: a full segment, closed. Of the versions, what heads say holds. */
export const LedgerSegment = z.strictObject({
  version: z.union([z.literal(1), z.literal(2)]),
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
