import type { z } from 'zod';
import type { BucketConfiguration } from '../contracts/configuration.ts';
import {
  BackUpTenantInput,
  BackUpTenantOutput,
  type TenantCursor,
  type TenantItem,
  type TenantPass,
} from '../contracts/daily-backup.ts';
import { isPlainId } from '../contracts/identifiers.ts';
import {
  NotCoveredObject,
  nothingBackedUp,
  type ObjectManifestLine,
  type TenantBackupResult,
} from '../contracts/object-manifest.ts';
import { TenantFolders } from '../contracts/tenant-names.ts';
import {
  manifestKey,
  notCoveredKey,
  objectKey,
  tenantFoldersKey,
  unfinishedManifestKey,
} from '../contracts/vault-layout.ts';
import { sha256Hex } from '../platform/canonical-json.ts';
import { isDeadlineOver } from '../platform/deadline.ts';
import { describeError, PermanentError } from '../platform/errors.ts';
import { findBucket } from '../platform/find-configured.ts';
import { type StepContext, handler as step } from '../platform/handler.ts';
import { inOrder } from '../platform/in-order.ts';
import { compareKeys } from '../platform/key-order.ts';
import { TenantKeyUnusableError } from '../platform/kms.ts';
import { LineSpool, type SpooledLines } from '../platform/line-spool.ts';
import { log } from '../platform/log.ts';
import { COPY_LIMITS, type CopyLimits } from '../platform/object-copy.ts';
import { ManifestAlteredError, openLines, readManifest, storeLines } from '../platform/object-manifest.ts';
import { currentRuntime } from '../platform/runtime.ts';
import {
  type ListedObject,
  listObjects,
  ObjectKeyUnusableError,
  ObjectNotFoundError,
  readBytes,
} from '../platform/s3.ts';
import { type ComparedObject, compareListing, isSameContent, settleListing } from './compare-listing.ts';
import { type CopyOutcome, type CopyTask, copyToVault } from './copy-to-vault.ts';
import { listAsOf } from './list-as-of.ts';
import { lookAgain } from './look-again.ts';
import { describeLosses, lostOf, RESULT_NAMES, readLostObjects } from './lost-objects.ts';
import { readNamingSecret } from './object-name.ts';
import { type SegmentStore, UnfinishedManifest } from './unfinished-manifest.ts';
import { type List, type Passed, walkFolders, walkOutsideTenants } from './walk-bucket.ts';

const COPIES_UNDER_WAY = 32;
const RESULTS_WAITING = 4096;
const LINES_BETWEEN_LOOKS_AT_THE_TIME = 10_000;

export interface TenantBackupLimits extends CopyLimits {
  /** Stopping for time writes so many lines at most. */
  readonly linesPerSegment: number;
}

/** A quarter of a million lines are some 30 MB, compressed, which a function stores in a few seconds. */
export const TENANT_BACKUP_LIMITS: TenantBackupLimits = { ...COPY_LIMITS, linesPerSegment: 250_000 };

/** A manifest has more lines than one call of the step can write. */
export class ManifestTooLargeError extends PermanentError {}

/** The file that says where the tenants' folders are is not the one that was written for this run. */
export class TenantFoldersAlteredError extends PermanentError {}

/**
 * Backs up one tenant's objects of one bucket: lists them, copies what is new or changed into the vault, and stores the
 * manifest. Where nothing changed it writes nothing. Stopped for time, it keeps what it has and returns a cursor. After its
 * deadline it stores a manifest of what it came to, from which the next run goes on, and fails as `TenantTimedOutError`.
 *
 * Of a bucket that keeps versions the objects are those of the snapshot's moment. Of another they are those that either of
 * two listings saw, the second after all tenants' first (`TenantPass`): a file that was moved meanwhile to where the first
 * had already looked is found by the second, and one that was copied and is gone stays, and is marked so. Where the content of
 * a key changed in between, that of the second is taken, for it may be another file that was moved there; the other one is
 * named as `replaced`, with where the vault has it. What was listed and was gone before it could be copied is named as
 * `vanished`, because the restored rows may name it too. So whatever a listing saw is saved or named. A file that moves twice
 * within one backup, each time just ahead of the listing, is seen by neither; only a bucket's versions help against that.
 * Another run for the same recovery point is one more such pass: what the earlier one stored stays, though it is gone by now.
 *
 * Built for 20 million objects of one tenant in one bucket: a manifest of so many is written in one call, and two of them fit
 * on its disk. Listing and copying go on over any number of calls, in the same memory whatever the number of objects.
 */
