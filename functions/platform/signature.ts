import { type KeyObject, verify } from 'node:crypto';
import { canonicalJson } from './canonical-json.ts';

/**
 * Whether the signature over the document's canonical JSON (ECDSA P-256 with SHA-256, DER, base64) is that of
 * `publicKey`. It asks nobody: whoever has the public key can check what was signed.
 */
export function hasValidSignature(
  { document, signature }: { document: unknown; signature: { value: string } },
  publicKey: KeyObject,
): boolean {
  return verify('sha256', Buffer.from(canonicalJson(document)), publicKey, Buffer.from(signature.value, 'base64'));
}
