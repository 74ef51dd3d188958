import { z } from 'zod';

/** An instant in UTC as `Date.prototype.toISOString` writes it. */
export const InstantText = z.iso.datetime({ offset: false, precision: 3 });

/** A SHA-256 digest, in lower-case hexadecimal. */
export const Sha256 = z.string().regex(/^[0-9a-f]{64}$/);

/**
 * A tenant (a school) as the application calls it: the value of the root table's key, and the folder of its objects. It may
 * be any text, and personal: it stands in the vault under its key, and nowhere else.
 */
export const TenantId = z.string();
export type TenantId = z.infer<typeof TenantId>;

const PLAIN_ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/;
const DRAWN_NAME = /^_[a-z2-7]{26}$/;

/**
 * A tenant as Daybreak calls it: in keys, aliases, tags, executions and the ledger, which cannot be erased. An id that is
 * plain is its own name; any other one has a name that was drawn for it (`_` and 130 random bits in base32), which no plain
 * id can be. So two ids never share a name.
 */
export const TenantName = z.union([z.string().regex(PLAIN_ID), z.string().regex(DRAWN_NAME)]);
export type TenantName = z.infer<typeof TenantName>;

/**
 * The id of an entry of the register. A tenant's is its name, a person's what the supplier calls it in the ledger; the
 * others are drawn (80 bits in base32). None tells who or what it is.
 */
export const RegisterEntryId = z
  .string()
  .regex(
    /^(?:(?:controller|contact|text)\/[a-z2-7]{16}|tenant\/(?:[A-Za-z0-9][A-Za-z0-9_-]{0,62}|_[a-z2-7]{26})|person\/[A-Za-z0-9][A-Za-z0-9._-]{0,62})$/,
    'must be the id of an entry, as register show has it: contact/…',
  );
export type RegisterEntryId = z.infer<typeof RegisterEntryId>;

/** Whether an id is its own name. */
export function isPlainId(id: TenantId): boolean {
  return PLAIN_ID.test(id);
}

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

/** The name of a workflow's execution for an instant: `daily-backup-20261122T023000Z`. */
export const executionName = (workflow: string, instant: string): string =>
  `${workflow}-${idOfInstant(instant).toUpperCase()}`;

/** The instant that the id of a recovery point or restore test was made from, to the second. */
export function instantOfId(id: string): string {
  const [, year, month, day, hour, minute, second] = /^(\d{4})(\d\d)(\d\d)t(\d\d)(\d\d)(\d\d)z$/.exec(id) ?? [];
  return `${year}-${month}-${day}T${hour}:${minute}:${second}.000Z`;
}
