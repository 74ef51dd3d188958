import { CfnRule } from 'aws-cdk-lib/aws-events';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import type { LedgerKind } from '../../functions/contracts/ledger.ts';
import { STOPPABLE_WORKFLOWS, stoppedRunRuleName } from '../../functions/contracts/stopped-runs.ts';
import { workflowName } from '../access/role-names.ts';
import { REGION } from '../config/configuration.ts';
import { RECOVERY_POINT_INCOMPLETE } from '../workflows/daily-backup.ts';
import { VERDICT_ERRORS } from '../workflows/restore-test.ts';
import { letRulesCall } from './rule-calls.ts';

/** `recorded`: the errors of runs whose result the workflow has recorded before it ends by them. */
const FAILURES = {
  'daily-backup': { kind: 'backup.failed', event: 'backup-failed', recorded: [RECOVERY_POINT_INCOMPLETE] },
  'restore-test': {
    kind: 'restore-test.failed',
    event: 'restore-test-failed',
    recorded: Object.values(VERDICT_ERRORS),
  },
} as const satisfies Record<
  (typeof STOPPABLE_WORKFLOWS)[number],
  { kind: LedgerKind; event: string; recorded: readonly string[] }
>;

/**
 * Records a backup or restore test that was stopped, ran out of time, or failed without a result: by an error of Step
 * Functions itself (an expression of a state that can catch nothing, a limit), or of a step. Of the latter the workflow
 * writes an entry itself (`RecordFailure`), unless that fails as well: nobody can tell from the event, and the entry here has
 * the same event id, so that each run fails once. The id holds the run's start: its name may be given again.
 * Of the event only the execution's name, start and status are handed on, never its input. Events come on a best effort
 * basis; what is missed still alarms by its silence. What cannot be delivered or recorded waits in `undelivered`.
 * https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html
 * https://docs.aws.amazon.com/eventbridge/latest/ref/events-ref-states.html
 */
export class StoppedRunRules extends Construct {
  constructor(scope: Construct, id: string, account: string, undelivered: Queue) {
    super(scope, id);
    // Workflows wait for the function's answer: its retries and its queue are of what rules call alone.
    const functionArn = letRulesCall(this, {
      step: 'evidence/append-entry',
      account,
      rules: stoppedRunRuleName('*'),
      undelivered,
      sid: 'StoppedRunsLeaveWhatTheyCannotDeliver',
    });
    for (const workflow of STOPPABLE_WORKFLOWS) {
      const { kind, event, recorded } = FAILURES[workflow];
      new CfnRule(this, workflow, {
        name: stoppedRunRuleName(workflow),
        description: `A run of ${workflowName(workflow)} was stopped, ran out of time, or failed without a result.`,
        state: 'ENABLED',
        eventPattern: {
          source: ['aws.states'],
          'detail-type': ['Step Functions Execution Status Change'],
          detail: {
            $or: [
              { status: ['ABORTED', 'TIMED_OUT'] },
              // What is not there, or null, is not anything.
              { status: ['FAILED'], error: [{ 'anything-but': recorded }, { exists: false }, null] },
            ],
            // Whole: the children of a distributed map have the map's label behind it.
            stateMachineArn: [`arn:aws:states:${REGION}:${account}:stateMachine:${workflowName(workflow)}`],
          },
        },
        targets: [
          {
            id: 'record',
            arn: functionArn,
            // An execution's name and status hold nothing that JSON would have to escape; its start is a number of milliseconds.
            // https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_InputTransformer.html
            inputTransformer: {
              inputPathsMap: { name: '$.detail.name', start: '$.detail.startDate', status: '$.detail.status' },
              inputTemplate: `{"draft":{"eventId":"${event}/<name>/<start>","kind":"${kind}","actor":"workflow/${workflow}","subject":<name>,"body":{"error":<status>}}}`,
            },
            deadLetterConfig: { arn: undelivered.queueArn },
          },
        ],
      });
    }
  }
}
