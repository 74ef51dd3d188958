import { REGION, type SupplierConfiguration } from '../config/configuration.ts';
import { bootstrapNames } from './bootstrap-names.ts';
import { type ManagedPolicy, managedPolicy, type PolicyStatement } from './policy-document.ts';

/** Services that a role of Daybreak is handed to. */
const PASSED_TO = [
  'cloudtrail.amazonaws.com',
  'lambda.amazonaws.com',
  'scheduler.amazonaws.com',
  'states.amazonaws.com',
];
/** What a request carries that Lambda makes of KMS for its caller. */
const THROUGH_LAMBDA = { 'kms:ViaService': `lambda.${REGION}.amazonaws.com` };
/** The tags on keys that stacks make. A school's key has another one: stacks never touch those. */
const KEY_PURPOSES = ['vault', 'register', 'trail', 'monitoring'];

/**
 * What CloudFormation's execution role may do, instead of everything: make, change and take away what the stacks hold, by
 * its names, in eu-west-2. It reads no object of the vault, and uses no key but Lambda's own, for functions' environments; it
 * deletes no bucket and no key, as the stacks retain those; and it does not change other people's roles, its own policies or
 * the permissions boundary.
 *
 * Whoever deploys chooses the code that runs under Daybreak's roles, and so can reach through it what they reach. No policy
 * of CloudFormation's role prevents that: a boundary, reviewed change sets and CloudTrail do.
 * https://docs.aws.amazon.com/cdk/v2/guide/bootstrapping-customizing.html
 */
export function executionPolicies(configuration: SupplierConfiguration): readonly ManagedPolicy[] {
  const purpose = "attached to CloudFormation's execution role by cdk bootstrap";
  return [
    managedPolicy('daybreak-deploy-vault', purpose, [...buckets(configuration), ...keys(configuration)]),
    managedPolicy('daybreak-deploy-roles', purpose, roles(configuration)),
    managedPolicy('daybreak-deploy-workflows', purpose, [...workflows(configuration), ...network(configuration)]),
    managedPolicy('daybreak-deploy-monitoring', purpose, [...monitoring(configuration), ...watch(configuration)]),
    managedPolicy('daybreak-deploy-never', purpose, never(configuration)),
  ];
}

function buckets({ account }: SupplierConfiguration): PolicyStatement[] {
  return [
    {
      Sid: 'Buckets',
      Effect: 'Allow',
      Action: [
        's3:CreateBucket',
        's3:Get*Configuration',
        's3:GetBucket*',
        's3:ListBucket',
        's3:ListTagsForResource',
        's3:PutBucketObjectLockConfiguration',
        's3:PutBucketOwnershipControls',
        's3:PutBucketPolicy',
        's3:PutBucketPublicAccessBlock',
        's3:PutBucketTagging',
        's3:PutBucketVersioning',
        's3:PutEncryptionConfiguration',
        's3:PutLifecycleConfiguration',
        's3:TagResource',
        's3:UntagResource',
      ],
      Resource: [`arn:aws:s3:::daybreak-*-${account}-${REGION}`],
    },
    // Lambda reads a function's code in the name of who creates it.
    {
      Sid: 'CodeThatWasPublished',
      Effect: 'Allow',
      Action: ['s3:GetObject'],
      Resource: [`${bootstrapNames(account).assetBucket}/*`],
    },
    // CloudFormation resolves the parameter in every template that asks for the bootstrap stack's version.
    {
      Sid: 'BootstrapVersion',
      Effect: 'Allow',
      Action: ['ssm:GetParameters'],
      Resource: [bootstrapNames(account).versionParameter],
    },
  ];
}

