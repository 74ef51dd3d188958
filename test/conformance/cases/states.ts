import {
  TestStateCommand,
  type TestStateCommandInput,
  type TestStateCommandOutput,
  ValidateStateMachineDefinitionCommand,
} from '@aws-sdk/client-sfn';
import { type ConformanceCase, type Json, readFailure, readObstacle } from '../case.ts';
import { openLocalStates } from '../local-states.ts';
import {
  BRANCHES,
  CONTEXT,
  INPUTS,
  PAYLOAD,
  type StateDefinition,
  statesOf,
  VARIABLES,
  WORKFLOWS,
} from './state-machines.ts';

const PAGE = 'https://docs.aws.amazon.com/step-functions/latest/apireference/API_TestState.html';
const JSONATA_PAGE = 'https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html';

/** Sends `TestState`. */
type Test = (input: TestStateCommandInput) => Promise<TestStateCommandOutput>;

/** A task whose answer is given, and whose output is what shall be evaluated: a context needs a mock. */
function evaluating(Output: unknown): StateDefinition {
  const Arguments = { FunctionName: 'none' };
  return { Type: 'Task', Resource: 'arn:aws:states:::lambda:invoke', Arguments, Output, End: true };
}

/** The requests that show what a state does: each outcome of a choice, of a call and of its failures. */
function testsOf(state: StateDefinition): Record<string, TestStateCommandInput> {
  const [over, on] = INPUTS.map(input => JSON.stringify(input));
  const request = (
    definition: StateDefinition,
    input: string | undefined,
    more: Partial<TestStateCommandInput> = {},
  ) => ({
    definition: JSON.stringify({ ...definition, QueryLanguage: 'JSONata' }),
    input,
    variables: JSON.stringify(VARIABLES),
    inspectionLevel: 'DEBUG' as const,
    ...more,
  });
  const mocked = (definition: StateDefinition, input: string | undefined, mock: TestStateCommandInput['mock']) =>
    request(definition, input, { mock: { fieldValidationMode: 'NONE', ...mock }, context: JSON.stringify(CONTEXT) });
  if (state.Type === 'Task' || state.Type === 'Map' || state.Type === 'Parallel') {
    const result = { Task: { Payload: PAYLOAD }, Map: [{ ResultWriterDetails: { Key: 'k' } }], Parallel: BRANCHES }[
      state.Type
    ];
    const distributed = state.ItemReader !== undefined ? { ResultWriterDetails: { Bucket: 'b', Key: 'k' } } : result;
    const fails = (error: string) => mocked(state, over, { errorOutput: { error, cause: 'a test' } });
    return {
      succeeds: mocked(state, over, { result: JSON.stringify(distributed) }),
      fails: fails('PermanentStepError'),
      ...(state.Type === 'Task' ? { mayPass: fails('RetryableError') } : {}),
    };
  }
  const { Type, Next, End, Default, Catch, ...fields } = state;
  if (Type === 'Wait' || JSON.stringify(fields).includes('$states.context')) {
    const each = { evaluated: fields };
    return {
      over: mocked(evaluating(each), over, { result: '{}' }),
      goesOn: mocked(evaluating(each), on, { result: '{}' }),
    };
  }
  return Type === 'Choice'
    ? { over: request(state, over), goesOn: request(state, on) }
    : { passes: request(state, over) };
}

/** What decides of an answer; of the variables those that changed. */
function readTest({ status, output, error, nextState, inspectionData }: TestStateCommandOutput): Json {
  const parse = (text: string | undefined) => (text === undefined ? null : (JSON.parse(text) as Json));
  const after = (parse(inspectionData?.variables) ?? {}) as Record<string, Json>;
  const before = VARIABLES as Record<string, unknown>;
  const changed = Object.entries(after).filter(
    ([name, value]) => JSON.stringify(value) !== JSON.stringify(before[name]),
  );
  const { catchIndex, retryIndex } = inspectionData?.errorDetails ?? {};
  return {
    status: status ?? null,
    next: nextState ?? null,
    output: parse(output),
    error: error ?? null,
    assigned: Object.fromEntries(changed.sort(([a], [b]) => (a < b ? -1 : 1))),
    arguments: parse(inspectionData?.afterArguments),
    ...(catchIndex === undefined ? {} : { caughtBy: catchIndex }),
    ...(retryIndex === undefined ? {} : { retriedBy: retryIndex }),
  };
}

async function testAll(states: ReadonlyMap<string, StateDefinition>, test: Test): Promise<Json> {
  const found: Record<string, Json> = {};
  for (const [name, state] of states) {
    for (const [title, input] of Object.entries(testsOf(state))) {
      found[`${name} ${title}`] = await test(input).then(readTest, refused);
    }
  }
  return found;
}

/** A state that the service will not test says so by itself. */
function refused(error: unknown): Json {
  const obstacle = readObstacle(error);
  const failure = readFailure(error);
  if (obstacle !== undefined || failure === undefined) throw obstacle ?? error;
  return `refused: ${failure.name}: ${failure.message}`;
}

