/** A definition as its JSON is, of which the tests read these fields. */
interface Catcher {
  readonly ErrorEquals: readonly string[];
  readonly Next: string;
}
export interface Retrier {
  readonly ErrorEquals: readonly string[];
  readonly IntervalSeconds: number;
  readonly BackoffRate: number;
  readonly MaxAttempts: number;
  readonly MaxDelaySeconds: number;
  readonly JitterStrategy?: 'FULL';
}
export interface State {
  readonly Type: string;
  readonly End?: true;
  readonly Next?: string;
  readonly Default?: string;
  readonly Choices?: readonly { readonly Condition: string; readonly Next: string }[];
  readonly Catch?: readonly Catcher[];
  readonly Retry?: readonly Retrier[];
  readonly TimeoutSeconds?: number | string;
  readonly Arguments?: { readonly FunctionName: string };
  readonly ToleratedFailurePercentage?: number;
  readonly Seconds?: number | string;
  readonly Assign?: Readonly<Record<string, unknown>>;
  readonly MaxConcurrency?: number | string;
  readonly ItemSelector?: Readonly<Record<string, unknown>>;
  readonly ItemProcessor?: Graph & { readonly ProcessorConfig?: { readonly Mode: string } };
  readonly Branches?: readonly Graph[];
}
export interface Graph {
  readonly StartAt: string;
  readonly States: Readonly<Record<string, State>>;
}

/** The graph itself, and the graph of each map and branch in it. */
export function graphsIn(graph: Graph): Graph[] {
  const inner = Object.values(graph.States).flatMap(({ ItemProcessor, Branches = [] }) => [
    ...(ItemProcessor === undefined ? [] : [ItemProcessor]),
    ...Branches,
  ]);
  return [graph, ...inner.flatMap(graphsIn)];
}

/** Every state in it, by its name, which no two have. */
export const statesIn = (graph: Graph): [string, State][] =>
  graphsIn(graph).flatMap(({ States }) => Object.entries(States));

/** Where a state may lead. */
export function nextOf({ Next, Default, Choices = [], Catch = [] }: State): string[] {
  const all = [Next, Default, ...Choices.map(choice => choice.Next), ...Catch.map(catcher => catcher.Next)];
  return [...new Set(all.filter(next => next !== undefined))];
}