function keys({ account }: SupplierConfiguration): PolicyStatement[] {
  const all = `arn:aws:kms:${REGION}:${account}:key/*`;
  const ofStacks = { StringEquals: { 'aws:RequestTag/daybreak:purpose': KEY_PURPOSES } };
  return [
    // A key that does not exist yet has no ARN: its tag says that it is one of these.
    { Sid: 'MakeKeys', Effect: 'Allow', Action: ['kms:CreateKey'], Resource: '*', Condition: ofStacks },
    { Sid: 'TagNewKeys', Effect: 'Allow', Action: ['kms:TagResource'], Resource: [all], Condition: ofStacks },
    {
      Sid: 'ReadKeys',
      Effect: 'Allow',
      Action: ['kms:DescribeKey', 'kms:GetKeyPolicy', 'kms:GetKeyRotationStatus', 'kms:ListResourceTags'],
      Resource: [all],
    },
    { Sid: 'ListAliases', Effect: 'Allow', Action: ['kms:ListAliases'], Resource: '*' },
    // A new key's tags count in IAM only minutes later, and rotation and alias are set at once.
    // https://docs.aws.amazon.com/kms/latest/developerguide/abac.html
    {
      Sid: 'FinishNewKeys',
      Effect: 'Allow',
      Action: ['kms:EnableKeyRotation', 'kms:CreateAlias', 'kms:UpdateAlias', 'kms:DeleteAlias'],
      Resource: [all],
    },
    {
      Sid: 'Aliases',
      Effect: 'Allow',
      Action: ['kms:CreateAlias', 'kms:UpdateAlias', 'kms:DeleteAlias'],
      Resource: ['vault', 'signing', 'ledger', 'entries', 'tenant-ids', 'logs', 'trail', 'register', 'alarms'].map(
        name => `arn:aws:kms:${REGION}:${account}:alias/daybreak/${name}`,
      ),
    },
    {
      Sid: 'ChangeKeysOfStacks',
      Effect: 'Allow',
      Action: ['kms:EnableKey', 'kms:PutKeyPolicy', 'kms:TagResource', 'kms:UntagResource', 'kms:UpdateKeyDescription'],
      Resource: [all],
      Condition: { StringEquals: { 'aws:ResourceTag/daybreak:purpose': KEY_PURPOSES } },
    },
  ];
}

function roles({ account, permissionsBoundaryArn }: SupplierConfiguration): PolicyStatement[] {
  const own = `arn:aws:iam::${account}:role/daybreak-*`;
  const guardrails = `arn:aws:iam::${account}:policy/daybreak-guardrails`;
  const bounded =
    permissionsBoundaryArn === undefined ? {} : { StringEquals: { 'iam:PermissionsBoundary': permissionsBoundaryArn } };
  return [
    {
      Sid: 'ReadAndTagRoles',
      Effect: 'Allow',
      Action: [
        'iam:DeleteRole',
        'iam:GetRole',
        'iam:GetRolePolicy',
        'iam:ListAttachedRolePolicies',
        'iam:ListRolePolicies',
        'iam:ListRoleTags',
        'iam:TagRole',
        'iam:UntagRole',
        'iam:UpdateAssumeRolePolicy',
        'iam:UpdateRole',
        'iam:UpdateRoleDescription',
      ],
      Resource: [own],
    },
    {
      Sid: 'GiveRolesPermissions',
      Effect: 'Allow',
      Action: [
        'iam:CreateRole',
        'iam:DeleteRolePolicy',
        'iam:PutRolePolicy',
        ...(permissionsBoundaryArn === undefined ? [] : ['iam:PutRolePermissionsBoundary']),
      ],
      Resource: [own],
      ...(permissionsBoundaryArn !== undefined && { Condition: bounded }),
    },
    {
      Sid: 'AttachGuardrails',
      Effect: 'Allow',
      Action: ['iam:AttachRolePolicy', 'iam:DetachRolePolicy'],
      Resource: [own],
      Condition: { ...bounded, ArnEquals: { 'iam:PolicyARN': guardrails } },
    },
    {
      Sid: 'Guardrails',
      Effect: 'Allow',
      Action: [
        'iam:CreatePolicy',
        'iam:CreatePolicyVersion',
        'iam:DeletePolicy',
        'iam:DeletePolicyVersion',
        'iam:GetPolicy',
        'iam:GetPolicyVersion',
        'iam:ListEntitiesForPolicy',
        'iam:ListPolicyTags',
        'iam:ListPolicyVersions',
        'iam:TagPolicy',
        'iam:UntagPolicy',
      ],
      Resource: [guardrails],
    },
    {
      Sid: 'HandRolesToServices',
      Effect: 'Allow',
      Action: ['iam:PassRole'],
      Resource: [own],
      Condition: { StringEquals: { 'iam:PassedToService': PASSED_TO } },
    },
  ];
}

