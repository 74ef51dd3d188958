import { DescribeKeyCommand, KMSClient, NotFoundException, PutKeyPolicyCommand } from '@aws-sdk/client-kms';
import { z } from 'zod';
import { localClientConfiguration } from '../endpoint/request-handler.ts';
import type { LocalEventBridge } from '../events/service.ts';
import type { LocalIam } from '../iam/authorizer.ts';
import type { LocalKms } from '../kms/service.ts';
import type { AsynchronousInvocations } from '../lambda/asynchronous.ts';
import type { LocalLambda } from '../lambda/service.ts';
import type { LocalLogs } from '../logs/service.ts';
import type { LocalAlarms } from '../monitoring/alarms.ts';
import { readProperties } from '../read-properties.ts';
import type { LocalS3 } from '../s3/service.ts';
import type { LocalScheduler } from '../scheduler/service.ts';
import { NotImplementedLocally } from '../service.ts';
import type { LocalQueues } from '../sqs/queues.ts';
import type { LocalStates } from '../states/service.ts';
import type { LocalTrail } from '../trail/service.ts';
import { TemplateError } from './intrinsics.ts';
import { type CreatedResource, RECORDED_ONLY, type ResourceToCreate, recordResource } from './record-resource.ts';
import type { StackRegistry } from './stack-registry.ts';
import { watchResources } from './watch-resources.ts';

/** The parts of the local cloud that a deployment makes things in. */
export interface DeploymentTarget {
  readonly accountId: string;
  readonly s3: LocalS3;
  readonly kms: LocalKms;
  readonly iam: LocalIam;
  readonly lambda: LocalLambda;
  readonly states: LocalStates;
  readonly scheduler: LocalScheduler;
  readonly alarms: LocalAlarms;
  readonly stacks: StackRegistry;
  readonly trail: LocalTrail;
  readonly events: LocalEventBridge;
  readonly logs: LocalLogs;
  readonly invocations: AsynchronousInvocations;
  readonly queues: LocalQueues;
}

interface RoleInProgress {
  readonly arn: string;
  readonly inline: Map<string, unknown>;
  readonly managedPolicies: readonly string[];
  readonly boundary: unknown;
}

type Create<T extends z.ZodType> = (
  properties: z.output<T>,
  resource: ResourceToCreate,
) => CreatedResource | Promise<CreatedResource>;

const Tags = z.array(z.strictObject({ Key: z.string(), Value: z.string() })).default([]);
const Period = z.strictObject({ Days: z.int().optional(), Years: z.int().optional() });
const Document = z.looseObject({ Statement: z.unknown() });

/**
 * Creates the resources of templates in a local cloud. Whatever has a name (a bucket, a role, a key by its alias) and is
 * there already is kept, with what it holds, and takes on the new definition.
 */
export class ResourceCreator {
  readonly #target: DeploymentTarget;
  readonly #kms: KMSClient;
  readonly #roles = new Map<string, RoleInProgress>();
  readonly #managedPolicies = new Map<string, unknown>();
  readonly #types: Readonly<Record<string, (resource: ResourceToCreate) => CreatedResource | Promise<CreatedResource>>>;

