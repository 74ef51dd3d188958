import { describe, expect, it } from 'vitest';
import type { Gap } from '../../../functions/contracts/gap.ts';
import type { DatabaseVerification, Finding, Verdict } from '../../../functions/contracts/restore-test-record.ts';
import type { CatalogMeasurement } from '../../../functions/platform/fingerprint/catalog-rows.ts';
import { Database } from '../../../functions/platform/postgres.ts';
import { sqlName } from '../../../functions/platform/sql-name.ts';
import { totalGaps } from '../../../functions/restore-test/accept-gaps.ts';
import { checkCatalogs } from '../../../functions/restore-test/check-catalog.ts';
import { judgeRestoreTest } from '../../../functions/restore-test/judge-restore-test.ts';
import { TestDatabase } from '../../fixtures/database.ts';
import { readCatalogs, seeds, type TakenFingerprint, takeFingerprint } from '../../fixtures/fingerprint.ts';
import { verifyCopy } from '../../fixtures/verify-copy.ts';
import {
  ALTERATIONS,
  type AlterationCase,
  alterationCases,
  SCHEMA_ALTERATIONS,
  STATES,
  type TestTable,
} from './alteration-cases.ts';

/**
 * Tests, on a real server, that a restore test passes over nothing but an unaltered copy: each state of a table while its
 * snapshot is taken, with each alteration of it on the copy.
 */
export function describeAlterations(seed: number): void {
  describe(`a copy, altered by seed ${seed}`, () => {
    const cases = alterationCases(seed);
    let source: TestDatabase | undefined;

    it('passes where nothing was altered, and nowhere else', async () => {
      source = await TestDatabase.create({ schema: schemaOf(cases) });
      const { before, after, copy, firstTouchXid } = await copyMeanwhile(source, cases);
      const untouched = await verifyCopy(copy, { before, after, firstTouchXid });
      expect(judge(untouched)).toEqual({ verdict: 'passed', reasons: [] });
      expect(untouched.findings).toEqual([]);

      const changed = await alterSchema(copy, cases, { before, after, firstTouchXid });
      expect(changed.filter(({ found }) => found.length === 0)).toEqual([]);
      const left = Object.values(SCHEMA_ALTERATIONS).reduce((sum, { notIn = [] }) => sum + notIn.length, 0);
      expect(changed).toHaveLength(Object.keys(STATES).length * Object.keys(SCHEMA_ALTERATIONS).length - left);

      await copy.execute(
        `SET session_replication_role = replica; ${cases.map(({ alteration, table }) => ALTERATIONS[alteration](table)).join(';')}`,
      );
      const altered = await verifyCopy(copy, { before, after, firstTouchXid });
      const found = cases.map(one => ({ case: caseName(one), ...outcomeOf(one, altered) }));
      expect(found).toEqual(cases.map(one => ({ case: caseName(one), ...expectedOf(one) })));
    });

    it('leaves no server', () => source?.remove());
  });
}

const caseName = ({ state, alteration, table }: AlterationCase) => `${state} × ${alteration} (${table.name})`;
const judge = (verification: DatabaseVerification) => {
  const { verdict, reasons } = judgeRestoreTest({
    notStarted: null,
    recoveryPointStatus: 'good',
    findings: [],
    expectedDatabaseIds: ['school'],
    databases: [{ databaseId: 'school', verification, failure: null, restored: true }],
    objects: { expectedItems: 0, resultCount: 0, objectCount: 0, findings: [], findingCount: 0 },
    failure: null,
    minimumCoveragePercent: 95,
  });
  return { verdict, reasons };
};

/** With an index where its schema is altered. */
function create({ alteration, table: { name, index, rowCount } }: AlterationCase): string {
  const createIndex = `CREATE INDEX ${index.name} ON ${name} (note)`;
  return `CREATE TABLE ${name} (id int PRIMARY KEY, mark int NOT NULL, note text, school_id int NOT NULL DEFAULT 1 REFERENCES school);
    INSERT INTO ${name} SELECT g, g * 7 % 1009, 'note' FROM generate_series(1, ${rowCount}) g;
    ${alteration === 'nothing' ? createIndex : ''}`;
}

function schemaOf(cases: readonly AlterationCase[]): string {
  const there = cases.filter(({ state }) => !('created' in STATES[state]));
  return `CREATE TABLE school (id int PRIMARY KEY); INSERT INTO school SELECT generate_series(1, 20);
    CREATE SCHEMA a; CREATE SCHEMA "a.b"; ${there.map(create).join(';')}; ANALYZE`;
}

/** Measures the source, lets each table come into its state, copies it in between, and measures it again. */
async function copyMeanwhile(source: TestDatabase, cases: readonly AlterationCase[]) {
  const happen = async (moment: 'beforeCopy' | 'afterCopy') => {
    // One by one: VACUUM and blocks of their own cannot be in one string with others.
    const session = await source.session();
    for (const { state, table } of cases) {
      const what = STATES[state];
      const statements =
        moment in what ? (what as Record<typeof moment, (table: TestTable) => string>)[moment](table) : '';
      if (statements !== '') await session.query(statements);
    }
    await session.end();
  };
  const before = withLocked(await takeFingerprint(source), cases, 'before');
  for (const one of cases) if ('created' in STATES[one.state]) await source.execute(create(one));
  await happen('beforeCopy');
  const copy = await source.restore();
  const [touch] = await copy.execute<{ xid: string }>('SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS xid');
  await happen('afterCopy');
  const after = withLocked(await takeFingerprint(source, before), cases, 'after');
  return { before, after, copy, firstTouchXid: BigInt(touch?.xid ?? '') };
}

