import { describe, expect, it } from 'vitest';
import type { DatabaseFingerprint, TableFingerprint } from '../../../functions/contracts/fingerprint.ts';
import { comparePresence, compareSchema, compareSequences } from '../../../functions/restore-test/compare-catalog.ts';

const database = (extra: Partial<DatabaseFingerprint>): DatabaseFingerprint => ({
  version: 1,
  databaseId: 'school',
  moment: 'before',
  serverVersion: '17.4',
  seeds: ['1', '2'],
  schemaSha256: 'b'.repeat(64),
  tables: [],
  sequences: [],
  unreadable: [],
  tenants: [],
  ...extra,
});

describe('comparePresence', () => {
  const table = (name: string): TableFingerprint => ({
    schema: 'public',
    table: name,
    kind: 'table',
    definitionSha256: 'a'.repeat(64),
    bucketColumns: ['id'],
    bucketCount: 1,
    horizon: '10',
    snapshot: '100:100:',
    measuredAt: '2026-11-22T02:30:00.000Z',
    settled: {},
    recent: {},
    removedRowCount: 0,
    fileNode: '1',
  });
  it('misses what both have, and finds what neither has', () => {
    const before = database({ tables: ['kept', 'lost', 'dropped'].map(table) });
    const after = database({
      tables: ['kept', 'lost', 'created'].map(table),
      unreadable: [{ schema: 'public', relation: 'secret', reason: 'permission-denied' }],
    });
    const names = new Set(['public.kept', 'public.secret', 'public.planted']);
    expect(comparePresence(before, after, names).map(({ kind, place }) => [kind, place])).toEqual([
      ['table-missing', 'public.lost'],
      ['table-added', 'public.planted'],
    ]);
  });
});

describe('compareSchema', () => {
  const [b, c, d] = ['b', 'c', 'd'].map(digit => database({ schemaSha256: digit.repeat(64) })) as [
    DatabaseFingerprint,
    DatabaseFingerprint,
    DatabaseFingerprint,
  ];
  it.each([
    [b, b, b, 0, 0],
    [b, b, c, 1, 0],
    [b, c, b, 0, 0],
    [b, c, c, 0, 0],
    [b, c, d, 0, 1],
  ])('case %#', (before, after, restored, findings, gaps) => {
    const result = compareSchema(before, after, restored.schemaSha256);
    expect([result.findings.length, result.gaps.length]).toEqual([findings, gaps]);
  });
});

describe('compareSequences', () => {
  const state = (lastValue: string | null, increment = '1') => [
    { schema: 'public', sequence: 'pupil_id_seq', lastValue, increment },
  ];
  it.each([
    ['level', '7', '9', '7', '1', []],
    ['ahead by what PostgreSQL logs in advance', '7', '9', '39', '1', []],
    ['behind', '7', '9', '6', '1', ['sequence-behind']],
    ['never used on the copy', '7', '9', null, '1', ['sequence-behind']],
    ['never used before', null, '9', null, '1', []],
    ['set back on the source meanwhile', '7', '1', '1', '1', []],
    ['set back further on the copy', '7', '2', '1', '1', ['sequence-behind']],
    ['counting down, behind', '-7', '-9', '-6', '-1', ['sequence-behind']],
    ['counting down, ahead', '-7', '-9', '-8', '-1', []],
    ['beyond 2^53', '9007199254740993', '9007199254740993', '9007199254740992', '1', ['sequence-behind']],
  ])('%s', (_what, before, after, restored, increment, kinds) => {
    const findings = compareSequences(state(before, increment), state(after, increment), state(restored, increment));
    expect(findings.map(({ kind }) => kind)).toEqual(kinds);
  });
  it('misses a sequence that is gone', () => {
    expect(compareSequences(state('7'), state('7'), [])).toEqual([
      { kind: 'sequence-behind', place: 'public.pupil_id_seq', detail: 'it has no value yet' },
    ]);
  });
});
