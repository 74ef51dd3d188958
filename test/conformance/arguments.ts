import { resolve } from 'node:path';
import type { Command } from 'commander';
import { UsageError } from '../../infra/command-line/failure.ts';
import { createProgram, whenRun } from '../../infra/command-line/program.ts';
import { requireWritableFile } from '../../infra/command-line/writable.ts';

/** What `npm run conformance` was asked to do. */
export interface ConformanceArguments {
  readonly target: 'local' | 'endpoint' | 'aws';
  readonly endpoint: string | undefined;
  readonly profile: string | undefined;
  readonly roleArn: string | undefined;
  readonly rds: boolean;
  readonly only: string | undefined;
  readonly jsonFile: string | undefined;
  readonly action: 'run' | 'clean-up' | 'print-policy';
}

const AFTER = `
Without --endpoint, --aws or --profile: against a local cloud in this process; nothing leaves this machine.

What it makes: six buckets, some ten KMS keys and an alias, all named daybreak-conformance-<run> and tagged
daybreak:conformance; it touches no bucket without both. No lock is in compliance mode. Everything is removed at the end,
also after a failure or Ctrl-C; KMS keys cannot be deleted before 7 days, and cost nothing while they wait.
What it costs in an account, about (eu-west-2):
  S3        0.01 USD   some 400 requests, 60 MB for a minute
  KMS       0.02 USD   10 keys for some minutes of 1 USD a month each, 200 requests
  States    0.00 USD   TestState and validation are free; with --role 4 transitions
  --rds     0.10 USD   two db.t4g.micro of 20 GB for an hour, two snapshots

Examples:
  npm run conformance
      against a local cloud
  npm run conformance -- --print-policy
      what a run needs, to give it to a role
  npm run conformance -- --profile scratch --json report.json
      against the account of a profile

Exit codes:
  0  nothing differs (what could not be tried is named)
  1  something differs, or could not be removed
  2  the command line is not right
  3  nothing can be reached, or the credentials are missing or refused
  130  interrupted, and cleaned up`;

/** What commander makes of the command line. */
interface ConformanceOptions {
  readonly endpoint?: string;
  readonly aws: boolean;
  readonly profile?: string;
  readonly role?: string;
  readonly rds: boolean;
  readonly only?: string;
  readonly json?: string;
  readonly cleanUp: boolean;
  readonly printPolicy: boolean;
}

/** `npm run conformance`. @param run is given a sound command line, and returns the exit code. */
export function createConformance(run: (asked: ConformanceArguments) => Promise<number>): Command {
  const program = createProgram(
    'npm run conformance',
    "Makes the calls on which Daybreak's safety rests, and compares the answers with what AWS documents.",
  )
    .option('--endpoint <url>', 'against this endpoint, with the default credentials')
    .option('--aws', 'against a real AWS account in eu-west-2, with the default credentials', false)
    .option('--profile <name>', 'the same, with the credentials of this profile')
    .option(
      '--role <arn>',
      'also what needs a role that Step Functions and EventBridge Scheduler may assume (--print-policy)',
    )
    .option('--rds', 'also a small database, its snapshots and a restore: about an hour', false)
    .option('--only <text>', 'the cases with this text in their service or name')
    .option('--json <file>', 'write the whole report there')
    .option('--clean-up', 'only find and remove what earlier runs made there, e.g. one that was killed', false)
    .option('--print-policy', 'print the IAM policy that a run needs, and exit', false)
    .addHelpText('after', AFTER);
  return whenRun<ConformanceOptions>(program, options => run(readOptions(options)));
}

/** @throws UsageError in one line that says what to change. */
function readOptions(options: ConformanceOptions): ConformanceArguments {
  const { endpoint, profile, role, aws, rds, only, json, cleanUp, printPolicy } = options;
  if (endpoint !== undefined && (aws || profile !== undefined)) {
    throw new UsageError('give --endpoint or --aws or --profile, not two of them');
  }
  if (endpoint !== undefined) checkEndpoint(endpoint);
  if (role !== undefined && !/^arn:aws:iam::\d{12}:role\/[\w+=,.@/-]+$/.test(role)) {
    throw new UsageError(`--role ${role}: give the ARN of a role, arn:aws:iam::<account>:role/<name>`);
  }
  const target = endpoint !== undefined ? 'endpoint' : aws || profile !== undefined ? 'aws' : 'local';
  if (cleanUp && target === 'local') throw new UsageError('--clean-up: name where: --aws, --profile or --endpoint');
  const action = printPolicy ? 'print-policy' : cleanUp ? 'clean-up' : 'run';
  const jsonFile = json === undefined ? undefined : resolve(json);
  if (jsonFile !== undefined) requireWritableFile('--json', jsonFile);
  return { target, endpoint, profile, roleArn: role, rds, only, jsonFile, action };
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
