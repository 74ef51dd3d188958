import { zstdCompressSync } from 'node:zlib';
import { type DBSnapshot, DBSnapshotNotFoundFault, DescribeDBSnapshotsCommand, RDSClient } from '@aws-sdk/client-rds';
import { beforeEach, describe, expect, it } from 'vitest';
import { handler } from '../../../functions/backup/complete.ts';
import type { TenantItem } from '../../../functions/contracts/daily-backup.ts';
import type { DatabaseFingerprint } from '../../../functions/contracts/fingerprint.ts';
import type { TenantBackupResult } from '../../../functions/contracts/object-manifest.ts';
import type { RecoveryPoint } from '../../../functions/contracts/recovery-point.ts';
import {
  fingerprintCatalogsKey,
  fingerprintKey,
  fingerprintPartKey,
  itemsKey,
  lostObjectsKey,
  objectKey,
  rootManifestKey,
  tenantResultsKey,
  vaultSnapshotId,
} from '../../../functions/contracts/vault-layout.ts';
import { sha256Hex } from '../../../functions/platform/canonical-json.ts';
import { BucketDigests, encodeDigests } from '../../../functions/platform/fingerprint/bucket-digests.ts';
import { mockClientHere } from '../../fixtures/mock-client.ts';
import { stepRuntime, type TestRuntime } from '../../fixtures/step-runtime.ts';

const rds = mockClientHere(RDSClient);
const recoveryPointId = '20261122t023000z';
const tenantsKey = tenantResultsKey(recoveryPointId);
const database = { id: 'app', instanceId: 'school-app', databaseName: 'app', rootTable: 'school', rootColumn: 'id' };
const at = (minute: number) => `2026-11-22T02:${String(minute).padStart(2, '0')}:00.000Z`;
const manifestSha256 = 'a'.repeat(64);
const items: TenantItem[] = [null, 'oak'].map(tenant => ({
  recoveryPointId,
  bucketId: 'uploads',
  tenant,
  previousManifestSha256: 'b'.repeat(64),
  partialManifestSha256: null,
  asOf: null,
  tenantFoldersSha256: null,
  lostObjectsSha256: null,
}));
const whole: TenantBackupResult[] = items.map(({ bucketId, tenant }) => ({
  bucketId,
  tenant,
  manifestSha256,
  previousManifestSha256: null,
  objectCount: 1,
  byteCount: 2,
  copiedObjectCount: 1,
  copiedByteCount: 2,
  recopiedObjectCount: 0,
  notCovered: {},
  failure: null,
}));

let cloud: TestRuntime;

const catalogs = Buffer.from('the catalogs, as far as this step reads them');
const part = zstdCompressSync(encodeDigests([new BucketDigests(1), new BucketDigests(1)]));

function fingerprint(moment: 'before' | 'after', measuredAt: string, describedAt: string): DatabaseFingerprint {
  return {
    version: 2,
    databaseId: 'app',
    moment,
    serverVersion: '17',
    seeds: ['1', '2'],
    horizon: '700',
    catalogsSha256: sha256Hex(catalogs),
    tables: [
      {
        schema: 'public',
        table: 'pupil',
        kind: 'table',
        shape: { of: 'row', sha256: manifestSha256 },
        definitionSha256: manifestSha256,
        bucketColumns: ['id'],
        bucketCount: 1,
        horizon: '700',
        snapshot: '700:700:',
        isOneSnapshot: true,
        // A table may be measured in ranges: of the first measurement the last of them counts, of the second the first.
        firstMeasuredAt: moment === 'after' ? measuredAt : at(0),
        lastMeasuredAt: moment === 'after' ? at(59) : measuredAt,
        rowCount: 3,
        removedRowCount: 0,
        deletedRowCount: 0,
        fileNode: '1',
        digests: { partSha256: sha256Hex(part), offset: 0, byteCount: 8 },
      },
    ],
    describedAt,
    sequences: [],
    unreadable: [],
    instanceDatabases: [
      { name: 'postgres', tableCount: 0 },
      { name: 'reports', tableCount: moment === 'before' ? 2 : 3 },
      { name: 'template0', tableCount: null },
    ],
    root: { comparison: 'exact', tenants: [{ id: 'oak', comparedAs: 'oak' }], rowsWithoutId: 0 },
  };
}

const catalogsKey = (moment: 'before' | 'after') =>
  fingerprintCatalogsKey(recoveryPointId, 'app', moment, sha256Hex(catalogs));

type Unreadable = DatabaseFingerprint['unreadable'];

