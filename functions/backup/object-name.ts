import { createHmac, randomBytes } from 'node:crypto';
import { namingSecretKey } from '../contracts/vault-layout.ts';
import { PermanentError } from '../platform/errors.ts';
import { readBytes, readBytesIfThere, writeBytesOnce } from '../platform/s3.ts';

/** What stands at a tenant's naming secret is not one. */
export class NamingSecretInvalidError extends PermanentError {}

const SECRET_BYTES = 32;

/**
 * A vault object's name: says nothing about the source to whoever lacks the secret, is the same whenever the same content
 * of the same object is copied, and differs for each content. Each part is preceded by its length, so that no two lists
 * of parts give the same bytes.
 */
export function objectName(secret: Uint8Array, parts: readonly string[]): string {
  const hmac = createHmac('sha256', secret);
  for (const part of parts) {
    const bytes = Buffer.from(part);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.byteLength);
    hmac.update(length).update(bytes);
  }
  return hmac.digest('hex');
}

/**
 * The secret that names a tenant's vault objects, made at first use; the first one written stands.
 * @throws NamingSecretInvalidError, ObjectKeyUnusableError
 */
export async function readNamingSecret(vaultBucket: string, tenant: string | null, keyArn: string): Promise<Buffer> {
  const key = namingSecretKey(tenant);
  let secret = await readBytesIfThere(vaultBucket, key);
  if (secret === undefined) {
    await writeBytesOnce(vaultBucket, key, randomBytes(SECRET_BYTES), { keyArn });
    secret = await readBytes(vaultBucket, key);
  }
  if (secret.byteLength !== SECRET_BYTES) {
    throw new NamingSecretInvalidError(
      `${key} holds ${secret.byteLength} bytes instead of ${SECRET_BYTES}; see who wrote it, and restore its first version`,
    );
  }
  return secret;
}
