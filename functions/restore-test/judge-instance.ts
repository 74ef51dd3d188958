import type { Configuration } from '../contracts/configuration.ts';
import type { InstanceDatabase } from '../contracts/fingerprint.ts';
import type { Gap } from '../contracts/gap.ts';
import type { RecoveryPoint } from '../contracts/recovery-point.ts';
import { unprovedDatabases } from '../platform/fingerprint/instance-databases.ts';

/**
 * Names each database of an instance that no test proves, as the source and the restored copy list them together.
 * @param listings of the source before and after the snapshot, and of the copy.
 * @param proved the names of the databases that the test proves (`provedBeside`).
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

/**
 * The names of the databases that are proved together with `databaseId`: those that the recovery point holds in the same
 * snapshot. What the configuration names since is in the snapshot, and no fingerprint knows it. Only the first of them
 * tells of the other databases of the instance, and gets the names: each other database is named once.
 */
export function provedBeside(
  databaseId: string,
  { databases }: Pick<RecoveryPoint, 'databases'>,
  configuration: Pick<Configuration, 'databases'>,
): ReadonlySet<string> | undefined {
  const snapshotId = databases.find(database => database.databaseId === databaseId)?.snapshot?.id;
  const ids = databases
    .filter(({ snapshot, fingerprints }) => snapshot?.id === snapshotId && fingerprints !== null)
    .map(database => database.databaseId);
  const entries = configuration.databases
    .filter(({ id }) => ids.includes(id))
    .toSorted((a, b) => (a.id < b.id ? -1 : 1));
  return entries[0]?.id === databaseId ? new Set(entries.map(({ databaseName }) => databaseName)) : undefined;
}
