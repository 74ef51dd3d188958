import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../../..');
const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> };

/** Runs a script of `package.json` as npm does. */
function run(script: string, ...parameters: string[]) {
  const [, ...words] = (scripts[script] ?? '').split(' ');
  return new Promise<{ exitCode: unknown; stdout: string; stderr: string }>(resolve => {
    execFile(process.execPath, [...words, ...parameters], { cwd: root }, (error, stdout, stderr) =>
      resolve({ exitCode: error === null ? 0 : error.code, stdout, stderr }),
    );
  });
}

const commands = Object.entries(scripts)
  .filter(([, command]) => command.startsWith('node '))
  .map(([script]) => script);

it('are these', () => {
  const known = ['start', 'test', 'test:quick', 'bench', 'conformance', 'daybreak', 'cost', 'sbom'];
  expect(commands).toEqual(known);
});

describe.each(commands.filter(script => script !== 'test:quick'))('npm run %s', script => {
  it('refuses in one line what it does not know: exit code 2', async () => {
    const { exitCode, stdout, stderr } = await run(script, '--bogus');
    expect([exitCode, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(new RegExp(`^${script}: unknown option '--bogus'; [^\\n]*--help\\n$`));
  });

  it('explains itself', async () => {
    const { exitCode, stdout, stderr } = await run(script, '--help');
    expect([exitCode, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^Usage: (?:npm (?:run )?\w+ -- \[(?:options|scale)\]|daybreak VERB \[options\])\n/);
  });
});
