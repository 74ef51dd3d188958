import { z } from 'zod';
import {
  BucketConfiguration,
  type Configuration,
  Configuration as ConfigurationSchema,
  DatabaseConfiguration,
  type Deployment,
  RegisterConfiguration,
} from '../../functions/contracts/configuration.ts';
import { RetentionPolicy } from '../../functions/contracts/retention.ts';
import { AT_ONCE } from '../workflows/hours.ts';
import { findConflicts } from './find-conflicts.ts';

/** The one AWS Region in the United Kingdom. */
export const REGION = 'eu-west-2';

const keyArn = z
  .string()
  .regex(
    /^arn:aws:kms:eu-west-2:\d{12}:key\/[A-Za-z0-9-]+$/,
    'must be the ARN of a KMS key in eu-west-2 (an alias is none)',
  );
const idOf = (prefix: string) =>
  z.string().regex(new RegExp(`^${prefix}-[0-9a-f]{8,17}$`), `must be an id as AWS prints it: ${prefix}-…`);

// 02:30 exists, and exists once, on every day of the year; 01:30 does not.
const timeOfDay = z
  .strictObject({ hour: z.int().min(0).max(23), minute: z.int().min(0).max(59) })
  .refine(({ hour }) => hour !== 1, {
    error:
      'no schedule between 01:00 and 01:59 Europe/London: the last Sunday of March has no such time, and the last Sunday of October has it twice',
  });

const LockMode = z.enum(['governance', 'compliance']);

const ProtectedDatabase = DatabaseConfiguration.extend({
  /** The instance's `DbiResourceId` (`db-…`), which `rds-db:connect` is granted on. */
  resourceId: z.string().regex(/^db-[A-Z0-9]+$/, 'must be the DbiResourceId that DescribeDBInstances prints: db-…'),
  port: z.int().min(1150).max(65535).default(5432),
  /**
   * The key that the instance's storage is under; null where that is no KMS key of the account. RDS then prints a
   * `StorageEncryptionType` of `none` (not encrypted) or `sse-rds` (encrypted under a key that AWS owns), and the
   * intermediate snapshot of each backup is the same until it is copied under the vault key and deleted.
   * https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DBInstance.html
   */
  kmsKeyArn: keyArn.nullable(),
  /** Why that is accepted, in words, for who audits it: nobody keeps a database without a key of its own unawares. */
  acceptedWithoutKey: z.string().min(20, 'must say in a sentence why, and until when').optional(),
  /** The instance's group. Daybreak's reader is let into it, on `port`. */
  securityGroupId: idOf('sg'),
});

const ProtectedBucket = BucketConfiguration.extend({
  /** The keys that objects in the bucket are under; empty where none is under a KMS key of yours. */
  kmsKeyArns: z.array(keyArn).default([]),
});

const WITHOUT_PAGERS =
  "must say who is woken at night: pagers: [{ sms: '+447700900123' }], or { webhook: 'https://…' } of a service that rings, or, where an e-mail wakes somebody, { email: '…' }; docs/pagers.md has what each needs";
/** Of the 1,024 characters of a notice, the longest leaves so many. */
const RUNBOOK_BASE_URL_LIMIT = 200;

/** One way to wake somebody. A webhook is an address that answers SNS, as those of services for on-call duty do. */
const Pager = z.union(
  [
    z.strictObject({ email: z.email('must be an e-mail address') }),
    // https://docs.aws.amazon.com/sns/latest/dg/sns-mobile-phone-number-as-subscriber.html
    z.strictObject({
      sms: z.string().regex(/^\+[1-9]\d{7,14}$/, 'must be a number with its country, without spaces: +447700900123'),
    }),
    z.strictObject({ webhook: z.url({ protocol: /^https$/, error: 'must be an https address' }) }),
  ],
  {
    error:
      "must be one of { email: 'name@school-supplier.example' }, { sms: '+447700900123' } and { webhook: 'https://…' }",
  },
);

