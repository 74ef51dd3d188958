import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { handler as settleTenants } from '../../../functions/backup/settle-tenants.ts';
import type { TenantBackupResult } from '../../../functions/contracts/object-manifest.ts';
import { itemsKey, manifestKey } from '../../../functions/contracts/vault-layout.ts';
import { inPagesOf, stepRuntime, type TestRuntime } from '../../fixtures/step-runtime.ts';
import { type Move, move, moveMeanwhile } from './mover.ts';
import { readLines, readNamed, runFileBackup, writeResults } from './run-file-backup.ts';

const BUCKET = 'school-uploads';
const recoveryPointId = '20261122t023000z';
const sha256 = (content: string) => createHash('sha256').update(content).digest('hex');

let cloud: TestRuntime;
let keys: Map<string, string>;
const start = (versioning?: 'Enabled') => {
  cloud = stepRuntime({
    buckets: [{ id: 'uploads', name: BUCKET, tenantPrefix: 'schools/{tenant}/', ...(versioning && { versioning }) }],
  });
  keys = new Map();
};
beforeEach(() => start());

const upload = (key: string, body = key) => cloud.put(BUCKET, key, body);
const backUp = () => runFileBackup(cloud, keys);

/** Every content in any manifest, with the keys that it has there, and all that is named. */
async function saved(results: readonly TenantBackupResult[]) {
  const contents = new Map<string, string[]>();
  const named: { key: string; reason: string }[] = [];
  for (const result of results) {
    for (const { key, sha256: digest = '' } of await readLines(cloud, result)) {
      contents.set(digest, [...(contents.get(digest) ?? []), key]);
    }
    const list = await readNamed(cloud, result);
    expect(list.length).toBe(Object.values(result.notCovered).reduce((sum, count) => sum + count, 0));
    named.push(...list);
  }
  return { contents, named };
}

/** Runs `then` before the request number `count` to the source bucket. */
function beforeSourceRequest(
  matches: (path: string, query: object, method: string) => boolean,
  then: () => Promise<unknown>,
) {
  let isDone = false;
  cloud.intercept(async (request, next) => {
    const path = `${request.path}${request.headers['x-amz-copy-source'] ?? ''}`;
    if (!isDone && matches(path, request.query, request.method)) {
      isDone = true;
      await then();
    }
    return next();
  });
}

