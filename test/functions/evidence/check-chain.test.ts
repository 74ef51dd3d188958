import { describe, expect, it } from 'vitest';
import type { LedgerSegment } from '../../../functions/contracts/ledger.ts';
import { ledgerEntryKey, segmentKey } from '../../../functions/contracts/vault-layout.ts';
import { ChainCheck } from '../../../functions/evidence/check-chain.ts';
import { leafHash, treeHash } from '../../../functions/evidence/merkle.ts';
import { sha256Hex } from '../../../functions/platform/canonical-json.ts';
import { chainOf } from './local-ledger.ts';

const entries = chainOf(2500);
const stored = (key: string, number: number) => ({
  key,
  number,
  deleteMarkerCount: 0,
  versionCount: 1,
  oldest: { versionId: 'v', sizeBytes: 1 },
});
const segment = (number: number, part: Partial<LedgerSegment> = {}) => {
  const inside = entries.slice((number - 1) * 1000, number * 1000);
  const document: LedgerSegment = {
    version: 1,
    segment: number,
    firstSequence: number * 1000 - 999,
    lastSequence: number * 1000,
    lastEntrySha256: sha256Hex(inside.at(-1) ?? ''),
    rootSha256: treeHash(inside.map(leafHash)).toString('hex'),
    closedAt: '2026-11-22T03:00:00.000Z',
    ...part,
  };
  return { stored: stored(segmentKey(number), number), document };
};

/** Runs the check over entries that were recorded at 02:59, without heads, at `hoursLater`. */
function check(
  closed: Record<number, ReturnType<typeof segment>>,
  options: { hoursLater?: number; count?: number; alter?: (bytes: Buffer, sequence: number) => Buffer } = {},
) {
  const { hoursLater = 1, count = 2500, alter = bytes => bytes } = options;
  const chain = new ChainCheck(() => false);
  for (const [index, bytes] of entries.slice(0, count).entries()) {
    const sequence = index + 1;
    chain.entry(stored(ledgerEntryKey(sequence), sequence), alter(bytes, sequence));
    if (sequence % 1000 !== 0) continue;
    const number = sequence / 1000;
    chain.segment(
      closed[number],
      Object.keys(closed).some(other => Number(other) > number),
    );
  }
  const { problems } = chain.report(new Date(Date.parse('2026-11-22T02:59:00.000Z') + hoursLater * 3_600_000));
  return problems.map(({ sequence, reason }) => `${sequence} ${reason}`);
}

describe('segments', () => {
  it('are sound', () => {
    expect(check({ 1: segment(1), 2: segment(2) })).toEqual([]);
  });

  it.each([
    ['may be open for a while: the next append closes them', {}, 1, []],
    ['may not be missing before a later one', { 2: segment(2) }, 1, ['1000 segment-missing']],
    ['may not stay open while entries are appended', { 1: segment(1) }, 27, ['1 unsigned', '2000 segment-missing']],
  ])('%s', (_, closed, hoursLater, expected) => {
    expect(check(closed, { hoursLater }).sort()).toEqual(expected);
  });

  it('may stay open as long as nothing follows', () => {
    expect(check({ 1: segment(1) }, { count: 2000, hoursLater: 27 })).toEqual(['1 unsigned']);
  });

  it.each<[string, Partial<LedgerSegment>]>([
    ['root', { rootSha256: 'a'.repeat(64) }],
    ['last hash', { lastEntrySha256: 'a'.repeat(64) }],
  ])('are checked for their %s', (_, part) => {
    expect(check({ 1: segment(1, part), 2: segment(2) })).toEqual(['1000 segment-invalid']);
  });
});

describe('an altered entry', () => {
  const forge = (at: number) => (bytes: Buffer, sequence: number) =>
    sequence === at ? Buffer.from(bytes.toString().replace('school-seeded', 'school-forged')) : bytes;

  it.each([1, 2, 999, 1000, 1001, 2499])('is named once: entry %i', at => {
    expect(check({ 1: segment(1), 2: segment(2) }, { alter: forge(at) })).toEqual(
      // The last entry of a segment has its hash in the segment as well, which is read first.
      at === 1000 ? ['1000 segment-invalid', '1000 altered'] : [`${at} altered`],
    );
  });

  it('is not seen where nothing stands for it yet: at the end, unsigned', () => {
    expect(check({ 1: segment(1), 2: segment(2) }, { alter: forge(2500) })).toEqual([]);
  });

  it('is kept a hundred times, and counted always', () => {
    const chain = new ChainCheck(() => false);
    for (let sequence = 1; sequence <= 150; sequence++) {
      chain.entry(stored(ledgerEntryKey(sequence), sequence), Buffer.from('{}'));
    }
    const report = chain.report(new Date('2026-11-22T03:00:00.000Z'));
    expect([report.problemCount, report.problems.length, report.first?.sequence]).toEqual([150, 100, 1]);
  });
});
