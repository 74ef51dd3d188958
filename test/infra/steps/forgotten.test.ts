import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Resource } from '../../../infra/access/permission.ts';
import { STEPS, stepName, WORKFLOWS } from '../../../infra/access/role-names.ts';
import { DISTRIBUTED_WORKFLOWS } from '../../../infra/access/writers.ts';
import { SupplierConfiguration } from '../../../infra/config/configuration.ts';
import { exampleConfiguration } from '../../../infra/config/example.ts';
import { STEP_DEFINITIONS } from '../../../infra/steps/definitions.ts';
import { stepsThatMay } from '../../../infra/steps/planned-permissions.ts';
import type { StepDefinition } from '../../../infra/steps/step.ts';
import { DEFINITIONS } from '../../../infra/workflows/definitions.ts';
import type { invoke } from '../../../infra/workflows/states-language.ts';
import { LOADS, NOT_MEASURED } from '../../bench/scale/loads.ts';
import { exampleTemplates, type Resources } from '../../fixtures/example-templates.ts';
import { definedIn, findForgotten, handlersIn, type Known } from './forgotten.ts';

const PROJECT = join(import.meta.dirname, '../../..');
const scratch = mkdtempSync(join(tmpdir(), 'daybreak-forgotten-'));
afterAll(() => rmSync(scratch, { recursive: true }));

interface Conditions {
  readonly ArnLike: Readonly<Record<string, string | string[]>>;
}
const ofType = (resources: Resources, type: string) =>
  Object.entries(resources).flatMap(([id, { Type, Properties }]) => (Type === type ? [{ id, ...Properties }] : []));

const definitions = Object.fromEntries(
  WORKFLOWS.map(workflow => {
    const called = new Set<string>();
    const functionArn = (step: string) => {
      called.add(step);
      return step;
    };
    const atOnce = { tenants: 1, databases: 1 };
    const text = JSON.stringify(DEFINITIONS[workflow]({ functionArn, workBucket: 'work', atOnce }));
    return [workflow, { called, text }];
  }),
);

let known: Known;
beforeAll(async () => {
  const { Vault: vault, Workflows: workflows, Monitoring: monitoring } = exampleTemplates();
  const stepCalled = (name: string) => STEPS.find(step => stepName(step) === name) ?? name;
  const scheduled = ofType(workflows, 'AWS::Scheduler::Schedule').map(({ Target }) =>
    stepCalled(workflows[Target.Arn['Fn::GetAtt'][0]]?.Properties.FunctionName),
  );
  const ruled = ofType(monitoring, 'AWS::Lambda::Permission').map(({ FunctionName }) =>
    stepCalled(FunctionName.slice(FunctionName.lastIndexOf(':') + 1)),
  );
  known = {
    handlers: handlersIn(PROJECT),
    files: await definedIn(join(PROJECT, 'infra/steps')),
    definitions: STEP_DEFINITIONS,
    called: {
      workflow: [...new Set(Object.values(definitions).flatMap(({ called }) => [...called]))],
      schedule: [...new Set(scheduled)],
      rules: [...new Set(ruled)],
    },
    loads: [...new Set(LOADS.map(({ step }) => step)), ...Object.keys(NOT_MEASURED)],
    keys: keyUses(vault),
  };
});

const KEYS = {
  'alias/daybreak/vault': 'vaultKeyArn',
  'alias/daybreak/signing': 'signingKeyArn',
  'alias/daybreak/ledger': 'ledgerKeyArn',
  'alias/daybreak/entries': 'entryKeyArn',
  'alias/daybreak/tenant-ids': 'tenantIdKeyArn',
} as const;

/** Who may sign, give grants and make names, by the policies of the vault's keys and by the steps' own. */
function keyUses(vault: Resources): Known['keys'] {
  const configuration = SupplierConfiguration.parse(exampleConfiguration);
  const aliases = ofType(vault, 'AWS::KMS::Alias');
  const list = (value: string | string[]) => [value].flat();
  return Object.entries(KEYS).flatMap(([alias, key]) => {
    const [id] = aliases.find(({ AliasName }) => AliasName === alias)?.TargetKeyId['Fn::GetAtt'] ?? [];
    const statements: { Effect: string; Action: string | string[]; Condition: Conditions }[] =
      vault[id]?.Properties.KeyPolicy.Statement;
    return (['kms:Sign', 'kms:CreateGrant', 'kms:GenerateMac'] as const).map(action => ({
      alias,
      action,
      roles: statements
        .filter(({ Effect, Action }) => Effect === 'Allow' && list(Action).includes(action))
        .flatMap(({ Condition }) => list(Condition.ArnLike['aws:PrincipalArn'] ?? []))
        .filter(arn => arn.includes(':role/'))
        .map(arn => arn.slice(arn.indexOf(':role/') + ':role/'.length)),
      steps: stepsThatMay(action, key, configuration),
    }));
  });
}

