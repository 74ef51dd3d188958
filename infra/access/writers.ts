import { bucketNames, REGION, type SupplierConfiguration } from '../config/configuration.ts';
import { Isolation } from '../constructs/isolation.ts';
import { permissionsOf } from '../steps/definitions.ts';
import { arnOf } from './permission.ts';
import { roleArn, STEPS, stepName, WORKFLOWS, workflowName } from './role-names.ts';

/** Below this prefix of the work bucket Step Functions writes the results of distributed maps, under a workflow's role. */
export const MAP_RESULTS_PREFIX = 'work/';
/** The workflows whose definition has a distributed map. */
export const DISTRIBUTED_WORKFLOWS: readonly (typeof WORKFLOWS)[number][] = ['daily-backup', 'restore-test'];

/** Who may put objects below a prefix of a bucket. */
export interface Writers {
  /** `work/`, with the slash. */
  readonly prefix: string;
  readonly roleArns: readonly string[];
}

/**
 * Who puts objects where: for each prefix, the roles whose own policies allow it. The buckets' policies deny it to everybody
 * else, so that what is believed of a bucket was put there by who has to.
 */
export function writersOf(configuration: SupplierConfiguration, bucketName: string): readonly Writers[] {
  const { account } = configuration;
  const names = bucketNames(configuration);
  const anyKey = `arn:aws:kms:${REGION}:${account}:key/none-of-these`;
  const permissions = permissionsOf({
    configuration,
    ...names,
    vaultKeyArn: anyKey,
    signingKeyArn: anyKey,
    tenantIdKeyArn: anyKey,
    ledgerKeyArn: anyKey,
    entryKeyArn: anyKey,
    subnetGroupName: Isolation.SUBNET_GROUP_NAME,
    stateMachineArns: [],
  });
  const objects = `arn:aws:s3:::${bucketName}/`;
  const writing = STEPS.flatMap(step =>
    permissions[step]
      .filter(({ effect, actions }) => effect !== 'Deny' && actions.includes('s3:PutObject'))
      .flatMap(({ resources }) => resources.map(arnOf))
      .filter(resource => resource.startsWith(objects))
      .map(resource => ({ prefix: prefixOf(resource.slice(objects.length)), role: stepName(step) })),
  );
  if (bucketName === names.workBucket) {
    const ofMaps = WORKFLOWS.filter(workflow => DISTRIBUTED_WORKFLOWS.includes(workflow));
    writing.push(...ofMaps.map(workflow => ({ prefix: MAP_RESULTS_PREFIX, role: workflowName(workflow) })));
  }
  const prefixes = [...new Set(writing.map(({ prefix }) => prefix))].sort();
  return prefixes.map(prefix => {
    // Who writes all of a prefix writes what is below it, and who writes a part of it writes there.
    const roles = writing.filter(other => other.prefix.startsWith(prefix) || prefix.startsWith(other.prefix));
    return { prefix, roleArns: [...new Set(roles.map(({ role }) => roleArn(account, role)))] };
  });
}

function prefixOf(pattern: string): string {
  const prefix = pattern.slice(0, pattern.search(/[*?]/));
  if (prefix === '') throw new Error(`${pattern}: a role that writes objects is bound to a prefix`);
  return prefix;
}
