import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DescribeKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TRAIL_LOG_GROUP } from '../../../../functions/contracts/tampering.ts';
import { STEPS, stepName, WORKFLOWS, workflowName } from '../../../../infra/access/role-names.ts';
import { createApp } from '../../../../infra/app.ts';
import { LocalClock } from '../../../../infra/local/clock.ts';
import { LocalCloud } from '../../../../infra/local/cloud.ts';
import { deployAssembly } from '../../../../infra/local/cloudformation/deploy.ts';
import { destroyStack, setTerminationProtection } from '../../../../infra/local/cloudformation/destroy.ts';
import { localConfiguration } from '../../../../infra/local/cloudformation/local-configuration.ts';

const directory = mkdtempSync(join(tmpdir(), 'daybreak-destroy-'));
const assembly = join(directory, 'assembly');
const account = '111122223333';
const configuration = localConfiguration({
  account,
  databases: [],
  buckets: [{ id: 'uploads', name: 'school-uploads', tenantPrefix: '{tenant}/' }],
});
const IAM_EVENT = { eventSource: 'iam.amazonaws.com', requestParameters: { roleName: 'daybreak-backup-plan' } };
const ALIASES = {
  vaultKeyArn: 'vault',
  signingKeyArn: 'signing',
  tenantIdKeyArn: 'tenant-ids',
  ledgerKeyArn: 'ledger',
  entryKeyArn: 'entries',
  logKeyArn: 'logs',
  trailKeyArn: 'trail',
  registerKeyArn: 'register',
};

beforeAll(() => {
  createApp(configuration, { outdir: assembly, bundle: false, check: false }).synth();
});
afterAll(() => rmSync(directory, { recursive: true }));

async function deployedCloud(): Promise<LocalCloud> {
  const clock = new LocalClock({ startsAt: new Date('2026-11-22T02:00:00Z'), flow: 'manual' });
  const cloud = new LocalCloud({ clock });
  await deployAssembly(cloud, assembly);
  return cloud;
}

async function destroyAllButTheVault(cloud: LocalCloud): Promise<void> {
  await destroyStack(cloud, 'DaybreakMonitoring');
  await destroyStack(cloud, 'DaybreakWorkflows');
  setTerminationProtection(cloud, 'DaybreakTrail', false);
  await destroyStack(cloud, 'DaybreakTrail');
}

async function destroyKept(cloud: LocalCloud): Promise<void> {
  for (const stack of ['DaybreakVault', 'DaybreakRegister']) {
    setTerminationProtection(cloud, stack, false);
    await destroyStack(cloud, stack);
  }
}

const describeKey = (cloud: LocalCloud, KeyId: string) =>
  new KMSClient(cloud.clientConfiguration(cloud.root)).send(new DescribeKeyCommand({ KeyId }));

