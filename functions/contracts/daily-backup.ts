import { z } from 'zod';
import { InstantText, RecoveryPointId, Sha256, TenantName } from './identifiers.ts';
import { LedgerDraft } from './ledger.ts';
import { TenantBackupResult } from './object-manifest.ts';
import { DatabaseRecoveryPoint, ObjectLosses } from './recovery-point.ts';
import { RemovalOutput } from './removal.ts';
import { SNAPSHOT_PURPOSES } from './vault-layout.ts';

/** Input of the `daily-backup` workflow. The recovery point's id comes from it, so a rerun finishes the same one. */
export const DailyBackupInput = z.strictObject({ scheduledAt: InstantText });

/** Where a database answers. */
export const DatabaseEndpoint = z.strictObject({ host: z.string(), port: z.int() });

const DatabaseRef = z.strictObject({ recoveryPointId: RecoveryPointId, databaseId: z.string() });
/** A snapshot holds every database of its instance, so that is what one is taken of. */
const InstanceRef = z.strictObject({ recoveryPointId: RecoveryPointId, instanceId: z.string() });

/**
 * When a step stops, however much is left, and names what it left: the workflow waits a little longer for its answer, and
 * then gives it up. Null: it has all the time it needs.
 */
export const DeadlineAt = InstantText.nullable().default(null);

/** `backup/plan`: outside the VPC, because it asks RDS for the endpoints. */
export const PlanInput = DailyBackupInput;
export const PlanOutput = z.strictObject({
  recoveryPointId: RecoveryPointId,
  scheduledAt: InstantText,
  instances: z.array(InstanceRef.extend({ databases: z.array(DatabaseRef.extend({ endpoint: DatabaseEndpoint })) })),
});

/** `backup/fingerprint`: inside the VPC. Called again until `done`; a finished one answers at once. */
export const FingerprintInput = DatabaseRef.extend({
  endpoint: DatabaseEndpoint,
  moment: z.enum(['before', 'after']),
  /** From then on nothing more is measured: what is left is named, and the fingerprint is closed. */
  deadlineAt: DeadlineAt,
});
export const FingerprintOutput = z.strictObject({
  done: z.boolean(),
  /** When its last table was measured; null until it is done, and for a database without tables. */
  measuredAt: InstantText.nullable(),
});

/** `backup/create-snapshot`, `backup/copy-snapshot`: start, or find what an earlier run started. */
export const SnapshotInput = InstanceRef.extend({
  /** When the first of its databases was measured *before*; null where none could be: any snapshot is as good. */
  measuredAt: InstantText.nullable(),
});
export const SnapshotOutput = z.strictObject({ snapshotId: z.string() });

/** `backup/describe-snapshot` throws `SnapshotFailedError` for a snapshot that failed or is gone. */
export const DescribeSnapshotInput = z.strictObject({ snapshotId: z.string() });
export const DescribeSnapshotOutput = z.strictObject({
  available: z.boolean(),
  progressPercent: z.int(),
  /** The moment whose state the snapshot holds; null while it has not begun. */
  takenAt: InstantText.nullable(),
});

/** `backup/delete-intermediate`: only once the copy was read back as available and encrypted under the vault key. */
export const DeleteIntermediateInput = InstanceRef;
export const DeleteIntermediateOutput = z.strictObject({});

/** A snapshot that is to be removed: this one, not another that came to have its name. */
export const PlannedRemoval = z.strictObject({
  snapshotId: z.string(),
  recoveryPointId: RecoveryPointId,
  purpose: z.enum([SNAPSHOT_PURPOSES.intermediate, SNAPSHOT_PURPOSES.unproved]),
  createdAt: InstantText.nullable(),
  reason: z.string(),
});
export type PlannedRemoval = z.infer<typeof PlannedRemoval>;

/**
 * `backup/remove-unproved`: plans what of the snapshots that backups left is to be removed, and then, in a call of its own,
 * removes of that what is still to be removed. So a call that was killed half-way is repeated with the same plan, and has
 * all of it recorded that is gone.
 */
export const RemoveUnprovedInput = z.discriminatedUnion('moment', [
  z.strictObject({ moment: z.literal('plan') }),
  z.strictObject({ moment: z.literal('remove'), planned: z.array(PlannedRemoval) }),
]);
export const RemoveUnprovedOutput = RemovalOutput.extend({ planned: z.array(PlannedRemoval) });

