import { createInterface } from 'node:readline/promises';
import { Option } from 'commander';
import { describeError } from '../../functions/platform/errors.ts';
import { withRuntime } from '../../functions/platform/runtime.ts';
import { EXIT, UsageError } from '../../infra/command-line/failure.ts';
import { printable } from '../../infra/command-line/printable.ts';
import type { SurveyedPolicy } from '../keys/survey-policies.ts';
import { CONFIGURATION, readSupplierConfiguration } from './deploy.ts';
import { openTarget } from './open-target.ts';
import type { Answer, Verb, VerbGroup } from './verb.ts';

interface KeysOptions {
  readonly configuration?: string;
  readonly profile?: string;
}

const OPTIONS: readonly Option[] = [
  CONFIGURATION,
  new Option('--profile <name>', "a profile of the AWS CLI; else the environment's credentials"),
];

const check: Verb<KeysOptions> = {
  name: 'check',
  summary: "compare the policies of all keys and buckets, tenants' too, with what this release needs",
  examples: [
    { command: 'daybreak keys check', what: 'those of the account of daybreak.config.ts' },
    { command: 'daybreak keys check --profile admin --json', what: 'as JSON, with the credentials of a profile' },
  ],
  options: OPTIONS,
  run: checkPolicies,
};

interface UpgradeOptions extends KeysOptions {
  readonly yes?: true;
  readonly removeUnknown: readonly string[];
}

const NONE: readonly string[] = [];
const upgrade: Verb<UpgradeOptions> = {
  name: 'upgrade',
  summary: 'put the policies that this release needs, and record it; for an administrator',
  examples: [
    { command: 'daybreak keys upgrade --profile admin', what: 'show what would change, and ask' },
    { command: 'daybreak keys upgrade --profile admin --yes', what: 'show it, and do not ask' },
    {
      command: 'daybreak keys upgrade --remove-unknown alias/daybreak/vault',
      what: 'take away statements that no release of Daybreak wrote as well',
    },
  ],
  options: [
    ...OPTIONS,
    new Option('--yes', 'do it without asking'),
    new Option(
      '--remove-unknown <names...>',
      'aliases or buckets: what Daybreak did not write is removed from these policies; others that hold any stay as they are',
    ).default(NONE, 'none'),
  ],
  run: upgradeKeys,
};

export const keys: VerbGroup = {
  name: 'keys',
  summary: 'policies of keys and buckets, which outlive the code',
  verbs: [check, upgrade],
};

async function checkPolicies({ configuration: file, profile }: KeysOptions): Promise<Answer> {
  const configuration = await readSupplierConfiguration(file);
  const [{ surveyPolicies }, { describePolicies, policyData }] = await Promise.all([
    import('../keys/survey-policies.ts'),
    import('../keys/describe-policies.ts'),
  ]);
  const runtime = await openTarget({ local: null, profile });
  const surveyed = await withRuntime(runtime, () => surveyPolicies(configuration));
  const isCurrent = surveyed.every(({ finding }) => finding.state === 'current');
  return {
    exitCode: isCurrent ? EXIT.done : EXIT.failed,
    data: { isCurrent, policies: surveyed.map(policyData) },
    text: () =>
      [describePolicies(surveyed), ...(isCurrent ? [] : ['What to do: runbooks/policy-behind.md'])].join('\n'),
  };
}

async function upgradeKeys(options: UpgradeOptions): Promise<Answer> {
  const { removeUnknown, profile } = options;
  const configuration = await readSupplierConfiguration(options.configuration);
  const [{ surveyPolicies }, { planUpgrade }, { upgradePolicies }, { describePolicies, policyData }] =
    await Promise.all([
      import('../keys/survey-policies.ts'),
      import('../keys/plan-upgrade.ts'),
      import('../keys/upgrade-policies.ts'),
      import('../keys/describe-policies.ts'),
    ]);
  const runtime = await openTarget({ local: null, profile });
  return withRuntime(runtime, async () => {
    const surveyed = await surveyPolicies(configuration);
    const unknown = removeUnknown.find(name => !surveyed.some(({ subject }) => subject === name));
    if (unknown !== undefined) {
      throw new UsageError(
        `--remove-unknown ${unknown}: there is no such alias or bucket; daybreak keys check has them`,
      );
    }
    const plan = planUpgrade(surveyed, removeUnknown);
    const answer = (
      exitCode: number,
      outcome: string,
      text: string,
      policies: readonly SurveyedPolicy[] = surveyed,
    ): Answer => ({
      exitCode,
      data: { outcome, policies: policies.map(policyData) },
      text: () => text,
    });
    const say = (text: string) => process.stderr.write(`${text}\n`);
    say(describePolicies(surveyed));
    if ('ahead' in plan) {
      return answer(
        EXIT.failed,
        'ahead',
        `Nothing was changed: ${plan.ahead.length} are of a later release. Use that release, or runbooks/policy-behind.md.`,
      );
    }
    const count = plan.batches.flat().length;
    for (const { surveyed: one, reason } of plan.refused) say(`Left as it is: ${one.subject}: ${printable(reason)}.`);
    if (count > 0 && !(options.yes ?? (await confirm(`Put ${count} policies? Only "yes" does it: `)))) {
      return answer(EXIT.failed, 'declined', 'Nothing was changed. Answer yes, or give --yes.');
    }
    let done = 0;
    try {
      const { changedCount, after, sequence } = await upgradePolicies(plan, configuration, ({ subject }) => {
        say(`${++done} of ${count}: ${subject}`);
      });
      const isCurrent = after.every(({ finding }) => finding.state === 'current');
      const text = `${changedCount} policies were put and read back, which is entry ${sequence} of the ledger.`;
      const left = isCurrent ? '' : `\n${describePolicies(after)}\nWhat to do: runbooks/policy-behind.md`;
      return answer(isCurrent ? EXIT.done : EXIT.failed, 'upgraded', text + left, after);
    } catch (error) {
      if (done === 0) throw error;
      const text = `Stopped after ${done} of ${count} policies: ${describeError(error)}\nRun it again: it goes on with the others.`;
      return answer(EXIT.failed, 'stopped', text);
    }
  });
}

/** False where nobody can be asked. */
async function confirm(question: string): Promise<boolean> {
  if (!process.stdin.isTTY) return false;
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return (await asking.question(question)).trim() === 'yes';
  } finally {
    asking.close();
  }
}
