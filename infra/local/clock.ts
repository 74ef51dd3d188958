import { AsyncLocalStorage } from 'node:async_hooks';
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises';
import type { Clock } from '../../functions/platform/clock.ts';

interface Sleeper {
  readonly atMs: number;
  readonly wake: () => void;
}

/** A piece of work that holds time, except while something inside it sleeps. */
interface Work {
  sleepers: number;
  ended: boolean;
}

/**
 * The local cloud's time. It flows with the machine's (`flowing`) or stands still (`manual`), and jumps over waits:
 * whenever nothing is `busy` and something sleeps, it moves to the earliest sleeper's instant. So a workflow's `Wait` of
 * 30 seconds costs nothing, and states that settle with time settle.
 */
export class LocalClock implements Clock {
  #offsetMs: number;
  #busy = 0;
  readonly #sleepers = new Set<Sleeper>();
  readonly #appointments = new Set<Sleeper>();
  #checking = false;
  readonly #flowing: boolean;
  readonly #workInside = new AsyncLocalStorage<Work>();

  constructor(options: { startsAt?: Date; flow: 'flowing' | 'manual' }) {
    this.#flowing = options.flow === 'flowing';
    const startMs = (options.startsAt ?? new Date()).getTime();
    this.#offsetMs = this.#flowing ? startMs - Date.now() : startMs;
  }

  now(): Date {
    return new Date(this.#nowMs());
  }

  /**
   * Sleeps through `durationMs` of this time, or until `signal` aborts: then it returns early, and time no longer jumps
   * to its end. Work that sleeps does not count as busy meanwhile.
   */
  async sleep(durationMs: number, { signal }: { signal?: AbortSignal } = {}): Promise<void> {
    if (signal?.aborted) return;
    const work = this.#workInside.getStore();
    if (work !== undefined && work.sleepers++ === 0 && !work.ended) this.#busy--;
    await new Promise<void>(wake => {
      const sleeper = { atMs: this.#nowMs() + durationMs, wake };
      this.#sleepers.add(sleeper);
      signal?.addEventListener('abort', () => {
        this.#sleepers.delete(sleeper);
        wake();
      });
      this.#scheduleCheck();
    });
    if (work !== undefined && --work.sleepers === 0 && !work.ended) this.#busy++;
  }

  /**
   * Calls `callback` once time has reached `when`; unlike a sleeper it never makes time jump. What it returns cancels the
   * appointment.
   */
  at(when: Date, callback: () => void): () => void {
    const appointment = { atMs: when.getTime(), wake: callback };
    this.#appointments.add(appointment);
    return () => {
      this.#appointments.delete(appointment);
    };
  }

  /** Holds time while `work` (real work of the machine: a handler, a file copy, a server's start) is under way. */
  async busy<T>(work: () => Promise<T>): Promise<T> {
    const piece: Work = { sleepers: 0, ended: false };
    this.#busy++;
    try {
      return await this.#workInside.run(piece, work);
    } finally {
      piece.ended = true;
      if (piece.sleepers === 0) this.#busy--;
      this.#scheduleCheck();
    }
  }

  /** Moves time forward by `durationMs`, waking sleepers and keeping appointments in order, as a test's hand does. */
  async advance(durationMs: number): Promise<void> {
    const targetMs = this.#nowMs() + durationMs;
    for (;;) {
      const next = earliest([...this.#sleepers, ...this.#appointments]);
      if (next === undefined || next.atMs > targetMs) break;
      this.#wake(next);
      await this.#rest();
    }
    this.#jumpTo(targetMs);
  }

  // Whoever was woken does its work in the time at which it was woken. Work that moves time itself cannot wait for itself.
  async #rest(): Promise<void> {
    await turn();
    if (this.#workInside.getStore() !== undefined) return;
    for (let idleTurns = 0; idleTurns < 2; idleTurns++) {
      await turn();
      while (this.#busy > 0) {
        await wait(1);
        idleTurns = 0;
      }
    }
  }

  #nowMs(): number {
    return this.#flowing ? Date.now() + this.#offsetMs : this.#offsetMs;
  }

  // Each appointment on the way is kept at its own instant.
  #jumpTo(atMs: number): void {
    for (;;) {
      const due = earliest(this.#appointments);
      if (due === undefined || due.atMs > Math.max(atMs, this.#nowMs())) break;
      this.#appointments.delete(due);
      this.#moveTo(due.atMs);
      due.wake();
    }
    this.#moveTo(atMs);
  }

  #moveTo(atMs: number): void {
    this.#offsetMs += Math.max(0, atMs - this.#nowMs());
  }

  #wake(next: Sleeper): void {
    this.#sleepers.delete(next);
    this.#appointments.delete(next);
    this.#jumpTo(next.atMs);
    next.wake();
  }

  // Two turns of the event loop, so that whatever a finished piece of work woke can become busy first.
  #scheduleCheck(): void {
    if (this.#checking) return;
    this.#checking = true;
    setImmediate(() =>
      setImmediate(() => {
        this.#checking = false;
        const next = earliest(this.#sleepers);
        if (this.#busy > 0 || next === undefined) return;
        this.#wake(next);
        this.#scheduleCheck();
      }),
    );
  }
}

function earliest(sleepers: Iterable<Sleeper>): Sleeper | undefined {
  let first: Sleeper | undefined;
  for (const sleeper of sleepers) if (first === undefined || sleeper.atMs < first.atMs) first = sleeper;
  return first;
}
