import { randomBytes } from 'node:crypto';
import { StateFailure } from '../../workflows/language/failure.ts';
import type { Json } from '../../workflows/language/json.ts';

/** A task that waits for `SendTaskSuccess` or `SendTaskFailure`. */
interface WaitingTask {
  readonly stateMachineArn: string;
  readonly resolve: (output: Json) => void;
  readonly reject: (failure: StateFailure) => void;
  readonly beat: () => void;
}

/** The task tokens that are waited for. A token dies with its task. */
export class TaskTokens {
  readonly #waiting = new Map<string, WaitingTask>();

  /** Opens a token. `beat` is called on each heartbeat; `close` makes the token unknown. */
  open(stateMachineArn: string, beat: () => void): { token: string; answer: Promise<Json>; close: () => void } {
    const token = randomBytes(48).toString('base64');
    const answer = new Promise<Json>((resolve, reject) => {
      this.#waiting.set(token, { stateMachineArn, resolve, reject, beat });
    });
    answer.catch(() => {});
    return { token, answer, close: () => this.#waiting.delete(token) };
  }

  /** The state machine whose task waits for the token; undefined when none does. */
  stateMachineOf(token: string): string | undefined {
    return this.#waiting.get(token)?.stateMachineArn;
  }

  succeed(token: string, output: Json): void {
    this.#waiting.get(token)?.resolve(output);
    this.#waiting.delete(token);
  }

  fail(token: string, error: string | undefined, cause: string | undefined): void {
    this.#waiting.get(token)?.reject(new StateFailure(error, cause));
    this.#waiting.delete(token);
  }

  beat(token: string): void {
    this.#waiting.get(token)?.beat();
  }
}
