import { describe, expect, it } from 'vitest';
import { ConcludeInput } from '../../../functions/contracts/restore-test.ts';
import { restoreTest, verdictError } from '../../../infra/workflows/restore-test.ts';
import { type ContractedStep, failure, runWorkflow, type ScriptedStep } from './workflow-run.ts';

const QUARTER_MS = 15 * 60 * 1000;
const restoreTestId = '20261205t043000z';
const recoveryPointId = '20261205t023000z';
const scheduledAt = '2026-12-05T04:30:00.000Z';
const itemsKey = `work/${restoreTestId}/restore-test-items.jsonl`;
const item = (tenant: string) => ({
  restoreTestId,
  recoveryPointId,
  bucketId: 'uploads',
  tenant,
  manifestSha256: 'a'.repeat(64),
  sampleSize: 20,
});
const objects = (tenant: string) => ({
  bucketId: 'uploads',
  tenant,
  objectCount: 2,
  objectsRestored: 2,
  bytesRestored: 20,
  findings: [],
  findingCount: 0,
});
const verification = (databaseId: string) => ({
  databaseId,
  tableCount: 1,
  rowCount: 10,
  rowsExpected: 10,
  rowsComparedExactly: 10,
  driftRowCount: 0,
  foreignKeysChecked: 0,
  indexesChecked: 1,
  heapRelationsChecked: 1,
  gaps: [],
  gapTotals: [],
  findings: [],
  findingCount: 0,
});
const draft = {
  eventId: `restore-test/${restoreTestId}`,
  kind: 'restore-test.completed',
  actor: 'workflow/restore-test',
  subject: recoveryPointId,
  body: {},
};
const databases = (...ids: string[]) => ids.map(databaseId => ({ restoreTestId, recoveryPointId, databaseId }));
const chosen = {
  restoreTestId,
  recoveryPointId,
  reason: null,
  findings: [],
  snapshots: [
    { snapshotId: 'daybreak-first', databases: databases('first', 'third') },
    { snapshotId: 'daybreak-second', databases: databases('second') },
  ],
  allObjects: false,
  recoveryPointStatus: 'good' as const,
};
const concluded = (verdict: string) => () => ({ verdict, recordKey: `restore-tests/${restoreTestId}.json`, draft });
const endpoint = { host: 'restored.example', port: 5432, resourceId: 'db-COPY' };

const allGoesWell: Record<string, ScriptedStep> = {
  'restore-test/choose': () => chosen,
  'restore-test/restore-database': ({ databaseId }) => ({ instanceId: `daybreak-test-${databaseId}` }),
  'restore-test/describe-instance': () => ({ available: true, endpoint }),
  'restore-test/hydrate': () => ({ done: true, bytesRead: 1 }),
  'restore-test/verify-database': ({ databaseId }) => ({ done: true, verification: verification(databaseId) }),
  'restore-test/plan-objects': () => ({ itemsKey, itemCount: 2 }),
  'restore-test/verify-objects': ({ item: { tenant } }) => ({ result: objects(tenant), cursor: null }),
  'restore-test/tear-down': () => ({ done: true }),
  'restore-test/conclude': concluded('passed'),
  'evidence/append-entry': () => ({ sequence: 1, entrySha256: 'b'.repeat(64) }),
};

async function run(
  steps: Partial<Record<ContractedStep, ScriptedStep>> = {},
  {
    workflow = restoreTest,
    ...options
  }: { workflow?: typeof restoreTest; idleMs?: number; onStart?: (elapsedMs: () => number) => void } = {},
) {
  const ran = await runWorkflow(
    workflow,
    { ...allGoesWell, ...steps },
    { input: { scheduledAt }, itemsKey, items: [item('oak'), item('elm')], ...options },
  );
  const [conclusion] = ran.inputsOf('restore-test/conclude').map(input => ConcludeInput.parse(input));
  return { ...ran, conclusion };
}

