import { RESTORE_TEST_INSTANCE_PREFIX } from '../../functions/contracts/vault-layout.ts';
import { functionsAtOnce } from '../workflows/functions-at-once.ts';
import { RESTORE_TEST } from '../workflows/hours.ts';
import type { SupplierConfiguration } from './configuration.ts';
import { DAYS_UNTIL_PROVED_AGAIN, findRetentionConflicts } from './find-retention-conflicts.ts';

type Path = readonly (string | number)[];

/** Something in a configuration that cannot be deployed as it stands. */
export interface Conflict {
  /** Where: the lines that contradict each other. */
  readonly paths: readonly [Path, ...Path[]];
  readonly message: string;
}

/** Above this share of a quota an alarm sounds, and a configuration that needs more is refused. */
export const QUOTA_USE_LIMIT_PERCENT = 85;

const HOUR_MS = 60 * 60 * 1000;
const MINUTES_PER_DAY = 24 * 60;
/** A backup that takes longer is late: the alarm for a good recovery point sounds 26 hours after the last one. */
const BACKUP_WINDOW_MINUTES = 120;

/** What is wrong between parts of a configuration that are right by themselves. */
export function findConflicts(configuration: SupplierConfiguration): Conflict[] {
  return [
    ...conflictsOfNames(configuration),
    ...conflictsOfAcceptances(configuration),
    ...conflictsOfNetwork(configuration),
    ...conflictsOfAccount(configuration),
    ...conflictsOfKeys(configuration),
    ...conflictsOfRetention(configuration),
    ...conflictsOfConcurrency(configuration),
    ...findRetentionConflicts(configuration),
    ...conflictsOfTimes(configuration),
    ...conflictsOfLocks(configuration),
  ];
}

function conflictsOfNames({ account, databases, buckets }: SupplierConfiguration): Conflict[] {
  return [
    ...twice(databases, ['databases'], 'id', 'another database has this id; ids stand in the names of snapshots'),
    ...databases.flatMap((database, index) => {
      const first = databases.findIndex(
        other => other.instanceId === database.instanceId && other.databaseName === database.databaseName,
      );
      return first < index
        ? conflict(
            'another entry backs this database of this instance up',
            ['databases', index, 'databaseName'],
            ['databases', first, 'databaseName'],
          )
        : [];
    }),
    ...conflictsOfInstances(databases),
    ...twice(buckets, ['buckets'], 'id', 'another bucket has this id; ids stand in the names of manifests'),
    ...twice(
      buckets,
      ['buckets'],
      'name',
      'another entry names this bucket: what lies under no tenant, and what both prefixes reach, would be backed up twice',
    ),
    ...databases.flatMap(({ instanceId }, index) =>
      instanceId.startsWith(RESTORE_TEST_INSTANCE_PREFIX)
        ? conflict("is named like one of Daybreak's restored databases, which are deleted after their test", [
            'databases',
            index,
            'instanceId',
          ])
        : [],
    ),
    ...buckets.flatMap(({ name }, index) =>
      name.startsWith('daybreak-') && name.endsWith(`-${account}-eu-west-2`)
        ? conflict(
            "is one of Daybreak's own buckets, which cannot be backed up into itself",
            ['buckets', index, 'name'],
            ['account'],
          )
        : [],
    ),
  ];
}

function conflictsOfAcceptances({ accepted, databases }: SupplierConfiguration): Conflict[] {
  return [
    ...twice(accepted, ['accepted'], 'what', 'this gap is accepted twice; give one reason'),
    ...accepted.flatMap(({ what }, index) =>
      databases.some(({ id }) => what.startsWith(`${id}/`))
        ? []
        : conflict('must begin with the id of one of the databases, as a restore test prints the name of a gap', [
            'accepted',
            index,
            'what',
          ]),
    ),
  ];
}

/** What entries of one instance must say alike, and entries of two instances differently. */
function conflictsOfInstances(databases: SupplierConfiguration['databases']): Conflict[] {
  return databases.flatMap((database, index) => {
    const first = databases.findIndex(({ instanceId }) => instanceId === database.instanceId);
    const namesake = databases.findIndex(({ resourceId }) => resourceId === database.resourceId);
    const differing = (['resourceId', 'port', 'kmsKeyArn', 'securityGroupId'] as const).filter(
      name => database[name] !== databases[first]?.[name],
    );
    return [
      ...differing.flatMap(name =>
        conflict(
          'another entry of this instance says otherwise; an instance has one of it',
          ['databases', index, name],
          ['databases', first, name],
        ),
      ),
      ...(databases[namesake]?.instanceId === database.instanceId
        ? []
        : conflict(
            'an entry of another instance has this resource id; every instance has one of its own, and the reader is let into that one alone',
            ['databases', index, 'resourceId'],
            ['databases', namesake, 'resourceId'],
          )),
    ];
  });
}

