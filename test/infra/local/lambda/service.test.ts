import { describe, expect, it } from 'vitest';
import { LocalClock } from '../../../../infra/local/clock.ts';
import { LambdaServiceError } from '../../../../infra/local/lambda/errors.ts';
import { IDLE_MS, type LocalFunction, LocalLambda, WAKING_MS } from '../../../../infra/local/lambda/service.ts';
import { LocalMetrics } from '../../../../infra/local/monitoring/metrics.ts';
import {
  AccessDenied,
  type AuthorizationRequest,
  type AwsRequest,
  type Principal,
} from '../../../../infra/local/service.ts';

const ACCOUNT = '111122223333';
const ROLE = `arn:aws:iam::${ACCOUNT}:role/f`;
const CALLER: Principal = { kind: 'role', arn: `arn:aws:iam::${ACCOUNT}:role/caller` };
const ARN = `arn:aws:lambda:eu-west-2:${ACCOUNT}:function:f`;

function localLambda(definition: Partial<LocalFunction> = {}) {
  const clock = new LocalClock({ startsAt: new Date('2026-01-01T00:00:00.000Z'), flow: 'manual' });
  const authorized: AuthorizationRequest[] = [];
  const denied = new Set<string>();
  const metrics = new LocalMetrics({ clock });
  const principals: Principal[] = [];
  const lambda = new LocalLambda({
    clock,
    accountId: ACCOUNT,
    metrics,
    authorizer: {
      authorize: request => {
        authorized.push(request);
        if (denied.has(request.action)) throw new AccessDenied('no');
      },
    },
    clientConfiguration: principal => {
      principals.push(principal);
      return { region: 'eu-west-2' };
    },
  });
  lambda.registerFunction({
    name: 'f',
    entry: 'test/fixtures/functions/behaviours.ts',
    roleArn: ROLE,
    environment: { OWN: 'value' },
    timeoutMs: 60_000,
    ...definition,
  });
  const payloadOf = async (event: object): Promise<unknown> => {
    const outcome = await lambda.invoke('f', event, CALLER);
    return 'payload' in outcome ? outcome.payload : outcome.functionError;
  };
  return { authorized, clock, denied, lambda, metrics, payloadOf, principals };
}

