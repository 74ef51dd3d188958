import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bootstrapNames } from '../../../infra/access/bootstrap-names.ts';
import { executionPolicies } from '../../../infra/access/execution-policies.ts';
import { managedPolicy } from '../../../infra/access/policy-document.ts';
import { createApp } from '../../../infra/app.ts';
import { readConfiguration, type SupplierConfiguration } from '../../../infra/config/configuration.ts';
import { exampleConfiguration } from '../../../infra/config/example.ts';
import { LocalClock } from '../../../infra/local/clock.ts';
import { LocalIam } from '../../../infra/local/iam/authorizer.ts';
import type { Principal } from '../../../infra/local/service.ts';
import { ALLOWED, AttackedAccount, attempt, IDENTITY_DENIES, NOT_ALLOWED, RESOURCE_SILENT } from './attacks-account.ts';
import { HANDLER_PERMISSIONS, type HandlerPermissions, NOT_NEEDED } from './handler-permissions.ts';
import { type IamRequest, requestsOf, type Template, type TemplateResource } from './template-requests.ts';

const { account } = exampleConfiguration;
const cloudFormation: Principal = { kind: 'role', arn: bootstrapNames(account).executionRole };
const clock = new LocalClock({ startsAt: new Date('2026-11-22T02:00:00Z'), flow: 'manual' });
const directory = mkdtempSync(join(tmpdir(), 'daybreak-deployer-'));
afterAll(() => rmSync(directory, { recursive: true }));

const BOUNDARY = `arn:aws:iam::${account}:policy/boundary`;
/** Configurations that together make every kind of resource. */
const VARIANTS: Record<string, typeof exampleConfiguration> = {
  example: exampleConfiguration,
  'a permissions boundary': { ...exampleConfiguration, permissionsBoundaryArn: BOUNDARY },
  'endpoints of the account’s own': {
    ...exampleConfiguration,
    network: {
      ...exampleConfiguration.network,
      hasS3Endpoint: true,
      kmsEndpointSecurityGroupId: 'sg-0000000000000000b',
    },
  },
};

function judge(configuration: SupplierConfiguration) {
  const iam = new LocalIam({ clock });
  iam.putRole({ arn: cloudFormation.arn, policies: executionPolicies(configuration).map(({ document }) => document) });
  return (action: string, resource: string, context: IamRequest['context'] = {}, resourcePolicy?: unknown) =>
    attempt(() => iam.authorize({ principal: cloudFormation, action, resource, context, resourcePolicy }));
}

function synthesize(name: string, configuration: typeof exampleConfiguration): Template[] {
  const outdir = join(directory, name);
  createApp(configuration, { outdir, bundle: false, check: false }).synth();
  return readdirSync(outdir)
    .filter(file => file.endsWith('.template.json'))
    .map(file => ({
      stack: file.replace('.template.json', ''),
      Resources: JSON.parse(readFileSync(join(outdir, file), 'utf8')).Resources,
    }));
}

const isRetained = ({ DeletionPolicy = '', UpdateReplacePolicy = '' }: TemplateResource) =>
  DeletionPolicy.startsWith('Retain') && UpdateReplacePolicy.startsWith('Retain');

/** Whether the handlers of a type call it for a deletion alone. */
function isForDeletion(type: string, action: string): boolean {
  const { create, read, update } = HANDLER_PERMISSIONS[type] as HandlerPermissions;
  return ![create, read, update].some(actions => actions.includes(action));
}

/** Whether CloudFormation makes the call about any of these resources, which are all of one type. */
function isNeeded(type: string, action: string, resources: readonly TemplateResource[]): boolean {
  if (isForDeletion(type, action) && resources.every(isRetained)) return false;
  const line = NOT_NEEDED.find(({ type: types, action: actions }) => types.test(type) && actions.test(action));
  return line === undefined || resources.some(({ Properties }) => line.isBroughtBy(Properties));
}

