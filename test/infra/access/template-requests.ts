import { REGION } from '../../../infra/config/configuration.ts';

/** One resource of a synthesized template. */
export interface TemplateResource {
  readonly Type: string;
  readonly DeletionPolicy?: string;
  readonly UpdateReplacePolicy?: string;
  // biome-ignore lint/suspicious/noExplicitAny: templates are JSON; what is read of them is what the CDK wrote.
  readonly Properties: any;
}
export interface Template {
  readonly stack: string;
  readonly Resources: Readonly<Record<string, TemplateResource>>;
}

/** What IAM is asked when CloudFormation does something about a resource. */
export interface IamRequest {
  readonly resource: string;
  readonly context: Readonly<Record<string, string | readonly string[]>>;
  readonly resourcePolicy?: unknown;
}

/** That of the key which S3 makes itself. https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html */
const S3_KEY_POLICY = {
  Version: '2012-10-17',
  Statement: [
    {
      Effect: 'Allow',
      Principal: { AWS: '*' },
      Action: ['kms:Encrypt', 'kms:Decrypt', 'kms:ReEncrypt*', 'kms:GenerateDataKey*', 'kms:DescribeKey'],
      Resource: '*',
      Condition: { StringEquals: { 'kms:ViaService': `s3.${REGION}.amazonaws.com` } },
    },
  ],
};

/**
 * That of the key which Lambda makes for environments.
 * https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars-encryption.html
 */
const LAMBDA_KEY_POLICY = {
  Version: '2012-10-17',
  Statement: [
    {
      Effect: 'Allow',
      Principal: { AWS: '*' },
      Action: [
        'kms:Encrypt',
        'kms:Decrypt',
        'kms:ReEncrypt*',
        'kms:GenerateDataKey*',
        'kms:CreateGrant',
        'kms:DescribeKey',
      ],
      Resource: '*',
      Condition: { StringEquals: { 'kms:ViaService': `lambda.${REGION}.amazonaws.com` } },
    },
  ],
};

/** Actions that AWS asks about with no resource. https://docs.aws.amazon.com/service-authorization/latest/reference/ */
const WITHOUT_RESOURCE =
  /^(?:ec2:Describe\w+|kms:(?:CreateKey|ListAliases)|sns:(?:Unsubscribe|[GS]etSubscriptionAttributes)|cloudwatch:(?:DescribeAlarms|DeleteAlarms|PutCompositeAlarm)|elasticfilesystem:\w+|firehose:\w+|s3tables:\w+|logs:Describe(?:LogGroups|IndexPolicies|ResourcePolicies)|vpce?-?\w*:\w+)$/;
const SERVICE_OF: Readonly<Record<string, string>> = {
  'AWS::CloudTrail::Trail': 'cloudtrail.amazonaws.com',
  'AWS::Lambda::Function': 'lambda.amazonaws.com',
  'AWS::Scheduler::Schedule': 'scheduler.amazonaws.com',
  'AWS::StepFunctions::StateMachine': 'states.amazonaws.com',
};

/**
 * The requests that an action on a resource stands for, with the names that the resource gets in the account. What
 * CloudFormation names by itself begins with the stack's name and the logical id.
 * @throws Error naming a type whose names are not known here.
 */
