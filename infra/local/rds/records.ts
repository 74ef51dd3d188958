import { readFile, rename, writeFile } from 'node:fs/promises';
import { arnOf } from './identifiers.ts';
import type { ParameterGroupRecord } from './parameter-groups.ts';
import type { Answer } from './query-protocol.ts';

/** How storage is encrypted: under a KMS key of the account, or (as everything is since 2026) under one that AWS owns. */
export type StorageEncryption =
  | {
      readonly type: 'sse-kms';
      readonly keyArn: string;
      readonly awsManaged: boolean;
    }
  | { readonly type: 'sse-rds' };

/** A status that lasts until an instant, or until its real work is done if that takes longer. */
export interface Passing {
  readonly status: string;
  readonly until: string;
}

interface Resource {
  id: string;
  tags: Record<string, string>;
  encryption: StorageEncryption;
  /** What the resource still goes through before it is available, in order. */
  passing: Passing[];
  work: 'running' | 'done' | 'failed';
}

/** A DB instance. Times are instants of the local clock. */
export interface InstanceRecord extends Resource {
  resourceId: string;
  instanceClass: string;
  engineVersion: string;
  masterUsername: string;
  databaseName: string | undefined;
  allocatedStorageGib: number;
  storageType: string;
  createdAt: string;
  backupRetentionDays: number;
  backupWindow: string;
  multiAz: boolean;
  publiclyAccessible: boolean;
  autoMinorVersionUpgrade: boolean;
  deletionProtection: boolean;
  iamAuthentication: boolean;
  copyTagsToSnapshot: boolean;
  subnetGroup: string;
  securityGroups: string[];
  parameterGroup: string;
  deleting: boolean;
  /** The TCP port of its endpoint; undefined until it has one. */
  port: number | undefined;
}

/** A DB snapshot. */
export interface SnapshotRecord extends Resource {
  type: 'manual' | 'automated';
  /** The name of its file below `snapshots`. */
  file: string;
  /** The data key of its file: wrapped by the KMS key (base64), or in plain, where AWS would hold the key. */
  dataKey: string;
  instanceId: string;
  resourceId: string;
  instanceCreatedAt: string;
  requestedAt: string;
  /** When this snapshot, and when the data in it, was taken; undefined until it is. */
  createdAt: string | undefined;
  originalCreatedAt: string | undefined;
  sourceArn: string | undefined;
  engineVersion: string;
  masterUsername: string;
  allocatedStorageGib: number;
  storageType: string;
  backupRetentionDays: number;
  backupWindow: string;
  iamAuthentication: boolean;
  /** The accounts that may restore it; `all` makes it public. */
  sharedWith: string[];
}

/** Everything that a local RDS keeps between processes, beside data directories and snapshot files. */
export interface RdsState {
  instances: InstanceRecord[];
  snapshots: SnapshotRecord[];
  /** Those that somebody made. */
  parameterGroups?: ParameterGroupRecord[];
}

/** Reads the state; an absent file is an empty state. */
export async function readState(file: string): Promise<RdsState> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as RdsState;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { instances: [], snapshots: [] };
    throw error;
  }
}

/** Writes the state so that a reader finds the old one or the new one. */
export async function writeState(file: string, state: RdsState): Promise<void> {
  await writeFile(`${file}.draft`, JSON.stringify(state, null, 1), { mode: 0o600 });
  await rename(`${file}.draft`, file);
}

/** The status at `now`. */
export function statusOf(resource: Resource, now: Date): string {
  if (resource.work === 'failed') return 'failed';
  const current = resource.passing.find(({ until }) => now < new Date(until));
  const last = resource.passing.at(-1);
  return (current ?? (resource.work === 'running' ? last : undefined))?.status ?? 'available';
}

/** How far a snapshot is, in percent, at `now`. */
export function progressOf(snapshot: SnapshotRecord, now: Date): number {
  const last = snapshot.passing.at(-1);
  if (last === undefined || statusOf(snapshot, now) === 'available') return 100;
  const startMs = Date.parse(snapshot.requestedAt);
  const share = (now.getTime() - startMs) / (Date.parse(last.until) - startMs);
  return Math.min(99, Math.max(0, Math.floor(share * 100)));
}

const tagList = (tags: Record<string, string>) => Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));
const date = (instant: string | undefined) => (instant === undefined ? undefined : new Date(instant));

