import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { DatabaseConfiguration } from '../contracts/configuration.ts';
import { FingerprintInput, FingerprintOutput } from '../contracts/daily-backup.ts';
import { DatabaseFingerprint, TableFingerprint, UnreadableRelation } from '../contracts/fingerprint.ts';
import { fingerprintKey, fingerprintProgressKey } from '../contracts/vault-layout.ts';
import { addMs } from '../platform/clock.ts';
import { PermanentError } from '../platform/errors.ts';
import { findDatabase } from '../platform/find-configured.ts';
import { listRelations, listSequences, nameOf, type Relation } from '../platform/fingerprint/catalog.ts';
import { hashSchema } from '../platform/fingerprint/definition.ts';
import { decode, encode, readFile } from '../platform/fingerprint/fingerprint-file.ts';
import {
  countRemovedRows,
  measureTable,
  planAfresh,
  planLike,
  STATISTICS_DELAY_MS,
  toFingerprint,
} from '../platform/fingerprint/measure-table.ts';
import { listTenants } from '../platform/fingerprint/tenants.ts';
import { handler as step } from '../platform/handler.ts';
import { log } from '../platform/log.ts';
import { type Database, DatabaseQueryError, openDatabase } from '../platform/postgres.ts';
import { currentRuntime } from '../platform/runtime.ts';
import { readBytes, writeBytes, writeBytesOnce } from '../platform/s3.ts';

/** The *after* measurement was asked for, but there is no *before* measurement to compare with. */
export class BeforeFingerprintMissingError extends PermanentError {}

const Progress = z.strictObject({
  seeds: DatabaseFingerprint.shape.seeds,
  tables: z.array(TableFingerprint),
  unreadable: z.array(UnreadableRelation),
});
type Progress = z.infer<typeof Progress>;

const SAVE_EVERY_MS = 30_000;
/** How often a table that another session keeps locked is tried; each time for as long as `lock_timeout`. */
const LOCK_ATTEMPTS = 3;

/**
 * Measures a database table by table, *before* or *after* its snapshot, and writes the fingerprint to the vault, once.
 * It stops when its time is short and goes on from the work bucket; a rerun measures again at most what was not saved.
 */
