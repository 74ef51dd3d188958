import type { State } from '../../workflows/language/graph.ts';
import type { Json, JsonObject } from '../../workflows/language/json.ts';
import { Scope } from '../../workflows/language/scope.ts';
import type { LocalClock } from '../clock.ts';
import { Cancellation } from './cancellation.ts';
import { History, type HistoryEvent } from './history.ts';

export type ExecutionStatus = 'RUNNING' | 'SUCCEEDED' | 'FAILED' | 'TIMED_OUT' | 'ABORTED';

/** One step of an execution, as it happens. */
export interface StateTransition {
  readonly kind:
    | 'execution-started'
    | 'execution-ended'
    | 'state-entered'
    | 'state-retried'
    | 'state-failed'
    | 'state-exited';
  readonly time: Date;
  readonly stateMachineName: string;
  /** The execution itself; for a child of a distributed map the child's. */
  readonly executionArn: string;
  /** The execution that was started from outside. */
  readonly rootExecutionArn: string;
  /** The branches and iterations that it happened in, outermost first; empty at the top level. */
  readonly path: readonly { readonly state: string; readonly index: number }[];
  /** Null for the execution's own start and end. */
  readonly state: string | null;
  readonly stateType: State['type'] | null;
  /** At the end of an execution. */
  readonly status?: ExecutionStatus;
  readonly error?: string | undefined;
}

/** An execution, running or ended. */
export interface Execution {
  readonly arn: string;
  readonly name: string;
  readonly rootArn: string;
  /** `Name`, or `Name/Label` for the children of a distributed map. */
  readonly stateMachineName: string;
  readonly stateMachineArn: string;
  readonly roleArn: string;
  readonly input: Json;
  readonly startDate: Date;
  readonly mapRunArn?: string;
  /** What of `$states.context` stays the same. */
  readonly context: JsonObject;
  readonly history: History;
  readonly cancellation: Cancellation;
  status: ExecutionStatus;
  stopDate?: Date;
  output?: Json;
  error?: string | undefined;
  cause?: string | undefined;
}

/** One run through a graph of states. */
export class Frame {
  readonly execution: Execution;
  readonly scope: Scope;
  readonly cancellation: Cancellation;
  readonly path: StateTransition['path'];
  /** `$states.context.Map`, in an iteration of an inline map. */
  readonly map: JsonObject | undefined;
  #lastEventId: number;
  readonly #clock: LocalClock;
  readonly #listen: (transition: StateTransition) => void;

  constructor(options: {
    execution: Execution;
    clock: LocalClock;
    listen: (transition: StateTransition) => void;
    path?: StateTransition['path'];
    outer?: { frame: Frame; cancellation: Cancellation; map?: JsonObject };
  }) {
    this.execution = options.execution;
    this.#clock = options.clock;
    this.#listen = options.listen;
    this.path = options.path ?? [];
    this.scope = new Scope(options.outer?.frame.scope);
    this.cancellation = options.outer?.cancellation ?? options.execution.cancellation;
    this.map = options.outer?.map ?? options.outer?.frame.map;
    this.#lastEventId = options.outer === undefined ? 0 : options.outer.frame.#lastEventId;
  }

  /** A frame for branch or iteration `index` of `state`, which sees this one's variables. */
  enter(state: string, index: number, cancellation: Cancellation, map?: JsonObject): Frame {
    return new Frame({
      execution: this.execution,
      clock: this.#clock,
      listen: this.#listen,
      path: [...this.path, { state, index }],
      outer: { frame: this, cancellation, ...(map && { map }) },
    });
  }

  /** Adds an event to the history, after this frame's last one. @returns its id. */
  record(type: string, details?: HistoryEvent['details']): number {
    this.#lastEventId = this.execution.history.record(this.#clock.now(), type, this.#lastEventId, details);
    return this.#lastEventId;
  }

  announce(
    kind: StateTransition['kind'],
    state: Pick<State, 'name' | 'type'> | null,
    more: Pick<StateTransition, 'error' | 'status'> = {},
  ) {
    this.#listen({
      kind,
      time: this.#clock.now(),
      stateMachineName: this.execution.stateMachineName,
      executionArn: this.execution.arn,
      rootExecutionArn: this.execution.rootArn,
      path: this.path,
      state: state?.name ?? null,
      stateType: state?.type ?? null,
      ...more,
    });
  }
}

/** A new execution that runs. */
export function beginExecution(
  fields: Pick<
    Execution,
    'arn' | 'name' | 'rootArn' | 'stateMachineName' | 'stateMachineArn' | 'roleArn' | 'input' | 'startDate'
  > & { mapRunArn?: string },
  cancellation = new Cancellation(),
): Execution {
  const context = {
    Execution: {
      Id: fields.arn,
      Input: fields.input,
      Name: fields.name,
      RoleArn: fields.roleArn,
      StartTime: fields.startDate.toISOString(),
      RedriveCount: 0,
    },
    StateMachine: { Id: fields.stateMachineArn, Name: fields.stateMachineName },
  };
  return { ...fields, context, history: new History(), cancellation, status: 'RUNNING' };
}
