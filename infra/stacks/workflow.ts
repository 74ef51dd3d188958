import { Stack, Tags } from 'aws-cdk-lib';
import { ManagedPolicy, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { type IKey, Key } from 'aws-cdk-lib/aws-kms';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { CfnSchedule } from 'aws-cdk-lib/aws-scheduler';
import { DefinitionBody, LogLevel, StateMachine, StateMachineType } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import type { Deployment } from '../../functions/contracts/configuration.ts';
import type { WatchedKeys } from '../../functions/contracts/pulse.ts';
import { type ScheduleId, scheduleName } from '../../functions/contracts/schedules.ts';
import { type PackedConfiguration, packConfiguration } from '../../functions/platform/packed-configuration.ts';
import { acknowledgeInlinePolicy, acknowledgeWildcard, addPermission } from '../access/allow.ts';
import { endpointStatement } from '../access/endpoint-policy.ts';
import { guardrailStatements } from '../access/guardrails.ts';
import { neededPolicies } from '../access/needed-policies.ts';
import type { Permission } from '../access/permission.ts';
import {
  ROLE_NAMES,
  SCHEDULED_WORKFLOWS,
  SCHEDULER_ROLE,
  STEPS,
  type Step,
  WORKFLOWS,
  type Workflow,
  workflowName,
} from '../access/role-names.ts';
import { DISTRIBUTED_WORKFLOWS, MAP_RESULTS_PREFIX } from '../access/writers.ts';
import { bucketNames, REGION, runtimeConfiguration, type SupplierConfiguration } from '../config/configuration.ts';
import { acknowledge } from '../constructs/acknowledge.ts';
import { Isolation } from '../constructs/isolation.ts';
import { StepLambda, type StepLambdaProps } from '../constructs/step-lambda.ts';
import { permissionsOf, STEP_DEFINITIONS } from '../steps/definitions.ts';
import { executions, objectsBelow } from '../steps/shared-permissions.ts';
import type { Placement } from '../steps/step.ts';
import { DEFINITIONS } from '../workflows/definitions.ts';
import { parseDefinition } from '../workflows/language/definition.ts';
import type { WorkflowReferences } from '../workflows/states-language.ts';
import type { TrailStack } from './trail.ts';
import type { VaultKeys } from './vault.ts';

/** As long as the longest id that AWS gives to a security group. */
const SAMPLE_SECURITY_GROUP_ID = 'sg-00000000000000000';
const SAMPLE_KMS_URL = `https://vpce-00000000000000000-00000000.kms.${REGION}.vpce.amazonaws.com`;

/** Everything that runs: the steps, the workflows and their schedules. It holds no data, and can be destroyed and deployed again. */
export class WorkflowStack extends Stack {
  readonly #steps = new Map<Step, StepLambda>();

  constructor(
    scope: Construct,
    id: string,
    configuration: SupplierConfiguration,
    { vault, registerKeyArn, trail }: { vault: VaultKeys; registerKeyArn: string; trail: Pick<TrailStack, 'keyArn'> },
  ) {
    const { account, region } = configuration;
    super(scope, id, { env: { account, region }, description: 'Daybreak: backup and restore test' });
    Tags.of(this).add('daybreak:purpose', 'workflow');
    const deployment: Deployment = {
      accountId: account,
      region: REGION,
      ...bucketNames(configuration),
      vaultKeyArn: vault.vaultKeyArn,
      signingKeyArn: vault.signingKeyArn,
      tenantIdKeyArn: vault.tenantIdKeyArn,
      ledgerKeyArn: vault.ledgerKeyArn,
      entryKeyArn: vault.entryKeyArn,
      registerKeyArn,
    };
    const permissions = permissionsOf({
      ...deployment,
      configuration,
      subnetGroupName: Isolation.SUBNET_GROUP_NAME,
      // What no schedule starts a person does.
      stateMachineArns: SCHEDULED_WORKFLOWS.map(workflow => this.#stateMachineArn(workflow)),
    });
    const isolation = new Isolation(this, 'Isolation', configuration, service =>
      endpointStatement(service, permissions, account),
    );
    const runtime = (securityGroupId: string): PackedConfiguration =>
      packConfiguration(
        runtimeConfiguration(configuration, { subnetGroupName: Isolation.SUBNET_GROUP_NAME, securityGroupId }),
      );
    const environment = {
      DAYBREAK_CONFIGURATION: this.toJsonString(runtime(isolation.restored.securityGroupId)),
      DAYBREAK_DEPLOYMENT: this.toJsonString(deployment),
    };
    const needed = neededPolicies(configuration);
    const more = (step: Step, watchedKeys: WatchedKeys): Readonly<Record<string, string>> => {
      const { environment } = STEP_DEFINITIONS[step];
      const release = { neededPolicies: needed, watchedKeys, roleNames: ROLE_NAMES };
      return environment === 'nothing more' ? {} : environment(configuration, release);
    };
    const watchedKeys: WatchedKeys = { 'log-key': vault.logKeyArn, 'trail-key': trail.keyArn };
    const sampleKeyArn = `arn:aws:kms:${REGION}:${account}:key/00000000-0000-0000-0000-000000000000`;
    const environmentBytes = (step: Step) =>
      Buffer.byteLength(
        JSON.stringify([
          { ...environment, DAYBREAK_CONFIGURATION: '', DAYBREAK_DEPLOYMENT: '', AWS_ENDPOINT_URL_KMS: SAMPLE_KMS_URL },
          more(step, { 'log-key': sampleKeyArn, 'trail-key': sampleKeyArn }),
          runtime(SAMPLE_SECURITY_GROUP_ID),
          {
            ...deployment,
            vaultKeyArn: sampleKeyArn,
            signingKeyArn: sampleKeyArn,
            ledgerKeyArn: sampleKeyArn,
            entryKeyArn: sampleKeyArn,
            tenantIdKeyArn: sampleKeyArn,
            registerKeyArn: sampleKeyArn,
          },
        ]),
      );
    const guardrails = this.#createGuardrails(account);
    const within = (placement: Exclude<Placement, 'outside'>): Pick<StepLambdaProps, 'placement' | 'environment'> => ({
      placement: { vpc: isolation.vpc, vpcSubnets: isolation.vpcSubnets, securityGroups: [isolation[placement]] },
      // The reader asks KMS for nothing itself.
      environment: placement === 'verifier' && isolation.kmsUrl ? { AWS_ENDPOINT_URL_KMS: isolation.kmsUrl } : {},
    });
    const logKey = Key.fromKeyArn(this, 'LogKey', vault.logKeyArn);
    for (const step of STEPS) {
      const { limits, callers, placement } = STEP_DEFINITIONS[step];
      const placed = placement === 'outside' ? undefined : within(placement);
      this.#steps.set(
        step,
        new StepLambda(this, step.replace('/', '-'), {
          step,
          permissions: permissions[step],
          guardrails,
          environmentBytes: environmentBytes(step),
          logKey,
          callers,
          limits,
          placement: placed?.placement,
          environment: { ...environment, ...placed?.environment, ...more(step, watchedKeys) },
        }),
      );
    }
    for (const workflow of WORKFLOWS) {
      this.#createWorkflow(workflow, { deployment, guardrails, logKey, atOnce: configuration.concurrency });
    }
    this.#createSchedules(configuration, guardrails);
    this.#tellRecorderOfRoles();
  }

  /**
   * Has CloudFormation tell the function that records tampering which roles this release has, before it makes a new one: its
   * event comes later than the making. One that is taken away again, because the deployment failed, may come as a stranger's.
   * https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-dependson.html
   */
  #tellRecorderOfRoles(): void {
    const recorder = this.#lambda('evidence/record-tampering');
    for (const construct of this.node.findAll()) {
      if (construct instanceof Role && construct !== recorder.role) construct.node.addDependency(recorder.function);
    }
  }

  #lambda(step: string): StepLambda {
    const found = this.#steps.get(step as Step);
    if (found === undefined) throw new Error(`the step ${step} is called, and no file in infra/steps defines it`);
    return found;
  }

  #stateMachineArn(workflow: Workflow): string {
    return `arn:aws:states:${REGION}:${this.account}:stateMachine:${workflowName(workflow)}`;
  }

  /** What no role of Daybreak may do, whatever else its policies come to say. */
  #createGuardrails(account: string): ManagedPolicy {
    return new ManagedPolicy(this, 'Guardrails', {
      managedPolicyName: 'daybreak-guardrails',
      description: 'What no role of Daybreak may do',
      statements: guardrailStatements(account),
    });
  }

  #createWorkflow(
    workflow: Workflow,
    {
      deployment,
      guardrails,
      logKey,
      atOnce,
    }: { deployment: Deployment; guardrails: ManagedPolicy; logKey: IKey; atOnce: WorkflowReferences['atOnce'] },
  ): void {
    const called = new Set<string>();
    const definition = DEFINITIONS[workflow]({
      functionArn: step => {
        called.add(step);
        return this.#lambda(step).function.functionArn;
      },
      workBucket: deployment.workBucket,
      atOnce,
    });
    // What the local cloud cannot run is not deployed either: every definition is tested before it runs in AWS.
    parseDefinition(JSON.stringify(definition));
    const machineArn = this.#stateMachineArn(workflow);
    // A distributed map's children are executions of `<state machine>/<map>`.
    const machineArns = DISTRIBUTED_WORKFLOWS.includes(workflow) ? [machineArn, `${machineArn}/*`] : [machineArn];
    const role = new Role(this, `${workflow}-role`, {
      roleName: workflowName(workflow),
      description: `Daybreak: the workflow ${workflow}`,
      assumedBy: new ServicePrincipal('states.amazonaws.com', { conditions: onBehalfOf(this.account, machineArns) }),
      managedPolicies: [guardrails],
    });
    const permissions: Permission[] = [
      {
        actions: ['lambda:InvokeFunction'],
        resources: [...called].map(step => this.#lambda(step).function.functionArn),
      },
      ...(DISTRIBUTED_WORKFLOWS.includes(workflow) ? distributedMap(machineArn, deployment) : []),
    ];
    for (const permission of permissions) addPermission(role, permission);
    acknowledgeWildcard(role, {
      pattern: '*',
      reason: 'Step Functions sets up its log delivery under the role; these actions know no resource.',
    });
    acknowledgeInlinePolicy(role);
    const stateMachine = new StateMachine(this, workflow, {
      stateMachineName: workflowName(workflow),
      stateMachineType: StateMachineType.STANDARD,
      definitionBody: DefinitionBody.fromString(this.toJsonString(definition)),
      role,
      comment: definition.Comment,
      // Inputs and outputs of states stay out of the log: the history keeps them for 90 days.
      logs: {
        destination: new LogGroup(this, `${workflow}-log`, {
          retention: RetentionDays.THIRTEEN_MONTHS,
          encryptionKey: logKey,
        }),
        level: LogLevel.ALL,
        includeExecutionData: false,
      },
    });
    acknowledge(
      stateMachine,
      ['AwsSolutions-SF2', 'Serverless-StepFunctionStateMachineXray'],
      'Every phase is timed in the records and in the execution history; traces would add a copy of that.',
    );
  }

  #createSchedules({ schedules }: SupplierConfiguration, guardrails: ManagedPolicy): void {
    const { dailyBackup: backup, restoreTest: test } = schedules;
    const start = this.#lambda('workflows/start-execution').function;
    const pulse = this.#lambda('pulse/read-back').function;
    const role = new Role(this, 'SchedulerRole', {
      roleName: SCHEDULER_ROLE,
      description: 'Daybreak: what the schedules call',
      assumedBy: new ServicePrincipal('scheduler.amazonaws.com', {
        // The ARN has to be that of the group: "Do not scope the aws:SourceArn statement to a specific schedule".
        // https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html
        conditions: onBehalfOf(this.account, [`arn:aws:scheduler:${REGION}:${this.account}:schedule-group/default`]),
      }),
      managedPolicies: [guardrails],
    });
    addPermission(role, {
      actions: ['lambda:InvokeFunction'],
      resources: STEPS.filter(step => STEP_DEFINITIONS[step].callers.includes('schedule')).map(
        step => this.#lambda(step).function.functionArn,
      ),
    });
    acknowledgeInlinePolicy(role);
    const schedule = (name: ScheduleId, scheduleExpression: string, arn: string, input: unknown) =>
      new CfnSchedule(this, `${name}-schedule`, {
        name: scheduleName(name),
        scheduleExpression,
        scheduleExpressionTimezone: 'Europe/London',
        flexibleTimeWindow: { mode: 'OFF' },
        target: { arn, roleArn: role.roleArn, input: JSON.stringify(input) },
      });
    // EventBridge Scheduler writes the instant in, so that a second delivery names the same execution.
    // https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html
    const startInput = (workflow: Workflow) => ({ workflow, scheduledAt: '<aws.scheduler.scheduled-time>' });
    schedule(
      'daily-backup',
      `cron(${backup.minute} ${backup.hour} * * ? *)`,
      start.functionArn,
      startInput('daily-backup'),
    );
    schedule(
      'restore-test',
      `cron(${test.at.minute} ${test.at.hour} ${test.dayOfMonth} * ? *)`,
      start.functionArn,
      startInput('restore-test'),
    );
    schedule('remove-abandoned', 'cron(7 * * * ? *)', start.functionArn, startInput('remove-abandoned'));
    schedule('pulse', 'rate(15 minutes)', pulse.functionArn, {});
  }
}

