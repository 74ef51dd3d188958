import { globSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App, Stack } from 'aws-cdk-lib';
import { ManagedPolicy } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createApp } from '../../infra/app.ts';
import { exampleConfiguration } from '../../infra/config/example.ts';
import { StepLambda } from '../../infra/constructs/step-lambda.ts';
import { STEP_DEFINITIONS } from '../../infra/steps/definitions.ts';

const PROJECT = join(import.meta.dirname, '../..');
const BUNDLED = ['backup/complete', 'restore-test/verify-database'] as const;
// Where the CDK CLI puts an assembly, and somewhere else at another depth.
mkdirSync(join(PROJECT, 'cdk.out'), { recursive: true });
const inProject = mkdtempSync(join(PROJECT, 'cdk.out/assembly-'));
const elsewhere = mkdtempSync(join(tmpdir(), 'daybreak-assembly-'));
const places = [join(inProject, 'out'), join(elsewhere, 'some/where/else')] as const;
const whole = places.map(place => join(place, 'whole'));
const bundled = places.map(place => join(place, 'bundled'));

beforeAll(() => {
  for (const outdir of whole) createApp(exampleConfiguration, { outdir, bundle: false, check: false }).synth();
  for (const outdir of bundled) synthesizeSteps(outdir);
}, 2 * 60_000);
afterAll(() => {
  for (const directory of [inProject, elsewhere]) rmSync(directory, { recursive: true });
});

/** A few steps as they are deployed, with their code: bundling all of them takes long. */
function synthesizeSteps(outdir: string): void {
  const app = new App({ outdir, analyticsReporting: false, builtinCloudFormationValidation: false });
  const stack = new Stack(app, 'Steps');
  for (const step of BUNDLED) {
    new StepLambda(stack, step.replace('/', '-'), {
      step,
      permissions: [],
      guardrails: ManagedPolicy.fromManagedPolicyName(stack, `${step} guardrails`, 'guardrails'),
      environment: {},
      environmentBytes: 0,
      logKey: Key.fromKeyArn(stack, `${step} key`, 'arn:aws:kms:eu-west-2:111122223333:key/log'),
      callers: ['workflow'],
      limits: STEP_DEFINITIONS[step].limits,
    });
  }
  app.synth();
}

const read = (directory: string, file: string) => readFileSync(join(directory, file), 'utf8');
const assets = (directory: string) => readdirSync(directory).filter(name => name.startsWith('asset.'));

describe('two assemblies of one configuration, in two places', () => {
  it.each([
    [
      'Daybreak',
      whole,
      ['DaybreakMonitoring', 'DaybreakRegister', 'DaybreakTrail', 'DaybreakVault', 'DaybreakWorkflows'],
    ],
    ['steps with their code', bundled, ['Steps']],
  ])('have the same templates of %s, byte for byte', (_name, [one = '', other = ''], stacks) => {
    const templates = globSync('*.template.json', { cwd: one }).sort();
    expect(templates).toEqual(stacks.map(stack => `${stack}.template.json`));
    for (const template of templates) expect(read(one, template) === read(other, template), template).toBe(true);
  });

  it('have the same bundles, which name their sources and no place of this machine', () => {
    const [one = '', other = ''] = bundled;
    expect(assets(one).sort()).toEqual(assets(other).sort());
    expect(assets(one)).toHaveLength(BUNDLED.length);
    const sources = new Set<string>();
    for (const bundle of bundled.flatMap(directory => assets(directory).map(name => join(directory, name)))) {
      for (const file of ['index.mjs', 'index.mjs.map']) {
        expect([PROJECT, inProject, elsewhere].filter(place => read(bundle, file).includes(place))).toEqual([]);
      }
      for (const source of JSON.parse(read(bundle, 'index.mjs.map')).sources) sources.add(source);
    }
    expect([...sources].filter(source => !/^(?:functions|node_modules)\//.test(source))).toEqual([]);
    expect([...sources]).toEqual(expect.arrayContaining(BUNDLED.map(step => `functions/${step}.ts`)));
  });
});
