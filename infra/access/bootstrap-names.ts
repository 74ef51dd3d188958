import { REGION } from '../config/configuration.ts';

/** The CDK's own, which the stacks are synthesized for. https://docs.aws.amazon.com/cdk/v2/guide/bootstrapping-customizing.html */
const QUALIFIER = 'hnb659fds';

/** What `cdk bootstrap` creates in an account: the names of its roles and of what they work with. */
export function bootstrapNames(account: string) {
  const prefix = `cdk-${QUALIFIER}`;
  const place = `${account}-${REGION}`;
  const role = (purpose: string) => `arn:aws:iam::${account}:role/${prefix}-${purpose}-role-${place}`;
  return {
    deployRole: role('deploy'),
    filePublishingRole: role('file-publishing'),
    /** CloudFormation's, under which it makes, changes and deletes everything. */
    executionRole: role('cfn-exec'),
    roles: `arn:aws:iam::${account}:role/${prefix}-*-role-${place}`,
    assetBucket: `arn:aws:s3:::${prefix}-assets-${place}`,
    repository: `arn:aws:ecr:${REGION}:${account}:repository/${prefix}-container-assets-${place}`,
    versionParameter: `arn:aws:ssm:${REGION}:${account}:parameter/cdk-bootstrap/${QUALIFIER}/version`,
    stack: `arn:aws:cloudformation:${REGION}:${account}:stack/CDKToolkit/*`,
  };
}
