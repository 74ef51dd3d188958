import type { SequenceState, UnreadableRelation } from '../../contracts/fingerprint.ts';
import { type Query, quoteName } from '../postgres.ts';
import { sqlName } from '../sql-name.ts';
import { inUserSchema } from './definition.ts';

/** A relation whose rows are measured. */
export interface Relation {
  readonly schema: string;
  readonly table: string;
  readonly kind: 'table' | 'materialized-view';
}

/** The name of a relation in findings and messages, and its key: no two relations share one. */
export function nameOf({ schema, table }: { schema: string; table: string }): string {
  return sqlName(schema, table);
}

/** SQL for the rows of this relation alone, without those of tables that inherit from it. */
export function onlyFrom({ schema, table }: { schema: string; table: string }): string {
  return `ONLY ${quoteName(schema, table)}`;
}

/**
 * The relations that hold rows: ordinary tables, leaf partitions, populated materialized views; temporary ones are left
 * out. Beside them what exists but cannot be read, or does not survive a crash or a restore, with the reason.
 */
export async function listRelations(
  query: Query,
): Promise<{ relations: Relation[]; unreadable: UnreadableRelation[] }> {
  const rows = await query<{
    schema: string;
    table: string;
    relkind: string;
    relpersistence: string;
    populated: boolean;
    filtered: boolean;
    readable: boolean;
  }>(
    `SELECT n.nspname AS schema, c.relname AS table, c.relkind, c.relpersistence, c.relispopulated AS populated,
            c.relkind = 'r' AND row_security_active(c.oid) AS filtered,
            coalesce(has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'), false) AS readable
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'm', 'f') AND c.relpersistence <> 't' AND ${inUserSchema}
      ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"`,
  );
  const relations: Relation[] = [];
  const unreadable: UnreadableRelation[] = [];
  for (const { schema, table, relkind, relpersistence, populated, filtered, readable } of rows) {
    const refuse = (reason: UnreadableRelation['reason']) => unreadable.push({ schema, relation: table, reason });
    if (relkind === 'f') refuse('foreign-table');
    else if (relpersistence === 'u') refuse('unlogged');
    else if (!readable) refuse('permission-denied');
    else if (filtered) refuse('row-level-security');
    else if (populated) relations.push({ schema, table, kind: relkind === 'm' ? 'materialized-view' : 'table' });
  }
  const [largeObjects] = await query<{ there: boolean }>(
    'SELECT EXISTS (SELECT FROM pg_largeobject_metadata) AS there',
  );
  if (largeObjects?.there) {
    unreadable.push({ schema: 'pg_catalog', relation: 'pg_largeobject', reason: 'large-objects' });
  }
  return { relations, unreadable };
}

/** Where each sequence stands. Cycling ones are left out: of them neither value is ahead of the other. */
export function listSequences(query: Query): Promise<SequenceState[]> {
  return query<SequenceState>(
    `SELECT schemaname AS schema, sequencename AS sequence, last_value::text AS "lastValue", increment_by::text AS increment
       FROM pg_sequences WHERE NOT cycle AND schemaname !~ '^pg_(toast|temp)'
      ORDER BY schemaname COLLATE "C", sequencename COLLATE "C"`,
  );
}