/** What a measurement says where another session held the lock for as long as it waited. */
function withLocked(
  taken: TakenFingerprint,
  cases: readonly AlterationCase[],
  moment: 'before' | 'after',
): TakenFingerprint {
  const locked = new Set(
    cases.flatMap(({ state, table }) => {
      const what = STATES[state];
      return 'locked' in what && what.locked === moment ? [table.name] : [];
    }),
  );
  const isLocked = ({ schema, table }: { schema: string; table: string }) => locked.has(sqlName(schema, table));
  const { index, readDigests } = taken;
  return {
    readDigests,
    index: {
      ...index,
      tables: index.tables.filter(table => !isLocked(table)),
      unreadable: [
        ...index.unreadable,
        ...index.tables
          .filter(isLocked)
          .map(({ schema, table }) => ({ schema, relation: table, reason: 'locked' as const, rowCount: null })),
      ],
    },
  };
}

async function catalogsOf({ index }: TakenFingerprint): Promise<CatalogMeasurement> {
  const catalogs = await readCatalogs(index.moment, index.catalogsSha256 ?? '');
  if (catalogs === undefined) throw new Error(`no catalogs ${index.moment}`);
  return catalogs;
}

/** Two tables at a time: of each catalog only the first rows that differ are named. */
const TABLES_AT_ONCE = 2;

/** Alters the schema of unaltered tables, and takes it back: what is found of each. */
async function alterSchema(
  copy: TestDatabase,
  cases: readonly AlterationCase[],
  { before, after, firstTouchXid }: Omit<Awaited<ReturnType<typeof copyMeanwhile>>, 'copy'>,
): Promise<{ case: string; found: string[] }[]> {
  const unaltered = cases.filter(({ alteration }) => alteration === 'nothing');
  const changed: { case: string; found: string[] }[] = [];
  const database = new Database(() => copy.session(), 'database school');
  const { query } = database;
  const catalogs = {
    databaseId: 'school',
    seeds,
    before: await catalogsOf(before),
    after: await catalogsOf(after),
    firstTouchXid,
  };
  for (let at = 0; at < unaltered.length; at += TABLES_AT_ONCE) {
    const altered = unaltered.slice(at, at + TABLES_AT_ONCE).flatMap(({ state, table }) =>
      Object.entries(SCHEMA_ALTERATIONS)
        .filter(([, { notIn }]) => !notIn?.includes(state))
        .map(([name, { alter, catalog, of }]) => ({
          case: `${state} × ${name} (${table.name})`,
          statement: alter(table),
          catalog,
          name: of === 'index' ? table.index.qualified : table.name,
        })),
    );
    await query('BEGIN READ WRITE');
    for (const { statement } of altered) await query(statement);
    await query('SET LOCAL search_path = pg_catalog, pg_temp');
    await query('SET LOCAL ROLE daybreak_reader');
    const { findings } = await checkCatalogs({ query, transaction: (_isolation, work) => work(query) }, catalogs);
    await query('ROLLBACK');
    changed.push(
      ...altered.map(({ catalog, name, ...one }) => ({
        case: one.case,
        found: findings
          .map(({ place }) => place)
          .filter(place => place.startsWith(`${catalog}: `) && isNamedIn(place, name)),
      })),
    );
  }
  await database.close();
  return changed;
}

interface Outcome {
  verdict: Verdict;
  /** Kinds of findings; where there is none, of gaps. */
  kinds: string[];
}

/** What a test of this table, and of another one that is unaltered, would have come to. */
function outcomeOf({ table }: AlterationCase, altered: DatabaseVerification): Outcome {
  // Of catalogs only the first rows that differ are named, and not those of every table that is missing.
  const findings = altered.findings.filter(
    ({ kind, place }) => !kind.startsWith('catalog-') && isNamedIn(place, table.name),
  );
  const gaps = altered.gaps.filter(({ gap }) => isNamedIn(nameIn(gap), table.name));
  const { verdict } = judge({
    ...altered,
    rowsExpected: 1000,
    rowsComparedExactly: 1000,
    driftRowCount: 0,
    gaps,
    gapTotals: totalGaps(gaps),
    findings,
    findingCount: findings.length,
  });
  const kinds = findings.length > 0 ? findings.map(({ kind }) => kind) : gaps.map(({ gap }) => gap.kind);
  return { verdict, kinds: [...new Set(kinds)].sort() };
}

const isNamedIn = (place: string, name: string) => new RegExp(`(?:^|[^\\w."])${literally(name)}(?![\\w"])`).test(place);
const literally = (text: string) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
const nameIn = (gap: Gap) => ('table' in gap ? sqlName(gap.table.schema, gap.table.name) : '');

function expectedOf({ state, alteration }: AlterationCase): Outcome {
  const { loss } = STATES[state];
  const failed = (...kinds: Finding['kind'][]): Outcome => ({ verdict: 'failed', kinds });
  const notBounded: Outcome = { verdict: 'inconclusive', kinds: ['table-not-bounded'] };
  switch (alteration) {
    case 'nothing':
      return { verdict: 'passed', kinds: [] };
    case 'a row added':
      return failed('rows-added');
    case 'a row changed':
    case 'two values swapped':
      // The row that was there is missed only where the measurements show it; the one that is there instead is always seen.
      return loss === 'row' ? failed('rows-added', 'rows-missing') : failed('rows-added');
    case 'table missing':
      // The snapshot may lie before the one was created, or after the other was dropped.
      return state === 'created meanwhile' || state === 'dropped meanwhile' ? notBounded : failed('table-missing');
    case 'a row missing':
    case 'table deleted from':
    case 'table truncated':
      return loss === 'open' ? notBounded : failed('rows-missing');
  }
}
