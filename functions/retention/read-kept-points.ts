import type { RecoveryPoint } from '../contracts/recovery-point.ts';
import type { KeptPoint, KeptTest } from '../contracts/retention.ts';
import { recoveryPointsLost } from '../platform/accepted-losses.ts';
import { whyPointDiffers, whySnapshotDiffers, whyTestDiffers } from '../platform/as-recorded.ts';
import { PermanentError } from '../platform/errors.ts';
import { inOrder } from '../platform/in-order.ts';
import { readPublicKey } from '../platform/kms.ts';
import { type LedgerPlace, readLedgerState } from '../platform/ledger.ts';
import type { LedgerProjection } from '../platform/ledger-projection.ts';
import { type DBSnapshot, takenAt } from '../platform/rds.ts';
import { RootManifestInvalidError, readRootManifest } from '../platform/root-manifest.ts';
import { hasValidSignature } from '../platform/signature.ts';

/** Where recovery points and tests are recorded, and whose signatures they bear. */
export type RecordsPlace = LedgerPlace & { readonly vaultBucket: string; readonly signingKeyArn: string };

/** A recovery point with its snapshots. */
export interface StoredPoint extends KeptPoint {
  readonly snapshotIds: readonly string[];
  /** Allocated storage of its snapshots; null where it is in doubt, so that nobody knows what of them is there. */
  readonly snapshotBytes: number | null;
}

/** What is recorded of recovery points and restore tests. */
export interface KeptRecords {
  readonly points: readonly StoredPoint[];
  readonly tests: readonly KeptTest[];
  /** Sequences of entries of the ledger that this release does not understand: what they say is not among the rest. */
  readonly notUnderstood: readonly number[];
  /** What makes a doubt of something, one sentence each. */
  readonly findings: readonly string[];
}

const AT_ONCE = { underWay: 16, waiting: 16 };

/**
 * What the ledger tells of recovery points and restore tests, and whether their signed records, and RDS, say the same. It asks
 * KMS once for the public key that all root manifests are verified with.
 * @param listed every manual snapshot of the account; null where RDS was not asked, and the records are all there is. A recovery
 * point that is closed after they were listed is in doubt till the next look.
 * @throws LedgerBrokenError, and what of S3 and KMS may pass. A record that nobody can read is in doubt, which lets nothing go.
 */
export async function readKeptPoints(
  place: RecordsPlace,
  listed: readonly DBSnapshot[] | null,
  now: Date,
): Promise<KeptRecords> {
  const [state, publicKey] = await Promise.all([readLedgerState(place), readPublicKey(place.signingKeyArn)]);
  const lost = recoveryPointsLost(state);
  const snapshotsById = listed && new Map(listed.map(snapshot => [snapshot.DBSnapshotIdentifier ?? '', snapshot]));
  const findings: string[] = [];
  const readPoint = async (recorded: LedgerProjection['recoveryPoints'][string]): Promise<StoredPoint> => {
    const { recoveryPointId, status } = recorded;
    const found = await readRootManifest(place, recoveryPointId, signed => hasValidSignature(signed, publicKey)).catch(
      unlessItMayPass,
    );
    const reason = found instanceof Error ? found.message : whyPointDiffers(found, recorded, state, now)?.reason;
    if (found === undefined || found instanceof Error || reason !== undefined) {
      findings.push(`the root manifest of ${recoveryPointId} ${sayHow(found)}: ${reason}`);
      const unknown = { completedAt: null, tenants: null, snapshotIds: [], snapshotBytes: null };
      return { recoveryPointId, status, isDoubted: true, ...unknown };
    }
    const { databases, tenants, completedAt } = found.recoveryPoint;
    const snapshots = new Map(databases.flatMap(({ snapshot }) => (snapshot ? [[snapshot.id, snapshot]] : [])));
    const doubts = [
      ...(lost.has(recoveryPointId) ? ['that something of it is lost was accepted'] : []),
      ...(snapshotsById ? whySnapshotsDiffer([...snapshots.values()], snapshotsById) : []),
    ];
    findings.push(...doubts.map(doubt => `${recoveryPointId} is in doubt: ${doubt}`));
    const bytes = [...snapshots.values()].reduce((sum, { allocatedStorageBytes }) => sum + allocatedStorageBytes, 0);
    return {
      recoveryPointId,
      status,
      isDoubted: doubts.length > 0,
      completedAt,
      // A snapshot holds every school of its database, whether or not it has files.
      tenants: snapshots.size > 0 ? null : tenants.flatMap(({ tenant }) => (tenant === null ? [] : [tenant])),
      snapshotIds: [...snapshots.keys()],
      snapshotBytes: doubts.length > 0 ? null : bytes,
    };
  };
  const readTest = async (recorded: LedgerProjection['restoreTests'][string]): Promise<KeptTest> => {
    const { restoreTestId, recoveryPointId, verdict, sequence } = recorded;
    const differs = await whyTestDiffers(place.evidenceBucket, recorded, state).catch(unlessItMayPass);
    if (differs !== undefined) {
      const meaning = verdict === 'passed' ? 'it proves nothing' : `it ${VERDICT_WORDS[verdict]} all the same`;
      const reason = differs instanceof Error ? differs.message : differs.reason;
      findings.push(`the record of the restore test ${restoreTestId} ${sayHow(differs)}: ${reason}; ${meaning}`);
    }
    return { restoreTestId, recoveryPointId, verdict, sequence, isDoubted: differs !== undefined };
  };
  const points = await Array.fromAsync(inOrder(Object.values(state.recoveryPoints), readPoint, AT_ONCE));
  const tests = await Array.fromAsync(inOrder(Object.values(state.restoreTests), readTest, AT_ONCE));
  findings.push(
    ...state.notUnderstood.map(
      sequence => `entry ${sequence} of the ledger is not understood by this release: what it says is not counted`,
    ),
  );
  return { points, tests, notUnderstood: state.notUnderstood, findings: findings.toSorted() };
}

/** What stays wrong until somebody mends it is a doubt of one record, and stops none of the others. */
function unlessItMayPass(error: unknown): PermanentError {
  if (error instanceof PermanentError) return error;
  throw error;
}

/** What was not read is not called another one. */
function sayHow(found: unknown): string {
  const isUnread = found instanceof Error && !(found instanceof RootManifestInvalidError);
  return isUnread ? 'cannot be read' : 'is not what was recorded';
}

const VERDICT_WORDS = {
  failed: 'has failed',
  inconclusive: 'was inconclusive',
  'could-not-start': 'could not start',
} as const;

type NamedSnapshot = NonNullable<RecoveryPoint['databases'][number]['snapshot']>;

function whySnapshotsDiffer(named: readonly NamedSnapshot[], listed: ReadonlyMap<string, DBSnapshot>): string[] {
  return named.flatMap(snapshot => {
    const found = listed.get(snapshot.id);
    const differs = whySnapshotDiffers(
      snapshot,
      found && { status: found.Status, kmsKeyArn: found.KmsKeyId, takenAt: takenAt(found) },
    );
    return differs.map(({ reason }) => `of its snapshot ${snapshot.id}: ${reason}`);
  });
}