it('finds nothing that is forgotten of a step', () => {
  expect(findForgotten(known)).toEqual([]);
  expect(known.handlers).toHaveLength(STEPS.length);
  expect(Object.values(known.files).flat()).toHaveLength(STEPS.length);
  expect(known.keys.flatMap(({ alias, action, steps }) => steps.map(step => `${alias} ${action} ${step}`))).toEqual([
    'alias/daybreak/vault kms:CreateGrant backup/copy-snapshot',
    'alias/daybreak/vault kms:CreateGrant restore-test/restore-database',
    'alias/daybreak/signing kms:Sign backup/complete',
    'alias/daybreak/ledger kms:Sign evidence/append-entry',
    'alias/daybreak/entries kms:Sign evidence/append-entry',
    'alias/daybreak/entries kms:Sign evidence/record-tampering',
    'alias/daybreak/tenant-ids kms:GenerateMac backup/list-tenants',
  ]);
});

it('gives the roles of distributed maps to the workflows that have one', () => {
  expect(DISTRIBUTED_WORKFLOWS).toEqual(WORKFLOWS.filter(name => definitions[name]?.text.includes('"DISTRIBUTED"')));
});

/** One step of which nothing is forgotten. */
const complete: Known = {
  handlers: ['pulse/read-back'],
  files: { 'pulse.ts': ['pulse/read-back'] },
  definitions: { 'pulse/read-back': { callers: ['schedule'] } },
  called: { workflow: [], schedule: ['pulse/read-back'], rules: [] },
  loads: ['pulse/read-back'],
  keys: [],
};

it('names the place of a step whose file alone is there', () => {
  mkdirSync(join(scratch, 'functions/retention'), { recursive: true });
  writeFileSync(join(scratch, 'functions/retention/sweep.ts'), 'export const handler = step({});\n');
  writeFileSync(join(scratch, 'functions/retention/plan-sweep.ts'), 'export const planSweep = () => [];\n');
  const handlers = [...complete.handlers, ...handlersIn(scratch)];
  expect(findForgotten({ ...complete, handlers })).toEqual([
    'functions/retention/sweep.ts exports a handler, and infra/steps/retention.ts does not define retention/sweep',
  ]);
});

it('names each place that a step which is defined alone has not come to', () => {
  const [alias, action] = ['alias/daybreak/signing', 'kms:Sign'];
  const half: Known = {
    ...complete,
    files: {
      ...complete.files,
      'retention.ts': ['retention/sweep', 'retention/list'],
      'pulse.ts': ['pulse/read-back', 'retention/sweep'],
    },
    definitions: { ...complete.definitions, 'retention/sweep': { callers: ['workflow', 'rules'] } },
    called: { ...complete.called, schedule: [...complete.called.schedule, 'retention/sweep', 'retention/gone'] },
    loads: [...complete.loads, 'retention/gone'],
    keys: [
      { alias, action, roles: ['daybreak-retention-gone'], steps: ['retention/sweep'] },
      { alias, action: 'kms:CreateGrant', roles: [], steps: [] },
    ],
  };
  expect(findForgotten(half)).toEqual([
    'retention/sweep is defined, and functions/retention/sweep.ts exports no handler',
    'retention/sweep is defined in infra/steps/pulse.ts, and belongs in retention.ts',
    'retention/list is defined in infra/steps/retention.ts, which definitions.ts leaves out',
    'retention/sweep names workflow as a caller, and none calls it',
    'retention/sweep is called by schedule, and does not say so',
    'retention/gone is called by schedule, and does not say so',
    'retention/sweep names rules as a caller, and none calls it',
    'retention/sweep has no load in test/bench/scale/loads.ts, and no reason for that',
    'test/bench/scale/loads.ts has retention/gone, which is no step',
    'daybreak-retention-sweep may kms:Sign with alias/daybreak/signing, whose policy does not name it',
    'alias/daybreak/signing names daybreak-retention-gone for kms:Sign, which its own role may not do',
  ]);
});

// The compiler makes these checks: an error that is expected and does not come is one.
it('lets no field of a step be left out', () => {
  const { limits, builtFor, placement, callers, environment, permissions } = STEP_DEFINITIONS['backup/plan'];
  const half: StepDefinition[] = [
    { limits, builtFor, placement, callers, environment, permissions },
    // @ts-expect-error Property 'limits' is missing
    { builtFor, placement, callers, environment, permissions },
    // @ts-expect-error Property 'builtFor' is missing
    { limits, placement, callers, environment, permissions },
    // @ts-expect-error Property 'placement' is missing
    { limits, builtFor, callers, environment, permissions },
    // @ts-expect-error Property 'callers' is missing
    { limits, builtFor, placement, environment, permissions },
    // @ts-expect-error nobody calls it
    { limits, builtFor, placement, callers: [], environment, permissions },
    // @ts-expect-error Property 'environment' is missing
    { limits, builtFor, placement, callers, permissions },
    // @ts-expect-error Property 'permissions' is missing
    { limits, builtFor, placement, callers, environment },
    // @ts-expect-error Property 'spoolMib' is missing
    { limits: { timeoutMinutes: 3, memoryMib: 512 }, builtFor, placement, callers, environment, permissions },
  ];
  // @ts-expect-error Property 'reason' is missing
  const wildcard: Resource = { pattern: '*' };
  // @ts-expect-error a workflow calls what is no step
  const invoked: Parameters<typeof invoke>[1] = 'retention/sweep';
  expect([...half, wildcard, invoked]).toHaveLength(11);
});
