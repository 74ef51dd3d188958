import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { S3Client, type S3ServiceException } from '@aws-sdk/client-s3';
import { LocalClock } from '../../../../infra/local/clock.ts';
import { localClientConfiguration } from '../../../../infra/local/endpoint/request-handler.ts';
import { LocalS3, type LocalS3Options } from '../../../../infra/local/s3/service.ts';
import {
  AccessDenied,
  type AuthorizationRequest,
  type AwsRequest,
  type AwsResponse,
  KeyOperationError,
  type KeyOperations,
  type Principal,
} from '../../../../infra/local/service.ts';

export const ACCOUNT = '111122223333';
export const ROOT: Principal = { kind: 'root', arn: `arn:aws:iam::${ACCOUNT}:root` };
export const START = new Date('2026-11-22T02:30:00.000Z');
export const keyArn = (id: string): string => `arn:aws:kms:eu-west-2:${ACCOUNT}:key/${id}`;

// The SDK warns on the console of every stream that it cannot send again, which is what some tests are about.
const SILENT = { trace() {}, debug() {}, info() {}, warn() {}, error() {} };

/** KMS as S3 uses it: wraps data keys with a secret of its own for each key, bound to the encryption context. */
class Keys implements KeyOperations {
  readonly calls: {
    operation: string;
    context: Readonly<Record<string, string>>;
    viaService: string;
    keyArn: string;
  }[] = [];
  readonly refusals = new Map<string, string>();
  readonly #secrets = new Map<string, Buffer>();

  generateDataKey(request: Parameters<KeyOperations['generateDataKey']>[0]) {
    const arn = request.keyId.startsWith('arn:') ? request.keyId : keyArn(request.keyId.replace(/^alias\//, ''));
    this.#note('GenerateDataKey', request, arn);
    const plaintext = randomBytes(32);
    const cipher = createCipheriv('aes-256-gcm', this.#secret(arn), Buffer.alloc(12));
    cipher.setAAD(Buffer.from(JSON.stringify(request.encryptionContext)));
    const wrapped = Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
    return { plaintext, ciphertext: Buffer.concat([Buffer.from(`${arn}\n`), wrapped]), keyArn: arn };
  }

  decryptDataKey(request: Parameters<KeyOperations['decryptDataKey']>[0]) {
    const bytes = Buffer.from(request.ciphertext);
    const end = bytes.indexOf('\n');
    const arn = bytes.toString('utf8', 0, end);
    this.#note('Decrypt', request, arn);
    const decipher = createDecipheriv('aes-256-gcm', this.#secret(arn), Buffer.alloc(12));
    decipher.setAAD(Buffer.from(JSON.stringify(request.encryptionContext)));
    decipher.setAuthTag(bytes.subarray(-16));
    return { plaintext: Buffer.concat([decipher.update(bytes.subarray(end + 1, -16)), decipher.final()]), keyArn: arn };
  }

  describeForService(): never {
    throw new Error('S3 does not describe keys');
  }

  #secret(arn: string): Buffer {
    const secret = this.#secrets.get(arn) ?? randomBytes(32);
    this.#secrets.set(arn, secret);
    return secret;
  }

  #note(
    operation: string,
    {
      encryptionContext: context,
      viaService,
    }: Parameters<KeyOperations['decryptDataKey']>[0] | Parameters<KeyOperations['generateDataKey']>[0],
    arn: string,
  ): void {
    const code = this.refusals.get(arn);
    if (code !== undefined) throw new KeyOperationError(code, `${arn} cannot be used`);
    this.calls.push({ operation, context, viaService, keyArn: arn });
  }
}

/** Allows everything but the named actions, and notes what it was asked. */
class Permissions {
  readonly denied = new Set<string>();
  asked: AuthorizationRequest[] = [];

  authorize(request: AuthorizationRequest): void {
    this.asked.push(request);
    if (this.denied.has(request.action)) throw new AccessDenied(`${request.action} is not allowed`);
  }
}

/** A local S3 with the buckets `plain` (unversioned), `versioned`, `suspended` and `locked` (Object Lock, no default). */
export function startS3(options: Partial<LocalS3Options> = {}) {
  const clock = new LocalClock({ startsAt: START, flow: 'manual' });
  const keys = new Keys();
  const permissions = new Permissions();
  const s3 = new LocalS3({ clock, authorizer: permissions, keys, accountId: ACCOUNT, ...options });
  s3.createBucket({ name: 'plain' });
  s3.createBucket({ name: 'versioned', versioning: 'Enabled' });
  s3.createBucket({ name: 'suspended', versioning: 'Suspended' });
  s3.createBucket({ name: 'locked', objectLock: {} });
  const client = new S3Client({ ...localClientConfiguration({ s3 }, ROOT), logger: SILENT });
  /** Sends a request as it is written here, past the SDK. */
  const send = (request: Partial<AwsRequest>): Promise<AwsResponse> =>
    s3.handle({
      service: 's3',
      method: 'GET',
      path: '/',
      query: {},
      headers: {},
      body: undefined,
      principal: ROOT,
      secure: true,
      ...request,
    });
  return { clock, keys, permissions, s3, client, send };
}

/** The error that a call fails with, as `code status`. */
export async function failure(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    const { name, $metadata } = error as S3ServiceException;
    return `${name} ${$metadata?.httpStatusCode}`;
  }
  return 'no failure';
}

/** An answer's error code and message, or its status. */
export function errorOf(response: AwsResponse): { status: number; code: string; message: string } {
  const body = String(response.body ?? '');
  return {
    status: response.status,
    code: /<Code>(.*?)<\/Code>/.exec(body)?.[1] ?? '',
    message: /<Message>(.*?)<\/Message>/s.exec(body)?.[1] ?? '',
  };
}
