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
  Retry?: { ErrorEquals: string[]; MaxAttempts: number }[];
}

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
    for (const { Retry, TimeoutSeconds } of tasks) {
      expect(Retry?.[0]?.ErrorEquals).toEqual([
        'RetryableError',
        'Lambda.ServiceException',
        'Lambda.AWSLambdaException',
        'Lambda.SdkClientException',
      ]);
      expect(Retry?.flatMap(({ ErrorEquals }) => ErrorEquals)).toContain('Lambda.TooManyRequestsException');
      const most =
        typeof TimeoutSeconds === 'number' ? TimeoutSeconds : /\$min\(\[(\d+), /.exec(TimeoutSeconds ?? '')?.[1];
      expect([240, 960]).toContain(Number(most));
    }
  });
});

it.each<[keyof typeof DEFINITIONS, number[]]>([
  // Snapshots and copies are asked for and waited for, of up to 40 instances.
  ['daily-backup', [3, 7, 40]],
  ['restore-test', [3, 7]],
  // Entries are written one by one.
  ['remove-abandoned', [1]],
  ['record-decision', []],
])('%s does as much at once as it is told', (name, limits) => {
  const found = JSON.stringify(DEFINITIONS[name](references)).matchAll(/"MaxConcurrency":(\d+)/g);
  expect(new Set(Array.from(found, ([, limit]) => Number(limit)))).toEqual(new Set(limits));
});
