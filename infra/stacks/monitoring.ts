import { Duration, RemovalPolicy, Stack, Tags } from 'aws-cdk-lib';
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
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import type { Construct } from 'constructs';
import type { PulseMetric } from '../../functions/contracts/pulse.ts';
import { REGION, type SupplierConfiguration } from '../config/configuration.ts';
import { acknowledge } from '../constructs/acknowledge.ts';
import { alarmName, alarmsOf, PAGER } from '../monitoring/alarms.ts';
import { createCountAlarm } from '../monitoring/count-alarm.ts';
import { createPulseAlarm, pulseMetric } from '../monitoring/pulse-alarm.ts';
import { StoppedRunRules } from '../monitoring/stopped-run-rules.ts';
import { tamperAlarmsOf } from '../monitoring/tamper-alarms.ts';
import { TamperDelivery } from '../monitoring/tamper-delivery.ts';
import { tamperRules } from '../monitoring/tamper-rules.ts';
import type { TrailStack } from './trail.ts';
import type { VaultKeys } from './vault.ts';

const WHOLE_WIDTH = 24;
const HOUR_MS = 60 * 60 * 1000;
const CLOUDWATCH = new ServicePrincipal('cloudwatch.amazonaws.com');
const ofAlarms = (account: string) => ({
  StringEquals: { 'aws:SourceAccount': account },
  ArnLike: { 'aws:SourceArn': `arn:aws:cloudwatch:${REGION}:${account}:alarm:${alarmName('*')}` },
});

/** What is watched of other stacks. */
interface Watched {
  readonly vault: VaultKeys;
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
    const { vault, trail } = watched;
    // The log that its filters are on has no reference here: its name is fixed.
    this.addStackDependency(trail);
    const topicKey = this.#createTopicKey(configuration);
    const { vaultKeyArn, signingKeyArn, ledgerKeyArn, entryKeyArn, tenantIdKeyArn, logKeyArn } = vault;
    const ofVault = [vaultKeyArn, signingKeyArn, ledgerKeyArn, entryKeyArn, tenantIdKeyArn, logKeyArn];
    const keyArns = [...ofVault, trail.keyArn, topicKey.keyArn];
    const rules = tamperRules(configuration, keyArns);
    const { undelivered } = new TamperDelivery(this, 'TamperWatch', configuration, rules);
    new StoppedRunRules(this, 'StoppedRuns', account, undelivered);
    const tell = new SnsAction(this.#createTopic(configuration, topicKey));
    const pulseDefinitions = alarmsOf(configuration);
    const tamperDefinitions = tamperAlarmsOf(rules);
    const definitions = [...pulseDefinitions, ...tamperDefinitions];
    const alarms = new Map<string, Alarm>();
    for (const [definition, alarm] of [
      ...pulseDefinitions.map(definition => [definition, createPulseAlarm(this, definition)] as const),
      ...tamperDefinitions.map(definition => [definition, createCountAlarm(this, definition)] as const),
    ]) {
      // Each tells by itself: beside one that lasts, another must not go unheard.
      alarm.addAlarmAction(tell);
      alarm.addOkAction(tell);
      alarms.set(definition.id, alarm);
    }
    const urgent = definitions.filter(definition => definition.urgent).map(definition => definition.id);
    const pager = new CompositeAlarm(this, PAGER, {
      compositeAlarmName: alarmName(PAGER),
      alarmDescription: `Something cannot wait until the morning.\n\nFirst: aws cloudwatch describe-alarms --region ${REGION} --state-value ALARM --alarm-name-prefix daybreak- --query 'MetricAlarms[].[AlarmName,AlarmDescription]' --output text\n\nThen: the page that each alarm names; pulse-silent before the others.`,
      alarmRule: AlarmRule.anyOf(
        ...[...alarms].flatMap(([name, alarm]) =>
          urgent.includes(name) ? [AlarmRule.fromAlarm(alarm, AlarmState.ALARM)] : [],
        ),
      ),
    });
    pager.addAlarmAction(tell);
    pager.addOkAction(tell);
    this.#createDashboard([...alarms.values()], pager);
  }

  #createTopicKey({ account }: SupplierConfiguration): Key {
    const key = new Key(this, 'TopicKey', {
      alias: 'alias/daybreak/alarms',
      description: 'Daybreak: notices of alarms, on their way to the contacts',
      enableKeyRotation: true,
      // Nothing is kept under it. But who deploys may delete no key, and no tag or alias tells this one from those that must
      // never go: he who changes keys could move either.
      removalPolicy: RemovalPolicy.RETAIN,
    });
    // The key of AWS itself (alias/aws/sns) would not let CloudWatch in.
    // https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
    key.addToResourcePolicy(
      new PolicyStatement({
        sid: 'AlarmsEncryptNotices',
        principals: [CLOUDWATCH],
        actions: ['kms:Decrypt', 'kms:GenerateDataKey*'],
        resources: ['*'],
        conditions: ofAlarms(account),
      }),
    );
    return key;
  }

  #createTopic({ account, contacts }: SupplierConfiguration, key: Key): Topic {
    const topic = new Topic(this, 'Topic', { topicName: alarmName('alarms'), masterKey: key, enforceSSL: true });
    topic.addToResourcePolicy(
      new PolicyStatement({
        sid: 'AlarmsPublish',
        principals: [CLOUDWATCH],
        actions: ['sns:Publish'],
        resources: [topic.topicArn],
        conditions: ofAlarms(account),
      }),
    );
    for (const contact of new Set(contacts)) topic.addSubscription(new EmailSubscription(contact));
    acknowledge(
      topic,
      ['Serverless-SNSRedrivePolicy'],
      'A notice that no e-mail delivers would wait in a queue of the same account, which nobody watches. The alarm keeps its state, and each contact has a subscription.',
    );
    return topic;
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
