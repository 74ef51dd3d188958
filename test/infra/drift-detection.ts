/**
 * Whether CloudFormation's drift detection, and with it `cdk drift` and `cdk deploy --revert-drift`, sees a change by hand to a
 * resource of each type that the templates have. What it does not see, a change set that reverts drift calls `UNSUPPORTED`,
 * and leaves as it is.
 *
 * From the page's table "Resource type support", column "Drift detection", in a copy of 2026 that was read on 2026-11-30:
 * https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/resource-import-supported-resources.html
 * Types that the table leaves out are unsupported too: https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/2546
 * Of `AWS::IAM::Policy` its own page says it: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-iam-policy.html
 * From memory, and not on these pages: that a resource which was deleted is made again.
 */
export const DRIFT_DETECTION: Readonly<Record<string, 'yes' | 'no' | 'not listed'>> = {
  'AWS::CloudTrail::Trail': 'yes',
  'AWS::CloudWatch::Alarm': 'yes',
  'AWS::CloudWatch::CompositeAlarm': 'yes',
  'AWS::CloudWatch::Dashboard': 'yes',
  'AWS::EC2::SecurityGroup': 'yes',
  'AWS::EC2::SecurityGroupEgress': 'no',
  'AWS::EC2::SecurityGroupIngress': 'no',
  'AWS::EC2::VPCEndpoint': 'no',
  'AWS::Events::Rule': 'yes',
  'AWS::IAM::ManagedPolicy': 'yes',
  'AWS::IAM::Policy': 'not listed',
  'AWS::IAM::Role': 'yes',
  'AWS::KMS::Alias': 'no',
  'AWS::KMS::Key': 'yes',
  'AWS::Lambda::EventInvokeConfig': 'yes',
  'AWS::Lambda::Function': 'yes',
  'AWS::Lambda::Permission': 'yes',
  'AWS::Logs::LogGroup': 'yes',
  'AWS::Logs::MetricFilter': 'yes',
  'AWS::Logs::SubscriptionFilter': 'yes',
  'AWS::RDS::DBSubnetGroup': 'yes',
  'AWS::S3::Bucket': 'yes',
  'AWS::S3::BucketPolicy': 'no',
  'AWS::SNS::Subscription': 'no',
  'AWS::SNS::Topic': 'yes',
  'AWS::SNS::TopicPolicy': 'not listed',
  'AWS::SQS::Queue': 'yes',
  'AWS::SQS::QueuePolicy': 'not listed',
  'AWS::Scheduler::Schedule': 'yes',
  'AWS::StepFunctions::StateMachine': 'yes',
};
