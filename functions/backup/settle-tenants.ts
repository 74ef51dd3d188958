import { z } from 'zod';
import type { Deployment } from '../contracts/configuration.ts';
import { SettleTenantsInput, SettleTenantsOutput, TenantItem } from '../contracts/daily-backup.ts';
import { NotCoveredObject, TenantBackupResult } from '../contracts/object-manifest.ts';
import {
  countedMovesKey,
  itemsKey,
  manifestKey,
  notCoveredKey,
  settlingItemsKey,
  tenantKeyAlias,
  tenantResultsKey,
} from '../contracts/vault-layout.ts';
import { addMs, parseInstant } from '../platform/clock.ts';
import { isDeadlineOver } from '../platform/deadline.ts';
import { type StepContext, handler as step } from '../platform/handler.ts';
import { inOrder } from '../platform/in-order.ts';
import { findKey, TenantKeyUnusableError } from '../platform/kms.ts';
import { LineSpool } from '../platform/line-spool.ts';
import { log } from '../platform/log.ts';
import { readItems, readMapResults } from '../platform/map-results.ts';
import { openLines, readManifest, storeLines } from '../platform/object-manifest.ts';
import { readBytes, writeBytes } from '../platform/s3.ts';
import { CLOCK_SKEW_MS } from '../platform/scheduled-instant.ts';
import { contentOf } from './compare-listing.ts';
import { type Moves, mergeResults, planSettling, withoutSaved } from './settle-results.ts';

const LINES_BETWEEN_LOOKS_AT_THE_TIME = 10_000;
/** So many of what vanished or was replaced are in memory, a kilobyte each. */
const MOST_LOOKED_FOR = 500_000;
/** Tenants whose lists are read, or stored, at a time. */
const LISTS_AT_ONCE = { underWay: 16, waiting: 1024 };
/** What more tenants came to is written in a call of its own, with all the time there is. */
const CLOSED_BESIDE_COUNTING = 1000;

/**
 * Settles what moved in buckets that keep no versions while their tenants were backed up.
 *
 * Before a further pass it plans it. After the last one, what a listing saw and nothing could copy any more is looked for in
 * every manifest: the same content under another key, of another tenant or bucket too, is what was moved, and is taken off the
 * list. A move makes a new file: one of the same content that lay there before is another, and says nothing of what is gone.
 * Of several files of one content, as many have to have come somewhere as left their keys: what was copied and is gone counts
 * with what could not be. What is found nowhere stays named with its count, and makes the recovery point incomplete: it was
 * there after the snapshots, so that restored rows may name it, and nothing has it. Content is told by ETag and size. Under
 * SSE-KMS a moved file gets another ETag: there it stays named although it may be saved.
 *
 * Manifests are read only where something vanished: some 20 seconds for each million of their lines. At the deadline, and where
 * more vanished than fits into memory, nothing is taken off: all of it stays named.
 */
export const handler = step({
  input: SettleTenantsInput,
  output: SettleTenantsOutput,
  run: async (input, context): Promise<z.input<typeof SettleTenantsOutput>> =>
    input.moment === 'before' ? plan(input, context.deployment) : close(input, context),
});

async function plan(
  input: Extract<z.output<typeof SettleTenantsInput>, { moment: 'before' }>,
  { workBucket }: Deployment,
): Promise<z.input<typeof SettleTenantsOutput>> {
  const { recoveryPointId } = input;
  const { items, first, further } = await readPasses(workBucket, input);
  const settling = planSettling(items, first, further);
  await writeLines(workBucket, settlingItemsKey(recoveryPointId), settling);
  return { moment: 'before', itemsKey: settlingItemsKey(recoveryPointId), itemCount: settling.length };
}

async function close(
  input: Extract<z.output<typeof SettleTenantsInput>, { moment: 'after' }>,
  { deployment, timeIsShort }: StepContext,
): Promise<z.input<typeof SettleTenantsOutput>> {
  const { recoveryPointId, cursor, deadlineAt } = input;
  const { vaultBucket, workBucket } = deployment;
  const { items, first, further } = await readPasses(workBucket, input);
  const results = mergeResults(items, first, further);
  const closeWith = async (final: readonly TenantBackupResult[]) => {
    await writeLines(workBucket, tenantResultsKey(recoveryPointId), final);
    return { moment: 'after' as const, tenantsKey: tenantResultsKey(recoveryPointId), cursor: null };
  };
  const isLate = () => isDeadlineOver(deadlineAt);
  const withoutVersions = new Set(items.filter(({ asOf }) => asOf === null).map(({ bucketId }) => bucketId));
  const lists = results.filter(
    ({ bucketId, notCovered }) => withoutVersions.has(bucketId) && movedCount(notCovered) > 0,
  );
  const moved = lists.reduce((sum, { notCovered }) => sum + movedCount(notCovered), 0);
  if (moved > MOST_LOOKED_FOR || isLate()) {
    if (moved > 0) log('error', 'what vanished is not looked for: it is too much, or too late', { moved });
    return closeWith(results);
  }
  const readList = async (result: TenantBackupResult) => [result, await readNotCovered(result, vaultBucket)] as const;
  const named = new Map(await Array.fromAsync(inOrder(lists, readList, LISTS_AT_ONCE)));
  const count = cursor === null ? new MoveCount() : await MoveCount.resume(workBucket, recoveryPointId);
  const since = sinceWhen(named);
  if (since.size > 0 && count.manifestCount < results.length) {
    const isCounted = await countMoves(results, since, count, vaultBucket, () => timeIsShort() || isLate());
    if (!isCounted || results.length > CLOSED_BESIDE_COUNTING) {
      await count.keep(workBucket, recoveryPointId);
      return { moment: 'after', tenantsKey: null, cursor: count.manifestCount };
    }
  }
  for (const { content } of [...named.values()].flat())
    if (content) count.add(contentOf(content), { left: 1, came: 0 });
  const finish = (result: TenantBackupResult) => {
    const notCovered = named.get(result);
    return notCovered === undefined ? result : takeOff(result, notCovered, count, deployment);
  };
  return closeWith(await Array.fromAsync(inOrder(results, finish, LISTS_AT_ONCE)));
}

