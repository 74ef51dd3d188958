/**
 * Runs `read` for each item, up to `width` at a time, and yields the results in the items' order. At most `width` items
 * and results are held, so a source of any length needs the same memory. The first error ends it.
 */
export async function* readAhead<T, R>(
  items: Iterable<T> | AsyncIterable<T>,
  width: number,
  read: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const reading: Promise<R>[] = [];
  for await (const item of items) {
    const result = read(item);
    // A read that fails while earlier ones are awaited is thrown in its turn, not as an unhandled rejection.
    result.catch(() => undefined);
    reading.push(result);
    const oldest = reading.length >= width ? reading.shift() : undefined;
    if (oldest !== undefined) yield await oldest;
  }
  for (const result of reading) yield await result;
}
