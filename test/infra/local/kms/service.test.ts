import { createHash, createPublicKey, generateKeyPairSync, sign as signLocally, verify } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CancelKeyDeletionCommand,
  CreateAliasCommand,
  CreateGrantCommand,
  CreateKeyCommand,
  DecryptCommand,
  DeleteAliasCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  EnableKeyCommand,
  EnableKeyRotationCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GenerateDataKeyWithoutPlaintextCommand,
  GenerateMacCommand,
  GenerateRandomCommand,
  GetKeyPolicyCommand,
  GetKeyRotationStatusCommand,
  GetPublicKeyCommand,
  KMSClient,
  ListAliasesCommand,
  ListGrantsCommand,
  ListKeysCommand,
  ListResourceTagsCommand,
  PutKeyPolicyCommand,
  ReEncryptCommand,
  RetireGrantCommand,
  RevokeGrantCommand,
  ScheduleKeyDeletionCommand,
  SignCommand,
  TagResourceCommand,
  UntagResourceCommand,
  UpdateAliasCommand,
  VerifyCommand,
  VerifyMacCommand,
} from '@aws-sdk/client-kms';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { LocalClock } from '../../../../infra/local/clock.ts';
import { localClientConfiguration } from '../../../../infra/local/endpoint/request-handler.ts';
import { LocalIam } from '../../../../infra/local/iam/authorizer.ts';
import { LocalKms } from '../../../../infra/local/kms/service.ts';
import type { AuthorizationRequest, Authorizer, Principal } from '../../../../infra/local/service.ts';

const ACCOUNT = '111122223333';
const ROLE = `arn:aws:iam::${ACCOUNT}:role/backup`;
const OTHER = `arn:aws:iam::${ACCOUNT}:role/other`;
const ROOT = `arn:aws:iam::${ACCOUNT}:root`;
const root: Principal = { kind: 'root', arn: ROOT };
const role: Principal = { kind: 'role', arn: ROLE };
const DAY_MS = 24 * 60 * 60 * 1000;
const START = new Date('2026-11-22T12:00:00.000Z');
const text = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString();

function start(
  options: { authorizer?: Authorizer; directory?: string; propagationDelayMs?: number; startsAt?: Date } = {},
) {
  const { authorizer = { authorize() {} }, startsAt = START, ...more } = options;
  const clock = new LocalClock({ startsAt, flow: 'manual' });
  const kms = new LocalKms({ clock, authorizer, accountId: ACCOUNT, ...more });
  // Some refusals look passing to the SDK, which would try again.
  const clientOf = (principal: Principal) =>
    new KMSClient({ ...localClientConfiguration({ kms }, principal), maxAttempts: 1 });
  return { clock, kms, client: clientOf(root), clientOf };
}

async function createKey(
  client: KMSClient,
  input: ConstructorParameters<typeof CreateKeyCommand>[0] = {},
): Promise<string> {
  const { KeyMetadata } = await client.send(new CreateKeyCommand(input));
  return KeyMetadata?.Arn ?? '';
}

const failsWith = (name: string, message?: string | RegExp) =>
  expect.objectContaining({ name, ...(message === undefined ? {} : { message: expect.stringMatching(message) }) });

const directories: string[] = [];
function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'local-kms-'));
  directories.push(directory);
  return join(directory, 'kms');
}
afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
});

