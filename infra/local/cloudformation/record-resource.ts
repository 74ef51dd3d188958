/** What `Ref` and `Fn::GetAtt` answer for a resource. */
export interface CreatedResource {
  readonly ref: string;
  readonly attributes: Readonly<Record<string, string | readonly string[]>>;
}

/** One resource, with its properties resolved. */
export interface ResourceToCreate {
  readonly logicalId: string;
  readonly properties: unknown;
  readonly metadata: Readonly<Record<string, unknown>>;
  /** The KMS alias that the same template gives to this resource. */
  readonly alias: string | undefined;
}

/**
 * Has no effect on what the workflows do here: there is no network, no CloudWatch Logs and no e-mail, nobody looks at a
 * dashboard, and nothing is bootstrapped.
 */
export const RECORDED_ONLY = new Set([
  'AWS::CDK::Metadata',
  'AWS::CloudWatch::Dashboard',
  'AWS::EC2::SecurityGroup',
  'AWS::EC2::SecurityGroupEgress',
  'AWS::EC2::SecurityGroupIngress',
  'AWS::Logs::LogGroup',
  'AWS::RDS::DBSubnetGroup',
  'AWS::SQS::QueuePolicy',
  'AWS::SNS::Subscription',
  'AWS::SNS::Topic',
  'AWS::SNS::TopicPolicy',
]);

/** What a resource that is only recorded answers to references. */
export function recordResource(
  type: string,
  { logicalId, properties }: ResourceToCreate,
  accountId: string,
): CreatedResource {
  const named = properties as Record<string, unknown>;
  const name = (property: string) => (typeof named[property] === 'string' ? named[property] : logicalId);
  switch (type) {
    case 'AWS::EC2::SecurityGroup':
      return { ref: `sg-${logicalId}`, attributes: { GroupId: `sg-${logicalId}` } };
    case 'AWS::Logs::LogGroup': {
      const group = name('LogGroupName');
      return { ref: group, attributes: { Arn: `arn:aws:logs:eu-west-2:${accountId}:log-group:${group}:*` } };
    }
    case 'AWS::RDS::DBSubnetGroup':
      return { ref: name('DBSubnetGroupName'), attributes: {} };
    case 'AWS::SNS::Topic': {
      const topic = name('TopicName');
      const TopicArn = `arn:aws:sns:eu-west-2:${accountId}:${topic}`;
      return { ref: TopicArn, attributes: { TopicArn, TopicName: topic } };
    }
    default:
      return { ref: logicalId, attributes: {} };
  }
}
