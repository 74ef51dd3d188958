import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type CatalogMeasurement,
  measureCatalogs,
  nameUserObjects,
  planCatalogs,
} from '../../../functions/platform/fingerprint/catalog-rows.ts';
import { parseSnapshot } from '../../../functions/platform/fingerprint/horizon.ts';
import { Database } from '../../../functions/platform/postgres.ts';
import { checkCatalogs } from '../../../functions/restore-test/check-catalog.ts';
import { TestDatabase } from '../../fixtures/database.ts';

const seeds: [string, string] = ['4242424242', '-1717171717171717'];
const SCHEMA = `
  CREATE ROLE app; CREATE ROLE staff; CREATE ROLE dba; CREATE ROLE idle;
  CREATE TABLE school (id text PRIMARY KEY, name text NOT NULL);
  CREATE TABLE pupil (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, school_id text REFERENCES school, name text,
    notes text, email text CHECK (email LIKE '%@%'));
  COMMENT ON TABLE pupil IS 'one for each child';
  CREATE VIEW names AS SELECT name FROM pupil;
  ALTER TABLE pupil CLUSTER ON pupil_pkey;
  CREATE MATERIALIZED VIEW counts AS SELECT count(*) FROM pupil;
  CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1';
  CREATE FUNCTION one(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
  CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
  CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
  CREATE TRIGGER touched BEFORE UPDATE ON pupil FOR EACH ROW EXECUTE FUNCTION touch();
  CREATE EVENT TRIGGER watched ON ddl_command_start EXECUTE FUNCTION watch();
  ALTER EVENT TRIGGER watched DISABLE;
  CREATE POLICY own ON pupil USING (name = current_user);
  CREATE TYPE mood AS ENUM ('good', 'bad');
  CREATE DOMAIN age AS int CHECK (VALUE > 0);
  CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int);
  CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq);
  CREATE COLLATION plain (provider = builtin, locale = 'C');
  CREATE TEXT SEARCH CONFIGURATION words (COPY = english);
  CREATE STATISTICS together ON school_id, name FROM pupil;
  CREATE FUNCTION rank(mood) RETURNS int LANGUAGE sql AS 'SELECT 1';
  CREATE CAST (mood AS int) WITH FUNCTION rank(mood) AS ASSIGNMENT;
  CREATE FOREIGN DATA WRAPPER far;
  CREATE SERVER elsewhere FOREIGN DATA WRAPPER far OPTIONS (host 'old');
  CREATE USER MAPPING FOR app SERVER elsewhere OPTIONS (user 'app', password 'secret');
  CREATE FOREIGN TABLE remote (a int) SERVER elsewhere OPTIONS (t 'x');
  CREATE PUBLICATION told FOR TABLE pupil WHERE (id > 10);
  CREATE SUBSCRIPTION sub CONNECTION 'host=/nowhere password=secret' PUBLICATION p WITH (connect = false, slot_name = NONE);
  ALTER DEFAULT PRIVILEGES FOR ROLE app GRANT SELECT ON TABLES TO staff;
  GRANT SELECT ON pupil TO staff;
  GRANT staff TO app;
  ALTER ROLE app SET work_mem = '8MB';
  ALTER DATABASE school SET statement_timeout = '1min';
  CREATE TABLE part (a int) PARTITION BY LIST (a);
  CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1);
  INSERT INTO school VALUES ('oak', 'Oak'); INSERT INTO pupil (school_id, name) SELECT 'oak', g FROM generate_series(1, 50) g;
  ALTER TABLE school ADD COLUMN phase text[] DEFAULT ARRAY['primary'];
`;

async function measure(database: TestDatabase, before?: CatalogMeasurement): Promise<CatalogMeasurement> {
  const reader = database.asReader();
  const plan = planCatalogs(seeds, before);
  const measured = await measureCatalogs(reader, plan);
  if (before) return measured;
  return { ...measured, names: await nameUserObjects(reader.query, plan(parseSnapshot(measured.snapshot))) };
}

let source: TestDatabase;
let copy: TestDatabase;
let before: CatalogMeasurement;
let after: CatalogMeasurement;
let altered: Database;
beforeAll(async () => {
  source = await TestDatabase.create({ schema: SCHEMA });
  before = await measure(source);
  copy = await source.restore();
  after = await measure(source, before);
  altered = new Database(() => copy.session(), 'database school');
}, 120_000);
afterAll(async () => {
  await altered.close();
  await source.remove();
});

