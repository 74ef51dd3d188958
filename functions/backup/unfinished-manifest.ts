import type { NotCoveredReason } from '../contracts/object-manifest.ts';
import { NotCoveredObject, type ObjectManifestLine } from '../contracts/object-manifest.ts';
import { PermanentError } from '../platform/errors.ts';
import { LineSpool, type SpooledLines } from '../platform/line-spool.ts';

/** A work file of a tenant that stopped for time does not hold what this step writes. */
export class UnfinishedManifestInvalidError extends PermanentError {}

/** Where the three kinds of line in an unfinished manifest's file begin. */
const LINE = '+';
const NOT_COVERED = '-';
const POSITION = '>';

/**
 * A manifest in the making, with the list of what it does not cover. Both keep the order in which they are added. Close
 * it in the end, whatever happened.
 */
export class UnfinishedManifest {
  readonly #lines: LineSpool;
  readonly #notCovered: LineSpool;
  readonly #open: { close(): Promise<void> }[] = [];
  #ended = false;
  /** The last source key that was dealt with. */
  lastKey: string | undefined;

  private constructor(lines: LineSpool, notCovered: LineSpool) {
    this.#lines = lines;
    this.#notCovered = notCovered;
  }

  static async start(): Promise<UnfinishedManifest> {
    return new UnfinishedManifest(await LineSpool.create(), await LineSpool.create());
  }

  /** Goes on with what `suspend` left. @throws UnfinishedManifestInvalidError */
  static async resume(suspended: SpooledLines): Promise<UnfinishedManifest> {
    const manifest = await UnfinishedManifest.start();
    for await (const text of suspended.read()) {
      const rest = text.slice(1);
      if (text[0] === LINE) await manifest.#lines.write(rest);
      else if (text[0] === NOT_COVERED) await manifest.#notCovered.write(rest);
      else if (text[0] === POSITION) manifest.lastKey = JSON.parse(rest);
      else throw new UnfinishedManifestInvalidError('an unfinished manifest is not valid; run the backup again');
    }
    return manifest;
  }

  /** Adds an object. `text` is the line, or its own serialization. */
  addLine(line: string | ObjectManifestLine): Promise<void> | undefined {
    return this.#lines.write(typeof line === 'string' ? line : JSON.stringify(line));
  }

  addNotCovered(key: string, reason: NotCoveredReason): Promise<void> | undefined {
    return this.#notCovered.write(JSON.stringify(NotCoveredObject.parse({ key, reason })));
  }

  /** Ends it: the manifest's lines, and those of what is not covered. They are closed with it. */
  async end(): Promise<{ lines: SpooledLines; notCovered: SpooledLines }> {
    this.#ended = true;
    const lines = await this.#lines.end();
    this.#open.push(lines);
    const notCovered = await this.#notCovered.end();
    this.#open.push(notCovered);
    return { lines, notCovered };
  }

  /** Ends it for now: one file of lines from which `resume` goes on. It is closed with it. */
  async suspend(): Promise<SpooledLines> {
    const { lines, notCovered } = await this.end();
    const spool = await LineSpool.create();
    for await (const text of lines.read()) await spool.write(LINE + text);
    for await (const text of notCovered.read()) await spool.write(NOT_COVERED + text);
    if (this.lastKey !== undefined) await spool.write(POSITION + JSON.stringify(this.lastKey));
    const suspended = await spool.end();
    this.#open.push(suspended);
    return suspended;
  }

  async close(): Promise<void> {
    if (!this.#ended) await Promise.all([this.#lines.discard(), this.#notCovered.discard()]);
    await Promise.all(this.#open.map(file => file.close()));
  }
}
