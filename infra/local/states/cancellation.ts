/** Stops whatever runs below it: an execution, or one branch or iteration whose sibling failed. */
export class Cancellation {
  #reason: Error | undefined;
  readonly #listeners = new Set<(reason: Error) => void>();

  /** A cancellation that is also cancelled with this one, until it is `release`d. */
  child(): Cancellation & { release(): void } {
    const child = new Cancellation();
    if (this.#reason !== undefined) child.cancel(this.#reason);
    const listener = (reason: Error) => child.cancel(reason);
    this.#listeners.add(listener);
    return Object.assign(child, { release: () => this.#listeners.delete(listener) });
  }

  cancel(reason: Error): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    for (const listener of this.#listeners) listener(reason);
    this.#listeners.clear();
  }

  /** @throws the reason, once cancelled. */
  check(): void {
    if (this.#reason !== undefined) throw this.#reason;
  }

  /** What `promise` gives, or the reason as soon as this is cancelled; the promise itself then runs on unheard. */
  race<T>(promise: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#reason !== undefined) {
        promise.catch(() => {});
        reject(this.#reason);
        return;
      }
      this.#listeners.add(reject);
      promise.then(resolve, reject).finally(() => this.#listeners.delete(reject));
    });
  }
}
