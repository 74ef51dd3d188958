import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Runs every bench beside this file, one after the other, each in a process of its own; each prints one line of JSON. */
const own = import.meta.filename;
const benches = readdirSync(import.meta.dirname)
  .filter(name => name.endsWith('.ts'))
  .map(name => join(import.meta.dirname, name))
  .filter(file => file !== own);
const failed = benches.filter(file => spawnSync(process.execPath, [file], { stdio: 'inherit' }).status !== 0);
for (const file of failed) process.stderr.write(`${file} failed\n`);
process.exitCode = failed.length === 0 ? 0 : 1;
