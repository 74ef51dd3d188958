import { z } from 'zod';
import { GapTotal, NamedGap } from './gap.ts';
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
    'sequence-ahead',
    'catalog-missing',
    'catalog-added',
    'catalog-changed',
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
  /** Rows that the source's own measurements say must be there. */
  rowsExpected: z.int(),
  rowsComparedExactly: z.int(),
  /** Rows in buckets that changed while the snapshot was taken: bounded, counted, not compared. */
  driftRowCount: z.int(),
  foreignKeysChecked: z.int(),
  indexesChecked: z.int(),
  /** Null where the server has no `amcheck`. */
  heapRelationsChecked: z.int().nullable(),
  /** What was not compared, and what no restore brings back: all that a person accepted, and of the others the first. */
  gaps: z.array(NamedGap),
  /** Of all gaps, also of those that are not kept. */
  gapTotals: z.array(GapTotal),
  /** The first; `findingCount` counts all. */
  findings: z.array(Finding),
  findingCount: z.int(),
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

const parts = {
  restoreTestId: RestoreTestId,
  recoveryPointId: RecoveryPointId.nullable(),
  verdict: Verdict,
  /** Each reason for the verdict, in one sentence. */
  reasons: z.array(z.string()),
  startedAt: InstantText,
  completedAt: InstantText,
  /** Rows compared exactly, of those expected from the source, in percent with two decimals; null when none was. */
  rowCoveragePercent: z.number().nullable(),
  objects: z.strictObject({
    tenantCount: z.int(),
    objectCount: z.int(),
    objectsRestored: z.int(),
    bytesRestored: z.int(),
  }),
  findingCount: z.int(),
  findings: z.array(Finding),
  phases: z.array(PhaseTiming),
};

/** The record of one restore test. At most 100 findings are kept; `findingCount` counts all. */
export const RestoreTestRecord = z.strictObject({
  version: z.literal(2),
  ...parts,
  /** The verdict in one line, with what was not compared and what will be empty after a restore. */
  verdictLine: z.string(),
  databases: z.array(DatabaseVerification),
});
export type RestoreTestRecord = z.infer<typeof RestoreTestRecord>;

/**
 * A record of either version. In the first, what was not checked stood in sentences, and coverage was of the rows that the
 * copy held; such records lie in the evidence bucket for years.
 */
export const KeptRestoreTestRecord = z.discriminatedUnion('version', [
  RestoreTestRecord,
  z.strictObject({
    version: z.literal(1),
    ...parts,
    databases: z.array(
      DatabaseVerification.omit({ rowsExpected: true, gaps: true, gapTotals: true, findingCount: true }).extend({
        /** `schema.relation: reason`. */
        notChecked: z.array(z.string()),
      }),
    ),
  }),
]);
export type KeptRestoreTestRecord = z.infer<typeof KeptRestoreTestRecord>;