  constructor(target: DeploymentTarget) {
    this.#target = target;
    const root = { kind: 'root', arn: `arn:aws:iam::${target.accountId}:root` } as const;
    this.#kms = new KMSClient(localClientConfiguration({ kms: target.kms }, root));
    this.#types = {
      'AWS::EC2::VPCEndpoint': this.#vpcEndpoint,
      'AWS::S3::Bucket': this.#bucket,
      'AWS::S3::BucketPolicy': this.#bucketPolicy,
      'AWS::KMS::Key': this.#key,
      'AWS::KMS::Alias': this.#alias,
      'AWS::IAM::Role': this.#role,
      'AWS::IAM::Policy': this.#inlinePolicy,
      'AWS::IAM::ManagedPolicy': this.#managedPolicy,
      'AWS::Lambda::Function': this.#function,
      'AWS::StepFunctions::StateMachine': this.#stateMachine,
      'AWS::Scheduler::Schedule': this.#schedule,
      'AWS::CloudWatch::Alarm': this.#alarm,
      'AWS::CloudWatch::CompositeAlarm': this.#compositeAlarm,
      ...Object.fromEntries(
        Object.entries(watchResources(target)).map(([type, create]) => [
          type,
          ({ properties, logicalId }: ResourceToCreate) => create(properties, logicalId),
        ]),
      ),
    };
  }

  /**
   * Creates one resource.
   * @throws NotImplementedLocally naming a type or property that has no meaning here.
   */
  async create(type: string, resource: ResourceToCreate): Promise<CreatedResource> {
    const create = this.#types[type];
    if (create !== undefined) return create(resource);
    if (!RECORDED_ONLY.has(type)) {
      throw new NotImplementedLocally(`the resource type ${type} (${resource.logicalId})`);
    }
    return recordResource(type, resource, this.#target.accountId);
  }

  readonly #bucket = read(
    z.strictObject({
      BucketName: z.string(),
      BucketEncryption: z.strictObject({
        ServerSideEncryptionConfiguration: z.tuple([
          z.strictObject({
            BucketKeyEnabled: z.literal(false),
            ServerSideEncryptionByDefault: z.strictObject({
              SSEAlgorithm: z.literal('aws:kms'),
              KMSMasterKeyID: z.string(),
            }),
          }),
        ]),
      }),
      // Expiry is not simulated: a local run is over before anything would expire.
      LifecycleConfiguration: z.unknown().optional(),
      ObjectLockEnabled: z.boolean().default(false),
      ObjectLockConfiguration: z
        .strictObject({
          ObjectLockEnabled: z.literal('Enabled'),
          Rule: z.strictObject({
            DefaultRetention: Period.extend({
              Mode: z.enum(['GOVERNANCE', 'COMPLIANCE']),
              DefaultEventHold: Period.optional(),
            }),
          }),
        })
        .optional(),
      // Nothing here is public: every request is judged by IAM.
      PublicAccessBlockConfiguration: z.unknown().optional(),
      VersioningConfiguration: z.strictObject({ Status: z.enum(['Enabled', 'Suspended']) }).optional(),
      Tags,
    }),
    properties => {
      const name = properties.BucketName;
      const [encryption] = properties.BucketEncryption.ServerSideEncryptionConfiguration;
      const retention = properties.ObjectLockConfiguration?.Rule.DefaultRetention;
      const definition = {
        name,
        ...(properties.VersioningConfiguration && { versioning: properties.VersioningConfiguration.Status }),
        ...(properties.ObjectLockEnabled && {
          objectLock: retention
            ? {
                defaultRetention: {
                  mode: retention.Mode,
                  period: readPeriod(retention, name),
                  ...(retention.DefaultEventHold && { eventHold: readPeriod(retention.DefaultEventHold, name) }),
                },
              }
            : {},
        }),
        encryption: {
          algorithm: 'aws:kms' as const,
          keyId: encryption.ServerSideEncryptionByDefault.KMSMasterKeyID,
        },
      };
      this.#target.s3.createBucket(definition);
      return { ref: name, attributes: { Arn: `arn:aws:s3:::${name}` } };
    },
  );

  readonly #bucketPolicy = read(
    z.strictObject({ Bucket: z.string(), PolicyDocument: Document }),
    ({ Bucket, PolicyDocument }) => {
      this.#target.s3.putBucketPolicy(Bucket, PolicyDocument);
      return { ref: Bucket, attributes: {} };
    },
  );

  readonly #key = read(
    z.strictObject({
      Description: z.string().optional(),
      KeyPolicy: Document,
      KeySpec: z.enum(['SYMMETRIC_DEFAULT', 'ECC_NIST_P256', 'HMAC_256']).optional(),
      KeyUsage: z.enum(['ENCRYPT_DECRYPT', 'SIGN_VERIFY', 'GENERATE_VERIFY_MAC']).optional(),
      EnableKeyRotation: z.boolean().optional(),
      Tags,
    }),
    async (properties, { logicalId, alias }) => {
      if (alias === undefined) {
        throw new NotImplementedLocally(`a key without an alias (${logicalId}): a second deployment could not find it`);
      }
      const standing = await this.#findKey(alias);
      if (standing !== undefined) {
        await this.#kms.send(
          new PutKeyPolicyCommand({ KeyId: standing.ref, Policy: JSON.stringify(properties.KeyPolicy) }),
        );
        return standing;
      }
      const { keyId, keyArn } = this.#target.kms.createKeyFromTemplate({
        policy: properties.KeyPolicy,
        ...(properties.Description !== undefined && { description: properties.Description }),
        ...(properties.KeySpec && { keySpec: properties.KeySpec }),
        ...(properties.KeyUsage && { keyUsage: properties.KeyUsage }),
        ...(properties.EnableKeyRotation !== undefined && { enableRotation: properties.EnableKeyRotation }),
        tags: Object.fromEntries(properties.Tags.map(({ Key, Value }) => [Key, Value])),
      });
      return { ref: keyId, attributes: { Arn: keyArn, KeyId: keyId } };
    },
  );

  async #findKey(alias: string): Promise<CreatedResource | undefined> {
    try {
      const { KeyMetadata } = await this.#kms.send(new DescribeKeyCommand({ KeyId: alias }));
      const { KeyId = '', Arn = '' } = KeyMetadata ?? {};
      return { ref: KeyId, attributes: { Arn, KeyId } };
    } catch (error) {
      if (error instanceof NotFoundException) return undefined;
      throw error;
    }
  }

  readonly #alias = read(
    z.strictObject({ AliasName: z.string(), TargetKeyId: z.string() }),
    async ({ AliasName, TargetKeyId }) => {
      const standing = await this.#findKey(AliasName);
      if (standing === undefined) this.#target.kms.createAliasFromTemplate(AliasName, TargetKeyId);
      else if (TargetKeyId !== standing.ref && TargetKeyId !== standing.attributes.Arn) {
        throw new TemplateError(`${AliasName} stands for another key`);
      }
      return { ref: AliasName, attributes: {} };
    },
  );

  readonly #role = read(
    z.strictObject({
      RoleName: z.string(),
      Description: z.string().optional(),
      // Functions, workflows and schedules get the role that their definition names; nothing else assumes one here.
      AssumeRolePolicyDocument: Document,
      ManagedPolicyArns: z.array(z.string()).default([]),
      PermissionsBoundary: z.string().optional(),
      Policies: z.array(z.strictObject({ PolicyName: z.string(), PolicyDocument: Document })).default([]),
      Tags,
    }),
    ({ RoleName, ManagedPolicyArns, PermissionsBoundary, Policies }) => {
      const arn = `arn:aws:iam::${this.#target.accountId}:role/${RoleName}`;
      this.#roles.set(RoleName, {
        arn,
        inline: new Map(Policies.map(({ PolicyName, PolicyDocument }) => [PolicyName, PolicyDocument])),
        managedPolicies: ManagedPolicyArns,
        boundary: PermissionsBoundary === undefined ? undefined : this.#ownPolicy(PermissionsBoundary),
      });
      this.#putRole(RoleName);
      return { ref: RoleName, attributes: { Arn: arn, RoleId: `AROA${RoleName}` } };
    },
  );

  readonly #inlinePolicy = read(
    z.strictObject({ PolicyName: z.string(), PolicyDocument: Document, Roles: z.array(z.string()) }),
    ({ PolicyName, PolicyDocument, Roles }) => {
      for (const name of Roles) {
        const role = this.#roles.get(name);
        if (role === undefined)
          throw new TemplateError(`the policy ${PolicyName} is for a role ${name}, which is not there`);
        role.inline.set(PolicyName, PolicyDocument);
        this.#putRole(name);
      }
      return { ref: PolicyName, attributes: {} };
    },
  );

  readonly #managedPolicy = read(
    z.strictObject({
      ManagedPolicyName: z.string(),
      Description: z.string().optional(),
      Path: z.literal('/').default('/'),
      PolicyDocument: Document,
    }),
    ({ ManagedPolicyName, PolicyDocument }) => {
      const arn = `arn:aws:iam::${this.#target.accountId}:policy/${ManagedPolicyName}`;
      this.#managedPolicies.set(arn, PolicyDocument);
      return { ref: arn, attributes: { PolicyArn: arn } };
    },
  );

  #ownPolicy(arn: string): unknown {
    const document = this.#managedPolicies.get(arn);
    if (document === undefined) throw new NotImplementedLocally(`the policy ${arn}, which no template defines`);
    return document;
  }

  #putRole(name: string): void {
    const role = this.#roles.get(name);
    if (role === undefined) return;
    const own = role.managedPolicies.filter(arn => this.#managedPolicies.has(arn));
    this.#target.iam.putRole({
      arn: role.arn,
      policies: [...role.inline.values(), ...own.map(arn => this.#ownPolicy(arn))],
      managedPolicies: role.managedPolicies.filter(arn => !own.includes(arn)),
      ...(role.boundary !== undefined && { boundary: role.boundary }),
    });
  }

  readonly #function = read(
    z.strictObject({
      FunctionName: z.string(),
      Description: z.string().optional(),
      Runtime: z.literal('nodejs24.x'),
      Handler: z.literal('index.handler'),
      Role: z.string(),
      // The code comes from the source that the metadata names.
      Code: z.unknown().optional(),
      Architectures: z.array(z.string()),
      Environment: z.strictObject({ Variables: z.record(z.string(), z.string()) }),
      Timeout: z.int(),
      MemorySize: z.int(),
      EphemeralStorage: z.strictObject({ Size: z.int() }),
      // Of the network there are its endpoints alone.
      VpcConfig: z.unknown().optional(),
      LoggingConfig: z.looseObject({ LogGroup: z.string().optional() }).default({}),
      Tags,
    }),
    (properties, { logicalId, metadata }) => {
      const entry = metadata['daybreak:entry'];
      if (typeof entry !== 'string') throw new TemplateError(`${logicalId} has no metadata daybreak:entry`);
      const Arn = this.#target.lambda.registerFunction({
        name: properties.FunctionName,
        entry,
        roleArn: properties.Role,
        insideVpc: properties.VpcConfig !== undefined,
        environment: properties.Environment.Variables,
        ...(properties.LoggingConfig.LogGroup !== undefined && { logGroup: properties.LoggingConfig.LogGroup }),
        timeoutMs: properties.Timeout * 1000,
        memoryBytes: properties.MemorySize * 1024 * 1024,
      });
      return { ref: properties.FunctionName, attributes: { Arn } };
    },
  );

  readonly #vpcEndpoint = read(
    z.strictObject({
      ServiceName: z.templateLiteral(['com.amazonaws.eu-west-2.', z.enum(['s3', 'kms'])]),
      VpcEndpointType: z.enum(['Gateway', 'Interface']),
      // A private name leads everybody in the VPC to the endpoint; here it is met by the functions that it is for.
      PrivateDnsEnabled: z.literal(false).optional(),
      VpcId: z.string(),
      RouteTableIds: z.array(z.string()).optional(),
      SubnetIds: z.array(z.string()).optional(),
      SecurityGroupIds: z.array(z.string()).optional(),
      PolicyDocument: Document,
      Tags,
    }),
    ({ ServiceName, PolicyDocument }, { logicalId }) => {
      const service = ServiceName === 'com.amazonaws.eu-west-2.s3' ? 's3' : 'kms';
      this.#target.iam.putEndpointPolicy(service, PolicyDocument);
      const ref = `vpce-${logicalId}`;
      return {
        ref,
        attributes: { Service: service, DnsEntries: [`Z0:${ref}.${service}.eu-west-2.vpce.amazonaws.com`] },
      };
    },
  );

  readonly #stateMachine = read(
    z.strictObject({
      StateMachineName: z.string(),
      StateMachineType: z.literal('STANDARD'),
      DefinitionString: z.string(),
      RoleArn: z.string(),
      // The history is kept whole; nothing else is logged here.
      LoggingConfiguration: z.unknown().optional(),
      Tags,
    }),
    ({ StateMachineName, DefinitionString, RoleArn }) => {
      const Arn = this.#target.states.createStateMachine({
        name: StateMachineName,
        definition: DefinitionString,
        roleArn: RoleArn,
      });
      return { ref: Arn, attributes: { Arn, Name: StateMachineName } };
    },
  );

  readonly #schedule = read(z.looseObject({ Name: z.string() }), properties => {
    const Arn = this.#target.scheduler.createSchedule(properties);
    return { ref: properties.Name, attributes: { Arn } };
  });

  readonly #alarm = read(z.looseObject({ AlarmName: z.string() }), properties => {
    const Arn = this.#target.alarms.putMetricAlarm(properties);
    return { ref: properties.AlarmName, attributes: { Arn } };
  });

  readonly #compositeAlarm = read(z.looseObject({ AlarmName: z.string() }), properties => {
    const Arn = this.#target.alarms.putCompositeAlarm(properties);
    return { ref: properties.AlarmName, attributes: { Arn } };
  });
}

// Reads a resource's properties; one that the schema does not have is refused by name, because AWS would act upon it.
function read<T extends z.ZodType>(
  schema: T,
  create: Create<T>,
): (resource: ResourceToCreate) => CreatedResource | Promise<CreatedResource> {
  return resource => {
    const { properties, logicalId } = resource;
    const invalid = (error: z.ZodError) => new TemplateError(`${logicalId}: ${z.prettifyError(error)}`);
    return create(readProperties(schema, properties, logicalId, invalid), resource);
  };
}

function readPeriod({ Days, Years }: z.output<typeof Period>, bucket: string): { days: number } | { years: number } {
  if (Days !== undefined) return { days: Days };
  if (Years === undefined) throw new TemplateError(`${bucket}: a default retention or hold without Days and Years`);
  return { years: Years };
}
