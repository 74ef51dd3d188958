import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type ClientConfiguration, type Runtime, withRuntime } from '../../../functions/platform/runtime.ts';
import type { LocalClock } from '../clock.ts';
import { LOCAL_REGION } from '../endpoint/request-handler.ts';
import { isMetricDocument, type LocalMetrics } from '../monitoring/metrics.ts';
import {
  type Authorizer,
  type AwsRequest,
  type AwsResponse,
  NotImplementedLocally,
  type Principal,
  type Service,
} from '../service.ts';
import { type FunctionError, LambdaServiceError } from './errors.ts';
import { answerLambda } from './requests.ts';

/** A function of the local cloud: a module of this project, run in this process. */
export interface LocalFunction {
  readonly name: string;
  /** The module that exports `handler`, below the project's root: `functions/backup/create-snapshot.ts`. */
  readonly entry: string;
  readonly roleArn: string;
  /** Whether it is placed in a VPC. @default false */
  readonly insideVpc?: boolean;
  readonly environment: Readonly<Record<string, string>>;
  /** Where its lines go. @default /aws/lambda/<name> */
  readonly logGroup?: string;
  readonly timeoutMs: number;
  /** 128 MiB unless given. It limits nothing here. */
  readonly memoryBytes?: number;
  /** Reserved concurrency: more invocations at once are refused with `TooManyRequestsException`. */
  readonly concurrency?: number;
}

/** How an invocation ended: the function's result, or its error. */
export type InvocationOutcome =
  | { readonly requestId: string; readonly payload: unknown }
  | { readonly requestId: string; readonly functionError: FunctionError };

interface RegisteredFunction extends LocalFunction {
  readonly arn: string;
  readonly logGroup: string;
  /** Warm containers that run nothing: each keeps what its invocations made (SDK clients, parsed configuration). */
  readonly idle: Runtime[];
  readonly lines: string[];
  running: number;
  /** Until then it is set up, if that is to come; else since then nobody called it. */
  idleSinceMs: number;
}

type Handler = (event: unknown, context: object) => unknown;
type LineListener = (functionName: string, line: string, logGroup: string) => void;

/**
 * Stands around each call of a handler, for tests that let functions die or change the world between steps: calls
 * `next`, or not, and answers. What it throws is the function's error.
 */
export type InvocationInterceptor = (
  invocation: { readonly functionName: string; readonly event: unknown },
  next: () => Promise<unknown>,
) => Promise<unknown>;

const PROJECT_ROOT = join(import.meta.dirname, '../../..');
const PAYLOAD_LIMIT_BYTES = 6 * 1024 * 1024;
const ACCOUNT_CONCURRENCY = 1000;
const DEFAULT_MEMORY_BYTES = 128 * 1024 * 1024;
const KEPT_LINES = 1000;
/**
 * A function that nobody called for so long is inactive. Lambda's pages say "idle long enough" of all functions, and 14 days of
 * those with snapshots; of others users saw the same.
 * https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html
 * https://docs.aws.amazon.com/lambda/latest/dg/snapstart-activate.html#snapstart-function-states
 * https://github.com/crossplane-contrib/provider-aws/pull/2084
 */
export const IDLE_MS = 14 * 24 * 60 * 60_000;
/**
 * So long an inactive function refuses from the first invocation on: the longest that was seen. A new one is pending, too, for
 * about a minute in a VPC, which CloudFormation waits for before it says that the function is created.
 * https://github.com/aws-solutions-library-samples/accelerated-intelligent-document-processing-on-aws/issues/801
 */
export const WAKING_MS = 106_000;
const ARN = /^(?:arn:aws:lambda:[a-z0-9-]+:(\d{12}):function:|(\d{12}):function:)?([\w-]{1,64})(?::(.+))?$/;

/**
 * Lambda: runs handlers of this project in this process, each under its role, environment and clock. Time stands still
 * while a handler works. JSON, payload limits, errors and timeouts are as Lambda's Node.js runtime has them.
 * https://docs.aws.amazon.com/lambda/latest/dg/nodejs-handler.html
 */
export class LocalLambda implements Service {
  readonly #clock: LocalClock;
  readonly #authorizer: Authorizer;
  readonly #accountId: string;
  readonly #metrics: LocalMetrics | undefined;
  readonly #runtimeEnvironment: Readonly<Record<string, string>>;
  readonly #clientConfiguration: (principal: Principal) => ClientConfiguration;
  readonly #functions = new Map<string, RegisteredFunction>();
  readonly #listeners = new Set<LineListener>();
  #interceptor: InvocationInterceptor | undefined;

