import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import { describeError } from '../../../functions/platform/errors.ts';
import type { LocalClock } from '../clock.ts';
import { LOCAL_REGION } from '../endpoint/request-handler.ts';
import type { LocalLambda } from '../lambda/service.ts';
import { type Authorizer, NotImplementedLocally, type Principal } from '../service.ts';
import type { Json } from '../states/json.ts';
import type { LocalStates } from '../states/service.ts';
import { type NextInvocation, parseSchedule } from './expression.ts';
import { readScheduleProperties, type ScheduleProperties } from './properties.ts';

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

interface Schedule extends ScheduleProperties {
  readonly arn: string;
  readonly next: NextInvocation;
  cancel: () => void;
}

/** EventBridge Scheduler waits between its attempts; how long is not documented. */
const RETRY_AFTER_MS = 60_000;

/**
 * EventBridge Scheduler: calls the targets of schedules under their roles when the clock has reached their time. A
 * schedule never makes time jump.
 * https://docs.aws.amazon.com/scheduler/latest/UserGuide/what-is-scheduler.html
 */
export class LocalScheduler {
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
    const arn = `arn:aws:scheduler:${LOCAL_REGION}:${this.#accountId}:schedule/default/${schedule.name}`;
    const next = parseSchedule(schedule.expression, schedule.timeZone, this.#clock.now());
    this.#schedules.get(schedule.name)?.cancel();
    const created: Schedule = { ...schedule, arn, next, cancel: () => {} };
    this.#schedules.set(schedule.name, created);
    if (schedule.enabled) this.#await(created, this.#clock.now());
    return arn;
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

  /** Calls the schedule's target as if `scheduledTime` had come, and waits for the target's answer. */
  fire(name: string, scheduledTime: Date): Promise<ScheduleInvocation> {
    const schedule = this.#find(name);
    return this.#detached(() => this.#invoke(schedule, scheduledTime));
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
      this.#detached(() => void this.#invoke(schedule, time));
    });
  }

  async #invoke(schedule: Schedule, scheduledTime: Date): Promise<ScheduleInvocation> {
    const executionId = randomUUID();
    const input = schedule.input
      .replaceAll('<aws.scheduler.scheduled-time>', `${scheduledTime.toISOString().slice(0, 19)}Z`)
      .replaceAll('<aws.scheduler.execution-id>', executionId)
      .replaceAll('<aws.scheduler.schedule-arn>', schedule.arn);
    const startedAtMs = this.#clock.now().getTime();
    let attempts = 0;
    let failure: string | null = null;
    do {
      if (attempts > 0) await this.#clock.sleep(RETRY_AFTER_MS);
      attempts++;
      failure = await this.#call(schedule, input.replaceAll('<aws.scheduler.attempt-number>', String(attempts)));
    } while (
      failure !== null &&
      attempts <= schedule.maximumRetryAttempts &&
      this.#clock.now().getTime() + RETRY_AFTER_MS - startedAtMs <= schedule.maximumEventAgeSeconds * 1000
    );
    const invocation = { schedule: schedule.name, scheduledTime, executionId, attempts, failure };
    for (const listener of this.#listeners) listener(invocation);
    return invocation;
  }

  // A Lambda target is called asynchronously: that the function fails is not the schedule's failure.
  async #call({ target, roleArn }: Schedule, input: string): Promise<string | null> {
    const principal: Principal = { kind: 'role', arn: roleArn };
    try {
      if (target.kind === 'function') {
        await this.#lambda.invoke(target.arn, JSON.parse(input), principal);
      } else {
        const { StateMachineArn, Name, Input, ...others } = JSON.parse(input) as Record<string, unknown>;
        const [unknown] = Object.keys(others);
        if (unknown !== undefined)
          throw new NotImplementedLocally(`the member ${unknown} of a schedule's StartExecution`);
        const machine = this.#states.describeStateMachine(String(StateMachineArn));
        const action = 'states:StartExecution';
        this.#authorizer.authorize({ principal, action, resource: machine.arn, context: {} });
        this.#states.startExecution({
          stateMachine: machine.arn,
          ...(Name !== undefined && { name: String(Name) }),
          ...(Input !== undefined && { input: JSON.parse(String(Input)) as Json }),
        });
      }
      return null;
    } catch (error) {
      return describeError(error);
    }
  }
}
