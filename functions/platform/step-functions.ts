import { DescribeExecutionCommand, SFNClient, SFNServiceException, StartExecutionCommand } from '@aws-sdk/client-sfn';
import type { Deployment } from '../contracts/configuration.ts';
import { describeError, PermanentError, RetryableError } from './errors.ts';
import { awsClient } from './runtime.ts';

/** Step Functions refused the request for a lasting reason. */
export class WorkflowServiceError extends PermanentError {}

async function callStepFunctions<T>(what: string, call: (client: SFNClient) => Promise<T>): Promise<T> {
  try {
    return await call(awsClient(SFNClient));
  } catch (cause) {
    const status = cause instanceof SFNServiceException ? cause.$metadata.httpStatusCode : undefined;
    const name = cause instanceof Error ? cause.name : '';
    if (name === 'ExecutionDoesNotExist' || name === 'ExecutionAlreadyExists') throw cause;
    const text = `${what}: ${describeError(cause)}`;
    // A limit of executions that run at once is a wait, too.
    if (status === undefined || status >= 500 || /Throttling|LimitExceeded/.test(name)) {
      throw new RetryableError(text, { cause });
    }
    throw new WorkflowServiceError(text, { cause });
  }
}

/** How an execution stands. */
export interface ReadExecution {
  readonly status: string;
  /** JSON, once it has succeeded. */
  readonly output: string | undefined;
  /** Its error's name, once it has failed: of one that somebody stopped, what that person gave. */
  readonly error: string | undefined;
  /** Once it has failed. */
  readonly cause: string | undefined;
}

/** Reads how an execution stands. */
export async function readExecution(executionArn: string): Promise<ReadExecution> {
  const { status, output, error, cause } = await callStepFunctions(executionArn, client =>
    client.send(new DescribeExecutionCommand({ executionArn })),
  );
  return { status: status ?? 'RUNNING', output, error, cause };
}

/**
 * Starts an execution of `daybreak-<workflow>` under a name, once: an execution of that name, running or ended within the
 * last 90 days, stays the only one.
 * https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
 */
export async function startExecution(
  { region, accountId }: Pick<Deployment, 'region' | 'accountId'>,
  workflow: string,
  name: string,
  input: Readonly<Record<string, unknown>>,
): Promise<{ executionArn: string; started: boolean }> {
  const arn = (kind: string) => `arn:aws:states:${region}:${accountId}:${kind}:daybreak-${workflow}`;
  const executionArn = `${arn('execution')}:${name}`;
  try {
    // StartExecution answers the same for a new execution and for one that runs already.
    await callStepFunctions(name, client => client.send(new DescribeExecutionCommand({ executionArn })));
    return { executionArn, started: false };
  } catch (error) {
    if (!(error instanceof Error && error.name === 'ExecutionDoesNotExist')) throw error;
  }
  try {
    await callStepFunctions(name, client =>
      client.send(
        new StartExecutionCommand({ stateMachineArn: arn('stateMachine'), name, input: JSON.stringify(input) }),
      ),
    );
    return { executionArn, started: true };
  } catch (error) {
    if (error instanceof Error && error.name === 'ExecutionAlreadyExists') return { executionArn, started: false };
    throw error;
  }
}
