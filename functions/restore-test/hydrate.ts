import { z } from 'zod';
import { HydrateInput, HydrateOutput } from '../contracts/restore-test.ts';
import { databaseTestKey } from '../contracts/vault-layout.ts';
import { addMs } from '../platform/clock.ts';
import { findDatabase } from '../platform/find-configured.ts';
import { inUserSchema } from '../platform/fingerprint/definition.ts';
import { encode, readFile } from '../platform/fingerprint/fingerprint-file.ts';
import { parseSnapshot } from '../platform/fingerprint/horizon.ts';
import { handler as step } from '../platform/handler.ts';
import { log } from '../platform/log.ts';
import { type Database, DatabaseQueryError, openDatabase, type Query, quoteName } from '../platform/postgres.ts';
import { currentRuntime } from '../platform/runtime.ts';
import { writeBytes } from '../platform/s3.ts';
import { sqlName } from '../platform/sql-name.ts';

/** What reading a restored database through has come to. */
export const Hydration = z.strictObject({
  /** The first transaction id (xid8) that the copy could give out when it was first touched: newer rows are not of the backup. */
  firstTouchXid: z.string(),
  /** The last relation's file node that was begun, and the next block of it. */
  relation: z.string(),
  block: z.int(),
  bytesRead: z.int(),
});
type Hydration = z.infer<typeof Hydration>;

const BLOCKS_AT_ONCE = 16_384;
const SAVE_EVERY_MS = 30_000;

/**
 * Reads a restored database through, once: a restored volume fetches each block from S3 when it is first read, so
 * "available" is not "ready". With the extension `pg_prewarm` that is every block of tables, toast and indexes; without
 * it the verification that follows reads the indexes. A block that cannot be read is left to the verification to report.
 * https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_RestoreFromSnapshot.html
 */
export const handler = step({
  input: HydrateInput,
  output: HydrateOutput,
  run: async ({ restoreTestId, databaseId, endpoint }, { configuration, deployment, timeIsShort }) => {
    const key = databaseTestKey(restoreTestId, databaseId, endpoint.resourceId, 'hydration');
    const database = openDatabase(endpoint, findDatabase(configuration, databaseId));
    try {
      const kept = await readFile(deployment.workBucket, key, Hydration);
      const progress = kept ?? {
        firstTouchXid: await readNextXid(database.query),
        relation: '0',
        block: 0,
        bytesRead: 0,
      };
      const save = async () => {
        await writeBytes(deployment.workBucket, key, encode(progress));
      };
      if (kept === undefined) await save();
      const done = await database.cancelWhen(timeIsShort, () => readThrough(database, progress, { save, timeIsShort }));
      await save();
      return { done, bytesRead: progress.bytesRead };
    } finally {
      await database.close();
    }
  },
});

async function readNextXid(query: Query): Promise<string> {
  const [row] = await query<{ snapshot: string }>('SELECT pg_current_snapshot()::text AS snapshot');
  return parseSnapshot(row?.snapshot ?? '').xmax.toString();
}

interface StoredRelation {
  oid: string;
  schema: string;
  name: string;
  isIndex: boolean;
  blocks: number;
  blockSize: number;
}

async function readThrough(
  database: Database,
  progress: Hydration,
  { save, timeIsShort }: { save: () => Promise<void>; timeIsShort: () => boolean },
): Promise<boolean> {
  const { query } = database;
  const prewarm = await findPrewarm(query);
  const relations = await listStored(query, progress.relation);
  const clock = currentRuntime().clock;
  let saveAt = addMs(clock.now(), SAVE_EVERY_MS);
  for (const relation of relations.filter(({ isIndex }) => prewarm !== undefined || !isIndex)) {
    if (relation.oid !== progress.relation) Object.assign(progress, { relation: relation.oid, block: 0 });
    while (progress.block < relation.blocks) {
      if (timeIsShort()) return false;
      const end = Math.min(progress.block + BLOCKS_AT_ONCE, relation.blocks);
      try {
        await readBlocks(query, relation, { from: progress.block, end, prewarm });
        progress.bytesRead += (end - progress.block) * relation.blockSize;
      } catch (error) {
        if (!(error instanceof DatabaseQueryError)) throw error;
        if (error.sqlState === CANCELLED) return false;
        log('warn', 'blocks could not be read', {
          relation: sqlName(relation.schema, relation.name),
          sqlState: error.sqlState,
        });
      }
      progress.block = end;
      if (clock.now() >= saveAt) {
        await save();
        saveAt = addMs(clock.now(), SAVE_EVERY_MS);
      }
    }
  }
  return true;
}

const CANCELLED = '57014';

/** SQL for `pg_prewarm`, where the database has it and the reader may execute it. */
async function findPrewarm(query: Query): Promise<string | undefined> {
  const [row] = await query<{ name: string }>(
    `SELECT quote_ident(n.nspname) || '.pg_prewarm' AS name
       FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
       JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
       JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'pg_prewarm'
      WHERE p.proname = 'pg_prewarm' AND has_schema_privilege(n.oid, 'USAGE') AND has_function_privilege(p.oid, 'EXECUTE')`,
  );
  return row?.name;
}

// By oid, so that a later call goes on in the same order.
function listStored(query: Query, fromOid: string): Promise<StoredRelation[]> {
  return query<StoredRelation>(
    `SELECT c.oid::text, n.nspname AS schema, c.relname AS name, c.relkind = 'i' AS "isIndex",
            (pg_relation_size(c.oid) / current_setting('block_size')::int)::int AS blocks,
            current_setting('block_size')::int AS "blockSize"
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'm', 't', 'i') AND c.relpersistence = 'p'
        AND (${inUserSchema} OR n.nspname IN ('pg_toast', 'pg_catalog')) AND c.oid >= $1::oid
      ORDER BY c.oid`,
    [fromOid],
  );
}

async function readBlocks(
  query: Query,
  relation: StoredRelation,
  { from, end, prewarm }: { from: number; end: number; prewarm: string | undefined },
): Promise<void> {
  if (prewarm !== undefined) {
    await query(`SELECT ${prewarm}($1::oid::regclass, 'read', 'main', $2, $3)`, [relation.oid, from, end - 1]);
  } else {
    await query(
      `SELECT count(*) FROM ONLY ${quoteName(relation.schema, relation.name)} WHERE ctid >= $1::tid AND ctid < $2::tid`,
      [`(${from},0)`, `(${end},0)`],
    );
  }
}
