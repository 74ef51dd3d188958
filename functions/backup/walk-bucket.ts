import { compareKeys } from '../platform/key-order.ts';
import type { ListedObject } from '../platform/s3.ts';
import { folderOfPrefix, folderPrefix, parentOfTenants } from './tenant-prefix.ts';

/** Lists below a prefix, page by page, in the order of the keys, as `listObjects` does. */
export type List = (
  bucket: string,
  prefix: string,
  options?: { startAfter?: string; delimiter?: string },
) => AsyncGenerator<{
  objects: ListedObject[];
  commonPrefixes: string[];
  /** Where the page has no objects: up to and with this key there is no other one. */
  passedTo?: string | undefined;
}>;

/** That a listing has none up to and with this key, so that it can go on from there. */
export interface Passed {
  readonly passedTo: string;
}

/** The last key that can follow a prefix's keys, but for keys that begin with this very character behind the prefix. */
export const LAST_CHARACTER = '\u{10FFFF}';

/** Objects below a prefix after `afterKey`, in the order of their keys. */
async function* walkPrefix(
  bucket: string,
  prefix: string,
  afterKey: string | undefined,
  list: List,
): AsyncGenerator<ListedObject | Passed> {
  const options = afterKey === undefined ? {} : { startAfter: afterKey };
  for await (const { objects, passedTo } of list(bucket, prefix, options)) {
    yield* objects;
    if (passedTo !== undefined) yield { passedTo };
  }
}

/** The objects in a tenant's folders after `afterKey`, in the order of their keys. */
export async function* walkFolders(
  bucket: string,
  template: string,
  folders: readonly string[],
  afterKey: string | undefined,
  list: List,
): AsyncGenerator<ListedObject | Passed> {
  const prefixes = folders
    .map(folder => folderPrefix(template, folder))
    // No key is longer: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
    .filter(prefix => Buffer.byteLength(prefix) < 1024);
  // None is the beginning of another one.
  for (const prefix of prefixes.sort(compareKeys)) {
    if (afterKey === undefined || compareKeys(afterKey, prefix) < 0) yield* walkPrefix(bucket, prefix, undefined, list);
    else if (afterKey.startsWith(prefix)) yield* walkPrefix(bucket, prefix, afterKey, list);
  }
}

/**
 * The objects in no tenant's folder, after `afterKey`, in the order of their keys. Tenants' folders are stepped over as a
 * whole, 1,000 of them with each call; what lies beside them is listed with all that is below.
 */
export async function* walkOutsideTenants(
  bucket: string,
  template: string,
  isTenants: (folder: string) => boolean,
  afterKey: string | undefined,
  list: List,
): AsyncGenerator<ListedObject | Passed> {
  yield* walkLevel('', afterKey);

  async function* walkLevel(level: string, after: string | undefined): AsyncGenerator<ListedObject | Passed> {
    let done = after;
    const resumed = after === undefined ? undefined : childPrefixOf(level, after);
    if (resumed !== undefined) {
      // S3 does not document whether a prefix is still reported when the listing starts inside it.
      yield* walkChild(resumed, after);
      done = resumed + LAST_CHARACTER;
    }
    const options = { delimiter: '/', ...(done === undefined ? {} : { startAfter: done }) };
    for await (const { objects, commonPrefixes, passedTo } of list(bucket, level, options)) {
      const prefixes = commonPrefixes.filter(prefix => prefix !== resumed);
      const entries = [...objects, ...prefixes, ...(passedTo === undefined ? [] : [{ passedTo }])];
      for (const entry of entries.sort((a, b) => compareKeys(nameOf(a), nameOf(b)))) {
        if (typeof entry === 'string') yield* walkChild(entry, undefined);
        else yield entry;
      }
    }
  }

  async function* walkChild(prefix: string, after: string | undefined): AsyncGenerator<ListedObject | Passed> {
    const folder = folderOfPrefix(template, prefix);
    if (folder !== undefined && isTenants(folder)) return;
    if (parentOfTenants(template).startsWith(prefix)) yield* walkLevel(prefix, after);
    else yield* walkPrefix(bucket, prefix, after, list);
  }
}

function nameOf(entry: ListedObject | Passed | string): string {
  return typeof entry === 'string' ? entry : keyOf(entry);
}

/** The key that a walk has come to. */
export function keyOf(entry: ListedObject | Passed): string {
  return 'key' in entry ? entry.key : entry.passedTo;
}

/** The prefix directly below `level` that `key` lies in, or is; undefined when the key lies in none. */
function childPrefixOf(level: string, key: string): string | undefined {
  if (!key.startsWith(level)) return undefined;
  const end = key.indexOf('/', level.length);
  return end === -1 ? undefined : key.slice(0, end + 1);
}
