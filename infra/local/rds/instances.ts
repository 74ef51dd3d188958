import type { Principal } from '../service.ts';
import { AWS_MANAGED_KEY, QUOTAS } from './account.ts';
import { extractArchive } from './archive.ts';
import { findPostgres } from './binaries.ts';
import type { RdsCore } from './core.ts';
import { arnOf, checkIdentifier, identifierOf, newResourceId } from './identifiers.ts';
import { applyFilters, takePage } from './paging.ts';
import { DEFAULT_PARAMETER_GROUP, parameterValues } from './parameter-groups.ts';
import { provisionDatabase, setPassword } from './provision.ts';
import { type Answer, type Parameters, RdsFault } from './query-protocol.ts';
import { describeInstance, type InstanceRecord, statusOf } from './records.ts';
import { initializePostgres } from './server.ts';
import { beginSnapshot, refuseUnavailable, removeSnapshot } from './snapshots.ts';

/** How long each change takes, in seconds of the local clock; the real work may take longer. */
const CREATE_S = 300;
const RESTORE_S = 240;
const MODIFY_S = 30;
const DELETE_S = 120;

const ENGINE_VERSION = '17.10';
const BACKUP_WINDOW = '03:30-04:00';

/** What `CreateDBInstance` and `RestoreDBInstanceFromDBSnapshot` both say of the new instance. */
function readPlacement(parameters: Parameters) {
  return {
    multiAz: parameters.boolean('MultiAZ') ?? false,
    publiclyAccessible: parameters.boolean('PubliclyAccessible') ?? false,
    autoMinorVersionUpgrade: parameters.boolean('AutoMinorVersionUpgrade') ?? true,
    deletionProtection: parameters.boolean('DeletionProtection') ?? false,
    iamAuthentication: parameters.boolean('EnableIAMDatabaseAuthentication') ?? false,
    copyTagsToSnapshot: parameters.boolean('CopyTagsToSnapshot') ?? false,
    subnetGroup: parameters.text('DBSubnetGroupName')?.toLowerCase() ?? 'default',
    securityGroups: parameters.texts('VpcSecurityGroupIds') ?? [],
    parameterGroup: parameters.text('DBParameterGroupName')?.toLowerCase() ?? DEFAULT_PARAMETER_GROUP,
  };
}

// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonrds.html
function authorizeNewInstance(
  core: RdsCore,
  principal: Principal,
  action: string,
  id: string,
  tags: Record<string, string>,
  { subnetGroup, parameterGroup, publiclyAccessible }: ReturnType<typeof readPlacement>,
): void {
  core.authorizeCreation(principal, action, core.instanceArn(id), tags, {
    'rds:PubliclyAccessible': String(publiclyAccessible),
  });
  const { accountId } = core;
  core.authorize(principal, action, arnOf('subgrp', subnetGroup, accountId), { requestTags: tags });
  core.authorize(principal, action, arnOf('pg', parameterGroup, accountId), { requestTags: tags });
  core.authorize(principal, action, arnOf('og', 'default:postgres-17', accountId), { requestTags: tags });
}

function refuseNewInstance(core: RdsCore, id: string): void {
  if (core.state.instances.some(instance => instance.id === id)) {
    throw new RdsFault('DBInstanceAlreadyExists', `DB instance ${id} already exists`);
  }
  if (core.state.instances.length >= QUOTAS.instances) {
    throw new RdsFault('InstanceQuotaExceeded', `There are ${QUOTAS.instances} DB instances already.`);
  }
}

