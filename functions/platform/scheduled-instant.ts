import { InstantText, instantOfId, RecoveryPointId } from '../contracts/identifiers.ts';
import { parseInstant } from './clock.ts';
import { PermanentError } from './errors.ts';

/** What was asked for at this instant must not be done now: the instant is none, has not come yet, or is long past. */
export class ScheduledInstantError extends PermanentError {}

/** The clocks of a scheduler and a function may differ by so much. */
export const CLOCK_SKEW_MS = 5 * 60_000;

/** EventBridge Scheduler delivers for up to a day, and a backup runs for up to 22 hours: with some room, two days. */
export const LATEST_BACKUP_MS = 48 * 60 * 60_000;

/** A backup that begins as late as it may has ended 22 hours later: with some room, three days but one hour. */
export const LATEST_CLOSING_MS = 71 * 60 * 60_000;

/**
 * From then on after its instant, a recovery point is what its root manifest says, or is none: who closes it began to
 * before `LATEST_CLOSING_MS` and, as functions end after 15 minutes, has ended.
 */
export const CLOSED_FOR_GOOD_MS = 72 * 60 * 60_000;

/**
 * When AWS made something, or, where it does not say so (yet, or ever, where making it failed), the instant of the recovery
 * point or restore test that it was made for, by its id; undefined where that names none.
 */
export function madeAt(createdAt: Date | undefined, id: string | undefined): Date | undefined {
  if (createdAt !== undefined) return createdAt;
  const parsed = RecoveryPointId.safeParse(id);
  const instant = InstantText.safeParse(parsed.success ? instantOfId(parsed.data) : undefined);
  return instant.success ? parseInstant(instant.data) : undefined;
}

/**
 * Refuses an instant that has not come yet. What is done now under the name of a later instant would be found there when
 * that comes, and stand for what was never done then.
 * @throws ScheduledInstantError
 */
export function refuseFutureInstant(scheduledAt: string, now: Date): void {
  if (parseInstant(scheduledAt).getTime() > now.getTime() + CLOCK_SKEW_MS) {
    throw new ScheduledInstantError(`${scheduledAt} has not come yet: name the present instant`);
  }
}

/**
 * Refuses an instant that a backup can no longer be of: what it would copy is the data of today.
 * @throws ScheduledInstantError, also for one that has not come yet.
 */
export function refuseOtherDay(scheduledAt: string, now: Date): void {
  refuseFutureInstant(scheduledAt, now);
  if (parseInstant(scheduledAt).getTime() < now.getTime() - LATEST_BACKUP_MS) {
    throw new ScheduledInstantError(
      `${scheduledAt} is more than 48 hours ago: a backup now would not be of that day; back up for the present instant`,
    );
  }
}

/**
 * Refuses to copy a snapshot for, or close, a recovery point of an instant that every run of it has long ended for, but for
 * one that was redriven (Step Functions allows it for 14 days): what it would name may be being removed.
 * https://docs.aws.amazon.com/step-functions/latest/apireference/API_RedriveExecution.html
 * @throws ScheduledInstantError
 */
export function refuseLateClosing(scheduledAt: string, now: Date): void {
  if (parseInstant(scheduledAt).getTime() < now.getTime() - LATEST_CLOSING_MS) {
    throw new ScheduledInstantError(
      `${scheduledAt} is more than 71 hours ago: its recovery point takes nothing more; back up for the present instant`,
    );
  }
}
