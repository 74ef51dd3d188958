import { z } from 'zod';
import { InstantText, RecoveryPointId, RestoreTestId } from './identifiers.ts';

/** `could-not-start` says nothing about the backup; `inconclusive`: too little could be compared exactly. */
export const Verdict = z.enum(['passed', 'failed', 'inconclusive', 'could-not-start']);
export type Verdict = z.infer<typeof Verdict>;

/** One thing that is not as it was backed up. `place` names it without personal data: a table and bucket, or a vault name. */
export const Finding = z.strictObject({
  kind: z.enum([
    'signature-invalid',
    'manifest-altered',
    'fingerprint-altered',
    'schema-changed',
    'table-missing',
    'table-added',
    'rows-missing',
    'rows-added',
    'rows-changed',
    'unreadable',
    'sequence-behind',
    'foreign-key-violated',
    'index-corrupt',
    'heap-corrupt',
    'object-missing',
    'object-altered',
  ]),
  place: z.string(),
  detail: z.string(),
});
export type Finding = z.infer<typeof Finding>;

export const DatabaseVerification = z.strictObject({
  databaseId: z.string(),
  tableCount: z.int(),
  /** All rows that the restored copy holds. */
  rowCount: z.int(),
  rowsComparedExactly: z.int(),
  /** Rows in buckets that changed while the snapshot was taken: bounded, counted, not compared. */
  driftRowCount: z.int(),
  foreignKeysChecked: z.int(),
  indexesChecked: z.int(),
  /** Null where the server has no `amcheck`. */
  heapRelationsChecked: z.int().nullable(),
  /** What could not be checked, named: `schema.relation: reason`. */
  notChecked: z.array(z.string()),
  findings: z.array(Finding),
});
export type DatabaseVerification = z.infer<typeof DatabaseVerification>;

export const ObjectVerification = z.strictObject({
  bucketId: z.string(),
  tenant: z.string().nullable(),
  /** Objects in the manifest; each was found in the vault by listing, with its size. */
  objectCount: z.int(),
  objectsRestored: z.int(),
  bytesRestored: z.int(),
  /** The first hundred; `findingCount` counts all. */
  findings: z.array(Finding),
  findingCount: z.int(),
});
export type ObjectVerification = z.infer<typeof ObjectVerification>;

export const PhaseTiming = z.strictObject({ phase: z.string(), startedAt: InstantText, durationMs: z.int() });

/** The record of one restore test. At most 100 findings are kept; `findingCount` counts all. */
export const RestoreTestRecord = z.strictObject({
  version: z.literal(1),
  restoreTestId: RestoreTestId,
  recoveryPointId: RecoveryPointId.nullable(),
  verdict: Verdict,
  /** Each reason for the verdict, in one sentence. */
  reasons: z.array(z.string()),
  startedAt: InstantText,
  completedAt: InstantText,
  /** Rows compared exactly, of all rows, in percent with two decimals; null when no row was measured. */
  rowCoveragePercent: z.number().nullable(),
  databases: z.array(DatabaseVerification),
  objects: z.strictObject({
    tenantCount: z.int(),
    objectCount: z.int(),
    objectsRestored: z.int(),
    bytesRestored: z.int(),
  }),
  findingCount: z.int(),
  findings: z.array(Finding),
  phases: z.array(PhaseTiming),
});
export type RestoreTestRecord = z.infer<typeof RestoreTestRecord>;
