import { PlanInput, PlanOutput } from '../contracts/daily-backup.ts';
import { idOfInstant } from '../contracts/identifiers.ts';
import { databasesOf } from '../platform/find-configured.ts';
import { handler as step } from '../platform/handler.ts';
import { log } from '../platform/log.ts';
import { findInstance } from '../platform/rds.ts';
import { refuseOtherDay } from '../platform/scheduled-instant.ts';

/**
 * Names the recovery point and finds where each instance answers, with its databases. An instance that is gone, or has no
 * endpoint, is left out: the others are backed up, and the recovery point lacks its databases by name.
 * @throws ScheduledInstantError for an instant that has not come yet, or is more than 48 hours ago.
 */
export const handler = step({
  input: PlanInput,
  output: PlanOutput,
  run: async ({ scheduledAt }, { now, configuration }) => {
    refuseOtherDay(scheduledAt, now);
    const recoveryPointId = idOfInstant(scheduledAt);
    const instanceIds = new Set(configuration.databases.map(({ instanceId }) => instanceId));
    const instances = await Promise.all(
      [...instanceIds].map(async instanceId => {
        const databaseIds = databasesOf(configuration, instanceId).map(({ id }) => id);
        const endpoint = (await findInstance(instanceId))?.Endpoint;
        if (endpoint?.Address === undefined || endpoint.Port === undefined) {
          log('error', 'an instance does not exist or has no endpoint; check the configuration and the instance', {
            instanceId,
            databaseIds,
          });
          return [];
        }
        const { Address: host, Port: port } = endpoint;
        const databases = databaseIds.map(databaseId => ({ recoveryPointId, databaseId, endpoint: { host, port } }));
        return [{ recoveryPointId, instanceId, databases }];
      }),
    );
    return { recoveryPointId, scheduledAt, instances: instances.flat() };
  },
});
