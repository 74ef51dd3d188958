import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  verify,
} from 'node:crypto';
import { KeyOperationError } from '../service.ts';
import { signDigest, verifyDigest } from './digest-signature.ts';
import type { Key, KeySpec } from './key.ts';

/** The encryption context: bound to a ciphertext, and needed again to read it. */
export type EncryptionContext = Readonly<Record<string, string>>;

// Ciphertext blob: format (1), key id (16), nonce (12), tag (16), encrypted bytes.
const FORMAT = 1;
const HEADER_BYTES = 17;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Fresh secret bytes for a key. */
export function generateMaterial(spec: KeySpec): Buffer {
  if (spec !== 'ECC_NIST_P256') return randomBytes(32);
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'der' });
}

/** Encrypts under the key with AES-256-GCM; the context and the header are authenticated with it. */
export function encryptWith(key: Key, plaintext: Uint8Array, context: EncryptionContext): Buffer {
  const header = Buffer.concat([Buffer.of(FORMAT), Buffer.from(key.id.replaceAll('-', ''), 'hex')]);
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', secretOf(key), nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(Buffer.concat([header, contextBytes(context)]));
  const encrypted = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return Buffer.concat([header, nonce, cipher.getAuthTag(), encrypted]);
}

/** The id of the key that a ciphertext says it needs. @throws KeyOperationError InvalidCiphertextException */
export function keyIdOf(ciphertext: Uint8Array): string {
  if (ciphertext.byteLength < HEADER_BYTES + NONCE_BYTES + TAG_BYTES || ciphertext[0] !== FORMAT) {
    throw invalidCiphertext();
  }
  const hex = Buffer.from(ciphertext.subarray(1, HEADER_BYTES)).toString('hex');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** @throws KeyOperationError InvalidCiphertextException for another context, or bytes that were altered. */
export function decryptWith(key: Key, ciphertext: Uint8Array, context: EncryptionContext): Buffer {
  const nonceEnd = HEADER_BYTES + NONCE_BYTES;
  const decipher = createDecipheriv('aes-256-gcm', secretOf(key), ciphertext.subarray(HEADER_BYTES, nonceEnd), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(Buffer.concat([ciphertext.subarray(0, HEADER_BYTES), contextBytes(context)]));
  decipher.setAuthTag(ciphertext.subarray(nonceEnd, nonceEnd + TAG_BYTES));
  try {
    return Buffer.concat([decipher.update(ciphertext.subarray(nonceEnd + TAG_BYTES)), decipher.final()]);
  } catch {
    throw invalidCiphertext();
  }
}

/** A DER signature, ECDSA P-256 with SHA-256. */
export function signWith(key: Key, message: Uint8Array, messageType: 'RAW' | 'DIGEST'): Buffer {
  const privateKey = privateKeyOf(key);
  return messageType === 'RAW' ? sign('sha256', message, privateKey) : signDigest(privateKey, message);
}

/** Whether a DER signature is this key's over the message. */
export function verifyWith(
  key: Key,
  message: Uint8Array,
  messageType: 'RAW' | 'DIGEST',
  signature: Uint8Array,
): boolean {
  const privateKey = privateKeyOf(key);
  return messageType === 'RAW'
    ? verify('sha256', message, createPublicKey(privateKey), signature)
    : verifyDigest(privateKey, message, signature);
}

/** HMAC with SHA-256, as RFC 2104 has it. */
export function macWith(key: Key, message: Uint8Array): Buffer {
  return createHmac('sha256', secretOf(key)).update(message).digest();
}

/** The public key as DER, SubjectPublicKeyInfo. */
export function publicKeyOf(key: Key): Buffer {
  return createPublicKey(privateKeyOf(key)).export({ type: 'spki', format: 'der' });
}

// Making these costs more than using them. They go when their key goes.
const keyObjects = new WeakMap<Key, KeyObject>();

function secretOf(key: Key): KeyObject {
  return keyObjectOf(key, () => createSecretKey(key.material));
}

function privateKeyOf(key: Key): KeyObject {
  return keyObjectOf(key, () => createPrivateKey({ key: key.material, format: 'der', type: 'pkcs8' }));
}

function keyObjectOf(key: Key, make: () => KeyObject): KeyObject {
  let object = keyObjects.get(key);
  if (object === undefined) {
    object = make();
    keyObjects.set(key, object);
  }
  return object;
}

function contextBytes(context: EncryptionContext): Buffer {
  const entries = Object.entries(context).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return Buffer.from(JSON.stringify(entries));
}

function invalidCiphertext(): KeyOperationError {
  return new KeyOperationError('InvalidCiphertextException', 'the ciphertext or the encryption context is not valid');
}
