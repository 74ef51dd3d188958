import type { TenantItem } from '../contracts/daily-backup.ts';
import type { TenantBackupResult } from '../contracts/object-manifest.ts';
import type { RecoveryPointMoments } from '../contracts/recovery-point.ts';

/**
 * The moments of a recovery point's parts, and the longest time between a snapshot and what objects are shown at.
 * @param snapshots the same one several times where databases share it.
 * @param tenants with what each was asked for (`asOf`).
 */
export function findMoments(
  snapshots: readonly RecoveryPointMoments['snapshots'][number][],
  asOf: string | null,
  tenants: readonly (Pick<TenantBackupResult, 'listedFrom' | 'listedTo'> & Pick<TenantItem, 'asOf'>)[],
): RecoveryPointMoments {
  const shown = tenants
    .flatMap(({ listedFrom, listedTo, asOf: moment }) =>
      listedFrom && listedTo ? (moment === null ? [listedFrom, listedTo] : [moment]) : [],
    )
    .sort();
  const [from, to] = [shown[0], shown.at(-1)];
  const byInstance = new Map(snapshots.map(snapshot => [snapshot.instanceId, snapshot]));
  const gapsMs = [...byInstance.values()].flatMap(({ takenAt }) =>
    [from, to].flatMap(at => (at === undefined ? [] : [Math.abs(Date.parse(at) - Date.parse(takenAt))])),
  );
  return {
    snapshots: [...byInstance.values()],
    asOf,
    objects: from === undefined || to === undefined ? null : { from, to },
    skewMs: gapsMs.length === 0 ? null : Math.max(...gapsMs),
  };
}
