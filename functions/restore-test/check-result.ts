import { z } from 'zod';
import { Finding } from '../contracts/restore-test-record.ts';
import type { Database } from '../platform/postgres.ts';

/** What one check of a restored database came to. It is kept in the work bucket until all are done. */
export const CheckResult = z.strictObject({
  rowCount: z.int().default(0),
  rowsComparedExactly: z.int().default(0),
  driftRowCount: z.int().default(0),
  findings: z.array(Finding).default([]),
  notChecked: z.array(z.string()).default([]),
  /** False where the check could not be made. */
  completed: z.boolean().default(true),
});
export type CheckResult = z.infer<typeof CheckResult>;

/** One check of a restored database: it can be made alone, and again. */
export interface Check {
  readonly subject: 'table' | 'foreign-key' | 'index' | 'heap';
  /** `schema.name` of the table, constraint or index. */
  readonly name: string;
  run(database: Database): Promise<Partial<CheckResult>>;
}

/**
 * What a statement's failure says about a check: PostgreSQL met data that it cannot read (`broken`), or the check cannot
 * be made here. Class XX is an internal error or corruption, 58 a failed read, 22 a value that its type cannot print,
 * 54 one beyond every limit, as a damaged length gives.
 */
export function judgeFailure(check: Pick<Check, 'subject' | 'name'>, sqlState: string): CheckResult {
  // What a foreign key's check cannot read, the check of the table or of the index reports.
  const broken = check.subject !== 'foreign-key' && /^(XX|58|22|54)/.test(sqlState);
  if (!broken) {
    const reason = { '42501': 'permission-denied', '55P03': 'locked' }[sqlState] ?? 'unreadable';
    return CheckResult.parse({ notChecked: [`${check.name}: ${reason}`], completed: false });
  }
  const kind =
    check.subject === 'index' ? 'index-corrupt' : /^(XX001|58)/.test(sqlState) ? 'heap-corrupt' : 'unreadable';
  const what = check.subject === 'index' ? 'it, or its table' : 'it';
  const detail = `PostgreSQL cannot read ${what} (SQLSTATE ${sqlState})`;
  return CheckResult.parse({ findings: [{ kind, place: check.name, detail }], completed: false });
}
