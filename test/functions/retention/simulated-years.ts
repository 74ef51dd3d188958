import { expect } from 'vitest';
import { idOfInstant, instantOfId } from '../../../functions/contracts/identifiers.ts';
import {
  type KeptPoint,
  type KeptTest,
  type LegalHold,
  type OpenIncident,
  PERIODS,
  type Period,
  type RunningWork,
} from '../../../functions/contracts/retention.ts';
import {
  type DeleteReason,
  type KeepReason,
  OUTLASTS_RULES,
  type PointRules,
  planRetention,
  type RetentionFacts,
  type RetentionPlan,
  type RulesInForce,
} from '../../../functions/retention/plan-retention.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** Clocks may differ by so much: what took a place may be of a little later than now. */
const SKEW = 5 * MINUTE;
const TENANTS = ['oak', 'elm', 'ash'] as const;

/** The rules that a supplier goes through; a change is one of these for another. */
const RULES: readonly (PointRules | null)[] = [
  { maximumDays: 35, incompleteDays: 7, keep: null },
  { maximumDays: 35, incompleteDays: 7, keep: { withinDays: 14, weekly: 4 } },
  { maximumDays: 40, incompleteDays: 10, keep: { daily: 7, weekly: 5, monthly: 2, yearly: 1 } },
  // Too many snapshots for the quota: everything goes earlier.
  { maximumDays: 10, incompleteDays: 3, keep: null },
  { maximumDays: 800, incompleteDays: 30, keep: { daily: 5, weekly: 3, monthly: 6, yearly: 2 } },
  { maximumDays: 20, incompleteDays: 25, keep: { withinDays: 2 } },
  null,
];

// An oracle of its own: the law's rule for the clocks, and every definition read as it stands, without a thought to speed.

/** 1:00 UTC on the last Sunday of March or October. */
function changeOfClocks(year: number, month: 2 | 9): number {
  const last = Date.UTC(year, month, 31, 1);
  return last - new Date(last).getUTCDay() * DAY;
}
const isSummer = (ms: number) => {
  const year = new Date(ms).getUTCFullYear();
  return ms >= changeOfClocks(year, 2) && ms < changeOfClocks(year, 9);
};
const wall = (ms: number) => ms + (isSummer(ms) ? HOUR : 0);
function atWall(time: number): number {
  const fitting = [time - HOUR, time].filter(ms => wall(ms) === time);
  return fitting.at(-1) ?? time;
}
const laterBy = (ms: number, days: number) => atWall(wall(ms) + days * DAY);
/** A number for each day, week (from Monday), month and year. */
const PERIOD_OF: Record<Period, (ms: number) => number> = {
  daily: ms => Math.floor(wall(ms) / DAY),
  weekly: ms => Math.floor((wall(ms) / DAY - 4) / 7),
  monthly: ms => new Date(wall(ms)).getUTCFullYear() * 12 + new Date(wall(ms)).getUTCMonth(),
  yearly: ms => new Date(wall(ms)).getUTCFullYear(),
};
const instantMs = (id: string) => Date.parse(instantOfId(id));

interface Judged {
  readonly point: KeptPoint;
  readonly at: number;
  readonly isFuture: boolean;
  readonly isPast: boolean;
  readonly isGood: boolean;
  readonly isProved: boolean;
  /** The last verdict of the ledger, whatever became of the records. */
  readonly recordedVerdict: string | undefined;
  readonly wasProved: boolean;
  /** Where its id is of the future: it is past the age that it has since it was closed. */
  readonly isOverdue: boolean;
}

function judge(facts: RetentionFacts, rules: PointRules | null, now: number): Judged[] {
  return facts.points
    .map(point => {
      const at = instantMs(point.recoveryPointId);
      const tests = facts.tests.filter(
        test => test.recoveryPointId === point.recoveryPointId && /^(?:passed|failed)$/.test(test.verdict),
      );
      const believed = tests.filter(test => test.verdict === 'failed' || !test.isDoubted);
      const [last] = believed.sort((a, b) => b.sequence - a.sequence);
      const recordedVerdict = tests.toSorted((a, b) => b.sequence - a.sequence)[0]?.verdict;
      const isFuture = at > now + SKEW;
      const days = point.status === 'good' ? rules?.maximumDays : rules?.incompleteDays;
      const closedAt = point.completedAt === null ? at : Date.parse(point.completedAt);
      return {
        point,
        at,
        isFuture,
        isOverdue: isFuture && days !== undefined && now >= laterBy(closedAt, days),
        recordedVerdict,
        wasProved: !isFuture && tests.some(({ verdict }) => verdict === 'passed'),
        isPast: days !== undefined && now >= laterBy(at, days),
        isGood: point.status === 'good' && !point.isDoubted && last?.verdict !== 'failed' && !isFuture,
        isProved: last?.verdict === 'passed' && !point.isDoubted && !isFuture,
      };
    })
    .sort((a, b) => a.at - b.at);
}

