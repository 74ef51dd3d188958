import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { splitRoot } from '../../../functions/contracts/root-name.ts';
import { UsageError } from '../../command-line/failure.ts';
import { createProgram, whenRun } from '../../command-line/program.ts';
import { attempt } from '../../command-line/writable.ts';
import { REHEARSAL_NAMES, type RehearsalName } from '../rehearsal/rehearsals.ts';

/** What `npm start` was asked to do. Paths are absolute. */
export interface StartArguments {
  stateDirectory: string;
  reportDirectory: string | undefined;
  /** Break this on purpose instead, and show what follows. */
  rehearse: RehearsalName | undefined;
  /** Leave the local cloud up and print how to reach it. */
  keep: boolean;
  seed: number;
  /** The operator's own input instead of the sample. */
  own: { sqlFile: string; rootTable: string; rootColumn: string; filesDirectory: string | undefined } | undefined;
}

const AFTER = `
Runs two daily backups with changes between them, then a restore test of the second.

TABLE.COLUMN, or SCHEMA.TABLE.COLUMN, holds the tenants' ids; a part with a dot or a double quote in it goes into
double quotes: '"My.App"."School"."Id"'

Examples:
  npm start
      the sample: a made-up app of schools
  npm start -- --sql dump.sql --root school.id --files ./uploads
      a dump of yours, and a folder of its files
  npm start -- --rehearse snapshot-deleted
      break a thing on purpose, and see the notice, its page's commands and their answers
  npm start -- --keep
      then leave the local cloud up, and print how to reach it

Exit codes:
  0  the restore test passed; of a rehearsal: the alarm sounded, and ended when it was repaired
  1  it did not, or the run failed
  2  the command line or the input cannot be used
  3  the disk is full
  130  interrupted
Only PostgreSQL servers of this run are started, and they end with it.`;

/** What commander makes of the command line. */
interface StartOptions {
  readonly sql?: string;
  readonly root?: string;
  readonly files?: string;
  readonly report?: string;
  readonly rehearse?: string;
  readonly keep: boolean;
  readonly state: string;
  readonly seed: string;
}

/** `npm start`. @param run is given a sound command line, and returns the exit code. */
export function createStart(run: (parameters: StartArguments) => Promise<number>): Command {
  const program = createProgram('npm start', 'Runs the main job on this machine.')
    .option('--sql <file>', 'back up this plain-SQL dump of PostgreSQL (also gzipped) instead of the sample')
    .option('--root <table.column>', 'with --sql: the table with one row for each tenant, and its id')
    .option('--files <directory>', 'with --sql: back up this folder; the first path segment of a file is its tenant')
    .option('--report <directory>', 'write summary.json there, when there is a verdict; an older one is removed first')
    .option('--keep', 'then leave the local cloud up until Ctrl-C, and print how to reach it', false)
    .option('--state <directory>', 'where the local cloud keeps its state', '.daybreak')
    .option(
      '--rehearse <name>',
      `break one of these on purpose instead, a small sample's: ${REHEARSAL_NAMES.join(', ')}`,
    )
    .option('--seed <number>', 'another sample of the same size', '1')
    .addHelpText('after', AFTER);
  return whenRun<StartOptions>(program, options => run(readOptions(options)));
}

/** The folder after `--report`, even of a command line that cannot be read otherwise. */
export function findReport(parameters: readonly string[]): string | undefined {
  const program = createStart(async () => 0);
  try {
    program.parseOptions([...parameters]);
  } catch {
    // What is wrong with the command line is told already.
  }
  return program.opts<StartOptions>().report;
}

/** @throws UsageError in one line that says what to change. */
function readOptions(options: StartOptions): StartArguments {
  const { seed, state, report, keep } = options;
  if (!/^\d{1,9}$/.test(seed)) throw new UsageError(`--seed ${seed}: give a whole number from 0`);
  return {
    rehearse: readRehearsal(options),
    stateDirectory: resolve(state),
    reportDirectory: report === undefined ? undefined : resolve(report),
    keep,
    seed: Number(seed),
    own: readOwnInput(options),
  };
}

function readRehearsal({ rehearse, sql, root, files, report, keep, seed }: StartOptions): RehearsalName | undefined {
  if (rehearse === undefined) return undefined;
  const name = REHEARSAL_NAMES.find(each => each === rehearse);
  if (name === undefined) {
    throw new UsageError(`--rehearse ${rehearse}: there is no such rehearsal; there are ${REHEARSAL_NAMES.join(', ')}`);
  }
  if ([sql, root, files, report].some(value => value !== undefined) || keep || seed !== '1') {
    throw new UsageError('--rehearse has a sample of its own: it goes with --state alone');
  }
  return name;
}

function readOwnInput({ sql, root, files }: StartOptions): StartArguments['own'] {
  if (sql === undefined) {
    if (root !== undefined || files !== undefined) throw new UsageError('--root and --files go with --sql FILE');
    return undefined;
  }
  if (root === undefined)
    throw new UsageError('--sql needs --root TABLE.COLUMN: the table with one row for each tenant, and its id');
  const split = splitRoot(root);
  if ('problem' in split) {
    throw new UsageError(`--root ${root} ${split.problem}: give TABLE.COLUMN or SCHEMA.TABLE.COLUMN`);
  }
  requirePath('--sql', sql, 'file');
  if (files !== undefined) requirePath('--files', files, 'directory');
  return {
    sqlFile: resolve(sql),
    ...split,
    filesDirectory: files === undefined ? undefined : resolve(files),
  };
}

function requirePath(option: string, path: string, kind: 'file' | 'directory'): void {
  attempt(option, path, () => {
    const found = statSync(path, { throwIfNoEntry: false });
    if (found === undefined) throw new UsageError(`${option} ${path}: there is no such ${kind}`);
    if (
      kind === 'file' &&
      found.isDirectory() &&
      ['toc.dat', 'toc.dat.gz'].some(name => existsSync(join(path, name)))
    ) {
      throw new UsageError(
        `${option} ${path}: is a dump in the directory format; turn it into SQL: pg_restore --file=dump.sql`,
      );
    }
    if (kind === 'file' ? !found.isFile() : !found.isDirectory())
      throw new UsageError(`${option} ${path}: not a ${kind}`);
    accessSync(path, constants.R_OK);
  });
}
