import type { RetentionPolicy, RuleName } from '../../functions/contracts/retention.ts';
import type { DBInstance } from '../../functions/platform/rds.ts';
import { addDays, dayOf, daysBetween } from '../../functions/retention/calendar.ts';
import { describeDeleteReason, describeKeepReason, toMinute } from '../../functions/retention/describe-reason.ts';
import type { Expired, Kept, RetentionPlan } from '../../functions/retention/plan-retention.ts';
import {
  fileDays,
  type PromisedDays,
  type PromiseFigures,
  promisedDays,
} from '../../functions/retention/promised-days.ts';
import type { StoredPoint } from '../../functions/retention/read-kept-points.ts';
import { PRICES } from '../../infra/cost/prices.ts';

/** What every answer says as long as it is so. */
export const DELETES_NOTHING =
  'This release deletes no backup for its age: the sweep that carries the rules out is not built yet.';

/** What a rule is about, in words for schools. */
const SUBJECTS: Readonly<Record<RuleName, { what: string; where: string }>> = {
  recoveryPoints: {
    what: 'Backups of the databases and files of all schools',
    where: 'RDS snapshots and the locked vault',
  },
  incompleteRecoveryPoints: { what: 'Backups that lack something', where: 'RDS snapshots and the locked vault' },
  scratch: { what: 'What a test of the backups restored', where: 'temporary RDS instances, work bucket' },
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
export function pageOf(policy: RetentionPolicy, figures: PromiseFigures, now: Date): RetentionPage {
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
        howLong: howLong(rule, policy, figures),
        why: `${clause}; ${BASES[lawfulBasis]}`,
        owner,
        nextReview,
        isReviewOverdue: daysBetween(nextReview, day) > 0,
      };
    }),
    promise: { beyondUse: end('beyondUse'), gone: end('gone') },
  };
}

function howLong(rule: RuleName, { rules }: RetentionPolicy, figures: PromiseFigures): string {
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
      const { snapshotDays } = figures;
      const stay =
        keep === undefined ? `${snapshotDays} days` : `at most ${snapshotDays} days; of these ${counts(keep)}`;
      return `${stay}. Files that no later backup has: up to ${fileDays(figures)} days, while their lock runs out`;
    }
    case 'incompleteRecoveryPoints': {
      const { maximumDays } = rules[rule];
      const ofFiles = fileDays({ ...figures, snapshotDays: maximumDays });
      return `${maximumDays} days. Files that no later backup has: up to ${ofFiles} days, while their lock runs out`;
    }
    case 'exports': {
      const { maximumDays } = rules[rule];
      return `${maximumDays} days. Its files: up to ${fileDays({ ...figures, snapshotDays: maximumDays })} days, while their lock runs out`;
    }
    case 'archives':
      return `${counts(rules[rule].keep)}. Its files: up to ${fileDays({ ...figures, snapshotDays: 0 })} days more, while their lock runs out`;
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

/**
 * The protected instances whose automated backups stay longer than the promise counts with, one sentence each, and those that are
 * not there to ask.
 */
export function longerAutomatedBackups(
  { promise: { automatedBackupDays } }: Pick<RetentionPolicy, 'promise'>,
  databases: readonly { readonly instanceId: string }[],
  instances: readonly DBInstance[],
): string[] {
  const found = new Map(instances.map(instance => [instance.DBInstanceIdentifier, instance]));
  return [...new Set(databases.map(({ instanceId }) => instanceId))].flatMap(instanceId => {
    const instance = found.get(instanceId);
    if (instance === undefined)
      return [`RDS has no instance ${instanceId}: how long its automated backups stay is unknown`];
    const days = instance.BackupRetentionPeriod;
    if (days !== undefined && days <= automatedBackupDays) return [];
    return [
      `RDS keeps automated backups of ${instanceId} for ${days ?? 'unknown'} days, and the promise counts with ${automatedBackupDays} (retention.policy.promise.automatedBackupDays): say what is so, or shorten them`,
    ];
  });
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
    'All of it lies in AWS, in the Region of London (eu-west-2). A backup stays longer than its time where it is the newest that is proved or good, where it is the newest of all, where one of these is in doubt, or where a legal hold, an open incident, a run or the proof of a deletion needs it, and no longer. One whose date cannot be read stays until a person has looked into it.',
    'The record of what was done (the ledger, and what tests came to) is kept for the life of the service. It holds nothing personal.',
    '',
    heading('What happens at the end of a contract'),
    '',
    `- Beyond use: ${beyondUse.promisedDays} days after your instruction nobody uses or reads your data any more. Of an instruction of today (${page.day}) that is ${beyondUse.by}.`,
    `- Gone: ${gone.promisedDays} days after your instruction no copy is left, but for names, contacts and instructions in the register, and logs, which stay for their own time. Of an instruction of today that is ${gone.by}.`,
    '- Both dates hold once the sweep and the deletion of a school are built and run. What keeps a backup past its time, above, delays the second one by as long: a legal hold, an incident, or tests that fail so that no newer backup is proved.',
    `- As it is set up, it takes at most ${beyondUse.made.days} days (${parts(beyondUse.made)}), and ${gone.made.days} days (${parts(gone.made)}).`,
    '- Deleting a school is not built yet in this release.',
    ...(overdue.length === 0 ? [] : ['', heading('Overdue'), '', ...overdue.map(text => `- ${text}`)]),
  ].join('\n');
}