function movedCount({ vanished = 0, replaced = 0 }: TenantBackupResult['notCovered']): number {
  return vanished + replaced;
}

async function readPasses(
  workBucket: string,
  input: { recoveryPointId: string; tenantResultsKey: string; settledResultsKeys: readonly string[] },
): Promise<{ items: TenantItem[]; first: TenantBackupResult[]; further: TenantBackupResult[] }> {
  const read = (key: string) => Array.fromAsync(readMapResults(workBucket, key, TenantBackupResult));
  const items = await readItems(workBucket, itemsKey('backup', input.recoveryPointId), TenantItem);
  const first = await read(input.tenantResultsKey);
  const further: TenantBackupResult[] = [];
  for (const key of input.settledResultsKeys) further.push(...(await read(key)));
  return { items, first, further };
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

const KeptCount = z.strictObject({
  manifestCount: z.int(),
  moves: z.array(z.tuple([z.string(), z.int(), z.int()])),
});

/** How often contents left and came, counted manifest by manifest. */
class MoveCount {
  readonly #moves = new Map<string, Moves>();
  /** So many manifests are counted. */
  manifestCount = 0;

  /** Goes on from what was kept last: a call that is run again counts nothing twice. */
  static async resume(workBucket: string, recoveryPointId: string): Promise<MoveCount> {
    const stored = await readBytes(workBucket, countedMovesKey(recoveryPointId));
    const { manifestCount, moves } = KeptCount.parse(JSON.parse(stored.toString('utf8')));
    const count = new MoveCount();
    count.manifestCount = manifestCount;
    for (const [content, left, came] of moves) count.add(content, { left, came });
    return count;
  }

  async keep(workBucket: string, recoveryPointId: string): Promise<void> {
    const kept: z.input<typeof KeptCount> = {
      manifestCount: this.manifestCount,
      moves: [...this.#moves].map(([content, { left, came }]) => [content, left, came]),
    };
    const body = Buffer.from(JSON.stringify(kept));
    await writeBytes(workBucket, countedMovesKey(recoveryPointId), body, { contentType: 'application/json' });
  }

  of(content: string): Moves {
    return this.#moves.get(content) ?? { left: 0, came: 0 };
  }

  add(content: string, { left, came }: Moves): void {
    const before = this.of(content);
    this.#moves.set(content, { left: before.left + left, came: before.came + came });
  }

  addAll(other: MoveCount): void {
    for (const [content, moves] of other.#moves) this.add(content, moves);
  }
}

/**
 * Counts in the manifests that are not counted yet how often contents left the key of a line, and how often they came to one.
 * @param since the contents, and from when on each may have been moved.
 * @returns false when it stopped for time.
 */
async function countMoves(
  results: readonly TenantBackupResult[],
  since: ReadonlyMap<string, Date>,
  count: MoveCount,
  vaultBucket: string,
  timeIsShort: () => boolean,
): Promise<boolean> {
  for (const { tenant, manifestSha256 } of results.slice(count.manifestCount)) {
    if (timeIsShort()) return false;
    const ofManifest = new MoveCount();
    if (manifestSha256 !== null) {
      const key = manifestKey(tenant, manifestSha256);
      const lines = await openLines(vaultBucket, key, manifestSha256);
      try {
        let lineCount = 0;
        for await (const { line } of readManifest(lines, key)) {
          const content = contentOf(line);
          const from = since.get(content);
          if (from !== undefined) {
            const came = parseInstant(line.lastModified) >= from ? 1 : 0;
            ofManifest.add(content, { left: line.gone ? 1 : 0, came });
          }
          if (++lineCount % LINES_BETWEEN_LOOKS_AT_THE_TIME === 0 && timeIsShort()) return false;
        }
      } finally {
        await lines.close();
      }
    }
    count.addAll(ofManifest);
    count.manifestCount++;
  }
  return true;
}

/** The result without what was found, and the list of the rest stored beside the tenant's manifests. */
async function takeOff(
  result: TenantBackupResult,
  notCovered: readonly NotCoveredObject[],
  count: MoveCount,
  deployment: Deployment,
): Promise<TenantBackupResult> {
  const rest = withoutSaved(notCovered, content => count.of(content));
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
  vaultBucket: string,
): Promise<NotCoveredObject[]> {
  if (notCoveredSha256 === undefined) return [];
  const lines = await openLines(vaultBucket, notCoveredKey(tenant, notCoveredSha256), notCoveredSha256);
  try {
    return (await Array.fromAsync(lines.read())).map(text => NotCoveredObject.parse(JSON.parse(text)));
  } finally {
    await lines.close();
  }
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
