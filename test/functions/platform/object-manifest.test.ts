import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { zstdCompressSync } from 'node:zlib';
import { HeadObjectCommand, ListMultipartUploadsCommand } from '@aws-sdk/client-s3';
import fc from 'fast-check';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { LineSpool, spoolCompressed } from '../../../functions/platform/line-spool.ts';
import { openLines, readManifest, storeLines } from '../../../functions/platform/object-manifest.ts';
import { stepRuntime, type TestRuntime } from '../../fixtures/step-runtime.ts';

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

async function spool(lines: readonly string[]) {
  const spooling = await LineSpool.create();
  for (const line of lines) await spooling.write(line);
  return spooling.end();
}

const line = (key: string, change = {}) =>
  JSON.stringify({
    key,
    eTag: '"e"',
    lastModified: '2026-11-22T02:30:00.000Z',
    sizeBytes: 1,
    vaultName: 'a'.repeat(64),
    vaultVersionId: 'v',
    sha256: 'b'.repeat(64),
    ...change,
  });

describe('spooled lines', () => {
  it('come back as they were, with the digest of their text', async () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 200 }).map(value => value.replaceAll('\n', ' '));
    await fc.assert(
      fc.asyncProperty(fc.array(text, { maxLength: 50 }), async lines => {
        const spooled = await spool(lines);
        expect(spooled.sha256).toBe(sha256(lines.map(value => `${value}\n`).join('')));
        expect(spooled.lineCount).toBe(lines.length);
        expect(await Array.fromAsync(spooled.read())).toEqual(lines);
        expect(await Array.fromAsync(spooled.read())).toEqual(lines);
        await spooled.close();
      }),
      { numRuns: 50 },
    );
  });

  it('come back over many chunks, and stop being read at any point', async () => {
    const lines = Array.from({ length: 20_000 }, (_, index) => `${index} ü ${'x'.repeat(index % 97)}`);
    const spooled = await spool(lines);
    expect(await Array.fromAsync(spooled.read())).toEqual(lines);
    for await (const first of spooled.read()) {
      expect(first).toBe(lines[0]);
      break;
    }
    expect(await Array.fromAsync(spooled.read())).toHaveLength(20_000);
    await spooled.close();
  });

  it('leave no file behind, not even while they are open', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'spool-test-'));
    vi.stubEnv('TMPDIR', folder);
    const spooling = await LineSpool.create();
    await spooling.write('x');
    expect(await readdir(folder)).toEqual([]);
    await spooling.discard();
    vi.unstubAllEnvs();
    await rmdir(folder);
  });

  it('fail when what arrives breaks off', async () => {
    const broken = Readable.from(
      (async function* () {
        yield zstdCompressSync('one\n').subarray(0, 5);
        throw new RangeError('connection lost');
      })(),
    );
    await expect(spoolCompressed(broken)).rejects.toThrow(new RangeError('connection lost'));
  });
});

describe('a stored manifest', () => {
  const key = 'tenants/oakfield/manifests/m';
  let cloud: TestRuntime;
  let keyArn: string;
  beforeEach(() => {
    cloud = stepRuntime();
    keyArn = cloud.kms.createKeyFromTemplate({}).keyArn;
  });

  const store = (lines: readonly string[]) =>
    cloud.run(async () => {
      const spooled = await spool(lines);
      try {
        await storeLines('vault', key, spooled, keyArn);
      } finally {
        await spooled.close();
      }
      return spooled.sha256;
    });
  const read = (digest: string) =>
    cloud.run(async () => {
      const lines = await openLines('vault', key, digest);
      try {
        return (await Array.fromAsync(readManifest(lines, key))).map(({ line: { key: name } }) => name);
      } finally {
        await lines.close();
      }
    });

  it('is written once, and adopted by whoever writes the same', async () => {
    const digest = await store([line('a'), line('b')]);
    expect(await store([line('a'), line('b')])).toBe(digest);
    expect(await read(digest)).toEqual(['a', 'b']);
    await expect(store([line('c')])).rejects.toMatchObject({ name: 'ManifestAlteredError' });
    expect(await read(digest)).toEqual(['a', 'b']);
  });

  it('is tried again while another request is under way that has not written it yet', async () => {
    const body = '<Error><Code>ConditionalRequestConflict</Code></Error>';
    cloud.intercept(async (request, next) => (request.method === 'PUT' ? { status: 409, headers: {}, body } : next()));
    await expect(store([line('a')])).rejects.toMatchObject({ name: 'RetryableError' });
    cloud.intercept(undefined);
    expect(await read(await store([line('a')]))).toEqual(['a']);
  });

  it('is uploaded in parts when it is large, once', async () => {
    const lines = Array.from({ length: 240 }, (_, index) => `${index}${randomBytes(75_000).toString('hex')}`);
    await store(lines);
    const head = await cloud.client.send(new HeadObjectCommand({ Bucket: 'vault', Key: key, ChecksumMode: 'ENABLED' }));
    expect(head).toMatchObject({ SSEKMSKeyId: keyArn, ChecksumSHA256: expect.stringMatching(/-\d$/) });
    await store(lines);
    const { Uploads } = await cloud.client.send(new ListMultipartUploadsCommand({ Bucket: 'vault' }));
    expect(Uploads ?? []).toEqual([]);
  });

  it.each([
    ['that is no JSON', '{"key":'],
    ['that is no object', '"a"'],
    ['that is empty', ''],
    ['with an unknown field', line('b', { more: 1 })],
    ['with a negative size', line('b', { sizeBytes: -1 })],
    ['with a vault name that leads elsewhere', line('b', { vaultName: '../../shared/naming-secret' })],
    ['with no digest at all but a wrong one', line('b', { sha256: 'short' })],
    ['that stands twice', line('a')],
    ['that is out of order', line('A')],
  ])('is refused for a line %s', async (_name, bad) => {
    const digest = await store([line('a'), bad]);
    await expect(read(digest)).rejects.toMatchObject({
      name: 'ManifestAlteredError',
      message: expect.stringContaining('line 2'),
    });
  });

  it('is refused under another digest', async () => {
    await store([line('a')]);
    await expect(read(sha256('other'))).rejects.toMatchObject({ name: 'ManifestAlteredError' });
  });

  it('does not come apart when its last line is cut', async () => {
    const text = `${line('a')}\n${line('b')}`;
    await cloud.put('vault', key, zstdCompressSync(text));
    expect(await read(sha256(text))).toEqual(['a', 'b']);
    const cut = text.slice(0, -5);
    await cloud.put('vault', key, zstdCompressSync(cut));
    await expect(read(sha256(cut))).rejects.toMatchObject({ name: 'ManifestAlteredError' });
  });
});
