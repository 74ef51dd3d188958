import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { DeleteObjectCommand, GetObjectCommand, PutObjectRetentionCommand } from '@aws-sdk/client-s3';
import { describe, expect, it } from 'vitest';
import { idOfInstant } from '../../../functions/contracts/identifiers.ts';
import { LEDGER_STATE_FORM } from '../../../functions/contracts/ledger.ts';
import type { RecoveryPoint } from '../../../functions/contracts/recovery-point.ts';
import {
  headKey,
  ledgerEntryKey,
  restoreTestRecordKey,
  rootManifestKey,
} from '../../../functions/contracts/vault-layout.ts';
import { signHead } from '../../../functions/evidence/sign-head.ts';
import { canonicalJson, sha256Hex } from '../../../functions/platform/canonical-json.ts';
import { signDocument } from '../../../functions/platform/kms.ts';
import { keepLedgerState, readLedgerState } from '../../../functions/platform/ledger.ts';
import type { LedgerProjection } from '../../../functions/platform/ledger-projection.ts';
import { isKeptStateForged, isTimeToFoldAfresh } from '../../../functions/pulse/check-kept-state.ts';
import { LedgerHeadInvalidError, readHeadAge } from '../../../functions/pulse/read-head-age.ts';
import { findNotLocked, findUnprovedObjects } from '../../../functions/pulse/read-locks.ts';
import { readRootManifests } from '../../../functions/pulse/read-root-manifests.ts';
import { readTestRecords } from '../../../functions/pulse/read-test-records.ts';
import { rotateSample } from '../../../functions/pulse/rotate-sample.ts';
import { lose } from '../../../infra/local/s3/damage.ts';
import { stepRuntime } from '../../fixtures/step-runtime.ts';
import { draft, openLedger } from '../evidence/local-ledger.ts';

const MINUTE_MS = 60_000;

function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
}

describe('the age of the newest head', () => {
  it('counts from its signature, and is unknown where nothing was signed', async () => {
    const { run, appendEntry, clock, deployment, seed } = await openLedger();
    const age = (lastSequence: number) =>
      run(() => readHeadAge({ lastSequence, signedFrom: null }, deployment, clock.now()));
    expect(await age(0)).toBeUndefined();
    await seed(3);
    expect(await age(3)).toBeUndefined();
    const { sequence } = await appendEntry(draft('one'));
    await clock.advance(90 * MINUTE_MS);
    expect(await age(sequence)).toBe(90 * MINUTE_MS);
  });

  it('does not come from a head that nobody signed, or that stands for another entry', async () => {
    const { run, appendEntry, clock, deployment, put } = await openLedger();
    const first = await appendEntry(draft('one'));
    const age = () => run(() => readHeadAge({ lastSequence: first.sequence, signedFrom: 1 }, deployment, clock.now()));
    const head = {
      version: 2,
      sequence: 2,
      stateForm: LEDGER_STATE_FORM,
      projectionSha256: first.entrySha256,
      entrySha256: first.entrySha256,
      segmentTree: [first.entrySha256],
      signedAt: clock.now().toISOString(),
    };
    const signed = await run(() => signDocument(head, deployment.ledgerKeyArn));

    await put(headKey(2), 'nothing of the kind');
    await expect(age()).rejects.toThrow('it is no head of this place');
    await put(headKey(2), canonicalJson({ ...signed, document: { ...head, signedAt: '2030-01-01T00:00:00.000Z' } }));
    await expect(age()).rejects.toThrow('its signature does not verify');
    // The key of root manifests, which signed heads in earlier releases.
    await put(headKey(2), canonicalJson(await run(() => signDocument(head, deployment.signingKeyArn))));
    await expect(age()).rejects.toThrow('its signature does not verify');
    const { projectionSha256: _, stateForm: _form, ...rest } = head;
    const earlier = { ...rest, version: 1 };
    await put(headKey(2), canonicalJson(await run(() => signDocument(earlier, deployment.signingKeyArn))));
    await expect(age()).rejects.toThrow('it is of an earlier form than its entry');
    await put(headKey(2), canonicalJson(signed));
    await expect(age()).rejects.toThrow(LedgerHeadInvalidError);
    await expect(age()).rejects.toThrow('the ledger holds another entry there');
  });
});

