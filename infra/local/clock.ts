import { AsyncLocalStorage } from 'node:async_hooks';
import { setImmediate as turn } from 'node:timers/promises';
import type { Clock } from '../../functions/platform/clock.ts';

interface Sleeper {
  readonly atMs: number;
  readonly wake: () => void;
}

/**
 * The local cloud's time. It flows with the machine's (`flowing`) or stands still (`manual`), and jumps over waits:
 * whenever nothing is `busy` and something sleeps, it moves to the earliest sleeper's instant. So a workflow's `Wait` of
 * 30 seconds costs nothing, and states that settle with time settle.
 */
export class LocalClock implements Clock {
  #offsetMs: number;
  #busy = 0;
  #sleepers: Sleeper[] = [];
  #appointments: Sleeper[] = [];
  #checking = false;
  readonly #flowing: boolean;
  readonly #insideBusy = new AsyncLocalStorage<boolean>();

  constructor(options: { startsAt?: Date; flow: 'flowing' | 'manual' }) {
    this.#flowing = options.flow === 'flowing';
    const startMs = (options.startsAt ?? new Date()).getTime();
    this.#offsetMs = this.#flowing ? startMs - Date.now() : startMs;
  }

  now(): Date {
    return new Date(this.#nowMs());
  }

  /** Sleeps through `durationMs` of this time. Work that sleeps does not count as busy meanwhile. */
  async sleep(durationMs: number): Promise<void> {
    const interruptsWork = this.#insideBusy.getStore() === true;
    if (interruptsWork) this.#busy--;
    await new Promise<void>(wake => {
      this.#sleepers.push({ atMs: this.#nowMs() + durationMs, wake });
      this.#scheduleCheck();
    });
    if (interruptsWork) this.#busy++;
  }

  /** Calls `callback` once time has reached `when`; unlike a sleeper it never makes time jump. */
  at(when: Date, callback: () => void): void {
    this.#appointments.push({ atMs: when.getTime(), wake: callback });
  }

  /** Holds time while `work` (real work of the machine: a handler, a file copy, a server's start) is under way. */
  async busy<T>(work: () => Promise<T>): Promise<T> {
    this.#busy++;
    try {
      return await this.#insideBusy.run(true, work);
    } finally {
      this.#busy--;
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
      await turn();
    }
    this.#jumpTo(targetMs);
  }

  #nowMs(): number {
    return this.#flowing ? Date.now() + this.#offsetMs : this.#offsetMs;
  }

  #jumpTo(atMs: number): void {
    this.#offsetMs += Math.max(0, atMs - this.#nowMs());
    for (const due of this.#appointments.filter(appointment => appointment.atMs <= this.#nowMs())) this.#wake(due);
  }

  #wake(next: Sleeper): void {
    this.#sleepers = this.#sleepers.filter(other => other !== next);
    this.#appointments = this.#appointments.filter(other => other !== next);
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

function earliest(sleepers: readonly Sleeper[]): Sleeper | undefined {
  return sleepers.reduce<Sleeper | undefined>(
    (first, sleeper) => (first === undefined || sleeper.atMs < first.atMs ? sleeper : first),
    undefined,
  );
}
