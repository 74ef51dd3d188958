import { PlanInput, PlanOutput } from '../contracts/daily-backup.ts';
import { idOfInstant } from '../contracts/identifiers.ts';
import { PermanentError } from '../platform/errors.ts';
import { handler as step } from '../platform/handler.ts';
import { findInstance } from '../platform/rds.ts';

/** A configured instance does not exist, or has no endpoint to connect to. */
export class InstanceUnavailableError extends PermanentError {}

/** Names the recovery point and finds where each database answers. */
export const handler = step({
  input: PlanInput,
  output: PlanOutput,
  run: async ({ scheduledAt }, { configuration }) => {
    const recoveryPointId = idOfInstant(scheduledAt);
    const databases = await Promise.all(
      configuration.databases.map(async ({ id, instanceId }) => {
        const endpoint = (await findInstance(instanceId))?.Endpoint;
        if (endpoint?.Address === undefined || endpoint.Port === undefined) {
          throw new InstanceUnavailableError(
            `database ${id}: instance ${instanceId} does not exist or has no endpoint; check the configuration and the instance`,
          );
        }
        return { recoveryPointId, databaseId: id, endpoint: { host: endpoint.Address, port: endpoint.Port } };
      }),
    );
    return { recoveryPointId, scheduledAt, databases };
  },
});
