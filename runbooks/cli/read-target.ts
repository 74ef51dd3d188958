import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Deployment } from '../../functions/contracts/configuration.ts';
import { UsageError } from './usage.ts';

/** What a command works on: the state that a local run left, or an AWS account. */
export interface Target {
  /** How messages call it. */
  readonly name: string;
  readonly evidenceBucket: string;
  /** Undefined where the operator named none; a local run has its own. */
  readonly signingKeyArn: string | undefined;
  /** Null for AWS. */
  readonly local: { readonly directory: string; readonly accountId: string } | null;
}

/** The options that name a target. */
export const TARGET_OPTIONS = {
  local: { type: 'string' },
  'evidence-bucket': { type: 'string' },
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
  const { local, 'evidence-bucket': evidenceBucket, 'signing-key': signingKey } = values;
  if (local !== undefined) {
    if (evidenceBucket !== undefined || signingKey !== undefined) {
      throw new UsageError('give --local or --evidence-bucket with --signing-key, not both');
    }
    return readLocal(resolve(local));
  }
  if (evidenceBucket === undefined) {
    // The report names what it is of, so that nobody takes the laptop's ledger for the account's.
    if (signingKey === undefined && existsSync(join(LOCAL_STATE, 'deployment.json'))) {
      return readLocal(resolve(LOCAL_STATE));
    }
    throw new UsageError('name a target: --local [DIR], or --evidence-bucket NAME with --signing-key ARN');
  }
  if (signingKey !== undefined && !/^arn:aws:kms:eu-west-2:\d{12}:key\/[\w-]+$/.test(signingKey)) {
    throw new UsageError(
      '--signing-key: give the ARN of a KMS key in eu-west-2, arn:aws:kms:eu-west-2:<account>:key/<id>',
    );
  }
  return { name: `s3://${evidenceBucket}`, evidenceBucket, signingKeyArn: signingKey, local: null };
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
    const { evidenceBucket, signingKeyArn, accountId } = Deployment.parse(JSON.parse(readFileSync(path, 'utf8')));
    return { name: directory, evidenceBucket, signingKeyArn, local: { directory, accountId } };
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
    `--local ${directory}: in use by process ${holder}; stop it, or set AWS_ENDPOINT_URL to its endpoint and name --evidence-bucket and --signing-key`,
  );
}
