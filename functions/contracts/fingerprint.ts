import { z } from 'zod';
import { Obstacle } from './gap.ts';
import { InstantText, Sha256 } from './identifiers.ts';
import { RootTenants } from './tenant-names.ts';

/** Where the digests of one table lie: a piece of the uncompressed content of a part file (`fingerprintPartKey`). */
export const DigestsPlace = z.strictObject({
  /** SHA-256 of the part as it is stored, compressed. */
  partSha256: Sha256,
  offset: z.int().min(0),
  byteCount: z.int().min(0),
});
export type DigestsPlace = z.infer<typeof DigestsPlace>;

/**
 * What two measurements of a table must share for their rows to be compared. `row`: the columns' names, types, NOT NULL
 * and generation, which decide a row's text. `definition`: everything about the table, in fingerprints of version 1.
 */
export const TableShape = z.strictObject({ of: z.enum(['row', 'definition']), sha256: Sha256 });
export type TableShape = z.infer<typeof TableShape>;

/**
 * One table, measured in ranges of its blocks, each in a short REPEATABLE READ READ ONLY transaction of its own.
 *
 * Its digests count, by bucket, settled rows, whose `xmin` is older than `horizon`, and recent ones. Over settled rows
 * after ⊆ restored ⊆ before holds, bucket by bucket: `platform/fingerprint/measure-table.ts` says why.
 */
export const TableFingerprint = z.strictObject({
  schema: z.string(),
  table: z.string(),
  kind: z.enum(['table', 'materialized-view']),
  shape: TableShape,
  /** SHA-256 of the table's definition: columns, types, constraints, indexes, policies, triggers. */
  definitionSha256: Sha256,
  /** The primary key's columns that rows are put into buckets by; empty: by the hash of the whole row. */
  bucketColumns: z.array(z.string()),
  bucketCount: z.int().min(1).max(262_144),
  /** A full transaction id (xid8) as decimal text. */
  horizon: z.string(),
  /** The snapshot of the first range, as `pg_current_snapshot()` prints it. */
  snapshot: z.string(),
  /** True where one snapshot saw all rows. In several, an updated row can have been seen twice, or not at all. */
  isOneSnapshot: z.boolean(),
  /** Before the first range's snapshot was taken. */
  firstMeasuredAt: InstantText,
  /** After the last range's snapshot was taken. */
  lastMeasuredAt: InstantText,
  rowCount: z.int().min(0),
  /** Rows deleted or updated so far, by the server's statistics; null where they are not kept or not exact. */
  removedRowCount: z.int().nullable(),
  /** Of these, rows deleted. */
  deletedRowCount: z.int().nullable(),
  /** The table's file (`pg_relation_filenode`): another one after TRUNCATE or a rewrite, which no statistics count. */
  fileNode: z.string(),
  digests: DigestsPlace,
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

/** Why a relation was not measured: it could not be, or its rows are in no backup. */
export const UnreadableRelation = z.strictObject({
  schema: z.string(),
  relation: z.string(),
  reason: z.enum([...Obstacle.options, 'unlogged', 'foreign-table', 'unpopulated-view', 'large-objects']),
  /** What an unlogged table held, or how many large objects there are; null where that is not known. */
  rowCount: z.int().nullable().default(null),
});
export type UnreadableRelation = z.infer<typeof UnreadableRelation>;

/** Another database of the same instance. `tableCount` is null where the reader may not see. */
export const InstanceDatabase = z.strictObject({ name: z.string(), tableCount: z.int().nullable() });
export type InstanceDatabase = z.infer<typeof InstanceDatabase>;

/**
 * A database `before` its snapshot, or `after` it became available: the index, whose SHA-256 the root manifest signs. The
 * tables' digests lie in part files, whose SHA-256 it names.
 */
export const DatabaseFingerprint = z.strictObject({
  version: z.literal(2),
  databaseId: z.string(),
  moment: z.enum(['before', 'after']),
  serverVersion: z.string(),
  /** Two random 64-bit seeds (decimal text), drawn for this recovery point. */
  seeds: z.tuple([z.string(), z.string()]),
  /** A full transaction id (xid8): every transaction below it had ended when the measurement did. */
  horizon: z.string(),
  /** SHA-256 of the file with the rows of the system catalogs; null where it could not be taken, and in version 1. */
  catalogsSha256: Sha256.nullable(),
  tables: z.array(TableFingerprint),
  /** When what follows was read, and the catalogs, all of it after the tables; null in version 1. */
  describedAt: InstantText.nullable().default(null),
  sequences: z.array(SequenceState),
  unreadable: z.array(UnreadableRelation),
  /** The other databases of the instance, which its snapshot holds as well. */
  instanceDatabases: z.array(InstanceDatabase),
  /** The tenants that this database knows. */
  root: RootTenants,
});
export type DatabaseFingerprint = z.infer<typeof DatabaseFingerprint>;
