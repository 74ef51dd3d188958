import { LossName } from '../contracts/decisions.ts';
import { FoundWrong } from '../contracts/pulse.ts';
import { FOUND_WRONG_KEY } from '../contracts/vault-layout.ts';
import { readBytesIfThere, writeBytes } from '../platform/s3.ts';

const KEPT = 100;
/** Each of them is read again by every pulse. */
const POLICIES_KEPT = 20;
/** A year's recovery points of several databases. */
const LOSSES_KEPT = 2000;

export const NOTHING_WRONG: FoundWrong = {
  tenants: [],
  vaultKeys: [],
  ledgerState: false,
  policiesBehind: [],
  lost: [],
  lostAt: null,
};

/**
 * What earlier pulses found wrong; undefined where this is the first one. Without it a count would fall again when the sample
 * moves on.
 */
export async function readFoundWrong(workBucket: string): Promise<FoundWrong | undefined> {
  const bytes = await readBytesIfThere(workBucket, FOUND_WRONG_KEY);
  return bytes === undefined ? undefined : FoundWrong.parse(JSON.parse(bytes.toString('utf8')));
}

/** Remembers what can be remembered of it for the next pulse. */
export async function writeFoundWrong(workBucket: string, found: FoundWrong): Promise<void> {
  const bytes = Buffer.from(JSON.stringify(limitFoundWrong(found)));
  await writeBytes(workBucket, FOUND_WRONG_KEY, bytes, { contentType: 'application/json' });
}

/**
 * The first 100 of each kind, 20 policies, and 2,000 losses. A loss with a name that no decision can hold is counted as long
 * as it is found, and is not among them: nobody could accept it, and the next pulse could not read what is remembered.
 */
export function limitFoundWrong(found: FoundWrong): FoundWrong {
  return {
    ...found,
    tenants: found.tenants.slice(0, KEPT),
    vaultKeys: found.vaultKeys.slice(0, KEPT),
    policiesBehind: found.policiesBehind.slice(0, POLICIES_KEPT),
    lost: found.lost.filter(name => LossName.safeParse(name).success).slice(0, LOSSES_KEPT),
  };
}