it('the newest head stands for no state that ends before it, because an entry between them is gone', async () => {
  const { run, appendEntry, deployment, clock, s3 } = await openLedger();
  await appendEntry(draft('one'));
  const earlier = await run(() => readLedgerState(deployment));
  for (const id of ['two', 'three']) await appendEntry(draft(id));
  const age = () => run(() => readHeadAge(earlier, deployment, clock.now()));
  // What was appended meanwhile is no break.
  expect(await age()).toBe(0);
  lose(s3, 'evidence', ledgerEntryKey(2));
  await expect(age()).rejects.toThrow('ledger entry 2 is missing');
});

describe('root manifests', () => {
  const IDS = ['20261120t023000z', '20261121t023000z', '20261122t023000z'] as const;

  async function vault() {
    const runtime = stepRuntime({ startsAt: new Date('2026-11-22T08:00:00.000Z') });
    const { deployment, run, put, clock } = runtime;
    const write = async (recoveryPointId: string, completedAt: string, reasons: string[] = []) => {
      const snapshot = {
        id: `daybreak-app-${recoveryPointId}`,
        arn: 'arn',
        takenAt: completedAt,
        kmsKeyArn: deployment.vaultKeyArn,
        engineVersion: '17.10',
        allocatedStorageBytes: 0,
      };
      const document: RecoveryPoint = {
        version: 1,
        recoveryPointId,
        scheduledAt: completedAt,
        completedAt,
        status: 'good',
        databases: [{ databaseId: 'app', snapshot, fingerprints: null, rowCount: 0, failure: null }],
        tenants: [],
        reasons,
      };
      const body = canonicalJson(await run(() => signDocument(document, deployment.signingKeyArn)));
      await put('vault', rootManifestKey(recoveryPointId), body);
      return sha256Hex(body);
    };
    const recoveryPoints: LedgerProjection['recoveryPoints'] = Object.fromEntries(
      await Promise.all(
        IDS.map(async (recoveryPointId, index) => {
          const rootManifestSha256 = await write(recoveryPointId, `2026-11-2${index}T02:40:00.000Z`);
          const recordedAt = `2026-11-2${index}T02:40:00.000Z`;
          return [
            recoveryPointId,
            { recoveryPointId, status: 'good' as const, recordedAt, sequence: index + 1, rootManifestSha256 },
          ];
        }),
      ),
    );
    const read = (doubted: ReadonlySet<string> | 'all' = new Set()) =>
      readRootManifests({ recoveryPoints, signedFrom: 1 }, deployment, doubted, clock.now());
    return { ...runtime, write, read, recoveryPoints };
  }

  it('name the snapshots, each read once in a lifetime, the newest and one other every time', async () => {
    const { run, read, requests, clock } = await vault();
    await run(async () => {
      const first = await read();
      expect(first.snapshots.map(({ id }) => id)).toEqual(IDS.map(id => `daybreak-app-${id}`));
      expect([first.newest?.recoveryPointId, first.altered, first.unread]).toEqual([IDS[2], [], []]);
      const perPulse: number[] = [];
      for (let pulse = 0; pulse < 3; pulse++) {
        requests.length = 0;
        expect((await read()).snapshots).toEqual(first.snapshots);
        perPulse.push(requests.filter(request => request.includes('/vault/recovery-points/')).length);
        await clock.advance(15 * MINUTE_MS);
      }
      expect(perPulse.sort()).toEqual([1, 2, 2]);
    });
  });

  it('are altered when they are hidden, unreadable as such, or of another hash than was recorded', async () => {
    const { run, read, put, write, client } = await vault();
    await client.send(new DeleteObjectCommand({ Bucket: 'vault', Key: rootManifestKey(IDS[0]) }));
    await put('vault', rootManifestKey(IDS[1]), '{}');
    await write(IDS[2], '2026-11-22T02:50:00.000Z');
    const { altered, newest, snapshots } = await run(() => read());
    expect(altered.map(({ reason }) => reason.replace(/; do not.*/, ''))).toEqual([
      `${rootManifestKey(IDS[0])}: it is hidden by a delete marker`,
      `${rootManifestKey(IDS[1])}: it is not a root manifest`,
      'its hash is not the one that the ledger recorded',
    ]);
    expect([newest, snapshots]).toEqual([undefined, []]);
  });

  it('are not altered while a rerun has written one and not recorded it yet', async () => {
    const { run, read, write, recoveryPoints } = await vault();
    const [, , point] = Object.values(recoveryPoints);
    if (point !== undefined) point.status = 'incomplete';
    await write(IDS[2], '2026-11-22T07:30:00.000Z');
    const { altered, newest } = await run(() => read());
    expect([altered, newest?.completedAt]).toEqual([[], '2026-11-22T07:30:00.000Z']);
    // One of a time that has not come would be never altered.
    await write(IDS[2], '2999-11-22T07:30:00.000Z');
    expect((await run(() => read())).altered).toHaveLength(1);
    // A good one is superseded by none.
    if (point !== undefined) point.status = 'good';
    await write(IDS[2], '2026-11-22T07:30:00.000Z');
    expect((await run(() => read())).altered).toHaveLength(1);
  });

  it('stay altered once they were found to be, also when it is the turn of another', async () => {
    const { run, read, put, clock } = await vault();
    await run(async () => {
      expect((await read()).altered).toEqual([]);
      await put('vault', rootManifestKey(IDS[0]), '{}');
      const counts: number[] = [];
      for (let pulse = 0; pulse < 6; pulse++) {
        counts.push((await read()).altered.length);
        await clock.advance(15 * MINUTE_MS);
      }
      expect(counts).toEqual([...counts].sort());
      expect(counts.at(-1)).toBe(1);
    });
  });

  it('that another runtime missed are read again, whatever this one saw of them', async () => {
    const { run, read, write, requests } = await vault();
    await run(async () => {
      expect((await read()).altered).toEqual([]);
      requests.length = 0;
      await read();
      // Neither the newest, nor the one whose turn it is.
      const id = IDS.find(one => !requests.some(request => request.includes(one))) ?? '';
      await write(id, '2026-11-20T02:50:00.000Z');
      expect((await read()).altered).toEqual([]);
      const found = await read(new Set([id]));
      expect(found.altered.map(({ recoveryPointId }) => recoveryPointId)).toEqual([id]);
      // What it named is known to this runtime alone.
      expect(found.snapshots.map(one => one.id)).not.toContain(`daybreak-app-${id}`);
      expect(found.remembered).toEqual([expect.objectContaining({ id: `daybreak-app-${id}`, recoveryPointId: id })]);
    });
    // Where nobody knows what was missed, everything is read.
    await run(async () => {
      await read();
      requests.length = 0;
      await read('all');
      expect(requests.filter(request => request.startsWith('s3 GET /vault/recovery-points/'))).toHaveLength(IDS.length);
    });
  });

  it('are of another recovery point, also where they are known by their hash', async () => {
    const { run, read, put, client, clock, recoveryPoints } = await vault();
    const [first] = Object.values(recoveryPoints);
    const recoveryPointId = '20261119t023000z';
    const { Body } = await client.send(new GetObjectCommand({ Bucket: 'vault', Key: rootManifestKey(IDS[0]) }));
    await put('vault', rootManifestKey(recoveryPointId), (await Body?.transformToString()) ?? '');
    await run(async () => {
      await read();
      if (first !== undefined) recoveryPoints[recoveryPointId] = { ...first, recoveryPointId };
      for (let pulse = 0; pulse < 4; pulse++) {
        expect((await read()).altered.map(one => one.recoveryPointId)).toEqual([recoveryPointId]);
        await clock.advance(15 * MINUTE_MS);
      }
    });
  });

  it('take the memory of a few, however many there are', async () => {
    const { run, write, deployment, clock, intercept } = await vault();
    const recoveryPoints: LedgerProjection['recoveryPoints'] = {};
    const reasons = Array.from({ length: 5000 }, (_, index) => `school ${index} was not backed up`);
    const POINTS = 25;
    for (let day = 1; day <= POINTS; day++) {
      const recoveryPointId = idOfInstant(new Date(Date.UTC(2026, 0, day, 2, 30)).toISOString());
      const rootManifestSha256 = await write(recoveryPointId, '2026-11-20T02:40:00.000Z', reasons);
      const recordedAt = '2026-11-20T02:40:00.000Z';
      recoveryPoints[recoveryPointId] = {
        recoveryPointId,
        status: 'good',
        recordedAt,
        sequence: day,
        rootManifestSha256,
        objectLosses: null,
      };
    }
    const heap: number[] = [];
    let requestCount = 0;
    intercept((request, next) => {
      if (request.path.includes('/recovery-points/') && [9, POINTS].includes(++requestCount)) {
        collectGarbage();
        heap.push(process.memoryUsage().heapUsed);
      }
      return next();
    });
    const read = () => readRootManifests({ recoveryPoints, signedFrom: 1 }, deployment, new Set(), clock.now());
    expect((await run(() => read())).snapshots).toHaveLength(POINTS);
    const [few = 0, all = 0] = heap;
    // A third of a megabyte each.
    expect(all - few).toBeLessThan(2_000_000);
  });

  it('that cannot be read now hide no other', async () => {
    const { run, read, intercept } = await vault();
    intercept((request, next) => {
      if (request.path.includes(IDS[2])) throw new Error('the connection broke');
      return next();
    });
    const { unread, altered, newest, snapshots } = await run(() => read());
    expect(unread.map(({ recoveryPointId }) => recoveryPointId)).toEqual([IDS[2]]);
    expect([altered, newest?.recoveryPointId]).toEqual([[], IDS[1]]);
    expect(snapshots).toHaveLength(2);
  });
});

