import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CopyObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Deployment } from '../../functions/contracts/configuration.ts';
import { idOfInstant } from '../../functions/contracts/identifiers.ts';
import { itemsKey, tenantKeyClaimKey } from '../../functions/contracts/vault-layout.ts';
import { createApp } from '../../infra/app.ts';
import { readConfiguration } from '../../infra/config/configuration.ts';
import { LocalClock } from '../../infra/local/clock.ts';
import { LocalCloud } from '../../infra/local/cloud.ts';
import { deployAssembly } from '../../infra/local/deploy/deploy.ts';
import { localConfiguration } from '../../infra/local/deploy/local-configuration.ts';
import { permissionsOf } from '../../infra/permissions.ts';
import { roleArn, type Step, stepName } from '../../infra/role-names.ts';

const account = '111122223333';
const BUCKET = 'school-uploads';
const directory = mkdtempSync(join(tmpdir(), 'daybreak-least-privilege-'));
const kmsKeyArns: string[] = [];
const configuration = () =>
  localConfiguration({
    account,
    databases: [],
    buckets: [{ id: 'uploads', name: BUCKET, tenantPrefix: 'schools/{tenant}/', kmsKeyArns }],
    restoreTest: { instanceClass: 'db.t4g.medium', objectsPerTenant: 'all' },
  });

let cloud: LocalCloud;
let deployment: Deployment;
let client: S3Client;
/** What each function was called with by a backup and a restore test that went through. */
const events = new Map<string, unknown>();
const recordedDeeds = new Set<string>();
let calls = 0;

beforeAll(async () => {
  cloud = new LocalCloud({ clock: new LocalClock({ startsAt: new Date('2026-11-22T02:00:00Z'), flow: 'manual' }) });
  client = new S3Client(cloud.clientConfiguration(cloud.root));
  kmsKeyArns.push(cloud.kms.createKeyFromTemplate({ description: "the uploads' key" }).keyArn);
  createApp(configuration(), { outdir: join(directory, 'assembly'), bundle: false, check: false }).synth();
  await deployAssembly(cloud, join(directory, 'assembly'));
  deployment = Deployment.parse(
    JSON.parse(cloud.lambda.environmentOf('daybreak-backup-plan').DAYBREAK_DEPLOYMENT ?? ''),
  );
  cloud.trail.onRecord(({ eventName }) => recordedDeeds.add(eventName));
  cloud.s3.createBucket({ name: BUCKET, encryption: { algorithm: 'aws:kms', keyId: kmsKeyArns[0] ?? '' } });
  await upload('oak');
  cloud.lambda.intercept(({ functionName, event }, next) => {
    // There is no RDS in memory.
    if (functionName === 'daybreak-restore-test-tear-down') return Promise.resolve({ done: true });
    if (!events.has(functionName) || JSON.stringify(event).includes('"tenant":"oak"')) events.set(functionName, event);
    return next();
  });
  for (const [workflow, scheduledAt] of Object.entries(FIRST)) {
    const stateMachine = `arn:aws:states:eu-west-2:${account}:stateMachine:daybreak-${workflow}`;
    cloud.states.startExecution({ stateMachine, name: workflow, input: { scheduledAt } });
    const { status, error, cause } = await cloud.states.waitForExecution(
      `${stateMachine.replace(':stateMachine:', ':execution:')}:${workflow}`,
    );
    expect({ status, error, cause }).toEqual({ status: 'SUCCEEDED', error: undefined, cause: undefined });
  }
});
afterAll(async () => {
  await cloud?.close();
  rmSync(directory, { recursive: true });
});

const upload = (tenant: string) =>
  client.send(new PutObjectCommand({ Bucket: BUCKET, Key: `schools/${tenant}/a.txt`, Body: 'a', Tagging: 'class=7b' }));

/** Prepares what a step finds in its run, and answers what it is called with. */
type Prepare = (run: number) => unknown;
const FIRST = { 'daily-backup': '2026-11-22T02:00:00.000Z', 'restore-test': '2026-11-22T03:00:00.000Z' };
const instantOf = (run: number) => new Date(Date.parse('2026-11-22T04:00:00.000Z') + run * 1000).toISOString();

