import {
  CreateAliasCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  GetKeyPolicyCommand,
  ListAliasesCommand,
  ListKeysCommand,
  ListResourceTagsCommand,
  ScheduleKeyDeletionCommand,
} from '@aws-sdk/client-kms';
import { beforeEach, describe, expect, it } from 'vitest';
import type { LedgerDraft } from '../../../functions/contracts/ledger.ts';
import { namingSecretKey, tenantKeyAlias } from '../../../functions/contracts/vault-layout.ts';
import { handler } from '../../../functions/tenants/ensure-key.ts';
import { LocalIam } from '../../../infra/local/iam/authorizer.ts';
import { type Interception, stepRuntime, type TestRuntime } from '../../fixtures/step-runtime.ts';

let cloud: TestRuntime;
let standingKeys: number;
/** What the ledger was asked to record. */
let drafts: LedgerDraft[];
beforeEach(async () => {
  cloud = stepRuntime();
  drafts = [];
  standingKeys = await countKeys();
});

/** As the workflow does: a new key is recorded, then called for again. */
async function ensure(tenant: string | null): Promise<string> {
  const { keyArn, draft } = await cloud.invoke(handler, { tenant });
  if (draft === null) return keyArn;
  drafts.push(draft);
  return (await cloud.invoke(handler, { tenant, recordedKeyArn: keyArn })).keyArn;
}
const countKeys = async () => (await cloud.keys.send(new ListKeysCommand({}))).Keys?.length ?? 0;
const MINUTE_MS = 60_000;

describe('ensure-key', () => {
  it('creates, tags and names a tenant’s key once', async () => {
    const keyArn = await ensure('oakfield');
    expect(await ensure('oakfield')).toBe(keyArn);
    expect(await countKeys()).toBe(standingKeys + 1);
    const { KeyMetadata } = await cloud.keys.send(new DescribeKeyCommand({ KeyId: tenantKeyAlias('oakfield') }));
    expect(KeyMetadata).toMatchObject({ Arn: keyArn, KeyState: 'Enabled', Description: 'Daybreak: tenant oakfield' });
    const { Tags } = await cloud.keys.send(new ListResourceTagsCommand({ KeyId: keyArn }));
    expect(Object.fromEntries((Tags ?? []).map(({ TagKey, TagValue }) => [TagKey, TagValue]))).toEqual({
      'daybreak:purpose': 'tenant',
      'daybreak:tenant': 'oakfield',
    });
    expect(drafts).toEqual([
      {
        eventId: `tenant-key/${KeyMetadata?.KeyId}`,
        kind: 'tenant-key.created',
        actor: 'workflow/daily-backup',
        subject: 'oakfield',
        body: { keyArn },
      },
    ]);
    expect(await ensure('riverside')).not.toBe(keyArn);
  });

  it('names what its policy has conditions on, and leaves nothing of it to a default', async () => {
    const created: unknown[] = [];
    cloud.intercept(async (request, next) => {
      if (`${request.headers['x-amz-target']}`.endsWith('.CreateKey')) {
        created.push(JSON.parse(Buffer.from(request.body as Uint8Array).toString('utf8')));
      }
      return next();
    });
    await ensure('oakfield');
    expect(created).toEqual([expect.objectContaining({ KeySpec: 'SYMMETRIC_DEFAULT', MultiRegion: false })]);
  });

  it('answers with one call for a key that is there', async () => {
    await ensure('oakfield');
    cloud.requests.length = 0;
    await ensure('oakfield');
    expect(cloud.requests).toEqual(['kms DescribeKey']);
  });

  it('can be found by nobody before it was recorded, and then by the same entry', async () => {
    const { keyArn, draft } = await cloud.invoke(handler, { tenant: 'oakfield' });
    await expect(cloud.keys.send(new DescribeKeyCommand({ KeyId: tenantKeyAlias('oakfield') }))).rejects.toThrow();
    await expect(cloud.invoke(handler, { tenant: 'oakfield' })).rejects.toMatchObject({ name: 'RetryableError' });
    await cloud.clock.advance(21 * MINUTE_MS);
    expect(await cloud.invoke(handler, { tenant: 'oakfield' })).toEqual({ keyArn, draft });
    expect(await countKeys()).toBe(standingKeys + 1);
  });

  it('never names another’s key', async () => {
    const { keyArn } = await cloud.invoke(handler, { tenant: 'riverside' });
    for (const recordedKeyArn of [keyArn, cloud.deployment.vaultKeyArn]) {
      await expect(cloud.invoke(handler, { tenant: 'oakfield', recordedKeyArn })).rejects.toMatchObject({
        name: 'RetryableError',
      });
    }
    await expect(cloud.keys.send(new DescribeKeyCommand({ KeyId: tenantKeyAlias('oakfield') }))).rejects.toThrow();
  });

  it('uses the vault’s key for no tenant', async () => {
    expect(await ensure(null)).toBe(cloud.deployment.vaultKeyArn);
    expect(await countKeys()).toBe(standingKeys);
  });

  it.each(['../x', '', 'a b', 'x'.repeat(64)])('refuses the tenant id %j', async tenant => {
    await expect(ensure(tenant)).rejects.toMatchObject({ name: 'InvalidInputError' });
  });

  it('creates one key when many runs want it at once', async () => {
    const arns = await Promise.all(Array.from({ length: 8 }, () => ensure('oakfield')));
    expect(new Set(arns).size).toBe(1);
    expect(await countKeys()).toBe(standingKeys + 1);
  });
});

