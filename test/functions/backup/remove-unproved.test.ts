import {
  DBSnapshotNotFoundFault,
  DeleteDBSnapshotCommand,
  DescribeDBSnapshotsCommand,
  InvalidDBSnapshotStateFault,
  RDSClient,
  RDSServiceException,
} from '@aws-sdk/client-rds';
import { beforeEach, describe, expect, it } from 'vitest';
import { handler } from '../../../functions/backup/remove-unproved.ts';
import type { PlannedRemoval, RemoveUnprovedOutput } from '../../../functions/contracts/daily-backup.ts';
import { instantOfId } from '../../../functions/contracts/identifiers.ts';
import type { RecoveryPoint } from '../../../functions/contracts/recovery-point.ts';
import { intermediateSnapshotId, rootManifestKey, vaultSnapshotId } from '../../../functions/contracts/vault-layout.ts';
import { canonicalJson } from '../../../functions/platform/canonical-json.ts';
import { mockClientHere } from '../../fixtures/mock-client.ts';
import { stepRuntime, type TestRuntime } from '../../fixtures/step-runtime.ts';

const rds = mockClientHere(RDSClient);
const metadata = { $metadata: { httpStatusCode: 400 }, message: 'as RDS says it' };
const FIRST = '20261120t023000z';
const SECOND = '20261121t023000z';
const HOUR_MS = 60 * 60 * 1000;

let cloud: TestRuntime;
let snapshots: Map<string, object>;
let deleted: string[];

function leave(snapshotId: string, recoveryPointId: string, purpose: string, more: object = {}): string {
  const scheduledMs = Date.parse(instantOfId(recoveryPointId));
  const taken = Number.isNaN(scheduledMs) ? undefined : new Date(scheduledMs + 10 * 60_000);
  snapshots.set(snapshotId, {
    DBSnapshotIdentifier: snapshotId,
    Status: 'available',
    SnapshotCreateTime: taken,
    OriginalSnapshotCreateTime: taken,
    StorageEncryptionType: 'sse-kms',
    KmsKeyId: cloud.deployment.vaultKeyArn,
    TagList: [
      { Key: 'daybreak:purpose', Value: purpose },
      { Key: 'daybreak:recovery-point', Value: recoveryPointId },
    ],
    ...more,
  });
  return snapshotId;
}
const leaveIntermediate = (id: string) => leave(intermediateSnapshotId(id, 'app'), id, 'intermediate');
const leaveCopy = (id: string, more?: object) => leave(vaultSnapshotId(id, 'app'), id, 'unproved-copy', more);
const prove = (id: string) => leave(vaultSnapshotId(id, 'app'), id, 'recovery-point');

/** Closes a recovery point that names its copy. */
async function close(recoveryPointId: string, failure: string | null = null): Promise<void> {
  const id = vaultSnapshotId(recoveryPointId, 'app');
  const document: RecoveryPoint = {
    version: 1,
    recoveryPointId,
    scheduledAt: instantOfId(recoveryPointId),
    completedAt: instantOfId(recoveryPointId),
    status: failure === null ? 'good' : 'incomplete',
    databases: [
      {
        databaseId: 'app',
        snapshot: {
          id,
          arn: `arn:aws:rds:eu-west-2:111122223333:snapshot:${id}`,
          takenAt: new Date(Date.parse(instantOfId(recoveryPointId)) + 10 * 60_000).toISOString(),
          kmsKeyArn: cloud.deployment.vaultKeyArn,
          engineVersion: '17.10',
          allocatedStorageBytes: 0,
        },
        fingerprints: null,
        rowCount: 0,
        failure,
      },
    ],
    tenants: [],
    reasons: [],
  };
  await cloud.put('vault', rootManifestKey(recoveryPointId), canonicalJson(await cloud.sign(document)));
}

type Output = typeof RemoveUnprovedOutput._output;
const plan = async (): Promise<PlannedRemoval[]> =>
  ((await cloud.invoke(handler, { moment: 'plan' })) as Output).planned;
const remove = (planned: readonly PlannedRemoval[]): Promise<Output> =>
  cloud.invoke(handler, { moment: 'remove', planned });
const namesOf = (planned: readonly { snapshotId: string }[]) => planned.map(({ snapshotId }) => snapshotId).sort();
const subjects = ({ drafts }: Output) => drafts.map(({ subject, body }) => `${subject} ${body.snapshotId}`).sort();
const left = () => [...snapshots.keys()].sort();

beforeEach(() => {
  const source = { databaseName: 'app', rootTable: 'school', rootColumn: 'id', readerUser: 'daybreak_reader' };
  cloud = stepRuntime({
    configuration: { databases: ['app', 'b', 'c'].map(id => ({ ...source, id, instanceId: `school-${id}` })) },
    startsAt: new Date(Date.parse(instantOfId(SECOND)) + 72 * HOUR_MS + 10 * 60_000),
  });
  snapshots = new Map();
  deleted = [];
  rds.reset();
  rds.on(DescribeDBSnapshotsCommand).callsFake(() => ({ DBSnapshots: [...snapshots.values()] }));
  rds.on(DeleteDBSnapshotCommand).callsFake(({ DBSnapshotIdentifier: id }: { DBSnapshotIdentifier: string }) => {
    if (!snapshots.delete(id)) throw new DBSnapshotNotFoundFault(metadata);
    deleted.push(id);
    return {};
  });
});

