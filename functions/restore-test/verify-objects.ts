import type { z } from 'zod';
import type { Deployment } from '../contracts/configuration.ts';
import type { ObjectManifestLine } from '../contracts/object-manifest.ts';
import {
  type ObjectTestCursor,
  type ObjectTestItem,
  VerifyObjectsInput,
  VerifyObjectsOutput,
} from '../contracts/restore-test.ts';
import type { Finding, ObjectVerification } from '../contracts/restore-test-record.ts';
import { manifestKey, objectKey, objectPrefix, tenantKeyAlias } from '../contracts/vault-layout.ts';
import { type StepContext, handler as step } from '../platform/handler.ts';
import { inOrder, oneAtATime } from '../platform/in-order.ts';
import { findKey, TenantKeyUnusableError } from '../platform/kms.ts';
import type { SpooledLines } from '../platform/line-spool.ts';
import { COPY_LIMITS } from '../platform/object-copy.ts';
import { ManifestAlteredError, openLines, readManifest } from '../platform/object-manifest.ts';
import { deleteVersions, listObjects, ObjectKeyUnusableError, ObjectNotFoundError } from '../platform/s3.ts';
import { ObjectSample } from './object-sample.ts';
import { type RestoreTask, restoreObject, scratchKey } from './restore-object.ts';
import { InventoryComparison, type InventoryDifference, VaultInventory, windowEnd } from './vault-inventory.ts';

const RESTORES_UNDER_WAY = 16;
const FINDINGS_KEPT = 100;
const MIB = 1024 ** 2;
/** A function reads 10 MB a second at the least, so that eight gibibytes are read in one call of a quarter of an hour. */
export const RESTORE_LIMITS: VerificationLimits = {
  ...COPY_LIMITS,
  readBackUpToBytes: 8192 * MIB,
  togetherUpToBytes: 256 * MIB,
  namesAtOnce: 1_000_000,
};

type VerificationLimits = RestoreTask['limits'] & {
  /** So many of a manifest's names are in memory at a time, 38 bytes each. */
  readonly namesAtOnce: number;
};

const LINES_BETWEEN_LOOKS_AT_THE_TIME = 10_000;

/**
 * Verifies one tenant's manifest of one bucket: that it is the one that the root manifest names, that every object in it
 * is in the vault with its size, and that a sample of them, or all, can be restored to what they were.
 *
 * Built for 20 million objects of one tenant in one bucket, in the same memory whatever their number: the vault is listed
 * window by window of the names, each of which costs reading the manifest once.
 * @throws TenantKeyUnusableError when nothing of the tenant can be read because of its key: after an erasure that is as it
 * should be, so that it is no finding about the backup.
 */
export const handler = step({
  input: VerifyObjectsInput,
  output: VerifyObjectsOutput,
  run: (input, context) => verifyObjects(input, context, RESTORE_LIMITS),
});

