import { RemoveAbandonedInput, RemoveAbandonedOutput } from '../contracts/restore-test.ts';
import { PURPOSE_TAG, RESTORE_TEST_INSTANCE_PREFIX, RESTORE_TEST_TAG } from '../contracts/vault-layout.ts';
import { describeError } from '../platform/errors.ts';
import { handler as step } from '../platform/handler.ts';
import { log } from '../platform/log.ts';
import { publishMetrics } from '../platform/metrics.ts';
import { deleteInstance, listInstances, tagOf } from '../platform/rds.ts';
import { summarizeFailures } from '../platform/removal-failure.ts';
import { findAbandoned, type InstanceFacts } from './find-abandoned.ts';

/**
 * The janitor: deletes instances that a dead restore test left, and never one that a restore test did not make. One that
 * cannot be deleted keeps none of the others, and is named in the end, so that the workflow tries again. A rerun drafts the same entries for what
 * an earlier one began to delete: RDS cannot be told to stop deleting an instance.
 */
export const handler = step({
  input: RemoveAbandonedInput,
  output: RemoveAbandonedOutput,
  run: async (_input, { now, configuration }) => {
    const instances = await listInstances(RESTORE_TEST_INSTANCE_PREFIX);
    const decisions = findAbandoned(
      instances.map(instance => ({
        instanceId: instance.DBInstanceIdentifier ?? '',
        resourceId: instance.DbiResourceId ?? '',
        status: instance.DBInstanceStatus ?? '',
        createdAt: instance.InstanceCreateTime,
        purpose: tagOf(instance, PURPOSE_TAG),
        restoreTestId: tagOf(instance, RESTORE_TEST_TAG),
      })),
      { namePrefix: RESTORE_TEST_INSTANCE_PREFIX, abandonedAfterMs: configuration.restoreTest.abandonedAfterMs },
      now,
    );
    const going: InstanceFacts[] = [];
    const failures: { left: string; error: unknown }[] = [];
    for (const { instance, action, reason } of decisions) {
      const { instanceId } = instance;
      log('info', action === 'keep' ? 'keeping an instance' : 'removing an abandoned instance', { instanceId, reason });
      if (action === 'keep') continue;
      try {
        if (action === 'remove') await deleteInstance(instanceId);
        going.push(instance);
      } catch (error) {
        log('error', 'an abandoned instance was not removed', { instanceId, error: describeError(error) });
        failures.push({ left: instanceId, error });
      }
    }
    publishMetrics({ Workflow: 'restore-test' }, { AbandonedInstances: { unit: 'Count', value: going.length } });
    return { drafts: going.map(draftRemoval), failure: summarizeFailures(failures) };
  },
});

function draftRemoval({ instanceId, resourceId, createdAt, restoreTestId }: InstanceFacts) {
  return {
    eventId: `restored-instance/${resourceId}`,
    kind: 'restored-instance.removed' as const,
    actor: 'workflow/remove-abandoned',
    subject: instanceId,
    body: {
      resourceId,
      restoreTestId: restoreTestId ?? null,
      createdAt: createdAt?.toISOString() ?? null,
    },
  };
}
