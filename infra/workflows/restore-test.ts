import { type Verdict, Verdict as VerdictSchema } from '../../functions/contracts/restore-test-record.ts';
import { workPrefix } from '../../functions/contracts/vault-layout.ts';
import {
  catchAll,
  ENTERED_AT,
  elapsedMs,
  invoke,
  longerThan,
  mapOverLines,
  type States,
  untilAskingAgain,
  type WorkflowDefinition,
  type WorkflowReferences,
} from './states-language.ts';

const DATABASES_AT_ONCE = 4;
const TENANTS_AT_ONCE = 40;
/** Half of the promised day: a database that is not back by then is a finding about the restore, not a reason to wait. */
const RESTORE_HOURS = 12;
/** Deleting an instance takes minutes; what is still there after this is left to the janitor, and the test says so. */
const TEAR_DOWN_HOURS = 2;
/** No restore test runs longer. */
export const TIMEOUT_SECONDS = 23 * 60 * 60;
/** A snapshot that is being copied cannot be restored at once; this waits for up to half an hour. */
const BUSY_SNAPSHOT_ATTEMPTS = 16;

/** The error that an execution ends with, by verdict. */
export function verdictError(verdict: Exclude<Verdict, 'passed'>): string {
  const words = verdict.split('-').map(word => word.charAt(0).toUpperCase() + word.slice(1));
  return `RestoreTest${words.join('')}`;
}

