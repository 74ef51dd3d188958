import {
  LEDGER_STATE_FORM,
  type LedgerSegment,
  NO_ENTRY_SHA256,
  SEGMENT_LENGTH,
  type StoredLedgerEntry,
  type StoredLedgerHead,
} from '../contracts/ledger.ts';
import { ledgerEntryKey } from '../contracts/vault-layout.ts';
import { hashState, type KeptState } from '../platform/ledger.ts';
import { LedgerBrokenError, parseLedgerEntry } from '../platform/ledger-entry.ts';
import { EMPTY_PROJECTION, fold, type LedgerProjection } from '../platform/ledger-projection.ts';
import { type LedgerProblem, type LedgerReport, MAXIMUM_UNSIGNED_MS, PROBLEMS_KEPT } from './ledger-report.ts';
import type { NumberedKey } from './list-numbered.ts';
import { extendTree, leafHash, treeHashOfSubtrees } from './merkle.ts';

/** A stored document whose signature was checked; `document` is undefined when anything about it is wrong. */
export interface CheckedDocument<T> {
  readonly stored: NumberedKey;
  readonly document: T | undefined;
}

/**
 * Checks a ledger entry by entry, in their order, keeping only what the next entry needs. Give it each entry's key and
 * bytes, then the head and the segment that end there; at the end ask for the report.
 */
export class ChainCheck {
  readonly #problems: LedgerProblem[] = [];
  #problemCount = 0;
  #first: LedgerProblem | null = null;
  #entryCount = 0;
  #headCount = 0;
  #segmentCount = 0;
  #lastSequence = 0;
  /** Of the last entry's stored bytes; undefined when they are not known. */
  #sha256: string | undefined = NO_ENTRY_SHA256;
  /** What a valid head says of the last entry. */
  #headSha256: string | undefined = undefined;
  #lastRecordedAt: string | null = null;
  #newestHead: LedgerReport['newestHead'] = null;
  #oldestUnsignedAt: string | undefined = undefined;
  /** The first full segment that is not closed: its last entry. */
  #open: { sequence: number; recordedAt: string } | undefined = undefined;
  #subtrees: readonly Buffer[] = [];
  /** False once anything is wrong in this segment: its tree then cannot be compared, and what follows from that is not named again. */
  #treeKnown = true;
  readonly #isSignedByAppender: (entry: StoredLedgerEntry) => boolean;
  #signedFrom: number | null = null;
  /** What the entries come to; undefined once one is not to be understood as following. */
  #state: LedgerProjection | undefined = EMPTY_PROJECTION;
  /** The newest head that names a state, with what the entries up to it come to. */
  #named: { sequence: number; projectionSha256: string; state: LedgerProjection } | undefined = undefined;

  /** @param isSignedByAppender whether the signature of an entry is by the key that appenders sign with. */
  constructor(isSignedByAppender: (entry: StoredLedgerEntry) => boolean) {
    this.#isSignedByAppender = isSignedByAppender;
  }

  /** Takes the next entry; `bytes` is undefined when there are none that could be one. */
  entry(stored: NumberedKey, bytes: Buffer | undefined): void {
    const sequence = stored.number;
    if (sequence > this.#lastSequence + 1) this.missing(sequence - 1);
    this.#begin(sequence);
    this.#checkVersions(stored, `entry ${sequence}`, sequence);
    if (bytes === undefined) {
      this.#add(sequence, 'unreadable', `entry ${sequence} has no content that could be an entry's`);
      this.#forgetContent();
      return;
    }
    this.#entryCount++;
    this.#checkContent(sequence, bytes);
    if (this.#treeKnown) {
      this.#subtrees = extendTree(this.#subtrees, leafHash(bytes), (sequence - 1) % SEGMENT_LENGTH);
    }
  }

  /** Notes that the entries after the last one, up to `sequence`, do not exist. */
  missing(sequence: number): void {
    const first = this.#lastSequence + 1;
    this.#add(
      first,
      'missing',
      first === sequence ? `entry ${first} is missing` : `entries ${first} to ${sequence} are missing`,
    );
    this.#begin(sequence);
    this.#forgetContent();
  }

