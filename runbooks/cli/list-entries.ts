import type { StoredLedgerEntry } from '../../functions/contracts/ledger.ts';
import { LEDGER_PREFIX, ledgerEntryKey } from '../../functions/contracts/vault-layout.ts';
import { readLedgerEntries } from '../../functions/platform/ledger.ts';
import { listObjects } from '../../functions/platform/s3.ts';

/** The newest `limit` entries, oldest of them first. @throws LedgerBrokenError when one of them cannot be an entry. */
export async function listEntries(evidenceBucket: string, limit: number): Promise<StoredLedgerEntry[]> {
  let last = 0;
  for await (const { objects } of listObjects(evidenceBucket, LEDGER_PREFIX)) {
    for (const { key } of objects) {
      const sequence = Number(/(\d+)\.json$/.exec(key)?.[1] ?? 0);
      if (ledgerEntryKey(sequence) === key) last = Math.max(last, sequence);
    }
  }
  const entries: StoredLedgerEntry[] = [];
  for await (const { entry } of readLedgerEntries(evidenceBucket, Math.max(1, last - limit + 1), last)) {
    entries.push(entry);
  }
  return entries;
}
