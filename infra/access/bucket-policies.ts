import {
  type BucketPolicyName,
  policyId,
  RELEASING_ROLES,
  type ResourcePolicy,
  type ResourceStatement,
  ROLES_BEHIND_A_PATH,
  rolesOfCapability,
} from '../../functions/contracts/policies.ts';
import { TRAIL_NAME, trailBucketName } from '../../functions/contracts/tampering.ts';
import {
  LEDGER_PROJECTION_PREFIX,
  PULSE_PREFIX,
  RECOVERY_POINT_PREFIX,
  TENANT_NAME_PREFIX,
} from '../../functions/contracts/vault-layout.ts';
import { bucketNames, REGION, type SupplierConfiguration } from '../config/configuration.ts';
import { BUCKET_CHANGES, OBJECT_CHANGES } from './guardrails.ts';
import { roleArn, STEPS, stepName } from './role-names.ts';
import { writersOf } from './writers.ts';

/** Below these keys of the evidence nothing is ever written twice. */
const EVIDENCE_WRITTEN_ONCE = ['ledger/*', 'segments/*', 'heads/*', 'restore-tests/*'];
/**
 * The same for the vault. Objects' copies are written once too, but S3 refuses every `CopyObject` to where a policy wants
 * the condition. https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html
 */
const VAULT_WRITTEN_ONCE = [
  'fingerprints/*',
  `${TENANT_NAME_PREFIX}*`,
  ...['naming-secret', 'manifests/*', 'not-covered/*'].flatMap(name => [`tenants/*/${name}`, `shared/${name}`]),
];
/** What is believed because of who put it there, as a signature is: its writers are named exactly. So is all evidence. */
const WRITTEN_BY_EXACT_ROLES = [RECOVERY_POINT_PREFIX, TENANT_NAME_PREFIX, LEDGER_PROJECTION_PREFIX, PULSE_PREFIX];
type Capability = Parameters<typeof rolesOfCapability>[0];
/** Capabilities to come that will write there. A vault is older than they are. */
const LATER_WRITERS: Readonly<Record<string, readonly Capability[]>> = {
  'tenants/': ['archive'],
  'work/': ['retention', 'archive', 'erasure', 'recovery', 'export'],
  'scratch/': ['recovery'],
};

const KEY_NAMED = 's3:x-amz-server-side-encryption-aws-kms-key-id';
type Conditions = NonNullable<ResourceStatement['Condition']>;

/** Where policies are attached; in a template, by reference. */
export interface BucketReach {
  readonly bucketArn: string;
  /** The key that its objects are under. */
  readonly keyArn: string;
}

/** The names of the buckets by the names of their policies. */
export function policyBuckets(configuration: SupplierConfiguration): Readonly<Record<BucketPolicyName, string>> {
  const { vaultBucket, evidenceBucket, workBucket, registerBucket } = bucketNames(configuration);
  return {
    'vault-bucket': vaultBucket,
    'evidence-bucket': evidenceBucket,
    'work-bucket': workBucket,
    'register-bucket': registerBucket,
    'trail-bucket': trailBucketName(configuration.account),
  };
}

