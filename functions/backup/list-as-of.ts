import { sha256Hex } from '../platform/canonical-json.ts';
import { PermanentError } from '../platform/errors.ts';
import { compareKeys } from '../platform/key-order.ts';
import { type ListedObject, type ListedVersion, listVersionPages } from '../platform/s3.ts';
import { VersionChoice } from './version-choice.ts';
import type { List } from './walk-bucket.ts';

/** A key was written so often since the moment that the version of the moment is not come to. */
export class TooManyVersionsError extends PermanentError {}

/** So many versions of one key are looked at, which takes some minutes. */
const VERSIONS_OF_A_KEY = 1_000_000;

/**
 * Lists a bucket that keeps versions as it was at a moment: for each key the version that `VersionChoice` takes, with its
 * id. It costs a call for each 1,000 versions and delete markers, whether they are taken or not; but what is left of a key's
 * versions at a page's end is stepped over once one is chosen, and there may be millions. A page of which nothing is taken
 * says how far it came, so that whoever asks for more can stop: of a folder that is emptied every day there may be millions
 * in a row.
 * @throws TooManyVersionsError when a million versions and markers of one key do not tell.
 */
export function listAsOf(asOf: string, versionsOfAKey = VERSIONS_OF_A_KEY): List {
  return async function* (bucket, prefix, options) {
    let key: string | undefined;
    let passedTo: string | undefined;
    let passedPrefix: string | undefined;
    let versionCount = 0;
    const choice = new VersionChoice(asOf);
    const take = (): ListedObject[] => {
      const chosen = choice.take();
      return chosen === undefined ? [] : [describe(chosen)];
    };
    let startAfter = options?.startAfter;
    for (let isSkipping = true; isSkipping; ) {
      isSkipping = false;
      const pages = listVersionPages(bucket, prefix, { ...options, ...(startAfter !== undefined && { startAfter }) });
      for await (const { versions, commonPrefixes, isLast } of pages) {
        const objects: ListedObject[] = [];
        const before = passedTo;
        for (const version of versions) {
          if (key !== undefined && version.key !== key) {
            objects.push(...take());
            passedTo = key;
            versionCount = 0;
          }
          key = version.key;
          versionCount++;
          choice.add(version);
        }
        // A key's versions may go on on the next page, but not behind a prefix that comes after it.
        const last = commonPrefixes.at(-1);
        if (key !== undefined && key !== passedTo) {
          const isBehind = last !== undefined && compareKeys(key, last) < 0;
          isSkipping = !isLast && !isBehind && choice.isMade;
          if (isBehind || isSkipping) {
            objects.push(...take());
            passedTo = key;
            versionCount = 0;
          } else if (!isLast && versionCount > versionsOfAKey) throw tooMany(key, versionCount);
        }
        passedPrefix = last ?? passedPrefix;
        const isLastPassed = passedTo !== undefined && (!passedPrefix || compareKeys(passedTo, passedPrefix) > 0);
        const isWorthSaying = objects.length === 0 && (passedTo !== before || isLastPassed);
        yield { objects, commonPrefixes, passedTo: isWorthSaying ? passedTo : undefined };
        if (isSkipping) break;
      }
      startAfter = key;
    }
    yield { objects: take(), commonPrefixes: [] };
  };
}

/** The key itself is personal. Who has the bucket finds it by its digest. */
function tooMany(key: string, count: number): TooManyVersionsError {
  return new TooManyVersionsError(
    `one key, whose SHA-256 begins with ${sha256Hex(Buffer.from(key)).slice(0, 16)}, has ${count} versions since the moment, and more: find what writes it, and delete what is not needed`,
  );
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
