import { createCipheriv, createDecipheriv } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable, Transform, type TransformCallback } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createZstdCompress, createZstdDecompress } from 'node:zlib';
import { PermanentError } from '../../../functions/platform/errors.ts';
import { giveToPostgres, type OperatingSystemUser } from './binaries.ts';

/** A snapshot's file does not hold what was written, or the key is another. */
export class ArchiveDamagedError extends PermanentError {}

/** A file or directory of a data directory; `size` is exactly what `content` gives. */
export interface ArchiveEntry {
  readonly path: string;
  readonly directory: boolean;
  readonly size: number;
  readonly content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

const FRAME_BYTES = 1024 * 1024;
const TAG_BYTES = 16;
const LAST_FRAME = 0x8000_0000;

/**
 * Writes entries into one compressed file, encrypted with AES-256-GCM. `dataKey` must serve this file alone: frames are
 * numbered from zero under it. The file appears under its name only when it is whole.
 */
export async function writeArchive(
  file: string,
  entries: AsyncIterable<ArchiveEntry>,
  dataKey: Uint8Array,
): Promise<void> {
  await writeWhole(file, target =>
    pipeline(
      Readable.from(serialize(entries), { objectMode: false }),
      createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: 1 } }),
      new Encryption(dataKey),
      target,
    ),
  );
}

/** Writes the same content under another key. */
export async function copyArchive(from: string, fromKey: Uint8Array, to: string, toKey: Uint8Array): Promise<void> {
  await writeWhole(to, target =>
    pipeline(
      createReadStream(from, { highWaterMark: FRAME_BYTES }),
      new Decryption(from, fromKey),
      new Encryption(toKey),
      target,
    ),
  );
}

/** Unpacks into a new directory, as files of `owner`. @throws ArchiveDamagedError */
export async function extractArchive(
  file: string,
  dataKey: Uint8Array,
  directory: string,
  owner: OperatingSystemUser | undefined,
): Promise<void> {
  await mkdir(directory, { recursive: true });
  await giveToPostgres(directory, owner);
  await pipeline(
    createReadStream(file, { highWaterMark: FRAME_BYTES }),
    new Decryption(file, dataKey),
    createZstdDecompress(),
    async (plain: AsyncIterable<Uint8Array>) => {
      const reader = new ByteReader(file, plain);
      for (let header = await reader.header(); header !== undefined; header = await reader.header()) {
        const path = join(directory, header.path);
        if (header.directory) {
          await mkdir(path, { mode: 0o700 });
          await giveToPostgres(path, owner);
          continue;
        }
        const handle = await open(path, 'wx', 0o600);
        try {
          if (owner) await handle.chown(owner.uid, owner.gid);
          for await (const part of reader.bytes(header.size)) await handle.write(part);
        } finally {
          await handle.close();
        }
      }
    },
  );
}

async function writeWhole(
  file: string,
  write: (target: ReturnType<typeof createWriteStream>) => Promise<void>,
): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  const draft = `${file}.draft`;
  try {
    await write(createWriteStream(draft, { mode: 0o600 }));
    await rename(draft, file);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}

async function* serialize(entries: AsyncIterable<ArchiveEntry>): AsyncGenerator<Uint8Array> {
  for await (const { path, directory, size, content } of entries) {
    const header = Buffer.from(JSON.stringify({ path, directory, size }));
    const length = Buffer.alloc(4);
    length.writeUInt32BE(header.length);
    yield Buffer.concat([length, header]);
    yield* content;
  }
}

