import type { Deployment } from '../../functions/contracts/configuration.ts';
import type { Decision } from '../../functions/contracts/decisions.ts';
import { canonicalJson, sha256Hex } from '../../functions/platform/canonical-json.ts';
import { currentRuntime } from '../../functions/platform/runtime.ts';
import { readExecution, startExecution } from '../../functions/platform/step-functions.ts';

const POLL_MS = 250;
const LONGEST_WAIT_MS = 5 * 60 * 1000;

/** The entry of a decision, or why there is none; one whose workflow has not ended may still come. */
export type Recorded =
  | { readonly sequence: number }
  | { readonly error: string; readonly hasEnded: false }
  /** `errorName`: what the step that refused it threw, e.g. `LossNotFoundError`; else how the run ended, e.g. `ABORTED`. */
  | { readonly error: string; readonly hasEnded: true; readonly errorName: string };

/** Has a person's decision recorded, in the person's own name as CloudTrail sees it, and waits for its entry. */
export async function recordDecision(
  account: Pick<Deployment, 'region' | 'accountId'>,
  decision: Decision,
): Promise<Recorded> {
  const { clock } = currentRuntime();
  const startedMs = clock.now().getTime();
  const name = `${decision.kind.replace('.', '-')}-${sha256Hex(canonicalJson(decision)).slice(0, 16)}-${startedMs}`;
  const { executionArn } = await startExecution(account, 'record-decision', name, { decision });
  for (;;) {
    const execution = await readExecution(executionArn);
    if (execution.status === 'SUCCEEDED') return JSON.parse(execution.output ?? '{}') as { sequence: number };
    if (execution.status !== 'RUNNING') {
      // A function's error is JSON, of which the workflow keeps the beginning.
      const [, message] = /"errorMessage":"((?:[^"\\]|\\.)*)/.exec(execution.cause ?? '') ?? [];
      return {
        error: message ?? execution.cause ?? execution.status,
        hasEnded: true,
        // Who stops a run gives it an error of any name.
        errorName: (execution.status === 'FAILED' ? execution.error : undefined) ?? execution.status,
      };
    }
    if (clock.now().getTime() - startedMs > LONGEST_WAIT_MS) {
      return {
        error: `${executionArn} still runs; daybreak evidence show --kind ${decision.kind.split('.')[0]} lists what it recorded`,
        hasEnded: false,
      };
    }
    await clock.sleep(POLL_MS);
  }
}
