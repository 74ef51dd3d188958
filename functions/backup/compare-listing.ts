import type { NotCoveredObject, ObjectManifestLine } from '../contracts/object-manifest.ts';
import { PermanentError } from '../platform/errors.ts';
import { compareKeys } from '../platform/key-order.ts';
import type { ListedObject } from '../platform/s3.ts';
import { keyOf, type Passed } from './walk-bucket.ts';

/** A listing came in another order than S3 promises, so that it cannot be compared with a manifest. */
export class ListingOutOfOrderError extends PermanentError {}

export type ComparedObject =
  /** It is listed as it was when the manifest's line of this text was written. */
  | { readonly kind: 'unchanged'; readonly key: string; readonly sizeBytes: number; readonly text: string }
  /** To be copied: new or changed, or its tags could not be read then. */
  | { readonly kind: 'new'; readonly key: string; readonly object: ListedObject }
  /** It is no longer listed, and its line of the first pass stays. */
  | {
      readonly kind: 'kept';
      readonly key: string;
      readonly sizeBytes: number;
      readonly text: string;
      readonly line: ObjectManifestLine;
    }
  /** It is no longer listed, and the first pass could not cover it. */
  | { readonly kind: 'not-covered'; readonly key: string; readonly object: NotCoveredObject }
  /** Nothing more comes up to and with this key. */
  | { readonly kind: 'passed'; readonly key: string };

type ManifestLines = AsyncIterable<{ line: ObjectManifestLine; text: string }>;

/**
 * Walks through a listing and the previous manifest side by side. Lines of objects that are gone are left out.
 * @throws ListingOutOfOrderError
 */
export async function* compareListing(
  listing: AsyncIterable<ListedObject | Passed>,
  previous: ManifestLines,
): AsyncGenerator<Extract<ComparedObject, { kind: 'unchanged' | 'new' | 'passed' }>> {
  for await (const compared of settleListing(listing, { lines: previous, notCovered: none(), after: undefined })) {
    if (compared.kind !== 'kept' && compared.kind !== 'not-covered') yield compared;
  }
}

/**
 * Walks through a listing that was made after the first pass over the same objects, and what that pass left. What it
 * covered or named, and is no longer listed, stays covered or named: restored rows may name a file that was moved or deleted
 * since. Everything listed that it did not cover as it is now is new.
 * @param first its manifest and its list of what is not covered, both in the order of their keys; what stands in them up
 * to and with the key `after` is dealt with.
 * @throws ListingOutOfOrderError
 */
export async function* settleListing(
  listing: AsyncIterable<ListedObject | Passed>,
  first: { lines: ManifestLines; notCovered: AsyncIterable<NotCoveredObject>; after: string | undefined },
): AsyncGenerator<ComparedObject> {
  const past = mergeByKey(first.lines, first.notCovered)[Symbol.asyncIterator]();
  try {
    let entry = await past.next();
    while (!entry.done && first.after !== undefined && compareKeys(entry.value.key, first.after) <= 0) {
      entry = await past.next();
    }
    let lastKey: string | undefined;
    for await (const listed of listing) {
      const key = keyOf(listed);
      if (lastKey !== undefined && compareKeys(lastKey, key) >= 0) {
        throw new ListingOutOfOrderError('the listing of a bucket came out of order; run the backup again');
      }
      lastKey = key;
      for (; !entry.done && compareKeys(entry.value.key, key) < 0; entry = await past.next()) yield entry.value;
      if (!('key' in listed)) {
        for (; !entry.done && entry.value.key === key; entry = await past.next()) yield entry.value;
        yield { kind: 'passed', key };
        continue;
      }
      let compared: ComparedObject = { kind: 'new', key, object: listed };
      for (; !entry.done && entry.value.key === key; entry = await past.next()) {
        if (entry.value.kind === 'kept' && isUnchanged(listed, entry.value.line)) {
          compared = { kind: 'unchanged', key, sizeBytes: listed.sizeBytes, text: entry.value.text };
        }
      }
      yield compared;
    }
    for (; !entry.done; entry = await past.next()) yield entry.value;
  } finally {
    await past.return?.(undefined);
  }
}

type Past = Extract<ComparedObject, { kind: 'kept' | 'not-covered' }>;

/** A key that has both is one whose tags could not be read, which its line says too. */
async function* mergeByKey(lines: ManifestLines, notCovered: AsyncIterable<NotCoveredObject>): AsyncGenerator<Past> {
  const named = notCovered[Symbol.asyncIterator]();
  try {
    let next = await named.next();
    for await (const { line, text } of lines) {
      for (; !next.done && compareKeys(next.value.key, line.key) < 0; next = await named.next()) yield name(next.value);
      if (!next.done && next.value.key === line.key) next = await named.next();
      yield { kind: 'kept', key: line.key, sizeBytes: line.sizeBytes, text, line };
    }
    for (; !next.done; next = await named.next()) yield name(next.value);
  } finally {
    await named.return?.();
  }
}

const name = (object: NotCoveredObject): Past => ({ kind: 'not-covered', key: object.key, object });

async function* none(): AsyncGenerator<never> {}

function isUnchanged(object: ListedObject, line: ObjectManifestLine): boolean {
  return (
    line.tagsUnread === undefined &&
    object.eTag === line.eTag &&
    object.sizeBytes === line.sizeBytes &&
    object.lastModified === line.lastModified &&
    // Lines that were written before versions were told apart name none.
    (object.versionId === undefined || line.versionId === undefined || object.versionId === line.versionId)
  );
}