describe.each(Object.entries(VARIANTS))('CloudFormation’s role, with the configuration %s', (name, configuration) => {
  let templates: Template[];
  beforeAll(() => {
    templates = synthesize(name, configuration);
  });

  it('knows what each type of resource takes', () => {
    const types = new Set(templates.flatMap(({ Resources }) => Object.values(Resources).map(({ Type }) => Type)));
    types.delete('AWS::CDK::Metadata');
    const unknown = [...types].filter(type => HANDLER_PERMISSIONS[type] === undefined);
    expect(unknown, 'write what CloudFormation needs for them into handler-permissions.ts').toEqual([]);
  });

  it('may create, read, change and delete each resource under its name, and nothing that is not needed', async () => {
    const ask = judge(readConfiguration(configuration));
    const wrong: string[] = [];
    let asked = 0;
    const ofType = Map.groupBy(
      templates.flatMap(({ Resources }) => Object.values(Resources)),
      ({ Type }) => Type,
    );
    for (const template of templates) {
      for (const [logicalId, resource] of Object.entries(template.Resources)) {
        const { Type } = resource;
        const { create = [], read = [], update = [], delete: remove = [] } = HANDLER_PERMISSIONS[Type] ?? {};
        for (const action of new Set([...create, ...read, ...update, ...remove])) {
          const expected = isNeeded(Type, action, ofType.get(Type) ?? []);
          // What deletes others of its type says nothing about one that is retained.
          if (expected && isRetained(resource) && isForDeletion(Type, action)) continue;
          for (const request of requestsOf(action, logicalId, template, account)) {
            asked++;
            const answer = await ask(action, request.resource, request.context, request.resourcePolicy);
            if ((answer === ALLOWED) !== expected) {
              wrong.push(`${Type} ${template.stack}.${logicalId}: ${action} on ${request.resource}: ${answer}`);
            }
          }
        }
      }
    }
    expect(wrong).toEqual([]);
    expect(asked).toBeGreaterThan(1000);
  });

  it('may hand each role to the service that the role trusts, and to no other', async () => {
    const ask = judge(readConfiguration(configuration));
    for (const { Resources } of templates) {
      for (const { Type, Properties } of Object.values(Resources)) {
        if (Type !== 'AWS::IAM::Role') continue;
        const role = `arn:aws:iam::${account}:role/${Properties.RoleName}`;
        for (const { Principal: trusted } of Properties.AssumeRolePolicyDocument.Statement) {
          expect(await ask('iam:PassRole', role, { 'iam:PassedToService': trusted.Service }), role).toBe(ALLOWED);
        }
        expect(await ask('iam:PassRole', role, { 'iam:PassedToService': 'ec2.amazonaws.com' })).toBe(NOT_ALLOWED);
      }
    }
  });
});

it('exempts nothing that no resource has', () => {
  const lines = Object.entries(HANDLER_PERMISSIONS).flatMap(([type, handlers]) =>
    [handlers.create, handlers.read, handlers.update, handlers.delete].flat().map(action => [type, action] as const),
  );
  for (const line of NOT_NEEDED) {
    expect(
      lines.some(([type, action]) => line.type.test(type) && line.action.test(action)),
      line.reason,
    ).toBe(true);
    expect(line.reason.length).toBeGreaterThan(30);
  }
});

