import { CredentialStore } from '../../../infra/local/endpoint/credentials.ts';
import { type HttpFront, startHttpFront } from '../../../infra/local/endpoint/http-front.ts';
import type { LocalKms } from '../../../infra/local/kms/service.ts';
import type { LocalS3 } from '../../../infra/local/s3/service.ts';
import type { AwsRequest, Service } from '../../../infra/local/service.ts';
import type { Calls, Job } from './measurement.ts';

const ROOT = { kind: 'root', arn: 'arn:aws:iam::111122223333:root' } as const;

/** An account without a database instance, which is all that steps ask for here. */
const NO_INSTANCES: Service = {
  handle: async () => ({
    status: 200,
    headers: { 'content-type': 'text/xml' },
    body: '<DescribeDBInstancesResponse><DescribeDBInstancesResult><DBInstances/></DescribeDBInstancesResult></DescribeDBInstancesResponse>',
  }),
};

const nothingCalled = (): { -readonly [K in keyof Calls]: number } => ({
  reads: 0,
  writes: 0,
  pages: 0,
  deletes: 0,
  keyRequests: 0,
  signatures: 0,
});

/** A local S3 and KMS behind a socket, for a step in another process, so that what they keep is not in its memory. */
export interface World {
  readonly client: NonNullable<Job['client']>;
  /** What was called since the last time. */
  takeCalls(): Calls;
  close(): Promise<void>;
}

export async function openWorld({ s3, kms }: { s3: LocalS3; kms: LocalKms }): Promise<World> {
  let calls = nothingCalled();
  const keys = s3.core.keys;
  // S3 calls KMS for each object under a key of its own, and nobody sees a request.
  const counted = {
    generateDataKey: keys.generateDataKey.bind(keys),
    decryptDataKey: keys.decryptDataKey.bind(keys),
  };
  Object.assign(keys, {
    generateDataKey: (request: Parameters<typeof counted.generateDataKey>[0]) => {
      calls.keyRequests++;
      return counted.generateDataKey(request);
    },
    decryptDataKey: (request: Parameters<typeof counted.decryptDataKey>[0]) => {
      calls.keyRequests++;
      return counted.decryptDataKey(request);
    },
  });
  const credentials = new CredentialStore();
  const front: HttpFront = await startHttpFront({
    services: { s3, kms, rds: NO_INSTANCES },
    credentials,
    onRequest: request => count(request, calls),
    onFailure: error => process.stderr.write(`the local cloud failed: ${error}\n`),
  });
  const { accessKeyId, secretAccessKey } = credentials.issue(ROOT);
  return {
    client: { endpoint: front.url, accessKeyId, secretAccessKey },
    takeCalls: () => {
      const taken = calls;
      calls = nothingCalled();
      return taken;
    },
    close: async () => {
      Object.assign(keys, counted);
      await front.close();
    },
  };
}

function count({ service, method, query, headers }: AwsRequest, calls: ReturnType<typeof nothingCalled>): void {
  if (service === 'kms') {
    const signs = /\.(?:Sign|Verify|GetPublicKey)$/.test(headers['x-amz-target'] ?? '');
    calls[signs ? 'signatures' : 'keyRequests']++;
    return;
  }
  if (service !== 's3') return;
  const isPage = method === 'GET' && ('list-type' in query || 'versions' in query);
  if (isPage) calls.pages++;
  if (method === 'DELETE' || (method === 'POST' && 'delete' in query)) calls.deletes++;
  else if (isPage || method === 'PUT' || method === 'POST') calls.writes++;
  else calls.reads++;
}
