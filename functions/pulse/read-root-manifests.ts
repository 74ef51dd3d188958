import type { Deployment } from '../contracts/configuration.ts';
import type { RecoveryPoint } from '../contracts/recovery-point.ts';
import { type Difference, whyPointDiffers } from '../platform/as-recorded.ts';
import { inOrder } from '../platform/in-order.ts';
import type { LedgerProjection } from '../platform/ledger-projection.ts';
import { RootManifestInvalidError, readRootManifest } from '../platform/root-manifest.ts';
import { oncePerRuntime } from '../platform/runtime.ts';
import type { ExpectedSnapshot } from './assess-snapshots.ts';
import { rotateSample } from './rotate-sample.ts';

/** What the root manifests of the ledger's recovery points say. */
export interface RootManifests {
  /** What those name that are as recorded. */
  readonly snapshots: readonly ExpectedSnapshot[];
  /** What those named that are not, or could not be read now, when this runtime saw them last: others know nothing of it. */
  readonly remembered: readonly (ExpectedSnapshot & { readonly recoveryPointId: string })[];
  /** The newest recovery point that was read this time and is as recorded; undefined when none was. */
  readonly newest: RecoveryPoint | undefined;
  /** Whether that is the newest one of the ledger: what it does not name is named no more. */
  readonly isNewestRead: boolean;
  /** The one whose turn it is. */
  readonly inTurn: RecoveryPoint | undefined;
  /** The newest one whose backup knew what pulse missed; undefined where there is none, or it was not read. */
  readonly knowing: RecoveryPoint | undefined;
  /** Recovery points whose root manifest is gone or not what was recorded, each with what it is instead. */
  readonly altered: readonly (Difference & { readonly recoveryPointId: string })[];
  /** Recovery points whose root manifest could not be read, with what came instead. */
  readonly unread: readonly { recoveryPointId: string; error: unknown }[];
}

type Recorded = LedgerProjection['recoveryPoints'][string];

/** What a root manifest was found to be when it was read last. */
interface Standing {
  readonly snapshots: readonly ExpectedSnapshot[];
  readonly isRight: boolean;
}

/** One reading: what was found, why it is not what was recorded, or what came instead. */
interface Reading {
  readonly recoveryPointId: string;
  readonly snapshots: readonly ExpectedSnapshot[] | undefined;
  readonly recoveryPoint?: RecoveryPoint;
  readonly difference?: Difference;
  readonly error?: unknown;
}

const READ_AT_ONCE = 8;

/**
 * Reads root manifests back and compares them with the ledger: each one once in a function's lifetime, the newest and one
 * other, in turn, every time; one that was not right, every time.
 * @param doubted recovery points whose root manifest any runtime missed last: what this one saw of them holds no longer.
 * `all` where nobody knows.
 */
export async function readRootManifests(
  state: Pick<LedgerProjection, 'recoveryPoints' | 'signedFrom'>,
  deployment: Deployment,
  doubted: ReadonlySet<string> | 'all',
  now: Date,
): Promise<RootManifests> {
  const known = oncePerRuntime(readRootManifests, () => new Map<string, Standing>());
  const recorded = Object.values(state.recoveryPoints).sort((a, b) => (a.recoveryPointId < b.recoveryPointId ? -1 : 1));
  const newestId = recorded.at(-1)?.recoveryPointId;
  const turn = rotateSample(recorded, 1, now)[0]?.recoveryPointId;
  const knowingId = recorded.findLast(({ objectLosses }) => (objectLosses?.knownAt ?? null) !== null)?.recoveryPointId;
  const everyTime = [newestId, turn, knowingId];
  const read = async (point: Recorded): Promise<Reading> => {
    const { recoveryPointId } = point;
    const said = JSON.stringify(point);
    const standing = known.get(said);
    const snapshots = standing?.snapshots;
    const isDoubted = doubted === 'all' || doubted.has(recoveryPointId);
    if (standing?.isRight && !isDoubted && !everyTime.includes(recoveryPointId)) {
      return { recoveryPointId, snapshots };
    }
    const differs = (difference: Difference) => {
      if (standing !== undefined) known.set(said, { ...standing, isRight: false });
      return { recoveryPointId, snapshots, difference };
    };
    try {
      const found = await readRootManifest(deployment, recoveryPointId);
      const difference = whyPointDiffers(found, point, state, now);
      if (found === undefined || difference !== undefined) {
        return differs(difference ?? { how: 'gone', reason: 'it is gone' });
      }
      const { recoveryPoint } = found;
      const named = snapshotsOf(recoveryPoint);
      // Another one, of a rerun, is read until it is recorded.
      const isRight = point.rootManifestSha256 === null || found.sha256 === point.rootManifestSha256;
      known.set(said, { snapshots: named, isRight });
      return { recoveryPointId, snapshots: named, recoveryPoint };
    } catch (error) {
      if (error instanceof RootManifestInvalidError) {
        const { contentSha256, message: reason } = error;
        return differs(contentSha256 === null ? { how: 'gone', reason } : { how: 'altered', reason, contentSha256 });
      }
      return { recoveryPointId, snapshots, error };
    }
  };
  const snapshots: ExpectedSnapshot[] = [];
  const remembered: (ExpectedSnapshot & { recoveryPointId: string })[] = [];
  const altered: (Difference & { recoveryPointId: string })[] = [];
  const unread: { recoveryPointId: string; error: unknown }[] = [];
  let newest: RecoveryPoint | undefined;
  // Of a year of them these alone are kept: each names every school.
  const kept = new Map<string | undefined, RecoveryPoint>();
  for await (const result of inOrder(recorded, read, { underWay: READ_AT_ONCE, waiting: READ_AT_ONCE })) {
    const { recoveryPointId, difference } = result;
    const named = result.snapshots ?? [];
    if (difference === undefined && !('error' in result)) snapshots.push(...named);
    else remembered.push(...named.map(snapshot => ({ ...snapshot, recoveryPointId })));
    newest = result.recoveryPoint ?? newest;
    if (result.recoveryPoint && everyTime.includes(recoveryPointId)) kept.set(recoveryPointId, result.recoveryPoint);
    if (difference !== undefined) altered.push({ recoveryPointId, ...difference });
    if ('error' in result) unread.push({ recoveryPointId, error: result.error });
  }
  return {
    ...{ snapshots, remembered, newest, altered, unread },
    isNewestRead: kept.has(newestId),
    inTurn: kept.get(turn),
    knowing: kept.get(knowingId),
  };
}

function snapshotsOf({ databases }: RecoveryPoint): ExpectedSnapshot[] {
  return databases.flatMap(({ snapshot }) =>
    snapshot === null ? [] : [{ id: snapshot.id, takenAt: snapshot.takenAt, kmsKeyArn: snapshot.kmsKeyArn }],
  );
}
