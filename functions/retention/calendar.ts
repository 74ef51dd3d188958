import type { Period } from '../contracts/retention.ts';

/**
 * The calendar of a school: Europe/London. Its clocks are at UTC or an hour ahead of it, so that a day has 23, 24 or 25
 * hours. The rules are in the time zone data that Node brings along.
 */

const HOUR_MS = 60 * 60 * 1000;
const DAY_MS = 24 * HOUR_MS;
const LONDON_HOUR = new Intl.DateTimeFormat('en-GB', { timeZone: 'Europe/London', hour: '2-digit', hourCycle: 'h23' });

function offsetMs(instantMs: number): number {
  const hour = Number(LONDON_HOUR.format(instantMs));
  return ((hour - new Date(instantMs).getUTCHours() + 24) % 24) * HOUR_MS;
}

/** The day in London at this instant: `2026-11-22`. */
export function dayOf(instant: Date): string {
  return new Date(instant.getTime() + offsetMs(instant.getTime())).toISOString().slice(0, 10);
}

/**
 * The same time of day in London so many days later. A time that the clocks skip on that day is the one an hour later; of a
 * time that comes twice it is the second.
 */
export function addDays(instant: Date, days: number): Date {
  const local = instant.getTime() + offsetMs(instant.getTime()) + days * DAY_MS;
  const isSummerTimeAlone = offsetMs(local) === HOUR_MS && offsetMs(local - HOUR_MS) === HOUR_MS;
  return new Date(isSummerTimeAlone ? local - HOUR_MS : local);
}

/** Days from one day to another, as the calendar counts: 1 from `2027-03-28` to `2027-03-29`. */
export function daysBetween(from: string, to: string): number {
  return (Date.parse(to) - Date.parse(from)) / DAY_MS;
}

/**
 * What a day belongs to: itself, its week (ISO 8601, from Monday: `2026-W53` may end in the next year), its month, its year.
 * @param day `2026-11-22`
 */
export function periodOf(period: Period, day: string): string {
  if (period === 'daily') return day;
  if (period === 'monthly') return day.slice(0, 7);
  if (period === 'yearly') return day.slice(0, 4);
  const midnight = Date.parse(day);
  const weekday = (new Date(midnight).getUTCDay() + 6) % 7;
  // A week belongs to the year of its Thursday.
  const thursday = new Date(midnight + (3 - weekday) * DAY_MS);
  const year = thursday.getUTCFullYear();
  const week = Math.floor((thursday.getTime() - Date.UTC(year, 0, 1)) / (7 * DAY_MS)) + 1;
  return `${year}-W${String(week).padStart(2, '0')}`;
}
