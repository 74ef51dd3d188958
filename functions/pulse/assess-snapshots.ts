import { CONTENT_LENGTH, type MissedThing } from '../contracts/losses.ts';
import { SNAPSHOT_PREFIX, SNAPSHOT_PURPOSES } from '../contracts/vault-layout.ts';
import { type SnapshotDifference, whySnapshotDiffers } from '../platform/as-recorded.ts';
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
export type SnapshotProblem = { readonly snapshotId: string } & SnapshotDifference;

/** Compares the snapshots that recovery points name with what is there. One snapshot may have several problems. */
export function assessSnapshots(
  expected: readonly ExpectedSnapshot[],
  found: readonly FoundSnapshot[],
): SnapshotProblem[] {
  const byId = new Map(found.map(snapshot => [snapshot.id, snapshot]));
  return expected.flatMap((named): SnapshotProblem[] => {
    const { id: snapshotId } = named;
    return whySnapshotDiffers(named, byId.get(snapshotId)).map(difference => ({ snapshotId, ...difference }));
  });
}

/** What is lost of them. */
export function lostSnapshots(problems: readonly SnapshotProblem[]): MissedThing[] {
  return problems.flatMap((found): MissedThing[] => {
    const { snapshotId } = found;
    if (found.problem === 'missing') return [{ kind: 'snapshot-missing', snapshotId }];
    if (found.problem === 'unavailable') return [{ kind: 'snapshot-unavailable', snapshotId, status: found.status }];
    return [{ kind: 'snapshot-replaced', snapshotId, content: found.content.slice(0, CONTENT_LENGTH) }];
  });
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
