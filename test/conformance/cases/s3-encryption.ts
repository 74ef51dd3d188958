import { createHash, randomBytes } from 'node:crypto';
import { EncryptCommand } from '@aws-sdk/client-kms';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
  UpdateObjectEncryptionCommand,
} from '@aws-sdk/client-s3';
import { tenantKeyPolicy } from '../../../functions/platform/tenant-key-policy.ts';
import { answer, type ConformanceCase } from '../case.ts';
import { PREFIX } from '../names.ts';
import type { Scratch } from '../scratch.ts';
import { plainBucket, policedBucket } from './buckets.ts';
import { s3Api, s3Guide } from './pages.ts';

const VAULT = 'infra/stacks/vault.ts';
const CONTEXT_PAGE = s3Guide('UsingKMSEncryption');

const put = (scratch: Scratch, Bucket: string, Key: string, more: Partial<PutObjectCommandInput> = {}) =>
  scratch.s3.send(new PutObjectCommand({ Bucket, Key, Body: 'x', ...more }));
const under = (SSEKMSKeyId: string, BucketKeyEnabled = false) =>
  ({ ServerSideEncryption: 'aws:kms', SSEKMSKeyId, BucketKeyEnabled }) as const;

/** A key whose policy leaves its account in charge, and refuses some use of it. */
async function restrictedKey(scratch: Scratch, purpose: string, Condition: object): Promise<string> {
  const account = { AWS: `arn:aws:iam::${await scratch.accountId()}:root` };
  const Action = ['kms:Decrypt', 'kms:Encrypt', 'kms:GenerateDataKey*'];
  const Policy = JSON.stringify({
    Version: '2012-10-17',
    Statement: [
      { Effect: 'Allow', Principal: account, Action: 'kms:*', Resource: '*' },
      { Effect: 'Deny', Principal: { AWS: '*' }, Action, Resource: '*', Condition },
    ],
  });
  return scratch.key(purpose, { Policy });
}

const boundKey = (scratch: Scratch, bucket: string): Promise<string> =>
  restrictedKey(scratch, 'bound', {
    StringNotEquals: { 'kms:EncryptionContext:aws:s3:arn': `arn:aws:s3:::${bucket}/encryption/bound` },
  });

