import { createHash } from 'node:crypto';
import { AccessDenied, KeyOperationError, type Principal } from '../service.ts';
import { type Bucket, type ObjectEncryption, objectArn } from './bucket.ts';
import { accessDenied, invalidArgument, invalidRequest, notImplemented, S3Error } from './errors.ts';
import { type Exchange, flag, header, type S3Core } from './exchange.ts';

const VIA_SERVICE = 's3.eu-west-2.amazonaws.com';
const SSE = 'x-amz-server-side-encryption';
const CUSTOMER_PREFIX = 'x-amz-server-side-encryption-customer-';
const COPY_SOURCE_CUSTOMER_PREFIX = 'x-amz-copy-source-server-side-encryption-customer-';

/** How a new object is encrypted, and the key that its content is encrypted under; no key for SSE-S3, which is kept as it came. */
export interface WriteEncryption {
  readonly encryption: ObjectEncryption;
  readonly dataKey: Buffer | undefined;
}

/** What the request's headers, or else the bucket's default, say. With SSE-KMS this asks KMS for a data key. */
export function encryptionForWrite(exchange: Exchange, bucket: Bucket): WriteEncryption {
  const algorithm = header(exchange, SSE);
  const keyId = header(exchange, `${SSE}-aws-kms-key-id`);
  const customerKey = readCustomerKey(exchange, CUSTOMER_PREFIX);
  if (flag(exchange, `${SSE}-bucket-key-enabled`)) throw notImplemented(`${SSE}-bucket-key-enabled: true`);
  if (customerKey !== undefined) {
    if (algorithm !== undefined) {
      throw invalidArgument(
        SSE,
        algorithm,
        'Server Side Encryption with Customer provided key is incompatible with the encryption method specified',
      );
    }
    return { encryption: { algorithm: 'customer', keyMd5: customerKey.md5 }, dataKey: customerKey.key };
  }
  if (algorithm === undefined) {
    if (keyId !== undefined) {
      throw invalidArgument(
        `${SSE}-aws-kms-key-id`,
        keyId,
        'Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms',
      );
    }
    const standard = bucket.definition.encryption ?? { algorithm: 'AES256' };
    return standard.algorithm === 'AES256'
      ? { encryption: standard, dataKey: undefined }
      : generateDataKey(exchange, bucket, standard.keyId);
  }
  switch (algorithm) {
    case 'AES256':
      if (keyId !== undefined) {
        throw invalidArgument(`${SSE}-aws-kms-key-id`, keyId, 'A KMS key cannot be used with AES256');
      }
      return { encryption: { algorithm }, dataKey: undefined };
    case 'aws:kms':
      if (keyId === undefined) throw notImplemented(`${SSE}: aws:kms without a key's id, which means alias/aws/s3`);
      return generateDataKey(exchange, bucket, keyId);
    case 'aws:kms:dsse':
    case 'aws:fsx':
      throw notImplemented(`${SSE}: ${algorithm}`);
    default:
      throw invalidArgument(SSE, algorithm, 'The encryption method specified is not supported');
  }
}

function generateDataKey(exchange: Exchange, bucket: Bucket, keyId: string): WriteEncryption {
  const { keys } = exchange.core;
  const use = keyUse(exchange.request.principal, bucket.name, exchange.key);
  const { plaintext, ciphertext, keyArn } = askKms(() => keys.generateDataKey({ ...use, keyId }));
  return {
    encryption: { algorithm: 'aws:kms', keyArn, wrappedKey: ciphertext.toString('base64') },
    dataKey: plaintext,
  };
}

/** The data key of content that is being added to (a part) or read on behalf of the request's principal. */
export function unwrapDataKey(
  core: S3Core,
  principal: Principal,
  place: { bucket: string; key: string },
  encryption: ObjectEncryption & { algorithm: 'aws:kms' },
): Buffer {
  const ciphertext = Buffer.from(encryption.wrappedKey, 'base64');
  const use = keyUse(principal, place.bucket, place.key);
  return askKms(() => core.keys.decryptDataKey({ ...use, ciphertext })).plaintext;
}

