import { type ObjectTestItem, PlanObjectsInput, PlanObjectsOutput } from '../contracts/restore-test.ts';
import { itemsKey } from '../contracts/vault-layout.ts';
import { PermanentError } from '../platform/errors.ts';
import { handler as step } from '../platform/handler.ts';
import { readRootManifest } from '../platform/root-manifest.ts';
import { writeBytes } from '../platform/s3.ts';

/** The recovery point has no root manifest any more. */
export class RecoveryPointMissingError extends PermanentError {}

/**
 * Writes one item for each tenant's manifest of a recovery point, as its verified root manifest names them. A tenant that
 * could not be backed up then is tested with its newest earlier manifest: that is what a restore would use.
 * @throws RecoveryPointMissingError, RootManifestInvalidError
 */
export const handler = step({
  input: PlanObjectsInput,
  output: PlanObjectsOutput,
  run: async ({ restoreTestId, recoveryPointId, allObjects }, { configuration, deployment }) => {
    const found = await readRootManifest(deployment, recoveryPointId);
    if (found === undefined) {
      throw new RecoveryPointMissingError(`recovery point ${recoveryPointId} has no root manifest; test another one`);
    }
    const { objectsPerTenant } = configuration.restoreTest;
    const sampleSize = allObjects || objectsPerTenant === 'all' ? null : objectsPerTenant;
    const items = found.recoveryPoint.tenants.flatMap(
      ({ bucketId, tenant, manifestSha256, previousManifestSha256 }): ObjectTestItem[] => {
        const sha256 = manifestSha256 ?? previousManifestSha256;
        return sha256 === null
          ? []
          : [{ restoreTestId, recoveryPointId, bucketId, tenant, manifestSha256: sha256, sampleSize }];
      },
    );
    const body = Buffer.from(items.map(item => `${JSON.stringify(item)}\n`).join(''));
    await writeBytes(deployment.workBucket, itemsKey('restore-test', restoreTestId), body, {
      contentType: 'application/jsonl',
    });
    return { itemsKey: itemsKey('restore-test', restoreTestId), itemCount: items.length };
  },
});
