import { PlanInput, PlanOutput } from '../contracts/daily-backup.ts';
import { idOfInstant } from '../contracts/identifiers.ts';
import { handler as step } from '../platform/handler.ts';
import { log } from '../platform/log.ts';
import { findInstance } from '../platform/rds.ts';
import { refuseOtherDay } from '../platform/scheduled-instant.ts';

/**
 * Names the recovery point and finds where each database answers. One whose instance is gone, or has no endpoint, is left
 * out: the others are backed up, and the recovery point lacks it by name.
 * @throws ScheduledInstantError for an instant that has not come yet, or is more than 48 hours ago.
 */
export const handler = step({
  input: PlanInput,
  output: PlanOutput,
  run: async ({ scheduledAt }, { now, configuration }) => {
    refuseOtherDay(scheduledAt, now);
    const recoveryPointId = idOfInstant(scheduledAt);
    const databases = await Promise.all(
      configuration.databases.map(async ({ id, instanceId }) => {
        const endpoint = (await findInstance(instanceId))?.Endpoint;
        if (endpoint?.Address === undefined || endpoint.Port === undefined) {
          log('error', 'an instance does not exist or has no endpoint; check the configuration and the instance', {
            databaseId: id,
            instanceId,
          });
          return [];
        }
        return [{ recoveryPointId, databaseId: id, endpoint: { host: endpoint.Address, port: endpoint.Port } }];
      }),
    );
    return { recoveryPointId, scheduledAt, databases: databases.flat() };
  },
});
