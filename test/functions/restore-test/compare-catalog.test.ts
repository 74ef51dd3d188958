import { zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DatabaseFingerprint, SequenceState, TableFingerprint } from '../../../functions/contracts/fingerprint.ts';
import {
  CATALOG_PART,
  CATALOG_ROW,
  type CatalogMeasurement,
  type CatalogRows,
  decodeCatalogs,
  encodeCatalogs,
} from '../../../functions/platform/fingerprint/catalog-rows.ts';
import {
  FingerprintUnreadableError,
  openFingerprint,
} from '../../../functions/platform/fingerprint/fingerprint-file.ts';
import {
  type CatalogRow,
  compareCatalogs,
  comparePresence,
  compareSequences,
  judgeRow,
} from '../../../functions/restore-test/compare-catalog.ts';

const database = (extra: Partial<DatabaseFingerprint>): DatabaseFingerprint => ({
  version: 2,
  databaseId: 'school',
  moment: 'before',
  serverVersion: '17.4',
  seeds: ['1', '2'],
  horizon: '10',
  catalogsSha256: null,
  tables: [],
  sequences: [],
  unreadable: [],
  describedAt: null,
  instanceDatabases: [],
  root: { comparison: 'exact', tenants: [], rowsWithoutId: 0 },
  ...extra,
});

describe('comparePresence', () => {
  const table = (name: string): TableFingerprint => ({
    schema: 'public',
    table: name,
    kind: 'table',
    shape: { of: 'row', sha256: 'a'.repeat(64) },
    definitionSha256: 'a'.repeat(64),
    bucketColumns: ['id'],
    bucketCount: 1,
    horizon: '10',
    snapshot: '100:100:',
    isOneSnapshot: true,
    firstMeasuredAt: '2026-11-22T02:30:00.000Z',
    lastMeasuredAt: '2026-11-22T02:30:00.000Z',
    rowCount: 0,
    removedRowCount: 0,
    deletedRowCount: 0,
    fileNode: '1',
    digests: { partSha256: 'a'.repeat(64), offset: 0, byteCount: 8 },
  });
  it('misses what both have, and finds what neither has', () => {
    const before = database({ tables: ['kept', 'lost', 'dropped'].map(table) });
    const after = database({
      tables: ['kept', 'lost', 'created'].map(table),
      unreadable: [{ schema: 'public', relation: 'secret', reason: 'permission-denied', rowCount: null }],
    });
    const names = new Set(['public.kept', 'public.secret', 'public.planted', 'public.passing']);
    expect(
      comparePresence(before, after, names, new Set(['public.passing'])).map(({ kind, place }) => [kind, place]),
    ).toEqual([
      ['table-missing', 'public.lost'],
      ['table-added', 'public.planted'],
    ]);
  });
});

describe('judgeRow', () => {
  const row = (text: string): CatalogRow => {
    const [hash, part] = text.split(' ');
    return hash ? { hash, part: (part ?? 'settled') as 'settled' } : undefined;
  };
  it.each([
    ['nothing changed', 'x', 'x', 'x', 'same'],
    ['gone from the copy', 'x', 'x', '', 'missing'],
    ['changed on the copy by a later transaction', 'x', 'x', 'y later', 'changed'],
    ['changed on the copy beneath SQL', 'x', 'x', 'y settled', 'changed'],
    ['changed on the copy under a number that a transaction had meanwhile', 'x', 'x', 'y recent', 'changed'],
    ['added on the copy', '', '', 'y later', 'added'],
    ['added beneath SQL', '', '', 'y settled', 'added'],
    ['made and dropped meanwhile', '', '', 'y recent', 'drift'],
    ['changed meanwhile, the copy as before', 'x', 'y recent', 'x', 'same'],
    ['changed meanwhile, the copy as after', 'x', 'y recent', 'y recent', 'same'],
    ['changed twice meanwhile', 'x', 'z recent', 'y recent', 'drift'],
    ['changed and changed back meanwhile', 'x', 'x recent', 'y recent', 'drift'],
    ['changed meanwhile, altered on the copy', 'x', 'z recent', 'y later', 'changed'],
    ['changed meanwhile, altered beneath SQL', 'x', 'z recent', 'y settled', 'changed'],
    ['created meanwhile, not yet there', '', 'x recent', '', 'same'],
    ['created meanwhile, altered beneath SQL', '', 'x recent', 'y settled', 'added'],
    ['dropped meanwhile, already gone', 'x', '', '', 'same'],
    ['dropped meanwhile, still there', 'x', '', 'x', 'same'],
    ['taken away and given again meanwhile', 'x', 'x recent', '', 'drift'],
    ['seen through a view, gone', 'x unknown', 'x unknown', '', 'missing'],
    ['seen through a view, changed', 'x unknown', 'x unknown', 'y unknown', 'changed'],
    ['seen through a view, added', '', '', 'y unknown', 'added'],
    ['seen through a view, changed twice meanwhile', 'x unknown', 'z unknown', 'y unknown', 'drift'],
  ])('%s', (_what, before, after, restored, outcome) => {
    expect(judgeRow(row(before), row(after), row(restored))).toBe(outcome);
  });
});

