import { describe, expect, it } from 'vitest';
import {
  changeRetention,
  defaultLock,
  isLocked,
  type LockState,
  lockOfNewVersion,
  retainUntil,
} from '../../../../infra/local/s3/object-lock.ts';

const DAY = 24 * 60 * 60 * 1000;
const now = new Date('2026-11-22T00:00:00.000Z');
const inDays = (days: number) => new Date(now.getTime() + days * DAY);
const iso = (days: number) => inDays(days).toISOString();
const fixed = (mode: 'GOVERNANCE' | 'COMPLIANCE', days: number): LockState => ({
  mode,
  retainUntilMs: inDays(days).getTime(),
});

describe('isLocked', () => {
  it.each<[string, LockState, number, boolean, boolean]>([
    ['nothing', {}, 0, false, false],
    ['governance', fixed('GOVERNANCE', 1), 0, false, true],
    ['governance with bypass', fixed('GOVERNANCE', 1), 0, true, false],
    ['governance at its end', fixed('GOVERNANCE', 1), 1, false, false],
    ['compliance with bypass', fixed('COMPLIANCE', 1), 0, true, true],
    ['compliance after its end', fixed('COMPLIANCE', 1), 2, false, false],
    ['legal hold with bypass', { legalHold: 'ON' }, 0, true, true],
    ['legal hold after the retention', { ...fixed('GOVERNANCE', 1), legalHold: 'ON' }, 5, true, true],
    ['released legal hold', { legalHold: 'OFF' }, 0, false, false],
    [
      'event hold after years',
      { mode: 'COMPLIANCE', eventHold: 'ON', eventHoldDuration: { days: 30 } },
      900,
      false,
      true,
    ],
  ])('%s', (_name, lock, day, bypass, expected) => {
    expect(isLocked(lock, inDays(day), bypass)).toBe(expected);
  });
});

describe('event hold', () => {
  const rule = { mode: 'COMPLIANCE', period: { days: 30 }, eventHold: { days: 30 } } as const;

  it('rolls while it is on, and ends a fixed time after its release', () => {
    const lock = defaultLock(rule, now);
    expect(lock).toEqual({
      mode: 'COMPLIANCE',
      retainUntilMs: inDays(30).getTime(),
      eventHold: 'ON',
      eventHoldDuration: { days: 30 },
    });
    expect(retainUntil(lock, inDays(100))).toBe(inDays(130).getTime());
    const released = changeRetention(lock, { mode: 'COMPLIANCE', eventHold: 'OFF' }, inDays(100), false);
    expect(released).toEqual({ mode: 'COMPLIANCE', eventHold: 'OFF', retainUntilMs: inDays(130).getTime() });
    expect(isLocked(released, inDays(129), false)).toBe(true);
    expect(isLocked(released, inDays(130), false)).toBe(false);
  });

  it('takes the later of two dates at its release', () => {
    const release = (days: number) =>
      changeRetention(
        defaultLock(rule, now),
        { mode: 'COMPLIANCE', eventHold: 'OFF', retainUntil: iso(days) },
        now,
        false,
      ).retainUntilMs;
    expect(release(10)).toBe(inDays(30).getTime());
    expect(release(40)).toBe(inDays(40).getTime());
  });

  it('never falls back when its duration is shortened', () => {
    const lock = defaultLock(rule, now);
    const shortened = changeRetention(lock, { mode: 'COMPLIANCE', eventHold: 'ON', days: '5' }, inDays(10), false);
    expect(retainUntil(shortened, inDays(10))).toBe(inDays(40).getTime());
    expect(retainUntil(shortened, inDays(35))).toBe(inDays(40).getTime());
    expect(retainUntil(shortened, inDays(36))).toBe(inDays(41).getTime());
  });

  it('counts a year as 365 days', () => {
    expect(retainUntil({ mode: 'GOVERNANCE', eventHold: 'ON', eventHoldDuration: { years: 2 } }, now)).toBe(
      inDays(730).getTime(),
    );
  });

  it('stays under a longer default period', () => {
    const lock = defaultLock({ ...rule, period: { days: 90 } }, now);
    expect(retainUntil(lock, now)).toBe(inDays(90).getTime());
    expect(retainUntil(lock, inDays(80))).toBe(inDays(110).getTime());
  });

  it.each([
    [{ mode: 'COMPLIANCE', eventHold: 'ON' }, 'must be supplied with an EventHoldDuration'],
    [{ mode: 'COMPLIANCE', eventHold: 'ON', days: '1', years: '1' }, 'not in both'],
    [{ mode: 'COMPLIANCE', eventHold: 'ON', days: '0' }, 'from 1 to 36500'],
    [{ mode: 'COMPLIANCE', eventHold: 'ON', years: '101' }, 'from 1 to 100'],
    [{ mode: 'COMPLIANCE', eventHold: 'ON', days: '1.5' }, 'from 1 to 36500'],
    [{ mode: 'COMPLIANCE', eventHold: 'ON', days: '30', retainUntil: iso(2) }, 'equal to or later'],
    [{ mode: 'COMPLIANCE', eventHold: 'OFF', days: '30' }, 'must not be supplied'],
    [{ mode: 'COMPLIANCE', eventHold: 'maybe', days: '30' }, 'not well-formed'],
    [{ eventHold: 'ON', days: '30' }, 'retention mode is required'],
    [{ mode: 'COMPLIANCE', eventHold: 'OFF' }, 'must have a retain until date'],
  ])('refuses %j', (request, message) => {
    expect(() => changeRetention({}, request, now, false)).toThrow(message);
  });
});

