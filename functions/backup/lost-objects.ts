import type { Deployment } from '../contracts/configuration.ts';
import { LostObjects } from '../contracts/daily-backup.ts';
import { readLossName } from '../contracts/losses.ts';
import type { TenantBackupResult } from '../contracts/object-manifest.ts';
import type { ObjectLosses } from '../contracts/recovery-point.ts';
import { lostObjectsKey, RECOVERY_POINT_PREFIX, tenantRoot } from '../contracts/vault-layout.ts';
import { sha256Hex } from '../platform/canonical-json.ts';
import { describeError, PermanentError } from '../platform/errors.ts';
import { LOSSES_KEPT, readFoundWrong } from '../platform/found-wrong.ts';
import { inOrder } from '../platform/in-order.ts';
import { readLedgerState } from '../platform/ledger.ts';
import { LedgerBrokenError } from '../platform/ledger-entry.ts';
import type { LedgerProjection } from '../platform/ledger-projection.ts';
import { log } from '../platform/log.ts';
import { describeObject, ObjectStorageError, readBytes, writeBytes } from '../platform/s3.ts';
import { vaultRefused } from './copy-to-vault.ts';

/** So many keys of each kind a result, and a root manifest, names. */
export const RESULT_NAMES = 80;
const POINT_NAMES = 150;
const LOOKS_AT_ONCE = 16;

/** What a run knows of losses is not what was written for it. */
export class LostObjectsAlteredError extends PermanentError {}

/**
 * Writes down which vault objects are lost: what somebody accepted as lost and no backup has again, and what pulse misses now. It may name more than
 * is lost, for each is looked at before it is copied again.
 * @returns the file's SHA-256, which is its name: two runs for one recovery point may know different things.
 */
export async function writeLostObjects(recoveryPointId: string, deployment: Deployment): Promise<string> {
  const state = await readStateIfWhole(deployment);
  const found = await readFoundWrong(deployment.workBucket);
  const missed = [...(found?.lost ?? []), ...(found?.explained ?? [])];
  const accepted = Object.entries(state?.acceptedLosses ?? {}).filter(([, { isBack }]) => !isBack);
  const keys = new Set(
    [...accepted.map(([name]) => name).sort(), ...missed.sort()]
      .map(readLossName)
      .flatMap(loss => ('key' in loss ? [loss.key] : [])),
  );
  const lost: LostObjects = {
    ledgerSequence: state?.lastSequence ?? null,
    knownAt: found === undefined || isCut(found) ? null : found.lookedAt,
    keys: [...keys].filter(key => !key.startsWith(RECOVERY_POINT_PREFIX)),
  };
  const body = Buffer.from(JSON.stringify(lost));
  const sha256 = sha256Hex(body);
  const key = lostObjectsKey(recoveryPointId, sha256);
  await writeBytes(deployment.workBucket, key, body, { contentType: 'application/json' });
  return sha256;
}

/** Pulse keeps so many names at most: of a list that is full nobody knows what it lacks. */
function isCut({
  lost,
  explained,
  notLookedFor,
}: {
  lost: readonly string[];
  explained: readonly string[];
  notLookedFor: readonly string[];
}): boolean {
  return (
    lost.length >= LOSSES_KEPT.names ||
    explained.filter(name => readLossName(name).kind === 'object-gone').length >= LOSSES_KEPT.explainedObjects ||
    notLookedFor.includes('object-gone')
  );
}

/** A ledger that is broken stops no backup: what is accepted in it is not known then. */
async function readStateIfWhole(deployment: Deployment): Promise<LedgerProjection | undefined> {
  try {
    return await readLedgerState(deployment);
  } catch (error) {
    if (!(error instanceof LedgerBrokenError)) throw error;
    log('error', 'the ledger is broken; which losses are accepted is not known', { error: describeError(error) });
    return undefined;
  }
}

