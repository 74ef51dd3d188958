import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readerGrants } from '../../../../functions/platform/database-grants.ts';
import { listTenants } from '../../../../functions/platform/fingerprint/tenants.ts';
import { Database } from '../../../../functions/platform/postgres.ts';
import { initializePostgres, type PostgresServer, startPostgresServer } from '../../../../infra/local/rds/server.ts';
import { inspectDump } from '../../../../infra/local/sample/inspect-dump.ts';
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
const EMPTY_PATH = "SELECT pg_catalog.set_config('search_path', '', false);SET check_function_bodies = off;\n";
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
  await administrator.query(
    'DROP ROLE IF EXISTS app_owner, "school reader", postgres, teacher, daybreak_reader, "od""d"',
  );
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

const loadFile = async (client: pg.Client, file: string) => loadDump(client, await inspectDump(file));

async function loadText(text: string | Buffer): Promise<Awaited<ReturnType<typeof loadDump>>> {
  const file = join(directory, `${databases}.sql`);
  await writeFile(file, text);
  return inNewDatabase(client => loadFile(client, file));
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
      const loaded = await loadFile(client, join(FIXTURES, file));
      expect(loaded).toMatchObject(counts);
      expect(loaded.createdRoles.sort()).toEqual(['app_owner', 'postgres', 'school reader']);
      expect(loaded.notes).toEqual([]);
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

  it('loads what very old versions of pg_dump wrote, and names that are words of SQL', async () => {
    const { notes, statementCount } = await loadText(`CREATE FUNCTION plpgsql_call_handler() RETURNS language_handler
    LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler';
CREATE TRUSTED PROCEDURAL LANGUAGE plpgsql HANDLER plpgsql_call_handler;
CREATE PROCEDURAL LANGUAGE plpgsql;
CREATE OR REPLACE PROCEDURAL LANGUAGE plpgsql;
ALTER PROCEDURAL LANGUAGE plpgsql OWNER TO postgres;
SET default_with_oids = false;
CREATE TABLE public.school (id integer NOT NULL, begin text);
CREATE POLICY begin ON public.school USING (true);
CREATE POLICY "end" ON public.school USING (true);
ALTER TABLE public.school ENABLE ROW LEVEL SECURITY;${COMPLETE}`);
    expect(notes).toEqual([
      'line 3: the language plpgsql is there already',
      'line 4: the extension plpgsql is there already',
    ]);
    expect(statementCount).toBe(10);
  });

  it('names every missing extension at once', async () => {
    const text = `CREATE SCHEMA x;\nCREATE EXTENSION IF NOT EXISTS postgis WITH SCHEMA public;\nCOMMENT ON EXTENSION postgis IS 'a';
CREATE EXTENSION citext;\nCREATE EXTENSION plpython3u WITH SCHEMA pg_catalog;\nCREATE PROCEDURAL LANGUAGE plpythonu;\nCREATE EXTENSION "pg-other" WITH SCHEMA x;\nCREATE TABLE t ();${COMPLETE}`;
    await expect(loadText(text)).rejects.toThrow(
      /does not have: pg-other, plpython3u \(an untrusted language\), plpythonu \(an untrusted language\), postgis; load/,
    );
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
      'line 3 of the dump: PostgreSQL refused INSERT INTO t with SQLSTATE 22P02',
    ],
    [
      'broken SQL with values',
      "INSERT INTO t VALUES ('secret' 'secret');\n",
      'line 1 of the dump: PostgreSQL refused INSERT INTO t with SQLSTATE 42601',
    ],
    [
      'broken SQL',
      'CREATE TABLE a ();\nCREATE\nTABEL secret ();\n',
      'line 3 of the dump: PostgreSQL refused CREATE TABEL with SQLSTATE 42601: syntax error at or near "TABEL"',
    ],
    [
      'a COPY into a generated column',
      "CREATE TABLE u (email text, domain text GENERATED ALWAYS AS (split_part(email, '@', 2)) STORED);\nCOPY public.u (email, domain) FROM stdin;\nsecret@b.c\tb.c\n\\.\n",
      'line 2 of the dump: PostgreSQL refused COPY public.u with SQLSTATE 42P10: column "domain" is a generated column; dump it with pg_dump, which leaves the values of such columns out',
    ],
    [
      'an INSERT into a generated column',
      "CREATE TABLE u (email text, domain text GENERATED ALWAYS AS (split_part(email, '@', 2)) STORED);\nINSERT INTO public.u (email, domain) VALUES ('secret@b.c', 'b.c');\n",
      'line 2 of the dump: PostgreSQL refused INSERT INTO public.u with SQLSTATE 428C9: cannot insert a non-DEFAULT value into column "domain"; dump it with pg_dump, which leaves the values of such columns out',
    ],
    [
      'a function that misses another',
      `${EMPTY_PATH}CREATE FUNCTION public.slugify(v text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN lower(unaccented(v)); END $$;
CREATE TABLE public.page (name text, slug text GENERATED ALWAYS AS (public.slugify(name)) STORED);
COPY public.page (name) FROM stdin;\nsecret\n\\.\n`,
      'line 5 of the dump: PostgreSQL refused COPY public.page with SQLSTATE 42883: function unaccented(text) does not exist in the function public.slugify(v text); name it there with its schema, or set the function’s search_path, and dump again: dumps are loaded with an empty one',
    ],
    [
      'a CHECK whose function names a table without its schema',
      `${EMPTY_PATH}CREATE FUNCTION public.in_dict(v text) RETURNS boolean LANGUAGE sql STABLE AS $$ select exists (select 1 from dict where val = v); $$;
CREATE TABLE public.dict (val text);\nCREATE TABLE public."It em" (val text, CONSTRAINT c CHECK (public.in_dict(val)));
COPY public."It em" (val) FROM stdin;\nsecret\n\\.\n`,
      'line 6 of the dump: PostgreSQL refused COPY public."It em" with SQLSTATE 42P01: relation "dict" does not exist in the function public.in_dict(v text); name it there with its schema, or set the function’s search_path, and dump again: dumps are loaded with an empty one',
    ],
    [
      'an index whose function names a table without its schema',
      `${EMPTY_PATH}CREATE FUNCTION public.rank(v text) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN (SELECT n FROM ranks WHERE val = v); END $$;
CREATE TABLE public.t (val text);\nINSERT INTO public.t VALUES ('secret');
CREATE INDEX t_rank ON public.t USING btree (public.rank(val));\n`,
      'line 5 of the dump: PostgreSQL refused CREATE INDEX t_rank ON public.t with SQLSTATE 42P01: relation "ranks" does not exist in the function public.rank(v text); name it there with its schema, or set the function’s search_path, and dump again: dumps are loaded with an empty one',
    ],
    [
      'a function that makes SQL, and its errors, of rows',
      `CREATE FUNCTION public.sneaky(v text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN EXECUTE format('SELECT * FROM %I', v); RETURN true; END $$;
CREATE TABLE public.t (val text, CHECK (public.sneaky(val)));
COPY public.t (val) FROM stdin;\nPL/pgSQL function secret() line 1 at secret\\nSQL function "secret" statement 1\n\\.\n`,
      'line 4 of the dump: PostgreSQL refused COPY public.t with SQLSTATE 42P01 in the function public.sneaky(v text)',
    ],
    [
      'a function that raises rows',
      `CREATE FUNCTION public.loud(v text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'function secret() does not exist' USING ERRCODE = '42883', DETAIL = v; END $$;
CREATE TABLE public.t (val text);\nINSERT INTO public.t VALUES ('secret');\nALTER TABLE ONLY public.t ADD CONSTRAINT c CHECK (public.loud(val || 'x'));\n`,
      'line 4 of the dump: PostgreSQL refused ALTER TABLE ONLY public.t with SQLSTATE 42883: function secret() does not exist in the function public.loud(v text); name it there with its schema, or set the function’s search_path, and dump again: dumps are loaded with an empty one',
    ],
    [
      'rows that are not UTF-8',
      Buffer.from('CREATE TABLE t (a text);\nCOPY t FROM stdin;\nsecret \xe9\n\\.\n', 'latin1'),
      'line 3 of the dump: PostgreSQL refused COPY t with SQLSTATE 22021; bytes that are not UTF-8 are in it; dump with pg_dump --encoding=UTF8',
    ],
    [
      'a tablespace',
      'CREATE TABLE t (a text) TABLESPACE fast;\n',
      'line 1 of the dump: PostgreSQL refused CREATE TABLE with SQLSTATE 42704: tablespace "fast" does not exist; dump with pg_dump --no-tablespaces',
    ],
    [
      'rows after an error in a transaction',
      "BEGIN;\nCREATE TABLE t (a int);\nALTER TABLE t OWNER TO nobody_yet;\nINSERT INTO t VALUES ('secret');\nCOMMIT;\n",
      'line 3 of the dump: PostgreSQL refused ALTER TABLE t with SQLSTATE 42704: role "nobody_yet" does not exist',
    ],
    [
      'a transaction without its end',
      "BEGIN;\nCREATE TABLE t (a text);\nINSERT INTO t VALUES ('secret');\n",
      'the dump ends inside a transaction, so that all since its BEGIN would be lost',
    ],
  ])('says where and why for %s, without rows', async (_what, text, message) => {
    const file = join(directory, 'refused.sql');
    await writeFile(file, Buffer.concat([Buffer.from(text), Buffer.from(COMPLETE)]));
    const client = await server.connect();
    const error = await loadFile(client, file).catch((caught: unknown) => caught);
    await client.query('ROLLBACK; RESET ALL; DROP SCHEMA public CASCADE; CREATE SCHEMA public');
    await client.end();
    expect(String(error)).toBe(`DumpRefusedError: ${message}`);
    expect(error).not.toHaveProperty('cause');
  });
});

