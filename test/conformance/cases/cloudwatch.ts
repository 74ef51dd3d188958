import {
  DeleteAlarmsCommand,
  DescribeAlarmHistoryCommand,
  PutMetricAlarmCommand,
  SetAlarmStateCommand,
} from '@aws-sdk/client-cloudwatch';
import { CreateTopicCommand, DeleteTopicCommand } from '@aws-sdk/client-sns';
import { type ConformanceCase, refusal } from '../case.ts';
import { PREFIX, TAG } from '../names.ts';
import type { Scratch } from '../scratch.ts';
import { synthesized } from '../synthesized.ts';

/**
 * Lets an alarm ring that tells an encrypted topic, to which nobody is subscribed.
 * @param keyStatements what the topic's key lets others do, beside the account.
 * @returns what the alarm's history says of its notice: `Succeeded` or `Failed`.
 */
async function ring(scratch: Scratch, purpose: string, keyStatements: readonly object[]): Promise<string> {
  const { cloudWatch, sns } = scratch;
  const account = await scratch.accountId();
  const { alarmStatements } = await synthesized(account);
  const name = `${PREFIX}${scratch.run}-${purpose}`;
  const Version = '2012-10-17';
  const owner = { Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${account}:root` }, Action: 'kms:*', Resource: '*' };
  const Policy = JSON.stringify({ Version, Statement: [owner, ...keyStatements] });
  const KmsMasterKeyId = await scratch.key(purpose, { Policy });
  const Statement = alarmStatements.topic.map(statement => ({
    ...statement,
    Resource: `arn:aws:sns:eu-west-2:${account}:${name}`,
  }));
  const { TopicArn = '' } = await sns.send(
    new CreateTopicCommand({
      Name: name,
      Attributes: { KmsMasterKeyId, Policy: JSON.stringify({ Version, Statement }) },
      Tags: [{ Key: TAG, Value: scratch.run }],
    }),
  );
  scratch.usesTopics = true;
  try {
    await cloudWatch.send(
      new PutMetricAlarmCommand({
        AlarmName: name,
        AlarmActions: [TopicArn],
        Namespace: 'daybreak-conformance',
        MetricName: 'nothing',
        Statistic: 'Maximum',
        ComparisonOperator: 'GreaterThanThreshold',
        Threshold: 1,
        Period: 60,
        EvaluationPeriods: 1,
        TreatMissingData: 'ignore',
      }),
    );
    await cloudWatch.send(
      new SetAlarmStateCommand({ AlarmName: name, StateValue: 'ALARM', StateReason: 'a rehearsal' }),
    );
    const outcome = async () => {
      const { AlarmHistoryItems = [] } = await cloudWatch.send(
        new DescribeAlarmHistoryCommand({ AlarmName: name, HistoryItemType: 'Action' }),
      );
      const { actionState } = JSON.parse(AlarmHistoryItems[0]?.HistoryData ?? '{}') as { actionState?: string };
      return actionState ?? 'none within two minutes';
    };
    const isKnown = async () => ((await outcome()).startsWith('none') ? 'not yet' : 'known');
    await scratch.askUntil('known', isKnown, { everyMs: 2000, forMs: 120_000 });
    return await outcome();
  } finally {
    await cloudWatch.send(new DeleteAlarmsCommand({ AlarmNames: [name] }));
    await sns.send(new DeleteTopicCommand({ TopicArn }));
  }
}

/** What of CloudWatch decides how alarms are built. Alarms and topics are deleted as soon as a case ends. */
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
  {
    service: 'CloudWatch',
    name: 'an alarm tells an encrypted topic whose key and policy let it, and no other',
    restsOn: 'infra/stacks/monitoring.ts: the topics’ key and policies, as they are synthesized',
    page: 'https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html',
    expected: { asSynthesized: 'Succeeded', withoutTheKey: 'Failed' },
    observe: async scratch => {
      const { alarmStatements } = await synthesized(await scratch.accountId());
      return {
        asSynthesized: await ring(scratch, 'notices', alarmStatements.key),
        withoutTheKey: await ring(scratch, 'unheard', []),
      };
    },
  },
];
