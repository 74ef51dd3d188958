import { Stopped } from '../../workflows/language/failure.ts';
import type { Frame } from './execution.ts';

/**
 * Runs `count` pieces of work, at most `limit` at once, and returns their results in order. The first failure stops the
 * others and is thrown once they have stopped.
 */
export async function runTogether<T>(
  count: number,
  limit: number,
  frame: Frame,
  run: (index: number, cancellation: Frame['cancellation']) => Promise<T>,
): Promise<T[]> {
  const cancellation = frame.cancellation.child();
  const results = new Array<T>(count);
  let failure: { error: unknown } | undefined;
  let begun = 0;
  const work = async (): Promise<void> => {
    while (begun < count && failure === undefined) {
      const index = begun++;
      try {
        results[index] = await run(index, cancellation);
      } catch (error) {
        failure ??= { error };
        cancellation.cancel(new Stopped('a sibling failed'));
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(count, limit) }, work));
  cancellation.release();
  if (failure !== undefined) throw failure.error;
  return results;
}
