import { nothingBackedUp } from '../../functions/contracts/object-manifest.ts';
import { workPrefix } from '../../functions/contracts/vault-layout.ts';
import { DAILY_BACKUP } from './hours.ts';
import { askInRounds } from './snapshot-rounds.ts';
import {
  afterStart,
  catchAll,
  catchLate,
  deadlineBefore,
  ENTERED_AT,
  invokeInTurn,
  isPast,
  longerThan,
  mapOverItems,
  mapOverLines,
  notRefused,
  type States,
  THIS_RUN,
  type WorkflowDefinition,
  type WorkflowReferences,
} from './states-language.ts';

/** The error that an execution ends with whose recovery point is recorded, and is not good. */
export const RECOVERY_POINT_INCOMPLETE = 'RecoveryPointIncompleteError';

/**
 * The daily backup. Each database is measured; then each instance is snapshotted, all of them together, so that the
 * recovery point is of one moment. As soon as their snapshots are available, each tenant's objects are backed up by
 * themselves, while each database is measured again and each snapshot is copied under the vault key. What fails, or is
 * late, is named in the recovery point, which is then incomplete, and stops nothing else. An incomplete recovery point is
 * recorded, and ends the execution as failed, so that it alarms.
 */
export function dailyBackup(references: WorkflowReferences): WorkflowDefinition {
  return {
    Comment: 'Takes one recovery point of all databases and all objects',
    QueryLanguage: 'JSONata',
    TimeoutSeconds: DAILY_BACKUP.timeoutHours * 60 * 60,
    StartAt: 'Begin',
    States: {
      Begin: {
        Type: 'Pass',
        Assign: {
          ...notRefused(),
          measureEndsAt: afterStart(DAILY_BACKUP.measuredHours),
          snapshotEndsAt: afterStart(DAILY_BACKUP.snapshotHours),
          partEndsAt: afterStart(DAILY_BACKUP.partHours),
          settleEndsAt: afterStart(DAILY_BACKUP.settledHours),
          lookEndsAt: afterStart(DAILY_BACKUP.lookedForHours),
          closeEndsAt: afterStart(DAILY_BACKUP.closedHours),
          recordEndsAt: afterStart(DAILY_BACKUP.recordedHours),
        },
        Next: 'Plan',
      },
      ...invokeInTurn('Plan', references, 'backup/plan', {
        Payload: '{% $states.input %}',
        Assign: { plan: '{% $states.result.Payload %}' },
        endsAt: 'measureEndsAt',
        Catch: catchAll('RecordFailure'),
        Next: 'MeasureBefore',
      }),
      MeasureBefore: mapOverItems({
        Items: '{% [$plan.instances.databases] %}',
        alongside: { measureEndsAt: '{% $measureEndsAt %}' },
        maxConcurrency: references.atOnce.databases,
        processor: measure(references, 'Before', 'measureEndsAt'),
        Assign: { measured: '{% [$states.result] %}' },
        Catch: catchAll('RecordFailure'),
        Next: 'BeginSnapshots',
      }),
      ...askInRounds(references, 'Snapshot', {
        instances: '$plan.instances',
        measuredAt: FIRST_MEASURED_AT,
        Next: 'SnapshotsTaken',
        failed: 'RecordFailure',
        failure: 'failure',
      }).States,
      SnapshotsTaken: {
        Type: 'Pass',
        Assign: {
          asOf: '{% ($all := [$snapshots[takenAt != null].takenAt]; $count($all) = 0 ? null : $sort($all)[-1]) %}',
        },
        Next: 'BackUp',
      },
      // No branch fails, so none ends another.
      BackUp: {
        Type: 'Parallel',
        Branches: [measureAgain(references), copySnapshots(references), backUpFiles(references)],
        Assign: { databases: DATABASE_OUTCOMES, files: '{% $states.result[2] %}' },
        Catch: catchAll('RecordFailure'),
        Next: 'AreFilesBackedUp',
      },
      // Without the tenants' results the next recovery point would not know them.
      AreFilesBackedUp: {
        Type: 'Choice',
        Choices: [
          {
            Condition: '{% $files.failure != null %}',
            Assign: { failure: '{% $files.failure %}', failureCause: '{% $files.cause %}' },
            Next: 'RecordFailure',
          },
        ],
        Default: 'Complete',
      },
      ...invokeInTurn('Complete', references, 'backup/complete', {
        Payload: {
          recoveryPointId: '{% $plan.recoveryPointId %}',
          scheduledAt: '{% $plan.scheduledAt %}',
          databases: '{% $databases %}',
          asOf: '{% $asOf %}',
          tenantsKey: '{% $files.tenantsKey %}',
          unlistedBucketIds: '{% $files.unlistedBucketIds %}',
          postponedTenantCount: '{% $files.postponedTenantCount %}',
          lostObjectsSha256: '{% $files.lostObjectsSha256 %}',
        },
        Assign: { status: '{% $states.result.Payload.status %}' },
        endsAt: 'closeEndsAt',
        Catch: catchAll('RecordFailure'),
        Next: 'Record',
      }),
      ...invokeInTurn('Record', references, 'evidence/append-entry', {
        Payload: { draft: '{% $states.input.draft %}' },
        endsAt: 'closeEndsAt',
        Catch: catchAll('RecordFailure'),
        Next: 'IsGood',
      }),
      IsGood: {
        Type: 'Choice',
        Choices: [{ Condition: "{% $status = 'good' %}", Next: 'Good' }],
        Default: 'Incomplete',
      },
      Good: { Type: 'Succeed', Output: { recoveryPointId: '{% $plan.recoveryPointId %}', status: '{% $status %}' } },
      Incomplete: {
        Type: 'Fail',
        Error: RECOVERY_POINT_INCOMPLETE,
        Cause: "{% 'recovery point ' & $plan.recoveryPointId & ' lacks something; its root manifest says what' %}",
      },
      ...invokeInTurn('RecordFailure', references, 'evidence/append-entry', {
        Payload: {
          draft: {
            eventId: `{% 'backup-failed/' & ${THIS_RUN} %}`,
            kind: 'backup.failed',
            actor: 'workflow/daily-backup',
            subject: '{% $states.context.Execution.Name %}',
            body: { error: '{% $failure %}' },
          },
        },
        endsAt: 'recordEndsAt',
        Catch: [{ ErrorEquals: ['States.ALL'], Next: 'Failed' }],
        Next: 'Failed',
      }),
      Failed: {
        Type: 'Fail',
        Error: '{% $failure %}',
        Cause:
          "{% 'the backup stopped before it could close its recovery point; run it again for the same instant: ' & $failureCause %}",
      },
    },
  };
}

