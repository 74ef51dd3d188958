import { zstdDecompressSync } from 'node:zlib';
import { handler as backUpTenant } from '../../../functions/backup/back-up-tenant.ts';
import { handler as listTenants } from '../../../functions/backup/list-tenants.ts';
import { handler as settleTenants } from '../../../functions/backup/settle-tenants.ts';
import type { TenantItem, TenantPass } from '../../../functions/contracts/daily-backup.ts';
import {
  NotCoveredObject,
  ObjectManifestLine,
  type TenantBackupResult,
} from '../../../functions/contracts/object-manifest.ts';
import { manifestKey, notCoveredKey, tenantKeyAlias } from '../../../functions/contracts/vault-layout.ts';
import { DAILY_BACKUP } from '../../../infra/workflows/hours.ts';
import type { TestRuntime } from '../../fixtures/step-runtime.ts';

/** The key of a tenant, made at first sight as `tenants/ensure-key` does. */
export function keyOf(cloud: TestRuntime, tenant: string | null, keys: Map<string, string>): string {
  if (tenant === null) return cloud.deployment.vaultKeyArn;
  const keyArn = keys.get(tenant) ?? cloud.kms.createKeyFromTemplate({}).keyArn;
  if (!keys.has(tenant)) cloud.kms.createAliasFromTemplate(tenantKeyAlias(tenant), keyArn);
  keys.set(tenant, keyArn);
  return keyArn;
}

/** Runs the steps of the daily backup that back up files, one after the other, as its workflow calls them. */
export async function runFileBackup(
  cloud: TestRuntime,
  keys: Map<string, string>,
  { recoveryPointId = '20261122t023000z', asOf = null as string | null } = {},
): Promise<TenantBackupResult[]> {
  let listing: string | null = null;
  const list = async () => {
    for (;;) {
      const output: Awaited<ReturnType<typeof listTenants>> = await cloud.invoke(listTenants, {
        recoveryPointId,
        asOf,
        listing,
      });
      listing = output.listing;
      if (output.itemsKey !== null) return output.itemsKey;
    }
  };
  const readLines = async (key: string) =>
    (await cloud.get('work', key))
      .toString()
      .split('\n')
      .slice(0, -1)
      .map(line => JSON.parse(line));
  const runPass = async (name: string, inputs: { item: TenantItem; pass: TenantPass }[]) => {
    const results: unknown[] = [];
    for (const input of inputs) {
      const keyArn = keyOf(cloud, input.item.tenant, keys);
      const { result } = await cloud.invoke(backUpTenant, { ...input, keyArn, cursor: null });
      results.push(result);
    }
    return writeResults(cloud, name, results);
  };
  const items: TenantItem[] = await readLines(await list());
  const tenantResultsKey = await runPass(
    'first',
    items.map(item => ({ item, pass: { kind: 'first' } })),
  );
  const settledResultsKeys: string[] = [];
  while (settledResultsKeys.length < DAILY_BACKUP.settlingPasses) {
    await list();
    const planned = await cloud.invoke(settleTenants, {
      ...{ moment: 'before', recoveryPointId, tenantResultsKey, settledResultsKeys },
    });
    if (planned.moment !== 'before') throw new Error('it planned nothing');
    if (planned.itemCount === 0) break;
    const name = `settle-${settledResultsKeys.length + 1}`;
    settledResultsKeys.push(await runPass(name, await readLines(planned.itemsKey)));
  }
  const closed = await cloud.invoke(settleTenants, {
    ...{ moment: 'after', recoveryPointId, tenantResultsKey, settledResultsKeys, cursor: null },
  });
  if (closed.moment !== 'after' || closed.tenantsKey === null) throw new Error('it was not closed');
  return readLines(closed.tenantsKey);
}

/** Writes what a distributed map leaves of its children. @returns the key of its manifest */
export async function writeResults(cloud: TestRuntime, name: string, results: readonly unknown[]): Promise<string> {
  const file = `work/results/${name}/SUCCEEDED_0.jsonl`;
  await cloud.put('work', file, results.map(result => `${JSON.stringify(result)}\n`).join(''));
  const manifest = { DestinationBucket: 'work', ResultFiles: { SUCCEEDED: [{ Key: file }], FAILED: [], PENDING: [] } };
  await cloud.put('work', `work/results/${name}/manifest.json`, JSON.stringify(manifest));
  return `work/results/${name}/manifest.json`;
}

async function readStored(cloud: TestRuntime, key: string): Promise<unknown[]> {
  const text = zstdDecompressSync(await cloud.get('vault', key)).toString('utf8');
  return text
    .split('\n')
    .slice(0, -1)
    .map(line => JSON.parse(line));
}

export async function readLines(cloud: TestRuntime, result: TenantBackupResult): Promise<ObjectManifestLine[]> {
  if (result.manifestSha256 === null) return [];
  const lines = await readStored(cloud, manifestKey(result.tenant, result.manifestSha256));
  return lines.map(line => ObjectManifestLine.parse(line));
}

export async function readNamed(cloud: TestRuntime, result: TenantBackupResult): Promise<NotCoveredObject[]> {
  if (result.notCoveredSha256 === undefined) return [];
  const lines = await readStored(cloud, notCoveredKey(result.tenant, result.notCoveredSha256));
  return lines.map(line => NotCoveredObject.parse(line));
}
