import { RetentionDays } from 'aws-cdk-lib/aws-logs';
import { describe, expect, it } from 'vitest';
import { DELETED_BY_AWS_DAYS } from '../../../functions/contracts/retention.ts';
import { promisedDays } from '../../../functions/retention/promised-days.ts';
import { ConfigurationError, readConfiguration } from '../../../infra/config/configuration.ts';
import { exampleConfiguration } from '../../../infra/config/example.ts';

const policy = exampleConfiguration.retention?.policy;
if (policy === undefined) throw new Error('the example has no policy');
const { promise, rules } = policy;

/** What is printed for a change of the example's policy. */
function problemsOf(change: {
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
    readConfiguration({ ...exampleConfiguration, vault, retention });
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
      '200 (exports) + 2 (the sweep) = 230',
    ],
    [
      "the source's automated backups",
      { promise: { automatedBackupDays: 35, goneDays: 60 }, snapshotDays: 32, eventHoldDays: 1 },
      '32 (the last mixed recovery point) + 2 (the sweep) + 1 (the lock) + 2 (the sweep) = 65',
    ],
    [
      'work files',
      { rules: { workFiles: { ...rules.workFiles, maximumDays: 300 } } },
      '300 (work files) + 2 (AWS) = 330',
    ],
  ])('counts %s', (_name, change, made) => {
    expect(problemsOf(change)[0]).toContain(made);
  });

  it("counts the source's automated backups where they are kept longest", () => {
    const { retention } = readConfiguration(exampleConfiguration);
    if (retention.policy === undefined) throw new Error('no policy');
    const long = { ...retention.policy, promise: { ...retention.policy.promise, automatedBackupDays: 35 } };
    const { gone } = promisedDays(long, { snapshotDays: 20, eventHoldDays: 1 });
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
    [{ weekly: 5 }, true],
    [{ weekly: 6 }, false],
    [{ monthly: 2 }, true],
    [{ monthly: 3 }, false],
    [{ yearly: 2 }, false],
    [{ daily: 7, weekly: 5 }, true],
  ])('judges %j of snapshots, which go after 35 days: %j', (keep, fits) => {
    const problems = problemsOf({ rules: { recoveryPoints: { ...rules.recoveryPoints, keep } } });
    expect(problems.length === 0).toBe(fits);
    if (!fits) expect(problems[0]).toContain('no count outlives the age');
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
