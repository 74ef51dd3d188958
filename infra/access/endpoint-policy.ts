import { AnyPrincipal, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { Permission } from '../steps/permissions.ts';
import { roleArn, type Step, stepName } from './role-names.ts';

/** The steps that talk to PostgreSQL. They have no way out of the VPC but to S3 and KMS. */
export const INSIDE_VPC = ['backup/fingerprint', 'restore-test/hydrate', 'restore-test/verify-database'] as const;

/**
 * What the VPC's endpoint for a service lets through: these steps, to what their roles may reach. Whatever credentials
 * code in a function comes to hold, nothing goes to a bucket or key of somebody else.
 *
 * In a gateway endpoint's policy a role can be named by `aws:PrincipalArn` alone.
 * https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-access.html
 */
export function endpointStatement(
  service: 's3' | 'kms',
  permissions: Readonly<Record<Step, readonly Permission[]>>,
  account: string,
): PolicyStatement {
  const through = INSIDE_VPC.flatMap(step =>
    permissions[step]
      .filter(permission => goesThrough(service, permission))
      .map(({ actions, resources }) => ({ actions, resources, role: roleArn(account, stepName(step)) })),
  );
  const all = (pick: (one: (typeof through)[number]) => readonly string[]) => [...new Set(through.flatMap(pick))];
  return new PolicyStatement({
    sid: 'OnlyDaybreak',
    principals: [new AnyPrincipal()],
    actions: all(({ actions }) => actions),
    resources: all(({ resources }) => resources),
    conditions: {
      ArnEquals: { 'aws:PrincipalArn': all(({ role }) => [role]) },
      StringEquals: { 'aws:ResourceAccount': account },
    },
  });
}

// What S3 asks of KMS for its caller does not come from the VPC.
function goesThrough(service: string, { effect, actions, conditions }: Permission): boolean {
  const isThrough = JSON.stringify(conditions ?? {}).includes('"kms:ViaService"');
  return effect !== 'Deny' && !isThrough && actions.every(action => action.startsWith(`${service}:`));
}
