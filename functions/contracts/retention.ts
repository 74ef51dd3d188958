import { z } from 'zod';
import type { RecoveryPoint } from './recovery-point.ts';
import type { Verdict } from './restore-test-record.ts';

/** A hundred years: more is no rule. */
const days = z.int().min(1).max(36_525);
const count = z.int().min(1).max(1000);
const words = z.string().trim().min(1).max(200);

/** Why something may be kept, and who answers for it: every rule says it. */
export const RuleGrounds = z.strictObject({
  /** Who answers for the rule: a function in the company, as in `data protection officer`. */
  owner: words,
  /** Where the supplier's own policy says so. */
  clause: words,
  /** Of Article 6(1) of the UK GDPR. https://www.legislation.gov.uk/eur/2016/679/article/6 */
  lawfulBasis: z.enum([
    'consent',
    'contract',
    'legal-obligation',
    'vital-interests',
    'public-task',
    'legitimate-interests',
  ]),
  /** The day on which the owner looks at the rule again, e.g. `2027-11-01`. From the day after it is overdue. */
  nextReview: z.iso.date('must be a day that there is: 2027-11-01'),
});
export type RuleGrounds = z.infer<typeof RuleGrounds>;

/** So many of each period are kept. */
export const PERIODS = ['daily', 'weekly', 'monthly', 'yearly'] as const;
export type Period = (typeof PERIODS)[number];

/** Which of several copies are kept: those that any of these keeps. */
export const KeepCounts = z
  .strictObject({
    /** All of the last so many days. */
    withinDays: days.optional(),
    /** The newest of each of the newest so many days, weeks, months or years that have one. */
    daily: count.optional(),
    weekly: count.optional(),
    monthly: count.optional(),
    yearly: count.optional(),
  })
  .refine(
    counts => Object.values(counts).some(value => value !== undefined),
    'must say what is kept: withinDays, daily, weekly, monthly or yearly',
  );
export type KeepCounts = z.infer<typeof KeepCounts>;

const byAge = RuleGrounds.extend({ maximumDays: days });

/** How long each kind of thing is kept. A thing whose rule is not there is kept for ever, so all are there, or none is. */
export const RetentionRules = z.strictObject({
  /**
   * Good recovery points. Their snapshots mix all schools, so they go by their age (`snapshotDays`), whatever `keep` says:
   * it only thins out those that are younger. Without it all of them stay until then.
   */
  recoveryPoints: RuleGrounds.extend({ keep: KeepCounts.optional() }),
  /** Those that lack something. A run may still complete one in its first three days. */
  incompleteRecoveryPoints: RuleGrounds.extend({ maximumDays: days.min(3) }),
  /** Objects and databases that restore tests restored. */
  scratch: byAge,
  /** What the steps of a run hand on. */
  workFiles: byAge,
  /** Logs of functions, workflows and the trail. */
  logs: byAge,
  /** What was handed to a school as its own data. */
  exports: byAge,
  /** One school's data under its own key. */
  archives: RuleGrounds.extend({ keep: KeepCounts }),
  /** Names and contacts of controllers, and free text; counted from the end of the contract. */
  register: RuleGrounds.extend({ yearsAfterContract: z.int().min(1).max(100).default(6) }),
});
export type RetentionRules = z.infer<typeof RetentionRules>;
export type RuleName = keyof RetentionRules;

/** What a school is promised for the end of its contract, and the times that it depends on. All count in days. */
export const DeletionPromise = z.strictObject({
  /** From the instruction until nothing holds it back: time for the controller to think better of it. */
  coolingOffDays: z.int().min(0).max(365),
  /** From then until the live data is gone and the school's key is disabled. */
  erasureDays: z.int().min(1).max(365),
  /**
   * The longest `BackupRetentionPeriod` of the protected instances: RDS's own automated backups hold the school as well.
   * https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_WorkingWithAutomatedBackups.BackupRetention.html
   */
  automatedBackupDays: z.int().min(0).max(35),
  /** Promised: so long after its instruction nobody uses or reads the school's data any more. */
  beyondUseDays: days,
  /** Promised: so long after its instruction no copy of it is left. */
  goneDays: days,
});
export type DeletionPromise = z.infer<typeof DeletionPromise>;

/** The supplier's retention policy. While there is none nothing is ever deleted for its age. */
export const RetentionPolicy = z.strictObject({ promise: DeletionPromise, rules: RetentionRules });
export type RetentionPolicy = z.infer<typeof RetentionPolicy>;

/** What AWS deletes by itself, after so many days: the stacks set it, and no rule may promise less. */
export const DELETED_BY_AWS_DAYS = { scratch: 2, workFiles: 14, logs: 400 } as const satisfies Partial<
  Record<RuleName, number>
>;

/**
 * From when an instance of a restore test is abandoned until it is gone: the janitor comes every hour, and an alarm sounds where
 * it did not manage in two.
 */
export const JANITOR_MS = 2 * 60 * 60 * 1000;

/** A recovery point, as far as its retention depends on it. Its id says for when it was scheduled. */
export interface KeptPoint {
  readonly recoveryPointId: string;
  /** By the ledger's word, whatever is doubted. */
  readonly status: RecoveryPoint['status'];
  /**
   * Whether it may not be what the ledger says: its root manifest is not what was recorded, or part of it is lost. It then stands
   * for no other, and keeps the place that the ledger's word gives it.
   */
  readonly isDoubted: boolean;
  /** When it was closed, as its root manifest says; null where that cannot be believed. */
  readonly completedAt: string | null;
  /** The schools in it; null where that is not known, so that it may be any. */
  readonly tenants: readonly string[] | null;
}

/** A restore test with a verdict, as the ledger recorded it. */
export interface KeptTest {
  readonly restoreTestId: string;
  readonly recoveryPointId: string | null;
  readonly verdict: Verdict;
  /** Of its entry in the ledger: of several tests of one recovery point the highest is the last. */
  readonly sequence: number;
  /** Whether its record is gone, or not what the ledger says. It then proves nothing; one that failed has failed all the same. */
  readonly isDoubted: boolean;
}

/** A legal hold that was not released. */
export interface LegalHold {
  readonly holdId: string;
  readonly scope:
    | {
        readonly kind: 'tenant';
        readonly tenant: string;
        /** Whether the school's data lies apart from the others', so that no mixed copy has to stay for it. */
        readonly isApart: boolean;
      }
    | { readonly kind: 'recovery-point'; readonly recoveryPointId: string }
    /** Everything that was scheduled before an instant. */
    | { readonly kind: 'before'; readonly before: string };
}

/** An incident that is not closed. What is older than its detection may be what recovery needs. */
export interface OpenIncident {
  readonly incidentId: string;
  readonly detectedAt: string;
}

/** Something that has begun, has not ended, and needs a recovery point. */
export interface RunningWork {
  /** `erasure`: its proof rests on this recovery point. */
  readonly kind: 'backup' | 'restore-test' | 'recovery' | 'erasure';
  readonly id: string;
  readonly recoveryPointId: string;
}
