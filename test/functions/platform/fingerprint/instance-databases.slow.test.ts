import { afterAll, beforeAll, expect, it } from 'vitest';
import { listInstanceDatabases } from '../../../../functions/platform/fingerprint/instance-databases.ts';
import { TestDatabase } from '../../../fixtures/database.ts';

let source: TestDatabase;
beforeAll(async () => {
  source = await TestDatabase.create({ schema: 'CREATE TABLE school ()' });
}, 120_000);
afterAll(() => source.remove());

it('lists each other database with its tables, or that the reader cannot see them', async () => {
  // Each statement by itself: none of them can be in a transaction.
  for (const statement of ['CREATE DATABASE "Old Reports"', 'CREATE DATABASE closed', 'CREATE DATABASE gone']) {
    await source.execute(statement);
  }
  await source.execute('REVOKE CONNECT ON DATABASE closed FROM PUBLIC');
  const admin = await source.session('Old Reports');
  await admin.query(`CREATE TABLE report (); CREATE TABLE by_year (y int) PARTITION BY RANGE (y); CREATE VIEW v AS SELECT 1;
    CREATE UNLOGGED TABLE u (); CREATE TEMP TABLE t (); CREATE MATERIALIZED VIEW m AS SELECT 1`);
  await admin.end();
  const other = await source.session('postgres');
  await other.query('SELECT lo_create(0), lo_create(0)');
  await other.end();
  const reader = source.asReader();
  const listed = await listInstanceDatabases(reader.query, name => {
    // It is dropped after it was listed.
    return source.asReader(name === 'gone' ? 'dropped just now' : name);
  });
  expect(listed).toEqual([
    { name: 'Old Reports', tableCount: 4 },
    { name: 'closed', tableCount: null },
    { name: 'gone', tableCount: null },
    // Large objects lie in a table of the system's.
    { name: 'postgres', tableCount: 1 },
    { name: 'template0', tableCount: null },
    { name: 'template1', tableCount: 0 },
  ]);
}, 120_000);
