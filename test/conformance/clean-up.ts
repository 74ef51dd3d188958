import { DeleteAlarmsCommand, paginateDescribeAlarms } from '@aws-sdk/client-cloudwatch';
import {
  DeleteAliasCommand,
  DescribeKeyCommand,
  type KMSClient,
  ListAliasesCommand,
  ListKeysCommand,
  ListResourceTagsCommand,
  ScheduleKeyDeletionCommand,
} from '@aws-sdk/client-kms';
import {
  DeleteDBInstanceCommand,
  DeleteDBParameterGroupCommand,
  DeleteDBSnapshotCommand,
  paginateDescribeDBInstances,
  paginateDescribeDBParameterGroups,
  paginateDescribeDBSnapshots,
  type Tag,
} from '@aws-sdk/client-rds';
import {
  AbortMultipartUploadCommand,
  DeleteBucketCommand,
  DeleteBucketPolicyCommand,
  DeleteObjectsCommand,
  ListBucketsCommand,
  ListMultipartUploadsCommand,
  ListObjectVersionsCommand,
  type ObjectIdentifier,
  PutObjectLegalHoldCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { DeleteScheduleCommand, ListSchedulesCommand } from '@aws-sdk/client-scheduler';
import { DeleteStateMachineCommand, paginateListStateMachines } from '@aws-sdk/client-sfn';
import { DeleteTopicCommand, ListTagsForResourceCommand, paginateListTopics } from '@aws-sdk/client-sns';
import { readFailure, readObstacle, UnreachableError } from './case.ts';
import { PREFIX, TAG } from './names.ts';
import { isTagged, type Scratch } from './scratch.ts';

/** What a clean-up did. */
export interface CleanUp {
  readonly removed: readonly string[];
  /** What goes by itself, and when. */
  readonly pending: readonly string[];
  /** What is still there, and why. */
  readonly left: readonly string[];
  /** What could not be looked at, and why: whoever may not list it has made none of it. */
  readonly unseen: readonly string[];
}

const PENDING_DAYS = 7;
const LISTS = new Set([
  'buckets',
  'aliases',
  'keys',
  'schedules',
  'state machines',
  'alarms',
  'topics',
  'database parameter groups',
  'database instances',
  'database snapshots',
]);

/**
 * Finds everything that runs of this suite made, by name and tag, and removes it.
 * @param options.run only what this run made; without it what any run made, e.g. one that was killed.
 */
export async function cleanUp(scratch: Scratch, options: { run?: string } = {}): Promise<CleanUp> {
  const removed: string[] = [];
  const pending: string[] = [];
  const left: string[] = [];
  const unseen: string[] = [];
  const isOurs = (run: string | undefined) => run !== undefined && (options.run === undefined || run === options.run);
  const attempt = async (what: string, act: () => Promise<unknown>): Promise<boolean> => {
    try {
      await act();
      return true;
    } catch (error) {
      const obstacle = readObstacle(error);
      if (obstacle instanceof UnreachableError) throw obstacle;
      if (obstacle !== undefined && LISTS.has(what)) {
        unseen.push(`${what}: ${obstacle.message}`);
        return false;
      }
      const failure = readFailure(error);
      left.push(`${what}: ${failure?.name ?? ''} ${failure?.message ?? String(error)}`);
      return false;
    }
  };

  const prefix = options.run === undefined ? PREFIX : `${PREFIX}${options.run}`;
  await attempt('buckets', async () => {
    for (const bucket of await findBuckets(scratch.s3, options.run)) {
      // A name is only a name: the tag is what this suite put there.
      if (!(await isTagged(scratch.s3, bucket))) {
        left.push(`bucket ${bucket}: it does not carry the tag ${TAG} of a run, so it is not touched`);
        continue;
      }
      scratch.adopt(bucket);
      const isGone = await attempt(`bucket ${bucket}`, () => removeBucket(scratch, bucket));
      if (isGone) removed.push(`bucket ${bucket}`);
    }
  });
  await attempt('aliases', async () => {
    for (const alias of await findAliases(scratch.kms, options.run)) {
      const isGone = await attempt(alias, () => scratch.kms.send(new DeleteAliasCommand({ AliasName: alias })));
      if (isGone) removed.push(alias);
    }
  });
  await attempt('keys', async () => {
    for await (const { arn, run } of listTaggedKeys(scratch.kms)) {
      if (!isOurs(run)) continue;
      await attempt(`key ${arn}`, async () => {
        const { KeyMetadata } = await scratch.kms.send(new DescribeKeyCommand({ KeyId: arn }));
        let date = KeyMetadata?.DeletionDate;
        if (KeyMetadata?.KeyState !== 'PendingDeletion') {
          const schedule = new ScheduleKeyDeletionCommand({ KeyId: arn, PendingWindowInDays: PENDING_DAYS });
          date = (await scratch.kms.send(schedule)).DeletionDate;
        }
        pending.push(
          `key ${arn} is deleted by KMS on ${date?.toISOString().slice(0, 10)}; until then it costs nothing`,
        );
      });
    }
  });
  await attempt('schedules', async () => {
    const { Schedules = [] } = await scratch.scheduler.send(new ListSchedulesCommand({ NamePrefix: prefix }));
    for (const { Name } of Schedules) {
      const isGone = await attempt(`schedule ${Name}`, () =>
        scratch.scheduler.send(new DeleteScheduleCommand({ Name })),
      );
      if (isGone) removed.push(`schedule ${Name}`);
    }
  });
  await attempt('state machines', async () => {
    for await (const { stateMachines = [] } of paginateListStateMachines({ client: scratch.states }, {})) {
      for (const { name = '', stateMachineArn } of stateMachines) {
        if (!name.startsWith(prefix)) continue;
        const remove = () => scratch.states.send(new DeleteStateMachineCommand({ stateMachineArn }));
        if (await attempt(`state machine ${name}`, remove)) removed.push(`state machine ${name}`);
      }
    }
  });
  if (options.run === undefined || scratch.usesTopics) await removeNotices(scratch, prefix, isOurs, attempt, removed);
  await removeDatabases(scratch, isOurs, attempt, removed, pending);
  await attempt('database parameter groups', async () => {
    for await (const { DBParameterGroups = [] } of paginateDescribeDBParameterGroups({ client: scratch.rds }, {})) {
      for (const { DBParameterGroupName = '' } of DBParameterGroups) {
        if (!DBParameterGroupName.startsWith(prefix)) continue;
        const remove = () => scratch.rds.send(new DeleteDBParameterGroupCommand({ DBParameterGroupName }));
        const isGone = await attempt(`parameter group ${DBParameterGroupName}`, remove);
        if (isGone) removed.push(`parameter group ${DBParameterGroupName}`);
      }
    }
  });
  return { removed, pending, left, unseen };
}

/** Alarms, which carry the prefix, and topics, which carry the tag as well. */
async function removeNotices(
  { cloudWatch, sns }: Scratch,
  prefix: string,
  isOurs: (run: string | undefined) => boolean,
  attempt: (what: string, act: () => Promise<unknown>) => Promise<boolean>,
  removed: string[],
): Promise<void> {
  await attempt('alarms', async () => {
    const pages = paginateDescribeAlarms({ client: cloudWatch }, { AlarmNamePrefix: prefix });
    for await (const { MetricAlarms = [] } of pages) {
      for (const { AlarmName = '' } of MetricAlarms) {
        const remove = () => cloudWatch.send(new DeleteAlarmsCommand({ AlarmNames: [AlarmName] }));
        if (await attempt(`alarm ${AlarmName}`, remove)) removed.push(`alarm ${AlarmName}`);
      }
    }
  });
  await attempt('topics', async () => {
    for await (const { Topics = [] } of paginateListTopics({ client: sns }, {})) {
      for (const { TopicArn = '' } of Topics) {
        if (!TopicArn.split(':').at(-1)?.startsWith(prefix)) continue;
        const { Tags = [] } = await sns.send(new ListTagsForResourceCommand({ ResourceArn: TopicArn }));
        if (!isOurs(Tags.find(({ Key }) => Key === TAG)?.Value)) continue;
        const remove = () => sns.send(new DeleteTopicCommand({ TopicArn }));
        if (await attempt(`topic ${TopicArn}`, remove)) removed.push(`topic ${TopicArn}`);
      }
    }
  });
}

/** Instances first: a snapshot that is being restored cannot be deleted. What takes minutes goes by itself. */
async function removeDatabases(
  { rds }: Scratch,
  isOurs: (run: string | undefined) => boolean,
  attempt: (what: string, act: () => Promise<unknown>) => Promise<boolean>,
  removed: string[],
  pending: string[],
): Promise<void> {
  const ours = (name: string, tags: readonly Tag[] = []) =>
    name.startsWith(PREFIX) && isOurs(tags.find(({ Key }) => Key === TAG)?.Value);
  await attempt('database instances', async () => {
    for await (const { DBInstances = [] } of paginateDescribeDBInstances({ client: rds }, {})) {
      for (const { DBInstanceIdentifier = '', DBInstanceStatus, TagList } of DBInstances) {
        if (!ours(DBInstanceIdentifier, TagList)) continue;
        const remove = { DBInstanceIdentifier, SkipFinalSnapshot: true, DeleteAutomatedBackups: true };
        const isGoing =
          DBInstanceStatus === 'deleting' ||
          (await attempt(`instance ${DBInstanceIdentifier}`, () => rds.send(new DeleteDBInstanceCommand(remove))));
        if (isGoing) pending.push(`instance ${DBInstanceIdentifier} is being deleted, which takes minutes`);
      }
    }
  });
  await attempt('database snapshots', async () => {
    for await (const page of paginateDescribeDBSnapshots({ client: rds }, { SnapshotType: 'manual' })) {
      for (const { DBSnapshotIdentifier = '', TagList } of page.DBSnapshots ?? []) {
        if (!ours(DBSnapshotIdentifier, TagList)) continue;
        const remove = () => rds.send(new DeleteDBSnapshotCommand({ DBSnapshotIdentifier }));
        if (await attempt(`snapshot ${DBSnapshotIdentifier}`, remove)) removed.push(`snapshot ${DBSnapshotIdentifier}`);
      }
    }
  });
}

async function findBuckets(s3: S3Client, run: string | undefined): Promise<string[]> {
  const found: string[] = [];
  let ContinuationToken: string | undefined;
  do {
    const page = await s3.send(
      new ListBucketsCommand({
        Prefix: run === undefined ? PREFIX : `${PREFIX}${run}-`,
        ...(ContinuationToken === undefined ? {} : { ContinuationToken }),
      }),
    );
    // Endpoints that do not know the prefix list everything.
    found.push(...(page.Buckets ?? []).map(({ Name = '' }) => Name).filter(name => name.startsWith(PREFIX)));
    ContinuationToken = page.ContinuationToken;
  } while (ContinuationToken !== undefined);
  return run === undefined ? found : found.filter(name => name.startsWith(`${PREFIX}${run}-`));
}

/** Its policy first, which may refuse deletions; then every version, with the creator's bypass, and the bucket. */
async function removeBucket({ s3 }: Scratch, Bucket: string): Promise<void> {
  await s3.send(new DeleteBucketPolicyCommand({ Bucket }));
  for (;;) {
    const { Uploads = [] } = await s3.send(new ListMultipartUploadsCommand({ Bucket }));
    if (Uploads.length === 0) break;
    for (const { Key, UploadId } of Uploads) {
      await s3.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }));
    }
  }
  let refused = '';
  for (let round = 0; ; round++) {
    const page = await s3.send(new ListObjectVersionsCommand({ Bucket, EncodingType: 'url' }));
    const Objects = [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])].map(({ Key = '', VersionId }) => ({
      Key: decodeURIComponent(Key.replaceAll('+', ' ')),
      VersionId,
    }));
    if (Objects.length === 0) break;
    // The removed policy may refuse for some seconds more.
    if (round > 0 && refused !== '') {
      if (round > 20) throw new Error(`its objects cannot be deleted (${refused})`);
      await new Promise(resolve => setTimeout(resolve, 1000));
    }
    refused = await removeVersions(s3, Bucket, Objects);
  }
  await s3.send(new DeleteBucketCommand({ Bucket }));
}

