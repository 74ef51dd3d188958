import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Runs every bench beside this file, one after the other, each in a process of its own. */
const NOT_A_BENCH = ['run.ts', 'print-rows.ts'];
const benches = readdirSync(import.meta.dirname)
  .filter(name => name.endsWith('.ts') && !NOT_A_BENCH.includes(name))
  .map(name => join(import.meta.dirname, name));
const failed = benches.filter(file => spawnSync(process.execPath, [file], { stdio: 'inherit' }).status !== 0);
for (const file of failed) process.stderr.write(`${file} failed\n`);
process.exitCode = failed.length === 0 ? 0 : 1;
