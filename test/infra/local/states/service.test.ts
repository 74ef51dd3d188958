import {
  DescribeExecutionCommand,
  DescribeStateMachineCommand,
  GetExecutionHistoryCommand,
  ListExecutionsCommand,
  ListStateMachinesCommand,
  RedriveExecutionCommand,
  StartExecutionCommand,
  StopExecutionCommand,
} from '@aws-sdk/client-sfn';
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../../infra/workflows/language/json.ts';
import { localStates } from './local-states.ts';

const MACHINE = 'arn:aws:states:eu-west-2:111122223333:stateMachine:machine';
const EXECUTION = 'arn:aws:states:eu-west-2:111122223333:execution:machine:';
const passing: JsonObject = { StartAt: 'A', States: { A: { Type: 'Pass', Output: { b: 1 }, End: true } } };
const waiting: JsonObject = {
  StartAt: 'A',
  States: {
    A: {
      Type: 'Task',
      Resource: 'arn:aws:states:::lambda:invoke.waitForTaskToken',
      Arguments: { FunctionName: 'f' },
      End: true,
    },
  },
};

describe('the API of Step Functions', () => {
  it('starts, describes and tells the history of an execution', async () => {
    const { client, create, states } = localStates({ f: () => 5 });
    create({
      StartAt: 'T',
      States: {
        T: { Type: 'Task', Resource: 'arn:aws:states:::lambda:invoke', Arguments: { FunctionName: 'f' }, Next: 'A' },
        ...(passing.States as JsonObject),
      },
    });
    const started = await client.send(
      new StartExecutionCommand({ stateMachineArn: MACHINE, name: 'one', input: '{"a": 1}' }),
    );
    expect(started).toMatchObject({ executionArn: `${EXECUTION}one`, startDate: new Date('2026-01-01T00:00:00Z') });
    await states.waitForExecution(`${EXECUTION}one`);
    expect(await client.send(new DescribeExecutionCommand({ executionArn: `${EXECUTION}one` }))).toMatchObject({
      executionArn: `${EXECUTION}one`,
      stateMachineArn: MACHINE,
      name: 'one',
      status: 'SUCCEEDED',
      startDate: new Date('2026-01-01T00:00:00Z'),
      stopDate: new Date('2026-01-01T00:00:00Z'),
      input: '{"a":1}',
      output: '{"b":1}',
    });
    const { events = [] } = await client.send(new GetExecutionHistoryCommand({ executionArn: `${EXECUTION}one` }));
    expect(events.map(({ id, previousEventId, type }) => [id, previousEventId, type])).toEqual([
      [1, 0, 'ExecutionStarted'],
      [2, 1, 'TaskStateEntered'],
      [3, 2, 'TaskScheduled'],
      [4, 3, 'TaskStarted'],
      [5, 4, 'TaskSucceeded'],
      [6, 5, 'TaskStateExited'],
      [7, 6, 'PassStateEntered'],
      [8, 7, 'PassStateExited'],
      [9, 8, 'ExecutionSucceeded'],
    ]);
    expect(events[0]?.executionStartedEventDetails).toEqual({
      input: '{"a":1}',
      roleArn: 'arn:aws:iam::111122223333:role/workflow',
    });
    expect(events[1]?.stateEnteredEventDetails).toEqual({ name: 'T', input: '{"a":1}' });
    expect(events[2]?.taskScheduledEventDetails).toEqual({
      resource: 'invoke',
      resourceType: 'lambda',
      region: 'eu-west-2',
      parameters: '{"FunctionName":"f"}',
    });
    expect(events[7]?.stateExitedEventDetails).toEqual({ name: 'A', output: '{"b":1}' });
    const last = await client.send(
      new GetExecutionHistoryCommand({ executionArn: `${EXECUTION}one`, reverseOrder: true, maxResults: 2 }),
    );
    expect(last.events?.map(({ id }) => id)).toEqual([9, 8]);
    const { events: next, nextToken } = await client.send(
      new GetExecutionHistoryCommand({ executionArn: `${EXECUTION}one`, maxResults: 5, nextToken: '5' }),
    );
    expect([next?.map(({ id }) => id), nextToken]).toEqual([[6, 7, 8, 9], undefined]);
  });

  it('finds the same execution by name and input while it runs, and refuses the name after that', async () => {
    const { client, create, states } = localStates({ f: () => 1 });
    create(waiting);
    const start = (input: string) =>
      client.send(new StartExecutionCommand({ stateMachineArn: MACHINE, name: 'daily', input }));
    await start('{"a":1}');
    expect((await start('{ "a": 1 }')).executionArn).toBe(`${EXECUTION}daily`);
    await expect(start('{"a":2}')).rejects.toMatchObject({ name: 'ExecutionAlreadyExists' });
    await client.send(new StopExecutionCommand({ executionArn: `${EXECUTION}daily`, error: 'E', cause: 'C' }));
    await states.waitForExecution(`${EXECUTION}daily`);
    await expect(start('{"a":1}')).rejects.toMatchObject({ name: 'ExecutionAlreadyExists' });
    expect(await client.send(new DescribeExecutionCommand({ executionArn: `${EXECUTION}daily` }))).toMatchObject({
      status: 'ABORTED',
      error: 'E',
      cause: 'C',
    });
  });

  it('forgets executions 90 days after their end', async () => {
    const { clock, create, states } = localStates();
    create(passing);
    await states.waitForExecution(states.startExecution({ stateMachine: 'machine', name: 'old' }).arn);
    await clock.advance(90 * 24 * 60 * 60 * 1000 + 1);
    const again = states.startExecution({ stateMachine: 'machine', name: 'old', input: { again: true } });
    expect(again.status).toBe('RUNNING');
    expect((await states.waitForExecution(again.arn)).status).toBe('SUCCEEDED');
  });

  it.each(['', 'x'.repeat(81), 'a b', 'a:b', 'a/b', 'a*b', 'a"b', 'a\u0000b', 'a\ud800b', 'a{b', 'a#b', 'a\u009fb'])(
    'refuses the name %j',
    async name => {
      const { create, states } = localStates();
      create(passing);
      expect(() => states.startExecution({ stateMachine: 'machine', name })).toThrow(
        expect.objectContaining({ code: 'InvalidName' }),
      );
      expect(() => create(passing, name)).toThrow(expect.objectContaining({ code: 'InvalidName' }));
    },
  );

  it.each(['a', '20261122t023000z', 'Ünïcode-_.', 'x'.repeat(80)])('takes the name %s', async name => {
    const { create, states } = localStates();
    create(passing);
    const { arn } = states.startExecution({ stateMachine: 'machine', name });
    expect((await states.waitForExecution(arn)).status).toBe('SUCCEEDED');
  });

  it('refuses input that is no JSON, or larger than 256 KiB', async () => {
    const { client, create } = localStates();
    create(passing);
    const start = (input: string) => client.send(new StartExecutionCommand({ stateMachineArn: MACHINE, input }));
    await expect(start('{')).rejects.toMatchObject({ name: 'InvalidExecutionInput' });
    await expect(start(`"${'x'.repeat(256 * 1024)}"`)).rejects.toMatchObject({ name: 'InvalidExecutionInput' });
  });

  it('lists executions, the newest first, by machine and status', async () => {
    const { client, create, states } = localStates({ f: () => 1 });
    create(passing);
    create(waiting, 'other');
    for (const name of ['one', 'two', 'three']) {
      await states.waitForExecution(states.startExecution({ stateMachine: 'machine', name }).arn);
    }
    const { arn } = states.startExecution({ stateMachine: 'other', name: 'four' });
    const list = async (input: object) => {
      const page = await client.send(new ListExecutionsCommand({ stateMachineArn: MACHINE, ...input }));
      return [page.executions?.map(({ name }) => name), page.nextToken];
    };
    expect(await list({})).toEqual([['three', 'two', 'one'], undefined]);
    expect(await list({ maxResults: 2 })).toEqual([['three', 'two'], '2']);
    expect(await list({ maxResults: 2, nextToken: '2' })).toEqual([['one'], undefined]);
    expect(await list({ statusFilter: 'FAILED' })).toEqual([[], undefined]);
    expect(await list({ stateMachineArn: MACHINE.replace(/machine$/, 'other') })).toEqual([['four'], undefined]);
    states.stopExecution(arn);
    await expect(list({ stateMachineArn: `${MACHINE}x` })).rejects.toMatchObject({ name: 'StateMachineDoesNotExist' });
  });

  it('describes and lists state machines', async () => {
    const { client, create } = localStates();
    create(passing);
    const described = await client.send(new DescribeStateMachineCommand({ stateMachineArn: MACHINE }));
    expect(described).toMatchObject({ stateMachineArn: MACHINE, name: 'machine', status: 'ACTIVE', type: 'STANDARD' });
    expect(JSON.parse(described.definition ?? '')).toEqual({ QueryLanguage: 'JSONata', ...passing });
    const { stateMachines } = await client.send(new ListStateMachinesCommand({}));
    expect(stateMachines?.map(({ name }) => name)).toEqual(['machine']);
  });

  it('refuses what it does not know or implement, by name', async () => {
    const { client, create } = localStates();
    create(passing);
    const missing = { executionArn: `${EXECUTION}nowhere` };
    await expect(client.send(new DescribeExecutionCommand(missing))).rejects.toMatchObject({
      name: 'ExecutionDoesNotExist',
    });
    await expect(client.send(new RedriveExecutionCommand(missing))).rejects.toThrow(
      'the local cloud does not implement the Step Functions operation AWSStepFunctions.RedriveExecution',
    );
    await expect(
      client.send(new StartExecutionCommand({ stateMachineArn: MACHINE, traceHeader: 'x' })),
    ).rejects.toThrow("the local cloud does not implement the parameter traceHeader of Step Functions' StartExecution");
  });

  it('asks whether the caller may, on the resource that AWS names', async () => {
    const { authorized, client, create, denied, states } = localStates();
    create(passing);
    const { arn } = states.startExecution({ stateMachine: 'machine', name: 'one' });
    await states.waitForExecution(arn);
    authorized.length = 0;
    await client.send(new StartExecutionCommand({ stateMachineArn: MACHINE, name: 'two' }));
    await client.send(new DescribeExecutionCommand({ executionArn: arn }));
    await client.send(new ListStateMachinesCommand({}));
    expect(authorized.map(({ action, resource }) => [action, resource])).toEqual([
      ['states:StartExecution', MACHINE],
      ['states:DescribeExecution', arn],
      ['states:ListStateMachines', '*'],
    ]);
    denied.add('states:StopExecution');
    await expect(client.send(new StopExecutionCommand({ executionArn: arn }))).rejects.toMatchObject({
      name: 'AccessDeniedException',
    });
  });
});

