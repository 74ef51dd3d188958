import type { TenantItem } from '../contracts/daily-backup.ts';
import type { TenantName } from '../contracts/identifiers.ts';
import { placeOf, type TenantBackupResult } from '../contracts/object-manifest.ts';
import { sha256Hex } from '../platform/canonical-json.ts';

/** What is known of one bucket before its objects are listed. */
export interface BucketTenants {
  readonly bucketId: string;
  /** Tenants that have a folder with keys. */
  readonly listed: readonly TenantName[];
  /** As of when its objects are listed; null where it keeps no versions. */
  readonly asOf: string | null;
}

/**
 * One item for each bucket and tenant that is known from anywhere, and one for each bucket's keys under no tenant, in a
 * fixed order. A tenant that only a database or the previous recovery point knows has an item too: its key shall exist,
 * and its manifest say that there is nothing. So has one that only an earlier run of this recovery point knows.
 */
export function planItems(known: {
  recoveryPointId: string;
  buckets: readonly BucketTenants[];
  /** Tenants that the databases know. */
  databaseTenants: readonly TenantName[];
  previous: readonly Pick<
    TenantBackupResult,
    'bucketId' | 'tenant' | 'manifestSha256' | 'previousManifestSha256' | 'partialManifestSha256'
  >[];
  /** What an earlier run of this recovery point came to. */
  earlier: readonly TenantBackupResult[];
  tenantFoldersSha256: string | null;
  lostObjectsSha256: string | null;
}): TenantItem[] {
  const stored = new Map(
    known.earlier.filter(({ manifestSha256 }) => manifestSha256 !== null).map(result => [placeOf(result), result]),
  );
  return known.buckets.flatMap(({ bucketId, listed, asOf }) => {
    const previous = new Map(
      known.previous.filter(result => result.bucketId === bucketId).map(result => [result.tenant, result]),
    );
    const earlier = known.earlier.filter(result => result.bucketId === bucketId).map(({ tenant }) => tenant);
    const tenants = [...new Set([...listed, ...known.databaseTenants, ...previous.keys(), ...earlier])]
      .filter(tenant => tenant !== null)
      .sort();
    return [null, ...tenants].map(tenant => {
      const result = previous.get(tenant);
      const storedEarlier = stored.get(placeOf({ bucketId, tenant }));
      return {
        recoveryPointId: known.recoveryPointId,
        bucketId,
        tenant,
        previousManifestSha256: result?.manifestSha256 ?? result?.previousManifestSha256 ?? null,
        partialManifestSha256: result?.partialManifestSha256 ?? null,
        asOf,
        tenantFoldersSha256: known.tenantFoldersSha256,
        lostObjectsSha256: known.lostObjectsSha256,
        ...(storedEarlier && { earlier: storedEarlier }),
      };
    });
  });
}

/**
 * The items of a run that lists once more: those that it has, which stay as they are but for where folders are, and beside
 * them those that are new.
 */
export function addItems(known: readonly TenantItem[], planned: readonly TenantItem[]): TenantItem[] {
  const byPlace = new Map(known.map(item => [placeOf(item), item]));
  const places = new Set(planned.map(placeOf));
  const { tenantFoldersSha256 = null } = planned[0] ?? {};
  return [
    ...planned.map(item => {
      const same = byPlace.get(placeOf(item));
      return same === undefined ? item : { ...same, tenantFoldersSha256 };
    }),
    ...known.filter(item => !places.has(placeOf(item))).map(item => ({ ...item, tenantFoldersSha256 })),
  ];
}

/**
 * The order in which items are worked on: another one for each recovery point, and the same for its reruns. A few at a time
 * are, so that slow ones may stop what waits behind them: it shall not be the same each night.
 */
export function orderForNight(items: readonly TenantItem[]): TenantItem[] {
  const ranks = new Map(items.map(item => [item, sha256Hex(`${item.recoveryPointId}/${placeOf(item)}`)]));
  return items.toSorted((a, b) => ((ranks.get(a) ?? '') < (ranks.get(b) ?? '') ? -1 : 1));
}
