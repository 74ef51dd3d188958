import { SendTaskFailureCommand, SendTaskHeartbeatCommand, SendTaskSuccessCommand } from '@aws-sdk/client-sfn';
import { describe, expect, it } from 'vitest';
import type { Json, JsonObject } from '../../../../infra/workflows/language/json.ts';
import { localStates, type TestFunction } from './local-states.ts';

const INVOKE = 'arn:aws:states:::lambda:invoke';
const taskMachine = (fields: JsonObject): JsonObject => ({
  StartAt: 'A',
  States: {
    A: {
      Type: 'Task',
      Resource: `${INVOKE}.waitForTaskToken`,
      Arguments: { FunctionName: 'f', Payload: { token: '{% $states.context.Task.Token %}' } },
      End: true,
      ...fields,
    },
  },
});

function waiting(fields: JsonObject, f: TestFunction = () => 'ignored') {
  const local = localStates({ f });
  const { arn } = local.states.startExecution({ stateMachine: local.create(taskMachine(fields)) });
  return {
    ...local,
    ended: local.states.waitForExecution(arn),
    token: async (attempt = 0): Promise<string> => {
      while (local.invocations.length <= attempt) await new Promise(setImmediate);
      return (local.invocations.at(attempt)?.payload as { token: string } | undefined)?.token ?? '';
    },
  };
}

describe('a task that waits for its token', () => {
  it('ends with what SendTaskSuccess brings, not with the function’s result', async () => {
    const { client, ended, token, elapsedMs } = waiting({});
    await client.send(new SendTaskSuccessCommand({ taskToken: await token(), output: '{"approved":true}' }));
    expect(await ended).toMatchObject({ status: 'SUCCEEDED', output: { approved: true } });
    expect(elapsedMs()).toBe(0);
  });

  it('can be answered by the function itself, before it returns', async () => {
    const local: { answer?: (token: string) => Promise<unknown> } = {};
    const task = waiting({}, async ({ token }: { token: string }) => local.answer?.(token));
    local.answer = taskToken => task.client.send(new SendTaskSuccessCommand({ taskToken, output: '1' }));
    expect(await task.ended).toMatchObject({ status: 'SUCCEEDED', output: 1 });
  });

  it('fails with what SendTaskFailure brings, and retries with a new token', async () => {
    const { client, ended, token } = waiting({ Retry: [{ ErrorEquals: ['Refused'], MaxAttempts: 1 }] });
    const first = await token(0);
    await client.send(new SendTaskFailureCommand({ taskToken: first, error: 'Refused', cause: 'no' }));
    const second = await token(1);
    expect(second).not.toBe(first);
    await client.send(new SendTaskFailureCommand({ taskToken: second, error: 'Refused', cause: 'never' }));
    expect(await ended).toMatchObject({ status: 'FAILED', error: 'Refused', cause: 'never' });
  });

  it('fails when its function fails', async () => {
    const { ended } = waiting({}, () => {
      throw new TypeError('broken');
    });
    expect(await ended).toMatchObject({ status: 'FAILED', error: 'TypeError' });
  });

  it('does not make time jump while it waits, and fails at its timeout', async () => {
    const { clock, ended, token, elapsedMs } = waiting({ TimeoutSeconds: 600 });
    await token();
    await clock.advance(599_000);
    expect(elapsedMs()).toBe(599_000);
    await clock.advance(1000);
    expect(await ended).toMatchObject({ status: 'FAILED', error: 'States.Timeout' });
  });

  it('lives as long as its heart beats', async () => {
    const { client, clock, ended, token, elapsedMs } = waiting({ HeartbeatSeconds: '{% 60 %}' });
    const taskToken = await token();
    for (let beat = 0; beat < 3; beat++) {
      await clock.advance(59_000);
      await client.send(new SendTaskHeartbeatCommand({ taskToken }));
    }
    await clock.advance(60_000);
    expect(await ended).toMatchObject({ status: 'FAILED', error: 'States.HeartbeatTimeout' });
    expect(elapsedMs()).toBe(3 * 59_000 + 60_000);
  });

  it('forgets its token once it is over', async () => {
    const { client, ended, token } = waiting({});
    const answer = new SendTaskSuccessCommand({ taskToken: await token(), output: '1' });
    await client.send(answer);
    await ended;
    await expect(client.send(answer)).rejects.toMatchObject({ name: 'TaskTimedOut' });
  });

  it('refuses an answer that is no JSON, and goes on waiting', async () => {
    const { client, ended, token } = waiting({});
    const taskToken = await token();
    await expect(client.send(new SendTaskSuccessCommand({ taskToken, output: '{' }))).rejects.toMatchObject({
      name: 'InvalidOutput',
    });
    await client.send(new SendTaskSuccessCommand({ taskToken, output: '2' }));
    expect(await ended).toMatchObject({ output: 2 });
  });

  it('authorizes the answer on the state machine', async () => {
    const { client, denied, ended, token, authorized, states } = waiting({});
    const taskToken = await token();
    denied.add('states:SendTaskSuccess');
    await expect(client.send(new SendTaskSuccessCommand({ taskToken, output: '1' }))).rejects.toMatchObject({
      name: 'AccessDeniedException',
    });
    expect(authorized.at(-1)?.resource).toBe('arn:aws:states:eu-west-2:111122223333:stateMachine:machine');
    for (const { arn } of states.listExecutions()) states.stopExecution(arn);
    expect((await ended).status).toBe('ABORTED');
  });
});

