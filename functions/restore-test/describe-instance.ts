import type { Configuration } from '../contracts/configuration.ts';
import { DescribeInstanceInput, DescribeInstanceOutput } from '../contracts/restore-test.ts';
import { PermanentError } from '../platform/errors.ts';
import { handler as step } from '../platform/handler.ts';
import { type DBInstance, findInstance, readParameters } from '../platform/rds.ts';
import { findTlsGaps } from '../platform/tls-settings.ts';

/** The restored instance failed to come up, is gone, or is not as it was asked for. */
export class RestoreFailedError extends PermanentError {}

// https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/accessing-monitoring.html#Overview.DBInstance.Status
const ON_THE_WAY = new Set([
  'creating',
  'backing-up',
  'configuring-iam-database-auth',
  'configuring-enhanced-monitoring',
  'configuring-log-exports',
  'maintenance',
  'modifying',
  'rebooting',
  'resetting-master-credentials',
  'starting',
  'storage-initialization',
  'storage-optimization',
  'upgrading',
]);

/**
 * Says whether a restored instance answers yet, and where. One that is not as isolated as it was asked for is not used,
 * nor one that does not force TLS 1.2: a restore in earnest would get the same parameter group.
 */
export const handler = step({
  input: DescribeInstanceInput,
  output: DescribeInstanceOutput,
  run: async ({ instanceId }, { configuration }) => {
    const instance = await findInstance(instanceId);
    const status = instance?.DBInstanceStatus ?? 'gone';
    // IAM authentication, for one, may come a little after the instance is available.
    const isChanging = Object.values(instance?.PendingModifiedValues ?? {}).some(value => value !== undefined);
    if (ON_THE_WAY.has(status) || isChanging) return { available: false, endpoint: null };
    const { Address: host, Port: port } = instance?.Endpoint ?? {};
    const resourceId = instance?.DbiResourceId;
    if (
      instance === undefined ||
      status !== 'available' ||
      host === undefined ||
      port === undefined ||
      resourceId === undefined
    ) {
      throw new RestoreFailedError(`instance ${instanceId} is ${status}; look at its events in RDS, then test again`);
    }
    const deviations = [
      ...findDeviations(instance, configuration.restoreTest),
      ...(await findUnsafeParameters(instance)),
    ];
    if (deviations.length > 0) {
      throw new RestoreFailedError(
        `instance ${instanceId} is not as it was asked for: ${deviations.join(', ')}; it is torn down without being read`,
      );
    }
    return { available: true, endpoint: { host, port, resourceId } };
  },
});

function findDeviations(
  instance: DBInstance,
  { subnetGroupName, securityGroupId }: Configuration['restoreTest'],
): string[] {
  const groups = (instance.VpcSecurityGroups ?? []).map(({ VpcSecurityGroupId }) => VpcSecurityGroupId);
  return [
    ...(instance.PubliclyAccessible === false ? [] : ['publicly accessible']),
    ...(instance.DBSubnetGroup?.DBSubnetGroupName === subnetGroupName ? [] : ['in another subnet group']),
    ...(groups.join() === securityGroupId ? [] : ['in other security groups']),
    ...(instance.IAMDatabaseAuthenticationEnabled ? [] : ['without IAM authentication']),
    // Its automated backups would be copies that nobody knows of.
    ...(instance.BackupRetentionPeriod === 0 ? [] : ['with automated backups']),
  ];
}

async function findUnsafeParameters({ DBParameterGroups = [], EngineVersion = '' }: DBInstance): Promise<string[]> {
  const found: string[] = [];
  for (const { DBParameterGroupName: name = '' } of DBParameterGroups) {
    for (const gap of findTlsGaps(await readParameters(name), EngineVersion)) {
      found.push(`in the parameter group ${name} (restoreTest.parameterGroupName names another) ${gap}`);
    }
  }
  return found;
}