describe('destroying stacks of a local cloud', () => {
  it('removes every role, function, workflow, schedule and alarm', async () => {
    const cloud = await deployedCloud();
    const { Arn: topicKey = '' } = (await describeKey(cloud, 'alias/daybreak/alarms')).KeyMetadata ?? {};
    await destroyAllButTheVault(cloud);
    expect(cloud.alarms.list()).toEqual([]);
    expect(cloud.events.ruleNames()).toEqual([]);
    expect(cloud.logs.filtersFor(TRAIL_LOG_GROUP, IAM_EVENT)).toEqual([]);
    expect(cloud.states.listStateMachines()).toEqual([]);
    expect(cloud.scheduler.listSchedules()).toEqual([]);
    for (const step of STEPS) {
      expect(cloud.iam.hasRole(`arn:aws:iam::${account}:role/${stepName(step)}`)).toBe(false);
      await expect(cloud.lambda.invoke(stepName(step), {}, cloud.root)).rejects.toThrow('Function not found');
    }
    for (const workflow of WORKFLOWS) {
      const stateMachine = `arn:aws:states:eu-west-2:${account}:stateMachine:${workflowName(workflow)}`;
      expect(cloud.iam.hasRole(`arn:aws:iam::${account}:role/${workflowName(workflow)}`)).toBe(false);
      expect(() => cloud.states.startExecution({ stateMachine, input: {} })).toThrow('State Machine Does Not Exist');
    }
    await expect(describeKey(cloud, 'alias/daybreak/alarms')).rejects.toThrow('is not found');
    expect((await describeKey(cloud, topicKey)).KeyMetadata?.KeyState).toBe('Enabled');
    expect([...cloud.stacks.standing.keys()]).toEqual(['DaybreakVault', 'DaybreakRegister']);
  });

  it('refuses a stack that others import from, one that is protected, and one that is not there', async () => {
    const cloud = await deployedCloud();
    const before = cloud.scheduler.listSchedules().length;
    await expect(destroyStack(cloud, 'DaybreakVault')).rejects.toThrow(
      'Stack [DaybreakVault] cannot be deleted while TerminationProtection is enabled',
    );
    setTerminationProtection(cloud, 'DaybreakVault', false);
    await expect(destroyStack(cloud, 'DaybreakVault')).rejects.toThrow(
      'Delete canceled. Cannot delete exports of DaybreakVault as they are in use by DaybreakWorkflows',
    );
    await expect(destroyStack(cloud, 'Elsewhere')).rejects.toThrow('there is no stack Elsewhere');
    expect(cloud.scheduler.listSchedules()).toHaveLength(before);
    expect((await describeKey(cloud, 'alias/daybreak/vault')).KeyMetadata?.Enabled).toBe(true);
  });

  it('keeps all of the vault, and does not take over in a new stack what was retained', async () => {
    const cloud = await deployedCloud();
    const Bucket = `daybreak-vault-${account}-eu-west-2`;
    const client = new S3Client(cloud.clientConfiguration(cloud.root));
    const writer = { kind: 'role', arn: `arn:aws:iam::${account}:role/${stepName('backup/complete')}` } as const;
    await new S3Client(cloud.clientConfiguration(writer)).send(
      new PutObjectCommand({ Bucket, Key: 'recovery-points/a.json', Body: 'kept' }),
    );
    await destroyAllButTheVault(cloud);
    await destroyKept(cloud);
    expect([...cloud.stacks.standing.keys()]).toEqual([]);
    const { Body, ObjectLockMode } = await client.send(new GetObjectCommand({ Bucket, Key: 'recovery-points/a.json' }));
    expect([await Body?.transformToString(), ObjectLockMode]).toEqual(['kept', 'GOVERNANCE']);
    await expect(
      client.send(new PutObjectCommand({ Bucket, Key: 'tenants/oak/manifests/a.jsonl.zst', Body: 'unconditional' })),
    ).rejects.toThrow('explicit deny in a resource-based policy');
    for (const alias of Object.values(ALIASES)) {
      expect((await describeKey(cloud, `alias/daybreak/${alias}`)).KeyMetadata?.Enabled).toBe(true);
    }
    await expect(deployAssembly(cloud, assembly)).rejects.toThrow(
      /^DaybreakVault\.\w+: AWS::KMS::Alias alias\/daybreak\/\w+ already exists, retained by a stack that was destroyed/,
    );
  });

  it('deploys over the retained vault with the ARNs of its keys', async () => {
    const cloud = await deployedCloud();
    const before = cloud.lambda.environmentOf('daybreak-backup-plan');
    await destroyAllButTheVault(cloud);
    await destroyKept(cloud);
    const existing: Record<string, string> = {};
    for (const [name, alias] of Object.entries(ALIASES)) {
      existing[name] = (await describeKey(cloud, `alias/daybreak/${alias}`)).KeyMetadata?.Arn ?? '';
    }
    const outdir = join(directory, 'existing');
    createApp({ ...configuration, existing }, { outdir, bundle: false, check: false }).synth();
    expect([...(await deployAssembly(cloud, outdir)).keys()]).toEqual([
      'DaybreakTrail',
      'DaybreakWorkflows',
      'DaybreakMonitoring',
    ]);
    expect(cloud.lambda.environmentOf('daybreak-backup-plan')).toEqual(before);
    expect(cloud.scheduler.listSchedules()).toHaveLength(4);
  });

  it('removes what a template does not have any more', async () => {
    const cloud = await deployedCloud();
    const standing = cloud.stacks.standing.get('DaybreakMonitoring');
    if (standing === undefined) throw new Error('the alarms are not deployed');
    const properties = { AlarmName: 'left-over', MetricName: 'PulseCompleted', Namespace: 'Daybreak', Period: 900 };
    const ref = cloud.alarms.putMetricAlarm({
      ...properties,
      ...{ Statistic: 'Maximum', EvaluationPeriods: 1, Threshold: 1, ComparisonOperator: 'LessThanThreshold' },
      TreatMissingData: 'breaching',
    });
    cloud.stacks.standing.set('DaybreakMonitoring', {
      ...standing,
      template: {
        ...standing.template,
        Resources: {
          ...standing.template.Resources,
          LeftOver: { Type: 'AWS::CloudWatch::Alarm', Properties: properties, DependsOn: [], Metadata: {} },
        },
      },
      resources: new Map([...standing.resources, ['LeftOver', { ref, attributes: {} }]]),
    });
    await deployAssembly(cloud, assembly);
    expect(cloud.alarms.list().map(({ name }) => name)).not.toContain('left-over');
  });
});
