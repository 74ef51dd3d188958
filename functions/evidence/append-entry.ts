import { AppendEntryInput, AppendEntryOutput } from '../contracts/daily-backup.ts';
import { handler as stepHandler } from '../platform/handler.ts';
import { keepLedgerState } from '../platform/ledger.ts';
import { append } from './append.ts';
import { closeSegments } from './close-segments.ts';
import { signHead } from './sign-head.ts';

/** Records the draft once, then signs the head and closes full segments, also those that a killed run left open. */
export const handler = stepHandler({
  input: AppendEntryInput,
  output: AppendEntryOutput,
  run: async ({ draft }, { now, deployment }) => {
    const { sequence, entrySha256, state } = await append(draft, now, deployment);
    if (await signHead(state, now, deployment)) await keepLedgerState(deployment.workBucket, state);
    await closeSegments(state, now, deployment);
    return { sequence, entrySha256 };
  },
});
