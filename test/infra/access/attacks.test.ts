import {
  CancelKeyDeletionCommand,
  CreateGrantCommand,
  CreateKeyCommand,
  type CreateKeyRequest,
  DisableKeyCommand,
  EnableKeyCommand,
  PutKeyPolicyCommand,
  ScheduleKeyDeletionCommand,
  UpdateAliasCommand,
} from '@aws-sdk/client-kms';
import {
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  type PutObjectCommandInput,
  PutObjectRetentionCommand,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  headKey,
  LEDGER_PROJECTION_KEY,
  ledgerEntryKey,
  namingSecretKey,
  objectKey,
  rootManifestKey,
  tenantNameKey,
} from '../../../functions/contracts/vault-layout.ts';
import { exampleConfiguration } from '../../../infra/config/example.ts';
import type { Principal } from '../../../infra/local/service.ts';
import {
  ALLOWED,
  AttackedAccount,
  account,
  administrator,
  attempt,
  type Bucket,
  comingRole,
  EVERYTHING,
  IDENTITY_DENIES,
  LOCKED,
  NOT_ALLOWED,
  ofAllRoles,
  operator,
  RESOURCE_DENIES,
  RESOURCE_SILENT,
  ROLES,
  step,
  stranger,
  widened,
} from './attacks-account.ts';

const OBJECT = objectKey('oak', 'a'.repeat(64));
const ENTRY = ledgerEntryKey(1);

let attacked: AttackedAccount;
const tenantKeys: Record<'oak' | 'elm', string> = { oak: '', elm: '' };
let otherKey: string;
/** What a bucket's policy sees of that. */
const putAsEvidence = ({ deployment } = attacked) => ({
  's3:if-none-match': '*',
  's3:ObjectCreationOperation': 'true',
  's3:x-amz-server-side-encryption': 'aws:kms',
  's3:x-amz-server-side-encryption-aws-kms-key-id': deployment.vaultKeyArn,
});
/** How evidence is written. */
const asEvidence = () => ({ ...under(attacked.deployment.vaultKeyArn), IfNoneMatch: '*' });
const under = (keyArn: string) => ({ ServerSideEncryption: 'aws:kms', SSEKMSKeyId: keyArn }) as const;

beforeAll(async () => {
  attacked = await AttackedAccount.create();
  const { kms } = attacked.cloud;
  for (const tenant of ['oak', 'elm'] as const) tenantKeys[tenant] = await attacked.createTenantKey(tenant);
  otherKey = kms.createKeyFromTemplate({ description: 'a key of the application' }).keyArn;
  const backer = step('backup/back-up-tenant');
  await attacked.put(backer, 'vault', OBJECT, under(tenantKeys.oak));
  await attacked.put(backer, 'vault', namingSecretKey('oak'), { ...under(tenantKeys.oak), IfNoneMatch: '*' });
  await attacked.put(step('backup/complete'), 'vault', rootManifestKey('20261122t023000z'));
  await attacked.put(step('evidence/append-entry'), 'evidence', ENTRY, asEvidence());
  await attacked.put(step('evidence/append-entry'), 'evidence', headKey(1), asEvidence());
});
afterAll(() => attacked?.cloud.close());

describe('a locked backup', () => {
  it('is not deleted while it is held, by anyone', async () => {
    const target = await attacked.versionOf('vault', OBJECT);
    const remove = (principal: Principal) =>
      attempt(() => attacked.s3(principal).send(new DeleteObjectCommand(target)));
    expect(await ofAllRoles(remove)).toEqual([NOT_ALLOWED]);
    expect([await remove(widened), await remove(administrator), await remove(attacked.cloud.root)]).toEqual([
      LOCKED,
      LOCKED,
      LOCKED,
    ]);
  });

  it('is not deleted by bypassing governance, but by an administrator of a vault that is not in compliance mode', async () => {
    const key = objectKey('oak', 'b'.repeat(64));
    await attacked.put(step('backup/back-up-tenant'), 'vault', key, under(tenantKeys.oak));
    const target = { ...(await attacked.versionOf('vault', key)), BypassGovernanceRetention: true };
    const remove = (principal: Principal) =>
      attempt(() => attacked.s3(principal).send(new DeleteObjectCommand(target)));
    expect(await ofAllRoles(remove)).toEqual([IDENTITY_DENIES]);
    expect(await remove(widened)).toBe(RESOURCE_DENIES);
    expect(await remove(administrator)).toBe(ALLOWED);
  });

  it('is not hidden by a delete marker', async () => {
    const target = { Bucket: attacked.bucketName('vault'), Key: OBJECT };
    const hide = (principal: Principal) => attempt(() => attacked.s3(principal).send(new DeleteObjectCommand(target)));
    expect(await ofAllRoles(hide)).toEqual([RESOURCE_DENIES]);
    expect([await hide(administrator), await hide(attacked.cloud.root)]).toEqual([RESOURCE_DENIES, RESOURCE_DENIES]);
  });

  it.each([
    ['released', { Mode: 'GOVERNANCE', EventHold: 'OFF' }],
    ['shortened', { Mode: 'GOVERNANCE', RetainUntilDate: new Date('2026-11-23T00:00:00Z') }],
  ] as const)('is not %s', async (_, Retention) => {
    const target = await attacked.versionOf('vault', OBJECT);
    const change = (principal: Principal) =>
      attempt(() => attacked.s3(principal).send(new PutObjectRetentionCommand({ ...target, Retention })));
    expect(await ofAllRoles(change)).toEqual([RESOURCE_DENIES]);
    expect([await change(administrator), await change(attacked.cloud.root)]).toEqual([
      RESOURCE_DENIES,
      RESOURCE_DENIES,
    ]);
  });

  it('is not written with a lock of the writer’s own', async () => {
    const lock = { ObjectLockMode: 'GOVERNANCE', ObjectLockRetainUntilDate: new Date('2026-11-23T00:00:00Z') } as const;
    const write = (principal: Principal) =>
      attempt(() => attacked.put(principal, 'vault', OBJECT, { ...under(tenantKeys.oak), ...lock }));
    expect([await write(step('backup/back-up-tenant')), await write(administrator)]).toEqual([
      RESOURCE_DENIES,
      RESOURCE_DENIES,
    ]);
  });

  it('is not written over where S3 lets a policy say so', async () => {
    const writer = step('backup/back-up-tenant');
    expect(await attempt(() => attacked.put(writer, 'vault', namingSecretKey('oak'), under(tenantKeys.oak)))).toBe(
      RESOURCE_DENIES,
    );
    const again = { ...under(tenantKeys.oak), IfNoneMatch: '*' };
    await expect(attacked.put(writer, 'vault', namingSecretKey('oak'), again)).rejects.toMatchObject({
      name: 'PreconditionFailed',
    });
    expect(await attempt(() => attacked.put(writer, 'vault', 'tenants/oak/manifests/0', under(tenantKeys.oak)))).toBe(
      RESOURCE_DENIES,
    );
  });
});

