import { ObjectManifestLine } from '../contracts/object-manifest.ts';
import { describeError, PermanentError, RetryableError } from './errors.ts';
import { compareKeys } from './key-order.ts';
import { type SpooledLines, spoolCompressed } from './line-spool.ts';
import { ObjectNotFoundError, PreconditionFailedError, readObject } from './s3.ts';
import { writeFileIfAbsent } from './s3-upload.ts';

/** A manifest, or another file of lines that is named by its digest, does not hold what its name says. */
export class ManifestAlteredError extends PermanentError {}

/**
 * Fetches a file of compressed lines (one GET) and verifies it as a whole before a single line of it is used. The caller
 * closes it.
 * @param sha256 of the uncompressed lines.
 * @throws ManifestAlteredError, ObjectNotFoundError
 */
export async function openLines(bucket: string, key: string, sha256: string): Promise<SpooledLines> {
  const { body } = await readObject(bucket, key);
  let lines: SpooledLines;
  try {
    lines = await spoolCompressed(body);
  } catch (cause) {
    if (!isDecompressionError(cause)) {
      throw new RetryableError(`${key}: it broke off while it was read (${describeError(cause)})`, { cause });
    }
    throw altered(key, 'it cannot be decompressed', cause);
  }
  if (lines.sha256 === sha256) return lines;
  await lines.close();
  throw altered(key, `its lines have SHA-256 ${lines.sha256}`);
}

/**
 * The lines of a manifest, each with its own text, in the order of their keys.
 * @param key the manifest's own key, for messages.
 * @throws ManifestAlteredError when a line is not one of a manifest, or out of order.
 */
export async function* readManifest(
  lines: Pick<SpooledLines, 'read'>,
  key: string,
): AsyncGenerator<{ line: ObjectManifestLine; text: string }> {
  let previous: string | undefined;
  let number = 0;
  for await (const text of lines.read()) {
    number++;
    const line = parseLine(text);
    if (line === undefined) throw altered(key, `line ${number} is not valid`);
    if (previous !== undefined && compareKeys(previous, line.key) >= 0) {
      throw altered(key, `line ${number} is out of order`);
    }
    previous = line.key;
    yield { line, text };
  }
}

/**
 * Stores lines under the name that their digest gives them, once; where they are already, reads them back instead.
 * @param keyArn the tenant's key, or the vault's.
 * @throws ManifestAlteredError when something else stands there; RetryableError when another write is under way.
 */
export async function storeLines(bucket: string, key: string, lines: SpooledLines, keyArn: string): Promise<void> {
  try {
    await writeFileIfAbsent(
      bucket,
      key,
      { file: lines.file, sizeBytes: lines.fileBytes },
      { keyArn, contentType: 'application/zstd' },
    );
  } catch (error) {
    if (!(error instanceof PreconditionFailedError)) throw error;
    await readBack(bucket, key, lines.sha256);
  }
}

async function readBack(bucket: string, key: string, sha256: string): Promise<void> {
  try {
    await (await openLines(bucket, key, sha256)).close();
  } catch (error) {
    // A conflict (409) with another request under way does not say that the other one wrote.
    if (!(error instanceof ObjectNotFoundError)) throw error;
    throw new RetryableError(`${key}: another write is under way`, { cause: error });
  }
}

function parseLine(text: string): ObjectManifestLine | undefined {
  try {
    return ObjectManifestLine.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

function isDecompressionError(error: unknown): boolean {
  return error instanceof Error && 'code' in error && /^(?:ZSTD|Z)_/.test(String(error.code));
}

function altered(key: string, what: string, cause?: unknown): ManifestAlteredError {
  return new ManifestAlteredError(
    `${key}: ${what}; do not restore from it; compare its versions in the vault bucket and see who wrote them`,
    { cause },
  );
}
