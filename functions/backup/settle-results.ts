import type { TenantItem } from '../contracts/daily-backup.ts';
import {
  type NotCoveredObject,
  nothingBackedUp,
  placeOf,
  type TenantBackupResult,
} from '../contracts/object-manifest.ts';

/** What a settling item is: a tenant's place in the second pass, and what the first one came to. */
export interface SettlingItem {
  readonly item: TenantItem;
  readonly pass: { readonly kind: 'settle'; readonly result: TenantBackupResult };
}

/**
 * Who is listed once more: those in buckets that keep no versions, but for whom the first pass failed. What failed is named,
 * and has no manifest to settle.
 */
export function planSettling(items: readonly TenantItem[], results: readonly TenantBackupResult[]): SettlingItem[] {
  const first = byPlace(results);
  return items.flatMap(item => {
    const result = first.get(placeOf(item));
    if (item.asOf !== null || result === undefined || result.failure !== null) return [];
    return [{ item, pass: { kind: 'settle', result } }];
  });
}

/**
 * One result for each item: that of its second pass where it had one, else that of its first. A child execution that left
 * none is named by the failure `NoResultError`; what the first pass stored stays, and so does the newest earlier manifest.
 * @param settled null where there was no second pass.
 */
export function mergeResults(
  items: readonly TenantItem[],
  results: readonly TenantBackupResult[],
  settled: readonly TenantBackupResult[] | null,
): TenantBackupResult[] {
  const first = byPlace(results);
  const second = byPlace(settled ?? []);
  const settling = new Set(settled === null ? [] : planSettling(items, results).map(({ item }) => placeOf(item)));
  return items.map(item => {
    const { bucketId, tenant, previousManifestSha256, partialManifestSha256 } = item;
    const place = placeOf(item);
    const result = first.get(place);
    if (result === undefined) {
      return {
        bucketId,
        tenant,
        ...nothingBackedUp(),
        previousManifestSha256,
        ...(partialManifestSha256 && { partialManifestSha256 }),
        failure: 'NoResultError',
      };
    }
    if (!settling.has(place)) return result;
    return second.get(place) ?? { ...result, failure: 'NoResultError' };
  });
}

/** The same content: the same ETag and size. S3 gives no other word on what is gone. */
export function contentOf({ eTag, sizeBytes }: { eTag: string; sizeBytes: number }): string {
  return `${eTag} ${sizeBytes}`;
}

/**
 * Takes what was found under another key off a tenant's list of what is not covered.
 * @param isSaved whether a manifest holds this content.
 */
export function withoutSaved(
  notCovered: readonly NotCoveredObject[],
  isSaved: (content: string) => boolean,
): NotCoveredObject[] {
  return notCovered.filter(
    ({ reason, content }) => reason !== 'vanished' || content === undefined || !isSaved(contentOf(content)),
  );
}

function byPlace(results: readonly TenantBackupResult[]): Map<string, TenantBackupResult> {
  return new Map(results.map(result => [placeOf(result), result]));
}
