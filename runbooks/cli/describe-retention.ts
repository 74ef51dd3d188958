import type { RetentionPolicy, RuleName } from '../../functions/contracts/retention.ts';
import { addDays, dayOf, daysBetween } from '../../functions/retention/calendar.ts';
import { describeDeleteReason, describeKeepReason, toMinute } from '../../functions/retention/describe-reason.ts';
import type { Expired, Kept, RetentionPlan } from '../../functions/retention/plan-retention.ts';
import { type PromisedDays, promisedDays } from '../../functions/retention/promised-days.ts';
import { PRICES } from '../../infra/cost/prices.ts';
import type { StoredPoint } from './read-kept-points.ts';

/** What every answer says as long as it is so. */
export const DELETES_NOTHING =
  'This release deletes nothing for its age: the sweep that carries the rules out is not built yet.';
/** What is said of a configuration without a policy. */
export const NO_POLICY =
  'There are no retention rules (retention.policy): nothing will ever be deleted for its age, and what is stored only grows.';

/** What a rule is about, in words for schools. */
const SUBJECTS: Readonly<Record<RuleName, { what: string; where: string }>> = {
  recoveryPoints: {
    what: 'Backups of the databases and files of all schools',
    where: 'RDS snapshots and the locked vault',
  },
  incompleteRecoveryPoints: { what: 'Backups that lack something', where: 'RDS snapshots and the locked vault' },
  scratch: { what: 'What a test of the backups restored', where: 'work bucket' },
  workFiles: { what: 'Files that a backup or test needs while it runs', where: 'work bucket' },
  logs: { what: 'Logs of what ran, and of changes of the account', where: 'CloudWatch Logs, trail bucket' },
  exports: { what: "A school's own data, made ready to hand over", where: "the vault, under the school's key" },
  archives: { what: "A school's data of an earlier time", where: "the vault, under the school's key" },
  register: { what: 'Names and contacts of the school, and its instructions', where: 'register' },
};
/** What has a rule now, and cannot be made yet. */
const TO_COME: readonly RuleName[] = ['exports', 'archives', 'register'];
const BASES = {
  consent: 'consent',
  contract: 'contract',
  'legal-obligation': 'legal obligation',
  'vital-interests': 'vital interests',
  'public-task': 'public task',
  'legitimate-interests': 'legitimate interests',
} as const;

/** One line of the page for schools. */
export interface RulePage {
  readonly rule: RuleName;
  readonly what: string;
  readonly where: string;
  readonly howLong: string;
  readonly why: string;
  readonly owner: string;
  readonly nextReview: string;
  readonly isReviewOverdue: boolean;
}

/** The page for schools, as data. The dates are of an instruction of today. */
export interface RetentionPage {
  readonly day: string;
  readonly rules: readonly RulePage[];
  readonly promise: {
    readonly beyondUse: { readonly promisedDays: number; readonly by: string; readonly made: PromisedDays };
    readonly gone: { readonly promisedDays: number; readonly by: string; readonly made: PromisedDays };
  };
}

/** Puts a policy into the words of the page. */
export function pageOf(
  policy: RetentionPolicy,
  figures: { snapshotDays: number; eventHoldDays: number },
  now: Date,
): RetentionPage {
  const day = dayOf(now);
  const { rules, promise } = policy;
  const made = promisedDays(policy, figures);
  const end = (name: 'beyondUse' | 'gone') => {
    const days = promise[`${name}Days`];
    return { promisedDays: days, by: dayOf(addDays(now, days)), made: made[name] };
  };
  return {
    day,
    rules: (Object.keys(SUBJECTS) as RuleName[]).map(rule => {
      const { owner, clause, lawfulBasis, nextReview } = rules[rule];
      const toCome = TO_COME.includes(rule) ? ' (not made yet)' : '';
      return {
        rule,
        what: `${SUBJECTS[rule].what}${toCome}`,
        where: SUBJECTS[rule].where,
        howLong: howLong(rule, policy, figures.snapshotDays),
        why: `${clause}; ${BASES[lawfulBasis]}`,
        owner,
        nextReview,
        isReviewOverdue: daysBetween(nextReview, day) > 0,
      };
    }),
    promise: { beyondUse: end('beyondUse'), gone: end('gone') },
  };
}

