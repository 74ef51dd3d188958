import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RemovalPolicy, Stack } from 'aws-cdk-lib';
import { Annotations, Match } from 'aws-cdk-lib/assertions';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KEY_ALIASES, POLICY_VERSIONS } from '../../functions/contracts/policies.ts';
import { PULSE_METRICS } from '../../functions/contracts/pulse.ts';
import { SCHEDULES, scheduleName } from '../../functions/contracts/schedules.ts';
import { addPermission } from '../../infra/access/allow.ts';
import { policyBuckets } from '../../infra/access/bucket-policies.ts';
import { STEPS, stepName, WORKFLOWS } from '../../infra/access/role-names.ts';
import { createApp } from '../../infra/app.ts';
import { readConfiguration, SupplierConfiguration } from '../../infra/config/configuration.ts';
import { exampleConfiguration } from '../../infra/config/example.ts';
import { alarmsOf } from '../../infra/monitoring/alarms.ts';
import { describeAlarm } from '../../infra/monitoring/pulse-alarm.ts';
import { tamperAlarmsOf } from '../../infra/monitoring/tamper-alarms.ts';
import { tamperRules } from '../../infra/monitoring/tamper-rules.ts';

interface Statement {
  Sid?: string;
  Effect: string;
  Action: string | string[];
  Resource?: unknown;
  Condition?: Record<string, Record<string, unknown>>;
}
interface Resource {
  Type: string;
  // biome-ignore lint/suspicious/noExplicitAny: templates are JSON; the assertions say what is in them.
  Properties: any;
  Metadata?: Record<string, unknown>;
  DeletionPolicy?: string;
  DependsOn?: string | string[];
}

const directory = mkdtempSync(join(tmpdir(), 'daybreak-synth-'));
let vault: Record<string, Resource>;
let workflows: Record<string, Resource>;
let monitoring: Record<string, Resource>;
let trail: Record<string, Resource>;
let register: Record<string, Resource>;

function synthesize(configuration: typeof exampleConfiguration, name: string, check = true) {
  const outdir = join(directory, name);
  createApp(configuration, { outdir, bundle: false, check }).synth();
  return (stack: string): Record<string, Resource> =>
    JSON.parse(readFileSync(join(outdir, `${stack}.template.json`), 'utf8')).Resources;
}

beforeAll(() => {
  const read = synthesize(exampleConfiguration, 'example');
  vault = read('DaybreakVault');
  workflows = read('DaybreakWorkflows');
  monitoring = read('DaybreakMonitoring');
  trail = read('DaybreakTrail');
  register = read('DaybreakRegister');
});
afterAll(() => rmSync(directory, { recursive: true }));

const ofType = (resources: Record<string, Resource>, type: string) =>
  Object.entries(resources).filter(([, resource]) => resource.Type === type);
const list = <T>(value: T | T[] | undefined): T[] => (value === undefined ? [] : ([value].flat() as T[]));

function named(resources: Record<string, Resource>, type: string, property: string, value: string): Resource {
  const found = ofType(resources, type).find(([, { Properties }]) => Properties[property] === value);
  if (found === undefined) throw new Error(`no ${type} with ${property} ${value}`);
  return found[1];
}

const statementsOfBucket = (name: string, stack = vault): Statement[] => {
  const [id] = ofType(stack, 'AWS::S3::Bucket').find(([, { Properties }]) => Properties.BucketName === name) ?? [];
  const policy = ofType(stack, 'AWS::S3::BucketPolicy').find(([, { Properties }]) => Properties.Bucket.Ref === id);
  return policy?.[1].Properties.PolicyDocument.Statement;
};
const bucket = (purpose: string) => `daybreak-${purpose}-111122223333-eu-west-2`;

interface LifecycleRule {
  readonly Prefix?: string;
  readonly ExpirationInDays?: number;
  readonly AbortIncompleteMultipartUpload?: { readonly DaysAfterInitiation: number };
}

