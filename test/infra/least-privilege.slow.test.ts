import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DescribeKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  ListMultipartUploadsCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { scratchPrefix, tenantKeyClaimKey } from '../../functions/contracts/vault-layout.ts';
import { COPY_LIMITS } from '../../functions/platform/object-copy.ts';
import { LocalClock } from '../../infra/local/clock.ts';
import type { LocalCloud } from '../../infra/local/cloud.ts';
import { createEnvironment, type LocalEnvironment } from '../../infra/local/environment.ts';
import type { AwsRequest } from '../../infra/local/service.ts';
import { removeDatabases } from '../../infra/local/start/state-directory.ts';
import { roleArn, STEPS, stepName, WORKFLOWS, workflowName } from '../../infra/role-names.ts';

const MINUTES = 60_000;
const MIB = 1024 ** 2;
const BUCKET = 'supplier-uploads';
const PART_BYTES = 5 * MIB;
const RDS_KEYS = 'https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Overview.Encryption.Keys.html';
const ROLES = [...STEPS.map(stepName), ...WORKFLOWS.map(workflowName), 'daybreak-scheduler'];

interface Unused {
  readonly roles: readonly string[] | RegExp;
  readonly allowance: RegExp;
  readonly reason: string;
}

/** What a run in the local cloud leaves unused, and why a run in AWS would not. */
const UNUSED: readonly Unused[] = [
  {
    roles: /^daybreak-(?:backup|tenants|evidence|restore-test|workflows|pulse)-/,
    allowance: /^logs:(?:CreateLogStream|PutLogEvents) on /,
    reason: "Lambda writes a function's log under its role; here the log is kept in memory.",
  },
  {
    roles: ['backup-fingerprint', 'restore-test-hydrate', 'restore-test-verify-database'],
    allowance: /^ec2:/,
    reason: "Lambda makes a function's network interfaces under its role; there is no network here.",
  },
  {
    roles: ['daily-backup', 'restore-test', 'remove-abandoned'],
    allowance: /^logs:/,
    reason: "Step Functions sets up its log's delivery under the role; here nothing is delivered.",
  },
  {
    roles: ['daily-backup', 'restore-test'],
    allowance: /^states:(?:DescribeExecution|StopExecution|RedriveExecution) on /,
    reason:
      'Step Functions watches, stops and redrives the children of a distributed map under the role; here it asks itself. https://docs.aws.amazon.com/step-functions/latest/dg/iam-policies-eg-dist-map.html',
  },
  {
    roles: ['daily-backup', 'restore-test'],
    allowance: /^s3:(?:AbortMultipartUpload|ListMultipartUploadParts) on \S+\/work\/\*$/,
    reason: 'Step Functions writes large results of a distributed map in parts; these are small.',
  },
  ...(
    [
      ['work', ['backup-fingerprint', 'backup-back-up-tenant', 'backup-complete', 'tenants-ensure-key']],
      ['work', ['restore-test-choose', 'restore-test-verify-objects', 'restore-test-conclude']],
      ['work', ['daily-backup', 'restore-test', 'evidence-record-tampering']],
      ['vault', ['restore-test-choose', 'restore-test-restore-database']],
      ['vault', ['restore-test-verify-database', 'restore-test-plan-objects']],
      ['evidence', ['restore-test-conclude']],
    ] as const
  ).map(([bucket, roles]) => ({
    roles,
    allowance: new RegExp(`^s3:ListBucket on arn:aws:s3:::daybreak-${bucket}-[^/]+$`),
    reason: 'Everything that it reads was there; without it, what is missing would look like what is refused.',
  })),
  {
    roles: ['backup-create-snapshot', 'backup-copy-snapshot'],
    allowance: /^rds:DeleteDBSnapshot on /,
    reason: 'It replaces a snapshot that failed, and none does here.',
  },
  {
    roles: ['backup-copy-snapshot', 'restore-test-restore-database'],
    allowance: /^kms:(?:GenerateDataKeyWithoutPlaintext|ReEncryptFrom|ReEncryptTo) on .*"kms:ViaService":"rds\./,
    reason: `RDS may do all of that with a key on its caller's behalf; here it does with fewer. ${RDS_KEYS}`,
  },
  {
    roles: ['restore-test-restore-database'],
    allowance: /^kms:GenerateDataKey on /,
    reason: `The same. ${RDS_KEYS}`,
  },
  {
    roles: ['backup-copy-snapshot'],
    allowance: /^kms:(?:CreateGrant|DescribeKey|GenerateDataKey) on SOURCE_KEY /,
    reason: `The same, of the source's key: a copy to another key only reads it here. ${RDS_KEYS}`,
  },
  {
    roles: ['backup-copy-snapshot'],
    allowance: /^kms:Decrypt on VAULT_KEY /,
    reason: `The same, of the vault key: a copy only writes under it here. ${RDS_KEYS}`,
  },
  {
    roles: ['backup-create-snapshot'],
    allowance: /^kms:(?:Decrypt|Verify) on /,
    reason: 'It reads the root manifest of a recovery point that was closed and whose snapshot is gone.',
  },
  {
    roles: ['restore-test-verify-objects'],
    allowance: /^s3:GetObjectAttributes on /,
    reason: 'It asks for the checksums of a copy above 8 GiB that a killed call had made.',
  },
  {
    roles: ['backup-back-up-tenant'],
    allowance: /^s3:(?:GetObject|PutObject) on \S+-work-[^/]+\/work\/\*$/,
    reason: 'It keeps an unfinished manifest when its time runs out, which takes many objects.',
  },
  {
    roles: ['backup-back-up-tenant'],
    allowance: /^kms:(?:Decrypt|GenerateDataKey) on VAULT_KEY if .*-work-[^/]+\/work\/\*"\]/,
    reason: "The same, for what is under no tenant's prefix.",
  },
  {
    roles: ['evidence-append-entry'],
    allowance: /^s3:(?:GetObject|PutObject) on \S+\/segments\/\*$/,
    reason: 'It closes a segment every 1,000 entries.',
  },
  {
    roles: ['restore-test-choose'],
    allowance: /^(?:s3:PutObject on \S+|kms:GenerateDataKey on .*)\/ledger-projection\/\*/,
    reason: 'It caches the fold of the ledger only where what it found is far behind.',
  },
  {
    roles: ['pulse-read-back'],
    allowance: /^(?:s3:PutObject on \S+|kms:GenerateDataKey on .*)\/ledger-projection\/\*/,
    reason: 'The same.',
  },
  {
    roles: ['pulse-read-back'],
    allowance: /^(?:s3:PutObject on \S+|kms:(?:Decrypt|GenerateDataKey) on .*)\/pulse\/\*/,
    reason: 'It writes down what is wrong, and nothing is.',
  },
  {
    roles: ['evidence-record-tampering'],
    allowance: /^sqs:SendMessage on /,
    reason: "Lambda leaves what failed three times in the queue under the function's role; here it does so by itself.",
  },
];