/** The same workflow without the retries, and the catchers, that name this error. */
const without =
  (error: string): typeof restoreTest =>
  references =>
    JSON.parse(
      JSON.stringify(restoreTest(references), (key, value) =>
        key === 'Retry' || key === 'Catch'
          ? value.filter(({ ErrorEquals }: { ErrorEquals: string[] }) => !ErrorEquals.includes(error))
          : value,
      ),
    );

describe('the restore test a month after its functions were last called', () => {
  const idleMs = 30 * 24 * 60 * 60 * 1000;

  it('waits for each of them to wake, and passes', async () => {
    const { execution, conclusion, calls } = await run({}, { idleMs });
    expect([execution.status, execution.output]).toEqual(['SUCCEEDED', { restoreTestId, verdict: 'passed' }]);
    expect(conclusion).toMatchObject({
      failure: null,
      databases: [{ failure: null }, { failure: null }, { failure: null }],
    });
    // Ten functions wake, each within 140 seconds.
    expect(calls.at(-1)?.atMs).toBe(10 * 140_000);
  });

  it('would not be concluded without the retry and the wait', async () => {
    const { execution, calls } = await run({}, { idleMs, workflow: without('Lambda.ResourceNotReadyException') });
    expect([execution.status, execution.error]).toEqual(['FAILED', 'Lambda.ResourceNotReadyException']);
    expect(calls).toEqual([]);
  });
});

