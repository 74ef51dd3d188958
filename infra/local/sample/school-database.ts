import type { Client } from 'pg';

/** How much of everything the sample holds. */
export const SAMPLE_SIZE = {
  schools: 40,
  pupilsPerSchool: 300,
  staffPerSchool: 25,
  checkInsPerPupil: 16,
  safeguardingNotes: 6000,
  uploads: 5000,
} as const;

const SCHEMA = `
  CREATE TABLE school (id text PRIMARY KEY, name text NOT NULL, contract_starts date NOT NULL);
  CREATE TABLE mood (code smallint PRIMARY KEY, label text NOT NULL UNIQUE);
  CREATE TABLE staff (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    display_name text NOT NULL, email text NOT NULL UNIQUE, role text NOT NULL
  );
  -- Some staff serve two schools, so a row of staff belongs to no single tenant.
  CREATE TABLE staff_school (
    staff_id bigint NOT NULL REFERENCES staff, school_id text NOT NULL REFERENCES school,
    since date NOT NULL, PRIMARY KEY (staff_id, school_id)
  );
  CREATE TABLE pupil (
    id uuid PRIMARY KEY, school_id text NOT NULL REFERENCES school,
    display_name text NOT NULL, year_group smallint NOT NULL CHECK (year_group BETWEEN 0 AND 13), attributes jsonb NOT NULL
  );
  CREATE INDEX pupil_by_school ON pupil (school_id);
  CREATE TABLE check_in (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pupil_id uuid NOT NULL REFERENCES pupil, mood_code smallint NOT NULL REFERENCES mood,
    made_at timestamptz NOT NULL, energy real, comment text
  );
  CREATE INDEX check_in_by_pupil ON check_in (pupil_id, made_at);
  CREATE TABLE safeguarding_note (
    id uuid PRIMARY KEY, pupil_id uuid NOT NULL REFERENCES pupil, author_id bigint NOT NULL REFERENCES staff,
    written_at timestamptz NOT NULL, body text NOT NULL, severity numeric(3,1) NOT NULL
  );
  CREATE TABLE upload (
    object_key text PRIMARY KEY, school_id text NOT NULL REFERENCES school, size_bytes bigint NOT NULL
  );
  CREATE VIEW school_check_in_count AS
    SELECT school_id, count(*) FROM pupil JOIN check_in ON check_in.pupil_id = pupil.id GROUP BY school_id;
`;

/** Text and numbers that look arbitrary and are the same for the same seed: derived by hash, never drawn. */
const chance = (what: string, modulus: number): string => `(abs(hashtextextended(${what}, $1::bigint) % ${modulus}))`;
const uuidOf = (what: string): string => `md5($1::bigint::text || ${what})::uuid`;

const { schools, pupilsPerSchool, staffPerSchool, checkInsPerPupil, safeguardingNotes } = SAMPLE_SIZE;
const pupilCount = schools * pupilsPerSchool;
const staffCount = schools * staffPerSchool;
const schoolId = (number: string): string => `'school-' || lpad((${number})::text, 3, '0')`;

const ROWS = [
  `INSERT INTO mood SELECT code, 'mood ' || code FROM generate_series(1, 5) code`,
  `INSERT INTO school SELECT ${schoolId('n')}, 'Sample School ' || n, date '2020-09-01' + (${chance(`'start' || n`, 1500)})::int
     FROM generate_series(1, ${schools}) n`,
  `INSERT INTO staff (display_name, email, role)
     SELECT 'Sample Staff ' || n, 'staff' || n || '@school.example', (ARRAY['teacher','pastoral','lead'])[1 + ${chance(`'role' || n`, 3)}]
     FROM generate_series(1, ${staffCount}) n`,
  `INSERT INTO staff_school SELECT n, ${schoolId(`(n - 1) / ${staffPerSchool} + 1`)}, date '2021-09-01' FROM generate_series(1, ${staffCount}) n`,
  `INSERT INTO staff_school SELECT n, ${schoolId(`(n - 1) / ${staffPerSchool} % ${schools - 1} + 2`)}, date '2023-09-01'
     FROM generate_series(1, ${staffCount - staffPerSchool}, 20) n`,
  `INSERT INTO pupil SELECT ${uuidOf(`'pupil' || n`)}, ${schoolId(`(n - 1) / ${pupilsPerSchool} + 1`)}, 'Sample Pupil ' || n,
     ${chance(`'year' || n`, 14)}, jsonb_build_object('house', ${chance(`'house' || n`, 4)}, 'support', ${chance(`'support' || n`, 10)} = 0)
     FROM generate_series(1, ${pupilCount}) n`,
  `INSERT INTO check_in (pupil_id, mood_code, made_at, energy, comment)
     SELECT ${uuidOf(`'pupil' || n`)}, 1 + ${chance(`'mood' || n || '/' || day`, 5)},
       timestamptz '2026-09-01 08:30+01' + day * interval '1 day' + (${chance(`'time' || n || '/' || day`, 3600)} || ' seconds')::interval,
       ${chance(`'energy' || n || '/' || day`, 1000)} / 10.0,
       CASE WHEN ${chance(`'comment' || n || '/' || day`, 4)} = 0 THEN 'sample comment ' || md5(n || '/' || day) END
     FROM generate_series(1, ${checkInsPerPupil}) day, generate_series(1, ${pupilCount}) n`,
  `INSERT INTO safeguarding_note
     SELECT ${uuidOf(`'note' || n`)}, ${uuidOf(`'pupil' || (1 + ${chance(`'about' || n`, pupilCount)})`)}, 1 + ${chance(`'author' || n`, staffCount)},
       timestamptz '2026-01-05 12:00+00' + n * interval '1 hour', 'Sample note ' || n || E'\\nwith two lines — and “quotes”. ' || repeat(md5(n::text), 1 + ${chance(`'length' || n`, 40)}::int),
       ${chance(`'severity' || n`, 100)} / 10.0
     FROM generate_series(1, ${safeguardingNotes}) n`,
];

/**
 * Fills an empty database with the sample: schools, pupils, staff (some at two schools), daily wellbeing check-ins,
 * safeguarding notes, a shared reference table. Obviously made up, and the same for the same seed.
 * @param uploads the uploaded files that the application's table of uploads names.
 */
export async function fillSchoolDatabase(
  client: Client,
  seed: number,
  uploads: readonly { key: string; tenant: string; sizeBytes: number }[],
): Promise<void> {
  await client.query(SCHEMA);
  await client.query('BEGIN');
  for (const statement of ROWS) await client.query(statement, statement.includes('$1') ? [seed] : []);
  await client.query('INSERT INTO upload SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])', [
    uploads.map(({ key }) => key),
    uploads.map(({ tenant }) => tenant),
    uploads.map(({ sizeBytes }) => sizeBytes),
  ]);
  await client.query('COMMIT');
  await client.query('ANALYZE');
}
