import { Cron } from 'croner';
import { NotImplementedLocally } from '../service.ts';

/** When a schedule fires: the first instant after `after`, or undefined when there is none any more. */
export type NextInvocation = (after: Date) => Date | undefined;

/** A schedule expression that EventBridge Scheduler would refuse. */
export class InvalidScheduleError extends Error {
  override readonly name = 'InvalidScheduleError';
}

const UNIT_MS = new Map([
  ['minute', 60_000],
  ['hour', 60 * 60_000],
  ['day', 24 * 60 * 60_000],
]);
const DAY_MS = 24 * 60 * 60_000;

/**
 * Reads `cron(…)`, `rate(…)` and `at(…)`. `createdAt` is when a rate begins.
 *
 * A cron expression names times of day in its time zone. One that the clocks skip in spring does not fire on that day;
 * one that they repeat in autumn fires once, the first time. A rate counts hours that have passed.
 * https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
 * @throws InvalidScheduleError, and NotImplementedLocally for another kind of expression.
 */
export function parseSchedule(expression: string, timeZone: string, createdAt: Date): NextInvocation {
  const [, kind, text] = /^(cron|rate|at)\((.+)\)$/.exec(expression) ?? [];
  if (kind === 'cron' && text !== undefined) return parseCron(text, zoneOf(timeZone));
  if (kind === 'rate' && text !== undefined) return parseRate(text, createdAt);
  if (kind === 'at' && text !== undefined) return parseAt(text, zoneOf(timeZone));
  throw new NotImplementedLocally(`the schedule expression ${expression}`);
}

type Zone = (instantMs: number) => number;

/** The offset of a time zone's local time from UTC, in milliseconds, at an instant. */
function zoneOf(timeZone: string): Zone {
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat('en-GB', {
      timeZone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  } catch (cause) {
    throw new InvalidScheduleError(`there is no time zone ${timeZone}`, { cause });
  }
  return instantMs => {
    const parts = new Map(format.formatToParts(instantMs).map(({ type, value }) => [type, Number(value)]));
    const part = (type: Intl.DateTimeFormatPartTypes) => parts.get(type) ?? 0;
    const wallMs = Date.UTC(part('year'), part('month') - 1, part('day'), part('hour'), part('minute'), part('second'));
    return wallMs - Math.floor(instantMs / 1000) * 1000;
  };
}

/** The first instant at which local clocks show `wallMs` (as if it were UTC); undefined where they skip it. */
function firstInstantOf(wallMs: number, zone: Zone): number | undefined {
  const offsets = [zone(wallMs - DAY_MS), zone(wallMs + DAY_MS)];
  const instants = offsets.map(offset => wallMs - offset).filter(instant => instant + zone(instant) === wallMs);
  return instants.length === 0 ? undefined : Math.min(...instants);
}

function parseCron(text: string, zone: Zone): NextInvocation {
  const fields = text.trim().split(/\s+/);
  const [, , dayOfMonth, , dayOfWeek] = fields;
  if (fields.length !== 6) throw new InvalidScheduleError(`cron(${text}): it wants six fields`);
  if ((dayOfMonth === '?') === (dayOfWeek === '?')) {
    throw new InvalidScheduleError(`cron(${text}): exactly one of day of month and day of week is ?`);
  }
  const pattern = ['0', ...fields].map(field => (field === '?' ? '*' : field)).join(' ');
  let cron: Cron;
  try {
    // Local time is calculated as if it were UTC, where no time is skipped or repeated. AWS writes steps as `0/15`.
    cron = new Cron(pattern, {
      paused: true,
      timezone: 'UTC',
      mode: '7-part',
      alternativeWeekdays: true,
      sloppyRanges: true,
    });
  } catch (cause) {
    throw new InvalidScheduleError(`cron(${text}): it does not parse`, { cause });
  }
  return after => {
    // A day earlier: repeated local times are behind the instants that follow their first occurrence.
    let wall = cron.nextRun(new Date(after.getTime() + zone(after.getTime()) - DAY_MS));
    while (wall !== null) {
      const instantMs = firstInstantOf(wall.getTime(), zone);
      if (instantMs !== undefined && instantMs > after.getTime()) return new Date(instantMs);
      wall = cron.nextRun(wall);
    }
    return undefined;
  };
}

function parseRate(text: string, createdAt: Date): NextInvocation {
  const [, count, unit] = /^([1-9]\d*) (minute|hour|day)s?$/.exec(text) ?? [];
  const unitMs = UNIT_MS.get(unit ?? '');
  if (unitMs === undefined)
    throw new InvalidScheduleError(`rate(${text}): it wants a number and minutes, hours or days`);
  const stepMs = Number(count) * unitMs;
  return after => {
    const steps = Math.floor((after.getTime() - createdAt.getTime()) / stepMs) + 1;
    return new Date(createdAt.getTime() + Math.max(0, steps) * stepMs);
  };
}

function parseAt(text: string, zone: Zone): NextInvocation {
  const wallMs = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/.test(text) ? Date.parse(`${text}Z`) : Number.NaN;
  if (Number.isNaN(wallMs)) throw new InvalidScheduleError(`at(${text}): it wants yyyy-mm-ddThh:mm:ss`);
  const instantMs = firstInstantOf(wallMs, zone);
  return after => (instantMs !== undefined && instantMs > after.getTime() ? new Date(instantMs) : undefined);
}
