import { Duration, RemovalPolicy, Stack, Tags } from 'aws-cdk-lib';
import {
  AnyPrincipal,
  Effect,
  PolicyStatement,
  type PolicyStatementProps,
  ServicePrincipal,
} from 'aws-cdk-lib/aws-iam';
import { type Key, KeySpec, KeyUsage } from 'aws-cdk-lib/aws-kms';
import { BlockPublicAccess, Bucket, BucketEncryption, type BucketProps, type CfnBucket } from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import { TENANT_NAME_PREFIX } from '../../functions/contracts/vault-layout.ts';
import { BUCKET_CHANGES, OBJECT_CHANGES } from '../access/guardrails.ts';
import { roleArn, STEPS, type Step, stepName, WORKFLOWS, workflowName } from '../access/role-names.ts';
import { writersOf } from '../access/writers.ts';
import { bucketNames, REGION, type SupplierConfiguration } from '../config/configuration.ts';
import { acknowledge } from '../constructs/acknowledge.ts';
import { DaybreakKey } from '../constructs/daybreak-key.ts';

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

/** The roles that end the lock of what is kept no longer. */
const RELEASERS = ['daybreak-retention-*', 'daybreak-erasure-*'];
/** Those that find the name of a tenant by its id. */
const NAMERS: readonly Step[] = ['backup/list-tenants'];
const GRANTORS: readonly Step[] = ['backup/copy-snapshot', 'restore-test/restore-database'];

/** The keys of a vault, whose other names are fixed (`bucketNames`). */
export interface VaultKeys {
  readonly vaultKeyArn: string;
  /** Signs root manifests; what it signed of the ledger in earlier releases stays verifiable. */
  readonly signingKeyArn: string;
  readonly tenantIdKeyArn: string;
  /** Signs the ledger's heads and segments. */
  readonly ledgerKeyArn: string;
  /** Signs the ledger's entries. */
  readonly entryKeyArn: string;
  /** What logs are under, which outlive what wrote them. */
  readonly logKeyArn: string;
}

/**
 * What outlives everything else: the locked vault, the evidence, the work bucket and the keys. Destroying the stack keeps
 * all of it, and a workflow stack that is deployed again works with it, because names and key policies are fixed.
 */
export class VaultStack extends Stack implements VaultKeys {
  readonly vaultKeyArn: string;
  readonly signingKeyArn: string;
  readonly tenantIdKeyArn: string;
  readonly ledgerKeyArn: string;
  readonly entryKeyArn: string;
  readonly logKeyArn: string;
  readonly #vaultKey: Key;