it('objects that are gone, hidden or under no lock are found, and those under a hold are not', async () => {
  const { run, put, client, clock } = stepRuntime();
  for (const Key of ['held', 'hidden', 'free']) await put('vault', Key, 'sealed');
  await client.send(new DeleteObjectCommand({ Bucket: 'vault', Key: 'hidden' }));
  const free = { Bucket: 'vault', Key: 'free', Retention: {}, BypassGovernanceRetention: true };
  await client.send(new PutObjectRetentionCommand(free));
  const keys = ['held', 'hidden', 'free', 'never-there'];
  const found = await run(() => findNotLocked('vault', keys, clock.now()));
  expect(found).toEqual({ gone: ['hidden', 'never-there'], notLocked: ['free'] });
});

it('the record of a restore test that another runtime missed is read again, whatever this one saw of it', async () => {
  const { run, put, remove, deployment, clock } = stepRuntime();
  const ids = ['20261101t023000z', '20261102t023000z', '20261103t023000z'];
  const restoreTests: LedgerProjection['restoreTests'] = {};
  for (const [index, restoreTestId] of ids.entries()) {
    const said = { restoreTestId, recoveryPointId: null, verdict: 'passed' as const };
    const record = canonicalJson(said);
    await put('evidence', restoreTestRecordKey(restoreTestId), record);
    const recordedAt = '2026-11-03T03:00:00.000Z';
    restoreTests[restoreTestId] = {
      ...said,
      sequence: index + 1,
      recordedAt,
      recordSha256: sha256Hex(record),
      allObjectsFrom: null,
    };
  }
  const read = async (doubted: ReadonlySet<string> | 'all') => {
    const found = await readTestRecords({ restoreTests, signedFrom: 1 }, deployment, doubted, clock.now());
    return found.altered.map(({ restoreTestId, how }) => `${restoreTestId} ${how}`);
  };
  await run(async () => {
    expect(await read(new Set())).toEqual([]);
    // Neither the newest, nor the one whose turn it is.
    const turn = rotateSample(ids, 1, clock.now());
    const id = ids.slice(0, -1).find(one => !turn.includes(one)) ?? '';
    await remove('evidence', restoreTestRecordKey(id));
    expect(await read(new Set())).toEqual([]);
    expect(await read(new Set([id]))).toEqual([`${id} gone`]);
  });
  await run(async () => {
    const lost = await read(new Set());
    await remove('evidence', restoreTestRecordKey(ids[0] ?? ''));
    await remove('evidence', restoreTestRecordKey(ids[1] ?? ''));
    // Where nobody knows what was missed, everything is read.
    expect([lost.length, (await read('all')).length]).toEqual([1, 2]);
  });
});

