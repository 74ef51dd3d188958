import { type PermanentError, RetryableError } from './errors.ts';

/**
 * Runs one call of a service and translates its errors: what passes is a RetryableError, all else a `Refused`.
 * @param what names the thing in messages.
 */
export async function callService<T>(
  what: string,
  Refused: new (message: string, options: ErrorOptions) => PermanentError,
  send: () => Promise<T>,
): Promise<T> {
  try {
    return await send();
  } catch (cause) {
    if (!(cause instanceof Error)) throw cause;
    const { $metadata: { httpStatusCode: status = 500 } = {} } = cause as { $metadata?: { httpStatusCode?: number } };
    const text = `${what}: ${cause.name}: ${cause.message}`;
    throw status >= 500 || status === 429 || /Throttling/.test(cause.name)
      ? new RetryableError(text, { cause })
      : new Refused(text, { cause });
  }
}