describe('a role behind a path that reads like a role of Daybreak', () => {
  const behind = (path: string): Principal => ({ kind: 'role', arn: `arn:aws:iam::${account}:role/${path}/reader` });

  it('does not read a tenant', async () => {
    const principal = behind('daybreak-restore-test-x');
    attacked.cloud.iam.putRole({ arn: principal.arn, policies: [EVERYTHING] });
    const read = new GetObjectCommand({ Bucket: attacked.bucketName('vault'), Key: OBJECT });
    expect(await attempt(() => attacked.s3(principal).send(read))).toBe(RESOURCE_SILENT);
  });

  it.each(['retention-release', 'erasure-release', 'backup-x'])('releases and puts nothing as %s', async name => {
    const principal = behind(`daybreak-${name}`);
    attacked.cloud.iam.putRole({ arn: principal.arn, policies: [EVERYTHING] });
    const target = await attacked.versionOf('vault', OBJECT);
    const Retention = { Mode: 'GOVERNANCE', EventHold: 'OFF' } as const;
    expect(
      await attempt(() => attacked.s3(principal).send(new PutObjectRetentionCommand({ ...target, Retention }))),
    ).toBe(RESOURCE_DENIES);
    const put = attacked.put(principal, 'vault', objectKey('oak', 'd'.repeat(64)), under(tenantKeys.oak));
    expect(await attempt(() => put)).toBe(RESOURCE_DENIES);
    const { vaultKeyArn, signingKeyArn } = attacked.deployment;
    const through = { 'kms:ViaService': 's3.eu-west-2.amazonaws.com' };
    expect(await attacked.judge(principal, 'kms:Decrypt', vaultKeyArn, through)).toBe(RESOURCE_SILENT);
    expect(await attacked.judge(principal, 'kms:Verify', signingKeyArn)).toBe(RESOURCE_SILENT);
  });
});

describe('a capability that is still to come, over the policies of today', () => {
  const allow = (name: string) => {
    const principal = comingRole(name);
    attacked.cloud.iam.putRole({ arn: principal.arn, policies: [EVERYTHING] });
    return principal;
  };
  const through = (key: string) => ({
    'kms:ViaService': 's3.eu-west-2.amazonaws.com',
    'kms:EncryptionContext:aws:s3:arn': attacked.arnOf('vault', key),
  });

  it.each(['retention', 'archive', 'erasure', 'recovery', 'export', 'pulse', 'backup', 'restore-test'])(
    'reads and writes tenants’ data as %s, and records',
    async capability => {
      const principal = allow(`${capability}-step-to-come`);
      for (const action of ['kms:Decrypt', 'kms:GenerateDataKey']) {
        expect(await attacked.judge(principal, action, tenantKeys.oak, through(OBJECT))).toBe(ALLOWED);
      }
      const { vaultKeyArn, ledgerKeyArn } = attacked.deployment;
      const manifest = through(rootManifestKey('20261122t023000z'));
      expect(await attacked.judge(principal, 'kms:Decrypt', vaultKeyArn, manifest)).toBe(ALLOWED);
      expect(await attacked.judge(principal, 'kms:GetPublicKey', ledgerKeyArn)).toBe(ALLOWED);
      // And nothing but through S3, nor another tenant's.
      expect(await attacked.judge(principal, 'kms:Decrypt', tenantKeys.oak)).toBe(RESOURCE_SILENT);
      expect(await attacked.judge(principal, 'kms:Decrypt', tenantKeys.elm, through(OBJECT))).toBe(RESOURCE_SILENT);
    },
  );

  it.each(['tenants', 'evidence', 'register', 'approval', 'incident', 'rights'])(
    'reads records as %s, and no tenant',
    async capability => {
      const principal = allow(`${capability}-step-to-come`);
      const manifest = through(rootManifestKey('20261122t023000z'));
      expect(await attacked.judge(principal, 'kms:Decrypt', attacked.deployment.vaultKeyArn, manifest)).toBe(ALLOWED);
      expect(await attacked.judge(principal, 'kms:Decrypt', tenantKeys.oak, through(OBJECT))).toBe(RESOURCE_SILENT);
    },
  );

  it.each(['workflows', 'scheduler', 'monitoring'])('reads nothing as %s', async capability => {
    const principal = allow(`${capability}-step-to-come`);
    for (const keyArn of [attacked.deployment.vaultKeyArn, tenantKeys.oak]) {
      expect(await attacked.judge(principal, 'kms:Decrypt', keyArn, through(OBJECT))).toBe(RESOURCE_SILENT);
    }
  });

  it.each<[string, string, (string | undefined)[]]>([
    ['releases', 's3:PutObjectRetention', ['retention-release', 'erasure-release']],
    ['destroys', 'kms:ScheduleKeyDeletion', ['erasure-destroy-key']],
    ['disables', 'kms:DisableKey', ['erasure-destroy-key']],
    ['opens', 'kms:PutKeyPolicy', []],
  ])('%s under its exact name alone', async (_, action, names) => {
    const resource = action.startsWith('s3:') ? attacked.arnOf('vault', OBJECT) : tenantKeys.oak;
    for (const name of [
      'retention-release',
      'erasure-release',
      'erasure-destroy-key',
      'retention-release-now',
      'erasure-destroy-keys',
      'retention-plan',
      'erasure-plan',
      'recovery-plan',
      'backup-complete-all',
    ]) {
      const answer = await attacked.judge(allow(name), action, resource);
      expect([name, answer]).toEqual([name, names.includes(name) ? ALLOWED : RESOURCE_DENIES]);
    }
  });

  it('signs, grants and names tenants under no name of its own', async () => {
    const { signingKeyArn, ledgerKeyArn, entryKeyArn, vaultKeyArn, tenantIdKeyArn } = attacked.deployment;
    const forRds = { 'kms:ViaService': 'rds.eu-west-2.amazonaws.com', 'kms:GrantIsForAWSResource': 'true' };
    for (const name of ['backup-complete-all', 'evidence-append-entry-2', 'recovery-restore', 'erasure-certify']) {
      const principal = allow(name);
      for (const keyArn of [signingKeyArn, ledgerKeyArn, entryKeyArn]) {
        expect(await attacked.judge(principal, 'kms:Sign', keyArn)).toBe(RESOURCE_DENIES);
      }
      expect(await attacked.judge(principal, 'kms:CreateGrant', vaultKeyArn, forRds)).toBe(RESOURCE_SILENT);
      expect(await attacked.judge(principal, 'kms:GenerateMac', tenantIdKeyArn)).toBe(RESOURCE_SILENT);
    }
  });
});

