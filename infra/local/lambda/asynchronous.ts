import { AsyncLocalStorage } from 'node:async_hooks';
import type { LocalClock } from '../clock.ts';
import { matchesWildcard } from '../iam/wildcard.ts';
import { AccessDenied } from '../service.ts';
import type { LocalQueues } from '../sqs/queues.ts';
import { LambdaServiceError } from './errors.ts';
import type { InvocationOutcome } from './service.ts';

/** What lets an AWS service invoke a function: `AWS::Lambda::Permission`. */
export interface ServicePermission {
  readonly functionName: string;
  /** `events.amazonaws.com` */
  readonly service: string;
  /** `*` stands for any text. */
  readonly sourceArn: string;
}

/** How often Lambda tries an asynchronous invocation that fails, and where it leaves it then. */
export interface AsynchronousConfiguration {
  readonly functionName: string;
  readonly maximumRetryAttempts: number;
  /** A queue's ARN; undefined: nowhere. */
  readonly onFailure: string | undefined;
}

/** https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html */
const RETRY_AFTER_MS = 60_000;

/** Lambda's queue of asynchronous invocations by AWS services: tried again after one minute, then after two. */
export class AsynchronousInvocations {
  readonly #clock: LocalClock;
  readonly #queues: LocalQueues;
  readonly #invoke: (functionName: string, event: unknown) => Promise<InvocationOutcome>;
  readonly #permissions = new Map<string, ServicePermission>();
  readonly #configurations = new Map<string, AsynchronousConfiguration>();
  readonly #underWay = new Set<Promise<void>>();
  readonly #detached = AsyncLocalStorage.snapshot();

  constructor(options: {
    clock: LocalClock;
    queues: LocalQueues;
    invoke: (functionName: string, event: unknown) => Promise<InvocationOutcome>;
  }) {
    this.#clock = options.clock;
    this.#queues = options.queues;
    this.#invoke = options.invoke;
  }

  /** Adds a permission under an id, or replaces the one of that id. */
  putPermission(id: string, permission: ServicePermission): void {
    this.#permissions.set(id, permission);
  }

  removePermission(id: string): void {
    this.#permissions.delete(id);
  }

  configure(configuration: AsynchronousConfiguration): void {
    this.#configurations.set(configuration.functionName, configuration);
  }

  /**
   * Takes an event in for a function, in the name of a rule or a log group, and returns at once.
   * @throws AccessDenied where no permission of the function lets the service in for that source.
   */
  enqueue(functionArn: string, event: unknown, caller: { service: string; sourceArn: string }): void {
    const functionName = functionArn.slice(functionArn.lastIndexOf(':') + 1);
    const allowed = [...this.#permissions.values()].some(
      permission =>
        permission.functionName === functionName &&
        permission.service === caller.service &&
        matchesWildcard(permission.sourceArn, caller.sourceArn),
    );
    if (!allowed) {
      throw new AccessDenied(
        `${caller.service} is not authorized to perform: lambda:InvokeFunction on resource: ${functionArn} for ${caller.sourceArn}`,
      );
    }
    this.#track(functionName, event, 1);
  }

  /** Resolves when nothing is being tried; what waits for another attempt is not waited for. */
  async settle(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  #track(functionName: string, event: unknown, attempt: number): void {
    const work = this.#detached(() => this.#attempt(functionName, event, attempt)).finally(() => {
      this.#underWay.delete(work);
    });
    this.#underWay.add(work);
  }

  async #attempt(functionName: string, event: unknown, attempt: number): Promise<void> {
    const failure = await this.#failureOf(functionName, event);
    if (failure === undefined) return;
    const { maximumRetryAttempts = 2, onFailure } = this.#configurations.get(functionName) ?? {};
    if (attempt <= maximumRetryAttempts) {
      const retryAt = new Date(this.#clock.now().getTime() + RETRY_AFTER_MS * attempt);
      this.#clock.at(retryAt, () => this.#track(functionName, event, attempt + 1));
      return;
    }
    // https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
    const record = { version: '1.0', requestContext: { condition: 'RetriesExhausted' }, requestPayload: event };
    if (onFailure !== undefined) this.#queues.send(onFailure, { ...record, responsePayload: failure });
  }

  async #failureOf(functionName: string, event: unknown): Promise<object | undefined> {
    try {
      const outcome = await this.#invoke(functionName, event);
      return 'functionError' in outcome ? outcome.functionError : undefined;
    } catch (error) {
      if (!(error instanceof LambdaServiceError)) throw error;
      return { errorType: error.code, errorMessage: error.message };
    }
  }
}
