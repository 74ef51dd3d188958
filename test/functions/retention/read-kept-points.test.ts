import { afterAll, beforeAll, expect, it } from 'vitest';
import type { RecoveryPoint } from '../../../functions/contracts/recovery-point.ts';
import { ledgerEntryKey, restoreTestRecordKey, rootManifestKey } from '../../../functions/contracts/vault-layout.ts';
import { sha256Hex } from '../../../functions/platform/canonical-json.ts';
import { RetryableError } from '../../../functions/platform/errors.ts';
import { LedgerBrokenError } from '../../../functions/platform/ledger-entry.ts';
import type { DBSnapshot } from '../../../functions/platform/rds.ts';
import { planRetention } from '../../../functions/retention/plan-retention.ts';
import { readKeptPoints } from '../../../functions/retention/read-kept-points.ts';
import { tamper } from '../../../infra/local/s3/damage.ts';
import { draft, type LocalLedger, openLedger } from '../evidence/local-ledger.ts';

const GB = 1024 ** 3;
const TAKEN_AT = '2026-11-22T02:31:00.000Z';
const IDS = [
  '20261101t023000z',
  '20261102t023000z',
  '20261103t023000z',
  '20261104t023000z',
  '20261105t023000z',
] as const;
const [LOST, REPLACED, ALTERED, WHOLE, NEWEST] = IDS;
const snapshotOf = (id: string) => `daybreak-app-${id}`;
/** As RDS lists them. */
const listed = (...ids: readonly string[]): DBSnapshot[] =>
  ids.map(id => ({
    DBSnapshotIdentifier: snapshotOf(id),
    Status: 'available',
    KmsKeyId: 'key',
    OriginalSnapshotCreateTime: new Date(TAKEN_AT),
  }));

let ledger: LocalLedger;

async function addPoint(recoveryPointId: string, status: RecoveryPoint['status']): Promise<void> {
  const snapshot = {
    id: snapshotOf(recoveryPointId),
    arn: 'arn:aws:rds:eu-west-2:111122223333:snapshot:x',
    takenAt: TAKEN_AT,
    kmsKeyArn: 'key',
    engineVersion: '17.4',
    allocatedStorageBytes: 20 * GB,
  };
  const databases = [{ databaseId: 'app', snapshot, fingerprints: null, rowCount: 0, failure: null }];
  const rootManifestSha256 = await ledger.putManifest({ recoveryPointId, status, databases });
  const body = { recoveryPointId, status, rootManifestSha256 };
  await ledger.appendEntry(
    draft(`backup/${recoveryPointId}`, { kind: 'backup.completed', subject: recoveryPointId, body }),
  );
}

async function addTest(restoreTestId: string, recoveryPointId: string, verdict: string): Promise<void> {
  const record = { restoreTestId, recoveryPointId, verdict };
  const bytes = Buffer.from(JSON.stringify(record));
  await ledger.put(restoreTestRecordKey(restoreTestId), bytes);
  const body = { ...record, recordSha256: sha256Hex(bytes) };
  await ledger.appendEntry(draft(restoreTestId, { kind: 'restore-test.completed', subject: restoreTestId, body }));
}

beforeAll(async () => {
  ledger = await openLedger();
  for (const id of IDS) await addPoint(id, 'good');
  await addTest('20261109t043000z', WHOLE, 'passed');
  // Of an instant before, run again by hand: the ledger says which came last.
  await addTest('20261108t043000z', WHOLE, 'failed');
  await addTest('20261110t043000z', NEWEST, 'passed');
  await addTest('20261111t043000z', NEWEST, 'inconclusive');
  const body = { loss: `snapshot-missing/${snapshotOf(LOST)}`, reason: 'mistake', reference: 'ticket-1' };
  await ledger.appendEntry(draft('loss', { kind: 'loss.accepted', subject: LOST, body }));
  const spoil = (bytes: Buffer) => Buffer.from(bytes.toString().replace('"good"', '"evil"'));
  await tamper(ledger.s3, 'vault', rootManifestKey(ALTERED), spoil);
  const alter = (bytes: Buffer) => Buffer.from(`${bytes} `);
  for (const id of ['20261108t043000z', '20261110t043000z', '20261111t043000z']) {
    await tamper(ledger.s3, 'evidence', restoreTestRecordKey(id), alter);
  }
});
afterAll(() => ledger.s3.close());

const read = (snapshots: readonly DBSnapshot[] | null) =>
  ledger.run(() => readKeptPoints(ledger.deployment, snapshots, ledger.clock.now()));

it('doubts what is lost or is not what was recorded, and says what is not known of it', async () => {
  const { points, findings } = await read(null);
  expect(points.map(({ isDoubted, snapshotBytes }) => [isDoubted, snapshotBytes])).toEqual([
    [true, null],
    [false, 20 * GB],
    [true, null],
    [false, 20 * GB],
    [false, 20 * GB],
  ]);
  expect(points[2]).toMatchObject({ completedAt: null, tenants: null, snapshotIds: [] });
  expect(points[0]).toMatchObject({ completedAt: '2026-11-22T02:40:00.000Z', snapshotIds: [snapshotOf(LOST)] });
  expect(findings.filter(text => !text.includes('restore test'))).toEqual([
    `${LOST} is in doubt: that something of it is lost was accepted`,
    expect.stringMatching(
      new RegExp(`^the root manifest of ${ALTERED} is not what was recorded: .*it is not a root manifest`),
    ),
  ]);
});

