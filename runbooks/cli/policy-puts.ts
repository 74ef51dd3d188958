import { z } from 'zod';
import { Decision } from '../../functions/contracts/decisions.ts';
import type { StoredLedgerEntry } from '../../functions/contracts/ledger.ts';
import { parseInstant } from '../../functions/platform/clock.ts';
import { keyIdOf } from '../keys/plan-upgrade.ts';

/** What one principal put of the policies that one run of `keys upgrade` had recorded before. */
export interface UpgradedKeys {
  /** When the upgrade was begun. */
  readonly run: string;
  readonly actor: string;
  readonly entryCount: number;
  readonly firstSequence: number;
  readonly lastSequence: number;
}

/** An upgrade puts a batch of 25 within seconds after it was recorded; more than a minute in between is no clock's. */
const BEFORE_MS = 60_000;
const AFTER_MS = 3_600_000;

const PutPolicy = z.looseObject({
  kind: z.literal('tampering.seen'),
  body: z.looseObject({ eventName: z.literal('PutKeyPolicy'), eventTime: z.string(), policySha256: z.string() }),
});

interface Put {
  readonly entry: StoredLedgerEntry;
  readonly name: string;
  readonly atMs: number;
}

/**
 * Which of the puts of keys' policies that were seen as tampering a recorded upgrade had named, each by its key, by what the
 * policy says and by the hour: the first such put, once. Whoever puts anything else, on another key, once more, or at another
 * time is not among them. Entries come newest first.
 */
export class PolicyPuts {
  /** Those of which it is not known yet. */
  readonly #open = new Map<number, Put>();
  readonly #explained = new Map<string, UpgradedKeys>();

  /** Takes note of an entry, where it is a put. */
  add(entry: StoredLedgerEntry): void {
    const { data } = PutPolicy.safeParse(entry);
    if (data === undefined) return;
    const { eventTime, policySha256 } = data.body;
    const atMs = Date.parse(eventTime);
    if (Number.isNaN(atMs)) return;
    this.#open.set(entry.sequence, { entry, name: nameOf(keyIdOf(entry.subject), policySha256), atMs });
  }

  /** The puts that an older entry explains. */
  explainBy(entry: StoredLedgerEntry): StoredLedgerEntry[] {
    const recordedMs = parseInstant(entry.recordedAt).getTime();
    for (const [sequence, { atMs }] of this.#open) if (atMs > recordedMs + AFTER_MS) this.#open.delete(sequence);
    if (entry.kind !== 'policies.upgrade-planned') return [];
    const { data } = Decision.safeParse({ kind: entry.kind, ...entry.body });
    if (data?.kind !== 'policies.upgrade-planned') return [];
    // The oldest of puts that are alike is the one that was announced.
    const oldest = new Map(
      [...this.#open.values()].filter(({ atMs }) => atMs >= recordedMs - BEFORE_MS).map(put => [put.name, put]),
    );
    return data.policies.flatMap(({ keyId, toSha256 }) => {
      const put = keyId && oldest.get(nameOf(keyId, toSha256));
      if (!put) return [];
      this.#open.delete(put.entry.sequence);
      this.#count(data.run, put.entry);
      return [put.entry];
    });
  }

  /** Whether an older entry may still explain one. */
  areOpen(): boolean {
    return this.#open.size > 0;
  }

  explained(): UpgradedKeys[] {
    return [...this.#explained.values()].reverse();
  }

  #count(run: string, { actor, sequence }: StoredLedgerEntry): void {
    const {
      entryCount = 0,
      firstSequence = sequence,
      lastSequence = sequence,
    } = this.#explained.get(nameOf(run, actor)) ?? {};
    this.#explained.set(nameOf(run, actor), {
      run,
      actor,
      entryCount: entryCount + 1,
      firstSequence: Math.min(firstSequence, sequence),
      lastSequence: Math.max(lastSequence, sequence),
    });
  }
}

const nameOf = (...parts: readonly string[]): string => parts.join(' ');
