import { GetObjectCommand, S3Client, S3ServiceException } from '@aws-sdk/client-s3';
import type { Client } from 'pg';
import type { z } from 'zod';
import { idOfInstant } from '../../../functions/contracts/identifiers.ts';
import { SignedRecoveryPoint } from '../../../functions/contracts/recovery-point.ts';
import { RestoreTestRecord } from '../../../functions/contracts/restore-test-record.ts';
import { restoreTestRecordKey, rootManifestKey } from '../../../functions/contracts/vault-layout.ts';
import { PermanentError } from '../../../functions/platform/errors.ts';
import { describeVerdict } from '../../../functions/restore-test/describe-verdict.ts';
import { roleArn, stepName } from '../../access/role-names.ts';
import { printable } from '../../command-line/printable.ts';
import { LocalClock } from '../clock.ts';
import { LOCAL_ACCOUNT, type LocalCloud } from '../cloud.ts';
import { createEnvironment, type LocalEnvironment } from '../environment.ts';
import type { AwsRequest } from '../service.ts';
import type { Execution } from '../states/execution.ts';
import type { StartArguments } from './arguments.ts';
import { describeSummary } from './describe-summary.ts';
import { type Display, formatDuration, quoteForShell } from './display.ts';
import { type Inputs, prepareInputs } from './inputs.ts';
import { keepUp } from './keep-up.ts';
import { groupLeftOut } from './list-folder.ts';
import { type Phase, showExecution } from './show-execution.ts';
import { showPulse } from './show-pulse.ts';
import { removeDatabases } from './state-directory.ts';
import type { BackupSummary, Summary } from './summary.ts';
import { countObjects, uploadFiles } from './upload-files.ts';

const DAY_MS = 24 * 60 * 60 * 1000;

/** The run was interrupted by the person who started it. */
class InterruptedError extends Error {
  override readonly name = 'InterruptedError';
}

/** Fewer objects are there than files were found. */
class FilesLostError extends PermanentError {}

/** A workflow ended without the record that it is for. */
class RecordMissingError extends Error {
  override readonly name = 'RecordMissingError';
}

/**
 * Runs the main job and shows it: sources with data, a daily backup, changes under a write load, a second backup, a restore
 * test of it. Everything that was started is stopped again, whatever happens.
 * @param onVerdict told of the summary at once, before the local cloud is kept up.
 * @returns the summary; undefined when `interrupted` fired first.
 * @throws UsageError for input that cannot be backed up.
 */
export async function runMainJob(
  parameters: StartArguments,
  display: Display,
  interrupted: AbortSignal,
  onVerdict: (summary: Summary) => void,
): Promise<Summary | undefined> {
  if (interrupted.aborted) return undefined;
  const run = new Run(parameters, display);
  const interruption = new Promise<never>((_resolve, reject) => {
    interrupted.addEventListener('abort', () => reject(new InterruptedError()), { once: true });
  });
  interruption.catch(() => undefined);
  try {
    const summary = await Promise.race([run.complete(), interruption]);
    display.heading(`Verdict: ${printable(summary.verdictLine)}`);
    for (const line of describeSummary(summary)) display.line(line);
    onVerdict(summary);
    if (parameters.keep) await run.keepUp(interrupted);
    display.line('  Check the ledger that this left:');
    display.line(`  npm run daybreak -- evidence verify --local ${quoteForShell(parameters.stateDirectory)}`);
    return summary;
  } catch (error) {
    if (!(error instanceof InterruptedError)) throw error;
    display.line('interrupted; stopping what was started');
    return undefined;
  } finally {
    display.close();
    await run.stop();
  }
}

class Run {
  readonly #parameters: StartArguments;
  readonly #display: Display;
  readonly #startedAtMs = performance.now();
  readonly #startedAt = new Date();
  readonly #clock = new LocalClock({ flow: 'flowing', startsAt: new Date(Date.now() - 2 * DAY_MS) });
  readonly #requests = new Map<string, number>();
  readonly #phases: Phase[] = [];
  readonly #backups: BackupSummary[] = [];
  readonly #failures: string[] = [];
  #stopped = false;
  #inputs: Inputs | undefined;
  readonly #pulseArn = roleArn(LOCAL_ACCOUNT, stepName('pulse/read-back'));
  #environment: LocalEnvironment | undefined;
  #connection: Client | undefined;

  constructor(parameters: StartArguments, display: Display) {
    this.#parameters = parameters;
    this.#display = display;
  }

