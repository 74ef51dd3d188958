import { z } from 'zod';
import { TenantId, TenantName } from './identifiers.ts';

/**
 * How a database compares the ids of tenants. `ignores-case`: `citext`; `ignores-trailing-blanks`: `char(n)`; `unknown`: by
 * a collation that nothing outside of the database can repeat, so that there ids are known by their very text alone.
 */
export const TenantIdComparison = z.enum(['exact', 'ignores-trailing-blanks', 'ignores-case', 'unknown']);
export type TenantIdComparison = z.infer<typeof TenantIdComparison>;

/** What a database's root table says of the tenants: one entry for each id that the database itself tells from the others. */
export const RootTenants = z.strictObject({
  comparison: TenantIdComparison,
  tenants: z.array(
    z.strictObject({
      id: TenantId,
      /** The same for every text that the database takes for this id, as far as `comparison` says so. */
      comparedAs: z.string(),
    }),
  ),
  /** Rows whose key is NULL: they are no tenant's. */
  rowsWithoutId: z.int().min(0),
});
export type RootTenants = z.infer<typeof RootTenants>;

/**
 * The name that was given to an id, once, in the vault (`tenantNameKey`) under the vault key. Written for each id that is
 * not its own name, and for each id of a database that also takes other texts for it: so that the name stays when the id
 * is written in another way.
 */
export const GivenTenantName = z.strictObject({
  version: z.literal(1),
  comparison: TenantIdComparison,
  comparedAs: z.string(),
  id: TenantId,
  name: TenantName,
});
export type GivenTenantName = z.infer<typeof GivenTenantName>;

/** The folders of the tenants of one run that are not simply called as the tenant. In the work bucket, under the vault key. */
export const TenantFolders = z.strictObject({
  /** Random: the file's digest stands in the histories of executions, and must not tell who guesses an id that he is right. */
  salt: z.string(),
  tenants: z.array(z.strictObject({ name: TenantName, folders: z.array(z.string()) })),
  /** Folders of tenants that wait for the next run: they are no one else's either. */
  postponed: z.array(z.string()),
});
export type TenantFolders = z.infer<typeof TenantFolders>;
