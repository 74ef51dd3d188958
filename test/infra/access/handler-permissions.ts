/**
 * What CloudFormation's role has to be allowed for each type of resource: the permissions that the type's schema in the
 * registry states for its handlers (`aws cloudformation describe-type --type RESOURCE --type-name …`), as they stand there.
 * https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html#schema-properties-handlers
 */
export interface HandlerPermissions {
  readonly create: readonly string[];
  readonly read: readonly string[];
  readonly update: readonly string[];
  readonly delete: readonly string[];
  /**
   * The day on which the schema was read. From memory: its copies at hand stated no handlers, and the calls are those that
   * the service's page and older schemas let expect.
   */
  readonly basis: { readonly schemaReadOn: string } | { readonly fromMemory: string };
}

/** In public copies of the registry. What an older copy lacks and a list here had already was kept. */
const READ = { schemaReadOn: '2026-11-30' };

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
    basis: READ,
  },
  'AWS::CloudWatch::Alarm': {
    create: all('cloudwatch', 'PutMetricAlarm DescribeAlarms TagResource'),
    read: all('cloudwatch', 'DescribeAlarms ListTagsForResource'),
    update: all('cloudwatch', 'PutMetricAlarm DescribeAlarms TagResource UntagResource'),
    delete: all('cloudwatch', 'DeleteAlarms DescribeAlarms'),
    basis: READ,
  },
  'AWS::CloudWatch::CompositeAlarm': {
    create: all('cloudwatch', 'DescribeAlarms PutCompositeAlarm'),
    read: all('cloudwatch', 'DescribeAlarms'),
    update: all('cloudwatch', 'DescribeAlarms PutCompositeAlarm'),
    delete: all('cloudwatch', 'DescribeAlarms DeleteAlarms'),
    basis: READ,
  },
  'AWS::CloudWatch::Dashboard': {
    create: all('cloudwatch', 'PutDashboard GetDashboard TagResource'),
    read: all('cloudwatch', 'GetDashboard ListTagsForResource'),
    update: all('cloudwatch', 'PutDashboard TagResource UntagResource ListTagsForResource'),
    delete: all('cloudwatch', 'DeleteDashboards GetDashboard'),
    basis: { fromMemory: 'https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutDashboard.html' },
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
    basis: READ,
  },
  'AWS::EC2::SecurityGroupEgress': {
    create: all('ec2', 'AuthorizeSecurityGroupEgress RevokeSecurityGroupEgress DescribeSecurityGroupRules'),
    read: all('ec2', 'DescribeSecurityGroups DescribeSecurityGroupRules'),
    update: all('ec2', 'UpdateSecurityGroupRuleDescriptionsEgress'),
    delete: all('ec2', 'RevokeSecurityGroupEgress DescribeSecurityGroupRules'),
    basis: READ,
  },
  'AWS::EC2::SecurityGroupIngress': {
    create: all('ec2', 'AuthorizeSecurityGroupIngress DescribeSecurityGroupRules'),
    read: all('ec2', 'DescribeSecurityGroups DescribeSecurityGroupRules'),
    update: all('ec2', 'UpdateSecurityGroupRuleDescriptionsIngress'),
    delete: all('ec2', 'RevokeSecurityGroupIngress DescribeSecurityGroupRules'),
    basis: READ,
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
    basis: READ,
  },
  'AWS::Events::Rule': {
    create: ['iam:PassRole', ...all('events', 'DescribeRule PutRule PutTargets')],
    read: ['iam:PassRole', ...all('events', 'DescribeRule ListTargetsByRule')],
    update: ['iam:PassRole', ...all('events', 'DescribeRule PutRule RemoveTargets PutTargets')],
    delete: ['iam:PassRole', ...all('events', 'DescribeRule DeleteRule RemoveTargets ListTargetsByRule')],
    basis: { fromMemory: 'https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutTargets.html' },
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
    basis: READ,
  },
  'AWS::IAM::Policy': {
    create: all('iam', 'PutRolePolicy PutGroupPolicy PutUserPolicy'),
    read: all('iam', 'GetRolePolicy GetGroupPolicy GetUserPolicy'),
    update: all(
      'iam',
      'PutRolePolicy DeleteRolePolicy PutGroupPolicy DeleteGroupPolicy PutUserPolicy DeleteUserPolicy',
    ),
    delete: all('iam', 'DeleteRolePolicy DeleteGroupPolicy DeleteUserPolicy'),
    basis: {
      fromMemory: 'https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-iam-policy.html',
    },
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
    basis: READ,
  },
  'AWS::KMS::Alias': {
    create: all('kms', 'CreateAlias'),
    read: all('kms', 'ListAliases'),
    update: all('kms', 'UpdateAlias'),
    delete: all('kms', 'DeleteAlias'),
    basis: READ,
  },
  'AWS::KMS::Key': {
    create: all('kms', 'CreateKey EnableKeyRotation DisableKey TagResource PutKeyPolicy'),
    read: all('kms', 'DescribeKey GetKeyPolicy GetKeyRotationStatus ListResourceTags'),
    update: all(
      'kms',
      'DescribeKey DisableKey DisableKeyRotation EnableKey EnableKeyRotation PutKeyPolicy TagResource UntagResource UpdateKeyDescription ListResourceTags',
    ),
    delete: all('kms', 'DescribeKey ScheduleKeyDeletion'),
    basis: READ,
  },
  'AWS::Lambda::EventInvokeConfig': {
    create: all('lambda', 'PutFunctionEventInvokeConfig'),
    read: all('lambda', 'GetFunctionEventInvokeConfig'),
    update: all('lambda', 'UpdateFunctionEventInvokeConfig'),
    delete: all('lambda', 'DeleteFunctionEventInvokeConfig'),
    basis: READ,
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
    basis: { fromMemory: 'https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html' },
  },
  'AWS::Lambda::Permission': {
    create: all('lambda', 'AddPermission'),
    read: all('lambda', 'GetPolicy'),
    update: [],
    delete: all('lambda', 'RemovePermission'),
    basis: { fromMemory: 'https://docs.aws.amazon.com/lambda/latest/api/API_AddPermission.html' },
  },
  'AWS::Logs::LogGroup': {
    create: [
      ...all(
        'logs',
        'DescribeLogGroups CreateLogGroup PutRetentionPolicy TagResource GetDataProtectionPolicy PutDataProtectionPolicy CreateLogDelivery PutResourcePolicy DescribeResourcePolicies PutIndexPolicy DescribeIndexPolicies',
      ),
      's3:REST.PUT.OBJECT',
      'firehose:TagDeliveryStream',
    ],
    read: all(
      'logs',
      'DescribeLogGroups ListTagsForResource GetDataProtectionPolicy DescribeIndexPolicies DescribeResourcePolicies',
    ),
    update: [
      ...all(
        'logs',
        'DescribeLogGroups AssociateKmsKey DisassociateKmsKey PutRetentionPolicy DeleteRetentionPolicy TagResource UntagResource ListTagsForResource GetDataProtectionPolicy PutDataProtectionPolicy CreateLogDelivery PutIndexPolicy DeleteIndexPolicy PutResourcePolicy DescribeResourcePolicies DeleteResourcePolicy PutLogGroupDeletionProtection',
      ),
      's3:REST.PUT.OBJECT',
      'firehose:TagDeliveryStream',
    ],
    delete: all('logs', 'DescribeLogGroups DeleteLogGroup DeleteDataProtectionPolicy'),
    basis: READ,
  },
  'AWS::Logs::MetricFilter': {
    create: all('logs', 'PutMetricFilter DescribeMetricFilters'),
    read: all('logs', 'DescribeMetricFilters'),
    update: all('logs', 'PutMetricFilter DescribeMetricFilters'),
    delete: all('logs', 'DeleteMetricFilter'),
    basis: READ,
  },
  'AWS::Logs::SubscriptionFilter': {
    create: ['iam:PassRole', ...all('logs', 'PutSubscriptionFilter DescribeSubscriptionFilters')],
    read: all('logs', 'DescribeSubscriptionFilters'),
    update: ['iam:PassRole', ...all('logs', 'PutSubscriptionFilter DescribeSubscriptionFilters')],
    delete: all('logs', 'DeleteSubscriptionFilter'),
    basis: READ,
  },
  'AWS::RDS::DBSubnetGroup': {
    create: [
      'iam:CreateServiceLinkedRole',
      ...all(
        'rds',
        'CreateDBSubnetGroup DescribeDBSubnetGroups ListTagsForResource AddTagsToResource RemoveTagsFromResource',
      ),
    ],
    read: all('rds', 'DescribeDBSubnetGroups ListTagsForResource'),
    update: all(
      'rds',
      'ModifyDBSubnetGroup DescribeDBSubnetGroups AddTagsToResource RemoveTagsFromResource ListTagsForResource',
    ),
    delete: all('rds', 'DeleteDBSubnetGroup DescribeDBSubnetGroups ListTagsForResource'),
    basis: READ,
  },
  'AWS::S3::Bucket': {
    create: [
      ...all(
        's3',
        'CreateBucket PutBucketTagging TagResource PutBucketAbac PutAnalyticsConfiguration PutEncryptionConfiguration PutBucketCORS PutInventoryConfiguration PutLifecycleConfiguration PutMetricsConfiguration PutBucketNotification PutBucketReplication PutBucketWebsite PutAccelerateConfiguration PutBucketPublicAccessBlock PutReplicationConfiguration PutObjectAcl PutBucketObjectLockConfiguration GetBucketAcl ListBucket DeleteObject PutBucketLogging PutBucketVersioning PutObjectLockConfiguration PutBucketOwnershipControls PutIntelligentTieringConfiguration GetBucketMetadataTableConfiguration CreateBucketMetadataTableConfiguration',
      ),
      ...all(
        's3tables',
        'CreateNamespace CreateTable CreateTableBucket GetTable PutTableBucketPolicy PutTableEncryption PutTablePolicy GetTableMetadataLocation UpdateTableMetadataLocation',
      ),
      'iam:PassRole',
    ],
    read: all(
      's3',
      'GetAccelerateConfiguration GetLifecycleConfiguration GetBucketPublicAccessBlock GetAnalyticsConfiguration GetBucketCORS GetEncryptionConfiguration GetInventoryConfiguration GetBucketLogging GetMetricsConfiguration GetBucketNotification GetBucketVersioning GetReplicationConfiguration GetBucketWebsite GetBucketObjectLockConfiguration GetBucketTagging ListTagsForResource GetBucketAbac GetBucketOwnershipControls GetIntelligentTieringConfiguration GetBucketMetadataTableConfiguration ListBucket',
    ),
    update: [
      ...all(
        's3',
        'PutBucketAcl PutBucketTagging TagResource UntagResource PutBucketAbac PutAnalyticsConfiguration PutEncryptionConfiguration PutBucketCORS PutInventoryConfiguration PutLifecycleConfiguration PutMetricsConfiguration PutBucketNotification PutBucketReplication PutBucketWebsite PutAccelerateConfiguration GetBucketMetadataTableConfiguration DeleteBucketMetadataTableConfiguration CreateBucketMetadataTableConfiguration UpdateBucketMetadataJournalTableConfiguration UpdateBucketMetadataInventoryTableConfiguration PutBucketPublicAccessBlock PutReplicationConfiguration PutBucketOwnershipControls PutIntelligentTieringConfiguration DeleteBucketWebsite PutBucketLogging PutBucketVersioning PutObjectLockConfiguration PutBucketObjectLockConfiguration DeleteBucketAnalyticsConfiguration DeleteBucketCors DeleteBucketMetricsConfiguration DeleteBucketEncryption DeleteBucketLifecycle DeleteBucketReplication ListBucket',
      ),
      ...all(
        's3tables',
        'CreateNamespace CreateTable CreateTableBucket GetTable PutTableBucketPolicy PutTableEncryption PutTablePolicy GetTableMetadataLocation UpdateTableMetadataLocation',
      ),
      'iam:PassRole',
    ],
    delete: all('s3', 'DeleteBucket ListBucket'),
    basis: READ,
  },
  'AWS::S3::BucketPolicy': {
    create: all('s3', 'GetBucketPolicy PutBucketPolicy'),
    read: all('s3', 'GetBucketPolicy'),
    update: all('s3', 'GetBucketPolicy PutBucketPolicy'),
    delete: all('s3', 'GetBucketPolicy DeleteBucketPolicy'),
    basis: READ,
  },
  'AWS::SNS::Subscription': {
    create: all('sns', 'Subscribe'),
    read: all('sns', 'GetSubscriptionAttributes'),
    update: all('sns', 'SetSubscriptionAttributes GetSubscriptionAttributes'),
    delete: all('sns', 'Unsubscribe GetSubscriptionAttributes'),
    basis: { fromMemory: 'https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsns.html' },
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
    basis: READ,
  },
  'AWS::SNS::TopicPolicy': {
    create: all('sns', 'SetTopicAttributes'),
    read: [],
    update: all('sns', 'SetTopicAttributes'),
    delete: all('sns', 'SetTopicAttributes'),
    basis: { fromMemory: 'https://docs.aws.amazon.com/sns/latest/api/API_SetTopicAttributes.html' },
  },
  'AWS::SQS::Queue': {
    create: all('sqs', 'CreateQueue GetQueueUrl GetQueueAttributes ListQueueTags TagQueue'),
    read: all('sqs', 'GetQueueAttributes ListQueueTags'),
    update: all('sqs', 'SetQueueAttributes GetQueueAttributes ListQueueTags TagQueue UntagQueue'),
    delete: all('sqs', 'DeleteQueue GetQueueAttributes'),
    basis: READ,
  },
  'AWS::SQS::QueuePolicy': {
    create: all('sqs', 'SetQueueAttributes'),
    read: [],
    update: all('sqs', 'SetQueueAttributes'),
    delete: all('sqs', 'SetQueueAttributes'),
    basis: {
      fromMemory: 'https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html',
    },
  },
  'AWS::Scheduler::Schedule': {
    create: [...all('scheduler', 'CreateSchedule GetSchedule'), 'iam:PassRole'],
    read: all('scheduler', 'GetSchedule'),
    update: [...all('scheduler', 'UpdateSchedule GetSchedule'), 'iam:PassRole'],
    delete: all('scheduler', 'DeleteSchedule GetSchedule'),
    basis: READ,
  },
  'AWS::StepFunctions::StateMachine': {
    create: [
      ...all('states', 'CreateStateMachine DescribeStateMachine TagResource'),
      'iam:PassRole',
      's3:GetObject',
      ...all('kms', 'DescribeKey GenerateDataKey'),
    ],
    read: [...all('states', 'DescribeStateMachine ListTagsForResource'), 'kms:Decrypt'],
    update: [
      ...all('states', 'UpdateStateMachine TagResource UntagResource ListTagsForResource'),
      'iam:PassRole',
      ...all('kms', 'DescribeKey GenerateDataKey'),
    ],
    delete: all('states', 'DeleteStateMachine DescribeStateMachine'),
    basis: READ,
  },
};

