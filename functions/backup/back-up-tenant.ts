import type { z } from 'zod';
import { BackUpTenantInput, BackUpTenantOutput, type TenantItem } from '../contracts/daily-backup.ts';
import { type NotCoveredReason, nothingBackedUp, type TenantBackupResult } from '../contracts/object-manifest.ts';
import { manifestKey, notCoveredKey, unfinishedManifestKey } from '../contracts/vault-layout.ts';
import { describeError } from '../platform/errors.ts';
import { findBucket } from '../platform/find-configured.ts';
import { type StepContext, handler as step } from '../platform/handler.ts';
import { inOrder } from '../platform/in-order.ts';
import { TenantKeyUnusableError } from '../platform/kms.ts';
import { log } from '../platform/log.ts';
import { COPY_LIMITS, type CopyLimits } from '../platform/object-copy.ts';
import { ManifestAlteredError, openLines, readManifest, storeLines } from '../platform/object-manifest.ts';
import { type ListedObject, listObjects, ObjectKeyUnusableError, ObjectNotFoundError } from '../platform/s3.ts';
import { type ComparedObject, compareListing } from './compare-listing.ts';
import { type CopyOutcome, type CopyTask, copyToVault } from './copy-to-vault.ts';
import { listAsOf } from './list-as-of.ts';
import { readNamingSecret } from './object-name.ts';
import { tenantPrefix } from './tenant-prefix.ts';
import { UnfinishedManifest } from './unfinished-manifest.ts';
import { walkOutsideTenants, walkPrefix } from './walk-bucket.ts';

const COPIES_UNDER_WAY = 32;
const RESULTS_WAITING = 4096;

/**
 * Backs up one tenant's objects of one bucket: lists them, copies what is new or changed into the vault, and stores the
 * manifest. Where nothing changed it writes nothing. Stopped for time, it keeps what it has and returns a cursor.
 *
 * An object that was deleted between listing and copying is left out, as if it had been deleted before.
 */
export const handler = step({
  input: BackUpTenantInput,
  output: BackUpTenantOutput,
  run: (input, context) => backUpTenant(input, context, COPY_LIMITS),
});

/** @throws TenantKeyUnusableError when the tenant's key refuses; the item's other failures under their own names. */
export async function backUpTenant(
  input: z.output<typeof BackUpTenantInput>,
  context: StepContext,
  limits: CopyLimits,
): Promise<z.input<typeof BackUpTenantOutput>> {
  const { tenant } = input.item;
  let previous: PreviousManifest | undefined;
  let manifest: UnfinishedManifest | undefined;
  try {
    previous = await openPreviousManifest(input.item, context.deployment.vaultBucket);
    manifest = await openManifest(input, context.deployment.workBucket);
    return await complete(input, context, limits, previous, manifest);
  } catch (error) {
    if (!(error instanceof ObjectKeyUnusableError)) throw error;
    throw new TenantKeyUnusableError(
      `the key of ${tenant === null ? 'the vault' : `tenant ${tenant}`} cannot be used: see its state in KMS`,
      { cause: error },
    );
  } finally {
    await manifest?.close();
    await previous?.close();
  }
}

async function complete(
  { item, keyArn, cursor }: z.output<typeof BackUpTenantInput>,
  { configuration, deployment, timeIsShort }: StepContext,
  limits: CopyLimits,
  previous: PreviousManifest | undefined,
  manifest: UnfinishedManifest,
): Promise<z.input<typeof BackUpTenantOutput>> {
  const { tenant } = item;
  const { vaultBucket, workBucket } = deployment;
  const bucket = findBucket(configuration, item.bucketId);
  const progress = cursor?.progress ?? nothingYet(item);
  let secret: Promise<Uint8Array> | undefined;
  const task: CopyTask = {
    source: { bucket: bucket.name, bucketId: bucket.id },
    vault: { bucket: vaultBucket, tenant, keyArn },
    namingSecret: () => {
      secret ??= readNamingSecret(vaultBucket, tenant, keyArn);
      return secret;
    },
    limits,
    timeIsShort,
  };
  const list = item.asOf === null ? listObjects : listAsOf(item.asOf);
  const listing =
    tenant === null
      ? walkOutsideTenants(bucket.name, bucket.tenantPrefix, manifest.lastKey, list)
      : walkPrefix(bucket.name, tenantPrefix(bucket.tenantPrefix, tenant), manifest.lastKey, list);
  if (!(await gather(manifest, progress, compareListing(listing, previous?.lines() ?? noLines()), task))) {
    const suspended = await manifest.suspend();
    await storeLines(workBucket, unfinishedKey(item, suspended.sha256), suspended, keyArn);
    return { result: null, cursor: { unfinishedSha256: suspended.sha256, progress } };
  }
  const { lines, notCovered } = await manifest.end();
  if (lines.sha256 !== previous?.sha256) {
    await storeLines(vaultBucket, manifestKey(tenant, lines.sha256), lines, keyArn);
  }
  if (notCovered.lineCount > 0) {
    await storeLines(vaultBucket, notCoveredKey(tenant, notCovered.sha256), notCovered, keyArn);
    progress.notCoveredSha256 = notCovered.sha256;
  }
  return { result: { ...progress, manifestSha256: lines.sha256 }, cursor: null };
}

