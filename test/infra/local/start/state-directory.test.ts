import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { takeStateDirectory } from '../../../../infra/local/start/state-directory.ts';

const DEAD = 2 ** 30;
let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'daybreak-state-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** Takes each directory at the same instant as the other threads; answers what became of each. */
const TAKE_TOGETHER = `
  const { parentPort, workerData: { module, directories, barrier, threads } } = require('node:worker_threads');
  import(module).then(async ({ takeStateDirectory }) => {
    const arrived = new Int32Array(barrier);
    const outcomes = [];
    for (const [round, directory] of directories.entries()) {
      Atomics.add(arrived, round, 1);
      while (Atomics.load(arrived, round) < threads);
      outcomes.push(await takeStateDirectory(directory).then(() => 'taken', error => error.name));
    }
    parentPort.postMessage(outcomes);
  });`;

it('gives a directory whose holder died to one of those that find it in the same instant', async () => {
  const [threads, rounds] = [3, 40];
  const directories: string[] = [];
  for (let round = 0; round < rounds; round++) {
    const one = join(directory, `${round}`);
    (await takeStateDirectory(one))();
    writeFileSync(join(one, 'lock'), `${DEAD}`);
    directories.push(one);
  }
  const barrier = new SharedArrayBuffer(4 * rounds);
  const module = new URL('../../../../infra/local/start/state-directory.ts', import.meta.url).href;
  const outcomes = await Promise.all(
    Array.from({ length: threads }, () => {
      const worker = new Worker(TAKE_TOGETHER, { eval: true, workerData: { module, directories, barrier, threads } });
      return new Promise<string[]>((resolve, reject) => worker.once('message', resolve).once('error', reject));
    }),
  );
  for (let round = 0; round < rounds; round++) {
    expect(outcomes.map(outcome => outcome[round]).sort()).toEqual(['UsageError', 'UsageError', 'taken']);
  }
});

it('takes over from one that died while it took over, and gives back what it took', async () => {
  (await takeStateDirectory(directory))();
  writeFileSync(join(directory, 'lock'), `${DEAD} first`);
  writeFileSync(join(directory, 'lock.first'), `${DEAD} second`);
  const giveBack = await takeStateDirectory(directory);
  expect(readFileSync(join(directory, 'lock'), 'utf8')).toMatch(new RegExp(`^${process.pid} `));
  expect(readdirSync(directory).sort()).toEqual(['README.txt', 'lock']);
  await expect(takeStateDirectory(directory)).rejects.toMatchObject({ name: 'UsageError' });
  giveBack();
  expect(existsSync(join(directory, 'lock'))).toBe(false);
});
