import type { KeyObject } from 'node:crypto';
import { StoredLedgerEntry } from '../contracts/ledger.ts';
import { canonicalJson, sha256Hex } from './canonical-json.ts';
import { PermanentError } from './errors.ts';
import { hasValidSignature } from './signature.ts';

/** The ledger is not what was appended: an entry is altered, missing, or follows another one. */
export class LedgerBrokenError extends PermanentError {}

/** An entry with the hash that the next one names. */
export interface ReadLedgerEntry {
  readonly entry: StoredLedgerEntry;
  /** SHA-256 of the stored bytes. */
  readonly sha256: string;
  readonly bytes: Buffer;
}

/** No entry is larger: a draft travels through Step Functions, whose payloads end at 256 KiB. */
export const MAXIMUM_ENTRY_BYTES = 1024 * 1024;
/** Reads the stored bytes of an entry. @throws LedgerBrokenError when they are not the canonical JSON of one. */
export function parseLedgerEntry(key: string, bytes: Buffer): ReadLedgerEntry {
  let value: unknown;
  let canonical: string;
  let entry: StoredLedgerEntry | undefined;
  try {
    value = JSON.parse(bytes.toString('utf8'));
    canonical = canonicalJson(value);
    entry = StoredLedgerEntry.safeParse(value).data;
  } catch (cause) {
    // Too deep a nesting is a RangeError, of the parser or of what walks the value.
    throw new LedgerBrokenError(`${key}: not readable as JSON`, { cause });
  }
  if (!bytes.equals(Buffer.from(canonical, 'utf8'))) throw new LedgerBrokenError(`${key}: not canonical JSON`);
  if (entry === undefined) throw new LedgerBrokenError(`${key}: not the form of a ledger entry`);
  return { entry, sha256: sha256Hex(bytes), bytes };
}

/** Whether an appender signed the entry; one of version 1 has no signature. */
export function isSignedByAppender(entry: StoredLedgerEntry, entryKey: KeyObject): boolean {
  if (entry.version === 1) return false;
  const { signature, ...document } = entry;
  return hasValidSignature({ document, signature }, entryKey);
}
