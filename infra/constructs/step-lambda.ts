import { join } from 'node:path';
import { Duration, RemovalPolicy, Size } from 'aws-cdk-lib';
import type { CfnSecurityGroup, IVpc, SecurityGroup, SubnetSelection } from 'aws-cdk-lib/aws-ec2';

import { type CfnPolicy, type IManagedPolicy, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';

import { Architecture, type CfnFunction, Runtime } from 'aws-cdk-lib/aws-lambda';
import { LogLevel, NodejsFunction, OutputFormat } from 'aws-cdk-lib/aws-lambda-nodejs';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { acknowledgeInlinePolicy, addPermission } from '../access/allow.ts';
import type { Permission, Wildcard } from '../access/permission.ts';
import { type Step, stepName } from '../access/role-names.ts';
import type { Caller, Limits } from '../steps/step.ts';
import { acknowledge } from './acknowledge.ts';

const PROJECT_ROOT = join(import.meta.dirname, '../..');
/** What the functions' code is bundled for. */
export const BUNDLE_TARGET = 'node24';
/** `pg` asks for its native binding only where someone asks for that. */
export const NOT_BUNDLED: readonly string[] = ['pg-native'];
const RELOCATE = join(import.meta.dirname, 'relocate-source-map.ts');
/** Lambda's limit for all of a function's environment variables together. */
const ENVIRONMENT_LIMIT_BYTES = 4096;

export interface StepLambdaProps {
  readonly step: Step;
  readonly permissions: readonly Permission[];
  /** What every role of Daybreak is denied. */
  readonly guardrails: IManagedPolicy;
  readonly environment: Readonly<Record<string, string>>;
  /** The length of the environment's values, once everything in them is known. */
  readonly environmentBytes: number;
  readonly limits: Limits;
  /** What its log is under. */
  readonly logKey: IKey;
  readonly callers: readonly Caller[];
  /** Present for the steps that talk to PostgreSQL. */
  readonly placement?: { vpc: IVpc; vpcSubnets: SubnetSelection; securityGroups: SecurityGroup[] } | undefined;
}

/** Why a function has no dead-letter queue of its own: it matters for those that do not wait for its answer. */
const UNQUEUED: Record<Caller, string> = {
  workflow:
    'Workflows wait for its answer and catch its errors; nothing calls it asynchronously, so nothing would reach a queue.',
  schedule:
    'A run that is lost shows by what is missing: pulse alarms without a good recovery point, a passed test or a removed copy, and its own silence alarms. A queue would be a second place to look, which nobody watches.',
  rules:
    'What it fails to record goes to a queue with an alarm, as the destination of failed invocations, beside its rules.',
};

/** The function of one step, with its own role under the same fixed name, and its own log group. */
export class StepLambda extends Construct {
  readonly function: NodejsFunction;
  readonly role: Role;

  constructor(scope: Construct, id: string, props: StepLambdaProps) {
    super(scope, id);
    const { step, limits, placement } = props;
    if (props.environmentBytes > ENVIRONMENT_LIMIT_BYTES) {
      throw new Error(
        `${step}: its environment would take ${props.environmentBytes} bytes, and Lambda allows ${ENVIRONMENT_LIMIT_BYTES}: name fewer databases and buckets, or shorten their ids`,
      );
    }
    const functionName = stepName(step);
    this.role = new Role(this, 'Role', {
      roleName: functionName,
      description: `Daybreak: the step ${step}`,
      assumedBy: new ServicePrincipal('lambda.amazonaws.com'),
      managedPolicies: [props.guardrails],
    });
    for (const permission of merge(props.permissions)) addPermission(this.role, permission);
    if (placement !== undefined) {
      allowNetworkInterfaces(this.role, functionName);
      for (const group of placement.securityGroups) goBeforePolicy(group, this.role);
    }
    const logGroup = new LogGroup(this, 'Log', {
      retention: RetentionDays.THIRTEEN_MONTHS,
      removalPolicy: RemovalPolicy.RETAIN,
      encryptionKey: props.logKey,
    });
    acknowledgeInlinePolicy(this.role);
    logGroup.grantWrite(this.role);
    this.node.addValidation({ validate: () => whyTooLong(step, this.role) });
    const entry = `functions/${step}.ts`;
    this.function = new NodejsFunction(this, 'Function', {
      functionName,
      description: `Daybreak: ${step}`,
      entry: join(PROJECT_ROOT, entry),
      depsLockFilePath: join(PROJECT_ROOT, 'package-lock.json'),
      projectRoot: PROJECT_ROOT,
      runtime: Runtime.NODEJS_24_X,
      architecture: Architecture.ARM_64,
      timeout: Duration.minutes(limits.timeoutMinutes),
      memorySize: limits.memoryMib,
      ephemeralStorageSize: Size.mebibytes(limits.spoolMib),
      role: this.role.withoutPolicyUpdates(),
      logGroup,
      environment: { ...props.environment, NODE_OPTIONS: '--enable-source-maps' },
      bundling: {
        format: OutputFormat.ESM,
        target: BUNDLE_TARGET,
        // Workflows match errors by their classes' names, which bundling would change where two modules share one.
        keepNames: true,
        sourceMap: true,
        sourcesContent: false,
        logLevel: LogLevel.WARNING,
        // The SDK that Lambda brings along is older than what Daybreak needs of S3 and RDS.
        bundleAwsSDK: true,
        externalModules: [...NOT_BUNDLED],
        // CommonJS packages in an ES module need it.
        commandHooks: {
          beforeInstall: () => [],
          beforeBundling: () => [],
          afterBundling: (_source, bundle) => [`"${process.execPath}" "${RELOCATE}" "${bundle}" "${PROJECT_ROOT}"`],
        },
        banner: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
      },
      ...placement,
    });
    (this.function.node.defaultChild as CfnFunction).addMetadata('daybreak:entry', entry);
    this.#acknowledgeRules(props);
  }

  #acknowledgeRules({ callers, placement }: StepLambdaProps): void {
    acknowledge(
      this.function,
      ['NIST.800.53.R5-LambdaConcurrency'],
      "Distributed maps bound how many run at once. A reservation would be taken from the account's pool, which the supplier's app shares, and would throttle a backup instead of slowing it down.",
    );
    acknowledge(
      this.function,
      ['NIST.800.53.R5-LambdaDLQ', 'Serverless-LambdaDLQ'],
      UNQUEUED[callers.find(caller => caller !== 'workflow') ?? 'workflow'],
    );
    acknowledge(
      this.function,
      ['Serverless-LambdaTracing'],
      "Steps are timed in their records and in the workflow's history; traces would add a copy of that, and a permission on every resource to each role.",
    );
    if (placement === undefined) {
      acknowledge(
        this.function,
        ['NIST.800.53.R5-LambdaInsideVPC'],
        'It talks to AWS alone, over TLS and under its own role. In the isolated subnets are only functions that read a database, so that those can reach nothing else.',
      );
    }
  }
}

