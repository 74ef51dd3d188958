import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeFolder, processesIn, processesLeftIn, removeFolder, STORES, start, writeFiles } from './start-process.ts';

const INTERRUPTED = 130;
/** Supervisors give a server 20 seconds to end. */
const LEFT_ALONE_MS = 15_000;

let folder: string;
let state: string;

beforeAll(async () => {
  folder = await makeFolder();
  state = join(folder, 'state');
  await writeFiles(join(folder, 'files'));
});

afterAll(() => removeFolder(folder));

function startRun() {
  return start('--sql', STORES, '--root', 'store.store_id', '--files', join(folder, 'files'), '--state', state);
}

describe('a run that is interrupted', () => {
  it.each([
    ['SIGINT', 'kill', 'Local cloud'],
    ['SIGTERM', 'kill', 'files uploaded'],
    ['SIGHUP', 'kill', 'First daily backup'],
    ['SIGINT', 'killGroup', 'chose a recovery point'],
  ] as const)(
    'by %s (%s) after “%s” stops everything and gives the state back',
    async (signal, how, moment) => {
      const run = startRun();
      await run.until(moment);
      run[how](signal);
      const { exitCode, stdout, stderr } = await run.ended;
      expect({ exitCode, stderr }).toEqual({ exitCode: INTERRUPTED, stderr: '' });
      expect(stdout.endsWith('\ninterrupted; stopping what was started\n')).toBe(true);
      expect(processesIn(folder)).toEqual([]);
      expect(existsSync(join(state, 'lock'))).toBe(false);
      expect(existsSync(join(state, 'rds'))).toBe(false);
    },
    600_000,
  );

  it('by signals again and again while it stops ends no worse', async () => {
    const run = startRun();
    await run.until('took the snapshot');
    for (const signal of ['SIGINT', 'SIGINT', 'SIGTERM', 'SIGINT'] as const) run.killGroup(signal);
    expect(await run.ended).toMatchObject({ exitCode: INTERRUPTED, stderr: '' });
    expect(processesIn(folder)).toEqual([]);
    expect(existsSync(join(state, 'lock'))).toBe(false);
  }, 600_000);
});

describe('a run that is killed', () => {
  it.each(['cdk.out', 'daybreak-postgres'])(
    'leaves no process: there was %s',
    async process => {
      const run = startRun();
      await run.until('Local cloud');
      while (!processesIn(folder).some(line => line.includes(process)))
        await new Promise(resolve => setTimeout(resolve, 5));
      run.kill('SIGKILL');
      expect((await run.ended).signal).toBe('SIGKILL');
      expect(await processesLeftIn(folder, LEFT_ALONE_MS)).toEqual([]);
      expect(existsSync(join(state, 'lock'))).toBe(true);
    },
    600_000,
  );

  it('in the middle of a restore leaves a state that the next run takes over', async () => {
    const run = startRun();
    await run.until('chose a recovery point');
    run.kill('SIGKILL');
    await run.ended;
    // At once, while the database servers of the killed run are still ending.
    const next = await startRun().ended;
    expect(next).toMatchObject({ exitCode: 0, stderr: '' });
    expect(next.stdout).toMatch(/^Verdict: passed(?:;|$)/m);
    expect(processesIn(folder)).toEqual([]);
    expect(existsSync(join(state, 'lock'))).toBe(false);
  }, 600_000);
});
