import type { StoredLedgerEntry } from '../../functions/contracts/ledger.ts';
import { LEDGER_PREFIX, ledgerEntryKey } from '../../functions/contracts/vault-layout.ts';
import { parseInstant } from '../../functions/platform/clock.ts';
import { readLedgerEntries } from '../../functions/platform/ledger.ts';
import { LedgerBrokenError } from '../../functions/platform/ledger-entry.ts';
import { listObjects } from '../../functions/platform/s3.ts';
import { PolicyPuts, type UpgradedKeys } from './policy-puts.ts';

/** Which entries are asked for. */
export interface EntryFilter {
  /** Of these kinds, e.g. `tampering.seen`, or of all that begin with it, e.g. `tampering`; all where there is none. */
  readonly kinds: readonly string[];
  readonly subject: string | undefined;
  /** Recorded at this instant or later. */
  readonly since: Date | undefined;
  /** The newest of them; as many as there are where undefined. */
  readonly limit: number | undefined;
}

/** What was found, and where it was looked for. */
export interface FoundEntries {
  /** Oldest first. */
  readonly entries: readonly StoredLedgerEntry[];
  /** Of a kind that would crowd the others out, which nobody asked for: counted, not listed. */
  readonly summed: readonly { kind: string; entryCount: number; firstSequence: number; lastSequence: number }[];
  /** Policies of keys that were put as a recorded upgrade said it would, by who put them: counted, not listed, likewise. */
  readonly upgraded: readonly UpgradedKeys[];
  /** The oldest and the newest entry that was looked at; null in an empty ledger. */
  readonly lookedAt: { readonly firstSequence: number; readonly lastSequence: number } | null;
  /** False where older entries may match, too. */
  readonly isComplete: boolean;
}

/** A first backup makes a key for each school: thousands of entries, of which a person seldom wants to see one. */
const SUMMED_KINDS = ['tenant-key.created'];
/** Without `since` no more are looked at. */
const FURTHEST_BACK = 10_000;
const CHUNK = 256;
/** An entry may say an earlier time than the one before it: appends that meet try again, as long as a function lives. */
const LATEST_APPEND_MS = 3_600_000;

/**
 * Looks from the newest entry back, whose chain it checks only among what it reads.
 * @throws LedgerBrokenError when one of them cannot be an entry, or does not follow the one before it.
 */
export async function findEntries(evidenceBucket: string, filter: EntryFilter): Promise<FoundEntries> {
  const { limit = Number.POSITIVE_INFINITY } = filter;
  const last = await findLastSequence(evidenceBucket);
  const puts = new PolicyPuts();
  const summed = new Map<string, { kind: string; entryCount: number; firstSequence: number; lastSequence: number }>();
  const found = new Set<StoredLedgerEntry>();
  let isEnough = last === 0;
  let first = last + 1;
  let followingNames: string | undefined;
  while (!isEnough && first > 1 && (filter.since !== undefined || last - first + 1 < FURTHEST_BACK)) {
    const chunk = await readChunk(evidenceBucket, Math.max(1, first - CHUNK), first - 1, followingNames);
    for (const { entry } of chunk.toReversed()) {
      if (isEnough) break;
      first = entry.sequence;
      const ageMs = filter.since === undefined ? 0 : filter.since.getTime() - parseInstant(entry.recordedAt).getTime();
      for (const put of puts.explainBy(entry)) found.delete(put);
      if (ageMs > LATEST_APPEND_MS) {
        isEnough = true;
      } else if (ageMs <= 0 && matches(entry, filter)) {
        if (isSummed(entry, filter)) {
          const { entryCount = 0, lastSequence = entry.sequence } = summed.get(entry.kind) ?? {};
          const { kind, sequence } = entry;
          summed.set(kind, { kind, entryCount: entryCount + 1, firstSequence: sequence, lastSequence });
        } else {
          found.add(entry);
          if (sums(filter)) puts.add(entry);
        }
      }
      // A put is known for an upgrade's by an entry that is older than it.
      if (found.size >= limit && !puts.areOpen()) isEnough = true;
    }
    followingNames = chunk[0]?.entry.previousSha256;
  }
  const entries = [...found].slice(0, limit).reverse();
  const isCut = found.size > limit;
  return {
    entries,
    summed: [...summed.values()],
    upgraded: puts.explained(),
    lookedAt: last === 0 ? null : { firstSequence: (isCut && entries[0]?.sequence) || first, lastSequence: last },
    isComplete: !isCut && (first <= 1 || (isEnough && found.size !== limit)),
  };
}

function matches({ kind, subject }: StoredLedgerEntry, filter: EntryFilter): boolean {
  if (filter.subject !== undefined && subject !== filter.subject) return false;
  return filter.kinds.length === 0 || filter.kinds.some(asked => kind === asked || kind.startsWith(`${asked}.`));
}

function isSummed({ kind }: StoredLedgerEntry, filter: EntryFilter): boolean {
  return SUMMED_KINDS.includes(kind) && sums(filter);
}

/** Who asks for a kind or a subject gets each entry of it. */
function sums({ kinds, subject }: EntryFilter): boolean {
  return kinds.length === 0 && subject === undefined;
}

async function readChunk(evidenceBucket: string, first: number, last: number, followingNames: string | undefined) {
  const chunk = await Array.fromAsync(readLedgerEntries(evidenceBucket, first, last));
  if (followingNames !== undefined && chunk.at(-1)?.sha256 !== followingNames) {
    throw new LedgerBrokenError(
      `${ledgerEntryKey(last + 1)}: names another hash than the entry before it has; see runbooks/ledger-broken.md`,
    );
  }
  return chunk;
}

async function findLastSequence(evidenceBucket: string): Promise<number> {
  let last = 0;
  for await (const { objects } of listObjects(evidenceBucket, LEDGER_PREFIX)) {
    for (const { key } of objects) {
      const sequence = Number(/(\d+)\.json$/.exec(key)?.[1] ?? 0);
      if (ledgerEntryKey(sequence) === key) last = Math.max(last, sequence);
    }
  }
  return last;
}
