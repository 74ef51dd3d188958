import { describe, expect, it } from 'vitest';
import type { KeptPoint, KeptTest } from '../../../functions/contracts/retention.ts';
import {
  type DeleteReason,
  type KeepReason,
  planRetention,
  type RetentionFacts,
} from '../../../functions/retention/plan-retention.ts';
import { GOLDEN_TABLES, type GoldenTable } from './golden-tables.ts';

const FACT = /^(?:good|incomplete|doubted|passed|failed|inconclusive|in:.+)$/;

/** What a table's rows say, and which id each of them is of. */
function readTable({ rows, holds = [], incidents = [], running = [] }: GoldenTable): RetentionFacts {
  const points: KeptPoint[] = [];
  const tests: KeptTest[] = [];
  for (const row of rows.split('\n').map(line => line.trim())) {
    if (row === '') continue;
    const [id = '', ...facts] = row.slice(0, row.indexOf(' ->')).split(' ');
    for (const fact of facts) if (!FACT.test(fact)) throw new Error(`no fact: ${fact}`);
    const schools = facts.find(fact => fact.startsWith('in:'))?.slice(3) ?? '';
    points.push({
      recoveryPointId: id,
      status: facts.includes('good') ? 'good' : 'incomplete',
      isDoubted: facts.includes('doubted'),
      tenants: schools === '?' ? null : schools.split('+'),
    });
    for (const [index, verdict] of (['passed', 'failed', 'inconclusive'] as const).entries()) {
      const position = facts.indexOf(verdict);
      if (position < 0) continue;
      const restoreTestId = `${id.slice(0, 9)}0${position}000${index}z`;
      tests.push({ restoreTestId, recoveryPointId: id, verdict });
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
  const { keep, delete: expired } = planRetention(facts, table.rules, new Date(table.now));
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