  constructor(scope: Construct, id: string, configuration: SupplierConfiguration) {
    const { account, region } = configuration;
    super(scope, id, {
      env: { account, region },
      description: 'Daybreak: the vault, the evidence and their keys',
      terminationProtection: true,
    });
    Tags.of(this).add('daybreak:purpose', 'vault');

    const roles = [...STEPS.map(stepName), ...WORKFLOWS.map(workflowName)].map(name => roleArn(account, name));
    const rolesOf = (steps: readonly Step[]) => steps.map(step => roleArn(account, stepName(step)));
    const names = bucketNames(configuration);
    this.#vaultKey = new DaybreakKey(this, 'VaultKey', {
      alias: 'alias/daybreak/vault',
      description: 'Daybreak: database snapshots, what belongs to no tenant, evidence, work files',
      enableKeyRotation: true,
      use: [
        {
          sid: 'DataThroughS3AndRds',
          actions: ['kms:Encrypt', 'kms:Decrypt', 'kms:ReEncrypt*', 'kms:GenerateDataKey*', 'kms:DescribeKey'],
          arns: roles,
          conditions: {
            StringEquals: { 'kms:ViaService': [`s3.${REGION}.amazonaws.com`, `rds.${REGION}.amazonaws.com`] },
          },
        },
        {
          sid: 'OperatorsReadThroughS3',
          actions: ['kms:Decrypt'],
          arns: configuration.operatorRoleArns,
          conditions: { StringEquals: { 'kms:ViaService': `s3.${REGION}.amazonaws.com` } },
        },
        {
          sid: 'GrantsForRds',
          actions: ['kms:CreateGrant'],
          arns: rolesOf(GRANTORS),
          conditions: {
            Bool: { 'kms:GrantIsForAWSResource': 'true' },
            StringEquals: { 'kms:ViaService': `rds.${REGION}.amazonaws.com` },
          },
        },
      ],
      // A tenant's data under the vault key would survive the destruction of the tenant's key. A bucket policy sees the
      // headers of a write and not the bucket's default; the key sees every write, with the object as its context.
      // https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html#encryption-context
      never: [
        {
          sid: 'TenantsNotUnderTheVaultKey',
          actions: ['kms:Encrypt', 'kms:GenerateDataKey*', 'kms:ReEncryptTo'],
          conditions: {
            StringLike: { 'kms:EncryptionContext:aws:s3:arn': `arn:aws:s3:::${names.vaultBucket}/tenants/*` },
          },
        },
      ],
    });
    // One for each purpose, so that who writes the ledger signs no manifest, and who reads what attackers write no head.
    const signingKey = (id: string, alias: string, signs: string, signers: readonly Step[]) =>
      new DaybreakKey(this, id, {
        alias: `alias/daybreak/${alias}`,
        description: `Daybreak: signs ${signs}`,
        keySpec: KeySpec.ECC_NIST_P256,
        keyUsage: KeyUsage.SIGN_VERIFY,
        use: [
          { sid: 'Sign', actions: ['kms:Sign'], arns: rolesOf(signers) },
          {
            sid: 'Verify',
            actions: ['kms:Verify', 'kms:GetPublicKey', 'kms:DescribeKey'],
            arns: [...roles, ...configuration.operatorRoleArns],
          },
        ],
        // Not the root user either: nothing is restored by signing. It may still change this policy, which is recorded.
        never: [
          {
            sid: 'OnlyItsSigners',
            actions: ['kms:Sign'],
            conditions: { ArnNotEquals: { 'aws:PrincipalArn': rolesOf(signers) } },
          },
        ],
      }).keyArn;
    const appenders = ['evidence/append-entry', 'evidence/record-tampering'] as const;
    this.signingKeyArn = signingKey('SigningKey', 'signing', 'root manifests', ['backup/complete']);
    this.ledgerKeyArn = signingKey('LedgerKey', 'ledger', 'heads of the ledger', ['evidence/append-entry']);
    this.entryKeyArn = signingKey('EntryKey', 'entries', 'entries of the ledger', appenders);
    // No permission takes the key itself out of KMS, and a key of this kind cannot be imported into another one: so what it
    // makes of an id tells nothing to who cannot call it, and nobody can make the same elsewhere.
    // https://docs.aws.amazon.com/kms/latest/developerguide/hmac.html
    this.tenantIdKeyArn = new DaybreakKey(this, 'TenantIdKey', {
      alias: 'alias/daybreak/tenant-ids',
      description: 'Daybreak: HMACs of ids of tenants',
      keySpec: KeySpec.HMAC_256,
      keyUsage: KeyUsage.GENERATE_VERIFY_MAC,
      use: [
        { sid: 'Name', actions: ['kms:GenerateMac'], arns: rolesOf(NAMERS) },
        { sid: 'Describe', actions: ['kms:DescribeKey'], arns: [...roles, ...configuration.operatorRoleArns] },
      ],
    }).keyArn;
    this.logKeyArn = this.#createLogKey(account).keyArn;

    this.vaultKeyArn = this.#vaultKey.keyArn;
    this.#createVault(names.vaultBucket, configuration);
    this.#createEvidence(names.evidenceBucket, configuration);
    this.#createWork(names.workBucket, configuration);
  }

  /** https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html */
  #createLogKey(account: string): Key {
    const key = new DaybreakKey(this, 'LogKey', {
      alias: 'alias/daybreak/logs',
      description: 'Daybreak: logs',
      enableKeyRotation: true,
      use: [],
    });
    key.addToResourcePolicy(
      new PolicyStatement({
        sid: 'LogsOfDaybreak',
        principals: [new ServicePrincipal(`logs.${REGION}.amazonaws.com`)],
        actions: ['kms:Encrypt', 'kms:Decrypt', 'kms:ReEncrypt*', 'kms:GenerateDataKey*', 'kms:DescribeKey'],
        resources: ['*'],
        // Log groups are named after their stacks.
        conditions: {
          ArnLike: { 'kms:EncryptionContext:aws:logs:arn': `arn:aws:logs:${REGION}:${account}:log-group:Daybreak*` },
        },
      }),
    );
    return key;
  }

  #createVault(bucketName: string, configuration: SupplierConfiguration): void {
    const { vault, account } = configuration;
    const props = { bucketName, versioned: true, objectLockEnabled: true };
    const bucket = this.#createBucket('Vault', configuration, props);
    // The lock rolls on until what needs an object lets it go; writers set no lock headers themselves. One page demands a
    // default period of each default retention, and another takes a hold alone. Beside a hold of the same length it changes
    // nothing: as long as the hold is on, the date that it rolls on is the later one.
    // https://docs.aws.amazon.com/AmazonS3/latest/API/API_DefaultRetention.html
    // https://docs.aws.amazon.com/AmazonS3/latest/API/API_ObjectLockRule.html
    const days = vault.eventHoldDays;
    cfnBucket(bucket).objectLockConfiguration = {
      objectLockEnabled: 'Enabled',
      rule: { defaultRetention: { mode: vault.lockMode.toUpperCase(), days, defaultEventHold: { days } } },
    };
    denyOtherEncryption(bucket);
    denyNamingOtherKeys(bucket, account);
    // Who puts a retention can release a hold, and a writer can undercut the bucket's default with one of his own.
    // https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html
    deny(bucket, {
      sid: 'OnlyRetentionReleases',
      actions: ['s3:PutObjectRetention'],
      resources: [bucket.arnForObjects('*')],
      conditions: { ArnNotLike: { 'aws:PrincipalArn': RELEASERS.map(name => roleArn(account, name)) } },
    });
    // A role of any name, behind a path that begins like theirs.
    deny(bucket, {
      sid: 'NotThroughAPath',
      actions: ['s3:PutObjectRetention'],
      resources: [bucket.arnForObjects('*')],
      conditions: { ArnLike: { 'aws:PrincipalArn': RELEASERS.map(name => roleArn(account, `${name}/*`)) } },
    });
    // What lets a backup go deletes its versions by their ids. A delete marker only hides one.
    deny(bucket, {
      sid: 'NothingIsHiddenOrReplicatedIn',
      actions: ['s3:DeleteObject', 's3:ReplicateObject', 's3:ReplicateDelete'],
      resources: [bucket.arnForObjects('*')],
    });
    deny(bucket, {
      sid: 'NothingIsWrittenTwice',
      actions: ['s3:PutObject'],
      resources: VAULT_WRITTEN_ONCE.map(pattern => bucket.arnForObjects(pattern)),
      // The calls of an upload in parts take no condition, but for its completion.
      conditions: { Null: { 's3:if-none-match': 'true' }, Bool: { 's3:ObjectCreationOperation': 'true' } },
    });
  }

  #createEvidence(bucketName: string, configuration: SupplierConfiguration): void {
    const { evidence } = configuration;
    const props = { bucketName, versioned: true, objectLockEnabled: true };
    const bucket = this.#createBucket('Evidence', configuration, props);
    denyOtherEncryption(bucket);
    // A bucket's policy sees the header of a put, and not the default that applies without one: so each put names the key,
    // by its ARN. https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html#require-sse-kms
    deny(bucket, {
      sid: 'TheKeyIsNamed',
      actions: ['s3:PutObject'],
      resources: [bucket.arnForObjects('*')],
      conditions: { ArnNotEquals: { [KEY_NAMED]: this.#vaultKey.keyArn } },
    });
    cfnBucket(bucket).objectLockConfiguration = {
      objectLockEnabled: 'Enabled',
      rule: { defaultRetention: { mode: evidence.lockMode.toUpperCase(), years: evidence.retentionYears } },
    };
    // Object Lock does not stop a delete marker, and If-None-Match succeeds on top of one.
    deny(bucket, {
      sid: 'NothingIsDeletedOrReplicatedIn',
      actions: [
        's3:BypassGovernanceRetention',
        's3:DeleteObject',
        's3:DeleteObjectVersion',
        's3:ReplicateObject',
        's3:ReplicateDelete',
      ],
      resources: [bucket.arnForObjects('*')],
    });
    deny(bucket, {
      sid: 'NothingIsWrittenTwice',
      actions: ['s3:PutObject'],
      resources: EVIDENCE_WRITTEN_ONCE.map(pattern => bucket.arnForObjects(pattern)),
      conditions: { Null: { 's3:if-none-match': 'true' } },
    });
  }

  #createWork(bucketName: string, configuration: SupplierConfiguration): void {
    const bucket = this.#createBucket('Work', configuration, {
      bucketName,
      lifecycleRules: [
        { id: 'work', prefix: 'work/', expiration: Duration.days(14) },
        // Parts of a restored file that a dead test left are as much of it as a whole one.
        {
          id: 'scratch',
          prefix: 'scratch/',
          expiration: Duration.days(2),
          abortIncompleteMultipartUploadAfter: Duration.days(2),
        },
      ],
    });
    denyOtherEncryption(bucket);
    denyNamingOtherKeys(bucket, configuration.account);
    acknowledge(
      bucket,
      ['NIST.800.53.R5-S3BucketVersioningEnabled'],
      'It holds what runs hand on and what restore tests restore, for days; a version would keep a restored file after its test has deleted it.',
    );
  }

  #createBucket(id: string, configuration: SupplierConfiguration, props: BucketProps & { bucketName: string }): Bucket {
    const { account } = configuration;
    const bucket = new Bucket(this, id, {
      encryption: BucketEncryption.KMS,
      encryptionKey: this.#vaultKey,
      bucketKeyEnabled: false,
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      enforceSSL: true,
      minimumTLSVersion: 1.2,
      removalPolicy: RemovalPolicy.RETAIN,
      ...props,
      lifecycleRules: [
        { id: 'stopped-uploads', abortIncompleteMultipartUploadAfter: Duration.days(7) },
        ...(props.lifecycleRules ?? []),
      ],
    });
    // Not the root user either: what lies here is believed as its writers' own.
    const everyWriter: string[] = [];
    for (const { prefix, roleArns } of writersOf(configuration, props.bucketName)) {
      everyWriter.push(...roleArns);
      deny(bucket, {
        sid: `OnlyItsWriters${titleOf(prefix)}`,
        actions: ['s3:PutObject'],
        resources: [bucket.arnForObjects(`${prefix}*`)],
        conditions: { ArnNotEquals: { 'aws:PrincipalArn': roleArns } },
      });
    }
    deny(bucket, {
      sid: 'OnlyWriters',
      actions: ['s3:PutObject'],
      resources: [bucket.arnForObjects('*')],
      conditions: { ArnNotEquals: { 'aws:PrincipalArn': [...new Set(everyWriter)] } },
    });
    deny(bucket, {
      sid: 'KeysAreNotSwapped',
      actions: ['s3:UpdateObjectEncryption'],
      resources: [bucket.arnForObjects('*')],
    });
    // Replication is how objects would leave the Region by themselves.
    deny(bucket, {
      sid: 'NothingIsReplicatedOut',
      actions: ['s3:GetObjectVersionForReplication', 's3:InitiateReplication'],
      resources: [bucket.arnForObjects('*')],
    });
    deny(bucket, {
      sid: 'FunctionsNeverChangeBuckets',
      actions: [...BUCKET_CHANGES, ...OBJECT_CHANGES],
      resources: [bucket.bucketArn, bucket.arnForObjects('*')],
      conditions: { ArnLike: { 'aws:PrincipalArn': roleArn(account, 'daybreak-*') } },
    });
    acknowledge(
      bucket,
      ['AwsSolutions-S1', 'NIST.800.53.R5-S3BucketLoggingEnabled'],
      "Access logs come on best effort, and would name schools for longer than their objects do. Without Bucket Keys each read of an object is a Decrypt in CloudTrail with the object's ARN.",
    );
    acknowledge(
      bucket,
      ['NIST.800.53.R5-S3BucketReplicationEnabled'],
      'The data stays in the United Kingdom, which has one AWS Region, and a replica would be a copy that no erasure lists.',
    );
    bucket.policy?.applyRemovalPolicy(RemovalPolicy.RETAIN);
    return bucket;
  }
}

