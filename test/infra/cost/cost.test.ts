import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readConfiguration } from '../../../infra/config/configuration.ts';
import { exampleConfiguration } from '../../../infra/config/example.ts';
import { countResources } from '../../../infra/cost/count-resources.ts';
import {
  type DeployedResources,
  estimateMonth,
  firstBackup,
  growth,
  type SupplierSize,
} from '../../../infra/cost/estimate.ts';
import { LARCH_LEARNING } from '../../../infra/cost/example.ts';
import { arePricesOld, INSTANCE_PRICES, PRICES, PRICES_AS_OF } from '../../../infra/cost/prices.ts';
import { describeExample } from '../../../infra/cost/print.ts';

const configuration = readConfiguration(exampleConfiguration);
const resources: DeployedResources = {
  keys: 4,
  alarms: 10,
  compositeAlarms: 1,
  dashboards: 1,
  endpoints: 2,
  trails: 1,
};
const cents = (size: SupplierSize, change: Partial<DeployedResources> = {}, chosen = configuration) =>
  Object.fromEntries(
    estimateMonth(chosen, size, { ...resources, ...change }).map(({ what, usd }) => [what, Math.round(usd * 100)]),
  );

describe('a month’s cost', () => {
  it('is what the prices and quantities give, by line', () => {
    expect(cents(LARCH_LEARNING)).toMatchObject({
      // 4 + 40 keys at 1.00.
      'KMS keys': 4400,
      // 20 GB, and 35 times 0.5 GB, at 0.10.
      'RDS snapshots': 375,
      // 2 h at 0.073, and 20 GB at 0.133 for 2 of 730 hours.
      'Restored instance': 15,
      // 60 GB, and 2,000 files of 0.0003 GB for 35 + 35 days, at 0.024.
      'S3 storage': 245,
      // 2 zones for 730 hours at 0.011.
      'VPC endpoint for KMS': 1606,
      // 10 at 0.10, one at 0.50.
      'CloudWatch alarms': 150,
      'CloudWatch dashboard': 300,
      CloudTrail: 0,
    });
  });

  it('is nothing for what is not deployed', () => {
    const without = cents(LARCH_LEARNING, { endpoints: 0, trails: 0 });
    expect(without['VPC endpoint for KMS']).toBe(0);
    expect(without).not.toHaveProperty('CloudTrail');
  });

  it('counts every file where a restore test restores all', () => {
    const restoreTest = { ...configuration.restoreTest, objectsPerTenant: 'all' as const };
    const writes = (chosen: typeof configuration) =>
      estimateMonth(chosen, LARCH_LEARNING, resources).find(({ what }) => what === 'S3 writes and listings')?.usd ?? 0;
    // 199,200 files more than the sample’s 800, at 0.0053 a thousand.
    expect(writes({ ...configuration, restoreTest }) - writes(configuration)).toBeCloseTo(199.2 * 0.0053, 9);
  });

  it('has two passes over what keeps no versions', () => {
    const usd = (keepsVersions: boolean, of: string) =>
      estimateMonth(configuration, { ...LARCH_LEARNING, keepsVersions }, resources).find(({ what }) => what === of)
        ?.usd ?? 0;
    const more = (of: string) => usd(false, of) - usd(true, of);
    const days = 730 / 24;
    // 40 schools, and a page for each 1,000 of 200,000 files, at 0.0053 a thousand.
    expect(more('S3 writes and listings')).toBeCloseTo(((40 + 200) * days * 0.0053) / 1000, 9);
    // Nine transitions for each school.
    expect(more('Step Functions')).toBeCloseTo((40 * 9 * (days + 1) * 0.025) / 1000, 9);
    expect(more('Lambda')).toBeCloseTo(40 * 10 * (days + 1) * 0.0000133334, 9);
  });

  it('is never less for more', () => {
    const total = (size: SupplierSize) =>
      estimateMonth(configuration, size, resources).reduce((sum, { usd }) => sum + usd, 0);
    const grown = fc.constantFrom(
      'schools',
      'databaseGb',
      'databaseChangeGbPerDay',
      'filesGb',
      'changedFilesPerDay',
      'snapshotsKept',
      'restoreTestHours',
    );
    fc.assert(
      fc.property(grown, fc.integer({ min: 1, max: 10_000 }), (field, by) => {
        expect(total({ ...LARCH_LEARNING, [field]: LARCH_LEARNING[field] + by })).toBeGreaterThan(
          total(LARCH_LEARNING),
        );
      }),
    );
  });

  it('is refused for an instance without a price', () => {
    const restoreTest = { ...configuration.restoreTest, instanceClass: 'db.r8g.48xlarge' };
    expect(() => cents(LARCH_LEARNING, {}, { ...configuration, restoreTest })).toThrow(
      'no price of db.r8g.48xlarge: look it up, and add it to infra/cost/prices.ts',
    );
  });

  it('grows while nothing is deleted', () => {
    // 0.5 GB of snapshots at 0.10, and 0.6 GB of files at 0.024, on each of 730 / 24 days.
    expect(growth(LARCH_LEARNING)).toBeCloseTo((0.05 + 0.0144) * (730 / 24), 9);
  });

  it('adds the first backup once', () => {
    // 200,000 copies, 400,000 reads, 400,000 uses of keys.
    expect(firstBackup(LARCH_LEARNING)).toBeCloseTo(1.06 + 0.168 + 1.2, 6);
  });
});

describe('the prices', () => {
  it('each have a source and say how they were come by', () => {
    for (const { usd, per, source, evidence } of Object.values({ ...PRICES, ...INSTANCE_PRICES })) {
      expect(usd).toBeGreaterThan(0);
      expect(per).not.toBe('');
      expect(source).toMatch(/^https:\/\/(?:aws\.amazon\.com|pricing\.us-east-1\.amazonaws\.com)\//);
      expect(['page', 'record', 'unconfirmed']).toContain(evidence);
    }
  });

  it('are old after 180 days', () => {
    expect(PRICES_AS_OF).toMatch(/^\d{4}-\d{2}-\d{2}$/);
    expect(arePricesOld(new Date('2027-04-04T00:00:00Z'), '2026-10-06')).toBe(false);
    expect(arePricesOld(new Date('2027-04-04T00:00:01Z'), '2026-10-06')).toBe(true);
  });
});

it('counts what is deployed', () => {
  expect(countResources(configuration)).toMatchObject({ compositeAlarms: 25, dashboards: 1, endpoints: 2 });
  const network = { ...configuration.network, kmsEndpointSecurityGroupId: 'sg-0123456789abcdef0' };
  expect(countResources({ ...configuration, network }).endpoints).toBe(0);
});

it('stands on the page of costs as npm run cost prints it', async () => {
  const page = readFileSync(join(import.meta.dirname, '../../../docs/cost.md'), 'utf8');
  const block = /<!-- npm run cost -->\n([\s\S]*?)\n<!-- \/npm run cost -->/.exec(page)?.[1];
  expect(block).toBe(await describeExample());
});
