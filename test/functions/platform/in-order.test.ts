import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { inOrder } from '../../../functions/platform/in-order.ts';

async function* numbers(count: number) {
  for (let number = 0; number < count; number++) yield number;
}

describe('work in order', () => {
  it('yields in the order of the items, whatever finishes first, within its limit', async () => {
    let underWay = 0;
    let most = 0;
    const results = inOrder(
      numbers(50),
      number => {
        if (number % 3 === 0) return number;
        most = Math.max(most, ++underWay);
        return wait((number * 7) % 5).then(() => {
          underWay--;
          return number;
        });
      },
      { underWay: 4, waiting: 10 },
    );
    expect(await Array.fromAsync(results)).toEqual(Array.from({ length: 50 }, (_, index) => index));
    expect(most).toBe(4);
  });

  it('does not run ahead of a slow item without bound', async () => {
    let started = 0;
    let finishFirst = () => {};
    const first = new Promise<void>(resolve => {
      finishFirst = resolve;
    });
    const results = inOrder(
      numbers(1000),
      number => {
        started++;
        return number === 0 ? first.then(() => number) : number;
      },
      { underWay: 4, waiting: 10 },
    );
    const next = results.next();
    await wait(5);
    expect(started).toBe(11);
    finishFirst();
    expect(await next).toEqual({ done: false, value: 0 });
    expect((await Array.fromAsync(results)).length).toBe(999);
  });

  it('waits for what is under way before it throws the first failure', async () => {
    let started = 0;
    let finished = 0;
    const results = inOrder(
      numbers(100),
      async number => {
        started++;
        if (number === 1) throw new RangeError('one');
        await wait(5);
        finished++;
        return number;
      },
      { underWay: 4, waiting: 10 },
    );
    await expect(Array.fromAsync(results)).rejects.toThrow(new RangeError('one'));
    expect(started).toBeLessThan(10);
    expect(finished).toBe(started - 1);
  });
});
