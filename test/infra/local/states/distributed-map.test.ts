import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3';
import { describe, expect, it } from 'vitest';
import type { Json, JsonObject } from '../../../../infra/workflows/language/json.ts';
import { errorNamed, localStates, ROLE } from './local-states.ts';

const INVOKE_F: JsonObject = {
  Type: 'Task',
  Resource: 'arn:aws:lambda:eu-west-2:111122223333:function:f',
  End: true,
};
const READER = {
  Resource: 'arn:aws:states:::s3:getObject',
  ReaderConfig: { InputType: 'JSONL' },
  Arguments: { Bucket: 'work', Key: '{% $states.input.key %}' },
};
const writer = (config?: JsonObject): JsonObject => ({
  Resource: 'arn:aws:states:::s3:putObject',
  Arguments: { Bucket: 'work', Prefix: 'results/run' },
  ...(config && { WriterConfig: config }),
});
const mapMachine = (fields: JsonObject, state: JsonObject = INVOKE_F, mode = 'STANDARD'): JsonObject => ({
  StartAt: 'Tenants',
  States: {
    Tenants: {
      Type: 'Map',
      ItemProcessor: {
        ProcessorConfig: { Mode: 'DISTRIBUTED', ExecutionType: mode },
        StartAt: 'One',
        States: { One: state },
      },
      End: true,
      ...fields,
    },
  },
});

const isOdd = (n: number) => n % 2 === 1;
const failOdd = {
  f: (n: number) => {
    if (isOdd(n)) throw errorNamed('Odd');
    return n * 10;
  },
};

type Local = ReturnType<typeof localStates>;
async function readText({ s3 }: Local, Key: string): Promise<string> {
  return (await (await s3.send(new GetObjectCommand({ Bucket: 'work', Key }))).Body?.transformToString()) ?? '';
}
async function listKeys({ s3 }: Local): Promise<string[]> {
  const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: 'work', Prefix: 'results/' }));
  return Contents.map(({ Key }) => (Key ?? '').replace(/[0-9a-f-]{36}/, '<uuid>'));
}

