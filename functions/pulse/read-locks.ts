import { idOfInstant } from '../contracts/identifiers.ts';
import { readLossName } from '../contracts/losses.ts';
import type { RecoveryPoint } from '../contracts/recovery-point.ts';
import { manifestKey, objectKey, objectPrefix, rootManifestKey } from '../contracts/vault-layout.ts';
import { inOrder } from '../platform/in-order.ts';
import { listObjects, ObjectNotFoundError, readLock } from '../platform/s3.ts';
import { isHeld } from './assess-lock.ts';
import type { TestRecords } from './read-test-records.ts';
import { rotateNameStart, rotateSample } from './rotate-sample.ts';
import type { AcceptedLosses } from './subtract-accepted.ts';

const TENANTS_AT_ONCE = 3;
const OBJECTS_OF_EACH = 3;
const OLDER_MANIFESTS_AT_ONCE = 50;
const TESTED_KEPT = 2000;
const LOOKED_AT_ONCE = 16;

/**
 * Chooses vault objects to look at: the newest root manifest, and of a few tenants, in turn, the manifest and some objects.
 */
export async function chooseVaultKeys(vaultBucket: string, newest: RecoveryPoint, now: Date): Promise<string[]> {
  const keys = [rootManifestKey(newest.recoveryPointId)];
  for (const result of rotateSample(newest.tenants, TENANTS_AT_ONCE, now)) {
    keys.push(...manifestKeys([result]), ...(await listSome(vaultBucket, result.tenant, rotateNameStart(now))));
  }
  return [...new Set(keys)];
}

/**
 * Some tenants' manifests of an older recovery point: where points come round in turn, the next ones each time that all of
 * them did. Each of a thousand schools' manifests of a year is looked at within three months.
 * @param pointCount how many recovery points there are.
 */
export function chooseOlderManifests(inTurn: RecoveryPoint | undefined, pointCount: number, now: Date): string[] {
  if (inTurn === undefined) return [];
  const round = new Date(now.getTime() / Math.max(1, pointCount));
  return manifestKeys(rotateSample(inTurn.tenants, OLDER_MANIFESTS_AT_ONCE, round));
}

function manifestKeys(tenants: RecoveryPoint['tenants']): string[] {
  return tenants.flatMap(({ tenant, manifestSha256 }) =>
    manifestSha256 === null ? [] : [manifestKey(tenant, manifestSha256)],
  );
}

/** What restore tests missed. Of what is named more than can be looked at, the newest. */
export function chooseTested({ lostObjects, unread }: TestRecords): { keys: string[]; isWhole: boolean } {
  const keys = new Set(lostObjects.flatMap(({ missing }) => missing));
  // The next test names the rest of what one could not name.
  const isCut = keys.size > TESTED_KEPT || lostObjects.find(({ objectCount }) => objectCount > 0)?.isCut === true;
  return { keys: [...keys].slice(0, TESTED_KEPT), isWhole: unread.length === 0 && !isCut };
}

/**
 * What others know of losses, where pulse does not know what it missed: what was accepted, what the newest backup that was
 * told of losses did not find again, and each tenant's newest manifest, which pulse may have missed since.
 * @param isKnown whether it is all, also without that backup's word.
 */
export function chooseKnown(
  newest: RecoveryPoint | undefined,
  knowing: RecoveryPoint | undefined,
  { accepted, isKnown }: { accepted: AcceptedLosses; isKnown: boolean },
): { keys: string[]; isWhole: boolean } {
  const absent = knowing?.objectLosses?.absent;
  const ofAccepted = Object.keys(accepted).map(readLossName);
  return {
    keys: [
      ...manifestKeys(newest?.tenants ?? []),
      ...ofAccepted.flatMap(loss => ('key' in loss ? [loss.key] : [])),
      ...(absent ?? []),
    ],
    isWhole: absent === undefined ? isKnown : absent !== null,
  };
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
  const look = async (key: string) => {
    try {
      return isHeld(await readLock(vaultBucket, key), now) ? 'held' : 'not locked';
    } catch (error) {
      if (error instanceof ObjectNotFoundError) return 'gone';
      throw error;
    }
  };
  const limits = { underWay: LOOKED_AT_ONCE, waiting: keys.length };
  const found = await Array.fromAsync(inOrder(keys, look, limits));
  const those = (is: (typeof found)[number]) => keys.filter((_key, index) => found[index] === is);
  return { gone: those('gone'), notLocked: those('not locked') };
}

/**
 * Of objects that were missed before and whose names are taken now, those that nobody saw to be right: they are lost still.
 * One is right that was last written before it was missed, so that only a marker hid it, and one that the newest backup that
 * was told of it has again.
 */
export async function findUnprovedObjects(
  vaultBucket: string,
  missed: readonly { readonly key: string; readonly since: string }[],
  knowing: RecoveryPoint | undefined,
): Promise<string[]> {
  const { knownAt = null, back = [] } = knowing?.objectLosses ?? {};
  const asked = missed.filter(
    ({ key, since }) => !(knownAt !== null && since <= idOfInstant(knownAt) && back.includes(key)),
  );
  const look = async ({ key, since }: (typeof missed)[number]) => {
    for await (const { objects } of listObjects(vaultBucket, key, { pageSize: 1 })) {
      const [object] = objects;
      return object?.key === key && idOfInstant(object.lastModified) < since ? [] : [key];
    }
    return [key];
  };
  const found = await Array.fromAsync(inOrder(asked, look, { underWay: LOOKED_AT_ONCE, waiting: asked.length }));
  return found.flat();
}
