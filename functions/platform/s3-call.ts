import { S3Client, S3ServiceException } from '@aws-sdk/client-s3';
import { describeRefusal, PermanentError, RetryableError } from './errors.ts';
import { awsClient } from './runtime.ts';

/** There is no such object (or bucket, or version). */
export class ObjectNotFoundError extends PermanentError {}
/** A condition of the request (`If-Match`, `If-None-Match`) did not hold, or another write to the same key won. */
export class PreconditionFailedError extends PermanentError {}
/** S3 or KMS refused the request. */
export class ObjectAccessDeniedError extends PermanentError {}
/** The object lies in an archive tier and cannot be read without being restored first. */
export class ObjectArchivedError extends PermanentError {}
/** The KMS key that the object is, or is to be, encrypted under is disabled, going to be deleted, or gone. */
export class ObjectKeyUnusableError extends PermanentError {}
/** The object is encrypted under a key that its owner sends with each request (SSE-C), which nobody else can read. */
export class ObjectUnderCustomerKeyError extends PermanentError {}
/** S3 refused the request for another lasting reason. */
export class ObjectStorageError extends PermanentError {}

/** Runs one S3 call on this runtime's client and translates its errors. `what` names the object in messages; never a source key. */
export async function callS3<T>(what: string, call: (client: S3Client) => Promise<T>): Promise<T> {
  try {
    return await call(awsClient(S3Client));
  } catch (error) {
    throw translate(what, error);
  }
}

/**
 * Codes of S3, and of KMS as S3 passes them on, that ask to be tried again whatever their status is.
 * https://docs.aws.amazon.com/kms/latest/developerguide/throttling.html
 */
export const PASSING =
  /^(SlowDown|RequestTimeout|InternalError|ServiceUnavailable|OperationAborted|(KMS\.)?(ThrottlingException|KMSInternalException|DependencyTimeoutException|KeyUnavailableException))$/;

function translate(what: string, cause: unknown): unknown {
  if (!(cause instanceof Error)) return cause;
  const status = statusOf(cause);
  const name = cause.name;
  if (status === 404 || ['NoSuchKey', 'NotFound', 'NoSuchBucket', 'NoSuchVersion'].includes(name)) {
    return new ObjectNotFoundError(`${what}: not found (${name})`, { cause });
  }
  if (status === 412 || name === 'PreconditionFailed' || name === 'ConditionalRequestConflict') {
    return new PreconditionFailedError(`${what}: the condition of the request did not hold (${name})`, { cause });
  }
  if (status === undefined || (status >= 500 && status !== 501) || status === 429 || PASSING.test(name)) {
    return new RetryableError(`${what}: S3 did not answer well (${name}: ${cause.message})`, { cause });
  }
  if (name.startsWith('KMS.'))
    return new ObjectKeyUnusableError(`${what}: its key cannot be used (${name})`, { cause });
  if (name === 'InvalidObjectState') return new ObjectArchivedError(`${what}: archived`, { cause });
  if (status === 403 || name === 'AccessDenied') {
    return new ObjectAccessDeniedError(
      `${what}: refused (${describeRefusal(cause)}); check the role's, the bucket's and the key's policies`,
      {
        cause,
      },
    );
  }
  return new ObjectStorageError(`${what}: S3 refused (${name}: ${cause.message})`, { cause });
}

/** The HTTP status that S3 answered with; undefined where it did not answer. */
export function statusOf(cause: unknown): number | undefined {
  return cause instanceof S3ServiceException ? cause.$metadata.httpStatusCode : undefined;
}