let directory: string;
let environment: LocalEnvironment;
let cloud: LocalCloud | undefined;
const noticedInOrdinaryRuns: string[] = [];
const recordedDeeds = new Set<string>();
let onRequest: ((request: AwsRequest) => void) | undefined;
const limits = { ...COPY_LIMITS };

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'daybreak-least-privilege-'));
  // PostgreSQL runs as another user where this one is root.
  await chmod(directory, 0o755);
  // Smaller objects stand for those above 5 GB.
  Object.assign(COPY_LIMITS, { wholeUpToBytes: PART_BYTES, partSizeBytes: PART_BYTES });
  const day = new Date(Date.now() - 5 * 24 * 60 * MINUTES).toISOString().slice(0, 10);
  const kmsKeyArns: string[] = [];
  environment = await createEnvironment({
    clock: new LocalClock({ flow: 'flowing', startsAt: new Date(`${day}T00:15:00.000Z`) }),
    directory,
    databases: [
      {
        id: 'school',
        databaseName: 'school',
        rootTable: 'school',
        rootColumn: 'id',
        encrypted: true,
        fill: fillDatabase,
      },
    ],
    buckets: [{ id: 'uploads', name: BUCKET, tenantPrefix: 'schools/{tenant}/', kmsKeyArns }],
    fillBuckets: created => uploadFiles(created, kmsKeyArns[0] ?? ''),
    restoreTest: { objectsPerTenant: 'all' },
    onCloud: created => {
      cloud = created;
      created.trail.onRecord(({ eventName }) => recordedDeeds.add(eventName));
      kmsKeyArns.push(created.kms.createKeyFromTemplate({ description: "the uploads' key" }).keyArn);
    },
    onRequest: request => onRequest?.(request),
  });
  await runEverything(environment);
}, 5 * MINUTES);

afterAll(async () => {
  Object.assign(COPY_LIMITS, limits);
  await cloud?.close();
  await removeDatabases(directory);
  await rm(directory, { recursive: true, force: true });
});

