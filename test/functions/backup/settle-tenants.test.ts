import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  handler as backUpHandler,
  backUpTenant,
  TENANT_BACKUP_LIMITS,
  type TenantBackupLimits,
} from '../../../functions/backup/back-up-tenant.ts';
import { handler as settleTenants } from '../../../functions/backup/settle-tenants.ts';
import { BackUpTenantInput, BackUpTenantOutput, type TenantPass } from '../../../functions/contracts/daily-backup.ts';
import type { NotCoveredObject, TenantBackupResult } from '../../../functions/contracts/object-manifest.ts';
import type { RecoveryPoint } from '../../../functions/contracts/recovery-point.ts';
import { itemsKey, manifestKey, rootManifestKey } from '../../../functions/contracts/vault-layout.ts';
import { canonicalJson } from '../../../functions/platform/canonical-json.ts';
import { inPagesOf, stepRuntime, type TestRuntime } from '../../fixtures/step-runtime.ts';
import { type Move, move, moveMeanwhile } from './mover.ts';
import { readLines, readNamed, runFileBackup, writeResults } from './run-file-backup.ts';
import { runMovingBackup } from './run-moving-backup.ts';

const BUCKET = 'school-uploads';
const recoveryPointId = '20261122t023000z';
const sha256 = (content: string) => createHash('sha256').update(content).digest('hex');
const md5 = (content: string) => createHash('md5').update(content).digest('hex');

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

/** Backs up, and does something between the first pass and the next. */
const backUpWith = (then: () => Promise<unknown>) => {
  let isDone = false;
  const invoke: TestRuntime['invoke'] = async (handler, event) => {
    if (handler === (settleTenants as unknown) && !isDone) {
      isDone = true;
      await then();
    }
    return cloud.invoke(handler, event);
  };
  return runFileBackup({ ...cloud, invoke }, keys);
};

