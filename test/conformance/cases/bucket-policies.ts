import { randomBytes } from 'node:crypto';
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
  PutObjectRetentionCommand,
  UpdateObjectEncryptionCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { answer, type ConformanceCase } from '../case.ts';
import type { Scratch } from '../scratch.ts';
import { type Purpose, policyFor } from '../synthesized.ts';
import { versionedBucket } from './buckets.ts';
import { s3Api, s3Guide } from './pages.ts';

const RESTS_ON = 'infra/stacks/vault.ts, as it is synthesized: the bucket’s whole policy';
const REFUSED = '403 AccessDenied';
const ONCE = { vault: 'fingerprints', evidence: 'ledger', work: 'work' } as const;

/** A bucket with the synthesized policy of another: for whoever is no writer of it, and as its writers meet it. */
function scratchBucket(scratch: Scratch, purpose: Purpose, anyWriter: boolean): Promise<string> {
  const locks = {
    vault: { versioned: true, eventHoldDays: 1 },
    evidence: { versioned: true, objectLock: true },
    work: {},
  };
  return scratch.bucket(`${purpose}${anyWriter ? 'writers' : 'others'}`, {
    ...locks[purpose],
    statements: async arn =>
      policyFor(purpose, await scratch.accountId(), { arn, keyArn: await scratch.key('first'), anyWriter }),
  });
}

/** What nobody can do but the one who writes there. */
const ofOthers = (purpose: Purpose): ConformanceCase => ({
  service: 'S3',
  name: `the synthesized policy of the ${purpose} refuses everybody else`,
  restsOn: RESTS_ON,
  page: s3Guide('example-bucket-policies'),
  expected: {
    put: REFUSED,
    putElsewhere: REFUSED,
    ...(purpose === 'work' ? {} : { deleteMarker: REFUSED }),
    ...(purpose === 'vault' ? { releasing: REFUSED } : {}),
    ...(purpose === 'evidence' ? { deleteVersion: REFUSED, bypass: REFUSED } : {}),
  },
  observe: async scratch => {
    const Bucket = await scratchBucket(scratch, purpose, false);
    const key = await scratch.key('first');
    const Key = `${ONCE[purpose]}/a`;
    const put = (name: string) =>
      answer(scratch.s3.send(new PutObjectCommand({ Bucket, Key: name, Body: 'x', IfNoneMatch: '*', ...under(key) })));
    const remove = (more: { VersionId?: string; BypassGovernanceRetention?: boolean } = {}) =>
      answer(scratch.s3.send(new DeleteObjectCommand({ Bucket, Key, ...more })));
    // Of another bucket, because nobody can put one here: whether it is there is not asked once the policy refuses.
    const elsewhere = { Bucket: await versionedBucket(scratch), Key: 'policies/a', Body: 'x' };
    const { VersionId = '' } = await scratch.s3.send(new PutObjectCommand(elsewhere));
    return {
      put: await put(Key),
      putElsewhere: await put('nobody/writes/here'),
      ...(purpose === 'work' ? {} : { deleteMarker: await remove() }),
      ...(purpose === 'vault' ? { releasing: await answer(release(scratch, Bucket, Key)) } : {}),
      ...(purpose === 'evidence'
        ? {
            deleteVersion: await remove({ VersionId }),
            bypass: await remove({ VersionId, BypassGovernanceRetention: true }),
          }
        : {}),
    };
  },
});

const under = (SSEKMSKeyId: string) => ({ ServerSideEncryption: 'aws:kms', SSEKMSKeyId }) as const;

function release(scratch: Scratch, Bucket: string, Key: string): Promise<unknown> {
  const Retention = { EventHold: 'OFF' } as const;
  return scratch.s3.send(new PutObjectRetentionCommand({ Bucket, Key, Retention }));
}

/** An upload of one part, whose completion demands that nothing is there. */
async function uploadInParts(scratch: Scratch, Bucket: string, Key: string, keyArn: string): Promise<unknown> {
  const { UploadId } = await scratch.s3.send(
    new CreateMultipartUploadCommand({ Bucket, Key, ChecksumAlgorithm: 'SHA256', ...under(keyArn) }),
  );
  const part = { Bucket, Key, UploadId, PartNumber: 1, Body: 'x', ChecksumAlgorithm: 'SHA256' } as const;
  const { ETag, ChecksumSHA256 } = await scratch.s3.send(new UploadPartCommand(part));
  const MultipartUpload = { Parts: [{ PartNumber: 1, ETag, ChecksumSHA256 }] };
  return scratch.s3.send(
    new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload, IfNoneMatch: '*' }),
  );
}

