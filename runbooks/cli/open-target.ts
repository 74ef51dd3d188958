import { join } from 'node:path';
import { systemClock } from '../../functions/platform/clock.ts';
import type { ClientConfiguration, Runtime } from '../../functions/platform/runtime.ts';
import { useProfile } from '../../infra/command-line/profile.ts';
import type { Target } from './read-target.ts';

/**
 * The runtime in which the platform modules reach the target. What they log goes to standard error, so that standard
 * output stays the command's answer.
 */
export async function openTarget({ local, profile }: Target): Promise<Runtime> {
  if (profile !== undefined) useProfile(profile, process.env);
  return {
    environment: {},
    clock: systemClock,
    clientConfiguration: local === null ? awsConfiguration() : await openLocal(local),
    writeLine: line => process.stderr.write(`${line}\n`),
    instances: new Map(),
  };
}

// Another endpoint than AWS's is a local cloud, whose buckets have no host names of their own.
function awsConfiguration(): ClientConfiguration {
  return { region: 'eu-west-2', forcePathStyle: process.env.AWS_ENDPOINT_URL !== undefined };
}

async function openLocal({ directory, accountId }: NonNullable<Target['local']>): Promise<ClientConfiguration> {
  const [{ LocalClock }, { localClientConfiguration }, { LocalKms }, { LocalS3 }] = await Promise.all([
    import('../../infra/local/clock.ts'),
    import('../../infra/local/endpoint/request-handler.ts'),
    import('../../infra/local/kms/service.ts'),
    import('../../infra/local/s3/service.ts'),
  ]);
  const clock = new LocalClock({ flow: 'flowing' });
  const authorizer = { authorize: () => undefined };
  const kms = new LocalKms({ clock, authorizer, accountId, directory: join(directory, 'kms') });
  const s3 = new LocalS3({ clock, authorizer, keys: kms, accountId, directory: join(directory, 's3') });
  return localClientConfiguration({ s3, kms }, { kind: 'root', arn: `arn:aws:iam::${accountId}:root` });
}