/** The policy of a bucket that outlives its stack. */
export function bucketPolicy(
  name: BucketPolicyName,
  configuration: SupplierConfiguration,
  { bucketArn, keyArn }: BucketReach,
): ResourcePolicy {
  const { account } = configuration;
  const role = (roleName: string) => roleArn(account, roleName);
  const objects = (...patterns: string[]) => patterns.map(pattern => `${bucketArn}/${pattern}`);
  const deny = (
    Sid: string,
    Action: readonly string[],
    Condition?: Conditions,
    Resource: readonly string[] = objects('*'),
  ): ResourceStatement => ({
    Sid,
    Effect: 'Deny',
    Principal: { AWS: '*' },
    Action,
    Resource,
    ...(Condition && { Condition }),
  });
  const shared = [...overOldTls(bucketArn)];
  if (name !== 'trail-bucket') {
    shared.push(
      ...(name === 'register-bucket'
        ? onlyPeople(configuration, deny)
        : onlyWriters(name, configuration, bucketArn, deny)),
      deny('KeysAreNotSwapped', ['s3:UpdateObjectEncryption']),
      // Replication is how objects would leave the Region by themselves.
      deny('NothingIsReplicatedOut', ['s3:GetObjectVersionForReplication', 's3:InitiateReplication']),
      deny(
        'FunctionsNeverChangeBuckets',
        [...BUCKET_CHANGES, ...OBJECT_CHANGES],
        { ArnLike: { 'aws:PrincipalArn': role('daybreak-*') } },
        [bucketArn, ...objects('*')],
      ),
      // Writers name no other encryption than SSE-KMS; without any, the bucket's default applies.
      deny(
        'OnlyKmsEncryption',
        ['s3:PutObject'],
        present('s3:x-amz-server-side-encryption', { StringNotEquals: 'aws:kms' }),
      ),
      // Only its writer could read what is under a key sent along, and no destroyed key would end that.
      // https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerSideEncryptionCustomerKeys.html
      deny('NoCustomerKeys', ['s3:PutObject'], present('s3:x-amz-server-side-encryption-customer-algorithm', {})),
    );
  }
  // Nor a key of another account or Region.
  const onlyOurKeys = deny(
    'OnlyOurKeys',
    ['s3:PutObject'],
    present(KEY_NAMED, { ArnNotLike: `arn:aws:kms:${REGION}:${account}:key/*` }),
  );
  const own: Readonly<Record<BucketPolicyName, () => ResourceStatement[]>> = {
    'vault-bucket': () => [
      onlyOurKeys,
      // Who puts a retention can release a hold, and a writer can undercut the bucket's default with one of his own.
      // https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html
      deny('OnlyRetentionReleases', ['s3:PutObjectRetention'], {
        ArnNotEquals: { 'aws:PrincipalArn': RELEASING_ROLES.map(role) },
      }),
      // What lets a backup go deletes its versions by their ids. A delete marker only hides one.
      deny('NothingIsHiddenOrReplicatedIn', ['s3:DeleteObject', 's3:ReplicateObject', 's3:ReplicateDelete']),
      deny(
        'NothingIsWrittenTwice',
        ['s3:PutObject'],
        // The calls of an upload in parts take no condition, but for its completion.
        { Null: { 's3:if-none-match': 'true' }, Bool: { 's3:ObjectCreationOperation': 'true' } },
        objects(...VAULT_WRITTEN_ONCE),
      ),
    ],
    'evidence-bucket': () => [
      // A bucket's policy sees the header of a put, and not the default that applies without one: so each put names the key,
      // by its ARN. https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html#require-sse-kms
      deny('TheKeyIsNamed', ['s3:PutObject'], { ArnNotEquals: { [KEY_NAMED]: keyArn } }),
      // Object Lock does not stop a delete marker, and If-None-Match succeeds on top of one.
      deny('NothingIsDeletedOrReplicatedIn', [
        's3:BypassGovernanceRetention',
        's3:DeleteObject',
        's3:DeleteObjectVersion',
        's3:ReplicateObject',
        's3:ReplicateDelete',
      ]),
      deny(
        'NothingIsWrittenTwice',
        ['s3:PutObject'],
        { Null: { 's3:if-none-match': 'true' } },
        objects(...EVIDENCE_WRITTEN_ONCE),
      ),
    ],
    'work-bucket': () => [onlyOurKeys],
    'register-bucket': () => [
      // What is under another key would survive the destruction of the register's.
      deny('OnlyItsKey', ['s3:PutObject'], present(KEY_NAMED, { ArnNotEquals: keyArn })),
      // Of two editors one is told. It refuses copies and uploads in parts as well, which nobody makes here.
      // https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html
      deny('NothingIsWrittenUnseen', ['s3:PutObject'], { Null: { 's3:if-match': 'true', 's3:if-none-match': 'true' } }),
      // https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-delete-enforce.html
      deny('NothingIsDeletedUnseen', ['s3:DeleteObject'], { Null: { 's3:if-match': 'true' } }),
      // Not the root user either: what was written over or deleted can be put back until its day.
      deny('OldVersionsGoOnTheirDay', ['s3:DeleteObjectVersion', 's3:ReplicateObject', 's3:ReplicateDelete']),
    ],
    'trail-bucket': () => trailStatements(configuration, bucketArn, deny),
  };
  return { Version: '2012-10-17', Id: policyId(name), Statement: [...shared, ...own[name]()] };
}

type Deny = (
  sid: string,
  actions: readonly string[],
  conditions?: Conditions,
  resources?: readonly string[],
) => ResourceStatement;

/** As the CDK writes them, without a `Sid`. */
function overOldTls(bucketArn: string): ResourceStatement[] {
  const every = {
    Effect: 'Deny',
    Principal: { AWS: '*' },
    Action: 's3:*',
    Resource: [bucketArn, `${bucketArn}/*`],
  } as const;
  return [
    { ...every, Condition: { Bool: { 'aws:SecureTransport': 'false' } } },
    { ...every, Condition: { NumericLessThan: { 's3:TlsVersion': 1.2 } } },
  ];
}

