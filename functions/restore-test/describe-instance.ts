import { DescribeInstanceInput, DescribeInstanceOutput } from '../contracts/restore-test.ts';
import { PermanentError } from '../platform/errors.ts';
import { handler as step } from '../platform/handler.ts';
import { findInstance } from '../platform/rds.ts';

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

/** Says whether a restored instance answers yet, and where. */
export const handler = step({
  input: DescribeInstanceInput,
  output: DescribeInstanceOutput,
  run: async ({ instanceId }) => {
    const instance = await findInstance(instanceId);
    const status = instance?.DBInstanceStatus ?? 'gone';
    if (ON_THE_WAY.has(status)) return { available: false, endpoint: null };
    const { Address: host, Port: port } = instance?.Endpoint ?? {};
    const resourceId = instance?.DbiResourceId;
    if (status !== 'available' || host === undefined || port === undefined || resourceId === undefined) {
      throw new RestoreFailedError(`instance ${instanceId} is ${status}; look at its events in RDS, then test again`);
    }
    if (instance?.PubliclyAccessible) {
      throw new RestoreFailedError(`instance ${instanceId} is publicly accessible; it is torn down without being read`);
    }
    return { available: true, endpoint: { host, port, resourceId } };
  },
});
