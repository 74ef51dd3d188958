import { Duration } from 'aws-cdk-lib';
import { Alarm, ComparisonOperator, Metric, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import type { Construct } from 'constructs';
import type { SupplierConfiguration } from '../config/configuration.ts';
import { alarmName } from './alarms.ts';
import { describeAlarm } from './pulse-alarm.ts';
import type { CountAlarmDefinition } from './tamper-alarms.ts';

const PERIOD_MINUTES = 1;
/** As long as an alarm stands after what it counted. Then it can tell of the next time. */
const STANDS_MINUTES = 15;

/**
 * An alarm that sounds within a minute of the first count, and stands for a quarter of an hour after the last.
 * @throws Error naming an alarm that CloudWatch would refuse.
 */
export function createCountAlarm(
  scope: Construct,
  definition: CountAlarmDefinition,
  configuration: SupplierConfiguration,
): Alarm {
  const { id, metric } = definition;
  return new Alarm(scope, id, {
    alarmName: alarmName(id),
    alarmDescription: describeAlarm(definition, configuration),
    metric: new Metric({
      namespace: metric.namespace,
      metricName: metric.name,
      dimensionsMap: metric.dimensions,
      statistic: metric.statistic,
      period: Duration.minutes(PERIOD_MINUTES),
    }),
    threshold: 0,
    comparisonOperator: ComparisonOperator.GREATER_THAN_THRESHOLD,
    evaluationPeriods: STANDS_MINUTES / PERIOD_MINUTES,
    datapointsToAlarm: 1,
    treatMissingData: TreatMissingData.NOT_BREACHING,
  });
}