describe('invoking a function', () => {
  it('checks lambda:InvokeFunction on its ARN for the caller', async () => {
    const { authorized, denied, lambda } = localLambda();
    await lambda.invoke('f', { do: 'return' }, CALLER);
    expect(authorized).toEqual([{ principal: CALLER, action: 'lambda:InvokeFunction', resource: ARN, context: {} }]);
    denied.add('lambda:InvokeFunction');
    await expect(lambda.invoke('f', { do: 'return' }, CALLER)).rejects.toThrow(AccessDenied);
  });

  it.each([['f'], [ARN], [`${ARN}:$LATEST`], [`${ACCOUNT}:function:f`]])('finds it as %s', async name => {
    expect(await localLambda().lambda.invoke(name, { do: 'return', value: 1 }, CALLER)).toMatchObject({ payload: 1 });
  });

  it.each(['g', `arn:aws:lambda:eu-west-2:999999999999:function:f`, 'a b'])('does not find %s', async name => {
    const invoked = localLambda().lambda.invoke(name, {}, CALLER);
    await expect(invoked).rejects.toThrow(LambdaServiceError);
    await expect(invoked).rejects.toMatchObject({ code: 'ResourceNotFoundException', status: 404 });
  });

  it('does not implement versions', async () => {
    await expect(localLambda().lambda.invoke(`${ARN}:7`, {}, CALLER)).rejects.toThrow('function versions and aliases');
  });

  it.each<[string, object, unknown]>([
    ['a value', { do: 'return', value: { a: [1, null] } }, { a: [1, null] }],
    ['nothing as null', { do: 'return-nothing' }, null],
    [
      'what JSON makes of it',
      { do: 'return-special' },
      { date: '1970-01-01T00:00:00.000Z', list: [null, null], nan: null, map: {} },
    ],
    [
      'no BigInt',
      { do: 'return-bigint' },
      { errorType: 'Error', errorMessage: 'Unable to stringify response body', trace: [] },
    ],
    ['text that was thrown', { do: 'throw-text' }, { errorType: 'string', errorMessage: 'just text', trace: [] }],
    [
      'an error by name',
      { do: 'throw' },
      { errorType: 'SomeError', errorMessage: 'it went wrong', trace: expect.any(Array) },
    ],
  ])('returns %s', async (_name, event, expected) => {
    expect(await localLambda().payloadOf(event)).toEqual(expected);
  });

  it('passes the event as JSON, too', async () => {
    const value = { date: new Date(0), missing: undefined };
    expect(await localLambda().payloadOf({ do: 'return', value })).toEqual({ date: '1970-01-01T00:00:00.000Z' });
  });

  it('gives the function its own environment, clock and role', async () => {
    const { payloadOf, principals } = localLambda({ memoryBytes: 512 * 1024 * 1024 });
    expect(await payloadOf({ do: 'environment' })).toEqual({
      OWN: 'value',
      AWS_REGION: 'eu-west-2',
      AWS_DEFAULT_REGION: 'eu-west-2',
      AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs24.x',
      AWS_LAMBDA_FUNCTION_NAME: 'f',
      AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '512',
      AWS_LAMBDA_LOG_GROUP_NAME: '/aws/lambda/f',
      AWS_LAMBDA_LOG_STREAM_NAME: expect.any(String),
      TZ: ':UTC',
    });
    expect(principals).toEqual([{ kind: 'role', arn: ROLE }]);
    expect(await payloadOf({ do: 'context' })).toMatchObject({
      functionName: 'f',
      invokedFunctionArn: ARN,
      memoryLimitInMB: '512',
      remainingMs: 60_000,
      now: '2026-01-01T00:00:00.000Z',
    });
  });

  it('keeps a container warm, has one for each invocation at once, and drops them with the function', async () => {
    const { lambda, payloadOf } = localLambda();
    expect([await payloadOf({ do: 'count' }), await payloadOf({ do: 'count' })]).toEqual([1, 2]);
    const together = await Promise.all([payloadOf({ do: 'count' }), payloadOf({ do: 'count' })]);
    expect(together.sort()).toEqual([1, 3]);
    lambda.registerFunction({
      name: 'f',
      entry: 'test/fixtures/functions/behaviours.ts',
      roleArn: ROLE,
      environment: {},
      timeoutMs: 1000,
    });
    expect(await payloadOf({ do: 'count' })).toBe(1);
  });

  it('names what cannot be loaded', async () => {
    const outcome = async (entry: string) => localLambda({ entry }).payloadOf({ do: 'return' });
    expect(await outcome('test/fixtures/functions/no-handler.ts')).toEqual({
      errorType: 'Runtime.HandlerNotFound',
      errorMessage: 'test/fixtures/functions/no-handler.ts exports no function "handler"',
      trace: [],
    });
    expect(await outcome('test/fixtures/functions/throws-at-import.ts')).toMatchObject({
      errorType: 'Runtime.ImportModuleError',
      errorMessage: 'no such configuration',
    });
    expect(await outcome('test/fixtures/functions/nowhere.ts')).toMatchObject({
      errorType: 'Runtime.ImportModuleError',
    });
  });
});

describe('limits of a function', () => {
  it('ends a handler that hangs at its timeout, and starts a new container after it', async () => {
    const { lambda, payloadOf } = localLambda({ timeoutMs: 30 });
    expect(await payloadOf({ do: 'count' })).toBe(1);
    const outcome = await lambda.invoke('f', { do: 'hang' }, CALLER);
    expect(outcome).toEqual({
      requestId: outcome.requestId,
      functionError: {
        errorType: 'Sandbox.Timedout',
        errorMessage: `RequestId: ${outcome.requestId} Error: Task timed out after 0.03 seconds`,
      },
    });
    expect(await payloadOf({ do: 'count' })).toBe(1);
  });

  it('counts time that a handler sleeps through on the clock', async () => {
    const { payloadOf } = localLambda({ timeoutMs: 60_000 });
    expect(await payloadOf({ do: 'sleep', ms: 45_000 })).toEqual({ before: 60_000, after: 15_000 });
    expect(await payloadOf({ do: 'sleep', ms: 61_000 })).toMatchObject({ errorType: 'Sandbox.Timedout' });
  });

  it('holds time while handlers work', async () => {
    const { clock, payloadOf } = localLambda();
    const slept = clock.sleep(3_600_000);
    await payloadOf({ do: 'overlap' });
    expect(clock.now().toISOString()).toBe('2026-01-01T00:00:00.000Z');
    await slept;
    expect(clock.now().toISOString()).toBe('2026-01-01T01:00:00.000Z');
  });

  it('refuses payloads over 6 MB in both directions', async () => {
    const { lambda, payloadOf } = localLambda();
    const limit = 6 * 1024 * 1024;
    await expect(lambda.invoke('f', { do: 'return', value: 'x'.repeat(limit) }, CALLER)).rejects.toMatchObject({
      code: 'RequestTooLargeException',
      status: 413,
    });
    expect(await payloadOf({ do: 'return-large', ms: limit + 98 })).toHaveLength(limit + 98);
    expect(await payloadOf({ do: 'return-large', ms: limit + 99 })).toMatchObject({
      errorType: 'Function.ResponseSizeTooLarge',
    });
  });

  it('refuses more invocations at once than its concurrency', async () => {
    const { lambda } = localLambda({ concurrency: 2 });
    const outcomes = await Promise.allSettled([1, 2, 3].map(() => lambda.invoke('f', { do: 'overlap' }, CALLER)));
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
    expect((outcomes[2] as PromiseRejectedResult).reason).toMatchObject({ code: 'TooManyRequestsException' });
    expect(await lambda.invoke('f', { do: 'return', value: 1 }, CALLER)).toMatchObject({ payload: 1 });
  });
});