export const handler = step({
  input: FingerprintInput,
  output: FingerprintOutput,
  run: async ({ recoveryPointId, databaseId, endpoint, moment }, { configuration, deployment, timeIsShort }) => {
    const resultKey = fingerprintKey(recoveryPointId, databaseId, moment);
    const finished = await readFile(deployment.vaultBucket, resultKey, DatabaseFingerprint);
    if (finished !== undefined) return { done: true, measuredAt: lastMeasuredAt(finished) };

    const configured = findDatabase(configuration, databaseId);
    const before =
      moment === 'after' ? await readBefore(deployment.vaultBucket, recoveryPointId, databaseId) : undefined;
    const progressKey = fingerprintProgressKey(recoveryPointId, databaseId, moment);
    const progress = await beginProgress(deployment.workBucket, progressKey, before);
    const save = async () => {
      await writeBytes(deployment.workBucket, progressKey, encode(progress));
    };

    const database = openDatabase(endpoint, configured);
    try {
      const complete = await measureTables(database, { progress, before, save, timeIsShort });
      await save();
      if (!complete) return { done: false, measuredAt: null };
      const fingerprint = await describeDatabase(database, configured, moment, progress);
      await writeBytesOnce(deployment.vaultBucket, resultKey, encode(fingerprint));
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

function lastMeasuredAt({ tables }: DatabaseFingerprint): string | null {
  return tables.reduce<string | null>(
    (last, { measuredAt }) => (last === null || measuredAt > last ? measuredAt : last),
    null,
  );
}

async function readBefore(vaultBucket: string, recoveryPointId: string, databaseId: string) {
  const key = fingerprintKey(recoveryPointId, databaseId, 'before');
  const before = await readFile(vaultBucket, key, DatabaseFingerprint);
  if (before === undefined) {
    throw new BeforeFingerprintMissingError(
      `${key} is not in the vault; the fingerprint before the snapshot has to be taken first: start the backup again`,
    );
  }
  return before;
}

// The seeds are written before the first row is read, so that runs which overlap measure alike.
async function beginProgress(
  workBucket: string,
  key: string,
  before: DatabaseFingerprint | undefined,
): Promise<Progress> {
  const seed = () => randomBytes(8).readBigInt64LE().toString();
  const fresh: Progress = { seeds: before?.seeds ?? [seed(), seed()], tables: [], unreadable: [] };
  await writeBytesOnce(workBucket, key, encode(fresh));
  return decode(await readBytes(workBucket, key), Progress, `s3://${workBucket}/${key}`);
}

async function measureTables(
  database: Database,
  run: {
    progress: Progress;
    before: DatabaseFingerprint | undefined;
    save: () => Promise<void>;
    timeIsShort: () => boolean;
  },
): Promise<boolean> {
  const { progress, before, save, timeIsShort } = run;
  const beforeByName = new Map(before?.tables.map(table => [nameOf(table), table]));
  const { relations, unreadable } = await listRelations(database.query);
  const tried = new Set(progress.unreadable.map(({ schema, relation }) => nameOf({ schema, table: relation })));
  progress.unreadable.push(
    ...unreadable.filter(({ schema, relation }) => !tried.has(nameOf({ schema, table: relation }))),
  );
  const done = new Set([...progress.tables.map(nameOf), ...tried]);
  const queue: { relation: Relation; attempt: number }[] = relations
    .filter(relation => !done.has(nameOf(relation)))
    .map(relation => ({ relation, attempt: 1 }));

  const clock = currentRuntime().clock;
  let saveAt = addMs(clock.now(), SAVE_EVERY_MS);
  const startsWith = queue[0]?.relation;
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    if (timeIsShort()) return false;
    const { relation, attempt } = next;
    const refuse = (reason: UnreadableRelation['reason']) =>
      progress.unreadable.push({ schema: relation.schema, relation: relation.table, reason });
    try {
      const earlier = beforeByName.get(nameOf(relation));
      const measured = await database.cancelWhen(timeIsShort, () =>
        measureTable(database, relation, details =>
          earlier ? planLike(earlier, details, progress.seeds) : planAfresh(details, progress.seeds),
        ),
      );
      if (measured) progress.tables.push(toFingerprint(relation, measured));
    } catch (error) {
      if (!(error instanceof DatabaseQueryError)) throw error;
      if (error.sqlState === LOCKED) {
        if (attempt < LOCK_ATTEMPTS) queue.push({ relation, attempt: attempt + 1 });
        else refuse('locked');
      } else if (error.sqlState === CANCELLED && relation !== startsWith) {
        return false;
      } else {
        // Also a table that a whole run of the function was not enough for.
        refuse(error.sqlState === FORBIDDEN ? 'permission-denied' : 'unreadable');
        log('warn', 'a table could not be measured', { table: nameOf(relation), sqlState: error.sqlState });
      }
    }
    if (clock.now() >= saveAt) {
      await save();
      saveAt = addMs(clock.now(), SAVE_EVERY_MS);
    }
  }
  return true;
}

const LOCKED = '55P03';
const CANCELLED = '57014';
const FORBIDDEN = '42501';

async function describeDatabase(
  database: Database,
  configured: DatabaseConfiguration,
  moment: 'before' | 'after',
  progress: Progress,
): Promise<DatabaseFingerprint> {
  const { query } = database;
  if (moment === 'after') {
    // What was removed before the measurement but is not yet counted would later look like rows that were added.
    await currentRuntime().clock.sleep(STATISTICS_DELAY_MS);
    const removed = await countRemovedRows(query);
    for (const table of progress.tables) table.removedRowCount = removed.get(nameOf(table)) ?? null;
  }
  const [server] = await query<{ version: string }>(`SELECT current_setting('server_version') AS version`);
  return {
    version: 1,
    databaseId: configured.id,
    moment,
    serverVersion: server?.version ?? '',
    seeds: progress.seeds,
    schemaSha256: await hashSchema(query),
    tables: progress.tables.toSorted(byName),
    sequences: await listSequences(query),
    unreadable: progress.unreadable,
    tenants: await listTenants(query, configured),
  };
}

function byName(a: TableFingerprint, b: TableFingerprint): number {
  return nameOf(a) < nameOf(b) ? -1 : 1;
}
