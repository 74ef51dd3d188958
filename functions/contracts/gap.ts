import { z } from 'zod';

/** A relation, index, constraint or the like. Never joined with a dot to make a key: `"a.b".c` and `a."b.c"` are two. */
export const SchemaName = z.strictObject({ schema: z.string(), name: z.string() });
export type SchemaName = z.infer<typeof SchemaName>;

/**
 * Why rows or a check could not be had. `out-of-time`: its share of the run's time was over. `absent`: the relation was
 * created or dropped while the snapshot was taken.
 */
export const Obstacle = z.enum([
  'permission-denied',
  'row-level-security',
  'locked',
  'unreadable',
  'out-of-time',
  'redefined',
  'rewritten',
  'absent',
]);
export type Obstacle = z.infer<typeof Obstacle>;

/** Why a check beside the comparison of rows was not made. */
const CheckObstacle = z.enum([
  ...Obstacle.options,
  /** PostgreSQL has none for this type of index. */
  'no-check-exists',
  /** It is not valid on the source either, so that it promises nothing. */
  'not-valid-on-source',
  /** PostgreSQL chose another way through the table. */
  'not-walked',
]);
export type CheckObstacle = z.infer<typeof CheckObstacle>;

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
  /** Large objects that the reader may not read. `objectCount` is null where even their number is not known. */
  z.strictObject({ kind: z.literal('large-objects'), databaseId, objectCount: z.int().nullable() }),
  /** Another database of the same instance, which nothing proves: it has tables of its own, or that could not be seen. */
  z.strictObject({ kind: z.literal('other-database'), databaseId, name: z.string(), tableCount: z.int().nullable() }),
  /** An object of the catalog that changed while the snapshot was taken and is neither what it was nor what it became. */
  z.strictObject({ kind: z.literal('catalog-drift'), databaseId, catalog: z.string(), rowCount }),
  /** A system catalog of which the source or the copy gave no rows. */
  z.strictObject({ kind: z.literal('catalog-unread'), databaseId, catalog: z.string(), why: Obstacle }),
  /** A sequence of which nothing bounds the value: defined anew, or cycled and moved, while the snapshot was taken. */
  z.strictObject({ kind: z.literal('sequence-of-no-end'), databaseId, sequence: SchemaName }),
  /** A sequence that was set back, begun anew, made or dropped meanwhile: its value is bounded on one side. */
  z.strictObject({ kind: z.literal('sequence-not-bounded'), databaseId, sequence: SchemaName }),
  /** A sequence that the reader may not read. */
  z.strictObject({ kind: z.literal('sequence-unread'), databaseId, sequence: SchemaName }),
  /** Rows that changed while the snapshot was taken: within their bounds, counted, not compared. */
  z.strictObject({ kind: z.literal('drift'), databaseId, rowCount: z.int() }),
  /** An unlogged table is empty after every restore. `rowCount` is what the source held. */
  z.strictObject({ kind: z.literal('unlogged-table'), databaseId, table: SchemaName, rowCount }),
  /** Its rows are on another server, and in no backup of this one. */
  z.strictObject({ kind: z.literal('foreign-table'), databaseId, table: SchemaName }),
  z.strictObject({ kind: z.literal('unpopulated-view'), databaseId, table: SchemaName }),
  /** A database that PostgreSQL or RDS made, without tables of anybody’s. */
  z.strictObject({ kind: z.literal('system-database'), databaseId, name: z.string() }),
  /** A check beside the comparison of rows that was not made. `name` is the check's (`platform/sql-name.ts`). */
  z.strictObject({
    kind: z.literal('check-not-made'),
    databaseId,
    subject: z.enum(['foreign-key', 'index', 'heap']),
    name: z.string(),
    why: CheckObstacle,
  }),
  /** The database has no `amcheck`, or its reader may not execute it: pages are read, and not checked in their structure. */
  z.strictObject({ kind: z.literal('amcheck-missing'), databaseId }),
  /** The configuration accepts a gap that this test does not have: what was accepted is not there, or not called so. */
  z.strictObject({ kind: z.literal('acceptance-unused'), databaseId, what: z.string() }),
]);
export type Gap = z.infer<typeof Gap>;
export type GapKind = Gap['kind'];

/** Whether a restore test may pass beside a gap of this kind that nobody accepted. A new kind does not compile without. */
export const MAY_PASS: Readonly<Record<GapKind, boolean>> = {
  'table-of-no-end': false,
  'table-not-bounded': false,
  'rows-unreadable': false,
  'large-objects': false,
  'other-database': false,
  'catalog-drift': false,
  'catalog-unread': false,
  'sequence-of-no-end': false,
  'sequence-not-bounded': true,
  'sequence-unread': false,
  drift: true,
  'unlogged-table': true,
  'foreign-table': true,
  'unpopulated-view': true,
  'system-database': true,
  'check-not-made': true,
  'amcheck-missing': true,
  'acceptance-unused': true,
};

/** Why a person accepts a gap. From a list, and not in words of their own: it goes into records that cannot be erased. */
export const AcceptanceReason = z.enum([
  /** Nothing of a school or a person is in it. */
  'holds-no-school-data',
  'backed-up-otherwise',
  'can-be-made-again',
  'being-removed',
]);

/**
 * A gap that a person accepts, by the name that the record of a restore test gives it (`platform/gap-name.ts`):
 * `app/other-database:reports`, `app/rows-unreadable:permission-denied:"a.b".c`, `app/large-objects`. It then does not keep
 * a test from passing, and every record, summary and verdict repeats it. It goes into signed records: nothing personal may
 * be in it, and so `reason` is one of a list, and `reference` the number of a ticket or minute, not a text.
 */
export const Acceptance = z.strictObject({
  what: z
    .string()
    .max(300)
    .regex(
      /^[a-z][a-z0-9-]*\/[a-z-]+(?::.+)?$/s,
      'must be the name of a gap as a restore test prints it: app/large-objects',
    ),
  reason: AcceptanceReason,
  reference: z
    .string()
    .regex(/^[A-Z0-9][A-Z0-9./#-]{0,29}$/, 'must be the number of a ticket or minute, in capitals: OPS-12')
    .optional(),
});
export type Acceptance = z.infer<typeof Acceptance>;

/** A gap in a record: with its name, and whether a person accepted it. */
export const NamedGap = z.strictObject({
  name: z.string(),
  gap: Gap,
  accepted: Acceptance.pick({ reason: true, reference: true }).nullable(),
});
export type NamedGap = z.infer<typeof NamedGap>;

/** All gaps of one kind together, also those that a record does not keep one by one. */
export const GapTotal = z.strictObject({
  kind: z.enum(Object.keys(MAY_PASS) as [GapKind, ...GapKind[]]),
  gapCount: z.int(),
  /** Rows or objects that they concern; null where at least one does not know. */
  rowCount,
});
export type GapTotal = z.infer<typeof GapTotal>;
