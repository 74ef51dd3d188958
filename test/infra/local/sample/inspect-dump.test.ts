import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DumpFormatError } from '../../../../infra/local/sample/dump-input.ts';
import { inspectDump } from '../../../../infra/local/sample/inspect-dump.ts';

const BEGIN = '--\n-- PostgreSQL database dump\n--\n\n';
const END = '\n--\n-- PostgreSQL database dump complete\n--\n\n';
const CUT_OFF = 'the dump does not end as pg_dump ends one ("database dump complete"): it is cut off';
const NOT_BY_PG_DUMP =
  'FILE was not written by pg_dump, whose dumps end with "-- PostgreSQL database dump complete"; dump the database with pg_dump --format=plain';
const COPY = 'COPY public.log (line) FROM stdin;\n-- PostgreSQL database dump complete\n\\.\n';
const DUMP = `${BEGIN}SELECT 1;\nCREATE EXTENSION IF NOT EXISTS unaccent WITH SCHEMA public;\n${COPY}${END}`;

let directory: string;
let file: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'daybreak-inspect-'));
  file = join(directory, 'dump.sql');
});
afterAll(() => rm(directory, { recursive: true }));

async function inspect(content: string | Buffer) {
  await writeFile(file, content);
  return inspectDump(file);
}

async function refuse(content: string | Buffer): Promise<string> {
  const error = await inspect(content).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(DumpFormatError);
  const { message } = error as DumpFormatError;
  expect(message).not.toMatch(/\n/);
  return message.replaceAll(file, 'FILE');
}

const tar = (name: string) => {
  const header = Buffer.alloc(512);
  header.write(name);
  header.write('ustar\x0000', 257);
  return header;
};

