import { Duration, Stack, Tags } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import type { SupplierConfiguration } from '../config/configuration.ts';
import { DaybreakKey } from '../constructs/daybreak-key.ts';
import { createKeptBucket, STOPPED_UPLOADS } from '../constructs/kept-bucket.ts';

/** Who notices within so many days that an entry was changed or deleted puts it back; after that nobody does. */
const OLD_VERSIONS_KEPT = Duration.days(35);

/**
 * The register: names of people and free texts, in a bucket of their own and under a key of their own, so that they can be
 * deleted while the vault and the evidence cannot. It has a stack of its own, so that a vault of an earlier release, which is
 * used as it stands, gets one. Destroying the stack keeps all of it.
 */
export class RegisterStack extends Stack {
  readonly keyArn: string;

  constructor(scope: Construct, id: string, configuration: SupplierConfiguration) {
    const { account, region } = configuration;
    super(scope, id, {
      env: { account, region },
      description: 'Daybreak: the register and its key',
      terminationProtection: true,
    });
    Tags.of(this).add('daybreak:purpose', 'register');
    const key = new DaybreakKey(this, 'Key', 'register-key', configuration, {
      description: 'Daybreak: the register',
      enableKeyRotation: true,
    });
    this.keyArn = key.keyArn;
    createKeptBucket(this, 'Register', 'register-bucket', configuration, {
      key,
      versioned: true,
      // Nothing is locked, and nobody deletes a version: S3 does, on its day, whatever the bucket's policy denies to others.
      // https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html
      lifecycleRules: [
        STOPPED_UPLOADS,
        { id: 'old-versions', noncurrentVersionExpiration: OLD_VERSIONS_KEPT, expiredObjectDeleteMarker: true },
      ],
    });
  }
}
