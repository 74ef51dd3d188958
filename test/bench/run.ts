import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

/**
 * Runs benches, one after the other, each in a process of its own: those beside this file, or, with `scale`, those at the
 * sizes that the steps are built for, which take minutes.
 */
const NOT_A_BENCH = ['run.ts', 'print-rows.ts'];
const AT_SCALE = /^(?:.*-)?scale\.ts$/;
const USAGE = 'give nothing for the plain benches, or `scale` for those at the limits of the steps';

function benchesFor(parameters: string[]): string[] {
  const { positionals } = parseArgs({ args: parameters, allowPositionals: true });
  const [name, ...more] = positionals;
  if (more.length > 0 || (name !== undefined && name !== 'scale')) {
    throw new TypeError(`there is no bench ${JSON.stringify(positionals.join(' '))}`);
  }
  return readdirSync(import.meta.dirname)
    .filter(file => file.endsWith('.ts') && !NOT_A_BENCH.includes(file))
    .filter(file => AT_SCALE.test(file) === (name === 'scale'))
    .map(file => join(import.meta.dirname, file));
}

try {
  const run = (file: string) => spawnSync(process.execPath, ['--expose-gc', file], { stdio: 'inherit' }).status;
  const failed = benchesFor(process.argv.slice(2)).filter(file => run(file) !== 0);
  for (const file of failed) process.stderr.write(`${file} failed\n`);
  process.exitCode = failed.length === 0 ? 0 : 1;
} catch (error) {
  if (!(error instanceof TypeError)) throw error;
  process.stderr.write(`bench: ${error.message.split('\n')[0]}; ${USAGE}\n`);
  process.exitCode = 2;
}
