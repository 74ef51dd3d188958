import type { DatabaseVerification, Finding, Verdict } from '../contracts/restore-test-record.ts';

/** What the verifications of tenants' objects came to. */
export interface ObjectEvidence {
  readonly expectedItems: number;
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

/** Failures before the restored copy answered that are the backup's fault, and not the test's. */
const BAD_BACKUP = new Set(['SnapshotAlteredError', 'DatabaseKeyError']);

/** Reasons of `notChecked` that leave rows uncompared; the others concern what holds no rows of ours. */
const UNREAD =
  /: (permission-denied|row-level-security|locked|unreadable|large-objects|(?:its definition changed|rewritten) while the snapshot was taken)$/;

/** Whether an entry of `notChecked` names rows that were not compared, so that a test with it cannot pass. */
export function leavesRowsUnread(entry: string): boolean {
  return UNREAD.test(entry);
}

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
  const notKept = evidence.objects === null ? 0 : evidence.objects.findingCount - evidence.objects.findings.length;
  const findingCount = findings.length + notKept;
  const rowCoveragePercent = coverage(verifications);

  const failed = [
    ...findings.slice(0, 10).map(({ kind, place }) => `${kind}: ${place}`),
    ...(findingCount > 10 ? [`and ${findingCount - 10} more findings`] : []),
    ...evidence.databases
      .filter(({ failure }) => failure !== null && BAD_BACKUP.has(failure))
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
    ...verifications.flatMap(({ databaseId, notChecked }) =>
      notChecked.filter(leavesRowsUnread).map(entry => `database ${databaseId}: not read: ${entry}`),
    ),
    ...(evidence.recoveryPointStatus === 'incomplete'
      ? ['the recovery point is incomplete: its root manifest says what it lacks']
      : []),
    ...judgeCoverage(verifications, rowCoveragePercent, evidence.minimumCoveragePercent),
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

/** Where all databases together have enough, each must: a small one may not hide behind a large one. */
function judgeCoverage(
  verifications: readonly DatabaseVerification[],
  rowCoveragePercent: number | null,
  minimumPercent: number,
): string[] {
  if (rowCoveragePercent === null) return verifications.length > 0 ? ['no row was compared'] : [];
  if (rowCoveragePercent < minimumPercent) {
    return [`${rowCoveragePercent} % of the rows were compared exactly; ${minimumPercent} % are needed`];
  }
  return verifications
    .map(verification => ({ id: verification.databaseId, percent: coverage([verification]) }))
    .filter(({ percent }) => percent === null || percent < minimumPercent)
    .map(({ id, percent }) =>
      percent === null
        ? `database ${id}: no row was compared`
        : `database ${id}: ${percent} % of the rows were compared exactly; ${minimumPercent} % are needed`,
    );
}

/** Rows compared exactly, of all rows, in percent with two decimals, rounded down so that 100 means all. */
function coverage(verifications: readonly DatabaseVerification[]): number | null {
  const exact = verifications.reduce((sum, { rowsComparedExactly }) => sum + rowsComparedExactly, 0);
  const all = exact + verifications.reduce((sum, { driftRowCount }) => sum + driftRowCount, 0);
  return all === 0 ? null : Math.floor((exact * 10_000) / all) / 100;
}