describe('the stream of transitions', () => {
  it('tells each state of the top level, of iterations and of children', async () => {
    const { run, transitions } = localStates();
    const inner = { StartAt: 'P', States: { P: { Type: 'Fail', Error: 'Bad' } } };
    await run(
      {
        StartAt: 'M',
        States: {
          M: {
            Type: 'Map',
            ItemProcessor: inner,
            Retry: [{ ErrorEquals: ['Bad'], MaxAttempts: 1 }],
            Catch: [{ ErrorEquals: ['Bad'], Next: 'A' }],
            End: true,
          },
          ...(passing.States as JsonObject),
        },
      },
      [1],
    );
    expect(
      transitions.map(({ kind, state, path, error, time }) => [kind, state, path, error, time.getUTCSeconds()]),
    ).toEqual([
      ['execution-started', null, [], undefined, 0],
      ['state-entered', 'M', [], undefined, 0],
      ['state-entered', 'P', [{ state: 'M', index: 0 }], undefined, 0],
      ['state-failed', 'P', [{ state: 'M', index: 0 }], 'Bad', 0],
      ['state-retried', 'M', [], 'Bad', 0],
      ['state-entered', 'P', [{ state: 'M', index: 0 }], undefined, 1],
      ['state-failed', 'P', [{ state: 'M', index: 0 }], 'Bad', 1],
      ['state-failed', 'M', [], 'Bad', 1],
      ['state-exited', 'M', [], undefined, 1],
      ['state-entered', 'A', [], undefined, 1],
      ['state-exited', 'A', [], undefined, 1],
      ['execution-ended', null, [], undefined, 1],
    ]);
  });
});

describe('time', () => {
  it('an execution that a busy handler started does not hold time, nor let it go', async () => {
    const { clock, create, states } = localStates();
    create({ StartAt: 'W', States: { W: { Type: 'Wait', Seconds: 60, End: true } } });
    const before = clock.now().getTime();
    const { arn } = await clock.busy(async () => {
      const execution = states.startExecution({ stateMachine: 'machine' });
      for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
      expect(clock.now().getTime()).toBe(before);
      return execution;
    });
    await states.waitForExecution(arn);
    expect(clock.now().getTime() - before).toBe(60_000);
  });
});