/**
 * Measures one database, whose item holds what the step needs. One that cannot be measured is backed up all the same.
 */
function measure(references: WorkflowReferences, moment: 'Before' | 'After', endsAt: string): States {
  const [database, isLate] = [`Database${moment}`, `IsLate${moment}`];
  const [fingerprint, isDone] = [`Fingerprint${moment}`, `IsFingerprinted${moment}`];
  const [measured, timedOut, notMeasured] = [`Measured${moment}`, `TimedOut${moment}`, `NotMeasured${moment}`];
  return {
    StartAt: database,
    States: {
      [database]: {
        Type: 'Pass',
        Assign: { ...notRefused(), database: '{% $states.input.item %}', [endsAt]: `{% $states.input.${endsAt} %}` },
        Next: isLate,
      },
      // Its turn came too late, after those that were measured before it.
      [isLate]: {
        Type: 'Choice',
        Choices: [{ Condition: isPast(endsAt), Next: timedOut }],
        Default: fingerprint,
      },
      ...invokeInTurn(fingerprint, references, 'backup/fingerprint', {
        Payload: {
          recoveryPointId: '{% $database.recoveryPointId %}',
          databaseId: '{% $database.databaseId %}',
          endpoint: '{% $database.endpoint %}',
          moment: moment === 'Before' ? 'before' : 'after',
          deadlineAt: deadlineBefore(endsAt),
        },
        endsAt,
        Catch: catchLate(timedOut, notMeasured, 'databaseFailure'),
        Next: isDone,
      }),
      [isDone]: {
        Type: 'Choice',
        Choices: [
          { Condition: '{% $states.input.done %}', Next: measured },
          { Condition: isPast(endsAt), Next: timedOut },
        ],
        Default: fingerprint,
      },
      [measured]: {
        Type: 'Pass',
        Output: {
          databaseId: '{% $database.databaseId %}',
          measuredAt: '{% $states.input.measuredAt %}',
          failure: null,
        },
        End: true,
      },
      [timedOut]: { Type: 'Pass', Assign: { databaseFailure: 'FingerprintTimedOutError' }, Next: notMeasured },
      [notMeasured]: {
        Type: 'Pass',
        Output: {
          databaseId: '{% $database.databaseId %}',
          measuredAt: null,
          failure: '{% $databaseFailure %}',
        },
        End: true,
      },
    },
  };
}

