import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DescribeDBInstancesCommand, DescribeDBSnapshotsCommand, RDSClient } from '@aws-sdk/client-rds';
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { idOfInstant } from '../../functions/contracts/identifiers.ts';
import { LedgerEntry } from '../../functions/contracts/ledger.ts';
import { SignedRecoveryPoint } from '../../functions/contracts/recovery-point.ts';
import { RestoreTestRecord } from '../../functions/contracts/restore-test-record.ts';
import {
  LEDGER_PREFIX,
  restoreTestInstanceId,
  restoreTestRecordKey,
  rootManifestKey,
} from '../../functions/contracts/vault-layout.ts';
import type { LedgerReport } from '../../functions/evidence/ledger-report.ts';
import { verifyLedger } from '../../functions/evidence/verify-ledger.ts';
import { readLedgerState } from '../../functions/platform/ledger.ts';
import type { LedgerProjection } from '../../functions/platform/ledger-projection.ts';
import { withRuntime } from '../../functions/platform/runtime.ts';
import { LocalClock } from '../../infra/local/clock.ts';
import type { LocalCloud } from '../../infra/local/cloud.ts';
import { createEnvironment, type LocalEnvironment } from '../../infra/local/environment.ts';
import type { Version } from '../../infra/local/s3/bucket.ts';
import type { AwsRequest } from '../../infra/local/service.ts';
import { removeDatabases } from '../../infra/local/start/state-directory.ts';
import { BUCKET, fillSupplierDatabase, listSupplierFiles, PART_BYTES, type SupplierFile } from './supplier.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
export const DATABASE = 'school';

export interface TestEnvironmentOptions {
  /** @default true */
  readonly encrypted?: boolean;
  /** @default 'all' */
  readonly objectsPerTenant?: number;
}

/** The supplier's account with Daybreak deployed in it, on this machine, and what a test does with it. */
export class TestEnvironment {
  readonly clock: LocalClock;
  readonly directory: string;
  readonly local: LocalEnvironment;
  /** The account's own hand in S3. */
  readonly client: S3Client;
  /** And in RDS. */
  readonly databases: RDSClient;
  readonly #observers: Set<(request: AwsRequest) => void>;
  #lastInstantMs = 0;
  #runs = 0;

  private constructor(
    clock: LocalClock,
    directory: string,
    local: LocalEnvironment,
    observers: Set<(request: AwsRequest) => void>,
  ) {
    this.clock = clock;
    this.directory = directory;
    this.local = local;
    this.client = new S3Client(local.cloud.clientConfiguration(local.cloud.root));
    this.databases = new RDSClient(local.cloud.clientConfiguration(local.cloud.root));
    this.#observers = observers;
  }

  static async create(options: TestEnvironmentOptions = {}): Promise<TestEnvironment> {
    const directory = await mkdtemp(join(tmpdir(), 'daybreak-end-to-end-'));
    // PostgreSQL runs as another user where this one is root.
    await chmod(directory, 0o755);
    // In the morning, so that no schedule but the janitor's comes due while a file's tests run.
    const day = new Date(Date.now() - 5 * DAY_MS).toISOString().slice(0, 10);
    const clock = new LocalClock({ flow: 'flowing', startsAt: new Date(`${day}T08:00:00.000Z`) });
    const observers = new Set<(request: AwsRequest) => void>();
    let cloud: LocalCloud | undefined;
    try {
      const local = await createEnvironment({
        clock,
        directory,
        databases: [
          {
            id: DATABASE,
            databaseName: 'school',
            rootTable: 'school',
            rootColumn: 'id',
            encrypted: options.encrypted ?? true,
            fill: fillSupplierDatabase,
          },
        ],
        buckets: [{ id: 'uploads', name: BUCKET, tenantPrefix: 'schools/{tenant}/' }],
        fillBuckets: async created => {
          const client = new S3Client(created.clientConfiguration(created.root));
          await Promise.all(listSupplierFiles().map(file => upload(client, file)));
        },
        restoreTest: { objectsPerTenant: options.objectsPerTenant ?? 'all' },
        onRequest: request => {
          for (const observe of observers) observe(request);
        },
        onCloud: created => {
          cloud = created;
        },
      });
      return new TestEnvironment(clock, directory, local, observers);
    } catch (error) {
      await cloud?.close();
      await removeDatabases(directory);
      await rm(directory, { recursive: true, force: true });
      throw error;
    }
  }

