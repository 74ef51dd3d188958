import type { Deployment } from '../contracts/configuration.ts';
import { LEDGER_STATE_FORM, type LedgerHead, SEGMENT_LENGTH, SignedLedgerHead } from '../contracts/ledger.ts';
import { HEAD_PREFIX, headKey, ledgerEntryKey } from '../contracts/vault-layout.ts';
import { canonicalJson } from '../platform/canonical-json.ts';
import { signDocument } from '../platform/kms.ts';
import { hashState, readLedgerEntries, readLedgerEntry, readSignedHead, standsFor } from '../platform/ledger.ts';
import { LedgerBrokenError } from '../platform/ledger-entry.ts';
import type { LedgerProjection } from '../platform/ledger-projection.ts';
import { parseDocument } from '../platform/parse-document.ts';
import { listObjects, readBytes, writeBytesOnce } from '../platform/s3.ts';
import { extendTree, leafHash } from './merkle.ts';

/**
 * Makes sure that a signed head stands at the state's last entry or after it. What it signs, it has read: the entries since
 * the newest head whose own signature verifies, or else those since the segment began.
 * @returns whether the head of the last entry stands for exactly this state.
 * @throws LedgerBrokenError when the entries do not follow each other or that head, or when another entry was signed here.
 */
export async function signHead(state: LedgerProjection, now: Date, deployment: Deployment): Promise<boolean> {
  const { evidenceBucket, vaultKeyArn, ledgerKeyArn } = deployment;
  const { lastSequence: sequence, lastEntrySha256 } = state;
  const segmentStart = sequence - ((sequence - 1) % SEGMENT_LENGTH);
  const heads = await listHeads(evidenceBucket, segmentStart);
  if (heads.includes(headKey(sequence))) {
    const found = parseDocument(SignedLedgerHead, await readBytes(evidenceBucket, headKey(sequence)))?.document;
    if (found?.entrySha256 !== lastEntrySha256) {
      throw new LedgerBrokenError(
        `${headKey(sequence)}: signed for another entry than the ledger holds there; see runbooks/ledger-broken.md`,
      );
    }
    return standsFor(await readSignedHead(deployment, sequence), state);
  }
  if (heads.some(key => key > headKey(sequence))) {
    // Either another append has gone on from here, or this one has filled the place of an entry that is gone.
    const next = await readLedgerEntry(evidenceBucket, sequence + 1);
    if (next?.entry.previousSha256 !== lastEntrySha256) {
      throw new LedgerBrokenError(
        `${ledgerEntryKey(sequence + 1)}: does not follow entry ${sequence}, though a head stands at a later one; see runbooks/ledger-broken.md`,
      );
    }
    return false;
  }

  const newest = heads.at(-1);
  const base = newest === undefined ? undefined : await readSignedHead(deployment, sequenceOf(newest));
  let subtrees: readonly Buffer[] = (base?.segmentTree ?? []).map(hash => Buffer.from(hash, 'hex'));
  let entrySha256 = base?.entrySha256 ?? '';
  const first = base === undefined ? segmentStart : base.sequence + 1;
  for await (const { entry, sha256, bytes } of readLedgerEntries(evidenceBucket, first, sequence)) {
    if (base !== undefined && entry.sequence === first && entry.previousSha256 !== entrySha256) {
      throw new LedgerBrokenError(
        `${ledgerEntryKey(entry.sequence)}: names another hash than the signed head before it; see runbooks/ledger-broken.md`,
      );
    }
    subtrees = extendTree(subtrees, leafHash(bytes), entry.sequence - segmentStart);
    entrySha256 = sha256;
  }
  // The state's entries were read before, and their signatures verified.
  if (entrySha256 !== lastEntrySha256) {
    throw new LedgerBrokenError(
      `${ledgerEntryKey(sequence)}: is not what it was a moment ago; see runbooks/ledger-broken.md`,
    );
  }
  const head: LedgerHead = {
    version: 2,
    sequence,
    entrySha256,
    segmentTree: subtrees.map(hash => hash.toString('hex')),
    stateForm: LEDGER_STATE_FORM,
    projectionSha256: hashState(state),
    signedAt: now.toISOString(),
  };
  const signed = await signDocument(head, ledgerKeyArn);
  return writeBytesOnce(evidenceBucket, headKey(sequence), Buffer.from(canonicalJson(signed)), {
    contentType: 'application/json',
    keyArn: vaultKeyArn,
  });
}

/** Keys of the heads from `segmentStart` on; one page holds at least all of that segment. */
async function listHeads(evidenceBucket: string, segmentStart: number): Promise<string[]> {
  for await (const { objects } of listObjects(evidenceBucket, HEAD_PREFIX, { startAfter: headKey(segmentStart - 1) })) {
    return objects.map(({ key }) => key);
  }
  return [];
}

function sequenceOf(key: string): number {
  return Number(key.slice(HEAD_PREFIX.length).replace('.json', ''));
}
