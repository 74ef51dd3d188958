import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { STEP_DEFINITIONS } from '../../../infra/steps/definitions.ts';
import { callStep } from './call-step.ts';
import { describeAssumptions, describeProjection, readRates } from './describe.ts';
import { LOADS, NOT_MEASURED } from './loads.ts';
import { type MeasuredLoad, type Measurement, overBudget } from './measurement.ts';
import { LARGE_SUPPLIER, project } from './project.ts';

const page = readFileSync(join(import.meta.dirname, '../../../docs/scale.md'), 'utf8');
const calls = { reads: 1, writes: 1, pages: 0, deletes: 0, keyRequests: 1, signatures: 0 };

describe('the loads', () => {
  it('are those of the page, with what their steps are built for', () => {
    const rows = page
      .split('\n')
      .filter(line => line.startsWith('| `'))
      .map(line => line.slice(2, -2).split(' | '));
    const loads = LOADS.map(({ step, what }) => {
      const { items, of } = STEP_DEFINITIONS[step].builtFor;
      return [`\`${step}\``, what, `${items.toLocaleString('en-GB')} ${of}`];
    });
    expect(rows.slice(0, loads.length).map(cells => cells.slice(0, 3))).toEqual(loads);
    expect(rows.slice(loads.length)).toEqual(Object.entries(NOT_MEASURED).map(([step, why]) => [`\`${step}\``, why]));
  });
});

describe('a small load', () => {
  const ofDatabases = ['backup/fingerprint', 'restore-test/hydrate', 'restore-test/verify-database'];
  const whole = LOADS.flatMap(load => ('prepare' in load && !ofDatabases.includes(load.step) ? [load] : []));

  it.each(whole.map(load => [`${load.step}, ${load.what}`, load] as const))(
    'is something that the step takes: %s',
    async (_, { step, prepare }) => {
      const { event, environment, world } = await prepare(8);
      try {
        const called = await callStep({ environment, client: world.client }, step, event);
        expect(called.payloadBytes).toBeLessThanOrEqual(STEP_DEFINITIONS[step].builtFor.payloadBytes);
        const { reads, writes, deletes } = world.takeCalls();
        expect(reads + writes + deletes).toBeGreaterThan(0);
      } finally {
        await world.close();
      }
    },
  );
});

describe('a load', () => {
  const measured = (change: Partial<Measurement> = {}): Measurement => ({
    items: 10_000,
    calls,
    invocations: 1,
    wallMs: 1,
    cpuMs: 1000,
    peakMib: 200,
    spoolBytes: 0,
    payloadBytes: 1000,
    ...change,
  });
  const load = (change: Partial<Measurement>, part: Partial<MeasuredLoad> = {}): MeasuredLoad => ({
    step: 'backup/list-tenants',
    what: 'tenants',
    items: 10_000,
    time: 'one-call',
    quarter: measured({ items: 2500 }),
    whole: measured(change),
    ...part,
  });

  it.each<[string, MeasuredLoad, string[]]>([
    ['is inside its budget', load({}), []],
    [
      'has more memory',
      load({ peakMib: 1025 }, { quarter: measured({ peakMib: 1000 }) }),
      ['takes 1025 MiB of memory, and has 1024'],
    ],
    ['has memory that grows', load({ peakMib: 400 }), ['takes 200 MiB more for four times as much, and may take 128']],
    ['may grow so far', load({ peakMib: 400 }, { mayGrowMib: 200 }), []],
    [
      'fills /tmp for all that the step is built for',
      load({ items: 1000, spoolBytes: 52 * 1024 ** 2 }, { time: 'goes-on' }),
      ['needs 520 MiB of /tmp for 10000 tenants, and has 512'],
    ],
    ['passes on too much', load({ payloadBytes: 5000 }), ['passes on 5000 bytes, and may pass on 4096']],
    [
      // 1,024 MiB are 0.58 of a core.
      'computes too long for one call',
      load({ items: 1000, cpuMs: 60_000 }),
      ['computes for 1037 s, and has 900'],
    ],
    ['goes on in another call', load({ items: 1000, cpuMs: 60_000 }, { time: 'goes-on' }), []],
    ['stops too late', load({ cpuMs: 20_000 }, { time: { withinMs: 30_000 } }), ['computes for 35 s, and has 30']],
  ])('%s', (_, given, problems) => {
    expect(overBudget(given)).toEqual(problems.map(problem => `backup/list-tenants (tenants) ${problem}`));
  });
});

describe('the projection', () => {
  const rates = readRates(page);

  it('in the page is what the rates in the page come to', () => {
    expect(page).toContain(describeAssumptions());
    expect(page).toContain(describeProjection(rates, LARGE_SUPPLIER));
  });

  it('adds up what each file takes', () => {
    const rate = { cpuMs: 1, calls: { reads: 2, writes: 1, pages: 0, deletes: 0, keyRequests: 4, signatures: 0 } };
    const none = { cpuMs: 0, calls: { reads: 0, writes: 0, pages: 0, deletes: 0, keyRequests: 0, signatures: 0 } };
    const size = { ...LARGE_SUPPLIER, schools: 40, files: 4_000_000, filesGb: 0 };
    const every = project({ unchanged: none, copied: none, found: none, restored: rate }, size).at(-1);
    // 4 and 1 requests of each school beside.
    expect(every?.calls).toEqual({ reads: 8_000_160, writes: 4_000_040, keyRequests: 16_000_160 });
    // 4,000,000 times 1 ms of 0.58 of a core, and 3 requests of 60 ms, 16 at a time; 40 schools at once, 4 s each.
    expect(every?.hours).toBeCloseTo((4_000_000 * (1769 / 1024 + (3 * 60) / 16) + 160_000) / 40 / 3_600_000, 9);
  });
});

describe('npm run bench', () => {
  it.each([['faster'], ['scale', 'more'], ['--quick']])('refuses %s in one line', (...parameters) => {
    const run = spawnSync(process.execPath, [join(import.meta.dirname, '../run.ts'), ...parameters], {
      encoding: 'utf8',
    });
    expect(run.status).toBe(2);
    expect(run.stderr).toMatch(/^bench: [^\n]*; see npm run bench -- --help\n$/);
  });
});
