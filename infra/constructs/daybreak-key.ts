import { RemovalPolicy, Stack } from 'aws-cdk-lib';
import { AccountRootPrincipal, Effect, PolicyDocument, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { Alias, Key, type KeyProps } from 'aws-cdk-lib/aws-kms';
import type { Construct } from 'constructs';

/** What the account's administrators may do: keep the key, never use it. */
const ADMINISTRATION = [
  'kms:CancelKeyDeletion',
  'kms:DescribeKey',
  'kms:DisableKey',
  'kms:EnableKey',
  'kms:EnableKeyRotation',
  'kms:GetKeyPolicy',
  'kms:GetKeyRotationStatus',
  'kms:ListGrants',
  'kms:ListKeyPolicies',
  'kms:ListResourceTags',
  'kms:ListRetirableGrants',
  'kms:PutKeyPolicy',
  'kms:RevokeGrant',
  'kms:ScheduleKeyDeletion',
  'kms:TagResource',
  'kms:UntagResource',
  'kms:CreateAlias',
  'kms:UpdateAlias',
  'kms:DeleteAlias',
  'kms:UpdateKeyDescription',
];

/** What no role of Daybreak may ever do to a key, whatever its own policies say. */
export const KEY_CHANGES = [
  'kms:DisableKey',
  'kms:PutKeyPolicy',
  'kms:ScheduleKeyDeletion',
  'kms:DeleteImportedKeyMaterial',
  'kms:UpdatePrimaryRegion',
  'kms:ReplicateKey',
  'kms:RetireGrant',
  'kms:RevokeGrant',
];

interface KeyUse {
  readonly sid: string;
  readonly actions: readonly string[];
  /** ARNs of the roles; `*` stands for any text. */
  readonly arns: readonly string[];
  readonly conditions?: Record<string, Record<string, string | string[]>>;
}

/**
 * A key that outlives its stack. Its policy names the account, with conditions on fixed role names: a role's own ARN in a
 * key policy turns into a dead id with the role, and would not fit the same role created again.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html#principal-roles
 */
export class DaybreakKey extends Key {
  /** @param props.never what nobody may do, the root user neither. */
  constructor(
    scope: Construct,
    id: string,
    { use, never = [], ...props }: KeyProps & { use: readonly KeyUse[]; never?: readonly Omit<KeyUse, 'arns'>[] },
  ) {
    const { account } = Stack.of(scope);
    // The root user can always read what lies under the key: it is the last way in, behind its MFA.
    const root = `arn:aws:iam::${account}:root`;
    const every = { principals: [new AccountRootPrincipal()], resources: ['*'] };
    super(scope, id, {
      removalPolicy: RemovalPolicy.RETAIN,
      ...props,
      policy: new PolicyDocument({
        statements: [
          new PolicyStatement({ sid: 'Administration', actions: ADMINISTRATION, ...every }),
          ...use.map(
            ({ sid, actions, arns, conditions }) =>
              new PolicyStatement({
                sid,
                actions: [...actions],
                conditions: { ...conditions, ArnLike: { 'aws:PrincipalArn': [...arns, root] } },
                ...every,
              }),
          ),
          ...never.map(
            ({ actions, ...statement }) =>
              new PolicyStatement({ effect: Effect.DENY, actions: [...actions], ...statement, ...every }),
          ),
          new PolicyStatement({
            sid: 'FunctionsNeverChangeKeys',
            effect: Effect.DENY,
            actions: KEY_CHANGES,
            conditions: { ArnLike: { 'aws:PrincipalArn': `arn:aws:iam::${account}:role/daybreak-*` } },
            ...every,
          }),
        ],
      }),
    });
    // Who finds the key by its alias finds it after the stack, too.
    const alias = this.node.tryFindChild('Alias');
    if (alias instanceof Alias) alias.applyRemovalPolicy(RemovalPolicy.RETAIN);
  }
}
