import type { TableFingerprint } from '../../contracts/fingerprint.ts';
import { type Database, type Query, sqlStateOf } from '../postgres.ts';
import { currentRuntime } from '../runtime.ts';
import { BucketDigests } from './bucket-digests.ts';
import { nameOf, onlyFrom, type Relation } from './catalog.ts';
import { relationDefinition } from './definition.ts';
import { circularRange, parseSnapshot, recentRange, type Snapshot, type XidRange } from './horizon.ts';
import { type Column, printsAlike, rowShape, rowText } from './row-text.ts';

/**
 * How a table of any size is measured: in ranges of its blocks, each in a short transaction of its own.
 *
 * Let H be `pg_snapshot_xmin` of the first range's snapshot, and a row be settled when its `xmin` is below H. Let S(t) be
 * the settled rows that a snapshot of the instant t sees, and s the instant of the backup, later than the *before*
 * measurement and earlier than the *after* one. What is claimed: before ⊇ S(s) ⊇ after, in every bucket, where each side
 * is put together from ranges that were read at instants of their own.
 *
 * 1. S only shrinks. Every transaction below H had ended before the first range's snapshot was taken, so whether a settled
 *    row was ever made is decided; all that can still happen is that its deletion commits. A subtransaction's id is larger
 *    than its parent's, so none below H belongs to a transaction at or above it. `xmin` is read as it is stored: VACUUM
 *    freezes a row by a hint bit (PostgreSQL 9.4 and newer), and a multixact is a matter of `xmax` alone.
 * 2. A row version has one `ctid` for life. HOT updates make a new version under a line pointer of its own; pruning
 *    and VACUUM move bytes within a page, never a tuple to another line pointer; a scan of the heap follows no redirection.
 *    What does move versions makes a new file: VACUUM FULL, CLUSTER, TRUNCATE, ALTER TABLE, REFRESH MATERIALIZED VIEW.
 * 3. Within one file the ranges are disjoint and cover every block: the last one is open-ended. So each settled version is
 *    counted by exactly one range: that of its `ctid`. (A settled row was made before the first snapshot, in a block that
 *    existed by then; a block that VACUUM cuts off and that grows again holds no settled row.)
 * 4. So a version that is in S(s) is in S(t) of its range for every earlier t, and is counted *before*; and one that was
 *    counted *after*, at u later than s, is in S(u), and hence in S(s). Buckets and sums are sums over versions. ∎
 *
 * Each range's transaction first takes ACCESS SHARE, then its snapshot, then compares file and columns with those of the
 * first range: no rewrite can come between the lock and the end, and after one the measurement starts afresh. Between the
 * two measurements a rewrite does no harm to 4: VACUUM FULL and CLUSTER keep `xmin`, so that S as a set of rows goes on
 * shrinking, and others make all rows anew, above H, so that S becomes empty. COPY FREEZE and REFRESH make rows that older
 * snapshots also see, but not below H.
 *
 * Of recent rows nothing like 1 holds. In two ranges an update can be seen as the old version and as the new, or as
 * neither. So the recent rows of a measurement stand for a state of the table only where one snapshot saw all of it.
 *
 * Table access methods other than `heap`, and PostgreSQL 13, which would read the whole table for each range, get one range.
 */

/** What a table looks like in the transaction that measures a range of it, before rows are read. */
export interface TableDetails {
  /** SHA-256 of what decides the rows' text, and of the whole definition. */
  readonly shapes: { readonly row: string; readonly definition: string };
  readonly columns: readonly (Column & { derived: boolean })[];
  /** The columns of the primary key, else of a unique index over plain columns; empty where there is neither. */
  readonly keyColumns: readonly string[];
  readonly estimatedRows: number;
  readonly fileNode: string;
  readonly removals: Removals;
  readonly snapshotText: string;
  readonly snapshot: Snapshot;
  /** Blocks of the table itself; `byteCount` also of its TOAST table. */
  readonly blockCount: number;
  readonly byteCount: number;
  /** Whether ranges of it can be read without reading all of it, and its row versions stay where they are. */
  readonly hasRanges: boolean;
}

