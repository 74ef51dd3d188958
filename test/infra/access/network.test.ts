import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VerifyCommand } from '@aws-sdk/client-kms';
import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3';
import { DescribeExecutionCommand, SFNClient } from '@aws-sdk/client-sfn';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createApp } from '../../../infra/app.ts';
import { exampleConfiguration } from '../../../infra/config/example.ts';
import type { Principal } from '../../../infra/local/service.ts';
import {
  ALLOWED,
  AttackedAccount,
  account,
  administrator,
  attempt,
  ENDPOINT_SILENT,
  NOT_ALLOWED,
  step,
} from './attacks-account.ts';

// biome-ignore lint/suspicious/noExplicitAny: templates are JSON; the assertions say what is in them.
type Resources = Record<string, { Type: string; Properties: any; DependsOn?: string[] }>;

const directory = mkdtempSync(join(tmpdir(), 'daybreak-network-'));
afterAll(() => rmSync(directory, { recursive: true }));

function synthesize(name: string, network: Partial<typeof exampleConfiguration.network> = {}): Resources {
  const outdir = join(directory, name);
  const configuration = { ...exampleConfiguration, network: { ...exampleConfiguration.network, ...network } };
  createApp(configuration, { outdir, bundle: false, check: false }).synth();
  return JSON.parse(readFileSync(join(outdir, 'DaybreakWorkflows.template.json'), 'utf8')).Resources;
}

const ofType = (resources: Resources, type: string) =>
  Object.entries(resources).filter(([, resource]) => resource.Type === type);

/** Every rule as `from -> to:port`, with the groups' logical ids cut to what tells them apart. */
function rulesOf(resources: Resources): string[] {
  const nameOf = (group: unknown): string => {
    const text = JSON.stringify(group);
    const found = /Isolation(Reader|Verifier|Restored|KmsGroup)/.exec(text)?.[1];
    return found ?? text.replaceAll('"', '');
  };
  return [
    ...ofType(resources, 'AWS::EC2::SecurityGroup').flatMap(([id, { Properties }]) => [
      ...(Properties.SecurityGroupEgress ?? []).map(
        (rule: { CidrIp?: string; DestinationPrefixListId?: string; IpProtocol: string; FromPort: number }) =>
          `out of ${nameOf(id)} -> ${rule.CidrIp ?? rule.DestinationPrefixListId} ${rule.IpProtocol}:${rule.FromPort}`,
      ),
      ...(Properties.SecurityGroupIngress ?? []).map(
        (rule: unknown) => `into ${nameOf(id)} <- ${JSON.stringify(rule)}`,
      ),
    ]),
    ...ofType(resources, 'AWS::EC2::SecurityGroupEgress').map(
      ([, { Properties: rule }]) =>
        `out of ${nameOf(rule.GroupId)} -> ${nameOf(rule.DestinationSecurityGroupId ?? rule.DestinationPrefixListId)} ${rule.IpProtocol}:${rule.FromPort}-${rule.ToPort}`,
    ),
    ...ofType(resources, 'AWS::EC2::SecurityGroupIngress').map(
      ([, { Properties: rule }]) =>
        `into ${nameOf(rule.GroupId)} <- ${nameOf(rule.SourceSecurityGroupId)} ${rule.IpProtocol}:${rule.FromPort}-${rule.ToPort}`,
    ),
  ].sort();
}

function endpointOf(resources: Resources, service: string) {
  return ofType(resources, 'AWS::EC2::VPCEndpoint').find(([, { Properties }]) =>
    JSON.stringify(Properties.ServiceName).includes(service),
  )?.[1].Properties;
}

const ARN = {
  vault: `arn:aws:s3:::daybreak-vault-${account}-eu-west-2`,
  work: `arn:aws:s3:::daybreak-work-${account}-eu-west-2`,
};
const role = (name: string) => `arn:aws:iam::${account}:role/daybreak-${name}`;