/**
 * The key to read an object's content with; undefined for SSE-S3. For SSE-C the request must carry the customer's key:
 * in its own headers, or for the source of a copy in those of the source.
 * @throws S3Error what KMS refused (`KMS.DisabledException`, …), or 400 for a missing customer key.
 */
export function dataKeyForRead(
  exchange: Exchange,
  place: { bucket: string; key: string },
  encryption: ObjectEncryption,
  role: 'target' | 'copy-source' = 'target',
): Buffer | undefined {
  const customerKey = checkCustomerKey(exchange, encryption, role);
  if (encryption.algorithm !== 'aws:kms') return customerKey;
  return unwrapDataKey(exchange.core, exchange.request.principal, place, encryption);
}

/** Checks the SSE-C headers against an object, as S3 does also for `HeadObject`, which reads no content. */
export function checkCustomerKey(
  exchange: Exchange,
  encryption: ObjectEncryption,
  role: 'target' | 'copy-source' = 'target',
): Buffer | undefined {
  const customerKey = readCustomerKey(exchange, role === 'target' ? CUSTOMER_PREFIX : COPY_SOURCE_CUSTOMER_PREFIX);
  if (encryption.algorithm !== 'customer') {
    if (customerKey !== undefined) throw invalidRequest('The encryption parameters are not applicable to this object.');
    return undefined;
  }
  if (customerKey === undefined) {
    throw invalidRequest(
      'The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.',
    );
  }
  if (customerKey.md5 !== encryption.keyMd5) throw accessDenied();
  return customerKey.key;
}

/** The response headers that name an object's encryption. */
export function encryptionHeaders(encryption: ObjectEncryption): Record<string, string> {
  switch (encryption.algorithm) {
    case 'AES256':
      return { [SSE]: 'AES256' };
    case 'aws:kms':
      return { [SSE]: 'aws:kms', [`${SSE}-aws-kms-key-id`]: encryption.keyArn };
    case 'customer':
      return { [`${CUSTOMER_PREFIX}algorithm`]: 'AES256', [`${CUSTOMER_PREFIX}key-md5`]: encryption.keyMd5 };
  }
}

function keyUse(principal: Principal, bucket: string, key: string) {
  // With Bucket Keys off the context is the object's ARN:
  // https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html#encryption-context
  return { principal, viaService: VIA_SERVICE, encryptionContext: { 'aws:s3:arn': objectArn(bucket, key) } };
}

function askKms<T>(ask: () => T): T {
  try {
    return ask();
  } catch (error) {
    if (error instanceof AccessDenied) throw accessDenied(error);
    if (!(error instanceof KeyOperationError)) throw error;
    if (error.code.startsWith('AccessDenied')) throw accessDenied(error);
    throw new S3Error(400, `KMS.${error.code}`, error.message, { cause: error });
  }
}

function readCustomerKey(exchange: Exchange, prefix: string): { key: Buffer; md5: string } | undefined {
  const algorithm = header(exchange, `${prefix}algorithm`);
  const encoded = header(exchange, `${prefix}key`);
  const md5 = header(exchange, `${prefix}key-md5`);
  if (algorithm === undefined && encoded === undefined && md5 === undefined) return undefined;
  if (!exchange.request.secure) {
    throw invalidRequest(
      'Requests specifying Server Side Encryption with Customer provided keys must be made over a secure connection.',
    );
  }
  if (algorithm !== 'AES256') {
    throw invalidArgument(`${prefix}algorithm`, algorithm ?? '', 'The requested encryption algorithm is not valid.');
  }
  const key = Buffer.from(encoded ?? '', 'base64');
  if (key.length !== 32) {
    throw invalidArgument(`${prefix}key`, '', 'The secret key was invalid for the specified algorithm.');
  }
  if (createHash('md5').update(key).digest('base64') !== md5) {
    throw invalidArgument(
      `${prefix}key-md5`,
      md5 ?? '',
      'The calculated MD5 hash of the key did not match the hash that was provided.',
    );
  }
  return { key, md5 };
}
