import { NotImplementedLocally } from '../service.ts';
import { readAssembly, resourceOrder, type Stack, type Template } from './assembly.ts';
import { findReferences, type ReferenceScope, resolveIntrinsics, TemplateError } from './intrinsics.ts';
import type { CreatedResource } from './record-resource.ts';
import { type DeploymentTarget, ResourceCreator } from './resources.ts';

/** What a deployment made, by stack: the physical id of each resource by its logical id, and the outputs. */
export type DeployedStacks = ReadonlyMap<
  string,
  { readonly resources: ReadonlyMap<string, CreatedResource>; readonly outputs: ReadonlyMap<string, unknown> }
>;

/**
 * Deploys a synthesized cloud assembly to a local cloud, stack by stack and resource by resource in the order of their
 * references, as CloudFormation would. On a cloud that was deployed to before, it changes definitions and keeps data.
 * @throws NotImplementedLocally naming a resource type, property or intrinsic function that has no meaning here.
 * @throws TemplateError for what CloudFormation would refuse.
 */
export async function deployAssembly(cloud: DeploymentTarget, assemblyDirectory: string): Promise<DeployedStacks> {
  const creator = new ResourceCreator(cloud);
  const deployed = new Map<string, { resources: Map<string, CreatedResource>; outputs: Map<string, unknown> }>();
  const exports = new Map<string, unknown>();
  for (const stack of readAssembly(assemblyDirectory)) {
    const environment = readEnvironment(stack, cloud.accountId);
    const resources = new Map<string, CreatedResource>();
    const outputs = new Map<string, unknown>();
    deployed.set(stack.name, { resources, outputs });
    const scope: ReferenceScope = {
      ref: name => pseudoParameter(name, environment, stack.name) ?? refer(name, stack, resources),
      attribute: (name, attribute) => {
        const value = resources.get(name)?.attributes[attribute];
        if (value === undefined) throw new TemplateError(`${stack.name}: ${name} has no attribute ${attribute}`);
        return value;
      },
      exported: name => {
        if (!exports.has(name)) throw new TemplateError(`${stack.name}: no stack before it exports ${name}`);
        return exports.get(name);
      },
      stackOutput: (other, output) => {
        const found = deployed.get(other)?.outputs;
        if (!found?.has(output)) throw new TemplateError(`${stack.name}: ${other} has no output ${output}`);
        return found.get(output);
      },
    };
    for (const logicalId of resourceOrder(stack.template, stack.name)) {
      const resource = stack.template.Resources[logicalId];
      if (resource === undefined) continue;
      const where = `${stack.name}.${logicalId}`;
      const created = await creator.create(resource.Type, {
        logicalId: where,
        properties: resolveIntrinsics(resource.Properties, scope, where),
        metadata: resource.Metadata,
        alias: aliasOf(logicalId, stack.template),
      });
      resources.set(logicalId, created);
    }
    for (const [name, { Value, Export }] of Object.entries(stack.template.Outputs)) {
      const value = resolveIntrinsics(Value, scope, `${stack.name}.Outputs.${name}`);
      outputs.set(name, value);
      if (Export !== undefined) exports.set(String(resolveIntrinsics(Export.Name, scope, name)), value);
    }
  }
  return deployed;
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