/** https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBInstance.html */
export async function createInstance(core: RdsCore, parameters: Parameters, principal: Principal): Promise<Answer> {
  const id = checkIdentifier('DBInstanceIdentifier', parameters.requiredText('DBInstanceIdentifier'), 63);
  const instanceClass = parameters.requiredText('DBInstanceClass');
  const engine = parameters.requiredText('Engine');
  const engineVersion = parameters.text('EngineVersion') ?? ENGINE_VERSION;
  const masterUsername = parameters.requiredText('MasterUsername');
  const password = parameters.requiredText('MasterUserPassword');
  const databaseName = parameters.text('DBName');
  const allocatedStorageGib = parameters.integer('AllocatedStorage', { min: 20, max: 65_536 }) ?? 20;
  const storageType = parameters.text('StorageType') ?? 'gp3';
  const backupRetentionDays = parameters.integer('BackupRetentionPeriod', { min: 0, max: 35 }) ?? 1;
  const backupWindow = parameters.text('PreferredBackupWindow') ?? BACKUP_WINDOW;
  const encrypted = parameters.boolean('StorageEncrypted') ?? false;
  const keyId = parameters.text('KmsKeyId');
  const tags = parameters.tags('Tags');
  const placement = readPlacement(parameters);
  parameters.refuseUnread();
  authorizeNewInstance(core, principal, 'rds:CreateDBInstance', id, tags, placement);
  if (engine !== 'postgres') throw new RdsFault('InvalidParameterValue', `Invalid DB engine: ${engine}`);
  if (engineVersion !== ENGINE_VERSION && engineVersion !== ENGINE_VERSION.split('.')[0]) {
    throw new RdsFault('InvalidParameterCombination', `Cannot find version ${engineVersion} for postgres`);
  }
  if (!/^db\.[a-z0-9-]+\.[a-z0-9]+$/.test(instanceClass)) {
    throw new RdsFault('InvalidParameterValue', `Invalid DB Instance class: ${instanceClass}`);
  }
  if (!/^[a-z_][a-z0-9_]{0,62}$/i.test(masterUsername) || /^(?:rds|pg_|public$)/i.test(masterUsername)) {
    throw new RdsFault('InvalidParameterValue', `MasterUsername ${masterUsername} cannot be used.`);
  }
  checkPassword(password);
  checkBackupWindow(backupWindow);
  if (databaseName !== undefined && !/^[a-z_][a-z0-9_]{0,62}$/i.test(databaseName)) {
    throw new RdsFault(
      'InvalidParameterValue',
      'DBName must begin with a letter and hold letters, digits or underscores.',
    );
  }
  if (keyId !== undefined && !encrypted) {
    throw new RdsFault('InvalidParameterCombination', 'A KmsKeyId needs StorageEncrypted.');
  }
  refuseNewInstance(core, id);
  parameterValues(core.state, placement.parameterGroup);

  const resourceId = newResourceId();
  const encryption = encrypted
    ? core.encryptionUnder(keyId ?? AWS_MANAGED_KEY, principal, resourceId)
    : ({ type: 'sse-rds' } as const);
  const instance: InstanceRecord = {
    id,
    resourceId,
    tags,
    encryption,
    passing: [{ status: 'creating', until: core.after(CREATE_S) }],
    work: 'running',
    instanceClass,
    engineVersion: ENGINE_VERSION,
    masterUsername: masterUsername.toLowerCase(),
    databaseName,
    allocatedStorageGib,
    storageType,
    createdAt: core.now().toISOString(),
    backupRetentionDays,
    backupWindow,
    ...placement,
    deleting: false,
    port: undefined,
  };
  core.state.instances.push(instance);
  core.begin(instance, [resourceId], async () => {
    await initializePostgres(core.dataDirectoryOf(instance));
    const server = await core.startInstance(instance);
    await provisionDatabase(server, { masterUsername: instance.masterUsername, password, databaseName });
    core.automatedBackups.begin(instance, CREATE_S);
  });
  await core.save();
  return { DBInstance: describeInstance(instance, core.now(), core.accountId) };
}