describe('ensure-key, for a key that cannot be used', () => {
  it('never makes a new one where the key is disabled or going to be deleted', async () => {
    const keyArn = await ensure('oakfield');
    await cloud.keys.send(new DisableKeyCommand({ KeyId: keyArn }));
    await expect(ensure('oakfield')).rejects.toMatchObject({ name: 'TenantKeyUnusableError' });
    await cloud.keys.send(new ScheduleKeyDeletionCommand({ KeyId: keyArn, PendingWindowInDays: 7 }));
    await expect(ensure('oakfield')).rejects.toMatchObject({ name: 'TenantKeyUnusableError' });
    expect(await countKeys()).toBe(standingKeys + 1);
  });

  it('never makes a new one while the vault holds what was under a destroyed one', async () => {
    const keyArn = await ensure('oakfield');
    await cloud.put('vault', namingSecretKey('oakfield'), 'x', {
      ServerSideEncryption: 'aws:kms',
      SSEKMSKeyId: keyArn,
    });
    await cloud.keys.send(new ScheduleKeyDeletionCommand({ KeyId: keyArn, PendingWindowInDays: 7 }));
    await cloud.clock.advance(9 * 24 * 60 * MINUTE_MS);
    const { Aliases } = await cloud.keys.send(new ListAliasesCommand({}));
    expect(Aliases?.map(({ AliasName }) => AliasName)).not.toContain(tenantKeyAlias('oakfield'));
    await expect(ensure('oakfield')).rejects.toMatchObject({ name: 'TenantKeyUnusableError' });
    expect(await countKeys()).toBe(standingKeys);
  });
});

