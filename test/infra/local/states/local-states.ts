import { S3Client } from '@aws-sdk/client-s3';
import { SFNClient } from '@aws-sdk/client-sfn';
import { LocalClock } from '../../../../infra/local/clock.ts';
import { localClientConfiguration, type Services } from '../../../../infra/local/endpoint/request-handler.ts';
import { LambdaServiceError } from '../../../../infra/local/lambda/errors.ts';
import { type InvocationOutcome, LocalLambda } from '../../../../infra/local/lambda/service.ts';
import { LocalS3 } from '../../../../infra/local/s3/service.ts';
import { AccessDenied, type AuthorizationRequest, type Principal } from '../../../../infra/local/service.ts';
import { type Execution, LocalStates, type StateTransition } from '../../../../infra/local/states/service.ts';
import type { Json, JsonObject } from '../../../../infra/workflows/language/json.ts';

export const ACCOUNT = '111122223333';
export const ROLE = `arn:aws:iam::${ACCOUNT}:role/workflow`;
const ROOT: Principal = { kind: 'root', arn: `arn:aws:iam::${ACCOUNT}:root` };

/** A function of a test. What it throws is the function's error. */
export type TestFunction = (payload: never) => unknown;

/**
 * Step Functions with an S3 bucket `work`, functions made of closures, and a clock that only jumps.
 * @param options.idleMs so long before anything runs the functions were created, all in a VPC; without it, they are always
 * awake.
 */
export function localStates(functions: Record<string, TestFunction> = {}, { idleMs }: { idleMs?: number } = {}) {
  const startMs = Date.parse('2026-01-01T00:00:00.000Z');
  const clock = new LocalClock({ startsAt: new Date(startMs - (idleMs ?? 0)), flow: 'manual' });
  const authorized: AuthorizationRequest[] = [];
  const denied = new Set<string>();
  const authorizer = {
    authorize(request: AuthorizationRequest) {
      authorized.push(request);
      if (denied.has(request.action)) throw new AccessDenied(`not allowed: ${request.action}`);
    },
  };
  const noKeys = () => {
    throw new Error('this test has no keys');
  };
  const keys = { generateDataKey: noKeys, decryptDataKey: noKeys, describeForService: noKeys };
  const s3 = new LocalS3({ clock, authorizer, keys, accountId: ACCOUNT });
  s3.createBucket({ name: 'work' });
  const services: Services = { s3 };
  const invocations: { name: string; payload: Json; atMs: number }[] = [];
  const call = idleMs === undefined ? undefined : placedFunctions(Object.keys(functions), clock);
  const lambda = {
    invoke: (name: string, payload: unknown): Promise<InvocationOutcome> =>
      clock.busy(async () => {
        await call?.(name);
        invocations.push({ name, payload: payload as Json, atMs: clock.now().getTime() - startMs });
        const run = functions[name.split(':').at(-1) ?? ''];
        if (run === undefined) throw new LambdaServiceError('ResourceNotFoundException', 404, `no function ${name}`);
        try {
          return { requestId: 'request', payload: await run(payload as never) };
        } catch (error) {
          if (error instanceof LambdaServiceError || error instanceof AccessDenied) throw error;
          const { name: errorType, message: errorMessage } = error as Error;
          return { requestId: 'request', functionError: { errorType, errorMessage } };
        }
      }),
  };
  const states = new LocalStates({
    clock,
    authorizer,
    accountId: ACCOUNT,
    lambda,
    clientConfiguration: principal => localClientConfiguration(services, principal),
  });
  services.states = states;
  const transitions: StateTransition[] = [];
  states.onEvent(transition => transitions.push(transition));
  const create = (definition: JsonObject, name = 'machine') =>
    states.createStateMachine({ name, definition: { QueryLanguage: 'JSONata', ...definition }, roleArn: ROLE });
  return {
    clock,
    states,
    s3: new S3Client(localClientConfiguration(services, ROOT)),
    client: new SFNClient(
      localClientConfiguration(services, { kind: 'role', arn: `arn:aws:iam::${ACCOUNT}:role/caller` }),
    ),
    authorized,
    denied,
    invocations,
    transitions,
    create,
    elapsedMs: () => clock.now().getTime() - startMs,
    /** Creates the machine, runs it to its end, and returns the execution. */
    async run(definition: JsonObject, input: Json = {}): Promise<Execution> {
      if (idleMs !== undefined) await clock.advance(idleMs);
      const stateMachine = create(definition);
      return states.waitForExecution(states.startExecution({ stateMachine, input }).arn);
    },
  };
}

/** Real functions of these names, in a VPC. @returns what throws where Lambda refuses to run one. */
function placedFunctions(names: readonly string[], clock: LocalClock): (name: string) => Promise<unknown> {
  const lambda = new LocalLambda({
    clock,
    accountId: ACCOUNT,
    authorizer: { authorize: () => {} },
    clientConfiguration: () => ({ region: 'eu-west-2' }),
  });
  for (const name of names) {
    const entry = 'test/fixtures/functions/behaviours.ts';
    lambda.registerFunction({ name, entry, roleArn: ROLE, insideVpc: true, environment: {}, timeoutMs: 60_000 });
  }
  return name => lambda.invoke(name, { do: 'return' }, ROOT);
}

/** An error as a function throws it, by name. */
export function errorNamed(name: string, message = 'message'): Error {
  return Object.assign(new Error(message), { name });
}
