import { beforeEach, describe, expect, it } from 'vitest';
import type { TenantBackupResult } from '../../../functions/contracts/object-manifest.ts';
import type { RecoveryPoint } from '../../../functions/contracts/recovery-point.ts';
import { rootManifestKey } from '../../../functions/contracts/vault-layout.ts';
import { canonicalJson } from '../../../functions/platform/canonical-json.ts';
import { handler } from '../../../functions/restore-test/plan-objects.ts';
import { stepRuntime, type TestRuntime } from '../../fixtures/step-runtime.ts';

const restoreTestId = '20261201t060000z';
const recoveryPointId = '20261122t023000z';
const hash = (digit: string) => digit.repeat(64);

function result(tenant: string | null, manifest: string | null, previous: string | null = null): TenantBackupResult {
  const counts = { objectCount: 1, byteCount: 1, copiedObjectCount: 0, copiedByteCount: 0, recopiedObjectCount: 0 };
  const hashes = { manifestSha256: manifest, previousManifestSha256: previous };
  return { bucketId: 'uploads', tenant, ...hashes, ...counts, notCovered: {}, failure: null };
}

let cloud: TestRuntime;
beforeEach(() => {
  cloud = stepRuntime();
});

async function putRootManifest(forge: (text: string) => string = text => text): Promise<void> {
  const document: RecoveryPoint = {
    version: 1,
    recoveryPointId,
    scheduledAt: '2026-11-22T02:30:00.000Z',
    completedAt: '2026-11-22T03:30:00.000Z',
    status: 'incomplete',
    databases: [],
    tenants: [
      result(null, hash('1')),
      result('oakfield', hash('2')),
      result('failed', null, hash('3')),
      result('never', null),
    ],
    reasons: [],
  };
  await cloud.put('vault', rootManifestKey(recoveryPointId), forge(canonicalJson(await cloud.sign(document))));
}

async function planned(allObjects: boolean): Promise<[string | null, string, number | null][]> {
  const { itemsKey, itemCount } = await cloud.invoke(handler, { restoreTestId, recoveryPointId, allObjects });
  const lines = (await cloud.get('work', itemsKey)).toString().split('\n').slice(0, -1);
  expect(lines).toHaveLength(itemCount);
  return lines.map(line => {
    const { tenant, manifestSha256, sampleSize } = JSON.parse(line);
    return [tenant, manifestSha256[0], sampleSize];
  });
}

describe('plan-objects', () => {
  it('plans each manifest, the newest earlier one for a tenant that failed', async () => {
    await putRootManifest();
    expect(await planned(false)).toEqual([
      [null, '1', 20],
      ['oakfield', '2', 20],
      ['failed', '3', 20],
    ]);
    expect((await planned(true)).map(([, , sampleSize]) => sampleSize)).toEqual([null, null, null]);
  });

  it('refuses a forged root manifest, and names a missing one', async () => {
    await expect(planned(false)).rejects.toMatchObject({ name: 'RecoveryPointMissingError' });
    await putRootManifest(text => text.replace(hash('2'), hash('4')));
    await expect(planned(false)).rejects.toMatchObject({ name: 'RootManifestInvalidError' });
  });
});