/** Rows removed (deleted or updated), and deleted, so far; null where they are not counted exactly. */
export interface Removals {
  readonly removedRowCount: number | null;
  readonly deletedRowCount: number | null;
}

/** How a table's rows are told apart. Measurements are comparable when everything but `recent` and `later` is equal. */
export interface MeasurementPlan {
  readonly seeds: readonly [string, string];
  readonly bucketColumns: readonly string[];
  readonly bucketCount: number;
  /** Where the ids of transactions begin whose rows are not settled. */
  readonly horizon: bigint;
  /** Where these ids end; undefined: with what each range's snapshot can see. */
  readonly recentUntil?: bigint;
  /** Ids of transactions after the backup: their rows are counted apart. Only on a restored copy. */
  readonly later?: XidRange;
}

/** The rows of a table by bucket. */
export interface MeasuredRows {
  readonly settled: BucketDigests;
  readonly recent: BucketDigests;
  readonly later: BucketDigests;
}

/** A measurement as far as it came. */
export interface OpenMeasurement {
  readonly plan: MeasurementPlan;
  readonly shapes: TableDetails['shapes'];
  readonly fileNode: string;
  /** As of the first range. */
  readonly removals: Removals;
  readonly firstMeasuredAt: string;
  /** The first range's. */
  readonly snapshotText: string;
  readonly rows: MeasuredRows;
  rangeCount: number;
  /** The first block that was not read. */
  nextBlock: number;
  /** How many blocks the next range has; null: all. */
  rangeBlocks: number | null;
  /** How often the table was begun afresh because it was rewritten or redefined. */
  restartCount: number;
}

export type MeasurementResult =
  | { readonly kind: 'measured'; readonly measurement: Measurement }
  /** There is no such relation any more. */
  | { readonly kind: 'gone' }
  /** Time was short. `open` is undefined where nothing was read. */
  | { readonly kind: 'unfinished'; readonly open: OpenMeasurement | undefined }
  | { readonly kind: 'unmeasurable'; readonly why: 'out-of-time' | 'rewritten' | 'redefined' };

export interface Measurement extends OpenMeasurement {
  readonly lastMeasuredAt: string;
}

/** No such table, no such schema. */
const NO_SUCH_RELATION = new Set(['42P01', '3F000']);
const LOCKED = '55P03';
const CANCELLED = '57014';

const ROWS_PER_BUCKET = 500;
/**
 * With 100 million rows and 10,000 scattered updates 0.2 % of the buckets change more than once; the others meet one of
 * the two measurements. `test/bench/fingerprint.ts` computes it.
 */
export const MAXIMUM_BUCKETS = 262_144;

/** Up to this size a table is one range: one snapshot, and parallel workers. */
const ONE_RANGE_BYTES = 512 * 1024 ** 2;
const FIRST_RANGE_BYTES = 256 * 1024 ** 2;
/** A range ends long before it holds back VACUUM. */
const RANGE_TARGET_MS = 30_000;
const RANGE_LIMIT_MS = 120_000;
const RANGE_BLOCKS_AT_MOST = 2 ** 20;
const RESTARTS_ALLOWED = 3;
const LOCK_ATTEMPTS = 3;

/**
 * The plan of a *before* measurement; later ones repeat it (`planLike`).
 * @param horizon of a table that only *after* saw: one of the *before* measurement.
 */
export function planAfresh(
  details: Pick<TableDetails, 'keyColumns' | 'estimatedRows' | 'snapshot'>,
  seeds: readonly [string, string],
  horizon: bigint = details.snapshot.xmin,
): MeasurementPlan {
  return {
    seeds,
    bucketColumns: details.keyColumns,
    bucketCount: Math.min(Math.max(Math.round(details.estimatedRows / ROWS_PER_BUCKET), 1), MAXIMUM_BUCKETS),
    horizon,
  };
}

/**
 * The plan of an *after* measurement. Where the columns that made the buckets are gone, buckets cannot be compared any
 * more: then the table gets a plan of its own, over the same horizon.
 */