describe('what is forbidden', () => {
  const ask = judge(readConfiguration(exampleConfiguration));
  const vault = `arn:aws:s3:::daybreak-vault-${account}-eu-west-2`;
  const evidence = `arn:aws:s3:::daybreak-evidence-${account}-eu-west-2`;
  const key = `arn:aws:kms:eu-west-2:${account}:key/00000000-0000-4000-8000-00000000000c`;
  const role = (name: string) => `arn:aws:iam::${account}:role/${name}`;
  const purpose = { 'aws:ResourceTag/daybreak:purpose': 'vault' };

  it.each<[string, string, string, Record<string, string>, string]>([
    ['reads an object of the vault', 's3:GetObject', `${vault}/tenants/oak/objects/x`, {}, IDENTITY_DENIES],
    ['reads an old version', 's3:GetObjectVersion', `${vault}/tenants/oak/objects/x`, {}, IDENTITY_DENIES],
    ['reads a file of the supplier', 's3:GetObject', 'arn:aws:s3:::example-wellbeing-uploads/a', {}, NOT_ALLOWED],
    ['writes an entry of the ledger', 's3:PutObject', `${evidence}/ledger/000000000001.json`, {}, IDENTITY_DENIES],
    ['deletes a version', 's3:DeleteObjectVersion', `${vault}/recovery-points/x.json`, {}, IDENTITY_DENIES],
    ['ends a lock', 's3:PutObjectRetention', `${vault}/recovery-points/x.json`, {}, IDENTITY_DENIES],
    ['gets past governance', 's3:BypassGovernanceRetention', `${vault}/x`, {}, IDENTITY_DENIES],
    ['deletes the vault', 's3:DeleteBucket', vault, {}, IDENTITY_DENIES],
    ['replicates the vault', 's3:PutReplicationConfiguration', vault, {}, NOT_ALLOWED],
    ['opens a bucket of the supplier', 's3:PutBucketPolicy', 'arn:aws:s3:::example-wellbeing-uploads', {}, NOT_ALLOWED],
    ['decrypts with the vault key', 'kms:Decrypt', key, purpose, IDENTITY_DENIES],
    [
      'decrypts an object of the vault',
      'kms:Decrypt',
      key,
      { ...purpose, 'kms:EncryptionContext:aws:s3:arn': `${vault}/tenants/oak/objects/x` },
      IDENTITY_DENIES,
    ],
    ['signs', 'kms:Sign', key, purpose, IDENTITY_DENIES],
    ['grants the use of a key', 'kms:CreateGrant', key, purpose, IDENTITY_DENIES],
    ['schedules a deletion', 'kms:ScheduleKeyDeletion', key, purpose, IDENTITY_DENIES],
    ['disables a key', 'kms:DisableKey', key, purpose, IDENTITY_DENIES],
    [
      'changes the policy of a school’s key',
      'kms:PutKeyPolicy',
      key,
      { 'aws:ResourceTag/daybreak:purpose': 'tenant' },
      NOT_ALLOWED,
    ],
    ['changes the policy of a key of the supplier', 'kms:PutKeyPolicy', key, {}, NOT_ALLOWED],
    ['makes a key for a school', 'kms:CreateKey', '*', { 'aws:RequestTag/daybreak:purpose': 'tenant' }, NOT_ALLOWED],
    ['changes another role', 'iam:PutRolePolicy', role('administrator'), {}, NOT_ALLOWED],
    ['changes itself', 'iam:PutRolePolicy', cloudFormation.arn, {}, IDENTITY_DENIES],
    [
      'attaches an administrator’s policy',
      'iam:AttachRolePolicy',
      role('daybreak-backup-plan'),
      { 'iam:PolicyARN': 'arn:aws:iam::aws:policy/AdministratorAccess' },
      NOT_ALLOWED,
    ],
    [
      'hands on a role of others',
      'iam:PassRole',
      role('administrator'),
      { 'iam:PassedToService': 'lambda.amazonaws.com' },
      NOT_ALLOWED,
    ],
    [
      'widens its own policies',
      'iam:CreatePolicyVersion',
      `arn:aws:iam::${account}:policy/daybreak-deploy-never`,
      {},
      IDENTITY_DENIES,
    ],
    ['creates a user', 'iam:CreateUser', `arn:aws:iam::${account}:user/daybreak-x`, {}, IDENTITY_DENIES],
    ['makes an access key', 'iam:CreateAccessKey', `arn:aws:iam::${account}:user/x`, {}, IDENTITY_DENIES],
    ['takes on a role', 'sts:AssumeRole', role('daybreak-backup-back-up-tenant'), {}, IDENTITY_DENIES],
    [
      'calls a function',
      'lambda:InvokeFunction',
      `arn:aws:lambda:eu-west-2:${account}:function:daybreak-backup-plan`,
      {},
      IDENTITY_DENIES,
    ],
    [
      'changes a function of others',
      'lambda:UpdateFunctionCode',
      `arn:aws:lambda:eu-west-2:${account}:function:shop`,
      {},
      NOT_ALLOWED,
    ],
    [
      'starts an execution',
      'states:StartExecution',
      `arn:aws:states:eu-west-2:${account}:stateMachine:daybreak-daily-backup`,
      {},
      IDENTITY_DENIES,
    ],
    [
      'deletes a snapshot',
      'rds:DeleteDBSnapshot',
      `arn:aws:rds:eu-west-2:${account}:snapshot:daybreak-wellbeing-20261122t023000z`,
      {},
      IDENTITY_DENIES,
    ],
    [
      'shares a snapshot',
      'rds:ModifyDBSnapshotAttribute',
      `arn:aws:rds:eu-west-2:${account}:snapshot:daybreak-wellbeing-20261122t023000z`,
      {},
      IDENTITY_DENIES,
    ],
    [
      'deletes the database',
      'rds:DeleteDBInstance',
      `arn:aws:rds:eu-west-2:${account}:db:wellbeing-production`,
      {},
      IDENTITY_DENIES,
    ],
    [
      'deletes a group of others',
      'ec2:DeleteSecurityGroup',
      `arn:aws:ec2:eu-west-2:${account}:security-group/sg-0000000000000000a`,
      { 'ec2:Vpc': `arn:aws:ec2:eu-west-2:${account}:vpc/vpc-0000000000000000a` },
      NOT_ALLOWED,
    ],
    [
      'opens a group of another VPC',
      'ec2:AuthorizeSecurityGroupIngress',
      `arn:aws:ec2:eu-west-2:${account}:security-group/sg-1`,
      { 'ec2:Vpc': `arn:aws:ec2:eu-west-2:${account}:vpc/vpc-1` },
      NOT_ALLOWED,
    ],
    ['makes a bucket elsewhere', 's3:CreateBucket', vault, { 'aws:RequestedRegion': 'eu-west-1' }, IDENTITY_DENIES],
    [
      'makes a key elsewhere',
      'kms:CreateKey',
      '*',
      { 'aws:RequestTag/daybreak:purpose': 'vault', 'aws:RequestedRegion': 'us-east-1' },
      IDENTITY_DENIES,
    ],
    [
      'makes a function elsewhere',
      'lambda:CreateFunction',
      `arn:aws:lambda:eu-west-2:${account}:function:daybreak-x`,
      { 'aws:RequestedRegion': 'us-east-1' },
      IDENTITY_DENIES,
    ],
  ])('never %s', async (_, action, resource, context, who) => {
    expect(await ask(action, resource, context)).toBe(who);
  });

  describe('is the use of a key', () => {
    const ofEnvironment = {
      'kms:ViaService': 'lambda.eu-west-2.amazonaws.com',
      'kms:ResourceAliases': ['alias/aws/lambda'],
      'kms:GrantIsForAWSResource': 'true',
    };
    const uses = ['kms:CreateGrant', 'kms:Decrypt', 'kms:Encrypt', 'kms:GenerateDataKey'];

    it('but for functions’ environments, through Lambda', async () => {
      for (const action of uses) expect(await ask(action, key, ofEnvironment), action).toBe(ALLOWED);
      expect(await ask('kms:ReEncryptTo', key, ofEnvironment)).toBe(IDENTITY_DENIES);
    });

    it.each<[string, Record<string, string | readonly string[]>, string]>([
      ['by hand', { 'kms:ResourceAliases': ['alias/aws/lambda'] }, IDENTITY_DENIES],
      ['through S3', { ...ofEnvironment, 'kms:ViaService': 's3.eu-west-2.amazonaws.com' }, IDENTITY_DENIES],
      ['through RDS', { ...ofEnvironment, 'kms:ViaService': 'rds.eu-west-2.amazonaws.com' }, IDENTITY_DENIES],
      ['of the supplier, through Lambda', { ...ofEnvironment, 'kms:ResourceAliases': ['alias/shop'] }, NOT_ALLOWED],
      [
        'of Daybreak, through Lambda',
        { ...ofEnvironment, 'kms:ResourceAliases': ['alias/daybreak/vault'] },
        NOT_ALLOWED,
      ],
    ])('%s', async (_, context, who) => {
      for (const action of uses) expect(await ask(action, key, context), action).toBe(who);
    });

    it('for a grant to anybody but a service', async () => {
      const byHand = { ...ofEnvironment, 'kms:GrantIsForAWSResource': 'false' };
      expect(await ask('kms:CreateGrant', key, byHand)).toBe(IDENTITY_DENIES);
    });
  });

  it('is that no action is allowed whole', () => {
    const wide = executionPolicies(readConfiguration(exampleConfiguration)).flatMap(({ document }) =>
      document.Statement.filter(({ Effect }) => Effect === 'Allow').flatMap(({ Action = ['*'] }) =>
        Action.filter(action => /:\*$|^\*$/.test(action)),
      ),
    );
    expect(wide).toEqual([]);
  });
});

