import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { ClientConfiguration } from '../../functions/platform/runtime.ts';
import { UsageError } from '../../infra/command-line/failure.ts';
import { useProfile } from '../../infra/command-line/profile.ts';
import { LocalClock } from '../../infra/local/clock.ts';
import { LocalCloud } from '../../infra/local/cloud.ts';
import type { Principal } from '../../infra/local/service.ts';
import { permissionPolicy } from './permissions.ts';

const REGION = 'eu-west-2';

/** Where the calls go. */
export interface Connection {
  /** How the report calls it. */
  readonly name: string;
  readonly kind: 'local' | 'endpoint' | 'aws';
  readonly configuration: ClientConfiguration;
  /** A role that Step Functions and EventBridge Scheduler may assume. */
  readonly roleArn: string | undefined;
  now(): Date;
  sleep(durationMs: number): Promise<void>;
  /** Runs what must find things as they are: the local cloud's time, which jumps over waits, stands still meanwhile. */
  hold<T>(work: () => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

const machineTime = { now: () => new Date(), sleep: (durationMs: number) => wait(durationMs) };

/**
 * AWS with the default credentials, or those of a profile; or another endpoint with the default credentials.
 * @throws UsageError for another Region than eu-west-2.
 */
export function connectOutside(options: {
  endpoint: string | undefined;
  profile: string | undefined;
  roleArn: string | undefined;
  environment: Record<string, string | undefined>;
}): Connection {
  const { endpoint, profile, roleArn, environment } = options;
  for (const name of ['AWS_REGION', 'AWS_DEFAULT_REGION']) {
    const region = environment[name];
    if (region !== undefined && region !== '' && region !== REGION) {
      throw new UsageError(`${name} is ${region}: Daybreak and this suite run in ${REGION} alone; unset it`);
    }
  }
  if (profile !== undefined) useProfile(profile, environment);
  const hold = <T>(work: () => Promise<T>) => work();
  const shared = { ...machineTime, hold, roleArn, close: async () => {} };
  if (endpoint === undefined) {
    const name = profile === undefined ? 'AWS, default credentials' : `AWS, profile ${profile}`;
    return { ...shared, name, kind: 'aws', configuration: { region: REGION, maxAttempts: 6 } };
  }
  const configuration = { region: REGION, endpoint, forcePathStyle: true, maxAttempts: 3 };
  return { ...shared, name: endpoint, kind: 'endpoint', configuration };
}

/**
 * A local cloud of its own, over HTTPS, as a role with the permissions that the suite asks for and no others.
 * @param options.onCloud told of the cloud before anything is sent to it.
 */
export async function connectLocal(options: { onCloud?: (cloud: LocalCloud) => void } = {}): Promise<Connection> {
  const directory = mkdtempSync(join(tmpdir(), 'daybreak-conformance-'));
  const clock = new LocalClock({ flow: 'flowing' });
  const cloud = new LocalCloud({ clock, directory });
  const role = (name: string): Principal => ({ kind: 'role', arn: `arn:aws:iam::${cloud.accountId}:role/${name}` });
  const [caller, assumed] = [role('conformance'), role('conformance-assumed')];
  cloud.iam.putRole({ arn: caller.arn, policies: [permissionPolicy({ rds: true, roleArn: assumed.arn })] });
  const Statement = [{ Effect: 'Allow', Action: 'states:StartExecution', Resource: '*' }];
  cloud.iam.putRole({ arn: assumed.arn, policies: [{ Version: '2012-10-17', Statement }] });
  options.onCloud?.(cloud);
  const front = await cloud.listen();
  const ca = front.caFile === undefined ? '' : readFileSync(front.caFile, 'utf8');
  return {
    name: 'the local cloud',
    kind: 'local',
    configuration: {
      region: REGION,
      endpoint: front.url,
      credentials: cloud.issueCredentials(caller),
      forcePathStyle: true,
      maxAttempts: 1,
      requestHandler: { httpsAgent: { ca } },
    },
    roleArn: assumed.arn,
    now: () => clock.now(),
    sleep: async durationMs => {
      // What servers do in the background takes the machine's time, not the clock's.
      await cloud.rds.settle();
      await clock.advance(durationMs);
    },
    hold: work => clock.busy(work),
    close: async () => {
      await cloud.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
