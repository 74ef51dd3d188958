import {
  DescribeExecutionCommand,
  ExecutionAlreadyExists,
  ExecutionDoesNotExist,
  SFNClient,
  SFNServiceException,
  StartExecutionCommand,
} from '@aws-sdk/client-sfn';
import { beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../functions/platform/clock.ts';
import { withRuntime } from '../../../functions/platform/runtime.ts';
import { handler } from '../../../functions/workflows/start-execution.ts';
import { mockClientHere } from '../../fixtures/mock-client.ts';

const client = mockClientHere(SFNClient);
const stateMachineArn = 'arn:aws:states:eu-west-2:111122223333:stateMachine:daybreak-daily-backup';
const executionArn =
  'arn:aws:states:eu-west-2:111122223333:execution:daybreak-daily-backup:daily-backup-20261122T023000Z';
const environment = {
  DAYBREAK_CONFIGURATION: JSON.stringify({
    databases: [],
    buckets: [],
    restoreTest: { subnetGroupName: 'daybreak-restore-test', securityGroupId: 'sg-00000000' },
  }),
  DAYBREAK_DEPLOYMENT: JSON.stringify({
    accountId: '111122223333',
    region: 'eu-west-2',
    vaultBucket: 'vault',
    evidenceBucket: 'evidence',
    workBucket: 'work',
    registerBucket: 'register',
    vaultKeyArn: 'vault-key',
    signingKeyArn: 'signing-key',
    tenantIdKeyArn: 'tenant-id-key',
    ledgerKeyArn: 'ledger-key',
    entryKeyArn: 'entry-key',
    registerKeyArn: 'register-key',
  }),
};

const error = (name: string, httpStatusCode: number) =>
  new SFNServiceException({ name, $fault: 'client', message: name, $metadata: { httpStatusCode } });
const doesNotExist = new ExecutionDoesNotExist({ message: 'no', $metadata: { httpStatusCode: 400 } });
const alreadyExists = new ExecutionAlreadyExists({ message: 'there', $metadata: { httpStatusCode: 400 } });

function start(scheduledAt: string) {
  return withRuntime(
    { environment, clock: systemClock, clientConfiguration: {}, writeLine: () => {}, instances: new Map() },
    () => handler({ workflow: 'daily-backup', scheduledAt }, { getRemainingTimeInMillis: () => 180_000 }),
  );
}

beforeEach(() => client.reset());

describe('starting a scheduled execution', () => {
  it('starts none for an instant that has not come yet, in whose place it would stand', async () => {
    const tomorrow = new Date(systemClock.now().getTime() + 24 * 60 * 60_000).toISOString();
    await expect(start(tomorrow)).rejects.toMatchObject({ name: 'ScheduledInstantError' });
    expect(client.calls()).toEqual([]);
  });

  it.each(['2026-11-22T02:30:00Z', '2026-11-22T02:30:00.000Z'])('names it from its instant, %s', async scheduledAt => {
    client.on(DescribeExecutionCommand, { executionArn }).rejects(doesNotExist);
    client.on(StartExecutionCommand).resolves({ executionArn });
    expect(await start(scheduledAt)).toEqual({ executionArn, started: true });
    expect(client.commandCalls(StartExecutionCommand).map(({ args }) => args[0].input)).toEqual([
      { stateMachineArn, name: 'daily-backup-20261122T023000Z', input: '{"scheduledAt":"2026-11-22T02:30:00.000Z"}' },
    ]);
  });

  it('leaves an execution that is there alone', async () => {
    client.on(DescribeExecutionCommand, { executionArn }).resolves({ executionArn, status: 'FAILED' });
    expect(await start('2026-11-22T02:30:00Z')).toEqual({ executionArn, started: false });
    expect(client.commandCalls(StartExecutionCommand)).toEqual([]);
  });

  it('loses a race against a second delivery', async () => {
    client.on(DescribeExecutionCommand).rejects(doesNotExist);
    client.on(StartExecutionCommand).rejects(alreadyExists);
    expect(await start('2026-11-22T02:30:00Z')).toEqual({ executionArn, started: false });
  });

  it.each([
    ['ThrottlingException', 400, 'RetryableError'],
    ['ExecutionLimitExceeded', 400, 'RetryableError'],
    ['InternalFailure', 500, 'RetryableError'],
    ['StateMachineDoesNotExist', 400, 'WorkflowServiceError'],
    ['AccessDeniedException', 403, 'WorkflowServiceError'],
  ])('turns %s (%i) into %s', async (name, status, expected) => {
    client.on(DescribeExecutionCommand).rejects(doesNotExist);
    client.on(StartExecutionCommand).rejects(error(name, status));
    await expect(start('2026-11-22T02:30:00Z')).rejects.toMatchObject({ name: expected });
  });

  it.each(['<aws.scheduler.scheduled-time>', '2026-11-22', '2026-13-22T02:30:00Z', '2026-11-22T02:30:00+01:00', ''])(
    'refuses %j, which is no instant in UTC',
    async scheduledAt => {
      await expect(start(scheduledAt)).rejects.toMatchObject({ name: 'ScheduledInstantError' });
      expect(client.calls()).toEqual([]);
    },
  );
});
