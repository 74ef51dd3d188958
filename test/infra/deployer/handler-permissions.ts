/**
 * What CloudFormation's role has to be allowed for each type of resource: the permissions that the type's schema in the
 * registry states for its handlers (`aws cloudformation describe-type --type RESOURCE --type-name …`), as they stand there.
 * https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html#schema-properties-handlers
 * Where a schema states none, the calls that CloudFormation makes according to the page that is named.
 */
export interface HandlerPermissions {
  readonly create: readonly string[];
  readonly read: readonly string[];
  readonly update: readonly string[];
  readonly delete: readonly string[];
  /** For a schema that states none. */
  readonly source?: string;
}

const all = (service: string, names: string) => names.split(' ').map(name => `${service}:${name}`);

export const HANDLER_PERMISSIONS: Readonly<Record<string, HandlerPermissions>> = {
  'AWS::CloudTrail::Trail': {
    create: [
      ...all(
        'cloudtrail',
        'CreateTrail StartLogging AddTags PutEventSelectors PutInsightSelectors PutEventConfiguration',
      ),
      ...all('iam', 'GetRole PassRole CreateServiceLinkedRole'),
      ...all('organizations', 'DescribeOrganization ListAWSServiceAccessForOrganization'),
    ],
    read: all(
      'cloudtrail',
      'GetTrail GetTrailStatus ListTags GetEventSelectors GetInsightSelectors GetEventConfiguration DescribeTrails',
    ),
    update: [
      ...all(
        'cloudtrail',
        'UpdateTrail StartLogging StopLogging AddTags RemoveTags PutEventSelectors PutInsightSelectors PutEventConfiguration GetTrail DescribeTrails',
      ),
      ...all('iam', 'GetRole PassRole CreateServiceLinkedRole'),
      ...all('organizations', 'DescribeOrganization ListAWSServiceAccessForOrganization'),
    ],
    delete: all('cloudtrail', 'DeleteTrail'),
  },
  'AWS::CloudWatch::Alarm': {
    create: all('cloudwatch', 'PutMetricAlarm DescribeAlarms TagResource'),
    read: all('cloudwatch', 'DescribeAlarms ListTagsForResource'),
    update: all('cloudwatch', 'PutMetricAlarm DescribeAlarms TagResource UntagResource'),
    delete: all('cloudwatch', 'DeleteAlarms DescribeAlarms'),
  },
  'AWS::CloudWatch::CompositeAlarm': {
    create: all('cloudwatch', 'DescribeAlarms PutCompositeAlarm'),
    read: all('cloudwatch', 'DescribeAlarms'),
    update: all('cloudwatch', 'DescribeAlarms PutCompositeAlarm'),
    delete: all('cloudwatch', 'DescribeAlarms DeleteAlarms'),
  },
  'AWS::CloudWatch::Dashboard': {
    create: all('cloudwatch', 'PutDashboard GetDashboard TagResource'),
    read: all('cloudwatch', 'GetDashboard ListTagsForResource'),
    update: all('cloudwatch', 'PutDashboard TagResource UntagResource ListTagsForResource'),
    delete: all('cloudwatch', 'DeleteDashboards GetDashboard'),
  },
  'AWS::EC2::SecurityGroup': {
    create: all(
      'ec2',
      'CreateSecurityGroup DescribeSecurityGroups RevokeSecurityGroupEgress AuthorizeSecurityGroupEgress AuthorizeSecurityGroupIngress CreateTags',
    ),
    read: all('ec2', 'DescribeSecurityGroups'),
    update: all(
      'ec2',
      'RevokeSecurityGroupEgress RevokeSecurityGroupIngress DescribeSecurityGroups AuthorizeSecurityGroupEgress AuthorizeSecurityGroupIngress UpdateSecurityGroupRuleDescriptionsIngress UpdateSecurityGroupRuleDescriptionsEgress CreateTags DeleteTags',
    ),
    delete: all('ec2', 'DescribeSecurityGroups DeleteSecurityGroup DescribeInstances'),
  },
  'AWS::EC2::SecurityGroupEgress': {
    create: all('ec2', 'AuthorizeSecurityGroupEgress DescribeSecurityGroupRules'),
    read: all('ec2', 'DescribeSecurityGroups DescribeSecurityGroupRules'),
    update: all('ec2', 'UpdateSecurityGroupRuleDescriptionsEgress'),
    delete: all('ec2', 'RevokeSecurityGroupEgress DescribeSecurityGroupRules'),
    source: 'https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AuthorizeSecurityGroupEgress.html',
  },
  'AWS::EC2::SecurityGroupIngress': {
    create: all('ec2', 'AuthorizeSecurityGroupIngress DescribeSecurityGroupRules'),
    read: all('ec2', 'DescribeSecurityGroups DescribeSecurityGroupRules'),
    update: all('ec2', 'UpdateSecurityGroupRuleDescriptionsIngress'),
    delete: all('ec2', 'RevokeSecurityGroupIngress DescribeSecurityGroupRules'),
    source: 'https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AuthorizeSecurityGroupIngress.html',
  },
  'AWS::EC2::VPCEndpoint': {
    create: [
      ...all(
        'ec2',
        'CreateVpcEndpoint DescribeVpcEndpoints DescribeSubnets DescribeSecurityGroups CreateTags DeleteTags DescribeVpcs',
      ),
      ...all('vpc-lattice', 'CreateServiceNetworkVpcEndpointAssociation DescribeServiceNetworkVpcEndpointAssociation'),
      'vpce:AllowMultiRegion',
    ],
    read: [
      ...all('ec2', 'DescribeVpcEndpoints DescribeSubnets DescribeSecurityGroups DescribeVpcs'),
      'vpc-lattice:DescribeServiceNetworkVpcEndpointAssociation',
    ],
    update: [
      ...all(
        'ec2',
        'ModifyVpcEndpoint DescribeVpcEndpoints DescribeSubnets DescribeSecurityGroups CreateTags DeleteTags DescribeVpcs',
      ),
      ...all('vpc-lattice', 'CreateServiceNetworkVpcEndpointAssociation DescribeServiceNetworkVpcEndpointAssociation'),
      'vpce:AllowMultiRegion',
    ],
    delete: [
      ...all(
        'ec2',
        'DeleteVpcEndpoints DescribeVpcEndpoints DescribeSubnets DescribeSecurityGroups CreateTags DeleteTags DescribeVpcs',
      ),
      'vpc-lattice:DescribeServiceNetworkVpcEndpointAssociation',
      'vpce:AllowMultiRegion',
    ],
  },
  'AWS::Events::Rule': {
    create: ['iam:PassRole', ...all('events', 'DescribeRule PutRule PutTargets')],
    read: ['iam:PassRole', ...all('events', 'DescribeRule ListTargetsByRule')],
    update: ['iam:PassRole', ...all('events', 'DescribeRule PutRule RemoveTargets PutTargets')],
    delete: ['iam:PassRole', ...all('events', 'DescribeRule DeleteRule RemoveTargets ListTargetsByRule')],
  },
  'AWS::IAM::ManagedPolicy': {
    create: all('iam', 'CreatePolicy AttachGroupPolicy AttachUserPolicy AttachRolePolicy'),
    read: all('iam', 'GetPolicy ListEntitiesForPolicy GetPolicyVersion'),
    update: all(
      'iam',
      'DetachRolePolicy GetPolicy ListPolicyVersions DetachGroupPolicy DetachUserPolicy CreatePolicyVersion DeletePolicyVersion AttachGroupPolicy AttachUserPolicy AttachRolePolicy',
    ),
    delete: all(
      'iam',
      'DetachRolePolicy GetPolicy ListPolicyVersions DetachGroupPolicy DetachUserPolicy DeletePolicyVersion DeletePolicy ListEntitiesForPolicy',
    ),
    source: 'https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_managed-versioning.html',
  },
  'AWS::IAM::Policy': {
    create: all('iam', 'PutRolePolicy PutGroupPolicy PutUserPolicy'),
    read: all('iam', 'GetRolePolicy GetGroupPolicy GetUserPolicy'),
    update: all(
      'iam',
      'PutRolePolicy DeleteRolePolicy PutGroupPolicy DeleteGroupPolicy PutUserPolicy DeleteUserPolicy',
    ),
    delete: all('iam', 'DeleteRolePolicy DeleteGroupPolicy DeleteUserPolicy'),
    source: 'https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-iam-policy.html',
  },
  'AWS::IAM::Role': {
    create: all('iam', 'CreateRole PutRolePolicy AttachRolePolicy GetRolePolicy TagRole UntagRole GetRole'),
    read: all('iam', 'GetRole ListAttachedRolePolicies ListRolePolicies GetRolePolicy'),
    update: all(
      'iam',
      'UpdateRole UpdateRoleDescription UpdateAssumeRolePolicy DetachRolePolicy AttachRolePolicy DeleteRolePermissionsBoundary PutRolePermissionsBoundary DeleteRolePolicy PutRolePolicy TagRole UntagRole',
    ),
    delete: all(
      'iam',
      'DeleteRole DetachRolePolicy DeleteRolePolicy GetRole ListAttachedRolePolicies ListRolePolicies TagRole UntagRole',
    ),
  },
  'AWS::KMS::Alias': {
    create: all('kms', 'CreateAlias'),
    read: all('kms', 'ListAliases'),
    update: all('kms', 'UpdateAlias'),
    delete: all('kms', 'DeleteAlias'),
  },
  'AWS::KMS::Key': {
    create: all('kms', 'CreateKey EnableKeyRotation DisableKey TagResource PutKeyPolicy'),
    read: all('kms', 'DescribeKey GetKeyPolicy GetKeyRotationStatus ListResourceTags'),
    update: all(
      'kms',
      'DescribeKey DisableKey DisableKeyRotation EnableKey EnableKeyRotation PutKeyPolicy TagResource UntagResource UpdateKeyDescription ListResourceTags',
    ),
    delete: all('kms', 'DescribeKey ScheduleKeyDeletion'),
  },
  'AWS::Lambda::EventInvokeConfig': {
    create: all('lambda', 'PutFunctionEventInvokeConfig'),
    read: all('lambda', 'GetFunctionEventInvokeConfig'),
    update: all('lambda', 'UpdateFunctionEventInvokeConfig'),
    delete: all('lambda', 'DeleteFunctionEventInvokeConfig'),
  },
  'AWS::Lambda::Function': {
    create: [
      ...all(
        'lambda',
        'CreateFunction GetFunction PutFunctionConcurrency GetCodeSigningConfig GetFunctionCodeSigningConfig GetLayerVersion GetRuntimeManagementConfig PutRuntimeManagementConfig TagResource PutFunctionRecursionConfig GetFunctionRecursionConfig',
      ),
      'iam:PassRole',
      ...all('s3', 'GetObject GetObjectVersion'),
      ...all('ec2', 'DescribeSecurityGroups DescribeSubnets DescribeVpcs'),
      'elasticfilesystem:DescribeMountTargets',
      ...all('kms', 'CreateGrant Decrypt Encrypt GenerateDataKey'),
    ],
    read: all(
      'lambda',
      'GetFunction GetFunctionCodeSigningConfig GetFunctionRecursionConfig GetRuntimeManagementConfig',
    ),
    update: [
      ...all(
        'lambda',
        'DeleteFunctionConcurrency GetFunction PutFunctionConcurrency TagResource UntagResource UpdateFunctionConfiguration UpdateFunctionCode GetRuntimeManagementConfig PutRuntimeManagementConfig PutFunctionCodeSigningConfig DeleteFunctionCodeSigningConfig GetCodeSigningConfig GetFunctionCodeSigningConfig PutFunctionRecursionConfig GetFunctionRecursionConfig',
      ),
      'iam:PassRole',
      ...all('s3', 'GetObject GetObjectVersion'),
      ...all('ec2', 'DescribeSecurityGroups DescribeSubnets DescribeVpcs'),
      'elasticfilesystem:DescribeMountTargets',
      ...all('kms', 'CreateGrant Decrypt GenerateDataKey'),
    ],
    delete: [...all('lambda', 'DeleteFunction GetFunction'), 'ec2:DescribeNetworkInterfaces'],
  },
  'AWS::Lambda::Permission': {
    create: all('lambda', 'AddPermission'),
    read: all('lambda', 'GetPolicy'),
    update: [],
    delete: all('lambda', 'RemovePermission'),
  },
  'AWS::Logs::LogGroup': {
    create: [
      ...all(
        'logs',
        'DescribeLogGroups CreateLogGroup PutRetentionPolicy TagLogGroup TagResource GetDataProtectionPolicy PutDataProtectionPolicy CreateLogDelivery PutResourcePolicy DescribeResourcePolicies',
      ),
      's3:REST.PUT.OBJECT',
      'firehose:TagDeliveryStream',
    ],
    read: all('logs', 'DescribeLogGroups ListTagsLogGroup ListTagsForResource GetDataProtectionPolicy'),
    update: [
      ...all(
        'logs',
        'DescribeLogGroups AssociateKmsKey DisassociateKmsKey PutRetentionPolicy DeleteRetentionPolicy TagLogGroup UntagLogGroup TagResource UntagResource GetDataProtectionPolicy PutDataProtectionPolicy CreateLogDelivery',
      ),
      's3:REST.PUT.OBJECT',
      'firehose:TagDeliveryStream',
    ],
    delete: all('logs', 'DescribeLogGroups DeleteLogGroup DeleteDataProtectionPolicy'),
  },
  'AWS::Logs::MetricFilter': {
    create: all('logs', 'PutMetricFilter DescribeMetricFilters'),
    read: all('logs', 'DescribeMetricFilters'),
    update: all('logs', 'PutMetricFilter DescribeMetricFilters'),
    delete: all('logs', 'DeleteMetricFilter'),
  },
  'AWS::Logs::SubscriptionFilter': {
    create: ['iam:PassRole', ...all('logs', 'PutSubscriptionFilter DescribeSubscriptionFilters')],
    read: all('logs', 'DescribeSubscriptionFilters'),
    update: ['iam:PassRole', ...all('logs', 'PutSubscriptionFilter DescribeSubscriptionFilters')],
    delete: all('logs', 'DeleteSubscriptionFilter'),
  },
  'AWS::RDS::DBSubnetGroup': {
    create: all('rds', 'CreateDBSubnetGroup DescribeDBSubnetGroups ListTagsForResource AddTagsToResource'),
    read: all('rds', 'DescribeDBSubnetGroups ListTagsForResource'),
    update: all(
      'rds',
      'ModifyDBSubnetGroup DescribeDBSubnetGroups AddTagsToResource RemoveTagsFromResource ListTagsForResource',
    ),
    delete: all('rds', 'DeleteDBSubnetGroup DescribeDBSubnetGroups ListTagsForResource'),
  },
  'AWS::S3::Bucket': {
    create: [
      ...all(
        's3',
        'CreateBucket PutBucketTagging PutAnalyticsConfiguration PutEncryptionConfiguration PutBucketCORS PutInventoryConfiguration PutLifecycleConfiguration PutMetricsConfiguration PutBucketNotification PutBucketReplication PutBucketWebsite PutAccelerateConfiguration PutBucketPublicAccessBlock PutReplicationConfiguration PutObjectAcl PutBucketObjectLockConfiguration GetBucketAcl ListBucket DeleteObject PutBucketLogging PutBucketVersioning PutObjectLockConfiguration PutBucketOwnershipControls PutBucketIntelligentTieringConfiguration',
      ),
      'iam:PassRole',
    ],
    read: all(
      's3',
      'GetAccelerateConfiguration GetLifecycleConfiguration GetBucketPublicAccessBlock GetAnalyticsConfiguration GetBucketCORS GetEncryptionConfiguration GetInventoryConfiguration GetBucketLogging GetMetricsConfiguration GetBucketNotification GetBucketVersioning GetReplicationConfiguration GetBucketWebsite GetBucketObjectLockConfiguration GetBucketTagging GetBucketOwnershipControls GetIntelligentTieringConfiguration ListBucket',
    ),
    update: [
      ...all(
        's3',
        'PutBucketAcl PutBucketTagging PutAnalyticsConfiguration PutEncryptionConfiguration PutBucketCORS PutInventoryConfiguration PutLifecycleConfiguration PutMetricsConfiguration PutBucketNotification PutBucketReplication PutBucketWebsite PutAccelerateConfiguration PutBucketPublicAccessBlock PutReplicationConfiguration PutBucketOwnershipControls PutBucketIntelligentTieringConfiguration DeleteBucketWebsite PutBucketLogging PutBucketVersioning PutObjectLockConfiguration DeleteBucketAnalyticsConfiguration DeleteBucketCors DeleteBucketMetricsConfiguration DeleteBucketEncryption DeleteBucketLifecycle DeleteBucketReplication',
      ),
      'iam:PassRole',
    ],
    delete: all('s3', 'DeleteBucket'),
  },
  'AWS::S3::BucketPolicy': {
    create: all('s3', 'GetBucketPolicy PutBucketPolicy'),
    read: all('s3', 'GetBucketPolicy'),
    update: all('s3', 'GetBucketPolicy PutBucketPolicy'),
    delete: all('s3', 'GetBucketPolicy DeleteBucketPolicy'),
  },
  'AWS::SNS::Subscription': {
    create: all('sns', 'Subscribe'),
    read: all('sns', 'GetSubscriptionAttributes'),
    update: all('sns', 'SetSubscriptionAttributes GetSubscriptionAttributes'),
    delete: all('sns', 'Unsubscribe GetSubscriptionAttributes'),
    source: 'https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsns.html',
  },
  'AWS::SNS::Topic': {
    create: [
      ...all('sns', 'CreateTopic TagResource Subscribe GetTopicAttributes PutDataProtectionPolicy'),
      ...all('iam', 'GetRole PassRole'),
    ],
    read: all('sns', 'GetTopicAttributes ListTagsForResource ListSubscriptionsByTopic GetDataProtectionPolicy'),
    update: [
      ...all(
        'sns',
        'SetTopicAttributes TagResource UntagResource Subscribe Unsubscribe GetTopicAttributes ListTagsForResource ListSubscriptionsByTopic GetDataProtectionPolicy PutDataProtectionPolicy',
      ),
      ...all('iam', 'GetRole PassRole'),
    ],
    delete: all('sns', 'GetTopicAttributes DeleteTopic'),
  },
  'AWS::SNS::TopicPolicy': {
    create: all('sns', 'SetTopicAttributes'),
    read: [],
    update: all('sns', 'SetTopicAttributes'),
    delete: all('sns', 'SetTopicAttributes'),
  },
  'AWS::SQS::Queue': {
    create: all('sqs', 'CreateQueue GetQueueUrl GetQueueAttributes ListQueueTags TagQueue'),
    read: all('sqs', 'GetQueueAttributes ListQueueTags'),
    update: all('sqs', 'SetQueueAttributes GetQueueAttributes ListQueueTags TagQueue UntagQueue'),
    delete: all('sqs', 'DeleteQueue GetQueueAttributes'),
  },
  'AWS::SQS::QueuePolicy': {
    create: all('sqs', 'SetQueueAttributes'),
    read: [],
    update: all('sqs', 'SetQueueAttributes'),
    delete: all('sqs', 'SetQueueAttributes'),
    source: 'https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html',
  },
  'AWS::Scheduler::Schedule': {
    create: [...all('scheduler', 'CreateSchedule GetSchedule'), 'iam:PassRole'],
    read: all('scheduler', 'GetSchedule'),
    update: [...all('scheduler', 'UpdateSchedule GetSchedule'), 'iam:PassRole'],
    delete: all('scheduler', 'DeleteSchedule GetSchedule'),
  },
  'AWS::StepFunctions::StateMachine': {
    create: ['states:CreateStateMachine', 'states:TagResource', 'iam:PassRole', 's3:GetObject'],
    read: all('states', 'DescribeStateMachine ListTagsForResource'),
    update: [...all('states', 'UpdateStateMachine TagResource UntagResource ListTagsForResource'), 'iam:PassRole'],
    delete: all('states', 'DeleteStateMachine DescribeStateMachine'),
  },
};

