import { describe, expect, it } from 'vitest';
import { type Acceptance, type Gap, MAY_PASS } from '../../../functions/contracts/gap.ts';
import type { DatabaseVerification, Finding, Verdict } from '../../../functions/contracts/restore-test-record.ts';
import { acceptGaps, totalGaps } from '../../../functions/restore-test/accept-gaps.ts';
import {
  DRIFT_FLOOR_ROWS,
  judgeRestoreTest,
  type ObjectEvidence,
  type RestoreTestEvidence,
} from '../../../functions/restore-test/judge-restore-test.ts';

const verification: DatabaseVerification = {
  databaseId: 'app',
  tableCount: 3,
  rowCount: 1000,
  rowsExpected: 1000,
  rowsComparedExactly: 1000,
  driftRowCount: 0,
  foreignKeysChecked: 2,
  indexesChecked: 3,
  heapRelationsChecked: 3,
  gaps: [],
  gapTotals: [],
  findings: [],
  findingCount: 0,
};
const objects: ObjectEvidence = { expectedItems: 1, resultCount: 1, objectCount: 5, findings: [], findingCount: 0 };
const finding: Finding = { kind: 'rows-changed', place: 'public.note bucket 3/8', detail: '1 bucket differs' };
const passing: RestoreTestEvidence = {
  notStarted: null,
  recoveryPointStatus: 'good',
  findings: [],
  expectedDatabaseIds: ['app'],
  databases: [{ databaseId: 'app', verification, failure: null, restored: true }],
  objects,
  failure: null,
  minimumCoveragePercent: 95,
};
const database = (change: Partial<RestoreTestEvidence['databases'][number]>) => ({
  ...passing,
  databases: [{ databaseId: 'app', verification, failure: null, restored: true, ...change }],
});
const verified = (change: Partial<DatabaseVerification>) => database({ verification: { ...verification, ...change } });
const found = (...findings: Finding[]) => verified({ findings, findingCount: findings.length });
const withGaps = (gaps: Gap[], accepted: Acceptance[] = []) => {
  const named = acceptGaps('app', gaps, accepted);
  return verified({ gaps: named, gapTotals: totalGaps(named) });
};
const drifting = (rowsExpected: number, driftRowCount: number) =>
  verified({ rowsExpected, rowsComparedExactly: rowsExpected - driftRowCount, driftRowCount });
const note = { schema: 'public', name: 'note' };
const databaseId = 'app';

