import { type GapKind, MAY_PASS } from '../contracts/gap.ts';
import type { DatabaseVerification, Finding, Verdict } from '../contracts/restore-test-record.ts';
import { blocks } from './accept-gaps.ts';
import { describeGap } from './describe-gap.ts';
import { meaningOf } from './failure-meaning.ts';

/** What the verifications of tenants' objects came to. */
export interface ObjectEvidence {
  readonly expectedItems: number;
  /** Of these, how many have a result. */
  readonly resultCount: number;
  readonly objectCount: number;
  /** The first of them. */
  readonly findings: readonly Finding[];
  readonly findingCount: number;
}

/** What a restore test found out, before it is judged. */
export interface RestoreTestEvidence {
  /** Why no test could start; null when one did. */
  notStarted: string | null;
  /** Whether the recovery point holds everything that was configured; null when none was chosen. */
  recoveryPointStatus: 'good' | 'incomplete' | null;
  /** What was wrong before anything was restored. */
  findings: readonly Finding[];
  /** The databases that were to be tested. */
  expectedDatabaseIds: readonly string[];
  databases: readonly {
    databaseId: string;
    verification: DatabaseVerification | null;
    failure: string | null;
    restored: boolean;
  }[];
  /** All tenants' together; null when the objects were not reached. */
  objects: ObjectEvidence | null;
  /** The name of the error that ended the test early. */
  failure: string | null;
  minimumCoveragePercent: number;
}

/**
 * A share says little of a small database: of eleven rows one that changes is 9 %. So many rows may change while the
 * snapshot is taken, whatever their share: two buckets, which is the least that ordinary writes to two tables come to.
 * It is for drift between two measurements alone, which bound it, and each such row is counted; a table that was wholly
 * rewritten is a gap of its own. `docs/restore-test.md` argues the figure.
 */
export const DRIFT_FLOOR_ROWS = 1000;

/**
 * Decides a restore test's verdict. Whatever is found altered makes it `failed`. `passed` needs everything read and
 * enough compared exactly in every database, of a good recovery point; a copy that came up but was not fully compared is `inconclusive`; one that never came up for
 * reasons of its own is `could-not-start`, which says nothing about the backup.
 */
export function judgeRestoreTest(evidence: RestoreTestEvidence): {
  verdict: Verdict;
  reasons: string[];
  rowCoveragePercent: number | null;
  /** Those that were kept; `findingCount` counts all. */
  findings: Finding[];
  findingCount: number;
} {
  const verifications = evidence.databases.flatMap(({ verification }) => (verification === null ? [] : [verification]));
  const findings = [
    ...evidence.findings,
    ...verifications.flatMap(verification => verification.findings),
    ...(evidence.objects?.findings ?? []),
  ];
  const notKept = [...verifications, ...(evidence.objects === null ? [] : [evidence.objects])].reduce(
    (sum, { findingCount, findings }) => sum + findingCount - findings.length,
    0,
  );
  const findingCount = findings.length + notKept;
  const rowCoveragePercent = coverage(verifications);

  const named = findings.slice(0, 10);
  const failed = [
    ...named.map(({ kind, place }) => `${kind}: ${place}`),
    ...(findingCount > named.length ? [`and ${findingCount - named.length} more findings`] : []),
    ...evidence.databases
      .filter(({ failure }) => failure !== null && meaningOf(failure) === 'backup-damaged')
      .map(({ databaseId, failure }) => `database ${databaseId}: ${failure}`),
  ];
  const anythingRestored = evidence.databases.some(({ restored }) => restored);
  const couldNotStart = [
    ...(evidence.notStarted === null ? [] : [evidence.notStarted]),
    ...evidence.databases
      .filter(({ failure, restored }) => failure !== null && !restored)
      .map(({ databaseId, failure }) => `database ${databaseId} was not restored: ${failure}`),
    ...(evidence.failure === null || anythingRestored ? [] : [`the test ended early: ${evidence.failure}`]),
  ];
  const inconclusive = [
    ...(evidence.failure === null ? [] : [`the test ended early: ${evidence.failure}`]),
    ...evidence.databases
      .filter(({ failure, restored, verification }) => restored && (failure !== null || verification === null))
      .map(({ databaseId, failure }) => `database ${databaseId} was restored but not fully verified: ${failure}`),
    ...evidence.expectedDatabaseIds
      .filter(id => !evidence.databases.some(({ databaseId }) => databaseId === id))
      .map(id => `database ${id} has no result`),
    ...verifications.flatMap(judgeGaps),
    ...(evidence.recoveryPointStatus === 'incomplete'
      ? ['the recovery point is incomplete: its root manifest says what it lacks']
      : []),
    ...verifications.flatMap(verification => judgeCoverage(verification, evidence.minimumCoveragePercent)),
    ...(verifications.length === 0 && evidence.objects?.objectCount === 0
      ? ['the recovery point holds nothing to compare']
      : []),
    ...(evidence.objects === null
      ? ['the objects were not compared']
      : evidence.objects.resultCount < evidence.objects.expectedItems
        ? [`${evidence.objects.expectedItems - evidence.objects.resultCount} tenants' objects were not compared`]
        : []),
  ];

  const [verdict, reasons]: [Verdict, string[]] =
    failed.length > 0
      ? ['failed', failed]
      : couldNotStart.length > 0
        ? ['could-not-start', couldNotStart]
        : inconclusive.length > 0
          ? ['inconclusive', inconclusive]
          : ['passed', []];
  return { verdict, reasons, rowCoveragePercent, findings, findingCount };
}

