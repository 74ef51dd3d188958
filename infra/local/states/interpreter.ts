import type { S3Client } from '@aws-sdk/client-s3';
import { queryFailure, StateFailure } from '../../workflows/language/failure.ts';
import type { ChoiceState, Graph, ParallelState, State, WaitState } from '../../workflows/language/graph.ts';
import { isObject, type Json, type JsonObject } from '../../workflows/language/json.ts';
import type { Evaluate, QueryEnvironment } from '../../workflows/language/query.ts';
import { decideRetry, matchesError } from '../../workflows/language/retry.ts';
import type { LocalClock } from '../clock.ts';
import type { LocalLambda } from '../lambda/service.ts';
import type { Authorizer } from '../service.ts';
import type { Execution, Frame } from './execution.ts';
import { runMap } from './map.ts';
import { checkPayload } from './payload.ts';
import { runTogether } from './run-together.ts';
import { runTask } from './task.ts';
import type { TaskTokens } from './tokens.ts';

/** What running states needs. */
export interface Surroundings {
  readonly clock: LocalClock;
  readonly authorizer: Authorizer;
  readonly lambda: Pick<LocalLambda, 'invoke'>;
  readonly tokens: TaskTokens;
  /** An S3 client that acts as the role. */
  readonly s3: (roleArn: string) => S3Client;
  /** Runs a graph as an execution of its own, to its end, whatever that is. */
  readonly runChild: (
    graph: Graph,
    child: Execution,
    path: Frame['path'],
    limitMs: number | undefined,
  ) => Promise<void>;
}

/** One attempt at one state. */
export interface Attempt {
  readonly frame: Frame;
  readonly input: Json;
  /** `$states.context`, without the task token. */
  readonly context: JsonObject;
}

/** How a state is left: where to, and what its Output and Assign are evaluated over. */
interface Departure {
  readonly next: string | undefined;
  readonly output: Evaluate | undefined;
  readonly assign: Evaluate | undefined;
  /** What `$states` holds beside input and context. */
  readonly extra: { readonly result?: Json; readonly errorOutput?: Json };
  /** The output where none is defined. */
  readonly fallback: Json;
}

/** Runs the states of compiled graphs. */
export class Interpreter {
  readonly surroundings: Surroundings;

  constructor(surroundings: Surroundings) {
    this.surroundings = surroundings;
  }

  /**
   * Runs a graph from its start to an end, and returns its output.
   * @throws StateFailure when a state fails and nothing catches it; Stopped when it was stopped from outside.
   */
  async runGraph(graph: Graph, input: Json, frame: Frame): Promise<Json> {
    let name: string | undefined = graph.startAt;
    let value = input;
    while (name !== undefined) {
      frame.cancellation.check();
      const state = graph.states.get(name);
      if (state === undefined) throw new Error(`there is no state "${name}"`);
      const left: { next: string | undefined; output: Json } = await this.#runState(state, value, frame);
      name = left.next;
      value = left.output;
    }
    return value;
  }

  /** The environment of a query in this attempt. */
  environment({ frame, input, context }: Attempt, extra: Departure['extra'] = {}): QueryEnvironment {
    const states: JsonObject = { input, ...extra, context };
    return { states, scope: frame.scope, now: this.surroundings.clock.now() };
  }

  /** Sleeps on the clock, until the frame is stopped. */
  async sleep(durationMs: number, frame: Frame): Promise<void> {
    const waking = new AbortController();
    try {
      await frame.cancellation.race(this.surroundings.clock.sleep(durationMs, { signal: waking.signal }));
    } finally {
      waking.abort();
    }
  }

  /**
   * Makes one attempt at a state: nothing is retried or caught, and nothing follows.
   * @param mock what the task, map or branches answer, instead of running them.
   * @throws StateFailure
   */
  async runOnce(
    state: State,
    attempt: Attempt,
    mock?: { result: Json },
  ): Promise<{ next: string | undefined; output: Json }> {
    const { result } = mock ?? {};
    const departure: Departure =
      result === undefined
        ? await this.#attempt(state, attempt)
        : { next: state.next, output: state.output, assign: state.assign, extra: { result }, fallback: result };
    return this.#leave(state, attempt, departure);
  }

  /** Leaves a state by the catcher that takes the failure; undefined where none does. */
  async catchFailure(
    state: State,
    attempt: Attempt,
    failure: StateFailure,
  ): Promise<{ next: string | undefined; output: Json; index: number } | undefined> {
    const index = state.catch.findIndex(({ errorEquals }) => matchesError(errorEquals, failure.error));
    const catcher = state.catch[index];
    if (catcher === undefined) return undefined;
    const errorOutput = { Error: failure.error ?? '', Cause: failure.reason ?? '' };
    const left = await this.#leave(state, attempt, { ...catcher, extra: { errorOutput }, fallback: errorOutput });
    return { ...left, index };
  }

