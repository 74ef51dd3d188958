import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateGrantCommand,
  CreateKeyCommand,
  type CreateKeyRequest,
  DisableKeyCommand,
  GetKeyPolicyCommand,
  KMSClient,
  PutKeyPolicyCommand,
  ScheduleKeyDeletionCommand,
} from '@aws-sdk/client-kms';
import {
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
  PutObjectRetentionCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Deployment } from '../../functions/contracts/configuration.ts';
import {
  headKey,
  ledgerEntryKey,
  namingSecretKey,
  objectKey,
  rootManifestKey,
} from '../../functions/contracts/vault-layout.ts';
import { createApp } from '../../infra/app.ts';
import { exampleConfiguration } from '../../infra/config/example.ts';
import { LocalClock } from '../../infra/local/clock.ts';
import { LocalCloud } from '../../infra/local/cloud.ts';
import { deployAssembly } from '../../infra/local/deploy/deploy.ts';
import type { Principal } from '../../infra/local/service.ts';
import { roleArn, STEPS, type Step, stepName, WORKFLOWS, workflowName } from '../../infra/role-names.ts';

const { account } = exampleConfiguration;
const role = (name: string): Principal => ({ kind: 'role', arn: roleArn(account, name) });
const step = (name: Step) => role(stepName(name));
const EVERYTHING = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] };

/** Daybreak's roles as they are deployed. */
const ROLES = [...STEPS.map(stepName), ...WORKFLOWS.map(workflowName), 'daybreak-scheduler'].map(role);
/** Somebody with AdministratorAccess. */
const administrator = role('administrator');
/** A role of Daybreak that somebody has attached AdministratorAccess to, and taken the guardrails from. */
const widened = role('daybreak-backup-widened');
const operator = role('operator');

// Who refuses, in the words of AccessDenied.
const NOT_ALLOWED = 'no identity policy allows';
const IDENTITY_DENIES = 'an identity policy denies';
const RESOURCE_SILENT = 'no resource policy allows';
const RESOURCE_DENIES = 'a resource policy denies';
const LOCKED = 'Object Lock';
const ALLOWED = 'allowed';

const directory = mkdtempSync(join(tmpdir(), 'daybreak-attacks-'));
let cloud: LocalCloud;
let deployment: Deployment;
const tenantKeys: Record<'oak' | 'elm', string> = { oak: '', elm: '' };
let otherKey: string;

beforeAll(async () => {
  const assembly = join(directory, 'assembly');
  const configuration = { ...exampleConfiguration, operatorRoleArns: [operator.arn] };
  createApp(configuration, { outdir: assembly, bundle: false, check: false }).synth();
  cloud = new LocalCloud({ clock: new LocalClock({ startsAt: new Date('2026-11-22T02:00:00Z'), flow: 'manual' }) });
  await deployAssembly(cloud, assembly);
  deployment = JSON.parse(cloud.lambda.environmentOf('daybreak-backup-plan').DAYBREAK_DEPLOYMENT ?? '');
  for (const { arn } of [administrator, widened, operator]) cloud.iam.putRole({ arn, policies: [EVERYTHING] });
  for (const tenant of ['oak', 'elm'] as const) {
    const outcome = await cloud.lambda.invoke('daybreak-tenants-ensure-key', { tenant }, cloud.root);
    tenantKeys[tenant] = ('payload' in outcome ? (outcome.payload as { keyArn: string }) : { keyArn: '' }).keyArn;
  }
  otherKey = cloud.kms.createKeyFromTemplate({ description: 'a key of the application' }).keyArn;
  await put(cloud.root, 'vault', OBJECT, under(tenantKeys.oak));
  await put(cloud.root, 'vault', namingSecretKey('oak'), { ...under(tenantKeys.oak), IfNoneMatch: '*' });
  await put(cloud.root, 'vault', rootManifestKey('20261122t023000z'));
  await put(cloud.root, 'evidence', ENTRY, { IfNoneMatch: '*' });
  await put(cloud.root, 'evidence', headKey(1), { IfNoneMatch: '*' });
});
afterAll(async () => {
  await cloud?.close();
  rmSync(directory, { recursive: true });
});

