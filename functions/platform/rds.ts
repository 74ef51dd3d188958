import {
  AddTagsToResourceCommand,
  CopyDBSnapshotCommand,
  CreateDBSnapshotCommand,
  type DBInstance,
  type DBSnapshot,
  DeleteDBInstanceCommand,
  DeleteDBSnapshotCommand,
  DescribeAccountAttributesCommand,
  DescribeDBInstancesCommand,
  DescribeDBParametersCommand,
  DescribeDBSnapshotAttributesCommand,
  DescribeDBSnapshotsCommand,
  RDSClient,
  RDSServiceException,
  RestoreDBInstanceFromDBSnapshotCommand,
  type RestoreDBInstanceFromDBSnapshotMessage,
} from '@aws-sdk/client-rds';
import { PermanentError, RetryableError } from './errors.ts';
import { awsClient } from './runtime.ts';

export type { DBInstance, DBSnapshot };

/** There is no such instance or snapshot. */
export class DatabaseResourceNotFoundError extends PermanentError {}
/** An instance or snapshot of that name is there already. */
export class DatabaseResourceExistsError extends PermanentError {}
/** The instance or snapshot is in a state that does not allow this now; it may in a minute. */
export class DatabaseResourceBusyError extends RetryableError {}
/** A quota of the account is used up. */
export class DatabaseQuotaError extends PermanentError {}
/** RDS cannot use the KMS key: it is disabled, deleted, or the role may not grant it. */
export class DatabaseKeyError extends PermanentError {}
/** RDS refused the request for another lasting reason. */
export class DatabaseServiceError extends PermanentError {}
/** No policy allows the role this action of RDS. */
export class DatabaseServiceAccessDeniedError extends DatabaseServiceError {}

// RDS drops the suffix in some codes and keeps it in others; the SDK's class names always have it.
function translate(what: string, cause: unknown): unknown {
  if (!(cause instanceof Error)) return cause;
  const name = cause.name.replace(/Fault$/, '');
  const status = cause instanceof RDSServiceException ? cause.$metadata.httpStatusCode : undefined;
  const text = `${what}: ${name}: ${cause.message}`;
  if (/NotFound$/.test(name)) return new DatabaseResourceNotFoundError(text, { cause });
  if (/AlreadyExists$/.test(name)) return new DatabaseResourceExistsError(text, { cause });
  if (/^InvalidDB(Instance|Snapshot)State$/.test(name)) return new DatabaseResourceBusyError(text, { cause });
  if (/QuotaExceeded$/.test(name)) return new DatabaseQuotaError(text, { cause });
  if (/^KMSKey/.test(name)) return new DatabaseKeyError(text, { cause });
  if (status === undefined || status >= 500 || /^(Throttling|RequestLimitExceeded)/.test(name)) {
    return new RetryableError(text, { cause });
  }
  const Refusal = name === 'AccessDenied' ? DatabaseServiceAccessDeniedError : DatabaseServiceError;
  return new Refusal(text, { cause });
}

async function callRds<T>(what: string, call: (client: RDSClient) => Promise<T>): Promise<T> {
  try {
    return await call(awsClient(RDSClient));
  } catch (error) {
    throw translate(what, error);
  }
}

const tagList = (tags: Record<string, string>) => Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));

/** The value of a tag, or undefined. */
export function tagOf(resource: DBInstance | DBSnapshot, name: string): string | undefined {
  return resource.TagList?.find(({ Key }) => Key === name)?.Value;
}

/**
 * When a snapshot, or the one that it was copied from, was asked for; undefined while it has not begun.
 * `OriginalSnapshotCreateTime`, "the time of the CreateDBSnapshot operation", is the one time that copies keep, and by which
 * a snapshot is known again. https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DBSnapshot.html
 */
export function takenAt({ OriginalSnapshotCreateTime, SnapshotCreateTime }: DBSnapshot): Date | undefined {
  return OriginalSnapshotCreateTime ?? SnapshotCreateTime;
}

