import { describe, expect, it } from 'vitest';
import { idOfInstant, instantOfId } from '../../../functions/contracts/identifiers.ts';
import type { KeptPoint, KeptTest } from '../../../functions/contracts/retention.ts';
import {
  type DeleteReason,
  type KeepReason,
  type PlanFinding,
  type PointRules,
  planRetention,
  type RetentionFacts,
} from '../../../functions/retention/plan-retention.ts';
import { GOLDEN_TABLES, type GoldenTable } from './golden-tables.ts';

const FACT = /^(?:good|incomplete|doubted|passed|passed\?|failed|failed\?|inconclusive|in:.+|closed:.+)$/;
const TELLING = /^(passed|failed|inconclusive)(\??)$/;

/** What a table's rows say, and which id each of them is of. */
function readTable({ rows, holds = [], incidents = [], running = [] }: GoldenTable): RetentionFacts {
  const points: KeptPoint[] = [];
  const tests: KeptTest[] = [];
  for (const row of rows.split('\n').map(line => line.trim())) {
    if (row === '') continue;
    const [id = '', ...facts] = row.slice(0, row.indexOf(' ->')).split(' ');
    for (const fact of facts) if (!FACT.test(fact)) throw new Error(`no fact: ${fact}`);
    const said = (name: string) => facts.find(fact => fact.startsWith(`${name}:`))?.slice(name.length + 1);
    const schools = said('in') ?? '';
    const closed = said('closed');
    points.push({
      recoveryPointId: id,
      status: facts.includes('good') ? 'good' : 'incomplete',
      isDoubted: facts.includes('doubted'),
      completedAt: closed === undefined ? null : instantOfId(closed),
      tenants: schools === '?' ? null : schools.split('+'),
    });
    for (const [position, fact] of facts.entries()) {
      const [, verdict, mark] = TELLING.exec(fact) ?? [];
      if (verdict === undefined) continue;
      tests.push({
        // The ids are in the other order than the ledger's entries, as those of reruns of older instants are.
        restoreTestId: `${id.slice(0, 9)}0${9 - position}0000z`,
        recoveryPointId: id,
        verdict: verdict as KeptTest['verdict'],
        sequence: tests.length + 1,
        isDoubted: mark === '?',
      });
    }
  }
  // In no order that would help.
  return { points: points.reverse(), tests: tests.reverse(), holds, incidents, running };
}

function codeOfKeep(reason: KeepReason): string {
  switch (reason.kind) {
    case 'newest-of-period':
      return `${reason.period}:${reason.name}`;
    case 'hold':
      return `hold:${reason.holdId}`;
    case 'incident':
      return `incident:${reason.incidentId}`;
    case 'running':
      return `${reason.work}:${reason.id}`;
    case 'doubted-newest':
      return `doubted-newest:${reason.of}`;
    case 'erasure-proof':
      return `erasure-proof:${reason.id}`;
    default:
      return CODES[reason.kind];
  }
}
const CODES = {
  'no-rules': 'no-rules',
  'unreadable-date': 'unreadable',
  'in-the-future': 'future',
  'may-still-close': 'open',
  'within-age': 'age',
  'incomplete-within-age': 'incomplete',
  'doubted-within-age': 'doubted',
  'within-days': 'within',
  'newest-proved': 'newest-proved',
  'newest-good': 'newest-good',
  'newest-of-all': 'newest-of-all',
  misdated: 'misdated',
} as const;

function codeOfDelete(reason: DeleteReason): string {
  switch (reason.kind) {
    case 'not-newest-of-period':
      return `taken-${reason.period}:${reason.name}`;
    case 'beyond-count':
      return `beyond-${reason.period}:${reason.name}`;
    case 'past-days':
      return 'past-within';
    case 'incomplete-past-age':
      return 'past-incomplete';
    case 'past-age':
      return 'past-age';
  }
}

function plan(table: GoldenTable): string[] {
  const facts = readTable(table);
  const rules = { configured: table.rules, approved: table.rules };
  const { keep, delete: expired, needsApproval } = planRetention(facts, rules, new Date(table.now));
  expect(needsApproval).toEqual([]);
  expect(keep.length + expired.length).toBe(facts.points.length);
  const lines = [
    ...keep.map(
      ({ recoveryPointId, reasons, pastDate }) =>
        [recoveryPointId, `${pastDate === null ? 'keep' : 'past'} ${reasons.map(codeOfKeep).join(' ')}`] as const,
    ),
    ...expired.map(
      ({ recoveryPointId, reasons }) => [recoveryPointId, `delete ${reasons.map(codeOfDelete).join(' ')}`] as const,
    ),
  ];
  return lines.sort(([a], [b]) => (a < b ? -1 : 1)).map(([id, line]) => `${id} -> ${line}`);
}