function deny(bucket: Bucket, statement: PolicyStatementProps): void {
  bucket.addToResourcePolicy(
    new PolicyStatement({ effect: Effect.DENY, principals: [new AnyPrincipal()], ...statement }),
  );
}

const KEY_NAMED = 's3:x-amz-server-side-encryption-aws-kms-key-id';

/** Lets writers name no other encryption than SSE-KMS; without any, the bucket's default applies. */
function denyOtherEncryption(bucket: Bucket): void {
  const puts = { actions: ['s3:PutObject'], resources: [bucket.arnForObjects('*')] };
  deny(bucket, {
    sid: 'OnlyKmsEncryption',
    ...puts,
    conditions: present('s3:x-amz-server-side-encryption', { StringNotEquals: 'aws:kms' }),
  });
  // Only its writer could read what is under a key sent along, and no destroyed key would end that.
  // https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerSideEncryptionCustomerKeys.html
  deny(bucket, {
    sid: 'NoCustomerKeys',
    ...puts,
    conditions: present('s3:x-amz-server-side-encryption-customer-algorithm', {}),
  });
}

/** Lets writers name no key of another account or Region. */
function denyNamingOtherKeys(bucket: Bucket, account: string): void {
  deny(bucket, {
    sid: 'OnlyOurKeys',
    actions: ['s3:PutObject'],
    resources: [bucket.arnForObjects('*')],
    conditions: present(KEY_NAMED, { ArnNotLike: `arn:aws:kms:${REGION}:${account}:key/*` }),
  });
}

// A statement's id is letters and digits.
function titleOf(prefix: string): string {
  return prefix.replaceAll(/(?:^|\W)(\w?)/g, (_, letter: string) => letter.toUpperCase());
}

// A negated operator also matches where the key is absent, and then the bucket's default encryption applies.
function present(key: string, condition: Record<string, string>): Record<string, Record<string, string>> {
  return {
    ...Object.fromEntries(Object.entries(condition).map(([operator, value]) => [operator, { [key]: value }])),
    Null: { [key]: 'false' },
  };
}

function cfnBucket(bucket: Bucket): CfnBucket {
  return bucket.node.defaultChild as CfnBucket;
}
