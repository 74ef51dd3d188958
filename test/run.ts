/**
 * `npm test`: runs every check of the project and ends with one line, `N passed, N failed`; before it stands what was
 * skipped, and why.
 */
import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statfsSync } from 'node:fs';
import { freemem, tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { EXIT } from '../infra/command-line/failure.ts';
import { createProgram, runProgram, whenRun } from '../infra/command-line/program.ts';
import { describeSkipped } from './fixtures/programs.ts';

interface Check {
  name: string;
  command: string[];
  /** The file in which vitest counts its tests; a check without one counts as one. */
  report?: string;
}

/** https://vitest.dev/guide/reporters.html#json-reporter */
interface VitestReport {
  numPassedTests: number;
  numFailedTests: number;
  testResults: { assertionResults: { status: string; fullName: string }[] }[];
}

/** What a machine must have free before the tests' files lie in its memory: a whole run fills a small part of it. */
const FREE_MEMORY_BYTES = 8 * 1024 ** 3;

const program = createProgram('npm test', 'Runs every check of the project.')
  .option(
    '--quick',
    'leave out the tests that need a PostgreSQL server or whole workflows (*.slow.test.ts), and the bundling synth',
    false,
  )
  .addHelpText('after', '\nExamples:\n  npm test\n  npm run test:quick\n\nExit code 1: a check failed');
await runProgram(whenRun<{ quick: boolean }>(program, runChecks), process.argv.slice(2));

async function runChecks({ quick }: { quick: boolean }): Promise<number> {
  const scratch = mkdtempSync(join(chooseScratch(), 'daybreak-checks-'));
  // As any folder for temporary files: the database servers, which run as another user, make and remove things in it.
  chmodSync(scratch, 0o1777);
  const totals = { passed: 0, failed: 0, skipped: [] as string[] };
  try {
    const checks = checksOf(quick, scratch);
    const make = (check: Check) => makeCheck(check, scratch, totals);
    // The tests alone keep every core busy.
    await Promise.all(checks.filter(({ report }) => report === undefined).map(make));
    for (const check of checks.filter(({ report }) => report !== undefined)) await make(check);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  for (const line of describeSkipped(totals.skipped)) process.stdout.write(`${line}\n`);
  process.stdout.write(`${totals.passed} passed, ${totals.failed} failed\n`);
  return totals.failed === 0 ? EXIT.done : EXIT.failed;
}

/**
 * The tests make and remove some hundred thousand small files, and creating them on a disk costs more than all else that
 * the kernel does for them: where there is a file system in memory, and plenty of it, they lie there.
 */
function chooseScratch(): string {
  const inMemory = '/dev/shm';
  try {
    const { bavail, bsize } = statfsSync(inMemory);
    return Math.min(bavail * bsize, freemem()) >= FREE_MEMORY_BYTES ? inMemory : tmpdir();
  } catch {
    return tmpdir();
  }
}

function checksOf(quick: boolean, scratch: string): Check[] {
  const report = join(scratch, 'vitest.json');
  const synthesis = {
    name: 'synthesis with bundling',
    command: [
      ...['cdk', 'synth', '--quiet', '--context', 'configuration=infra/config/example.ts'],
      ...['--output', join(scratch, 'cdk.out')],
    ],
  };
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  return [
    { name: 'format and lint', command: ['biome', 'check', '.'] },
    { name: 'types', command: ['tsc', '--project', '.'] },
    { name: 'unused files, exports and dependencies', command: ['knip'] },
    ...(quick ? [] : [synthesis]),
    {
      name: 'tests',
      command: ['vitest', 'run', ...reporters, ...(quick ? ['--project=quick', '--project=mocking'] : [])],
      report,
    },
  ];
}

async function makeCheck(
  { name, command, report }: Check,
  scratch: string,
  totals: { passed: number; failed: number; skipped: string[] },
): Promise<void> {
  const startedAt = performance.now();
  const succeeded = await run(command, scratch);
  const counted = report === undefined ? undefined : count(report);
  totals.passed += counted?.passed ?? (succeeded ? 1 : 0);
  totals.failed += counted?.failed ?? (succeeded ? 0 : 1);
  if (counted !== undefined && !succeeded && counted.failed === 0) totals.failed += 1;
  totals.skipped.push(...(counted?.skipped ?? []));
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  process.stdout.write(`${succeeded ? 'passed' : 'FAILED'}: ${name} (${seconds} s)\n`);
}

function run([program = '', ...parameters]: string[], scratch: string): Promise<boolean> {
  const environment = {
    ...process.env,
    PATH: `${resolve('node_modules/.bin')}${delimiter}${process.env.PATH}`,
    // Each file of tests is run by a process of its own, and all load the same packages.
    NODE_COMPILE_CACHE: join(scratch, 'compiled'),
    TMPDIR: scratch,
  };
  return new Promise(done => {
    const child = spawn(program, parameters, { stdio: 'inherit', env: environment });
    child.on('error', error => {
      process.stderr.write(`${program}: ${error.message}\n`);
      done(false);
    });
    child.on('exit', code => done(code === 0));
  });
}

function count(report: string): { passed: number; failed: number; skipped: string[] } {
  try {
    const { numPassedTests, numFailedTests, testResults } = JSON.parse(readFileSync(report, 'utf8')) as VitestReport;
    const tests = testResults.flatMap(({ assertionResults }) => assertionResults);
    const skipped = tests.filter(({ status }) => status === 'skipped' || status === 'pending');
    return {
      passed: numPassedTests,
      failed: numFailedTests,
      skipped: skipped.map(({ fullName }) => fullName),
    };
  } catch {
    return { passed: 0, failed: 1, skipped: [] };
  }
}