  async #runState(state: State, input: Json, frame: Frame): Promise<{ next: string | undefined; output: Json }> {
    const enteredAt = this.surroundings.clock.now();
    frame.record(`${state.type}StateEntered`, { name: state.name, input });
    frame.announce('state-entered', state);
    const attempts = state.retry.map(() => 0);
    for (let retryCount = 0; ; retryCount++) {
      const attempt = { frame, input, context: contextOf(frame, state.name, enteredAt, retryCount) };
      try {
        return await this.#leave(state, attempt, await this.#attempt(state, attempt));
      } catch (error) {
        if (!(error instanceof StateFailure)) throw error;
        if (error.error === 'States.QueryEvaluationError') {
          frame.record('EvaluationFailed', { state: state.name, error: error.error, cause: error.reason });
        }
        const retry = decideRetry(state.retry, attempts, error.error, Math.random());
        if (retry !== undefined) {
          attempts[retry.retrier] = (attempts[retry.retrier] ?? 0) + 1;
          frame.announce('state-retried', state, { error: error.error });
          await this.sleep(retry.delayMs, frame);
          continue;
        }
        frame.announce('state-failed', state, { error: error.error });
        const caught = await this.catchFailure(state, attempt, error);
        if (caught === undefined) throw error;
        return caught;
      }
    }
  }

  async #leave(state: State, attempt: Attempt, { next, output, assign, extra, fallback }: Departure) {
    const { frame } = attempt;
    let value = fallback;
    if (output !== undefined || assign !== undefined) {
      const environment = this.environment(attempt, extra);
      const assigned = assign === undefined ? undefined : await assign(environment);
      if (output !== undefined) {
        value = await output(environment);
        checkPayload(value, `output of the state '${state.name}'`);
      }
      if (isObject(assigned)) frame.scope.assign(assigned);
    }
    frame.record(`${state.type}StateExited`, { name: state.name, output: value });
    frame.announce('state-exited', state);
    return { next, output: value };
  }

  async #attempt(state: State, attempt: Attempt): Promise<Departure> {
    const { input } = attempt;
    const passed: Departure = {
      next: state.next,
      output: state.output,
      assign: state.assign,
      extra: {},
      fallback: input,
    };
    switch (state.type) {
      case 'Pass':
      case 'Succeed':
        return passed;
      case 'Fail': {
        const environment = this.environment(attempt);
        throw new StateFailure(
          await textOf(state.error, environment, 'Error'),
          await textOf(state.cause, environment, 'Cause'),
        );
      }
      case 'Wait':
        await this.#wait(state, attempt);
        return passed;
      case 'Choice':
        return this.#choose(state, attempt);
      default: {
        const result =
          state.type === 'Task'
            ? await runTask(this, state, attempt)
            : state.type === 'Parallel'
              ? await this.#runBranches(state, attempt)
              : await runMap(this, state, attempt);
        checkPayload(result, `result of the state '${state.name}'`);
        return { ...passed, extra: { result }, fallback: result };
      }
    }
  }

  async #wait(state: WaitState, attempt: Attempt): Promise<void> {
    const environment = this.environment(attempt);
    if (state.seconds !== undefined) {
      await this.sleep(((await state.seconds(environment)) as number) * 1000, attempt.frame);
      return;
    }
    const timestamp = await state.timestamp?.(environment);
    const isInstant =
      typeof timestamp === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(timestamp);
    const atMs = isInstant ? Date.parse(timestamp) : Number.NaN;
    if (Number.isNaN(atMs)) throw queryFailure(String(timestamp), 'Timestamp', 'is no timestamp of RFC 3339');
    await this.sleep(Math.max(0, atMs - environment.now.getTime()), attempt.frame);
  }

  async #choose(state: ChoiceState, attempt: Attempt): Promise<Departure> {
    const environment = this.environment(attempt);
    for (const [index, { condition, ...rule }] of state.choices.entries()) {
      const holds = await condition(environment);
      if (typeof holds !== 'boolean') {
        throw queryFailure('Condition', `Choices[${index}]/Condition`, 'returned no boolean');
      }
      if (holds) return { ...rule, extra: {}, fallback: attempt.input };
    }
    if (state.default === undefined) {
      throw new StateFailure('States.NoChoiceMatched', `No choice of the state '${state.name}' matched.`);
    }
    return {
      next: state.default,
      output: state.output,
      assign: state.assign,
      extra: {},
      fallback: attempt.input,
    };
  }

  async #runBranches(state: ParallelState, attempt: Attempt): Promise<Json> {
    const { frame } = attempt;
    const input = state.arguments === undefined ? attempt.input : await state.arguments(this.environment(attempt));
    checkPayload(input, `input of the branches of the state '${state.name}'`);
    frame.record('ParallelStateStarted');
    const results = await runTogether(state.branches.length, state.branches.length, frame, (index, cancellation) =>
      this.runGraph(state.branches[index] as Graph, input, frame.enter(state.name, index, cancellation)),
    ).catch(error => {
      if (error instanceof StateFailure) frame.record('ParallelStateFailed');
      throw error;
    });
    frame.record('ParallelStateSucceeded');
    return results;
  }
}

function contextOf({ execution, map }: Frame, name: string, enteredAt: Date, retryCount: number): JsonObject {
  const state = { Name: name, EnteredTime: enteredAt.toISOString(), RetryCount: retryCount };
  return map === undefined ? { ...execution.context, State: state } : { ...execution.context, State: state, Map: map };
}

async function textOf(
  evaluate: Evaluate | undefined,
  environment: QueryEnvironment,
  field: string,
): Promise<string | undefined> {
  const value = await evaluate?.(environment);
  if (value !== undefined && typeof value !== 'string') throw queryFailure(field, field, 'returned no text');
  return value;
}
