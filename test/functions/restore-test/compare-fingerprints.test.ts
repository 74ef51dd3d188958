import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Digest, TableFingerprint } from '../../../functions/contracts/fingerprint.ts';
import { chooseEnds, compareTable, type RestoredTable } from '../../../functions/restore-test/compare-fingerprints.ts';

const DEFINITION = 'a'.repeat(64);
const BUCKETS = 3;

/** A row of the model: which bucket it lies in, what it says, and which transaction made it. */
interface Row {
  readonly key: number;
  readonly content: string;
  readonly xid: number;
}

function digestOf(rows: readonly Row[]): Record<string, Digest> {
  const digests: Record<string, Digest> = {};
  for (const { key, content } of rows) {
    const hash = createHash('sha256').update(`${key} ${content}`).digest();
    const bucket = String(key % BUCKETS);
    const { rows: count, sums } = digests[bucket] ?? { rows: 0, sums: ['0', '0'] };
    const add = (sum: string, at: number) => String(BigInt(sum) + hash.readBigInt64LE(at));
    digests[bucket] = { rows: count + 1, sums: [add(sums[0], 0), add(sums[1], 8)] };
  }
  return digests;
}

function fingerprint(rows: readonly Row[], horizon: number, extra: Partial<TableFingerprint> = {}): TableFingerprint {
  return {
    schema: 'public',
    table: 'pupil',
    kind: 'table',
    definitionSha256: DEFINITION,
    bucketColumns: ['id'],
    bucketCount: BUCKETS,
    horizon: String(horizon),
    snapshot: '100:100:',
    measuredAt: '2026-11-22T02:30:00.000Z',
    settled: digestOf(rows.filter(({ xid }) => xid < horizon)),
    recent: digestOf(rows.filter(({ xid }) => xid >= horizon)),
    removedRowCount: 0,
    fileNode: '1',
    ...extra,
  };
}

function restoredTable(rows: readonly Row[], horizon: number, extra: Partial<RestoredTable> = {}): RestoredTable {
  const { settled, recent } = fingerprint(rows, horizon);
  return {
    databaseId: 'app',
    schema: 'public',
    table: 'pupil',
    definitionSha256: DEFINITION,
    settled,
    recent,
    later: {},
    ...extra,
  };
}

const rows = (from: number, to: number, xid = 1, content = ''): Row[] =>
  Array.from({ length: to - from }, (_, i) => ({ key: from + i, content: `${content}${from + i}`, xid }));
const H = 10;
const quiet = rows(0, 30);
const placeOf = (bucket: number) => `public.pupil bucket ${bucket + 1}/${BUCKETS}`;

