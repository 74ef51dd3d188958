import { z } from 'zod';
import type { Deployment } from '../contracts/configuration.ts';
import { SettleTenantsInput, SettleTenantsOutput, TenantItem } from '../contracts/daily-backup.ts';
import { NotCoveredObject, TenantBackupResult } from '../contracts/object-manifest.ts';
import {
  foundContentsKey,
  itemsKey,
  manifestKey,
  notCoveredKey,
  settlingItemsKey,
  tenantKeyAlias,
  tenantResultsKey,
} from '../contracts/vault-layout.ts';
import { addMs, parseInstant } from '../platform/clock.ts';
import { type StepContext, handler as step } from '../platform/handler.ts';
import { findKey, TenantKeyUnusableError } from '../platform/kms.ts';
import { LineSpool } from '../platform/line-spool.ts';
import { readItems, readMapResults } from '../platform/map-results.ts';
import { openLines, readManifest, storeLines } from '../platform/object-manifest.ts';
import { readBytes, writeBytes } from '../platform/s3.ts';
import { CLOCK_SKEW_MS } from '../platform/scheduled-instant.ts';
import { contentOf, mergeResults, planSettling, withoutSaved } from './settle-results.ts';

const LINES_BETWEEN_LOOKS_AT_THE_TIME = 10_000;

/**
 * Settles what moved in buckets that keep no versions while their tenants were backed up.
 *
 * Before the second pass it plans it. After it, what a listing saw and nothing could copy any more is looked for in every
 * manifest: the same content under another key, of another tenant or bucket too, is what was moved, and is taken off the
 * list. A move makes a new file: one of the same content that lay there before is another, and says nothing of what is gone. What is found nowhere stays named with its count, and makes the recovery point incomplete: it was there after the
 * snapshots, so that restored rows may name it, and nothing has it. Content is told by ETag and size. Under SSE-KMS a moved
 * file gets another ETag: there it stays named although it may be saved.
 *
 * Manifests are read only where something vanished: some 20 seconds for each million of their lines.
 */
export const handler = step({
  input: SettleTenantsInput,
  output: SettleTenantsOutput,
  run: async (input, context): Promise<z.input<typeof SettleTenantsOutput>> =>
    input.moment === 'before' ? plan(input, context.deployment) : close(input, context),
});

async function plan(
  { recoveryPointId, tenantResultsKey: resultsKey }: Extract<z.output<typeof SettleTenantsInput>, { moment: 'before' }>,
  { workBucket }: Deployment,
): Promise<z.input<typeof SettleTenantsOutput>> {
  const items = await readItems(workBucket, itemsKey('backup', recoveryPointId), TenantItem);
  const results = await Array.fromAsync(readMapResults(workBucket, resultsKey, TenantBackupResult));
  const settling = planSettling(items, results);
  await writeLines(workBucket, settlingItemsKey(recoveryPointId), settling);
  return { moment: 'before', itemsKey: settlingItemsKey(recoveryPointId), itemCount: settling.length };
}

async function close(
  input: Extract<z.output<typeof SettleTenantsInput>, { moment: 'after' }>,
  { deployment, timeIsShort }: StepContext,
): Promise<z.input<typeof SettleTenantsOutput>> {
  const { recoveryPointId, settledResultsKey, cursor } = input;
  const { workBucket } = deployment;
  const items = await readItems(workBucket, itemsKey('backup', recoveryPointId), TenantItem);
  const read = (key: string) => Array.fromAsync(readMapResults(workBucket, key, TenantBackupResult));
  const first = await read(input.tenantResultsKey);
  const results = mergeResults(items, first, settledResultsKey === null ? null : await read(settledResultsKey));
  const settled = new Set(planSettling(items, first).map(({ item: { bucketId } }) => bucketId));
  const named = new Map<TenantBackupResult, NotCoveredObject[]>();
  for (const result of results) {
    const isConcerned = settled.has(result.bucketId) && (result.notCovered.vanished ?? 0) > 0;
    if (isConcerned) named.set(result, await readNotCovered(result, deployment));
  }
  const vanished = sinceWhen(named);
  const found = cursor === null ? new Set<string>() : await readFound(workBucket, recoveryPointId);
  const next = await search(results, cursor ?? 0, vanished, found, deployment, timeIsShort);
  if (next !== undefined) {
    const body = Buffer.from(JSON.stringify([...found]));
    await writeBytes(workBucket, foundContentsKey(recoveryPointId), body, { contentType: 'application/json' });
    return { moment: 'after', tenantsKey: null, cursor: next };
  }
  const final: TenantBackupResult[] = [];
  for (const result of results) {
    const notCovered = named.get(result);
    final.push(notCovered === undefined ? result : await takeOff(result, notCovered, found, deployment));
  }
  await writeLines(workBucket, tenantResultsKey(recoveryPointId), final);
  return { moment: 'after', tenantsKey: tenantResultsKey(recoveryPointId), cursor: null };
}

