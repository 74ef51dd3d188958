import { resolve } from 'node:path';
import { parseArgs } from 'node:util';

/** The command line asks for something that cannot be: one line, exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** What `npm run conformance` was asked to do. */
export interface ConformanceArguments {
  readonly target: 'local' | 'endpoint' | 'aws';
  readonly endpoint: string | undefined;
  readonly profile: string | undefined;
  readonly roleArn: string | undefined;
  readonly rds: boolean;
  readonly only: string | undefined;
  readonly jsonFile: string | undefined;
  readonly action: 'run' | 'clean-up' | 'print-policy' | 'help';
}

export const EXIT = { same: 0, different: 1, usage: 2, unreachable: 3, interrupted: 130 } as const;

export const USAGE = `npm run conformance [-- OPTIONS]
Makes the calls on which Daybreak's safety rests, and compares the answers with what AWS documents.
  (no target)        against a local cloud in this process; nothing leaves this machine
  --endpoint URL     against this endpoint, with the default credentials
  --aws              against a real AWS account in eu-west-2, with the default credentials
  --profile NAME     the same, with the credentials of this profile
  --role ARN         also what needs a role that Step Functions and EventBridge Scheduler may assume (--print-policy)
  --rds              also a small database, its snapshots and a restore: an hour and a half
  --only TEXT        the cases with this text in their service or name
  --json FILE        write the whole report there
  --clean-up         only find and remove what earlier runs made there, e.g. one that was killed
  --print-policy     print the IAM policy that a run needs, and exit
  --help             this text

What it makes: twelve buckets, some twelve KMS keys and an alias, two alarms and two topics, all named
daybreak-conformance-<run> and tagged daybreak:conformance; it touches no bucket without both. No lock is in compliance mode.
Everything is removed at the end, also after a failure or Ctrl-C; KMS keys cannot be deleted before 7 days, and cost nothing
while they wait.
What it costs in an account, about (eu-west-2):
  S3        0.01 USD   some 500 requests, 60 MB for a minute
  KMS       0.02 USD   12 keys for some minutes of 1 USD a month each, 300 requests
  States    0.00 USD   TestState and validation are free; with --role 4 transitions
  --rds     0.15 USD   two db.t4g.micro of 20 GB for an hour and a half, four snapshots
Exit codes: 0 nothing differs (what could not be tried is named); 1 something differs, or could not be removed; 2 the
command line is not right; 3 nothing can be reached, or the credentials are refused; 130 interrupted, and cleaned up.`;

/** Reads the command line. @throws UsageError in one line that says what to change. */
export function readArguments(parameters: readonly string[]): ConformanceArguments {
  const values = parse(parameters);
  const { endpoint, profile, role, aws, rds, only, json } = values;
  if (endpoint !== undefined && (aws || profile !== undefined)) {
    throw new UsageError('give --endpoint or --aws or --profile, not two of them');
  }
  if (endpoint !== undefined) checkEndpoint(endpoint);
  if (role !== undefined && !/^arn:aws:iam::\d{12}:role\/[\w+=,.@/-]+$/.test(role)) {
    throw new UsageError(`--role ${role}: give the ARN of a role, arn:aws:iam::<account>:role/<name>`);
  }
  const target = endpoint !== undefined ? 'endpoint' : aws || profile !== undefined ? 'aws' : 'local';
  const cleansUp = values['clean-up'];
  if (cleansUp && target === 'local') throw new UsageError('--clean-up: name where: --aws, --profile or --endpoint');
  const action = values.help ? 'help' : values['print-policy'] ? 'print-policy' : cleansUp ? 'clean-up' : 'run';
  const jsonFile = json === undefined ? undefined : resolve(json);
  return { target, endpoint, profile, roleArn: role, rds, only, jsonFile, action };
}

function parse(parameters: readonly string[]) {
  try {
    return parseArgs({
      args: [...parameters],
      options: {
        endpoint: { type: 'string' },
        aws: { type: 'boolean', default: false },
        profile: { type: 'string' },
        role: { type: 'string' },
        rds: { type: 'boolean', default: false },
        only: { type: 'string' },
        json: { type: 'string' },
        'clean-up': { type: 'boolean', default: false },
        'print-policy': { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    throw new UsageError(`${error instanceof Error ? error.message : String(error)}; see --help`);
  }
}

function checkEndpoint(endpoint: string): void {
  const url = URL.parse(endpoint);
  if (url === null || !['http:', 'https:'].includes(url.protocol)) {
    throw new UsageError(`--endpoint ${endpoint}: give an address, https://host:port`);
  }
  if (/(^|\.)amazonaws\.com(\.cn)?$/.test(url.hostname)) {
    throw new UsageError(`--endpoint ${endpoint}: that is AWS; give --aws or --profile, which use eu-west-2 alone`);
  }
}
