import { CheckDecisionInput, CheckDecisionOutput } from '../contracts/decisions.ts';
import { readFoundWrong } from '../platform/found-wrong.ts';
import { handler as step } from '../platform/handler.ts';
import { describeDecision } from './describe-decision.ts';

/** Turns a person's decision into what the ledger records of it, where it is one that a person may take. */
export const handler = step({
  input: CheckDecisionInput,
  output: CheckDecisionOutput,
  run: async ({ decision }, { now, configuration, deployment }) => {
    // An upgrade reads nothing: it may be what lets this role read again.
    const isOfLoss = decision.kind.startsWith('loss.');
    const found = isOfLoss ? await readFoundWrong(deployment.workBucket) : undefined;
    return { draft: describeDecision(decision, found, now, configuration.register) };
  },
});