async function fillDatabase(client: Client): Promise<void> {
  await client.query(`
    CREATE TABLE school (id text PRIMARY KEY);
    CREATE TABLE pupil (id int PRIMARY KEY, school_id text NOT NULL REFERENCES school, name text);
    INSERT INTO school VALUES ('oak'), ('elm');
    INSERT INTO pupil SELECT g, CASE g % 2 WHEN 0 THEN 'oak' ELSE 'elm' END, 'pupil ' || g FROM generate_series(1, 500) g;
  `);
}

async function uploadFiles(created: LocalCloud, kmsKeyArn: string): Promise<void> {
  const client = new S3Client(created.clientConfiguration(created.root));
  const encryption = { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: kmsKeyArn } as const;
  const put = (Key: string, more = {}) =>
    client.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body: `content of ${Key}`, ...encryption, ...more }));
  await put('schools/oak/tagged.txt', { Tagging: 'class=7b', Metadata: { author: 'u-1' } });
  await put('schools/elm/plain.txt');
  await put('board/minutes.txt');
  const Body = Buffer.alloc(PART_BYTES, 'film');
  for (const Key of ['schools/oak/film.mp4', 'board/film.mp4']) {
    const target = { Bucket: BUCKET, Key };
    const { UploadId } = await client.send(new CreateMultipartUploadCommand({ ...target, ...encryption }));
    const Parts: { PartNumber: number; ETag: string | undefined }[] = [];
    for (const PartNumber of [1, 2]) {
      const { ETag } = await client.send(new UploadPartCommand({ ...target, UploadId, PartNumber, Body }));
      Parts.push({ PartNumber, ETag });
    }
    await client.send(new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload: { Parts } }));
  }
}

/** Both workflows, twice, on a bad day: answers get lost, copies stop half-way, and a test is left behind. */
async function runEverything({ cloud, deployment, runScheduled, nextScheduled, run }: LocalEnvironment): Promise<void> {
  const client = new S3Client(cloud.clientConfiguration(cloud.root));
  // A run that claimed a tenant's key died a while ago.
  await client.send(
    new PutObjectCommand({
      Bucket: deployment.workBucket,
      Key: tenantKeyClaimKey('oak'),
      Body: JSON.stringify({ claimedAt: '2026-01-01T00:00:00.000Z' }),
    }),
  );

  const lost = new Set<string>();
  const interrupted = new Set<string>();
  onRequest = ({ query, headers, path, principal }) => {
    const place = path.split('/').slice(1, 3).join('/');
    if (query.partNumber !== '2' || !('x-amz-copy-source' in headers) || principal.kind === 'root') return;
    if (interrupted.has(place)) return;
    interrupted.add(place);
    throw new Error('the connection broke');
  };
  cloud.lambda.intercept(async ({ functionName, event }, next) => {
    for (const bucket of [deployment.vaultBucket, deployment.workBucket]) await addSecondUpload(cloud, client, bucket);
    if (functionName === 'daybreak-restore-test-tear-down' && !lost.has(`${functionName} ${JSON.stringify(event)}`)) {
      // What a killed verification leaves.
      const Key = `${scratchPrefix((event as { restoreTestId: string }).restoreTestId)}left`;
      await client.send(new PutObjectCommand({ Bucket: deployment.workBucket, Key, Body: 'left' }));
    }
    const answer = await next();
    const call = `${functionName} ${JSON.stringify(event)}`;
    if (lost.has(call)) return answer;
    lost.add(call);
    throw Object.assign(new Error('the answer was lost'), { name: 'Lambda.ServiceException' });
  });

  const [first, second] = nextScheduled('daily-backup', 2) as [Date, Date];
  expect(await runScheduled('daily-backup', first)).toMatchObject({ status: 'SUCCEEDED' });
  expect(await cloud.scheduler.fire('daybreak-pulse', cloud.clock.now())).toMatchObject({ failure: null });
  expect([...interrupted].sort()).toEqual([`${deployment.vaultBucket}/shared`, `${deployment.vaultBucket}/tenants`]);
  await client.send(new PutObjectCommand({ Bucket: BUCKET, Key: 'schools/oak/new.txt', Body: 'new' }));
  expect(await runScheduled('daily-backup', second)).toMatchObject({ status: 'SUCCEEDED' });
  const again = { scheduledAt: second.toISOString() };
  expect(await run('daily-backup', 'again', again)).toMatchObject({ status: 'SUCCEEDED' });

  const [test] = nextScheduled('restore-test', 1) as [Date];
  expect(await runScheduled('restore-test', test)).toMatchObject({ status: 'SUCCEEDED' });
  expect(interrupted).toContain(`${deployment.workBucket}/scratch`);

  cloud.lambda.intercept(async ({ functionName }, next) => {
    const answer = await next();
    if (functionName === 'daybreak-restore-test-hydrate') {
      const running = cloud.states.listExecutions().filter(({ status }) => status === 'RUNNING');
      for (const { arn } of running) cloud.states.stopExecution(arn);
    }
    return answer;
  });
  const left = { scheduledAt: new Date(test.getTime() + MINUTES).toISOString() };
  expect(await run('restore-test', 'left', left)).toMatchObject({ status: 'ABORTED' });
  cloud.lambda.intercept(undefined);
  await cloud.rds.settle();
  // A day later the janitor takes what was left for abandoned.
  for (const other of ['daily-backup', 'restore-test', 'pulse']) cloud.scheduler.deleteSchedule(`daybreak-${other}`);
  await cloud.clock.advance(25 * 60 * MINUTES);
  expect(await cloud.scheduler.fire('daybreak-remove-abandoned', cloud.clock.now())).toMatchObject({ failure: null });
  await Promise.all(cloud.states.listExecutions().map(({ arn }) => cloud.states.waitForExecution(arn)));

  await cloud.invocations.settle();
  noticedInOrdinaryRuns.push(...cloud.lambda.linesOf('daybreak-evidence-record-tampering'));
  // At last somebody tampers.
  const hide = new DeleteObjectCommand({ Bucket: deployment.vaultBucket, Key: 'recovery-points/x.json' });
  await expect(client.send(hide)).rejects.toThrow('explicit deny in a resource-based policy');
  await cloud.invocations.settle();
}

