import { randomUUID } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readdirSync, rmSync, unlinkSync, writeSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';

/** Bytes as they are stored: at hand, or in a file of the content folder. */
export type Content =
  | { readonly kind: 'memory'; readonly bytes: Buffer }
  | { readonly kind: 'file'; readonly id: string; readonly sizeBytes: number };

/** Larger content goes to a file, where there is a folder; smaller content lies in the journal. */
const MAXIMUM_INLINE_BYTES = 96 * 1024;

/** Keeps content, in memory or below a folder. What it is given is already encrypted. */
export class ContentStore {
  readonly #folder: string | undefined;
  /** How many readers hold a file, by its id. */
  readonly #holders = new Map<string, number>();
  readonly #removedWhileHeld = new Set<string>();

  constructor(folder: string | undefined) {
    this.#folder = folder;
    if (folder !== undefined) mkdirSync(folder, { recursive: true });
  }

  /** Stores all chunks; of a stream that fails, nothing stays. */
  async write(chunks: AsyncIterable<Buffer>): Promise<Content> {
    let kept: Buffer[] = [];
    let keptBytes = 0;
    let file: { id: string; path: string; descriptor: number; sizeBytes: number } | undefined;
    const spill = () => {
      if (this.#folder === undefined) return;
      if (file === undefined) {
        const id = randomUUID();
        const path = join(this.#folder, id);
        file = { id, path, descriptor: openSync(path, 'wx'), sizeBytes: 0 };
      }
      writeFully(file.descriptor, Buffer.concat(kept));
      file.sizeBytes += keptBytes;
      kept = [];
      keptBytes = 0;
    };
    try {
      for await (const chunk of chunks) {
        kept.push(chunk);
        keptBytes += chunk.length;
        if (keptBytes > MAXIMUM_INLINE_BYTES) spill();
      }
      if (file === undefined) return { kind: 'memory', bytes: Buffer.concat(kept) };
      spill();
      closeSync(file.descriptor);
      return { kind: 'file', id: file.id, sizeBytes: file.sizeBytes };
    } catch (error) {
      if (file !== undefined) {
        closeSync(file.descriptor);
        unlinkSync(file.path);
      }
      throw error;
    }
  }

  /** The bytes from `from` up to `to` (exclusive), in chunks of `chunkBytes`, the last one shorter. */
  async *read(content: Content, from: number, to: number, chunkBytes: number): AsyncGenerator<Buffer> {
    if (content.kind === 'memory') {
      for (let at = from; at < to; at += chunkBytes) yield content.bytes.subarray(at, Math.min(at + chunkBytes, to));
      return;
    }
    const file = await open(join(this.#folder ?? '', content.id), 'r');
    try {
      for (let at = from; at < to; at += chunkBytes) {
        const wanted = Math.min(chunkBytes, to - at);
        const chunk = Buffer.allocUnsafe(wanted);
        let filled = 0;
        while (filled < wanted) {
          const { bytesRead } = await file.read(chunk, filled, wanted - filled, at + filled);
          if (bytesRead === 0) throw new Error(`the stored content ${content.id} is shorter than its record says`);
          filled += bytesRead;
        }
        yield chunk;
      }
    } finally {
      await file.close();
    }
  }

  /**
   * Keeps content readable until the returned function is called, even if it is removed meanwhile: whoever began to read
   * an object gets the whole of it.
   */
  hold(contents: readonly Content[]): () => void {
    const ids = contents.flatMap(content => (content.kind === 'file' ? [content.id] : []));
    for (const id of ids) this.#holders.set(id, (this.#holders.get(id) ?? 0) + 1);
    return () => {
      for (const id of ids.splice(0)) {
        const others = (this.#holders.get(id) ?? 1) - 1;
        if (others > 0) this.#holders.set(id, others);
        else {
          this.#holders.delete(id);
          if (this.#removedWhileHeld.delete(id)) this.#removeFile(id);
        }
      }
    };
  }

  remove(content: Content): void {
    if (content.kind === 'memory') return;
    if (this.#holders.has(content.id)) this.#removedWhileHeld.add(content.id);
    else this.#removeFile(content.id);
  }

  #removeFile(id: string): void {
    rmSync(join(this.#folder ?? '', id), { force: true });
  }

  /** Removes the files that no record names: a process that was killed left them. */
  removeUnnamed(isNamed: (id: string) => boolean): void {
    if (this.#folder === undefined) return;
    for (const id of readdirSync(this.#folder)) {
      if (!isNamed(id)) rmSync(join(this.#folder, id), { force: true });
    }
  }
}

function writeFully(descriptor: number, bytes: Buffer): void {
  for (let written = 0; written < bytes.length; ) written += writeSync(descriptor, bytes, written);
}
