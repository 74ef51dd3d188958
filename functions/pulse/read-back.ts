import type { Deployment } from '../contracts/configuration.ts';
import { type LossKind, lossName } from '../contracts/decisions.ts';
import {
  type FoundWrong,
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
  tenantKeyAlias,
} from '../contracts/vault-layout.ts';
import { recoveryPointsLost } from '../platform/accepted-losses.ts';
import { describeError } from '../platform/errors.ts';
import { handler as step } from '../platform/handler.ts';
import { sendHeartbeat } from '../platform/heartbeat.ts';
import { countKeys, findKey } from '../platform/kms.ts';
import { readLedgerState } from '../platform/ledger.ts';
import { LedgerBrokenError } from '../platform/ledger-entry.ts';
import { log } from '../platform/log.ts';
import { publishMetrics } from '../platform/metrics.ts';
import {
  listInstances,
  listManualSnapshots,
  listSnapshotShares,
  readDatabaseQuotas,
  tagOf,
  takenAt,
} from '../platform/rds.ts';
import { madeAt } from '../platform/scheduled-instant.ts';
import { isScheduleEnabled } from '../platform/scheduler.ts';
import { assessLedger } from './assess-ledger.ts';
import { assessQuotas, type Quota } from './assess-quotas.ts';
import { assessSnapshots, findUnproved, snapshotsWith } from './assess-snapshots.ts';
import { isKeptStateForged, isTimeToFoldAfresh } from './check-kept-state.ts';
import { NOTHING_WRONG, readFoundWrong, writeFoundWrong } from './found-wrong.ts';
import { nameGoneObjects } from './name-gone-objects.ts';
import { readHeadAge } from './read-head-age.ts';
import { chooseVaultKeys, findNotLocked } from './read-locks.ts';
import { readPolicies } from './read-policies.ts';
import { type RootManifests, readRootManifests } from './read-root-manifests.ts';
import { readTamperWatch } from './read-tamper-watch.ts';
import { readTestRecords, type TestRecords } from './read-test-records.ts';
import { readTls } from './read-tls.ts';
import { rotateSample } from './rotate-sample.ts';
import { type AcceptedLosses, subtractAccepted } from './subtract-accepted.ts';

