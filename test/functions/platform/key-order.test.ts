import fc from 'fast-check';
import { expect, it } from 'vitest';
import { compareKeys } from '../../../functions/platform/key-order.ts';

it('orders keys as their UTF-8 bytes', () => {
  const character = fc.oneof(fc.constantFrom('a', 'b', '\uD7FF', '\uE000', '\uFFFD', '\u{10000}', '\u{10FFFF}', 'é'));
  const text = fc.string({ unit: character, maxLength: 6 });
  fc.assert(
    fc.property(text, text, (a, b) => {
      expect(Math.sign(compareKeys(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
    }),
  );
});