function workflows({ account }: SupplierConfiguration): PolicyStatement[] {
  const arn = (service: string, name: string) => `arn:aws:${service}:${REGION}:${account}:${name}`;
  return [
    {
      Sid: 'Functions',
      Effect: 'Allow',
      Action: [
        'lambda:AddPermission',
        'lambda:CreateFunction',
        'lambda:DeleteFunction',
        'lambda:DeleteFunctionConcurrency',
        'lambda:DeleteFunctionEventInvokeConfig',
        'lambda:GetFunction*',
        'lambda:GetPolicy',
        'lambda:GetRuntimeManagementConfig',
        'lambda:ListTags',
        'lambda:PutFunctionConcurrency',
        'lambda:PutFunctionEventInvokeConfig',
        'lambda:PutFunctionRecursionConfig',
        'lambda:PutRuntimeManagementConfig',
        'lambda:RemovePermission',
        'lambda:TagResource',
        'lambda:UntagResource',
        'lambda:UpdateFunctionCode',
        'lambda:UpdateFunctionConfiguration',
        'lambda:UpdateFunctionEventInvokeConfig',
      ],
      Resource: [arn('lambda', 'function:daybreak-*')],
    },
    ...environments(account),
    {
      Sid: 'StateMachines',
      Effect: 'Allow',
      Action: [
        'states:CreateStateMachine',
        'states:DeleteStateMachine',
        'states:DescribeStateMachine',
        'states:ListTagsForResource',
        'states:TagResource',
        'states:UntagResource',
        'states:UpdateStateMachine',
      ],
      Resource: [arn('states', 'stateMachine:daybreak-*')],
    },
    {
      Sid: 'Schedules',
      Effect: 'Allow',
      Action: [
        'scheduler:CreateSchedule',
        'scheduler:DeleteSchedule',
        'scheduler:GetSchedule',
        'scheduler:UpdateSchedule',
      ],
      Resource: [arn('scheduler', 'schedule/default/daybreak-*')],
    },
    // CloudFormation names most of them after the stack.
    {
      Sid: 'LogGroups',
      Effect: 'Allow',
      Action: [
        'logs:AssociateKmsKey',
        'logs:CreateLogGroup',
        'logs:DeleteLogGroup',
        'logs:DeleteMetricFilter',
        'logs:DeleteRetentionPolicy',
        'logs:DeleteSubscriptionFilter',
        'logs:DescribeMetricFilters',
        'logs:DescribeSubscriptionFilters',
        'logs:GetDataProtectionPolicy',
        'logs:ListTagsForResource',
        'logs:ListTagsLogGroup',
        'logs:PutMetricFilter',
        'logs:PutRetentionPolicy',
        'logs:PutSubscriptionFilter',
        'logs:TagLogGroup',
        'logs:TagResource',
        'logs:UntagLogGroup',
        'logs:UntagResource',
      ],
      Resource: [arn('logs', 'log-group:Daybreak*'), arn('logs', 'log-group:/daybreak/*')],
    },
    // Two of these know no resource. https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatchlogs.html
    {
      Sid: 'FindLogGroups',
      Effect: 'Allow',
      Action: ['logs:DescribeIndexPolicies', 'logs:DescribeLogGroups', 'logs:DescribeResourcePolicies'],
      Resource: '*',
    },
    {
      Sid: 'SubnetGroup',
      Effect: 'Allow',
      Action: [
        'rds:AddTagsToResource',
        'rds:CreateDBSubnetGroup',
        'rds:DeleteDBSubnetGroup',
        'rds:DescribeDBSubnetGroups',
        'rds:ListTagsForResource',
        'rds:ModifyDBSubnetGroup',
        'rds:RemoveTagsFromResource',
      ],
      Resource: [arn('rds', 'subgrp:daybreak-*')],
    },
  ];
}

/**
 * The use of the key that Lambda makes in the account for functions' environments. Lambda asks KMS in the name of who creates
 * or changes a function, so that a denial of the key is one of the function, and gives the function's role a grant.
 * https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars-encryption.html
 * https://docs.aws.amazon.com/prescriptive-guidance/latest/encryption-best-practices/lambda.html
 * https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-via-service
 */
