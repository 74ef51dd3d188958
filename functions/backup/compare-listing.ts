import type { NotCoveredObject, ObjectManifestLine } from '../contracts/object-manifest.ts';
import { PermanentError } from '../platform/errors.ts';
import { compareKeys } from '../platform/key-order.ts';
import type { ListedObject } from '../platform/s3.ts';
import { keyOf, type Passed } from './walk-bucket.ts';

/** A listing came in another order than S3 promises, so that it cannot be compared with a manifest. */
export class ListingOutOfOrderError extends PermanentError {}

/** It is no longer listed as the first pass found it, and has a line of that. */
export interface KeptObject {
  readonly kind: 'kept';
  readonly key: string;
  readonly text: string;
  readonly line: ObjectManifestLine;
}

export type ComparedObject =
  /** It is listed as it was when the manifest's line of this text was written. */
  | {
      readonly kind: 'unchanged';
      readonly key: string;
      readonly object: ListedObject;
      readonly text: string;
      readonly line: ObjectManifestLine;
    }
  /**
   * To be copied: new or changed, or its tags could not be read then, or its copy is lost. `before`: what the first pass covered
   * under this key; `lost`: what is known of a copy under this key that is lost.
   */
  | {
      readonly kind: 'new';
      readonly key: string;
      readonly object: ListedObject;
      readonly before: KeptObject | null;
      readonly lost: ObjectManifestLine | null;
    }
  /** Nothing is listed under its key, and its line stays. */
  | KeptObject
  /** It is no longer listed, and the first pass could not cover it. */
  | { readonly kind: 'not-covered'; readonly key: string; readonly object: NotCoveredObject }
  /** Nothing more comes up to and with this key. */
  | { readonly kind: 'passed'; readonly key: string };

interface Content {
  readonly eTag: string;
  readonly sizeBytes: number;
}

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
    // An earlier run covered what was there then.
    if (compared.kind === 'new') yield { ...compared, before: null };
    else if (compared.kind !== 'kept' && compared.kind !== 'not-covered') yield compared;
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
      const order = lastKey === undefined ? -1 : compareKeys(lastKey, key);
      if (order > 0 || (order === 0 && 'key' in listed)) {
        throw new ListingOutOfOrderError('the listing of a bucket came out of order; run the backup again');
      }
      lastKey = key;
      for (; !entry.done && compareKeys(entry.value.key, key) < 0; entry = await past.next()) yield entry.value;
      if (!('key' in listed)) {
        for (; !entry.done && entry.value.key === key; entry = await past.next()) yield entry.value;
        yield { kind: 'passed', key };
        continue;
      }
      let before: KeptObject | null = null;
      for (; !entry.done && entry.value.key === key; entry = await past.next()) {
        if (entry.value.kind === 'kept') before = entry.value;
        else if (isOther(entry.value.object, listed)) yield entry.value;
      }
      if (before !== null && isUnchanged(listed, before.line)) {
        yield { kind: 'unchanged', key, object: listed, text: before.text, line: before.line };
      } else yield { kind: 'new', key, object: listed, before, lost: null };
    }
    for (; !entry.done; entry = await past.next()) yield entry.value;
  } finally {
    await past.return?.(undefined);
  }
}

type Past = Extract<ComparedObject, { kind: 'kept' | 'not-covered' }>;

/** Of each key its line first. That its tags could not be read is named beside it, and stands in it too. */
async function* mergeByKey(lines: ManifestLines, notCovered: AsyncIterable<NotCoveredObject>): AsyncGenerator<Past> {
  const named = notCovered[Symbol.asyncIterator]();
  try {
    let next = await named.next();
    for await (const { line, text } of lines) {
      for (; !next.done && compareKeys(next.value.key, line.key) < 0; next = await named.next()) yield name(next.value);
      yield { kind: 'kept', key: line.key, text, line };
      for (; !next.done && next.value.key === line.key; next = await named.next()) {
        if (next.value.reason !== 'tags-refused') yield name(next.value);
      }
    }
    for (; !next.done; next = await named.next()) yield name(next.value);
  } finally {
    await named.return?.();
  }
}

const name = (object: NotCoveredObject): Past => ({ kind: 'not-covered', key: object.key, object });

async function* none(): AsyncGenerator<never> {}

/** Whether what the first pass named is gone although its key is listed: another content stands there. */
function isOther({ reason, content }: NotCoveredObject, listed: ListedObject): boolean {
  if (reason === 'replaced') return true;
  return reason === 'vanished' && content !== undefined && !isSameContent(content, listed);
}

/** The same content: the same ETag and size. S3 gives no other word on what is gone. */
export function isSameContent(a: Content, b: Content): boolean {
  return contentOf(a) === contentOf(b);
}

/** A key for a content. */
export function contentOf({ eTag, sizeBytes }: Content): string {
  return `${eTag} ${sizeBytes}`;
}

function isUnchanged(object: ListedObject, line: ObjectManifestLine): boolean {
  return (
    line.tagsUnread === undefined &&
    line.gone === undefined &&
    object.eTag === line.eTag &&
    object.sizeBytes === line.sizeBytes &&
    object.lastModified === line.lastModified &&
    // Lines that were written before versions were told apart name none.
    (object.versionId === undefined || line.versionId === undefined || object.versionId === line.versionId)
  );
}
