import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import type { z } from 'zod';
import { PermanentError } from '../errors.ts';
import { readBytesIfThere } from '../s3.ts';

/** A stored fingerprint, or the progress towards one, is not readable as such. */
export class FingerprintUnreadableError extends PermanentError {}

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
