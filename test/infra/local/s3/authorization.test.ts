import {
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  PutObjectRetentionCommand,
} from '@aws-sdk/client-s3';
import { describe, expect, it } from 'vitest';
import { failure, keyArn, START, startS3 } from './local-s3.ts';

const inDays = (days: number) => new Date(START.getTime() + days * 24 * 60 * 60 * 1000);
const PUT = 's3:PutObject';

describe('each operation asks IAM', () => {
  it('for its action on its resource, with the policy of the bucket and the condition keys of the request', async () => {
    const { client, permissions, s3 } = startS3();
    const policy = { Version: '2012-10-17', Statement: [] };
    s3.putBucketPolicy('locked', policy);
    await client.send(
      new PutObjectCommand({
        Bucket: 'locked',
        Key: 'a b/c',
        Body: 'x',
        IfNoneMatch: '*',
        Tagging: 'kind=note',
        ServerSideEncryption: 'aws:kms',
        SSEKMSKeyId: keyArn('one'),
        ObjectLockMode: 'COMPLIANCE',
        ObjectLockEventHold: 'ON',
        ObjectLockEventHoldDurationYears: 1,
        ObjectLockLegalHoldStatus: 'OFF',
      }),
    );
    expect(permissions.asked.map(({ action, resource }) => [action, resource])).toEqual(
      [PUT, 's3:PutObjectTagging', 's3:PutObjectRetention', 's3:PutObjectLegalHold'].map(action => [
        action,
        'arn:aws:s3:::locked/a b/c',
      ]),
    );
    const [{ context, resourcePolicy, principal } = { context: {} }] = permissions.asked;
    expect(resourcePolicy).toEqual(policy);
    expect(principal?.kind).toBe('root');
    expect(context).toMatchObject({
      'aws:SecureTransport': 'true',
      's3:TlsVersion': '1.3',
      's3:ObjectCreationOperation': 'true',
      's3:if-none-match': '*',
      's3:x-amz-server-side-encryption': 'aws:kms',
      's3:x-amz-server-side-encryption-aws-kms-key-id': keyArn('one'),
      's3:object-lock-mode': 'COMPLIANCE',
      's3:object-lock-event-hold': 'ON',
      's3:object-lock-event-hold-duration-days': '365',
      's3:object-lock-legal-hold': 'OFF',
      's3:RequestObjectTagKeys': ['kind'],
      's3:RequestObjectTag/kind': 'note',
    });
    expect(Object.keys(context)).not.toContain('s3:if-match');
  });

  it('also of a copy for its source, and for the tags that it carries over', async () => {
    const { client, permissions } = startS3();
    await client.send(new PutObjectCommand({ Bucket: 'versioned', Key: 's', Body: 'x', Tagging: 'a=1' }));
    const { VersionId } = await client.send(new HeadObjectCommand({ Bucket: 'versioned', Key: 's' }));
    permissions.asked = [];
    const CopySource = `versioned/s?versionId=${VersionId}`;
    await client.send(new CopyObjectCommand({ Bucket: 'plain', Key: 'd', CopySource }));
    expect(permissions.asked.map(({ action, resource }) => [action, resource])).toEqual([
      [PUT, 'arn:aws:s3:::plain/d'],
      ['s3:GetObjectVersion', 'arn:aws:s3:::versioned/s'],
      ['s3:GetObjectVersionTagging', 'arn:aws:s3:::versioned/s'],
      ['s3:PutObjectTagging', 'arn:aws:s3:::plain/d'],
    ]);
    expect(permissions.asked[0]?.context['s3:x-amz-copy-source']).toBe(CopySource);
    permissions.denied.add('s3:GetObjectVersion');
    expect(await failure(client.send(new CopyObjectCommand({ Bucket: 'plain', Key: 'd', CopySource })))).toBe(
      'AccessDenied 403',
    );
  });

  it('for reading, too, where it is a condition that the object is still this one', async () => {
    const { client, permissions } = startS3();
    const place = { Bucket: 'plain', Key: 'k' };
    const { ETag } = await client.send(new PutObjectCommand({ ...place, Body: 'x' }));
    permissions.asked.length = 0;
    await client.send(new PutObjectCommand({ ...place, Body: 'y', IfMatch: ETag }));
    expect(permissions.asked.map(({ action }) => action)).toEqual([PUT, 's3:GetObject']);
    permissions.asked.length = 0;
    await failure(client.send(new DeleteObjectCommand({ ...place, IfMatch: ETag })));
    expect(permissions.asked.map(({ action }) => action)).toEqual(['s3:DeleteObject', 's3:GetObject']);
  });

  it('with what tells a conditional write from an upload in parts', async () => {
    const { client, permissions } = startS3();
    await client.send(new CreateMultipartUploadCommand({ Bucket: 'plain', Key: 'k' }));
    expect(permissions.asked[0]).toMatchObject({ action: PUT, context: { 's3:ObjectCreationOperation': 'false' } });
  });

  it('with the prefix of a listing, and the retention of a document', async () => {
    const { client, permissions } = startS3();
    await client.send(new ListObjectsV2Command({ Bucket: 'plain', Prefix: 'schools/oak/', Delimiter: '/' }));
    expect(permissions.asked[0]).toMatchObject({
      action: 's3:ListBucket',
      resource: 'arn:aws:s3:::plain',
      context: { 's3:prefix': 'schools/oak/', 's3:delimiter': '/' },
    });
    await client.send(new PutObjectCommand({ Bucket: 'locked', Key: 'k', Body: 'x' }));
    permissions.asked = [];
    await client.send(
      new PutObjectRetentionCommand({
        Bucket: 'locked',
        Key: 'k',
        Retention: { Mode: 'GOVERNANCE', RetainUntilDate: inDays(10) },
      }),
    );
    expect(permissions.asked[0]).toMatchObject({
      action: 's3:PutObjectRetention',
      context: { 's3:object-lock-mode': 'GOVERNANCE', 's3:object-lock-remaining-retention-days': '10' },
    });
  });

  it('and does nothing where it is refused', async () => {
    const { client, permissions } = startS3();
    const place = { Bucket: 'versioned', Key: 'k' };
    permissions.denied.add(PUT);
    expect(await failure(client.send(new PutObjectCommand({ ...place, Body: 'x' })))).toBe('AccessDenied 403');
    permissions.denied.clear();
    expect(await failure(client.send(new GetObjectCommand(place)))).toBe('NoSuchKey 404');
    const { VersionId } = await client.send(new PutObjectCommand({ ...place, Body: 'x' }));
    permissions.denied.add('s3:DeleteObjectVersion').add('s3:GetObjectVersion').add('s3:GetObjectTagging');
    expect(await failure(client.send(new DeleteObjectCommand({ ...place, VersionId })))).toBe('AccessDenied 403');
    expect(await failure(client.send(new GetObjectCommand({ ...place, VersionId })))).toBe('AccessDenied 403');
    expect(await failure(client.send(new GetObjectCommand(place)))).toBe('no failure');
  });

  it('hides from whoever may not list a bucket whether a key exists', async () => {
    const { client, permissions } = startS3();
    permissions.denied.add('s3:ListBucket');
    expect(await failure(client.send(new GetObjectCommand({ Bucket: 'plain', Key: 'k' })))).toBe('AccessDenied 403');
    expect(await failure(client.send(new HeadObjectCommand({ Bucket: 'plain', Key: 'k' })))).toMatch(/ 403$/);
  });
});
