import { runDistributedMap } from './distributed-map.ts';
import { queryFailure, StateFailure } from './failure.ts';
import type { MapState } from './graph.ts';
import { type Attempt, checkPayload, type Interpreter, runTogether } from './interpreter.ts';
import { isObject, type Json, type JsonObject } from './json.ts';

// https://docs.aws.amazon.com/step-functions/latest/dg/state-map-inline.html
const INLINE_CONCURRENCY = 40;

/** Runs a Map state and returns its result. */
export async function runMap(interpreter: Interpreter, state: MapState, attempt: Attempt): Promise<Json> {
  const { frame } = attempt;
  if (state.distributed !== undefined) return runDistributedMap(interpreter, state, state.distributed, attempt);
  const items = await itemsOf(interpreter, state, attempt);
  const wanted = (await state.maxConcurrency?.(interpreter.environment(attempt))) as number | undefined;
  frame.record('MapStateStarted', { length: items.length });
  const limit = Math.min(wanted || INLINE_CONCURRENCY, INLINE_CONCURRENCY);
  try {
    const results = await runTogether(items.length, limit, frame, async (index, cancellation) => {
      const iteration = { name: state.name, index };
      frame.record('MapIterationStarted', iteration);
      const map = { Item: { Index: index, Value: items[index] ?? null } };
      try {
        const input = await selectItem(interpreter, state, attempt, map);
        const inner = frame.enter(state.name, index, cancellation, map);
        const result = await interpreter.runGraph(state.processor, input, inner);
        frame.record('MapIterationSucceeded', iteration);
        return result;
      } catch (error) {
        frame.record(error instanceof StateFailure ? 'MapIterationFailed' : 'MapIterationAborted', iteration);
        throw error;
      }
    });
    frame.record('MapStateSucceeded');
    return results;
  } catch (error) {
    if (error instanceof StateFailure) frame.record('MapStateFailed');
    throw error;
  }
}

/** The items of a Map state without a reader: its Items, or its input. */
export async function itemsOf(interpreter: Interpreter, state: MapState, attempt: Attempt): Promise<readonly Json[]> {
  const items = state.items === undefined ? attempt.input : await state.items(interpreter.environment(attempt));
  if (Array.isArray(items)) return items as readonly Json[];
  if (isObject(items) && state.items !== undefined) {
    throw new StateFailure(
      'States.Runtime',
      `The local cloud does not implement an object as Items (state '${state.name}').`,
    );
  }
  throw queryFailure('Items', 'Items', 'returned no list');
}

/** The input of one iteration: its item, or what ItemSelector makes of it. */
export async function selectItem(
  interpreter: Interpreter,
  state: MapState,
  attempt: Attempt,
  map: JsonObject & { Item: JsonObject },
): Promise<Json> {
  if (state.itemSelector === undefined) return map.Item.Value ?? null;
  const context = { ...attempt.context, Map: map };
  const input = await state.itemSelector(interpreter.environment({ ...attempt, context }));
  checkPayload(input, `input of an iteration of the state '${state.name}'`);
  return input;
}
