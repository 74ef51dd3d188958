/** One retrier of a state. */
export interface Retrier {
  readonly errorEquals: readonly string[];
  readonly intervalSeconds: number;
  readonly maxAttempts: number;
  readonly backoffRate: number;
  readonly maxDelaySeconds: number | undefined;
  readonly jitter: 'FULL' | 'NONE';
}

const TIMEOUTS = ['States.Timeout', 'States.HeartbeatTimeout'];

/**
 * Whether a retrier's or catcher's `ErrorEquals` matches an error. `States.ALL` matches everything except
 * `States.DataLimitExceeded` and `States.Runtime`, `States.TaskFailed` moreover no timeout; `States.Timeout` also a missed
 * heartbeat. Nothing matches `States.Runtime`.
 * https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
 */
export function matchesError(errorEquals: readonly string[], error: string | undefined): boolean {
  if (error === 'States.Runtime') return false;
  return errorEquals.some(name => {
    if (name === error) return true;
    if (name === 'States.ALL') return error !== 'States.DataLimitExceeded';
    if (name === 'States.TaskFailed') {
      return error !== 'States.DataLimitExceeded' && !TIMEOUTS.includes(error ?? '');
    }
    return name === 'States.Timeout' && error === 'States.HeartbeatTimeout';
  });
}

/**
 * Whether and when a failed state is tried again: the first retrier that matches decides, and each counts its own
 * attempts. `attempts` is how often each retrier was used so far; `random` (0 to 1) is the jitter's draw.
 * @returns the retrier's index and the wait, or undefined when the failure stands.
 */
export function decideRetry(
  retriers: readonly Retrier[],
  attempts: readonly number[],
  error: string | undefined,
  random: number,
): { retrier: number; delayMs: number } | undefined {
  const index = retriers.findIndex(retrier => matchesError(retrier.errorEquals, error));
  const retrier = retriers[index];
  const used = attempts[index] ?? 0;
  if (retrier === undefined || used >= retrier.maxAttempts) return undefined;
  const grown = retrier.intervalSeconds * retrier.backoffRate ** used;
  const delaySeconds = Math.min(grown, retrier.maxDelaySeconds ?? Number.POSITIVE_INFINITY);
  return { retrier: index, delayMs: delaySeconds * 1000 * (retrier.jitter === 'FULL' ? random : 1) };
}
