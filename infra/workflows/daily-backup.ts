import { nothingBackedUp } from '../../functions/contracts/object-manifest.ts';
import { workPrefix } from '../../functions/contracts/vault-layout.ts';
import {
  catchAll,
  ENTERED_AT,
  invoke,
  longerThan,
  mapOverLines,
  type States,
  untilAskingAgain,
  type WorkflowDefinition,
  type WorkflowReferences,
} from './states-language.ts';

/** So many databases are fingerprinted and snapshotted at once. */
const DATABASES_AT_ONCE = 4;
/** So many tenants are backed up at once: as many functions, and KMS creates only 5 keys a second. */
const TENANTS_AT_ONCE = 40;
/** A snapshot or copy that takes longer is given up, so that one database cannot hold back the whole recovery point. */
const SNAPSHOT_HOURS = 6;
const COPY_HOURS = 10;
/** Before the next day's run begins. */
const TIMEOUT_SECONDS = 22 * 60 * 60;
/** An instance that is being backed up or modified refuses a snapshot; this waits for up to half an hour. */
const BUSY_INSTANCE_ATTEMPTS = 16;
/**
 * KMS creates five keys a second in an account, so the first backup of many tenants has to queue. And where a run died
 * while it created a key, its claim stands for 20 minutes: each attempt waits half a minute for that run.
 */
const KEY_ATTEMPTS = 45;

/**
 * The daily backup. Each database is fingerprinted, snapshotted and copied under the vault key by itself; then each
 * tenant's objects are backed up by themselves. What fails is named in the recovery point, which is then incomplete, and
 * stops nothing else. An incomplete recovery point is recorded, and ends the execution as failed, so that it alarms.
 */