/** Whether a rule keeps it: what the documentation says, word by word. */
function rulesKeep(one: Judged, all: readonly Judged[], rules: PointRules | null, now: number): boolean {
  if (rules === null) return true;
  if (one.isFuture) return !one.isOverdue;
  if (now < one.at + 72 * HOUR) return true;
  if (one.isPast) return false;
  const { keep } = rules;
  if (one.point.status === 'incomplete' || keep === null || !one.isGood) return true;
  if (keep.withinDays !== undefined && now < laterBy(one.at, keep.withinDays)) return true;
  const younger = all.filter(other => other.isGood && !other.isPast && other.at > one.at);
  return PERIODS.some(period => {
    const count = keep[period];
    if (count === undefined) return false;
    const periods = new Set(younger.map(other => PERIOD_OF[period](other.at)));
    return !periods.has(PERIOD_OF[period](one.at)) && periods.size < count;
  });
}

/** What outlasts the rules, named as `nameOf` does. */
function outlasting({ point, at, isOverdue }: Judged, all: readonly Judged[], facts: RetentionFacts): Set<string> {
  const newest = (...conditions: ((one: Judged) => boolean)[]) =>
    conditions.map(condition => all.findLast(one => !one.isFuture && condition(one))).find(Boolean)?.point;
  const good = newest(one => one.isGood);
  const proved = newest(
    one => one.isProved && one.isGood,
    one => one.isProved,
  );
  const saidGood = (one: Judged) => one.point.status === 'good' && one.recordedVerdict !== 'failed';
  const doubtedProved = [
    newest(
      one => one.recordedVerdict === 'passed' && saidGood(one),
      one => one.recordedVerdict === 'passed',
    ),
    newest(
      one => one.wasProved && one.point.status === 'good',
      one => one.wasProved,
    ),
  ].filter(other => other !== proved);
  const doubtedGood = [newest(saidGood), newest(one => one.point.status === 'good')].filter(other => other !== good);
  const last = newest(one => !one.point.isDoubted);
  const lastOfAll = newest(() => true);
  const { holds, incidents, running } = facts;
  return new Set([
    ...(point === proved ? ['newest-proved'] : []),
    ...(point === good ? ['newest-good'] : []),
    ...(point === last && ![good, ...doubtedGood].includes(point) ? ['newest-of-all'] : []),
    ...(doubtedProved.includes(point) ? ['doubted-newest proved'] : []),
    ...(doubtedGood.includes(point) ? ['doubted-newest good'] : []),
    ...(point === lastOfAll && ![good, ...doubtedGood, last].includes(point) ? ['doubted-newest all'] : []),
    ...(isOverdue ? ['misdated'] : []),
    ...holds.flatMap(({ holdId, scope }) => {
      const isHeld =
        scope.kind === 'before'
          ? at < Date.parse(scope.before)
          : scope.kind === 'recovery-point'
            ? scope.recoveryPointId === point.recoveryPointId
            : !scope.isApart && (point.tenants?.includes(scope.tenant) ?? true);
      return isHeld ? [`hold ${holdId}`] : [];
    }),
    ...incidents.flatMap(({ incidentId, detectedAt }) =>
      at <= Date.parse(detectedAt) ? [`incident ${incidentId}`] : [],
    ),
    ...running.flatMap(({ kind, id, recoveryPointId }) =>
      recoveryPointId === point.recoveryPointId ? [`${kind === 'erasure' ? 'erasure-proof' : 'running'} ${id}`] : [],
    ),
  ]);
}

function nameOf(reason: KeepReason): string {
  if (reason.kind === 'hold') return `hold ${reason.holdId}`;
  if (reason.kind === 'incident') return `incident ${reason.incidentId}`;
  if (reason.kind === 'doubted-newest') return `${reason.kind} ${reason.of}`;
  return 'id' in reason ? `${reason.kind} ${reason.id}` : reason.kind;
}

