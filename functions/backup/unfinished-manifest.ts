import { NotCoveredObject, type ObjectManifestLine } from '../contracts/object-manifest.ts';
import { PermanentError } from '../platform/errors.ts';
import { LineSpool, type SpooledLines } from '../platform/line-spool.ts';

/** A work file of a tenant that stopped for time does not hold what this step writes. */
export class UnfinishedManifestInvalidError extends PermanentError {}

/** Where the three kinds of line in a segment begin. */
const LINE = '+';
const NOT_COVERED = '-';
const POSITION = '>';

/** Where segments are kept between two calls of a step, each by the SHA-256 of its lines. */
export interface SegmentStore {
  put(segment: SpooledLines): Promise<void>;
  /** The caller closes it. */
  open(sha256: string): Promise<SpooledLines>;
}

/**
 * A manifest in the making, with the list of what it does not cover, in segments: one is open, the earlier ones are in the
 * store. So stopping for time writes no more than one segment, however large the manifest is. Both keep the order in which
 * they are added. Close it in the end, whatever happened.
 */
export class UnfinishedManifest {
  readonly #store: SegmentStore;
  readonly #linesPerSegment: number;
  readonly #stored: string[];
  #open: LineSpool | undefined;
  #ended: SpooledLines | undefined;
  #openLines = 0;
  #lastKey: string | undefined;

  private constructor(
    store: SegmentStore,
    linesPerSegment: number,
    stored: readonly string[],
    lastKey: string | undefined,
  ) {
    this.#store = store;
    this.#linesPerSegment = linesPerSegment;
    this.#stored = [...stored];
    this.#lastKey = lastKey;
  }

  /** Goes on with the segments that are stored. @throws UnfinishedManifestInvalidError */
  static async resume(
    store: SegmentStore,
    linesPerSegment: number,
    stored: readonly string[],
  ): Promise<UnfinishedManifest> {
    const last = stored.at(-1);
    let lastKey: string | undefined;
    if (last !== undefined) {
      for await (const text of readSegment(store, last)) if (text[0] === POSITION) lastKey = JSON.parse(text.slice(1));
      if (lastKey === undefined) throw invalid();
    }
    return new UnfinishedManifest(store, linesPerSegment, stored, lastKey);
  }

  /** The last source key that was dealt with. */
  get lastKey(): string | undefined {
    return this.#lastKey;
  }

  /** The segments that are stored, in their order. */
  get stored(): readonly string[] {
    return this.#stored;
  }

  /** Adds an object. `text` is the line, or its own serialization. */
  addLine(line: string | ObjectManifestLine): Promise<void> {
    return this.#write(LINE + (typeof line === 'string' ? line : JSON.stringify(line)));
  }

  addNotCovered(object: NotCoveredObject): Promise<void> {
    return this.#write(NOT_COVERED + JSON.stringify(NotCoveredObject.parse(object)));
  }

  /** Everything up to and with this key is dealt with. A segment that is full is stored. */
  async reach(key: string): Promise<void> {
    this.#lastKey = key;
    if (this.#openLines >= this.#linesPerSegment) await this.suspend();
  }

  /** Stores the open segment, so that `resume` can go on from here. */
  async suspend(): Promise<void> {
    if (this.#lastKey === undefined) return;
    await this.#write(POSITION + JSON.stringify(this.#lastKey));
    const segment = await this.#end();
    if (segment === undefined) return;
    await this.#store.put(segment);
    this.#stored.push(segment.sha256);
    await this.#forget();
  }

  /** What was added so far, from the first. Nothing can be added any more. */
  async *read(): AsyncGenerator<{ kind: 'line' | 'not-covered'; text: string }> {
    const open = await this.#end();
    for (const sha256 of this.#stored) yield* entries(readSegment(this.#store, sha256));
    if (open !== undefined) yield* entries(open.read());
  }

  async close(): Promise<void> {
    await this.#end();
    await this.#forget();
  }

  async #write(text: string): Promise<void> {
    this.#open ??= await LineSpool.create();
    this.#openLines++;
    await this.#open.write(text);
  }

  async #end(): Promise<SpooledLines | undefined> {
    const open = this.#open;
    this.#open = undefined;
    if (open !== undefined) this.#ended = await open.end();
    return this.#ended;
  }

  async #forget(): Promise<void> {
    const ended = this.#ended;
    this.#ended = undefined;
    this.#openLines = 0;
    await ended?.close();
  }
}

async function* readSegment(store: SegmentStore, sha256: string): AsyncGenerator<string> {
  const segment = await store.open(sha256);
  try {
    yield* segment.read();
  } finally {
    await segment.close();
  }
}

async function* entries(texts: AsyncIterable<string>): AsyncGenerator<{ kind: 'line' | 'not-covered'; text: string }> {
  for await (const text of texts) {
    const rest = text.slice(1);
    if (text[0] === LINE) yield { kind: 'line', text: rest };
    else if (text[0] === NOT_COVERED) yield { kind: 'not-covered', text: rest };
    else if (text[0] !== POSITION) throw invalid();
  }
}

function invalid(): UnfinishedManifestInvalidError {
  return new UnfinishedManifestInvalidError('a segment of an unfinished manifest is not valid; run the backup again');
}