/** What one iteration over databases returns; `failure` is the error's name. */
export const DatabaseOutcome = z.strictObject({ databaseId: z.string(), failure: z.string().nullable() });

/**
 * `backup/list-tenants`: as soon as the snapshots are available. Writes the items of the distributed map to the work bucket
 * (`itemsKey`). Called again with its listing it goes on where it stopped for time; where it was done, it lists once more what
 * keeps no versions, and adds to the items what came meanwhile. Items only ever come.
 */
export const ListTenantsInput = z.strictObject({
  recoveryPointId: RecoveryPointId,
  /** The moment of the snapshots, of several the last one's; null where there is none: then that of the listing. */
  asOf: InstantText.nullable().default(null),
  /** What the call before this one listed; null for the first one. */
  listing: Sha256.nullable().default(null),
});
export const ListTenantsOutput = z.strictObject({
  /** Null where it stopped for time. */
  itemsKey: z.string().nullable(),
  itemCount: z.int(),
  /** Buckets that could not be listed, or are not yet: they may hold tenants that nothing else knows. */
  unlistedBucketIds: z.array(z.string()),
  /** Buckets of which it can list only what is there now: what is there later, only listing again can tell. */
  bucketIdsWithoutVersions: z.array(z.string()),
  /** New tenants beyond the most that one run gives keys to: they have no item, and the next run begins with them. */
  postponedTenantCount: z.int(),
  /** The digest of what it has listed so far (`folderListingKey`), whether it is done or not. */
  listing: Sha256,
  /** The digest of what this run knows of losses (`lostObjectsKey`); null as long as it has no items. */
  lostObjectsSha256: Sha256.nullable(),
});

/**
 * One item: one tenant in one bucket, or (tenant null) what lies under no tenant's prefix. It holds no keys: an item may
 * have 256 KiB at most, and what stands in a state machine's history cannot be erased.
 */
export const TenantItem = z.strictObject({
  recoveryPointId: RecoveryPointId,
  bucketId: z.string(),
  tenant: TenantName.nullable(),
  previousManifestSha256: Sha256.nullable(),
  /** The one that the previous run left where its time ran out. */
  partialManifestSha256: Sha256.nullable().default(null),
  /**
   * The moment as of which objects are listed, in a bucket that keeps their versions. Null for one that does not, which can
   * be listed only as it is.
   */
  asOf: InstantText.nullable().default(null),
  /** The file that says where the tenants' folders are (`tenantFoldersKey`); null where each is called as its tenant. */
  tenantFoldersSha256: Sha256.nullable().default(null),
  /** The file that says which vault objects are lost (`lostObjectsKey`); null in items of an earlier release. */
  lostObjectsSha256: Sha256.nullable().default(null),
  /** What an earlier run of the same recovery point stored: another one goes on from that, as a further pass does. */
  earlier: TenantBackupResult.optional(),
});
export type TenantItem = z.infer<typeof TenantItem>;

/** What a run knows of vault objects that are lost (`lostObjectsKey`). Root manifests are none of them: they are not copied. */
export const LostObjects = ObjectLosses.pick({ ledgerSequence: true, knownAt: true }).extend({
  /** First those that are accepted: where not all can be named, they are. */
  keys: z.array(z.string()),
});
export type LostObjects = z.infer<typeof LostObjects>;

/**
 * `tenants/ensure-key`: creates and tags the tenant's key at first sight; the vault key for tenant null. With a `draft` the
 * key is new and must not be used yet: record it, then call again with it, so that it gets its alias. A key that can be
 * found is therefore in the ledger.
 */
export const EnsureKeyInput = z.strictObject({
  tenant: TenantName.nullable(),
  recordedKeyArn: z.string().nullable().default(null),
});
export const EnsureKeyOutput = z.strictObject({ keyArn: z.string(), draft: LedgerDraft.nullable() });

/** Where a step that stopped for time goes on. */
export const TenantCursor = z.strictObject({
  /**
   * SHA-256 of the lines of each segment of the unfinished manifest (`unfinishedManifestKey`), in their order. The last one
   * also holds the key that it came to.
   */
  segments: z.array(Sha256),
  /** `listed`: everything is in the segments, and the manifest is to be written; `timed-out`: the same, as far as it came. */
  phase: z.enum(['listing', 'listed', 'timed-out']),
  progress: TenantBackupResult,
});

