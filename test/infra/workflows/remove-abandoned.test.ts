import { describe, expect, it } from 'vitest';
import { removeAbandoned } from '../../../infra/workflows/remove-abandoned.ts';
import { failure, runWorkflow, type ScriptedStep } from './workflow-run.ts';

const draft = (subject: string) => ({
  eventId: `restored-instance/${subject}`,
  kind: 'restored-instance.removed',
  actor: 'workflow/remove-abandoned',
  subject,
  body: {},
});
const run = (drafts: readonly string[], problem: string | null, append: ScriptedStep) =>
  runWorkflow(
    removeAbandoned,
    {
      'restore-test/remove-abandoned': () => ({ drafts: drafts.map(draft), failure: problem }),
      'evidence/append-entry': append,
    },
    { input: { scheduledAt: '2026-11-22T03:07:00.000Z' }, itemsKey: 'work/none', items: [] },
  );
const recorded = () => ({ sequence: 1, entrySha256: 'b'.repeat(64) });

describe('the janitor', () => {
  it('has each removal recorded', async () => {
    const { execution, inputsOf } = await run(['a', 'b'], null, recorded);
    expect(execution.status).toBe('SUCCEEDED');
    expect(inputsOf('evidence/append-entry')).toEqual([{ draft: draft('a') }, { draft: draft('b') }]);
  });

  it('records nothing where there is nothing', async () => {
    const { execution, inputsOf } = await run([], null, recorded);
    expect([execution.status, inputsOf('evidence/append-entry')]).toEqual(['SUCCEEDED', []]);
  });

  it('records what it removed, and fails by the error of what it could not', async () => {
    const { execution, inputsOf } = await run(['a'], 'DatabaseServiceError', recorded);
    expect(execution).toMatchObject({ status: 'FAILED', error: 'DatabaseServiceError' });
    expect(inputsOf('evidence/append-entry')).toEqual([{ draft: draft('a') }]);
  });

  it('fails where it cannot record', async () => {
    const { execution } = await run(['a'], null, () => failure('LedgerBrokenError'));
    expect(execution).toMatchObject({ status: 'FAILED', error: 'LedgerBrokenError' });
  });
});
