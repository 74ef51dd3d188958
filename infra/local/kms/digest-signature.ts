import { createECDH, type KeyObject } from 'node:crypto';

// node:crypto hashes whatever it signs with a P-256 key, so a digest that was made elsewhere is signed here: FIPS 186-5,
// section 6.4, with the multiplications of points left to node:crypto.

/** The order of the base point of P-256. */
const ORDER = BigInt('0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551');

/** Signs a SHA-256 digest with a P-256 key; the signature is DER. */
export function signDigest(privateKey: KeyObject, digest: Uint8Array): Buffer {
  const secret = secretOf(privateKey);
  const hash = toInteger(digest);
  for (;;) {
    const once = createECDH('prime256v1');
    once.generateKeys();
    const r = xOf(once.getPublicKey()) % ORDER;
    const s = (inverse(toInteger(once.getPrivateKey())) * (hash + r * secret)) % ORDER;
    if (r > 0n && s > 0n) return encodeDer(r, s);
  }
}

/**
 * Whether a DER signature over a SHA-256 digest is the key's. Who holds the private key `d` need not add points:
 * u₁G + u₂Q is (u₁ + u₂d)G.
 */
export function verifyDigest(privateKey: KeyObject, digest: Uint8Array, signature: Uint8Array): boolean {
  const decoded = decodeDer(signature);
  if (decoded === undefined) return false;
  const [r, s] = decoded;
  if (r <= 0n || r >= ORDER || s <= 0n || s >= ORDER) return false;
  const factor = inverse(s);
  const scalar = (factor * (toInteger(digest) + r * secretOf(privateKey))) % ORDER;
  if (scalar === 0n) return false;
  const point = createECDH('prime256v1');
  point.setPrivateKey(toBytes(scalar));
  return xOf(point.getPublicKey()) % ORDER === r;
}

function secretOf(privateKey: KeyObject): bigint {
  return toInteger(Buffer.from(privateKey.export({ format: 'jwk' }).d ?? '', 'base64url'));
}

/** The x coordinate of an uncompressed point. */
function xOf(point: Uint8Array): bigint {
  return toInteger(point.subarray(1, 33));
}

function toInteger(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString('hex') || '0'}`);
}

function toBytes(integer: bigint): Buffer {
  return Buffer.from(integer.toString(16).padStart(64, '0'), 'hex');
}

/** The inverse modulo the order, by Euclid's extended algorithm. */
function inverse(value: bigint): bigint {
  let [low, high] = [value % ORDER, ORDER];
  let [x, y] = [1n, 0n];
  while (low > 1n) {
    const quotient = high / low;
    [low, high] = [high % low, low];
    [x, y] = [y - quotient * x, x];
  }
  return ((x % ORDER) + ORDER) % ORDER;
}

function encodeDer(...integers: readonly bigint[]): Buffer {
  const parts = integers.map(integer => {
    const hex = integer.toString(16);
    const bytes = Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex');
    const positive = (bytes[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.of(0), bytes]) : bytes;
    return Buffer.concat([Buffer.of(0x02, positive.length), positive]);
  });
  const content = Buffer.concat(parts);
  return Buffer.concat([Buffer.of(0x30, content.length), content]);
}

// Only the one canonical encoding is taken: what decodes is encoded again and compared.
function decodeDer(signature: Uint8Array): [bigint, bigint] | undefined {
  const rLength = signature[3] ?? 0;
  const sLength = signature[5 + rLength] ?? 0;
  const r = toInteger(signature.subarray(4, 4 + rLength));
  const s = toInteger(signature.subarray(6 + rLength, 6 + rLength + sLength));
  return encodeDer(r, s).equals(signature) ? [r, s] : undefined;
}
