import { z } from 'zod';
import { Acceptance } from './gap.ts';
import { SourceId } from './identifiers.ts';
import { readColumnName, readTableName } from './root-name.ts';

function nameOf(read: (text: string) => object) {
  return z.string().superRefine((text, context) => {
    const found = read(text);
    if ('problem' in found) context.addIssue({ code: 'custom', message: `the name ${found.problem}` });
  });
}

/**
 * A role of PostgreSQL, whole (it cuts names after 63 bytes), that means itself in the resource of `rds-db:connect`.
 * https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.IAMPolicy.html
 */
export const DatabaseUser = z
  .string()
  .regex(/^[^\p{C}\s*?/$]+$/u, 'must be the name of a role without spaces and without * ? / $')
  .refine(name => Buffer.byteLength(name) <= 63, 'must be at most 63 bytes long');

/** One RDS for PostgreSQL database to protect. */
export const DatabaseConfiguration = z.strictObject({
  id: SourceId.regex(
    /^(?!intermediate(?:-|$))/,
    'must not begin with "intermediate": its backups would be named like intermediate snapshots, which are deleted',
  ),
  /** The RDS DB instance identifier. */
  instanceId: z.string().regex(/^[a-z](?:-?[a-z0-9])*$/),
  databaseName: z.string().min(1),
  /**
   * The table with one row for each tenant, and the column that holds the tenant's id: `table` (in `public`) or
   * `schema.table`, with plain parts as PostgreSQL prints them without quotes, or quoted ones as SQL writes them.
   */
  rootTable: nameOf(readTableName),
  rootColumn: nameOf(readColumnName),
  /** The role, with IAM authentication, that fingerprints are taken with. */
  readerUser: DatabaseUser.default('daybreak_reader'),
});
export type DatabaseConfiguration = z.infer<typeof DatabaseConfiguration>;

/** One S3 bucket to protect. */
export const BucketConfiguration = z.strictObject({
  id: SourceId,
  /** https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html */
  name: z.string().regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'must be the name of one bucket'),
  /** Where one tenant's keys begin, e.g. `schools/{tenant}/` or `{tenant}/`. */
  tenantPrefix: z.string().regex(/^(?:[^{}]*\/)?\{tenant\}\/$/),
});
export type BucketConfiguration = z.infer<typeof BucketConfiguration>;

/** What a change of the register waits for. Old versions of entries, which count meanwhile, are kept for 35 days. */
export const RegisterConfiguration = z
  .strictObject({
    /**
     * So many days pass before what was added or changed of a controller, a tenant or a contact counts. What is taken away
     * counts at once.
     */
    coolingOffDays: z
      .int()
      .min(1, 'must be a day at least: nobody could stop a forged contact')
      .max(28, 'must be 28 days at most: what counts until then is an old version, and old versions go after 35')
      .default(7),
  })
  .prefault({});

/** What the functions need to know of the supplier's choices. It travels in `DAYBREAK_CONFIGURATION`, packed. */
export const Configuration = z.strictObject({
  databases: z.array(DatabaseConfiguration),
  buckets: z.array(BucketConfiguration),
  /** What restore tests may leave unproved, by name. None of it is hidden: every record and verdict repeats it. */
  accepted: z.array(Acceptance).max(50).default([]),
  register: RegisterConfiguration,
  restoreTest: z.strictObject({
    /** How many objects of each tenant and bucket are restored and compared, or all of them. */
    objectsPerTenant: z.union([z.literal('all'), z.int().min(1)]).default(20),
    /** A passed test has compared at least this share of the rows exactly. */
    minimumCoveragePercent: z.number().min(1).max(100).default(95),
    instanceClass: z.string().default('db.t4g.medium'),
    subnetGroupName: z.string(),
    securityGroupId: z.string(),
    /**
     * The parameter group of restored copies, which must force TLS 1.2. Without it they get the default one of the engine,
     * which does from PostgreSQL 15 on.
     */
    parameterGroupName: z
      .string()
      .regex(/^[a-z](?:-?[a-z0-9])*$/, 'must be the name of a parameter group, in lower case')
      .optional(),
    /**
     * After this many milliseconds the janitor takes an instance of a restore test for abandoned. The default is longer
     * than the workflow may run, so that no test loses the copy that it is reading.
     */
    abandonedAfterMs: z
      .int()
      .min(60_000)
      .default(24 * 60 * 60 * 1000),
  }),
});
export type Configuration = z.infer<typeof Configuration>;

/** The names of what the stacks deployed. It travels as JSON in `DAYBREAK_DEPLOYMENT`. */
export const Deployment = z.strictObject({
  accountId: z.string().regex(/^\d{12}$/),
  region: z.literal('eu-west-2'),
  vaultBucket: z.string(),
  evidenceBucket: z.string(),
  /** Work files and restored objects: short-lived, never locked, expired by a lifecycle rule. */
  workBucket: z.string(),
  /** Words and names of people, which can be deleted. */
  registerBucket: z.string(),
  vaultKeyArn: z.string(),
  /** Signs root manifests. Earlier releases signed the ledger's heads and segments with it as well. */
  signingKeyArn: z.string(),
  /** An HMAC key: what it makes of a tenant's id may stay for ever. */
  tenantIdKeyArn: z.string(),
  /** Signs the ledger's heads and segments. */
  ledgerKeyArn: z.string(),
  /** Signs the ledger's entries. */
  entryKeyArn: z.string(),
  registerKeyArn: z.string(),
});
export type Deployment = z.infer<typeof Deployment>;
