import { answerJson } from '../endpoint/json-service.ts';
import { LOCAL_REGION } from '../endpoint/request-handler.ts';
import type { Authorizer, AwsRequest, AwsResponse, Principal, Service } from '../service.ts';
import type { LocalQueues } from './queues.ts';

/** https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html */
const DEFAULT_VISIBILITY_SECONDS = 30;

/** SQS's API: what a dead-letter queue is emptied with. */
export class LocalSqs implements Service {
  readonly #queues: LocalQueues;
  readonly #authorizer: Authorizer;
  readonly #accountId: string;

  constructor(options: { queues: LocalQueues; authorizer: Authorizer; accountId: string }) {
    this.#queues = options.queues;
    this.#authorizer = options.authorizer;
    this.#accountId = options.accountId;
  }

  handle(request: AwsRequest): Promise<AwsResponse> {
    return answerJson(request, 'AmazonSQS.', 'SQS', {
      GetQueueUrl: {
        members: ['QueueName'],
        run: ({ QueueName }, principal) =>
          this.#onQueue(String(QueueName), 'GetQueueUrl', principal, () => ({
            QueueUrl: `https://sqs.${LOCAL_REGION}.amazonaws.com/${this.#accountId}/${String(QueueName)}`,
          })),
      },
      ReceiveMessage: {
        members: ['QueueUrl', 'VisibilityTimeout', 'MaxNumberOfMessages'],
        run: ({ QueueUrl, VisibilityTimeout = DEFAULT_VISIBILITY_SECONDS, MaxNumberOfMessages = 1 }, principal) =>
          this.#onQueue(nameIn(QueueUrl), 'ReceiveMessage', principal, arn => {
            const hiddenForMs = Number(VisibilityTimeout) * 1000;
            const Messages = this.#queues.receive(arn, { most: Number(MaxNumberOfMessages), hiddenForMs });
            return Messages.length > 0 ? { Messages } : {};
          }),
      },
      DeleteMessage: {
        members: ['QueueUrl', 'ReceiptHandle'],
        run: ({ QueueUrl, ReceiptHandle }, principal) =>
          this.#onQueue(nameIn(QueueUrl), 'DeleteMessage', principal, arn =>
            this.#queues.delete(arn, String(ReceiptHandle))
              ? {}
              : { error: 'ReceiptHandleIsInvalid', message: 'The input receipt handle is invalid.' },
          ),
      },
    });
  }

  #onQueue(name: string, operation: string, principal: Principal, run: (arn: string) => object): object {
    const arn = `arn:aws:sqs:${LOCAL_REGION}:${this.#accountId}:${name}`;
    this.#authorizer.authorize({ principal, action: `sqs:${operation}`, resource: arn, context: {} });
    if (this.#queues.has(arn)) return run(arn);
    return { error: 'QueueDoesNotExist', message: 'The specified queue does not exist.' };
  }
}

const nameIn = (url: unknown): string => String(url).replace(/^.*\//, '');
