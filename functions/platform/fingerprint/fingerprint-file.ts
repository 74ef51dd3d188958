import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import type { z } from 'zod';
import { DatabaseFingerprint, type DigestsPlace } from '../../contracts/fingerprint.ts';
import { DatabaseFingerprintV1 } from '../../contracts/fingerprint-v1.ts';
import { fingerprintCatalogsKey, fingerprintPartKey } from '../../contracts/vault-layout.ts';
import { sha256Hex } from '../canonical-json.ts';
import { PermanentError } from '../errors.ts';
import { readBytesIfThere, writeBytesOnce } from '../s3.ts';
import { type BucketDigests, decodeDigests, encodeDigests } from './bucket-digests.ts';
import { convertV1 } from './convert-v1.ts';

/** A stored fingerprint, or the progress towards one, is not readable as such. */
export class FingerprintUnreadableError extends PermanentError {}

/** A part of a fingerprint is not in the vault, or not the one that its index names. */
export class FingerprintPartAlteredError extends PermanentError {
  readonly key: string;

  constructor(key: string, what: string) {
    super(`${key}: ${what}; restore that version of it, or use another recovery point`);
    this.key = key;
  }
}

/** A value as the vault and the work bucket hold it: JSON, compressed. */
export function encode(value: unknown): Buffer {
  return zstdCompressSync(JSON.stringify(value));
}

/** The value in `bytes`. @throws FingerprintUnreadableError, also when it does not have the shape of `schema`. */
export function decode<T extends z.ZodType>(bytes: Buffer, schema: T, what: string): z.output<T> {
  try {
    return schema.parse(JSON.parse(zstdDecompressSync(bytes).toString('utf8')));
  } catch (cause) {
    throw new FingerprintUnreadableError(`${what} is not readable as what it should be`, { cause });
  }
}

/** Reads such a file; undefined where there is none. @throws FingerprintUnreadableError */
export async function readFile<T extends z.ZodType>(
  bucket: string,
  key: string,
  schema: T,
): Promise<z.output<T> | undefined> {
  const bytes = await readBytesIfThere(bucket, key);
  return bytes === undefined ? undefined : decode(bytes, schema, `s3://${bucket}/${key}`);
}

/** The rows of a table of the source by bucket. */
export interface TableDigests {
  readonly settled: BucketDigests;
  readonly recent: BucketDigests;
}

/** Reads the digests of one table of a fingerprint. @throws FingerprintPartAlteredError, DigestsMalformedError */
export type ReadDigests = (table: {
  readonly bucketCount: number;
  readonly digests: DigestsPlace;
}) => Promise<TableDigests>;

/** Digests above this go into the next part. Those of the largest table, of 262,144 buckets, are a part by themselves. */
const PART_BYTES = 8 * 1024 ** 2;
/** More than the largest table's digests. */
const PART_BYTES_AT_MOST = 16 * 1024 ** 2;

/** A fingerprint in the vault: its name. */
export interface FingerprintName {
  readonly recoveryPointId: string;
  readonly databaseId: string;
  readonly moment: 'before' | 'after';
}

/**
 * Collects tables' digests into parts of a bounded size and writes them to the vault, each under its own SHA-256: in
 * memory there is never more than one part, however many tables there are. What `add` was given is stored once `flush`
 * has returned.
 */
export class PartWriter<T> {
  readonly #store: (sha256: string, content: Buffer) => Promise<void>;
  readonly #stored: (entry: T, place: DigestsPlace) => void;
  #pending: { entry: T; bytes: Buffer }[] = [];
  #pendingBytes = 0;

  /** @param stored is told where each entry's digests are, once they are there. */
  constructor(
    store: (sha256: string, content: Buffer) => Promise<void>,
    stored: (entry: T, place: DigestsPlace) => void,
  ) {
    this.#store = store;
    this.#stored = stored;
  }

