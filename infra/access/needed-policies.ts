import {
  type BucketPolicyName,
  type NeededPolicies,
  REGISTER_KEY_TO_COME,
  type ResourcePolicy,
  VAULT_KEY_TO_COME,
} from '../../functions/contracts/policies.ts';
import { hashNeeded } from '../../functions/platform/policy-comparison.ts';
import type { SupplierConfiguration } from '../config/configuration.ts';
import { bucketPolicy, policyBuckets } from './bucket-policies.ts';
import { keyPolicies } from './key-policies.ts';

/**
 * The hash of each policy that there is one of, as this release needs it for a configuration. All that stands in them is
 * known at synthesis, but for the keys of the vault and the register.
 */
export function neededPolicies(configuration: SupplierConfiguration): NeededPolicies {
  const policies: [string, ResourcePolicy][] = [
    ...Object.entries(keyPolicies(configuration)),
    ...Object.entries(policyBuckets(configuration)).map(([name, bucket]): [string, ResourcePolicy] => [
      name,
      bucketPolicy(name as BucketPolicyName, configuration, {
        bucketArn: `arn:aws:s3:::${bucket}`,
        keyArn: name === 'register-bucket' ? REGISTER_KEY_TO_COME : VAULT_KEY_TO_COME,
      }),
    ]),
  ];
  return Object.fromEntries(policies.map(([name, policy]) => [name, hashNeeded(policy)])) as NeededPolicies;
}
