import type { DatabaseFingerprint, TableFingerprint, UnreadableRelation } from '../contracts/fingerprint.ts';
import { type Gap, Obstacle } from '../contracts/gap.ts';
import type { Finding } from '../contracts/restore-test-record.ts';
import { nameOf, type Relation } from '../platform/fingerprint/catalog.ts';
import { FingerprintPartAlteredError, type ReadDigests } from '../platform/fingerprint/fingerprint-file.ts';
import { parseSnapshot, recentRange, type XidRange } from '../platform/fingerprint/horizon.ts';
import {
  type Measurement,
  type MeasurementPlan,
  measureTable,
  planAfresh,
  type TableDetails,
} from '../platform/fingerprint/measure-table.ts';
import { decodeOpen, encodeOpen } from '../platform/fingerprint/open-measurement.ts';
import type { Database } from '../platform/postgres.ts';
import type { Check, CheckResult, CheckRun } from './check-result.ts';
import { chooseEnds, compareTable, type End, type Ends, type MeasuredEnd } from './compare-fingerprints.ts';

/** The source's two measurements, and when the restored copy was first touched (see `hydrate`). */
export interface Source {
  readonly before: DatabaseFingerprint;
  readonly after: DatabaseFingerprint;
  readonly digests: { readonly before: ReadDigests; readonly after: ReadDigests };
  readonly firstTouchXid: bigint | undefined;
}

/** A check for each table of the copy that the source knows: the restored rows against its measurements. */
export function tableChecks(source: Source, restored: readonly Relation[]): Check[] {
  const [befores, afters] = [endsOf(source.before), endsOf(source.after)];
  return restored.flatMap(relation => {
    const name = nameOf(relation);
    const [before, after] = [befores.get(name), afters.get(name)];
    // What the source does not know is for `comparePresence`, and `cameAndWent`.
    if (before === undefined && after === undefined) return [];
    const check: TableCheck = { source, relation, ends: { before: before ?? 'absent', after: after ?? 'absent' } };
    return [
      {
        subject: 'table' as const,
        name,
        run: (database: Database, run: CheckRun) => checkTable(database, check, run),
        gap: (why: Obstacle) => gapOf(check, 'rows-unreadable', why),
        rowsExpected: rowsOf(check.ends),
      },
    ];
  });
}

/**
 * Transactions that ran from the beginning of the first measurement until the copy was first touched, or else until the
 * second measurement of a table began. What they made may be in the copy though the source knew it at neither end.
 */
export function ranMeanwhile({ before, after, firstTouchXid }: Source): XidRange {
  const from = [before, ...before.tables].map(({ horizon }) => BigInt(horizon));
  const until = after.tables.map(({ snapshot }) => parseSnapshot(snapshot).xmax);
  const ends = firstTouchXid === undefined ? until : [firstTouchXid];
  return { from: least(from) ?? 0n, until: least(ends) ?? BigInt(after.horizon) };
}

function least(numbers: readonly bigint[]): bigint | undefined {
  return numbers.toSorted((a, b) => (a < b ? -1 : 1))[0];
}

/** Tables that came and went while the snapshot was taken: nothing is known of their rows. */
export function cameAndWent(
  source: Source,
  restored: readonly { readonly schema: string; readonly table: string }[],
  madeMeanwhile: ReadonlySet<string>,
): Gap[] {
  const [befores, afters] = [endsOf(source.before), endsOf(source.after)];
  return restored
    .filter(table => !befores.has(nameOf(table)) && !afters.has(nameOf(table)) && madeMeanwhile.has(nameOf(table)))
    .map(({ schema, table }) => ({
      kind: 'table-of-no-end',
      databaseId: source.before.databaseId,
      table: { schema, name: table },
      why: 'absent',
    }));
}

/** Rows of the source in tables that the copy does not give. */
export function unreadRows(source: Source, restored: readonly UnreadableRelation[]): number {
  const [befores, afters] = [endsOf(source.before), endsOf(source.after)];
  return restored.reduce((sum, { schema, relation }) => {
    const key = nameOf({ schema, table: relation });
    return sum + rowsOf({ before: befores.get(key) ?? 'absent', after: afters.get(key) ?? 'absent' });
  }, 0);
}

interface TableCheck {
  readonly source: Source;
  readonly relation: Relation;
  readonly ends: { readonly before: End; readonly after: End };
}

async function checkTable(
  database: Database,
  check: TableCheck,
  run: CheckRun,
): Promise<Partial<CheckResult> | undefined> {
  const { source, relation, ends } = check;
  const key = nameOf(relation);
  const kept = await run.read();
  const result = await measureTable(database, relation, {
    plan: details => planRestored(source, chooseEnds(ends.before, ends.after, details.shapes), details),
    from: kept && decodeOpen(key, kept),
    hasWholeCall: run.hasWholeCall,
    timeIsShort: run.timeIsShort,
    onRange: open => run.save(() => encodeOpen(key, open)),
  });
  if (result.kind === 'unfinished') {
    const { open } = result;
    if (open) await run.save(() => encodeOpen(key, open), { atOnce: true });
    return undefined;
  }
  if (result.kind !== 'measured') {
    const why = result.kind === 'gone' ? 'absent' : result.why;
    return { rowsExpected: rowsOf(ends), gaps: [gapOf(check, 'rows-unreadable', why)], completed: false };
  }
  try {
    return await compareMeasured(check, result.measurement);
  } catch (error) {
    if (!(error instanceof FingerprintPartAlteredError)) throw error;
    const detail = 'it is missing, or its SHA-256 is not the one that was signed';
    const finding: Finding = { kind: 'fingerprint-altered', place: error.key, detail };
    return { rowsExpected: rowsOf(ends), findings: [finding], completed: false };
  }
}

