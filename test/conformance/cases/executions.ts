import { CreateScheduleCommand, DeleteScheduleCommand } from '@aws-sdk/client-scheduler';
import {
  CreateStateMachineCommand,
  DeleteStateMachineCommand,
  DescribeExecutionCommand,
  ListExecutionsCommand,
  StartExecutionCommand,
} from '@aws-sdk/client-sfn';
import { answer, type ConformanceCase, NotTriedError } from '../case.ts';
import { PREFIX } from '../names.ts';
import type { Scratch } from '../scratch.ts';

/** Passes after a while, so that there is something that runs. */
const DEFINITION = JSON.stringify({
  QueryLanguage: 'JSONata',
  StartAt: 'Wait',
  States: { Wait: { Type: 'Wait', Seconds: 20, Next: 'End' }, End: { Type: 'Succeed' } },
});

function roleOf({ connection }: Scratch): string {
  if (connection.roleArn === undefined) throw new NotTriedError('it needs a role: --role ARN');
  return connection.roleArn;
}

async function withStateMachine<T>(
  scratch: Scratch,
  purpose: string,
  work: (stateMachineArn: string) => Promise<T>,
): Promise<T> {
  const { stateMachineArn = '' } = await scratch.states.send(
    new CreateStateMachineCommand({
      name: `${PREFIX}${scratch.run}-${purpose}`,
      definition: DEFINITION,
      roleArn: roleOf(scratch),
    }),
  );
  try {
    return await work(stateMachineArn);
  } finally {
    await scratch.states.send(new DeleteStateMachineCommand({ stateMachineArn }));
  }
}

/** What needs a role that Step Functions and EventBridge Scheduler may assume. */
export const executionCases: readonly ConformanceCase[] = [
  {
    service: 'Step Functions',
    name: 'a second start under the same name finds the execution that runs, and refuses another input and one that ended',
    restsOn: 'functions/platform/step-functions.ts: a schedule that fires twice starts one backup',
    page: 'https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html',
    needs: 'role',
    expected: { same: true, otherInput: '400 ExecutionAlreadyExists', ended: '400 ExecutionAlreadyExists' },
    observe: scratch =>
      withStateMachine(scratch, 'starts', async stateMachineArn => {
        const start = (input: string) =>
          scratch.states.send(new StartExecutionCommand({ stateMachineArn, name: 'once', input }));
        const [first, second, otherInput] = await scratch.connection.hold(
          async () => [await start('{"a":1}'), await start('{"a":1}'), await answer(start('{"a":2}'))] as const,
        );
        await scratch.askUntil('SUCCEEDED', async () => {
          const { executionArn } = first;
          return (await scratch.states.send(new DescribeExecutionCommand({ executionArn }))).status ?? '';
        });
        const same = first.executionArn !== undefined && first.executionArn === second.executionArn;
        return { same, otherInput, ended: await answer(start('{"a":1}')) };
      }),
  },
  {
    service: 'EventBridge Scheduler',
    name: '<aws.scheduler.scheduled-time> is the instant of the schedule in UTC, without milliseconds',
    restsOn: 'functions/workflows/start-execution.ts: readInstant',
    page: 'https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html',
    needs: 'role',
    expected: { equal: true, form: '0000-00-00T00:00:00Z' },
    observe: scratch =>
      withStateMachine(scratch, 'schedule', async stateMachineArn => {
        const Name = `${PREFIX}${scratch.run}`;
        // The next full minute but one: a schedule begins within a minute of its instant.
        const at = new Date(Math.ceil(scratch.now().getTime() / 60_000 + 1) * 60_000);
        const Input = JSON.stringify({
          StateMachineArn: stateMachineArn,
          Input: JSON.stringify({ scheduledAt: '<aws.scheduler.scheduled-time>' }),
        });
        await scratch.scheduler.send(
          new CreateScheduleCommand({
            Name,
            ScheduleExpression: `at(${at.toISOString().slice(0, 19)})`,
            ScheduleExpressionTimezone: 'UTC',
            FlexibleTimeWindow: { Mode: 'OFF' },
            Target: { Arn: 'arn:aws:scheduler:::aws-sdk:sfn:startExecution', RoleArn: roleOf(scratch), Input },
          }),
        );
        try {
          const list = async () =>
            (await scratch.states.send(new ListExecutionsCommand({ stateMachineArn }))).executions ?? [];
          const limit = { everyMs: 10_000, forMs: 240_000 };
          await scratch.askUntil('1', async () => String((await list()).length), limit);
          const executionArn = (await list())[0]?.executionArn;
          if (executionArn === undefined) return { equal: false, form: 'nothing was started within four minutes' };
          const { input = '{}' } = await scratch.states.send(new DescribeExecutionCommand({ executionArn }));
          const { scheduledAt = '' } = JSON.parse(input) as { scheduledAt?: string };
          return { equal: Date.parse(scheduledAt) === at.getTime(), form: scheduledAt.replaceAll(/\d/g, '0') };
        } finally {
          await scratch.scheduler.send(new DeleteScheduleCommand({ Name }));
        }
      }),
  },
];
