import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { Configuration } from '../../../functions/contracts/configuration.ts';
import { PermanentError, RetryableError } from '../../../functions/platform/errors.ts';
import { handler } from '../../../functions/platform/handler.ts';
import { log } from '../../../functions/platform/log.ts';
import { packConfiguration } from '../../../functions/platform/packed-configuration.ts';
import { withRuntime } from '../../../functions/platform/runtime.ts';
import { LocalClock } from '../../../infra/local/clock.ts';

class ThrottledError extends RetryableError {}
class GoneError extends PermanentError {}

const startsAt = new Date('2026-11-30T02:30:00.000Z');
const deployment = {
  accountId: '111122223333',
  region: 'eu-west-2',
  ...{ vaultBucket: 'vault', evidenceBucket: 'evidence', workBucket: 'work', registerBucket: 'register' },
  ...{ vaultKeyArn: '', signingKeyArn: '', ledgerKeyArn: '', entryKeyArn: '', tenantIdKeyArn: '', registerKeyArn: '' },
};
const restoreTest = { subnetGroupName: 'isolated', securityGroupId: 'sg-1' };
const environment = {
  DAYBREAK_CONFIGURATION: JSON.stringify({ databases: [], buckets: [], restoreTest }),
  DAYBREAK_DEPLOYMENT: JSON.stringify(deployment),
};

const input = z.strictObject({ count: z.int(), recoveryPointId: z.string().optional() });
const output = z.strictObject({ twice: z.int() });

/** Runs one invocation. Returns what it came to, and the lines that it wrote. */
async function invoke(
  run: Parameters<typeof handler<typeof input, typeof output>>[0]['run'],
  event: unknown,
  variables: Record<string, string> = environment,
  clock = new LocalClock({ flow: 'manual', startsAt }),
) {
  const lines: Record<string, unknown>[] = [];
  const runtime = {
    environment: variables,
    clock,
    clientConfiguration: {},
    writeLine: (line: string) => lines.push(JSON.parse(line)),
    instances: new Map(),
  };
  const context = { getRemainingTimeInMillis: () => 180_000, awsRequestId: 'request-1' };
  const outcome = await withRuntime(runtime, () =>
    handler({ input, output, run })(event, context).then(
      value => ({ value }),
      error => ({ error }),
    ),
  );
  return { outcome, lines };
}

describe('a step', () => {
  it('gets its input and what it knows beside it, and gives its output', async () => {
    const seen: unknown[] = [];
    const { outcome, lines } = await invoke(
      async ({ count }, context) => {
        seen.push(context.now, context.deployment, context.configuration.databases, context.timeIsShort());
        return { twice: 2 * count };
      },
      { count: 21 },
    );
    expect(outcome).toEqual({ value: { twice: 42 } });
    expect(seen).toEqual([startsAt, deployment, [], false]);
    expect(lines.map(({ level, message }) => [level, message])).toEqual([['info', 'step done']]);
  });

  it('is told that its time is short from a minute before its end', async () => {
    const seen: boolean[] = [];
    const clock = new LocalClock({ flow: 'manual', startsAt });
    const run = async (_: unknown, { timeIsShort }: { timeIsShort(): boolean }) => {
      for (const seconds of [119, 1]) {
        await clock.advance(seconds * 1000);
        seen.push(timeIsShort());
      }
      return { twice: 0 };
    };
    await invoke(run, { count: 0 }, environment, clock);
    expect(seen).toEqual([false, true]);
  });

  it('says in each of its lines which request and recovery point it is about, and nothing of the next one', async () => {
    const { lines } = await invoke(
      async () => {
        log('info', 'half done', { rows: 3 });
        return { twice: 0 };
      },
      { count: 1, recoveryPointId: '20261130t023000z' },
    );
    const common = { level: 'info', time: startsAt.toISOString(), requestId: 'request-1' };
    expect(lines).toEqual([
      { ...common, recoveryPointId: '20261130t023000z', message: 'half done', rows: 3 },
      { ...common, recoveryPointId: '20261130t023000z', message: 'step done' },
    ]);
    // What is no id is nothing personal that slips into a log: it is left out.
    const odd = await invoke(async () => ({ twice: 0 }), { count: 1, recoveryPointId: 'Mrs Smith' });
    expect(odd.lines).toEqual([{ ...common, message: 'step done' }]);
  });
});