class ByteReader {
  readonly #file: string;
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(file: string, chunks: AsyncIterable<Uint8Array>) {
    this.#file = file;
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  async header(): Promise<Pick<ArchiveEntry, 'path' | 'directory' | 'size'> | undefined> {
    if (this.#rest.length === 0 && !(await this.#more())) return undefined;
    const length = (await this.#exactly(4)).readUInt32BE();
    return JSON.parse((await this.#exactly(length)).toString('utf8'));
  }

  async *bytes(size: number): AsyncGenerator<Uint8Array> {
    for (let left = size; left > 0; ) {
      if (this.#rest.length === 0 && !(await this.#more())) throw this.#short();
      const part = this.#rest.subarray(0, left);
      this.#rest = this.#rest.subarray(part.length);
      left -= part.length;
      yield part;
    }
  }

  async #exactly(length: number): Promise<Buffer> {
    while (this.#rest.length < length) if (!(await this.#more())) throw this.#short();
    const part = this.#rest.subarray(0, length);
    this.#rest = this.#rest.subarray(length);
    return part;
  }

  async #more(): Promise<boolean> {
    const { done, value } = await this.#chunks.next();
    if (done) return false;
    this.#rest = this.#rest.length === 0 ? Buffer.from(value) : Buffer.concat([this.#rest, value]);
    return true;
  }

  #short(): Error {
    return new ArchiveDamagedError(`${this.#file} ends too early`);
  }
}

function nonce(frame: number): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUIntBE(frame, 6, 6);
  return bytes;
}

/** Collects bytes into frames: length (its highest bit marks the last frame), ciphertext, tag. */
class Encryption extends Transform {
  readonly #key: Uint8Array;
  #frame = 0;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;

  constructor(key: Uint8Array) {
    super();
    this.#key = key;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#waiting.push(chunk);
    this.#waitingBytes += chunk.length;
    // A frame is written only once more follows: the last one is marked.
    while (this.#waitingBytes > FRAME_BYTES) {
      const all = Buffer.concat(this.#waiting);
      this.#seal(all.subarray(0, FRAME_BYTES), false);
      this.#waiting = [all.subarray(FRAME_BYTES)];
      this.#waitingBytes -= FRAME_BYTES;
    }
    done();
  }

  override _flush(done: TransformCallback): void {
    this.#seal(Buffer.concat(this.#waiting), true);
    done();
  }

  #seal(plain: Buffer, last: boolean): void {
    const length = Buffer.alloc(4);
    length.writeUInt32BE((plain.length | (last ? LAST_FRAME : 0)) >>> 0);
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce(this.#frame++)).setAAD(length);
    this.push(length);
    this.push(cipher.update(plain));
    cipher.final();
    this.push(cipher.getAuthTag());
  }
}

class Decryption extends Transform {
  readonly #file: string;
  readonly #key: Uint8Array;
  #frame = 0;
  #rest: Buffer = Buffer.alloc(0);
  #ended = false;

  constructor(file: string, key: Uint8Array) {
    super();
    this.#file = file;
    this.#key = key;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    try {
      while (this.#rest.length >= 4) {
        const marked = this.#rest.readUInt32BE();
        const end = 4 + (marked & ~LAST_FRAME) + TAG_BYTES;
        if (this.#rest.length < end) break;
        this.#unseal(this.#rest.subarray(0, end), marked >= LAST_FRAME);
        this.#rest = this.#rest.subarray(end);
      }
      done();
    } catch (cause) {
      done(new ArchiveDamagedError(`${this.#file} does not decrypt: it is damaged`, { cause }));
    }
  }

  override _flush(done: TransformCallback): void {
    const whole = this.#ended && this.#rest.length === 0;
    done(whole ? null : new ArchiveDamagedError(`${this.#file} ends too early`));
  }

  #unseal(frame: Buffer, last: boolean): void {
    if (this.#ended) throw new ArchiveDamagedError(`${this.#file} goes on after its end`);
    const body = frame.subarray(4, -TAG_BYTES);
    const decipher = createDecipheriv('aes-256-gcm', this.#key, nonce(this.#frame++))
      .setAAD(frame.subarray(0, 4))
      .setAuthTag(frame.subarray(-TAG_BYTES));
    const plain = decipher.update(body);
    decipher.final();
    this.push(plain);
    this.#ended = last;
  }
}
