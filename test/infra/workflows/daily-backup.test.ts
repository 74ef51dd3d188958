import { describe, expect, it } from 'vitest';
import { TenantBackupResult } from '../../../functions/contracts/object-manifest.ts';
import { dailyBackup } from '../../../infra/workflows/daily-backup.ts';
import { type ContractedStep, failure, runWorkflow, type ScriptedStep } from './workflow-run.ts';

const recoveryPointId = '20261122t023000z';
const scheduledAt = '2026-11-22T02:30:00.000Z';
const endpoint = { host: 'db.example', port: 5432 };
const itemsKey = `work/${recoveryPointId}/items.jsonl`;
const item = (tenant: string | null) => ({
  recoveryPointId,
  bucketId: 'uploads',
  tenant,
  previousManifestSha256: null,
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
const available = { available: true, progressPercent: 100 };

const allGoesWell: Record<string, ScriptedStep> = {
  'backup/plan': () => ({
    recoveryPointId,
    scheduledAt,
    databases: ['first', 'second'].map(databaseId => ({ recoveryPointId, databaseId, endpoint })),
  }),
  'backup/fingerprint': () => ({ done: true, measuredAt: scheduledAt }),
  'backup/create-snapshot': ({ databaseId }) => ({ snapshotId: `daybreak-intermediate-${databaseId}` }),
  'backup/describe-snapshot': () => available,
  'backup/copy-snapshot': ({ databaseId }) => ({ snapshotId: `daybreak-${databaseId}` }),
  'backup/delete-intermediate': () => ({}),
  'backup/list-tenants': () => ({ itemsKey, itemCount: 2, unlistedBucketIds: ['closed'] }),
  'tenants/ensure-key': ({ tenant }) => ({ keyArn: `key of ${tenant}`, draft: null }),
  'backup/back-up-tenant': ({ item: { tenant } }) => ({ result: result(tenant), cursor: null }),
  'backup/complete': () => ({ recoveryPointId, status: 'good', databases: [], draft }),
  'evidence/append-entry': () => ({ sequence: 1, entrySha256: 'b'.repeat(64) }),
};

const run = (steps: Partial<Record<ContractedStep, ScriptedStep>> = {}) =>
  runWorkflow(
    dailyBackup,
    { ...allGoesWell, ...steps },
    {
      input: { scheduledAt },
      itemsKey,
      items: [item('oak'), item(null)],
    },
  );

describe('the daily backup', () => {
  it('takes each database in order, then the tenants, closes the recovery point and records it', async () => {
    const { execution, calls, inputsOf, mapResults } = await run();
    expect(execution.status).toBe('SUCCEEDED');
    expect(execution.output).toEqual({ recoveryPointId, status: 'good' });
    const ofFirst = calls.filter(({ input }) => JSON.stringify(input).includes('first'));
    expect(ofFirst.map(({ step, input }) => [step, (input as { moment?: string }).moment])).toEqual([
      ['backup/fingerprint', 'before'],
      ['backup/create-snapshot', undefined],
      ['backup/describe-snapshot', undefined],
      ['backup/fingerprint', 'after'],
      ['backup/copy-snapshot', undefined],
      ['backup/describe-snapshot', undefined],
      ['backup/delete-intermediate', undefined],
      ['backup/complete', undefined],
    ]);
    const order = calls.map(({ step }) => step);
    expect(order.indexOf('backup/list-tenants')).toBeGreaterThan(order.lastIndexOf('backup/delete-intermediate'));
    const [complete] = inputsOf('backup/complete') as { databases: unknown; tenantResultsKey: string }[];
    expect(complete).toMatchObject({ unlistedBucketIds: ['closed'] });
    expect(complete?.databases).toEqual([
      { databaseId: 'first', failure: null },
      { databaseId: 'second', failure: null },
    ]);
    const results = await mapResults(complete?.tenantResultsKey ?? '');
    expect(results.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))).toEqual([
      result('oak'),
      result(null),
    ]);
    expect(complete?.tenantResultsKey).toMatch(/^work\/20261122t023000z\/results\/[^/]+\/manifest\.json$/);
    expect(inputsOf('evidence/append-entry')).toEqual([{ draft }]);
  });

  it('waits for snapshots, and calls what stopped for time again with its cursor', async () => {
    const cursor = { progress: result('oak'), unfinishedSha256: 'c'.repeat(64) };
    const { execution, inputsOf, calls } = await run({
      'backup/fingerprint': (_input, call) => ({ done: call > 6, measuredAt: null }),
      'backup/describe-snapshot': (_input, call) => (call > 10 ? available : { available: false, progressPercent: 0 }),
      'backup/back-up-tenant': ({ item: { tenant }, cursor: given }) =>
        tenant === 'oak' && given === null ? { result: null, cursor } : { result: result(tenant), cursor: null },
    });
    expect(execution.status).toBe('SUCCEEDED');
    const ofOak = inputsOf('backup/back-up-tenant').filter(input => JSON.stringify(input).includes('"oak"'));
    expect(ofOak).toEqual([
      { item: item('oak'), keyArn: 'key of oak', cursor: null },
      { item: item('oak'), keyArn: 'key of oak', cursor },
    ]);
    const describes = calls.filter(({ step }) => step === 'backup/describe-snapshot').map(({ atMs }) => atMs);
    expect(describes.slice(0, 4)).toEqual([0, 0, 30_000, 30_000]);
  });

  it('goes on without a database that fails, and names the error', async () => {
    const { execution, inputsOf } = await run({
      'backup/create-snapshot': ({ databaseId }) =>
        databaseId === 'first' ? failure('DatabaseQuotaError') : { snapshotId: 'daybreak-intermediate-second' },
      'backup/complete': () => ({ recoveryPointId, status: 'incomplete', databases: [], draft }),
    });
    expect(inputsOf('backup/complete')).toMatchObject([
      {
        databases: [
          { databaseId: 'first', failure: 'DatabaseQuotaError' },
          { databaseId: 'second', failure: null },
        ],
      },
    ]);
    expect(inputsOf('evidence/append-entry')).toEqual([{ draft }]);
    expect([execution.status, execution.error]).toEqual(['FAILED', 'RecoveryPointIncompleteError']);
  });

  it.each(['before', 'after'])('snapshots and copies a database that cannot be measured %s', async unmeasured => {
    const { calls, inputsOf } = await run({
      'backup/fingerprint': ({ databaseId, moment }) =>
        databaseId === 'first' && moment === unmeasured
          ? failure('DatabaseAccessDeniedError')
          : { done: true, measuredAt: scheduledAt },
    });
    const ofFirst = calls.filter(({ input }) => JSON.stringify(input).includes('first')).map(({ step }) => step);
    expect(ofFirst).toEqual([
      'backup/fingerprint',
      'backup/create-snapshot',
      'backup/describe-snapshot',
      'backup/fingerprint',
      'backup/copy-snapshot',
      'backup/describe-snapshot',
      'backup/delete-intermediate',
      'backup/complete',
    ]);
    expect(inputsOf('backup/complete')).toMatchObject([
      {
        databases: [
          { databaseId: 'first', failure: 'DatabaseAccessDeniedError' },
          { databaseId: 'second', failure: null },
        ],
      },
    ]);
  });

  it('gives a snapshot up that never becomes available, so that the others are recorded', async () => {
    const { execution, inputsOf } = await run({
      'backup/describe-snapshot': ({ snapshotId }) =>
        snapshotId === 'daybreak-second' ? { available: false, progressPercent: 10 } : available,
    });
    expect(execution.status).toBe('SUCCEEDED');
    expect(inputsOf('backup/complete')).toMatchObject([
      { databases: [{ failure: null }, { databaseId: 'second', failure: 'SnapshotTimedOutError' }] },
    ]);
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
      ['backup/back-up-tenant', { item: item('oak'), keyArn: 'key of oak', cursor: null }],
    ]);
  });

  it('encrypts nothing under a key that could not be recorded', async () => {
    const keyDraft = { ...draft, eventId: 'tenant-key/1', kind: 'tenant-key.created', subject: 'oak' };
    const { inputsOf, mapResults } = await run({
      'tenants/ensure-key': ({ tenant }) => ({ keyArn: 'key', draft: tenant === 'oak' ? keyDraft : null }),
      'evidence/append-entry': ({ draft: { kind } }) =>
        kind === 'tenant-key.created' ? failure('LedgerBrokenError') : { sequence: 1, entrySha256: 'b'.repeat(64) },
    });
    const [complete] = inputsOf('backup/complete') as { tenantResultsKey: string }[];
    const results = (await mapResults(complete?.tenantResultsKey ?? '')).map(line => TenantBackupResult.parse(line));
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
    const [complete] = inputsOf('backup/complete') as { tenantResultsKey: string }[];
    const results = (await mapResults(complete?.tenantResultsKey ?? '')).map(line => TenantBackupResult.parse(line));
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
            eventId: `backup-failed/${execution.name}`,
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
      'backup/plan': (input, call) => (call < 4 ? failure('RetryableError') : allGoesWell['backup/plan']?.(input, 1)),
      'backup/list-tenants': () => failure('ObjectAccessDeniedError'),
    });
    expect(execution.error).toBe('ObjectAccessDeniedError');
    expect(inputsOf('backup/plan')).toHaveLength(4);
    expect(inputsOf('backup/list-tenants')).toHaveLength(1);
  });
});