describe('a function that nobody called for long', () => {
  const refusal = async (lambda: LocalLambda) =>
    lambda.invoke('f', { do: 'return' }, CALLER).then(
      () => 'runs',
      (error: LambdaServiceError) => [error.code, error.status],
    );

  it.each([
    [true, ['ResourceNotReadyException', 502]],
    [false, ['CodeArtifactUserPendingException', 409]],
  ])('refuses while it wakes, and then runs anew: inside a VPC: %s', async (insideVpc, refused) => {
    const { clock, lambda, payloadOf } = localLambda({ insideVpc });
    expect([await payloadOf({ do: 'count' }), await payloadOf({ do: 'count' })]).toEqual([1, 2]);
    await clock.advance(IDLE_MS);
    expect(await refusal(lambda)).toEqual(refused);
    await clock.advance(WAKING_MS - 1);
    expect(await refusal(lambda)).toEqual(refused);
    await clock.advance(1);
    expect(await payloadOf({ do: 'count' })).toBe(1);
  });

  it('is one that was called less than a fortnight ago in no case', async () => {
    const { clock, lambda } = localLambda({ insideVpc: true });
    for (let time = 0; time < 3; time++) {
      await clock.advance(IDLE_MS - 1);
      expect(await refusal(lambda)).toBe('runs');
    }
  });

  it('is one that was created, or woken, and never called', async () => {
    const { clock, lambda } = localLambda({ insideVpc: true });
    for (let time = 0; time < 2; time++) {
      await clock.advance(IDLE_MS + WAKING_MS);
      expect(await refusal(lambda)).toEqual(['ResourceNotReadyException', 502]);
    }
    lambda.registerFunction({
      ...{ name: 'f', entry: 'test/fixtures/functions/behaviours.ts', roleArn: ROLE, environment: {} },
      timeoutMs: 1000,
    });
    expect(await refusal(lambda)).toBe('runs');
  });

  it('answers so over HTTP', async () => {
    const { clock, lambda } = localLambda({ insideVpc: true });
    await clock.advance(IDLE_MS);
    const path = '/2015-03-31/functions/f/invocations';
    const request: Omit<AwsRequest, 'body'> = {
      service: 'lambda',
      method: 'POST',
      path,
      query: {},
      headers: {},
      principal: CALLER,
      secure: true,
    };
    expect(await lambda.handle({ ...request, body: Buffer.from('{}') })).toMatchObject({
      status: 502,
      headers: { 'x-amzn-errortype': 'ResourceNotReadyException' },
    });
  });
});

describe('an interceptor', () => {
  it('stands around each call: sees it, answers for it, or lets it die after its work', async () => {
    const { lambda, payloadOf } = localLambda();
    const seen: unknown[] = [];
    lambda.intercept(async (invocation, next) => {
      seen.push(invocation);
      const answer = await next();
      if (answer === 'die') throw Object.assign(new Error('killed'), { name: 'KilledError' });
      return `${answer}, intercepted`;
    });
    expect(await payloadOf({ do: 'return', value: 'one' })).toBe('one, intercepted');
    expect(await payloadOf({ do: 'return', value: 'die' })).toMatchObject({
      errorType: 'KilledError',
      errorMessage: 'killed',
    });
    expect(seen).toEqual([
      { functionName: 'f', event: { do: 'return', value: 'one' } },
      { functionName: 'f', event: { do: 'return', value: 'die' } },
    ]);
    lambda.intercept(undefined);
    expect(await payloadOf({ do: 'return', value: 'two' })).toBe('two');
  });
});