export const handler = step({
  input: BackUpTenantInput,
  output: BackUpTenantOutput,
  run: (input, context) => backUpTenant(input, context, TENANT_BACKUP_LIMITS),
});

type Output = z.input<typeof BackUpTenantOutput>;

/** @throws TenantKeyUnusableError when the tenant's key refuses; the item's other failures under their own names. */
export async function backUpTenant(
  given: z.output<typeof BackUpTenantInput>,
  context: StepContext,
  limits: TenantBackupLimits,
): Promise<Output> {
  const { tenant, earlier } = given.item;
  const isAnotherRun = given.pass.kind === 'first' && earlier !== undefined;
  const input = isAnotherRun ? { ...given, pass: { kind: 'settle' as const, result: earlier } } : given;
  let previous: PreviousManifest | undefined;
  let manifest: UnfinishedManifest | undefined;
  try {
    previous = await openPreviousManifest(input.item, input.pass, context.deployment.vaultBucket);
    const segments = segmentStore(input, context.deployment.workBucket);
    manifest = await UnfinishedManifest.resume(segments, limits.linesPerSegment, input.cursor?.segments ?? []);
    return await proceed(input, context, limits, previous, manifest);
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

async function proceed(
  input: z.output<typeof BackUpTenantInput>,
  context: StepContext,
  limits: TenantBackupLimits,
  previous: PreviousManifest | undefined,
  manifest: UnfinishedManifest,
): Promise<Output> {
  const { item, pass, keyArn, cursor } = input;
  const progress = cursor?.progress ?? nothingYet(item, pass, context.now);
  const isLate = () => isDeadlineOver(input.deadlineAt);
  let phase: z.output<typeof TenantCursor>['phase'] = cursor?.phase ?? 'listing';
  const { vaultBucket, workBucket } = context.deployment;
  const { lostObjectsSha256 } = item;
  const lost = lostOf(await readLostObjects(workBucket, item.recoveryPointId, lostObjectsSha256), item.tenant);
  const amiss = new Set(progress.goneObjects);
  if (phase === 'listing') {
    const task = copyTask(input, context, limits, { lost, amiss }, () => context.timeIsShort() || isLate());
    const compared = compare(input, context, previous, manifest.lastKey);
    if (!isLate() && (await gather(manifest, progress, compared, task))) {
      progress.listedTo = currentRuntime().clock.now().toISOString();
      phase = 'listed';
    } else if (isLate()) phase = 'timed-out';
    // A large manifest is written in a call of its own, with all the time there is.
    if (phase !== 'listed' || manifest.stored.length > 0) {
      await manifest.suspend();
      if (amiss.size > 0) progress.goneObjects = [...amiss].slice(0, RESULT_NAMES);
      return { result: null, cursor: { segments: [...manifest.stored], phase, progress } };
    }
  }
  if (phase === 'timed-out') {
    const result =
      pass.kind === 'settle' ? pass.result : await keepPartial(input, context, progress, previous, manifest);
    return { result: { ...result, failure: 'TenantTimedOutError' }, cursor: null };
  }
  const { tenant } = item;
  const present = new Set<string>();
  const look = (text: string) => present.add(objectKey(tenant, vaultNameOf(text)));
  const { lines, notCovered } = await assemble(
    ...[manifest, noLines(), context.timeIsShort, lost.size > 0 ? look : undefined],
  );
  try {
    if (lines.sha256 !== previous?.sha256) {
      await storeLines(vaultBucket, manifestKey(tenant, lines.sha256), lines, keyArn);
    }
    if (notCovered.lineCount > 0) {
      await storeLines(vaultBucket, notCoveredKey(tenant, notCovered.sha256), notCovered, keyArn);
      progress.notCoveredSha256 = notCovered.sha256;
      present.add(notCoveredKey(tenant, notCovered.sha256));
    }
    present.add(manifestKey(tenant, lines.sha256));
    if (lost.size > 0 && lostObjectsSha256 !== null) {
      Object.assign(progress, await describeLosses(lost, { present, amiss, vaultBucket }));
      progress.lostObjectsSha256 = lostObjectsSha256;
    }
  } finally {
    await Promise.all([lines.close(), notCovered.close()]);
  }
  return { result: { ...progress, manifestSha256: lines.sha256 }, cursor: null };
}

function copyTask(
  { item, keyArn }: z.output<typeof BackUpTenantInput>,
  { configuration, deployment }: StepContext,
  limits: CopyLimits,
  losses: Pick<CopyTask, 'lost' | 'amiss'>,
  timeIsShort: () => boolean,
): CopyTask {
  const { tenant } = item;
  const bucket = findBucket(configuration, item.bucketId);
  let secret: Promise<Uint8Array> | undefined;
  return {
    source: { bucket: bucket.name, bucketId: bucket.id },
    vault: { bucket: deployment.vaultBucket, tenant, keyArn },
    namingSecret: () => {
      secret ??= readNamingSecret(deployment.vaultBucket, tenant, keyArn);
      return secret;
    },
    ...losses,
    limits,
    timeIsShort,
  };
}

/** What is listed after the key `after`, beside what is known of it. */
async function* compare(
  { item, pass }: z.output<typeof BackUpTenantInput>,
  { configuration, deployment }: StepContext,
  previous: PreviousManifest | undefined,
  after: string | undefined,
): AsyncGenerator<ComparedObject> {
  const { tenant } = item;
  const bucket = findBucket(configuration, item.bucketId);
  const list = item.asOf === null ? listObjects : listAsOf(item.asOf);
  const listing = walkItem(item, bucket, await readFolders(item, deployment.workBucket), after, list);
  const lines = previous?.lines() ?? noLines();
  if (pass.kind === 'first') {
    yield* compareListing(listing, lines);
    return;
  }
  const { notCoveredSha256 } = pass.result;
  if (notCoveredSha256 === undefined) {
    yield* settleListing(listing, { lines, notCovered: noLines(), after });
    return;
  }
  const named = await openLines(deployment.vaultBucket, notCoveredKey(tenant, notCoveredSha256), notCoveredSha256);
  try {
    yield* settleListing(listing, { lines, notCovered: readNotCovered(named), after });
  } finally {
    await named.close();
  }
}

/** What a run's tenants' folders are called, where they are not called as the tenant. */
async function readFolders(
  { recoveryPointId, tenantFoldersSha256 }: TenantItem,
  workBucket: string,
): Promise<Pick<TenantFolders, 'tenants' | 'postponed'>> {
  if (tenantFoldersSha256 === null) return { tenants: [], postponed: [] };
  const key = tenantFoldersKey(recoveryPointId, tenantFoldersSha256);
  const bytes = await readBytes(workBucket, key);
  if (sha256Hex(bytes) !== tenantFoldersSha256) {
    throw new TenantFoldersAlteredError(`${key} is not what was written for this run; run the backup again`);
  }
  return TenantFolders.parse(JSON.parse(bytes.toString('utf8')));
}

function walkItem(
  { tenant }: TenantItem,
  { name: bucket, tenantPrefix: template }: BucketConfiguration,
  { tenants, postponed }: Pick<TenantFolders, 'tenants' | 'postponed'>,
  after: string | undefined,
  list: List,
): AsyncGenerator<ListedObject | Passed> {
  if (tenant !== null) {
    const { folders } = tenants.find(({ name }) => name === tenant) ?? { folders: [tenant] };
    return walkFolders(bucket, template, folders, after, list);
  }
  const odd = new Set([...postponed, ...tenants.flatMap(({ folders }) => folders)]);
  return walkOutsideTenants(bucket, template, folder => isPlainId(folder) || odd.has(folder), after, list);
}

type Gathered =
  | Exclude<ComparedObject, { kind: 'new' }>
  | (Omit<Extract<ComparedObject, { kind: 'new' }>, 'kind'> & {
      readonly kind: 'tried';
      readonly outcome: Exclude<CopyOutcome, { kind: 'out-of-time' }>;
    })
  | { readonly kind: 'out-of-time'; readonly key: string };

/**
 * Adds everything listed to the manifest, in order. Returns false when it stopped for time. What is known of one key is added
 * as a whole or not at all, for the next call goes on behind the key that this one came to.
 */
async function gather(
  manifest: UnfinishedManifest,
  progress: TenantBackupResult,
  compared: AsyncIterable<ComparedObject>,
  task: CopyTask,
): Promise<boolean> {
  let isShort = false;
  // A listing of which nothing is taken goes on for as long as anybody asks.
  async function* inTime() {
    let key: string | undefined;
    for await (const object of compared) {
      isShort = (object.kind === 'passed' || object.key !== key) && task.timeIsShort();
      if (isShort) return;
      key = object.key;
      yield object;
    }
  }
  const start = (found: ComparedObject): Gathered | Promise<Gathered> =>
    task.lost.size === 0 ? take(found) : lookAgain(found, task).then(take);
  const take = (object: ComparedObject): Gathered | Promise<Gathered> => {
    if (object.kind !== 'new') return object;
    return copyToVault(object.object, object.lost, task).then(outcome =>
      outcome.kind === 'out-of-time' ? { ...outcome, key: object.key } : { ...object, kind: 'tried', outcome },
    );
  };
  let ofKey: Exclude<Gathered, { kind: 'out-of-time' }>[] = [];
  const addKey = async () => {
    const [first] = ofKey;
    for (const gathered of ofKey) await add(manifest, progress, gathered);
    ofKey = [];
    if (first !== undefined) await manifest.reach(first.key);
  };
  const limits = { underWay: COPIES_UNDER_WAY, waiting: RESULTS_WAITING };
  for await (const gathered of inOrder(inTime(), start, limits)) {
    if (gathered.key !== ofKey[0]?.key) await addKey();
    if (gathered.kind === 'out-of-time') return false;
    ofKey.push(gathered);
  }
  await addKey();
  return !isShort;
}

async function add(
  manifest: UnfinishedManifest,
  progress: TenantBackupResult,
  gathered: Exclude<Gathered, { kind: 'out-of-time' }>,
): Promise<void> {
  switch (gathered.kind) {
    case 'passed':
      return;
    case 'unchanged':
      progress.objectCount++;
      progress.byteCount += gathered.line.sizeBytes;
      await manifest.addLine(gathered.text);
      return;
    case 'kept':
      await addKept(manifest, progress, gathered.line);
      return;
    case 'not-covered':
      await addNotCovered(manifest, progress, gathered.object);
      return;
    case 'tried':
      await addOutcome(manifest, progress, gathered);
  }
}

async function addOutcome(
  manifest: UnfinishedManifest,
  progress: TenantBackupResult,
  { key, object, before, lost, outcome }: Extract<Gathered, { kind: 'tried' }>,
): Promise<void> {
  const listed = { eTag: object.eTag, sizeBytes: object.sizeBytes };
  const isCovered = before !== null && isSameContent(before.line, listed);
  // What the lock holds of a copy that is lost lies under a delete marker still: its line says as which version.
  const lostLine = lost === null ? {} : { line: lost };
  const isLostListed = lost !== null && isSameContent(lost, listed);
  const nameLost = async (reason: 'vanished' | 'replaced') => {
    if (lost === null) return;
    const content = { eTag: lost.eTag, sizeBytes: lost.sizeBytes };
    await addNotCovered(manifest, progress, { key, reason, content, line: lost });
  };
  switch (outcome.kind) {
    // What the first pass has stays where there is nothing to take in its place.
    case 'vanished':
      if (before !== null) await addKept(manifest, progress, before.line);
      await nameLost('vanished');
      if (!isCovered && !isLostListed) {
        await addNotCovered(manifest, progress, { key, reason: 'vanished', content: listed });
      }
      return;
    case 'not-covered':
      progress.recopiedObjectCount += outcome.recopied;
      if (isCovered) await addLine(manifest, progress, before.line);
      else if (before !== null) await addKept(manifest, progress, before.line);
      await addNotCovered(manifest, progress, { key, reason: outcome.reason, ...lostLine });
      return;
    case 'covered':
      progress.recopiedObjectCount += outcome.recopied;
      if (outcome.written) {
        progress.copiedObjectCount++;
        progress.copiedByteCount += outcome.line.sizeBytes;
      }
      await addLine(manifest, progress, outcome.line);
      if (before !== null && !isSameContent(before.line, outcome.line)) {
        const { eTag, sizeBytes } = before.line;
        await addNotCovered(manifest, progress, {
          ...{ key, reason: 'replaced', content: { eTag, sizeBytes }, line: before.line },
        });
      }
      if (lost !== null && !isSameContent(lost, outcome.line)) await nameLost('replaced');
      // In a bucket that keeps versions it is the one that was listed.
      if (!isCovered && !isLostListed && !isSameContent(listed, outcome.line)) {
        await addNotCovered(manifest, progress, { key, reason: 'replaced', content: listed });
      }
  }
}

/** Keeps what the first pass has, and says that it is no longer there. */
async function addKept(
  manifest: UnfinishedManifest,
  progress: TenantBackupResult,
  line: ObjectManifestLine,
): Promise<void> {
  progress.goneObjectCount = (progress.goneObjectCount ?? 0) + 1;
  await addLine(manifest, progress, { ...line, gone: true });
}

async function addLine(
  manifest: UnfinishedManifest,
  progress: TenantBackupResult,
  line: ObjectManifestLine,
): Promise<void> {
  progress.objectCount++;
  progress.byteCount += line.sizeBytes;
  if (line.tagsUnread) await addNotCovered(manifest, progress, { key: line.key, reason: 'tags-refused' });
  await manifest.addLine(line);
}

async function addNotCovered(
  manifest: UnfinishedManifest,
  progress: TenantBackupResult,
  object: NotCoveredObject,
): Promise<void> {
  progress.notCovered[object.reason] = (progress.notCovered[object.reason] ?? 0) + 1;
  await manifest.addNotCovered(object);
}

/**
 * Puts the segments together.
 * @param rest lines that follow theirs.
 * @param look is shown each line of theirs.
 * @throws ManifestTooLargeError
 */
async function assemble(
  manifest: UnfinishedManifest,
  rest: AsyncIterable<string>,
  timeIsShort: () => boolean,
  look?: (line: string) => void,
): Promise<{ lines: SpooledLines; notCovered: SpooledLines }> {
  const lines = await LineSpool.create();
  const notCovered = await LineSpool.create();
  let count = 0;
  const write = async (spool: LineSpool, text: string) => {
    if (++count % LINES_BETWEEN_LOOKS_AT_THE_TIME === 0 && timeIsShort()) {
      throw new ManifestTooLargeError(
        `a manifest has so many objects that one call writes only ${count} of them; give its tenants a prefix each, or split the bucket`,
      );
    }
    await spool.write(text);
  };
  try {
    for await (const { kind, text } of manifest.read()) {
      if (kind === 'line') look?.(text);
      await write(kind === 'line' ? lines : notCovered, text);
    }
    for await (const text of rest) await write(lines, text);
  } catch (error) {
    await Promise.all([lines.discard(), notCovered.discard()]);
    throw error;
  }
  return { lines: await lines.end(), notCovered: await notCovered.end() };
}

/** Without parsing it, for there may be millions: no later field of a line holds text that anybody chose. */
function vaultNameOf(line: string): string {
  const field = '"vaultName":"';
  const from = line.lastIndexOf(field) + field.length;
  return line.slice(from, line.indexOf('"', from));
}

/** Stores what it came to, and the newest manifest's lines of what it did not come to. */
async function keepPartial(
  { item, keyArn }: z.output<typeof BackUpTenantInput>,
  { deployment, timeIsShort }: StepContext,
  progress: TenantBackupResult,
  previous: PreviousManifest | undefined,
  manifest: UnfinishedManifest,
): Promise<TenantBackupResult> {
  const { bucketId, tenant, previousManifestSha256, partialManifestSha256 } = item;
  const { recopiedObjectCount, copiedObjectCount, copiedByteCount, listedFrom } = progress;
  const counts = { ...nothingBackedUp(), recopiedObjectCount, copiedObjectCount, copiedByteCount };
  const result = { bucketId, tenant, ...counts, previousManifestSha256, listedFrom, listedTo: null, failure: null };
  const { lastKey } = manifest;
  if (lastKey === undefined) return { ...result, ...(partialManifestSha256 && { partialManifestSha256 }) };
  async function* rest() {
    for await (const { line, text } of previous?.lines() ?? noLines()) {
      if (compareKeys(line.key, lastKey ?? '') > 0) yield text;
    }
  }
  const { lines, notCovered } = await assemble(manifest, rest(), timeIsShort);
  try {
    if (lines.sha256 !== previous?.sha256) {
      await storeLines(deployment.vaultBucket, manifestKey(tenant, lines.sha256), lines, keyArn);
    }
  } finally {
    await Promise.all([lines.close(), notCovered.close()]);
  }
  return { ...result, partialManifestSha256: lines.sha256 };
}

interface PreviousManifest {
  readonly sha256: string;
  lines(): ReturnType<typeof readManifest>;
  close(): Promise<void>;
}

/**
 * The manifest to compare with, verified. Where an earlier run's is altered or missing everything is compared with the vault
 * again instead: that costs calls, and never leaves an object out. The first pass's own has to be there.
 */
async function openPreviousManifest(
  { tenant, bucketId, partialManifestSha256, previousManifestSha256 }: TenantItem,
  pass: TenantPass,
  vaultBucket: string,
): Promise<PreviousManifest | undefined> {
  const open = async (sha256: string): Promise<PreviousManifest> => {
    const key = manifestKey(tenant, sha256);
    const spooled = await openLines(vaultBucket, key, sha256);
    return { sha256, lines: () => readManifest(spooled, key), close: () => spooled.close() };
  };
  if (pass.kind === 'settle') {
    return pass.result.manifestSha256 === null ? undefined : await open(pass.result.manifestSha256);
  }
  for (const sha256 of [partialManifestSha256, previousManifestSha256]) {
    if (sha256 === null) continue;
    try {
      return await open(sha256);
    } catch (error) {
      if (!(error instanceof ManifestAlteredError || error instanceof ObjectNotFoundError)) throw error;
      log('error', 'the previous manifest cannot be trusted; every object is compared with the vault', {
        tenant,
        bucketId,
        error: describeError(error),
      });
    }
  }
  return undefined;
}

function segmentStore(
  { item: { recoveryPointId, bucketId, tenant }, keyArn }: z.output<typeof BackUpTenantInput>,
  workBucket: string,
): SegmentStore {
  const keyOf = (sha256: string) => unfinishedManifestKey(recoveryPointId, bucketId, tenant, sha256);
  return {
    put: segment => storeLines(workBucket, keyOf(segment.sha256), segment, keyArn),
    open: sha256 => openLines(workBucket, keyOf(sha256), sha256),
  };
}

/** What a pass counts from. The second one copies beside what the first one copied, and looks at everything else anew. */
function nothingYet({ bucketId, tenant }: TenantItem, pass: TenantPass, now: Date): TenantBackupResult {
  const nothing = { bucketId, tenant, ...nothingBackedUp(), previousManifestSha256: null, failure: null };
  if (pass.kind === 'first') return { ...nothing, listedFrom: now.toISOString(), listedTo: null };
  const { copiedObjectCount, copiedByteCount, recopiedObjectCount, listedFrom = now.toISOString() } = pass.result;
  return { ...nothing, copiedObjectCount, copiedByteCount, recopiedObjectCount, listedFrom, listedTo: null };
}

async function* readNotCovered(lines: SpooledLines): AsyncGenerator<NotCoveredObject> {
  for await (const text of lines.read()) yield NotCoveredObject.parse(JSON.parse(text));
}

async function* noLines(): AsyncGenerator<never> {}
