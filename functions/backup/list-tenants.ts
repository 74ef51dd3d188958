import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { Configuration, Deployment } from '../contracts/configuration.ts';
import { ListTenantsInput, ListTenantsOutput, TenantItem } from '../contracts/daily-backup.ts';
import { DatabaseFingerprint } from '../contracts/fingerprint.ts';
import type { TenantName } from '../contracts/identifiers.ts';
import type { RecoveryPoint } from '../contracts/recovery-point.ts';
import type { RootTenants, TenantFolders } from '../contracts/tenant-names.ts';
import {
  fingerprintKey,
  folderListingKey,
  itemsKey,
  RECOVERY_POINT_PREFIX,
  rootManifestKey,
  tenantFoldersKey,
} from '../contracts/vault-layout.ts';
import { canonicalJson, sha256Hex } from '../platform/canonical-json.ts';
import { describeError, PermanentError } from '../platform/errors.ts';
import { readFile } from '../platform/fingerprint/fingerprint-file.ts';
import { handler as step } from '../platform/handler.ts';
import { inOrder } from '../platform/in-order.ts';
import { log } from '../platform/log.ts';
import { readItems } from '../platform/map-results.ts';
import { RootManifestInvalidError, readRootManifest } from '../platform/root-manifest.ts';
import { listObjects, ObjectAccessDeniedError, readBytes, writeBytes } from '../platform/s3.ts';
import { drawTenantName, giveTenantName, readTenantNames } from '../platform/tenant-names.ts';
import { beginListing, continueListing, FolderListing, isDone, listAgain } from './list-folders.ts';
import { writeLostObjects } from './lost-objects.ts';
import { addItems, orderForNight, planItems } from './plan-items.ts';
import { describeFolders, type RecognizedTenant, recognizeTenants } from './recognize-tenants.ts';

/** So many tenants at most get a key in one run: 1 USD a month each. Their keys come at 5 a second. */
const NEW_TENANTS_A_RUN = 1000;
const NAMES_AT_ONCE = { underWay: 16, waiting: 1024 };

/** What was listed for this run is not what was written. */
export class FolderListingAlteredError extends PermanentError {}

/**
 * Finds the tenants of each bucket by its folders, of the databases by their fingerprints, and of the newest earlier
 * recovery point whose signature verifies; gives a name to each that has none, and writes one item for each. A bucket that
 * cannot be listed gets the items that are known otherwise, and the recovery point is incomplete. Ids stand in no item and
 * no log.
 *
 * Listing again, it adds what came since, also to the databases as far as they were measured again: a file may have been moved
 * into the folder of a school that was not there before. Nothing that has an item loses it.
 * Where an earlier run has closed the recovery point as incomplete, each item has what that one stored of it.
 *
 * Listing goes on over any number of calls. All else is done in one, which has its whole time where listing took more than one.
 */
export const handler = step({
  input: ListTenantsInput,
  output: ListTenantsOutput,
  run: async ({ recoveryPointId, asOf, listing: sha256 }, { now, configuration, deployment, timeIsShort }) => {
    const before = sha256 === null ? undefined : await readListing(deployment, recoveryPointId, sha256);
    const begun =
      before === undefined
        ? beginListing(
            configuration.buckets.map(({ id }) => id),
            asOf ?? now.toISOString(),
          )
        : isDone(before) && before.isWritten
          ? listAgain(before)
          : before;
    const listing = await continueListing(begun, configuration, timeIsShort);
    const isResumed = before !== undefined && !isDone(before);
    if (!isDone(listing) || isResumed || timeIsShort()) {
      return {
        itemsKey: null,
        itemCount: 0,
        ...describeBuckets(listing),
        postponedTenantCount: listing.postponedTenantCount,
        lostObjectsSha256: listing.lostObjectsSha256,
        listing: await writeListing(deployment, recoveryPointId, listing),
      };
    }
    // Known once for the whole run, so that all its parts look for the same.
    const lostObjectsSha256 = listing.isFirst
      ? await writeLostObjects(recoveryPointId, deployment)
      : listing.lostObjectsSha256;
    const known = { ...listing, lostObjectsSha256 };
    const { items, postponedTenantCount } = await findItems(recoveryPointId, known, { configuration, deployment });
    const body = Buffer.from(
      orderForNight(items)
        .map(item => `${JSON.stringify(item)}\n`)
        .join(''),
    );
    await writeBytes(deployment.workBucket, itemsKey('backup', recoveryPointId), body, {
      contentType: 'application/jsonl',
    });
    const written: FolderListing = { ...known, postponedTenantCount, isWritten: true };
    return {
      itemsKey: itemsKey('backup', recoveryPointId),
      itemCount: items.length,
      ...describeBuckets(written),
      postponedTenantCount,
      lostObjectsSha256,
      listing: await writeListing(deployment, recoveryPointId, written),
    };
  },
});