  get environment(): LocalEnvironment {
    if (this.#environment === undefined) throw new Error('the local cloud is not up yet');
    return this.#environment;
  }

  async complete(): Promise<Summary> {
    const display = this.#display;
    display.heading('Local cloud');
    const inputs = await this.#timed('read the input', () => prepareInputs(this.#parameters, display));
    this.#inputs = inputs;
    await this.#boot(inputs);
    const summary = await this.#work(inputs).catch((error: unknown) => {
      if (!(error instanceof RecordMissingError)) throw error;
      this.#failures.push(error.message);
    });
    return this.#summarize(inputs, summary ?? null);
  }

  async #boot(inputs: Inputs): Promise<void> {
    this.#environment = await this.#timed(
      'booted and filled the sources; synthesized the CDK app and deployed it',
      () =>
        createEnvironment({
          clock: this.#clock,
          directory: this.#parameters.stateDirectory,
          databases: [inputs.database],
          buckets: [inputs.bucket],
          fillBuckets: cloud => this.#fillBucket(cloud, inputs),
          onRequest: request => this.#count(request),
          onCloud: cloud => {
            if (this.#stopped) throw new InterruptedError();
            this.#closeCloud = () => cloud.close();
          },
        }),
    );
    showPulse(this.environment.cloud, this.#display);
    this.#display.line(
      `  ${inputs.rowCount()} rows of ${inputs.tenants().length} tenants; ${inputs.files.length} files`,
    );
  }

  /** @throws RecordMissingError when a backup or the restore test left no record. */
  async #work(inputs: Inputs): Promise<RestoreTestRecord> {
    const display = this.#display;
    const [first, second] = this.environment.nextScheduled('daily-backup', 2) as [Date, Date];
    await this.#backUp(inputs, first, 'First daily backup');

    display.heading('Changes, and writes that go on');
    const connection = await this.environment.connect(inputs.database.id);
    this.#connection = connection;
    const { change } = inputs;
    if (change !== undefined) {
      const changed = await this.#timed('changed rows', () => change(connection));
      display.line(`  ${changed.inserted} rows inserted, ${changed.updated} updated, ${changed.deleted} deleted`);
    }
    if (inputs.changedFiles.length > 0) {
      await this.#timed(`put ${inputs.changedFiles.length} new or changed files`, () =>
        this.#upload(this.environment.cloud, inputs, inputs.changedFiles),
      );
    }
    const load = inputs.startWriteLoad(connection);
    await this.#backUp(inputs, second, 'Second daily backup, under the write load');

    display.heading('Restore test of the second backup, while the writes go on');
    const restoreTest = await this.#restoreTest(inputs);
    const written = await load.stop();
    display.line(
      `  meanwhile: ${written.inserted} rows inserted, ${written.updated} updated, ${written.deleted} deleted in the live database`,
    );
    return restoreTest;
  }

  async keepUp(interrupted: AbortSignal): Promise<void> {
    if (this.#inputs === undefined) throw new Error('nothing was run that could be kept up');
    await keepUp(this.environment, this.#inputs.database, this.#display, interrupted);
  }

  /** Stops every server, and removes the databases' files; the vault and the ledger stay for a look. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#connection?.end().catch(() => undefined);
    await this.#closeCloud();
    await removeDatabases(this.#parameters.stateDirectory);
  }

  #closeCloud: () => Promise<void> = async () => undefined;

  async #timed<T>(phase: string, work: () => Promise<T>): Promise<T> {
    const startedAtMs = performance.now();
    const result = await work();
    const durationMs = performance.now() - startedAtMs;
    this.#phases.push({ phase, durationMs: Math.round(durationMs) });
    this.#display.line(`  ${formatDuration(durationMs).padStart(8)}  ${phase}`);
    return result;
  }

  /** Every file that was found is an object then, or named as left out. */
  async #fillBucket(cloud: LocalCloud, inputs: Inputs): Promise<void> {
    const { uploaded, leftOut } = await this.#upload(cloud, inputs, inputs.files);
    const count = await countObjects(new S3Client(cloud.clientConfiguration(cloud.root)), inputs.bucket.name);
    if (count + leftOut.length !== inputs.files.length) {
      throw new FilesLostError(
        `of ${inputs.files.length} files, ${count} are objects and ${leftOut.length} were left out: two have one name, or the folder was changed; run it again`,
      );
    }
    inputs.files = uploaded;
    inputs.leftOut.push(...leftOut);
  }

  #upload(cloud: LocalCloud, inputs: Inputs, files: Inputs['files']): ReturnType<typeof uploadFiles> {
    const client = new S3Client(cloud.clientConfiguration(cloud.root));
    return uploadFiles(client, inputs.bucket.name, files, share => this.#display.progress('files uploaded', share));
  }

  async #backUp(inputs: Inputs, scheduledAt: Date, heading: string): Promise<void> {
    this.#display.heading(`${heading} (scheduled for ${scheduledAt.toISOString()})`);
    this.#requests.clear();
    const startedAtMs = performance.now();
    await this.#shown('daily-backup', inputs, () => this.environment.runScheduled('daily-backup', scheduledAt));
    const durationMs = Math.round(performance.now() - startedAtMs);
    const s3Requests = Object.fromEntries([...this.#requests].sort());
    const key = rootManifestKey(idOfInstant(scheduledAt.toISOString()));
    const { document } = await this.#read(
      { bucket: this.environment.deployment.vaultBucket, key, missing: 'a daily backup left no root manifest' },
      SignedRecoveryPoint,
    );
    const sum = (pick: (tenant: (typeof document.tenants)[number]) => number) =>
      document.tenants.reduce((total, tenant) => total + pick(tenant), 0);
    const backup = {
      recoveryPointId: document.recoveryPointId,
      status: document.status,
      durationMs,
      databases: document.databases.length,
      rows: document.databases.reduce((total, { rowCount }) => total + rowCount, 0),
      tenants: new Set(document.tenants.map(({ tenant }) => tenant).filter(tenant => tenant !== null)).size,
      objects: sum(({ objectCount }) => objectCount),
      bytes: sum(({ byteCount }) => byteCount),
      objectsCopied: sum(({ copiedObjectCount }) => copiedObjectCount),
      bytesCopied: sum(({ copiedByteCount }) => copiedByteCount),
      skewMs: document.moments?.skewMs ?? null,
      unproved: document.unproved ?? [],
      s3Requests,
    };
    this.#backups.push(backup);
    this.#display.line(
      `  recovery point ${backup.recoveryPointId} is ${backup.status}: ${backup.rows} rows, ${backup.objects} objects, ${backup.objectsCopied} of them copied`,
    );
    for (const reason of document.reasons) this.#display.line(`  ! ${reason}`);
  }

  async #restoreTest(inputs: Inputs): Promise<RestoreTestRecord> {
    const scheduledAt = this.#clock.now().toISOString();
    await this.#shown('restore-test', inputs, () =>
      this.environment.run('restore-test', `restore-test-${idOfInstant(scheduledAt)}`, { scheduledAt }),
    );
    const key = restoreTestRecordKey(idOfInstant(scheduledAt));
    return this.#read(
      { bucket: this.environment.deployment.evidenceBucket, key, missing: 'the restore test left no record' },
      RestoreTestRecord,
    );
  }

  async #shown(workflow: string, inputs: Inputs, execute: () => Promise<Execution>): Promise<void> {
    const { cloud } = this.environment;
    const stop = showExecution(cloud, this.#display, workflow, () => inputs.tenants().length + 1);
    try {
      const { status, error, cause } = await execute();
      if (status === 'SUCCEEDED') return;
      this.#display.line(`  ! ${workflow} ended as ${status}: ${error}: ${cause}`);
      for (const line of stop().lastErrors) this.#display.line(`  ! ${line}`);
    } finally {
      this.#phases.push(...stop().phases);
    }
  }

  async #read<T extends z.ZodType>(
    { bucket, key, missing }: { bucket: string; key: string; missing: string },
    schema: T,
  ): Promise<z.output<T>> {
    const { cloud, operator } = this.environment;
    const client = new S3Client(cloud.clientConfiguration(operator));
    try {
      const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
      return schema.parse(JSON.parse((await Body?.transformToString()) ?? ''));
    } catch (error) {
      // Who may not list a bucket is not told that an object is missing.
      if (!(error instanceof S3ServiceException && ['NoSuchKey', 'AccessDenied'].includes(error.name))) throw error;
      throw new RecordMissingError(`${missing}: ${key} is not there, or may not be read (${error.name})`);
    }
  }

  #count({ service, method, query, headers, principal }: AwsRequest): void {
    // Pulse looks in while time jumps; what it asks is no part of the backup.
    if (service !== 's3' || principal.arn === this.#pulseArn) return;
    const operation =
      'x-amz-copy-source' in headers
        ? 'copy'
        : 'list-type' in query
          ? 'list'
          : 'versions' in query
            ? 'list-versions'
            : method.toLowerCase();
    this.#requests.set(operation, (this.#requests.get(operation) ?? 0) + 1);
  }

  #summarize(inputs: Inputs, restoreTest: RestoreTestRecord | null): Summary {
    const good = this.#backups.every(({ status }) => status === 'good');
    const verdict = good && restoreTest !== null ? restoreTest.verdict : 'failed';
    return {
      version: 2,
      verdict,
      verdictLine: restoreTest === null ? verdict : describeVerdict({ ...restoreTest, verdict }),
      startedAt: this.#startedAt.toISOString(),
      durationMs: Math.round(performance.now() - this.#startedAtMs),
      peakResidentBytes: process.resourceUsage().maxRSS * 1024,
      node: process.version,
      input: {
        source: inputs.source,
        rows: inputs.rowCount(),
        files: inputs.files.length,
        bytes: inputs.files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
        tenants: inputs.tenants().length,
        untenantedFiles: inputs.files.filter(({ tenant }) => tenant === null).length,
        leftOut: groupLeftOut(inputs.leftOut),
      },
      backups: this.#backups,
      restoreTest,
      failures: this.#failures,
      phases: this.#phases,
    };
  }
}
