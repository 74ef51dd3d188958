import { Option } from 'commander';
import { systemClock } from '../../functions/platform/clock.ts';
import { currentRuntime, withRuntime } from '../../functions/platform/runtime.ts';
import type { RecordsPlace } from '../../functions/retention/read-kept-points.ts';
import { EXIT, UsageError } from '../../infra/command-line/failure.ts';
import { printable } from '../../infra/command-line/printable.ts';
import type { SupplierConfiguration } from '../../infra/config/configuration.ts';
import { CONFIGURATION, readSupplierConfiguration } from './deploy.ts';
import { openTarget } from './open-target.ts';
import { readTarget } from './read-target.ts';
import type { Answer, Verb, VerbGroup } from './verb.ts';

/** What `npm start` deploys has the rules of it. */
const EXAMPLE = 'infra/config/example.ts';

interface ShowOptions {
  readonly configuration?: string;
  readonly markdown?: true;
}

interface PlanOptions {
  readonly configuration?: string;
  readonly local?: string;
  readonly profile?: string;
}

const show: Verb<ShowOptions> = {
  name: 'show',
  summary: 'print for schools what is kept, where, how long and why, and what happens at the end of a contract',
  examples: [
    { command: 'daybreak retention show', what: 'the rules of daybreak.config.ts' },
    { command: 'daybreak retention show --markdown', what: 'as a page for schools' },
    { command: `daybreak retention show --configuration ${EXAMPLE}`, what: 'those of the example' },
  ],
  options: [CONFIGURATION, new Option('--markdown', 'as a page in Markdown')],
  run: showRules,
};

const OPTIONS: readonly Option[] = [
  CONFIGURATION,
  new Option(
    '--local [directory]',
    "the state that the last npm start left (.daybreak), under the example's rules unless a configuration is named",
  ).preset('.daybreak'),
  new Option('--profile <name>', "a profile of the AWS CLI; else the environment's credentials"),
];

const plan: Verb<PlanOptions> = {
  name: 'plan',
  summary: 'list what the rules keep and what they let go, with reasons, bytes and money; deletes nothing',
  examples: [
    { command: 'daybreak retention plan --profile audit', what: 'of the account of daybreak.config.ts' },
    { command: 'daybreak retention plan --local', what: 'of the last npm start' },
  ],
  options: OPTIONS,
  run: planRules,
};

const explain: Verb<PlanOptions & { readonly id: string }> = {
  name: 'explain',
  summary: 'say why a recovery point is still here, when it goes, and what would change that',
  examples: [
    { command: 'daybreak retention explain --id 20261122t023000z', what: 'a recovery point' },
    {
      command: 'daybreak retention explain --id daybreak-wellbeing-20261122t023000z --local',
      what: 'the one of a snapshot, of the last npm start',
    },
  ],
  options: [
    new Option('--id <id>', 'a recovery point, or a snapshot that one names').makeOptionMandatory(),
    ...OPTIONS,
  ],
  run: explainPoint,
};

export const retention: VerbGroup = {
  name: 'retention',
  summary: 'how long what is kept, and why',
  verbs: [show, plan, explain],
};

async function showRules({ configuration: file, markdown }: ShowOptions): Promise<Answer> {
  const configuration = await readSupplierConfiguration(file);
  const [{ describePage, pageOf }, { NO_POLICY }] = await Promise.all([
    import('./describe-retention.ts'),
    import('../../functions/retention/describe-reason.ts'),
  ]);
  const { policy } = configuration.retention;
  if (policy === undefined) return { exitCode: EXIT.done, data: { policy: null }, text: () => NO_POLICY };
  const page = pageOf(policy, figuresOf(configuration), systemClock.now());
  return {
    exitCode: EXIT.done,
    data: page,
    text: () => describePage(page, markdown ? 'markdown' : 'text'),
  };
}

async function planRules(options: PlanOptions): Promise<Answer> {
  const { decided, points, look, findings } = await decide(options);
  const { describePlan, monthlyUsd } = await import('./describe-retention.ts');
  const bytesOf = new Map(points.map(({ recoveryPointId, snapshotBytes }) => [recoveryPointId, snapshotBytes]));
  const withBytes = <T extends { readonly recoveryPointId: string }>(one: T) => {
    const snapshotBytes = bytesOf.get(one.recoveryPointId) ?? null;
    return { ...one, snapshotBytes, monthlyUsdAtMost: snapshotBytes === null ? null : monthlyUsd(snapshotBytes) };
  };
  return {
    exitCode: EXIT.done,
    data: {
      deletes: false,
      look,
      keep: decided.keep.map(withBytes),
      delete: decided.delete.map(withBytes),
      needsApproval: decided.needsApproval,
      findings,
    },
    text: () => describePlan(decided, points, look, findings),
  };
}

