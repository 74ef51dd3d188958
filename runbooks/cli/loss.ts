import { Option } from 'commander';
import { type Decision as DecisionType, LOSS_REASONS } from '../../functions/contracts/decisions.ts';
import { LOSS_KINDS, readLossName } from '../../functions/contracts/losses.ts';
import { parseInstant } from '../../functions/platform/clock.ts';
import type { KnownLosses } from '../../functions/platform/found-wrong.ts';
import { withRuntime } from '../../functions/platform/runtime.ts';
import { EXIT, UsageError } from '../../infra/command-line/failure.ts';
import { printable } from '../../infra/command-line/printable.ts';
import { openTarget } from './open-target.ts';
import { readTarget, recordingAccount, TARGET_OPTIONS, type TargetOptions } from './read-target.ts';
import type { Recorded } from './record-decision.ts';
import type { Answer, Verb, VerbGroup } from './verb.ts';

const NOT_TRIED = { error: 'not tried, as another one still runs: run the command again', hasEnded: false } as const;
const BUCKET = 'daybreak-evidence-ACCOUNT-eu-west-2';
const SNAPSHOT = 'snapshot-missing/daybreak-app-20261122t023000z/20261122t091500z';

const list: Verb<TargetOptions> = {
  name: 'list',
  summary: 'list what pulse finds lost and nobody accepted, and when it looked (evidence show --kind loss: what was)',
  examples: [
    { command: `daybreak loss list --evidence-bucket ${BUCKET}`, what: 'what may be accepted now, by name' },
    { command: 'daybreak loss list --local', what: 'the same of the last npm start' },
  ],
  options: TARGET_OPTIONS,
  run: listLosses,
};

interface DecideOptions extends TargetOptions {
  readonly loss: readonly string[];
  readonly reference: string;
  readonly by: string;
}

interface AcceptOptions extends DecideOptions {
  readonly reason: (typeof LOSS_REASONS)[number];
}

const LOSSES = new Option('--loss <name...>', 'its name, as daybreak loss list prints it').makeOptionMandatory();
const BY = new Option('--by <id>', 'who decides it: an id, not a name; it stays in the ledger').makeOptionMandatory();

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
    LOSSES,
    new Option('--reason <reason>', 'why it was lost').choices(LOSS_REASONS).makeOptionMandatory(),
    new Option(
      '--reference <id>',
      'the incident or ticket that explains it: an id, nothing personal',
    ).makeOptionMandatory(),
    BY,
  ],
  run: ({ reason, ...options }) =>
    decide('loss.accepted', { ...options, reason }, 'accepted', 'pulse counts it no more'),
};

const withdraw: Verb<DecideOptions> = {
  name: 'withdraw',
  summary: 'record that an acceptance ends: what is lost still sounds again, and what was put right is whole again',
  examples: [
    {
      command: `daybreak loss withdraw --evidence-bucket ${BUCKET} --loss ${SNAPSHOT} --reference INC-43 --by staff-7`,
      what: 'an acceptance that was wrong, as INC-43 explains',
    },
  ],
  options: [
    ...TARGET_OPTIONS,
    LOSSES,
    new Option(
      '--reference <id>',
      'the incident or ticket that explains why: an id, nothing personal',
    ).makeOptionMandatory(),
    BY,
  ],
  run: options => decide('loss.acceptance-withdrawn', options, 'withdrawn', 'pulse counts it, where it is lost,'),
};

export const loss: VerbGroup = { name: 'loss', summary: 'what is lost for good', verbs: [list, accept, withdraw] };

async function listLosses(options: TargetOptions): Promise<Answer> {
  const target = readTarget(options);
  const [{ judgeLook, readFoundWrong }, runtime] = await Promise.all([
    import('../../functions/platform/found-wrong.ts'),
    openTarget(target),
  ]);
  const found = await withRuntime(runtime, () => readFoundWrong(target.workBucket));
  // A local cloud's time is its own, and nobody here knows it: how long ago pulse looked there is not judged.
  const isLocal = target.local !== null || process.env.AWS_ENDPOINT_URL !== undefined;
  const lookedAt = found?.lookedAt ?? null;
  return answerLosses(judgeLook(found, isLocal && lookedAt !== null ? parseInstant(lookedAt) : runtime.clock.now()));
}

/** What the command says of what pulse left: that nothing is lost only where pulse has just looked for all of it. */
export function answerLosses(look: KnownLosses): Answer {
  if (look.state === 'never') {
    return {
      exitCode: EXIT.unreachable,
      data: { state: 'never', lookedAt: null, notLookedFor: [], lost: [], acceptances: [] },
      text: () => 'nobody knows: pulse has left nothing that says what is lost (runbooks/pulse-silent.md)',
    };
  }
  const { state, lookedAt } = look;
  const { lost, acceptances, notLookedFor } = look.found;
  const isKnown = state === 'present' && notLookedFor.length === 0;
  return {
    exitCode: isKnown ? EXIT.done : EXIT.unreachable,
    data: { state, lookedAt, notLookedFor, lost, acceptances },
    text: () =>
      [
        ...lost.map(name => `${printable(name)}: ${LOSS_KINDS[readLossName(name).kind]}`),
        ...(lost.length === 0 && isKnown ? ['pulse finds nothing lost that nobody accepted'] : []),
        ...(acceptances.length === 0 ? [] : [`accepted: ${acceptances.length} (daybreak evidence show --kind loss)`]),
        `pulse looked last at ${lookedAt}`,
        ...(state === 'old' ? ['nobody knows what was lost since: pulse is silent (runbooks/pulse-silent.md)'] : []),
        ...(notLookedFor.length === 0
          ? []
          : [`it could not look for all of these (runbooks/pulse-silent.md): ${notLookedFor.join(', ')}`]),
      ].join('\n'),
  };
}

/** Records a decision of each of the losses. */
async function decide(
  kind: Extract<DecisionType, { loss: string }>['kind'],
  { loss: losses, ...options }: DecideOptions & Partial<Pick<AcceptOptions, 'reason'>>,
  done: string,
  effect: string,
): Promise<Answer> {
  const { reason, reference, by, ...where } = options;
  const target = readTarget(where);
  const account = recordingAccount(target);
  const [{ Decision }, { recordDecision }, runtime] = await Promise.all([
    import('../../functions/contracts/decisions.ts'),
    import('./record-decision.ts'),
    openTarget(target),
  ]);
  const decisions = losses.map(name => {
    const said = { kind, loss: name, reference, by, ...(reason !== undefined && { reason }) };
    const parsed = Decision.safeParse(said);
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
            ? `${result.loss}: ${done}, entry ${result.sequence}; ${effect} from its next quarter of an hour on`
            : `${result.loss}: not ${done}${result.hasEnded ? '' : ' yet'}: ${printable(result.error)}`,
        )
        .join('\n'),
  };
}