describe('ensure-key, killed and run again', () => {
  const CREATION_REQUESTS = 9;

  it.each(['request', 'response'])('has one key whichever %s was lost', async lost => {
    let seen = 0;
    for (let killedAt = 1; killedAt <= CREATION_REQUESTS; killedAt++) {
      const tenant = `school-${lost}-${killedAt}`;
      const keysBefore = await countKeys();
      let count = 0;
      const kill: Interception = async (_request, next) => {
        if (++count < killedAt) return next();
        if (count === killedAt && lost === 'response') await next();
        throw new Error('the process was killed');
      };
      cloud.intercept(kill);
      const failure = await ensure(tenant).catch(error => error);
      seen = Math.max(seen, count);
      cloud.intercept(undefined);
      if (failure instanceof Error) {
        // The claim of the dead run holds for a while; the workflow tries again until it does not.
        await cloud.clock.advance(21 * MINUTE_MS);
      }
      const keyArn = await ensure(tenant);
      expect(await ensure(tenant)).toBe(keyArn);
      expect(await countKeys()).toBe(keysBefore + 1);
      expect(new Set(drafts.map(draft => JSON.stringify(draft))).size).toBe(killedAt);
      expect(drafts.at(-1)?.body).toEqual({ keyArn });
    }
    expect(seen).toBe(CREATION_REQUESTS);
  });

  it('does not take over from a run that may still be alive', async () => {
    cloud.intercept(async (request, next) => {
      if (request.headers['x-amz-target']?.endsWith('CreateAlias')) throw new Error('the process was killed');
      return next();
    });
    await expect(ensure('oakfield')).rejects.toMatchObject({ name: 'RetryableError' });
    cloud.intercept(undefined);
    await expect(ensure('oakfield')).rejects.toMatchObject({
      name: 'RetryableError',
      message: expect.stringContaining('being created by another run'),
    });
    expect(await countKeys()).toBe(standingKeys + 1);
  });

  it('returns the key that has the alias, and names the one that lost', async () => {
    const { keyId: other, keyArn: otherArn } = cloud.kms.createKeyFromTemplate({});
    cloud.intercept(async (request, next) => {
      if (request.headers['x-amz-target']?.endsWith('CreateAlias')) {
        await cloud.keys.send(new CreateAliasCommand({ AliasName: tenantKeyAlias('oakfield'), TargetKeyId: other }));
      }
      return next();
    });
    expect(await ensure('oakfield')).toBe(otherArn);
    expect(cloud.lines.find(({ level }) => level === 'error')).toMatchObject({
      tenant: 'oakfield',
      leftKeyArn: expect.stringMatching(/^arn:aws:kms:eu-west-2:111122223333:key\//),
    });
  });
});

describe('the policy of a tenant’s key', () => {
  const role = (name: string) => ({ kind: 'role', arn: `arn:aws:iam::111122223333:role/${name}` }) as const;
  const on = (arn: string) => ({ 'kms:EncryptionContext:aws:s3:arn': `arn:aws:s3:::${arn}` });
  const s3 = { 'kms:ViaService': 's3.eu-west-2.amazonaws.com' };
  const throughS3 = { ...s3, ...on('vault/tenants/oakfield/objects/a') };

  it.each([
    ['daybreak-backup-back-up-tenant', 'kms:GenerateDataKey', throughS3, true],
    ['daybreak-restore-test-verify-objects', 'kms:Decrypt', throughS3, true],
    ['daybreak-restore-test-verify-objects', 'kms:GenerateDataKey', { ...s3, ...on('work/scratch/a') }, true],
    ['daybreak-backup-back-up-tenant', 'kms:GenerateDataKey', { ...s3, ...on('vault/tenants/oakfield2/a') }, false],
    ['daybreak-backup-back-up-tenant', 'kms:GenerateDataKey', { ...s3, ...on('vault/shared/objects/a') }, false],
    ['daybreak-backup-back-up-tenant', 'kms:GenerateDataKey', { ...s3, ...on('vault') }, false],
    ['daybreak-restore-test-verify-objects', 'kms:Decrypt', on('vault/tenants/oakfield/objects/a'), false],
    ['daybreak-restore-test-verify-objects', 'kms:Decrypt', s3, false],
    ['daybreak-evidence-append-entry', 'kms:Decrypt', throughS3, false],
    ['somebody', 'kms:Decrypt', throughS3, false],
    ['somebody', 'kms:ScheduleKeyDeletion', {}, true],
    ['daybreak-backup-back-up-tenant', 'kms:ScheduleKeyDeletion', {}, false],
    ['daybreak-tenants-ensure-key', 'kms:PutKeyPolicy', {}, false],
    ['daybreak-tenants-ensure-key', 'kms:CreateAlias', {}, true],
    ['daybreak-erasure-destroy-key', 'kms:ScheduleKeyDeletion', {}, true],
  ] as const)('lets %s %s (%j): %s', async (name, action, context, allowed) => {
    const keyArn = await ensure('oakfield');
    const { Policy } = await cloud.keys.send(new GetKeyPolicyCommand({ KeyId: keyArn }));
    const iam = new LocalIam({ clock: cloud.clock });
    const principal = role(name);
    const everything = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: 'kms:*', Resource: '*' }] };
    iam.putRole({ arn: principal.arn, policies: [everything] });
    const request = {
      principal,
      action,
      resource: keyArn,
      resourcePolicy: JSON.parse(Policy ?? ''),
      resourcePolicyRequired: true,
      context: { 'aws:PrincipalArn': principal.arn, ...context },
    };
    const decide = () => iam.authorize(request);
    if (allowed) expect(decide).not.toThrow();
    else expect(decide).toThrow();
  });
});
