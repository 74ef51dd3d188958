import { randomUUID } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { z } from 'zod';
import type { LocalClock } from '../clock.ts';
import { LOCAL_REGION } from '../endpoint/request-handler.ts';
import type { AsynchronousInvocations } from '../lambda/asynchronous.ts';
import type { LocalMetrics } from '../monitoring/metrics.ts';
import { readProperties } from '../read-properties.ts';
import { compileFilterPattern } from './filter-pattern.ts';

const SubscriptionFilter = z.strictObject({
  FilterName: z.string(),
  FilterPattern: z.string(),
  LogGroupName: z.string(),
  DestinationArn: z.string(),
});
const MetricFilter = z.strictObject({
  FilterName: z.string(),
  FilterPattern: z.string(),
  LogGroupName: z.string(),
  MetricTransformations: z.tuple([
    z.strictObject({ MetricNamespace: z.string(), MetricName: z.string(), MetricValue: z.literal('1') }),
  ]),
});

interface Filter<T> {
  readonly properties: T;
  readonly matches: (event: unknown) => boolean;
}

/** https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html */
const SUBSCRIPTIONS_OF_A_GROUP = 2;

/**
 * CloudWatch Logs, as far as filters need it: what is written to a group is counted and handed on; nothing is kept.
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html
 */
export class LocalLogs {
  readonly #clock: LocalClock;
  readonly #accountId: string;
  readonly #metrics: LocalMetrics;
  readonly #invocations: AsynchronousInvocations;
  readonly #subscriptions = new Map<string, Filter<z.output<typeof SubscriptionFilter>>>();
  readonly #counts = new Map<string, Filter<z.output<typeof MetricFilter>>>();

  constructor(options: {
    clock: LocalClock;
    accountId: string;
    metrics: LocalMetrics;
    invocations: AsynchronousInvocations;
  }) {
    this.#clock = options.clock;
    this.#accountId = options.accountId;
    this.#metrics = options.metrics;
    this.#invocations = options.invocations;
  }

  /** Creates, or replaces, the filter of `AWS::Logs::SubscriptionFilter`. @throws NotImplementedLocally for a property. */
  putSubscriptionFilter(input: unknown): void {
    const properties = readProperties(SubscriptionFilter, input, 'a subscription filter');
    this.#subscriptions.set(properties.FilterName, {
      properties,
      matches: compileFilterPattern(properties.FilterPattern),
    });
    const group = [...this.#subscriptions.values()].filter(
      ({ properties: { LogGroupName } }) => LogGroupName === properties.LogGroupName,
    );
    if (group.length > SUBSCRIPTIONS_OF_A_GROUP) {
      throw new Error(`${properties.LogGroupName}: a log group has ${SUBSCRIPTIONS_OF_A_GROUP} subscriptions at most`);
    }
  }

  /** Creates, or replaces, the filter of `AWS::Logs::MetricFilter`. @throws NotImplementedLocally for a property. */
  putMetricFilter(input: unknown): void {
    const properties = readProperties(MetricFilter, input, 'a metric filter');
    this.#counts.set(properties.FilterName, { properties, matches: compileFilterPattern(properties.FilterPattern) });
  }

  /** Deletes a filter of either kind. */
  deleteFilter(name: string): void {
    this.#subscriptions.delete(name);
    this.#counts.delete(name);
  }

  /** The names of the subscription filters of a group that an event passes. */
  filtersFor(logGroupName: string, event: unknown): string[] {
    return [...this.#subscriptions.values()]
      .filter(({ properties, matches }) => properties.LogGroupName === logGroupName && matches(event))
      .map(({ properties }) => properties.FilterName);
  }

  /** Writes one event, as JSON, to a group. */
  write(logGroupName: string, event: object): void {
    const timestamp = this.#clock.now();
    for (const { properties, matches } of this.#counts.values()) {
      if (properties.LogGroupName !== logGroupName || !matches(event)) continue;
      const [{ MetricNamespace, MetricName }] = properties.MetricTransformations;
      this.#metrics.put(MetricNamespace, MetricName, {}, { timestamp, value: 1, unit: 'None' });
    }
    const sourceArn = `arn:aws:logs:${LOCAL_REGION}:${this.#accountId}:log-group:${logGroupName}:*`;
    for (const name of this.filtersFor(logGroupName, event)) {
      const delivery = {
        messageType: 'DATA_MESSAGE',
        owner: this.#accountId,
        logGroup: logGroupName,
        logStream: `${this.#accountId}_CloudTrail_${LOCAL_REGION}`,
        subscriptionFilters: [name],
        logEvents: [{ id: randomUUID(), timestamp: timestamp.getTime(), message: JSON.stringify(event) }],
      };
      const destination = this.#subscriptions.get(name)?.properties.DestinationArn ?? '';
      const data = gzipSync(JSON.stringify(delivery)).toString('base64');
      this.#invocations.enqueue(destination, { awslogs: { data } }, { service: 'logs.amazonaws.com', sourceArn });
    }
  }
}
