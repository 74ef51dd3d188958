import type { BusEvent } from '../events/service.ts';
import type { Execution } from './execution.ts';

/** Larger input and output together are left out. */
const INCLUDED_LIMIT_BYTES = 248 * 1024;

/**
 * What Step Functions tells EventBridge when the status of an execution changes; of an Express one, nothing: undefined.
 * https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html
 */
export function executionStatusEvent(execution: Execution, time: Date): BusEvent | undefined {
  const { arn, name, stateMachineArn, status, startDate, stopDate, error, cause } = execution;
  if (arn.includes(':express:')) return undefined;
  const input = JSON.stringify(execution.input);
  const output = execution.output === undefined ? null : JSON.stringify(execution.output);
  const included = Buffer.byteLength(JSON.stringify([input, output])) <= INCLUDED_LIMIT_BYTES;
  return {
    source: 'aws.states',
    'detail-type': 'Step Functions Execution Status Change',
    time: `${time.toISOString().slice(0, 19)}Z`,
    resources: [arn],
    detail: {
      executionArn: arn,
      stateMachineArn,
      name,
      status,
      startDate: startDate.getTime(),
      stopDate: stopDate?.getTime() ?? null,
      input: included ? input : null,
      inputDetails: { included },
      output: included ? output : null,
      outputDetails: output === null ? null : { included },
      error: error ?? null,
      cause: cause ?? null,
    },
  };
}