describe('compareTable', () => {
  it.each<[string, { before: Row[]; after: Row[]; restored: Row[] }, object]>([
    [
      'nothing changed',
      { before: quiet, after: quiet, restored: quiet },
      { rowsComparedExactly: 30, driftRowCount: 0, findings: [] },
    ],
    [
      'a row is missing',
      { before: quiet, after: quiet, restored: quiet.slice(1) },
      {
        rowsComparedExactly: 20,
        findings: [{ kind: 'rows-missing', place: placeOf(0), detail: '1 of 10 rows are missing' }],
      },
    ],
    [
      'a row is another',
      { before: quiet, after: quiet, restored: [...quiet.slice(1), ...rows(0, 1, 1, 'x')] },
      {
        rowsComparedExactly: 20,
        findings: [{ kind: 'rows-changed', place: placeOf(0), detail: 'at least one of 10 rows is not as it was' }],
      },
    ],
    [
      'a row is there twice',
      { before: quiet, after: quiet, restored: [...quiet, ...rows(2, 3)] },
      {
        rowsComparedExactly: 20,
        findings: [{ kind: 'rows-added', place: placeOf(2), detail: '1 rows more than the 10 of the source' }],
      },
    ],
    [
      'the copy meets the after measurement',
      { before: quiet, after: quiet.slice(3), restored: quiet.slice(3) },
      { rowsComparedExactly: 27, driftRowCount: 0, findings: [] },
    ],
    [
      'the copy meets the before measurement',
      { before: quiet, after: quiet.slice(3), restored: quiet },
      { rowsComparedExactly: 30, driftRowCount: 0, findings: [] },
    ],
    [
      'the copy lies between: bucket 0 lost two rows on the source, one before the snapshot',
      { before: quiet, after: quiet.filter(({ key }) => key !== 0 && key !== 3), restored: quiet.slice(1) },
      { rowsComparedExactly: 20, driftRowCount: 9, findings: [] },
    ],
    [
      'the number meets an end, the digest does not',
      { before: quiet, after: quiet.slice(1), restored: quiet.filter(({ key }) => key !== 3) },
      {
        rowsComparedExactly: 20,
        findings: [{ kind: 'rows-changed', place: placeOf(0), detail: 'at least one of 9 rows is not as it was' }],
      },
    ],
    [
      'fewer than were left at the end',
      { before: quiet, after: quiet.slice(1), restored: quiet.slice(4) },
      {
        findings: [
          { kind: 'rows-missing', place: placeOf(0), detail: '1 of 9 rows are missing' },
          { kind: 'rows-missing', place: placeOf(1), detail: '1 of 10 rows are missing' },
          { kind: 'rows-missing', place: placeOf(2), detail: '1 of 10 rows are missing' },
        ],
      },
    ],
    [
      'recent rows arrived after the snapshot',
      { before: quiet, after: [...quiet, ...rows(30, 33, 20)], restored: [...quiet, ...rows(30, 31, 20)] },
      { rowCount: 31, rowsComparedExactly: 31, driftRowCount: 0, findings: [] },
    ],
    [
      'recent rows arrived around the snapshot',
      { before: quiet, after: [...quiet, ...rows(30, 36, 20)], restored: [...quiet, ...rows(30, 33, 20)] },
      { rowCount: 33, rowsComparedExactly: 30, driftRowCount: 3, findings: [] },
    ],
    [
      'a recent row that the source never removed is too many',
      { before: quiet, after: quiet, restored: [...quiet, ...rows(30, 31, 20)] },
      {
        rowsComparedExactly: 30,
        driftRowCount: 1,
        findings: [
          {
            kind: 'rows-added',
            place: 'public.pupil',
            detail: '1 recent rows are not on the source any more, but only 0 were removed there',
          },
        ],
      },
    ],
  ])('%s', (_what, { before, after, restored }, expected) => {
    expect(
      compareTable(restoredTable(restored, H), { before: fingerprint(before, H), after: fingerprint(after, H) }),
    ).toMatchObject(expected);
  });

  it.each<[string, Partial<TableFingerprint>, Partial<TableFingerprint>]>([
    ['as many were removed', {}, { removedRowCount: 1 }],
    ['removals are not counted', { removedRowCount: null }, { removedRowCount: null }],
    ['the statistics were reset', { removedRowCount: 5 }, { removedRowCount: 2 }],
    ['the table was truncated or rewritten', {}, { fileNode: '2' }],
  ])('takes recent rows that the source no longer has for drift where %s', (_what, before, after) => {
    const restored = restoredTable([...quiet, ...rows(30, 31, 20)], H);
    expect(
      compareTable(restored, { before: fingerprint(quiet, H, before), after: fingerprint(quiet, H, after) }),
    ).toMatchObject({ driftRowCount: 1, findings: [] });
  });

  it('says of a table that was rewritten before the snapshot and after it that nothing was shown', () => {
    const rewritten = (count: number) =>
      compareTable(restoredTable(rows(0, count, 20, 'once '), H), {
        before: fingerprint(rows(0, count), H),
        after: fingerprint(rows(0, count, 30, 'twice '), H, { removedRowCount: 2 * count }),
      });
    expect(rewritten(10)).toEqual({
      rowCount: 10,
      rowsExpected: 10,
      rowsComparedExactly: 0,
      driftRowCount: 10,
      findings: [],
      gaps: [
        {
          kind: 'table-not-bounded',
          databaseId: 'app',
          table: { schema: 'public', name: 'pupil' },
          why: 'rewritten',
          rowCount: 10,
        },
      ],
    });
    expect(rewritten(9)).toMatchObject({ driftRowCount: 9, gaps: [] });
  });

  it('reports rows that were made after the backup, once, and compares the rest', () => {
    const end = fingerprint(quiet, H);
    const restored = restoredTable(quiet, H, { later: digestOf(rows(33, 36, 99)) });
    expect(compareTable(restored, { before: end, after: end })).toEqual({
      rowCount: 33,
      rowsExpected: 30,
      rowsComparedExactly: 30,
      driftRowCount: 0,
      gaps: [],
      findings: [0, 1, 2].map(bucket => ({
        kind: 'rows-added',
        place: placeOf(bucket),
        detail: '1 rows were made after the backup',
      })),
    });
  });

  it('trusts equal rows over what their transaction ids seem to say', () => {
    const end = fingerprint([...quiet, ...rows(30, 33, 20)], H);
    const restored = restoredTable(quiet, H, { later: digestOf(rows(30, 33, 20)) });
    expect(compareTable(restored, { before: end, after: end })).toMatchObject({
      rowsComparedExactly: 33,
      findings: [],
    });
  });

  it('names ten buckets and counts the others', () => {
    const wide = (all: readonly Row[]) =>
      Object.fromEntries(
        all.map(row => [String(row.key), digestOf([row])['0'] ?? { rows: 1, sums: ['1', '1'] as [string, string] }]),
      );
    const end = fingerprint([], H, { bucketCount: 30, settled: wide(quiet) });
    const { findings } = compareTable(restoredTable([], H), { before: end, after: end });
    expect(findings).toHaveLength(11);
    expect(findings[0]).toEqual({
      kind: 'rows-missing',
      place: 'public.pupil bucket 1/30',
      detail: '1 of 1 rows are missing',
    });
    expect(findings[10]).toEqual({ kind: 'rows-missing', place: 'public.pupil', detail: 'and 20 more of its buckets' });
  });

  const row = fc.record({
    key: fc.integer({ min: 0, max: 40 }),
    content: fc.string({ maxLength: 3 }),
    xid: fc.integer({ min: 1, max: 20 }),
  });
  /** A history: rows are made and removed between the three moments, and no row older than H ever comes anew. */
  const history = fc
    .record({
      start: fc.array(row, { maxLength: 40 }),
      first: fc.record({ kept: fc.infiniteStream(fc.boolean()), made: fc.array(row, { maxLength: 10 }) }),
      second: fc.record({ kept: fc.infiniteStream(fc.boolean()), made: fc.array(row, { maxLength: 10 }) }),
      removes: fc.boolean(),
    })
    .map(({ start, first, second, removes }) => {
      const advance = (from: readonly Row[], { kept, made }: typeof first) => {
        const stays = from.filter(() => !removes || kept.next().value);
        return { removed: from.length - stays.length, rows: [...stays, ...made.map(r => ({ ...r, xid: r.xid + H }))] };
      };
      const snapshot = advance(start, first);
      const end = advance(snapshot.rows, second);
      return {
        before: fingerprint(start, H),
        after: fingerprint(end.rows, H, { removedRowCount: snapshot.removed + end.removed }),
        restored: snapshot.rows,
      };
    });

  it('never finds fault with a true copy, and accounts for every row', () => {
    fc.assert(
      fc.property(history, ({ before, after, restored }) => {
        const comparison = compareTable(restoredTable(restored, H), { before, after });
        expect(comparison.findings).toEqual([]);
        expect(comparison.rowsComparedExactly + comparison.driftRowCount).toBe(comparison.rowCount);
        expect(comparison.rowCount).toBe(restored.length);
      }),
    );
  });

  it('never counts an altered row as compared exactly', () => {
    fc.assert(
      fc.property(history, fc.nat(), ({ before, after, restored }, chosen) => {
        const victim = restored[chosen % Math.max(restored.length, 1)];
        if (!victim) return;
        const altered = restored.map(r => (r === victim ? { ...r, content: `${r.content} altered` } : r));
        const comparison = compareTable(restoredTable(altered, H), { before, after });
        const part = restored.filter(r => r.key % BUCKETS === victim.key % BUCKETS && r.xid < H === victim.xid < H);
        expect(comparison.rowsComparedExactly).toBeLessThanOrEqual(restored.length - part.length);
      }),
    );
  });
});

