import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import { describeError } from '../../../functions/platform/errors.ts';
import type { Json } from '../../workflows/language/json.ts';
import type { LocalClock } from '../clock.ts';
import { LOCAL_REGION } from '../endpoint/request-handler.ts';
import type { LocalLambda } from '../lambda/service.ts';
import {
  type Authorizer,
  type AwsRequest,
  type AwsResponse,
  NotImplementedLocally,
  type Principal,
  type Service,
} from '../service.ts';
import type { LocalStates } from '../states/service.ts';
import { answerRequest } from './api.ts';
import { type NextInvocation, parseSchedule } from './expression.ts';
import { readScheduleProperties, type ScheduleProperties, START_EXECUTION } from './properties.ts';

export type { ScheduleProperties } from './properties.ts';

/** One invocation of a schedule's target, once it is over. */
export interface ScheduleInvocation {
  readonly schedule: string;
  readonly scheduledTime: Date;
  readonly executionId: string;
  /** How often the target was called: retries included. */
  readonly attempts: number;
  /** The error of the last attempt, as name and message; null when the target accepted the call. */
  readonly failure: string | null;
}

/** A schedule as `GetSchedule` describes it. */
export interface ScheduleDescription {
  readonly Arn: string;
  readonly Name: string;
  readonly GroupName: 'default';
  readonly State: 'ENABLED' | 'DISABLED';
  readonly ScheduleExpression: string;
  readonly ScheduleExpressionTimezone: string;
  readonly FlexibleTimeWindow: { readonly Mode: 'OFF' };
  readonly Target: { readonly Arn: string; readonly RoleArn: string; readonly Input: string };
  /** In seconds. */
  readonly CreationDate: number;
}

interface Schedule extends ScheduleProperties {
  readonly arn: string;
  readonly createdAt: Date;
  readonly next: NextInvocation;
  cancel: () => void;
}

/** Why a call failed: the function itself (`inside`), which Lambda tries again, or the call to the target. */
interface Failure {
  readonly inside: boolean;
  readonly text: string;
}

/** How long EventBridge Scheduler waits between its attempts is not documented. */
const RETRY_AFTER_MS = 60_000;
/**
 * Lambda's own attempts at an asynchronous invocation that failed: after one minute, then after two.
 * https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
 */
const LAMBDA_RETRY_ATTEMPTS = 2;

/**
 * EventBridge Scheduler: calls the targets of schedules under their roles when the clock has reached their time. A
 * schedule never makes time jump.
 * https://docs.aws.amazon.com/scheduler/latest/UserGuide/what-is-scheduler.html
 */
export class LocalScheduler implements Service {
  readonly #clock: LocalClock;
  readonly #authorizer: Authorizer;
  readonly #accountId: string;
  readonly #lambda: Pick<LocalLambda, 'invoke'>;
  readonly #states: Pick<LocalStates, 'startExecution' | 'describeStateMachine'>;
  readonly #schedules = new Map<string, Schedule>();
  readonly #listeners = new Set<(invocation: ScheduleInvocation) => void>();
  readonly #detached = AsyncLocalStorage.snapshot();

  constructor(options: {
    clock: LocalClock;
    authorizer: Authorizer;
    accountId: string;
    lambda: Pick<LocalLambda, 'invoke'>;
    states: Pick<LocalStates, 'startExecution' | 'describeStateMachine'>;
  }) {
    this.#clock = options.clock;
    this.#authorizer = options.authorizer;
    this.#accountId = options.accountId;
    this.#lambda = options.lambda;
    this.#states = options.states;
  }

  /**
   * Creates a schedule from the properties of `AWS::Scheduler::Schedule`, or replaces the one of that name.
   * @returns its ARN.
   * @throws NotImplementedLocally for a property or target that is not implemented; InvalidScheduleError.
   */
  createSchedule(properties: Readonly<Record<string, unknown>>): string {
    const schedule = readScheduleProperties(properties);
    const arn = `${this.#arnPrefix}${schedule.name}`;
    const createdAt = this.#clock.now();
    const next = parseSchedule(schedule.expression, schedule.timeZone, createdAt);
    this.#schedules.get(schedule.name)?.cancel();
    const created: Schedule = { ...schedule, arn, createdAt, next, cancel: () => {} };
    this.#schedules.set(schedule.name, created);
    if (schedule.enabled) this.#await(created, this.#clock.now());
    return arn;
  }

  /** Deletes a schedule: it fires no more. @throws Error where there is none. */
  deleteSchedule(name: string): void {
    this.#find(name).cancel();
    this.#schedules.delete(name);
  }