/** The contents that vanished, and when the first listing that saw each began: what it was moved to is not older. */
function sinceWhen(named: ReadonlyMap<TenantBackupResult, readonly NotCoveredObject[]>): Map<string, Date> {
  const since = new Map<string, Date>();
  for (const [{ listedFrom }, objects] of named) {
    if (!listedFrom) continue;
    const from = addMs(parseInstant(listedFrom), -CLOCK_SKEW_MS);
    for (const { reason, content } of objects) {
      if (reason !== 'vanished' || content === undefined) continue;
      const earlier = since.get(contentOf(content));
      if (earlier === undefined || from < earlier) since.set(contentOf(content), from);
    }
  }
  return since;
}

/**
 * Looks for contents in the manifests from the `from`th on, until all are found.
 * @param vanished since when each may have been moved.
 * @param found gets what is found.
 * @returns the manifest to go on with when it stopped for time; undefined when it is done.
 */
async function search(
  results: readonly TenantBackupResult[],
  from: number,
  vanished: ReadonlyMap<string, Date>,
  found: Set<string>,
  { vaultBucket }: Deployment,
  timeIsShort: () => boolean,
): Promise<number | undefined> {
  for (const [index, { tenant, manifestSha256 }] of results.entries()) {
    if (found.size === vanished.size) return undefined;
    if (index < from || manifestSha256 === null) continue;
    if (timeIsShort()) return index;
    const key = manifestKey(tenant, manifestSha256);
    const lines = await openLines(vaultBucket, key, manifestSha256);
    try {
      let count = 0;
      for await (const { line } of readManifest(lines, key)) {
        const content = contentOf(line);
        const since = vanished.get(content);
        if (since !== undefined && parseInstant(line.lastModified) >= since) found.add(content);
        if (++count % LINES_BETWEEN_LOOKS_AT_THE_TIME === 0 && timeIsShort()) return index;
      }
    } finally {
      await lines.close();
    }
  }
  return undefined;
}

/** The result without what was found, and the list of the rest stored beside the tenant's manifests. */
async function takeOff(
  result: TenantBackupResult,
  notCovered: readonly NotCoveredObject[],
  found: ReadonlySet<string>,
  deployment: Deployment,
): Promise<TenantBackupResult> {
  const rest = withoutSaved(notCovered, content => found.has(content));
  if (rest.length === notCovered.length) return result;
  const { notCoveredSha256: _, ...others } = result;
  const { vanished = 0, ...reasons } = result.notCovered;
  const lost = vanished - (notCovered.length - rest.length);
  const counted = { ...others, notCovered: lost === 0 ? reasons : { ...reasons, vanished: lost } };
  if (rest.length === 0) return counted;
  const spool = await LineSpool.create();
  for (const object of rest) await spool.write(JSON.stringify(object));
  const lines = await spool.end();
  try {
    const keyArn = await findDataKey(result.tenant, deployment);
    await storeLines(deployment.vaultBucket, notCoveredKey(result.tenant, lines.sha256), lines, keyArn);
    return { ...counted, notCoveredSha256: lines.sha256 };
  } finally {
    await lines.close();
  }
}

async function readNotCovered(
  { tenant, notCoveredSha256 }: TenantBackupResult,
  { vaultBucket }: Deployment,
): Promise<NotCoveredObject[]> {
  if (notCoveredSha256 === undefined) return [];
  const lines = await openLines(vaultBucket, notCoveredKey(tenant, notCoveredSha256), notCoveredSha256);
  try {
    return (await Array.fromAsync(lines.read())).map(text => NotCoveredObject.parse(JSON.parse(text)));
  } finally {
    await lines.close();
  }
}

async function readFound(workBucket: string, recoveryPointId: string): Promise<Set<string>> {
  const stored = await readBytes(workBucket, foundContentsKey(recoveryPointId));
  return new Set(z.array(z.string()).parse(JSON.parse(stored.toString('utf8'))));
}

/** @throws TenantKeyUnusableError */
async function findDataKey(tenant: string | null, { vaultKeyArn }: Deployment): Promise<string> {
  if (tenant === null) return vaultKeyArn;
  const key = await findKey(tenantKeyAlias(tenant));
  if (key?.enabled) return key.arn;
  throw new TenantKeyUnusableError(`the key of tenant ${tenant} cannot be used: see its state in KMS`);
}

async function writeLines(bucket: string, key: string, values: readonly unknown[]): Promise<void> {
  const body = Buffer.from(values.map(value => `${JSON.stringify(value)}\n`).join(''));
  await writeBytes(bucket, key, body, { contentType: 'application/jsonl' });
}
