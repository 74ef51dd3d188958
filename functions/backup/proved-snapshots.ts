import type { RecoveryPoint } from '../contracts/recovery-point.ts';
import { PermanentError } from '../platform/errors.ts';

/** Snapshots that a recovery point's root manifest names as proved are gone, or others stand in their place. */
export class SnapshotGoneError extends PermanentError {
  constructor(recoveryPointId: string, snapshotIds: readonly string[]) {
    super(
      `recovery point ${recoveryPointId} was closed with ${snapshotIds.join(', ')}, of which nothing is there any more, and it takes no other; see runbooks/vault-altered.md, and back up for the present instant`,
    );
  }
}

type Proved = NonNullable<RecoveryPoint['databases'][number]['snapshot']> & { readonly databaseId: string };

/** The snapshots that a root manifest names with nothing against them. */
export function provedSnapshots({ databases }: Pick<RecoveryPoint, 'databases'>): Proved[] {
  return databases.flatMap(({ databaseId, snapshot, failure }) =>
    snapshot === null || failure !== null ? [] : [{ ...snapshot, databaseId }],
  );
}
