import { Duration } from 'aws-cdk-lib';
import { Alarm, ComparisonOperator, Metric, type MetricOptions, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import type { Construct } from 'constructs';
import { PULSE, type PulseMetric } from '../../functions/contracts/pulse.ts';
import { METRIC_NAMESPACE, METRIC_SERVICE } from '../../functions/platform/metrics.ts';
import type { SupplierConfiguration } from '../config/configuration.ts';
import { type AlarmDefinition, alarmName } from './alarms.ts';

const PULSE_MINUTES = 15;
/** https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html */
const DESCRIPTION_LIMIT = 1024;
const SHORT_PERIODS_LIMIT_MINUTES = 24 * 60;

/** One of pulse's metrics: its largest value in a quarter of an hour, unless told otherwise. */
export function pulseMetric(metricName: PulseMetric, options: MetricOptions = {}): Metric {
  return new Metric({
    namespace: METRIC_NAMESPACE,
    metricName,
    dimensionsMap: { service: METRIC_SERVICE, Workflow: PULSE },
    statistic: 'Maximum',
    period: Duration.minutes(PULSE_MINUTES),
    ...options,
  });
}

/** What an alarm says to whom it wakes, with where its page is. @throws Error where that is longer than CloudWatch takes. */
export function describeAlarm(
  { id, meaning, command, runbook }: Pick<AlarmDefinition, 'id' | 'meaning' | 'command' | 'runbook'>,
  { runbookBaseUrl = 'runbooks' }: Pick<SupplierConfiguration, 'runbookBaseUrl'>,
): string {
  const page = `${runbookBaseUrl.replace(/\/$/, '')}/${runbook}`;
  const description = `${meaning}\n\nFirst: ${command}\n\nThen: ${page}`;
  if (description.length > DESCRIPTION_LIMIT) {
    throw new Error(
      `alarm ${id}: its description has ${description.length} characters; ${DESCRIPTION_LIMIT} fit: shorten runbookBaseUrl`,
    );
  }
  return description;
}

/**
 * The way to make an alarm of pulse: over one of pulse's metrics, where missing data breaches.
 * @throws Error naming an alarm that CloudWatch would refuse.
 */
export function createPulseAlarm(
  scope: Construct,
  definition: AlarmDefinition,
  configuration: SupplierConfiguration,
): Alarm {
  const { id, metric, limit, lastingMinutes = PULSE_MINUTES } = definition;
  if (lastingMinutes % PULSE_MINUTES !== 0 || lastingMinutes > SHORT_PERIODS_LIMIT_MINUTES) {
    throw new Error(`alarm ${id}: it can last a multiple of ${PULSE_MINUTES} minutes, up to a day`);
  }
  return new Alarm(scope, id, {
    alarmName: alarmName(id),
    alarmDescription: describeAlarm(definition, configuration),
    metric: pulseMetric(metric),
    threshold: 'most' in limit ? limit.most : limit.least,
    comparisonOperator:
      'most' in limit ? ComparisonOperator.GREATER_THAN_THRESHOLD : ComparisonOperator.LESS_THAN_THRESHOLD,
    evaluationPeriods: lastingMinutes / PULSE_MINUTES,
    treatMissingData: TreatMissingData.BREACHING,
  });
}
