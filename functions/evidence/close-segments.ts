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
  const open: number[] = [];
  for (let segment = Math.floor(state.lastSequence / SEGMENT_LENGTH); segment >= 1; segment--) {
    if ((await describeObject(deployment.evidenceBucket, segmentKey(segment))) !== undefined) break;
    open.unshift(segment);
  }
  for (const segment of open) await closeSegment(segment, state, now, deployment);
}

async function closeSegment(segment: number, state: LedgerEnd, now: Date, deployment: Deployment): Promise<void> {
  const { evidenceBucket, vaultKeyArn, ledgerKeyArn } = deployment;
  const [firstSequence, lastSequence] = [(segment - 1) * SEGMENT_LENGTH + 1, segment * SEGMENT_LENGTH];
  const leaves: Buffer[] = [];
  let lastEntrySha256 = '';
  let endSha256 = '';
  // To the end of the state, which alone was checked: the chain binds what stands before.
  for await (const { entry, sha256, bytes } of readLedgerEntries(evidenceBucket, firstSequence, state.lastSequence)) {
    endSha256 = sha256;
    if (entry.sequence > lastSequence) continue;
    leaves.push(leafHash(bytes));
    lastEntrySha256 = sha256;
  }
  if (endSha256 !== state.lastEntrySha256) {
    throw new LedgerBrokenError(
      `${ledgerEntryKey(state.lastSequence)}: is not what it was a moment ago; see runbooks/ledger-broken.md`,
    );
  }
  const document: LedgerSegment = {
    version: 2,
    segment,
    firstSequence,
    lastSequence,
    lastEntrySha256,
    rootSha256: treeHash(leaves).toString('hex'),
    closedAt: now.toISOString(),
  };
  const signed = await signDocument(document, ledgerKeyArn);
  await writeBytesOnce(evidenceBucket, segmentKey(segment), Buffer.from(canonicalJson(signed)), {
    contentType: 'application/json',
    keyArn: vaultKeyArn,
  });
}
