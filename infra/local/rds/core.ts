import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { SecureContext } from 'node:tls';
import { addMs } from '../../../functions/platform/clock.ts';
import { describeError } from '../../../functions/platform/errors.ts';
import type { LocalClock } from '../clock.ts';
import { AccessDenied, type Authorizer, KeyOperationError, type KeyOperations, type Principal } from '../service.ts';
import { AWS_MANAGED_KEY } from './account.ts';
import { AutomatedBackups } from './automated-backups.ts';
import { makeReachableDirectory } from './binaries.ts';
import { caFileIn, openSecureContext } from './certificates.ts';
import { type Endpoint, openEndpoint } from './endpoint.ts';
import type { ResolveCredentials } from './iam-token.ts';
import { arnOf } from './identifiers.ts';
import { parameterValues } from './parameter-groups.ts';
import { RdsFault } from './query-protocol.ts';
import { reapOrphans } from './reap-orphans.ts';
import {
  type InstanceRecord,
  type RdsState,
  readState,
  type SnapshotRecord,
  type StorageEncryption,
  statusOf,
  writeState,
} from './records.ts';
import { type PostgresServer, removeCluster, startPostgresServer } from './server.ts';

export interface LocalRdsOptions {
  readonly clock: LocalClock;
  readonly authorizer: Authorizer;
  readonly keys: KeyOperations;
  readonly accountId: string;
  readonly directory: string;
  /** Who an access key id belongs to, for IAM authentication. Without it nobody can log in by IAM. */
  readonly resolveCredentials?: ResolveCredentials;
  /** Told when work in the background fails; the resource then has the status `failed`. */
  readonly onWorkFailed?: (what: string, error: unknown) => void;
}

const VIA_SERVICE = 'rds.eu-west-2.amazonaws.com';

interface Running {
  readonly server: PostgresServer;
  readonly endpoint: Endpoint;
}

/** What the operations share: the state, the running servers, work in the background, keys and permissions. */
export class RdsCore {
  readonly clock: LocalClock;
  readonly accountId: string;
  readonly caFile: string;
  readonly automatedBackups: AutomatedBackups = new AutomatedBackups(this);
  state: RdsState = { instances: [], snapshots: [] };
  readonly #options: LocalRdsOptions;
  readonly #running = new Map<string, Running>();
  /** The last piece of work of each instance or snapshot, by its resource's name. */
  readonly #work = new Map<string, Promise<void>>();
  #dataDirectory = '';
  #secureContext: SecureContext | undefined;
  #saving: Promise<void> = Promise.resolve();

  constructor(options: LocalRdsOptions) {
    this.#options = options;
    this.clock = options.clock;
    this.accountId = options.accountId;
    this.caFile = caFileIn(options.directory);
  }