  /** Takes the head that stands at the last entry. */
  head({ stored, document }: CheckedDocument<StoredLedgerHead>): void {
    const sequence = this.#lastSequence;
    this.#headCount++;
    this.#checkVersions(stored, `the head of entry ${sequence}`, sequence);
    if (document === undefined) {
      this.#add(sequence, 'head-invalid', `the head of entry ${sequence} is not signed by the ledger's key`);
      return;
    }
    if (document.version === 1 && this.#signedFrom !== null) {
      this.#add(sequence, 'head-invalid', `the head of entry ${sequence} is signed by the key of earlier ones`);
      return;
    }
    this.#headSha256 = document.entrySha256;
    this.#newestHead = { sequence, signedAt: document.signedAt };
    this.#oldestUnsignedAt = undefined;
    if (this.#sha256 === undefined) return;
    if (document.entrySha256 !== this.#sha256) {
      this.#add(
        sequence,
        'altered',
        `entry ${sequence} is not the one that was signed for: its head names another hash`,
      );
      this.#treeKnown = false;
      this.#state = undefined;
    } else if (this.#treeKnown && document.segmentTree.join() !== this.#subtrees.map(toHex).join()) {
      this.#add(sequence, 'altered', `the head of entry ${sequence} was signed over other entries of its segment`);
      this.#treeKnown = false;
    }
    if (document.version === 2 && document.stateForm === LEDGER_STATE_FORM && this.#state !== undefined) {
      this.#named = { sequence, projectionSha256: document.projectionSha256, state: this.#state };
    }
  }

  /** Takes the segment that the last entry completes; undefined when it was not closed. */
  segment(closed: CheckedDocument<LedgerSegment> | undefined, laterExists: boolean): void {
    const lastSequence = this.#lastSequence;
    const segment = lastSequence / SEGMENT_LENGTH;
    if (closed === undefined) {
      // The closer may have been killed, and the next append does its work; after a later segment it cannot be open.
      if (laterExists) this.#addMissingSegment(lastSequence);
      else this.#open ??= { sequence: lastSequence, recordedAt: this.#lastRecordedAt ?? '' };
      return;
    }
    this.#segmentCount++;
    this.#checkVersions(closed.stored, `segment ${segment}`, lastSequence);
    if (closed.document === undefined) {
      this.#add(lastSequence, 'segment-invalid', `segment ${segment} is not signed by the ledger's key`);
    } else if (closed.document.version === 1 && this.#signedFrom !== null) {
      this.#add(lastSequence, 'segment-invalid', `segment ${segment} is signed by the key of earlier ones`);
    } else if (
      this.#treeKnown &&
      (closed.document.lastEntrySha256 !== this.#sha256 ||
        closed.document.rootSha256 !== toHex(treeHashOfSubtrees(this.#subtrees)))
    ) {
      this.#add(lastSequence, 'segment-invalid', `segment ${segment} was closed over other entries`);
    }
  }

  /** Names a key among the ledger's own that it never writes. */
  foreign(key: string): void {
    this.#add(null, 'foreign-key', `${key} is no key of the ledger`);
  }

  /** Takes what is kept of the ledger's state. One that nobody signed for is believed by no reader; somebody put it there. */
  keptState(kept: KeptState): void {
    if ('why' in kept && kept.why !== 'none' && kept.why !== 'of another ledger') {
      this.#add(null, 'kept-state-forged', `the kept state in the work bucket is ${kept.why}`);
    }
  }

  /** Takes what is not as the entry says that speaks of it. */
  unproved(sequence: number, detail: string): void {
    this.#add(sequence, 'record-differs', detail);
  }

  /** What the entries come to, as far as they were taken; undefined when they do not follow each other. */
  get state(): LedgerProjection | undefined {
    return this.#state;
  }

  /** What was found, once everything was taken. */
  report(now: Date): LedgerReport {
    const unsignedCount = this.#lastSequence - (this.#newestHead?.sequence ?? 0);
    const ageMs =
      this.#oldestUnsignedAt === undefined ? 0 : Math.max(0, now.getTime() - Date.parse(this.#oldestUnsignedAt));
    if (unsignedCount > 0 && ageMs > MAXIMUM_UNSIGNED_MS) {
      const hours = Math.floor(ageMs / 3_600_000);
      this.#add(
        this.#lastSequence - unsignedCount + 1,
        'unsigned',
        `the newest ${unsignedCount} entries are not signed for, for ${hours} hours`,
      );
    }
    const named = this.#named;
    if (named !== undefined && hashState(named.state) !== named.projectionSha256) {
      const detail = `the head of entry ${named.sequence} was signed for another state than its entries come to`;
      this.#add(named.sequence, 'state-altered', detail);
    }
    const open = this.#open;
    if (
      open !== undefined &&
      open.sequence < this.#lastSequence &&
      now.getTime() - Date.parse(open.recordedAt) > MAXIMUM_UNSIGNED_MS
    ) {
      this.#addMissingSegment(open.sequence);
    }
    return {
      verified: this.#problemCount === 0,
      checkedAt: now.toISOString(),
      entryCount: this.#entryCount,
      lastSequence: this.#lastSequence,
      lastEntrySha256: this.#lastSequence === 0 ? null : (this.#sha256 ?? null),
      lastRecordedAt: this.#lastRecordedAt,
      headCount: this.#headCount,
      newestHead: this.#newestHead,
      segmentCount: this.#segmentCount,
      signedFrom: this.#signedFrom,
      unsignedTail: { entryCount: unsignedCount, ageMs },
      first: this.#first,
      problems: this.#problems,
      problemCount: this.#problemCount,
    };
  }

  get lastSequence(): number {
    return this.#lastSequence;
  }

  #begin(sequence: number): void {
    const segmentOf = (number: number) => Math.floor((number - 1) / SEGMENT_LENGTH);
    if (this.#lastSequence > 0 && segmentOf(sequence) !== segmentOf(this.#lastSequence)) {
      this.#subtrees = [];
      this.#treeKnown = true;
    }
    this.#lastSequence = sequence;
  }

  #checkContent(sequence: number, bytes: Buffer): void {
    try {
      const { entry, sha256 } = parseLedgerEntry(ledgerEntryKey(sequence), bytes);
      this.#checkLink(sequence, entry.previousSha256);
      this.#fold(entry, sha256);
      this.#checkAppender(sequence, entry);
      this.#sha256 = sha256;
      this.#lastRecordedAt = entry.recordedAt;
      this.#oldestUnsignedAt ??= entry.recordedAt;
      if (entry.sequence !== sequence) {
        this.#add(sequence, 'altered', `entry ${sequence} calls itself ${entry.sequence}`);
      }
    } catch (error) {
      if (!(error instanceof LedgerBrokenError)) throw error;
      this.#add(sequence, 'unreadable', error.message);
      this.#forgetContent();
    }
    this.#headSha256 = undefined;
  }

