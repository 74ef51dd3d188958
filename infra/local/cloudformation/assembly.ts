import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { NotImplementedLocally } from '../service.ts';
import { findReferences, TemplateError } from './intrinsics.ts';

const Resource = z.strictObject({
  Type: z.string(),
  Properties: z.record(z.string(), z.unknown()).default({}),
  DependsOn: z.union([z.string().transform(name => [name]), z.array(z.string())]).default([]),
  Metadata: z.record(z.string(), z.unknown()).default({}),
  DeletionPolicy: z.string().optional(),
  UpdateReplacePolicy: z.string().optional(),
});
export type Resource = z.output<typeof Resource>;

const Template = z.looseObject({
  Resources: z.record(z.string(), Resource),
  Parameters: z.record(z.string(), z.looseObject({ Default: z.unknown() })).default({}),
  Outputs: z
    .record(z.string(), z.looseObject({ Value: z.unknown(), Export: z.object({ Name: z.unknown() }).optional() }))
    .default({}),
});
export type Template = z.output<typeof Template>;

const Manifest = z.object({
  artifacts: z.record(
    z.string(),
    z.object({
      type: z.string(),
      environment: z.string().optional(),
      dependencies: z.array(z.string()).default([]),
      properties: z
        .looseObject({
          templateFile: z.string().optional(),
          stackName: z.string().optional(),
          terminationProtection: z.boolean().optional(),
        })
        .optional(),
    }),
  ),
});

const SECTIONS = new Set([
  'AWSTemplateFormatVersion',
  'Description',
  'Metadata',
  'Resources',
  'Parameters',
  'Outputs',
  'Rules',
]);

/** One stack of an assembly. */
export interface Stack {
  readonly name: string;
  /** `aws://111122223333/eu-west-2` */
  readonly environment: string;
  readonly terminationProtection: boolean;
  readonly template: Template;
}

/** The stacks of a cloud assembly, each after those that it depends on. */
export function readAssembly(directory: string): Stack[] {
  const readJson = (file: string): unknown => JSON.parse(readFileSync(join(directory, file), 'utf8'));
  const { artifacts } = Manifest.parse(readJson('manifest.json'));
  const stacks = Object.entries(artifacts).filter(([, { type }]) => type === 'aws:cloudformation:stack');
  const dependencies = new Map(stacks.map(([name, artifact]) => [name, artifact.dependencies]));
  return inOrder(dependencies, 'the assembly').map(name => {
    const { properties, environment = '' } = artifacts[name] ?? {};
    const file = properties?.templateFile ?? `${name}.template.json`;
    const json = readJson(file) as Record<string, unknown>;
    const unknown = Object.keys(json).find(section => !SECTIONS.has(section));
    if (unknown !== undefined) throw new NotImplementedLocally(`the section ${unknown} of a template (${file})`);
    return {
      name: properties?.stackName ?? name,
      environment,
      terminationProtection: properties?.terminationProtection ?? false,
      template: Template.parse(json),
    };
  });
}

/** The logical ids of a template's resources, each after what it refers to or depends on. */
export function resourceOrder({ Resources }: Template, stack: string): string[] {
  const dependencies = new Map(
    Object.entries(Resources).map(([id, resource]) => [
      id,
      [...resource.DependsOn, ...findReferences(resource.Properties)],
    ]),
  );
  return inOrder(dependencies, stack);
}

function inOrder(dependencies: ReadonlyMap<string, readonly string[]>, where: string): string[] {
  const ordered = new Set<string>();
  const visit = (name: string, path: readonly string[]): void => {
    const needed = dependencies.get(name);
    if (needed === undefined || ordered.has(name)) return;
    if (path.includes(name)) throw new TemplateError(`${where}: ${[...path, name].join(' → ')} is a circle`);
    for (const other of needed) visit(other, [...path, name]);
    ordered.add(name);
  };
  for (const name of dependencies.keys()) visit(name, []);
  return [...ordered];
}