export function planLike(
  before: Pick<TableFingerprint, 'bucketColumns' | 'bucketCount' | 'horizon'>,
  details: TableDetails,
  seeds: readonly [string, string],
): MeasurementPlan {
  const columns = new Set(details.columns.map(({ name }) => name));
  const horizon = BigInt(before.horizon);
  return before.bucketColumns.every(column => columns.has(column))
    ? { seeds, bucketColumns: before.bucketColumns, bucketCount: before.bucketCount, horizon }
    : planAfresh(details, seeds, horizon);
}

/** What `measureTable` wants to know of the run that it is part of. */
export interface MeasurementRun {
  /** Decides how rows are told apart, once, in the first range's transaction. */
  readonly plan: (details: TableDetails) => MeasurementPlan;
  /** Where an earlier call stopped. */
  readonly from?: OpenMeasurement | undefined;
  /** Whether this is the first thing that a call of a function does: what it is too short for, no call is long enough for. */
  readonly hasWholeCall: boolean;
  readonly timeIsShort: () => boolean;
  /** After each range but the last. */
  readonly onRange?: (open: OpenMeasurement) => Promise<void>;
}

/**
 * Measures one relation, range by range, as far as time allows.
 * @throws DatabaseQueryError 55P03 where another session keeps the table locked.
 */
export async function measureTable(
  database: Database,
  relation: Relation,
  run: MeasurementRun,
): Promise<MeasurementResult> {
  let open = run.from;
  let restartCount = open?.restartCount ?? 0;
  let lockFailures = 0;
  for (let ranges = 0; ; ranges++) {
    if (ranges > 0 && run.timeIsShort()) return { kind: 'unfinished', open };
    const clock = currentRuntime().clock;
    const begunAt = clock.now();
    const elapsedMs = () => clock.now().getTime() - begunAt.getTime();
    const attempt: RangeAttempt = { open, restartCount, at: begunAt.toISOString() };
    try {
      const isOver = () => run.timeIsShort() || (canHalve(attempt) && elapsedMs() > RANGE_LIMIT_MS);
      const range = await database.cancelWhen(isOver, () => measureRange(database, relation, attempt, run.plan));
      if (range === undefined) return { kind: 'gone' };
      if (typeof range === 'string') {
        if (++restartCount > RESTARTS_ALLOWED) return { kind: 'unmeasurable', why: range };
        open = undefined;
        continue;
      }
      open = attempt.open as OpenMeasurement;
      addRows(open.rows, range.digests);
      open.rangeCount += 1;
      lockFailures = 0;
      if (range.until === undefined) {
        return { kind: 'measured', measurement: { ...open, lastMeasuredAt: clock.now().toISOString() } };
      }
      open.nextBlock = range.until;
      open.rangeBlocks = nextRange(open.rangeBlocks ?? range.until, elapsedMs());
      await run.onRange?.(open);
    } catch (error) {
      const state = sqlStateOf(error);
      if (NO_SUCH_RELATION.has(state ?? '')) return { kind: 'gone' };
      // Where ranges were read already it is worth more than one attempt.
      if (state === LOCKED && open !== undefined && open.rangeCount > 0 && ++lockFailures < LOCK_ATTEMPTS) continue;
      if (state !== CANCELLED) throw error;
      const timeIsShort = run.timeIsShort();
      // What had only the rest of a call may fit into a whole one.
      if (timeIsShort && (ranges > 0 || !run.hasWholeCall)) return { kind: 'unfinished', open };
      if (!canHalve(attempt)) return { kind: 'unmeasurable', why: 'out-of-time' };
      open = attempt.open as OpenMeasurement;
      open.rangeBlocks = Math.max(1, Math.floor((open.rangeBlocks ?? attempt.blockCount ?? 1) / 2));
      if (timeIsShort) return { kind: 'unfinished', open };
    }
  }
}

interface RangeAttempt {
  open: OpenMeasurement | undefined;
  readonly restartCount: number;
  readonly at: string;
  /** How many blocks the table has, where it can be read in ranges. */
  blockCount?: number;
}

function canHalve({ open, blockCount }: RangeAttempt): boolean {
  return blockCount !== undefined && (open?.rangeBlocks ?? blockCount) > 1;
}

