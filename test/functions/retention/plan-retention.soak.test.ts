import fc from 'fast-check';
import { expect, it } from 'vitest';
import { idOfInstant } from '../../../functions/contracts/identifiers.ts';
import { planRetention } from '../../../functions/retention/plan-retention.ts';
import { SEEN, simulate, type Tally } from './simulated-years.ts';

it('keeps every rule, in both directions, on each day of eight years', () => {
  const tally: Tally = new Map();
  const day = fc.oneof({ weight: 1, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat() });
  const years = fc.array(day, { minLength: 2922, maxLength: 2922, size: 'max' });
  fc.assert(
    fc.property(years, days => simulate(days, tally)),
    { numRuns: 10, interruptAfterTimeLimit: 20 * 60_000 },
  );
  expect(SEEN.filter(what => !tally.has(what))).toEqual([]);
});

it('takes a time that grows as the points do: a hundred years of them take seconds', () => {
  const points = Array.from({ length: 36_500 }, (_, index) => ({
    recoveryPointId: idOfInstant(new Date(Date.UTC(2000, 0, 1, 2, 30) + index * 86_400_000).toISOString()),
    status: 'good' as const,
    isDoubted: false,
    completedAt: null,
    tenants: null,
  }));
  const tests = points.map(({ recoveryPointId }, sequence) => ({
    restoreTestId: recoveryPointId,
    recoveryPointId,
    verdict: 'passed' as const,
    sequence,
    isDoubted: false,
  }));
  const keep = { withinDays: 30, daily: 400, weekly: 300, monthly: 120, yearly: 100 };
  const rules = { maximumDays: 36_525, incompleteDays: 7, keep };
  const from = performance.now();
  const plan = planRetention(
    { points, tests, holds: [], running: [], incidents: [] },
    { configured: rules, approved: rules },
    new Date('2099-12-31T12:00:00.000Z'),
  );
  expect(plan.keep.length + plan.delete.length).toBe(36_500);
  expect(performance.now() - from).toBeLessThan(10_000);
});
