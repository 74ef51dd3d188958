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
  /** So long Lambda keeps an event that it could not hand to the function. */
  readonly maximumEventAgeMs: number;
  /** A queue's ARN; undefined: nowhere. */
  readonly onFailure: string | undefined;
}

/** https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html */
const RETRY_AFTER_MS = 60_000;
const FIRST_REFUSAL_MS = 1000;
const LAST_REFUSAL_MS = 5 * 60_000;
const DEFAULTS = { maximumRetryAttempts: 2, maximumEventAgeMs: 6 * 60 * 60_000, onFailure: undefined };

/** An event in the queue. */
interface Queued {
  readonly functionName: string;
  readonly event: unknown;
  readonly sinceMs: number;
  /** How often the function ran. */
  readonly runs: number;
  /** How often Lambda refused to run it. */
  readonly refusals: number;
}

/**
 * Lambda's queue of asynchronous invocations by AWS services. What the function fails with is tried again after one minute,
 * then after two; what Lambda refuses to run, after a second and ever longer, up to five minutes, until the event is too old.
 */
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

  /** From then on the function has Lambda's defaults. */
  removeConfiguration(functionName: string): void {
    this.#configurations.delete(functionName);
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
    this.#track({ functionName, event, sinceMs: this.#clock.now().getTime(), runs: 0, refusals: 0 });
  }

  /** Resolves when nothing is being tried; what waits for another attempt is not waited for. */
  async settle(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  #track(queued: Queued): void {
    const work = this.#detached(() => this.#attempt(queued)).finally(() => {
      this.#underWay.delete(work);
    });
    this.#underWay.add(work);
  }

  async #attempt(queued: Queued): Promise<void> {
    const { functionName, event, sinceMs, runs, refusals } = queued;
    const { maximumRetryAttempts, maximumEventAgeMs, onFailure } = this.#configurations.get(functionName) ?? DEFAULTS;
    const failed = await this.#failureOf(functionName, event);
    if (failed === undefined) return;
    const { passing, failure } = failed;
    const waitMs = passing
      ? Math.min(LAST_REFUSAL_MS, FIRST_REFUSAL_MS * 2 ** refusals)
      : runs < maximumRetryAttempts
        ? RETRY_AFTER_MS * (runs + 1)
        : undefined;
    const retryAtMs = waitMs === undefined ? undefined : this.#clock.now().getTime() + waitMs;
    if (retryAtMs !== undefined && retryAtMs - sinceMs <= maximumEventAgeMs) {
      const next = passing ? { ...queued, refusals: refusals + 1 } : { ...queued, runs: runs + 1 };
      this.#clock.at(new Date(retryAtMs), () => this.#track(next));
      return;
    }
    // https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
    const condition = retryAtMs === undefined ? 'RetriesExhausted' : 'EventAgeExceeded';
    const record = { version: '1.0', requestContext: { condition }, requestPayload: event };
    if (onFailure !== undefined) this.#queues.send(onFailure, { ...record, responsePayload: failure });
  }

  async #failureOf(functionName: string, event: unknown): Promise<{ passing: boolean; failure: object } | undefined> {
    try {
      const outcome = await this.#invoke(functionName, event);
      return 'functionError' in outcome ? { passing: false, failure: outcome.functionError } : undefined;
    } catch (error) {
      if (!(error instanceof LambdaServiceError)) throw error;
      const { code, status, message } = error;
      // "For throttling errors (429) and system errors (500-series)"; that a function which wakes outside a VPC answers 409 is
      // not spoken of there, and taken for the same.
      const passing = status === 429 || status === 409 || status >= 500;
      return { passing, failure: { errorType: code, errorMessage: message } };
    }
  }
}
