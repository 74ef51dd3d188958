/** `npm start`: the main job on this machine, from an empty directory to a verdict. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DaybreakError } from '../../../functions/platform/errors.ts';
import { readArguments, requireWritableDirectory, USAGE, UsageError } from './arguments.ts';
import { createDisplay, printable } from './display.ts';
import { takeStateDirectory } from './state-directory.ts';

const INTERRUPTED = 130;

// At once: what an interrupted run still has under way must not go on after the state directory was given back.
process.exit(await main());

async function main(): Promise<number> {
  const display = createDisplay(process.stdout);
  try {
    const parameters = readArguments(process.argv.slice(2));
    if (parameters === undefined) {
      process.stdout.write(`${USAGE}\n`);
      return 0;
    }
    const interrupted = new AbortController();
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => interrupted.abort());
    // Whoever read the output has gone.
    process.stdout.on('error', () => interrupted.abort());
    const { reportDirectory } = parameters;
    if (reportDirectory !== undefined) requireWritableDirectory('--report', reportDirectory);
    const giveBack = await takeStateDirectory(parameters.stateDirectory);
    try {
      // Loaded only for a sound command line: what talks to AWS takes its time to load.
      const { runMainJob } = await import('./run-main-job.ts');
      const summary = await runMainJob(parameters, display, interrupted.signal, summary => {
        if (reportDirectory === undefined) return;
        writeFileSync(join(reportDirectory, 'summary.json'), `${JSON.stringify(summary, null, 2)}\n`);
      });
      if (summary === undefined) return INTERRUPTED;
      return summary.verdict === 'passed' ? 0 : 1;
    } finally {
      giveBack();
    }
  } catch (error) {
    if (error instanceof UsageError) {
      process.stderr.write(`${printable(error.message)}\n`);
      return 2;
    }
    const expected = error instanceof DaybreakError;
    process.stderr.write(`the run failed: ${expected ? printable(error.message) : describeUnexpected(error)}\n`);
    return 1;
  }
}

function describeUnexpected(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
