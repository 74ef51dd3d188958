/**
 * Runs every check of the project and ends with one line, `N passed, N failed`. `--quick` leaves out the tests that need
 * a PostgreSQL server or whole workflows (`*.slow.test.ts`) and the bundling synth.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

const { values } = parseArgs({ options: { quick: { type: 'boolean', default: false } } });
const scratch = mkdtempSync(join(tmpdir(), 'daybreak-checks-'));
const vitestReport = join(scratch, 'vitest.json');
const environment = {
  ...process.env,
  PATH: `${resolve('node_modules/.bin')}${delimiter}${process.env.PATH}`,
  // Each file of tests is run by a process of its own, and all load the same packages.
  NODE_COMPILE_CACHE: join(scratch, 'compiled'),
};

interface Check {
  name: string;
  command: string[];
  /** Counts what the check reported; without it the check counts as one. */
  count?: () => { passed: number; failed: number };
}

const checks: Check[] = [
  { name: 'format and lint', command: ['biome', 'check', '.'] },
  { name: 'types', command: ['tsc', '--project', '.'] },
  { name: 'unused files, exports and dependencies', command: ['knip'] },
  ...(values.quick
    ? []
    : [
        {
          name: 'synthesis with bundling',
          command: [
            ...['cdk', 'synth', '--quiet', '--context', 'configuration=infra/config/example.ts'],
            ...['--output', join(scratch, 'cdk.out')],
          ],
        },
      ]),
  {
    name: 'tests',
    command: [
      'vitest',
      'run',
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${vitestReport}`,
      ...(values.quick ? ['--project=quick', '--project=mocking'] : []),
    ],
    count: () => {
      const report = JSON.parse(readFileSync(vitestReport, 'utf8')) as {
        numPassedTests: number;
        numFailedTests: number;
        numFailedTestSuites: number;
      };
      return { passed: report.numPassedTests, failed: report.numFailedTests };
    },
  },
];

let passed = 0;
let failed = 0;
// The tests alone keep every core busy.
await Promise.all(checks.filter(({ count }) => count === undefined).map(make));
for (const check of checks.filter(({ count }) => count !== undefined)) await make(check);
rmSync(scratch, { recursive: true, force: true });
process.exitCode = failed === 0 ? 0 : 1;
process.stdout.write(`${passed} passed, ${failed} failed\n`);

async function make({ name, command, count }: Check): Promise<void> {
  const startedAt = performance.now();
  const succeeded = await run(command);
  const result = counted(count);
  passed += result?.passed ?? (succeeded ? 1 : 0);
  failed += result?.failed ?? (succeeded ? 0 : 1);
  if (result !== undefined && !succeeded && result.failed === 0) failed += 1;
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  process.stdout.write(`${succeeded ? 'passed' : 'FAILED'}: ${name} (${seconds} s)\n`);
}

function run([program = '', ...parameters]: string[]): Promise<boolean> {
  return new Promise(done => {
    const child = spawn(program, parameters, { stdio: 'inherit', env: environment });
    child.on('error', error => {
      process.stderr.write(`${program}: ${error.message}\n`);
      done(false);
    });
    child.on('exit', code => done(code === 0));
  });
}

function counted(count: Check['count']): { passed: number; failed: number } | undefined {
  try {
    return count?.();
  } catch {
    return { passed: 0, failed: 1 };
  }
}
