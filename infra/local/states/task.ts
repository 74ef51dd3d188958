import { StateFailure } from '../../workflows/language/failure.ts';
import type { TaskState } from '../../workflows/language/graph.ts';
import { isObject, type Json } from '../../workflows/language/json.ts';
import { LambdaServiceError } from '../lambda/errors.ts';
import { AccessDenied } from '../service.ts';
import type { Attempt, Interpreter } from './interpreter.ts';
import { checkPayload } from './payload.ts';

const CAUSE_LIMIT = 32_768;

/** Runs a Task state: invokes a Lambda function and, with a task token, waits for its answer. */
export async function runTask(interpreter: Interpreter, state: TaskState, attempt: Attempt): Promise<Json> {
  const { clock, tokens } = interpreter.surroundings;
  const { frame } = attempt;
  const events = state.kind === 'function' ? 'LambdaFunction' : 'Task';
  const deadlines = new Deadlines(clock);
  const environment = interpreter.environment(attempt);
  const heartbeatSeconds = (await state.heartbeatSeconds?.(environment)) as number | undefined;
  const beat = () => {
    if (heartbeatSeconds !== undefined) deadlines.set('States.HeartbeatTimeout', heartbeatSeconds);
  };
  const waiting = state.kind === 'token' ? tokens.open(frame.execution.stateMachineArn, beat) : undefined;
  try {
    const context = waiting ? { ...attempt.context, Task: { Token: waiting.token } } : attempt.context;
    const inTask = interpreter.environment({ ...attempt, context });
    const args = state.arguments === undefined ? attempt.input : await state.arguments(inTask);
    checkPayload(args, `arguments of the state '${state.name}'`);
    const timeoutSeconds = (await state.timeoutSeconds?.(inTask)) as number | undefined;
    const resource = { resourceType: 'lambda', resource: state.resource.replace('arn:aws:states:::lambda:', '') };
    const place = state.kind === 'function' ? {} : resource;
    frame.record(
      `${events}Scheduled`,
      state.kind === 'function'
        ? { resource: state.resource, input: args, timeoutInSeconds: timeoutSeconds }
        : {
            ...place,
            region: 'eu-west-2',
            parameters: args,
            timeoutInSeconds: timeoutSeconds,
            heartbeatInSeconds: heartbeatSeconds,
          },
    );
    frame.record(`${events}Started`, place);
    if (timeoutSeconds !== undefined) deadlines.set('States.Timeout', timeoutSeconds);
    try {
      beat();
      const invocation = invoke(interpreter, state, args, frame.execution.roleArn);
      const answer = waiting ? Promise.race([waiting.answer, invocation.then(() => waiting.answer)]) : invocation;
      const result = await frame.cancellation.race(Promise.race([answer, deadlines.passed]));
      frame.record(`${events}Succeeded`, { ...place, output: result });
      return result;
    } catch (error) {
      if (error instanceof StateFailure) {
        const type = ['States.Timeout', 'States.HeartbeatTimeout'].includes(error.error ?? '') ? 'TimedOut' : 'Failed';
        frame.record(`${events}${type}`, { ...place, error: error.error, cause: error.reason });
      }
      throw error;
    }
  } finally {
    waiting?.close();
    deadlines.clear();
  }
}

async function invoke(interpreter: Interpreter, state: TaskState, args: Json, roleArn: string): Promise<Json> {
  const { name, payload } =
    state.kind === 'function' ? { name: state.resource, payload: args } : readArguments(args, state);
  try {
    const outcome = await interpreter.surroundings.lambda.invoke(name, payload, { kind: 'role', arn: roleArn });
    if ('functionError' in outcome) {
      const { errorType } = outcome.functionError;
      throw new StateFailure(errorType, JSON.stringify(outcome.functionError).slice(0, CAUSE_LIMIT));
    }
    if (state.kind === 'function') return outcome.payload as Json;
    return {
      ExecutedVersion: '$LATEST',
      Payload: outcome.payload as Json,
      SdkHttpMetadata: { HttpStatusCode: 200 },
      SdkResponseMetadata: { RequestId: outcome.requestId },
      StatusCode: 200,
    };
  } catch (error) {
    if (error instanceof AccessDenied)
      throw new StateFailure('Lambda.AWSLambdaException', error.message, { cause: error });
    if (error instanceof LambdaServiceError) {
      throw new StateFailure(`Lambda.${error.code}`, error.message, { cause: error });
    }
    throw error;
  }
}

function readArguments(args: Json, state: TaskState): { name: string; payload: Json } {
  const { FunctionName: name, Payload: payload = {}, ...others } = isObject(args) ? args : {};
  const [unknown] = Object.keys(others);
  if (unknown !== undefined || typeof name !== 'string') {
    throw new StateFailure(
      'States.Runtime',
      `The local cloud does not implement ${unknown ?? 'a missing FunctionName'} in the Arguments of the state '${state.name}'.`,
    );
  }
  return { name, payload };
}

/** Instants of the clock after which a task has failed. They never make time jump. */
class Deadlines {
  readonly #clock: Interpreter['surroundings']['clock'];
  readonly #cancels = new Map<string, () => void>();
  #fail: (failure: StateFailure) => void = () => {};
  /** Rejects once a deadline has passed. */
  readonly passed: Promise<never>;

  constructor(clock: Interpreter['surroundings']['clock']) {
    this.#clock = clock;
    this.passed = new Promise<never>((_resolve, reject) => {
      this.#fail = reject;
    });
    this.passed.catch(() => {});
  }

  /** Sets, or moves, the deadline of that error to `seconds` from now. */
  set(error: string, seconds: number): void {
    this.#cancels.get(error)?.();
    const when = new Date(this.#clock.now().getTime() + seconds * 1000);
    const pass = () => this.#fail(new StateFailure(error, `The task did not answer within ${seconds} seconds.`));
    this.#cancels.set(error, this.#clock.at(when, pass));
  }

  clear(): void {
    for (const cancel of this.#cancels.values()) cancel();
  }
}