/** A call that a schema states, and that CloudFormation does not make about these resources: the role is not allowed it. */
interface Exemption {
  readonly type: RegExp;
  readonly action: RegExp;
  readonly reason: string;
  /** Whether a resource with these properties brings the call after all. */
  // biome-ignore lint/suspicious/noExplicitAny: as in the template.
  readonly isBroughtBy: (properties: any) => boolean;
}

const any =
  (...names: readonly string[]) =>
  (properties: object) =>
    names.some(name => name in properties);
const nothing = () => false;

/** The first line that fits counts. What follows from `DeletionPolicy` stands in no line: a resource that is retained is not deleted. */
export const NOT_NEEDED: readonly Exemption[] = [
  {
    type: /^AWS::KMS::Key$/,
    action: /^kms:DisableKey(?:Rotation)?$/,
    reason: 'No key is made disabled, or loses its rotation.',
    isBroughtBy: ({ Enabled, EnableKeyRotation }) => Enabled === false || EnableKeyRotation === false,
  },
  {
    type: /^AWS::S3::Bucket$/,
    action:
      /^s3:(?:PutObjectLockConfiguration|PutBucketReplication|DeleteBucket(?:AnalyticsConfiguration|Cors|MetricsConfiguration|Encryption|Lifecycle|Replication))$/,
    reason: 'They are no actions of IAM, which knows those of the settings (PutReplicationConfiguration, …).',
    isBroughtBy: nothing,
  },
  {
    type: /^AWS::S3::Bucket$/,
    action: /^s3:(?:PutObjectAcl|DeleteObject)$/,
    reason: 'Buckets are made empty, and CloudFormation neither writes nor deletes an object of theirs.',
    isBroughtBy: nothing,
  },
  {
    type: /^AWS::S3::Bucket$/,
    action:
      /^s3:Put(?:Analytics|Inventory|Metrics|Accelerate|Replication|IntelligentTiering)Configuration$|^s3:PutBucket(?:Abac|Acl|CORS|Logging|Notification|Website)$|^s3:DeleteBucketWebsite$|^iam:PassRole$/,
    reason: 'No bucket has such a setting, and none had one that would be taken away.',
    isBroughtBy: any(
      'AbacStatus',
      'AccessControl',
      'AccelerateConfiguration',
      'AnalyticsConfigurations',
      'CorsConfiguration',
      'IntelligentTieringConfigurations',
      'InventoryConfigurations',
      'LoggingConfiguration',
      'MetricsConfigurations',
      'NotificationConfiguration',
      'ReplicationConfiguration',
      'WebsiteConfiguration',
    ),
  },
  {
    type: /^AWS::S3::Bucket$/,
    action: /^s3:(?:Create|Update|Delete)BucketMetadata\w+$|^s3tables:/,
    reason: 'No bucket writes tables of its metadata.',
    isBroughtBy: any('MetadataConfiguration', 'MetadataTableConfiguration'),
  },
  {
    type: /^AWS::Lambda::Function$/,
    action:
      /^elasticfilesystem:|^s3:GetObjectVersion$|^lambda:(?:Put|Delete)FunctionCodeSigningConfig$|^lambda:(?:GetCodeSigningConfig|GetLayerVersion)$/,
    reason: 'No function has a file system, a layer, signed code, or a version of its code.',
    isBroughtBy: properties =>
      any('CodeSigningConfigArn', 'FileSystemConfigs', 'Layers')(properties) || 'S3ObjectVersion' in properties.Code,
  },
  {
    type: /^AWS::Logs::LogGroup$/,
    action: /^logs:(?:Put|Delete)DataProtectionPolicy$/,
    reason: 'No log group has a data protection policy.',
    isBroughtBy: any('DataProtectionPolicy'),
  },
  {
    type: /^AWS::Logs::LogGroup$/,
    action: /^logs:(?:Put|Delete)(?:Index|Resource)Policy$|^logs:PutLogGroupDeletionProtection$/,
    reason: 'No log group has an index, a policy or a protection against deletion.',
    isBroughtBy: any('FieldIndexPolicies', 'ResourcePolicyDocument', 'DeletionProtectionEnabled'),
  },
  {
    type: /^AWS::Logs::LogGroup$/,
    action: /^logs:CreateLogDelivery$|^s3:REST|^firehose:/,
    reason: 'Every log group is of the standard class, and delivers nowhere else.',
    isBroughtBy: any('LogGroupClass'),
  },
  {
    type: /^AWS::Logs::LogGroup$/,
    action: /^logs:DisassociateKmsKey$/,
    reason: 'Every log group has a key, and none loses it again.',
    isBroughtBy: ({ KmsKeyId }) => KmsKeyId === undefined,
  },
  {
    type: /^AWS::Events::Rule$/,
    action: /^iam:PassRole$/,
    reason: 'Rules call a function by its own policy, under no role.',
    isBroughtBy: ({ RoleArn, Targets = [] }) => [{ RoleArn }, ...Targets].some(target => target.RoleArn !== undefined),
  },
  {
    type: /^AWS::Logs::SubscriptionFilter$/,
    action: /^iam:PassRole$/,
    reason: 'Filters call a function by its own policy, under no role.',
    isBroughtBy: any('RoleArn'),
  },
  {
    type: /^AWS::CloudTrail::Trail$/,
    action: /^iam:CreateServiceLinkedRole$|^organizations:/,
    reason: 'The trail is no organization’s.',
    isBroughtBy: ({ IsOrganizationTrail = false }) => IsOrganizationTrail !== false,
  },
  {
    type: /^AWS::CloudTrail::Trail$/,
    action: /^cloudtrail:(?:StopLogging|PutInsightSelectors|PutEventConfiguration)$/,
    reason: 'The trail has no insights or aggregations, and is never stopped.',
    isBroughtBy: properties =>
      any('InsightSelectors', 'AggregationConfigurations', 'ContextKeySelectors', 'MaxEventSize')(properties) ||
      properties.IsLogging !== true,
  },
  {
    type: /^AWS::RDS::DBSubnetGroup$/,
    action: /^iam:CreateServiceLinkedRole$/,
    reason: 'RDS has its role in every account with an instance, and there are some to be backed up.',
    isBroughtBy: nothing,
  },
  {
    type: /^AWS::SNS::Topic$/,
    action: /^iam:|^sns:PutDataProtectionPolicy$/,
    reason: 'The topic logs no deliveries, and has no data protection policy.',
    isBroughtBy: any('DeliveryStatusLogging', 'DataProtectionPolicy'),
  },
  {
    type: /^AWS::IAM::(?:ManagedPolicy|Policy)$/,
    action: /^iam:\w*(?:Group|User)Policy$/,
    reason: 'Policies are for roles alone, never for people.',
    isBroughtBy: any('Groups', 'Users'),
  },
  {
    type: /^AWS::IAM::Role$/,
    action: /^iam:PutRolePermissionsBoundary$/,
    reason: 'Without a permissions boundary in the configuration no role has one.',
    isBroughtBy: any('PermissionsBoundary'),
  },
  {
    type: /^AWS::IAM::Role$/,
    action: /^iam:DeleteRolePermissionsBoundary$/,
    reason: 'No role that has a permissions boundary loses it: that is an administrator’s.',
    isBroughtBy: nothing,
  },
  {
    type: /^AWS::EC2::VPCEndpoint$/,
    action: /^vpc-lattice:|^vpce:/,
    reason: 'The endpoints are of services in this Region, and of no service network.',
    isBroughtBy: any('ServiceNetworkArn', 'ResourceConfigurationArn', 'ServiceRegion'),
  },
  {
    type: /^AWS::StepFunctions::StateMachine$/,
    action: /^s3:GetObject$/,
    reason: 'Definitions stand in the template.',
    isBroughtBy: any('DefinitionS3Location'),
  },
  {
    type: /^AWS::StepFunctions::StateMachine$/,
    action: /^kms:(?:GenerateDataKey|Decrypt)$/,
    reason: 'No state machine is under a key of its own.',
    isBroughtBy: any('EncryptionConfiguration'),
  },
];
