import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { invalidRequest, notImplemented } from './errors.ts';

/** The checksum algorithms that this S3 computes, by the name in its API. */
export const CHECKSUM_ALGORITHMS = ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256', 'SHA512', 'MD5'] as const;
export type ChecksumAlgorithm = (typeof CHECKSUM_ALGORITHMS)[number];
export type ChecksumType = 'FULL_OBJECT' | 'COMPOSITE';

/** What is kept of an object's content: `value` is base64, for a composite one followed by `-<number of parts>`. */
export interface Checksum {
  readonly algorithm: ChecksumAlgorithm;
  readonly type: ChecksumType;
  readonly value: string;
}

/** A checksum that is being computed. */
export interface RunningChecksum {
  update(bytes: Uint8Array): void;
  digest(): Buffer;
}

const DIGEST_BYTES: Readonly<Record<ChecksumAlgorithm, number>> = {
  CRC32: 4,
  CRC32C: 4,
  CRC64NVME: 8,
  SHA1: 20,
  SHA256: 32,
  SHA512: 64,
  MD5: 16,
};

export function startChecksum(algorithm: ChecksumAlgorithm): RunningChecksum {
  switch (algorithm) {
    case 'CRC32':
      return runningCrc32((bytes, value) => crc32(bytes, value));
    case 'CRC32C':
      return runningCrc32(crc32c);
    case 'CRC64NVME':
      return runningCrc64Nvme();
    default:
      return createHash(algorithm.toLowerCase());
  }
}

/** The checksum of bytes at hand, in base64. */
export function checksumOf(algorithm: ChecksumAlgorithm, bytes: Uint8Array): string {
  const running = startChecksum(algorithm);
  running.update(bytes);
  return running.digest().toString('base64');
}

/** The header that carries a checksum: `x-amz-checksum-sha256`. */
export function checksumHeader(algorithm: ChecksumAlgorithm): string {
  return `x-amz-checksum-${algorithm.toLowerCase()}`;
}

/** The element that carries a checksum: `ChecksumSHA256`. */
export function checksumElement(algorithm: ChecksumAlgorithm): string {
  return `Checksum${algorithm}`;
}

/** @throws S3Error naming an algorithm that S3 knows and this S3 does not, or that nobody knows. */
export function readAlgorithm(name: string): ChecksumAlgorithm {
  const found = CHECKSUM_ALGORITHMS.find(algorithm => algorithm === name.toUpperCase());
  if (found !== undefined) return found;
  if (/^xxhash/i.test(name)) throw notImplemented(`checksum algorithm ${name}`);
  throw invalidRequest('Checksum algorithm provided is unsupported. Please try again with any of the valid types.');
}

/** @throws S3Error when `value` is no digest of that algorithm in base64. */
export function checkChecksumValue(algorithm: ChecksumAlgorithm, value: string): string {
  const bytes = Buffer.from(value, 'base64');
  if (bytes.length !== DIGEST_BYTES[algorithm] || bytes.toString('base64') !== value) {
    throw invalidRequest(`Value for ${checksumHeader(algorithm)} header is invalid.`);
  }
  return value;
}

/** The type that a multipart upload's checksum has when the request names none; throws where `requested` cannot be had. */
export function multipartChecksumType(algorithm: ChecksumAlgorithm, requested: string | undefined): ChecksumType {
  const isCrc = algorithm.startsWith('CRC');
  const type = requested ?? (algorithm === 'CRC64NVME' ? 'FULL_OBJECT' : 'COMPOSITE');
  if (
    (type !== 'FULL_OBJECT' && type !== 'COMPOSITE') ||
    (type === 'FULL_OBJECT' && !isCrc) ||
    (type === 'COMPOSITE' && algorithm === 'CRC64NVME')
  ) {
    throw invalidRequest(
      `The ${type} checksum type cannot be used with the ${algorithm.toLowerCase()} checksum algorithm.`,
    );
  }
  return type;
}

