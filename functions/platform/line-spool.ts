import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { createZstdCompress, createZstdDecompress, type ZstdDecompress } from 'node:zlib';

const CHUNK_CHARACTERS = 64 * 1024;
const READ_BYTES = 64 * 1024;

/**
 * Lines on their way to or from S3, zstd-compressed in a temporary file. The file has no name once it is open, so that
 * nothing readable stays behind whatever happens to the process.
 */
export interface SpooledLines {
  readonly file: FileHandle;
  /** Of the compressed file. */
  readonly fileBytes: number;
  /** Of the uncompressed lines. */
  readonly sha256: string;
  readonly lineCount: number;
  /** The lines without their line feeds, from the first. */
  read(): AsyncGenerator<string>;
  /** Gives the file back to the system. */
  close(): Promise<void>;
}

/** Collects lines one by one in constant memory. `end` once, or `discard`. */
export class LineSpool {
  readonly #file: FileHandle;
  readonly #compress = createZstdCompress();
  readonly #hash = createHash('sha256');
  readonly #written: Promise<void>;
  #pending = '';
  #lineCount = 0;

  private constructor(file: FileHandle) {
    this.#file = file;
    this.#written = writeAll(file, this.#compress);
    this.#written.catch(() => {});
  }

  static async create(): Promise<LineSpool> {
    return new LineSpool(await openNamelessFile());
  }

  /** Adds one line; `line` holds no line feed. Await what it returns: the file may be slower than the lines. */
  write(line: string): Promise<void> | undefined {
    this.#pending += line;
    this.#pending += '\n';
    this.#lineCount++;
    return this.#pending.length < CHUNK_CHARACTERS ? undefined : this.#flush();
  }

  async end(): Promise<SpooledLines> {
    await this.#flush();
    this.#compress.end();
    await this.#written;
    return spooled(this.#file, this.#hash.digest('hex'), this.#lineCount);
  }

  async discard(): Promise<void> {
    this.#compress.destroy();
    await this.#written.catch(() => {});
    await this.#file.close();
  }

  async #flush(): Promise<void> {
    const chunk = Buffer.from(this.#pending);
    this.#pending = '';
    this.#hash.update(chunk);
    if (!this.#compress.write(chunk)) await Promise.race([once(this.#compress, 'drain'), this.#written]);
  }
}

/** Spools lines that arrive compressed, and reads them once to know their digest and number. */
export async function spoolCompressed(compressed: Readable): Promise<SpooledLines> {
  const file = await openNamelessFile();
  try {
    await writeAll(file, compressed);
    const hash = createHash('sha256');
    let lineCount = 0;
    for await (const chunk of decompressed(file)) {
      hash.update(chunk);
      for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, at + 1)) lineCount++;
    }
    return await spooled(file, hash.digest('hex'), lineCount);
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function spooled(file: FileHandle, sha256: string, lineCount: number): Promise<SpooledLines> {
  const { size } = await file.stat();
  return {
    file,
    fileBytes: size,
    sha256,
    lineCount,
    read: () => splitLines(decompressed(file)),
    close: () => file.close(),
  };
}

// Streams of node:fs close the file when they are cut short, so that a second close could hit somebody else's file.
async function writeAll(file: FileHandle, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const chunk of chunks) {
    for (let from = 0; from < chunk.byteLength; ) from += (await file.write(chunk, from)).bytesWritten;
  }
}

/** Feeds a file to `stream` through one buffer: each piece is taken in before the next is read over it. */
async function feed(file: FileHandle, stream: ZstdDecompress): Promise<void> {
  const buffer = Buffer.allocUnsafe(READ_BYTES);
  // A stream that fails or is destroyed never says what became of its last write.
  const closed = new Promise<void>(resolve => stream.once('close', resolve));
  for (let position = 0; !stream.destroyed; ) {
    const { bytesRead } = await file.read(buffer, 0, READ_BYTES, position);
    if (bytesRead === 0) break;
    position += bytesRead;
    const written = new Promise<void>(resolve => {
      stream.write(buffer.subarray(0, bytesRead), () => resolve());
    });
    await Promise.race([written, closed]);
  }
  stream.end();
}

async function* decompressed(file: FileHandle): AsyncGenerator<Buffer> {
  const decompress = createZstdDecompress({ chunkSize: READ_BYTES });
  const fed = feed(file, decompress).catch(error => {
    decompress.destroy(error);
  });
  try {
    yield* decompress;
  } finally {
    // Whoever closes the file next must find nothing reading it.
    decompress.destroy();
    await fed;
  }
}

/** Splits at line feeds; whatever follows the last one is a line too, so that a cut file is noticed. */
async function* splitLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let rest: Buffer[] = [];
  for await (const chunk of chunks) {
    let from = 0;
    for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, from)) {
      if (rest.length === 0) yield chunk.toString('utf8', from, at);
      else {
        yield Buffer.concat([...rest, chunk.subarray(from, at)]).toString('utf8');
        rest = [];
      }
      from = at + 1;
    }
    if (from < chunk.length) rest.push(chunk.subarray(from));
  }
  if (rest.length > 0) yield Buffer.concat(rest).toString('utf8');
}

async function openNamelessFile(): Promise<FileHandle> {
  const folder = await mkdtemp(join(tmpdir(), 'daybreak-'));
  try {
    return await open(join(folder, 'lines.zst'), 'wx+', 0o600);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
