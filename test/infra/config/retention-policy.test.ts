import { RetentionDays } from 'aws-cdk-lib/aws-logs';
import { describe, expect, it } from 'vitest';
import { idOfInstant } from '../../../functions/contracts/identifiers.ts';
import { DELETED_BY_AWS_DAYS } from '../../../functions/contracts/retention.ts';
import { planRetention } from '../../../functions/retention/plan-retention.ts';
import { promisedDays } from '../../../functions/retention/promised-days.ts';
import { ConfigurationError, readConfiguration } from '../../../infra/config/configuration.ts';
import { exampleConfiguration } from '../../../infra/config/example.ts';

const policy = exampleConfiguration.retention?.policy;
if (policy === undefined) throw new Error('the example has no policy');
const { promise, rules } = policy;

/** What is printed for a change of the example's policy. */
function problemsOf(change: {
  abandonedAfterMs?: number;
  promise?: object;
  rules?: object;
  snapshotDays?: number;
  eventHoldDays?: number;
}): string[] {
  const vault = { ...exampleConfiguration.vault, eventHoldDays: change.eventHoldDays ?? 35 };
  const retention = {
    snapshotDays: change.snapshotDays ?? 35,
    policy: { promise: { ...promise, ...change.promise }, rules: { ...rules, ...change.rules } },
  };
  try {
    const restoreTest = { ...exampleConfiguration.restoreTest, abandonedAfterMs: change.abandonedAfterMs };
    readConfiguration({ ...exampleConfiguration, vault, retention, restoreTest });
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    return error.message.split('\n').slice(1);
  }
  return [];
}

const RULES = 'retention.policy.rules';
const PROMISE = 'retention.policy.promise';

