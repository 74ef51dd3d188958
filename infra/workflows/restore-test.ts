import { type Verdict, Verdict as VerdictSchema } from '../../functions/contracts/restore-test-record.ts';
import { workPrefix } from '../../functions/contracts/vault-layout.ts';
import { RESTORE_TEST } from './hours.ts';
import {
  afterStart,
  catchAll,
  catchLate,
  catchPassing,
  deadlineBefore,
  ENTERED_AT,
  elapsedMs,
  invokeInTurn,
  isPast,
  longerThan,
  mapOverItems,
  mapOverLines,
  notRefused,
  type States,
  THIS_RUN,
  untilAskingAgain,
  type WorkflowDefinition,
  type WorkflowReferences,
} from './states-language.ts';

/** A snapshot that is being copied cannot be restored at once; this waits for up to half an hour. */
const BUSY_SNAPSHOT_ATTEMPTS = 16;

/** The error that an execution ends with, by verdict. */
export function verdictError(verdict: Exclude<Verdict, 'passed'>): string {
  const words = verdict.split('-').map(word => word.charAt(0).toUpperCase() + word.slice(1));
  return `RestoreTest${words.join('')}`;
}

/** The errors that an execution ends with whose verdict is recorded, and is not `passed`. */
export const VERDICT_ERRORS: Readonly<Record<string, string>> = Object.fromEntries(
  VerdictSchema.exclude(['passed']).options.map(verdict => [verdict, verdictError(verdict)]),
);

/**
 * The restore test: restores a recovery point's databases into isolation and reads and compares all of them, restores
 * its objects and compares them, tears everything down whatever happened, and records a verdict. Only `passed` ends the
 * execution as succeeded.
 */
