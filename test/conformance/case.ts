import type { Scratch } from './scratch.ts';

/** Plain data, as the report shows it. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

export type ServiceTitle = 'S3' | 'KMS' | 'Step Functions' | 'EventBridge Scheduler' | 'CloudWatch' | 'RDS';

/** One thing that AWS documents and Daybreak relies upon. */
export interface ConformanceCase {
  readonly service: ServiceTitle;
  /** What AWS does, as a sentence. Unique. */
  readonly name: string;
  /** What of Daybreak would be unsafe, or would not work, if it were otherwise. */
  readonly restsOn: string;
  /** The page of AWS's documentation that decides. */
  readonly page: string;
  /** Left out unless the operator asks for it. */
  readonly needs?: 'rds' | 'role';
  /** The outcome that the page promises. */
  readonly expected: Json | (() => Promise<Json>);
  /** Makes the calls, and says what came of them. */
  readonly observe: (scratch: Scratch) => Promise<Json>;
}

/** The case says nothing about AWS: a permission is missing, or the endpoint does not implement the call. */
export class NotTriedError extends Error {
  override readonly name = 'NotTriedError';
}

/** Nothing can be reached, or the credentials are no good: going on would only repeat it. */
export class UnreachableError extends Error {
  override readonly name = 'UnreachableError';
}

interface ServiceFailure {
  readonly name: string;
  readonly message: string;
  readonly status: number | undefined;
}

/** What a service answered; undefined for an error that no service sent. */
export function readFailure(error: unknown): ServiceFailure | undefined {
  if (!(error instanceof Error)) return undefined;
  const { httpStatusCode: status } = (error as { $metadata?: { httpStatusCode?: number } }).$metadata ?? {};
  return status === undefined ? undefined : { name: error.name, message: error.message, status };
}

// The words in which AWS tells what refused: https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
const BY_CALLER =
  /because no (?:identity-based|session|permissions boundary|service control|resource control) polic(?:y|ies) allows|because no permissions boundary allows|with an explicit deny in (?:an? )?(?:identity-based|session|service control|resource control|permissions boundary|VPC endpoint)/;
const UNREACHABLE = new Set([
  'CredentialsProviderError',
  'TokenProviderError',
  'ExpiredToken',
  'ExpiredTokenException',
  'InvalidAccessKeyId',
  'InvalidClientTokenId',
  'InvalidToken',
  'SignatureDoesNotMatch',
  'UnrecognizedClientException',
  'RequestTimeTooSkewed',
]);
const BUSY = new Set([
  'InternalError',
  'InternalFailure',
  'ServiceUnavailable',
  'SlowDown',
  'ThrottledException',
  'Throttling',
  'ThrottlingException',
  'TooManyRequestsException',
]);
const NO_CONNECTION = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'ENETUNREACH', 'EHOSTUNREACH']);

/**
 * Why an error says nothing about the service's behaviour.
 * @param implementation whether "not implemented" is no answer either.
 */
export function readObstacle(error: unknown, implementation = true): NotTriedError | UnreachableError | undefined {
  if (error instanceof NotTriedError || error instanceof UnreachableError) return error;
  if (!(error instanceof Error)) return undefined;
  const { name, message } = error;
  const code = (error as { code?: string }).code;
  if (UNREACHABLE.has(name)) {
    return new UnreachableError(`the credentials cannot be used (${name}: ${message})`, { cause: error });
  }
  if (code !== undefined && NO_CONNECTION.has(code)) return new UnreachableError(`nothing answers (${code})`);
  if (BUSY.has(name)) return new NotTriedError(`the service did not answer well (${name}); run it again`);
  if (BY_CALLER.test(message)) {
    const action = /not authorized to perform: ([\w:]+)/.exec(message)?.[1];
    return new NotTriedError(`not permitted${action === undefined ? '' : `: ${action}`}`);
  }
  const unknown = ['NotImplementedLocally', 'UnknownOperationException', 'UnknownOperation', 'MethodNotAllowed'];
  if (
    unknown.includes(name) ||
    (implementation && name === 'NotImplemented') ||
    /^the local cloud does not/.test(message)
  ) {
    return new NotTriedError(`not implemented by the endpoint: ${message}`);
  }
  return undefined;
}

/**
 * What a call was answered: `done`, or the status and the error's name, `412 PreconditionFailed`.
 * @param options.notImplemented true where 501 is the answer that AWS documents.
 * @throws NotTriedError, UnreachableError where the answer says nothing about the service's behaviour.
 */
export async function answer(call: Promise<unknown>, options: { notImplemented?: boolean } = {}): Promise<string> {
  try {
    await call;
    return 'done';
  } catch (error) {
    const obstacle = readObstacle(error, options.notImplemented !== true);
    if (obstacle !== undefined) throw obstacle;
    const failure = readFailure(error);
    if (failure === undefined) throw error;
    return `${failure.status} ${failure.name}`;
  }
}

/** The status alone of what refused a call, where services differ in what they call it. */
export async function refusal(call: Promise<unknown>): Promise<string> {
  return (await answer(call)).replace(/ .*$/, '');
}
