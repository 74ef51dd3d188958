import { NotImplementedLocally } from '../service.ts';
import { InvalidScheduleError } from './expression.ts';

/** A schedule, as its CloudFormation properties describe it. */
export interface ScheduleProperties {
  readonly name: string;
  readonly expression: string;
  readonly timeZone: string;
  readonly enabled: boolean;
  readonly target: ScheduleTarget;
  readonly roleArn: string;
  readonly input: string;
  readonly maximumRetryAttempts: number;
  readonly maximumEventAgeSeconds: number;
}

export type ScheduleTarget = { readonly kind: 'function'; readonly arn: string } | { readonly kind: 'start-execution' };

type Properties = Readonly<Record<string, unknown>>;

export const START_EXECUTION = 'arn:aws:scheduler:::aws-sdk:sfn:startExecution';
const FUNCTION = /^arn:aws:lambda:[a-z0-9-]+:\d{12}:function:[\w-]+$/;

/**
 * Reads the properties of `AWS::Scheduler::Schedule`, in which all references are resolved.
 * @throws NotImplementedLocally for a property that is not implemented; InvalidScheduleError for a missing one.
 * https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-scheduler-schedule.html
 */
export function readScheduleProperties(properties: Properties): ScheduleProperties {
  allow(properties, 'a schedule', [
    'Name',
    'Description',
    'GroupName',
    'ScheduleExpression',
    'ScheduleExpressionTimezone',
    'FlexibleTimeWindow',
    'State',
    'Target',
  ]);
  const name = text(properties, 'Name');
  const window = object(properties, 'FlexibleTimeWindow');
  if (window.Mode !== 'OFF') throw new NotImplementedLocally(`the flexible time window of the schedule ${name}`);
  const group = properties.GroupName ?? 'default';
  if (group !== 'default') throw new NotImplementedLocally(`schedule groups (${String(group)})`);
  const target = object(properties, 'Target');
  allow(target, `the target of the schedule ${name}`, ['Arn', 'RoleArn', 'Input', 'RetryPolicy']);
  const retry = target.RetryPolicy === undefined ? {} : object(target, 'RetryPolicy');
  allow(retry, `the retry policy of the schedule ${name}`, ['MaximumEventAgeInSeconds', 'MaximumRetryAttempts']);
  return {
    name,
    expression: text(properties, 'ScheduleExpression'),
    timeZone:
      properties.ScheduleExpressionTimezone === undefined ? 'UTC' : text(properties, 'ScheduleExpressionTimezone'),
    enabled: properties.State !== 'DISABLED',
    target: readTarget(text(target, 'Arn')),
    roleArn: text(target, 'RoleArn'),
    input: target.Input === undefined ? '{}' : text(target, 'Input'),
    maximumRetryAttempts: number(retry, 'MaximumRetryAttempts', 185),
    maximumEventAgeSeconds: number(retry, 'MaximumEventAgeInSeconds', 86_400),
  };
}

function readTarget(arn: string): ScheduleTarget {
  if (arn === START_EXECUTION) return { kind: 'start-execution' };
  if (FUNCTION.test(arn)) return { kind: 'function', arn };
  throw new NotImplementedLocally(`the schedule target ${arn}`);
}

function allow(properties: Properties, what: string, names: readonly string[]): void {
  const unknown = Object.keys(properties).find(name => !names.includes(name));
  if (unknown !== undefined) throw new NotImplementedLocally(`the property ${unknown} of ${what}`);
}

function text(properties: Properties, name: string): string {
  const value = properties[name];
  if (typeof value !== 'string' || value === '') throw new InvalidScheduleError(`a schedule has no ${name}`);
  return value;
}

function object(properties: Properties, name: string): Properties {
  const value = properties[name];
  if (value === null || typeof value !== 'object') throw new InvalidScheduleError(`a schedule has no ${name}`);
  return value as Properties;
}

function number(properties: Properties, name: string, otherwise: number): number {
  const value = properties[name] === undefined ? otherwise : Number(properties[name]);
  if (!Number.isInteger(value) || value < 0) throw new InvalidScheduleError(`a schedule's ${name} is no whole number`);
  return value;
}