describe('the security groups', () => {
  let resources: Resources;
  beforeAll(() => {
    resources = synthesize('groups');
  });
  // CloudFormation knows no group without a rule for the way out: this one leads nowhere.
  const NO_WAY_OUT = '255.255.255.255/32 icmp:252';

  it('lead the reader to the live database, the verifier to restored ones, and nothing out of those', () => {
    expect(rulesOf(resources)).toEqual([
      'into KmsGroup <- Verifier tcp:443-443',
      'into Restored <- Verifier tcp:5432-5432',
      'into sg-0000000000000000a <- Reader tcp:5432-5432',
      `out of KmsGroup -> ${NO_WAY_OUT}`,
      'out of Reader -> pl-0000000000000000a tcp:443-443',
      'out of Reader -> sg-0000000000000000a tcp:5432-5432',
      `out of Restored -> ${NO_WAY_OUT}`,
      'out of Verifier -> KmsGroup tcp:443-443',
      'out of Verifier -> Restored tcp:5432-5432',
      'out of Verifier -> pl-0000000000000000a tcp:443-443',
    ]);
  });

  it('are one to a function, and restored databases get theirs', () => {
    const groupOf = (name: string) => {
      const [, found] =
        ofType(resources, 'AWS::Lambda::Function').find(
          ([, { Properties }]) => Properties.FunctionName === `daybreak-${name}`,
        ) ?? [];
      return JSON.stringify(found?.Properties.VpcConfig.SecurityGroupIds);
    };
    expect(groupOf('backup-fingerprint')).toMatch(/^\[\{"Fn::GetAtt":\["IsolationReader\w+","GroupId"\]\}\]$/);
    for (const verifier of ['restore-test-hydrate', 'restore-test-verify-database']) {
      expect(groupOf(verifier)).toMatch(/^\[\{"Fn::GetAtt":\["IsolationVerifier\w+","GroupId"\]\}\]$/);
    }
    const [, restore] =
      ofType(resources, 'AWS::Lambda::Function').find(
        ([, { Properties }]) => Properties.FunctionName === 'daybreak-restore-test-restore-database',
      ) ?? [];
    expect(JSON.stringify(restore?.Properties.Environment.Variables.DAYBREAK_CONFIGURATION)).toMatch(
      /securityGroupId\\":\\"",\{"Fn::GetAtt":\["IsolationRestored\w+","GroupId"\]\}/,
    );
  });

  it('of functions are deleted before the policy under which Lambda takes their interfaces away', () => {
    const inVpc = ofType(resources, 'AWS::Lambda::Function').filter(([, { Properties }]) => Properties.VpcConfig);
    expect(inVpc).toHaveLength(3);
    for (const [id, { Properties }] of inVpc) {
      const [role] = Properties.Role['Fn::GetAtt'];
      const policies = ofType(resources, 'AWS::IAM::Policy').filter(
        ([, { Properties: policy }]) =>
          policy.Roles.some((one: { Ref: string }) => one.Ref === role) &&
          policy.PolicyDocument.Statement.some(
            ({ Effect, Action }: { Effect: string; Action: string[] }) =>
              Effect === 'Allow' && Action.includes('ec2:DeleteNetworkInterface'),
          ),
      );
      expect(policies, id).toHaveLength(1);
      for (const group of Properties.VpcConfig.SecurityGroupIds) {
        expect(resources[group['Fn::GetAtt'][0]]?.DependsOn, id).toContain(policies[0]?.[0]);
      }
    }
  });

  it('use the groups of the VPC’s own KMS endpoint where it has one', () => {
    const rules = rulesOf(synthesize('own', { kmsEndpointSecurityGroupId: 'sg-0000000000000000b' }));
    expect(rules).toContain('out of Verifier -> sg-0000000000000000b tcp:443-443');
    expect(rules).toContain('into sg-0000000000000000b <- Verifier tcp:443-443');
  });
});

