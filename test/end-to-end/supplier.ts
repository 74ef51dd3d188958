import type { PutObjectCommandInput } from '@aws-sdk/client-s3';
import type { Client } from 'pg';

/** The schools of the tests' supplier. Their ids are opaque, as a supplier's are. */
export const TENANTS = ['t-alder', 't-birch', 't-cedar', 't-doum'] as const;
export type Tenant = (typeof TENANTS)[number];

export const BUCKET = 'supplier-uploads';

/** Words that stand in file names, metadata, tags and contents, and nowhere else: what must not be found elsewhere in clear. */
export const SECRETS = ['Quillfeather', 'Marchbanks', 'Ottoline', 'Thistlewood'] as const;
const [SURNAME, AUTHOR, CLASS, CONTENT] = SECRETS;

/** A word of the database's rows, of the same kind. */
export const PERSON = 'Fotheringay';

export interface SupplierFile
  extends Pick<PutObjectCommandInput, 'ContentType' | 'CacheControl' | 'Metadata' | 'Tagging'> {
  readonly Key: string;
  readonly Body: Buffer;
}

/** What is larger than this is uploaded in parts. */
export const PART_BYTES = 5 * 1024 * 1024;

/** So many rows has each table with rows of its own. */
export const ROWS = { pupil: 6000, check_in: 8000, note: 3000, event: 2000, setting: 500 } as const;

const SCHEMA = `
  CREATE TABLE school (id text PRIMARY KEY, name text NOT NULL);
  CREATE TABLE mood (code smallint PRIMARY KEY, label text NOT NULL UNIQUE);
  CREATE TABLE pupil (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, school_id text NOT NULL REFERENCES school,
    display_name text NOT NULL, marks numeric[], attributes jsonb NOT NULL
  );
  CREATE INDEX pupil_by_name ON pupil (display_name DESC) WHERE display_name <> '';
  CREATE TABLE check_in (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, pupil_id bigint NOT NULL REFERENCES pupil,
    mood_code smallint NOT NULL REFERENCES mood, made_at timestamptz NOT NULL, energy real, comment text
  );
  CREATE TABLE note (id uuid PRIMARY KEY, pupil_id bigint NOT NULL REFERENCES pupil, body text NOT NULL, severity numeric(3,1));
  CREATE TABLE event (day date NOT NULL, pupil_id bigint REFERENCES pupil, body jsonb) PARTITION BY RANGE (day);
  CREATE TABLE event_2025 PARTITION OF event FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
  CREATE TABLE event_2026 PARTITION OF event FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
  CREATE TABLE setting (name text, value text);
  CREATE MATERIALIZED VIEW pupils_by_school AS SELECT school_id, count(*) AS pupils FROM pupil GROUP BY 1;
  INSERT INTO mood SELECT g, 'mood ' || g FROM generate_series(1, 5) g;
`;

const FILL = `
  INSERT INTO pupil (school_id, display_name, marks, attributes)
    SELECT (SELECT array_agg(id ORDER BY id) FROM school)[1 + g % 4], '${PERSON} ' || g, ARRAY[g, NULL, g / 3.0],
           jsonb_build_object('house', g % 4) FROM generate_series(1, ${ROWS.pupil}) g;
  INSERT INTO check_in (pupil_id, mood_code, made_at, energy, comment)
    SELECT 1 + g % ${ROWS.pupil}, 1 + g % 5, timestamptz '2026-09-01' + g * interval '1 minute', g / 10.0,
           CASE WHEN g % 4 = 0 THEN 'comment ' || md5(g::text) END FROM generate_series(1, ${ROWS.check_in}) g;
  INSERT INTO note SELECT md5('note' || g)::uuid, 1 + g % ${ROWS.pupil}, E'Note\\n' || repeat(md5(g::text), 1 + g % 40), g % 100 / 10.0
    FROM generate_series(1, ${ROWS.note}) g;
  UPDATE note SET body = (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 400) i) WHERE id = md5('note77')::uuid;
  INSERT INTO event SELECT '2025-06-01'::date + g % 400, g, jsonb_build_object('kind', g % 5) FROM generate_series(1, ${ROWS.event}) g;
  INSERT INTO setting SELECT 'name ' || g % 400, 'value' FROM generate_series(1, ${ROWS.setting}) g;
  REFRESH MATERIALIZED VIEW pupils_by_school;
`;

/** Ten tables of the shapes that a supplier has: keyed and not, partitioned, with toast, a materialized view. */
export async function fillSupplierDatabase(client: Client): Promise<void> {
  await client.query(SCHEMA);
  await client.query(`INSERT INTO school SELECT id, 'School of ' || id FROM unnest($1::text[]) id`, [[...TENANTS]]);
  await client.query(FILL);
  await client.query('VACUUM ANALYZE');
  await client.query('CHECKPOINT');
}

/** Each tenant's files, odd in their names, sizes and descriptions, and one that is nobody's. */
export function listSupplierFiles(): SupplierFile[] {
  const files = TENANTS.flatMap((tenant): SupplierFile[] => {
    const prefix = `schools/${tenant}/`;
    const file = (name: string, content = `${CONTENT} of ${tenant}: ${name}`, more: Partial<SupplierFile> = {}) => ({
      Key: `${prefix}${name}`,
      Body: Buffer.from(content),
      ...more,
    });
    return [
      file(`photos/${SURNAME} year 7.jpg`, undefined, { ContentType: 'image/jpeg' }),
      file(`plans/${SURNAME}+100%.pdf`, undefined, { ContentType: 'application/pdf', CacheControl: 'no-store' }),
      file(`plans/${SURNAME}%2Fencoded.txt`),
      file(`work/${SURNAME} – ünïcode 学校 🎒.txt`, undefined, { ContentType: 'text/plain; charset=utf-8' }),
      file(`/leading/${SURNAME}.txt`),
      file(`empty ${SURNAME}`, ''),
      file(`described ${SURNAME}`, undefined, {
        Metadata: { author: `${AUTHOR} of ${tenant}` },
        Tagging: `class=${CLASS}%20${tenant}`,
      }),
      file(`long/${SURNAME}/`.padEnd(1024 - prefix.length, 'x')),
      file(`bytes ${SURNAME}`, '', { Body: Buffer.alloc(70_000, `${CONTENT}${tenant}`) }),
      file(`more ${SURNAME} & ; = ? # "quoted"`),
      file(`twin 1 ${SURNAME}`),
      file(`twin 2 ${SURNAME}`),
    ];
  });
  return [
    ...files,
    {
      Key: `schools/${TENANTS[0]}/films/${SURNAME}.mp4`,
      Body: Buffer.alloc(PART_BYTES + 4321, CONTENT),
      ContentType: 'video/mp4',
    },
    { Key: `/board/${SURNAME} minutes.pdf`, Body: Buffer.from(`${CONTENT} of nobody`), ContentType: 'application/pdf' },
  ];
}
