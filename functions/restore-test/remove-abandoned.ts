import { RemoveAbandonedInput, RemoveAbandonedOutput } from '../contracts/restore-test.ts';
import { PURPOSE_TAG, RESTORE_TEST_INSTANCE_PREFIX, RESTORE_TEST_TAG } from '../contracts/vault-layout.ts';
import { describeError } from '../platform/errors.ts';
import { handler as step } from '../platform/handler.ts';
import { log } from '../platform/log.ts';
import { publishMetrics } from '../platform/metrics.ts';
import { deleteInstance, listInstances, tagOf } from '../platform/rds.ts';
import { findAbandoned } from './find-abandoned.ts';

/**
 * The janitor: deletes instances that a dead restore test left, and never one that a restore test did not make. One that
 * cannot be deleted keeps none of the others: the first such error is thrown in the end.
 */
export const handler = step({
  input: RemoveAbandonedInput,
  output: RemoveAbandonedOutput,
  run: async (_input, { now, configuration }) => {
    const instances = await listInstances(RESTORE_TEST_INSTANCE_PREFIX);
    const decisions = findAbandoned(
      instances.map(instance => ({
        instanceId: instance.DBInstanceIdentifier ?? '',
        status: instance.DBInstanceStatus ?? '',
        createdAt: instance.InstanceCreateTime,
        purpose: tagOf(instance, PURPOSE_TAG),
        restoreTestId: tagOf(instance, RESTORE_TEST_TAG),
      })),
      { namePrefix: RESTORE_TEST_INSTANCE_PREFIX, abandonedAfterMs: configuration.restoreTest.abandonedAfterMs },
      now,
    );
    const removedInstanceIds: string[] = [];
    const failures: unknown[] = [];
    for (const { instanceId, remove, reason } of decisions) {
      log('info', remove ? 'removing an abandoned instance' : 'keeping an instance', { instanceId, reason });
      if (!remove) continue;
      try {
        await deleteInstance(instanceId);
        removedInstanceIds.push(instanceId);
      } catch (error) {
        log('error', 'an abandoned instance was not removed', { instanceId, error: describeError(error) });
        failures.push(error);
      }
    }
    publishMetrics(
      { Workflow: 'restore-test' },
      { AbandonedInstances: { unit: 'Count', value: removedInstanceIds.length } },
    );
    if (failures.length > 0) throw failures[0];
    return { removedInstanceIds };
  },
});
