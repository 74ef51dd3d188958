import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import { CfnRule } from 'aws-cdk-lib/aws-events';
import { CfnPermission } from 'aws-cdk-lib/aws-lambda';
import { CfnMetricFilter, CfnSubscriptionFilter } from 'aws-cdk-lib/aws-logs';
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import {
  IDENTITY_METRIC,
  IDENTITY_RULE,
  REFUSAL_RULES,
  type TamperMode,
  TRAIL_LOG_GROUP,
  tamperRuleName,
  UNDELIVERED_QUEUE,
  UPGRADED_RULES,
} from '../../functions/contracts/tampering.ts';
import { METRIC_NAMESPACE } from '../../functions/platform/metrics.ts';
import { REGION, type SupplierConfiguration } from '../config/configuration.ts';
import { acknowledge } from '../constructs/acknowledge.ts';
import { letRulesCall } from './rule-calls.ts';
import { eventPattern, identityFilter, type TamperRule } from './tamper-rules.ts';

/**
 * What hands tampering to the function that records it: EventBridge rules, and filters on the trail's log for what
 * EventBridge does not hear of. What cannot be delivered or recorded waits in a queue.
 */
export class TamperDelivery extends Construct {
  /** What could not be delivered or recorded. */
  readonly undelivered: Queue;

  constructor(scope: Construct, id: string, configuration: SupplierConfiguration, rules: readonly TamperRule[]) {
    super(scope, id);
    const { account } = configuration;
    const queue = this.#createQueue();
    this.undelivered = queue;
    const functionArn = letRulesCall(this, {
      step: 'evidence/record-tampering',
      account,
      rules: 'daybreak-tamper-*',
      undelivered: queue,
      sid: 'RulesLeaveWhatTheyCannotDeliver',
    });
    const logInvokes = new CfnPermission(this, 'LogInvokes', {
      action: 'lambda:InvokeFunction',
      functionName: functionArn,
      principal: 'logs.amazonaws.com',
      sourceArn: `arn:aws:logs:${REGION}:${account}:log-group:${TRAIL_LOG_GROUP}:*`,
      sourceAccount: account,
    });
    for (const rule of rules) {
      for (const mode of modesOf(rule)) {
        const name = tamperRuleName(rule.id, mode);
        new CfnRule(this, name, {
          name,
          description: mode === 'tampering' ? rule.meaning : `${rule.meaning} (${mode})`,
          state: 'ENABLED',
          eventPattern: eventPattern(rule, mode, configuration),
          targets: [
            {
              id: 'record',
              arn: functionArn,
              // https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html#eb-transform-input-predefined
              inputTransformer: {
                inputTemplate: `{"rule":"${rule.id}","mode":"${mode}","event":<aws.events.event.json>}`,
              },
              deadLetterConfig: { arn: queue.queueArn },
            },
          ],
        });
      }
    }
    for (const mode of ['tampering', 'upgrade'] as const) {
      const filterPattern = identityFilter(mode, configuration);
      const filterName = tamperRuleName(IDENTITY_RULE, mode);
      new CfnSubscriptionFilter(this, filterName, {
        filterName,
        filterPattern,
        logGroupName: TRAIL_LOG_GROUP,
        destinationArn: functionArn,
      }).addResourceDependency(logInvokes);
    }
    new CfnMetricFilter(this, 'IdentityCount', {
      filterName: IDENTITY_METRIC,
      filterPattern: identityFilter('tampering', configuration),
      logGroupName: TRAIL_LOG_GROUP,
      metricTransformations: [{ metricNamespace: METRIC_NAMESPACE, metricName: IDENTITY_METRIC, metricValue: '1' }],
    });
  }

  #createQueue(): Queue {
    const queue = new Queue(this, 'Undelivered', {
      queueName: UNDELIVERED_QUEUE,
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: Duration.days(14),
      removalPolicy: RemovalPolicy.DESTROY,
    });
    acknowledge(
      queue,
      ['AwsSolutions-SQS3', 'Serverless-SQSRedrivePolicy'],
      'It is the dead-letter queue, of the rules and of the function.',
    );
    return queue;
  }
}

function modesOf({ id }: TamperRule): TamperMode[] {
  return [
    'tampering',
    ...(REFUSAL_RULES.includes(id) ? (['refused'] as const) : []),
    ...(UPGRADED_RULES.includes(id) ? (['upgrade'] as const) : []),
  ];
}