function environments(account: string): PolicyStatement[] {
  const ofLambda = {
    StringEquals: THROUGH_LAMBDA,
    'ForAnyValue:StringEquals': { 'kms:ResourceAliases': 'alias/aws/lambda' },
  };
  const statement = { Effect: 'Allow', Resource: [`arn:aws:kms:${REGION}:${account}:key/*`] } as const;
  return [
    {
      ...statement,
      Sid: 'Environments',
      Action: ['kms:Decrypt', 'kms:Encrypt', 'kms:GenerateDataKey'],
      Condition: ofLambda,
    },
    {
      ...statement,
      Sid: 'GrantsToFunctions',
      Action: ['kms:CreateGrant'],
      Condition: { ...ofLambda, Bool: { 'kms:GrantIsForAWSResource': 'true' } },
    },
  ];
}

function network({ account, network: { vpcId, isolatedSubnets } }: SupplierConfiguration): PolicyStatement[] {
  const arn = (name: string) => `arn:aws:ec2:${REGION}:${account}:${name}`;
  const inVpc = { ArnEquals: { 'ec2:Vpc': arn(`vpc/${vpcId}`) } };
  return [
    {
      Sid: 'LookAtNetwork',
      Effect: 'Allow',
      Action: [
        'ec2:DescribeInstances',
        'ec2:DescribeNetworkInterfaces',
        'ec2:DescribeSecurityGroupRules',
        'ec2:DescribeSecurityGroups',
        'ec2:DescribeSubnets',
        'ec2:DescribeVpcEndpoints',
        'ec2:DescribeVpcs',
      ],
      Resource: '*',
    },
    {
      Sid: 'MakeInVpc',
      Effect: 'Allow',
      Action: ['ec2:CreateSecurityGroup', 'ec2:CreateVpcEndpoint'],
      Resource: [arn(`vpc/${vpcId}`)],
    },
    { Sid: 'MakeGroups', Effect: 'Allow', Action: ['ec2:CreateSecurityGroup'], Resource: [arn('security-group/*')] },
    {
      Sid: 'MakeEndpoints',
      Effect: 'Allow',
      Action: ['ec2:CreateVpcEndpoint', 'ec2:ModifyVpcEndpoint'],
      Resource: [
        arn('vpc-endpoint/*'),
        arn('security-group/*'),
        ...isolatedSubnets.map(({ subnetId }) => arn(`subnet/${subnetId}`)),
        ...new Set(isolatedSubnets.map(({ routeTableId }) => arn(`route-table/${routeTableId}`))),
      ],
    },
    {
      Sid: 'RulesOfGroups',
      Effect: 'Allow',
      Action: [
        'ec2:AuthorizeSecurityGroupEgress',
        'ec2:AuthorizeSecurityGroupIngress',
        'ec2:RevokeSecurityGroupEgress',
        'ec2:RevokeSecurityGroupIngress',
        'ec2:UpdateSecurityGroupRuleDescriptionsEgress',
        'ec2:UpdateSecurityGroupRuleDescriptionsIngress',
      ],
      Resource: [arn('security-group/*')],
      Condition: inVpc,
    },
    {
      Sid: 'NewRules',
      Effect: 'Allow',
      Action: ['ec2:AuthorizeSecurityGroupEgress', 'ec2:AuthorizeSecurityGroupIngress'],
      Resource: [arn('security-group-rule/*')],
    },
    {
      Sid: 'ChangeWhatIsOurs',
      Effect: 'Allow',
      Action: ['ec2:CreateTags', 'ec2:DeleteSecurityGroup', 'ec2:DeleteTags', 'ec2:DeleteVpcEndpoints'],
      Resource: [arn('security-group/*'), arn('vpc-endpoint/*')],
      Condition: { StringEquals: { 'aws:ResourceTag/daybreak:purpose': 'workflow' } },
    },
    {
      Sid: 'TagWhatIsMade',
      Effect: 'Allow',
      Action: ['ec2:CreateTags'],
      Resource: [arn('security-group/*'), arn('vpc-endpoint/*')],
      Condition: { StringEquals: { 'ec2:CreateAction': ['CreateSecurityGroup', 'CreateVpcEndpoint'] } },
    },
  ];
}