  #checkAppender(sequence: number, entry: StoredLedgerEntry): void {
    if (entry.version === 1 && this.#signedFrom === null) return;
    this.#signedFrom ??= sequence;
    if (this.#isSignedByAppender(entry)) return;
    this.#state = undefined;
    this.#add(
      sequence,
      'not-by-appender',
      `entry ${sequence} was put there by no appender: its signature is not theirs`,
    );
  }

  #fold(entry: StoredLedgerEntry, sha256: string): void {
    if (this.#state === undefined) return;
    try {
      this.#state = fold(this.#state, entry, sha256);
    } catch (error) {
      if (!(error instanceof LedgerBrokenError)) throw error;
      this.#state = undefined;
    }
  }

  #forgetContent(): void {
    this.#state = undefined;
    this.#sha256 = undefined;
    this.#headSha256 = undefined;
    this.#treeKnown = false;
  }

  // Two entries disagree; the head of the earlier one, where it is valid, says which of them is the altered one.
  #checkLink(sequence: number, previousSha256: string): void {
    if (this.#sha256 === undefined || previousSha256 === this.#sha256) return;
    this.#treeKnown = false;
    if (previousSha256 === this.#headSha256) return;
    if (sequence === 1 || this.#headSha256 !== undefined) {
      this.#add(sequence, 'altered', `entry ${sequence} names another hash than the entry before it has`);
    } else {
      this.#add(sequence - 1, 'altered', `entry ${sequence - 1} is not the one that entry ${sequence} was appended to`);
    }
  }

  #addMissingSegment(lastSequence: number): void {
    const detail = `segment ${lastSequence / SEGMENT_LENGTH} is missing, though entries were appended since it was full`;
    this.#add(lastSequence, 'segment-missing', detail);
  }

  #checkVersions({ versionCount, deleteMarkerCount }: NumberedKey, what: string, sequence: number): void {
    if (deleteMarkerCount > 0) this.#add(sequence, 'delete-marker', `${what} is hidden by a delete marker`);
    if (versionCount > 1) {
      this.#add(sequence, 'several-versions', `${what} was written over: ${versionCount} versions exist`);
    }
  }

  #add(sequence: number | null, reason: LedgerProblem['reason'], detail: string): void {
    const problem = { sequence, reason, detail };
    this.#problemCount++;
    if (this.#problems.length < PROBLEMS_KEPT) this.#problems.push(problem);
    const place = (at: LedgerProblem) => at.sequence ?? Number.POSITIVE_INFINITY;
    if (this.#first === null || place(problem) < place(this.#first)) this.#first = problem;
  }
}

function toHex(hash: Buffer): string {
  return hash.toString('hex');
}