describe('inspectDump', () => {
  it('counts what a whole dump holds, gzipped or not, with a byte order mark or not', async () => {
    const expected = { file, statementCount: 3, extensions: ['unaccent'] };
    expect(await inspect(DUMP)).toEqual(expected);
    expect(await inspect(`\ufeff${DUMP}`)).toEqual(expected);
    expect(await inspect(gzipSync(DUMP))).toEqual(expected);
    const members = [gzipSync(DUMP.slice(0, 100)), gzipSync(DUMP.slice(100))];
    expect(await inspect(Buffer.concat(members))).toEqual(expected);
  });

  it('takes the closing line wherever it stands, and more behind it', async () => {
    const rows = Array.from({ length: 2000 }, (_, n) => `INSERT INTO t VALUES (${n});\n`).join('');
    expect(await inspect(`${DUMP}${rows}`)).toMatchObject({ statementCount: 2003 });
    expect(await inspect(`SELECT 1;${END}`)).toMatchObject({ statementCount: 1 });
  });

  it.each([
    [
      'a dump in the custom format',
      'PGDMP\x01\x0e',
      'FILE is a dump in the custom format; turn it into SQL: pg_restore --file=dump.sql',
    ],
    [
      'a dump in the tar format',
      tar('toc.dat'),
      'FILE is a dump in the tar format; turn it into SQL: pg_restore --file=dump.sql',
    ],
    ['a tar archive', tar('dump.sql'), 'FILE is a tar archive; unpack it: tar --extract'],
    ['zip', Buffer.from('504b030414000000', 'hex'), 'FILE is a zip archive; unpack it: unzip'],
    ['xz', Buffer.from('fd377a585a000004', 'hex'), 'FILE is compressed with xz; decompress it: xz --decompress'],
    ['zstd', Buffer.from('28b52ffd04006100', 'hex'), 'FILE is compressed with zstd; decompress it: zstd --decompress'],
    [
      'bzip2',
      Buffer.from('425a683931415926', 'hex'),
      'FILE is compressed with bzip2; decompress it: bzip2 --decompress',
    ],
    ['lz4', Buffer.from('04224d186440a70a', 'hex'), 'FILE is compressed with lz4; decompress it: lz4 --decompress'],
    ['old lz4', Buffer.from('02214c180a000000', 'hex'), 'FILE is compressed with lz4; decompress it: lz4 --decompress'],
    ['7z', Buffer.from('377abcaf271c0004', 'hex'), 'FILE is a 7-Zip archive; unpack it: 7z x'],
    [
      'UTF-16 with a mark',
      Buffer.from(`\ufeff${DUMP}`, 'utf16le'),
      'FILE is UTF-16, as PowerShell\'s ">" writes; dump with pg_dump --file',
    ],
    [
      'UTF-16 without a mark',
      Buffer.from(DUMP, 'utf16le'),
      'FILE is UTF-16, as PowerShell\'s ">" writes; dump with pg_dump --file',
    ],
    [
      'UTF-16, the other way round',
      Buffer.from(DUMP, 'utf16le').swap16(),
      'FILE is UTF-16, as PowerShell\'s ">" writes; dump with pg_dump --file',
    ],
    [
      'bytes',
      Buffer.from('7f454c46020101000000', 'hex'),
      'FILE is binary data and no SQL; dump with pg_dump --format=plain',
    ],
    [
      'LATIN1',
      `${BEGIN}SET client_encoding = 'LATIN1';${END}`,
      'line 5: the dump is encoded in LATIN1; dump with pg_dump --encoding=UTF8',
    ],
    [
      'LATIN1 that says nothing',
      Buffer.from(`${BEGIN}COMMENT ON TABLE t IS 'caf\xe9';${END}`, 'latin1'),
      'the statement of line 5 is not UTF-8: use pg_dump --encoding=UTF8',
    ],
    [
      'the custom format, gzipped',
      gzipSync('PGDMP\x01\x0e'),
      'FILE is gzipped, and inside a dump in the custom format; turn it into SQL: pg_restore --file=dump.sql',
    ],
    ['tar, gzipped', gzipSync(tar('dump.sql')), 'FILE is gzipped, and inside a tar archive; unpack it: tar --extract'],
    [
      'gzip in gzip',
      gzipSync(gzipSync(DUMP)),
      'FILE is gzipped, and inside compressed with gzip; decompress it: gunzip',
    ],
    [
      'a gzip file that is cut off',
      gzipSync(DUMP).subarray(0, -9),
      'FILE is a gzip file that is cut off; copy it anew, and check it: gzip --test',
    ],
    [
      'the very beginning of a gzip file',
      gzipSync(DUMP).subarray(0, 2),
      'FILE is a gzip file that is cut off; copy it anew, and check it: gzip --test',
    ],
    [
      'a damaged gzip file',
      gzipSync(DUMP).fill(0xff, 40, 60),
      'FILE is a damaged gzip file; copy it anew, and check it: gzip --test',
    ],
    [
      'a gzip file with another checksum',
      gzipSync(DUMP).fill(0, gzipSync(DUMP).length - 8, gzipSync(DUMP).length - 4),
      'FILE is a damaged gzip file; copy it anew, and check it: gzip --test',
    ],
    ['an empty file', '', 'FILE is empty; dump the database with pg_dump --format=plain'],
    ['an empty gzip file', gzipSync(''), 'FILE is empty; dump the database with pg_dump --format=plain'],
    ['blanks', ' \n\n', NOT_BY_PG_DUMP],
    ['SQL by hand', 'CREATE TABLE school (id int);\nINSERT INTO school VALUES (1);\n', NOT_BY_PG_DUMP],
    ['SQL by hand, without its last semicolon', 'CREATE TABLE school (id int)', NOT_BY_PG_DUMP],
    ['no SQL', '{"schools": ["it\'s"]}', NOT_BY_PG_DUMP],
    [
      'the globals of a cluster',
      '--\n-- PostgreSQL database cluster dump\n--\n\nCREATE ROLE app;\n\n--\n-- PostgreSQL database cluster dump complete\n--\n',
      'FILE is what pg_dumpall writes, which holds roles and all databases, or roles alone; dump one database with pg_dump',
    ],
    ['a dump that holds nothing but its first line', BEGIN, CUT_OFF],
    ['a dump without its closing line', `${BEGIN}SELECT 1;\n`, CUT_OFF],
    ['a cut off dump with a row that holds the closing line', `${BEGIN}SELECT 1;\n${COPY}`, CUT_OFF],
    ['a cut off dump with a string that holds it', `${BEGIN}INSERT INTO t VALUES ('${END}');\n`, CUT_OFF],
    ['a whole dump and one that is cut off', `${DUMP}${BEGIN}SELECT 1;\n`, CUT_OFF],
    [
      'a dump that is cut off within rows',
      `${BEGIN}COPY t FROM stdin;\n-- PostgreSQL database dump complete\n`,
      'the dump ends inside the data of the COPY of line 5: it is cut off',
    ],
    [
      'a dump that is cut off within a statement',
      `${BEGIN}CREATE TABLE t (`,
      'the dump ends inside the statement of line 5: it is cut off',
    ],
    [
      'a tablespace',
      `${BEGIN}SET default_tablespace = '';\nSET default_tablespace = "fast disk";${END}`,
      'line 6: the dump puts tables into the tablespace fast disk, which is not here; dump with pg_dump --no-tablespaces',
    ],
    [
      'an access method',
      `${BEGIN}SET default_table_access_method = heap;\nSET default_table_access_method = columnar;${END}`,
      'line 6: the dump stores tables by the access method columnar, which is not here; dump with pg_dump --no-table-access-method',
    ],
    [
      'the schema of a local run',
      `${BEGIN}CREATE SCHEMA daybreak_local_run;\n${END}`,
      'line 5: the dump holds the schema daybreak_local_run, which a local run makes for itself; dump with pg_dump --exclude-schema=daybreak_local_run',
    ],
    [
      'several databases',
      `${BEGIN}CREATE DATABASE app;\n\\connect app\n${END}`,
      'line 6 holds the psql command \\connect: dump one database, with pg_dump and without --create',
    ],
  ])('refuses %s in one line', async (_what, content, message) => {
    expect(await refuse(content)).toBe(message);
  });

  it('says of each beginning of a dump that it is cut off, and never that it is whole', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: BEGIN.length, max: DUMP.length - END.length + 3 }), async length => {
        expect(await refuse(DUMP.slice(0, length))).toMatch(/: it is cut off$/);
      }),
      { numRuns: 60 },
    );
  });

  it('says why a file cannot be read', async () => {
    await expect(inspectDump(join(directory, 'nowhere'))).rejects.toThrow(/nowhere cannot be read: ENOENT$/);
    await expect(inspectDump(directory)).rejects.toThrow(/cannot be read: EISDIR$/);
  });
});
