import { randomBytes } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { Readable } from 'node:stream';
import { DescribeKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { ListScheduleGroupsCommand, SchedulerClient } from '@aws-sdk/client-scheduler';
import { ListStateMachinesCommand, SFNClient } from '@aws-sdk/client-sfn';
import { ListTopicsCommand, SNSClient } from '@aws-sdk/client-sns';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LocalClock } from '../../../../infra/local/clock.ts';
import { LocalCloud } from '../../../../infra/local/cloud.ts';
import type { HttpFront } from '../../../../infra/local/endpoint/http-front.ts';

interface RequestPresigner {
  presign(request: object, options: object): Promise<{ query?: Record<string, unknown> }>;
}

const READER = 'arn:aws:iam::111122223333:role/reader';
let cloud: LocalCloud;
let front: HttpFront;

beforeAll(async () => {
  // The local clock is years ahead of the machine's: signatures are checked by the latter.
  const clock = new LocalClock({ startsAt: new Date('2031-01-01T00:00:00Z'), flow: 'manual' });
  cloud = new LocalCloud({ clock });
  const forBucket = (name: string) => ['', '/*'].map(end => `arn:aws:s3:::${name}${end}`);
  cloud.s3.createBucket({ name: 'open' });
  cloud.s3.createBucket({ name: 'tls-only' });
  cloud.s3.putBucketPolicy('tls-only', {
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Deny',
        Principal: '*',
        Action: 's3:*',
        Resource: forBucket('tls-only'),
        Condition: { Bool: { 'aws:SecureTransport': 'false' } },
      },
    ],
  });
  cloud.iam.putRole({
    arn: READER,
    policies: [
      { Version: '2012-10-17', Statement: { Effect: 'Allow', Action: 's3:GetObject', Resource: forBucket('open') } },
    ],
  });
  front = await cloud.listen();
});
afterAll(() => cloud.close());

const outside = (credentials = cloud.issueCredentials(cloud.root), region = 'eu-west-2') => ({
  endpoint: front.url,
  region,
  credentials,
  forcePathStyle: true,
  maxAttempts: 1,
});

/** A client whose requests are changed after they were signed. */
function tamperingClient(
  change: (request: {
    method: string;
    path: string;
    query: object;
    headers: Record<string, string>;
    body: unknown;
  }) => void,
): S3Client {
  const client = new S3Client(outside());
  client.middlewareStack.add(
    next => args => {
      change(args.request as never);
      return next(args);
    },
    { step: 'deserialize', priority: 'low', name: 'tamper' },
  );
  return client;
}

