import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { STEPS, stepName, WORKFLOWS, workflowName } from '../../../../infra/access/role-names.ts';
import { createApp } from '../../../../infra/app.ts';
import { LocalClock } from '../../../../infra/local/clock.ts';
import { LocalCloud } from '../../../../infra/local/cloud.ts';
import { type DeployedStacks, deployAssembly } from '../../../../infra/local/cloudformation/deploy.ts';
import { localConfiguration } from '../../../../infra/local/cloudformation/local-configuration.ts';
import { AccessDenied } from '../../../../infra/local/service.ts';

const directory = mkdtempSync(join(tmpdir(), 'daybreak-deploy-'));
const assembly = join(directory, 'assembly');
const account = '111122223333';
const vaultBucket = `daybreak-vault-${account}-eu-west-2`;

beforeAll(() => {
  const bucket = { id: 'uploads', name: 'school-uploads', tenantPrefix: '{tenant}/' };
  createApp(localConfiguration({ account, databases: [], buckets: [bucket] }), {
    outdir: assembly,
    bundle: false,
    check: false,
  }).synth();
});
afterAll(() => rmSync(directory, { recursive: true }));

function startCloud(): LocalCloud {
  return new LocalCloud({ clock: new LocalClock({ startsAt: new Date('2026-11-22T02:00:00Z'), flow: 'manual' }) });
}

type Template = {
  Resources: Record<string, { Type: string; Properties: Record<string, unknown> }>;
  [section: string]: unknown;
};

/** A copy of the assembly with one template changed. */
function changed(name: string, stack: string, change: (template: Template) => void): string {
  const copy = join(directory, name);
  cpSync(assembly, copy, { recursive: true });
  const file = join(copy, `${stack}.template.json`);
  const template = JSON.parse(readFileSync(file, 'utf8')) as Template;
  change(template);
  writeFileSync(file, JSON.stringify(template));
  return copy;
}

const firstOf = ({ Resources }: Template, type: string) => {
  const found = Object.values(Resources).find(({ Type }) => Type === type);
  if (found === undefined) throw new Error(`the template has no ${type}`);
  return found;
};

/** The ARN of a key that a stack passes on. */
function keyArnIn(deployed: DeployedStacks, id: string, stack = 'DaybreakVault'): string {
  const outputs = [...(deployed.get(stack)?.outputs ?? [])];
  const [, arn] = outputs.find(([name]) => name.includes(id)) ?? [];
  return String(arn);
}