async function putFingerprints(
  before: string,
  after: string,
  describedAt = before,
  unreadable: { before?: Unreadable; after?: Unreadable } = {},
): Promise<void> {
  for (const [moment, measuredAt] of [
    ['before', before],
    ['after', after],
  ] as const) {
    const measured = { ...fingerprint(moment, measuredAt, describedAt), unreadable: unreadable[moment] ?? [] };
    const body = zstdCompressSync(JSON.stringify(measured));
    await cloud.put('vault', fingerprintKey(recoveryPointId, 'app', moment), body);
    await cloud.put('vault', fingerprintPartKey(recoveryPointId, 'app', moment, sha256Hex(part)), part);
    await cloud.put('vault', catalogsKey(moment), catalogs);
  }
}

const putResults = (results: readonly TenantBackupResult[]) =>
  cloud.put('work', tenantsKey, results.map(result => `${JSON.stringify(result)}\n`).join(''));

const complete = (more: object = {}) =>
  cloud.invoke(handler, {
    recoveryPointId,
    scheduledAt: at(30),
    databases: [{ databaseId: 'app', failure: null }],
    tenantsKey,
    asOf: at(40),
    unlistedBucketIds: [],
    postponedTenantCount: 0,
    ...more,
  });

async function stored(): Promise<{ recoveryPoint: RecoveryPoint; sha256: string }> {
  const bytes = await cloud.get('vault', rootManifestKey(recoveryPointId));
  return { recoveryPoint: JSON.parse(bytes.toString()).document, sha256: sha256Hex(bytes) };
}

const snapshotOf = (minute: number): DBSnapshot => ({
  DBSnapshotArn: `arn:aws:rds:eu-west-2:111122223333:snapshot:${vaultSnapshotId(recoveryPointId, 'app')}`,
  Status: 'available',
  StorageEncryptionType: 'sse-kms',
  KmsKeyId: cloud.deployment.vaultKeyArn,
  OriginalSnapshotCreateTime: new Date(at(minute)),
});

beforeEach(async () => {
  cloud = stepRuntime({ configuration: { databases: [{ ...database, readerUser: 'daybreak_reader' }] } });
  rds.reset();
  rds.on(DescribeDBSnapshotsCommand).resolves({ DBSnapshots: [snapshotOf(40)] });
  await putFingerprints(at(35), at(45));
  await cloud.put('work', itemsKey('backup', recoveryPointId), items.map(item => `${JSON.stringify(item)}\n`).join(''));
  await putResults(whole);
});