/** Everything that a supplier chooses. The functions get the part that concerns them (`runtimeConfiguration`). */
export const SupplierConfiguration = z
  .strictObject({
    account: z.string().regex(/^\d{12}$/, 'must be a 12-digit AWS account id, in quotes'),
    region: z.literal(REGION, {
      error: `must be ${REGION}: backups of UK schools stay in the United Kingdom, and the UK has one AWS Region`,
    }),
    databases: z.array(ProtectedDatabase),
    buckets: z.array(ProtectedBucket).min(1, 'must name at least one bucket'),
    vault: z.strictObject({
      /** In `governance` mode a role with `s3:BypassGovernanceRetention` can still delete; in `compliance` mode no one can. */
      lockMode: LockMode,
      /** How long the lock goes on after what needed an object has let it go. */
      eventHoldDays: z.int().min(1).max(3650),
    }),
    evidence: z.strictObject({ lockMode: LockMode, retentionYears: z.int().min(1).max(100) }),
    network: z.strictObject({
      vpcId: idOf('vpc'),
      /**
       * Subnets without a route to the internet, in two Availability Zones at least, as a DB subnet group demands. With
       * `hasS3Endpoint: false` their route tables must serve nothing but Daybreak: the endpoint lets Daybreak alone to its
       * own buckets, and whoever shares a route table would lose every other one. Container images and packages lie in S3
       * too.
       */
      isolatedSubnets: z
        .array(z.strictObject({ subnetId: idOf('subnet'), availabilityZone: z.string(), routeTableId: idOf('rtb') }))
        .min(2, 'must name two subnets at least, in different Availability Zones'),
      /** The Region's managed prefix list `com.amazonaws.eu-west-2.s3`. */
      s3PrefixListId: idOf('pl'),
      /**
       * Whether the subnets' route tables have an S3 gateway endpoint already; otherwise Daybreak creates it, with a policy.
       * A route table can have one only, so with route tables that others share: true. The policy is then yours;
       * DEPLOYING.md has the statement that it needs.
       */
      hasS3Endpoint: z.boolean(),
      /**
       * The security group of the VPC's KMS interface endpoint (with private DNS), which Daybreak's verifier is let into.
       * Null: Daybreak creates an endpoint that it alone uses, under a name of its own; nobody else's way to KMS changes.
       */
      kmsEndpointSecurityGroupId: idOf('sg').nullable(),
    }),
    schedules: z.strictObject({
      /** Wall-clock times in Europe/London. */
      dailyBackup: timeOfDay,
      restoreTest: z.strictObject({
        /** Every month has it. */
        dayOfMonth: z.int().min(1).max(28),
        at: timeOfDay,
      }),
    }),
    /** How long things are kept. Nothing deletes a backup yet in this version; what contradicts itself is refused. */
    retention: z
      .strictObject({
        /** A database's snapshots mix all schools, so this bounds how long an erased one can linger. */
        snapshotDays: z.int().min(1).max(365).default(35),
        /** The rules, and what schools are promised. Without it nothing is ever to be deleted for its age. */
        policy: RetentionPolicy.optional(),
      })
      .prefault({}),
    /** The account's quotas in this Region, where AWS raised them. */
    quotas: z
      .strictObject({
        /** https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Limits.html */
        manualSnapshots: z.int().min(100).default(100),
      })
      .prefault({}),
    /**
     * How much a workflow does at the same time. Each function that runs counts against the account's quota of Lambda in this
     * Region, which is 1,000, or 10 in a new account, and the supplier's app needs some of it: DEPLOYING.md has the command
     * that shows it. What finds none free waits for up to a quarter of an hour, and has then failed.
     * https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
     */
    concurrency: z
      .strictObject({
        /** Schools whose files are backed up, or restored and compared. */
        tenants: z.int().min(1).max(1000).default(AT_ONCE.tenants),
        /**
         * Databases that are measured (as many connections to the app's instances), instances that are restored, and
         * databases of each that are compared. Step Functions takes 40 at most.
         * https://docs.aws.amazon.com/step-functions/latest/dg/state-map-inline.html
         */
        databases: z.int().min(1).max(40).default(AT_ONCE.databases),
      })
      .prefault({}),
    /**
     * Who is woken by what cannot wait until the morning, and how. `docs/pagers.md` says what each kind needs after the first
     * deployment, and how to try that it rings.
     */
    pagers: z.array(Pager, { error: WITHOUT_PAGERS }).min(1, WITHOUT_PAGERS),
    /** Who gets the other alarms by e-mail, and learns that somebody was woken. Each address has to confirm once. */
    contacts: z
      .array(z.email('must be an e-mail address'))
      .min(1, 'must name at least one e-mail address: an alarm that nobody gets is none'),
    /**
     * Where the folder `runbooks/` can be read from a telephone, as in `https://git.example/daybreak/blob/main/runbooks`. Each
     * notice ends in a link to its page there; without it, in the page's path.
     */
    runbookBaseUrl: z
      .url({ protocol: /^https$/, error: 'must be an https address' })
      .max(RUNBOOK_BASE_URL_LIMIT, `must have ${RUNBOOK_BASE_URL_LIMIT} characters at most: a notice has little room`)
      .optional(),
    /**
     * An address outside AWS that gets a GET every 15 minutes, and that tells you when it no longer comes (a check at
     * healthchecks.io, say). Nothing else tells of an account that is closed or suspended, or that alarms can reach nobody. Keep it
     * to yourself.
     */
    heartbeatUrl: z.url({ protocol: /^https$/, error: 'must be an https address' }).optional(),
    /** What a change of the register waits for: `docs/register.md`. */
    register: RegisterConfiguration,
    /** What restore tests may leave unproved: `docs/restore-test.md` says how a gap is named. */
    accepted: ConfigurationSchema.shape.accepted,
    restoreTest: ConfigurationSchema.shape.restoreTest.omit({ subnetGroupName: true, securityGroupId: true }),
    /**
     * The keys of a vault whose stack was destroyed and which was retained. The vault is then used as it stands: no vault
     * stack is synthesized, and nothing changes its buckets, their policies, or the keys' policies.
     */
    existing: z
      .strictObject({
        vaultKeyArn: keyArn,
        signingKeyArn: keyArn,
        tenantIdKeyArn: keyArn,
        ledgerKeyArn: keyArn,
        entryKeyArn: keyArn,
        logKeyArn: keyArn,
        trailKeyArn: keyArn,
        /** Of a register that was retained. Vaults of earlier releases have none: it is then made beside the vault. */
        registerKeyArn: keyArn.optional(),
      })
      .optional(),
    /** A policy that bounds every role that Daybreak creates, where the account demands one. */
    permissionsBoundaryArn: z
      .string()
      .regex(/^arn:aws:iam::\d{12}:policy\/.+$/, 'must be the ARN of a customer managed policy')
      .optional(),
    /**
     * People's roles that may read what lies under the vault key, and keep the register; `*` stands for any text, as in `AWSReservedSSO_Ops_*`. An
     * administrator is not let in by being one: who runs `daybreak evidence` is named here.
     */
    operatorRoleArns: z
      .array(
        z
          .string()
          .regex(/^arn:aws:iam::\d{12}:role\/.+$/, 'must be the ARN of a role')
          .regex(
            /[^*?/][*?]*$/,
            'must say which role: a * or ? alone would let everybody read what lies under the vault key',
          ),
      )
      .default([]),
    /**
     * The roles that deploy Daybreak: what they change of roles, functions, workflows, schedules, alarms and rules is
     * recorded as an upgrade, and wakes nobody. @default CloudFormation's execution role of the CDK's bootstrap
     */
    deployerRoleArns: z
      .array(
        z.string().regex(/^arn:aws:iam::\d{12}:role\/[\w+=,.@/-]+$/, 'must be the ARN of a role, without wildcards'),
      )
      .min(1, 'must name a role, or be left out')
      .optional(),
  })
  .superRefine((configuration, context) => {
    for (const { paths, message } of findConflicts(configuration)) {
      context.addIssue({
        code: 'custom',
        path: [...paths[0]],
        message,
        params: { lines: linesOf(configuration, paths) },
      });
    }
  });
