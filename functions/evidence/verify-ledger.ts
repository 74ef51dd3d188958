import type { KeyObject } from 'node:crypto';
import type { z } from 'zod';
import type { Deployment } from '../contracts/configuration.ts';
import { SEGMENT_LENGTH, SignedLedgerHead, SignedLedgerSegment } from '../contracts/ledger.ts';
import { SignedRecoveryPoint } from '../contracts/recovery-point.ts';
import {
  HEAD_PREFIX,
  headKey,
  LEDGER_PREFIX,
  ledgerEntryKey,
  rootManifestKey,
  SEGMENT_PREFIX,
  segmentKey,
} from '../contracts/vault-layout.ts';
import { whyPointDiffers, whyTestDiffers } from '../platform/as-recorded.ts';
import { sha256Hex } from '../platform/canonical-json.ts';
import { inOrder } from '../platform/in-order.ts';
import { readPublicKey } from '../platform/kms.ts';
import { readKeptState } from '../platform/ledger.ts';
import { isSignedByAppender, MAXIMUM_ENTRY_BYTES } from '../platform/ledger-entry.ts';
import type { LedgerProjection } from '../platform/ledger-projection.ts';
import { parseDocument } from '../platform/parse-document.ts';
import { describeObject, ObjectAccessDeniedError, readBytes, readBytesIfThere } from '../platform/s3.ts';
import { hasValidSignature } from '../platform/signature.ts';
import { ChainCheck, type CheckedDocument } from './check-chain.ts';
import type { LedgerReport } from './ledger-report.ts';
import { listNumbered, type NumberedKey } from './list-numbered.ts';

const READS_AT_ONCE = { underWay: 64, waiting: 64 };

/**
 * Checks the whole ledger against itself and its keys: every version of every entry, the hash chain, each entry's
 * signature, every head and every segment, the state that the newest head names, the kept one in the work bucket, and the
 * root manifest or record of each recovery point and restore test that the entries come to. It trusts no cache and nothing
 * that it did not read. One request for each object, one for each thousand listed, and one to KMS for each key; the memory
 * that it needs grows with the state alone.
 *
 * `signingKeyArn` is the key of root manifests, and signed heads and segments of version 1 in earlier releases. Without it these
 * are invalid, and a root manifest is as recorded only where its hash is.
 *
 * What it cannot see: entries taken off the end together with their heads. Compare the newest head with one that stands
 * on an earlier report.
 */
export async function verifyLedger(
  place: Pick<Deployment, 'vaultBucket' | 'evidenceBucket' | 'workBucket' | 'ledgerKeyArn' | 'entryKeyArn'> & {
    signingKeyArn?: string;
  },
  now: Date,
): Promise<LedgerReport> {
  const { evidenceBucket, signingKeyArn } = place;
  const [ledgerKey, entryKey, earlierKey] = await Promise.all([
    readPublicKey(place.ledgerKeyArn),
    readPublicKey(place.entryKeyArn),
    signingKeyArn === undefined ? undefined : readPublicKey(signingKeyArn),
  ]);
  const keyOf = ({ version }: { version: 1 | 2 }) => (version === 1 ? earlierKey : ledgerKey);
  const check = new ChainCheck(entry => isSignedByAppender(entry, entryKey));
  const list = (prefix: string, keyOf: (number: number) => string) =>
    listNumbered(evidenceBucket, prefix, keyOf, key => check.foreign(key));
  const readHead = (stored: NumberedKey) =>
    readSigned(evidenceBucket, stored, keyOf, SignedLedgerHead, ({ sequence }) => sequence);
  const readSegment = (stored: NumberedKey) =>
    readSigned(evidenceBucket, stored, keyOf, SignedLedgerSegment, ({ segment }) => segment);
  const readEntry = async (stored: NumberedKey) => ({ stored, bytes: await readOldest(evidenceBucket, stored) });
  const heads = walk(inOrder(list(HEAD_PREFIX, headKey), readHead, READS_AT_ONCE));
  const segments = walk(inOrder(list(SEGMENT_PREFIX, segmentKey), readSegment, READS_AT_ONCE));
  const entries = inOrder(list(LEDGER_PREFIX, ledgerEntryKey), readEntry, READS_AT_ONCE);
  for await (const { stored, bytes } of entries) {
    check.entry(stored, bytes);
    const head = await heads.find(stored.number);
    if (head !== undefined) check.head(head);
    if (stored.number % SEGMENT_LENGTH === 0) {
      const closed = await segments.find(stored.number / SEGMENT_LENGTH);
      check.segment(closed, await segments.hasMore());
    }
  }
  // A head beyond the last listed entry is one that was appended meanwhile, or all that is left of one that was deleted.
  const signedSequence = Math.max((await heads.last()) ?? 0, ((await segments.last()) ?? 0) * SEGMENT_LENGTH);
  if (
    signedSequence > check.lastSequence &&
    (await describeObject(evidenceBucket, ledgerEntryKey(signedSequence))) === undefined
  ) {
    check.missing(signedSequence);
  }
  const kept = await readKeptState(place);
  if ('error' in kept) throw kept.error;
  check.keptState(kept);
  if (check.state !== undefined) {
    const unproved = findUnproved(place, check.state, earlierKey, now);
    for await (const { sequence, detail } of unproved) check.unproved(sequence, detail);
  }
  return check.report(now);
}

