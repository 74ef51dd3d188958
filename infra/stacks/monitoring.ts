import { Duration, Stack, Tags } from 'aws-cdk-lib';
import {
  type Alarm,
  AlarmRule,
  AlarmState,
  AlarmStatusWidget,
  CompositeAlarm,
  Dashboard,
  GraphWidget,
  MathExpression,
  SingleValueWidget,
  TextWidget,
} from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import type { Construct } from 'constructs';
import type { PulseMetric } from '../../functions/contracts/pulse.ts';
import { REGION, type SupplierConfiguration } from '../config/configuration.ts';
import { acknowledge } from '../constructs/acknowledge.ts';
import { type AlarmDefinition, alarmName, alarmsOf, noticeId, PAGER, SILENCE } from '../monitoring/alarms.ts';
import { createCountAlarm } from '../monitoring/count-alarm.ts';
import { createNoticeTopics } from '../monitoring/notice-topics.ts';
import { createPulseAlarm, describeAlarm, pulseMetric } from '../monitoring/pulse-alarm.ts';
import { StoppedRunRules } from '../monitoring/stopped-run-rules.ts';
import { tamperAlarmsOf } from '../monitoring/tamper-alarms.ts';
import { TamperDelivery } from '../monitoring/tamper-delivery.ts';
import { tamperRules } from '../monitoring/tamper-rules.ts';
import type { TrailStack } from './trail.ts';
import type { VaultKeys } from './vault.ts';

const WHOLE_WIDTH = 24;
const HOUR_MS = 60 * 60 * 1000;
/** Pulse's alarms are evaluated each minute, within it or the next: so long one may come before its suppressor. */
const SUPPRESSION_PERIOD = Duration.minutes(3);
/** What is watched of other stacks. */
interface Watched {
  readonly vault: VaultKeys;
  readonly registerKeyArn: string;
  readonly trail: TrailStack;
}

/**
 * Who is told when something is wrong, the rules that notice tampering and stopped runs as they happen, and the page that
 * says whether we are safe. But for those of tampering, every alarm reads pulse's metrics alone.
 */
