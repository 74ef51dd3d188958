import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** The files that take minutes come first, so that none of them is left alone at the end. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.sort((a, b) => rankOf(a.moduleId) - rankOf(b.moduleId));
  }
}

function rankOf(path: string): number {
  if (/\/(?:end-to-end|infra|access|monitoring)\/[^/]+\.slow\.test\.ts$/.test(path)) return 0;
  return path.endsWith('.slow.test.ts') ? 1 : 2;
}

// What takes longer, with more seeds and larger sizes, is `npm run test:soak`.
const NO_TESTS = ['test/fixtures/**', '**/*.soak.test.ts', 'node_modules/**'];
const SLOW = ['test/**/*.slow.test.ts'];
/** They put another module in the place of one that others have loaded. */
const MOCKING = ['test/infra/access/register.test.ts', 'test/infra/local/start/upload-files.test.ts'];

export default defineConfig({
  test: {
    // Files that start servers have a process each. All others share two, and load each package once.
    projects: [
      { extends: true, test: { name: 'slow', include: SLOW, exclude: NO_TESTS } },
      { extends: true, test: { name: 'mocking', include: MOCKING } },
      {
        extends: true,
        test: {
          name: 'quick',
          include: ['test/**/*.test.ts'],
          exclude: [...NO_TESTS, ...SLOW, ...MOCKING],
          isolate: false,
        },
      },
    ],
    restoreMocks: true,
    unstubEnvs: true,
    pool: 'forks',
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    testTimeout: 120_000,
    hookTimeout: 180_000,
  },
});