describe('the ledger', () => {
  const appender = step('evidence/append-entry');

  it.each([ENTRY, headKey(1)])('keeps %s, whoever wants it gone', async Key => {
    const version = await attacked.versionOf('evidence', Key);
    const remove = (target: object) => (principal: Principal) =>
      attempt(() => attacked.s3(principal).send(new DeleteObjectCommand({ Bucket: version.Bucket, Key, ...target })));
    for (const target of [version, {}]) {
      expect(await ofAllRoles(remove(target))).toEqual([RESOURCE_DENIES]);
      expect([await remove(target)(administrator), await remove(target)(attacked.cloud.root)]).toEqual([
        RESOURCE_DENIES,
        RESOURCE_DENIES,
      ]);
    }
    const bypassing = remove({ ...version, BypassGovernanceRetention: true });
    expect([await bypassing(administrator), await bypassing(attacked.cloud.root)]).toEqual([
      RESOURCE_DENIES,
      RESOURCE_DENIES,
    ]);
  });

  it.each([ENTRY, headKey(1), ledgerEntryKey(2)])('takes %s only under a condition, and once', async Key => {
    for (const principal of [appender, administrator, attacked.cloud.root]) {
      expect(await attempt(() => attacked.put(principal, 'evidence', Key))).toBe(RESOURCE_DENIES);
      const copy = {
        Bucket: attacked.bucketName('evidence'),
        Key,
        CopySource: `${attacked.bucketName('evidence')}/${ENTRY}`,
      };
      expect(await attempt(() => attacked.s3(principal).send(new CopyObjectCommand(copy)))).toBe(RESOURCE_DENIES);
      const upload = new CreateMultipartUploadCommand({ Bucket: attacked.bucketName('evidence'), Key });
      expect(await attempt(() => attacked.s3(principal).send(upload))).toBe(RESOURCE_DENIES);
    }
    if (Key === ledgerEntryKey(2)) return;
    await expect(attacked.put(appender, 'evidence', Key, asEvidence())).rejects.toMatchObject({
      name: 'PreconditionFailed',
    });
  });

  it('is written, and signed, by nobody else', async () => {
    const once = putAsEvidence();
    for (const key of [headKey(1), 'segments/000000001.json']) {
      expect(await attacked.whoMay('s3:PutObject', attacked.arnOf('evidence', key), once)).toEqual([
        'evidence-append-entry',
      ]);
    }
    // What reads events that attackers write adds entries, and signs nothing.
    expect(await attacked.whoMay('s3:PutObject', attacked.arnOf('evidence', ENTRY), once)).toEqual([
      'evidence-append-entry',
      'evidence-record-tampering',
    ]);
    // Each key signs for one purpose, and signs nothing else.
    const { signingKeyArn, ledgerKeyArn, entryKeyArn } = attacked.deployment;
    expect(await attacked.whoMay('kms:Sign', signingKeyArn)).toEqual(['backup-complete']);
    expect(await attacked.whoMay('kms:Sign', ledgerKeyArn)).toEqual(['evidence-append-entry']);
    expect(await attacked.whoMay('kms:Sign', entryKeyArn)).toEqual([
      'evidence-append-entry',
      'evidence-record-tampering',
    ]);
    for (const keyArn of [signingKeyArn, ledgerKeyArn, entryKeyArn]) {
      for (const principal of [widened, administrator, operator, attacked.cloud.root]) {
        expect(await attacked.judge(principal, 'kms:Sign', keyArn)).toBe(RESOURCE_DENIES);
      }
      // Which locks nobody out of the key.
      expect(await attacked.judge(attacked.cloud.root, 'kms:PutKeyPolicy', keyArn)).toBe(ALLOWED);
    }
  });
});

