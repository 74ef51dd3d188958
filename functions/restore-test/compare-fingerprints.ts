import type { TableFingerprint } from '../contracts/fingerprint.ts';
import type { Obstacle } from '../contracts/gap.ts';
import type { Finding } from '../contracts/restore-test-record.ts';
import { type BucketDigests, isSameBucket } from '../platform/fingerprint/bucket-digests.ts';
import type { TableDigests } from '../platform/fingerprint/fingerprint-file.ts';
import type { MeasuredRows, TableDetails } from '../platform/fingerprint/measure-table.ts';

/** The measurements of the source that a restored table can be held against, and why it is not both. */
export type Ends<T = TableFingerprint> =
  | { readonly kind: 'both'; readonly before: T; readonly after: T }
  | { readonly kind: 'before'; readonly before: T; readonly why: Obstacle }
  | { readonly kind: 'after'; readonly after: T; readonly why: Obstacle }
  | { readonly kind: 'none'; readonly why: Obstacle };

/** A measurement of the source, or why there is none. */
export type End = TableFingerprint | Obstacle;

/** A measured end with its digests. */
export interface MeasuredEnd {
  readonly table: TableFingerprint;
  readonly digests: TableDigests;
}

/** What comparing a table of the restored copy with the source came to. */
export interface Comparison {
  /** Rows of the restored table. */
  readonly rowCount: number;
  readonly rowsComparedExactly: number;
  /** Those, and what the source had beside them: of each bucket the most of any moment. */
  readonly rowsExpected: number;
  /** Of those expected and not compared exactly, rows that differ from what the measurements allow: no drift. */
  readonly rowsAltered: number;
  readonly findings: Finding[];
  /** Why the measurements do not exclude that rows were lost or altered; null where they do, but for drift. */
  readonly notBounded: Obstacle | null;
}

/** So many altered buckets of one table are named; the last finding says how many more there are. */
const BUCKETS_NAMED = 10;
/** In a smaller table a few ordinary writes may change every row. */
const REWRITTEN_ROWS = 10;
/** Of a table that was rewritten a few buckets may meet an end by chance: fewer rows than one in so many show nothing. */
const REWRITTEN_SHARE = 20;

/**
 * Which measurements of the source have the shape of the restored table. A table whose columns were altered while the
 * snapshot was taken has two; the snapshot holds one of them, or one between them, which then cannot be compared with either.
 */
export function chooseEnds(before: End, after: End, restored: TableDetails['shapes']): Ends {
  const fits = (end: End): end is TableFingerprint =>
    typeof end !== 'string' && end.shape.sha256 === restored[end.shape.of === 'row' ? 'row' : 'definition'];
  if (typeof before !== 'string' && typeof after !== 'string') {
    // Unchanged on the source: the restored rows are compared whatever became of their shape.
    if (isSameShape(before, after)) return { kind: 'both', before, after };
    if (fits(after)) return { kind: 'after', after, why: 'redefined' };
    return fits(before) ? { kind: 'before', before, why: 'redefined' } : { kind: 'none', why: 'redefined' };
  }
  if (typeof before !== 'string') {
    const why = typeof after === 'string' ? after : 'unreadable';
    return fits(before) ? { kind: 'before', before, why } : { kind: 'none', why: 'redefined' };
  }
  if (typeof after !== 'string') {
    return fits(after) ? { kind: 'after', after, why: before } : { kind: 'none', why: 'redefined' };
  }
  return { kind: 'none', why: before };
}

function isSameShape(a: TableFingerprint, b: TableFingerprint): boolean {
  return a.shape.of === b.shape.of
    ? a.shape.sha256 === b.shape.sha256
    : // A release came between the two measurements.
      a.definitionSha256 === b.definitionSha256;
}

/**
 * Compares one restored table with the source, bucket by bucket.
 *
 * A bucket whose rows, all together, are those that one snapshot of an end saw is compared exactly. Otherwise its settled
 * rows, of which only ever some are removed (after ⊆ restored ⊆ before), are held against each end that there is: they
 * cannot be more than *before*, nor fewer than *after*; where their number meets an end, so must the digest. Recent rows
 * are compared exactly only where they and the settled ones meet one and the same end. What is not compared exactly counts
 * with as many rows as the copy or an end has there, so that rows which did not come back count as well.
 *
 * With two ends the rest is drift, unless the table as a whole shows nothing. With one end a loss (or an addition) is not
 * excluded where anything is left.
 * @param horizon of the source's *before* measurement: *after* is a bound only for rows older than it.
 */
