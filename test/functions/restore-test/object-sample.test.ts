import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ObjectSample } from '../../../functions/restore-test/object-sample.ts';
import { InventoryComparison, VaultInventory, windowEnd } from '../../../functions/restore-test/vault-inventory.ts';

const nameOf = (index: number) => createHash('sha256').update(`${index}`).digest('hex');
const lines = fc.array(
  fc.record({
    sizeBytes: fc.nat({ max: 2 ** 40 }),
    lastModified: fc.constantFrom('2026-01-01', '2026-06-01', '2026-11-22'),
  }),
  { maxLength: 60 },
);

describe('the sample of a restore test', () => {
  it('has its size, the largest and the newest, and is the same for the same test', () => {
    fc.assert(
      fc.property(lines, fc.integer({ min: 1, max: 10 }), (objects, size) => {
        const draw = (seed: string) => {
          const sample = new ObjectSample(seed, size);
          for (const [index, object] of objects.entries()) sample.add(index, { ...object, vaultName: nameOf(index) });
          return sample.indexes();
        };
        const drawn = draw('one');
        expect(draw('one')).toEqual(drawn);
        expect(drawn.size).toBeLessThanOrEqual(Math.min(objects.length, Math.max(size, 2)));
        expect(drawn.size).toBeGreaterThanOrEqual(Math.min(objects.length, size));
        if (objects.length === 0) return;
        const chosen = [...drawn].map(index => objects[index]);
        expect(Math.max(...chosen.map(object => object?.sizeBytes ?? 0))).toBe(
          Math.max(...objects.map(o => o.sizeBytes)),
        );
        expect(
          chosen
            .map(object => object?.lastModified)
            .sort()
            .at(-1),
        ).toBe(
          objects
            .map(o => o.lastModified)
            .sort()
            .at(-1),
        );
      }),
    );
  });

  it('differs from test to test, and leaves no object out for ever', () => {
    const seen = new Set<number>();
    for (let test = 0; test < 60; test++) {
      const sample = new ObjectSample(`test ${test}`, 5);
      for (let index = 0; index < 30; index++) {
        sample.add(index, { vaultName: nameOf(index), sizeBytes: 1, lastModified: '2026-01-01' });
      }
      for (const index of sample.indexes()) seen.add(index);
    }
    expect(seen.size).toBe(30);
  });
});

describe('the inventory of the vault', () => {
  it('shows exactly what is missing or of another size', async () => {
    const sizes = fc.array(fc.tuple(fc.nat({ max: 2 ** 45 }), fc.constantFrom('there', 'missing', 'size', 'extra')));
    await fc.assert(
      fc.asyncProperty(
        sizes,
        fc.nat({ max: 5 }),
        fc.integer({ min: 1, max: 9 }),
        async (objects, expectedCount, pageSize) => {
          const inventory = new VaultInventory(expectedCount);
          const listed: { name: string; sizeBytes: number }[] = [];
          const differences: { name: string; difference: string }[] = [];
          for (const [index, [sizeBytes, state]] of objects.entries()) {
            const name = nameOf(index);
            if (state !== 'extra') inventory.add(name, sizeBytes);
            if (state !== 'missing') listed.push({ name, sizeBytes: state === 'size' ? sizeBytes + 1 : sizeBytes });
            if (state === 'missing' || state === 'size') differences.push({ name, difference: state });
          }
          const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);
          listed.sort(byName);
          const comparison = new InventoryComparison(inventory.sorted());
          const found: unknown[] = [];
          for (let from = 0; from < listed.length; from += pageSize) {
            found.push(...comparison.comparePage(listed.slice(from, from + pageSize)));
          }
          expect([...found, ...comparison.compareRest()]).toEqual(differences.sort(byName));
        },
      ),
    );
  });

  it('comes in windows that hold about as many names as are asked for, and end', () => {
    for (const [nameCount, namesAtOnce, windows] of [
      [10_000_000, 1_000_000, 10],
      [12, 3, 4],
      [1, 1_000_000, 1],
      [0, 1, 1],
    ] as const) {
      let count = 0;
      for (let after: string | undefined = ''; after !== undefined; count++) {
        const end = windowEnd(after, nameCount, namesAtOnce);
        if (end !== undefined) expect(end > after).toBe(true);
        after = end;
      }
      expect([windows, windows + 1]).toContain(count);
    }
    // It goes on behind a whole name too.
    expect(windowEnd('7fffffff'.padEnd(64, 'f'), 4, 1)).toBe('bfffffff');
    expect(windowEnd('ffffffff'.padEnd(64, 'f'), 2 ** 33, 1)).toBe(undefined);
  });
});
