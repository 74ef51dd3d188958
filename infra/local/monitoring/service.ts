import { answerJson } from '../endpoint/json-service.ts';
import { type Authorizer, type AwsRequest, type AwsResponse, NotImplementedLocally, type Service } from '../service.ts';
import type { LocalAlarms, StandingAlarm } from './alarms.ts';

/** https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html */
const DEFAULT_PAGE = 50;

/** CloudWatch's API, in JSON: `DescribeAlarms`. */
export class LocalCloudWatch implements Service {
  readonly #alarms: LocalAlarms;
  readonly #authorizer: Authorizer;

  constructor(options: { alarms: LocalAlarms; authorizer: Authorizer }) {
    this.#alarms = options.alarms;
    this.#authorizer = options.authorizer;
  }

  handle(request: AwsRequest): Promise<AwsResponse> {
    return answerJson(request, 'GraniteServiceVersion20100801.', 'CloudWatch', {
      DescribeAlarms: {
        members: ['AlarmNames', 'AlarmNamePrefix', 'AlarmTypes', 'StateValue', 'MaxRecords', 'NextToken'],
        run: (input, principal) => {
          this.#authorizer.authorize({ principal, action: 'cloudwatch:DescribeAlarms', resource: '*', context: {} });
          return this.#describe(input);
        },
      },
    });
  }

  #describe(input: Readonly<Record<string, unknown>>): object {
    const { AlarmNames, AlarmNamePrefix = '', AlarmTypes, StateValue, MaxRecords, NextToken = '0' } = input;
    // "If you omit this parameter, only metric alarms are returned."
    const types = (AlarmTypes as string[] | undefined) ?? ['MetricAlarm'];
    const unknown = types.find(type => type !== 'MetricAlarm' && type !== 'CompositeAlarm');
    if (unknown !== undefined) throw new NotImplementedLocally(`alarms of the type ${unknown}`);
    const found = this.#alarms
      .list()
      .filter(({ name }) => AlarmNames === undefined || (AlarmNames as string[]).includes(name))
      .filter(({ name }) => name.startsWith(String(AlarmNamePrefix)))
      .filter(({ state }) => StateValue === undefined || state === StateValue)
      .filter(alarm => types.includes('rule' in alarm ? 'CompositeAlarm' : 'MetricAlarm'))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1));
    const end = Number(NextToken) + Number(MaxRecords ?? DEFAULT_PAGE);
    const page = found.slice(Number(NextToken), end);
    return {
      MetricAlarms: page.filter(alarm => !('rule' in alarm)).map(describe),
      CompositeAlarms: page.filter(alarm => 'rule' in alarm).map(describe),
      ...(end < found.length && { NextToken: String(end) }),
    };
  }
}

function describe(alarm: StandingAlarm): object {
  const common = {
    AlarmName: alarm.name,
    AlarmArn: alarm.arn,
    AlarmDescription: alarm.description,
    OKActions: alarm.actions.OK,
    AlarmActions: alarm.actions.ALARM,
    InsufficientDataActions: alarm.actions.INSUFFICIENT_DATA,
    StateValue: alarm.state,
    StateUpdatedTimestamp: alarm.since.getTime() / 1000,
  };
  if ('rule' in alarm) {
    const { rule, suppressor } = alarm;
    return {
      ...common,
      AlarmRule: rule,
      ...(suppressor && {
        ActionsSuppressor: suppressor.alarm,
        ActionsSuppressorWaitPeriod: suppressor.waitMs / 1000,
        ActionsSuppressorExtensionPeriod: suppressor.extensionMs / 1000,
      }),
    };
  }
  const { metric, condition } = alarm;
  return {
    ...common,
    Namespace: metric.namespace,
    MetricName: metric.name,
    Dimensions: Object.entries(metric.dimensions).map(([Name, Value]) => ({ Name, Value })),
    Statistic: condition.statistic,
    Period: condition.periodSeconds,
    EvaluationPeriods: condition.evaluationPeriods,
    DatapointsToAlarm: condition.datapointsToAlarm,
    Threshold: condition.threshold,
    ComparisonOperator: condition.comparison,
    TreatMissingData: condition.missingData,
  };
}
