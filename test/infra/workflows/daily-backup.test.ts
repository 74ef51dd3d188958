import { describe, expect, it } from 'vitest';
import { TenantBackupResult } from '../../../functions/contracts/object-manifest.ts';
import { dailyBackup } from '../../../infra/workflows/daily-backup.ts';
import { DAILY_BACKUP } from '../../../infra/workflows/hours.ts';
import { type ContractedStep, failure, runWorkflow, type ScriptedStep, STARTED_AT } from './workflow-run.ts';

const recoveryPointId = '20261122t023000z';
const scheduledAt = '2026-11-22T02:30:00.000Z';
const endpoint = { host: 'db.example', port: 5432 };
const itemsKey = `work/${recoveryPointId}/backup-items.jsonl`;
const asOf = '2026-11-22T02:41:00.000Z';
const item = (tenant: string | null) => ({
  recoveryPointId,
  bucketId: 'uploads',
  tenant,
  previousManifestSha256: null,
  asOf,
});
const result = (tenant: string | null) => ({
  bucketId: 'uploads',
  tenant,
  manifestSha256: 'a'.repeat(64),
  previousManifestSha256: null,
  objectCount: 1,
  byteCount: 2,
  copiedObjectCount: 1,
  copiedByteCount: 2,
  recopiedObjectCount: 0,
  notCovered: {},
  failure: null,
});
const draft = {
  eventId: `backup/${recoveryPointId}`,
  kind: 'backup.completed',
  actor: 'workflow/daily-backup',
  subject: recoveryPointId,
  body: {},
};
const listed = {
  itemsKey,
  itemCount: 2,
  unlistedBucketIds: ['closed'],
  bucketIdsWithoutVersions: ['uploads'],
  postponedTenantCount: 0,
  listing: 'd'.repeat(64),
  lostObjectsSha256: 'e'.repeat(64),
};
const available = { available: true, progressPercent: 100, takenAt: '2026-11-22T02:40:00.000Z' };
const HOUR_MS = 60 * 60 * 1000;
const QUARTER_MS = HOUR_MS / 4;
/** A measurement that takes a quarter of an hour a call, and never ends. */
async function neverDone(isSo: boolean, takeTime: (durationMs: number) => Promise<void>) {
  if (!isSo) return { done: true, measuredAt: scheduledAt };
  await takeTime(QUARTER_MS);
  return { done: false, measuredAt: null };
}

const databases = (...ids: string[]) => ids.map(databaseId => ({ recoveryPointId, databaseId, endpoint }));
const outcomes = (first: string | null, second: string | null, third: string | null) => [
  { databaseId: 'first', failure: first },
  { databaseId: 'second', failure: second },
  { databaseId: 'third', failure: third },
];

const allGoesWell: Record<string, ScriptedStep> = {
  'backup/plan': () => ({
    recoveryPointId,
    scheduledAt,
    instances: [
      { recoveryPointId, instanceId: 'one', databases: databases('first', 'second') },
      { recoveryPointId, instanceId: 'two', databases: databases('third') },
    ],
  }),
  'backup/fingerprint': () => ({ done: true, measuredAt: scheduledAt }),
  'backup/create-snapshot': ({ instanceId }) => ({ snapshotId: `daybreak-intermediate-${instanceId}` }),
  'backup/describe-snapshot': ({ snapshotId }) =>
    snapshotId === 'daybreak-intermediate-two' ? { ...available, takenAt: asOf } : available,
  'backup/copy-snapshot': ({ instanceId }) => ({ snapshotId: `daybreak-${instanceId}` }),
  'backup/delete-intermediate': () => ({}),
  'backup/list-tenants': () => listed,
  'tenants/ensure-key': ({ tenant }) => ({ keyArn: `key of ${tenant}`, draft: null }),
  'backup/back-up-tenant': ({ item: { tenant } }) => ({ result: result(tenant), cursor: null }),
  'backup/settle-tenants': ({ moment }) =>
    moment === 'before'
      ? { moment, itemsKey: settlingKey, itemCount: 0 }
      : { moment, tenantsKey: 'work/20261122t023000z/tenants.jsonl', cursor: null },
  'backup/complete': () => ({ recoveryPointId, status: 'good', databases: [], draft }),
  'evidence/append-entry': () => ({ sequence: 1, entrySha256: 'b'.repeat(64) }),
};

const settlingKey = 'work/20261122t023000z/settling.jsonl';

const run = (
  steps: Partial<Record<ContractedStep, ScriptedStep>> = {},
  items: Parameters<typeof runWorkflow>[2]['items'] = [item('oak'), item(null)],
) =>
  runWorkflow(
    dailyBackup,
    { ...allGoesWell, ...steps },
    {
      input: { scheduledAt },
      itemsKey,
      items,
      files: { [settlingKey]: [{ item: item('oak'), pass: { kind: 'settle', result: result('oak') } }] },
    },
  );