describe('changeRetention', () => {
  const refused = 'protected by object lock';
  it.each<[string, LockState, object, boolean, string | undefined]>([
    [
      'governance can be extended',
      fixed('GOVERNANCE', 5),
      { mode: 'GOVERNANCE', retainUntil: iso(6) },
      false,
      undefined,
    ],
    [
      'governance is not shortened',
      fixed('GOVERNANCE', 5),
      { mode: 'GOVERNANCE', retainUntil: iso(4) },
      false,
      refused,
    ],
    ['but with bypass', fixed('GOVERNANCE', 5), { mode: 'GOVERNANCE', retainUntil: iso(4) }, true, undefined],
    ['governance is not removed', fixed('GOVERNANCE', 5), {}, false, refused],
    ['but with bypass it is', fixed('GOVERNANCE', 5), {}, true, undefined],
    [
      'compliance can be extended',
      fixed('COMPLIANCE', 5),
      { mode: 'COMPLIANCE', retainUntil: iso(6) },
      false,
      undefined,
    ],
    [
      'compliance is never shortened',
      fixed('COMPLIANCE', 5),
      { mode: 'COMPLIANCE', retainUntil: iso(4) },
      true,
      refused,
    ],
    [
      'compliance never becomes governance',
      fixed('COMPLIANCE', 5),
      { mode: 'GOVERNANCE', retainUntil: iso(9) },
      true,
      refused,
    ],
    ['compliance is never removed', fixed('COMPLIANCE', 5), {}, true, refused],
    [
      'what has expired can be replaced',
      fixed('COMPLIANCE', -1),
      { mode: 'GOVERNANCE', retainUntil: iso(1) },
      false,
      undefined,
    ],
    ['a date in the past is none', {}, { mode: 'GOVERNANCE', retainUntil: iso(-1) }, false, 'must be in the future'],
    ['nor is other text', {}, { mode: 'GOVERNANCE', retainUntil: 'tomorrow' }, false, 'ISO 8601'],
    ['a mode alone is nothing', {}, { mode: 'GOVERNANCE' }, false, 'not well-formed'],
  ])('%s', (_name, lock, request, bypass, message) => {
    const change = () => changeRetention(lock, request, now, bypass);
    if (message === undefined) expect(change).not.toThrow();
    else expect(change).toThrow(message);
  });

  it('leaves a legal hold alone', () => {
    const lock: LockState = { ...fixed('GOVERNANCE', 5), legalHold: 'ON' };
    expect(changeRetention(lock, {}, now, true)).toEqual({ legalHold: 'ON' });
  });
});

describe('lockOfNewVersion', () => {
  it('wants a mode, with a date or an event hold', () => {
    expect(lockOfNewVersion({ mode: 'GOVERNANCE', retainUntil: iso(3) }, now)).toEqual(fixed('GOVERNANCE', 3));
    expect(lockOfNewVersion({ mode: 'GOVERNANCE', eventHold: 'ON', years: '1' }, now)).toEqual({
      mode: 'GOVERNANCE',
      eventHold: 'ON',
      eventHoldDuration: { years: 1 },
    });
    expect(() => lockOfNewVersion({ mode: 'GOVERNANCE' }, now)).toThrow('must both be supplied');
    expect(() => lockOfNewVersion({ retainUntil: iso(3) }, now)).toThrow('must both be supplied');
    expect(() => lockOfNewVersion({ mode: 'other', retainUntil: iso(3) }, now)).toThrow('Unknown wormMode');
  });
});
