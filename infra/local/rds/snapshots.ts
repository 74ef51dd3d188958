import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import type { Principal } from '../service.ts';
import { AWS_MANAGED_KEY, QUOTAS } from './account.ts';
import { copyArchive, writeArchive } from './archive.ts';
import type { RdsCore } from './core.ts';
import { hotBackup } from './hot-backup.ts';
import { checkIdentifier, identifierOf } from './identifiers.ts';
import { applyFilters, takePage } from './paging.ts';
import { type Answer, type Parameters, RdsFault } from './query-protocol.ts';
import {
  describeSnapshot,
  type InstanceRecord,
  type SnapshotRecord,
  type StorageEncryption,
  statusOf,
} from './records.ts';

/** How long each change takes, in seconds of the local clock; the real work may take longer. */
const SNAPSHOT_S = 90;
const COPY_S = 120;

/** https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBSnapshot.html */
export async function createSnapshot(core: RdsCore, parameters: Parameters, principal: Principal): Promise<Answer> {
  const id = checkIdentifier('DBSnapshotIdentifier', parameters.requiredText('DBSnapshotIdentifier'), 255);
  const instanceId = identifierOf('db', parameters.requiredText('DBInstanceIdentifier'), core.accountId);
  const tags = parameters.tags('Tags');
  parameters.refuseUnread();
  const known = core.state.instances.find(instance => instance.id === instanceId);
  core.authorize(principal, 'rds:CreateDBSnapshot', core.instanceArn(instanceId), { of: known, requestTags: tags });
  core.authorizeCreation(principal, 'rds:CreateDBSnapshot', core.snapshotArn(id), tags);
  const instance = core.instance(instanceId);
  refuseExisting(core, id);
  const status = statusOf(instance, core.now());
  if (status !== 'available') {
    throw new RdsFault(
      'InvalidDBInstanceState',
      `Cannot create a snapshot because the database instance ${instanceId} is not currently in the available state.`,
    );
  }
  refuseOverQuota(core);
  const inherited = instance.copyTagsToSnapshot ? instance.tags : {};
  const snapshot = beginSnapshot(core, instance, id, 'manual', { ...inherited, ...tags });
  await core.save();
  return { DBSnapshot: describeSnapshot(snapshot, core.now(), core.accountId) };
}

/** Takes a snapshot of a running instance in the background; the instance is `backing-up` meanwhile. */
export function beginSnapshot(
  core: RdsCore,
  instance: InstanceRecord,
  id: string,
  type: SnapshotRecord['type'],
  tags: Record<string, string>,
): SnapshotRecord {
  const { plain, kept } = core.newDataKey(instance.encryption, instance.resourceId);
  const until = core.after(SNAPSHOT_S);
  const snapshot: SnapshotRecord = {
    id,
    type,
    tags,
    encryption: instance.encryption,
    passing: [{ status: 'creating', until }],
    work: 'running',
    file: `${randomUUID()}.snapshot`,
    dataKey: kept,
    instanceId: instance.id,
    resourceId: instance.resourceId,
    instanceCreatedAt: instance.createdAt,
    requestedAt: core.now().toISOString(),
    createdAt: undefined,
    originalCreatedAt: undefined,
    sourceArn: undefined,
    engineVersion: instance.engineVersion,
    masterUsername: instance.masterUsername,
    allocatedStorageGib: instance.allocatedStorageGib,
    storageType: instance.storageType,
    backupRetentionDays: instance.backupRetentionDays,
    backupWindow: instance.backupWindow,
    iamAuthentication: instance.iamAuthentication,
    sharedWith: [],
  };
  core.state.snapshots.push(snapshot);
  instance.passing.push({ status: 'backing-up', until });
  core.begin(snapshot, [instance.resourceId, snapshot.file], async () => {
    const entries = hotBackup(core.serverOf(instance), () => {
      snapshot.createdAt = core.now().toISOString();
      snapshot.originalCreatedAt = snapshot.createdAt;
    });
    await writeArchive(core.snapshotFile(snapshot), entries, plain);
  });
  return snapshot;
}

