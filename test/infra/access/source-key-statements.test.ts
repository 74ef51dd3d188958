import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KMSClient, PutKeyPolicyCommand } from '@aws-sdk/client-kms';
import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { idOfInstant } from '../../../functions/contracts/identifiers.ts';
import { STEPS, stepName } from '../../../infra/access/role-names.ts';
import { sourceKeyStatements } from '../../../infra/access/source-key-statements.ts';
import { createApp } from '../../../infra/app.ts';
import { readConfiguration } from '../../../infra/config/configuration.ts';
import { exampleConfiguration } from '../../../infra/config/example.ts';
import { LocalClock } from '../../../infra/local/clock.ts';
import { LocalCloud } from '../../../infra/local/cloud.ts';
import { deployAssembly } from '../../../infra/local/cloudformation/deploy.ts';
import { localConfiguration } from '../../../infra/local/cloudformation/local-configuration.ts';

const { account } = exampleConfiguration;
const BUCKET = 'school-uploads';
const directory = mkdtempSync(join(tmpdir(), 'daybreak-source-keys-'));
const root = { AWS: `arn:aws:iam::${account}:root` };
/** A key whose policy leaves nothing to IAM but its administration; the app alone may use it. */
const CLOSED = [
  { Effect: 'Allow', Principal: root, Action: ['kms:PutKeyPolicy', 'kms:DescribeKey'], Resource: '*' },
  {
    Effect: 'Allow',
    Principal: root,
    Action: ['kms:Decrypt', 'kms:GenerateDataKey'],
    Resource: '*',
    Condition: { ArnEquals: { 'aws:PrincipalArn': root.AWS } },
  },
];
const policyOf = (statements: readonly unknown[]) =>
  JSON.stringify({ Version: '2012-10-17', Statement: [...CLOSED, ...statements] });

let cloud: LocalCloud;
let configuration: Parameters<typeof readConfiguration>[0];
const keys = { database: '', bucket: '' };

beforeAll(async () => {
  cloud = new LocalCloud({ clock: new LocalClock({ startsAt: new Date('2026-11-23T02:30:00Z'), flow: 'manual' }) });
  const s3 = new S3Client(cloud.clientConfiguration(cloud.root));
  for (const name of ['database', 'bucket'] as const) {
    keys[name] = cloud.kms.createKeyFromTemplate({ policy: JSON.parse(policyOf([])) }).keyArn;
  }
  configuration = localConfiguration({
    account,
    databases: [],
    buckets: [{ id: 'uploads', name: BUCKET, tenantPrefix: 'schools/{tenant}/', kmsKeyArns: [keys.bucket] }],
  });
  createApp(configuration, { outdir: directory, bundle: false, check: false }).synth();
  await deployAssembly(cloud, directory);
  cloud.s3.createBucket({ name: BUCKET, encryption: { algorithm: 'aws:kms', keyId: keys.bucket } });
  await s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: 'schools/oak/a.txt', Body: 'a' }));
});
afterAll(async () => {
  await cloud?.close();
  rmSync(directory, { recursive: true });
});

const putPolicy = (KeyId: string, statements: readonly unknown[]) =>
  new KMSClient(cloud.clientConfiguration(cloud.root)).send(
    new PutKeyPolicyCommand({ KeyId, Policy: policyOf(statements) }),
  );

const statementsOf = (keyArn: string, of = configuration) =>
  sourceKeyStatements(readConfiguration(of)).find(key => key.keyArn === keyArn)?.statements ?? [];

/** Runs a backup, and answers what its root manifest says of it. */
async function backUp(scheduledAt: string): Promise<{ status: string; reasons: string[] }> {
  const stateMachine = `arn:aws:states:eu-west-2:${account}:stateMachine:daybreak-daily-backup`;
  const name = idOfInstant(scheduledAt);
  cloud.states.startExecution({ stateMachine, name, input: { scheduledAt } });
  await cloud.states.waitForExecution(`${stateMachine.replace(':stateMachine:', ':execution:')}:${name}`);
  const { Body } = await new S3Client(cloud.clientConfiguration(cloud.root)).send(
    new GetObjectCommand({
      Bucket: `daybreak-vault-${account}-eu-west-2`,
      Key: `recovery-points/${name}.json`,
    }),
  );
  return JSON.parse((await Body?.transformToString()) ?? '').document;
}

it('lets a backup read what lies under a key that leaves nothing to IAM, and without them it is refused', async () => {
  const refused = await backUp('2026-11-22T02:30:00.000Z');
  expect([refused.status, refused.reasons]).toEqual([
    'incomplete',
    [expect.stringMatching(/^tenant oak in bucket uploads: /)],
  ]);
  await putPolicy(keys.bucket, statementsOf(keys.bucket));
  const { status, reasons } = await backUp('2026-11-23T02:30:00.000Z');
  expect([status, reasons]).toEqual(['good', []]);
});

it('lets the one step that copies snapshots use the key of a database, through RDS alone', async () => {
  const [database] = exampleConfiguration.databases;
  if (database === undefined) throw new Error('the example has no database');
  const withDatabase = { ...exampleConfiguration, databases: [{ ...database, kmsKeyArn: keys.database }] };
  // A deployment that has the key in its functions' policies.
  createApp(withDatabase, { outdir: directory, bundle: false, check: false }).synth();
  await deployAssembly(cloud, directory);
  const use = (step: (typeof STEPS)[number], viaService: string) => {
    try {
      const principal = { kind: 'role', arn: `arn:aws:iam::${account}:role/${stepName(step)}` } as const;
      cloud.kms.describeForService({
        principal,
        viaService,
        keyId: keys.database,
        encryptionContext: {},
        grants: true,
      });
      return 'allowed';
    } catch (error) {
      return (error as Error).name;
    }
  };
  const rds = 'rds.eu-west-2.amazonaws.com';
  expect(use('backup/copy-snapshot', rds)).toBe('AccessDenied');
  await putPolicy(keys.database, statementsOf(keys.database, withDatabase));
  expect(use('backup/copy-snapshot', rds)).toBe('allowed');
  expect(use('backup/copy-snapshot', 'ec2.eu-west-2.amazonaws.com')).toBe('AccessDenied');
  expect(STEPS.filter(step => use(step, rds) === 'allowed')).toEqual(['backup/copy-snapshot']);
});

it('names each key once, and none of Daybreak’s own', () => {
  const [database] = exampleConfiguration.databases;
  const [bucket] = exampleConfiguration.buckets;
  if (database === undefined || bucket === undefined) throw new Error('the example has no source');
  const keyArn = 'arn:aws:kms:eu-west-2:111122223333:key/00000000-0000-4000-8000-00000000000d';
  const shared = {
    ...exampleConfiguration,
    databases: [{ ...database, kmsKeyArn: keyArn }],
    buckets: [{ ...bucket, kmsKeyArns: [keyArn] }],
  };
  const found = sourceKeyStatements(readConfiguration(shared));
  expect(found.map(key => [key.keyArn, key.statements.map(({ Sid }) => Sid)])).toEqual([
    [keyArn, ['DaybreakBackupCopySnapshot1', 'DaybreakBackupCopySnapshot2', 'DaybreakBackupBackUpTenant1']],
  ]);
  for (const { Action = [], Condition } of found[0]?.statements ?? []) {
    expect(Action.filter(action => !action.startsWith('kms:') || action.includes('*'))).toEqual([]);
    expect(Object.keys(Condition ?? {})).toEqual(expect.arrayContaining(['ArnEquals', 'StringEquals']));
  }
});
