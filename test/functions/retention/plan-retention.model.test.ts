import fc from 'fast-check';
import { expect, it } from 'vitest';
import { SEEN, simulate, type Tally } from './simulated-years.ts';

it('keeps every rule, in both directions, on each day of a year', () => {
  const tally: Tally = new Map();
  const day = fc.oneof({ weight: 1, arbitrary: fc.constant(0) }, { weight: 2, arbitrary: fc.nat() });
  const year = fc.array(day, { minLength: 366, maxLength: 366, size: 'max' });
  fc.assert(
    fc.property(year, days => simulate(days, tally)),
    { numRuns: 4, seed: 20_261_101, endOnFailure: true },
  );
  expect(SEEN.filter(what => !tally.has(what))).toEqual([]);
}, 60_000);
