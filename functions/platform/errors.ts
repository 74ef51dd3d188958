/**
 * The base of every error that Daybreak throws on purpose. The message names the thing, what happened to it, and what
 * to do next; it never holds a secret, a row, or anything personal.
 */
export abstract class DaybreakError extends Error {
  /** True when the same step may succeed if it is run again without anything else changing. */
  abstract readonly retryable: boolean;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** Something passing: throttling, a lost connection, a state that has not settled. Workflows retry these by this name. */
export class RetryableError extends DaybreakError {
  readonly retryable = true;
}

/** Something that stays wrong until a person or another step changes it. Give it a class of its own where a caller tells it apart. */
export class PermanentError extends DaybreakError {
  readonly retryable = false;
}

/** Whether the same step may succeed if it is run again. */
export function isRetryable(error: unknown): boolean {
  return error instanceof DaybreakError && error.retryable;
}

/**
 * Who was refused which action, from a service's own words; never the resource, which may be the name of a school's file.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
 */
export function describeRefusal(error: Error): string {
  const [, principal, action] = /User: (\S+) is not authorized to perform: (\S+)/.exec(error.message) ?? [];
  return action === undefined ? error.name : `${error.name}: ${principal} may not ${action}`;
}

/** What a service or library said, for use as `cause` text in a message: its name and message, never a stack. */
export function describeError(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
