import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listTenants } from '../../../../functions/platform/fingerprint/tenants.ts';
import { Database } from '../../../../functions/platform/postgres.ts';
import { initializePostgres, type PostgresServer, startPostgresServer } from '../../../../infra/local/rds/server.ts';
import { loadDump } from '../../../../infra/local/sample/load-dump.ts';
import { makeTemporaryDirectory } from '../rds/temporary-directory.ts';

const FIXTURES = join(import.meta.dirname, '../../../fixtures/dumps');
// Of the database that the fixtures were dumped from, with PostgreSQL 15.
const ORIGINAL = [
  { name: 'school', count: '7', digest: '21759d4ff73dd62ed259481f5c7551e4' },
  { name: 'pupil', count: '120', digest: 'ba45a7fb67569c330365e3084084b2fa' },
  { name: 'audit.entry', count: '20', digest: '840c43b99729b57000b92ca9a8211a13' },
  { name: 'counts', count: '7', digest: '68d7aeb71b92565081bbf463d4f93b26' },
];
const COMPLETE = '\n-- PostgreSQL database dump complete\n';

let directory: string;
let server: PostgresServer;
let databases = 0;

beforeAll(async () => {
  directory = await makeTemporaryDirectory();
  await initializePostgres(join(directory, 'data'));
  server = await startPostgresServer({ dataDirectory: join(directory, 'data') });
});

afterAll(async () => {
  await server.stop();
  await rm(directory, { recursive: true });
});

async function inNewDatabase<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
  const name = `loaded_${++databases}`;
  const administrator = await server.connect();
  // Roles are the server's, not the database's.
  await administrator.query('DROP ROLE IF EXISTS app_owner, "school reader", postgres');
  await administrator.query(`CREATE DATABASE ${name}`);
  const client = await server.connect(name);
  try {
    return await work(client);
  } finally {
    await client.end();
    await administrator.query(`DROP DATABASE ${name}`);
    await administrator.end();
  }
}

async function loadText(text: string | Buffer): Promise<Awaited<ReturnType<typeof loadDump>>> {
  const file = join(directory, `${databases}.sql`);
  await writeFile(file, text);
  return inNewDatabase(client => loadDump(client, file));
}

async function digests(client: pg.Client) {
  const found: unknown[] = [];
  for (const { name } of ORIGINAL) {
    const { rows } = await client.query(
      `SELECT count(*), md5(string_agg(t::text, E'\\n' ORDER BY t::text COLLATE "C")) AS digest FROM ${name} t`,
    );
    found.push({ name, ...rows[0] });
  }
  return found;
}