it('doubts a snapshot that RDS does not list, or that is another one, where RDS was asked', async () => {
  const there = listed(LOST, REPLACED, ALTERED, NEWEST).map(snapshot =>
    snapshot.DBSnapshotIdentifier === snapshotOf(REPLACED) ? { ...snapshot, KmsKeyId: 'other' } : snapshot,
  );
  const { points, findings } = await read(there);
  expect(points.map(({ isDoubted, snapshotBytes }) => [isDoubted, snapshotBytes])).toEqual([
    [true, null],
    [true, null],
    [true, null],
    [true, null],
    [false, 20 * GB],
  ]);
  expect(findings).toContain(
    `${REPLACED} is in doubt: of its snapshot ${snapshotOf(REPLACED)}: it is not under the key that was signed for`,
  );
  expect(findings).toContain(`${WHOLE} is in doubt: of its snapshot ${snapshotOf(WHOLE)}: RDS does not list it`);
});

it('forgets no test whose record is not what was recorded, and orders them by the ledger', async () => {
  const found = await read(null);
  const { findings } = found;
  const tests = found.tests.toSorted((a, b) => a.sequence - b.sequence);
  expect(tests.map(({ restoreTestId, verdict, isDoubted }) => [restoreTestId, verdict, isDoubted])).toEqual([
    ['20261109t043000z', 'passed', false],
    ['20261108t043000z', 'failed', true],
    ['20261110t043000z', 'passed', true],
    ['20261111t043000z', 'inconclusive', true],
  ]);
  expect(tests.map(({ sequence }) => sequence)).toEqual([6, 7, 8, 9]);
  const reason = 'the hash of its record is not the one that the ledger recorded';
  expect(findings.filter(text => text.includes('restore test'))).toEqual([
    `the record of the restore test 20261108t043000z is not what was recorded: ${reason}; it has failed all the same`,
    `the record of the restore test 20261110t043000z is not what was recorded: ${reason}; it proves nothing`,
    `the record of the restore test 20261111t043000z is not what was recorded: ${reason}; it was inconclusive all the same`,
  ]);
});

it('lets the plan keep what the ledger calls the newest proved and good, however much is damaged', async () => {
  const { points, tests } = await read(listed());
  const rules = { maximumDays: 35, incompleteDays: 7, keep: null };
  const facts = { points, tests, holds: [], running: [], incidents: [] };
  const plan = planRetention(facts, { configured: rules, approved: rules }, new Date('2027-06-01T00:00:00.000Z'));
  expect(plan.keep.map(({ recoveryPointId, reasons }) => [recoveryPointId, reasons])).toEqual([
    [
      NEWEST,
      [
        { kind: 'doubted-newest', of: 'proved' },
        { kind: 'doubted-newest', of: 'good' },
      ],
    ],
  ]);
});

it('asks KMS a fixed number of times, however many recovery points there are', async () => {
  const before = ledger.requests.length;
  await read(null);
  const asked = ledger.requests.slice(before).filter(request => request.startsWith('kms'));
  // The public keys of root manifests, heads and entries.
  expect(asked.length).toBeLessThanOrEqual(3);
});

it('doubts a record that nobody may read, and reads the others; what may pass is thrown', async () => {
  const code = (name: string) => `<Error><Code>${name}</Code><Message>no</Message></Error>`;
  const answer = (status: number, name: string) => {
    ledger.intercept(async (request, next) =>
      request.path.endsWith(rootManifestKey(WHOLE)) || request.path.endsWith(restoreTestRecordKey('20261109t043000z'))
        ? { status, headers: {}, body: Buffer.from(code(name)) }
        : next(),
    );
  };
  answer(403, 'AccessDenied');
  const { points, tests, findings } = await read(null);
  expect(points.map(({ isDoubted }) => isDoubted)).toEqual([true, false, true, true, false]);
  expect(tests.find(({ restoreTestId }) => restoreTestId === '20261109t043000z')?.isDoubted).toBe(true);
  expect(findings.filter(text => text.includes('refused'))).toEqual([
    expect.stringMatching(/^the record of the restore test 20261109t043000z cannot be read: .*; it proves nothing$/),
    expect.stringMatching(new RegExp(`^the root manifest of ${WHOLE} cannot be read: `)),
  ]);
  answer(503, 'SlowDown');
  await expect(read(null)).rejects.toThrow(RetryableError);
  ledger.intercept((_request, next) => next());
});

it('reads nothing out of a ledger that is broken', async () => {
  const broken = await openLedger();
  await broken.appendEntry(draft('one'));
  await broken.appendEntry(draft('two'));
  await tamper(broken.s3, 'evidence', ledgerEntryKey(2), bytes => Buffer.from(`${bytes} `));
  const reading = broken.run(() => readKeptPoints(broken.deployment, null, broken.clock.now()));
  await expect(reading).rejects.toThrow(LedgerBrokenError);
  broken.s3.close();
});