describe('remove-unproved', () => {
  it('plans first, removes what runs left of two recovery points, reads back that it is gone, and drafts an entry for each', async () => {
    const gone = [leaveIntermediate(FIRST), leaveCopy(FIRST), leaveIntermediate(SECOND)];
    const kept = prove(SECOND);
    await close(SECOND);
    const planned = await plan();
    expect([namesOf(planned), deleted]).toEqual([gone.toSorted(), []]);
    const output = await remove(planned);
    expect(output.failure).toBeNull();
    expect(output.drafts).toContainEqual({
      eventId: `unproved-snapshot/daybreak-app-${FIRST}/2026-11-20T02:40:00.000Z`,
      kind: 'unproved-snapshot.removed',
      actor: 'workflow/remove-abandoned',
      subject: FIRST,
      body: {
        snapshotId: `daybreak-app-${FIRST}`,
        purpose: 'unproved-copy',
        createdAt: '2026-11-20T02:40:00.000Z',
        reason: 'no root manifest names it',
      },
    });
    expect(output.drafts).toHaveLength(3);
    expect(left()).toEqual([kept]);
    expect(cloud.lines.find(line => '_aws' in line)).toMatchObject({
      UnprovedSnapshotsRemoved: 3,
      UnprovedSnapshotsLeft: 0,
    });
    expect(cloud.lines.filter(({ message }) => message === 'a snapshot is gone')).toHaveLength(3);
  });

  it('has nothing to do the second time', async () => {
    leaveCopy(FIRST);
    await remove(await plan());
    expect(await plan()).toEqual([]);
    expect(await remove([])).toEqual({ planned: [], drafts: [], failure: null });
  });

  it('drafts all of the plan after it was killed half-way, with the same entries, and deletes nothing else', async () => {
    const whole = [leaveIntermediate(FIRST), leaveCopy(FIRST), leaveIntermediate(SECOND)];
    const planned = await plan();
    const listing = rds.on(DescribeDBSnapshotsCommand);
    let listings = 0;
    // Killed by the answer to what it lists in the end, which it never hears.
    listing.callsFake(() => {
      listings++;
      if (listings === 2) throw new TypeError('killed');
      return { DBSnapshots: [...snapshots.values()] };
    });
    snapshots.set('mine', { DBSnapshotIdentifier: 'mine', Status: 'available' });
    rds
      .on(DeleteDBSnapshotCommand, { DBSnapshotIdentifier: whole[2] as string })
      .rejectsOnce(new InvalidDBSnapshotStateFault(metadata))
      .callsFake(({ DBSnapshotIdentifier: id }: { DBSnapshotIdentifier: string }) => {
        snapshots.delete(id);
        return {};
      });
    await expect(remove(planned)).rejects.toThrow();
    expect(left()).toEqual([whole[2], 'mine']);
    const again = await remove(planned);
    expect([again.failure, namesOf(again.drafts.map(({ body }) => body as { snapshotId: string }))]).toEqual([
      null,
      whole.toSorted(),
    ]);
    expect((await remove(planned)).drafts).toEqual(again.drafts);
    expect(left()).toEqual(['mine']);
  });

  it('removes nothing beyond its plan, nor another snapshot that came to have the name', async () => {
    leaveCopy(FIRST);
    const planned = await plan();
    const later = leaveIntermediate(SECOND);
    leaveCopy(FIRST, { SnapshotCreateTime: new Date('2026-11-20T04:00:00.000Z') });
    const output = await remove(planned);
    expect(left()).toEqual([vaultSnapshotId(FIRST, 'app'), later].sort());
    // What was planned is gone, whoever took it.
    expect(subjects(output)).toEqual([`${FIRST} ${vaultSnapshotId(FIRST, 'app')}`]);
  });

  it('keeps what came to be named, tagged or copied since it planned', async () => {
    const all = [leaveCopy(FIRST), leaveIntermediate(SECOND), leaveCopy(SECOND)];
    const planned = await plan();
    expect(planned).toHaveLength(3);
    await close(FIRST, 'DatabaseAccessDeniedError');
    leave(vaultSnapshotId(SECOND, 'app'), SECOND, 'somebody-needs-it', { Status: 'copying' });
    expect(await remove(planned)).toEqual({ planned: [], drafts: [], failure: null });
    expect(left()).toEqual(all.toSorted());
  });

  it('keeps an intermediate whose proved copy is not there', async () => {
    const only = leaveIntermediate(FIRST);
    await close(FIRST);
    expect(await plan()).toEqual([]);
    expect(cloud.lines.at(-2)).toMatchObject({
      snapshotId: only,
      reason: 'its copy does not read back as its root manifest says',
    });
  });

  it.each<[string, () => Promise<unknown>]>([
    ['is not readable as one', () => cloud.put('vault', rootManifestKey(FIRST), '{}')],
    [
      'has another signature',
      async () => {
        await close(FIRST);
        const text = (await cloud.get('vault', rootManifestKey(FIRST)))
          .toString()
          .replace('"rowCount":0', '"rowCount":1');
        await cloud.put('vault', rootManifestKey(FIRST), text);
      },
    ],
    [
      'belongs to another recovery point',
      async () => {
        await close(SECOND);
        await cloud.put('vault', rootManifestKey(FIRST), await cloud.get('vault', rootManifestKey(SECOND)));
        await cloud.remove('vault', rootManifestKey(SECOND));
      },
    ],
    [
      'is hidden by a delete marker',
      async () => {
        await close(FIRST);
        await cloud.remove('vault', rootManifestKey(FIRST));
      },
    ],
  ])('keeps everything of a root manifest that %s, names it, and removes the rest', async (what, damage) => {
    const kept = [leaveIntermediate(FIRST), leaveCopy(FIRST)];
    const other = what.includes('another recovery') ? undefined : leaveIntermediate(SECOND);
    await damage();
    const planned = await plan();
    expect(namesOf(planned)).toEqual(other === undefined ? [] : [other]);
    const { failure } = await remove(planned);
    expect(failure).toEqual({ error: 'RootManifestInvalidError', left: [rootManifestKey(FIRST)], passing: false });
    expect(left()).toEqual(kept.toSorted());
  });

  it('touches nothing that somebody else named or tagged', async () => {
    leave('before-migration', FIRST, 'unproved-copy');
    leave(`daybreak-app-${SECOND}`, FIRST, 'unproved-copy');
    leave(`daybreak-intermediate-app-${FIRST}`, FIRST, 'unproved-copy');
    leave(`daybreak-b-${FIRST}`, FIRST, 'intermediate');
    leave(`daybreak-c-${FIRST}`, '99999999t999999z', 'unproved-copy');
    snapshots.set(`daybreak-d-${FIRST}`, { DBSnapshotIdentifier: `daybreak-d-${FIRST}`, Status: 'available' });
    const before = left();
    expect(await plan()).toEqual([]);
    expect([(await remove([])).failure, left()]).toEqual([null, before]);
  });

  it('goes on where one cannot be deleted, and says whether it may pass', async () => {
    const [busy, refused, gone] = [leaveIntermediate(FIRST), leaveCopy(FIRST), leaveIntermediate(SECOND)];
    const planned = await plan();
    const throttled = new RDSServiceException({
      name: 'Throttling',
      $fault: 'client',
      $metadata: { httpStatusCode: 400 },
    });
    rds.on(DeleteDBSnapshotCommand, { DBSnapshotIdentifier: busy }).rejects(throttled);
    const first = await remove(planned);
    expect(first.failure).toEqual({ error: 'RetryableError', left: [busy], passing: true });
    expect(left()).toEqual([busy]);
    leaveCopy(FIRST);
    const denied = new RDSServiceException({
      name: 'AccessDenied',
      $fault: 'client',
      $metadata: { httpStatusCode: 403 },
    });
    rds.on(DeleteDBSnapshotCommand, { DBSnapshotIdentifier: refused }).rejects(denied);
    const second = await remove(planned);
    expect(second.failure).toEqual({ error: 'DatabaseServiceAccessDeniedError', left: [busy, refused], passing: true });
    expect(subjects(second)).toEqual([`${SECOND} ${gone}`]);
  });

  it('calls nothing removed that is still listed', async () => {
    const [accepted, going] = [leaveIntermediate(FIRST), leaveCopy(FIRST)];
    const planned = await plan();
    rds.on(DeleteDBSnapshotCommand).resolves({});
    leaveCopy(FIRST, { Status: 'deleting' });
    const { drafts, failure } = await remove(planned);
    expect([drafts, failure]).toEqual([[], { error: 'RetryableError', left: [accepted, going], passing: true }]);
  });

  it('reads no root manifest for what is beyond its plan, and each once to plan', async () => {
    await close(FIRST, 'it was not measured');
    await close(SECOND, 'it was not measured');
    for (const id of [FIRST, SECOND])
      for (const of of ['app', 'b', 'c']) leave(vaultSnapshotId(id, of), id, 'unproved-copy');
    const reads = () => cloud.requests.filter(request => /GET.*recovery-points/.test(request)).length;
    cloud.requests.length = 0;
    const planned = await plan();
    // The two that the root manifests name are kept.
    expect([planned.length, reads()]).toEqual([4, 2]);
    cloud.requests.length = 0;
    // Each that is planned is judged anew; of the first recovery point the other ones are judged by what was read then.
    await remove(planned.slice(0, 1));
    expect([deleted.length, reads()]).toEqual([1, 2]);
  });
});