  /** Waits for executions that a schedule may have started, and leaves nothing. */
  async remove(): Promise<void> {
    const { states } = this.cloud;
    const running = states.listExecutions().filter(({ status }) => status === 'RUNNING');
    await Promise.all(running.map(({ arn }) => states.waitForExecution(arn)));
    await this.cloud.close();
    await removeDatabases(this.directory);
    await rm(this.directory, { recursive: true, force: true });
  }

  get cloud(): LocalCloud {
    return this.local.cloud;
  }

  get deployment() {
    return this.local.deployment;
  }

  /** Calls `observe` with every request from now on. @returns what ends that. */
  onRequest(observe: (request: AwsRequest) => void): () => void {
    this.#observers.add(observe);
    return () => this.#observers.delete(observe);
  }

  /** An instant that no earlier call gave: now, or a second after the last one. */
  nextInstant(): string {
    this.#lastInstantMs = Math.max(this.clock.now().getTime(), this.#lastInstantMs + 1000);
    return new Date(this.#lastInstantMs).toISOString();
  }

  /** Runs the daily backup by hand, for a new instant unless one is given. */
  async backUp(scheduledAt = this.nextInstant()) {
    const execution = await this.local.run('daily-backup', `backup-${++this.#runs}`, { scheduledAt });
    return { execution, scheduledAt, recoveryPointId: idOfInstant(scheduledAt) };
  }

  /** As `backUp`. @throws Error when the recovery point is not good, with its reasons. */
  async backUpWell(scheduledAt?: string) {
    const backup = await this.backUp(scheduledAt);
    if (!this.keysIn('vault').includes(rootManifestKey(backup.recoveryPointId))) {
      throw new Error(`the backup left no recovery point: ${backup.execution.error}: ${backup.execution.cause}`);
    }
    const { document } = await this.recoveryPoint(backup.recoveryPointId);
    if (document.status !== 'good') throw new Error(`the backup is ${document.status}: ${document.reasons.join('; ')}`);
    return { ...backup, document };
  }

  /** Tests a recovery point, or what the workflow chooses, and reads the record that it leaves. */
  async testRestore(recoveryPointId?: string, scheduledAt = this.nextInstant()) {
    const execution = await this.local.run('restore-test', `test-${++this.#runs}`, {
      scheduledAt,
      ...(recoveryPointId && { recoveryPointId }),
    });
    const restoreTestId = idOfInstant(scheduledAt);
    return { execution, restoreTestId, record: await this.record(restoreTestId) };
  }

  /** A root manifest, as the operator reads it. */
  async recoveryPoint(recoveryPointId: string): Promise<SignedRecoveryPoint> {
    return SignedRecoveryPoint.parse(
      await this.#readAsOperator(this.deployment.vaultBucket, rootManifestKey(recoveryPointId)),
    );
  }

  /** The record of a restore test, as the operator reads it. */
  async record(restoreTestId: string): Promise<RestoreTestRecord> {
    return RestoreTestRecord.parse(
      await this.#readAsOperator(this.deployment.evidenceBucket, restoreTestRecordKey(restoreTestId)),
    );
  }

  async #readAsOperator(Bucket: string, Key: string): Promise<unknown> {
    const client = new S3Client(this.cloud.clientConfiguration(this.local.operator));
    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }));
    return JSON.parse((await Body?.transformToString()) ?? '');
  }

  /** The entries of the ledger, in their order. */
  async ledger(): Promise<LedgerEntry[]> {
    const keys = this.keysIn('evidence', LEDGER_PREFIX).sort();
    return Promise.all(keys.map(async key => LedgerEntry.parse(JSON.parse(`${await this.content('evidence', key)}`))));
  }

  /** What the ledger's entries come to, folded as every step folds them. */
  ledgerState(): Promise<LedgerProjection> {
    return this.#withAccess(() => readLedgerState(this.deployment));
  }

  /** The ledger's chain and signatures, checked as `daybreak evidence verify` does. */
  verifyLedger(): Promise<LedgerReport> {
    return this.#withAccess(() => verifyLedger(this.deployment, this.clock.now()));
  }

  #withAccess<T>(read: () => Promise<T>): Promise<T> {
    const runtime = {
      environment: {},
      clock: this.clock,
      clientConfiguration: this.cloud.clientConfiguration(this.cloud.root),
      writeLine: () => undefined,
      instances: new Map(),
    };
    return withRuntime(runtime, read);
  }

  /** Runs statements in the source database as its superuser. @returns the last one's rows. */
  execute<Row extends object>(statements: string, values: readonly unknown[] = []): Promise<Row[]> {
    return this.#executeIn(`${DATABASE}-source`, statements, values);
  }

  /** The same in the copy that a restore test made. */
  executeInCopy<Row extends object>(restoreTestId: string, statements: string): Promise<Row[]> {
    return this.#executeIn(restoreTestInstanceId(restoreTestId, DATABASE), statements, []);
  }

  async #executeIn<Row extends object>(
    instanceId: string,
    statements: string,
    values: readonly unknown[],
  ): Promise<Row[]> {
    const connection = await this.cloud.rds.connect(instanceId, 'school');
    try {
      const result = await connection.query<Row>(statements, [...values]);
      return (Array.isArray(result) ? (result.at(-1) as typeof result) : result).rows;
    } finally {
      await connection.end();
    }
  }

  /** The names of all instances and manual snapshots. */
  async databaseResources(): Promise<{ instances: string[]; snapshots: string[] }> {
    const { DBInstances = [] } = await this.databases.send(new DescribeDBInstancesCommand({}));
    const { DBSnapshots = [] } = await this.databases.send(new DescribeDBSnapshotsCommand({}));
    return {
      instances: DBInstances.map(({ DBInstanceIdentifier = '' }) => DBInstanceIdentifier).sort(),
      snapshots: DBSnapshots.map(({ DBSnapshotIdentifier = '' }) => DBSnapshotIdentifier).sort(),
    };
  }

  /** An object's current content, whatever encrypts it. */
  async content(bucket: 'vault' | 'evidence' | 'work', key: string): Promise<Buffer> {
    const { Body } = await this.client.send(new GetObjectCommand({ Bucket: this.#bucket(bucket), Key: key }));
    return Buffer.from((await Body?.transformToByteArray()) ?? []);
  }

  /** The keys of a bucket that have a current object, below the API. */
  keysIn(bucket: 'vault' | 'evidence' | 'work', prefix = ''): string[] {
    const { keys } = this.#store(bucket);
    return [...keys.values()]
      .filter(({ key, versions }) => key.startsWith(prefix) && versions[0]?.kind === 'object')
      .map(({ key }) => key);
  }

  /** Every version of a bucket, delete markers among them. */
  versionsIn(bucket: 'vault' | 'evidence' | 'work'): Version[] {
    return [...this.#store(bucket).keys.values()].flatMap(({ versions }) => versions);
  }

  /** The keys of multipart uploads that are neither completed nor aborted. */
  uploadsIn(bucket: 'vault' | 'evidence' | 'work'): string[] {
    return [...this.#store(bucket).uploads.values()].map(({ upload: { key } }) => key);
  }

  sizeOf(bucket: 'vault' | 'evidence' | 'work', key: string): number {
    const version = this.#store(bucket).keys.get(key)?.versions[0];
    if (version?.kind !== 'object') throw new Error(`there is no ${key} in the ${bucket} bucket`);
    return version.sizeBytes;
  }

  #bucket(bucket: 'vault' | 'evidence' | 'work'): string {
    return this.deployment[`${bucket}Bucket`];
  }

  #store(bucket: 'vault' | 'evidence' | 'work') {
    const found = this.cloud.s3.core.store.buckets.get(this.#bucket(bucket));
    if (found === undefined) throw new Error(`there is no ${bucket} bucket`);
    return found;
  }

  put(file: SupplierFile): Promise<void> {
    return upload(this.client, file);
  }
}

async function upload(client: S3Client, { Body, Key, ...description }: SupplierFile): Promise<void> {
  const target = { Bucket: BUCKET, Key };
  if (Body.length <= PART_BYTES) {
    await client.send(new PutObjectCommand({ ...target, Body, ...description }));
    return;
  }
  const { UploadId } = await client.send(new CreateMultipartUploadCommand({ ...target, ...description }));
  const Parts: { PartNumber: number; ETag: string | undefined }[] = [];
  for (let start = 0, PartNumber = 1; start < Body.length; start += PART_BYTES, PartNumber++) {
    const part = Body.subarray(start, start + PART_BYTES);
    const { ETag } = await client.send(new UploadPartCommand({ ...target, UploadId, PartNumber, Body: part }));
    Parts.push({ PartNumber, ETag });
  }
  await client.send(new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload: { Parts } }));
}
