import {
  afterStart,
  catchAll,
  invoke,
  isPast,
  type States,
  type WorkflowDefinition,
  type WorkflowReferences,
} from './states-language.ts';

/** Before the next one begins. */
const TIMEOUT_SECONDS = 50 * 60;
/** An instance or snapshot that is gone is not found again: its entry is worth half an hour. */
const RECORD_ATTEMPTS = 16;
/** So long what may pass (throttling, a state that does not allow it now) is tried again, a minute apart. */
const TRYING_HOURS = 0.25;
const SECONDS_BETWEEN_TRIES = 60;

/**
 * The janitor: removes the instances that dead restore tests left, and the snapshots that backups left, and records each.
 * Neither of the two keeps the other from its work.
 */
export function removeAbandoned(references: WorkflowReferences): WorkflowDefinition {
  return {
    Comment: 'Removes the databases that dead restore tests left, and the snapshots that backups left',
    QueryLanguage: 'JSONata',
    TimeoutSeconds: TIMEOUT_SECONDS,
    StartAt: 'RemoveAll',
    States: {
      // No branch fails, so neither ends the other.
      RemoveAll: {
        Type: 'Parallel',
        Branches: [removeInstances(references), removeSnapshots(references)],
        Assign: { failures: '{% [$states.result[error != null]] %}' },
        Catch: catchAll('NotFinished'),
        Next: 'AreAllRemoved',
      },
      AreAllRemoved: {
        Type: 'Choice',
        Choices: [{ Condition: '{% $count($failures) = 0 %}', Next: 'Removed' }],
        Default: 'NotRemoved',
      },
      Removed: { Type: 'Succeed', Output: {} },
      NotRemoved: {
        Type: 'Fail',
        Error: '{% $failures[0].error %}',
        Cause: "{% $join($failures.cause, '; ') %}",
      },
      NotFinished: { Type: 'Fail', Error: '{% $failure %}', Cause: '{% $failureCause %}' },
    },
  };
}

function removeInstances(references: WorkflowReferences): States {
  return {
    StartAt: 'BeginInstances',
    States: {
      BeginInstances: { Type: 'Pass', Assign: { instanceEndsAt: afterStart(TRYING_HOURS) }, Next: 'RemoveInstances' },
      RemoveInstances: invoke(references, 'restore-test/remove-abandoned', {
        Payload: {},
        Assign: { instanceFailure: '{% $states.result.Payload.failure %}' },
        Catch: catchAll('InstancesNotRemoved', 'instanceError'),
        Next: 'RecordInstances',
      }),
      ...recordAndTryAgain(references, {
        thing: 'Instance',
        variable: 'instance',
        page: 'restored-instance-left.md',
        what: 'what restore tests left was not removed',
      }),
    },
  };
}

/** The plan is made once, and handed to each try, so that what an earlier one removed is recorded whatever became of it. */
function removeSnapshots(references: WorkflowReferences): States {
  return {
    StartAt: 'PlanSnapshots',
    States: {
      PlanSnapshots: invoke(references, 'backup/remove-unproved', {
        Payload: { moment: 'plan' },
        Assign: { snapshotEndsAt: afterStart(TRYING_HOURS), planned: '{% $states.result.Payload.planned %}' },
        Catch: catchAll('SnapshotsNotRemoved', 'snapshotError'),
        Next: 'RemoveSnapshots',
      }),
      RemoveSnapshots: invoke(references, 'backup/remove-unproved', {
        Payload: { moment: 'remove', planned: '{% $planned %}' },
        Assign: { snapshotFailure: '{% $states.result.Payload.failure %}' },
        Catch: catchAll('SnapshotsNotRemoved', 'snapshotError'),
        Next: 'RecordSnapshots',
      }),
      ...recordAndTryAgain(references, {
        thing: 'Snapshot',
        variable: 'snapshot',
        page: 'unproved-snapshot-left.md',
        what: 'what backups left was not removed',
      }),
    },
  };
}

/** What both branches do after each try. The branch's output names the error, and in its cause what stays. */
function recordAndTryAgain(
  references: WorkflowReferences,
  { thing, variable, page, what }: { thing: string; variable: string; page: string; what: string },
): States['States'] {
  const [record, wait, left, notRemoved] = [`Record${thing}s`, `Wait${thing}s`, `${thing}sLeft`, `${thing}sNotRemoved`];
  const see = `see runbooks/${page}`;
  return {
    [record]: {
      Type: 'Map',
      Items: '{% $states.input.drafts %}',
      MaxConcurrency: 1,
      ItemProcessor: {
        ProcessorConfig: { Mode: 'INLINE' },
        StartAt: `Record${thing}`,
        States: {
          [`Record${thing}`]: invoke(references, 'evidence/append-entry', {
            Payload: { draft: '{% $states.input %}' },
            attempts: RECORD_ATTEMPTS,
            Catch: catchAll(`${thing}NotRecorded`, 'recordFailure'),
            End: true,
          }),
          [`${thing}NotRecorded`]: { Type: 'Fail', Error: '{% $recordFailure %}', Cause: '{% $recordFailureCause %}' },
        },
      },
      Catch: catchAll(notRemoved, `${variable}Error`),
      Next: `Are${thing}sRemoved`,
    },
    [`Are${thing}sRemoved`]: {
      Type: 'Choice',
      Choices: [
        { Condition: `{% $${variable}Failure = null %}`, Next: `${thing}sRemoved` },
        { Condition: isPast(`${variable}EndsAt`), Next: left },
        { Condition: `{% $${variable}Failure.passing %}`, Next: wait },
      ],
      Default: left,
    },
    [wait]: { Type: 'Wait', Seconds: SECONDS_BETWEEN_TRIES, Next: `Remove${thing}s` },
    [`${thing}sRemoved`]: { Type: 'Pass', Output: { error: null, cause: null }, End: true },
    [left]: {
      Type: 'Pass',
      Output: {
        error: `{% $${variable}Failure.error %}`,
        cause: `{% '${what}: ' & $join($${variable}Failure.left, ', ') & '; ${see}' %}`,
      },
      End: true,
    },
    [notRemoved]: {
      Type: 'Pass',
      Output: {
        error: `{% $${variable}Error %}`,
        cause: `{% '${what}, or not recorded: ' & $${variable}ErrorCause & '; ${see}' %}`,
      },
      End: true,
    },
  };
}
