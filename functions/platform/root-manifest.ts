import { type RecoveryPoint, SignedRecoveryPoint } from '../contracts/recovery-point.ts';
import { rootManifestKey } from '../contracts/vault-layout.ts';
import { sha256Hex } from './canonical-json.ts';
import { PermanentError } from './errors.ts';
import { verifyDocument } from './kms.ts';
import { isDeleteMarker, ObjectNotFoundError, readWhole } from './s3.ts';

/**
 * A root manifest that cannot be trusted: hidden by a delete marker, not readable as one, for another recovery point, or its
 * signature does not fit.
 */
export class RootManifestInvalidError extends PermanentError {
  /** Of what lies there; null where a delete marker hides it. */
  readonly contentSha256: string | null;

  constructor(message: string, { contentSha256, ...options }: ErrorOptions & { contentSha256: string | null }) {
    super(message, options);
    this.contentSha256 = contentSha256;
  }
}

/**
 * Reads a recovery point's root manifest and verifies that the deployment's signing key signed exactly it.
 * @param isSigned who reads many asks KMS for the key once, and verifies with `hasValidSignature`.
 * @returns with the SHA-256 and the ETag of the stored bytes; undefined where there is none.
 * @throws RootManifestInvalidError
 */
export async function readRootManifest(
  deployment: { vaultBucket: string; signingKeyArn: string },
  recoveryPointId: string,
  isSigned: (signed: SignedRecoveryPoint) => boolean | Promise<boolean> = signed =>
    verifyDocument(signed, deployment.signingKeyArn),
): Promise<{ recoveryPoint: RecoveryPoint; sha256: string; eTag: string } | undefined> {
  const key = rootManifestKey(recoveryPointId);
  let stored: { bytes: Buffer; eTag: string } | undefined;
  const invalid = (what: string, cause?: unknown) =>
    new RootManifestInvalidError(
      `${key}: ${what}; do not restore from it; compare its versions in the vault bucket and see who wrote them`,
      { cause, contentSha256: stored === undefined ? null : sha256Hex(stored.bytes) },
    );
  try {
    stored = await readWhole(deployment.vaultBucket, key);
  } catch (error) {
    if (!(error instanceof ObjectNotFoundError)) throw error;
    // Object Lock does not stop a delete marker, and what was hidden so is there.
    if (isDeleteMarker(error)) throw invalid('it is hidden by a delete marker', error);
    return undefined;
  }
  const { bytes, eTag } = stored;
  const parsed = SignedRecoveryPoint.safeParse(parseJson(bytes));
  if (!parsed.success) throw invalid('it is not a root manifest', parsed.error);
  if (!(await isSigned(parsed.data))) throw invalid('its signature does not verify');
  if (parsed.data.document.recoveryPointId !== recoveryPointId) {
    throw invalid(`it belongs to recovery point ${parsed.data.document.recoveryPointId}`);
  }
  return { recoveryPoint: parsed.data.document, sha256: sha256Hex(bytes), eTag };
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}