describe('the vault stack', () => {
  it('keeps everything when it is destroyed', () => {
    for (const type of ['AWS::S3::Bucket', 'AWS::S3::BucketPolicy', 'AWS::KMS::Key', 'AWS::KMS::Alias']) {
      expect(ofType(vault, type).map(([, { DeletionPolicy }]) => DeletionPolicy)).toEqual(
        ofType(vault, type).map(() => 'Retain'),
      );
    }
  });

  it('locks the vault by event hold, and the evidence for years', () => {
    const { ObjectLockConfiguration: lock } = named(vault, 'AWS::S3::Bucket', 'BucketName', bucket('vault')).Properties;
    expect(lock.Rule.DefaultRetention).toEqual({ Mode: 'GOVERNANCE', Days: 35, DefaultEventHold: { Days: 35 } });
    const evidence = named(vault, 'AWS::S3::Bucket', 'BucketName', bucket('evidence')).Properties;
    expect(evidence.ObjectLockConfiguration.Rule.DefaultRetention).toEqual({ Mode: 'GOVERNANCE', Years: 7 });
    expect(evidence.LifecycleConfiguration).toBeUndefined();
    const work = named(vault, 'AWS::S3::Bucket', 'BucketName', bucket('work')).Properties;
    expect(work.ObjectLockConfiguration).toBeUndefined();
    expect(
      work.LifecycleConfiguration.Rules.map((rule: LifecycleRule) => [
        rule.Prefix,
        rule.ExpirationInDays,
        rule.AbortIncompleteMultipartUpload?.DaysAfterInitiation,
      ]),
    ).toEqual([
      [undefined, undefined, 7],
      ['work/', 14, undefined],
      ['scratch/', 2, 2],
    ]);
  });

  it.each(['vault', 'evidence', 'work'])(
    'encrypts the %s bucket under the vault key, closed to the public and to old TLS',
    purpose => {
      const { Properties } = named(vault, 'AWS::S3::Bucket', 'BucketName', bucket(purpose));
      const [rule] = Properties.BucketEncryption.ServerSideEncryptionConfiguration;
      expect(rule.BucketKeyEnabled).toBe(false);
      expect(rule.ServerSideEncryptionByDefault.SSEAlgorithm).toBe('aws:kms');
      expect(Object.values(Properties.PublicAccessBlockConfiguration)).toEqual([true, true, true, true]);
      const denials = statementsOfBucket(bucket(purpose)).filter(({ Effect }) => Effect === 'Deny');
      expect(denials.map(({ Condition }) => Condition)).toEqual(
        expect.arrayContaining([
          { Bool: { 'aws:SecureTransport': 'false' } },
          { NumericLessThan: { 's3:TlsVersion': 1.2 } },
        ]),
      );
      expect(denials.flatMap(({ Action }) => list(Action))).toContain('s3:UpdateObjectEncryption');
    },
  );

  it('lets nothing in the evidence bucket be deleted or written twice', () => {
    const statements = statementsOfBucket(bucket('evidence'));
    expect(statements.find(({ Sid }) => Sid === 'NothingIsDeletedOrReplicatedIn')?.Action).toEqual([
      's3:BypassGovernanceRetention',
      's3:DeleteObject',
      's3:DeleteObjectVersion',
      's3:ReplicateDelete',
      's3:ReplicateObject',
    ]);
    const once = statements.find(({ Sid }) => Sid === 'NothingIsWrittenTwice');
    expect(once?.Condition).toEqual({ Null: { 's3:if-none-match': 'true' } });
    const prefixes = list(once?.Resource).map(resource => JSON.stringify(resource).match(/"\/([^"]+)"/)?.[1]);
    expect(prefixes).toEqual(['heads/*', 'ledger/*', 'restore-tests/*', 'segments/*']);
  });

  it('names the account in key policies, with fixed role names, and denies all functions any change', () => {
    const keys = ofType(vault, 'AWS::KMS::Key').map(([, { Properties }]) => Properties);
    expect(keys.map(({ KeySpec = 'SYMMETRIC_DEFAULT' }) => KeySpec)).toEqual([
      'SYMMETRIC_DEFAULT',
      'ECC_NIST_P256',
      'ECC_NIST_P256',
      'ECC_NIST_P256',
      'HMAC_256',
      'SYMMETRIC_DEFAULT',
    ]);
    for (const { KeyPolicy } of keys.filter((_, index) => [0, 1, 4].includes(index))) {
      const statements: (Statement & { Principal: unknown })[] = KeyPolicy.Statement;
      expect(new Set(statements.map(({ Principal }) => JSON.stringify(Principal)))).toEqual(
        new Set([JSON.stringify({ AWS: 'arn:aws:iam::111122223333:root' })]),
      );
      const use = statements.filter(({ Action }) => list(Action).some(action => /GenerateDataKey|Sign/.test(action)));
      // Who reads and writes by capability, who signs by name.
      for (const { Condition, Action } of use.filter(({ Effect }) => Effect === 'Allow')) {
        expect(list(Condition?.ArnLike?.['aws:PrincipalArn'])).toContain(
          `arn:aws:iam::111122223333:role/daybreak-backup-${list(Action).includes('kms:Sign') ? 'complete' : '*'}`,
        );
      }
      const denial = statements.find(({ Sid }) => Sid === 'FunctionsNeverChangeKeys');
      expect(denial?.Action).toEqual(
        expect.arrayContaining(['kms:DisableKey', 'kms:PutKeyPolicy', 'kms:ScheduleKeyDeletion']),
      );
      expect(denial?.Condition).toEqual({
        ArnLike: { 'aws:PrincipalArn': 'arn:aws:iam::111122223333:role/daybreak-*' },
      });
    }
  });

  it('has a key for logs that CloudWatch Logs uses for them, and that nobody else uses', () => {
    const keys = ofType(vault, 'AWS::KMS::Key').map(([, { Properties }]) => Properties);
    const key = keys.find(({ Description }) => Description === 'Daybreak: logs');
    expect(key).toMatchObject({ Description: 'Daybreak: logs', EnableKeyRotation: true });
    const statements: (Statement & { Principal: unknown })[] = key?.KeyPolicy.Statement;
    expect(statements.map(({ Sid, Effect }) => `${Effect} ${Sid}`)).toEqual([
      'Allow Administration',
      'Allow LogsOfDaybreak',
      'Deny FunctionsNeverChangeKeys',
    ]);
    expect(statements[1]).toMatchObject({
      Principal: { Service: 'logs.eu-west-2.amazonaws.com' },
      Condition: {
        ArnLike: {
          'kms:EncryptionContext:aws:logs:arn': 'arn:aws:logs:eu-west-2:111122223333:log-group:Daybreak*',
        },
      },
    });
  });
});

describe('the register', () => {
  const properties = () => named(register, 'AWS::S3::Bucket', 'BucketName', bucket('register')).Properties;

  it('keeps everything when its stack is destroyed', () => {
    const kept = ['AWS::S3::Bucket', 'AWS::S3::BucketPolicy', 'AWS::KMS::Key', 'AWS::KMS::Alias'];
    const found = kept.flatMap(type => ofType(register, type).map(([, { DeletionPolicy }]) => [type, DeletionPolicy]));
    expect(found).toEqual(kept.map(type => [type, 'Retain']));
  });

  it('is versioned and not locked, and forgets old versions after 35 days, and the markers that hid them', () => {
    expect(properties().VersioningConfiguration).toEqual({ Status: 'Enabled' });
    expect([properties().ObjectLockEnabled, properties().ObjectLockConfiguration]).toEqual([undefined, undefined]);
    expect(properties().LifecycleConfiguration.Rules).toEqual([
      { Id: 'stopped-uploads', Status: 'Enabled', AbortIncompleteMultipartUpload: { DaysAfterInitiation: 7 } },
      {
        Id: 'old-versions',
        Status: 'Enabled',
        ExpiredObjectDeleteMarker: true,
        NoncurrentVersionExpiration: { NoncurrentDays: 35 },
      },
    ]);
  });

  it('is under a key of its own, closed to the public and to old TLS', () => {
    const [key] = ofType(register, 'AWS::KMS::Key');
    const [rule] = properties().BucketEncryption.ServerSideEncryptionConfiguration;
    expect(rule).toEqual({
      BucketKeyEnabled: false,
      ServerSideEncryptionByDefault: { SSEAlgorithm: 'aws:kms', KMSMasterKeyID: { 'Fn::GetAtt': [key?.[0], 'Arn'] } },
    });
    expect(Object.values(properties().PublicAccessBlockConfiguration)).toEqual([true, true, true, true]);
    const conditions = statementsOfBucket(bucket('register'), register).map(({ Condition }) => Condition);
    expect(conditions).toEqual(
      expect.arrayContaining([
        { Bool: { 'aws:SecureTransport': 'false' } },
        { NumericLessThan: { 's3:TlsVersion': 1.2 } },
      ]),
    );
  });
});