/** When the first of the instance's databases was measured, of those that could be. */
const FIRST_MEASURED_AT =
  '{% ($all := [$measured[databaseId in $states.context.Map.Item.Value.databases.databaseId and measuredAt != null].measuredAt]; $count($all) = 0 ? null : $sort($all)[0]) %}';

/** The instances that have a snapshot. */
const SNAPSHOTTED = '$plan.instances[instanceId in $snapshots[failure = null].instanceId]';

/** Measures the databases of what was snapshotted once more, so many at a time as before, of all instances together. */
function measureAgain(references: WorkflowReferences): States {
  return {
    StartAt: 'MeasureAfter',
    States: {
      MeasureAfter: mapOverItems({
        Items: `{% [${SNAPSHOTTED}.databases] %}`,
        alongside: { partEndsAt: '{% $partEndsAt %}' },
        maxConcurrency: references.atOnce.databases,
        processor: measure(references, 'After', 'partEndsAt'),
        Output: { measured: '{% [$states.result] %}' },
        Catch: catchAll('NoneMeasuredAfter', 'measureFailure'),
        End: true,
      }),
      NoneMeasuredAfter: {
        Type: 'Pass',
        Output: {
          measured: "{% [$plan.instances.databases.{'databaseId': databaseId, 'failure': $measureFailure}] %}",
        },
        End: true,
      },
    },
  };
}

/** Copies under the vault key what was snapshotted. */
function copySnapshots(references: WorkflowReferences): States {
  const rounds = askInRounds(references, 'Copy', {
    instances: SNAPSHOTTED,
    measuredAt: '{% $snapshots[instanceId = $states.context.Map.Item.Value.instanceId].measuredAt %}',
    Next: 'CopiesMade',
    failed: 'NoneCopied',
    failure: 'copyFailure',
  });
  return {
    StartAt: rounds.StartAt,
    States: {
      ...rounds.States,
      CopiesMade: { Type: 'Pass', Output: { copies: '{% $copies %}' }, End: true },
      NoneCopied: {
        Type: 'Pass',
        Output: { copies: "{% [$plan.instances.{'instanceId': instanceId, 'failure': $copyFailure}] %}" },
        End: true,
      },
    },
  };
}

/** JSONata for the failure in the one entry that a list has of something; a list that has none, or several, has not said. */
function failureIn(list: string, idName: string, id: string): string {
  return `($own := ${list}[${idName} = ${id}]; $count($own) = 1 ? $own.failure : 'NoResultError')`;
}

/**
 * The outcome of each database that was planned, whatever the maps left: a copy that is not there weighs more than one that
 * nothing proves.
 */
const DATABASE_OUTCOMES = `{% ($again := $states.result[0].measured; $copies := $states.result[1].copies; [$plan.instances.($in := instanceId; $snapshot := ${failureIn('$snapshots', 'instanceId', '$in')}; $copy := ${failureIn('$copies', 'instanceId', '$in')}; databases.($id := databaseId; $before := ${failureIn('$measured', 'databaseId', '$id')}; $after := ${failureIn('$again', 'databaseId', '$id')}; {'databaseId': $id, 'failure': $snapshot != null ? $snapshot : $copy != null ? $copy : $before != null ? $before : $after}))]) %}`;