export function dailyBackup(references: WorkflowReferences): WorkflowDefinition {
  const { functionArn, workBucket } = references;
  return {
    Comment: 'Takes one recovery point of all databases and all objects',
    QueryLanguage: 'JSONata',
    TimeoutSeconds: TIMEOUT_SECONDS,
    StartAt: 'Plan',
    States: {
      Plan: invoke(functionArn('backup/plan'), {
        Payload: '{% $states.input %}',
        Assign: { plan: '{% $states.result.Payload %}' },
        Catch: catchAll('RecordFailure'),
        Next: 'BackUpDatabases',
      }),
      BackUpDatabases: {
        Type: 'Map',
        Items: '{% $plan.databases %}',
        MaxConcurrency: DATABASES_AT_ONCE,
        ItemProcessor: { ProcessorConfig: { Mode: 'INLINE' }, ...backUpDatabase(references) },
        Assign: { databases: '{% $states.result %}' },
        Catch: catchAll('RecordFailure'),
        Next: 'ListTenants',
      },
      ListTenants: invoke(functionArn('backup/list-tenants'), {
        Payload: { recoveryPointId: '{% $plan.recoveryPointId %}' },
        Assign: {
          itemsKey: '{% $states.result.Payload.itemsKey %}',
          unlistedBucketIds: '{% $states.result.Payload.unlistedBucketIds %}',
        },
        Catch: catchAll('RecordFailure'),
        Next: 'BackUpTenants',
      }),
      BackUpTenants: mapOverLines({
        workBucket,
        itemsKey: '{% $itemsKey %}',
        // The id is spliced into the string literal that the expression holds.
        resultsPrefix: `{% '${workPrefix("' & $plan.recoveryPointId & '")}results' %}`,
        maxConcurrency: TENANTS_AT_ONCE,
        processor: backUpTenant(references),
        Assign: { tenantResultsKey: '{% $states.result.ResultWriterDetails.Key %}' },
        Catch: catchAll('RecordFailure'),
        Next: 'Complete',
      }),
      Complete: invoke(functionArn('backup/complete'), {
        Payload: {
          recoveryPointId: '{% $plan.recoveryPointId %}',
          scheduledAt: '{% $plan.scheduledAt %}',
          databases: '{% $databases %}',
          tenantResultsKey: '{% $tenantResultsKey %}',
          unlistedBucketIds: '{% $unlistedBucketIds %}',
        },
        Assign: { status: '{% $states.result.Payload.status %}' },
        Catch: catchAll('RecordFailure'),
        Next: 'Record',
      }),
      Record: invoke(functionArn('evidence/append-entry'), {
        Payload: { draft: '{% $states.input.draft %}' },
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
        Error: 'RecoveryPointIncompleteError',
        Cause: "{% 'recovery point ' & $plan.recoveryPointId & ' lacks something; its root manifest says what' %}",
      },
      RecordFailure: invoke(functionArn('evidence/append-entry'), {
        Payload: {
          draft: {
            eventId: "{% 'backup-failed/' & $states.context.Execution.Name %}",
            kind: 'backup.failed',
            actor: 'workflow/daily-backup',
            subject: '{% $states.context.Execution.Name %}',
            body: { error: '{% $failure %}' },
          },
        },
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

/** The name of the first error that kept a database from being measured. */
const UNPROVED = '{% $unproved = null ? $states.errorOutput.Error : $unproved %}';

function backUpDatabase({ functionArn }: WorkflowReferences): States {
  // A database that cannot be measured is backed up all the same: it is then in the recovery point, unproved.
  const fingerprint = (moment: 'before' | 'after', next: string, otherwise: string) =>
    invoke(functionArn('backup/fingerprint'), {
      Payload: `{% $merge([$database, {'moment': '${moment}'}]) %}`,
      Catch: [{ ErrorEquals: ['States.ALL'], Assign: { unproved: UNPROVED }, Next: otherwise }],
      Next: next,
    });
  const databaseOnly = {
    recoveryPointId: '{% $database.recoveryPointId %}',
    databaseId: '{% $database.databaseId %}',
  };
  const measuredDatabase = { ...databaseOnly, measuredAt: '{% $measuredAt %}' };
  const startsSnapshot = { snapshotId: '{% $states.result.Payload.snapshotId %}', waitingSince: `{% ${ENTERED_AT} %}` };
  const describe = (next: string) =>
    invoke(functionArn('backup/describe-snapshot'), {
      Payload: { snapshotId: '{% $snapshotId %}' },
      Catch: catchAll('DatabaseFailed', 'databaseFailure'),
      Next: next,
    });
  return {
    StartAt: 'Database',
    States: {
      Database: {
        Type: 'Pass',
        Assign: { database: '{% $states.input %}', unproved: null, measuredAt: null },
        Next: 'FingerprintBefore',
      },
      FingerprintBefore: fingerprint('before', 'IsFingerprintedBefore', 'CreateSnapshot'),
      IsFingerprintedBefore: {
        Type: 'Choice',
        Choices: [
          {
            Condition: '{% $states.input.done %}',
            Assign: { measuredAt: '{% $states.input.measuredAt %}' },
            Next: 'CreateSnapshot',
          },
        ],
        Default: 'FingerprintBefore',
      },
      CreateSnapshot: invoke(functionArn('backup/create-snapshot'), {
        Payload: measuredDatabase,
        Assign: startsSnapshot,
        attempts: BUSY_INSTANCE_ATTEMPTS,
        Catch: catchAll('DatabaseFailed', 'databaseFailure'),
        Next: 'DescribeSnapshot',
      }),
      DescribeSnapshot: describe('IsSnapshotAvailable'),
      IsSnapshotAvailable: {
        Type: 'Choice',
        Choices: [
          { Condition: '{% $states.input.available %}', Next: 'FingerprintAfter' },
          { Condition: longerThan(SNAPSHOT_HOURS, 'waitingSince'), Next: 'SnapshotTimedOut' },
        ],
        Default: 'WaitForSnapshot',
      },
      WaitForSnapshot: { Type: 'Wait', Seconds: untilAskingAgain('waitingSince'), Next: 'DescribeSnapshot' },
      FingerprintAfter: fingerprint('after', 'IsFingerprintedAfter', 'CopySnapshot'),
      IsFingerprintedAfter: {
        Type: 'Choice',
        Choices: [{ Condition: '{% $states.input.done %}', Next: 'CopySnapshot' }],
        Default: 'FingerprintAfter',
      },
      CopySnapshot: invoke(functionArn('backup/copy-snapshot'), {
        Payload: measuredDatabase,
        Assign: startsSnapshot,
        attempts: BUSY_INSTANCE_ATTEMPTS,
        Catch: catchAll('DatabaseFailed', 'databaseFailure'),
        Next: 'DescribeCopy',
      }),
      DescribeCopy: describe('IsCopyAvailable'),
      IsCopyAvailable: {
        Type: 'Choice',
        Choices: [
          { Condition: '{% $states.input.available %}', Next: 'DeleteIntermediate' },
          { Condition: longerThan(COPY_HOURS, 'waitingSince'), Next: 'SnapshotTimedOut' },
        ],
        Default: 'WaitForCopy',
      },
      WaitForCopy: { Type: 'Wait', Seconds: untilAskingAgain('waitingSince'), Next: 'DescribeCopy' },
      DeleteIntermediate: invoke(functionArn('backup/delete-intermediate'), {
        Payload: databaseOnly,
        Catch: catchAll('DatabaseFailed', 'databaseFailure'),
        Next: 'DatabaseBackedUp',
      }),
      DatabaseBackedUp: {
        Type: 'Pass',
        Output: { databaseId: '{% $database.databaseId %}', failure: '{% $unproved %}' },
        End: true,
      },
      SnapshotTimedOut: { Type: 'Pass', Assign: { databaseFailure: 'SnapshotTimedOutError' }, Next: 'DatabaseFailed' },
      DatabaseFailed: {
        Type: 'Pass',
        Output: { databaseId: '{% $database.databaseId %}', failure: '{% $databaseFailure %}' },
        End: true,
      },
    },
  };
}

// One child execution of the distributed map. Its output is always a TenantBackupResult, also when the tenant failed.
function backUpTenant({ functionArn }: WorkflowReferences): States {
  return {
    StartAt: 'Tenant',
    States: {
      Tenant: {
        Type: 'Pass',
        Assign: { item: '{% $states.input %}', recordedKeyArn: null, cursor: null },
        Next: 'EnsureKey',
      },
      EnsureKey: invoke(functionArn('tenants/ensure-key'), {
        Payload: { tenant: '{% $item.tenant %}', recordedKeyArn: '{% $recordedKeyArn %}' },
        Assign: { keyArn: '{% $states.result.Payload.keyArn %}' },
        attempts: KEY_ATTEMPTS,
        Catch: catchAll('TenantFailed', 'tenantFailure'),
        Next: 'IsKeyNew',
      }),
      IsKeyNew: {
        Type: 'Choice',
        Choices: [{ Condition: '{% $states.input.draft != null %}', Next: 'RecordKey' }],
        Default: 'BackUpTenant',
      },
      RecordKey: invoke(functionArn('evidence/append-entry'), {
        Payload: { draft: '{% $states.input.draft %}' },
        Assign: { recordedKeyArn: '{% $keyArn %}' },
        attempts: KEY_ATTEMPTS,
        Catch: catchAll('TenantFailed', 'tenantFailure'),
        Next: 'EnsureKey',
      }),
      BackUpTenant: invoke(functionArn('backup/back-up-tenant'), {
        Payload: { item: '{% $item %}', keyArn: '{% $keyArn %}', cursor: '{% $cursor %}' },
        Assign: { cursor: '{% $states.result.Payload.cursor %}' },
        Catch: catchAll('TenantFailed', 'tenantFailure'),
        Next: 'IsTenantBackedUp',
      }),
      IsTenantBackedUp: {
        Type: 'Choice',
        Choices: [{ Condition: '{% $states.input.result != null %}', Next: 'TenantBackedUp' }],
        Default: 'BackUpTenant',
      },
      TenantBackedUp: { Type: 'Pass', Output: '{% $states.input.result %}', End: true },
      TenantFailed: {
        Type: 'Pass',
        Output: {
          bucketId: '{% $item.bucketId %}',
          tenant: '{% $item.tenant %}',
          ...nothingBackedUp(),
          previousManifestSha256: '{% $item.previousManifestSha256 %}',
          failure: '{% $tenantFailure %}',
        },
        End: true,
      },
    },
  };
}