describe('the workflow stack', () => {
  const functions = () => ofType(workflows, 'AWS::Lambda::Function').map(([, resource]) => resource);

  it('has a function for each step, from its source, on Node 24', () => {
    expect(
      functions().map(({ Properties, Metadata }) => [Properties.FunctionName, Metadata?.['daybreak:entry']]),
    ).toEqual(expect.arrayContaining(STEPS.map(step => [stepName(step), `functions/${step}.ts`])));
    expect(new Set(functions().map(({ Properties }) => Properties.Runtime))).toEqual(new Set(['nodejs24.x']));
    expect(functions()).toHaveLength(STEPS.length);
  });

  it('gives each function a role of its own, under the same name', () => {
    const roles = functions().map(({ Properties }) => Properties.Role['Fn::GetAtt'][0]);
    expect(new Set(roles).size).toBe(STEPS.length);
    for (const [index, { Properties }] of functions().entries()) {
      expect(workflows[roles[index]]?.Properties.RoleName).toBe(Properties.FunctionName);
    }
  });

  it('puts under the guardrails every role that there is', () => {
    for (const [, { Properties }] of ofType(workflows, 'AWS::IAM::Role')) {
      expect(Properties.ManagedPolicyArns).toEqual([{ Ref: ofType(workflows, 'AWS::IAM::ManagedPolicy')[0]?.[0] }]);
    }
    const [policy] = ofType(workflows, 'AWS::IAM::ManagedPolicy');
    const statements: Statement[] = policy?.[1].Properties.PolicyDocument.Statement;
    expect(new Set(statements.map(({ Effect }) => Effect))).toEqual(new Set(['Deny']));
    expect(statements).toContainEqual({
      Effect: 'Deny',
      Action: 'kms:CreateKey',
      Resource: '*',
      Condition: {
        ArnNotEquals: { 'aws:PrincipalArn': 'arn:aws:iam::111122223333:role/daybreak-tenants-ensure-key' },
      },
    });
    // IAM counts no white space. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    expect(JSON.stringify(policy?.[1].Properties.PolicyDocument).length).toBeLessThanOrEqual(6144);
  });

  it('keeps each log for thirteen months under the key for logs', () => {
    const groups = ofType(workflows, 'AWS::Logs::LogGroup').map(([, { Properties }]) => Properties);
    expect(groups).toHaveLength(STEPS.length + WORKFLOWS.length);
    expect(new Set(groups.map(({ RetentionInDays }) => RetentionInDays))).toEqual(new Set([400]));
    const [logKey] =
      ofType(vault, 'AWS::KMS::Key').find(([, { Properties }]) => Properties.Description === 'Daybreak: logs') ?? [];
    for (const { KmsKeyId } of groups) {
      expect(KmsKeyId['Fn::ImportValue']).toBe(
        `DaybreakVault:ExportsOutputFnGetAtt${logKey}Arn${KmsKeyId['Fn::ImportValue'].slice(-8)}`,
      );
    }
  });

  it('places in the network only what talks to PostgreSQL', () => {
    const placed = functions().filter(({ Properties }) => Properties.VpcConfig !== undefined);
    expect(placed.map(({ Properties }) => Properties.FunctionName).sort()).toEqual([
      'daybreak-backup-fingerprint',
      'daybreak-restore-test-hydrate',
      'daybreak-restore-test-verify-database',
    ]);
  });

  it('lets functions and restored databases reach nothing but what is named', () => {
    const groups = ofType(workflows, 'AWS::EC2::SecurityGroup').map(([, { Properties }]) => Properties);
    const open = groups.flatMap(({ SecurityGroupEgress = [], SecurityGroupIngress = [] }) =>
      [...SecurityGroupEgress, ...SecurityGroupIngress].filter(
        ({ CidrIp = '255.255.255.255/32' }) => CidrIp !== '255.255.255.255/32',
      ),
    );
    expect(open).toEqual([]);
  });

  it('has no wildcard in a role but these', () => {
    const wildcards = new Set<string>();
    for (const [, { Properties }] of ofType(workflows, 'AWS::IAM::Policy')) {
      for (const { Effect, Action, Resource } of Properties.PolicyDocument.Statement as Statement[]) {
        expect(list(Action).filter(action => action.includes('*'))).toEqual([]);
        for (const resource of list(Resource)) {
          if (Effect !== 'Allow' || typeof resource !== 'string' || !/[*?]/.test(resource)) continue;
          wildcards.add(resource);
        }
      }
    }
    const withoutAccount = [...wildcards].map(resource =>
      resource.replaceAll('111122223333', '…').replace('eu-west-2:…', '…'),
    );
    expect(withoutAccount.sort()).toEqual(
      [
        '*',
        'arn:aws:kms:…:alias/daybreak/tenant/*',
        'arn:aws:kms:…:key/*',
        'arn:aws:rds-db:…:dbuser:*/daybreak_reader',
        'arn:aws:rds:…:db:*',
        'arn:aws:rds:…:db:daybreak-test-*',
        'arn:aws:rds:…:og:default:*',
        'arn:aws:rds:…:pg:*',
        'arn:aws:rds:…:pg:default.*',
        'arn:aws:rds:…:snapshot:*',
        'arn:aws:rds:…:snapshot:daybreak-*',
        'arn:aws:rds:…:snapshot:daybreak-intermediate-wellbeing-????????t??????z',
        'arn:aws:rds:…:snapshot:daybreak-wellbeing-????????t??????z',
        'arn:aws:s3:::daybreak-evidence-…-eu-west-2/heads/*',
        'arn:aws:s3:::daybreak-evidence-…-eu-west-2/ledger/*',
        'arn:aws:s3:::daybreak-evidence-…-eu-west-2/restore-tests/*',
        'arn:aws:s3:::daybreak-evidence-…-eu-west-2/segments/*',
        'arn:aws:s3:::daybreak-vault-…-eu-west-2/fingerprints/*',
        'arn:aws:s3:::daybreak-vault-…-eu-west-2/recovery-points/*',
        'arn:aws:s3:::daybreak-vault-…-eu-west-2/shared/*',
        'arn:aws:s3:::daybreak-vault-…-eu-west-2/shared/manifests/*',
        'arn:aws:s3:::daybreak-vault-…-eu-west-2/shared/not-covered/*',
        'arn:aws:s3:::daybreak-vault-…-eu-west-2/tenant-names/*',
        'arn:aws:s3:::daybreak-vault-…-eu-west-2/tenants/*',
        'arn:aws:s3:::daybreak-vault-…-eu-west-2/tenants/*/manifests/*',
        'arn:aws:s3:::daybreak-vault-…-eu-west-2/tenants/*/not-covered/*',
        'arn:aws:s3:::daybreak-work-…-eu-west-2/ledger-projection/*',
        'arn:aws:s3:::daybreak-work-…-eu-west-2/pulse/*',
        'arn:aws:s3:::daybreak-work-…-eu-west-2/scratch/*',
        'arn:aws:s3:::daybreak-work-…-eu-west-2/work/*',
        'arn:aws:s3:::daybreak-work-…-eu-west-2/work/tenant-keys/*',
        'arn:aws:s3:::example-wellbeing-uploads/*',
        'arn:aws:states:…:execution:daybreak-daily-backup/*:*',
        'arn:aws:states:…:execution:daybreak-daily-backup:*',
        'arn:aws:states:…:execution:daybreak-remove-abandoned:*',
        'arn:aws:states:…:execution:daybreak-restore-test/*:*',
        'arn:aws:states:…:execution:daybreak-restore-test:*',
      ].sort(),
    );
  });

  it.each([
    ['daybreak-daily-backup', 'states', ['stateMachine:daybreak-daily-backup', 'stateMachine:daybreak-daily-backup/*']],
    ['daybreak-restore-test', 'states', ['stateMachine:daybreak-restore-test', 'stateMachine:daybreak-restore-test/*']],
    ['daybreak-remove-abandoned', 'states', ['stateMachine:daybreak-remove-abandoned']],
    ['daybreak-scheduler', 'scheduler', ['schedule-group/default']],
  ])('lets %s be taken on for its own resources alone', (name, service, sources) => {
    const role = ofType(workflows, 'AWS::IAM::Role').find(([, { Properties }]) => Properties.RoleName === name);
    const arns = sources.map(source => `arn:aws:${service}:eu-west-2:111122223333:${source}`);
    expect(role?.[1].Properties.AssumeRolePolicyDocument.Statement).toEqual([
      {
        Effect: 'Allow',
        Principal: { Service: `${service}.amazonaws.com` },
        Action: 'sts:AssumeRole',
        Condition: {
          StringEquals: { 'aws:SourceAccount': '111122223333' },
          ArnLike: { 'aws:SourceArn': arns },
        },
      },
    ]);
  });

  // https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-required-policy-for-cloudwatch-logs.html
  it('lets CloudTrail take its role on without conditions, which it does not support', () => {
    const role = named(trail, 'AWS::IAM::Role', 'RoleName', 'daybreak-trail-delivery');
    expect(role.Properties.AssumeRolePolicyDocument.Statement).toEqual([
      { Effect: 'Allow', Principal: { Service: 'cloudtrail.amazonaws.com' }, Action: 'sts:AssumeRole' },
    ]);
  });

  it.each(['*', 'arn:aws:rds:eu-west-2:111122223333:snapshot:daybreak-????'])(
    'refuses the wildcard %s without a reason, but where it denies',
    resource => {
      const added: unknown[] = [];
      const role = { addToPolicy: (statement: unknown) => added.push(statement) } as never;
      expect(() => addPermission(role, { actions: ['s3:GetObject'], resources: [resource] })).toThrow(
        `s3:GetObject on ${resource}: name the resources, or say in the permission, with the pattern, why they cannot be named more narrowly`,
      );
      expect(added).toEqual([]);
      addPermission(role, { effect: 'Deny', actions: ['s3:GetObject'], resources: [resource] });
      expect(added).toHaveLength(1);
    },
  );

  it('schedules in Europe/London, and passes the scheduled instant on', () => {
    const schedules = ofType(workflows, 'AWS::Scheduler::Schedule').map(([, { Properties }]) => Properties);
    expect(
      schedules.map(({ Name, ScheduleExpression, ScheduleExpressionTimezone, Target }) => [
        Name,
        ScheduleExpression,
        ScheduleExpressionTimezone,
        JSON.parse(Target.Input),
      ]),
    ).toEqual([
      [
        'daybreak-daily-backup',
        'cron(30 2 * * ? *)',
        'Europe/London',
        { workflow: 'daily-backup', scheduledAt: '<aws.scheduler.scheduled-time>' },
      ],
      [
        'daybreak-restore-test',
        'cron(30 4 5 * ? *)',
        'Europe/London',
        { workflow: 'restore-test', scheduledAt: '<aws.scheduler.scheduled-time>' },
      ],
      [
        'daybreak-remove-abandoned',
        'cron(7 * * * ? *)',
        'Europe/London',
        { workflow: 'remove-abandoned', scheduledAt: '<aws.scheduler.scheduled-time>' },
      ],
      ['daybreak-pulse', 'rate(15 minutes)', 'Europe/London', {}],
    ]);
    expect(schedules.map(({ Name }) => Name)).toEqual(SCHEDULES.map(scheduleName));
  });

  it('bounds every role of every stack where the account demands a boundary', () => {
    const permissionsBoundaryArn = 'arn:aws:iam::111122223333:policy/boundary';
    const outdir = join(directory, 'bounded');
    const app = createApp({ ...exampleConfiguration, permissionsBoundaryArn }, { outdir, bundle: false, check: false });
    const stacks = app.node.children.filter(Stack.isStack);
    // A role that the CDK makes for its own purposes, and one of a construct that comes later.
    for (const stack of stacks) {
      new Bucket(stack, 'Planted', { autoDeleteObjects: true, removalPolicy: RemovalPolicy.DESTROY });
      new Role(stack, 'PlantedRole', { assumedBy: new ServicePrincipal('lambda.amazonaws.com') });
    }
    app.synth();
    for (const { stackName } of stacks) {
      const template = JSON.parse(readFileSync(join(outdir, `${stackName}.template.json`), 'utf8'));
      const roles = ofType(template.Resources, 'AWS::IAM::Role').map(([, { Properties }]) => Properties);
      expect(roles.length).toBeGreaterThanOrEqual(2);
      expect(new Set(roles.map(({ PermissionsBoundary }) => PermissionsBoundary))).toEqual(
        new Set([permissionsBoundaryArn]),
      );
    }
  });

  const withDatabases = (count: number) => {
    const [database] = exampleConfiguration.databases;
    if (database === undefined) throw new Error('the example has no database');
    const databases = Array.from({ length: count }, (_, index) => ({
      ...database,
      id: `database-${index}`,
      instanceId: `instance-${index}`,
      resourceId: `db-EXAMPLE00000000000000000${String(index).padStart(2, '0')}`,
      kmsKeyArn: `arn:aws:kms:eu-west-2:111122223333:key/00000000-0000-4000-8000-0000000000${String(index).padStart(2, '0')}`,
    }));
    return { ...exampleConfiguration, databases, quotas: { manualSnapshots: 1100 } };
  };

  // `docs/limits.md` names the number.
  it('takes sixteen databases, each under a key of its own, and leaves their functions room', () => {
    const resources = synthesize(withDatabases(16), 'sixteen', false)('DaybreakWorkflows');
    const bytes = ofType(resources, 'AWS::Lambda::Function').map(
      ([, { Properties }]) => JSON.stringify(Properties.Environment.Variables).length,
    );
    expect(Math.max(...bytes)).toBeLessThan(3500);
    const policies = ofType(resources, 'AWS::IAM::Policy').map(
      ([, { Properties }]) => JSON.stringify(Properties.PolicyDocument).length,
    );
    expect(Math.max(...policies)).toBeLessThan(10_240);
    expect(
      ofType(resources, 'AWS::IAM::ManagedPolicy').map(([, { Properties }]) => Properties.ManagedPolicyName),
    ).toEqual(['daybreak-guardrails']);
  });

  it('refuses more databases than the policy of a role can name', () => {
    expect(() => synthesize(withDatabases(17), 'seventeen', false)).toThrow(
      /\] backup\/create-snapshot: its role's policy would be longer than the 10,240 characters that IAM allows: name fewer/,
    );
  });

  it('refuses more configuration than a function can be given', () => {
    const [bucket] = exampleConfiguration.buckets;
    if (bucket === undefined) throw new Error('the example has no bucket');
    const buckets = Array.from({ length: 100 }, (_, index) => ({
      ...bucket,
      id: `bucket-${index}`,
      name: createHash('sha256').update(`${index}`).digest('hex').slice(1),
    }));
    expect(() => createApp({ ...exampleConfiguration, buckets }, { bundle: false })).toThrow(
      /^backup\/plan: its environment would take \d{4} bytes, and Lambda allows 4096: name fewer databases and buckets/,
    );
  });
});