export function requestsOf(
  action: string,
  logicalId: string,
  { stack, Resources }: Template,
  account: string,
): readonly IamRequest[] {
  const found = Resources[logicalId];
  if (found === undefined) throw new Error(`${stack} has no resource ${logicalId}`);
  const { Type, Properties: properties } = found;
  const arn = (service: string, name: string) => `arn:aws:${service}:${REGION}:${account}:${name}`;
  const named = (value: unknown, type: string, property: string): string => {
    const id = logicalIdIn(value);
    const name = id === undefined ? value : (Resources[id]?.Properties[property] ?? `${type}-${id}`);
    if (typeof name !== 'string') throw new Error(`${stack}.${logicalId}: ${JSON.stringify(value)} names nothing`);
    return name;
  };
  const tags: Record<string, string> = Object.fromEntries(
    (Array.isArray(properties.Tags) ? properties.Tags : []).map(({ Key, Value }: Record<string, string>) => [
      Key,
      Value,
    ]),
  );
  const isCreated = /:Create|^kms:TagResource$/.test(action);
  const context: Record<string, string | readonly string[]> = Object.fromEntries(
    Object.entries(tags).map(([key, value]) => [`aws:${isCreated ? 'Request' : 'Resource'}Tag/${key}`, value]),
  );
  const one = (resource: string, more: Record<string, string> = {}): IamRequest[] => [
    { resource, context: { ...context, ...more } },
  ];
  const role = (value: unknown) => `arn:aws:iam::${account}:role/${named(value, 'role', 'RoleName')}`;

  if (action === 'iam:PassRole') {
    const passed =
      properties.Role ??
      properties.RoleArn ??
      properties.CloudWatchLogsRoleArn ??
      properties.Target?.RoleArn ??
      'arn:aws:iam::none:role/none';
    return one(role(passed), { 'iam:PassedToService': SERVICE_OF[Type] ?? 'none' });
  }
  if (WITHOUT_RESOURCE.test(action)) return one('*');
  switch (Type) {
    case 'AWS::CloudTrail::Trail':
      if (action === 'iam:GetRole') return one(role(properties.CloudWatchLogsRoleArn));
      return action.startsWith('cloudtrail:')
        ? one(action === 'cloudtrail:DescribeTrails' ? '*' : arn('cloudtrail', `trail/${properties.TrailName}`))
        : one('*');
    case 'AWS::CloudWatch::Alarm':
    case 'AWS::CloudWatch::CompositeAlarm':
      return one(arn('cloudwatch', `alarm:${properties.AlarmName}`));
    case 'AWS::CloudWatch::Dashboard':
      return one(`arn:aws:cloudwatch::${account}:dashboard/${properties.DashboardName}`);
    case 'AWS::EC2::SecurityGroup':
    case 'AWS::EC2::SecurityGroupEgress':
    case 'AWS::EC2::SecurityGroupIngress':
      return securityGroupRequests(action, properties, Resources, account, context);
    case 'AWS::EC2::VPCEndpoint': {
      const ours = one(arn('ec2', 'vpc-endpoint/vpce-00000000'), {
        ...(action === 'ec2:CreateTags' && { 'ec2:CreateAction': 'CreateVpcEndpoint' }),
      });
      if (!/VpcEndpoint$/.test(action)) return ours;
      const parts = [
        ...(action === 'ec2:CreateVpcEndpoint' ? [`vpc/${properties.VpcId}`] : []),
        ...(properties.SubnetIds ?? []).map((id: string) => `subnet/${id}`),
        ...(properties.RouteTableIds ?? []).map((id: string) => `route-table/${id}`),
        ...(properties.SecurityGroupIds ?? []).map(() => 'security-group/sg-00000000'),
      ];
      return [...ours, ...parts.flatMap(part => one(arn('ec2', part)))];
    }
    case 'AWS::Events::Rule':
      return one(arn('events', `rule/${properties.Name}`));
    case 'AWS::IAM::ManagedPolicy':
      return /RolePolicy$/.test(action)
        ? one(`arn:aws:iam::${account}:role/daybreak-scheduler`, {
            ...boundaryOf(Object.values(Resources).find(({ Type }) => Type === 'AWS::IAM::Role')?.Properties),
            'iam:PolicyARN': `arn:aws:iam::${account}:policy/${properties.ManagedPolicyName}`,
          })
        : one(`arn:aws:iam::${account}:policy/${properties.ManagedPolicyName}`);
    case 'AWS::IAM::Policy':
      return (properties.Roles as unknown[]).flatMap(value =>
        one(role(value), boundaryOf(Resources[logicalIdIn(value) ?? '']?.Properties)),
      );
    case 'AWS::IAM::Role': {
      const resource = `arn:aws:iam::${account}:role/${properties.RoleName}`;
      if (!/tachRolePolicy$/.test(action)) return one(resource, boundaryOf(properties));
      return (properties.ManagedPolicyArns ?? []).flatMap((value: unknown) =>
        one(resource, { ...boundaryOf(properties), 'iam:PolicyARN': policyArn(value, Resources, account) }),
      );
    }
    case 'AWS::KMS::Alias':
      return [
        ...one(arn('kms', properties.AliasName)),
        ...one(arn('kms', `key/00000000-${logicalIdIn(properties.TargetKeyId)}`)),
      ];
    case 'AWS::KMS::Key':
      return one(arn('kms', `key/00000000-${logicalId}`));
    case 'AWS::Lambda::Function':
      if (action.startsWith('kms:')) return keyRequests(action, properties, arn);
      return action.startsWith('s3:')
        ? one(`arn:aws:s3:::${assetBucket(properties)}/code.zip`)
        : one(arn('lambda', `function:${properties.FunctionName}`));
    case 'AWS::Lambda::EventInvokeConfig':
    case 'AWS::Lambda::Permission': {
      const name = named(properties.FunctionName, 'function', 'FunctionName');
      return one(name.startsWith('arn:') ? name : arn('lambda', `function:${name}`));
    }
    case 'AWS::Logs::MetricFilter':
    case 'AWS::Logs::SubscriptionFilter':
      return one(arn('logs', `log-group:${named(properties.LogGroupName, 'log-group', 'LogGroupName')}`));
    case 'AWS::Logs::LogGroup':
      return action.startsWith('s3:')
        ? one('arn:aws:s3:::elsewhere/*')
        : one(arn('logs', `log-group:${properties.LogGroupName ?? `${stack}-${logicalId}-X`}`));
    case 'AWS::RDS::DBSubnetGroup':
      if (action === 'iam:CreateServiceLinkedRole') return one('*');
      return one(arn('rds', `subgrp:${properties.DBSubnetGroupName}`));
    case 'AWS::S3::Bucket':
      return one(`arn:aws:s3:::${properties.BucketName}${/Object(?:Acl)?$/.test(action) ? '/any' : ''}`);
    case 'AWS::S3::BucketPolicy':
      return one(`arn:aws:s3:::${named(properties.Bucket, 'bucket', 'BucketName')}`);
    case 'AWS::SNS::Subscription':
      return one(arn('sns', named(properties.TopicArn, 'topic', 'TopicName')));
    case 'AWS::SNS::Topic':
      return action.startsWith('iam:')
        ? one(`arn:aws:iam::${account}:role/none`)
        : one(arn('sns', properties.TopicName));
    case 'AWS::SNS::TopicPolicy':
      return (properties.Topics as unknown[]).flatMap(value => one(arn('sns', named(value, 'topic', 'TopicName'))));
    case 'AWS::SQS::Queue':
      return one(arn('sqs', properties.QueueName ?? `${stack}-${logicalId}-X`));
    case 'AWS::SQS::QueuePolicy':
      return (properties.Queues as unknown[]).flatMap(value => one(arn('sqs', named(value, 'queue', 'QueueName'))));
    case 'AWS::Scheduler::Schedule':
      return one(arn('scheduler', `schedule/default/${properties.Name}`));
    case 'AWS::StepFunctions::StateMachine':
      if (action.startsWith('kms:')) return one(arn('kms', 'key/of-a-state-machine'));
      return action.startsWith('s3:')
        ? one('arn:aws:s3:::elsewhere/*')
        : one(arn('states', `stateMachine:${properties.StateMachineName}`));
    default:
      throw new Error(`${Type} (${stack}.${logicalId}): say here under which names CloudFormation asks IAM about it`);
  }
}

