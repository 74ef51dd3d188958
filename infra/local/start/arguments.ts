import { accessSync, constants, existsSync, mkdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { splitRoot } from '../../../functions/contracts/root-name.ts';

/** The operator asked for something that cannot be: one line to them, exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** What `npm start` was asked to do. Paths are absolute. */
export interface StartArguments {
  stateDirectory: string;
  reportDirectory: string | undefined;
  /** Leave the local cloud up and print how to reach it. */
  keep: boolean;
  seed: number;
  /** The operator's own input instead of the sample. */
  own: { sqlFile: string; rootTable: string; rootColumn: string; filesDirectory: string | undefined } | undefined;
}

export const USAGE = `npm start [-- OPTIONS]
Runs the main job on this machine: two daily backups with changes between them, then a restore test of the second.
  --sql FILE --root TABLE.COLUMN   back up this plain-SQL dump of PostgreSQL (also gzipped) instead of the sample;
                                   TABLE.COLUMN, or SCHEMA.TABLE.COLUMN, holds the tenants' ids; a part with
                                   a dot or a double quote in it goes into double quotes: '"My.App"."School"."Id"'
  --files DIR                      with --sql: back up this folder; the first path segment of a file is its tenant
  --report DIR                     write summary.json there, when there is a verdict; an older one is removed first
  --keep                           then leave the local cloud up until Ctrl-C, and print how to reach it
  --state DIR                      where the local cloud keeps its state (default .daybreak)
  --seed N                         another sample of the same size (default 1)
  --help                           this text
Exit codes: 0 the restore test passed; 1 it did not, or the run failed; 2 the command line or the input cannot be used;
130 interrupted. Only PostgreSQL servers of this run are started, and they end with it.`;

/**
 * Reads the command line.
 * @returns undefined when help was asked for.
 * @throws UsageError in one line that says what to change.
 */
export function readArguments(parameters: readonly string[]): StartArguments | undefined {
  const values = parse(parameters);
  if (values.help) return undefined;
  if (!/^\d{1,9}$/.test(values.seed)) throw new UsageError(`--seed ${values.seed}: give a whole number from 0`);
  return {
    stateDirectory: resolve(values.state),
    reportDirectory: values.report === undefined ? undefined : resolve(values.report),
    keep: values.keep,
    seed: Number(values.seed),
    own: readOwnInput(values),
  };
}

function parse(parameters: readonly string[]) {
  try {
    return parseArgs({
      args: [...parameters],
      options: {
        sql: { type: 'string' },
        root: { type: 'string' },
        files: { type: 'string' },
        report: { type: 'string' },
        keep: { type: 'boolean', default: false },
        state: { type: 'string', default: '.daybreak' },
        seed: { type: 'string', default: '1' },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    // Node's message goes on with advice that does not apply.
    const [what] = error instanceof Error ? error.message.split(/\.\s/) : [error];
    throw new UsageError(`${what}; see npm start -- --help`);
  }
}

function readOwnInput(values: {
  sql?: string | undefined;
  root?: string | undefined;
  files?: string | undefined;
}): StartArguments['own'] {
  const { sql, root, files } = values;
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

/** Makes sure that a directory is there and can be written to. @throws UsageError */
export function requireWritableDirectory(option: string, path: string): void {
  attempt(option, path, () => {
    mkdirSync(path, { recursive: true });
    accessSync(path, constants.W_OK);
  });
}

function attempt(option: string, path: string, look: () => void): void {
  try {
    look();
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`${option} ${path}: cannot be used: ${describeSystemError(error)}`);
  }
}

/** What the operating system said, without the path that the sentence before names. */
export function describeSystemError(error: unknown): string {
  const said = error instanceof Error ? error.message : String(error);
  return said.replace(/, \w+ '.*$/s, '');
}
