import type { LocalClock } from '../clock.ts';
import { LOCAL_REGION } from '../endpoint/request-handler.ts';
import {
  type CompositeAlarmDefinition,
  InvalidAlarmError,
  type MetricAlarmDefinition,
  readCompositeAlarm,
  readMetricAlarm,
  type Suppressor,
} from './alarm-properties.ts';
import { type AlarmRule, parseAlarmRule } from './alarm-rule.ts';
import { type AlarmState, evaluateAlarm, lookBackMs } from './evaluate-alarm.ts';
import type { LocalMetrics } from './metrics.ts';

/** A change of an alarm's state. */
export interface AlarmStateChange {
  readonly alarm: string;
  readonly from: AlarmState;
  readonly to: AlarmState;
  readonly at: Date;
}

/** What an alarm told of its state. */
export interface AlarmNotice {
  readonly alarm: string;
  readonly state: AlarmState;
  readonly at: Date;
  /** The ARNs that were told. */
  readonly notified: readonly string[];
}

/** An alarm as it stands. */
export type StandingAlarm = (MetricAlarmDefinition | CompositeAlarmDefinition) & {
  readonly arn: string;
  readonly state: AlarmState;
  readonly since: Date;
};

interface Alarm {
  definition: MetricAlarmDefinition | CompositeAlarmDefinition;
  readonly arn: string;
  state: AlarmState;
  since: Date;
  /** The state that its actions were taken for last. */
  told: AlarmState;
  suppressor: Suppressor | undefined;
  /** Whether the suppressor was ever in ALARM. */
  wasSuppressed: boolean;
  evaluate: (now: Date, current: AlarmState) => AlarmState;
}

const MINUTE_MS = 60_000;

/**
 * CloudWatch's alarms: each is evaluated at every full minute of the clock, over what was published by then. Composite
 * alarms follow in the same minute. Actions are recorded as told; nothing is sent from here. What a suppressor held back is
 * told afterwards where it still stands; what was over by then is not, of which AWS's page says nothing for going back to OK.
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Create_Composite_Alarm_Suppression.html
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html
 */
export class LocalAlarms {
  readonly #clock: LocalClock;
  readonly #metrics: LocalMetrics;
  readonly #arnPrefix: string;
  readonly #alarms = new Map<string, Alarm>();
  readonly #changes: AlarmStateChange[] = [];
  readonly #notices: AlarmNotice[] = [];
  readonly #listeners = new Set<(change: AlarmStateChange) => void>();
  #stopTicking: (() => void) | undefined;

  constructor(options: { clock: LocalClock; metrics: LocalMetrics; accountId: string }) {
    this.#clock = options.clock;
    this.#metrics = options.metrics;
    this.#arnPrefix = `arn:aws:cloudwatch:${LOCAL_REGION}:${options.accountId}:alarm:`;
  }

  /**
   * Creates an alarm from the properties of `AWS::CloudWatch::Alarm`, or gives the one of that name another definition.
   * @returns its ARN.
   * @throws NotImplementedLocally for a property that is not implemented; InvalidAlarmError.
   */
  putMetricAlarm(properties: unknown): string {
    const definition = readMetricAlarm(properties);
    return this.#put(definition, (now, current) => this.#evaluateMetric(definition, now, current));
  }

  /** The same for `AWS::CloudWatch::CompositeAlarm`. @throws InvalidAlarmError also for an alarm that is not there. */
  putCompositeAlarm(properties: unknown): string {
    const definition = readCompositeAlarm(properties);
    const { suppressor } = definition;
    const rule: AlarmRule = parseAlarmRule(definition.rule);
    for (const alarm of rule.alarms) this.#find(alarm);
    if (suppressor !== undefined) this.#find(suppressor.alarm);
    return this.#put(definition, () => (rule.holds(alarm => this.#find(alarm).state) ? 'ALARM' : 'OK'), suppressor);
  }

  /** @throws InvalidAlarmError where there is none. */
  deleteAlarm(alarm: string): void {
    this.#alarms.delete(this.#find(alarm).definition.name);
  }

