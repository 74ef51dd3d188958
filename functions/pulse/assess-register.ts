import type { RegisterEntryId } from '../contracts/identifiers.ts';
import { CONFIRMED_WITHIN_MS, kindOfEntry } from '../contracts/register.ts';
import { entryOfRegisterKey, registerEntryKey } from '../contracts/vault-layout.ts';
import { addMs, parseInstant } from '../platform/clock.ts';
import type { LedgerProjection } from '../platform/ledger-projection.ts';
import type { ListedVersion } from '../platform/s3-listing.ts';

/** The register as the ledger has it. */
type RecordedRegister = LedgerProjection['register'];

/** Something that lies in the register's bucket otherwise than it was recorded. */
export interface RegisterProblem {
  /** Null where no entry may lie: what such an object is called may be anything. */
  readonly entry: RegisterEntryId | null;
  /**
   * `gone`: a version that counts, or is about to, is not there any more. `altered`: another version, or a delete marker,
   * has for an hour been in its place; the recorded one is still below it. `left`: something lies there, and the ledger
   * holds nothing of it.
   */
  readonly problem: 'gone' | 'altered' | 'left';
}

/** Words lie there before they are recorded: so long an act may be under way. */
const UNDER_WAY_MS = 60 * 60 * 1000;

/**
 * What does not lie in the register's bucket as the ledger recorded it, by entry. It reads no words: each entry of the
 * ledger names the version that it is about, and S3 never gives a version another content. Since when something lies in the
 * place of what was recorded is told by the first of what was put there, so that nobody stays unseen by writing again.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/versioning-workflows.html
 * @param versions everything in the bucket, the newest of a key first, listed after the ledger was read.
 */
export function assessRegister(
  recorded: RecordedRegister,
  versions: readonly ListedVersion[],
  now: Date,
): RegisterProblem[] {
  const settled = addMs(now, -UNDER_WAY_MS).toISOString();
  const listed = Map.groupBy(versions, ({ key }) => key);
  const problems: RegisterProblem[] = [];
  for (const [id, { latest, before }] of Object.entries(recorded)) {
    const key = registerEntryKey(id);
    const all = listed.get(key) ?? [];
    listed.delete(key);
    const waits = now.getTime() < parseInstant(latest.countsFrom).getTime();
    const needed = [latest, ...(waits && before !== null ? [before] : [])];
    const places = needed.map(({ versionId }) => all.findIndex(version => version.versionId === versionId));
    const [place = -1] = places;
    const above = all[place - 1];
    if (places.some(index => index < 0)) problems.push({ entry: id, problem: 'gone' });
    else if (above !== undefined && above.lastModified <= settled) problems.push({ entry: id, problem: 'altered' });
  }
  for (const [key, all] of listed) {
    const marker = all.findIndex(({ isDeleteMarker }) => isDeleteMarker);
    const first = (marker < 0 ? all : all.slice(0, marker)).at(-1);
    if (first !== undefined && first.lastModified <= settled)
      problems.push({ entry: entryOfRegisterKey(key) ?? null, problem: 'left' });
  }
  return problems;
}

/** Contacts that nobody confirmed for twelve months. */
export function contactsNotConfirmed(recorded: RecordedRegister, now: Date): RegisterEntryId[] {
  const due = (confirmedAt: string) => addMs(parseInstant(confirmedAt), CONFIRMED_WITHIN_MS).getTime();
  return Object.entries(recorded).flatMap(([id, { confirmedAt }]) =>
    kindOfEntry(id) === 'contact' && now.getTime() > due(confirmedAt) ? [id] : [],
  );
}
