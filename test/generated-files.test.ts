import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';

/** What the README's and the pages' commands write into a checkout, badly formatted and with an import that nothing uses. */
const WRITTEN = [
  'daybreak.config.ts',
  'sbom/functions.json',
  'deployer-policies/operator.json',
  'report/summary.json',
  'cdk.out/DaybreakVault.template.json',
  '.daybreak/deployment.json',
];

let checkout: string;
beforeAll(() => {
  checkout = mkdtempSync(join(tmpdir(), 'daybreak-checkout-'));
  for (const file of ['.gitignore', 'biome.json', 'package.json', 'tsconfig.json', 'lint/no-wall-clock.grit']) {
    mkdirSync(dirname(join(checkout, file)), { recursive: true });
    copyFileSync(file, join(checkout, file));
  }
  symlinkSync(resolve('node_modules'), join(checkout, 'node_modules'));
  execFileSync('git', ['init', '--quiet', checkout]);
  for (const file of WRITTEN) {
    mkdirSync(dirname(join(checkout, file)), { recursive: true });
    writeFileSync(join(checkout, file), file.endsWith('.ts') ? "import {a} from   'b'\n" : '{ "a":1,\n\n\n"b" : 2}\n');
  }
});
afterAll(() => rmSync(checkout, { recursive: true }));

it('leaves what commands write to git alone', () => {
  const untracked = execFileSync('git', ['-C', checkout, 'ls-files', '--others', '--exclude-standard'], {
    encoding: 'utf8',
  });
  expect(untracked.split('\n').filter(file => WRITTEN.includes(file))).toEqual([]);
});

it('breaks no check of format and lint by it', () => {
  expect(execFileSync('biome', ['check', '.'], { cwd: checkout, encoding: 'utf8' })).toContain('No fixes applied');
});

it('has an example that can be copied as it is', () => {
  const example = readFileSync('infra/config/example.ts', 'utf8');
  expect([...example.matchAll(/from '(.*)'/g)].map(match => match[1]).sort()).toEqual(['#configuration', 'zod']);
});
