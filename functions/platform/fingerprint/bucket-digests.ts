import { PermanentError } from '../errors.ts';

/** Digests do not have the form in which they are written. */
export class DigestsMalformedError extends PermanentError {}

/** Each bucket with rows: its number (4 bytes), its rows (8, a double), and its two sums (8 each), little-endian. */
const ENTRY_BYTES = 28;
const COUNT_BYTES = 4;

/**
 * Rows by bucket: how many, and the sums, modulo 2^64, of their two seeded 64-bit hashes. Rows can be added in any order
 * and in pieces: the result is that of all of them.
 */
export class BucketDigests {
  readonly bucketCount: number;
  // Made with the first row: most tables have no recent rows.
  #rows: Float64Array | undefined;
  #sums: readonly [BigUint64Array, BigUint64Array] | undefined;

  constructor(bucketCount: number) {
    this.bucketCount = bucketCount;
  }

  /** @param sums of any size and sign. */
  add(bucket: number, rows: number, ...sums: readonly [bigint, bigint]): void {
    if (!(bucket >= 0 && bucket < this.bucketCount)) throw new RangeError(`no bucket ${bucket} of ${this.bucketCount}`);
    this.#rows ??= new Float64Array(this.bucketCount);
    this.#sums ??= [new BigUint64Array(this.bucketCount), new BigUint64Array(this.bucketCount)];
    this.#rows[bucket] = this.rowsIn(bucket) + rows;
    // Stores the value modulo 2^64.
    this.#sums[0][bucket] = this.sumIn(0, bucket) + sums[0];
    this.#sums[1][bucket] = this.sumIn(1, bucket) + sums[1];
  }

  rowsIn(bucket: number): number {
    return this.#rows?.[bucket] ?? 0;
  }

  sumIn(which: 0 | 1, bucket: number): bigint {
    return this.#sums?.[which][bucket] ?? 0n;
  }

  /** Rows of all buckets. */
  get rowCount(): number {
    return this.#rows?.reduce((sum, rows) => sum + rows, 0) ?? 0;
  }

  encode(): Buffer {
    const filled = this.#rows?.reduce((count, rows) => count + Number(rows > 0), 0) ?? 0;
    const bytes = Buffer.alloc(COUNT_BYTES + filled * ENTRY_BYTES);
    let at = bytes.writeUInt32LE(filled);
    this.#rows?.forEach((rows, bucket) => {
      if (rows === 0) return;
      at = bytes.writeUInt32LE(bucket, at);
      at = bytes.writeDoubleLE(rows, at);
      at = bytes.writeBigUInt64LE(this.sumIn(0, bucket), at);
      at = bytes.writeBigUInt64LE(this.sumIn(1, bucket), at);
    });
    return bytes;
  }
}

/** Whether bucket `bucket` holds the same rows on both sides, of the parts of each taken together. */
export function isSameBucket(bucket: number, a: readonly BucketDigests[], b: readonly BucketDigests[]): boolean {
  const rows = (parts: readonly BucketDigests[]) => parts.reduce((sum, part) => sum + part.rowsIn(bucket), 0);
  const sum = (which: 0 | 1, parts: readonly BucketDigests[]) =>
    BigInt.asUintN(
      64,
      parts.reduce((total, part) => total + part.sumIn(which, bucket), 0n),
    );
  return rows(a) === rows(b) && sum(0, a) === sum(0, b) && sum(1, a) === sum(1, b);
}

/** Several digests over the same buckets, one after the other. */
export function encodeDigests(parts: readonly BucketDigests[]): Buffer {
  return Buffer.concat(parts.map(part => part.encode()));
}

/** Reads what `encodeDigests` wrote of `partCount` digests. @throws DigestsMalformedError */
export function decodeDigests(bytes: Buffer, bucketCount: number, partCount: number): BucketDigests[] {
  const malformed = () =>
    new DigestsMalformedError('the digests of a table do not have the form in which they are written');
  let at = 0;
  const parts = Array.from({ length: partCount }, () => {
    const part = new BucketDigests(bucketCount);
    if (bytes.length < at + COUNT_BYTES) throw malformed();
    const end = at + COUNT_BYTES + bytes.readUInt32LE(at) * ENTRY_BYTES;
    if (bytes.length < end) throw malformed();
    let last = -1;
    for (at += COUNT_BYTES; at < end; at += ENTRY_BYTES) {
      const bucket = bytes.readUInt32LE(at);
      const rows = bytes.readDoubleLE(at + 4);
      if (bucket <= last || bucket >= bucketCount || !Number.isSafeInteger(rows) || rows <= 0) throw malformed();
      part.add(bucket, rows, bytes.readBigUInt64LE(at + 12), bytes.readBigUInt64LE(at + 20));
      last = bucket;
    }
    return part;
  });
  if (at !== bytes.length) throw malformed();
  return parts;
}
