import { z } from 'zod';
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

/** The root manifest of a recovery point, without its signature. */
export const RecoveryPoint = z.strictObject({
  version: z.literal(1),
  recoveryPointId: RecoveryPointId,
  scheduledAt: InstantText,
  completedAt: InstantText,
  /** `good`: everything configured is in it. `incomplete`: something named below is missing. */
  status: z.enum(['good', 'incomplete']),
  databases: z.array(DatabaseRecoveryPoint),
  tenants: z.array(TenantBackupResult),
  /** Why it is incomplete, one sentence each, without file names. */
  reasons: z.array(z.string()),
});
export type RecoveryPoint = z.infer<typeof RecoveryPoint>;

/**
 * A document and the signature over it: ECDSA P-256 with SHA-256 (DER, base64) by the named KMS key over the canonical
 * JSON of `document` (keys sorted, no white space; `platform/canonical-json.ts`).
 */
export const signed = <T extends z.ZodType>(document: T) =>
  z.strictObject({
    document,
    signature: z.strictObject({ keyArn: z.string(), algorithm: z.literal('ECDSA_SHA_256'), value: z.base64() }),
  });

export const SignedRecoveryPoint = signed(RecoveryPoint);
export type SignedRecoveryPoint = z.infer<typeof SignedRecoveryPoint>;
