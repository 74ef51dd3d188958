import type { KeptPoint, KeptTest } from '../../functions/contracts/retention.ts';
import { recoveryPointsLost } from '../../functions/platform/accepted-losses.ts';
import { whyPointDiffers, whyTestDiffers } from '../../functions/platform/as-recorded.ts';
import { inOrder } from '../../functions/platform/in-order.ts';
import { type LedgerPlace, readLedgerState } from '../../functions/platform/ledger.ts';
import type { LedgerProjection } from '../../functions/platform/ledger-projection.ts';
import { RootManifestInvalidError, readRootManifest } from '../../functions/platform/root-manifest.ts';

/** Where recovery points and tests are recorded, and whose signatures they bear. */
export type RecordsPlace = LedgerPlace & { readonly vaultBucket: string; readonly signingKeyArn: string };

/** A recovery point with its snapshots. */
export interface StoredPoint extends KeptPoint {
  readonly snapshotIds: readonly string[];
  /** Allocated storage of its snapshots; null where the root manifest cannot be believed. */
  readonly snapshotBytes: number | null;
}

const AT_ONCE = { underWay: 8, waiting: 8 };

/** What the ledger tells of recovery points and restore tests, as far as their signed records say the same. */
export async function readKeptPoints(
  place: RecordsPlace,
  now: Date,
): Promise<{ points: StoredPoint[]; tests: KeptTest[] }> {
  const state = await readLedgerState(place);
  const lost = recoveryPointsLost(state);
  const readPoint = async (recorded: LedgerProjection['recoveryPoints'][string]): Promise<StoredPoint> => {
    const { recoveryPointId, status } = recorded;
    const found = await readRootManifest(place, recoveryPointId).catch((error: unknown) => {
      if (error instanceof RootManifestInvalidError) return undefined;
      throw error;
    });
    if (found === undefined || whyPointDiffers(found, recorded, state, now) !== undefined) {
      return { recoveryPointId, status, isDoubted: true, tenants: null, snapshotIds: [], snapshotBytes: null };
    }
    const { databases, tenants } = found.recoveryPoint;
    const snapshots = new Map(databases.flatMap(({ snapshot }) => (snapshot ? [[snapshot.id, snapshot]] : [])));
    return {
      recoveryPointId,
      status,
      isDoubted: lost.has(recoveryPointId),
      // A snapshot holds every school of its database, whether or not it has files.
      tenants: snapshots.size > 0 ? null : tenants.flatMap(({ tenant }) => (tenant === null ? [] : [tenant])),
      snapshotIds: [...snapshots.keys()],
      snapshotBytes: [...snapshots.values()].reduce((sum, { allocatedStorageBytes }) => sum + allocatedStorageBytes, 0),
    };
  };
  const readTest = async (recorded: LedgerProjection['restoreTests'][string]): Promise<KeptTest[]> => {
    const differs = await whyTestDiffers(place.evidenceBucket, recorded, state);
    return differs === undefined ? [recorded] : [];
  };
  return {
    points: await Array.fromAsync(inOrder(Object.values(state.recoveryPoints), readPoint, AT_ONCE)),
    tests: (await Array.fromAsync(inOrder(Object.values(state.restoreTests), readTest, AT_ONCE))).flat(),
  };
}
