import type { DBSnapshot } from '@aws-sdk/client-rds';
import type { Deployment } from '../contracts/configuration.ts';
import { idOfInstant } from '../contracts/identifiers.ts';
import {
  CONTENT_LENGTH,
  LOSS_KINDS,
  type Loss,
  type LossKind,
  type MissedThing,
  readLossName,
} from '../contracts/losses.ts';
import {
  PULSE,
  PULSE_METRICS,
  type PulseMetric,
  type PulseValues,
  ReadBackInput,
  ReadBackOutput,
} from '../contracts/pulse.ts';
import type { RecoveryPoint } from '../contracts/recovery-point.ts';
import { SCHEDULES, scheduleName } from '../contracts/schedules.ts';
import {
  PURPOSE_TAG,
  RECOVERY_POINT_TAG,
  RESTORE_TEST_INSTANCE_PREFIX,
  RESTORE_TEST_TAG,
  SNAPSHOT_PREFIX,
} from '../contracts/vault-layout.ts';
import { recoveryPointsLost } from '../platform/accepted-losses.ts';
import { describeError } from '../platform/errors.ts';
import { readFoundWrong } from '../platform/found-wrong.ts';
import { handler as step } from '../platform/handler.ts';
import { sendHeartbeat } from '../platform/heartbeat.ts';
import { countKeys, KeyAccessDeniedError } from '../platform/kms.ts';
import { readLedgerState } from '../platform/ledger.ts';
import { LedgerBrokenError } from '../platform/ledger-entry.ts';
import type { LedgerProjection } from '../platform/ledger-projection.ts';
import { log } from '../platform/log.ts';
import { publishMetrics } from '../platform/metrics.ts';
import { listInstances, listManualSnapshots, readDatabaseQuotas, tagOf, takenAt } from '../platform/rds.ts';
import { type ListedVersion, listVersions } from '../platform/s3-listing.ts';
import { madeAt } from '../platform/scheduled-instant.ts';
import { isScheduleEnabled } from '../platform/scheduler.ts';
import { assessLedger } from './assess-ledger.ts';
import { assessQuotas, type Quota } from './assess-quotas.ts';
import { assessRegister, contactsNotConfirmed } from './assess-register.ts';
import { assessSnapshots, type ExpectedSnapshot, findUnproved, lostSnapshots } from './assess-snapshots.ts';
import { isKeptStateForged, isTimeToFoldAfresh } from './check-kept-state.ts';
import { NOTHING_WRONG, writeFoundWrong } from './found-wrong.ts';
import { nameLosses } from './name-losses.ts';
import { NOTICE_KEY } from './own-keys.ts';
import { readHeadAge } from './read-head-age.ts';
import { readKeys } from './read-keys.ts';
import {
  chooseKnown,
  chooseOlderManifests,
  chooseTested,
  chooseVaultKeys,
  findNotLocked,
  findUnprovedObjects,
} from './read-locks.ts';
import { readPolicies } from './read-policies.ts';
import { type RootManifests, readRootManifests } from './read-root-manifests.ts';
import { readShares } from './read-shares.ts';
import { readTamperWatch } from './read-tamper-watch.ts';
import { readTestRecords, type TestRecords } from './read-test-records.ts';
import { readTls } from './read-tls.ts';
import { rotateSample } from './rotate-sample.ts';
import { type AcceptedLosses, subtractAccepted } from './subtract-accepted.ts';

/** Tenants' keys that each pulse looks at. */
const KEYS_AT_ONCE = 10;
/** https://docs.aws.amazon.com/kms/latest/developerguide/resource-limits.html */
const KEYS_ALLOWED = 100_000;
/** Versions of the register's entries, of which 1,000 schools have some ten thousand in 35 days: more would fill the memory. */
const VERSIONS_LISTED = 50_000;
/** Where a bucket was emptied, its first entries tell as much as all. */
const ENTRIES_NAMED = 100;

/**
 * Folds the ledger, reads AWS back, and publishes ages and counts: so that the story cannot stay green while a snapshot is
 * gone. Each check stands alone: one that cannot be made is counted and named, and hides no other.
 */
