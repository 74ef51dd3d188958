import { Effect, PolicyStatement, type Role } from 'aws-cdk-lib/aws-iam';
import { acknowledge } from '../constructs/acknowledge.ts';
import { arnOf, type Pattern, type Permission } from './permission.ts';

/**
 * Gives a role what a permission says. cdk-nag records the reason of a pattern where it asks for one: for a `*`.
 * @throws Error naming a wildcard without a reason, which only a permission that denies may have.
 */
export function addPermission(role: Role, { effect = 'Allow', actions, resources, conditions }: Permission): void {
  for (const resource of resources) {
    if (typeof resource === 'object') {
      if (resource.pattern.includes('*')) acknowledgeWildcard(role, resource);
    } else if (effect === 'Allow' && /[*?]/.test(resource)) {
      throw new Error(
        `${actions.join(', ')} on ${resource}: name the resources, or say in the permission, with the pattern, why they cannot be named more narrowly`,
      );
    }
  }
  role.addToPolicy(
    new PolicyStatement({
      effect: effect === 'Deny' ? Effect.DENY : Effect.ALLOW,
      actions: [...actions],
      resources: resources.map(arnOf),
      ...(conditions && { conditions }),
    }),
  );
}

/** Records the reason for a wildcard that another construct adds to the role. */
export function acknowledgeWildcard(role: Role, { pattern, reason }: Pattern): void {
  acknowledge(role, [`AwsSolutions-IAM5[Resource::${pattern}]`], reason);
}

/** Says why the role's own policy is no managed one. */
export function acknowledgeInlinePolicy(role: Role): void {
  acknowledge(
    role,
    ['NIST.800.53.R5-IAMNoInlinePolicy'],
    'The policy is for this role alone and goes with it; a managed one could be attached to another principal. What all roles share, the guardrails, is managed.',
  );
}
