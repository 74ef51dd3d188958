import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import { S3Client } from '@aws-sdk/client-s3';
import { describeError } from '../../../functions/platform/errors.ts';
import type { ClientConfiguration } from '../../../functions/platform/runtime.ts';
import { parseDefinition } from '../../workflows/language/definition.ts';
import { dataLimitFailure, StateFailure, Stopped } from '../../workflows/language/failure.ts';
import type { Graph, StateMachineGraph } from '../../workflows/language/graph.ts';
import { type Json, type JsonObject, jsonByteCount } from '../../workflows/language/json.ts';
import type { LocalClock } from '../clock.ts';
import { LOCAL_REGION } from '../endpoint/request-handler.ts';
import type { Authorizer, AwsRequest, AwsResponse, Principal, Service } from '../service.ts';
import { answerRequest } from './api.ts';
import { beginExecution, type Execution, Frame, type StateTransition } from './execution.ts';
import { Interpreter, type Surroundings } from './interpreter.ts';
import { PAYLOAD_LIMIT_BYTES } from './payload.ts';
import { StatesError } from './states-error.ts';
import { type StateTest, type StateTestResult, testState } from './test-state.ts';
import { TaskTokens } from './tokens.ts';

export type { Execution, ExecutionStatus, StateTransition } from './execution.ts';

/** A state machine of the local cloud. */
export interface StateMachine {
  readonly arn: string;
  readonly name: string;
  readonly roleArn: string;
  /** The definition as it was given, in JSON. */
  readonly definition: string;
  readonly creationDate: Date;
  readonly graph: StateMachineGraph;
}