const OBJECT = objectKey('oak', 'a'.repeat(64));
const ENTRY = ledgerEntryKey(1);
type Bucket = 'vault' | 'evidence' | 'work';
const bucketName = (bucket: Bucket) => deployment[`${bucket}Bucket`];
const arnOf = (bucket: Bucket, key?: string) =>
  `arn:aws:s3:::${bucketName(bucket)}${key === undefined ? '' : `/${key}`}`;
const under = (keyArn: string) => ({ ServerSideEncryption: 'aws:kms', SSEKMSKeyId: keyArn }) as const;

function remembered<T>(create: (principal: Principal) => T): (principal: Principal) => T {
  const known = new Map<string, T>();
  return principal => {
    const found = known.get(principal.arn) ?? create(principal);
    known.set(principal.arn, found);
    return found;
  };
}
const s3 = remembered(principal => new S3Client(cloud.clientConfiguration(principal)));
const kms = remembered(principal => new KMSClient(cloud.clientConfiguration(principal)));

const put = (principal: Principal, bucket: Bucket, Key: string, more: Partial<PutObjectCommandInput> = {}) =>
  s3(principal).send(new PutObjectCommand({ Bucket: bucketName(bucket), Key, Body: 'x', ...more }));

/** Who refuses an act; or that it is allowed. @throws what is no refusal. */
async function attempt(act: () => unknown): Promise<string> {
  try {
    await act();
    return ALLOWED;
  } catch (error) {
    const { name, message } = error as Error;
    if (!name.startsWith('AccessDenied')) throw error;
    if (message.includes('object protected by object lock')) return LOCKED;
    if (message.endsWith('explicit deny in an identity-based policy')) return IDENTITY_DENIES;
    if (message.endsWith('explicit deny in a resource-based policy')) return RESOURCE_DENIES;
    if (/because no identity-based policy allows/.test(message)) return NOT_ALLOWED;
    if (/because no resource-based policy allows/.test(message)) return RESOURCE_SILENT;
    throw error;
  }
}

/** The same for an act that the local services do not carry out, judged by the deployed policies. */
async function judge(principal: Principal, action: string, resource: string, context = {}): Promise<string> {
  const [service, name] = [resource.split(':')[2], resource.split(/[:/]/)[5]];
  const bucket = cloud.s3.core.store.buckets.get(name ?? '');
  const request = { principal, action, resource, context };
  if (service === 's3') return attempt(() => cloud.iam.authorize({ ...request, resourcePolicy: bucket?.policy }));
  if (service !== 'kms') return attempt(() => cloud.iam.authorize(request));
  const { Policy = '' } = await kms(cloud.root).send(new GetKeyPolicyCommand({ KeyId: resource }));
  const resourcePolicy: unknown = JSON.parse(Policy);
  return attempt(() => cloud.iam.authorize({ ...request, resourcePolicy, resourcePolicyRequired: true }));
}

/** Every answer that Daybreak's roles get, each once. */
async function ofAllRoles(ask: (principal: Principal) => Promise<string>): Promise<string[]> {
  return [...new Set(await Promise.all(ROLES.map(ask)))].sort();
}

/** The names of Daybreak's roles that are allowed something. */
async function whoMay(action: string, resource: string, context = {}): Promise<string[]> {
  const answers = await Promise.all(ROLES.map(principal => judge(principal, action, resource, context)));
  return ROLES.filter((_, index) => answers[index] === ALLOWED).map(({ arn }) => arn.replace(/^.*\/daybreak-/, ''));
}

async function versionOf(bucket: Bucket, Key: string) {
  const { VersionId } = await s3(cloud.root).send(new GetObjectCommand({ Bucket: bucketName(bucket), Key }));
  return { Bucket: bucketName(bucket), Key, VersionId };
}

