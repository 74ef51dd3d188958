import type { InstanceDatabase } from '../../contracts/fingerprint.ts';
import { type Database, DatabaseAccessDeniedError, DatabaseQueryError, type Query } from '../postgres.ts';
import { inUserSchema } from './definition.ts';

/**
 * The databases that every instance has. Into the last two nobody of the supplier's can connect, and so nobody's tables
 * come there: `template0` takes no connections, and `rdsadmin` is RDS's own.
 * https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Appendix.PostgreSQL.CommonDBATasks.Roles.html
 * https://www.postgresql.org/docs/current/manage-ag-templatedbs.html
 */
const SYSTEM_DATABASES: ReadonlySet<string> = new Set(['postgres', 'template1', 'template0', 'rdsadmin']);
const CLOSED_DATABASES: ReadonlySet<string> = new Set(['template0', 'rdsadmin']);

/**
 * Each database of an instance that nothing proves, of several listings of it.
 * @param proved the names of databases that the configuration has an entry for.
 * @returns with `isSystem` for one that PostgreSQL or RDS made, without tables of anybody's.
 */
export function unprovedDatabases(
  listings: readonly (readonly InstanceDatabase[])[],
  proved: ReadonlySet<string>,
): (InstanceDatabase & { isSystem: boolean })[] {
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
      return { name, tableCount, isSystem: SYSTEM_DATABASES.has(name) && isEmpty };
    });
}

/**
 * The other databases of an instance, which a snapshot holds as well: how many tables of anybody's each has, that of its
 * large objects among them where there are some, or null where the reader may not connect.
 * @param query asks the database that is measured.
 * @param open another database of the same instance, as its reader.
 */
export async function listInstanceDatabases(
  query: Query,
  open: (databaseName: string) => Database,
): Promise<InstanceDatabase[]> {
  const databases = await query<{ name: string; connectable: boolean }>(
    `SELECT datname AS name, datallowconn AND has_database_privilege(oid, 'CONNECT') AS connectable
       FROM pg_database WHERE datname <> current_database() ORDER BY datname COLLATE "C"`,
  );
  const listed: InstanceDatabase[] = [];
  for (const { name, connectable } of databases) {
    listed.push({ name, tableCount: connectable ? await countTables(open(name)) : null });
  }
  return listed;
}

async function countTables(database: Database): Promise<number | null> {
  try {
    const [row] = await database.query<{ count: string }>(
      `SELECT (count(*) + (SELECT count(*) FROM (SELECT FROM pg_largeobject_metadata LIMIT 1) o))::text AS count FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'm', 'f') AND c.relpersistence <> 't' AND ${inUserSchema}`,
    );
    return Number(row?.count);
  } catch (error) {
    // The server refuses whom the catalog lets in (`pg_hba.conf` does for RDS’s own), or the database was dropped just now.
    if (error instanceof DatabaseAccessDeniedError || error instanceof DatabaseQueryError) return null;
    throw error;
  } finally {
    await database.close();
  }
}