export const handler = step({
  input: ReadBackInput,
  output: ReadBackOutput,
  run: async (_input, { now, configuration, deployment }) => {
    const values: PulseValues = {};
    const failedChecks: string[] = [];
    const check = async (name: string, read: () => Promise<PulseValues>) => {
      try {
        Object.assign(values, await read());
      } catch (error) {
        failedChecks.push(name);
        log('error', 'a check could not be made', { check: name, error: describeError(error) });
      }
    };

    const isAfresh = isTimeToFoldAfresh(now);
    const ledger = readLedgerState(deployment);
    // Where the ledger cannot be read nothing is accepted, and everything sounds.
    const accepted = ledger.then(
      ({ acceptedLosses }) => acceptedLosses,
      (): AcceptedLosses => ({}),
    );
    const before = readFoundWrong(deployment.workBucket);
    // What cannot be read now is not forgotten by that: till it can, what is accepted is what was known.
    const remembered = await before.catch(async () => ({ ...NOTHING_WRONG, explained: Object.keys(await accepted) }));
    const {
      tenants: tenantsBefore,
      vaultKeys: vaultKeysBefore,
      sharedSnapshots: sharedBefore,
      lost: lostBefore,
      explained: explainedBefore,
    } = remembered ?? NOTHING_WRONG;
    let [wrongTenants, wrongVaultKeys] = [tenantsBefore, vaultKeysBefore];
    let sharedSnapshots = sharedBefore;
    let { ledgerState: isStateWrong, policiesBehind } = remembered ?? NOTHING_WRONG;
    const namesBefore = [...lostBefore, ...explainedBefore];
    const lossesBefore = namesBefore.map(name => ({ name, loss: readLossName(name) }));
    // Each runtime remembers for itself what was right: what another one missed is read again.
    const wasRead = (await before.catch(() => undefined)) !== undefined;
    const doubted = (part: 'recoveryPointId' | 'restoreTestId') =>
      wasRead
        ? new Set(
            lossesBefore.flatMap(({ loss }) => {
              const said: Readonly<Partial<Record<string, string>>> = loss;
              return loss.kind === 'object-gone' || said[part] === undefined ? [] : [said[part]];
            }),
          )
        : 'all';
    const manifests = ledger.then(state => readRootManifests(state, deployment, doubted('recoveryPointId'), now));
    const records = ledger.then(state => readTestRecords(state, deployment, doubted('restoreTestId'), now));
    // What depends on them says so below; what does not goes on without them.
    const newest = manifests.then(
      found => found.newest,
      () => undefined,
    );
    // Only the newest of all tells whose keys are nobody's any more.
    const stillNamed = async (tenants: readonly string[]) => {
      const { newest: point, isNewestRead } = await manifests.catch(() => ({ newest: undefined, isNewestRead: false }));
      const named = tenantsOf(point);
      return isNewestRead && named.length > 0 ? tenants.filter(tenant => named.includes(tenant)) : tenants;
    };
    const names: string[] = [];
    const notLookedFor = new Set(Object.keys(LOSS_KINDS) as LossKind[]);
    // Of these nothing was asked at all; of the others each one is carried on that was not asked for.
    const unasked = new Set(notLookedFor);
    const lose: Lose = async (kinds, { isWhole, isLookedFor }, missed) => {
      const moment = { since: idOfInstant(now.toISOString()), newestId: (await newest)?.recoveryPointId };
      const found = nameLosses(missed, namesBefore, moment);
      const named = found.filter(name => name !== undefined);
      const carried = lossesBefore.filter(({ loss }) => kinds.includes(loss.kind) && !isLookedFor(loss));
      const all = [...named, ...carried.map(({ name }) => name)];
      names.push(...all);
      for (const kind of kinds) unasked.delete(kind);
      if (isWhole) for (const kind of kinds) notLookedFor.delete(kind);
      const { standing } = subtractAccepted(all, await accepted);
      return { found, countOfStanding: standing.length + (found.length - named.length) };
    };
    const points = manifests.then(async found => missManifests(found, await accepted, lose));
    const listed = points.then(listSnapshots);
    let areNoticesStopped = false;

    await Promise.all([
      check('ledger', async () => {
        try {
          const state = await ledger;
          const [points, tests] = await Promise.all([manifests, records]);
          const unproved = {
            recoveryPoints: new Set([
              ...[...points.altered, ...points.unread].map(one => one.recoveryPointId),
              ...recoveryPointsLost(state),
            ]),
            restoreTests: new Set([...tests.altered, ...tests.unread].map(one => one.restoreTestId)),
          };
          const unread = new Set(tests.unread.map(({ restoreTestId }) => restoreTestId));
          const { countOfStanding: brokenTests } = await lose(
            ['test-record-gone', 'test-record-altered'],
            {
              isWhole: tests.unread.length === 0,
              isLookedFor: loss => !('restoreTestId' in loss && unread.has(loss.restoreTestId)),
            },
            tests.altered.map(
              (test): MissedThing =>
                test.how === 'gone'
                  ? { kind: 'test-record-gone', restoreTestId: test.restoreTestId }
                  : { kind: 'test-record-altered', restoreTestId: test.restoreTestId, content: contentOf(test) },
            ),
          );
          return { LedgerBroken: brokenTests > 0 ? 1 : 0, ...assessLedger(state, unproved, now) };
        } catch (error) {
          if (!(error instanceof LedgerBrokenError)) throw error;
          log('error', 'the ledger is broken', { error: describeError(error) });
          return { LedgerBroken: 1 };
        }
      }),
      check('ledger-state', async () => {
        const isForged = await isKeptStateForged(deployment, isAfresh || isStateWrong);
        isStateWrong = isForged;
        return { LedgerStateForged: isForged ? 1 : 0 };
      }),
      check('ledger-head', async () => {
        const age = await readHeadAge(await ledger, deployment, now);
        return age === undefined ? {} : { LedgerHeadAge: age };
      }),
      check('root-manifests', async () => reportManifests(await points)),
      check('test-records', async () => reportRecords(await records)),
      check('snapshots', async () => readSnapshots(await listed, now, lose)),
      check('shares', async () => {
        const { there } = await listed;
        const { shared, unread } = await readShares(there, sharedBefore, (await newest)?.recoveryPointId, now);
        // Which one gave no answer is not asked: none that was shared is forgotten then.
        sharedSnapshots = unread.length === 0 ? [...shared] : [...new Set([...shared, ...sharedBefore])];
        const [first] = unread;
        if (first !== undefined) throw first.error;
        return { SnapshotsShared: shared.length };
      }),
      check('keys', async () => {
        const tenants = tenantsOf(await newest);
        const asked = new Set([...(await stillNamed(wrongTenants)), ...rotateSample(tenants, KEYS_AT_ONCE, now)]);
        const { problems, errors } = await readKeys(asked, deployment);
        const wrong = problems.flatMap(({ of }) => ('tenant' in of ? [of.tenant] : []));
        // Which one gave no answer is not asked: none that was wrong is forgotten then.
        wrongTenants = errors.length === 0 ? wrong : [...new Set([...wrong, ...wrongTenants])];
        areNoticesStopped ||= problems.some(({ of }) => 'own' in of && of.own === NOTICE_KEY);
        for (const { key, reason } of problems) log('error', 'a key is not as it should be', { key, reason });
        if (errors.length > 0) throw errors[0];
        return { KeysUnusable: problems.length };
      }),
      check('policies', async () => {
        const { own, tenants, unread } = await readPolicies(
          tenantsOf(await newest),
          await stillNamed(policiesBehind),
          deployment,
          now,
        );
        policiesBehind = unread.length === 0 ? [...tenants] : [...new Set([...tenants, ...policiesBehind])];
        const isRefused = ({ name, error }: (typeof unread)[number]) =>
          name === NOTICE_KEY && error instanceof KeyAccessDeniedError;
        areNoticesStopped ||= own.includes(NOTICE_KEY) || unread.some(isRefused);
        const [first] = unread;
        if (first !== undefined) throw first.error;
        return { PoliciesBehind: own.length + tenants.length };
      }),
      check('locks', async () => {
        const point = await newest;
        const chosen = point === undefined ? [] : await chooseVaultKeys(deployment.vaultBucket, point, now);
        const state = await ledger;
        const pointCount = Object.keys(state.recoveryPoints).length;
        const { knowing, inTurn, isNewestRead } = await manifests;
        const tested = chooseTested(await records);
        const older = chooseOlderManifests(inTurn, pointCount, now);
        const missedBefore = lossesBefore.flatMap(({ loss }) => ('key' in loss ? [loss.key] : []));
        // What was missed before is not known, or not all of it: whoever knew some of it is asked.
        const isUnsure = !wasRead || remembered?.notLookedFor.includes('object-gone') === true;
        const wasTold = Object.values(state.recoveryPoints).filter(one => (one.objectLosses?.knownAt ?? null) !== null);
        const hasPassedSince = Object.values(state.restoreTests).some(
          ({ verdict, sequence }) => verdict === 'passed' && wasTold.every(told => told.sequence < sequence),
        );
        const unknown = { accepted: wasRead ? {} : await accepted, isKnown: wasTold.length === 0 || hasPassedSince };
        const known = isUnsure ? chooseKnown(point, knowing, unknown) : { keys: [], isWhole: true };
        const sampled = new Set([...wrongVaultKeys, ...missedBefore, ...chosen]);
        const asked = sampled.union(new Set([...tested.keys, ...older, ...known.keys]));
        const { gone: absentNow, notLocked: unlocked } = await findNotLocked(deployment.vaultBucket, [...asked], now);
        const isObject = (loss: Loss) => loss.kind === 'object-gone' && loss.key.includes('/objects/');
        const taken = lossesBefore.flatMap(({ loss }) =>
          isObject(loss) && 'key' in loss && !absentNow.includes(loss.key) ? [loss] : [],
        );
        const gone = [...absentNow, ...(await findUnprovedObjects(deployment.vaultBucket, taken, knowing))];
        // What only an older recovery point names may have no lock any more.
        const notLocked = unlocked.filter(key => sampled.has(key));
        const isWhole = (isNewestRead || pointCount === 0) && tested.isWhole && (known.isWhole || unknown.isKnown);
        const { found, countOfStanding } = await lose(
          ['object-gone'],
          { isWhole, isLookedFor: loss => 'key' in loss && asked.has(loss.key) },
          gone.map(key => ({ kind: 'object-gone', key })),
        );
        const all = await accepted;
        const standing = gone.filter((_key, index) => !Object.hasOwn(all, found[index] ?? ''));
        // What has a name is remembered by it.
        wrongVaultKeys = [...gone.filter((_key, index) => found[index] === undefined), ...notLocked];
        for (const key of [...standing, ...notLocked]) log('error', 'a vault object is gone or not locked', { key });
        return { ObjectsNotLocked: countOfStanding + notLocked.length };
      }),
      check('register', async () => readRegister(await ledger, deployment, now)),
      check('tls', () => readTls(configuration)),
      check('schedules', readSchedules),
      check('tamper-watch', () => readTamperWatch(deployment)),
      check('restored-instances', () => readRestoredInstances(now)),
      check('quotas', readQuotas),
    ]);
    const all = await accepted;
    const carried = namesBefore.filter(name => unasked.has(readLossName(name).kind));
    const { standing, explained } = subtractAccepted([...names, ...carried], all);
    for (const loss of explained) log('info', 'a loss is accepted', { loss, ...all[loss] });
    await check('found-wrong', async () => {
      await before;
      await writeFoundWrong(deployment.workBucket, {
        tenants: wrongTenants,
        vaultKeys: wrongVaultKeys,
        ledgerState: isStateWrong,
        policiesBehind,
        sharedSnapshots,
        lost: standing.toSorted(),
        explained: explained.toSorted(),
        acceptances: Object.keys(all).toSorted(),
        lookedAt: now.toISOString(),
        notLookedFor: [...notLookedFor],
      });
      return {};
    });
    // Last, and whatever was found: what it tells is that pulse runs. Alarms tell the rest, as long as they can.
    await check('heartbeat', async () => {
      if (areNoticesStopped) log('error', 'no heartbeat is sent, because alarms may reach nobody', { key: NOTICE_KEY });
      else await sendHeartbeat();
      return {};
    });

    publish({ ...values, PulseChecksFailed: failedChecks.length, PulseCompleted: 1 });
    return { failedChecks };
  },
});

