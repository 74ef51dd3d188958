import { constants, type Dirent } from 'node:fs';
import { access, readdir, stat } from 'node:fs/promises';
import { describeSystemError, UsageError } from '../../command-line/failure.ts';
import { openFile } from './open-file.ts';
import type { SourceFile } from './upload-files.ts';

/** Why something that was found below a folder is no object. */
export const LEFT_OUT_KINDS = [
  'link',
  'link to a folder',
  'FIFO',
  'socket',
  'device',
  'name that is not UTF-8',
  'gone before it was read',
  'changed whenever it was read',
] as const;
export type LeftOutKind = (typeof LEFT_OUT_KINDS)[number];

/** Something below a folder that is no object. Bytes of its path that cannot be printed stand as `\xff`. */
export interface LeftOut {
  readonly kind: LeftOutKind;
  readonly path: string;
}

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html */
const LONGEST_KEY_BYTES = 1024;
const PATHS_NAMED = 100;
const SLASH = Buffer.from('/');

/**
 * What is below a folder, files sorted by key: the first path segment is the tenant; a file outside one has none. Everything
 * that is no folder is either a file or left out. Links are not followed. Names are bytes: one that is not UTF-8 cannot be
 * the key of an object, and must not be mistaken for another's.
 * @throws UsageError when a file cannot be
 * read or be an object, or a folder cannot be read.
 */
export async function listFolder(directory: string): Promise<{ files: SourceFile[]; leftOut: LeftOut[] }> {
  const files: SourceFile[] = [];
  const leftOut: LeftOut[] = [];
  const folders: Buffer[] = [Buffer.alloc(0)];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const entry of await readFolder(directory, folder)) {
      const path = folder.length === 0 ? entry.name : Buffer.concat([folder, SLASH, entry.name]);
      if (entry.isDirectory()) {
        folders.push(path);
        continue;
      }
      const kind = await judgeEntry(directory, entry, path);
      if (kind === 'file') files.push(await describeFile(directory, path));
      else leftOut.push({ kind, path: printPath(path) });
    }
  }
  leftOut.sort((a, b) => (a.path < b.path ? -1 : 1));
  return { files: files.sort((a, b) => (a.key < b.key ? -1 : 1)), leftOut };
}

/** How much was left out for each reason, and the first paths. */
export function groupLeftOut(leftOut: readonly LeftOut[]): { kind: LeftOutKind; count: number; paths: string[] }[] {
  return [...Map.groupBy(leftOut, ({ kind }) => kind)]
    .map(([kind, found]) => ({
      kind,
      count: found.length,
      paths: found.slice(0, PATHS_NAMED).map(({ path }) => path),
    }))
    .sort((a, b) => (a.kind < b.kind ? -1 : 1));
}

function below(directory: string, path: Buffer): Buffer {
  return Buffer.concat([Buffer.from(directory), SLASH, path]);
}

async function readFolder(directory: string, folder: Buffer): Promise<Dirent<Buffer>[]> {
  try {
    return await readdir(below(directory, folder), { withFileTypes: true, encoding: 'buffer' });
  } catch (error) {
    const named = folder.length === 0 ? '' : `the folder ${JSON.stringify(printPath(folder))} `;
    throw new UsageError(`--files ${directory}: ${named}cannot be read: ${describeSystemError(error)}`);
  }
}

async function judgeEntry(directory: string, entry: Dirent<Buffer>, path: Buffer): Promise<'file' | LeftOutKind> {
  if (entry.isSymbolicLink()) {
    const target = await stat(below(directory, path)).catch(() => undefined);
    return target?.isDirectory() ? 'link to a folder' : 'link';
  }
  if (entry.isFIFO()) return 'FIFO';
  if (entry.isSocket()) return 'socket';
  if (!entry.isFile()) return 'device';
  return isUtf8(path) ? 'file' : 'name that is not UTF-8';
}

function isUtf8(path: Buffer): boolean {
  return Buffer.from(path.toString()).equals(path);
}

/** A path to show. Two paths never look alike. */
function printPath(path: Buffer): string {
  if (isUtf8(path)) return path.toString().replaceAll('\\', '\\\\');
  return [...path]
    .map(byte =>
      byte === 0x5c
        ? '\\\\'
        : byte >= 0x20 && byte < 0x7f
          ? String.fromCharCode(byte)
          : `\\x${byte.toString(16).padStart(2, '0')}`,
    )
    .join('');
}

async function describeFile(directory: string, path: Buffer): Promise<SourceFile> {
  const key = path.toString();
  const segments = key.split('/');
  const tenant = segments.length > 1 ? (segments[0] ?? null) : null;
  const refused = (what: string) => new UsageError(`--files ${directory}: ${what}`);
  if (path.length > LONGEST_KEY_BYTES) {
    throw refused(`a path of ${path.length} bytes cannot be the key of an object; 1,024 are the most`);
  }
  const whole = `${directory}/${key}`;
  try {
    await access(whole, constants.R_OK);
    const { size } = await stat(whole);
    return { key, tenant, sizeBytes: size, open: () => openFile(directory, key) };
  } catch (error) {
    throw refused(`${JSON.stringify(key)} cannot be read: ${describeSystemError(error)}`);
  }
}
