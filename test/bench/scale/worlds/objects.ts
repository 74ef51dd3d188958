import { createHash } from 'node:crypto';
import { zstdDecompressSync } from 'node:zlib';
import { handler as backUpTenant } from '../../../../functions/backup/back-up-tenant.ts';
import { manifestKey, objectKey, scratchPrefix, tenantKeyAlias } from '../../../../functions/contracts/vault-layout.ts';
import { LineSpool } from '../../../../functions/platform/line-spool.ts';
import { storeLines } from '../../../../functions/platform/object-manifest.ts';
import { stepRuntime, type TestRuntime } from '../../../fixtures/step-runtime.ts';
import type { Prepared } from '../loads.ts';
import { manifestLine } from '../parts.ts';
import { openWorld } from '../world.ts';

const recoveryPointId = '20261122t023000z';
const restoreTestId = '20261201t060000z';
const tenant = 'oakfield';
const itemOf = (previousManifestSha256: string | null) => ({
  recoveryPointId,
  bucketId: 'uploads',
  tenant,
  previousManifestSha256,
});

/** A local cloud with one school, which has a key. */
function openSchool(): { cloud: TestRuntime; keyArn: string } {
  const cloud = stepRuntime();
  const { keyArn } = cloud.kms.createKeyFromTemplate({});
  cloud.kms.createAliasFromTemplate(tenantKeyAlias(tenant), keyArn);
  return { cloud, keyArn };
}

async function prepared(cloud: TestRuntime, event: Record<string, unknown>): Promise<Prepared> {
  const environment = {
    DAYBREAK_CONFIGURATION: JSON.stringify(cloud.configuration),
    DAYBREAK_DEPLOYMENT: JSON.stringify(cloud.deployment),
  };
  return { event, environment, world: await openWorld(cloud) };
}

const storeManifest = (cloud: TestRuntime, keyArn: string, lines: Iterable<object>): Promise<string> =>
  cloud.run(async () => {
    const spool = await LineSpool.create();
    for (const line of lines) await spool.write(JSON.stringify(line));
    const spooled = await spool.end();
    await storeLines('vault', manifestKey(tenant, spooled.sha256), spooled, keyArn);
    await spooled.close();
    return spooled.sha256;
  });

const indexes = (count: number) => Array.from({ length: count }, (_, index) => index);

export async function prepareUnchanged(items: number): Promise<Prepared> {
  const { cloud, keyArn } = openSchool();
  const { key } = manifestLine(0);
  await cloud.put('school-uploads', key, 'x');
  const version = cloud.s3.core.store.buckets.get('school-uploads')?.keys.get(key)?.versions[0];
  if (version?.kind !== 'object') throw new Error('the seeded object is not there');
  cloud.clone(
    'school-uploads',
    key,
    indexes(items)
      .slice(1)
      .map(index => manifestLine(index).key),
  );
  const lastModified = new Date(version.lastModifiedMs).toISOString();
  const like = { eTag: `"${version.eTag}"`, lastModified, sizeBytes: 1 };
  const previous = await storeManifest(
    cloud,
    keyArn,
    indexes(items).map(index => manifestLine(index, like)),
  );
  return prepared(cloud, { item: itemOf(previous), keyArn, cursor: null });
}

async function uploadNew(items: number) {
  const school = openSchool();
  for (const index of indexes(items))
    await school.cloud.put('school-uploads', manifestLine(index).key, `photo ${index}`);
  return school;
}

export async function prepareNew(items: number): Promise<Prepared> {
  const { cloud, keyArn } = await uploadNew(items);
  return prepared(cloud, { item: itemOf(null), keyArn, cursor: null });
}

async function backUp({ cloud, keyArn }: { cloud: TestRuntime; keyArn: string }): Promise<string> {
  const { result } = await cloud.invoke(backUpTenant, { item: itemOf(null), keyArn, cursor: null });
  if (!result?.manifestSha256) throw new Error('the school is not backed up');
  return result.manifestSha256;
}

const testItem = (manifestSha256: string, sampleSize: number | null) => ({
  item: { restoreTestId, recoveryPointId, bucketId: 'uploads', tenant, manifestSha256, sampleSize },
  cursor: null,
});

export async function prepareRestore(items: number): Promise<Prepared> {
  const school = await uploadNew(items);
  return prepared(school.cloud, testItem(await backUp(school), null));
}

/** All objects are like the first, which is the one that the sample draws: none is larger or newer. */
export async function prepareInventory(items: number): Promise<Prepared> {
  const school = await uploadNew(1);
  const { cloud, keyArn } = school;
  const stored = zstdDecompressSync(await cloud.get('vault', manifestKey(tenant, await backUp(school))));
  const first = JSON.parse(stored.toString('utf8'));
  const nameOf = (index: number) => createHash('sha256').update(`vault ${index}`).digest('hex');
  const others = indexes(items).slice(1);
  cloud.clone(
    'vault',
    objectKey(tenant, first.vaultName),
    others.map(index => objectKey(tenant, nameOf(index))),
  );
  const lines = [first, ...others.map(index => ({ ...first, key: manifestLine(index).key, vaultName: nameOf(index) }))];
  return prepared(cloud, testItem(await storeManifest(cloud, keyArn, lines), 1));
}

export async function prepareTearDown(items: number): Promise<Prepared> {
  const { cloud } = openSchool();
  const keyOf = (index: number) =>
    `${scratchPrefix(restoreTestId)}${recoveryPointId}/${String(index).padStart(64, '0')}`;
  await cloud.put('work', keyOf(0), 'x');
  cloud.clone('work', keyOf(0), indexes(items).slice(1).map(keyOf));
  return prepared(cloud, { restoreTestId });
}