interface PreviousManifest {
  readonly sha256: string;
  lines(): ReturnType<typeof readManifest>;
  close(): Promise<void>;
}

interface Gathered {
  readonly object: ListedObject;
  /** The previous manifest's line, or what became of the copy. */
  readonly outcome: { kind: 'unchanged'; text: string } | CopyOutcome;
}

/** Adds everything listed to the manifest, in order. Returns false when it stopped for time. */
async function gather(
  manifest: UnfinishedManifest,
  progress: TenantBackupResult,
  compared: AsyncIterable<ComparedObject>,
  task: CopyTask,
): Promise<boolean> {
  const start = ({ object, unchanged }: ComparedObject): Gathered | Promise<Gathered> => {
    if (task.timeIsShort()) return { object, outcome: { kind: 'out-of-time' } };
    if (unchanged !== undefined) return { object, outcome: { kind: 'unchanged', text: unchanged } };
    return copyToVault(object, task).then(outcome => ({ object, outcome }));
  };
  const limits = { underWay: COPIES_UNDER_WAY, waiting: RESULTS_WAITING };
  for await (const { object, outcome } of inOrder(compared, start, limits)) {
    if (outcome.kind === 'out-of-time') return false;
    await addOutcome(manifest, progress, object, outcome);
    manifest.lastKey = object.key;
  }
  return true;
}

async function addOutcome(
  manifest: UnfinishedManifest,
  progress: TenantBackupResult,
  object: ListedObject,
  outcome: Exclude<Gathered['outcome'], { kind: 'out-of-time' }>,
): Promise<void> {
  switch (outcome.kind) {
    case 'gone':
      return;
    case 'unchanged':
      progress.objectCount++;
      progress.byteCount += object.sizeBytes;
      await manifest.addLine(outcome.text);
      return;
    case 'not-covered':
      progress.recopiedObjectCount += outcome.recopied;
      await addNotCovered(manifest, progress, object.key, outcome.reason);
      return;
    case 'covered':
      progress.recopiedObjectCount += outcome.recopied;
      progress.objectCount++;
      progress.byteCount += outcome.line.sizeBytes;
      if (outcome.written) {
        progress.copiedObjectCount++;
        progress.copiedByteCount += outcome.line.sizeBytes;
      }
      if (outcome.line.tagsUnread) await addNotCovered(manifest, progress, object.key, 'tags-refused');
      await manifest.addLine(outcome.line);
  }
}

async function addNotCovered(
  manifest: UnfinishedManifest,
  progress: TenantBackupResult,
  key: string,
  reason: NotCoveredReason,
): Promise<void> {
  progress.notCovered[reason] = (progress.notCovered[reason] ?? 0) + 1;
  await manifest.addNotCovered(key, reason);
}

/**
 * The previous manifest, verified. Where it is altered or missing everything is compared with the vault again instead:
 * that costs calls, and never leaves an object out.
 */
async function openPreviousManifest(
  { tenant, bucketId, previousManifestSha256 }: TenantItem,
  vaultBucket: string,
): Promise<PreviousManifest | undefined> {
  if (previousManifestSha256 === null) return undefined;
  const key = manifestKey(tenant, previousManifestSha256);
  try {
    const spooled = await openLines(vaultBucket, key, previousManifestSha256);
    return { sha256: spooled.sha256, lines: () => readManifest(spooled, key), close: () => spooled.close() };
  } catch (error) {
    if (!(error instanceof ManifestAlteredError || error instanceof ObjectNotFoundError)) throw error;
    log('error', 'the previous manifest cannot be trusted; every object is compared with the vault', {
      tenant,
      bucketId,
      error: describeError(error),
    });
    return undefined;
  }
}

async function openManifest(
  { item, cursor }: z.output<typeof BackUpTenantInput>,
  workBucket: string,
): Promise<UnfinishedManifest> {
  if (cursor === null) return UnfinishedManifest.start();
  const { unfinishedSha256 } = cursor;
  const suspended = await openLines(workBucket, unfinishedKey(item, unfinishedSha256), unfinishedSha256);
  try {
    return await UnfinishedManifest.resume(suspended);
  } finally {
    await suspended.close();
  }
}

function unfinishedKey({ recoveryPointId, bucketId, tenant }: TenantItem, sha256: string): string {
  return unfinishedManifestKey(recoveryPointId, bucketId, tenant, sha256);
}

function nothingYet({ bucketId, tenant }: TenantItem): TenantBackupResult {
  return { bucketId, tenant, ...nothingBackedUp(), previousManifestSha256: null, failure: null };
}

async function* noLines(): AsyncGenerator<never> {}
