import {
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectLegalHoldCommand,
  GetObjectLockConfigurationCommand,
  GetObjectRetentionCommand,
  HeadObjectCommand,
  PutObjectCommand,
  PutObjectLegalHoldCommand,
  PutObjectRetentionCommand,
} from '@aws-sdk/client-s3';
import { describe, expect, it } from 'vitest';
import { errorOf, failure, START, startS3 } from './local-s3.ts';

const DAY = 24 * 60 * 60 * 1000;
const inDays = (days: number) => new Date(START.getTime() + days * DAY);

describe('Object Lock', () => {
  it('protects a version, but not its key from a delete marker', async () => {
    const { client, clock } = startS3();
    const place = { Bucket: 'locked', Key: 'k' };
    const { VersionId } = await client.send(
      new PutObjectCommand({
        ...place,
        Body: 'x',
        ObjectLockMode: 'COMPLIANCE',
        ObjectLockRetainUntilDate: inDays(10),
      }),
    );
    const remove = (more: object = {}) =>
      failure(client.send(new DeleteObjectCommand({ ...place, VersionId, ...more })));
    expect(await remove()).toBe('AccessDenied 403');
    expect(await remove({ BypassGovernanceRetention: true })).toBe('AccessDenied 403');
    const marker = await client.send(new DeleteObjectCommand(place));
    expect(marker.DeleteMarker).toBe(true);
    const batch = await client.send(
      new DeleteObjectsCommand({
        Bucket: 'locked',
        Delete: {
          Objects: [
            { Key: 'k', VersionId },
            { Key: 'k', VersionId: marker.VersionId },
          ],
        },
      }),
    );
    expect(batch.Errors).toMatchObject([{ Key: 'k', VersionId, Code: 'AccessDenied' }]);
    expect(batch.Deleted).toMatchObject([{ Key: 'k', DeleteMarker: true, DeleteMarkerVersionId: marker.VersionId }]);
    await clock.advance(10 * DAY);
    expect(await remove()).toBe('no failure');
  });

  it('lets governance be bypassed by whoever may and says so', async () => {
    const { client, permissions } = startS3();
    const put = async () =>
      (
        await client.send(
          new PutObjectCommand({
            Bucket: 'locked',
            Key: 'k',
            Body: 'x',
            ObjectLockMode: 'GOVERNANCE',
            ObjectLockRetainUntilDate: inDays(10),
          }),
        )
      ).VersionId;
    const remove = (VersionId: string | undefined, bypass: boolean) =>
      failure(
        client.send(
          new DeleteObjectCommand({
            Bucket: 'locked',
            Key: 'k',
            VersionId,
            ...(bypass ? { BypassGovernanceRetention: true } : {}),
          }),
        ),
      );
    const version = await put();
    expect(await remove(version, false)).toBe('AccessDenied 403');
    permissions.denied.add('s3:BypassGovernanceRetention');
    expect(await remove(version, true)).toBe('AccessDenied 403');
    permissions.denied.clear();
    expect(await remove(version, true)).toBe('no failure');
  });

  it("puts new versions under the bucket's default event hold, and releases it", async () => {
    const { client, s3, clock } = startS3();
    s3.createBucket({
      name: 'vault',
      objectLock: { defaultRetention: { mode: 'COMPLIANCE', period: { days: 7 }, eventHold: { days: 7 } } },
    });
    const place = { Bucket: 'vault', Key: 'k' };
    const configuration = await client.send(new GetObjectLockConfigurationCommand({ Bucket: 'vault' }));
    expect(configuration.ObjectLockConfiguration).toEqual({
      ObjectLockEnabled: 'Enabled',
      Rule: { DefaultRetention: { Mode: 'COMPLIANCE', Days: 7, DefaultEventHold: { Days: 7 } } },
    });
    await client.send(new PutObjectCommand({ ...place, Body: 'x' }));
    await clock.advance(100 * DAY);
    const head = await client.send(new HeadObjectCommand(place));
    expect(head).toMatchObject({
      ObjectLockMode: 'COMPLIANCE',
      ObjectLockEventHold: 'ON',
      ObjectLockEventHoldDurationDays: 7,
      ObjectLockRetainUntilDate: inDays(107),
    });
    await client.send(new PutObjectRetentionCommand({ ...place, Retention: { Mode: 'COMPLIANCE', EventHold: 'OFF' } }));
    await clock.advance(3 * DAY);
    const { Retention } = await client.send(new GetObjectRetentionCommand(place));
    expect(Retention).toEqual({ Mode: 'COMPLIANCE', EventHold: 'OFF', RetainUntilDate: inDays(107) });
    const remove = () => failure(client.send(new DeleteObjectCommand({ ...place, VersionId: head.VersionId })));
    expect(await remove()).toBe('AccessDenied 403');
    await clock.advance(4 * DAY);
    expect(await remove()).toBe('no failure');
  });

  it("lets a writer's own retention override the default", async () => {
    const { client, s3 } = startS3();
    s3.createBucket({ name: 'vault', objectLock: { defaultRetention: { mode: 'GOVERNANCE', period: { years: 1 } } } });
    const head = async (Key: string, more: object) => {
      await client.send(new PutObjectCommand({ Bucket: 'vault', Key, Body: 'x', ...more }));
      return client.send(new HeadObjectCommand({ Bucket: 'vault', Key }));
    };
    expect(await head('a', {})).toMatchObject({
      ObjectLockMode: 'GOVERNANCE',
      ObjectLockRetainUntilDate: inDays(365),
    });
    const own = await head('b', {
      ObjectLockMode: 'COMPLIANCE',
      ObjectLockEventHold: 'ON',
      ObjectLockEventHoldDurationYears: 2,
      ObjectLockLegalHoldStatus: 'ON',
    });
    expect(own).toMatchObject({
      ObjectLockMode: 'COMPLIANCE',
      ObjectLockEventHoldDurationYears: 2,
      ObjectLockRetainUntilDate: inDays(730),
      ObjectLockLegalHoldStatus: 'ON',
    });
  });

  it('holds and releases by legal hold', async () => {
    const { client } = startS3();
    const place = { Bucket: 'locked', Key: 'k' };
    const { VersionId } = await client.send(new PutObjectCommand({ ...place, Body: 'x' }));
    const hold = (Status: 'ON' | 'OFF') =>
      client.send(new PutObjectLegalHoldCommand({ ...place, VersionId, LegalHold: { Status } }));
    expect(await failure(client.send(new GetObjectLegalHoldCommand(place)))).toBe('NoSuchObjectLockConfiguration 404');
    await hold('ON');
    const remove = () => failure(client.send(new DeleteObjectCommand({ ...place, VersionId })));
    expect(await remove()).toBe('AccessDenied 403');
    await hold('OFF');
    expect((await client.send(new GetObjectLegalHoldCommand(place))).LegalHold?.Status).toBe('OFF');
    expect(await remove()).toBe('no failure');
  });

  it('hides the lock from whoever may not see it', async () => {
    const { client, permissions } = startS3();
    const place = { Bucket: 'locked', Key: 'k' };
    await client.send(
      new PutObjectCommand({
        ...place,
        Body: 'x',
        ObjectLockMode: 'GOVERNANCE',
        ObjectLockRetainUntilDate: inDays(1),
        ObjectLockLegalHoldStatus: 'ON',
      }),
    );
    permissions.denied.add('s3:GetObjectRetention').add('s3:GetObjectLegalHold');
    const head = await client.send(new HeadObjectCommand(place));
    expect([head.ObjectLockMode, head.ObjectLockLegalHoldStatus]).toEqual([undefined, undefined]);
    expect(await failure(client.send(new GetObjectRetentionCommand(place)))).toBe('AccessDenied 403');
  });

  it('needs a bucket with Object Lock, and content with a checksum', async () => {
    const { client, send } = startS3();
    const lock = { ObjectLockMode: 'GOVERNANCE', ObjectLockRetainUntilDate: inDays(1) } as const;
    expect(
      await failure(client.send(new PutObjectCommand({ Bucket: 'versioned', Key: 'k', Body: 'x', ...lock }))),
    ).toBe('InvalidRequest 400');
    const Retention = { Mode: 'GOVERNANCE', RetainUntilDate: inDays(1) } as const;
    await client.send(new PutObjectCommand({ Bucket: 'versioned', Key: 'k', Body: 'x' }));
    expect(
      await failure(client.send(new PutObjectRetentionCommand({ Bucket: 'versioned', Key: 'k', Retention }))),
    ).toBe('InvalidRequest 400');
    expect(
      await failure(
        client.send(new DeleteObjectCommand({ Bucket: 'versioned', Key: 'k', BypassGovernanceRetention: true })),
      ),
    ).toBe('InvalidArgument 400');
    expect(await failure(client.send(new GetObjectLockConfigurationCommand({ Bucket: 'versioned' })))).toBe(
      'ObjectLockConfigurationNotFoundError 404',
    );
    const bare = await send({
      method: 'PUT',
      path: '/locked/k',
      body: Buffer.from('x'),
      headers: {
        'x-amz-object-lock-mode': 'GOVERNANCE',
        'x-amz-object-lock-retain-until-date': inDays(1).toISOString(),
      },
    });
    expect(errorOf(bare)).toMatchObject({ status: 400, code: 'InvalidRequest' });
  });

  it('cannot be taken from a bucket again', () => {
    const { s3 } = startS3();
    expect(() => s3.createBucket({ name: 'locked' })).toThrow('cannot be disabled again');
    expect(() => s3.createBucket({ name: 'new', versioning: 'Suspended', objectLock: {} })).toThrow('versioning');
    expect(() =>
      s3.createBucket({
        name: 'new',
        objectLock: { defaultRetention: { mode: 'COMPLIANCE', period: { days: 1 }, eventHold: { days: 2 } } },
      }),
    ).toThrow('not well-formed');
  });
});
