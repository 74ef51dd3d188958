import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Argument } from 'commander';
import { EXIT } from '../../infra/command-line/failure.ts';
import { createProgram, runProgram, whenRun } from '../../infra/command-line/program.ts';

const NOT_A_BENCH = ['run.ts', 'print-rows.ts'];
const AT_SCALE = /^(?:.*-)?scale\.ts$/;

const program = createProgram('npm run bench', 'Runs benches, one after the other, each in a process of its own.')
  .usage('-- [scale]')
  .addArgument(
    new Argument('[scale]', 'those at the sizes that the steps are built for, which take minutes').choices(['scale']),
  )
  .addHelpText('after', '\nExamples:\n  npm run bench\n  npm run bench -- scale\n\nExit code 1: a bench failed');
await runProgram(whenRun(program, runBenches), process.argv.slice(2));

function runBenches(_options: object, [size]: readonly string[]): number {
  const run = (file: string) => spawnSync(process.execPath, ['--expose-gc', file], { stdio: 'inherit' }).status;
  const failed = readdirSync(import.meta.dirname)
    .filter(file => file.endsWith('.ts') && !NOT_A_BENCH.includes(file))
    .filter(file => AT_SCALE.test(file) === (size === 'scale'))
    .map(file => join(import.meta.dirname, file))
    .filter(file => run(file) !== 0);
  for (const file of failed) process.stderr.write(`${file} failed\n`);
  return failed.length === 0 ? EXIT.done : EXIT.failed;
}