function tenantsOf(newest: RecoveryPoint | undefined): string[] {
  const known = newest?.tenants.flatMap(({ tenant }) => (tenant === null ? [] : [tenant])) ?? [];
  return [...new Set(known)].sort();
}

/** How far some kinds of loss were looked for. */
interface Look {
  /** All that there may be of them was. */
  readonly isWhole: boolean;
  /** Whether one that was missed before was: if not, it is lost still. */
  readonly isLookedFor: (loss: Loss) => boolean;
}

/**
 * Takes note of what is missed of some kinds, and of what was missed before and nobody could look for. @returns the name of
 * each thing that is missed now, and how many nobody accepted, of both.
 */
type Lose = (
  kinds: readonly LossKind[],
  look: Look,
  missed: readonly MissedThing[],
) => Promise<{ readonly found: readonly (string | undefined)[]; readonly countOfStanding: number }>;

function contentOf({ contentSha256 }: { contentSha256: string | null }): string {
  return contentSha256?.slice(0, CONTENT_LENGTH) ?? 'unnamed';
}

/** The root manifests, and what nobody accepted of their losses. */
interface MissedManifests extends RootManifests {
  readonly countOfStanding: number;
  /** Recovery points of which nobody knows now which snapshots they named. */
  readonly unknown: ReadonlySet<string>;
}

