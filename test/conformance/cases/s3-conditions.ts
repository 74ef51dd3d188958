import {
  CompleteMultipartUploadCommand,
  type CompleteMultipartUploadCommandInput,
  CopyObjectCommand,
  type CopyObjectCommandInput,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { answer, type ConformanceCase } from '../case.ts';
import type { Scratch } from '../scratch.ts';
import { policedBucket, versionedBucket } from './buckets.ts';
import { s3Api, s3Guide } from './pages.ts';

const LEDGER = 'functions/evidence/append.ts: the ledger’s entries are written once';
const COPY = 'functions/platform/object-copy.ts: a rerun adopts the copy that is there';
const REGISTER = 'functions/register/keep-entry.ts: of two editors one is told';
const POLICY = 'infra/stacks/vault.ts: NothingIsWrittenTwice';

const put = (scratch: Scratch, Bucket: string, Key: string, more: Partial<PutObjectCommandInput> = {}) =>
  scratch.s3.send(new PutObjectCommand({ Bucket, Key, Body: 'x', ...more }));
const copy = (
  scratch: Scratch,
  Bucket: string,
  from: string,
  Key: string,
  more: Partial<CopyObjectCommandInput> = {},
) => scratch.s3.send(new CopyObjectCommand({ Bucket, Key, CopySource: `${Bucket}/${from}`, ...more }));
const upload = async (scratch: Scratch, Bucket: string, Key: string) => {
  const { UploadId } = await scratch.s3.send(new CreateMultipartUploadCommand({ Bucket, Key }));
  const part = { Bucket, Key, UploadId, PartNumber: 1, Body: 'x' };
  const { ETag } = await scratch.s3.send(new UploadPartCommand(part));
  const whole = { Bucket, Key, UploadId, MultipartUpload: { Parts: [{ PartNumber: 1, ETag }] } };
  return (more: Partial<CompleteMultipartUploadCommandInput> = {}) =>
    scratch.s3.send(new CompleteMultipartUploadCommand({ ...whole, ...more }));
};

/** Conditional writes, and bucket policies that demand them. */
export const s3ConditionCases: readonly ConformanceCase[] = [
  {
    service: 'S3',
    name: 'PutObject with If-None-Match writes a new key and refuses one that is there',
    restsOn: LEDGER,
    page: s3Guide('conditional-writes'),
    expected: { free: 'done', taken: '412 PreconditionFailed' },
    observe: async scratch => {
      const bucket = await versionedBucket(scratch);
      const once = () => answer(put(scratch, bucket, 'conditions/once', { IfNoneMatch: '*' }));
      return { free: await once(), taken: await once() };
    },
  },
  {
    service: 'S3',
    name: 'PutObject with If-None-Match succeeds on top of a delete marker',
    restsOn: `${LEDGER}; the evidence bucket therefore refuses delete markers`,
    page: s3Guide('conditional-writes'),
    expected: 'done',
    observe: async scratch => {
      const named = { Bucket: await versionedBucket(scratch), Key: 'conditions/marked' };
      await put(scratch, named.Bucket, named.Key);
      await scratch.s3.send(new DeleteObjectCommand(named));
      return answer(put(scratch, named.Bucket, named.Key, { IfNoneMatch: '*' }));
    },
  },
  {
    service: 'S3',
    name: 'of ten conditional writes of one key at once, one wins and nine are told so by 412 or 409',
    restsOn: LEDGER,
    page: s3Guide('conditional-writes'),
    expected: { written: 1, refused: 9, otherwise: [] },
    observe: async scratch => {
      const bucket = await versionedBucket(scratch);
      const writes = Array.from({ length: 10 }, (_, n) =>
        answer(put(scratch, bucket, 'conditions/race', { Body: String(n), IfNoneMatch: '*' })),
      );
      const answers = await Promise.all(writes);
      const refusals = ['412 PreconditionFailed', '409 ConditionalRequestConflict'];
      scratch.note(`${answers.filter(text => text === refusals[1]).length} of them by 409`);
      return {
        written: answers.filter(text => text === 'done').length,
        refused: answers.filter(text => refusals.includes(text)).length,
        otherwise: answers.filter(text => text !== 'done' && !refusals.includes(text)),
      };
    },
  },
  {
    service: 'S3',
    name: 'CompleteMultipartUpload with If-None-Match refuses a key that is there',
    restsOn: COPY,
    page: s3Api('CompleteMultipartUpload'),
    expected: { free: 'done', taken: '412 PreconditionFailed' },
    observe: async scratch => {
      const bucket = await versionedBucket(scratch);
      const complete = async () => {
        const finish = await upload(scratch, bucket, 'conditions/parts');
        return answer(finish({ IfNoneMatch: '*' }));
      };
      return { free: await complete(), taken: await complete() };
    },
  },
  {
    service: 'S3',
    name: 'CopyObject with If-None-Match refuses a target that is there',
    restsOn: COPY,
    page: s3Api('CopyObject'),
    expected: { free: 'done', taken: '412 PreconditionFailed' },
    observe: async scratch => {
      const bucket = await versionedBucket(scratch);
      await put(scratch, bucket, 'conditions/source');
      const once = () => answer(copy(scratch, bucket, 'conditions/source', 'conditions/copied', { IfNoneMatch: '*' }));
      return { free: await once(), taken: await once() };
    },
  },
  {
    service: 'S3',
    name: 'CopyObject with If-Match replaces only the target that it names',
    restsOn: COPY,
    page: s3Api('CopyObject'),
    expected: { other: '412 PreconditionFailed', named: 'done', missing: '404 NoSuchKey' },
    observe: async scratch => {
      const bucket = await versionedBucket(scratch);
      await put(scratch, bucket, 'conditions/source');
      const { ETag } = await put(scratch, bucket, 'conditions/target', { Body: 'target' });
      const over = (key: string, IfMatch: string | undefined) =>
        answer(copy(scratch, bucket, 'conditions/source', key, { IfMatch }));
      return {
        other: await over('conditions/target', '"00000000000000000000000000000000"'),
        named: await over('conditions/target', ETag),
        missing: await over('conditions/missing', ETag),
      };
    },
  },
  {
    service: 'S3',
    name: 'CopyObject with CopySourceIfMatch refuses a source that has changed',
    restsOn: `${COPY}; what was listed is what is copied`,
    page: s3Api('CopyObject'),
    expected: { listed: 'done', changed: '412 PreconditionFailed' },
    observe: async scratch => {
      const bucket = await versionedBucket(scratch);
      const { ETag } = await put(scratch, bucket, 'conditions/changing');
      const copied = () =>
        answer(copy(scratch, bucket, 'conditions/changing', 'conditions/changed', { CopySourceIfMatch: ETag }));
      const listed = await copied();
      await put(scratch, bucket, 'conditions/changing', { Body: 'changed' });
      return { listed, changed: await copied() };
    },
  },
  {
    service: 'S3',
    name: 'a bucket policy can demand If-None-Match of every PutObject',
    restsOn: POLICY,
    page: s3Guide('conditional-writes-enforce'),
    expected: { without: '403 AccessDenied', with: 'done' },
    observe: async scratch => {
      const bucket = await policedBucket(scratch);
      return {
        without: await answer(put(scratch, bucket, 'once/put')),
        with: await answer(put(scratch, bucket, 'once/put', { IfNoneMatch: '*' })),
      };
    },
  },
  {
    service: 'S3',
    name: 'with s3:ObjectCreationOperation such a policy lets parts be uploaded, and demands the condition of the completion',
    restsOn: POLICY,
    page: s3Guide('conditional-writes-enforce'),
    expected: { parts: 'done', without: '403 AccessDenied', with: 'done' },
    observe: async scratch => {
      const bucket = await policedBucket(scratch);
      const uploading = upload(scratch, bucket, 'once/parts');
      const parts = await answer(uploading);
      if (parts !== 'done') return { parts };
      const complete = await uploading;
      return { parts, without: await answer(complete()), with: await answer(complete({ IfNoneMatch: '*' })) };
    },
  },
  {
    service: 'S3',
    name: 'such a policy ends CopyObject: 403 without the condition, 501 with it',
    restsOn: 'infra/stacks/vault.ts: VAULT_WRITTEN_ONCE leaves out the prefix that copies go to',
    page: s3Guide('conditional-writes-enforce'),
    expected: { without: '403 AccessDenied', with: '501 NotImplemented' },
    observe: async scratch => {
      const bucket = await policedBucket(scratch);
      await put(scratch, bucket, 'free/source');
      const to = (more: Partial<CopyObjectCommandInput>) =>
        answer(copy(scratch, bucket, 'free/source', 'once/copied', more), { notImplemented: true });
      return { without: await to({}), with: await to({ IfNoneMatch: '*' }) };
    },
  },
  {
    service: 'S3',
    name: 'DeleteObject with If-Match deletes what was read, and refuses what has changed',
    restsOn: REGISTER,
    page: s3Guide('conditional-deletes'),
    expected: { changed: '412 PreconditionFailed', read: 'done' },
    observe: async scratch => {
      const named = { Bucket: await versionedBucket(scratch), Key: 'conditions/deleted' };
      const before = await put(scratch, named.Bucket, named.Key, { Body: 'before' });
      const { ETag } = await put(scratch, named.Bucket, named.Key, { Body: 'after' });
      const remove = (IfMatch: string | undefined) =>
        answer(scratch.s3.send(new DeleteObjectCommand({ ...named, IfMatch })));
      return { changed: await remove(before.ETag), read: await remove(ETag) };
    },
  },
  {
    service: 'S3',
    name: 'a bucket policy can demand of every put and delete that it names what it replaces, or that there is nothing',
    restsOn: 'infra/access/bucket-policies.ts: NothingIsWrittenUnseen, NothingIsDeletedUnseen',
    page: s3Guide('conditional-delete-enforce'),
    expected: { unseen: '403 AccessDenied', deletedUnseen: '403 AccessDenied', deleted: 'done' },
    observe: async scratch => {
      const named = { Bucket: await policedBucket(scratch), Key: 'seen/entry' };
      const write = (more: Partial<PutObjectCommandInput>) => put(scratch, named.Bucket, named.Key, more);
      const remove = (IfMatch?: string) => answer(scratch.s3.send(new DeleteObjectCommand({ ...named, IfMatch })));
      const unseen = await answer(write({}));
      const first = await write({ IfNoneMatch: '*' });
      const second = await write({ IfMatch: first.ETag });
      const deletedUnseen = await remove();
      return { unseen, deletedUnseen, deleted: await remove(second.ETag) };
    },
  },
];
