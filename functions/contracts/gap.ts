import { z } from 'zod';

/** A relation, index, constraint or the like. Never joined with a dot to make a key: `"a.b".c` and `a."b.c"` are two. */
export const SchemaName = z.strictObject({ schema: z.string(), name: z.string() });
export type SchemaName = z.infer<typeof SchemaName>;

/** Why rows or a check could not be had. `out-of-time`: its share of the run's time was over. */
export const Obstacle = z.enum([
  'permission-denied',
  'row-level-security',
  'locked',
  'unreadable',
  'out-of-time',
  'redefined',
  'rewritten',
]);
export type Obstacle = z.infer<typeof Obstacle>;

const databaseId = z.string();
const rowCount = z.int().nullable();

/**
 * Something that a restore test did not compare, or that no restore brings back. It holds nothing personal: names of
 * relations and databases, and counts. Whether `passed` may stand beside it is decided for each kind in `MAY_PASS`.
 */
export const Gap = z.discriminatedUnion('kind', [
  /** No measurement of the source can be used: nothing is known of its rows. */
  z.strictObject({ kind: z.literal('table-of-no-end'), databaseId, table: SchemaName, why: Obstacle }),
  /** One measurement can be used, and it does not exclude that rows were lost or altered. `rowCount`: so many at most. */
  z.strictObject({ kind: z.literal('table-not-bounded'), databaseId, table: SchemaName, why: Obstacle, rowCount }),
  /** The restored copy, or both measurements, refused to give the rows. */
  z.strictObject({ kind: z.literal('rows-unreadable'), databaseId, table: SchemaName, why: Obstacle }),
  /** Large objects that the reader may not read. */
  z.strictObject({ kind: z.literal('large-objects'), databaseId, objectCount: z.int() }),
  /** Another database of the same instance, which nothing proves: it has tables of its own, or that could not be seen. */
  z.strictObject({ kind: z.literal('other-database'), databaseId, name: z.string(), tableCount: z.int().nullable() }),
  /** An object of the catalog that changed while the snapshot was taken and is neither what it was nor what it became. */
  z.strictObject({ kind: z.literal('catalog-drift'), databaseId, catalog: z.string(), rowCount: z.int() }),
  /** A system catalog of which the source or the copy gave no rows. */
  z.strictObject({ kind: z.literal('catalog-unread'), databaseId, catalog: z.string(), why: Obstacle }),
  /** Rows that changed while the snapshot was taken: within their bounds, counted, not compared. */
  z.strictObject({ kind: z.literal('drift'), databaseId, rowCount: z.int() }),
  /** An unlogged table is empty after every restore. `rowCount` is what the source held. */
  z.strictObject({ kind: z.literal('unlogged-table'), databaseId, table: SchemaName, rowCount }),
  /** Its rows are on another server, and in no backup of this one. */
  z.strictObject({ kind: z.literal('foreign-table'), databaseId, table: SchemaName }),
  z.strictObject({ kind: z.literal('unpopulated-view'), databaseId, table: SchemaName }),
  /** A database that PostgreSQL or RDS made, without tables of anybody’s. */
  z.strictObject({ kind: z.literal('system-database'), databaseId, name: z.string() }),
  /** A check beside the comparison of rows that was not made: a foreign key, an index, a heap. */
  z.strictObject({
    kind: z.literal('check-not-made'),
    databaseId,
    subject: z.enum(['foreign-key', 'index', 'heap']),
    name: SchemaName,
    why: Obstacle,
  }),
]);
export type Gap = z.infer<typeof Gap>;

/** Whether a restore test may pass beside a gap of this kind that nobody accepted. A new kind does not compile without. */
export const MAY_PASS: Readonly<Record<Gap['kind'], boolean>> = {
  'table-of-no-end': false,
  'table-not-bounded': false,
  'rows-unreadable': false,
  'large-objects': false,
  'other-database': false,
  'catalog-drift': false,
  'catalog-unread': false,
  drift: true,
  'unlogged-table': true,
  'foreign-table': true,
  'unpopulated-view': true,
  'system-database': true,
  'check-not-made': true,
};
