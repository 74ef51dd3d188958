import { listVersions } from '../platform/s3.ts';

/** One key of a numbered series, with everything that was ever stored under it. */
export interface NumberedKey {
  readonly number: number;
  readonly key: string;
  readonly deleteMarkerCount: number;
  readonly versionCount: number;
  /** The oldest version that still exists: the one that was appended, whatever was put over it. Undefined: only markers. */
  readonly oldest: { readonly versionId: string; readonly sizeBytes: number } | undefined;
}

/**
 * Every key of a series in its order, with all its versions and delete markers.
 * @param keyOf builds the key of a number. A key below `prefix` that it does not build goes to `onForeign`.
 */
export async function* listNumbered(
  bucket: string,
  prefix: string,
  keyOf: (number: number) => string,
  onForeign: (key: string) => void,
): AsyncGenerator<NumberedKey> {
  let current: NumberedKey | undefined;
  let foreign: string | undefined;
  for await (const { key, versionId, isDeleteMarker, sizeBytes } of listVersions(bucket, prefix)) {
    if (key === foreign) continue;
    if (current !== undefined && current.key !== key) {
      yield current;
      current = undefined;
    }
    const number = numberOf(key, keyOf);
    if (number === undefined) {
      foreign = key;
      onForeign(key);
      continue;
    }
    current ??= { number, key, deleteMarkerCount: 0, versionCount: 0, oldest: undefined };
    // S3 lists the versions of a key from the newest to the oldest.
    current = isDeleteMarker
      ? { ...current, deleteMarkerCount: current.deleteMarkerCount + 1 }
      : { ...current, versionCount: current.versionCount + 1, oldest: { versionId, sizeBytes } };
  }
  if (current !== undefined) yield current;
}

function numberOf(key: string, keyOf: (number: number) => string): number | undefined {
  const number = Number(/(\d+)\.json$/.exec(key)?.[1]);
  return Number.isSafeInteger(number) && number >= 1 && keyOf(number) === key ? number : undefined;
}
