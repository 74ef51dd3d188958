import { join } from 'node:path';
import {
  CreateDBInstanceCommand,
  type CreateDBInstanceCommandInput,
  type DBInstance,
  type DBSnapshot,
  DescribeDBInstancesCommand,
  DescribeDBSnapshotsCommand,
  RDSClient,
} from '@aws-sdk/client-rds';
import { LocalClock } from '../../../../infra/local/clock.ts';
import { localClientConfiguration } from '../../../../infra/local/endpoint/request-handler.ts';
import { LocalKms } from '../../../../infra/local/kms/service.ts';
import type { ResolveCredentials } from '../../../../infra/local/rds/iam-token.ts';
import { LocalRds } from '../../../../infra/local/rds/service.ts';
import { AccessDenied, type AuthorizationRequest, type Principal } from '../../../../infra/local/service.ts';
import { makeTemporaryDirectory } from './temporary-directory.ts';

export const ACCOUNT = '111122223333';
export const ROOT: Principal = { kind: 'root', arn: `arn:aws:iam::${ACCOUNT}:root` };

/** A local RDS with its KMS and a clock that stands still but for sleeps. `denied` holds `action resource` to refuse. */
export async function makeLocalRds(options: { directory?: string; resolveCredentials?: ResolveCredentials } = {}) {
  const directory = options.directory ?? (await makeTemporaryDirectory());
  const clock = new LocalClock({ startsAt: new Date('2026-11-22T02:30:00.000Z'), flow: 'manual' });
  const asked: AuthorizationRequest[] = [];
  const denied = new Set<string>();
  const authorizer = {
    authorize: (request: AuthorizationRequest) => {
      asked.push(request);
      const what = `${request.action} ${request.resource}`;
      if (denied.has(what)) throw new AccessDenied(`not authorized to perform ${what}`);
    },
  };
  const kms = new LocalKms({
    clock,
    authorizer: { authorize() {} },
    accountId: ACCOUNT,
    directory: join(directory, 'kms'),
  });
  const failures: unknown[] = [];
  const rds = new LocalRds({
    clock,
    authorizer,
    keys: kms,
    accountId: ACCOUNT,
    directory: join(directory, 'rds'),
    onWorkFailed: (_what, error) => failures.push(error),
    ...(options.resolveCredentials ? { resolveCredentials: options.resolveCredentials } : {}),
  });
  const configuration = localClientConfiguration({ rds, kms }, ROOT);
  const client = new RDSClient(configuration);

  const describeInstance = async (id: string): Promise<DBInstance> => {
    const { DBInstances } = await client.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: id }));
    return DBInstances?.[0] ?? {};
  };
  const describeSnapshot = async (id: string): Promise<DBSnapshot> => {
    const { DBSnapshots } = await client.send(new DescribeDBSnapshotsCommand({ DBSnapshotIdentifier: id }));
    return DBSnapshots?.[0] ?? {};
  };
  return {
    rds,
    kms,
    clock,
    client,
    configuration,
    directory,
    asked,
    denied,
    failures,
    describeInstance,
    describeSnapshot,
    /** Waits as a workflow does, and returns the statuses that it saw, each once. */
    async statusesUntil(status: string, ask: () => Promise<string | undefined>): Promise<string[]> {
      const seen: string[] = [];
      for (let turn = 0; turn < 100; turn++) {
        const now = (await ask()) ?? 'none';
        if (seen.at(-1) !== now) seen.push(now);
        if (now === status) return seen;
        await clock.sleep(10_000);
      }
      throw new Error(`never ${status}, only ${seen.join(', ')}`);
    },
    async createInstance(id: string, more: Partial<CreateDBInstanceCommandInput> = {}): Promise<DBInstance> {
      await client.send(
        new CreateDBInstanceCommand({
          DBInstanceIdentifier: id,
          DBInstanceClass: 'db.t4g.small',
          Engine: 'postgres',
          MasterUsername: 'postgres',
          MasterUserPassword: 'master-password',
          DBName: 'school',
          BackupRetentionPeriod: 0,
          EnableIAMDatabaseAuthentication: true,
          ...more,
        }),
      );
      await this.statusesUntil('available', async () => (await describeInstance(id)).DBInstanceStatus);
      return describeInstance(id);
    },
  };
}

export type TestRds = Awaited<ReturnType<typeof makeLocalRds>>;
