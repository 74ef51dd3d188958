/** One thing that is wrong with the ledger, at the entry that it concerns. */
export interface LedgerProblem {
  /** The entry; null where the problem concerns none (a foreign key). */
  readonly sequence: number | null;
  readonly reason:
    | 'missing'
    | 'altered'
    | 'not-by-appender'
    | 'record-differs'
    | 'state-altered'
    | 'kept-state-forged'
    | 'unreadable'
    | 'several-versions'
    | 'delete-marker'
    | 'foreign-key'
    | 'head-invalid'
    | 'segment-missing'
    | 'segment-invalid'
    | 'unsigned';
  /** One sentence. */
  readonly detail: string;
}

/** What `verifyLedger` found. */
export interface LedgerReport {
  /** True when nothing is wrong: every entry is there, once, unaltered, and signed for. */
  readonly verified: boolean;
  readonly checkedAt: string;
  readonly entryCount: number;
  readonly lastSequence: number;
  /** Null in an empty ledger, or where the last entry could not be read. */
  readonly lastEntrySha256: string | null;
  readonly lastRecordedAt: string | null;
  readonly headCount: number;
  /** The newest head that is signed by the ledger's key. */
  readonly newestHead: { readonly sequence: number; readonly signedAt: string } | null;
  readonly segmentCount: number;
  /** From which entry on appenders sign each; null while none is signed, as earlier releases left them. */
  readonly signedFrom: number | null;
  /** Entries after the newest head: chained, not yet signed for. `ageMs` is that of the oldest. */
  readonly unsignedTail: { readonly entryCount: number; readonly ageMs: number };
  /** The problem with the lowest entry; null when nothing is wrong. */
  readonly first: LedgerProblem | null;
  /** The first hundred problems, in the order in which they were found. */
  readonly problems: readonly LedgerProblem[];
  readonly problemCount: number;
}

/** An entry is signed within minutes; one that stays unsigned for longer than this is a problem of its own. */
export const MAXIMUM_UNSIGNED_MS = 26 * 60 * 60 * 1000;
export const PROBLEMS_KEPT = 100;
