import { type Difference, whyTestDiffers } from '../platform/as-recorded.ts';
import { inOrder } from '../platform/in-order.ts';
import type { LedgerProjection } from '../platform/ledger-projection.ts';
import { oncePerRuntime } from '../platform/runtime.ts';
import { rotateSample } from './rotate-sample.ts';

/** What the records of the ledger's restore tests say. */
export interface TestRecords {
  /** Tests whose record is gone or not what the ledger says, each with the reason. */
  readonly altered: readonly (Difference & { readonly restoreTestId: string })[];
  /** Tests whose record could not be read, with what came instead. */
  readonly unread: readonly { restoreTestId: string; error: unknown }[];
}

const READ_AT_ONCE = 8;

/**
 * Reads the records of restore tests back and compares them with the ledger: each one once in a function's lifetime, the
 * newest and one other, in turn, every time; one that was not right, every time.
 * @param doubted tests whose record any runtime missed last: what this one saw of them holds no longer. `all` where nobody
 * knows.
 */
export async function readTestRecords(
  state: Pick<LedgerProjection, 'restoreTests' | 'signedFrom'>,
  { evidenceBucket }: { evidenceBucket: string },
  doubted: ReadonlySet<string> | 'all',
  now: Date,
): Promise<TestRecords> {
  const right = oncePerRuntime(readTestRecords, () => new Set<string>());
  const recorded = Object.values(state.restoreTests).sort((a, b) => (a.restoreTestId < b.restoreTestId ? -1 : 1));
  const everyTime = [recorded.at(-1), rotateSample(recorded, 1, now)[0]];
  const isDoubted = (id: string) => doubted === 'all' || doubted.has(id);
  const asked = recorded.filter(
    test => everyTime.includes(test) || isDoubted(test.restoreTestId) || !right.has(JSON.stringify(test)),
  );
  const read = async (test: (typeof recorded)[number]) => {
    const { restoreTestId } = test;
    try {
      const difference = await whyTestDiffers(evidenceBucket, test, state);
      if (difference !== undefined) {
        right.delete(JSON.stringify(test));
        return { restoreTestId, difference };
      }
      right.add(JSON.stringify(test));
      return { restoreTestId };
    } catch (error) {
      return { restoreTestId, error };
    }
  };
  const found = await Array.fromAsync(inOrder(asked, read, { underWay: READ_AT_ONCE, waiting: READ_AT_ONCE }));
  return {
    altered: found.flatMap(({ restoreTestId, difference }) =>
      difference === undefined ? [] : [{ restoreTestId, ...difference }],
    ),
    unread: found.flatMap(result =>
      'error' in result ? [{ restoreTestId: result.restoreTestId, error: result.error }] : [],
    ),
  };
}
