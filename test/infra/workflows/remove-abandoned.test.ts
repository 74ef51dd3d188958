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
const planned = [
  {
    snapshotId: 'daybreak-app-20251228t023000z',
    recoveryPointId: '20251228t023000z',
    purpose: 'unproved-copy',
    createdAt: null,
    reason: 'no root manifest names it',
  },
];
const left = (error: string, passing: boolean, ...names: string[]) => ({ error, left: names, passing });
const nothing = { drafts: [], failure: null };
const recorded = () => ({ sequence: 1, entrySha256: 'b'.repeat(64) });

const run = (steps: { instances?: ScriptedStep; snapshots?: ScriptedStep; append?: ScriptedStep }) =>
  runWorkflow(
    removeAbandoned,
    {
      'restore-test/remove-abandoned': steps.instances ?? (() => nothing),
      'backup/remove-unproved': (input, call, takeTime) =>
        input.moment === 'plan'
          ? { planned, drafts: [], failure: null }
          : { planned: [], ...((steps.snapshots ?? (() => nothing))(input, call, takeTime) as object) },
      'evidence/append-entry': steps.append ?? recorded,
    },
    { input: { scheduledAt: '2026-11-22T03:07:00.000Z' }, itemsKey: 'work/none', items: [] },
  );
const sorted = (inputs: unknown[]) =>
  inputs.map(input => (input as { draft: { subject: string } }).draft.subject).sort();

describe('the janitor', () => {
  it('has each removal recorded, of instances and of snapshots', async () => {
    const { execution, inputsOf } = await run({
      instances: () => ({ drafts: [draft('a'), draft('b')], failure: null }),
      snapshots: () => ({ drafts: [draft('c')], failure: null }),
    });
    expect(execution.status).toBe('SUCCEEDED');
    expect(sorted(inputsOf('evidence/append-entry'))).toEqual(['a', 'b', 'c']);
    expect(inputsOf('backup/remove-unproved')).toEqual([{ moment: 'plan' }, { moment: 'remove', planned }]);
  });

  it('records nothing where there is nothing', async () => {
    const { execution, inputsOf } = await run({});
    expect([execution.status, inputsOf('evidence/append-entry')]).toEqual(['SUCCEEDED', []]);
  });

  it('records what it removed, and fails by the error of what it could not, which it names', async () => {
    const { execution, inputsOf } = await run({
      instances: () => ({ drafts: [draft('a')], failure: left('DatabaseServiceError', false, 'daybreak-test-b') }),
    });
    expect(execution).toMatchObject({
      status: 'FAILED',
      error: 'DatabaseServiceError',
      cause: 'what restore tests left was not removed: daybreak-test-b; see runbooks/restored-instance-left.md',
    });
    expect(sorted(inputsOf('evidence/append-entry'))).toEqual(['a']);
    expect(inputsOf('restore-test/remove-abandoned')).toHaveLength(1);
  });

  it('tries again what may pass, with the same plan, and records what went each time', async () => {
    const { execution, calls, inputsOf } = await run({
      instances: (_input, call) =>
        call < 3
          ? { drafts: [draft('a')], failure: left('RetryableError', true, 'daybreak-test-b') }
          : { drafts: [draft('b')], failure: null },
      snapshots: (_input, call) =>
        call === 2
          ? { drafts: [], failure: left('RetryableError', true, 'x') }
          : { drafts: [draft('c')], failure: null },
    });
    expect(execution.status).toBe('SUCCEEDED');
    expect(sorted(inputsOf('evidence/append-entry'))).toEqual(['a', 'a', 'b', 'c']);
    const tries = calls.filter(({ step }) => step === 'restore-test/remove-abandoned').map(({ atMs }) => atMs);
    expect(tries.map(atMs => Math.round(atMs / 60_000))).toEqual([0, 1, 2]);
    expect(inputsOf('backup/remove-unproved').slice(1)).toEqual([1, 2].map(() => ({ moment: 'remove', planned })));
  });

  it('gives up after a quarter of an hour, and names all that stays, of both', async () => {
    const { execution, calls } = await run({
      instances: () => ({ drafts: [], failure: left('RetryableError', true, 'daybreak-test-a', 'daybreak-test-b') }),
      snapshots: () => ({ drafts: [], failure: left('RootManifestInvalidError', false, 'recovery-points/x.json') }),
    });
    expect(execution).toMatchObject({
      status: 'FAILED',
      error: 'RetryableError',
      cause:
        'what restore tests left was not removed: daybreak-test-a, daybreak-test-b; see runbooks/restored-instance-left.md; ' +
        'what backups left was not removed: recovery-points/x.json; see runbooks/unproved-snapshot-left.md',
    });
    const last = calls.filter(({ step }) => step === 'restore-test/remove-abandoned').at(-1)?.atMs ?? 0;
    expect(last).toBeGreaterThan(14 * 60_000);
    expect(last).toBeLessThan(17 * 60_000);
  });

  it.each<[string, Parameters<typeof run>[0], string, string[]]>([
    ['instances', { instances: () => failure('InvalidConfigurationError') }, 'what restore tests left', ['c']],
    ['snapshots', { snapshots: () => failure('InvalidConfigurationError') }, 'what backups left', ['a']],
  ])('does the other work where that of %s fails, and fails in the end', async (_which, steps, cause, subjects) => {
    const { execution, inputsOf } = await run({
      instances: () => ({ drafts: [draft('a')], failure: null }),
      snapshots: () => ({ drafts: [draft('c')], failure: null }),
      ...steps,
    });
    expect(execution).toMatchObject({
      status: 'FAILED',
      error: 'InvalidConfigurationError',
      cause: expect.stringContaining(`${cause} was not removed, or not recorded: `),
    });
    expect(sorted(inputsOf('evidence/append-entry'))).toEqual(subjects);
  });

  it('fails where it cannot record', async () => {
    const { execution } = await run({
      instances: () => ({ drafts: [draft('a')], failure: null }),
      append: () => failure('LedgerBrokenError'),
    });
    expect(execution).toMatchObject({ status: 'FAILED', error: 'LedgerBrokenError' });
  });
});