/**
 * The CDK puts what is too long for a role's own policy into managed ones, which CloudFormation may attach to no role here.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
 */
function whyTooLong(step: Step, role: Role): string[] {
  if (role.node.tryFindChild('OverflowPolicy1') === undefined) return [];
  return [
    `${step}: its role's policy would be longer than the 10,240 characters that IAM allows: name fewer databases, or shorten their ids`,
  ];
}

/**
 * Lambda manages a function's network interfaces under the function's own role. The code in it gets none of that.
 * https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions
 */
function allowNetworkInterfaces(role: Role, functionName: string): void {
  const actions = [
    'ec2:CreateNetworkInterface',
    'ec2:DeleteNetworkInterface',
    'ec2:DescribeNetworkInterfaces',
    'ec2:DescribeSubnets',
    'ec2:AssignPrivateIpAddresses',
    'ec2:UnassignPrivateIpAddresses',
  ];
  const anyInterface: Wildcard = {
    pattern: '*',
    reason: "Lambda makes a function's network interfaces under its role; code in the function is denied all of it.",
  };
  addPermission(role, { actions, resources: [anyInterface] });
  addPermission(role, {
    effect: 'Deny',
    actions,
    resources: ['*'],
    conditions: { ArnLike: { 'lambda:SourceFunctionArn': `arn:aws:lambda:*:*:function:${functionName}` } },
  });
}

/**
 * Has CloudFormation delete the group before the role's policy. A function that is deleted leaves its network interfaces for
 * a while, Lambda takes them away under the policy, and without that they would hold the group for ever.
 * https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions
 * https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-dependson.html
 */
function goBeforePolicy(group: SecurityGroup, role: Role): void {
  const policy = role.node.findChild('DefaultPolicy').node.defaultChild as CfnPolicy;
  (group.node.defaultChild as CfnSecurityGroup).addResourceDependency(policy);
}

// What several permissions allow of the same resources is written once, for a policy has little room and the CDK measures it
// before it does so itself; a permission for nothing (no database configured) is not written at all.
function merge(permissions: readonly Permission[]): readonly Permission[] {
  const needed = permissions.filter(({ resources }) => resources.length > 0);
  const alike = Map.groupBy(needed, ({ actions: _actions, ...rest }) => JSON.stringify(rest));
  return [...alike.values()].map(all => ({
    ...(all[0] as Permission),
    actions: [...new Set(all.flatMap(({ actions }) => actions))],
  }));
}
