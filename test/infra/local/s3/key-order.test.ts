import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareKeys, SortedKeys } from '../../../../infra/local/s3/key-order.ts';

const key = fc.string({
  unit: fc.constantFrom('a', 'b', '/', '\ue000', '\uffff', '\u{1f3eb}', '\u{10ffff}', 'é'),
  maxLength: 6,
});

describe('compareKeys', () => {
  it("orders by UTF-8's bytes", () => {
    fc.assert(
      fc.property(key, key, (a, b) => {
        expect(Math.sign(compareKeys(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
      }),
    );
  });
});

describe('SortedKeys', () => {
  it('walks like a sorted list, whatever was added, removed and walked before', () => {
    const step = fc.oneof(
      fc.record({ do: fc.constantFrom('add', 'remove'), key }),
      fc.record({ do: fc.constant('walk'), key }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), steps => {
        const sorted = new SortedKeys<{ key: string }>();
        const model = new Set<string>();
        for (const { do: action, key } of steps) {
          if (action === 'add' && !model.has(key)) {
            model.add(key);
            sorted.add({ key });
          } else if (action === 'remove') {
            model.delete(key);
            sorted.remove(key);
          } else if (action === 'walk') {
            const expected = [...model].sort(compareKeys).filter(other => compareKeys(other, key) >= 0);
            const walk = sorted.walk(other => compareKeys(other, key) >= 0);
            const found: string[] = [];
            for (let value = walk.next(); value !== undefined; value = walk.next()) found.push(value.key);
            expect(found).toEqual(expected);
          }
        }
      }),
    );
  });
});