export function compareTable(
  restored: MeasuredRows,
  name: string,
  ends: Ends<MeasuredEnd>,
  horizon: bigint,
): Comparison {
  const rowCount = restored.settled.rowCount + restored.recent.rowCount + restored.later.rowCount;
  if (ends.kind === 'none') {
    return {
      rowCount,
      rowsComparedExactly: 0,
      rowsExpected: rowCount,
      rowsAltered: 0,
      findings: [],
      notBounded: ends.why,
    };
  }
  const before = ends.kind === 'after' ? undefined : ends.before;
  const after = ends.kind === 'before' ? undefined : ends.after;
  const bounds: Bounds = {
    ends: [before, after].filter(end => end !== undefined),
    most: before?.digests.settled,
    least: after && (before || BigInt(after.table.horizon) <= horizon) ? after.digests.settled : undefined,
  };
  const tally: Tally = { exact: 0, expected: 0, altered: 0, excess: 0, findings: [] };
  const { bucketCount } = restored.settled;
  for (let bucket = 0; bucket < bucketCount; bucket++) {
    compareBucket(tally, `${name} bucket ${bucket + 1}/${bucketCount}`, restored, bounds, bucket);
  }
  const findings = tally.findings.slice(0, BUCKETS_NAMED);
  const unnamed = tally.findings.slice(BUCKETS_NAMED);
  if (unnamed[0]) {
    findings.push({ kind: unnamed[0].kind, place: name, detail: `and ${unnamed.length} more of its buckets` });
  }
  // What a bucket shows need not be said of the whole.
  const hasBoundedBuckets = findings.length === 0;
  if (before && after && hasBoundedBuckets) {
    findings.push(...compareCounts(name, rowCount, tally.excess, before.table, after.table));
  }
  // Each bucket may meet an end, but one before a row went and the other before the next row came.
  if (before && after) {
    tally.expected = Math.max(tally.expected, Math.min(before.table.rowCount, after.table.rowCount));
  }
  return {
    rowCount,
    rowsComparedExactly: tally.exact,
    rowsExpected: tally.expected,
    // Where the table's own counts are wrong, none of its buckets shows that it is within its bounds.
    rowsAltered: hasBoundedBuckets && findings.length > 0 ? tally.expected - tally.exact : tally.altered,
    findings,
    notBounded:
      ends.kind === 'both' ? judgeDrift(tally, rowCount, ends) : tally.exact < tally.expected ? ends.why : null,
  };
}

interface Bounds {
  readonly ends: readonly MeasuredEnd[];
  /** Settled rows that the restored table may have at most. */
  readonly most: BucketDigests | undefined;
  /** Settled rows that it must have. */
  readonly least: BucketDigests | undefined;
}

interface Tally {
  exact: number;
  expected: number;
  /** Of the rows that are expected and not exact, those in buckets with a finding. */
  altered: number;
  /** Recent rows that the source no longer had *after*. */
  excess: number;
  readonly findings: Finding[];
}

