import type { InstanceDatabase } from '../../contracts/fingerprint.ts';
import { type Database, DatabaseAccessDeniedError, DatabaseQueryError, type Query } from '../postgres.ts';
import { inUserSchema } from './definition.ts';

/**
 * The other databases of an instance, which a snapshot holds as well: how many tables of anybody's each has, or null where
 * the reader may not connect.
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
      `SELECT count(*)::text AS count FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
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
