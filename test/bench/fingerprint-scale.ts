import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TableFingerprint } from '../../functions/contracts/fingerprint.ts';
import { BucketDigests } from '../../functions/platform/fingerprint/bucket-digests.ts';
import { digestReader, PartWriter, type TableDigests } from '../../functions/platform/fingerprint/fingerprint-file.ts';
import { MAXIMUM_BUCKETS, type MeasuredRows, planAfresh } from '../../functions/platform/fingerprint/measure-table.ts';
import { compareTable } from '../../functions/restore-test/compare-fingerprints.ts';
import { TestDatabase } from '../fixtures/database.ts';
import { measureWhole, seeds, takeFingerprint } from '../fixtures/fingerprint.ts';
import { verifyCopy } from '../fixtures/verify-copy.ts';
import { printRows } from './print-rows.ts';

/**
 * Fingerprints at the sizes that they are built for: what of a large, busy table is compared exactly, and that neither many
 * tables nor many buckets take memory. `node --expose-gc test/bench/fingerprint-scale.ts`
 */

const MIB = 1024 ** 2;
/** A part as it is stored and as it is read, a table's digests, and what the collector has not come to. */
const MEMORY_LIMIT_BYTES = 100 * MIB;
type Lines = [string, string][];

/** Numbers that look drawn, the same in each run. */
function* draw(): Generator<bigint> {
  for (let state = 42n; ; ) {
    state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
    yield BigInt.asUintN(64, (state ^ (state >> 33n)) * 0xff51afd7ed558ccdn);
  }
}

/**
 * What scattered updates leave uncompared: of `updates` in a table of `rows`, half come before the backup and half after.
 * Every bucket is compared by the comparison itself. @throws RangeError where less than 99 % is.
 */
export function compareDriftingTable(rows = 100_000_000, updates = 10_000): Lines {
  const { bucketCount } = planAfresh({ estimatedRows: rows, keyColumns: [], snapshot: { xmin: 1n, xmax: 1n } }, seeds);
  const numbers = draw();
  const next = () => numbers.next().value as bigint;
  const make = () => new BucketDigests(bucketCount);
  const parts = { before: [make(), make()], restored: [make(), make()], after: [make(), make()] } as const;
  for (let bucket = 0; bucket < bucketCount; bucket++) {
    const sums: [bigint, bigint] = [next(), next()];
    for (const [settled] of Object.values(parts)) settled.add(bucket, Math.round(rows / bucketCount), ...sums);
  }
  for (let update = 0; update < updates; update++) {
    const bucket = Number(next() % BigInt(bucketCount));
    const [old, made]: [bigint, bigint][] = [
      [next(), next()],
      [next(), next()],
    ];
    for (const moment of update % 2 === 0 ? (['restored', 'after'] as const) : (['after'] as const)) {
      parts[moment][0].add(bucket, -1, -(old?.[0] ?? 0n), -(old?.[1] ?? 0n));
      parts[moment][1].add(bucket, 1, made?.[0] ?? 0n, made?.[1] ?? 0n);
    }
  }
  const end = ([settled, recent]: readonly [BucketDigests, BucketDigests], removedRowCount: number) => ({
    table: {
      horizon: '1',
      // So large a table is measured in ranges.
      isOneSnapshot: false,
      rowCount: settled.rowCount + recent.rowCount,
      removedRowCount,
      deletedRowCount: 0,
      fileNode: '1',
    } as TableFingerprint,
    digests: { settled, recent },
  });
  const [settled, recent] = parts.restored;
  const restored: MeasuredRows = { settled, recent, later: make() };
  const ends = { kind: 'both', before: end(parts.before, 0), after: end(parts.after, updates) } as const;
  const startedAt = performance.now();
  const { rowsComparedExactly, rowsExpected, findings, notBounded } = compareTable(restored, 'large', ends, 1n);
  const share = rowsComparedExactly / rowsExpected;
  if (share < 0.99 || findings.length > 0 || notBounded !== null) throw new RangeError(`only ${share} was compared`);
  return [
    ['rows, scattered updates', `${rows.toLocaleString('en')}, ${updates.toLocaleString('en')}`],
    ['buckets', bucketCount.toLocaleString('en')],
    ['compared exactly', `${(share * 100).toFixed(2)} %`],
    ['time to compare', `${Math.round(performance.now() - startedAt)} ms`],
  ];
}

/**
 * The same on a real server: a table of `rows` rows is measured, half of `updates` are made, its files are copied, the rest are
 * made, it is measured again, and the copy is verified against both. It takes 150 bytes of disk a row.
 * @throws RangeError where less than 99 % was compared exactly, or something was found wrong with the untouched copy.
 */
