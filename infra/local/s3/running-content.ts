import { createHash } from 'node:crypto';
import { type ChecksumAlgorithm, type RunningChecksum, startChecksum } from './checksums.ts';

/** Computes MD5 and checksum of content as it flows by. */
export class RunningContent {
  readonly #md5 = createHash('md5');
  readonly #checksum: RunningChecksum;

  constructor(algorithm: ChecksumAlgorithm) {
    this.#checksum = startChecksum(algorithm);
  }

  async *through(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      this.#md5.update(chunk);
      this.#checksum.update(chunk);
      yield chunk;
    }
  }

  /** In base64; once. */
  md5(): string {
    return this.#md5.digest('base64');
  }

  /** In base64; once. */
  checksum(): string {
    return this.#checksum.digest().toString('base64');
  }
}