describe('judgeRestoreTest', () => {
  it('passes when everything was read and compared', () => {
    expect(judgeRestoreTest(passing)).toEqual({
      verdict: 'passed',
      reasons: [],
      rowCoveragePercent: 100,
      findings: [],
      findingCount: 0,
    });
  });

  it.each<[string, RestoreTestEvidence, Verdict, string]>([
    [
      'a database that was to be tested and has no result',
      { ...passing, expectedDatabaseIds: ['app', 'notes'] },
      'inconclusive',
      'database notes has no result',
    ],
    ['a difference in the database', found(finding), 'failed', 'rows-changed: public.note bucket 3/8'],
    [
      'a difference among the objects',
      {
        ...passing,
        objects: { ...objects, findings: [{ ...finding, kind: 'object-altered', place: 'x' }], findingCount: 1 },
      },
      'failed',
      'object-altered: x',
    ],
    [
      'a root manifest that does not verify, though nothing was restored',
      {
        ...passing,
        findings: [{ ...finding, kind: 'signature-invalid', place: 'm' }],
        databases: [],
        objects: null,
      },
      'failed',
      'signature-invalid: m',
    ],
    [
      'a snapshot that is gone',
      database({ verification: null, failure: 'SnapshotAlteredError', restored: false }),
      'failed',
      'database app: SnapshotAlteredError',
    ],
    [
      'a quota that left no room to restore',
      database({ verification: null, failure: 'DatabaseQuotaError', restored: false }),
      'could-not-start',
      'database app was not restored: DatabaseQuotaError',
    ],
    [
      'nothing to test',
      { ...passing, notStarted: 'there is nothing', databases: [], objects: null },
      'could-not-start',
      'there is nothing',
    ],
    [
      'a verification that broke off',
      database({ verification: null, failure: 'RetryableError' }),
      'inconclusive',
      'database app was restored but not fully verified: RetryableError',
    ],
    [
      'an end after the restore',
      { ...passing, failure: 'States.Timeout' },
      'inconclusive',
      'the test ended early: States.Timeout',
    ],
    [
      'a table rewritten meanwhile',
      drifting(100_000, 5001),
      'inconclusive',
      'database app: 5001 of 100000 rows changed while the snapshot was taken, so that 94.99 % were compared exactly; 95 % are needed',
    ],
    [
      'a small database that a large one would hide',
      {
        ...passing,
        databases: [
          {
            databaseId: 'app',
            verification: { ...verification, rowsExpected: 1_000_000, rowsComparedExactly: 1_000_000 },
            failure: null,
            restored: true,
          },
          {
            databaseId: 'notes',
            verification: {
              ...verification,
              databaseId: 'notes',
              rowsExpected: 8000,
              rowsComparedExactly: 6000,
              driftRowCount: 2000,
            },
            failure: null,
            restored: true,
          },
        ],
      },
      'inconclusive',
      'database notes: 2000 of 8000 rows changed while the snapshot was taken, so that 75 % were compared exactly; 95 % are needed',
    ],
    [
      'a table whose definition changed meanwhile',
      withGaps([{ kind: 'table-of-no-end', databaseId, table: note, why: 'redefined' }]),
      'inconclusive',
      'database app: no row of public.note was compared: its definition changed while the snapshot was taken (app/table-of-no-end:redefined:public.note)',
    ],
    [
      'an incomplete recovery point',
      { ...passing, recoveryPointStatus: 'incomplete' },
      'inconclusive',
      'the recovery point is incomplete: its root manifest says what it lacks',
    ],
    [
      'a recovery point that holds nothing',
      { ...passing, expectedDatabaseIds: [], databases: [], objects: { ...objects, objectCount: 0 } },
      'inconclusive',
      'the recovery point holds nothing to compare',
    ],
    [
      'a small table of a large database rewritten meanwhile',
      withGaps([{ kind: 'table-not-bounded', databaseId, table: note, why: 'rewritten', rowCount: 12 }]),
      'inconclusive',
      'database app: 12 rows of public.note may be lost or altered: it was rewritten while the snapshot was taken (app/table-not-bounded:rewritten:public.note)',
    ],
    ['an empty comparison', verified({ rowsComparedExactly: 0 }), 'inconclusive', 'database app: no row was compared'],
    [
      'a table that the reader cannot see',
      withGaps([{ kind: 'rows-unreadable', databaseId, table: note, why: 'permission-denied' }]),
      'inconclusive',
      'database app: the rows of public.note were not read: the reader may not read it (app/rows-unreadable:permission-denied:public.note)',
    ],
    [
      "a tenant's objects without a result",
      { ...passing, objects: { ...objects, expectedItems: 2 } },
      'inconclusive',
      "1 tenants' objects were not compared",
    ],
    ['objects that were not reached', { ...passing, objects: null }, 'inconclusive', 'the objects were not compared'],
  ])('judges %s', (_name, evidence, verdict, reason) => {
    const decision = judgeRestoreTest(evidence);
    expect({ verdict: decision.verdict, reasons: decision.reasons }).toEqual({ verdict, reasons: [reason] });
  });

  it('passes at the bound, and rounds the figure down', () => {
    expect(judgeRestoreTest(drifting(100_000, 5000))).toMatchObject({ verdict: 'passed', rowCoveragePercent: 95 });
    expect(judgeRestoreTest(drifting(100_000, 1))).toMatchObject({ verdict: 'passed', rowCoveragePercent: 99.99 });
  });

  it('counts rows, not shares, in a small database, and never passes one of which nothing was compared', () => {
    expect(judgeRestoreTest(drifting(11, 1))).toMatchObject({ verdict: 'passed', rowCoveragePercent: 90.9 });
    expect(judgeRestoreTest(drifting(10_000, DRIFT_FLOOR_ROWS)).verdict).toBe('passed');
    expect(judgeRestoreTest(drifting(10_000, DRIFT_FLOOR_ROWS + 1)).verdict).toBe('inconclusive');
    expect(judgeRestoreTest(drifting(11, 11)).verdict).toBe('inconclusive');
  });

  it('lets no accepted gap leave room for drift in other tables', () => {
    const gap: Gap = { kind: 'table-not-bounded', databaseId, table: note, why: 'locked', rowCount: 1_000_000 };
    const accepted = acceptGaps(
      'app',
      [gap],
      [{ what: 'app/table-not-bounded:locked:public.note', reason: 'can-be-made-again' }],
    );
    const { verdict, reasons } = judgeRestoreTest(
      verified({
        rowsExpected: 1_050_000,
        rowsComparedExactly: 10_000,
        driftRowCount: 40_000,
        gaps: accepted,
        gapTotals: totalGaps(accepted),
      }),
    );
    expect({ verdict, reasons }).toEqual({
      verdict: 'inconclusive',
      reasons: [
        'database app: 40000 of 50000 rows changed while the snapshot was taken, so that 20 % were compared exactly; 95 % are needed',
      ],
    });
  });

  const oneOfEach: Record<Gap['kind'], Gap> = {
    'table-of-no-end': { kind: 'table-of-no-end', databaseId, table: note, why: 'locked' },
    'table-not-bounded': { kind: 'table-not-bounded', databaseId, table: note, why: 'locked', rowCount: 3 },
    'rows-unreadable': { kind: 'rows-unreadable', databaseId, table: note, why: 'row-level-security' },
    'large-objects': { kind: 'large-objects', databaseId, objectCount: 2 },
    'other-database': { kind: 'other-database', databaseId, name: 'reports', tableCount: null },
    'catalog-drift': { kind: 'catalog-drift', databaseId, catalog: 'pg_proc', rowCount: 1 },
    'catalog-unread': { kind: 'catalog-unread', databaseId, catalog: 'pg_subscription', why: 'permission-denied' },
    'sequence-of-no-end': { kind: 'sequence-of-no-end', databaseId, sequence: note },
    'sequence-not-bounded': { kind: 'sequence-not-bounded', databaseId, sequence: note },
    'sequence-unread': { kind: 'sequence-unread', databaseId, sequence: note },
    drift: { kind: 'drift', databaseId, rowCount: 3 },
    'unlogged-table': { kind: 'unlogged-table', databaseId, table: note, rowCount: 5000 },
    'foreign-table': { kind: 'foreign-table', databaseId, table: note },
    'unpopulated-view': { kind: 'unpopulated-view', databaseId, table: note },
    'system-database': { kind: 'system-database', databaseId, name: 'postgres' },
    'check-not-made': {
      kind: 'check-not-made',
      databaseId,
      subject: 'index',
      name: 'public.i',
      why: 'no-check-exists',
    },
    'amcheck-missing': { kind: 'amcheck-missing', databaseId },
    'acceptance-unused': { kind: 'acceptance-unused', databaseId, what: 'app/large-objects' },
  };
  it.each(Object.values(oneOfEach))('lets $kind stand beside passed as decided, or once accepted by name', gap => {
    expect(judgeRestoreTest(withGaps([gap])).verdict).toBe(MAY_PASS[gap.kind] ? 'passed' : 'inconclusive');
    const what = acceptGaps(databaseId, [gap], [])[0]?.name ?? '';
    expect(judgeRestoreTest(withGaps([gap], [{ what, reason: 'being-removed' }])).verdict).toBe('passed');
    const other = gap.kind === 'large-objects' ? 'app/catalog-drift:pg_proc' : 'app/large-objects';
    expect(judgeRestoreTest(withGaps([gap], [{ what: other, reason: 'being-removed' }])).verdict).toBe(
      MAY_PASS[gap.kind] ? 'passed' : 'inconclusive',
    );
  });

  it('counts also the findings that were not kept', () => {
    const some = Array<Finding>(100).fill({ ...finding, kind: 'object-missing' });
    const { reasons, findingCount } = judgeRestoreTest({
      ...passing,
      objects: { ...objects, findings: some, findingCount: 250_000 },
    });
    expect([reasons.at(-1), findingCount]).toEqual(['and 249990 more findings', 250_000]);
  });

  it('lists the first ten findings and counts the rest', () => {
    const { verdict, reasons, findings } = judgeRestoreTest(found(...Array<Finding>(13).fill(finding)));
    expect([verdict, reasons.length, reasons.at(-1), findings.length]).toEqual([
      'failed',
      11,
      'and 3 more findings',
      13,
    ]);
  });

  it('passes over nothing that a record had no room for', () => {
    const cut = (change: Partial<DatabaseVerification>) => judgeRestoreTest(verified(change));
    const total = (kind: Gap['kind'], gapCount: number) => ({ kind, gapCount, rowCount: null });
    expect(cut({ findings: [], findingCount: 1 })).toMatchObject({
      verdict: 'failed',
      reasons: ['and 1 more findings'],
    });
    expect(cut({ gapTotals: [total('rows-unreadable', 1)] })).toMatchObject({
      verdict: 'inconclusive',
      reasons: ['database app: and 1 more that its record does not name'],
    });
    const accepted = acceptGaps(
      'app',
      [{ kind: 'large-objects', databaseId, objectCount: 2 }],
      [{ what: 'app/large-objects', reason: 'can-be-made-again' }],
    );
    const gapTotals = [total('large-objects', 1), total('check-not-made', 9)];
    expect(cut({ gaps: accepted, gapTotals })).toMatchObject({ verdict: 'passed' });
    expect(cut({ gaps: accepted, gapTotals: [...gapTotals, total('catalog-unread', 2)] })).toMatchObject({
      verdict: 'inconclusive',
      reasons: ['database app: and 2 more that its record does not name'],
    });
  });
});
