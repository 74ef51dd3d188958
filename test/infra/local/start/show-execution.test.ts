import { expect, it } from 'vitest';
import type { Display } from '../../../../infra/local/start/display.ts';
import { MILESTONES, showExecution, TOLD_BY_OTHERS } from '../../../../infra/local/start/show-execution.ts';
import { DEFINITIONS } from '../../../../infra/workflows/definitions.ts';
import type { States } from '../../../../infra/workflows/states-language.ts';
import { errorNamed, localStates } from '../states/local-states.ts';

/** What `npm start` shows of a run of the planted states. */
async function shown(states: Record<string, object>): Promise<string[]> {
  const { run, states: service } = localStates({
    works: () => null,
    fails: () => {
      throw errorNamed('PlantedError');
    },
  });
  const lines: string[] = [];
  const ignore = () => undefined;
  const display: Display = { line: text => lines.push(text), progress: ignore, heading: ignore, close: ignore };
  const stop = showExecution({ states: service, lambda: { onLine: () => ignore } }, display, 'planted', () => 1);
  const end = { ...states, End: { Type: 'Succeed' } };
  await run({ StartAt: Object.keys(end)[0] ?? '', States: end } as never);
  const { phases } = stop();
  expect(phases.map(({ phase }) => phase)).toEqual(
    lines.filter(line => !line.startsWith('  ! ')).map(line => `planted: ${line.slice(12)}`),
  );
  return lines.map(line => line.replace(/\d+ ms/, '… ms').trim());
}

const task = (FunctionName: string, more: object = {}) => ({
  Type: 'Task',
  Resource: 'arn:aws:states:::lambda:invoke',
  Arguments: { FunctionName },
  Next: 'End',
  ...more,
});

it('shows a task that there are no words for by its name, and leaves out what only leads on', async () => {
  expect(await shown({ Route: { Type: 'Pass', Next: 'SealArchives' }, SealArchives: task('works') })).toEqual([
    '… ms  SealArchives',
  ]);
});

it('shows a known task by its words, and none whose end another state tells', async () => {
  expect(await shown({ Plan: task('works', { Next: 'PlanSettling' }), PlanSettling: task('works') })).toEqual([
    '… ms  planned',
  ]);
});

it('shows that an unknown task failed, and not that it is done', async () => {
  const caught = { Catch: [{ ErrorEquals: ['States.ALL'], Next: 'End' }] };
  expect(await shown({ SealArchives: task('fails', caught) })).toEqual(['! SealArchives: PlantedError']);
});

it('has words for nothing that is not in a workflow', () => {
  const namesIn = (states: States): string[] =>
    Object.entries(states.States).flatMap(([name, state]) => [
      name,
      ...('Branches' in state ? state.Branches.flatMap(namesIn) : []),
      ...('ItemProcessor' in state ? namesIn(state.ItemProcessor) : []),
    ]);
  const references = { functionArn: (step: string) => step, workBucket: 'work', atOnce: { tenants: 1, databases: 1 } };
  const known = new Set(Object.values(DEFINITIONS).flatMap(define => namesIn(define(references))));
  expect([...Object.keys(MILESTONES), ...TOLD_BY_OTHERS].filter(name => !known.has(name))).toEqual([]);
});
