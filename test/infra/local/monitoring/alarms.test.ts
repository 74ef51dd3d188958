import { describe, expect, it } from 'vitest';
import { LocalClock } from '../../../../infra/local/clock.ts';
import { parseAlarmRule } from '../../../../infra/local/monitoring/alarm-rule.ts';
import { LocalAlarms } from '../../../../infra/local/monitoring/alarms.ts';
import {
  type AlarmCondition,
  type AlarmState,
  evaluateAlarm,
} from '../../../../infra/local/monitoring/evaluate-alarm.ts';
import { LocalMetrics } from '../../../../infra/local/monitoring/metrics.ts';

const START = new Date('2026-11-22T08:00:00.000Z');
const MINUTE_MS = 60_000;

const condition = (part: Partial<AlarmCondition> = {}): AlarmCondition => ({
  periodSeconds: 60,
  evaluationPeriods: 3,
  datapointsToAlarm: 3,
  statistic: 'Maximum',
  comparison: 'GreaterThanThreshold',
  threshold: 0,
  missingData: 'missing',
  ...part,
});

/** Data points as AWS's tables write them, the oldest first: `0` within, `X` beyond the threshold, `-` missing. */
function valuesOf(points: string, now: Date) {
  const all = points.split(' ');
  return all.flatMap((point, index) => {
    const timestamp = new Date(now.getTime() - (all.length - index) * MINUTE_MS);
    return point === '-' ? [] : [{ timestamp, value: point === 'X' ? 1 : 0, unit: 'Count' }];
  });
}

describe('evaluating a metric alarm', () => {
  const RETAINED = 'INSUFFICIENT_DATA';
  // https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html, both tables.
  it.each<[string, number, AlarmState, AlarmState, AlarmState, AlarmState]>([
    ['0 - X - X', 3, 'OK', 'OK', 'OK', 'OK'],
    ['- - - - 0', 3, 'OK', 'OK', 'OK', 'OK'],
    ['- - - - -', 3, 'INSUFFICIENT_DATA', RETAINED, 'ALARM', 'OK'],
    ['0 X X - X', 3, 'ALARM', 'ALARM', 'ALARM', 'ALARM'],
    ['- - X - -', 3, 'ALARM', RETAINED, 'ALARM', 'OK'],
    ['0 - X - X', 2, 'ALARM', 'ALARM', 'ALARM', 'ALARM'],
    ['0 0 X 0 X', 2, 'ALARM', 'ALARM', 'ALARM', 'ALARM'],
    ['0 - X - -', 2, 'OK', 'OK', 'ALARM', 'OK'],
    ['- - - - 0', 2, 'OK', 'OK', 'ALARM', 'OK'],
    ['- - - X -', 2, 'ALARM', RETAINED, 'ALARM', 'OK'],
  ])('%s, %i of 3', (points, datapointsToAlarm, missing, ignore, breaching, notBreaching) => {
    const judged = (missingData: AlarmCondition['missingData']) =>
      evaluateAlarm(condition({ datapointsToAlarm, missingData }), valuesOf(points, START), START, RETAINED);
    expect([judged('missing'), judged('ignore'), judged('breaching'), judged('notBreaching')]).toEqual([
      missing,
      ignore,
      breaching,
      notBreaching,
    ]);
  });

  it.each<[AlarmCondition['statistic'], number]>([
    ['Sum', 6],
    ['Average', 2],
    ['Maximum', 3],
    ['Minimum', 1],
    ['SampleCount', 3],
  ])('takes the %s of a period', (statistic, value) => {
    const values = [1, 2, 3].map(one => ({ timestamp: new Date(START.getTime() - 1), value: one, unit: 'Count' }));
    const judged = (threshold: number, comparison: AlarmCondition['comparison']) =>
      evaluateAlarm(
        condition({ evaluationPeriods: 1, datapointsToAlarm: 1, statistic, threshold, comparison }),
        values,
        START,
        'OK',
      );
    expect(judged(value, 'GreaterThanThreshold')).toBe('OK');
    expect(judged(value, 'GreaterThanOrEqualToThreshold')).toBe('ALARM');
    expect(judged(value, 'LessThanThreshold')).toBe('OK');
    expect(judged(value, 'LessThanOrEqualToThreshold')).toBe('ALARM');
  });

  it('puts the beginning of a period into it, and its end into the next', () => {
    const at = (agoMs: number) => [{ timestamp: new Date(START.getTime() - agoMs), value: 1, unit: 'Count' }];
    const judged = (agoMs: number) =>
      evaluateAlarm(condition({ evaluationPeriods: 1, datapointsToAlarm: 1 }), at(agoMs), START, 'OK');
    expect([judged(0), judged(1), judged(3 * MINUTE_MS), judged(3 * MINUTE_MS + 1)]).toEqual([
      'INSUFFICIENT_DATA',
      'ALARM',
      'ALARM',
      'INSUFFICIENT_DATA',
    ]);
  });
});

