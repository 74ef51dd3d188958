import { zstdDecompressSync } from 'node:zlib';
import { beforeEach, describe, expect, it } from 'vitest';
import { handler as backUpTenant } from '../../../functions/backup/back-up-tenant.ts';
import { handler as listTenants } from '../../../functions/backup/list-tenants.ts';
import { findNotCompared, readLostObjects, settleLosses } from '../../../functions/backup/lost-objects.ts';
import { type LostObjects, TenantItem, type TenantPass } from '../../../functions/contracts/daily-backup.ts';
import type { ObjectManifestLine, TenantBackupResult } from '../../../functions/contracts/object-manifest.ts';
import {
  FOUND_WRONG_KEY,
  itemsKey,
  ledgerEntryKey,
  lostObjectsKey,
  manifestKey,
  notCoveredKey,
  objectKey,
  rootManifestKey,
  tenantKeyAlias,
} from '../../../functions/contracts/vault-layout.ts';
import { sha256Hex } from '../../../functions/platform/canonical-json.ts';
import { readItems } from '../../../functions/platform/map-results.ts';
import { NOTHING_WRONG } from '../../../functions/pulse/found-wrong.ts';
import { handler as verifyObjects } from '../../../functions/restore-test/verify-objects.ts';
import { stepRuntime, type TestRuntime } from '../../fixtures/step-runtime.ts';

const recoveryPointId = '20261122t023000z';
let cloud: TestRuntime;
let keyArn: string;
beforeEach(async () => {
  cloud = stepRuntime();
  lostObjectsSha256 = null;
  keyArn = cloud.kms.createKeyFromTemplate({}).keyArn;
  cloud.kms.createAliasFromTemplate(tenantKeyAlias('oak'), keyArn);
  for (const name of ['a', 'b', 'c']) await upload(name, `content of ${name}`);
});

const upload = (name: string, body: string) => cloud.put('school-uploads', `schools/oak/${name}`, body);
const LIST = 'b'.repeat(64);
let lostObjectsSha256: string | null;
async function knowLost(...keys: string[]) {
  const lost = JSON.stringify({ ledgerSequence: 7, knownAt: null, keys } satisfies LostObjects);
  lostObjectsSha256 = sha256Hex(Buffer.from(lost));
  await cloud.put('work', lostObjectsKey(recoveryPointId, lostObjectsSha256), lost);
}
async function backUp(previousManifestSha256: string | null = null, pass: TenantPass = { kind: 'first' }) {
  const item = { recoveryPointId, bucketId: 'uploads', tenant: 'oak', previousManifestSha256, lostObjectsSha256 };
  const { result } = await cloud.invoke(backUpTenant, { item, pass, keyArn, cursor: null });
  return result as TenantBackupResult & { manifestSha256: string };
}
async function linesOf({ manifestSha256 }: { manifestSha256: string | null }): Promise<ObjectManifestLine[]> {
  const stored = await cloud.get('vault', manifestKey('oak', manifestSha256 ?? ''));
  const lines = zstdDecompressSync(stored).toString().split('\n').slice(0, -1);
  return lines.map(line => JSON.parse(line));
}
const placeOf = (line: ObjectManifestLine | undefined) => objectKey('oak', line?.vaultName ?? '');
const test = async (manifestSha256: string) => {
  const item = { restoreTestId: '20261201t060000z', recoveryPointId, bucketId: 'uploads', tenant: 'oak' };
  const { result } = await cloud.invoke(verifyObjects, {
    item: { ...item, manifestSha256, sampleSize: null },
    cursor: null,
  });
  return result?.findings;
};
const vaultObjects = () => cloud.s3.core.store.buckets.get('vault')?.keys;
const underTenantKey = () => ({ ServerSideEncryption: 'aws:kms', SSEKMSKeyId: keyArn }) as const;

