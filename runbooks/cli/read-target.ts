import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Deployment } from '../../functions/contracts/configuration.ts';
import { UsageError } from './usage.ts';

/** What a command works on: the state that a local run left, or an AWS account. */
export interface Target {
  /** How messages call it. */
  readonly name: string;
  readonly vaultBucket: string;
  readonly evidenceBucket: string;
  readonly workBucket: string;
  /** Those that the operator named; a local run has its own. */
  readonly keys: TargetKeys;
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

const KEY_OPTIONS = { ledgerKeyArn: 'ledger-key', entryKeyArn: 'entry-key', signingKeyArn: 'signing-key' } as const;

/** The options that name a target. */
export const TARGET_OPTIONS = {
  local: { type: 'string' },
  'evidence-bucket': { type: 'string' },
  'ledger-key': { type: 'string' },
  'entry-key': { type: 'string' },
  'signing-key': { type: 'string' },
} as const;

/** Where a local run leaves its state, unless it is told otherwise. */
const LOCAL_STATE = '.daybreak';

/** `--local` may stand without a directory, which `parseArgs` does not know. */
export function withLocalDefault(parameters: readonly string[]): string[] {
  return parameters.map((parameter, index) => {
    const next = parameters[index + 1];
    return parameter === '--local' && (next === undefined || next.startsWith('-'))
      ? `--local=${LOCAL_STATE}`
      : parameter;
  });
}

/** @throws UsageError when the options name no target, two, or one that is not there. */
export function readTarget(values: { [option in keyof typeof TARGET_OPTIONS]?: string | undefined }): Target {
  const { local, 'evidence-bucket': evidenceBucket } = values;
  const named = Object.entries(KEY_OPTIONS).flatMap(([name, option]) => {
    const arn = values[option];
    if (arn === undefined) return [];
    if (/^arn:aws:kms:eu-west-2:\d{12}:key\/[\w-]+$/.test(arn)) return [[name, arn] as const];
    throw new UsageError(
      `--${option}: give the ARN of a KMS key in eu-west-2, arn:aws:kms:eu-west-2:<account>:key/<id>`,
    );
  });
  if (local !== undefined) {
    if (evidenceBucket !== undefined || named.length > 0) {
      throw new UsageError('give --local, or --evidence-bucket with its keys, not both');
    }
    return readLocal(resolve(local));
  }
  if (evidenceBucket === undefined) {
    // The report names what it is of, so that nobody takes the laptop's ledger for the account's.
    if (named.length === 0 && existsSync(join(LOCAL_STATE, 'deployment.json'))) {
      return readLocal(resolve(LOCAL_STATE));
    }
    throw new UsageError(
      'name a target: --local [DIR], or --evidence-bucket NAME with --ledger-key ARN and --entry-key ARN',
    );
  }
  const [, rest] = /^daybreak-evidence-(.+)$/.exec(evidenceBucket) ?? [];
  if (rest === undefined) throw new UsageError('--evidence-bucket: its name begins with daybreak-evidence-');
  const others = { vaultBucket: `daybreak-vault-${rest}`, workBucket: `daybreak-work-${rest}` };
  return { name: `s3://${evidenceBucket}`, evidenceBucket, ...others, keys: Object.fromEntries(named), local: null };
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
    const { vaultBucket, evidenceBucket, workBucket, accountId } = deployment;
    const local = { directory, accountId };
    return { name: directory, vaultBucket, evidenceBucket, workBucket, keys: deployment, local };
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
