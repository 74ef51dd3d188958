import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { BucketConfiguration, Deployment } from '../contracts/configuration.ts';
import { ListTenantsInput, ListTenantsOutput } from '../contracts/daily-backup.ts';
import { DatabaseFingerprint } from '../contracts/fingerprint.ts';
import type { TenantName } from '../contracts/identifiers.ts';
import type { RecoveryPoint } from '../contracts/recovery-point.ts';
import type { RootTenants, TenantFolders } from '../contracts/tenant-names.ts';
import {
  fingerprintKey,
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
import { RootManifestInvalidError, readRootManifest } from '../platform/root-manifest.ts';
import { keepsVersions, listObjects, listVersionPages, ObjectAccessDeniedError, writeBytes } from '../platform/s3.ts';
import { drawTenantName, giveTenantName, readTenantNames } from '../platform/tenant-names.ts';
import { heldObjects } from './list-as-of.ts';
import { planItems } from './plan-items.ts';
import { describeFolders, type RecognizedTenant, recognizeTenants } from './recognize-tenants.ts';
import { folderOfPrefix, parentOfTenants } from './tenant-prefix.ts';

/** So many tenants at most get a key in one run: 1 USD a month each. Their keys come at 5 a second. */
const NEW_TENANTS_A_RUN = 1000;
const NAMES_AT_ONCE = { underWay: 16, waiting: 1024 };

/**
 * Finds the tenants of each bucket by its folders, of the databases by their fingerprints, and of the newest earlier
 * recovery point whose signature verifies; gives a name to each that has none, and writes one item for each. A bucket that
 * cannot be listed gets the items that are known otherwise, and the recovery point is incomplete. Ids stand in no item and
 * no log.
 */
export const handler = step({
  input: ListTenantsInput,
  output: ListTenantsOutput,
  run: async ({ recoveryPointId, asOf }, { now, configuration, deployment }) => {
    const buckets: Awaited<ReturnType<typeof listFolders>>[] = [];
    for (const bucket of configuration.buckets) buckets.push(await listFolders(bucket, asOf ?? now.toISOString()));
    const databases: RootTenants[] = [];
    for (const { id } of configuration.databases) {
      databases.push(...(await readDatabaseTenants(deployment.vaultBucket, recoveryPointId, id)));
    }
    const previous = (await findPrevious(deployment, recoveryPointId))?.tenants ?? [];
    const { tenants, postponed, ownerOf, strangeFolderCount } = recognizeTenants({
      databases,
      given: await readTenantNames(deployment.vaultBucket),
      previousNames: new Set(previous.flatMap(({ tenant }) => (tenant === null ? [] : [tenant]))),
      folders: buckets.flatMap(({ folders }) => folders),
      newTenantLimit: NEW_TENANTS_A_RUN,
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
    const items = planItems({
      recoveryPointId,
      buckets: buckets.map(({ bucketId, folders, asOf }) => ({
        bucketId,
        asOf,
        listed: folders.flatMap(folder => nameOf(ownerOf(folder))),
      })),
      databaseTenants: named.filter(({ isInDatabase }) => isInDatabase).map(({ name }) => name),
      previous,
      tenantFoldersSha256: await writeFolders(describeFolders(named, postponed), recoveryPointId, deployment),
    });
    const body = Buffer.from(items.map(item => `${JSON.stringify(item)}\n`).join(''));
    await writeBytes(deployment.workBucket, itemsKey('backup', recoveryPointId), body, {
      contentType: 'application/jsonl',
    });
    return {
      itemsKey: itemsKey('backup', recoveryPointId),
      itemCount: items.length,
      unlistedBucketIds: buckets.filter(({ isListed }) => !isListed).map(({ bucketId }) => bucketId),
      postponedTenantCount: postponed.length,
    };
  },
});

/**
 * The folders that hold keys now, and, where versions are kept, those that held some at the moment: a school whose files
 * were all moved away since is known by nothing else.
 */
async function listFolders({ id, name, tenantPrefix: template }: BucketConfiguration, moment: string) {
  const listed = new Set<string>();
  const parent = parentOfTenants(template);
  let asOf: string | null = null;
  try {
    for await (const { commonPrefixes } of listObjects(name, parent, { delimiter: '/' })) {
      for (const prefix of commonPrefixes) {
        const folder = folderOfPrefix(template, prefix);
        if (folder !== undefined) listed.add(folder);
      }
    }
    if (await keepsVersions(name)) {
      for await (const { commonPrefixes } of listVersionPages(name, parent, { delimiter: '/' })) {
        for (const prefix of commonPrefixes) {
          const folder = folderOfPrefix(template, prefix);
          if (folder === undefined || listed.has(folder)) continue;
          if (await heldObjects(name, prefix, moment)) listed.add(folder);
        }
      }
      asOf = moment;
    }
  } catch (error) {
    if (!(error instanceof PermanentError)) throw error;
    log('error', 'a bucket cannot be listed', { bucketId: id, error: describeError(error) });
    return { bucketId: id, folders: [...listed], asOf, isListed: false };
  }
  return { bucketId: id, folders: [...listed], asOf, isListed: true };
}

async function readDatabaseTenants(
  vaultBucket: string,
  recoveryPointId: string,
  databaseId: string,
): Promise<RootTenants[]> {
  const key = fingerprintKey(recoveryPointId, databaseId, 'before');
  try {
    const stored = await readFile(vaultBucket, key, z.object({ root: DatabaseFingerprint.shape.root }));
    if (stored !== undefined) return [stored.root];
  } catch (error) {
    // The recovery point reports it: what the other sources know is backed up all the same.
    if (!(error instanceof PermanentError) || error instanceof ObjectAccessDeniedError) throw error;
    log('error', 'a fingerprint does not read back', { databaseId, error: describeError(error) });
  }
  log('warn', 'a database has no fingerprint in this recovery point; its tenants are not known', { databaseId });
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
