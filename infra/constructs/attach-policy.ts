import { RemovalPolicy } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { Bucket, CfnBucketPolicy } from 'aws-cdk-lib/aws-s3';
import type { BucketPolicyName } from '../../functions/contracts/policies.ts';
import { bucketPolicy } from '../access/bucket-policies.ts';
import type { SupplierConfiguration } from '../config/configuration.ts';

/** Gives a bucket that outlives its stack the policy that is written for it, which outlives the stack too. */
export function attachPolicy(
  bucket: Bucket,
  name: BucketPolicyName,
  configuration: SupplierConfiguration,
  keyArn: string,
): void {
  const { Id, Statement } = bucketPolicy(name, configuration, { bucketArn: bucket.bucketArn, keyArn });
  for (const statement of Statement) bucket.addToResourcePolicy(PolicyStatement.fromJson(statement));
  const resource = bucket.policy?.node.defaultChild as CfnBucketPolicy;
  resource.applyRemovalPolicy(RemovalPolicy.RETAIN);
  // The CDK's document knows no `Id`.
  resource.addPropertyOverride('PolicyDocument.Id', Id);
}
