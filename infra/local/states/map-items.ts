import { queryFailure, StateFailure } from '../../workflows/language/failure.ts';
import type { MapState } from '../../workflows/language/graph.ts';
import { isObject, type Json, type JsonObject } from '../../workflows/language/json.ts';
import type { Attempt, Interpreter } from './interpreter.ts';
import { checkPayload } from './payload.ts';

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