/** Recovery points and restore tests that are not as their entries say. */
async function* findUnproved(
  { vaultBucket, evidenceBucket }: Pick<Deployment, 'vaultBucket' | 'evidenceBucket'>,
  state: LedgerProjection,
  manifestKey: KeyObject | undefined,
  now: Date,
): AsyncGenerator<{ sequence: number; detail: string }> {
  const points = inOrder(
    Object.values(state.recoveryPoints),
    async recorded => {
      const bytes = await readBytesIfThere(vaultBucket, rootManifestKey(recorded.recoveryPointId));
      if (bytes === undefined) return { recorded, why: whyPointDiffers(undefined, recorded, state, now)?.reason };
      const signed = parseDocument(SignedRecoveryPoint, bytes);
      if (signed === undefined) return { recorded, why: 'it is no root manifest' };
      const sha256 = sha256Hex(bytes);
      if (manifestKey === undefined && sha256 !== recorded.rootManifestSha256) {
        return { recorded, why: 'without the key of root manifests nobody can tell who signed it' };
      }
      if (manifestKey !== undefined && !hasValidSignature(signed, manifestKey)) {
        return { recorded, why: 'the key of root manifests did not sign it' };
      }
      const why = whyPointDiffers({ recoveryPoint: signed.document, sha256 }, recorded, state, now)?.reason;
      return { recorded, why };
    },
    READS_AT_ONCE,
  );
  for await (const { recorded, why } of points) {
    if (why === undefined) continue;
    yield {
      sequence: recorded.sequence,
      detail: `the root manifest of recovery point ${recorded.recoveryPointId} is not as entry ${recorded.sequence} says: ${why}`,
    };
  }
  const tests = inOrder(
    Object.values(state.restoreTests),
    async recorded => ({ recorded, why: (await whyTestDiffers(evidenceBucket, recorded, state))?.reason }),
    READS_AT_ONCE,
  );
  for await (const { recorded, why } of tests) {
    if (why === undefined) continue;
    yield {
      sequence: recorded.sequence,
      detail: `restore test ${recorded.restoreTestId} is not as entry ${recorded.sequence} says: ${why}`,
    };
  }
}

/** Undefined for what cannot be the content of an entry, a head or a segment: nothing, too much, or damaged. */
async function readOldest(bucket: string, { key, oldest }: NumberedKey): Promise<Buffer | undefined> {
  if (oldest === undefined || oldest.sizeBytes > MAXIMUM_ENTRY_BYTES) return undefined;
  const { versionId } = oldest;
  try {
    return await readBytes(bucket, key, { versionId });
  } catch (error) {
    if (error instanceof ObjectAccessDeniedError) throw error;
    // Where S3 still describes the object, it is this content that cannot be read, not S3 that cannot be reached.
    if ((await describeObject(bucket, key, { versionId })) === undefined) throw error;
    return undefined;
  }
}

async function readSigned<T extends { version: 1 | 2 }>(
  bucket: string,
  stored: NumberedKey,
  keyOf: (document: T) => KeyObject | undefined,
  schema: z.ZodType<{ document: T; signature: { value: string } }>,
  numberOf: (document: T) => number,
): Promise<CheckedDocument<T>> {
  const bytes = await readOldest(bucket, stored);
  const signed = bytes === undefined ? undefined : parseDocument(schema, bytes);
  const publicKey = signed && keyOf(signed.document);
  const valid =
    signed !== undefined &&
    publicKey !== undefined &&
    numberOf(signed.document) === stored.number &&
    hasValidSignature(signed, publicKey);
  return { stored, document: valid ? signed.document : undefined };
}

/** Goes forward through documents in the order of their numbers. */
function walk<T>(documents: AsyncGenerator<CheckedDocument<T>>) {
  let next: Promise<IteratorResult<CheckedDocument<T>, unknown>> | undefined;
  const peek = () => {
    next ??= documents.next();
    return next;
  };
  return {
    /** The document of this number; those before it are passed over, because their entry is already known to be missing. */
    async find(number: number): Promise<CheckedDocument<T> | undefined> {
      for (;;) {
        const { done, value } = await peek();
        if (done || value.stored.number > number) return undefined;
        next = undefined;
        if (value.stored.number === number) return value;
      }
    },
    async hasMore(): Promise<boolean> {
      return !(await peek()).done;
    },
    /** The number of the last document of those that are left. */
    async last(): Promise<number | undefined> {
      let last: number | undefined;
      for (;;) {
        const { done, value } = await peek();
        if (done) return last;
        next = undefined;
        last = value.stored.number;
      }
    },
  };
}