function nextRange(blocks: number, elapsedMs: number): number {
  const factor = Math.min(Math.max(RANGE_TARGET_MS / Math.max(elapsedMs, 1), 0.25), 4);
  return Math.min(Math.max(Math.floor(blocks * factor), 1), RANGE_BLOCKS_AT_MOST);
}

/**
 * Reads the next range of `attempt.open`, which it begins where there is none.
 * @returns undefined where there is no such relation; a reason where it is no longer the one that was begun.
 */
function measureRange(
  database: Database,
  relation: Relation,
  attempt: RangeAttempt,
  plan: MeasurementRun['plan'],
): Promise<{ digests: string[]; until: number | undefined } | 'rewritten' | 'redefined' | undefined> {
  return database.transaction('REPEATABLE READ', async query => {
    await lockRelation(query, relation);
    const details = await describeTable(query, relation);
    if (!details) return undefined;
    if (attempt.open && attempt.open.shapes.row !== details.shapes.row) return 'redefined';
    if (attempt.open && attempt.open.fileNode !== details.fileNode) return 'rewritten';
    if (details.hasRanges) attempt.blockCount = details.blockCount;
    const open = attempt.open ?? begin(details, plan(details), attempt);
    attempt.open = open;
    const end = open.nextBlock + (open.rangeBlocks ?? details.blockCount);
    // Rows above the horizon may lie in blocks that were added since.
    const until = end < details.blockCount ? end : undefined;
    const digests = await readRows(query, relation, details, open.plan, { from: open.nextBlock, until });
    return { digests, until };
  });
}

function begin(details: TableDetails, plan: MeasurementPlan, { at, restartCount }: RangeAttempt): OpenMeasurement {
  const { shapes, fileNode, removals, blockCount, byteCount } = details;
  const isOneRange = !details.hasRanges || byteCount <= ONE_RANGE_BYTES;
  const bytesPerBlock = byteCount / Math.max(blockCount, 1);
  return {
    plan,
    shapes,
    fileNode,
    removals,
    firstMeasuredAt: at,
    snapshotText: details.snapshotText,
    rows: noRows(plan.bucketCount),
    rangeCount: 0,
    nextBlock: 0,
    rangeBlocks: isOneRange ? null : Math.max(1, Math.floor(FIRST_RANGE_BYTES / bytesPerBlock)),
    restartCount,
  };
}

export function noRows(bucketCount: number): MeasuredRows {
  const none = () => new BucketDigests(bucketCount);
  return { settled: none(), recent: none(), later: none() };
}

// LOCK takes no snapshot: the transaction's snapshot is taken after the lock, so no rewrite can come between them.
// Materialized views cannot be locked by name, only by reading; what `recentRange` adds covers a refresh in between.
async function lockRelation(query: Query, relation: Relation): Promise<void> {
  if (relation.kind === 'table') await query(`LOCK TABLE ${onlyFrom(relation)} IN ACCESS SHARE MODE`);
  else await query(`SELECT FROM ${onlyFrom(relation)} LIMIT 0`);
}

/**
 * Whether the column `a` holds no null: since PostgreSQL 18 a constraint that was never validated says less.
 * https://www.postgresql.org/docs/18/catalog-pg-attribute.html
 */
const holdsNoNulls = `a.attnotnull AND NOT EXISTS (SELECT FROM pg_constraint k
  WHERE k.conrelid = a.attrelid AND k.contype = 'n' AND k.conkey = ARRAY[a.attnum] AND NOT k.convalidated)`;

