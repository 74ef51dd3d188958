import { InstantText, instantOfId } from '../contracts/identifiers.ts';
import {
  type KeepCounts,
  type KeptPoint,
  type KeptTest,
  type LegalHold,
  type OpenIncident,
  PERIODS,
  type Period,
  type RetentionRules,
  type RunningWork,
} from '../contracts/retention.ts';
import { addMs, type Instant, parseInstant } from '../platform/clock.ts';
import { CLOCK_SKEW_MS, CLOSED_FOR_GOOD_MS } from '../platform/scheduled-instant.ts';
import { addDays, dayOf, periodOf } from './calendar.ts';

/** Everything that decides which recovery points stay. */
export interface RetentionFacts {
  readonly points: readonly KeptPoint[];
  readonly tests: readonly KeptTest[];
  readonly holds: readonly LegalHold[];
  readonly running: readonly RunningWork[];
  readonly incidents: readonly OpenIncident[];
}

/** The rules of recovery points. */
export interface PointRules {
  /** What is good goes at this age, whatever else is said. */
  readonly maximumDays: number;
  /** What is not, at this one. */
  readonly incompleteDays: number;
  /** Of the good ones that are younger; null: all. */
  readonly keep: KeepCounts | null;
}

/** The rules of recovery points in a configuration; null where it has none. */
export function pointRulesOf(retention: {
  snapshotDays: number;
  policy?: { rules: Pick<RetentionRules, 'recoveryPoints' | 'incompleteRecoveryPoints'> } | undefined;
}): PointRules | null {
  const { snapshotDays, policy } = retention;
  if (policy === undefined) return null;
  const { recoveryPoints, incompleteRecoveryPoints } = policy.rules;
  return {
    maximumDays: snapshotDays,
    incompleteDays: incompleteRecoveryPoints.maximumDays,
    keep: recoveryPoints.keep ?? null,
  };
}

/** Why a recovery point stays. */
export type KeepReason =
  /** Nobody said how long anything is kept. */
  | { readonly kind: 'no-rules' }
  /** Its id is no instant, so that it has no age. */
  | { readonly kind: 'unreadable-date' }
  | { readonly kind: 'in-the-future' }
  /** A run may still complete it, or begins to. */
  | { readonly kind: 'may-still-close'; readonly until: Instant }
  | { readonly kind: 'within-age'; readonly days: number; readonly until: Instant }
  | { readonly kind: 'incomplete-within-age'; readonly days: number; readonly until: Instant }
  /** It takes no other one's place, and none takes its. */
  | { readonly kind: 'doubted-within-age'; readonly days: number; readonly until: Instant }
  | { readonly kind: 'within-days'; readonly days: number; readonly until: Instant }
  | { readonly kind: 'newest-of-period'; readonly period: Period; readonly name: string; readonly count: number }
  | { readonly kind: 'newest-proved'; readonly restoreTestId: string }
  | { readonly kind: 'newest-good' }
  /** Nothing newer is there; it is not good. */
  | { readonly kind: 'newest-of-all' }
  | { readonly kind: 'hold'; readonly holdId: string }
  | { readonly kind: 'incident'; readonly incidentId: string }
  | { readonly kind: 'running'; readonly work: Exclude<RunningWork['kind'], 'erasure'>; readonly id: string }
  | { readonly kind: 'erasure-proof'; readonly id: string };

/** What keeps a recovery point although the rules let it go. Nothing else does; a new kind does not compile without. */
export const OUTLASTS_RULES: Readonly<Record<KeepReason['kind'], boolean>> = {
  'no-rules': false,
  'unreadable-date': false,
  'in-the-future': false,
  'may-still-close': false,
  'within-age': false,
  'incomplete-within-age': false,
  'doubted-within-age': false,
  'within-days': false,
  'newest-of-period': false,
  'newest-proved': true,
  'newest-good': true,
  'newest-of-all': true,
  hold: true,
  incident: true,
  running: true,
  'erasure-proof': true,
};

/** Why the rules let a recovery point go. `since` is when each of them did. */
export type DeleteReason =
  | { readonly kind: 'past-age'; readonly days: number; readonly since: Instant }
  | { readonly kind: 'incomplete-past-age'; readonly days: number; readonly since: Instant }
  | { readonly kind: 'past-days'; readonly days: number; readonly since: Instant }
  | {
      readonly kind: 'not-newest-of-period';
      readonly period: Period;
      readonly name: string;
      /** The recovery point that is. */
      readonly newestId: string;
      readonly since: Instant;
    }
  | {
      readonly kind: 'beyond-count';
      readonly period: Period;
      readonly name: string;
      readonly count: number;
      readonly since: Instant;
    };