/** https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_RestoreDBInstanceFromDBSnapshot.html */
export async function restoreInstance(core: RdsCore, parameters: Parameters, principal: Principal): Promise<Answer> {
  const id = checkIdentifier('DBInstanceIdentifier', parameters.requiredText('DBInstanceIdentifier'), 63);
  const snapshotId = identifierOf('snapshot', parameters.requiredText('DBSnapshotIdentifier'), core.accountId);
  const instanceClass = parameters.text('DBInstanceClass') ?? 'db.t4g.medium';
  const engine = parameters.text('Engine') ?? 'postgres';
  const retention = parameters.integer('BackupRetentionPeriod', { min: 0, max: 35 });
  const tags = parameters.tags('Tags');
  const placement = readPlacement(parameters);
  parameters.refuseUnread();
  const known = core.state.snapshots.find(snapshot => snapshot.id === snapshotId);
  const action = 'rds:RestoreDBInstanceFromDBSnapshot';
  core.authorize(principal, action, core.snapshotArn(snapshotId), { of: known, requestTags: tags });
  authorizeNewInstance(core, principal, action, id, tags, placement);
  if (engine !== 'postgres') throw new RdsFault('InvalidParameterValue', `Invalid DB engine: ${engine}`);
  const snapshot = core.snapshot(snapshotId);
  refuseNewInstance(core, id);
  parameterValues(core.state, placement.parameterGroup);
  refuseUnavailable(core, snapshot);

  const resourceId = newResourceId();
  const dataKey = core.openDataKey(snapshot, principal);
  const encryption =
    snapshot.encryption.type === 'sse-kms'
      ? core.encryptionUnder(
          snapshot.encryption.awsManaged ? AWS_MANAGED_KEY : snapshot.encryption.keyArn,
          principal,
          resourceId,
        )
      : snapshot.encryption;
  const instance: InstanceRecord = {
    id,
    resourceId,
    tags,
    encryption,
    passing: [{ status: 'creating', until: core.after(RESTORE_S) }],
    work: 'running',
    instanceClass,
    engineVersion: snapshot.engineVersion,
    masterUsername: snapshot.masterUsername,
    databaseName: undefined,
    allocatedStorageGib: snapshot.allocatedStorageGib,
    storageType: snapshot.storageType,
    createdAt: core.now().toISOString(),
    backupRetentionDays: retention ?? snapshot.backupRetentionDays,
    backupWindow: snapshot.backupWindow,
    ...placement,
    deleting: false,
    port: undefined,
  };
  core.state.instances.push(instance);
  core.begin(instance, [resourceId, snapshot.file], async () => {
    const { user } = await findPostgres();
    await extractArchive(core.snapshotFile(snapshot), dataKey, core.dataDirectoryOf(instance), user);
    await core.startInstance(instance);
    core.automatedBackups.begin(instance, RESTORE_S);
  });
  await core.save();
  return { DBInstance: describeInstance(instance, core.now(), core.accountId) };
}

/** https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DescribeDBInstances.html */
export function describeInstances(core: RdsCore, parameters: Parameters, principal: Principal): Answer {
  const named = parameters.text('DBInstanceIdentifier');
  const id = named === undefined ? undefined : identifierOf('db', named, core.accountId);
  const wanted = core.state.instances.filter(instance => id === undefined || instance.id === id);
  const filtered = applyFilters(wanted, parameters, {
    'db-instance-id': instance => instance.id,
    'dbi-resource-id': instance => instance.resourceId,
    engine: () => 'postgres',
  });
  const { page, marker } = takePage(filtered, parameters);
  parameters.refuseUnread();
  core.authorize(principal, 'rds:DescribeDBInstances', core.instanceArn(id ?? '*'), {
    of: id === undefined ? undefined : wanted[0],
  });
  if (id !== undefined) core.instance(id);
  return { DBInstances: page.map(one => describeInstance(one, core.now(), core.accountId)), Marker: marker };
}

/**
 * Changes are applied at once, also without `ApplyImmediately`, which RDS grants only to some of them.
 * https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_ModifyDBInstance.html
 */
export async function modifyInstance(core: RdsCore, parameters: Parameters, principal: Principal): Promise<Answer> {
  const id = identifierOf('db', parameters.requiredText('DBInstanceIdentifier'), core.accountId);
  const password = parameters.text('MasterUserPassword');
  const changes = {
    deletionProtection: parameters.boolean('DeletionProtection'),
    backupRetentionDays: parameters.integer('BackupRetentionPeriod', { min: 0, max: 35 }),
    backupWindow: parameters.text('PreferredBackupWindow'),
    iamAuthentication: parameters.boolean('EnableIAMDatabaseAuthentication'),
    copyTagsToSnapshot: parameters.boolean('CopyTagsToSnapshot'),
    publiclyAccessible: parameters.boolean('PubliclyAccessible'),
    securityGroups: parameters.texts('VpcSecurityGroupIds'),
    autoMinorVersionUpgrade: parameters.boolean('AutoMinorVersionUpgrade'),
  };
  const immediately = parameters.boolean('ApplyImmediately') ?? false;
  parameters.refuseUnread();
  const known = core.state.instances.find(instance => instance.id === id);
  core.authorize(principal, 'rds:ModifyDBInstance', core.instanceArn(id), { of: known });
  const instance = core.instance(id);
  const status = statusOf(instance, core.now());
  if (status !== 'available' && status !== 'backing-up') {
    throw new RdsFault('InvalidDBInstanceState', `Database instance ${id} is in the state ${status}.`);
  }
  if (password !== undefined) checkPassword(password);
  if (changes.backupWindow !== undefined) checkBackupWindow(changes.backupWindow);
  const given = Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined));
  if (Object.keys(given).length > 0 && !immediately && 'backupRetentionDays' in given) {
    throw new RdsFault('InvalidParameterCombination', 'The local RDS has no maintenance window: set ApplyImmediately.');
  }
  Object.assign(instance, given);
  core.automatedBackups.schedule(instance);
  instance.passing.push({
    status: password === undefined ? 'modifying' : 'resetting-master-credentials',
    until: core.after(MODIFY_S),
  });
  if (password !== undefined) {
    core.begin(instance, [instance.resourceId], async () => {
      const client = await core.serverOf(instance).connect();
      try {
        await setPassword(client, instance.masterUsername, password);
      } finally {
        await client.end();
      }
    });
  }
  await core.save();
  return { DBInstance: describeInstance(instance, core.now(), core.accountId) };
}