/** https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CopyDBSnapshot.html */
export async function copySnapshot(core: RdsCore, parameters: Parameters, principal: Principal): Promise<Answer> {
  const sourceId = identifierOf('snapshot', parameters.requiredText('SourceDBSnapshotIdentifier'), core.accountId);
  const id = checkIdentifier('TargetDBSnapshotIdentifier', parameters.requiredText('TargetDBSnapshotIdentifier'), 255);
  const keyId = parameters.text('KmsKeyId');
  const copyTags = parameters.boolean('CopyTags') ?? false;
  const ownTags = parameters.tags('Tags');
  parameters.refuseUnread();
  const known = core.state.snapshots.find(snapshot => snapshot.id === sourceId);
  core.authorize(principal, 'rds:CopyDBSnapshot', core.snapshotArn(sourceId), { of: known, requestTags: ownTags });
  core.authorizeCreation(principal, 'rds:CopyDBSnapshot', core.snapshotArn(id), ownTags);
  const source = core.snapshot(sourceId);
  refuseExisting(core, id);
  refuseUnavailable(core, source);
  refuseOverQuota(core);

  const { resourceId } = source;
  const sourceKey = core.openDataKey(source, principal);
  const encryption = copiedEncryption(core, source, keyId, principal);
  const { plain, kept } = core.newDataKey(encryption, resourceId);
  const copy: SnapshotRecord = {
    ...source,
    id,
    type: 'manual',
    tags: { ...(copyTags ? source.tags : {}), ...ownTags },
    encryption,
    passing: [{ status: 'copying', until: core.after(COPY_S) }],
    work: 'running',
    file: `${randomUUID()}.snapshot`,
    dataKey: kept,
    requestedAt: core.now().toISOString(),
    createdAt: undefined,
    sourceArn: core.snapshotArn(source.id),
    sharedWith: [],
  };
  core.state.snapshots.push(copy);
  core.begin(copy, [copy.file, source.file], async () => {
    await copyArchive(core.snapshotFile(source), sourceKey, core.snapshotFile(copy), plain);
    copy.createdAt = core.now().toISOString();
  });
  await core.save();
  return { DBSnapshot: describeSnapshot(copy, core.now(), core.accountId) };
}

// Without a key the copy stays as its source is; the caller needs the source's key too.
function copiedEncryption(
  core: RdsCore,
  source: SnapshotRecord,
  keyId: string | undefined,
  principal: Principal,
): StorageEncryption {
  if (keyId !== undefined) return core.encryptionUnder(keyId, principal, source.resourceId);
  if (source.encryption.type === 'sse-rds') return source.encryption;
  const { keyArn, awsManaged } = source.encryption;
  return core.encryptionUnder(awsManaged ? AWS_MANAGED_KEY : keyArn, principal, source.resourceId);
}

/** https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DeleteDBSnapshot.html */
export async function deleteSnapshot(core: RdsCore, parameters: Parameters, principal: Principal): Promise<Answer> {
  const id = parameters.requiredText('DBSnapshotIdentifier').toLowerCase();
  parameters.refuseUnread();
  const known = core.state.snapshots.find(snapshot => snapshot.id === id);
  core.authorize(principal, 'rds:DeleteDBSnapshot', core.snapshotArn(id), { of: known });
  const snapshot = core.snapshot(id);
  if (snapshot.type === 'automated') {
    throw new RdsFault('InvalidDBSnapshotState', `Automated snapshots such as ${id} cannot be deleted by hand.`);
  }
  if (snapshot.work !== 'failed') refuseUnavailable(core, snapshot);
  if (core.isInUse(snapshot.file)) {
    throw new RdsFault('InvalidDBSnapshotState', `The snapshot ${id} is being copied or restored.`);
  }
  await removeSnapshot(core, snapshot);
  return { DBSnapshot: { ...describeSnapshot(snapshot, core.now(), core.accountId), Status: 'deleted' } };
}

/** Forgets a snapshot and removes its file, which is unreadable without the data key that goes with it. */
export async function removeSnapshot(core: RdsCore, snapshot: SnapshotRecord): Promise<void> {
  core.state.snapshots = core.state.snapshots.filter(other => other !== snapshot);
  await core.save();
  await rm(core.snapshotFile(snapshot), { force: true });
}

/** https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DescribeDBSnapshots.html */
export function describeSnapshots(core: RdsCore, parameters: Parameters, principal: Principal): Answer {
  const id = parameters.text('DBSnapshotIdentifier')?.toLowerCase();
  const instanceId = parameters.text('DBInstanceIdentifier')?.toLowerCase();
  const resourceId = parameters.text('DbiResourceId');
  const type = parameters.text('SnapshotType');
  // No other account is here to share with this one.
  parameters.boolean('IncludeShared');
  parameters.boolean('IncludePublic');
  const wanted = core.state.snapshots.filter(
    snapshot =>
      (id === undefined || snapshot.id === id) &&
      (instanceId === undefined || snapshot.instanceId === instanceId) &&
      (resourceId === undefined || snapshot.resourceId === resourceId) &&
      (type === undefined || snapshot.type === type),
  );
  const filtered = applyFilters(wanted, parameters, {
    'db-instance-id': snapshot => snapshot.instanceId,
    'db-snapshot-id': snapshot => snapshot.id,
    'dbi-resource-id': snapshot => snapshot.resourceId,
    'snapshot-type': snapshot => snapshot.type,
    engine: () => 'postgres',
  });
  const { page, marker } = takePage(filtered, parameters);
  parameters.refuseUnread();
  const byInstance = id === undefined && instanceId !== undefined;
  core.authorize(
    principal,
    'rds:DescribeDBSnapshots',
    byInstance ? core.instanceArn(instanceId) : core.snapshotArn(id ?? '*'),
    { of: id === undefined ? undefined : wanted[0] },
  );
  if (id !== undefined && wanted.length === 0) core.snapshot(id);
  return { DBSnapshots: page.map(one => describeSnapshot(one, core.now(), core.accountId)), Marker: marker };
}