/**
 * Lets a service take on a role for these resources of the account alone, so that nobody else's make it act for them. Lambda
 * knows no such condition for the role of a function.
 * https://docs.aws.amazon.com/step-functions/latest/dg/procedure-create-iam-role.html#prevent-cross-service-confused-deputy
 */
function onBehalfOf(account: string, sourceArns: readonly string[]) {
  return {
    StringEquals: { 'aws:SourceAccount': account },
    ArnLike: { 'aws:SourceArn': sourceArns },
  };
}

/**
 * A distributed map starts its children as executions of the same state machine, reads its items and writes its results.
 * https://docs.aws.amazon.com/step-functions/latest/dg/iam-policies-eg-dist-map.html
 */
function distributedMap(stateMachineArn: string, { workBucket, vaultKeyArn }: Deployment): Permission[] {
  const children = executions(`${stateMachineArn}/*`);
  const workFiles = objectsBelow(workBucket, MAP_RESULTS_PREFIX);
  return [
    { actions: ['states:StartExecution'], resources: [stateMachineArn] },
    {
      actions: ['states:DescribeExecution', 'states:StopExecution'],
      resources: [executions(stateMachineArn), children],
    },
    { actions: ['states:RedriveExecution'], resources: [children] },
    {
      actions: ['s3:GetObject', 's3:PutObject', 's3:ListMultipartUploadParts', 's3:AbortMultipartUpload'],
      resources: [workFiles],
    },
    {
      actions: ['kms:Decrypt', 'kms:GenerateDataKey'],
      resources: [vaultKeyArn],
      conditions: {
        StringEquals: { 'kms:ViaService': `s3.${REGION}.amazonaws.com` },
        StringLike: { 'kms:EncryptionContext:aws:s3:arn': workFiles.pattern },
      },
    },
  ];
}
