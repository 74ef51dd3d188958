import {
  CreateStateMachineCommand,
  DeleteStateMachineCommand,
  ListStateMachinesCommand,
  TestStateCommand,
  type TestStateCommandInput,
  ValidateStateMachineDefinitionCommand,
} from '@aws-sdk/client-sfn';
import { describe, expect, it } from 'vitest';
import { localStates, ROLE } from './local-states.ts';

const task = {
  QueryLanguage: 'JSONata',
  Type: 'Task',
  Resource: 'arn:aws:states:::lambda:invoke',
  Arguments: { FunctionName: 'f', Payload: { a: '{% $a %}' } },
  Output: '{% $states.result.Payload %}',
  Assign: { b: '{% $states.result.Payload.b %}', c: '{% $states.context.Execution.Name %}' },
  Retry: [{ ErrorEquals: ['Passing'], MaxAttempts: 2 }],
  Catch: [{ ErrorEquals: ['States.ALL'], Assign: { failed: '{% $states.errorOutput.Error %}' }, Next: 'Caught' }],
  Next: 'Then',
};
const choice = {
  QueryLanguage: 'JSONata',
  Type: 'Choice',
  Choices: [{ Condition: '{% $states.input.a > 1 %}', Assign: { big: true }, Next: 'Big' }],
  Default: 'Small',
};

function test(definition: object, more: Partial<TestStateCommandInput> = {}) {
  const { client } = localStates();
  const input = { definition: JSON.stringify(definition), inspectionLevel: 'DEBUG' as const, ...more };
  return client.send(new TestStateCommand(input));
}
const mocked = (mock: TestStateCommandInput['mock'], more: Partial<TestStateCommandInput> = {}) =>
  test(task, { mock, variables: '{"a":1}', context: '{"Execution":{"Name":"run"}}', ...more });

describe('TestState', () => {
  it('shows the output, where it goes, the arguments and the variables of a task that succeeds', async () => {
    const result = await mocked({ result: '{"Payload":{"b":2}}' });
    expect(result).toMatchObject({ status: 'SUCCEEDED', output: '{"b":2}', nextState: 'Then' });
    expect(JSON.parse(result.inspectionData?.variables ?? '')).toEqual({ a: 1, b: 2, c: 'run' });
    expect(JSON.parse(result.inspectionData?.afterArguments ?? '')).toEqual({ FunctionName: 'f', Payload: { a: 1 } });
  });

  it.each<[string, TestStateCommandInput['mock'], Partial<TestStateCommandInput>, object]>([
    [
      'a failure that is tried again',
      { errorOutput: { error: 'Passing' } },
      {},
      { status: 'RETRIABLE', error: 'Passing' },
    ],
    [
      'one whose retries are used up',
      { errorOutput: { error: 'Passing', cause: 'x' } },
      { stateConfiguration: { retrierRetryCount: 2 } },
      { status: 'CAUGHT_ERROR', nextState: 'Caught', output: '{"Error":"Passing","Cause":"x"}' },
    ],
    [
      'one that nothing catches',
      { errorOutput: { error: 'States.DataLimitExceeded', cause: 'x' } },
      {},
      { status: 'FAILED', error: 'States.DataLimitExceeded', cause: 'x' },
    ],
    [
      'a query that fails',
      { result: '{}' },
      { variables: '{}' },
      { status: 'CAUGHT_ERROR', error: 'States.QueryEvaluationError' },
    ],
  ])('shows %s', async (_title, mock, more, expected) => {
    expect(await mocked(mock, more)).toMatchObject(expected);
  });

  it('decides a choice, of a single state or of a whole machine', async () => {
    const big = await test(choice, { input: '{"a":2}' });
    expect([big.status, big.nextState, big.inspectionData?.variables]).toEqual(['SUCCEEDED', 'Big', '{"big":true}']);
    const machine = {
      QueryLanguage: 'JSONata',
      StartAt: 'C',
      States: { C: { ...choice, QueryLanguage: 'JSONata' }, Big: { Type: 'Succeed' }, Small: { Type: 'Succeed' } },
    };
    expect((await test(machine, { input: '{"a":0}', stateName: 'C' })).nextState).toBe('Small');
  });

  it('does not show the inspection unless it is asked for', async () => {
    expect((await test(choice, { input: '{"a":2}', inspectionLevel: 'INFO' })).inspectionData).toBeUndefined();
  });

  it.each<[string, () => Promise<unknown>, string]>([
    ['a mock of a choice', () => test(choice, { mock: { result: '{}' } }), 'ValidationException'],
    ['a context without a mock', () => test(choice, { context: '{}' }), 'ValidationException'],
    ['a task without a mock', () => test(task), 'NotImplementedLocally'],
    ['what is no state', () => test({ QueryLanguage: 'JSONata' }), 'InvalidDefinition'],
    ['a machine without a name of a state', () => test({ StartAt: 'A', States: {} }), 'ValidationException'],
  ])('refuses %s', async (_title, answered, name) => {
    await expect(answered()).rejects.toMatchObject({ name });
  });
});

const pass = (more = {}) =>
  JSON.stringify({ QueryLanguage: 'JSONata', StartAt: 'A', States: { A: { Type: 'Pass', End: true, ...more } } });

it('ValidateStateMachineDefinition says what is wrong', async () => {
  const { client } = localStates();
  const validate = (definition: string) => client.send(new ValidateStateMachineDefinitionCommand({ definition }));
  expect(await validate(pass())).toMatchObject({ result: 'OK', diagnostics: [] });
  expect(await validate(pass({ Output: '{% ( %}' }))).toMatchObject({
    result: 'FAIL',
    diagnostics: [{ severity: 'ERROR', message: expect.stringContaining('state "A", field Output') }],
  });
});

it('CreateStateMachine is idempotent for one definition, and DeleteStateMachine forgets it', async () => {
  const { client } = localStates();
  const create = (definition: string) =>
    client.send(new CreateStateMachineCommand({ name: 'machine', definition, roleArn: ROLE }));
  const { stateMachineArn } = await create(pass());
  expect((await create(pass())).stateMachineArn).toBe(stateMachineArn);
  await expect(create(pass({ Comment: 'another' }))).rejects.toMatchObject({ name: 'StateMachineAlreadyExists' });
  await expect(create('{}')).rejects.toMatchObject({ name: 'StateMachineAlreadyExists' });
  await client.send(new DeleteStateMachineCommand({ stateMachineArn }));
  await expect(create('{}')).rejects.toMatchObject({ name: 'InvalidDefinition' });
  expect((await client.send(new ListStateMachinesCommand({}))).stateMachines).toEqual([]);
});
