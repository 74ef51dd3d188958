import { createHash, randomUUID } from 'node:crypto';
import type { LocalClock } from '../clock.ts';
import type { LocalMetrics } from '../monitoring/metrics.ts';

const MINUTE_MS = 60_000;

interface Message {
  readonly id: string;
  readonly body: string;
  /** What it was handed out under the last time. */
  receipt: string | undefined;
  hiddenUntilMs: number;
}

interface Queue {
  readonly name: string;
  messages: Message[];
  counting: boolean;
}

/**
 * The queues of SQS, as far as a dead-letter queue needs them: they hold messages, and count the visible ones for CloudWatch.
 * https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
 */
export class LocalQueues {
  readonly #clock: LocalClock;
  readonly #metrics: LocalMetrics;
  readonly #queues = new Map<string, Queue>();

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

  has(arn: string): boolean {
    return this.#queues.has(arn);
  }

  /** @throws Error for a queue that is not there. */
  send(arn: string, body: unknown): void {
    const queue = this.#find(arn);
    queue.messages.push({ id: randomUUID(), body: JSON.stringify(body), receipt: undefined, hiddenUntilMs: 0 });
    if (!queue.counting) this.#count(arn);
  }

  /** Hands out some of the visible messages, and hides them for a while. @throws Error for a queue that is not there. */
  receive(arn: string, options: { most: number; hiddenForMs: number }): object[] {
    const now = this.#clock.now().getTime();
    const visible = this.#find(arn).messages.filter(({ hiddenUntilMs }) => hiddenUntilMs <= now);
    return visible.slice(0, options.most).map(message => {
      message.receipt = randomUUID();
      message.hiddenUntilMs = now + options.hiddenForMs;
      return {
        MessageId: message.id,
        ReceiptHandle: message.receipt,
        MD5OfBody: createHash('md5').update(message.body).digest('hex'),
        Body: message.body,
      };
    });
  }

  /** Deletes a message by what it was handed out under. @returns whether anything was. */
  delete(arn: string, receipt: string): boolean {
    const queue = this.#find(arn);
    const left = queue.messages.filter(message => message.receipt !== receipt);
    const isKnown = left.length < queue.messages.length;
    queue.messages = left;
    return isKnown;
  }

  /** Takes every message out of a queue. */
  receiveAll(arn: string): unknown[] {
    return this.#find(arn)
      .messages.splice(0)
      .map(({ body }) => JSON.parse(body));
  }

  #find(arn: string): Queue {
    const queue = this.#queues.get(arn);
    if (queue === undefined) throw new Error(`there is no queue ${arn}`);
    return queue;
  }

  // Every minute while there is something in it.
  #count(arn: string): void {
    const queue = this.#queues.get(arn);
    if (queue === undefined) return;
    const timestamp = this.#clock.now();
    const visible = queue.messages.filter(({ hiddenUntilMs }) => hiddenUntilMs <= timestamp.getTime());
    const value = { timestamp, value: visible.length, unit: 'Count' };
    this.#metrics.put('AWS/SQS', 'ApproximateNumberOfMessagesVisible', { QueueName: queue.name }, value);
    queue.counting = queue.messages.length > 0;
    if (queue.counting) this.#clock.at(new Date(timestamp.getTime() + MINUTE_MS), () => this.#count(arn));
  }
}