export async function verifyObjects(
  { item, cursor }: z.output<typeof VerifyObjectsInput>,
  { deployment, timeIsShort }: StepContext,
  limits: VerificationLimits,
): Promise<z.input<typeof VerifyObjectsOutput>> {
  const { restoreTestId, recoveryPointId, tenant, manifestSha256 } = item;
  const key = manifestKey(tenant, manifestSha256);
  const progress = cursor?.progress ?? nothingYet(item);
  const keyArn = await findDataKey(tenant, deployment);
  let lines: SpooledLines | undefined;
  try {
    lines = await openLines(deployment.vaultBucket, key, manifestSha256);
    if (cursor?.phase !== 'restore') {
      const after = await checkInventory(
        lines,
        key,
        progress,
        cursor?.after ?? '',
        item,
        deployment,
        limits,
        timeIsShort,
      );
      if (after !== undefined) return { result: null, cursor: { phase: 'inventory', after, progress } };
      // Of a large manifest, whose reading takes its time, the rest has a call of its own.
      if (lines.lineCount > limits.namesAtOnce) {
        return { result: null, cursor: { phase: 'restore', lineCount: 0, progress } };
      }
    }
    const sample = item.sampleSize === null ? undefined : new ObjectSample(restoreTestId, item.sampleSize);
    if (sample !== undefined) await eachLine(lines, key, (line, index) => sample.add(index, line));
    const { vaultBucket, workBucket } = deployment;
    const task = { restoreTestId, recoveryPointId, tenant, vaultBucket, workBucket, keyArn, limits, timeIsShort };
    const lineCount = await restoreSample(lines, key, progress, sample?.indexes(), doneLines(cursor), task);
    return lineCount === undefined
      ? done(progress)
      : { result: null, cursor: { phase: 'restore', lineCount, progress } };
  } catch (error) {
    if (error instanceof ManifestAlteredError) {
      addFinding(progress, { kind: 'manifest-altered', place: key, detail: error.message });
    } else if (error instanceof ObjectNotFoundError && lines === undefined) {
      addFinding(progress, { kind: 'object-missing', place: key, detail: 'the manifest is gone' });
    } else if (error instanceof ObjectKeyUnusableError && lines === undefined) {
      throw keyUnusable(tenant, error);
    } else {
      throw error;
    }
    return done(progress);
  } finally {
    await lines?.close();
  }
}

/**
 * The first pass: everything is in the vault, with its size.
 * @returns the name that it came to when it stopped for time; undefined when all is compared.
 */
async function checkInventory(
  lines: SpooledLines,
  key: string,
  progress: ObjectVerification,
  doneUpTo: string,
  { tenant }: ObjectTestItem,
  { vaultBucket }: Deployment,
  { namesAtOnce }: VerificationLimits,
  timeIsShort: () => boolean,
): Promise<string | undefined> {
  const prefix = objectPrefix(tenant);
  const report = ({ name, difference }: InventoryDifference) => {
    const place = objectKey(tenant, name);
    addFinding(
      progress,
      difference === 'missing'
        ? { kind: 'object-missing', place, detail: 'the vault has no current version of it' }
        : { kind: 'object-altered', place, detail: 'its current version has another size' },
    );
  };
  let after: string | undefined = doneUpTo;
  while (after !== undefined && lines.lineCount > 0) {
    const end = windowEnd(after, lines.lineCount, namesAtOnce);
    const inventory = await readWindow(lines, key, after, end, namesAtOnce, timeIsShort);
    if (inventory === undefined) return after;
    const comparison = new InventoryComparison(inventory.sorted());
    for await (const { objects } of listObjects(vaultBucket, prefix, { startAfter: prefix + after })) {
      const listed = objects.map(object => ({ name: object.key.slice(prefix.length), sizeBytes: object.sizeBytes }));
      for (const difference of comparison.comparePage(listed)) report(difference);
      const last = listed.at(-1)?.name;
      if (last === undefined || (end !== undefined && last >= end)) break;
      if (timeIsShort()) return last;
    }
    for (const difference of comparison.compareRest()) report(difference);
    after = end;
  }
  progress.objectCount = lines.lineCount;
  return undefined;
}

/** The objects whose names are behind `after` and before `end`; undefined when it stopped for time. */
async function readWindow(
  lines: SpooledLines,
  key: string,
  after: string,
  end: string | undefined,
  namesAtOnce: number,
  timeIsShort: () => boolean,
): Promise<VaultInventory | undefined> {
  const inventory = new VaultInventory(Math.ceil(Math.min(lines.lineCount, namesAtOnce) * 1.05));
  let count = 0;
  for await (const { line } of readManifest(lines, key)) {
    if (++count % LINES_BETWEEN_LOOKS_AT_THE_TIME === 0 && timeIsShort()) return undefined;
    const { vaultName, sizeBytes } = line;
    if (vaultName > after && (end === undefined || vaultName < end)) inventory.add(vaultName, sizeBytes);
  }
  return inventory;
}

