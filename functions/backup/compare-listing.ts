import type { ObjectManifestLine } from '../contracts/object-manifest.ts';
import { PermanentError } from '../platform/errors.ts';
import { compareKeys } from '../platform/key-order.ts';
import type { ListedObject } from '../platform/s3.ts';

/** A listing came in another order than S3 promises, so that it cannot be compared with a manifest. */
export class ListingOutOfOrderError extends PermanentError {}

/**
 * An object that is listed now: `unchanged` since the manifest's line of that text was written, or to be copied. One whose
 * tags could not be read then is looked at again.
 */
export type ComparedObject =
  | { readonly unchanged: string; readonly object: ListedObject }
  | { readonly unchanged: undefined; readonly object: ListedObject };

/**
 * Walks through a listing and the previous manifest side by side. Lines of objects that are gone are left out.
 * @throws ListingOutOfOrderError
 */
export async function* compareListing(
  listing: AsyncIterable<ListedObject>,
  previous: AsyncIterable<{ line: ObjectManifestLine; text: string }>,
): AsyncGenerator<ComparedObject> {
  const lines = previous[Symbol.asyncIterator]();
  try {
    let line = await lines.next();
    let lastKey: string | undefined;
    for await (const object of listing) {
      if (lastKey !== undefined && compareKeys(lastKey, object.key) >= 0) {
        throw new ListingOutOfOrderError('the listing of a bucket came out of order; run the backup again');
      }
      lastKey = object.key;
      while (!line.done && compareKeys(line.value.line.key, object.key) < 0) line = await lines.next();
      const same = !line.done && isUnchanged(object, line.value.line);
      yield { unchanged: same ? line.value.text : undefined, object };
    }
  } finally {
    await lines.return?.();
  }
}

function isUnchanged(object: ListedObject, line: ObjectManifestLine): boolean {
  return (
    object.key === line.key &&
    line.tagsUnread === undefined &&
    object.eTag === line.eTag &&
    object.sizeBytes === line.sizeBytes &&
    object.lastModified === line.lastModified &&
    // Lines that were written before versions were told apart name none.
    (object.versionId === undefined || line.versionId === undefined || object.versionId === line.versionId)
  );
}
