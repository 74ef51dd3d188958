import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { bootstrapNames } from '../../../infra/access/bootstrap-names.ts';
import { deployerPolicies } from '../../../infra/access/deployer-policies.ts';
import { executionPolicies } from '../../../infra/access/execution-policies.ts';
import { readConfiguration } from '../../../infra/config/configuration.ts';
import { exampleConfiguration } from '../../../infra/config/example.ts';
import { LocalClock } from '../../../infra/local/clock.ts';
import { LocalIam } from '../../../infra/local/iam/authorizer.ts';
import type { Principal } from '../../../infra/local/service.ts';
import { ALLOWED, attempt, IDENTITY_DENIES, NOT_ALLOWED } from './attacks-account.ts';

const { account } = exampleConfiguration;
const names = bootstrapNames(account);
const configuration = readConfiguration(exampleConfiguration);
const iam = new LocalIam({
  clock: new LocalClock({ startsAt: new Date('2026-11-22T02:00:00Z'), flow: 'manual' }),
});
const person = (policy: string): Principal => {
  const principal = { kind: 'role', arn: `arn:aws:iam::${account}:role/${policy}` } as const;
  const found = deployerPolicies(configuration).find(({ name }) => name === policy);
  iam.putRole({ arn: principal.arn, policies: [found?.document] });
  return principal;
};
const deployer = person('daybreak-deployer');
const bootstrapper = person('daybreak-bootstrapper');
const ask = (principal: Principal, action: string, resource: string, context = {}) =>
  attempt(() => iam.authorize({ principal, action, resource, context }));

interface Bootstrap {
  // biome-ignore lint/suspicious/noExplicitAny: the template is JSON; the assertions say what is in it.
  Resources: Record<string, { Type: string; Condition?: string; Properties: any }>;
}
/** The bootstrap stack of the CDK that is installed. */
function bootstrapTemplate(): Bootstrap['Resources'] {
  const cdk = join(import.meta.dirname, '../../../node_modules/aws-cdk/bin/cdk');
  const text = execFileSync(process.execPath, [cdk, 'bootstrap', '--show-template', '--json'], { encoding: 'utf8' });
  return (JSON.parse(text) as Bootstrap).Resources;
}
const filledIn = (value: unknown) =>
  String((value as { 'Fn::Sub'?: string })?.['Fn::Sub'] ?? value)
    .replaceAll('${Qualifier}', 'hnb659fds')
    .replaceAll('${AWS::AccountId}', account)
    .replaceAll('${AWS::Region}', 'eu-west-2')
    .replaceAll('${AWS::Partition}', 'aws');

describe('who deploys', () => {
  it('works in the CDK’s deploying and publishing roles, and in no other', async () => {
    expect(await ask(deployer, 'sts:AssumeRole', names.deployRole)).toBe(ALLOWED);
    expect(await ask(deployer, 'sts:AssumeRole', names.filePublishingRole)).toBe(ALLOWED);
    for (const role of [
      names.executionRole,
      names.deployRole.replace('-deploy-', '-lookup-'),
      names.deployRole.replace('-deploy-', '-image-publishing-'),
      `arn:aws:iam::${account}:role/daybreak-backup-back-up-tenant`,
      `arn:aws:iam::${account}:role/administrator`,
    ]) {
      expect(await ask(deployer, 'sts:AssumeRole', role), role).toBe(NOT_ALLOWED);
    }
    expect(await ask(deployer, 's3:GetObject', `arn:aws:s3:::daybreak-vault-${account}-eu-west-2/x`)).toBe(NOT_ALLOWED);
  });
});