describe('the retention policy', () => {
  it('of the example holds, and keeps both promises', () => {
    expect(problemsOf({})).toEqual([]);
    const { retention, vault } = readConfiguration(exampleConfiguration);
    if (retention.policy === undefined) throw new Error('no policy');
    const { eventHoldDays } = vault;
    const { beyondUse, gone } = promisedDays(retention.policy, { ...retention, eventHoldDays });
    expect([beyondUse.days, gone.days]).toEqual([28, 102]);
    expect(gone.parts.map(({ days }) => days)).toEqual([14, 14, 35, 2, 35, 2]);
  });

  it('may be left out, as in the configurations of earlier releases', () => {
    for (const retention of [undefined, {}, { snapshotDays: 40 }]) {
      const read = readConfiguration({ ...exampleConfiguration, retention });
      expect(read.retention.policy).toBeUndefined();
    }
  });

  it('is whole, or not there: one without a rule would keep a thing for ever unsaid', () => {
    for (const retention of [{ policy: {} }, { policy: { promise, rules: {} } }]) {
      expect(() => readConfiguration({ ...exampleConfiguration, retention })).toThrow(ConfigurationError);
    }
    expect(problemsOf({ rules: { exports: undefined } })[0]).toMatch(/^- retention\.policy\.rules\.exports: /);
  });

  it.each<[string, object, string]>([
    ['an owner of no name', { owner: ' ' }, `- ${RULES}.logs.owner: `],
    ['no clause', { clause: undefined }, `- ${RULES}.logs.clause: `],
    ['a basis that the law does not know', { lawfulBasis: 'habit' }, `- ${RULES}.logs.lawfulBasis: `],
    [
      'a day that there is not',
      { nextReview: '2027-02-29' },
      `- ${RULES}.logs.nextReview: must be a day that there is`,
    ],
    ['no days', { maximumDays: 0 }, `- ${RULES}.logs.maximumDays: `],
    ['half a day', { maximumDays: 400.5 }, `- ${RULES}.logs.maximumDays: `],
    ['days without an end', { maximumDays: Number.POSITIVE_INFINITY }, `- ${RULES}.logs.maximumDays: `],
    ['something else', { weeks: 3 }, `- ${RULES}.logs: Unrecognized key: "weeks"`],
  ])('refuses a rule with %s', (_name, change, problem) => {
    expect(problemsOf({ rules: { logs: { ...rules.logs, ...change } } })[0]).toMatch(
      new RegExp(`^${problem.replaceAll(/[.]/g, '\\.')}`),
    );
  });

  it('refuses counts that count nothing', () => {
    expect(problemsOf({ rules: { archives: { ...rules.archives, keep: {} } } })).toEqual([
      `- ${RULES}.archives.keep: must say what is kept: withinDays, daily, weekly, monthly or yearly`,
      `    ${RULES}.archives.keep: {}`,
    ]);
  });

  it('refuses a date that residue cannot keep, with all that it is made of', () => {
    expect(problemsOf({ promise: { goneDays: 102 } })).toEqual([]);
    expect(problemsOf({ promise: { goneDays: 101 } })).toEqual([
      `- ${PROMISE}.goneDays: cannot be kept: it takes 14 (cooling-off) + 14 (deleting the live data) + 35 (the last mixed recovery point) + 2 (the sweep) + 35 (the lock) + 2 (the sweep) = 102 days; promise that, or shorten one of them`,
      `    ${PROMISE}.goneDays: 101`,
      `    ${PROMISE}.coolingOffDays: 14`,
      `    ${PROMISE}.erasureDays: 14`,
      '    retention.snapshotDays: 35',
      '    vault.eventHoldDays: 35',
      `    ${PROMISE}.automatedBackupDays: 7`,
      `    ${RULES}.exports.maximumDays: 30`,
      `    ${RULES}.workFiles.maximumDays: 14`,
      `    ${RULES}.scratch.maximumDays: 2`,
    ]);
    expect(problemsOf({ promise: { beyondUseDays: 27 } })).toEqual([
      `- ${PROMISE}.beyondUseDays: cannot be kept: it takes 14 (cooling-off) + 14 (deleting the live data) = 28 days; promise that, or shorten one of them`,
      `    ${PROMISE}.beyondUseDays: 27`,
      `    ${PROMISE}.coolingOffDays: 14`,
      `    ${PROMISE}.erasureDays: 14`,
    ]);
  });

  it.each<[string, Parameters<typeof problemsOf>[0], string]>([
    [
      'an age above it',
      { rules: { exports: { ...rules.exports, maximumDays: 200 } } },
      '200 (exports) + 2 (the sweep) + 35 (the lock) + 2 (the sweep) = 267',
    ],
    [
      'the lock of exports, which lie in the vault',
      { rules: { exports: { ...rules.exports, maximumDays: 36 } }, promise: { goneDays: 102 } },
      '36 (exports) + 2 (the sweep) + 35 (the lock) + 2 (the sweep) = 103',
    ],
    [
      'work files of the last test of the last recovery point',
      { promise: { goneDays: 77 }, snapshotDays: 32, eventHoldDays: 1 },
      '32 (the last mixed recovery point) + 2 (the sweep) + 14 (work files) + 2 (AWS) = 78',
    ],
    [
      'what that test restored',
      { rules: { scratch: { ...rules.scratch, maximumDays: 60 } } },
      '35 (the last mixed recovery point) + 2 (the sweep) + 60 (what restore tests restored) + 2 (AWS) = 127',
    ],
    [
      'long work files',
      { rules: { workFiles: { ...rules.workFiles, maximumDays: 300 } } },
      '300 (work files) + 2 (AWS) = 367',
    ],
  ])('counts %s', (_name, change, made) => {
    expect(problemsOf(change)[0]).toContain(made);
  });

  it("counts the source's automated backups where they are kept longest", () => {
    const { retention } = readConfiguration(exampleConfiguration);
    if (retention.policy === undefined) throw new Error('no policy');
    const long = { ...retention.policy, promise: { ...retention.policy.promise, automatedBackupDays: 35 } };
    const { gone } = promisedDays(long, { snapshotDays: 10, eventHoldDays: 1 });
    expect(gone.parts.map(({ what }) => what)).toEqual([
      'cooling-off',
      'deleting the live data',
      "RDS's automated backups",
      'AWS',
    ]);
  });

  it('refuses beyond use after gone', () => {
    expect(problemsOf({ promise: { beyondUseDays: 121 } })).toEqual([
      `- ${PROMISE}.beyondUseDays: comes after the day on which nothing is left to use`,
      `    ${PROMISE}.beyondUseDays: 121`,
      `    ${PROMISE}.goneDays: 120`,
    ]);
  });

  it('refuses to keep what is incomplete longer than what is good, or less than a run may need', () => {
    const incomplete = (maximumDays: number) => ({
      rules: { incompleteRecoveryPoints: { ...rules.incompleteRecoveryPoints, maximumDays } },
    });
    expect(problemsOf(incomplete(35))).toEqual([]);
    expect(problemsOf(incomplete(36))).toEqual([
      `- ${RULES}.incompleteRecoveryPoints.maximumDays: what is incomplete holds every school as well, and would outlive what is good: keep it for 35 days at most`,
      `    ${RULES}.incompleteRecoveryPoints.maximumDays: 36`,
      '    retention.snapshotDays: 35',
    ]);
    expect(problemsOf(incomplete(3))).toEqual([]);
    expect(problemsOf(incomplete(2))).not.toEqual([]);
  });

  it.each([
    [{ withinDays: 35 }, true],
    [{ withinDays: 36 }, false],
    [{ daily: 35 }, true],
    [{ daily: 36 }, false],
    [{ withinDays: 32, weekly: 5 }, true],
    [{ withinDays: 32, weekly: 6 }, false],
    [{ withinDays: 32, monthly: 2 }, true],
    [{ withinDays: 32, monthly: 3 }, false],
    [{ withinDays: 32, yearly: 2 }, false],
    [{ daily: 32, weekly: 5 }, true],
  ])('judges %j of snapshots, which go after 35 days: %j', (keep, fits) => {
    const problems = problemsOf({ rules: { recoveryPoints: { ...rules.recoveryPoints, keep } } });
    expect(problems.length === 0).toBe(fits);
    if (!fits) expect(problems[0]).toContain('no count outlives the age');
  });

  it.each([
    [{ withinDays: 32 }, true],
    [{ withinDays: 31 }, false],
    [{ daily: 32 }, true],
    [{ daily: 31 }, false],
    [{ daily: 31, withinDays: 32 }, true],
    [{ withinDays: 1 }, false],
    [{ daily: 1 }, false],
    [{ yearly: 1 }, false],
    [{ weekly: 5, monthly: 2 }, false],
  ])('judges whether %j keeps what was proved until the next test: %j', (keep, fits) => {
    const problems = problemsOf({ rules: { recoveryPoints: { ...rules.recoveryPoints, keep } } });
    expect(problems[0]).toBe(
      fits
        ? undefined
        : `- ${RULES}.recoveryPoints.keep: the recovery point that one monthly restore test proved would be thinned out before the next one proves another: keep withinDays or daily of 32 at least, or leave keep out`,
    );
  });

  it('keeps what the last monthly test proved within the rules, whatever `keep` it lets through', () => {
    const good = (day: string) => ({
      recoveryPointId: idOfInstant(`${day}T02:30:00.000Z`),
      status: 'good' as const,
      isDoubted: false,
      completedAt: null,
      tenants: null,
    });
    const first = Date.parse('2027-01-01');
    const points = Array.from({ length: 64 }, (_, index) =>
      good(new Date(first + index * 86_400_000).toISOString().slice(0, 10)),
    );
    // From 5 January to the test of 5 February, as it begins.
    const tests = [
      {
        restoreTestId: '20270105t043000z',
        recoveryPointId: '20270105t023000z',
        verdict: 'passed',
        sequence: 1,
        isDoubted: false,
      },
    ] as const;
    const now = new Date('2027-02-05T05:30:00.000Z');
    const facts = {
      points: points.filter(one => one.recoveryPointId < '20270205t04'),
      tests,
      holds: [],
      running: [],
      incidents: [],
    };
    for (const keep of [null, { withinDays: 32 }, { daily: 32 }]) {
      const inForce = { maximumDays: 35, incompleteDays: 7, keep };
      const plan = planRetention(facts, { configured: inForce, approved: inForce }, now);
      const proved = plan.keep.find(one => one.recoveryPointId === '20270105t023000z');
      expect(proved?.pastDate).toBeNull();
    }
  });

  it('refuses instances of dead restore tests that stay longer than what tests restored may', () => {
    const HOUR_MS = 3_600_000;
    const left = (hours: number, maximumDays: number) =>
      problemsOf({
        abandonedAfterMs: hours * HOUR_MS,
        rules: { scratch: { ...rules.scratch, maximumDays } },
      });
    expect(left(46, 2)).toEqual([]);
    expect(left(47, 2)).toEqual([
      '- restoreTest.abandonedAfterMs: an instance that a dead restore test left holds every school, and is there for up to 3 days until the janitor has removed it, longer than the rule says: remove it sooner, or say 3',
      '    restoreTest.abandonedAfterMs: 169200000',
      `    ${RULES}.scratch.maximumDays: 2`,
    ]);
    expect(left(47, 3)).toEqual([]);
    expect(left(365 * 24, 3)[0]).toContain('for up to 366 days');
  });

  it('refuses a rule that says less than AWS does', () => {
    for (const [name, days] of Object.entries(DELETED_BY_AWS_DAYS)) {
      const rule = name as keyof typeof DELETED_BY_AWS_DAYS;
      const said = (maximumDays: number) => problemsOf({ rules: { [rule]: { ...rules[rule], maximumDays } } });
      expect(said(days)).toEqual([]);
      expect(said(days - 1)[0]).toBe(
        `- ${RULES}.${rule}.maximumDays: AWS deletes it after ${days} days, as the stacks have it: the rule cannot say less`,
      );
    }
    expect(DELETED_BY_AWS_DAYS.logs).toBe(Number(RetentionDays.THIRTEEN_MONTHS));
  });
});
