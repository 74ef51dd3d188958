import { existsSync, readFileSync } from 'node:fs';
import { chmod, mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeFolder, processesIn, removeFolder, STORES, start } from './start-process.ts';

const stores = readFileSync(STORES, 'utf8');

let folder: string;
let state: string;

beforeAll(async () => {
  folder = await makeFolder();
  state = join(folder, 'state');
});

afterAll(() => removeFolder(folder));

/** Runs with bad input; whatever it is, nothing may be left behind. @returns the line on stderr. */
async function refuse(parameters: readonly string[]): Promise<string> {
  const { exitCode, stderr, stdout } = await start('--state', state, ...parameters).ended;
  expect({ exitCode, verdict: stdout.includes('Verdict') }).toEqual({ exitCode: 2, verdict: false });
  expect(stderr).toMatch(/^start: [^\n]+\n$/);
  expect(processesIn(folder)).toEqual([]);
  expect(existsSync(join(state, 'lock'))).toBe(false);
  expect(existsSync(join(state, 'rds'))).toBe(false);
  return stderr.slice('start: '.length, -1).replaceAll(folder, 'FOLDER');
}

async function writeDump(name: string, text: string): Promise<string> {
  const file = join(folder, name);
  await writeFile(file, text);
  return file;
}

describe('a command line that cannot be', () => {
  it.each([
    [['--bogus'], "unknown option '--bogus'; see npm start -- --help"],
    [['store.store_id'], 'too many arguments. Expected 0 arguments but got 1: store.store_id; see npm start -- --help'],
    [['--seed', '1.5'], '--seed 1.5: give a whole number from 0'],
    [['--files', '/tmp'], '--root and --files go with --sql FILE'],
    [['--sql', STORES], '--sql needs --root TABLE.COLUMN: the table with one row for each tenant, and its id'],
    [
      ['--sql', STORES, '--root', 'store'],
      '--root store names a table or a column, not both: give TABLE.COLUMN or SCHEMA.TABLE.COLUMN',
    ],
    [['--sql', '/nowhere/dump.sql', '--root', 'a.b'], '--sql /nowhere/dump.sql: there is no such file'],
    [['--sql', '/', '--root', 'a.b'], '--sql /: not a file'],
    [['--sql', `${STORES}/more`, '--root', 'a.b'], `--sql ${STORES}/more: there is no such file`],
    [['--sql', STORES, '--root', 'a.b', '--files', STORES], `--files ${STORES}: not a directory`],
    [['--report', STORES], `--report ${STORES}: cannot be used: EEXIST: file already exists`],
    [['--report', `${STORES}/below`], `--report ${STORES}/below: cannot be used: ENOTDIR: not a directory`],
  ])('%j', async (parameters, line) => {
    expect(await refuse(parameters)).toBe(line);
    expect(existsSync(state)).toBe(false);
  });

  it.each([
    ['a command line', ['--bogus']],
    ['input', ['--sql', join(import.meta.dirname, 'start-process.ts'), '--root', 'a.b']],
  ])('%s that cannot be, with a report: no older verdict stays there', async (name, parameters) => {
    const report = join(folder, `report of ${name}`);
    await mkdir(report);
    await writeFile(join(report, 'summary.json'), '{"verdict":"passed"}');
    await refuse(['--report', report, ...parameters]);
    expect(await readdir(report)).toEqual([]);
  });

  it('a state directory that is a file', async () => {
    const { exitCode, stderr } = await start('--state', STORES).ended;
    expect({ exitCode, stderr }).toEqual({
      exitCode: 2,
      stderr: `start: --state ${STORES}: cannot be used: EEXIST: file already exists\n`,
    });
  });

  it.each([
    ['beside the names of ours', { 's3/object': 'theirs', 'thesis.txt': 'years of work' }, 's3'],
    ['under the names of ours', { 's3/object': 'theirs', 'tls/key.pem': 'a key' }, 's3'],
    ['with another README', { 'README.txt': 'Daybreak, my novel', 'kms/chapter-1': 'It dawned.' }, 'README.txt'],
  ])('a state directory that holds somebody else’s files, %s', async (name, files, named) => {
    const theirs = join(folder, name);
    for (const [path, content] of Object.entries(files)) {
      await mkdir(dirname(join(theirs, path)), { recursive: true });
      await writeFile(join(theirs, path), content);
    }
    expect(await refuse(['--state', theirs])).toBe(
      `--state FOLDER/${name}: holds ${named}, which is not the local cloud's; give another directory`,
    );
    const found = await readdir(theirs, { recursive: true, withFileTypes: true });
    const paths = found
      .filter(entry => entry.isFile())
      .map(entry => relative(theirs, join(entry.parentPath, entry.name)));
    expect(paths.sort()).toEqual(Object.keys(files).sort());
    for (const [path, content] of Object.entries(files)) {
      expect(readFileSync(join(theirs, path), 'utf8')).toBe(content);
    }
  });

  it('a state directory of ours into which somebody put a file', async () => {
    const shared = join(folder, 'shared');
    const first = await start('--state', shared, '--sql', STORES, '--root', 'nothing.there').ended;
    expect(first.exitCode).toBe(2);
    expect((await readdir(shared)).sort()).toContain('README.txt');
    await writeFile(join(shared, 'thesis.txt'), 'years of work');
    expect(await refuse(['--state', shared])).toBe(
      "--state FOLDER/shared: holds thesis.txt, which is not the local cloud's; give another directory",
    );
    expect(readFileSync(join(shared, 'thesis.txt'), 'utf8')).toBe('years of work');
  }, 600_000);
});

