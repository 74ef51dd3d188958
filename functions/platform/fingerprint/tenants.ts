import { readColumnName, readTableName } from '../../contracts/root-name.ts';
import type { RootTenants, TenantIdComparison } from '../../contracts/tenant-names.ts';
import { PermanentError } from '../errors.ts';
import { type Query, quoteIdentifier, quoteName, sqlStateOf } from '../postgres.ts';

/** The configured root table does not give the tenants. */
export class TenantRootError extends PermanentError {}

/**
 * The tenants that the database knows: the values of the root table's key, as the database itself tells them apart. Of texts
 * that it takes for one the first in the order of their bytes is the id.
 * @throws TenantRootError when there is no such table or column, or more than one that the names may mean, it cannot be
 * read, has no id, or not such ones as can be told apart.
 */
export async function listTenants(
  query: Query,
  { rootTable, rootColumn }: { rootTable: string; rootColumn: string },
): Promise<RootTenants> {
  const root = `the root table ${rootTable} (column ${rootColumn})`;
  try {
    const { table, column } = await findRoot(query, rootTable, rootColumn, root);
    const comparison = await findComparison(query, table, column);
    const { idOf, comparedAsOf } = EXPRESSIONS[comparison];
    const rows = await query<{ id: string; comparedAs: string; isNull: boolean; rows: string }>(
      `SELECT min(${idOf} COLLATE "C") AS id, min(${comparedAsOf} COLLATE "C") AS "comparedAs",
              k IS NULL AS "isNull", count(*) AS rows
         FROM (SELECT r.${quoteIdentifier(column)} AS k FROM ${table} r) AS root
        GROUP BY k ORDER BY 1`,
    );
    const tenants = rows.filter(({ isNull }) => !isNull).map(({ id, comparedAs }) => ({ id, comparedAs }));
    if (tenants.length === 0)
      throw new TenantRootError(`${root} has no rows with an id; there is no tenant to protect`);
    if (new Set(tenants.map(({ comparedAs }) => comparedAs)).size < tenants.length) {
      throw new TenantRootError(
        `${root}: different values are printed alike; name a column whose text tells tenants apart`,
      );
    }
    return { comparison, tenants, rowsWithoutId: Number(rows.find(({ isNull }) => isNull)?.rows ?? 0) };
  } catch (error) {
    const reason = REASONS[sqlStateOf(error) ?? ''];
    if (reason === undefined) throw error;
    throw new TenantRootError(`${root} ${reason}`);
  }
}

const REASONS: Readonly<Record<string, string>> = {
  '42501': 'cannot be read by the reader; grant it SELECT, and BYPASSRLS under row security',
  // Neither `=` nor an order: json, xml, point.
  '42883': 'is of a type whose values cannot be compared; name the key of the table',
};

/**
 * `concat` prints any type as it is output. `char(n)` is output with the blanks that it is filled up with.
 * `citext` compares what `lower` makes of it in the database's own collation.
 * https://www.postgresql.org/docs/current/citext.html
 */
const EXPRESSIONS: Readonly<Record<TenantIdComparison, { idOf: string; comparedAsOf: string }>> = {
  exact: { idOf: 'concat(k)', comparedAsOf: 'concat(k)' },
  unknown: { idOf: 'concat(k)', comparedAsOf: 'concat(k)' },
  'ignores-trailing-blanks': { idOf: `rtrim(concat(k), ' ')`, comparedAsOf: `rtrim(concat(k), ' ')` },
  'ignores-case': { idOf: 'concat(k)', comparedAsOf: 'lower(concat(k) COLLATE "default")' },
};

/** How the database compares the values of a column, domains seen through. */
async function findComparison(query: Query, table: string, column: string): Promise<TenantIdComparison> {
  const [found] = await query<{ type: string; isDeterministic: boolean; lowersAsUsual: boolean }>(
    `WITH RECURSIVE type AS (
       SELECT t.typname, t.typtype, t.typbasetype, a.attcollation
         FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
        WHERE a.attrelid = $1::pg_catalog.regclass AND a.attname = $2
       UNION ALL
       SELECT t.typname, t.typtype, t.typbasetype, type.attcollation
         FROM type JOIN pg_catalog.pg_type t ON t.oid = type.typbasetype
        WHERE type.typtype = 'd')
     SELECT typname AS type, coalesce(c.collisdeterministic, true) AS "isDeterministic",
            lower('ABCDEFGHIJKLMNOPQRSTUVWXYZ' COLLATE "default") = 'abcdefghijklmnopqrstuvwxyz' AS "lowersAsUsual"
       FROM type LEFT JOIN pg_catalog.pg_collation c ON c.oid = type.attcollation
      WHERE typtype <> 'd'`,
    [table, column],
  );
  if (found?.type === 'citext') return found.lowersAsUsual ? 'ignores-case' : 'unknown';
  if (found?.isDeterministic === false) return 'unknown';
  return found?.type === 'bpchar' ? 'ignores-trailing-blanks' : 'exact';
}

/** The table, quoted for SQL, and the column that the names mean in this database. */
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
  return { table: quoteName(only.schema, only.table), column: column.name };
}
