import type { RecoveryPoint } from '../contracts/recovery-point.ts';
import { manifestKey, objectKey, objectPrefix, rootManifestKey } from '../contracts/vault-layout.ts';
import { listObjects, ObjectNotFoundError, readLock } from '../platform/s3.ts';
import { isHeld } from './assess-lock.ts';
import { rotateNameStart, rotateSample } from './rotate-sample.ts';

const TENANTS_AT_ONCE = 3;
const OBJECTS_OF_EACH = 3;

/**
 * Chooses vault objects to look at: the newest root manifest, and of a few tenants, in turn, the manifest and some objects.
 */
export async function chooseVaultKeys(vaultBucket: string, newest: RecoveryPoint, now: Date): Promise<string[]> {
  const keys = [rootManifestKey(newest.recoveryPointId)];
  for (const { tenant, manifestSha256 } of rotateSample(newest.tenants, TENANTS_AT_ONCE, now)) {
    if (manifestSha256 !== null) keys.push(manifestKey(tenant, manifestSha256));
    keys.push(...(await listSome(vaultBucket, tenant, rotateNameStart(now))));
  }
  return [...new Set(keys)];
}

async function listSome(vaultBucket: string, tenant: string | null, start: string): Promise<string[]> {
  const options = { startAfter: objectKey(tenant, start), pageSize: OBJECTS_OF_EACH };
  for await (const { objects } of listObjects(vaultBucket, objectPrefix(tenant), options)) {
    return objects.map(({ key }) => key);
  }
  return [];
}

/** Of some objects those that are gone, and those that are there and that no lock holds. */
export async function findNotLocked(
  vaultBucket: string,
  keys: readonly string[],
  now: Date,
): Promise<{ readonly gone: string[]; readonly notLocked: string[] }> {
  const found = await Promise.all(
    keys.map(async key => {
      try {
        return isHeld(await readLock(vaultBucket, key), now) ? 'held' : 'not locked';
      } catch (error) {
        if (error instanceof ObjectNotFoundError) return 'gone';
        throw error;
      }
    }),
  );
  const those = (is: (typeof found)[number]) => keys.filter((_key, index) => found[index] === is);
  return { gone: those('gone'), notLocked: those('not locked') };
}
