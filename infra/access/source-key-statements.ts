import { bucketNames, REGION, type SupplierConfiguration } from '../config/configuration.ts';
import { Isolation } from '../constructs/isolation.ts';
import { permissionsOf } from '../steps/definitions.ts';
import type { PolicyStatement } from './policy-document.ts';
import { roleArn, STEPS, type Step, stepName } from './role-names.ts';

/** A key of the supplier's own, and what its policy has to say so that backups can read what lies under it. */
export interface SourceKey {
  readonly keyArn: string;
  readonly statements: readonly PolicyStatement[];
}

/**
 * The statements to add to the policies of the keys that databases and buckets are under. They say the same as the
 * functions' own policies, and name the functions' roles by conditions: as principals, the roles would have to exist
 * before, and their deletion would leave dead ids. A key whose policy leaves permissions to IAM needs none of them.
 * https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
 */
export function sourceKeyStatements(configuration: SupplierConfiguration): readonly SourceKey[] {
  const { account, databases, buckets } = configuration;
  const otherKeyArn = `arn:aws:kms:${REGION}:${account}:key/none-of-these`;
  const permissions = permissionsOf({
    configuration,
    ...bucketNames(configuration),
    vaultKeyArn: otherKeyArn,
    signingKeyArn: otherKeyArn,
    tenantIdKeyArn: otherKeyArn,
    ledgerKeyArn: otherKeyArn,
    entryKeyArn: otherKeyArn,
    subnetGroupName: Isolation.SUBNET_GROUP_NAME,
    stateMachineArns: [],
  });
  const keyArns = new Set([
    ...databases.flatMap(({ kmsKeyArn }) => (kmsKeyArn === null ? [] : [kmsKeyArn])),
    ...buckets.flatMap(({ kmsKeyArns }) => kmsKeyArns),
  ]);
  return [...keyArns].map(keyArn => ({
    keyArn,
    statements: STEPS.flatMap(step =>
      permissions[step]
        .filter(({ effect, resources }) => effect !== 'Deny' && resources.includes(keyArn))
        .map(({ actions, conditions = {} }, index) => ({
          Sid: `Daybreak${titleOf(step)}${index + 1}`,
          Effect: 'Allow',
          Principal: { AWS: `arn:aws:iam::${account}:root` },
          Action: actions,
          Resource: '*',
          Condition: { ...conditions, ArnEquals: { 'aws:PrincipalArn': roleArn(account, stepName(step)) } },
        })),
    ),
  }));
}

// An id of a statement is letters and digits.
function titleOf(step: Step): string {
  return step.replaceAll(/(?:^|\W)(\w)/g, (_, letter: string) => letter.toUpperCase());
}