async function describeTable(query: Query, { schema, table }: Relation): Promise<TableDetails | undefined> {
  const [row] = await query<{
    definition: string;
    shape: string;
    columns: (Column & { derived: boolean })[] | null;
    keyColumns: string[] | null;
    estimatedRows: number;
    fileNode: string;
    removed: string | null;
    deleted: string | null;
    snapshot: string;
    blockCount: string;
    byteCount: string;
    hasRanges: boolean;
  }>(
    `SELECT encode(sha256(convert_to(${relationDefinition}, 'UTF8')), 'hex') AS definition,
            encode(sha256(convert_to(${rowShape}, 'UTF8')), 'hex') AS shape,
            (SELECT jsonb_agg(jsonb_build_object('name', a.attname, 'notNull', ${holdsNoNulls}, 'asNumber', ${printsAlike}, 'derived', a.attgenerated = 'v') ORDER BY a.attnum)
               FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
            (SELECT (SELECT jsonb_agg(a.attname ORDER BY k.position)
                       FROM unnest(x.indkey) WITH ORDINALITY k (attnum, position)
                       JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.attnum
                      WHERE k.position <= x.indnkeyatts)
               FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
              WHERE x.indrelid = c.oid AND x.indisunique AND x.indisvalid AND x.indpred IS NULL AND x.indexprs IS NULL
              ORDER BY NOT x.indisprimary, i.relname COLLATE "C" LIMIT 1) AS "keyColumns",
            CASE WHEN c.reltuples >= 0 THEN c.reltuples ELSE pg_relation_size(c.oid) / 100.0 END::float8 AS "estimatedRows",
            pg_relation_filenode(c.oid)::text AS "fileNode",
            ${REMOVED_ROWS} AS removed, ${DELETED_ROWS} AS deleted,
            pg_current_snapshot()::text AS snapshot,
            (pg_relation_size(c.oid) / current_setting('block_size')::int)::text AS "blockCount",
            pg_table_size(c.oid)::text AS "byteCount",
            current_setting('server_version_num')::int >= 140000
              AND (SELECT m.amname = 'heap' FROM pg_am m WHERE m.oid = c.relam) AS "hasRanges"
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = $1 AND c.relname = $2`,
    [schema, table],
  );
  if (!row) return undefined;
  return {
    shapes: { row: row.shape, definition: row.definition },
    columns: row.columns ?? [],
    keyColumns: row.keyColumns ?? [],
    estimatedRows: row.estimatedRows,
    fileNode: row.fileNode,
    removals: toRemovals(row),
    snapshotText: row.snapshot,
    snapshot: parseSnapshot(row.snapshot),
    blockCount: Number(row.blockCount),
    byteCount: Number(row.byteCount),
    hasRanges: row.hasRanges,
  };
}

// Since PostgreSQL 15 an idle session reports what it did within STATISTICS_DELAY_MS; before, only with its next transaction.
const counted = (count: string) =>
  `CASE WHEN current_setting('track_counts')::boolean AND current_setting('server_version_num')::int >= 150000
    THEN (${count})::text END`;
const REMOVED_ROWS = counted('pg_stat_get_tuples_updated(c.oid) + pg_stat_get_tuples_deleted(c.oid)');
const DELETED_ROWS = counted('pg_stat_get_tuples_deleted(c.oid)');

/** An idle session has reported what it removed after so long (PGSTAT_IDLE_INTERVAL is 10 s). */
export const STATISTICS_DELAY_MS = 11_000;

/** Rows removed and deleted so far, by the table's name (`nameOf`). */
export async function countRemovedRows(query: Query): Promise<Map<string, Removals>> {
  const rows = await query<{ schema: string; table: string; removed: string | null; deleted: string | null }>(
    `SELECT n.nspname AS schema, c.relname AS table, ${REMOVED_ROWS} AS removed, ${DELETED_ROWS} AS deleted
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'm')`,
  );
  return new Map(rows.map(row => [nameOf(row), toRemovals(row)]));
}

function toRemovals({ removed, deleted }: { removed: string | null; deleted: string | null }): Removals {
  const count = (text: string | null) => (text === null ? null : Number(text));
  return { removedRowCount: count(removed), deletedRowCount: count(deleted) };
}

/** So many buckets are sent as one text. */
const BUCKETS_PER_TEXT = 1024;
/** What the server keeps for each bucket and part while it sums up. */
const BYTES_PER_GROUP = 256;

