import { z } from 'zod';
import { InstanceDatabase } from './fingerprint.ts';
import { InstantText, RecoveryPointId, Sha256 } from './identifiers.ts';
import { TenantBackupResult } from './object-manifest.ts';

/** One database's part of a recovery point. */
export const DatabaseRecoveryPoint = z.strictObject({
  databaseId: z.string(),
  /** null when the database could not be backed up. With a `failure` beside it, it is there, and nothing proves it. */
  snapshot: z
    .strictObject({
      id: z.string(),
      arn: z.string(),
      /** When the original snapshot was made: the database's state as of this instant. */
      takenAt: InstantText,
      kmsKeyArn: z.string(),
      engineVersion: z.string(),
      allocatedStorageBytes: z.int(),
    })
    .nullable(),
  /** SHA-256 of the stored (compressed) fingerprint files. */
  fingerprints: z.strictObject({ before: Sha256, after: Sha256 }).nullable(),
  rowCount: z.int(),
  failure: z.string().nullable(),
});
export type DatabaseRecoveryPoint = z.infer<typeof DatabaseRecoveryPoint>;

/**
 * The moments that a recovery point is made of, and how far they lie apart: rows and objects that were changed in between
 * may not fit each other.
 */
export const RecoveryPointMoments = z.strictObject({
  /** One for each instance; its databases share it. */
  snapshots: z.array(z.strictObject({ instanceId: z.string(), takenAt: InstantText })),
  /** The moment that objects were asked for; null where there was no snapshot, and it was that of the listing. */
  asOf: InstantText.nullable(),
  /**
   * From the first to the last moment that any tenant's objects are shown at: `asOf` in a bucket that keeps versions, and
   * otherwise from when listing them began to when it ended. Null where none was listed.
   */
  objects: z.strictObject({ from: InstantText, to: InstantText }).nullable(),
  /** The longest time between any snapshot and any of those moments; null where there are not both. */
  skewMs: z.int().nullable(),
});
export type RecoveryPointMoments = z.infer<typeof RecoveryPointMoments>;

/**
 * A database that a snapshot holds and that the configuration has no entry for, so that nothing proves it. Those that
 * PostgreSQL or RDS made are left out while they hold no tables of anybody's.
 */
export const UnprovedDatabase = InstanceDatabase.extend({ instanceId: z.string() });
export type UnprovedDatabase = z.infer<typeof UnprovedDatabase>;

/** Which losses of vault objects a backup knew of, and what became of them: it copies again what its manifests would name. */
export const ObjectLosses = z.strictObject({
  /** Those that were accepted up to and with this entry; null where the ledger could not be read. */
  ledgerSequence: z.int().min(0).nullable(),
  /** Those that pulse missed up to then; null where it left nothing, or could not name them all. */
  knownAt: InstantText.nullable(),
  /** Keys in the vault of those that no manifest of the recovery point names; null: more than can be named, so that any may be. */
  absent: z.array(z.string()).nullable(),
  /** The first 150 of those that a manifest names: each was seen as its line says, or copied again. Absent in earlier ones. */
  back: z.array(z.string()).optional(),
  /** The first 150 of those in whose place there is nothing, or another thing. Absent in earlier ones. */
  gone: z.array(z.string()).optional(),
});
export type ObjectLosses = z.infer<typeof ObjectLosses>;

/** The root manifest of a recovery point, without its signature. */
export const RecoveryPoint = z.strictObject({
  version: z.literal(1),
  recoveryPointId: RecoveryPointId,
  scheduledAt: InstantText,
  completedAt: InstantText,
  /** `good`: everything configured is in it. `incomplete`: something named below is missing. */
  status: z.enum(['good', 'incomplete']),
  /** Databases of one instance name the same snapshot. */
  databases: z.array(DatabaseRecoveryPoint),
  /** Absent in recovery points of before they were recorded. */
  moments: RecoveryPointMoments.optional(),
  /**
   * Ordered by instance and name; of instances that no fingerprint tells of there are none. They make a recovery point not
   * incomplete, for nobody asked for them. Absent in recovery points of before they were recorded.
   */
  unproved: z.array(UnprovedDatabase).optional(),
  tenants: z.array(TenantBackupResult),
  /** Absent in recovery points of before losses were looked for. */
  objectLosses: ObjectLosses.optional(),
  /** Why it is incomplete, one sentence each, without file names. */
  reasons: z.array(z.string()),
});
export type RecoveryPoint = z.infer<typeof RecoveryPoint>;

/** ECDSA P-256 with SHA-256 (DER, base64) by the named KMS key. */
export const Signature = z.strictObject({
  keyArn: z.string(),
  algorithm: z.literal('ECDSA_SHA_256'),
  value: z.base64(),
});

/**
 * A document and the signature over it: ECDSA P-256 with SHA-256 (DER, base64) by the named KMS key over the canonical
 * JSON of `document` (keys sorted, no white space; `platform/canonical-json.ts`).
 */
export const signed = <T extends z.ZodType>(document: T) =>
  z.strictObject({
    document,
    signature: Signature,
  });

export const SignedRecoveryPoint = signed(RecoveryPoint);
export type SignedRecoveryPoint = z.infer<typeof SignedRecoveryPoint>;
