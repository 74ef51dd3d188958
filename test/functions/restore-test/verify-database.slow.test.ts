import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DatabaseFingerprint } from '../../../functions/contracts/fingerprint.ts';
import { listRelations, listSequences } from '../../../functions/platform/fingerprint/catalog.ts';
import { hashSchema } from '../../../functions/platform/fingerprint/definition.ts';
import {
  countRemovedRows,
  measureTable,
  planAfresh,
  planLike,
  toFingerprint,
} from '../../../functions/platform/fingerprint/measure-table.ts';
import { verifyDatabase } from '../../../functions/restore-test/verify-database.ts';
import { TestDatabase } from '../../fixtures/database.ts';

const seeds: [string, string] = ['4242424242', '-1717171717171717'];
const SCHEMA = `
  CREATE TABLE school (id text PRIMARY KEY, name text NOT NULL);
  CREATE TABLE pupil (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, school_id text NOT NULL REFERENCES school,
    name text, t text, marks numeric[], seen timestamptz DEFAULT '2026-01-01', notes text);
  CREATE INDEX pupil_by_name ON pupil (name DESC NULLS LAST) WHERE name IS NOT NULL;
  CREATE TABLE entry (day date NOT NULL, pupil_id bigint REFERENCES pupil, body jsonb) PARTITION BY RANGE (day);
  CREATE TABLE entry_2025 PARTITION OF entry FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
  CREATE TABLE entry_2026 PARTITION OF entry FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
  CREATE MATERIALIZED VIEW pupils_by_school AS SELECT school_id, count(*) AS pupils FROM pupil GROUP BY 1;
  INSERT INTO school SELECT 'school-' || g, 'School ' || g FROM generate_series(1, 20) g;
  INSERT INTO pupil (school_id, name, marks, notes)
    SELECT 'school-' || (g % 20 + 1), CASE WHEN g % 7 > 0 THEN 'Pupil ' || g END, ARRAY[g, NULL, g / 3.0], repeat('note ', 5)
      FROM generate_series(1, 20000) g;
  UPDATE pupil SET notes = (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 400) i) WHERE id = 77;
  INSERT INTO entry SELECT '2025-06-01'::date + g % 400, g, jsonb_build_object('mood', g % 5) FROM generate_series(1, 5000) g;
  REFRESH MATERIALIZED VIEW pupils_by_school;
  ANALYZE;
`;

/** The fingerprint without the workflow's storage around it. */
async function takeFingerprint(source: TestDatabase, before?: DatabaseFingerprint): Promise<DatabaseFingerprint> {
  const database = source.asReader();
  const { relations, unreadable } = await listRelations(database.query);
  const tables = [];
  for (const relation of relations) {
    const earlier = before?.tables.find(({ schema, table }) => schema === relation.schema && table === relation.table);
    const measured = await measureTable(database, relation, details =>
      earlier ? planLike(earlier, details, seeds) : planAfresh(details, seeds),
    );
    if (measured) tables.push(toFingerprint(relation, measured));
  }
  return {
    version: 1,
    databaseId: 'school',
    moment: before ? 'after' : 'before',
    serverVersion: '17',
    seeds,
    schemaSha256: await hashSchema(database.query),
    tables,
    sequences: await listSequences(database.query),
    unreadable,
    tenants: ['school-1'],
  };
}

async function nextXid(database: TestDatabase): Promise<bigint> {
  const [row] = await database.execute<{ xid: string }>('SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS xid');
  return BigInt(row?.xid ?? '');
}

async function verify(restored: TestDatabase, before: DatabaseFingerprint, after: DatabaseFingerprint, firstTouchXid?: bigint) {
  const progress = { results: {}, breaks: {} };
  const verification = await verifyDatabase(
    restored.asReader(),
    { before, after, firstTouchXid },
    { progress, save: async () => {}, timeIsShort: () => false },
  );
  if (!verification) throw new Error('not finished');
  return verification;
}

let source: TestDatabase;
beforeAll(async () => {
  source = await TestDatabase.create({ schema: SCHEMA });
}, 120_000);
afterAll(() => source.remove());

describe('a quiet database', () => {
  it('is compared exactly, and completely', async () => {
    const before = await takeFingerprint(source);
    const restored = await source.restore();
    const after = await takeFingerprint(source, before);
    const verification = await verify(restored, before, after, await nextXid(restored));
    expect(verification).toEqual({
      databaseId: 'school',
      tableCount: 5,
      rowCount: 25_040,
      rowsComparedExactly: 25_040,
      driftRowCount: 0,
      foreignKeysChecked: 2,
      indexesChecked: 8,
      heapRelationsChecked: 5,
      notChecked: [],
      findings: [],
    });
  }, 120_000);
});
