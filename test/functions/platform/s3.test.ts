import { Readable } from 'node:stream';
import {
  DeleteObjectsCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import { beforeEach, describe, expect, it } from 'vitest';
import { deleteVersions, listObjects, listVersions, readBytes, writeBytes } from '../../../functions/platform/s3.ts';
import { mockClientHere } from '../../fixtures/mock-client.ts';

const s3 = mockClientHere(S3Client);
beforeEach(() => s3.reset());

const refusal = (name: string, httpStatusCode: number) =>
  new S3ServiceException({ name, $fault: 'client', message: 'as S3 says it', $metadata: { httpStatusCode } });

describe('what S3 answers', () => {
  it.each([
    ['SlowDown', 503, 'RetryableError'],
    ['InternalError', 500, 'RetryableError'],
    ['RequestTimeout', 400, 'RetryableError'],
    ['OperationAborted', 409, 'RetryableError'],
    ['ThrottlingException', 400, 'RetryableError'],
    ['KMS.ThrottlingException', 400, 'RetryableError'],
    ['KMS.KMSInternalException', 500, 'RetryableError'],
    ['KMS.DependencyTimeoutException', 503, 'RetryableError'],
    ['KMS.KeyUnavailableException', 500, 'RetryableError'],
    ['KMS.DisabledException', 400, 'ObjectKeyUnusableError'],
    ['KMS.KMSInvalidStateException', 400, 'ObjectKeyUnusableError'],
    ['KMS.NotFoundException', 400, 'ObjectKeyUnusableError'],
    ['AccessDenied', 403, 'ObjectAccessDeniedError'],
    ['NoSuchBucket', 404, 'ObjectNotFoundError'],
    ['InvalidRequest', 400, 'ObjectStorageError'],
    ['NotImplemented', 501, 'ObjectStorageError'],
  ])('takes %s (%i) for a %s', async (name, status, error) => {
    s3.on(PutObjectCommand).rejects(refusal(name, status));
    await expect(writeBytes('vault', 'a', Buffer.from('x'))).rejects.toMatchObject({ name: error });
  });

  it('calls a connection that breaks while content is read worth another try', async () => {
    const breaking = async function* () {
      yield Buffer.from('half');
      throw Object.assign(new Error('aborted'), { code: 'ECONNRESET' });
    };
    s3.on(GetObjectCommand).callsFake(() => ({ Body: Readable.from(breaking()) }));
    await expect(readBytes('vault', 'a')).rejects.toMatchObject({
      name: 'RetryableError',
      message: 's3://vault/a: it broke off while it was read (Error: aborted)',
    });
  });

  it.each([
    ['current objects', () => listObjects('work', '')],
    ['versions', () => listVersions('work', '')],
  ])(
    'neither takes for complete nor begins again a listing of %s that is cut without saying where',
    async (_, list) => {
      const page = { IsTruncated: true, Contents: [{ Key: 'a' }], Versions: [{ Key: 'a', VersionId: '1' }] };
      s3.on(ListObjectsV2Command).resolves(page).on(ListObjectVersionsCommand).resolves(page);
      await expect(Array.fromAsync<unknown>(list())).rejects.toMatchObject({ name: 'ObjectStorageError' });
      expect(s3.calls()).toHaveLength(1);
    },
  );

  it.each([
    [['InternalError', 'SlowDown'], 'RetryableError', '2 of 3 versions were not deleted (InternalError)'],
    [['InternalError', 'AccessDenied'], 'ObjectStorageError', '2 of 3 versions were not deleted (AccessDenied)'],
  ])('tells what may pass from what will not where a deletion fails in part: %j', async (codes, name, message) => {
    s3.on(DeleteObjectsCommand).resolves({ Errors: codes.map(Code => ({ Code })) });
    const versions = ['a', 'b', 'c'].map(key => ({ key, versionId: 'null' }));
    await expect(deleteVersions('work', versions)).rejects.toMatchObject({ name, message: `s3://work: ${message}` });
  });
});
