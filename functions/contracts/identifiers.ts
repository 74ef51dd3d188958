import { z } from 'zod';

/** An instant in UTC as `Date.prototype.toISOString` writes it. */
export const InstantText = z.iso.datetime({ offset: false, precision: 3 });

/** A SHA-256 digest, in lower-case hexadecimal. */
export const Sha256 = z.string().regex(/^[0-9a-f]{64}$/);

/**
 * A tenant (a school): safe in an S3 key, a KMS alias, a tag and a file name alike, and opaque, because it stands in the
 * ledger, which cannot be erased.
 */
export const TenantId = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/);
export type TenantId = z.infer<typeof TenantId>;

/** The configuration's own name of a database or bucket: a part of RDS identifiers, so no two hyphens in a row. */
export const SourceId = z
  .string()
  .max(30)
  .regex(/^[a-z](?:-?[a-z0-9])*$/);

/**
 * A recovery point's id: its scheduled instant, as `20261122t023000z`. It sorts by time and is valid in every name that
 * AWS wants lower-case.
 */
export const RecoveryPointId = z.string().regex(/^\d{8}t\d{6}z$/);

/** A restore test's id, made from its scheduled instant in the same way. */
export const RestoreTestId = RecoveryPointId;

/** Makes the id of the recovery point or restore test that was scheduled at `instant`: `20261122t023000z`. */
export function idOfInstant(instant: string): string {
  return `${instant.slice(0, 19).replaceAll(/[-:]/g, '').toLowerCase()}z`;
}

/** The instant that the id of a recovery point or restore test was made from, to the second. */
export function instantOfId(id: string): string {
  const [, year, month, day, hour, minute, second] = /^(\d{4})(\d\d)(\d\d)t(\d\d)(\d\d)(\d\d)z$/.exec(id) ?? [];
  return `${year}-${month}-${day}T${hour}:${minute}:${second}.000Z`;
}