describe('a file that moves while a bucket without versions is backed up', () => {
  it('is found where the first listing had already looked', async () => {
    for (const key of ['schools/oak/a/1', 'schools/oak/z/moving', 'schools/oak/z/2']) await upload(key);
    let pages = 0;
    cloud.intercept(async (request, next) => {
      const isListing = 'list-type' in request.query && request.query.prefix === 'schools/oak/';
      if (isListing && ++pages === 2) {
        await move(cloud, BUCKET, { from: 'schools/oak/z/moving', to: 'schools/oak/a/moved' });
      }
      return inPagesOf(1)(request, next);
    });
    const results = await backUp();
    const { contents, named } = await saved(results);
    expect(contents.get(sha256('schools/oak/z/moving'))).toEqual(['schools/oak/a/moved']);
    expect(named).toEqual([]);
  });

  it('is found in another school, and stays where it was copied', async () => {
    for (const key of ['schools/ash/1', 'schools/oak/missed', 'schools/oak/copied']) await upload(key);
    beforeSourceRequest(
      (path, query) =>
        path.startsWith(`/${BUCKET}`) && 'list-type' in query && JSON.stringify(query).includes('schools/oak/'),
      () => move(cloud, BUCKET, { from: 'schools/oak/missed', to: 'schools/ash/found' }),
    );
    // Between the passes: what was copied is moved.
    const original = cloud.invoke;
    let invocations = 0;
    const results = await runFileBackup(
      {
        ...cloud,
        invoke: async (handler, event) => {
          if (handler === (settleTenants as unknown) && invocations++ === 0) {
            await move(cloud, BUCKET, { from: 'schools/oak/copied', to: 'schools/ash/copied' });
          }
          return original(handler, event);
        },
      },
      keys,
    );
    const { contents, named } = await saved(results);
    expect(contents.get(sha256('schools/oak/missed'))).toEqual(['schools/ash/found']);
    expect(contents.get(sha256('schools/oak/copied'))).toEqual(['schools/ash/copied', 'schools/oak/copied']);
    expect(named).toEqual([]);
  });

  it('is named while nobody knows where it is, and no more once its content is found', async () => {
    for (const key of ['schools/ash/1', 'schools/oak/moving', 'schools/oak/deleted']) await upload(key);
    let heads = 0;
    cloud.intercept(async (request, next) => {
      if (request.method === 'HEAD' && request.path.startsWith(`/${BUCKET}/schools/oak/`) && heads++ === 0) {
        await move(cloud, BUCKET, { from: 'schools/oak/moving', to: 'schools/ash/moved' });
        await cloud.remove(BUCKET, 'schools/oak/deleted');
      }
      return next();
    });
    const results = await backUp();
    const { contents, named } = await saved(results);
    expect(contents.get(sha256('schools/oak/moving'))).toEqual(['schools/ash/moved']);
    expect(named).toMatchObject([{ key: 'schools/oak/deleted', reason: 'vanished' }]);
    expect(results.find(({ tenant }) => tenant === 'oak')?.notCovered).toEqual({ vanished: 1 });
  });

  it('is not found in another file of the same content that lay there all along', async () => {
    for (const key of ['schools/ash/leaflet', 'schools/oak/deleted']) await upload(key, 'leaflet');
    cloud.clock.advance(60 * 60_000);
    beforeSourceRequest(
      (path, _query, method) => method === 'HEAD' && path === `/${BUCKET}/schools/oak/deleted`,
      () => cloud.remove(BUCKET, 'schools/oak/deleted'),
    );
    expect((await saved(await backUp())).named).toMatchObject([{ key: 'schools/oak/deleted', reason: 'vanished' }]);
  });

  it('is taken where it lies over another one', async () => {
    for (const key of ['schools/oak/a', 'schools/oak/z']) await upload(key);
    let pages = 0;
    cloud.intercept(async (request, next) => {
      const isListing = 'list-type' in request.query && request.query.prefix === 'schools/oak/';
      if (isListing && ++pages === 2) await move(cloud, BUCKET, { from: 'schools/oak/z', to: 'schools/oak/a' });
      return inPagesOf(1)(request, next);
    });
    const { contents } = await saved(await backUp());
    expect(contents.get(sha256('schools/oak/z'))).toEqual(['schools/oak/a']);
  });

  it('costs one listing of each tenant and one reading of its manifest where nothing moved', async () => {
    for (const key of ['schools/ash/1', 'schools/oak/1', 'other/1']) await upload(key);
    const first = await backUp();
    cloud.requests.length = 0;
    expect(await backUp()).toEqual(first.map(result => ({ ...result, copiedObjectCount: 0, copiedByteCount: 0 })));
    const settling = cloud.requests.slice(
      cloud.requests.findLastIndex(request => request.endsWith('/settling.jsonl')) + 1,
    );
    expect(settling.filter(request => !/\/work\/|\?list-type/.test(request)).sort()).toEqual(
      [
        ...first.map(({ tenant, manifestSha256 }) => `s3 GET /vault/${manifestKey(tenant, manifestSha256 ?? '')}`),
      ].sort(),
    );
    const listings = cloud.requests.filter(request => request.startsWith(`s3 GET /${BUCKET}/?list-type`));
    expect(listings).toHaveLength(
      // The prefixes once; the two schools, and twice what belongs to none: its top level, and the one prefix there.
      1 + 2 * (2 + 3),
    );
  });

  it('keeps what the first pass named and is gone', async () => {
    await cloud.put(BUCKET, 'schools/oak/cold', 'x', { StorageClass: 'GLACIER' });
    await upload('schools/oak/warm');
    const original = cloud.invoke;
    const results = await runFileBackup(
      {
        ...cloud,
        invoke: async (handler, event) => {
          if (handler === (settleTenants as unknown)) await cloud.remove(BUCKET, 'schools/oak/cold');
          return original(handler, event);
        },
      },
      keys,
    );
    expect(await saved(results)).toMatchObject({ named: [{ key: 'schools/oak/cold', reason: 'archived' }] });
  });

  it('is in a manifest, or named, when it moves once, whatever else moves', async () => {
    const place = fc.constantFrom('schools/oak/a/', 'schools/oak/z/', 'schools/ash/', 'schools/elm/', 'board/');
    const file = fc.record({ from: place, to: place, at: fc.nat({ max: 30 }) });
    await fc.assert(
      fc.asyncProperty(
        fc.array(file, { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 1, max: 3 }),
        async (files, size) => {
          start();
          for (const prefix of ['schools/oak/', 'schools/ash/', 'schools/elm/', 'board/'])
            await upload(`${prefix}.keep`);
          for (const [index, { from }] of files.entries()) await upload(`${from}${index}`, `content ${index}`);
          let requests = 0;
          cloud.intercept(async (request, next) => {
            if (`${request.path}${request.headers['x-amz-copy-source'] ?? ''}`.includes(BUCKET)) {
              const number = requests++;
              for (const [index, { from, to, at }] of files.entries()) {
                if (at === number) await move(cloud, BUCKET, { from: `${from}${index}`, to: `${to}${index}` });
              }
            }
            return inPagesOf(size)(request, next);
          });
          const { contents, named } = await saved(await backUp());
          for (const index of files.keys()) {
            const isSaved = contents.has(sha256(`content ${index}`));
            const isNamed = named.some(({ key }) => key.endsWith(`/${index}`));
            expect({ index, isSaved, isNamed }).toEqual({ index, isSaved: true, isNamed: false });
          }
        },
      ),
      { numRuns: 8 },
    );
  });
});

