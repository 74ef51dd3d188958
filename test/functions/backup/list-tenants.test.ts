import { zstdCompressSync } from 'node:zlib';
import { HeadObjectCommand } from '@aws-sdk/client-s3';
import { beforeEach, describe, expect, it } from 'vitest';
import { beginListing, continueListing, isDone } from '../../../functions/backup/list-folders.ts';
import { handler } from '../../../functions/backup/list-tenants.ts';
import { addItems, orderForNight, planItems } from '../../../functions/backup/plan-items.ts';
import type { TenantItem } from '../../../functions/contracts/daily-backup.ts';
import type { RecoveryPoint } from '../../../functions/contracts/recovery-point.ts';
import { TenantFolders, type TenantIdComparison } from '../../../functions/contracts/tenant-names.ts';
import {
  fingerprintKey,
  folderListingKey,
  itemsKey,
  rootManifestKey,
  tenantFoldersKey,
} from '../../../functions/contracts/vault-layout.ts';
import { canonicalJson } from '../../../functions/platform/canonical-json.ts';
import { inPagesOf, stepRuntime, type TestRuntime } from '../../fixtures/step-runtime.ts';

const recoveryPointId = '20261122t023000z';
const database = { id: 'app', instanceId: 'school-app', databaseName: 'app', rootTable: 'school', rootColumn: 'id' };
const hash = (digit: string) => digit.repeat(64);

let cloud: TestRuntime;
const asOf = '2026-11-22T02:40:00.000Z';

beforeEach(() => {
  cloud = stepRuntime({ configuration: { databases: [{ ...database, readerUser: 'daybreak_reader' }] } });
});

async function writtenItems(id: string): Promise<TenantItem[]> {
  const text = (await cloud.get('work', itemsKey('backup', id))).toString();
  return text
    .split('\n')
    .slice(0, -1)
    .map(line => JSON.parse(line));
}

/** By their places: they are written in the order of the night. */
async function itemsOf(id: string): Promise<TenantItem[]> {
  const place = ({ bucketId, tenant }: TenantItem) => `${bucketId}/${tenant ?? ''}`;
  return (await writtenItems(id)).sort((a, b) => (place(a) < place(b) ? -1 : 1));
}

async function listItems(): Promise<TenantItem[]> {
  const { itemCount, lostObjectsSha256 } = await cloud.invoke(handler, { recoveryPointId, asOf });
  const items = await itemsOf(recoveryPointId);
  expect(items).toHaveLength(itemCount);
  for (const item of items) expect(item.lostObjectsSha256).toBe(lostObjectsSha256);
  return items;
}

async function readFolders(items: TenantItem[]): Promise<TenantFolders> {
  const [sha256, ...others] = new Set(items.map(({ tenantFoldersSha256 }) => tenantFoldersSha256));
  expect(others).toEqual([]);
  return TenantFolders.parse(
    JSON.parse(String(await cloud.get('work', tenantFoldersKey(recoveryPointId, `${sha256}`)))),
  );
}

const givenName = (id: string) => ({ version: 1, comparison: 'exact', comparedAs: id, id, name: `_${'a'.repeat(26)}` });

const tenants = async () => (await listItems()).map(({ tenant }) => tenant);

function tenantResult(
  tenant: string | null,
  manifestSha256: string | null,
  previousManifestSha256: string | null = null,
) {
  const counts = { objectCount: 1, byteCount: 1, copiedObjectCount: 0, copiedByteCount: 0, recopiedObjectCount: 0 };
  return {
    bucketId: 'uploads',
    tenant,
    manifestSha256,
    previousManifestSha256,
    ...counts,
    notCovered: {},
    failure: null,
  };
}

async function putRootManifest(id: string, results: RecoveryPoint['tenants'], forge?: (text: string) => string) {
  const document: RecoveryPoint = {
    version: 1,
    recoveryPointId: id,
    scheduledAt: '2026-11-21T02:30:00.000Z',
    completedAt: '2026-11-21T03:30:00.000Z',
    status: 'good',
    databases: [],
    tenants: results,
    reasons: [],
  };
  const text = canonicalJson(await cloud.sign(document));
  await cloud.put('vault', rootManifestKey(id), forge?.(text) ?? text);
}

