import { CheckDecisionInput, CheckDecisionOutput } from '../contracts/decisions.ts';
import { FoundWrong } from '../contracts/pulse.ts';
import { FOUND_WRONG_KEY } from '../contracts/vault-layout.ts';
import { handler as step } from '../platform/handler.ts';
import { readBytes } from '../platform/s3.ts';
import { describeDecision, lostNow } from './describe-decision.ts';

/** Turns a person's decision into what the ledger records of it, where it is one that a person may take. */
export const handler = step({
  input: CheckDecisionInput,
  output: CheckDecisionOutput,
  run: async ({ decision }, { now, configuration, deployment }) => {
    // An upgrade reads nothing: it may be what lets this role read again.
    const lost = decision.kind === 'loss.accepted' ? await readLost(deployment.workBucket, now) : [];
    return { draft: describeDecision(decision, lost, configuration.register) };
  },
});

async function readLost(workBucket: string, now: Date): Promise<readonly string[]> {
  // Pulse writes it when it runs for the first time.
  const bytes = await readBytes(workBucket, FOUND_WRONG_KEY);
  return lostNow(FoundWrong.parse(JSON.parse(bytes.toString('utf8'))), now);
}
