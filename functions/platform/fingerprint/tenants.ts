import { TenantId } from '../../contracts/identifiers.ts';
import { readColumnName, readTableName } from '../../contracts/root-name.ts';
import { PermanentError } from '../errors.ts';
import { type Query, quoteIdentifier, quoteName, sqlStateOf } from '../postgres.ts';

/** The configured root table does not give the tenants. */
export class TenantRootError extends PermanentError {}

/**
 * The tenants that the database knows: the distinct values of the root table's key, sorted. Some may not be valid as
 * tenants: one odd id must not keep the whole database from being backed up, so that the recovery point reports it.
 * @throws TenantRootError when there is no such table or column, or more than one that the names may mean, it cannot be read, has no rows, or no value at all is
 * valid as a tenant: then it is not the key.
 */
export async function listTenants(
  query: Query,
  { rootTable, rootColumn }: { rootTable: string; rootColumn: string },
): Promise<string[]> {
  const root = `the root table ${rootTable} (column ${rootColumn})`;
  let ids: string[];
  try {
    const { table, column } = await findRoot(query, rootTable, rootColumn, root);
    const rows = await query<{ tenant: string }>(
      `SELECT DISTINCT concat(r.${column}) COLLATE "C" AS tenant FROM ${table} r ORDER BY 1`,
    );
    ids = rows.map(({ tenant }) => tenant);
  } catch (error) {
    if (sqlStateOf(error) === '42501') {
      throw new TenantRootError(
        `${root} cannot be read by the reader; grant it SELECT, and BYPASSRLS under row security`,
      );
    }
    throw error;
  }
  if (ids.length === 0) throw new TenantRootError(`${root} has no rows; there is no tenant to protect`);
  if (!ids.some(id => TenantId.safeParse(id).success)) {
    throw new TenantRootError(
      `${root}: ${ids.length} of ${ids.length} values cannot name a tenant; they must match [A-Za-z0-9][A-Za-z0-9_-]{0,62}`,
    );
  }
  return ids;
}

/** The table and column that the names mean in this database, quoted for SQL. */
async function findRoot(
  query: Query,
  rootTable: string,
  rootColumn: string,
  root: string,
): Promise<{ table: string; column: string }> {
  const tables = readTableName(rootTable);
  if ('problem' in tables) throw new TenantRootError(`${root}: its name ${tables.problem}`);
  const column = readColumnName(rootColumn);
  if ('problem' in column) throw new TenantRootError(`${root}: the column's name ${column.problem}`);
  const found = await query<{ schema: string; table: string; hasColumn: boolean }>(
    `SELECT n.nspname::text AS schema, c.relname::text AS table, a.attname IS NOT NULL AS "hasColumn"
       FROM unnest($1::text[], $2::text[]) AS r (nspname, relname)
       JOIN pg_namespace n USING (nspname)
       JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = r.relname AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
       LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = $3 AND a.attnum > 0 AND NOT a.attisdropped`,
    [tables.readings.map(({ schema }) => schema), tables.readings.map(({ table }) => table), column.name],
  );
  const [only, ...others] = found.filter(({ hasColumn }) => hasColumn);
  if (only === undefined) {
    const reason = found.length === 0 ? 'does not exist' : 'has no such column';
    throw new TenantRootError(`${root} ${reason}; name the table that has one row for each tenant, and its key`);
  }
  if (others.length > 0) {
    const names = [only, ...others].map(({ schema, table }) => quoteName(schema, table));
    throw new TenantRootError(`${root} may mean ${names.sort().join(' or ')}; write the name with its double quotes`);
  }
  return { table: quoteName(only.schema, only.table), column: quoteIdentifier(column.name) };
}