/** A recovery point that stays. */
export interface Kept {
  readonly recoveryPointId: string;
  readonly reasons: readonly KeepReason[];
  /** The rules let it go then, at the latest; null where none says when. */
  readonly endsAt: Instant | null;
  /** Since when no rule keeps it, and why; null while one does. It stays for what outlasts the rules alone. */
  readonly pastDate: { readonly since: Instant; readonly reasons: readonly DeleteReason[] } | null;
}

/** A recovery point that goes: no rule keeps it, and nothing that outlasts the rules does. */
export interface Expired {
  readonly recoveryPointId: string;
  readonly reasons: readonly DeleteReason[];
  /** Since when no rule keeps it. */
  readonly since: Instant;
}

/** Both in the order of the ids, which is that of time. */
export interface RetentionPlan {
  readonly keep: readonly Kept[];
  readonly delete: readonly Expired[];
}

/**
 * Decides which recovery points stay and which go, each with all its reasons. It reads no clock and does nothing.
 *
 * **Time.** A recovery point is of the instant that it was scheduled for, which its id says, however late it ran. Days, weeks
 * and ages are those of the calendar in Europe/London (`calendar.ts`): what is kept for 35 days goes at the same time of day
 * 35 days later, also where the clocks changed in between. What is of a later instant than `now` (a clock that was set
 * back, or one that was ahead) stays, and stands in nobody's place. So a clock that goes back deletes nothing that it would
 * not have deleted before.
 *
 * **Age.** A good one goes at `maximumDays`, an incomplete one at `incompleteDays`. A snapshot mixes all schools, so no count
 * outlives the age. For three days after its instant a run may still close or complete a recovery point: until then it stays.
 *
 * **Counts** (`keep`). Of the good ones within the age, what any of these keeps stays: all of the last `withinDays`; the
 * newest one of each of the newest so many days, weeks, months and years that have one. Where there are fewer, all stay. Those
 * that are incomplete, doubted or of the future have no place in them, so they push none out; neither does a flood of
 * new ones, for it is one day's.
 *
 * **Doubt.** Where a restore test failed and none passed since, or the record is not what it was, a good one is no
 * substitute for another: it keeps to its age, and has no place in the counts.
 *
 * **What outlasts the rules** (`OUTLASTS_RULES`): the newest one that a restore test proved, the newest good one, and, where
 * the newest of all is not good, that one too, for it may hold what no older one does; what a legal hold, an open incident
 * (all up to its detection), a run under way, or an erasure's proof needs. Each keeps what it names, and no other.
 *
 * **Without rules** nothing goes.
 *
 * It sorts once and passes once over the points for each rule, so its time grows as they do: ten years of daily points take a
 * tenth of a second, a hundred years one or two.
 * @param rules null where there are none.
 */
export function planRetention(facts: RetentionFacts, rules: PointRules | null, now: Date): RetentionPlan {
  const points = datePoints(facts, rules, now);
  const exceptions = findExceptions(facts, points);
  const places = rules?.keep ? placesOf(points.filter(isGood), rules.keep) : null;
  const plan = { keep: [] as Kept[], delete: [] as Expired[] };
  for (const point of points) {
    const { recoveryPointId } = point;
    const { keeping, letting } = applyRules(point, places?.get(point), rules, now);
    const outlasting = exceptions.get(point) ?? [];
    const since = letting.map(reason => reason.since).reduce(later, point.closedAt);
    if (keeping.length > 0 || outlasting.length > 0) {
      plan.keep.push({
        recoveryPointId,
        reasons: [...keeping, ...outlasting],
        endsAt: point.endsAt?.toISOString() ?? null,
        pastDate: keeping.length > 0 ? null : { since, reasons: letting },
      });
    } else plan.delete.push({ recoveryPointId, reasons: letting, since });
  }
  return plan;
}

