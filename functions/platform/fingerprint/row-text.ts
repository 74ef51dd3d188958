import { quoteIdentifier } from '../postgres.ts';

// A function takes at most 100 arguments (FUNC_MAX_ARGS).
const COLUMNS_PER_CALL = 90;

/** A column, as far as its text is concerned. */
export interface Column {
  readonly name: string;
  readonly notNull: boolean;
  /** Its type prints several values alike: its number is taken, by a cast that nobody can define anew. */
  readonly asNumber?: boolean;
}

/**
 * SQL for whether values of the type `t` (a row of `pg_type`) have one text for several objects: functions of one name, and
 * operators, print without their arguments.
 */
export const printsAlike = `coalesce(nullif(t.typbasetype, 0), t.oid) IN ('regproc'::regtype, 'regoper'::regtype)`;

/**
 * SQL for what decides the text of the rows of the relation `c` (a row of `pg_class`), and nothing else: its columns' names
 * and types in their order, which may be null, and which are computed. Indexes, privileges, comments, other constraints
 * and dropped columns are no part of it.
 */
export const rowShape = `(SELECT coalesce(jsonb_agg(jsonb_build_array(
    a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attgenerated) ORDER BY a.attnum), '[]')
  FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)::text`;

/**
 * SQL for one text that stands for all values of the row `r`, in the columns' order: which are null, then each value as
 * its type prints it. `concat_ws` calls the types' output functions (never a cast, which a user could define) and is
 * twice as fast as `record::text`, which quotes. Values cannot run into each other: the separator is drawn at random.
 * @param separator SQL for the separator's text.
 */
export function rowText(columns: readonly Column[], separator: string): string {
  const calls: string[] = [];
  for (let from = 0; from < columns.length || from === 0; from += COLUMNS_PER_CALL) {
    calls.push(concatenate(columns.slice(from, from + COLUMNS_PER_CALL), separator));
  }
  return calls.length === 1 ? calls.join() : `concat_ws(${[separator, ...calls].join(', ')})`;
}

function concatenate(columns: readonly Column[], separator: string): string {
  const nullable = columns.filter(({ notNull }) => !notNull).map(({ name }) => reference(name));
  // `x IS NULL` is also true of a composite value whose fields are all null; this form asks for the value alone.
  const nulls =
    nullable.length === 0
      ? "''"
      : `CASE WHEN num_nulls(${nullable.join(', ')}) = 0 THEN '' ELSE concat(${nullable
          .map(column => `${column} IS NOT DISTINCT FROM NULL`)
          .join(', ')}) END`;
  const values = columns.map(({ name, asNumber }) => `${reference(name)}${asNumber ? '::oid' : ''}`);
  return `concat_ws(${[separator, nulls, ...values].join(', ')})`;
}

function reference(column: string): string {
  return `r.${quoteIdentifier(column)}`;
}