  /**
   * @param options.clientConfiguration what the SDK clients of a function under that role are built with.
   * @param options.runtimeEnvironment what every function finds in its environment beside its own, as Lambda's runtime
   * brings its files along.
   */
  constructor(options: {
    clock: LocalClock;
    authorizer: Authorizer;
    accountId: string;
    clientConfiguration: (principal: Principal) => ClientConfiguration;
    metrics?: LocalMetrics;
    runtimeEnvironment?: Readonly<Record<string, string>>;
  }) {
    this.#clock = options.clock;
    this.#authorizer = options.authorizer;
    this.#accountId = options.accountId;
    this.#clientConfiguration = options.clientConfiguration;
    this.#metrics = options.metrics;
    this.#runtimeEnvironment = options.runtimeEnvironment ?? {};
  }

  /** Creates the function, or replaces it: then its warm containers are gone. @returns its ARN. */
  registerFunction(definition: LocalFunction): string {
    const arn = `arn:aws:lambda:${LOCAL_REGION}:${this.#accountId}:function:${definition.name}`;
    const logGroup = definition.logGroup ?? `/aws/lambda/${definition.name}`;
    this.#functions.set(definition.name, {
      ...definition,
      arn,
      logGroup,
      idle: [],
      lines: [],
      running: 0,
      idleSinceMs: this.#clock.now().getTime(),
    });
    return arn;
  }

  /** Deletes a function: nobody can invoke it, and what runs ends by itself. @throws LambdaServiceError where there is none. */
  deleteFunction(nameOrArn: string): void {
    this.#functions.delete(this.#find(nameOrArn).name);
  }

  /** A function's own environment variables. */
  environmentOf(name: string): Readonly<Record<string, string>> {
    return this.#find(name).environment;
  }

  /** Gives a function another time limit, as `UpdateFunctionConfiguration` does. @returns the one that it had. */
  limitTime(name: string, timeoutMs: number): number {
    const before = this.#find(name);
    this.registerFunction({ ...before, timeoutMs });
    return before.timeoutMs;
  }

  /** The last lines (at most 1,000) that a function wrote. */
  linesOf(name: string): readonly string[] {
    return this.#find(name).lines;
  }

  /** Calls `listener` with each line that any function writes. @returns what ends that. */
  onLine(listener: LineListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Puts `interceptor` around every invocation from now on, in the place of the last one; `undefined` puts none. */
  intercept(interceptor: InvocationInterceptor | undefined): void {
    this.#interceptor = interceptor;
  }

  /**
   * Invokes a function by name or ARN as `principal`, and waits for it.
   * @throws AccessDenied without `lambda:InvokeFunction`; LambdaServiceError when there is no such function, when it was idle
   * for long and wakes, when too many invocations run, or when the payload is larger than 6 MB.
   */
  async invoke(nameOrArn: string, payload: unknown, principal: Principal): Promise<InvocationOutcome> {
    const target = this.#find(nameOrArn);
    this.#authorizer.authorize({ principal, action: 'lambda:InvokeFunction', resource: target.arn, context: {} });
    return this.#invoke(target, payload);
  }

  async #invoke(target: RegisteredFunction, payload: unknown): Promise<InvocationOutcome> {
    const event = JSON.stringify(payload ?? {});
    if (Buffer.byteLength(event) > PAYLOAD_LIMIT_BYTES) {
      throw new LambdaServiceError(
        'RequestTooLargeException',
        413,
        `Request must be smaller than ${PAYLOAD_LIMIT_BYTES} bytes for the InvokeFunction operation`,
      );
    }
    this.#wake(target);
    if (target.running >= (target.concurrency ?? ACCOUNT_CONCURRENCY)) {
      throw new LambdaServiceError('TooManyRequestsException', 429, `${target.name}: Rate Exceeded.`);
    }
    target.running++;
    try {
      const outcome = await this.#clock.busy(() => this.#run(target, event));
      if ('functionError' in outcome) {
        const value = { timestamp: this.#clock.now(), value: 1, unit: 'Count' };
        this.#metrics?.put('AWS/Lambda', 'Errors', { FunctionName: target.name }, value);
      }
      return outcome;
    } finally {
      target.running--;
      target.idleSinceMs = this.#clock.now().getTime();
    }
  }

  /**
   * "When you try to invoke a function that is inactive, the invocation fails and Lambda sets the function to pending state
   * until the function resources are recreated." In a VPC its interfaces are missing, elsewhere its code's user.
   * https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html
   * https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html#API_Invoke_Errors
   * https://github.com/aws/aws-cdk/issues/20123
   */
  #wake(target: RegisteredFunction): void {
    const nowMs = this.#clock.now().getTime();
    if (target.running === 0 && nowMs - target.idleSinceMs >= IDLE_MS) {
      target.idle.length = 0;
      target.idleSinceMs = nowMs + WAKING_MS;
    }
    if (nowMs >= target.idleSinceMs) return;
    throw target.insideVpc
      ? new LambdaServiceError(
          'ResourceNotReadyException',
          502,
          'The function is inactive and its VPC connection is no longer available. Wait for the VPC connection to reestablish and try again.',
        )
      : new LambdaServiceError(
          'CodeArtifactUserPendingException',
          409,
          'Lambda is initializing your function. It will be ready to invoke shortly.',
        );
  }

  /** Invokes a function as Lambda's own queue does, whose permission was checked when the event came in. */
  async invokeFromQueue(name: string, payload: unknown): Promise<InvocationOutcome> {
    return this.#invoke(this.#find(name), payload);
  }

  /** `Invoke` and `GetFunctionConfiguration` of the REST API. */
  handle(request: AwsRequest): Promise<AwsResponse> {
    return answerLambda(request, {
      invoke: (name, payload) => this.invoke(name, payload, request.principal),
      describe: name => this.#describe(name, request.principal),
    });
  }

  // https://docs.aws.amazon.com/lambda/latest/api/API_GetFunctionConfiguration.html
  #describe(nameOrArn: string, principal: Principal): object {
    const { name, arn, roleArn, environment, timeoutMs, memoryBytes, logGroup, running, idleSinceMs } =
      this.#find(nameOrArn);
    const action = 'lambda:GetFunctionConfiguration';
    this.#authorizer.authorize({ principal, action, resource: arn, context: {} });
    const idleMs = this.#clock.now().getTime() - idleSinceMs;
    return {
      FunctionName: name,
      FunctionArn: arn,
      Runtime: 'nodejs24.x',
      Role: roleArn,
      Timeout: timeoutMs / 1000,
      MemorySize: Math.round((memoryBytes ?? DEFAULT_MEMORY_BYTES) / 1024 / 1024),
      Environment: { Variables: environment },
      State: idleMs < 0 ? 'Pending' : running === 0 && idleMs >= IDLE_MS ? 'Inactive' : 'Active',
      LastUpdateStatus: 'Successful',
      LoggingConfig: { LogGroup: logGroup },
    };
  }

  async #run(target: RegisteredFunction, event: string): Promise<InvocationOutcome> {
    const requestId = randomUUID();
    const loaded = await loadHandler(target.entry);
    if ('errorType' in loaded) return { requestId, functionError: loaded };
    const container = target.idle.pop() ?? this.#startContainer(target);
    const startedAtMs = this.#clock.now().getTime();
    const remainingMs = () => Math.max(0, startedAtMs + target.timeoutMs - this.#clock.now().getTime());
    const context = {
      awsRequestId: requestId,
      functionName: target.name,
      functionVersion: '$LATEST',
      invokedFunctionArn: target.arn,
      memoryLimitInMB: container.environment.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
      logGroupName: container.environment.AWS_LAMBDA_LOG_GROUP_NAME,
      logStreamName: container.environment.AWS_LAMBDA_LOG_STREAM_NAME,
      getRemainingTimeInMillis: remainingMs,
    };
    const outcome = await withinTime(target.timeoutMs, () =>
      withRuntime(container, () => callHandler(this.#intercepted(target.name, loaded), JSON.parse(event), context)),
    );
    // Also a handler that slept on the clock past its timeout, in no time of the machine, timed out.
    if (outcome === undefined || this.#clock.now().getTime() - startedAtMs > target.timeoutMs) {
      const seconds = (target.timeoutMs / 1000).toFixed(2);
      const errorMessage = `RequestId: ${requestId} Error: Task timed out after ${seconds} seconds`;
      return { requestId, functionError: { errorType: 'Sandbox.Timedout', errorMessage } };
    }
    target.idle.push(container);
    return { requestId, ...outcome };
  }

  #intercepted(functionName: string, handler: Handler): Handler {
    const interceptor = this.#interceptor;
    if (interceptor === undefined) return handler;
    return (event, context) => interceptor({ functionName, event }, async () => handler(event, context));
  }

  #startContainer(target: RegisteredFunction): Runtime {
    const { name, environment, logGroup, memoryBytes = DEFAULT_MEMORY_BYTES } = target;
    return {
      environment: {
        ...this.#runtimeEnvironment,
        ...environment,
        AWS_REGION: LOCAL_REGION,
        AWS_DEFAULT_REGION: LOCAL_REGION,
        AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs24.x',
        AWS_LAMBDA_FUNCTION_NAME: name,
        AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
        AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(Math.round(memoryBytes / 1024 / 1024)),
        AWS_LAMBDA_LOG_GROUP_NAME: logGroup,
        AWS_LAMBDA_LOG_STREAM_NAME: randomUUID(),
        TZ: ':UTC',
      },
      clock: this.#clock,
      clientConfiguration: this.#clientConfiguration({
        kind: 'role',
        arn: target.roleArn,
        ...(target.insideVpc && { insideVpc: true }),
      }),
      writeLine: line => this.#write(target, line),
      instances: new Map(),
    };
  }

  #write(target: RegisteredFunction, line: string): void {
    target.lines.push(line);
    if (target.lines.length > KEPT_LINES) target.lines.shift();
    const document = parseObject(line);
    if (document !== undefined && isMetricDocument(document)) this.#metrics?.ingest(document);
    for (const listener of this.#listeners) listener(target.name, line, target.logGroup);
  }

  #find(nameOrArn: string): RegisteredFunction {
    const [, account, partialAccount, name, qualifier] = ARN.exec(nameOrArn) ?? [];
    if (qualifier !== undefined && qualifier !== '$LATEST') {
      throw new NotImplementedLocally(`function versions and aliases (${nameOrArn})`);
    }
    const found = this.#functions.get(name ?? '');
    if (found === undefined || (account ?? partialAccount ?? this.#accountId) !== this.#accountId) {
      const arn = `arn:aws:lambda:${LOCAL_REGION}:${this.#accountId}:function:${name ?? nameOrArn}`;
      throw new LambdaServiceError('ResourceNotFoundException', 404, `Function not found: ${arn}`);
    }
    return found;
  }
}

