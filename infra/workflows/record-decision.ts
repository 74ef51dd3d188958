import { catchAll, invoke, type WorkflowDefinition, type WorkflowReferences } from './states-language.ts';

/** Every try of both functions, and what they wait for between: `test/infra/workflows/deadlines.test.ts` adds it up. */
const TIMEOUT_SECONDS = 5 * 60 * 60;

/**
 * Records what a person decided. Whoever may start it writes these entries and no other: the step names the kinds that a
 * person's hand may record, and the appender is called with what it returned alone. Who started it stands in CloudTrail.
 */
export function recordDecision(references: WorkflowReferences): WorkflowDefinition {
  return {
    Comment:
      'Records what a person decided: that a loss is explained, that policies are upgraded, what changed in the register',
    QueryLanguage: 'JSONata',
    TimeoutSeconds: TIMEOUT_SECONDS,
    StartAt: 'Check',
    States: {
      Check: invoke(references, 'evidence/check-decision', {
        Payload: { decision: '{% $states.input.decision %}' },
        Catch: catchAll('NotRecorded'),
        Next: 'Record',
      }),
      Record: invoke(references, 'evidence/append-entry', {
        Payload: { draft: '{% $states.input.draft %}' },
        Catch: catchAll('NotRecorded'),
        Next: 'Recorded',
      }),
      Recorded: { Type: 'Succeed', Output: { sequence: '{% $states.input.sequence %}' } },
      NotRecorded: { Type: 'Fail', Error: '{% $failure %}', Cause: '{% $failureCause %}' },
    },
  };
}
