import { StateFailure } from '../../workflows/language/failure.ts';
import type { MapState } from '../../workflows/language/graph.ts';
import type { Json } from '../../workflows/language/json.ts';
import { runDistributedMap } from './distributed-map.ts';
import type { Attempt, Interpreter } from './interpreter.ts';
import { itemsOf, selectItem } from './map-items.ts';
import { runTogether } from './run-together.ts';

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