describe('what only an owner’s power allows', () => {
  it('is done, and ends with the load, but for what only a superuser may own', async () => {
    const text = `
CREATE FUNCTION public.evt() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'ddl %', tg_tag; END $$;
ALTER FUNCTION public.evt() OWNER TO postgres;
CREATE SCHEMA app;
SET SESSION AUTHORIZATION 'od"d';
CREATE TABLE app.owned (id int CHECK (id > 0));
CREATE TABLE app.watched (id int);
ALTER TABLE app.watched ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.watched FORCE ROW LEVEL SECURITY;
RESET SESSION AUTHORIZATION;
SET SESSION AUTHORIZATION "od""d";
COPY app.watched (id) FROM stdin;
1
\\.
GRANT USAGE ON SCHEMA app TO teacher;
GRANT SELECT ON app.owned TO teacher WITH GRANT OPTION;
SET SESSION AUTHORIZATION teacher;
GRANT SELECT ON app.owned TO app_owner;
SET SESSION AUTHORIZATION DEFAULT;
CREATE FOREIGN DATA WRAPPER far;
ALTER FOREIGN DATA WRAPPER far OWNER TO postgres;
CREATE PUBLICATION everything FOR ALL TABLES;
ALTER PUBLICATION everything OWNER TO app_owner;
CREATE EVENT TRIGGER et ON ddl_command_end EXECUTE FUNCTION public.evt();
ALTER EVENT TRIGGER et OWNER TO postgres;
${COMPLETE}`;
    await writeFile(join(directory, 'owners.sql'), text);
    await inNewDatabase(async client => {
      const { createdRoles, notes } = await loadFile(client, join(directory, 'owners.sql'));
      expect(createdRoles).toEqual(['postgres', 'od"d', 'teacher', 'app_owner']);
      expect(notes.sort()).toEqual([
        'the role app_owner owns what only a superuser may own, and is one',
        'the role postgres owns what only a superuser may own, and is one',
      ]);
      const { rows } = await client.query(
        'SELECT rolname AS role, rolcanlogin AS login, rolsuper AS super FROM pg_roles WHERE rolname = ANY ($1) ORDER BY 1',
        [createdRoles],
      );
      expect(rows).toEqual([
        { role: 'app_owner', login: false, super: true },
        { role: 'od"d', login: false, super: false },
        { role: 'postgres', login: false, super: true },
        { role: 'teacher', login: false, super: false },
      ]);
      const { rows: granted } = await client.query(
        `SELECT a.grantor::regrole::text, a.grantee::regrole::text, relowner::regrole::text AS owner
           FROM pg_class, aclexplode(relacl) a WHERE relname = 'owned' AND a.grantee <> relowner ORDER BY 1`,
      );
      expect(granted).toEqual([
        { grantor: '"od""d"', grantee: 'teacher', owner: '"od""d"' },
        { grantor: 'teacher', grantee: 'app_owner', owner: '"od""d"' },
      ]);
      expect((await client.query('SELECT current_user, session_user')).rows).toEqual([
        { current_user: 'rdsadmin', session_user: 'rdsadmin' },
      ]);
    });
  });

  it('leaves the reader of an earlier backup able to read, and nobody else’s role taken for ours', async () => {
    const text = `CREATE TABLE public.school (id int);\nGRANT SELECT ON TABLE public.school TO daybreak_reader;${COMPLETE}`;
    await writeFile(join(directory, 'reader.sql'), text);
    await inNewDatabase(async client => {
      await loadFile(client, join(directory, 'reader.sql'));
      await client.query('CREATE ROLE rds_iam NOLOGIN');
      await client.query(readerGrants());
      const reader = await server.connect(`loaded_${databases}`, { user: 'daybreak_reader' });
      expect((await reader.query('SELECT count(*) FROM public.school')).rows).toEqual([{ count: '0' }]);
      await reader.end();
      await client.query('DROP OWNED BY daybreak_reader; DROP ROLE daybreak_reader, rds_iam');
    });
    await expect(loadText(`CREATE TABLE t ();\nGRANT SELECT ON t TO local_visitor;${COMPLETE}`)).rejects.toThrow(
      'line 2 of the dump names the role local_visitor, which a local run makes for itself; dump with pg_dump --no-privileges --no-owner',
    );
  });
});

describe('listTenants on a loaded dump', () => {
  it('finds the root table under each name that means it, and asks where two are meant', async () => {
    await inNewDatabase(async client => {
      await loadFile(client, join(FIXTURES, 'quoted-names.sql'));
      const { query } = new Database(async () => client, 'the dump');
      const tenantsOf = async (rootTable: string, rootColumn: string) =>
        (await listTenants(query, { rootTable, rootColumn })).tenants.map(({ id }) => id);
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