describe('chooseEnds', () => {
  const [one, two, three] = ['1', '2', '3'].map(digit => digit.repeat(64)) as [string, string, string];
  const end = (definitionSha256: string) => fingerprint([], H, { definitionSha256 });
  it.each([
    ['unchanged on the source', one, one, one, ['before', 'after']],
    ['unchanged on the source, changed on the copy', one, one, two, ['before', 'after']],
    ['altered after the snapshot', one, two, one, ['before']],
    ['altered before the snapshot', one, two, two, ['after']],
    ['altered twice', one, two, three, []],
    ['created meanwhile', undefined, two, two, ['after']],
    ['dropped meanwhile', one, undefined, one, ['before']],
    ['created and altered meanwhile', undefined, two, three, []],
  ])('%s', (_what, before, after, restored, chosen) => {
    const ends = chooseEnds({ before: before && end(before), after: after && end(after) } as never, restored);
    expect(Object.entries(ends).flatMap(([name, value]) => (value ? [name] : []))).toEqual(chosen);
  });

  it('compares with the one end that has the definition, whole buckets only', () => {
    const altered = fingerprint(rows(0, 30, 50, 'new '), H, { definitionSha256: two });
    const before = fingerprint(quiet, H, { definitionSha256: one });
    const restored = restoredTable([...quiet.slice(1)], H, { definitionSha256: one });
    expect(compareTable(restored, { before, after: altered })).toEqual({
      rowCount: 29,
      rowsExpected: 29,
      rowsComparedExactly: 20,
      driftRowCount: 9,
      findings: [],
      gaps: [],
    });
  });
});
