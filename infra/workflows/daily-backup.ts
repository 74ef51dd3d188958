import { nothingBackedUp } from '../../functions/contracts/object-manifest.ts';
import { workPrefix } from '../../functions/contracts/vault-layout.ts';
import { DAILY_BACKUP } from './hours.ts';
import {
  afterStart,
  catchAll,
  catchBusy,
  catchLate,
  deadlineBefore,
  ENTERED_AT,
  invoke,
  isPast,
  longerThan,
  mapOverItems,
  mapOverLines,
  type States,
  THIS_RUN,
  untilAskingAgain,
  type WorkflowDefinition,
  type WorkflowReferences,
} from './states-language.ts';

/** An instance that is being backed up or modified refuses a snapshot; this waits for up to half an hour. */
const BUSY_INSTANCE_ATTEMPTS = 16;

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
      Plan: invoke(references, 'backup/plan', {
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
        tolerates: 'nothing',
        processor: measure(references, 'Before', 'measureEndsAt', {
          database: '{% $states.input.item %}',
          measureEndsAt: '{% $states.input.measureEndsAt %}',
        }),
        Assign: { measured: '{% $states.result %}' },
        Catch: catchAll('RecordFailure'),
        Next: 'TakeSnapshots',
      }),
      TakeSnapshots: mapOverItems({
        Items: '{% $plan.instances %}',
        alongside: {
          measuredAt: FIRST_MEASURED_AT,
          snapshotEndsAt: '{% $snapshotEndsAt %}',
        },
        maxConcurrency: DAILY_BACKUP.instancesAtOnce,
        tolerates: 'nothing',
        processor: takeSnapshot(references),
        Assign: {
          snapshots: '{% $states.result %}',
          asOf: '{% ($all := [$states.result[takenAt != null].takenAt]; $count($all) = 0 ? null : $sort($all)[-1]) %}',
        },
        Catch: catchAll('RecordFailure'),
        Next: 'BackUp',
      }),
      // No branch fails, so neither ends the other.
      BackUp: {
        Type: 'Parallel',
        Branches: [backUpInstances(references), backUpFiles(references)],
        Assign: { databases: '{% $states.result[0].databases %}', files: '{% $states.result[1] %}' },
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
      Complete: invoke(references, 'backup/complete', {
        Payload: {
          recoveryPointId: '{% $plan.recoveryPointId %}',
          scheduledAt: '{% $plan.scheduledAt %}',
          databases: '{% $databases %}',
          asOf: '{% $asOf %}',
          tenantsKey: '{% $files.tenantsKey %}',
          unlistedBucketIds: '{% $files.unlistedBucketIds %}',
          postponedTenantCount: '{% $files.postponedTenantCount %}',
        },
        Assign: { status: '{% $states.result.Payload.status %}' },
        endsAt: 'closeEndsAt',
        Catch: catchAll('RecordFailure'),
        Next: 'Record',
      }),
      Record: invoke(references, 'evidence/append-entry', {
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
      RecordFailure: invoke(references, 'evidence/append-entry', {
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
 * @param given JSONata for `database`, and for what else the states need that no outer scope has.
 */
function measure(
  references: WorkflowReferences,
  moment: 'Before' | 'After',
  endsAt: string,
  given: Readonly<Record<'database' | string, string>>,
): States {
  const [database, fingerprint, isDone] = [`Database${moment}`, `Fingerprint${moment}`, `IsFingerprinted${moment}`];
  const [measured, timedOut, notMeasured] = [`Measured${moment}`, `TimedOut${moment}`, `NotMeasured${moment}`];
  return {
    StartAt: database,
    States: {
      [database]: { Type: 'Pass', Assign: given, Next: fingerprint },
      [fingerprint]: invoke(references, 'backup/fingerprint', {
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

const INSTANCE_ONLY = {
  recoveryPointId: '{% $instance.recoveryPointId %}',
  instanceId: '{% $instance.instanceId %}',
};
const STARTS_SNAPSHOT = {
  snapshotId: '{% $states.result.Payload.snapshotId %}',
  waitingSince: `{% ${ENTERED_AT} %}`,
};
/** When the first of the instance's databases was measured, of those that could be. */
const FIRST_MEASURED_AT =
  '{% ($all := [$measured[databaseId in $states.context.Map.Item.Value.databases.databaseId and measuredAt != null].measuredAt]; $count($all) = 0 ? null : $sort($all)[0]) %}';

function takeSnapshot(references: WorkflowReferences): States {
  return {
    StartAt: 'Instance',
    States: {
      Instance: {
        Type: 'Pass',
        Assign: {
          instance: '{% $states.input.item %}',
          measuredAt: '{% $states.input.measuredAt %}',
          snapshotEndsAt: '{% $states.input.snapshotEndsAt %}',
        },
        Next: 'CreateSnapshot',
      },
      CreateSnapshot: invoke(references, 'backup/create-snapshot', {
        Payload: { ...INSTANCE_ONLY, measuredAt: '{% $measuredAt %}' },
        Assign: STARTS_SNAPSHOT,
        endsAt: 'snapshotEndsAt',
        attempts: BUSY_INSTANCE_ATTEMPTS,
        Catch: catchLate('SnapshotTimedOut', 'NotSnapshotted', 'instanceFailure'),
        Next: 'DescribeSnapshot',
      }),
      DescribeSnapshot: invoke(references, 'backup/describe-snapshot', {
        Payload: { snapshotId: '{% $snapshotId %}' },
        endsAt: 'snapshotEndsAt',
        Catch: catchLate('SnapshotTimedOut', 'NotSnapshotted', 'instanceFailure'),
        Next: 'IsSnapshotAvailable',
      }),
      IsSnapshotAvailable: {
        Type: 'Choice',
        Choices: [
          { Condition: '{% $states.input.available %}', Next: 'Snapshotted' },
          { Condition: isPast('snapshotEndsAt'), Next: 'SnapshotTimedOut' },
        ],
        Default: 'WaitForSnapshot',
      },
      WaitForSnapshot: {
        Type: 'Wait',
        Seconds: untilAskingAgain('waitingSince'),
        Next: 'DescribeSnapshot',
      },
      Snapshotted: {
        Type: 'Pass',
        Output: {
          instanceId: '{% $instance.instanceId %}',
          measuredAt: '{% $measuredAt %}',
          takenAt: '{% $states.input.takenAt %}',
          failure: null,
        },
        End: true,
      },
      SnapshotTimedOut: { Type: 'Pass', Assign: { instanceFailure: 'SnapshotTimedOutError' }, Next: 'NotSnapshotted' },
      NotSnapshotted: {
        Type: 'Pass',
        Output: {
          instanceId: '{% $instance.instanceId %}',
          measuredAt: '{% $measuredAt %}',
          takenAt: null,
          failure: '{% $instanceFailure %}',
        },
        End: true,
      },
    },
  };
}

/** What of each of the databases of `$instance` is named as its failure. */
function databasesWith(failure: string): string {
  return `{% {'databases': [$map($instance.databases, function($one) {{'databaseId': $one.databaseId, 'failure': ${failure}}})]} %}`;
}

/** Measures and copies what was snapshotted. The branch's output has an outcome for each database, whatever happened. */
function backUpInstances(references: WorkflowReferences): States {
  return {
    StartAt: 'BackUpInstances',
    States: {
      BackUpInstances: mapOverItems({
        Items: '{% $plan.instances %}',
        alongside: {
          snapshot: '{% $snapshots[instanceId = $states.context.Map.Item.Value.instanceId] %}',
          measured: '{% [$measured[databaseId in $states.context.Map.Item.Value.databases.databaseId]] %}',
          partEndsAt: '{% $partEndsAt %}',
        },
        maxConcurrency: DAILY_BACKUP.instancesAtOnce,
        tolerates: 'nothing',
        processor: backUpInstance(references),
        Output: { databases: '{% [$states.result.databases] %}' },
        Catch: catchAll('InstancesFailed', 'instancesFailure'),
        End: true,
      }),
      InstancesFailed: {
        Type: 'Pass',
        Output:
          "{% {'databases': [$map($plan.instances.databases, function($one) {{'databaseId': $one.databaseId, 'failure': $instancesFailure}})]} %}",
        End: true,
      },
    },
  };
}

function backUpInstance(references: WorkflowReferences): States {
  return {
    StartAt: 'SnapshottedInstance',
    States: {
      SnapshottedInstance: {
        Type: 'Pass',
        Assign: {
          instance: '{% $states.input.item %}',
          snapshot: '{% $states.input.snapshot %}',
          measured: '{% $states.input.measured %}',
          partEndsAt: '{% $states.input.partEndsAt %}',
        },
        Next: 'IsSnapshotted',
      },
      IsSnapshotted: {
        Type: 'Choice',
        Choices: [
          {
            Condition: '{% $snapshot.failure != null %}',
            Assign: { instanceFailure: '{% $snapshot.failure %}' },
            Next: 'InstanceFailed',
          },
        ],
        Default: 'MeasureAndCopy',
      },
      MeasureAndCopy: {
        Type: 'Parallel',
        Branches: [
          {
            StartAt: 'MeasureAfter',
            States: {
              MeasureAfter: {
                Type: 'Map',
                Items: '{% $instance.databases %}',
                MaxConcurrency: references.atOnce.databases,
                ItemProcessor: {
                  ProcessorConfig: { Mode: 'INLINE' },
                  ...measure(references, 'After', 'partEndsAt', { database: '{% $states.input %}' }),
                },
                Catch: catchAll('NoneMeasuredAfter', 'measureFailure'),
                End: true,
              },
              NoneMeasuredAfter: {
                Type: 'Pass',
                Output:
                  "{% [$map($instance.databases, function($one) {{'databaseId': $one.databaseId, 'failure': $measureFailure}})] %}",
                End: true,
              },
            },
          },
          copySnapshot(references),
        ],
        // A copy that is not there weighs more than one that nothing proves.
        Output: databasesWith(
          '($copy := $states.result[1].failure; $before := $measured[databaseId = $one.databaseId].failure; $copy != null ? $copy : $before != null ? $before : $states.result[0][databaseId = $one.databaseId].failure)',
        ),
        Catch: catchAll('InstanceFailed', 'instanceFailure'),
        End: true,
      },
      InstanceFailed: { Type: 'Pass', Output: databasesWith('$instanceFailure'), End: true },
    },
  };
}

function copySnapshot(references: WorkflowReferences): States {
  return {
    StartAt: 'CopySnapshot',
    States: {
      CopySnapshot: invoke(references, 'backup/copy-snapshot', {
        Payload: { ...INSTANCE_ONLY, measuredAt: '{% $snapshot.measuredAt %}' },
        Assign: STARTS_SNAPSHOT,
        endsAt: 'partEndsAt',
        attempts: BUSY_INSTANCE_ATTEMPTS,
        Catch: catchLate('CopyTimedOut', 'CopyFailed', 'copyFailure'),
        Next: 'DescribeCopy',
      }),
      DescribeCopy: invoke(references, 'backup/describe-snapshot', {
        Payload: { snapshotId: '{% $snapshotId %}' },
        endsAt: 'partEndsAt',
        Catch: catchLate('CopyTimedOut', 'CopyFailed', 'copyFailure'),
        Next: 'IsCopyAvailable',
      }),
      IsCopyAvailable: {
        Type: 'Choice',
        Choices: [
          { Condition: '{% $states.input.available %}', Next: 'DeleteIntermediate' },
          { Condition: isPast('partEndsAt'), Next: 'CopyTimedOut' },
        ],
        Default: 'WaitForCopy',
      },
      WaitForCopy: {
        Type: 'Wait',
        Seconds: untilAskingAgain('waitingSince'),
        Next: 'DescribeCopy',
      },
      DeleteIntermediate: invoke(references, 'backup/delete-intermediate', {
        Payload: INSTANCE_ONLY,
        endsAt: 'partEndsAt',
        Catch: catchLate('CopyTimedOut', 'CopyFailed', 'copyFailure'),
        Next: 'Copied',
      }),
      Copied: { Type: 'Pass', Output: { failure: null }, End: true },
      CopyTimedOut: { Type: 'Pass', Assign: { copyFailure: 'CopyTimedOutError' }, Next: 'CopyFailed' },
      CopyFailed: { Type: 'Pass', Output: { failure: '{% $copyFailure %}' }, End: true },
    },
  };
}

/**
 * Backs up every tenant's objects. Once all are, tenants are listed again, and what moved meanwhile in buckets that keep no
 * versions is settled: so often that listing finds no tenant any more that nothing was done for, up to a few times. The
 * branch's output says where the results are, or why there are none.
 */
function backUpFiles(references: WorkflowReferences): States {
  // The id is spliced into the string literal that the expression holds.
  const results = (name: string) => `{% '${workPrefix("' & $plan.recoveryPointId & '")}${name}' %}`;
  const toList = { recoveryPointId: '{% $plan.recoveryPointId %}', asOf: '{% $asOf %}', listing: '{% $listing %}' };
  const listed = {
    listing: '{% $states.result.Payload.listing %}',
    unlistedBucketIds: '{% $states.result.Payload.unlistedBucketIds %}',
    postponedTenantCount: '{% $states.result.Payload.postponedTenantCount %}',
  };
  return {
    StartAt: 'BeginFiles',
    States: {
      BeginFiles: { Type: 'Pass', Assign: { listing: null }, Next: 'ListTenants' },
      ListTenants: invoke(references, 'backup/list-tenants', {
        Payload: toList,
        Assign: {
          ...listed,
          itemsKey: '{% $states.result.Payload.itemsKey %}',
          bucketIdsWithoutVersions: '{% $states.result.Payload.bucketIdsWithoutVersions %}',
        },
        endsAt: 'partEndsAt',
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
      ListTenantsAgain: invoke(references, 'backup/list-tenants', {
        Payload: toList,
        Assign: listed,
        endsAt: 'settleEndsAt',
        Catch: catchAll('NotListedAgain', 'listingFailure'),
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
      NotListedAgain: {
        Type: 'Pass',
        Assign: {
          unlistedBucketIds: '{% [$distinct($append($unlistedBucketIds, $bucketIdsWithoutVersions))] %}',
        },
        Next: 'PlanSettling',
      },
      PlanSettling: invoke(references, 'backup/settle-tenants', {
        Payload: {
          moment: 'before',
          recoveryPointId: '{% $plan.recoveryPointId %}',
          tenantResultsKey: '{% $tenantResultsKey %}',
          settledResultsKeys: '{% [$settledResultsKeys] %}',
        },
        Assign: { settlingItemsKey: '{% $states.result.Payload.itemsKey %}' },
        endsAt: 'settleEndsAt',
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
      CloseTenants: invoke(references, 'backup/settle-tenants', {
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
    catchBusy(`${name}WaitsForTurn`),
    ...catchLate(late, failed, 'tenantFailure'),
  ];
  return {
    StartAt: name,
    States: {
      [name]: {
        Type: 'Pass',
        Assign: {
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
      [`${name}Key`]: invoke(references, 'tenants/ensure-key', {
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
      [`${name}KeyRecorded`]: invoke(references, 'evidence/append-entry', {
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
      [`${name}WaitsForTurn`]: { Type: 'Wait', Seconds: 240, Next: `${name}IsLate` },
      [`${name}WaitsForKey`]: { Type: 'Wait', Seconds: 60, Next: `${name}Key` },
      [`${name}Pass`]: invoke(references, 'backup/back-up-tenant', {
        Payload: {
          item: '{% $item %}',
          pass: '{% $pass %}',
          keyArn: '{% $keyArn %}',
          cursor: '{% $cursor %}',
          deadlineAt: '{% $deadlineAt %}',
        },
        Assign: { cursor: '{% $states.result.Payload.cursor %}' },
        endsAt: 'endsAt',
        Catch: [catchBusy(`${name}WaitsForTurn`), ...catchLate(late, failed, 'tenantFailure')],
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
