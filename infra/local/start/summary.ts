import { z } from 'zod';
import { RestoreTestRecord, Verdict } from '../../../functions/contracts/restore-test-record.ts';
import { LEFT_OUT_KINDS } from './list-folder.ts';

const BackupSummary = z.strictObject({
  recoveryPointId: z.string(),
  status: z.enum(['good', 'incomplete']),
  durationMs: z.int(),
  databases: z.int(),
  rows: z.int(),
  tenants: z.int(),
  objects: z.int(),
  bytes: z.int(),
  objectsCopied: z.int(),
  bytesCopied: z.int(),
  /** The longest time between a snapshot and what objects were shown at; null where there are not both. */
  skewMs: z.int().nullable(),
  /** Databases of the instance that the snapshot holds and nothing proves, with how many tables; null where it is not known. */
  unproved: z.array(z.strictObject({ instanceId: z.string(), name: z.string(), tableCount: z.int().nullable() })),
  /** S3 requests by operation. */
  s3Requests: z.record(z.string(), z.int()),
});

export type BackupSummary = z.infer<typeof BackupSummary>;

/** What `npm start -- --report DIR` writes as `summary.json`. A field is never renamed without another `version`. */
export const Summary = z.strictObject({
  version: z.literal(2),
  /** `failed` also when a backup or the run itself failed. */
  verdict: Verdict,
  /** The verdict in one line, with what was not compared, what will be empty after a restore, and what was accepted. */
  verdictLine: z.string(),
  startedAt: z.iso.datetime(),
  durationMs: z.int(),
  peakResidentBytes: z.int(),
  node: z.string(),
  input: z.strictObject({
    source: z.enum(['sample', 'own']),
    rows: z.int(),
    files: z.int(),
    bytes: z.int(),
    tenants: z.int(),
    /** Files outside every tenant's folder. */
    untenantedFiles: z.int(),
    /** What was found and is no object, with its first paths. `files` and these counts are all that was found. */
    leftOut: z.array(z.strictObject({ kind: z.enum(LEFT_OUT_KINDS), count: z.int(), paths: z.array(z.string()) })),
  }),
  /** Those that left a root manifest. */
  backups: z.array(BackupSummary),
  /** Null when the restore test left no record. */
  restoreTest: RestoreTestRecord.nullable(),
  /** What ended the run before its record was written, one sentence each. */
  failures: z.array(z.string()),
  phases: z.array(z.strictObject({ phase: z.string(), durationMs: z.int() })),
});
export type Summary = z.infer<typeof Summary>;
