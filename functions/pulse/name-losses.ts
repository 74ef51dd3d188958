import { isSameThing, type Loss, lossName, type MissedThing, readLossName } from '../contracts/losses.ts';

/** Where a loss gets its name when it is missed for the first time. */
export interface Moment {
  /** The id of the present instant. */
  readonly since: string;
  /** The newest recovery point; undefined where none can be read: an object that is gone has no name then. */
  readonly newestId: string | undefined;
}

/**
 * Names what is missed. What was missed before keeps its name for as long as it is missed, whichever recovery point is the
 * newest by then; what was there again meanwhile and is missed once more gets another name, which no acceptance covers.
 * @param before names of all that the last pulse missed, accepted or not.
 * @returns a name for each thing; undefined for an object that cannot have one now.
 */
export function nameLosses(
  missed: readonly MissedThing[],
  before: readonly string[],
  { since, newestId }: Moment,
): (string | undefined)[] {
  const known = before.map(name => ({ name, loss: readLossName(name) }));
  return missed.map(thing => {
    const same = known.find(({ loss }) => isSameThing(thing, loss));
    if (same !== undefined) return same.name;
    if (thing.kind !== 'object-gone') return lossName({ ...thing, since } as Loss);
    return newestId === undefined ? undefined : lossName({ ...thing, since, recoveryPointId: newestId });
  });
}