/** Resources with a policy that says who may use them, which neither `keys check` nor pulse compares, and why. */
const NOT_COMPARED: Readonly<Record<string, string>> = {
  'AWS::IAM::Role': 'it goes with its stack; the rule `identity` tells of whoever else changes who takes it on',
  'AWS::SNS::TopicPolicy': 'it goes with its stack; the rule `topics` tells of any change',
  'AWS::SQS::QueuePolicy': 'it goes with its stack; the rule `queues` tells of any change',
  'AWS::Lambda::Permission': 'it goes with its stack; the rule `functions` tells of any change',
  'AWS::EC2::VPCEndpoint': 'it only narrows what roles, keys and buckets allow, and goes with its stack',
};

describe('the function that records tampering', () => {
  const recorder = () =>
    ofType(workflows, 'AWS::Lambda::Function').find(
      ([, { Properties }]) => Properties.FunctionName === 'daybreak-evidence-record-tampering',
    ) as [string, Resource];
  const rolesOf = (...stacks: Record<string, Resource>[]) => stacks.flatMap(stack => ofType(stack, 'AWS::IAM::Role'));

  it('knows every role that the stacks make', () => {
    const [, { Properties }] = recorder();
    const known = Properties.Environment.Variables.DAYBREAK_ROLES.split(' ').map((name: string) => `daybreak-${name}`);
    const made = rolesOf(vault, trail, workflows, monitoring).flatMap(([, role]) => role.Properties.RoleName ?? []);
    expect(known.sort()).toEqual(made.sort());
  });

  it('is told so before any other role is made, and waits for none of them', () => {
    const [id, { Properties }] = recorder();
    const others = rolesOf(workflows).filter(([role]) => role !== Properties.Role['Fn::GetAtt'][0]);
    expect(others.flatMap(([role, { DependsOn }]) => (list(DependsOn).includes(id) ? [] : [role]))).toEqual([]);
    // What CloudFormation would refuse as circular.
    const waitsFor = (resource: Resource) => [
      ...list(resource.DependsOn),
      ...[...JSON.stringify(resource.Properties ?? {}).matchAll(/"(?:Ref|Fn::GetAtt)":\[?"([^"]+)"/g)].map(
        ([, to]) => to,
      ),
    ];
    const before = new Set<string>();
    const visit = (name: string) => {
      for (const next of waitsFor(workflows[name] as Resource)) {
        if (next !== undefined && workflows[next] !== undefined && !before.has(next)) {
          before.add(next);
          visit(next);
        }
      }
    };
    visit(id);
    expect(before.has(id)).toBe(false);
    expect([...before].filter(name => others.some(([role]) => role === name))).toEqual([]);
  });
});