describe('deploying the assembly to a local cloud', () => {
  it('makes every function, workflow and schedule, with what the functions read of the deployment', async () => {
    const cloud = startCloud();
    const deployed = await deployAssembly(cloud, assembly);
    expect(cloud.states.listStateMachines().map(({ name }) => name)).toEqual(WORKFLOWS.map(workflowName));
    expect(cloud.scheduler.nextInvocations('daybreak-daily-backup', 2).map(time => time.toISOString())).toEqual([
      '2026-11-22T02:30:00.000Z',
      '2026-11-23T02:30:00.000Z',
    ]);
    for (const step of STEPS) {
      expect(cloud.iam.hasRole(`arn:aws:iam::${account}:role/${stepName(step)}`)).toBe(true);
    }
    const { DAYBREAK_DEPLOYMENT = '', DAYBREAK_CONFIGURATION = '' } =
      cloud.lambda.environmentOf('daybreak-backup-plan');
    expect(JSON.parse(DAYBREAK_DEPLOYMENT)).toEqual({
      accountId: account,
      region: 'eu-west-2',
      vaultBucket,
      evidenceBucket: `daybreak-evidence-${account}-eu-west-2`,
      workBucket: `daybreak-work-${account}-eu-west-2`,
      registerBucket: `daybreak-register-${account}-eu-west-2`,
      vaultKeyArn: keyArnIn(deployed, 'VaultKey'),
      signingKeyArn: keyArnIn(deployed, 'SigningKey'),
      tenantIdKeyArn: keyArnIn(deployed, 'TenantIdKey'),
      ledgerKeyArn: keyArnIn(deployed, 'LedgerKey'),
      entryKeyArn: keyArnIn(deployed, 'EntryKey'),
      registerKeyArn: keyArnIn(deployed, 'Key', 'DaybreakRegister'),
    });
    expect(JSON.parse(DAYBREAK_CONFIGURATION).restoreTest).toMatchObject({ subnetGroupName: 'daybreak-restore-test' });
  });

  it('keeps keys and objects when it is deployed again', async () => {
    const cloud = startCloud();
    const first = await deployAssembly(cloud, assembly);
    const client = new S3Client(cloud.clientConfiguration(cloud.root));
    const writer = { kind: 'role', arn: `arn:aws:iam::${account}:role/${stepName('backup/complete')}` } as const;
    await new S3Client(cloud.clientConfiguration(writer)).send(
      new PutObjectCommand({ Bucket: vaultBucket, Key: 'recovery-points/a.json', Body: 'kept' }),
    );
    const second = await deployAssembly(cloud, assembly);
    expect([...(second.get('DaybreakVault')?.outputs ?? [])]).toEqual([...(first.get('DaybreakVault')?.outputs ?? [])]);
    const { Body, ObjectLockMode } = await client.send(
      new GetObjectCommand({ Bucket: vaultBucket, Key: 'recovery-points/a.json' }),
    );
    expect([await Body?.transformToString(), ObjectLockMode]).toEqual(['kept', 'GOVERNANCE']);
  });

  it('puts every role under the policies of the templates, guardrails included', async () => {
    const cloud = startCloud();
    const vaultKeyArn = keyArnIn(await deployAssembly(cloud, assembly), 'VaultKey');
    const may = (step: (typeof STEPS)[number], action: string, resource: string, context = {}) => {
      const principal = { kind: 'role', arn: `arn:aws:iam::${account}:role/${stepName(step)}` } as const;
      try {
        cloud.iam.authorize({ principal, action, resource, context });
        return true;
      } catch (error) {
        if (error instanceof AccessDenied) return false;
        throw error;
      }
    };
    const entry = `arn:aws:s3:::daybreak-evidence-${account}-eu-west-2/ledger/000000000001.json`;
    expect(may('evidence/append-entry', 's3:PutObject', entry)).toBe(true);
    expect(may('backup/complete', 's3:PutObject', entry)).toBe(false);
    const tenantKey = {
      'kms:KeySpec': 'SYMMETRIC_DEFAULT',
      'kms:MultiRegion': 'false',
      'aws:RequestTag/daybreak:purpose': 'tenant',
    };
    expect(may('tenants/ensure-key', 'kms:CreateKey', '*', tenantKey)).toBe(true);
    expect(may('backup/complete', 'kms:CreateKey', '*', tenantKey)).toBe(false);
    for (const step of STEPS) {
      expect(may(step, 'kms:ScheduleKeyDeletion', vaultKeyArn)).toBe(false);
      expect(may(step, 's3:UpdateObjectEncryption', `arn:aws:s3:::${vaultBucket}/a`)).toBe(false);
    }
    const grant = { 'kms:ViaService': 'rds.eu-west-2.amazonaws.com', 'kms:GrantIsForAWSResource': 'true' };
    expect(may('backup/copy-snapshot', 'kms:CreateGrant', vaultKeyArn, grant)).toBe(true);
    expect(may('backup/copy-snapshot', 'kms:CreateGrant', vaultKeyArn)).toBe(false);
  });

  it.each<[string, string, (template: Template) => void, string]>([
    [
      'a resource type',
      'DaybreakWorkflows',
      template => {
        template.Resources.Table = { Type: 'AWS::DynamoDB::Table', Properties: {} };
      },
      'the local cloud does not implement the resource type AWS::DynamoDB::Table (DaybreakWorkflows.Table)',
    ],
    [
      'a property',
      'DaybreakVault',
      template => {
        firstOf(template, 'AWS::S3::Bucket').Properties.ReplicationConfiguration = {};
      },
      'the local cloud does not implement the property ReplicationConfiguration of DaybreakVault.',
    ],
    [
      'a property inside another',
      'DaybreakVault',
      template => {
        const { Properties } = firstOf(template, 'AWS::S3::Bucket');
        Object.assign(Properties.VersioningConfiguration as object, { MfaDelete: 'Enabled' });
      },
      'the local cloud does not implement the property VersioningConfiguration.MfaDelete of DaybreakVault.',
    ],
    ...(
      [
        ['AWS::CloudTrail::Trail', 'DaybreakTrail', 'InsightSelectors', 'of a trail'],
        ['AWS::Events::Rule', 'DaybreakMonitoring', 'ScheduleExpression', 'of an EventBridge rule'],
        ['AWS::Logs::SubscriptionFilter', 'DaybreakMonitoring', 'Distribution', 'of a subscription filter'],
        ['AWS::Logs::MetricFilter', 'DaybreakMonitoring', 'ApplyOnTransformedLogs', 'of a metric filter'],
        ['AWS::Lambda::Permission', 'DaybreakMonitoring', 'PrincipalOrgID', 'of DaybreakMonitoring.'],
        ['AWS::Lambda::EventInvokeConfig', 'DaybreakMonitoring', 'Elsewhere', 'of DaybreakMonitoring.'],
        ['AWS::SQS::Queue', 'DaybreakMonitoring', 'FifoQueue', 'of DaybreakMonitoring.'],
      ] as const
    ).map(([type, stack, property, what]): [string, string, (template: Template) => void, string] => [
      `a property of ${type}`,
      stack,
      template => {
        firstOf(template, type).Properties[property] = 'x';
      },
      `the local cloud does not implement the property ${property} ${what}`,
    ]),
    [
      'a section',
      'DaybreakVault',
      template => {
        template.Conditions = {};
      },
      'the local cloud does not implement the section Conditions of a template (DaybreakVault.template.json)',
    ],
  ])('names %s that has no meaning here', async (name, stack, change, message) => {
    const broken = changed(name.replaceAll(' ', '-'), stack, change);
    await expect(deployAssembly(startCloud(), broken)).rejects.toThrow(message);
  });

  it('refuses what refers in a circle, and what is for another account', async () => {
    const circle = changed('circle', 'DaybreakVault', ({ Resources }) => {
      Resources.One = { Type: 'AWS::Logs::LogGroup', Properties: { LogGroupName: { Ref: 'Two' } } };
      Resources.Two = { Type: 'AWS::Logs::LogGroup', Properties: { LogGroupName: { 'Fn::Sub': '${One}' } } };
    });
    await expect(deployAssembly(startCloud(), circle)).rejects.toThrow('DaybreakVault: One → Two → One is a circle');
    const clock = new LocalClock({ startsAt: new Date('2026-11-22T02:00:00Z'), flow: 'manual' });
    await expect(deployAssembly(new LocalCloud({ clock, accountId: '999988887777' }), assembly)).rejects.toThrow(
      'the stack DaybreakVault is for aws://111122223333/eu-west-2; this local cloud is aws://999988887777/eu-west-2',
    );
  });
});