describe('planRetention', () => {
  it.each(GOLDEN_TABLES)('$from: $what', table => {
    const rows = table.rows.split('\n').map(line => line.trim());
    const expected = rows.filter(Boolean).map(row => row.replace(/ .*->/, ' ->'));
    expect(plan(table)).toEqual(expected);
  });

  it('has at least 60 tables, and one of each fault that other tools had', () => {
    expect(GOLDEN_TABLES.length).toBeGreaterThanOrEqual(60);
    expect(new Set(GOLDEN_TABLES.map(({ from }) => from).filter(from => /\d$/.test(from)))).toEqual(
      new Set([
        'restic 2233',
        'restic 4415',
        'duplicati 3987',
        'pgbackrest 2622',
        'wal-g 1152',
        'wal-g 1245',
        'barman 980',
        'kopia 4894',
        'kopia 3253',
        'kopia 5590',
        's3-find-and-forget 306',
        'aws-maintenance 12',
        'aws-maintenance 19',
      ]),
    );
  });
});

/** What is past 35 days, what is past 30, and what is not; one is of the future, and one of no instant. */
const facts: RetentionFacts = {
  points: [
    '20261222t023000z',
    '20261229t023000z',
    '20270129t023000z',
    '20270130t023000z',
    '20361129t023000z',
    '20269929t000000z',
  ].map(recoveryPointId => ({
    recoveryPointId,
    status: 'good',
    isDoubted: false,
    completedAt: null,
    tenants: null,
  })),
  tests: [],
  holds: [
    { holdId: 'h1', scope: { kind: 'recovery-point', recoveryPointId: '20261101t023000z' } },
    { holdId: 'h2', scope: { kind: 'recovery-point', recoveryPointId: '20270129t023000z' } },
    { holdId: 'h3', scope: { kind: 'before', before: '2020-01-01T00:00:00.000Z' } },
  ],
  running: [],
  incidents: [],
};
const now = new Date('2027-01-30T06:00:00.000Z');
const byAge = (maximumDays: number): PointRules => ({ maximumDays, incompleteDays: 7, keep: null });

describe('a change of the rules', () => {
  it.each<[string, PointRules | null, PointRules | null, string[], string[]]>([
    ['none', byAge(30), byAge(30), ['20261222t023000z', '20261229t023000z'], []],
    ['to a shorter age', byAge(30), byAge(35), ['20261222t023000z', '20261229t023000z'], ['20261229t023000z']],
    ['to a longer age', byAge(35), byAge(30), ['20261222t023000z'], []],
    ['the first rules', byAge(35), null, ['20261222t023000z'], ['20261222t023000z']],
    ['to no rules', null, byAge(35), [], []],
    [
      'to counts',
      { ...byAge(35), keep: { daily: 1 } },
      byAge(35),
      ['20261222t023000z', '20261229t023000z'],
      ['20261229t023000z'],
    ],
  ])('names what goes earlier by it: %s', (_name, configured, approved, goes, needsApproval) => {
    const plan = planRetention(facts, { configured, approved }, now);
    expect(plan.delete.map(({ recoveryPointId }) => recoveryPointId)).toEqual(goes);
    expect(plan.needsApproval).toEqual(needsApproval);
  });
});

it('finds what no rule lets go, a hold of nothing, and that there are no rules', () => {
  const findings = (rules: PointRules | null) =>
    planRetention(facts, { configured: rules, approved: rules }, now).findings;
  const odd: PlanFinding[] = [
    { kind: 'misdated', recoveryPointId: '20269929t000000z', how: 'unreadable-date' },
    { kind: 'misdated', recoveryPointId: '20361129t023000z', how: 'in-the-future' },
    { kind: 'hold-of-nothing', holdId: 'h1', recoveryPointId: '20261101t023000z' },
  ];
  expect(findings(byAge(35))).toEqual(odd);
  expect(findings(null)).toEqual([{ kind: 'no-rules' }, ...odd]);
});

it('shares the reason that a hold is between all that it keeps: a thousand holds cost what their lists do', () => {
  const points = Array.from({ length: 400 }, (_, index) => ({
    recoveryPointId: idOfInstant(new Date(Date.UTC(2026, 0, 1, 2, 30) + index * 86_400_000).toISOString()),
    status: 'good' as const,
    isDoubted: false,
    completedAt: null,
    tenants: index % 2 === 0 ? null : ['school-1', 'school-999', 'school-1000'],
  }));
  const holds = Array.from({ length: 1000 }, (_, index) => ({
    holdId: `h${index}`,
    scope: { kind: 'tenant' as const, tenant: `school-${index}`, isApart: false },
  }));
  const { keep } = planRetention({ ...facts, points, holds }, { configured: byAge(35), approved: null }, now);
  const holdsOf = (index: number) => keep[index]?.reasons.filter(({ kind }) => kind === 'hold') ?? [];
  expect([keep.length, holdsOf(0).length, holdsOf(1)]).toEqual([
    400,
    1000,
    [
      { kind: 'hold', holdId: 'h1' },
      { kind: 'hold', holdId: 'h999' },
    ],
  ]);
  expect(holdsOf(2)[7]).toBe(holdsOf(0)[7]);
});