const RETENTION_MS = 90 * 24 * 60 * 60 * 1000;
// https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
const NAME = /^[^\s\p{Cc}\p{Cs}<>{}[\]?*"#%\\^|~`$&,;:/\ufffe\uffff]{1,80}$/u;

const ENDED = new Stopped('the execution has ended');

/** Why an execution was ended from outside. */
class ExecutionStopped extends Stopped {
  readonly status: 'ABORTED' | 'TIMED_OUT';
  readonly error: string | undefined;
  readonly reason: string | undefined;
  constructor(status: 'ABORTED' | 'TIMED_OUT', error: string | undefined, reason: string | undefined) {
    super(status);
    this.status = status;
    this.error = error;
    this.reason = reason;
  }
}

/**
 * Step Functions: runs the definitions that were synthesized, in JSONata, over the local clock. Executions live as long
 * as the process, and 90 days of the clock after their end.
 */
export class LocalStates implements Service {
  readonly tokens = new TaskTokens();
  readonly authorizer: Authorizer;
  readonly #clock: LocalClock;
  readonly #accountId: string;
  readonly #interpreter: Interpreter;
  readonly #machines = new Map<string, StateMachine>();
  readonly #executions = new Map<string, Execution>();
  readonly #endings = new Map<string, Promise<void>>();
  readonly #listeners = new Set<(transition: StateTransition) => void>();
  // Whoever starts an execution, perhaps a handler that holds time, the execution runs outside its async context.
  readonly #detached = AsyncLocalStorage.snapshot();

  /** @param options.clientConfiguration what an S3 client under a state machine's role is built with. */
  constructor(options: {
    clock: LocalClock;
    authorizer: Authorizer;
    accountId: string;
    lambda: Surroundings['lambda'];
    clientConfiguration: (principal: Principal) => ClientConfiguration;
  }) {
    this.authorizer = options.authorizer;
    this.#clock = options.clock;
    this.#accountId = options.accountId;
    const clients = new Map<string, S3Client>();
    this.#interpreter = new Interpreter({
      clock: options.clock,
      authorizer: options.authorizer,
      lambda: options.lambda,
      tokens: this.tokens,
      s3: roleArn => {
        const client =
          clients.get(roleArn) ?? new S3Client(options.clientConfiguration({ kind: 'role', arn: roleArn }));
        clients.set(roleArn, client);
        return client;
      },
      runChild: (graph, child, path, limitMs) => {
        this.#executions.set(child.arn, child);
        return this.#run(graph, child, path, limitMs);
      },
    });
  }

  /**
   * Creates a state machine, or replaces its definition: executions that run keep theirs.
   * @returns its ARN.
   * @throws UnsupportedDefinitionError, InvalidDefinitionError (see `parseDefinition`); StatesError for an invalid name.
   */
  createStateMachine({
    name,
    definition,
    roleArn,
  }: {
    name: string;
    definition: string | JsonObject;
    roleArn: string;
  }): string {
    if (!NAME.test(name)) throw new StatesError('InvalidName', `"${name}" is no name for a state machine`);
    const arn = this.arnOf(name);
    const graph = parseDefinition(definition);
    const text = typeof definition === 'string' ? definition : JSON.stringify(definition);
    this.#machines.set(arn, { arn, name, roleArn, definition: text, creationDate: this.#clock.now(), graph });
    return arn;
  }

  /**
   * Deletes a state machine, and stops its executions.
   * https://docs.aws.amazon.com/step-functions/latest/apireference/API_DeleteStateMachine.html
   * @throws StatesError `StateMachineDoesNotExist`.
   */
  deleteStateMachine(nameOrArn: string): void {
    const { arn } = this.describeStateMachine(nameOrArn);
    this.#machines.delete(arn);
    for (const execution of this.#executions.values()) {
      if (execution.stateMachineArn === arn && execution.status === 'RUNNING') this.stopExecution(execution.arn);
    }
  }

  /** The ARN of the state machine of that name, whether or not there is one. */
  arnOf(name: string): string {
    return `arn:aws:states:${LOCAL_REGION}:${this.#accountId}:stateMachine:${name}`;
  }

  /** `TestState`: one attempt at one state. @throws StatesError, NotImplementedLocally, UnsupportedDefinitionError, InvalidDefinitionError. */
  testState(test: StateTest): Promise<StateTestResult> {
    return testState(this.#interpreter, test);
  }

  /** @throws StatesError `StateMachineDoesNotExist`. */
  describeStateMachine(nameOrArn: string): StateMachine {
    const arn = nameOrArn.startsWith('arn:') ? nameOrArn : this.arnOf(nameOrArn);
    const machine = this.#machines.get(arn);
    if (machine === undefined)
      throw new StatesError('StateMachineDoesNotExist', `State Machine Does Not Exist: '${arn}'`);
    return machine;
  }

  listStateMachines(): readonly StateMachine[] {
    return [...this.#machines.values()];
  }

  /**
   * Starts an execution and returns at once. The same name and input as one that runs finds that one.
   * @throws StatesError `ExecutionAlreadyExists`, `InvalidName`, `InvalidExecutionInput`, `StateMachineDoesNotExist`.
   */
  startExecution({
    stateMachine,
    name = randomUUID(),
    input = {},
  }: {
    stateMachine: string;
    name?: string;
    input?: Json;
  }): Execution {
    const machine = this.describeStateMachine(stateMachine);
    if (!NAME.test(name)) throw new StatesError('InvalidName', `Invalid Name: '${name}'`);
    if (jsonByteCount(input) > PAYLOAD_LIMIT_BYTES) {
      throw new StatesError('InvalidExecutionInput', 'The input is larger than 256 KiB.');
    }
    this.#forgetOldExecutions();
    const arn = `arn:aws:states:${LOCAL_REGION}:${this.#accountId}:execution:${machine.name}:${name}`;
    const existing = this.#executions.get(arn);
    if (existing !== undefined) {
      if (existing.status === 'RUNNING' && JSON.stringify(existing.input) === JSON.stringify(input)) return existing;
      throw new StatesError('ExecutionAlreadyExists', `Execution Already Exists: '${arn}'`);
    }
    const execution = beginExecution({
      arn,
      name,
      rootArn: arn,
      stateMachineName: machine.name,
      stateMachineArn: machine.arn,
      roleArn: machine.roleArn,
      input,
      startDate: this.#clock.now(),
    });
    this.#executions.set(arn, execution);
    const { timeoutSeconds } = machine.graph;
    const limitMs = timeoutSeconds === undefined ? undefined : timeoutSeconds * 1000;
    this.#endings.set(
      arn,
      this.#detached(() => this.#run(machine.graph, execution, [], limitMs)),
    );
    return execution;
  }

  /** Resolves with the execution once it has ended, however. @throws StatesError `ExecutionDoesNotExist`. */
  async waitForExecution(arn: string): Promise<Execution> {
    const execution = this.describeExecution(arn);
    await this.#endings.get(execution.rootArn);
    return execution;
  }

  /** @throws StatesError `ExecutionDoesNotExist`. */
  describeExecution(arn: string): Execution {
    const execution = this.#executions.get(arn);
    if (execution === undefined) throw new StatesError('ExecutionDoesNotExist', `Execution Does Not Exist: '${arn}'`);
    return execution;
  }

  /** All executions that are remembered, the oldest first; those of a distributed map have a `mapRunArn`. */
  listExecutions(): readonly Execution[] {
    return [...this.#executions.values()];
  }

  /** Stops an execution that runs; what its tasks have begun goes on, as in AWS. */
  stopExecution(arn: string, error?: string, cause?: string): Execution {
    const execution = this.describeExecution(arn);
    execution.cancellation.cancel(new ExecutionStopped('ABORTED', error, cause));
    return execution;
  }

  /** Calls `listener` with each transition of every execution. @returns what ends that. */
  onEvent(listener: (transition: StateTransition) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  handle(request: AwsRequest): Promise<AwsResponse> {
    return answerRequest(this, this.#clock, request);
  }

  async #run(graph: Graph, execution: Execution, path: Frame['path'], limitMs: number | undefined): Promise<void> {
    const frame = new Frame({
      execution,
      clock: this.#clock,
      path,
      listen: transition => {
        for (const listener of this.#listeners) listener(transition);
      },
    });
    const timeOut = () => execution.cancellation.cancel(new ExecutionStopped('TIMED_OUT', 'States.Timeout', undefined));
    const cancelTimeout =
      limitMs === undefined ? undefined : this.#clock.at(new Date(execution.startDate.getTime() + limitMs), timeOut);
    try {
      frame.record('ExecutionStarted', { input: execution.input, roleArn: execution.roleArn });
      frame.announce('execution-started', null);
      const output = await this.#interpreter.runGraph(graph, execution.input, frame);
      if (jsonByteCount(output) > PAYLOAD_LIMIT_BYTES) throw dataLimitFailure('output of the execution');
      execution.status = 'SUCCEEDED';
      execution.output = output;
      frame.record('ExecutionSucceeded', { output });
    } catch (error) {
      this.#fail(execution, frame, error);
    }
    cancelTimeout?.();
    execution.stopDate = this.#clock.now();
    frame.announce('execution-ended', null, { status: execution.status, error: execution.error });
    // Whatever still waits inside has lost its execution.
    execution.cancellation.cancel(ENDED);
  }

  #fail(execution: Execution, frame: Frame, error: unknown): void {
    if (error instanceof Stopped) {
      const stopped = error instanceof ExecutionStopped ? error : undefined;
      execution.status = stopped?.status ?? 'ABORTED';
      execution.error = stopped?.error;
      execution.cause = stopped?.reason;
    } else {
      const failure = error instanceof StateFailure ? error : new StateFailure('States.Runtime', describeError(error));
      execution.status = 'FAILED';
      execution.error = failure.error;
      execution.cause = failure.reason;
    }
    const types = { FAILED: 'ExecutionFailed', TIMED_OUT: 'ExecutionTimedOut', ABORTED: 'ExecutionAborted' } as const;
    const { status } = execution;
    if (status in types) {
      frame.record(types[status as keyof typeof types], { error: execution.error, cause: execution.cause });
    }
  }

  #forgetOldExecutions(): void {
    const before = this.#clock.now().getTime() - RETENTION_MS;
    for (const [arn, { stopDate }] of this.#executions) {
      if (stopDate === undefined || stopDate.getTime() >= before) continue;
      this.#executions.delete(arn);
      this.#endings.delete(arn);
    }
  }
}
