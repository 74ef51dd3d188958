import { DeleteIntermediateInput, DeleteIntermediateOutput } from '../contracts/daily-backup.ts';
import { intermediateSnapshotId, vaultSnapshotId } from '../contracts/vault-layout.ts';
import { PermanentError, RetryableError } from '../platform/errors.ts';
import { databaseThatNames } from '../platform/find-configured.ts';
import { handler as step } from '../platform/handler.ts';
import { deleteSnapshot, findSnapshot } from '../platform/rds.ts';
import { checkVaultCopy } from './check-vault-copy.ts';

/** The copy in the vault is not what it must be before the intermediate snapshot may go. */
export class VaultCopyNotProvenError extends PermanentError {}

/** Deletes the intermediate snapshot, once the copy was read back, and reads back that it is gone. */
export const handler = step({
  input: DeleteIntermediateInput,
  output: DeleteIntermediateOutput,
  run: async ({ recoveryPointId, instanceId }, { configuration, deployment }) => {
    const names = databaseThatNames(configuration, instanceId);
    const copyId = vaultSnapshotId(recoveryPointId, names);
    const problems = checkVaultCopy(await findSnapshot(copyId), deployment.vaultKeyArn);
    if (problems.length > 0) {
      throw new VaultCopyNotProvenError(
        `snapshot ${copyId}: ${problems.join(', ')}; the intermediate snapshot was kept`,
      );
    }
    const intermediateId = intermediateSnapshotId(recoveryPointId, names);
    await deleteSnapshot(intermediateId);
    if ((await findSnapshot(intermediateId)) !== undefined) {
      throw new RetryableError(`snapshot ${intermediateId} is still there after its deletion was accepted`);
    }
    return {};
  },
});
