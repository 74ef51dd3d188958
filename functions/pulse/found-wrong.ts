import { LossName } from '../contracts/decisions.ts';
import { FoundWrong } from '../contracts/pulse.ts';
import { FOUND_WRONG_KEY } from '../contracts/vault-layout.ts';
import { readBytesIfThere, writeBytes } from '../platform/s3.ts';

const KEPT = 100;
/** A year's recovery points of several databases. */
const LOSSES_KEPT = 2000;

export const NOTHING_WRONG: FoundWrong = { tenants: [], vaultKeys: [], ledgerState: false, lost: [], lostAt: null };

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
 * The first 100 of each kind, and 2,000 losses. A loss with a name that no decision can hold is counted as long as it is found, and is not
 * among them: nobody could accept it, and the next pulse could not read what is remembered.
 */
export function limitFoundWrong({ tenants, vaultKeys, ledgerState, lost, lostAt }: FoundWrong): FoundWrong {
  return {
    tenants: tenants.slice(0, KEPT),
    vaultKeys: vaultKeys.slice(0, KEPT),
    ledgerState,
    lost: lost.filter(name => LossName.safeParse(name).success).slice(0, LOSSES_KEPT),
    lostAt,
  };
}
