import type { Deployment } from '../contracts/configuration.ts';
import { idOfInstant } from '../contracts/identifiers.ts';
import type { RecoveryPoint } from '../contracts/recovery-point.ts';
import { ChooseInput, ChooseOutput } from '../contracts/restore-test.ts';
import type { Finding } from '../contracts/restore-test-record.ts';
import { rootManifestKey } from '../contracts/vault-layout.ts';
import { recoveryPointsLost } from '../platform/accepted-losses.ts';
import { isOfEarlierRelease, whyTestDiffers } from '../platform/as-recorded.ts';
import { handler as step } from '../platform/handler.ts';
import { inOrder } from '../platform/in-order.ts';
import { readLedgerState } from '../platform/ledger.ts';
import type { LedgerProjection } from '../platform/ledger-projection.ts';
import { log } from '../platform/log.ts';
import { RootManifestInvalidError, readRootManifest } from '../platform/root-manifest.ts';
import { chooseRecoveryPoint } from './choose-recovery-point.ts';

const READ_AT_ONCE = 8;

/** Chooses the recovery point to test, and checks that its root manifest is the one that was signed and recorded. */
export const handler = step({
  input: ChooseInput,
  output: ChooseOutput,
  run: async ({ scheduledAt, recoveryPointId: requestedId, objects }, { configuration, deployment }) => {
    const restoreTestId = idOfInstant(scheduledAt);
    const allObjects = (objects ?? configuration.restoreTest.objectsPerTenant) === 'all';
    const ledger = await readLedgerState(deployment);
    const lost = recoveryPointsLost(ledger);
    // One that was asked for is tested: it says what is left of it.
    const recoveryPoints = Object.values(ledger.recoveryPoints).filter(
      point => point.recoveryPointId === requestedId || !lost.has(point.recoveryPointId),
    );
    const history = { recoveryPoints, restoreTests: await readProvedTests(deployment, ledger) };
    const { recoveryPointId, reason } = chooseRecoveryPoint(history, { restoreTestId, requestedId });
    const nothing = { restoreTestId, recoveryPointId, recoveryPointStatus: null, snapshots: [], allObjects };
    if (recoveryPointId === null) return { ...nothing, reason, findings: [] };
    const checked = await checkRootManifest(deployment, recoveryPointId, ledger);
    if ('finding' in checked) {
      const { finding } = checked;
      return { ...nothing, reason: finding.detail, findings: [finding] };
    }
    const { recoveryPointStatus } = checked;
    const snapshots = [...checked.databaseIds].map(([snapshotId, databaseIds]) => ({
      snapshotId,
      databases: databaseIds.map(databaseId => ({ restoreTestId, recoveryPointId, databaseId })),
    }));
    return { restoreTestId, recoveryPointId, recoveryPointStatus, reason: null, findings: [], snapshots, allObjects };
  },
});

/** The databases of each snapshot, in a fixed order: the first one names the restored instance, in each run. */
function databasesBySnapshot({ databases }: RecoveryPoint): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const { databaseId, snapshot } of databases.toSorted((a, b) => (a.databaseId < b.databaseId ? -1 : 1))) {
    if (snapshot !== null) found.set(snapshot.id, [...(found.get(snapshot.id) ?? []), databaseId]);
  }
  return found;
}

/** What the ledger tells of a test keeps no recovery point from being tested, unless the test's record says the same. */
async function readProvedTests({ evidenceBucket }: Deployment, ledger: LedgerProjection) {
  const read = async (test: LedgerProjection['restoreTests'][string]) => {
    const difference = await whyTestDiffers(evidenceBucket, test, ledger);
    if (difference === undefined) return [test];
    const { reason } = difference;
    log('error', 'a restore test is not what the ledger says', { restoreTestId: test.restoreTestId, reason });
    return [];
  };
  const limits = { underWay: READ_AT_ONCE, waiting: READ_AT_ONCE };
  return (await Array.fromAsync(inOrder(Object.values(ledger.restoreTests), read, limits))).flat();
}

async function checkRootManifest(
  deployment: Deployment,
  recoveryPointId: string,
  { recoveryPoints, signedFrom }: LedgerProjection,
): Promise<
  { recoveryPointStatus: RecoveryPoint['status']; databaseIds: Map<string, string[]> } | { finding: Finding }
> {
  const altered = (kind: Finding['kind'], detail: string) => ({
    finding: { kind, place: rootManifestKey(recoveryPointId), detail },
  });
  try {
    const manifest = await readRootManifest(deployment, recoveryPointId);
    if (manifest === undefined) return altered('manifest-altered', 'the root manifest is missing');
    const recorded = recoveryPoints[recoveryPointId];
    const isRecorded =
      recorded !== undefined &&
      (recorded.rootManifestSha256 === null
        ? isOfEarlierRelease(recorded, signedFrom)
        : manifest.sha256 === recorded.rootManifestSha256);
    if (!isRecorded) {
      return altered('manifest-altered', 'the root manifest is not the one that the ledger recorded');
    }
    return {
      recoveryPointStatus: manifest.recoveryPoint.status,
      databaseIds: databasesBySnapshot(manifest.recoveryPoint),
    };
  } catch (error) {
    if (!(error instanceof RootManifestInvalidError)) throw error;
    return altered('signature-invalid', error.message);
  }
}