describe('what is put into the buckets', () => {
  const appenders = ['evidence-append-entry', 'evidence-record-tampering'];
  const workers = [
    'backup-fingerprint',
    'backup-list-tenants',
    'backup-back-up-tenant',
    'backup-settle-tenants',
    'restore-test-hydrate',
    'restore-test-verify-database',
    'restore-test-plan-objects',
    'daily-backup',
    'restore-test',
  ];

  /** Where all roles of the backup may put, as far as the bucket is concerned: which of them do is said by their own policies. */
  const BY_CAPABILITY = /^(?:fingerprints|tenants|shared|work|anything)\//;

  it.each<[Bucket, string, readonly string[]]>([
    ['evidence', ledgerEntryKey(9), appenders],
    ['evidence', headKey(9), ['evidence-append-entry']],
    ['evidence', 'segments/000000009.json', ['evidence-append-entry']],
    ['evidence', 'restore-tests/20261122t023000z.json', ['restore-test-conclude']],
    ['evidence', 'anything/else', []],
    ['vault', rootManifestKey('20261122t023000z'), ['backup-complete']],
    ['vault', 'fingerprints/20261122t023000z/school/before.json.zst', ['backup-fingerprint']],
    ['vault', OBJECT, ['backup-back-up-tenant']],
    ['vault', 'shared/objects/a', ['backup-back-up-tenant']],
    ['vault', tenantNameKey('a'), ['backup-list-tenants']],
    ['vault', 'anything/else', []],
    ['work', 'work/20261122t023000z/backup-items.jsonl', workers],
    ['work', 'work/tenant-keys/oak.json', [...workers, 'tenants-ensure-key']],
    ['work', LEDGER_PROJECTION_KEY, ['evidence-append-entry']],
    ['work', 'pulse/found-wrong.json', ['pulse-read-back']],
    ['work', 'scratch/20261122t023000z/a', ['restore-test-verify-objects']],
    ['work', 'anything/else', []],
  ])('is put by its writers alone: %s bucket, %s', async (bucket, key, writers) => {
    const arn = attacked.arnOf(bucket, key);
    expect((await attacked.whoMay('s3:PutObject', arn, putAsEvidence())).sort()).toEqual([...writers].sort());
    for (const principal of [stranger, administrator, operator, attacked.cloud.root]) {
      expect(await attacked.judge(principal, 's3:PutObject', arn, putAsEvidence())).toBe(RESOURCE_DENIES);
    }
    const isOpen = bucket !== 'evidence' && BY_CAPABILITY.test(key);
    expect(await attacked.judge(widened, 's3:PutObject', arn, putAsEvidence())).toBe(
      isOpen ? ALLOWED : RESOURCE_DENIES,
    );
  });

  it('is denied to a writer whom somebody has allowed more', async () => {
    const own = await AttackedAccount.create();
    const writer = step('restore-test/conclude');
    own.cloud.iam.putRole({ arn: writer.arn, policies: [EVERYTHING] });
    const put = (bucket: Bucket, key: string) =>
      own.judge(writer, 's3:PutObject', own.arnOf(bucket, key), putAsEvidence(own));
    expect(await put('evidence', 'restore-tests/20261122t023000z.json')).toBe(ALLOWED);
    for (const [bucket, key] of [
      ['evidence', ledgerEntryKey(9)],
      ['evidence', headKey(9)],
      ['vault', rootManifestKey('20261122t023000z')],
      ['work', LEDGER_PROJECTION_KEY],
      ['work', 'pulse/found-wrong.json'],
    ] as const) {
      expect(await put(bucket, key)).toBe(RESOURCE_DENIES);
    }
    await own.cloud.close();
  });

  it.each([
    ['no key named', {}],
    ['SSE-KMS and no key named', { ServerSideEncryption: 'aws:kms' }],
    ['the key named by its id', () => under(attacked.deployment.vaultKeyArn.split('/')[1] ?? '')],
    ['another key named', () => under(otherKey)],
  ] as const)('is refused as evidence with %s', async (_, options) => {
    const more = { ...(typeof options === 'function' ? options() : options), IfNoneMatch: '*' };
    const appender = step('evidence/append-entry');
    expect(await attempt(() => attacked.put(appender, 'evidence', ledgerEntryKey(9), more))).toBe(RESOURCE_DENIES);
  });
});

describe('encryption', () => {
  const customerKey = 'k'.repeat(32);
  const writers: Record<Exclude<Bucket, 'register'>, Principal> = {
    vault: step('backup/back-up-tenant'),
    evidence: step('evidence/append-entry'),
    work: step('restore-test/verify-objects'),
  };

  it.each<[string, keyof typeof writers, string, () => Partial<PutObjectCommandInput>, string]>([
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
    ['a tenant under the vault key', 'vault', OBJECT, () => under(attacked.deployment.vaultKeyArn), RESOURCE_DENIES],
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
      'evidence under a key sent along',
      'evidence',
      ledgerEntryKey(9),
      () => ({ SSECustomerAlgorithm: 'AES256', SSECustomerKey: customerKey, IfNoneMatch: '*' }),
      RESOURCE_DENIES,
    ],
    [
      'evidence under another key',
      'evidence',
      ledgerEntryKey(9),
      () => ({ ...under(otherKey), IfNoneMatch: '*' }),
      RESOURCE_DENIES,
    ],
    [
      'a restored file under S3’s own key',
      'work',
      'scratch/a',
      () => ({ ServerSideEncryption: 'AES256' }),
      RESOURCE_DENIES,
    ],
    [
      'a restored file under a key sent along',
      'work',
      'scratch/a',
      () => ({ SSECustomerAlgorithm: 'AES256', SSECustomerKey: customerKey }),
      RESOURCE_DENIES,
    ],
    [
      'a restored file under a key of another account',
      'work',
      'scratch/a',
      () => under('arn:aws:kms:eu-west-2:999999999999:key/00000000-0000-4000-8000-000000000001'),
      RESOURCE_DENIES,
    ],
  ])('refuses %s', async (_, bucket, key, options, expected) => {
    expect(await attempt(() => attacked.put(writers[bucket], bucket, key, options()))).toBe(expected);
    expect(await attempt(() => attacked.put(administrator, bucket, key, options()))).toBe(RESOURCE_DENIES);
  });

  it.each<Bucket>(['vault', 'evidence', 'work', 'register'])('refuses plain HTTP and old TLS for %s', async bucket => {
    for (const principal of [attacked.cloud.root, administrator, ...ROLES]) {
      for (const context of [{ 'aws:SecureTransport': 'false' }, { 's3:TlsVersion': '1.1' }]) {
        expect(await attacked.judge(principal, 's3:GetObject', attacked.arnOf(bucket, 'a'), context)).toBe(
          RESOURCE_DENIES,
        );
        expect(await attacked.judge(principal, 's3:ListBucket', attacked.arnOf(bucket), context)).toBe(RESOURCE_DENIES);
      }
    }
    const request = {
      service: 's3',
      method: 'GET',
      path: `/${attacked.bucketName(bucket)}/a`,
      query: {},
      headers: {},
    } as const;
    const { status, body } = await attacked.cloud.s3.handle({
      ...request,
      body: undefined,
      principal: attacked.cloud.root,
      secure: false,
    });
    expect([status, String(body)]).toEqual([403, expect.stringContaining('explicit deny in a resource-based policy')]);
  });

  it('stays as it was written', async () => {
    for (const principal of [...ROLES, administrator, attacked.cloud.root]) {
      for (const bucket of ['vault', 'evidence', 'work'] as const) {
        const answer = await attacked.judge(principal, 's3:UpdateObjectEncryption', attacked.arnOf(bucket, 'a'));
        expect(answer).toBe(ROLES.includes(principal) ? IDENTITY_DENIES : RESOURCE_DENIES);
      }
    }
  });
});

