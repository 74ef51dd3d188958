import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3';
import type { Client } from 'pg';
import { idOfInstant } from '../../../functions/contracts/identifiers.ts';
import { SignedRecoveryPoint } from '../../../functions/contracts/recovery-point.ts';
import { RestoreTestRecord } from '../../../functions/contracts/restore-test-record.ts';
import { restoreTestRecordKey, rootManifestKey } from '../../../functions/contracts/vault-layout.ts';
import { LocalClock } from '../clock.ts';
import type { LocalCloud } from '../cloud.ts';
import { createEnvironment, type LocalEnvironment } from '../environment.ts';
import type { AwsRequest } from '../service.ts';
import type { Execution } from '../states/execution.ts';
import type { StartArguments } from './arguments.ts';
import { type Display, formatBytes, formatDuration, formatTable } from './display.ts';
import { type Inputs, prepareInputs } from './inputs.ts';
import { keepUp } from './keep-up.ts';
import { type Phase, showExecution } from './show-execution.ts';
import { removeDatabases } from './state-directory.ts';
import type { Summary } from './summary.ts';
import { uploadFiles } from './upload-files.ts';

const DAY_MS = 24 * 60 * 60 * 1000;

/** The run was interrupted by the person who started it. */
class InterruptedError extends Error {
  override readonly name = 'InterruptedError';
}

/**
 * Runs the main job and shows it: sources with data, a daily backup, changes under a write load, a second backup, a restore
 * test of it. Everything that was started is stopped again, whatever happens.
 * @returns the summary; undefined when `interrupted` fired first.
 * @throws UsageError for input that cannot be backed up.
 */
