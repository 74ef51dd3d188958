/** `npm start`: the main job on this machine, from an empty directory to a verdict. */
import { readArguments, USAGE } from './arguments.ts';
import { describeFailure } from './describe-failure.ts';
import { createDisplay } from './display.ts';
import { prepareReport, removeOlderSummary, writeReport } from './report.ts';
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
    if (reportDirectory !== undefined) prepareReport(reportDirectory);
    const giveBack = await takeStateDirectory(parameters.stateDirectory);
    try {
      // Loaded only for a sound command line: what talks to AWS takes its time to load.
      const { runMainJob } = await import('./run-main-job.ts');
      const summary = await runMainJob(parameters, display, interrupted.signal, summary => {
        if (reportDirectory !== undefined) writeReport(reportDirectory, summary);
      });
      if (summary === undefined) return INTERRUPTED;
      return summary.verdict === 'passed' ? 0 : 1;
    } finally {
      giveBack();
    }
  } catch (error) {
    const { exitCode, text } = describeFailure(error);
    if (exitCode === 2) removeOlderSummary(process.argv.slice(2));
    process.stderr.write(`${text}\n`);
    return exitCode;
  }
}