function monitoring({ account }: SupplierConfiguration): PolicyStatement[] {
  const alarms = `arn:aws:cloudwatch:${REGION}:${account}:alarm:daybreak-*`;
  const dashboard = `arn:aws:cloudwatch::${account}:dashboard/daybreak*`;
  return [
    {
      Sid: 'Alarms',
      Effect: 'Allow',
      Action: ['cloudwatch:PutMetricAlarm', 'cloudwatch:TagResource', 'cloudwatch:UntagResource'],
      Resource: [alarms],
    },
    // CloudWatch takes calls about composite alarms only from who may make them of every alarm.
    // https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html
    {
      Sid: 'CompositeAlarms',
      Effect: 'Allow',
      Action: [
        'cloudwatch:DeleteAlarms',
        'cloudwatch:DescribeAlarms',
        'cloudwatch:ListTagsForResource',
        'cloudwatch:PutCompositeAlarm',
      ],
      Resource: '*',
    },
    {
      Sid: 'Dashboard',
      Effect: 'Allow',
      Action: [
        'cloudwatch:DeleteDashboards',
        'cloudwatch:GetDashboard',
        'cloudwatch:PutDashboard',
        'cloudwatch:TagResource',
        'cloudwatch:UntagResource',
      ],
      Resource: [dashboard],
    },
    {
      Sid: 'Topic',
      Effect: 'Allow',
      Action: [
        'sns:CreateTopic',
        'sns:DeleteTopic',
        'sns:GetDataProtectionPolicy',
        'sns:GetTopicAttributes',
        'sns:ListSubscriptionsByTopic',
        'sns:ListTagsForResource',
        'sns:SetTopicAttributes',
        'sns:Subscribe',
        'sns:TagResource',
        'sns:UntagResource',
      ],
      Resource: [`arn:aws:sns:${REGION}:${account}:daybreak-*`],
    },
    // These know no resource. https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsns.html
    {
      Sid: 'Subscriptions',
      Effect: 'Allow',
      Action: ['sns:GetSubscriptionAttributes', 'sns:SetSubscriptionAttributes', 'sns:Unsubscribe'],
      Resource: '*',
    },
  ];
}

/** What notices tampering: the trail, the rules over its events, and what they could not deliver. */
function watch({ account }: SupplierConfiguration): PolicyStatement[] {
  const arn = (service: string, name: string) => `arn:aws:${service}:${REGION}:${account}:${name}`;
  return [
    {
      Sid: 'Trail',
      Effect: 'Allow',
      Action: [
        'cloudtrail:AddTags',
        'cloudtrail:CreateTrail',
        'cloudtrail:DeleteTrail',
        'cloudtrail:GetEventConfiguration',
        'cloudtrail:GetEventSelectors',
        'cloudtrail:GetInsightSelectors',
        'cloudtrail:GetTrail',
        'cloudtrail:GetTrailStatus',
        'cloudtrail:ListTags',
        'cloudtrail:PutEventSelectors',
        'cloudtrail:RemoveTags',
        'cloudtrail:StartLogging',
        'cloudtrail:UpdateTrail',
      ],
      Resource: [arn('cloudtrail', 'trail/daybreak*')],
    },
    { Sid: 'FindTrails', Effect: 'Allow', Action: ['cloudtrail:DescribeTrails'], Resource: '*' },
    {
      Sid: 'Rules',
      Effect: 'Allow',
      Action: [
        'events:DeleteRule',
        'events:DescribeRule',
        'events:ListTagsForResource',
        'events:ListTargetsByRule',
        'events:PutRule',
        'events:PutTargets',
        'events:RemoveTargets',
        'events:TagResource',
        'events:UntagResource',
      ],
      Resource: [arn('events', 'rule/daybreak-*')],
    },
    {
      Sid: 'Queues',
      Effect: 'Allow',
      Action: [
        'sqs:CreateQueue',
        'sqs:DeleteQueue',
        'sqs:GetQueueAttributes',
        'sqs:GetQueueUrl',
        'sqs:ListQueueTags',
        'sqs:SetQueueAttributes',
        'sqs:TagQueue',
        'sqs:UntagQueue',
      ],
      Resource: [arn('sqs', 'daybreak-*')],
    },
  ];
}

