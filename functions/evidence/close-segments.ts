import type { Deployment } from '../contracts/configuration.ts';
import { type LedgerSegment, SEGMENT_LENGTH } from '../contracts/ledger.ts';
import { segmentKey } from '../contracts/vault-layout.ts';
import { canonicalJson } from '../platform/canonical-json.ts';
import { signDocument } from '../platform/kms.ts';
import { readLedgerEntries } from '../platform/ledger.ts';
import { describeObject, writeBytesOnce } from '../platform/s3.ts';
import { leafHash, treeHash } from './merkle.ts';

/**
 * Closes every full segment up to entry `lastSequence` that is still open, oldest first. Whoever appends next does what
 * one that was killed left undone; of two at the same time, one wins.
 */
export async function closeSegments(lastSequence: number, now: Date, deployment: Deployment): Promise<void> {
  const open: number[] = [];
  for (let segment = Math.floor(lastSequence / SEGMENT_LENGTH); segment >= 1; segment--) {
    if ((await describeObject(deployment.evidenceBucket, segmentKey(segment))) !== undefined) break;
    open.unshift(segment);
  }
  for (const segment of open) await closeSegment(segment, now, deployment);
}

async function closeSegment(segment: number, now: Date, deployment: Deployment): Promise<void> {
  const { evidenceBucket, vaultKeyArn, ledgerKeyArn } = deployment;
  const [firstSequence, lastSequence] = [(segment - 1) * SEGMENT_LENGTH + 1, segment * SEGMENT_LENGTH];
  const leaves: Buffer[] = [];
  let lastEntrySha256 = '';
  for await (const { sha256, bytes } of readLedgerEntries(evidenceBucket, firstSequence, lastSequence)) {
    leaves.push(leafHash(bytes));
    lastEntrySha256 = sha256;
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