// What a killed copy leaves twice is aborted once by the next one.
async function addSecondUpload(cloud: LocalCloud, client: S3Client, Bucket: string): Promise<void> {
  const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket }));
  const [upload] = Uploads;
  if (Uploads.length !== 1 || upload?.Key === undefined) return;
  const alias = upload.Key.includes('shared/') ? 'alias/daybreak/vault' : 'alias/daybreak/tenant/oak';
  const keys = new KMSClient(cloud.clientConfiguration(cloud.root));
  const { KeyMetadata } = await keys.send(new DescribeKeyCommand({ KeyId: alias }));
  await client.send(
    new CreateMultipartUploadCommand({
      Bucket,
      Key: upload.Key,
      ServerSideEncryption: 'aws:kms',
      SSEKMSKeyId: KeyMetadata?.Arn,
      ChecksumAlgorithm: 'SHA256',
    }),
  );
}

/** What a role is allowed and did or did not use, with names for the keys. */
function allowancesOf(role: string) {
  const named = (allowance: string) =>
    allowance
      .replaceAll(environment.deployment.vaultKeyArn, 'VAULT_KEY')
      .replace(/^(kms:\S+ on )arn:aws:kms:\S+:key\/[0-9a-f-]{36} (?=if .*"rds\.)/, '$1SOURCE_KEY ');
  const { used, unused } = environment.cloud.iam.allowances(roleArn(environment.cloud.accountId, role));
  return { used: used.map(named), unused: unused.map(named) };
}

const concerns = ({ roles }: Unused, role: string) =>
  roles instanceof RegExp ? roles.test(role) : roles.some(name => `daybreak-${name}` === role);

describe('a run of everything', () => {
  it('is no tampering, though the trail has all of it', () => {
    expect(noticedInOrdinaryRuns).toEqual([]);
    expect([...recordedDeeds]).toEqual(
      expect.arrayContaining([
        'CreateDBSnapshot',
        'CopyDBSnapshot',
        'CreateGrant',
        'DeleteDBSnapshot',
        'CreateAlias',
        'RestoreDBInstanceFromDBSnapshot',
        'DeleteDBInstance',
      ]),
    );
  });

  it.each(ROLES)('uses all that %s is allowed, but for what has a reason', role => {
    const { used, unused } = allowancesOf(role);
    expect(used).not.toEqual([]);
    const reasons = UNUSED.filter(reason => concerns(reason, role));
    const without = unused.filter(one => !reasons.some(({ allowance }) => allowance.test(one)));
    expect(without, 'unused without a reason').toEqual([]);
    const usedAfterAll = used.filter(one => reasons.some(({ allowance }) => allowance.test(one)));
    expect(usedAfterAll, 'used, and yet with a reason why not').toEqual([]);
    const needless = reasons.filter(({ allowance }) => !unused.some(one => allowance.test(one)));
    expect(needless, 'reasons for nothing').toEqual([]);
  });
});