async function missManifests(manifests: RootManifests, accepted: AcceptedLosses, lose: Lose): Promise<MissedManifests> {
  const { altered, unread } = manifests;
  for (const { recoveryPointId, reason } of altered) {
    log('error', 'a root manifest is not what was recorded', { recoveryPointId, reason });
  }
  const notRead = new Set(unread.map(({ recoveryPointId }) => recoveryPointId));
  const { found, countOfStanding } = await lose(
    ['root-manifest-gone', 'root-manifest-altered'],
    {
      isWhole: unread.length === 0,
      isLookedFor: loss => !('recoveryPointId' in loss && notRead.has(loss.recoveryPointId)),
    },
    altered.map(
      (point): MissedThing =>
        point.how === 'gone'
          ? { kind: 'root-manifest-gone', recoveryPointId: point.recoveryPointId }
          : { kind: 'root-manifest-altered', recoveryPointId: point.recoveryPointId, content: contentOf(point) },
    ),
  );
  const standing = altered.filter((_point, index) => !Object.hasOwn(accepted, found[index] ?? ''));
  const unknown = new Set([...standing.map(({ recoveryPointId }) => recoveryPointId), ...notRead]);
  return { ...manifests, countOfStanding, unknown };
}

function reportManifests({ unread, countOfStanding }: MissedManifests): PulseValues {
  const [first] = unread;
  if (first !== undefined) throw first.error;
  return { RootManifestsAltered: countOfStanding };
}

