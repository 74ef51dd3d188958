import { Option } from 'commander';
import { LOSS_KINDS, LOSS_REASONS, readLossName } from '../../functions/contracts/decisions.ts';
import { withRuntime } from '../../functions/platform/runtime.ts';
import { EXIT, UsageError } from '../../infra/command-line/failure.ts';
import { printable } from '../../infra/command-line/printable.ts';
import { openTarget } from './open-target.ts';
import { readTarget, recordingAccount, TARGET_OPTIONS, type TargetOptions } from './read-target.ts';
import type { Recorded } from './record-decision.ts';
import type { Answer, Verb, VerbGroup } from './verb.ts';

const NOT_TRIED = { error: 'not tried, as another one still runs: run the command again', hasEnded: false } as const;
const BUCKET = 'daybreak-evidence-ACCOUNT-eu-west-2';
const SNAPSHOT = 'snapshot-missing/daybreak-app-20261122t023000z';

const list: Verb<TargetOptions> = {
  name: 'list',
  summary: 'list what pulse finds lost and nobody accepted (evidence show --kind loss: what was)',
  examples: [
    { command: `daybreak loss list --evidence-bucket ${BUCKET}`, what: 'what may be accepted now, by name' },
    { command: 'daybreak loss list --local', what: 'the same of the last npm start' },
  ],
  options: TARGET_OPTIONS,
  run: listLosses,
};

interface AcceptOptions extends TargetOptions {
  readonly loss: readonly string[];
  readonly reason: (typeof LOSS_REASONS)[number];
  readonly reference: string;
  readonly by: string;
}

const accept: Verb<AcceptOptions> = {
  name: 'accept',
  summary: 'record that a loss is explained: its alarm ends, and the next loss sounds again',
  examples: [
    {
      command: `daybreak loss accept --evidence-bucket ${BUCKET} --loss ${SNAPSHOT} --reason mistake --reference INC-42 --by staff-7`,
      what: 'a snapshot that was deleted by mistake, as the incident INC-42 explains',
    },
  ],
  options: [
    ...TARGET_OPTIONS,
    new Option('--loss <name...>', 'its name, as daybreak loss list prints it').makeOptionMandatory(),
    new Option('--reason <reason>', 'why it was lost').choices(LOSS_REASONS).makeOptionMandatory(),
    new Option(
      '--reference <id>',
      'the incident or ticket that explains it: an id, nothing personal',
    ).makeOptionMandatory(),
    new Option('--by <id>', 'who decides it: an id, not a name; it stays in the ledger').makeOptionMandatory(),
  ],
  run: acceptLosses,
};

export const loss: VerbGroup = { name: 'loss', summary: 'what is lost for good', verbs: [list, accept] };

async function listLosses(options: TargetOptions): Promise<Answer> {
  const target = readTarget(options);
  const [{ readFoundWrong }, runtime] = await Promise.all([
    import('../../functions/pulse/found-wrong.ts'),
    openTarget(target),
  ]);
  const { lost = [] } = (await withRuntime(runtime, () => readFoundWrong(target.workBucket))) ?? {};
  return {
    exitCode: EXIT.done,
    data: { lost },
    text: () =>
      lost.length === 0
        ? 'pulse finds nothing lost that nobody accepted'
        : lost.map(name => `${printable(name)}: ${LOSS_KINDS[readLossName(name).kind]}`).join('\n'),
  };
}

async function acceptLosses({ loss: losses, reason, reference, by, ...options }: AcceptOptions): Promise<Answer> {
  const target = readTarget(options);
  const account = recordingAccount(target);
  const [{ Decision }, { recordDecision }, runtime] = await Promise.all([
    import('../../functions/contracts/decisions.ts'),
    import('./record-decision.ts'),
    openTarget(target),
  ]);
  const decisions = losses.map(name => {
    const parsed = Decision.safeParse({ kind: 'loss.accepted', loss: name, reason, reference, by });
    if (parsed.success) return { name, decision: parsed.data };
    const [issue] = parsed.error.issues;
    const option = String(issue?.path[0]);
    throw new UsageError(
      option === 'loss'
        ? `--loss ${printable(name)}: give a name as daybreak loss list prints it`
        : `--${option}: ${issue?.message}`,
    );
  });
  const recorded = await withRuntime(runtime, async () => {
    const results: ({ loss: string } & Recorded)[] = [];
    for (const { name, decision } of decisions) {
      // Where one waits for minutes, a hundred wait for hours.
      const isStuck = results.some(result => 'hasEnded' in result && !result.hasEnded);
      const result = isStuck ? NOT_TRIED : await recordDecision(account, decision);
      results.push({ loss: name, ...result });
    }
    return results;
  });
  return {
    exitCode: recorded.every(result => 'sequence' in result) ? EXIT.done : EXIT.failed,
    data: { recorded },
    text: () =>
      recorded
        .map(result =>
          'sequence' in result
            ? `${result.loss}: accepted, entry ${result.sequence}; pulse counts it no more from its next quarter of an hour on`
            : `${result.loss}: not accepted${result.hasEnded ? '' : ' yet'}: ${printable(result.error)}`,
        )
        .join('\n'),
  };
}