function conflictsOfNetwork({ network: { isolatedSubnets } }: SupplierConfiguration): Conflict[] {
  const path = ['network', 'isolatedSubnets'];
  return [
    ...twice(isolatedSubnets, path, 'subnetId', 'this subnet is named twice'),
    ...(new Set(isolatedSubnets.map(({ availabilityZone }) => availabilityZone)).size < 2
      ? conflict(
          'must span two Availability Zones at least, as a DB subnet group demands',
          [...path, 0, 'availabilityZone'],
          [...path, 1, 'availabilityZone'],
        )
      : []),
    ...isolatedSubnets.flatMap(({ availabilityZone }, index) =>
      /^eu-west-2[a-z]$/.test(availabilityZone)
        ? []
        : conflict('must be one of eu-west-2, e.g. eu-west-2a', [...path, index, 'availabilityZone'], ['region']),
    ),
  ];
}

function conflictsOfAccount(configuration: SupplierConfiguration): Conflict[] {
  const { account, permissionsBoundaryArn, operatorRoleArns, existing } = configuration;
  const isElsewhere = (arn: string | undefined) => arn !== undefined && arn.split(':')[4] !== account;
  return [
    // https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html
    ...(permissionsBoundaryArn !== undefined && isElsewhere(permissionsBoundaryArn)
      ? conflict(
          'is a policy of another account; a boundary must be of the account whose roles it bounds',
          ['permissionsBoundaryArn'],
          ['account'],
        )
      : []),
    ...operatorRoleArns.flatMap((arn, index) =>
      isElsewhere(arn)
        ? conflict(
            "is a role of another account; the keys let in roles of the vault's own account alone",
            ['operatorRoleArns', index],
            ['account'],
          )
        : [],
    ),
    ...Object.entries(existing ?? {}).flatMap(([name, arn]) =>
      isElsewhere(arn)
        ? conflict(
            "is a key of another account; the vault's keys are in the vault's own",
            ['existing', name],
            ['account'],
          )
        : [],
    ),
  ];
}

function conflictsOfKeys({ databases, buckets, existing }: SupplierConfiguration): Conflict[] {
  const existingKeys = Object.entries(existing ?? {});
  const reused = "is the vault's key: what it backs up would be lost with the same key";
  return [
    ...databases.flatMap(({ kmsKeyArn, acceptedWithoutKey }, index) => {
      const paths = [
        ['databases', index, 'kmsKeyArn'],
        ['databases', index, 'acceptedWithoutKey'],
      ] as const;
      if (kmsKeyArn === null && acceptedWithoutKey === undefined) {
        return conflict(
          "without a key of yours the storage, and each day's intermediate snapshot, is not encrypted, or only under a key of AWS that you can neither see nor revoke: move the database to encrypted storage and name its key, or say in acceptedWithoutKey why you accept it",
          ...paths,
        );
      }
      return kmsKeyArn !== null && acceptedWithoutKey !== undefined
        ? conflict('names a key, and accepts that there is none: remove the one that is not so', ...paths)
        : [];
    }),
    ...existingKeys.flatMap(([name, arn], index) =>
      existingKeys
        .slice(0, index)
        .flatMap(([other, otherArn]) =>
          arn !== undefined && arn === otherArn
            ? conflict(
                'each key of the vault is another one: aws kms describe-key of alias/daybreak/vault, signing, ledger, entries, tenant-ids, logs, trail and register prints one each',
                ['existing', name],
                ['existing', other],
              )
            : [],
        ),
    ),
    ...databases.flatMap(({ kmsKeyArn }, index) =>
      kmsKeyArn !== null && kmsKeyArn === existing?.vaultKeyArn
        ? conflict(reused, ['databases', index, 'kmsKeyArn'], ['existing', 'vaultKeyArn'])
        : [],
    ),
    ...buckets.flatMap(({ kmsKeyArns }, index) =>
      kmsKeyArns.flatMap((arn, position) =>
        arn === existing?.vaultKeyArn
          ? conflict(reused, ['buckets', index, 'kmsKeyArns', position], ['existing', 'vaultKeyArn'])
          : [],
      ),
    ),
  ];
}

/** A backup has more functions under way than any other run. */
function conflictsOfConcurrency({ concurrency, quotas }: SupplierConfiguration): Conflict[] {
  const needed = Math.max(...Object.values(functionsAtOnce(concurrency)));
  const usable = Math.floor((quotas.concurrentFunctions * QUOTA_USE_LIMIT_PERCENT) / 100);
  return needed > usable
    ? conflict(
        `tenants and twice databases are ${needed} functions at once, which do not fit into ${usable}, ${QUOTA_USE_LIMIT_PERCENT} % of the ${quotas.concurrentFunctions} that the account may run; your app needs the rest: take fewer, or have the quota raised and name it`,
        ['concurrency', 'tenants'],
        ['concurrency', 'databases'],
        ['quotas', 'concurrentFunctions'],
      )
    : [];
}

