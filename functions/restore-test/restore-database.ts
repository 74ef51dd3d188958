import { RestoreDatabaseInput, RestoreDatabaseOutput } from '../contracts/restore-test.ts';
import { PURPOSE_TAG, RECOVERY_POINT_TAG, RESTORE_TEST_TAG, restoreTestInstanceId } from '../contracts/vault-layout.ts';
import { PermanentError } from '../platform/errors.ts';
import { handler as step } from '../platform/handler.ts';
import {
  DatabaseResourceBusyError,
  findInstance,
  findSnapshot,
  takenAt as snapshotTakenAt,
  startRestore,
  tagOf,
} from '../platform/rds.ts';
import { readRootManifest } from '../platform/root-manifest.ts';

/** The recovery point's snapshot is gone, or is not the one that its root manifest names: the backup itself is bad. */
export class SnapshotAlteredError extends PermanentError {}
/** An instance of the restore test's name is there, but this test did not restore it from this recovery point. */
export class RestoreConflictError extends PermanentError {}

/**
 * Starts restoring a recovery point's snapshot to an instance of its own, in the isolated subnet group: not public, no
 * automated backups (a first backup would block it for hours), no deletion protection, reachable with IAM authentication.
 * A rerun finds what an earlier run started, and waits for the end of what one is tearing down.
 */
export const handler = step({
  input: RestoreDatabaseInput,
  output: RestoreDatabaseOutput,
  run: async ({ restoreTestId, recoveryPointId, databaseId }, { configuration, deployment }) => {
    const instanceId = restoreTestInstanceId(restoreTestId, databaseId);
    const existing = await findInstance(instanceId);
    if (existing !== undefined) {
      if (
        tagOf(existing, RESTORE_TEST_TAG) !== restoreTestId ||
        tagOf(existing, RECOVERY_POINT_TAG) !== recoveryPointId
      ) {
        throw new RestoreConflictError(
          `instance ${instanceId} exists, but not as a restore of ${recoveryPointId} by this test; see who made it, then delete it`,
        );
      }
      if (existing.DBInstanceStatus === 'deleting') {
        throw new DatabaseResourceBusyError(`instance ${instanceId} of an earlier run is still being deleted`);
      }
      return { instanceId };
    }
    const manifest = await readRootManifest(deployment, recoveryPointId);
    const expected = manifest?.recoveryPoint.databases.find(database => database.databaseId === databaseId)?.snapshot;
    if (!expected)
      throw new SnapshotAlteredError(`recovery point ${recoveryPointId} holds no snapshot of ${databaseId}`);
    const snapshot = await findSnapshot(expected.id);
    const takenAt = snapshot && snapshotTakenAt(snapshot)?.toISOString();
    if (snapshot === undefined || takenAt !== expected.takenAt || snapshot.KmsKeyId !== expected.kmsKeyArn) {
      throw new SnapshotAlteredError(
        `snapshot ${expected.id} is ${snapshot === undefined ? 'gone' : 'not the one that the root manifest names'}`,
      );
    }
    const { restoreTest } = configuration;
    await startRestore(
      {
        DBInstanceIdentifier: instanceId,
        DBSnapshotIdentifier: expected.id,
        DBInstanceClass: restoreTest.instanceClass,
        DBSubnetGroupName: restoreTest.subnetGroupName,
        VpcSecurityGroupIds: [restoreTest.securityGroupId],
        ...(restoreTest.parameterGroupName ? { DBParameterGroupName: restoreTest.parameterGroupName } : {}),
        PubliclyAccessible: false,
        MultiAZ: false,
        BackupRetentionPeriod: 0,
        DeletionProtection: false,
        EnableIAMDatabaseAuthentication: true,
        AutoMinorVersionUpgrade: false,
        CopyTagsToSnapshot: false,
      },
      { [PURPOSE_TAG]: 'restore-test', [RESTORE_TEST_TAG]: restoreTestId, [RECOVERY_POINT_TAG]: recoveryPointId },
    );
    return { instanceId };
  },
});
