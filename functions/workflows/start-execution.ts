import { StartExecutionInput, StartExecutionOutput } from '../contracts/daily-backup.ts';
import { executionName } from '../contracts/identifiers.ts';
import { parseInstant } from '../platform/clock.ts';
import { handler as step } from '../platform/handler.ts';
import { refuseFutureInstant, ScheduledInstantError } from '../platform/scheduled-instant.ts';
import { startExecution } from '../platform/step-functions.ts';

/**
 * What a schedule calls. EventBridge Scheduler delivers at least once, so the execution is named from the scheduled
 * instant, e.g. `daily-backup-20261122T023000Z`: a second delivery finds it there.
 * @throws ScheduledInstantError for what is no instant, or has not come yet: it would take the place of the one that is
 * started then.
 */
export const handler = step({
  input: StartExecutionInput,
  output: StartExecutionOutput,
  run: async ({ workflow, scheduledAt }, { now, deployment }) => {
    const instant = readInstant(scheduledAt);
    refuseFutureInstant(instant, now);
    return startExecution(deployment, workflow, executionName(workflow, instant), { scheduledAt: instant });
  },
});

// The scheduler writes `2026-11-22T02:30:00Z`; everything else has milliseconds.
function readInstant(scheduledAt: string): string {
  if (!/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,3})?Z$/.test(scheduledAt)) throw notAnInstant(scheduledAt);
  try {
    return parseInstant(scheduledAt).toISOString();
  } catch (cause) {
    throw notAnInstant(scheduledAt, cause);
  }
}

function notAnInstant(scheduledAt: string, cause?: unknown): ScheduledInstantError {
  return new ScheduledInstantError(
    `"${scheduledAt}" is no instant in UTC; the schedule's input must hold <aws.scheduler.scheduled-time>`,
    { cause },
  );
}
