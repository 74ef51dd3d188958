import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Option } from 'commander';
import { Deployment } from '../../functions/contracts/configuration.ts';
import { UsageError } from '../../infra/command-line/failure.ts';

/** What a command works on: the state that a local run left, or an AWS account. */
export interface Target {
  /** How messages call it. */
  readonly name: string;
  readonly vaultBucket: string;
  readonly evidenceBucket: string;
  readonly workBucket: string;
  readonly registerBucket: string;
  /** Those that the operator named; a local run has its own. */
  readonly keys: TargetKeys;
  /** Of the AWS CLI's files; else the default credentials. */
  readonly profile: string | undefined;
  /** Null for AWS. */
  readonly local: { readonly directory: string; readonly accountId: string } | null;
}

/** The keys whose signatures a ledger bears, as `Deployment` calls them. */
export interface TargetKeys {
  readonly ledgerKeyArn?: string;
  readonly entryKeyArn?: string;
  /** What earlier releases signed heads and segments with. */
  readonly signingKeyArn?: string;
}

/** Where a local run leaves its state, unless it is told otherwise. */
const LOCAL_STATE = '.daybreak';

/** The options that name a target, and how AWS is told who asks. */
export const TARGET_OPTIONS: readonly Option[] = [
  new Option(
    '--local [directory]',
    `the state that the last npm start left (${LOCAL_STATE}); also where no target is named, if it is there`,
  ).preset(LOCAL_STATE),
  new Option('--evidence-bucket <name>', 'the ledger in an AWS account, in eu-west-2: daybreak-evidence-…'),
  new Option(
    '--profile <name>',
    "with --evidence-bucket: a profile of the AWS CLI; else the environment's credentials. Where AWS_ENDPOINT_URL is set, what answers there is asked",
  ),
];

/** The keys whose signatures the ledger bears. */
export const KEY_OPTIONS: readonly Option[] = [
  new Option('--ledger-key <arn>', 'with --evidence-bucket: the key that signs heads'),
  new Option('--entry-key <arn>', 'with --evidence-bucket: the key that signs entries'),
  new Option('--signing-key <arn>', 'the key that earlier releases signed heads with'),
];

/** What commander makes of them. */
export interface TargetOptions {
  readonly local?: string;
  readonly evidenceBucket?: string;
  readonly profile?: string;
  readonly ledgerKey?: string;
  readonly entryKey?: string;
  readonly signingKey?: string;
}

const KEYS = [
  ['ledgerKeyArn', 'ledgerKey', '--ledger-key'],
  ['entryKeyArn', 'entryKey', '--entry-key'],
  ['signingKeyArn', 'signingKey', '--signing-key'],
] as const;

/**
 * The account whose workflow records what a person decides.
 * @throws UsageError for a state at rest, which runs none.
 */
export function recordingAccount({ local, evidenceBucket }: Target): { region: 'eu-west-2'; accountId: string } {
  const [, accountId] = /^daybreak-evidence-(\d{12})-eu-west-2$/.exec(evidenceBucket) ?? [];
  if (local !== null || accountId === undefined) {
    throw new UsageError(
      'a decision is recorded by a workflow, which a state at rest does not run: name --evidence-bucket (with AWS_ENDPOINT_URL that of a running npm start)',
    );
  }
  return { region: 'eu-west-2', accountId };
}

/** @throws UsageError when the options name no target, two, or one that is not there. */
export function readTarget(options: TargetOptions): Target {
  const { local, evidenceBucket, profile } = options;
  const named = KEYS.flatMap(([name, option, flag]) => {
    const arn = options[option];
    if (arn === undefined) return [];
    if (/^arn:aws:kms:eu-west-2:\d{12}:key\/[\w-]+$/.test(arn)) return [[name, arn] as const];
    throw new UsageError(`${flag}: give the ARN of a KMS key in eu-west-2, arn:aws:kms:eu-west-2:<account>:key/<id>`);
  });
  if (local !== undefined) {
    if (evidenceBucket !== undefined || profile !== undefined || named.length > 0) {
      throw new UsageError('give --local, or --evidence-bucket with its keys and --profile, not both');
    }
    return readLocal(resolve(local));
  }
  if (evidenceBucket === undefined) {
    // The report names what it is of, so that nobody takes the laptop's ledger for the account's.
    if (named.length === 0 && profile === undefined && existsSync(join(LOCAL_STATE, 'deployment.json'))) {
      return readLocal(resolve(LOCAL_STATE));
    }
    throw new UsageError(
      'name a target: --local [DIR], or --evidence-bucket NAME with --ledger-key ARN and --entry-key ARN',
    );
  }
  const [, rest] = /^daybreak-evidence-(.+)$/.exec(evidenceBucket) ?? [];
  if (rest === undefined) throw new UsageError('--evidence-bucket: its name begins with daybreak-evidence-');
  const [vaultBucket, workBucket, registerBucket] = ['vault', 'work', 'register'].map(
    purpose => `daybreak-${purpose}-${rest}`,
  ) as [string, string, string];
  const others = { vaultBucket, workBucket, registerBucket };
  const keys: TargetKeys = Object.fromEntries(named);
  return { name: `s3://${evidenceBucket}`, evidenceBucket, ...others, keys, profile, local: null };
}

function readLocal(directory: string): Target {
  const path = join(directory, 'deployment.json');
  if (!existsSync(path)) {
    throw new UsageError(
      `--local ${directory}: holds no deployment.json; run npm start first, or give its --state directory`,
    );
  }
  refuseWhileInUse(directory);
  try {
    const deployment = Deployment.parse(JSON.parse(readFileSync(path, 'utf8')));
    const { vaultBucket, evidenceBucket, workBucket, registerBucket, accountId } = deployment;
    const local = { directory, accountId };
    const buckets = { vaultBucket, evidenceBucket, workBucket, registerBucket };
    return { name: directory, ...buckets, keys: deployment, profile: undefined, local };
  } catch {
    throw new UsageError(`--local ${directory}: deployment.json is damaged; run npm start again`);
  }
}

/** Opening the state mends its end, which would take from a run that is writing it. */
function refuseWhileInUse(directory: string): void {
  const path = join(directory, 'lock');
  const holder = existsSync(path) ? Number(readFileSync(path, 'utf8')) : 0;
  if (!Number.isInteger(holder) || holder <= 0) return;
  try {
    process.kill(holder, 0);
  } catch {
    return;
  }
  throw new UsageError(
    `--local ${directory}: in use by process ${holder}; stop it, or set AWS_ENDPOINT_URL to its endpoint and name --evidence-bucket, --ledger-key and --entry-key`,
  );
}
