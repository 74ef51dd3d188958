import { STEPS, type Step } from '../access/role-names.ts';
import { bucketNames, REGION, type SupplierConfiguration } from '../config/configuration.ts';
import { Isolation } from '../constructs/isolation.ts';
import { permissionsOf } from './definitions.ts';
import type { Reach } from './shared-permissions.ts';

/** The keys of a vault that steps reach. */
type VaultKeyName = Extract<keyof Reach, `${string}KeyArn`>;

/** What each step may do, before there is a deployment: the vault's keys stand by their names, and there are no state machines. */
export function plannedPermissions(configuration: SupplierConfiguration): ReturnType<typeof permissionsOf> {
  const key = (name: VaultKeyName) => `arn:aws:kms:${REGION}:${configuration.account}:key/${name}`;
  return permissionsOf({
    configuration,
    ...bucketNames(configuration),
    vaultKeyArn: key('vaultKeyArn'),
    signingKeyArn: key('signingKeyArn'),
    tenantIdKeyArn: key('tenantIdKeyArn'),
    ledgerKeyArn: key('ledgerKeyArn'),
    entryKeyArn: key('entryKeyArn'),
    registerKeyArn: key('registerKeyArn'),
    subnetGroupName: Isolation.SUBNET_GROUP_NAME,
    stateMachineArns: [],
  });
}

/** The steps whose own roles may do something with a key of the vault: whom that key's policy has to name for it. */
export function stepsThatMay(
  action: `kms:${string}`,
  key: VaultKeyName,
  configuration: SupplierConfiguration,
): readonly Step[] {
  const permissions = plannedPermissions(configuration);
  return STEPS.filter(step =>
    permissions[step].some(
      ({ effect, actions, resources }) =>
        effect !== 'Deny' &&
        actions.includes(action) &&
        resources.some(resource => typeof resource === 'string' && resource.endsWith(`:key/${key}`)),
    ),
  );
}
