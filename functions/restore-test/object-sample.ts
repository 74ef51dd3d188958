import { createHash } from 'node:crypto';
import type { ObjectManifestLine } from '../contracts/object-manifest.ts';

/**
 * Draws the objects of one manifest that a restore test restores: the largest, the newest, and others at random up to the
 * sample's size. The draw depends on the test's id and the vault names alone, so that a step that goes on later draws the
 * same, and nobody can know it before the test has its id.
 */
export class ObjectSample {
  readonly #seed: string;
  readonly #size: number;
  /** The smallest digests so far, in order. */
  readonly #drawn: { digest: string; index: number }[] = [];
  #largest: { sizeBytes: number; index: number } | undefined;
  #newest: { lastModified: string; index: number } | undefined;

  constructor(seed: string, size: number) {
    this.#seed = seed;
    this.#size = size;
  }

  add(index: number, line: Pick<ObjectManifestLine, 'vaultName' | 'sizeBytes' | 'lastModified'>): void {
    if (this.#largest === undefined || line.sizeBytes > this.#largest.sizeBytes) {
      this.#largest = { sizeBytes: line.sizeBytes, index };
    }
    if (this.#newest === undefined || line.lastModified > this.#newest.lastModified) {
      this.#newest = { lastModified: line.lastModified, index };
    }
    const digest = createHash('sha256').update(`${this.#seed}/${line.vaultName}`).digest('hex');
    const last = this.#drawn.at(-1);
    if (this.#drawn.length === this.#size && last !== undefined && digest >= last.digest) return;
    const at = this.#drawn.findIndex(drawn => drawn.digest > digest);
    this.#drawn.splice(at === -1 ? this.#drawn.length : at, 0, { digest, index });
    if (this.#drawn.length > this.#size) this.#drawn.pop();
  }

  /** The indexes drawn: as many as the sample's size, or two where that is one; all where there are fewer. */
  indexes(): Set<number> {
    const indexes = new Set<number>();
    if (this.#largest !== undefined) indexes.add(this.#largest.index);
    if (this.#newest !== undefined) indexes.add(this.#newest.index);
    for (const { index } of this.#drawn) {
      if (indexes.size >= this.#size) break;
      indexes.add(index);
    }
    return indexes;
  }
}
