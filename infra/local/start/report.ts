import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { PermanentError } from '../../../functions/platform/errors.ts';
import { describeSystemError, UsageError } from '../../command-line/failure.ts';
import { requireWritableDirectory } from '../../command-line/writable.ts';
import { findReport } from './arguments.ts';
import type { Summary } from './summary.ts';

/** There is a verdict, and no place for it. */
export class ReportError extends PermanentError {}

const FILE = 'summary.json';

/** Makes sure that a summary can be written, and that no older one is taken for this run's. @throws UsageError */
export function prepareReport(directory: string): void {
  requireWritableDirectory('--report', directory);
  try {
    rmSync(join(directory, FILE), { force: true });
  } catch (error) {
    throw new UsageError(`--report ${directory}: the older ${FILE} cannot be removed: ${describeSystemError(error)}`);
  }
}

/** Removes the older summary where a command line asks for one, even if the rest of it cannot be read. */
export function removeOlderSummary(parameters: readonly string[]): void {
  const report = findReport(parameters);
  if (report === undefined) return;
  try {
    rmSync(join(resolve(report), FILE), { force: true });
  } catch {
    // What is wrong with the command line is told already.
  }
}

/** Writes the summary, whole or not at all. @throws ReportError */
export function writeReport(directory: string, summary: Summary): void {
  const draft = join(directory, `.${FILE}.${process.pid}`);
  try {
    writeFileSync(draft, `${JSON.stringify(summary, null, 2)}\n`);
    renameSync(draft, join(directory, FILE));
  } catch (error) {
    rmSync(draft, { force: true });
    throw new ReportError(`--report ${directory}: ${FILE} cannot be written: ${describeSystemError(error)}`);
  }
}