describe('with a permissions boundary', () => {
  const ask = judge(readConfiguration({ ...exampleConfiguration, permissionsBoundaryArn: BOUNDARY }));
  const role = `arn:aws:iam::${account}:role/daybreak-backup-plan`;
  const guardrails = { 'iam:PolicyARN': `arn:aws:iam::${account}:policy/daybreak-guardrails` };

  it.each([
    'iam:CreateRole',
    'iam:PutRolePolicy',
    'iam:DeleteRolePolicy',
    'iam:AttachRolePolicy',
    'iam:PutRolePermissionsBoundary',
  ])('makes %s only under it', async action => {
    expect(await ask(action, role, { ...guardrails, 'iam:PermissionsBoundary': BOUNDARY })).toBe(ALLOWED);
    expect(await ask(action, role, { ...guardrails, 'iam:PermissionsBoundary': `${BOUNDARY}-2` })).toBe(NOT_ALLOWED);
    expect(await ask(action, role, guardrails)).toBe(NOT_ALLOWED);
  });

  it('neither changes nor lifts it', async () => {
    expect(await ask('iam:CreatePolicyVersion', BOUNDARY)).toBe(IDENTITY_DENIES);
    expect(await ask('iam:DeleteRolePermissionsBoundary', role, { 'iam:PermissionsBoundary': BOUNDARY })).toBe(
      IDENTITY_DENIES,
    );
  });
});

