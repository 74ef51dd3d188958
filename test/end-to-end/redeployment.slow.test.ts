import { join } from 'node:path';
import { DescribeKeyCommand, KMSClient, PutKeyPolicyCommand } from '@aws-sdk/client-kms';
import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { rootManifestKey, vaultSnapshotId } from '../../functions/contracts/vault-layout.ts';
import { roleArn, STEPS, stepName } from '../../infra/access/role-names.ts';
import { deployAssembly } from '../../infra/local/cloudformation/deploy.ts';
import { destroyStack, setTerminationProtection } from '../../infra/local/cloudformation/destroy.ts';
import { synthesize } from '../../infra/local/cloudformation/synthesize.ts';
import { DATABASE, TestEnvironment } from './environment.ts';
import { TENANTS } from './supplier.ts';

const MINUTES = 60_000;

let environment: TestEnvironment;
beforeAll(async () => {
  environment = await TestEnvironment.create();
}, 3 * MINUTES);
afterAll(() => environment?.remove());

const keyArnOf = async (alias: string): Promise<string> => {
  const client = new KMSClient(environment.cloud.clientConfiguration(environment.cloud.root));
  const { KeyMetadata } = await client.send(new DescribeKeyCommand({ KeyId: `alias/daybreak/${alias}` }));
  return KeyMetadata?.Arn ?? '';
};

/** Reads a root manifest, which is under the vault key, as the step that chooses one does. */
async function readAsStep(recoveryPointId: string): Promise<void> {
  const { cloud, deployment } = environment;
  const arn = roleArn(cloud.accountId, stepName('restore-test/choose'));
  const client = new S3Client(cloud.clientConfiguration({ kind: 'role', arn }));
  await client.send(new GetObjectCommand({ Bucket: deployment.vaultBucket, Key: rootManifestKey(recoveryPointId) }));
}

async function destroyAllButTheVault(): Promise<void> {
  await destroyStack(environment.cloud, 'DaybreakMonitoring');
  await destroyStack(environment.cloud, 'DaybreakWorkflows');
}

/** Deploys the workflows and alarms over the vault that stands, with nothing but the ARNs of its keys. */
async function deployOverStandingVault(name: string): Promise<void> {
  const existing = {
    vaultKeyArn: await keyArnOf('vault'),
    signingKeyArn: await keyArnOf('signing'),
    tenantIdKeyArn: await keyArnOf('tenant-ids'),
    ledgerKeyArn: await keyArnOf('ledger'),
    entryKeyArn: await keyArnOf('entries'),
    logKeyArn: await keyArnOf('logs'),
    trailKeyArn: await keyArnOf('trail'),
  };
  const assembly = join(environment.directory, name);
  await synthesize({ ...environment.local.configuration, existing }, assembly);
  expect([...(await deployAssembly(environment.cloud, assembly)).keys()]).toEqual([
    'DaybreakRegister',
    'DaybreakTrail',
    'DaybreakWorkflows',
    'DaybreakMonitoring',
  ]);
}

/** The recovery point comes back whole, the ledger goes on unbroken, and the next backup copies what changed alone. */
async function expectAllThere(recoveryPointIds: readonly string[]): Promise<string> {
  for (const recoveryPointId of recoveryPointIds) {
    const { record } = await environment.testRestore(recoveryPointId);
    expect(record).toMatchObject({ verdict: 'passed', recoveryPointId });
  }
  const previous = await environment.ledger();
  await environment.put({ Key: `schools/${TENANTS[0]}/new after ${previous.length}`, Body: Buffer.from('new') });
  const backup = await environment.backUpWell();
  const copied = backup.document.tenants.map(({ tenant, copiedObjectCount }) => [tenant, copiedObjectCount]);
  expect(copied.filter(([, count]) => count !== 0)).toEqual([[TENANTS[0], 1]]);
  // RDS copies what changed alone while the last copy under the same key is there.
  const { vaultKeyArn } = environment.deployment;
  expect(backup.document.databases.map(({ snapshot }) => snapshot?.kmsKeyArn)).toEqual([vaultKeyArn]);
  const { snapshots } = await environment.databaseResources();
  expect(snapshots).toEqual(
    [...recoveryPointIds, backup.recoveryPointId].map(id => vaultSnapshotId(id, DATABASE)).sort(),
  );

  const ledger = await environment.ledger();
  expect(ledger.slice(0, previous.length)).toEqual(previous);
  expect(await environment.verifyLedger()).toMatchObject({ verified: true, entryCount: ledger.length });
  return backup.recoveryPointId;
}

const recoveryPoints: string[] = [];

it(
  'destroys the workflows, deploys them again over the vault, and restores what was backed up before',
  async () => {
    const { cloud } = environment;
    recoveryPoints.push((await environment.backUpWell()).recoveryPointId);
    await readAsStep(recoveryPoints[0] ?? '');

    await destroyAllButTheVault();
    await expect(readAsStep(recoveryPoints[0] ?? '')).rejects.toMatchObject({ $metadata: { httpStatusCode: 403 } });
    for (const step of STEPS) {
      await expect(cloud.lambda.invoke(stepName(step), {}, cloud.root)).rejects.toThrow('Function not found');
    }
    expect(cloud.scheduler.listSchedules()).toEqual([]);
    await expect(environment.backUp()).rejects.toThrow('State Machine Does Not Exist');

    await deployAssembly(cloud, environment.local.assembly);
    await readAsStep(recoveryPoints[0] ?? '');
    recoveryPoints.push(await expectAllThere(recoveryPoints));
  },
  6 * MINUTES,
);

it(
  'deploys over a vault whose stack was destroyed as well',
  async () => {
    const { cloud } = environment;
    await destroyAllButTheVault();
    await expect(destroyStack(cloud, 'DaybreakVault')).rejects.toThrow('TerminationProtection is enabled');
    setTerminationProtection(cloud, 'DaybreakVault', false);
    await destroyStack(cloud, 'DaybreakVault');
    await expect(deployAssembly(cloud, environment.local.assembly)).rejects.toThrow('already exists');

    await deployOverStandingVault('existing');
    recoveryPoints.push(await expectAllThere(recoveryPoints));
  },
  6 * MINUTES,
);

it(
  'would be locked out of a vault whose key names the roles themselves',
  async () => {
    const { cloud } = environment;
    const { vaultKeyArn: KeyId } = environment.deployment;
    const root = `arn:aws:iam::${cloud.accountId}:root`;
    const steps = STEPS.map(step => roleArn(cloud.accountId, stepName(step)));
    const policy = {
      Version: '2012-10-17',
      Statement: [
        { Effect: 'Allow', Principal: { AWS: steps }, Action: 'kms:*', Resource: '*' },
        {
          ...{ Effect: 'Allow', Principal: { AWS: root }, Action: 'kms:*', Resource: '*' },
          Condition: { ArnEquals: { 'aws:PrincipalArn': root } },
        },
      ],
    };
    const keys = new KMSClient(cloud.clientConfiguration(cloud.root));
    await keys.send(new PutKeyPolicyCommand({ KeyId, Policy: JSON.stringify(policy) }));
    const [recoveryPointId = ''] = recoveryPoints;
    await readAsStep(recoveryPointId);
    await destroyAllButTheVault();
    await deployOverStandingVault('locked-out');
    await expect(readAsStep(recoveryPointId)).rejects.toMatchObject({ $metadata: { httpStatusCode: 403 } });
    const input = { scheduledAt: environment.nextInstant(), recoveryPointId };
    expect(await environment.local.run('restore-test', 'locked-out', input)).toMatchObject({ status: 'FAILED' });
  },
  3 * MINUTES,
);
