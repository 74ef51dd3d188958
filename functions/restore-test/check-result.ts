import { z } from 'zod';
import { Gap, type Obstacle } from '../contracts/gap.ts';
import { Finding } from '../contracts/restore-test-record.ts';
import type { Database } from '../platform/postgres.ts';

/** What one check of a restored database came to. It is kept in the work bucket until all are done. */
export const CheckResult = z.strictObject({
  rowCount: z.int().default(0),
  /** Rows that the source had: those compared exactly, and those that could not be, whether they came back or not. */
  rowsExpected: z.int().default(0),
  rowsComparedExactly: z.int().default(0),
  /** Of these, rows that changed while the snapshot was taken and are bounded by two measurements. */
  driftRowCount: z.int().default(0),
  findings: z.array(Finding).default([]),
  gaps: z.array(Gap).default([]),
  /** False where the check could not be made. */
  completed: z.boolean().default(true),
});
export type CheckResult = z.infer<typeof CheckResult>;

/** One check of a restored database: it can be made alone, and again. */
export interface Check {
  readonly subject: 'catalog' | 'table' | 'foreign-key' | 'index' | 'heap';
  /** What it checks (`platform/sql-name.ts`): no two checks of one subject have the same name. */
  readonly name: string;
  /** @returns undefined where time was short: what it has come to is kept. */
  run(database: Database, run: CheckRun): Promise<Partial<CheckResult> | undefined>;
  /** What is not known where the check cannot be made. */
  gap(why: Obstacle): Gap;
  /** Rows that are then not compared. */
  readonly rowsExpected?: number;
}

/** What a check may know of the run that makes it. A check that one call may be too short for keeps what it has come to. */
export interface CheckRun {
  /** Whether this is the first check that a call makes. */
  readonly hasWholeCall: boolean;
  timeIsShort(): boolean;
  /** What an earlier call, or another check, kept. */
  read(): Promise<Buffer | undefined>;
  /** Keeps `content`, now and then, unless `atOnce`. */
  save(content: () => Buffer, options?: { atOnce: boolean }): Promise<void>;
}

/**
 * What a statement's failure says about a check: PostgreSQL met data that it cannot read (`broken`), or the check cannot
 * be made here. Class XX is an internal error or corruption, 58 a failed read, 22 a value that its type cannot print,
 * 54 one beyond every limit, as a damaged length gives.
 */
export function judgeFailure(
  check: Pick<Check, 'subject' | 'name' | 'gap' | 'rowsExpected'>,
  sqlState: string,
): CheckResult {
  const { rowsExpected } = check;
  // What a foreign key's check cannot read, the check of the table or of the index reports.
  const broken = check.subject !== 'foreign-key' && /^(XX|58|22|54)/.test(sqlState);
  if (!broken) return CheckResult.parse({ rowsExpected, gaps: [check.gap(obstacleOf(sqlState))], completed: false });
  const kind =
    check.subject === 'index' ? 'index-corrupt' : /^(XX001|58)/.test(sqlState) ? 'heap-corrupt' : 'unreadable';
  const what = check.subject === 'index' ? 'it, or its table' : 'it';
  const detail = `PostgreSQL cannot read ${what} (SQLSTATE ${sqlState})`;
  return CheckResult.parse({ rowsExpected, findings: [{ kind, place: check.name, detail }], completed: false });
}

function obstacleOf(sqlState: string): Obstacle {
  if (sqlState === '42501') return 'permission-denied';
  if (sqlState === '55P03') return 'locked';
  return sqlState === '57014' ? 'out-of-time' : 'unreadable';
}
