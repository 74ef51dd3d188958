import type { InstanceDatabase } from '../contracts/fingerprint.ts';
import type { Gap } from '../contracts/gap.ts';

/**
 * The databases that every instance has. Into the last two nobody of the supplier's can connect, and so nobody's tables
 * come there: `template0` takes no connections, and `rdsadmin` is RDS's own.
 * https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Appendix.PostgreSQL.CommonDBATasks.Roles.html
 * https://www.postgresql.org/docs/current/manage-ag-templatedbs.html
 */
const SYSTEM_DATABASES: ReadonlySet<string> = new Set(['postgres', 'template1', 'template0', 'rdsadmin']);
const CLOSED_DATABASES: ReadonlySet<string> = new Set(['template0', 'rdsadmin']);

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
  const tableCounts = new Map<string, number | null>();
  for (const { name, tableCount } of listings.flat()) {
    const known = tableCounts.get(name);
    // Where one listing could not see, that it had no tables in another says little.
    const isUnknown = tableCount === null || known === null;
    tableCounts.set(name, isUnknown ? null : Math.max(tableCount, known ?? 0));
  }
  return [...tableCounts]
    .filter(([name]) => !proved.has(name))
    .map(([name, tableCount]) => {
      const isEmpty = tableCount === 0 || (tableCount === null && CLOSED_DATABASES.has(name));
      return SYSTEM_DATABASES.has(name) && isEmpty
        ? { kind: 'system-database', databaseId, name }
        : { kind: 'other-database', databaseId, name, tableCount };
    });
}
