import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { folderOfPrefix, folderPrefix, parentOfTenants } from '../../../functions/backup/tenant-prefix.ts';
import { type Passed, walkFolders, walkOutsideTenants } from '../../../functions/backup/walk-bucket.ts';
import { isPlainId } from '../../../functions/contracts/identifiers.ts';
import type { listObjects } from '../../../functions/platform/s3.ts';

const byBytes = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));

/** Lists like S3, in pages of `pageSize`, from a set of keys. */
function listing(keys: Iterable<string>, pageSize: number): typeof listObjects {
  const sorted = [...new Set(keys)].sort(byBytes);
  return async function* (_bucket, prefix, { startAfter, delimiter } = {}) {
    const entries: (string | { prefix: string })[] = [];
    for (const key of sorted) {
      if (!key.startsWith(prefix) || (startAfter !== undefined && byBytes(key, startAfter) <= 0)) continue;
      const end = delimiter === undefined ? -1 : key.indexOf(delimiter, prefix.length);
      if (end === -1) entries.push(key);
      else {
        const rolledUp = key.slice(0, end + 1);
        const last = entries.at(-1);
        if (typeof last !== 'object' || last.prefix !== rolledUp) entries.push({ prefix: rolledUp });
      }
    }
    for (let from = 0; from === 0 || from < entries.length; from += pageSize) {
      const page = entries.slice(from, from + pageSize);
      yield {
        objects: page
          .filter(entry => typeof entry === 'string')
          .map(key => ({ key, eTag: '', sizeBytes: 0, lastModified: '', storageClass: '' })),
        commonPrefixes: page.flatMap(entry => (typeof entry === 'string' ? [] : [entry.prefix])),
      };
    }
  };
}

const keysOf = async (objects: AsyncIterable<{ key: string } | Passed>) =>
  (await Array.fromAsync(objects)).flatMap(object => ('key' in object ? [object.key] : []));

const segment = fc.constantFrom(
  '',
  'schools',
  'data',
  'oakfield',
  'St Mary',
  'a',
  'a-',
  'a0',
  '\u{10FFFF}',
  'ü',
  '_x',
  'b.txt',
);
const keys = fc
  .array(
    fc.array(segment, { minLength: 1, maxLength: 5 }).map(parts => parts.join('/')),
    { maxLength: 30 },
  )
  .map(list => [...new Set(list.filter(key => key !== ''))].sort(byBytes));
const template = fc.constantFrom(
  '{tenant}/',
  'schools/{tenant}/',
  'data/schools/{tenant}/',
  '/{tenant}/',
  'a//{tenant}/',
);

const isTenants = (folder: string) => isPlainId(folder) || folder === 'St Mary' || folder === '';

describe('the keys of a bucket', () => {
  it('belong each to one tenant or to none, in the order of their bytes', async () => {
    await fc.assert(
      fc.asyncProperty(keys, template, fc.integer({ min: 1, max: 7 }), async (all, pattern, pageSize) => {
        const list = listing(all, pageSize);
        const outside = await keysOf(walkOutsideTenants('b', pattern, isTenants, undefined, list));
        expect(outside).toEqual([...outside].sort(byBytes));
        const inside = await keysOf(walkFolders('b', pattern, await tenantsIn(pattern, list), undefined, list));
        expect(inside).toEqual([...inside].sort(byBytes));
        expect([...outside, ...inside].sort(byBytes)).toEqual(all);
      }),
      { numRuns: 300 },
    );
  });

  it('are walked on after any key, as if there had been no stop', async () => {
    await fc.assert(
      fc.asyncProperty(keys, template, fc.integer({ min: 1, max: 7 }), fc.nat(), async (all, pattern, pageSize, at) => {
        const list = listing(all, pageSize);
        const folders = await tenantsIn(pattern, list);
        for (const walk of [
          (after?: string) => keysOf(walkOutsideTenants('b', pattern, isTenants, after, list)),
          (after?: string) => keysOf(walkFolders('b', pattern, folders, after, list)),
        ]) {
          const whole = await walk();
          if (whole.length === 0) continue;
          const index = at % whole.length;
          expect(await walk(whole[index])).toEqual(whole.slice(index + 1));
        }
      }),
      { numRuns: 300 },
    );
  });
});

async function tenantsIn(pattern: string, list: ReturnType<typeof listing>): Promise<string[]> {
  const folders: string[] = [];
  for await (const { commonPrefixes } of list('b', parentOfTenants(pattern), { delimiter: '/' })) {
    for (const prefix of commonPrefixes) {
      const folder = folderOfPrefix(pattern, prefix);
      if (folder !== undefined && isTenants(folder)) folders.push(folder);
    }
  }
  return folders.reverse();
}

it('a folder whose keys would be longer than S3 allows is not asked for', async () => {
  const list = listing(['a/1', 'b/1'], 10);
  expect(await keysOf(walkFolders('b', '{tenant}/', ['x'.repeat(1024), 'b'], undefined, list))).toEqual(['b/1']);
});

describe('a tenant’s folder', () => {
  it.each([
    ['schools/{tenant}/', 'schools/oakfield/', 'oakfield'],
    ['schools/{tenant}/', 'schools/St Mary/', 'St Mary'],
    ['schools/{tenant}/', 'schools//', ''],
    ['schools/{tenant}/', 'schools/', undefined],
    ['/{tenant}/', '/', undefined],
    ['{tenant}/', '/', ''],
    ['schools/{tenant}/', 'schools/a/b/', undefined],
    ['schools/{tenant}/', 'other/oakfield/', undefined],
    ['schools/{tenant}/', 'schools/oakfield', undefined],
    ['schools/{tenant}/', 'schools/-x/', '-x'],
    [`schools/{tenant}/`, `schools/${'x'.repeat(300)}/`, 'x'.repeat(300)],
    ['{tenant}/', 'oakfield/', 'oakfield'],
    ['{tenant}/', '../', '..'],
  ])('%s: %s is the folder %s', (pattern, prefix, folder) => {
    expect(folderOfPrefix(pattern, prefix)).toBe(folder);
    if (folder !== undefined) expect(folderPrefix(pattern, folder)).toBe(prefix);
  });
});
