import { StateFailure } from './failure.ts';
import { type Json, type JsonObject, jsonByteCount } from './json.ts';

const ASSIGN_LIMIT_BYTES = 256 * 1024;

/**
 * The variables of one run through states: an execution, a branch or an iteration. Inner scopes read outer ones and
 * write only their own; a distributed map's children see none of them.
 * https://docs.aws.amazon.com/step-functions/latest/dg/workflow-variables.html
 */
export class Scope {
  readonly #outer: Scope | undefined;
  readonly #values = new Map<string, Json>();

  constructor(outer?: Scope) {
    this.#outer = outer;
  }

  read(name: string): Json | undefined {
    const own = this.#values.get(name);
    return own === undefined ? this.#outer?.read(name) : own;
  }

  /** @throws StateFailure `States.DataLimitExceeded` when the values of one Assign are larger than 256 KiB. */
  assign(values: JsonObject): void {
    if (jsonByteCount(values) > ASSIGN_LIMIT_BYTES) {
      throw new StateFailure('States.DataLimitExceeded', 'The variables that the state assigns exceed 256 KiB.');
    }
    for (const [name, value] of Object.entries(values)) this.#values.set(name, value);
  }

  /** Every variable that is visible here, by name. */
  visible(): JsonObject {
    return { ...this.#outer?.visible(), ...Object.fromEntries(this.#values) };
  }
}
