import type { Evaluate } from './query.ts';
import type { Retrier } from './retry.ts';

/** A validated and compiled state machine. */
export interface StateMachineGraph extends Graph {
  readonly timeoutSeconds: number | undefined;
}

/** States with a start: the machine itself, a branch, or an item processor. */
export interface Graph {
  readonly startAt: string;
  readonly states: ReadonlyMap<string, State>;
}

export type State =
  | TaskState
  | PassState
  | ChoiceState
  | WaitState
  | SucceedState
  | FailState
  | ParallelState
  | MapState;

/** What all states have. `next` undefined ends the graph. */
interface StateBase {
  readonly name: string;
  readonly next: string | undefined;
  readonly output: Evaluate | undefined;
  /** Evaluates to an object of variables. */
  readonly assign: Evaluate | undefined;
  readonly retry: readonly Retrier[];
  readonly catch: readonly Catcher[];
}

export interface Catcher {
  readonly errorEquals: readonly string[];
  readonly next: string;
  readonly output: Evaluate | undefined;
  readonly assign: Evaluate | undefined;
}

export interface TaskState extends StateBase {
  readonly type: 'Task';
  /** `invoke`: the optimized integration; `token`: the same, waiting for its task token; `function`: a plain function ARN. */
  readonly kind: 'invoke' | 'token' | 'function';
  readonly resource: string;
  readonly arguments: Evaluate | undefined;
  readonly timeoutSeconds: Evaluate | undefined;
  readonly heartbeatSeconds: Evaluate | undefined;
}

export interface PassState extends StateBase {
  readonly type: 'Pass';
}

export interface ChoiceState extends StateBase {
  readonly type: 'Choice';
  readonly choices: readonly {
    readonly condition: Evaluate;
    readonly next: string;
    readonly output: Evaluate | undefined;
    readonly assign: Evaluate | undefined;
  }[];
  readonly default: string | undefined;
}

export interface WaitState extends StateBase {
  readonly type: 'Wait';
  readonly seconds: Evaluate | undefined;
  readonly timestamp: Evaluate | undefined;
}

export interface SucceedState extends StateBase {
  readonly type: 'Succeed';
}

export interface FailState extends StateBase {
  readonly type: 'Fail';
  readonly error: Evaluate | undefined;
  readonly cause: Evaluate | undefined;
}

export interface ParallelState extends StateBase {
  readonly type: 'Parallel';
  readonly arguments: Evaluate | undefined;
  readonly branches: readonly Graph[];
}

export interface MapState extends StateBase {
  readonly type: 'Map';
  readonly processor: Graph;
  readonly items: Evaluate | undefined;
  readonly itemSelector: Evaluate | undefined;
  readonly maxConcurrency: Evaluate | undefined;
  /** Undefined for an inline map. */
  readonly distributed: DistributedMap | undefined;
}

export interface DistributedMap {
  readonly label: string;
  readonly express: boolean;
  readonly toleratedFailureCount: Evaluate | undefined;
  readonly toleratedFailurePercentage: Evaluate | undefined;
  readonly reader: ItemReader | undefined;
  readonly writer: ResultWriter | undefined;
}

export interface ItemReader {
  readonly inputType: 'JSON' | 'JSONL';
  readonly maxItems: Evaluate | undefined;
  readonly arguments: Evaluate;
}

export interface ResultWriter {
  /** Undefined: the results stay in the state's output. */
  readonly arguments: Evaluate | undefined;
  readonly transformation: 'NONE' | 'COMPACT' | 'FLATTEN';
  readonly outputType: 'JSON' | 'JSONL';
}