describe('complete', () => {
  it('signs a good recovery point, once', async () => {
    const first = await complete();
    const { recoveryPoint, sha256 } = await stored();
    expect(recoveryPoint).toMatchObject({ status: 'good', reasons: [], tenants: whole });
    expect(first).toMatchObject({
      status: 'good',
      databases: [{ databaseId: 'app', rowCount: 3, failure: null, snapshot: { takenAt: at(40) } }],
      draft: { eventId: `backup/${recoveryPointId}/${sha256}`, body: { rowCount: 3, objectCount: 2, reasonCount: 0 } },
    });
    expect(await complete()).toEqual(first);
    expect((await stored()).sha256).toBe(sha256);
  });

  it('names the databases of the instance that nothing proves, and is good for what is configured', async () => {
    await complete();
    const { recoveryPoint } = await stored();
    expect(recoveryPoint).toMatchObject({
      status: 'good',
      unproved: [{ instanceId: database.instanceId, name: 'reports', tableCount: 3 }],
    });
  });

  it.each(['before', 'after'] as const)('is incomplete where a table was not measured in time %s', async moment => {
    const relation = { schema: 'public', relation: 'event', rowCount: null };
    await putFingerprints(at(35), at(45), at(35), {
      before: [{ ...relation, relation: 'locked', reason: 'locked' }],
      [moment]: [{ ...relation, reason: 'out-of-time' }],
    });
    expect(await complete()).toMatchObject({ status: 'incomplete', databases: [{ failure: null, rowCount: 3 }] });
    expect((await stored()).recoveryPoint.reasons).toEqual(['database app: 1 table not measured in time']);
  });

  it('counts a table once that was measured at neither moment, and not one of which that is accepted', async () => {
    const late = (relation: string) => ({
      ...{ schema: 'public', relation, rowCount: null },
      reason: 'out-of-time' as const,
    });
    cloud.configuration.accepted.push({ what: 'app/table-of-no-end:out-of-time:public.log', reason: 'being-removed' });
    const both = [late('event'), late('log')];
    await putFingerprints(at(35), at(45), at(35), { before: both, after: both });
    expect(await complete()).toMatchObject({ status: 'incomplete' });
    expect((await stored()).recoveryPoint.reasons).toEqual(['database app: 1 table not measured in time']);
    await putFingerprints(at(35), at(45), at(35), { before: both.slice(1), after: both.slice(1) });
    expect(await complete()).toMatchObject({ status: 'good' });
  });

  it.each([
    ['a part of a fingerprint', () => fingerprintPartKey(recoveryPointId, 'app', 'after', sha256Hex(part))],
    ['the catalogs of a fingerprint', () => catalogsKey('after')],
  ])('is incomplete where it does not read back: %s', async (_name, keyOf) => {
    await cloud.put('vault', keyOf(), 'altered');
    expect(await complete()).toMatchObject({
      status: 'incomplete',
      databases: [{ fingerprints: null, failure: 'its fingerprints do not read back: FingerprintPartAlteredError' }],
    });
  });

  it('names the snapshot of a database that could not be measured, and what kept it from being measured', async () => {
    const databases = [{ databaseId: 'app', failure: 'DatabaseAccessDeniedError' }];
    const { status } = await complete({ databases });
    expect(status).toBe('incomplete');
    expect((await stored()).recoveryPoint).toMatchObject({
      reasons: ['database app: DatabaseAccessDeniedError'],
      databases: [{ failure: 'DatabaseAccessDeniedError', fingerprints: null, snapshot: { takenAt: at(40) } }],
    });
  });

  it('is incomplete where the tenants of a bucket could not be listed', async () => {
    expect(await complete({ unlistedBucketIds: ['uploads'] })).toMatchObject({ status: 'incomplete' });
    expect((await stored()).recoveryPoint.reasons).toEqual(['bucket uploads: its tenants could not be listed']);
  });

  it('supersedes an incomplete one once a rerun has what was missing', async () => {
    await putResults(whole.slice(1));
    expect(await complete()).toMatchObject({ status: 'incomplete' });
    await putResults(whole);
    expect(await complete()).toMatchObject({ status: 'good' });
    expect((await stored()).recoveryPoint.status).toBe('good');
  });

  it.each([
    ['could not be measured again', [{ databaseId: 'app', failure: 'DatabaseUnavailableError' }]],
    ['is gone', []],
  ])('keeps what an earlier run proved of a database that %s', async (_name, databases) => {
    await putResults(whole.slice(1));
    const first = await complete();
    await putResults(whole);
    expect(await complete({ databases })).toMatchObject({ status: 'good', databases: first.databases });
  });

  it('keeps what an earlier run stored of a school that is gone', async () => {
    const failed = { ...(whole[0] as TenantBackupResult), manifestSha256: null, failure: 'RetryableError' };
    await putResults([failed, ...whole.slice(1)]);
    expect(await complete()).toMatchObject({ status: 'incomplete' });
    await cloud.put('work', itemsKey('backup', recoveryPointId), `${JSON.stringify(items[0])}\n`);
    await putResults(whole.slice(0, 1));
    expect(await complete()).toMatchObject({ status: 'good' });
    expect((await stored()).recoveryPoint.tenants).toEqual(whole);
  });

  it('signs what it knew of losses, and is not good where a manifest was not compared with it', async () => {
    const key = objectKey('oak', '1'.repeat(64));
    const lost = { ledgerSequence: 7, knownAt: at(15), keys: [key] };
    const lostObjectsSha256 = sha256Hex(Buffer.from(JSON.stringify(lost)));
    const listKey = lostObjectsKey(recoveryPointId, lostObjectsSha256);
    await cloud.put('work', listKey, JSON.stringify(lost));
    const places = whole.filter(({ tenant }) => tenant === 'oak').length;
    const unlooked = await complete({ lostObjectsSha256 });
    expect(unlooked).toMatchObject({ status: 'incomplete' });
    const { reasons } = (await stored()).recoveryPoint;
    expect(reasons).toEqual(
      Array.from({ length: places }, () =>
        expect.stringMatching(/^tenant oak in bucket \S+: not compared with what is known as lost in the vault$/),
      ),
    );
    expect(places).toBeGreaterThan(0);

    const said = { absentObjects: [key], backObjects: [], goneObjects: [key] };
    const compared = (sha256: string) =>
      whole.map(result => (result.tenant === 'oak' ? { ...result, ...said, lostObjectsSha256: sha256 } : result));
    // Of another run of the same recovery point, which knew of other losses.
    await putResults(compared('c'.repeat(64)));
    await complete({ lostObjectsSha256 });
    expect((await stored()).recoveryPoint.reasons).toEqual(reasons);

    await putResults(compared(lostObjectsSha256));
    const { status, draft } = await complete({ lostObjectsSha256 });
    const objectLosses = { ledgerSequence: 7, knownAt: at(15), absent: [key], back: [], gone: [key] };
    expect([status, draft.body.objectLosses]).toEqual(['good', objectLosses]);
    expect((await stored()).recoveryPoint.objectLosses).toEqual(objectLosses);
    expect(JSON.stringify(draft).length).toBeLessThan(64 * 1024);
  });

  it('signs no list of losses that another wrote over this run’s', async () => {
    const lostObjectsSha256 = 'd'.repeat(64);
    const forged = { ledgerSequence: 9_000_000, knownAt: null, keys: [] };
    await cloud.put('work', lostObjectsKey(recoveryPointId, lostObjectsSha256), JSON.stringify(forged));
    await expect(complete({ lostObjectsSha256 })).rejects.toMatchObject({ name: 'LostObjectsAlteredError' });
  });

  it('names no snapshot any more, however late it was redriven, once one may be being removed', async () => {
    await putResults(whole.slice(1));
    await cloud.clock.advance(71 * 60 * 60_000);
    expect(await complete()).toMatchObject({ status: 'incomplete' });
    await cloud.clock.advance(1);
    await putResults(whole);
    await expect(complete()).rejects.toMatchObject({
      name: 'ScheduledInstantError',
      message: expect.stringContaining('more than 71 hours ago'),
    });
    expect((await stored()).recoveryPoint.status).toBe('incomplete');
  });

  it('stands by a good one for ever', async () => {
    const first = await complete();
    await cloud.clock.advance(13 * 24 * 60 * 60_000);
    expect(await complete()).toEqual(first);
  });

  it('takes no snapshot for proved that is older than the instant which its age is told by', async () => {
    await putFingerprints(at(20), at(45));
    rds.on(DescribeDBSnapshotsCommand).resolves({ DBSnapshots: [snapshotOf(24)] });
    expect(await complete()).toMatchObject({
      status: 'incomplete',
      databases: [{ fingerprints: null, failure: 'its snapshot was taken before its instant' }],
    });
    rds.on(DescribeDBSnapshotsCommand).resolves({ DBSnapshots: [snapshotOf(25)] });
    expect(await complete()).toMatchObject({ status: 'good' });
  });

  it('never supersedes the good one of a run that was faster', async () => {
    await putResults(whole.slice(1));
    let raced = false;
    cloud.intercept(async (request, next) => {
      if (request.method === 'PUT' && request.path.includes('recovery-points/') && !raced) {
        raced = true;
        await putResults(whole);
        await complete();
      }
      return next();
    });
    await expect(complete()).rejects.toMatchObject({ name: 'RetryableError' });
    expect((await stored()).recoveryPoint.status).toBe('good');
    expect(await complete()).toMatchObject({ status: 'good' });
  });

  const late = 'its first fingerprint was taken after its snapshot';
  it.each([
    ['a second fingerprint of an earlier run', at(35), at(38), 'its second fingerprint was taken before its snapshot'],
    ['a first fingerprint that is too late', at(42), at(45), late],
    // Its tables are of a run that ended then, the rest of the one that went on.
    ['a first fingerprint whose end is too late', at(35), at(45), late, at(42)],
  ])('takes no snapshot for proved by %s', async (_name, before, after, reason, describedAt?) => {
    await putFingerprints(before, after, describedAt);
    expect(await complete()).toMatchObject({
      status: 'incomplete',
      databases: [{ snapshot: { takenAt: at(40) }, fingerprints: null, failure: reason }],
    });
  });

  it.each([
    ['is gone', () => rds.on(DescribeDBSnapshotsCommand).rejects(notFound()), 'it does not exist'],
    [
      'is under another key',
      () =>
        rds.on(DescribeDBSnapshotsCommand).resolves({
          DBSnapshots: [{ Status: 'available', StorageEncryptionType: 'sse-kms', KmsKeyId: 'another' }],
        }),
      'it is not under the vault key',
    ],
  ])('is incomplete when the snapshot %s', async (_name, arrange, problem) => {
    arrange();
    expect(await complete()).toMatchObject({
      status: 'incomplete',
      databases: [{ failure: `its snapshot does not read back: ${problem}` }],
    });
  });
});

const notFound = () => new DBSnapshotNotFoundFault({ $metadata: { httpStatusCode: 404 }, message: 'as RDS says it' });
