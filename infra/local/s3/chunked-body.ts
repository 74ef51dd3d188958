import { S3Error } from './errors.ts';

const MAXIMUM_LINE_BYTES = 8 * 1024;
const MAXIMUM_TRAILERS = 8;

/**
 * Decodes a body in `aws-chunked` framing
 * (https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html): `<size in hex>[;chunk-signature=…]`, the bytes,
 * until a chunk of size 0, then the trailing headers. Chunk signatures must be there where `signed`, but are not checked:
 * the local cloud knows no secret keys.
 * @param onTrailer called for each trailing header, its name in lower case, before the iteration ends.
 * @throws S3Error where the framing is broken.
 */
export async function* decodeChunks(
  body: AsyncIterable<Uint8Array>,
  signed: boolean,
  onTrailer: (name: string, value: string) => void,
): AsyncGenerator<Uint8Array> {
  const reader = new ByteReader(body);
  const chunkHead = signed ? /^([0-9a-fA-F]{1,12});chunk-signature=[0-9a-f]{64}$/ : /^([0-9a-fA-F]{1,12})$/;
  for (;;) {
    const size = chunkHead.exec(await reader.readLine())?.[1];
    if (size === undefined) throw brokenFraming('a chunk does not begin with its size');
    const sizeBytes = Number.parseInt(size, 16);
    if (sizeBytes === 0) break;
    yield* reader.readExactly(sizeBytes);
    if ((await reader.readLine()) !== '') throw brokenFraming('a chunk is longer than its size');
  }
  for (let count = 0; ; count++) {
    const line = await reader.readLine();
    if (line === '') break;
    const separator = line.indexOf(':');
    if (separator < 1 || count === MAXIMUM_TRAILERS) throw brokenFraming('a trailing header is not valid');
    onTrailer(line.slice(0, separator).trim().toLowerCase(), line.slice(separator + 1).trim());
  }
  if (!(await reader.isAtEnd())) throw brokenFraming('something follows the last chunk');
}

function brokenFraming(what: string): S3Error {
  return new S3Error(
    400,
    'IncompleteBody',
    `The request body terminated unexpectedly or is not valid aws-chunked: ${what}`,
  );
}

class ByteReader {
  readonly #source: AsyncIterator<Uint8Array>;
  #buffer: Uint8Array = new Uint8Array(0);
  #ended = false;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Up to the next CRLF, which is consumed. */
  async readLine(): Promise<string> {
    let searched = 0;
    for (;;) {
      const end = this.#buffer.indexOf(0x0a, searched);
      if (end !== -1) {
        if (this.#buffer[end - 1] !== 0x0d) throw brokenFraming('a line does not end with CRLF');
        const line = Buffer.from(this.#buffer.subarray(0, end - 1)).toString('latin1');
        this.#buffer = this.#buffer.subarray(end + 1);
        return line;
      }
      searched = this.#buffer.length;
      if (searched > MAXIMUM_LINE_BYTES) throw brokenFraming('a line is too long');
      if (!(await this.#fill())) throw brokenFraming('the last chunk is missing');
    }
  }

  async *readExactly(bytes: number): AsyncGenerator<Uint8Array> {
    for (let missing = bytes; missing > 0; ) {
      if (this.#buffer.length === 0 && !(await this.#fill())) throw brokenFraming('a chunk is shorter than its size');
      const piece = this.#buffer.subarray(0, missing);
      this.#buffer = this.#buffer.subarray(piece.length);
      missing -= piece.length;
      if (piece.length > 0) yield piece;
    }
  }

  async isAtEnd(): Promise<boolean> {
    while (this.#buffer.length === 0) if (!(await this.#fill())) return true;
    return false;
  }

  async #fill(): Promise<boolean> {
    if (this.#ended) return false;
    const { value, done } = await this.#source.next();
    if (done === true) {
      this.#ended = true;
      return false;
    }
    this.#buffer = this.#buffer.length === 0 ? value : Buffer.concat([this.#buffer, value]);
    return true;
  }
}
