import {
  FOREIGN_ROLE_METRIC,
  IDENTITY_METRIC,
  IDENTITY_RULE,
  TAMPER_METRICS,
  TAMPERING,
  TRAIL_LOG_GROUP,
  tamperRuleName,
  UNDELIVERED_QUEUE,
} from '../../functions/contracts/tampering.ts';
import { METRIC_NAMESPACE, METRIC_SERVICE } from '../../functions/platform/metrics.ts';
import { stepName } from '../access/role-names.ts';
import { REGION } from '../config/configuration.ts';
import { type AlarmDefinition, LOOK_BACK_SECONDS, showLog } from './alarms.ts';
import { IDENTITY_MEANING, type TamperRule } from './tamper-rules.ts';

/** One alarm over a count of what must not happen, as it happens. Silence is well. */
export interface CountAlarmDefinition extends Omit<AlarmDefinition, 'metric' | 'limit' | 'lastingMinutes'> {
  readonly metric: {
    readonly namespace: string;
    readonly name: string;
    readonly dimensions: Readonly<Record<string, string>>;
    readonly statistic: 'Sum' | 'Maximum';
  };
}

const RECORDER = 'evidence/record-tampering';
const RUNBOOK = 'tampering.md';

/**
 * One alarm for each tamper rule, over EventBridge's own count of it, so that no alarm waits for Daybreak's function; and
 * those for the function itself. https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html
 */
export function tamperAlarmsOf(rules: readonly TamperRule[]): readonly CountAlarmDefinition[] {
  const showTrail = (filter: string) =>
    `aws logs filter-log-events --region ${REGION} --log-group-name ${TRAIL_LOG_GROUP} --start-time $(($(date +%s) - ${LOOK_BACK_SECONDS}))000 --filter-pattern '{ ${filter} }' --query 'events[].message' --output text`;
  const showSource = (eventSource: string) => showTrail(`$.eventSource = "${eventSource}"`);
  return [
    ...rules.map(({ id, meaning, eventSource }) => ({
      id: `tamper-${id}`,
      meaning,
      metric: {
        namespace: 'AWS/Events',
        name: 'TriggeredRules',
        dimensions: { RuleName: tamperRuleName(id, 'tampering') },
        statistic: 'Sum' as const,
      },
      command: showSource(eventSource),
      runbook: RUNBOOK,
      urgent: true,
    })),
    {
      id: `tamper-${IDENTITY_RULE}`,
      meaning: IDENTITY_MEANING,
      metric: { namespace: METRIC_NAMESPACE, name: IDENTITY_METRIC, dimensions: {}, statistic: 'Sum' },
      command: showSource('iam.amazonaws.com'),
      runbook: RUNBOOK,
      urgent: true,
    },
    {
      id: 'tamper-foreign-role',
      meaning:
        'A role that keys and buckets would let in by its name, and that this release does not have, was made or changed.',
      metric: {
        namespace: METRIC_NAMESPACE,
        name: FOREIGN_ROLE_METRIC,
        dimensions: { service: METRIC_SERVICE, Workflow: TAMPERING },
        statistic: 'Sum',
      },
      command: showTrail('$.requestParameters.roleName = "daybreak-*"'),
      runbook: RUNBOOK,
      urgent: true,
    },
    {
      id: 'tampering-refused',
      meaning: 'Somebody tried to tamper with Daybreak, and was refused.',
      metric: {
        namespace: METRIC_NAMESPACE,
        name: TAMPER_METRICS.refused,
        dimensions: { service: METRIC_SERVICE, Workflow: TAMPERING },
        statistic: 'Sum',
      },
      command: showTrail('$.errorCode = "*AccessDenied*"'),
      runbook: RUNBOOK,
      urgent: false,
    },
    {
      id: 'tampering-recorder-failing',
      meaning: 'The function that records tampering failed. It is tried three times.',
      metric: {
        namespace: 'AWS/Lambda',
        name: 'Errors',
        dimensions: { FunctionName: stepName(RECORDER) },
        statistic: 'Sum',
      },
      command: showLog(RECORDER, 'step failed'),
      runbook: RUNBOOK,
      urgent: false,
    },
    {
      id: 'tampering-not-recorded',
      meaning:
        'Tampering, or a stopped run, was noticed that the ledger does not hold: events wait in the queue of what could not be recorded.',
      metric: {
        namespace: 'AWS/SQS',
        name: 'ApproximateNumberOfMessagesVisible',
        dimensions: { QueueName: UNDELIVERED_QUEUE },
        statistic: 'Maximum',
      },
      command: `aws sqs receive-message --region ${REGION} --visibility-timeout 5 --max-number-of-messages 10 --queue-url $(aws sqs get-queue-url --region ${REGION} --queue-name ${UNDELIVERED_QUEUE} --output text)`,
      runbook: RUNBOOK,
      urgent: true,
    },
  ];
}