const fingerprintOf = (names: string[], comparison: TenantIdComparison = 'exact') => {
  const comparedAs = (id: string) => (comparison === 'ignores-case' ? id.toLowerCase() : id);
  const tenants = names.map(id => ({ id, comparedAs: comparedAs(id) }));
  return zstdCompressSync(JSON.stringify({ root: { comparison, tenants, rowsWithoutId: 0 } }));
};

const putFingerprint = (names: string[]) =>
  cloud.put('vault', fingerprintKey(recoveryPointId, 'app', 'before'), fingerprintOf(names));

describe('list-tenants', () => {
  it('finds the tenants of a bucket by their prefixes', async () => {
    for (const key of [
      'schools/oakfield/a',
      'schools/oakfield/b/c',
      'schools/riverside/x',
      'schools/St Mary/y',
      'other/z',
    ]) {
      await cloud.put('school-uploads', key, 'x');
    }
    cloud.intercept(inPagesOf(1));
    expect(await listItems()).toEqual(
      [null, 'oakfield', 'riverside'].map(tenant => ({
        recoveryPointId,
        bucketId: 'uploads',
        tenant,
        previousManifestSha256: null,
        partialManifestSha256: null,
        asOf: null,
        tenantFoldersSha256: null,
        lostObjectsSha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      })),
    );
    expect(cloud.lines).toContainEqual(expect.objectContaining({ level: 'info', strangeFolderCount: 1 }));
    expect(await cloud.list('vault', 'tenant-names/')).toEqual([]);
  });

  it('adds tenants that only a database knows', async () => {
    await cloud.put('school-uploads', 'schools/oakfield/a', 'x');
    await putFingerprint(['oakfield', 'new-school']);
    expect(await tenants()).toEqual([null, 'new-school', 'oakfield']);
  });

  it('gives an odd id a name, once, and tells the backup alone where its folder is', async () => {
    const ids = ['', '..', 'a b', 'jo@stmarys.example', 'stmarys.sch.uk', 'x'.repeat(5000), '\u00C4', 'A\u0308', '🏫'];
    for (const id of ids.slice(0, 5)) await cloud.put('school-uploads', `schools/${id}/f`, 'x');
    await putFingerprint([...ids, 'oakfield']);
    const items = await listItems();
    const names = items.flatMap(({ tenant }) => (tenant === null ? [] : [tenant]));
    expect(names).toHaveLength(ids.length + 1);
    expect(new Set(names).size).toBe(names.length);
    expect(names.filter(name => !/^_[a-z2-7]{26}$/.test(name))).toEqual(['oakfield']);

    const given = await cloud.list('vault', 'tenant-names/');
    expect(given).toHaveLength(ids.length);
    for (const key of given) {
      expect(key).toMatch(/^tenant-names\/[0-9a-f]{64}\.json$/);
      const { ServerSideEncryption, SSEKMSKeyId } = await cloud.client.send(
        new HeadObjectCommand({ Bucket: 'vault', Key: key }),
      );
      expect([ServerSideEncryption, SSEKMSKeyId]).toEqual(['aws:kms', cloud.deployment.vaultKeyArn]);
    }
    const { tenants: folders } = await readFolders(items);
    expect(folders.flatMap(({ folders }) => folders).sort()).toEqual([...ids].sort());
    expect(folders.map(({ name }) => name).sort()).toEqual(names.filter(name => name !== 'oakfield'));
    for (const said of [JSON.stringify(items), JSON.stringify(cloud.lines), (await cloud.list('work')).join()]) {
      for (const id of ['a b', 'stmarys', '\u00C4', 'A\u0308', '🏫', 'x'.repeat(30)]) expect(said).not.toContain(id);
    }

    cloud.requests.length = 0;
    expect(await tenants()).toEqual([null, ...names]);
    expect(cloud.requests.filter(request => request.includes('GenerateMac') || request.includes('PUT /vault'))).toEqual(
      [],
    );
  });

  it('gives no name to a folder that no database knows, and one from when a database does', async () => {
    await cloud.put('school-uploads', 'schools/St Mary/y', 'x');
    expect(await tenants()).toEqual([null]);
    await putFingerprint(['St Mary']);
    const [, name] = await tenants();
    expect(name).toMatch(/^_/);
    await putFingerprint(['another']);
    expect(await tenants()).toEqual([null, name, 'another']);
  });

  it('is run twice at the same time, and both use the same names', async () => {
    await putFingerprint(['a b', 'c d']);
    const others = '20261122t023001z';
    await cloud.put(
      'vault',
      fingerprintKey(others, 'app', 'before'),
      await cloud.get('vault', fingerprintKey(recoveryPointId, 'app', 'before')),
    );
    const waiting: (() => void)[] = [];
    // Each run has read that no names are given before either of them gives one.
    cloud.intercept(async (request, next) => {
      if (request.method === 'PUT' && request.path.startsWith('/vault/tenant-names/')) {
        await new Promise<void>(resolve => {
          waiting.push(resolve);
          if (waiting.length === 4) for (const go of waiting) go();
        });
      }
      return next();
    });
    await Promise.all([cloud.invoke(handler, { recoveryPointId }), cloud.invoke(handler, { recoveryPointId: others })]);
    cloud.intercept(undefined);
    expect(await cloud.list('vault', 'tenant-names/')).toHaveLength(2);
    const [first, second] = [await itemsOf(recoveryPointId), await itemsOf(others)].map(items =>
      items.map(({ tenant }) => tenant),
    );
    expect(first).toHaveLength(3);
    expect(second).toEqual(first);
  });

  it('is killed after it has given a name, and its rerun keeps it', async () => {
    await putFingerprint(['a b', 'c d']);
    cloud.intercept(async (request, next) => {
      if (request.path.includes('items.jsonl')) throw new Error('killed');
      return next();
    });
    await expect(cloud.invoke(handler, { recoveryPointId })).rejects.toThrow();
    cloud.intercept(undefined);
    const given = await Promise.all(
      (await cloud.list('vault', 'tenant-names/')).map(
        async key => JSON.parse(String(await cloud.get('vault', key))).name,
      ),
    );
    expect(given).toHaveLength(2);
    expect(await tenants()).toEqual([null, ...given.sort()]);
  });

  it.each([
    ['is no JSON', 'a b', 'is not readable'],
    ['names an id twice', JSON.stringify(givenName('c d')), 'share the name'],
  ])('fails when a name in the vault %s, without saying the id', async (_what, body, message) => {
    await putFingerprint(['a b']);
    await cloud.put('vault', `tenant-names/${hash('1')}.json`, JSON.stringify(givenName('a b')));
    await cloud.put('vault', `tenant-names/${hash('2')}.json`, body);
    const failed = await listItems().catch((error: Error) => error);
    expect(failed).toMatchObject({ name: 'TenantNamesInvalidError', message: expect.stringContaining(message) });
    expect(JSON.stringify([failed, String(failed), cloud.lines])).not.toMatch(/a b|c d/);
  });

  it('lets 1,000 new tenants in, and says how many wait', async () => {
    await putFingerprint(Array.from({ length: 1003 }, (_, index) => `school-${index}`));
    await putRootManifest('20261121t023000z', [tenantResult('school-7', hash('1'))]);
    expect(await cloud.invoke(handler, { recoveryPointId })).toMatchObject({
      itemCount: 1002,
      postponedTenantCount: 2,
    });
    expect(cloud.lines).toContainEqual(expect.objectContaining({ level: 'error', postponedTenantCount: 2 }));
  });

  it('goes on with what else is known when a fingerprint is not readable', async () => {
    await cloud.put('school-uploads', 'schools/oakfield/a', 'x');
    await cloud.put('vault', fingerprintKey(recoveryPointId, 'app', 'before'), 'no fingerprint');
    expect(await tenants()).toEqual([null, 'oakfield']);
    expect(cloud.lines.find(({ level }) => level === 'error')).toMatchObject({
      message: 'a fingerprint does not read back',
      databaseId: 'app',
    });
  });

  it('takes each tenant’s previous manifest from the newest earlier recovery point', async () => {
    await cloud.put('school-uploads', 'schools/oakfield/a', 'x');
    await putRootManifest('20261120t023000z', [tenantResult('oakfield', hash('1'))]);
    await putRootManifest('20261121t023000z', [
      tenantResult(null, hash('4')),
      tenantResult('gone', hash('3')),
      tenantResult('oakfield', null, hash('2')),
    ]);
    await putRootManifest(recoveryPointId, [tenantResult('oakfield', hash('9'))]);
    await putRootManifest('20261123t023000z', [tenantResult('oakfield', hash('8'))]);
    expect((await listItems()).map(item => [item.tenant, item.previousManifestSha256])).toEqual([
      [null, hash('4')],
      ['gone', hash('3')],
      ['oakfield', hash('2')],
    ]);
  });

  it.each([
    ['is forged', (text: string) => text.replaceAll(hash('2'), hash('6'))],
    ['is no JSON', () => 'garbage'],
    ['is another’s', (text: string) => text.replaceAll('20261121t023000z', '20261119t023000z')],
  ])('falls back to an older recovery point when the newest %s, and says so', async (_name, forge) => {
    await putRootManifest('20261120t023000z', [tenantResult('oakfield', hash('1'))]);
    await putRootManifest('20261121t023000z', [tenantResult('oakfield', hash('2'))], forge);
    expect((await listItems()).map(item => [item.tenant, item.previousManifestSha256])).toEqual([
      [null, null],
      ['oakfield', hash('1')],
    ]);
    expect(cloud.lines.filter(({ level }) => level === 'error')).toMatchObject([
      { recoveryPointId: '20261121t023000z' },
    ]);
  });

  it('gives a bucket that cannot be listed the items that are known otherwise', async () => {
    await putRootManifest('20261121t023000z', [tenantResult('oakfield', hash('1'))]);
    cloud.intercept(async (request, next) =>
      request.path.startsWith('/school-uploads')
        ? { status: 404, headers: {}, body: '<Error><Code>NoSuchBucket</Code></Error>' }
        : next(),
    );
    expect(await cloud.invoke(handler, { recoveryPointId })).toMatchObject({ unlistedBucketIds: ['uploads'] });
    expect(await tenants()).toEqual([null, 'oakfield']);
    expect(cloud.lines.filter(({ level }) => level === 'error')).toMatchObject([
      { bucketId: 'uploads' },
      { bucketId: 'uploads' },
    ]);
  });

  it('fails when S3 does not answer, so that it is run again', async () => {
    cloud.intercept(async (request, next) =>
      request.path.startsWith('/school-uploads') ? { status: 503, headers: {} } : next(),
    );
    await expect(listItems()).rejects.toMatchObject({ name: 'RetryableError' });
  });
});

