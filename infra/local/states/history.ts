import { StateFailure } from '../../workflows/language/failure.ts';
import type { Json } from '../../workflows/language/json.ts';

/** One event of an execution, as `GetExecutionHistory` shows it. JSON payloads are kept as values. */
export interface HistoryEvent {
  readonly id: number;
  readonly previousEventId: number;
  readonly timestamp: Date;
  /** `TaskStateEntered`, `ExecutionFailed`, … */
  readonly type: string;
  readonly details: { readonly [field: string]: Json | undefined } | undefined;
}

const EVENT_LIMIT = 25_000;
const TERMINAL_TYPES = new Set(['ExecutionSucceeded', 'ExecutionFailed', 'ExecutionAborted', 'ExecutionTimedOut']);

/**
 * The events of one execution. The 25,000th may only be the last.
 * https://docs.aws.amazon.com/step-functions/latest/dg/bp-history-limit.html
 */
export class History {
  readonly #events: HistoryEvent[] = [];

  get events(): readonly HistoryEvent[] {
    return this.#events;
  }

  /** @returns the event's id. @throws StateFailure `States.Runtime`, which nothing catches, at the limit. */
  record(timestamp: Date, type: string, previousEventId: number, details?: HistoryEvent['details']): number {
    const id = this.#events.length + 1;
    if (id >= EVENT_LIMIT && !TERMINAL_TYPES.has(type)) {
      throw new StateFailure(
        'States.Runtime',
        `The execution reached the maximum number of history events (${EVENT_LIMIT}).`,
      );
    }
    this.#events.push({ id, previousEventId, timestamp, type, details });
    return id;
  }
}
