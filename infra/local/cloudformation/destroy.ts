import { DeleteAliasCommand, KMSClient } from '@aws-sdk/client-kms';
import { localClientConfiguration } from '../endpoint/request-handler.ts';
import { NotImplementedLocally } from '../service.ts';
import { TemplateError } from './intrinsics.ts';
import { type CreatedResource, RECORDED_ONLY } from './record-resource.ts';
import type { DeploymentTarget } from './resources.ts';

/**
 * Deletes a stack as CloudFormation does: its resources, each before what it refers to, but for those that its template
 * retains. It refuses a stack that is protected, and one whose exports another stack imports.
 * https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DeleteStack.html
 * @throws TemplateError naming why it is refused; NotImplementedLocally naming a type that cannot be deleted here.
 */
export async function destroyStack(cloud: DeploymentTarget, name: string): Promise<void> {
  const { stacks } = cloud;
  const stack = stacks.standing.get(name);
  if (stack === undefined) throw new TemplateError(`there is no stack ${name}`);
  if (stack.terminationProtection) {
    throw new TemplateError(`Stack [${name}] cannot be deleted while TerminationProtection is enabled`);
  }
  const [importer] = stacks.importersOf(name);
  if (importer !== undefined) {
    throw new TemplateError(`Delete canceled. Cannot delete exports of ${name} as they are in use by ${importer}`);
  }
  await removeResources(cloud, name, [...stack.resources.keys()]);
  stacks.standing.delete(name);
}

/** Turns the protection of a stack against deletion on or off, as `UpdateTerminationProtection` does. */
export function setTerminationProtection({ stacks }: DeploymentTarget, name: string, enabled: boolean): void {
  const stack = stacks.standing.get(name);
  if (stack === undefined) throw new TemplateError(`there is no stack ${name}`);
  stack.terminationProtection = enabled;
}

/** Removes resources of a standing stack, the last created first; what the template retains is left as it is. */
export async function removeResources(
  cloud: DeploymentTarget,
  stackName: string,
  logicalIds: readonly string[],
): Promise<void> {
  const stack = cloud.stacks.standing.get(stackName);
  for (const logicalId of [...logicalIds].reverse()) {
    const resource = stack?.resources.get(logicalId);
    const { Type, DeletionPolicy } = stack?.template.Resources[logicalId] ?? {};
    if (resource === undefined || Type === undefined) continue;
    if (DeletionPolicy?.startsWith('Retain')) cloud.stacks.retained.add(`${Type} ${resource.ref}`);
    else await remove(cloud, Type, resource, `${stackName}.${logicalId}`);
  }
}

async function remove(cloud: DeploymentTarget, type: string, resource: CreatedResource, where: string): Promise<void> {
  const { ref, attributes } = resource;
  const root = { kind: 'root', arn: `arn:aws:iam::${cloud.accountId}:root` } as const;
  const keys = () => new KMSClient(localClientConfiguration({ kms: cloud.kms }, root));
  switch (type) {
    case 'AWS::CloudWatch::Alarm':
    case 'AWS::CloudWatch::CompositeAlarm':
      return cloud.alarms.deleteAlarm(ref);
    case 'AWS::EC2::VPCEndpoint':
      return cloud.iam.deleteEndpointPolicy(/:vpce-[^.]+\.s3\./.test(String(attributes.DnsEntries)) ? 's3' : 'kms');
    case 'AWS::IAM::Role':
      return cloud.iam.deleteRole(attributes.Arn as string);
    case 'AWS::IAM::ManagedPolicy':
    case 'AWS::IAM::Policy':
      // They are deleted before the roles that carry them, which take them along.
      return;
    case 'AWS::KMS::Alias':
      await keys().send(new DeleteAliasCommand({ AliasName: ref }));
      return;
    case 'AWS::Lambda::Function':
      return cloud.lambda.deleteFunction(ref);
    case 'AWS::Scheduler::Schedule':
      return cloud.scheduler.deleteSchedule(ref);
    case 'AWS::StepFunctions::StateMachine':
      return cloud.states.deleteStateMachine(ref);
    case 'AWS::CloudTrail::Trail':
      return cloud.trail.deleteTrail(ref);
    case 'AWS::Events::Rule':
      return cloud.events.deleteRule(ref);
    case 'AWS::Logs::SubscriptionFilter':
    case 'AWS::Logs::MetricFilter':
      return cloud.logs.deleteFilter(ref);
    case 'AWS::Lambda::EventInvokeConfig':
      return cloud.invocations.removeConfiguration(ref);
    case 'AWS::Lambda::Permission':
      return cloud.invocations.removePermission(ref);
    case 'AWS::SQS::Queue':
      return cloud.queues.deleteQueue(attributes.Arn as string);
    default:
      if (!RECORDED_ONLY.has(type)) throw new NotImplementedLocally(`deleting the resource type ${type} (${where})`);
  }
}