describe('keys', () => {
  const signing = () => {
    const { signingKeyArn, ledgerKeyArn, entryKeyArn } = attacked.deployment;
    return [signingKeyArn, ledgerKeyArn, entryKeyArn];
  };
  const keys = () => [attacked.deployment.vaultKeyArn, ...signing(), ...Object.values(tenantKeys)];

  it('are never disabled, destroyed or given another policy by a role of Daybreak', async () => {
    for (const KeyId of keys()) {
      for (const command of [
        new DisableKeyCommand({ KeyId }),
        new ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays: 7 }),
        new PutKeyPolicyCommand({ KeyId, Policy: JSON.stringify(EVERYTHING) }),
      ]) {
        const change = (principal: Principal) =>
          attempt(() => attacked.kms(principal).send(command as DisableKeyCommand));
        expect(await ofAllRoles(change)).toEqual([IDENTITY_DENIES]);
        expect(await change(widened)).toBe(RESOURCE_DENIES);
      }
      // Whoever administers the account can: the keys must outlive Daybreak's own roles.
      expect(await attacked.judge(administrator, 'kms:ScheduleKeyDeletion', KeyId)).toBe(ALLOWED);
    }
  });

  it('are created by one role, for tenants, to encrypt, in one Region', async () => {
    const create = (principal: Principal, more: CreateKeyRequest) =>
      attempt(() =>
        attacked.kms(principal).send(new CreateKeyCommand({ BypassPolicyLockoutSafetyCheck: true, ...more })),
      );
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
        attacked.cloud.iam.authorize({
          principal: creator,
          action: 'kms:CreateKey',
          resource: '*',
          context: multiRegion,
        }),
      ),
    ).toBe(NOT_ALLOWED);
  });

  it('are granted by nobody but RDS', async () => {
    for (const KeyId of keys().filter(key => !signing().includes(key))) {
      const command = { KeyId, GranteePrincipal: administrator.arn, Operations: ['Decrypt' as const] };
      const grant = (principal: Principal) =>
        attempt(() => attacked.kms(principal).send(new CreateGrantCommand(command)));
      expect(await ofAllRoles(grant)).toEqual([IDENTITY_DENIES]);
      expect([await grant(widened), await grant(administrator)]).toEqual([RESOURCE_SILENT, RESOURCE_SILENT]);
    }
    const through = (region: string) => ({
      'kms:ViaService': `rds.${region}.amazonaws.com`,
      'kms:GrantIsForAWSResource': 'true',
    });
    const { vaultKeyArn } = attacked.deployment;
    expect(await attacked.whoMay('kms:CreateGrant', vaultKeyArn, through('eu-west-2'))).toEqual([
      'backup-copy-snapshot',
      'restore-test-restore-database',
    ]);
    // A snapshot under the vault key is copied to no other Region, and restored by no one else.
    expect(await attacked.whoMay('kms:CreateGrant', vaultKeyArn, through('eu-west-1'))).toEqual([]);
    for (const region of ['eu-west-1', 'eu-west-2']) {
      expect(await attacked.judge(administrator, 'kms:CreateGrant', vaultKeyArn, through(region))).toBe(
        RESOURCE_SILENT,
      );
    }
  });
});