describe('the daily backup', () => {
  it('measures, snapshots, then measures again, copies and lists the tenants, closes the recovery point and records it', async () => {
    const { execution, calls, inputsOf, mapResults } = await run();
    expect(execution.status).toBe('SUCCEEDED');
    expect(execution.output).toEqual({ recoveryPointId, status: 'good' });
    const ofOne = calls.filter(
      ({ step, input }) =>
        step !== 'backup/back-up-tenant' &&
        /"first"|"second"|"(daybreak-|daybreak-intermediate-)?one"/.test(JSON.stringify(input)),
    );
    const named = ofOne.map(({ step, input }) => {
      const { databaseId, moment, instanceId, snapshotId } = input as Record<string, string>;
      return [step.replace('backup/', ''), moment, databaseId ?? instanceId ?? snapshotId].filter(Boolean).join(' ');
    });
    expect(named.slice(0, 4)).toEqual([
      'fingerprint before first',
      'fingerprint before second',
      'create-snapshot one',
      'describe-snapshot daybreak-intermediate-one',
    ]);
    expect(named.slice(4, -1).sort()).toEqual([
      'copy-snapshot one',
      'delete-intermediate one',
      'describe-snapshot daybreak-one',
      'fingerprint after first',
      'fingerprint after second',
    ]);
    const [complete] = inputsOf('backup/complete') as { databases: unknown }[];
    const [settled, closed] = inputsOf('backup/settle-tenants') as { tenantResultsKey: string }[];
    expect(complete).toMatchObject({
      unlistedBucketIds: ['closed'],
      asOf,
      lostObjectsSha256: listed.lostObjectsSha256,
    });
    expect(complete?.databases).toEqual(outcomes(null, null, null));
    const results = await mapResults(settled?.tenantResultsKey ?? '');
    expect(results.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))).toEqual([
      result('oak'),
      result(null),
    ]);
    expect(settled?.tenantResultsKey).toMatch(/^work\/20261122t023000z\/results\/[^/]+\/manifest\.json$/);
    expect(closed).toMatchObject({ moment: 'after', settledResultsKeys: [], cursor: null });
    expect(complete).toMatchObject({ tenantsKey: 'work/20261122t023000z/tenants.jsonl' });
    expect(inputsOf('evidence/append-entry')).toEqual([{ draft }]);
  });

  it('snapshots once every database was measured, and lists the tenants once every snapshot is there', async () => {
    const { calls, inputsOf } = await run({
      'backup/fingerprint': ({ databaseId, moment }, call) => ({
        done: databaseId !== 'third' || moment === 'after' || call > 5,
        measuredAt: `2026-11-22T02:3${{ first: 3, second: 2, third: 4 }[databaseId as string]}:00.000Z`,
      }),
      'backup/describe-snapshot': ({ snapshotId }, call) => ({
        ...available,
        available: snapshotId !== 'daybreak-intermediate-two' || call > 4,
        takenAt: snapshotId === 'daybreak-intermediate-two' ? asOf : available.takenAt,
      }),
      // The copies take hours.
      'backup/copy-snapshot': ({ instanceId }, call) =>
        call < 4 ? failure('RetryableError') : { snapshotId: `daybreak-${instanceId}` },
    });
    const order = calls.map(({ step, input }) => `${step} ${(input as { moment?: string }).moment ?? ''}`.trim());
    expect(order.lastIndexOf('backup/fingerprint before')).toBeLessThan(order.indexOf('backup/create-snapshot'));
    // The first of an instance's databases decides whether a snapshot of an earlier run is early enough.
    const created = inputsOf('backup/create-snapshot');
    expect(created).toHaveLength(2);
    expect(created).toContainEqual({ recoveryPointId, instanceId: 'one', measuredAt: '2026-11-22T02:32:00.000Z' });
    expect(created).toContainEqual({ recoveryPointId, instanceId: 'two', measuredAt: '2026-11-22T02:34:00.000Z' });
    const first = calls.find(({ step }) => step === 'backup/list-tenants');
    const describedAtMs = calls
      .filter(({ input }) => JSON.stringify(input).includes('"daybreak-intermediate-'))
      .map(({ atMs }) => atMs);
    expect(first?.input).toEqual({ recoveryPointId, asOf, listing: null });
    expect(first?.atMs).toBeGreaterThan(0);
    expect(first?.atMs).toBe(Math.max(...describedAtMs));
    expect(order.lastIndexOf('backup/back-up-tenant')).toBeLessThan(order.lastIndexOf('backup/copy-snapshot'));
  });

  it('waits for snapshots, and calls what stopped for time again with its cursor', async () => {
    const cursor = { progress: result('oak'), segments: ['c'.repeat(64)], phase: 'listing' };
    const { execution, inputsOf, calls } = await run({
      'backup/fingerprint': (_input, call) => ({ done: call > 6, measuredAt: null }),
      'backup/describe-snapshot': (_input, call) => ({ ...available, available: call > 10 }),
      'backup/back-up-tenant': ({ item: { tenant }, cursor: given }) =>
        tenant === 'oak' && given === null ? { result: null, cursor } : { result: result(tenant), cursor: null },
    });
    expect(execution.status).toBe('SUCCEEDED');
    const ofOak = inputsOf('backup/back-up-tenant').filter(input => JSON.stringify(input).includes('"oak"'));
    const deadlineAt = new Date(Date.parse(STARTED_AT) + DAILY_BACKUP.partHours * HOUR_MS - 20 * 60_000).toISOString();
    expect(ofOak).toEqual([
      { item: item('oak'), pass: { kind: 'first' }, keyArn: 'key of oak', cursor: null, deadlineAt },
      { item: item('oak'), pass: { kind: 'first' }, keyArn: 'key of oak', cursor, deadlineAt },
    ]);
    const describes = calls.filter(({ step }) => step === 'backup/describe-snapshot').map(({ atMs }) => atMs);
    expect(describes.slice(0, 4)).toEqual([0, 0, 30_000, 30_000]);
  });

  it('goes on without an instance that cannot be snapshotted, and names the error for each of its databases', async () => {
    const { execution, inputsOf } = await run({
      'backup/create-snapshot': ({ instanceId }) =>
        instanceId === 'one' ? failure('DatabaseQuotaError') : { snapshotId: 'daybreak-intermediate-two' },
      'backup/complete': () => ({ recoveryPointId, status: 'incomplete', databases: [], draft }),
    });
    expect(inputsOf('backup/complete')).toMatchObject([
      { databases: outcomes('DatabaseQuotaError', 'DatabaseQuotaError', null), asOf },
    ]);
    expect(inputsOf('evidence/append-entry')).toEqual([{ draft }]);
    expect([execution.status, execution.error]).toEqual(['FAILED', 'RecoveryPointIncompleteError']);
  });

  it.each(['before', 'after'])(
    'snapshots and copies an instance whose database cannot be measured %s',
    async unmeasured => {
      const { calls, inputsOf } = await run({
        'backup/fingerprint': ({ databaseId, moment }) =>
          databaseId === 'first' && moment === unmeasured
            ? failure('DatabaseAccessDeniedError')
            : { done: true, measuredAt: scheduledAt },
      });
      const steps = calls.filter(({ input }) => JSON.stringify(input).includes('"one"')).map(({ step }) => step);
      expect(steps).toEqual(['backup/create-snapshot', 'backup/copy-snapshot', 'backup/delete-intermediate']);
      expect(inputsOf('backup/complete')).toMatchObject([
        { databases: outcomes('DatabaseAccessDeniedError', null, null) },
      ]);
    },
  );

  it('takes any snapshot of an instance of which no database could be measured', async () => {
    const { inputsOf } = await run({
      'backup/fingerprint': ({ databaseId }) =>
        databaseId === 'third' ? failure('DatabaseAccessDeniedError') : { done: true, measuredAt: scheduledAt },
    });
    expect(inputsOf('backup/create-snapshot')).toContainEqual({ recoveryPointId, instanceId: 'two', measuredAt: null });
  });

  describe('where something is late', () => {
    it.each<[string, Partial<Record<ContractedStep, ScriptedStep>>, object]>([
      [
        'a measurement before the snapshots',
        {
          'backup/fingerprint': ({ databaseId, moment }, _call, takeTime) =>
            neverDone(databaseId === 'first' && moment === 'before', takeTime),
        },
        { databases: outcomes('FingerprintTimedOutError', null, null) },
      ],
      [
        'a second measurement',
        {
          'backup/fingerprint': ({ databaseId, moment }, _call, takeTime) =>
            neverDone(databaseId === 'third' && moment === 'after', takeTime),
        },
        { databases: outcomes(null, null, 'FingerprintTimedOutError') },
      ],
      [
        'a snapshot',
        {
          'backup/describe-snapshot': ({ snapshotId }) => ({
            ...available,
            available: snapshotId !== 'daybreak-intermediate-one',
          }),
        },
        { databases: outcomes('SnapshotTimedOutError', 'SnapshotTimedOutError', null) },
      ],
      [
        'a copy',
        {
          'backup/describe-snapshot': ({ snapshotId }) => ({ ...available, available: snapshotId !== 'daybreak-two' }),
        },
        { databases: outcomes(null, null, 'CopyTimedOutError') },
      ],
    ])('names %s and closes the recovery point with the rest', async (_name, steps, expected) => {
      const { execution, inputsOf } = await run(steps);
      expect(inputsOf('backup/complete')).toMatchObject([expected]);
      expect(execution.status).toBe('SUCCEEDED');
      expect(inputsOf('backup/back-up-tenant')).toHaveLength(2);
    });

    it('names a tenant, and keeps the others', async () => {
      const cursor = { progress: result('oak'), segments: ['c'.repeat(64)], phase: 'listing' };
      const { execution, inputsOf, mapResults } = await run({
        'backup/back-up-tenant': async ({ item: { tenant } }, _call, takeTime) => {
          if (tenant !== 'oak') return { result: result(tenant), cursor: null };
          await takeTime(QUARTER_MS);
          return { result: null, cursor };
        },
      });
      const [settled] = inputsOf('backup/settle-tenants') as { tenantResultsKey: string }[];
      const results = (await mapResults(settled?.tenantResultsKey ?? '')).map(line => TenantBackupResult.parse(line));
      expect(results.map(({ tenant, failure: name }) => [tenant, name]).sort()).toEqual([
        [null, null],
        ['oak', 'TenantTimedOutError'],
      ]);
      expect(execution.status).toBe('SUCCEEDED');
    });

    it('keeps what an earlier run of the recovery point stored of a tenant that fails in this one', async () => {
      const earlier = { ...result('oak'), manifestSha256: 'e'.repeat(64), objectCount: 7 };
      const { inputsOf, mapResults } = await run({ 'backup/back-up-tenant': () => failure('ListingOutOfOrderError') }, [
        { ...item('oak'), earlier },
        item(null),
      ]);
      const [settled] = inputsOf('backup/settle-tenants') as { tenantResultsKey: string }[];
      const results = (await mapResults(settled?.tenantResultsKey ?? '')).map(line => TenantBackupResult.parse(line));
      const [oak, none] = results.sort((a, b) => b.objectCount - a.objectCount);
      expect(oak).toEqual({ ...earlier, failure: 'ListingOutOfOrderError' });
      expect(none).toMatchObject({ tenant: null, manifestSha256: null, failure: 'ListingOutOfOrderError' });
    });

    it('does not wait for the key of a tenant for ever', async () => {
      const { inputsOf, mapResults, calls } = await run({
        'tenants/ensure-key': ({ tenant }) =>
          tenant === 'oak' ? failure('RetryableError') : { keyArn: 'key', draft: null },
      });
      const [settled] = inputsOf('backup/settle-tenants') as { tenantResultsKey: string }[];
      const results = (await mapResults(settled?.tenantResultsKey ?? '')).map(line => TenantBackupResult.parse(line));
      expect(results.map(({ tenant, failure: name }) => [tenant, name]).sort()).toEqual([
        [null, null],
        ['oak', 'RetryableError'],
      ]);
      expect(calls.at(-1)?.atMs).toBeLessThan(3 * HOUR_MS);
    });
  });

  describe('settles what moved meanwhile', () => {
    const settles: ScriptedStep = ({ moment, cursor, settledResultsKeys }) =>
      moment === 'before'
        ? { moment, itemsKey: settlingKey, itemCount: settledResultsKeys.length === 0 ? 1 : 0 }
        : { moment, tenantsKey: cursor === 3 ? 'work/20261122t023000z/tenants.jsonl' : null, cursor: cursor ?? 3 };
    const lastKeys = (inputs: unknown[]) =>
      (inputs.at(-1) as { settledResultsKeys: string[] } | undefined)?.settledResultsKeys ?? [];

    it('in a second pass, with what the first one came to', async () => {
      const { execution, inputsOf, mapResults } = await run({
        'backup/settle-tenants': settles,
        'backup/back-up-tenant': ({ item: { tenant }, pass }) => ({
          result: { ...result(tenant), copiedObjectCount: pass.kind === 'settle' ? 9 : 0 },
          cursor: null,
        }),
      });
      expect(execution.status).toBe('SUCCEEDED');
      const passes = inputsOf('backup/back-up-tenant') as { item: { tenant: string | null }; pass: unknown }[];
      expect(passes.map(({ item: { tenant }, pass }) => [tenant, pass])).toEqual([
        ['oak', { kind: 'first' }],
        [null, { kind: 'first' }],
        ['oak', { kind: 'settle', result: result('oak') }],
      ]);
      const inputs = inputsOf('backup/settle-tenants') as { moment: string; cursor: unknown }[];
      expect(inputs.map(({ moment, cursor }) => [moment, cursor])).toEqual([
        ['before', undefined],
        ['before', undefined],
        ['after', null],
        ['after', 3],
      ]);
      const [key = '', ...others] = lastKeys(inputs);
      expect(others).toEqual([]);
      const settled = (await mapResults(key)).map(line => TenantBackupResult.parse(line));
      expect(settled.map(({ tenant, copiedObjectCount }) => [tenant, copiedObjectCount])).toEqual([['oak', 9]]);
      expect(inputsOf('backup/complete')).toMatchObject([{ tenantsKey: 'work/20261122t023000z/tenants.jsonl' }]);
    });

    it('and keeps what the first pass stored where the second one fails', async () => {
      const { execution, inputsOf, mapResults } = await run({
        'backup/settle-tenants': settles,
        'backup/back-up-tenant': ({ item: { tenant }, pass }) =>
          pass.kind === 'settle' ? failure('ListingOutOfOrderError') : { result: result(tenant), cursor: null },
      });
      expect(execution.status).toBe('SUCCEEDED');
      const [key = ''] = lastKeys(inputsOf('backup/settle-tenants'));
      const settled = (await mapResults(key)).map(line => TenantBackupResult.parse(line));
      expect(settled).toEqual([{ ...result('oak'), failure: 'ListingOutOfOrderError' }]);
    });

    it('lists tenants once more before each pass, and after the last one', async () => {
      const { execution, calls } = await run({
        'backup/list-tenants': (_input, call) => ({ ...listed, listing: `${call}`.repeat(64) }),
        'backup/settle-tenants': settles,
      });
      expect(execution.status).toBe('SUCCEEDED');
      const order = calls.flatMap(({ step, input }) => {
        if (step === 'backup/list-tenants') return [`list ${(input as { listing: string | null }).listing?.[0]}`];
        if (step === 'backup/back-up-tenant') return [(input as { pass: { kind: string } }).pass.kind];
        return step === 'backup/settle-tenants' ? [(input as { moment: string }).moment] : [];
      });
      const steps = ['list undefined', 'first', 'first', 'list 1', 'before', 'settle', 'list 2', 'before'];
      expect(order).toEqual([...steps, 'after', 'after']);
    });

    it('so often and no more, whatever comes', async () => {
      const { execution, inputsOf } = await run({
        'backup/settle-tenants': input =>
          input.moment === 'before'
            ? { ...(settles(input, 1, async () => {}) as object), itemCount: 1 }
            : settles(input, 1, async () => {}),
      });
      expect(execution.status).toBe('SUCCEEDED');
      expect(lastKeys(inputsOf('backup/settle-tenants'))).toHaveLength(DAILY_BACKUP.settlingPasses);
      expect(inputsOf('backup/list-tenants')).toHaveLength(2 + DAILY_BACKUP.settlingPasses);
    });

    it('and says of which buckets it does not know what came, where they cannot be listed again', async () => {
      const { execution, inputsOf } = await run({
        'backup/list-tenants': (_input, call) =>
          call === 1
            ? { ...listed, unlistedBucketIds: ['closed', 'uploads'], bucketIdsWithoutVersions: ['uploads', 'exports'] }
            : failure('WrongError'),
        'backup/settle-tenants': settles,
      });
      expect(execution.status).toBe('SUCCEEDED');
      expect(inputsOf('backup/back-up-tenant')).toHaveLength(3);
      expect(inputsOf('backup/complete')).toMatchObject([{ unlistedBucketIds: ['closed', 'uploads', 'exports'] }]);
    });
  });

  describe('lists many tenants', () => {
    const stopping =
      (from: number): ScriptedStep =>
      async (_input, call, takeTime) => {
        if (call < from) return { ...listed, listing: `${call}`.slice(-1).repeat(64) };
        await takeTime(QUARTER_MS);
        return {
          ...listed,
          itemsKey: null,
          unlistedBucketIds: ['closed', 'uploads'],
          listing: `${call}`.slice(-1).repeat(64),
        };
      };

    it('in as many calls as it takes, each with the listing of the one before', async () => {
      const { execution, inputsOf } = await run({
        'backup/list-tenants': (_input, call) => ({
          ...listed,
          itemsKey: call % 3 === 0 ? itemsKey : null,
          listing: `${call}`.repeat(64),
        }),
      });
      expect(execution.status).toBe('SUCCEEDED');
      const inputs = inputsOf('backup/list-tenants') as { listing: string | null }[];
      expect(inputs.map(({ listing }) => listing?.[0])).toEqual([undefined, '1', '2', '3', '4', '5']);
    });

    it('until it is too late for a recovery point', async () => {
      const { execution } = await run({ 'backup/list-tenants': stopping(1) });
      expect(execution).toMatchObject({ status: 'FAILED', error: 'FilesTimedOutError' });
    });

    it('and closes what there is where settling cannot be planned, or its map does not run', async () => {
      const closes = (steps: Partial<Record<ContractedStep, ScriptedStep>>) =>
        run({
          ...steps,
          'backup/complete': () => ({ recoveryPointId, status: 'incomplete', databases: [], draft }),
        });
      const settled: ScriptedStep = ({ moment }) =>
        moment === 'before'
          ? { moment, itemsKey: 'work/20261122t023000z/there-is-none.jsonl', itemCount: 1 }
          : { moment, tenantsKey: 'tenants.jsonl', cursor: null };
      for (const before of [() => failure('MapResultsUnreadableError'), settled]) {
        const { execution, inputsOf } = await closes({
          'backup/settle-tenants': (input, call, takeTime) =>
            input.moment === 'before' ? before(input, call, takeTime) : settled(input, call, takeTime),
        });
        expect(execution).toMatchObject({ status: 'FAILED', error: 'RecoveryPointIncompleteError' });
        expect(inputsOf('backup/settle-tenants')).toMatchObject([{ moment: 'before' }, { moment: 'after' }]);
      }
    });

    it('again until it is too late for that, and says so', async () => {
      const { execution, inputsOf } = await run({ 'backup/list-tenants': stopping(2) });
      expect(execution.status).toBe('SUCCEEDED');
      expect(inputsOf('backup/complete')).toMatchObject([{ unlistedBucketIds: ['closed', 'uploads'] }]);
    });
  });

  it('has a new key recorded before it is named and used', async () => {
    const keyDraft = { ...draft, eventId: 'tenant-key/1', kind: 'tenant-key.created', subject: 'oak' };
    const { execution, calls } = await run({
      'tenants/ensure-key': ({ tenant, recordedKeyArn }) => ({
        keyArn: `key of ${tenant}`,
        draft: tenant === 'oak' && recordedKeyArn === null ? keyDraft : null,
      }),
    });
    expect(execution.status).toBe('SUCCEEDED');
    const ofOak = calls.filter(({ input }) => JSON.stringify(input).includes('"oak"'));
    expect(ofOak.map(({ step, input }) => [step, input])).toEqual([
      ['tenants/ensure-key', { tenant: 'oak', recordedKeyArn: null }],
      ['evidence/append-entry', { draft: keyDraft }],
      ['tenants/ensure-key', { tenant: 'oak', recordedKeyArn: 'key of oak' }],
      ['backup/back-up-tenant', expect.objectContaining({ item: item('oak'), keyArn: 'key of oak', cursor: null })],
    ]);
  });

  it('encrypts nothing under a key that could not be recorded', async () => {
    const keyDraft = { ...draft, eventId: 'tenant-key/1', kind: 'tenant-key.created', subject: 'oak' };
    const { inputsOf, mapResults } = await run({
      'tenants/ensure-key': ({ tenant }) => ({ keyArn: 'key', draft: tenant === 'oak' ? keyDraft : null }),
      'evidence/append-entry': ({ draft: { kind } }) =>
        kind === 'tenant-key.created' ? failure('LedgerBrokenError') : { sequence: 1, entrySha256: 'b'.repeat(64) },
    });
    const [settled] = inputsOf('backup/settle-tenants') as { tenantResultsKey: string }[];
    const results = (await mapResults(settled?.tenantResultsKey ?? '')).map(line => TenantBackupResult.parse(line));
    expect(results.find(({ tenant }) => tenant === 'oak')).toMatchObject({ failure: 'LedgerBrokenError' });
    expect(JSON.stringify(inputsOf('backup/back-up-tenant'))).not.toContain('"oak"');
  });

  it.each<[string, Partial<Record<ContractedStep, ScriptedStep>>]>([
    [
      'its key cannot be used',
      {
        'tenants/ensure-key': ({ tenant }) =>
          tenant === 'oak' ? failure('TenantKeyUnusableError') : { keyArn: 'key', draft: null },
      },
    ],
    [
      'its objects cannot be copied',
      {
        'backup/back-up-tenant': ({ item: { tenant } }) =>
          tenant === 'oak' ? failure('TenantKeyUnusableError') : { result: result(tenant), cursor: null },
      },
    ],
  ])('goes on without a tenant when %s', async (_name, steps) => {
    const { execution, inputsOf, mapResults } = await run(steps);
    expect(execution.status).toBe('SUCCEEDED');
    const [settled] = inputsOf('backup/settle-tenants') as { tenantResultsKey: string }[];
    const results = (await mapResults(settled?.tenantResultsKey ?? '')).map(line => TenantBackupResult.parse(line));
    expect(results.map(({ tenant, failure: name, manifestSha256 }) => [tenant, name, manifestSha256]).sort()).toEqual([
      [null, null, 'a'.repeat(64)],
      ['oak', 'TenantKeyUnusableError', null],
    ]);
  });

  it.each<ContractedStep>(['backup/plan', 'backup/list-tenants', 'backup/complete'])(
    'records that it failed, by the name of the error alone, when %s fails',
    async step => {
      const { execution, inputsOf } = await run({ [step]: () => failure('WrongError') });
      expect(inputsOf('evidence/append-entry')).toEqual([
        {
          draft: {
            eventId: `backup-failed/${execution.name}/${execution.startDate.getTime()}`,
            kind: 'backup.failed',
            actor: 'workflow/daily-backup',
            subject: execution.name,
            body: { error: 'WrongError' },
          },
        },
      ]);
      expect([execution.status, execution.error]).toEqual(['FAILED', 'WrongError']);
    },
  );

  it('tries again what may pass, and not what stays wrong', async () => {
    const { execution, inputsOf } = await run({
      'backup/plan': (input, call, takeTime) =>
        call < 4 ? failure('RetryableError') : allGoesWell['backup/plan']?.(input, 1, takeTime),
      'backup/list-tenants': () => failure('ObjectAccessDeniedError'),
    });
    expect(execution.error).toBe('ObjectAccessDeniedError');
    expect(inputsOf('backup/plan')).toHaveLength(4);
    expect(inputsOf('backup/list-tenants')).toHaveLength(1);
  });

  describe('where all of the account’s functions are busy', () => {
    const busy = () => failure('Lambda.TooManyRequestsException');

    it('waits with every step for its turn, for longer than a quarter of an hour, and is good', async () => {
      const twelveTimes = Object.fromEntries(
        Object.entries(allGoesWell).map(([step, script]): [string, ScriptedStep] => {
          let refused = 0;
          return [step, (input, call, takeTime) => (++refused <= 12 ? busy() : script(input, call, takeTime))];
        }),
      );
      const { execution, calls, inputsOf } = await run(twelveTimes);
      expect(execution.status).toBe('SUCCEEDED');
      const [complete] = inputsOf('backup/complete') as { databases: unknown }[];
      expect(complete?.databases).toEqual(outcomes(null, null, null));
      const planned = calls.filter(({ step }) => step === 'backup/plan');
      expect(planned).toHaveLength(13);
      // Five attempts, a wait, five attempts, a wait.
      expect(planned.at(-1)?.atMs).toBeGreaterThan(2 * 240_000);
    });

    it.each<[string, Partial<Record<ContractedStep, ScriptedStep>>, object, number]>([
      [
        'a measurement before the snapshots',
        {
          'backup/fingerprint': ({ databaseId, moment }) =>
            databaseId === 'first' && moment === 'before' ? busy() : { done: true, measuredAt: scheduledAt },
        },
        outcomes('NoFunctionFreeError', null, null),
        DAILY_BACKUP.measuredHours,
      ],
      [
        'a snapshot',
        {
          'backup/create-snapshot': ({ instanceId }) =>
            instanceId === 'one' ? busy() : { snapshotId: `daybreak-intermediate-${instanceId}` },
        },
        outcomes('NoFunctionFreeError', 'NoFunctionFreeError', null),
        DAILY_BACKUP.snapshotHours,
      ],
      [
        'the deletion of an intermediate snapshot',
        { 'backup/delete-intermediate': ({ instanceId }) => (instanceId === 'two' ? busy() : {}) },
        outcomes(null, null, 'NoFunctionFreeError'),
        DAILY_BACKUP.partHours,
      ],
    ])('waits with %s until its hour, then says why, and closes the rest', async (_name, steps, expected, hours) => {
      const { execution, calls, inputsOf } = await run(steps);
      expect(execution.status).toBe('SUCCEEDED');
      const [complete] = inputsOf('backup/complete') as { databases: unknown }[];
      expect(complete?.databases).toEqual(expected);
      const lastedMs = calls.find(({ step }) => step === 'backup/complete')?.atMs ?? 0;
      expect(lastedMs).toBeGreaterThan(hours * HOUR_MS);
      expect(lastedMs).toBeLessThan((hours + 0.25) * HOUR_MS);
      expect(inputsOf('backup/back-up-tenant')).toHaveLength(2);
    });

    it('names the tenant that found none until its hour, and keeps the others', async () => {
      const { inputsOf, mapResults } = await run({
        'backup/back-up-tenant': ({ item: { tenant } }) =>
          tenant === 'oak' ? busy() : { result: result(tenant), cursor: null },
      });
      const [settled] = inputsOf('backup/settle-tenants') as { tenantResultsKey: string }[];
      const results = (await mapResults(settled?.tenantResultsKey ?? '')).map(line => TenantBackupResult.parse(line));
      expect(results.map(({ tenant, failure: why }) => [tenant, why])).toEqual([
        ['oak', 'NoFunctionFreeError'],
        [null, null],
      ]);
    });

    it.each<[ContractedStep, number]>([
      ['backup/plan', DAILY_BACKUP.measuredHours],
      ['backup/list-tenants', DAILY_BACKUP.partHours],
      ['backup/complete', DAILY_BACKUP.closedHours],
    ])('fails for want of %s at its hour, and records that', async (step, hours) => {
      const { execution, inputsOf, calls } = await run({ [step]: busy });
      expect(execution).toMatchObject({ status: 'FAILED', error: 'NoFunctionFreeError' });
      expect(execution.cause).toContain('no function of the account was free until its hour');
      expect(inputsOf('evidence/append-entry')).toMatchObject([
        { draft: { kind: 'backup.failed', body: { error: 'NoFunctionFreeError' } } },
      ]);
      expect(Math.floor(((calls.at(-1)?.atMs ?? 0) / HOUR_MS) * 4) / 4).toBe(hours);
    });

    it('closes with what it has where it cannot list again', async () => {
      const { execution, inputsOf } = await run({
        'backup/list-tenants': (_input, call) => (call === 1 ? listed : busy()),
      });
      expect(execution.status).toBe('SUCCEEDED');
      expect(inputsOf('backup/complete')).toMatchObject([{ unlistedBucketIds: ['closed', 'uploads'] }]);
    });
  });

  describe('where what may pass does so, but later than a few tries', () => {
    /** Each step fails so long from when it was first called on, by one error. */
    async function failing(error: string, forMs: number) {
      let elapsedMs = () => 0;
      const first = new Map<string, number>();
      const steps = Object.fromEntries(
        Object.entries(allGoesWell).map(([step, script]): [string, ScriptedStep] => [
          step,
          (input, call, takeTime) => {
            const since = first.get(step) ?? elapsedMs();
            first.set(step, since);
            return elapsedMs() - since < forMs ? failure(error) : script(input, call, takeTime);
          },
        ]),
      );
      return runWorkflow(dailyBackup, steps, {
        ...{ input: { scheduledAt }, itemsKey, items: [item('oak'), item(null)], files: { [settlingKey]: [] } },
        onStart: clock => {
          elapsedMs = clock;
        },
      });
    }

    it.each([
      'RetryableError',
      'Lambda.ServiceException',
      'Lambda.SdkClientException',
      'Lambda.Unknown',
      'Lambda.ResourceNotReadyException',
      'Sandbox.Timedout',
    ])('is good though each step fails for a quarter of an hour: %s', async error => {
      const { execution, inputsOf } = await failing(error, QUARTER_MS);
      expect(execution.status).toBe('SUCCEEDED');
      expect(inputsOf('backup/complete').at(-1)).toMatchObject({ databases: outcomes(null, null, null) });
      expect(inputsOf('backup/settle-tenants').length).toBeGreaterThan(2);
    });

    it('gives up after an hour of it, in which no function of the account was free does not count, and says why', async () => {
      let elapsedMs = () => 0;
      const { execution, calls } = await runWorkflow(
        dailyBackup,
        {
          ...allGoesWell,
          'backup/complete': () =>
            failure(elapsedMs() < 2 * HOUR_MS ? 'Lambda.TooManyRequestsException' : 'Lambda.ServiceException'),
        },
        {
          ...{ input: { scheduledAt }, itemsKey, items: [item('oak')], files: { [settlingKey]: [] } },
          onStart: clock => {
            elapsedMs = clock;
          },
        },
      );
      expect([execution.status, execution.error]).toEqual(['FAILED', 'Lambda.ServiceException']);
      const asked = calls.filter(({ step }) => step === 'backup/complete').at(-1)?.atMs ?? 0;
      expect(asked).toBeGreaterThan(2.75 * HOUR_MS);
      expect(asked).toBeLessThan(3.25 * HOUR_MS);
    });
  });

  it('takes no time for one of refusals in which it could not ask', async () => {
    let elapsedMs = () => 0;
    const { execution, inputsOf } = await runWorkflow(
      dailyBackup,
      {
        ...allGoesWell,
        'backup/create-snapshot': ({ instanceId }) => {
          const minutes = elapsedMs() / 60_000;
          if (minutes < 5 || (minutes > 60 && minutes < 65)) failure('RetryableError');
          if (minutes <= 60) failure('Lambda.TooManyRequestsException');
          return { snapshotId: `daybreak-intermediate-${instanceId}` };
        },
      },
      {
        ...{ input: { scheduledAt }, itemsKey, items: [item('oak')], files: { [settlingKey]: [] } },
        onStart: clock => {
          elapsedMs = clock;
        },
      },
    );
    expect(execution.status).toBe('SUCCEEDED');
    expect(inputsOf('backup/complete')).toMatchObject([{ databases: outcomes(null, null, null) }]);
  });

  it('gives up for half an hour’s refusals alone, and holds up no other instance with one that refuses', async () => {
    const { calls, inputsOf } = await run({
      'backup/create-snapshot': ({ instanceId }) =>
        instanceId === 'one' ? failure('RetryableError') : { snapshotId: 'daybreak-intermediate-two' },
    });
    const [complete] = inputsOf('backup/complete') as { databases: unknown }[];
    expect(complete?.databases).toEqual(outcomes('RetryableError', 'RetryableError', null));
    const ofTwo = calls.find(
      ({ step, input }) => step === 'backup/create-snapshot' && /"two"/.test(JSON.stringify(input)),
    );
    expect(ofTwo?.atMs).toBe(0);
    const listedAtMs = calls.find(({ step }) => step === 'backup/list-tenants')?.atMs ?? 0;
    expect(listedAtMs).toBeGreaterThan(HOUR_MS / 2);
    expect(listedAtMs).toBeLessThan(0.75 * HOUR_MS);
  });

  // Whatever Step Functions leaves of a child that failed, a database is backed up only where somebody said so.
  it.each([
    ['MeasuredBefore', "$database.databaseId = 'third'", outcomes(null, null, 'NoResultError')],
    ['Snapshotted', "$instance.instanceId = 'one'", outcomes('NoResultError', 'NoResultError', null)],
    ['MeasuredAfter', "$database.databaseId = 'third'", outcomes(null, null, 'NoResultError')],
    ['Copied', "$instance.instanceId = 'one'", outcomes('NoResultError', 'NoResultError', null)],
  ])('names what has no result where a child fails in %s', async (state, broken, expected) => {
    const steps = { ...allGoesWell };
    const { execution, inputsOf } = await runWorkflow(
      references =>
        JSON.parse(JSON.stringify(dailyBackup(references)), (name, value) =>
          name === state
            ? { ...value, Output: `{% ${broken} ? $error('broken') : ${asQuery(value.Output)} %}` }
            : value,
        ),
      steps,
      { input: { scheduledAt }, itemsKey, items: [item('oak')] },
    );
    expect(execution.status).toBe('SUCCEEDED');
    const [complete] = inputsOf('backup/complete') as { databases: unknown }[];
    expect(complete?.databases).toEqual(expected);
    expect(inputsOf('backup/back-up-tenant')).toHaveLength(1);
  });
});

/** An output as one expression. */
const asQuery = (output: Readonly<Record<string, string | boolean | null>>): string =>
  `{${Object.entries(output)
    .map(([name, value]) => {
      const query = typeof value === 'string' && value.startsWith('{%') ? value.slice(2, -2) : JSON.stringify(value);
      return `'${name}': ${query}`;
    })
    .join(', ')}}`;