interface DatedPoint extends KeptPoint {
  /** Undefined where its id is no instant. */
  readonly scheduledAt: Date | undefined;
  readonly isFuture: boolean;
  /** The restore test that proved it last, with none that failed since. */
  readonly provedBy: string | undefined;
  readonly isSound: boolean;
  readonly endsAt: Date | undefined;
  readonly isPast: boolean;
  /** When no run may close it any more; the empty text where its id is no instant. */
  readonly closedAt: Instant;
}

function datePoints({ points, tests }: RetentionFacts, rules: PointRules | null, now: Date): DatedPoint[] {
  const verdicts = lastVerdicts(tests);
  return points
    .map((point): DatedPoint => {
      const { recoveryPointId, status, isDoubted } = point;
      const instant = InstantText.safeParse(instantOfId(recoveryPointId));
      const scheduledAt = instant.success ? parseInstant(instant.data) : undefined;
      const verdict = verdicts.get(recoveryPointId);
      const days = rules && (status === 'good' ? rules.maximumDays : rules.incompleteDays);
      const endsAt = scheduledAt && days !== null ? addDays(scheduledAt, days) : undefined;
      return {
        ...point,
        scheduledAt,
        isFuture: scheduledAt !== undefined && scheduledAt > addMs(now, CLOCK_SKEW_MS),
        provedBy: verdict?.verdict === 'passed' && !isDoubted ? verdict.restoreTestId : undefined,
        isSound: !isDoubted && verdict?.verdict !== 'failed',
        endsAt,
        isPast: endsAt !== undefined && endsAt <= now,
        closedAt: scheduledAt ? addMs(scheduledAt, CLOSED_FOR_GOOD_MS).toISOString() : '',
      };
    })
    .sort((a, b) => compare(a.recoveryPointId, b.recoveryPointId));
}

/** Of each recovery point the last test that passed or failed; the other verdicts say nothing about it. */
function lastVerdicts(tests: readonly KeptTest[]): Map<string, KeptTest> {
  const last = new Map<string, KeptTest>();
  for (const test of tests) {
    const { recoveryPointId, verdict, restoreTestId } = test;
    if (recoveryPointId === null || (verdict !== 'passed' && verdict !== 'failed')) continue;
    const other = last.get(recoveryPointId);
    if (other === undefined || other.restoreTestId < restoreTestId) last.set(recoveryPointId, test);
  }
  return last;
}

/** Good without a doubt, and of a time that has come. */
function isGood({ status, isSound, isFuture, scheduledAt }: DatedPoint): boolean {
  return status === 'good' && isSound && !isFuture && scheduledAt !== undefined;
}

/** What of the rules keeps a recovery point, and, where nothing does, why not. */
function applyRules(
  point: DatedPoint,
  places: Places | undefined,
  rules: PointRules | null,
  now: Date,
): { keeping: KeepReason[]; letting: DeleteReason[] } {
  const { scheduledAt, endsAt, status } = point;
  const kept = (...keeping: KeepReason[]) => ({ keeping, letting: [] });
  if (rules === null) return kept({ kind: 'no-rules' });
  if (scheduledAt === undefined || endsAt === undefined) return kept({ kind: 'unreadable-date' });
  const opening: KeepReason[] =
    now < parseInstant(point.closedAt) ? [{ kind: 'may-still-close', until: point.closedAt }] : [];
  if (point.isFuture) return kept({ kind: 'in-the-future' });
  const isWhole = status === 'good';
  const days = isWhole ? rules.maximumDays : rules.incompleteDays;
  const until = endsAt.toISOString();
  if (point.isPast) {
    const reason: DeleteReason = { kind: isWhole ? 'past-age' : 'incomplete-past-age', days, since: until };
    return opening.length > 0 ? kept(...opening) : { keeping: [], letting: [reason] };
  }
  if (!isWhole) return kept(...opening, { kind: 'incomplete-within-age', days, until });
  if (rules.keep === null) return kept(...opening, { kind: 'within-age', days, until });
  if (places === undefined) return kept(...opening, { kind: 'doubted-within-age', days, until });
  const { withinDays } = rules.keep;
  const keeping = [...opening, ...places.held];
  const letting: DeleteReason[] = [...places.lost];
  if (withinDays !== undefined) {
    const end = addDays(scheduledAt, withinDays);
    if (now < end) keeping.push({ kind: 'within-days', days: withinDays, until: end.toISOString() });
    else letting.push({ kind: 'past-days', days: withinDays, since: end.toISOString() });
  }
  return keeping.length > 0 ? kept(...keeping) : { keeping, letting };
}

