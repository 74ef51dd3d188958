import { createHash, randomBytes } from 'node:crypto';
import type { Clock } from '../../../functions/platform/clock.ts';
import type { Authorizer, AwsRequest, AwsResponse, KeyOperations, Service } from '../service.ts';
import type { BucketDefinition } from './bucket.ts';
import { checkDefinition } from './bucket-operations.ts';
import { checksumOf } from './checksums.ts';
import { accessDenied, S3Error } from './errors.ts';
import { type Exchange, header, type S3Core } from './exchange.ts';
import { ObjectStore } from './object-store.ts';
import { putObject } from './put-object.ts';
import { findRoute } from './routes.ts';
import { writeXml, type XmlNode } from './xml.ts';

export type { BucketDefinition } from './bucket.ts';

const MAXIMUM_KEY_BYTES = 1024;
/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html */
const MAXIMUM_COPY_BYTES = 5 * 1024 ** 3;
const MINIMUM_PART_BYTES = 5 * 1024 ** 2;

export interface LocalS3Options {
  readonly clock: Pick<Clock, 'now'>;
  readonly authorizer: Authorizer;
  readonly keys: KeyOperations;
  readonly accountId: string;
  /** Where the state lies; one process at a time may have it open. @default in memory only */
  readonly directory?: string;
  /** Smaller limits, so that tests can reach them. */
  readonly limits?: { readonly maximumCopyBytes?: number; readonly minimumPartBytes?: number };
}

/**
 * S3, as far as Daybreak and its operators use it: path-style requests in, responses out. What it does not implement it
 * answers with 501 `NotImplemented`, naming it.
 */
export class LocalS3 implements Service {
  /** What operations and the damage done by tests work on; clients go through `handle`. */
  readonly core: S3Core;

  constructor({ clock, authorizer, keys, accountId, directory, limits }: LocalS3Options) {
    this.core = {
      store: new ObjectStore(directory),
      clock,
      authorizer,
      keys,
      accountId,
      limits: {
        maximumCopyBytes: limits?.maximumCopyBytes ?? MAXIMUM_COPY_BYTES,
        minimumPartBytes: limits?.minimumPartBytes ?? MINIMUM_PART_BYTES,
      },
    };
  }

  /**
   * Creates a bucket, or changes the definition of one that is there and keeps its objects, as a deployment does.
   * @throws S3Error where S3 would refuse the definition, or to take Object Lock away.
   */
  createBucket(definition: BucketDefinition): void {
    checkDefinition(definition);
    const standing = this.core.store.buckets.get(definition.name);
    if (standing?.definition.objectLock !== undefined && definition.objectLock === undefined) {
      throw new S3Error(409, 'InvalidBucketState', `Object Lock of ${definition.name} cannot be disabled again`);
    }
    this.core.store.commit({ type: 'bucket', definition, createdMs: this.core.clock.now().getTime() });
  }

  /** Sets or removes a bucket's policy. @throws S3Error `NoSuchBucket` */
  putBucketPolicy(name: string, policy: unknown): void {
    if (!this.core.store.buckets.has(name)) throw new S3Error(404, 'NoSuchBucket', `there is no bucket ${name}`);
    this.core.store.commit({ type: 'policy', bucket: name, policy });
  }

  /**
   * Puts an object there as a deployment or a test does: past IAM, in every other way like `PutObject`.
   * @param headers as `PutObject` takes them, in lower case: `content-type`, `x-amz-meta-…`, `x-amz-storage-class`, …
   * @throws S3Error
   */
  async seedObject(
    bucketName: string,
    key: string,
    content: Uint8Array | string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<{ versionId: string | undefined }> {
    const body = Buffer.from(content);
    const { accountId, clock } = this.core;
    const response = await putObject({
      core: { ...this.core, authorizer: { authorize() {} } },
      request: {
        service: 's3',
        method: 'PUT',
        path: `/${bucketName}`,
        query: {},
        headers: { ...headers, 'content-md5': checksumOf('MD5', body) },
        body,
        principal: { kind: 'root', arn: `arn:aws:iam::${accountId}:root` },
        secure: true,
      },
      now: clock.now(),
      bucketName,
      key,
    });
    return { versionId: response.headers['x-amz-version-id'] };
  }

  /** Lets go of the state's files. */
  close(): void {
    this.core.store.close();
  }

  async handle(request: AwsRequest): Promise<AwsResponse> {
    const requestId = randomBytes(8).toString('hex').toUpperCase();
    const ids = {
      'x-amz-request-id': requestId,
      'x-amz-id-2': createHash('sha256').update(requestId).digest('base64'),
    };
    try {
      const exchange = readAddress(this.core, request);
      const route = findRoute(exchange);
      const expectedOwner = header(exchange, 'x-amz-expected-bucket-owner');
      if (expectedOwner !== undefined && expectedOwner !== this.core.accountId) throw accessDenied();
      const response = await route.answer(exchange);
      return { ...response, headers: { ...ids, ...response.headers } };
    } catch (error) {
      if (error instanceof S3Error) return errorResponse(error, request, requestId, ids);
      throw error;
    }
  }
}

function readAddress(core: S3Core, request: AwsRequest): Exchange {
  let path: string;
  try {
    path = decodeURIComponent(request.path.replace(/^\//, ''));
  } catch (cause) {
    throw new S3Error(400, 'InvalidURI', "Couldn't parse the specified URI.", { cause });
  }
  const slash = path.indexOf('/');
  const bucketName = slash === -1 ? path : path.slice(0, slash);
  const key = slash === -1 ? '' : path.slice(slash + 1);
  const keyBytes = Buffer.byteLength(key);
  if (keyBytes > MAXIMUM_KEY_BYTES) {
    throw new S3Error(400, 'KeyTooLongError', 'Your key is too long', {
      details: { Size: String(keyBytes), MaxSizeAllowed: String(MAXIMUM_KEY_BYTES) },
    });
  }
  return { core, request, now: core.clock.now(), bucketName, key };
}

function errorResponse(
  error: S3Error,
  request: AwsRequest,
  requestId: string,
  ids: Record<string, string>,
): AwsResponse {
  if (request.method === 'HEAD' || error.status === 304) {
    return { status: error.status, headers: { ...ids, ...error.headers } };
  }
  const details = Object.entries(error.details).map(([name, value]): XmlNode => [name, value]);
  const body = writeXml(
    [
      'Error',
      [
        ['Code', error.code],
        ['Message', error.message],
        ...details,
        ['Resource', request.path],
        ['RequestId', requestId],
      ],
    ],
    false,
  );
  return { status: error.status, headers: { ...ids, ...error.headers, 'content-type': 'application/xml' }, body };
}