describe('an upgrade of what is deployed', () => {
  let deployed: AttackedAccount;
  beforeAll(async () => {
    deployed = await AttackedAccount.create();
    deployed.cloud.iam.putRole({
      arn: cloudFormation.arn,
      policies: executionPolicies(readConfiguration(exampleConfiguration)).map(({ document }) => document),
    });
  });

  it.each(['vault', 'evidence', 'work', 'register'] as const)(
    'changes the %s bucket’s policy and settings',
    async bucket => {
      for (const action of [
        's3:PutBucketPolicy',
        's3:PutBucketObjectLockConfiguration',
        's3:PutLifecycleConfiguration',
      ]) {
        expect(await deployed.judge(cloudFormation, action, deployed.arnOf(bucket)), action).toBe(ALLOWED);
      }
    },
  );

  it('changes the policies of the keys, and uses no key', async () => {
    const context = { 'aws:ResourceTag/daybreak:purpose': 'vault' };
    const throughLambda = { 'kms:ViaService': 'lambda.eu-west-2.amazonaws.com', 'kms:GrantIsForAWSResource': 'true' };
    for (const key of [deployed.deployment.vaultKeyArn, deployed.deployment.signingKeyArn]) {
      for (const action of ['kms:PutKeyPolicy', 'kms:UpdateKeyDescription', 'kms:TagResource']) {
        expect(await deployed.judge(cloudFormation, action, key, context), action).toBe(ALLOWED);
      }
      expect(await deployed.judge(cloudFormation, 'kms:Decrypt', key, context)).toBe(IDENTITY_DENIES);
      // As the key of a function that is made for it.
      for (const action of ['kms:CreateGrant', 'kms:Decrypt', 'kms:Encrypt']) {
        expect(await deployed.judge(cloudFormation, action, key, throughLambda), action).toBe(RESOURCE_SILENT);
      }
    }
  });

  it('is refused to a role that is named like one of Daybreak’s, whatever else it may do', async () => {
    const named = { kind: 'role', arn: `arn:aws:iam::${account}:role/daybreak-administrator` } as const;
    deployed.cloud.iam.putRole({
      arn: named.arn,
      policies: [{ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] }],
    });
    expect(await deployed.judge(named, 's3:PutBucketPolicy', deployed.arnOf('vault'))).toBe('a resource policy denies');
    expect(await deployed.judge(named, 'kms:PutKeyPolicy', deployed.deployment.vaultKeyArn)).toBe(
      'a resource policy denies',
    );
  });

  it('is left to the root user where a policy went wrong', async () => {
    for (const [action, resource] of [
      ['s3:PutBucketPolicy', deployed.arnOf('evidence')],
      ['s3:DeleteBucketPolicy', deployed.arnOf('vault')],
      ['kms:PutKeyPolicy', deployed.deployment.vaultKeyArn],
      ['kms:PutKeyPolicy', deployed.deployment.signingKeyArn],
    ] as const) {
      expect(await deployed.judge(deployed.cloud.root, action, resource), action).toBe(ALLOWED);
    }
  });
});

it('refuses a policy that IAM would not take', () => {
  const statement = { Sid: 'Long', Effect: 'Allow', Action: ['s3:GetObject'], Resource: 'x'.repeat(6200) } as const;
  expect(() => managedPolicy('long', 'none', [statement])).toThrow(
    /^the policy long has 6\d{3} characters, and IAM takes 6144: split it$/,
  );
});
