import { expect, it } from 'vitest';
import { z } from 'zod';
import { readMapResults } from '../../../functions/platform/map-results.ts';
import { stepRuntime } from '../../fixtures/step-runtime.ts';

const Result = z.object({ name: z.string() });
const manifest = (...keys: string[]) =>
  JSON.stringify({
    DestinationBucket: 'work',
    ResultFiles: { SUCCEEDED: keys.map(Key => ({ Key })), FAILED: [{ Key: 'failed' }], PENDING: [] },
  });
const read = (cloud: ReturnType<typeof stepRuntime>) =>
  cloud.run(() => Array.fromAsync(readMapResults('work', 'manifest.json', Result)));

it('reads every line of every file, also those that are cut between two chunks and the last without a line feed', async () => {
  const cloud = stepRuntime();
  const results = Array.from({ length: 5000 }, (_, number) => ({
    name: `école ${number} ${'é'.repeat(number % 300)}`,
  }));
  const lines = results.map(result => JSON.stringify(result));
  await cloud.put('work', 'a', `${lines.slice(0, 4000).join('\n')}\n`);
  await cloud.put('work', 'b', lines.slice(4000).join('\n'));
  await cloud.put('work', 'empty', '');
  await cloud.put('work', 'manifest.json', manifest('a', 'empty', 'b'));
  expect(await read(cloud)).toEqual(results);
});

it('refuses what the workflow does not write', async () => {
  const cloud = stepRuntime();
  await cloud.put('work', 'a', '{"name":1}\n');
  await cloud.put('work', 'manifest.json', manifest('a'));
  await expect(read(cloud)).rejects.toMatchObject({ name: 'MapResultsUnreadableError' });
});