/**
 * `first`: a tenant's objects are listed and copied. `settle`: those of a bucket that keeps no versions are listed once more
 * when all tenants were, because a file may have been moved meanwhile; `result` is what the first pass came to.
 */
export const TenantPass = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('first') }),
  z.strictObject({ kind: z.literal('settle'), result: TenantBackupResult }),
]);
export type TenantPass = z.infer<typeof TenantPass>;

/** `backup/back-up-tenant`: inside the distributed map. With `result` it is done; with `cursor` it wants to go on. */
export const BackUpTenantInput = z.strictObject({
  item: TenantItem,
  pass: TenantPass.default({ kind: 'first' }),
  keyArn: z.string(),
  cursor: TenantCursor.nullable(),
  deadlineAt: DeadlineAt,
});
export const BackUpTenantOutput = z.strictObject({
  result: TenantBackupResult.nullable(),
  cursor: TenantCursor.nullable(),
});

/**
 * `backup/settle-tenants`: `before` a further pass it writes to the work bucket the items that are still to be done: those to be
 * settled, and those that have no result yet. `after` the last one it gathers the results of all, and looks for what vanished;
 * called again with the cursor until there is none.
 */
export const SettleTenantsInput = z.discriminatedUnion('moment', [
  z.strictObject({
    moment: z.literal('before'),
    recoveryPointId: RecoveryPointId,
    /** The result writer's manifest in the work bucket (`ResultWriterDetails.Key`). */
    tenantResultsKey: z.string(),
    /** Those of the further passes so far. */
    settledResultsKeys: z.array(z.string()),
  }),
  z.strictObject({
    moment: z.literal('after'),
    recoveryPointId: RecoveryPointId,
    tenantResultsKey: z.string(),
    settledResultsKeys: z.array(z.string()),
    /** How many manifests are searched. */
    cursor: z.int().nullable(),
    /** From then on nothing more is looked for: what vanished stays named. */
    deadlineAt: DeadlineAt,
  }),
]);
export const SettleTenantsOutput = z.discriminatedUnion('moment', [
  z.strictObject({ moment: z.literal('before'), itemsKey: z.string(), itemCount: z.int() }),
  z.strictObject({
    moment: z.literal('after'),
    /** One `TenantBackupResult` for each item, a line each, in the work bucket (`tenantResultsKey`). */
    tenantsKey: z.string().nullable(),
    cursor: z.int().nullable(),
  }),
]);

/** `backup/complete`: reads everything back, writes and signs the root manifest, and drafts the ledger entry. */
export const CompleteInput = z.strictObject({
  recoveryPointId: RecoveryPointId,
  scheduledAt: InstantText,
  databases: z.array(DatabaseOutcome),
  /** The moment that objects were asked for. */
  asOf: InstantText.nullable(),
  /** What each tenant came to, a `TenantBackupResult` a line, in the work bucket. */
  tenantsKey: z.string(),
  unlistedBucketIds: z.array(z.string()),
  postponedTenantCount: z.int(),
  /** What this run knows of losses, as it was handed from state to state; null where an earlier release began it. */
  lostObjectsSha256: Sha256.nullable().default(null),
});
export const CompleteOutput = z.strictObject({
  recoveryPointId: RecoveryPointId,
  status: z.enum(['good', 'incomplete']),
  databases: z.array(DatabaseRecoveryPoint),
  draft: LedgerDraft,
});

/** `evidence/append-entry`: records the draft once, whatever else is being appended, and signs the head. */
export const AppendEntryInput = z.strictObject({ draft: LedgerDraft });
export const AppendEntryOutput = z.strictObject({ sequence: z.int(), entrySha256: Sha256 });

/** `workflows/start-execution`: what a schedule calls. A second call for the same instant finds the execution there. */
export const StartExecutionInput = z.strictObject({
  workflow: z.enum(['daily-backup', 'restore-test', 'remove-abandoned']),
  scheduledAt: z.string(),
});
export const StartExecutionOutput = z.strictObject({ executionArn: z.string(), started: z.boolean() });
