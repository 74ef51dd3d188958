import { TenantId } from '../../contracts/identifiers.ts';
import { PermanentError } from '../errors.ts';
import { type Query, quoteIdentifier, quoteName, sqlStateOf } from '../postgres.ts';

/** The configured root table does not give the tenants. */
export class TenantRootError extends PermanentError {}

/**
 * The tenants that the database knows: the distinct values of the root table's key, sorted. Some may not be valid as
 * tenants: one odd id must not keep the whole database from being backed up, so that the recovery point reports it.
 * @throws TenantRootError when there is no such table or column, it cannot be read, has no rows, or no value at all is
 * valid as a tenant: then it is not the key.
 */
export async function listTenants(
  query: Query,
  { rootTable, rootColumn }: { rootTable: string; rootColumn: string },
): Promise<string[]> {
  const root = `the root table ${rootTable} (column ${rootColumn})`;
  const dot = rootTable.indexOf('.');
  const table = quoteName(dot < 0 ? 'public' : rootTable.slice(0, dot), rootTable.slice(dot + 1));
  let ids: string[];
  try {
    const rows = await query<{ tenant: string }>(
      `SELECT DISTINCT concat(r.${quoteIdentifier(rootColumn)}) COLLATE "C" AS tenant FROM ${table} r ORDER BY 1`,
    );
    ids = rows.map(({ tenant }) => tenant);
  } catch (error) {
    const state = sqlStateOf(error);
    const reason = { '42P01': 'does not exist', '3F000': 'does not exist', '42703': 'has no such column' }[state ?? ''];
    if (reason)
      throw new TenantRootError(`${root} ${reason}; name the table that has one row for each tenant, and its key`);
    if (state === '42501') {
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
