import type { Deployment } from '../contracts/configuration.ts';
import { type LedgerSegment, SEGMENT_LENGTH } from '../contracts/ledger.ts';
import { ledgerEntryKey, segmentKey } from '../contracts/vault-layout.ts';
import { canonicalJson } from '../platform/canonical-json.ts';
import { signDocument } from '../platform/kms.ts';
import { readLedgerEntries } from '../platform/ledger.ts';
import { LedgerBrokenError } from '../platform/ledger-entry.ts';
import type { LedgerProjection } from '../platform/ledger-projection.ts';
import { describeObject, writeBytesOnce } from '../platform/s3.ts';
import { leafHash, treeHash } from './merkle.ts';

type LedgerEnd = Pick<LedgerProjection, 'lastSequence' | 'lastEntrySha256'>;

/**
 * Closes every full segment of the state's entries that is still open, oldest first. Whoever appends next does what one that
 * was killed left undone; of two at the same time, one wins.
 * @throws LedgerBrokenError when the entries are not those that the state was folded from.
 */
export async function closeSegments(state: LedgerEnd, now: Date, deployment: Deployment): Promise<void> {
  const { evidenceBucket, vaultKeyArn, ledgerKeyArn } = deployment;
  let firstOpen = Math.floor(state.lastSequence / SEGMENT_LENGTH) + 1;
  while (firstOpen > 1 && (await describeObject(evidenceBucket, segmentKey(firstOpen - 1))) === undefined) firstOpen--;
  for (const { segment, lastEntrySha256, rootSha256 } of await readFull(firstOpen, state, evidenceBucket)) {
    const document: LedgerSegment = {
      version: 2,
      segment,
      firstSequence: (segment - 1) * SEGMENT_LENGTH + 1,
      lastSequence: segment * SEGMENT_LENGTH,
      lastEntrySha256,
      rootSha256,
      closedAt: now.toISOString(),
    };
    const signed = await signDocument(document, ledgerKeyArn);
    await writeBytesOnce(evidenceBucket, segmentKey(segment), Buffer.from(canonicalJson(signed)), {
      contentType: 'application/json',
      keyArn: vaultKeyArn,
    });
  }
}

/** The full segments from the first open one on. After an attack there are many, so all are read in one go. */
async function readFull(
  firstOpen: number,
  state: LedgerEnd,
  evidenceBucket: string,
): Promise<Pick<LedgerSegment, 'segment' | 'lastEntrySha256' | 'rootSha256'>[]> {
  const full: Pick<LedgerSegment, 'segment' | 'lastEntrySha256' | 'rootSha256'>[] = [];
  const firstSequence = (firstOpen - 1) * SEGMENT_LENGTH + 1;
  if (firstSequence + SEGMENT_LENGTH - 1 > state.lastSequence) return full;
  let leaves: Buffer[] = [];
  let endSha256 = '';
  // To the end of the state, which alone was checked: the chain binds what stands before.
  for await (const { entry, sha256, bytes } of readLedgerEntries(evidenceBucket, firstSequence, state.lastSequence)) {
    endSha256 = sha256;
    leaves.push(leafHash(bytes));
    if (leaves.length < SEGMENT_LENGTH) continue;
    const rootSha256 = treeHash(leaves).toString('hex');
    full.push({ segment: entry.sequence / SEGMENT_LENGTH, lastEntrySha256: sha256, rootSha256 });
    leaves = [];
  }
  if (endSha256 !== state.lastEntrySha256) {
    throw new LedgerBrokenError(
      `${ledgerEntryKey(state.lastSequence)}: is not what it was a moment ago; see runbooks/ledger-broken.md`,
    );
  }
  return full;
}
