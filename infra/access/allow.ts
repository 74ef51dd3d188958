import { Effect, PolicyStatement, type Role } from 'aws-cdk-lib/aws-iam';
import { acknowledge } from '../constructs/acknowledge.ts';
import type { Permission } from '../steps/permissions.ts';

/** Why a resource with a `*` in it cannot be named more narrowly: the first pattern that fits gives the reason. */
export const WILDCARD_REASONS: readonly { readonly resource: RegExp; readonly reason: string }[] = [
  {
    resource: /^arn:aws:s3:::daybreak-(?:vault|evidence|work)-[^/]+\/(?:[a-z-]+\/)+\*$/,
    reason: 'Objects are named at run time; the role reaches one kind of them, by its prefix.',
  },
  {
    resource: /^arn:aws:s3:::[^/*]+\/\*$/,
    reason: 'A backup reads every object of a bucket that the configuration names.',
  },
  {
    resource: /^arn:aws:rds:[^*]+:snapshot:daybreak-[a-z0-9-]+-\?{8}t\?{6}z$/,
    reason: 'A snapshot is named after its recovery point, at run time.',
  },
  {
    resource: /^arn:aws:rds:[^*]+:snapshot:\*$/,
    reason: 'Which snapshots are there, and how many the quota leaves, is found by listing, which changes none.',
  },
  {
    resource: /^arn:aws:rds:[^*]+:db:daybreak-test-\*$/,
    reason: 'A restored instance is named after its restore test, at run time.',
  },
  {
    resource: /^arn:aws:rds:[^*]+:db:\*$/,
    reason:
      'What a dead restore test left is found by listing; the role can delete only what is named and tagged as one.',
  },
  {
    resource: /^arn:aws:rds:[^*]+:(?:og:default:|pg:default\.)\*$/,
    reason:
      "A restore without groups of one's own uses RDS's default groups, which are named after the engine's version.",
  },
  {
    resource: /^arn:aws:rds:[^*]+:pg:\*$/,
    reason: 'Whether a database forces TLS stands in its parameter group, which its owner may change at any time.',
  },
  {
    resource: /^arn:aws:rds-db:[^*]+:dbuser:\*\/[^*]+$/,
    reason:
      'A restored instance has a new resource id, unknown before it exists; the user bounds the role, and the live instances are denied.',
  },
  {
    resource: /^arn:aws:s3:::daybreak-vault-[^*/]+\/tenants\/\*\/(?:manifests|not-covered)\/\*$/,
    reason:
      "Tenants are found at run time; of each one's part of the vault the role gets what says what is there, and no content.",
  },
  {
    resource: /^arn:aws:kms:[^*]+:key\/\*$/,
    reason: "Tenants' keys are made at run time; each one's own policy names the roles that may use it.",
  },
  {
    resource: /^arn:aws:kms:[^*]+:alias\/daybreak\/tenant\/\*$/,
    reason: "The aliases of tenants' keys are made at run time.",
  },
  {
    resource: /^arn:aws:states:[^*]+:execution:daybreak-[a-z-]+(?:\/\*)?:\*$/,
    reason: 'Executions, and the children of a distributed map, are named at run time.',
  },
  {
    resource: /^arn:aws:logs:[^*]+:log-group:\/daybreak\/trail:log-stream:\d{12}_CloudTrail_eu-west-2\*$/,
    reason: 'CloudTrail names the streams that it writes, and begins them all like this.',
  },
];

/** Actions that know no narrower resource. */
export const ACTIONS_WITHOUT_RESOURCE: readonly { readonly actions: RegExp; readonly reason: string }[] = [
  {
    actions: /^(?:kms:ListKeys|rds:DescribeAccountAttributes)$/,
    reason: 'The account is asked how much of its quotas is used; counting knows no resource.',
  },
  {
    actions: /^kms:(?:CreateKey|ListKeys|ListAliases)$/,
    reason:
      'A key that does not exist yet has no ARN, and listing knows none; the guardrails let this role alone create.',
  },
  {
    actions:
      /^ec2:(?:Create|Delete|Describe)NetworkInterfaces?$|^ec2:DescribeSubnets$|^ec2:(?:Una|A)ssignPrivateIpAddresses$/,
    reason: "Lambda makes a function's network interfaces under its role; code in the function is denied all of it.",
  },
  {
    actions: /^logs:\w*(?:LogDelivery|LogDeliveries|ResourcePolicy|ResourcePolicies|LogGroups)$/,
    reason: 'Step Functions sets up its log delivery under the role; these actions know no resource.',
  },
];

/**
 * Gives a role what a permission says. A resource with a `*` or `?` needs a written reason, which cdk-nag records where it
 * asks for one (for a `*`), but where the permission denies.
 * @throws Error naming a wildcard without a reason.
 */
export function addPermission(role: Role, { effect = 'Allow', actions, resources, conditions }: Permission): void {
  for (const resource of resources.filter(resource => effect === 'Allow' && /[*?]/.test(resource))) {
    const reason = reasonFor(actions, resource);
    if (resource.includes('*')) acknowledgeWildcard(role, resource, reason);
  }
  role.addToPolicy(
    new PolicyStatement({
      effect: effect === 'Deny' ? Effect.DENY : Effect.ALLOW,
      actions: [...actions],
      resources: [...resources],
      ...(conditions && { conditions }),
    }),
  );
}

/** Records the reason for a wildcard that another construct adds to the role. */
export function acknowledgeWildcard(role: Role, resource: string, reason: string): void {
  acknowledge(role, [`AwsSolutions-IAM5[Resource::${resource}]`], reason);
}

/** Says why the role's own policy is no managed one. */
export function acknowledgeInlinePolicy(role: Role): void {
  acknowledge(
    role,
    ['NIST.800.53.R5-IAMNoInlinePolicy'],
    'The policy is for this role alone and goes with it; a managed one could be attached to another principal. What all roles share, the guardrails, is managed.',
  );
}

/** @throws Error when there is none. */
export function reasonFor(actions: readonly string[], resource: string): string {
  const found =
    resource === '*'
      ? ACTIONS_WITHOUT_RESOURCE.find(known => actions.every(action => known.actions.test(action)))
      : WILDCARD_REASONS.find(known => known.resource.test(resource));
  if (found === undefined) {
    throw new Error(
      `${actions.join(', ')} on ${resource}: name the resources, or write the reason for the * in infra/access/allow.ts`,
    );
  }
  return found.reason;
}