describe('list-tenants, again', () => {
  const list = (listing: string | null) => cloud.invoke(handler, { recoveryPointId, asOf, listing });
  const placesOf = async () => (await itemsOf(recoveryPointId)).map(({ bucketId, tenant }) => [bucketId, tenant]);
  it('adds the folders that came, and takes no item away', async () => {
    await cloud.put('school-uploads', 'schools/oakfield/a', 'x');
    await cloud.put('school-uploads', 'schools/leaving/a', 'x');
    const first = await list(null);
    const before = await itemsOf(recoveryPointId);
    await cloud.remove('school-uploads', 'schools/leaving/a');
    await cloud.put('school-uploads', 'schools/new/a', 'x');
    const second = await list(first.listing);
    expect(second).toMatchObject({ itemCount: 4, unlistedBucketIds: [], bucketIdsWithoutVersions: ['uploads'] });
    const after = await itemsOf(recoveryPointId);
    expect(after.map(({ tenant }) => tenant)).toEqual([null, 'leaving', 'new', 'oakfield']);
    expect(after.filter(({ tenant }) => tenant !== 'new')).toEqual(before);
    await list(second.listing);
    expect(await itemsOf(recoveryPointId)).toEqual(after);
  });

  it('adds a tenant that a database came to know, and one without files', async () => {
    await putFingerprint(['oakfield']);
    const { listing } = await list(null);
    await cloud.put(
      'vault',
      fingerprintKey(recoveryPointId, 'app', 'after'),
      fingerprintOf(['oakfield', 'signed-up', 'a b']),
    );
    await cloud.put('school-uploads', 'schools/a b/f', 'x');
    await list(listing);
    const items = await itemsOf(recoveryPointId);
    const [, odd] = items.map(({ tenant }) => tenant);
    expect(items.map(({ tenant }) => tenant)).toEqual([null, odd, 'oakfield', 'signed-up']);
    expect((await readFolders(items)).tenants).toEqual([{ name: odd, folders: ['a b'] }]);
  });

  it('tells everyone of a folder that came for a tenant that is known', async () => {
    const key = fingerprintKey(recoveryPointId, 'app', 'before');
    await cloud.put('vault', key, fingerprintOf(['Oak'], 'ignores-case'));
    await cloud.put('school-uploads', 'schools/Oak/a', 'x');
    const { listing } = await list(null);
    const [, before] = await itemsOf(recoveryPointId);
    await cloud.put('school-uploads', 'schools/OAK/a', 'x');
    await cloud.remove('school-uploads', 'schools/Oak/a');
    await list(listing);
    const items = await itemsOf(recoveryPointId);
    expect(items.map(({ tenant }) => tenant)).toEqual([null, before?.tenant]);
    expect((await readFolders(items)).tenants).toEqual([
      { name: before?.tenant, folders: expect.arrayContaining(['OAK', 'Oak']) },
    ]);
  });

  it('lets in as many new tenants in a run as in one listing, and none of them out again', async () => {
    const names = Array.from({ length: 999 }, (_, index) => `school-${index}`);
    await putFingerprint(names);
    const first = await list(null);
    expect(first).toMatchObject({ itemCount: 1000, postponedTenantCount: 0 });
    for (const key of ['schools/a-first/x', 'schools/z-last/x']) await cloud.put('school-uploads', key, 'x');
    const second = await list(first.listing);
    expect(second).toMatchObject({ itemCount: 1001, postponedTenantCount: 1 });
    expect((await placesOf()).slice(0, 2)).toEqual([
      ['uploads', null],
      ['uploads', 'a-first'],
    ]);
    expect(await list(second.listing)).toMatchObject({ itemCount: 1001, postponedTenantCount: 1 });
  });

  it('lists nothing once more that keeps versions', async () => {
    cloud = stepRuntime({
      buckets: [{ id: 'uploads', name: 'school-uploads', tenantPrefix: 'schools/{tenant}/', versioning: 'Enabled' }],
    });
    await cloud.put('school-uploads', 'schools/oakfield/a', 'x');
    const { listing, bucketIdsWithoutVersions } = await list(null);
    expect(bucketIdsWithoutVersions).toEqual([]);
    cloud.requests.length = 0;
    await cloud.put('school-uploads', 'schools/new/a', 'x');
    await list(listing);
    expect(cloud.requests.filter(request => request.includes('school-uploads'))).toEqual([]);
    expect(await placesOf()).toEqual([
      ['uploads', null],
      ['uploads', 'oakfield'],
    ]);
  });

  it('calls a bucket unlisted for good that could not be listed once', async () => {
    await cloud.put('school-uploads', 'schools/oakfield/a', 'x');
    cloud.intercept(async (request, next) =>
      request.path.startsWith('/school-uploads')
        ? { status: 403, headers: {}, body: '<Error><Code>AccessDenied</Code></Error>' }
        : next(),
    );
    const { listing, unlistedBucketIds } = await list(null);
    expect(unlistedBucketIds).toEqual(['uploads']);
    cloud.intercept(undefined);
    expect(await list(listing)).toMatchObject({ itemCount: 2, unlistedBucketIds: ['uploads'] });
  });

  it.each([
    ['without versions', undefined],
    ['with versions', 'Enabled' as const],
  ])('goes on where it stopped for time, and comes to the same: a bucket %s', async (_what, versioning) => {
    const bucket = { name: 'school-uploads', tenantPrefix: 'schools/{tenant}/', ...(versioning && { versioning }) };
    cloud = stepRuntime({ buckets: [{ id: 'uploads', ...bucket }], startsAt: new Date('2026-11-22T02:00:00.000Z') });
    const folders = Array.from({ length: 7 }, (_, index) => `school-${index}`);
    for (const folder of folders) await cloud.put('school-uploads', `schools/${folder}/x`, 'x');
    for (const key of ['schools/direct', 'schools/school-3', 'schools/zz']) await cloud.put('school-uploads', key, 'x');
    for (let count = 0; count < 3; count++) await cloud.put('school-uploads', 'schools/direct', `${count}`);
    await cloud.clock.advance(50 * 60_000);
    if (versioning) await cloud.remove('school-uploads', 'schools/school-2/x');
    cloud.intercept(inPagesOf(2));
    const whole = await listFolders(() => false);
    expect(whole.calls).toBe(1);
    expect(new Set(whole.folders)).toEqual(new Set(folders));
    expect(whole.asOf).toBe(versioning ? asOf : null);
    const paged = await listFolders(() => true);
    expect(paged).toEqual({ ...whole, calls: paged.calls, folders: expect.arrayContaining(whole.folders) });
    expect(paged.folders).toHaveLength(whole.folders.length);
    expect(paged.calls).toBeGreaterThan(5);
  });

  /** Lists in as many calls as it takes. Time is looked at behind each page, and before the first one. */
  async function listFolders(isShort: () => boolean) {
    let listing = beginListing(['uploads'], asOf);
    let calls = 0;
    for (; !isDone(listing); calls++) {
      expect(calls).toBeLessThan(60);
      let looks = 0;
      const rest = JSON.parse(JSON.stringify(listing));
      listing = await cloud.run(() => continueListing(rest, cloud.configuration, () => looks++ > 0 && isShort()));
    }
    const [bucket] = listing.buckets;
    return { calls, folders: bucket?.folders ?? [], asOf: bucket?.asOf, isListed: bucket?.isListed };
  }

  it('finds the tenants in a call of its own where listing took several', async () => {
    await cloud.put('school-uploads', 'schools/oakfield/a', 'x');
    const stopped = await cloud.run(() =>
      handler({ recoveryPointId, asOf }, { getRemainingTimeInMillis: () => 60_000 }),
    );
    expect(stopped).toMatchObject({ itemsKey: null, itemCount: 0, unlistedBucketIds: ['uploads'] });
    const listed = await list(stopped.listing);
    expect(listed).toMatchObject({ itemsKey: null, unlistedBucketIds: [] });
    expect(await list(listed.listing)).toMatchObject({ itemsKey: itemsKey('backup', recoveryPointId), itemCount: 2 });
  });

  it('believes no listing but the one that it wrote', async () => {
    const { listing } = await list(null);
    const key = folderListingKey(recoveryPointId, listing);
    const text = (await cloud.get('work', key)).toString();
    await cloud.put('work', key, text.replace('"folders":[]', '"folders":["forged"]'));
    await expect(list(listing)).rejects.toMatchObject({ name: 'FolderListingAlteredError' });
    expect(await placesOf()).toEqual([['uploads', null]]);
  });

  it('comes to the same when it was killed at any request and is run again', async () => {
    await putFingerprint(['a b']);
    await cloud.put('school-uploads', 'schools/oakfield/a', 'x');
    const { listing } = await list(null);
    await cloud.put('school-uploads', 'schools/new/a', 'x');
    let killedAt = 0;
    let expected: unknown;
    for (let isKilled = true; isKilled; ) {
      killedAt++;
      let count = 0;
      cloud.intercept(async (_request, next) => {
        const answer = await next();
        if (++count === killedAt) throw new Error('the process was killed');
        return answer;
      });
      isKilled = await list(listing).then(
        () => false,
        () => true,
      );
      cloud.intercept(undefined);
      await list(listing);
      const items = (await itemsOf(recoveryPointId)).map(item => ({ ...item, tenantFoldersSha256: null }));
      expected ??= items;
      expect(items).toEqual(expected);
      expect(items).toHaveLength(4);
    }
    expect(killedAt).toBeGreaterThan(6);
  });
});