function howLong(rule: RuleName, { rules }: RetentionPolicy, snapshotDays: number): string {
  const counts = (keep: Readonly<Record<string, number | undefined>>) =>
    Object.entries(keep)
      .flatMap(([name, count]) => {
        if (count === undefined) return [];
        return [name === 'withinDays' ? `all of ${count} days` : `${count} ${name}`];
      })
      .join(', ');
  switch (rule) {
    case 'recoveryPoints': {
      const { keep } = rules[rule];
      return keep === undefined ? `${snapshotDays} days` : `at most ${snapshotDays} days; of these ${counts(keep)}`;
    }
    case 'archives':
      return counts(rules[rule].keep);
    case 'register':
      return `${rules[rule].yearsAfterContract} years after the contract's end`;
    default:
      return `${rules[rule].maximumDays} days`;
  }
}

/** The reviews that are overdue, one sentence each. */
export function overdueReviews({ rules }: RetentionPage): string[] {
  return rules.flatMap(({ rule, isReviewOverdue, nextReview, owner }) =>
    isReviewOverdue ? [`the review of the rule ${rule} was due on ${nextReview}: ${owner} answers for it`] : [],
  );
}

/** The page as Markdown, or in plain lines. */
export function describePage(page: RetentionPage, form: 'markdown' | 'text'): string {
  const heading = (text: string) => (form === 'markdown' ? `## ${text}` : text.toUpperCase());
  const { beyondUse, gone } = page.promise;
  const cells = page.rules.map(({ what, where, howLong, why, owner, nextReview }) => [
    what,
    where,
    howLong,
    why,
    owner,
    nextReview,
  ]);
  const columns = ['What', 'Where', 'How long', 'Why', 'Who answers for it', 'Next review'];
  const escaped = (cell: string) => cell.replaceAll('|', '\\|');
  const rules =
    form === 'markdown'
      ? [columns, columns.map(() => '---'), ...cells].map(row => `| ${row.map(escaped).join(' | ')} |`)
      : cells.flatMap(([what = '', ...rest]) => [
          what,
          ...rest.map((cell, index) => `  ${(columns[index + 1] ?? '').padEnd(18)}  ${cell}`),
        ]);
  const parts = ({ parts: all }: PromisedDays) => all.map(({ what, days }) => `${what} ${days}`).join(', ');
  const overdue = overdueReviews(page);
  return [
    ...(form === 'markdown' ? ['# What is kept, and for how long', ''] : []),
    DELETES_NOTHING,
    '',
    heading('What is kept'),
    '',
    ...rules,
    '',
    'All of it lies in AWS, in the Region of London (eu-west-2). A backup stays longer than its time where it is the newest that is proved or good, or where a legal hold, an open incident, a run or the proof of a deletion needs it, and no longer.',
    'The record of what was done (the ledger, and what tests came to) is kept for the life of the service. It holds nothing personal.',
    '',
    heading('What happens at the end of a contract'),
    '',
    `- Beyond use: ${beyondUse.promisedDays} days after your instruction nobody uses or reads your data any more. Of an instruction of today (${page.day}) that is ${beyondUse.by}.`,
    `- Gone: ${gone.promisedDays} days after your instruction no copy is left. Of an instruction of today that is ${gone.by}.`,
    `- As it is set up, it takes at most ${beyondUse.made.days} days (${parts(beyondUse.made)}), and ${gone.made.days} days (${parts(gone.made)}).`,
    '- Deleting a school is not built yet in this release.',
    ...(overdue.length === 0 ? [] : ['', heading('Overdue'), '', ...overdue.map(text => `- ${text}`)]),
  ].join('\n');
}

