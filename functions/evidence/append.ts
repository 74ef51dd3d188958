import { randomInt } from 'node:crypto';
import type { Deployment } from '../contracts/configuration.ts';
import type { LedgerDraft, LedgerEntry } from '../contracts/ledger.ts';
import { ledgerEntryKey } from '../contracts/vault-layout.ts';
import { canonicalJson, sha256Hex } from '../platform/canonical-json.ts';
import { PermanentError, RetryableError } from '../platform/errors.ts';
import { signDocument } from '../platform/kms.ts';
import { readLedgerEntry, readLedgerState, readOn } from '../platform/ledger.ts';
import { MAXIMUM_ENTRY_BYTES } from '../platform/ledger-entry.ts';
import { fold, type LedgerProjection, sequencesOfEvent } from '../platform/ledger-projection.ts';
import { log } from '../platform/log.ts';
import { currentRuntime, oncePerRuntime } from '../platform/runtime.ts';
import { PreconditionFailedError, writeBytes } from '../platform/s3.ts';

/** Other appends won every time. */
export class LedgerBusyError extends RetryableError {}
/** What was to be recorded does not fit into an entry. */
export class LedgerDraftError extends PermanentError {}

// Each lost attempt means that another append succeeded, so some append always makes progress.
const MAXIMUM_ATTEMPTS = 200;
const LONGEST_PAUSE_MS = 2000;

/** Where a draft was recorded, and the ledger's state as far as it was read. */
export interface AppendedEntry {
  readonly sequence: number;
  readonly entrySha256: string;
  readonly state: LedgerProjection;
}

/**
 * Records the draft as the ledger's next entry, or finds the entry that already records its event: also when an earlier
 * run wrote it and never heard the answer. Any number of appends may run at the same time.
 * @throws LedgerBrokenError when what it would follow is not an unbroken chain of what appenders signed.
 */
export async function append(draft: LedgerDraft, now: Date, deployment: Deployment): Promise<AppendedEntry> {
  const { evidenceBucket, vaultKeyArn, entryKeyArn } = deployment;
  const folded = oncePerRuntime(append, () => new Map<string, LedgerProjection>());
  let state = await readState(folded.get(evidenceBucket), deployment);
  for (let attempt = 1; attempt <= MAXIMUM_ATTEMPTS; attempt++) {
    const recorded = await findRecorded(evidenceBucket, state, draft);
    if (recorded !== undefined) return { ...recorded, state };
    const content: Omit<LedgerEntry, 'signature'> = {
      ...draft,
      version: 2,
      sequence: state.lastSequence + 1,
      recordedAt: now.toISOString(),
      previousSha256: state.lastEntrySha256,
    };
    const { signature } = await signDocument(content, entryKeyArn);
    const entry: LedgerEntry = { ...content, signature };
    const bytes = Buffer.from(canonicalJson(entry));
    if (bytes.byteLength > MAXIMUM_ENTRY_BYTES) {
      throw new LedgerDraftError(
        `${draft.kind}: ${bytes.byteLength} bytes are too many for a ledger entry; record the hash of a file instead`,
      );
    }
    try {
      await writeBytes(evidenceBucket, ledgerEntryKey(entry.sequence), bytes, {
        contentType: 'application/json',
        keyArn: vaultKeyArn,
        onlyIfAbsent: true,
      });
    } catch (error) {
      if (!(error instanceof PreconditionFailedError)) throw error;
      await currentRuntime().clock.sleep(randomInt(Math.min(LONGEST_PAUSE_MS, 10 * 2 ** Math.min(attempt, 10))));
      state = await readOn(deployment, state);
      continue;
    }
    const entrySha256 = sha256Hex(bytes);
    const next = fold(state, entry, entrySha256);
    folded.set(evidenceBucket, next);
    return { sequence: entry.sequence, entrySha256, state: next };
  }
  throw new LedgerBusyError(`ledger: ${MAXIMUM_ATTEMPTS} attempts to append lost to other appends; run it again`);
}

/**
 * Goes on from what this runtime folded itself, while the ledger holds its last entry. Who records an attack signs no head and
 * keeps no state: it would fold every entry since the newest head anew for each event, and an attack is many.
 */
async function readState(folded: LedgerProjection | undefined, deployment: Deployment): Promise<LedgerProjection> {
  const last = folded && (await readLedgerEntry(deployment.evidenceBucket, folded.lastSequence));
  return folded !== undefined && last?.sha256 === folded.lastEntrySha256
    ? readOn(deployment, folded)
    : readLedgerState(deployment);
}

async function findRecorded(
  evidenceBucket: string,
  state: LedgerProjection,
  draft: LedgerDraft,
): Promise<{ sequence: number; entrySha256: string } | undefined> {
  for (const sequence of sequencesOfEvent(state, draft.eventId)) {
    const found = await readLedgerEntry(evidenceBucket, sequence);
    if (found?.entry.eventId !== draft.eventId) continue;
    const { eventId, kind, actor, subject, body } = found.entry;
    if (canonicalJson({ eventId, kind, actor, subject, body }) !== canonicalJson(draft)) {
      log('warn', 'event already recorded with other content; the first record stands', { sequence, kind });
    }
    return { sequence, entrySha256: found.sha256 };
  }
  return undefined;
}