/** @returns the first error's code; empty where all were deleted. */
async function removeVersions(s3: S3Client, Bucket: string, Objects: ObjectIdentifier[]): Promise<string> {
  const locks = { BypassGovernanceRetention: true };
  const remove = (withBypass: boolean) =>
    s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects }, ...(withBypass ? locks : {}) }));
  let answer = await remove(false);
  if ((answer.Errors ?? []).length > 0) {
    for (const { Key, VersionId } of answer.Errors ?? []) {
      const hold = new PutObjectLegalHoldCommand({ Bucket, Key, VersionId, LegalHold: { Status: 'OFF' } });
      // Not every version can have a hold, and not every bucket.
      await s3.send(hold).catch(() => undefined);
    }
    // Only a bucket with Object Lock takes the bypass.
    const { Errors } = answer;
    answer = await remove(true).catch(() => ({ ...answer, Errors }));
  }
  return answer.Errors?.[0]?.Code ?? '';
}

async function findAliases(kms: KMSClient, run: string | undefined): Promise<string[]> {
  const prefix = `alias/${PREFIX}${run ?? ''}`;
  const found: string[] = [];
  let Marker: string | undefined;
  do {
    const page = await kms.send(new ListAliasesCommand({ Limit: 100, ...(Marker === undefined ? {} : { Marker }) }));
    for (const { AliasName = '', TargetKeyId } of page.Aliases ?? []) {
      const isOurs = AliasName.startsWith(prefix) && TargetKeyId !== undefined;
      if (isOurs && (await runOf(kms, TargetKeyId)) !== undefined) found.push(AliasName);
    }
    Marker = page.Truncated ? page.NextMarker : undefined;
  } while (Marker !== undefined);
  return found;
}

async function* listTaggedKeys(kms: KMSClient): AsyncGenerator<{ arn: string; run: string | undefined }> {
  let Marker: string | undefined;
  do {
    const page = await kms.send(new ListKeysCommand({ Limit: 1000, ...(Marker === undefined ? {} : { Marker }) }));
    for (const { KeyArn = '' } of page.Keys ?? []) yield { arn: KeyArn, run: await runOf(kms, KeyArn) };
    Marker = page.Truncated ? page.NextMarker : undefined;
  } while (Marker !== undefined);
}

/** The run that made a key; undefined for any other key, also for one whose tags are not this caller's to read. */
async function runOf(kms: KMSClient, KeyId: string): Promise<string | undefined> {
  try {
    const { Tags = [] } = await kms.send(new ListResourceTagsCommand({ KeyId }));
    return Tags.find(({ TagKey }) => TagKey === TAG)?.TagValue;
  } catch (error) {
    if (readFailure(error) === undefined) throw error;
    return undefined;
  }
}