describe('the restore test', () => {
  it('restores, hydrates and verifies each database, then the objects, tears down, concludes and records', async () => {
    const { execution, calls, conclusion, inputsOf, mapResults } = await run();
    expect([execution.status, execution.output]).toEqual(['SUCCEEDED', { restoreTestId, verdict: 'passed' }]);
    expect([...new Set(calls.map(({ step }) => step))]).toEqual([
      'restore-test/choose',
      'restore-test/restore-database',
      'restore-test/describe-instance',
      'restore-test/hydrate',
      'restore-test/verify-database',
      'restore-test/plan-objects',
      'restore-test/verify-objects',
      'restore-test/tear-down',
      'restore-test/conclude',
      'evidence/append-entry',
    ]);
    expect(conclusion).toMatchObject({ restoreTestId, startedAt: '2026-01-01T00:00:00.000Z', chosen, failure: null });
    expect(conclusion?.databases.map(({ verification: found, restored }) => [found, restored])).toEqual([
      [verification('first'), true],
      [verification('third'), true],
      [verification('second'), true],
    ]);
    expect(inputsOf('restore-test/restore-database')).toHaveLength(2);
    const results = await mapResults(conclusion?.objectResultsKey ?? '');
    expect(results).toHaveLength(2);
    expect(results).toEqual(expect.arrayContaining([objects('oak'), objects('elm')]));
    expect(inputsOf('evidence/append-entry')).toEqual([{ draft }]);
  });

  it('times each phase by the clock', async () => {
    const { conclusion } = await run({
      'restore-test/describe-instance': ({ instanceId }, call) =>
        instanceId === 'daybreak-test-first' && call < 6
          ? { available: false, endpoint: null }
          : { available: true, endpoint },
      'restore-test/tear-down': (_input, call) => ({ done: call > 2 }),
    });
    const [first, third, second] = conclusion?.databases ?? [];
    const startedAt = '2026-01-01T00:00:00.000Z';
    expect(second?.phases).toEqual(
      ['restore', 'hydrate', 'verify'].map(phase => ({ phase, startedAt, durationMs: 0 })),
    );
    const durationMs = first?.phases[0]?.durationMs ?? 0;
    expect(durationMs % 30_000).toBe(0);
    expect(durationMs).toBeGreaterThan(0);
    // It was restored with the first one.
    expect(third?.phases.map(({ phase }) => phase)).toEqual(['hydrate', 'verify']);
    expect(first?.phases.map(({ phase, durationMs: ms }) => [phase, ms])).toEqual([
      ['restore', durationMs],
      ['hydrate', 0],
      ['verify', 0],
    ]);
    expect(conclusion?.phases.map(({ phase, durationMs: ms }) => [phase, ms])).toEqual([
      ['databases', durationMs],
      ['objects', 0],
      ['tear-down', 60_000],
    ]);
  });

  it('concludes at once when there is nothing to test', async () => {
    const none = { ...chosen, recoveryPointId: null, reason: 'every recovery point was tested', snapshots: [] };
    const { execution, calls, conclusion } = await run({
      'restore-test/choose': () => none,
      'restore-test/conclude': concluded('could-not-start'),
    });
    expect(calls.map(({ step }) => step)).toEqual([
      'restore-test/choose',
      'restore-test/conclude',
      'evidence/append-entry',
    ]);
    expect(conclusion).toMatchObject({
      chosen: none,
      databases: [],
      objectResultsKey: null,
      failure: null,
      phases: [],
    });
    expect([execution.status, execution.error]).toEqual(['FAILED', 'RestoreTestCouldNotStart']);
  });

  it.each<[ContractedStep, boolean]>([
    ['restore-test/restore-database', false],
    ['restore-test/describe-instance', false],
    ['restore-test/hydrate', true],
    ['restore-test/verify-database', true],
  ])('goes on with the other database when %s fails, and says how far it came', async (step, restored) => {
    const { conclusion, calls } = await run({
      [step]: ((input, call, takeTime) =>
        input.databaseId === 'first' || input.instanceId === 'daybreak-test-first'
          ? failure('WrongError')
          : allGoesWell[step]?.(input, call, takeTime)) satisfies ScriptedStep,
    });
    expect(conclusion?.databases.map(outcome => [outcome.databaseId, outcome.failure, outcome.restored])).toEqual([
      ['first', 'WrongError', restored],
      ['third', restored ? null : 'WrongError', restored],
      ['second', null, true],
    ]);
    expect(conclusion?.failure).toBeNull();
    expect(calls.map(({ step: name }) => name)).toContain('restore-test/verify-objects');
  });

  it('gives a restore up after twelve hours', async () => {
    const { conclusion } = await run({
      'restore-test/describe-instance': () => ({ available: false, endpoint: null }),
    });
    expect(conclusion?.databases.map(({ failure: name, restored }) => [name, restored])).toEqual([
      ['RestoreTimedOutError', false],
      ['RestoreTimedOutError', false],
      ['RestoreTimedOutError', false],
    ]);
  });

  it('leaves what was not read through in time to the comparison', async () => {
    const { conclusion } = await run({
      'restore-test/hydrate': async (_input, _call, takeTime) => {
        await takeTime(QUARTER_MS);
        return { done: false, bytesRead: 1 };
      },
    });
    expect(conclusion?.databases.map(({ failure: name, verification: found }) => [name, found?.databaseId])).toEqual([
      [null, 'first'],
      [null, 'third'],
      [null, 'second'],
    ]);
  });

  it('names a database that was not compared in time, and keeps the others', async () => {
    const { conclusion, calls, execution } = await run({
      'restore-test/verify-database': async ({ databaseId }, _call, takeTime) => {
        if (databaseId !== 'third') return { done: true, verification: verification(databaseId) };
        await takeTime(QUARTER_MS);
        return { done: false, verification: null };
      },
    });
    expect(conclusion?.databases.map(({ failure: name, restored }) => [name, restored])).toEqual([
      [null, true],
      ['VerificationTimedOutError', true],
      [null, true],
    ]);
    expect(calls.map(({ step }) => step)).toContain('restore-test/verify-objects');
    expect(execution.status).toBe('SUCCEEDED');
  });

  it('leaves no result for a tenant whose objects were not compared in time', async () => {
    const progress = objects('oak');
    const { conclusion, mapResults } = await run({
      'restore-test/verify-objects': async ({ item: { tenant } }, _call, takeTime) => {
        if (tenant !== 'oak') return { result: objects(tenant), cursor: null };
        await takeTime(QUARTER_MS);
        return { result: null, cursor: { lineCount: 1, progress } };
      },
    });
    expect(await mapResults(conclusion?.objectResultsKey ?? '')).toEqual([objects('elm')]);
  });

  it('leaves no result for a tenant that could not be verified, and finishes the others', async () => {
    const { conclusion, mapResults } = await run({
      'restore-test/verify-objects': ({ item: { tenant } }) =>
        tenant === 'oak' ? failure('ObjectAccessDeniedError') : { result: objects(tenant), cursor: null },
    });
    expect(await mapResults(conclusion?.objectResultsKey ?? '')).toEqual([objects('elm')]);
  });

  describe('where all of the account’s functions are busy', () => {
    const busy = () => failure('Lambda.TooManyRequestsException');

    it('waits with every step for its turn, for longer than a quarter of an hour, and passes', async () => {
      const twelveTimes = Object.fromEntries(
        Object.entries(allGoesWell).map(([step, script]): [string, ScriptedStep] => {
          let refused = 0;
          return [step, (input, call, takeTime) => (++refused <= 12 ? busy() : script(input, call, takeTime))];
        }),
      );
      const { execution, conclusion, calls } = await run(twelveTimes);
      expect(execution.status).toBe('SUCCEEDED');
      expect(conclusion).toMatchObject({
        failure: null,
        databases: [{ failure: null }, { failure: null }, { failure: null }],
      });
      const chose = calls.filter(({ step }) => step === 'restore-test/choose');
      expect(chose).toHaveLength(13);
      expect(chose.at(-1)?.atMs).toBeGreaterThan(2 * 240_000);
    });

    it.each<[ContractedStep, boolean]>([
      ['restore-test/restore-database', false],
      ['restore-test/describe-instance', false],
      ['restore-test/verify-database', true],
    ])('waits with %s until its hour, then says why, and tests the rest', async (step, restored) => {
      const { conclusion, calls } = await run({
        [step]: ((input, call, takeTime) =>
          input.databaseId === 'first' || input.instanceId === 'daybreak-test-first'
            ? busy()
            : allGoesWell[step]?.(input, call, takeTime)) satisfies ScriptedStep,
      });
      expect(conclusion?.databases.map(outcome => [outcome.databaseId, outcome.failure, outcome.restored])).toEqual([
        ['first', 'NoFunctionFreeError', restored],
        ['third', restored ? null : 'NoFunctionFreeError', restored],
        ['second', null, true],
      ]);
      expect(conclusion?.failure).toBeNull();
      expect(calls.map(({ step: name }) => name)).toContain('restore-test/verify-objects');
    });

    it('leaves what could not be read through to the comparison', async () => {
      const { conclusion } = await run({ 'restore-test/hydrate': busy });
      expect(conclusion?.databases.map(outcome => outcome.failure)).toEqual([null, null, null]);
    });

    it('tears down as soon as one is free, and concludes', async () => {
      const { conclusion, inputsOf } = await run({
        'restore-test/tear-down': (_input, call) => (call <= 20 ? busy() : { done: true }),
      });
      expect(conclusion?.failure).toBeNull();
      expect(inputsOf('restore-test/tear-down')).toHaveLength(21);
    });
  });

  it('names a database whose test left no result, whatever Step Functions leaves of it', async () => {
    const { conclusion } = await run(
      {},
      {
        workflow: references =>
          JSON.parse(JSON.stringify(restoreTest(references)), (name, value) =>
            name === 'DatabaseTested'
              ? {
                  ...value,
                  Output: { ...value.Output, failure: "{% $database.databaseId = 'third' ? $error('x') : null %}" },
                }
              : value,
          ),
      },
    );
    expect(conclusion?.databases.map(outcome => [outcome.databaseId, outcome.failure])).toEqual([
      ['first', null],
      ['third', 'NoResultError'],
      ['second', null],
    ]);
  });

  it.each<ContractedStep>(['restore-test/choose', 'restore-test/plan-objects'])(
    'tears down and concludes with the error when %s fails',
    async step => {
      const { execution, conclusion, calls } = await run({
        [step]: () => failure('WrongError'),
        'restore-test/conclude': concluded('inconclusive'),
      });
      expect(conclusion).toMatchObject({ restoreTestId, failure: 'WrongError', objectResultsKey: null });
      expect(calls.map(({ step: name }) => name).slice(-3)).toEqual([
        'restore-test/tear-down',
        'restore-test/conclude',
        'evidence/append-entry',
      ]);
      expect(execution.error).toBe('RestoreTestInconclusive');
    },
  );

  it.each<[string, ScriptedStep, string]>([
    ['fails', () => failure('DatabaseServiceError'), 'DatabaseServiceError'],
    ['never ends', () => ({ done: false }), 'TearDownTimedOutError'],
  ])('concludes with that when tearing down %s', async (_name, tearDown, expected) => {
    const { conclusion } = await run({ 'restore-test/tear-down': tearDown });
    expect(conclusion?.failure).toBe(expected);
    expect(conclusion?.databases).toHaveLength(3);
  });

  it.each([
    ['and is done once it has passed', 20, null, 0.75],
    ['and says so after two hours', 24 * 60, 'TearDownTimedOutError', 2.25],
  ])('goes on tearing down while that fails by what may pass, %s', async (_name, minutes, expected, mostHours) => {
    let elapsedMs = () => 0;
    let first: number | undefined;
    const { conclusion, calls } = await run(
      {
        'restore-test/tear-down': () => {
          first ??= elapsedMs();
          return elapsedMs() - first < minutes * 60_000 ? failure('RetryableError') : { done: true };
        },
      },
      {
        onStart: clock => {
          elapsedMs = clock;
        },
      },
    );
    expect(conclusion?.failure).toBe(expected);
    const asked = calls.filter(({ step }) => step === 'restore-test/tear-down').map(({ atMs }) => atMs);
    const lastedMs = (asked.at(-1) ?? 0) - (asked[0] ?? 0);
    expect(lastedMs).toBeGreaterThanOrEqual(Math.min(minutes, 115) * 60_000);
    expect(lastedMs).toBeLessThan(mostHours * 60 * 60_000);
  });

  it('keeps the first error when tearing down fails as well', async () => {
    const { conclusion } = await run({
      'restore-test/plan-objects': () => failure('FirstError'),
      'restore-test/tear-down': () => failure('SecondError'),
    });
    expect(conclusion?.failure).toBe('FirstError');
  });

  it('records that it failed when it cannot be concluded', async () => {
    const { execution, inputsOf } = await run({ 'restore-test/conclude': () => failure('WrongError') });
    expect(inputsOf('evidence/append-entry')).toEqual([
      {
        draft: {
          eventId: `restore-test-failed/${execution.name}/${execution.startDate.getTime()}`,
          kind: 'restore-test.failed',
          actor: 'workflow/restore-test',
          subject: restoreTestId,
          body: { error: 'WrongError' },
        },
      },
    ]);
    expect([execution.status, execution.error]).toEqual(['FAILED', 'WrongError']);
  });

  it.each([
    ['failed', 'RestoreTestFailed'],
    ['inconclusive', 'RestoreTestInconclusive'],
    ['could-not-start', 'RestoreTestCouldNotStart'],
  ] as const)('ends %s as %s', async (verdict, error) => {
    expect(verdictError(verdict)).toBe(error);
    const { execution } = await run({ 'restore-test/conclude': concluded(verdict) });
    expect([execution.status, execution.error]).toEqual(['FAILED', error]);
  });
});
