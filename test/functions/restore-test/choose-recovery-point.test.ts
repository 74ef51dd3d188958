import { expect, it } from 'vitest';
import { chooseRecoveryPoint, type TestHistory } from '../../../functions/restore-test/choose-recovery-point.ts';

const good = (recoveryPointId: string) => ({ recoveryPointId, status: 'good' as const });
const tested = (recoveryPointId: string | null, verdict: string, restoreTestId = '20260101t000000z') => ({
  restoreTestId,
  recoveryPointId,
  verdict,
});
const [first, second, third] = ['20261101t023000z', '20261102t023000z', '20261103t023000z'] as const;
const history = (
  restoreTests: TestHistory['restoreTests'],
  recoveryPoints = [good(second), good(first)],
): TestHistory => ({
  recoveryPoints,
  restoreTests,
});
const test = { restoreTestId: '20261105t030000z', requestedId: undefined };
const nothing = { recoveryPointId: null, reason: 'there is no good recovery point that was not yet tested' };

it.each([
  ['the newest good one', history([]), test, { recoveryPointId: second, reason: null }],
  [
    'one whose test could not start',
    history([tested(second, 'could-not-start')]),
    test,
    { recoveryPointId: second, reason: null },
  ],
  ['the one before a tested one', history([tested(second, 'failed')]), test, { recoveryPointId: first, reason: null }],
  ['nothing when all are tested', history([tested(second, 'passed'), tested(first, 'inconclusive')]), test, nothing],
  ['nothing when there is none', history([], []), test, nothing],
  [
    'no incomplete one by itself',
    { recoveryPoints: [{ recoveryPointId: third, status: 'incomplete' as const }], restoreTests: [] },
    test,
    nothing,
  ],
  [
    'what it chose in an earlier run of the same test',
    history([tested(first, 'passed', test.restoreTestId)]),
    test,
    { recoveryPointId: first, reason: null },
  ],
  [
    'what was asked for, tested or not',
    history([tested(first, 'passed')]),
    { ...test, requestedId: first },
    { recoveryPointId: first, reason: null },
  ],
  [
    'nothing unknown',
    history([]),
    { ...test, requestedId: third },
    { recoveryPointId: null, reason: `the ledger knows no recovery point ${third}` },
  ],
])('chooses %s', (_name, known, wanted, choice) => {
  expect(chooseRecoveryPoint(known, wanted)).toEqual(choice);
});