const VERDICT_ERRORS = Object.fromEntries(
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
    TimeoutSeconds: TIMEOUT_SECONDS,
    StartAt: 'Begin',
    States: {
      // Everything that Conclude needs has a value from here on, however early the test ends.
      Begin: {
        Type: 'Pass',
        Assign: {
          restoreTestId: "{% $lowercase($replace($substring($states.input.scheduledAt, 0, 19), /[-:]/, '')) & 'z' %}",
          startedAt: `{% ${ENTERED_AT} %}`,
          chosen: null,
          databases: [],
          objectResultsKey: null,
          failure: null,
          failureCause: null,
          phases: [],
        },
        Next: 'Choose',
      },
      Choose: invoke(references, 'restore-test/choose', {
        Payload: '{% $states.input %}',
        Assign: { chosen: '{% $states.result.Payload %}' },
        Catch: catchAll('BeginTearDown'),
        Next: 'CanStart',
      }),
      CanStart: {
        Type: 'Choice',
        Choices: [{ Condition: '{% $chosen.reason != null %}', Next: 'Conclude' }],
        Default: 'TestDatabases',
      },
      TestDatabases: {
        Type: 'Map',
        Items: '{% $chosen.databases %}',
        MaxConcurrency: DATABASES_AT_ONCE,
        ItemProcessor: { ProcessorConfig: { Mode: 'INLINE' }, ...testDatabase(references) },
        Assign: { databases: '{% $states.result %}', phaseStartedAt: `{% ${ENTERED_AT} %}` },
        Catch: catchAll('BeginTearDown'),
        Next: 'DatabasesTested',
      },
      DatabasesTested: {
        Type: 'Pass',
        Assign: { phases: endPhase('databases'), phaseStartedAt: `{% ${ENTERED_AT} %}` },
        Next: 'PlanObjects',
      },
      PlanObjects: invoke(references, 'restore-test/plan-objects', {
        Payload: {
          restoreTestId: '{% $restoreTestId %}',
          recoveryPointId: '{% $chosen.recoveryPointId %}',
          allObjects: '{% $chosen.allObjects %}',
        },
        Assign: { itemsKey: '{% $states.result.Payload.itemsKey %}' },
        Catch: catchAll('BeginTearDown'),
        Next: 'TestObjects',
      }),
      // A child that fails leaves no result, which Conclude misses: such a test cannot pass.
      TestObjects: mapOverLines({
        workBucket,
        itemsKey: '{% $itemsKey %}',
        alongside: {},
        // The id is spliced into the string literal that the expression holds.
        resultsPrefix: `{% '${workPrefix("' & $restoreTestId & '")}results' %}`,
        maxConcurrency: TENANTS_AT_ONCE,
        processor: testObjects(references),
        Assign: { objectResultsKey: '{% $states.result.ResultWriterDetails.Key %}' },
        Catch: catchAll('BeginTearDown'),
        Next: 'ObjectsTested',
      }),
      ObjectsTested: { Type: 'Pass', Assign: { phases: endPhase('objects') }, Next: 'BeginTearDown' },
      BeginTearDown: { Type: 'Pass', Assign: { phaseStartedAt: `{% ${ENTERED_AT} %}` }, Next: 'TearDown' },
      TearDown: invoke(references, 'restore-test/tear-down', {
        Payload: { restoreTestId: '{% $restoreTestId %}' },
        Catch: [{ ErrorEquals: ['States.ALL'], Assign: keepFirst('$states.errorOutput.Error'), Next: 'Conclude' }],
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
          {
            Condition: longerThan(TEAR_DOWN_HOURS, 'phaseStartedAt'),
            Assign: keepFirst("'TearDownTimedOutError'"),
            Next: 'Conclude',
          },
        ],
        Default: 'WaitForTearDown',
      },
      WaitForTearDown: { Type: 'Wait', Seconds: untilAskingAgain('phaseStartedAt'), Next: 'TearDown' },
      Conclude: invoke(references, 'restore-test/conclude', {
        Payload: Object.fromEntries(
          ['restoreTestId', 'startedAt', 'chosen', 'databases', 'objectResultsKey', 'failure', 'phases'].map(name => [
            name,
            `{% $${name} %}`,
          ]),
        ),
        Assign: { verdict: '{% $states.result.Payload.verdict %}' },
        Catch: catchAll('RecordFailure'),
        Next: 'Record',
      }),
      Record: invoke(references, 'evidence/append-entry', {
        Payload: { draft: '{% $states.input.draft %}' },
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
      RecordFailure: invoke(references, 'evidence/append-entry', {
        Payload: {
          draft: {
            eventId: "{% 'restore-test-failed/' & $states.context.Execution.Name %}",
            kind: 'restore-test.failed',
            actor: 'workflow/restore-test',
            subject: '{% $restoreTestId %}',
            body: { error: '{% $failure %}' },
          },
        },
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

function testDatabase(references: WorkflowReferences): States {
  const withEndpoint = "{% $merge([$database, {'endpoint': $endpoint}]) %}";
  return {
    StartAt: 'Database',
    States: {
      Database: {
        Type: 'Pass',
        Assign: { database: '{% $states.input %}', restored: false, databasePhases: [] },
        Next: 'RestoreDatabase',
      },
      RestoreDatabase: invoke(references, 'restore-test/restore-database', {
        Payload: '{% $database %}',
        Assign: {
          instanceId: '{% $states.result.Payload.instanceId %}',
          databasePhaseStartedAt: `{% ${ENTERED_AT} %}`,
        },
        attempts: BUSY_SNAPSHOT_ATTEMPTS,
        Catch: catchDatabase,
        Next: 'DescribeInstance',
      }),
      DescribeInstance: invoke(references, 'restore-test/describe-instance', {
        Payload: { instanceId: '{% $instanceId %}' },
        Catch: catchDatabase,
        Next: 'IsInstanceAvailable',
      }),
      IsInstanceAvailable: {
        Type: 'Choice',
        Choices: [
          {
            Condition: '{% $states.input.available %}',
            Assign: { endpoint: '{% $states.input.endpoint %}', restored: true, ...endDatabasePhase('restore') },
            Next: 'Hydrate',
          },
          {
            Condition: longerThan(RESTORE_HOURS, 'databasePhaseStartedAt'),
            Assign: { databaseFailure: 'RestoreTimedOutError' },
            Next: 'DatabaseNotTested',
          },
        ],
        Default: 'WaitForInstance',
      },
      WaitForInstance: { Type: 'Wait', Seconds: untilAskingAgain('databasePhaseStartedAt'), Next: 'DescribeInstance' },
      Hydrate: invoke(references, 'restore-test/hydrate', {
        Payload: withEndpoint,
        Catch: catchDatabase,
        Next: 'IsHydrated',
      }),
      IsHydrated: {
        Type: 'Choice',
        Choices: [
          { Condition: '{% $states.input.done %}', Assign: endDatabasePhase('hydrate'), Next: 'VerifyDatabase' },
        ],
        Default: 'Hydrate',
      },
      VerifyDatabase: invoke(references, 'restore-test/verify-database', {
        Payload: withEndpoint,
        Catch: catchDatabase,
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
      DatabaseNotTested: {
        Type: 'Pass',
        Output: {
          databaseId: '{% $database.databaseId %}',
          verification: null,
          failure: '{% $databaseFailure %}',
          restored: '{% $restored %}',
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
      Tenant: { Type: 'Pass', Assign: { item: '{% $states.input.item %}', cursor: null }, Next: 'VerifyObjects' },
      VerifyObjects: invoke(references, 'restore-test/verify-objects', {
        Payload: { item: '{% $item %}', cursor: '{% $cursor %}' },
        Assign: { cursor: '{% $states.result.Payload.cursor %}' },
        Catch: catchAll('ObjectsNotVerified', 'objectFailure'),
        Next: 'AreObjectsVerified',
      }),
      AreObjectsVerified: {
        Type: 'Choice',
        Choices: [{ Condition: '{% $states.input.result != null %}', Next: 'ObjectsVerified' }],
        Default: 'VerifyObjects',
      },
      ObjectsVerified: { Type: 'Pass', Output: '{% $states.input.result %}', End: true },
      ObjectsNotVerified: { Type: 'Fail', Error: '{% $objectFailure %}', Cause: '{% $objectFailureCause %}' },
    },
  };
}

const catchDatabase = catchAll('DatabaseNotTested', 'databaseFailure');

function keepFirst(error: string): { failure: string } {
  return { failure: `{% $failure = null ? ${error} : $failure %}` };
}

function endPhase(phase: string): string {
  return appendPhase(phase, 'phases', 'phaseStartedAt');
}

function endDatabasePhase(phase: string): { databasePhases: string; databasePhaseStartedAt: string } {
  return {
    databasePhases: appendPhase(phase, 'databasePhases', 'databasePhaseStartedAt'),
    databasePhaseStartedAt: `{% ${ENTERED_AT} %}`,
  };
}

function appendPhase(phase: string, phases: string, startedAt: string): string {
  return `{% $append($${phases}, {'phase': '${phase}', 'startedAt': $${startedAt}, 'durationMs': ${elapsedMs(startedAt)}}) %}`;
}
