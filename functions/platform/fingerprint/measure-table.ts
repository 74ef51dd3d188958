import type { Digest, TableFingerprint } from '../../contracts/fingerprint.ts';
import { type Database, type Query, sqlStateOf } from '../postgres.ts';
import { currentRuntime } from '../runtime.ts';
import { nameOf, onlyFrom, type Relation } from './catalog.ts';
import { relationDefinition } from './definition.ts';
import { circularRange, parseSnapshot, recentRange, type Snapshot, type XidRange } from './horizon.ts';
import { type Column, rowText } from './row-text.ts';

/** What a table looks like in the transaction that measures it, before its rows are read. */
export interface TableDetails {
  readonly definitionSha256: string;
  readonly columns: readonly (Column & { derived: boolean })[];
  /** The columns of the primary key, else of a unique index over plain columns; empty where there is neither. */
  readonly keyColumns: readonly string[];
  readonly estimatedRows: number;
  readonly fileNode: string;
  readonly removedRowCount: number | null;
  readonly snapshotText: string;
  readonly snapshot: Snapshot;
}

/** How a table's rows are told apart. Measurements are comparable when everything but `recent` and `later` is equal. */
export interface MeasurementPlan {
  readonly seeds: readonly [string, string];
  readonly bucketColumns: readonly string[];
  readonly bucketCount: number;
  /** Ids of transactions whose rows are not settled. */
  readonly recent: XidRange;
  /** Ids of transactions after the backup: their rows are counted apart. Only on a restored copy. */
  readonly later?: XidRange;
}

/** The rows of a table by bucket; a bucket without rows is left out. */
export interface MeasuredRows {
  readonly settled: Record<string, Digest>;
  readonly recent: Record<string, Digest>;
  readonly later: Record<string, Digest>;
}

/** No such table, no such schema. */
const NO_SUCH_RELATION = new Set(['42P01', '3F000']);
const ROWS_PER_BUCKET = 500;
const MAXIMUM_BUCKETS = 4096;

/** The plan of a *before* measurement; later ones repeat it (`planLike`). */
export function planAfresh(details: TableDetails, seeds: readonly [string, string]): MeasurementPlan {
  return {
    seeds,
    bucketColumns: details.keyColumns,
    bucketCount: Math.min(Math.max(Math.round(details.estimatedRows / ROWS_PER_BUCKET), 1), MAXIMUM_BUCKETS),
    recent: recentRange(details.snapshot.xmin, details.snapshot),
  };
}

/**
 * The plan of an *after* measurement. Where the columns that made the buckets are gone, buckets cannot be compared any
 * more: then the table gets a plan of its own, over the same horizon.
 */
export function planLike(
  before: TableFingerprint,
  details: TableDetails,
  seeds: readonly [string, string],
): MeasurementPlan {
  const columns = new Set(details.columns.map(({ name }) => name));
  const recent = recentRange(BigInt(before.horizon), details.snapshot);
  return before.bucketColumns.every(column => columns.has(column))
    ? { seeds, bucketColumns: before.bucketColumns, bucketCount: before.bucketCount, recent }
    : { ...planAfresh(details, seeds), recent };
}

/**
 * Measures one relation in a transaction of its own: locks it against a change of its definition, takes a snapshot, lets
 * `plan` decide, and reads the rows once.
 *
 * The whole relation is read by one statement. Reading it in ranges, each in its own transaction, would not be sound: a
 * row that was settled in A's snapshot could be gone before its range is read, so that the restored copy, which may still
 * hold it, would hold more than *before*. A table that one call of a function cannot read is reported as not readable.
 *
 * @returns undefined where there is no such relation any more.
 * @throws DatabaseQueryError 55P03 where another session keeps the table locked.
 */
export async function measureTable<P extends MeasurementPlan>(
  database: Database,
  relation: Relation,
  plan: (details: TableDetails) => P,
): Promise<{ details: TableDetails; plan: P; rows: MeasuredRows } | undefined> {
  try {
    return await database.transaction('REPEATABLE READ', async query => {
      await lockRelation(query, relation);
      const details = await describeTable(query, relation);
      if (!details) return undefined;
      const chosen = plan(details);
      return { details, plan: chosen, rows: await readRows(query, relation, details, chosen) };
    });
  } catch (error) {
    if (NO_SUCH_RELATION.has(sqlStateOf(error) ?? '')) return undefined;
    throw error;
  }
}

// LOCK takes no snapshot: the transaction's snapshot is taken after the lock, so no rewrite can come between them.
// Materialized views cannot be locked by name; what `recentRange` adds covers their refresh.
async function lockRelation(query: Query, relation: Relation): Promise<void> {
  if (relation.kind === 'table') await query(`LOCK TABLE ${onlyFrom(relation)} IN ACCESS SHARE MODE`);
}

