import type { Deployment } from '../contracts/configuration.ts';
import { SignedLedgerHead } from '../contracts/ledger.ts';
import { HEAD_PREFIX, headKey } from '../contracts/vault-layout.ts';
import { PermanentError } from '../platform/errors.ts';
import { verifyDocument } from '../platform/kms.ts';
import { isSignedByLedger, readLedgerEntry } from '../platform/ledger.ts';
import type { LedgerProjection } from '../platform/ledger-projection.ts';
import { parseDocument } from '../platform/parse-document.ts';
import { listObjects, readBytes } from '../platform/s3.ts';

/** The newest head of the ledger is not one that the ledger's key signed over an entry that is there. */
export class LedgerHeadInvalidError extends PermanentError {}

/** So many entries back a head is looked for; every append signs one. */
const LOOK_BACK = 900;

/**
 * Milliseconds since the newest head was signed, after verifying its signature and the entry that it stands for; undefined
 * while none of the last 900 entries has a head.
 * @throws LedgerHeadInvalidError
 */
export async function readHeadAge(
  { lastSequence, signedFrom }: Pick<LedgerProjection, 'lastSequence' | 'signedFrom'>,
  deployment: Deployment,
  now: Date,
): Promise<number | undefined> {
  const { evidenceBucket } = deployment;
  let key: string | undefined;
  const startAfter = headKey(Math.max(0, lastSequence - LOOK_BACK));
  for await (const { objects } of listObjects(evidenceBucket, HEAD_PREFIX, { startAfter })) {
    key = objects.at(-1)?.key ?? key;
  }
  if (key === undefined) return undefined;
  const invalid = (what: string) => new LedgerHeadInvalidError(`${key}: ${what}; see runbooks/ledger-broken.md`);
  const signed = parseDocument(SignedLedgerHead, await readBytes(evidenceBucket, key));
  if (signed === undefined || headKey(signed.document.sequence) !== key) throw invalid('it is no head of this place');
  const { version, sequence } = signed.document;
  if (version === 1 && signedFrom !== null && sequence >= signedFrom) {
    throw invalid('it is of an earlier form than its entry');
  }
  const isSigned = await (version === 1
    ? verifyDocument(signed, deployment.signingKeyArn)
    : isSignedByLedger(signed, deployment.ledgerKeyArn));
  if (!isSigned) throw invalid('its signature does not verify');
  const entry = await readLedgerEntry(evidenceBucket, sequence);
  if (entry?.sha256 !== signed.document.entrySha256) throw invalid('the ledger holds another entry there');
  if (sequence > lastSequence && (await readLedgerEntry(evidenceBucket, lastSequence + 1)) === undefined) {
    throw invalid(`ledger entry ${lastSequence + 1} is missing before it`);
  }
  return Math.max(0, now.getTime() - Date.parse(signed.document.signedAt));
}
