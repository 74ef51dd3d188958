import type { InstanceDatabase } from '../contracts/fingerprint.ts';
import type { Gap } from '../contracts/gap.ts';
import { unprovedDatabases } from '../platform/fingerprint/instance-databases.ts';

/**
 * Names each database of an instance that no test proves, as the source and the restored copy list them together.
 * @param listings of the source before and after the snapshot, and of the copy.
 * @param proved the names of databases that the configuration has an entry for.
 */
export function judgeInstance(
  databaseId: string,
  listings: readonly (readonly InstanceDatabase[])[],
  proved: ReadonlySet<string>,
): Gap[] {
  return unprovedDatabases(listings, proved).map(({ name, tableCount, isSystem }) =>
    isSystem ? { kind: 'system-database', databaseId, name } : { kind: 'other-database', databaseId, name, tableCount },
  );
}
