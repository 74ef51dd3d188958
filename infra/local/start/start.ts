/** `npm start`: the main job on this machine, from an empty directory to a verdict. */
import { EXIT } from '../../command-line/failure.ts';
import { runProgram } from '../../command-line/program.ts';
import { createStart, type StartArguments } from './arguments.ts';
import { createDisplay } from './display.ts';
import { prepareReport, removeOlderSummary, writeReport } from './report.ts';
import { takeStateDirectory } from './state-directory.ts';

const parameters = process.argv.slice(2);
await runProgram(createStart(run), parameters, ({ kind, text }) => {
  if (kind !== 'usage') {
    return { exitCode: kind === 'unreachable' ? EXIT.unreachable : EXIT.failed, text: `the run failed: ${text}` };
  }
  removeOlderSummary(parameters);
  return { exitCode: EXIT.usage, text };
});
// At once: what an interrupted run still has under way must not go on after the state directory was given back.
process.exit();

async function run(parameters: StartArguments): Promise<number> {
  const display = createDisplay(process.stdout);
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => interrupted.abort());
  // Whoever read the output has gone.
  process.stdout.on('error', () => interrupted.abort());
  const { reportDirectory } = parameters;
  if (reportDirectory !== undefined) prepareReport(reportDirectory);
  const giveBack = await takeStateDirectory(parameters.stateDirectory);
  try {
    // Loaded only for a sound command line: what talks to AWS takes its time to load.
    if (parameters.rehearse !== undefined) {
      const { runRehearsal } = await import('../rehearsal/run-rehearsal.ts');
      const { rehearse, stateDirectory } = parameters;
      const isRight = await runRehearsal(rehearse, stateDirectory, display, interrupted.signal);
      if (isRight === undefined) return EXIT.interrupted;
      return isRight ? EXIT.done : EXIT.failed;
    }
    const { runMainJob } = await import('./run-main-job.ts');
    const summary = await runMainJob(parameters, display, interrupted.signal, summary => {
      if (reportDirectory !== undefined) writeReport(reportDirectory, summary);
    });
    if (summary === undefined) return EXIT.interrupted;
    return summary.verdict === 'passed' ? EXIT.done : EXIT.failed;
  } finally {
    giveBack();
  }
}
