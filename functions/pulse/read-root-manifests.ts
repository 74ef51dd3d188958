import type { Deployment } from '../contracts/configuration.ts';
import type { RecoveryPoint } from '../contracts/recovery-point.ts';
import { whyPointDiffers } from '../platform/as-recorded.ts';
import { inOrder } from '../platform/in-order.ts';
import type { LedgerProjection } from '../platform/ledger-projection.ts';
import { RootManifestInvalidError, readRootManifest } from '../platform/root-manifest.ts';
import { oncePerRuntime } from '../platform/runtime.ts';
import type { ExpectedSnapshot } from './assess-snapshots.ts';
import { rotateSample } from './rotate-sample.ts';

/** What the root manifests of the ledger's recovery points say. */
export interface RootManifests {
  readonly snapshots: readonly ExpectedSnapshot[];
  /** The newest recovery point that was read this time and is as recorded; undefined when none was. */
  readonly newest: RecoveryPoint | undefined;
  /** Recovery points whose root manifest is gone or not what was recorded, each with the reason. */
  readonly altered: readonly { recoveryPointId: string; reason: string }[];
  /** Recovery points whose root manifest could not be read, with what came instead. */
  readonly unread: readonly { recoveryPointId: string; error: unknown }[];
}

type Recorded = LedgerProjection['recoveryPoints'][string];

const READ_AT_ONCE = 8;

/**
 * Reads root manifests back and compares them with the ledger: each one once in a function's lifetime, the newest and one
 * other, in turn, every time.
 */
export async function readRootManifests(
  state: Pick<LedgerProjection, 'recoveryPoints' | 'signedFrom'>,
  deployment: Deployment,
  now: Date,
): Promise<RootManifests> {
  const known = oncePerRuntime(readRootManifests, () => new Map<string, readonly ExpectedSnapshot[]>());
  const recorded = Object.values(state.recoveryPoints).sort((a, b) => (a.recoveryPointId < b.recoveryPointId ? -1 : 1));
  const newestId = recorded.at(-1)?.recoveryPointId;
  const turn = rotateSample(recorded, 1, now)[0]?.recoveryPointId;
  const read = async (point: Recorded) => {
    const { recoveryPointId, rootManifestSha256 } = point;
    const standing = known.get(rootManifestSha256 ?? '');
    if (standing !== undefined && recoveryPointId !== newestId && recoveryPointId !== turn) {
      return { recoveryPointId, snapshots: standing };
    }
    try {
      const found = await readRootManifest(deployment, recoveryPointId);
      const reason = whyPointDiffers(found, point, state, now);
      if (found === undefined || reason !== undefined)
        return { recoveryPointId, snapshots: standing, reason: reason ?? 'it is gone' };
      const snapshots = snapshotsOf(found.recoveryPoint);
      known.set(found.sha256, snapshots);
      return { recoveryPointId, snapshots, recoveryPoint: found.recoveryPoint };
    } catch (error) {
      if (error instanceof RootManifestInvalidError)
        return { recoveryPointId, snapshots: standing, reason: error.message };
      return { recoveryPointId, snapshots: standing, error };
    }
  };
  const results = await Array.fromAsync(inOrder(recorded, read, { underWay: READ_AT_ONCE, waiting: READ_AT_ONCE }));
  return {
    snapshots: results.flatMap(result => result.snapshots ?? []),
    newest: results.findLast(({ recoveryPoint }) => recoveryPoint !== undefined)?.recoveryPoint,
    altered: results.flatMap(({ recoveryPointId, reason }) =>
      reason === undefined ? [] : [{ recoveryPointId, reason }],
    ),
    unread: results.flatMap(result =>
      'error' in result ? [{ recoveryPointId: result.recoveryPointId, error: result.error }] : [],
    ),
  };
}

function snapshotsOf({ databases }: RecoveryPoint): ExpectedSnapshot[] {
  return databases.flatMap(({ snapshot }) =>
    snapshot === null ? [] : [{ id: snapshot.id, takenAt: snapshot.takenAt, kmsKeyArn: snapshot.kmsKeyArn }],
  );
}