/** What a writer can do there, and what he cannot either. */
const ofWriters = (purpose: Purpose): ConformanceCase => ({
  service: 'S3',
  name: `the synthesized policy of the ${purpose} lets its writers write as they do, and no otherwise`,
  restsOn: RESTS_ON,
  page: s3Guide('conditional-writes-enforce'),
  expected: {
    written: 'done',
    again: '412 PreconditionFailed',
    unconditional: purpose === 'work' ? 'done' : REFUSED,
    withoutKey: purpose === 'evidence' ? REFUSED : 'done',
    foreignKey: REFUSED,
    otherAlgorithm: REFUSED,
    customerKey: REFUSED,
    ...(purpose === 'vault' ? { inParts: 'done', copied: 'done', releasing: REFUSED } : {}),
    deleted: purpose === 'work' ? 'done' : REFUSED,
  },
  observe: async scratch => {
    const Bucket = await scratchBucket(scratch, purpose, true);
    const key = await scratch.key('first');
    const prefix = ONCE[purpose];
    const put = (name: string, more: Partial<PutObjectCommandInput>) =>
      answer(scratch.s3.send(new PutObjectCommand({ Bucket, Key: `${prefix}/${name}`, Body: 'x', ...more })));
    const once = { IfNoneMatch: '*' };
    const customerKey = { SSECustomerAlgorithm: 'AES256', SSECustomerKey: randomBytes(32).toString('base64') };
    const copy = { CopySource: `${Bucket}/${prefix}/a`, ChecksumAlgorithm: 'SHA256', ...under(key) } as const;
    return {
      written: await put('a', { ...once, ...under(key) }),
      again: await put('a', { ...once, ...under(key) }),
      unconditional: await put('b', under(key)),
      withoutKey: await put('c', once),
      foreignKey: await put('d', { ...once, ...under('arn:aws:kms:eu-west-2:000000000000:key/none') }),
      otherAlgorithm: await put('e', { ...once, ServerSideEncryption: 'AES256' }),
      customerKey: await put('f', { ...once, ...customerKey }),
      ...(purpose === 'vault'
        ? {
            inParts: await answer(uploadInParts(scratch, Bucket, `${prefix}/parts`, key)),
            // Objects are copied to where the policy demands no condition, because S3 then refuses every copy.
            copied: await answer(
              scratch.s3.send(new CopyObjectCommand({ Bucket, Key: 'tenants/oak/objects/a', ...copy })),
            ),
            releasing: await answer(release(scratch, Bucket, `${prefix}/a`)),
          }
        : {}),
      deleted: await answer(scratch.s3.send(new DeleteObjectCommand({ Bucket, Key: `${prefix}/a` }))),
    };
  },
});

const PURPOSES = ['vault', 'evidence', 'work'] as const;

/** The policies that are deployed, put onto scratch buckets. */
export const bucketPolicyCases: readonly ConformanceCase[] = [
  ...PURPOSES.flatMap(purpose => [ofOthers(purpose), ofWriters(purpose)]),
  {
    service: 'S3',
    name: 'the synthesized policies let nobody put an object under another key',
    restsOn: RESTS_ON,
    page: s3Api('UpdateObjectEncryption'),
    expected: { vault: REFUSED, evidence: REFUSED, work: REFUSED },
    observe: async scratch => {
      const KMSKeyArn = await scratch.key('first');
      const swap = async (purpose: Purpose) => {
        const Bucket = await scratchBucket(scratch, purpose, true);
        const ObjectEncryption = { SSEKMS: { KMSKeyArn } };
        return answer(scratch.s3.send(new UpdateObjectEncryptionCommand({ Bucket, Key: 'a', ObjectEncryption })));
      };
      return { vault: await swap('vault'), evidence: await swap('evidence'), work: await swap('work') };
    },
  },
];