describe('what is readable', () => {
  const read = (principal: Principal, bucket: Bucket, Key: string) =>
    attempt(() => attacked.s3(principal).send(new GetObjectCommand({ Bucket: attacked.bucketName(bucket), Key })));

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
    expect(await attempt(() => attacked.put(operator, 'vault', manifest))).toBe(RESOURCE_DENIES);
  });

  it('of tenants, is for the two steps that carry it, of every tenant alike', async () => {
    const readers = [step('backup/back-up-tenant'), step('restore-test/verify-objects')];
    for (const principal of ROLES) {
      const answer = await read(principal, 'vault', OBJECT);
      expect(answer).toBe(readers.some(({ arn }) => arn === principal.arn) ? ALLOWED : NOT_ALLOWED);
    }
    // But no key opens another tenant's objects.
    const context = {
      'kms:ViaService': 's3.eu-west-2.amazonaws.com',
      'kms:EncryptionContext:aws:s3:arn': attacked.arnOf('vault', OBJECT),
    };
    expect(await attacked.whoMay('kms:Decrypt', tenantKeys.oak, context)).toEqual([
      'backup-back-up-tenant',
      'restore-test-verify-objects',
    ]);
    expect(await attacked.whoMay('kms:Decrypt', tenantKeys.elm, context)).toEqual([]);
  });

  it('of ids of tenants, is for the step that names them, and for no other', async () => {
    const { tenantIdKeyArn } = attacked.deployment;
    expect(await attacked.whoMay('s3:GetObject', attacked.arnOf('vault', tenantNameKey('a')))).toEqual([
      'backup-list-tenants',
    ]);
    expect(await attacked.whoMay('kms:GenerateMac', tenantIdKeyArn)).toEqual(['backup-list-tenants']);
    for (const action of ['kms:GenerateMac', 'kms:VerifyMac']) {
      for (const principal of [widened, administrator, operator]) {
        expect(await attacked.judge(principal, action, tenantIdKeyArn)).toBe(RESOURCE_SILENT);
      }
    }
  });

  it('of the databases, is for the steps that measure', async () => {
    const [database] = exampleConfiguration.databases;
    const user = (resourceId: string) => `arn:aws:rds-db:eu-west-2:${account}:dbuser:${resourceId}/daybreak_reader`;
    const live = user(database?.resourceId ?? '');
    expect(await attacked.whoMay('rds-db:connect', live)).toEqual(['backup-fingerprint']);
    for (const verifier of ['restore-test/hydrate', 'restore-test/verify-database'] as const) {
      expect(await attacked.judge(step(verifier), 'rds-db:connect', live)).toBe(IDENTITY_DENIES);
    }
    expect(await attacked.whoMay('rds-db:connect', user('db-RESTORED'))).toEqual([
      'restore-test-hydrate',
      'restore-test-verify-database',
    ]);
  });
});

describe('settings and ways out', () => {
  it.each([
    's3:PutBucketAcl',
    's3:PutBucketNotification',
    's3:PutBucketOwnershipControls',
    's3:PutBucketPolicy',
    's3:DeleteBucketPolicy',
    's3:PutBucketVersioning',
    's3:PutBucketObjectLockConfiguration',
    's3:PutInventoryConfiguration',
    's3:PutLifecycleConfiguration',
    's3:PutReplicationConfiguration',
    's3:PutEncryptionConfiguration',
    's3:PutBucketPublicAccessBlock',
    's3:DeleteBucket',
  ])('no role of Daybreak has %s', async action => {
    for (const bucket of ['vault', 'evidence', 'work'] as const) {
      const ask = (principal: Principal) => attacked.judge(principal, action, attacked.arnOf(bucket));
      expect(await ofAllRoles(ask)).toEqual([IDENTITY_DENIES]);
      expect(await ask(widened)).toBe(RESOURCE_DENIES);
    }
  });

  it.each([
    's3:CreateAccessPoint',
    's3:PutAccountPublicAccessBlock',
    's3:UpdateObjectEncryption',
    's3:PutObjectAcl',
    'kms:PutKeyPolicy',
    'rds:ModifyDBSnapshotAttribute',
    'rds:StartExportTask',
    'iam:PassRole',
    'iam:AttachRolePolicy',
    'sts:AssumeRole',
    'sts:AssumeRoleWithWebIdentity',
    'lambda:UpdateFunctionCode',
    'lambda:UpdateFunctionConfiguration',
    'lambda:AddPermission',
    'states:UpdateStateMachine',
    'scheduler:UpdateSchedule',
    'scheduler:DeleteSchedule',
    'cloudformation:DeleteStack',
    'cloudtrail:StopLogging',
    'cloudtrail:PutEventSelectors',
    'events:DisableRule',
    'events:RemoveTargets',
    'cloudwatch:DeleteAlarms',
    'cloudwatch:DisableAlarmActions',
    'logs:DeleteLogGroup',
    'logs:PutRetentionPolicy',
    'sns:Unsubscribe',
    'sns:SetTopicAttributes',
    'ec2:AuthorizeSecurityGroupEgress',
    'ec2:ModifyVpcEndpoint',
  ])('the guardrails of every role deny %s, whatever it is allowed besides', async action => {
    expect(await ofAllRoles(principal => attacked.judge(principal, action, '*'))).toEqual([IDENTITY_DENIES]);
  });

  it('replicates nothing in or out', async () => {
    for (const principal of [administrator, widened, ...ROLES]) {
      for (const bucket of ['vault', 'evidence'] as const) {
        expect(await attacked.judge(principal, 's3:ReplicateObject', attacked.arnOf(bucket, 'a'))).toBe(
          RESOURCE_DENIES,
        );
      }
      for (const bucket of ['vault', 'evidence', 'work'] as const) {
        expect(await attacked.judge(principal, 's3:GetObjectVersionForReplication', attacked.arnOf(bucket, 'a'))).toBe(
          RESOURCE_DENIES,
        );
      }
    }
  });

  it('shares no snapshot, and copies none to another Region', async () => {
    const snapshot = `arn:aws:rds:eu-west-2:${account}:snapshot:daybreak-wellbeing-20261122t023000z`;
    expect(await ofAllRoles(principal => attacked.judge(principal, 'rds:ModifyDBSnapshotAttribute', snapshot))).toEqual(
      [IDENTITY_DENIES],
    );
    expect(await attacked.whoMay('rds:CopyDBSnapshot', snapshot)).toEqual(['backup-copy-snapshot']);
    const abroad = { 'aws:RequestedRegion': 'eu-west-1' };
    expect(await attacked.whoMay('rds:CopyDBSnapshot', snapshot, abroad)).toEqual([]);
    for (const action of ['rds:CopyDBSnapshot', 's3:PutObject', 'kms:Decrypt']) {
      expect(await ofAllRoles(principal => attacked.judge(principal, action, snapshot, abroad))).toEqual([
        IDENTITY_DENIES,
      ]);
    }
  });

  it('deletes copies of a database, and versions of the vault, by nobody who does not have to', async () => {
    const snapshot = (name: string) => `arn:aws:rds:eu-west-2:${account}:snapshot:daybreak-${name}-20261122t023000z`;
    expect(await attacked.whoMay('rds:DeleteDBSnapshot', snapshot('intermediate-wellbeing'))).toEqual([
      'backup-create-snapshot',
      'backup-delete-intermediate',
    ]);
    const left = { 'aws:ResourceTag/daybreak:purpose': 'intermediate' };
    expect(await attacked.whoMay('rds:DeleteDBSnapshot', snapshot('intermediate-wellbeing'), left)).toEqual([
      'backup-create-snapshot',
      'backup-delete-intermediate',
      'backup-remove-unproved',
    ]);
    // It replaces a copy that failed or proves nothing. RDS has no lock, and no condition key for a snapshot's status.
    const unproved = { 'aws:ResourceTag/daybreak:purpose': 'unproved-copy' };
    expect(await attacked.whoMay('rds:DeleteDBSnapshot', snapshot('wellbeing'), unproved)).toEqual([
      'backup-copy-snapshot',
      'backup-remove-unproved',
    ]);
    expect(await attacked.whoMay('rds:DeleteDBSnapshot', snapshot('wellbeing'), left)).toEqual([]);
    expect(await attacked.whoMay('rds:DeleteDBSnapshot', snapshot('formerly'), unproved)).toEqual([]);
    const foreign = `arn:aws:rds:eu-west-2:${account}:snapshot:before-migration-20261122t023000z`;
    for (const tags of [left, unproved])
      expect(await attacked.whoMay('rds:DeleteDBSnapshot', foreign, tags)).toEqual([]);
    const proved = { 'aws:ResourceTag/daybreak:purpose': 'recovery-point' };
    expect(await attacked.whoMay('rds:DeleteDBSnapshot', snapshot('wellbeing'), proved)).toEqual([]);
    expect(await attacked.whoMay('rds:DeleteDBSnapshot', snapshot('wellbeing'))).toEqual([]);
    expect(await attacked.whoMay('rds:DeleteDBSnapshot', snapshot('wellbeing-before-migration'), unproved)).toEqual([]);
    const instance = `arn:aws:rds:eu-west-2:${account}:db:`;
    const tagged = { 'aws:ResourceTag/daybreak:purpose': 'restore-test' };
    expect(await attacked.whoMay('rds:DeleteDBInstance', `${instance}wellbeing-production`, tagged)).toEqual([]);
    expect(await attacked.whoMay('rds:DeleteDBInstance', `${instance}daybreak-test-foreign`)).toEqual([]);
    expect(
      await attacked.whoMay('rds:DeleteDBInstance', `${instance}daybreak-test-wellbeing-2611220230`, tagged),
    ).toEqual(['restore-test-tear-down', 'restore-test-remove-abandoned']);
    for (const key of [OBJECT, 'shared/objects/a', rootManifestKey('20261122t023000z'), 'fingerprints/a']) {
      expect(await attacked.whoMay('s3:DeleteObjectVersion', attacked.arnOf('vault', key))).toEqual([]);
    }
  });
});

