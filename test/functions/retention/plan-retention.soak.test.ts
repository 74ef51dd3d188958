import fc from 'fast-check';
import { expect, it } from 'vitest';
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
