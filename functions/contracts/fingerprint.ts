import { z } from 'zod';
import { InstantText, Sha256 } from './identifiers.ts';

/** Rows of one bucket of a table: how many, and the sums (decimal text) of their two seeded 64-bit hashes. */
export const Digest = z.strictObject({ rows: z.int().min(0), sums: z.tuple([z.string(), z.string()]) });
export type Digest = z.infer<typeof Digest>;

/**
 * One table, measured in one short REPEATABLE READ READ ONLY transaction.
 *
 * `settled` counts rows whose `xmin` is older than `horizon`, the `xmin` of the snapshot of the *before* measurement:
 * every transaction below it had ended, so also with subtransactions no row can join that set later. Hence
 * after ⊆ restored ⊆ before, bucket by bucket. `recent` counts the visible rows above the horizon.
 */
export const TableFingerprint = z.strictObject({
  schema: z.string(),
  table: z.string(),
  kind: z.enum(['table', 'materialized-view']),
  /** SHA-256 of the table's definition: columns, types, constraints, indexes, policies, triggers. */
  definitionSha256: Sha256,
  /** The primary key's columns that rows are put into buckets by; empty: by the hash of the whole row. */
  bucketColumns: z.array(z.string()),
  bucketCount: z.int().min(1).max(4096),
  /** A full transaction id (xid8) as decimal text. */
  horizon: z.string(),
  /** The snapshot in which this measurement was made, as `pg_current_snapshot()` prints it. */
  snapshot: z.string(),
  measuredAt: InstantText,
  /** By bucket; a bucket without rows is left out. */
  settled: z.record(z.string(), Digest),
  recent: z.record(z.string(), Digest),
  /** Rows deleted or updated so far, by the server's statistics; null where they are not kept or not exact. */
  removedRowCount: z.int().nullable(),
  /** The table's file (`pg_relation_filenode`): another one after TRUNCATE or a rewrite, which no statistics count. */
  fileNode: z.string(),
});
export type TableFingerprint = z.infer<typeof TableFingerprint>;

/** Where a sequence stands, and what it may do. Numbers are decimal text. Unlogged ones are left out: a restore resets them. */
export const SequenceState = z.strictObject({
  schema: z.string(),
  sequence: z.string(),
  increment: z.string(),
  minimum: z.string(),
  maximum: z.string(),
  cycle: z.boolean(),
  /** Its file: another one after TRUNCATE … RESTART IDENTITY and ALTER SEQUENCE. */
  fileNode: z.string(),
  /** Null where the reader may not read it. `logCount` numbers after `lastValue` are in the WAL in advance. */
  value: z.strictObject({ lastValue: z.string(), isCalled: z.boolean(), logCount: z.int() }).nullable(),
});
export type SequenceState = z.infer<typeof SequenceState>;

/** Why a relation is not compared. */
export const UnreadableRelation = z.strictObject({
  schema: z.string(),
  relation: z.string(),
  reason: z.enum([
    'permission-denied',
    'row-level-security',
    'unlogged',
    'foreign-table',
    'large-objects',
    'locked',
    'unreadable',
  ]),
});
export type UnreadableRelation = z.infer<typeof UnreadableRelation>;

/** A whole database at one moment: `before` the snapshot, `after` it became available, or on the `restored` copy. */
export const DatabaseFingerprint = z.strictObject({
  version: z.literal(1),
  databaseId: z.string(),
  moment: z.enum(['before', 'after', 'restored']),
  serverVersion: z.string(),
  /** Two random 64-bit seeds (decimal text), drawn for this recovery point. */
  seeds: z.tuple([z.string(), z.string()]),
  /** SHA-256 of everything in the schema that is not inside a table: views, functions, types, extensions, sequences. */
  schemaSha256: Sha256,
  tables: z.array(TableFingerprint),
  sequences: z.array(SequenceState),
  unreadable: z.array(UnreadableRelation),
  /** The root table's key values: the tenants that this database knows. */
  tenants: z.array(z.string()),
});
export type DatabaseFingerprint = z.infer<typeof DatabaseFingerprint>;