describe('the items', () => {
  it('that are known stay, whatever is planned anew', () => {
    const item = (tenant: string | null, more: Partial<TenantItem> = {}): TenantItem => ({
      ...{ recoveryPointId, bucketId: 'uploads', tenant, previousManifestSha256: null, partialManifestSha256: null },
      ...{ asOf: null, tenantFoldersSha256: hash('f'), lostObjectsSha256: null, ...more },
    });
    const known = [item(null), item('a', { previousManifestSha256: hash('1') }), item('gone')];
    const planned = [null, 'a', 'b'].map(tenant => item(tenant, { tenantFoldersSha256: hash('e'), asOf }));
    expect(addItems(known, planned)).toEqual([
      item(null, { tenantFoldersSha256: hash('e') }),
      item('a', { tenantFoldersSha256: hash('e'), previousManifestSha256: hash('1') }),
      item('b', { tenantFoldersSha256: hash('e'), asOf }),
      item('gone', { tenantFoldersSha256: hash('e') }),
    ]);
  });

  it('are in another order for each recovery point, so that not the same wait behind slow ones each night', async () => {
    const inOrder = (id: string) =>
      orderForNight(
        Array.from({ length: 60 }, (_, index) => ({
          ...{ recoveryPointId: id, bucketId: 'uploads', tenant: `school-${index}` },
          ...{ previousManifestSha256: null, partialManifestSha256: null, asOf: null },
          ...{ tenantFoldersSha256: null, lostObjectsSha256: null },
        })),
      ).map(({ tenant }) => tenant);
    const nights = Array.from({ length: 28 }, (_, day) => inOrder(`202611${String(day + 1).padStart(2, '0')}t023000z`));
    for (const night of nights) expect(night.toSorted()).toEqual(nights[0]?.toSorted());
    expect(inOrder('20261101t023000z')).toEqual(nights[0]);
    // Each of them is in the first half of some nights, and in the second half of others.
    for (const tenant of nights[0] ?? []) {
      const early = nights.filter(night => night.indexOf(tenant) < 30).length;
      expect(early).toBeGreaterThan(3);
      expect(early).toBeLessThan(25);
    }
    for (const name of ['b', 'a', 'c', 'd', 'e']) await cloud.put('school-uploads', `schools/${name}/x`, 'x');
    await cloud.invoke(handler, { recoveryPointId, asOf });
    const written = await writtenItems(recoveryPointId);
    expect(written).toEqual(orderForNight(written.toReversed()));
    expect(written.map(({ tenant }) => tenant)).not.toEqual([null, 'a', 'b', 'c', 'd', 'e']);
  });

  it('keep buckets apart', () => {
    const items = planItems({
      recoveryPointId,
      buckets: [
        { bucketId: 'uploads', listed: ['b', 'a'], asOf: '2026-11-22T02:40:00.000Z' },
        { bucketId: 'exports', listed: [], asOf: null },
      ],
      databaseTenants: ['c', 'a'],
      previous: [tenantResult('a', hash('1')), { ...tenantResult('d', hash('2')), bucketId: 'exports' }],
      earlier: [tenantResult('a', hash('3')), tenantResult('e', hash('4')), tenantResult('f', null)],
      tenantFoldersSha256: null,
      lostObjectsSha256: null,
    });
    const digit = (sha256: string | null | undefined) => sha256?.[0] ?? null;
    expect(
      items.map(({ bucketId, tenant, previousManifestSha256, earlier }) => [
        ...[bucketId, tenant, digit(previousManifestSha256), digit(earlier?.manifestSha256)],
      ]),
    ).toEqual([
      ['uploads', null, null, null],
      ['uploads', 'a', '1', '3'],
      ['uploads', 'b', null, null],
      ['uploads', 'c', null, null],
      ['uploads', 'e', null, '4'],
      ['uploads', 'f', null, null],
      ['exports', null, null, null],
      ['exports', 'a', null, null],
      ['exports', 'c', null, null],
      ['exports', 'd', '2', null],
    ]);
  });
});