describe('every key and every bucket that a stack makes', () => {
  const all = () => [vault, register, trail, workflows, monitoring];
  const everyOne = (type: string) => all().flatMap(resources => ofType(resources, type));

  it('has a policy that keys check and pulse compare', () => {
    const needed = JSON.parse(
      named(workflows, 'AWS::Lambda::Function', 'FunctionName', 'daybreak-pulse-read-back').Properties.Environment
        .Variables.DAYBREAK_POLICIES,
    );
    expect(Object.keys(needed).sort()).toEqual(
      Object.keys(POLICY_VERSIONS)
        .filter(name => name !== 'tenant-key')
        .sort(),
    );
    const aliases = everyOne('AWS::KMS::Alias').map(([, { Properties }]) => [
      Properties.TargetKeyId['Fn::GetAtt'][0],
      Properties.AliasName,
    ]);
    expect(aliases.map(([key]) => key).sort()).toEqual(
      everyOne('AWS::KMS::Key')
        .map(([id]) => id)
        .sort(),
    );
    expect(aliases.map(([, alias]) => alias).sort()).toEqual(Object.values(KEY_ALIASES).sort());
    const buckets = everyOne('AWS::S3::Bucket').map(([, { Properties }]) => Properties.BucketName);
    expect(buckets.sort()).toEqual(Object.values(policyBuckets(readConfiguration(exampleConfiguration))).sort());
    expect(everyOne('AWS::S3::BucketPolicy')).toHaveLength(buckets.length);
  });

  it('is all that has one, but for what is named with a reason', () => {
    const hasPolicy = ({ Type, Properties }: Resource) =>
      Type === 'AWS::Lambda::Permission' || /"Principal":/.test(JSON.stringify(Properties ?? {}));
    const types = new Set(
      all().flatMap(resources =>
        Object.values(resources)
          .filter(hasPolicy)
          .map(({ Type }) => Type),
      ),
    );
    expect([...types].sort()).toEqual(['AWS::KMS::Key', 'AWS::S3::BucketPolicy', ...Object.keys(NOT_COMPARED)].sort());
  });
});