describe('the purpose of a resource', () => {
  const rds = (resource: string) => `arn:aws:rds:eu-west-2:${account}:${resource}`;
  const copy = rds('snapshot:daybreak-wellbeing-20261122t023000z');
  const instance = rds('db:daybreak-test-wellbeing-2611220230');
  const sets = (purpose: string, was?: string) => ({
    'aws:RequestTag/daybreak:purpose': purpose,
    'aws:TagKeys': ['daybreak:purpose'],
    ...(was && { 'aws:ResourceTag/daybreak:purpose': was }),
  });

  it.each<[string, string, Record<string, string | string[]>, string[]]>([
    [copy, 'a copy is unproved as it is made', sets('unproved-copy'), ['backup-copy-snapshot']],
    [copy, 'and proved in the end', sets('recovery-point', 'unproved-copy'), ['backup-complete']],
    [copy, 'but never unproved again', sets('unproved-copy', 'recovery-point'), []],
    [copy, 'and nothing else', sets('restore-test', 'recovery-point'), []],
    [copy, 'nor under another tag beside', { ...sets('recovery-point'), 'aws:TagKeys': ['daybreak:purpose', 'a'] }, []],
    [instance, 'a restored instance is one as it is made', sets('restore-test'), ['restore-test-restore-database']],
    [instance, 'but one of another purpose does not become one', sets('restore-test', 'production'), []],
    [rds('db:wellbeing-production'), 'least of all the live one', sets('restore-test'), []],
  ])('%s: %s', async (resource, _what, context, who) => {
    expect(await attacked.whoMay('rds:AddTagsToResource', resource, context)).toEqual(who);
    expect(await attacked.whoMay('rds:RemoveTagsFromResource', resource, context)).toEqual([]);
  });

  it('is what a restored instance is made with, and it is not public', async () => {
    const restore = (context: Record<string, string | string[]>) =>
      attacked.whoMay('rds:RestoreDBInstanceFromDBSnapshot', instance, context);
    const isolated = { ...sets('restore-test'), 'rds:PubliclyAccessible': 'false' };
    expect(await restore(isolated)).toEqual(['restore-test-restore-database']);
    expect(await restore({ ...isolated, 'rds:PubliclyAccessible': 'true' })).toEqual([]);
    expect(await restore({ 'rds:PubliclyAccessible': 'false' })).toEqual([]);
  });

  it('is not taken from a key that has one', async () => {
    const tag = (was?: string) => attacked.whoMay('kms:TagResource', otherKey, sets('tenant', was));
    expect(await tag()).toEqual(['tenants-ensure-key']);
    expect(await tag('vault')).toEqual([]);
  });
});

