import { RemovalPolicy } from 'aws-cdk-lib';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { Alias, Key } from 'aws-cdk-lib/aws-kms';
import { type ITopicSubscription, SubscriptionProtocol, Topic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription, SmsSubscription, UrlSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import type { Construct } from 'constructs';
import { ofAlarms } from '../access/key-policies.ts';
import type { SupplierConfiguration } from '../config/configuration.ts';
import { acknowledge } from '../constructs/acknowledge.ts';
import { DaybreakKey } from '../constructs/daybreak-key.ts';
import { TOPICS } from './alarms.ts';

const CLOUDWATCH = new ServicePrincipal('cloudwatch.amazonaws.com');

/** Where alarms tell. */
export interface NoticeTopics {
  /** Wakes somebody. */
  readonly pagers: Topic;
  /** Is read in the morning. */
  readonly contacts: Topic;
  readonly key: Key;
}

/** Makes the topics for who is woken and for who reads, under one key that CloudWatch may use. */
export function createNoticeTopics(scope: Construct, configuration: SupplierConfiguration): NoticeTopics {
  const { account, contacts, pagers } = configuration;
  const key = createTopicKey(scope, configuration);
  const create = (id: string, topicName: string, subscriptions: readonly ITopicSubscription[]) => {
    const topic = new Topic(scope, id, { topicName, masterKey: key, enforceSSL: true });
    topic.addToResourcePolicy(
      new PolicyStatement({
        sid: 'AlarmsPublish',
        principals: [CLOUDWATCH],
        actions: ['sns:Publish'],
        resources: [topic.topicArn],
        conditions: ofAlarms(account),
      }),
    );
    for (const subscription of subscriptions) topic.addSubscription(subscription);
    acknowledge(
      topic,
      ['Serverless-SNSRedrivePolicy'],
      'A notice that is not delivered would wait in a queue of the same account, which nobody watches. The alarm keeps its state, and each person has a subscription.',
    );
    return topic;
  };
  return {
    // The first that there was: deployments know it by this id and name.
    contacts: create(
      'Topic',
      TOPICS.contacts,
      [...new Set(contacts)].map(address => new EmailSubscription(address)),
    ),
    pagers: create('PagersTopic', TOPICS.pagers, pagers.map(subscriptionOf)),
    key,
  };
}

// https://docs.aws.amazon.com/sns/latest/dg/sns-http-https-endpoint-as-subscriber.html
function subscriptionOf(pager: SupplierConfiguration['pagers'][number]): ITopicSubscription {
  if ('email' in pager) return new EmailSubscription(pager.email);
  if ('sms' in pager) return new SmsSubscription(pager.sms);
  return new UrlSubscription(pager.webhook, { protocol: SubscriptionProtocol.HTTPS });
}

function createTopicKey(scope: Construct, configuration: SupplierConfiguration): Key {
  // Nothing is kept under it. But who deploys may delete no key, and no tag or alias tells this one from those that must
  // never go: he who changes keys could move either.
  const key = new DaybreakKey(scope, 'TopicKey', 'notice-key', configuration, {
    description: 'Daybreak: notices of alarms, on their way to the contacts',
    enableKeyRotation: true,
  });
  // The next stack makes another key, and finds the name free.
  (key.node.findChild('Alias') as Alias).applyRemovalPolicy(RemovalPolicy.DESTROY);
  return key;
}
