import { FoundWrong } from '../contracts/pulse.ts';
import { FOUND_WRONG_KEY } from '../contracts/vault-layout.ts';
import { readBytesIfThere, writeBytes } from '../platform/s3.ts';

const KEPT = 100;

export const NOTHING_WRONG: FoundWrong = { tenants: [], vaultKeys: [], ledgerState: false, lost: [] };

/**
 * What earlier pulses found wrong; undefined where this is the first one. Without it a count would fall again when the sample
 * moves on.
 */
export async function readFoundWrong(workBucket: string): Promise<FoundWrong | undefined> {
  const bytes = await readBytesIfThere(workBucket, FOUND_WRONG_KEY);
  return bytes === undefined ? undefined : FoundWrong.parse(JSON.parse(bytes.toString('utf8')));
}

/** Remembers the first 100 of each kind for the next pulse. */
export async function writeFoundWrong(
  workBucket: string,
  { tenants, vaultKeys, ledgerState, lost }: FoundWrong,
): Promise<void> {
  const kept: FoundWrong = {
    tenants: tenants.slice(0, KEPT),
    vaultKeys: vaultKeys.slice(0, KEPT),
    ledgerState,
    lost: lost.slice(0, KEPT),
  };
  await writeBytes(workBucket, FOUND_WRONG_KEY, Buffer.from(JSON.stringify(kept)), { contentType: 'application/json' });
}
