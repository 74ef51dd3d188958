import type { Digest, TableFingerprint } from '../contracts/fingerprint.ts';
import type { Gap } from '../contracts/gap.ts';
import type { Finding } from '../contracts/restore-test-record.ts';
import { sqlName } from '../platform/sql-name.ts';

/** Rows made after the backup are kept apart (`later`); see `platform/fingerprint/horizon.ts`. */
export interface RestoredTable {
  readonly databaseId: string;
  readonly schema: string;
  readonly table: string;
  readonly definitionSha256: string;
  readonly settled: Readonly<Record<string, Digest>>;
  readonly recent: Readonly<Record<string, Digest>>;
  readonly later: Readonly<Record<string, Digest>>;
}

/** What comparing something of the restored copy with the source came to. */
export interface Comparison {
  readonly rowCount: number;
  readonly rowsComparedExactly: number;
  readonly rowsExpected: number;
  readonly driftRowCount: number;
  readonly findings: Finding[];
  readonly gaps: Gap[];
}

/** The measurements of the source that a restored table can be held against. */
export interface Ends {
  readonly before: TableFingerprint | undefined;
  readonly after: TableFingerprint | undefined;
}

/** So many altered buckets of one table are named; the last finding says how many more there are. */
const BUCKETS_NAMED = 10;
/** In a smaller table a few ordinary writes may change every row. */
const REWRITTEN_ROWS = 10;
const NO_ROWS: Digest = { rows: 0, sums: ['0', '0'] };

/**
 * Which measurements of the source have the definition of the restored table. A table that was altered while the snapshot
 * was taken has two; the snapshot holds one of them, or one between them, which then cannot be compared with either.
 */
export function chooseEnds({ before, after }: Ends, restoredDefinitionSha256: string): Ends {
  // Unchanged on the source: the restored rows are compared whatever became of the definition.
  if (before && after && before.definitionSha256 === after.definitionSha256) return { before, after };
  const fits = (end: TableFingerprint | undefined) =>
    end?.definitionSha256 === restoredDefinitionSha256 ? end : undefined;
  const ends = { before: fits(before), after: fits(after) };
  return ends.after ? { before: undefined, after: ends.after } : ends;
}

/**
 * Compares one restored table with the source, bucket by bucket.
 *
 * A bucket whose rows, all together, are those of *before* or of *after* is compared exactly. Otherwise its settled rows,
 * of which only ever some are removed (after ⊆ restored ⊆ before), are held against both: where the source did not change
 * they must be the same; where it did, their number lies between, and where it meets an end, so does the digest. What
 * lies strictly between is drift: counted, not compared. Of recent rows, what is not as *after* is drift as well; but
 * rows that are no longer on the source must have been removed there, and the server counts removals.
 */
export function compareTable(restored: RestoredTable, source: Ends): Comparison {
  const { databaseId } = restored;
  const table = { schema: restored.schema, name: restored.table };
  const name = sqlName(table.schema, table.name);
  const { before, after } = chooseEnds(source, restored.definitionSha256);
  const rowCount = [restored.settled, restored.recent, restored.later].reduce((sum, part) => sum + rowsOf(part), 0);
  const reference = after ?? before;
  if (reference === undefined) {
    return {
      rowCount,
      rowsExpected: rowCount,
      rowsComparedExactly: 0,
      driftRowCount: rowCount,
      findings: [],
      gaps: [{ kind: 'table-of-no-end', databaseId, table, why: 'redefined' }],
    };
  }

  const findings: Finding[] = [];
  if (before && after && restored.definitionSha256 !== after.definitionSha256) {
    findings.push({ kind: 'schema-changed', place: name, detail: 'its definition is not the one of the source' });
  }
  const tally: Tally = { exact: 0, drift: 0, excess: 0, findings: [] };
  const ends = [before, after].filter(end => end !== undefined);
  const parts = [...ends.flatMap(({ settled, recent }) => [settled, recent])];
  const buckets = new Set(
    [...parts, restored.settled, restored.recent, restored.later].flatMap(part => Object.keys(part)),
  );
  for (const bucket of buckets) {
    const whole = total(restored, bucket);
    if (ends.some(end => isSame(whole, total(end, bucket)))) {
      tally.exact += whole.rows;
      continue;
    }
    const place = `${name} bucket ${Number(bucket) + 1}/${reference.bucketCount}`;
    const later = at(restored.later, bucket).rows;
    if (later > 0)
      tally.findings.push({ kind: 'rows-added', place, detail: `${later} rows were made after the backup` });
    if (before && after) compareBucket(tally, place, { restored, before, after, bucket });
    else tally.drift += whole.rows - later;
  }
  findings.push(...tally.findings.slice(0, BUCKETS_NAMED));
  const unnamed = tally.findings.slice(BUCKETS_NAMED);
  if (unnamed[0])
    findings.push({ kind: unnamed[0].kind, place: name, detail: `and ${unnamed.length} more of its buckets` });

  const removed = before && after ? removalsBetween(before, after) : undefined;
  if (removed !== undefined && tally.excess > removed) {
    findings.push({
      kind: 'rows-added',
      place: name,
      detail: `${tally.excess} recent rows are not on the source any more, but only ${removed} were removed there`,
    });
  }
  // However small its share of the database: of such a table nothing was shown.
  const isRewritten = before && after && tally.exact === 0 && rowsOf(before.settled) >= REWRITTEN_ROWS;
  return {
    rowCount,
    rowsExpected: tally.exact + tally.drift,
    rowsComparedExactly: tally.exact,
    driftRowCount: tally.drift,
    findings,
    gaps:
      isRewritten && rowCount > 0 ? [{ kind: 'table-not-bounded', databaseId, table, why: 'rewritten', rowCount }] : [],
  };
}