describe('compareCatalogs', () => {
  const COLUMNS = ['oid', 'relname'];
  /** Rows by key, each a hash and a part. */
  type Rows = Record<number, [number, keyof typeof CATALOG_PART]>;
  const measured = (rows: Rows, extra: Partial<CatalogRows> = {}): CatalogMeasurement => {
    const bytes = Object.entries(rows).map(([key, [hash, part]]) => {
      const row = Buffer.alloc(CATALOG_ROW.length);
      row.writeUInt32BE(Number(key));
      row.writeUInt32BE(hash, CATALOG_ROW.key);
      row[CATALOG_ROW.length - 1] = CATALOG_PART[part];
      return row;
    });
    const catalog = { catalog: 'pg_class', columns: COLUMNS, rowCount: bytes.length, obstacle: null };
    return {
      horizon: '10',
      snapshot: '10:10:',
      names: {},
      catalogs: [{ ...catalog, rows: Buffer.concat(bytes), ...extra }],
    };
  };
  const keyOf = (key: number) => key.toString(16).padStart(8, '0').padEnd(32, '0');

  const tables: fc.Arbitrary<Rows> = fc.dictionary(
    fc.integer({ min: 0, max: 300 }).map(String),
    fc.tuple(fc.nat(3), fc.constantFrom('settled', 'recent', 'later', 'unknown')),
  );
  it('judges each key of the three once, as it would alone', () => {
    fc.assert(
      fc.property(tables, tables, tables, (before, after, restored) => {
        const row = (entry: Rows[number] | undefined): CatalogRow =>
          entry && { hash: String(entry[0]), part: entry[1] };
        const keys = [...new Set([before, after, restored].flatMap(Object.keys))].map(Number).sort((a, b) => a - b);
        const outcomes = keys.map(
          key => [key, judgeRow(row(before[key]), row(after[key]), row(restored[key]))] as const,
        );
        const of = (kind: string) => outcomes.filter(([, outcome]) => outcome === kind).map(([key]) => keyOf(key));
        const result = compareCatalogs({ before: measured(before), after: measured(after) }, measured(restored));
        for (const kind of ['missing', 'added', 'changed'] as const) {
          const found = result.differences.find(difference => difference.kind === kind);
          expect([found?.keys ?? [], found?.more ?? 0]).toEqual([
            of(kind).slice(0, 5),
            Math.max(of(kind).length - 5, 0),
          ]);
        }
        expect(result.drift.reduce((sum, { rowCount }) => sum + rowCount, 0)).toBe(of('drift').length);
        expect(result.rowsComparedExactly).toBe(
          of('same').filter(key => Number.parseInt(key.slice(0, 8), 16) in restored).length,
        );
        expect(result.unread).toEqual([]);
      }),
    );
  });

  const some: Rows = { 7: [1, 'settled'] };
  it.each<[string, CatalogMeasurement, CatalogMeasurement, CatalogMeasurement, object[]]>(
    [
      [
        'by the source',
        measured({}, { obstacle: 'permission-denied' }),
        measured(some),
        measured(some),
        ['permission-denied'],
      ],
      [
        'by the copy',
        measured(some),
        measured(some),
        measured({}, { obstacle: 'permission-denied' }),
        ['permission-denied'],
      ],
      ['at all by the copy', measured(some), measured(some), { ...measured({}), catalogs: [] }, ['unreadable']],
      ['in the same columns', measured(some), measured(some), measured(some, { columns: ['oid'] }), ['redefined']],
    ].map(
      ([what, before, after, restored, whys]) =>
        [what, before, after, restored, (whys as string[]).map(why => ({ catalog: 'pg_class', why }))] as never,
    ),
  )('names a catalog that was not given %s', (_what, before, after, restored, unread) => {
    expect(compareCatalogs({ before, after }, restored)).toEqual({
      rowsComparedExactly: 0,
      differences: [],
      drift: [],
      unread,
    });
  });

  it('is read back as it was written, and refuses anything else', () => {
    const whole = measured({ 1: [1, 'settled'], 2: [5, 'recent'] });
    expect(decodeCatalogs(encodeCatalogs(whole), 'file')).toEqual(whole);
    const [catalog] = whole.catalogs as [CatalogRows];
    const withRows = (rows: Buffer, rowCount = 2) =>
      encodeCatalogs({ ...whole, catalogs: [{ ...catalog, rows, rowCount }] });
    const [first, second] = [catalog.rows.subarray(0, 33), catalog.rows.subarray(33)];
    for (const bytes of [
      Buffer.from('no'),
      withRows(Buffer.concat([second, first])),
      withRows(Buffer.concat([first, first])),
      withRows(first),
      withRows(catalog.rows, 1),
    ]) {
      expect(() => decodeCatalogs(bytes, 'file')).toThrow(FingerprintUnreadableError);
    }
  });
});