  async add(entry: T, { settled, recent }: TableDigests): Promise<void> {
    const bytes = encodeDigests([settled, recent]);
    if (this.#pendingBytes + bytes.length > PART_BYTES) await this.flush();
    this.#pending.push({ entry, bytes });
    this.#pendingBytes += bytes.length;
  }

  async flush(): Promise<void> {
    const pending = this.#pending;
    if (pending.length === 0) return;
    const content = zstdCompressSync(Buffer.concat(pending.map(({ bytes }) => bytes)));
    const partSha256 = sha256Hex(content);
    await this.#store(partSha256, content);
    this.#pending = [];
    this.#pendingBytes = 0;
    let offset = 0;
    for (const { entry, bytes } of pending) {
      this.#stored(entry, { partSha256, offset, byteCount: bytes.length });
      offset += bytes.length;
    }
  }
}

/** Stores parts of the fingerprint `name` in the vault, where a part of the same content stands. */
export function storeInVault(vaultBucket: string, { recoveryPointId, databaseId, moment }: FingerprintName) {
  return async (sha256: string, content: Buffer): Promise<void> => {
    await writeBytesOnce(vaultBucket, fingerprintPartKey(recoveryPointId, databaseId, moment, sha256), content);
  };
}

/**
 * Reads digests out of parts, of which it keeps one: tables lie in them in the order in which they were measured.
 * @param read a part as it is stored; undefined where there is none.
 * @param keyOf names a part in errors.
 */
export function digestReader(
  read: (sha256: string) => Promise<Buffer | undefined>,
  keyOf: (sha256: string) => string = sha256 => sha256,
): ReadDigests {
  let kept: { sha256: string; content: Buffer } | undefined;
  return async ({ bucketCount, digests: { partSha256, offset, byteCount } }) => {
    if (kept?.sha256 !== partSha256) {
      kept = undefined;
      const stored = await read(partSha256);
      requirePart(stored, partSha256, keyOf(partSha256));
      kept = { sha256: partSha256, content: zstdDecompressSync(stored, { maxOutputLength: PART_BYTES_AT_MOST }) };
    }
    const piece = kept.content.subarray(offset, offset + byteCount);
    const [settled, recent] = decodeDigests(piece, bucketCount, 2) as [BucketDigests, BucketDigests];
    return { settled, recent };
  };
}

function requirePart(stored: Buffer | undefined, sha256: string, key: string): asserts stored is Buffer {
  if (stored === undefined) throw new FingerprintPartAlteredError(key, 'it is missing');
  if (sha256Hex(stored) !== sha256) {
    throw new FingerprintPartAlteredError(key, 'its SHA-256 is not the one that the index names');
  }
}

/** What a stored fingerprint says of its database, and its tables' digests, which are read one table at a time. */
export interface StoredFingerprint {
  readonly index: DatabaseFingerprint;
  readonly readDigests: ReadDigests;
  /** Reads back the parts and the catalogs. @throws FingerprintPartAlteredError when one is not there, or another one. */
  readonly checkParts: () => Promise<void>;
}

/**
 * A fingerprint, from the bytes of its index. One of version 1 holds its digests itself.
 * @throws FingerprintUnreadableError
 */
export function openFingerprint(index: Buffer, vaultBucket: string, name: FingerprintName): StoredFingerprint {
  const { recoveryPointId, databaseId, moment } = name;
  const keyOf = (sha256: string) => fingerprintPartKey(recoveryPointId, databaseId, moment, sha256);
  const stored = decode(index, DatabaseFingerprint.or(DatabaseFingerprintV1), `fingerprint ${moment} of ${databaseId}`);
  if (stored.version === 1) return convertV1(stored);
  const read = (sha256: string) => readBytesIfThere(vaultBucket, keyOf(sha256));
  return {
    index: stored,
    readDigests: digestReader(read, keyOf),
    checkParts: async () => {
      for (const sha256 of new Set(stored.tables.map(({ digests }) => digests.partSha256))) {
        requirePart(await read(sha256), sha256, keyOf(sha256));
      }
      if (stored.catalogsSha256 !== null) {
        const key = fingerprintCatalogsKey(recoveryPointId, databaseId, moment, stored.catalogsSha256);
        requirePart(await readBytesIfThere(vaultBucket, key), stored.catalogsSha256, key);
      }
    },
  };
}
