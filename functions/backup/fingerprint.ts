import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { DatabaseConfiguration } from '../contracts/configuration.ts';
import { FingerprintInput, FingerprintOutput } from '../contracts/daily-backup.ts';
import { DatabaseFingerprint, TableFingerprint, UnreadableRelation } from '../contracts/fingerprint.ts';
import { Sha256 } from '../contracts/identifiers.ts';
import { fingerprintKey, fingerprintProgressKey, openTableKey } from '../contracts/vault-layout.ts';
import { sha256Hex } from '../platform/canonical-json.ts';
import { addMs, parseInstant } from '../platform/clock.ts';
import { PermanentError } from '../platform/errors.ts';
import { findDatabase } from '../platform/find-configured.ts';
import { listRelations, listSequences, nameOf, onlyFrom, type Relation } from '../platform/fingerprint/catalog.ts';
import { type CatalogsFile, readCatalogs, storeCatalogs } from '../platform/fingerprint/catalogs-file.ts';
import {
  decode,
  encode,
  type FingerprintName,
  openFingerprint,
  PartWriter,
  storeInVault,
} from '../platform/fingerprint/fingerprint-file.ts';
import { parseSnapshot } from '../platform/fingerprint/horizon.ts';
import { listInstanceDatabases } from '../platform/fingerprint/instance-databases.ts';
import {
  countRemovedRows,
  measureTable,
  type OpenMeasurement,
  planAfresh,
  planLike,
  STATISTICS_DELAY_MS,
  toFingerprint,
} from '../platform/fingerprint/measure-table.ts';
import { decodeOpen, encodeOpen } from '../platform/fingerprint/open-measurement.ts';
import { listTenants } from '../platform/fingerprint/tenants.ts';
import { handler as step } from '../platform/handler.ts';
import { log } from '../platform/log.ts';
import { type Database, DatabaseQueryError, openDatabase } from '../platform/postgres.ts';
import { currentRuntime } from '../platform/runtime.ts';
import { readBytes, readBytesIfThere, writeBytes, writeBytesOnce } from '../platform/s3.ts';

/** The *after* measurement was asked for, but there is no *before* measurement to compare with. */
export class BeforeFingerprintMissingError extends PermanentError {}

const Progress = z.strictObject({
  seeds: DatabaseFingerprint.shape.seeds,
  /** Tables whose digests are in the vault. */
  tables: z.array(TableFingerprint),
  unreadable: z.array(UnreadableRelation),
  /** The table that was begun, and the SHA-256 of what was measured of it (`openTableKey`). */
  open: z.strictObject({ table: z.string(), sha256: Sha256 }).nullable(),
});
type Progress = z.infer<typeof Progress>;

const SAVE_EVERY_MS = 30_000;
/** How often a table that another session keeps locked is tried; each time for as long as `lock_timeout`. */
const LOCK_ATTEMPTS = 3;
/** Counting the rows of an unlogged table, which no restore brings back, is worth so long. */
const COUNT_LIMIT_MS = 30_000;

/**
 * Measures a database range by range, *before* or *after* its snapshot, and writes the fingerprint to the vault, once.
 * It stops when its time is short and goes on from the work bucket; a rerun measures again at most what was not saved.
 * What is not measured at the deadline is named, and the fingerprint is closed.
 */
export const handler = step({
  input: FingerprintInput,
  output: FingerprintOutput,
  run: async (input, { configuration, deployment, timeIsShort }) => {
    const { recoveryPointId, databaseId, endpoint, moment } = input;
    const { vaultBucket, workBucket } = deployment;
    const name: FingerprintName = { recoveryPointId, databaseId, moment };
    const resultKey = fingerprintKey(recoveryPointId, databaseId, moment);
    const finished = await readIndex(vaultBucket, name);
    if (finished !== undefined) return { done: true, measuredAt: lastMeasuredAt(finished) };

    const configured = findDatabase(configuration, databaseId);
    const before = moment === 'after' ? await readBefore(vaultBucket, name) : undefined;
    const store = await openProgress(workBucket, name, before);
    const { progress } = store;
    const parts = new PartWriter<Omit<TableFingerprint, 'digests'>>(storeInVault(vaultBucket, name), (table, digests) =>
      progress.tables.push({ ...table, digests }),
    );
    const save = async (open?: { table: string; measurement: OpenMeasurement }) => {
      await parts.flush();
      await store.save(open);
    };
    const clock = currentRuntime().clock;
    const deadline = input.deadlineAt === null ? undefined : parseInstant(input.deadlineAt);
    const isLate = () => deadline !== undefined && clock.now() >= deadline;

    const database = openDatabase(endpoint, configured);
    try {
      const run = { progress, open: store.open, before, parts, save, timeIsShort, isLate };
      if (!(await measureTables(database, run))) return { done: false, measuredAt: null };
      await save();
      const described = await describeDatabase(database, configured, moment, progress, databaseName =>
        openDatabase(endpoint, { ...configured, databaseName }),
      );
      const catalogsSha256 = await takeCatalogs(database, { vaultBucket, ...name }, progress.seeds, before);
      const describedAt = clock.now().toISOString();
      const fingerprint: DatabaseFingerprint = { ...described, catalogsSha256, describedAt };
      await writeBytesOnce(vaultBucket, resultKey, encode(fingerprint));
      log('info', 'fingerprint taken', {
        databaseId,
        moment,
        tables: fingerprint.tables.length,
        unreadable: fingerprint.unreadable.length,
      });
      return { done: true, measuredAt: lastMeasuredAt(fingerprint) };
    } finally {
      await database.close();
    }
  },
});