const BYTES_PER_GB = 1024 ** 3;

/** What snapshots of so many bytes cost a month at most, in USD: RDS bills what each adds to the one before. */
export const monthlyUsd = (bytes: number): number => (bytes / BYTES_PER_GB) * PRICES.snapshotStorage.usd;

/** The plan as a table, with all reasons, bytes and money, and what is found beside it. */
export function describePlan(plan: RetentionPlan, points: readonly StoredPoint[], findings: readonly string[]): string {
  const byId = new Map(points.map(point => [point.recoveryPointId, point]));
  const row = (id: string, decision: string, why: string): [string, string] => {
    const bytes = byId.get(id)?.snapshotBytes ?? null;
    const size =
      bytes === null ? 'unknown' : `${(bytes / BYTES_PER_GB).toFixed(1)} GB  ${monthlyUsd(bytes).toFixed(2)}`;
    return [id, `${id}  ${decision}  ${size.padStart(16)}  ${why}`];
  };
  const rows = [
    ...plan.keep.map(({ recoveryPointId, reasons, pastDate }) =>
      row(
        recoveryPointId,
        pastDate === null ? 'keep  ' : 'keep *',
        reasons.map(reason => describeKeepReason(reason).why).join('; '),
      ),
    ),
    ...plan.delete.map(({ recoveryPointId, reasons }) =>
      row(recoveryPointId, 'delete', reasons.map(describeDeleteReason).join('; ')),
    ),
  ].sort(([a], [b]) => (a < b ? -1 : 1));
  const goes = plan.delete.reduce((sum, one) => sum + (byId.get(one.recoveryPointId)?.snapshotBytes ?? 0), 0);
  const pastCount = plan.keep.filter(({ pastDate }) => pastDate !== null).length;
  return [
    DELETES_NOTHING,
    '',
    'recovery point    what    storage, USD a month  why',
    ...rows.map(([, text]) => text),
    '',
    `${plan.keep.length} would stay${pastCount === 0 ? '' : `, ${pastCount} of them (*) past their date`}, ${plan.delete.length} would go: ${(goes / BYTES_PER_GB).toFixed(1)} GB of allocated storage, ${monthlyUsd(goes).toFixed(2)} USD a month at most.`,
    'RDS bills what a snapshot adds to the one before, so it is less. Files are shared between recovery points and not counted.',
    'Legal holds, incidents and running work are recorded nowhere yet, so none is looked at.',
    ...(findings.length === 0 ? [] : ['', 'Found:', ...findings.map(text => `- ${text}`)]),
  ].join('\n');
}

/** Why a recovery point is still here, when it goes, and what would change that. */
export function describeDecision(decision: Kept | Expired): string {
  if (!('pastDate' in decision)) {
    return [
      `${decision.recoveryPointId} is past its date since ${toMinute(decision.since)}:`,
      ...decision.reasons.map(reason => `- ${describeDeleteReason(reason)}`),
      `It would go with the next sweep. ${DELETES_NOTHING}`,
    ].join('\n');
  }
  const { recoveryPointId, reasons, endsAt, pastDate } = decision;
  return [
    `${recoveryPointId} is here because`,
    ...reasons.map(describeKeepReason).map(({ why, untilWhat }) => `- ${why}; until ${untilWhat}`),
    ...(pastDate === null
      ? [
          endsAt === null
            ? 'No rule says when it goes.'
            : `The rules let it go on ${toMinute(endsAt)} at the latest. Then only the newest proved and good ones stay, and what a hold, an incident, a run or a proof needs.`,
        ]
      : [
          `It is past its date since ${toMinute(pastDate.since)}:`,
          ...pastDate.reasons.map(reason => `- ${describeDeleteReason(reason)}`),
          'It goes with the sweep after none of the above holds any more.',
        ]),
    DELETES_NOTHING,
  ].join('\n');
}