describe('a locked backup', () => {
  it('is not deleted while it is held, by anyone', async () => {
    const target = await versionOf('vault', OBJECT);
    const remove = (principal: Principal) => attempt(() => s3(principal).send(new DeleteObjectCommand(target)));
    expect(await ofAllRoles(remove)).toEqual([NOT_ALLOWED]);
    expect([await remove(widened), await remove(administrator), await remove(cloud.root)]).toEqual([
      LOCKED,
      LOCKED,
      LOCKED,
    ]);
  });

  it('is not deleted by bypassing governance, but by an administrator of a vault that is not in compliance mode', async () => {
    const key = objectKey('oak', 'b'.repeat(64));
    await put(cloud.root, 'vault', key, under(tenantKeys.oak));
    const target = { ...(await versionOf('vault', key)), BypassGovernanceRetention: true };
    const remove = (principal: Principal) => attempt(() => s3(principal).send(new DeleteObjectCommand(target)));
    expect(await ofAllRoles(remove)).toEqual([IDENTITY_DENIES]);
    expect(await remove(widened)).toBe(RESOURCE_DENIES);
    expect(await remove(administrator)).toBe(ALLOWED);
  });

  it('is not hidden by a delete marker', async () => {
    const target = { Bucket: bucketName('vault'), Key: OBJECT };
    const hide = (principal: Principal) => attempt(() => s3(principal).send(new DeleteObjectCommand(target)));
    expect(await ofAllRoles(hide)).toEqual([RESOURCE_DENIES]);
    expect([await hide(administrator), await hide(cloud.root)]).toEqual([RESOURCE_DENIES, RESOURCE_DENIES]);
  });

  it.each([
    ['released', { Mode: 'GOVERNANCE', EventHold: 'OFF' }],
    ['shortened', { Mode: 'GOVERNANCE', RetainUntilDate: new Date('2026-11-23T00:00:00Z') }],
  ] as const)('is not %s', async (_, Retention) => {
    const target = await versionOf('vault', OBJECT);
    const change = (principal: Principal) =>
      attempt(() => s3(principal).send(new PutObjectRetentionCommand({ ...target, Retention })));
    expect(await ofAllRoles(change)).toEqual([RESOURCE_DENIES]);
    expect([await change(administrator), await change(cloud.root)]).toEqual([RESOURCE_DENIES, RESOURCE_DENIES]);
  });

  it('is not written with a lock of the writer’s own', async () => {
    const lock = { ObjectLockMode: 'GOVERNANCE', ObjectLockRetainUntilDate: new Date('2026-11-23T00:00:00Z') } as const;
    const write = (principal: Principal) =>
      attempt(() => put(principal, 'vault', OBJECT, { ...under(tenantKeys.oak), ...lock }));
    expect([await write(step('backup/back-up-tenant')), await write(administrator)]).toEqual([
      RESOURCE_DENIES,
      RESOURCE_DENIES,
    ]);
  });

  it('is not written over where S3 lets a policy say so', async () => {
    const writer = step('backup/back-up-tenant');
    expect(await attempt(() => put(writer, 'vault', namingSecretKey('oak'), under(tenantKeys.oak)))).toBe(
      RESOURCE_DENIES,
    );
    const again = { ...under(tenantKeys.oak), IfNoneMatch: '*' };
    await expect(put(writer, 'vault', namingSecretKey('oak'), again)).rejects.toMatchObject({
      name: 'PreconditionFailed',
    });
    expect(await attempt(() => put(writer, 'vault', 'tenants/oak/manifests/0', under(tenantKeys.oak)))).toBe(
      RESOURCE_DENIES,
    );
  });
});

