import { addMs, parseInstant } from '../platform/clock.ts';
import type { ListedVersion } from '../platform/s3.ts';

/** The clocks of RDS and of S3 may differ by so much, and a snapshot takes a moment to be taken. */
const TOLERANCE_MS = 60_000;

/**
 * Chooses, of all versions of one key, the one that was current at a moment. `add` them from the newest to the oldest, as
 * S3 lists them.
 *
 * S3 keeps times to the second and by its own clock, so that within a minute of the moment nobody can say what came first.
 * There a file too many is right and a file too few is not, because restored rows may name it: one that was deleted in the
 * minute before is taken, and one that came in the minute after, where the key had nothing else.
 *
 * A version that was written while the bucket kept no versions (its id is `null`) may have replaced another, of which
 * nothing is left. It is taken however late it came, where the key has nothing older.
 *
 * What was uploaded in parts counts from the beginning of its upload: S3 knows no other time of it. So of an upload that
 * was under way at the moment the new content is taken.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
 */
export class VersionChoice {
  // Instants are compared as they are written, which is their order: there may be millions.
  readonly #asOf: string;
  readonly #from: string;
  readonly #to: string;
  #atMoment: ListedVersion | undefined;
  #later: ListedVersion | undefined;
  #isDone = false;

  constructor(asOf: string) {
    this.#asOf = asOf;
    this.#from = addMs(parseInstant(asOf), -TOLERANCE_MS).toISOString();
    this.#to = addMs(parseInstant(asOf), TOLERANCE_MS).toISOString();
  }

  add(version: ListedVersion): void {
    if (this.#isDone) return;
    const { lastModified, versionId, isDeleteMarker } = version;
    if (lastModified > this.#asOf) {
      if (!isDeleteMarker && (lastModified <= this.#to || versionId === 'null')) this.#later = version;
    } else if (isDeleteMarker) {
      this.#isDone = lastModified <= this.#from;
    } else {
      this.#atMoment = version;
      this.#isDone = true;
    }
  }

  /** Whether no older version can change what is chosen. */
  get isMade(): boolean {
    return this.#isDone;
  }

  /** The version chosen of those that were added since the last call, which begins anew; undefined where there was none. */
  take(): ListedVersion | undefined {
    const chosen = this.#atMoment ?? this.#later;
    this.#atMoment = undefined;
    this.#later = undefined;
    this.#isDone = false;
    return chosen;
  }
}
