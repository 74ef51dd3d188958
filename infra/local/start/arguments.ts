import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';

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
  --sql FILE --root TABLE.COLUMN   back up this plain-SQL PostgreSQL dump; TABLE.COLUMN holds the tenants' ids
  --files DIR                      with --sql: back up this folder; the first path segment of a file is its tenant
  --report DIR                     write summary.json there
  --keep                           leave the local cloud up, and print its endpoints
  --state DIR                      where the local cloud keeps its state (default .daybreak)
  --seed N                         another sample of the same size (default 1)
  --help                           this text`;

/**
 * Reads the command line.
 * @returns undefined when help was asked for.
 * @throws UsageError in one line that says what to change.
 */
export function readArguments(parameters: readonly string[]): StartArguments | undefined {
  const values = parse(parameters);
  if (values.help) return undefined;
  const seed = Number(values.seed);
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw new UsageError(`--seed ${values.seed}: give a whole number from 0`);
  return {
    stateDirectory: resolve(values.state),
    reportDirectory: values.report === undefined ? undefined : resolve(values.report),
    keep: values.keep,
    seed,
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
    throw new UsageError(`${error instanceof Error ? error.message.split('.')[0] : error}; see npm start -- --help`);
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
  const parts = root.split('.');
  if (parts.length < 2 || parts.length > 3 || parts.includes('')) {
    throw new UsageError(`--root ${root}: give TABLE.COLUMN or SCHEMA.TABLE.COLUMN`);
  }
  requirePath('--sql', sql, 'file');
  if (files !== undefined) requirePath('--files', files, 'directory');
  return {
    sqlFile: resolve(sql),
    rootTable: parts.slice(0, -1).join('.'),
    rootColumn: parts.at(-1) ?? '',
    filesDirectory: files === undefined ? undefined : resolve(files),
  };
}

function requirePath(option: string, path: string, kind: 'file' | 'directory'): void {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) throw new UsageError(`${option} ${path}: there is no such ${kind}`);
  if (kind === 'file' ? !found.isFile() : !found.isDirectory())
    throw new UsageError(`${option} ${path}: not a ${kind}`);
}