const BYTES_PER_GB = 1024 ** 3;

/** What snapshots of so many bytes cost a month at most, in USD: RDS bills what each adds to the one before. */
export const monthlyUsd = (bytes: number): number => (bytes / BYTES_PER_GB) * PRICES.snapshotStorage.usd;

/** The plan as a table, with all reasons, bytes and money, and what is found beside it. */
export function describePlan(
  plan: RetentionPlan,
  points: readonly StoredPoint[],
  look: string,
  findings: readonly string[],
): string {
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
  const sizes = plan.delete.map(one => byId.get(one.recoveryPointId)?.snapshotBytes ?? null);
  const goes = sizes.reduce<number>((sum, bytes) => sum + (bytes ?? 0), 0);
  const unknown = sizes.filter(bytes => bytes === null).length;
  const pastCount = plan.keep.filter(({ pastDate }) => pastDate !== null).length;
  return [
    DELETES_NOTHING,
    look,
    '',
    'recovery point    what    storage, USD a month  why',
    ...rows.map(([, text]) => text),
    '',
    `${plan.keep.length} would stay${pastCount === 0 ? '' : `, ${pastCount} of them (*) past their date`}, ${plan.delete.length} would go: ${(goes / BYTES_PER_GB).toFixed(1)} GB of allocated storage, ${monthlyUsd(goes).toFixed(2)} USD a month at most${unknown === 0 ? '' : `, without ${unknown} whose size is unknown`}.`,
    ...(plan.needsApproval.length === 0
      ? []
      : [
          `${plan.needsApproval.length} of those that would go need a person's approval first: by the rules that were approved they stay. No approval is recorded yet.`,
        ]),
    'RDS bills what a snapshot adds to the one before, so it is less. Files are shared between recovery points and not counted.',
    'Legal holds, incidents and running work are recorded nowhere yet, so none is looked at.',
    ...(findings.length === 0 ? [] : ['', 'Found:', ...findings.map(text => `- ${text}`)]),
  ].join('\n');
}

/** Why a recovery point is still here, when it goes, and what would change that. */
export function describeDecision(
  decision: Kept | Expired,
  needsApproval: boolean,
  look: string,
  findings: readonly string[],
): string {
  const found = findings.map(text => `Found: ${text}`);
  if (!('pastDate' in decision)) {
    return [
      `${decision.recoveryPointId} is past its date since ${toMinute(decision.since)}:`,
      ...decision.reasons.map(reason => `- ${describeDeleteReason(reason)}`),
      needsApproval
        ? "It would go with the sweep after a person's approval: by the rules that were approved it stays."
        : 'It would go with the next sweep.',
      ...found,
      DELETES_NOTHING,
      look,
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
            : `The rules let it go on ${toMinute(endsAt)} at the latest. Then only the newest proved and good ones and the newest of all stay, and what a hold, an incident, a run or a proof needs.`,
        ]
      : [
          `It is past its date since ${toMinute(pastDate.since)}:`,
          ...pastDate.reasons.map(reason => `- ${describeDeleteReason(reason)}`),
          'It goes with the sweep after none of the above holds any more.',
        ]),
    ...found,
    DELETES_NOTHING,
    look,
  ].join('\n');
}