describe('a vault object that is known as lost', () => {
  it.each([
    ['hidden by a delete marker', (place: string) => cloud.remove('vault', place)],
    ['gone', async (place: string) => vaultObjects()?.remove(place)],
  ])(
    'is copied again under its name when it is %s, and recovery points of before come back by that copy',
    async (_how, lose) => {
      const first = await backUp();
      const lost = placeOf((await linesOf(first))[1]);
      await lose(lost);
      expect(await test(first.manifestSha256)).not.toEqual([]);
      // As it was before losses were handed over: nothing changed at the source.
      expect((await backUp(first.manifestSha256)).manifestSha256).toBe(first.manifestSha256);

      await knowLost(lost);
      const again = await backUp(first.manifestSha256);
      expect(again).toMatchObject({ objectCount: 3, copiedObjectCount: 1, notCovered: {}, absentObjects: [] });
      expect([again.backObjects, again.goneObjects]).toEqual([[lost], []]);
      const [a, b, c] = await linesOf(first);
      const lines = await linesOf(again);
      expect(lines).toEqual([a, { ...b, vaultVersionId: lines[1]?.vaultVersionId }, c]);
      expect(lines[1]?.vaultVersionId).not.toBe(b?.vaultVersionId);
      expect([await test(again.manifestSha256), await test(first.manifestSha256)]).toEqual([[], []]);

      // A rerun of a run that was killed adopts the copy, and the next run leaves everything as it is.
      expect(await backUp(first.manifestSha256)).toEqual({ ...again, copiedObjectCount: 0, copiedByteCount: 0 });
      expect(await backUp(again.manifestSha256)).toEqual({ ...again, copiedObjectCount: 0, copiedByteCount: 0 });
    },
  );

  it('is not adopted from what took its place: it gets another name, for as long as that lies there', async () => {
    const first = await backUp();
    const lost = placeOf((await linesOf(first))[1]);
    await cloud.put('vault', lost, 'CONTENT OF B', underTenantKey());
    await knowLost(lost);
    const again = await backUp(first.manifestSha256);
    expect(again).toMatchObject({ copiedObjectCount: 1, notCovered: {}, absentObjects: [lost], backObjects: [] });
    // Something lies there, and it is not what was lost.
    expect(again.goneObjects).toEqual([lost]);
    const other = placeOf((await linesOf(again))[1]);
    expect((await cloud.get('vault', other)).toString()).toBe('content of b');
    expect(await test(again.manifestSha256)).toEqual([]);
    expect((await test(first.manifestSha256))?.map(({ kind, place }) => [kind, place])).toEqual([
      ['object-altered', lost],
    ]);
    expect(await backUp(first.manifestSha256)).toEqual({ ...again, copiedObjectCount: 0, copiedByteCount: 0 });

    await cloud.put('vault', other, 'CONTENT OF B', underTenantKey());
    await knowLost(lost, other);
    const third = await backUp(again.manifestSha256);
    expect(third).toMatchObject({ copiedObjectCount: 1, absentObjects: [lost, other] });
    expect(await test(third.manifestSha256)).toEqual([]);
  });

  it('is left as it is where it was put right meanwhile', async () => {
    const first = await backUp();
    await knowLost(...(await linesOf(first)).map(placeOf), manifestKey('oak', first.manifestSha256));
    const { copiedObjectCount, manifestSha256, absentObjects } = await backUp(first.manifestSha256);
    expect([copiedObjectCount, manifestSha256, absentObjects]).toEqual([0, first.manifestSha256, []]);
  });

  it('is absent for ever where its source has nothing of it any more', async () => {
    const first = await backUp();
    const lost = placeOf((await linesOf(first))[1]);
    vaultObjects()?.remove(lost);
    await knowLost(lost);
    await cloud.remove('school-uploads', 'schools/oak/b');
    expect(await backUp(first.manifestSha256)).toMatchObject({
      ...{ objectCount: 2, notCovered: {} },
      ...{ absentObjects: [lost], backObjects: [], goneObjects: [lost] },
    });
    // What this very recovery point had of it is named: restored rows may name it.
    const pass: TenantPass = { kind: 'settle', result: first };
    expect(await backUp(null, pass)).toMatchObject({
      objectCount: 2,
      notCovered: { vanished: 1 },
      absentObjects: [lost],
    });
  });

  it('is not gone once it was copied again, though no later manifest names it, as its source changed', async () => {
    const first = await backUp();
    const lost = [placeOf((await linesOf(first))[1]), manifestKey('oak', first.manifestSha256)];
    await knowLost(lost[1] ?? '');
    vaultObjects()?.remove(lost[1] ?? '');
    expect(await backUp(first.manifestSha256)).toMatchObject({ backObjects: [lost[1]] });
    await knowLost(...lost);
    vaultObjects()?.remove(lost[0] ?? '');
    const { manifestSha256: previous, ...again } = await backUp(first.manifestSha256);
    expect([again.backObjects, again.goneObjects]).toEqual([[lost[0]], []]);
    await cloud.remove('school-uploads', 'schools/oak/b');
    const absent = { absentObjects: lost, backObjects: [], goneObjects: [] };
    expect(await backUp(previous)).toMatchObject({ objectCount: 2, ...absent });
    await upload('b', 'another content');
    expect(await backUp(previous)).toMatchObject({ objectCount: 3, ...absent });
  });

  it('keeps its line in a rerun that cannot copy it, for its version may lie under a delete marker', async () => {
    const first = await backUp();
    const [, line] = await linesOf(first);
    const lost = placeOf(line);
    await cloud.remove('vault', lost);
    await knowLost(lost);
    const named = async (result: TenantBackupResult) => {
      const stored = await cloud.get('vault', notCoveredKey('oak', result.notCoveredSha256 ?? ''));
      return zstdDecompressSync(stored)
        .toString()
        .split('\n')
        .slice(0, -1)
        .map(text => JSON.parse(text));
    };
    const pass: TenantPass = { kind: 'settle', result: first };
    const content = { eTag: line?.eTag, sizeBytes: line?.sizeBytes };
    await cloud.clock.advance(60_000);
    await upload('b', 'another content');
    expect(await named(await backUp(null, pass))).toEqual([{ key: line?.key, reason: 'replaced', content, line }]);
    await cloud.remove('school-uploads', 'schools/oak/b');
    const rerun = await backUp(null, pass);
    expect(await named(rerun)).toEqual([{ key: line?.key, reason: 'vanished', content, line }]);
    // It stays named in the run after that.
    expect(await named(await backUp(null, { kind: 'settle', result: rerun }))).toEqual(await named(rerun));
  });

  it('is a manifest, and is written again', async () => {
    const first = await backUp();
    const lost = manifestKey('oak', first.manifestSha256);
    await cloud.remove('vault', lost);
    await knowLost(lost);
    expect(await backUp(first.manifestSha256)).toMatchObject({
      manifestSha256: first.manifestSha256,
      absentObjects: [],
    });
    expect(await test(first.manifestSha256)).toEqual([]);
  });

  it('is named in no payload that could grow: of thousands a result says that there are many', async () => {
    await knowLost(...Array.from({ length: 5000 }, (_, index) => objectKey('oak', `${index}`.padStart(64, '0'))));
    expect(await backUp()).toMatchObject({ objectCount: 3, absentObjects: null, goneObjects: { length: 80 } });
  });
});

