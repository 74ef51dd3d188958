import { describe, expect, it } from 'vitest';
import type { DatabaseVerification } from '../../../functions/contracts/restore-test-record.ts';
import { keepWithin } from '../../../functions/restore-test/keep-within.ts';
import { STEP_DEFINITIONS } from '../../../infra/steps/definitions.ts';

const name = (index: number) => `${index} `.padEnd(63, 'ä');

/** As many findings and gaps as a verification has at most, under the longest names that PostgreSQL allows. */
const largest = (accepted: number): DatabaseVerification => ({
  databaseId: 'app',
  tableCount: 5000,
  rowCount: 1,
  rowsExpected: 1,
  rowsComparedExactly: 1,
  driftRowCount: 0,
  foreignKeysChecked: 0,
  indexesChecked: 0,
  heapRelationsChecked: null,
  gaps: Array.from({ length: 30 }, (_, index) => ({
    name: `app/"${name(index)}"."${name(index)}"`,
    gap: {
      kind: 'rows-unreadable',
      databaseId: 'app',
      table: { schema: name(index), name: name(index) },
      why: 'locked',
    },
    accepted: index >= 30 - accepted ? { reason: 'holds-no-school-data', reference: 'r' } : null,
  })),
  gapTotals: [{ kind: 'rows-unreadable', gapCount: 40, rowCount: null }],
  findings: Array.from({ length: 30 }, (_, index) => ({
    kind: 'rows-changed',
    place: `"${name(index)}"."${name(index)}"`,
    detail: 'x'.repeat(100),
  })),
  findingCount: 50,
});
const bytes = (value: unknown) => Buffer.byteLength(JSON.stringify(value));

describe('what a verification passes on', () => {
  it('is everything where there are few databases', () => {
    expect(keepWithin(largest(0), 2)).toEqual(largest(0));
  });

  it.each([7, 40])('fits into one state with the others of %i databases, and counts all', databaseCount => {
    const kept = keepWithin(largest(2), databaseCount);
    expect(bytes(kept) * databaseCount).toBeLessThan(STEP_DEFINITIONS['restore-test/conclude'].builtFor.payloadBytes);
    expect(kept).toMatchObject({ findingCount: 50, gapTotals: [{ gapCount: 40 }] });
    expect(kept.findings).toEqual(largest(2).findings.slice(0, kept.findings.length));
    expect(kept.findings.length).toBeGreaterThan(0);
    expect(kept.gaps.filter(({ accepted }) => accepted !== null)).toEqual(largest(2).gaps.slice(-2));
  });

  it('is what a person accepted, whatever it takes', () => {
    expect(keepWithin(largest(30), 1000)).toEqual({ ...largest(30), findings: [] });
  });
});
