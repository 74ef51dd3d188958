import { REGION, type SupplierConfiguration } from '../config/configuration.ts';
import { bootstrapNames } from './bootstrap-names.ts';
import { executionPolicies } from './execution-policies.ts';
import { type ManagedPolicy, managedPolicy } from './policy-document.ts';

/**
 * What people need. Who deploys may work in two of the CDK's roles, and does all else through CloudFormation; the CDK's
 * lookup role, which may read the whole account, is not among them, as Daybreak looks nothing up. Who bootstraps makes
 * roles with permissions of their own, and so could give himself any: an administrator does that once.
 * https://github.com/aws/aws-cdk/wiki/Security-And-Safety-Dev-Guide
 */
export function deployerPolicies(configuration: SupplierConfiguration): readonly ManagedPolicy[] {
  const { account } = configuration;
  const names = bootstrapNames(account);
  const policyArns = [
    ...executionPolicies(configuration).map(({ name }) => `arn:aws:iam::${account}:policy/${name}`),
    'arn:aws:iam::aws:policy/AWSCloudFormationReadOnlyAccess',
    'arn:aws:iam::aws:policy/ReadOnlyAccess',
  ];
  return [
    managedPolicy('daybreak-deployer', 'for who runs cdk diff, cdk deploy and cdk destroy', [
      {
        Sid: 'WorkInTheRolesOfTheCdk',
        Effect: 'Allow',
        Action: ['sts:AssumeRole'],
        Resource: [names.deployRole, names.filePublishingRole],
      },
    ]),
    managedPolicy('daybreak-bootstrapper', 'for who runs cdk bootstrap, if that is no administrator', [
      {
        Sid: 'Stack',
        Effect: 'Allow',
        Action: [
          'cloudformation:CreateChangeSet',
          'cloudformation:DeleteChangeSet',
          'cloudformation:DescribeChangeSet',
          'cloudformation:DescribeEvents',
          'cloudformation:DescribeStackEvents',
          'cloudformation:DescribeStacks',
          'cloudformation:ExecuteChangeSet',
          'cloudformation:GetTemplate',
          'cloudformation:UpdateTerminationProtection',
        ],
        Resource: [names.stack],
      },
      {
        Sid: 'Bucket',
        Effect: 'Allow',
        Action: [
          's3:CreateBucket',
          's3:Get*Configuration',
          's3:GetBucket*',
          's3:ListBucket',
          's3:PutBucketAcl',
          's3:PutBucketPolicy',
          's3:PutBucketPublicAccessBlock',
          's3:PutBucketTagging',
          's3:PutBucketVersioning',
          's3:PutEncryptionConfiguration',
          's3:PutLifecycleConfiguration',
        ],
        Resource: [names.assetBucket],
      },
      {
        Sid: 'Repository',
        Effect: 'Allow',
        Action: [
          'ecr:CreateRepository',
          'ecr:DeleteRepository',
          'ecr:DescribeRepositories',
          'ecr:GetLifecyclePolicy',
          'ecr:GetRepositoryPolicy',
          'ecr:ListTagsForResource',
          'ecr:PutImageScanningConfiguration',
          'ecr:PutImageTagMutability',
          'ecr:PutLifecyclePolicy',
          'ecr:SetRepositoryPolicy',
          'ecr:TagResource',
          'ecr:UntagResource',
        ],
        Resource: [names.repository],
      },
      {
        Sid: 'Version',
        Effect: 'Allow',
        Action: [
          'ssm:AddTagsToResource',
          'ssm:DeleteParameter',
          'ssm:GetParameter',
          'ssm:GetParameters',
          'ssm:ListTagsForResource',
          'ssm:PutParameter',
          'ssm:RemoveTagsFromResource',
        ],
        Resource: [names.versionParameter],
      },
      {
        Sid: 'Roles',
        Effect: 'Allow',
        Action: [
          'iam:CreateRole',
          'iam:DeleteRole',
          'iam:DeleteRolePolicy',
          'iam:GetRole',
          'iam:GetRolePolicy',
          'iam:ListAttachedRolePolicies',
          'iam:ListRolePolicies',
          'iam:PutRolePolicy',
          'iam:TagRole',
          'iam:UntagRole',
          'iam:UpdateAssumeRolePolicy',
          'iam:UpdateRole',
          'iam:UpdateRoleDescription',
        ],
        Resource: [names.roles],
      },
      {
        Sid: 'OnlyThesePolicies',
        Effect: 'Allow',
        Action: ['iam:AttachRolePolicy', 'iam:DetachRolePolicy'],
        Resource: [names.roles],
        Condition: { ArnEquals: { 'iam:PolicyARN': policyArns } },
      },
      {
        Sid: 'PublishedPolicies',
        Effect: 'Allow',
        Action: ['iam:CreatePolicy', 'iam:CreatePolicyVersion', 'iam:DeletePolicyVersion', 'iam:ListPolicyVersions'],
        Resource: policyArns.filter(arn => !arn.startsWith('arn:aws:iam::aws:')),
      },
      {
        Sid: 'OtherRegions',
        Effect: 'Deny',
        NotAction: ['iam:*'],
        Resource: '*',
        Condition: { StringNotEquals: { 'aws:RequestedRegion': REGION } },
      },
    ]),
  ];
}
