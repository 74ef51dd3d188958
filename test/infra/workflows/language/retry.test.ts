import { describe, expect, it } from 'vitest';
import { decideRetry, matchesError, type Retrier } from '../../../../infra/workflows/language/retry.ts';

describe('matching error names', () => {
  it.each([
    [['States.ALL'], 'Anything', true],
    [['States.ALL'], 'States.Timeout', true],
    [['States.ALL'], undefined, true],
    [['States.ALL'], 'States.DataLimitExceeded', false],
    [['States.ALL'], 'States.Runtime', false],
    [['States.Runtime'], 'States.Runtime', false],
    [['States.DataLimitExceeded'], 'States.DataLimitExceeded', true],
    [['States.TaskFailed'], 'Anything', true],
    [['States.TaskFailed'], 'States.QueryEvaluationError', true],
    [['States.TaskFailed'], 'States.Timeout', false],
    [['States.TaskFailed'], 'States.HeartbeatTimeout', false],
    [['States.TaskFailed'], 'States.DataLimitExceeded', false],
    [['States.Timeout'], 'States.HeartbeatTimeout', true],
    [['States.HeartbeatTimeout'], 'States.Timeout', false],
    [['One', 'Other'], 'Other', true],
    [['One', 'Other'], 'other', false],
  ])('%j against %s: %s', (errorEquals, error, expected) => {
    expect(matchesError(errorEquals, error)).toBe(expected);
  });
});

describe('deciding a retry', () => {
  const retrier = (fields: Partial<Retrier>): Retrier => ({
    errorEquals: ['Passing'],
    intervalSeconds: 2,
    maxAttempts: 3,
    backoffRate: 2,
    maxDelaySeconds: undefined,
    jitter: 'NONE',
    ...fields,
  });

  it.each([
    ['the first wait is the interval', [retrier({})], [0], { retrier: 0, delayMs: 2000 }],
    ['waits grow by the rate', [retrier({})], [2], { retrier: 0, delayMs: 8000 }],
    ['attempts run out', [retrier({})], [3], undefined],
    ['no attempt at all', [retrier({ maxAttempts: 0 })], [0], undefined],
    ['waits are capped', [retrier({ maxDelaySeconds: 5 })], [2], { retrier: 0, delayMs: 5000 }],
    ['jitter draws from the wait', [retrier({ jitter: 'FULL' })], [1], { retrier: 0, delayMs: 1000 }],
    ['the first that matches decides, also against', [retrier({ maxAttempts: 1 }), retrier({})], [1, 0], undefined],
    ['each counts for itself', [retrier({ errorEquals: ['X'] }), retrier({})], [3, 0], { retrier: 1, delayMs: 2000 }],
    ['nothing matches', [retrier({ errorEquals: ['X'] })], [0], undefined],
  ] as const)('%s', (_name, retriers, attempts, expected) => {
    expect(decideRetry(retriers, attempts, 'Passing', 0.25)).toEqual(expected);
  });
});