  /** The next `count` times at which the schedule fires, after now. */
  nextInvocations(name: string, count: number): Date[] {
    const { next } = this.#find(name);
    const times: Date[] = [];
    for (let time = next(this.#clock.now()); time !== undefined && times.length < count; time = next(time)) {
      times.push(time);
    }
    return times;
  }

  listSchedules(): readonly ScheduleProperties[] {
    return [...this.#schedules.values()];
  }

  /** The REST API. */
  handle(request: AwsRequest): Promise<AwsResponse> {
    return answerRequest(request, this.#authorizer, {
      arnPrefix: this.#arnPrefix,
      describe: name => {
        const schedule = this.#schedules.get(name);
        return schedule && describe(schedule);
      },
      list: () => [...this.#schedules.values()].map(describe),
      create: properties => this.createSchedule(properties),
      remove: name => this.deleteSchedule(name),
    });
  }

  get #arnPrefix(): string {
    return `arn:aws:scheduler:${LOCAL_REGION}:${this.#accountId}:schedule/default/`;
  }

  /** Calls the schedule's target once, as if `scheduledTime` had come, and waits for its answer. */
  async fire(name: string, scheduledTime: Date): Promise<ScheduleInvocation> {
    const schedule = this.#find(name);
    const executionId = randomUUID();
    const failure = await this.#detached(() => this.#call(schedule, inputOf(schedule, scheduledTime, executionId, 1)));
    return this.#report({ schedule: name, scheduledTime, executionId, attempts: 1, failure: failure?.text ?? null });
  }

  /** Calls `listener` after each invocation. @returns what ends that. */
  onInvocation(listener: (invocation: ScheduleInvocation) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #find(name: string): Schedule {
    const schedule = this.#schedules.get(name);
    if (schedule === undefined) throw new Error(`there is no schedule ${name}`);
    return schedule;
  }

  #await(schedule: Schedule, after: Date): void {
    const time = schedule.next(after);
    if (time === undefined) return;
    schedule.cancel = this.#clock.at(time, () => {
      this.#await(schedule, time);
      this.#detached(() => void this.#attempt(schedule, time, randomUUID(), 1));
    });
  }

  // What failed is tried again by appointment: waiting for it would make time jump.
  async #attempt(schedule: Schedule, scheduledTime: Date, executionId: string, attempt: number): Promise<void> {
    const failure = await this.#call(schedule, inputOf(schedule, scheduledTime, executionId, attempt));
    const retryAt = new Date(this.#clock.now().getTime() + RETRY_AFTER_MS * (failure?.inside ? attempt : 1));
    const attempts = failure?.inside ? LAMBDA_RETRY_ATTEMPTS : schedule.maximumRetryAttempts;
    const isTooLate = retryAt.getTime() - scheduledTime.getTime() > schedule.maximumEventAgeSeconds * 1000;
    if (failure !== null && attempt <= attempts && !isTooLate) {
      this.#clock.at(retryAt, () => {
        this.#detached(() => void this.#attempt(schedule, scheduledTime, executionId, attempt + 1));
      });
      return;
    }
    const { name } = schedule;
    this.#report({ schedule: name, scheduledTime, executionId, attempts: attempt, failure: failure?.text ?? null });
  }

  #report(invocation: ScheduleInvocation): ScheduleInvocation {
    for (const listener of this.#listeners) listener(invocation);
    return invocation;
  }

  async #call({ target, roleArn }: Schedule, input: string): Promise<Failure | null> {
    const principal: Principal = { kind: 'role', arn: roleArn };
    try {
      if (target.kind === 'function') {
        const outcome = await this.#lambda.invoke(target.arn, JSON.parse(input), principal);
        if (!('functionError' in outcome)) return null;
        const { errorType, errorMessage } = outcome.functionError;
        return { inside: true, text: `${errorType}: ${errorMessage}` };
      }
      this.#startExecution(JSON.parse(input) as Record<string, unknown>, principal);
      return null;
    } catch (error) {
      return { inside: false, text: describeError(error) };
    }
  }

  #startExecution({ StateMachineArn, Name, Input, ...others }: Record<string, unknown>, principal: Principal): void {
    const [unknown] = Object.keys(others);
    if (unknown !== undefined) throw new NotImplementedLocally(`the member ${unknown} of a schedule's StartExecution`);
    const { arn } = this.#states.describeStateMachine(String(StateMachineArn));
    this.#authorizer.authorize({ principal, action: 'states:StartExecution', resource: arn, context: {} });
    this.#states.startExecution({
      stateMachine: arn,
      ...(Name !== undefined && { name: String(Name) }),
      ...(Input !== undefined && { input: JSON.parse(String(Input)) as Json }),
    });
  }
}

function describe({ arn, name, enabled, expression, timeZone, target, roleArn, input, createdAt }: Schedule) {
  return {
    Arn: arn,
    Name: name,
    GroupName: 'default',
    State: enabled ? 'ENABLED' : 'DISABLED',
    ScheduleExpression: expression,
    ScheduleExpressionTimezone: timeZone,
    FlexibleTimeWindow: { Mode: 'OFF' },
    Target: { Arn: target.kind === 'function' ? target.arn : START_EXECUTION, RoleArn: roleArn, Input: input },
    CreationDate: createdAt.getTime() / 1000,
  } satisfies ScheduleDescription;
}

// The context attributes that an input may name.
// https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html
function inputOf({ input, arn }: Schedule, scheduledTime: Date, executionId: string, attempt: number): string {
  return input
    .replaceAll('<aws.scheduler.scheduled-time>', `${scheduledTime.toISOString().slice(0, 19)}Z`)
    .replaceAll('<aws.scheduler.execution-id>', executionId)
    .replaceAll('<aws.scheduler.schedule-arn>', arn)
    .replaceAll('<aws.scheduler.attempt-number>', String(attempt));
}
