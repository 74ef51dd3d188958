import { z } from 'zod';
import { DatabaseEndpoint, DeadlineAt } from './daily-backup.ts';
import { InstantText, RecoveryPointId, RestoreTestId, Sha256 } from './identifiers.ts';
import { LedgerDraft } from './ledger.ts';
import { RemovalOutput } from './removal.ts';
import { DatabaseVerification, Finding, ObjectVerification, PhaseTiming, Verdict } from './restore-test-record.ts';

/** Input of the `restore-test` workflow; without a recovery point it takes the newest that was not yet tested. */
export const RestoreTestInput = z.strictObject({
  scheduledAt: InstantText,
  recoveryPointId: RecoveryPointId.optional(),
  objects: z.union([z.literal('sample'), z.literal('all')]).optional(),
});

const DatabaseRef = z.strictObject({
  restoreTestId: RestoreTestId,
  recoveryPointId: RecoveryPointId,
  databaseId: z.string(),
});

/** `restore-test/choose`: verifies the root manifest's signature; `reason` when there is nothing to test. */
export const ChooseInput = RestoreTestInput;
export const ChooseOutput = z.strictObject({
  restoreTestId: RestoreTestId,
  recoveryPointId: RecoveryPointId.nullable(),
  /** As its root manifest says; null where none was read. An incomplete one can be tested, and cannot pass. */
  recoveryPointStatus: z.enum(['good', 'incomplete']).nullable(),
  /** Why no test can start; null when one can. */
  reason: z.string().nullable(),
  /** What is already wrong: a signature or a root manifest that does not verify. */
  findings: z.array(Finding),
  /** Each with the databases that it holds, at least one: they are restored together. */
  snapshots: z.array(z.strictObject({ snapshotId: z.string(), databases: z.array(DatabaseRef).min(1) })),
  allObjects: z.boolean(),
});

/**
 * `restore-test/restore-database`: starts the restore of the snapshot of this database, or finds what an earlier run
 * started. The instance is named after the database; what else the snapshot holds is tested on it too.
 */
export const RestoreDatabaseInput = DatabaseRef;
export const RestoreDatabaseOutput = z.strictObject({ instanceId: z.string() });

/** `restore-test/describe-instance` throws `RestoreFailedError` for an instance that failed or is gone. */
export const DescribeInstanceInput = z.strictObject({ instanceId: z.string() });

/**
 * Where a restored copy answers. The resource id (`DbiResourceId`) is this one copy's: what an earlier run of the same
 * test restored under the same name, perhaps from another recovery point, had another.
 */
export const RestoredEndpoint = DatabaseEndpoint.extend({ resourceId: z.string().min(1) });
export const DescribeInstanceOutput = z.strictObject({ available: z.boolean(), endpoint: RestoredEndpoint.nullable() });

/**
 * `restore-test/hydrate` and `restore-test/verify-database`: inside the VPC, called again until `done`. They log in as
 * the reader. What PostgreSQL cannot read (a broken page) is a finding, not an error.
 */
export const HydrateInput = DatabaseRef.extend({ endpoint: RestoredEndpoint });
export const HydrateOutput = z.strictObject({ done: z.boolean(), bytesRead: z.int() });
export const VerifyDatabaseInput = HydrateInput.extend({
  /** When the step stops, however much is left, and names what it left; null: it has all the time it needs. */
  deadlineAt: DeadlineAt,
});
export const VerifyDatabaseOutput = z.strictObject({
  done: z.boolean(),
  verification: DatabaseVerification.nullable(),
});

/** What one iteration over databases returns. `phase` says how far it came; `failure` is the error's name. */
export const DatabaseTestOutcome = z.strictObject({
  databaseId: z.string(),
  verification: DatabaseVerification.nullable(),
  failure: z.string().nullable(),
  /** True once the instance was available: a failure before that says nothing about the backup. */
  restored: z.boolean(),
  phases: z.array(PhaseTiming),
});

/** `restore-test/plan-objects`: writes the items of the distributed map to the work bucket (`itemsKey`). */
export const PlanObjectsInput = z.strictObject({
  restoreTestId: RestoreTestId,
  recoveryPointId: RecoveryPointId,
  allObjects: z.boolean(),
});
export const PlanObjectsOutput = z.strictObject({ itemsKey: z.string(), itemCount: z.int() });

/** One item: one tenant's manifest of one bucket. */
export const ObjectTestItem = z.strictObject({
  restoreTestId: RestoreTestId,
  recoveryPointId: RecoveryPointId,
  bucketId: z.string(),
  tenant: z.string().nullable(),
  manifestSha256: Sha256,
  /** How many objects to restore; null: all. */
  sampleSize: z.int().nullable(),
});
export type ObjectTestItem = z.infer<typeof ObjectTestItem>;

/** Where it goes on. */
export const ObjectTestCursor = z.discriminatedUnion('phase', [
  /** The vault was listed up to and with the name `after`, or a beginning of names. */
  z.strictObject({ phase: z.literal('inventory'), after: z.string(), progress: ObjectVerification }),
  /** So many of the manifest's lines are done. */
  z.strictObject({ phase: z.literal('restore'), lineCount: z.int(), progress: ObjectVerification }),
]);
export type ObjectTestCursor = z.infer<typeof ObjectTestCursor>;

/** `restore-test/verify-objects`: copies to the work bucket's scratch prefix, reads back, compares. */
export const VerifyObjectsInput = z.strictObject({
  item: ObjectTestItem,
  cursor: ObjectTestCursor.nullable(),
});
export const VerifyObjectsOutput = z.strictObject({
  result: ObjectVerification.nullable(),
  cursor: ObjectTestCursor.nullable(),
});

/** `restore-test/tear-down`: called again until `done`: every instance is gone and every scratch object deleted. */
export const TearDownInput = z.strictObject({ restoreTestId: RestoreTestId });
export const TearDownOutput = z.strictObject({ done: z.boolean() });

/** `restore-test/conclude`: decides the verdict, writes the record to the evidence bucket, drafts the ledger entry. */
export const ConcludeInput = z.strictObject({
  restoreTestId: RestoreTestId,
  startedAt: InstantText,
  chosen: ChooseOutput.nullable(),
  databases: z.array(DatabaseTestOutcome),
  /** The result writer's manifest in the work bucket; null when the objects were not reached. */
  objectResultsKey: z.string().nullable(),
  /** The name of the error that ended the test early. */
  failure: z.string().nullable(),
  phases: z.array(PhaseTiming),
});
export const ConcludeOutput = z.strictObject({ verdict: Verdict, recordKey: z.string(), draft: LedgerDraft });

/** `restore-test/remove-abandoned`: the janitor. A draft for each abandoned instance whose deletion has begun. */
export const RemoveAbandonedInput = z.looseObject({});
export const RemoveAbandonedOutput = RemovalOutput;