/** How often each reason was given: of keeping past the date, of keeping, and of deleting. */
export type Tally = Map<string, number>;

/** Compares a plan with the oracle, in both directions, and each reason with what it says. */
function checkPlan(plan: RetentionPlan, facts: RetentionFacts, rules: PointRules | null, now: number, tally: Tally) {
  const all = judge(facts, rules, now);
  const byId = new Map(all.map(one => [one.point.recoveryPointId, one]));
  const count = (what: string) => tally.set(what, (tally.get(what) ?? 0) + 1);
  const kept = new Map(plan.keep.map(one => [one.recoveryPointId, one]));
  const expired = new Map(plan.delete.map(one => [one.recoveryPointId, one]));
  const wrong: string[] = [];
  const expectThat = (isRight: boolean, what: string) => {
    if (!isRight) wrong.push(what);
  };
  expectThat(kept.size + expired.size === all.length, 'each point is kept or deleted, once');
  for (const one of all) {
    const id = one.point.recoveryPointId;
    const isKeptByRule = rulesKeep(one, all, rules, now);
    const exceptions = outlasting(one, all, facts);
    const keep = kept.get(id);
    const gone = expired.get(id);
    expectThat((gone !== undefined) === (!isKeptByRule && exceptions.size === 0), `${id} goes or stays as it should`);
    if (keep !== undefined) {
      const named = keep.reasons.filter(({ kind }) => OUTLASTS_RULES[kind]).map(nameOf);
      expectThat(
        named.length === exceptions.size && named.every(name => exceptions.has(name)),
        `${id} names what outlasts the rules: ${named} for ${[...exceptions]}`,
      );
      expectThat(keep.reasons.length > 0, `${id} says why it stays`);
      expectThat(keep.reasons.length > named.length === isKeptByRule, `${id} names a rule where one keeps it`);
      expectThat((keep.pastDate === null) === isKeptByRule, `${id} is past its date where no rule keeps it`);
      for (const { kind } of keep.reasons) count(`${keep.pastDate === null ? 'keep' : 'past'} ${kind}`);
      for (const reason of keep.reasons) {
        if ('until' in reason) expectThat(now < Date.parse(reason.until), `${id}: ${reason.kind} has not ended`);
      }
    }
    const date = gone ?? keep?.pastDate;
    if (date) {
      expectThat(date.reasons.length > 0, `${id} says why it goes`);
      expectThat(Date.parse(date.since) <= now + SKEW, `${id} is past its date since a time that was`);
      for (const reason of date.reasons) {
        if (gone) count(`delete ${reason.kind}`);
        expectThat(isTrue(reason, one, byId, rules, now), `${id}: ${reason.kind} is true`);
      }
    }
  }
  expect(wrong).toEqual([]);
}

/** What goes by the rules, and would stay by those that were approved, is named: no more and no less. */
function checkApproval(plan: RetentionPlan, facts: RetentionFacts, rules: RulesInForce, now: number, tally: Tally) {
  const all = judge(facts, rules.approved, now);
  const staying = all.filter(one => rulesKeep(one, all, rules.approved, now) || outlasting(one, all, facts).size > 0);
  const ids = new Set(staying.map(({ point }) => point.recoveryPointId));
  const needed = plan.delete.map(({ recoveryPointId }) => recoveryPointId).filter(id => ids.has(id));
  expect(plan.needsApproval).toEqual(needed);
  if (needed.length > 0) tally.set('needs approval', (tally.get('needs approval') ?? 0) + 1);
}

function isTrue(
  reason: DeleteReason,
  { at, point, isFuture }: Judged,
  byId: ReadonlyMap<string, Judged>,
  rules: PointRules | null,
  now: number,
): boolean {
  const since = Date.parse(reason.since);
  if (since > now + SKEW || rules === null) return false;
  const from = isFuture && point.completedAt !== null ? Date.parse(point.completedAt) : at;
  switch (reason.kind) {
    case 'past-age':
      return point.status === 'good' && reason.days === rules.maximumDays && since === laterBy(from, reason.days);
    case 'incomplete-past-age':
      return point.status !== 'good' && reason.days === rules.incompleteDays && since === laterBy(from, reason.days);
    case 'past-days':
      return reason.days === rules.keep?.withinDays && since === laterBy(at, reason.days);
    case 'not-newest-of-period': {
      const newest = byId.get(reason.newestId);
      const numberOf = PERIOD_OF[reason.period];
      return newest?.isGood === true && newest.at > at && numberOf(newest.at) === numberOf(at);
    }
    case 'beyond-count':
      return reason.count === rules.keep?.[reason.period] && since > at;
  }
}