describe('compareSequences', () => {
  /** `7`: the last number was 7. `=7`: 7 is the next. `7+32`: so many more are in the WAL. `7/2`: in the second file. */
  const state = (text: string | null, extra: Partial<SequenceState> = {}): SequenceState[] => {
    if (text === null) return [];
    const match = /^(=?)(-?\d+)(?:\+(\d+))?(?:\/(\d))?$/.exec(text);
    const value = { lastValue: match?.[2] ?? '', isCalled: !match?.[1], logCount: Number(match?.[3] ?? 0) };
    const fileNode = match?.[4] ?? '1';
    return [
      {
        schema: 'public',
        sequence: 's',
        increment: '1',
        minimum: '1',
        maximum: '100',
        cycle: false,
        fileNode,
        value,
        ...extra,
      },
    ];
  };
  const down = { increment: '-1', minimum: '-100', maximum: '-1' };
  const cycling = { cycle: true };
  type Open = 'sequence-not-bounded' | 'sequence-of-no-end';
  const [oneSide, noSide] = ['sequence-not-bounded', 'sequence-of-no-end'] as const;
  it.each<[string, string | null, string | null, string, Partial<SequenceState>, string[], Open?]>([
    ['level', '7', '9', '7', {}, []],
    ['ahead by what the WAL held in advance', '7+5', '9+32', '41', {}, []],
    ['further than the WAL held', '7+5', '9+32', '42', {}, ['sequence-ahead']],
    ['ahead of a quiet one that logged nothing', '7', '7', '8', {}, ['sequence-ahead']],
    ['ahead of a quiet one, as recovery leaves it', '7+32', '7+32', '39', {}, []],
    ['ahead without bound', '7', '9+32', '9000', {}, ['sequence-ahead']],
    ['behind', '7', '9', '6', {}, ['sequence-behind']],
    ['set to its last number, never called', '7', '7', '=7', {}, ['sequence-behind']],
    ['set to its next number, never called, which is the same', '7', '7', '=8', {}, []],
    ['never called, and called on the copy', '=1', '=1', '1', {}, ['sequence-ahead']],
    ['never called', '=1', '=1', '=1', {}, []],
    ['never called before, called meanwhile', '=1', '9+32', '33', {}, []],
    ['set back on the source meanwhile', '7', '1', '1', {}, [], oneSide],
    ['set back further on the copy', '7', '2', '1', {}, ['sequence-behind'], oneSide],
    ['begun anew meanwhile, the copy before that', '70', '3/2', '75', {}, [], oneSide],
    ['begun anew meanwhile, the copy behind even before', '70', '3/2', '69', {}, ['sequence-behind'], oneSide],
    ['begun anew meanwhile, the copy after that', '70', '3+2/2', '2/2', {}, [], oneSide],
    ['begun anew meanwhile, the copy beyond', '70', '3+2/2', '6/2', {}, ['sequence-ahead'], oneSide],
    ['begun anew twice meanwhile', '70', '3/3', '99/2', {}, [], noSide],
    ['counting down, behind', '-7', '-9', '-6', down, ['sequence-behind']],
    ['counting down, ahead', '-7', '-9+32', '-41', down, []],
    ['counting down, too far', '-7', '-9+32', '-42', down, ['sequence-ahead']],
    ['beyond 2^53', '9007199254740993', '9007199254740993', '9007199254740992', {}, ['sequence-behind']],
    ['cycling and quiet', '7+3', '7+3', '10', cycling, []],
    ['cycling and quiet, set back', '7+3', '7+3', '6', cycling, ['sequence-behind']],
    ['cycling and moved', '7', '3', '9', cycling, [], noSide],
    ['created meanwhile', null, '9+32', '12', {}, [], oneSide],
    ['created meanwhile, ahead', null, '9+32', '42', {}, ['sequence-ahead'], oneSide],
    ['dropped meanwhile', '9', null, '9', {}, [], oneSide],
    ['dropped meanwhile, behind', '9', null, '8', {}, ['sequence-behind'], oneSide],
  ])('%s', (_what, before, after, restored, extra, kinds, open) => {
    const result = compareSequences('school', state(before, extra), state(after, extra), state(restored, extra));
    expect(result.findings.map(({ kind }) => kind)).toEqual(kinds);
    expect(result.gaps.map(({ kind }) => kind)).toEqual(open === undefined ? [] : [open]);
  });

  it('says that it cannot bound what was defined anew meanwhile, and names what it cannot read', () => {
    const sequence = { schema: 'public', name: 's' };
    expect(compareSequences('school', state('7'), state('9', { increment: '5' }), state('1'))).toEqual({
      findings: [],
      gaps: [{ kind: 'sequence-of-no-end', databaseId: 'school', sequence }],
    });
    expect(compareSequences('school', state('7'), state('9', { value: null }), state('1'))).toEqual({
      findings: [],
      gaps: [{ kind: 'sequence-unread', databaseId: 'school', sequence }],
    });
  });

  it('knows nothing of a sequence that has no value in a fingerprint of version 1', () => {
    const ofV1 = (lastValue: string | null): SequenceState[] => {
      const sequences = [{ schema: 'public', sequence: 's', lastValue, increment: '1' }];
      const stored = { version: 1, databaseId: 'school', moment: 'before', serverVersion: '17', seeds: ['1', '2'] };
      const rest = { schemaSha256: '0'.repeat(64), tables: [], sequences, unreadable: [], tenants: [] };
      const name = { recoveryPointId: '20261122t023000z', databaseId: 'school', moment: 'before' } as const;
      return openFingerprint(zstdCompressSync(JSON.stringify({ ...stored, ...rest })), 'vault', name).index.sequences;
    };
    const unread = { kind: 'sequence-unread', databaseId: 'school', sequence: { schema: 'public', name: 's' } };
    const copy = (text: string) => state(text, { minimum: '1' });
    for (const [before, after] of [
      [null, null],
      [null, '9'],
    ] as const) {
      expect(compareSequences('school', ofV1(before), ofV1(after), copy('=1'))).toEqual({
        findings: [],
        gaps: [unread],
      });
    }
    const kinds = (text: string) =>
      compareSequences('school', ofV1('7'), ofV1('9'), copy(text)).findings.map(({ kind }) => kind);
    expect([kinds('8'), kinds('6')]).toEqual([[], ['sequence-behind']]);
  });

  it('tells apart what a dot would not', () => {
    const named = (schema: string, sequence: string, value: string) => state(value, { schema, sequence });
    const source = [...named('a.b', 'c', '7'), ...named('a', 'b.c', '70')];
    expect(compareSequences('school', source, source, source).findings).toEqual([]);
  });
});
