import type { Client } from 'pg';
import type { LocalBucket } from '../cloudformation/local-configuration.ts';
import type { SourceDatabase } from '../environment.ts';
import { fromSample, type SourceFile } from '../start/upload-files.ts';

const SCHOOLS = ['school-001', 'school-002', 'school-003'] as const;

/** A school whose key and objects there are. */
export const SCHOOL = SCHOOLS[0];

/** A database of three made-up schools: a rehearsal is about alarms, and a small one is backed up at once. */
export const DATABASE: SourceDatabase = {
  id: 'wellbeing',
  databaseName: 'wellbeing',
  rootTable: 'school',
  rootColumn: 'id',
  encrypted: true,
  fill,
};

export const BUCKET: LocalBucket = {
  id: 'uploads',
  name: 'sample-wellbeing-uploads',
  tenantPrefix: 'schools/{tenant}/',
  kmsKeyArns: [],
};

/** One file for each school. */
export const FILES: readonly SourceFile[] = SCHOOLS.map(tenant => {
  const content = Buffer.from(`a sample file of ${tenant}\n`);
  const key = `schools/${tenant}/plan.txt`;
  return fromSample({ key, tenant, sizeBytes: content.length, contentType: 'text/plain', content: () => content });
});

async function fill(client: Client): Promise<void> {
  await client.query(`
    CREATE TABLE school (id text PRIMARY KEY, name text NOT NULL);
    CREATE TABLE pupil (id bigint PRIMARY KEY, school_id text NOT NULL REFERENCES school, display_name text NOT NULL);
    INSERT INTO school SELECT id, 'Sample School ' || id FROM unnest('{${SCHOOLS.join(',')}}'::text[]) id;
    INSERT INTO pupil SELECT row_number() OVER (), school.id, 'Sample Pupil ' || n FROM school, generate_series(1, 100) n;
    ANALYZE`);
}