/** The event that a step had in its workflow, as if that had run at another instant, with its list of items. */
const again =
  (name: Step, workflow: keyof typeof FIRST): Prepare =>
  async run => {
    const [before, after] = [idOfInstant(FIRST[workflow]), idOfInstant(instantOf(run))];
    const Bucket = deployment.workBucket;
    const CopySource = `${Bucket}/${itemsKey(before)}`;
    await client.send(new CopyObjectCommand({ Bucket, Key: itemsKey(after), CopySource }));
    const { tenantResultsKey, objectResultsKey, ...event } = events.get(stepName(name)) as Record<string, unknown>;
    const moved = JSON.parse(
      JSON.stringify(event).replaceAll(before, after).replaceAll(FIRST[workflow], instantOf(run)),
    );
    return {
      ...moved,
      ...(tenantResultsKey ? { tenantResultsKey } : {}),
      ...(objectResultsKey ? { objectResultsKey } : {}),
    };
  };

async function claimed(run: number): Promise<unknown> {
  const tenant = `t-${run}`;
  const Body = JSON.stringify({ claimedAt: '2026-01-01T00:00:00.000Z' });
  await client.send(new PutObjectCommand({ Bucket: deployment.workBucket, Key: tenantKeyClaimKey(tenant), Body }));
  return { tenant };
}

async function uploaded(run: number): Promise<unknown> {
  const tenant = `t-${run}`;
  await upload(tenant);
  const { keyArn: recordedKeyArn } = (await invoke('tenants/ensure-key', { tenant })) as { keyArn: string };
  const { keyArn } = (await invoke('tenants/ensure-key', { tenant, recordedKeyArn })) as { keyArn: string };
  const item = { recoveryPointId: '20261122t040000z', bucketId: 'uploads', tenant, previousManifestSha256: null };
  return { item, keyArn, cursor: null };
}

const inOtherRecoveryPoint: Prepare = run => ({ recoveryPointId: idOfInstant(instantOf(run)) });

/** A function's answer. @throws its error. */
async function invoke(name: Step, event: unknown): Promise<unknown> {
  const outcome = await cloud.lambda.invoke(stepName(name), event, cloud.root);
  if ('payload' in outcome) return outcome.payload;
  throw Object.assign(new Error(outcome.functionError.errorMessage), { name: outcome.functionError.errorType });
}

function allowedTo(name: Step) {
  const names = { ...deployment, subnetGroupName: 'isolated', stateMachineArns: [] };
  return permissionsOf({ configuration: readConfiguration(configuration()), ...names })[name].filter(
    ({ resources }) => resources.length > 0,
  );
}

/** Runs a step whose role has its permissions but for one action. */
async function runWithout(action: string | undefined, name: Step, prepare: Prepare): Promise<unknown> {
  const allowed = allowedTo(name);
  const putRole = (without: string | undefined) => {
    const Statement = allowed
      .map(({ effect = 'Allow', actions, resources, conditions }) => ({
        Effect: effect,
        Action: actions.filter(one => one !== without),
        Resource: resources,
        ...(conditions && { Condition: conditions }),
      }))
      .filter(({ Action }) => Action.length > 0);
    cloud.iam.putRole({ arn: roleArn(account, stepName(name)), policies: [{ Version: '2012-10-17', Statement }] });
  };
  const event = await prepare(++calls);
  putRole(action);
  try {
    return await invoke(name, event);
  } finally {
    putRole(undefined);
  }
}

const IN_PARTS = ['s3:ListBucketMultipartUploads', 's3:AbortMultipartUpload', 's3:ListMultipartUploadParts'];

it('calls no ordinary run tampering', async () => {
  await cloud.invocations.settle();
  expect(recordedDeeds).toEqual(new Set(['CreateKey', 'CreateAlias']));
  expect(cloud.lambda.linesOf('daybreak-evidence-record-tampering')).toEqual([]);
});

