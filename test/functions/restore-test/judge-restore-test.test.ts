import { describe, expect, it } from 'vitest';
import type { DatabaseVerification, Finding, Verdict } from '../../../functions/contracts/restore-test-record.ts';
import {
  judgeRestoreTest,
  type ObjectEvidence,
  type RestoreTestEvidence,
} from '../../../functions/restore-test/judge-restore-test.ts';

const verification: DatabaseVerification = {
  databaseId: 'app',
  tableCount: 3,
  rowCount: 1000,
  rowsComparedExactly: 1000,
  driftRowCount: 0,
  foreignKeysChecked: 2,
  indexesChecked: 3,
  heapRelationsChecked: 3,
  notChecked: [],
  findings: [],
};
const objects: ObjectEvidence = { expectedItems: 1, resultCount: 1, objectCount: 5, findings: [], findingCount: 0 };
const finding: Finding = { kind: 'rows-changed', place: 'public.note bucket 3/8', detail: '1 bucket differs' };
const passing: RestoreTestEvidence = {
  notStarted: null,
  recoveryPointStatus: 'good',
  findings: [],
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
      'a difference in the database',
      verified({ findings: [finding] }),
      'failed',
      'rows-changed: public.note bucket 3/8',
    ],
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
      verified({ rowsComparedExactly: 949, driftRowCount: 51 }),
      'inconclusive',
      '94.9 % of the rows were compared exactly; 95 % are needed',
    ],
    [
      'a small database that a large one would hide',
      {
        ...passing,
        databases: [
          { databaseId: 'app', verification, failure: null, restored: true },
          {
            databaseId: 'notes',
            verification: { ...verification, databaseId: 'notes', rowsComparedExactly: 0, driftRowCount: 10 },
            failure: null,
            restored: true,
          },
        ],
      },
      'inconclusive',
      'database notes: 0 % of the rows were compared exactly; 95 % are needed',
    ],
    [
      'a table whose definition changed meanwhile',
      verified({ notChecked: ['public.note: its definition changed while the snapshot was taken'] }),
      'inconclusive',
      'database app: not read: public.note: its definition changed while the snapshot was taken',
    ],
    [
      'an incomplete recovery point',
      { ...passing, recoveryPointStatus: 'incomplete' },
      'inconclusive',
      'the recovery point is incomplete: its root manifest says what it lacks',
    ],
    [
      'a recovery point that holds nothing',
      { ...passing, databases: [], objects: { ...objects, objectCount: 0 } },
      'inconclusive',
      'the recovery point holds nothing to compare',
    ],
    [
      'a small table of a large database rewritten meanwhile',
      verified({ notChecked: ['public.note: rewritten while the snapshot was taken'] }),
      'inconclusive',
      'database app: not read: public.note: rewritten while the snapshot was taken',
    ],
    ['an empty comparison', verified({ rowsComparedExactly: 0 }), 'inconclusive', 'no row was compared'],
    [
      'a table that the reader cannot see',
      verified({ notChecked: ['public.note: permission-denied'] }),
      'inconclusive',
      'database app: not read: public.note: permission-denied',
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

  it('accepts coverage at the bound, what holds no rows, and rounds down', () => {
    expect(judgeRestoreTest(verified({ rowsComparedExactly: 950, driftRowCount: 50 })).verdict).toBe('passed');
    expect(judgeRestoreTest(verified({ notChecked: ['public.scratch: unlogged'] })).verdict).toBe('passed');
    expect(judgeRestoreTest(verified({ rowsComparedExactly: 99_999, driftRowCount: 1 })).rowCoveragePercent).toBe(
      99.99,
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
    const { verdict, reasons, findings } = judgeRestoreTest(verified({ findings: Array<Finding>(13).fill(finding) }));
    expect([verdict, reasons.length, reasons.at(-1), findings.length]).toEqual([
      'failed',
      11,
      'and 3 more findings',
      13,
    ]);
  });
});
