import { PermanentError } from '../../../functions/platform/errors.ts';

/** The dump holds something that `pg_dump` does not write, or ends too early. */
export class DumpFormatError extends PermanentError {}

/** The dump ends inside something that goes on. */
export class DumpCutOffError extends DumpFormatError {
  /** @param where `inside the statement of line 7`. */
  constructor(where: string) {
    super(`the dump ends ${where}: it is cut off`);
  }
}

const NEWLINE = 0x0a;

/** The bytes of a dump, in bounded memory, with the number of the line that the next one is on. */
export class DumpInput {
  line = 1;
  ended = false;
  readonly #chunks: AsyncIterator<Uint8Array>;
  #bytes: Buffer = Buffer.alloc(0);

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#chunks = source[Symbol.asyncIterator]();
  }

  /** What is read and not yet taken. */
  peek(): Buffer {
    return this.#bytes;
  }

  /** Reads the next chunk, if there is one. */
  async fill(): Promise<void> {
    if (this.ended) return;
    const { done, value } = await this.#chunks.next();
    if (done) this.ended = true;
    else this.#bytes = this.#bytes.length === 0 ? Buffer.from(value) : Buffer.concat([this.#bytes, value]);
  }

  /** Reads until `length` bytes are there, or the dump ends; returns what is there. */
  async atLeast(length: number): Promise<Buffer> {
    while (this.#bytes.length < length && !this.ended) await this.fill();
    return this.#bytes;
  }

  take(length: number): Buffer {
    const taken = this.#bytes.subarray(0, length);
    this.#bytes = this.#bytes.subarray(length);
    for (let at = taken.indexOf(NEWLINE); at !== -1; at = taken.indexOf(NEWLINE, at + 1)) this.line++;
    return taken;
  }

  /** Takes the rest of the line. */
  async takeLine(): Promise<string> {
    let end = this.#bytes.indexOf(NEWLINE);
    while (end === -1 && !this.ended) {
      await this.fill();
      end = this.#bytes.indexOf(NEWLINE);
    }
    return this.take(end === -1 ? this.#bytes.length : end + 1).toString('latin1');
  }
}

/**
 * The data behind `COPY … FROM stdin;`, as they are, up to the line that holds only `\.`, which is taken too.
 * @param line where the COPY statement stands.
 * @throws DumpCutOffError when the dump ends before.
 */
export async function* readCopyData(input: DumpInput, line: number): AsyncGenerator<Buffer> {
  let atLineStart = true;
  for (;;) {
    const bytes = input.peek();
    const end = findEndOfData(bytes, atLineStart);
    if (end !== undefined) {
      const last = Buffer.from(input.take(end.from));
      input.take(end.length);
      if (last.length > 0) yield last;
      return;
    }
    const part = input.take(bytes.length - beginOfEnd(bytes, atLineStart));
    if (part.length > 0) {
      atLineStart = part.at(-1) === NEWLINE;
      yield part;
    }
    if (input.ended) {
      throw new DumpCutOffError(`inside the data of the COPY of line ${line}`);
    }
    await input.fill();
  }
}

function findEndOfData(bytes: Buffer, atLineStart: boolean): { from: number; length: number } | undefined {
  for (let at = bytes.indexOf('\\.'); at !== -1; at = bytes.indexOf('\\.', at + 1)) {
    if (at === 0 ? !atLineStart : bytes[at - 1] !== NEWLINE) continue;
    if (bytes[at + 2] === NEWLINE) return { from: at, length: 3 };
    if (bytes[at + 2] === 0x0d && bytes[at + 3] === NEWLINE) return { from: at, length: 4 };
  }
  return undefined;
}

// How many bytes at the end may be the beginning of the end marker; they wait for the next chunk.
function beginOfEnd(bytes: Buffer, atLineStart: boolean): number {
  const lineStart = bytes.lastIndexOf(NEWLINE) + 1;
  if (lineStart === 0 && !atLineStart) return 0;
  const line = bytes.toString('latin1', lineStart, lineStart + 4);
  return '\\.\r\n'.startsWith(line) ? line.length : 0;
}
