import { beforeEach, describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { backUpTenant, TENANT_BACKUP_LIMITS } from '../../../functions/backup/back-up-tenant.ts';
import { planItems } from '../../../functions/backup/plan-items.ts';
import { BackUpTenantInput, BackUpTenantOutput, type TenantCursor } from '../../../functions/contracts/daily-backup.ts';
import type { TenantBackupResult } from '../../../functions/contracts/object-manifest.ts';
import { manifestKey } from '../../../functions/contracts/vault-layout.ts';
import { stepRuntime, type TestRuntime } from '../../fixtures/step-runtime.ts';
import { readLines } from './run-file-backup.ts';

const BUCKET = 'school-uploads';
const DAY_MS = 24 * 60 * 60_000;
const limits = { ...TENANT_BACKUP_LIMITS, linesPerSegment: 20 };

let cloud: TestRuntime;
let keyArn: string;
beforeEach(async () => {
  cloud = stepRuntime();
  keyArn = cloud.kms.createKeyFromTemplate({}).keyArn;
  for (let index = 10; index < 99; index++) await cloud.put(BUCKET, `schools/oak/${index}`, `content ${index}`);
});

/** One day's run over the tenant, whose copies take a minute each, with so many minutes until its deadline. */
async function runDay(previous: TenantBackupResult | undefined, minutes: number | null) {
  await cloud.clock.advance(DAY_MS);
  const items = planItems({
    recoveryPointId: '20261122t023000z',
    buckets: [{ bucketId: 'uploads', listed: ['oak'], asOf: null }],
    databaseTenants: [],
    previous: previous === undefined ? [] : [previous],
    earlier: [],
    tenantFoldersSha256: null,
    lostObjectsSha256: null,
  });
  const item = items.find(({ tenant }) => tenant === 'oak');
  const deadlineAt = minutes === null ? null : new Date(cloud.clock.now().getTime() + minutes * 60_000).toISOString();
  let copies = 0;
  cloud.intercept(async (request, next) => {
    if (request.headers['x-amz-copy-source'] !== undefined) {
      copies++;
      await cloud.clock.advance(60_000);
    }
    return next();
  });
  let cursor: z.output<typeof TenantCursor> | null = null;
  for (let calls = 1; ; calls++) {
    const input = BackUpTenantInput.parse({ item, keyArn, cursor, deadlineAt });
    const output = BackUpTenantOutput.parse(
      JSON.parse(JSON.stringify(await cloud.run(() => backUpTenant(input, cloud.context, limits)))),
    );
    if (output.result !== null) return { result: output.result, copies, calls };
    cursor = output.cursor;
    expect(calls).toBeLessThan(10);
  }
}

describe('a tenant that is larger than its deadline', () => {
  it('goes on every day where it stopped the day before, and is whole in the end', async () => {
    let result: TenantBackupResult | undefined;
    let copied = 0;
    let days = 0;
    do {
      const day = await runDay(result, 12);
      // What was done is not done again.
      expect(day.copies).toBe(day.result.copiedObjectCount);
      copied += day.copies;
      result = day.result;
      if (result.failure !== null) {
        expect(result).toMatchObject({
          failure: 'TenantTimedOutError',
          manifestSha256: null,
          previousManifestSha256: null,
          objectCount: 0,
          listedTo: null,
        });
        expect(await cloud.list('vault')).toContain(manifestKey('oak', result.partialManifestSha256 ?? ''));
      }
      days++;
    } while (result.failure !== null && days < 10);
    expect([result.failure, result.objectCount, copied]).toEqual([null, 89, 89]);
    expect(result.partialManifestSha256).toBeUndefined();
    expect(await readLines(cloud, result)).toHaveLength(89);
    expect(days).toBeGreaterThan(1);
  });

  it('keeps its newest whole manifest named, and what changed since in the partial one', async () => {
    const whole = await runDay(undefined, null);
    await cloud.clock.advance(60_000);
    for (let index = 10; index < 99; index++) await cloud.put(BUCKET, `schools/oak/${index}`, `changed ${index}`);
    const late = await runDay(whole.result, 8);
    expect(late.result).toMatchObject({
      failure: 'TenantTimedOutError',
      manifestSha256: null,
      previousManifestSha256: whole.result.manifestSha256,
    });
    const partial = await readLines(cloud, {
      ...late.result,
      manifestSha256: late.result.partialManifestSha256 ?? null,
    });
    const before = await readLines(cloud, whole.result);
    expect(partial.map(({ key }) => key)).toEqual(before.map(({ key }) => key));
    const renewed = partial.filter(({ sha256 }, index) => sha256 !== before[index]?.sha256).length;
    expect(renewed).toBeGreaterThan(0);
    expect(renewed).toBe(late.result.copiedObjectCount);

    // Even where no time at all is left, it forgets nothing.
    const none = await runDay(late.result, 0);
    expect(none.copies).toBe(0);
    expect(none.result).toMatchObject({
      previousManifestSha256: whole.result.manifestSha256,
      partialManifestSha256: late.result.partialManifestSha256,
    });
    const last = await runDay(none.result, null);
    expect(last.copies).toBe(89 - renewed);
    expect(last.result).toMatchObject({ failure: null, objectCount: 89 });
  });

  it('compares with its newest whole manifest where the partial one is altered', async () => {
    const whole = await runDay(undefined, null);
    const forged = { ...whole.result, manifestSha256: null, previousManifestSha256: whole.result.manifestSha256 };
    const day = await runDay({ ...forged, partialManifestSha256: '0'.repeat(64) }, null);
    expect(day).toMatchObject({ copies: 0, result: { failure: null, manifestSha256: whole.result.manifestSha256 } });
    expect(cloud.lines.filter(({ level }) => level === 'error')).toHaveLength(day.calls);
  });
});
