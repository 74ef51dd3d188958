import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { circularRange, parseSnapshot, recentRange } from '../../../../functions/platform/fingerprint/horizon.ts';

describe('parseSnapshot', () => {
  it('reads what pg_current_snapshot() prints, beyond 32 bits', () => {
    expect(parseSnapshot('738:741:739,740')).toEqual({ xmin: 738n, xmax: 741n });
    expect(parseSnapshot('8589934592:8589934592:')).toEqual({ xmin: 1n << 33n, xmax: 1n << 33n });
  });
  it.each(['', '738', '738:741', '-1:2:', '1:2:x', '1:2:3;4'])('refuses %j', text => {
    expect(() => parseSnapshot(text)).toThrow(RangeError);
  });
});

describe('circularRange', () => {
  const contains = (range: { start: string; length: string }, raw: bigint) =>
    BigInt.asUintN(32, raw - BigInt(range.start)) < BigInt(range.length);

  it('is empty where it ends before it begins', () => {
    expect(circularRange({ from: 5n, until: 5n })).toEqual({ start: '5', length: '0' });
    expect(circularRange({ from: 5n, until: 4n })).toEqual({ start: '5', length: '0' });
  });

  it('holds exactly the 32-bit ids of its transactions, also over the turn of an epoch', () => {
    const range = circularRange({ from: (1n << 32n) - 2n, until: (1n << 32n) + 5n });
    expect([0xfffffffdn, 0xfffffffen, 0xffffffffn, 3n, 4n, 5n].map(raw => contains(range, raw))).toEqual([
      false,
      true,
      true,
      true,
      true,
      false,
    ]);
  });

  it('tells every id within half a turn apart', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 3n, max: 1n << 40n }),
        fc.bigInt({ min: 0n, max: 1n << 30n }),
        fc.bigInt({ min: -(1n << 31n), max: 1n << 30n }),
        (from, length, offset) => {
          const range = circularRange({ from, until: from + length });
          const xid = from + offset;
          expect(contains(range, BigInt.asUintN(32, xid))).toBe(offset >= 0n && offset < length);
        },
      ),
    );
  });
});

describe('recentRange', () => {
  it('never shrinks from a measurement to a later one, so that no row turns settled', () => {
    const early = recentRange(700n, { xmin: 700n, xmax: 710n });
    const late = recentRange(700n, { xmin: 900n, xmax: 1000n });
    expect(early.from).toBe(late.from);
    expect(late.until).toBeGreaterThan(early.until);
  });
});