describe('what an administrator does, succeeds or not, is noticed', () => {
  const target = { Bucket: '', Key: objectKey('oak', 'c'.repeat(64)), VersionId: '' };
  const send = (command: DeleteObjectCommand) => watched.s3(administrator).send(command);
  const release = { Retention: { Mode: 'GOVERNANCE', EventHold: 'OFF' } } as const;
  const elm = { KeyId: '' };
  let watched: AttackedAccount;
  beforeAll(async () => {
    watched = await AttackedAccount.create();
    const oak = await watched.createTenantKey('oak');
    elm.KeyId = await watched.createTenantKey('elm');
    await watched.put(step('backup/back-up-tenant'), 'vault', target.Key, under(oak));
    Object.assign(target, await watched.versionOf('vault', target.Key));
    const { vaultKeyArn } = watched.deployment;
    await watched.put(step('evidence/append-entry'), 'evidence', headKey(1), {
      ...under(vaultKeyArn),
      IfNoneMatch: '*',
    });
  });
  afterAll(() => watched?.cloud.close());
  const asKms = (command: DisableKeyCommand) => watched.kms(administrator).send(command);
  const bypass = { BypassGovernanceRetention: true };
  const head = () => watched.versionOf('evidence', headKey(1));

  it.each<[string, () => Promise<unknown>, answer: string, noticed: string]>([
    ['deletes a locked version', () => send(new DeleteObjectCommand(target)), LOCKED, 'objects (refused)'],
    [
      'hides it',
      () => send(new DeleteObjectCommand({ Bucket: target.Bucket, Key: target.Key })),
      RESOURCE_DENIES,
      'objects (refused)',
    ],
    [
      'releases it',
      () => send(new PutObjectRetentionCommand({ ...target, ...release }) as never),
      RESOURCE_DENIES,
      'objects (refused)',
    ],
    [
      'deletes many at once',
      () =>
        send(
          new DeleteObjectsCommand({
            Bucket: target.Bucket,
            Delete: { Objects: [{ Key: target.Key, VersionId: target.VersionId }], Quiet: true },
          }) as never,
        ),
      ALLOWED,
      'objects',
    ],
    [
      'deletes a head of the ledger',
      async () => send(new DeleteObjectCommand({ ...(await head()), ...bypass })),
      RESOURCE_DENIES,
      'objects (refused)',
    ],
    ['bypasses governance', () => send(new DeleteObjectCommand({ ...target, ...bypass })), ALLOWED, 'objects'],
    ["disables a tenant's key", () => asKms(new DisableKeyCommand({ ...elm })), ALLOWED, 'key-changed'],
    [
      "schedules a tenant's key for deletion",
      () => asKms(new ScheduleKeyDeletionCommand({ ...elm, PendingWindowInDays: 7 }) as never),
      ALLOWED,
      'key-changed',
    ],
    ['cancels that', () => asKms(new CancelKeyDeletionCommand({ ...elm }) as never), ALLOWED, 'key-changed'],
    [
      'lets himself in by a key policy',
      () => asKms(new PutKeyPolicyCommand({ ...elm, Policy: openPolicy() }) as never),
      ALLOWED,
      'key-changed',
    ],
    [
      'grants himself a key',
      () =>
        asKms(new EnableKeyCommand(elm) as never).then(() =>
          asKms(
            new CreateGrantCommand({
              ...elm,
              GranteePrincipal: administrator.arn,
              Operations: ['Decrypt'],
            }) as never,
          ),
        ),
      ALLOWED,
      'grants',
    ],
    [
      "moves a tenant's alias to another key",
      () =>
        asKms(
          new UpdateAliasCommand({
            AliasName: 'alias/daybreak/tenant/elm',
            TargetKeyId: watched.cloud.kms.createKeyFromTemplate({}).keyArn,
          }) as never,
        ),
      ALLOWED,
      'aliases',
    ],
  ])('when he %s', async (_, act, answer, rule) => {
    let answered = '';
    const noticed = await watched.noticed(async () => {
      answered = await attempt(act);
    });
    expect([answered, noticed]).toEqual([answer, [rule]]);
  });

  it('has an entry in the ledger for each, but one for all that was refused, and an alarm', async () => {
    const entries = await watched.ledger();
    expect(entries.map(({ kind, body }) => `${kind}: ${body.rule}, ${body.eventName}`)).toEqual([
      'tampering.refused: objects, DeleteObject',
      'tampering.seen: objects, DeleteObjects',
      'tampering.seen: objects, DeleteObject',
      'tampering.seen: key-changed, DisableKey',
      'tampering.seen: key-changed, ScheduleKeyDeletion',
      'tampering.seen: key-changed, CancelKeyDeletion',
      'tampering.seen: key-changed, PutKeyPolicy',
      'tampering.seen: grants, CreateGrant',
      'tampering.seen: aliases, UpdateAlias',
    ]);
    expect(entries.map(({ body }) => body.bypassedGovernance)).toEqual([
      undefined,
      undefined,
      true,
      ...Array(6).fill(undefined),
    ]);
    expect(new Set(entries.map(({ actor }) => actor)).size).toBe(1);
    await watched.cloud.clock.advance(60_000);
    expect(watched.sounding()).toEqual([
      'tamper-key-changed',
      'tamper-grants',
      'tamper-aliases',
      'tamper-objects',
      'tampering-refused',
    ]);
  });

  it('alarms also when he disables the key that the ledger is under first', async () => {
    await watched.cloud.clock.advance(20 * 60_000);
    expect(watched.sounding()).toEqual([]);
    const { vaultKeyArn } = watched.deployment;
    expect(await watched.noticed(() => asKms(new DisableKeyCommand({ KeyId: vaultKeyArn })))).toEqual(['key-changed']);
    await watched.cloud.clock.advance(60_000);
    expect(watched.sounding()).toEqual(['tamper-key-changed', 'tampering-recorder-failing']);
    await watched.cloud.clock.advance(4 * 60_000);
    expect(watched.sounding()).toContain('tampering-not-recorded');
  });

  const openPolicy = () =>
    JSON.stringify({
      Version: '2012-10-17',
      Statement: [
        { Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${account}:root` }, Action: 'kms:*', Resource: '*' },
      ],
    });
});