function doneLines(cursor: ObjectTestCursor | null): number {
  return cursor?.phase === 'restore' ? cursor.lineCount : 0;
}

/**
 * The second pass: restores what was drawn (all, where nothing was), and deletes what was compared.
 * @returns how many lines are done when it stopped for time; undefined when all are.
 */
async function restoreSample(
  lines: SpooledLines,
  key: string,
  progress: ObjectVerification,
  drawn: ReadonlySet<number> | undefined,
  doneLineCount: number,
  task: RestoreTask,
): Promise<number | undefined> {
  async function* chosen() {
    let index = 0;
    for await (const { line } of readManifest(lines, key)) {
      const number = index++;
      if (number < doneLineCount || !(drawn?.has(number) ?? true)) continue;
      if (task.timeIsShort()) {
        yield { number, line: undefined };
        return;
      }
      yield { number, line };
    }
  }
  const alone = oneAtATime();
  const restore = async ({ number, line }: { number: number; line: ObjectManifestLine | undefined }) => {
    if (line === undefined) return { number, vaultName: undefined, outcome: { kind: 'out-of-time' } as const };
    const work = () => restoreObject(line, task);
    const outcome = await (line.sizeBytes > task.limits.togetherUpToBytes ? alone(work) : work());
    return { number, vaultName: line.vaultName, outcome };
  };
  const limits = { underWay: RESTORES_UNDER_WAY, waiting: RESTORES_UNDER_WAY };
  const compared: { key: string; versionId: string }[] = [];
  try {
    for await (const { number, vaultName, outcome } of inOrder(chosen(), restore, limits)) {
      if (outcome.kind === 'out-of-time') return number;
      progress.bytesRestored += outcome.bytesRestored;
      if (outcome.findings.length === 0) progress.objectsRestored++;
      for (const finding of outcome.findings) addFinding(progress, finding);
      if (vaultName !== undefined) compared.push({ key: scratchKey(task, vaultName), versionId: 'null' });
      if (compared.length === 1000) await deleteVersions(task.workBucket, compared.splice(0));
    }
    return undefined;
  } finally {
    await deleteVersions(task.workBucket, compared);
  }
}

async function eachLine(
  lines: SpooledLines,
  key: string,
  visit: (line: ObjectManifestLine, index: number) => void,
): Promise<void> {
  let index = 0;
  for await (const { line } of readManifest(lines, key)) visit(line, index++);
}

/** @throws TenantKeyUnusableError */
async function findDataKey(tenant: string | null, { vaultKeyArn }: Deployment): Promise<string> {
  if (tenant === null) return vaultKeyArn;
  const key = await findKey(tenantKeyAlias(tenant));
  if (!key?.enabled) throw keyUnusable(tenant);
  return key.arn;
}

function keyUnusable(tenant: string | null, cause?: unknown): TenantKeyUnusableError {
  return new TenantKeyUnusableError(
    `the key of ${tenant === null ? 'the vault' : `tenant ${tenant}`} cannot be used, so that nothing under it can be read; if the tenant was not erased, see the key's state in KMS`,
    { cause },
  );
}

/** Keeps the first hundred findings, each once, and counts all. */
function addFinding(progress: ObjectVerification, finding: Finding): void {
  if (
    progress.findings.some(
      ({ kind, place, detail }) => kind === finding.kind && place === finding.place && detail === finding.detail,
    )
  ) {
    return;
  }
  progress.findingCount++;
  if (progress.findings.length < FINDINGS_KEPT) progress.findings.push(finding);
}

function done(progress: ObjectVerification): z.input<typeof VerifyObjectsOutput> {
  return { result: progress, cursor: null };
}

function nothingYet({ bucketId, tenant }: ObjectTestItem): ObjectVerification {
  return { bucketId, tenant, objectCount: 0, objectsRestored: 0, bytesRestored: 0, findings: [], findingCount: 0 };
}
