import { randomUUID } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { z } from 'zod';
import type { LocalClock } from '../clock.ts';
import { answerJson } from '../endpoint/json-service.ts';
import { LOCAL_REGION } from '../endpoint/request-handler.ts';
import type { AsynchronousInvocations } from '../lambda/asynchronous.ts';
import type { LocalMetrics } from '../monitoring/metrics.ts';
import { readProperties } from '../read-properties.ts';
import {
  type Authorizer,
  type AwsRequest,
  type AwsResponse,
  NotImplementedLocally,
  type Principal,
  type Service,
} from '../service.ts';
import { compileFilterPattern, compileSearch } from './filter-pattern.ts';

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

/** So many of a group are kept, the newest: a search further back fails by name. */
const KEPT_EVENTS = 10_000;
/** https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html */
const PAGE_EVENTS = 10_000;
const PAGE_BYTES = 1024 * 1024;

interface LogEvent {
  readonly eventId: string;
  readonly timestamp: number;
  readonly message: string;
}

interface LogGroup {
  readonly events: LogEvent[];
  /** The newest one that is not kept any more, in milliseconds. */
  droppedUntilMs: number;
}

/**
 * CloudWatch Logs, as far as filters and searches need it: what is written to a group is counted, handed on and found again.
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html
 */
export class LocalLogs implements Service {
  readonly #clock: LocalClock;
  readonly #authorizer: Authorizer;
  readonly #groups = new Map<string, LogGroup>();
  readonly #accountId: string;
  readonly #metrics: LocalMetrics;
  readonly #invocations: AsynchronousInvocations;
  readonly #subscriptions = new Map<string, Filter<z.output<typeof SubscriptionFilter>>>();
  readonly #counts = new Map<string, Filter<z.output<typeof MetricFilter>>>();

  constructor(options: {
    clock: LocalClock;
    authorizer: Authorizer;
    accountId: string;
    metrics: LocalMetrics;
    invocations: AsynchronousInvocations;
  }) {
    this.#clock = options.clock;
    this.#authorizer = options.authorizer;
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

  /** Writes a line to a group, for searches alone. */
  keep(logGroupName: string, message: string): void {
    const group = this.#groups.get(logGroupName) ?? { events: [], droppedUntilMs: -1 };
    this.#groups.set(logGroupName, group);
    group.events.push({ eventId: randomUUID(), timestamp: this.#clock.now().getTime(), message });
    if (group.events.length > KEPT_EVENTS) group.droppedUntilMs = group.events.shift()?.timestamp ?? -1;
  }

  /** `FilterLogEvents`. */
  handle(request: AwsRequest): Promise<AwsResponse> {
    return answerJson(request, 'Logs_20140328.', 'CloudWatch Logs', {
      FilterLogEvents: {
        members: ['logGroupName', 'startTime', 'endTime', 'filterPattern', 'nextToken', 'limit'],
        run: (input, principal) => this.#find(input, principal),
      },
    });
  }

  #find(input: Readonly<Record<string, unknown>>, principal: Principal): object {
    const { logGroupName, startTime = 0, endTime, filterPattern = '', nextToken = '0', limit = PAGE_EVENTS } = input;
    const resource = `arn:aws:logs:${LOCAL_REGION}:${this.#accountId}:log-group:${String(logGroupName)}:*`;
    this.#authorizer.authorize({ principal, action: 'logs:FilterLogEvents', resource, context: {} });
    const group = this.#groups.get(String(logGroupName));
    if (group === undefined) {
      return { error: 'ResourceNotFoundException', message: 'The specified log group does not exist.' };
    }
    if (Number(startTime) <= group.droppedUntilMs) {
      throw new NotImplementedLocally(`a search beyond the newest ${KEPT_EVENTS} events of ${String(logGroupName)}`);
    }
    const matches = compileSearch(String(filterPattern));
    const found = group.events.filter(
      ({ timestamp, message }) =>
        timestamp >= Number(startTime) && (endTime === undefined || timestamp <= Number(endTime)) && matches(message),
    );
    const page: LogEvent[] = [];
    let bytes = 0;
    for (const event of found.slice(Number(nextToken), Number(nextToken) + Number(limit))) {
      bytes += Buffer.byteLength(event.message);
      if (page.length > 0 && bytes > PAGE_BYTES) break;
      page.push(event);
    }
    const next = Number(nextToken) + page.length;
    return {
      events: page.map(event => ({ logStreamName: 'local', ...event, ingestionTime: event.timestamp })),
      searchedLogStreams: [],
      ...(next < found.length && { nextToken: String(next) }),
    };
  }

  /** Writes one event, as JSON, to a group. */
  write(logGroupName: string, event: object): void {
    this.keep(logGroupName, JSON.stringify(event));
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