export class MonitoringStack extends Stack {
  constructor(scope: Construct, id: string, configuration: SupplierConfiguration, watched: Watched) {
    const { account, region } = configuration;
    super(scope, id, { env: { account, region }, description: 'Daybreak: alarms and dashboard' });
    Tags.of(this).add('daybreak:purpose', 'monitoring');
    const { vault, registerKeyArn, trail } = watched;
    // The log that its filters are on has no reference here: its name is fixed.
    this.addStackDependency(trail);
    const topics = createNoticeTopics(this, configuration);
    const { vaultKeyArn, signingKeyArn, ledgerKeyArn, entryKeyArn, tenantIdKeyArn, logKeyArn } = vault;
    const ofVault = [vaultKeyArn, signingKeyArn, ledgerKeyArn, entryKeyArn, tenantIdKeyArn, logKeyArn];
    const keyArns = [...ofVault, registerKeyArn, trail.keyArn, topics.key.keyArn];
    const rules = tamperRules(configuration, keyArns);
    const { undelivered } = new TamperDelivery(this, 'TamperWatch', configuration, rules);
    new StoppedRunRules(this, 'StoppedRuns', account, undelivered);
    const [pagers, contacts] = [new SnsAction(topics.pagers), new SnsAction(topics.contacts)];
    const pulseAlarms = alarmsOf(configuration).map(
      definition => [definition, createPulseAlarm(this, definition, configuration)] as const,
    );
    const tamperAlarms = tamperAlarmsOf(rules).map(
      definition => [definition, createCountAlarm(this, definition, configuration)] as const,
    );
    const alarms = [...pulseAlarms, ...tamperAlarms];
    const silent = pulseAlarms.find(([{ id }]) => id === SILENCE)?.[1];
    // Each tells by itself: beside one that lasts, another must not go unheard.
    for (const [definition, alarm] of alarms) {
      const isOfPulse = 'limit' in definition && alarm !== silent;
      const teller = isOfPulse ? this.#createNotice(definition, alarm, silent, configuration) : alarm;
      teller.addAlarmAction(definition.urgent ? pagers : contacts);
      teller.addOkAction(definition.urgent ? pagers : contacts);
    }
    const urgent = alarms.flatMap(([definition, alarm]) => (definition.urgent ? [alarm] : []));
    const pager = new CompositeAlarm(this, PAGER, {
      compositeAlarmName: alarmName(PAGER),
      alarmDescription: `Something cannot wait until the morning: the pagers are told, by each alarm.\n\nFirst: aws cloudwatch describe-alarms --region ${REGION} --state-value ALARM --alarm-name-prefix daybreak- --query 'MetricAlarms[].[AlarmName,AlarmDescription]' --output text\n\nThen: the page that each alarm names; pulse-silent before the others.`,
      alarmRule: AlarmRule.anyOf(...urgent.map(alarm => AlarmRule.fromAlarm(alarm, AlarmState.ALARM))),
    });
    // Those who read in the morning learn from it that somebody was woken, and that it is over.
    pager.addAlarmAction(contacts);
    pager.addOkAction(contacts);
    this.#createDashboard(
      alarms.map(([, alarm]) => alarm),
      pager,
    );
  }

  /**
   * What tells of one of pulse's alarms. While pulse is silent every alarm of it sounds, for want of data, and only that one
   * of silence tells; a metric alarm cannot be suppressed, a composite one can.
   */
  #createNotice(
    definition: AlarmDefinition,
    alarm: Alarm,
    silent: Alarm | undefined,
    configuration: SupplierConfiguration,
  ): CompositeAlarm {
    const id = noticeId(definition.id);
    acknowledge(
      alarm,
      ['NIST.800.53.R5-CloudWatchAlarmAction'],
      `Its composite alarm ${alarmName(id)} has the actions, which the silence of pulse suppresses.`,
    );
    return new CompositeAlarm(this, id, {
      compositeAlarmName: alarmName(id),
      alarmDescription: describeAlarm(definition, configuration),
      alarmRule: AlarmRule.fromAlarm(alarm, AlarmState.ALARM),
      ...(silent && { actionsSuppressor: silent }),
      actionsSuppressorWaitPeriod: SUPPRESSION_PERIOD,
      actionsSuppressorExtensionPeriod: SUPPRESSION_PERIOD,
    });
  }

  #createDashboard(alarms: readonly Alarm[], pager: CompositeAlarm): void {
    const age = (title: string, name: PulseMetric) =>
      new SingleValueWidget({ title, metrics: [hours(name)], width: 6, height: 6 });
    const graph = (title: string, ...names: PulseMetric[]) =>
      new GraphWidget({
        title,
        left: names.map(name => pulseMetric(name)),
        width: 8,
        height: 6,
        leftYAxis: { min: 0 },
      });
    new Dashboard(this, 'Dashboard', {
      dashboardName: 'daybreak',
      defaultInterval: Duration.days(7),
      widgets: [
        [
          new AlarmStatusWidget({ title: 'Are we safe?', alarms: [pager, ...alarms], width: 12, height: 6 }),
          age('Newest good recovery point (at most 26 h)', 'NewestGoodRecoveryPointAge'),
          age('Newest passed restore test (at most 744 h)', 'NewestPassedRestoreTestAge'),
        ],
        [
          new TextWidget({
            markdown:
              'Green above: the newest backup is whole, the last restore test passed, and what they name is still there, locked and ours alone. **Losing eu-west-2 as a whole breaks the 24 hours: the UK has one AWS Region.**',
            width: WHOLE_WIDTH,
            height: 2,
          }),
        ],
        [
          graph('Backups and tests gone wrong', 'FailedBackups', 'FailedRestoreTests', 'InconclusiveRestoreTests'),
          graph(
            'Snapshots and root manifests',
            'SnapshotsMissing',
            'SnapshotsAltered',
            'SnapshotsShared',
            'RootManifestsAltered',
          ),
          graph(
            'Keys, locks, TLS, schedules, tamper watch',
            'KeysUnusable',
            'ObjectsNotLocked',
            'DatabasesWithoutTls',
            'SchedulesStopped',
            'TamperWatchStopped',
          ),
        ],
        [
          graph('Quotas used (%)', 'SnapshotQuotaUsed', 'InstanceQuotaUsed', 'KeyQuotaUsed'),
          graph('Ledger: head unsigned for (ms)', 'LedgerHeadAge'),
          graph('Pulse: checks that failed', 'PulseChecksFailed'),
        ],
        [graph('Register: not as recorded, contacts to confirm', 'RegisterEntriesAltered', 'ContactsNotConfirmed')],
      ],
    });
  }
}

function hours(metric: PulseMetric): MathExpression {
  return new MathExpression({
    expression: `age / ${HOUR_MS}`,
    usingMetrics: { age: pulseMetric(metric) },
    label: 'hours',
    period: Duration.minutes(15),
  });
}
