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

/** The rules that are to be carried out, and those that already are. */
export interface RulesInForce {
  /** Of the configuration; null where it has none. */
  readonly configured: PointRules | null;
  /** Under which the last sweep ran, or which a person approved since; null where there are none. */
  readonly approved: PointRules | null;
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
  /** By the ledger's word it is the newest that was proved, is good, or is there; it is in doubt, so an older one stays as well. */
  | { readonly kind: 'doubted-newest'; readonly of: 'proved' | 'good' | 'all' }
  /** It is past the age that it has since it was closed; its id says that it is of the future, or nothing. */
  | { readonly kind: 'misdated'; readonly completedAt: Instant }
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
  'doubted-newest': true,
  misdated: true,
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

/** What a person has to look into: nothing of it is mended by waiting. */
export type PlanFinding =
  | { readonly kind: 'no-rules' }
  /** Its id names no instant, or one that has not come: no rule lets it go until then. */
  | { readonly kind: 'misdated'; readonly recoveryPointId: string; readonly how: 'in-the-future' | 'unreadable-date' }
  /** The hold is of a recovery point that is not there. */
  | { readonly kind: 'hold-of-nothing'; readonly holdId: string; readonly recoveryPointId: string };

/** All in the order of the ids, which is that of time. */
export interface RetentionPlan {
  readonly keep: readonly Kept[];
  readonly delete: readonly Expired[];
  /**
   * Of those in `delete`, the ids of those that the approved rules keep: a change of the rules lets them go earlier, which needs a
   * person, once. A sweep deletes none of them before.
   */
  readonly needsApproval: readonly string[];
  readonly findings: readonly PlanFinding[];
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
 * substitute for another: it keeps to its age, and has no place in the counts. But doubt lets nothing go: what is the newest
 * by the ledger's word stays beside the newest that is not doubted (`doubted-newest`), until a newer one has its place. So no
 * doubt, and no test that failed, lets anything go that would have stayed without it.
 *
 * **Tests.** Of several of one recovery point the last that the ledger recorded counts, of those that passed or failed. One that
 * passed and whose record is not there any more proves nothing; one that failed has failed.
 *
 * **What outlasts the rules** (`OUTLASTS_RULES`): the newest one that a restore test proved, the newest good one, and, where
 * the newest of all is not good, that one too, for it may hold what no older one does; what a legal hold, an open incident
 * (all up to its detection), a run under way, or an erasure's proof needs; and what has no age by its id, though by its root
 * manifest it is past it. Each keeps what it names, and no other.
 *
 * **A change of the rules** by which anything goes earlier is named (`needsApproval`), the first rules too.
 *
 * **Without rules** nothing goes. Counts that count nothing are none.
 *
 * It sorts once and passes once over the points for each rule, so its time grows as they do: ten years of daily points take a
 * tenth of a second, a hundred years one or two; a thousand holds add as much again.
 */
export function planRetention(facts: RetentionFacts, rules: RulesInForce, now: Date): RetentionPlan {
  const plan = decide(facts, rules.configured, now);
  return {
    ...plan,
    needsApproval: goesEarlier(plan.delete, facts, rules, now),
    findings: findOddities(facts, rules.configured, now),
  };
}

/** Which of these the approved rules keep: all, where there are none. */
function goesEarlier(
  expired: readonly Expired[],
  facts: RetentionFacts,
  { configured, approved }: RulesInForce,
  now: Date,
): string[] {
  if (approved === configured || expired.length === 0) return [];
  const ids = expired.map(({ recoveryPointId }) => recoveryPointId);
  if (approved === null) return ids;
  const going = new Set(decide(facts, approved, now).delete.map(({ recoveryPointId }) => recoveryPointId));
  return ids.filter(id => !going.has(id));
}

function decide(facts: RetentionFacts, rules: PointRules | null, now: Date): { keep: Kept[]; delete: Expired[] } {
  const points = datePoints(facts, rules, now);
  const exceptions = findExceptions(facts, points);
  const places = rules?.keep ? placesOf(points.filter(isGood), rules.keep) : null;
  const plan = { keep: [] as Kept[], delete: [] as Expired[] };
  for (const point of points) {
    const { recoveryPointId, endsAt } = point;
    const { keeping, letting } = applyRules(point, places?.get(point), rules, now);
    const outlasting = exceptions.get(point) ?? [];
    const reasons = keeping.concat(outlasting);
    const from = hasAge(point) ? point.closedAt : '';
    const since = letting.map(reason => reason.since).reduce(later, from);
    if (reasons.length > 0) {
      plan.keep.push({
        recoveryPointId,
        reasons,
        endsAt: endsAt?.toISOString() ?? null,
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
  /** The restore test that proved it last, with none that failed since; undefined where it is doubted. */
  readonly provedBy: string | undefined;
  /** Of its last restore test by the ledger, whether or not that one's record is there; undefined where it had none. */
  readonly recordedVerdict: 'passed' | 'failed' | undefined;
  /** Whether the ledger says of any restore test that it proved it, whatever came since. */
  readonly wasProved: boolean;
  readonly isSound: boolean;
  /** By its id, or, where that gives it no age, by when it was closed. Undefined where nothing says when. */
  readonly endsAt: Date | undefined;
  readonly isPast: boolean;
  /** When no run may close it any more; the empty text where its id is no instant. */
  readonly closedAt: Instant;
}

/** Whether its id says of what age it is. */
const hasAge = ({ scheduledAt, isFuture }: DatedPoint): boolean => scheduledAt !== undefined && !isFuture;

function scheduledInstant(recoveryPointId: string): Date | undefined {
  const instant = InstantText.safeParse(instantOfId(recoveryPointId));
  return instant.success ? parseInstant(instant.data) : undefined;
}

const isToCome = (instant: Date, now: Date): boolean => instant > addMs(now, CLOCK_SKEW_MS);

function datePoints({ points, tests }: RetentionFacts, rules: PointRules | null, now: Date): DatedPoint[] {
  const believed = lastVerdicts(tests.filter(({ verdict, isDoubted }) => verdict === 'failed' || !isDoubted));
  const recorded = lastVerdicts(tests);
  const everProved = lastVerdicts(tests.filter(({ verdict }) => verdict === 'passed'));
  return points
    .map((point): DatedPoint => {
      const { recoveryPointId, status, isDoubted, completedAt } = point;
      const scheduledAt = scheduledInstant(recoveryPointId);
      const isFuture = scheduledAt !== undefined && isToCome(scheduledAt, now);
      const verdict = believed.get(recoveryPointId);
      const days = rules && (status === 'good' ? rules.maximumDays : rules.incompleteDays);
      const closed = completedAt === null ? undefined : parseInstant(completedAt);
      const from = scheduledAt === undefined || isFuture ? (closed ?? scheduledAt) : scheduledAt;
      const endsAt = from && days !== null ? addDays(from, days) : undefined;
      return {
        ...point,
        scheduledAt,
        isFuture,
        provedBy: verdict?.verdict === 'passed' && !isDoubted ? verdict.restoreTestId : undefined,
        recordedVerdict: recorded.get(recoveryPointId)?.verdict,
        wasProved: everProved.has(recoveryPointId),
        isSound: !isDoubted && verdict?.verdict !== 'failed',
        endsAt,
        isPast: endsAt !== undefined && endsAt <= now,
        closedAt: scheduledAt ? addMs(scheduledAt, CLOSED_FOR_GOOD_MS).toISOString() : '',
      };
    })
    .sort((a, b) => compare(a.recoveryPointId, b.recoveryPointId));
}

interface Verdict {
  readonly restoreTestId: string;
  readonly sequence: number;
  readonly verdict: 'passed' | 'failed';
}

/** Of each recovery point the last test that passed or failed; the other verdicts say nothing about it. */
function lastVerdicts(tests: readonly KeptTest[]): Map<string, Verdict> {
  const last = new Map<string, Verdict>();
  for (const { recoveryPointId, restoreTestId, verdict, sequence } of tests) {
    if (recoveryPointId === null || (verdict !== 'passed' && verdict !== 'failed')) continue;
    const other = last.get(recoveryPointId);
    if (other === undefined || other.sequence < sequence)
      last.set(recoveryPointId, { restoreTestId, sequence, verdict });
  }
  return last;
}

/** Good without a doubt, and of a time that has come. */
function isGood(point: DatedPoint): boolean {
  return point.status === 'good' && point.isSound && hasAge(point);
}

function findOddities({ points, holds }: RetentionFacts, rules: PointRules | null, now: Date): PlanFinding[] {
  const ids = points.map(({ recoveryPointId }) => recoveryPointId).sort(compare);
  const known = new Set(ids);
  return [
    ...(rules === null ? [{ kind: 'no-rules' as const }] : []),
    ...ids.flatMap((recoveryPointId): PlanFinding[] => {
      const scheduledAt = scheduledInstant(recoveryPointId);
      if (scheduledAt === undefined) return [{ kind: 'misdated', recoveryPointId, how: 'unreadable-date' }];
      return isToCome(scheduledAt, now) ? [{ kind: 'misdated', recoveryPointId, how: 'in-the-future' }] : [];
    }),
    ...holds.flatMap(({ holdId, scope }): PlanFinding[] =>
      scope.kind === 'recovery-point' && !known.has(scope.recoveryPointId)
        ? [{ kind: 'hold-of-nothing', holdId, recoveryPointId: scope.recoveryPointId }]
        : [],
    ),
  ];
}

/** What of the rules keeps a recovery point, and, where nothing does, why not. */
function applyRules(
  point: DatedPoint,
  places: Places | undefined,
  rules: PointRules | null,
  now: Date,
): { keeping: KeepReason[]; letting: DeleteReason[] } {
  const { scheduledAt, endsAt, status, isSound } = point;
  const kept = (...keeping: KeepReason[]) => ({ keeping, letting: [] });
  if (rules === null) return kept({ kind: 'no-rules' });
  const isWhole = status === 'good';
  const days = isWhole ? rules.maximumDays : rules.incompleteDays;
  const past: DeleteReason[] =
    endsAt !== undefined && point.isPast
      ? [{ kind: isWhole ? 'past-age' : 'incomplete-past-age', days, since: endsAt.toISOString() }]
      : [];
  if (scheduledAt === undefined || point.isFuture) {
    const kind = point.isFuture ? 'in-the-future' : 'unreadable-date';
    return past.length > 0 ? { keeping: [], letting: past } : kept({ kind });
  }
  const opening: KeepReason[] =
    now < parseInstant(point.closedAt) ? [{ kind: 'may-still-close', until: point.closedAt }] : [];
  if (past.length > 0) return opening.length > 0 ? kept(...opening) : { keeping: [], letting: past };
  const until = endsAt?.toISOString() ?? '';
  if (!isWhole) return kept(...opening, { kind: 'incomplete-within-age', days, until });
  if (!isSound) return kept(...opening, { kind: 'doubted-within-age', days, until });
  if (rules.keep === null || places === undefined) return kept(...opening, { kind: 'within-age', days, until });
  const { withinDays } = rules.keep;
  const keeping = [...opening, ...places.held];
  const letting: DeleteReason[] = [...places.lost];
  if (withinDays !== undefined) {
    const end = addDays(scheduledAt, withinDays);
    if (now < end) keeping.push({ kind: 'within-days', days: withinDays, until: end.toISOString() });
    else letting.push({ kind: 'past-days', days: withinDays, since: end.toISOString() });
  }
  // Counts that count nothing let nothing go.
  if (keeping.length === 0 && letting.length === 0) return kept({ kind: 'within-age', days, until });
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
      push(members, name, point);
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

/**
 * What outlasts the rules, of each recovery point that there is such a thing of. Each reason is one object, whatever number of
 * recovery points it keeps.
 */
function findExceptions(
  { holds, incidents, running }: RetentionFacts,
  points: readonly DatedPoint[],
): Map<DatedPoint, KeepReason[]> {
  const found = new Map<DatedPoint, KeepReason[]>();
  findNewest(points.filter(hasAge), (point, reason) => {
    if (point !== undefined) push(found, point, reason);
  });
  const held = groupHolds(holds);
  const open = new LatestFirst(
    incidents.map(({ incidentId, detectedAt }) => [parseInstant(detectedAt), { kind: 'incident', incidentId }]),
  );
  const needed = new Map<string, KeepReason[]>();
  for (const { recoveryPointId, kind, id } of running) {
    const reason: KeepReason = kind === 'erasure' ? { kind: 'erasure-proof', id } : { kind: 'running', work: kind, id };
    push(needed, recoveryPointId, reason);
  }
  for (const point of points) {
    const { recoveryPointId, tenants, scheduledAt, completedAt, isPast } = point;
    const reasons = (found.get(point) ?? []).concat(
      !hasAge(point) && isPast && completedAt !== null ? [{ kind: 'misdated', completedAt }] : [],
      tenants === null ? held.ofAnyTenant : [...new Set(tenants)].flatMap(tenant => held.ofTenant.get(tenant) ?? []),
      held.ofPoint.get(recoveryPointId) ?? [],
      held.ofBefore.after(scheduledAt),
      open.from(scheduledAt),
      needed.get(recoveryPointId) ?? [],
    );
    if (reasons.length > 0) found.set(point, reasons);
  }
  return found;
}

/** What a word about a recovery point may rest on: the more of it is believed, the fewer are good and proved. */
interface Trust {
  readonly isGood: (point: DatedPoint) => boolean;
  readonly isProved: (point: DatedPoint) => boolean;
}
const WITHOUT_DOUBT: Trust = { isGood, isProved: ({ provedBy }) => provedBy !== undefined };
/** What the ledger says is believed, whatever became of the records; then its words for a recovery point, and not those against. */
const BY_THE_LEDGER: readonly Trust[] = [
  {
    isGood: ({ status, recordedVerdict }) => status === 'good' && recordedVerdict !== 'failed',
    isProved: ({ recordedVerdict }) => recordedVerdict === 'passed',
  },
  { isGood: ({ status }) => status === 'good', isProved: ({ wasProved }) => wasProved },
];

/** The newest of each kind: of those without a doubt, and, where it is another one, by the ledger's word. */
function findNewest(
  points: readonly DatedPoint[],
  add: (point: DatedPoint | undefined, reason: KeepReason) => void,
): void {
  const lastGood = ({ isGood }: Trust) => points.findLast(isGood);
  const lastProved = ({ isGood, isProved }: Trust) =>
    points.findLast(point => isProved(point) && isGood(point)) ?? points.findLast(isProved);
  const proved = lastProved(WITHOUT_DOUBT);
  const good = lastGood(WITHOUT_DOUBT);
  const newest = points.findLast(({ isDoubted }) => !isDoubted);
  const others = (places: readonly (DatedPoint | undefined)[], first: DatedPoint | undefined) =>
    [...new Set(places)].filter(point => point !== first);
  const calledProved = others(BY_THE_LEDGER.map(lastProved), proved);
  const calledGood = others(BY_THE_LEDGER.map(lastGood), good);
  add(proved, { kind: 'newest-proved', restoreTestId: proved?.provedBy ?? '' });
  for (const point of calledProved) add(point, { kind: 'doubted-newest', of: 'proved' });
  add(good, { kind: 'newest-good' });
  for (const point of calledGood) add(point, { kind: 'doubted-newest', of: 'good' });
  const isNamed = (point: DatedPoint | undefined) => point === good || calledGood.includes(point);
  if (!isNamed(newest)) add(newest, { kind: 'newest-of-all' });
  const [lastOfAll] = points.slice(-1);
  if (lastOfAll !== newest && !isNamed(lastOfAll)) add(lastOfAll, { kind: 'doubted-newest', of: 'all' });
}

/** The reasons that holds are, by what they are of. */
function groupHolds(holds: readonly LegalHold[]) {
  const ofAnyTenant: KeepReason[] = [];
  const ofTenant = new Map<string, KeepReason[]>();
  const ofPoint = new Map<string, KeepReason[]>();
  const before: [Date, KeepReason][] = [];
  for (const { holdId, scope } of holds) {
    const reason: KeepReason = { kind: 'hold', holdId };
    if (scope.kind === 'before') before.push([parseInstant(scope.before), reason]);
    else if (scope.kind === 'recovery-point') push(ofPoint, scope.recoveryPointId, reason);
    else if (!scope.isApart) {
      ofAnyTenant.push(reason);
      push(ofTenant, scope.tenant, reason);
    }
  }
  return { ofAnyTenant, ofTenant, ofPoint, ofBefore: new LatestFirst(before) };
}

/** Reasons that reach back from an instant: those that reach a recovery point are the first of them. */
class LatestFirst {
  readonly #instants: readonly Date[];
  readonly #reasons: readonly KeepReason[];

  constructor(reasons: readonly (readonly [Date, KeepReason])[]) {
    const sorted = reasons.toSorted(([a], [b]) => b.getTime() - a.getTime());
    this.#instants = sorted.map(([instant]) => instant);
    this.#reasons = sorted.map(([, reason]) => reason);
  }

  /** Those whose instant is after `scheduledAt`; all where that is unknown. */
  after(scheduledAt: Date | undefined): readonly KeepReason[] {
    return this.#firstUntil(instant => scheduledAt !== undefined && instant <= scheduledAt);
  }

  /** And those whose instant it is. */
  from(scheduledAt: Date | undefined): readonly KeepReason[] {
    return this.#firstUntil(instant => scheduledAt !== undefined && instant < scheduledAt);
  }

  #firstUntil(isBeyond: (instant: Date) => boolean): readonly KeepReason[] {
    const end = this.#instants.findIndex(isBeyond);
    return end < 0 ? this.#reasons : this.#reasons.slice(0, end);
  }
}

const instantOf = ({ scheduledAt }: DatedPoint): Instant => scheduledAt?.toISOString() ?? '';
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
const later = (a: Instant, b: Instant): Instant => (compare(a, b) < 0 ? b : a);

function push<K, T>(lists: Map<K, T[]>, key: K, value: T): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}