async function compareMeasured(check: TableCheck, measurement: Measurement): Promise<Partial<CheckResult>> {
  const { source, relation } = check;
  const name = nameOf(relation);
  const { shapes, rows } = measurement;
  const ends = chooseEnds(check.ends.before, check.ends.after, shapes);
  const comparison = compareTable(rows, name, await withDigests(source, ends), BigInt(source.before.horizon));
  const { rowCount, rowsComparedExactly, rowsAltered, findings, notBounded } = comparison;
  // The catalogs say it of today's fingerprints, and tell what was redefined meanwhile; there are none in version 1.
  const redefined: Finding[] =
    ends.kind === 'both' &&
    ends.before.shape.of === 'definition' &&
    ![ends.before, ends.after].some(end => end.definitionSha256 === shapes.definition)
      ? [{ kind: 'schema-changed', place: name, detail: 'its definition is not the one of the source' }]
      : [];
  const isKnown = ends.kind !== 'none';
  const rowsExpected = isKnown ? comparison.rowsExpected : Math.max(rowCount, rowsOf(check.ends));
  const notCompared = rowsExpected - rowsComparedExactly;
  return {
    rowCount,
    rowsComparedExactly,
    rowsExpected,
    driftRowCount: ends.kind === 'both' && notBounded === null ? notCompared - rowsAltered : 0,
    findings: [...redefined, ...findings],
    gaps:
      notBounded === null
        ? []
        : [
            isKnown
              ? gapOf(check, 'table-not-bounded', notBounded, notCompared)
              : gapOf(check, 'table-of-no-end', notBounded),
          ],
  };
}

function gapOf({ source, relation }: TableCheck, kind: 'table-of-no-end' | 'rows-unreadable', why: Obstacle): Gap;
function gapOf({ source, relation }: TableCheck, kind: 'table-not-bounded', why: Obstacle, rowCount: number): Gap;
function gapOf(
  { source, relation }: TableCheck,
  kind: 'table-of-no-end' | 'rows-unreadable' | 'table-not-bounded',
  why: Obstacle,
  rowCount: number | null = null,
): Gap {
  const { databaseId } = source.before;
  const table = { schema: relation.schema, name: relation.table };
  return kind === 'table-not-bounded' ? { kind, databaseId, table, why, rowCount } : { kind, databaseId, table, why };
}

function rowsOf({ before, after }: TableCheck['ends']): number {
  return Math.max(...[before, after].map(end => (typeof end === 'string' ? 0 : end.rowCount)));
}

async function withDigests({ digests }: Source, ends: Ends): Promise<Ends<MeasuredEnd>> {
  const read = async (moment: 'before' | 'after', table: TableFingerprint): Promise<MeasuredEnd> => ({
    table,
    digests: await digests[moment](table),
  });
  if (ends.kind === 'none') return ends;
  if (ends.kind === 'before') return { ...ends, before: await read('before', ends.before) };
  if (ends.kind === 'after') return { ...ends, after: await read('after', ends.after) };
  return { kind: 'both', before: await read('before', ends.before), after: await read('after', ends.after) };
}

/** What one measurement has of each relation. */
function endsOf({ tables, unreadable }: DatabaseFingerprint): Map<string, End> {
  return new Map<string, End>([
    ...unreadable.map(
      ({ schema, relation, reason }) => [nameOf({ schema, table: relation }), obstacleOf(reason)] as const,
    ),
    ...tables.map(table => [nameOf(table), table] as const),
  ]);
}

/** An unlogged table that is measured on the copy became another one in between. */
function obstacleOf(reason: UnreadableRelation['reason']): Obstacle {
  const { data } = Obstacle.safeParse(reason);
  return data ?? 'rewritten';
}

/**
 * How the restored table is measured: as the end that it will be held against was. Ids of recent rows end where those of
 * *after* do, or else with what the copy itself can see: so that a row which the copy calls settled is called so by
 * *before*, and one that *after* calls settled is called so by the copy.
 */
export function planRestored(source: Source, ends: Ends, details: TableDetails): MeasurementPlan {
  const later = laterRange(source, ends, details);
  const { seeds } = source.before;
  if (ends.kind === 'none') return { ...planAfresh(details, seeds), later };
  const reference = ends.kind === 'before' ? ends.before : ends.after;
  const { bucketColumns, bucketCount } = reference;
  const horizon = BigInt(reference.horizon);
  return {
    seeds,
    bucketColumns,
    bucketCount,
    horizon,
    ...(ends.kind === 'before' ? {} : { recentUntil: recentRange(horizon, parseSnapshot(reference.snapshot)).until }),
    later,
  };
}

/** Ids of transactions that cannot be in the backup: given out after *after* was begun, or after the first touch. */
function laterRange({ firstTouchXid }: Source, ends: Ends, { snapshot }: TableDetails): XidRange {
  const after = ends.kind === 'both' || ends.kind === 'after' ? parseSnapshot(ends.after.snapshot).xmax : undefined;
  const bounds = [firstTouchXid, after].filter(bound => bound !== undefined);
  const [from = snapshot.xmax] = bounds.toSorted((a, b) => (a < b ? -1 : 1));
  return { from, until: snapshot.xmax };
}
