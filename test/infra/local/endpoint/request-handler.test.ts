import { Readable } from 'node:stream';
import { CloudWatchClient, ListMetricsCommand } from '@aws-sdk/client-cloudwatch';
import { DescribeKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { DescribeDBInstancesCommand, RDSClient } from '@aws-sdk/client-rds';
import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { ListSchedulesCommand, SchedulerClient } from '@aws-sdk/client-scheduler';
import { ListStateMachinesCommand, SFNClient } from '@aws-sdk/client-sfn';
import { ListTopicsCommand, SNSClient } from '@aws-sdk/client-sns';
import { describe, expect, it } from 'vitest';
import { localClientConfiguration } from '../../../../infra/local/endpoint/request-handler.ts';
import type { AwsRequest, AwsResponse, Principal, Service } from '../../../../infra/local/service.ts';

const principal: Principal = { kind: 'role', arn: 'arn:aws:iam::111122223333:role/reader' };

function recording(answer: (request: AwsRequest) => AwsResponse | Promise<AwsResponse>): Service & {
  requests: AwsRequest[];
} {
  const requests: AwsRequest[] = [];
  return {
    requests,
    handle: async request => {
      requests.push(request);
      return answer(request);
    },
  };
}

describe('localClientConfiguration', () => {
  it('hands an SDK call to its service as the principal, without a socket', async () => {
    const kms = recording(() => ({ status: 200, headers: {}, body: '{"KeyMetadata":{"KeyId":"k-1"}}' }));
    const observed: string[] = [];
    const client = new KMSClient(
      localClientConfiguration({ kms }, principal, {
        onRequest: request => observed.push(`${request.service} ${request.headers['x-amz-target']}`),
      }),
    );
    const { KeyMetadata } = await client.send(new DescribeKeyCommand({ KeyId: 'alias/a' }));
    expect(KeyMetadata).toEqual({ KeyId: 'k-1' });
    expect(observed).toEqual(['kms TrentService.DescribeKey']);
    expect(kms.requests).toHaveLength(1);
    expect(kms.requests[0]).toMatchObject({
      service: 'kms',
      method: 'POST',
      path: '/',
      query: {},
      principal,
      secure: true,
    });
    expect(Buffer.from(kms.requests[0]?.body as Uint8Array).toString()).toBe('{"KeyId":"alias/a"}');
  });

  it('gives S3 path-style paths, streams in and streams out', async () => {
    const bodies: Buffer[] = [];
    const s3 = recording(async request => {
      if (request.method === 'GET') return { status: 200, headers: { 'content-length': '5' }, body: 'hello' };
      expect(request.body).toBeInstanceOf(Readable);
      for await (const chunk of request.body as Readable) bodies.push(Buffer.from(chunk as Uint8Array));
      return { status: 200, headers: { etag: '"x"' } };
    });
    const client = new S3Client(localClientConfiguration({ s3 }, principal));
    const stream = Readable.from([Buffer.from('part one, '), Buffer.from('part two')]);
    await client.send(new PutObjectCommand({ Bucket: 'vault', Key: 'a b/ü', Body: stream, ContentLength: 18 }));
    const { Body } = await client.send(new GetObjectCommand({ Bucket: 'vault', Key: 'a b/ü', VersionId: 'v1' }));
    expect(await Body?.transformToString()).toBe('hello');
    expect(s3.requests.map(request => [request.method, request.path, request.query])).toEqual([
      ['PUT', '/vault/a%20b/%C3%BC', { 'x-id': 'PutObject' }],
      ['GET', '/vault/a%20b/%C3%BC', { 'x-id': 'GetObject', versionId: 'v1' }],
    ]);
    expect(Buffer.concat(bodies).toString()).toContain('part one, ');
  });

  const configuration = localClientConfiguration({}, principal);
  it.each([
    ['s3', () => new S3Client(configuration).send(new GetObjectCommand({ Bucket: 'bucket', Key: 'k' }))],
    ['kms', () => new KMSClient(configuration).send(new DescribeKeyCommand({ KeyId: 'k' }))],
    ['rds', () => new RDSClient(configuration).send(new DescribeDBInstancesCommand({}))],
    ['states', () => new SFNClient(configuration).send(new ListStateMachinesCommand({}))],
    ['scheduler', () => new SchedulerClient(configuration).send(new ListSchedulesCommand({}))],
    ['monitoring', () => new CloudWatchClient(configuration).send(new ListMetricsCommand({}))],
    ['sns', () => new SNSClient(configuration).send(new ListTopicsCommand({}))],
  ])('names the absent service %s in an error that is not retried', async (service, call) => {
    await expect(call()).rejects.toMatchObject({
      name: 'NotImplementedLocally',
      message: `the local cloud does not implement the service ${service} in this configuration`,
      $metadata: { httpStatusCode: 400, attempts: 1 },
    });
  });

  it('stops at an abort, before and during the call', async () => {
    const kms: Service = { handle: () => new Promise(() => {}) };
    const client = new KMSClient(localClientConfiguration({ kms }, principal));
    const before = new AbortController();
    before.abort();
    const during = new AbortController();
    const command = () => new DescribeKeyCommand({ KeyId: 'k' });
    await expect(client.send(command(), { abortSignal: before.signal })).rejects.toThrow('Request aborted');
    const pending = client.send(command(), { abortSignal: during.signal });
    setTimeout(() => during.abort(), 20);
    await expect(pending).rejects.toMatchObject({ name: 'AbortError' });
  });
});