describe('the kept state of the ledger', () => {
  it('is forged where no head names it, and folded afresh once a day it is what the entries come to', async () => {
    const { run, appendEntry, deployment, append } = await openLedger();
    const isForged = (afresh: boolean) => run(() => isKeptStateForged(deployment, afresh));
    expect(await isForged(true)).toBe(false);
    await appendEntry(draft('one'));
    // Not kept yet, and no difference.
    await append(draft('two'));
    expect([await isForged(false), await isForged(true)]).toEqual([false, false]);
    const kept = await run(() => readLedgerState(deployment));
    const forged = { ...kept, lastRecordedAt: '2030-01-01T00:00:00.000Z' };
    await run(() => keepLedgerState(deployment.workBucket, forged));
    expect(await isForged(false)).toBe(true);
  });

  it('is not called forged where it cannot be read', async () => {
    const { run, appendEntry, deployment, intercept } = await openLedger();
    await appendEntry(draft('one'));
    intercept((request, next) => {
      if (request.path.includes('/ledger-projection/')) throw new Error('the connection broke');
      return next();
    });
    await expect(run(() => isKeptStateForged(deployment, false))).rejects.toThrow();
    expect((await run(() => readLedgerState(deployment))).lastSequence).toBe(1);
  });

  it('is found out by the fold of the day, where an appender signed for another one than the entries come to', async () => {
    const { run, append, deployment, clock } = await openLedger();
    const { state } = await append(draft('one', { kind: 'restore-test.failed' }));
    const forged = { ...state, failures: [] };
    await run(async () => {
      await signHead(forged, clock.now(), deployment);
      await keepLedgerState(deployment.workBucket, forged);
    });
    const isForged = (afresh: boolean) => run(() => isKeptStateForged(deployment, afresh));
    expect([await isForged(false), await isForged(true)]).toEqual([false, true]);
  });

  it('is folded afresh in one quarter of an hour of each day', () => {
    const quarters = Array.from({ length: 96 }, (_, index) => new Date(Date.UTC(2026, 10, 22, 0, 7 + 15 * index)));
    expect(quarters.filter(isTimeToFoldAfresh).map(at => at.toISOString())).toEqual(['2026-11-22T05:07:00.000Z']);
  });
});

