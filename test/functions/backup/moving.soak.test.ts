import { describe, expect, it } from 'vitest';
import { runMovingBackup } from './run-moving-backup.ts';

const SEEDS = Number(process.env.DAYBREAK_SEEDS ?? 150);
const FIRST = Number(process.env.DAYBREAK_FIRST_SEED ?? 1);

describe('files that move all the time while a bucket is backed up', () => {
  it.each([
    ['once each, without versions', { movesEach: 1, share: 0.4 }],
    ['again and again, without versions', { movesEach: 100, share: 0.5 }],
    ['slowly, without versions', { movesEach: 100, share: 0.1 }],
    ['again and again, with versions', { versioning: 'Enabled' as const, movesEach: 100, share: 0.5 }],
  ])('are each saved or named: %s', async (name, options) => {
    const sum = { files: 0, moves: 0, missed: 0 };
    for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
      try {
        const { files, moves, missed } = await runMovingBackup(seed, options);
        sum.files += files;
        sum.moves += moves;
        sum.missed += missed;
      } catch (error) {
        throw new Error(`with the seed ${seed}`, { cause: error });
      }
    }
    process.stdout.write(`${name}, ${SEEDS} seeds: ${JSON.stringify(sum)}\n`);
    expect(sum.moves).toBeGreaterThan(SEEDS);
  });
});
