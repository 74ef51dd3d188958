import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PermanentError } from '../../../../functions/platform/errors.ts';
import { readArguments, UsageError } from '../../../../infra/local/start/arguments.ts';
import { describeFailure } from '../../../../infra/local/start/describe-failure.ts';
import { prepareReport, removeOlderSummary, writeReport } from '../../../../infra/local/start/report.ts';
import type { Summary } from '../../../../infra/local/start/summary.ts';

let folder: string;
let summaryFile: string;
const summary = { version: 2, verdict: 'passed' } as Summary;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'daybreak-report-'));
  summaryFile = join(folder, 'summary.json');
  writeFileSync(summaryFile, 'older');
});
afterEach(() => {
  chmodSync(folder, 0o700);
  rmSync(folder, { recursive: true });
});

describe('a report', () => {
  it('begins without an older summary and ends with this one alone', () => {
    prepareReport(folder);
    expect(readdirSync(folder)).toEqual([]);
    writeReport(folder, summary);
    expect(JSON.parse(readFileSync(summaryFile, 'utf8'))).toEqual(summary);
    expect(readdirSync(folder)).toEqual(['summary.json']);
  });

  it('is refused in one line where nothing can be written', () => {
    expect(() => prepareReport(join(summaryFile, 'below'))).toThrow(
      new UsageError(`--report ${summaryFile}/below: cannot be used: ENOTDIR: not a directory`),
    );
    rmSync(summaryFile);
    mkdirSync(summaryFile);
    expect(() => prepareReport(folder)).toThrow(
      /^--report \S+: the older summary\.json cannot be removed: [^\n]*EISDIR/,
    );
    expect(() => writeReport(folder, summary)).toThrow(/^--report \S+: summary\.json cannot be written: EISDIR[^\n]*$/);
    expect(readdirSync(folder)).toEqual(['summary.json']);
  });

  it.each([
    ['found', ['--bogus', '--report', 'FOLDER', 'more']],
    ['found with an equals sign', ['--report=FOLDER', '--sql']],
  ])('loses its older summary where a command line cannot be read: %s', (_what, parameters) => {
    removeOlderSummary(parameters.map(parameter => parameter.replace('FOLDER', folder)));
    expect(existsSync(summaryFile)).toBe(false);
  });

  it.each([[['--bogus']], [['--report']], [['--report', '/nowhere/at/all']]])(
    'is not looked for elsewhere: %j',
    given => {
      removeOlderSummary(given);
      expect(existsSync(summaryFile)).toBe(true);
    },
  );
});

describe('describeFailure', () => {
  class OfDaybreakError extends PermanentError {}
  const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });

  it.each([
    [new UsageError('--sql: two\nlines'), 2, '--sql: two?lines'],
    [new OfDaybreakError('it is so'), 1, 'the run failed: it is so'],
    [
      new OfDaybreakError('cannot store it', { cause: new Error('within', { cause: full }) }),
      1,
      'the run failed: no space is left on the disk (ENOSPC); free some, or give --state a directory elsewhere',
    ],
    [
      Object.assign(new Error('could not extend file'), { code: '53100' }),
      1,
      'the run failed: no space is left on the disk (53100); free some, or give --state a directory elsewhere',
    ],
    ['text', 1, 'the run failed: text'],
  ])('tells of %s', (error, exitCode, text) => {
    expect(describeFailure(error)).toEqual({ exitCode, text });
  });

  it('keeps the stack of an error that nobody expected', () => {
    expect(describeFailure(new TypeError('oops')).text).toMatch(/^the run failed: TypeError: oops\n\s+at /);
  });
});

it('names a dump in the directory format', () => {
  writeFileSync(join(folder, 'toc.dat'), 'PGDMP');
  expect(() => readArguments(['--sql', folder, '--root', 'a.b'])).toThrow(
    new UsageError(`--sql ${folder}: is a dump in the directory format; turn it into SQL: pg_restore --file=dump.sql`),
  );
});
