import { z } from 'zod';
import { LedgerDraft } from './ledger.ts';

/** What was not removed, though it should have been. */
export const RemovalFailure = z.strictObject({
  /** The name of the error that a person has to do something about; where all may pass, of the first. */
  error: z.string(),
  /** What stays, or what keeps it from being judged. */
  left: z.array(z.string()).min(1),
  /** Whether some of it may go if it is tried again. */
  passing: z.boolean(),
});
export type RemovalFailure = z.infer<typeof RemovalFailure>;

/** What a janitor's step did: an entry for the ledger for each thing that it removed, and what it could not remove. */
export const RemovalOutput = z.strictObject({ drafts: z.array(LedgerDraft), failure: RemovalFailure.nullable() });
