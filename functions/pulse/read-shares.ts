import { describeError } from '../platform/errors.ts';
import { inOrder } from '../platform/in-order.ts';
import { log } from '../platform/log.ts';
import { DatabaseResourceNotFoundError, listSnapshotShares } from '../platform/rds.ts';
import { rotateSample } from './rotate-sample.ts';

/** Each costs a call of RDS, which has no operation that tells of several. */
const SNAPSHOTS_AT_ONCE = 100;
const AT_ONCE = { underWay: 8, waiting: 8 };

/** What was found of snapshots that others may restore. */
export interface Shares {
  readonly shared: readonly string[];
  /** Which ones could not be asked about, with what came instead: it hides no other. */
  readonly unread: readonly { readonly snapshotId: string; readonly error: unknown }[];
}

/**
 * Finds snapshots that other accounts may restore: of the newest recovery point all, of the others a hundred in turn, and
 * those that were shared when they were looked at last. One that goes meanwhile is nobody's to restore.
 * @param there every snapshot that a recovery point named, and that is there.
 */
export async function readShares(
  there: readonly string[],
  before: readonly string[],
  newestId: string | undefined,
  now: Date,
): Promise<Shares> {
  const isNewest = (id: string) => newestId !== undefined && id.endsWith(`-${newestId}`);
  const all = there.toSorted();
  const asked = new Set([
    ...all.filter(id => isNewest(id) || before.includes(id)),
    ...rotateSample(all, SNAPSHOTS_AT_ONCE, now),
  ]);
  const shared: string[] = [];
  const unread: { snapshotId: string; error: unknown }[] = [];
  for await (const { snapshotId, ...found } of inOrder(asked, readOne, AT_ONCE)) {
    if ('error' in found) {
      unread.push({ snapshotId, error: found.error });
      log('error', 'a snapshot could not be asked about', { snapshotId, error: describeError(found.error) });
    } else if (found.accounts.length > 0) {
      shared.push(snapshotId);
      log('error', 'a snapshot is not as it should be', {
        ...{ snapshotId, problem: 'shared' },
        reason: describeShares(found.accounts),
      });
    }
  }
  return { shared, unread };
}

/** Says who may restore a snapshot, and names no account. */
export function describeShares(accounts: readonly string[]): string {
  return accounts.includes('all') ? 'everybody may restore it' : `${accounts.length} other accounts may restore it`;
}

async function readOne(
  snapshotId: string,
): Promise<{ snapshotId: string } & ({ accounts: readonly string[] } | { error: unknown })> {
  try {
    return { snapshotId, accounts: await listSnapshotShares(snapshotId) };
  } catch (error) {
    return error instanceof DatabaseResourceNotFoundError ? { snapshotId, accounts: [] } : { snapshotId, error };
  }
}