/** What schemas state and the stacks do not need; the role is not allowed it. The first line that fits gives the reason. */
export const NOT_NEEDED: readonly { readonly type: RegExp; readonly action: RegExp; readonly reason: string }[] = [
  {
    type: /^AWS::S3::Bucket(?:Policy)?$/,
    action: /^s3:Delete/,
    reason: 'The stacks retain their buckets, with their policies and settings.',
  },
  {
    type: /^AWS::KMS::Key$/,
    action: /^kms:(?:DisableKey|DisableKeyRotation|ScheduleKeyDeletion)$/,
    reason: 'The stacks retain their keys, and none of them is ever disabled or without rotation again.',
  },
  {
    type: /^AWS::S3::Bucket$/,
    action:
      /^s3:Put(?:Analytics|Inventory|Metrics|Accelerate|Replication)Configuration$|^s3:PutBucket(?:Acl|CORS|IntelligentTieringConfiguration|Logging|Notification|Replication|Website)$|^s3:PutObject|^iam:PassRole$/,
    reason: 'No bucket has such a setting; PutObjectLockConfiguration is no action of IAM.',
  },
  {
    type: /^AWS::Lambda::Function$/,
    action:
      /^kms:(?:CreateGrant|Encrypt|GenerateDataKey)$|^elasticfilesystem:|^s3:GetObjectVersion$|^lambda:(?:Put|Delete)FunctionCodeSigningConfig$|^lambda:(?:GetCodeSigningConfig|GetLayerVersion)$/,
    reason: "No function has a file system, a layer, signed code, a version of its code, or a customer's key.",
  },
  {
    type: /^AWS::Logs::LogGroup$/,
    action:
      /^logs:(?:Put|Delete)DataProtectionPolicy$|^logs:(?:CreateLogDelivery|PutResourcePolicy|DescribeResourcePolicies|DisassociateKmsKey)$|^s3:REST|^firehose:/,
    reason: 'No log group has a data protection policy, or delivers elsewhere; none loses its key again.',
  },
  {
    type: /^AWS::Events::Rule$|^AWS::Logs::SubscriptionFilter$/,
    action: /^iam:PassRole$/,
    reason: 'They call a function by its own policy, under no role.',
  },
  {
    type: /^AWS::CloudTrail::Trail$/,
    action:
      /^iam:(?:GetRole|CreateServiceLinkedRole)$|^organizations:|^cloudtrail:(?:StopLogging|PutInsightSelectors|PutEventConfiguration)$/,
    reason: 'The trail is no organization’s, has no insights, and is never stopped.',
  },
  {
    type: /^AWS::SNS::Topic$/,
    action: /^iam:|^sns:PutDataProtectionPolicy$/,
    reason: 'The topic logs no deliveries, and has no data protection policy.',
  },
  {
    type: /^AWS::IAM::(?:ManagedPolicy|Policy)$/,
    action: /^iam:\w*(?:Group|User)Policy$/,
    reason: 'Policies are for roles alone, never for people.',
  },
  {
    type: /^AWS::IAM::Role$/,
    action: /^iam:(?:Put|Delete)RolePermissionsBoundary$/,
    reason: 'Without a permissions boundary in the configuration no role has one; with it, none loses it.',
  },
  {
    type: /^AWS::EC2::VPCEndpoint$/,
    action: /^vpc-lattice:|^vpce:/,
    reason: 'The endpoints are of services in this Region, and of no service network.',
  },
  {
    type: /^AWS::StepFunctions::StateMachine$/,
    action: /^s3:GetObject$/,
    reason: 'Definitions stand in the template.',
  },
];