async function presign(
  method: 'GET' | 'PUT',
  path: string,
  expiresInS: number,
  signingDate = new Date(),
): Promise<string> {
  const client = new S3Client(outside());
  const signer = (await client.config.signer()) as unknown as RequestPresigner;
  const { hostname, port } = new URL(front.url);
  const signed = await signer.presign(
    {
      method,
      protocol: 'http:',
      hostname,
      port: Number(port),
      path,
      query: method === 'PUT' ? { 'x-amz-meta-colour': 'blue' } : {},
      headers: { host: `${hostname}:${port}`, 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' },
    },
    { expiresIn: expiresInS, signingDate, signingService: 's3', signingRegion: 'eu-west-2' },
  );
  const query = Object.entries(signed.query ?? {}).map(
    ([name, value]) => `${name}=${encodeURIComponent(String(value))}`,
  );
  return `${front.url}${path}?${query.join('&')}`;
}

describe('over HTTP', () => {
  it('S3 takes and gives whole and streamed objects, by keys with any characters', async () => {
    const client = new S3Client(outside());
    const Key = "a b/ü+&=?#%25/'(x)*!.txt";
    await client.send(new PutObjectCommand({ Bucket: 'open', Key, Body: 'hello', ContentType: 'text/plain' }));
    const read = await client.send(new GetObjectCommand({ Bucket: 'open', Key }));
    expect(await read.Body?.transformToString()).toBe('hello');
    expect((await client.send(new HeadObjectCommand({ Bucket: 'open', Key }))).ContentType).toBe('text/plain');
    const { Contents } = await client.send(new ListObjectsV2Command({ Bucket: 'open', Prefix: 'a b/ü+&' }));
    expect(Contents?.map(object => object.Key)).toEqual([Key]);
    const large = randomBytes(3 * 1024 * 1024);
    const chunks = [large.subarray(0, 1_000_000), large.subarray(1_000_000)];
    await client.send(
      new PutObjectCommand({ Bucket: 'open', Key: 'large', Body: Readable.from(chunks), ContentLength: large.length }),
    );
    const { Body } = await client.send(new GetObjectCommand({ Bucket: 'open', Key: 'large' }));
    expect(Buffer.from((await Body?.transformToByteArray()) ?? []).equals(large)).toBe(true);
  });

  it('the other services answer in their own protocols', async () => {
    const { keyArn } = cloud.kms.createKeyFromTemplate({ description: 'over http' });
    const { KeyMetadata } = await new KMSClient(outside()).send(new DescribeKeyCommand({ KeyId: keyArn }));
    expect(KeyMetadata?.Description).toBe('over http');
    const { stateMachines } = await new SFNClient(outside()).send(new ListStateMachinesCommand({}));
    expect(stateMachines).toEqual([]);
    await expect(new SchedulerClient(outside()).send(new ListScheduleGroupsCommand({}))).rejects.toMatchObject({
      name: 'NotImplementedLocally',
      message: 'the local cloud does not implement the EventBridge Scheduler request GET /schedule-groups',
    });
    await expect(new SNSClient(outside()).send(new ListTopicsCommand({}))).rejects.toMatchObject({
      name: 'NotImplementedLocally',
      message: 'the local cloud does not implement the service sns over HTTP',
    });
  });

  it('a principal may do what it may do', async () => {
    const client = new S3Client(outside(cloud.issueCredentials({ kind: 'role', arn: READER })));
    await new S3Client(outside()).send(new PutObjectCommand({ Bucket: 'open', Key: 'read-me', Body: 'x' }));
    const { Body } = await client.send(new GetObjectCommand({ Bucket: 'open', Key: 'read-me' }));
    expect(await Body?.transformToString()).toBe('x');
    await expect(client.send(new PutObjectCommand({ Bucket: 'open', Key: 'k', Body: 'x' }))).rejects.toMatchObject({
      name: 'AccessDenied',
    });
  });

  it('a bucket that wants TLS stays closed, and is open in process', async () => {
    const put = new PutObjectCommand({ Bucket: 'tls-only', Key: 'k', Body: 'x' });
    await expect(new S3Client(outside()).send(put)).rejects.toMatchObject({ name: 'AccessDenied' });
    const { ETag } = await new S3Client(cloud.clientConfiguration(cloud.root)).send(put);
    expect(ETag).toBe('"9dd4e461268c8034f5c8564e155c67a6"');
  });
});

describe('a signature', () => {
  const list = new ListBucketsCommand({});
  const valid = () => cloud.issueCredentials(cloud.root);

  it.each<[string, () => ReturnType<typeof outside>, string]>([
    ['by an unknown key', () => outside({ ...valid(), accessKeyId: 'AKIAUNKNOWN' }), 'InvalidAccessKeyId'],
    ['by another secret', () => outside({ ...valid(), secretAccessKey: 'guess' }), 'SignatureDoesNotMatch'],
    ['in a session', () => outside({ ...valid(), sessionToken: 'token' } as never), 'InvalidAccessKeyId'],
    ['for another Region', () => outside(valid(), 'eu-west-1'), 'AuthorizationHeaderMalformed'],
  ])('%s is refused', async (_title, configuration, name) => {
    await expect(new S3Client(configuration()).send(list)).rejects.toMatchObject({ name });
  });

  it('by an unknown key is refused in KMS’s protocol too', async () => {
    const client = new KMSClient(outside({ ...valid(), accessKeyId: 'AKIAUNKNOWN' }));
    await expect(client.send(new DescribeKeyCommand({ KeyId: 'x' }))).rejects.toMatchObject({
      name: 'UnrecognizedClientException',
    });
  });

  it.each<[string, Parameters<typeof tamperingClient>[0], string]>([
    [
      'method',
      request => {
        request.method = 'DELETE';
        request.body = undefined;
      },
      'SignatureDoesNotMatch',
    ],
    [
      'path',
      request => {
        request.path = '/open/other';
      },
      'SignatureDoesNotMatch',
    ],
    [
      'query',
      request => {
        Object.assign(request.query, { versionId: 'x' });
      },
      'SignatureDoesNotMatch',
    ],
    [
      'signed header',
      request => {
        request.headers['x-amz-meta-a'] = '2';
      },
      'SignatureDoesNotMatch',
    ],
    [
      'added header',
      request => {
        request.headers['x-amz-meta-b'] = '2';
      },
      'AccessDenied',
    ],
    [
      'content hash',
      request => {
        request.headers['x-amz-content-sha256'] = 'UNSIGNED-PAYLOAD';
      },
      'SignatureDoesNotMatch',
    ],
    [
      'body',
      request => {
        request.body = Buffer.from('y');
      },
      'XAmzContentSHA256Mismatch',
    ],
    [
      'date',
      request => {
        request.headers['x-amz-date'] = '20200101T000000Z';
      },
      'SignatureDoesNotMatch',
    ],
    [
      'signature',
      request => {
        request.headers.authorization =
          request.headers.authorization?.replace(/.$/, c => (c === '0' ? '1' : '0')) ?? '';
      },
      'SignatureDoesNotMatch',
    ],
    [
      'authorization',
      request => {
        request.headers.authorization = 'AWS4-HMAC-SHA256 Credential=a/b';
      },
      'AccessDenied',
    ],
  ])('does not cover a changed %s', async (_title, change, name) => {
    const put = new PutObjectCommand({ Bucket: 'open', Key: 'signed', Body: 'x', Metadata: { a: '1' } });
    await expect(tamperingClient(change).send(put)).rejects.toMatchObject({ name });
  });

  it('that is too old is refused', async () => {
    const client = new S3Client({ ...outside(), systemClockOffset: -16 * 60 * 1000 });
    await expect(client.send(list)).rejects.toMatchObject({ name: 'RequestTimeTooSkewed' });
    expect((await new S3Client({ ...outside(), systemClockOffset: -14 * 60 * 1000 }).send(list)).Buckets).toHaveLength(
      2,
    );
  });

  it('in a presigned URL is good for its object, method and time', async () => {
    await new S3Client(outside()).send(new PutObjectCommand({ Bucket: 'open', Key: 'shared file', Body: 'presigned' }));
    const url = await presign('GET', '/open/shared%20file', 60);
    const answer = await fetch(url);
    expect([answer.status, await answer.text()]).toEqual([200, 'presigned']);
    const code = async (bad: string, init?: RequestInit) =>
      /<Code>(.*)<\/Code>/.exec(await (await fetch(bad, init)).text())?.[1];
    expect(await code(url.replace('shared%20file', 'large'))).toBe('SignatureDoesNotMatch');
    expect(await code(url.replace('Expires=60', 'Expires=600'))).toBe('SignatureDoesNotMatch');
    expect(await code(url, { method: 'DELETE' })).toBe('SignatureDoesNotMatch');
    const expired = await presign('GET', '/open/shared%20file', 60, new Date(Date.now() - 61_000));
    const refused = await fetch(expired);
    expect([refused.status, await refused.text()]).toEqual([
      403,
      expect.stringContaining('<Message>Request has expired</Message>'),
    ]);
  });

  it('in a presigned URL covers the headers that went into its query', async () => {
    const url = await presign('PUT', '/open/uploaded', 60);
    expect((await fetch(url, { method: 'PUT', body: 'content' })).status).toBe(200);
    const head = new HeadObjectCommand({ Bucket: 'open', Key: 'uploaded' });
    expect(await new S3Client(outside()).send(head)).toMatchObject({ ContentLength: 7, Metadata: { colour: 'blue' } });
  });

  it('that is missing is refused', async () => {
    const answer = await fetch(`${front.url}/open/large`);
    expect([answer.status, await answer.text()]).toEqual([403, expect.stringContaining('<Code>AccessDenied</Code>')]);
  });
});

describe('the front', () => {
  it('survives a client that goes away in the middle of a body', async () => {
    const client = new S3Client(outside());
    const url = await presign('PUT', '/open/half', 60);
    await new Promise<void>(resolve => {
      const request = httpRequest(url, { method: 'PUT', headers: { 'content-length': 1000 } });
      request.on('error', () => resolve());
      request.write('half');
      setTimeout(() => request.destroy(new Error('gone')), 50);
    });
    const { Contents } = await client.send(new ListObjectsV2Command({ Bucket: 'open', Prefix: 'half' }));
    expect(Contents ?? []).toEqual([]);
  });

  it('answers a service’s failure as an internal error, and tells its owner', async () => {
    const failures: unknown[] = [];
    const failing = await cloud.listen({ onFailure: error => failures.push(error) });
    const bug = new Error('a bug');
    const handle = cloud.kms.handle;
    cloud.kms.handle = () => Promise.reject(bug);
    const client = new KMSClient({ ...outside(), endpoint: failing.url });
    await expect(client.send(new DescribeKeyCommand({ KeyId: 'x' }))).rejects.toMatchObject({ name: 'InternalError' });
    cloud.kms.handle = handle;
    expect(failures).toEqual([bug]);
    await failing.close();
  });
});
