import { RemovalPolicy } from 'aws-cdk-lib';
import { PolicyDocument } from 'aws-cdk-lib/aws-iam';
import { Alias, type CfnKey, Key, type KeyProps } from 'aws-cdk-lib/aws-kms';
import type { Construct } from 'constructs';
import { KEY_ALIASES } from '../../functions/contracts/policies.ts';
import { keyPolicies } from '../access/key-policies.ts';
import type { SupplierConfiguration } from '../config/configuration.ts';

/** A key that outlives its stack, as its alias does, with the policy that is written for it (`keyPolicies`) and nothing else. */
export class DaybreakKey extends Key {
  constructor(
    scope: Construct,
    id: string,
    name: keyof typeof KEY_ALIASES,
    configuration: SupplierConfiguration,
    props: Omit<KeyProps, 'alias' | 'policy'>,
  ) {
    const policy = keyPolicies(configuration)[name];
    super(scope, id, {
      removalPolicy: RemovalPolicy.RETAIN,
      ...props,
      alias: KEY_ALIASES[name],
      policy: PolicyDocument.fromJson(policy),
    });
    // The CDK's document knows no `Id`.
    (this.node.defaultChild as CfnKey).addPropertyOverride('KeyPolicy.Id', policy.Id);
    // Who finds the key by its alias finds it after the stack, too.
    const alias = this.node.tryFindChild('Alias');
    if (alias instanceof Alias) alias.applyRemovalPolicy(RemovalPolicy.RETAIN);
  }
}
