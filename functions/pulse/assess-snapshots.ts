import { SNAPSHOT_PREFIX, SNAPSHOT_PURPOSES } from '../contracts/vault-layout.ts';
import { madeAt } from '../platform/scheduled-instant.ts';

/** A snapshot as the signed root manifest of a recovery point names it. */
export interface ExpectedSnapshot {
  readonly id: string;
  readonly takenAt: string;
  readonly kmsKeyArn: string;
}

/** A snapshot as RDS describes it. */
export interface FoundSnapshot {
  readonly id: string;
  readonly status: string | undefined;
  readonly kmsKeyArn: string | undefined;
  readonly takenAt: Date | undefined;
  /** The accounts that may restore it. */
  readonly sharedWith: readonly string[];
}

/** A snapshot of the account, whoever made it. */
export interface ListedSnapshot {
  readonly id: string;
  /** When this one was made, a copy too; undefined while it is not. */
  readonly createdAt: Date | undefined;
  readonly purpose: string | undefined;
  readonly recoveryPointId: string | undefined;
}

/** Something wrong with one snapshot. */
export interface SnapshotProblem {
  readonly snapshotId: string;
  readonly problem: 'missing' | 'altered' | 'shared';
  readonly reason: string;
}

/** Compares the snapshots that recovery points name with what is there. One snapshot may have several problems. */
export function assessSnapshots(
  expected: readonly ExpectedSnapshot[],
  found: readonly FoundSnapshot[],
): SnapshotProblem[] {
  const byId = new Map(found.map(snapshot => [snapshot.id, snapshot]));
  return expected.flatMap(({ id, takenAt, kmsKeyArn }): SnapshotProblem[] => {
    const snapshot = byId.get(id);
    if (snapshot === undefined) return [{ snapshotId: id, problem: 'missing', reason: 'RDS does not list it' }];
    const reasons = [
      ...(snapshot.status === 'available' ? [] : [`its status is ${snapshot.status}`]),
      ...(snapshot.kmsKeyArn === kmsKeyArn ? [] : ['it is not under the key that was signed for']),
      ...(snapshot.takenAt?.toISOString() === takenAt ? [] : ['it is of another time than was signed for']),
    ];
    return [
      ...reasons.map(reason => ({ snapshotId: id, problem: 'altered' as const, reason })),
      ...(snapshot.sharedWith.length === 0
        ? []
        : [
            {
              snapshotId: id,
              problem: 'shared' as const,
              reason: snapshot.sharedWith.includes('all')
                ? 'everybody may restore it'
                : `${snapshot.sharedWith.length} other accounts may restore it`,
            },
          ]),
    ];
  });
}

/** The snapshots that have a problem of this kind. */
export function snapshotsWith(problems: readonly SnapshotProblem[], kind: SnapshotProblem['problem']): string[] {
  return [...new Set(problems.filter(({ problem }) => problem === kind).map(({ snapshotId }) => snapshotId))];
}

/**
 * The snapshots that a backup made, by name or tag, and that no recovery point names, with their ages: what runs leave, and
 * the janitor removes before it is old.
 */
export function findUnproved(
  expected: readonly ExpectedSnapshot[],
  listed: readonly ListedSnapshot[],
  now: Date,
): { readonly snapshotId: string; readonly ageMs: number }[] {
  const named = new Set(expected.map(({ id }) => id));
  const purposes: readonly (string | undefined)[] = Object.values(SNAPSHOT_PURPOSES);
  return listed
    .filter(({ id, purpose }) => !named.has(id) && (id.startsWith(SNAPSHOT_PREFIX) || purposes.includes(purpose)))
    .map(({ id, createdAt, recoveryPointId }) => {
      const since = madeAt(createdAt, recoveryPointId) ?? now;
      return { snapshotId: id, ageMs: Math.max(0, now.getTime() - since.getTime()) };
    });
}