/**
 * The moment whose state a snapshot that is no copy holds, "when the snapshot was taken"; undefined while it has not begun.
 * It may come a little after `takenAt`. https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DBSnapshot.html
 */
export function heldMoment({ OriginalSnapshotCreateTime, SnapshotCreateTime }: DBSnapshot): Date | undefined {
  const times = [OriginalSnapshotCreateTime, SnapshotCreateTime].filter(time => time !== undefined);
  return times.sort((a, b) => a.getTime() - b.getTime()).at(-1);
}

/** One instance; undefined where there is none of that name. */
export async function findInstance(instanceId: string): Promise<DBInstance | undefined> {
  try {
    const { DBInstances } = await callRds(`instance ${instanceId}`, client =>
      client.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: instanceId })),
    );
    return DBInstances?.[0];
  } catch (error) {
    if (error instanceof DatabaseResourceNotFoundError) return undefined;
    throw error;
  }
}

/** Every instance of the account in this Region whose name begins with `prefix`. */
export async function listInstances(prefix: string): Promise<DBInstance[]> {
  const found: DBInstance[] = [];
  let marker: string | undefined;
  do {
    const page = await callRds('instances', client => client.send(new DescribeDBInstancesCommand({ Marker: marker })));
    found.push(
      ...(page.DBInstances ?? []).filter(({ DBInstanceIdentifier }) => DBInstanceIdentifier?.startsWith(prefix)),
    );
    marker = page.Marker;
  } while (marker !== undefined);
  return found;
}

/**
 * The values in a parameter group, by the parameters' names; a parameter without a value has the engine's default.
 * @throws DatabaseResourceNotFoundError
 */
export async function readParameters(groupName: string): Promise<ReadonlyMap<string, string>> {
  const values = new Map<string, string>();
  let marker: string | undefined;
  do {
    const page = await callRds(`parameter group ${groupName}`, client =>
      client.send(new DescribeDBParametersCommand({ DBParameterGroupName: groupName, Marker: marker })),
    );
    for (const { ParameterName, ParameterValue } of page.Parameters ?? []) {
      if (ParameterName !== undefined && ParameterValue !== undefined) values.set(ParameterName, ParameterValue);
    }
    marker = page.Marker;
  } while (marker !== undefined);
  return values;
}

/** One manual snapshot; undefined where there is none of that name. */
export async function findSnapshot(snapshotId: string): Promise<DBSnapshot | undefined> {
  try {
    const { DBSnapshots } = await callRds(`snapshot ${snapshotId}`, client =>
      client.send(new DescribeDBSnapshotsCommand({ DBSnapshotIdentifier: snapshotId })),
    );
    return DBSnapshots?.[0];
  } catch (error) {
    if (error instanceof DatabaseResourceNotFoundError) return undefined;
    throw error;
  }
}

/** Every manual snapshot of the account in this Region. */
export async function listManualSnapshots(): Promise<DBSnapshot[]> {
  const found: DBSnapshot[] = [];
  let marker: string | undefined;
  do {
    const page = await callRds('snapshots', client =>
      client.send(new DescribeDBSnapshotsCommand({ SnapshotType: 'manual', Marker: marker })),
    );
    found.push(...(page.DBSnapshots ?? []));
    marker = page.Marker;
  } while (marker !== undefined);
  return found;
}

/** The accounts that may restore a snapshot; `all` stands for everybody. @throws DatabaseResourceNotFoundError */
export async function listSnapshotShares(snapshotId: string): Promise<string[]> {
  const { DBSnapshotAttributesResult } = await callRds(`snapshot ${snapshotId}`, client =>
    client.send(new DescribeDBSnapshotAttributesCommand({ DBSnapshotIdentifier: snapshotId })),
  );
  return (DBSnapshotAttributesResult?.DBSnapshotAttributes ?? [])
    .filter(({ AttributeName }) => AttributeName === 'restore')
    .flatMap(({ AttributeValues }) => AttributeValues ?? []);
}

