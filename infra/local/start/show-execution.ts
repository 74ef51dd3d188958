import { z } from 'zod';
import type { LocalCloud } from '../cloud.ts';
import type { StateTransition } from '../states/service.ts';
import { type Display, formatDuration } from './display.ts';

interface Milestones {
  /** What is done when this state is entered; with `after`, only from there. */
  entered?: string;
  after?: string;
  /** What is done when this state has not failed. */
  exited?: string;
}

/** What is worth a line: a state's end, or the entry to the state that follows a wait. */
export const MILESTONES: Readonly<Record<string, Milestones>> = {
  Plan: { exited: 'planned' },
  MeasuredBefore: { entered: 'measured every table before the snapshot' },
  Snapshotted: { entered: 'took the snapshot' },
  MeasuredAfter: { entered: 'measured every table again' },
  DeleteIntermediate: { entered: 'copied the snapshot under the vault key' },
  Copied: { entered: 'deleted the intermediate snapshot' },
  ListTenants: { exited: 'listed the tenants' },
  BackUpTenants: { exited: 'backed up every tenant’s objects under its own key' },
  Complete: { exited: 'read everything back, signed the root manifest' },
  Record: { exited: 'recorded in the ledger, head signed' },
  Choose: { exited: 'chose a recovery point, verified its signature' },
  Hydrate: { entered: 'restored the database to a server of its own' },
  VerifyDatabase: { entered: 'read all of it once' },
  DatabaseTested: { entered: 'compared rows, schema, keys, indexes and pages' },
  PlanObjects: { exited: 'chose the objects to restore' },
  TestObjects: { exited: 'restored objects and compared what reads back' },
  Conclude: { entered: 'tore everything down', after: 'IsTornDown', exited: 'judged, and wrote the record' },
};

/** Tasks without a line of their own: another state's tells that they are done, or the failure that led to them. */
export const TOLD_BY_OTHERS: ReadonlySet<string> = new Set([
  'FingerprintBefore',
  'CreateSnapshot',
  'DescribeSnapshot',
  'FingerprintAfter',
  'CopySnapshot',
  'DescribeCopy',
  'ListTenantsAgain',
  'PlanSettling',
  'CloseTenants',
  'RestoreDatabase',
  'DescribeInstance',
  'TearDown',
  'RecordFailure',
]);

/** A child of a distributed map over databases or instances: its states have lines, as those of the execution itself. */
const isToldByItsStates = (executionArn: string): boolean =>
  /\/(?:MeasureBefore|MeasureAfter|AskForSnapshots|AskForCopies|TestSnapshots|TestDatabases):/.test(executionArn);

const ERRORS_SHOWN = 3;

/** A phase of a run, as the summary lists it. */
export interface Phase {
  phase: string;
  durationMs: number;
}

/**
 * Shows one execution while it runs: a line for each milestone with the time since the one before, and a bar over the
 * children of a distributed map. A task that there are no words for is shown by its name.
 * @param childCount about how many children a distributed map will have.
 * @returns what ends the showing, with the phases seen and the last errors that functions logged.
 */
export function showExecution(
  { states, lambda }: Pick<LocalCloud, 'states'> & { lambda: Pick<LocalCloud['lambda'], 'onLine'> },
  display: Display,
  workflow: string,
  childCount: () => number,
): () => { phases: Phase[]; lastErrors: string[] } {
  const phases: Phase[] = [];
  let lineAtMs = performance.now();
  let children = 0;
  let lastState = '';
  let lastFailed = '';
  const errors: string[] = [];
  const stopListening = lambda.onLine((functionName, line) => {
    const error = errorOf(line);
    if (error !== undefined) errors.push(`${functionName}: ${error}`);
  });
  const milestoneOf = (kind: StateTransition['kind'], state: string, isTask: boolean) => {
    const unknown = isTask && !TOLD_BY_OTHERS.has(state) ? { exited: state } : {};
    const { entered, after = lastState, exited }: Milestones = MILESTONES[state] ?? unknown;
    if (kind === 'state-entered') return after === lastState ? entered : undefined;
    // A state whose error was caught exits, too.
    return kind === 'state-exited' && lastFailed !== state ? exited : undefined;
  };
  const stop = states.onEvent(({ kind, state, stateType, error, executionArn, rootExecutionArn }) => {
    if (kind === 'execution-ended' && isToldByItsStates(executionArn)) return;
    if (executionArn !== rootExecutionArn && !isToldByItsStates(executionArn)) {
      if (kind !== 'execution-ended') return;
      children++;
      display.progress(
        workflow === 'daily-backup' ? 'tenants backed up' : 'tenants compared',
        Math.min(1, children / childCount()),
      );
      return;
    }
    if (kind === 'state-retried' || kind === 'state-failed') {
      display.line(`  ! ${state}: ${error}${kind === 'state-retried' ? ', trying again' : ''}`);
      lastFailed = kind === 'state-failed' ? (state ?? '') : lastFailed;
      return;
    }
    if (state === null) return;
    const milestone = milestoneOf(kind, state, stateType === 'Task');
    if (kind === 'state-entered') lastFailed = '';
    else lastState = state;
    if (milestone === undefined) return;
    const durationMs = performance.now() - lineAtMs;
    lineAtMs += durationMs;
    phases.push({ phase: `${workflow}: ${milestone}`, durationMs: Math.round(durationMs) });
    display.line(`  ${formatDuration(durationMs).padStart(8)}  ${milestone}`);
  });
  return () => {
    stop();
    stopListening();
    return { phases, lastErrors: [...new Set(errors)].slice(-ERRORS_SHOWN) };
  };
}

const FunctionError = z.object({ level: z.literal('error'), message: z.string(), error: z.string().optional() });

function errorOf(line: string): string | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const { message, error = message } = FunctionError.parse(JSON.parse(line));
    return error;
  } catch {
    // Metrics, other levels, and what a library writes.
    return undefined;
  }
}
