import type { RemovalFailure } from '../contracts/removal.ts';
import { isRetryable } from './errors.ts';

/** What several attempts to remove something failed with, as one failure; null where there was none. */
export function summarizeFailures(failures: readonly { left: string; error: unknown }[]): RemovalFailure | null {
  const decisive = failures.find(({ error }) => !isRetryable(error)) ?? failures[0];
  if (decisive === undefined) return null;
  return {
    error: decisive.error instanceof Error ? decisive.error.name : 'Error',
    left: failures.map(({ left }) => left),
    passing: failures.some(({ error }) => isRetryable(error)),
  };
}
