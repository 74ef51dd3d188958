import type { CheckObstacle, Gap } from '../contracts/gap.ts';
import { inUserSchema } from '../platform/fingerprint/definition.ts';
import { type Query, quoteIdentifier, quoteName } from '../platform/postgres.ts';
import { sqlName } from '../platform/sql-name.ts';
import type { Check } from './check-result.ts';

interface ForeignKey {
  schema: string;
  table: string;
  partitioned: boolean;
  referencedSchema: string;
  referencedTable: string;
  referencedPartitioned: boolean;
  name: string;
  validated: boolean;
  /** f: MATCH FULL, s: MATCH SIMPLE. */
  match: string;
  temporal: boolean;
  columns: {
    from: string;
    to: string;
    operatorSchema: string;
    operator: string;
    collationSchema: string | null;
    collation: string | null;
  }[];
}

/** A check for each foreign key: that every reference has its row. Those that the source never validated are named. */
export async function listForeignKeyChecks(
  query: Query,
  databaseId: string,
): Promise<{ checks: Check[]; gaps: Gap[] }> {
  const keys = await query<ForeignKey>(
    `SELECT n.nspname AS schema, c.relname AS table, c.relkind = 'p' AS partitioned,
            rn.nspname AS "referencedSchema", rc.relname AS "referencedTable", rc.relkind = 'p' AS "referencedPartitioned",
            k.conname AS name, k.convalidated AS validated, k.confmatchtype AS match,
            coalesce((to_jsonb(k) ->> 'conperiod')::boolean, false) AS temporal,
            (SELECT jsonb_agg(jsonb_build_object('from', fa.attname, 'to', ta.attname,
                      'operatorSchema', opn.nspname, 'operator', op.oprname,
                      'collationSchema', cn.nspname, 'collation', co.collname) ORDER BY x.position)
               FROM unnest(k.conkey, k.confkey, k.conpfeqop) WITH ORDINALITY x (from_number, to_number, operator, position)
               JOIN pg_attribute fa ON fa.attrelid = k.conrelid AND fa.attnum = x.from_number
               JOIN pg_attribute ta ON ta.attrelid = k.confrelid AND ta.attnum = x.to_number
               JOIN pg_operator op ON op.oid = x.operator JOIN pg_namespace opn ON opn.oid = op.oprnamespace
               LEFT JOIN pg_collation co ON co.oid = ta.attcollation AND ta.attcollation <> fa.attcollation
               LEFT JOIN pg_namespace cn ON cn.oid = co.collnamespace) AS columns
       FROM pg_constraint k
       JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
       JOIN pg_class rc ON rc.oid = k.confrelid JOIN pg_namespace rn ON rn.oid = rc.relnamespace
      WHERE k.contype = 'f' AND k.conparentid = 0 AND c.relpersistence = 'p' AND ${inUserSchema}
      ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C", k.conname COLLATE "C"`,
  );
  const nameOf = ({ schema, table, name }: ForeignKey) => `${sqlName(schema, table)} ${sqlName(name)}`;
  const gapOf = (key: ForeignKey, why: CheckObstacle): Gap => ({
    kind: 'check-not-made',
    databaseId,
    subject: 'foreign-key',
    name: nameOf(key),
    why,
  });
  return {
    checks: keys
      .filter(({ validated, temporal }) => validated && !temporal)
      .map(key => ({
        subject: 'foreign-key',
        name: nameOf(key),
        gap: why => gapOf(key, why),
        run: async database => {
          const [row] = await database.query<{ violations: string }>(countViolations(key));
          const violations = Number(row?.violations);
          if (violations === 0) return {};
          const detail = `${violations} rows refer to none in ${sqlName(key.referencedSchema, key.referencedTable)}`;
          return { findings: [{ kind: 'foreign-key-violated', place: nameOf(key), detail }] };
        },
      })),
    gaps: keys
      .filter(({ validated, temporal }) => !validated || temporal)
      .map(key => gapOf(key, key.validated ? 'no-check-exists' : 'not-valid-on-source')),
  };
}

// The columns are compared as PostgreSQL itself does when it validates the constraint.
function countViolations(key: ForeignKey): string {
  const from = (column: string) => `f.${quoteIdentifier(column)}`;
  const matches = key.columns.map(({ from: own, to, operatorSchema, operator, collationSchema, collation }) => {
    const collate =
      collationSchema !== null && collation !== null ? ` COLLATE ${quoteName(collationSchema, collation)}` : '';
    return `p.${quoteIdentifier(to)} OPERATOR(${quoteIdentifier(operatorSchema)}.${operator}) ${from(own)}${collate}`;
  });
  // MATCH SIMPLE lets a row with any null go; MATCH FULL only one whose columns are all null.
  const nulls = key.columns.map(column => `${from(column.from)} IS NULL`);
  const excused = key.match === 'f' ? nulls.join(' AND ') : nulls.join(' OR ');
  const only = (partitioned: boolean) => (partitioned ? '' : 'ONLY ');
  return `SELECT count(*)::text AS violations
            FROM ${only(key.partitioned)}${quoteName(key.schema, key.table)} f
           WHERE NOT (${excused})
             AND NOT EXISTS (SELECT FROM ${only(key.referencedPartitioned)}${quoteName(key.referencedSchema, key.referencedTable)} p
                              WHERE ${matches.join(' AND ')})`;
}
