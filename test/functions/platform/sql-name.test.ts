import fc from 'fast-check';
import { expect, it } from 'vitest';
import { sqlName } from '../../../functions/platform/sql-name.ts';

it.each([
  [['public', 'pupil_2'], 'public.pupil_2'],
  [['a.b', 'c'], '"a.b".c'],
  [['a', 'b.c'], 'a."b.c"'],
  [['My App', 'say "hi"'], '"My App"."say ""hi"""'],
  [['', '2nd'], '""."2nd"'],
])('case %#', (parts, name) => {
  expect(sqlName(...parts)).toBe(name);
});

it('gives no two names one key', () => {
  const part = fc.string({ maxLength: 4, unit: fc.constantFrom('a', 'B', '.', '"', ' ', '_') });
  const parts = fc.array(part, { minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(parts, parts, (one, other) => {
      expect(sqlName(...one) === sqlName(...other)).toBe(JSON.stringify(one) === JSON.stringify(other));
    }),
    { numRuns: 5000 },
  );
});
