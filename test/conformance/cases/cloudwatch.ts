import { DeleteAlarmsCommand, PutMetricAlarmCommand } from '@aws-sdk/client-cloudwatch';
import { type ConformanceCase, refusal } from '../case.ts';
import { PREFIX } from '../names.ts';

/** What of CloudWatch decides how alarms are built. The one call is refused; otherwise its alarm is deleted again. */
export const cloudWatchCases: readonly ConformanceCase[] = [
  {
    service: 'CloudWatch',
    name: 'an alarm with periods of 15 minutes cannot look back over 31 days',
    restsOn:
      'infra/monitoring/alarms.ts: ages are metrics, because no alarm sees that something did not happen for a month',
    page: 'https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html',
    expected: '400',
    observe: async scratch => {
      const AlarmName = `${PREFIX}${scratch.run}`;
      const answered = await refusal(
        scratch.cloudWatch.send(
          new PutMetricAlarmCommand({
            AlarmName,
            Namespace: 'daybreak-conformance',
            MetricName: 'nothing',
            Statistic: 'Maximum',
            ComparisonOperator: 'LessThanThreshold',
            Threshold: 1,
            Period: 15 * 60,
            EvaluationPeriods: 31 * 24 * 4,
          }),
        ),
      );
      if (answered === 'done') await scratch.cloudWatch.send(new DeleteAlarmsCommand({ AlarmNames: [AlarmName] }));
      return answered;
    },
  },
];
