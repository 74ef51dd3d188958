import type { Deployment } from '../contracts/configuration.ts';
import { type LedgerHead, SEGMENT_LENGTH, SignedLedgerHead } from '../contracts/ledger.ts';
import { HEAD_PREFIX, headKey, ledgerEntryKey } from '../contracts/vault-layout.ts';
import { canonicalJson } from '../platform/canonical-json.ts';
import { signDocument, verifyDocument } from '../platform/kms.ts';
import { readLedgerEntries } from '../platform/ledger.ts';
import { LedgerBrokenError } from '../platform/ledger-entry.ts';
import { listObjects, readBytes, writeBytesOnce } from '../platform/s3.ts';
import { extendTree, leafHash } from './merkle.ts';
import { parseDocument } from './parse-document.ts';

/**
 * Makes sure that a signed head stands at entry `sequence` or after it. What it signs, it has read: the entries since the
 * newest head whose own signature verifies, or else those since the segment began; never a cached state.
 * @throws LedgerBrokenError when the entries do not follow each other or that head, or when another entry was signed here.
 */
export async function signHead(
  { sequence, entrySha256: expectedSha256 }: { sequence: number; entrySha256: string },
  now: Date,
  deployment: Deployment,
): Promise<void> {
  const { evidenceBucket, vaultKeyArn, signingKeyArn } = deployment;
  const segmentStart = sequence - ((sequence - 1) % SEGMENT_LENGTH);
  const heads = await listHeads(evidenceBucket, segmentStart);
  if (heads.includes(headKey(sequence))) {
    const signed = parseDocument(SignedLedgerHead, await readBytes(evidenceBucket, headKey(sequence)));
    if (signed?.document.entrySha256 === expectedSha256) return;
    throw new LedgerBrokenError(
      `${headKey(sequence)}: signed for another entry than the ledger holds there; see runbooks/ledger-broken.md`,
    );
  }
  if (heads.some(key => key > headKey(sequence))) return;

  const base = await readTrustedHead(heads.at(-1), deployment);
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
  const head: LedgerHead = {
    version: 1,
    sequence,
    entrySha256,
    segmentTree: subtrees.map(hash => hash.toString('hex')),
    signedAt: now.toISOString(),
  };
  const signed = await signDocument(head, signingKeyArn);
  await writeBytesOnce(evidenceBucket, headKey(sequence), Buffer.from(canonicalJson(signed)), {
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

async function readTrustedHead(
  key: string | undefined,
  { evidenceBucket, signingKeyArn }: Deployment,
): Promise<LedgerHead | undefined> {
  if (key === undefined) return undefined;
  const signed = parseDocument(SignedLedgerHead, await readBytes(evidenceBucket, key));
  if (signed === undefined || headKey(signed.document.sequence) !== key) return undefined;
  return (await verifyDocument(signed, signingKeyArn)) ? signed.document : undefined;
}
