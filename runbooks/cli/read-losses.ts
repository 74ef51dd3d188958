import { FoundWrong } from '../../functions/contracts/pulse.ts';
import { FOUND_WRONG_KEY } from '../../functions/contracts/vault-layout.ts';
import { readBytesIfThere } from '../../functions/platform/s3.ts';

/** The losses that pulse found last and that nobody accepted, by name. */
export async function readLosses(workBucket: string): Promise<readonly string[]> {
  const bytes = await readBytesIfThere(workBucket, FOUND_WRONG_KEY);
  return bytes === undefined ? [] : FoundWrong.parse(JSON.parse(bytes.toString('utf8'))).lost;
}
