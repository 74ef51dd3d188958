import fc from 'fast-check';
import { expect, it } from 'vitest';
import { objectName } from '../../../functions/backup/object-name.ts';

const secret = Buffer.alloc(32, 1);

it('names differ wherever the parts differ, also where they run together', () => {
  const parts = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', '\0', 'ü') }), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(parts, parts, (a, b) => {
      expect(objectName(secret, a) === objectName(secret, b)).toBe(JSON.stringify(a) === JSON.stringify(b));
    }),
  );
  expect(objectName(secret, ['ab', 'c'])).not.toBe(objectName(secret, ['a', 'bc']));
  expect(objectName(secret, ['ab', 'c'])).not.toBe(objectName(Buffer.alloc(32, 2), ['ab', 'c']));
  expect(objectName(secret, ['bucket', 'key', '"etag"', ''])).toMatch(/^[0-9a-f]{64}$/);
});