describe('the ledger', () => {
  const appender = step('evidence/append-entry');

  it.each([ENTRY, headKey(1)])('keeps %s, whoever wants it gone', async Key => {
    const version = await versionOf('evidence', Key);
    const remove = (target: object) => (principal: Principal) =>
      attempt(() => s3(principal).send(new DeleteObjectCommand({ Bucket: version.Bucket, Key, ...target })));
    for (const target of [version, {}]) {
      expect(await ofAllRoles(remove(target))).toEqual([RESOURCE_DENIES]);
      expect([await remove(target)(administrator), await remove(target)(cloud.root)]).toEqual([
        RESOURCE_DENIES,
        RESOURCE_DENIES,
      ]);
    }
    const bypassing = remove({ ...version, BypassGovernanceRetention: true });
    expect([await bypassing(administrator), await bypassing(cloud.root)]).toEqual([RESOURCE_DENIES, RESOURCE_DENIES]);
  });

  it.each([ENTRY, headKey(1), ledgerEntryKey(2)])('takes %s only under a condition, and once', async Key => {
    for (const principal of [appender, administrator, cloud.root]) {
      expect(await attempt(() => put(principal, 'evidence', Key))).toBe(RESOURCE_DENIES);
      const copy = { Bucket: bucketName('evidence'), Key, CopySource: `${bucketName('evidence')}/${ENTRY}` };
      expect(await attempt(() => s3(principal).send(new CopyObjectCommand(copy)))).toBe(RESOURCE_DENIES);
      const upload = new CreateMultipartUploadCommand({ Bucket: bucketName('evidence'), Key });
      expect(await attempt(() => s3(principal).send(upload))).toBe(RESOURCE_DENIES);
    }
    if (Key === ledgerEntryKey(2)) return;
    await expect(put(appender, 'evidence', Key, { IfNoneMatch: '*' })).rejects.toMatchObject({
      name: 'PreconditionFailed',
    });
  });

  it('is written, and signed, by nobody else', async () => {
    const once = { 's3:if-none-match': '*', 's3:ObjectCreationOperation': 'true' };
    for (const key of [ENTRY, headKey(1), 'segments/000000001.json']) {
      expect(await whoMay('s3:PutObject', arnOf('evidence', key), once)).toEqual(['evidence-append-entry']);
    }
    expect(await whoMay('kms:Sign', deployment.signingKeyArn)).toEqual(['backup-complete', 'evidence-append-entry']);
    for (const principal of [widened, administrator, operator]) {
      expect(await judge(principal, 'kms:Sign', deployment.signingKeyArn)).toBe(RESOURCE_SILENT);
    }
  });
});

describe('encryption', () => {
  const customerKey = Buffer.alloc(32, 1);
  const writer = step('backup/back-up-tenant');

  it.each<[string, Bucket, string, () => Partial<PutObjectCommandInput>, string]>([
    ['S3’s own key', 'vault', OBJECT, () => ({ ServerSideEncryption: 'AES256' }), RESOURCE_DENIES],
    [
      'two layers, one of them S3’s own',
      'vault',
      OBJECT,
      () => ({ ServerSideEncryption: 'aws:kms:dsse' }),
      RESOURCE_DENIES,
    ],
    [
      'a key of another account',
      'vault',
      OBJECT,
      () => under(`arn:aws:kms:eu-west-2:999988887777:key/1`),
      RESOURCE_DENIES,
    ],
    [
      'a key of another Region',
      'vault',
      OBJECT,
      () => under(`arn:aws:kms:eu-west-1:${account}:key/1`),
      RESOURCE_DENIES,
    ],
    [
      'a key sent along',
      'vault',
      OBJECT,
      () => ({ SSECustomerAlgorithm: 'AES256', SSECustomerKey: customerKey }),
      RESOURCE_DENIES,
    ],
    ['a tenant under the vault key', 'vault', OBJECT, () => under(deployment.vaultKeyArn), RESOURCE_DENIES],
    ['a tenant under the bucket’s default', 'vault', OBJECT, () => ({}), RESOURCE_DENIES],
    ['a tenant under another tenant’s key', 'vault', OBJECT, () => under(tenantKeys.elm), RESOURCE_SILENT],
    ['what is shared under a tenant’s key', 'vault', 'shared/objects/a', () => under(tenantKeys.oak), RESOURCE_SILENT],
    [
      'evidence under S3’s own key',
      'evidence',
      ledgerEntryKey(9),
      () => ({ ServerSideEncryption: 'AES256', IfNoneMatch: '*' }),
      RESOURCE_DENIES,
    ],
    [
      'evidence under another key',
      'evidence',
      ledgerEntryKey(9),
      () => ({ ...under(otherKey), IfNoneMatch: '*' }),
      RESOURCE_DENIES,
    ],
  ])('refuses %s', async (_, bucket, key, options, expected) => {
    expect(await attempt(() => put(administrator, bucket, key, options()))).toBe(expected);
    if (bucket === 'vault') expect(await attempt(() => put(writer, bucket, key, options()))).toBe(expected);
  });

  it.each<Bucket>(['vault', 'evidence', 'work'])('refuses plain HTTP and old TLS for %s', async bucket => {
    for (const principal of [cloud.root, administrator, ...ROLES]) {
      for (const context of [{ 'aws:SecureTransport': 'false' }, { 's3:TlsVersion': '1.1' }]) {
        expect(await judge(principal, 's3:GetObject', arnOf(bucket, 'a'), context)).toBe(RESOURCE_DENIES);
        expect(await judge(principal, 's3:ListBucket', arnOf(bucket), context)).toBe(RESOURCE_DENIES);
      }
    }
    const request = { service: 's3', method: 'GET', path: `/${bucketName(bucket)}/a`, query: {}, headers: {} } as const;
    const { status, body } = await cloud.s3.handle({
      ...request,
      body: undefined,
      principal: cloud.root,
      secure: false,
    });
    expect([status, String(body)]).toEqual([403, expect.stringContaining('explicit deny in a resource-based policy')]);
  });

  it('stays as it was written', async () => {
    for (const principal of [...ROLES, administrator, cloud.root]) {
      const answer = await judge(principal, 's3:UpdateObjectEncryption', arnOf('vault', OBJECT));
      expect(answer).toBe(ROLES.includes(principal) ? IDENTITY_DENIES : RESOURCE_DENIES);
    }
  });
});

