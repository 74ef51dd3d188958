/** `npm start`: the main job on this machine, from an empty directory to a verdict. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readArguments, USAGE, UsageError } from './arguments.ts';
import { createDisplay } from './display.ts';
import { takeStateDirectory } from './state-directory.ts';

const INTERRUPTED = 130;

process.exitCode = await main();

async function main(): Promise<number> {
  try {
    const parameters = readArguments(process.argv.slice(2));
    if (parameters === undefined) {
      process.stdout.write(`${USAGE}\n`);
      return 0;
    }
    const interrupted = new AbortController();
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => interrupted.abort());
    const giveBack = await takeStateDirectory(parameters.stateDirectory);
    try {
      // Loaded only for a sound command line: what talks to AWS takes its time to load.
      const { runMainJob } = await import('./run-main-job.ts');
      const display = createDisplay(process.stdout);
      const summary = await runMainJob(parameters, display, interrupted.signal);
      if (summary === undefined) return INTERRUPTED;
      if (parameters.reportDirectory !== undefined) {
        mkdirSync(parameters.reportDirectory, { recursive: true });
        writeFileSync(join(parameters.reportDirectory, 'summary.json'), `${JSON.stringify(summary, null, 2)}\n`);
      }
      return summary.verdict === 'passed' ? 0 : 1;
    } finally {
      giveBack();
    }
  } catch (error) {
    if (error instanceof UsageError) {
      process.stderr.write(`${error.message}\n`);
      return 2;
    }
    process.stderr.write(`the run failed: ${error instanceof Error ? error.stack : error}\n`);
    return 1;
  }
}