/** https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DescribeDBSnapshotAttributes.html */
export function describeSnapshotAttributes(core: RdsCore, parameters: Parameters, principal: Principal): Answer {
  const id = identifierOf('snapshot', parameters.requiredText('DBSnapshotIdentifier'), core.accountId);
  parameters.refuseUnread();
  const known = core.state.snapshots.find(snapshot => snapshot.id === id);
  core.authorize(principal, 'rds:DescribeDBSnapshotAttributes', core.snapshotArn(id), { of: known });
  return attributesOf(core.snapshot(id));
}

/** https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_ModifyDBSnapshotAttribute.html */
export async function modifySnapshotAttribute(
  core: RdsCore,
  parameters: Parameters,
  principal: Principal,
): Promise<Answer> {
  const id = identifierOf('snapshot', parameters.requiredText('DBSnapshotIdentifier'), core.accountId);
  const attribute = parameters.requiredText('AttributeName');
  const added = parameters.texts('ValuesToAdd') ?? [];
  const removed = parameters.texts('ValuesToRemove') ?? [];
  parameters.refuseUnread();
  const known = core.state.snapshots.find(snapshot => snapshot.id === id);
  core.authorize(principal, 'rds:ModifyDBSnapshotAttribute', core.snapshotArn(id), { of: known });
  const snapshot = core.snapshot(id);
  if (attribute !== 'restore') throw new RdsFault('InvalidParameterValue', `Invalid attribute name: ${attribute}`);
  for (const account of added) {
    if (!/^(?:\d{12}|all)$/.test(account)) throw new RdsFault('InvalidParameterValue', `Invalid value: ${account}`);
  }
  refuseUnavailable(core, snapshot);
  if (added.length > 0) refuseSharing(snapshot, added);
  const shared = [...new Set([...snapshot.sharedWith, ...added])].filter(account => !removed.includes(account));
  if (shared.length > QUOTAS.sharedAccounts) {
    throw new RdsFault(
      'SharedSnapshotQuotaExceeded',
      `A snapshot is shared with ${QUOTAS.sharedAccounts} accounts at most.`,
    );
  }
  snapshot.sharedWith = shared.sort();
  await core.save();
  return attributesOf(snapshot);
}

// https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_ShareSnapshot.html
function refuseSharing(snapshot: SnapshotRecord, accounts: readonly string[]): void {
  if (snapshot.type === 'automated') {
    throw new RdsFault('InvalidDBSnapshotState', 'Automated snapshots cannot be shared; copy the snapshot first.');
  }
  if (snapshot.encryption.type !== 'sse-kms') return;
  if (snapshot.encryption.awsManaged) {
    throw new RdsFault('InvalidDBSnapshotState', 'Snapshots encrypted with the default RDS key cannot be shared.');
  }
  if (accounts.includes('all')) {
    throw new RdsFault('InvalidParameterValue', 'Encrypted snapshots cannot be made public.');
  }
}

function attributesOf(snapshot: SnapshotRecord): Answer {
  return {
    DBSnapshotAttributesResult: {
      DBSnapshotIdentifier: snapshot.id,
      DBSnapshotAttributes: [{ AttributeName: 'restore', AttributeValues: snapshot.sharedWith }],
    },
  };
}

/** @throws RdsFault InvalidDBSnapshotState */
export function refuseUnavailable(core: RdsCore, snapshot: SnapshotRecord): void {
  const status = statusOf(snapshot, core.now());
  if (status === 'available') return;
  throw new RdsFault('InvalidDBSnapshotState', `The snapshot ${snapshot.id} is in the state ${status}, not available.`);
}

function refuseExisting(core: RdsCore, id: string): void {
  if (core.state.snapshots.some(snapshot => snapshot.id === id)) {
    throw new RdsFault(
      'DBSnapshotAlreadyExists',
      `Cannot create the snapshot because a snapshot with the identifier ${id} already exists.`,
    );
  }
}

function refuseOverQuota(core: RdsCore): void {
  if (core.state.snapshots.filter(({ type }) => type === 'manual').length >= QUOTAS.manualSnapshots) {
    throw new RdsFault('SnapshotQuotaExceeded', `There are ${QUOTAS.manualSnapshots} manual snapshots already.`);
  }
}
