import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { PermanentError } from '../../functions/platform/errors.ts';
import { handler } from '../../functions/platform/handler.ts';
import type { createEnvironment } from '../../infra/local/environment.ts';
import type { StartArguments } from '../../infra/local/start/arguments.ts';
import { createDisplay } from '../../infra/local/start/display.ts';
import { runMainJob } from '../../infra/local/start/run-main-job.ts';
import { Summary } from '../../infra/local/start/summary.ts';
import { makeFolder, processesIn, removeFolder, STORES } from './start-process.ts';

class BrokenError extends PermanentError {}

const broken = vi.hoisted(() => ({ functionName: '' }));

// The one thing that is not real here: a function that fails.
vi.mock('../../infra/local/environment.ts', async original => {
  const actual = await original<{ createEnvironment: typeof createEnvironment }>();
  return {
    ...actual,
    createEnvironment: async (...parameters: Parameters<typeof createEnvironment>) => {
      const environment = await actual.createEnvironment(...parameters);
      environment.cloud.lambda.intercept(async ({ functionName }, next) => {
        if (functionName !== broken.functionName) return next();
        const run = async () => {
          throw new BrokenError('broken by the test');
        };
        return handler({ input: z.unknown(), output: z.unknown(), run })(
          {},
          { getRemainingTimeInMillis: () => 90_000 },
        );
      });
      return environment;
    },
  };
});

let folder: string;

beforeEach(async () => {
  folder = await makeFolder();
});

afterEach(() => removeFolder(folder));

async function runBroken(functionName: string): Promise<{ summary: Summary; lines: string[] }> {
  broken.functionName = functionName;
  let written = '';
  const output = { isTTY: false, write: (text: string) => (written += text) } as unknown as NodeJS.WriteStream;
  const parameters: StartArguments = {
    stateDirectory: join(folder, 'state'),
    reportDirectory: undefined,
    rehearse: undefined,
    keep: false,
    seed: 1,
    own: { sqlFile: STORES, rootTable: 'store', rootColumn: 'store_id', filesDirectory: undefined },
  };
  let told: Summary | undefined;
  const summary = await runMainJob(parameters, createDisplay(output), new AbortController().signal, verdict => {
    told = verdict;
  });
  expect(summary).toBe(told);
  expect(processesIn(folder)).toEqual([]);
  expect(written).not.toMatch(/^ +at .*\.ts:\d+/m);
  return { summary: Summary.parse(summary), lines: written.split('\n') };
}

it('says which backup left no root manifest, and why', async () => {
  const { summary, lines } = await runBroken('daybreak-backup-complete');
  expect(summary).toMatchObject({ verdict: 'failed', backups: [], restoreTest: null });
  expect(summary.failures).toEqual([
    expect.stringMatching(
      /^a daily backup left no root manifest: recovery-points\/\d{8}t023000z\.json is not there, or may not be read \(\w+\)$/,
    ),
  ]);
  expect(lines).toContain('Verdict: failed');
  expect(lines).toContain(`  ! ${summary.failures[0]}`);
  expect(lines).toContain('  ! Complete: BrokenError');
  expect(lines).toContain('  ! daybreak-backup-complete: BrokenError: broken by the test');
  expect(lines).not.toContainEqual(expect.stringContaining('restored  '));
}, 600_000);

it('calls a run failed whose backups are incomplete, with their reasons', async () => {
  const { summary, lines } = await runBroken('daybreak-backup-create-snapshot');
  expect(summary.verdict).toBe('failed');
  expect(summary.backups.map(({ status }) => status)).toEqual(['incomplete', 'incomplete']);
  expect(lines).toContain('Verdict: failed');
  expect(lines).toContain('  ! daybreak-backup-create-snapshot: BrokenError: broken by the test');
  expect(lines.filter(line => / {2}(tore everything down|took the snapshot)$/.test(line))).toEqual([]);
  expect(lines.filter(line => /^ {2}(restored|compared exactly|also checked) /.test(line))).toEqual([]);
  expect(
    lines.filter(line => line.startsWith(`  ! recovery point ${summary.backups[1]?.recoveryPointId} is incomplete`)),
  ).toHaveLength(1);
}, 600_000);

it('calls a run failed whose restore test left no record', async () => {
  const { summary, lines } = await runBroken('daybreak-restore-test-conclude');
  expect(summary).toMatchObject({ verdict: 'failed', restoreTest: null });
  expect(summary.backups.map(({ status }) => status)).toEqual(['good', 'good']);
  expect(summary.failures).toEqual([
    expect.stringMatching(
      /^the restore test left no record: restore-tests\/.* is not there, or may not be read \(\w+\)$/,
    ),
  ]);
  expect(lines).toContain('  ! daybreak-restore-test-conclude: BrokenError: broken by the test');
  expect(lines.filter(line => line.endsWith('tore everything down'))).toHaveLength(1);
  expect(lines.filter(line => line.endsWith('judged, and wrote the record'))).toEqual([]);
  expect(lines).toContain(`  ! ${summary.failures[0]}`);
  expect(lines).toContainEqual(expect.stringMatching(/^ {2}second backup {2,}\d/));
}, 600_000);
