import { parseInstant } from './clock.ts';
import { currentRuntime } from './runtime.ts';

/** Whether the deadline that a workflow gave has come, by the clock; never, where it gave none. */
export function isDeadlineOver(deadlineAt: string | null): boolean {
  return deadlineAt !== null && currentRuntime().clock.now() >= parseInstant(deadlineAt);
}