describe('over a vault that stands', () => {
  const existing = {
    vaultKeyArn: 'arn:aws:kms:eu-west-2:111122223333:key/00000000-0000-4000-8000-00000000000e',
    signingKeyArn: 'arn:aws:kms:eu-west-2:111122223333:key/00000000-0000-4000-8000-00000000000f',
    tenantIdKeyArn: 'arn:aws:kms:eu-west-2:111122223333:key/00000000-0000-4000-8000-00000000000d',
    ledgerKeyArn: 'arn:aws:kms:eu-west-2:111122223333:key/00000000-0000-4000-8000-0000000000f1',
    entryKeyArn: 'arn:aws:kms:eu-west-2:111122223333:key/00000000-0000-4000-8000-0000000000f2',
    logKeyArn: 'arn:aws:kms:eu-west-2:111122223333:key/00000000-0000-4000-8000-000000000010',
    trailKeyArn: 'arn:aws:kms:eu-west-2:111122223333:key/00000000-0000-4000-8000-000000000011',
    registerKeyArn: 'arn:aws:kms:eu-west-2:111122223333:key/00000000-0000-4000-8000-000000000012',
  };

  it('makes a register for one of an earlier release, which has none', () => {
    const { registerKeyArn: _, ...earlier } = existing;
    const outdir = join(directory, 'earlier');
    const configuration = { ...exampleConfiguration, existing: earlier };
    const { stacks } = createApp(configuration, { outdir, bundle: false, check: false }).synth();
    expect(stacks.map(({ stackName }) => stackName)).toContain('DaybreakRegister');
  });

  it('synthesizes no vault stack, imports nothing, and says what is then not managed', () => {
    const outdir = join(directory, 'existing');
    const configuration = { ...exampleConfiguration, existing, concurrency: { tenants: 6, databases: 3 } };
    const assembly = createApp(configuration, { outdir, bundle: false, check: false }).synth();
    expect(assembly.stacks.map(({ stackName }) => stackName)).toEqual([
      'DaybreakTrail',
      'DaybreakWorkflows',
      'DaybreakMonitoring',
    ]);
    const workflows = readFileSync(join(outdir, 'DaybreakWorkflows.template.json'), 'utf8');
    expect(workflows).not.toContain('Fn::ImportValue');
    const pulse = named(
      JSON.parse(workflows).Resources,
      'AWS::Lambda::Function',
      'FunctionName',
      'daybreak-pulse-read-back',
    );
    const { DAYBREAK_WATCHED_KEYS } = pulse.Properties.Environment.Variables;
    expect(JSON.parse(DAYBREAK_WATCHED_KEYS)).toEqual({
      'log-key': existing.logKeyArn,
      'trail-key': existing.trailKeyArn,
    });
    // The janitor's, too.
    const limits = [...workflows.matchAll(/MaxConcurrency\\*":(\d+)/g)].map(([, limit]) => Number(limit));
    expect(new Set(limits)).toEqual(new Set([6, 3, 1]));
    const { messages } = assembly.getStackByName('DaybreakWorkflows');
    expect(messages.map(({ level, entry }) => [level, entry.data])).toEqual([
      [
        'warning',
        'no vault stack: the vault that stands is used as it is. Its buckets, their policies, locks and lifecycle rules, and the policies of its keys are not managed: what this version, or the configuration (vault, evidence, operatorRoleArns), would change of them does not reach them. daybreak keys check compares the policies, and keys upgrade puts them. [ack: daybreak:existing-vault]',
      ],
      [
        'info',
        'after an instruction to delete, a school is promised to be beyond use within 30 days (it takes 28 at most) and gone within 120 (it takes 102 at most), once the sweep and erasure are built and run. Legal holds, open incidents and failed restore tests delay gone. Compare automatedBackupDays with your instances: daybreak retention plan does. [ack: daybreak:retention]',
      ],
    ]);
  });
});

describe('the monitoring stack', () => {
  const allAlarms = () => ofType(monitoring, 'AWS::CloudWatch::Alarm').map(([, { Properties }]) => Properties);
  const alarms = () => allAlarms().filter(({ Namespace, Dimensions }) => isOfPulse(Namespace, Dimensions));
  const isOfPulse = (namespace: string, dimensions: { Value: string }[] = []) =>
    namespace === 'Daybreak' && dimensions.some(({ Value }) => Value === 'pulse');
  const watch = tamperAlarmsOf(tamperRules(SupplierConfiguration.parse(exampleConfiguration), []));
  const definitions = alarmsOf(SupplierConfiguration.parse(exampleConfiguration));

  it('alarms over metrics that pulse publishes, and takes silence for a breach', () => {
    expect(alarms().map(({ AlarmName }) => AlarmName)).toEqual(definitions.map(({ id }) => `daybreak-${id}`));
    for (const alarm of alarms()) {
      expect(Object.keys(PULSE_METRICS)).toContain(alarm.MetricName);
      expect(alarm).toMatchObject({
        Namespace: 'Daybreak',
        Dimensions: [
          { Name: 'Workflow', Value: 'pulse' },
          { Name: 'service', Value: 'daybreak' },
        ],
        Period: 900,
        TreatMissingData: 'breaching',
      });
      expect(alarm.Period * alarm.EvaluationPeriods).toBeLessThanOrEqual(86_400);
    }
  });

  it('alarms at once, and for a quarter of an hour, over counts of tampering, and takes silence for well', () => {
    const counts = allAlarms().filter(({ Namespace, Dimensions }) => !isOfPulse(Namespace, Dimensions));
    expect(counts.map(({ AlarmName }) => AlarmName)).toEqual(watch.map(({ id }) => `daybreak-${id}`));
    for (const alarm of counts) {
      expect(alarm).toMatchObject({
        Period: 60,
        EvaluationPeriods: 15,
        DatapointsToAlarm: 1,
        Threshold: 0,
        ComparisonOperator: 'GreaterThanThreshold',
        TreatMissingData: 'notBreaching',
      });
    }
  });

  it('holds to the promised limits', () => {
    const limits = Object.fromEntries(
      alarms().map(({ AlarmName, ComparisonOperator, Threshold, EvaluationPeriods }) => [
        AlarmName.replace('daybreak-', ''),
        `${ComparisonOperator.startsWith('Less') ? '<' : '>'} ${Threshold} for ${EvaluationPeriods}`,
      ]),
    );
    const day = 86_400_000;
    expect(limits).toEqual({
      'pulse-silent': '< 1 for 1',
      'pulse-checks-failed': '> 0 for 2',
      'no-good-recovery-point': `> ${(26 / 24) * day} for 1`,
      'backup-failed': '> 0 for 1',
      'no-passed-restore-test': `> ${31 * day} for 48`,
      'restore-test-failed': '> 0 for 1',
      'restore-test-inconclusive': '> 0 for 1',
      'snapshot-missing': '> 0 for 1',
      'snapshot-altered': '> 0 for 1',
      'snapshot-shared': '> 0 for 1',
      'root-manifest-altered': '> 0 for 1',
      'object-not-locked': '> 0 for 1',
      'key-unusable': '> 0 for 1',
      'policy-behind': '> 0 for 4',
      'register-altered': '> 0 for 2',
      'contacts-not-confirmed': '> 0 for 1',
      'tls-not-forced': '> 0 for 1',
      'schedule-stopped': '> 0 for 1',
      'tamper-watch-stopped': '> 0 for 1',
      'ledger-broken': '> 0 for 1',
      'ledger-state-forged': '> 0 for 1',
      'ledger-unsigned': `> ${(26 / 24) * day} for 1`,
      'restored-instance-left': `> ${(26 / 24) * day} for 1`,
      'unproved-snapshot-left': `> ${(5 + 2 / 24) * day} for 1`,
      'quota-nearly-used': '> 85 for 1',
    });
  });

  it('says in each alarm what to run and what to read', () => {
    for (const { AlarmDescription } of allAlarms()) {
      expect(AlarmDescription).toMatch(
        /^[^\n]+\.\n\nFirst: (?:aws|npm run daybreak) [^\n]+\n\nThen: runbooks\/[a-z-]+\.md$/,
      );
      expect(AlarmDescription.length).toBeLessThanOrEqual(1024);
      const page = AlarmDescription.match(/runbooks\/.+\.md$/)?.[0];
      expect(existsSync(join(import.meta.dirname, '../..', page))).toBe(true);
    }
  });

  it('tells the pagers of what is urgent and the contacts of the rest, each alarm by itself, and of silence alone while pulse is silent', () => {
    const topics = Object.fromEntries(
      ofType(monitoring, 'AWS::SNS::Topic').map(([id, { Properties }]) => [Properties.TopicName, id]),
    );
    const composites = ofType(monitoring, 'AWS::CloudWatch::CompositeAlarm').map(([, { Properties }]) => Properties);
    const metricAlarms = ofType(monitoring, 'AWS::CloudWatch::Alarm');
    const told = (alarm: { AlarmActions?: unknown; OKActions?: unknown } | undefined) => {
      expect(alarm?.AlarmActions).toEqual(alarm?.OKActions);
      return alarm?.AlarmActions;
    };
    const silentId = metricAlarms.find(([, { Properties }]) => Properties.AlarmName === 'daybreak-pulse-silent')?.[0];
    const ofPulse = definitions.map(({ id }) => id).filter(id => id !== 'pulse-silent');
    for (const { id, urgent } of [...definitions, ...watch]) {
      const [logicalId, alarm] =
        metricAlarms.find(([, { Properties }]) => Properties.AlarmName === `daybreak-${id}`) ?? [];
      const notice = composites.find(({ AlarmName }) => AlarmName === `daybreak-${id}-notice`);
      const topic = [{ Ref: topics[urgent ? 'daybreak-pagers' : 'daybreak-alarms'] }];
      if (!ofPulse.includes(id)) {
        expect([id, notice, told(alarm?.Properties)]).toEqual([id, undefined, topic]);
        continue;
      }
      expect([id, told(alarm?.Properties), told(notice)]).toEqual([id, undefined, topic]);
      expect(notice).toMatchObject({
        AlarmDescription: alarm?.Properties.AlarmDescription,
        ActionsSuppressor: { 'Fn::GetAtt': [silentId, 'Arn'] },
        ActionsSuppressorWaitPeriod: 180,
        ActionsSuppressorExtensionPeriod: 180,
      });
      expect(JSON.stringify(notice?.AlarmRule)).toContain(`"${logicalId}"`);
    }
    expect(composites).toHaveLength(ofPulse.length + 1);
  });

  it('names in each notice the page, as a link where the configuration says where the pages are', () => {
    const all = [...definitions, ...watch];
    const longest = `https://git.example/${'x'.repeat(180)}`;
    const described = all.map(definition => describeAlarm(definition, { runbookBaseUrl: longest }));
    expect(described.map(text => text.split('Then: ')[1])).toEqual(all.map(({ runbook }) => `${longest}/${runbook}`));
    expect(Math.max(...described.map(({ length }) => length))).toBeLessThanOrEqual(1024);
    const [first] = definitions.map(one => describeAlarm(one, { runbookBaseUrl: 'https://git.example/runbooks/' }));
    expect(first).toMatch(/Then: https:\/\/git\.example\/runbooks\/pulse-silent\.md$/);
  });

  it('sounds the pager for what is urgent, over encrypted topics that want TLS', () => {
    const [, pager] =
      ofType(monitoring, 'AWS::CloudWatch::CompositeAlarm').find(
        ([, { Properties }]) => Properties.AlarmName === 'daybreak-pager',
      ) ?? [];
    const rule = JSON.stringify(pager?.Properties.AlarmRule);
    const logicalIds = ofType(monitoring, 'AWS::CloudWatch::Alarm').map(([id, { Properties }]) => [
      Properties.AlarmName,
      id,
    ]);
    const inRule = logicalIds.flatMap(([name, id]) => (rule.includes(`"${id}"`) ? [name] : []));
    expect(inRule).toEqual([...definitions, ...watch].filter(({ urgent }) => urgent).map(({ id }) => `daybreak-${id}`));

    const topics = ofType(monitoring, 'AWS::SNS::Topic');
    expect(topics.map(([, { Properties }]) => Properties.TopicName)).toEqual(['daybreak-alarms', 'daybreak-pagers']);
    const [[contactsId] = [], [pagersId] = []] = topics;
    const [[keyId, key] = []] = ofType(monitoring, 'AWS::KMS::Key');
    for (const [, topic] of topics) expect(topic.Properties.KmsMasterKeyId).toEqual({ 'Fn::GetAtt': [keyId, 'Arn'] });
    const conditions = {
      StringEquals: { 'aws:SourceAccount': '111122223333' },
      ArnLike: { 'aws:SourceArn': 'arn:aws:cloudwatch:eu-west-2:111122223333:alarm:daybreak-*' },
    };
    const Principal = { Service: 'cloudwatch.amazonaws.com' };
    expect(key?.Properties.KeyPolicy.Statement).toContainEqual({
      Sid: 'AlarmsEncryptNotices',
      Effect: 'Allow',
      Principal,
      Action: ['kms:Decrypt', 'kms:GenerateDataKey*'],
      Resource: '*',
      Condition: conditions,
    });
    const policies = ofType(monitoring, 'AWS::SNS::TopicPolicy');
    expect(policies.map(([, { Properties }]) => Properties.Topics)).toEqual([
      [{ Ref: contactsId }],
      [{ Ref: pagersId }],
    ]);
    for (const [, policy] of policies) {
      expect(policy.Properties.PolicyDocument.Statement).toEqual([
        expect.objectContaining({ Effect: 'Deny', Condition: { Bool: { 'aws:SecureTransport': 'false' } } }),
        expect.objectContaining({ Effect: 'Allow', Principal, Action: 'sns:Publish', Condition: conditions }),
      ]);
    }
    expect(ofType(monitoring, 'AWS::SNS::Subscription').map(([, { Properties }]) => Properties)).toEqual([
      { Protocol: 'email', Endpoint: 'backups@school-supplier.example', TopicArn: { Ref: contactsId } },
      { Protocol: 'sms', Endpoint: '+447700900123', TopicArn: { Ref: pagersId } },
    ]);
    // By these ids a deployment of an earlier version knows them.
    expect([contactsId, keyId]).toEqual(['TopicBFC7AF6E', 'TopicKeyB2E0C9CB']);
  });

  it('asks on the first row of the dashboard whether we are safe', () => {
    const [[, dashboard] = []] = ofType(monitoring, 'AWS::CloudWatch::Dashboard');
    const parts: unknown[] = dashboard?.Properties.DashboardBody['Fn::Join'][1];
    const body = JSON.parse(parts.map(part => (typeof part === 'string' ? part : 'x')).join(''));
    const firstRow = body.widgets.filter(({ y }: { y: number }) => y === 0);
    expect(firstRow.map(({ properties }: { properties: { title: string } }) => properties.title)).toEqual([
      'Are we safe?',
      'Newest good recovery point (at most 26 h)',
      'Newest passed restore test (at most 744 h)',
    ]);
    expect(firstRow[0].properties.alarms).toHaveLength(definitions.length + watch.length + 1);
  });
});

it('warns at synth where no person may read the records, and not for the example', () => {
  const warningsOf = (configuration: typeof exampleConfiguration) =>
    Annotations.fromStack(
      createApp(configuration, { bundle: false, check: false, now: new Date('2026-11-22T02:00:00Z') }).node.findChild(
        'DaybreakWorkflows',
      ) as Stack,
    )
      .findWarning('*', Match.anyValue())
      .map(({ entry }) => String(entry.data).split(':')[0]);
  expect(warningsOf({ ...exampleConfiguration, operatorRoleArns: [] })).toEqual(['operatorRoleArns names nobody']);
  expect(warningsOf(exampleConfiguration)).toEqual([]);
});

it('warns at synth a year before a root of RDS expires', () => {
  const warningsIn = (now: string) =>
    Annotations.fromStack(
      createApp(exampleConfiguration, { bundle: false, check: false, now: new Date(now) }).node.findChild(
        'DaybreakWorkflows',
      ) as Stack,
    )
      .findWarning('*', Match.stringLikeRegexp('expires within a year'))
      .map(({ entry }) => String(entry.data).split(':')[0]);
  expect(warningsIn('2060-05-20T00:00:00Z')).toEqual([]);
  expect(warningsIn('2060-05-22T00:00:00Z')).toEqual(['rds-ca-rsa2048-g1 of RDS expires within a year']);
});

it('refuses another Region at synth, with the reason', () => {
  expect(() => createApp({ ...exampleConfiguration, region: 'eu-west-1' } as never)).toThrow(
    'region: must be eu-west-2: backups of UK schools stay in the United Kingdom, and the UK has one AWS Region',
  );
});