/** The digests of a range: `bucket part rows sum sum`, separated by commas. */
async function readRows(
  query: Query,
  relation: Relation,
  details: TableDetails,
  plan: MeasurementPlan,
  range: { from: number; until: number | undefined },
): Promise<string[]> {
  const separator = `$1::text`;
  const stored = details.columns.filter(({ derived }) => !derived);
  const key = stored.filter(({ name }) => plan.bucketColumns.includes(name));
  const text = rowText(stored, separator);
  const keyText = plan.bucketColumns.length > 0 ? rowText(key, separator) : text;
  const recent = circularRange({
    from: plan.horizon,
    until: plan.recentUntil ?? recentRange(plan.horizon, details.snapshot).until,
  });
  const later = circularRange(plan.later ?? { from: 0n, until: 0n });
  const memoryKiB = Math.ceil((2 * plan.bucketCount * BYTES_PER_GROUP) / 1024);
  // The default holds some thousand buckets; beyond it the rows' hashes would go through temporary files.
  if (memoryKiB > 4096) await query(`SET LOCAL work_mem = '${memoryKiB}kB'`);
  // The block's first tuple has the number 1.
  const bounds = [
    ...(range.from === 0 ? [] : [`r.ctid >= '(${range.from},0)'::tid`]),
    ...(range.until === undefined ? [] : [`r.ctid < '(${range.until},0)'::tid`]),
  ];
  // The volatile function is never called. It keeps the planner from merging the inner queries into the outer ones, where
  // each row's text would be made once for each hash, and unlike OFFSET 0 it leaves parallel aggregation possible.
  const fence = 'CASE WHEN false THEN clock_timestamp() END';
  const rows = await query<{ digests: string }>(
    `SELECT string_agg(concat_ws(' ', bucket, part, rows, first, second), ',') AS digests
       FROM (SELECT bucket, part, count(*) AS rows, sum(first) AS first, sum(second) AS second
               FROM (SELECT bucket, part, hashtextextended(content COLLATE "C", $2::bigint) AS first,
                            hashtextextended(content COLLATE "C", $3::bigint) AS second, ${fence}
                       FROM (SELECT ${text} AS content,
                                    (hashtextextended((${keyText}) COLLATE "C", 0) & 9223372036854775807) % $4::bigint AS bucket,
                                    CASE WHEN r.xmin::text::bigint < 3 THEN 0
                                         WHEN (r.xmin::text::bigint - $5::bigint) & 4294967295 < $6::bigint THEN 2
                                         WHEN (r.xmin::text::bigint - $7::bigint) & 4294967295 < $8::bigint THEN 1
                                         ELSE 0 END AS part,
                                    ${fence}
                               FROM ${onlyFrom(relation)} r${bounds.length > 0 ? ` WHERE ${bounds.join(' AND ')}` : ''}) q) h
              GROUP BY bucket, part) g
      GROUP BY bucket / ${BUCKETS_PER_TEXT}`,
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
  return rows.map(({ digests }) => digests);
}

function addRows({ settled, recent, later }: MeasuredRows, digests: readonly string[]): void {
  const parts = [settled, recent, later];
  for (const text of digests) {
    for (const digest of text.split(',')) {
      const [bucket = '', part = '', rows = '', first = '', second = ''] = digest.split(' ');
      parts[Number(part)]?.add(Number(bucket), Number(rows), BigInt(first), BigInt(second));
    }
  }
}

/** A measurement of the source as it is kept; where its digests lie is not known yet. */
export function toFingerprint(relation: Relation, measurement: Measurement): Omit<TableFingerprint, 'digests'> {
  const { plan, shapes, rows, removals } = measurement;
  return {
    schema: relation.schema,
    table: relation.table,
    kind: relation.kind,
    shape: { of: 'row', sha256: shapes.row },
    definitionSha256: shapes.definition,
    bucketColumns: [...plan.bucketColumns],
    bucketCount: plan.bucketCount,
    horizon: plan.horizon.toString(),
    snapshot: measurement.snapshotText,
    isOneSnapshot: measurement.rangeCount === 1,
    firstMeasuredAt: measurement.firstMeasuredAt,
    lastMeasuredAt: measurement.lastMeasuredAt,
    rowCount: rows.settled.rowCount + rows.recent.rowCount,
    removedRowCount: removals.removedRowCount,
    deletedRowCount: removals.deletedRowCount,
    fileNode: measurement.fileNode,
  };
}
