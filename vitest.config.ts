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

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // What takes longer, with more seeds and larger sizes, is `npm run test:soak`.
    exclude: ['test/fixtures/**', '**/*.soak.test.ts', 'node_modules/**'],
    pool: 'forks',
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    testTimeout: 120_000,
    hookTimeout: 180_000,
  },
});
