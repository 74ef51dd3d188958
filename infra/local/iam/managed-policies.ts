import { NotImplementedLocally } from '../service.ts';

const WRITE_LOGS = ['logs:CreateLogGroup', 'logs:CreateLogStream', 'logs:PutLogEvents'];

/** https://docs.aws.amazon.com/aws-managed-policy/latest/reference/policy-list.html */
const DOCUMENTS: Readonly<Record<string, unknown>> = {
  AWSLambdaBasicExecutionRole: {
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Action: WRITE_LOGS, Resource: '*' }],
  },
  AWSLambdaVPCAccessExecutionRole: {
    Version: '2012-10-17',
    Statement: [
      {
        Sid: 'AWSLambdaVPCAccessExecutionPermissions',
        Effect: 'Allow',
        Action: [
          ...WRITE_LOGS,
          'ec2:CreateNetworkInterface',
          'ec2:DescribeNetworkInterfaces',
          'ec2:DescribeSubnets',
          'ec2:DeleteNetworkInterface',
          'ec2:AssignPrivateIpAddresses',
          'ec2:UnassignPrivateIpAddresses',
        ],
        Resource: '*',
      },
    ],
  },
};

/**
 * The document of one of AWS's managed policies, by its ARN or name.
 * @throws NotImplementedLocally naming a policy whose statements are not known here.
 */
export function managedPolicy(arnOrName: string): unknown {
  const name = arnOrName.slice(arnOrName.lastIndexOf('/') + 1);
  const ours = arnOrName === name || arnOrName === `arn:aws:iam::aws:policy/service-role/${name}`;
  const document = ours ? DOCUMENTS[name] : undefined;
  if (document === undefined) throw new NotImplementedLocally(`the managed policy ${arnOrName}`);
  return document;
}
