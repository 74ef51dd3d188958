import type { PlannedRemoval } from '../contracts/daily-backup.ts';
import { instantOfId, RecoveryPointId } from '../contracts/identifiers.ts';
import type { RecoveryPoint } from '../contracts/recovery-point.ts';
import { intermediateSnapshotId, SNAPSHOT_PURPOSES, vaultSnapshotId } from '../contracts/vault-layout.ts';
import { CLOCK_SKEW_MS, CLOSED_FOR_GOOD_MS } from '../platform/scheduled-instant.ts';
import { checkVaultCopy } from './check-vault-copy.ts';

/** A manual snapshot of the account. */
export interface SnapshotFacts {
  readonly snapshotId: string;
  readonly status: string | undefined;
  /** `SnapshotCreateTime`: of a copy, when it was made. */
  readonly createdAt: Date | undefined;
  /** Of a copy, when its source was asked for. */
  readonly takenAt: Date | undefined;
  readonly storageEncryptionType: string | undefined;
  readonly keyArn: string | undefined;
  readonly purpose: string | undefined;
  readonly recoveryPointId: string | undefined;
}

/** Every manual snapshot of the account, by its name. */
export type Snapshots = ReadonlyMap<string, SnapshotFacts>;

/** The root manifest of one recovery point; whoever could not read it must not judge by it. */
export type ManifestFacts =
  | { readonly kind: 'read'; readonly databases: RecoveryPoint['databases'] }
  | { readonly kind: 'none' }
  | { readonly kind: 'unreadable' };

export interface Kept {
  readonly kind: 'keep';
  readonly reason: string;
}

/** What a backup left and its age lets go, unless its root manifest speaks for it. */
export interface Candidate {
  readonly kind: 'candidate';
  readonly snapshot: SnapshotFacts;
  readonly recoveryPointId: string;
  readonly purpose: PlannedRemoval['purpose'];
  /** The copy for the vault: the snapshot itself, or what is made of it. */
  readonly copyId: string;
}

/** How old a snapshot itself has to be: one that became available late can be looked into for so long. */
const LEFT_ALONE_MS = 48 * 60 * 60_000;

/**
 * Whether a snapshot is one that a backup left behind, by its name, tags, state and age. Name and both tags must say the
 * same, of a configured database: what somebody else named or tagged is kept. A snapshot without a time counts as made at the
 * last moment that one can be made for its recovery point.
 */
export function findCandidate(
  snapshot: SnapshotFacts,
  { snapshots, databaseIds, now }: { snapshots: Snapshots; databaseIds: readonly string[]; now: Date },
): Candidate | Kept {
  const { snapshotId, status, createdAt, purpose, recoveryPointId } = snapshot;
  if (purpose === SNAPSHOT_PURPOSES.proved) return keep('its tag says that a root manifest names it as proved');
  if (purpose !== SNAPSHOT_PURPOSES.intermediate && purpose !== SNAPSHOT_PURPOSES.unproved) {
    return keep('its tags do not say that a backup left it');
  }
  const scheduledMs = readInstant(recoveryPointId);
  if (recoveryPointId === undefined || scheduledMs === undefined) return keep('its tags name no recovery point');
  const databaseId = databaseIdIn(snapshotId, purpose, recoveryPointId);
  if (databaseId === undefined) return keep('its name and its tags do not agree');
  if (!databaseIds.includes(databaseId)) return keep('its database is not configured');

  if (now.getTime() - scheduledMs < CLOSED_FOR_GOOD_MS) return keep('its recovery point can still be closed');
  if (status !== 'available' && status !== 'failed') return keep(`its status is ${status}`);
  const createdMs = createdAt?.getTime() ?? scheduledMs + CLOSED_FOR_GOOD_MS;
  if (createdMs < scheduledMs - CLOCK_SKEW_MS) return keep('it is older than its recovery point: no backup made it');
  if (now.getTime() - createdMs < LEFT_ALONE_MS) return keep('it is younger than 48 hours');
  const copyId = vaultSnapshotId(recoveryPointId, databaseId);
  // "If the snapshot is being copied, the copy operation is terminated."
  // https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DeleteDBSnapshot.html
  const copyStatus = copyId === snapshotId ? undefined : snapshots.get(copyId)?.status;
  if (copyStatus === 'copying' || copyStatus === 'creating') return keep('it is being copied');
  return { kind: 'candidate', snapshot, recoveryPointId, purpose, copyId };
}

/**
 * Whether a candidate is to be removed. What the root manifest names is kept, also where nothing proves it; and so is an
 * intermediate snapshot whose copy it names, until that copy reads back as signed for.
 */
export function judgeCandidate(
  { snapshot, recoveryPointId, purpose, copyId }: Candidate,
  manifest: ManifestFacts,
  snapshots: Snapshots,
): Kept | { readonly kind: 'remove'; readonly removal: PlannedRemoval } {
  const { snapshotId, createdAt } = snapshot;
  const remove = (reason: string) => ({
    kind: 'remove' as const,
    removal: { snapshotId, recoveryPointId, purpose, createdAt: createdAt?.toISOString() ?? null, reason },
  });
  if (manifest.kind === 'unreadable') return keep('its root manifest cannot be read');
  const named = manifest.kind === 'read' ? manifest.databases.flatMap(database => database.snapshot ?? []) : [];
  if (named.some(({ id }) => id === snapshotId)) return keep('its root manifest names it');
  if (snapshot.status === 'failed') return remove('it failed');
  if (purpose === SNAPSHOT_PURPOSES.unproved) return remove('no root manifest names it');
  const copies = named.filter(({ id }) => id === copyId);
  if (copies.length === 0) return remove('no root manifest names a copy of it');
  const isThere = copies.every(({ kmsKeyArn, takenAt }) => {
    const copy = snapshots.get(copyId);
    return copy?.takenAt?.toISOString() === takenAt && checkVaultCopy(describeAsRds(copy), kmsKeyArn).length === 0;
  });
  return isThere ? remove('its copy is in the vault') : keep('its copy does not read back as its root manifest says');
}

const keep = (reason: string): Kept => ({ kind: 'keep', reason });

const describeAsRds = ({ status, storageEncryptionType, keyArn }: SnapshotFacts) => ({
  Status: status,
  StorageEncryptionType: storageEncryptionType as 'sse-kms' | undefined,
  KmsKeyId: keyArn,
});

function readInstant(recoveryPointId: string | undefined): number | undefined {
  const parsed = RecoveryPointId.safeParse(recoveryPointId);
  const ms = parsed.success ? Date.parse(instantOfId(parsed.data)) : Number.NaN;
  return Number.isNaN(ms) ? undefined : ms;
}

/** The database that a snapshot is named after; undefined when it is not called as backups call theirs. */
function databaseIdIn(
  snapshotId: string,
  purpose: PlannedRemoval['purpose'],
  recoveryPointId: string,
): string | undefined {
  const nameFor = purpose === SNAPSHOT_PURPOSES.intermediate ? intermediateSnapshotId : vaultSnapshotId;
  // No name holds a slash.
  const [before = '', after = ''] = nameFor(recoveryPointId, '/').split('/');
  const databaseId = snapshotId.slice(before.length, -after.length);
  return nameFor(recoveryPointId, databaseId) === snapshotId ? databaseId : undefined;
}
