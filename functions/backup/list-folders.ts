import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { Configuration } from '../contracts/configuration.ts';
import { InstantText, Sha256 } from '../contracts/identifiers.ts';
import { describeError, PermanentError } from '../platform/errors.ts';
import { findBucket } from '../platform/find-configured.ts';
import { compareKeys } from '../platform/key-order.ts';
import { log } from '../platform/log.ts';
import { keepsVersions, listObjects, listVersionPages } from '../platform/s3.ts';
import { heldObjects } from './list-as-of.ts';
import { folderOfPrefix, parentOfTenants } from './tenant-prefix.ts';
import { LAST_CHARACTER } from './walk-bucket.ts';

/** Where a bucket's listing goes on: behind this key, or from the first one. */
const After = z.string().nullable();

const BucketFolders = z.strictObject({
  bucketId: z.string(),
  /** As of when its objects are listed; null where it keeps no versions, or that is not known. */
  asOf: InstantText.nullable(),
  /** False from when it could not be listed. */
  isListed: z.boolean(),
  /** What stands where tenants' folders are, however it is called. */
  folders: z.array(z.string()),
  next: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('objects'), after: After }),
    z.strictObject({ kind: z.literal('versions'), after: After }),
    z.strictObject({ kind: z.literal('done') }),
  ]),
});
type BucketFolders = z.infer<typeof BucketFolders>;

/** The folders of every bucket, as far as they are listed. Folders only ever come: one that is empty by now held files. */
export const FolderListing = z.strictObject({
  /** Random: the file's digest stands in the histories of executions, and must not tell who guesses a name that he is right. */
  salt: z.string(),
  /** Whether this is the first time of this run that buckets are listed. */
  isFirst: z.boolean(),
  /** The moment of the snapshots, or else that of the first listing. */
  moment: InstantText,
  /** Whether the items of all that is listed are written. */
  isWritten: z.boolean(),
  /** New tenants that wait for the next run, of those that were listed when items were last written. */
  postponedTenantCount: z.int(),
  /** Of what the run knows of losses; null before it has items. */
  lostObjectsSha256: Sha256.nullable().default(null),
  buckets: z.array(BucketFolders),
});
export type FolderListing = z.infer<typeof FolderListing>;

/** A listing that has everything before it. */
export function beginListing(bucketIds: readonly string[], moment: string): FolderListing {
  return {
    salt: randomBytes(32).toString('hex'),
    isFirst: true,
    moment,
    isWritten: false,
    postponedTenantCount: 0,
    lostObjectsSha256: null,
    buckets: bucketIds.map(bucketId => ({
      bucketId,
      asOf: null,
      isListed: true,
      folders: [],
      next: { kind: 'objects', after: null },
    })),
  };
}

/**
 * The listing that adds what came since the last one was done. Only where no versions are kept can there be anything that
 * belongs to this run: elsewhere the first one told what was there at the moment.
 */
export function listAgain(listing: FolderListing): FolderListing {
  return {
    ...listing,
    isFirst: false,
    isWritten: false,
    buckets: listing.buckets.map(bucket => ({
      ...bucket,
      next: bucket.asOf === null ? { kind: 'objects', after: null } : { kind: 'done' },
    })),
  };
}

/** Whether every bucket is listed, or could not be. */
export function isDone({ buckets }: FolderListing): boolean {
  return buckets.every(({ next }) => next.kind === 'done');
}

/**
 * Lists on until everything is listed, or time is short. A bucket that cannot be listed is marked so, and holds back no other.
 * @throws RetryableError when S3 does not answer.
 */
export async function continueListing(
  listing: FolderListing,
  configuration: Configuration,
  timeIsShort: () => boolean,
): Promise<FolderListing> {
  const buckets: BucketFolders[] = [];
  for (const bucket of listing.buckets) {
    buckets.push(timeIsShort() ? bucket : await listFolders(bucket, configuration, listing, timeIsShort));
  }
  return { ...listing, buckets };
}

/**
 * The folders that hold keys now, and, where versions are kept, those that held some at the moment: a school whose files
 * were all moved away since is known by nothing else.
 */
async function listFolders(
  bucket: BucketFolders,
  configuration: Configuration,
  { isFirst, moment }: FolderListing,
  timeIsShort: () => boolean,
): Promise<BucketFolders> {
  const { name, tenantPrefix: template } = findBucket(configuration, bucket.bucketId);
  const folders = new Set(bucket.folders);
  const parent = parentOfTenants(template);
  let { asOf, next } = bucket;
  const soFar = () => ({ ...bucket, asOf, folders: [...folders], next });
  try {
    if (next.kind === 'objects') {
      for await (const { objects, commonPrefixes } of listObjects(name, parent, { delimiter: '/', ...after(next) })) {
        for (const prefix of commonPrefixes) {
          const folder = folderOfPrefix(template, prefix);
          if (folder !== undefined) folders.add(folder);
        }
        const end = behind(commonPrefixes.at(-1), objects.at(-1)?.key);
        if (end === null) continue;
        next = { kind: 'objects', after: end };
        if (timeIsShort()) return soFar();
      }
      next = isFirst && (await keepsVersions(name)) ? { kind: 'versions', after: null } : { kind: 'done' };
    }
    if (next.kind === 'versions') {
      for await (const page of listVersionPages(name, parent, { delimiter: '/', ...after(next) })) {
        for (const prefix of page.commonPrefixes) {
          const folder = folderOfPrefix(template, prefix);
          if (folder === undefined || folders.has(folder)) continue;
          if (await heldObjects(name, prefix, moment)) folders.add(folder);
          next = { kind: 'versions', after: behind(prefix, undefined) };
          if (timeIsShort()) return soFar();
        }
        const end = behind(page.commonPrefixes.at(-1), page.versions.at(-1)?.key);
        if (end === null) continue;
        // The other versions of a key tell of no folder.
        next = { kind: 'versions', after: end };
        if (timeIsShort()) return soFar();
      }
      asOf = moment;
      next = { kind: 'done' };
    }
    return soFar();
  } catch (error) {
    if (!(error instanceof PermanentError)) throw error;
    log('error', 'a bucket cannot be listed', { bucketId: bucket.bucketId, error: describeError(error) });
    return { ...soFar(), isListed: false, next: { kind: 'done' } };
  }
}

const after = ({ after: key }: { after: string | null }) => (key === null ? {} : { startAfter: key });

/** Where a listing goes on behind a page: S3 does not document whether a prefix is reported again when it starts inside it. */
function behind(prefix: string | undefined, key: string | undefined): string | null {
  const last = prefix === undefined ? undefined : prefix + LAST_CHARACTER;
  if (last === undefined || key === undefined) return last ?? key ?? null;
  return compareKeys(last, key) < 0 ? key : last;
}
