import { DescribeDBSnapshotsCommand, RDSClient } from '@aws-sdk/client-rds';
import { DeleteObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PURPOSE_TAG, SNAPSHOT_PURPOSES } from '../../../functions/contracts/vault-layout.ts';
import { type Account, createAccount } from '../access/least-privilege/account.ts';
import { runWorkflow } from '../access/least-privilege/run-workflow.ts';

const RECORDER = 'daybreak-evidence-record-tampering';

let account: Account;
beforeAll(async () => {
  account = await createAccount();
}, 120_000);
afterAll(() => account?.close());

describe('a backup, a restore test and the janitor', () => {
  it('are no tampering, though the trail has all of it', { timeout: 60_000 }, async () => {
    const { cloud, client, environment } = account;
    const deeds = new Set<string>();
    cloud.trail.onRecord(({ eventName }) => deeds.add(eventName));
    for (const workflow of ['daily-backup', 'restore-test', 'remove-abandoned'] as const) {
      expect(await runWorkflow(account, workflow)).toMatchObject({ status: 'SUCCEEDED' });
    }
    expect(cloud.lambda.linesOf(RECORDER)).toEqual([]);
    expect([...deeds]).toEqual(
      expect.arrayContaining([
        'CreateDBSnapshot',
        'CopyDBSnapshot',
        'CreateGrant',
        'DeleteDBSnapshot',
        'CreateAlias',
        'RestoreDBInstanceFromDBSnapshot',
        'DeleteDBInstance',
      ]),
    );

    const databases = new RDSClient(cloud.clientConfiguration(cloud.root));
    const { DBSnapshots = [] } = await databases.send(new DescribeDBSnapshotsCommand({}));
    // What its manifest names can no longer be deleted by who copied it.
    expect(DBSnapshots.map(({ TagList }) => TagList?.find(({ Key }) => Key === PURPOSE_TAG)?.Value)).toEqual([
      SNAPSHOT_PURPOSES.proved,
    ]);

    const Bucket = environment.deployment.vaultBucket;
    const hide = client.send(new DeleteObjectCommand({ Bucket, Key: 'recovery-points/x.json' }));
    await expect(hide).rejects.toThrow('explicit deny in a resource-based policy');
    await cloud.invocations.settle();
    expect(cloud.lambda.linesOf(RECORDER)).not.toEqual([]);
  });
});
