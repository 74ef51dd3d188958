import { Duration, RemovalPolicy, Stack, Tags, Validations } from 'aws-cdk-lib';
import { AnyPrincipal, Effect, PolicyStatement, type PolicyStatementProps } from 'aws-cdk-lib/aws-iam';
import { type Key, KeySpec, KeyUsage } from 'aws-cdk-lib/aws-kms';
import { BlockPublicAccess, Bucket, BucketEncryption, type BucketProps, type CfnBucket } from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import { bucketNames, REGION, type SupplierConfiguration } from './config/configuration.ts';
import { DaybreakKey } from './constructs/daybreak-key.ts';
import { roleArn, STEPS, stepName, WORKFLOWS, workflowName } from './role-names.ts';

/** The keys below which nothing is ever written twice, or deleted. */
const WRITE_ONCE_PREFIXES = ['ledger/', 'segments/', 'heads/', 'restore-tests/'];

/**
 * What outlives everything else: the locked vault, the evidence, the work bucket and the keys. Destroying the stack keeps
 * all of it, and a workflow stack that is deployed again works with it, because names and key policies are fixed.
 */
export class VaultStack extends Stack {
  readonly vaultKey: Key;
  readonly signingKey: Key;

  constructor(scope: Construct, id: string, configuration: SupplierConfiguration) {
    const { account, region } = configuration;
    super(scope, id, {
      env: { account, region },
      description: 'Daybreak: the vault, the evidence and their keys',
      terminationProtection: true,
    });
    Tags.of(this).add('daybreak:purpose', 'vault');

    const roles = [...STEPS.map(stepName), ...WORKFLOWS.map(workflowName)].map(name => roleArn(account, name));
    this.vaultKey = new DaybreakKey(this, 'VaultKey', {
      alias: 'alias/daybreak/vault',
      description: 'Daybreak: database snapshots, what belongs to no tenant, evidence, work files',
      enableKeyRotation: true,
      use: [
        {
          sid: 'DataThroughS3AndRds',
          actions: ['kms:Encrypt', 'kms:Decrypt', 'kms:ReEncrypt*', 'kms:GenerateDataKey*', 'kms:DescribeKey'],
          arns: [...roles, ...configuration.operatorRoleArns],
          conditions: {
            StringEquals: { 'kms:ViaService': [`s3.${REGION}.amazonaws.com`, `rds.${REGION}.amazonaws.com`] },
          },
        },
        {
          sid: 'GrantsForRds',
          actions: ['kms:CreateGrant'],
          arns: roles,
          conditions: {
            Bool: { 'kms:GrantIsForAWSResource': 'true' },
            StringEquals: { 'kms:ViaService': `rds.${REGION}.amazonaws.com` },
          },
        },
      ],
    });
    this.signingKey = new DaybreakKey(this, 'SigningKey', {
      alias: 'alias/daybreak/signing',
      description: 'Daybreak: signs root manifests and heads of the ledger',
      keySpec: KeySpec.ECC_NIST_P256,
      keyUsage: KeyUsage.SIGN_VERIFY,
      use: [
        { sid: 'Sign', actions: ['kms:Sign'], arns: roles },
        {
          sid: 'Verify',
          actions: ['kms:Verify', 'kms:GetPublicKey', 'kms:DescribeKey'],
          arns: [...roles, ...configuration.operatorRoleArns],
        },
      ],
    });

    const names = bucketNames(configuration);
    this.#createVault(names.vaultBucket, configuration);
    this.#createEvidence(names.evidenceBucket, configuration);
    this.#createWork(names.workBucket);
  }

  #createVault(bucketName: string, { vault, account }: SupplierConfiguration): void {
    const bucket = this.#createBucket('Vault', { bucketName, versioned: true, objectLockEnabled: true });
    // The lock rolls on until what needs an object lets it go; writers set no lock headers themselves.
    cfnBucket(bucket).objectLockConfiguration = {
      objectLockEnabled: 'Enabled',
      rule: {
        defaultRetention: { mode: vault.lockMode.toUpperCase(), defaultEventHold: { days: vault.eventHoldDays } },
      },
    };
    const puts = { actions: ['s3:PutObject'], resources: [bucket.arnForObjects('*')] };
    deny(bucket, {
      sid: 'OnlyKmsEncryption',
      ...puts,
      conditions: present('s3:x-amz-server-side-encryption', { StringNotEquals: 'aws:kms' }),
    });
    deny(bucket, {
      sid: 'OnlyKeysOfThisAccount',
      ...puts,
      conditions: present('s3:x-amz-server-side-encryption-aws-kms-key-id', {
        ArnNotLike: `arn:aws:kms:${REGION}:${account}:key/*`,
      }),
    });
    // A tenant's data under the vault key would survive the destruction of the tenant's key.
    deny(bucket, {
      sid: 'TenantsNotUnderTheVaultKey',
      ...puts,
      resources: [bucket.arnForObjects('tenants/*')],
      conditions: { ArnEquals: { 's3:x-amz-server-side-encryption-aws-kms-key-id': this.vaultKey.keyArn } },
    });
  }

  #createEvidence(bucketName: string, { evidence }: SupplierConfiguration): void {
    const bucket = this.#createBucket('Evidence', { bucketName, versioned: true, objectLockEnabled: true });
    cfnBucket(bucket).objectLockConfiguration = {
      objectLockEnabled: 'Enabled',
      rule: { defaultRetention: { mode: evidence.lockMode.toUpperCase(), years: evidence.retentionYears } },
    };
    // Object Lock does not stop a delete marker, and If-None-Match succeeds on top of one.
    deny(bucket, {
      sid: 'NothingIsDeletedOrReplicatedIn',
      actions: ['s3:DeleteObject', 's3:DeleteObjectVersion', 's3:ReplicateObject', 's3:ReplicateDelete'],
      resources: [bucket.arnForObjects('*')],
    });
    deny(bucket, {
      sid: 'NothingIsWrittenTwice',
      actions: ['s3:PutObject'],
      resources: WRITE_ONCE_PREFIXES.map(prefix => bucket.arnForObjects(`${prefix}*`)),
      conditions: { Null: { 's3:if-none-match': 'true' } },
    });
  }

  #createWork(bucketName: string): void {
    this.#createBucket('Work', {
      bucketName,
      lifecycleRules: [
        { id: 'work', prefix: 'work/', expiration: Duration.days(14) },
        { id: 'scratch', prefix: 'scratch/', expiration: Duration.days(2) },
      ],
    });
  }

  #createBucket(id: string, props: BucketProps): Bucket {
    const bucket = new Bucket(this, id, {
      encryption: BucketEncryption.KMS,
      encryptionKey: this.vaultKey,
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
    deny(bucket, {
      sid: 'KeysAreNotSwapped',
      actions: ['s3:UpdateObjectEncryption'],
      resources: [bucket.arnForObjects('*')],
    });
    Validations.of(bucket).acknowledge({
      id: 'AwsSolutions::AwsSolutions-S1',
      reason:
        'Access logs come on best effort and would outlive what they name; CloudTrail data events are the audit trail.',
    });
    bucket.policy?.applyRemovalPolicy(RemovalPolicy.RETAIN);
    return bucket;
  }
}

function deny(bucket: Bucket, statement: PolicyStatementProps): void {
  bucket.addToResourcePolicy(
    new PolicyStatement({ effect: Effect.DENY, principals: [new AnyPrincipal()], ...statement }),
  );
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