async function evaluate(test: Test, expressions: Readonly<Record<string, string>>): Promise<Json> {
  const definition = JSON.stringify({ ...evaluating(expressions), QueryLanguage: 'JSONata' });
  const { output } = await test({
    definition,
    input: '{}',
    variables: JSON.stringify({ since: '2026-11-22T02:20:00.000Z', one: [1], list: [1, 2] }),
    context: JSON.stringify(CONTEXT),
    mock: { fieldValidationMode: 'NONE', result: JSON.stringify({ Payload: { a: 1 } }) },
  });
  return JSON.parse(output ?? 'null') as Json;
}

/** How JSONata in Step Functions answers what the workflows ask of it, written by hand. */
const EXPRESSIONS: readonly [name: string, expression: string, expected: Json][] = [
  [
    'an instant with milliseconds',
    '$fromMillis($toMillis($states.context.State.EnteredTime))',
    '2026-11-22T02:30:00.000Z',
  ],
  ['elapsed', '$toMillis($states.context.State.EnteredTime) - $toMillis($since)', 600_000],
  [
    'a name from an instant',
    "$lowercase($replace($substring('2026-11-22T02:30:00.000Z', 0, 19), /[-:]/, '')) & 'z'",
    '20261122t023000z',
  ],
  ['merged', "$merge([{'a': 1, 'b': 1}, {'b': 2}])", { a: 1, b: 2 }],
  ['one appended to none is a list of one', "$append([], {'a': 1})", [{ a: 1 }]],
  ['one appended to one', "$append([{'a': 1}], {'a': 2})", [{ a: 1 }, { a: 2 }]],
  ['a variable that is a list of one stays a list', '$one', [1]],
  ['looked up', "$lookup({'failed': 'RestoreTestFailed'}, 'failed')", 'RestoreTestFailed'],
  ['members of lists in a list are one list', "[[{'a': [1, 2]}, {'a': [3]}].a]", [1, 2, 3]],
  ['a list of nothing is empty', '[$list[$ > 2]]', []],
  ['the last of a sorted list', "$sort(['b', 'c', 'a'])[-1]", 'c'],
  ['a list of one that is mapped is a list', "[$map($one, function($x) {{'a': $x}})]", [{ a: 1 }]],
  ['found by a member', "([{'a': 1, 'b': null}, {'a': 2, 'b': 3}])[a = 1].b", null],
  ['whole seconds within bounds', '$max([60, $min([240, $floor(99.9)])])', 99],
  ['a number is not null', '$states.result.Payload.a = null', false],
  ['null is null', 'null = null', true],
  ['a hash', "$hash('a', 'SHA-256')", 'ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb'],
  ['a partition', '$partition([1, 2, 3], 2)', [[1, 2], [3]]],
  ['a range', '$range(0, 10, 5)', [0, 5, 10]],
  ['parsed', `$parse('{"a": [1]}')`, { a: [1] }],
];

/** The workflows’ definitions, state by state, without deploying them. */
export const stateCases: readonly ConformanceCase[] = [
  ...Object.entries(WORKFLOWS).flatMap(([name, workflow]): ConformanceCase[] => [
    {
      service: 'Step Functions',
      name: `the definition of ${name} is valid`,
      restsOn: `infra/workflows/${name}.ts`,
      page: 'https://docs.aws.amazon.com/step-functions/latest/apireference/API_ValidateStateMachineDefinition.html',
      expected: { result: 'OK', errors: [] },
      observe: async scratch => {
        const definition = JSON.stringify(workflow);
        const { result, diagnostics = [] } = await scratch.states.send(
          new ValidateStateMachineDefinitionCommand({ definition, severity: 'ERROR' }),
        );
        return { result: result ?? null, errors: diagnostics.map(({ message = '' }) => message) };
      },
    },
    {
      service: 'Step Functions',
      name: `every state of ${name} does what the local interpreter does: choices, assignments, retries, catches`,
      restsOn: `infra/workflows/${name}.ts, proved by infra/local/states`,
      page: PAGE,
      expected: () => testAll(statesOf(workflow), openLocalStates()),
      observe: scratch => testAll(statesOf(workflow), input => scratch.states.send(new TestStateCommand(input))),
    },
  ]),
  {
    service: 'Step Functions',
    name: 'JSONata and the functions that Step Functions adds to it answer as written down here',
    restsOn: 'infra/workflows/*.ts and infra/workflows/language/functions.ts',
    page: JSONATA_PAGE,
    expected: Object.fromEntries(EXPRESSIONS.map(([name, , expected]) => [name, expected])),
    observe: scratch =>
      evaluate(
        input => scratch.states.send(new TestStateCommand(input)),
        Object.fromEntries(EXPRESSIONS.map(([name, expression]) => [name, `{% ${expression} %}`])),
      ),
  },
];
