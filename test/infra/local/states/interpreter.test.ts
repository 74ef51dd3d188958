import validate from 'asl-validator';
import { describe, expect, it } from 'vitest';
import type { Json, JsonObject } from '../../../../infra/workflows/language/json.ts';
import { errorNamed, localStates, type TestFunction } from './local-states.ts';

const INVOKE = 'arn:aws:states:::lambda:invoke';
const END = { End: true } as const;
const invoke = (name: string, fields: JsonObject = END): JsonObject => ({
  Type: 'Task',
  Resource: INVOKE,
  Arguments: { FunctionName: name, Payload: '{% $states.input %}' },
  Output: '{% $states.result.Payload %}',
  ...fields,
});
// asl-validator takes only objects and queries as Output.
const asOutput = (output: Json): Json =>
  typeof output === 'object' || String(output).startsWith('{%') ? output : `{% ${JSON.stringify(output)} %}`;
const pass = (output: Json, fields: JsonObject = END): JsonObject => ({
  Type: 'Pass',
  Output: asOutput(output),
  ...fields,
});
const machine = (states: JsonObject): JsonObject => ({ StartAt: Object.keys(states)[0] ?? '', States: states });

interface Case {
  readonly name: string;
  readonly states: JsonObject;
  readonly functions?: () => Record<string, TestFunction>;
  readonly input?: Json;
  readonly output?: Json;
  readonly error?: string;
  readonly cause?: string;
  /** The time that passed on the clock. */
  readonly elapsedMs?: number;
  readonly invocationsAtMs?: number[];
}

/** A function that fails `times` times before it answers. */
const failing = (times: number, error: string, answer: Json = 'done'): TestFunction => {
  let calls = 0;
  return () => {
    if (calls++ < times) throw errorNamed(error);
    return answer;
  };
};

