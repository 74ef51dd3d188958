import { setTimeout as wait } from 'node:timers/promises';

/** An instant in UTC, written as `2026-11-22T02:30:00.000Z`: the only form in which instants are stored or passed. */
export type Instant = string;

/** The one source of time. Decisions never hold a clock: they take `now`. */
export interface Clock {
  /** The present instant. */
  now(): Date;
  /** Resolves after `durationMs` of this clock's time. */
  sleep(durationMs: number): Promise<void>;
}

/** The clock of the machine, used wherever no other was injected. */
export const systemClock: Clock = {
  now: () => new Date(),
  sleep: async durationMs => {
    await wait(durationMs);
  },
};

/** The instant `durationMs` after `from` (before it, when negative). */
export function addMs(from: Date, durationMs: number): Date {
  return new Date(from.getTime() + durationMs);
}

/** Reads an instant. @throws RangeError when the text is no instant. */
export function parseInstant(instant: Instant): Date {
  const date = new Date(instant);
  if (Number.isNaN(date.getTime())) throw new RangeError(`not an instant: ${instant}`);
  return date;
}