function reportRecords({ altered, unread }: TestRecords): PulseValues {
  for (const { restoreTestId, reason } of altered) {
    log('error', 'a restore test is not what the ledger says', { restoreTestId, reason });
  }
  const [first] = unread;
  if (first !== undefined) throw first.error;
  return {};
}

/** The account's snapshots, and what root manifests say of them. */
interface ListedSnapshots {
  readonly listed: ReadonlyMap<string, DBSnapshot>;
  readonly expected: readonly ExpectedSnapshot[];
  /** Those that a recovery point named, and that are there. */
  readonly there: readonly string[];
  /** Whether a recovery point may have named it whose manifest is not as recorded. */
  readonly isOfThose: (id: string) => boolean;
  /** Whether it is known of every recovery point which ones it named. */
  readonly isWhole: boolean;
}

async function listSnapshots({
  snapshots,
  remembered,
  altered,
  unread,
  unknown,
}: MissedManifests): Promise<ListedSnapshots> {
  const listed = new Map(
    (await listManualSnapshots()).map(snapshot => [snapshot.DBSnapshotIdentifier ?? '', snapshot]),
  );
  const expected = [...snapshots, ...remembered.filter(({ recoveryPointId }) => unknown.has(recoveryPointId))];
  const named = new Set(expected.map(({ id }) => id));
  const ends = [...altered, ...unread].map(({ recoveryPointId }) => `-${recoveryPointId}`);
  const isOfThose = (id: string) => ends.some(end => id.endsWith(end));
  // What one of those named is nobody else's to restore either.
  const there = [...listed.keys()].filter(id => named.has(id) || (id.startsWith(SNAPSHOT_PREFIX) && isOfThose(id)));
  return { listed, expected, there, isOfThose, isWhole: unknown.size === 0 };
}

/**
 * Compares snapshots with the root manifests. Which ones a recovery point named whose manifest is not as recorded nobody
 * knows for certain: until that loss is accepted, not all was looked for, and no snapshot is called unproved.
 */
