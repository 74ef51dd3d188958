import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';

function cruise(folder: string, ...what: string[]) {
  const { status, stdout } = spawnSync(
    'depcruise',
    [...what, '--config', `${process.cwd()}/.dependency-cruiser.cjs`, '--output-type', 'json'],
    { cwd: folder, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 },
  );
  const { summary } = JSON.parse(stdout) as {
    summary: { totalCruised: number; violations: { from: string; to: string; rule: { name: string } }[] };
  };
  return { status, cruised: summary.totalCruised, violations: summary.violations };
}

it('finds no import that goes the wrong way', () => {
  const { cruised, violations } = cruise('.', 'functions', 'infra', 'runbooks', 'test');
  expect(violations.map(({ from, to, rule }) => `${rule.name}: ${from} -> ${to}`)).toEqual([]);
  expect(cruised).toBeGreaterThan(50);
});

it('catches planted ones', () => {
  const { violations } = cruise('test/fixtures/planted', 'functions', 'infra');
  expect(violations.map(({ from, to, rule }) => [rule.name, from, to])).toEqual([
    ['capabilities-do-not-import-each-other', 'functions/backup/step.ts', 'functions/evidence/secret.ts'],
    ['deployment-does-not-need-the-local-cloud', 'infra/stacks/workflow.ts', 'infra/local/stand.ts'],
    ['local-aws-knows-nothing-of-daybreak', 'infra/local/s3/routes.ts', 'functions/backup/step.ts'],
  ]);
});