export type SupplierConfiguration = z.output<typeof SupplierConfiguration>;

/** The configuration cannot be deployed; the message names each problem, with its lines as they stand. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
}

/** Reads a configuration. @throws ConfigurationError */
export function readConfiguration(configuration: unknown): SupplierConfiguration {
  const parsed = SupplierConfiguration.safeParse(configuration);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(issue => {
    const lines: string[] =
      issue.code === 'custom' && Array.isArray(issue.params?.lines)
        ? issue.params.lines
        : linesOf(configuration, issue.path.length === 0 ? [] : [issue.path]);
    const problem = `- ${z.core.toDotPath(issue.path) || 'configuration'}: ${issue.message}`;
    return [problem, ...lines.map(line => `    ${line}`)].join('\n');
  });
  throw new ConfigurationError(['the configuration cannot be deployed:', ...problems].join('\n'));
}

/** Lines of a configuration as they stand, in the form `retention.snapshotDays: 35`. */
function linesOf(configuration: unknown, paths: readonly (readonly PropertyKey[])[]): string[] {
  return paths.map(path => {
    let value = configuration;
    for (const name of path) value = (value as Record<PropertyKey, unknown> | null | undefined)?.[name];
    return `${z.core.toDotPath([...path])}: ${JSON.stringify(value) ?? 'not there'}`;
  });
}

/** The part of the configuration that the functions get, with the names of what the workflow stack made for them. */
export function runtimeConfiguration(
  { databases, buckets, accepted, register, restoreTest }: SupplierConfiguration,
  isolation: { subnetGroupName: string; securityGroupId: string },
): Configuration {
  return {
    databases: databases.map(({ id, instanceId, databaseName, rootTable, rootColumn, readerUser }) => ({
      id,
      instanceId,
      databaseName,
      rootTable,
      rootColumn,
      readerUser,
    })),
    buckets: buckets.map(({ id, name, tenantPrefix }) => ({ id, name, tenantPrefix })),
    accepted,
    register,
    restoreTest: { ...restoreTest, ...isolation },
  };
}

/** The names of the buckets, which are fixed, so that a workflow stack that is deployed again finds the vault. */
export function bucketNames({
  account,
}: Pick<SupplierConfiguration, 'account'>): Pick<
  Deployment,
  'vaultBucket' | 'evidenceBucket' | 'workBucket' | 'registerBucket'
> {
  const name = (purpose: string) => `daybreak-${purpose}-${account}-${REGION}`;
  return {
    vaultBucket: name('vault'),
    evidenceBucket: name('evidence'),
    workBucket: name('work'),
    registerBucket: name('register'),
  };
}