/**
 * What Lambda asks of KMS in the name of who creates or changes a function: to read the code, of the key of its bucket, and
 * for the environment, of the function's key: without one, of a key that Lambda makes in the account.
 */
function keyRequests(
  action: string,
  { KmsKeyArn, FunctionName, Code }: TemplateResource['Properties'],
  arn: (service: string, name: string) => string,
): readonly IamRequest[] {
  if (KmsKeyArn !== undefined)
    throw new Error(`${FunctionName} has a key of its own: say here what its policy lets in`);
  const ofCode: IamRequest = {
    resource: arn('kms', 'key/of-s3'),
    context: {
      'kms:ViaService': `s3.${REGION}.amazonaws.com`,
      'kms:EncryptionContext:aws:s3:arn': `arn:aws:s3:::${Code.S3Bucket}`,
    },
    resourcePolicy: S3_KEY_POLICY,
  };
  const ofEnvironment: IamRequest = {
    resource: arn('kms', 'key/of-lambda'),
    context: {
      'kms:ViaService': `lambda.${REGION}.amazonaws.com`,
      'kms:ResourceAliases': ['alias/aws/lambda'],
      'kms:EncryptionContext:aws:lambda:FunctionArn': arn('lambda', `function:${FunctionName}`),
      ...(action === 'kms:CreateGrant' && { 'kms:GrantIsForAWSResource': 'true' }),
    },
    resourcePolicy: LAMBDA_KEY_POLICY,
  };
  // The key is made with the first function of the account, whose environment finds no alias on it yet.
  const { 'kms:ResourceAliases': _, ...atFirst } = ofEnvironment.context;
  const ofFirstEnvironment = { ...ofEnvironment, context: atFirst };
  return [...(action === 'kms:Decrypt' ? [ofCode] : []), ofEnvironment, ofFirstEnvironment];
}

