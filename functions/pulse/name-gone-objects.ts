import { readLossName } from '../contracts/decisions.ts';

/**
 * Names of vault objects as losses, by their keys. A backup writes a manifest that says the same again, under the same key:
 * that it is gone once more is another loss, and an acceptance of the first must not cover it. So a name holds the recovery
 * point that was the newest when the object was missed, and stays the same for as long as it is missed.
 * @param lost names of what the last pulse found lost and nobody had accepted.
 * @param newestId the newest recovery point; undefined where none can be read: what was not known before has no name then,
 * and is not accepted.
 * @returns ids without the kind, for those that have one.
 */
export function nameGoneObjects(
  keys: readonly string[],
  lost: readonly string[],
  newestId: string | undefined,
): ReadonlyMap<string, string> {
  const known = new Map(
    lost
      .map(readLossName)
      .filter(({ kind }) => kind === 'object-gone')
      .map(({ id }) => [id.slice(id.indexOf('/') + 1), id]),
  );
  return new Map(
    keys.flatMap(key => {
      const id = known.get(key) ?? (newestId === undefined ? undefined : `${newestId}/${key}`);
      return id === undefined ? [] : [[key, id]];
    }),
  );
}
