import { execFileSync } from 'node:child_process';
import { appendFile, mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GetObjectCommand, ListMultipartUploadsCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { LocalClock } from '../../../../infra/local/clock.ts';
import { LocalCloud } from '../../../../infra/local/cloud.ts';
import { groupLeftOut, listFolder } from '../../../../infra/local/start/list-folder.ts';
import { countObjects, type SourceFile, uploadFiles } from '../../../../infra/local/start/upload-files.ts';

const PART_BYTES = 5 * 1024 * 1024;
const closed = vi.hoisted(() => ({ folder: '' }));

// Tests run as root, too, whom no permission stops.
vi.mock('node:fs/promises', async original => {
  const actual = await original<typeof import('node:fs/promises')>();
  return {
    ...actual,
    readdir: async (path: Buffer, options: object) => {
      if (closed.folder !== '' && path.toString().endsWith(closed.folder))
        throw Object.assign(new Error(`EACCES: permission denied, scandir '${path}'`), { code: 'EACCES' });
      return actual.readdir(path, options as never);
    },
  };
});

let folder: string;
let cloud: LocalCloud;
let client: S3Client;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'daybreak-files-'));
  closed.folder = '';
  cloud = new LocalCloud({ clock: new LocalClock({ flow: 'manual', startsAt: new Date('2026-11-30T00:00:00Z') }) });
  cloud.s3.createBucket({ name: 'files', versioning: 'Enabled' });
  client = new S3Client(cloud.clientConfiguration(cloud.root));
});

afterEach(async () => {
  await cloud.close();
  await rm(folder, { recursive: true });
});

async function write(files: Record<string, string | Buffer>): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(join(folder, path, '..'), { recursive: true });
    await writeFile(join(folder, path), content);
  }
}

const inBytes = (name: string) => Buffer.concat([Buffer.from(`${folder}/`), Buffer.from(name, 'latin1')]);
const upload = (files: readonly SourceFile[]) => uploadFiles(client, 'files', files, () => undefined);

async function contents(): Promise<Record<string, string>> {
  const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: 'files' }));
  const found: Record<string, string> = {};
  for (const { Key = '' } of Contents) {
    const { Body } = await client.send(new GetObjectCommand({ Bucket: 'files', Key }));
    found[Key] = (await Body?.transformToString()) ?? '';
  }
  return found;
}

/** The files, with something that happens to one when it was opened for the nth time. */
function disturbed(files: readonly SourceFile[], key: string, disturb: (time: number) => Promise<void>): SourceFile[] {
  return files.map(file => {
    if (file.key !== key) return file;
    let times = 0;
    return {
      ...file,
      open: async () => {
        const opened = await file.open();
        await disturb(++times);
        return opened;
      },
    };
  });
}

describe('listFolder', () => {
  it('leaves a name that is not UTF-8 out by name, and keeps it apart from one that looks like it', async () => {
    await write({ '1/caf\ufffd.txt': 'with the replacement character', '1/é.txt': 'é' });
    await writeFile(inBytes('1/caf\xe9.txt'), 'LATIN1');
    await writeFile(inBytes('1/\xc3\xa9\\\n\xff'), 'with more');
    await mkdir(inBytes('2\xe9'));
    await writeFile(inBytes('2\xe9/a'), 'below one');
    await writeFile(inBytes('2\xe9/b'), 'below one');
    const { files, leftOut } = await listFolder(folder);
    expect(files.map(({ key }) => key)).toEqual(['1/caf\ufffd.txt', '1/é.txt']);
    expect(groupLeftOut(leftOut)).toEqual([
      {
        kind: 'name that is not UTF-8',
        count: 4,
        paths: ['1/\\xc3\\xa9\\\\\\x0a\\xff', '1/caf\\xe9.txt', '2\\xe9/a', '2\\xe9/b'],
      },
    ]);
    expect((await upload(files)).uploaded).toHaveLength(2);
    expect(await contents()).toEqual({ '1/caf\ufffd.txt': 'with the replacement character', '1/é.txt': 'é' });
  });

  it('names and counts links, FIFOs and sockets, and a whole tenant that is a link', async () => {
    await write({ '1/plain': 'a file', '1/deep/er': 'another' });
    await symlink('plain', join(folder, '1/link'));
    await symlink('nowhere', join(folder, '1/broken'));
    await symlink('1', join(folder, '2'));
    execFileSync('mkfifo', [join(folder, '1/fifo')]);
    const server = createServer().listen(join(folder, '1/socket'));
    await new Promise(resolve => server.once('listening', resolve));
    const { files, leftOut } = await listFolder(folder);
    await new Promise(resolve => server.close(resolve));
    expect(files.map(({ key }) => key)).toEqual(['1/deep/er', '1/plain']);
    expect(groupLeftOut(leftOut)).toEqual([
      { kind: 'FIFO', count: 1, paths: ['1/fifo'] },
      { kind: 'link', count: 2, paths: ['1/broken', '1/link'] },
      { kind: 'link to a folder', count: 1, paths: ['2'] },
      { kind: 'socket', count: 1, paths: ['1/socket'] },
    ]);
  });

  it('names the folder that cannot be read', async () => {
    await write({ '1/a/file': '', '1/b/file': '' });
    closed.folder = '1/b';
    await expect(listFolder(folder)).rejects.toMatchObject({
      name: 'UsageError',
      message: `--files ${folder}: the folder "1/b" cannot be read: EACCES: permission denied`,
    });
    closed.folder = `${folder}/`;
    await expect(listFolder(folder)).rejects.toThrow(`--files ${folder}: cannot be read: EACCES: permission denied`);
  });
});