describe('what a run knows of losses', () => {
  const name = (key: string) => `object-gone/${recoveryPointId}/${recoveryPointId}/${key}`;
  const [ONE, TWO] = [objectKey('oak', '1'), objectKey('oak', '2')];
  const list = () => cloud.invoke(listTenants, { recoveryPointId, asOf: null, listing: null });
  const know = async () => {
    const { lostObjectsSha256: sha256 } = await list();
    return JSON.parse((await cloud.get('work', lostObjectsKey(recoveryPointId, sha256 ?? ''))).toString());
  };
  const missed = (more: object) =>
    cloud.put(
      'work',
      FOUND_WRONG_KEY,
      JSON.stringify({ ...NOTHING_WRONG, lookedAt: '2026-11-22T02:15:00.000Z', ...more }),
    );

  it('is what pulse misses, accepted or not, but for what no backup copies', async () => {
    expect(await know()).toEqual({ ledgerSequence: 0, knownAt: null, keys: [] });
    const others = ['snapshot-missing/daybreak-app-20261122t023000z', name(rootManifestKey(recoveryPointId))];
    await missed({ lost: [name(TWO), ...others], explained: [name(ONE)] });
    expect(await know()).toEqual({ ledgerSequence: 0, knownAt: '2026-11-22T02:15:00.000Z', keys: [ONE, TWO] });
  });

  it('is not all where pulse could not name, or look for, all', async () => {
    const many = (count: number) => Array.from({ length: count }, (_, index) => name(objectKey('oak', `${index}`)));
    for (const found of [{ lost: many(2000) }, { explained: many(100) }, { notLookedFor: ['object-gone'] }]) {
      await missed(found);
      expect(await know()).toMatchObject({ knownAt: null });
    }
  });

  it('is of one run: another one for the same recovery point, which knows more, changes nothing of it', async () => {
    await missed({ lost: [name(ONE)] });
    const one = await list();
    const item = async () => (await readItems('work', itemsKey('backup', recoveryPointId), TenantItem))[0];
    const ofOne = await cloud.run(item);
    await missed({ lost: [name(ONE), name(TWO)] });
    const other = await list();
    const ofOther = await cloud.run(item);
    expect([ofOne?.lostObjectsSha256, ofOther?.lostObjectsSha256]).toEqual([
      one.lostObjectsSha256,
      other.lostObjectsSha256,
    ]);
    const keysOf = ({ lostObjectsSha256: sha256 }: typeof one) =>
      cloud.run(async () => (await readLostObjects('work', recoveryPointId, sha256))?.keys);
    expect([await keysOf(one), await keysOf(other)]).toEqual([[ONE], [ONE, TWO]]);
    // Listing again, each goes on with its own.
    const again = { recoveryPointId, asOf: null, listing: one.listing };
    expect((await cloud.invoke(listTenants, again)).lostObjectsSha256).toBe(one.lostObjectsSha256);
  });

  it('is believed by nobody where it is not what the run wrote', async () => {
    await knowLost(ONE);
    await cloud.put('work', lostObjectsKey(recoveryPointId, lostObjectsSha256 ?? ''), '{"keys":[]}');
    await expect(backUp()).rejects.toMatchObject({ name: 'LostObjectsAlteredError' });
  });

  it('is what it can be where the ledger is broken: a backup is made all the same', async () => {
    await cloud.put('evidence', ledgerEntryKey(1), '{}');
    await missed({ lost: [name(ONE)] });
    expect(await know()).toEqual({ ledgerSequence: null, knownAt: '2026-11-22T02:15:00.000Z', keys: [ONE] });
  });

  it('is settled by what manifests name: one bucket has it again, and what nobody compared has nothing', () => {
    const lost = { ledgerSequence: 7, knownAt: null, keys: [ONE, TWO] };
    const result = (bucketId: string, more: object) =>
      ({ bucketId, tenant: 'oak', manifestSha256: 'a'.repeat(64), failure: null, ...more }) as TenantBackupResult;
    const settle = (...results: TenantBackupResult[]) => settleLosses(lost, LIST, results).absent;
    const by = { lostObjectsSha256: LIST };
    const [none, both] = [
      { absentObjects: [ONE, TWO], backObjects: [], goneObjects: [ONE, TWO], ...by },
      { absentObjects: [], backObjects: [ONE, TWO], goneObjects: [], ...by },
    ];
    expect(settle(result('x', none), result('y', { ...none, backObjects: [ONE], goneObjects: [TWO] }))).toEqual([TWO]);
    expect(settle(result('x', none), result('y', both))).toEqual([]);
    expect(settle(result('x', { ...both, failure: 'NoResultError' }))).toEqual([ONE, TWO]);
    expect(settle(result('x', {}))).toEqual([ONE, TWO]);
    // What no result names is neither back nor gone.
    const unnamed = { ...by, absentObjects: null, backObjects: [], goneObjects: [TWO] };
    expect(settleLosses(lost, LIST, [result('x', unnamed)])).toMatchObject({
      absent: [ONE, TWO],
      back: [],
      gone: [TWO],
    });
    const oneHas = settleLosses(lost, LIST, [result('x', none), result('y', both)]);
    expect(oneHas).toMatchObject({ absent: [], back: [ONE, TWO], gone: [] });
    const many = Array.from({ length: 301 }, (_, index) => objectKey('oak', `${index}`));
    expect(settleLosses({ ...lost, keys: many }, LIST, []).absent).toBeNull();
    const ofAnotherRun = { ...both, lostObjectsSha256: 'c'.repeat(64) };
    expect(settle(result('x', ofAnotherRun))).toEqual([ONE, TWO]);
    const places = [...[result('x', both), result('y', {}), result('z', { tenant: 'elm' })], result('w', ofAnotherRun)];
    expect(findNotCompared(lost, LIST, places).map(({ bucketId }) => bucketId)).toEqual(['y', 'w']);
    expect(findNotCompared(undefined, null, places)).toEqual([]);
  });
});