/** What is found on the copy once `statements` ran on it; they are taken back. */
async function findingsAfter(statements: string): Promise<string[]> {
  const { query } = altered;
  await query('BEGIN READ WRITE');
  try {
    await query('SET LOCAL search_path = public');
    await query(statements);
    await query('SET LOCAL search_path = pg_catalog, pg_temp');
    await query('SET LOCAL ROLE daybreak_reader');
    const { findings, gaps } = await checkCatalogs(
      { query, transaction: async (_isolation, work) => await work(query) },
      { databaseId: 'school', seeds, before, after, firstTouchXid: undefined },
    );
    expect(gaps).toEqual([]);
    return findings.map(({ kind, place }) => `${kind} ${place}`);
  } finally {
    await query('ROLLBACK');
  }
}

describe('an altered copy', () => {
  it('is not what this one is', async () => {
    const reader = copy.asReader();
    const result = await checkCatalogs(reader, {
      databaseId: 'school',
      seeds,
      before,
      after,
      firstTouchXid: undefined,
    });
    expect(result).toEqual({ findings: [], gaps: [] });
    expect(before.catalogs.reduce((sum, { rowCount }) => sum + rowCount, 0)).toBeGreaterThan(18_000);
  }, 60_000);

  // What stands in one group is altered at once; each finding is due to one of them, and none to nothing.
  it.each<[string, Record<string, string[]>]>([
    [
      'roles',
      {
        'CREATE ROLE intruder SUPERUSER': ['catalog-added pg_authid: role intruder'],
        'ALTER ROLE app SUPERUSER': ['catalog-changed pg_authid: role app'],
        'ALTER ROLE staff BYPASSRLS': ['catalog-changed pg_authid: role staff'],
        'ALTER ROLE dba LOGIN': ['catalog-changed pg_authid: role dba'],
        'DROP ROLE idle': ['catalog-missing pg_authid: role idle'],
        'GRANT dba TO app': ['catalog-added pg_auth_members: membership of role app in role dba'],
        "ALTER ROLE app SET work_mem = '9MB'": ['catalog-changed pg_db_role_setting: settings of role app'],
        "ALTER ROLE staff SET work_mem = '9MB'": ['catalog-added pg_db_role_setting: settings of role staff'],
        "ALTER ROLE dba PASSWORD 'another'": [],
      },
    ],
    [
      'the database itself',
      {
        'ALTER DATABASE school RESET statement_timeout': [
          'catalog-missing pg_db_role_setting: settings of database school',
        ],
        "ALTER ROLE app IN DATABASE school SET work_mem = '1MB'": [
          'catalog-added pg_db_role_setting: settings of role app in database school',
        ],
        'GRANT ALL ON DATABASE school TO app': [
          'catalog-changed pg_database: database school',
          'catalog-added pg_shdepend: database school',
        ],
        "COMMENT ON DATABASE school IS 'altered'": ['catalog-added pg_shdescription: database school'],
        'ALTER DATABASE template1 OWNER TO dba': [
          'catalog-changed pg_database: database template1',
          'catalog-added pg_shdepend: database template1',
        ],
        'REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC': ['catalog-changed pg_language: language plpgsql'],
        'ALTER LANGUAGE plpgsql OWNER TO dba': ['catalog-added pg_shdepend: language plpgsql'],
      },
    ],
    [
      'text search, statistics, casts, collations, operators',
      {
        'ALTER TEXT SEARCH CONFIGURATION words DROP MAPPING FOR url': [
          'catalog-missing pg_ts_config_map: text search configuration public.words',
        ],
        'ALTER STATISTICS together SET STATISTICS 7': [
          'catalog-changed pg_statistic_ext: statistics object public.together',
        ],
        'ALTER COLLATION plain RENAME TO fancy': ['catalog-changed pg_collation: collation public.fancy'],
        'ALTER OPERATOR === (int, int) SET (RESTRICT = eqsel)': [
          'catalog-changed pg_operator: operator public.===(integer,integer)',
        ],
        'DROP CAST (mood AS int)': [
          'catalog-missing pg_cast: cast (public.mood AS integer)',
          'catalog-missing pg_depend: row',
          'catalog-missing pg_depend: row',
        ],
        "COMMENT ON TABLE pupil IS 'altered'": ['catalog-changed pg_description: table public.pupil'],
        "COMMENT ON COLUMN pupil.name IS 'new'": ['catalog-added pg_description: table column public.pupil.name'],
      },
    ],
    [
      'what reaches other servers',
      {
        'ALTER SUBSCRIPTION sub SET (synchronous_commit = on)': ['catalog-changed pg_subscription: subscription sub'],
        'ALTER PUBLICATION told SET TABLE pupil WHERE (id > 20)': [
          'catalog-missing pg_publication_rel: publication relation public.pupil in publication told',
          'catalog-added pg_publication_rel: publication relation public.pupil in publication told',
          ...Array(3).fill('catalog-missing pg_depend: row'),
          ...Array(3).fill('catalog-added pg_depend: publication relation public.pupil in publication told'),
        ],
        "ALTER SERVER elsewhere OPTIONS (SET host 'new')": ['catalog-changed pg_foreign_server: server elsewhere'],
        "ALTER USER MAPPING FOR app SERVER elsewhere OPTIONS (SET user 'dba')": [
          'catalog-changed pg_user_mapping: user mapping app on server elsewhere',
        ],
        "ALTER FOREIGN TABLE remote OPTIONS (SET t 'y')": [
          'catalog-changed pg_foreign_table: foreign table public.remote',
        ],
      },
    ],
    [
      'tables',
      {
        'ALTER TABLE pupil ALTER notes SET STORAGE EXTERNAL': [
          'catalog-changed pg_attribute: table column public.pupil.notes',
        ],
        'ALTER TABLE pupil DISABLE TRIGGER ALL': [
          'catalog-changed pg_trigger: trigger "RI_ConstraintTrigger_c_N" on public.pupil',
          'catalog-changed pg_trigger: trigger "RI_ConstraintTrigger_c_N" on public.pupil',
          'catalog-changed pg_trigger: trigger touched on public.pupil',
        ],
        'ALTER EVENT TRIGGER watched ENABLE': ['catalog-changed pg_event_trigger: event trigger watched'],
        'ALTER TABLE school ALTER phase DROP DEFAULT': [
          'catalog-changed pg_attribute: table column public.school.phase',
          'catalog-missing pg_attrdef: default value for public.school.phase',
          'catalog-missing pg_depend: row',
          'catalog-missing pg_depend: row',
        ],
        'ALTER TABLE pupil ENABLE ROW LEVEL SECURITY': ['catalog-changed pg_class: table public.pupil'],
        'ALTER POLICY own ON pupil USING (true)': ['catalog-changed pg_policy: policy own on public.pupil'],
      },
    ],
    [
      'indexes, triggers, rules and heirs that the server is told not to look for',
      {
        "UPDATE pg_class SET relhasindex = false WHERE relname = 'school'": [
          'catalog-changed pg_class: table public.school',
        ],
        "UPDATE pg_class SET relhastriggers = false WHERE relname = 'pupil'": [
          'catalog-changed pg_class: table public.pupil',
        ],
        "UPDATE pg_class SET relhasrules = false WHERE relname = 'names'": [
          'catalog-changed pg_class: view public.names',
        ],
        "UPDATE pg_class SET relhassubclass = false WHERE relname = 'part'": [
          'catalog-changed pg_class: table public.part',
        ],
        // As VACUUM leaves it where the last one is gone.
        "UPDATE pg_class SET relhasindex = true WHERE relname = 'part_1'": [],
      },
    ],
    [
      'functions, types, views, privileges',
      {
        'ALTER FUNCTION one() SECURITY DEFINER': ['catalog-changed pg_proc: function public.one()'],
        "ALTER TYPE mood RENAME VALUE 'bad' TO 'sad'": ['catalog-changed pg_enum: type public.mood'],
        'ALTER DOMAIN age SET NOT NULL': [
          'catalog-changed pg_type: type public.age',
          'catalog-added pg_constraint: domain constraint age_not_null on public.age',
          'catalog-added pg_depend: domain constraint age_not_null on public.age',
        ],
        'CREATE OR REPLACE VIEW names AS SELECT email AS name FROM pupil': [
          'catalog-changed pg_rewrite: rule "_RETURN" on public.names',
          'catalog-missing pg_depend: row',
          'catalog-added pg_depend: rule "_RETURN" on public.names',
        ],
        'GRANT SELECT ON school TO staff': [
          'catalog-changed pg_class: table public.school',
          'catalog-added pg_shdepend: table public.school',
        ],
        'ALTER DEFAULT PRIVILEGES FOR ROLE app GRANT INSERT ON TABLES TO staff': [
          'catalog-changed pg_default_acl: default acl for role app on tables',
        ],
        'ALTER SEQUENCE pupil_id_seq INCREMENT 5': ['catalog-changed pg_sequence: sequence public.pupil_id_seq'],
        'ALTER INDEX pupil_pkey RENAME TO other': [
          'catalog-changed pg_class: index public.other',
          'catalog-changed pg_constraint: table constraint other on public.pupil',
        ],
        'UPDATE information_schema.sql_sizing SET supported_value = 7 WHERE sizing_id = 97': [
          'catalog-missing information_schema.sql_sizing: row',
          'catalog-added information_schema.sql_sizing: row',
        ],
      },
    ],
  ])(
    '%s',
    async (_what, alterations) => {
      const found = await findingsAfter(Object.keys(alterations).join(';\n'));
      const plain = found.map(finding =>
        finding.replace(/: row [0-9a-f]{32}$/, ': row').replace(/(RI_ConstraintTrigger_[ac]_)\d+/, '$1N'),
      );
      expect(plain.toSorted()).toEqual(Object.values(alterations).flat().toSorted());
    },
    60_000,
  );
});