function describeBuckets({ buckets }: FolderListing) {
  const idsOf = (found: FolderListing['buckets']) => found.map(({ bucketId }) => bucketId);
  return {
    unlistedBucketIds: idsOf(buckets.filter(({ isListed, next }) => !isListed || next.kind !== 'done')),
    bucketIdsWithoutVersions: idsOf(buckets.filter(({ asOf }) => asOf === null)),
  };
}

async function findItems(
  recoveryPointId: string,
  { buckets, isFirst, lostObjectsSha256 }: FolderListing,
  { configuration, deployment }: { configuration: Configuration; deployment: Deployment },
): Promise<{ items: TenantItem[]; postponedTenantCount: number }> {
  const databases: RootTenants[] = [];
  for (const { id } of configuration.databases) {
    databases.push(...(await readDatabaseTenants(deployment.vaultBucket, recoveryPointId, id, 'before')));
    if (!isFirst) databases.push(...(await readDatabaseTenants(deployment.vaultBucket, recoveryPointId, id, 'after')));
  }
  const previous = (await findPrevious(deployment, recoveryPointId))?.tenants ?? [];
  const earlier = (await readRootManifest(deployment, recoveryPointId))?.recoveryPoint.tenants ?? [];
  const known = isFirst ? [] : await readItems(deployment.workBucket, itemsKey('backup', recoveryPointId), TenantItem);
  const previousNames = namesOf([...previous, ...earlier]);
  const knownNames = namesOf(known);
  const { tenants, postponed, ownerOf, strangeFolderCount } = recognizeTenants({
    databases,
    given: await readTenantNames(deployment.vaultBucket),
    // Who was let in before stays in, and was counted.
    previousNames: previousNames.union(knownNames),
    folders: buckets.flatMap(({ folders }) => folders),
    newTenantLimit: NEW_TENANTS_A_RUN - knownNames.difference(previousNames).size,
  });
  if (strangeFolderCount > 0) {
    log('info', 'folders are no tenant’s: their names are odd, and no database knows them', { strangeFolderCount });
  }
  if (postponed.length > 0) {
    log('error', 'more tenants are new than one run gives keys to; the rest wait for the next run', {
      newTenantLimit: NEW_TENANTS_A_RUN,
      postponedTenantCount: postponed.length,
    });
  }
  const names = await giveNames(tenants, deployment);
  const nameOf = (tenant: RecognizedTenant | undefined) => {
    const name = tenant && names.get(tenant);
    return name === undefined ? [] : [name];
  };
  const named = tenants.flatMap(tenant => nameOf(tenant).map(name => ({ ...tenant, name })));
  const planned = planItems({
    recoveryPointId,
    buckets: buckets.map(({ bucketId, folders, asOf }) => ({
      bucketId,
      asOf,
      listed: folders.flatMap(folder => nameOf(ownerOf(folder))),
    })),
    databaseTenants: named.filter(({ isInDatabase }) => isInDatabase).map(({ name }) => name),
    previous,
    earlier,
    tenantFoldersSha256: await writeFolders(describeFolders(named, postponed), recoveryPointId, deployment),
    lostObjectsSha256,
  });
  return { items: addItems(known, planned), postponedTenantCount: postponed.length };
}

function namesOf(places: readonly { tenant: TenantName | null }[]): Set<TenantName> {
  return new Set(places.flatMap(({ tenant }) => (tenant === null ? [] : [tenant])));
}