// The last list: what takes a copy in parts or an object that is missing, or is not fatal. The slow test uses them.
describe.each<[Step, Prepare, string[], string[]]>([
  [
    'tenants/ensure-key',
    claimed,
    [
      's3:ListBucket',
      's3:GetObject',
      's3:PutObject',
      'kms:Decrypt',
      'kms:GenerateDataKey',
      'kms:ListAliases',
      'kms:ListKeys',
      'kms:CreateKey',
      'kms:TagResource',
    ],
    // Without the tags, the key that a dead run left is not found, and another is created. For the others, see below.
    ['kms:ListResourceTags', 'kms:CreateAlias', 'kms:DescribeKey'],
  ],
  [
    'backup/list-tenants',
    inOtherRecoveryPoint,
    ['s3:ListBucket', 's3:GetObject', 's3:PutObject', 'kms:Decrypt', 'kms:GenerateDataKey', 'kms:Verify'],
    [],
  ],
  [
    'backup/back-up-tenant',
    uploaded,
    ['s3:ListBucket', 's3:GetObject', 's3:PutObject', 'kms:Decrypt', 'kms:GenerateDataKey'],
    // Without the last, the object is backed up without its tags, which is named.
    [...IN_PARTS, 's3:GetObjectAttributes', 's3:GetObjectTagging'],
  ],
  [
    'backup/complete',
    again('backup/complete', 'daily-backup'),
    ['s3:GetObject', 's3:PutObject', 'kms:Decrypt', 'kms:GenerateDataKey', 'kms:Sign', 'kms:Verify'],
    ['s3:ListBucket'],
  ],
  [
    'restore-test/choose',
    run => ({ scheduledAt: instantOf(run), recoveryPointId: idOfInstant(FIRST['daily-backup']) }),
    ['s3:ListBucket', 's3:GetObject', 'kms:Decrypt', 'kms:Verify'],
    // Without them it does not keep the fold of the ledger for the next reader.
    ['s3:PutObject', 'kms:GenerateDataKey'],
  ],
  [
    'restore-test/plan-objects',
    again('restore-test/plan-objects', 'restore-test'),
    ['s3:GetObject', 's3:PutObject', 'kms:Decrypt', 'kms:GenerateDataKey', 'kms:Verify'],
    ['s3:ListBucket'],
  ],
  [
    'restore-test/verify-objects',
    again('restore-test/verify-objects', 'restore-test'),
    [
      's3:ListBucket',
      's3:GetObject',
      's3:PutObject',
      's3:GetObjectVersion',
      's3:DeleteObjectVersion',
      'kms:Decrypt',
      'kms:GenerateDataKey',
      'kms:DescribeKey',
    ],
    [...IN_PARTS, 's3:GetObjectAttributes'],
  ],
  [
    'restore-test/conclude',
    again('restore-test/conclude', 'restore-test'),
    ['s3:GetObject', 's3:PutObject', 'kms:Decrypt', 'kms:GenerateDataKey'],
    ['s3:ListBucket'],
  ],
])('%s', (name, prepare, needed, elsewhere) => {
  it('is allowed nothing more', () => {
    const actions = new Set(allowedTo(name).flatMap(permission => permission.actions));
    expect([...actions].sort()).toEqual([...needed, ...elsewhere].sort());
  });

  it('does its work with what it is allowed', async () => {
    await expect(runWithout(undefined, name, prepare)).resolves.toBeTruthy();
  });

  it.each(needed)('needs %s', async action => {
    await expect(runWithout(action, name, prepare)).rejects.toMatchObject({
      name: expect.stringMatching(/^(?:ObjectAccessDenied|ObjectStorage|KeyService)Error$/),
      message: expect.stringMatching(/AccessDenied/),
    });
  });
});

it.each(['kms:ListResourceTags', 'kms:CreateAlias', 'kms:DescribeKey'])(
  'ensure-key needs %s to name a key that was recorded',
  async action => {
    const recorded: Prepare = async run => {
      const { keyArn } = (await invoke('tenants/ensure-key', { tenant: `r-${run}` })) as { keyArn: string };
      return { tenant: `r-${run}`, recordedKeyArn: keyArn };
    };
    await expect(runWithout(undefined, 'tenants/ensure-key', recorded)).resolves.toMatchObject({ draft: null });
    await expect(runWithout(action, 'tenants/ensure-key', recorded)).rejects.toThrow();
  },
);
