import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { quoteIdentifier } from '../../../functions/platform/postgres.ts';
import { TestDatabase } from '../../fixtures/database.ts';

const COMMAND = join(import.meta.dirname, '../../../runbooks/cli/daybreak.ts');
const printed = async (...parameters: string[]) =>
  (await promisify(execFile)(process.execPath, [COMMAND, 'database', 'grant-sql', ...parameters])).stdout;

let school: TestDatabase;
beforeAll(async () => {
  school = await TestDatabase.create({ grants: false });
  // As on RDS: an administrator who is no superuser runs it, and somebody else owns the tables.
  await school.execute(`
    CREATE ROLE administrator LOGIN CREATEROLE;
    GRANT rds_iam, pg_read_all_data TO administrator WITH ADMIN OPTION;
    GRANT CONNECT, CREATE ON DATABASE school TO administrator WITH GRANT OPTION;
    REVOKE CONNECT ON DATABASE school FROM PUBLIC;
    CREATE ROLE app LOGIN;
    GRANT CREATE, CONNECT ON DATABASE school TO app;
    SET ROLE app;
    CREATE SCHEMA wellbeing;
    CREATE TABLE wellbeing.pupil (id int PRIMARY KEY, note text);
    INSERT INTO wellbeing.pupil VALUES (1, 'a');
  `);
});
afterAll(() => school?.remove());

/** Runs statements as a role, in one session. */
async function as<Row extends object>(role: string, statements: string): Promise<Row[]> {
  const client: Client = await school.session();
  try {
    await client.query(`SET SESSION AUTHORIZATION ${quoteIdentifier(role)}`);
    const result = await client.query<Row>(statements);
    return (Array.isArray(result) ? result.at(-1) : result).rows;
  } finally {
    await client.end();
  }
}

const roleOf = (name: string) =>
  school.execute(`
    SELECT r.rolcanlogin, r.rolsuper, r.rolcreaterole, r.rolcreatedb, s.setconfig,
           (SELECT array_agg(g.rolname::text ORDER BY g.rolname) FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
             WHERE m.member = r.oid) AS memberships
      FROM pg_roles r LEFT JOIN pg_db_role_setting s ON s.setrole = r.oid
     WHERE r.rolname = '${name.replaceAll("'", "''")}'`);

describe.each(['daybreak_reader_2', `o'Brien"--;DROP`])('the SQL that is printed for %s', reader => {
  it('lets the reader read every table, one that comes later too', async () => {
    await as('administrator', await printed('--reader', reader));
    await as('app', `CREATE TABLE IF NOT EXISTS wellbeing.later AS SELECT 7 AS id; CREATE SCHEMA IF NOT EXISTS more`);
    await as('app', 'CREATE TABLE IF NOT EXISTS more.room AS SELECT 8 AS id');
    expect(await as(reader, 'SELECT note FROM wellbeing.pupil')).toEqual([{ note: 'a' }]);
    expect(await as(reader, 'SELECT l.id + r.id AS sum FROM wellbeing.later l, more.room r')).toEqual([{ sum: 15 }]);
  });

  it.each([
    `INSERT INTO wellbeing.pupil VALUES (2, 'b')`,
    `UPDATE wellbeing.pupil SET note = 'b'`,
    'DELETE FROM wellbeing.pupil',
    'TRUNCATE wellbeing.pupil',
    'DROP TABLE wellbeing.pupil',
    'ALTER TABLE wellbeing.pupil ADD x int',
    'CREATE TABLE public.mine (id int)',
    'CREATE TABLE wellbeing.mine (id int)',
    'CREATE SCHEMA mine',
    'CREATE ROLE other',
  ])('lets the reader do no %s, whatever the session is set to', async statement => {
    const write = as(reader, `SET default_transaction_read_only = off; BEGIN READ WRITE; ${statement}; COMMIT`);
    await expect(write).rejects.toMatchObject({ code: expect.stringMatching(/^42501$/) });
  });

  it('changes nothing when it is run again', async () => {
    const before = await roleOf(reader);
    expect(before).toEqual([
      {
        rolcanlogin: true,
        rolsuper: false,
        rolcreaterole: false,
        rolcreatedb: false,
        setconfig: ['default_transaction_read_only=on'],
        memberships: ['pg_read_all_data', 'rds_iam'],
      },
    ]);
    await as('administrator', await printed('--reader', reader));
    expect(await roleOf(reader)).toEqual(before);
  });
});

describe('a role that is there', () => {
  it.each([
    ['owns a table', 'app', ''],
    ['may create roles', 'clerk', 'CREATE ROLE clerk LOGIN CREATEROLE'],
    ['is in a group', 'member', 'CREATE ROLE member LOGIN; GRANT pg_write_all_data TO member'],
    ['may write', 'writer', 'CREATE ROLE writer LOGIN; GRANT INSERT ON wellbeing.pupil TO writer'],
  ])('and %s is refused, and left as it is', async (_what, name, prepare) => {
    await school.execute(prepare || 'SELECT 1');
    const before = await roleOf(name);
    await expect(school.execute(await printed('--reader', name))).rejects.toThrow(
      `the role ${name} is there, and can do more than read: name one for Daybreak alone`,
    );
    expect(await roleOf(name)).toEqual(before);
  });
});
