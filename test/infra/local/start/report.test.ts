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
import { UsageError } from '../../../../infra/command-line/failure.ts';
import { createStart } from '../../../../infra/local/start/arguments.ts';
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

it('names a dump in the directory format', async () => {
  writeFileSync(join(folder, 'toc.dat'), 'PGDMP');
  const start = createStart(async () => 0);
  await expect(start.parseAsync(['--sql', folder, '--root', 'a.b'], { from: 'user' })).rejects.toThrow(
    new UsageError(`--sql ${folder}: is a dump in the directory format; turn it into SQL: pg_restore --file=dump.sql`),
  );
});
