import { DescribeKeyCommand, DisableKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { DeleteDBSnapshotCommand, RDSClient } from '@aws-sdk/client-rds';
import {
  DeleteObjectCommand,
  GetBucketPolicyCommand,
  GetObjectCommand,
  ListObjectVersionsCommand,
  PutBucketPolicyCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { GetScheduleCommand, SchedulerClient, UpdateScheduleCommand } from '@aws-sdk/client-scheduler';
import { SFNClient, StartExecutionCommand, StopExecutionCommand } from '@aws-sdk/client-sfn';
import type { Deployment } from '../../../functions/contracts/configuration.ts';
import { executionName, idOfInstant } from '../../../functions/contracts/identifiers.ts';
import { FoundWrong } from '../../../functions/contracts/pulse.ts';
import { type ScheduleId, scheduleName } from '../../../functions/contracts/schedules.ts';
import { UNDELIVERED_QUEUE } from '../../../functions/contracts/tampering.ts';
import { FOUND_WRONG_KEY, LEDGER_PREFIX, tenantKeyAlias } from '../../../functions/contracts/vault-layout.ts';
import { stepName, workflowName } from '../../access/role-names.ts';
import type { LocalCloud } from '../cloud.ts';
import { callAws } from './call-aws.ts';
import type { RehearsalName } from './rehearsals.ts';

/** What there is to break: Daybreak, deployed, with a good recovery point. */
export interface World {
  readonly cloud: LocalCloud;
  readonly deployment: Deployment;
  /** The snapshot of the newest recovery point. */
  readonly snapshotId: string;
  /** A school that it holds. */
  readonly tenant: string;
}

/** What was done, in the words of the pages. */
export interface Broken {
  /** The request that did it. */
  readonly did: string;
  /** What the words in capitals and the examples on the pages are here. */
  readonly words: Readonly<Record<string, string>>;
  /** What more of them are, once pulse has missed it. */
  readonly wordsOfPulse?: () => Promise<Readonly<Record<string, string>>>;
  /** What the pages leave to two people: does it, and says each thing that it did. */
  readonly repairByHand?: () => Promise<readonly string[]>;
  /** Hands over, once it is repaired, what could not be recorded meanwhile, as the page of tampering says. */
  readonly handOver?: () => Promise<readonly string[]>;
}

const LIFTED_FOR_MS = 2 * 60_000;

/** What breaks each thing. Whoever does it may do everything that no policy of a resource denies. */
export const BREAK: Readonly<Record<RehearsalName, (world: World) => Promise<Broken>>> = {
  'snapshot-deleted': async ({ cloud, deployment, snapshotId }) => {
    const rds = new RDSClient(cloud.clientConfiguration(cloud.root));
    const s3 = new S3Client(cloud.clientConfiguration(cloud.root));
    await rds.send(new DeleteDBSnapshotCommand({ DBSnapshotIdentifier: snapshotId }));
    return {
      did: `DeleteDBSnapshot ${snapshotId}`,
      words: { '2026-11-22T09:15:00.000Z': toTheSecond(cloud) },
      wordsOfPulse: async () => {
        const { Body } = await s3.send(new GetObjectCommand({ Bucket: deployment.workBucket, Key: FOUND_WRONG_KEY }));
        const { lost } = FoundWrong.parse(JSON.parse((await Body?.transformToString()) ?? ''));
        return { NAME: lost.find(name => name.startsWith(`snapshot-missing/${snapshotId}/`)) ?? '' };
      },
    };
  },
  'key-disabled': async ({ cloud, tenant }) => {
    const kms = new KMSClient(cloud.clientConfiguration(cloud.root));
    const { KeyMetadata } = await kms.send(new DescribeKeyCommand({ KeyId: tenantKeyAlias(tenant) }));
    const KeyId = KeyMetadata?.Arn ?? '';
    await kms.send(new DisableKeyCommand({ KeyId }));
    return { did: `DisableKey ${KeyId}`, words: { KEY_ARN: KeyId, SCHOOL: tenant } };
  },
  'schedule-stopped': world => disableSchedule(world, 'daily-backup'),
  'pulse-dead': world => disableSchedule(world, 'pulse'),
  'ledger-entry-hidden': hideEntry,
  'backup-failed': async ({ cloud, deployment }) => {
    const states = new SFNClient(cloud.clientConfiguration(cloud.root));
    const scheduledAt = toTheSecond(cloud);
    const { region, accountId } = deployment;
    const { executionArn = '' } = await states.send(
      new StartExecutionCommand({
        stateMachineArn: `arn:aws:states:${region}:${accountId}:stateMachine:${workflowName('daily-backup')}`,
        name: executionName('daily-backup', scheduledAt),
        input: JSON.stringify({ scheduledAt }),
      }),
    );
    await states.send(new StopExecutionCommand({ executionArn }));
    return {
      did: `StopExecution ${executionArn}`,
      words: {
        EXECUTION_ARN: executionArn,
        '2026-11-22T02:30:00.000Z': scheduledAt,
        '20261122T023000Z': idOfInstant(scheduledAt).toUpperCase(),
      },
    };
  },
};

/** The local cloud's time, as schedules tell it. */
export const toTheSecond = (cloud: LocalCloud): string => `${cloud.clock.now().toISOString().slice(0, 19)}.000Z`;

async function disableSchedule({ cloud }: World, schedule: ScheduleId): Promise<Broken> {
  const scheduler = new SchedulerClient(cloud.clientConfiguration(cloud.root));
  const Name = scheduleName(schedule);
  const { ScheduleExpression, ScheduleExpressionTimezone, FlexibleTimeWindow, Target } = await scheduler.send(
    new GetScheduleCommand({ Name }),
  );
  const standing = { Name, ScheduleExpression, ScheduleExpressionTimezone, FlexibleTimeWindow, Target };
  await scheduler.send(new UpdateScheduleCommand({ ...standing, State: 'DISABLED' }));
  return { did: `UpdateSchedule ${Name}, State DISABLED`, words: { NAME: Name } };
}

async function hideEntry({ cloud, deployment }: World): Promise<Broken> {
  const s3 = new S3Client(cloud.clientConfiguration(cloud.root));
  const { evidenceBucket: Bucket, ledgerKeyArn, entryKeyArn, signingKeyArn } = deployment;
  const { Policy = '' } = await s3.send(new GetBucketPolicyCommand({ Bucket }));
  const policy = JSON.parse(Policy) as { Statement: { Effect: string; Action: string | string[] }[] };
  const deletes = /^s3:(?:\*|Delete)/;
  const lifted = policy.Statement.filter(
    ({ Effect, Action }) => !(Effect === 'Deny' && [Action].flat().some(action => deletes.test(action))),
  );
  const put = (document: string) => s3.send(new PutBucketPolicyCommand({ Bucket, Policy: document }));
  const lift = () => put(JSON.stringify({ ...policy, Statement: lifted }));
  await lift();
  // The ledger holds that too by then, and the newest entry is the one that every reader begins with.
  await cloud.clock.advance(LIFTED_FOR_MS);
  const { Versions = [] } = await s3.send(new ListObjectVersionsCommand({ Bucket, Prefix: LEDGER_PREFIX }));
  const { Key = '', VersionId: hidden = '' } = Versions.at(-1) ?? {};
  const { VersionId = '' } = await s3.send(new DeleteObjectCommand({ Bucket, Key }));
  await put(Policy);
  const padded = Key.replace(/\.json$/, '');
  const sequence = Number(padded.replace(LEDGER_PREFIX, ''));
  return {
    did: `PutBucketPolicy ${Bucket} without what denies deletes, DeleteObject ${Key}, PutBucketPolicy as it was`,
    words: {
      LEDGER_KEY_ARN: ledgerKeyArn,
      ENTRY_KEY_ARN: entryKeyArn,
      SIGNING_KEY_ARN: signingKeyArn,
      'ledger/000000000017': padded,
      'entry-17.json': `entry-${sequence}.json`,
      VERSION: hidden,
    },
    repairByHand: async () => {
      await lift();
      await s3.send(new DeleteObjectCommand({ Bucket, Key, VersionId }));
      await put(Policy);
      return [
        `PutBucketPolicy ${Bucket} without what denies deletes`,
        `DeleteObject ${Key}, version ${VersionId}: the delete marker`,
        `PutBucketPolicy ${Bucket} as it was`,
      ];
    },
    handOver: () => handOverUndelivered(cloud),
  };
}

async function handOverUndelivered(cloud: LocalCloud): Promise<string[]> {
  const aws = (...words: string[]) => callAws(words, cloud.clientConfiguration(cloud.root), new Map());
  const queueUrl = await aws(
    'sqs',
    'get-queue-url',
    '--queue-name',
    UNDELIVERED_QUEUE,
    '--query',
    'QueueUrl',
    '--output',
    'text',
  );
  const done: string[] = [];
  for (;;) {
    const answer = await aws('sqs', 'receive-message', '--queue-url', queueUrl, '--visibility-timeout', '60');
    const [message] = (JSON.parse(answer) as { Messages?: { Body: string; ReceiptHandle: string }[] }).Messages ?? [];
    if (message === undefined) return done;
    const { requestPayload } = JSON.parse(message.Body) as { requestPayload: unknown };
    const step = 'draft' in (requestPayload as object) ? 'evidence/append-entry' : 'evidence/record-tampering';
    const outcome = await cloud.lambda.invoke(stepName(step), requestPayload, cloud.root);
    if ('functionError' in outcome) return [...done, `Invoke ${stepName(step)}: ${outcome.functionError.errorMessage}`];
    await aws('sqs', 'delete-message', '--queue-url', queueUrl, '--receipt-handle', message.ReceiptHandle);
    done.push(`Invoke ${stepName(step)} with what could not be recorded, DeleteMessage ${message.ReceiptHandle}`);
  }
}
