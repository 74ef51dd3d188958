import { FoundWrong } from '../contracts/pulse.ts';
import { FOUND_WRONG_KEY } from '../contracts/vault-layout.ts';
import { log } from './log.ts';
import { parseDocument } from './parse-document.ts';
import { readBytesIfThere } from './s3.ts';

/** So many names of losses pulse remembers; of vault objects that are accepted fewer, for it looks at each again. */
export const LOSSES_KEPT = { names: 2000, explainedObjects: 100 };

/**
 * What earlier pulses found wrong; undefined where none has left anything that can be read. What has another form, whoever
 * wrote it, counts as nothing: a cache is believed no more than what it caches, and the next pulse writes it anew.
 */
export async function readFoundWrong(workBucket: string): Promise<FoundWrong | undefined> {
  const bytes = await readBytesIfThere(workBucket, FOUND_WRONG_KEY);
  if (bytes === undefined) return undefined;
  const found = parseDocument(FoundWrong, bytes);
  if (found === undefined) log('warn', 'what pulse found wrong is not readable', { key: FOUND_WRONG_KEY });
  return found;
}

/** Pulse runs every 15 minutes: what it has not looked at for an hour may have been put right, or lost since. */
const LOOK_HOLDS_MS = 60 * 60 * 1000;

/** What may be said of losses at `now` by what pulse left. */
export type KnownLosses =
  /** Nothing that could be read. */
  | { readonly state: 'never' }
  /** What was found by then; what was lost since nobody knows. */
  | { readonly state: 'old'; readonly lookedAt: string; readonly found: FoundWrong }
  | { readonly state: 'present'; readonly lookedAt: string; readonly found: FoundWrong };

/** Whether what pulse left still tells what is lost. */
export function judgeLook(found: FoundWrong | undefined, now: Date): KnownLosses {
  if (found === undefined || found.lookedAt === null) return { state: 'never' };
  const { lookedAt } = found;
  // A look that is yet to come was not at the present state either: a clock is wrong.
  const isOld = Math.abs(now.getTime() - Date.parse(lookedAt)) > LOOK_HOLDS_MS;
  return { state: isOld ? 'old' : 'present', lookedAt, found };
}