it('a lost object is not right by what takes its name, but by a marker that was removed, or a backup that saw it', async () => {
  const { run, put, clock } = stepRuntime({ startsAt: new Date('2026-11-22T08:00:00.000Z') });
  await put('vault', 'tenants/oak/objects/a', 'as it was');
  const loss = (key: string, since: string) => ({ key: `tenants/oak/objects/${key}`, since });
  const missed = [loss('a', '20261122t083000z'), loss('b', '20261122t083000z')];
  await clock.advance(60 * MINUTE_MS);
  await put('vault', 'tenants/oak/objects/b', 'something else');
  const told = (knownAt: string | null, back?: string[]) =>
    ({ objectLosses: { ledgerSequence: 1, knownAt, absent: [], back } }) as unknown as RecoveryPoint;
  const still = (knowing?: RecoveryPoint) => run(() => findUnprovedObjects('vault', missed, knowing));
  const b = ['tenants/oak/objects/b'];
  expect(await still()).toEqual(b);
  expect(await still(told('2026-11-22T08:15:00.000Z', b))).toEqual(b);
  expect(await still(told('2026-11-22T08:45:00.000Z'))).toEqual(b);
  expect(await still(told('2026-11-22T08:45:00.000Z', []))).toEqual(b);
  expect(await still(told(null, b))).toEqual(b);
  expect(await still(told('2026-11-22T08:45:00.000Z', b))).toEqual([]);
});