describe('the endpoints of the VPC', () => {
  const only = (Action: string | string[], Resource: unknown, roles: string[]) => ({
    Sid: 'OnlyDaybreak',
    Effect: 'Allow',
    Principal: { AWS: '*' },
    Action,
    Resource,
    Condition: {
      ArnEquals: { 'aws:PrincipalArn': roles },
      StringEquals: { 'aws:ResourceAccount': account },
    },
  });

  it('are two, and let Daybreak’s roles to its own buckets and its signing key', () => {
    const resources = synthesize('endpoints');
    expect(ofType(resources, 'AWS::EC2::VPCEndpoint')).toHaveLength(2);
    expect(endpointOf(resources, 's3').PolicyDocument.Statement).toEqual([
      only(
        ['s3:GetObject', 's3:ListBucket', 's3:PutObject'],
        [ARN.vault, `${ARN.vault}/fingerprints/*`, `${ARN.vault}/recovery-points/*`, ARN.work, `${ARN.work}/work/*`],
        [role('backup-fingerprint'), role('restore-test-hydrate'), role('restore-test-verify-database')],
      ),
    ]);
    expect(endpointOf(resources, 'kms').PolicyDocument.Statement).toEqual([
      only('kms:Verify', expect.objectContaining({ 'Fn::ImportValue': expect.stringContaining('SigningKey') }), [
        role('restore-test-verify-database'),
      ]),
    ]);
  });

  it('are, where they are the supplier’s, told what to let through as Daybreak’s own do', () => {
    const guide = readFileSync(join(import.meta.dirname, '../../../DEPLOYING.md'), 'utf8');
    const [, statement = ''] = /```json\n(\{\n {2}"Sid": "OnlyDaybreak"[^`]+)```/.exec(guide) ?? [];
    expect([JSON.parse(statement)]).toEqual(endpointOf(synthesize('readme'), 's3').PolicyDocument.Statement);
  });

  it('leave the usual name of KMS to everybody else in the VPC', () => {
    const resources = synthesize('names');
    expect(endpointOf(resources, 'kms').PrivateDnsEnabled).toBe(false);
    const urls = ofType(resources, 'AWS::Lambda::Function').flatMap(([, { Properties }]) =>
      Properties.Environment.Variables.AWS_ENDPOINT_URL_KMS === undefined ? [] : [Properties.FunctionName],
    );
    expect(urls.sort()).toEqual(['daybreak-restore-test-hydrate', 'daybreak-restore-test-verify-database']);
  });

  it('are not made where the VPC has its own', () => {
    const resources = synthesize('none', { hasS3Endpoint: true, kmsEndpointSecurityGroupId: 'sg-0000000000000000b' });
    expect(ofType(resources, 'AWS::EC2::VPCEndpoint')).toEqual([]);
    expect(JSON.stringify(resources)).not.toContain('AWS_ENDPOINT_URL_KMS');
  });
});

describe('from inside the VPC', () => {
  let attacked: AttackedAccount;
  beforeAll(async () => {
    attacked = await AttackedAccount.create();
    const { s3 } = attacked.cloud;
    s3.createBucket({ name: 'elsewhere' });
    const writer = step('backup/fingerprint');
    await attacked.put(writer, 'vault', 'fingerprints/a', { IfNoneMatch: '*' });
    await attacked.put(writer, 'work', 'work/a');
  });
  afterAll(() => attacked?.cloud.close());

  const inside = (principal: Principal): Principal => ({ ...principal, insideVpc: true });
  /** What code in a function does with whatever credentials it has. */
  const acts = (principal: Principal) => {
    const s3 = attacked.s3(principal);
    const { deployment } = attacked;
    const { vaultBucket } = deployment;
    return {
      read: () => attempt(() => s3.send(new GetObjectCommand({ Bucket: vaultBucket, Key: 'fingerprints/a' }))),
      list: () => attempt(() => s3.send(new ListObjectsV2Command({ Bucket: vaultBucket }))),
      carryOut: () => attempt(() => s3.send(new PutObjectCommand({ Bucket: 'elsewhere', Key: 'a', Body: 'x' }))),
      readTenants: () => attempt(() => s3.send(new GetObjectCommand({ Bucket: vaultBucket, Key: 'tenants/oak/a' }))),
      verify: () =>
        attempt(() =>
          attacked
            .kms(principal)
            .send(
              new VerifyCommand({
                KeyId: deployment.signingKeyArn,
                Message: Buffer.alloc(32),
                MessageType: 'DIGEST',
                SigningAlgorithm: 'ECDSA_SHA_256',
                Signature: Buffer.alloc(70),
              }),
            )
            .catch(error => {
              if (error.name !== 'KMSInvalidSignatureException') throw error;
            }),
        ),
    };
  };

  it('the steps reach what they need', async () => {
    const reader = acts(inside(step('backup/fingerprint')));
    expect([await reader.read(), await reader.list()]).toEqual([ALLOWED, ALLOWED]);
    expect(await acts(inside(step('restore-test/verify-database'))).verify()).toBe(ALLOWED);
  });

  it('nothing is carried elsewhere, whatever a role is allowed and whoever’s credentials code has', async () => {
    expect(await acts(inside(step('backup/fingerprint'))).carryOut()).toBe(NOT_ALLOWED);
    expect(await acts(administrator).carryOut()).toBe(ALLOWED);
    expect(await acts(inside(administrator)).carryOut()).toBe(ENDPOINT_SILENT);
    expect(await acts(inside(administrator)).list()).toBe(ENDPOINT_SILENT);
    const everything = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] };
    const widenedReader = step('backup/fingerprint');
    attacked.cloud.iam.putRole({ arn: widenedReader.arn, policies: [everything] });
    expect(await acts(inside(widenedReader)).carryOut()).toBe(ENDPOINT_SILENT);
    expect(await acts(inside(widenedReader)).readTenants()).toBe(ENDPOINT_SILENT);
    expect(await acts(inside(widenedReader)).verify()).toBe(ENDPOINT_SILENT);
    expect(await acts(inside(widenedReader)).read()).toBe(ALLOWED);
  });

  it('no other service is reached', async () => {
    const executionArn = `arn:aws:states:eu-west-2:${account}:execution:daybreak-daily-backup:none`;
    const ask = (principal: Principal) =>
      new SFNClient(attacked.cloud.clientConfiguration(principal)).send(new DescribeExecutionCommand({ executionArn }));
    await expect(ask(administrator)).rejects.toThrow(/does not exist/i);
    await expect(ask(inside(administrator))).rejects.toThrow(
      'the local cloud does not implement the service states in this configuration',
    );
  });
});
