import type { Step } from '../../../infra/access/role-names.ts';
import { STEP_DEFINITIONS } from '../../../infra/steps/definitions.ts';
import { type Graph, nextOf, type Retrier, type State } from './definition-graph.ts';

/** Entered and exited; of a task beside them what each attempt has: scheduled, started, and its end. */
const STATE_EVENTS = 2;
const ATTEMPT_EVENTS = 3;
/** Of a map, a map run, or a parallel state: its own, beside entered and exited, and those of each iteration or branch. */
const CONTAINER_EVENTS = 4;
const ITERATION_EVENTS = 2;
/** A step that is not done has worked until its function's time was short. */
const MINUTES_SPARED = 2;

/** The most that one execution may have to tell, and how long its states' loops may go on. */
interface Bound {
  /** Events that come once, with every retry, and the quick laps at the beginning of a loop. */
  readonly once: number;
  /** The most events that come in a millisecond from then on; until each instant after the start, the fewer the later. */
  readonly rates: readonly { readonly perMs: number; readonly untilMs: number }[];
}

export interface Sizes {
  /** How many items each map has; what it is not told of is a fault of the test. */
  readonly items: Readonly<Record<string, number>>;
  /** States that an execution enters once, though the definition does not say it. */
  readonly once: readonly string[];
  /** The function of each task. */
  readonly stepOf: (functionName: string) => Step;
}

/**
 * The most events of each execution of a definition, by the distributed map whose child it is (`''`: the execution itself).
 * Every task fails as often as its retriers let it, each time, by each of the errors that they name, where that makes more
 * events in the time that there is. Loops that follow each other share the time that there is; those of branches do not.
 */
export function worstHistories(definition: Graph, sizes: Sizes): Record<string, number> {
  const found: Record<string, number> = {};
  const boundOf = (graph: Graph, hours: ReadonlyMap<string, number>): Bound => {
    const inner = new Map(hours);
    const parts: Bound[] = [];
    let once = 0;
    for (const [name, state] of Object.entries(graph.States)) {
      for (const [variable, ms] of endsIn(state, inner)) inner.set(variable, ms);
      once += onceOf(state);
      if (state.Branches !== undefined) {
        const branches = state.Branches.map(branch => boundOf(branch, inner));
        once += CONTAINER_EVENTS + branches.length * ITERATION_EVENTS;
        const ends = branches.flatMap(({ rates }) => rates.map(({ untilMs }) => untilMs));
        parts.push({
          once: sum(branches.map(branch => branch.once)),
          rates: ends.map(untilMs => ({ perMs: sum(branches.map(branch => rateAt(branch, untilMs))), untilMs })),
        });
      }
      const { ItemProcessor, MaxConcurrency = 0 } = state;
      if (ItemProcessor === undefined) continue;
      if (ItemProcessor.ProcessorConfig?.Mode === 'DISTRIBUTED') {
        const alongside = Object.entries(state.ItemSelector ?? {}).flatMap(([variable, value]): [string, number][] => {
          const [, outer = ''] = /^{% \$(\w+) %}$/.exec(String(value)) ?? [];
          const ms = inner.get(outer);
          return ms === undefined ? [] : [[variable, ms]];
        });
        const child = boundOf(ItemProcessor, new Map(alongside));
        found[name] = totalOf(child);
        continue;
      }
      const items = sizes.items[name];
      if (items === undefined) throw new Error(`how many items does ${name} have?`);
      const item = boundOf(ItemProcessor, inner);
      const lanes = Math.min(items, Number(MaxConcurrency) || items);
      const rates = item.rates.map(({ perMs, untilMs }) => ({ perMs: perMs * lanes, untilMs }));
      parts.push({ once: items * (ITERATION_EVENTS + item.once), rates });
    }
    const loops = cyclesOf(graph, sizes.once).map(cycle => loopOf(cycle, inner, sizes));
    const all = [...parts, ...loops];
    return { once: once + sum(all.map(part => part.once)), rates: all.flatMap(part => part.rates) };
  };
  found[''] = totalOf(boundOf(definition, new Map()));
  return found;
}

/** What follows each other shares the time: at each instant there is the most of what may still go on. */
const rateAt = ({ rates }: Bound, atMs: number): number =>
  Math.max(0, ...rates.filter(({ untilMs }) => untilMs >= atMs).map(({ perMs }) => perMs));

function totalOf(bound: Bound): number {
  const ends = [...new Set(bound.rates.map(({ untilMs }) => untilMs))].sort((a, b) => a - b);
  const parts = ends.map((untilMs, index) => rateAt(bound, untilMs) * (untilMs - (ends[index - 1] ?? 0)));
  return Math.ceil(bound.once + sum(parts));
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** Instants that a state assigns, as milliseconds after the execution's start. */
function endsIn({ Assign = {} }: State, known: ReadonlyMap<string, number>): [string, number][] {
  return Object.entries(Assign).flatMap(([variable, value]): [string, number][] => {
    const text = String(value);
    const [, ms] = /StartTime\) \+ (\d+)\) %}$/.exec(text) ?? [];
    if (ms !== undefined) return [[variable, Number(ms)]];
    const [, given = ''] = /^{% \$states\.input\.(\w+) %}$/.exec(text) ?? [];
    const from = known.get(given);
    return from === undefined ? [] : [[variable, from]];
  });
}

