import { defineConfig } from 'vitest/config';

/** The tests that `npm test` leaves out for their time: more seeds, larger sizes. */
export default defineConfig({
  test: {
    include: ['test/**/*.soak.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30 * 60_000,
    hookTimeout: 5 * 60_000,
  },
});