function judgeGaps({ databaseId, gaps, gapTotals }: DatabaseVerification): string[] {
  const kept = (kind: GapKind) => gaps.filter(({ gap }) => gap.kind === kind).length;
  // All that was accepted is kept: what was cut off of a kind that blocks, nobody accepted.
  const cutOff = gapTotals
    .filter(({ kind }) => !MAY_PASS[kind])
    .reduce((sum, { kind, gapCount }) => sum + gapCount - kept(kind), 0);
  return [
    ...gaps.filter(blocks).map(({ name, gap }) => `database ${databaseId}: ${describeGap(gap)} (${name})`),
    ...(cutOff > 0 ? [`database ${databaseId}: and ${cutOff} more that its record does not name`] : []),
  ];
}

/** Each database by itself: a small one may not hide behind a large one. */
function judgeCoverage({ databaseId, rowsComparedExactly, driftRowCount }: DatabaseVerification, minimum: number) {
  if (rowsComparedExactly === 0) return [`database ${databaseId}: no row was compared`];
  // Whatever else was not compared is a gap, which blocks by itself or was accepted: what was accepted of one table leaves
  // no more room for drift in the others.
  const rowsBounded = rowsComparedExactly + driftRowCount;
  const isTooMuch = driftRowCount * 100 > rowsBounded * (100 - minimum);
  if (!isTooMuch || driftRowCount <= DRIFT_FLOOR_ROWS) return [];
  return [
    `database ${databaseId}: ${driftRowCount} of ${rowsBounded} rows changed while the snapshot was taken, so that ${percentOf(rowsComparedExactly, rowsBounded)} % were compared exactly; ${minimum} % are needed`,
  ];
}

/** Rows compared exactly, of those expected from the source, in percent with two decimals, rounded down so that 100 means all. */
function coverage(verifications: readonly DatabaseVerification[]): number | null {
  const exact = verifications.reduce((sum, { rowsComparedExactly }) => sum + rowsComparedExactly, 0);
  const expected = verifications.reduce((sum, { rowsExpected }) => sum + rowsExpected, 0);
  return expected === 0 ? null : percentOf(exact, expected);
}

function percentOf(rows: number, all: number): number {
  return Math.min(100, Math.floor((rows * 10_000) / all) / 100);
}