function conflictsOfRetention({ databases, retention, quotas, schedules }: SupplierConfiguration): Conflict[] {
  const { snapshotDays } = retention;
  const count = new Set(databases.map(({ instanceId }) => instanceId)).size;
  // Where a sweep deletes them, the one whose day has come is there until the sweep, which follows the day's backup.
  const kept = count * (snapshotDays + (retention.policy === undefined ? 0 : 1));
  const needed = kept + count;
  const usable = Math.floor((quotas.manualSnapshots * QUOTA_USE_LIMIT_PERCENT) / 100);
  const fittingDays = Math.floor(usable / count) - 1 - (retention.policy === undefined ? 0 : 1);
  return [
    ...(needed > usable
      ? conflict(
          `${count} ${count === 1 ? 'instance' : 'instances'} × ${retention.policy === undefined ? `${snapshotDays} days` : `(${snapshotDays} days and the one before the sweep)`} = ${kept} snapshots (and ${count} intermediate) do not fit into ${usable}, which is ${QUOTA_USE_LIMIT_PERCENT} % of the quota of ${quotas.manualSnapshots} manual snapshots; the rest is for reruns and snapshots of your own, and above it an alarm sounds: ${fittingDays < DAYS_UNTIL_PROVED_AGAIN ? '' : `keep them for ${fittingDays} days, or `}have the quota raised to ${Math.ceil((needed * 100) / QUOTA_USE_LIMIT_PERCENT)} and name it`,
          ['retention', 'snapshotDays'],
          ['quotas', 'manualSnapshots'],
        )
      : []),
    ...(snapshotDays < DAYS_UNTIL_PROVED_AGAIN
      ? conflict(
          `the recovery point that one monthly restore test proved would be gone before the next one proves another: keep them for ${DAYS_UNTIL_PROVED_AGAIN} days at least`,
          ['retention', 'snapshotDays'],
          ['schedules', 'restoreTest', 'dayOfMonth'],
        )
      : []),
    ...(backupAndTestAreApart(schedules)
      ? []
      : conflict(
          `the restore test begins within ${BACKUP_WINDOW_MINUTES} minutes of the daily backup, which may take that long: it would test the day before, and both would wait for RDS; leave ${BACKUP_WINDOW_MINUTES} minutes between them`,
          ['schedules', 'restoreTest', 'at'],
          ['schedules', 'dailyBackup'],
        )),
  ];
}

function backupAndTestAreApart({ dailyBackup, restoreTest }: SupplierConfiguration['schedules']): boolean {
  const minuteOf = ({ hour, minute }: { hour: number; minute: number }) => hour * 60 + minute;
  const after = (minuteOf(restoreTest.at) - minuteOf(dailyBackup) + MINUTES_PER_DAY) % MINUTES_PER_DAY;
  return Math.min(after, MINUTES_PER_DAY - after) >= BACKUP_WINDOW_MINUTES;
}

function conflictsOfTimes({ restoreTest: { abandonedAfterMs } }: SupplierConfiguration): Conflict[] {
  const leastMs = RESTORE_TEST.timeoutHours * HOUR_MS;
  return abandonedAfterMs > leastMs
    ? []
    : conflict(
        `a restore test may run for ${leastMs / HOUR_MS} hours, and would lose the copy that it reads: wait longer than ${leastMs} ms`,
        ['restoreTest', 'abandonedAfterMs'],
      );
}

function conflictsOfLocks({ vault, evidence, retention }: SupplierConfiguration): Conflict[] {
  return [
    ...(vault.eventHoldDays > retention.snapshotDays
      ? conflict(
          `the lock would hold an object for ${vault.eventHoldDays} days after the last recovery point that needs it is gone, longer than recovery points are kept: hold it for ${retention.snapshotDays} days at most`,
          ['vault', 'eventHoldDays'],
          ['retention', 'snapshotDays'],
        )
      : []),
    ...(vault.lockMode === 'compliance' && evidence.lockMode === 'governance'
      ? conflict(
          'what proves the backups would be easier to delete than the backups: an administrator can get past a governance lock',
          ['evidence', 'lockMode'],
          ['vault', 'lockMode'],
        )
      : []),
  ];
}

function conflict(message: string, ...paths: readonly [Path, ...Path[]]): Conflict[] {
  return [{ paths, message }];
}

/** Each entry of a list whose `name` an earlier one has too. */
function twice<Name extends string>(
  entries: readonly Readonly<Record<Name, string>>[],
  path: Path,
  name: Name,
  message: string,
): Conflict[] {
  const values = entries.map(entry => entry[name]);
  return values.flatMap((value, index) => {
    const first = values.indexOf(value);
    return first < index ? conflict(message, [...path, index, name], [...path, first, name]) : [];
  });
}