describe('rules of composite alarms', () => {
  const states: Record<string, AlarmState> = { on: 'ALARM', off: 'OK', new: 'INSUFFICIENT_DATA' };
  it.each<[string, boolean]>([
    ['ALARM(on)', true],
    ['ALARM("on")', true],
    ['OK(off) AND INSUFFICIENT_DATA("new")', true],
    ['NOT ALARM(on)', false],
    ['NOT (ALARM(off) OR ALARM("new"))', true],
    ['TRUE OR FALSE AND FALSE', true],
    ['(TRUE OR FALSE) AND FALSE', false],
    ['NOT FALSE AND FALSE', false],
    ['(((ALARM(off)) OR ALARM(on)))', true],
    [' ALARM( on )\n AND\tNOT ALARM( off ) ', true],
  ])('%s', (expression, expected) => {
    expect(parseAlarmRule(expression).holds(alarm => states[alarm] ?? 'OK')).toBe(expected);
  });

  it('names the alarms in it', () => {
    expect(parseAlarmRule('ALARM("a b") OR NOT OK(c) OR ALARM("a b")').alarms).toEqual(['a b', 'c']);
  });

  it.each([
    ['', 'a rule has its end where an alarm is wanted'],
    ['ALARM(a) AND', 'a rule has its end where an alarm is wanted'],
    ['ALARM(a) ALARM(b)', 'a rule goes on with ALARM after its end'],
    ['(ALARM(a)', 'a rule has a parenthesis that does not close'],
    ['ALARM(a))', 'a rule goes on with ) after its end'],
    ['ALARM()', 'a rule has "ALARM()", which is no rule'],
    ['AT_LEAST(1, ALARM, (a))', 'a rule has "AT_LEAST(1, ALARM, (", which is no rule'],
    ['ALARM(a) or ALARM(b)', 'a rule has " or ALARM(b)", which is no rule'],
    ['OR ALARM(a)', 'a rule has OR where an alarm is wanted'],
    [`ALARM("${'a'.repeat(10_240)}")`, 'a rule has 10240 characters at most'],
  ])('refuses %s', (expression, message) => {
    expect(() => parseAlarmRule(expression)).toThrow(message);
  });
});

const ALARM_PROPERTIES = {
  AlarmName: 'age',
  Namespace: 'N',
  MetricName: 'Age',
  Dimensions: [{ Name: 'd', Value: 'v' }],
  Statistic: 'Maximum',
  Period: 900,
  EvaluationPeriods: 1,
  Threshold: 10,
  ComparisonOperator: 'GreaterThanThreshold',
  TreatMissingData: 'breaching',
  AlarmActions: ['arn:topic'],
  OKActions: ['arn:topic'],
};