/** @throws FolderListingAlteredError */
async function readListing(
  { workBucket }: Deployment,
  recoveryPointId: string,
  sha256: string,
): Promise<FolderListing> {
  const key = folderListingKey(recoveryPointId, sha256);
  const bytes = await readBytes(workBucket, key);
  if (sha256Hex(bytes) !== sha256) {
    throw new FolderListingAlteredError(`${key} is not what was written for this run; run the backup again`);
  }
  return FolderListing.parse(JSON.parse(bytes.toString('utf8')));
}

async function writeListing(
  { workBucket }: Deployment,
  recoveryPointId: string,
  listing: FolderListing,
): Promise<string> {
  const body = Buffer.from(canonicalJson(listing));
  const sha256 = sha256Hex(body);
  await writeBytes(workBucket, folderListingKey(recoveryPointId, sha256), body, { contentType: 'application/json' });
  return sha256;
}

async function readDatabaseTenants(
  vaultBucket: string,
  recoveryPointId: string,
  databaseId: string,
  moment: 'before' | 'after',
): Promise<RootTenants[]> {
  const key = fingerprintKey(recoveryPointId, databaseId, moment);
  try {
    const stored = await readFile(vaultBucket, key, z.object({ root: DatabaseFingerprint.shape.root }));
    if (stored !== undefined) return [stored.root];
  } catch (error) {
    // The recovery point reports it: what the other sources know is backed up all the same.
    if (!(error instanceof PermanentError) || error instanceof ObjectAccessDeniedError) throw error;
    log('error', 'a fingerprint does not read back', { databaseId, error: describeError(error) });
  }
  if (moment === 'before') {
    log('warn', 'a database has no fingerprint in this recovery point; its tenants are not known', { databaseId });
  }
  return [];
}

/** Keeps the names that the vault does not hold yet. Killed on the way, a rerun finds those that were given. */
async function giveNames(
  tenants: readonly RecognizedTenant[],
  deployment: Deployment,
): Promise<Map<RecognizedTenant, TenantName>> {
  const give = async (tenant: RecognizedTenant): Promise<[RecognizedTenant, TenantName]> => {
    let name = tenant.name ?? drawTenantName();
    for (const { isNamed, ...id } of tenant.ids) {
      if (!isNamed) name = await giveTenantName({ ...id, name }, deployment);
    }
    return [tenant, name];
  };
  return new Map(await Array.fromAsync(inOrder(tenants, give, NAMES_AT_ONCE)));
}

async function writeFolders(
  folders: Omit<TenantFolders, 'salt'>,
  recoveryPointId: string,
  { workBucket }: Deployment,
): Promise<string | null> {
  if (folders.tenants.length === 0 && folders.postponed.length === 0) return null;
  const salted: TenantFolders = { salt: randomBytes(32).toString('hex'), ...folders };
  const body = Buffer.from(canonicalJson(salted));
  const sha256 = sha256Hex(body);
  await writeBytes(workBucket, tenantFoldersKey(recoveryPointId, sha256), body, { contentType: 'application/json' });
  return sha256;
}

/** The newest recovery point before this one. One that does not verify is never built upon. */
async function findPrevious(deployment: Deployment, recoveryPointId: string): Promise<RecoveryPoint | undefined> {
  const earlier: string[] = [];
  for await (const { objects } of listObjects(deployment.vaultBucket, RECOVERY_POINT_PREFIX)) {
    earlier.push(...objects.map(({ key }) => key).filter(key => key < rootManifestKey(recoveryPointId)));
  }
  for (const key of earlier.reverse()) {
    const id = key.slice(RECOVERY_POINT_PREFIX.length, -'.json'.length);
    try {
      const found = await readRootManifest(deployment, id);
      if (found !== undefined) return found.recoveryPoint;
    } catch (error) {
      if (!(error instanceof RootManifestInvalidError)) throw error;
      log('error', 'an earlier root manifest cannot be trusted; an older one is used', {
        recoveryPointId: id,
        error: describeError(error),
      });
    }
  }
  return undefined;
}