export async function verifyDriftingTable(rows = 100_000_000, updates = 10_000): Promise<Lines> {
  const database = await TestDatabase.create({
    schema: `CREATE TABLE answer (id bigint PRIMARY KEY, mark int NOT NULL);
      INSERT INTO answer SELECT g, g % 100 FROM generate_series(1, ${rows}) g; ANALYZE`,
  });
  // Scattered over the table: a step of a prime that divides no round number of rows.
  const update = (half: number) =>
    database.execute(
      `UPDATE answer SET mark = mark + 1 WHERE id IN
        (SELECT 1 + g * 1000003::bigint % ${rows} FROM generate_series(1, ${updates}) g WHERE g % 2 = ${half})`,
    );
  const timed = async <Result>(what: string, work: () => Promise<Result>): Promise<Result> => {
    const startedAt = performance.now();
    const result = await work();
    lines.push([what, `${Math.round((performance.now() - startedAt) / 1000)} s`]);
    return result;
  };
  const lines: Lines = [];
  try {
    const before = await timed('measured before', () => takeFingerprint(database));
    await update(0);
    const copy = await database.restore();
    await update(1);
    const after = await timed('measured after', () => takeFingerprint(database, before));
    const verified = await timed('copy verified, with its index', () => verifyCopy(copy, { before, after }));
    const { rowCount, rowsComparedExactly, rowsExpected, driftRowCount, findings } = verified;
    const share = rowsComparedExactly / rowsExpected;
    if (share < 0.99 || rowCount !== rows || findings.length > 0) {
      throw new RangeError(`${share} of ${rowCount} was compared, with ${findings.length} findings`);
    }
    return [
      ['rows, scattered updates, on a real server', `${rows.toLocaleString('en')}, ${updates.toLocaleString('en')}`],
      ['compared exactly', `${(share * 100).toFixed(2)} %, drift ${driftRowCount.toLocaleString('en')} rows`],
      ...lines,
    ];
  } finally {
    await database.remove();
  }
}

/** Writes and reads back digests of as many tables. @throws RangeError where that takes more memory than is allowed. */
export async function keepTables(tables: number, bucketCount: number): Promise<Lines> {
  const directory = await mkdtemp(join(tmpdir(), 'daybreak-bench-'));
  const numbers = draw();
  const next = () => numbers.next().value as bigint;
  const collect = () => (globalThis as { gc?: () => void }).gc?.();
  collect();
  const base = process.memoryUsage().rss;
  let peak = base;
  const look = () => {
    peak = Math.max(peak, process.memoryUsage().rss);
  };
  let storedBytes = 0;
  const places: Pick<TableFingerprint, 'bucketCount' | 'digests'>[] = [];
  try {
    const writer = new PartWriter<number>(
      async (sha256, content) => {
        storedBytes += content.length;
        await writeFile(join(directory, sha256), content);
        look();
      },
      (_, digests) => places.push({ bucketCount, digests }),
    );
    for (let table = 0; table < tables; table++) {
      const digests: TableDigests = { settled: new BucketDigests(bucketCount), recent: new BucketDigests(bucketCount) };
      for (let bucket = 0; bucket < bucketCount; bucket++) digests.settled.add(bucket, 500, next(), next());
      await writer.add(table, digests);
    }
    await writer.flush();
    const read = digestReader(sha256 => readFile(join(directory, sha256)));
    let rows = 0;
    for (const place of places) {
      rows += (await read(place)).settled.rowCount;
      look();
    }
    if (rows !== tables * bucketCount * 500) throw new RangeError('the digests do not read back');
    if (peak - base > MEMORY_LIMIT_BYTES) throw new RangeError(`${tables} tables took ${(peak - base) / MIB} MiB`);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
  const name = `${tables.toLocaleString('en')} tables of ${bucketCount.toLocaleString('en')} buckets`;
  return [[name, `${Math.round((peak - base) / MIB)} MiB of memory, ${(storedBytes / 1e6).toFixed(1)} MB stored`]];
}

/** Measures a real table of `rows` rows with as many buckets as the largest has, and a database of many small tables. */
export async function measureReal(rows = 1_000_000, tables = 5_000): Promise<Lines> {
  const database = await TestDatabase.create({
    schema: `CREATE TABLE pupil (id bigint PRIMARY KEY, name text); INSERT INTO pupil SELECT g, md5(g::text) FROM generate_series(1, ${rows}) g; ANALYZE`,
  });
  try {
    const reader = database.asReader();
    const relation = { schema: 'public', table: 'pupil', kind: 'table' } as const;
    let startedAt = performance.now();
    const { rows: measured } = await measureWhole(reader, relation, details => ({
      ...planAfresh(details, seeds),
      bucketCount: MAXIMUM_BUCKETS,
    }));
    if (measured.settled.rowCount !== rows) throw new RangeError('not every row was counted');
    const wideMs = performance.now() - startedAt;
    for (let from = 0; from < tables; from += 250) {
      await database.execute(
        `DO $$ BEGIN FOR i IN ${from}..${from + 249} LOOP EXECUTE format('CREATE TABLE t%s (id int)', i); END LOOP; END $$`,
      );
    }
    startedAt = performance.now();
    const { index } = await takeFingerprint(database);
    if (index.tables.length !== tables + 1) throw new RangeError('not every table was measured');
    return [
      [
        `${rows.toLocaleString('en')} rows in ${MAXIMUM_BUCKETS.toLocaleString('en')} buckets`,
        `${Math.round(wideMs)} ms`,
      ],
      [`${tables.toLocaleString('en')} small tables`, `${Math.round(performance.now() - startedAt)} ms`],
    ];
  } finally {
    await database.remove();
  }
}

if (import.meta.main) {
  printRows('Fingerprints at the limit', [
    ...compareDriftingTable(),
    ...(await keepTables(5_000, 1)),
    ...(await keepTables(500, 4_096)),
    ...(await keepTables(1, MAXIMUM_BUCKETS)),
    ...(await measureReal()),
    ...(await verifyDriftingTable()),
  ]);
}
