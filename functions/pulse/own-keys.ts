import type { Deployment } from '../contracts/configuration.ts';
import { KEY_ALIASES } from '../contracts/policies.ts';
import { WatchedKeys } from '../contracts/pulse.ts';
import { PermanentError } from '../platform/errors.ts';
import { currentRuntime } from '../platform/runtime.ts';

/** The function was not told which keys to watch. */
export class WatchedKeysError extends PermanentError {}

export type OwnKeyName = keyof typeof KEY_ALIASES;
/** That of notices: while it cannot be used, no alarm reaches anybody. */
export const NOTICE_KEY = 'notice-key' satisfies OwnKeyName;

/**
 * Each key that there is one of, by what it is reached by: its ARN as the stacks made or adopted it, so that whoever moves an
 * alias shows no other key in its place. The key of notices is made after this function, so that no stack could tell its ARN.
 * @throws WatchedKeysError
 */
export function ownKeys(deployment: Deployment): Readonly<Record<OwnKeyName, string>> {
  return {
    'vault-key': deployment.vaultKeyArn,
    'signing-key': deployment.signingKeyArn,
    'ledger-key': deployment.ledgerKeyArn,
    'entry-key': deployment.entryKeyArn,
    'tenant-id-key': deployment.tenantIdKeyArn,
    'register-key': deployment.registerKeyArn,
    ...readWatchedKeys(),
    [NOTICE_KEY]: KEY_ALIASES[NOTICE_KEY],
  };
}

function readWatchedKeys(): WatchedKeys {
  try {
    return WatchedKeys.parse(JSON.parse(currentRuntime().environment.DAYBREAK_WATCHED_KEYS ?? ''));
  } catch (cause) {
    throw new WatchedKeysError(
      'the environment variable DAYBREAK_WATCHED_KEYS is missing or not valid; deploy the workflow stack again',
      { cause },
    );
  }
}