export async function runMainJob(
  parameters: StartArguments,
  display: Display,
  interrupted: AbortSignal,
): Promise<Summary | undefined> {
  const run = new Run(parameters, display);
  const interruption = new Promise<never>((_resolve, reject) => {
    const interrupt = () => reject(new InterruptedError());
    if (interrupted.aborted) interrupt();
    interrupted.addEventListener('abort', interrupt, { once: true });
  });
  interruption.catch(() => undefined);
  try {
    const summary = await Promise.race([run.complete(), interruption]);
    if (parameters.keep) await keepUp(run.environment, display, interrupted);
    return summary;
  } catch (error) {
    if (!(error instanceof InterruptedError)) throw error;
    display.line('interrupted; stopping what was started');
    return undefined;
  } finally {
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
    this.#environment = await this.#timed(
      'booted and filled the sources; synthesized the CDK app and deployed it',
      () =>
        createEnvironment({
          clock: this.#clock,
          directory: this.#parameters.stateDirectory,
          databases: [inputs.database],
          bucket: inputs.bucket,
          fillBucket: cloud => this.#upload(cloud, inputs, inputs.files),
          onRequest: request => this.#count(request),
          onCloud: cloud => {
            this.#closeCloud = () => cloud.close();
          },
        }),
    );
    display.line(`  ${inputs.rowCount()} rows of ${inputs.tenants().length} tenants; ${inputs.files.length} files`);

    const [first, second] = this.environment.nextScheduled('daily-backup', 2) as [Date, Date];
    const backups = [await this.#backUp(inputs, first, 'First daily backup')];

    display.heading('Changes, and writes that go on');
    this.#connection = await this.environment.connect(inputs.database.id);
    const connection = this.#connection;
    const changed = await this.#timed('changed rows', () => inputs.change(connection));
    display.line(`  ${changed.inserted} rows inserted, ${changed.updated} updated, ${changed.deleted} deleted`);
    await this.#timed('put new and changed files', () =>
      this.#upload(this.environment.cloud, inputs, inputs.changedFiles),
    );
    const load = inputs.startWriteLoad(connection);
    backups.push(await this.#backUp(inputs, second, 'Second daily backup, under the write load'));

    display.heading('Restore test');
    const restoreTest = await this.#restoreTest(inputs);
    const written = await load.stop();
    display.line(
      `  meanwhile: ${written.inserted} rows inserted, ${written.updated} updated, ${written.deleted} deleted in the live database`,
    );
    const summary = this.#summarize(inputs, backups, restoreTest);
    this.#showSummary(summary);
    return summary;
  }

  /** Stops every server, and removes the databases' files; the vault and the ledger stay for a look. */
  async stop(): Promise<void> {
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

  #upload(cloud: LocalCloud, inputs: Inputs, files: Inputs['files']): Promise<void> {
    const client = new S3Client(cloud.clientConfiguration(cloud.root));
    return uploadFiles(client, inputs.bucket.name, files, share => this.#display.progress('files uploaded', share));
  }

  async #backUp(inputs: Inputs, scheduledAt: Date, heading: string): Promise<Summary['backups'][number]> {
    this.#display.heading(`${heading} (scheduled for ${scheduledAt.toISOString()})`);
    this.#requests.clear();
    const startedAtMs = performance.now();
    await this.#shown('daily-backup', inputs, () => this.environment.runScheduled('daily-backup', scheduledAt));
    const durationMs = Math.round(performance.now() - startedAtMs);
    const key = rootManifestKey(idOfInstant(scheduledAt.toISOString()));
    const { document } = SignedRecoveryPoint.parse(await this.#read(this.environment.deployment.vaultBucket, key));
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
      s3Requests: Object.fromEntries([...this.#requests].sort()),
    };
    this.#display.line(
      `  recovery point ${backup.recoveryPointId} is ${backup.status}: ${backup.rows} rows, ${backup.objects} objects, ${backup.objectsCopied} of them copied`,
    );
    for (const reason of document.reasons) this.#display.line(`  ! ${reason}`);
    return backup;
  }

  async #restoreTest(inputs: Inputs): Promise<RestoreTestRecord> {
    const scheduledAt = this.#clock.now().toISOString();
    await this.#shown('restore-test', inputs, () =>
      this.environment.run('restore-test', `restore-test-${idOfInstant(scheduledAt)}`, { scheduledAt }),
    );
    const key = restoreTestRecordKey(idOfInstant(scheduledAt));
    return RestoreTestRecord.parse(await this.#read(this.environment.deployment.evidenceBucket, key));
  }

  async #shown(workflow: string, inputs: Inputs, execute: () => Promise<Execution>): Promise<void> {
    const stop = showExecution(
      this.environment.cloud.states,
      this.#display,
      workflow,
      () => inputs.tenants().length + 1,
    );
    try {
      const { status, error, cause } = await execute();
      if (status !== 'SUCCEEDED') this.#display.line(`  ! ${workflow} ended as ${status}: ${error}: ${cause}`);
    } finally {
      this.#phases.push(...stop());
    }
  }

  async #read(bucket: string, key: string): Promise<unknown> {
    const { cloud, operator } = this.environment;
    const client = new S3Client(cloud.clientConfiguration(operator));
    const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
    return JSON.parse((await Body?.transformToString()) ?? '');
  }

  #count({ service, method, query, headers }: AwsRequest): void {
    if (service !== 's3') return;
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

  #summarize(inputs: Inputs, backups: Summary['backups'], restoreTest: RestoreTestRecord): Summary {
    const good = backups.every(({ status }) => status === 'good');
    return {
      version: 1,
      verdict: good ? restoreTest.verdict : 'failed',
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
      },
      backups,
      restoreTest,
      phases: this.#phases,
    };
  }

  #showSummary({ verdict, input, backups, restoreTest, durationMs, peakResidentBytes }: Summary): void {
    const [, second] = backups;
    this.#display.heading(`Verdict: ${verdict}`);
    for (const reason of restoreTest?.reasons ?? []) this.#display.line(`  ! ${reason}`);
    const verification = restoreTest?.databases[0];
    const phases = new Map(restoreTest?.phases.map(({ phase, durationMs: ms }) => [phase, ms]));
    this.#display.line(
      formatTable([
        [
          'backed up',
          `${second?.rows} rows, ${second?.objects} objects (${formatBytes(second?.bytes ?? 0)}) of ${second?.tenants} tenants`,
        ],
        ['outside every tenant', `${input.untenantedFiles} files, under the vault key`],
        ['copied by the second backup', `${second?.objectsCopied} objects (${formatBytes(second?.bytesCopied ?? 0)})`],
        [
          'restored and compared',
          `${verification?.rowCount ?? 0} rows in ${verification?.tableCount ?? 0} tables; ${restoreTest?.objects.objectsRestored} objects (${formatBytes(restoreTest?.objects.bytesRestored ?? 0)})`,
        ],
        [
          'coverage',
          `${restoreTest?.rowCoveragePercent ?? 0} % of the rows compared exactly; ${verification?.driftRowCount ?? 0} changed meanwhile, and lie between`,
        ],
        [
          'also checked',
          `${verification?.foreignKeysChecked ?? 0} foreign keys, ${verification?.indexesChecked ?? 0} indexes, ${verification?.heapRelationsChecked ?? 'no'} heaps, every object's presence and size`,
        ],
        ['first, second backup', backups.map(backup => formatDuration(backup.durationMs)).join(', ')],
        [
          'restore test, as the clock saw it',
          [...phases].map(([phase, ms]) => `${phase} ${formatDuration(ms)}`).join(', '),
        ],
        ['whole run', `${formatDuration(durationMs)}, at most ${formatBytes(peakResidentBytes)} resident`],
      ]),
    );
  }
}