/** Tenants' keys that each pulse looks at. */
const KEYS_AT_ONCE = 10;
/** https://docs.aws.amazon.com/kms/latest/developerguide/resource-limits.html */
const KEYS_ALLOWED = 100_000;
const SHARES_READ_AT_ONCE = 8;

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
    const manifests = ledger.then(state => readRootManifests(state, deployment, now));
    const records = ledger.then(state => readTestRecords(state, deployment, now));
    // What depends on them says so below; what does not goes on without them.
    const newest = manifests.then(
      found => found.newest,
      () => undefined,
    );
    // Where the ledger cannot be read nothing is accepted, and everything sounds.
    const accepted = ledger.then(
      ({ acceptedLosses }) => acceptedLosses,
      (): AcceptedLosses => ({}),
    );
    const lost: string[] = [];
    const lose = async (kind: LossKind, ids: readonly string[]) => {
      const all = await accepted;
      const losses = subtractAccepted(kind, ids, all);
      lost.push(...losses.standing);
      for (const loss of losses.accepted) log('info', 'a loss is accepted', { loss, ...all[loss] });
      return losses.standing.length;
    };
    const before = readFoundWrong(deployment.workBucket);
    const remembered = before.catch(() => undefined);
    let {
      tenants: wrongTenants,
      vaultKeys: wrongVaultKeys,
      ledgerState: isStateWrong,
      policiesBehind,
      lost: lostBefore,
    } = (await remembered) ?? NOTHING_WRONG;

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
          const brokenTests = await lose(
            'test-record-altered',
            tests.altered.map(({ restoreTestId }) => restoreTestId),
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
      check('root-manifests', async () => reportManifests(await manifests, lose)),
      check('test-records', async () => reportRecords(await records)),
      check('snapshots', async () => readSnapshots(await manifests, now, lose)),
      check('keys', async () => {
        const tenants = tenantsOf(await newest);
        const asked = new Set([
          ...wrongTenants.filter(tenant => tenants.length === 0 || tenants.includes(tenant)),
          ...rotateSample(tenants, KEYS_AT_ONCE, now),
        ]);
        const own = await findUnusable([
          deployment.vaultKeyArn,
          deployment.signingKeyArn,
          deployment.ledgerKeyArn,
          deployment.entryKeyArn,
          deployment.tenantIdKeyArn,
        ]);
        const aliases = await findUnusable([...asked].map(tenantKeyAlias));
        wrongTenants = [...asked].filter(tenant => aliases.includes(tenantKeyAlias(tenant)));
        for (const key of [...own, ...aliases]) log('error', 'a key is gone or not enabled', { key });
        return { KeysUnusable: own.length + aliases.length };
      }),
      check('policies', async () => {
        const behind = await readPolicies(tenantsOf(await newest), policiesBehind, deployment, now);
        policiesBehind = [...behind.tenants];
        return { PoliciesBehind: behind.count };
      }),
      check('locks', async () => {
        const point = await newest;
        const chosen = point === undefined ? [] : await chooseVaultKeys(deployment.vaultBucket, point, now);
        const asked = [...new Set([...wrongVaultKeys, ...chosen])];
        const { gone, notLocked } = await findNotLocked(deployment.vaultBucket, asked, now);
        const all = await accepted;
        const ids = nameGoneObjects(gone, lostBefore, point?.recoveryPointId);
        const isAccepted = (key: string) => Object.hasOwn(all, lossName('object-gone', ids.get(key) ?? ''));
        // What is accepted has to leave room for what is not.
        wrongVaultKeys = [...gone.filter(key => !isAccepted(key)), ...notLocked];
        for (const key of wrongVaultKeys) log('error', 'a vault object is gone or not locked', { key });
        const named = await lose('object-gone', [...ids.values()]);
        return { ObjectsNotLocked: named + (gone.length - ids.size) + notLocked.length };
      }),
      check('tls', () => readTls(configuration)),
      check('schedules', readSchedules),
      check('tamper-watch', () => readTamperWatch(deployment)),
      check('restored-instances', () => readRestoredInstances(now)),
      check('quotas', readQuotas),
    ]);
    await check('found-wrong', async () => {
      await remember(
        await before,
        {
          tenants: wrongTenants,
          vaultKeys: wrongVaultKeys,
          ledgerState: isStateWrong,
          policiesBehind,
          lost: lost.toSorted(),
          lostAt: lost.length === 0 ? null : now.toISOString(),
        },
        deployment,
      );
      return {};
    });
    // Last, and whatever was found: what it tells is that pulse runs. Alarms tell the rest.
    await check('heartbeat', async () => {
      await sendHeartbeat();
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

/** Takes note of what is lost. @returns how much of it nobody accepted. */
type Lose = (kind: LossKind, ids: readonly string[]) => Promise<number>;

async function reportManifests({ altered, unread }: RootManifests, lose: Lose): Promise<PulseValues> {
  for (const { recoveryPointId, reason } of altered) {
    log('error', 'a root manifest is not what was recorded', { recoveryPointId, reason });
  }
  const count = await lose(
    'root-manifest-altered',
    altered.map(({ recoveryPointId }) => recoveryPointId),
  );
  const [first] = unread;
  if (first !== undefined) throw first.error;
  return { RootManifestsAltered: count };
}

function reportRecords({ altered, unread }: TestRecords): PulseValues {
  for (const { restoreTestId, reason } of altered) {
    log('error', 'a restore test is not what the ledger says', { restoreTestId, reason });
  }
  const [first] = unread;
  if (first !== undefined) throw first.error;
  return {};
}

async function readSnapshots(
  { snapshots: expected, unread }: RootManifests,
  now: Date,
  lose: Lose,
): Promise<PulseValues> {
  const listed = new Map(
    (await listManualSnapshots()).map(snapshot => [snapshot.DBSnapshotIdentifier ?? '', snapshot]),
  );
  const there = expected.filter(({ id }) => listed.has(id));
  const shares = new Map<string, string[]>();
  for (let from = 0; from < there.length; from += SHARES_READ_AT_ONCE) {
    const part = there.slice(from, from + SHARES_READ_AT_ONCE);
    await Promise.all(part.map(async ({ id }) => shares.set(id, await listSnapshotShares(id))));
  }
  const problems = assessSnapshots(
    expected,
    [...listed].map(([id, snapshot]) => ({
      id,
      status: snapshot.Status,
      kmsKeyArn: snapshot.KmsKeyId,
      takenAt: takenAt(snapshot),
      sharedWith: shares.get(id) ?? [],
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
  return {
    // What a root manifest names that could not be read is not left behind.
    ...(unread.length === 0 && { OldestUnprovedSnapshotAge: Math.max(0, ...unproved.map(({ ageMs }) => ageMs)) }),
    SnapshotsMissing: await lose('snapshot-missing', snapshotsWith(problems, 'missing')),
    SnapshotsAltered: await lose('snapshot-altered', snapshotsWith(problems, 'altered')),
    SnapshotsShared: snapshotsWith(problems, 'shared').length,
  };
}

async function findUnusable(keys: readonly string[]): Promise<string[]> {
  const found = await Promise.all(keys.map(key => findKey(key)));
  return keys.filter((_key, index) => found[index]?.enabled !== true);
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

async function remember(before: FoundWrong | undefined, after: FoundWrong, { workBucket }: Deployment): Promise<void> {
  if (JSON.stringify(before) !== JSON.stringify(after)) await writeFoundWrong(workBucket, after);
}

function publish(values: PulseValues): void {
  const metrics = Object.entries(values) as [PulseMetric, number][];
  publishMetrics(
    { Workflow: PULSE },
    Object.fromEntries(metrics.map(([name, value]) => [name, { unit: PULSE_METRICS[name], value }])),
  );
}
