import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Acceptance, type Gap } from '../../../functions/contracts/gap.ts';
import type { DatabaseVerification } from '../../../functions/contracts/restore-test-record.ts';
import { canonicalJson } from '../../../functions/platform/canonical-json.ts';
import { gapName } from '../../../functions/platform/gap-name.ts';
import { acceptGaps, totalGaps } from '../../../functions/restore-test/accept-gaps.ts';
import { describeVerdict } from '../../../functions/restore-test/describe-verdict.ts';

const databaseId = 'app';
const identifier = fc.oneof(
  fc.string({ minLength: 1, maxLength: 4, unit: fc.constantFrom('a', '.', '"', ':', ' ', '/', 'A') }),
  fc.string({ minLength: 1, maxLength: 4 }),
);
const table = fc.record({ schema: identifier, name: identifier });
const why = fc.constantFrom('locked' as const, 'permission-denied' as const);
const id = fc.constantFrom('app', 'app-2');
const gap: fc.Arbitrary<Gap> = fc.oneof(
  fc.record({
    kind: fc.constantFrom('table-of-no-end' as const, 'rows-unreadable' as const),
    databaseId: id,
    table,
    why,
  }),
  fc.record({ kind: fc.constant('foreign-table' as const), databaseId: id, table }),
  fc.record({
    kind: fc.constant('other-database' as const),
    databaseId: id,
    name: identifier,
    tableCount: fc.constant(null),
  }),
  fc.record({ kind: fc.constant('system-database' as const), databaseId: id, name: identifier }),
  fc.record({ kind: fc.constant('catalog-unread' as const), databaseId: id, catalog: identifier, why }),
  fc.record({ kind: fc.constant('large-objects' as const), databaseId: id, objectCount: fc.constant(null) }),
);

describe('the name of a gap', () => {
  it('is one gap’s alone, and can be accepted as it is printed', () => {
    fc.assert(
      fc.property(gap, gap, (one, other) => {
        const same = gapName(one) === gapName(other);
        expect(same).toBe(canonicalJson(one) === canonicalJson(other));
        expect(Acceptance.safeParse({ what: gapName(one), reason: 'being-removed' }).success).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  it.each<[Gap, string]>([
    [{ kind: 'large-objects', databaseId, objectCount: 3 }, 'app/large-objects'],
    [{ kind: 'other-database', databaseId, name: 'Old Reports', tableCount: 3 }, 'app/other-database:"Old Reports"'],
    [
      { kind: 'rows-unreadable', databaseId, table: { schema: 'a.b', name: 'c' }, why: 'locked' },
      'app/rows-unreadable:locked:"a.b".c',
    ],
  ])('case %#', (gap, name) => {
    expect(gapName(gap)).toBe(name);
  });
});

describe('an acceptance', () => {
  it.each([
    { what: 'app/large-objects', reason: 'Mrs Smith of Oak School says so' },
    { what: 'app/large-objects', reason: 'being-removed', reference: 'asked by jane@oak.sch.uk' },
    { what: 'large-objects', reason: 'being-removed' },
    { what: '*', reason: 'being-removed' },
  ])('is refused where it is not one gap for a reason of the list: case %#', acceptance => {
    expect(Acceptance.safeParse(acceptance).success).toBe(false);
  });

  it('that meets no gap is named', () => {
    const accepted = ['app/large-objects', 'notes/large-objects'].map(what => ({
      what,
      reason: 'being-removed' as const,
    }));
    expect(acceptGaps(databaseId, [], accepted).map(({ name }) => name)).toEqual([
      'app/acceptance-unused:app/large-objects',
    ]);
  });
});

describe('the line of a verdict', () => {
  const lineOf = (gaps: Gap[], accepted: Acceptance[] = [], files = 0) => {
    const named = acceptGaps(databaseId, gaps, accepted);
    const verification: DatabaseVerification = {
      databaseId,
      tableCount: 0,
      rowCount: 0,
      rowsExpected: 0,
      rowsComparedExactly: 0,
      driftRowCount: 0,
      foreignKeysChecked: 0,
      indexesChecked: 0,
      heapRelationsChecked: 0,
      gaps: named.slice(0, 30),
      gapTotals: totalGaps(named),
      findings: [],
      findingCount: 0,
    };
    const objects = { tenantCount: 1, objectCount: 2000, objectsRestored: 2000 - files, bytesRestored: 0 };
    return describeVerdict({ verdict: 'passed', databases: [verification], objects });
  };
  const unlogged = (name: string, rowCount: number | null): Gap => ({
    kind: 'unlogged-table',
    databaseId,
    table: { schema: 'public', name },
    rowCount,
  });

  it.each<[Gap[], Acceptance[], string]>([
    [[], [], 'passed'],
    [
      [{ kind: 'drift', databaseId, rowCount: 12 }, unlogged('cache', 5000)],
      [],
      'passed; not compared: 12 rows that changed meanwhile; empty after a restore: unlogged public.cache (5,000 rows)',
    ],
    [
      Array.from({ length: 120 }, (_, number) => unlogged(`cache_${number}`, 1000)),
      [],
      'passed; empty after a restore: 120 unlogged tables (120,000 rows)',
    ],
    [
      [
        { kind: 'system-database', databaseId, name: 'postgres' },
        { kind: 'system-database', databaseId, name: 'template1' },
        { kind: 'other-database', databaseId, name: 'reports', tableCount: 3 },
      ],
      [{ what: 'app/other-database:reports', reason: 'backed-up-otherwise', reference: 'OPS-12' }],
      'passed; not compared: database postgres, database template1; accepted: database reports of the same instance is not proved: it has 3 tables of its own (backed-up-otherwise, OPS-12)',
    ],
    [
      [],
      [{ what: 'app/large-objects', reason: 'being-removed' }],
      'passed; the configuration accepts app/large-objects, and there is no such gap: take it out',
    ],
  ])('case %#', (gaps, accepted, line) => {
    expect(lineOf(gaps, accepted)).toBe(line);
  });

  it('says how many files were seen and not read', () => {
    expect(lineOf([], [], 1990)).toBe('passed; not compared: the content of 1,990 files of 2,000');
  });
});