/** https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DeleteDBInstance.html */
export async function deleteInstance(core: RdsCore, parameters: Parameters, principal: Principal): Promise<Answer> {
  const id = identifierOf('db', parameters.requiredText('DBInstanceIdentifier'), core.accountId);
  const skipFinal = parameters.boolean('SkipFinalSnapshot') ?? false;
  const finalName = parameters.text('FinalDBSnapshotIdentifier');
  const deleteBackups = parameters.boolean('DeleteAutomatedBackups') ?? true;
  parameters.refuseUnread();
  const known = core.state.instances.find(instance => instance.id === id);
  core.authorize(principal, 'rds:DeleteDBInstance', core.instanceArn(id), { of: known });
  const finalId = finalName && checkIdentifier('FinalDBSnapshotIdentifier', finalName, 255);
  if (finalId) core.authorize(principal, 'rds:CreateDBSnapshot', core.snapshotArn(finalId));
  const instance = core.instance(id);
  if (instance.deleting) {
    throw new RdsFault('InvalidDBInstanceState', `Instance ${id} is already being deleted.`);
  }
  if (instance.deletionProtection) {
    throw new RdsFault(
      'InvalidParameterCombination',
      'Cannot delete protected DB Instance, please disable deletion protection and try again.',
    );
  }
  if (skipFinal === (finalId !== undefined)) {
    throw new RdsFault(
      'InvalidParameterCombination',
      'Exactly one of FinalDBSnapshotIdentifier and SkipFinalSnapshot must be given.',
    );
  }
  if (finalId && core.state.snapshots.some(snapshot => snapshot.id === finalId)) {
    throw new RdsFault('DBSnapshotAlreadyExists', `A snapshot with the identifier ${finalId} already exists.`);
  }
  if (finalId && statusOf(instance, core.now()) !== 'available') {
    throw new RdsFault('InvalidDBInstanceState', `Instance ${id} is not available for a final snapshot.`);
  }
  core.automatedBackups.cancel(instance);
  if (finalId) beginSnapshot(core, instance, finalId, 'manual', instance.copyTagsToSnapshot ? instance.tags : {});
  instance.deleting = true;
  instance.passing = [{ status: 'deleting', until: core.after(DELETE_S) }];
  core.begin(instance, [instance.resourceId], async () => {
    await core.removeInstanceData(instance);
    const backups = core.state.snapshots.filter(
      snapshot => snapshot.type === 'automated' && snapshot.resourceId === instance.resourceId,
    );
    for (const backup of deleteBackups ? backups : []) await removeSnapshot(core, backup);
  });
  await core.save();
  return { DBInstance: describeInstance(instance, core.now(), core.accountId) };
}

// https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBInstance.html: MasterUserPassword
function checkPassword(password: string): void {
  if (password.length < 8 || password.length > 128 || !/^[!-~]+$/.test(password) || /[/"@]/.test(password)) {
    throw new RdsFault(
      'InvalidParameterValue',
      'The parameter MasterUserPassword is not a valid password: 8 to 128 printable ASCII characters besides /, ", @ and space.',
    );
  }
}

function checkBackupWindow(window: string): void {
  if (!/^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$/.test(window)) {
    throw new RdsFault('InvalidParameterValue', `Invalid backup window: ${window}; it is hh24:mi-hh24:mi in UTC.`);
  }
}