/**
 * The account's quotas for RDS in this Region, by their names (`DBInstances`, `ManualSnapshots`, …).
 * https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_AccountQuota.html
 */
export async function readDatabaseQuotas(): Promise<Map<string, { used: number; maximum: number }>> {
  const { AccountQuotas } = await callRds('quotas', client => client.send(new DescribeAccountAttributesCommand({})));
  return new Map(
    (AccountQuotas ?? []).map(({ AccountQuotaName = '', Used = 0, Max = 0 }) => [
      AccountQuotaName,
      { used: Used, maximum: Max },
    ]),
  );
}

/** Starts a snapshot; one of that name that is there already is left as it is. */
export async function startSnapshot(
  instanceId: string,
  snapshotId: string,
  tags: Record<string, string>,
): Promise<void> {
  await unlessThere(() =>
    callRds(`snapshot ${snapshotId}`, client =>
      client.send(
        new CreateDBSnapshotCommand({
          DBInstanceIdentifier: instanceId,
          DBSnapshotIdentifier: snapshotId,
          Tags: tagList(tags),
        }),
      ),
    ),
  );
}

/**
 * Starts a copy under another key; one of that name that is there already is left as it is. The first copy of an
 * instance's snapshots under a key is full, later ones are incremental while the previous one exists.
 */
export async function startSnapshotCopy(
  sourceArn: string,
  snapshotId: string,
  keyArn: string,
  tags: Record<string, string>,
): Promise<void> {
  await unlessThere(() =>
    callRds(`snapshot ${snapshotId}`, client =>
      client.send(
        new CopyDBSnapshotCommand({
          SourceDBSnapshotIdentifier: sourceArn,
          TargetDBSnapshotIdentifier: snapshotId,
          KmsKeyId: keyArn,
          CopyTags: false,
          Tags: tagList(tags),
        }),
      ),
    ),
  );
}

/** Sets tags of a snapshot; others that it has stay. @throws DatabaseResourceNotFoundError */
export async function tagSnapshot(snapshotArn: string, tags: Record<string, string>): Promise<void> {
  await callRds(snapshotArn, client =>
    client.send(new AddTagsToResourceCommand({ ResourceName: snapshotArn, Tags: tagList(tags) })),
  );
}

/** Deletes a snapshot; one that is gone already is no error. */
export async function deleteSnapshot(snapshotId: string): Promise<void> {
  await unlessGone(() =>
    callRds(`snapshot ${snapshotId}`, client =>
      client.send(new DeleteDBSnapshotCommand({ DBSnapshotIdentifier: snapshotId })),
    ),
  );
}

/** Starts restoring an instance; one of that name that is there already is left as it is. */
export async function startRestore(
  request: Omit<RestoreDBInstanceFromDBSnapshotMessage, 'Tags'>,
  tags: Record<string, string>,
): Promise<void> {
  await unlessThere(() =>
    callRds(`instance ${request.DBInstanceIdentifier}`, client =>
      client.send(new RestoreDBInstanceFromDBSnapshotCommand({ ...request, Tags: tagList(tags) })),
    ),
  );
}

/** Starts deleting an instance with its automated backups and without a last snapshot; one that is gone is no error. */
export async function deleteInstance(instanceId: string): Promise<void> {
  await unlessGone(() =>
    callRds(`instance ${instanceId}`, client =>
      client.send(
        new DeleteDBInstanceCommand({
          DBInstanceIdentifier: instanceId,
          SkipFinalSnapshot: true,
          DeleteAutomatedBackups: true,
        }),
      ),
    ),
  );
}

async function unlessThere(start: () => Promise<unknown>): Promise<void> {
  try {
    await start();
  } catch (error) {
    if (!(error instanceof DatabaseResourceExistsError)) throw error;
  }
}

async function unlessGone(remove: () => Promise<unknown>): Promise<void> {
  try {
    await remove();
  } catch (error) {
    if (!(error instanceof DatabaseResourceNotFoundError)) throw error;
  }
}