describe('files that cannot be backed up', () => {
  const input = (files: string) => ['--sql', STORES, '--root', 'store.store_id', '--files', files];

  it('a link that leads nowhere but to itself', async () => {
    const loop = join(folder, 'loop');
    await symlink(loop, loop);
    expect(await refuse(input(loop))).toMatch(/^--files FOLDER\/loop: cannot be used: ELOOP: /);
  });

  it.skipIf(process.getuid?.() === 0)('folders that may not be read (the superuser may)', async () => {
    const closed = join(folder, 'closed');
    await mkdir(join(closed, '1'), { recursive: true });
    await chmod(join(closed, '1'), 0);
    expect(await refuse(input(closed))).toBe('--files FOLDER/closed: cannot be read: EACCES: permission denied');
    await chmod(closed, 0);
    expect(await refuse(input(closed))).toBe('--files FOLDER/closed: cannot be used: EACCES: permission denied');
  });

  it('a path longer than a key may be', async () => {
    const deep = Array.from({ length: 5 }, () => 'd'.repeat(250)).join('/');
    await mkdir(join(folder, 'too-deep', '1', deep), { recursive: true });
    await writeFile(join(folder, 'too-deep', '1', deep, 'file'), '');
    expect(await refuse(input(join(folder, 'too-deep')))).toBe(
      '--files FOLDER/too-deep: a path of 1261 bytes cannot be the key of an object; 1,024 are the most',
    );
  });
});

describe('a dump that cannot be backed up', () => {
  it.each([
    [
      'broken SQL',
      stores.replace('CREATE TABLE public.store (', 'CREATE TABEL public.store ('),
      'store.store_id',
      /^--sql: line \d+ of the dump: PostgreSQL refused CREATE TABEL with SQLSTATE 42601: syntax error at or near "TABEL"$/,
    ],
    [
      'cut off inside the data',
      stores.slice(0, stores.indexOf('Sample customer 200')),
      'store.store_id',
      /^--sql: the dump ends inside the data of the COPY of line \d+: it is cut off$/,
    ],
    [
      'cut off between two statements',
      stores.slice(0, stores.indexOf('-- PostgreSQL database dump complete')),
      'store.store_id',
      /^--sql: the dump does not end as pg_dump ends one \("database dump complete"\): it is cut off$/,
    ],
    [
      'extensions that are not there',
      stores.replace(
        'SET row_security = off;',
        '$&\nCREATE EXTENSION IF NOT EXISTS postgis WITH SCHEMA public;\nCREATE EXTENSION IF NOT EXISTS timescaledb;',
      ),
      'store.store_id',
      /^--sql: the dump needs extensions that the local PostgreSQL does not have: postgis, timescaledb; load a dump without them \(.*\)$/,
    ],
    [
      'no such root table',
      stores,
      'shop.store_id',
      /^--root shop\.store_id: the root table shop \(column store_id\) does not exist; name the table that has one row for each tenant, and its key$/,
    ],
    [
      'no such column',
      stores,
      'public.store.id',
      /^--root public\.store\.id: the root table public\.store \(column id\) has no such column; name the table that has one row for each tenant, and its key$/,
    ],
    [
      'a root table without rows',
      'CREATE TABLE public.store (store_id integer PRIMARY KEY);\n-- PostgreSQL database dump complete\n',
      'store.store_id',
      /^--root store\.store_id: the root table store \(column store_id\) has no rows with an id; there is no tenant to protect$/,
    ],
  ])(
    '%s',
    async (name, text, root, line) => {
      const dump = await writeDump(`${name}.sql`, text);
      expect(await refuse(['--sql', dump, '--root', root])).toMatch(line);
    },
    600_000,
  );
});
