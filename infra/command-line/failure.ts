import { DaybreakError, describeError } from '../../functions/platform/errors.ts';
import { printable } from './printable.ts';

/** The operator asked for something that cannot be: one line says what to change; exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/**
 * How every command of this project ends. `failed`: the answer is no, e.g. a ledger that is broken, a test that did not pass.
 * `unreachable`: nothing was found out, because AWS, the disk or the local state could not be reached or refused.
 */
export const EXIT = { done: 0, failed: 1, usage: 2, unreachable: 3, interrupted: 130 } as const;

/** What ended a command that did not come to its answer. */
export interface Failure {
  readonly kind: 'usage' | 'unreachable' | 'known' | 'unexpected';
  /** One line; of what is unexpected also where it happened. */
  readonly text: string;
}

/** What the system and PostgreSQL say where nothing more can be written: https://www.postgresql.org/docs/current/errcodes-appendix.html */
const DISK_FULL = ['ENOSPC', 'EDQUOT', '53100'];
/** The SDK found no credentials, or none of the profile that was named. */
const NO_CREDENTIALS = ['CredentialsProviderError', 'TokenProviderError'];
/**
 * There are credentials, and AWS does not take them. https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
 * https://docs.aws.amazon.com/kms/latest/APIReference/CommonErrors.html
 */
const REFUSED_CREDENTIALS = [
  'ExpiredToken',
  'ExpiredTokenException',
  'InvalidAccessKeyId',
  'InvalidClientTokenId',
  'InvalidSignatureException',
  'InvalidToken',
  'RequestTimeTooSkewed',
  'SignatureDoesNotMatch',
  'UnrecognizedClientException',
];

/** What ended a command, from its error and what caused that. */
export function describeFailure(error: unknown): Failure {
  if (error instanceof UsageError) return { kind: 'usage', text: oneLine(error.message) };
  const chain = causesOf(error);
  const find = (names: readonly string[]) => {
    const found = chain.find(({ code, name }) => names.includes(code ?? '') || names.includes(name));
    return found && { name: names.includes(found.code ?? '') ? found.code : found.name, message: found.message };
  };
  const unreachable = (text: string): Failure => ({ kind: 'unreachable', text: oneLine(text) });
  const full = find(DISK_FULL);
  if (full !== undefined)
    return unreachable(`no space is left on the disk (${full.name}); free some, then run it again`);
  const missing = find(NO_CREDENTIALS);
  if (missing !== undefined) {
    const said = missing.message.replace(/\.\s*$/, '');
    return unreachable(`no AWS credentials: ${said}; sign in, or name a profile of yours with --profile`);
  }
  const refused = find(REFUSED_CREDENTIALS);
  if (refused !== undefined) {
    return unreachable(
      `AWS does not take these credentials (${refused.name}); sign in again, or name another --profile`,
    );
  }
  if (error instanceof DaybreakError) return { kind: 'known', text: oneLine(error.message) };
  const [first] = chain;
  if (first !== undefined && (first.isSystem || first.isService)) {
    return unreachable(describeError(error));
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { kind: 'unexpected', text: text.split('\n').map(printable).join('\n') };
}

/** What the operating system said, without the path that the sentence before names. */
export function describeSystemError(error: unknown): string {
  const said = error instanceof Error ? error.message : String(error);
  return said.replace(/, \w+ '.*$/s, '');
}

interface Cause {
  readonly name: string;
  readonly message: string;
  readonly code: string | undefined;
  /** From the operating system, e.g. of a file or a connection. */
  readonly isSystem: boolean;
  /** From a service of AWS, or what speaks to it. */
  readonly isService: boolean;
}

function causesOf(error: unknown): Cause[] {
  const causes: Cause[] = [];
  const seen = new Set<unknown>();
  for (let at = error; at instanceof Error && !seen.has(at); at = at.cause) {
    seen.add(at);
    const code = 'code' in at && typeof at.code === 'string' ? at.code : undefined;
    const isSystem = code !== undefined && /^E[A-Z0-9]+$/.test(code);
    causes.push({ name: at.name, message: at.message, code, isSystem, isService: '$metadata' in at });
  }
  return causes;
}

const oneLine = (text: string): string => printable(text.trim().replaceAll(/\s*\n\s*/g, ' '));