describe('what a function writes', () => {
  it('is kept, at most 1,000 lines, and heard', async () => {
    const { lambda, payloadOf } = localLambda();
    const heard: string[] = [];
    const stop = lambda.onLine((name, line) => heard.push(`${name}: ${line}`));
    for (let line = 0; line < 1002; line++) await payloadOf({ do: 'write', value: `line ${line}` });
    stop();
    await payloadOf({ do: 'write', value: 'unheard' });
    expect(lambda.linesOf('f')).toHaveLength(1000);
    expect([lambda.linesOf('f')[0], lambda.linesOf('f').at(-1)]).toEqual(['line 3', 'unheard']);
    expect([heard.length, heard.at(-1)]).toEqual([1002, 'f: line 1001']);
  });

  it('is taken as metrics where it is a metric document', async () => {
    const { metrics, payloadOf } = localLambda();
    const document = {
      _aws: {
        Timestamp: Date.parse('2026-01-01T00:00:00Z'),
        CloudWatchMetrics: [
          { Namespace: 'Daybreak', Dimensions: [['database']], Metrics: [{ Name: 'Rows', Unit: 'Count' }] },
        ],
      },
      database: 'main',
      Rows: 7,
    };
    await payloadOf({ do: 'write', value: JSON.stringify(document) });
    await payloadOf({ do: 'write', value: '{"Rows": 8}' });
    await payloadOf({ do: 'write', value: '{broken' });
    expect(metrics.getMetric('Daybreak', 'Rows', { database: 'main' })).toEqual([
      { timestamp: new Date('2026-01-01T00:00:00Z'), value: 7, unit: 'Count' },
    ]);
  });
});

describe('the REST API', () => {
  const request = (fields: Partial<AwsRequest> = {}): AwsRequest => ({
    service: 'lambda',
    method: 'POST',
    path: '/2015-03-31/functions/f/invocations',
    query: {},
    headers: {},
    body: Buffer.from('{"do":"return","value":[1]}'),
    principal: CALLER,
    secure: true,
    ...fields,
  });

  it('answers the payload', async () => {
    expect(await localLambda().lambda.handle(request())).toMatchObject({ status: 200, body: '[1]' });
  });

  it('answers a function error as Lambda does', async () => {
    const answer = await localLambda().lambda.handle(request({ body: Buffer.from('{"do":"throw"}') }));
    expect(answer.headers['x-amz-function-error']).toBe('Unhandled');
    expect(JSON.parse(String(answer.body))).toMatchObject({ errorType: 'SomeError' });
  });

  it.each<[string, Partial<AwsRequest>, number, string, string]>([
    [
      'an unknown function',
      { path: '/2015-03-31/functions/g/invocations' },
      404,
      'ResourceNotFoundException',
      'Function not found',
    ],
    [
      'no JSON',
      { body: Buffer.from('{') },
      400,
      'InvalidRequestContentException',
      'Could not parse request body into json',
    ],
    [
      'another operation',
      { method: 'GET', path: '/2015-03-31/functions/f' },
      400,
      'NotImplementedLocally',
      'the Lambda request GET /2015-03-31/functions/f',
    ],
    [
      'an asynchronous call',
      { headers: { 'x-amz-invocation-type': 'Event' } },
      400,
      'NotImplementedLocally',
      'the invocation type Event',
    ],
    ['a parameter', { query: { Qualifier: '1' } }, 400, 'NotImplementedLocally', 'the parameter Qualifier'],
  ])('refuses %s', async (_name, fields, status, code, message) => {
    const answer = await localLambda().lambda.handle(request(fields));
    expect([answer.status, answer.headers['x-amzn-errortype']]).toEqual([status, code]);
    expect(String(answer.body)).toContain(message);
  });

  it('refuses a caller without permission', async () => {
    const { denied, lambda } = localLambda();
    denied.add('lambda:InvokeFunction');
    expect(await lambda.handle(request())).toMatchObject({
      status: 403,
      headers: { 'x-amzn-errortype': 'AccessDeniedException' },
    });
  });
});