  /** The present state of an alarm, by name or ARN. @throws InvalidAlarmError where there is none. */
  stateOf(alarm: string): AlarmState {
    return this.#find(alarm).state;
  }

  /** Every alarm, in the order of creation. */
  list(): readonly StandingAlarm[] {
    return [...this.#alarms.values()].map(({ definition, arn, state, since }) => ({
      ...definition,
      arn,
      state,
      since,
    }));
  }

  /** Every change of state so far, the oldest first. */
  changes(): readonly AlarmStateChange[] {
    return this.#changes;
  }

  /** Every notice so far, the oldest first. */
  notices(): readonly AlarmNotice[] {
    return this.#notices;
  }

  /** Calls `listener` at each change of state. @returns what ends that. */
  onStateChange(listener: (change: AlarmStateChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Evaluates nothing any more. */
  close(): void {
    this.#stopTicking?.();
  }

  #put(definition: Alarm['definition'], evaluate: Alarm['evaluate'], suppressor?: Suppressor): string {
    const standing = this.#alarms.get(definition.name);
    const arn = `${this.#arnPrefix}${definition.name}`;
    if (standing !== undefined) Object.assign(standing, { definition, evaluate, suppressor });
    else {
      const since = this.#clock.now();
      const state: AlarmState = 'INSUFFICIENT_DATA';
      const alarm: Alarm = { definition, arn, state, since, told: state, suppressor, wasSuppressed: false, evaluate };
      this.#alarms.set(definition.name, alarm);
    }
    if (this.#stopTicking === undefined) this.#awaitMinute();
    return arn;
  }

  #find(alarm: string): Alarm {
    const name = alarm.startsWith(this.#arnPrefix) ? alarm.slice(this.#arnPrefix.length) : alarm;
    const found = this.#alarms.get(name);
    if (found === undefined) throw new InvalidAlarmError(`there is no alarm ${alarm}`);
    return found;
  }

  #awaitMinute(): void {
    const nextMs = (Math.floor(this.#clock.now().getTime() / MINUTE_MS) + 1) * MINUTE_MS;
    const next = new Date(nextMs);
    this.#stopTicking = this.#clock.at(next, () => {
      this.#awaitMinute();
      this.#evaluateAll(next);
    });
  }

  // A composite alarm can only name alarms that are there already, so that the order of creation is the order of need.
  #evaluateAll(now: Date): void {
    for (const [name, alarm] of this.#alarms) {
      const to = alarm.evaluate(now, alarm.state);
      if (to !== alarm.state) {
        const change = { alarm: name, from: alarm.state, to, at: now };
        alarm.state = to;
        alarm.since = now;
        this.#changes.push(change);
        for (const listener of this.#listeners) listener(change);
      }
      if (this.#isSuppressed(alarm, now) || alarm.told === alarm.state) continue;
      alarm.told = alarm.state;
      const notified = alarm.definition.actions[alarm.state];
      if (notified.length > 0) this.#notices.push({ alarm: name, state: alarm.state, at: now, notified });
    }
  }

  #isSuppressed(alarm: Alarm, now: Date): boolean {
    const { suppressor, since } = alarm;
    if (suppressor === undefined) return false;
    const by = this.#find(suppressor.alarm);
    alarm.wasSuppressed ||= by.state === 'ALARM';
    const isWithin = (from: Date, periodMs: number) => now.getTime() - from.getTime() < periodMs;
    return (
      by.state === 'ALARM' ||
      (alarm.wasSuppressed && isWithin(by.since, suppressor.extensionMs)) ||
      isWithin(since, suppressor.waitMs)
    );
  }

  #evaluateMetric({ metric, condition }: MetricAlarmDefinition, now: Date, current: AlarmState): AlarmState {
    const since = new Date(now.getTime() - lookBackMs(condition));
    const values = this.#metrics.valuesSince(metric.namespace, metric.name, metric.dimensions, since);
    return evaluateAlarm(condition, values, now, current);
  }
}
