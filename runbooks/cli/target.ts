import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Deployment } from '../../functions/contracts/configuration.ts';
import { systemClock } from '../../functions/platform/clock.ts';
import type { ClientConfiguration, Runtime } from '../../functions/platform/runtime.ts';
import { LocalClock } from '../../infra/local/clock.ts';
import { localClientConfiguration } from '../../infra/local/endpoint/request-handler.ts';
import { LocalKms } from '../../infra/local/kms/service.ts';
import { LocalS3 } from '../../infra/local/s3/service.ts';
import { UsageError } from './usage.ts';

/** What a command works on. */
export interface Target {
  /** How messages call it. */
  readonly name: string;
  readonly evidenceBucket: string;
  readonly signingKeyArn: string;
  /** Where the platform modules reach it; their log lines go to standard error, so that standard output stays the answer. */
  readonly runtime: Runtime;
}

/** The options that name a target. */
export interface TargetOptions {
  readonly local?: string | undefined;
  readonly evidenceBucket?: string | undefined;
  readonly signingKey?: string | undefined;
}

/** @throws UsageError when the options name no target, two, or one that is not there. */
export function openTarget({ local, evidenceBucket, signingKey }: TargetOptions): Target {
  if (local !== undefined) {
    if (evidenceBucket !== undefined || signingKey !== undefined) {
      throw new UsageError('give --local or --evidence-bucket with --signing-key, not both');
    }
    return openLocal(resolve(local));
  }
  if (evidenceBucket === undefined || signingKey === undefined) {
    throw new UsageError('name a target: --local [DIR], or --evidence-bucket NAME with --signing-key ARN');
  }
  if (!/^arn:aws:kms:eu-west-2:\d{12}:key\/[\w-]+$/.test(signingKey)) {
    throw new UsageError(
      '--signing-key: give the ARN of a KMS key in eu-west-2, arn:aws:kms:eu-west-2:<account>:key/<id>',
    );
  }
  return {
    name: `s3://${evidenceBucket}`,
    evidenceBucket,
    signingKeyArn: signingKey,
    // Another endpoint than AWS's is a local cloud, whose buckets have no host names of their own.
    runtime: runtimeOf({ region: 'eu-west-2', forcePathStyle: process.env.AWS_ENDPOINT_URL !== undefined }),
  };
}

function openLocal(directory: string): Target {
  const deployment = readDeployment(directory);
  refuseWhileInUse(directory);
  const clock = new LocalClock({ flow: 'flowing' });
  const authorizer = { authorize: () => undefined };
  const { accountId } = deployment;
  const kms = new LocalKms({ clock, authorizer, accountId, directory: join(directory, 'kms') });
  const s3 = new LocalS3({ clock, authorizer, keys: kms, accountId, directory: join(directory, 's3') });
  const principal = { kind: 'root', arn: `arn:aws:iam::${accountId}:root` } as const;
  return {
    name: directory,
    evidenceBucket: deployment.evidenceBucket,
    signingKeyArn: deployment.signingKeyArn,
    runtime: runtimeOf(localClientConfiguration({ s3, kms }, principal)),
  };
}

function readDeployment(directory: string): Deployment {
  const path = join(directory, 'deployment.json');
  if (!existsSync(path)) {
    throw new UsageError(
      `--local ${directory}: holds no deployment.json; run npm start first, or give its --state directory`,
    );
  }
  try {
    return Deployment.parse(JSON.parse(readFileSync(path, 'utf8')));
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

function runtimeOf(clientConfiguration: ClientConfiguration): Runtime {
  return {
    environment: {},
    clock: systemClock,
    clientConfiguration,
    writeLine: line => process.stderr.write(`${line}\n`),
    instances: new Map(),
  };
}
