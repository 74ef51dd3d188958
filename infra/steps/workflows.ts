import { executions } from './shared-permissions.ts';
import { defineSteps, KIB, MIB } from './step.ts';

export const WORKFLOW_STEPS = defineSteps({
  'workflows/start-execution': {
    limits: { timeoutMinutes: 3, memoryMib: 512, spoolMib: 512 },
    builtFor: { items: 1, of: 'executions', bytes: MIB, payloadBytes: KIB },
    placement: 'outside',
    callers: ['schedule'],
    environment: 'nothing more',
    permissions: ({ stateMachineArns }) => [
      { actions: ['states:StartExecution'], resources: stateMachineArns },
      { actions: ['states:DescribeExecution'], resources: stateMachineArns.map(executions) },
    ],
  },
});
