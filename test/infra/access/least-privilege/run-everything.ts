import { DescribeKeyCommand, DisableKeyCommand, EnableKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import {
  CreateDBSnapshotCommand,
  DeleteDBSnapshotCommand,
  DescribeDBSnapshotsCommand,
  RDSClient,
} from '@aws-sdk/client-rds';
import {
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { idOfInstant } from '../../../../functions/contracts/identifiers.ts';
import { type LedgerEntry, SEGMENT_LENGTH } from '../../../../functions/contracts/ledger.ts';
import {
  FOUND_WRONG_KEY,
  INTERMEDIATE_SNAPSHOT_PREFIX,
  intermediateSnapshotId,
  itemsKey,
  LEDGER_PREFIX,
  LEDGER_PROJECTION_KEY,
  ledgerEntryKey,
  PURPOSE_TAG,
  RECOVERY_POINT_TAG,
  rootManifestKey,
  SNAPSHOT_PURPOSES,
  scratchPrefix,
  TENANT_NAME_PREFIX,
  tenantKeyAlias,
  tenantKeyClaimKey,
  vaultSnapshotId,
  workPrefix,
} from '../../../../functions/contracts/vault-layout.ts';
import { canonicalJson, sha256Hex } from '../../../../functions/platform/canonical-json.ts';
import { signDocument } from '../../../../functions/platform/kms.ts';
import { withRuntime } from '../../../../functions/platform/runtime.ts';
import { NOTHING_WRONG } from '../../../../functions/pulse/found-wrong.ts';
import { roleArn, type Step, stepName, type Workflow, workflowName } from '../../../../infra/access/role-names.ts';
import { lose } from '../../../../infra/local/s3/damage.ts';
import type { AwsRequest } from '../../../../infra/local/service.ts';
import { type Account, BUCKET } from './account.ts';
import type { Removals } from './removals.ts';
import { describeEnd, runWorkflow } from './run-workflow.ts';

const MINUTES = 60_000;
/** The instance of the account's one database. */
const SOURCE_INSTANCE = 'school-source';
const LONG_AGO = JSON.stringify({ claimedAt: '2026-01-01T00:00:00.000Z' });
/** A recovery point that never was. */
const UNKNOWN = '20200101t000000z';

/**
 * Runs everything that is deployed, on a bad day: copies stop half-way, runs die, answers get lost, time runs out, things
 * vanish. What each function finds is as it is whenever `removals` calls it again.
 */
export async function runEverything(account: Account, removals: Removals): Promise<void> {
  const day = new BadDay(account, removals);
  const first = await day.runScheduled('daily-backup');
  await account.client.send(new PutObjectCommand({ Bucket: BUCKET, Key: 'schools/oak/new.txt', Body: 'new' }));
  await day.leaveNothingLost();
  await day.runScheduled('daily-backup');
  await day.suspendVersioning();
  await day.runScheduled('daily-backup');
  await day.runScheduled('restore-test');
  await day.runScheduled('remove-abandoned');
  await day.replaceSnapshots();
  await day.runOutOfTime('oak');
  await day.runOutOfTime(null);
  await day.meetVanishingClaim();
  await day.settleVanished();
  await day.pulseWithUnusableKey();
  await day.testUnknownRecoveryPoint();
  await day.missSnapshot(idOfInstant(first.toISOString()));
  await day.testLostRecoveryPoint(idOfInstant(first.toISOString()));
  await day.acceptLoss();
  await day.closeSegment();
}

/**
 * A restore test is stopped in the middle, and what it left is a day old when this returns, for the janitor to find. Nothing
 * is scheduled any more.
 */
export async function abandonRestoreTest(account: Account, removals: Removals): Promise<void> {
  await new BadDay(account, removals).abandonRestoreTest();
}

/** What backups left is old enough when this returns, for the janitor to find. */
export async function leaveSnapshots(account: Account, removals: Removals): Promise<void> {
  await new BadDay(account, removals).leaveSnapshots();
}

class BadDay {
  readonly #account: Account;
  readonly #removals: Removals;
  readonly #interrupted = new Set<string>();
  #clearingsBroken = 0;
  /** What vanishes as soon as it is looked at, and is there again at the next call. */
  readonly #vanishing = new Map<string, string>();
  #isAbandoning = false;
  /** What was kept of the ledger when it was hidden last. */
  #keptState: Buffer | undefined;

  constructor(account: Account, removals: Removals) {
    this.#account = account;
    this.#removals = removals;
    account.onRequest(request => this.#disturb(request));
    removals.prepare = (functionName, event) => this.#prepare(functionName, event);
  }

  /** Lets a workflow's schedule fire now, and waits for the execution. @throws Error unless it succeeds. */
  async runScheduled(workflow: Workflow): Promise<Date> {
    const { cloud } = this.#account;
    await cloud.clock.advance(MINUTES);
    const instant = new Date(Math.floor(cloud.clock.now().getTime() / 1000) * 1000);
    const { failure } = await cloud.scheduler.fire(workflowName(workflow), instant);
    if (failure !== null) throw new Error(`the schedule of ${workflow} could not start it: ${failure}`);
    const name = `${workflow}-${instant.toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`;
    const arn = `arn:aws:states:eu-west-2:${cloud.accountId}:execution:${workflowName(workflow)}:${name}`;
    const execution = await cloud.states.waitForExecution(arn);
    if (execution.status !== 'SUCCEEDED') {
      throw new Error(`${name}: ${await describeEnd(this.#account, workflow, execution, instant.toISOString())}`);
    }
    return instant;
  }

  /** The uploads' bucket keeps versions no more, and each school has a new file. */
  async suspendVersioning(): Promise<void> {
    const { client } = this.#account;
    const VersioningConfiguration = { Status: 'Suspended' } as const;
    await client.send(new PutBucketVersioningCommand({ Bucket: BUCKET, VersioningConfiguration }));
    for (const place of ['schools/oak', 'schools/elm', 'board']) {
      await client.send(new PutObjectCommand({ Bucket: BUCKET, Key: `${place}/unversioned.txt`, Body: place }));
    }
  }

  async abandonRestoreTest(): Promise<void> {
    const { cloud } = this.#account;
    this.#isAbandoning = true;
    const { status } = await runWorkflow(this.#account, 'restore-test');
    this.#isAbandoning = false;
    if (status !== 'ABORTED') throw new Error(`the restore test ended as ${status} instead of being stopped`);
    await cloud.rds.settle();
    for (const { name } of cloud.scheduler.listSchedules()) cloud.scheduler.deleteSchedule(name);
    await cloud.clock.advance(25 * 60 * MINUTES);
  }

  /**
   * Runs died with their copy, and with their first snapshot, each after another, and the janitor removes what they left. In
   * the end another one has left its first snapshot.
   */
  async leaveSnapshots(): Promise<void> {
    const { cloud } = this.#account;
    const root = new RDSClient(cloud.clientConfiguration(cloud.root));
    const { DBSnapshots = [] } = await root.send(new DescribeDBSnapshotsCommand({ SnapshotType: 'manual' }));
    // What earlier events left is of both kinds, of which one would go while the other is refused.
    for (const { DBSnapshotIdentifier } of DBSnapshots) {
      if (DBSnapshotIdentifier?.startsWith(INTERMEDIATE_SNAPSHOT_PREFIX)) {
        await root.send(new DeleteDBSnapshotCommand({ DBSnapshotIdentifier }));
      }
    }
    const closed = await this.#backUp();
    await cloud.clock.advance(MINUTES);
    const recoveryPointId = idOfInstant(cloud.clock.now().toISOString());
    for (const step of ['backup/create-snapshot', 'backup/copy-snapshot', 'backup/delete-intermediate'] as const) {
      const event = { recoveryPointId, instanceId: SOURCE_INSTANCE };
      await this.#invoke(step, step === 'backup/delete-intermediate' ? event : { ...event, measuredAt: null });
      await cloud.rds.settle();
      await cloud.clock.advance(10 * MINUTES);
    }
    await this.#removeLeft(vaultSnapshotId(recoveryPointId, 'school'));
    const leaveFirst = async () => {
      await root.send(
        new CreateDBSnapshotCommand({
          DBInstanceIdentifier: SOURCE_INSTANCE,
          DBSnapshotIdentifier: intermediateSnapshotId(closed, 'school'),
          Tags: [
            { Key: PURPOSE_TAG, Value: SNAPSHOT_PURPOSES.intermediate },
            { Key: RECOVERY_POINT_TAG, Value: closed },
          ],
        }),
      );
      await cloud.rds.settle();
    };
    await leaveFirst();
    await this.#removeLeft(intermediateSnapshotId(closed, 'school'));
    await leaveFirst();
    await cloud.clock.advance(4 * 24 * 60 * MINUTES);
  }

  /** The janitor comes when it is old enough. @throws Error when it does not take this snapshot, and no other. */
  async #removeLeft(snapshotId: string): Promise<void> {
    const { cloud } = this.#account;
    const root = new RDSClient(cloud.clientConfiguration(cloud.root));
    const list = async () => {
      const { DBSnapshots = [] } = await root.send(new DescribeDBSnapshotsCommand({ SnapshotType: 'manual' }));
      return DBSnapshots.map(({ DBSnapshotIdentifier = '' }) => DBSnapshotIdentifier);
    };
    const before = await list();
    await cloud.clock.advance(4 * 24 * 60 * MINUTES);
    const { status, text } = await runWorkflow(this.#account, 'remove-abandoned');
    if (status !== 'SUCCEEDED') throw new Error(`the janitor ended as ${status}: ${text}`);
    const after = await list();
    const gone = before.filter(id => !after.includes(id));
    if (!gone.includes(snapshotId)) throw new Error(`the janitor left ${snapshotId}`);
    const [wrong] = gone.filter(id => this.#isNamed(id));
    if (wrong !== undefined) throw new Error(`the janitor took ${wrong}, which a root manifest names`);
  }

  /** Whether a snapshot is a copy of a recovery point that has a root manifest. */
  #isNamed(snapshotId: string): boolean {
    const { keys } = this.#account.cloud.s3.core.store.buckets.get(this.#deployment.vaultBucket) ?? {};
    const roots = [...(keys?.values() ?? [])].map(({ key }) => key);
    const [, id] = /^daybreak-school-(\d{8}t\d{6}z)$/.exec(snapshotId) ?? [];
    return id !== undefined && roots.includes(rootManifestKey(id));
  }

  async #backUp(): Promise<string> {
    const { scheduledAt, status, text } = await runWorkflow(this.#account, 'daily-backup');
    if (status !== 'SUCCEEDED') throw new Error(`the backup ended as ${status}: ${text}`);
    return idOfInstant(scheduledAt);
  }

  /** Runs before this one took a snapshot and copied it, without having measured the database. */
  async replaceSnapshots(): Promise<void> {
    const { cloud } = this.#account;
    const ref = { recoveryPointId: idOfInstant(cloud.clock.now().toISOString()), instanceId: SOURCE_INSTANCE };
    for (const isMeasured of [false, true]) {
      const measuredAt = isMeasured ? cloud.clock.now().toISOString() : null;
      for (const step of ['backup/create-snapshot', 'backup/copy-snapshot'] as const) {
        await this.#invoke(step, { ...ref, measuredAt });
        await cloud.rds.settle();
        await cloud.clock.advance(10 * MINUTES);
      }
    }
  }

  /** A tenant's manifest is not finished in one call, and goes on in the next. */
  async runOutOfTime(tenant: string | null): Promise<void> {
    const { cloud } = this.#account;
    const { keyArn } = (await this.#invoke('tenants/ensure-key', { tenant, recordedKeyArn: null })) as {
      keyArn: string;
    };
    const item = { recoveryPointId: UNKNOWN, bucketId: 'uploads', tenant, previousManifestSha256: null };
    const step = 'backup/back-up-tenant';
    // Time is short from one minute before the end.
    const timeout = cloud.lambda.limitTime(stepName(step), MINUTES);
    let { cursor } = (await this.#invoke(step, { item, keyArn, cursor: null })) as { cursor: unknown };
    cloud.lambda.limitTime(stepName(step), timeout);
    if (cursor === null) throw new Error(`${step} finished in no time`);
    // What it came to is kept from a line on. The step was loaded when the limits of copies were set.
    const { TENANT_BACKUP_LIMITS } = await import('../../../../functions/backup/back-up-tenant.ts');
    const { linesPerSegment } = TENANT_BACKUP_LIMITS;
    Object.assign(TENANT_BACKUP_LIMITS, { linesPerSegment: 1 });
    while (cursor !== null) ({ cursor } = (await this.#invoke(step, { item, keyArn, cursor })) as { cursor: unknown });
    Object.assign(TENANT_BACKUP_LIMITS, { linesPerSegment });
  }

  /** Of each of two places two files vanish before they can be copied: the content of one is elsewhere, the other's is lost. */
  async settleVanished(): Promise<void> {
    const { cloud } = this.#account;
    const { workBucket } = this.#deployment;
    const places = [
      { tenant: 'oak', prefix: 'schools/oak/' },
      { tenant: null, prefix: 'board/' },
    ];
    const items = places.map(({ tenant }) => ({
      ...{ recoveryPointId: UNKNOWN, bucketId: 'uploads', tenant, previousManifestSha256: null },
      ...{ partialManifestSha256: null, asOf: null },
    }));
    const results: unknown[] = [];
    for (const [index, { tenant, prefix }] of places.entries()) {
      await this.#upload(`${prefix}twin`, `twins of ${prefix}`);
      this.#vanishing.set(`${prefix}vanishing-twin`, `twins of ${prefix}`);
      this.#vanishing.set(`${prefix}vanishing-lost`, `lost of ${prefix}`);
      const { keyArn } = (await this.#invoke('tenants/ensure-key', { tenant, recordedKeyArn: null })) as {
        keyArn: string;
      };
      const input = { item: items[index], keyArn, cursor: null };
      results.push(((await this.#invoke('backup/back-up-tenant', input)) as { result: unknown }).result);
      this.#vanishing.clear();
    }
    const lines = (values: readonly unknown[]) => values.map(value => `${JSON.stringify(value)}\n`).join('');
    const file = `${workPrefix(UNKNOWN)}results/vanished/SUCCEEDED_0.jsonl`;
    const tenantResultsKey = `${workPrefix(UNKNOWN)}results/vanished/manifest.json`;
    await this.#put('backup/list-tenants', workBucket, itemsKey('backup', UNKNOWN), lines(items));
    await this.#put('backup/list-tenants', workBucket, file, lines(results));
    const ResultFiles = { SUCCEEDED: [{ Key: file }], FAILED: [], PENDING: [] };
    await this.#put(
      'backup/list-tenants',
      workBucket,
      tenantResultsKey,
      JSON.stringify({ DestinationBucket: workBucket, ResultFiles }),
    );
    const step = 'backup/settle-tenants';
    const after = {
      moment: 'after',
      recoveryPointId: UNKNOWN,
      tenantResultsKey,
      settledResultsKeys: [tenantResultsKey],
    };
    // Time is short from one minute before the end.
    const timeout = cloud.lambda.limitTime(stepName(step), MINUTES);
    const { cursor } = (await this.#invoke(step, { ...after, cursor: null })) as { cursor: unknown };
    cloud.lambda.limitTime(stepName(step), timeout);
    if (cursor === null) throw new Error(`${step} finished in no time`);
    await this.#invoke(step, { ...after, cursor });
  }

  /** The claim of another run goes away between two looks at it. */
  async meetVanishingClaim(): Promise<void> {
    await this.#put('tenants/ensure-key', this.#deployment.workBucket, tenantKeyClaimKey('vanishing'), LONG_AGO);
    await this.#invoke('tenants/ensure-key', { tenant: 'vanishing', recordedKeyArn: null });
  }

  /** Pulse finds a key disabled and writes it down, finds it enabled, and forgets it again. */
  async pulseWithUnusableKey(): Promise<void> {
    const { cloud } = this.#account;
    const keys = new KMSClient(cloud.clientConfiguration(cloud.root));
    const { KeyMetadata } = await keys.send(new DescribeKeyCommand({ KeyId: tenantKeyAlias('elm') }));
    await keys.send(new DisableKeyCommand({ KeyId: KeyMetadata?.KeyId }));
    await this.#fire('daybreak-pulse');
    await keys.send(new EnableKeyCommand({ KeyId: KeyMetadata?.KeyId }));
    await this.#fire('daybreak-pulse');
  }

  /** The steps of a restore test for a recovery point without a root manifest. */
  async testUnknownRecoveryPoint(): Promise<void> {
    const test = { restoreTestId: UNKNOWN, recoveryPointId: UNKNOWN };
    const endpoint = { host: 'localhost', port: 1, resourceId: 'db-UNKNOWN' };
    await this.#invoke('restore-test/restore-database', { ...test, databaseId: 'school' }, 'SnapshotAlteredError');
    await this.#invoke(
      'restore-test/verify-database',
      { ...test, databaseId: 'school', endpoint },
      'NothingToCompareError',
    );
    await this.#invoke('restore-test/plan-objects', { ...test, allObjects: true }, 'RecoveryPointMissingError');
  }

  /** The snapshot that a root manifest names is gone, and the backup runs again. */
  async missSnapshot(recoveryPointId: string): Promise<void> {
    const { cloud } = this.#account;
    const client = new RDSClient(cloud.clientConfiguration(cloud.root));
    const DBSnapshotIdentifier = vaultSnapshotId(recoveryPointId, 'school');
    await client.send(new DeleteDBSnapshotCommand({ DBSnapshotIdentifier }));
    const event = { recoveryPointId, instanceId: SOURCE_INSTANCE, measuredAt: null };
    await this.#invoke('backup/create-snapshot', event, 'SnapshotGoneError');
  }

  /** A recovery point that the ledger knows has lost its root manifest. */
  async testLostRecoveryPoint(recoveryPointId: string): Promise<void> {
    const { cloud } = this.#account;
    const { vaultBucket } = this.#deployment;
    const { keys } = cloud.s3.core.store.buckets.get(vaultBucket) ?? {};
    const versions = [...(keys?.values() ?? [])].find(({ key }) => key === rootManifestKey(recoveryPointId))?.versions;
    for (const _ of [...(versions ?? [])]) lose(cloud.s3, vaultBucket, rootManifestKey(recoveryPointId));
    await this.#invoke('restore-test/choose', { scheduledAt: cloud.clock.now().toISOString(), recoveryPointId });
  }

  /** Pulse has looked, and the next backup reads that. */
  async leaveNothingLost(): Promise<void> {
    await this.#put('pulse/read-back', this.#deployment.workBucket, FOUND_WRONG_KEY, JSON.stringify(NOTHING_WRONG));
  }

  /** A person accepts what pulse found lost. */
  async acceptLoss(): Promise<void> {
    const { cloud } = this.#account;
    const loss = 'object-gone/20261122t023000z/20261122t090000z/tenants/oak/objects/ff';
    const found = { ...NOTHING_WRONG, lost: [loss], lookedAt: cloud.clock.now().toISOString() };
    await this.#put('pulse/read-back', this.#deployment.workBucket, FOUND_WRONG_KEY, JSON.stringify(found));
    const decision = { kind: 'loss.accepted', loss, reason: 'drill', reference: 'D-1', by: 'p-1' };
    const { arn } = cloud.states.startExecution({ stateMachine: 'daybreak-record-decision', input: { decision } });
    const { status, cause } = await cloud.states.waitForExecution(arn);
    if (status !== 'SUCCEEDED') throw new Error(`accepting a loss ended as ${status}: ${cause}`);
  }

  /** The ledger has 999 entries, and gets one more. */
  async closeSegment(): Promise<void> {
    const { cloud } = this.#account;
    const { evidenceBucket, vaultKeyArn, entryKeyArn } = this.#deployment;
    const clientConfiguration = cloud.clientConfiguration({
      kind: 'role',
      arn: roleArn(cloud.accountId, stepName('evidence/append-entry')),
    });
    const runtime = {
      environment: {},
      clock: cloud.clock,
      clientConfiguration,
      writeLine: () => undefined,
      instances: new Map(),
    };
    const appender = this.#as('evidence/append-entry');
    const underVaultKey = { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: vaultKeyArn } as const;
    // What was refused today is tried tampering, which goes on being recorded for a while.
    await cloud.invocations.settle();
    const stored = cloud.s3.core.store.buckets.get(evidenceBucket)?.keys.values() ?? [];
    const written = [...stored].filter(({ key }) => key.startsWith(LEDGER_PREFIX)).length;
    const last = await this.#read(evidenceBucket, ledgerEntryKey(written));
    let previousSha256 = sha256Hex(last);
    for (let sequence = written + 1; sequence < SEGMENT_LENGTH; sequence++) {
      const content: Omit<LedgerEntry, 'signature'> = {
        version: 2,
        sequence,
        eventId: `backup-failed/${sequence}`,
        kind: 'backup.failed',
        actor: 'workflow/daily-backup',
        subject: String(sequence),
        body: { error: 'TestError' },
        recordedAt: cloud.clock.now().toISOString(),
        previousSha256,
      };
      const { signature } = await withRuntime(runtime, () => signDocument(content, entryKeyArn));
      const Body = Buffer.from(canonicalJson({ ...content, signature } satisfies LedgerEntry));
      const target = { Bucket: evidenceBucket, Key: ledgerEntryKey(sequence) };
      await appender.send(new PutObjectCommand({ ...target, ...underVaultKey, Body, IfNoneMatch: '*' }));
      previousSha256 = sha256Hex(Body);
    }
    const draft = {
      eventId: 'backup-failed/the-thousandth',
      kind: 'backup.failed',
      actor: 'workflow/daily-backup',
      subject: 'the-thousandth',
      body: { error: 'TestError' },
    };
    await this.#invoke('evidence/append-entry', { draft });
  }

  get #deployment() {
    return this.#account.environment.deployment;
  }

  /** @throws Error unless the function answers or, where an error is expected, fails with it. */
  async #invoke(step: Step, event: unknown, expectedError?: string): Promise<unknown> {
    const { cloud } = this.#account;
    const outcome = await cloud.lambda.invoke(stepName(step), event, cloud.root);
    const error = 'functionError' in outcome ? outcome.functionError : undefined;
    if (error?.errorType !== expectedError) {
      throw new Error(`${step}: ${error?.errorType}: ${error?.errorMessage} instead of ${expectedError}`);
    }
    return 'payload' in outcome ? outcome.payload : undefined;
  }

  async #fire(schedule: string): Promise<void> {
    const { cloud } = this.#account;
    const { failure } = await cloud.scheduler.fire(schedule, cloud.clock.now());
    if (failure !== null) throw new Error(`${schedule}: ${failure}`);
  }

  /** Breaks connections and lets objects vanish at the worst moment. */
  #disturb({ query, headers, path, method, principal }: AwsRequest): void {
    if (principal.kind === 'root') return;
    const { workBucket } = this.#deployment;
    const vanishing = method === 'HEAD' && path.startsWith(`/${BUCKET}/`) && path.includes('/vanishing-');
    if (vanishing) lose(this.#account.cloud.s3, BUCKET, path.slice(BUCKET.length + 2));
    const key = decodeURIComponent(path.slice(workBucket.length + 2));
    const isRead = path.startsWith(`/${workBucket}/`) && method === 'GET' && Object.keys(query).length <= 1;
    const vanishes =
      key === tenantKeyClaimKey('vanishing')
        ? !this.#wasRefused('tenants/ensure-key', LISTED_WORK)
        : key.startsWith('scratch/') && !this.#wasRefused('restore-test/verify-objects', LISTED_WORK);
    if (isRead && vanishes) lose(this.#account.cloud.s3, workBucket, key);
    if (this.#removals.isRefusing(principal.arn)) return;
    const isSecondPart = query.partNumber === '2' && 'x-amz-copy-source' in headers;
    // Once for each of the three items of a restore test.
    const isClearing = 'delete' in query && principal.arn.endsWith('verify-objects') && this.#clearingsBroken < 3;
    const place = path.split('/').slice(1, 3).join('/');
    if (isClearing) this.#clearingsBroken++;
    else if (!isSecondPart || this.#interrupted.has(place)) return;
    else this.#interrupted.add(place);
    throw new Error('the connection broke');
  }

  /** Puts things as a function is to find them, each time that it is called. */
  async #prepare(functionName: string, event: unknown): Promise<void> {
    const { vaultBucket, workBucket } = this.#deployment;
    switch (functionName) {
      case stepName('backup/back-up-tenant'):
      case stepName('restore-test/verify-objects'):
        for (const [key, body] of this.#vanishing) await this.#upload(key, body);
        for (const bucket of [vaultBucket, workBucket]) await this.#addSecondUpload(bucket);
        break;
      case stepName('backup/list-tenants'):
        // A name is given once.
        if (!this.#wasRefused('backup/list-tenants', GAVE_NAMES)) this.#forgetNames();
        break;
      case stepName('tenants/ensure-key'):
        await this.#ageClaim((event as { tenant: string | null }).tenant);
        break;
      case stepName('evidence/append-entry'):
      case stepName('evidence/record-tampering'):
      case stepName('restore-test/choose'):
      case stepName('pulse/read-back'):
        await this.#hideKeptState(functionName);
        break;
      case stepName('restore-test/verify-database'):
        if (this.#isAbandoning) this.#stopExecutions();
        break;
      case stepName('restore-test/tear-down'):
        if (!this.#wasRefused('restore-test/tear-down', /^s3:DeleteObjectVersion /)) {
          const { restoreTestId } = event as { restoreTestId: string };
          await this.#put(
            'restore-test/verify-objects',
            workBucket,
            `${scratchPrefix(restoreTestId)}left`,
            'what a killed verification left',
          );
        }
        break;
    }
  }

  #wasRefused(role: string, allowance: RegExp): boolean {
    const name = role.startsWith('daybreak-') ? role : stepName(role as Step);
    return this.#removals.refusals.some(refusal => refusal.role === name && allowance.test(refusal.allowance));
  }

  // Each reader finds none until it was refused to know that, then one; an append keeps none for an event that is recorded.
  async #hideKeptState(functionName: string): Promise<void> {
    const { workBucket } = this.#deployment;
    const isAppender = functionName === stepName('evidence/append-entry');
    if (!this.#wasRefused(functionName, isAppender ? KEPT_PROJECTION : LISTED_WORK)) {
      const { keys } = this.#account.cloud.s3.core.store.buckets.get(workBucket) ?? {};
      const isKept = [...(keys?.values() ?? [])].some(({ key }) => key === LEDGER_PROJECTION_KEY);
      if (!isKept) return;
      this.#keptState = await this.#read(workBucket, LEDGER_PROJECTION_KEY);
      await this.#remove(workBucket, LEDGER_PROJECTION_KEY);
    } else if (!isAppender && this.#keptState !== undefined) {
      await this.#put('evidence/append-entry', workBucket, LEDGER_PROJECTION_KEY, this.#keptState);
    }
  }

  #forgetNames(): void {
    const { cloud } = this.#account;
    const { vaultBucket } = this.#deployment;
    const { keys } = cloud.s3.core.store.buckets.get(vaultBucket) ?? {};
    const names = [...(keys?.values() ?? [])].map(({ key }) => key).filter(key => key.startsWith(TENANT_NAME_PREFIX));
    for (const name of names) lose(cloud.s3, vaultBucket, name);
  }

  #stopExecutions(): void {
    const { states } = this.#account.cloud;
    for (const { arn, status } of states.listExecutions()) if (status === 'RUNNING') states.stopExecution(arn);
  }

  /** A run that died with its claim holds others up for 20 minutes: this one died long ago. */
  async #ageClaim(tenant: string | null): Promise<void> {
    if (tenant === null || (tenant === 'vanishing' && !this.#wasRefused('tenants/ensure-key', LISTED_WORK))) return;
    // One tenant's key is claimed by nobody yet.
    const { keys } = this.#account.cloud.s3.core.store.buckets.get(this.#deployment.workBucket) ?? {};
    const isClaimed = [...(keys?.values() ?? [])].some(({ key }) => key === tenantKeyClaimKey(tenant));
    if (isClaimed || tenant === 'oak')
      await this.#put('tenants/ensure-key', this.#deployment.workBucket, tenantKeyClaimKey(tenant), LONG_AGO);
  }

  // What a killed copy leaves twice is aborted once by the next one.
  async #addSecondUpload(Bucket: string): Promise<void> {
    const { cloud } = this.#account;
    const uploads = [...(cloud.s3.core.store.buckets.get(Bucket)?.uploads.values() ?? [])];
    const [{ upload } = {}] = uploads;
    if (uploads.length !== 1 || upload?.encryption.algorithm !== 'aws:kms') return;
    const copies = Bucket === this.#deployment.vaultBucket ? 'backup/back-up-tenant' : 'restore-test/verify-objects';
    await this.#as(copies).send(
      new CreateMultipartUploadCommand({
        Bucket,
        Key: upload.key,
        ServerSideEncryption: 'aws:kms',
        SSEKMSKeyId: upload.encryption.keyArn,
        ChecksumAlgorithm: 'SHA256',
      }),
    );
  }

  #as(step: Step): S3Client {
    const { cloud } = this.#account;
    return new S3Client(cloud.clientConfiguration({ kind: 'role', arn: roleArn(cloud.accountId, stepName(step)) }));
  }

  async #put(writer: Step, Bucket: string, Key: string, Body: string | Buffer): Promise<void> {
    await this.#as(writer).send(new PutObjectCommand({ Bucket, Key, Body }));
  }

  async #upload(Key: string, Body: string): Promise<void> {
    await this.#account.client.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body }));
  }

  async #remove(Bucket: string, Key: string): Promise<void> {
    await this.#account.client.send(new DeleteObjectCommand({ Bucket, Key }));
  }

  async #read(Bucket: string, Key: string): Promise<Buffer> {
    const { Body } = await this.#account.client.send(new GetObjectCommand({ Bucket, Key }));
    return Buffer.from((await Body?.transformToByteArray()) ?? []);
  }
}

/** The last allowance that it takes to keep a name. */
const GAVE_NAMES = /^kms:GenerateDataKey on .*\/tenant-names\/\*/;
const LISTED_WORK = /^s3:ListBucket on \S+-work-/;
const KEPT_PROJECTION = /^kms:GenerateDataKey .*ledger-projection/;
