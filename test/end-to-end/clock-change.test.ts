import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { instantOfId } from '../../functions/contracts/identifiers.ts';
import { readLedgerState } from '../../functions/platform/ledger.ts';
import type { LedgerProjection } from '../../functions/platform/ledger-projection.ts';
import { withRuntime } from '../../functions/platform/runtime.ts';
import { createApp } from '../../infra/app.ts';
import { bucketNames } from '../../infra/config/configuration.ts';
import { LocalClock } from '../../infra/local/clock.ts';
import { LOCAL_ACCOUNT, LocalCloud } from '../../infra/local/cloud.ts';
import { deployAssembly } from '../../infra/local/cloudformation/deploy.ts';
import { localConfiguration } from '../../infra/local/cloudformation/local-configuration.ts';

const HOUR_MS = 3_600_000;
const SCHEDULE = 'daybreak-daily-backup';
const BUCKET = 'supplier-uploads';
const names = bucketNames({ account: LOCAL_ACCOUNT });
const directory = mkdtempSync(join(tmpdir(), 'daybreak-clock-change-'));
afterAll(() => rmSync(directory, { recursive: true }));

function synthesize(hour: number, minute: number): string {
  const outdir = join(directory, `${hour}-${minute}`);
  const buckets = [{ id: 'uploads', name: BUCKET, tenantPrefix: 'schools/{tenant}/' }];
  const configuration = localConfiguration({ account: LOCAL_ACCOUNT, databases: [], buckets });
  const schedules = { ...configuration.schedules, dailyBackup: { hour, minute } };
  createApp({ ...configuration, schedules }, { outdir, bundle: false, check: false }).synth();
  return outdir;
}

/** A supplier with two files, and of Daybreak's schedules the daily backup's alone. */
async function deployAt(startsAt: string, assembly: string): Promise<LocalCloud> {
  const cloud = new LocalCloud({ clock: new LocalClock({ startsAt: new Date(startsAt), flow: 'manual' }) });
  cloud.s3.createBucket({ name: BUCKET, versioning: 'Enabled' });
  for (const tenant of ['oak', 'elm']) await cloud.s3.seedObject(BUCKET, `schools/${tenant}/a.txt`, `of ${tenant}`);
  await deployAssembly(cloud, assembly);
  for (const { name } of cloud.scheduler.listSchedules()) if (name !== SCHEDULE) cloud.scheduler.deleteSchedule(name);
  return cloud;
}

async function settle({ states }: LocalCloud): Promise<void> {
  for (const { arn } of states.listExecutions()) await states.waitForExecution(arn);
}

const dailyBackups = ({ states }: LocalCloud) =>
  states
    .listExecutions()
    .filter(({ mapRunArn, stateMachineName }) => mapRunArn === undefined && stateMachineName === SCHEDULE)
    .map(({ name, status }) => [name, status]);

function ledgerOf(cloud: LocalCloud): Promise<LedgerProjection> {
  const runtime = {
    environment: {},
    clock: cloud.clock,
    clientConfiguration: cloud.clientConfiguration(cloud.root),
    writeLine: () => undefined,
    instances: new Map(),
  };
  const { DAYBREAK_DEPLOYMENT = '' } = cloud.lambda.environmentOf('daybreak-backup-plan');
  return withRuntime(runtime, () => readLedgerState(JSON.parse(DAYBREAK_DEPLOYMENT)));
}

/** How many versions lie in the buckets that outlive everything. */
const versionCount = (cloud: LocalCloud) =>
  [names.vaultBucket, names.evidenceBucket].flatMap(name =>
    [...(cloud.s3.core.store.buckets.get(name)?.keys.values() ?? [])].flatMap(({ versions }) => versions),
  ).length;

const londonDay = (id: string) =>
  new Intl.DateTimeFormat('en-CA', { timeZone: 'Europe/London' }).format(new Date(instantOfId(id)));

describe.each([
  {
    at: [2, 30],
    march: ['20260328t023000z', '20260329t013000z', '20260330t013000z'],
    october: ['20261024t013000z', '20261025t023000z', '20261026t023000z'],
  },
  {
    at: [0, 30],
    march: ['20260328t003000z', '20260329t003000z', '20260329t233000z'],
    october: ['20261023t233000z', '20261024t233000z', '20261026t003000z'],
  },
])('a daily backup at $at.0:$at.1 in London', ({ at: [hour = 0, minute = 0], march, october }) => {
  const assembly = synthesize(hour, minute);

  it.each([
    ['forward', '2026-03-27T12:00:00Z', march, ['2026-03-28', '2026-03-29', '2026-03-30']],
    ['back', '2026-10-23T12:00:00Z', october, ['2026-10-24', '2026-10-25', '2026-10-26']],
  ])('makes one recovery point a day while clocks go %s', async (_name, startsAt, ids, days) => {
    const cloud = await deployAt(startsAt, assembly);
    for (let hours = 0; hours < 3 * 24; hours++) {
      await cloud.clock.advance(HOUR_MS);
      await settle(cloud);
    }
    const { recoveryPoints } = await ledgerOf(cloud);
    expect(Object.entries(recoveryPoints).map(([id, { status }]) => [id, status])).toEqual(ids.map(id => [id, 'good']));
    expect(Object.keys(recoveryPoints).map(londonDay)).toEqual(days);
    const executionNames = ids.map(id => `daily-backup-${id.toUpperCase()}`);
    expect(dailyBackups(cloud)).toEqual(executionNames.map(name => [name, 'SUCCEEDED']));
    await cloud.close();
  });
});

it('makes one recovery point of a schedule that fires three times', async () => {
  const cloud = await deployAt('2026-10-25T02:30:00Z', join(directory, '2-30'));
  const scheduledAt = cloud.clock.now();
  let release = (): void => undefined;
  const held = new Promise<void>(resolve => {
    release = resolve;
  });
  cloud.lambda.intercept(async ({ functionName }, next) => {
    if (functionName === 'daybreak-backup-list-tenants') await held;
    return next();
  });
  const once = [['daily-backup-20261025T023000Z', 'RUNNING']];
  expect(await cloud.scheduler.fire(SCHEDULE, scheduledAt)).toMatchObject({ failure: null });
  expect(dailyBackups(cloud)).toEqual(once);
  expect(await cloud.scheduler.fire(SCHEDULE, scheduledAt)).toMatchObject({ failure: null });
  expect(dailyBackups(cloud)).toEqual(once);
  release();
  await settle(cloud);
  const ended = [['daily-backup-20261025T023000Z', 'SUCCEEDED']];
  expect(dailyBackups(cloud)).toEqual(ended);
  const [ledger, versions] = [await ledgerOf(cloud), versionCount(cloud)];
  expect(Object.keys(ledger.recoveryPoints)).toEqual(['20261025t023000z']);

  expect(await cloud.scheduler.fire(SCHEDULE, scheduledAt)).toMatchObject({ failure: null });
  await settle(cloud);
  expect(dailyBackups(cloud)).toEqual(ended);
  expect([await ledgerOf(cloud), versionCount(cloud)]).toEqual([ledger, versions]);
  await cloud.close();
});