function localAlarms() {
  const clock = new LocalClock({ flow: 'manual', startsAt: START });
  const metrics = new LocalMetrics({ clock });
  const alarms = new LocalAlarms({ clock, metrics, accountId: '111122223333' });
  return {
    clock,
    alarms,
    metrics,
    publish: (value: number) => metrics.put('N', 'Age', { d: 'v' }, { timestamp: clock.now(), value, unit: 'Count' }),
    minutes: (count: number) => clock.advance(count * MINUTE_MS),
    /** `08:01 age ALARM` */
    story: () => alarms.changes().map(({ at, alarm, to }) => `${at.toISOString().slice(11, 16)} ${alarm} ${to}`),
  };
}

describe('alarms over time', () => {
  it('change at the minute after the value, stay on while data is missing, and return', async () => {
    const { alarms, publish, minutes, story } = localAlarms();
    const arn = alarms.putMetricAlarm(ALARM_PROPERTIES);
    alarms.putCompositeAlarm({ AlarmName: 'pager', AlarmRule: `ALARM("${arn}")`, AlarmActions: ['arn:topic'] });
    await minutes(15);
    for (const value of [5, 5, 11, 5]) {
      publish(value);
      await minutes(15);
    }
    await minutes(60);
    publish(5);
    await minutes(5);
    expect(story()).toEqual([
      '08:01 age ALARM',
      '08:01 pager ALARM',
      '08:16 age OK',
      '08:16 pager OK',
      '08:46 age ALARM',
      '08:46 pager ALARM',
      '09:01 age OK',
      '09:01 pager OK',
      // Published at 09:00; three periods of a quarter of an hour later nothing of it is in sight.
      '09:46 age ALARM',
      '09:46 pager ALARM',
      '10:16 age OK',
      '10:16 pager OK',
    ]);
    // The composite tells of ALARM alone.
    expect(alarms.notices().map(({ alarm, state }) => `${alarm} ${state}`)).toEqual(
      [0, 1, 2].flatMap(() => ['age ALARM', 'pager ALARM', 'age OK']),
    );
    expect(alarms.stateOf(arn)).toBe('OK');
  });

  it('hold back what follows from their suppressor, and tell afterwards what still stands', async () => {
    const { alarms, metrics, clock, minutes } = localAlarms();
    const put = (name: string, value: number) =>
      metrics.put('N', name, { d: 'v' }, { timestamp: clock.now(), value, unit: 'Count' });
    for (const name of ['silent', 'damage']) {
      const { AlarmActions: _alarm, OKActions: _ok, ...properties } = ALARM_PROPERTIES;
      alarms.putMetricAlarm({ ...properties, AlarmName: name, MetricName: name });
    }
    alarms.putCompositeAlarm({
      AlarmName: 'notice',
      AlarmRule: 'ALARM(damage)',
      AlarmActions: ['arn:topic'],
      OKActions: ['arn:topic'],
      ActionsSuppressor: 'silent',
      ActionsSuppressorWaitPeriod: 120,
      ActionsSuppressorExtensionPeriod: 120,
    });
    const publish = async (silent: number, damage: number) => {
      put('silent', silent);
      put('damage', damage);
      await minutes(15);
    };
    const told = () => alarms.notices().map(({ at, state }) => `${at.toISOString().slice(11, 16)} ${state}`);
    await publish(5, 5);
    expect(told()).toEqual(['08:03 OK']);
    // Both at once, and both over at once: nobody is told.
    await publish(11, 11);
    await publish(5, 5);
    expect(alarms.changes().filter(({ alarm }) => alarm === 'notice')).toHaveLength(3);
    expect(told()).toEqual(['08:03 OK']);
    // What is wrong by itself is told after the wait, what began under silence and stands after it.
    await publish(5, 11);
    await publish(5, 5);
    await publish(11, 11);
    await publish(5, 11);
    expect(told()).toEqual(['08:03 OK', '08:48 ALARM', '09:03 OK', '09:33 ALARM']);
  });

  it.each<[string, object]>([
    ['one without its periods', { ActionsSuppressor: 'age' }],
    ['periods without one', { ActionsSuppressorWaitPeriod: 60, ActionsSuppressorExtensionPeriod: 60 }],
    [
      'one that is not there',
      { ActionsSuppressor: 'x', ActionsSuppressorWaitPeriod: 1, ActionsSuppressorExtensionPeriod: 1 },
    ],
  ])('refuse as a suppressor %s', (_name, part) => {
    const { alarms } = localAlarms();
    alarms.putMetricAlarm(ALARM_PROPERTIES);
    const composite = { AlarmName: 'notice', AlarmRule: 'ALARM(age)' };
    expect(() => alarms.putCompositeAlarm({ ...composite, ...part })).toThrow(/ActionsSuppressor has|no alarm x/);
  });

  it('wait until a breach has lasted', async () => {
    const { alarms, publish, minutes, story } = localAlarms();
    for (let quarter = 0; quarter < 4; quarter++) {
      publish(5);
      await minutes(15);
    }
    alarms.putMetricAlarm({ ...ALARM_PROPERTIES, EvaluationPeriods: 4 });
    for (const value of [11, 11, 11, 5, 11, 11, 11, 11, 11]) {
      publish(value);
      await minutes(15);
    }
    expect(story()).toEqual(['09:01 age OK', '10:46 age ALARM']);
  });

  it('keep their state when they are defined anew, and stop when they are closed', async () => {
    const { alarms, publish, minutes, story } = localAlarms();
    alarms.putMetricAlarm(ALARM_PROPERTIES);
    publish(5);
    await minutes(1);
    alarms.putMetricAlarm({ ...ALARM_PROPERTIES, Threshold: 4 });
    expect(alarms.stateOf('age')).toBe('OK');
    await minutes(1);
    alarms.close();
    await minutes(600);
    expect(story()).toEqual(['08:01 age OK', '08:02 age ALARM']);
    expect(alarms.list()).toMatchObject([{ name: 'age', state: 'ALARM', since: new Date('2026-11-22T08:02:00.000Z') }]);
  });

  it.each<[string, object, string]>([
    ['a property', { Unit: 'Count' }, 'the local cloud does not implement the property Unit of the alarm age'],
    ['a day and more of short periods', { EvaluationPeriods: 97 }, 'looks back more than a day'],
    ['more than a week', { Period: 3600, EvaluationPeriods: 169 }, 'looks back more than a day'],
    ['more data points than periods', { DatapointsToAlarm: 2 }, 'wants more data points than it evaluates'],
    ['a period that is no minute', { Period: 90 }, 'the alarm age'],
    ['a long description', { AlarmDescription: 'x'.repeat(1025) }, 'the alarm age'],
  ])('refuse %s', (_name, part, message) => {
    expect(() => localAlarms().alarms.putMetricAlarm({ ...ALARM_PROPERTIES, ...part })).toThrow(message);
  });

  it('refuse a composite of what is not there', () => {
    const { alarms } = localAlarms();
    expect(() => alarms.putCompositeAlarm({ AlarmName: 'pager', AlarmRule: 'ALARM(age)' })).toThrow(
      'there is no alarm age',
    );
  });
});

it('finds values since an instant, also among those that came late', () => {
  const { clock } = localAlarms();
  const metrics = new LocalMetrics({ clock });
  const put = (minutesAgo: number) =>
    metrics.put(
      'N',
      'M',
      {},
      { timestamp: new Date(START.getTime() - minutesAgo * MINUTE_MS), value: minutesAgo, unit: 'Count' },
    );
  const since = (minutesAgo: number) =>
    metrics.valuesSince('N', 'M', {}, new Date(START.getTime() - minutesAgo * MINUTE_MS)).map(({ value }) => value);
  for (const ago of [9, 6, 3]) put(ago);
  expect([since(10), since(6), since(2)]).toEqual([[9, 6, 3], [6, 3], []]);
  put(7);
  expect(since(7)).toEqual([6, 3, 7]);
  expect(metrics.valuesSince('N', 'other', {}, START)).toEqual([]);
});
