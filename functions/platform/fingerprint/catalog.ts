import type { SequenceState, UnreadableRelation } from '../../contracts/fingerprint.ts';
import { type Query, quoteName, sqlStateOf } from '../postgres.ts';
import { sqlName } from '../sql-name.ts';
import { inUserSchema } from './definition.ts';
import { circularRange, type XidRange } from './horizon.ts';

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
    const refuse = (reason: UnreadableRelation['reason']) =>
      unreadable.push({ schema, relation: table, reason, rowCount: null });
    if (relkind === 'f') refuse('foreign-table');
    else if (relpersistence === 'u') refuse('unlogged');
    else if (!readable) refuse('permission-denied');
    else if (filtered) refuse('row-level-security');
    else if (!populated) refuse('unpopulated-view');
    else relations.push({ schema, table, kind: relkind === 'm' ? 'materialized-view' : 'table' });
  }
  const [largeObjects] = await query<{ count: string }>('SELECT count(*)::text AS count FROM pg_largeobject_metadata');
  const rowCount = Number(largeObjects?.count);
  if (rowCount > 0) {
    unreadable.push({ schema: 'pg_catalog', relation: 'pg_largeobject', reason: 'large-objects', rowCount });
  }
  return { relations, unreadable };
}

/** The names (`nameOf`) of relations whose entry in the catalog one of these transactions made. */
export async function listMadeWithin(query: Query, transactions: XidRange): Promise<ReadonlySet<string>> {
  const { start, length } = circularRange(transactions);
  const rows = await query<{ schema: string; table: string }>(
    `SELECT n.nspname AS schema, c.relname AS table FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'm', 'f') AND c.xmin::text::bigint >= 3
        AND (c.xmin::text::bigint - $1::bigint) & 4294967295 < $2::bigint`,
    [start, length],
  );
  return new Set(rows.map(nameOf));
}

const SEQUENCES_PER_QUERY = 100;

/**
 * Where each sequence stands that survives a restore. `pg_sequences` does not tell one that was set from one that was never
 * used, so each is read itself.
 */
export async function listSequences(query: Query): Promise<SequenceState[]> {
  const sequences = await query<Omit<SequenceState, 'value'>>(
    `SELECT n.nspname AS schema, c.relname AS sequence, s.seqincrement::text AS increment, s.seqmin::text AS minimum,
            s.seqmax::text AS maximum, s.seqcycle AS cycle, pg_relation_filenode(c.oid)::text AS "fileNode"
       FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relpersistence = 'p'
      ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"`,
  );
  const states: SequenceState[] = [];
  for (let from = 0; from < sequences.length; from += SEQUENCES_PER_QUERY) {
    const some = sequences.slice(from, from + SEQUENCES_PER_QUERY);
    try {
      const values = await readSequences(query, some);
      states.push(...some.map((sequence, place) => ({ ...sequence, value: values[place] ?? null })));
    } catch (error) {
      if (sqlStateOf(error) === undefined) throw error;
      // One of them cannot be read: which it is, each says for itself.
      for (const sequence of some) {
        const value = await readSequences(query, [sequence]).catch(sqlStateOf);
        if (value === NO_SUCH_RELATION) continue;
        states.push({ ...sequence, value: (Array.isArray(value) ? value[0] : null) ?? null });
      }
    }
  }
  return states;
}

const NO_SUCH_RELATION = '42P01';

function readSequences(
  query: Query,
  sequences: readonly Pick<SequenceState, 'schema' | 'sequence'>[],
): Promise<SequenceState['value'][]> {
  const selects = sequences.map(
    ({ schema, sequence }, place) =>
      `SELECT ${place} AS place, s.last_value::text AS "lastValue", s.is_called AS "isCalled", s.log_cnt::int AS "logCount" FROM ${quoteName(schema, sequence)} s`,
  );
  return query(`SELECT "lastValue", "isCalled", "logCount" FROM (${selects.join(' UNION ALL ')}) s ORDER BY place`);
}