/** Null where the server refused: the rest of the fingerprint stands without, and a restore test names the gap. */
async function takeCatalogs(
  database: Database,
  file: CatalogsFile,
  seeds: Progress['seeds'],
  before: DatabaseFingerprint | undefined,
): Promise<string | null> {
  const sha256 = before?.catalogsSha256 ?? null;
  const earlier = sha256 === null ? undefined : await readCatalogs({ ...file, moment: 'before' }, sha256);
  try {
    return await storeCatalogs(database, file, seeds, earlier);
  } catch (error) {
    if (!(error instanceof DatabaseQueryError)) throw error;
    log('warn', 'the system catalogs could not be measured', { sqlState: error.sqlState });
    return null;
  }
}

/** What is not inside tables may be read by a later call, even of another run. */
function lastMeasuredAt({ tables, describedAt }: DatabaseFingerprint): string | null {
  return tables.reduce((last, { lastMeasuredAt: at }) => (last === null || at > last ? at : last), describedAt);
}

async function readIndex(vaultBucket: string, name: FingerprintName): Promise<DatabaseFingerprint | undefined> {
  const { recoveryPointId, databaseId, moment } = name;
  const bytes = await readBytesIfThere(vaultBucket, fingerprintKey(recoveryPointId, databaseId, moment));
  return bytes && openFingerprint(bytes, vaultBucket, name).index;
}

async function readBefore(vaultBucket: string, name: FingerprintName): Promise<DatabaseFingerprint> {
  const before = await readIndex(vaultBucket, { ...name, moment: 'before' });
  if (before === undefined) {
    throw new BeforeFingerprintMissingError(
      `${fingerprintKey(name.recoveryPointId, name.databaseId, 'before')} is not in the vault; the fingerprint before the snapshot has to be taken first: start the backup again`,
    );
  }
  return before;
}

// The seeds are written before the first row is read, so that runs which overlap measure alike.
async function openProgress(workBucket: string, name: FingerprintName, before: DatabaseFingerprint | undefined) {
  const { recoveryPointId, databaseId, moment } = name;
  const key = fingerprintProgressKey(recoveryPointId, databaseId, moment);
  const keyOf = (sha256: string) => openTableKey(recoveryPointId, databaseId, moment, sha256);
  const seed = () => randomBytes(8).readBigInt64LE().toString();
  const fresh: Progress = { seeds: before?.seeds ?? [seed(), seed()], tables: [], unreadable: [], open: null };
  await writeBytesOnce(workBucket, key, encode(fresh));
  const progress = decode(await readBytes(workBucket, key), Progress, `s3://${workBucket}/${key}`);
  const kept = progress.open;
  const bytes = kept === null ? undefined : await readBytesIfThere(workBucket, keyOf(kept.sha256));
  const measurement = kept && bytes && decodeOpen(kept.table, bytes);
  return {
    progress,
    open: kept && measurement ? { table: kept.table, measurement } : undefined,
    save: async (open?: { table: string; measurement: OpenMeasurement }) => {
      progress.open = null;
      if (open !== undefined) {
        const content = encodeOpen(open.table, open.measurement);
        progress.open = { table: open.table, sha256: sha256Hex(content) };
        await writeBytes(workBucket, keyOf(progress.open.sha256), content);
      }
      await writeBytes(workBucket, key, encode(progress));
    },
  };
}

