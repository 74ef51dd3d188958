import { createHash, createPublicKey, randomBytes, verify } from 'node:crypto';
import {
  CancelKeyDeletionCommand,
  CreateAliasCommand,
  CreateGrantCommand,
  DecryptCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  EnableKeyCommand,
  EncryptCommand,
  GenerateMacCommand,
  GetPublicKeyCommand,
  ListGrantsCommand,
  ListResourceTagsCommand,
  RevokeGrantCommand,
  ScheduleKeyDeletionCommand,
  SignCommand,
  VerifyCommand,
} from '@aws-sdk/client-kms';
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { answer, type ConformanceCase } from '../case.ts';
import { PREFIX, TAG } from '../names.ts';
import type { Scratch } from '../scratch.ts';
import { plainBucket } from './buckets.ts';
import { kmsApi, kmsGuide } from './pages.ts';

const SIGNATURES = 'functions/platform/kms.ts: signed root manifests and ledger heads';
const TENANT_KEYS = 'functions/tenants/ensure-key.ts';
const ERASURE = 'the erasure of a tenant destroys its key, and nothing reads on; functions/pulse/read-back.ts';
const STATES_PAGE = kmsGuide('key-state');

const signingKey = (scratch: Scratch) => scratch.key('signing', { KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' });
const digestOf = (text: string) => createHash('sha256').update(text).digest();
const DIGEST = { MessageType: 'DIGEST', SigningAlgorithm: 'ECDSA_SHA_256' } as const;
const encrypt = (scratch: Scratch, KeyId: string) =>
  scratch.kms.send(new EncryptCommand({ KeyId, Plaintext: Buffer.from('x') }));

/** How long a change of a key takes to be seen, as a note. */
function noteDelay(scratch: Scratch, what: string, { answer: last, afterMs }: { answer: string; afterMs: number }) {
  scratch.note(`${what} after ${(afterMs / 1000).toFixed(1)} s`);
  return last;
}

async function stateOf(scratch: Scratch, KeyId: string): Promise<string> {
  const { KeyMetadata } = await scratch.kms.send(new DescribeKeyCommand({ KeyId }));
  return KeyMetadata?.KeyState ?? '';
}

/** Keys: signatures, contexts, states, aliases, grants. */
export const kmsCases: readonly ConformanceCase[] = [
  {
    service: 'KMS',
    name: 'an ECDSA P-256 signature of a digest is DER, and verifies outside KMS with the public key',
    restsOn: `${SIGNATURES}; functions/platform/signature.ts`,
    page: kmsApi('Sign'),
    expected: { outside: true, otherDocument: false },
    observe: async scratch => {
      const KeyId = await signingKey(scratch);
      const message = 'document';
      const { Signature = new Uint8Array() } = await scratch.kms.send(
        new SignCommand({ KeyId, Message: digestOf(message), ...DIGEST }),
      );
      const { PublicKey = new Uint8Array() } = await scratch.kms.send(new GetPublicKeyCommand({ KeyId }));
      const key = createPublicKey({ key: Buffer.from(PublicKey), format: 'der', type: 'spki' });
      const isSigned = (text: string) => verify('sha256', Buffer.from(text), key, Signature);
      return { outside: isSigned(message), otherDocument: isSigned('another document') };
    },
  },
  {
    service: 'KMS',
    name: 'Verify answers KMSInvalidSignatureException for another document, and refuses a digest of another length',
    restsOn: `${SIGNATURES}: verifyDocument tells a false signature from a failure`,
    page: kmsApi('Verify'),
    expected: { same: 'done', other: '400 KMSInvalidSignatureException', short: '400 ValidationException' },
    observe: async scratch => {
      const KeyId = await signingKey(scratch);
      const { Signature } = await scratch.kms.send(
        new SignCommand({ KeyId, Message: digestOf('document'), ...DIGEST }),
      );
      const verified = (Message: Uint8Array) =>
        answer(scratch.kms.send(new VerifyCommand({ KeyId, Message, Signature, ...DIGEST })));
      return {
        same: await verified(digestOf('document')),
        other: await verified(digestOf('another document')),
        short: await verified(Buffer.from('short')),
      };
    },
  },
  {
    service: 'KMS',
    name: 'an HMAC of a text is always the same, another under another key, and takes 1 to 4,096 bytes',
    restsOn: 'functions/platform/tenant-names.ts: an id is found again by its HMAC, which nobody else can compute',
    page: kmsApi('GenerateMac'),
    expected: {
      byteCount: 32,
      again: true,
      otherText: false,
      otherKey: false,
      longest: 'done',
      tooLong: '400 ValidationException',
      empty: '400 ValidationException',
      keyThatEncrypts: '400 InvalidKeyUsageException',
    },
    observe: async scratch => {
      const specification = { KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' } as const;
      const [first, second] = [await scratch.key('mac', specification), await scratch.key('other-mac', specification)];
      const mac = async (Message: Uint8Array, KeyId = first) => {
        const { Mac } = await scratch.kms.send(
          new GenerateMacCommand({ KeyId, Message, MacAlgorithm: 'HMAC_SHA_256' }),
        );
        return Buffer.from(Mac ?? []).toString('hex');
      };
      const text = digestOf('an id');
      const known = await mac(text);
      return {
        byteCount: known.length / 2,
        again: (await mac(text)) === known,
        otherText: (await mac(digestOf('another id'))) === known,
        otherKey: (await mac(text, second)) === known,
        longest: await answer(mac(Buffer.alloc(4096))),
        tooLong: await answer(mac(Buffer.alloc(4097))),
        empty: await answer(mac(Buffer.alloc(0))),
        keyThatEncrypts: await answer(mac(text, await scratch.key('first'))),
      };
    },
  },
  {
    service: 'KMS',
    name: 'Decrypt wants the encryption context of Encrypt, and the key',
    restsOn: 'functions/platform/tenant-key-policy.ts: a copied object cannot be read under another name',
    page: kmsApi('Decrypt'),
    expected: {
      same: 'done',
      other: '400 InvalidCiphertextException',
      none: '400 InvalidCiphertextException',
      otherKey: '400 IncorrectKeyException',
    },
    observe: async scratch => {
      const KeyId = await scratch.key('first');
      const EncryptionContext = { object: 'a' };
      const { CiphertextBlob } = await scratch.kms.send(
        new EncryptCommand({ KeyId, Plaintext: randomBytes(32), EncryptionContext }),
      );
      const decrypt = (more: object) => answer(scratch.kms.send(new DecryptCommand({ CiphertextBlob, ...more })));
      return {
        same: await decrypt({ EncryptionContext }),
        other: await decrypt({ EncryptionContext: { object: 'b' } }),
        none: await decrypt({}),
        otherKey: await decrypt({ EncryptionContext, KeyId: await scratch.key('second') }),
      };
    },
  },
  {
    service: 'KMS',
    name: 'a key has its tags from its creation on',
    restsOn: `${TENANT_KEYS}: a killed run’s key is found by its tag`,
    page: kmsApi('CreateKey'),
    expected: true,
    observe: async scratch => {
      const KeyId = await scratch.key('second');
      const { Tags = [] } = await scratch.kms.send(new ListResourceTagsCommand({ KeyId }));
      return Tags.some(({ TagKey, TagValue }) => TagKey === TAG && TagValue === scratch.run);
    },
  },
  {
    service: 'KMS',
    name: 'an alias finds its key soon, and is nobody else’s',
    restsOn: `${TENANT_KEYS}: an alias makes a tenant’s key the only one`,
    page: kmsApi('CreateAlias'),
    expected: { found: 'done', sameKey: true, again: '400 AlreadyExistsException' },
    observe: async scratch => {
      const AliasName = `alias/${PREFIX}${scratch.run}`;
      const [TargetKeyId, other] = [await scratch.key('first'), await scratch.key('second')];
      await scratch.kms.send(new CreateAliasCommand({ AliasName, TargetKeyId }));
      const describe = () => scratch.kms.send(new DescribeKeyCommand({ KeyId: AliasName }));
      const found = noteDelay(scratch, 'usable', await scratch.askUntil('done', () => answer(describe())));
      return {
        found,
        sameKey: (await describe()).KeyMetadata?.Arn === TargetKeyId,
        again: await answer(scratch.kms.send(new CreateAliasCommand({ AliasName, TargetKeyId: other }))),
      };
    },
  },
  {
    service: 'KMS',
    name: 'kms:GrantIsForAWSResource keeps a key’s users from granting it on by themselves',
    restsOn: 'infra/stacks/vault.ts: GrantsForRds',
    page: kmsGuide('conditions-kms'),
    expected: '400 AccessDeniedException',
    observe: async scratch => {
      const accountId = await scratch.accountId();
      const account = `arn:aws:iam::${accountId}:root`;
      const Policy = JSON.stringify({
        Version: '2012-10-17',
        Statement: [
          { Effect: 'Allow', Principal: { AWS: account }, Action: 'kms:*', Resource: '*' },
          {
            Effect: 'Deny',
            Principal: { AWS: '*' },
            Action: 'kms:CreateGrant',
            Resource: '*',
            Condition: { Bool: { 'kms:GrantIsForAWSResource': 'false' } },
          },
        ],
      });
      const KeyId = await scratch.key('ungranted', { Policy });
      const grant = { KeyId, GranteePrincipal: account, Operations: ['Decrypt' as const] };
      return answer(scratch.kms.send(new CreateGrantCommand(grant)));
    },
  },
  {
    service: 'KMS',
    name: 'a grant keeps its constraint on the encryption context, and goes when it is revoked',
    restsOn: 'functions/pulse/read-back.ts and the attack tests: what a grant can open',
    page: kmsApi('CreateGrant'),
    expected: { constraint: { object: 'a' }, left: 0 },
    observe: async scratch => {
      const KeyId = await scratch.key('second');
      const { GrantId } = await scratch.kms.send(
        new CreateGrantCommand({
          KeyId,
          GranteePrincipal: `arn:aws:iam::${await scratch.accountId()}:root`,
          Operations: ['Decrypt'],
          Constraints: { EncryptionContextEquals: { object: 'a' } },
        }),
      );
      const list = async () => (await scratch.kms.send(new ListGrantsCommand({ KeyId, GrantId }))).Grants ?? [];
      const [granted] = await list();
      await scratch.kms.send(new RevokeGrantCommand({ KeyId, GrantId }));
      const gone = await scratch.askUntil('0', async () => String((await list()).length));
      return { constraint: granted?.Constraints?.EncryptionContextEquals ?? null, left: Number(gone.answer) };
    },
  },
  {
    service: 'KMS',
    name: 'a disabled key is refused, by KMS and through S3, and works again when it is enabled',
    restsOn: ERASURE,
    page: STATES_PAGE,
    expected: {
      encrypt: '400 DisabledException',
      read: '400 KMS.DisabledException',
      enabledAgain: 'done',
    },
    observe: async scratch => {
      const KeyId = await scratch.key('disabled');
      const named = { Bucket: await plainBucket(scratch), Key: 'kms/disabled' };
      const under = { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: KeyId } as const;
      await scratch.s3.send(new PutObjectCommand({ ...named, ...under, Body: 'x' }));
      await scratch.kms.send(new DisableKeyCommand({ KeyId }));
      const disabled = await scratch.askUntil('400 DisabledException', () => answer(encrypt(scratch, KeyId)));
      const encrypted = noteDelay(scratch, 'refused by KMS', disabled);
      const unread = await scratch.askUntil('400 KMS.DisabledException', () =>
        answer(scratch.s3.send(new GetObjectCommand(named))),
      );
      const read = noteDelay(scratch, 'through S3', unread);
      await scratch.kms.send(new EnableKeyCommand({ KeyId }));
      const enabled = await scratch.askUntil('done', () => answer(encrypt(scratch, KeyId)));
      return { encrypt: encrypted, read, enabledAgain: noteDelay(scratch, 'enabled again', enabled) };
    },
  },
  {
    service: 'KMS',
    name: 'a key waits at least 7 days for its deletion, is refused meanwhile, and is disabled when that is cancelled',
    restsOn: ERASURE,
    page: kmsGuide('deleting-keys'),
    expected: {
      tooSoon: '400 ValidationException',
      scheduled: 'PendingDeletion',
      encrypt: '400 KMSInvalidStateException',
      read: '400 KMS.KMSInvalidStateException',
      cancelled: 'Disabled',
    },
    observe: async scratch => {
      const KeyId = await scratch.key('deleted');
      const named = { Bucket: await plainBucket(scratch), Key: 'kms/deleted' };
      const under = { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: KeyId } as const;
      await scratch.s3.send(new PutObjectCommand({ ...named, ...under, Body: 'x' }));
      const schedule = (PendingWindowInDays: number) =>
        scratch.kms.send(new ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays }));
      const tooSoon = await answer(schedule(6));
      await schedule(7);
      const scheduled = await scratch.askUntil('PendingDeletion', () => stateOf(scratch, KeyId));
      const refused = await scratch.askUntil('400 KMSInvalidStateException', () => answer(encrypt(scratch, KeyId)));
      const encrypted = noteDelay(scratch, 'refused by KMS', refused);
      const unread = await scratch.askUntil('400 KMS.KMSInvalidStateException', () =>
        answer(scratch.s3.send(new GetObjectCommand(named))),
      );
      const read = noteDelay(scratch, 'through S3', unread);
      await scratch.kms.send(new CancelKeyDeletionCommand({ KeyId }));
      const cancelled = await scratch.askUntil('Disabled', () => stateOf(scratch, KeyId));
      return { tooSoon, scheduled: scheduled.answer, encrypt: encrypted, read, cancelled: cancelled.answer };
    },
  },
];