export function restoreTest(references: WorkflowReferences): WorkflowDefinition {
  const { workBucket } = references;
  return {
    Comment: 'Restores one recovery point in isolation and proves that it is what was backed up',
    QueryLanguage: 'JSONata',
    TimeoutSeconds: RESTORE_TEST.timeoutHours * 60 * 60,
    StartAt: 'Begin',
    States: {
      // Everything that Conclude needs has a value from here on, however early the test ends.
      Begin: {
        Type: 'Pass',
        Assign: {
          ...notRefused(),
          restoreTestId: "{% $lowercase($replace($substring($states.input.scheduledAt, 0, 19), /[-:]/, '')) & 'z' %}",
          startedAt: `{% ${ENTERED_AT} %}`,
          chosen: null,
          databases: [],
          objectResultsKey: null,
          failure: null,
          failureCause: null,
          phases: [],
          restoreEndsAt: afterStart(RESTORE_TEST.restoredHours),
          hydrateEndsAt: afterStart(RESTORE_TEST.hydratedHours),
          databaseEndsAt: afterStart(RESTORE_TEST.databaseHours),
          objectEndsAt: afterStart(RESTORE_TEST.objectHours),
          tearDownEndsAt: afterStart(RESTORE_TEST.tornDownHours),
          closeEndsAt: afterStart(RESTORE_TEST.closedHours),
          recordEndsAt: afterStart(RESTORE_TEST.recordedHours),
        },
        Next: 'Choose',
      },
      ...invokeInTurn('Choose', references, 'restore-test/choose', {
        Payload: '{% $states.input %}',
        Assign: { chosen: '{% $states.result.Payload %}' },
        endsAt: 'restoreEndsAt',
        Catch: catchAll('BeginTearDown'),
        Next: 'CanStart',
      }),
      CanStart: {
        Type: 'Choice',
        Choices: [{ Condition: '{% $chosen.reason != null %}', Next: 'Conclude' }],
        Default: 'TestSnapshots',
      },
      // A child that fails has no outcomes, which Conclude misses: such a test cannot pass.
      TestSnapshots: mapOverItems({
        Items: '{% $chosen.snapshots %}',
        alongside: {
          ...Object.fromEntries(CHILD_ENDS.map(endsAt => [endsAt, `{% $${endsAt} %}`])),
          snapshotCount: '{% $count($chosen.snapshots) %}',
        },
        maxConcurrency: references.atOnce.databases,
        processor: testSnapshot(references),
        Assign: { databases: '{% [$states.result.outcomes] %}', phaseStartedAt: `{% ${ENTERED_AT} %}` },
        Catch: catchAll('BeginTearDown'),
        Next: 'DatabasesTested',
      }),
      DatabasesTested: {
        Type: 'Pass',
        Assign: { phases: endPhase('databases'), phaseStartedAt: `{% ${ENTERED_AT} %}` },
        Next: 'PlanObjects',
      },
      ...invokeInTurn('PlanObjects', references, 'restore-test/plan-objects', {
        Payload: {
          restoreTestId: '{% $restoreTestId %}',
          recoveryPointId: '{% $chosen.recoveryPointId %}',
          allObjects: '{% $chosen.allObjects %}',
        },
        Assign: { itemsKey: '{% $states.result.Payload.itemsKey %}' },
        endsAt: 'objectEndsAt',
        Catch: catchAll('BeginTearDown'),
        Next: 'TestObjects',
      }),
      // A child that fails leaves no result, which Conclude misses: such a test cannot pass.
      TestObjects: mapOverLines({
        workBucket,
        itemsKey: '{% $itemsKey %}',
        alongside: { endsAt: '{% $objectEndsAt %}' },
        // The id is spliced into the string literal that the expression holds.
        resultsPrefix: `{% '${workPrefix("' & $restoreTestId & '")}results' %}`,
        maxConcurrency: references.atOnce.tenants,
        processor: testObjects(references),
        Assign: { objectResultsKey: '{% $states.result.ResultWriterDetails.Key %}' },
        Catch: catchAll('BeginTearDown'),
        Next: 'ObjectsTested',
      }),
      ObjectsTested: { Type: 'Pass', Assign: { phases: endPhase('objects') }, Next: 'BeginTearDown' },
      BeginTearDown: { Type: 'Pass', Assign: { phaseStartedAt: `{% ${ENTERED_AT} %}` }, Next: 'TearDown' },
      ...invokeInTurn('TearDown', references, 'restore-test/tear-down', {
        Payload: { restoreTestId: '{% $restoreTestId %}' },
        endsAt: 'tearDownEndsAt',
        Catch: [
          // Copies of children's data are running: what may pass is only not done yet.
          { ...catchPassing('IsTornDown', {}), Output: { done: false } },
          { ErrorEquals: ['States.ALL'], Assign: keepFirst('$states.errorOutput.Error'), Next: 'Conclude' },
        ],
        Next: 'IsTornDown',
      }),
      IsTornDown: {
        Type: 'Choice',
        Choices: [
          {
            Condition: '{% $states.input.done %}',
            Assign: { phases: endPhase('tear-down') },
            Next: 'Conclude',
          },
          ...[longerThan(RESTORE_TEST.tearDownHours, 'phaseStartedAt'), isPast('tearDownEndsAt')].map(Condition => ({
            Condition,
            Assign: keepFirst("'TearDownTimedOutError'"),
            Next: 'Conclude',
          })),
        ],
        Default: 'WaitForTearDown',
      },
      WaitForTearDown: { Type: 'Wait', Seconds: untilAskingAgain('phaseStartedAt'), Next: 'TearDown' },
      ...invokeInTurn('Conclude', references, 'restore-test/conclude', {
        Payload: Object.fromEntries(
          ['restoreTestId', 'startedAt', 'chosen', 'databases', 'objectResultsKey', 'failure', 'phases'].map(name => [
            name,
            `{% $${name} %}`,
          ]),
        ),
        Assign: { verdict: '{% $states.result.Payload.verdict %}' },
        endsAt: 'closeEndsAt',
        Catch: catchAll('RecordFailure'),
        Next: 'Record',
      }),
      ...invokeInTurn('Record', references, 'evidence/append-entry', {
        Payload: { draft: '{% $states.input.draft %}' },
        endsAt: 'closeEndsAt',
        Catch: catchAll('RecordFailure'),
        Next: 'HasPassed',
      }),
      HasPassed: {
        Type: 'Choice',
        Choices: [{ Condition: "{% $verdict = 'passed' %}", Next: 'Passed' }],
        Default: 'NotPassed',
      },
      Passed: { Type: 'Succeed', Output: { restoreTestId: '{% $restoreTestId %}', verdict: '{% $verdict %}' } },
      NotPassed: {
        Type: 'Fail',
        Error: `{% $lookup(${JSON.stringify(VERDICT_ERRORS)}, $verdict) %}`,
        Cause:
          "{% 'restore test ' & $restoreTestId & ' did not pass; its record in the evidence bucket says why' & ($failureCause = null ? '' : ': ' & $failureCause) %}",
      },
      ...invokeInTurn('RecordFailure', references, 'evidence/append-entry', {
        Payload: {
          draft: {
            eventId: `{% 'restore-test-failed/' & ${THIS_RUN} %}`,
            kind: 'restore-test.failed',
            actor: 'workflow/restore-test',
            subject: '{% $restoreTestId %}',
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
        Cause: "{% 'the restore test could not be concluded; run it again for the same instant: ' & $failureCause %}",
      },
    },
  };
}

/** The instants at which what a child does is given up. */
const CHILD_ENDS = ['restoreEndsAt', 'hydrateEndsAt', 'databaseEndsAt'] as const;

/** Restores one snapshot to an instance of its own, and tests each database on it. */
function testSnapshot(references: WorkflowReferences): States {
  const atOnce = references.atOnce.databases;
  return {
    StartAt: 'Snapshot',
    States: {
      Snapshot: {
        Type: 'Pass',
        Assign: {
          ...notRefused(),
          snapshot: '{% $states.input.item %}',
          restored: false,
          snapshotCount: '{% $states.input.snapshotCount %}',
          ...Object.fromEntries(CHILD_ENDS.map(endsAt => [endsAt, `{% $states.input.${endsAt} %}`])),
        },
        Next: 'IsRestoreLate',
      },
      // Its turn came too late, after those that were restored before it.
      IsRestoreLate: {
        Type: 'Choice',
        Choices: [{ Condition: isPast('restoreEndsAt'), Next: 'RestoreTimedOut' }],
        Default: 'RestoreDatabase',
      },
      ...invokeInTurn('RestoreDatabase', references, 'restore-test/restore-database', {
        // Its databases share it: whichever of them is named, it is the same one.
        Payload: '{% $snapshot.databases[0] %}',
        Assign: {
          instanceId: '{% $states.result.Payload.instanceId %}',
          restoreStartedAt: `{% ${ENTERED_AT} %}`,
        },
        endsAt: 'restoreEndsAt',
        attempts: BUSY_SNAPSHOT_ATTEMPTS,
        Catch: catchLate('RestoreTimedOut', 'SnapshotNotTested', 'snapshotFailure'),
        Next: 'DescribeInstance',
      }),
      ...invokeInTurn('DescribeInstance', references, 'restore-test/describe-instance', {
        Payload: { instanceId: '{% $instanceId %}' },
        endsAt: 'restoreEndsAt',
        Catch: catchLate('RestoreTimedOut', 'SnapshotNotTested', 'snapshotFailure'),
        Next: 'IsInstanceAvailable',
      }),
      IsInstanceAvailable: {
        Type: 'Choice',
        Choices: [
          {
            Condition: '{% $states.input.available %}',
            Assign: {
              endpoint: '{% $states.input.endpoint %}',
              restored: true,
              restorePhases: appendPhase('restore', '[]', 'restoreStartedAt'),
            },
            Next: 'TestDatabases',
          },
          { Condition: isPast('restoreEndsAt'), Next: 'RestoreTimedOut' },
        ],
        Default: 'WaitForInstance',
      },
      WaitForInstance: { Type: 'Wait', Seconds: untilAskingAgain('restoreStartedAt'), Next: 'DescribeInstance' },
      // Its parts have histories of their own, too: one that waits for its turn for half a day has much to tell.
      // https://github.com/aws-solutions/data-transfer-from-amazon-s3-glacier-vaults-to-amazon-s3 (AWS's own, nests the same way)
      TestDatabases: mapOverItems({
        Items: '{% $snapshot.databases %}',
        alongside: {
          endpoint: '{% $endpoint %}',
          // What was restored once is told of once.
          phases:
            '{% $states.context.Map.Item.Value.databaseId = $snapshot.databases[0].databaseId ? $restorePhases : [] %}',
          hydrateEndsAt: '{% $hydrateEndsAt %}',
          databaseEndsAt: '{% $databaseEndsAt %}',
        },
        // What the instances that are tested at the same time leave to each other: all together are no more than is said.
        maxConcurrency: `{% $floor(${atOnce} / $min([${atOnce}, $snapshotCount])) %}`,
        processor: testDatabase(references),
        Output: {
          outcomes:
            "{% [$snapshot.databases.($id := databaseId; $own := $states.result[databaseId = $id]; $count($own) = 1 ? $own : {'databaseId': $id, 'verification': null, 'failure': 'NoResultError', 'restored': true, 'phases': []})] %}",
        },
        Catch: catchAll('SnapshotNotTested', 'snapshotFailure'),
        End: true,
      }),
      RestoreTimedOut: { Type: 'Pass', Assign: { snapshotFailure: 'RestoreTimedOutError' }, Next: 'SnapshotNotTested' },
      SnapshotNotTested: {
        Type: 'Pass',
        Output: {
          outcomes:
            "{% [$map($snapshot.databases, function($one) {{'databaseId': $one.databaseId, 'verification': null, 'failure': $snapshotFailure, 'restored': $restored, 'phases': []}})] %}",
        },
        End: true,
      },
    },
  };
}

function testDatabase(references: WorkflowReferences): States {
  return {
    StartAt: 'Database',
    States: {
      Database: {
        Type: 'Pass',
        Assign: {
          ...notRefused(),
          database: '{% $states.input.item %}',
          endpoint: '{% $states.input.endpoint %}',
          hydrateEndsAt: '{% $states.input.hydrateEndsAt %}',
          databaseEndsAt: '{% $states.input.databaseEndsAt %}',
          databasePhases: '{% $states.input.phases %}',
          databasePhaseStartedAt: `{% ${ENTERED_AT} %}`,
        },
        Next: 'Hydrate',
      },
      // The verification reads everything as well, only more slowly: what was not read through in time is left to it.
      ...invokeInTurn('Hydrate', references, 'restore-test/hydrate', {
        Payload: "{% $merge([$database, {'endpoint': $endpoint}]) %}",
        endsAt: 'hydrateEndsAt',
        late: 'Hydrated',
        Catch: catchLate('Hydrated', 'DatabaseNotTested', 'databaseFailure'),
        Next: 'IsHydrated',
      }),
      IsHydrated: {
        Type: 'Choice',
        Choices: [
          { Condition: '{% $states.input.done %}', Next: 'Hydrated' },
          { Condition: isPast('hydrateEndsAt'), Next: 'Hydrated' },
        ],
        Default: 'Hydrate',
      },
      Hydrated: { Type: 'Pass', Assign: endDatabasePhase('hydrate'), Next: 'VerifyDatabase' },
      ...invokeInTurn('VerifyDatabase', references, 'restore-test/verify-database', {
        Payload: {
          restoreTestId: '{% $database.restoreTestId %}',
          recoveryPointId: '{% $database.recoveryPointId %}',
          databaseId: '{% $database.databaseId %}',
          endpoint: '{% $endpoint %}',
          deadlineAt: deadlineBefore('databaseEndsAt'),
        },
        endsAt: 'databaseEndsAt',
        Catch: catchLate('VerificationTimedOut', 'DatabaseNotTested', 'databaseFailure'),
        Next: 'IsDatabaseVerified',
      }),
      IsDatabaseVerified: {
        Type: 'Choice',
        Choices: [
          {
            Condition: '{% $states.input.done %}',
            Assign: { verification: '{% $states.input.verification %}', ...endDatabasePhase('verify') },
            Next: 'DatabaseTested',
          },
          { Condition: isPast('databaseEndsAt'), Next: 'VerificationTimedOut' },
        ],
        Default: 'VerifyDatabase',
      },
      DatabaseTested: {
        Type: 'Pass',
        Output: {
          databaseId: '{% $database.databaseId %}',
          verification: '{% $verification %}',
          failure: null,
          restored: true,
          phases: '{% $databasePhases %}',
        },
        End: true,
      },
      VerificationTimedOut: {
        Type: 'Pass',
        Assign: { databaseFailure: 'VerificationTimedOutError' },
        Next: 'DatabaseNotTested',
      },
      DatabaseNotTested: {
        Type: 'Pass',
        Output: {
          databaseId: '{% $database.databaseId %}',
          verification: null,
          failure: '{% $databaseFailure %}',
          restored: true,
          phases: '{% $databasePhases %}',
        },
        End: true,
      },
    },
  };
}

function testObjects(references: WorkflowReferences): States {
  return {
    StartAt: 'Tenant',
    States: {
      Tenant: {
        Type: 'Pass',
        Assign: {
          ...notRefused(),
          item: '{% $states.input.item %}',
          endsAt: '{% $states.input.endsAt %}',
          cursor: null,
        },
        Next: 'AreObjectsLate',
      },
      AreObjectsLate: {
        Type: 'Choice',
        Choices: [{ Condition: isPast('endsAt'), Next: 'ObjectsTimedOut' }],
        Default: 'VerifyObjects',
      },
      ...invokeInTurn('VerifyObjects', references, 'restore-test/verify-objects', {
        Payload: { item: '{% $item %}', cursor: '{% $cursor %}' },
        Assign: { cursor: '{% $states.result.Payload.cursor %}' },
        endsAt: 'endsAt',
        Catch: catchLate('ObjectsTimedOut', 'ObjectsNotVerified', 'objectFailure'),
        Next: 'AreObjectsVerified',
      }),
      AreObjectsVerified: {
        Type: 'Choice',
        Choices: [{ Condition: '{% $states.input.result != null %}', Next: 'ObjectsVerified' }],
        Default: 'AreObjectsLate',
      },
      ObjectsVerified: { Type: 'Pass', Output: '{% $states.input.result %}', End: true },
      ObjectsTimedOut: {
        Type: 'Fail',
        Error: 'ObjectsTimedOutError',
        Cause: 'the objects of this tenant were not compared in time; test again, with a sample or with fewer objects',
      },
      ObjectsNotVerified: { Type: 'Fail', Error: '{% $objectFailure %}', Cause: '{% $objectFailureCause %}' },
    },
  };
}

function keepFirst(error: string): { failure: string } {
  return { failure: `{% $failure = null ? ${error} : $failure %}` };
}

function endPhase(phase: string): string {
  return appendPhase(phase, '$phases', 'phaseStartedAt');
}

function endDatabasePhase(phase: string): { databasePhases: string; databasePhaseStartedAt: string } {
  return {
    databasePhases: appendPhase(phase, '$databasePhases', 'databasePhaseStartedAt'),
    databasePhaseStartedAt: `{% ${ENTERED_AT} %}`,
  };
}

function appendPhase(phase: string, phases: string, startedAt: string): string {
  return `{% $append(${phases}, {'phase': '${phase}', 'startedAt': $${startedAt}, 'durationMs': ${elapsedMs(startedAt)}}) %}`;
}