/** What was known when the run began; undefined where an earlier release began it. @throws LostObjectsAlteredError */
export async function readLostObjects(
  workBucket: string,
  recoveryPointId: string,
  sha256: string | null,
): Promise<LostObjects | undefined> {
  if (sha256 === null) return undefined;
  const key = lostObjectsKey(recoveryPointId, sha256);
  const bytes = await readBytes(workBucket, key);
  if (sha256Hex(bytes) !== sha256) {
    throw new LostObjectsAlteredError(`${key} is not what was written for this run; run the backup again`);
  }
  return LostObjects.parse(JSON.parse(bytes.toString('utf8')));
}

/** Those of one tenant (null: of none). */
export function lostOf(lost: LostObjects | undefined, tenant: string | null): ReadonlySet<string> {
  return new Set(lost?.keys.filter(key => key.startsWith(tenantRoot(tenant))));
}

/**
 * What a result says of them.
 * @param present what its manifest names, and itself.
 * @param amiss what was not in its place as its line says, when it was looked for.
 * @throws VaultAccessDeniedError
 */
export async function describeLosses(
  lost: ReadonlySet<string>,
  { present, amiss, vaultBucket }: { present: ReadonlySet<string>; amiss: ReadonlySet<string>; vaultBucket: string },
): Promise<Required<Pick<TenantBackupResult, 'absentObjects' | 'backObjects' | 'goneObjects'>>> {
  const absent = [...lost.difference(present)];
  const named = absent.slice(0, RESULT_NAMES);
  const look = async (key: string) => (amiss.has(key) || (await isGone(vaultBucket, key)) ? [key] : []);
  const gone = await Array.fromAsync(inOrder(named, look, { underWay: LOOKS_AT_ONCE, waiting: RESULT_NAMES }));
  return {
    absentObjects: absent.length > RESULT_NAMES ? null : absent,
    backObjects: [...lost.intersection(present)].slice(0, RESULT_NAMES),
    goneObjects: gone.flat(),
  };
}

async function isGone(vaultBucket: string, key: string): Promise<boolean> {
  try {
    return (await describeObject(vaultBucket, key)) === undefined;
  } catch (error) {
    // Something is there.
    if (error instanceof ObjectStorageError) return false;
    throw vaultRefused(error);
  }
}

/**
 * What became of all of them, by what results say: one is there again when a manifest of its tenant, in any bucket, names it,
 * for whoever wrote that saw it or copied it. What no result speaks of is neither.
 */
export function settleLosses(
  lost: LostObjects,
  sha256: string | null,
  results: readonly TenantBackupResult[],
): ObjectLosses {
  const looked = results.filter(
    ({ failure, manifestSha256, lostObjectsSha256 }) =>
      failure === null && manifestSha256 !== null && lostObjectsSha256 === sha256,
  );
  const said = (pick: 'backObjects' | 'goneObjects') => new Set(looked.flatMap(result => result[pick] ?? []));
  const [back, gone] = [said('backObjects'), said('goneObjects')];
  const absent = lost.keys.filter(key => !back.has(key));
  const { ledgerSequence, knownAt } = lost;
  return {
    ledgerSequence,
    knownAt,
    absent: absent.length > POINT_NAMES ? null : absent,
    back: lost.keys.filter(key => back.has(key)).slice(0, POINT_NAMES),
    gone: absent.filter(key => gone.has(key)).slice(0, POINT_NAMES),
  };
}

/** Results with a manifest that nobody compared with what this run knows as lost, but at most with what another run knew. */
export function findNotCompared<
  Result extends Pick<TenantBackupResult, 'tenant' | 'manifestSha256' | 'lostObjectsSha256'>,
>(lost: LostObjects | undefined, sha256: string | null, results: readonly Result[]): Result[] {
  return results.filter(
    ({ tenant, manifestSha256, lostObjectsSha256 }) =>
      manifestSha256 !== null && lostObjectsSha256 !== sha256 && lostOf(lost, tenant).size > 0,
  );
}