/** A multipart object's checksum from those of its parts. */
export function combineParts(
  algorithm: ChecksumAlgorithm,
  type: ChecksumType,
  parts: readonly { checksum: string; sizeBytes: number }[],
): Checksum {
  if (type === 'COMPOSITE') {
    const digests = Buffer.concat(parts.map(part => Buffer.from(part.checksum, 'base64')));
    return { algorithm, type, value: `${checksumOf(algorithm, digests)}-${parts.length}` };
  }
  const width = BigInt(DIGEST_BYTES[algorithm] * 8);
  const read = (value: string): bigint => BigInt(`0x${Buffer.from(value, 'base64').toString('hex')}`);
  const whole = parts.reduce(
    (crc, part) => shiftCrc(crc, part.sizeBytes, CRC_POLYNOMIALS[algorithm] ?? 0n, width) ^ read(part.checksum),
    0n,
  );
  const value = Buffer.from(whole.toString(16).padStart(DIGEST_BYTES[algorithm] * 2, '0'), 'hex').toString('base64');
  return { algorithm, type, value };
}

const CRC_POLYNOMIALS: Readonly<Partial<Record<ChecksumAlgorithm, bigint>>> = {
  CRC32: 0xedb88320n,
  CRC32C: 0x82f63b78n,
  CRC64NVME: 0x9a6c9329ac4bc9b5n,
};

/** A reflected CRC moved over `bytes` bytes: its product with x^(8·bytes) modulo the polynomial. */
function shiftCrc(crc: bigint, bytes: number, polynomial: bigint, width: bigint): bigint {
  let power = 1n << (width - 2n); // x^1; the highest bit is x^0
  let shifted = crc;
  for (let exponent = BigInt(bytes) * 8n; exponent > 0n; exponent >>= 1n) {
    if (exponent & 1n) shifted = multiply(shifted, power, polynomial, width);
    power = multiply(power, power, polynomial, width);
  }
  return shifted;
}

function multiply(a: bigint, b: bigint, polynomial: bigint, width: bigint): bigint {
  let product = 0n;
  let factor = b;
  for (let bit = 1n << (width - 1n); bit > 0n; bit >>= 1n) {
    if (a & bit) product ^= factor;
    factor = factor & 1n ? (factor >> 1n) ^ polynomial : factor >> 1n;
  }
  return product;
}

function runningCrc32(step: (bytes: Uint8Array, value: number) => number): RunningChecksum {
  let value = 0;
  return {
    update: bytes => {
      value = step(bytes, value);
    },
    digest: () => {
      const digest = Buffer.alloc(4);
      digest.writeUInt32BE(value >>> 0);
      return digest;
    },
  };
}

const CRC32C_TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  return value;
});

function crc32c(bytes: Uint8Array, before: number): number {
  let value = ~before;
  for (let index = 0; index < bytes.length; index++) {
    value = (CRC32C_TABLE[(value ^ (bytes[index] as number)) & 0xff] as number) ^ (value >>> 8);
  }
  return ~value >>> 0;
}

// 64 bits as two halves: BigInt arithmetic for each byte would be a hundred times slower.
const CRC64_LOW = new Uint32Array(256);
const CRC64_HIGH = new Uint32Array(256);
for (let index = 0; index < 256; index++) {
  let value = BigInt(index);
  for (let bit = 0; bit < 8; bit++) value = value & 1n ? (value >> 1n) ^ 0x9a6c9329ac4bc9b5n : value >> 1n;
  CRC64_LOW[index] = Number(value & 0xffffffffn);
  CRC64_HIGH[index] = Number(value >> 32n);
}

function runningCrc64Nvme(): RunningChecksum {
  let low = -1;
  let high = -1;
  return {
    update: bytes => {
      for (let index = 0; index < bytes.length; index++) {
        const entry = (low ^ (bytes[index] as number)) & 0xff;
        low = ((low >>> 8) | (high << 24)) ^ (CRC64_LOW[entry] as number);
        high = (high >>> 8) ^ (CRC64_HIGH[entry] as number);
      }
    },
    digest: () => {
      const digest = Buffer.alloc(8);
      digest.writeUInt32BE(~high >>> 0, 0);
      digest.writeUInt32BE(~low >>> 0, 4);
      return digest;
    },
  };
}
