import type { TenantItem, TenantPass } from '../contracts/daily-backup.ts';
import {
  type NotCoveredObject,
  nothingBackedUp,
  placeOf,
  type TenantBackupResult,
} from '../contracts/object-manifest.ts';
import { contentOf } from './compare-listing.ts';

/** What is to be done for one item beside the first pass over those that were known then. */
export interface SettlingItem {
  readonly item: TenantItem;
  readonly pass: TenantPass;
}

/**
 * What is still to be done: an item that has no result at all gets its first pass, as it came later or its child left none;
 * one in a bucket that keeps no versions is listed once more, but where its first pass failed. What failed is named, and has
 * no manifest to settle.
 * @param settled what further passes came to so far.
 */
export function planSettling(
  items: readonly TenantItem[],
  results: readonly TenantBackupResult[],
  settled: readonly TenantBackupResult[],
): SettlingItem[] {
  const first = byPlace(results);
  const further = byPlace(settled);
  return items.flatMap((item): SettlingItem[] => {
    const place = placeOf(item);
    if (further.has(place)) return [];
    const result = first.get(place);
    if (result === undefined) return [{ item, pass: { kind: 'first' } }];
    return item.asOf === null && result.failure === null ? [{ item, pass: { kind: 'settle', result } }] : [];
  });
}

/**
 * One result for each item: that of its last pass. What is still to be done is named by the failure `NoResultError`: its
 * child execution left none, or there was no more time for it; what the first pass stored stays, and so does the newest
 * earlier manifest.
 */
export function mergeResults(
  items: readonly TenantItem[],
  results: readonly TenantBackupResult[],
  settled: readonly TenantBackupResult[],
): TenantBackupResult[] {
  const last = byPlace([...results, ...settled]);
  const undone = new Set(planSettling(items, results, settled).map(({ item }) => placeOf(item)));
  return items.map(item => {
    const { bucketId, tenant, previousManifestSha256, partialManifestSha256, earlier } = item;
    const place = placeOf(item);
    const result = last.get(place) ??
      earlier ?? {
        bucketId,
        tenant,
        ...nothingBackedUp(),
        previousManifestSha256,
        ...(partialManifestSha256 && { partialManifestSha256 }),
        failure: null,
      };
    return undone.has(place) ? { ...result, failure: 'NoResultError' } : result;
  });
}

/** How often a content left a key, and came to one, while tenants were backed up. */
export interface Moves {
  readonly left: number;
  readonly came: number;
}

/**
 * Takes what was found under another key off a tenant's list of what is not covered. Of several files of one content each has
 * to be found, else all of them stay: nobody can say which is which.
 * @param movesOf of a content, in all buckets.
 */
export function withoutSaved(
  notCovered: readonly NotCoveredObject[],
  movesOf: (content: string) => Moves,
): NotCoveredObject[] {
  return notCovered.filter(({ reason, content }) => {
    if (reason !== 'vanished' || content === undefined) return true;
    const { left, came } = movesOf(contentOf(content));
    return came < left;
  });
}

function byPlace(results: readonly TenantBackupResult[]): Map<string, TenantBackupResult> {
  return new Map(results.map(result => [placeOf(result), result]));
}
