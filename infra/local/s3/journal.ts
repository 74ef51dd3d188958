import { closeSync, existsSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * An append-only file of JSON lines. A line counts once its line feed is written: what a killed process left unfinished at
 * the end is cut off at the next start.
 */
export class Journal {
  readonly #descriptor: number;

  /** Opens the journal, and calls `replay` for each record that it holds, in order. */
  constructor(path: string, replay: (record: unknown) => void) {
    mkdirSync(dirname(path), { recursive: true });
    const completeBytes = existsSync(path) ? replayLines(path, readFileSync(path), replay) : 0;
    this.#descriptor = openSync(path, 'a');
    ftruncateSync(this.#descriptor, completeBytes);
  }

  /** Written when this returns: it survives the death of the process, though not that of the machine. */
  append(record: unknown): void {
    const line = Buffer.from(`${JSON.stringify(record)}\n`);
    for (let written = 0; written < line.length; ) written += writeSync(this.#descriptor, line, written);
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}

function replayLines(path: string, bytes: Buffer, replay: (record: unknown) => void): number {
  let from = 0;
  for (let end = bytes.indexOf(0x0a); end !== -1; end = bytes.indexOf(0x0a, from)) {
    let record: unknown;
    try {
      record = JSON.parse(bytes.toString('utf8', from, end));
    } catch (cause) {
      throw new Error(`${path}: the record at byte ${from} is damaged; remove the local cloud's state and start anew`, {
        cause,
      });
    }
    replay(record);
    from = end + 1;
  }
  return from;
}
