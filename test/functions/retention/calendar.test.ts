import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addDays, dayOf, daysBetween, periodOf } from '../../../functions/retention/calendar.ts';

const LONDON = new Intl.DateTimeFormat('sv-SE', { timeZone: 'Europe/London', dateStyle: 'short', timeStyle: 'medium' });
const FROM = Date.UTC(2000, 0, 1);
const TO = Date.UTC(2099, 11, 31);

describe('the calendar in Europe/London', () => {
  it('knows the day, and the same time of day so many days later, but for times that the clocks skip', () => {
    fc.assert(
      fc.property(fc.integer({ min: FROM, max: TO }), fc.integer({ min: 0, max: 4000 }), (ms, days) => {
        const from = new Date(ms);
        const to = addDays(from, days);
        expect(dayOf(from)).toBe(LONDON.format(from).slice(0, 10));
        expect(daysBetween(dayOf(from), dayOf(to))).toBe(days);
        const [before = '', after = ''] = [from, to].map(at => LONDON.format(at).slice(11));
        if (before !== after) expect([before.slice(0, 2), after.slice(0, 2)]).toEqual(['01', '02']);
      }),
      { numRuns: 3000 },
    );
  });

  it('goes forward: what is later stays so', () => {
    fc.assert(
      fc.property(fc.integer({ min: FROM, max: TO }), fc.nat(7_200_000), fc.nat(500), (ms, more, days) => {
        const hour = 3_600_000;
        expect(addDays(new Date(ms + more + hour), days).getTime()).toBeGreaterThanOrEqual(
          addDays(new Date(ms), days).getTime(),
        );
      }),
      { numRuns: 1000 },
    );
  });

  it.each([
    ['2026-01-01', '2026-W01'],
    ['2026-12-28', '2026-W53'],
    ['2027-01-03', '2026-W53'],
    ['2027-01-04', '2027-W01'],
    ['2024-12-30', '2025-W01'],
    ['2021-01-03', '2020-W53'],
    ['2028-02-29', '2028-W09'],
  ])('puts %s into the week %s', (day, week) => {
    expect(periodOf('weekly', day)).toBe(week);
  });

  it('begins a week on each Monday, and none else', () => {
    for (let ms = FROM; ms < FROM + 4000 * 86_400_000; ms += 86_400_000) {
      const [before, day] = [ms - 86_400_000, ms].map(at => new Date(at).toISOString().slice(0, 10));
      const begins = periodOf('weekly', before ?? '') !== periodOf('weekly', day ?? '');
      expect(begins).toBe(new Date(ms).getUTCDay() === 1);
    }
  });
});