async function loadHandler(entry: string): Promise<Handler | FunctionError> {
  let module: unknown;
  try {
    module = await import(/* @vite-ignore */ pathToFileURL(join(PROJECT_ROOT, entry)).href);
  } catch (error) {
    return { ...toFunctionError(error), errorType: 'Runtime.ImportModuleError' };
  }
  const handler = (module as { handler?: unknown }).handler;
  if (typeof handler === 'function') return handler as Handler;
  return { errorType: 'Runtime.HandlerNotFound', errorMessage: `${entry} exports no function "handler"`, trace: [] };
}

type Outcome = { payload: unknown } | { functionError: FunctionError };

async function callHandler(handler: Handler, event: unknown, context: object): Promise<Outcome> {
  let result: unknown;
  try {
    result = await handler(event, context);
  } catch (error) {
    return { functionError: toFunctionError(error) };
  }
  let text: string | undefined;
  try {
    text = JSON.stringify(result === undefined ? null : result);
  } catch {
    return { functionError: { errorType: 'Error', errorMessage: 'Unable to stringify response body', trace: [] } };
  }
  if (Buffer.byteLength(text ?? '') > PAYLOAD_LIMIT_BYTES + 100) {
    return {
      functionError: {
        errorType: 'Function.ResponseSizeTooLarge',
        errorMessage: `Response payload size exceeded maximum allowed payload size (${PAYLOAD_LIMIT_BYTES + 100} bytes).`,
        trace: [],
      },
    };
  }
  return { payload: text === undefined ? null : JSON.parse(text) };
}

/** What `work` gives, or undefined after `limitMs` of the machine's time: it then runs on unheard. */
async function withinTime<T>(limitMs: number, work: () => Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>(resolve => {
    timer = setTimeout(() => resolve(undefined), limitMs);
  });
  try {
    return await Promise.race([work(), late]);
  } finally {
    clearTimeout(timer);
  }
}

function toFunctionError(error: unknown): FunctionError {
  if (error instanceof Error) {
    return { errorType: error.name, errorMessage: error.message, trace: error.stack?.split('\n') ?? [] };
  }
  return { errorType: typeof error, errorMessage: String(error), trace: [] };
}

function parseObject(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
