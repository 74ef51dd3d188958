import { z } from 'zod';
import { readProperties } from '../read-properties.ts';
import type { AlarmCondition } from './evaluate-alarm.ts';

/** An alarm that CloudWatch would refuse, with the reason. */
export class InvalidAlarmError extends Error {
  override readonly name = 'InvalidAlarmError';
}

const Actions = z.array(z.string()).default([]);
const Common = {
  AlarmName: z.string().min(1).max(255),
  AlarmDescription: z.string().max(1024).default(''),
  ActionsEnabled: z.boolean().default(true),
  AlarmActions: Actions,
  OKActions: Actions,
  InsufficientDataActions: Actions,
  // What an alarm is called in a bill is nothing that it does.
  Tags: z.unknown().optional(),
};

const MetricAlarm = z
  .strictObject({
    ...Common,
    Namespace: z.string(),
    MetricName: z.string(),
    Dimensions: z.array(z.strictObject({ Name: z.string(), Value: z.string() })).default([]),
    Statistic: z.enum(['Sum', 'Maximum', 'Minimum', 'Average', 'SampleCount']),
    Period: z.int().multipleOf(60).min(60),
    EvaluationPeriods: z.int().min(1),
    DatapointsToAlarm: z.int().min(1).optional(),
    Threshold: z.number(),
    ComparisonOperator: z.enum([
      'GreaterThanThreshold',
      'GreaterThanOrEqualToThreshold',
      'LessThanThreshold',
      'LessThanOrEqualToThreshold',
    ]),
    TreatMissingData: z.enum(['breaching', 'notBreaching', 'ignore', 'missing']).default('missing'),
  })
  .refine(({ Period, EvaluationPeriods }) => Period * EvaluationPeriods <= (Period < 3600 ? 86_400 : 604_800), {
    error: 'looks back more than a day (periods under an hour) or seven days',
  })
  .refine(({ EvaluationPeriods, DatapointsToAlarm = 1 }) => DatapointsToAlarm <= EvaluationPeriods, {
    error: 'wants more data points than it evaluates',
  });
const CompositeAlarm = z
  .strictObject({
    ...Common,
    AlarmRule: z.string().min(1),
    ActionsSuppressor: z.string().min(1).optional(),
    ActionsSuppressorWaitPeriod: z.int().min(0).optional(),
    ActionsSuppressorExtensionPeriod: z.int().min(0).optional(),
  })
  .refine(
    alarm =>
      [alarm.ActionsSuppressorWaitPeriod, alarm.ActionsSuppressorExtensionPeriod].every(
        period => (period === undefined) === (alarm.ActionsSuppressor === undefined),
      ),
    { error: 'an ActionsSuppressor has a WaitPeriod and an ExtensionPeriod, and they have it' },
  );

/** What both kinds of alarms have. */
export interface AlarmDefinition {
  readonly name: string;
  readonly description: string;
  /** The ARNs that are told of a change into each state. */
  readonly actions: Readonly<Record<'OK' | 'ALARM' | 'INSUFFICIENT_DATA', readonly string[]>>;
}

/** What keeps a composite alarm from telling anybody. */
export interface Suppressor {
  /** The name or ARN of an alarm: while it is in ALARM, nobody is told. */
  readonly alarm: string;
  /** After a change nobody is told for so long, so that the suppressor can still change. */
  readonly waitMs: number;
  /** The same after the suppressor has left ALARM, so that the alarm itself can still change back. */
  readonly extensionMs: number;
}

/** An alarm over other alarms. */
export interface CompositeAlarmDefinition extends AlarmDefinition {
  readonly rule: string;
  readonly suppressor: Suppressor | undefined;
}

/** An alarm over one metric. */
export interface MetricAlarmDefinition extends AlarmDefinition {
  readonly metric: {
    readonly namespace: string;
    readonly name: string;
    readonly dimensions: Readonly<Record<string, string>>;
  };
  readonly condition: AlarmCondition;
}

/**
 * Reads the properties of `AWS::CloudWatch::Alarm`.
 * https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudwatch-alarm.html
 * @throws NotImplementedLocally for a property that is not implemented; InvalidAlarmError.
 */
export function readMetricAlarm(properties: unknown): MetricAlarmDefinition {
  const alarm = parse(MetricAlarm, properties);
  return {
    ...common(alarm),
    metric: {
      namespace: alarm.Namespace,
      name: alarm.MetricName,
      dimensions: Object.fromEntries(alarm.Dimensions.map(({ Name, Value }) => [Name, Value])),
    },
    condition: {
      periodSeconds: alarm.Period,
      evaluationPeriods: alarm.EvaluationPeriods,
      datapointsToAlarm: alarm.DatapointsToAlarm ?? alarm.EvaluationPeriods,
      statistic: alarm.Statistic,
      comparison: alarm.ComparisonOperator,
      threshold: alarm.Threshold,
      missingData: alarm.TreatMissingData,
    },
  };
}

/** Reads the properties of `AWS::CloudWatch::CompositeAlarm`. @throws the same. */
export function readCompositeAlarm(properties: unknown): CompositeAlarmDefinition {
  const alarm = parse(CompositeAlarm, properties);
  const { ActionsSuppressor, ActionsSuppressorWaitPeriod = 0, ActionsSuppressorExtensionPeriod = 0 } = alarm;
  return {
    ...common(alarm),
    rule: alarm.AlarmRule,
    suppressor:
      ActionsSuppressor === undefined
        ? undefined
        : {
            alarm: ActionsSuppressor,
            waitMs: ActionsSuppressorWaitPeriod * 1000,
            extensionMs: ActionsSuppressorExtensionPeriod * 1000,
          },
  };
}

function common(alarm: z.output<z.ZodObject<typeof Common>>): AlarmDefinition {
  const actions = (arns: readonly string[]) => (alarm.ActionsEnabled ? arns : []);
  return {
    name: alarm.AlarmName,
    description: alarm.AlarmDescription,
    actions: {
      OK: actions(alarm.OKActions),
      ALARM: actions(alarm.AlarmActions),
      INSUFFICIENT_DATA: actions(alarm.InsufficientDataActions),
    },
  };
}

function parse<T extends z.ZodType>(schema: T, properties: unknown): z.output<T> {
  const what = `the alarm ${String((properties as { AlarmName?: unknown }).AlarmName ?? 'without a name')}`;
  return readProperties(schema, properties, what, error => new InvalidAlarmError(`${what}: ${z.prettifyError(error)}`));
}