  /** Reads the state, ends servers that a killed process left, and starts the instances again. */
  async open(): Promise<void> {
    const { directory } = this.#options;
    await mkdir(directory, { recursive: true });
    this.#secureContext = await openSecureContext(directory);
    this.#dataDirectory = await makeReachableDirectory(join(directory, 'instances'));
    await mkdir(join(directory, 'snapshots'), { recursive: true });
    this.state = await readState(this.#stateFile);
    await reapOrphans(this.#dataDirectory);
    this.state.instances = this.state.instances.filter(({ deleting }) => !deleting);
    for (const resource of [...this.state.instances, ...this.state.snapshots]) {
      // The process ended in the middle of it.
      if (resource.work === 'running') resource.work = 'failed';
    }
    await this.#removeLeftovers();
    const usable = this.state.instances.filter(({ work }) => work === 'done');
    await Promise.all(usable.map(instance => this.startInstance(instance)));
    for (const instance of usable) this.automatedBackups.schedule(instance);
    await this.save();
  }

  /** Waits for the work in the background, and stops every server. */
  async close(): Promise<void> {
    this.automatedBackups.cancelAll();
    await this.settle();
    await Promise.all([...this.#running.keys()].map(id => this.stopInstance(id, 'stop')));
    await this.#saving;
    // It may lie outside the state directory, where nobody would look for it; with instances in it it stays.
    await rmdir(this.#dataDirectory).catch(() => undefined);
  }

  /** Resolves when no work is under way in the background. */
  async settle(): Promise<void> {
    while (this.#work.size > 0) await Promise.all(this.#work.values());
  }

  get #stateFile(): string {
    return join(this.#options.directory, 'state.json');
  }

  async #removeLeftovers(): Promise<void> {
    const known = new Set(this.state.instances.map(({ resourceId }) => resourceId));
    for (const name of await readdir(this.#dataDirectory)) {
      if (!known.has(name.replace(/\.log$/, ''))) await rm(join(this.#dataDirectory, name), { recursive: true });
    }
    const files = new Set(this.state.snapshots.map(({ file }) => file));
    for (const name of await readdir(join(this.#options.directory, 'snapshots'))) {
      if (!files.has(name)) await rm(join(this.#options.directory, 'snapshots', name));
    }
  }

  /** Keeps the state on disk. Writes follow each other; each holds the newest state. */
  save(): Promise<void> {
    this.#saving = this.#saving.then(() => writeState(this.#stateFile, this.state));
    return this.#saving;
  }

  now(): Date {
    return this.clock.now();
  }

  /** The instant `seconds` from now. */
  after(seconds: number): string {
    return addMs(this.now(), seconds * 1000).toISOString();
  }

  /** Forgets instances that are gone. Each request begins with it. */
  sweep(): void {
    const now = this.now();
    this.state.instances = this.state.instances.filter(
      instance => !(instance.deleting && instance.work === 'done' && statusOf(instance, now) !== 'deleting'),
    );
    for (const resource of [...this.state.instances, ...this.state.snapshots]) {
      if (resource.work === 'done') resource.passing = resource.passing.filter(({ until }) => now < new Date(until));
    }
  }

  /**
   * Does real work after the answer, while the clock is held. Pieces of work that share a name of `resources` follow each
   * other. `owner` is running meanwhile, and failed if the work fails.
   */
  begin(owner: InstanceRecord | SnapshotRecord, resources: readonly string[], work: () => Promise<void>): void {
    owner.work = 'running';
    const before = resources.map(name => this.#work.get(name));
    const task = this.clock.busy(async () => {
      await Promise.all(before);
      try {
        await work();
        owner.work = 'done';
      } catch (error) {
        owner.work = 'failed';
        this.#options.onWorkFailed?.(owner.id, error);
      }
      await this.save();
    });
    for (const name of resources) this.#work.set(name, task);
    void task.finally(() => {
      for (const name of resources) if (this.#work.get(name) === task) this.#work.delete(name);
    });
  }

  /** Whether work on the instance or snapshot file of this name is under way. */
  isInUse(name: string): boolean {
    return this.#work.has(name);
  }

  dataDirectoryOf({ resourceId }: { resourceId: string }): string {
    return join(this.#dataDirectory, resourceId);
  }

  snapshotFile({ file }: { file: string }): string {
    return join(this.#options.directory, 'snapshots', file);
  }

  /** Starts an instance's server and its endpoint. */
  async startInstance(instance: InstanceRecord): Promise<PostgresServer> {
    if (this.#secureContext === undefined) throw new Error('the local RDS is not open');
    const values = () => parameterValues(this.state, instance.parameterGroup);
    const server = await startPostgresServer({ dataDirectory: this.dataDirectoryOf(instance), settings: values() });
    const endpoint = await openEndpoint({
      server,
      secureContext: this.#secureContext,
      authorizer: this.#options.authorizer,
      resolveCredentials: this.#options.resolveCredentials ?? (() => undefined),
      userArn: user => `arn:aws:rds-db:eu-west-2:${this.accountId}:dbuser:${instance.resourceId}/${user}`,
      iamEnabled: () => instance.iamAuthentication,
      tlsForced: () => values()['rds.force_ssl'] === '1',
      port: instance.port,
    });
    instance.port = endpoint.port;
    this.#running.set(instance.resourceId, { server, endpoint });
    return server;
  }

  async stopInstance(resourceId: string, how: 'stop' | 'kill'): Promise<void> {
    const running = this.#running.get(resourceId);
    this.#running.delete(resourceId);
    await running?.endpoint.close();
    await running?.server[how]();
  }

  async removeInstanceData(instance: InstanceRecord): Promise<void> {
    await this.stopInstance(instance.resourceId, 'kill');
    await removeCluster(this.dataDirectoryOf(instance));
  }

  /** The server of an instance. @throws RdsFault InvalidDBInstanceState when it does not run. */
  serverOf(instance: InstanceRecord): PostgresServer {
    const running = this.#running.get(instance.resourceId);
    if (running) return running.server;
    throw new RdsFault('InvalidDBInstanceState', `Instance ${instance.id} has no running server.`);
  }

  /** @throws RdsFault DBInstanceNotFound */
  instance(id: string): InstanceRecord {
    const found = this.state.instances.find(instance => instance.id === id);
    if (found) return found;
    throw new RdsFault('DBInstanceNotFound', `DBInstance ${id} not found.`, 404);
  }

  /** @throws RdsFault DBSnapshotNotFound */
  snapshot(id: string): SnapshotRecord {
    const found = this.state.snapshots.find(snapshot => snapshot.id === id);
    if (found) return found;
    throw new RdsFault('DBSnapshotNotFound', `DBSnapshot ${id} not found.`, 404);
  }

  /**
   * Asks IAM for one action on one resource.
   * @throws AccessDenied
   */
  authorize(
    principal: Principal,
    action: string,
    resource: string,
    context: {
      of?: InstanceRecord | SnapshotRecord | undefined;
      requestTags?: Readonly<Record<string, string>>;
      tagKeys?: readonly string[];
      /** Condition keys of the request itself. */
      conditions?: Readonly<Record<string, string>>;
    } = {},
  ): void {
    const kind = resource.split(':')[5];
    const tagKeys = context.tagKeys ?? Object.keys(context.requestTags ?? {});
    const entries: [string, string | readonly string[]][] = [
      ...Object.entries(context.conditions ?? {}),
      ...Object.entries(context.of?.tags ?? {}).flatMap(([name, value]): [string, string][] => [
        [`aws:ResourceTag/${name}`, value],
        [`rds:${kind}-tag/${name}`, value],
      ]),
      ...Object.entries(context.requestTags ?? {}).flatMap(([name, value]): [string, string][] => [
        [`aws:RequestTag/${name}`, value],
        [`rds:req-tag/${name}`, value],
      ]),
      ...(tagKeys.length > 0 ? [['aws:TagKeys', tagKeys] as [string, readonly string[]]] : []),
    ];
    if (context.of && kind === 'db' && 'instanceClass' in context.of) {
      entries.push(
        ['rds:DatabaseClass', context.of.instanceClass],
        ['rds:DatabaseEngine', 'postgres'],
        ['rds:StorageEncrypted', String(context.of.encryption.type === 'sse-kms')],
        ['rds:MultiAz', String(context.of.multiAz)],
      );
    }
    this.#options.authorizer.authorize({ principal, action, resource, context: Object.fromEntries(entries) });
  }

  /** Asks for an action that makes `resource`, and for tagging it, as RDS does where the request holds tags. */
  authorizeCreation(
    principal: Principal,
    action: string,
    resource: string,
    tags: Record<string, string>,
    conditions: Readonly<Record<string, string>> = {},
  ): void {
    this.authorize(principal, action, resource, { requestTags: tags, conditions });
    if (Object.keys(tags).length > 0) {
      this.authorize(principal, 'rds:AddTagsToResource', resource, { requestTags: tags });
    }
  }

  snapshotArn(id: string): string {
    return arnOf('snapshot', id, this.accountId);
  }

  instanceArn(id: string): string {
    return arnOf('db', id, this.accountId);
  }

  /** The encryption of new storage under a key that the caller names. @throws RdsFault KMSKeyNotAccessibleFault */
  encryptionUnder(keyId: string, principal: Principal, resourceId: string): StorageEncryption {
    return reachKey(keyId, () => {
      const keyArn = this.#grantUse(keyId, principal, resourceId);
      return { type: 'sse-kms', keyArn, awsManaged: keyId === AWS_MANAGED_KEY };
    });
  }

  /** Lets the caller make RDS a grant for a key. @throws KeyOperationError, AccessDenied */
  #grantUse(keyId: string, principal: Principal, resourceId: string): string {
    const use = this.#keyUse(principal, resourceId);
    const { keyArn, enabled } = this.#options.keys.describeForService({ ...use, keyId, grants: true });
    if (!enabled) throw new KeyOperationError('DisabledException', `${keyArn} is disabled`);
    return keyArn;
  }

  /** A fresh data key for one file: as it is used, and as it is kept. @throws RdsFault KMSKeyNotAccessibleFault */
  newDataKey(encryption: StorageEncryption, resourceId: string): { plain: Buffer; kept: string } {
    if (encryption.type === 'sse-rds') {
      const plain = randomBytes(32);
      return { plain, kept: plain.toString('base64') };
    }
    const { keyArn } = encryption;
    const { plaintext, ciphertext } = reachKey(keyArn, () =>
      this.#options.keys.generateDataKey({ ...this.#keyUse(this.#ownGrant, resourceId), keyId: keyArn }),
    );
    return { plain: plaintext, kept: ciphertext.toString('base64') };
  }

  /**
   * The data key of a snapshot's file. Whoever has RDS read it lets RDS use its key.
   * @throws RdsFault KMSKeyNotAccessibleFault
   */
  openDataKey({ encryption, dataKey, resourceId }: SnapshotRecord, principal: Principal): Buffer {
    const ciphertext = Buffer.from(dataKey, 'base64');
    if (encryption.type === 'sse-rds') return ciphertext;
    const { keyArn } = encryption;
    return reachKey(keyArn, () => {
      this.#grantUse(keyArn, principal, resourceId);
      return this.#options.keys.decryptDataKey({ ...this.#keyUse(this.#ownGrant, resourceId), ciphertext }).plaintext;
    });
  }

  /** Data keys come under the grant that was made to RDS, not under the caller's permissions: the account stands for it. */
  get #ownGrant(): Principal {
    return { kind: 'root', arn: `arn:aws:iam::${this.accountId}:root` };
  }

  #keyUse(principal: Principal, resourceId: string) {
    return { principal, viaService: VIA_SERVICE, encryptionContext: { 'aws:rds:db-id': resourceId } };
  }
}

function reachKey<T>(keyId: string, use: () => T): T {
  try {
    return use();
  } catch (error) {
    if (!(error instanceof KeyOperationError || error instanceof AccessDenied)) throw error;
    throw new RdsFault(
      'KMSKeyNotAccessibleFault',
      `The specified KMS key [${keyId}] does not exist, is not enabled or you do not have permissions to access it (${describeError(error)}).`,
    );
  }
}