describe('an untouched copy', () => {
  it('is one through what happens to a live database meanwhile', async () => {
    const first = await measure(source);
    const open = await source.session();
    await open.query(`CREATE TEMP TABLE mine (a int PRIMARY KEY, b text); COMMENT ON TABLE mine IS 'of one session';
      CREATE TEMP SEQUENCE numbers; CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'`);
    const busy = `
      INSERT INTO pupil (school_id, name, notes) SELECT 'oak', g, repeat(md5(g::text), 300) FROM generate_series(1, 2000) g;
      DELETE FROM pupil WHERE id % 3 = 0;
      REFRESH MATERIALIZED VIEW counts;
      CREATE INDEX IF NOT EXISTS by_name ON pupil (name)`;
    await source.execute(busy);
    for (const command of ['VACUUM (ANALYZE)', 'VACUUM (FULL, ANALYZE) pupil', 'REINDEX TABLE CONCURRENTLY pupil']) {
      await source.execute(command);
    }
    await open.end();
    const quiet = await source.restore();
    await source.execute(busy);
    for (const command of ['VACUUM (FULL, FREEZE)', 'REINDEX DATABASE school', 'CLUSTER pupil USING pupil_pkey']) {
      await source.execute(command);
    }
    await source.execute('CREATE TABLE later (id int PRIMARY KEY); DROP VIEW names; GRANT SELECT ON school TO dba');
    const last = await measure(source, first);
    const result = await checkCatalogs(quiet.asReader(), {
      databaseId: 'school',
      seeds,
      before: first,
      after: last,
      firstTouchXid: undefined,
    });
    expect(result).toMatchObject({ findings: [], gaps: [] });
  }, 60_000);

  it('is drift where the snapshot fell between two changes, and a finding where the copy itself was changed', async () => {
    const first = await measure(source);
    await source.execute(`ALTER TABLE pupil DISABLE TRIGGER touched; CREATE TABLE staging (a int)`);
    const between = await source.restore();
    const [row] = await between.execute<{ xid: string }>('SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS xid');
    await source.execute(`ALTER TABLE pupil ENABLE TRIGGER touched; DROP TABLE staging`);
    const last = await measure(source, first);
    const compare = () =>
      checkCatalogs(between.asReader(), {
        databaseId: 'school',
        seeds,
        before: first,
        after: last,
        firstTouchXid: BigInt(row?.xid ?? ''),
      });
    const { findings, gaps } = await compare();
    expect(findings).toEqual([]);
    expect(gaps).toContainEqual({ kind: 'catalog-drift', databaseId: 'school', catalog: 'pg_trigger', rowCount: 1 });
    expect(new Set(gaps.map(gap => gap.kind))).toEqual(new Set(['catalog-drift']));
    await between.execute('ALTER TABLE pupil ENABLE ALWAYS TRIGGER touched');
    expect((await compare()).findings).toEqual([
      { kind: 'catalog-changed', place: 'pg_trigger: trigger touched on public.pupil', detail: expect.any(String) },
    ]);
  }, 60_000);
});
