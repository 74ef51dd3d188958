import { catchAll, invoke, type WorkflowDefinition, type WorkflowReferences } from './states-language.ts';

/** Before the next one begins. */
const TIMEOUT_SECONDS = 50 * 60;
/** An instance that is gone is not found again: its entry is worth half an hour. */
const RECORD_ATTEMPTS = 16;

/** The janitor: removes the instances that dead restore tests left, and records each. */
export function removeAbandoned(references: WorkflowReferences): WorkflowDefinition {
  return {
    Comment: 'Removes the databases that dead restore tests left',
    QueryLanguage: 'JSONata',
    TimeoutSeconds: TIMEOUT_SECONDS,
    StartAt: 'Remove',
    States: {
      Remove: invoke(references, 'restore-test/remove-abandoned', {
        Payload: '{% $states.input %}',
        Assign: { failure: '{% $states.result.Payload.failure %}' },
        Catch: catchAll('NotRemoved'),
        Next: 'RecordAll',
      }),
      RecordAll: {
        Type: 'Map',
        Items: '{% $states.input.drafts %}',
        MaxConcurrency: 1,
        ItemProcessor: {
          ProcessorConfig: { Mode: 'INLINE' },
          StartAt: 'Record',
          States: {
            Record: invoke(references, 'evidence/append-entry', {
              Payload: { draft: '{% $states.input %}' },
              attempts: RECORD_ATTEMPTS,
              Catch: catchAll('NotRecorded', 'recordFailure'),
              End: true,
            }),
            NotRecorded: { Type: 'Fail', Error: '{% $recordFailure %}', Cause: '{% $recordFailureCause %}' },
          },
        },
        Catch: catchAll('NotRemoved'),
        Next: 'AreAllRemoved',
      },
      AreAllRemoved: {
        Type: 'Choice',
        Choices: [{ Condition: '{% $failure = null %}', Next: 'Removed' }],
        Default: 'NotRemoved',
      },
      Removed: { Type: 'Succeed', Output: {} },
      NotRemoved: {
        Type: 'Fail',
        Error: '{% $failure %}',
        Cause: 'an instance that a restore test left was not removed; see runbooks/restored-instance-left.md',
      },
    },
  };
}