async function explainPoint({ id, ...options }: PlanOptions & { id: string }): Promise<Answer> {
  const { decided, points, look, findings } = await decide(options);
  const { describeDecision } = await import('./describe-retention.ts');
  const point = points.find(({ recoveryPointId, snapshotIds }) => recoveryPointId === id || snapshotIds.includes(id));
  const decision = [...decided.keep, ...decided.delete].find(one => one.recoveryPointId === point?.recoveryPointId);
  const ofIt = findings.filter(text => text.includes(decision?.recoveryPointId ?? id));
  const needsApproval = decided.needsApproval.includes(decision?.recoveryPointId ?? '');
  if (decision === undefined) {
    throw new UsageError(
      `--id ${printable(id)}: the ledger knows no such recovery point, and none names such a snapshot; daybreak retention plan lists them`,
    );
  }
  return {
    exitCode: EXIT.done,
    data: { ...decision, goes: !('pastDate' in decision), needsApproval, look, findings: ofIt },
    text: () => describeDecision(decision, needsApproval, look, ofIt),
  };
}

/** Reads what is there, and decides as a sweep would, of what is recorded now. */
async function decide({ configuration: file, local, profile }: PlanOptions) {
  if (local !== undefined && profile !== undefined) throw new UsageError('give --local or --profile, not both');
  const target = local === undefined ? undefined : readTarget({ local });
  const configuration = await readSupplierConfiguration(file ?? (target && EXAMPLE));
  const [{ askRds, NOT_ASKED_LOCALLY }, { readKeptPoints }, { planRetention, pointRulesOf }, words, page, runtime] =
    await Promise.all([
      import('./ask-rds.ts'),
      import('../../functions/retention/read-kept-points.ts'),
      import('../../functions/retention/plan-retention.ts'),
      import('../../functions/retention/describe-reason.ts'),
      import('./describe-retention.ts'),
      openTarget({ local: target?.local ?? null, profile }),
    ]);
  return withRuntime(runtime, async () => {
    const now = currentRuntime().clock.now();
    const { vaultBucket, evidenceBucket, workBucket, keys } = target ?? (await placeInAccount(configuration));
    const { ledgerKeyArn, entryKeyArn, signingKeyArn } = keys;
    if (ledgerKeyArn === undefined || entryKeyArn === undefined || signingKeyArn === undefined) {
      throw new UsageError(
        `account ${configuration.account}: the keys that sign its records are not there; are these its credentials, and is Daybreak deployed?`,
      );
    }
    const place: RecordsPlace = { vaultBucket, evidenceBucket, workBucket, ledgerKeyArn, entryKeyArn, signingKeyArn };
    const { policy } = configuration.retention;
    const asked = target === undefined ? await askRds() : NOT_ASKED_LOCALLY;
    const { points, tests, findings } = await readKeptPoints(place, asked.snapshots, now);
    // Nothing records these yet: neither what is held, runs or is open, nor what a person approved.
    const facts = { points, tests, holds: [], running: [], incidents: [] };
    const rules = { configured: pointRulesOf(configuration.retention), approved: null };
    const decided = planRetention(facts, rules, now);
    const all = [
      ...decided.findings.map(words.describeFinding),
      ...(policy === undefined ? [] : page.overdueReviews(page.pageOf(policy, figuresOf(configuration), now))),
      ...(policy === undefined || asked.instances === null
        ? []
        : page.longerAutomatedBackups(policy, configuration.databases, asked.instances)),
      ...findings,
    ];
    return { decided, points, look: asked.look, findings: all };
  });
}

/** The buckets of an account and the keys that sign there, by their aliases where the configuration does not name them. */
async function placeInAccount(configuration: SupplierConfiguration) {
  const [{ bucketNames }, { KEY_ALIASES }, { findKey }] = await Promise.all([
    import('../../infra/config/configuration.ts'),
    import('../../functions/contracts/policies.ts'),
    import('../../functions/platform/kms.ts'),
  ]);
  const { existing } = configuration;
  const keyArn = async (known: string | undefined, name: 'ledger-key' | 'entry-key' | 'signing-key') =>
    known ?? (await findKey(KEY_ALIASES[name]))?.arn;
  const [ledgerKeyArn, entryKeyArn, signingKeyArn] = await Promise.all([
    keyArn(existing?.ledgerKeyArn, 'ledger-key'),
    keyArn(existing?.entryKeyArn, 'entry-key'),
    keyArn(existing?.signingKeyArn, 'signing-key'),
  ]);
  return { ...bucketNames(configuration), keys: { ledgerKeyArn, entryKeyArn, signingKeyArn } };
}

const figuresOf = ({ retention: { snapshotDays }, vault: { eventHoldDays } }: SupplierConfiguration) => ({
  snapshotDays,
  eventHoldDays,
});