/** A `DBInstance` as RDS describes it. */
export function describeInstance(instance: InstanceRecord, now: Date, accountId: string): Answer {
  const status = statusOf(instance, now);
  return {
    DBInstanceIdentifier: instance.id,
    DBInstanceClass: instance.instanceClass,
    Engine: 'postgres',
    EngineVersion: instance.engineVersion,
    DBInstanceStatus: status,
    MasterUsername: instance.masterUsername,
    DBName: instance.databaseName,
    Endpoint:
      instance.port === undefined || status === 'creating'
        ? undefined
        : { Address: ENDPOINT_HOST, Port: instance.port },
    AllocatedStorage: instance.allocatedStorageGib,
    InstanceCreateTime: status === 'creating' ? undefined : new Date(instance.createdAt),
    PreferredBackupWindow: instance.backupWindow,
    BackupRetentionPeriod: instance.backupRetentionDays,
    VpcSecurityGroups: instance.securityGroups.map(id => ({ VpcSecurityGroupId: id, Status: 'active' })),
    DBParameterGroups: [{ DBParameterGroupName: instance.parameterGroup, ParameterApplyStatus: 'in-sync' }],
    DBSubnetGroup: { DBSubnetGroupName: instance.subnetGroup, SubnetGroupStatus: 'Complete' },
    AvailabilityZone: 'eu-west-2a',
    MultiAZ: instance.multiAz,
    AutoMinorVersionUpgrade: instance.autoMinorVersionUpgrade,
    LicenseModel: 'postgresql-license',
    PubliclyAccessible: instance.publiclyAccessible,
    StorageType: instance.storageType,
    ...describeEncryption(instance.encryption, 'StorageEncrypted'),
    DbInstancePort: 0,
    DbiResourceId: instance.resourceId,
    CACertificateIdentifier: CERTIFICATE_AUTHORITY,
    CertificateDetails: { CAIdentifier: CERTIFICATE_AUTHORITY },
    CopyTagsToSnapshot: instance.copyTagsToSnapshot,
    DBInstanceArn: arnOf('db', instance.id, accountId),
    IAMDatabaseAuthenticationEnabled: instance.iamAuthentication,
    DeletionProtection: instance.deletionProtection,
    TagList: tagList(instance.tags),
    NetworkType: 'IPV4',
    BackupTarget: 'region',
    DedicatedLogVolume: false,
  };
}

/** A `DBSnapshot` as RDS describes it. */
export function describeSnapshot(snapshot: SnapshotRecord, now: Date, accountId: string): Answer {
  return {
    DBSnapshotIdentifier: snapshot.id,
    DBInstanceIdentifier: snapshot.instanceId,
    SnapshotCreateTime: date(snapshot.createdAt),
    OriginalSnapshotCreateTime: date(snapshot.originalCreatedAt),
    Engine: 'postgres',
    EngineVersion: snapshot.engineVersion,
    AllocatedStorage: snapshot.allocatedStorageGib,
    Status: statusOf(snapshot, now),
    PercentProgress: progressOf(snapshot, now),
    Port: 5432,
    AvailabilityZone: 'eu-west-2a',
    InstanceCreateTime: new Date(snapshot.instanceCreatedAt),
    MasterUsername: snapshot.masterUsername,
    LicenseModel: 'postgresql-license',
    SnapshotType: snapshot.type,
    SourceDBSnapshotIdentifier: snapshot.sourceArn,
    StorageType: snapshot.storageType,
    ...describeEncryption(snapshot.encryption, 'Encrypted'),
    BackupRetentionPeriod: snapshot.backupRetentionDays,
    PreferredBackupWindow: snapshot.backupWindow,
    DBSnapshotArn: arnOf('snapshot', snapshot.id, accountId),
    IAMDatabaseAuthenticationEnabled: snapshot.iamAuthentication,
    DbiResourceId: snapshot.resourceId,
    TagList: tagList(snapshot.tags),
    SnapshotTarget: 'region',
    DedicatedLogVolume: false,
  };
}

// `false` beside `sse-rds`: the flag tells only of keys in the account.
function describeEncryption(encryption: StorageEncryption, flag: 'Encrypted' | 'StorageEncrypted'): Answer {
  const keyArn = encryption.type === 'sse-kms' ? encryption.keyArn : undefined;
  return { [flag]: keyArn !== undefined, StorageEncryptionType: encryption.type, KmsKeyId: keyArn };
}

/** The host name of every endpoint; its certificate holds it. */
export const ENDPOINT_HOST = 'localhost';
const CERTIFICATE_AUTHORITY = 'rds-ca-rsa2048-g1';