describe('uploadFiles', () => {
  it.each([
    ['shrinks', () => truncate(join(folder, '1/file'), 3), 'abc'],
    ['grows', () => appendFile(join(folder, '1/file'), 'more'), 'abcdefmore'],
    ['is written anew with as many bytes', () => writeFile(join(folder, '1/file'), 'ABCDEF'), 'ABCDEF'],
  ])('reads a file again that %s while it is read', async (_what, change, content) => {
    await write({ '1/file': 'abcdef', '1/other': 'x' });
    const { files } = await listFolder(folder);
    const result = await upload(disturbed(files, '1/file', async time => (time === 1 ? change() : undefined)));
    expect(result.leftOut).toEqual([]);
    expect(result.uploaded.map(({ key, sizeBytes }) => [key, sizeBytes]).sort()).toEqual([
      ['1/file', content.length],
      ['1/other', 1],
    ]);
    expect(await contents()).toEqual({ '1/file': content, '1/other': 'x' });
  });

  it('reads a large file again, and leaves no parts of the first attempt', async () => {
    const before = Buffer.alloc(2 * PART_BYTES + 5, 'before ');
    const after = Buffer.alloc(PART_BYTES + 1, 'after ');
    await write({ '1/large': before });
    const { files } = await listFolder(folder);
    const { uploaded } = await upload(
      disturbed(files, '1/large', async time => (time === 1 ? writeFile(join(folder, '1/large'), after) : undefined)),
    );
    expect(uploaded.map(({ sizeBytes }) => sizeBytes)).toEqual([after.length]);
    expect(Buffer.from((await contents())['1/large'] ?? '').equals(after)).toBe(true);
    const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: 'files' }));
    expect(Uploads).toEqual([]);
  });

  it('names what vanished, became something else, or never stays the same, and counts right', async () => {
    await write({
      '1/vanishes': 'x',
      '1/becomes a link': 'x',
      '1/becomes a folder': 'x',
      '1/log': 'x',
      '1/stays': 'x',
    });
    const { files } = await listFolder(folder);
    for (const name of ['vanishes', 'becomes a link', 'becomes a folder']) await rm(join(folder, '1', name));
    await symlink('stays', join(folder, '1/becomes a link'));
    await mkdir(join(folder, '1/becomes a folder'));
    const { uploaded, leftOut } = await upload(
      disturbed(files, '1/log', () => appendFile(join(folder, '1/log'), 'another line')),
    );
    expect(uploaded.map(({ key }) => key)).toEqual(['1/stays']);
    expect(groupLeftOut(leftOut)).toEqual([
      { kind: 'changed whenever it was read', count: 1, paths: ['1/log'] },
      {
        kind: 'gone before it was read',
        count: 3,
        paths: expect.arrayContaining(['1/becomes a folder', '1/becomes a link', '1/vanishes']),
      },
    ]);
    expect(await countObjects(client, 'files')).toBe(files.length - leftOut.length);
  });
});