describe('timeouts', () => {
  it('a task times out on the clock while its function sleeps, and can be caught', async () => {
    const local = localStates({ f: () => local.clock.sleep(100_000) });
    const execution = await local.run({
      StartAt: 'A',
      States: {
        A: {
          Type: 'Task',
          Resource: INVOKE,
          Arguments: { FunctionName: 'f' },
          TimeoutSeconds: 30,
          Catch: [{ ErrorEquals: ['States.Timeout'], Next: 'B', Output: '{% $states.errorOutput.Error %}' }],
          End: true,
        },
        B: { Type: 'Pass', End: true },
      },
    });
    expect(execution).toMatchObject({ status: 'SUCCEEDED', output: 'States.Timeout' });
  });

  it('an execution times out as a whole', async () => {
    const local = localStates();
    const execution = await local.run({
      TimeoutSeconds: 10,
      StartAt: 'A',
      States: { A: { Type: 'Wait', Seconds: 20, End: true } },
    });
    expect(execution).toMatchObject({ status: 'TIMED_OUT', error: 'States.Timeout' });
    expect(execution.history.events.at(-1)?.type).toBe('ExecutionTimedOut');
  });

  it('a timeout that was not reached leaves nothing on the clock', async () => {
    const local = localStates({ f: () => 1 });
    await local.run(taskMachine({ Resource: INVOKE, Arguments: { FunctionName: 'f' }, TimeoutSeconds: 30 }));
    await new Promise(setImmediate);
    await local.clock.advance(0);
    expect(local.elapsedMs()).toBe(0);
  });
});

describe('limits', () => {
  const big = (bytes: number): Json => 'x'.repeat(bytes - 2);
  const KIB256 = 256 * 1024;

  it('a result of 256 KiB passes, one byte more fails', async () => {
    const result = (bytes: number) =>
      localStates({ f: () => big(bytes) }).run({
        StartAt: 'A',
        States: { A: { Type: 'Task', Resource: 'arn:aws:lambda:eu-west-2:111122223333:function:f', End: true } },
      });
    expect((await result(KIB256)).status).toBe('SUCCEEDED');
    expect(await result(KIB256 + 1)).toMatchObject({
      status: 'FAILED',
      error: 'States.DataLimitExceeded',
      cause: "The result of the state 'A' has a size exceeding the maximum number of bytes service limit.",
    });
  });

  it('counts bytes of UTF-8, also in outputs, arguments and variables', async () => {
    const input = 'é'.repeat(70_000);
    const run = (fields: JsonObject) =>
      localStates({ f: () => 1 }).run({ StartAt: 'A', States: { A: { Type: 'Pass', End: true, ...fields } } }, input);
    const twice = '{% [$states.input, $states.input] %}';
    const exceeded = { status: 'FAILED', error: 'States.DataLimitExceeded' };
    expect(await run({ Output: twice })).toMatchObject(exceeded);
    expect(await run({ Assign: { v: twice } })).toMatchObject(exceeded);
    expect(
      await run({ Type: 'Task', Resource: INVOKE, Arguments: { FunctionName: 'f', Payload: twice } }),
    ).toMatchObject(exceeded);
    expect(await run({})).toMatchObject({ status: 'SUCCEEDED' });
  });

  it('States.ALL does not catch it, its own name does', async () => {
    const run = (name: string) =>
      localStates().run({
        StartAt: 'A',
        States: {
          A: {
            Type: 'Parallel',
            Branches: [
              { StartAt: 'P', States: { P: { Type: 'Pass', Output: "{% $pad('', 300000, 'x') %}", End: true } } },
            ],
            Catch: [{ ErrorEquals: [name], Next: 'B' }],
            End: true,
          },
          B: { Type: 'Pass', Output: 'caught', End: true },
        },
      });
    expect(await run('States.ALL')).toMatchObject({ status: 'FAILED', error: 'States.DataLimitExceeded' });
    expect(await run('States.DataLimitExceeded')).toMatchObject({ status: 'SUCCEEDED', output: 'caught' });
  });

  it('an execution fails at 25,000 events, whatever would catch it', async () => {
    const local = localStates();
    const execution = await local.run({
      StartAt: 'P',
      States: {
        P: {
          Type: 'Parallel',
          Branches: [
            {
              StartAt: 'A',
              States: {
                A: { Type: 'Pass', Next: 'B' },
                B: { Type: 'Choice', Choices: [{ Condition: true, Next: 'A' }], Default: 'C' },
                C: { Type: 'Succeed' },
              },
            },
          ],
          Catch: [{ ErrorEquals: ['States.ALL'], Next: 'Q' }],
          End: true,
        },
        Q: { Type: 'Pass', End: true },
      },
    });
    expect(execution).toMatchObject({
      status: 'FAILED',
      error: 'States.Runtime',
      cause: 'The execution reached the maximum number of history events (25000).',
    });
    expect(execution.history.events).toHaveLength(25_000);
    expect(execution.history.events.at(-1)).toMatchObject({ id: 25_000, type: 'ExecutionFailed' });
  });
});

describe('permissions', () => {
  it('a role that may not invoke fails as in AWS', async () => {
    const { AccessDenied } = await import('../../../../infra/local/service.ts');
    const local = localStates({
      f: () => {
        throw new AccessDenied('not authorized to perform: lambda:InvokeFunction');
      },
    });
    const execution = await local.run(taskMachine({ Resource: INVOKE, Arguments: { FunctionName: 'f' } }));
    expect(execution).toMatchObject({
      status: 'FAILED',
      error: 'Lambda.AWSLambdaException',
      cause: 'not authorized to perform: lambda:InvokeFunction',
    });
  });
});
