import { RetryableError } from './errors.ts';
import { currentRuntime } from './runtime.ts';

/** The heartbeat's outside address was not reached, or did not take it. The message never holds the address. */
export class HeartbeatError extends RetryableError {}

const TIMEOUT_MS = 5000;

/**
 * Tells the outside address in the function's environment, if there is one, that this function ran: an empty GET, so that
 * somebody outside the account notices when it no longer comes. Whoever knows the address can send heartbeats of their
 * own, so it stands in no message.
 * @throws HeartbeatError when no 2xx comes within five seconds; redirects are not followed.
 */
export async function sendHeartbeat(): Promise<void> {
  const { DAYBREAK_HEARTBEAT_URL: address } = currentRuntime().environment;
  if (address === undefined) return;
  let status: number;
  try {
    const response = await fetch(address, { redirect: 'manual', signal: AbortSignal.timeout(TIMEOUT_MS) });
    status = response.status;
    await response.body?.cancel();
  } catch (error) {
    // What fetch throws may quote the address: its code says enough.
    throw new HeartbeatError(`the heartbeat's address could not be reached (${codeOf(error)}); ${NEXT}`);
  }
  if (status < 200 || status > 299) throw new HeartbeatError(`the heartbeat's address answered ${status}; ${NEXT}`);
}

const NEXT = 'check heartbeatUrl in the configuration, and the service behind it';

function codeOf(error: unknown): string {
  const { name, cause } = error as Error;
  const { code } = (cause ?? {}) as { code?: unknown };
  return typeof code === 'string' ? code : name;
}
