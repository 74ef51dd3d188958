import { z } from 'zod';
import type { BucketConfiguration, Deployment } from '../contracts/configuration.ts';
import { ListTenantsInput, ListTenantsOutput } from '../contracts/daily-backup.ts';
import { DatabaseFingerprint } from '../contracts/fingerprint.ts';
import type { RecoveryPoint } from '../contracts/recovery-point.ts';
import { fingerprintKey, itemsKey, RECOVERY_POINT_PREFIX, rootManifestKey } from '../contracts/vault-layout.ts';
import { describeError, PermanentError } from '../platform/errors.ts';
import { readFile } from '../platform/fingerprint/fingerprint-file.ts';
import { handler as step } from '../platform/handler.ts';
import { log } from '../platform/log.ts';
import { RootManifestInvalidError, readRootManifest } from '../platform/root-manifest.ts';
import { keepsVersions, listObjects, listVersionPages, ObjectAccessDeniedError, writeBytes } from '../platform/s3.ts';
import { heldObjects } from './list-as-of.ts';
import { type BucketTenants, planItems } from './plan-items.ts';
import { parentOfTenants, tenantOfPrefix } from './tenant-prefix.ts';

/**
 * Finds the tenants of each bucket by its prefixes, of the databases by their fingerprints, and of the newest earlier
 * recovery point whose signature verifies; writes one item for each. A bucket that cannot be listed gets the items that
 * are known otherwise, and the recovery point is incomplete.
 */
export const handler = step({
  input: ListTenantsInput,
  output: ListTenantsOutput,
  run: async ({ recoveryPointId, asOf }, { now, configuration, deployment }) => {
    const buckets: (BucketTenants & { isListed: boolean })[] = [];
    for (const bucket of configuration.buckets) buckets.push(await listTenants(bucket, asOf ?? now.toISOString()));
    const databaseTenants: string[] = [];
    for (const { id } of configuration.databases) {
      databaseTenants.push(...(await readDatabaseTenants(deployment.vaultBucket, recoveryPointId, id)));
    }
    const previous = await findPrevious(deployment, recoveryPointId);
    const { items, invalidTenantCount } = planItems({
      recoveryPointId,
      buckets,
      databaseTenants,
      previous: previous?.tenants ?? [],
    });
    if (invalidTenantCount > 0) {
      log('warn', 'databases hold tenant ids that are no valid ids; their objects count as no tenant’s', {
        invalidTenantCount,
      });
    }
    const body = Buffer.from(items.map(item => `${JSON.stringify(item)}\n`).join(''));
    await writeBytes(deployment.workBucket, itemsKey(recoveryPointId), body, { contentType: 'application/jsonl' });
    return {
      itemsKey: itemsKey(recoveryPointId),
      itemCount: items.length,
      unlistedBucketIds: buckets.filter(({ isListed }) => !isListed).map(({ bucketId }) => bucketId),
    };
  },
});

/**
 * The tenants whose prefixes hold keys now, and, where versions are kept, those whose prefixes held some at the moment: a
 * school whose files were all moved away since is known by nothing else.
 */
async function listTenants({ id, name, tenantPrefix: template }: BucketConfiguration, moment: string) {
  const listed = new Set<string>();
  const parent = parentOfTenants(template);
  let asOf: string | null = null;
  try {
    for await (const { commonPrefixes } of listObjects(name, parent, { delimiter: '/' })) {
      for (const prefix of commonPrefixes) {
        const tenant = tenantOfPrefix(template, prefix);
        if (tenant !== undefined) listed.add(tenant);
      }
    }
    if (await keepsVersions(name)) {
      for await (const { commonPrefixes } of listVersionPages(name, parent, { delimiter: '/' })) {
        for (const prefix of commonPrefixes) {
          const tenant = tenantOfPrefix(template, prefix);
          if (tenant === undefined || listed.has(tenant)) continue;
          if (await heldObjects(name, prefix, moment)) listed.add(tenant);
        }
      }
      asOf = moment;
    }
  } catch (error) {
    if (!(error instanceof PermanentError)) throw error;
    log('error', 'a bucket cannot be listed', { bucketId: id, error: describeError(error) });
    return { bucketId: id, listed: [...listed], asOf, isListed: false };
  }
  return { bucketId: id, listed: [...listed], asOf, isListed: true };
}

async function readDatabaseTenants(vaultBucket: string, recoveryPointId: string, databaseId: string) {
  const key = fingerprintKey(recoveryPointId, databaseId, 'before');
  try {
    const stored = await readFile(vaultBucket, key, z.object({ tenants: DatabaseFingerprint.shape.tenants }));
    if (stored !== undefined) return stored.tenants;
  } catch (error) {
    // The recovery point reports it: what the other sources know is backed up all the same.
    if (!(error instanceof PermanentError) || error instanceof ObjectAccessDeniedError) throw error;
    log('error', 'a fingerprint does not read back', { databaseId, error: describeError(error) });
  }
  log('warn', 'a database has no fingerprint in this recovery point; its tenants are not known', { databaseId });
  return [];
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
