import { describe, expect, it } from 'vitest';
import { nextWindow } from '../../../../infra/local/rds/automated-backups.ts';
import { checkIdentifier, identifierOf, newResourceId } from '../../../../infra/local/rds/identifiers.ts';
import { progressOf, type SnapshotRecord, statusOf } from '../../../../infra/local/rds/records.ts';

const ACCOUNT = '111122223333';
const at = (seconds: number) => new Date(Date.UTC(2026, 10, 22, 2, 30, seconds));

function record(work: 'running' | 'done' | 'failed') {
  return {
    work,
    requestedAt: at(0).toISOString(),
    passing: [
      { status: 'creating', until: at(30).toISOString() },
      { status: 'backing-up', until: at(50).toISOString() },
    ],
  } as SnapshotRecord;
}

describe('statusOf', () => {
  it.each([
    ['running', 0, 'creating'],
    ['running', 30, 'backing-up'],
    ['running', 50, 'backing-up'],
    ['done', 0, 'creating'],
    ['done', 49, 'backing-up'],
    ['done', 50, 'available'],
    ['failed', 0, 'failed'],
  ] as const)('with work %s after %i s is %s', (work, seconds, status) => {
    expect(statusOf(record(work), at(seconds))).toBe(status);
  });
});

describe('progressOf', () => {
  it.each([
    ['done', 0, 0],
    ['done', 25, 50],
    ['running', 50, 99],
    ['running', 500, 99],
    ['done', 50, 100],
  ] as const)('with work %s after %i s is %i percent', (work, seconds, percent) => {
    expect(progressOf(record(work), at(seconds))).toBe(percent);
  });
});

describe('identifiers', () => {
  it.each(['a', 'Prod-1', 'a1-b2-c3'])('takes %s', name => {
    expect(checkIdentifier('DBInstanceIdentifier', name, 63)).toBe(name.toLowerCase());
  });

  it.each(['', '1a', '-a', 'a-', 'a--b', 'a_b', 'a b', 'ä', 'rds:a', 'a'.repeat(64)])('refuses %j', name => {
    expect(() => checkIdentifier('DBInstanceIdentifier', name, 63)).toThrow(
      expect.objectContaining({ code: 'InvalidParameterValue' }),
    );
  });

  it('reads ARNs of this account, Region and kind alone', () => {
    expect(identifierOf('snapshot', `arn:aws:rds:eu-west-2:${ACCOUNT}:snapshot:rds:prod-1`, ACCOUNT)).toBe(
      'rds:prod-1',
    );
    for (const arn of [
      `arn:aws:rds:eu-west-2:${ACCOUNT}:db:prod`,
      `arn:aws:rds:eu-west-1:${ACCOUNT}:snapshot:a`,
      'arn:aws:rds:eu-west-2:999999999999:snapshot:a',
    ]) {
      expect(() => identifierOf('snapshot', arn, ACCOUNT)).toThrow(
        expect.objectContaining({ code: 'InvalidParameterValue' }),
      );
    }
  });

  it('makes resource ids as RDS does', () => {
    expect(newResourceId()).toMatch(/^db-[A-Z2-7]{26}$/);
  });
});

describe('nextWindow', () => {
  it.each([
    ['2026-11-22T02:00:00.000Z', '2026-11-22T03:30:00.000Z'],
    ['2026-11-22T03:30:00.000Z', '2026-11-23T03:30:00.000Z'],
    ['2026-11-22T23:00:00.000Z', '2026-11-23T03:30:00.000Z'],
  ])('after %s is %s', (now, next) => {
    expect(nextWindow('03:30-04:00', new Date(now)).toISOString()).toBe(next);
  });
});
