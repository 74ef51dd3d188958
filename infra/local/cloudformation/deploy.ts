import { NotImplementedLocally } from '../service.ts';
import { readAssembly, resourceOrder, type Stack, type Template } from './assembly.ts';
import { removeResources } from './destroy.ts';
import { findReferences, type ReferenceScope, resolveIntrinsics, TemplateError } from './intrinsics.ts';
import type { CreatedResource, ResourceToCreate } from './record-resource.ts';
import { type DeploymentTarget, ResourceCreator } from './resources.ts';
import type { StandingStack } from './stack-registry.ts';

/** What a deployment made, by stack: the physical id of each resource by its logical id, and the outputs. */
export type DeployedStacks = ReadonlyMap<string, Pick<StandingStack, 'resources' | 'outputs'>>;

/**
 * Deploys a synthesized cloud assembly to a local cloud, stack by stack and resource by resource in the order of their
 * references, as CloudFormation would. On a cloud that was deployed to before, it changes definitions, keeps data, and
 * removes what a template does not have any more. What a destroyed stack retained is not taken over.
 * @throws NotImplementedLocally naming a resource type, property or intrinsic function that has no meaning here.
 * @throws TemplateError for what CloudFormation would refuse.
 */
export async function deployAssembly(cloud: DeploymentTarget, assemblyDirectory: string): Promise<DeployedStacks> {
  const creator = new ResourceCreator(cloud);
  const deployed = new Map<string, StandingStack>();
  for (const stack of readAssembly(assemblyDirectory)) {
    deployed.set(stack.name, await deployStack(cloud, creator, stack, deployed));
  }
  return deployed;
}

async function deployStack(
  cloud: DeploymentTarget,
  creator: ResourceCreator,
  stack: Stack,
  deployed: ReadonlyMap<string, StandingStack>,
): Promise<StandingStack> {
  const { name: stackName, template, terminationProtection } = stack;
  const environment = readEnvironment(stack, cloud.accountId);
  const resources = new Map<string, CreatedResource>();
  const outputs = new Map<string, unknown>();
  const exports = new Map<string, unknown>();
  const imports = new Set<string>();
  const scope: ReferenceScope = {
    ref: name => pseudoParameter(name, environment, stackName) ?? refer(name, stack, resources),
    attribute: (name, attribute) => {
      const value = resources.get(name)?.attributes[attribute];
      if (value === undefined) throw new TemplateError(`${stackName}: ${name} has no attribute ${attribute}`);
      return value;
    },
    exported: name => {
      const value = cloud.stacks.findExport(name);
      if (value === undefined) throw new TemplateError(`${stackName}: no stack before it exports ${name}`);
      imports.add(name);
      return value;
    },
    stackOutput: (other, output) => {
      const found = deployed.get(other)?.outputs;
      if (!found?.has(output)) throw new TemplateError(`${stackName}: ${other} has no output ${output}`);
      return found.get(output);
    },
  };
  const standing = cloud.stacks.standing.get(stackName);
  for (const logicalId of resourceOrder(template, stackName)) {
    const resource = template.Resources[logicalId];
    if (resource === undefined) continue;
    const where = `${stackName}.${logicalId}`;
    const toCreate = {
      logicalId: where,
      properties: resolveIntrinsics(resource.Properties, scope, where),
      metadata: resource.Metadata,
      alias: aliasOf(logicalId, template),
    };
    if (!standing?.resources.has(logicalId)) refuseRetained(cloud, resource.Type, toCreate);
    resources.set(logicalId, await creator.create(resource.Type, toCreate));
  }
  for (const [name, { Value, Export }] of Object.entries(template.Outputs)) {
    const value = resolveIntrinsics(Value, scope, `${stackName}.Outputs.${name}`);
    outputs.set(name, value);
    if (Export !== undefined) exports.set(String(resolveIntrinsics(Export.Name, scope, name)), value);
  }
  const gone = [...(standing?.resources.keys() ?? [])].filter(logicalId => !resources.has(logicalId));
  await removeResources(cloud, stackName, gone);
  const result = { template, resources, outputs, exports, imports, terminationProtection };
  cloud.stacks.standing.set(stackName, result);
  return result;
}

// CloudFormation creates what a template names; what is there already under a name that is unique fails.
function refuseRetained(
  { stacks }: DeploymentTarget,
  type: string,
  { logicalId, properties, alias }: ResourceToCreate,
) {
  const { BucketName, AliasName } = properties as Record<string, unknown>;
  const name = {
    'AWS::S3::Bucket': `AWS::S3::Bucket ${BucketName}`,
    'AWS::KMS::Alias': `AWS::KMS::Alias ${AliasName}`,
    'AWS::KMS::Key': `AWS::KMS::Alias ${alias}`,
  }[type];
  if (name === undefined || !stacks.retained.has(name)) return;
  throw new TemplateError(
    `${logicalId}: ${name} already exists, retained by a stack that was destroyed; name the vault's keys in existing, or import it`,
  );
}

function readEnvironment({ name, environment }: Stack, accountId: string): { account: string; region: string } {
  const [, account, region] = /^aws:\/\/(\d{12})\/([a-z0-9-]+)$/.exec(environment) ?? [];
  if (account !== accountId || region === undefined) {
    throw new TemplateError(
      `the stack ${name} is for ${environment}; this local cloud is aws://${accountId}/eu-west-2`,
    );
  }
  return { account, region };
}

function pseudoParameter(
  name: string,
  { account, region }: { account: string; region: string },
  stack: string,
): string | undefined {
  if (!name.startsWith('AWS::')) return undefined;
  const values: Record<string, string> = {
    'AWS::AccountId': account,
    'AWS::Partition': 'aws',
    'AWS::Region': region,
    'AWS::StackName': stack,
    'AWS::URLSuffix': 'amazonaws.com',
  };
  const value = values[name];
  if (value === undefined) throw new NotImplementedLocally(`the pseudo parameter ${name} (${stack})`);
  return value;
}

function refer(
  name: string,
  { name: stack, template }: Stack,
  resources: ReadonlyMap<string, CreatedResource>,
): unknown {
  const resource = resources.get(name);
  if (resource !== undefined) return resource.ref;
  const parameter = template.Parameters[name];
  if (parameter?.Default !== undefined) return parameter.Default;
  throw new TemplateError(`${stack}: ${name} is no resource, and no parameter with a default`);
}

function aliasOf(logicalId: string, { Resources }: Template): string | undefined {
  const alias = Object.values(Resources).find(
    ({ Type, Properties }) => Type === 'AWS::KMS::Alias' && findReferences(Properties.TargetKeyId).has(logicalId),
  );
  const name = alias?.Properties.AliasName;
  return typeof name === 'string' ? name : undefined;
}
