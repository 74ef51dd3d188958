import type { KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { zstdCompress, zstdDecompress } from 'node:zlib';
import type { Deployment } from '../contracts/configuration.ts';
import { LEDGER_STATE_FORM, type LedgerHead, SignedLedgerHead } from '../contracts/ledger.ts';
import { headKey, LEDGER_PROJECTION_KEY, ledgerEntryKey } from '../contracts/vault-layout.ts';
import { canonicalJson, sha256Hex } from './canonical-json.ts';
import { describeError } from './errors.ts';
import { inOrder } from './in-order.ts';
import { readPublicKey } from './kms.ts';
import {
  isSignedByAppender,
  LedgerBrokenError,
  MAXIMUM_ENTRY_BYTES,
  parseLedgerEntry,
  type ReadLedgerEntry,
} from './ledger-entry.ts';
import { EMPTY_PROJECTION, fold, LedgerProjection } from './ledger-projection.ts';
import { log } from './log.ts';
import { parseDocument } from './parse-document.ts';
import { oncePerRuntime } from './runtime.ts';
import { isDeleteMarker, ObjectNotFoundError, readBytesIfThere, readChunks, readObject, writeBytes } from './s3.ts';
import { hasValidSignature } from './signature.ts';

const WIDEST_READ = 64;
/** Of a state, uncompressed: what millions of entries come to. Somebody else's may be made to fill the memory. */
const LARGEST_STATE_BYTES = 64 * 1024 * 1024;

/** Where the ledger lies, and whose signatures it bears. */
export type LedgerPlace = Pick<Deployment, 'evidenceBucket' | 'workBucket' | 'ledgerKeyArn' | 'entryKeyArn'>;

/**
 * The ledger's state at this moment: the kept fold, where a signed head stands for it, brought up to date with what was
 * appended since. Costs four requests when nothing was; a fold that is missing or that nobody signed for costs one for each
 * entry.
 * @throws LedgerBrokenError when what it reads is not an unbroken chain of what appenders signed. It does not look for
 * deleted or doubled versions of old entries: that is what `daybreak evidence verify` does.
 */
export async function readLedgerState(place: LedgerPlace): Promise<LedgerProjection> {
  const kept = await readKeptState(place);
  return readOn(place, 'state' in kept ? kept.state : EMPTY_PROJECTION);
}

/** Folds every entry that follows `state`, reading more at a time the more there are. */
export async function readOn(
  { evidenceBucket, entryKeyArn }: Pick<LedgerPlace, 'evidenceBucket' | 'entryKeyArn'>,
  state: LedgerProjection,
): Promise<LedgerProjection> {
  let current = state;
  for (let width = 1; ; width = Math.min(width * 2, WIDEST_READ)) {
    const first = current.lastSequence + 1;
    const sequences = Array.from({ length: width }, (_, index) => first + index);
    const entries = await Promise.all(sequences.map(sequence => readLedgerEntry(evidenceBucket, sequence)));
    const end = entries.indexOf(undefined);
    for (const { entry, sha256 } of entries.slice(0, end < 0 ? width : end).filter(found => found !== undefined)) {
      if (entry.version !== 1 && !isSignedByAppender(entry, await publicKeyOf(entryKeyArn))) {
        throw new LedgerBrokenError(
          `${ledgerEntryKey(entry.sequence)}: no appender signed it; see runbooks/ledger-broken.md`,
        );
      }
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

/**
 * Reads the head of an entry. Undefined where there is none, where its content is none of this place, or where it is not of
 * the present version and signed by the ledger's key.
 */
export async function readSignedHead(
  { evidenceBucket, ledgerKeyArn }: Pick<LedgerPlace, 'evidenceBucket' | 'ledgerKeyArn'>,
  sequence: number,
): Promise<LedgerHead | undefined> {
  const bytes = await readBytesIfThere(evidenceBucket, headKey(sequence));
  const signed = bytes === undefined ? undefined : parseDocument(SignedLedgerHead, bytes);
  if (signed === undefined || signed.document.version !== 2 || signed.document.sequence !== sequence) return undefined;
  return (await isSignedByLedger(signed, ledgerKeyArn)) ? signed.document : undefined;
}

/** Whether the ledger's key signed a document. */
export async function isSignedByLedger(
  signed: { document: unknown; signature: { value: string } },
  ledgerKeyArn: string,
): Promise<boolean> {
  return hasValidSignature(signed, await publicKeyOf(ledgerKeyArn));
}

/** The hash that a head names a state by. */
export function hashState(state: LedgerProjection): string {
  return sha256Hex(canonicalJson(state));
}

/** Whether a head stands for exactly this state. */
export function standsFor(head: LedgerHead | undefined, state: LedgerProjection): head is LedgerHead {
  return head?.stateForm === LEDGER_STATE_FORM && head.projectionSha256 === hashState(state);
}

/** Keeps a state that a signed head stands for, for the next reader. One that cannot be kept costs time, nothing else. */
export async function keepLedgerState(workBucket: string, state: LedgerProjection): Promise<void> {
  try {
    await writeBytes(workBucket, LEDGER_PROJECTION_KEY, await promisify(zstdCompress)(canonicalJson(state)));
  } catch (error) {
    log('warn', 'ledger projection not kept', { error: describeError(error) });
  }
}

/** The kept fold, or why there is none to go by. */
export type KeptState =
  | { readonly state: LedgerProjection }
  | { readonly why: 'none' | 'unreadable' | 'not signed for' | 'of another ledger' }
  /** Nobody can tell now: S3 or KMS did not give it out. */
  | { readonly why: 'not read'; readonly error: unknown };

/** Reads the kept fold, and believes it only where a signed head names its hash, and the ledger holds that head's entry. */
export async function readKeptState(place: LedgerPlace): Promise<KeptState> {
  let stored: Buffer | undefined;
  try {
    stored = await readBytesIfThere(place.workBucket, LEDGER_PROJECTION_KEY);
  } catch (error) {
    log('warn', 'ledger projection not usable, folding again', { error: describeError(error) });
    return { why: 'not read', error };
  }
  if (stored === undefined) return { why: 'none' };
  let state: LedgerProjection;
  try {
    const content = await promisify(zstdDecompress)(stored, { maxOutputLength: LARGEST_STATE_BYTES });
    state = LedgerProjection.parse(JSON.parse(content.toString('utf8')));
  } catch (error) {
    log('warn', 'ledger projection not usable, folding again', { error: describeError(error) });
    return { why: 'unreadable' };
  }
  const head = await readSignedHead(place, state.lastSequence);
  if (!standsFor(head, state)) {
    log('error', 'ledger projection is not what was signed for, folding again', { sequence: state.lastSequence });
    return { why: 'not signed for' };
  }
  const last = await readLedgerEntry(place.evidenceBucket, state.lastSequence);
  if (last?.sha256 === head.entrySha256 && last.sha256 === state.lastEntrySha256) return { state };
  return { why: 'of another ledger' };
}

/** Read once in each runtime: a key never changes. */
async function publicKeyOf(keyArn: string): Promise<KeyObject> {
  const known = oncePerRuntime(publicKeyOf, () => new Map<string, KeyObject>());
  const publicKey = known.get(keyArn) ?? (await readPublicKey(keyArn));
  known.set(keyArn, publicKey);
  return publicKey;
}
