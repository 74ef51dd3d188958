import type { LocalClock } from '../clock.ts';
import type { LocalMetrics } from '../monitoring/metrics.ts';

const MINUTE_MS = 60_000;

/**
 * SQS, as far as a dead-letter queue needs it: holds messages, and counts them for CloudWatch. It has no API here; a test
 * reads it directly. https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
 */
export class LocalQueues {
  readonly #clock: LocalClock;
  readonly #metrics: LocalMetrics;
  readonly #queues = new Map<string, { name: string; messages: string[]; counting: boolean }>();

  constructor(options: { clock: LocalClock; metrics: LocalMetrics }) {
    this.#clock = options.clock;
    this.#metrics = options.metrics;
  }

  /** Creates a queue, or finds the one that is there. */
  createQueue(arn: string): void {
    const name = arn.slice(arn.lastIndexOf(':') + 1);
    if (!this.#queues.has(arn)) this.#queues.set(arn, { name, messages: [], counting: false });
  }

  /** Deletes a queue with what is in it. */
  deleteQueue(arn: string): void {
    this.#queues.delete(arn);
  }

  /** @throws Error for a queue that is not there. */
  send(arn: string, body: unknown): void {
    const queue = this.#find(arn);
    queue.messages.push(JSON.stringify(body));
    if (!queue.counting) this.#count(arn);
  }

  /** Takes every message out of a queue. */
  receiveAll(arn: string): unknown[] {
    return this.#find(arn)
      .messages.splice(0)
      .map(message => JSON.parse(message));
  }

  #find(arn: string) {
    const queue = this.#queues.get(arn);
    if (queue === undefined) throw new Error(`there is no queue ${arn}`);
    return queue;
  }

  // Every minute while there is something in it.
  #count(arn: string): void {
    const queue = this.#queues.get(arn);
    if (queue === undefined) return;
    const timestamp = this.#clock.now();
    const value = { timestamp, value: queue.messages.length, unit: 'Count' };
    this.#metrics.put('AWS/SQS', 'ApproximateNumberOfMessagesVisible', { QueueName: queue.name }, value);
    queue.counting = queue.messages.length > 0;
    if (queue.counting) this.#clock.at(new Date(timestamp.getTime() + MINUTE_MS), () => this.#count(arn));
  }
}
