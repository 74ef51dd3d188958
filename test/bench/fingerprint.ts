import { planAfresh } from '../../functions/platform/fingerprint/measure-table.ts';
import { TestDatabase } from '../fixtures/database.ts';
import { measureWhole } from '../fixtures/fingerprint.ts';
import { printRows } from './print-rows.ts';

/**
 * What fingerprinting a table costs: the time for one million rows, as a multiple of the time that PostgreSQL's own
 * `COPY` takes to print the same rows to nowhere, on the server. `node test/bench/fingerprint.ts`
 */

const ROUNDS = 5;
const database = await TestDatabase.create({
  schema: `
    CREATE TABLE pupil (id bigint PRIMARY KEY, school_id int NOT NULL, name text, note text, score float8, seen timestamptz);
    INSERT INTO pupil SELECT g, g % 200, 'Pupil ' || g, repeat(md5(g::text), 3), g * 1.1, timestamptz '2026-01-01' + g * interval '1 s'
      FROM generate_series(1, 1000000) g`,
});

async function fastest(work: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    await work();
    times.push(performance.now() - start);
  }
  return Math.min(...times);
}

try {
  await database.execute('VACUUM (ANALYZE) pupil');
  const [size] = await database.execute<{ bytes: string }>(`SELECT pg_table_size('pupil')::text AS bytes`);
  const reader = database.asReader();
  const relation = { schema: 'public', table: 'pupil', kind: 'table' } as const;
  const copyMs = await fastest(() => database.execute(`COPY pupil TO '/dev/null'`));
  const fingerprintMs = await fastest(() => measureWhole(reader, relation, details => planAfresh(details, ['1', '2'])));
  printRows('Fingerprint of 1,000,000 rows', [
    ['table', `${Math.round(Number(size?.bytes) / 1e6)} MB`],
    ['fingerprint, both digests', `${Math.round(fingerprintMs)} ms`],
    ["COPY to '/dev/null' on the server", `${Math.round(copyMs)} ms`],
    ['ratio', (fingerprintMs / copyMs).toFixed(2)],
  ]);
} finally {
  await database.remove();
}