async function readSnapshots(
  { listed, expected, isOfThose, isWhole }: ListedSnapshots,
  now: Date,
  lose: Lose,
): Promise<PulseValues> {
  const problems = assessSnapshots(
    expected,
    [...listed].map(([id, snapshot]) => ({
      id,
      status: snapshot.Status,
      kmsKeyArn: snapshot.KmsKeyId,
      takenAt: takenAt(snapshot),
    })),
  );
  for (const { snapshotId, problem, reason } of problems) {
    log('error', 'a snapshot is not as it should be', { snapshotId, problem, reason });
  }
  const unproved = findUnproved(
    expected,
    [...listed].map(([id, snapshot]) => ({
      id,
      createdAt: snapshot.SnapshotCreateTime,
      purpose: tagOf(snapshot, PURPOSE_TAG),
      recoveryPointId: tagOf(snapshot, RECOVERY_POINT_TAG),
    })),
    now,
  );
  for (const { snapshotId, ageMs } of unproved) {
    log('info', 'no recovery point names a snapshot', { snapshotId, ageMs });
  }
  const lost = lostSnapshots(problems);
  const isLookedFor = (loss: Loss) => !('snapshotId' in loss && isOfThose(loss.snapshotId));
  const count = async (...kinds: readonly LossKind[]) => {
    const missed = lost.filter(({ kind }) => kinds.includes(kind));
    return (await lose(kinds, { isWhole, isLookedFor }, missed)).countOfStanding;
  };
  return {
    ...(isWhole && { OldestUnprovedSnapshotAge: Math.max(0, ...unproved.map(({ ageMs }) => ageMs)) }),
    SnapshotsMissing: await count('snapshot-missing'),
    SnapshotsAltered: await count('snapshot-replaced', 'snapshot-unavailable'),
  };
}

/** The bucket is listed after the ledger was read: what is recorded meanwhile lies there since a moment ago. */
async function readRegister(
  { register }: LedgerProjection,
  { registerBucket }: Deployment,
  now: Date,
): Promise<PulseValues> {
  const versions: ListedVersion[] = [];
  for await (const version of listVersions(registerBucket, '')) {
    if (versions.length === VERSIONS_LISTED) {
      log('error', 'the register has more versions than anybody writes: it was not compared', {
        listed: VERSIONS_LISTED,
      });
      return { RegisterEntriesAltered: 1, ContactsNotConfirmed: contactsNotConfirmed(register, now).length };
    }
    versions.push(version);
  }
  const problems = assessRegister(register, versions, now);
  for (const { entry, problem } of problems.slice(0, ENTRIES_NAMED)) {
    log('error', 'an entry of the register does not lie as it was recorded', { entry, problem });
  }
  return {
    RegisterEntriesAltered: problems.length,
    ContactsNotConfirmed: contactsNotConfirmed(register, now).length,
  };
}

async function readSchedules(): Promise<PulseValues> {
  const names = SCHEDULES.map(scheduleName);
  const enabled = await Promise.all(names.map(isScheduleEnabled));
  const stopped = names.filter((_name, index) => enabled[index] !== true);
  for (const schedule of stopped) log('error', 'a schedule is gone or not enabled', { schedule });
  return { SchedulesStopped: stopped.length };
}

async function readRestoredInstances(now: Date): Promise<PulseValues> {
  const instances = await listInstances(RESTORE_TEST_INSTANCE_PREFIX);
  const ages = instances.map(instance => {
    const since = madeAt(instance.InstanceCreateTime, tagOf(instance, RESTORE_TEST_TAG)) ?? now;
    return now.getTime() - since.getTime();
  });
  return { OldestRestoredInstanceAge: Math.max(0, ...ages) };
}

async function readQuotas(): Promise<PulseValues> {
  const [quotas, keys] = await Promise.all([readDatabaseQuotas(), countKeys()]);
  const named = (name: string): Quota => {
    const quota = quotas.get(name);
    if (quota === undefined) throw new TypeError(`RDS names no quota ${name}`);
    return quota;
  };
  return assessQuotas({
    snapshots: named('ManualSnapshots'),
    instances: named('DBInstances'),
    keys: { used: keys, maximum: KEYS_ALLOWED },
  });
}

function publish(values: PulseValues): void {
  const metrics = Object.entries(values) as [PulseMetric, number][];
  publishMetrics(
    { Workflow: PULSE },
    Object.fromEntries(metrics.map(([name, value]) => [name, { unit: PULSE_METRICS[name], value }])),
  );
}