/**
 * Backs up every tenant's objects. Once all are, tenants are listed again, and what moved meanwhile in buckets that keep no
 * versions is settled: so often that listing finds no tenant any more that nothing was done for, up to a few times. The
 * branch's output says where the results are, or why there are none.
 */
function backUpFiles(references: WorkflowReferences): States {
  const refused = 'filesRefused';
  // The id is spliced into the string literal that the expression holds.
  const results = (name: string) => `{% '${workPrefix("' & $plan.recoveryPointId & '")}${name}' %}`;
  const toList = { recoveryPointId: '{% $plan.recoveryPointId %}', asOf: '{% $asOf %}', listing: '{% $listing %}' };
  const listed = {
    listing: '{% $states.result.Payload.listing %}',
    unlistedBucketIds: '{% $states.result.Payload.unlistedBucketIds %}',
    postponedTenantCount: '{% $states.result.Payload.postponedTenantCount %}',
    lostObjectsSha256: '{% $states.result.Payload.lostObjectsSha256 %}',
  };
  const notListedAgain = {
    unlistedBucketIds: '{% [$distinct($append($unlistedBucketIds, $bucketIdsWithoutVersions))] %}',
  };
  return {
    StartAt: 'BeginFiles',
    States: {
      BeginFiles: { Type: 'Pass', Assign: { ...notRefused(refused), listing: null }, Next: 'ListTenants' },
      ...invokeInTurn('ListTenants', references, 'backup/list-tenants', {
        Payload: toList,
        Assign: {
          ...listed,
          itemsKey: '{% $states.result.Payload.itemsKey %}',
          bucketIdsWithoutVersions: '{% $states.result.Payload.bucketIdsWithoutVersions %}',
        },
        endsAt: 'partEndsAt',
        refused,
        Catch: catchLate('ListingTimedOut', 'FilesFailed', 'filesFailure'),
        Next: 'AreTenantsListed',
      }),
      AreTenantsListed: {
        Type: 'Choice',
        Choices: [
          { Condition: '{% $states.input.itemsKey != null %}', Next: 'BackUpTenants' },
          { Condition: isPast('partEndsAt'), Next: 'ListingTimedOut' },
        ],
        Default: 'ListTenants',
      },
      ListingTimedOut: {
        Type: 'Pass',
        Assign: { filesFailure: 'FilesTimedOutError', filesFailureCause: 'tenants were not listed in time' },
        Next: 'FilesFailed',
      },
      BackUpTenants: mapOverLines({
        workBucket: references.workBucket,
        itemsKey: '{% $itemsKey %}',
        alongside: {
          pass: { kind: 'first' },
          deadlineAt: deadlineBefore('partEndsAt'),
          endsAt: '{% $partEndsAt %}',
        },
        resultsPrefix: results('results'),
        maxConcurrency: references.atOnce.tenants,
        processor: backUpTenant(references, 'Tenant'),
        Assign: {
          tenantResultsKey: '{% $states.result.ResultWriterDetails.Key %}',
          settledResultsKeys: [],
          cursor: null,
        },
        Catch: catchAll('FilesFailed', 'filesFailure'),
        Next: 'ListTenantsAgain',
      }),
      ...invokeInTurn('ListTenantsAgain', references, 'backup/list-tenants', {
        Payload: toList,
        Assign: listed,
        endsAt: 'settleEndsAt',
        refused,
        Catch: catchAll('NotListedAgain', 'listingFailure'),
        late: 'NotListedInTime',
        Next: 'AreTenantsListedAgain',
      }),
      AreTenantsListedAgain: {
        Type: 'Choice',
        Choices: [
          { Condition: '{% $states.input.itemsKey != null %}', Next: 'PlanSettling' },
          { Condition: isPast('settleEndsAt'), Next: 'CloseTenants' },
        ],
        Default: 'ListTenantsAgain',
      },
      // What came is not known then, and the recovery point says so.
      NotListedAgain: { Type: 'Pass', Assign: notListedAgain, Next: 'PlanSettling' },
      NotListedInTime: { Type: 'Pass', Assign: notListedAgain, Next: 'CloseTenants' },
      ...invokeInTurn('PlanSettling', references, 'backup/settle-tenants', {
        Payload: {
          moment: 'before',
          recoveryPointId: '{% $plan.recoveryPointId %}',
          tenantResultsKey: '{% $tenantResultsKey %}',
          settledResultsKeys: '{% [$settledResultsKeys] %}',
        },
        Assign: { settlingItemsKey: '{% $states.result.Payload.itemsKey %}' },
        endsAt: 'settleEndsAt',
        refused,
        Catch: catchAll('CloseTenants', 'settlingFailure'),
        Next: 'IsAnyToSettle',
      }),
      // What is left to be done is named when the tenants are closed, also where it could not be planned or begun.
      IsAnyToSettle: {
        Type: 'Choice',
        Choices: [
          { Condition: '{% $states.input.itemCount = 0 %}', Next: 'CloseTenants' },
          {
            Condition: `{% $count([$settledResultsKeys]) >= ${DAILY_BACKUP.settlingPasses} %}`,
            Next: 'CloseTenants',
          },
          { Condition: isPast('settleEndsAt'), Next: 'CloseTenants' },
        ],
        Default: 'SettleTenants',
      },
      SettleTenants: mapOverLines({
        workBucket: references.workBucket,
        itemsKey: '{% $settlingItemsKey %}',
        alongside: {
          item: '{% $states.context.Map.Item.Value.item %}',
          pass: '{% $states.context.Map.Item.Value.pass %}',
          deadlineAt: deadlineBefore('settleEndsAt'),
          endsAt: '{% $settleEndsAt %}',
        },
        resultsPrefix: results('settled'),
        maxConcurrency: references.atOnce.tenants,
        processor: backUpTenant(references, 'SettledTenant'),
        Assign: { settledResultsKeys: '{% [$settledResultsKeys, $states.result.ResultWriterDetails.Key] %}' },
        Catch: catchAll('CloseTenants', 'settlingFailure'),
        Next: 'ListTenantsAgain',
      }),
      ...invokeInTurn('CloseTenants', references, 'backup/settle-tenants', {
        Payload: {
          moment: 'after',
          recoveryPointId: '{% $plan.recoveryPointId %}',
          tenantResultsKey: '{% $tenantResultsKey %}',
          settledResultsKeys: '{% [$settledResultsKeys] %}',
          cursor: '{% $cursor %}',
          deadlineAt: deadlineBefore('lookEndsAt'),
        },
        Assign: { cursor: '{% $states.result.Payload.cursor %}' },
        endsAt: 'lookEndsAt',
        refused,
        Catch: catchAll('FilesFailed', 'filesFailure'),
        Next: 'AreTenantsClosed',
      }),
      AreTenantsClosed: {
        Type: 'Choice',
        Choices: [
          { Condition: '{% $states.input.tenantsKey != null %}', Next: 'FilesBackedUp' },
          {
            Condition: isPast('lookEndsAt'),
            Assign: {
              filesFailure: 'FilesTimedOutError',
              filesFailureCause: 'what vanished was not looked for in time',
            },
            Next: 'FilesFailed',
          },
        ],
        Default: 'CloseTenants',
      },
      FilesBackedUp: {
        Type: 'Pass',
        Output: {
          tenantsKey: '{% $states.input.tenantsKey %}',
          unlistedBucketIds: '{% $unlistedBucketIds %}',
          postponedTenantCount: '{% $postponedTenantCount %}',
          lostObjectsSha256: '{% $lostObjectsSha256 %}',
          failure: null,
        },
        End: true,
      },
      FilesFailed: {
        Type: 'Pass',
        Output: { failure: '{% $filesFailure %}', cause: '{% $filesFailureCause %}' },
        End: true,
      },
    },
  };
}