/**
 * Who puts objects where. Not the root user either: what lies here is believed as its writers' own. Data is named by its
 * writers' capabilities, for each role's own policy says where it writes.
 */
function onlyWriters(
  name: BucketPolicyName,
  configuration: SupplierConfiguration,
  bucketArn: string,
  deny: Deny,
): ResourceStatement[] {
  const { account } = configuration;
  const bucketName = policyBuckets(configuration)[name];
  const everyWriter: string[] = [];
  const statements: ResourceStatement[] = [];
  for (const { prefix, roleArns } of writersOf(configuration, bucketName)) {
    const isExact = name === 'evidence-bucket' || WRITTEN_BY_EXACT_ROLES.includes(prefix);
    const later = Object.entries(LATER_WRITERS).flatMap(([place, capabilities]) =>
      name !== 'evidence-bucket' && prefix.startsWith(place) ? capabilities : [],
    );
    const arns = isExact
      ? roleArns
      : [
          ...new Set([
            ...roleArns.map(arn => capabilityArn(arn, account)),
            ...later.map(capability => roleArn(account, rolesOfCapability(capability))),
          ]),
        ];
    everyWriter.push(...arns);
    statements.push(
      deny(
        `OnlyItsWriters${titleOf(prefix)}`,
        ['s3:PutObject'],
        { [isExact ? 'ArnNotEquals' : 'ArnNotLike']: { 'aws:PrincipalArn': arns } },
        [`${bucketArn}/${prefix}*`],
      ),
    );
  }
  return [
    ...statements,
    deny('OnlyWriters', ['s3:PutObject'], { ArnNotLike: { 'aws:PrincipalArn': [...new Set(everyWriter)] } }),
    deny('NotThroughAPath', ['s3:PutObject', 's3:PutObjectRetention'], {
      ArnLike: { 'aws:PrincipalArn': roleArn(account, ROLES_BEHIND_A_PATH) },
    }),
  ];
}

/** The register is kept by people, and by no function: who may is said by their own policies (`daybreak-registrar`). */
function onlyPeople({ account, operatorRoleArns }: SupplierConfiguration, deny: Deny): ResourceStatement[] {
  const people = { 'aws:PrincipalArn': [...operatorRoleArns, `arn:aws:iam::${account}:root`] };
  return [deny('OnlyPeople', ['s3:PutObject', 's3:DeleteObject'], { ArnNotLike: people })];
}

/** All roles of the capability that a step's role is of; a workflow's role is itself. */
function capabilityArn(arn: string, account: string): string {
  const step = STEPS.find(one => roleArn(account, stepName(one)) === arn);
  return step === undefined ? arn : roleArn(account, rolesOfCapability(step.split('/', 1)[0] as Capability));
}

// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/create-s3-bucket-policy-for-cloudtrail.html
function trailStatements({ account }: SupplierConfiguration, bucketArn: string, deny: Deny): ResourceStatement[] {
  const onlyThisTrail = { 'aws:SourceArn': `arn:aws:cloudtrail:${REGION}:${account}:trail/${TRAIL_NAME}` };
  const cloudTrail = { Effect: 'Allow', Principal: { Service: 'cloudtrail.amazonaws.com' } } as const;
  return [
    {
      Sid: 'TrailAsks',
      ...cloudTrail,
      Action: 's3:GetBucketAcl',
      Resource: bucketArn,
      Condition: { StringEquals: onlyThisTrail },
    },
    {
      Sid: 'TrailWrites',
      ...cloudTrail,
      Action: 's3:PutObject',
      Resource: `${bucketArn}/AWSLogs/${account}/*`,
      Condition: { StringEquals: { ...onlyThisTrail, 's3:x-amz-acl': 'bucket-owner-full-control' } },
    },
    deny('NobodyDeletes', [
      's3:BypassGovernanceRetention',
      's3:DeleteObject',
      's3:DeleteObjectVersion',
      's3:PutObjectRetention',
    ]),
  ];
}

// A statement's id is letters and digits.
function titleOf(prefix: string): string {
  return prefix.replaceAll(/(?:^|\W)(\w?)/g, (_, letter: string) => letter.toUpperCase());
}

// A negated operator also matches where the key is absent, and then the bucket's default encryption applies.
function present(key: string, condition: Record<string, string>): Conditions {
  return {
    ...Object.fromEntries(Object.entries(condition).map(([operator, value]) => [operator, { [key]: value }])),
    Null: { [key]: 'false' },
  };
}