const cases: Case[] = [
  { name: 'Pass hands its input on', states: { A: { Type: 'Pass', ...END } }, input: [1], output: [1] },
  {
    name: 'the input may be queried as a whole and in part',
    states: { A: pass({ all: '{% $states.input %}', sum: '{% $sum($states.input.n) %}' }) },
    input: { n: [1, 2] },
    output: { all: { n: [1, 2] }, sum: 3 },
  },
  {
    name: 'Assign and Output see the variables as they were on entry',
    states: {
      A: pass('{% 1 %}', { Assign: { x: 1, y: 10 }, Next: 'B' }),
      B: pass('{% $x %}', { Assign: { x: '{% $y %}', y: '{% $x %}' }, Next: 'C' }),
      C: pass({ b: '{% $states.input %}', x: '{% $x %}', y: '{% $y %}' }),
    },
    output: { b: 1, x: 10, y: 1 },
  },
  {
    name: 'the context knows the execution, the machine and the state',
    states: {
      A: pass(
        '{% [$states.context.Execution.Name, $states.context.Execution.StartTime, $states.context.StateMachine.Name, $states.context.State.Name, $string($states.context.State.RetryCount), $states.context.Execution.Input.a, $states.context.Execution.RoleArn] %}',
      ),
    },
    input: { a: 'b' },
    output: ['named', '2026-01-01T00:00:00.000Z', 'machine', 'A', '0', 'b', 'arn:aws:iam::111122223333:role/workflow'],
  },
  {
    name: 'Choice takes the first rule that holds, with its Assign and Output',
    states: {
      A: {
        Type: 'Choice',
        Choices: [
          { Condition: '{% $states.input.n > 5 %}', Next: 'Big' },
          { Condition: '{% $states.input.n > 1 %}', Next: 'Middle', Output: asOutput('rule'), Assign: { v: 'ruled' } },
        ],
        Default: 'Small',
      },
      Big: pass('big'),
      Middle: pass('{% $states.input & $v %}'),
      Small: pass('small'),
    },
    input: { n: 3 },
    output: 'ruleruled',
  },
  {
    name: 'Choice falls to Default, with the state’s Assign and Output',
    states: {
      A: {
        Type: 'Choice',
        Choices: [{ Condition: '{% false %}', Next: 'B' }],
        Default: 'B',
        Output: asOutput('default'),
        Assign: { v: 'ed' },
      },
      B: pass('{% $states.input & $v %}'),
    },
    output: 'defaulted',
  },
  {
    name: 'Choice without a match fails',
    states: { A: { Type: 'Choice', Choices: [{ Condition: '{% false %}', Next: 'B' }] }, B: pass(1) },
    error: 'States.NoChoiceMatched',
  },
  {
    name: 'a condition that is no boolean fails',
    states: { A: { Type: 'Choice', Choices: [{ Condition: '{% 1 %}', Next: 'B' }] }, B: pass(1) },
    error: 'States.QueryEvaluationError',
  },
  { name: 'Wait for seconds', states: { A: { Type: 'Wait', Seconds: 90, ...END } }, elapsedMs: 90_000, output: {} },
  {
    name: 'Wait for queried seconds',
    states: { A: { Type: 'Wait', Seconds: '{% $states.input.s %}', ...END } },
    input: { s: 5 },
    elapsedMs: 5000,
  },
  {
    name: 'Wait until an instant',
    states: { A: { Type: 'Wait', Timestamp: '{% $states.input %}', ...END } },
    input: '2026-01-01T01:00:10+01:00',
    elapsedMs: 10_000,
  },
  {
    name: 'Wait until an instant that is over',
    states: { A: { Type: 'Wait', Timestamp: '2025-01-01T00:00:00Z', ...END } },
    elapsedMs: 0,
  },
  {
    name: 'Wait for something that is no number',
    states: { A: { Type: 'Wait', Seconds: '{% "5" %}', ...END } },
    error: 'States.QueryEvaluationError',
  },
  {
    name: 'Wait until something that is no instant',
    states: { A: { Type: 'Wait', Timestamp: '{% "tomorrow" %}', ...END } },
    error: 'States.QueryEvaluationError',
  },
  { name: 'Succeed ends with its Output', states: { A: { Type: 'Succeed', Output: asOutput(7) } }, output: 7 },
  {
    name: 'Fail ends with its Error and Cause',
    states: { A: { Type: 'Fail', Error: '{% "Bad" & "Thing" %}', Cause: 'why' } },
    error: 'BadThing',
    cause: 'why',
  },
  {
    name: 'a task by plain function ARN gets its arguments and gives its result',
    states: {
      A: {
        Type: 'Task',
        Resource: 'arn:aws:lambda:eu-west-2:111122223333:function:double',
        Arguments: '{% $states.input.n %}',
        ...END,
      },
    },
    functions: () => ({ double: (n: number) => n * 2 }),
    input: { n: 4 },
    output: 8,
  },
  {
    name: 'an invocation answers with metadata around its payload',
    states: { A: invoke('f', { Output: '{% $keys($states.result) %}', ...END }) },
    functions: () => ({ f: () => 1 }),
    output: ['ExecutedVersion', 'Payload', 'SdkHttpMetadata', 'SdkResponseMetadata', 'StatusCode'],
  },
  {
    name: 'retries wait longer and longer on the clock',
    states: {
      A: invoke('f', { Retry: [{ ErrorEquals: ['RetryableError'], IntervalSeconds: 2, BackoffRate: 3 }], ...END }),
    },
    functions: () => ({ f: failing(3, 'RetryableError') }),
    output: 'done',
    invocationsAtMs: [0, 2000, 8000, 26_000],
  },
  {
    name: 'retries end after MaxAttempts',
    states: { A: invoke('f', { Retry: [{ ErrorEquals: ['States.ALL'], MaxAttempts: 1 }], ...END }) },
    functions: () => ({ f: failing(2, 'RetryableError') }),
    error: 'RetryableError',
    cause: '{"errorType":"RetryableError","errorMessage":"message"}',
    invocationsAtMs: [0, 1000],
  },
  {
    name: 'each retrier counts for itself, and the context counts all',
    states: {
      A: invoke('f', {
        Output: '{% $states.context.State.RetryCount %}',
        Retry: [
          { ErrorEquals: ['One'], MaxAttempts: 1 },
          { ErrorEquals: ['Two'], MaxAttempts: 2, IntervalSeconds: 10, BackoffRate: 1 },
        ],
        ...END,
      }),
    },
    functions: () => {
      const errors = ['Two', 'One', 'Two'];
      return {
        f: () => {
          const error = errors.shift();
          if (error !== undefined) throw errorNamed(error);
        },
      };
    },
    output: 3,
    invocationsAtMs: [0, 10_000, 11_000, 21_000],
  },
  {
    name: 'a failing query of a task is retried and caught like any error',
    states: {
      A: invoke('f', {
        Output: '{% $states.result.Payload.missing %}',
        Retry: [{ ErrorEquals: ['States.QueryEvaluationError'], MaxAttempts: 1 }],
        Catch: [{ ErrorEquals: ['States.TaskFailed'], Next: 'B' }],
        ...END,
      }),
      B: pass('{% $states.input.Error %}'),
    },
    functions: () => ({ f: () => ({}) }),
    output: 'States.QueryEvaluationError',
    invocationsAtMs: [0, 1000],
  },
  {
    name: 'a catcher hands on the error, or its Output over it, and assigns',
    states: {
      A: invoke('f', {
        Catch: [
          { ErrorEquals: ['Other'], Next: 'B' },
          {
            ErrorEquals: ['States.ALL'],
            Next: 'B',
            Output: { was: '{% $states.input %}', error: '{% $states.errorOutput.Error %}' },
            Assign: { message: '{% $parse($states.errorOutput.Cause).errorMessage %}' },
          },
        ],
        ...END,
      }),
      B: pass({ input: '{% $states.input %}', message: '{% $message %}' }),
    },
    functions: () => ({ f: failing(1, 'Bad') }),
    input: 'in',
    output: { input: { was: 'in', error: 'Bad' }, message: 'message' },
  },
  {
    name: 'without Output a catcher hands on Error and Cause',
    states: {
      A: invoke('f', { Catch: [{ ErrorEquals: ['States.ALL'], Next: 'B' }], ...END }),
      B: { Type: 'Pass', ...END },
    },
    functions: () => ({ f: failing(1, 'Bad') }),
    output: { Error: 'Bad', Cause: '{"errorType":"Bad","errorMessage":"message"}' },
  },
  {
    name: 'a function that does not exist is an error of Lambda',
    states: { A: invoke('nowhere') },
    error: 'Lambda.ResourceNotFoundException',
    cause: 'no function nowhere',
  },
  {
    name: 'Parallel gives the results of its branches in order, all on the same input',
    states: {
      A: {
        Type: 'Parallel',
        Arguments: { n: 1 },
        Branches: [
          machine({ W: { Type: 'Wait', Seconds: 9, Next: 'B1' }, B1: pass('{% $states.input.n + 1 %}') }),
          machine({ B2: pass('{% $states.input.n + 2 %}') }),
        ],
        ...END,
      },
    },
    output: [2, 3],
    elapsedMs: 9000,
  },
  {
    name: 'a branch that fails stops its siblings and their waits',
    states: {
      A: {
        Type: 'Parallel',
        Branches: [
          machine({ W: { Type: 'Wait', Seconds: 1000, Next: 'F' }, F: invoke('f') }),
          machine({ X: { Type: 'Wait', Seconds: 1, Next: 'Y' }, Y: { Type: 'Fail', Error: 'Broken' } }),
        ],
        Catch: [{ ErrorEquals: ['Broken'], Next: 'B', Output: '{% $states.errorOutput.Error %}' }],
        ...END,
      },
      B: { Type: 'Wait', Seconds: 5000, ...END },
    },
    functions: () => ({ f: () => 'must not run' }),
    output: 'Broken',
    elapsedMs: 5_001_000,
    invocationsAtMs: [],
  },
  {
    name: 'Parallel can be retried as a whole',
    states: {
      A: {
        Type: 'Parallel',
        Branches: [machine({ F: invoke('f') }), machine({ G: pass('g') })],
        Retry: [{ ErrorEquals: ['Bad'] }],
        ...END,
      },
    },
    functions: () => ({ f: failing(2, 'Bad') }),
    output: ['done', 'g'],
    elapsedMs: 3000,
  },
  {
    name: 'inner scopes read outer variables, and their own end with them',
    states: {
      A: { Type: 'Pass', Assign: { outer: 'o' }, Next: 'B' },
      B: {
        Type: 'Parallel',
        Branches: ['1', '2'].map(n =>
          machine({
            [`I${n}`]: { Type: 'Pass', Assign: { inner: n }, Next: `R${n}` },
            [`R${n}`]: pass('{% $outer & $inner %}'),
          }),
        ),
        Next: 'C',
      },
      C: pass({ results: '{% $states.input %}', inner: '{% $exists($inner) %}' }),
    },
    output: { results: ['o1', 'o2'], inner: false },
  },
  {
    name: 'Map runs its processor for each item',
    states: {
      A: {
        Type: 'Map',
        Items: '{% $states.input.items %}',
        ItemSelector: {
          v: '{% $states.context.Map.Item.Value %}',
          i: '{% $states.context.Map.Item.Index %}',
          of: '{% $states.input.of %}',
        },
        ItemProcessor: machine({
          P: pass(
            '{% $states.input.v & $states.input.of & $string($states.context.Map.Item.Index) & $string($states.input.i) %}',
          ),
        }),
        ...END,
      },
    },
    input: { items: ['a', 'b'], of: '-' },
    output: ['a-00', 'b-11'],
  },
  {
    name: 'Map takes its input as items, also none',
    states: { A: { Type: 'Map', ItemProcessor: machine({ P: { Type: 'Pass', ...END } }), ...END } },
    input: [],
    output: [],
  },
  {
    name: 'Map without a list fails',
    states: { A: { Type: 'Map', Items: '{% 1 %}', ItemProcessor: machine({ P: { Type: 'Pass', ...END } }), ...END } },
    error: 'States.QueryEvaluationError',
  },
  {
    name: 'MaxConcurrency bounds the iterations at once',
    states: {
      A: {
        Type: 'Map',
        MaxConcurrency: 2,
        ItemProcessor: machine({ W: { Type: 'Wait', Seconds: 10, ...END } }),
        ...END,
      },
    },
    input: [1, 2, 3, 4, 5],
    output: [1, 2, 3, 4, 5],
    elapsedMs: 30_000,
  },
  {
    name: 'an inline Map runs at most 40 iterations at once',
    states: { A: { Type: 'Map', ItemProcessor: machine({ W: { Type: 'Wait', Seconds: 1, ...END } }), ...END } },
    input: Array.from({ length: 81 }, () => 0),
    elapsedMs: 3000,
  },
  {
    name: 'the first iteration that fails fails the Map',
    states: {
      A: {
        Type: 'Map',
        ItemProcessor: machine({ F: invoke('f') }),
        Catch: [{ ErrorEquals: ['Bad'], Next: 'B' }],
        ...END,
      },
      B: pass('caught'),
    },
    functions: () => ({
      f: (n: number) => {
        if (n === 2) throw errorNamed('Bad');
      },
    }),
    input: [1, 2, 3],
    output: 'caught',
  },
  {
    name: 'Map and Parallel nest, with their variables and items',
    states: {
      A: {
        Type: 'Map',
        ItemProcessor: machine({
          S: { Type: 'Pass', Assign: { row: '{% $states.input %}' }, Next: 'P' },
          P: {
            Type: 'Parallel',
            Branches: [
              machine({
                M: {
                  Type: 'Map',
                  Items: [1, 2],
                  ItemProcessor: machine({ Q: pass('{% $row * 10 + $states.context.Map.Item.Value %}') }),
                  ...END,
                },
              }),
              machine({ R: pass('{% $states.context.Map.Item.Index %}') }),
            ],
            ...END,
          },
        }),
        ...END,
      },
    },
    input: [1, 2],
    output: [
      [[11, 12], 0],
      [[21, 22], 1],
    ],
  },
  {
    name: 'a loop with a counter ends',
    states: {
      A: pass('{% 0 %}', { Next: 'B' }),
      B: pass('{% $states.input + 1 %}', { Next: 'C' }),
      C: { Type: 'Choice', Choices: [{ Condition: '{% $states.input < 1000 %}', Next: 'B' }], Default: 'D' },
      D: { Type: 'Succeed' },
    },
    output: 1000,
  },
];

describe('Amazon States Language', () => {
  it.each(cases)('$name', async ({ states, functions, input = {}, ...expected }) => {
    const local = localStates(functions?.());
    const definition = { QueryLanguage: 'JSONata', ...machine(states) };
    expect(validate(structuredClone(definition) as never, { checkPaths: false, checkArn: true }).errors).toEqual([]);
    const { arn } = local.states.startExecution({ stateMachine: local.create(definition), name: 'named', input });
    const execution = await local.states.waitForExecution(arn);
    expect({ error: execution.error, status: execution.status, cause: execution.cause }).toEqual({
      error: expected.error,
      status: expected.error === undefined ? 'SUCCEEDED' : 'FAILED',
      cause: expected.cause ?? (expected.error === undefined ? undefined : expect.any(String)),
    });
    if (expected.output !== undefined) expect(execution.output).toEqual(expected.output);
    if (expected.elapsedMs !== undefined) expect(local.elapsedMs()).toBe(expected.elapsedMs);
    if (expected.invocationsAtMs !== undefined) {
      expect(local.invocations.map(({ atMs }) => atMs)).toEqual(expected.invocationsAtMs);
    }
  });
});
