import { DaybreakError } from '../../../functions/platform/errors.ts';
import { UsageError } from './arguments.ts';
import { printable } from './display.ts';

/** What the system and PostgreSQL say where nothing more can be written: https://www.postgresql.org/docs/current/errcodes-appendix.html */
const DISK_FULL = new Set(['ENOSPC', 'EDQUOT', '53100']);

/** What ended a run, and its exit code: one line, but for an error that nobody expected. */
export function describeFailure(error: unknown): { exitCode: 1 | 2; text: string } {
  if (error instanceof UsageError) return { exitCode: 2, text: printable(error.message) };
  const full = findFullDisk(error);
  if (full !== undefined) {
    return {
      exitCode: 1,
      text: `the run failed: no space is left on the disk (${full}); free some, or give --state a directory elsewhere`,
    };
  }
  if (error instanceof DaybreakError) return { exitCode: 1, text: `the run failed: ${printable(error.message)}` };
  return { exitCode: 1, text: `the run failed: ${error instanceof Error ? (error.stack ?? error.message) : error}` };
}

function findFullDisk(error: unknown): string | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    if ('code' in at && typeof at.code === 'string' && DISK_FULL.has(at.code)) return at.code;
  }
  return undefined;
}
