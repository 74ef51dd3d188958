import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { arnOf, type Permission } from '../../../infra/access/permission.ts';
import { stepName } from '../../../infra/access/role-names.ts';
import type { Caller, StepDefinition } from '../../../infra/steps/step.ts';

/** Everything that has to know of a step, as it is found where it stands. Steps are called by their places: `backup/plan`. */
export interface Known {
  /** The files below `functions/` that export a handler. */
  readonly handlers: readonly string[];
  /** The steps that each file in `infra/steps` defines, by the file's name. */
  readonly files: Readonly<Record<string, readonly string[]>>;
  readonly definitions: Readonly<Record<string, Pick<StepDefinition, 'callers'>>>;
  /** What definitions of workflows, schedules and rules call. */
  readonly called: Readonly<Record<Caller, readonly string[]>>;
  /** The steps with a load of the bench, and those that say why they have none. */
  readonly loads: readonly string[];
  readonly keys: readonly KeyUse[];
}

/** What a key's policy lets exactly named roles do, and the steps whose own roles are allowed it on that key. */
export interface KeyUse {
  readonly alias: string;
  readonly action: string;
  readonly roles: readonly string[];
  readonly steps: readonly string[];
}

/** What somebody who added a step, or took one away, has forgotten: a sentence for each place. */
export function findForgotten({ handlers, files, definitions, called, loads, keys }: Known): string[] {
  const steps = Object.keys(definitions);
  const fileOf = (step: string) => `${step.slice(0, step.indexOf('/'))}.ts`;
  const missing = (from: readonly string[], among: readonly string[]) => from.filter(step => !among.includes(step));
  const callers: readonly Caller[] = ['workflow', 'schedule', 'rules'];
  const says = (caller: Caller) => steps.filter(step => definitions[step]?.callers.includes(caller));
  return [
    ...missing(handlers, steps).map(
      step => `functions/${step}.ts exports a handler, and infra/steps/${fileOf(step)} does not define ${step}`,
    ),
    ...missing(steps, handlers).map(step => `${step} is defined, and functions/${step}.ts exports no handler`),
    ...Object.entries(files).flatMap(([file, defined]) => [
      ...missing(defined, steps).map(
        step => `${step} is defined in infra/steps/${file}, which definitions.ts leaves out`,
      ),
      ...defined
        .filter(step => fileOf(step) !== file)
        .map(step => `${step} is defined in infra/steps/${file}, and belongs in ${fileOf(step)}`),
    ]),
    ...callers.flatMap(caller => [
      ...missing(says(caller), called[caller]).map(step => `${step} names ${caller} as a caller, and none calls it`),
      ...missing(called[caller], says(caller)).map(step => `${step} is called by ${caller}, and does not say so`),
    ]),
    ...missing(steps, loads).map(step => `${step} has no load in test/bench/scale/loads.ts, and no reason for that`),
    ...missing(loads, steps).map(step => `test/bench/scale/loads.ts has ${step}, which is no step`),
    ...keys.flatMap(({ alias, action, roles, steps: allowed }) => {
      const names = allowed.map(step => stepName(step as never));
      return [
        ...missing(names, roles).map(name => `${name} may ${action} with ${alias}, whose policy does not name it`),
        ...missing(roles, names).map(name => `${alias} names ${name} for ${action}, which its own role may not do`),
      ];
    }),
  ];
}

/** The steps below `functions/` of a project, by what their files export. */
export function handlersIn(project: string): string[] {
  return globSync('functions/*/*.ts', { cwd: project })
    .filter(file => /^export const handler\b/m.test(readFileSync(join(project, file), 'utf8')))
    .map(file => file.slice('functions/'.length, -'.ts'.length))
    .sort();
}

/** The steps that files in `infra/steps` define, by the files' names. */
export async function definedIn(directory: string): Promise<Record<string, string[]>> {
  const found: Record<string, string[]> = {};
  for (const file of globSync(join(directory, '*.ts')).sort()) {
    if (basename(file) === 'definitions.ts') continue;
    const isStep = (value: unknown) => value !== null && typeof value === 'object' && 'builtFor' in value;
    const exported: unknown[] = Object.values(await import(file));
    const steps = exported
      .filter(value => value !== null && typeof value === 'object')
      .flatMap(value => Object.entries(value as object))
      .flatMap(([name, value]) => (isStep(value) ? [name] : []));
    if (steps.length > 0) found[basename(file)] = steps;
  }
  return found;
}

/** The steps that may do something with a key by their own roles. */
export function stepsAllowed(
  permissions: Readonly<Record<string, readonly Permission[]>>,
  action: string,
  keyArn: string,
): string[] {
  const allows = ({ effect, actions, resources }: Permission) =>
    effect !== 'Deny' && actions.includes(action) && resources.map(arnOf).includes(keyArn);
  return Object.keys(permissions).filter(step => permissions[step]?.some(allows));
}
