import { randomBytes } from 'node:crypto';
import { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { CreateKeyCommand, type CreateKeyCommandInput, DescribeKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { RDSClient } from '@aws-sdk/client-rds';
import {
  CreateBucketCommand,
  type CreateBucketCommandInput,
  DeleteBucketCommand,
  GetBucketTaggingCommand,
  PutBucketPolicyCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutObjectLockConfigurationCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { SchedulerClient } from '@aws-sdk/client-scheduler';
import { SFNClient } from '@aws-sdk/client-sfn';
import { SNSClient } from '@aws-sdk/client-sns';
import { answer, NotTriedError } from './case.ts';
import type { Connection } from './connect.ts';
import { PREFIX, TAG } from './names.ts';

const OWN_BUCKET = /^daybreak-conformance-[0-9a-f]{10}-[a-z]+$/;

/** A request names a bucket that this suite did not make. It is not sent. */
export class ForeignBucketError extends Error {
  override readonly name = 'ForeignBucketError';
}

export interface BucketOptions {
  readonly versioned?: boolean;
  readonly objectLock?: boolean;
  /** `DefaultRetention` with an event hold of so many days, in governance mode. */
  readonly eventHoldDays?: number;
  /** Statements of the bucket's policy. `sentinel/*` is refused by one more, so that its arrival can be seen. */
  readonly statements?: (arn: string) => Promise<readonly object[]> | readonly object[];
}

/**
 * What the cases work in: clients, and buckets and keys that are made when a case first asks for them. The S3 client
 * sends nothing that names another bucket than those made here, or found by `clean-up.ts` with this suite's tag.
 */
export class Scratch {
  /** Ten hexadecimal digits, in every name. */
  readonly run = randomBytes(5).toString('hex');
  readonly connection: Connection;
  readonly s3: S3Client;
  readonly kms: KMSClient;
  readonly states: SFNClient;
  readonly scheduler: SchedulerClient;
  readonly cloudWatch: CloudWatchClient;
  readonly events: EventBridgeClient;
  readonly sns: SNSClient;
  readonly rds: RDSClient;
  /** Whether this run made alarms and topics, so that clean-up looks for them. */
  usesTopics = false;
  readonly #buckets = new Map<string, Promise<string>>();
  readonly #keys = new Map<string, Promise<{ arn: string; accountId: string }>>();
  readonly #ours = new Set<string>();
  #notes: string[] = [];

  constructor(connection: Connection) {
    this.connection = connection;
    const { configuration } = connection;
    // A body that waits for `100 Continue` would leave the connection's own certificate authority behind.
    this.s3 = new S3Client({ ...configuration, expectContinueHeader: false });
    this.kms = new KMSClient(configuration);
    // TestState has a host name of its own in AWS, sync-states, and nowhere else.
    this.states = new SFNClient({ ...configuration, disableHostPrefix: connection.kind !== 'aws' });
    this.scheduler = new SchedulerClient(configuration);
    this.cloudWatch = new CloudWatchClient(configuration);
    this.events = new EventBridgeClient(configuration);
    this.sns = new SNSClient(configuration);
    this.rds = new RDSClient(configuration);
    this.s3.middlewareStack.add(
      (next, { commandName }) =>
        async args => {
          this.#refuseForeign(commandName, args.input as { Bucket?: string; CopySource?: string });
          return next(args);
        },
      { step: 'initialize', priority: 'high', name: 'onlyScratchBuckets' },
    );
  }

  /** Lets the S3 client touch a bucket that an earlier run made: its name and its tag have been checked. */
  adopt(bucket: string): void {
    this.#ours.add(bucket);
  }

  /** A bucket of this run, made at first use. `purpose` is one word. */
  bucket(purpose: string, options: BucketOptions = {}): Promise<string> {
    let bucket = this.#buckets.get(purpose);
    if (bucket === undefined) {
      bucket = this.#createBucket(`${PREFIX}${this.run}-${purpose}`, options);
      this.#buckets.set(purpose, bucket);
    }
    return bucket;
  }

  /** A KMS key of this run, made at first use. */
  async key(purpose: string, options: Omit<CreateKeyCommandInput, 'Tags'> = {}): Promise<string> {
    return (await this.#key(purpose, options)).arn;
  }

  /** The account, which every key names. */
  async accountId(): Promise<string> {
    return (await this.#key('first', {})).accountId;
  }

  now(): Date {
    return this.connection.now();
  }

  sleep(durationMs: number): Promise<void> {
    return this.connection.sleep(durationMs);
  }

  /**
   * Asks until the answer is `expected` or the time is over; the longer it takes, the more seldom.
   * @returns the last answer, and after how long it came.
   */
  async askUntil(
    expected: string,
    ask: () => Promise<string>,
    limit: { everyMs: number; forMs: number } = { everyMs: 1000, forMs: 300_000 },
  ): Promise<{ answer: string; afterMs: number }> {
    const startMs = this.now().getTime();
    for (let waitMs = limit.everyMs; ; waitMs = Math.min(waitMs * 1.3, 30_000)) {
      const answered = await ask();
      const afterMs = this.now().getTime() - startMs;
      if (answered === expected || afterMs > limit.forMs) return { answer: answered, afterMs };
      await this.sleep(waitMs);
    }
  }

  /** Something measured, shown beside the present case. */
  note(text: string): void {
    this.#notes.push(text);
  }

  takeNotes(): string[] {
    return this.#notes.splice(0);
  }

  close(): void {
    const { s3, kms, states, scheduler, cloudWatch, events, sns, rds } = this;
    for (const client of [s3, kms, states, scheduler, cloudWatch, events, sns, rds]) client.destroy();
  }

  #key(purpose: string, options: Omit<CreateKeyCommandInput, 'Tags'>) {
    let key = this.#keys.get(purpose);
    if (key === undefined) {
      key = this.#createKey(purpose, options);
      this.#keys.set(purpose, key);
    }
    return key;
  }

  async #createKey(purpose: string, options: Omit<CreateKeyCommandInput, 'Tags'>) {
    const { KeyMetadata } = await this.kms.send(
      new CreateKeyCommand({
        Description: `${PREFIX}${this.run}-${purpose}`,
        ...options,
        Tags: [{ TagKey: TAG, TagValue: this.run }],
      }),
    );
    const { Arn: arn = '', AWSAccountId: accountId = '' } = KeyMetadata ?? {};
    // Permissions by tag may take a while to know a new key.
    // https://docs.aws.amazon.com/kms/latest/developerguide/tag-authorization.html
    const described = () => answer(this.kms.send(new DescribeKeyCommand({ KeyId: arn }))).catch(() => 'not yet');
    await this.askUntil('done', described, { everyMs: 2000, forMs: 20_000 });
    return { arn, accountId };
  }

  async #createBucket(name: string, options: BucketOptions): Promise<string> {
    const input: CreateBucketCommandInput = {
      Bucket: name,
      CreateBucketConfiguration: { LocationConstraint: 'eu-west-2', Tags: [{ Key: TAG, Value: this.run }] },
      ...(options.objectLock || options.eventHoldDays !== undefined ? { ObjectLockEnabledForBucket: true } : {}),
    };
    this.#ours.add(name);
    await this.s3.send(new CreateBucketCommand(input));
    if (!(await isTagged(this.s3, name))) {
      await this.s3.send(new DeleteBucketCommand({ Bucket: name }));
      throw new NotTriedError(
        'not implemented by the endpoint: tags at CreateBucket, by which clean-up finds its buckets',
      );
    }
    if (options.versioned) {
      const VersioningConfiguration = { Status: 'Enabled' } as const;
      await this.s3.send(new PutBucketVersioningCommand({ Bucket: name, VersioningConfiguration }));
    }
    if (options.eventHoldDays !== undefined) {
      const Days = options.eventHoldDays;
      const DefaultRetention = { Mode: 'GOVERNANCE', Days, DefaultEventHold: { Days } } as const;
      await this.s3.send(
        new PutObjectLockConfigurationCommand({
          Bucket: name,
          ObjectLockConfiguration: { ObjectLockEnabled: 'Enabled', Rule: { DefaultRetention } },
        }),
      );
    }
    if (options.statements !== undefined) {
      await this.#putPolicy(name, await options.statements(`arn:aws:s3:::${name}`));
    }
    return name;
  }

  async #putPolicy(name: string, statements: readonly object[]): Promise<void> {
    const sentinel = { Action: 's3:PutObject', Resource: `arn:aws:s3:::${name}/sentinel` };
    const Statement = [...statements, sentinel].map(statement => ({ Effect: 'Deny', Principal: '*', ...statement }));
    const Policy = JSON.stringify({ Version: '2012-10-17', Statement });
    await this.s3.send(new PutBucketPolicyCommand({ Bucket: name, Policy }));
    // A policy may take seconds to be in force everywhere.
    const put = () => answer(this.s3.send(new PutObjectCommand({ Bucket: name, Key: 'sentinel', Body: 'x' })));
    const { answer: last } = await this.askUntil('403 AccessDenied', put, { everyMs: 2000, forMs: 60_000 });
    if (last !== '403 AccessDenied') throw new Error('the bucket policy was not in force after a minute');
  }

  #refuseForeign(command: string | undefined, { Bucket, CopySource }: { Bucket?: string; CopySource?: string }): void {
    // Whether a bucket is one of this suite’s is seen by its tag alone.
    if (command === 'GetBucketTaggingCommand' && OWN_BUCKET.test(Bucket ?? '')) return;
    const source = CopySource === undefined ? undefined : decodeURIComponent(CopySource.split('/', 1)[0] ?? '');
    for (const bucket of [Bucket, source]) {
      if (bucket !== undefined && !this.#ours.has(bucket)) {
        throw new ForeignBucketError(`the bucket ${bucket} was not made by this suite and is not touched`);
      }
    }
  }
}

/** Whether a bucket carries this suite's name and tag. */
export async function isTagged(s3: S3Client, bucket: string): Promise<boolean> {
  if (!OWN_BUCKET.test(bucket)) return false;
  try {
    const { TagSet } = await s3.send(new GetBucketTaggingCommand({ Bucket: bucket }));
    const tag = TagSet?.find(({ Key }) => Key === TAG);
    return tag?.Value !== undefined && bucket.startsWith(`${PREFIX}${tag.Value}-`);
  } catch (error) {
    if (error instanceof Error && error.name === 'NoSuchTagSet') return false;
    throw error;
  }
}
