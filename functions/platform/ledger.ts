import { promisify } from 'node:util';
import { zstdCompress, zstdDecompress } from 'node:zlib';
import type { Deployment } from '../contracts/configuration.ts';
import { LEDGER_PROJECTION_KEY, ledgerEntryKey } from '../contracts/vault-layout.ts';
import { describeError } from './errors.ts';
import { inOrder } from './in-order.ts';
import { LedgerBrokenError, MAXIMUM_ENTRY_BYTES, parseLedgerEntry, type ReadLedgerEntry } from './ledger-entry.ts';
import { EMPTY_PROJECTION, fold, LedgerProjection } from './ledger-projection.ts';
import { log } from './log.ts';
import { isDeleteMarker, ObjectNotFoundError, readBytesIfThere, readChunks, readObject, writeBytes } from './s3.ts';

const WIDEST_READ = 64;

/**
 * The ledger's state at this moment: the cached fold, brought up to date with what was appended since. Costs three
 * requests when nothing was; a missing or unfitting cache costs one for each entry.
 * @throws LedgerBrokenError when what it reads is not an unbroken chain. It does not look for deleted or doubled
 * versions of old entries: that is what `daybreak evidence verify` does.
 */
export async function readLedgerState(
  deployment: Pick<Deployment, 'evidenceBucket' | 'workBucket'>,
): Promise<LedgerProjection> {
  const cached = await readCachedState(deployment);
  const state = await readOn(deployment.evidenceBucket, cached);
  if (state.lastSequence > cached.lastSequence) await cacheLedgerState(deployment.workBucket, state);
  return state;
}

/** Folds every entry that follows `state`, reading more at a time the more there are. */
export async function readOn(evidenceBucket: string, state: LedgerProjection): Promise<LedgerProjection> {
  let current = state;
  for (let width = 1; ; width = Math.min(width * 2, WIDEST_READ)) {
    const first = current.lastSequence + 1;
    const sequences = Array.from({ length: width }, (_, index) => first + index);
    const entries = await Promise.all(sequences.map(sequence => readLedgerEntry(evidenceBucket, sequence)));
    const end = entries.indexOf(undefined);
    for (const { entry, sha256 } of entries.slice(0, end < 0 ? width : end).filter(found => found !== undefined)) {
      current = fold(current, entry, sha256);
    }
    if (end < 0) continue;
    if (entries.slice(end).every(entry => entry === undefined)) return current;
    // Reads at the same time may meet an append between them: only what is still missing afterwards is a gap.
    if ((await readLedgerEntry(evidenceBucket, first + end)) === undefined) {
      throw new LedgerBrokenError(
        `ledger entry ${first + end} is missing, but a later one exists; see runbooks/ledger-broken.md`,
      );
    }
  }
}

/**
 * One entry; undefined where it was never written.
 * @throws LedgerBrokenError when it was deleted, or is not a ledger entry.
 */
export async function readLedgerEntry(evidenceBucket: string, sequence: number): Promise<ReadLedgerEntry | undefined> {
  const key = ledgerEntryKey(sequence);
  try {
    const { body, sizeBytes } = await readObject(evidenceBucket, key);
    if (sizeBytes > MAXIMUM_ENTRY_BYTES) {
      body.destroy();
      throw new LedgerBrokenError(`${key}: ${sizeBytes} bytes are no ledger entry; see runbooks/ledger-broken.md`);
    }
    return parseLedgerEntry(key, Buffer.concat(await Array.fromAsync(readChunks(key, body))));
  } catch (error) {
    if (!(error instanceof ObjectNotFoundError)) throw error;
    if (isDeleteMarker(error)) {
      throw new LedgerBrokenError(`${key}: a delete marker hides it; see runbooks/ledger-broken.md`, { cause: error });
    }
    return undefined;
  }
}

/**
 * Entries `first` to `last` in their order, read ahead many at a time.
 * @throws LedgerBrokenError when one is missing, deleted, no ledger entry, or does not follow the one before it.
 */
export async function* readLedgerEntries(
  evidenceBucket: string,
  first: number,
  last: number,
): AsyncGenerator<ReadLedgerEntry> {
  let previousSha256: string | undefined;
  const sequences = Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index);
  const read = async (sequence: number) => ({ sequence, found: await readLedgerEntry(evidenceBucket, sequence) });
  const limits = { underWay: WIDEST_READ, waiting: WIDEST_READ };
  for await (const { sequence, found } of inOrder(sequences, read, limits)) {
    if (found === undefined) {
      throw new LedgerBrokenError(`${ledgerEntryKey(sequence)}: missing; see runbooks/ledger-broken.md`);
    }
    if (previousSha256 !== undefined && found.entry.previousSha256 !== previousSha256) {
      throw new LedgerBrokenError(
        `${ledgerEntryKey(sequence)}: names another hash than the entry before it has; see runbooks/ledger-broken.md`,
      );
    }
    previousSha256 = found.sha256;
    yield found;
  }
}

/** Keeps the state for the next reader. A cache that cannot be written costs time, nothing else. */
export async function cacheLedgerState(workBucket: string, state: LedgerProjection): Promise<void> {
  try {
    await writeBytes(workBucket, LEDGER_PROJECTION_KEY, await promisify(zstdCompress)(JSON.stringify(state)));
  } catch (error) {
    log('warn', 'ledger projection not cached', { error: describeError(error) });
  }
}

async function readCachedState({
  evidenceBucket,
  workBucket,
}: Pick<Deployment, 'evidenceBucket' | 'workBucket'>): Promise<LedgerProjection> {
  let state: LedgerProjection;
  try {
    const stored = await readBytesIfThere(workBucket, LEDGER_PROJECTION_KEY);
    if (stored === undefined) return EMPTY_PROJECTION;
    state = LedgerProjection.parse(JSON.parse((await promisify(zstdDecompress)(stored)).toString('utf8')));
  } catch (error) {
    log('warn', 'ledger projection not usable, folding again', { error: describeError(error) });
    return EMPTY_PROJECTION;
  }
  const last = state.lastSequence === 0 ? undefined : await readLedgerEntry(evidenceBucket, state.lastSequence);
  return last?.sha256 === state.lastEntrySha256 ? state : EMPTY_PROJECTION;
}
