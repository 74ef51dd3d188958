import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { z } from 'zod';
import type { BucketDigests } from './bucket-digests.ts';
import { decodeDigests, encodeDigests } from './bucket-digests.ts';
import { FingerprintUnreadableError } from './fingerprint-file.ts';
import { MAXIMUM_BUCKETS, type OpenMeasurement } from './measure-table.ts';

const transactionId = z.string().transform(text => BigInt(text));
const Head = z.strictObject({
  /** Whose measurement it is. */
  of: z.string(),
  plan: z.strictObject({
    seeds: z.tuple([z.string(), z.string()]),
    bucketColumns: z.array(z.string()),
    bucketCount: z.int().min(1).max(MAXIMUM_BUCKETS),
    horizon: transactionId,
    recentUntil: transactionId.optional(),
    later: z.strictObject({ from: transactionId, until: transactionId }).optional(),
  }),
  shapes: z.strictObject({ row: z.string(), definition: z.string() }),
  fileNode: z.string(),
  removals: z.strictObject({ removedRowCount: z.int().nullable(), deletedRowCount: z.int().nullable() }),
  firstMeasuredAt: z.string(),
  snapshotText: z.string(),
  rangeCount: z.int(),
  nextBlock: z.int(),
  rangeBlocks: z.int().nullable(),
  restartCount: z.int(),
});

/**
 * An unfinished measurement as it is kept between two calls of a step: the length of its head, the head as JSON, its
 * digests, compressed.
 * @param of names the relation or check.
 */
export function encodeOpen(of: string, { rows, ...open }: OpenMeasurement): Buffer {
  const head = Buffer.from(
    JSON.stringify({ of, ...open }, (_key, value: unknown) => (typeof value === 'bigint' ? value.toString() : value)),
  );
  const length = Buffer.alloc(4);
  length.writeUInt32LE(head.length);
  return zstdCompressSync(Buffer.concat([length, head, encodeDigests([rows.settled, rows.recent, rows.later])]));
}

/** Reads what `encodeOpen` wrote; undefined where it is the measurement of something else. @throws FingerprintUnreadableError */
export function decodeOpen(of: string, bytes: Buffer): OpenMeasurement | undefined {
  try {
    const content = zstdDecompressSync(bytes);
    const end = 4 + content.readUInt32LE(0);
    const { of: actual, plan, ...head } = Head.parse(JSON.parse(content.subarray(4, end).toString('utf8')));
    if (actual !== of) return undefined;
    const { recentUntil, later, ...always } = plan;
    const parts = decodeDigests(content.subarray(end), plan.bucketCount, 3);
    const [settled, recent, laterRows] = parts as [BucketDigests, BucketDigests, BucketDigests];
    return {
      ...head,
      plan: { ...always, ...(recentUntil === undefined ? {} : { recentUntil }), ...(later ? { later } : {}) },
      rows: { settled, recent, later: laterRows },
    };
  } catch (cause) {
    throw new FingerprintUnreadableError('an unfinished measurement is not readable as such', { cause });
  }
}
