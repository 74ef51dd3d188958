import { isVaultObjectKey } from '../contracts/vault-layout.ts';
import { type Difference, readTestRecord, type TestRecord } from '../platform/as-recorded.ts';
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
  /** What those say that are as recorded, the newest test first. */
  readonly lostObjects: readonly TestedObjects[];
}

/** What one restore test found of the vault's objects. Its record names 100 findings of all kinds. */
export interface TestedObjects {
  /** So many it looked for. */
  readonly objectCount: number;
  /** Keys in the vault of objects and tenants' manifests that were missing. */
  readonly missing: readonly string[];
  /** Whether it found more than it names. */
  readonly isCut: boolean;
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
  const right = oncePerRuntime(readTestRecords, () => new Map<string, TestedObjects>());
  const recorded = Object.values(state.restoreTests).sort((a, b) => (a.restoreTestId < b.restoreTestId ? -1 : 1));
  const everyTime = [recorded.at(-1), rotateSample(recorded, 1, now)[0]];
  const isDoubted = (id: string) => doubted === 'all' || doubted.has(id);
  const asked = recorded.filter(
    test => everyTime.includes(test) || isDoubted(test.restoreTestId) || !right.has(JSON.stringify(test)),
  );
  const read = async (test: (typeof recorded)[number]) => {
    const { restoreTestId } = test;
    try {
      const found = await readTestRecord(evidenceBucket, test, state);
      if (found.difference !== undefined) {
        right.delete(JSON.stringify(test));
        return { restoreTestId, difference: found.difference };
      }
      right.set(JSON.stringify(test), testedObjects(found.record));
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
    lostObjects: recorded.toReversed().flatMap(test => right.get(JSON.stringify(test)) ?? []),
  };
}

function testedObjects(record: TestRecord | null): TestedObjects {
  const findings = record?.findings ?? [];
  const missing = findings.filter(({ kind, place }) => kind === 'object-missing' && isVaultObjectKey(place));
  return {
    objectCount: record?.objects?.objectCount ?? 0,
    missing: missing.map(({ place }) => place),
    isCut: (record?.findingCount ?? 0) > findings.length,
  };
}