/** Every content in any manifest, with the keys that it has there, and all that is named. */
async function saved(results: readonly TenantBackupResult[]) {
  const contents = new Map<string, string[]>();
  const named: NotCoveredObject[] = [];
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
    const results = await backUpWith(() =>
      move(cloud, BUCKET, { from: 'schools/oak/copied', to: 'schools/ash/copied' }),
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

  it('stays named where it is too late to look for it, and reads no manifest for it', async () => {
    for (const key of ['schools/ash/1', 'schools/oak/moving']) await upload(key);
    beforeSourceRequest(
      (path, _query, method) => method === 'HEAD' && path === `/${BUCKET}/schools/oak/moving`,
      () => move(cloud, BUCKET, { from: 'schools/oak/moving', to: 'schools/ash/moved' }),
    );
    const deadlineAt = cloud.clock.now().toISOString();
    const invoke: TestRuntime['invoke'] = async (handler, event) => {
      const isClosing = handler === (settleTenants as unknown) && 'cursor' in (event as object);
      if (isClosing) cloud.requests.length = 0;
      return cloud.invoke(handler, isClosing ? { ...(event as object), deadlineAt } : event);
    };
    const results = await runFileBackup({ ...cloud, invoke }, keys);
    expect(results.find(({ tenant }) => tenant === 'oak')?.notCovered).toEqual({ vanished: 1 });
    expect(cloud.requests.filter(request => request.includes('/manifests/'))).toEqual([]);
  });

  it('is taken off the lists of many schools at a time', async () => {
    const schools = Array.from({ length: 17 }, (_, index) => `school-${index}`);
    for (const school of schools) await upload(`schools/${school}/moving`);
    let [underWay, most] = [0, 0];
    cloud.intercept(async (request, next) => {
      const [, school] = /^\/school-uploads\/schools\/(.*)\/moving$/.exec(request.path) ?? [];
      if (school !== undefined && request.method === 'HEAD') {
        await move(cloud, BUCKET, { from: `schools/${school}/moving`, to: `schools/${school}/moved` });
      }
      if (request.method !== 'GET' || !request.path.includes('/not-covered/')) return next();
      most = Math.max(most, ++underWay);
      await new Promise(setImmediate);
      underWay--;
      return next();
    });
    expect((await saved(await backUp())).named).toEqual([]);
    // 10,000 of them, one after the other, would take longer than a function has.
    expect(most).toBe(16);
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

  it('is found in the folder of a school that was not there when tenants were listed', async () => {
    for (const key of ['schools/ash/1', 'schools/oak/moving']) await upload(key);
    beforeSourceRequest(
      (path, query) =>
        path.startsWith(`/${BUCKET}`) &&
        'list-type' in query &&
        'delimiter' in query &&
        !('prefix' in query && query.prefix),
      () => move(cloud, BUCKET, { from: 'schools/oak/moving', to: 'schools/new/moved' }),
    );
    const results = await backUp();
    const { contents, named } = await saved(results);
    expect(contents.get(sha256('schools/oak/moving'))).toEqual(['schools/new/moved']);
    expect(named).toEqual([]);
    const inOrder = results.toSorted((a, b) => ((a.tenant ?? '') < (b.tenant ?? '') ? -1 : 1));
    expect(inOrder.map(({ tenant, failure }) => [tenant, failure])).toEqual([
      [null, null],
      ['ash', null],
      ['new', null],
      ['oak', null],
    ]);
  });

  it('costs one listing of each tenant and one reading of its manifest where nothing moved', async () => {
    for (const key of ['schools/ash/1', 'schools/oak/1', 'other/1']) await upload(key);
    const first = await backUp();
    cloud.requests.length = 0;
    expect(await backUp()).toEqual(first.map(result => ({ ...result, copiedObjectCount: 0, copiedByteCount: 0 })));
    const settling = cloud.requests.slice(cloud.requests.findIndex(request => request.endsWith('/settling.jsonl')) + 1);
    expect(settling.filter(request => !/\/work\/|\?list-type/.test(request)).sort()).toEqual(
      [
        ...first.map(({ tenant, manifestSha256 }) => `s3 GET /vault/${manifestKey(tenant, manifestSha256 ?? '')}`),
        // Listing again looks for what an earlier run closed.
        `s3 GET /vault/${rootManifestKey(recoveryPointId)}`,
      ].sort(),
    );
    const listings = cloud.requests.filter(request => request.startsWith(`s3 GET /${BUCKET}/?list-type`));
    expect(listings).toHaveLength(
      // The prefixes before each pass and after the last; the two schools, and what belongs to none: its top level, and the
      // one prefix there.
      3 + 2 * (2 + 3),
    );
  });

  it('is found in the folder of a school that came when the others were already settled', async () => {
    for (const key of ['schools/ash/1', 'schools/oak/moving']) await upload(key);
    let listings = 0;
    cloud.intercept(async (request, next) => {
      const lists = (school: string) => 'list-type' in request.query && request.query.prefix === `schools/${school}/`;
      // Each time just ahead: to where the first pass has looked already, and from there before the second one looks.
      if (lists('oak') && listings++ === 0) {
        await move(cloud, BUCKET, { from: 'schools/oak/moving', to: 'schools/ash/moved' });
      }
      if (lists('ash') && listings === 1) {
        await move(cloud, BUCKET, { from: 'schools/ash/moved', to: 'schools/new/moved' });
      }
      return next();
    });
    const results = await backUp();
    const { contents, named } = await saved(results);
    expect(contents.get(sha256('schools/oak/moving'))).toEqual(['schools/new/moved']);
    expect(named).toEqual([]);
    expect(cloud.lines.filter(({ level }) => level === 'error')).toEqual([]);
  });

  it('is marked and counted where it left, and lies where it came', async () => {
    for (const key of ['schools/ash/1', 'schools/oak/copied']) await upload(key);
    const results = await backUpWith(() =>
      move(cloud, BUCKET, { from: 'schools/oak/copied', to: 'schools/ash/copied' }),
    );
    const lines = await Promise.all(results.map(result => readLines(cloud, result)));
    expect(lines.flat().map(({ key, gone }) => [key, gone])).toEqual([
      ['schools/ash/1', undefined],
      ['schools/ash/copied', undefined],
      ['schools/oak/copied', true],
    ]);
    expect(results.map(({ tenant, goneObjectCount }) => [tenant, goneObjectCount])).toEqual([
      [null, undefined],
      ['ash', undefined],
      ['oak', 1],
    ]);
  });

  it('is named where another one was written over it, with where the vault has it', async () => {
    for (const key of ['schools/oak/latest', 'schools/oak/same']) await upload(key);
    const results = await backUpWith(async () => {
      await upload('schools/oak/latest', 'newer');
      await upload('schools/oak/same', 'schools/oak/same');
    });
    const { contents, named } = await saved(results);
    expect(contents.get(sha256('newer'))).toEqual(['schools/oak/latest']);
    expect(contents.get(sha256('schools/oak/same'))).toEqual(['schools/oak/same']);
    expect(named).toEqual([
      {
        ...{ key: 'schools/oak/latest', reason: 'replaced' },
        content: { eTag: `"${md5('schools/oak/latest')}"`, sizeBytes: 18 },
        line: expect.objectContaining({ sha256: sha256('schools/oak/latest') }),
      },
    ]);
    expect(results.map(({ tenant, notCovered }) => [tenant, notCovered])).toEqual([
      [null, {}],
      ['oak', { replaced: 1 }],
    ]);
  });

  it('is named where another one was written over it before it could be copied', async () => {
    await upload('schools/oak/latest');
    beforeSourceRequest(
      (path, _query, method) => method === 'HEAD' && path === `/${BUCKET}/schools/oak/latest`,
      () => upload('schools/oak/latest', 'newer'),
    );
    const { contents, named } = await saved(await backUp());
    expect([...contents.values()]).toEqual([['schools/oak/latest']]);
    expect(named).toMatchObject([
      { key: 'schools/oak/latest', reason: 'replaced', content: { eTag: `"${md5('schools/oak/latest')}"` } },
    ]);
  });

  it('stays as the first pass found it where what was written over it is gone at once', async () => {
    await upload('schools/oak/latest');
    let isListed = false;
    const results = await backUpWith(async () => {
      await upload('schools/oak/latest', 'newer');
      cloud.intercept(async (request, next) => {
        isListed ||= request.query.prefix === 'schools/oak/';
        if (isListed && request.method === 'HEAD') await cloud.remove(BUCKET, 'schools/oak/latest');
        return next();
      });
    });
    const { contents, named } = await saved(results);
    expect(contents.get(sha256('schools/oak/latest'))).toEqual(['schools/oak/latest']);
    expect(named).toMatchObject([
      { key: 'schools/oak/latest', reason: 'vanished', content: { eTag: `"${md5('newer')}"` } },
    ]);
  });

  it('stays named although another one has its name by now', async () => {
    await upload('schools/oak/reused');
    beforeSourceRequest(
      (path, _query, method) => method === 'HEAD' && path === `/${BUCKET}/schools/oak/reused`,
      () => cloud.remove(BUCKET, 'schools/oak/reused'),
    );
    const { contents, named } = await saved(await backUpWith(() => upload('schools/oak/reused', 'another')));
    expect([...contents.keys()]).toEqual([sha256('another')]);
    expect(named).toMatchObject([{ key: 'schools/oak/reused', reason: 'vanished' }]);
  });

  describe('and has the content of another one', () => {
    /** Two of the same content vanish before they can be copied, and come back under `found`. */
    const loseTwins = (found: readonly string[]) => {
      const twins = ['schools/oak/twin', 'schools/elm/twin'];
      cloud.intercept(async (request, next) => {
        const key = request.method === 'HEAD' ? twins.find(twin => request.path === `/${BUCKET}/${twin}`) : undefined;
        const to = key && found[twins.indexOf(key)];
        if (key !== undefined) twins[twins.indexOf(key)] = '';
        if (to) await move(cloud, BUCKET, { from: `${key}`, to });
        else if (key !== undefined) await cloud.remove(BUCKET, key);
        return next();
      });
      return Promise.all([upload('schools/ash/1'), ...twins.map(key => upload(key, 'twin'))]);
    };

    it('is found where both are', async () => {
      await loseTwins(['schools/ash/a', 'schools/ash/b']);
      expect((await saved(await backUp())).named).toEqual([]);
    });

    it('stays named with the other one where one alone is, because nobody can say which', async () => {
      await loseTwins(['schools/ash/a']);
      const { contents, named } = await saved(await backUp());
      expect(contents.get(sha256('twin'))).toEqual(['schools/ash/a']);
      expect(named.map(({ key, reason }) => [key, reason])).toEqual([
        ['schools/elm/twin', 'vanished'],
        ['schools/oak/twin', 'vanished'],
      ]);
    });

    it('is not found in one that was copied and moved since', async () => {
      for (const key of ['schools/ash/copied', 'schools/oak/deleted']) await upload(key, 'twin');
      await cloud.clock.advance(60 * 60_000);
      beforeSourceRequest(
        (path, _query, method) => method === 'HEAD' && path === `/${BUCKET}/schools/oak/deleted`,
        () => cloud.remove(BUCKET, 'schools/oak/deleted'),
      );
      const results = await backUpWith(() =>
        move(cloud, BUCKET, { from: 'schools/ash/copied', to: 'schools/ash/moved' }),
      );
      const { contents, named } = await saved(results);
      expect(contents.get(sha256('twin'))).toEqual(['schools/ash/copied', 'schools/ash/moved']);
      expect(named.map(({ key }) => key)).toEqual(['schools/oak/deleted']);
    });
  });

  it('keeps what the first pass named and is gone', async () => {
    await cloud.put(BUCKET, 'schools/oak/cold', 'x', { StorageClass: 'GLACIER' });
    await upload('schools/oak/warm');
    const results = await backUpWith(() => cloud.remove(BUCKET, 'schools/oak/cold'));
    expect(await saved(results)).toMatchObject({ named: [{ key: 'schools/oak/cold', reason: 'archived' }] });
  });

  it('is in a manifest, or named, when it moves once, whatever else moves', async () => {
    const place = fc.constantFrom('schools/oak/a/', 'schools/oak/z/', 'schools/ash/', 'schools/elm/', 'board/');
    const newPlace = fc.constantFrom('schools/a-new/', 'schools/pine/');
    const file = fc.record({ from: place, to: fc.oneof(place, newPlace), at: fc.nat({ max: 30 }) });
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
      { numRuns: 6 },
    );
  });
});

describe('another run for the same recovery point', () => {
  /** Closes it, as incomplete, with what the first run came to. */
  async function close(tenants: readonly TenantBackupResult[]): Promise<void> {
    const document: RecoveryPoint = {
      version: 1,
      recoveryPointId,
      scheduledAt: '2026-11-22T02:30:00.000Z',
      completedAt: cloud.clock.now().toISOString(),
      status: 'incomplete',
      reasons: ['database app: SnapshotFailedError'],
      databases: [],
      tenants: [...tenants],
    };
    await cloud.put('vault', rootManifestKey(recoveryPointId), canonicalJson(await cloud.sign(document)));
  }
  const deleteAll = async () => {
    for (const key of await cloud.list(BUCKET)) await cloud.remove(BUCKET, key);
  };

  it.each([undefined, 'Enabled'] as const)(
    'keeps what the earlier one saved and is gone (versioning: %s)',
    async versioning => {
      start(versioning);
      for (const key of ['board/minutes', 'schools/ash/1', 'schools/oak/1', 'schools/oak/2']) await upload(key);
      const first = await backUp();
      await close(first);
      await cloud.clock.advance(60 * 60_000);
      await deleteAll();
      await cloud.clock.advance(60 * 60_000);
      await upload('schools/oak/3');

      const results = await backUp();

      const { contents, named } = await saved(results);
      expect([...contents.values()].flat()).toEqual(
        expect.arrayContaining(['board/minutes', 'schools/ash/1', 'schools/oak/1', 'schools/oak/2', 'schools/oak/3']),
      );
      expect([named, results.map(({ failure }) => failure)]).toEqual([[], [null, null, null]]);
    },
  );

  it('still names what the earlier one saw and could not save', async () => {
    for (const key of ['schools/oak/1', 'schools/oak/lost']) await upload(key);
    beforeSourceRequest(
      (path, _query, method) => method === 'HEAD' && path === `/${BUCKET}/schools/oak/lost`,
      () => cloud.remove(BUCKET, 'schools/oak/lost'),
    );
    await close(await backUp());
    expect((await saved(await backUp())).named).toMatchObject([{ key: 'schools/oak/lost', reason: 'vanished' }]);
  });
});

describe('a second pass that stops for time', () => {
  /** It stops once it has asked for the time so often, and goes on in the next call. */
  function stopAfter(allowed: number, limits: TenantBackupLimits): TestRuntime {
    const invoke: TestRuntime['invoke'] = async (handler, event) => {
      const isSecond = (event as { pass?: TenantPass }).pass?.kind === 'settle';
      if (handler !== (backUpHandler as unknown) || !isSecond) return cloud.invoke(handler, event);
      for (let cursor: unknown = null; ; ) {
        let asked = 0;
        const context = { ...cloud.context, timeIsShort: () => ++asked > allowed };
        const input = BackUpTenantInput.parse({ ...(event as object), cursor });
        const output = await cloud.run(() => backUpTenant(input, context, limits));
        const parsed = BackUpTenantOutput.parse(JSON.parse(JSON.stringify(output)));
        cursor = parsed.cursor;
        if (parsed.result !== null) return parsed as never;
      }
    };
    return { ...cloud, invoke };
  }

  /** Some are written over, deleted or moved before they can be copied, and again before the second pass. */
  async function changeAll() {
    const names = ['1-over', '2-over-twice', '3-reused', '4-gone', '5-kept', '6-changed', '7-left', '8-cold'];
    for (const name of names) {
      await cloud.put(BUCKET, `schools/oak/${name}`, name, name === '8-cold' ? { StorageClass: 'GLACIER' } : {});
    }
    const first: Record<string, () => Promise<unknown>> = {
      '1-over': () => upload('schools/oak/1-over', 'over'),
      '2-over-twice': () => upload('schools/oak/2-over-twice', 'over'),
      '3-reused': () => cloud.remove(BUCKET, 'schools/oak/3-reused'),
      '4-gone': () => cloud.remove(BUCKET, 'schools/oak/4-gone'),
    };
    cloud.intercept(async (request, next) => {
      const name = request.method === 'HEAD' ? request.path.slice(`/${BUCKET}/schools/oak/`.length) : '';
      const change = first[name];
      delete first[name];
      await change?.();
      return next();
    });
    return async () => {
      await upload('schools/oak/2-over-twice', 'over again');
      await upload('schools/oak/3-reused', 'another');
      await upload('schools/oak/6-changed', 'changed');
      await cloud.remove(BUCKET, 'schools/oak/7-left');
    };
  }

  async function runWith(allowed: number, wholeUpToBytes = TENANT_BACKUP_LIMITS.wholeUpToBytes) {
    start();
    const change = await changeAll();
    const stopping = stopAfter(allowed, { ...TENANT_BACKUP_LIMITS, wholeUpToBytes });
    let isChanged = false;
    const invoke: TestRuntime['invoke'] = async (handler, event) => {
      if (handler === (settleTenants as unknown) && !isChanged) await change();
      isChanged ||= handler === (settleTenants as unknown);
      return stopping.invoke(handler, event);
    };
    const results = await runFileBackup({ ...cloud, invoke }, keys);
    const oak = results.find(({ tenant }) => tenant === 'oak') as TenantBackupResult;
    return {
      lines: (await readLines(cloud, oak)).map(line => [line.key, line.sha256 ?? line.parts?.sha256[0], line.gone]),
      named: (await readNamed(cloud, oak)).map(({ key, reason, content }) => [key, reason, content?.eTag]),
      counts: [oak.objectCount, oak.goneObjectCount, oak.notCovered],
    };
  }

  it('saves and names the same, wherever it stopped', async () => {
    const whole = await runWith(Number.POSITIVE_INFINITY);
    expect(whole.lines.map(([key]) => String(key).slice('schools/oak/'.length))).toEqual([
      ...['1-over', '2-over-twice', '3-reused', '5-kept', '6-changed', '7-left'],
    ]);
    expect(whole.named.map(([key, reason]) => [String(key).slice('schools/oak/'.length), reason])).toEqual([
      ['1-over', 'replaced'],
      ['2-over-twice', 'replaced'],
      ['2-over-twice', 'replaced'],
      ['3-reused', 'vanished'],
      ['4-gone', 'vanished'],
      ['6-changed', 'replaced'],
      ['8-cold', 'archived'],
    ]);
    for (const allowed of [1, 2]) expect(await runWith(allowed)).toEqual(whole);
    // In the middle of copies, which are in parts.
    for (const allowed of [9, 10]) expect(await runWith(allowed, 0)).toEqual(whole);
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

describe('files that move all the time, also into new schools and over one another', () => {
  it.each([
    ['once each, without versions', 1, { movesEach: 1, share: 0.4 }],
    ['again and again, without versions', 2, { movesEach: 100, share: 0.5 }],
    ['again and again, with versions', 3, { versioning: 'Enabled' as const, movesEach: 100, share: 0.5 }],
  ])('are each saved or named: %s', async (_what, seed, options) => {
    const { files, moves } = await runMovingBackup(seed, options);
    expect(files).toBeGreaterThan(0);
    expect(moves).toBeGreaterThan(10);
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
      settledResultsKeys: ['work/results/settle-1/manifest.json'],
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
      settledResultsKeys: ['work/results/settle-1/manifest.json'],
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
      settledResultsKeys: [await writeResults(cloud, 'none', [])],
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