describe('loadDump', () => {
  it.each([
    ['COPY', 'school.sql', { copiedTableCount: 4, rowCount: 147 }],
    ['INSERT', 'school-inserts.sql', { copiedTableCount: 0, rowCount: 0 }],
  ])('loads a dump of pg_dump with %s unaltered', async (_kind, file, counts) => {
    await inNewDatabase(async client => {
      const loaded = await loadDump(client, join(FIXTURES, file));
      expect(loaded).toMatchObject(counts);
      expect(loaded.createdRoles.sort()).toEqual(['app_owner', 'postgres', 'school reader']);
      expect(loaded.notes).toHaveLength(1);
      expect(await digests(client)).toEqual(ORIGINAL);
      const { rows } = await client.query(
        'SELECT md5(lo_get(424242)) AS large, new_style(2) AS new, old_style(2) AS old',
      );
      expect(rows).toEqual([{ large: '323c8cca47b8f079b415e3c7a7332534', new: 2, old: 1 }]);
      const { rows: owners } = await client.query(
        `SELECT rolsuper, rolcanlogin FROM pg_roles JOIN pg_class ON relowner = pg_roles.oid WHERE relname IN ('counts', 'pupil')`,
      );
      expect(owners).toEqual([
        { rolsuper: false, rolcanlogin: false },
        { rolsuper: false, rolcanlogin: false },
      ]);
    });
  });

  it('loads a gzipped dump', async () => {
    const zipped = gzipSync(await readFile(join(FIXTURES, 'school.sql')));
    expect(await loadText(zipped)).toMatchObject({ copiedTableCount: 4, rowCount: 147 });
  });

  it('skips settings that the server does not know, and the schema that is there', async () => {
    const { notes } = await loadText(`SET of_the_future = 1;\nCREATE SCHEMA public;${COMPLETE}`);
    expect(notes).toEqual([
      'line 1: the setting of_the_future is unknown to this server; skipped',
      'line 2: the schema public is there already',
    ]);
  });

  it('names every missing extension at once', async () => {
    const text = `CREATE SCHEMA x;\nCREATE EXTENSION IF NOT EXISTS postgis WITH SCHEMA public;\nCOMMENT ON EXTENSION postgis IS 'a';
CREATE EXTENSION citext;\nCREATE EXTENSION "pg-other" WITH SCHEMA x;\nCREATE TABLE t ();${COMPLETE}`;
    await expect(loadText(text)).rejects.toThrow(/does not have: pg-other, postgis;/);
  });

  it.each([
    [
      'a broken row',
      'CREATE TABLE t (a int);\nCOPY t FROM stdin;\n1\nsecret\n\\.\n',
      'line 4 of the dump: PostgreSQL refused COPY t with SQLSTATE 22P02',
    ],
    [
      'a row twice',
      'CREATE TABLE t (a text PRIMARY KEY);\nCOPY t FROM stdin;\nsecret\nsecret\n\\.\n',
      'line 4 of the dump: PostgreSQL refused COPY t with SQLSTATE 23505 (schema public, table t, constraint t_pkey)',
    ],
    [
      'a broken value',
      "CREATE TABLE t (a int);\nINSERT INTO t VALUES\n('secret');\n",
      'line 3 of the dump: PostgreSQL refused INSERT INTO with SQLSTATE 22P02',
    ],
    [
      'broken SQL with values',
      "INSERT INTO t VALUES ('secret' 'secret');\n",
      'line 1 of the dump: PostgreSQL refused INSERT INTO with SQLSTATE 42601',
    ],
    [
      'broken SQL',
      'CREATE TABLE a ();\nCREATE\nTABEL secret ();\n',
      'line 3 of the dump: PostgreSQL refused CREATE TABEL with SQLSTATE 42601: syntax error at or near "TABEL"',
    ],
  ])('says where and why for %s, without rows', async (_what, text, message) => {
    const error = await loadText(text + COMPLETE).catch((caught: unknown) => caught);
    expect(String(error)).toBe(`DumpRefusedError: ${message}`);
    expect(error).not.toHaveProperty('cause');
  });

  it.each([
    ['a dump that is cut off', 'SELECT 1;\n', /cut off/],
    ['the custom format', 'PGDMP\x01\x0e', /pg_restore --file=dump.sql/],
    ['UTF-16', Buffer.from('\ufeffSELECT 1;', 'utf16le'), /UTF-16/],
    [
      'another encoding',
      `SET client_encoding = 'LATIN1';${COMPLETE}`,
      /encoded in LATIN1; dump with pg_dump --encoding=UTF8/,
    ],
  ])('refuses %s', async (_what, content, message) => {
    await expect(loadText(content)).rejects.toThrow(message);
  });
});

describe('listTenants on a loaded dump', () => {
  it('finds the root table under each name that means it, and asks where two are meant', async () => {
    await inNewDatabase(async client => {
      await loadDump(client, join(FIXTURES, 'quoted-names.sql'));
      const { query } = new Database(async () => client, 'the dump');
      const tenantsOf = (rootTable: string, rootColumn: string) => listTenants(query, { rootTable, rootColumn });
      expect(await tenantsOf('"My.App"."School"', '"Id"')).toEqual(['S1', 's1']);
      expect(await tenantsOf('My.App.School', 'Id')).toEqual(['S1', 's1']);
      expect(await tenantsOf('the schools', 'id')).toEqual(['10', '11']);
      expect(await tenantsOf('public."the schools"', 'id')).toEqual(['10', '11']);
      expect(await tenantsOf('My.App.order', 'School.Id')).toEqual(['S1', 's1']);
      expect(await tenantsOf('"a"."b.c"', 'id')).toEqual(['ab']);
      // Of the two that are there, only one has the column.
      expect(await tenantsOf('a.b.c', 'only_here')).toEqual(['yes']);
      await expect(tenantsOf('a.b.c', 'id')).rejects.toThrow(
        'the root table a.b.c (column id) may mean "a"."b.c" or "a.b"."c"; write the name with its double quotes',
      );
      await expect(tenantsOf('my.app.school', 'Id')).rejects.toThrow('my.app.school (column Id) does not exist; name');
      await expect(tenantsOf('"My.App.School"', 'Id')).rejects.toThrow('(column Id) does not exist; name');
      await expect(tenantsOf('My.App.School', 'id')).rejects.toThrow('(column id) has no such column; name');
      await expect(tenantsOf('"School', 'id')).rejects.toThrow('its name has double quotes that do not enclose');
    });
  });
});
