import { createHash } from 'node:crypto';
import { expect } from 'vitest';
import { objectKey } from '../../../functions/contracts/vault-layout.ts';
import { inPagesOf, stepRuntime } from '../../fixtures/step-runtime.ts';
import { move } from './mover.ts';
import { readLines, readNamed, runFileBackup } from './run-file-backup.ts';

const BUCKET = 'school-uploads';
const MINUTE_MS = 60_000;
const SCHOOLS = ['oak', 'ash', 'elm'];
const FILES = 24;

/** A file of the bucket, under whichever name it has. */
interface File {
  readonly content: string;
  key: string;
  /** How often it was moved since the backup began. */
  moveCount: number;
}

export interface MovingBackup {
  readonly files: number;
  readonly moves: number;
  /** Files that existed all the time and are in no manifest, and that no listing saw under any name. */
  readonly missed: number;
}

const digest = (algorithm: string, content: string) => createHash(algorithm).update(content).digest('hex');

/** Numbers from 0 to below 1, the same for a seed. https://github.com/cprosche/mulberry32 */
function numbersFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Backs up a bucket in which something moves all the time: from school to school, from `inbox/` to `archive/`, into the
 * folders of schools that were not there, over other files; others are deleted, written over and come. Asserts that
 *
 * - whatever content a listing saw is in a manifest, or named in the recovery point;
 * - so is each file that existed all the time and moved once at most, under whichever name;
 * - of a bucket that keeps versions, exactly what was there at the moment is in the manifests, under its name of then;
 * - each line leads to an object of its content in the vault, and the counts are those of the lists.
 *
 * @param options.movesEach how often a file is moved at most.
 */
export async function runMovingBackup(
  seed: number,
  options: { versioning?: 'Enabled'; movesEach: number; share: number },
): Promise<MovingBackup> {
  const { versioning, movesEach, share } = options;
  const cloud = stepRuntime({
    buckets: [{ id: 'uploads', name: BUCKET, tenantPrefix: 'schools/{tenant}/', ...(versioning && { versioning }) }],
  });
  const next = numbersFrom(seed);
  const below = (count: number) => Math.floor(next() * count);
  const among = <T>(values: readonly T[]) => values[below(values.length)] as T;

  let number = 0;
  let schoolCount = 0;
  const place = () => {
    const isNew = next() < 0.15;
    const school = isNew ? `new-${schoolCount++}` : among([...SCHOOLS, ...(schoolCount > 0 ? ['new-0'] : [])]);
    return next() < 0.1 ? 'board/' : `schools/${school}/${among(['inbox', 'archive'])}/`;
  };
  const files: File[] = [];
  const contents = new Map<string, string>();
  const write = async (key: string, content: string) => {
    contents.set(digest('md5', content), content);
    files.push({ content, key, moveCount: 0 });
    await cloud.put(BUCKET, key, content);
  };
  const create = async () => {
    // Some files have the content of another one.
    const content = next() < 0.1 && files.length > 0 ? among(files).content : `content ${seed} ${number}`;
    await write(`${place()}${String(number++).padStart(3, '0')}`, content);
  };
  for (let count = 0; count < FILES; count++) await create();
  await cloud.clock.advance(60 * MINUTE_MS);
  const asOf = cloud.clock.now().toISOString();
  const before = files.map(({ key, content }) => ({ key, content }));
  await cloud.clock.advance(5 * MINUTE_MS);

  const always = new Set(files);
  const end = (file: File) => {
    always.delete(file);
    files.splice(files.indexOf(file), 1);
  };
  let moves = 0;
  const act = async () => {
    const chance = next();
    if (files.length === 0 || chance < 0.1) {
      await create();
      return;
    }
    const file = among(files);
    if (chance < 0.15) {
      end(file);
      await cloud.remove(BUCKET, file.key);
    } else if (chance < 0.2) {
      end(file);
      await write(file.key, `content ${seed} ${number++}`);
    } else if (file.moveCount < movesEach) {
      const over = next() < 0.1 ? among(files) : undefined;
      const from = file.key;
      // What lay under the name before, and was moved away, may have had it first.
      file.key = over?.key ?? (next() < 0.2 ? among(before).key : `${place()}${String(number++).padStart(3, '0')}`);
      for (const other of files.filter(({ key }) => key === file.key)) if (other !== file) end(other);
      if (from === file.key) return;
      file.moveCount++;
      moves++;
      await move(cloud, BUCKET, { from, to: file.key });
    }
  };

  const seen = new Set<string>();
  const pages = inPagesOf(1 + below(4));
  // One request after the other: what happens to the bucket between two of them is then what this says.
  let last: Promise<unknown> = Promise.resolve();
  cloud.intercept((request, answer) => {
    if (!request.path.startsWith(`/${BUCKET}`) && !request.headers['x-amz-copy-source']?.includes(BUCKET))
      return answer();
    const turn = last.then(async () => {
      while (next() < share) await act();
      await cloud.clock.advance(below(3) * 1000);
      const response = await pages(request, answer);
      if ('list-type' in request.query) {
        for (const [, eTag = ''] of String(response.body).matchAll(/<ETag>(?:&quot;|")(\w+)/g)) seen.add(eTag);
      }
      return response;
    });
    last = turn.catch(() => undefined);
    return turn;
  });
  const results = await runFileBackup(cloud, new Map(), { asOf: versioning ? asOf : null });
  cloud.intercept(undefined);

  const keysOf = new Map<string, string[]>();
  const named = new Set<string>();
  for (const result of results) {
    expect(result.failure).toBeNull();
    for (const { key, sha256 = '', vaultName } of await readLines(cloud, result)) {
      const stored = await cloud.get('vault', objectKey(result.tenant, vaultName));
      expect(createHash('sha256').update(stored).digest('hex')).toBe(sha256);
      keysOf.set(sha256, [...(keysOf.get(sha256) ?? []), key]);
    }
    const list = await readNamed(cloud, result);
    expect(Object.values(result.notCovered).reduce((sum, count) => sum + count, 0)).toBe(list.length);
    for (const { reason, content, line } of list) {
      expect(['vanished', 'replaced']).toContain(reason);
      named.add(`${content?.eTag}`.replaceAll('"', ''));
      if (line === undefined) continue;
      const stored = await cloud.get('vault', objectKey(result.tenant, line.vaultName));
      expect(createHash('sha256').update(stored).digest('hex')).toBe(line.sha256);
    }
  }
  if (versioning) {
    const expected = Map.groupBy(before, ({ content }) => digest('sha256', content));
    expect(Object.fromEntries([...keysOf].map(([sha256, keys]) => [sha256, keys.sort()]))).toEqual(
      Object.fromEntries([...expected].map(([sha256, same]) => [sha256, same.map(({ key }) => key).sort()])),
    );
    expect(named).toEqual(new Set());
    return { files: always.size, moves, missed: 0 };
  }
  const isKnown = (content: string) => keysOf.has(digest('sha256', content)) || named.has(digest('md5', content));
  const unknown = [...seen]
    .map(eTag => contents.get(eTag))
    .filter(content => content === undefined || !isKnown(content));
  expect(unknown).toEqual([]);
  const missed = [...always].filter(({ content }) => !isKnown(content));
  expect(missed.filter(({ moveCount, content }) => moveCount < 2 || seen.has(digest('md5', content)))).toEqual([]);
  return { files: always.size, moves, missed: missed.length };
}