function securityGroupRequests(
  action: string,
  properties: TemplateResource['Properties'],
  resources: Template['Resources'],
  account: string,
  context: IamRequest['context'],
): IamRequest[] {
  const arn = (name: string) => `arn:aws:ec2:${REGION}:${account}:${name}`;
  const group = resources[logicalIdIn(properties.GroupId) ?? '']?.Properties ?? properties;
  const vpc =
    group.VpcId ?? Object.values(resources).find(({ Type }) => Type === 'AWS::EC2::SecurityGroup')?.Properties.VpcId;
  const inVpc = { ...context, 'ec2:Vpc': arn(`vpc/${vpc}`) };
  if (action === 'ec2:CreateSecurityGroup') {
    return [
      { resource: arn(`vpc/${vpc}`), context: {} },
      { resource: arn('security-group/*'), context },
    ];
  }
  const made = action === 'ec2:CreateTags' ? { 'ec2:CreateAction': 'CreateSecurityGroup' } : {};
  const ours = { resource: arn('security-group/sg-00000000'), context: { ...inVpc, ...made } };
  const isNewRule = /^ec2:Authorize/.test(action);
  return [ours, ...(isNewRule ? [{ resource: arn('security-group-rule/*'), context: {} }] : [])];
}

function logicalIdIn(value: unknown): string | undefined {
  const { Ref, 'Fn::GetAtt': attribute } = (typeof value === 'object' && value !== null ? value : {}) as {
    Ref?: string;
    'Fn::GetAtt'?: readonly string[];
  };
  return Ref ?? attribute?.[0];
}

function policyArn(value: unknown, resources: Template['Resources'], account: string): string {
  if (typeof value === 'string') return value;
  const name = resources[logicalIdIn(value) ?? '']?.Properties.ManagedPolicyName;
  if (name === undefined) throw new Error(`a managed policy that is not known here: ${JSON.stringify(value)}`);
  return `arn:aws:iam::${account}:policy/${name}`;
}

function boundaryOf(role: TemplateResource['Properties']): Record<string, string> {
  const boundary = role?.PermissionsBoundary;
  return boundary === undefined ? {} : { 'iam:PermissionsBoundary': boundary };
}

function assetBucket({ Code }: TemplateResource['Properties']): string {
  return String(Code.S3Bucket);
}