/** What a tenant's pass comes to where it failed: what an earlier pass stored, or an earlier run of the recovery point. */
const FAILED_TENANT = `{% $merge([
  $pass.kind = 'settle' ? $pass.result : $exists($item.earlier) ? $item.earlier : $merge([
    ${JSON.stringify(nothingBackedUp())},
    $item.{
      'bucketId': bucketId,
      'tenant': tenant,
      'previousManifestSha256': previousManifestSha256,
      'partialManifestSha256': partialManifestSha256
    }
  ]),
  {'failure': $tenantFailure}
]) %}`.replaceAll(/\s+/g, ' ');

/**
 * One child execution of a distributed map. Its output is always a TenantBackupResult, also when the tenant failed.
 * @param name what its states' names begin with, because no two in a definition may have the same.
 */
function backUpTenant(references: WorkflowReferences, name: 'Tenant' | 'SettledTenant'): States {
  const late = `${name}TimedOut`;
  const failed = `${name}Failed`;
  const mayCome = [
    {
      ErrorEquals: ['RetryableError'],
      Assign: { tenantFailure: '{% $states.errorOutput.Error %}' },
      Next: `${name}KeyMayCome`,
    },
    ...catchLate(late, failed, 'tenantFailure'),
  ];
  return {
    StartAt: name,
    States: {
      [name]: {
        Type: 'Pass',
        Assign: {
          ...notRefused(),
          item: '{% $states.input.item %}',
          pass: '{% $states.input.pass %}',
          deadlineAt: '{% $states.input.deadlineAt %}',
          endsAt: '{% $states.input.endsAt %}',
          startedAt: `{% ${ENTERED_AT} %}`,
          recordedKeyArn: null,
          cursor: null,
        },
        Next: `${name}IsLate`,
      },
      [`${name}IsLate`]: {
        Type: 'Choice',
        Choices: [{ Condition: isPast('endsAt'), Next: late }],
        Default: `${name}Key`,
      },
      ...invokeInTurn(`${name}Key`, references, 'tenants/ensure-key', {
        Payload: { tenant: '{% $item.tenant %}', recordedKeyArn: '{% $recordedKeyArn %}' },
        Assign: { keyArn: '{% $states.result.Payload.keyArn %}' },
        endsAt: 'endsAt',
        Catch: mayCome,
        Next: `${name}KeyIsNew`,
      }),
      [`${name}KeyIsNew`]: {
        Type: 'Choice',
        Choices: [{ Condition: '{% $states.input.draft != null %}', Next: `${name}KeyRecorded` }],
        Default: `${name}Pass`,
      },
      ...invokeInTurn(`${name}KeyRecorded`, references, 'evidence/append-entry', {
        Payload: { draft: '{% $states.input.draft %}' },
        Assign: { recordedKeyArn: '{% $keyArn %}' },
        endsAt: 'endsAt',
        Catch: mayCome,
        Next: `${name}IsLate`,
      }),
      [`${name}KeyMayCome`]: {
        Type: 'Choice',
        Choices: [
          { Condition: isPast('endsAt'), Next: late },
          { Condition: longerThan(DAILY_BACKUP.keyHours, 'startedAt'), Next: failed },
        ],
        Default: `${name}WaitsForKey`,
      },
      [`${name}WaitsForKey`]: { Type: 'Wait', Seconds: 60, Next: `${name}Key` },
      ...invokeInTurn(`${name}Pass`, references, 'backup/back-up-tenant', {
        Payload: {
          item: '{% $item %}',
          pass: '{% $pass %}',
          keyArn: '{% $keyArn %}',
          cursor: '{% $cursor %}',
          deadlineAt: '{% $deadlineAt %}',
        },
        Assign: { cursor: '{% $states.result.Payload.cursor %}' },
        endsAt: 'endsAt',
        Catch: catchLate(late, failed, 'tenantFailure'),
        Next: `${name}IsDone`,
      }),
      [`${name}IsDone`]: {
        Type: 'Choice',
        Choices: [
          { Condition: '{% $states.input.result != null %}', Next: `${name}Done` },
          { Condition: isPast('endsAt'), Next: late },
        ],
        Default: `${name}Pass`,
      },
      [`${name}Done`]: { Type: 'Pass', Output: '{% $states.input.result %}', End: true },
      [late]: { Type: 'Pass', Assign: { tenantFailure: 'TenantTimedOutError' }, Next: failed },
      [failed]: { Type: 'Pass', Output: FAILED_TENANT, End: true },
    },
  };
}