interface Tally {
  exact: number;
  drift: number;
  /** Recent rows that the source no longer has. */
  excess: number;
  readonly findings: Finding[];
}

function compareBucket(
  tally: Tally,
  place: string,
  sides: { restored: RestoredTable; before: TableFingerprint; after: TableFingerprint; bucket: string },
): void {
  const { restored, before, after, bucket } = sides;
  const settled = at(restored.settled, bucket);
  const most = at(before.settled, bucket);
  const least = at(after.settled, bucket);
  if (isSame(settled, most) || isSame(settled, least)) {
    tally.exact += settled.rows;
  } else if (settled.rows < least.rows) {
    const detail = `${least.rows - settled.rows} of ${least.rows} rows are missing`;
    tally.findings.push({ kind: 'rows-missing', place, detail });
  } else if (settled.rows > most.rows) {
    const detail = `${settled.rows - most.rows} rows more than the ${most.rows} of the source`;
    tally.findings.push({ kind: 'rows-added', place, detail });
  } else if (settled.rows === least.rows || settled.rows === most.rows) {
    const detail = `at least one of ${settled.rows} rows is not as it was`;
    tally.findings.push({ kind: 'rows-changed', place, detail });
  } else {
    tally.drift += settled.rows;
  }

  const recent = at(restored.recent, bucket);
  const recentAfter = at(after.recent, bucket);
  if (isSame(recent, recentAfter) || isSame(recent, at(before.recent, bucket))) {
    tally.exact += recent.rows;
  } else {
    tally.drift += recent.rows;
  }
  tally.excess += Math.max(0, recent.rows - recentAfter.rows);
}

/** How many rows the source removed between its two measurements; undefined where that was not counted. */
function removalsBetween(before: TableFingerprint, after: TableFingerprint): number | undefined {
  if (before.removedRowCount === null || after.removedRowCount === null) return undefined;
  // TRUNCATE removes rows that no statistics count, and statistics can be reset.
  if (before.fileNode !== after.fileNode || after.removedRowCount < before.removedRowCount) return undefined;
  return after.removedRowCount - before.removedRowCount;
}

function at(part: Readonly<Record<string, Digest>>, bucket: string): Digest {
  return part[bucket] ?? NO_ROWS;
}

function isSame(a: Digest, b: Digest): boolean {
  return a.rows === b.rows && a.sums[0] === b.sums[0] && a.sums[1] === b.sums[1];
}

function total(
  parts: { settled: Readonly<Record<string, Digest>>; recent: typeof parts.settled; later?: typeof parts.settled },
  bucket: string,
): Digest {
  return [parts.settled, parts.recent, parts.later ?? {}].reduce<Digest>((sum, part) => {
    const { rows, sums } = at(part, bucket);
    return {
      rows: sum.rows + rows,
      sums: [String(BigInt(sum.sums[0]) + BigInt(sums[0])), String(BigInt(sum.sums[1]) + BigInt(sums[1]))],
    };
  }, NO_ROWS);
}

function rowsOf(part: Readonly<Record<string, Digest>>): number {
  return Object.values(part).reduce((sum, { rows }) => sum + rows, 0);
}
