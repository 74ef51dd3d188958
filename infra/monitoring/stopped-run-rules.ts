import { CfnRule } from 'aws-cdk-lib/aws-events';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import type { LedgerKind } from '../../functions/contracts/ledger.ts';
import { STOPPABLE_WORKFLOWS, stoppedRunRuleName } from '../../functions/contracts/stopped-runs.ts';
import { workflowName } from '../access/role-names.ts';
import { REGION } from '../config/configuration.ts';
import { letRulesCall } from './rule-calls.ts';

const FAILURES = {
  'daily-backup': { kind: 'backup.failed', eventId: 'backup-failed/<name>' },
  'restore-test': { kind: 'restore-test.failed', eventId: 'restore-test-failed/<name>' },
} as const satisfies Record<(typeof STOPPABLE_WORKFLOWS)[number], { kind: LedgerKind; eventId: string }>;

/**
 * Records a backup or restore test that was stopped, ran out of time, or failed by an error of Step Functions itself (an
 * expression of a state that can catch nothing, a limit): then no state of it runs any more, which could.
 * The entry has the event id of the workflow's own (`RecordFailure`), so that each run fails once. Of the event only the
 * execution's name and status are handed on, never its input. Events come on a best effort basis; what is missed still
 * alarms by its silence. What cannot be delivered or recorded waits in `undelivered`.
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
      const { kind, eventId } = FAILURES[workflow];
      new CfnRule(this, workflow, {
        name: stoppedRunRuleName(workflow),
        description: `A run of ${workflowName(workflow)} was stopped, ran out of time, or failed by itself.`,
        state: 'ENABLED',
        eventPattern: {
          source: ['aws.states'],
          'detail-type': ['Step Functions Execution Status Change'],
          detail: {
            $or: [{ status: ['ABORTED', 'TIMED_OUT'] }, { status: ['FAILED'], error: [{ prefix: 'States.' }] }],
            // Whole: the children of a distributed map have the map's label behind it.
            stateMachineArn: [`arn:aws:states:${REGION}:${account}:stateMachine:${workflowName(workflow)}`],
          },
        },
        targets: [
          {
            id: 'record',
            arn: functionArn,
            // An execution's name and status hold nothing that JSON would have to escape.
            // https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_InputTransformer.html
            inputTransformer: {
              inputPathsMap: { name: '$.detail.name', status: '$.detail.status' },
              inputTemplate: `{"draft":{"eventId":"${eventId}","kind":"${kind}","actor":"workflow/${workflow}","subject":<name>,"body":{"error":<status>}}}`,
            },
            deadLetterConfig: { arn: undelivered.queueArn },
          },
        ],
      });
    }
  }
}
