import { Duration, Stack, Tags } from 'aws-cdk-lib';
import { type Key, type KeyProps, KeySpec, KeyUsage } from 'aws-cdk-lib/aws-kms';
import type { Bucket, BucketProps, CfnBucket } from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import type { BucketPolicyName } from '../../functions/contracts/policies.ts';
import { DELETED_BY_AWS_DAYS } from '../../functions/contracts/retention.ts';
import type { SupplierConfiguration } from '../config/configuration.ts';
import { acknowledge } from '../constructs/acknowledge.ts';
import { DaybreakKey } from '../constructs/daybreak-key.ts';
import { createKeptBucket, STOPPED_UPLOADS } from '../constructs/kept-bucket.ts';

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

    const key = (id: string, name: ConstructorParameters<typeof DaybreakKey>[2], props: KeyProps) =>
      new DaybreakKey(this, id, name, configuration, props);
    this.#vaultKey = key('VaultKey', 'vault-key', {
      description: 'Daybreak: database snapshots, what belongs to no tenant, evidence, work files',
      enableKeyRotation: true,
    });
    const signingKey = (id: string, name: 'signing-key' | 'ledger-key' | 'entry-key', signs: string) =>
      key(id, name, {
        description: `Daybreak: signs ${signs}`,
        keySpec: KeySpec.ECC_NIST_P256,
        keyUsage: KeyUsage.SIGN_VERIFY,
      }).keyArn;
    this.signingKeyArn = signingKey('SigningKey', 'signing-key', 'root manifests');
    this.ledgerKeyArn = signingKey('LedgerKey', 'ledger-key', 'heads of the ledger');
    this.entryKeyArn = signingKey('EntryKey', 'entry-key', 'entries of the ledger');
    // No permission takes the key itself out of KMS, and a key of this kind cannot be imported into another one: so what it
    // makes of an id tells nothing to who cannot call it, and nobody can make the same elsewhere.
    // https://docs.aws.amazon.com/kms/latest/developerguide/hmac.html
    this.tenantIdKeyArn = key('TenantIdKey', 'tenant-id-key', {
      description: 'Daybreak: HMACs of ids of tenants',
      keySpec: KeySpec.HMAC_256,
      keyUsage: KeyUsage.GENERATE_VERIFY_MAC,
    }).keyArn;
    this.logKeyArn = key('LogKey', 'log-key', { description: 'Daybreak: logs', enableKeyRotation: true }).keyArn;

    this.vaultKeyArn = this.#vaultKey.keyArn;
    this.#createVault(configuration);
    this.#createEvidence(configuration);
    this.#createWork(configuration);
  }

  #createVault(configuration: SupplierConfiguration): void {
    const bucket = this.#createBucket('Vault', 'vault-bucket', configuration, {
      versioned: true,
      objectLockEnabled: true,
      lifecycleRules: [STOPPED_UPLOADS],
    });
    // The lock rolls on until what needs an object lets it go; writers set no lock headers themselves. One page demands a
    // default period of each default retention, and another takes a hold alone. Beside a hold of the same length it changes
    // nothing: as long as the hold is on, the date that it rolls on is the later one.
    // https://docs.aws.amazon.com/AmazonS3/latest/API/API_DefaultRetention.html
    // https://docs.aws.amazon.com/AmazonS3/latest/API/API_ObjectLockRule.html
    const { lockMode, eventHoldDays: days } = configuration.vault;
    cfnBucket(bucket).objectLockConfiguration = {
      objectLockEnabled: 'Enabled',
      rule: { defaultRetention: { mode: lockMode.toUpperCase(), days, defaultEventHold: { days } } },
    };
  }

  #createEvidence(configuration: SupplierConfiguration): void {
    const { lockMode, retentionYears: years } = configuration.evidence;
    // No lifecycle rule is ever set here, not for stopped uploads either: entries and records are written by one put each.
    const bucket = this.#createBucket('Evidence', 'evidence-bucket', configuration, {
      versioned: true,
      objectLockEnabled: true,
    });
    cfnBucket(bucket).objectLockConfiguration = {
      objectLockEnabled: 'Enabled',
      rule: { defaultRetention: { mode: lockMode.toUpperCase(), years } },
    };
  }

  #createWork(configuration: SupplierConfiguration): void {
    const bucket = this.#createBucket('Work', 'work-bucket', configuration, {
      lifecycleRules: [
        STOPPED_UPLOADS,
        { id: 'work', prefix: 'work/', expiration: Duration.days(DELETED_BY_AWS_DAYS.workFiles) },
        // Parts of a restored file that a dead test left are as much of it as a whole one.
        {
          id: 'scratch',
          prefix: 'scratch/',
          expiration: Duration.days(DELETED_BY_AWS_DAYS.scratch),
          abortIncompleteMultipartUploadAfter: Duration.days(DELETED_BY_AWS_DAYS.scratch),
        },
      ],
    });
    acknowledge(
      bucket,
      ['NIST.800.53.R5-S3BucketVersioningEnabled'],
      'It holds what runs hand on and what restore tests restore, for days; a version would keep a restored file after its test has deleted it.',
    );
  }

  #createBucket(id: string, name: BucketPolicyName, configuration: SupplierConfiguration, props: BucketProps): Bucket {
    return createKeptBucket(this, id, name, configuration, { key: this.#vaultKey, ...props });
  }
}

function cfnBucket(bucket: Bucket): CfnBucket {
  return bucket.node.defaultChild as CfnBucket;
}