/** Whatever else the role comes to be allowed, by these policies or others. */
function never({ account, permissionsBoundaryArn }: SupplierConfiguration): PolicyStatement[] {
  const deny = (Sid: string, Action: readonly string[], Resource: PolicyStatement['Resource'] = '*') =>
    ({ Sid, Effect: 'Deny', Action, Resource }) as const;
  return [
    {
      Sid: 'OtherRegions',
      Effect: 'Deny',
      // IAM answers in us-east-1.
      NotAction: ['iam:*'],
      Resource: '*',
      Condition: { StringNotEquals: { 'aws:RequestedRegion': REGION } },
    },
    deny(
      'Objects',
      [
        's3:*Object',
        's3:*ObjectVersion',
        's3:*ObjectRetention',
        's3:*ObjectLegalHold',
        's3:*ObjectTagging',
        's3:*ObjectAcl',
        's3:BypassGovernanceRetention',
      ],
      [`arn:aws:s3:::daybreak-*-${account}-${REGION}/*`],
    ),
    deny('Buckets', ['s3:DeleteBucket', 's3:DeleteBucketPolicy'], [`arn:aws:s3:::daybreak-*-${account}-${REGION}`]),
    deny('Keys', [
      'kms:DeleteImportedKeyMaterial',
      'kms:DisableKey',
      'kms:DisableKeyRotation',
      'kms:GenerateMac',
      'kms:ReEncrypt*',
      'kms:ReplicateKey',
      'kms:ScheduleKeyDeletion',
      'kms:Sign',
    ]),
    // No function could be created otherwise. What else goes through Lambda the keys' own policies do not let in.
    {
      Sid: 'KeysButThroughLambda',
      Effect: 'Deny',
      Action: ['kms:CreateGrant', 'kms:Encrypt', 'kms:GenerateDataKey*'],
      Resource: '*',
      Condition: { StringNotEquals: THROUGH_LAMBDA },
    },
    // https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-grant-is-for-aws-resource
    {
      Sid: 'GrantsByHand',
      Effect: 'Deny',
      Action: ['kms:CreateGrant'],
      Resource: '*',
      Condition: { BoolIfExists: { 'kms:GrantIsForAWSResource': 'false' } },
    },
    {
      Sid: 'Reading',
      Effect: 'Deny',
      Action: ['kms:Decrypt'],
      Resource: '*',
      // The bucket of published code is encrypted too, under a key of S3's own, and functions' environments under Lambda's.
      Condition: {
        StringNotLike: { 'kms:EncryptionContext:aws:s3:arn': `${bootstrapNames(account).assetBucket}*` },
        StringNotEquals: THROUGH_LAMBDA,
      },
    },
    deny('Databases', [
      'rds-db:connect',
      'rds:DeleteDBInstance*',
      'rds:DeleteDBSnapshot',
      'rds:ModifyDBInstance',
      'rds:ModifyDBSnapshotAttribute',
      'rds:RestoreDB*',
    ]),
    deny('Running', ['lambda:InvokeFunction', 'states:StartExecution', 'sts:AssumeRole']),
    deny('People', [
      'iam:AddUserToGroup',
      'iam:AttachGroupPolicy',
      'iam:AttachUserPolicy',
      'iam:CreateAccessKey',
      'iam:CreateGroup',
      'iam:CreateLoginProfile',
      'iam:CreateUser',
      'iam:PutGroupPolicy',
      'iam:PutUserPolicy',
      'iam:UpdateLoginProfile',
    ]),
    deny(
      'OtherRoles',
      ['iam:*Role', 'iam:*RolePolicy', 'iam:*RolePermissionsBoundary', 'iam:UpdateAssumeRolePolicy'],
      [`arn:aws:iam::${account}:role/cdk-*`, `arn:aws:iam::${account}:role/aws-*`],
    ),
    deny(
      'OwnPermissions',
      ['iam:CreatePolicyVersion', 'iam:DeletePolicy', 'iam:DeletePolicyVersion', 'iam:SetDefaultPolicyVersion'],
      [
        `arn:aws:iam::${account}:policy/daybreak-deploy-*`,
        ...(permissionsBoundaryArn === undefined ? [] : [permissionsBoundaryArn]),
      ],
    ),
    ...(permissionsBoundaryArn === undefined ? [] : [deny('Boundary', ['iam:DeleteRolePermissionsBoundary'])]),
  ];
}