describe('a distributed map', () => {
  it('reads JSON Lines and writes its results and a manifest, under the role of the state machine', async () => {
    const local = localStates({ f: (item: { n: number }) => ({ twice: item.n * 2 }) });
    await local.s3.send(new PutObjectCommand({ Bucket: 'work', Key: 'items.jsonl', Body: '{"n":1}\n{"n":2}\n' }));
    local.authorized.length = 0;
    const execution = await local.run(mapMachine({ ItemReader: READER, ResultWriter: writer(), Label: 'tenants' }), {
      key: 'items.jsonl',
    });
    const { MapRunArn, ResultWriterDetails } = execution.output as {
      MapRunArn: string;
      ResultWriterDetails: { Bucket: string; Key: string };
    };
    expect(MapRunArn).toMatch(/^arn:aws:states:eu-west-2:111122223333:mapRun:machine\/tenants:[0-9a-f-]{36}$/);
    const uuid = MapRunArn.slice(-36);
    expect(ResultWriterDetails).toEqual({ Bucket: 'work', Key: `results/run/${uuid}/manifest.json` });
    const key = `results/run/${uuid}/SUCCEEDED_0.json`;
    const succeeded = await readText(local, key);
    expect(JSON.parse(await readText(local, ResultWriterDetails.Key))).toEqual({
      DestinationBucket: 'work',
      MapRunArn,
      ResultFiles: { FAILED: [], PENDING: [], SUCCEEDED: [{ Key: key, Size: Buffer.byteLength(succeeded) }] },
    });
    const [first] = JSON.parse(succeeded) as JsonObject[];
    expect(first).toEqual({
      ExecutionArn: expect.stringMatching(
        /^arn:aws:states:eu-west-2:111122223333:execution:machine\/tenants:[0-9a-f-]{36}$/,
      ),
      Input: '{"n":1}',
      InputDetails: { Included: true },
      Name: expect.stringMatching(/^[0-9a-f-]{36}$/),
      Output: '{"twice":2}',
      OutputDetails: { Included: true },
      StartDate: '2026-01-01T00:00:00.000Z',
      StateMachineArn: 'arn:aws:states:eu-west-2:111122223333:stateMachine:machine/tenants',
      Status: 'SUCCEEDED',
      StopDate: '2026-01-01T00:00:00.000Z',
    });
    const byRole = local.authorized.filter(({ principal }) => principal.arn === ROLE).map(({ action }) => action);
    expect([...new Set(byRole)]).toEqual(['states:StartExecution', 's3:GetObject', 's3:PutObject']);
  });

  it.each<[string, JsonObject | undefined, string, Json]>([
    ['COMPACT', { Transformation: 'COMPACT', OutputType: 'JSON' }, 'json', [[0, 1], 'x', null]],
    ['FLATTEN', { Transformation: 'FLATTEN', OutputType: 'JSON' }, 'json', [0, 1, 'x', null]],
    ['JSON Lines', { Transformation: 'COMPACT', OutputType: 'JSONL' }, 'jsonl', [[0, 1], 'x', null]],
  ])('writes results as %s', async (_name, config, extension, expected) => {
    const local = localStates({ f: (item: Json) => item });
    const execution = await local.run(mapMachine({ ResultWriter: writer(config) }), [[0, 1], 'x', null]);
    const { Key } = (execution.output as { ResultWriterDetails: { Key: string } }).ResultWriterDetails;
    const text = await readText(local, Key.replace('manifest.json', `SUCCEEDED_0.${extension}`));
    expect(extension === 'jsonl' ? text : JSON.parse(text)).toEqual(
      extension === 'jsonl' ? '[0,1]\n"x"\nnull\n' : expected,
    );
  });

  it('gives the outputs where it has no writer, and what failed within tolerance as its record', async () => {
    const local = localStates(failOdd);
    const execution = await local.run(mapMachine({ ToleratedFailureCount: 1 }), [2, 3]);
    expect(execution.output).toEqual([20, expect.objectContaining({ Status: 'FAILED', Error: 'Odd', Input: '3' })]);
  });

  it.each<[string, JsonObject, Json[], boolean]>([
    ['nothing tolerated', {}, [2, 3], false],
    ['no failure', {}, [2, 4], true],
    ['within the count', { ToleratedFailureCount: 2 }, [1, 3, 4], true],
    ['over the count', { ToleratedFailureCount: 1 }, [1, 3, 4], false],
    ['within the percentage', { ToleratedFailurePercentage: 50 }, [1, 2], true],
    ['over the percentage', { ToleratedFailurePercentage: '{% 49.9 %}' }, [1, 2], false],
    ['all tolerated', { ToleratedFailurePercentage: 100 }, [1, 3], true],
    ['either threshold counts', { ToleratedFailureCount: 5, ToleratedFailurePercentage: 10 }, [1, 2], false],
  ])('tolerates failures: %s', async (_name, fields, items, passes) => {
    const execution = await localStates(failOdd).run(mapMachine(fields), items);
    expect(execution).toMatchObject(
      passes
        ? { status: 'SUCCEEDED' }
        : {
            status: 'FAILED',
            error: 'States.ExceedToleratedFailureThreshold',
            cause: 'The specified tolerated failure threshold was exceeded',
          },
    );
  });

  it('writes what failed, was stopped and never began before it fails, and can be caught', async () => {
    const local = localStates(failOdd);
    const waitThenFail: JsonObject = { Type: 'Wait', Seconds: '{% $states.input.s %}', Next: 'F' };
    const machine = mapMachine({ MaxConcurrency: 2, ResultWriter: writer() }, waitThenFail);
    const map = (machine.States as { Tenants: { ItemProcessor: { States: JsonObject } } }).Tenants;
    Object.assign(map.ItemProcessor.States, { F: { Type: 'Fail', Error: 'Broken' } });
    Object.assign(map, { Catch: [{ ErrorEquals: ['States.ExceedToleratedFailureThreshold'], Next: 'C' }] });
    Object.assign(machine.States as object, { C: { Type: 'Pass', Output: 'caught', End: true } });
    const execution = await local.run(machine, [{ s: 1 }, { s: 100 }, { s: 2 }]);
    expect(execution.output).toBe('caught');
    expect(local.elapsedMs()).toBe(1000);
    expect(await listKeys(local)).toEqual([
      'results/run/<uuid>/FAILED_0.json',
      'results/run/<uuid>/PENDING_0.json',
      'results/run/<uuid>/manifest.json',
    ]);
    const { Contents = [] } = await local.s3.send(new ListObjectsV2Command({ Bucket: 'work', Prefix: 'results/' }));
    const [failed, pending] = await Promise.all(Contents.slice(0, 2).map(({ Key }) => readText(local, Key ?? '')));
    expect((JSON.parse(failed ?? '') as JsonObject[]).map(({ Status, Error: error }) => [Status, error])).toEqual([
      ['FAILED', 'Broken'],
      ['ABORTED', undefined],
    ]);
    expect(JSON.parse(pending ?? '')).toEqual([
      { Input: '{"s":2}', InputDetails: { Included: true }, Status: 'PENDING' },
    ]);
  });

  it('selects items by the parent’s state and knows their source; children see no outer variable', async () => {
    const local = localStates();
    await local.s3.send(new PutObjectCommand({ Bucket: 'work', Key: 'items.json', Body: '["a","b","c"]' }));
    const child: JsonObject = {
      Type: 'Pass',
      Output: {
        in: '{% $states.input %}',
        outer: '{% $exists($outer) %}',
        run: '{% $states.context.Execution.Input.v %}',
      },
      End: true,
    };
    const execution = await local.run(
      {
        StartAt: 'V',
        States: {
          V: { Type: 'Pass', Assign: { outer: 'o' }, Next: 'Tenants' },
          ...(mapMachine(
            {
              ItemReader: { ...READER, ReaderConfig: { InputType: 'JSON', MaxItems: '{% 2 %}' } },
              ItemSelector: {
                v: '{% $states.context.Map.Item.Value & $outer & $states.input.suffix %}',
                i: '{% $states.context.Map.Item.Index %}',
                s: '{% $states.context.Map.Item.Source %}',
              },
            },
            child,
          ).States as JsonObject),
        },
      },
      { key: 'items.json', suffix: '!' },
    );
    const s = 'S3://work/items.json';
    expect(execution.output).toEqual([
      { in: { v: 'ao!', i: 0, s }, outer: false, run: 'ao!' },
      { in: { v: 'bo!', i: 1, s }, outer: false, run: 'bo!' },
    ]);
  });

  it.each([
    ['an object that is missing', 'nowhere', undefined, 'NoSuchKey'],
    ['a line that is no JSON', 'items', '{"a":1}\n\n{"b":1}\n', 'line 2 of the object is no JSON'],
  ])('fails on %s', async (_name, key, body, cause) => {
    const local = localStates();
    if (body !== undefined) await local.s3.send(new PutObjectCommand({ Bucket: 'work', Key: key, Body: body }));
    const execution = await local.run(mapMachine({ ItemReader: READER }), { key });
    expect(execution).toMatchObject({ status: 'FAILED', error: 'States.ItemReaderFailed' });
    expect(execution.cause).toContain(cause);
  });

  it('fails where its results cannot be written, or its children not be started', async () => {
    const local = localStates({ f: () => 1 });
    local.denied.add('s3:PutObject');
    expect(await local.run(mapMachine({ ResultWriter: writer() }), [1])).toMatchObject({
      error: 'States.ResultWriterFailed',
    });
    local.denied.add('states:StartExecution');
    expect(await local.run(mapMachine({}), [1])).toMatchObject({ error: 'States.Permissions' });
  });

  it('ends express children after five minutes', async () => {
    const local = localStates();
    const machine = mapMachine({ ToleratedFailureCount: 1 }, { Type: 'Wait', Seconds: 1000, End: true }, 'EXPRESS');
    const execution = await local.run(machine, [1]);
    expect(execution.output).toEqual([expect.objectContaining({ Status: 'TIMED_OUT', Error: 'States.Timeout' })]);
  });

  it('stops its children with its execution', async () => {
    const local = localStates({ f: () => 1 });
    const { arn } = local.states.startExecution({
      stateMachine: local.create(
        mapMachine(
          {},
          {
            ...INVOKE_F,
            Resource: 'arn:aws:states:::lambda:invoke.waitForTaskToken',
            Arguments: { FunctionName: 'f' },
          },
        ),
      ),
      input: [1, 2],
    });
    const ended = local.states.waitForExecution(arn);
    while (local.states.listExecutions().length < 3) await new Promise(setImmediate);
    local.states.stopExecution(arn, 'Enough', 'by hand');
    expect(await ended).toMatchObject({ status: 'ABORTED', error: 'Enough', cause: 'by hand' });
    await new Promise(setImmediate);
    expect(local.states.listExecutions().map(({ status }) => status)).toEqual(['ABORTED', 'ABORTED', 'ABORTED']);
  });
});

describe('ten thousand items', () => {
  const items = Array.from({ length: 10_000 }, (_, index) => index);
  const plusOne: JsonObject = { Type: 'Pass', Output: '{% $states.input + 1 %}', End: true };

  it('run distributed', async () => {
    const local = localStates();
    const body = items.map(item => `${item}\n`).join('');
    await local.s3.send(new PutObjectCommand({ Bucket: 'work', Key: 'items', Body: body }));
    const execution = await local.run(mapMachine({ ItemReader: READER }, plusOne), { key: 'items' });
    expect(execution.output).toEqual(items.map(item => item + 1));
    expect(local.states.listExecutions()).toHaveLength(10_001);
  });

  it('run inline as far as the history reaches: 6,000 do, 10,000 fail as in AWS', async () => {
    const inline = (count: number) =>
      localStates().run(
        {
          StartAt: 'M',
          States: { M: { Type: 'Map', ItemProcessor: { StartAt: 'P', States: { P: plusOne } }, End: true } },
        },
        items.slice(0, count),
      );
    expect((await inline(6000)).output).toEqual(items.slice(1, 6001));
    expect(await inline(10_000)).toMatchObject({ status: 'FAILED', error: 'States.Runtime' });
  });
});