async function describeTable(query: Query, { schema, table }: Relation): Promise<TableDetails | undefined> {
  const [row] = await query<{
    definition: string;
    columns: (Column & { derived: boolean })[] | null;
    keyColumns: string[] | null;
    estimatedRows: number;
    fileNode: string;
    removed: string | null;
    snapshot: string;
  }>(
    `SELECT encode(sha256(convert_to(${relationDefinition}, 'UTF8')), 'hex') AS definition,
            (SELECT jsonb_agg(jsonb_build_object('name', a.attname, 'notNull', a.attnotnull, 'derived', a.attgenerated = 'v') ORDER BY a.attnum)
               FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
            (SELECT (SELECT jsonb_agg(a.attname ORDER BY k.position)
                       FROM unnest(x.indkey) WITH ORDINALITY k (attnum, position)
                       JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.attnum
                      WHERE k.position <= x.indnkeyatts)
               FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
              WHERE x.indrelid = c.oid AND x.indisunique AND x.indisvalid AND x.indpred IS NULL AND x.indexprs IS NULL
              ORDER BY NOT x.indisprimary, i.relname COLLATE "C" LIMIT 1) AS "keyColumns",
            CASE WHEN c.reltuples >= 0 THEN c.reltuples ELSE pg_relation_size(c.oid) / 100.0 END::float8 AS "estimatedRows",
            pg_relation_filenode(c.oid)::text AS "fileNode",
            ${REMOVED_ROWS} AS removed,
            pg_current_snapshot()::text AS snapshot
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = $1 AND c.relname = $2`,
    [schema, table],
  );
  if (!row) return undefined;
  return {
    definitionSha256: row.definition,
    columns: row.columns ?? [],
    keyColumns: row.keyColumns ?? [],
    estimatedRows: row.estimatedRows,
    fileNode: row.fileNode,
    removedRowCount: row.removed === null ? null : Number(row.removed),
    snapshotText: row.snapshot,
    snapshot: parseSnapshot(row.snapshot),
  };
}

// Since PostgreSQL 15 an idle session reports what it did within STATISTICS_DELAY_MS; before, only with its next transaction.
const REMOVED_ROWS = `CASE WHEN current_setting('track_counts')::boolean AND current_setting('server_version_num')::int >= 150000
    THEN (pg_stat_get_tuples_updated(c.oid) + pg_stat_get_tuples_deleted(c.oid))::text END`;

/** An idle session has reported what it removed after so long (PGSTAT_IDLE_INTERVAL is 10 s). */
export const STATISTICS_DELAY_MS = 11_000;

/** Rows deleted or updated so far, by `schema.table`; null where they are not counted exactly. */
export async function countRemovedRows(query: Query): Promise<Map<string, number | null>> {
  const rows = await query<{ schema: string; table: string; removed: string | null }>(
    `SELECT n.nspname AS schema, c.relname AS table, ${REMOVED_ROWS} AS removed
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'm')`,
  );
  return new Map(rows.map(({ removed, ...relation }) => [nameOf(relation), removed === null ? null : Number(removed)]));
}

async function readRows(
  query: Query,
  relation: Relation,
  details: TableDetails,
  plan: MeasurementPlan,
): Promise<MeasuredRows> {
  const separator = `$1::text`;
  const stored = details.columns.filter(({ derived }) => !derived);
  const key = stored.filter(({ name }) => plan.bucketColumns.includes(name));
  const text = rowText(stored, separator);
  const keyText = plan.bucketColumns.length > 0 ? rowText(key, separator) : text;
  const recent = circularRange(plan.recent);
  const later = circularRange(plan.later ?? { from: 0n, until: 0n });
  // The volatile function is never called. It keeps the planner from merging the inner query into the outer one, where
  // each row's text would be made once for each hash, and unlike OFFSET 0 it leaves parallel aggregation possible.
  const rows = await query<{ bucket: string; part: 0 | 1 | 2; rows: string; first: string; second: string }>(
    `SELECT bucket::text, part, count(*)::text AS rows,
            sum(hashtextextended(content COLLATE "C", $2::bigint))::text AS first,
            sum(hashtextextended(content COLLATE "C", $3::bigint))::text AS second
       FROM (SELECT ${text} AS content,
                    (hashtextextended((${keyText}) COLLATE "C", 0) & 9223372036854775807) % $4::bigint AS bucket,
                    CASE WHEN r.xmin::text::bigint < 3 THEN 0
                         WHEN (r.xmin::text::bigint - $5::bigint) & 4294967295 < $6::bigint THEN 2
                         WHEN (r.xmin::text::bigint - $7::bigint) & 4294967295 < $8::bigint THEN 1
                         ELSE 0 END AS part,
                    CASE WHEN false THEN clock_timestamp() END
               FROM ${onlyFrom(relation)} r) q
      GROUP BY bucket, part`,
    [
      `\u001f${BigInt.asUintN(64, BigInt(plan.seeds[0])).toString(36)}`,
      ...plan.seeds,
      plan.bucketCount,
      later.start,
      later.length,
      recent.start,
      recent.length,
    ],
  );
  const measured: MeasuredRows = { settled: {}, recent: {}, later: {} };
  for (const row of rows) {
    const part = measured[(['settled', 'recent', 'later'] as const)[row.part]];
    part[row.bucket] = { rows: Number(row.rows), sums: [row.first, row.second] };
  }
  return measured;
}

/** A measurement of the source as it is kept. */
export function toFingerprint(
  relation: Relation,
  { details, plan, rows }: { details: TableDetails; plan: MeasurementPlan; rows: MeasuredRows },
): TableFingerprint {
  return {
    schema: relation.schema,
    table: relation.table,
    kind: relation.kind,
    definitionSha256: details.definitionSha256,
    bucketColumns: [...plan.bucketColumns],
    bucketCount: plan.bucketCount,
    horizon: plan.recent.from.toString(),
    snapshot: details.snapshotText,
    measuredAt: currentRuntime().clock.now().toISOString(),
    settled: rows.settled,
    recent: rows.recent,
    removedRowCount: details.removedRowCount,
    fileNode: details.fileNode,
  };
}