/** @returns whether every table was measured, or is named as not measured. */
async function measureTables(
  database: Database,
  run: {
    progress: Progress;
    /** A measurement that an earlier call began. */
    open: { table: string; measurement: OpenMeasurement } | undefined;
    before: DatabaseFingerprint | undefined;
    parts: PartWriter<Omit<TableFingerprint, 'digests'>>;
    save: (open?: { table: string; measurement: OpenMeasurement }) => Promise<void>;
    timeIsShort: () => boolean;
    isLate: () => boolean;
  },
): Promise<boolean> {
  const { progress, before, parts, save, timeIsShort, isLate } = run;
  const beforeByName = new Map(before?.tables.map(table => [nameOf(table), table]));
  const { relations, unreadable } = await listRelations(database.query);
  const tried = new Set(progress.unreadable.map(({ schema, relation }) => nameOf({ schema, table: relation })));
  progress.unreadable.push(
    ...unreadable.filter(({ schema, relation }) => !tried.has(nameOf({ schema, table: relation }))),
  );
  const done = new Set([...progress.tables.map(nameOf), ...tried]);
  const queue: { relation: Relation; attempt: number }[] = relations
    .filter(relation => !done.has(nameOf(relation)))
    // What was begun is finished first.
    .sort((a, b) => Number(nameOf(b) === run.open?.table) - Number(nameOf(a) === run.open?.table))
    .map(relation => ({ relation, attempt: 1 }));

  const clock = currentRuntime().clock;
  let saveAt = addMs(clock.now(), SAVE_EVERY_MS);
  const saveIfDue = async (open?: { table: string; measurement: OpenMeasurement }) => {
    if (clock.now() < saveAt) return;
    await save(open);
    saveAt = addMs(clock.now(), SAVE_EVERY_MS);
  };
  const startsWith = queue[0]?.relation;
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const { relation, attempt } = next;
    const table = nameOf(relation);
    const refuse = (reason: UnreadableRelation['reason']) => {
      progress.unreadable.push({ schema: relation.schema, relation: relation.table, reason, rowCount: null });
      log('warn', 'a table was not measured', { table: nameOf(relation), reason });
    };
    if (isLate()) {
      refuse('out-of-time');
      continue;
    }
    if (timeIsShort()) {
      await save();
      return false;
    }
    try {
      const earlier = beforeByName.get(table);
      const result = await measureTable(database, relation, {
        plan: details =>
          earlier
            ? planLike(earlier, details, progress.seeds)
            : planAfresh(details, progress.seeds, before && BigInt(before.horizon)),
        from: run.open?.table === table && attempt === 1 ? run.open.measurement : undefined,
        hasWholeCall: relation === startsWith,
        timeIsShort: () => timeIsShort() || isLate(),
        onRange: measurement => saveIfDue({ table, measurement }),
      });
      if (result.kind === 'measured')
        await parts.add(toFingerprint(relation, result.measurement), result.measurement.rows);
      else if (result.kind === 'unmeasurable') refuse(result.why);
      else if (result.kind === 'unfinished' && isLate()) refuse('out-of-time');
      else if (result.kind === 'unfinished') {
        await save(result.open && { table, measurement: result.open });
        return false;
      }
    } catch (error) {
      if (!(error instanceof DatabaseQueryError)) throw error;
      if (error.sqlState === LOCKED && attempt < LOCK_ATTEMPTS) queue.push({ relation, attempt: attempt + 1 });
      else refuse(({ [LOCKED]: 'locked', [FORBIDDEN]: 'permission-denied' } as const)[error.sqlState] ?? 'unreadable');
    }
    await saveIfDue();
  }
  return true;
}

const LOCKED = '55P03';
const FORBIDDEN = '42501';

async function describeDatabase(
  database: Database,
  configured: DatabaseConfiguration,
  moment: 'before' | 'after',
  progress: Progress,
  openOther: (databaseName: string) => Database,
): Promise<Omit<DatabaseFingerprint, 'catalogsSha256' | 'describedAt'>> {
  const { query } = database;
  if (moment === 'after') {
    // What was removed before the measurement but is not yet counted would later look like rows that were added.
    await currentRuntime().clock.sleep(STATISTICS_DELAY_MS);
    const removed = await countRemovedRows(query);
    const unknown = { removedRowCount: null, deletedRowCount: null };
    for (const table of progress.tables) Object.assign(table, removed.get(nameOf(table)) ?? unknown);
  } else {
    await countUnloggedRows(database, progress.unreadable);
  }
  const [server] = await query<{ version: string; snapshot: string }>(
    `SELECT current_setting('server_version') AS version, pg_current_snapshot()::text AS snapshot`,
  );
  return {
    version: 2,
    databaseId: configured.id,
    moment,
    serverVersion: server?.version ?? '',
    seeds: progress.seeds,
    horizon: parseSnapshot(server?.snapshot ?? '').xmin.toString(),
    tables: progress.tables.toSorted(byName),
    sequences: await listSequences(query),
    unreadable: progress.unreadable,
    instanceDatabases: await listInstanceDatabases(query, openOther),
    root: await listTenants(query, configured),
  };
}

async function countUnloggedRows(database: Database, unreadable: UnreadableRelation[]): Promise<void> {
  const clock = currentRuntime().clock;
  const until = addMs(clock.now(), COUNT_LIMIT_MS);
  for (const relation of unreadable) {
    if (relation.reason !== 'unlogged' || clock.now() >= until) continue;
    const { schema, relation: table } = relation;
    try {
      const [row] = await database.cancelWhen(
        () => clock.now() >= until,
        () => database.query<{ rows: string }>(`SELECT count(*)::text AS rows FROM ${onlyFrom({ schema, table })}`),
      );
      relation.rowCount = Number(row?.rows);
    } catch (error) {
      // It is named all the same, without a count.
      if (!(error instanceof DatabaseQueryError)) throw error;
    }
  }
}

function byName(a: TableFingerprint, b: TableFingerprint): number {
  return nameOf(a) < nameOf(b) ? -1 : 1;
}