/** The places that a recovery point has in the counts, and why it has none in the others. */
interface Places {
  readonly held: KeepReason[];
  readonly lost: DeleteReason[];
}

/** @param candidates oldest first. Those past their age are the oldest, so they take no place from a younger one. */
function placesOf(candidates: readonly DatedPoint[], keep: KeepCounts): Map<DatedPoint, Places> {
  const places = new Map<DatedPoint, Places>(candidates.map(point => [point, { held: [], lost: [] }]));
  const days = new Map(candidates.map(point => [point, dayOf(point.scheduledAt ?? new Date(Number.NaN))]));
  for (const period of PERIODS) {
    const count = keep[period];
    if (count === undefined) continue;
    const members = new Map<string, DatedPoint[]>();
    for (const point of candidates) {
      const name = periodOf(period, days.get(point) ?? '');
      const others = members.get(name);
      if (others === undefined) members.set(name, [point]);
      else others.push(point);
    }
    const names = [...members.keys()];
    for (const [index, [name, points]] of [...members].entries()) {
      const newest = points.at(-1);
      // It has been beyond the count since the period began that is so many later.
      const [beyondSince] = members.get(names[index + count] ?? '') ?? [];
      for (const [position, point] of points.entries()) {
        const { held, lost } = places.get(point) ?? { held: [], lost: [] };
        const next = points[position + 1];
        if (next !== undefined && newest !== undefined) {
          const since = instantOf(next);
          lost.push({ kind: 'not-newest-of-period', period, name, newestId: newest.recoveryPointId, since });
        } else if (beyondSince !== undefined) {
          lost.push({ kind: 'beyond-count', period, name, count, since: instantOf(beyondSince) });
        } else held.push({ kind: 'newest-of-period', period, name, count });
      }
    }
  }
  return places;
}

/** What outlasts the rules, of each recovery point that there is such a thing of. */
function findExceptions(
  { holds, incidents, running }: RetentionFacts,
  points: readonly DatedPoint[],
): Map<DatedPoint, KeepReason[]> {
  const found = new Map<DatedPoint, KeepReason[]>();
  const add = (point: DatedPoint | undefined, reason: KeepReason) => {
    if (point !== undefined) found.set(point, [...(found.get(point) ?? []), reason]);
  };
  const come = points.filter(({ isFuture, scheduledAt }) => !isFuture && scheduledAt !== undefined);
  const isProved = ({ provedBy }: DatedPoint) => provedBy !== undefined;
  const proved = come.findLast(point => isProved(point) && isGood(point)) ?? come.findLast(isProved);
  const good = come.findLast(isGood);
  const newest = come.findLast(({ isDoubted }) => !isDoubted) ?? come.at(-1);
  add(proved, { kind: 'newest-proved', restoreTestId: proved?.provedBy ?? '' });
  add(good, { kind: 'newest-good' });
  if (newest !== good) add(newest, { kind: 'newest-of-all' });
  for (const point of points) {
    for (const { holdId, scope } of holds) if (isHeld(point, scope)) add(point, { kind: 'hold', holdId });
    for (const { incidentId, detectedAt } of incidents) {
      const isOlder = point.scheduledAt === undefined || point.scheduledAt <= parseInstant(detectedAt);
      if (isOlder) add(point, { kind: 'incident', incidentId });
    }
    for (const { kind, id, recoveryPointId } of running) {
      if (recoveryPointId !== point.recoveryPointId) continue;
      add(point, kind === 'erasure' ? { kind: 'erasure-proof', id } : { kind: 'running', work: kind, id });
    }
  }
  return found;
}

function isHeld({ recoveryPointId, tenants, scheduledAt }: DatedPoint, scope: LegalHold['scope']): boolean {
  switch (scope.kind) {
    case 'tenant':
      return !scope.isApart && (tenants === null || tenants.includes(scope.tenant));
    case 'recovery-point':
      return scope.recoveryPointId === recoveryPointId;
    case 'before':
      return scheduledAt === undefined || scheduledAt < parseInstant(scope.before);
  }
}

const instantOf = ({ scheduledAt }: DatedPoint): Instant => scheduledAt?.toISOString() ?? '';
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
const later = (a: Instant, b: Instant): Instant => (compare(a, b) < 0 ? b : a);
