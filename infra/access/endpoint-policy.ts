import { AnyPrincipal, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { STEP_DEFINITIONS } from '../steps/definitions.ts';
import { arnOf, type Permission } from './permission.ts';
import { roleArn, STEPS, type Step, stepName } from './role-names.ts';

/**
 * What the VPC's endpoint for a service lets through: the steps inside, to what their roles may reach. Whatever credentials
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
  const inside = STEPS.filter(step => STEP_DEFINITIONS[step].placement !== 'outside');
  const through = inside.flatMap(step =>
    permissions[step]
      .filter(permission => goesThrough(service, permission))
      .map(({ actions, resources }) => ({
        actions,
        resources: resources.map(arnOf),
        role: roleArn(account, stepName(step)),
      })),
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
