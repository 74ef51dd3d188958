import { describe, expect, it } from 'vitest';
import { LocalClock } from '../../../infra/local/clock.ts';

const START = new Date('2026-01-01T00:00:00.000Z');

function manualClock() {
  const clock = new LocalClock({ startsAt: START, flow: 'manual' });
  return { clock, elapsedMs: () => clock.now().getTime() - START.getTime() };
}

async function turns(count = 10): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise(setImmediate);
}

describe('sleeping', () => {
  it('jumps to the earliest sleeper first', async () => {
    const { clock, elapsedMs } = manualClock();
    const woken: [string, number][] = [];
    await Promise.all(
      [['b', 2000] as const, ['a', 1000] as const, ['c', 3000] as const].map(async ([name, ms]) => {
        await clock.sleep(ms);
        woken.push([name, elapsedMs()]);
      }),
    );
    expect(woken).toEqual([
      ['a', 1000],
      ['b', 2000],
      ['c', 3000],
    ]);
  });

  it('ends early when it is aborted, and then time does not jump to its end', async () => {
    const { clock, elapsedMs } = manualClock();
    const controller = new AbortController();
    const slept = clock.busy(() => clock.sleep(60_000, { signal: controller.signal }));
    controller.abort();
    await slept;
    await clock.sleep(1, { signal: controller.signal });
    await turns();
    expect(elapsedMs()).toBe(0);
  });
});

describe('work', () => {
  it('holds time, but not while it sleeps', async () => {
    const { clock, elapsedMs } = manualClock();
    const other = clock.sleep(10_000);
    await clock.busy(async () => {
      await turns();
      expect(elapsedMs()).toBe(0);
      await clock.sleep(5000);
      await turns();
      expect(elapsedMs()).toBe(5000);
    });
    await other;
    expect(elapsedMs()).toBe(10_000);
  });

  it('that sleeps twice at once does not let go of time that others hold', async () => {
    const { clock, elapsedMs } = manualClock();
    const sleeping = clock.busy(() => Promise.all([clock.sleep(1000), clock.sleep(2000)]));
    await clock.busy(async () => {
      await turns();
      expect(elapsedMs()).toBe(0);
    });
    await sleeping;
    expect(elapsedMs()).toBe(2000);
  });

  it('that ended while a part of it slept does not hold time for ever', async () => {
    const { clock, elapsedMs } = manualClock();
    let slept: Promise<void> = Promise.resolve();
    await clock.busy(async () => {
      slept = clock.sleep(1000);
    });
    await slept;
    await clock.sleep(1000);
    expect(elapsedMs()).toBe(2000);
  });
});

describe('appointments', () => {
  it('are kept in order while time is advanced, and never make it jump', async () => {
    const { clock, elapsedMs } = manualClock();
    const kept: [string, number][] = [];
    const at = (name: string, ms: number) =>
      clock.at(new Date(START.getTime() + ms), () => kept.push([name, elapsedMs()]));
    at('late', 3000);
    at('early', 1000);
    const cancel = at('cancelled', 2000);
    cancel();
    await turns();
    expect(kept).toEqual([]);
    await clock.advance(2500);
    expect(kept).toEqual([['early', 1000]]);
    await clock.sleep(5000);
    expect(elapsedMs()).toBe(7500);
    expect(kept).toEqual([
      ['early', 1000],
      ['late', 3000],
    ]);
  });
});