describe('the CDK’s bootstrap stack', () => {
  const resources = bootstrapTemplate();
  // A key of one's own and a boundary of the CDK's are made on demand only; image publishing is part of every bootstrap.
  const made = Object.entries(resources).filter(
    ([, { Condition }]) => Condition !== 'CreateNewKey' && Condition !== 'ShouldCreatePermissionsBoundary',
  );

  it('has the names that the policies speak of', () => {
    const roles = Object.fromEntries(
      made
        .filter(([, { Type }]) => Type === 'AWS::IAM::Role')
        .map(([id, { Properties }]) => [id, `arn:aws:iam::${account}:role/${filledIn(Properties.RoleName)}`]),
    );
    expect([roles.DeploymentActionRole, roles.FilePublishingRole, roles.CloudFormationExecutionRole]).toEqual([
      names.deployRole,
      names.filePublishingRole,
      names.executionRole,
    ]);
    const [, , bucketName] = resources.StagingBucket?.Properties.BucketName['Fn::If'] ?? [];
    expect(names.assetBucket).toBe(`arn:aws:s3:::${filledIn(bucketName)}`);
    expect(names.versionParameter).toMatch(
      new RegExp(`:parameter${filledIn(resources.CdkBootstrapVersion?.Properties.Name)}$`),
    );
  });

  const TAKES: Record<string, [string, string[]]> = {
    'AWS::S3::Bucket': [
      names.assetBucket,
      [
        's3:CreateBucket',
        's3:PutBucketVersioning',
        's3:PutEncryptionConfiguration',
        's3:PutLifecycleConfiguration',
        's3:PutBucketPublicAccessBlock',
        's3:PutBucketAcl',
      ],
    ],
    'AWS::S3::BucketPolicy': [names.assetBucket, ['s3:PutBucketPolicy', 's3:GetBucketPolicy']],
    'AWS::ECR::Repository': [
      names.repository,
      [
        'ecr:CreateRepository',
        'ecr:PutLifecyclePolicy',
        'ecr:SetRepositoryPolicy',
        'ecr:PutImageTagMutability',
        'ecr:DescribeRepositories',
      ],
    ],
    'AWS::IAM::Role': [
      names.executionRole,
      ['iam:CreateRole', 'iam:GetRole', 'iam:TagRole', 'iam:PutRolePolicy', 'iam:DeleteRole'],
    ],
    'AWS::IAM::Policy': [names.filePublishingRole, ['iam:PutRolePolicy', 'iam:DeleteRolePolicy']],
    'AWS::SSM::Parameter': [names.versionParameter, ['ssm:PutParameter', 'ssm:GetParameters']],
  };

  it('can be made by who bootstraps', async () => {
    for (const type of new Set(made.map(([, { Type }]) => Type))) {
      const [resource, actions] = TAKES[type] ?? [];
      if (resource === undefined || actions === undefined)
        throw new Error(`the bootstrap stack has a new type: ${type}`);
      for (const action of actions) expect(await ask(bootstrapper, action, resource), action).toBe(ALLOWED);
    }
    for (const action of ['CreateChangeSet', 'ExecuteChangeSet', 'DescribeStacks', 'UpdateTerminationProtection']) {
      expect(await ask(bootstrapper, `cloudformation:${action}`, names.stack.replace('*', 'x'))).toBe(ALLOWED);
    }
  });

  it('gets CloudFormation’s role these policies, and never all permissions', async () => {
    const attach = (policy: string) =>
      ask(bootstrapper, 'iam:AttachRolePolicy', names.executionRole, { 'iam:PolicyARN': policy });
    for (const { name } of executionPolicies(configuration)) {
      expect(await attach(`arn:aws:iam::${account}:policy/${name}`), name).toBe(ALLOWED);
    }
    // What the template attaches to the other roles.
    for (const [, { Type, Properties }] of made) {
      if (Type !== 'AWS::IAM::Role' || !Array.isArray(Properties.ManagedPolicyArns)) continue;
      for (const policy of Properties.ManagedPolicyArns) expect(await attach(filledIn(policy))).toBe(ALLOWED);
    }
    expect(await attach('arn:aws:iam::aws:policy/AdministratorAccess')).toBe(NOT_ALLOWED);
    expect(await ask(bootstrapper, 'iam:PutRolePolicy', `arn:aws:iam::${account}:role/administrator`)).toBe(
      NOT_ALLOWED,
    );
    expect(await ask(bootstrapper, 's3:CreateBucket', names.assetBucket, { 'aws:RequestedRegion': 'us-east-1' })).toBe(
      IDENTITY_DENIES,
    );
  });
});
