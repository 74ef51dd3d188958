import validate from 'asl-validator';
import { describe, expect, it } from 'vitest';
import { DEFINITIONS } from '../../../infra/workflows/definitions.ts';
import { parseDefinition } from '../../../infra/workflows/language/definition.ts';

const references = {
  functionArn: (step: string) => `arn:aws:lambda:eu-west-2:111122223333:function:daybreak-${step.replace('/', '-')}`,
  workBucket: 'work',
  atOnce: { tenants: 7, databases: 3 },
};

interface Task {
  Type?: string;
  TimeoutSeconds?: number | string;
  Retry?: Retrier[];
}

interface Retrier {
  ErrorEquals: string[];
  IntervalSeconds: number;
  BackoffRate: number;
  MaxAttempts: number;
  MaxDelaySeconds: number;
  JitterStrategy?: string;
}

/** All the waits of a retrier together. */
const waitSeconds = ({ IntervalSeconds, BackoffRate, MaxAttempts, MaxDelaySeconds }: Retrier): number =>
  Array.from({ length: MaxAttempts }, (_, used) =>
    Math.min(MaxDelaySeconds, IntervalSeconds * BackoffRate ** used),
  ).reduce((sum, seconds) => sum + seconds, 0);

function tasksIn(value: unknown): Task[] {
  if (value === null || typeof value !== 'object') return [];
  const inner = Object.values(value).flatMap(tasksIn);
  return (value as Task).Type === 'Task' ? [value as Task, ...inner] : inner;
}

describe.each(Object.entries(DEFINITIONS))('the definition of %s', (_name, workflow) => {
  const definition = JSON.parse(JSON.stringify(workflow(references)));

  it('is valid Amazon States Language', () => {
    expect(validate(structuredClone(definition))).toMatchObject({ isValid: true, errors: [] });
  });

  it('is of the part that the local cloud runs', () => {
    expect(parseDefinition(definition).timeoutSeconds).toBeLessThan(24 * 60 * 60);
  });

  it('retries every task by the exact names of passing errors, and bounds its time', () => {
    const tasks = tasksIn(definition);
    expect(tasks.length).toBeGreaterThan(1);
    for (const { Retry = [], TimeoutSeconds } of tasks) {
      expect(Retry.map(({ ErrorEquals }) => ErrorEquals)).toEqual([
        [
          'Lambda.ResourceNotReadyException',
          'Lambda.ResourceConflictException',
          'Lambda.CodeArtifactUserPendingException',
          'Lambda.CodeArtifactUserDeletedException',
          'Lambda.ENINotReadyException',
          'Lambda.EC2ThrottledException',
          'Lambda.EC2UnexpectedException',
        ],
        ['Lambda.ClientExecutionTimeoutException', 'Lambda.Unknown'],
        ['RetryableError', 'Lambda.ServiceException', 'Lambda.AWSLambdaException', 'Lambda.SdkClientException'],
        ['Sandbox.Timedout', 'Runtime.ExitError', 'States.Timeout'],
        ['Lambda.TooManyRequestsException'],
      ]);
      const most =
        typeof TimeoutSeconds === 'number' ? TimeoutSeconds : /\$min\(\[(\d+), /.exec(TimeoutSeconds ?? '')?.[1];
      expect([240, 960]).toContain(Number(most));
    }
  });

  it('waits ten minutes for a function that wakes, in full, and as long for one of which nothing is known', () => {
    for (const { Retry = [] } of tasksIn(definition)) {
      expect(Retry.slice(0, 2).map(waitSeconds)).toEqual([620, 600]);
      expect(Retry.slice(0, 2).map(({ JitterStrategy }) => JitterStrategy)).toEqual([undefined, undefined]);
    }
  });
});
