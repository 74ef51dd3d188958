import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CopyObjectCommand,
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteBucketPolicyCommand,
  DeleteObjectCommand,
  GetBucketPolicyCommand,
  GetBucketTaggingCommand,
  GetBucketVersioningCommand,
  GetObjectLockConfigurationCommand,
  type ObjectLockConfiguration,
  PutBucketPolicyCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutObjectLockConfigurationCommand,
} from '@aws-sdk/client-s3';
import { afterEach, describe, expect, it } from 'vitest';
import { failure, startS3 } from './local-s3.ts';

const directories: string[] = [];
afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
});

const CONDITIONAL = {
  Version: '2012-10-17',
  Statement: [
    {
      Effect: 'Deny',
      Principal: '*',
      Action: 's3:PutObject',
      Resource: 'arn:aws:s3:::versioned/once/*',
      Condition: { Null: { 's3:if-none-match': 'true' } },
    },
  ],
};

it('a bucket is created with its tags, and gives them back', async () => {
  const { client, permissions } = startS3();
  const Tags = [{ Key: 'purpose', Value: 'test' }];
  const tagged = { Bucket: 'tagged', CreateBucketConfiguration: { LocationConstraint: 'eu-west-2' as const, Tags } };
  await client.send(new CreateBucketCommand(tagged));
  expect(permissions.asked.map(({ action }) => action)).toEqual(['s3:CreateBucket', 's3:TagResource']);
  expect((await client.send(new GetBucketTaggingCommand({ Bucket: 'tagged' }))).TagSet).toEqual(Tags);
  expect(await failure(client.send(new GetBucketTaggingCommand({ Bucket: 'plain' })))).toBe('NoSuchTagSet 404');
});

it('a bucket is deleted once it holds no version', async () => {
  const { client } = startS3();
  const named = { Bucket: 'versioned', Key: 'a' };
  const { VersionId } = await client.send(new PutObjectCommand({ ...named, Body: 'x' }));
  const marker = await client.send(new DeleteObjectCommand(named));
  const remove = () => client.send(new DeleteBucketCommand({ Bucket: 'versioned' }));
  expect(await failure(remove())).toBe('BucketNotEmpty 409');
  await client.send(new DeleteObjectCommand({ ...named, VersionId }));
  expect(await failure(remove())).toBe('BucketNotEmpty 409');
  await client.send(new DeleteObjectCommand({ ...named, VersionId: marker.VersionId }));
  await remove();
  expect(await failure(remove())).toBe('NoSuchBucket 404');
});

describe('a bucket’s policy', () => {
  const put = (Policy: string) => new PutBucketPolicyCommand({ Bucket: 'versioned', Policy });

  it('is put, read and deleted', async () => {
    const { client } = startS3();
    await client.send(put(JSON.stringify(CONDITIONAL)));
    const { Policy = '' } = await client.send(new GetBucketPolicyCommand({ Bucket: 'versioned' }));
    expect(JSON.parse(Policy)).toEqual(CONDITIONAL);
    await client.send(new DeleteBucketPolicyCommand({ Bucket: 'versioned' }));
    expect(await failure(client.send(new GetBucketPolicyCommand({ Bucket: 'versioned' })))).toBe(
      'NoSuchBucketPolicy 404',
    );
  });

  it.each([
    ['no JSON', 'policy', 'MalformedPolicy 400'],
    [
      'a statement without a principal',
      JSON.stringify({ Statement: { Effect: 'Deny', Action: '*', Resource: '*' } }),
      'MalformedPolicy 400',
    ],
    ['more than 20 KB', JSON.stringify({ ...CONDITIONAL, Id: 'x'.repeat(21_000) }), 'MalformedPolicy 400'],
    [
      'a condition operator that is not implemented',
      JSON.stringify(CONDITIONAL).replace('"Null"', '"BinaryEquals"'),
      'NotImplemented 501',
    ],
  ])('is refused for %s', async (_title, policy, expected) => {
    const { client } = startS3();
    expect(await failure(client.send(put(policy)))).toBe(expected);
  });

  it('that demands a condition ends copies: 403 without it, 501 with it; elsewhere they go on', async () => {
    const { client, permissions } = startS3();
    await client.send(new PutObjectCommand({ Bucket: 'versioned', Key: 'source', Body: 'x' }));
    permissions.denied.clear();
    const copy = (Key: string, more = {}) =>
      failure(
        client.send(new CopyObjectCommand({ Bucket: 'versioned', Key, CopySource: 'versioned/source', ...more })),
      );
    expect(await copy('free', { IfNoneMatch: '*' })).toBe('no failure');
    // The authorizer of these tests knows no conditions: it refuses what carries none.
    const { authorize } = permissions;
    permissions.authorize = request => {
      const isEnforced = request.action === 's3:PutObject' && request.resource.includes('/once/');
      if (isEnforced && request.context['s3:if-none-match'] === undefined) permissions.denied.add('s3:PutObject');
      try {
        authorize.call(permissions, request);
      } finally {
        permissions.denied.clear();
      }
    };
    expect(await copy('once/a')).toBe('AccessDenied 403');
    expect(await copy('once/a', { IfNoneMatch: '*' })).toBe('NotImplemented 501');
    expect(await copy('free-too', { IfNoneMatch: '*' })).toBe('no failure');
  });
});

