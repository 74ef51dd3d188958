import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { CfnEventInvokeConfig, CfnPermission } from 'aws-cdk-lib/aws-lambda';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { type Step, stepName } from '../access/role-names.ts';
import { REGION } from '../config/configuration.ts';

interface RuleCalls {
  readonly step: Step;
  readonly account: string;
  /** The rules, by name; `*` stands for any text. */
  readonly rules: string;
  /** Where events wait that cannot be delivered, or that the step fails with. */
  readonly undelivered: Queue;
  /** What the queue's policy calls that. */
  readonly sid: string;
}

/**
 * Lets EventBridge rules call a step; what cannot be delivered, or fails three times, waits in a queue.
 * https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-configuring.html
 * @returns the ARN of the step's function.
 */
export function letRulesCall(scope: Construct, { step, account, rules, undelivered, sid }: RuleCalls): string {
  const functionName = stepName(step);
  const functionArn = `arn:aws:lambda:${REGION}:${account}:function:${functionName}`;
  const ruleArns = `arn:aws:events:${REGION}:${account}:rule/${rules}`;
  new CfnEventInvokeConfig(scope, 'Invocation', {
    functionName,
    qualifier: '$LATEST',
    maximumRetryAttempts: 2,
    maximumEventAgeInSeconds: 6 * 60 * 60,
    destinationConfig: { onFailure: { destination: undelivered.queueArn } },
  });
  new CfnPermission(scope, 'RulesInvoke', {
    action: 'lambda:InvokeFunction',
    functionName: functionArn,
    principal: 'events.amazonaws.com',
    sourceArn: ruleArns,
    sourceAccount: account,
  });
  undelivered.addToResourcePolicy(
    new PolicyStatement({
      sid,
      principals: [new ServicePrincipal('events.amazonaws.com')],
      actions: ['sqs:SendMessage'],
      resources: [undelivered.queueArn],
      conditions: { ArnLike: { 'aws:SourceArn': ruleArns } },
    }),
  );
  return functionArn;
}
