import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CreateKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { CreateDBInstanceCommand, DescribeDBInstancesCommand, RDSClient } from '@aws-sdk/client-rds';
import type { Client } from 'pg';
import type { z } from 'zod';
import { type Configuration, Deployment } from '../../functions/contracts/configuration.ts';
import { executionName } from '../../functions/contracts/identifiers.ts';
import { readerGrants } from '../../functions/platform/database-grants.ts';
import { quoteIdentifier } from '../../functions/platform/postgres.ts';
import { type Workflow, workflowName } from '../access/role-names.ts';
import type { SupplierConfiguration } from '../config/configuration.ts';
import type { LocalClock } from './clock.ts';
import { LocalCloud } from './cloud.ts';
import { deployAssembly } from './cloudformation/deploy.ts';
import { type LocalBucket, type LocalDatabase, localConfiguration } from './cloudformation/local-configuration.ts';
import { synthesize } from './cloudformation/synthesize.ts';
import type { AwsRequest, Principal } from './service.ts';
import type { Execution } from './states/execution.ts';

/** A database to create, fill and protect. */
export interface SourceDatabase {
  readonly id: string;
  readonly databaseName: string;
  readonly rootTable: string;
  readonly rootColumn: string;
  /** False leaves the instance's storage unencrypted. */
  readonly encrypted: boolean;
  /** The id of an earlier database, on whose instance this one lies. @default an instance of its own */
  readonly besides?: string;
  /** Fills it, over a connection of the superuser. */
  readonly fill: (client: Client) => Promise<void>;
}

/** A supplier's account on this machine: sources with data, and Daybreak deployed beside them. */
export interface LocalEnvironment {
  readonly cloud: LocalCloud;
  readonly deployment: Deployment;
  /** What was synthesized and deployed. */
  readonly configuration: z.input<typeof SupplierConfiguration>;
  /** The directory of the assembly. */
  readonly assembly: string;
  /** The person who runs it: reads root manifests and records, as an operator's role does in an account. */
  readonly operator: Principal;
  /** The RDS instance of a source database. */
  instanceOf(databaseId: string): string;
  /** A connection to a source database, as its superuser. */
  connect(databaseId: string): Promise<Client>;
  /** Lets time pass until a schedule fires at `scheduledAt`, and waits for the execution that it starts. */
  runScheduled(workflow: Workflow, scheduledAt: Date): Promise<Execution>;
  /** The next times of a workflow's schedule. */
  nextScheduled(workflow: Workflow, count: number): Date[];
  /** Starts a workflow by hand under a name of its own, as an operator does, and waits for it. */
  run(
    workflow: Workflow,
    name: string,
    input: { scheduledAt?: string; recoveryPointId?: string; objects?: 'sample' | 'all' },
  ): Promise<Execution>;
}

const INSTANCE_WAIT_MS = 30_000;

/**
 * Creates the sources, synthesizes the CDK app for them, and deploys it to the local cloud. What the last deployment was
 * is left in `deployment.json` in the cloud's directory, for `daybreak evidence verify --local`.
 */
export async function createEnvironment(options: {
  clock: LocalClock;
  directory: string;
  databases: readonly SourceDatabase[];
  buckets: readonly LocalBucket[];
  /** Fills the buckets, while the databases are filled and the CDK app is synthesized. */
  fillBuckets?: (cloud: LocalCloud) => Promise<void>;
  restoreTest?: Partial<Configuration['restoreTest']>;
  onRequest?: (request: AwsRequest) => void;
  /** Told of the cloud as soon as it exists, so that it can be closed whatever follows. */
  onCloud?: (cloud: LocalCloud) => void;
}): Promise<LocalEnvironment> {
  const { clock, directory, buckets } = options;
  const cloud = new LocalCloud({ clock, directory, ...(options.onRequest ? { onRequest: options.onRequest } : {}) });
  options.onCloud?.(cloud);
  for (const { name } of buckets) cloud.s3.createBucket({ name, versioning: 'Enabled' });
  const databases: LocalDatabase[] = [];
  for (const source of options.databases) {
    const host = databases.find(({ id }) => id === source.besides);
    databases.push(
      host === undefined ? await createInstance(cloud, clock, source) : await createBeside(cloud, host, source),
    );
  }
  const instanceOf = (databaseId: string): string => sourceOf(databases, databaseId).instanceId;

  const operator: Principal = { kind: 'role', arn: `arn:aws:iam::${cloud.accountId}:role/local-operator` };
  const assembly = join(directory, 'cdk.out');
  const { instanceClass = 'db.t4g.medium', ...restoreTest } = options.restoreTest ?? {};
  const configuration = localConfiguration({
    account: cloud.accountId,
    databases,
    buckets,
    restoreTest: { instanceClass, ...restoreTest },
    operatorRoleArns: [operator.arn],
  });
  const abort = new AbortController();
  try {
    await Promise.all([
      synthesize(configuration, assembly, abort.signal),
      // Roles are an instance's: of its databases one is filled after the other.
      ...databases.map(async ({ instanceId }, index) => {
        if (databases.findIndex(other => other.instanceId === instanceId) < index) return;
        for (const source of options.databases) {
          if (instanceOf(source.id) === instanceId) await fillDatabase(cloud, instanceId, source);
        }
      }),
      options.fillBuckets?.(cloud),
    ]);
  } catch (error) {
    abort.abort();
    throw error;
  }
  await deployAssembly(cloud, assembly);
  const deployment = readDeployment(cloud);
  cloud.iam.putRole({ arn: operator.arn, policies: [operatorPolicy(deployment)] });
  writeFileSync(join(directory, 'deployment.json'), `${JSON.stringify(deployment, null, 2)}\n`);

  const machineArn = (workflow: Workflow) =>
    `arn:aws:states:${deployment.region}:${deployment.accountId}:stateMachine:${workflowName(workflow)}`;
  const executionArn = (workflow: Workflow, name: string) =>
    `${machineArn(workflow).replace(':stateMachine:', ':execution:')}:${name}`;
  return {
    cloud,
    deployment,
    configuration,
    assembly,
    operator,
    instanceOf,
    connect: databaseId => cloud.rds.connect(instanceOf(databaseId), sourceOf(databases, databaseId).databaseName),
    runScheduled: async (workflow, scheduledAt) => {
      const fired = new Promise<void>((resolve, reject) => {
        const stop = cloud.scheduler.onInvocation(({ schedule, scheduledTime, failure }) => {
          if (schedule !== `daybreak-${workflow}` || scheduledTime.getTime() !== scheduledAt.getTime()) return;
          stop();
          if (failure === null) resolve();
          else reject(new Error(`the schedule of ${workflow} could not start it: ${failure}`));
        });
      });
      await clock.advance(scheduledAt.getTime() - clock.now().getTime());
      await fired;
      return cloud.states.waitForExecution(executionArn(workflow, executionName(workflow, scheduledAt.toISOString())));
    },
    nextScheduled: (workflow, count) => cloud.scheduler.nextInvocations(`daybreak-${workflow}`, count),
    run: async (workflow, name, input) => {
      cloud.states.startExecution({ stateMachine: machineArn(workflow), name, input });
      return cloud.states.waitForExecution(executionArn(workflow, name));
    },
  };
}

