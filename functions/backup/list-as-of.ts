import { compareKeys } from '../platform/key-order.ts';
import { type ListedObject, type ListedVersion, listVersionPages } from '../platform/s3.ts';
import { VersionChoice } from './version-choice.ts';
import type { List } from './walk-bucket.ts';

/**
 * Lists a bucket that keeps versions as it was at a moment: for each key the version that `VersionChoice` takes, with its
 * id. It costs a call for each 1,000 versions and delete markers, whether they are taken or not. A page of which nothing is
 * taken says how far it came: of a folder that is emptied every day there may be millions in a row.
 */
export function listAsOf(asOf: string): List {
  return async function* (bucket, prefix, options) {
    let key: string | undefined;
    let passedTo: string | undefined;
    const choice = new VersionChoice(asOf);
    const take = (): ListedObject[] => {
      const chosen = choice.take();
      return chosen === undefined ? [] : [describe(chosen)];
    };
    for await (const { versions, commonPrefixes } of listVersionPages(bucket, prefix, options)) {
      const objects: ListedObject[] = [];
      const before = passedTo;
      for (const version of versions) {
        if (key !== undefined && version.key !== key) {
          objects.push(...take());
          passedTo = key;
        }
        key = version.key;
        choice.add(version);
      }
      // A key's versions may go on on the next page, but not behind a prefix that comes after it.
      const last = commonPrefixes.at(-1);
      if (last !== undefined && key !== undefined && compareKeys(key, last) < 0) {
        objects.push(...take());
        passedTo = key;
      }
      yield { objects, commonPrefixes, passedTo: objects.length === 0 && passedTo !== before ? passedTo : undefined };
    }
    yield { objects: take(), commonPrefixes: [] };
  };
}

function describe({ key, eTag, sizeBytes, lastModified, storageClass, versionId }: ListedVersion): ListedObject {
  return { key, eTag, sizeBytes, lastModified, storageClass, versionId };
}

/** So many pages are read to find out whether a prefix held anything. */
const PAGES_TO_DECIDE = 100;

/**
 * Whether anything lay below a prefix at a moment. Where 100,000 versions do not tell, it is taken to: what is listed in
 * vain costs calls, and what is not listed is lost.
 */
export async function heldObjects(bucket: string, prefix: string, asOf: string): Promise<boolean> {
  let pageCount = 0;
  for await (const { objects } of listAsOf(asOf)(bucket, prefix)) {
    if (objects.length > 0 || ++pageCount === PAGES_TO_DECIDE) return true;
  }
  return false;
}
