import type { MetricValue } from './metrics.ts';

export type AlarmState = 'OK' | 'ALARM' | 'INSUFFICIENT_DATA';

/** What a metric alarm compares, and when it changes. */
export interface AlarmCondition {
  readonly periodSeconds: number;
  readonly evaluationPeriods: number;
  readonly datapointsToAlarm: number;
  readonly statistic: 'Sum' | 'Maximum' | 'Minimum' | 'Average' | 'SampleCount';
  readonly comparison:
    | 'GreaterThanThreshold'
    | 'GreaterThanOrEqualToThreshold'
    | 'LessThanThreshold'
    | 'LessThanOrEqualToThreshold';
  readonly threshold: number;
  readonly missingData: 'breaching' | 'notBreaching' | 'ignore' | 'missing';
}

/**
 * CloudWatch looks at more periods than it evaluates, so that one late value changes nothing. How many more is not
 * documented; its examples look at five for three.
 */
const MORE_PERIODS = 2;

/** How far back an evaluation looks, in milliseconds. */
export function lookBackMs({ periodSeconds, evaluationPeriods }: AlarmCondition): number {
  return (evaluationPeriods + MORE_PERIODS) * periodSeconds * 1000;
}

/**
 * The state of a metric alarm at `now`, over a window that slides with it. Where enough periods have data, the newest of
 * them decide; otherwise the missing ones are treated as the alarm says.
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
 * @param values at least those of the look-back.
 * @param current what `ignore` keeps.
 */
export function evaluateAlarm(
  condition: AlarmCondition,
  values: readonly MetricValue[],
  now: Date,
  current: AlarmState,
): AlarmState {
  const { evaluationPeriods, datapointsToAlarm, missingData } = condition;
  const breaches = datapoints(condition, values, now)
    .slice(0, evaluationPeriods)
    .map(value => isBreach(condition, value));
  const breaching = breaches.filter(Boolean).length;
  const missing = evaluationPeriods - breaches.length;
  if (breaching >= datapointsToAlarm) return 'ALARM';
  if (missing === 0) return 'OK';
  switch (missingData) {
    case 'breaching':
      return breaching + missing >= datapointsToAlarm ? 'ALARM' : 'OK';
    case 'notBreaching':
      return 'OK';
    case 'ignore':
      return breaching < breaches.length ? 'OK' : current;
    case 'missing':
      if (breaches.length === 0) return 'INSUFFICIENT_DATA';
      return breaching < breaches.length ? 'OK' : 'ALARM';
  }
}

/** The statistic of each period that has data, the newest first. */
function datapoints(condition: AlarmCondition, values: readonly MetricValue[], now: Date): number[] {
  const periodMs = condition.periodSeconds * 1000;
  const periods = new Map<number, number[]>();
  for (const { timestamp, value } of values) {
    const agoMs = now.getTime() - timestamp.getTime();
    // A period holds its beginning, not its end: what is published at `now` counts in a minute.
    if (agoMs <= 0 || agoMs > lookBackMs(condition)) continue;
    const period = Math.ceil(agoMs / periodMs) - 1;
    periods.set(period, [...(periods.get(period) ?? []), value]);
  }
  return [...periods].sort(([a], [b]) => a - b).map(([, found]) => reduce(condition.statistic, found));
}

function reduce(statistic: AlarmCondition['statistic'], values: readonly number[]): number {
  const sum = () => values.reduce((total, value) => total + value, 0);
  switch (statistic) {
    case 'Sum':
      return sum();
    case 'Average':
      return sum() / values.length;
    case 'SampleCount':
      return values.length;
    case 'Maximum':
      return Math.max(...values);
    case 'Minimum':
      return Math.min(...values);
  }
}

function isBreach({ comparison, threshold }: AlarmCondition, value: number): boolean {
  switch (comparison) {
    case 'GreaterThanThreshold':
      return value > threshold;
    case 'GreaterThanOrEqualToThreshold':
      return value >= threshold;
    case 'LessThanThreshold':
      return value < threshold;
    case 'LessThanOrEqualToThreshold':
      return value <= threshold;
  }
}