/** Encryption under KMS keys, and what bucket policies see of it. */
export const s3EncryptionCases: readonly ConformanceCase[] = [
  {
    service: 'S3',
    name: 'without a Bucket Key, SSE-KMS names the object’s ARN as the encryption context',
    restsOn: 'functions/platform/tenant-key-policy.ts and infra/stacks/vault.ts: keys work for their own objects alone',
    page: CONTEXT_PAGE,
    expected: { written: 'done', read: 'done', elsewhere: '403 AccessDenied' },
    observe: async scratch => {
      const Bucket = await plainBucket(scratch);
      const key = await boundKey(scratch, Bucket);
      return {
        written: await answer(put(scratch, Bucket, 'encryption/bound', under(key))),
        read: await answer(scratch.s3.send(new GetObjectCommand({ Bucket, Key: 'encryption/bound' }))),
        elsewhere: await answer(put(scratch, Bucket, 'encryption/elsewhere', under(key))),
      };
    },
  },
  {
    service: 'S3',
    name: 'with a Bucket Key, the context is the bucket’s ARN, which such a key refuses',
    restsOn: 'functions/platform/tenant-key-policy.ts: a Bucket Key would outlive the tenant’s key for a while',
    page: CONTEXT_PAGE,
    expected: '403 AccessDenied',
    observe: async scratch => {
      const bucket = await plainBucket(scratch);
      return answer(put(scratch, bucket, 'encryption/bound', under(await boundKey(scratch, bucket), true)));
    },
  },
  {
    service: 'S3',
    name: 'a key policy with kms:ViaService lets S3 use a key that nobody can use directly',
    restsOn: 'functions/platform/tenant-key-policy.ts: DataThroughS3',
    page: 'https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html',
    expected: { throughS3: 'done', directly: '400 AccessDeniedException' },
    observe: async scratch => {
      const key = await restrictedKey(scratch, 'via', {
        StringNotEquals: { 'kms:ViaService': 's3.eu-west-2.amazonaws.com' },
      });
      return {
        throughS3: await answer(put(scratch, await plainBucket(scratch), 'encryption/via', under(key))),
        directly: await answer(scratch.kms.send(new EncryptCommand({ KeyId: key, Plaintext: randomBytes(32) }))),
      };
    },
  },
  {
    service: 'S3',
    name: 'under a tenant key’s policy an administrator cannot write, though the account keeps the key',
    restsOn: 'functions/platform/tenant-key-policy.ts: aws:PrincipalArn names who uses a tenant’s key',
    page: 'https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-overview.html',
    expected: '403 AccessDenied',
    observe: async scratch => {
      const bucket = await plainBucket(scratch);
      const policy = tenantKeyPolicy('conformance', {
        accountId: await scratch.accountId(),
        region: 'eu-west-2',
        vaultBucket: bucket,
        workBucket: `${PREFIX}${scratch.run}-nowhere`,
      });
      const key = await scratch.key('tenant', { Policy: JSON.stringify(policy), BypassPolicyLockoutSafetyCheck: true });
      return answer(put(scratch, bucket, 'tenants/conformance/objects/x', under(key)));
    },
  },
  {
    service: 'S3',
    name: 'one content has another ETag under each KMS key, and none is its MD5',
    restsOn: 'functions/backup/compare-listing.ts: ETags tell changes of one object, never contents of two',
    page: s3Api('Object'),
    expected: { differ: true, md5: false },
    observe: async scratch => {
      const bucket = await plainBucket(scratch);
      const eTagUnder = async (purpose: string) =>
        (await put(scratch, bucket, `encryption/etag-${purpose}`, under(await scratch.key(purpose)))).ETag;
      const eTags = [await eTagUnder('first'), await eTagUnder('second')];
      const md5 = `"${createHash('md5').update('x').digest('hex')}"`;
      return { differ: eTags[0] !== eTags[1], md5: eTags.includes(md5) };
    },
  },
  {
    service: 'S3',
    name: 'HeadObject names the algorithm, the key by its ARN, and no Bucket Key',
    restsOn: 'functions/pulse/read-back.ts and functions/platform/object-copy.ts: describeCopy',
    page: s3Api('HeadObject'),
    expected: { algorithm: 'aws:kms', namesTheKey: true, bucketKey: false },
    observe: async scratch => {
      const Bucket = await plainBucket(scratch);
      const key = await scratch.key('first');
      await put(scratch, Bucket, 'encryption/head', under(key));
      const head = await scratch.s3.send(new HeadObjectCommand({ Bucket, Key: 'encryption/head' }));
      return {
        algorithm: head.ServerSideEncryption ?? null,
        namesTheKey: head.SSEKMSKeyId === key,
        bucketKey: head.BucketKeyEnabled ?? false,
      };
    },
  },
  {
    service: 'S3',
    name: 'a bucket policy sees the KMS key that a write names (…-aws-kms-key-id), and nothing where none is named',
    restsOn: `${VAULT}: OnlyOurKeys`,
    page: s3Guide('UsingKMSEncryption'),
    expected: { ours: 'done', other: '403 AccessDenied', none: 'done' },
    observe: async scratch => {
      const bucket = await policedBucket(scratch);
      return {
        ours: await answer(put(scratch, bucket, 'key/ours', under(await scratch.key('first')))),
        other: await answer(put(scratch, bucket, 'key/other', under(await scratch.key('second')))),
        none: await answer(put(scratch, bucket, 'key/none')),
      };
    },
  },
  {
    service: 'S3',
    name: 'a bucket policy sees the algorithm that a write names, and nothing where none is named',
    restsOn: `${VAULT}: OnlyKmsEncryption`,
    page: s3Guide('amazon-s3-policy-keys'),
    expected: { kms: 'done', aes: '403 AccessDenied', none: 'done' },
    observe: async scratch => {
      const bucket = await policedBucket(scratch);
      return {
        kms: await answer(put(scratch, bucket, 'kms/kms', under(await scratch.key('first')))),
        aes: await answer(put(scratch, bucket, 'kms/aes', { ServerSideEncryption: 'AES256' })),
        none: await answer(put(scratch, bucket, 'kms/none')),
      };
    },
  },
  {
    service: 'S3',
    name: 'a bucket policy keeps out keys that a writer sends along (SSE-C)',
    restsOn: `${VAULT}: NoCustomerKeys`,
    page: s3Guide('ServerSideEncryptionCustomerKeys'),
    expected: '403 AccessDenied',
    observe: async scratch => {
      const key = randomBytes(32);
      return answer(
        put(scratch, await policedBucket(scratch), 'customer/x', {
          SSECustomerAlgorithm: 'AES256',
          SSECustomerKey: key.toString('base64'),
          SSECustomerKeyMD5: createHash('md5').update(key).digest('base64'),
        }),
      );
    },
  },
  {
    service: 'S3',
    name: 's3:TlsVersion holds the version of TLS as a number, 1.2 or more here',
    restsOn: `${VAULT}: minimumTLSVersion`,
    page: s3Guide('amazon-s3-policy-keys'),
    expected: { old: 'done', known: '403 AccessDenied' },
    observe: async scratch => {
      const bucket = await policedBucket(scratch);
      return {
        old: await answer(put(scratch, bucket, 'tls/x')),
        known: await answer(put(scratch, bucket, 'tls-known/x')),
      };
    },
  },
  {
    service: 'S3',
    name: 'denying s3:DeleteObject keeps delete markers out and lets versions be deleted by their ids',
    restsOn: `${VAULT}: NothingIsHiddenOrReplicatedIn`,
    page: s3Guide('DeletingObjectVersions'),
    expected: { marker: '403 AccessDenied', version: 'done' },
    observe: async scratch => {
      const named = { Bucket: await policedBucket(scratch), Key: 'hidden/x' };
      const { VersionId } = await put(scratch, named.Bucket, named.Key);
      const remove = (more: object) => answer(scratch.s3.send(new DeleteObjectCommand({ ...named, ...more })));
      return { marker: await remove({}), version: await remove({ VersionId }) };
    },
  },
  {
    service: 'S3',
    name: 'UpdateObjectEncryption moves an object to another key, unless s3:UpdateObjectEncryption is denied',
    restsOn: `${VAULT}: KeysAreNotSwapped`,
    page: s3Api('UpdateObjectEncryption'),
    expected: { allowed: 'done', denied: '403 AccessDenied' },
    observe: async scratch => {
      const Bucket = await policedBucket(scratch);
      const KMSKeyArn = await scratch.key('second');
      const swap = async (Key: string) => {
        await put(scratch, Bucket, Key, under(await scratch.key('first')));
        const ObjectEncryption = { SSEKMS: { KMSKeyArn } };
        return answer(scratch.s3.send(new UpdateObjectEncryptionCommand({ Bucket, Key, ObjectEncryption })));
      };
      return { allowed: await swap('free/swapped'), denied: await swap('swapped/x') };
    },
  },
];