function onceOf({ Retry = [], ItemProcessor }: State): number {
  const attempts = Retry.length === 0 ? 0 : 1 + sum(Retry.map(({ MaxAttempts }) => MaxAttempts));
  return STATE_EVENTS + attempts * ATTEMPT_EVENTS + (ItemProcessor === undefined ? 0 : CONTAINER_EVENTS);
}

type Cycle = readonly State[];

/** Every way round through some states, but for those that are entered once. */
function cyclesOf({ States }: Graph, once: readonly string[]): Cycle[] {
  const names = Object.keys(States).filter(name => !once.includes(name));
  const cycles: Cycle[] = [];
  const walk = (first: string, path: readonly string[]) => {
    for (const next of nextOf(States[path.at(-1) ?? ''] as State)) {
      if (next === first) cycles.push(path.map(name => States[name] as State));
      // Each is found from the first of its names alone.
      else if (!path.includes(next) && names.indexOf(next) > names.indexOf(first)) walk(first, [...path, next]);
    }
  };
  for (const name of names) walk(name, [name]);
  return cycles;
}

function loopOf(cycle: Cycle, ends: ReadonlyMap<string, number>, { stepOf }: Sizes): Bound {
  const texts = cycle.flatMap(({ Choices = [], TimeoutSeconds }) => [
    ...Choices.map(({ Condition }) => Condition),
    String(TimeoutSeconds),
  ]);
  const limits = texts.flatMap(text => {
    const [, elapsedMs] = /> (\d+) %}$/.exec(text) ?? [];
    const [, variable = ''] = /\$toMillis\(\$(\w*[eE]ndsAt)\)/.exec(text) ?? [];
    const atMs = elapsedMs === undefined ? ends.get(variable) : Number(elapsedMs);
    return atMs === undefined ? [] : [atMs];
  });
  if (limits.length === 0) throw new Error('a loop that nothing ends');
  const lastsMs = Math.min(...limits);
  const waits = cycle.flatMap(({ Seconds }) => (Seconds === undefined ? [] : [phasesOf(Seconds)]));
  const workMs = Math.min(
    ...cycle.flatMap(({ Arguments }) => {
      const minutes = Arguments && STEP_DEFINITIONS[stepOf(Arguments.FunctionName)].limits.timeoutMinutes;
      return minutes === undefined ? [] : [(minutes - MINUTES_SPARED) * 60_000];
    }),
  );
  const [phases = [{ untilMs: Number.POSITIVE_INFINITY, everyMs: workMs }]] = waits;
  let once = 0;
  let fromMs = 0;
  let steadyMs = workMs;
  for (const { untilMs, everyMs } of phases) {
    steadyMs = everyMs;
    if (untilMs === Number.POSITIVE_INFINITY) break;
    const laps = Math.ceil((Math.min(untilMs, lastsMs) - fromMs) / everyMs);
    once += Math.max(0, laps) * sum(cycle.map(onceOf));
    fromMs = untilMs;
  }
  return { once, rates: [{ perMs: rateOf(cycle, steadyMs), untilMs: lastsMs }] };
}

/**
 * With full jitter a delay is anything up to what it says, so half of it in the mean. Over the hundreds of retries that it takes to
 * fill a history, all of them together are never less than a quarter.
 */
const LEAST_OF_JITTER = 0.25;

/** The most events in a millisecond: a retry is one where it makes more of them, for it takes time. */
function rateOf(cycle: Cycle, lapMs: number): number {
  const tasks = cycle.filter(({ Type }) => Type === 'Task').length;
  const maps = cycle.filter(({ Type }) => Type === 'Map').length;
  let events = STATE_EVENTS * cycle.length + ATTEMPT_EVENTS * tasks + CONTAINER_EVENTS * maps;
  let ms = lapMs;
  const delays = cycle.flatMap(({ Retry = [] }) => Retry.flatMap(delaysOf));
  for (const delayMs of delays.sort((a, b) => a - b)) {
    if (ATTEMPT_EVENTS / delayMs <= events / ms) break;
    events += ATTEMPT_EVENTS;
    ms += delayMs;
  }
  return events / ms;
}

function delaysOf({ IntervalSeconds, BackoffRate, MaxAttempts, MaxDelaySeconds, JitterStrategy }: Retrier): number[] {
  const share = JitterStrategy === 'FULL' ? LEAST_OF_JITTER : 1;
  return Array.from(
    { length: MaxAttempts },
    (_, attempt) => Math.min(MaxDelaySeconds, IntervalSeconds * BackoffRate ** attempt) * 1000 * share,
  );
}

/** How often a wait lets a loop go round, as `untilAskingAgain` says it: the longer, the more seldom. */
function phasesOf(seconds: number | string): { untilMs: number; everyMs: number }[] {
  const forEver = Number.POSITIVE_INFINITY;
  if (typeof seconds === 'number') return [{ untilMs: forEver, everyMs: seconds * 1000 }];
  const [, first, every, second, then, last] = /< (\d+) \? (\d+) : .* < (\d+) \? (\d+) : (\d+) %}$/.exec(seconds) ?? [];
  if (last === undefined) throw new Error(`not understood: ${seconds}`);
  return [
    { untilMs: Number(first), everyMs: Number(every) * 1000 },
    { untilMs: Number(second), everyMs: Number(then) * 1000 },
    { untilMs: forEver, everyMs: Number(last) * 1000 },
  ];
}