describe('versioning and Object Lock', () => {
  const lock = (Bucket: string, configuration: ObjectLockConfiguration) =>
    new PutObjectLockConfigurationCommand({ Bucket, ObjectLockConfiguration: configuration });
  const rule = (DefaultRetention: object): ObjectLockConfiguration => ({
    ObjectLockEnabled: 'Enabled',
    Rule: { DefaultRetention },
  });

  it('versioning is turned on, and cannot be suspended under Object Lock', async () => {
    const { client } = startS3();
    const set = (Bucket: string, Status: 'Enabled' | 'Suspended') =>
      client.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status } }));
    await set('plain', 'Enabled');
    expect((await client.send(new GetBucketVersioningCommand({ Bucket: 'plain' }))).Status).toBe('Enabled');
    expect(await failure(set('locked', 'Suspended'))).toBe('InvalidBucketState 409');
  });

  it('a default event hold is taken, and keeps the bucket’s policy and objects', async () => {
    const { client } = startS3();
    await client.send(new PutBucketPolicyCommand({ Bucket: 'locked', Policy: JSON.stringify({ Statement: [] }) }));
    await client.send(lock('locked', rule({ Mode: 'GOVERNANCE', Days: 35, DefaultEventHold: { Days: 35 } })));
    const { ObjectLockConfiguration } = await client.send(new GetObjectLockConfigurationCommand({ Bucket: 'locked' }));
    expect(ObjectLockConfiguration?.Rule?.DefaultRetention).toEqual({
      Mode: 'GOVERNANCE',
      Days: 35,
      DefaultEventHold: { Days: 35 },
    });
    expect((await client.send(new GetBucketPolicyCommand({ Bucket: 'locked' }))).Policy).toBe('{"Statement":[]}');
  });

  it.each<[string, string, ObjectLockConfiguration, string]>([
    ['without versions', 'plain', { ObjectLockEnabled: 'Enabled' }, 'InvalidBucketState 409'],
    ['that is not enabled', 'locked', {}, 'MalformedXML 400'],
    ['without a mode', 'locked', rule({ Days: 1 }), 'MalformedXML 400'],
    ['without a period', 'locked', rule({ Mode: 'GOVERNANCE' }), 'MalformedXML 400'],
    ['in days and years', 'locked', rule({ Mode: 'GOVERNANCE', Days: 1, Years: 1 }), 'MalformedXML 400'],
    [
      'of no day',
      'locked',
      rule({ Mode: 'GOVERNANCE', Days: 1, DefaultEventHold: { Days: 0 } }),
      'InvalidArgument 400',
    ],
    ['by a hold alone', 'locked', rule({ Mode: 'GOVERNANCE', DefaultEventHold: { Days: 1 } }), 'MalformedXML 400'],
    [
      'by a hold beyond its period',
      'locked',
      rule({ Mode: 'GOVERNANCE', Years: 1, DefaultEventHold: { Days: 366 } }),
      'MalformedXML 400',
    ],
  ])('a lock %s is refused', async (_title, bucket, configuration, expected) => {
    const { client } = startS3();
    expect(await failure(client.send(lock(bucket, configuration)))).toBe(expected);
  });

  it('all of it is there for a later process, and what was deleted is not', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'local-s3-'));
    directories.push(directory);
    const earlier = startS3({ directory });
    await earlier.client.send(lock('locked', rule({ Mode: 'GOVERNANCE', Days: 2 })));
    await earlier.client.send(new DeleteBucketCommand({ Bucket: 'suspended' }));
    earlier.s3.close();
    const { LocalS3 } = await import('../../../../infra/local/s3/service.ts');
    const later = new LocalS3({ ...earlier, authorizer: earlier.permissions, accountId: '111122223333', directory });
    expect([...later.core.store.buckets.keys()].sort()).toEqual(['locked', 'plain', 'versioned']);
    expect(later.core.store.buckets.get('locked')?.definition.objectLock?.defaultRetention).toEqual({
      mode: 'GOVERNANCE',
      period: { days: 2 },
    });
    later.close();
  });
});