describe('a configuration as it is deployed', () => {
  it('says what it said before, in a fraction of the length', async () => {
    const databases = Array.from({ length: 40 }, (_, index) => ({
      ...{
        id: `database-${index}`,
        instanceId: `instance-${index}`,
        databaseName: 'app',
        readerUser: 'daybreak_reader',
      },
      ...{ rootTable: 'public.school', rootColumn: 'id' },
    }));
    const whole = Configuration.parse({ databases, buckets: [], restoreTest });
    const text = JSON.stringify(packConfiguration(whole));
    expect(text.length).toBeLessThan(JSON.stringify(whole).length / 4);
    const seen: unknown[] = [];
    const run: Parameters<typeof invoke>[0] = async (_input, { configuration }) => {
      seen.push(configuration);
      return { twice: 2 };
    };
    await invoke(run, { count: 1 }, { ...environment, DAYBREAK_CONFIGURATION: text });
    expect(seen).toEqual([whole]);
  });
});

describe('a failure', () => {
  const fails = async (error: Error) => {
    const { outcome, lines } = await invoke(() => Promise.reject(error), { count: 1 });
    const thrown = (outcome as { error: Error }).error;
    return { thrown, lines };
  };

  it('that is retryable leaves under the one name that workflows match', async () => {
    const { thrown, lines } = await fails(new ThrottledError('KMS throttled'));
    expect(thrown).toMatchObject({ name: 'RetryableError', message: 'ThrottledError: KMS throttled' });
    expect(thrown.cause).toBeInstanceOf(ThrottledError);
    expect(lines).toMatchObject([{ level: 'error', message: 'step failed', retryable: true }]);
  });

  it('that is permanent leaves as it is', async () => {
    const error = new GoneError('the snapshot is gone');
    const { thrown, lines } = await fails(error);
    expect(thrown).toBe(error);
    expect(lines).toMatchObject([{ level: 'error', message: 'step failed', retryable: false }]);
  });

  it.each<[string, unknown, string]>([
    ['no input', undefined, 'count'],
    ['null', null, 'expected object'],
    ['a text', 'count', 'expected object'],
    ['a field too much', { count: 1, secret: 'hunter2' }, '"secret"'],
    ['another type', { count: 'Mrs Smith' }, 'at count'],
  ])('of the input is permanent, names the place, and tells nothing of what was in it: %s', async (_, event, place) => {
    const { outcome, lines } = await invoke(async () => ({ twice: 0 }), event);
    const { error } = outcome as { error: Error };
    expect(error).toMatchObject({ name: 'InvalidInputError' });
    expect(error.message).toMatch(/^the step's input is not valid: /);
    expect(error.message).toContain(place);
    expect(JSON.stringify([error.message, lines])).not.toMatch(/hunter2|Mrs Smith/);
    expect(lines).toMatchObject([{ level: 'error', message: 'step failed', retryable: false }]);
  });

  it('of the output is none that passes for success', async () => {
    const { outcome } = await invoke(async () => ({ twice: 0.5 }), { count: 1 });
    expect((outcome as { error: Error }).error).toMatchObject({ name: 'ZodError' });
  });

  it('of a packed configuration is the same', async () => {
    const packed = JSON.stringify({ packed: Buffer.from('[').toString('base64'), restoreTest });
    const { outcome } = await invoke(async () => ({ twice: 0 }), { count: 1 }, { DAYBREAK_CONFIGURATION: packed });
    expect((outcome as { error: Error }).error.message).toMatch(/^the environment variable DAYBREAK_CONFIGURATION is/);
  });

  it('of the configuration names the variable', async () => {
    const { outcome } = await invoke(async () => ({ twice: 0 }), { count: 1 }, {});
    expect((outcome as { error: Error }).error).toMatchObject({
      name: 'InvalidConfigurationError',
      message:
        'the environment variable DAYBREAK_CONFIGURATION is missing or not valid; deploy the workflow stack again',
    });
  });
});
