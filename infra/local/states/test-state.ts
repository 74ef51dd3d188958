import { parseDefinition } from '../../workflows/language/definition.ts';
import { StateFailure } from '../../workflows/language/failure.ts';
import type { State } from '../../workflows/language/graph.ts';
import { isObject, type Json, type JsonObject } from '../../workflows/language/json.ts';
import { InvalidDefinitionError } from '../../workflows/language/query.ts';
import { decideRetry } from '../../workflows/language/retry.ts';
import { NotImplementedLocally } from '../service.ts';
import { beginExecution, Frame } from './execution.ts';
import type { Interpreter } from './interpreter.ts';
import { StatesError } from './states-error.ts';

/** One attempt at one state, as `TestState` asks for it. */
export interface StateTest {
  /** A state, or a state machine of which `stateName` is meant. */
  readonly definition: JsonObject;
  readonly stateName?: string;
  readonly input: Json;
  readonly variables: JsonObject;
  /** `$states.context`; only together with a mock. */
  readonly context?: JsonObject;
  /** What the task, the map or the branches answer, instead of being run. */
  readonly result?: Json;
  readonly failure?: { readonly error?: string; readonly cause?: string };
  /** How often the retrier that matches was used already. */
  readonly retries: number;
}

export interface StateTestResult {
  readonly status: 'SUCCEEDED' | 'FAILED' | 'RETRIABLE' | 'CAUGHT_ERROR';
  readonly output?: Json;
  readonly error?: string | undefined;
  readonly cause?: string | undefined;
  readonly nextState?: string | undefined;
  readonly variables: JsonObject;
  readonly inspectionData: {
    readonly input: Json;
    readonly afterArguments?: Json;
    readonly result?: Json;
    readonly errorDetails?: { readonly catchIndex?: number; readonly retryIndex?: number };
  };
}

const NAME = 'StateUnderTest';
const MOCKABLE = ['Task', 'Map', 'Parallel'];

/**
 * Makes one attempt at a state.
 * https://docs.aws.amazon.com/step-functions/latest/apireference/API_TestState.html
 * @throws InvalidDefinitionError; StatesError `ValidationException` for a mock or context where none may be;
 * NotImplementedLocally for a task, map or branches without a mock.
 */
export async function testState(interpreter: Interpreter, test: StateTest): Promise<StateTestResult> {
  const state = findState(test);
  const isMocked = test.result !== undefined || test.failure !== undefined;
  if (isMocked && !MOCKABLE.includes(state.type)) {
    throw new StatesError('ValidationException', `A mock is for a Task, Map or Parallel, not for a ${state.type}`);
  }
  if (test.context !== undefined && !isMocked) {
    throw new StatesError('ValidationException', 'A context can only be given together with a mock');
  }
  if (!isMocked && MOCKABLE.includes(state.type)) {
    throw new NotImplementedLocally(`TestState of a ${state.type} without a mock`);
  }
  const { clock } = interpreter.surroundings;
  const arn = 'arn:aws:states:::test-state';
  const fields = { arn, name: NAME, rootArn: arn, stateMachineName: NAME, stateMachineArn: arn, roleArn: arn };
  const execution = beginExecution({ ...fields, input: test.input, startDate: clock.now() });
  const frame = new Frame({ execution, clock, listen: () => {} });
  frame.scope.assign(test.variables);
  const entered = { Name: state.name, EnteredTime: clock.now().toISOString(), RetryCount: 0 };
  const context = test.context ?? { ...execution.context, State: entered };
  const attempt = { frame, input: test.input, context };
  let inspected: StateTestResult['inspectionData'] = { input: test.input };
  const inspect = (more: Partial<StateTestResult['inspectionData']>) => ({ ...inspected, ...more });
  try {
    const evaluate = 'arguments' in state ? state.arguments : undefined;
    const afterArguments = await evaluate?.(interpreter.environment(attempt));
    if (afterArguments !== undefined) inspected = { ...inspected, afterArguments };
    if (test.failure !== undefined) throw new StateFailure(test.failure.error, test.failure.cause);
    const { result } = test;
    const { next, output } = await interpreter.runOnce(state, attempt, result === undefined ? undefined : { result });
    const inspectionData = inspect(result === undefined ? {} : { result });
    return { status: 'SUCCEEDED', output, nextState: next, variables: frame.scope.visible(), inspectionData };
  } catch (error) {
    if (!(error instanceof StateFailure)) throw error;
    const failed = { error: error.error, cause: error.reason };
    const retry = decideRetry(
      state.retry,
      state.retry.map(() => test.retries),
      error.error,
      1,
    );
    if (retry !== undefined) {
      const inspectionData = inspect({ errorDetails: { retryIndex: retry.retrier } });
      return { status: 'RETRIABLE', ...failed, variables: frame.scope.visible(), inspectionData };
    }
    const caught = await interpreter.catchFailure(state, attempt, error);
    const variables = frame.scope.visible();
    if (caught === undefined) return { status: 'FAILED', ...failed, variables, inspectionData: inspected };
    const inspectionData = inspect({ errorDetails: { catchIndex: caught.index } });
    const { next: nextState, output } = caught;
    return { status: 'CAUGHT_ERROR', ...failed, output, nextState, variables, inspectionData };
  }
}

function findState({ definition, stateName }: StateTest): State {
  const whole = definition.States === undefined ? machineAround(definition) : definition;
  const name = definition.States === undefined ? NAME : stateName;
  if (name === undefined) throw new StatesError('ValidationException', 'stateName says which state is meant');
  const state = parseDefinition(whole).states.get(name);
  if (state === undefined) throw new StatesError('ValidationException', `there is no state "${name}" at the top level`);
  return state;
}

// Where the state goes is only named: a state machine around it has an end at each of these names.
function machineAround(state: JsonObject): JsonObject {
  if (!isObject(state) || typeof state.Type !== 'string')
    throw new InvalidDefinitionError('the definition is no state');
  const rules = [state.Choices, state.Catch].flatMap(rule => (Array.isArray(rule) ? (rule as Json[]) : []));
  const targets = [state.Next, state.Default, ...rules.map(rule => (isObject(rule) ? rule.Next : undefined))];
  const ends = targets.filter(target => typeof target === 'string').map(target => [target, { Type: 'Succeed' }]);
  const { QueryLanguage = 'JSONPath', ...rest } = state;
  return { QueryLanguage, StartAt: NAME, States: { ...Object.fromEntries(ends), [NAME]: rest } };
}
