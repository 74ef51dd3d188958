import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { BlockPublicAccess, Bucket, BucketEncryption, type BucketProps, type LifecycleRule } from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import type { BucketPolicyName } from '../../functions/contracts/policies.ts';
import { policyBuckets } from '../access/bucket-policies.ts';
import type { SupplierConfiguration } from '../config/configuration.ts';
import { acknowledge } from './acknowledge.ts';
import { attachPolicy } from './attach-policy.ts';

/** Parts of uploads that nobody completed lie in no listing of objects. */
export const STOPPED_UPLOADS: LifecycleRule = {
  id: 'stopped-uploads',
  abortIncompleteMultipartUploadAfter: Duration.days(7),
};

/** A bucket that outlives its stack: private, under a key, with the policy that is written for it. */
export function createKeptBucket(
  scope: Construct,
  id: string,
  name: BucketPolicyName,
  configuration: SupplierConfiguration,
  { key, ...props }: BucketProps & { readonly key: IKey },
): Bucket {
  const bucket = new Bucket(scope, id, {
    bucketName: policyBuckets(configuration)[name],
    encryption: BucketEncryption.KMS,
    encryptionKey: key,
    bucketKeyEnabled: false,
    blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
    removalPolicy: RemovalPolicy.RETAIN,
    ...props,
  });
  attachPolicy(bucket, name, configuration, key.keyArn);
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
  return bucket;
}
