import type { LocalStates } from '../states/service.ts';
import { type Display, formatDuration } from './display.ts';

interface Milestone {
  on: 'state-entered' | 'state-exited';
  text: string;
}

/** What is worth a line: a state's end, or the entry to the state that follows a wait. */
const MILESTONES: Readonly<Record<string, Milestone>> = {
  Plan: { on: 'state-exited', text: 'planned' },
  FingerprintBefore: { on: 'state-exited', text: 'measured every table before the snapshot' },
  FingerprintAfter: { on: 'state-entered', text: 'took the snapshot' },
  CopySnapshot: { on: 'state-entered', text: 'measured every table again' },
  DeleteIntermediate: { on: 'state-entered', text: 'copied the snapshot under the vault key' },
  DatabaseBackedUp: { on: 'state-entered', text: 'deleted the intermediate snapshot' },
  ListTenants: { on: 'state-exited', text: 'listed the tenants' },
  BackUpTenants: { on: 'state-exited', text: 'backed up every tenant’s objects under its own key' },
  Complete: { on: 'state-exited', text: 'read everything back, signed the root manifest' },
  Record: { on: 'state-exited', text: 'recorded in the ledger, head signed' },
  Choose: { on: 'state-exited', text: 'chose a recovery point, verified its signature' },
  Hydrate: { on: 'state-entered', text: 'restored the database to a server of its own' },
  VerifyDatabase: { on: 'state-entered', text: 'read all of it once' },
  DatabaseTested: { on: 'state-entered', text: 'compared rows, schema, keys, indexes and pages' },
  PlanObjects: { on: 'state-exited', text: 'chose the objects to restore' },
  TestObjects: { on: 'state-exited', text: 'restored objects and compared what reads back' },
  Conclude: { on: 'state-entered', text: 'tore everything down' },
  HasPassed: { on: 'state-entered', text: 'judged and recorded, head signed' },
};

/** A phase of a run, as the summary lists it. */
export interface Phase {
  phase: string;
  durationMs: number;
}

/**
 * Shows one execution while it runs: a line for each milestone with the time since the one before, and a bar over the
 * children of a distributed map.
 * @param childCount about how many children a distributed map will have.
 * @returns what ends the showing, with the phases seen.
 */
export function showExecution(
  states: LocalStates,
  display: Display,
  workflow: string,
  childCount: () => number,
): () => Phase[] {
  const phases: Phase[] = [];
  let lineAtMs = performance.now();
  let children = 0;
  const stop = states.onEvent(({ kind, state, error, executionArn, rootExecutionArn }) => {
    if (executionArn !== rootExecutionArn) {
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
      return;
    }
    const milestone = state === null ? undefined : MILESTONES[state];
    if (milestone === undefined || milestone.on !== kind) return;
    const durationMs = performance.now() - lineAtMs;
    lineAtMs += durationMs;
    phases.push({ phase: `${workflow}: ${milestone.text}`, durationMs: Math.round(durationMs) });
    display.line(`  ${formatDuration(durationMs).padStart(8)}  ${milestone.text}`);
  });
  return () => {
    stop();
    return phases;
  };
}