describe('keys', () => {
  it('are created, described and listed', async () => {
    const { client } = start();
    const { KeyMetadata } = await client.send(
      new CreateKeyCommand({ Description: 'a tenant', Tags: [{ TagKey: 'daybreak:tenant', TagValue: 't1' }] }),
    );
    const id = KeyMetadata?.KeyId ?? '';
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(KeyMetadata).toEqual({
      AWSAccountId: ACCOUNT,
      KeyId: id,
      Arn: `arn:aws:kms:eu-west-2:${ACCOUNT}:key/${id}`,
      CreationDate: START,
      Enabled: true,
      Description: 'a tenant',
      KeyUsage: 'ENCRYPT_DECRYPT',
      KeyState: 'Enabled',
      Origin: 'AWS_KMS',
      KeyManager: 'CUSTOMER',
      CustomerMasterKeySpec: 'SYMMETRIC_DEFAULT',
      KeySpec: 'SYMMETRIC_DEFAULT',
      EncryptionAlgorithms: ['SYMMETRIC_DEFAULT'],
      MultiRegion: false,
    });
    for (const KeyId of [id, KeyMetadata?.Arn ?? '']) {
      expect((await client.send(new DescribeKeyCommand({ KeyId }))).KeyMetadata).toEqual(KeyMetadata);
    }
    const { Tags } = await client.send(new ListResourceTagsCommand({ KeyId: id }));
    expect(Tags).toEqual([{ TagKey: 'daybreak:tenant', TagValue: 't1' }]);
    const second = await createKey(client);
    const first = await client.send(new ListKeysCommand({ Limit: 1 }));
    expect(first).toMatchObject({ Keys: [{ KeyId: id, KeyArn: KeyMetadata?.Arn }], Truncated: true });
    const rest = await client.send(new ListKeysCommand({ Limit: 1, Marker: first.NextMarker }));
    expect(rest).toMatchObject({ Keys: [{ KeyArn: second }], Truncated: false });
  });

  it.each([
    ['a curve without a usage', { KeySpec: 'ECC_NIST_P256' }, 'ValidationException', /KeyUsage/],
    ['an HMAC key without a usage', { KeySpec: 'HMAC_256' }, 'ValidationException', /KeyUsage/],
    ['a symmetric key that signs', { KeyUsage: 'SIGN_VERIFY' }, 'ValidationException', /not compatible/],
    ['another spec', { KeySpec: 'RSA_2048', KeyUsage: 'SIGN_VERIFY' }, 'ValidationException', /'KeySpec'/],
    ['another origin', { Origin: 'EXTERNAL' }, 'ValidationException', /'Origin'/],
    [
      'a key store',
      { CustomKeyStoreId: 'cks-1' },
      'NotImplementedLocally',
      /the parameter CustomKeyStoreId of kms:CreateKey/,
    ],
    ['a policy that is no JSON', { Policy: '{' }, 'MalformedPolicyDocumentException', /not JSON/],
    [
      'a policy that locks its author out',
      {
        Policy: JSON.stringify({
          Version: '2012-10-17',
          Statement: [{ Effect: 'Allow', Principal: { AWS: ROLE }, Action: 'kms:*', Resource: '*' }],
        }),
      },
      'MalformedPolicyDocumentException',
      /will not allow you to update/,
    ],
    ['a tag of AWS', { Tags: [{ TagKey: 'aws:x', TagValue: '' }] }, 'TagException', /aws:x/],
    [
      'a tag that stands twice',
      {
        Tags: [
          { TagKey: 'a', TagValue: '1' },
          { TagKey: 'a', TagValue: '2' },
        ],
      },
      'TagException',
      /twice/,
    ],
    [
      'too many tags',
      { Tags: Array.from({ length: 51 }, (_, n) => ({ TagKey: `k${n}`, TagValue: '' })) },
      'LimitExceededException',
      /50/,
    ],
  ])('are not created as %s', async (_title, input, name, message) => {
    const { client } = start();
    await expect(client.send(new CreateKeyCommand(input as object))).rejects.toEqual(failsWith(name, message));
    expect((await client.send(new ListKeysCommand({}))).Keys).toEqual([]);
  });

  it('are tagged, untagged and given another policy', async () => {
    const { client } = start();
    const KeyId = await createKey(client, { Tags: [{ TagKey: 'a', TagValue: '1' }] });
    await client.send(
      new TagResourceCommand({
        KeyId,
        Tags: [
          { TagKey: 'a', TagValue: '2' },
          { TagKey: 'b', TagValue: '' },
        ],
      }),
    );
    await client.send(new UntagResourceCommand({ KeyId, TagKeys: ['b', 'never there'] }));
    expect((await client.send(new ListResourceTagsCommand({ KeyId }))).Tags).toEqual([{ TagKey: 'a', TagValue: '2' }]);
    const { Policy = '' } = await client.send(new GetKeyPolicyCommand({ KeyId }));
    expect(JSON.parse(Policy).Statement[0].Principal).toEqual({ AWS: ROOT });
    const changed = Policy.replace('Enable IAM User Permissions', 'Account');
    await client.send(new PutKeyPolicyCommand({ KeyId, Policy: changed }));
    expect(await client.send(new GetKeyPolicyCommand({ KeyId }))).toMatchObject({
      Policy: changed,
      PolicyName: 'default',
    });
    await expect(client.send(new PutKeyPolicyCommand({ KeyId, Policy: ' '.repeat(32_769) }))).rejects.toEqual(
      failsWith('LimitExceededException'),
    );
  });

  it('rotate by the calendar', async () => {
    const { client, clock } = start();
    const KeyId = await createKey(client);
    const status = () => client.send(new GetKeyRotationStatusCommand({ KeyId }));
    expect(await status()).toMatchObject({ KeyRotationEnabled: false });
    await client.send(new EnableKeyRotationCommand({ KeyId, RotationPeriodInDays: 90 }));
    await clock.advance(100 * DAY_MS);
    expect(await status()).toMatchObject({
      KeyRotationEnabled: true,
      RotationPeriodInDays: 90,
      NextRotationDate: new Date(START.getTime() + 180 * DAY_MS),
    });
    const signing = await createKey(client, { KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' });
    await expect(client.send(new EnableKeyRotationCommand({ KeyId: signing }))).rejects.toEqual(
      failsWith('UnsupportedOperationException'),
    );
  });
});

describe('encryption', () => {
  it('gives back what was encrypted, under the same context only', async () => {
    const { client } = start();
    const KeyId = await createKey(client);
    const EncryptionContext = { tenant: 't1', purpose: 'names' };
    const { CiphertextBlob } = await client.send(
      new EncryptCommand({ KeyId, Plaintext: Buffer.from('secret'), EncryptionContext }),
    );
    expect(text(CiphertextBlob)).not.toContain('secret');
    const again = { purpose: 'names', tenant: 't1' };
    const decrypted = await client.send(new DecryptCommand({ CiphertextBlob, EncryptionContext: again }));
    expect([text(decrypted.Plaintext), decrypted.KeyId]).toEqual(['secret', KeyId]);
    for (const wrong of [{}, { tenant: 't1' }, { ...again, more: '' }, { ...again, tenant: 't2' }]) {
      await expect(client.send(new DecryptCommand({ CiphertextBlob, EncryptionContext: wrong }))).rejects.toEqual(
        failsWith('InvalidCiphertextException'),
      );
    }
  });

  it('refuses every ciphertext with one bit changed', async () => {
    const { client } = start();
    const KeyId = await createKey(client);
    const { CiphertextBlob = new Uint8Array() } = await client.send(
      new EncryptCommand({ KeyId, Plaintext: Buffer.of(1) }),
    );
    for (let index = 0; index < CiphertextBlob.length; index++) {
      const altered = Buffer.from(CiphertextBlob);
      altered[index] = (altered[index] ?? 0) ^ 1;
      const isKeyId = index >= 1 && index <= 16;
      await expect(client.send(new DecryptCommand({ CiphertextBlob: altered }))).rejects.toEqual(
        failsWith(isKeyId ? 'AccessDeniedException' : 'InvalidCiphertextException'),
      );
    }
  });

  it('makes data keys, with and without their plaintext', async () => {
    const { client } = start();
    const KeyId = await createKey(client);
    for (const [input, bytes] of [
      [{ KeySpec: 'AES_256' }, 32],
      [{ KeySpec: 'AES_128' }, 16],
      [{ NumberOfBytes: 64 }, 64],
    ] as const) {
      const { Plaintext, CiphertextBlob } = await client.send(new GenerateDataKeyCommand({ KeyId, ...input }));
      expect(Plaintext).toHaveLength(bytes);
      expect((await client.send(new DecryptCommand({ CiphertextBlob }))).Plaintext).toEqual(Plaintext);
      const wrapped = await client.send(new GenerateDataKeyWithoutPlaintextCommand({ KeyId, ...input }));
      expect(wrapped).not.toHaveProperty('Plaintext');
      const { CiphertextBlob: alone } = wrapped;
      expect((await client.send(new DecryptCommand({ CiphertextBlob: alone }))).Plaintext).toHaveLength(bytes);
    }
    await expect(client.send(new GenerateDataKeyCommand({ KeyId }))).rejects.toEqual(failsWith('ValidationException'));
    const { Plaintext } = await client.send(new GenerateRandomCommand({ NumberOfBytes: 24 }));
    expect(Plaintext).toHaveLength(24);
  });

  it('moves a ciphertext to another key and context', async () => {
    const { client } = start();
    const [from, to] = [await createKey(client), await createKey(client)];
    const { CiphertextBlob } = await client.send(
      new EncryptCommand({ KeyId: from, Plaintext: Buffer.from('x'), EncryptionContext: { a: '1' } }),
    );
    const moved = await client.send(
      new ReEncryptCommand({
        CiphertextBlob,
        SourceEncryptionContext: { a: '1' },
        DestinationKeyId: to,
        DestinationEncryptionContext: { b: '2' },
      }),
    );
    expect(moved).toMatchObject({ SourceKeyId: from, KeyId: to });
    const decrypt = new DecryptCommand({ CiphertextBlob: moved.CiphertextBlob, EncryptionContext: { b: '2' } });
    expect(text((await client.send(decrypt)).Plaintext)).toBe('x');
  });

  it.each([
    ['4,097 bytes', { Plaintext: Buffer.alloc(4097) }, 'ValidationException'],
    ['no bytes', { Plaintext: Buffer.alloc(0) }, 'ValidationException'],
    [
      'too long a context',
      { Plaintext: Buffer.of(1), EncryptionContext: { a: 'x'.repeat(8192) } },
      'ValidationException',
    ],
    ['another algorithm', { Plaintext: Buffer.of(1), EncryptionAlgorithm: 'RSAES_OAEP_SHA_1' }, 'ValidationException'],
    ['a dry run', { Plaintext: Buffer.of(1), DryRun: true }, 'NotImplementedLocally'],
  ])('refuses %s', async (_title, input, name) => {
    const { client } = start();
    const KeyId = await createKey(client);
    await expect(client.send(new EncryptCommand({ KeyId, ...(input as { Plaintext: Buffer }) }))).rejects.toEqual(
      failsWith(name),
    );
  });

  it('takes 4,096 bytes, and a named key only if it is the right one', async () => {
    const { client } = start();
    const [KeyId, other] = [await createKey(client), await createKey(client)];
    const Plaintext = Buffer.alloc(4096, 7);
    const { CiphertextBlob } = await client.send(new EncryptCommand({ KeyId, Plaintext }));
    const decrypt = (named: string) => client.send(new DecryptCommand({ CiphertextBlob, KeyId: named }));
    expect(Buffer.from((await decrypt(KeyId)).Plaintext ?? []).equals(Plaintext)).toBe(true);
    await expect(decrypt(other)).rejects.toEqual(failsWith('IncorrectKeyException'));
    await expect(decrypt('absent')).rejects.toEqual(failsWith('NotFoundException'));
  });
});

describe('signing', () => {
  const Message = Buffer.from('root manifest');
  const digest = createHash('sha256').update(Message).digest();
  const SigningAlgorithm = 'ECDSA_SHA_256' as const;

  it('makes DER signatures that node:crypto verifies, over a message or its digest', async () => {
    const { client } = start();
    const KeyId = await createKey(client, { KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' });
    const { PublicKey } = await client.send(new GetPublicKeyCommand({ KeyId }));
    const publicKey = createPublicKey({ key: Buffer.from(PublicKey ?? []), format: 'der', type: 'spki' });
    for (let round = 0; round < 20; round++) {
      const raw = await client.send(new SignCommand({ KeyId, Message, SigningAlgorithm }));
      const digested = await client.send(
        new SignCommand({ KeyId, Message: digest, MessageType: 'DIGEST', SigningAlgorithm }),
      );
      for (const { Signature } of [raw, digested]) {
        expect(verify('sha256', Message, publicKey, Buffer.from(Signature ?? []))).toBe(true);
        const checks = [
          { Message, MessageType: 'RAW' as const },
          { Message: digest, MessageType: 'DIGEST' as const },
        ];
        for (const check of checks) {
          const verified = await client.send(new VerifyCommand({ KeyId, Signature, SigningAlgorithm, ...check }));
          expect(verified.SignatureValid).toBe(true);
        }
      }
    }
  });

  it('refuses a signature by another key, over another message, or not in DER', async () => {
    const { client } = start();
    const KeyId = await createKey(client, { KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' });
    const { Signature = new Uint8Array() } = await client.send(new SignCommand({ KeyId, Message, SigningAlgorithm }));
    const foreign = signLocally('sha256', Message, generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
    const zeroes = Buffer.from('3006020100020100', 'hex');
    const longer = Buffer.concat([Signature, Buffer.of(0)]);
    const verifying = (signature: Uint8Array, message: Uint8Array, MessageType: 'RAW' | 'DIGEST') =>
      client.send(new VerifyCommand({ KeyId, Message: message, MessageType, Signature: signature, SigningAlgorithm }));
    for (const bad of [foreign, zeroes, longer, Buffer.of(0x30), Signature.subarray(1)]) {
      await expect(verifying(bad, digest, 'DIGEST')).rejects.toEqual(failsWith('KMSInvalidSignatureException'));
      await expect(verifying(bad, Message, 'RAW')).rejects.toEqual(failsWith('KMSInvalidSignatureException'));
    }
    const other = createHash('sha256').update('another').digest();
    await expect(verifying(Signature, other, 'DIGEST')).rejects.toEqual(failsWith('KMSInvalidSignatureException'));
    await expect(verifying(Signature, other.subarray(1), 'DIGEST')).rejects.toEqual(
      failsWith('ValidationException', /length/),
    );
  });

  it('and encryption are not for the same key', async () => {
    const { client } = start();
    const signing = await createKey(client, { KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' });
    const encrypting = await createKey(client);
    await expect(client.send(new EncryptCommand({ KeyId: signing, Plaintext: Message }))).rejects.toEqual(
      failsWith('InvalidKeyUsageException', /SIGN_VERIFY which is not valid for Encrypt/),
    );
    await expect(client.send(new SignCommand({ KeyId: encrypting, Message, SigningAlgorithm }))).rejects.toEqual(
      failsWith('InvalidKeyUsageException'),
    );
    await expect(client.send(new GetPublicKeyCommand({ KeyId: encrypting }))).rejects.toEqual(
      failsWith('UnsupportedOperationException'),
    );
  });
});

describe('message authentication', () => {
  const MacAlgorithm = 'HMAC_SHA_256' as const;
  const Message = Buffer.from('an id');

  it('is an HMAC: the same for the same message, another for another message or key, and verified', async () => {
    const { client } = start();
    const [KeyId, other] = [
      await createKey(client, { KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' }),
      await createKey(client, { KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' }),
    ];
    const macOf = async (input: { KeyId: string; Message: Uint8Array }) =>
      (await client.send(new GenerateMacCommand({ ...input, MacAlgorithm }))).Mac ?? new Uint8Array();
    const Mac = await macOf({ KeyId, Message });
    expect(Mac.byteLength).toBe(32);
    expect(await macOf({ KeyId, Message })).toEqual(Mac);
    expect(await macOf({ KeyId, Message: Buffer.from('an Id') })).not.toEqual(Mac);
    expect(await macOf({ KeyId: other, Message })).not.toEqual(Mac);
    const verifying = (mac: Uint8Array, message: Uint8Array = Message) =>
      client.send(new VerifyMacCommand({ KeyId, Message: message, Mac: mac, MacAlgorithm }));
    expect((await verifying(Mac)).MacValid).toBe(true);
    for (const bad of [Mac.subarray(1), Buffer.alloc(32)]) {
      await expect(verifying(bad)).rejects.toEqual(failsWith('KMSInvalidMacException'));
    }
    await expect(verifying(Mac, Buffer.from('another id'))).rejects.toEqual(failsWith('KMSInvalidMacException'));
    const { KeyMetadata } = await client.send(new DescribeKeyCommand({ KeyId }));
    expect(KeyMetadata).toMatchObject({
      KeySpec: 'HMAC_256',
      KeyUsage: 'GENERATE_VERIFY_MAC',
      MacAlgorithms: [MacAlgorithm],
    });
  });

  it('refuses other keys, other algorithms, and messages that are empty or over 4,096 bytes', async () => {
    const { client } = start();
    const KeyId = await createKey(client, { KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' });
    const encrypting = await createKey(client);
    const generate = (input: object) => client.send(new GenerateMacCommand({ KeyId, Message, MacAlgorithm, ...input }));
    await expect(generate({ KeyId: encrypting })).rejects.toEqual(failsWith('InvalidKeyUsageException'));
    await expect(generate({ MacAlgorithm: 'HMAC_SHA_512' })).rejects.toEqual(failsWith('InvalidKeyUsageException'));
    for (const length of [0, 4097]) {
      await expect(generate({ Message: Buffer.alloc(length) })).rejects.toEqual(failsWith('ValidationException'));
    }
    await generate({ Message: Buffer.alloc(4096) });
    await expect(client.send(new EncryptCommand({ KeyId, Plaintext: Message }))).rejects.toEqual(
      failsWith('InvalidKeyUsageException', /GENERATE_VERIFY_MAC which is not valid for Encrypt/),
    );
    await expect(client.send(new EnableKeyRotationCommand({ KeyId }))).rejects.toEqual(
      failsWith('UnsupportedOperationException'),
    );
    await client.send(new DisableKeyCommand({ KeyId }));
    await expect(generate({})).rejects.toEqual(failsWith('DisabledException'));
  });
});

describe('aliases', () => {
  it('name a key until they name another', async () => {
    const { client } = start();
    const [first, second] = [await createKey(client), await createKey(client)];
    const AliasName = 'alias/daybreak/tenant/t1';
    await client.send(new CreateAliasCommand({ AliasName, TargetKeyId: first }));
    const behind = async (KeyId: string) => (await client.send(new DescribeKeyCommand({ KeyId }))).KeyMetadata?.Arn;
    expect(await behind(AliasName)).toBe(first);
    expect(await behind(`arn:aws:kms:eu-west-2:${ACCOUNT}:${AliasName}`)).toBe(first);
    const { CiphertextBlob } = await client.send(new EncryptCommand({ KeyId: AliasName, Plaintext: Buffer.from('x') }));
    await client.send(new UpdateAliasCommand({ AliasName, TargetKeyId: second }));
    expect(await behind(AliasName)).toBe(second);
    expect((await client.send(new DecryptCommand({ CiphertextBlob }))).KeyId).toBe(first);
    expect((await client.send(new ListAliasesCommand({ KeyId: second }))).Aliases).toEqual([
      {
        AliasName,
        AliasArn: `arn:aws:kms:eu-west-2:${ACCOUNT}:${AliasName}`,
        TargetKeyId: second.split('/')[1],
        CreationDate: START,
        LastUpdatedDate: START,
      },
    ]);
    await client.send(new DeleteAliasCommand({ AliasName }));
    await expect(behind(AliasName)).rejects.toEqual(failsWith('NotFoundException', /Alias .* is not found/));
  });

  it.each([
    ['tenant/t1', 'InvalidAliasNameException'],
    ['alias/', 'InvalidAliasNameException'],
    ['alias/aws/s3', 'InvalidAliasNameException'],
    ['alias/ä', 'ValidationException'],
    [`alias/${'x'.repeat(251)}`, 'ValidationException'],
    ['alias/taken', 'AlreadyExistsException'],
  ])('cannot be %s', async (AliasName, name) => {
    const { client } = start();
    const TargetKeyId = await createKey(client);
    await client.send(new CreateAliasCommand({ AliasName: 'alias/taken', TargetKeyId }));
    await expect(client.send(new CreateAliasCommand({ AliasName, TargetKeyId }))).rejects.toEqual(failsWith(name));
  });

  it('are at most fifty for a key, and not taken where AWS wants the key itself', async () => {
    const { client } = start();
    const TargetKeyId = await createKey(client);
    for (let n = 0; n < 50; n++) await client.send(new CreateAliasCommand({ AliasName: `alias/${n}`, TargetKeyId }));
    await expect(client.send(new CreateAliasCommand({ AliasName: 'alias/50', TargetKeyId }))).rejects.toEqual(
      failsWith('LimitExceededException'),
    );
    await expect(client.send(new DisableKeyCommand({ KeyId: 'alias/1' }))).rejects.toEqual(
      failsWith('NotFoundException'),
    );
    await expect(client.send(new DescribeKeyCommand({ KeyId: 'alias/aws/s3' }))).rejects.toEqual(
      failsWith('NotImplementedLocally', /keys managed by AWS \(alias\/aws\/s3\)/),
    );
  });
});

describe('the life of a key', () => {
  const uses = (client: KMSClient, KeyId: string, CiphertextBlob: Uint8Array | undefined) => ({
    Encrypt: () => client.send(new EncryptCommand({ KeyId, Plaintext: Buffer.of(1) })),
    Decrypt: () => client.send(new DecryptCommand({ CiphertextBlob, KeyId })),
    GenerateDataKey: () => client.send(new GenerateDataKeyCommand({ KeyId, KeySpec: 'AES_256' })),
    ReEncrypt: () => client.send(new ReEncryptCommand({ CiphertextBlob, SourceKeyId: KeyId, DestinationKeyId: KeyId })),
    CreateGrant: () => client.send(new CreateGrantCommand({ KeyId, GranteePrincipal: ROLE, Operations: ['Decrypt'] })),
    EnableKeyRotation: () => client.send(new EnableKeyRotationCommand({ KeyId })),
  });

  it('runs from enabled over disabled and pending deletion to gone, and each state binds every operation', async () => {
    const { client, clock, kms } = start();
    const KeyId = await createKey(client);
    const AliasName = 'alias/t1';
    await client.send(new CreateAliasCommand({ AliasName, TargetKeyId: KeyId }));
    const { CiphertextBlob } = await client.send(new EncryptCommand({ KeyId, Plaintext: Buffer.from('kept') }));
    const service = { principal: root, viaService: 's3.eu-west-2.amazonaws.com', encryptionContext: {} };
    const wrapped = kms.generateDataKey({ ...service, keyId: KeyId });
    const describeKey = async () => (await client.send(new DescribeKeyCommand({ KeyId }))).KeyMetadata;
    const operations = uses(client, KeyId, CiphertextBlob);

    await client.send(new DisableKeyCommand({ KeyId }));
    expect(await describeKey()).toMatchObject({ Enabled: false, KeyState: 'Disabled' });
    for (const use of Object.values(operations)) {
      await expect(use()).rejects.toEqual(failsWith('DisabledException', `${KeyId} is disabled.`));
    }
    expect(() => kms.decryptDataKey({ ...service, ciphertext: wrapped.ciphertext })).toThrow(
      expect.objectContaining({ name: 'KeyOperationError', code: 'DisabledException' }),
    );
    expect(kms.describeForService({ ...service, keyId: KeyId, grants: false })).toEqual({
      keyArn: KeyId,
      enabled: false,
    });

    await client.send(new EnableKeyCommand({ KeyId }));
    for (const use of Object.values(operations)) await use();

    const scheduled = await client.send(new ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays: 7 }));
    const deletionDate = new Date(START.getTime() + 7 * DAY_MS);
    expect(scheduled).toMatchObject({
      KeyId,
      KeyState: 'PendingDeletion',
      PendingWindowInDays: 7,
      DeletionDate: deletionDate,
    });
    expect(await describeKey()).toMatchObject({
      Enabled: false,
      KeyState: 'PendingDeletion',
      DeletionDate: deletionDate,
    });
    const refused = {
      ...operations,
      EnableKey: () => client.send(new EnableKeyCommand({ KeyId })),
      DisableKey: () => client.send(new DisableKeyCommand({ KeyId })),
      ScheduleKeyDeletion: () => client.send(new ScheduleKeyDeletionCommand({ KeyId })),
      TagResource: () => client.send(new TagResourceCommand({ KeyId, Tags: [] })),
      CreateAlias: () => client.send(new CreateAliasCommand({ AliasName: 'alias/new', TargetKeyId: KeyId })),
    };
    for (const use of Object.values(refused)) {
      await expect(use()).rejects.toEqual(failsWith('KMSInvalidStateException', `${KeyId} is pending deletion.`));
    }

    await clock.advance(6 * DAY_MS);
    await client.send(new CancelKeyDeletionCommand({ KeyId }));
    const cancelled = await describeKey();
    expect(cancelled).toMatchObject({ Enabled: false, KeyState: 'Disabled' });
    expect(cancelled).not.toHaveProperty('DeletionDate');
    await expect(client.send(new CancelKeyDeletionCommand({ KeyId }))).rejects.toEqual(
      failsWith('KMSInvalidStateException'),
    );
    await client.send(new EnableKeyCommand({ KeyId }));
    await clock.advance(30 * DAY_MS);
    expect(text((await operations.Decrypt()).Plaintext)).toBe('kept');

    await client.send(new ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays: 30 }));
    await clock.advance(30 * DAY_MS - 1);
    expect(await describeKey()).toMatchObject({ KeyState: 'PendingDeletion' });
    await clock.advance(1);
    for (const use of [describeKey, ...Object.values(refused)]) {
      await expect(use()).rejects.toEqual(failsWith('NotFoundException', `Key '${KeyId}' does not exist`));
    }
    await expect(client.send(new DescribeKeyCommand({ KeyId: AliasName }))).rejects.toEqual(
      failsWith('NotFoundException'),
    );
    await expect(client.send(new DecryptCommand({ CiphertextBlob }))).rejects.toEqual(
      failsWith('AccessDeniedException', /refers to a customer master key that does not exist/),
    );
    expect(() => kms.decryptDataKey({ ...service, ciphertext: wrapped.ciphertext })).toThrow(
      expect.objectContaining({ code: 'NotFoundException' }),
    );
    expect((await client.send(new ListKeysCommand({}))).Keys).toEqual([]);
    expect((await client.send(new ListAliasesCommand({}))).Aliases).toEqual([]);
  });

  it('ends no sooner than after 7 days and no later than after 30', async () => {
    const { client } = start();
    const KeyId = await createKey(client);
    for (const PendingWindowInDays of [6, 31, 7.5]) {
      await expect(client.send(new ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays }))).rejects.toEqual(
        failsWith('ValidationException', /PendingWindowInDays/),
      );
    }
    const { DeletionDate } = await client.send(new ScheduleKeyDeletionCommand({ KeyId }));
    expect(DeletionDate).toEqual(new Date(START.getTime() + 30 * DAY_MS));
  });

  it('goes on for a while after disabling, where AWS’s delay is set', async () => {
    const { client, clock } = start({ propagationDelayMs: 60_000 });
    const KeyId = await createKey(client);
    const encrypt = () => client.send(new EncryptCommand({ KeyId, Plaintext: Buffer.of(1) }));
    await client.send(new DisableKeyCommand({ KeyId }));
    expect((await client.send(new DescribeKeyCommand({ KeyId }))).KeyMetadata?.KeyState).toBe('Disabled');
    await clock.advance(59_999);
    await encrypt();
    await client.send(new ScheduleKeyDeletionCommand({ KeyId }));
    await encrypt();
    await clock.advance(1);
    await expect(encrypt()).rejects.toEqual(failsWith('KMSInvalidStateException'));
  });
});

describe('keys on disk', () => {
  it('are there for a later process, with aliases, tags, grants and states', async () => {
    const directory = temporaryDirectory();
    const earlier = start({ directory });
    const KeyId = await createKey(earlier.client, { Tags: [{ TagKey: 'a', TagValue: '1' }] });
    const signing = await createKey(earlier.client, { KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' });
    await earlier.client.send(new CreateAliasCommand({ AliasName: 'alias/a', TargetKeyId: KeyId }));
    await earlier.client.send(
      new CreateGrantCommand({ KeyId, GranteePrincipal: ROLE, Operations: ['Decrypt'], Name: 'g' }),
    );
    const { CiphertextBlob } = await earlier.client.send(new EncryptCommand({ KeyId, Plaintext: Buffer.from('kept') }));
    const Message = Buffer.from('m');
    const { Signature } = await earlier.client.send(
      new SignCommand({ KeyId: signing, Message, SigningAlgorithm: 'ECDSA_SHA_256' }),
    );
    await earlier.client.send(new DisableKeyCommand({ KeyId: signing }));

    const { client } = start({ directory });
    expect(text((await client.send(new DecryptCommand({ CiphertextBlob, KeyId: 'alias/a' }))).Plaintext)).toBe('kept');
    expect((await client.send(new ListResourceTagsCommand({ KeyId }))).Tags).toEqual([{ TagKey: 'a', TagValue: '1' }]);
    expect((await client.send(new ListGrantsCommand({ KeyId }))).Grants).toMatchObject([
      { Name: 'g', GranteePrincipal: ROLE },
    ]);
    const verifying = new VerifyCommand({ KeyId: signing, Message, Signature, SigningAlgorithm: 'ECDSA_SHA_256' });
    await expect(client.send(verifying)).rejects.toEqual(failsWith('DisabledException'));
    await client.send(new EnableKeyCommand({ KeyId: signing }));
    expect((await client.send(verifying)).SignatureValid).toBe(true);
  });

  it('are destroyed when their time has come while nothing ran', async () => {
    const directory = temporaryDirectory();
    const earlier = start({ directory });
    const KeyId = await createKey(earlier.client);
    await earlier.client.send(new CreateAliasCommand({ AliasName: 'alias/a', TargetKeyId: KeyId }));
    const file = join(directory, `${KeyId.split('/')[1]}.json`);
    const { material } = JSON.parse(readFileSync(file, 'utf8'));
    expect(Buffer.from(material, 'base64')).toHaveLength(32);
    await earlier.client.send(new ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays: 7 }));
    const { client } = start({ directory, startsAt: new Date(START.getTime() + 8 * DAY_MS) });
    expect(existsSync(file)).toBe(false);
    for (const name of readdirSync(directory))
      expect(readFileSync(join(directory, name), 'utf8')).not.toContain(material);
    await expect(client.send(new DescribeKeyCommand({ KeyId: 'alias/a' }))).rejects.toEqual(
      failsWith('NotFoundException'),
    );
  });
});

describe('permissions', () => {
  function judged() {
    const clock = new LocalClock({ startsAt: START, flow: 'manual' });
    const iam = new LocalIam({ clock });
    iam.putRole({ arn: ROLE, policies: [] });
    iam.putRole({
      arn: OTHER,
      policies: [{ Version: '2012-10-17', Statement: { Effect: 'Allow', Action: 'kms:*', Resource: '*' } }],
    });
    const requests: AuthorizationRequest[] = [];
    const authorizer: Authorizer = {
      authorize(request) {
        requests.push(request);
        iam.authorize(request);
      },
    };
    return { ...start({ authorizer }), requests };
  }

  it('come from the key’s policy, also through the account', async () => {
    const { client, clientOf } = judged();
    const Policy = JSON.stringify({
      Version: '2012-10-17',
      Statement: [
        { Effect: 'Allow', Principal: { AWS: ROOT }, Action: ['kms:PutKeyPolicy', 'kms:DescribeKey'], Resource: '*' },
        {
          Effect: 'Allow',
          Principal: { AWS: ROOT },
          Action: 'kms:Encrypt',
          Resource: '*',
          Condition: { ArnEquals: { 'aws:PrincipalArn': OTHER } },
        },
      ],
    });
    const KeyId = await createKey(client, { Policy });
    const encrypt = new EncryptCommand({ KeyId, Plaintext: Buffer.of(1) });
    await clientOf({ kind: 'role', arn: OTHER }).send(encrypt);
    await expect(clientOf(role).send(encrypt)).rejects.toEqual(
      failsWith(
        'AccessDeniedException',
        `User: ${ROLE} is not authorized to perform: kms:Encrypt on resource: ${KeyId} because no resource-based policy allows the kms:Encrypt action`,
      ),
    );
    await expect(clientOf(role).send(new DescribeKeyCommand({ KeyId }))).rejects.toEqual(
      failsWith('AccessDeniedException', /because no identity-based policy allows the kms:DescribeKey action/),
    );
    await expect(client.send(encrypt)).rejects.toEqual(failsWith('AccessDeniedException', /no resource-based policy/));
  });

  it('come from a grant, within its operations and context, until it is revoked or retired', async () => {
    const { client, clientOf } = judged();
    const KeyId = await createKey(client);
    const { CiphertextBlob } = await client.send(
      new EncryptCommand({ KeyId, Plaintext: Buffer.of(1), EncryptionContext: { a: '1', b: '2' } }),
    );
    const decrypt = () =>
      clientOf(role).send(new DecryptCommand({ CiphertextBlob, EncryptionContext: { a: '1', b: '2' } }));
    const grantWith = (input: object) =>
      client.send(new CreateGrantCommand({ KeyId, GranteePrincipal: ROLE, Operations: ['Decrypt'], ...input }));
    await expect(decrypt()).rejects.toEqual(failsWith('AccessDeniedException'));
    await grantWith({ Operations: ['Encrypt'] });
    await grantWith({ Constraints: { EncryptionContextEquals: { a: '1' } } });
    await grantWith({ GranteePrincipal: OTHER });
    await expect(decrypt()).rejects.toEqual(failsWith('AccessDeniedException'));
    const subset = { Name: 'restore', Constraints: { EncryptionContextSubset: { a: '1' } }, RetiringPrincipal: OTHER };
    const { GrantId, GrantToken } = await grantWith(subset);
    expect((await grantWith(subset)).GrantId).toBe(GrantId);
    await decrypt();
    await client.send(new RevokeGrantCommand({ KeyId, GrantId }));
    await expect(decrypt()).rejects.toEqual(failsWith('AccessDeniedException'));
    await expect(client.send(new RetireGrantCommand({ GrantToken }))).rejects.toEqual(failsWith('NotFoundException'));
    const again = await grantWith(subset);
    const retire = new RetireGrantCommand({ GrantToken: again.GrantToken });
    await expect(clientOf(role).send(retire)).rejects.toEqual(failsWith('AccessDeniedException'));
    await clientOf({ kind: 'role', arn: OTHER }).send(retire);
    expect((await client.send(new ListGrantsCommand({ KeyId }))).Grants).toHaveLength(3);
  });

  it('come from a grant made by a grantee, which gives no more than it has', async () => {
    const { client, clientOf } = judged();
    const KeyId = await createKey(client);
    const own = { EncryptionContextSubset: { a: '1' } };
    await client.send(
      new CreateGrantCommand({
        KeyId,
        GranteePrincipal: ROLE,
        Operations: ['CreateGrant', 'Decrypt', 'DescribeKey', 'RetireGrant'],
        Constraints: own,
      }),
    );
    const giveOn = (input: object) =>
      clientOf(role).send(
        new CreateGrantCommand({ KeyId, GranteePrincipal: OTHER, Operations: ['Decrypt'], Constraints: own, ...input }),
      );
    const refused = failsWith('AccessDeniedException');
    await expect(giveOn({ Operations: ['Decrypt', 'Encrypt'] })).rejects.toEqual(refused);
    await expect(giveOn({ Constraints: {} })).rejects.toEqual(refused);
    await expect(giveOn({ Constraints: { EncryptionContextSubset: { b: '1' } } })).rejects.toEqual(refused);
    const { GrantId } = await giveOn({ Constraints: { EncryptionContextSubset: { a: '1', b: '2' } } });
    await giveOn({ Constraints: { EncryptionContextEquals: { a: '1' } } });
    expect(GrantId).toMatch(/^[0-9a-f]{64}$/);
    // What has no encryption context is not bound by one.
    const described = await clientOf(role).send(new DescribeKeyCommand({ KeyId }));
    expect(described.KeyMetadata?.Arn).toBe(KeyId);
  });

  it('are asked for with the condition keys that AWS defines', async () => {
    const { client, kms, requests } = judged();
    const KeyId = await createKey(client, { Tags: [{ TagKey: 'daybreak:tenant', TagValue: 't1' }] });
    await client.send(new CreateAliasCommand({ AliasName: 'alias/t1', TargetKeyId: KeyId }));
    requests.length = 0;
    kms.generateDataKey({
      principal: root,
      viaService: 's3.eu-west-2.amazonaws.com',
      encryptionContext: { 'aws:s3:arn': 'arn:aws:s3:::vault/o' },
      keyId: 'alias/t1',
    });
    await client.send(new ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays: 9 }));
    const ofKey = {
      'kms:CallerAccount': ACCOUNT,
      'kms:KeySpec': 'SYMMETRIC_DEFAULT',
      'kms:KeyUsage': 'ENCRYPT_DECRYPT',
      'kms:KeyOrigin': 'AWS_KMS',
      'kms:MultiRegion': 'false',
      'kms:ResourceAliases': ['alias/t1'],
      'aws:ResourceTag/daybreak:tenant': 't1',
    };
    expect(
      requests.map(({ action, resource, resourcePolicyRequired, context }) => ({
        action,
        resource,
        resourcePolicyRequired,
        context,
      })),
    ).toEqual([
      {
        action: 'kms:GenerateDataKey',
        resource: KeyId,
        resourcePolicyRequired: true,
        context: {
          ...ofKey,
          'kms:ViaService': 's3.eu-west-2.amazonaws.com',
          'aws:ViaAWSService': 'true',
          'kms:RequestAlias': 'alias/t1',
          'kms:EncryptionAlgorithm': 'SYMMETRIC_DEFAULT',
          'kms:EncryptionContextKeys': ['aws:s3:arn'],
          'kms:EncryptionContext:aws:s3:arn': 'arn:aws:s3:::vault/o',
        },
      },
      {
        action: 'kms:ScheduleKeyDeletion',
        resource: KeyId,
        resourcePolicyRequired: true,
        context: { ...ofKey, 'kms:ScheduleKeyDeletionPendingWindowInDays': '9' },
      },
    ]);
  });

  it('for a service include the grant that it needs', () => {
    const { kms, requests } = judged();
    const { keyArn } = kms.createKeyFromTemplate({ enableRotation: true, tags: { a: '1' } });
    const use = {
      principal: { kind: 'role', arn: OTHER } as const,
      viaService: 'rds.eu-west-2.amazonaws.com',
      encryptionContext: {},
    };
    expect(kms.describeForService({ ...use, keyId: keyArn, grants: true })).toEqual({ keyArn, enabled: true });
    expect(
      requests.map(({ action, context }) => [action, context['kms:GrantIsForAWSResource'], context['kms:ViaService']]),
    ).toEqual([
      ['kms:DescribeKey', undefined, 'rds.eu-west-2.amazonaws.com'],
      ['kms:CreateGrant', 'true', 'rds.eu-west-2.amazonaws.com'],
    ]);
  });
});

describe('hostile requests', () => {
  const send = async (target: string, body: string) => {
    const { kms } = start();
    kms.createAliasFromTemplate('alias/a', kms.createKeyFromTemplate({}).keyArn);
    const { status, body: answer } = await kms.handle({
      service: 'kms',
      method: 'POST',
      path: '/',
      query: {},
      headers: { 'x-amz-target': target },
      body: Buffer.from(body),
      principal: root,
      secure: true,
    });
    return [status, JSON.parse(String(answer)).__type];
  };
  it.each([
    ['TrentService.ImportKeyMaterial', '{}', 'NotImplementedLocally'],
    ['TrentService.constructor', '{}', 'NotImplementedLocally'],
    ['', '{}', 'NotImplementedLocally'],
    ['TrentService.DescribeKey', '', 'SerializationException'],
    ['TrentService.DescribeKey', '[]', 'SerializationException'],
    ['TrentService.DescribeKey', 'null', 'SerializationException'],
    ['TrentService.DescribeKey', '{"KeyId":', 'SerializationException'],
    ['TrentService.DescribeKey', '{"KeyId":{"toString":1}}', 'ValidationException'],
    ['TrentService.DescribeKey', '{"KeyId":""}', 'ValidationException'],
    ['TrentService.DescribeKey', '{"KeyId":"__proto__"}', 'NotFoundException'],
    ['TrentService.DescribeKey', '{"KeyId":"../../etc/passwd"}', 'NotFoundException'],
    ['TrentService.DescribeKey', '{"KeyId":"alias/a","Extra":1}', 'NotImplementedLocally'],
    ['TrentService.Encrypt', '{"KeyId":"alias/a","Plaintext":"***"}', 'ValidationException'],
    [
      'TrentService.Encrypt',
      '{"KeyId":"alias/a","Plaintext":"AQ==","EncryptionContext":{"a":1}}',
      'ValidationException',
    ],
    ['TrentService.Decrypt', '{"CiphertextBlob":"AQ=="}', 'InvalidCiphertextException'],
    ['TrentService.ListKeys', '{"Marker":"bm9uc2Vuc2U"}', 'InvalidMarkerException'],
    ['TrentService.ListKeys', '{"Limit":1001}', 'ValidationException'],
    ['TrentService.DescribeKey', `{"KeyId":"${'x'.repeat(1024 * 1024)}"}`, 'RequestEntityTooLarge'],
    ['TrentService.DescribeKey', '['.repeat(100_000), 'SerializationException'],
  ])('%s %.60s: %s', async (target, body, type) => {
    expect(await send(target, body)).toEqual([400, type]);
  });

  it('of any shape are answered, never thrown at', async () => {
    const { kms } = start();
    const { keyId } = kms.createKeyFromTemplate({});
    const names = [
      'KeyId',
      'Plaintext',
      'CiphertextBlob',
      'EncryptionContext',
      'Tags',
      'Policy',
      'Limit',
      'Marker',
      'Message',
      'GrantId',
      '__proto__',
    ];
    const value = fc.oneof(fc.constant(keyId), fc.constant('AQ=='), fc.base64String(), fc.jsonValue({ maxDepth: 2 }));
    const body = fc.dictionary(fc.constantFrom(...names), value).map(parameters => JSON.stringify(parameters));
    const operation = fc.constantFrom(
      'Encrypt',
      'Decrypt',
      'CreateKey',
      'TagResource',
      'ListKeys',
      'PutKeyPolicy',
      'Sign',
      'GenerateMac',
      'RetireGrant',
      'CreateGrant',
      'DescribeKey',
    );
    await fc.assert(
      fc.asyncProperty(operation, body, async (name, text) => {
        const headers = { 'x-amz-target': `TrentService.${name}` };
        const request = {
          service: 'kms',
          method: 'POST',
          path: '/',
          query: {},
          headers,
          principal: root,
          secure: true,
        } as const;
        expect([200, 400]).toContain((await kms.handle({ ...request, body: Buffer.from(text) })).status);
      }),
      { numRuns: 500 },
    );
  });

  it('cannot hide a name in the encryption context', async () => {
    const { kms } = start();
    const { keyId } = kms.createKeyFromTemplate({});
    const call = async (operation: string, body: string) => {
      const headers = { 'x-amz-target': `TrentService.${operation}` };
      const request = {
        service: 'kms',
        method: 'POST',
        path: '/',
        query: {},
        headers,
        principal: root,
        secure: true,
      } as const;
      return JSON.parse(String((await kms.handle({ ...request, body: Buffer.from(body) })).body));
    };
    const context = '"EncryptionContext":{"__proto__":"x","a":"1"}';
    const encrypted = await call('Encrypt', `{"KeyId":"${keyId}","Plaintext":"AQ==",${context}}`);
    expect(encrypted.__type).toBe('ValidationException');
  });
});