describe('keys', () => {
  const keys = () => [deployment.vaultKeyArn, deployment.signingKeyArn, ...Object.values(tenantKeys)];

  it('are never disabled, destroyed or given another policy by a role of Daybreak', async () => {
    for (const KeyId of keys()) {
      for (const command of [
        new DisableKeyCommand({ KeyId }),
        new ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays: 7 }),
        new PutKeyPolicyCommand({ KeyId, Policy: JSON.stringify(EVERYTHING) }),
      ]) {
        const change = (principal: Principal) => attempt(() => kms(principal).send(command as DisableKeyCommand));
        expect(await ofAllRoles(change)).toEqual([IDENTITY_DENIES]);
        expect(await change(widened)).toBe(RESOURCE_DENIES);
      }
      // Whoever administers the account can: the keys must outlive Daybreak's own roles.
      expect(await judge(administrator, 'kms:ScheduleKeyDeletion', KeyId)).toBe(ALLOWED);
    }
  });

  it('are created by one role, for tenants, to encrypt, in one Region', async () => {
    const create = (principal: Principal, more: CreateKeyRequest) =>
      attempt(() => kms(principal).send(new CreateKeyCommand({ BypassPolicyLockoutSafetyCheck: true, ...more })));
    const Tags = [{ TagKey: 'daybreak:purpose', TagValue: 'tenant' }];
    const creator = step('tenants/ensure-key');
    for (const principal of ROLES) {
      expect(await create(principal, { Tags })).toBe(principal.arn === creator.arn ? ALLOWED : IDENTITY_DENIES);
    }
    expect(await create(creator, {})).toBe(NOT_ALLOWED);
    expect(await create(creator, { Tags: [{ TagKey: 'daybreak:purpose', TagValue: 'vault' }] })).toBe(NOT_ALLOWED);
    expect(await create(creator, { Tags: [...Tags, { TagKey: 'owner', TagValue: 'x' }] })).toBe(NOT_ALLOWED);
    expect(await create(creator, { Tags, KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' })).toBe(NOT_ALLOWED);
    const multiRegion = {
      'kms:KeySpec': 'SYMMETRIC_DEFAULT',
      'kms:MultiRegion': 'true',
      'aws:RequestTag/daybreak:purpose': 'tenant',
    };
    expect(
      await attempt(() =>
        cloud.iam.authorize({ principal: creator, action: 'kms:CreateKey', resource: '*', context: multiRegion }),
      ),
    ).toBe(NOT_ALLOWED);
  });

  it('are granted by nobody but RDS', async () => {
    for (const KeyId of keys().filter(key => key !== deployment.signingKeyArn)) {
      const command = { KeyId, GranteePrincipal: administrator.arn, Operations: ['Decrypt' as const] };
      const grant = (principal: Principal) => attempt(() => kms(principal).send(new CreateGrantCommand(command)));
      expect(await ofAllRoles(grant)).toEqual([IDENTITY_DENIES]);
      expect([await grant(widened), await grant(administrator)]).toEqual([RESOURCE_SILENT, RESOURCE_SILENT]);
    }
    const through = (region: string) => ({
      'kms:ViaService': `rds.${region}.amazonaws.com`,
      'kms:GrantIsForAWSResource': 'true',
    });
    const { vaultKeyArn } = deployment;
    expect(await whoMay('kms:CreateGrant', vaultKeyArn, through('eu-west-2'))).toEqual([
      'backup-copy-snapshot',
      'restore-test-restore-database',
    ]);
    // A snapshot under the vault key is copied to no other Region, and restored by no one else.
    expect(await whoMay('kms:CreateGrant', vaultKeyArn, through('eu-west-1'))).toEqual([]);
    for (const region of ['eu-west-1', 'eu-west-2']) {
      expect(await judge(administrator, 'kms:CreateGrant', vaultKeyArn, through(region))).toBe(RESOURCE_SILENT);
    }
  });
});

describe('what is readable', () => {
  const read = (principal: Principal, bucket: Bucket, Key: string) =>
    attempt(() => s3(principal).send(new GetObjectCommand({ Bucket: bucketName(bucket), Key })));

  it('is closed to administrators, and open to operators but for the tenants’ data', async () => {
    const manifest = rootManifestKey('20261122t023000z');
    expect([await read(administrator, 'vault', OBJECT), await read(administrator, 'vault', manifest)]).toEqual([
      RESOURCE_SILENT,
      RESOURCE_SILENT,
    ]);
    expect(await read(administrator, 'evidence', ENTRY)).toBe(RESOURCE_SILENT);
    expect([await read(operator, 'vault', OBJECT), await read(operator, 'vault', manifest)]).toEqual([
      RESOURCE_SILENT,
      ALLOWED,
    ]);
    expect(await read(operator, 'evidence', ENTRY)).toBe(ALLOWED);
    expect(await attempt(() => put(operator, 'vault', manifest))).toBe(RESOURCE_SILENT);
  });

  it('of tenants, is for the two steps that carry it, of every tenant alike', async () => {
    const readers = ['daybreak-backup-back-up-tenant', 'daybreak-restore-test-verify-objects'].map(role);
    for (const principal of ROLES) {
      const answer = await read(principal, 'vault', OBJECT);
      expect(answer).toBe(readers.some(({ arn }) => arn === principal.arn) ? ALLOWED : NOT_ALLOWED);
    }
    // But no key opens another tenant's objects.
    const context = {
      'kms:ViaService': 's3.eu-west-2.amazonaws.com',
      'kms:EncryptionContext:aws:s3:arn': arnOf('vault', OBJECT),
    };
    expect(await whoMay('kms:Decrypt', tenantKeys.oak, context)).toEqual([
      'backup-back-up-tenant',
      'restore-test-verify-objects',
    ]);
    expect(await whoMay('kms:Decrypt', tenantKeys.elm, context)).toEqual([]);
  });

  it('of the databases, is for the steps that measure', async () => {
    const [database] = exampleConfiguration.databases;
    const user = (resourceId: string) => `arn:aws:rds-db:eu-west-2:${account}:dbuser:${resourceId}/daybreak_reader`;
    // A restored instance's id cannot be told from the live one's: the tests' steps reach it in the network alone.
    expect(await whoMay('rds-db:connect', user(database?.resourceId ?? ''))).toEqual([
      'backup-fingerprint',
      'restore-test-hydrate',
      'restore-test-verify-database',
    ]);
    expect(await whoMay('rds-db:connect', user('db-RESTORED'))).toEqual([
      'restore-test-hydrate',
      'restore-test-verify-database',
    ]);
  });
});

describe('settings and ways out', () => {
  it.each([
    's3:PutBucketPolicy',
    's3:DeleteBucketPolicy',
    's3:PutBucketVersioning',
    's3:PutBucketObjectLockConfiguration',
    's3:PutLifecycleConfiguration',
    's3:PutReplicationConfiguration',
    's3:PutEncryptionConfiguration',
    's3:PutBucketPublicAccessBlock',
    's3:DeleteBucket',
  ])('no role of Daybreak has %s', async action => {
    for (const bucket of ['vault', 'evidence', 'work'] as const) {
      for (const answer of await ofAllRoles(principal => judge(principal, action, arnOf(bucket)))) {
        expect([IDENTITY_DENIES, RESOURCE_DENIES]).toContain(answer);
      }
      expect(await judge(widened, action, arnOf(bucket))).toBe(RESOURCE_DENIES);
    }
  });

  it('replicates nothing in or out', async () => {
    for (const principal of [administrator, widened, ...ROLES]) {
      for (const bucket of ['vault', 'evidence'] as const) {
        expect(await judge(principal, 's3:ReplicateObject', arnOf(bucket, 'a'))).toBe(RESOURCE_DENIES);
      }
      for (const bucket of ['vault', 'evidence', 'work'] as const) {
        expect(await judge(principal, 's3:GetObjectVersionForReplication', arnOf(bucket, 'a'))).toBe(RESOURCE_DENIES);
      }
    }
  });

  it('shares no snapshot, and copies none to another Region', async () => {
    const snapshot = `arn:aws:rds:eu-west-2:${account}:snapshot:daybreak-wellbeing-20261122t023000z`;
    expect(await ofAllRoles(principal => judge(principal, 'rds:ModifyDBSnapshotAttribute', snapshot))).toEqual([
      IDENTITY_DENIES,
    ]);
    expect(await whoMay('rds:CopyDBSnapshot', snapshot)).toEqual(['backup-copy-snapshot']);
    const abroad = { 'aws:RequestedRegion': 'eu-west-1' };
    expect(await whoMay('rds:CopyDBSnapshot', snapshot, abroad)).toEqual([]);
    for (const action of ['rds:CopyDBSnapshot', 's3:PutObject', 'kms:Decrypt']) {
      expect(await ofAllRoles(principal => judge(principal, action, snapshot, abroad))).toEqual([IDENTITY_DENIES]);
    }
  });

  it('deletes copies of a database, and versions of the vault, by nobody who does not have to', async () => {
    const snapshot = (name: string) => `arn:aws:rds:eu-west-2:${account}:snapshot:daybreak-${name}-20261122t023000z`;
    expect(await whoMay('rds:DeleteDBSnapshot', snapshot('intermediate-wellbeing'))).toEqual([
      'backup-create-snapshot',
      'backup-delete-intermediate',
    ]);
    // It replaces a copy that failed. RDS has no lock, and no condition key for a snapshot's status.
    expect(await whoMay('rds:DeleteDBSnapshot', snapshot('wellbeing'))).toEqual(['backup-copy-snapshot']);
    const instance = `arn:aws:rds:eu-west-2:${account}:db:`;
    const tagged = { 'aws:ResourceTag/daybreak:purpose': 'restore-test' };
    expect(await whoMay('rds:DeleteDBInstance', `${instance}wellbeing-production`, tagged)).toEqual([]);
    expect(await whoMay('rds:DeleteDBInstance', `${instance}daybreak-test-foreign`)).toEqual([]);
    expect(await whoMay('rds:DeleteDBInstance', `${instance}daybreak-test-wellbeing-2611220230`, tagged)).toEqual([
      'restore-test-tear-down',
      'restore-test-remove-abandoned',
    ]);
    for (const key of [OBJECT, 'shared/objects/a', rootManifestKey('20261122t023000z'), 'fingerprints/a']) {
      expect(await whoMay('s3:DeleteObjectVersion', arnOf('vault', key))).toEqual([]);
    }
  });
});
