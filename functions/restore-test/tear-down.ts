import { TearDownInput, TearDownOutput } from '../contracts/restore-test.ts';
import {
  PURPOSE_TAG,
  RESTORE_TEST_INSTANCE_PREFIX,
  RESTORE_TEST_TAG,
  scratchPrefix,
} from '../contracts/vault-layout.ts';
import { handler as step } from '../platform/handler.ts';
import { DatabaseResourceBusyError, deleteInstance, listInstances, tagOf } from '../platform/rds.ts';
import { deleteVersions, listVersions } from '../platform/s3.ts';

/**
 * Removes what a restore test made: its instances, found by name and by tag, and its scratch objects with all their
 * versions. Called again until nothing is left; an instance that cannot be deleted yet is tried again next time.
 */
export const handler = step({
  input: TearDownInput,
  output: TearDownOutput,
  run: async ({ restoreTestId }, { deployment, timeIsShort }) => {
    const instances = (await listInstances(RESTORE_TEST_INSTANCE_PREFIX)).filter(
      instance =>
        tagOf(instance, RESTORE_TEST_TAG) === restoreTestId && tagOf(instance, PURPOSE_TAG) === 'restore-test',
    );
    for (const { DBInstanceIdentifier, DBInstanceStatus } of instances) {
      if (DBInstanceIdentifier === undefined || DBInstanceStatus === 'deleting') continue;
      try {
        await deleteInstance(DBInstanceIdentifier);
      } catch (error) {
        if (!(error instanceof DatabaseResourceBusyError)) throw error;
      }
    }
    const scratchIsGone = await deleteScratch(deployment.workBucket, scratchPrefix(restoreTestId), timeIsShort);
    return { done: instances.length === 0 && scratchIsGone };
  },
});

async function deleteScratch(bucket: string, prefix: string, timeIsShort: () => boolean): Promise<boolean> {
  let batch: { key: string; versionId: string }[] = [];
  let found = 0;
  for await (const { key, versionId } of listVersions(bucket, prefix)) {
    found++;
    batch.push({ key, versionId });
    if (batch.length === 1000) {
      await deleteVersions(bucket, batch);
      batch = [];
      if (timeIsShort()) return false;
    }
  }
  await deleteVersions(bucket, batch);
  return found === 0;
}
