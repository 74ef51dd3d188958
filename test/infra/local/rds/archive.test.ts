import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ArchiveDamagedError,
  type ArchiveEntry,
  copyArchive,
  extractArchive,
  writeArchive,
} from '../../../../infra/local/rds/archive.ts';

const KEY = randomBytes(32);
const big = randomBytes(3_500_000);

let directory: string;
let file: string;
let extracted = 0;

async function* entries(): AsyncGenerator<ArchiveEntry> {
  yield { path: 'empty', directory: false, size: 0, content: [] };
  yield { path: 'folder', directory: true, size: 0, content: [] };
  yield { path: 'folder/big', directory: false, size: big.length, content: [big.subarray(0, 7), big.subarray(7)] };
  yield { path: 'folder/within', directory: true, size: 0, content: [] };
  yield { path: 'last', directory: false, size: 5, content: [Buffer.from('hello')] };
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'daybreak-test-'));
  file = join(directory, 'archive');
  await writeArchive(file, entries(), KEY);
});

afterAll(() => rm(directory, { recursive: true }));

async function extract(from: string, key: Uint8Array): Promise<string> {
  const target = join(directory, `extracted-${extracted++}`);
  await extractArchive(from, key, target, undefined);
  return target;
}

async function altered(change: (bytes: Buffer) => Buffer): Promise<string> {
  const copy = join(directory, `altered-${extracted++}`);
  await writeFile(copy, change(Buffer.from(await readFile(file))));
  return copy;
}

/** Where each frame begins. */
function frames(bytes: Buffer): number[] {
  const starts: number[] = [];
  for (let at = 0; at < bytes.length; at += 4 + (bytes.readUInt32BE(at) & 0x7fffffff) + 16) starts.push(at);
  return starts;
}

describe('an archive', () => {
  it('gives back what was written, readable by its owner alone', async () => {
    const target = await extract(file, KEY);
    expect((await readdir(target, { recursive: true })).sort()).toEqual([
      'empty',
      'folder',
      'folder/big',
      'folder/within',
      'last',
    ]);
    expect((await readFile(join(target, 'folder/big'))).equals(big)).toBe(true);
    expect(await readFile(join(target, 'last'), 'utf8')).toBe('hello');
    expect((await stat(join(target, 'empty'))).size).toBe(0);
    expect((await stat(join(target, 'last'))).mode & 0o777).toBe(0o600);
    expect((await stat(join(target, 'folder'))).mode & 0o777).toBe(0o700);
  });

  it('holds no plain text', async () => {
    const bytes = await readFile(file);
    expect(bytes.includes('folder')).toBe(false);
    expect(bytes.includes('hello')).toBe(false);
  });

  it('is readable under the new key alone once it is copied', async () => {
    const other = randomBytes(32);
    const copy = join(directory, 'copy');
    await copyArchive(file, KEY, copy, other);
    const target = await extract(copy, other);
    expect((await readFile(join(target, 'folder/big'))).equals(big)).toBe(true);
    await expect(extract(copy, KEY)).rejects.toThrow(ArchiveDamagedError);
  });

  it.each<[string, (bytes: Buffer) => Buffer]>([
    ['a changed byte', bytes => bytes.fill((bytes[2_000_000] ?? 0) ^ 1, 2_000_000, 2_000_001)],
    ['a missing last byte', bytes => bytes.subarray(0, -1)],
    ['a missing last frame', bytes => bytes.subarray(0, frames(bytes).at(-1))],
    ['something behind the end', bytes => Buffer.concat([bytes, bytes.subarray(0, frames(bytes)[1])])],
    [
      'exchanged frames',
      bytes => {
        const [first = 0, second = 0, third = 0] = frames(bytes);
        return Buffer.concat([bytes.subarray(second, third), bytes.subarray(first, second), bytes.subarray(third)]);
      },
    ],
    ['nothing', () => Buffer.alloc(0)],
  ])('refuses %s', async (_what, change) => {
    await expect(extract(await altered(change), KEY)).rejects.toThrow(ArchiveDamagedError);
  });

  it('leaves no file when writing fails', async () => {
    const failing = async function* (): AsyncGenerator<ArchiveEntry> {
      yield* entries();
      throw new Error('the disk is gone');
    };
    await expect(writeArchive(join(directory, 'failed'), failing(), KEY)).rejects.toThrow('the disk is gone');
    expect((await readdir(directory)).filter(name => name.startsWith('failed'))).toEqual([]);
  });
});