function compareBucket(tally: Tally, place: string, restored: MeasuredRows, bounds: Bounds, bucket: number): void {
  const { settled, recent, later } = restored;
  const { ends, most, least } = bounds;
  const whole = [settled, recent, later];
  const oneSnapshot = ends.filter(({ table }) => table.isOneSnapshot);
  if (oneSnapshot.some(({ digests }) => isSameBucket(bucket, whole, [digests.settled, digests.recent]))) {
    const rowCount = whole.reduce((sum, part) => sum + part.rowsIn(bucket), 0);
    tally.exact += rowCount;
    tally.expected += rowCount;
    return;
  }
  const [exactBefore, expectedBefore, findingsBefore] = [tally.exact, tally.expected, tally.findings.length];
  const laterRows = later.rowsIn(bucket);
  if (laterRows > 0) {
    tally.findings.push({ kind: 'rows-added', place, detail: `${laterRows} rows were made after the backup` });
  }

  const rows = settled.rowsIn(bucket);
  const meets = (end: BucketDigests) => isSameBucket(bucket, [settled], [end]);
  const [mostRows, leastRows] = [most?.rowsIn(bucket), least?.rowsIn(bucket)];
  if ((most && meets(most)) || (least && meets(least))) {
    tally.exact += rows;
  } else {
    if (leastRows !== undefined && rows < leastRows) {
      const detail = `${leastRows - rows} of ${leastRows} rows are missing`;
      tally.findings.push({ kind: 'rows-missing', place, detail });
    } else if (mostRows !== undefined && rows > mostRows) {
      const detail = `${rows - mostRows} rows more than the ${mostRows} of the source`;
      tally.findings.push({ kind: 'rows-added', place, detail });
    } else if (rows === leastRows || rows === mostRows) {
      const detail = `at least one of ${rows} rows is not as it was`;
      tally.findings.push({ kind: 'rows-changed', place, detail });
    }
  }

  const recentRows = recent.rowsIn(bucket);
  const meetsBoth = ({ digests }: MeasuredEnd) =>
    meets(digests.settled) && isSameBucket(bucket, [recent], [digests.recent]);
  if (oneSnapshot.some(meetsBoth)) tally.exact += recentRows;
  // Of one moment, and not of its settled rows then and of its recent ones later: an updated row is one of each.
  const endRows = ends.map(({ digests }) => digests.settled.rowsIn(bucket) + digests.recent.rowsIn(bucket));
  tally.expected += Math.max(rows + recentRows, ...endRows);
  const [, after] = ends;
  if (after) tally.excess += Math.max(0, recentRows - after.digests.recent.rowsIn(bucket));
  if (tally.findings.length > findingsBefore) {
    tally.altered += Math.max(0, tally.expected - expectedBefore - (tally.exact - exactBefore));
  }
}

/**
 * What the server's counts of removed rows exclude. They are never too small (rolled back removals are counted as well),
 * so that rows which are no longer on the source must have been removed there, and a table that nothing was deleted from
 * has at least the rows that it had.
 */
function compareCounts(
  name: string,
  rowCount: number,
  excess: number,
  before: TableFingerprint,
  after: TableFingerprint,
): Finding[] {
  const between = (pick: (end: TableFingerprint) => number | null) => {
    const [from, to] = [pick(before), pick(after)];
    // TRUNCATE removes rows that no statistics count, and statistics can be reset.
    return from === null || to === null || to < from || before.fileNode !== after.fileNode ? undefined : to - from;
  };
  const removed = between(({ removedRowCount }) => removedRowCount);
  const deleted = between(({ deletedRowCount }) => deletedRowCount);
  const findings: Finding[] = [];
  if (removed !== undefined && excess > removed) {
    const detail = `${excess} recent rows are not on the source any more, but only ${removed} were removed there`;
    findings.push({ kind: 'rows-added', place: name, detail });
  }
  // In several snapshots an updated row may have been counted twice.
  const gone = before.isOneSnapshot ? deleted : removed;
  if (gone !== undefined && rowCount < before.rowCount - gone) {
    const detail = `${rowCount} rows of ${before.rowCount}, of which only ${gone} were removed on the source`;
    findings.push({ kind: 'rows-missing', place: name, detail });
  }
  return findings;
}

/** However small its share of the database: of a table that was rewritten, or that came back empty, nothing was shown. */
function judgeDrift(
  tally: Tally,
  rowCount: number,
  ends: { before: MeasuredEnd; after: MeasuredEnd },
): Obstacle | null {
  const [before, after] = [ends.before.table.rowCount, ends.after.table.rowCount];
  const isRewritten = tally.exact * REWRITTEN_SHARE < tally.expected && Math.max(before, after) >= REWRITTEN_ROWS;
  const isShort = rowCount < Math.min(before, after);
  const isUncounted = ends.before.table.fileNode !== ends.after.table.fileNode;
  return isRewritten || (isShort && (rowCount === 0 || isUncounted)) ? 'rewritten' : null;
}