/** Numbers from a seed (mulberry32): the same each time. */
function draws(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/**
 * A supplier's days, from 1 November 2026, one for each number: 0 is an ordinary one (a good backup, a sweep), any other
 * one on which something happens. At every sweep, and at some time before it, the plan is compared with the oracle.
 */
export function simulate(days: readonly number[], tally: Tally): void {
  const points = new Map<string, KeptPoint>();
  const late: { dueAt: number; point: KeptPoint }[] = [];
  const tests: KeptTest[] = [];
  let holds: LegalHold[] = [];
  let incidents: OpenIncident[] = [];
  let running: RunningWork[] = [];
  let rules: PointRules | null = RULES[0] ?? null;
  let approved = rules;
  let shift = 0;
  const midnight = Date.UTC(2026, 10, 1);

  for (const [index, seed] of days.entries()) {
    const draw = draws(seed);
    const chance = (share: number) => seed !== 0 && draw() < share;
    const pick = <T>(from: readonly T[]): T | undefined => from[Math.floor(draw() * from.length)];
    const today = midnight + index * DAY;
    const backupAt = atWall(today + 2.5 * HOUR);
    const sweepAt = atWall(today + 5 * HOUR) + Math.floor(draw() * 3 * HOUR);

    // A clock that is wrong makes points of its time, and is put right again.
    if (chance(0.02)) shift = pick([-40 * DAY, -HOUR, 10 * DAY, 400 * DAY]) ?? 0;
    else if (shift !== 0 && (seed === 0 || draw() < 0.5)) shift = 0;

    const make = (at: number, status: KeptPoint['status']) => {
      const tenants = chance(0.1) ? null : TENANTS.filter((_, position) => position !== index % 7);
      const recoveryPointId = idOfInstant(new Date(at + shift).toISOString());
      // By a clock that was right.
      const completedAt = chance(0.2) ? null : new Date(at + HOUR).toISOString();
      return { recoveryPointId, status, isDoubted: false, completedAt, tenants };
    };
    const put = (point: KeptPoint) => {
      // What is good is never superseded.
      if (points.get(point.recoveryPointId)?.status !== 'good') points.set(point.recoveryPointId, point);
    };
    for (const { point } of late.filter(({ dueAt }) => dueAt <= sweepAt)) put(point);
    late.splice(0, late.length, ...late.filter(({ dueAt }) => dueAt > sweepAt));
    if (chance(0.1)) late.push({ dueAt: sweepAt + 2 * DAY, point: make(backupAt, 'good') });
    else if (!chance(0.15)) put(make(backupAt, chance(0.3) ? 'incomplete' : 'good'));
    if (chance(0.05)) {
      for (let more = Math.floor(draw() * 12); more > 0; more--) {
        put(make(sweepAt - Math.floor(draw() * 5 * HOUR), chance(0.2) ? 'incomplete' : 'good'));
      }
    }
    const known = [...points.values()];
    const some = pick(known);
    if (some?.status === 'incomplete' && chance(0.3) && sweepAt - instantMs(some.recoveryPointId) < 71 * HOUR) {
      put({ ...some, status: 'good' });
    }
    if (some !== undefined && chance(0.03)) points.set(some.recoveryPointId, { ...some, isDoubted: true });

    // A monthly test of the newest, and others of any.
    const isTestDay = new Date(today).getUTCDate() === 5;
    const tested = isTestDay ? known.findLast(({ status }) => status === 'good') : chance(0.1) ? some : undefined;
    if (tested !== undefined) {
      const restoreTestId = idOfInstant(new Date(backupAt + 2 * HOUR).toISOString());
      const { recoveryPointId } = tested;
      const verdict =
        seed === 0 ? 'passed' : pick(['passed', 'passed', 'failed', 'inconclusive', 'could-not-start'] as const);
      if (chance(0.5)) running.push({ kind: 'restore-test', id: restoreTestId, recoveryPointId });
      if (verdict !== undefined) {
        tests.push({ restoreTestId, recoveryPointId, verdict, sequence: tests.length + 1, isDoubted: chance(0.2) });
      }
    }
    running = running.filter(() => !chance(0.3));
    if (some !== undefined && chance(0.05)) {
      const kind = pick(['backup', 'recovery', 'erasure'] as const) ?? 'backup';
      running.push({ kind, id: `work-${index}`, recoveryPointId: some.recoveryPointId });
    }
    if (chance(0.04)) {
      const scope = pick<LegalHold['scope']>([
        { kind: 'tenant', tenant: pick(TENANTS) ?? '', isApart: chance(0.5) },
        { kind: 'recovery-point', recoveryPointId: some?.recoveryPointId ?? '20261101t023000z' },
        { kind: 'before', before: new Date(today - Math.floor(draw() * 60) * DAY).toISOString() },
      ]);
      if (scope) holds.push({ holdId: `hold-${index}`, scope });
    }
    holds = holds.filter(() => !chance(0.05));
    if (chance(0.03)) {
      const detectedAt = chance(0.5)
        ? instantOfId(some?.recoveryPointId ?? '20261101t023000z')
        : new Date(sweepAt - Math.floor(draw() * 10 * DAY)).toISOString();
      incidents.push({ incidentId: `incident-${index}`, detectedAt });
    }
    incidents = incidents.filter(() => !chance(0.1));
    if (chance(0.03)) rules = pick(RULES) ?? null;
    // A person approves a change when they come to it.
    if (seed === 0 || chance(0.3)) approved = rules;

    const now = sweepAt + shift;
    // In the order in which they came, or the other one.
    const turned = <T>(list: readonly T[]) => (index % 2 === 0 ? list : list.toReversed());
    const facts = () => ({ points: turned([...points.values()]), tests: turned(tests), holds, running, incidents });
    const inForce = () => ({ configured: rules, approved });
    const planAt = (ms: number) => planRetention(facts(), inForce(), new Date(ms));
    const plan = planAt(now);
    checkPlan(plan, facts(), rules, now, tally);
    const goes = plan.delete.map(({ recoveryPointId }) => recoveryPointId);
    checkApproval(plan, facts(), { configured: rules, approved }, now, tally);
    if (chance(0.2)) {
      // No doubt, and no test that failed, lets anything go that would stay without it.
      const trusting = {
        ...facts(),
        points: facts().points.map(point => ({ ...point, isDoubted: false })),
        tests: tests.filter(({ verdict }) => verdict !== 'failed').map(test => ({ ...test, isDoubted: false })),
      };
      const without = planRetention(trusting, inForce(), new Date(now)).delete.map(one => one.recoveryPointId);
      expect(goes.filter(id => !without.includes(id))).toEqual([]);
    }
    if (chance(0.2)) {
      // Any earlier clock lets only part of it go.
      const earlier = now - Math.floor(draw() * 100 * DAY);
      const before = planAt(earlier);
      checkPlan(before, facts(), rules, earlier, tally);
      const left = before.delete.filter(({ recoveryPointId }) => !goes.includes(recoveryPointId));
      expect(left).toEqual([]);
    }
    if (chance(0.2)) {
      // At the very instant at which something ends, and just before.
      const ends = plan.keep.flatMap(({ endsAt, reasons }) => [
        ...(endsAt === null ? [] : [endsAt]),
        ...reasons.flatMap(reason => ('until' in reason ? [reason.until] : [])),
      ]);
      const end = Date.parse(pick(ends) ?? new Date(now).toISOString());
      for (const ms of [end - 1, end]) checkPlan(planAt(ms), facts(), rules, ms, tally);
    }
    // A sweep may not run, and may be killed after part of its work; what is left then is what the next one finds.
    if (chance(0.15)) continue;
    const isKilled = chance(0.2);
    for (const [position, id] of goes.entries()) if (!isKilled || position % 2 === 0) points.delete(id);
    const left = planAt(now).delete.map(({ recoveryPointId }) => recoveryPointId);
    expect(left).toEqual(isKilled ? goes.filter((_, position) => position % 2 === 1) : []);
  }
}

/** What years of such days must have seen. */
export const SEEN: readonly string[] = [
  ...Object.entries(OUTLASTS_RULES)
    .filter(([kind]) => kind !== 'unreadable-date')
    .map(([kind, outlasts]) => `${outlasts ? 'past' : 'keep'} ${kind}`),
  'delete past-age',
  'delete incomplete-past-age',
  'delete past-days',
  'delete not-newest-of-period',
  'delete beyond-count',
  'needs approval',
];
