/**
 * Starts work on items as they come, some at a time, and yields the results in the order of the items. When one fails, it
 * waits for what is under way and then throws the first failure.
 * @param start answers at once for items that need no work.
 * @param limits.underWay how many are worked on at a time; `limits.waiting`: how many results wait for an earlier one.
 */
export async function* inOrder<T, R>(
  items: Iterable<T> | AsyncIterable<T>,
  start: (item: T) => R | Promise<R>,
  limits: { underWay: number; waiting: number },
): AsyncGenerator<R> {
  const results: (R | Promise<R>)[] = [];
  let underWay = 0;
  let first = 0;
  const takeFirst = async (): Promise<R> => {
    const result = results[first++] as R | Promise<R>;
    if (first > limits.waiting) {
      results.splice(0, first);
      first = 0;
    }
    return result;
  };
  try {
    for await (const item of items) {
      let result = start(item);
      if (result instanceof Promise) {
        underWay++;
        result = result.finally(() => underWay--);
        result.catch(() => {});
      }
      results.push(result);
      while (underWay >= limits.underWay || results.length - first > limits.waiting) yield await takeFirst();
    }
    while (first < results.length) yield await takeFirst();
  } finally {
    await Promise.allSettled(results.slice(first));
  }
}

/** Makes a function that runs what it is given one at a time, in the order of its calls, whatever became of the one before. */
export function oneAtATime(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return work => {
    const run = last.then(work, work);
    last = run;
    return run;
  };
}