describe('a mover that runs all the time', () => {
  it('takes nothing from a bucket that keeps versions', async () => {
    start('Enabled');
    const files = Array.from({ length: 6 }, (_, index) => `schools/${index % 2 === 0 ? 'oak' : 'ash'}/inbox/${index}`);
    for (const key of files) await upload(key);
    await cloud.clock.advance(5 * 60_000);
    const asOf = cloud.clock.now().toISOString();
    await cloud.clock.advance(5 * 60_000);
    const moves = files.flatMap((from, index): Move[] => [
      { from, to: `schools/oak/archive/${index}` },
      { from: `schools/oak/archive/${index}`, to: `schools/new/${index}` },
      { from: `schools/new/${index}`, to: 'schools/ash/over' },
    ]);
    moveMeanwhile(cloud, BUCKET, moves);
    const { contents, named } = await saved(await runFileBackup(cloud, keys, { asOf }));
    expect(Object.fromEntries(contents)).toEqual(Object.fromEntries(files.map(key => [sha256(key), [key]])));
    expect(named).toEqual([]);
  });
});

describe('settle-tenants', () => {
  it('goes on with the next manifest where it stopped for time, and finds the same', async () => {
    for (const key of ['schools/ash/1', 'schools/oak/moving', 'schools/pine/1']) await upload(key);
    beforeSourceRequest(
      (path, _query, method) => method === 'HEAD' && path.includes('moving'),
      () => move(cloud, BUCKET, { from: 'schools/oak/moving', to: 'schools/pine/moved' }),
    );
    const whole = await backUp();
    cloud.intercept(undefined);
    const stopping = { getRemainingTimeInMillis: () => 60_000 };
    const input = {
      moment: 'after',
      recoveryPointId,
      tenantResultsKey: 'work/results/first/manifest.json',
      settledResultsKey: 'work/results/settle/manifest.json',
    };
    const output = await cloud.run(() => settleTenants({ ...input, cursor: null }, stopping));
    expect(output).toMatchObject({ tenantsKey: null, cursor: 0 });
    const { tenantsKey } = (await cloud.invoke(settleTenants, { ...input, cursor: 0 })) as { tenantsKey: string };
    const text = (await cloud.get('work', tenantsKey)).toString();
    expect(text).toBe(whole.map(result => `${JSON.stringify(result)}\n`).join(''));
  });

  it('comes to the same when it was killed at any request and is run again', async () => {
    for (const key of ['schools/ash/1', 'schools/oak/moving', 'schools/oak/lost']) await upload(key);
    beforeSourceRequest(
      (path, _query, method) => method === 'HEAD' && path.includes('/oak/'),
      async () => {
        await move(cloud, BUCKET, { from: 'schools/oak/moving', to: 'schools/ash/moved' });
        await cloud.remove(BUCKET, 'schools/oak/lost');
      },
    );
    const whole = await backUp();
    expect(whole.find(({ tenant }) => tenant === 'oak')?.notCovered).toEqual({ vanished: 1 });
    const input = {
      moment: 'after',
      recoveryPointId,
      tenantResultsKey: 'work/results/first/manifest.json',
      settledResultsKey: 'work/results/settle/manifest.json',
      cursor: null,
    };
    let killedAt = 0;
    for (let isKilled = true; isKilled; ) {
      killedAt++;
      let count = 0;
      cloud.intercept(async (_request, next) => {
        const answer = await next();
        if (++count === killedAt) throw new Error('the process was killed');
        return answer;
      });
      isKilled = await cloud.invoke(settleTenants, input).then(
        () => false,
        () => true,
      );
      cloud.intercept(undefined);
      const { tenantsKey } = (await cloud.invoke(settleTenants, input)) as { tenantsKey: string };
      const text = (await cloud.get('work', tenantsKey)).toString();
      expect(text).toBe(whole.map(result => `${JSON.stringify(result)}\n`).join(''));
    }
    expect(killedAt).toBeGreaterThan(8);
  });

  it('names those whose second pass, or both, left nothing, and keeps what the first stored', async () => {
    await upload('schools/oak/1');
    await upload('schools/ash/1');
    await backUp();
    const items = (await cloud.get('work', itemsKey('backup', recoveryPointId))).toString().split('\n');
    const first = (await cloud.get('work', 'work/results/first/SUCCEEDED_0.jsonl')).toString().trim().split('\n');
    expect(items.slice(0, -1)).toHaveLength(3);
    const results = first.map(line => JSON.parse(line)).filter(({ tenant }) => tenant !== 'ash');
    const { tenantsKey } = (await cloud.invoke(settleTenants, {
      moment: 'after',
      recoveryPointId,
      tenantResultsKey: await writeResults(cloud, 'some', results),
      settledResultsKey: await writeResults(cloud, 'none', []),
      cursor: null,
    })) as { tenantsKey: string };
    const final = (await cloud.get('work', tenantsKey))
      .toString()
      .trim()
      .split('\n')
      .map(line => JSON.parse(line));
    expect(final).toEqual([
      { ...results[0], failure: 'NoResultError' },
      expect.objectContaining({ tenant: 'ash', manifestSha256: null, failure: 'NoResultError' }),
      { ...results[1], failure: 'NoResultError' },
    ]);
    expect(final[2].manifestSha256).toMatch(/^[0-9a-f]{64}$/);
  });
});