function sourceOf(databases: readonly LocalDatabase[], databaseId: string): LocalDatabase {
  const found = databases.find(({ id }) => id === databaseId);
  if (found === undefined) throw new Error(`there is no source database ${databaseId}`);
  return found;
}

async function createInstance(cloud: LocalCloud, clock: LocalClock, source: SourceDatabase): Promise<LocalDatabase> {
  const client = new RDSClient(cloud.clientConfiguration(cloud.root));
  const instanceId = `${source.id}-source`;
  const kmsKeyArn = source.encrypted ? await createSourceKey(cloud) : undefined;
  await client.send(
    new CreateDBInstanceCommand({
      DBInstanceIdentifier: instanceId,
      DBInstanceClass: 'db.t4g.medium',
      Engine: 'postgres',
      AllocatedStorage: 20,
      MasterUsername: 'supplier',
      // Nobody logs in with it: the local cloud's own superuser fills the database, and the reader has IAM.
      MasterUserPassword: 'not-used-by-anything-here',
      DBName: source.databaseName,
      EnableIAMDatabaseAuthentication: true,
      BackupRetentionPeriod: 0,
      ...(kmsKeyArn === undefined ? { StorageEncrypted: false } : { StorageEncrypted: true, KmsKeyId: kmsKeyArn }),
    }),
  );
  const resourceId = await waitUntilAvailable(client, clock, instanceId);
  const { id, databaseName, rootTable, rootColumn } = source;
  return { id, instanceId, resourceId, databaseName, rootTable, rootColumn, ...(kmsKeyArn && { kmsKeyArn }) };
}

async function createBeside(cloud: LocalCloud, host: LocalDatabase, source: SourceDatabase): Promise<LocalDatabase> {
  const connection = await cloud.rds.connect(host.instanceId, host.databaseName);
  try {
    await connection.query(`CREATE DATABASE ${quoteIdentifier(source.databaseName)}`);
  } finally {
    await connection.end();
  }
  const { id, databaseName, rootTable, rootColumn } = source;
  return { ...host, id, databaseName, rootTable, rootColumn };
}

// A dump leaves its own settings behind, so the grants get a connection of their own. An event trigger may refuse them.
async function fillDatabase(cloud: LocalCloud, instanceId: string, source: SourceDatabase): Promise<void> {
  for (const prepare of [source.fill, grantReading]) {
    const connection = await cloud.rds.connect(instanceId, source.databaseName);
    try {
      await prepare(connection);
    } finally {
      await connection.end();
    }
  }
}

const grantReading = (connection: Client) => connection.query(`SET event_triggers = off;\n${readerGrants()}`);

async function createSourceKey(cloud: LocalCloud): Promise<string> {
  const client = new KMSClient(cloud.clientConfiguration(cloud.root));
  const { KeyMetadata } = await client.send(new CreateKeyCommand({ Description: "the application's own key" }));
  return KeyMetadata?.Arn ?? '';
}

async function waitUntilAvailable(client: RDSClient, clock: LocalClock, instanceId: string): Promise<string> {
  for (;;) {
    const { DBInstances } = await client.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: instanceId }));
    const { DBInstanceStatus, DbiResourceId } = DBInstances?.[0] ?? {};
    if (DBInstanceStatus === 'available' && DbiResourceId !== undefined) return DbiResourceId;
    if (DBInstanceStatus === 'failed') throw new Error(`instance ${instanceId} could not be created`);
    await clock.sleep(INSTANCE_WAIT_MS);
  }
}

function operatorPolicy({ vaultBucket, evidenceBucket, vaultKeyArn }: Deployment) {
  const objects = [`arn:aws:s3:::${vaultBucket}/recovery-points/*`, `arn:aws:s3:::${evidenceBucket}/restore-tests/*`];
  return {
    Version: '2012-10-17',
    Statement: [
      { Effect: 'Allow', Action: 's3:GetObject', Resource: objects },
      { Effect: 'Allow', Action: 'kms:Decrypt', Resource: vaultKeyArn },
    ],
  };
}

function readDeployment(cloud: LocalCloud): Deployment {
  const environment = cloud.lambda.environmentOf('daybreak-backup-plan');
  return Deployment.parse(JSON.parse(environment.DAYBREAK_DEPLOYMENT ?? ''));
}
