import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { DumpFormatError } from './dump-input.ts';

const READ_BYTES = 1024 * 1024;
/** Enough to know a format by. */
const HEAD_BYTES = 512;
const BYTE_ORDER_MARK = '\xef\xbb\xbf';
const GZIP = '\x1f\x8b';
const TO_SQL = 'turn it into SQL: pg_restore --file=dump.sql';

interface OtherFormat {
  readonly is: string;
  readonly remedy: string;
}

/** Other formats by the first bytes of their files (or those that begin `at`), and what to do with them. */
const FORMATS: readonly (OtherFormat & { readonly begins: readonly string[]; readonly at?: number })[] = [
  { begins: ['PGDMP'], is: 'a dump in the custom format', remedy: TO_SQL },
  { begins: ['toc.dat\0'], is: 'a dump in the tar format', remedy: TO_SQL },
  { begins: ['ustar'], at: 257, is: 'a tar archive', remedy: 'unpack it: tar --extract' },
  { begins: ['PK\x03\x04', 'PK\x05\x06', 'PK\x07\x08'], is: 'a zip archive', remedy: 'unpack it: unzip' },
  { begins: ['\xfd7zXZ\0'], is: 'compressed with xz', remedy: 'decompress it: xz --decompress' },
  { begins: ['\x28\xb5\x2f\xfd'], is: 'compressed with zstd', remedy: 'decompress it: zstd --decompress' },
  { begins: ['BZh'], is: 'compressed with bzip2', remedy: 'decompress it: bzip2 --decompress' },
  {
    begins: ['\x04\x22\x4d\x18', '\x02\x21\x4c\x18'],
    is: 'compressed with lz4',
    remedy: 'decompress it: lz4 --decompress',
  },
  { begins: ['7z\xbc\xaf\x27\x1c'], is: 'a 7-Zip archive', remedy: 'unpack it: 7z x' },
  { begins: [GZIP], is: 'compressed with gzip', remedy: 'decompress it: gunzip' },
];
const UTF_16: OtherFormat = { is: 'UTF-16, as PowerShell\'s ">" writes', remedy: 'dump with pg_dump --file' };
const BINARY: OtherFormat = { is: 'binary data and no SQL', remedy: 'dump with pg_dump --format=plain' };

function recognize(head: string): OtherFormat | undefined {
  const format = FORMATS.find(({ begins, at = 0 }) => begins.some(text => head.startsWith(text, at)));
  if (format !== undefined) return format;
  const bytes = [...head.slice(0, 8)];
  const everySecondIsZero = [0, 1].some(
    first => bytes.length === 8 && bytes.every((byte, at) => (byte === '\0') === (at % 2 === first)),
  );
  if (head.startsWith('\xff\xfe') || head.startsWith('\xfe\xff') || everySecondIsZero) return UTF_16;
  return head.includes('\0') ? BINARY : undefined;
}

/**
 * The SQL of a dump file, also of a gzipped one, without a byte order mark.
 * @throws DumpFormatError that names another format and what to do, or says that the file is damaged or cannot be read.
 */
export async function* readDump(file: string): AsyncGenerator<Uint8Array> {
  let gzipped = false;
  try {
    gzipped = (await readHead(file)).startsWith(GZIP);
    const raw = createReadStream(file, { highWaterMark: READ_BYTES });
    const source = gzipped ? pipeline(raw, createGunzip({ chunkSize: READ_BYTES }), () => undefined) : raw;
    let head: Buffer | undefined = Buffer.alloc(0);
    for await (const chunk of source) {
      if (head === undefined) {
        yield chunk as Buffer;
        continue;
      }
      head = Buffer.concat([head, chunk as Buffer]);
      if (head.length < HEAD_BYTES) continue;
      yield checkHead(head, file, gzipped);
      head = undefined;
    }
    if (head !== undefined) yield checkHead(head, file, gzipped);
  } catch (error) {
    throw translate(error, file);
  }
}

async function readHead(file: string): Promise<string> {
  const handle = await open(file);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    return buffer.toString('latin1', 0, bytesRead);
  } finally {
    await handle.close();
  }
}

function checkHead(bytes: Buffer, file: string, gzipped: boolean): Buffer {
  const head = bytes.toString('latin1', 0, HEAD_BYTES);
  const format = recognize(head);
  if (format !== undefined) {
    throw new DumpFormatError(`${file} is ${gzipped ? 'gzipped, and inside ' : ''}${format.is}; ${format.remedy}`);
  }
  return head.startsWith(BYTE_ORDER_MARK) ? bytes.subarray(BYTE_ORDER_MARK.length) : bytes;
}

function translate(error: unknown, file: string): unknown {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return error;
  if (error.code === 'Z_BUF_ERROR') {
    return new DumpFormatError(`${file} is a gzip file that is cut off; copy it anew, and check it: gzip --test`);
  }
  if (error.code.startsWith('Z_')) {
    return new DumpFormatError(`${file} is a damaged gzip file; copy it anew, and check it: gzip --test`);
  }
  if ('syscall' in error) return new DumpFormatError(`${file} cannot be read: ${error.code}`);
  return error;
}
